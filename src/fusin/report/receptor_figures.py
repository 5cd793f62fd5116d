"""Figures of a reaction model: time courses with bands, responses to doses, families of courses, sensitivities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.receptor.monte_carlo import Draws
from fusin.receptor.scan import Scan
from fusin.receptor.sensitivity import Sensitivity
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    SMALL,
    Axis,
    Box,
    Entry,
    Figure,
    Plate,
    axis_over,
    fit_text,
    left_margin,
    legend_height,
    polyline,
    text_width,
)
from fusin.report.svg import GRID, MUTED
from fusin.report.table_text import number_text

__all__ = ["Look", "course_figure", "family_figure", "response_figure", "sensitivity_figure"]

FloatArray = NDArray[np.float64]
_COLUMNS, _PLOT, _HEAD, _FOOT = 2, 104.0, 16.0, 30.0
_PANEL = _HEAD + _PLOT + _FOOT
_BARS = 14
_SMALLEST = 1e-4
_COLOUR = SERIES[0].colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Words of the figures of one model.

    Attributes
    ----------
    names : column to what a person calls it
    units : column to its unit, or an empty text
    time_unit : of the axis, or an empty text
    time_factor : model time to the time of the axis
    model_time : unit of the model's time, or an empty text
    notes : lines below each figure
    """

    names: Mapping[str, str]
    units: Mapping[str, str]
    time_unit: str
    time_factor: float
    model_time: str
    notes: tuple[str, ...] = ()

    def time_title(self) -> str:
        """Title of the axis of time."""
        return f"time [{self.time_unit}]" if self.time_unit else "time [unit of the model]"

    def title(self, column: str) -> str:
        """Heading of a panel."""
        name, unit = self.names.get(column, column), self.units.get(column, "")
        return f"{name} [{unit}]" if unit else name


def course_figure(time: FloatArray, courses: Mapping[str, FloatArray], look: Look, *, draws: Draws | None) -> Figure:
    """One panel for each column; shares of the draws as bands."""
    plate, places = _panels(list(courses), look, "Time courses")
    x = time * look.time_factor
    for (column, values), place in zip(courses.items(), places, strict=True):
        bands = draws.bands(column) if draws is not None else None
        top = [values] if bands is None else [values, bands[0], bands[-1]]
        x_axis, y_axis, box = _axes(plate, place, x, np.concatenate(top), look.time_title())
        if bands is not None:
            for low, high, opacity in ((0, 4, 0.14), (1, 3, 0.22)):
                outline = _points(x, bands[high], x_axis, y_axis) + _points(x, bands[low], x_axis, y_axis)[::-1]
                plate.add("path", d=polyline(outline) + "Z", fill=_COLOUR, fill_opacity=opacity, class_="band")
            _curve(plate, x, bands[2], x_axis, y_axis, colour=_COLOUR, class_="median", dash="3 2")
        _curve(plate, x, values, x_axis, y_axis, colour=_COLOUR, class_="course")
        _panel_title(plate, box, look.title(column))
    caption = "Time courses of the columns that change most, or that were asked for."
    if draws is not None:
        n = len(draws.values)
        caption += (
            f" Shaded: the middle 50 % and 95 % of {n} draws of the parameters from their ranges; dashed: their median; "
            "solid: the values of the model. The bands are no confidence intervals."
        )
    return _finished(plate, look, len(courses), "time-course", caption)


def response_figure(found: Scan, columns: Sequence[str], look: Look) -> Figure:
    """End and extreme of each column against the value that was changed."""
    plate, places = _panels(list(columns), look, f"Responses to {found.symbol}", extra=14.0)
    unit = f" [{found.span.unit_text}]" if found.span.unit_text else ""
    title = look.names.get(found.symbol, found.symbol) + unit
    for column, place in zip(columns, places, strict=True):
        responses = found.responses(column)
        series = {"highest": [r.highest for r in responses], "end": [r.end for r in responses]}
        every = np.array([v for values in series.values() for v in values])
        x_axis, y_axis, box = _axes(plate, place, found.x, every, title, log=found.span.log)
        for style, (word, values) in zip(SERIES, series.items(), strict=False):
            _curve(plate, found.x, np.array(values), x_axis, y_axis, colour=style.colour, class_=word, dash=style.dash)
            for one, value in zip(found.x.tolist(), values, strict=True):
                plate.mark(style.shape, x_axis(one), y_axis(value), style.colour, size=1.7, class_="point")
        _panel_title(plate, box, look.title(column))
    entries = [Entry("highest value", SERIES[0]), Entry("value at the end", SERIES[1])]
    plate.legend(entries, 8, plate.height - 14 - 10 * len(look.notes), plate.width - 16)
    return _finished(plate, look, len(columns), "response", f"Responses over the range of {found.symbol}.")


def family_figure(found: Scan, column: str, look: Look) -> Figure:
    """Courses of one column for some of the values."""
    picked = sorted({round(i) for i in np.linspace(0, len(found.x) - 1, min(len(SERIES), len(found.x))).tolist()})
    unit = f" {found.span.unit_text}" if found.span.unit_text else ""
    entries = [Entry(f"{number_text(float(found.x[i]))}{unit}", s) for i, s in zip(picked, SERIES, strict=False)]
    width = DOUBLE_MM * 72 / 25.4
    legend = legend_height(entries, width - 60)
    plate = Plate(
        DOUBLE_MM, 166 + 34 + legend + 10 * len(look.notes) + 4, label=f"{column} for values of {found.symbol}"
    )
    x = found.time * look.time_factor
    place = found.columns.index(column)
    x_axis, y_axis, box = _axes(
        plate, (0.0, 0.0, width, 166 + 30), x, found.values[picked, :, place].ravel(), look.time_title()
    )  # fmt: skip
    for i, style in zip(picked, SERIES, strict=False):
        _curve(
            plate, x, found.values[i, :, place], x_axis, y_axis, colour=style.colour, dash=style.dash, class_="course"
        )
    _panel_title(plate, box, f"{look.title(column)} by {look.names.get(found.symbol, found.symbol)}")
    plate.legend(entries, box.left, 166 + 34, width - 60)
    plate.notes(look.notes, 8, plate.height - 10 * len(look.notes) - 2)
    return plate.figure("family", f"{look.names.get(column, column)} for values of {found.symbol} over the range.")


def sensitivity_figure(found: Sequence[Sensitivity], output: str, look: Look) -> Figure:
    """The parameters that change the mean of an output most."""
    rows = [s for s in found if s.output == output and math.isfinite(s.mean) and abs(s.mean) > _SMALLEST]
    rows = sorted(rows, key=lambda s: -abs(s.mean))[:_BARS]
    width = DOUBLE_MM * 72 / 25.4
    left = min(150.0, max((text_width(s.parameter) for s in rows), default=0.0) + 14)
    box = Box(left, width - 14, 18.0, 18.0 + 14.0 * max(len(rows), 1))
    axis = axis_over([0.0, *(s.mean for s in rows)], box.left, box.right, zero=True, about=6)
    plate = Plate(DOUBLE_MM, box.bottom + 32 + 10 * len(look.notes), label=f"Sensitivities of {output}")
    plate.bottom_axis(axis, box, "percent of the mean per percent of the parameter", grid=True)
    plate.line(axis(0.0), box.top, axis(0.0), box.bottom, stroke=MUTED)
    for number, one in enumerate(rows):
        y = box.top + 14.0 * (number + 0.5)
        plate.label(left - 6, y, fit_text(one.parameter, left - 10), text_anchor="end", class_="parameter")
        start, stop = sorted((axis(0.0), axis(one.mean)))
        plate.add("rect", x=start, y=y - 4, width=max(stop - start, 0.2), height=8, fill=_COLOUR, class_="bar")
    plate.label(
        box.left, 8, f"Mean of {look.names.get(output, output)} over time", font_weight="bold", class_="panel-title"
    )
    plate.notes(look.notes, 8, plate.height - 10 * len(look.notes) - 2)
    return plate.figure(
        f"sensitivity-{output}", f"Local sensitivities of the mean of {output}, the {len(rows)} largest."
    )


def _panels(
    columns: Sequence[str], look: Look, label: str, extra: float = 0.0
) -> tuple[Plate, list[tuple[float, float, float, float]]]:
    """A plate with a place (left, top, width, height) for each column."""
    across = 1 if len(columns) == 1 else _COLUMNS
    rows = math.ceil(len(columns) / across)
    height = rows * _PANEL + extra + 10.0 * len(look.notes) + 4
    plate = Plate(DOUBLE_MM if across > 1 else 0.65 * DOUBLE_MM, height, label=f"{label}: " + ", ".join(columns))
    each = plate.width / across
    return plate, [((i % across) * each, (i // across) * _PANEL, each, _PANEL) for i in range(len(columns))]


def _axes(
    plate: Plate,
    place: tuple[float, float, float, float],
    x: FloatArray,
    y: FloatArray,
    title: str,
    *,
    log: bool = False,
) -> tuple[Axis, Axis, Box]:
    left, top, width, height = place
    finite = y[np.isfinite(y)]
    y_axis = axis_over(finite.tolist(), 0.0, 1.0, zero=True, about=4)
    box = Box(left + left_margin(y_axis) - 6, left + width - 12, top + _HEAD, top + height - _FOOT)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    x_axis = axis_over(x.tolist(), box.left, box.right, zero=not log, about=5, log=log)
    if not log:
        ticks = tuple(t for t in x_axis.ticks if t <= float(x[-1]) * (1 + 1e-9))
        x_axis = Axis(low=0.0, high=float(x[-1]), start=box.left, stop=box.right, ticks=ticks)
    for value, label in zip(y_axis.ticks, y_axis.labels(), strict=True):
        at = y_axis(value)
        plate.line(box.left, at, box.right, at, stroke=GRID, stroke_width=0.5)
        plate.label(box.left - 4.5, at, label, size=SMALL, text_anchor="end", class_="tick-y")
    plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
    plate.bottom_axis(x_axis, box, "")
    plate.label((box.left + box.right) / 2, box.bottom + 18, title, size=SMALL, text_anchor="middle", class_="title-x")
    return x_axis, y_axis, box


def _panel_title(plate: Plate, box: Box, text: str) -> None:
    shown = fit_text(text, box.right - box.left)
    plate.label(box.left, box.top - 8, shown, class_="panel-title", font_weight="bold")


def _points(x: FloatArray, y: FloatArray, x_axis: Axis, y_axis: Axis) -> list[tuple[float, float]]:
    return [(x_axis(a), y_axis(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True) if math.isfinite(b)]


def _curve(
    plate: Plate,
    x: FloatArray,
    y: FloatArray,
    x_axis: Axis,
    y_axis: Axis,
    *,
    colour: str,
    class_: str,
    dash: str | None = None,
) -> None:
    plate.add("path", d=polyline(_points(x, y, x_axis, y_axis)), fill="none", stroke=colour, stroke_width=1.4,
              stroke_dasharray=dash, class_=class_)  # fmt: skip


def _finished(plate: Plate, look: Look, panels: int, name: str, caption: str) -> Figure:
    if panels:
        plate.notes(look.notes, 8, plate.height - 10 * len(look.notes) - 2)
    return plate.figure(name, caption)
