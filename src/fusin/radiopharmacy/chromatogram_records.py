"""Counters that write one block of ``key;value`` lines for each sample: the pieces of a strip, or fractions of a run."""

from __future__ import annotations

from fusin.errors import InputError
from fusin.radiopharmacy.chromatogram_map import ColumnMap
from fusin.radiopharmacy.chromatogram_text import Block

__all__ = ["find_records"]

_LEAST = 3


def find_records(text: str, mapping: ColumnMap, *, where: str) -> Block:
    """The blocks as a table: one row for each, one column for each key that all of them have.

    Parameters
    ----------
    text : the file
    mapping : ``block_start`` is the line with which each block begins; ``delimiter`` stands between key and value,
        a semicolon without one
    where : name of the file for messages

    Raises
    ------
    InputError
        For a start that stands nowhere, fewer than three blocks, and a chosen key that a block lacks.
    """
    if mapping.x_column is None and mapping.x_step is None:
        raise InputError(where, "x_step", "nothing", "x_step and x_unit beside block_start, or x_column")
    start, sign = (mapping.block_start or "").strip().lower(), mapping.delimiter or ";"
    records: list[dict[str, str]] = []
    places: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip().lower() == start:
            records.append({})
            places.append(number)
        elif records and sign in line:
            key, value = line.split(sign, 1)
            records[-1].setdefault(key.strip().strip('"'), value.strip().rstrip(sign).strip().strip('"'))
    if len(records) < _LEAST:
        raise InputError(
            where, "block_start", f"{len(records)} blocks", f"at least {_LEAST} blocks that begin with {start!r}"
        )
    keys = [k for k in records[0] if all(k in r for r in records)]
    for wanted in (mapping.x_column, mapping.y_column, mapping.live_time_column):
        for record, place in zip(records, places, strict=True):
            if isinstance(wanted, str) and wanted.lower() not in {k.lower() for k in record}:
                raise InputError(f"{where} line {place}", wanted, "a block without it", "this key in each block")
    rows = tuple(tuple(r[k] for k in keys) for r in records)
    return Block(tuple(keys), rows, tuple(places), mapping.decimal, mapping.decimal is not None)
