"""A chromatogram with every line of its integration: baseline, bounds, drop lines, skims, fits, origin and front."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fusin.radiopharmacy.chromatogram import FloatArray, Trace
from fusin.radiopharmacy.chromatogram_run import ChromatogramRun, Piece
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    SMALL,
    Axis,
    Box,
    Figure,
    Plate,
    axis_over,
    fit_text,
    polyline,
    text_width,
)
from fusin.report.svg import FAINT, INK, MUTED

__all__ = ["chromatogram_plot", "thinned"]

_COLOURS = {"product": SERIES[0].colour, "impurity": SERIES[1].colour, "": SERIES[2].colour}
_MOST_ROWS, _ROW = 4, 10.0
_COLUMNS = 900
_MAGNIFIED = 0.04
_FULL, _LOW, _OTHER, _GAP = 130.0, 95.0, 60.0, 40.0


def chromatogram_plot(run: ChromatogramRun, *, name: str = "chromatogram", width_mm: float = DOUBLE_MM) -> Figure:
    """Draw a run or strip: the whole signal, its foot magnified, and further channels below.

    Parameters
    ----------
    run : what was evaluated; signals are drawn as measured, before the correction of decay
    name : stem of the file
    width_mm : of the figure
    """
    width = width_mm * 72.0 / 25.4
    labels, rows = _label_rows(run, width)
    top = 8.0 + _ROW * rows
    panels = [_FULL, _LOW] + [_OTHER] * min(len(run.other), 1)
    height = top + sum(panels) + _GAP * len(panels) + 4
    plate = Plate(width_mm, height, label=f"Chromatogram of {run.system}")
    x = run.signal.x
    unit = "time [min]" if run.kind == "hplc" else "distance [mm]"
    left, right = 46.0, width - 8.0
    x_axis = _span(float(x[0]), float(x[-1]), left, right)
    y_name = "counts per point" if run.signal.poisson is not None else run.trace.y_unit
    box = Box(left, right, top, top + _FULL)
    _panel(plate, run, x_axis, axis_over([0.0, float(run.signal.y.max()), float(run.signal.y.min())], box.bottom, box.top), box,
           (y_name, unit))  # fmt: skip
    for piece, x_label, row, text in labels:
        y = 4.0 + _ROW * (row + 0.5)
        at = x_axis(0.5 * (piece.start + piece.end) if piece.apex is None else piece.apex)
        plate.line(at, y + 4.5, at, box.top, stroke=FAINT, stroke_width=0.5, class_="leader")
        plate.label(
            x_label, y, text, size=SMALL, fill=_COLOURS.get(piece.role, INK), text_anchor="middle", class_="piece-label"
        )
    box = Box(left, right, box.bottom + _GAP, box.bottom + _GAP + _LOW)
    low, high = _foot(run)
    _panel(plate, run, x_axis, axis_over([low, high], box.bottom, box.top, about=3), box, (f"{y_name}, foot", unit))
    for trace in run.other[:1]:
        box = Box(left, right, box.bottom + _GAP, box.bottom + _GAP + _OTHER)
        _channel(plate, trace, x_axis, box, unit)
    return plate.figure(name, _caption(run))


def thinned(x: FloatArray, y: FloatArray, columns: int = _COLUMNS) -> tuple[FloatArray, FloatArray]:
    """At most two points per column, the lowest and the highest, so that no peak is lost in a long run."""
    if x.size <= 2 * columns:
        return x, y
    edges = np.linspace(0, x.size, columns + 1).astype(int)
    keep = []
    for first, last in pairwise(edges.tolist()):
        part = y[first:last]
        keep += sorted({first + int(part.argmin()), first + int(part.argmax())})
    return x[keep], y[keep]


def _span(low: float, high: float, start: float, stop: float) -> Axis:
    """An axis that ends where the data end, with round ticks inside."""
    rounded = axis_over([low, high], start, stop, about=8)
    inside = tuple(t for t in rounded.ticks if low - 1e-9 * (high - low) <= t <= high + 1e-9 * (high - low))
    return Axis(low=low, high=high, start=start, stop=stop, ticks=inside or (low, high))


def _foot(run: ChromatogramRun) -> tuple[float, float]:
    """Range of the magnified panel: a few percent of the highest peak, and all of the baseline."""
    y, base = run.signal.y, run.baseline.values
    low = float(min(np.percentile(y, 1.0), base.min(), 0.0))
    high = float(np.median(base)) + _MAGNIFIED * float((y - base).max())
    noise = float(np.percentile(np.abs(np.diff(y)), 50.0))
    return low, max(high, float(np.median(base)) + 6.0 * noise, low + 1e-9)


def _panel(plate: Plate, run: ChromatogramRun, x_axis: Axis, y_axis: Axis, box: Box, titles: tuple[str, str]) -> None:
    plate.left_axis(y_axis, box, titles[0])
    plate.bottom_axis(x_axis, box, titles[1])
    x, y, base = run.signal.x, run.signal.y, run.baseline.values

    def points(xs: FloatArray, ys: FloatArray) -> list[tuple[float, float]]:
        inside = np.clip(ys, y_axis.low, y_axis.high)
        return [(x_axis(float(a)), y_axis(float(b))) for a, b in zip(xs, inside, strict=True)]

    skims = {s.name: s for s in run.skims}
    for piece in run.pieces:
        colour = _COLOURS.get(piece.role, _COLOURS[""])
        inside = (x >= piece.start) & (x <= piece.end)
        if inside.any():
            under = (
                skims[piece.name].y
                if piece.name in skims and skims[piece.name].x.size == int(inside.sum())
                else base[inside]
            )
            up_x, up_y = thinned(x[inside], y[inside])
            down_x, down_y = thinned(x[inside], under)
            outline = points(up_x, up_y) + points(down_x, down_y)[::-1]
            plate.add(
                "path", d=polyline(outline) + "Z", fill=colour, fill_opacity=0.25, class_="area", data_name=piece.name
            )
        for bound in (piece.start, piece.end):
            if x[0] <= bound <= x[-1]:
                foot = float(np.interp(bound, x, base))
                head = float(np.interp(bound, x, y))
                if run.kind == "tlc":
                    plate.line(x_axis(bound), box.top, x_axis(bound), box.bottom, stroke=colour, stroke_width=0.5,
                               stroke_dasharray="2 2", class_="bound")  # fmt: skip
                else:
                    ends = [y_axis(min(max(v, y_axis.low), y_axis.high)) for v in (foot, head)]
                    plate.line(x_axis(bound), min(ends) - 3, x_axis(bound), max(ends) + 3, stroke=colour, stroke_width=0.8,
                               class_="drop-line")  # fmt: skip
    for fit in run.fits:
        under = np.interp(fit.x, x, base)
        for curve in fit.curves:
            plate.add("path", d=polyline(points(*thinned(fit.x, under + curve))), fill="none", stroke=MUTED,
                      stroke_width=0.6, stroke_dasharray="4 2", class_="fit")  # fmt: skip
    plate.add("path", d=polyline(points(*thinned(x, y))), fill="none", stroke=INK, stroke_width=0.7, class_="signal")
    plate.add(
        "path",
        d=polyline(points(*thinned(x, base))),
        fill="none",
        stroke="#8A6D00",
        stroke_width=0.9,
        class_="baseline",
    )
    for skim in run.skims:
        plate.add("path", d=polyline(points(skim.x, skim.y)), fill="none", stroke="#8A6D00", stroke_width=0.9,
                  stroke_dasharray="3 1.5", class_="skim")  # fmt: skip
    _ends_of_strip(plate, run, x_axis, box)


def _ends_of_strip(plate: Plate, run: ChromatogramRun, x_axis: Axis, box: Box) -> None:
    for text, at in (("origin", run.method.origin_mm), ("front", run.method.front_mm)):
        if run.kind == "tlc" and at is not None and x_axis.within(at):
            plate.line(x_axis(at), box.top, x_axis(at), box.bottom, stroke=INK, stroke_width=0.9, class_=text)
            plate.turned(x_axis(at) - 5, box.top + 4, text, size=SMALL, fill=MUTED, text_anchor="end")


def _channel(plate: Plate, trace: Trace, x_axis: Axis, box: Box, unit: str) -> None:
    inside = (trace.x >= x_axis.low) & (trace.x <= x_axis.high)
    y_axis = axis_over([float(trace.y.min()), float(trace.y.max())], box.bottom, box.top, about=2)
    plate.left_axis(y_axis, box, fit_text(trace.y_unit, box.bottom - box.top))
    plate.bottom_axis(x_axis, box, unit)
    xs, ys = thinned(trace.x[inside], trace.y[inside])
    path = [(x_axis(float(a)), y_axis(float(b))) for a, b in zip(xs, ys, strict=True)]
    plate.add("path", d=polyline(path), fill="none", stroke=SERIES[3].colour, stroke_width=0.8, class_="channel")
    plate.label(box.right - 2, box.top + 5, trace.name, size=SMALL, fill=MUTED, text_anchor="end")


def _label_rows(run: ChromatogramRun, width: float) -> tuple[list[tuple[Piece, float, int, str]], int]:
    """Names with percentages above the plot, in as many rows as they need to stand apart; the rest is in the table."""
    x = run.signal.x
    axis = _span(float(x[0]), float(x[-1]), 46.0, width - 8.0)
    free = [0.0] * _MOST_ROWS
    placed: list[tuple[Piece, float, int, str]] = []
    for piece in sorted(run.pieces, key=lambda p: p.start):
        percent = "" if piece.percent is None else f" {piece.percent.value:.2f} %"
        text = fit_text(piece.name, 110.0, SMALL) + percent
        half = 0.5 * text_width(text, SMALL)
        at = axis(0.5 * (piece.start + piece.end) if piece.apex is None else piece.apex)
        at = min(max(at, half + 2.0), width - half - 2.0)
        row = next((r for r in range(_MOST_ROWS) if free[r] <= at - half), None)
        if row is not None:
            free[row] = at + half + 4.0
            placed.append((piece, at, row, text))
    return placed, 1 + max((p[2] for p in placed), default=0)


def _caption(run: ChromatogramRun) -> str:
    text = f"{run.trace.where}, as measured. Brown: {run.baseline.model} baseline; coloured: areas between their bounds"
    text += " (blue product, orange impurity, green other)."
    if run.skims:
        text += " Dashed brown: skims."
    if run.fits:
        text += f" Dashed grey: fitted shapes ({run.fits[0].shape})."
    if run.kind == "tlc" and run.method.origin_mm is not None:
        text += " Black verticals: origin and front."
    return text + " Lower panel: the foot magnified, cut off above."
