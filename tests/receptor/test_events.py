"""Events: edges, order, delays and volumes, against hand calculations."""

from __future__ import annotations

import numpy as np
import pytest
from reaction_models import loaded

from fusin.errors import NotComputable

pytest.importorskip("antimony")
pytest.importorskip("libsbml")


def run(text, until=10, points=11, **options):
    return loaded(text).run(until=until, points=points, **options)


def test_an_event_fires_on_the_edge_and_not_as_long_as_its_trigger_holds():
    course = run("model m; x = 0; x' = 1; n = 0; at (x > 4.5): n = n + 1; end")
    assert course["n"].tolist() == [0] * 5 + [1] * 6


def test_the_moment_of_an_event_is_found_to_the_last_digits():
    """Decay from 1 is set back to 1 whenever it reaches 0.1, every ln(10): the 4th time at 4 ln(10)."""
    course = run("model m; x = 1; x' = -x; t4 = 0; n = 0; at (x < 0.1): x = 1, n = n + 1, t4 = time; end", until=10)
    assert course["n"][-1] == 4
    assert course["t4"][-1] == pytest.approx(4 * np.log(10), rel=1e-7)


def test_a_value_at_the_moment_of_an_event_is_that_after_it():
    course = run("model m; x = 1; at (time >= 5): x = 7; end")
    assert course["x"].tolist() == [1] * 5 + [7] * 6


def test_a_trigger_that_holds_from_the_start_fires_only_when_it_began_as_false():
    assert run("model m; x = 1; at (time >= 0): x = 5; end")["x"][0] == 1
    assert run("model m; x = 1; at (time >= 0), t0=false: x = 5; end")["x"][0] == 5


def test_a_delayed_event_uses_values_of_its_trigger_or_of_its_execution():
    early = run("model m; x = 0; x' = 1; z = 0; at 3 after (x > 2): z = x; end")
    late = run("model m; x = 0; x' = 1; z = 0; at 3 after (x > 2), fromTrigger=false: z = x; end")
    assert early["z"][-1] == pytest.approx(2.0, abs=1e-6)
    assert late["z"][-1] == pytest.approx(5.0, abs=1e-6)


def test_an_event_that_does_not_persist_is_dropped_when_its_trigger_becomes_false():
    text = "model m; x = 0; x' = 1; z = 0; at 3 after ((x > 2) && (x < 4)), persistent={}: z = 1; end"
    assert run(text.format("false"))["z"][-1] == 0
    assert run(text.format("true"))["z"][-1] == 1


def test_the_higher_priority_goes_first():
    text = "model m; z = 1; at (time >= 2), priority=1, fromTrigger=false: z = z + 10; "
    text += "at (time >= 2), priority=5, fromTrigger=false: z = z * 3; end"
    assert run(text)["z"][-1] == 13


def test_the_order_of_equal_priorities_follows_the_seed():
    text = "model m; z = 1; at (time >= 2), priority=1, fromTrigger=false: z = z + 10; "
    text += "at (time >= 2), priority=1, fromTrigger=false: z = z * 3; end"
    simulator = loaded(text)
    ends = [simulator.run(until=3, points=2, seed=s)["z"][-1] for s in range(12)]
    assert set(ends) == {13, 33}
    assert ends == [simulator.run(until=3, points=2, seed=s)["z"][-1] for s in range(12)]


def test_a_new_volume_keeps_amounts_and_changes_concentrations():
    course = run("model m; var compartment c = 2; species A in c; A = 3; at (time > 4.5): c = 4; end")
    assert course["A"][[0, -1]] == pytest.approx([3.0, 1.5])


def test_events_that_never_end_are_refused():
    text = "model m; x = 0; at (x == 0), t0=false: x = 1; at (x == 1): x = 0; end"
    with pytest.raises(NotComputable) as caught:
        run(text)
    assert caught.value.code == "ENDLESS_EVENTS"
