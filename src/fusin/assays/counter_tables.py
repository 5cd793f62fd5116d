"""Our own table of counts, with the unit in every name, and its rows as readings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fusin.assays.counting import CountReading
from fusin.assays.counting_times import parse_time
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.rows import Row
from fusin.tabular.schema import InputColumn, Schema

__all__ = ["COUNTS_TABLE", "COUNT_COLUMNS", "KINDS", "reading_of_row", "readings_of_rows"]

KINDS = (
    ("sample", ("sample", "tissue", "organ", "unknown", "probe")),
    ("blank", ("blank", "background", "bkg", "bg", "leerwert")),
    ("standard", ("standard", "std", "reference", "applied")),
)

COUNT_COLUMNS = (
    InputColumn("counts", "float64", "recorded counts", least=0.0, most=1e12),
    InputColumn(
        "cpm",
        "float64",
        "rate of the counter [1/min], without `counts`; below 0 only after `background`",
        least=-1e12,
        most=1e12,
    ),
    InputColumn("live_time_s", "float64", "live time of the count [s]", least=1e-3, most=1e8),
    InputColumn("live_time_min", "float64", "live time of the count [min], instead of seconds", least=1e-3, most=1e8),
    InputColumn("real_time_s", "float64", "time on the clock [s]; the live time when absent", least=1e-3, most=1e8),
    InputColumn("start_time", "string", "when the count started, ISO 8601 (other orders only as declared)"),
    InputColumn("end_time", "string", "when it ended, instead of `start_time`"),
    InputColumn(
        "dead_time_factor",
        "float64",
        "true over observed rate, at least 1; not yet applied to `counts`",
        least=1.0,
        most=1e3,
    ),
    InputColumn("detector", "string", "detector, where each has its own efficiency"),
)
"""Columns with which any table describes how its tubes were counted."""

COUNTS_TABLE = Schema(
    name="table of counts",
    columns=(
        InputColumn("tube", "string", "name of the tube", required=True),
        InputColumn("kind", "string", "what the tube is", words=KINDS),
        InputColumn("window", "string", "energy window, where there are several"),
        InputColumn("repeat", "Int64", "number of the measurement, where a tube was counted more than once", least=1),
        *COUNT_COLUMNS,
    ),
)
"""A table of counts without a column map."""


def readings_of_rows(rows: Sequence[Row], log: NoticeLog, *, date_order: str | None = None) -> tuple[CountReading, ...]:
    """Readings of a table of counts.

    Raises
    ------
    InputError
        For a row without counts or rate, or with times that contradict each other.
    """
    return tuple(
        reading_of_row(
            row, tube=row.needed("tube"), kind=row.text("kind") or "sample", window=row.text("window") or "",
            repeat=int(row.number("repeat") or 1), date_order=date_order,
        )
        for row in rows
    )  # fmt: skip


def reading_of_row(
    row: Row, *, tube: str, kind: str = "sample", window: str = "", repeat: int = 1, date_order: str | None = None,
    assumed_s: float | None = None,
) -> CountReading:  # fmt: skip
    """One row with the columns `COUNT_COLUMNS` as a reading.

    Parameters
    ----------
    row : of a table
    tube, kind, window, repeat : of the reading
    date_order : of times that are not ISO
    assumed_s : counting time [s] of all rows of a table that states none, where only ratios are asked for

    Raises
    ------
    InputError
        For a row without counts or rate, with two live times, or an end before its start.
    """
    counts, cpm = row.number("counts"), row.number("cpm")
    if counts is None and cpm is None:
        raise InputError(row.where, "counts", "nothing", "counts or cpm in every row")
    seconds, minutes = row.number("live_time_s"), row.number("live_time_min")
    if seconds is not None and minutes is not None:
        raise InputError(row.where, "live_time_min", minutes, "live_time_s or live_time_min, not both")
    live = assumed_s if seconds is None and minutes is None else seconds if minutes is None else minutes * 60.0
    if live is not None and not live > 0:
        raise InputError(row.where, "live_time_s", live, "a time above 0")
    if counts is not None and live is None:
        raise InputError(row.where, "live_time_s", "nothing", "the counting time of these counts")
    real = row.number("real_time_s")
    if real is not None and live is not None and real < live * (1 - 1e-6):
        raise InputError(row.where, "real_time_s", real, f"at least the live time, {live:g} s")
    return CountReading(
        tube=tube, counts=counts, rate_cps=None if cpm is None else cpm / 60.0, live_time_s=live, real_time_s=real,
        start=_start(row, real if real is not None else live, date_order), kind=kind, window=window, repeat=repeat,
        dead_time_factor=row.number("dead_time_factor"), detector=row.text("detector") or "", where=row.where,
    )  # fmt: skip


def _start(row: Row, seconds: float | None, order: str | None) -> datetime | None:
    begun, ended = row.text("start_time"), row.text("end_time")
    start = None if begun is None else parse_time(begun, row.where, "start_time", order=order)
    if ended is None:
        return start
    end = parse_time(ended, row.where, "end_time", order=order)
    if start is not None:
        if (start.utcoffset() is None) != (end.utcoffset() is None):
            raise InputError(row.where, "end_time", ended, "a zone in both times or in none")
        if end < start:
            raise InputError(row.where, "end_time", ended, f"a time after the start, {begun}")
        return start
    if seconds is None:
        raise InputError(row.where, "live_time_s", "nothing", "the counting time, to know when it started")
    return end - timedelta(seconds=seconds)
