"""Schemas of input tables, and their reader.

A table that cannot be used is refused with one sentence that names row and column. Rows count from 1 below the header.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.columns import Column

if TYPE_CHECKING:
    import pandas as pd

    from fusin.tabular.cells import Cells

__all__ = ["InputColumn", "Schema", "read_table"]


@dataclass(frozen=True, slots=True)
class InputColumn(Column):
    """A column that people fill in: what must be there and what cannot be.

    Attributes
    ----------
    required : the table is refused without it
    least, most : inclusive limits of a number
    label : the text names a group, so that spellings that differ in case are worth a warning
    words : allowed words of a text, each with the spellings that stand for it
    """

    required: bool = False
    least: float | None = None
    most: float | None = None
    label: bool = False
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One table.

    Attributes
    ----------
    name : what messages call it
    columns : its columns; a table may hold others, which are left as they are
    key : columns that name a row; no two rows may agree in all of them
    ordered : pairs of columns of which the first can never be the larger
    sums : a column and the counts that it must be the sum of
    """

    name: str
    columns: tuple[InputColumn, ...]
    key: tuple[str, ...] = ()
    ordered: tuple[tuple[str, str], ...] = ()
    sums: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def names(self) -> list[str]:
        """Names of the columns in order."""
        return [c.name for c in self.columns]


def read_table(source: str | Path | pd.DataFrame, schema: Schema, log: NoticeLog, *, where: str = "") -> pd.DataFrame:
    """Read and check a table.

    Parameters
    ----------
    source : CSV (comma, semicolon or tab), Parquet, or a frame
    schema : what the table must be
    log : receives one notice per column whose spelling was normalised
    where : name of the table for messages; the file's name without it

    Returns
    -------
    DataFrame
        Documented columns with their documented types (absent optional ones are left out), then all others untouched.
        The index counts from 0.

    Raises
    ------
    InputError
        For a missing column (with the nearest that is there), a value that its column cannot hold, a duplicated row or
        counts that do not add up; each with row and column. A decimal comma is read where it has one meaning and
        refused where 1,234 could be two numbers.
    """
    from fusin.tabular.cells import Cells
    from fusin.tabular.files import load

    frame, name = load(source, schema.names(), where or schema.name)
    frame = _named(frame, schema, name, log)
    cells = Cells(frame, name, log)
    cells.settle_decimal_commas([c.name for c in schema.columns if c.dtype in {"float64", "Int64"}])
    for column in schema.columns:
        if column.name in frame.columns:
            frame[column.name] = _converted(cells, column)
    _refuse_duplicates(frame, schema, name)
    _refuse_contradictions(frame, schema, name)
    known = [c for c in schema.names() if c in frame.columns]
    return frame[known + [c for c in frame.columns if c not in known]]


def _converted(cells: Cells, column: InputColumn) -> pd.Series[Any]:
    if column.dtype == "boolean":
        return cells.flags(column.name)
    if column.words:
        return cells.words(column.name, column.words)
    if column.dtype == "string":
        return cells.labels(column.name, required=column.required, check_case=column.label)
    return cells.numbers(column.name, column.dtype, column.least, column.most, required=column.required)


def _plain(name: object) -> str:
    return str(name).strip().lstrip("\ufeff").lower().replace(" ", "_").replace("-", "_")


def _named(frame: pd.DataFrame, schema: Schema, where: str, log: NoticeLog) -> pd.DataFrame:
    """Give the columns their documented names, and refuse a table without the required ones."""
    present = [str(c) for c in frame.columns]
    plain = [_plain(c) for c in present]
    known = set(schema.names())
    renamed = [p if p in known else c for c, p in zip(present, plain, strict=True)]
    for name in sorted(known & {r for r in renamed if renamed.count(r) > 1}):
        twice = [c for c, r in zip(present, renamed, strict=True) if r == name]
        raise InputError(where, f"column {name}", ", ".join(twice), "each column once")
    for column in schema.columns:
        if column.required and column.name not in renamed:
            raise InputError(where, "columns", _near(column.name, present, known), f"a column named {column.name}")
    others = [c for c in renamed if c not in known]
    for other in others:
        near = difflib.get_close_matches(_plain(other), sorted(known - set(renamed)), n=1, cutoff=0.8)
        if near:
            log.warning(
                "COLUMN_NOT_USED", f"column {other!r} is not read; the documented name is {near[0]!r}", where=where
            )
    out = frame.copy()
    out.columns = out.columns.__class__(renamed)
    return out.reset_index(drop=True)


def _near(name: str, present: Sequence[str], known: set[str]) -> str:
    free = [c for c in present if _plain(c) not in known]
    near = difflib.get_close_matches(name, [_plain(c) for c in free], n=1, cutoff=0.5)
    if near:
        return next(c for c in free if _plain(c) == near[0])
    return ", ".join(present[:12]) + (", ..." if len(present) > 12 else "")


def _refuse_duplicates(frame: pd.DataFrame, schema: Schema, where: str) -> None:
    key = [k for k in schema.key if k in frame.columns]
    if not key:
        return
    again = frame.duplicated(key, keep="first")
    if not again.any():
        return
    row = int(again.to_numpy().argmax())
    values = frame.loc[row, key]
    same = (frame[key].eq(values) | (frame[key].isna() & values.isna())).fillna(False).all(axis=1)
    first = int(same.to_numpy().argmax())
    shown = ", ".join("missing" if gone else str(v) for v, gone in zip(values, values.isna(), strict=True))
    raise InputError(
        f"{where} row {row + 1}", " + ".join(key), shown, f"one row for each; row {first + 1} holds the same already"
    )


def _refuse_contradictions(frame: pd.DataFrame, schema: Schema, where: str) -> None:
    for low, high in schema.ordered:
        if {low, high} <= set(frame.columns):
            wrong = (frame[low] > frame[high] * (1 + 1e-6)).to_numpy(dtype=bool, na_value=False)
            if wrong.any():
                row = int(wrong.argmax())
                raise InputError(
                    f"{where} row {row + 1}", low, frame[low][row], f"at most {high}, {frame[high][row]:g}"
                )
    for total, parts in schema.sums:
        if total in frame.columns:
            found = frame[list(parts)].sum(axis=1)
            wrong = (frame[total] != found).to_numpy(dtype=bool, na_value=False)
            if wrong.any():
                row = int(wrong.argmax())
                raise InputError(f"{where} row {row + 1}", total, int(frame[total][row]),
                                 f"the sum of {', '.join(parts)}, {int(found[row])}")  # fmt: skip
