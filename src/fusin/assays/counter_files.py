"""Files of gamma and scintillation counters: Hidex 300 SL blocks, any table through a saved column map, and our own CSV.

Hidex 300 SL: ``key;value`` blocks that begin at ``Sample start``; CPM is corrected for dead time already,
CPM = Counts / Time * 60 * DTime, so the counts and their factor are read and CPM serves as a check.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from fusin.assays.counter_columns import named_rows
from fusin.assays.counter_tables import COUNTS_TABLE, readings_of_rows
from fusin.assays.counting import CountReading
from fusin.assays.counting_maps import ColumnMap
from fusin.assays.counting_times import after_midnight, parse_clock, parse_time, same_zone
from fusin.errors import InputError
from fusin.provenance import NoticeLog

__all__ = ["read_counter_file", "read_hidex_text", "read_mapped_text"]

_HIDEX = re.compile(r"^\s*sample start\s*$", re.IGNORECASE | re.MULTILINE)
_MINUTE_S = 60.0


def read_counter_file(
    path: Path, log: NoticeLog, *, column_map: ColumnMap | None = None, date_order: str | None = None
) -> tuple[CountReading, ...]:
    """Read a counter file of any kind that is known.

    Parameters
    ----------
    path : Hidex file, a table with a map, or a CSV with our column names
    log : receives what is doubtful
    column_map : of the instrument
    date_order : order of day and month; overrides the map

    Raises
    ------
    InputError
        For a file that cannot be used, with file, block or row, and field.
    Ambiguous
        For dates whose order nobody declared.
    """
    if not path.is_file():
        raise InputError(path.name, "file", "nothing", "a counter file that exists")
    if path.suffix.lower() not in {".parquet", ".pq"}:
        text = _text(path)
        if _HIDEX.search(text):
            if column_map is not None:
                raise InputError(
                    path.name, "column map", column_map.name, "none: this is a Hidex file, whose fields are fixed"
                )
            return read_hidex_text(text, path.name, log, date_order=date_order or "day-first")
        if column_map is not None:
            return read_mapped_text(text, path.name, column_map, log, date_order=date_order)
    try:
        rows = named_rows(path, COUNTS_TABLE, log)
    except InputError as err:
        if column_map is None and (err.field == "columns" or err.field.startswith("number of ")):
            needed = f"{err.needed}; the file of a counter needs a column map (--map)"
            raise InputError(err.where, err.field, err.found, needed) from None
        raise
    return _checked(readings_of_rows(rows, log, date_order=date_order))


def read_hidex_text(
    text: str, where: str, log: NoticeLog, *, date_order: str = "day-first"
) -> tuple[CountReading, ...]:
    """Blocks of a Hidex 300 SL file; its dates are day/month/year unless another order is declared.

    Raises
    ------
    InputError
        For a block without a field that is needed, a number that is none, or a date that does not exist.
    """
    blocks = _HIDEX.split(text)[1:]
    out = []
    for number, block in enumerate(blocks, start=1):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            key, sign, value = line.partition(";")
            if key.strip().lower().startswith("spectrum"):
                break
            if sign:
                fields.setdefault(key.strip().rstrip(".").lower(), value.strip().rstrip(";"))
        out.append(_hidex_block(fields, f"{where} block {number}", log, date_order))
    return _checked(_hidex_named(out))


def _hidex_named(found: Sequence[tuple[str, CountReading]]) -> list[CountReading]:
    """Tubes by the name of their well; by the number of the vial where several vials have one name, as with a window's."""
    vials: dict[str, set[str]] = {}
    for vial, one in found:
        vials.setdefault(one.tube, set()).add(vial)
    shared = any(len(v) > 1 for v in vials.values())
    return [replace(one, tube=vial) if shared else one for vial, one in found]


def _hidex_block(fields: dict[str, str], where: str, log: NoticeLog, order: str) -> tuple[str, CountReading]:
    def number(key: str, needed: str) -> float:
        return _number(fields.get(key), where, key, needed)

    counts = number("counts", "a number of counts")
    factor = number("dtime", "the dead-time factor")
    seconds = number("time", "the counting time in seconds")
    if not (factor >= 1.0 and seconds > 0.0 and counts >= 0.0):
        bad = ("dtime", factor, "a dead-time factor of at least 1")
        bad = ("time", seconds, "a positive time in seconds") if not seconds > 0 else bad
        raise InputError(where, *(("counts", counts, "zero or more counts") if counts < 0 else bad))
    _check_cpm(fields.get("cpm"), counts, factor, seconds, where, log)
    end = fields.get("endtime")
    start = None if not end else parse_time(end, where, "EndTime", order=order) - timedelta(seconds=seconds)
    vial = fields.get("vial", "") or fields.get("samp", "")
    if not vial:
        raise InputError(where, "Vial", "nothing", "the number of the vial")
    name = fields.get("wname", "") or vial
    repeat = number("repe", "the number of the repeat") if fields.get("repe") else 1.0
    return vial, CountReading(
        tube=name, counts=counts, live_time_s=seconds, real_time_s=seconds, start=start, dead_time_factor=factor,
        repeat=int(repeat), where=where,
    )  # fmt: skip


def _check_cpm(text: str | None, counts: float, factor: float, seconds: float, where: str, log: NoticeLog) -> None:
    """CPM must be what counts, time and factor give, within the three decimals of the factor."""
    if not text:
        return
    cpm = _number(text, where, "CPM", "a rate")
    expected = counts / seconds * _MINUTE_S * factor
    # The printed factor has three decimals and CPM three, hence these half units.
    room = counts / seconds * _MINUTE_S * 0.00051 + 0.00051
    if abs(cpm - expected) > room:
        log.warning(
            "CPM_CONTRADICTS_COUNTS",
            f"CPM {cpm:g} is not Counts/Time*60*DTime = {expected:.6g}; the counts and the factor are used",
            where=where, raw=cpm, used=round(expected, 3),
        )  # fmt: skip


def read_mapped_text(
    text: str, where: str, column_map: ColumnMap, log: NoticeLog, *, date_order: str | None = None
) -> tuple[CountReading, ...]:
    """Rows of a table through a column map.

    Raises
    ------
    InputError
        For a heading that is not there, rows of another length, and values that cannot be used.
    """
    table = _MappedTable.of(text, where, column_map)
    order = date_order or column_map.date_order
    out: list[CountReading] = []
    previous: datetime | None = None
    for row in table.rows:
        start, previous = _mapped_start(row, table, order, previous, log)
        windows = column_map.windows or {"": ""}
        for window, heading in windows.items():
            out.append(_mapped_reading(row, table, start, window, heading))
    return _checked(out)


@dataclass(frozen=True, slots=True)
class _MappedRow:
    where: str
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class _MappedTable:
    """Cells by heading, and where our fields stand."""

    map: ColumnMap
    rows: tuple[_MappedRow, ...]

    @classmethod
    def of(cls, text: str, where: str, column_map: ColumnMap) -> _MappedTable:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
        first = next(
            (i for i, (_, line) in enumerate(lines) if column_map.header is None or _starts(line, column_map)), None
        )
        if first is None:
            raise InputError(where, "heading line", "none", f"a line that begins with {column_map.header!r}")
        separator = column_map.separator or _likeliest(lines[first][1])
        heads = _split(lines[first][1], separator)
        wanted = [*column_map.columns.values(), *column_map.windows.values()]
        for heading in wanted:
            if heading not in heads:
                raise InputError(where, "heading", ", ".join(heads[:12]), f"{heading!r}, as {column_map.name} says")
        rows = []
        for number, line in lines[first + 1 :]:
            cells = _split(line, separator)
            if len(cells) != len(heads):
                raise InputError(
                    f"{where} line {number}", "number of fields", len(cells), f"{len(heads)}, as in the heading"
                )
            rows.append(_MappedRow(f"{where} line {number}", dict(zip(heads, cells, strict=True))))
        if not rows:
            raise InputError(where, "rows", 0, "at least one row below the heading")
        return cls(column_map, tuple(rows))

    def text(self, row: _MappedRow, field: str) -> str | None:
        heading = self.map.columns.get(field)
        return (row.cells[heading].strip() or None) if heading is not None else None

    def number(self, row: _MappedRow, field: str) -> float | None:
        found = self.text(row, field)
        return None if found is None else self.parsed(found, row.where, field)

    def parsed(self, text: str, where: str, field: str) -> float:
        if self.map.decimal == ",":
            if "." in text:
                raise InputError(where, field, text, "a decimal comma, as the column map says")
            text = text.replace(",", ".")
        return _number(text, where, field, "a plain number")


def _mapped_reading(
    row: _MappedRow, table: _MappedTable, start: datetime | None, window: str, heading: str
) -> CountReading:
    cmap = table.map
    rack, tube = table.text(row, "rack"), table.text(row, "tube")
    if tube is None:
        raise InputError(row.where, "tube", "nothing", "a value in every row")
    amounts = {name: table.number(row, name) for name in ("counts", "cpm", "cps")}
    if heading:
        amounts[cmap.window_unit] = table.parsed(row.cells[heading].strip(), row.where, heading)
    cps = amounts["cps"] if amounts["cps"] is not None else _per_second(amounts["cpm"])
    percent, factor = table.number(row, "dead_time_percent"), table.number(row, "dead_time_factor")
    if percent is not None and factor is None:
        if not 0.0 <= percent < 100.0:
            raise InputError(row.where, "dead_time_percent", percent, "from 0 to below 100")
        factor = 1.0 / (1.0 - percent / 100.0)
    live, real = _seconds(table, row, "live_time"), _seconds(table, row, "real_time")
    done = cmap.dead_time_done
    repeat = table.number(row, "repeat")
    return CountReading(
        tube=f"{rack}/{tube}" if rack else tube, counts=amounts["counts"], rate_cps=cps, live_time_s=live,
        real_time_s=real, start=start, dead_time_factor=None if done and cps is None else factor, dead_time_done=done,
        background_done=cmap.background_done, decay_done=cmap.decay_done, window=window,
        detector=table.text(row, "detector") or "", kind=(table.text(row, "kind") or "sample").lower(),
        repeat=1 if repeat is None else int(repeat), where=row.where,
    )  # fmt: skip


def _mapped_start(
    row: _MappedRow, table: _MappedTable, order: str | None, previous: datetime | None, log: NoticeLog
) -> tuple[datetime | None, datetime | None]:
    """Start of a count and the moment that the next clock time is compared with."""
    for field in ("start_time", "end_time"):
        text = table.text(row, field)
        if text is not None:
            found = parse_time(text, row.where, field, order=order)
            if field == "end_time":
                seconds = _seconds(table, row, "real_time") or _seconds(table, row, "live_time")
                if seconds is None:
                    raise InputError(row.where, "real_time_s", "nothing", "the counting time, to know when it started")
                found -= timedelta(seconds=seconds)
            return found, found
    clock = table.text(row, "start_clock")
    if clock is None:
        return None, previous
    day = table.text(row, "start_date")
    if day is not None:
        found = parse_time(f"{day} {clock}", row.where, "start_date", order=order)
        return found, found
    if table.map.date is None:
        raise InputError(row.where, "start_clock", clock, "a date too: start_date, or date in the column map")
    found = after_midnight(parse_clock(clock, row.where, "start_clock"), (previous or datetime.combine(
        table.map.date, datetime.min.time())).date(), previous)  # fmt: skip
    if previous is not None and found.date() > previous.date():
        log.adapted(
            "DATE_AFTER_MIDNIGHT", f"clock time {clock} follows {previous:%H:%M:%S}; taken as the next day",
            where=row.where, raw=clock, used=found.isoformat(),
        )  # fmt: skip
    return found, found


def _seconds(table: _MappedTable, row: _MappedRow, stem: str) -> float | None:
    seconds, minutes = table.number(row, f"{stem}_s"), table.number(row, f"{stem}_min")
    if seconds is None and minutes is not None:
        return minutes * _MINUTE_S
    return seconds


def _per_second(cpm: float | None) -> float | None:
    return None if cpm is None else cpm / _MINUTE_S


def _checked(readings: Sequence[CountReading]) -> tuple[CountReading, ...]:
    """Refuse a tube that stands twice without saying that it was repeated, and times of which some have a zone."""
    seen: dict[tuple[str, str, int], CountReading] = {}
    for one in readings:
        key = (one.tube, one.window, one.repeat)
        if key in seen:
            raise InputError(
                one.where, "tube", one.tube, f"each tube once, or a column repeat; {seen[key].where} holds it already"
            )
        seen[key] = one
    same_zone([(r.where, r.start) for r in readings])
    return tuple(readings)


def _number(text: str | None, where: str, field: str, needed: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise InputError(where, field, text, needed) from None
    if not math.isfinite(value):
        raise InputError(where, field, text, needed)
    return value


def _starts(line: str, column_map: ColumnMap) -> bool:
    separator = column_map.separator or _likeliest(line)
    return _split(line, separator)[0] == column_map.header


def _likeliest(line: str) -> str:
    return max((";", "\t", ","), key=line.count)


def _split(line: str, separator: str) -> list[str]:
    if separator == "whitespace":
        return line.split()
    import csv

    return [c.strip() for c in next(csv.reader([line], delimiter=separator), [""])]


def _text(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(path.name, "text", "bytes that are no UTF-8", "UTF-8 text")
