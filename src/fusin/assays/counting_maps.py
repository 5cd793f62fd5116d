"""Saved column maps of counters whose exported fields are set by the user (Wizard2 and most others).

A map is a TOML file::

    name = "Wizard2 2480, room 3"
    date_order = "day-first"            # iso, day-first or month-first
    separator = ";"                     # , ; tab or whitespace; found by itself when absent
    decimal = ","                       # . or ,
    header = "Rack"                     # first cell of the heading line, when lines stand above it

    [columns]                           # our name = heading in the file
    tube = "Pos"
    counts = "Ga-68 Counts"
    live_time_s = "Count time"
    start_time = "Date/Time"

    [windows]                           # instead of counts: a window and its column
    Ga = "Ga-68 Counts"

    [applied]                           # what the counter has corrected already; all three must be said
    dead_time = true
    background = false
    decay = false

The unit is part of our names (``live_time_s``, ``live_time_min``, ``cpm``, ``cps``), so that none is guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from fusin.assays.counting_times import DATE_ORDERS
from fusin.errors import InputError

__all__ = ["FIELDS", "ColumnMap", "column_map_of", "read_column_map"]

FIELDS: Mapping[str, str] = {
    "tube": "name of the tube",
    "rack": "rack, put before the tube",
    "counts": "recorded counts",
    "cpm": "rate of the counter [1/min]",
    "cps": "rate of the counter [1/s]",
    "live_time_s": "live time [s]",
    "live_time_min": "live time [min]",
    "real_time_s": "time on the clock [s]",
    "real_time_min": "time on the clock [min]",
    "start_time": "date and time at which counting started",
    "end_time": "date and time at which it ended",
    "start_date": "date alone, beside `start_clock`",
    "start_clock": "time of day alone, beside `start_date` or the map's `date`",
    "dead_time_factor": "true over observed rate, at least 1",
    "dead_time_percent": "share of the time in which the counter was dead [%]",
    "detector": "detector",
    "repeat": "number of the measurement of this tube",
    "kind": "sample, blank or standard",
}
_APPLIED = ("dead_time", "background", "decay")
_SEPARATORS = {",": ",", ";": ";", "tab": "\t", "\t": "\t", "whitespace": "whitespace"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """How a counter's file is read.

    Attributes
    ----------
    name : of the map, for messages
    columns : our name to the heading in the file
    windows : window to the heading of its counts (or cpm, see ``window_unit``)
    window_unit : ``counts``, ``cpm`` or ``cps``
    date_order : order of day and month; None when the file has ISO times only
    separator : one of ``,`` ``;`` tab, ``whitespace``; None to find it
    decimal : decimal sign
    header : first cell of the heading line; None for the first line
    date : day of the run, where the file has times of day only
    dead_time_done, background_done, decay_done : what the counter has corrected
    """

    name: str
    columns: Mapping[str, str]
    windows: Mapping[str, str] = field(default_factory=dict)
    window_unit: str = "counts"
    date_order: str | None = None
    separator: str | None = None
    decimal: str = "."
    header: str | None = None
    date: date | None = None
    dead_time_done: bool = False
    background_done: bool = False
    decay_done: bool = False


def read_column_map(path: Path) -> ColumnMap:
    """Read a map from a TOML file.

    Raises
    ------
    InputError
        For a file that is no such map: which field, what would do.
    """
    if not path.is_file():
        raise InputError(path.name, "column map", "nothing", "a TOML file that exists")
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x}", "UTF-8 text") from err
    except tomllib.TOMLDecodeError as err:
        raise InputError(path.name, "TOML", str(err), "a readable TOML document") from err
    return column_map_of(document, path.name)


def column_map_of(document: Mapping[str, Any], where: str) -> ColumnMap:
    """Check a map.

    Raises
    ------
    InputError
        For an unknown field, a missing one, or a word that is none of those allowed.
    """
    known = {
        "name",
        "date_order",
        "separator",
        "decimal",
        "header",
        "date",
        "window_unit",
        "columns",
        "windows",
        "applied",
    }
    _only(document, known, where, "key")
    columns = _texts(document, "columns", where)
    windows = _texts(document, "windows", where, needed=False)
    _only(columns, set(FIELDS), f"{where} [columns]", "column")
    _needed_columns(columns, windows, where)
    applied = document.get("applied")
    if not isinstance(applied, Mapping):
        raise InputError(where, "[applied]", applied, "dead_time, background and decay, each true or false")
    _only(applied, set(_APPLIED), f"{where} [applied]", "key")
    for name in _APPLIED:
        if not isinstance(applied.get(name), bool):
            raise InputError(
                f"{where} [applied]", name, applied.get(name), "true or false: has the counter corrected it?"
            )
    day = document.get("date")
    if day is not None and (not isinstance(day, date)):
        raise InputError(where, "date", day, "a TOML date such as 2026-01-31, without quotes")
    return ColumnMap(
        name=str(document.get("name", where)),
        columns=columns,
        windows=windows,
        window_unit=_word(document, "window_unit", ("counts", "cpm", "cps"), where) or "counts",
        date_order=_word(document, "date_order", DATE_ORDERS, where),
        separator=_SEPARATORS.get(_word(document, "separator", tuple(_SEPARATORS), where) or ""),
        decimal=_word(document, "decimal", (".", ","), where) or ".",
        header=None if document.get("header") is None else str(document["header"]),
        date=day,
        dead_time_done=applied["dead_time"],
        background_done=applied["background"],
        decay_done=applied["decay"],
    )


def _needed_columns(columns: Mapping[str, str], windows: Mapping[str, str], where: str) -> None:
    if "tube" not in columns:
        raise InputError(f"{where} [columns]", "tube", "nothing", "the heading of the tube's position or name")
    if not windows and not {"counts", "cpm", "cps"} & set(columns):
        raise InputError(f"{where} [columns]", "counts", "nothing", "counts, cpm or cps, or a table [windows]")
    if windows and {"counts", "cpm", "cps"} & set(columns):
        raise InputError(where, "[windows]", "counts in [columns] as well", "one of the two")


def _only(found: Mapping[str, Any], known: set[str], where: str, what: str) -> None:
    for name in found:
        if name not in known:
            raise InputError(where, what, name, "one of " + ", ".join(sorted(known)))


def _texts(document: Mapping[str, Any], name: str, where: str, *, needed: bool = True) -> dict[str, str]:
    table = document.get(name)
    if table is None and not needed:
        return {}
    if not isinstance(table, Mapping) or not all(isinstance(v, str) and v.strip() for v in table.values()):
        raise InputError(where, f"[{name}]", table, "a table of our names and the headings of the file as text")
    return {str(k): str(v).strip() for k, v in table.items()}


def _word(document: Mapping[str, Any], name: str, allowed: tuple[str, ...], where: str) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if value not in allowed:
        raise InputError(where, name, value, "one of " + ", ".join(repr(a) for a in allowed))
    return str(value)
