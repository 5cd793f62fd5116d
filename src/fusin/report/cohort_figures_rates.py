"""Rates as figures: bars with intervals by group, and forest plots of published rates with one's own beside them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusin.cohort.detection import DetectionRate
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    SINGLE_MM,
    SMALL,
    Axis,
    Box,
    Entry,
    Figure,
    Plate,
    axis_over,
    fit_text,
    legend_height,
    text_width,
    wrap,
)
from fusin.report.svg import INK, MUTED
from fusin.report.table_text import estimate_text
from fusin.report.wording import words
from fusin.stats.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_FOREST_ROWS", "ForestRow", "forest_plot", "forest_rows", "rate_bars"]

MOST_FOREST_ROWS = 80
"""Rows that stay legible on one page."""

_MOST_BARS, _COUNT_SIZE = 60, 6.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One line of a forest plot.

    Attributes
    ----------
    label, group : name, and the heading under which it stands
    estimate : value with interval; fractions for rates
    counts : text such as ``19/24``, empty without
    own : one's own cohort, drawn apart from the published ones
    """

    label: str
    estimate: Estimate
    counts: str = ""
    group: str = ""
    own: bool = False


def forest_rows(frame: pd.DataFrame, *, group: str = "") -> tuple[ForestRow, ...]:
    """Rows of the table that `fusin.evidence.query.forest_data` gives.

    Parameters
    ----------
    frame : with columns label, k, n, rate, low, high, method, level, added
    group : column whose values become headings, such as ``entity``; rows of one value are brought together, one's own last
    """
    records = frame.to_dict("records")
    often = Counter(str(r["label"]) for r in records)
    rows = [
        ForestRow(
            label=_forest_label(row, often),
            estimate=Estimate(
                value=_maybe(row["rate"]), low=_maybe(row["low"]), high=_maybe(row["high"]), method=str(row["method"]),
                n=int(row["n"]), k=int(row["k"]), level=float(row["level"]),
            ),
            counts=f"{int(row['k'])}/{int(row['n'])}",
            group=str(row[group] or ("this cohort" if row["added"] else "other")) if group else "",
            own=bool(row["added"]),
        )
        for row in records
    ]  # fmt: skip
    order = list(dict.fromkeys(r.group for r in rows))
    return tuple(sorted(rows, key=lambda r: (order.index(r.group), r.own)))


def _forest_label(row: Mapping[Hashable, Any], often: Mapping[str, int]) -> str:
    """The label, with the tracer where several rows have the same one."""
    label, tracer = str(row["label"]), str(row["tracer"] or "")
    return f"{label}, {tracer}" if often[label] > 1 and tracer else label


def forest_plot(
    rows: Sequence[ForestRow],
    *,
    name: str = "forest",
    title: str = "rate [%]",
    ratio: bool = False,
    width_mm: float = DOUBLE_MM,
) -> Figure:
    """Draw values with intervals, one line each, grouped under their headings.

    Parameters
    ----------
    rows : in the order of drawing; rows of one group stand together
    name : stem of the file
    title : of the axis
    ratio : hazard or odds ratios on a logarithmic axis with a line at 1; else fractions from 0 to 100 %
    width_mm : of the figure
    """
    shown = list(rows)[:MOST_FOREST_ROWS]
    headed = any(r.group for r in shown)
    numbers = [estimate_text(r.estimate, percent=not ratio) for r in shown]
    wide_number = max([text_width(t) for t in numbers], default=60.0)
    wide_counts = max([text_width(r.counts) for r in shown], default=0.0)
    width = width_mm * 72 / 25.4
    wide_label = min(max([text_width(r.label) + 4 for r in shown], default=60.0), 0.4 * width)
    left = wide_label + (wide_counts + 10 if wide_counts else 0) + 12
    lines = [wrap(r.label, wide_label - (6 if headed else 0)) for r in shown]
    top, places, headings = _forest_places(shown, lines, headed)
    bottom = (places[-1] + 10 if places else top) + 2
    plate = Plate(width_mm, bottom + 27, label=f"Forest plot of {len(shown)} estimates")
    box = Box(left, max(plate.width - wide_number - 14, left + 60), top, bottom)
    axis = _forest_axis(shown, box, ratio)
    plate.bottom_axis(axis, box, title, grid=True)
    if ratio:
        plate.line(axis(1.0), top, axis(1.0), bottom, stroke=MUTED, stroke_dasharray="3 2")
    for text, y in headings:
        plate.label(2, y, fit_text(text, left - 6), font_weight="bold", class_="forest-group")
    if wide_counts:
        plate.label(left - 10, 6, "n/N" if not ratio else "events", size=SMALL, fill=MUTED, text_anchor="end")
    plate.label(plate.width - 2, 6, f"estimate ({_level(shown)} interval)", size=SMALL, fill=MUTED, text_anchor="end")
    for row, label, number, y in zip(shown, lines, numbers, places, strict=True):
        for offset, line in enumerate(label):
            plate.label(8 if headed else 2, y + 9 * (offset - (len(label) - 1) / 2), line, class_="forest-label",
                        font_weight="bold" if row.own else None)  # fmt: skip
        if row.counts:
            plate.label(left - 10, y, row.counts, text_anchor="end")
        _forest_mark(plate, row, axis, y)
        plate.label(plate.width - 2, y, number, text_anchor="end", font_weight="bold" if row.own else None)
    return plate.figure(name, _forest_caption(shown, len(rows)))


def _forest_places(
    rows: Sequence[ForestRow], lines: Sequence[Sequence[str]], headed: bool
) -> tuple[float, list[float], list[tuple[str, float]]]:
    """Top of the plot, middle of each row, and headings with theirs."""
    top = y = 14.0
    places: list[float] = []
    headings: list[tuple[str, float]] = []
    last: str | None = None
    for row, label in zip(rows, lines, strict=True):
        if headed and row.group != last:
            y += 3.0 if last is not None else 0.0
            headings.append((row.group or "other", y + 7))
            y += 13.0
            last = row.group
        tall = 13.0 if len(label) == 1 else 21.0
        places.append(y + tall / 2)
        y += tall
    return top, places, headings


def _forest_axis(rows: Sequence[ForestRow], box: Box, ratio: bool) -> Axis:
    if not ratio:
        ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
        return Axis(low=0.0, high=1.0, start=box.left, stop=box.right, ticks=ticks, percent=True)
    ends = [v for r in rows for v in (r.estimate.value, r.estimate.low, r.estimate.high) if v is not None]
    return axis_over([*ends, 1.0], box.left, box.right, log=True)


def _forest_mark(plate: Plate, row: ForestRow, axis: Axis, y: float) -> None:
    found = row.estimate
    colour = SERIES[1].colour if row.own else SERIES[0].colour
    if found.low is not None and found.high is not None and (found.low > 0 or not axis.log):
        low, high = axis(found.low), axis(found.high)
        plate.line(low, y, high, y, stroke=colour, stroke_width=1.1, class_="forest-interval")
        for x in (low, high):
            plate.line(x, y - 2, x, y + 2, stroke=colour, stroke_width=0.8)
    if found.value is not None and (found.value > 0 or not axis.log):
        # The area of a marker grows with the number of units, within what stays visible.
        size = min(3.6, max(1.6, 0.45 * math.sqrt(found.n)))
        plate.mark("diamond" if row.own else "square", axis(found.value), y, colour, size=size, class_="forest-value",
                   data_label=row.label, data_value=f"{found.value:.6g}",
                   title=f"{row.label}: {estimate_text(found, percent=axis.percent, method=True)}")  # fmt: skip


def _level(rows: Sequence[ForestRow]) -> str:
    levels = sorted({r.estimate.level for r in rows}) or [0.95]
    return " or ".join(f"{100 * v:g} %" for v in levels)


def _forest_caption(rows: Sequence[ForestRow], total: int) -> str:
    if not rows:
        return "No estimate to show."
    methods = sorted({r.estimate.method for r in rows if r.estimate.low is not None})
    text = f"Squares: published; their size grows with n. Lines: {_level(rows)} intervals ({'; '.join(methods)})."
    if any(r.own for r in rows):
        text = text.replace("published;", "published, diamonds: this cohort;")
    return text + (f" The first {len(rows)} of {total} are shown." if len(rows) < total else "")


def rate_bars(
    rates: Sequence[DetectionRate],
    *,
    name: str = "detection-rates",
    title: str = "detection rate [%]",
    width_mm: float | None = None,
) -> Figure:
    """Draw detection rates by group and tracer, with intervals and the counts below.

    Where a patient has several lesions and the clustered interval is known, that one is drawn.

    Parameters
    ----------
    rates : of one unit and one grouping, such as grade
    name : stem of the file
    title : of the axis
    width_mm : of the figure; two columns when None and there are more than eight bars
    """
    groups = list(dict.fromkeys(r.group for r in rates))
    tracers = list(dict.fromkeys(r.tracer for r in rates))[: len(SERIES)]
    shown = [r for r in rates if r.tracer in tracers][:_MOST_BARS]
    chosen = width_mm or (SINGLE_MM if len(shown) <= 8 else DOUBLE_MM)
    width = chosen * 72 / 25.4
    entries = [Entry(t, SERIES[i], "box") for i, t in enumerate(tracers)]
    head = legend_height(entries, width - 38) + 6 if entries else 4.0
    box = Box(34.0, width - 4, head, head + 130)
    axis = Axis(low=0.0, high=1.0, start=box.bottom, stop=box.top, ticks=(0, 0.25, 0.5, 0.75, 1.0), percent=True)
    pitch = (box.right - box.left) / max(len(groups), 1)
    bar = min(22.0, 0.84 * pitch / max(len(tracers), 1))
    counts = _count_lines(shown, bar)
    below = box.bottom + 4 + 8 * len(counts[0] if counts else ())
    by = next((r.by for r in rates if r.by), "")
    plate = Plate(
        chosen, below + (26 if by else 15), label=f"Detection rates of {len(tracers)} tracers in {len(groups)} groups"
    )
    plate.legend(entries, box.left, 2, box.right - box.left)
    plate.left_axis(axis, box, title)
    for rate, lines in zip(shown, counts, strict=True):
        place = tracers.index(rate.tracer)
        x = box.left + pitch * (groups.index(rate.group) + 0.5) + (place - (len(tracers) - 1) / 2) * bar
        for row, line in enumerate(lines):
            plate.label(
                x, box.bottom + 8 + 8 * row, line, size=_COUNT_SIZE, fill=MUTED, text_anchor="middle", class_="counts"
            )
        _bar(plate, rate, axis, x, bar, SERIES[place].colour)
    plate.line(box.left, box.bottom, box.right, box.bottom, stroke=MUTED)
    for place, group in enumerate(groups):
        label = fit_text(group or "all", pitch - 3)
        plate.label(box.left + pitch * (place + 0.5), below + 7, label, text_anchor="middle", class_="group")
    if by:
        plate.label((box.left + box.right) / 2, below + 18, words(by).lower(), text_anchor="middle", fill=MUTED)
    return plate.figure(name, _bars_caption(shown, len(rates)))


def _count_lines(rates: Sequence[DetectionRate], bar: float) -> list[tuple[str, ...]]:
    """Counts below each bar, all in one line where they fit, else in two, else none."""
    for separator in ("/", "\n/"):
        lines = [tuple(f"{r.rate.k}{separator}{r.rate.n}".split("\n")) for r in rates]
        if all(text_width(t, _COUNT_SIZE) <= bar + 1 for texts in lines for t in texts):
            return lines
    return [() for _ in rates]


def _bar(plate: Plate, rate: DetectionRate, axis: Axis, x: float, bar: float, colour: str) -> None:
    found = rate.rate
    if found.value is None:
        return
    limits = _limits_of(rate)
    wide = 0.86 * bar
    plate.add("rect", x=x - wide / 2, width=wide, y=axis(found.value), height=axis(0) - axis(found.value), fill=colour,
              class_="rate", data_group=rate.group, data_tracer=rate.tracer, data_value=f"{found.value:.6g}",
              title=f"{rate.tracer}, {rate.group or 'all'}: {found.k}/{found.n}, {estimate_text(found, percent=True)}")  # fmt: skip
    if limits.low is not None and limits.high is not None:
        low, high, cap = axis(limits.low), axis(limits.high), min(3.0, wide / 3)
        # A white rim keeps the line visible on its own bar.
        plate.line(x, low, x, high, stroke="#FFFFFF", stroke_width=2.0)
        plate.line(x, low, x, high, stroke=INK, stroke_width=1.0, class_="interval",
                   data_low=f"{limits.low:.6g}", data_high=f"{limits.high:.6g}")  # fmt: skip
        for y in (low, high):
            plate.line(x - cap, y, x + cap, y, stroke=INK, stroke_width=1.0)


def _limits_of(rate: DetectionRate) -> Estimate:
    """The clustered interval where there is one."""
    return rate.clustered if rate.clustered and rate.clustered.low is not None else rate.rate


def _bars_caption(rates: Sequence[DetectionRate], total: int) -> str:
    if not rates:
        return "No detection rate to show."
    clustered = any(r.clustered and r.clustered.low is not None for r in rates)
    methods = sorted({_limits_of(r).method for r in rates})
    text = f"Detected of assessed {rates[0].unit}s; lines: {100 * rates[0].rate.level:g} % intervals ({'; '.join(methods)})."
    if clustered:
        text += " Intervals hold for lesions clustered within patients."
    return text + (f" {len(rates)} of {total} rates are shown." if len(rates) < total else "")


def _maybe(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
