"""Paired measurements as figures: lines between two tracers with their distributions, and limits of agreement."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fusin.cohort.comparison_results import PairedValues, Summary
from fusin.errors import InputError
from fusin.imaging.volume import FloatArray
from fusin.report.plate import (
    SERIES,
    SINGLE_MM,
    Axis,
    Box,
    Figure,
    Plate,
    axis_over,
    counted,
    fit_text,
    left_margin,
    polyline,
    spread,
    wrap,
)
from fusin.report.svg import FAINT, INK, MUTED, short
from fusin.report.table_text import estimate_text, p_text
from fusin.stats.agreement import BlandAltman
from fusin.stats.results import Estimate

__all__ = ["MOST_LINES", "MOST_POINTS", "bland_altman_plot", "paired_plot"]

MOST_LINES = 300
"""Pairs that are still told apart as lines; more are drawn as distributions only."""

MOST_POINTS = 4000
"""Points of a scatter that are drawn one by one."""

_FEWEST_FOR_SHAPE = 8


def paired_plot(
    first: ArrayLike,
    second: ArrayLike,
    *,
    names: tuple[str, str],
    title: str,
    result: PairedValues | None = None,
    log: bool = False,
    name: str = "paired",
    width_mm: float = SINGLE_MM,
) -> Figure:
    """Draw one quantity by two tracers: a line per pair, and the distribution of each beside them.

    Parameters
    ----------
    first, second : (n,) paired values; pairs with a missing value are left out and counted in the caption
    names : of the tracers
    title : of the axis, with unit
    result : its medians, quartiles and test are drawn
    log : logarithmic axis; values at or below 0 cannot be drawn and are counted in the caption
    name : stem of the file
    width_mm : of the figure
    """
    pairs, left_out = _pairs(first, second, log)
    width = width_mm * 72 / 25.4
    axis = axis_over(pairs.ravel(), 172.0, 12.0, log=log, zero=not log)
    box = Box(left_margin(axis), width - 6, 12.0, 172.0)
    test = wrap(p_text(result.primary), width - 6) if result else []
    plate = Plate(width_mm, box.bottom + 30 + 10 * len(test), label=f"{title} by {names[0]} and {names[1]}")
    plate.left_axis(axis, box, title)
    places = (box.left + 0.31 * (box.right - box.left), box.left + 0.69 * (box.right - box.left))
    if len(pairs) <= MOST_LINES:
        for a, b in pairs.tolist():
            plate.line(places[0], axis(a), places[1], axis(b), stroke=MUTED, stroke_width=0.5, stroke_opacity=0.45,
                       class_="pair", data_first=f"{a:.6g}", data_second=f"{b:.6g}")  # fmt: skip
    reach = 0.26 * (box.right - box.left)
    for side in (0, 1):
        _distribution(plate, pairs[:, side], axis, places[side], reach * (-1, 1)[side], SERIES[side].colour)
        if len(pairs) <= MOST_LINES:
            for value in pairs[:, side].tolist():
                plate.mark(SERIES[side].shape, places[side], axis(value), SERIES[side].colour, size=1.5,
                           fill_opacity=0.75, class_="value")  # fmt: skip
        if result:
            _quartiles(plate, (result.first, result.second)[side], axis, places[side] + (-7, 7)[side])
        label = fit_text(names[side], 0.48 * (box.right - box.left))
        plate.label(
            box.left + (0.25, 0.75)[side] * (box.right - box.left),
            box.bottom + 9,
            label,
            text_anchor="middle",
            class_="group",
        )
    plate.line(box.left, box.bottom, box.right, box.bottom, stroke=MUTED)
    plate.label(
        (box.left + box.right) / 2, box.bottom + 21, counted(len(pairs), "pair"), fill=MUTED, text_anchor="middle"
    )
    for row, line in enumerate(test):
        plate.label(width / 2, box.bottom + 32 + 10 * row, line, text_anchor="middle", class_="p")
    return plate.figure(name, _paired_caption(len(pairs), left_out, result))


def _pairs(first: ArrayLike, second: ArrayLike, log: bool) -> tuple[FloatArray, int]:
    a, b = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    if a.shape != b.shape:
        raise InputError("paired plot", "second", f"{b.size} values", f"{a.size}, one for each value of the first")
    both = np.stack([a, b], axis=1)
    keep = np.isfinite(both).all(axis=1)
    if log:
        keep &= (both > 0).all(axis=1)
    return both[keep], int((~keep).sum())


def _distribution(plate: Plate, values: FloatArray, axis: Axis, x: float, reach: float, colour: str) -> None:
    """Half a violin: a Gaussian kernel density with Silverman's bandwidth, from the smallest to the largest value."""
    shown = np.log(values) if axis.log else values
    sd = float(shown.std(ddof=1)) if shown.size >= _FEWEST_FOR_SHAPE else 0.0
    if sd <= 0.0:
        return
    quartiles = np.subtract(*np.percentile(shown, [75, 25])) / 1.349
    width = 0.9 * (min(sd, quartiles) or sd) * shown.size**-0.2
    grid = np.linspace(shown.min(), shown.max(), 80)
    # Counting in fine bins first keeps ten thousand values as quick as a hundred.
    counts, edges = np.histogram(shown, bins=512)
    centres = (edges[:-1] + edges[1:]) / 2
    density = np.exp(-0.5 * ((grid[:, None] - centres) / width) ** 2) @ counts
    density /= density.max()
    levels = np.exp(grid) if axis.log else grid
    outline = [(x, axis(float(levels[0])))]
    outline += [(x + reach * d, axis(v)) for d, v in zip(density.tolist(), levels.tolist(), strict=True)]
    outline.append((x, axis(float(levels[-1]))))
    plate.add("path", d=polyline(outline) + "Z", fill=colour, fill_opacity=0.28, stroke=colour, stroke_width=0.6,
              class_="violin")  # fmt: skip


def _quartiles(plate: Plate, summary: Summary, axis: Axis, x: float) -> None:
    """Median as a dot with a white rim, quartiles as a bar."""
    if summary.median is None or (axis.log and not (summary.q1 or 0) > 0):
        return
    if summary.q1 is not None and summary.q3 is not None:
        plate.line(x, axis(summary.q1), x, axis(summary.q3), stroke=INK, stroke_width=2.4, class_="quartiles")
    plate.add("circle", cx=x, cy=axis(summary.median), r=2.4, fill="#FFFFFF", stroke=INK, stroke_width=1.1, class_="median",
              data_median=f"{summary.median:.6g}")  # fmt: skip


def _paired_caption(n: int, left_out: int, result: PairedValues | None) -> str:
    parts = ["One line for each pair." if n <= MOST_LINES else f"{counted(n, 'pair')}, too many for lines."]
    if n >= _FEWEST_FOR_SHAPE:
        parts.append("Shapes: kernel densities.")
    if result:
        parts.append("Circles: medians; bars: quartiles.")
        parts.append(f"First minus second: {estimate_text(result.primary.effect, method=True)}.")
    if left_out:
        parts.append(
            f"{counted(left_out, 'pair')} could not be drawn for a missing or, on a logarithmic axis, non-positive value."
        )
    return " ".join(parts) if n else "No pair to show."


_SCALES = {"difference": ("difference", ""), "percent": ("difference [% of mean]", " %"), "ratio": ("ratio", "")}


def bland_altman_plot(
    result: BlandAltman,
    *,
    names: tuple[str, str],
    quantity: str,
    name: str = "bland-altman",
    width_mm: float = SINGLE_MM,
) -> Figure:
    """Draw differences against means with bias and limits of agreement, each with its interval.

    Parameters
    ----------
    result : as computed
    names : of the two methods, first minus (or over) second
    quantity : what was measured, with unit
    name : stem of the file
    width_mm : of the figure
    """
    width, ratio = width_mm * 72 / 25.4, result.scale == "ratio"
    word, unit = _SCALES[result.scale]
    lines = (("upper limit", result.upper), ("bias", result.bias), ("lower limit", result.lower))
    neutral = 1.0 if ratio else 0.0
    ends = [v for _, e in lines for v in (e.value, e.low, e.high) if v is not None]
    y_axis = axis_over([*result.difference, *ends, neutral], 150.0, 8.0, log=ratio)
    margin = 46.0
    box = Box(left_margin(y_axis), width - margin, 8.0, 150.0)
    x_axis = axis_over(result.mean, box.left, box.right, about=4)
    plate = Plate(
        width_mm, box.bottom + 28 + 10 * len(lines) + 2, label=f"Bland-Altman plot of {names[0]} and {names[1]}"
    )
    sign = "/" if ratio else "−"
    plate.left_axis(y_axis, box, f"{word}, {names[0]} {sign} {names[1]}", grid=False)
    plate.bottom_axis(x_axis, box, f"{'geometric mean' if ratio else 'mean'} {quantity}")
    plate.line(box.left, y_axis(neutral), box.right, y_axis(neutral), stroke=FAINT, stroke_width=0.5)
    heights = spread([y_axis(e.value) for _, e in lines if e.value is not None], 9.0, box.top + 4, box.bottom - 4)
    for (label, estimate), y in zip(lines, heights, strict=True):
        _agreement_line(plate, label, estimate, y_axis, box, y)
    _scatter(plate, result, x_axis, y_axis)
    notes = [f"{label}: {_with_unit(estimate, unit)}" for label, estimate in lines]
    plate.notes(notes, 4.0, box.bottom + 27)
    return plate.figure(name, _agreement_caption(result))


def _with_unit(estimate: Estimate, unit: str) -> str:
    return estimate_text(estimate) + unit


def _agreement_line(plate: Plate, label: str, estimate: Estimate, axis: Axis, box: Box, y_label: float) -> None:
    if estimate.value is None:
        return
    colour = SERIES[0].colour if label == "bias" else SERIES[1].colour
    if estimate.low is not None and estimate.high is not None:
        top, bottom = axis(estimate.high), axis(estimate.low)
        plate.add(
            "rect", x=box.left, width=box.right - box.left, y=top, height=bottom - top, fill=colour, fill_opacity=0.14
        )
    y = axis(estimate.value)
    plate.line(box.left, y, box.right, y, stroke=colour, stroke_width=1.0, class_="agreement", data_line=label,
               data_value=f"{estimate.value:.6g}", stroke_dasharray=None if label == "bias" else "4 2")  # fmt: skip
    plate.label(box.right + 3, y_label, label, fill=colour)


def _scatter(plate: Plate, result: BlandAltman, x_axis: Axis, y_axis: Axis) -> None:
    points = list(zip(result.mean, result.difference, strict=True))
    size = 1.7 if len(points) <= 200 else 1.0
    if len(points) <= MOST_POINTS:
        for x, y in points:
            plate.add("circle", cx=x_axis(x), cy=y_axis(y), r=size, fill=INK, fill_opacity=0.6, class_="point",
                      data_mean=f"{x:.6g}", data_difference=f"{y:.6g}")  # fmt: skip
        return
    # One path of dots on a fine grid: points that would print on each other are drawn once.
    spots = sorted({(round(2 * x_axis(x)) / 2, round(2 * y_axis(y)) / 2) for x, y in points})
    plate.add("path", d="".join(f"M{short(x)} {short(y)}h0" for x, y in spots), stroke=INK, stroke_opacity=0.5,
              stroke_width=1.2, stroke_linecap="round", fill="none", class_="points", data_count=str(len(points)))  # fmt: skip


def _agreement_caption(result: BlandAltman) -> str:
    level = 100 * result.bias.level
    methods = "; ".join(dict.fromkeys((result.bias.method, result.lower.method)))
    slope = (
        f" Slope of differences on means: {p_text(result.proportional_test)}."
        if result.proportional_test.p is not None
        else ""
    )
    return f"{result.bias.n:,} pairs. Shaded: {level:g} % intervals of bias and limits ({methods}).{slope}"
