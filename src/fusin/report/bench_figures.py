"""Figures of the bench: bars per organ with every animal, and courses over time; none computes a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    SINGLE_MM,
    Axis,
    Box,
    Entry,
    Figure,
    Plate,
    Series,
    axis_over,
    fit_text,
    left_margin,
    legend_height,
    polyline,
    text_width,
)
from fusin.report.svg import INK, MUTED, short

__all__ = ["Bar", "Course", "CoursePoint", "bars_of_organs", "course_over_time"]

_POINTS_PER_MM = 72 / 25.4
_TURN = 38.0
MOST_ORGANS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar.

    Attributes
    ----------
    series, organ : which
    mean : height
    sd : whisker, None for one animal
    values : of the animals, drawn as dots
    """

    series: str
    organ: str
    mean: float
    sd: float | None
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursePoint:
    """Mean at one time with the ends of its whisker; ``values`` are drawn as dots."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One series over time.

    Attributes
    ----------
    label : in the legend
    points : means
    line : points of a fitted line; the means are joined when empty
    """

    label: str
    points: tuple[CoursePoint, ...]
    line: tuple[tuple[float, float], ...] = ()


def bars_of_organs(
    bars: Sequence[Bar], *, title: str, dispersion: str = "SD", name: str = "organs", width_mm: float = DOUBLE_MM
) -> Figure:
    """Grouped bars: organs along the axis, one colour for each group or time, every animal as a dot.

    Parameters
    ----------
    bars : in the order of organs and series
    title : of the axis, with its unit
    dispersion : what the whiskers are, for the caption
    name : stem of the file
    width_mm : of the figure
    """
    organs = list(dict.fromkeys(b.organ for b in bars))
    total, organs = len(organs), organs[:MOST_ORGANS]
    series = list(dict.fromkeys(b.series for b in bars))[: len(SERIES)]
    shown = [b for b in bars if b.organ in organs and b.series in series]
    width = width_mm * _POINTS_PER_MM
    entries = [Entry(s or "all", SERIES[i], "box") for i, s in enumerate(series)]
    ends = [v for b in shown for v in (b.mean - (b.sd or 0.0), b.mean + (b.sd or 0.0), *b.values)]
    ends = _extent(ends)
    head = (legend_height(entries, width - 44) + 6.0) if len(series) > 1 else 6.0
    probe = axis_over(ends, 0.0, 1.0, zero=True)
    names = max((text_width(fit_text(o, 90)) for o in organs), default=0.0)
    drop = 12.0 + names * math.sin(math.radians(_TURN))
    box = Box(left_margin(probe), width - 4, head, head + 150)
    axis = axis_over(ends, box.bottom, box.top, zero=True)
    plate = Plate(width_mm, box.bottom + drop + 6, label=f"{title} of {len(organs)} organs in {len(series)} groups")
    if len(series) > 1:
        plate.legend(entries, box.left, 2, box.right - box.left)
    plate.left_axis(axis, box, title)
    pitch = (box.right - box.left) / max(len(organs), 1)
    wide = min(20.0, 0.84 * pitch / max(len(series), 1))
    for bar in shown:
        place = series.index(bar.series)
        x = box.left + pitch * (organs.index(bar.organ) + 0.5) + (place - (len(series) - 1) / 2) * wide
        _bar(plate, bar, axis, x, 0.86 * wide, SERIES[place])
    plate.line(box.left, axis(0.0), box.right, axis(0.0), stroke=MUTED)
    for place, organ in enumerate(organs):
        x, y = box.left + pitch * (place + 0.5) + 3, box.bottom + 9
        plate.text(
            x, y, fit_text(organ, 90), size=8.0, fill=INK, text_anchor="end",
            transform=f"rotate(-{short(_TURN)} {short(x)} {short(y)})", class_="organ",
        )  # fmt: skip
    note = f"Bars: means; whiskers: {dispersion}; dots: animals."
    return plate.figure(name, note + (f" The first {len(organs)} of {total} organs." if total > len(organs) else ""))


def _bar(plate: Plate, bar: Bar, axis: Axis, x: float, wide: float, look: Series) -> None:
    top, base = axis(max(bar.mean, 0.0)), axis(min(bar.mean, 0.0))
    spread = "" if bar.sd is None else f" ± {bar.sd:.2g}"
    plate.add("rect", x=x - wide / 2, width=wide, y=top, height=max(base - top, 0.3), fill=look.colour, fill_opacity=0.75,
              class_="mean", data_series=bar.series, data_organ=bar.organ, data_value=f"{bar.mean:.6g}",
              title=f"{bar.series or 'all'}, {bar.organ}: {bar.mean:.3g}{spread}")  # fmt: skip
    if bar.sd is not None:
        low, high, cap = axis(bar.mean - bar.sd), axis(bar.mean + bar.sd), min(3.0, wide / 3)
        plate.line(x, low, x, high, stroke=INK, stroke_width=0.9, class_="whisker", data_sd=f"{bar.sd:.6g}")
        for y in (low, high):
            plate.line(x - cap, y, x + cap, y, stroke=INK, stroke_width=0.9)
    for number, value in enumerate(bar.values):
        # Dots stand beside each other in a fixed pattern, so that equal results are equal pictures.
        shift = ((number % 3) - 1) * min(wide / 4.5, 3.0)
        plate.add(
            "circle",
            cx=x + shift,
            cy=axis(value),
            r=1.25,
            fill="#FFFFFF",
            stroke=INK,
            stroke_width=0.55,
            class_="animal",
        )


def course_over_time(
    courses: Sequence[Course],
    *,
    x_title: str,
    y_title: str,
    caption: str,
    name: str = "course",
    width_mm: float = SINGLE_MM,
) -> Figure:
    """Means over time with whiskers and single values; a fitted line where there is one.

    Parameters
    ----------
    courses : up to six
    x_title, y_title : of the axes, with units
    caption : of the figure
    name : stem of the file
    width_mm : of the figure
    """
    shown = list(courses)[: len(SERIES)]
    width = width_mm * _POINTS_PER_MM
    entries = [Entry(c.label or "all", SERIES[i], "line") for i, c in enumerate(shown)]
    head = legend_height(entries, width - 44) + 6.0 if len(shown) > 1 else 6.0
    points = [p for c in shown for p in c.points]
    heights = [v for p in points for v in (p.y, p.low, p.high, *p.values) if v is not None]
    heights += [y for c in shown for _, y in c.line]
    heights = _extent(heights)
    probe = axis_over(heights, 0.0, 1.0, zero=True)
    box = Box(left_margin(probe), width - 10, head, head + 140)
    y_axis = axis_over(heights, box.bottom, box.top, zero=True)
    xs = [p.x for p in points] + [x for c in shown for x, _ in c.line]
    x_axis = axis_over(xs, box.left, box.right, zero=True)
    plate = Plate(width_mm, box.bottom + 28, label=f"{y_title} over {x_title}")
    if len(shown) > 1:
        plate.legend(entries, box.left, 2, box.right - box.left)
    plate.left_axis(y_axis, box, y_title)
    plate.bottom_axis(x_axis, box, x_title)
    if y_axis.low < 0:
        plate.line(box.left, y_axis(0.0), box.right, y_axis(0.0), stroke=MUTED, stroke_width=0.5)
    for course, look in zip(shown, SERIES, strict=False):
        _course(plate, course, look, x_axis, y_axis)
    more = f" The first {len(shown)} of {len(courses)} series." if len(shown) < len(courses) else ""
    return plate.figure(name, caption + more)


def _extent(values: Sequence[float]) -> list[float]:
    """Values that an axis has to hold; a hair below 0 is drawn below the axis, without a whole interval for it."""
    top = max(values, default=0.0)
    return [v for v in values if not -0.03 * top <= v < 0.0]


def _course(plate: Plate, course: Course, look: Series, x_axis: Axis, y_axis: Axis) -> None:
    line = course.line or tuple((p.x, p.y) for p in sorted(course.points, key=lambda p: p.x))
    if len(line) > 1:
        plate.add("path", d=polyline([(x_axis(x), y_axis(y)) for x, y in line]), fill="none", stroke=look.colour,
                  stroke_width=1.4, stroke_dasharray=look.dash, stroke_linejoin="round", class_="course",
                  data_label=course.label)  # fmt: skip
    for point in course.points:
        x = x_axis(point.x)
        if point.low is not None and point.high is not None:
            plate.line(
                x, y_axis(point.low), x, y_axis(point.high), stroke=look.colour, stroke_width=0.9, class_="whisker"
            )
            for end in (point.low, point.high):
                plate.line(x - 2, y_axis(end), x + 2, y_axis(end), stroke=look.colour, stroke_width=0.9)
        for value in point.values:
            plate.add(
                "circle",
                cx=x,
                cy=y_axis(value),
                r=1.0,
                fill="none",
                stroke=look.colour,
                stroke_width=0.5,
                class_="well",
            )
        plate.mark(look.shape, x, y_axis(point.y), look.colour, size=2.4, class_="mean", data_label=course.label,
                   data_x=f"{point.x:.6g}", data_y=f"{point.y:.6g}")  # fmt: skip
