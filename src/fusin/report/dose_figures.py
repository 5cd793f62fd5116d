"""Time-activity curves: one panel per region with its band, the extrapolated part drawn apart, and residuals below."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.dose_table import RegionDose
from fusin.dosimetry.time_activity_region import RegionIntegral
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
    left_margin,
    polyline,
)
from fusin.report.svg import FAINT, GRID, INK, MUTED
from fusin.report.table_text import estimate_text

__all__ = ["PANELS", "time_activity_figures"]

FloatArray = NDArray[np.float64]
PANELS = 6
"""Panels of one figure."""

_COLUMNS, _STEPS = 2, 160
_PLOT, _STRIP, _GAP, _HEAD, _FOOT = 104.0, 30.0, 9.0, 24.0, 30.0
_PANEL = _HEAD + _PLOT + _GAP + _STRIP + _FOOT
_COLOUR, _TAIL = SERIES[0].colour, SERIES[1].colour
_BEYOND = 1.35


def time_activity_figures(regions: Sequence[RegionDose], *, level: float = 0.95) -> tuple[Figure, ...]:
    """Curves of all regions that were integrated, six to a figure.

    Parameters
    ----------
    regions : results of a table
    level : of the bands
    """
    shown = [r.integral for r in regions if r.integral is not None]
    parts = [shown[i : i + PANELS] for i in range(0, len(shown), PANELS)]
    return tuple(_figure(part, number, len(parts), level) for number, part in enumerate(parts, start=1))


def _figure(part: Sequence[RegionIntegral], number: int, of: int, level: float) -> Figure:
    columns = 1 if len(part) == 1 else _COLUMNS
    rows = math.ceil(len(part) / columns)
    width_mm = DOUBLE_MM if columns == _COLUMNS else 0.6 * DOUBLE_MM
    plate = Plate(width_mm, rows * _PANEL + 2, label="Time-activity curves of " + ", ".join(r.region for r in part))
    each = plate.width / columns
    for place, one in enumerate(part):
        _panel(plate, one, (place % columns) * each, (place // columns) * _PANEL, each, level)
    bands = any(r.drawn is not None and r.drawn.band([1.0])[1] is not None for r in part)
    caption = "Points: measured activities" + (
        ", bars: 95 % of their stated uncertainties. "
        if any(r.points.uncertainty_mbq is not None for r in part)
        else ". "
    )
    caption += "Solid line: the curve between the first and the last time; dashed: extrapolated before and after. "
    caption += f"Shaded: pointwise {100 * level:g} % band. " if bands else ""
    caption += "Below: measured less fitted, in percent of the fitted activity."
    if any(r.averaged for r in part):
        caption += " Where models are averaged, the one with the largest weight is drawn."
    name = "time-activity" if of == 1 else f"time-activity-{number}"
    return plate.figure(name, caption)


def _panel(plate: Plate, one: RegionIntegral, left: float, top: float, width: float, level: float) -> None:
    points = one.points
    end = _BEYOND * float(points.time_h[-1]) if points.n > 1 else 2.5 * float(points.time_h[-1])
    grid = np.linspace(0.0, end, _STEPS)
    curve = one.drawn.band(grid, level) if one.drawn is not None else (np.empty(0), None, None)
    u = points.uncertainty_mbq
    reach = points.activity_mbq if u is None else points.activity_mbq + 1.96 * u
    highest = max(float(reach.max()), float(curve[0].max(initial=0.0)))
    band_top = [] if curve[2] is None else [min(float(np.nanmax(curve[2])), 1.4 * highest)]
    y_axis = axis_over([highest, *band_top], 0.0, 1.0, zero=True, about=4)
    box = Box(left + left_margin(y_axis) + 2, left + width - 8, top + _HEAD, top + _HEAD + _PLOT)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    x_axis = axis_over([0.0, end], box.left, box.right, zero=True, about=5)
    # The axis ends where the curve does, so that nothing seems to be missing.
    ticks = tuple(t for t in x_axis.ticks if t <= end * (1 + 1e-9))
    x_axis = Axis(low=0.0, high=end, start=box.left, stop=box.right, ticks=ticks)
    plate.label(box.left, top + 7, fit_text(one.region, width - 30), class_="panel-title", font_weight="bold")
    plate.label(
        box.left, top + 17, fit_text(_subtitle(one), width - (box.left - left) - 4, SMALL), size=SMALL, fill=MUTED
    )
    _axis_left(plate, y_axis, box, left)
    _draw_curve(plate, one, grid, curve, x_axis, y_axis)
    for t, a, bar in zip(points.time_h.tolist(), points.activity_mbq.tolist(), _bars(one), strict=True):
        x = x_axis(t)
        if bar:
            plate.line(
                x,
                y_axis(max(a - bar, y_axis.low)),
                x,
                y_axis(min(a + bar, y_axis.high)),
                stroke=INK,
                stroke_width=0.8,
                class_="error",
            )
        plate.mark("circle", x, y_axis(a), INK, size=2.0, class_="point", data_x=f"{t:.6g}", data_y=f"{a:.6g}")
    strip = Box(box.left, box.right, box.bottom + _GAP, box.bottom + _GAP + _STRIP)
    _residuals(plate, one, x_axis, strip, left)


def _subtitle(one: RegionIntegral) -> str:
    words = "average of models, " if one.averaged else ""
    return f"{words}{one.model}; {estimate_text(one.tia_mbq_h)} MBq h; {100 * one.extrapolated_fraction:.0f} % extrapolated"


def _bars(one: RegionIntegral) -> list[float]:
    u = one.points.uncertainty_mbq
    return [0.0] * one.points.n if u is None else (1.96 * u).tolist()


def _axis_left(plate: Plate, axis: Axis, box: Box, left: float, title: str = "activity [MBq]") -> None:
    """The axis of one panel; the plate's own stands at the left of the whole figure."""
    for value, label in zip(axis.ticks, axis.labels(), strict=True):
        y = axis(value)
        plate.line(box.left, y, box.right, y, stroke=GRID, stroke_width=0.5)
        plate.line(box.left - 2.5, y, box.left, y, stroke=MUTED, stroke_width=0.5)
        plate.label(box.left - 4.5, y, label, size=SMALL, text_anchor="end", class_="tick-y")
    plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
    plate.turned(left + 7.0, (box.top + box.bottom) / 2, title, size=SMALL, text_anchor="middle", class_="title-y")


def _draw_curve(
    plate: Plate,
    one: RegionIntegral,
    grid: FloatArray,
    curve: tuple[FloatArray, FloatArray | None, FloatArray | None],
    x_axis: Axis,
    y_axis: Axis,
) -> None:
    mid, low, high = curve
    if not mid.size:
        return
    first, last = float(one.points.time_h[0]), float(one.points.time_h[-1])
    if low is not None and high is not None:
        upper = np.clip(high, y_axis.low, y_axis.high)
        lower = np.clip(low, y_axis.low, y_axis.high)
        outline = [(x_axis(t), y_axis(v)) for t, v in zip(grid.tolist(), upper.tolist(), strict=True)]
        outline += [(x_axis(t), y_axis(v)) for t, v in zip(grid[::-1].tolist(), lower[::-1].tolist(), strict=True)]
        plate.add("path", d=polyline(outline) + "Z", fill=_COLOUR, fill_opacity=0.16, class_="band")
    if one.drawn is None:
        return
    single = one.points.n == 1
    for start, stop, name in ((0.0, first, "before"), (first, last, "within"), (last, float(grid[-1]), "beyond")):
        if stop <= start or (single and name == "within"):
            continue
        inside = np.concatenate([[start], grid[(grid > start) & (grid < stop)], [stop]])
        values = np.minimum(one.drawn.band(inside)[0], y_axis.high)
        path = polyline([(x_axis(t), y_axis(v)) for t, v in zip(inside.tolist(), values.tolist(), strict=True)])
        within = name == "within"
        plate.add("path", d=path, fill="none", stroke=_COLOUR if within else _TAIL, stroke_width=1.5,
                  stroke_dasharray=None if within else "4 2.5", class_=f"curve-{name}")  # fmt: skip


def _residuals(plate: Plate, one: RegionIntegral, x_axis: Axis, box: Box, left: float) -> None:
    """Relative residuals below a panel."""
    points = one.points
    percent: list[float] = []
    if one.drawn is not None:
        fitted = one.drawn.band(points.time_h)[0]
        percent = (100.0 * (points.activity_mbq / fitted - 1.0)).tolist()
    size = max(5.0, *(abs(p) for p in percent)) if percent else 5.0
    reach = next(m * 10.0**e for e in range(9) for m in (5, 10, 20) if size <= m * 10.0**e * (1 + 1e-9))
    axis = Axis(low=-reach, high=reach, start=box.bottom, stop=box.top, ticks=(-reach, 0.0, reach))
    _axis_left(plate, axis, box, left, title="%")
    plate.line(box.left, axis(0.0), box.right, axis(0.0), stroke=FAINT, stroke_width=0.8)
    for t, p in zip(points.time_h.tolist(), percent, strict=False):
        plate.line(x_axis(t), axis(0.0), x_axis(t), axis(p), stroke=INK, stroke_width=0.8)
        plate.mark("circle", x_axis(t), axis(p), INK, size=1.6, class_="residual")
    plate.bottom_axis(x_axis, box, "")
    plate.label(
        (box.left + box.right) / 2, box.bottom + 18, "hours after administration", size=SMALL, text_anchor="middle"
    )
