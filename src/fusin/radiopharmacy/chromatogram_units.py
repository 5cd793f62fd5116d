"""Units of chromatograms, and headers that carry one: ``time_min``, ``Distance (mm)``, ``Intensity [mV]``, ``counts``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fusin.errors import InputError
from fusin.radiopharmacy.chromatogram import Axis, Channel, Quantity

__all__ = ["Heading", "SignalUnit", "position_unit", "read_heading", "signal_unit"]

_POSITIONS: dict[str, tuple[Axis, float]] = {
    "ms": ("min", 1.0 / 60000.0),
    "msec": ("min", 1.0 / 60000.0),
    "s": ("min", 1.0 / 60.0),
    "sec": ("min", 1.0 / 60.0),
    "secs": ("min", 1.0 / 60.0),
    "second": ("min", 1.0 / 60.0),
    "seconds": ("min", 1.0 / 60.0),
    "min": ("min", 1.0),
    "mins": ("min", 1.0),
    "minute": ("min", 1.0),
    "minutes": ("min", 1.0),
    "h": ("min", 60.0),
    "hour": ("min", 60.0),
    "hours": ("min", 60.0),
    "mm": ("mm", 1.0),
    "millimetre": ("mm", 1.0),
    "millimeter": ("mm", 1.0),
    "cm": ("mm", 10.0),
    "inch": ("mm", 25.4),
    "um": ("mm", 0.001),
}
_RATES = {
    "cps": 1.0,
    "cpm": 1.0 / 60.0,
    "counts/s": 1.0,
    "counts/sec": 1.0,
    "counts/min": 1.0 / 60.0,
    "counts_per_s": 1.0,
    "counts_per_second": 1.0,
    "counts_per_min": 1.0 / 60.0,
    "counts_per_minute": 1.0 / 60.0,
    "kcps": 1000.0,
    "kcpm": 1000.0 / 60.0,
}
_COUNTS = {"count", "counts", "cts", "ct"}
_OPTICAL = {"au", "mau", "uau", "od", "absorbance"}
_ANALOGUE = {
    "v",
    "mv",
    "uv",
    "nv",
    "pa",
    "na",
    "nriu",
    "riu",
    "uriu",
    "bq",
    "kbq",
    "mbq",
    "dpm",
    "dps",
    "luc",
    "psl",
    "%",
}
# A heading that is nothing but a unit; "UV" is a detector more often than microvolts, and "NA" is no unit there.
_WHOLE_HEADINGS = (_OPTICAL | _ANALOGUE) - {"uv", "v", "na", "pa", "%", "od", "luc"}
_DISPERSED = {"bq", "kbq", "mbq", "dpm", "dps", "psl"}
_TIME_WORDS = {"time", "t", "rtime", "retention_time", "retention", "rt", "elapsed_time", "run_time", "r.time"}
_DISTANCE_WORDS = {"distance", "position", "pos", "dist", "x", "length", "strip_position"}
_LIVE_WORDS = {"live_time", "livetime", "counting_time", "count_time", "dwell", "dwell_time"}
_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<a>[^()]*)\)|\[(?P<b>[^\[\]]*)\]|/\s*(?P<c>[^/\s]+)|,\s*(?P<d>\S+))\s*$")


@dataclass(frozen=True, slots=True)
class SignalUnit:
    """Unit of a signal: what it counts, factor to counts or counts per second, and the detector it can only be of."""

    quantity: Quantity
    factor: float
    channel: Channel
    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """What a column's heading says.

    Attributes
    ----------
    role : ``position``, ``signal``, ``live_time`` or empty when it cannot be told
    unit : the unit, empty when none is stated
    """

    role: str
    unit: str


def position_unit(unit: str, *, where: str, field: str) -> tuple[Axis, float]:
    """Axis of a unit and the factor to minutes or millimetres.

    Raises
    ------
    InputError
        For a unit that is neither a time nor a length.
    """
    found = _POSITIONS.get(_folded(unit))
    if found is None:
        raise InputError(where, field, unit, "a unit of time (s, min, h) or length (mm, cm)")
    return found


def signal_unit(unit: str, *, where: str, field: str) -> SignalUnit:
    """Quantity of a unit; an unknown text is an analogue unit of its own.

    Raises
    ------
    InputError
        For a unit of time or length, and for an empty one.
    """
    key = _folded(unit)
    if not key or key in _POSITIONS:
        raise InputError(where, field, unit, "the unit of the signal, such as counts, cps, cpm, mV or mAU")
    if key in _COUNTS:
        return SignalUnit("counts", 1.0, "radio", "counts")
    if key in _RATES:
        return SignalUnit("rate", _RATES[key], "radio", "cps")
    if key in _OPTICAL:
        return SignalUnit("analogue", 1.0, "uv", unit.strip())
    return SignalUnit("analogue", 1.0, "radio" if key in _DISPERSED else "unknown", unit.strip())


def read_heading(text: str) -> Heading:
    """Role and unit of a column from its heading.

    >>> read_heading("R.Time (min)"), read_heading("counts"), read_heading("Intensity")
    (Heading(role='position', unit='min'), Heading(role='signal', unit='counts'), Heading(role='', unit=''))
    """
    plain = text.strip().strip('"').strip()
    name, unit = _split(plain)
    word = _folded(name).replace(" ", "_")
    if word in _LIVE_WORDS:
        return Heading("live_time", unit)
    key = _folded(unit)
    if key in _POSITIONS:
        return Heading("position", unit)
    if key in _COUNTS or key in _RATES or key in _OPTICAL or key in _ANALOGUE:
        return Heading("signal", unit)
    if word in _TIME_WORDS or word in _DISTANCE_WORDS:
        return Heading("position", unit)
    return Heading("signal" if unit else "", unit)


def _split(text: str) -> tuple[str, str]:
    """Name and unit of a heading; a whole heading can be a unit (``counts``, ``CPM``)."""
    folded = _folded(text).replace(" ", "_")
    if folded in _COUNTS or folded in _RATES:
        return text, folded
    if folded in _WHOLE_HEADINGS or folded in _POSITIONS:
        return text, text
    found = _UNIT.match(text)
    if found:
        unit = next(u for u in (found["a"], found["b"], found["c"], found["d"]) if u is not None)
        return found["name"], unit.strip()
    for rate in _RATES:
        if folded.endswith("_" + rate):
            return folded.removesuffix("_" + rate), rate
    name, _, last = text.replace(" ", "_").rpartition("_")
    key = _folded(last)
    if name and (key in _POSITIONS or key in _COUNTS or key in _OPTICAL or key in _ANALOGUE):
        return name, last
    return text, ""


def _folded(text: str) -> str:
    return text.strip().replace("µ", "u").replace("μ", "u").lower()
