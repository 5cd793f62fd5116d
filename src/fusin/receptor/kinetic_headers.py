"""Headers of time-activity and blood tables: what a column is, and its unit.

A unit stands at the end of a header (``start_s``, ``FC [kBq/mL]``, ``end[kBq/cc]``) or in an option. Times without a unit are read
only where one reading is possible, with a notice; concentrations without one have to be alike in both tables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fusin.errors import Ambiguous, InputError
from fusin.provenance import NoticeLog
from fusin.receptor.frames import FloatArray

__all__ = ["CONCENTRATIONS", "TIMES", "Header", "concentration_factor", "headers_of", "time_factor", "unit_word"]

TIMES: Mapping[str, float] = {"s": 1.0 / 60.0, "min": 1.0, "h": 60.0, "ms": 1.0 / 60000.0}
"""Minutes of one unit of time."""

CONCENTRATIONS: Mapping[str, float] = {
    "Bq/mL": 1.0, "kBq/mL": 1e3, "MBq/mL": 1e6, "nCi/mL": 37.0, "uCi/mL": 3.7e4, "mCi/mL": 3.7e7, "SUV": 0.0,
}  # fmt: skip
"""Bq/mL of one unit; SUV has none without weight and activity."""

_TIME_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "min", "mins": "min", "minute": "min",
    "minutes": "min", "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "ms": "ms", "msec": "ms",
}  # fmt: skip
_CONCENTRATION = re.compile(
    r"^(?P<unit>[kmM]?bq|[num]ci|µci|μci)[\s_/]*(?:per[\s_]*)?(?:ml|cc|cm3|cm\^3)(?:\^?-1)?$", re.IGNORECASE
)
_SUV = re.compile(r"^(?:suv(?:bw|_bw)?|g[\s_/]*ml)$", re.IGNORECASE)
_BRACKET = re.compile(r"^(?P<name>.*?)[\s_]*[\[(](?P<unit>[^\])]*)[\])]\s*$")
# A megabecquerel is a thousand million millibecquerels: the case of its letter counts.
_CI = {"nci": "nCi/mL", "uci": "uCi/mL", "µci": "uCi/mL", "μci": "uCi/mL", "mci": "mCi/mL"}
_LONGEST_MIN, _SHORTEST_S = 1440.0, 0.5


@dataclass(frozen=True, slots=True)
class Header:
    """One column: its header as it stands, its name in plain form, and its unit of time or concentration (or percent)."""

    column: str
    name: str
    unit: str = ""
    kind: str = ""


def unit_word(text: str) -> tuple[str, str]:
    """(unit, kind) of a word; two empty texts for what is no unit.

    >>> unit_word("seconds"), unit_word("kBq/cc"), unit_word("FC")
    (('s', 'time'), ('kBq/mL', 'concentration'), ('', ''))
    """
    word = text.strip()
    if word.lower() in _TIME_WORDS:
        return _TIME_WORDS[word.lower()], "time"
    if word in ("%", "percent", "pct"):
        return "%", "share"
    if _SUV.match(word):
        return "SUV", "concentration"
    found = _CONCENTRATION.match(word)
    if found is None:
        return "", ""
    prefix = found["unit"]
    if prefix.lower() in _CI:
        return _CI[prefix.lower()], "concentration"
    if prefix[0] == "m" and prefix.lower() == "mbq":
        # In lower-case headers ``mbq_ml`` stands for MBq as often as for mBq, a factor of 1e9.
        return "", "unclear"
    return {"b": "Bq/mL", "k": "kBq/mL", "m": "MBq/mL"}[prefix[0].lower()], "concentration"


def headers_of(columns: Sequence[str], where: str, timed: Collection[str] = ()) -> list[Header]:
    """Names and units of all columns.

    Parameters
    ----------
    columns : headers as they stand
    where : table, for messages
    timed : plain names of times; the letter s at the end of another name, such as a region's, is no unit

    Raises
    ------
    InputError
        For a header that stands twice, and a unit in brackets that is none.
    """
    twice = sorted({c for c in columns if list(columns).count(c) > 1 and str(c).strip()})
    if twice:
        raise InputError(where, f"column {twice[0]}", f"{list(columns).count(twice[0])} times", "each column once")
    headers = [_header(str(c), where) for c in columns]
    return [Header(h.column, _plain(h.column)) if h.kind == "time" and h.name not in timed else h for h in headers]


def _plain(text: str) -> str:
    return re.sub(r"[\s\-]+", "_", text.strip().lstrip("\ufeff")).strip("_").lower()


def _header(column: str, where: str) -> Header:
    text = column.strip().lstrip("\ufeff")
    found = _BRACKET.match(text)
    if found and found["name"]:
        unit, kind = unit_word(found["unit"])
        if kind == "unclear":
            raise _unclear(where, column, found["unit"])
        if kind:
            return Header(column, _plain(found["name"]), unit, kind)
        return Header(column, _plain(text))
    parts = re.split(r"[\s_]+", text)
    for count in (3, 2, 1):
        if len(parts) > count:
            unit, kind = unit_word("_".join(parts[-count:]))
            if kind == "unclear":
                raise _unclear(where, column, "_".join(parts[-count:]))
            if kind:
                return Header(column, _plain("_".join(parts[:-count])), unit, kind)
    return Header(column, _plain(text))


def _unclear(where: str, column: str, unit: str) -> InputError:
    return InputError(where, f"unit of column {column}", unit, "kBq/mL or MBq/mL, spelt with its capitals")


def time_factor(
    headers: Sequence[Header], values: FloatArray, *, stated: str | None, known_min: float | None, log: NoticeLog, where: str,
    regular: bool = True,
) -> float:  # fmt: skip
    """Minutes of one unit of the time columns of a table.

    Parameters
    ----------
    headers : time columns
    values : all their times
    stated : unit by an option
    known_min : length of the scan, when another table has told it
    regular : whether the spacing of the values is that of frames or samples

    Raises
    ------
    InputError
        For an option that contradicts a header.
    Ambiguous
        When neither a header nor an option states the unit and both readings are possible.
    """
    units = {h.unit for h in headers if h.kind == "time"}
    if stated is not None:
        word, kind = unit_word(stated)
        if kind != "time":
            raise InputError("--time-unit", "unit", stated, "s, min or h")
        if units and units != {word}:
            raise InputError("--time-unit", "unit", stated, f"no option: {where} states {', '.join(sorted(units))}")
        return TIMES[word]
    if len(units) == 1:
        return TIMES[units.pop()]
    if len(units) > 1:
        raise InputError(where, "units of time", ", ".join(sorted(units)), "one unit in all columns of a table")
    last = float(np.max(np.abs(values)))
    steps = np.diff(np.unique(values))
    shortest = float(steps[steps > 1e-9].min()) if regular and np.any(steps > 1e-9) else np.inf
    possible = []
    if known_min is not None:
        possible = [u for u in ("s", "min") if 1.0 / 3.0 <= last * TIMES[u] / known_min <= 3.0]
        because = f"only in {'seconds' if possible == ['s'] else 'minutes'} they fit the scan of {known_min:.4g} min"
    else:
        if last <= _LONGEST_MIN:
            possible.append("min")
        if shortest >= _SHORTEST_S:
            possible.append("s")
        because = f"in minutes they would last {last / 60:.3g} h"
        if possible == ["min"]:
            because = f"in seconds they would follow by {shortest:.2g} s"
    if len(possible) != 1:
        raise Ambiguous(
            f"the times of {where}", f"column {headers[0].column} has no unit and its times could be seconds or minutes",
            "a header such as start_s or time_min, or --time-unit", "TIME_UNIT_MISSING",
        )  # fmt: skip
    log.adapted(
        "TIME_UNIT_INFERRED", f"the times of {where} have no unit and are read in {possible[0]}, because {because}",
        where=where, used=possible[0],
    )  # fmt: skip
    return TIMES[possible[0]]


def concentration_factor(unit: str, wanted: str, where: str) -> float:
    """By what to multiply a concentration to have it in another unit.

    Raises
    ------
    InputError
        Between SUV and an activity, which needs weight and injected activity, and between a stated unit and none.
    """
    if unit == wanted:
        return 1.0
    if not unit or not wanted:
        raise InputError(
            where,
            "unit of activity",
            unit or "none",
            f"the unit in both tables ({wanted or unit} stands in one), or --unit",
        )
    if "SUV" in (unit, wanted):
        raise InputError(where, "unit of activity", f"{unit} beside {wanted}", "the same kind of unit in both tables")
    return CONCENTRATIONS[unit] / CONCENTRATIONS[wanted]
