"""Amounts, concentrations and times as people write them (``10nM``, ``90min``), in the units of a model."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from fusin.errors import Ambiguous, InputError
from fusin.receptor.sbml_model import Model, Species, UnitSize

__all__ = ["Quantity", "find_symbol", "parse_pairs", "parse_quantity", "time_in_model", "unit_text", "value_in_model"]

_N_A = 6.02214076e23
# Avogadro's constant: SI Brochure, 9th edition (2019).
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_SUBSTANCE = (("mole", 1.0),)
_CONCENTRATION = (("metre", -3.0), ("mole", 1.0))
_TIME = (("second", 1.0),)


def _units() -> dict[str, UnitSize]:
    found = {"molecules": UnitSize(1.0 / _N_A, _SUBSTANCE), "items": UnitSize(1.0 / _N_A, _SUBSTANCE)}
    for prefix, factor in _PREFIXES.items():
        found[f"{prefix}M"] = UnitSize(1e3 * factor, _CONCENTRATION)
        found[f"{prefix}mol"] = UnitSize(factor, _SUBSTANCE)
        for volume, litres in (("L", 1.0), ("l", 1.0), ("mL", 1e-3), ("ml", 1e-3)):
            found[f"{prefix}mol/{volume}"] = UnitSize(1e3 * factor / litres, _CONCENTRATION)
    times = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "ms": 1e-3}
    return found | {name: UnitSize(seconds, _TIME) for name, seconds in times.items()}


_UNITS = _units()
_NUMBER = re.compile(r"\s*([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.,].*)?")


class Quantity(tuple[float, UnitSize | None, str]):
    """A number, its unit (None for the model's own) and the text that it came from."""

    __slots__ = ()


def parse_quantity(text: str, where: str) -> Quantity:
    """A number with or without a unit.

    Parameters
    ----------
    text : such as ``10nM``, ``1e5 molecules``, ``90min`` or ``0.5``; a single comma is a decimal comma
    where : option, for messages

    Raises
    ------
    InputError
        When it is no number, or has a unit that is unknown.
    """
    match = _NUMBER.fullmatch(text)
    number = float(match.group(1).replace(",", ".")) if match else math.nan
    if match is None or not math.isfinite(number):
        raise InputError(where, "quantity", text, "a number, with a unit or without one, such as 10nM")
    unit = (match.group(2) or "").strip().replace("\u00b5", "u").replace("\u03bc", "u")
    if unit and unit not in _UNITS:
        same = [name for name in _UNITS if name.casefold() == unit.casefold()]
        close = same or difflib.get_close_matches(unit, _UNITS, n=1, cutoff=0.5)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise InputError(where, "unit", unit, f"M, mM, uM, nM, pM, mol, nmol, molecules, nmol/L, s, min, h or d{hint}")
    return Quantity((number, _UNITS.get(unit), text))


def parse_pairs(texts: Sequence[str], option: str) -> dict[str, Quantity]:
    """Quantities by name from ``NAME=QUANTITY``.

    Raises
    ------
    InputError
        When a text is no such pair, or a name stands twice.
    """
    found: dict[str, Quantity] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise InputError(option, "option", text, "NAME=QUANTITY, for example CXCL12=10nM")
        if name in found:
            raise InputError(option, "option", f"{name} twice", "each name once")
        found[name] = parse_quantity(value, f"{option} {name}")
    return found


def find_symbol(model: Model, name: str, *, option: str, parameters: bool = True) -> str:
    """Identifier of a species, parameter or compartment by its identifier or its name.

    Parameters
    ----------
    model : where to look
    name : upper and lower case do not matter where only one fits
    option : for messages
    parameters : look for others than species too

    Raises
    ------
    InputError
        When nothing fits, with what comes close.
    Ambiguous
        When several fit.
    """
    known = {s.id: s.name for s in model.species}
    if parameters:
        known |= {p.id: p.name for p in model.parameters} | {c.id: c.name for c in model.compartments}
    if name in known:
        return name
    wanted = name.casefold()
    fits = [key for key, words in known.items() if wanted in (key.casefold(), words.casefold())]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise Ambiguous(option, f"{name} may be {', '.join(fits)}", "the identifier of one of them", "AMBIGUOUS_SYMBOL")
    close = difflib.get_close_matches(name, known, n=4, cutoff=0.4) or list(known)[:4]
    what = "a species, parameter or compartment" if parameters else "a species"
    raise InputError(f"{option} in {model.source}", "name", name, f"{what} of the model, such as {', '.join(close)}")


def time_in_model(quantity: Quantity, model: Model, option: str) -> float:
    """A time in the model's unit.

    Raises
    ------
    InputError
        When the unit is none of time, or the model does not declare its own.
    """
    number, unit, text = quantity
    if unit is None:
        return number
    own = model.units.get("$time")
    if unit.powers != _TIME:
        raise InputError(option, "time", text, "a time, such as 90min, or a number in the model's unit")
    if own is None or own.powers != _TIME:
        raise InputError(
            option, "time", text, f"a number without a unit, because {model.source} declares no unit of time"
        )
    return number * _ratio(unit, own)


def value_in_model(quantity: Quantity, symbol: str, model: Model, *, option: str, sizes: Mapping[str, float]) -> float:
    """A quantity in the unit of a symbol.

    Parameters
    ----------
    quantity : number with its unit; without one it is in the symbol's unit already
    symbol : species, parameter or compartment
    model : with its declared units
    option : for messages
    sizes : of the compartments, to turn a concentration into the amount of a species that counts amounts, and back

    Raises
    ------
    InputError
        When the units do not fit, or the model declares none.
    """
    number, unit, text = quantity
    if unit is None:
        return number
    own = model.units.get(symbol)
    if own is None:
        needed = f"a number without a unit, because {model.source} declares no unit of {symbol}"
        raise InputError(f"{option} {symbol}", "quantity", text, needed)
    value = number * unit.factor
    species = next((s for s in model.species if s.id == symbol), None)
    if unit.powers != own.powers and species is not None:
        value *= _volume_power(unit.powers, own.powers, species, model, sizes)
        if math.isfinite(value):
            return value / own.factor
    if unit.powers != own.powers:
        raise InputError(f"{option} {symbol}", "quantity", text, f"a quantity in a unit of {_words(own.powers)}")
    return number * _ratio(unit, own)


def _ratio(unit: UnitSize, own: UnitSize) -> float:
    """One unit in another; units are decimal, and their quotient should be too."""
    return float(f"{unit.factor / own.factor:.14g}")


def _volume_power(
    given: Iterable[tuple[str, float]], own: Iterable[tuple[str, float]], species: Species, model: Model,
    sizes: Mapping[str, float],
) -> float:  # fmt: skip
    """The volume in cubic metres, or its inverse, between a concentration and an amount; NaN where neither is asked for."""
    home = model.units.get(species.compartment)
    if home is None or home.powers != (("metre", 3.0),):
        return math.nan
    volume = sizes[species.compartment] * home.factor
    if (tuple(given), tuple(own)) == (_CONCENTRATION, _SUBSTANCE):
        return volume
    if (tuple(given), tuple(own)) == (_SUBSTANCE, _CONCENTRATION):
        return 1.0 / volume
    return math.nan


def unit_text(unit: UnitSize | None) -> str:
    """Short name of a unit, such as ``nM``; an empty text where it has none."""
    if unit is None:
        return ""
    for name, known in _UNITS.items():
        if known.powers == unit.powers and math.isclose(known.factor, unit.factor, rel_tol=1e-6):
            return name
    return ""


def _words(powers: tuple[tuple[str, float], ...]) -> str:
    if not powers:
        return "no dimension"
    known = {_SUBSTANCE: "amount", _CONCENTRATION: "concentration", _TIME: "time"}
    return known.get(powers) or " ".join(base if power == 1 else f"{base}^{power:g}" for base, power in powers)
