"""Limits as they are printed, measured values as they are reported, and whether one meets the other.

Numbers are decimals with the digits that were written, so that 64.4 meets ``>= 64.4`` and 0.001 is not 0.00099999.
A value is compared as it was recorded (the absolute method of ASTM E29). A specification may ask for rounding to the
digits of the limit instead (USP General Notices 7.20); a value that passes only because it was rounded is named.

A value below a limit of detection (``<5``) lies between nothing and that limit: it passes where the whole range passes,
fails where the whole range fails, and decides nothing in between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Literal, cast

from fusin.errors import InputError

__all__ = [
    "ENDOTOXIN_PER_DOSE_IU",
    "OPERATORS",
    "Limit",
    "Measured",
    "Operator",
    "Rounding",
    "compared_value",
    "convert",
    "decimal_text",
    "endotoxin_limit_iu_ml",
    "judge",
    "known_unit",
    "read_measured",
    "rounded_to_limit",
    "unit_key",
]

Operator = Literal[">=", ">", "<=", "<", "range", "complies", "none"]
Rounding = Literal["none", "limit-digits"]
Qualifier = Literal["=", "<", "<=", ">", ">="]
OPERATORS: tuple[Operator, ...] = (">=", ">", "<=", "<", "range", "complies", "none")
ENDOTOXIN_PER_DOSE_IU = Decimal(175)
"""Largest amount per maximum injected volume [IU]: Ph. Eur. 2464 (draft text) and 2482 as applied to DOTANOC."""

_COMPLIES = frozenset({"complies", "comply", "pass", "passes", "passed", "ok", "conforms", "meets", "yes"})
_FAILS = frozenset({"fails", "fail", "failed", "does not comply", "not ok", "nonconforming", "no"})
_NUMBER = re.compile(r"(?P<sign><=|>=|≤|≥|<|>)?\s*(?P<number>[+-]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][+-]?\d+)?)")
_SIGNS: Mapping[str, Qualifier] = {"": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "≤": "<=", "≥": ">="}

# Factor to the first unit of each kind. 1 IU and 1 EU of endotoxin are equal (WHO international standard).
_UNITS: Mapping[str, Mapping[str, str]] = {
    "activity": {
        "bq": "1e-6", "kbq": "1e-3", "mbq": "1", "gbq": "1e3", "tbq": "1e6", "uci": "0.037", "mci": "37", "ci": "37e3",
    },
    "pressure": {
        "mbar": "1", "hpa": "1", "pa": "0.01", "kpa": "10", "mpa": "1e4", "bar": "1e3", "psi": "68.94757293168",
        "atm": "1013.25",
    },
    "time": {"s": "1", "sec": "1", "min": "60", "h": "3600", "d": "86400"},
    "endotoxin": {"iu": "1", "eu": "1"},
    "endotoxin per volume": {"iu/ml": "1", "eu/ml": "1", "iu/l": "0.001", "eu/l": "0.001"},
    "mass": {"ng": "0.001", "ug": "1", "mcg": "1", "mg": "1e3", "g": "1e6"},
    "concentration": {"ng/ml": "0.001", "ug/l": "0.001", "ug/ml": "1", "mg/l": "1", "mcg/ml": "1", "mg/ml": "1e3", "g/l": "1e3"},
    "share": {"%": "1", "percent": "1", "fraction": "100", "ppm": "1e-4"},
    "volume share": {"%v/v": "1"},
    "activity concentration": {"kbq/ml": "1e-3", "mbq/ml": "1", "gbq/ml": "1e3", "mbq/l": "1e-3"},
    "specific activity": {"mbq/ug": "1", "gbq/mg": "1", "mbq/mg": "1e-3", "gbq/ug": "1e3", "tbq/g": "1"},
    "molar activity": {"gbq/umol": "1", "mbq/nmol": "1", "tbq/umol": "1e3", "mbq/umol": "1e-3", "tbq/mmol": "1", "gbq/nmol": "1e3"},
    "impurity per activity": {"ug/gbq": "1", "ng/mbq": "1", "ng/gbq": "0.001"},
    "energy": {"kev": "1", "mev": "1e3", "ev": "1e-3"},
    "volume": {"ml": "1", "l": "1e3", "ul": "1e-3"},
    "temperature": {"c": "1"},
    "osmolality": {"mosm/kg": "1", "osm/kg": "1e3"},
    "none": {"": "1", "ph": "1"},
}  # fmt: skip
_KIND_OF = {unit: (kind, Decimal(factor)) for kind, units in _UNITS.items() for unit, factor in units.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a test must meet.

    Attributes
    ----------
    operator : ``range`` has both bounds; ``complies`` is met by a statement; ``none`` has no limit that may be used
    low, high : bounds with the digits that were printed; None where there is none
    inclusive : whether the bounds of a range belong to it
    unit : of the bounds, as printed
    per_volume : the upper bound is divided by the maximum injected volume in mL
    requirement : what must be stated, for ``complies``
    rounding : ``none`` compares what was recorded; ``limit-digits`` rounds to the digits of the bound first
    """

    operator: Operator
    low: Decimal | None = None
    high: Decimal | None = None
    inclusive: bool = True
    unit: str = ""
    per_volume: bool = False
    requirement: str = ""
    rounding: Rounding = "none"

    def text(self) -> str:
        """The limit as a reader expects it: ``>= 95 %``, ``62 to 74 min (inclusive)``, ``< 175 IU/V``."""
        unit = f" {self.unit}" if self.unit else ""
        if self.operator == "complies":
            return self.requirement or "complies"
        if self.operator == "none":
            return "no limit: site must set"
        if self.operator == "range":
            side = "" if self.inclusive else " (exclusive)"
            return f"{decimal_text(self.low)} to {decimal_text(self.high)}{unit}{side}"
        return f"{self.operator} {decimal_text(self.bound)}{unit}"

    @property
    def bound(self) -> Decimal | None:
        """The one bound of an inequality."""
        return self.low if self.operator in (">=", ">") else self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A result as it was reported.

    Attributes
    ----------
    value : number, None for a statement
    qualifier : ``=``, or ``<`` and ``>`` of a value beyond what the method can tell
    statement : ``complies`` or ``fails`` for a result without a number
    """

    value: Decimal | None = None
    qualifier: Qualifier = "="
    statement: Literal["", "complies", "fails"] = ""

    def text(self) -> str:
        """The result as it was written."""
        if self.value is None:
            return self.statement
        return ("" if self.qualifier == "=" else self.qualifier) + decimal_text(self.value)


def decimal_text(value: Decimal | None) -> str:
    """A decimal without an exponent unless it is tiny or huge; empty for None."""
    if value is None:
        return ""
    plain = f"{value:f}"
    if len(plain) > 12:
        # Zeros at the end of a computed number are no digits of anything.
        value = value.normalize()
        plain = f"{value:f}"
    return plain if len(plain) <= 12 else f"{value:e}".replace("e+", "e")


def read_measured(value: Any, *, where: str, field: str, lod: Decimal | None = None) -> tuple[Measured, bool]:
    """A result from what a file holds, and whether a decimal comma was read.

    Parameters
    ----------
    value : number, ``"<5"``, ``"6,5"``, ``"complies"``, ``"<LOD"`` (with ``lod``), true or false
    where, field : for messages
    lod : limit of detection, in the unit of the value

    Raises
    ------
    InputError
        For anything else, ``<LOD`` without its number, a number with an ambiguous comma (``1,000``), and a limit of
        detection that contradicts the value.
    """
    if isinstance(value, bool):
        return Measured(statement="complies" if value else "fails"), False
    if isinstance(value, (int, float, Decimal)):
        return Measured(value=_finite(value, where, field)), False
    text = str(value).strip()
    if text.casefold() in _COMPLIES:
        return Measured(statement="complies"), False
    if text.casefold() in _FAILS:
        return Measured(statement="fails"), False
    if re.sub(r"[\s_]", "", text).casefold() in {"<lod", "belowlod", "nd", "notdetected"}:
        if lod is None:
            raise InputError(
                where, field, text, "the limit of detection as lod beside it: below what is otherwise unknown"
            )
        return Measured(value=lod, qualifier="<"), False
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise InputError(where, field, text[:60], "a number, '<5', or 'complies' or 'fails' (the unit stands in unit)")
    digits, comma = found["number"], "," in found["number"]
    if comma and re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", digits):
        raise InputError(where, field, text, "a decimal point; the comma could be decimal or separate thousands")
    number = _finite(digits.replace(",", "."), where, field)
    sign = _SIGNS[found["sign"] or ""]
    if sign == "<" and lod is not None and lod != number:
        raise InputError(where, field, f"{text} with lod {decimal_text(lod)}", "one limit of detection")
    return Measured(value=number, qualifier=sign), comma


def judge(limit: Limit, measured: Measured, *, volume_ml: Decimal | None = None) -> bool | None:
    """Whether a result meets a limit; None where it cannot be said.

    Parameters
    ----------
    limit : in the unit of the result
    measured : the result
    volume_ml : maximum injected volume, for a limit per volume

    Raises
    ------
    InputError
        When a volume is needed and is not a positive number.
    """
    if measured.statement:
        return None if limit.operator == "none" else measured.statement == "complies"
    if limit.operator in ("none", "complies") or measured.value is None:
        return None
    low, high = limit.low, limit.high
    closed = limit.operator in (">=", "<=") or (limit.operator == "range" and limit.inclusive)
    value = compared_value(limit, measured.value, volume_ml=volume_ml)
    sides = []
    if low is not None:
        sides.append(_meets(value, measured.qualifier, low, closed, upper=False))
    if high is not None:
        sides.append(_meets(value, measured.qualifier, high, closed, upper=True))
    if False in sides:
        return False
    return None if None in sides else True


def compared_value(limit: Limit, value: Decimal, *, volume_ml: Decimal | None = None) -> Decimal:
    """The number that is held against the printed bound: per V times V, and rounded where the limit asks for it.

    Raises
    ------
    InputError
        When a volume is needed and is not a positive number.
    """
    if limit.per_volume and limit.high is not None:
        # Times V instead of the bound over V: the printed bound keeps its digits, also for rounding.
        value *= _volume(volume_ml)
    return rounded_to_limit(value, limit) if limit.rounding == "limit-digits" else value


def rounded_to_limit(value: Decimal, limit: Limit) -> Decimal:
    """A value with as many decimals as the bound that it is held against, half rounded up (USP General Notices 7.20)."""
    bounds = [b for b in (limit.low, limit.high) if b is not None]
    if not bounds:
        return value
    finest = min(bounds, key=lambda b: cast(int, b.as_tuple().exponent))
    places = min(cast(int, finest.as_tuple().exponent), 0)
    return value.quantize(Decimal(1).scaleb(places), rounding=ROUND_HALF_UP)


def endotoxin_limit_iu_ml(
    volume_ml: Decimal | float | None, *, limit_iu: Decimal | float = ENDOTOXIN_PER_DOSE_IU
) -> Decimal:
    """Endotoxin limit [IU/mL] = limit per dose / V, V the maximum injected volume.

    Raises
    ------
    InputError
        For a volume that is missing or not positive.

    References
    ----------
    Ph. Eur. monographs 2464 and 2482: less than 175 IU/V.

    Examples
    --------
    >>> [round(float(endotoxin_limit_iu_ml(v)), 2) for v in (3, 10, 16)]
    [58.33, 17.5, 10.94]
    """
    return Decimal(str(limit_iu)) / _volume(volume_ml)


def _volume(volume_ml: Decimal | float | None) -> Decimal:
    volume = None if volume_ml is None else Decimal(str(volume_ml))
    if volume is None or not volume.is_finite() or volume <= 0:
        found = "nothing" if volume is None else str(volume)
        raise InputError("endotoxin limit", "max_injected_volume_ml", found, "the largest injected volume in mL")
    return volume


def unit_key(unit: str) -> str:
    """A unit in one spelling: lower case, u for micro, without blanks and degree signs."""
    if unit.strip().startswith(("mBq", "mPa")):
        # Millibecquerel, which lower case would turn into megabecquerel.
        return unit.strip()
    text = unit.strip().replace("µ", "u").replace("μ", "u").replace("°", "").replace(" ", "").casefold()
    return text.replace("(v/v)", "v/v").replace("inj", "")


def known_unit(unit: str) -> bool:
    """Whether a unit can be converted."""
    return unit_key(unit) in _KIND_OF


def convert(value: Decimal, unit: str, to: str, *, where: str, field: str) -> Decimal:
    """A value in another unit of the same kind; equal units change nothing.

    Raises
    ------
    InputError
        For units of different kinds, and for an unknown one.
    """
    given, wanted = unit_key(unit), unit_key(to)
    if given == wanted or {given, wanted} == {"", "ph"}:
        return value
    if given not in _KIND_OF or wanted not in _KIND_OF or _KIND_OF[given][0] != _KIND_OF[wanted][0]:
        raise InputError(where, field, unit or "no unit", f"a value in {to or 'no unit'}")
    return value * _KIND_OF[given][1] / _KIND_OF[wanted][1]


def _meets(value: Decimal, qualifier: Qualifier, bound: Decimal, closed: bool, *, upper: bool) -> bool | None:
    """One side of a limit for a value that may be censored."""
    inside = (value < bound or (closed and value == bound)) if upper else (value > bound or (closed and value == bound))
    if qualifier == "=":
        return inside
    points_in = qualifier[0] == ("<" if upper else ">")
    # An open end at the bound itself: everything below 5 meets "< 5", and nothing below 5 meets ">= 5".
    open_end = len(qualifier) == 1 and value == bound
    if points_in:
        return True if inside or open_end else None
    return False if not inside or open_end else None


def _finite(value: Any, where: str, field: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as err:
        raise InputError(where, field, str(value)[:60], "a number") from err
    if not number.is_finite():
        raise InputError(where, field, str(value), "a finite number")
    return number
