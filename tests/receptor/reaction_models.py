"""Small models in Antimony for the tests of the engine."""

from __future__ import annotations

from fusin.receptor.sbml_read import antimony_to_sbml, model_from_sbml
from fusin.receptor.simulation import Simulator

__all__ = ["LIGAND", "MATH", "level3", "loaded", "parameter", "rule", "sbml"]

MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">{}</math>'
_NAMESPACE = "http://www.sbml.org/sbml/level3/version2/core"

LIGAND = """
model ligand
  unit substance = 1e-9 mole; unit time_unit = second; unit volume = litre;
  unit per_s = 1/second; unit per_nM_s = litre/(1e-9 mole * second);
  compartment medium = 2; compartment cell = 0.5;
  species L in medium, R in cell, C in cell;
  L = 10; R = 4; C = 0;
  bind: L + R -> C; medium*(kon*L*R - koff*C);
  kon = 0.01; kon has per_nM_s; koff = 0.05; koff has per_s;
end
"""


def sbml(text: str) -> str:
    """SBML of a model in Antimony."""
    return antimony_to_sbml(text, where="test.ant")


def loaded(text: str, *, compiled: bool | None = None) -> Simulator:
    """A model in Antimony, ready to run."""
    return Simulator(model_from_sbml(sbml(text), where="test.ant"), compiled=compiled)


def level3(inside: str, attributes: str = "") -> str:
    """A document of Level 3 Version 2 with some lists of elements."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<sbml xmlns="{_NAMESPACE}" level="3" version="2"{attributes}><model>{inside}</model></sbml>'


def parameter(name: str, value: float | None = None) -> str:
    """A parameter that may change."""
    stated = "" if value is None else f' value="{value}"'
    return f'<parameter id="{name}"{stated} constant="false"/>'


def rule(kind: str, variable: str, math: str) -> str:
    """A rule; ``kind`` is assignment or rate."""
    return f'<{kind}Rule variable="{variable}">{MATH.format(math)}</{kind}Rule>'
