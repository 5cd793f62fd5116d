"""Fields of a TOML table or a row, checked one by one; what nothing asks for is refused: a misspelt limit must not vanish."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.moments import moment
from fusin.tabular.files import load
from fusin.tabular.rows import rows_of
from fusin.tabular.schema import Schema
from fusin.tabular.toml_fields import TomlFields, read_toml, shown

__all__ = ["ACTIVITY_UNITS", "Fields", "bound", "csv_fields", "existing_mbq", "read_toml"]

ACTIVITY_UNITS = {"mbq": 1.0, "gbq": 1000.0, "kbq": 1e-3, "bq": 1e-6, "mci": 37.0, "uci": 0.037}
"""MBq per unit; a curie is 3.7e10 Bq exactly."""

# One decay in eleven days, and more than any source on earth: beyond them an exponent was mistyped.
_LEAST_MBQ, _MOST_MBQ = 1e-12, 1e12


class Fields(TomlFields):
    """One table of a TOML document or a row of a table; see :class:`fusin.tabular.toml_fields.TomlFields`."""

    def activity_mbq(self, stem: str, *, zero: bool = False) -> float | None:
        """An activity in MBq from the one field ``stem_mbq``, ``_gbq``, ``_kbq``, ``_bq``, ``_mci`` or ``_uci`` that is there.

        Parameters
        ----------
        stem : name without its unit
        zero : whether 0 is an answer

        Raises
        ------
        InputError
            For two of them, for ``stem`` without a unit, for a magnitude that no source has, and for what :meth:`number` refuses.
        """
        found = [(n, f) for n, f in ((f"{stem}_{u}", f) for u, f in ACTIVITY_UNITS.items()) if self.take(n) is not None]
        if len(found) > 1:
            raise InputError(self.where, stem, " and ".join(n for n, _ in found), "one unit")
        if not found:
            if stem in self._values:
                needed = " or ".join(f"{stem}_{u}" for u in ("mbq", "gbq", "mci"))
                raise InputError(
                    self.where, stem, shown(self._values[stem]), f"a unit in the name of the field: {needed}"
                )
            return None
        name, factor = found[0]
        value = self.number(name, least=0.0) if zero else self.number(name, above=0.0)
        return None if value is None else value and existing_mbq(value, self.where, name, factor=factor)

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """A whole number, or None when absent."""
        value = self.number(name, least=least)
        if value is None:
            return None
        if value != round(value):
            raise InputError(self.where, name, value, "a whole number")
        return int(value)

    def text(self, name: str, *, required: bool = False) -> str | None:
        """Text, or None when absent; see ``stated_text``."""
        return self.stated_text(name, required=required) or None

    def word(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """One of the allowed words, or None when absent."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise InputError(self.where, name, value, "one of " + ", ".join(allowed))
        return value

    def moment(self, name: str) -> datetime | None:
        """A clock time, or None when absent; see :func:`fusin.radiopharmacy.moments.moment`."""
        value = self.take(name)
        return None if value is None else moment(value, self.where, name)

    def amounts(self, name: str) -> dict[str, float]:
        """A table of names and non-negative numbers; ``"<15"`` is taken as its bound 15.

        Raises
        ------
        InputError
            For anything else.
        """
        table = Fields(self.take(name) or {}, f"{self.where}, {name}")
        return {key: bound(value, table.where, key) for key, value in table._values.items()}

    def tables(self, *names: str) -> Iterator[tuple[str, Any]]:
        """Tables of an array of tables under any of its names, with where each stands."""
        for name in names:
            value = self.take(name)
            listed = value if isinstance(value, list) else [] if value is None else [value]
            for number, one in enumerate(listed, start=1):
                yield f"{self.where}, {name} {number}", one


def csv_fields(
    path: Path,
    schema: Schema,
    log: NoticeLog,
    *,
    aliases: Mapping[str, str] | None = None,
    without_unit: Sequence[str] = (),
) -> list[Fields]:
    """Rows of a table as fields; brackets about the unit of a column name do not matter.

    Parameters
    ----------
    path : CSV, TSV or Parquet file
    schema : its columns
    log : receives notices
    aliases : further names of columns
    without_unit : names of columns that lack only their unit

    Raises
    ------
    InputError
        For a table that cannot be used, and for an activity whose column names no unit.
    """
    known = {**{n: n for n in schema.names()}, **(aliases or {})}
    frame, name = load(path, list(known), "")
    plain = {
        str(c): re.sub(r"[\s()\[\]-]+", "_", str(c).strip().lstrip("\ufeff").lower()).strip("_") for c in frame.columns
    }
    renamed = {
        c: known[p] for c, p in plain.items() if p in known and (p == known[p] or known[p] not in plain.values())
    }
    for column, word in plain.items():
        if word in without_unit and not any(n.startswith(f"{without_unit[0]}_") for n in renamed.values()):
            needed = " or ".join(f"{without_unit[0]}_{u}" for u in ("mbq", "gbq", "mci"))
            raise InputError(name, "column", column, f"a unit in its name: {needed}")
        longer = [n for n in schema.names() if n.startswith(f"{word}_")]
        if word not in known and longer and not difflib.get_close_matches(word, schema.names(), n=1, cutoff=0.8):
            documented = " or ".join(repr(n) for n in longer)
            log.warning(
                "COLUMN_NOT_USED", f"column {column!r} is not read; the documented name is {documented}", where=name
            )
    rows = rows_of(frame.rename(columns=renamed), schema, log, where=name)
    return [Fields({k: v for k, v in r.values.items() if v is not None}, r.where) for r in rows]


def existing_mbq(value: float, where: str, field: str, *, factor: float = 1.0) -> float:
    """An activity in MBq that some source on earth could have.

    Parameters
    ----------
    value : activity above 0
    where, field : for messages
    factor : MBq per unit of the value

    Raises
    ------
    InputError
        For a magnitude that none has.
    """
    if not _LEAST_MBQ < value * factor < _MOST_MBQ:
        raise InputError(where, field, value, "an activity that exists")
    return value * factor


def bound(value: Any, where: str, field: str) -> float:
    """A number that is not negative, or the bound of ``<15``, which is on the safe side of a limit.

    Raises
    ------
    InputError
        For anything else.
    """
    text = value.strip().removeprefix("<").removeprefix("=").strip() if isinstance(value, str) else value
    try:
        found = math.nan if isinstance(text, bool) else float(text)
    except (TypeError, ValueError):
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise InputError(where, field, shown(value), "a number, zero or more, or a bound such as <15")
    return found
