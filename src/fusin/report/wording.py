"""Words and numbers as the report prints them: units' decimals, intervals, and an em dash for what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from fusin.provenance import canonical_json

__all__ = [
    "DASH",
    "KIND_TITLES",
    "SEVERITIES",
    "any_value",
    "flat",
    "interval",
    "millimetres",
    "number",
    "verdict",
    "words",
]

DASH = "—"
"""Stands for a missing value; never 0."""

SEVERITIES = ("warning", "adapted", "info")
"""Notices in the order in which a reader should see them."""

KIND_TITLES = {
    "blood_pool": "Blood pool",
    "liver": "Liver",
    "spleen": "Spleen",
    "marrow": "Bone marrow",
    "brain": "Brain",
    "adrenal": "Adrenal",
    "muscle": "Muscle",
}

_VERDICTS = {True: ("positive", "+"), False: ("negative", "−"), None: ("indeterminate", "?")}
_DATE_DIGITS = 8


def number(value: Any, digits: int = 2) -> str:
    """A number with fixed decimals; a dash for None, NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return DASH if value is None else any_value(value)
    return f"{value:,.{digits}f}" if math.isfinite(value) else DASH


def interval(low: Any, high: Any, digits: int = 2) -> str:
    """Limits as ``low to high``; a dash when both are missing."""
    ends = (number(low, digits), number(high, digits))
    return DASH if ends == (DASH, DASH) else f"{ends[0]} to {ends[1]}"


def millimetres(point: Iterable[float] | None) -> str:
    """An LPS point as three whole millimetres."""
    values = list(point) if point is not None else []
    if not values or not all(math.isfinite(v) for v in values):
        return DASH
    return ", ".join(f"{v:.0f}".replace("-0", "0") if round(v) == 0 else f"{v:.0f}" for v in values)


def any_value(value: Any) -> str:
    """Any fact as text: dates in ISO form, lists joined, numbers with six digits; a dash for what is missing."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        # DICOM dates (DA) are eight digits.
        is_date = len(value) == _DATE_DIGITS and value.isdigit() and value[:2] in {"19", "20"}
        return f"{value[:4]}-{value[4:6]}-{value[6:]}" if is_date else value
    if isinstance(value, (list, tuple)):
        return ", ".join(any_value(v) for v in value) or DASH
    if isinstance(value, Mapping):
        return canonical_json(value, indent=None)
    return str(value)


def words(name: str) -> str:
    """``snake_case`` as a sentence beginning."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def verdict(value: bool | None) -> dict[str, str]:
    """Word and symbol of a three-valued verdict, so that colour is never the only difference."""
    word, symbol = _VERDICTS[value]
    return {"word": word, "symbol": symbol}


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as (dotted name, text) rows in their order."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{full}.")
        else:
            rows.append((full, any_value(value)))
    return rows
