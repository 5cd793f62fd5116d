"""A plate for a journal: sizes in millimetres, 8 pt type, colours that everyone tells apart, and axes.

One unit of a plate is one point. The same bytes stand inside the page and in the file of a figure, because no ``style``
attribute, no identifier and no font file is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

from fusin.files import write_bytes_atomically
from fusin.report.svg import GRID, INK, MUTED, Canvas, short

__all__ = [
    "DOUBLE_MM",
    "FONT",
    "SERIES",
    "SINGLE_MM",
    "SMALL",
    "Axis",
    "Box",
    "Entry",
    "Figure",
    "Plate",
    "Series",
    "axis_over",
    "counted",
    "fit_text",
    "left_margin",
    "legend_height",
    "number_label",
    "polyline",
    "spread",
    "text_width",
    "wrap",
]

SINGLE_MM, DOUBLE_MM = 85.0, 170.0
"""Widths of one and of two columns of a journal."""

FONT, SMALL = 8.0, 7.0
"""Points: words and axis titles; tick labels and notes."""

_POINTS_PER_MM = 72.0 / 25.4
_FAMILY = "Arial, Helvetica, Liberation Sans, sans-serif"
_ROW = 11.0

Shape = Literal["circle", "square", "triangle", "diamond", "cross", "bar"]


@dataclass(frozen=True, slots=True)
class Series:
    """How one series looks: colour, dashes and marker, so that colour is never the only difference."""

    colour: str
    dash: str | None
    shape: Shape


# Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too pale on white.
SERIES = (
    Series("#0072B2", None, "circle"),
    Series("#D55E00", "5 2", "square"),
    Series("#009E73", "1.5 1.5", "triangle"),
    Series("#CC79A7", "6 2 1.5 2", "diamond"),
    Series("#E69F00", "3 1.5", "cross"),
    Series("#56B4E9", "8 2", "bar"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A finished figure.

    Attributes
    ----------
    name : stem of its file
    caption : what a reader must know to read it
    svg : the element, as it stands in the page
    width_mm, height_mm : natural size
    """

    name: str
    caption: str
    svg: str
    width_mm: float
    height_mm: float

    def standalone(self) -> str:
        """The figure as the text of an SVG file."""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{self.svg}\n'

    def write(self, folder: Path) -> Path:
        """Write ``name.svg`` into a folder; equal figures are equal bytes."""
        return write_bytes_atomically(folder / f"{self.name}.svg", self.standalone().encode("utf-8"))


@dataclass(frozen=True, slots=True)
class Box:
    """The area of a plot, in points from the upper left corner."""

    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Values to points, with the places of the ticks.

    Attributes
    ----------
    low, high : values at the ends
    start, stop : points at the ends
    ticks : values
    log : logarithmic
    percent : ticks are fractions that are written as percent
    """

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...]
    log: bool = False
    percent: bool = False

    def __call__(self, value: float) -> float:
        """Place of a value; a value beyond the ends is put beyond the ends."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def labels(self) -> list[str]:
        """Texts of the ticks."""
        if self.percent:
            return [number_label(100.0 * t, 100.0 * self.step) for t in self.ticks]
        return [number_label(t, abs(t) if self.log else self.step) for t in self.ticks]

    @property
    def step(self) -> float:
        """Distance of the first two ticks."""
        return abs(self.ticks[1] - self.ticks[0]) if len(self.ticks) > 1 else 1.0

    def within(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high


def axis_over(
    values: Iterable[float],
    start: float,
    stop: float,
    *,
    about: int = 5,
    zero: bool = False,
    log: bool = False,
    percent: bool = False,
) -> Axis:
    """Axis with round ends around finite values; from 0 to 1 when there are none.

    Parameters
    ----------
    values : what must fit; others than finite (and positive, for ``log``) are left out
    start, stop : points of the lower and upper end
    about : wanted number of ticks
    zero : the axis holds 0
    log, percent : as in `Axis`
    """
    found = [float(v) for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(found), max(found)) if found else ((1.0, 10.0) if log else (0.0, 1.0))
    if zero and low == high == 0.0:
        high = 1.0
    ticks = (
        _log_ticks(low, high)
        if log
        else _ticks(min(low, 0.0) if zero else low, max(high, 0.0) if zero else high, about)
    )
    return Axis(low=ticks[0], high=ticks[-1], start=start, stop=stop, ticks=tuple(ticks), log=log, percent=percent)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten that enclose the values."""
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        pad = 0.5 * abs(low) or 0.5
        low, high = low - pad, high + pad
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if raw <= m * power * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = 10 - math.floor(math.log10(step))
    return [round(n * step, digits) for n in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten that enclose the values; powers alone where these are many."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    for factors in ((1, 2, 5), (1,)):
        every = [f * 10.0**p for p in powers for f in factors]
        below = [v for v in every if v <= low * (1 + 1e-9)]
        above = [v for v in every if v >= high * (1 - 1e-9)]
        first, last = below[-1], above[0] if above[0] > below[-1] else above[1]
        found = [v for v in every if first <= v <= last]
        if len(found) <= 8:
            break
    return found


def number_label(value: float, step: float) -> str:
    """A number with the decimals that its step needs, thin thousands and a true minus sign."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    # A step of 2.5 needs one decimal more than its power of ten.
    digits += round(step, digits) != round(step, digits + 1)
    text = f"{value:,.{min(digits, 6)}f}".replace(",", "\u2009").replace("-", "\u2212")
    return text.replace("\u2212", "") if not any(c in "123456789" for c in text) else text


_NARROW, _MIDDLE, _WIDE = "ijl'|.,:;! \u2009", 'ftrI()[]/-"*\\{}', "mwMW%@\u2265\u2264—…"


def text_width(text: str, size: float = FONT) -> float:
    """Width of a text in points, from rounded Helvetica widths; on the safe side."""
    total = 0.0
    for sign in text:
        if sign in _NARROW:
            total += 0.28
        elif sign in _MIDDLE:
            total += 0.36
        elif sign in _WIDE:
            total += 0.9 if sign not in "—…" else 1.0
        elif sign.isupper():
            total += 0.72
        else:
            total += 0.57
    return total * size


def fit_text(text: str, width: float, size: float = FONT) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def counted(n: int, noun: str) -> str:
    """A number with its noun: ``1 pair``, ``10,000 pairs``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def wrap(text: str, width: float, size: float = FONT, most: int = 2) -> list[str]:
    """Lines of a text, at most ``most``; the last one ends in an ellipsis where text is left."""
    lines: list[str] = []
    rest = text.split()
    while rest and len(lines) < most - 1:
        line = rest.pop(0)
        while rest and text_width(f"{line} {rest[0]}", size) <= width:
            line += f" {rest.pop(0)}"
        lines.append(fit_text(line, width, size))
    if rest:
        lines.append(fit_text(" ".join(rest), width, size))
    return lines or [""]


def polyline(points: Sequence[tuple[float, float]]) -> str:
    """Path through points at 0.05 pt; points that change nothing are left out, so that long curves stay small."""
    kept: list[tuple[float, float]] = []
    for x, y in points:
        point = (round(20 * x) / 20, round(20 * y) / 20)
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and (kept[-2][0] == kept[-1][0] == point[0] or kept[-2][1] == kept[-1][1] == point[1]):
            kept.pop()
        kept.append(point)
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in kept) if kept else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a legend."""

    text: str
    series: Series
    kind: Literal["line", "mark", "box"] = "line"


class Plate(Canvas):
    """A figure that is written from back to front, in points.

    Parameters
    ----------
    width_mm : natural width
    height : in points
    label : what a screen reader says
    """

    def __init__(self, width_mm: float, height: float, *, label: str) -> None:
        width = width_mm * _POINTS_PER_MM
        super().__init__(width, height, label=label, css="cohort-figure")
        self.width_mm, self.height_mm = width_mm, height / _POINTS_PER_MM
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cohort-figure" viewBox="0 0 {short(width)} {short(height)}" '
            f'width="{short(width_mm)}mm" height="{short(self.height_mm)}mm" role="img" '
            f'aria-label="{escape(_printable(label))}" font-family="{_FAMILY}">'
        ]
        self.add("rect", x=0, y=0, width=width, height=height, fill="#FFFFFF")

    def add(self, tag: str, *, text: str | None = None, title: str | None = None, **attributes: Any) -> None:
        """Append an element without the control characters that XML forbids."""
        clean = {k: _printable(v) if isinstance(v, str) else v for k, v in attributes.items()}
        super().add(
            tag,
            text=None if text is None else _printable(text),
            title=None if title is None else _printable(title),
            **clean,
        )

    def label(self, x: float, y: float, text: str, *, size: float = FONT, fill: str = INK, **attributes: Any) -> None:
        """Append a text whose middle line is at ``y``."""
        self.text(x, y + 0.36 * size, text, size=size, fill=fill, **attributes)

    def turned(self, x: float, y: float, text: str, *, size: float = FONT, fill: str = INK, **attributes: Any) -> None:
        """Append a text that is read from below, its middle line at ``x``."""
        base = x + 0.36 * size
        self.text(base, y, text, size=size, fill=fill, transform=f"rotate(-90 {short(base)} {short(y)})", **attributes)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, stroke: str = INK, **attributes: Any) -> None:
        """Append a straight line, 0.75 pt unless told."""
        attributes.setdefault("stroke_width", 0.75)
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **attributes)

    def mark(self, shape: Shape, x: float, y: float, colour: str, *, size: float = 2.2, **more: Any) -> None:
        """Append a marker about a point; ``size`` is its half width."""
        if shape == "circle":
            self.add("circle", cx=x, cy=y, r=size, fill=colour, **more)
        elif shape in ("square", "bar"):
            w, h = (0.9 * size, 0.9 * size) if shape == "square" else (1.1 * size, 0.5 * size)
            self.add("rect", x=x - w, y=y - h, width=2 * w, height=2 * h, fill=colour, **more)
        elif shape == "cross":
            s = 0.85 * size
            d = f"M{short(x - s)} {short(y - s)}l{short(2 * s)} {short(2 * s)}m0 {short(-2 * s)}l{short(-2 * s)} {short(2 * s)}"
            self.add("path", d=d, fill="none", stroke=colour, stroke_width=short(0.55 * size), **more)
        else:
            s = 1.2 * size
            corners = (
                [(0, -s), (s, 0), (0, s), (-s, 0)] if shape == "diamond" else [(0, -s), (s, 0.8 * s), (-s, 0.8 * s)]
            )
            d = "M" + "L".join(f"{short(x + a)} {short(y + b)}" for a, b in corners) + "Z"
            self.add("path", d=d, fill=colour, **more)

    def left_axis(self, axis: Axis, box: Box, title: str, *, grid: bool = True) -> None:
        """Axis at the left of a box, with faint lines across it."""
        labels = axis.labels()
        for value, label in zip(axis.ticks, labels, strict=True):
            y = axis(value)
            if grid:
                self.line(box.left, y, box.right, y, stroke=GRID, stroke_width=0.5)
            self.line(box.left - 2.5, y, box.left, y, stroke=MUTED, stroke_width=0.5)
            self.label(box.left - 4.5, y, label, size=SMALL, text_anchor="end", class_="tick-y")
        self.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
        middle, x = (box.top + box.bottom) / 2, 7.0
        shown = fit_text(title, box.bottom - box.top + 24)
        self.turned(x, middle, shown, text_anchor="middle", class_="title-y")

    def bottom_axis(self, axis: Axis, box: Box, title: str, *, grid: bool = False) -> None:
        """Axis below a box; needs 25 pt below it."""
        for value, label in zip(axis.ticks, axis.labels(), strict=True):
            x = axis(value)
            if grid:
                self.line(x, box.top, x, box.bottom, stroke=GRID, stroke_width=0.5)
            self.line(x, box.bottom, x, box.bottom + 2.5, stroke=MUTED, stroke_width=0.5)
            self.label(x, box.bottom + 8, label, size=SMALL, text_anchor="middle", class_="tick-x")
        self.line(box.left, box.bottom, box.right, box.bottom, stroke=MUTED)
        shown = fit_text(title, self.width - 4)
        half = text_width(shown) / 2
        middle = min(max((box.left + box.right) / 2, half + 2), self.width - half - 2)
        self.label(middle, box.bottom + 19, shown, text_anchor="middle", class_="title-x")

    def legend(self, entries: Sequence[Entry], x: float, y: float, width: float) -> None:
        """Entries from ``(x, y)`` on, in rows of 11 pt."""
        for entry, (dx, row) in zip(entries, _legend_places(entries, width), strict=True):
            at, middle = x + dx, y + (row + 0.5) * _ROW
            if entry.kind == "box":
                self.add("rect", x=at + 2, y=middle - 3.2, width=10, height=6.4, fill=entry.series.colour)
            elif entry.kind == "line":
                self.line(at, middle, at + 16, middle, stroke=entry.series.colour, stroke_width=1.4,
                          stroke_dasharray=entry.series.dash)  # fmt: skip
            else:
                self.mark(entry.series.shape, at + 8, middle, entry.series.colour)
            self.label(at + 20, middle, fit_text(entry.text, width - 20), class_="legend")

    def notes(self, lines: Sequence[str], x: float, y: float) -> None:
        """Small lines of text from ``y`` on, 10 pt each."""
        for row, line in enumerate(lines):
            self.label(
                x, y + 10 * row + 5, fit_text(line, self.width - x - 2, SMALL), size=SMALL, fill=MUTED, class_="note"
            )

    def figure(self, name: str, caption: str) -> Figure:
        """The finished figure."""
        return Figure(
            name=name, caption=caption, svg=self.render(), width_mm=self.width_mm, height_mm=round(self.height_mm, 2)
        )


def legend_height(entries: Sequence[Entry], width: float) -> float:
    """Points that a legend takes."""
    return _ROW * (1 + max((row for _, row in _legend_places(entries, width)), default=-1))


def left_margin(axis: Axis) -> float:
    """Points that a left axis takes with its title."""
    return 16.0 + max((text_width(t, SMALL) for t in axis.labels()), default=0.0) + 5.0


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near ``values`` that stand at least ``gap`` apart, in the same order from low to high."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    placed = list(values)
    floor = low
    for i in order:
        placed[i] = max(values[i], floor)
        floor = placed[i] + gap
    ceiling = high
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def _legend_places(entries: Sequence[Entry], width: float) -> list[tuple[float, int]]:
    """Offset and row of each entry."""
    places: list[tuple[float, int]] = []
    x, row = 0.0, 0
    for entry in entries:
        wide = 20.0 + text_width(entry.text)
        if x > 0 and x + wide > width:
            x, row = 0.0, row + 1
        places.append((x, row))
        x += wide + 12.0
    return places


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\u2009" else " " for c in text)
