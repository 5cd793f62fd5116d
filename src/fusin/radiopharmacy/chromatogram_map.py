"""The saved column map of a vendor's text file: what stands where, in which unit. Nothing in it is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.radiopharmacy.toml_fields import Fields, read_toml

__all__ = ["ColumnMap", "column_map", "read_column_map"]

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", ",": ",", ";": ";"}
_DECIMALS = {"point": ".", "comma": ",", ".": ".", ",": ","}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """How a text file is laid out; see ``docs/chromatogram.md``. What is None is taken from the file's headings.

    Attributes
    ----------
    x_column, y_column, live_time_column : heading, or number from 1
    x_unit, y_unit : units
    delimiter, decimal : signs
    header_line : line of the headings, from 1; 0 for a file without
    section : text of a line above the block
    encoding : of the file
    channel : detector, ``radio`` or ``uv``
    live_time_s : counting time of each point
    counts_per_unit : counts that one unit of an analogue radio signal stands for, per point
    x_step, x_first : distance of two points, and the first of them (0), in ``x_unit``, for a file without positions
    block_start : line with which each block of ``key;value`` lines begins, for counters that write one per sample
    background_subtracted : counts are net already, so they may be negative
    """

    x_column: str | int | None = None
    y_column: str | int | None = None
    x_unit: str | None = None
    y_unit: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header_line: int | None = None
    section: str | None = None
    encoding: str | None = None
    channel: str | None = None
    live_time_s: float | None = None
    live_time_column: str | int | None = None
    counts_per_unit: float | None = None
    x_step: float | None = None
    x_first: float | None = None
    block_start: str | None = None
    background_subtracted: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """What was stated, as a JSON-ready mapping."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


def read_column_map(path: Path) -> ColumnMap:
    """Read a column map (TOML).

    Raises
    ------
    InputError
        For a file that is no TOML, a key that is not known, and a value that cannot be.
    """
    return column_map(read_toml(path), where=path.name)


def column_map(values: Mapping[str, Any], *, where: str) -> ColumnMap:
    """A column map from its values; raises InputError like `read_column_map`."""
    taken = Fields(values, where)
    found = ColumnMap(
        x_column=_column(taken, "x_column"),
        y_column=_column(taken, "y_column"),
        live_time_column=_column(taken, "live_time_column"),
        x_unit=taken.text("x_unit"),
        y_unit=taken.text("y_unit"),
        delimiter=_sign(taken, "delimiter", _DELIMITERS),
        decimal=_sign(taken, "decimal", _DECIMALS),
        header_line=taken.whole("header_line"),
        section=taken.text("section"),
        encoding=taken.text("encoding"),
        channel=taken.word("channel", ("radio", "uv")),
        live_time_s=taken.number("live_time_s", above=0.0),
        counts_per_unit=taken.number("counts_per_unit", above=0.0),
        x_step=taken.number("x_step", above=0.0),
        x_first=taken.number("x_first"),
        block_start=taken.text("block_start"),
        background_subtracted=_flag(taken, "background_subtracted"),
    )
    taken.finish()
    if found.x_first is not None and found.x_step is None:
        raise InputError(where, "x_first", found.x_first, "x_step beside it, the distance of two points")
    return found


def _column(taken: Fields, key: str) -> str | int | None:
    value = taken.take(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)) or (isinstance(value, int) and value < 1):
        raise InputError(taken.where, key, str(value), "a heading, or the number of a column from 1")
    return value.strip() if isinstance(value, str) else value


def _flag(taken: Fields, key: str) -> bool | None:
    value = taken.take(key)
    if value is not None and not isinstance(value, bool):
        raise InputError(taken.where, key, str(value), "true or false")
    return value


def _sign(taken: Fields, key: str, allowed: Mapping[str, str]) -> str | None:
    word = taken.word(key, tuple(allowed))
    return None if word is None else allowed[word]
