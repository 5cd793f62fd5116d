"""Figures of binding assays: families of competition curves, single curves with band and residuals, saturation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_results import CompoundBinding, CurveBinding
from fusin.assays.fitting import Fit
from fusin.assays.homologous import homologous
from fusin.assays.intervals import band
from fusin.assays.models import rising_share
from fusin.assays.saturation_results import SaturationCurve
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
    Series,
    axis_over,
    fit_text,
    left_margin,
    legend_height,
    polyline,
)
from fusin.report.svg import FAINT, GRID, INK, MUTED
from fusin.report.table_text import estimate_text, number_text

__all__ = ["curve_plot", "family_plot", "saturation_plot", "scatchard_plot"]

FloatArray = NDArray[np.float64]
_STEPS = 160
_ASIDE = 0.75
_X_TITLE = "log₁₀ competitor [mol/L]"


@dataclass(frozen=True, slots=True)
class _LogPlaces:
    """Log concentrations on an axis, with controls beside it."""

    low: float
    high: float
    zero: bool
    blocked: bool

    def place(self, log_x: float) -> float:
        """Where a concentration is drawn: controls stand beside the range."""
        if log_x == -math.inf:
            return self.low - _ASIDE
        return self.high + _ASIDE if log_x == math.inf else log_x


def _places(every: Sequence[FloatArray]) -> _LogPlaces:
    x = np.concatenate(every)
    finite = x[np.isfinite(x)]
    return _LogPlaces(float(finite.min()), float(finite.max()), bool(np.isneginf(x).any()), bool(np.isposinf(x).any()))


def _log_axis(places: _LogPlaces, start: float, stop: float) -> Axis:
    """Axis with whole powers of ten inside, wide enough for the controls."""
    low = places.low - (1.1 * _ASIDE + 0.1 if places.zero else 0.25)
    high = places.high + (1.1 * _ASIDE + 0.1 if places.blocked else 0.25)
    inside = range(math.ceil(places.low - 1e-6), math.floor(places.high + 1e-6) + 1)
    step = max(1, math.ceil(len(inside) / 8))
    ticks = tuple(float(t) for t in list(inside)[::step]) or (round(places.low, 1), round(places.high, 1))
    return Axis(low=low, high=high, start=start, stop=stop, ticks=ticks)


def _bottom(plate: Plate, axis: Axis, box: Box, places: _LogPlaces) -> None:
    plate.bottom_axis(axis, box, _X_TITLE)
    for shown, place, word in (
        (places.zero, places.low - _ASIDE, "none"),
        (places.blocked, places.high + _ASIDE, "NS"),
    ):
        if shown:
            plate.label(
                axis(place), box.bottom + 8, word, size=SMALL, text_anchor="middle", fill=MUTED, class_="control"
            )
            gap = axis((place + (places.low if place < places.low else places.high)) / 2)
            for shift in (-1.2, 1.2):
                plate.line(
                    gap + shift - 1, box.bottom + 3, gap + shift + 1, box.bottom - 3, stroke=MUTED, stroke_width=0.6
                )


def _log_x(curve: CurveBinding) -> FloatArray:
    if curve.fit is None:
        return np.empty(0)
    data = curve.fit.datasets[0]
    if data.model is homologous:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(data.x[1]) - 9.0)
    return data.x


def _path(xs: Sequence[float], ys: Sequence[float], axis: Axis, y_axis: Axis) -> str:
    return polyline([(axis(x), y_axis(y)) for x, y in zip(xs, ys, strict=True)])


def family_plot(compounds: Sequence[CompoundBinding], *, name: str = "competition") -> Figure | None:
    """All compounds in one plot, each experiment in percent of its own plateaus.

    Returns
    -------
    Figure or None
        None where no compound has an IC50, or the plateaus are not those of a competition.
    """
    shown = [c for c in compounds if c.log_ic50 is not None and c.hill is not None][: len(SERIES)]
    if not shown:
        return None
    places = _places([_log_x(e) for c in shown for e in c.used])
    scaled = [[(_log_x(e), _percent(e)) for e in c.used] for c in shown]
    values = [v for sets in scaled for _, y in sets for v in y.tolist()]
    width = DOUBLE_MM * 72 / 25.4
    y_axis = axis_over([*values, 0.0, 100.0], 0.0, 1.0)
    box = Box(left_margin(y_axis), width - 168, 8.0, 200.0)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    axis = _log_axis(places, box.left, box.right)
    plate = Plate(
        DOUBLE_MM, 234.0, label="Competition curves of " + ", ".join(c.compound or "one compound" for c in shown)
    )
    plate.left_axis(y_axis, box, "response [% of the way between plateaus]")
    _bottom(plate, axis, box, places)
    grid = np.linspace(places.low - 0.2, places.high + 0.2, _STEPS)
    for one, style, sets in zip(shown, SERIES, scaled, strict=False):
        _family_member(plate, one, style, sets, axis, y_axis, places, grid)
    for row, (one, style) in enumerate(zip(shown, SERIES, strict=False)):
        _family_legend(plate, one, style, box.right + 12, 14.0 + 31 * row)
    more = f" The first {len(shown)} of {len(compounds)} compounds are shown." if len(shown) < len(compounds) else ""
    caption = (
        "Points: tubes of all experiments, each in percent of the plateaus fitted to its experiment. Lines: the mean log IC50 and "
        "slope; bars along the line at 50 %: the interval of the IC50." + more
    )
    return plate.figure(name, caption)


def _percent(curve: CurveBinding) -> FloatArray:
    """Responses in percent of the way from the lower to the upper plateau."""
    if curve.fit is None or curve.top is None or curve.bottom is None:
        return np.empty(0)
    span = curve.top.value - curve.bottom.value
    return np.asarray(100.0 * (curve.fit.datasets[0].y - curve.bottom.value) / span)


def _family_member(
    plate: Plate,
    one: CompoundBinding,
    style: Series,
    sets: Sequence[tuple[FloatArray, FloatArray]],
    axis: Axis,
    y_axis: Axis,
    places: _LogPlaces,
    grid: FloatArray,
) -> None:
    for xs, ys in sets:
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            plate.mark(
                style.shape, axis(places.place(x)), y_axis(y), style.colour, size=1.7, opacity=0.45, class_="point"
            )
    if one.log_ic50 is None or one.hill is None:
        return
    share = rising_share(grid, one.log_ic50.value, one.hill.value)
    curve = 100.0 * (share if one.direction == "increasing" else 1.0 - share)
    plate.add("path", d=_path(grid.tolist(), curve.tolist(), axis, y_axis), fill="none", stroke=style.colour,
              stroke_width=1.6, stroke_dasharray=style.dash, class_="curve", data_label=one.compound)  # fmt: skip
    e = one.log_ic50.estimate
    if e.low is not None and e.high is not None:
        y = y_axis(50.0)
        low, high = max(e.low, axis.low), min(e.high, axis.high)
        plate.line(axis(low), y, axis(high), y, stroke=INK, stroke_width=1.0, class_="interval")
        for end in (low, high):
            plate.line(axis(end), y - 2.5, axis(end), y + 2.5, stroke=INK, stroke_width=1.0)


def _family_legend(plate: Plate, one: CompoundBinding, style: Series, x: float, y: float) -> None:
    plate.line(x, y, x + 18, y, stroke=style.colour, stroke_width=1.6, stroke_dasharray=style.dash)
    plate.mark(style.shape, x + 9, y, style.colour, size=2.2)
    room = plate.width - x - 26
    plate.label(x + 23, y, fit_text(one.compound or "curve", room), class_="legend")
    ic50 = one.ic50_nm
    if ic50 is not None:
        plate.label(
            x + 23, y + 10, fit_text(f"IC50 {estimate_text(ic50.estimate)} nM", room, SMALL), size=SMALL, fill=MUTED
        )
    count = len(one.used)
    text = f"{count} experiment{'' if count == 1 else 's'}"
    if one.relative is not None:
        text += f", {number_text(one.relative.value)} × the reference"
    plate.label(x + 23, y + 19, fit_text(text, room, SMALL), size=SMALL, fill=MUTED)


def curve_plot(curve: CurveBinding, *, response: str, name: str, style: Series = SERIES[0]) -> Figure | None:
    """One curve: tubes, fit, confidence band of the curve, and residuals below."""
    found = curve.fit
    if found is None:
        return None
    x, y = _log_x(curve), found.datasets[0].y
    places = _places([x])
    grid = np.linspace(places.low - 0.2, places.high + 0.2, _STEPS)
    lines = _lines(found, grid)
    width = SINGLE_MM * 72 / 25.4
    values = [*y.tolist(), *(v for _, low, high in lines for v in (*low.tolist(), *high.tolist()))]
    y_axis = axis_over(values, 0.0, 1.0)
    box = Box(left_margin(y_axis) + 4, width - 8, 20.0, 142.0)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    axis = _log_axis(places, box.left, box.right)
    title = ", ".join(p for p in (curve.compound, curve.experiment) if p) or "curve"
    plate = Plate(SINGLE_MM, 232.0, label=f"Competition curve of {title}")
    plate.label(box.left, 9, fit_text(title, width - box.left - 8), font_weight="bold")
    plate.left_axis(y_axis, box, response)
    plate.line(box.left, box.bottom, box.right, box.bottom, stroke=GRID, stroke_width=0.5)
    for middle, low, high in lines:
        _draw_band(plate, grid, middle, low, high, axis, y_axis, style)
    if found.datasets[0].model is homologous:
        for hot, (middle, _, _) in zip(np.unique(found.datasets[0].x[0]).tolist(), lines, strict=True):
            plate.label(
                axis(float(grid[0])) + 4,
                y_axis(float(middle[0])) - 8,
                f"{number_text(hot)} nM hot",
                size=SMALL,
                fill=MUTED,
            )
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        plate.mark("circle", axis(places.place(a)), y_axis(b), INK, size=1.8, opacity=0.75, class_="point")
    if curve.log_ic50 is not None and axis.within(curve.log_ic50.value):
        at = axis(curve.log_ic50.value)
        plate.line(at, box.top, at, box.bottom, stroke=FAINT, stroke_dasharray="2 2", class_="ic50")
    _residuals(plate, found, x, places, axis, Box(box.left, box.right, 156.0, 200.0))
    ic50 = "" if curve.ic50_nm is None else f" IC50 {estimate_text(curve.ic50_nm.estimate)} nM."
    level = f"{100 * curve.log_ic50.estimate.level:g} %" if curve.log_ic50 else "95 %"
    caption = f"{title}: tubes, {curve.model} with its pointwise {level} confidence band, and residuals.{ic50}"
    return plate.figure(name, caption)


def _lines(found: Fit, grid: FloatArray) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Curves with their bands; one for each hot concentration of a homologous competition."""
    data = found.datasets[0]
    if data.model is not homologous:
        return [band(found, grid)]
    cold = 10.0 ** (grid + 9.0)
    return [band(found, np.vstack([np.full(grid.size, hot), cold])) for hot in np.unique(data.x[0])]


def _draw_band(
    plate: Plate,
    grid: FloatArray,
    middle: FloatArray,
    low: FloatArray,
    high: FloatArray,
    axis: Axis,
    y_axis: Axis,
    style: Series,
    *,
    dash: str | None = None,
) -> None:
    low, high = (np.clip(v, y_axis.low, y_axis.high) for v in (low, high))
    around = [
        *zip(grid.tolist(), high.tolist(), strict=True),
        *reversed(list(zip(grid.tolist(), low.tolist(), strict=True))),
    ]
    d = polyline([(axis(a), y_axis(b)) for a, b in around]) + "Z"
    plate.add("path", d=d, fill=style.colour, opacity=0.16, stroke="none", class_="band")
    plate.add("path", d=_path(grid.tolist(), middle.tolist(), axis, y_axis), fill="none", stroke=style.colour,
              stroke_width=1.6, stroke_dasharray=dash, class_="curve")  # fmt: skip


def _residuals(plate: Plate, found: Fit, x: FloatArray, places: _LogPlaces, axis: Axis, box: Box) -> None:
    residual = found.residuals()
    most = max(float(np.abs(residual).max(initial=0.0)), 1e-12)
    y_axis = axis_over([-most, most], box.bottom, box.top, about=2)
    plate.left_axis(y_axis, box, "residual")
    plate.line(box.left, y_axis(0.0), box.right, y_axis(0.0), stroke=MUTED, stroke_width=0.6)
    for a, r in zip(x.tolist(), residual.tolist(), strict=True):
        at = axis(places.place(a))
        plate.line(at, y_axis(0.0), at, y_axis(r), stroke=FAINT, stroke_width=0.6)
        plate.mark("circle", at, y_axis(r), INK, size=1.5, opacity=0.75, class_="residual")
    _bottom(plate, axis, box, places)


def saturation_plot(curve: SaturationCurve, *, response: str, name: str) -> Figure:
    """Total, non-specific and specific binding with the confidence band of the fit."""
    found = curve.fit
    x_all = np.concatenate([d.x for d in found.datasets])
    width = DOUBLE_MM * 72 / 25.4 * 0.72
    y_axis = axis_over([*found.problem.y.tolist(), 0.0], 0.0, 1.0, zero=True)
    entries = [Entry(_WORDS[d.name], style) for d, style in zip(found.datasets, SERIES, strict=False)]
    both = len(found.datasets) > 1
    if both:
        entries.append(Entry("specific (total less non-specific)", SERIES[2]))
    box = Box(left_margin(y_axis), width - 10, 26.0, 190.0)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    axis = axis_over([*x_all.tolist(), 0.0], box.left, box.right, zero=True)
    height = 222.0 + legend_height(entries, width - box.left - 10)
    title = ", ".join(p for p in (curve.group, curve.experiment) if p)
    plate = Plate(width * 25.4 / 72, height, label=f"Saturation binding {title}".strip())
    plate.label(box.left, 10, fit_text(title or "saturation", width - box.left), font_weight="bold")
    plate.left_axis(y_axis, box, response)
    plate.bottom_axis(axis, box, "radioligand [nM]")
    grid = np.linspace(0.0, float(x_all.max()), _STEPS)
    fits = [band(found, grid, dataset=d.name) for d in found.datasets]
    for (middle, low, high), style in zip(fits, SERIES, strict=False):
        _draw_band(plate, grid, middle, low, high, axis, y_axis, style, dash=style.dash)
    if both:
        specific = fits[0][0] - fits[1][0]
        plate.add("path", d=_path(grid.tolist(), specific.tolist(), axis, y_axis), fill="none", stroke=SERIES[2].colour,
                  stroke_width=1.4, stroke_dasharray=SERIES[2].dash, class_="specific")  # fmt: skip
    for data, style in zip(found.datasets, SERIES, strict=False):
        for a, b in zip(data.x.tolist(), data.y.tolist(), strict=True):
            plate.mark(style.shape, axis(a), y_axis(b), style.colour, size=2.1, opacity=0.8, class_="point")
    kd = curve.quantities["kd_nm"]
    if axis.within(kd.value):
        plate.line(
            axis(kd.value), box.top, axis(kd.value), box.bottom, stroke=FAINT, stroke_dasharray="2 2", class_="kd"
        )
        plate.label(axis(kd.value) + 3, box.top + 4, "Kd", size=SMALL, fill=MUTED)
    plate.legend(entries, box.left, 218.0, width - box.left - 10)
    caption = (
        f"{curve.model}: Kd {estimate_text(kd.estimate)} nM, Bmax {estimate_text(curve.quantities['bmax'].estimate)} "
        f"({kd.estimate.method}). Shaded: pointwise confidence band of the curve."
    )
    return plate.figure(name, caption)


_WORDS = {"total": "total", "nonspecific": "non-specific", "": "specific"}


def scatchard_plot(curve: SaturationCurve, *, name: str) -> Figure | None:
    """Bound over free against bound, for the eye only: nothing is fitted in it, because both axes hold the same error."""
    found = curve.fit
    if not {"bmax", "kd_nm"} <= set(curve.quantities) or "bmax_low" in curve.quantities:
        return None
    data = found.datasets[0]
    ns = curve.quantities["ns"].value if "ns" in curve.quantities else 0.0
    offset = curve.quantities["background"].value if "background" in curve.quantities else 0.0
    if "depletion" in curve.model:
        return None
    positive = data.x > 0
    bound = data.y[positive] - ns * data.x[positive] - offset
    ratio = bound / data.x[positive]
    width = SINGLE_MM * 72 / 25.4
    bmax, kd = curve.quantities["bmax"].value, curve.quantities["kd_nm"].value
    y_axis = axis_over([*ratio.tolist(), 0.0, bmax / kd], 0.0, 1.0, zero=True)
    box = Box(left_margin(y_axis) + 4, width - 10, 8.0, 150.0)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    axis = axis_over([*bound.tolist(), 0.0, bmax], box.left, box.right, zero=True, about=4)
    plate = Plate(SINGLE_MM, 180.0, label="Scatchard plot")
    plate.left_axis(y_axis, box, "specifically bound / free")
    plate.bottom_axis(axis, box, "specifically bound")
    plate.line(axis(0.0), y_axis(bmax / kd), axis(bmax), y_axis(0.0), stroke=SERIES[0].colour, stroke_width=1.4)
    for a, b in zip(bound.tolist(), ratio.tolist(), strict=True):
        plate.mark("circle", axis(a), y_axis(b), INK, size=1.9, opacity=0.75, class_="point")
    return plate.figure(
        name, "Scatchard plot for the eye. The line is drawn from Kd and Bmax of the curve fit, not fitted here."
    )
