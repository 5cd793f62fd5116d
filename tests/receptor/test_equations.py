"""From models to equations: Jacobians, order of rules, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from reaction_models import LIGAND, level3, loaded, parameter, rule

from fusin.errors import InputError
from fusin.receptor.equations import equations_of
from fusin.receptor.sbml_read import model_from_sbml

pytest.importorskip("antimony")
pytest.importorskip("libsbml")

CHAIN = """
model chain
  compartment c = 2; species A in c, B in c; A = 1; B = 0.5; v' = -0.1*v; v = 2;
  s := A*B/(0.3 + A); u := s^2 + exp(-v);
  J1: A -> B; k*A*u; J2: B -> A; piecewise(B, B > 0.2, B^2)*c/v;
  k = 0.4;
end
"""


@pytest.mark.parametrize("text", [LIGAND, CHAIN])
def test_the_analytic_jacobian_is_the_slope_of_the_rates(text):
    """Through assignment rules, volumes and piecewise rates."""
    problem = loaded(text, compiled=True).problem
    y, p = loaded(text).start()
    y = y + 0.1
    jacobian = problem.jacobian(0.3, y, p)
    step = 1e-6
    for column in range(len(y)):
        h = np.zeros(len(y))
        h[column] = step
        slope = (problem.rates(0.3, y + h, p) - problem.rates(0.3, y - h, p)) / (2 * step)
        assert jacobian[:, column] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_text_and_machine_code_give_the_same_rates():
    plain, machine = loaded(CHAIN, compiled=False), loaded(CHAIN, compiled=True)
    y, p = plain.start()
    assert plain.problem.rates(0.1, y, p) == pytest.approx(machine.problem.rates(0.1, y, p), rel=1e-14)


def test_rules_are_ordered_by_what_they_need_and_not_by_the_file():
    course = loaded("model m; a := b + 1; b := d*2; d := time; x' = a; x = 0; end").run(until=2, points=3)
    assert course["a"] == pytest.approx([1, 3, 5])
    assert course["x"][-1] == pytest.approx(6.0, rel=1e-8)


CIRCLE = rule("assignment", "a", "<ci>b</ci>") + rule("assignment", "b", "<ci>a</ci>")
TWICE = rule("assignment", "a", "<cn>1</cn>") + rule("rate", "a", "<cn>1</cn>")


@pytest.mark.parametrize(("rules", "found"), [(CIRCLE, "circle"), (TWICE, "two rules for a")])
def test_what_needs_itself_or_is_governed_twice_is_refused(rules, found):
    parameters = f"<listOfParameters>{parameter('a')}{parameter('b')}</listOfParameters>"
    text = level3(f"{parameters}<listOfRules>{rules}</listOfRules>")
    with pytest.raises(InputError, match=found):
        equations_of(model_from_sbml(text, where="m.xml"))
