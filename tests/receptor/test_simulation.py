"""Time courses against closed forms, and what holds whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
from reaction_models import LIGAND, level3, loaded, parameter, rule

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.sbml_read import model_from_sbml
from fusin.receptor.simulation import Simulator

pytest.importorskip("antimony")
pytest.importorskip("libsbml")

DECAY = "model m; species A; compartment c = 2; A in c; A = 3; J: A -> ; k*A*c; k = 0.7; end"


@pytest.mark.parametrize("compiled", [False, True])
def test_first_order_loss_is_an_exponential(compiled):
    course = loaded(DECAY, compiled=compiled).run(until=5, points=51)
    assert course["A"] == pytest.approx(3 * np.exp(-0.7 * course.time), rel=1e-8)


def test_amounts_are_concentrations_times_the_volume():
    simulator = loaded(DECAY)
    run = {"until": 5, "points": 11}
    assert simulator.run(**run, amounts=True)["A"] == pytest.approx(2 * simulator.run(**run)["A"], rel=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_binding_conserves_receptor_and_ligand(compiled):
    course = loaded(LIGAND, compiled=compiled).run(until=2000, points=200, amounts=True)
    assert course["L"] + course["C"] == pytest.approx(np.full(200, 20.0), rel=1e-9)
    assert course["R"] + course["C"] == pytest.approx(np.full(200, 2.0), rel=1e-9)


def test_binding_ends_at_the_exact_equilibrium():
    """L R / C = koff / kon in concentrations: here with 2 L of medium and 0.5 L of cells."""
    course = loaded(LIGAND).run(until=1e5, points=3)
    assert course["L"][-1] * course["R"][-1] / course["C"][-1] == pytest.approx(5.0, rel=1e-7)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_pulse_that_is_much_shorter_than_a_step_is_not_missed(compiled):
    """The area under an input of 1 from 500.0 to 500.01 is 0.01, although nothing else happens for 1000 units of time."""
    text = "model m; x' = piecewise(1, (time >= 500) && (time < 500.01), 0); x = 0; end"
    assert loaded(text, compiled=compiled).run(until=1000, points=3)["x"][-1] == pytest.approx(0.01, rel=1e-6)


def test_a_changed_value_stands_before_that_of_the_file():
    simulator = loaded(DECAY)
    course = simulator.run(until=1, points=2, changed={"k": 0.1, "A": 10.0})
    assert course["A"][-1] == pytest.approx(10 * np.exp(-0.1), rel=1e-8)
    assert simulator.run(until=1, points=2)["A"][-1] == pytest.approx(3 * np.exp(-0.7), rel=1e-8)


def test_an_initial_assignment_follows_a_changed_parameter():
    course = loaded("model m; A = 2*k; k = 3; A' = 0; end").run(until=1, points=2, changed={"k": 5})
    assert course["A"][0] == 10.0


def test_rates_that_leave_a_domain_are_refused_with_the_moment():
    simulator = loaded("model m; x = 1; x' = x^2; end")
    with pytest.raises(NotComputable, match="time") as caught:
        simulator.run(until=2, points=11)
    assert caught.value.code == "INTEGRATION_FAILED"


@pytest.mark.parametrize(
    ("changed", "field"), [({"nix": 1.0}, "symbol"), ({"A": -1.0}, "A"), ({"k": float("inf")}, "k")]
)
def test_values_that_cannot_be_set_are_refused_by_name(changed, field):
    with pytest.raises(InputError) as caught:
        loaded(DECAY).run(until=1, points=2, changed=changed)
    assert caught.value.field == field


@pytest.mark.parametrize(("until", "points"), [(0, 10), (-1, 10), (float("nan"), 10), (1, 1)])
def test_times_that_are_none_are_refused(until, points):
    with pytest.raises(InputError):
        loaded(DECAY).run(until=until, points=points)


def test_a_state_without_a_start_is_refused():
    with pytest.raises(InputError, match="none for x"):
        loaded("model m; x' = 1; end").run(until=1, points=2)


def test_a_compartment_without_size_counts_as_one_with_a_notice():
    log = NoticeLog()
    course = loaded("model m; compartment c; species A in c; A = 1; J: A -> ; A; end").run(until=1, points=2, log=log)
    assert course["A"][-1] == pytest.approx(np.exp(-1.0), rel=1e-8)
    assert [n.code for n in log] == ["COMPARTMENT_SIZE"]


def test_a_threshold_that_holds_the_state_is_refused_with_the_moment():
    """dx/dt = 1 below 1 and -1 above: no step gets away from 1."""
    with pytest.raises(NotComputable, match="time 1") as caught:
        loaded("model m; x = 0; x' = piecewise(1, x < 1, -1); end").run(until=3, points=31)
    assert caught.value.code == "SLIDING_MODE"


def test_stoichiometry_may_vary():
    course = loaded("model m; species A, B; A = 1; B = 0; n = 2; J: A -> n B; 0.5*A; end").run(until=4, points=5)
    assert course["B"] == pytest.approx(2 * (1 - course["A"]), rel=1e-8)


def test_the_rate_of_a_rule_is_known_by_the_chain_rule():
    """z = x^2 with dx/dt = -x has dz/dt = -2 x^2."""
    rate = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">rateOf</csymbol>'
    rules = rule("rate", "x", "<apply><minus/><ci>x</ci></apply>")
    rules += rule("assignment", "z", "<apply><times/><ci>x</ci><ci>x</ci></apply>")
    rules += rule("assignment", "r", f"<apply>{rate}<ci>z</ci></apply>")
    parameters = parameter("x", 1.0) + parameter("z") + parameter("r")
    text = level3(f"<listOfParameters>{parameters}</listOfParameters><listOfRules>{rules}</listOfRules>")
    course = Simulator(model_from_sbml(text, where="m.xml")).run(until=2, points=5)
    assert course["r"] == pytest.approx(-2 * course["x"] ** 2, rel=1e-7)


def test_csv_holds_every_digit():
    course = loaded(DECAY).run(until=5, points=4)
    lines = course.csv_text().splitlines()
    assert lines[0] == "time,A,c,k"
    assert [float(v) for v in lines[3].split(",")] == [course.time[2], *course.values[2]]
