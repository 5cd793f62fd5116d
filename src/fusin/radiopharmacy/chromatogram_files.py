"""Chromatograms from files: ANDI/AIA netCDF, and text exports with units in their headings or a saved column map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import Axis, Channel, FloatArray, Trace, checked_positions
from fusin.radiopharmacy.chromatogram_map import ColumnMap
from fusin.radiopharmacy.chromatogram_netcdf import is_netcdf, read_netcdf
from fusin.radiopharmacy.chromatogram_records import find_records
from fusin.radiopharmacy.chromatogram_text import Block, column_numbers, decoded, find_block
from fusin.radiopharmacy.chromatogram_units import Heading, SignalUnit, position_unit, read_heading, signal_unit

__all__ = ["read_chromatogram"]


def read_chromatogram(path: Path, log: NoticeLog, *, mapping: ColumnMap | None = None) -> tuple[Trace, ...]:
    """Read all channels of a run.

    Parameters
    ----------
    path : ANDI/AIA netCDF, or a text export (comma, semicolon, tab or blanks; UTF-8, UTF-16 or as the map says)
    log : receives what was noted
    mapping : column map; without one the headings carry the units

    Returns
    -------
    tuple of Trace
        Radio channels first, in the order of the file. With ``y_column`` in the map only that one.

    Raises
    ------
    InputError
        For anything that cannot be read, with file, line and field; for a unit that is not stated; for positions that
        do not rise.
    """
    mapping = mapping or ColumnMap()
    if not path.is_file():
        raise InputError(path.name, "file", "nothing", "a chromatogram that exists")
    with path.open("rb") as stream:
        head = stream.read(8)
    if is_netcdf(head):
        found: tuple[Trace, ...] = (_calibrated(read_netcdf(path, mapping, log), mapping),)
    else:
        text = decoded(path.read_bytes(), where=path.name, encoding=mapping.encoding)
        block = (find_records if mapping.block_start else find_block)(text, mapping, where=path.name)
        found = _channels(block, mapping, path.name, log)
    for trace in found:
        if trace.axis == "min" and trace.x[-1] <= 0:
            raise InputError(trace.where, "time", float(trace.x[-1]), "times after the injection")
        if not np.any(trace.y):
            raise InputError(
                trace.where, trace.name or "signal", "zeros only", "a signal: of no counts there are no percentages"
            )
    return tuple(sorted(found, key=lambda t: t.channel != "radio"))


def _channels(block: Block, mapping: ColumnMap, where: str, log: NoticeLog) -> tuple[Trace, ...]:
    headings = [read_heading(h) for h in block.headings] or [Heading("", "")] * len(block.rows[0])
    names = list(block.headings) or [f"column {n}" for n in range(1, len(headings) + 1)]
    axis, x, used = _positions(block, headings, names, mapping, where, log)
    live = _live_times(block, headings, names, mapping, where, log, used)
    signals = _signals(headings, names, mapping, where, used, len(block.rows[0]))
    traces = []
    for index in signals:
        unit = _signal_unit(headings[index], names[index], mapping, where)
        y = column_numbers(block, index, names[index], where=where, log=log) * unit.factor
        channel: Channel = mapping.channel or unit.channel  # type: ignore[assignment]  # the map allows no other word
        trace = Trace(
            x=x, y=y, axis=axis, y_unit=unit.text, quantity=unit.quantity, channel=channel,
            live_time_s=live, name=names[index], where=where, background_subtracted=bool(mapping.background_subtracted),
        )  # fmt: skip
        _refuse_negative(trace, block)
        traces.append(_calibrated(trace, mapping))
    return tuple(traces)


def _refuse_negative(trace: Trace, block: Block) -> None:
    """Whole counts below 0 were never counted; broken ones were changed before, which is noted later."""
    below = np.flatnonzero(trace.y < 0)
    if trace.quantity != "counts" or trace.background_subtracted or not below.size or np.any(trace.y % 1.0):
        return
    raise InputError(f"{trace.where} line {block.lines[int(below[0])]}", trace.name, float(trace.y[below[0]]),
                     "raw counts, which are never negative, or background_subtracted = true in the column map")  # fmt: skip


def _positions(
    block: Block, headings: Sequence[Heading], names: Sequence[str], mapping: ColumnMap, where: str, log: NoticeLog
) -> tuple[Axis, FloatArray, set[int]]:
    if mapping.x_step is not None:
        if mapping.x_unit is None:
            raise InputError(where, "x_unit", "nothing", "the unit of x_step in the column map")
        axis, factor = position_unit(mapping.x_unit, where=where, field="x_unit")
        steps = (mapping.x_first or 0.0) + mapping.x_step * np.arange(len(block.rows))
        return axis, np.asarray(factor * steps, dtype=np.float64), set()
    if mapping.x_column is not None:
        index = _column(mapping.x_column, names, where, "x_column")
    else:
        candidates = [n for n, h in enumerate(headings) if h.role == "position"]
        # Many exports number their points and then give time and distance; none of them is chosen by guessing.
        if len(candidates) != 1:
            found = ", ".join(names[n] for n in candidates) or ", ".join(names[:8])
            raise InputError(where, "column of positions", found,
                             "one heading with a unit of time or length, such as time_min or distance_mm, "
                             "or x_column and x_unit in a column map")  # fmt: skip
        index = candidates[0]
    own, stated = headings[index].unit, mapping.x_unit
    if (
        own
        and stated
        and position_unit(own, where=where, field=names[index]) != position_unit(stated, where=where, field="x_unit")
    ):
        raise InputError(where, names[index], own, f"the unit of the column map, {stated}, or a map without x_unit")
    unit = stated or own
    if not unit:
        raise InputError(
            where, names[index], "no unit", "a heading such as time_min or distance_mm, or x_unit in a map"
        )
    axis, factor = position_unit(unit, where=where, field=names[index])
    values = column_numbers(block, index, names[index], where=where, log=log)
    places = [f"line {n}" for n in block.lines]
    if axis == "min" and values[0] < 0:
        raise InputError(f"{where} line {block.lines[0]}", names[index], float(values[0]), "times after the injection")
    return axis, checked_positions(values, where=where, name=names[index], places=places) * factor, {index}


def _live_times(
    block: Block, headings: Sequence[Heading], names: Sequence[str], mapping: ColumnMap, where: str, log: NoticeLog,
    used: set[int],
) -> FloatArray | None:  # fmt: skip
    index = None
    if mapping.live_time_column is not None:
        index = _column(mapping.live_time_column, names, where, "live_time_column")
    elif mapping.live_time_s is not None:
        return np.full(len(block.rows), mapping.live_time_s)
    else:
        index = next((n for n, h in enumerate(headings) if h.role == "live_time"), None)
    if index is None:
        return None
    used.add(index)
    unit = headings[index].unit or ("s" if mapping.live_time_column is not None else "")
    if not unit:
        raise InputError(where, names[index], "no unit", "a heading such as live_time_s")
    axis, factor = position_unit(unit, where=where, field=names[index])
    values = column_numbers(block, index, names[index], where=where, log=log) * factor * 60.0
    if axis != "min":
        raise InputError(where, names[index], unit, "a unit of time")
    bad = np.flatnonzero(values <= 0)
    if bad.size:
        raise InputError(f"{where} line {block.lines[int(bad[0])]}", names[index], float(values[bad[0]]),
                         "a live time above 0")  # fmt: skip
    return values


def _signals(
    headings: Sequence[Heading], names: Sequence[str], mapping: ColumnMap, where: str, used: set[int], width: int
) -> list[int]:
    if mapping.y_column is not None:
        return [_column(mapping.y_column, names, where, "y_column")]
    found = [n for n, h in enumerate(headings) if h.role == "signal" and n not in used]
    left = [n for n in range(width) if n not in used]
    if not found and mapping.y_unit is not None and len(left) == 1:
        return left
    if not found:
        shown = ", ".join(names[n] for n in left) or "no further column"
        raise InputError(where, "column of the signal", shown,
                         "a heading with a unit, such as counts, cps or intensity_mV, or y_column and y_unit "
                         "in a column map")  # fmt: skip
    if mapping.y_unit is not None and len(found) > 1:
        raise InputError(where, "y_unit", ", ".join(names[n] for n in found), "y_column beside it in the column map")
    return found


def _signal_unit(heading: Heading, name: str, mapping: ColumnMap, where: str) -> SignalUnit:
    own, stated = (heading.unit if heading.role != "position" else ""), mapping.y_unit
    if own and stated and signal_unit(own, where=where, field=name) != signal_unit(stated, where=where, field="y_unit"):
        raise InputError(where, name, own, f"the unit of the column map, {stated}, or a map without y_unit")
    if not (stated or own):
        raise InputError(where, name, "no unit", "a heading such as counts or intensity_mV, or y_unit in a column map")
    return signal_unit(stated or own, where=where, field=name)


def _column(wanted: str | int, names: Sequence[str], where: str, key: str) -> int:
    if isinstance(wanted, int):
        if wanted > len(names):
            raise InputError(where, key, wanted, f"a number from 1 to {len(names)}")
        return wanted - 1
    folded = [n.strip().strip('"').lower() for n in names]
    matches = [n for n, name in enumerate(folded) if name == wanted.lower()]
    if len(matches) != 1:
        raise InputError(where, key, wanted, "the heading of one column: " + ", ".join(names[:12]))
    return matches[0]


def _calibrated(trace: Trace, mapping: ColumnMap) -> Trace:
    """An analogue radio signal with its calibration is a signal of counts."""
    if mapping.counts_per_unit is None:
        return trace
    if trace.quantity != "analogue" or trace.channel == "uv":
        raise InputError(trace.where, "counts_per_unit", trace.y_unit, "an analogue signal of a radio detector")
    return Trace(
        x=trace.x, y=trace.y * mapping.counts_per_unit, axis=trace.axis, y_unit="counts", quantity="counts",
        channel="radio", live_time_s=trace.live_time_s, name=trace.name, where=trace.where, sample=trace.sample,
        file_peaks=trace.file_peaks, background_subtracted=trace.background_subtracted,
    )  # fmt: skip
