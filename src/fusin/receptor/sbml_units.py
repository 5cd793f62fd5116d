"""Units that an SBML model declares, in SI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusin.receptor.sbml_model import UnitSize

__all__ = ["declared_units"]

_N_A = 6.02214076e23
# Factor and powers of the base units; SI Brochure, 9th edition (2019), tables 2 and 4.
_KINDS: Mapping[str, tuple[float, Mapping[str, float]]] = {
    "dimensionless": (1.0, {}), "radian": (1.0, {}), "steradian": (1.0, {}), "avogadro": (_N_A, {}),
    "mole": (1.0, {"mole": 1}), "item": (1.0 / _N_A, {"mole": 1}), "second": (1.0, {"second": 1}),
    "litre": (1e-3, {"metre": 3}), "liter": (1e-3, {"metre": 3}), "metre": (1.0, {"metre": 1}),
    "meter": (1.0, {"metre": 1}), "kilogram": (1.0, {"kilogram": 1}), "gram": (1e-3, {"kilogram": 1}),
    "kelvin": (1.0, {"kelvin": 1}), "ampere": (1.0, {"ampere": 1}), "hertz": (1.0, {"second": -1}),
    "becquerel": (1.0, {"second": -1}), "katal": (1.0, {"mole": 1, "second": -1}),
    "newton": (1.0, {"kilogram": 1, "metre": 1, "second": -2}),
    "joule": (1.0, {"kilogram": 1, "metre": 2, "second": -2}),
    "pascal": (1.0, {"kilogram": 1, "metre": -1, "second": -2}),
    "gray": (1.0, {"metre": 2, "second": -2}), "sievert": (1.0, {"metre": 2, "second": -2}),
}  # fmt: skip
_LEVEL_2 = {"substance": "mole", "volume": "litre", "time": "second", "length": "metre"}
_AREA = UnitSize(1.0, (("metre", 2.0),))


def declared_units(model: Any, level: int) -> dict[str, UnitSize]:
    """Unit of each symbol that has one.

    Parameters
    ----------
    model : libSBML's Model
    level : of SBML; levels 1 and 2 have defaults (mole, litre, second), level 3 has none

    Returns
    -------
    dict
        Identifier to unit; ``$time`` and ``$substance`` too.
    """
    reader = _Reader(model, level)
    found: dict[str, UnitSize | None] = {
        "$time": reader.named(model.getTimeUnits() if level > 2 else "time"),
        "$substance": reader.named(model.getSubstanceUnits() if level > 2 else "substance"),
    }
    for one in model.getListOfCompartments():
        found[one.getId()] = reader.compartment(one)
    for one in model.getListOfSpecies():
        substance = reader.named(one.getSubstanceUnits()) if one.getSubstanceUnits() else found["$substance"]
        size = found.get(one.getCompartment())
        only = one.getHasOnlySubstanceUnits()
        found[one.getId()] = substance if only or substance is None else _ratio(substance, size)
    for one in model.getListOfParameters():
        found[one.getId()] = reader.named(one.getUnits())
    return {name: unit for name, unit in found.items() if unit is not None}


class _Reader:
    def __init__(self, model: Any, level: int) -> None:
        self._model, self._level = model, level

    def named(self, name: str) -> UnitSize | None:
        """Unit by its name: a definition of the model, a unit of SBML, or a default of level 2."""
        definition = self._model.getUnitDefinition(name) if name else None
        if definition is not None:
            return self._defined(definition)
        if name in _KINDS:
            return _unit(*_KINDS[name])
        if name == "area" and self._level <= 2:
            return _AREA
        if self._level <= 2 and name in _LEVEL_2:
            return _unit(*_KINDS[_LEVEL_2[name]])
        return None

    def _defined(self, definition: Any) -> UnitSize | None:
        factor, powers = 1.0, dict[str, float]()
        for unit in definition.getListOfUnits():
            import libsbml

            kind = _KINDS.get(libsbml.UnitKind_toString(unit.getKind()))
            if kind is None:
                return None
            exponent = unit.getExponentAsDouble()
            factor *= (unit.getMultiplier() * 10.0 ** unit.getScale() * kind[0]) ** exponent
            for base, power in kind[1].items():
                powers[base] = powers.get(base, 0.0) + power * exponent
        return _unit(factor, powers)

    def compartment(self, one: Any) -> UnitSize | None:
        if one.getUnits():
            return self.named(one.getUnits())
        dimensions = one.getSpatialDimensionsAsDouble()
        if self._level > 2:
            names = {
                3.0: self._model.getVolumeUnits(),
                2.0: self._model.getAreaUnits(),
                1.0: self._model.getLengthUnits(),
            }
        else:
            names = {3.0: "volume", 2.0: "area", 1.0: "length"}
        return self.named(names.get(dimensions, ""))


def _unit(factor: float, powers: Mapping[str, float]) -> UnitSize:
    return UnitSize(factor, tuple(sorted((k, float(v)) for k, v in powers.items() if v != 0)))


def _ratio(above: UnitSize, below: UnitSize | None) -> UnitSize | None:
    if below is None:
        return None
    powers = dict(above.powers)
    for base, power in below.powers:
        powers[base] = powers.get(base, 0.0) - power
    return _unit(above.factor / below.factor, powers)
