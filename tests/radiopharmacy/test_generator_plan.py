"""The next elution: earliest time, most that can be had, and the price of an elution in between."""

from __future__ import annotations

import pytest

from fusin.errors import InputError
from fusin.radiopharmacy.generator import Generator, State, equilibrium_ratio
from fusin.radiopharmacy.generator_plan import plan_elution

YIELD = {"G": 0.7}


def state(residual=300.0, ge68=1000.0, name="G"):
    return State(Generator(name=name, ge68_mbq=ge68, efficiency=0.7), 0.0, residual, True)


def planned(**more):
    arguments = {"efficiency": YIELD, "time_s": 4 * 3600.0, "now_s": 0.0} | more
    return plan_elution([state()], **arguments)


def test_the_earliest_time_gives_exactly_what_is_wanted():
    found = planned(wanted_mbq=600.0)
    assert 0.7 * state().on_column_mbq(found.earliest_s) == pytest.approx(600.0, abs=1e-6)
    assert found.enough


def test_what_the_column_never_reaches_has_no_earliest_time():
    found = planned(wanted_mbq=701.0)
    assert found.earliest_s is None
    assert found.last_day_s is None
    assert found.enough is False


def test_the_lead_time_costs_its_decay():
    assert planned(time_s=14400.0, lead_s=67.71 * 60).available_mbq == pytest.approx(
        planned(time_s=14400.0 - 67.71 * 60).available_mbq / 2
    )


def test_a_full_column_gives_the_wanted_activity_until_its_68ge_has_decayed():
    found = planned(wanted_mbq=350.0 * equilibrium_ratio())
    assert found.last_day_s == pytest.approx(270.95 * 86400.0, rel=1e-6)


def test_an_elution_in_between_takes_what_its_decay_leaves():
    found = planned()
    for one in found.between:
        decayed = one.eluted_mbq * 2.0 ** (-(14400.0 - one.time_s) / 4062.6)
        assert one.loss_mbq == pytest.approx(0.7 * decayed, rel=1e-9)
        assert one.total_mbq == pytest.approx(one.eluted_mbq + one.then_mbq)


def test_the_best_elution_in_between_beats_all_others():
    found = planned()
    finer = plan_elution([state()], efficiency=YIELD, time_s=14400.0, now_s=0.0, steps=300).between
    assert found.best_between.total_mbq >= max(b.total_mbq for b in finer) - 1e-6


def test_the_largest_elution_of_pooled_generators_lies_between_theirs():
    pair = [state(residual=0.0, name="A"), state(residual=600.0, ge68=700.0, name="B")]
    found = plan_elution(pair, efficiency={"A": 0.7, "B": 0.6}, time_s=36000.0, now_s=0.0)
    for moment_s in (found.largest_s - 900.0, found.largest_s + 900.0):
        here = 0.7 * pair[0].on_column_mbq(moment_s) + 0.6 * pair[1].on_column_mbq(moment_s)
        assert here <= found.largest_mbq


def test_an_elution_before_the_last_one_is_refused():
    with pytest.raises(InputError, match="lead time"):
        planned(time_s=600.0, lead_s=1200.0)
