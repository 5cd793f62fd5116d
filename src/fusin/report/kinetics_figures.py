"""Figures of tracer kinetics: measured and fitted curves with residuals, graphical plots, the input function."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fusin.receptor.frames import FloatArray
from fusin.receptor.graphical import LINES, GraphicalFit
from fusin.receptor.kinetics import RegionKinetics
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

__all__ = ["MOST_PANELS", "kinetics_figures"]

MOST_PANELS = 12
"""Regions that are drawn; the tables hold all."""

_PER_FIGURE, _COLUMNS = 6, 2
_HEAD, _PLOT, _GAP, _STRIP, _FOOT = 25.0, 100.0, 9.0, 28.0, 30.0
_PANEL = _HEAD + _PLOT + _GAP + _STRIP + _FOOT
_COLOUR, _OTHER = SERIES[0].colour, SERIES[1].colour
_LABELS = {
    "patlak": ("∫ plasma / plasma [min]", "tissue / plasma"), "logan": ("∫ plasma / tissue [min]", "∫ tissue / tissue [min]"),
    "ma1": ("∫ plasma / ∫ tissue", "tissue / ∫ tissue [1/min]"),
    "logan-ref": ("∫ reference / tissue [min]", "∫ tissue / tissue [min]"),
}  # fmt: skip


def kinetics_figures(regions: Sequence[RegionKinetics], *, unit: str) -> tuple[Figure, ...]:
    """Curves or plots of the first regions, six to a figure, and their input.

    Parameters
    ----------
    regions : results; those without one are left out
    unit : of the activities
    """
    shown = [r for r in regions if not r.reason][:MOST_PANELS]
    parts = [shown[i : i + _PER_FIGURE] for i in range(0, len(shown), _PER_FIGURE)]
    figures = [_figure(part, number, len(parts), unit) for number, part in enumerate(parts, start=1)]
    sources = [r for r in shown if r.source is not None]
    if sources:
        figures.append(_input_figure(sources[0], unit))
    return tuple(figures)


def _figure(part: Sequence[RegionKinetics], number: int, of: int, unit: str) -> Figure:
    columns = 1 if len(part) == 1 else _COLUMNS
    rows = math.ceil(len(part) / columns)
    lines = part[0].line is not None
    each_height = _HEAD + _PLOT + _FOOT if lines else _PANEL
    plate = Plate(DOUBLE_MM if columns == _COLUMNS else 0.6 * DOUBLE_MM, rows * each_height + 2,
                  label="Tracer kinetics of " + ", ".join(r.curve.name for r in part))  # fmt: skip
    each = plate.width / columns
    for place, one in enumerate(part):
        left, top = (place % columns) * each, (place // columns) * each_height
        if one.line is not None:
            _line_panel(plate, one, one.line, left, top, each)
        else:
            _curve_panel(plate, one, left, top, each, unit)
    name = ("plots" if lines else "curves") + ("" if of == 1 else f"-{number}")
    if lines:
        caption = (
            "Points: frames; filled ones make the line. The slope of the line is the result; t* is where it begins."
        )
    else:
        caption = (
            "Points: measured activity at the middle of its frame; pale ones have no weight. Line: the fitted model. "
            "Below: measured less fitted, in percent of the largest measured value."
        )
    return plate.figure(name, caption)


def _frame(
    plate: Plate, one: RegionKinetics, left: float, top: float, width: float, x: FloatArray, y: FloatArray
) -> tuple[Box, Axis, Axis]:
    y_axis = axis_over([*y.tolist(), 0.0], 0.0, 1.0, zero=True, about=4)
    box = Box(left + left_margin(y_axis) + 2, left + width - 10, top + _HEAD, top + _HEAD + _PLOT)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    x_axis = _across(float(x.max()), box)
    plate.label(box.left, top + 7, fit_text(one.curve.name, width - 30), class_="panel-title", font_weight="bold")
    plate.label(
        box.left, top + 17, fit_text(_subtitle(one), width - (box.left - left) - 4, SMALL), size=SMALL, fill=MUTED
    )
    return box, x_axis, y_axis


def _across(end: float, box: Box) -> Axis:
    """Axis from 0 that ends where the data do."""
    axis = axis_over([0.0, end], box.left, box.right, zero=True, about=5)
    ticks = tuple(t for t in axis.ticks if t <= end * (1 + 1e-9))
    return Axis(low=0.0, high=1.02 * end, start=box.left, stop=box.right, ticks=ticks)


def _subtitle(one: RegionKinetics) -> str:
    macro = next((n for n in ("VT", "Ki", "BP_ND", "DVR") if n in one.estimates), "")
    return f"{one.model}; {macro.replace('_ND', ' ND')} {estimate_text(one.estimates[macro])}" if macro else one.model


def _left(plate: Plate, axis: Axis, box: Box, left: float, title: str) -> None:
    """The axis of one panel; the plate's own stands at the left of the whole figure."""
    for value, label in zip(axis.ticks, axis.labels(), strict=True):
        y = axis(value)
        plate.line(box.left, y, box.right, y, stroke=GRID, stroke_width=0.5)
        plate.label(box.left - 4.5, y, label, size=SMALL, text_anchor="end", class_="tick-y")
    plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
    plate.turned(left + 7.0, (box.top + box.bottom) / 2, title, size=SMALL, text_anchor="middle", class_="title-y")


def _curve_panel(plate: Plate, one: RegionKinetics, left: float, top: float, width: float, unit: str) -> None:
    curve = one.curve
    time, activity = np.asarray(curve.frames.mid_min), curve.activity
    fitted = one.compartments.fitted if one.compartments is not None else np.zeros(0)
    box, x_axis, y_axis = _frame(
        plate, one, left, top, width, np.array([curve.frames.last_min]), np.concatenate([activity, fitted])
    )
    _left(plate, y_axis, box, left, f"activity [{unit}]" if unit else "activity")
    for t, a, w in zip(time.tolist(), activity.tolist(), one.weights.tolist(), strict=True):
        plate.mark(
            "circle",
            x_axis(t),
            y_axis(a),
            INK if w > 0 else FAINT,
            size=1.7,
            class_="point",
            data_x=f"{t:.6g}",
            data_y=f"{a:.6g}",
        )
    path = polyline([(x_axis(t), y_axis(v)) for t, v in zip(time.tolist(), fitted.tolist(), strict=True)])
    plate.add("path", d=path, fill="none", stroke=_COLOUR, stroke_width=1.3, class_="fitted")
    strip = Box(box.left, box.right, box.bottom + _GAP, box.bottom + _GAP + _STRIP)
    percent = 100.0 * (activity - fitted) / max(float(np.abs(activity).max()), 1e-300)
    size = max(1.0, float(np.abs(percent).max()))
    reach = next(m * 10.0**e for e in range(9) for m in (1, 2, 5, 10) if size <= m * 10.0**e * (1 + 1e-9))
    axis = Axis(low=-reach, high=reach, start=strip.bottom, stop=strip.top, ticks=(-reach, 0.0, reach))
    _left(plate, axis, strip, left, "%")
    for t, p in zip(time.tolist(), percent.tolist(), strict=True):
        plate.line(x_axis(t), axis(0.0), x_axis(t), axis(p), stroke=INK, stroke_width=0.7)
        plate.mark("circle", x_axis(t), axis(p), INK, size=1.2, class_="residual")
    plate.bottom_axis(x_axis, strip, "")
    plate.label((strip.left + strip.right) / 2, strip.bottom + 18, "minutes", size=SMALL, text_anchor="middle")


def _line_panel(plate: Plate, one: RegionKinetics, line: GraphicalFit, left: float, top: float, width: float) -> None:
    # Frames before the tracer arrives would stretch the axes without telling anything.
    good = np.isfinite(line.x) & np.isfinite(line.y) & (line.x >= 0)
    far = float(line.x[line.used].max())
    good &= (line.x <= 1.5 * far) & (np.abs(line.y) <= 3.0 * float(np.abs(line.y[line.used]).max()))
    box, x_axis, y_axis = _frame(plate, one, left, top, width, line.x[good], line.y[good])
    across, up = _LABELS[line.method]
    _left(plate, y_axis, box, left, up)
    ends = [float(line.x[line.used].min()), far]
    slope, offset = line.value, line.intercept
    if line.method == "ma1":
        # C/∫C = a ∫Cp/∫C + b with VT = -a/b and intercept 1/b.
        slope, offset = -line.value / line.intercept, 1.0 / line.intercept
    plate.line(x_axis(ends[0]), y_axis(slope * ends[0] + offset), x_axis(ends[1]), y_axis(slope * ends[1] + offset),
               stroke=_COLOUR, stroke_width=1.3, class_="line")  # fmt: skip
    for i in np.flatnonzero(good):
        plate.mark(
            "circle",
            x_axis(float(line.x[i])),
            y_axis(float(line.y[i])),
            INK if line.used[i] else FAINT,
            size=1.9,
            class_="point",
        )
    plate.bottom_axis(x_axis, box, "")
    note = (
        f"{across}; t* {line.t_star_min:.3g} min, {LINES[line.method]} is the slope"
        if line.method != "ma1"
        else f"{across}; t* {line.t_star_min:.3g} min"
    )
    plate.label(
        (box.left + box.right) / 2, box.bottom + 18, fit_text(note, width - 20, SMALL), size=SMALL, text_anchor="middle"
    )


def _input_figure(one: RegionKinetics, unit: str) -> Figure:
    """Plasma and blood on a logarithmic axis."""
    source = one.source
    assert source is not None
    end = one.curve.frames.last_min
    plate = Plate(0.6 * DOUBLE_MM, _HEAD + _PLOT + _FOOT + 2, label="Input function")
    series = [
        (
            "reference region" if one.model in ("srtm", "logan-ref") else "plasma, unchanged tracer",
            source.time_min,
            source.plasma,
            _COLOUR,
        )
    ]
    if source.blood is not None and source.blood_time_min is not None:
        series.append(("whole blood", source.blood_time_min, source.blood, _OTHER))
    top_value = max(float(v.max()) for _, _, v, _ in series)
    lowest = min(float(v[v > 0].min()) for _, _, v, _ in series)
    y_axis = axis_over([top_value, max(lowest, top_value / 1000.0)], 0.0, 1.0, log=True)
    box = Box(left_margin(y_axis) + 2, plate.width - 10, _HEAD, _HEAD + _PLOT)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks, log=True)
    x_axis = _across(end, box)
    plate.left_axis(y_axis, box, f"activity [{unit}]" if unit else "activity")
    at = box.left
    for name, time, value, colour in series:
        keep = (value > y_axis.low) & (time <= end)
        path = polyline(
            [(x_axis(t), y_axis(v)) for t, v in zip(time[keep].tolist(), value[keep].tolist(), strict=True)]
        )
        plate.add(
            "path",
            d=path,
            fill="none",
            stroke=colour,
            stroke_width=1.2,
            stroke_dasharray=None if colour == _COLOUR else "5 2",
        )
        plate.line(
            at, 10, at + 14, 10, stroke=colour, stroke_width=1.4, stroke_dasharray=None if colour == _COLOUR else "5 2"
        )
        plate.label(at + 18, 10, name)
        at += 130
    plate.bottom_axis(x_axis, box, "minutes")
    scan = f" of {one.curve.scan}" if one.curve.scan else ""
    return plate.figure(
        "input", f"Input function{scan}, lines between the samples; values below a thousandth of the peak are left out."
    )
