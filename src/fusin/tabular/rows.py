"""Rows of a checked table as plain Python values, and result tables from plain rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.columns import Column
from fusin.tabular.schema import Schema, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Row", "rows_of", "to_frame", "words"]


def words(*allowed: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Allowed words of a column, each spelt in lower case only."""
    return tuple((word, (word.lower(),)) for word in allowed)


@dataclass(frozen=True, slots=True)
class Row:
    """One row; a missing field is None.

    Attributes
    ----------
    where : table and row for messages; rows count from 1 below the header
    values : field to value
    """

    where: str
    values: Mapping[str, Any]

    def text(self, field: str) -> str | None:
        """Text, or None when missing."""
        value = self.values.get(field)
        return None if value is None else str(value)

    def needed(self, field: str) -> str:
        """Text of a field that every row must hold.

        Raises
        ------
        InputError
            When it is missing.
        """
        value = self.text(field)
        if value is None:
            raise InputError(self.where, field, None, "a value in every row")
        return value

    def number(self, field: str, *, positive: bool = False) -> float | None:
        """Return the number, or None when missing.

        Raises
        ------
        InputError
            For 0 or less where it has to be positive.
        """
        value = self.values.get(field)
        if value is None:
            return None
        if positive and not value > 0:
            raise InputError(self.where, field, value, "a number above 0")
        return float(value)

    def choice(self, field: str, allowed: Sequence[str]) -> str | None:
        """One of the allowed words as listed (case does not matter), or None when missing.

        Raises
        ------
        InputError
            For another word.
        """
        value = self.text(field)
        if value is None:
            return None
        for word in allowed:
            if word.lower() == value.lower():
                return word
        raise InputError(self.where, field, value, "one of " + ", ".join(allowed))

    def flag(self, field: str) -> bool | None:
        """True, False, or None when missing."""
        value = self.values.get(field)
        return None if value is None else bool(value)

    def day(self, field: str) -> dt.date | None:
        """ISO date (2024-01-31), or None when missing.

        Raises
        ------
        InputError
            For a date that is not written so; 03/04/2024 has two readings and neither is taken.
        """
        text = self.text(field)
        if text is None:
            return None
        try:
            return dt.date.fromisoformat(text[:10])
        except ValueError as err:
            raise InputError(self.where, field, text, "an ISO date such as 2024-01-31") from err


def rows_of(source: str | Path | pd.DataFrame, schema: Schema, log: NoticeLog, *, where: str = "") -> tuple[Row, ...]:
    """Read and check a table, and return its rows; see :func:`fusin.cohort.tables.read_table`."""
    frame = read_table(source, schema, log, where=where)
    name = where or (schema.name if not isinstance(source, (str, Path)) else Path(source).name)
    listed = [n for n in schema.names() if n in frame.columns]
    missing = frame[listed].isna().to_numpy()
    rows = []
    for i, record in enumerate(frame[listed].itertuples(index=False, name=None)):
        values = {n: (None if gone else v) for n, v, gone in zip(listed, record, missing[i], strict=True)}
        rows.append(Row(f"{name} row {i + 1}", values))
    return tuple(rows)


def to_frame(records: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Table with the documented columns and dtypes; what a record lacks is missing."""
    import pandas as pd

    data = {c.name: pd.Series([r.get(c.name) for r in records], dtype=c.dtype) for c in columns}
    return pd.DataFrame(data, columns=[c.name for c in columns])
