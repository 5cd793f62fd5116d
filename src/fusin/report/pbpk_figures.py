"""Figures of a body: SUV over time, answers to what is varied, dose by the amount of peptide; bands of drawn bodies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusin.receptor.pbpk_population import POPULATION_PERCENTILES, Population
from fusin.receptor.pbpk_questions import Amounts, Response
from fusin.receptor.pbpk_study import BodyStudy
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
from fusin.report.svg import GRID, MUTED

__all__ = ["amount_figure", "curve_figure", "population_figure", "response_figure"]

FloatArray = NDArray[np.float64]
MOST_PANELS = 9
_COLUMNS, _HEAD, _PLOT, _FOOT = 3, 17.0, 84.0, 30.0
_PANEL = _HEAD + _PLOT + _FOOT
_COLOUR, _TUMOUR = SERIES[0].colour, SERIES[1].colour
_ORGANS = ("blood", "kidneys", "spleen", "red marrow", "liver", "rest")


class _Panels:
    """Panels of one size on a plate."""

    def __init__(self, n: int, label: str) -> None:
        self.columns = min(n, _COLUMNS)
        rows = math.ceil(n / self.columns)
        self.plate = Plate(DOUBLE_MM * self.columns / _COLUMNS, rows * _PANEL + 3, label=label)
        self.each, self.count = self.plate.width / self.columns, 0

    def add(
        self, title: str, x: FloatArray, line: FloatArray, bands: Sequence[tuple[FloatArray, FloatArray]], across: str, *,
        log: bool, colour: str, level: float | None = None,
    ) -> None:  # fmt: skip
        """One curve with its bands, widest first."""
        plate = self.plate
        left, top = (self.count % self.columns) * self.each, (self.count // self.columns) * _PANEL
        self.count += 1
        every = np.concatenate([line, *(b for pair in bands for b in pair), *([np.array([level])] if level else [])])
        # An early peak in blood or a loose band must not flatten everything else.
        shown = every[np.isfinite(every)]
        y_axis = axis_over(shown.tolist(), 0.0, 1.0, zero=True, about=4)
        box = Box(left + left_margin(y_axis) - 6, left + self.each - 9, top + _HEAD, top + _HEAD + _PLOT)
        y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
        x_axis = _across(x, box, log=log)
        for value, label in zip(y_axis.ticks, y_axis.labels(), strict=True):
            plate.line(box.left, y_axis(value), box.right, y_axis(value), stroke=GRID, stroke_width=0.5)
            plate.label(box.left - 4.5, y_axis(value), label, size=SMALL, text_anchor="end", class_="tick-y")
        plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
        if level is not None:
            plate.line(
                box.left,
                y_axis(level),
                box.right,
                y_axis(level),
                stroke=MUTED,
                stroke_dasharray="2 2",
                stroke_width=0.6,
            )
        for low, high in bands:
            outline = [(x_axis(a), y_axis(b)) for a, b in zip(x.tolist(), high.tolist(), strict=True)]
            outline += [(x_axis(a), y_axis(b)) for a, b in zip(x[::-1].tolist(), low[::-1].tolist(), strict=True)]
            plate.add("path", d=polyline(outline) + "Z", fill=colour, fill_opacity=0.16, class_="band")
        path = polyline([(x_axis(a), y_axis(b)) for a, b in zip(x.tolist(), line.tolist(), strict=True)])
        plate.add("path", d=path, fill="none", stroke=colour, stroke_width=1.3, class_="course")
        plate.bottom_axis(x_axis, box, "")
        plate.label((box.left + box.right) / 2, box.bottom + 18, fit_text(across, self.each - 8, SMALL), size=SMALL,
                    text_anchor="middle", class_="title-x")  # fmt: skip
        plate.label(box.left, top + 8, fit_text(title, box.right - box.left), font_weight="bold", class_="panel-title")


def _across(x: FloatArray, box: Box, *, log: bool) -> Axis:
    if not log:
        axis = axis_over([0.0, float(x[-1])], box.left, box.right, zero=True, about=4)
        ticks = tuple(t for t in axis.ticks if t <= float(x[-1]) * (1 + 1e-9))
        return Axis(low=0.0, high=float(x[-1]), start=box.left, stop=box.right, ticks=ticks)
    low, high = float(x[0]), float(x[-1])
    powers = [10.0**p for p in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
    step = math.ceil(len(powers) / 5)
    return Axis(
        low=low, high=high, start=box.left, stop=box.right, ticks=tuple(powers[::step]) or (low, high), log=True
    )


def _order(regions: Sequence[str]) -> list[str]:
    tumours = [r for r in regions if r not in _ORGANS]
    return [*tumours[: MOST_PANELS - 6], *(r for r in _ORGANS if r in regions)][:MOST_PANELS]


def _time(times_min: FloatArray) -> tuple[FloatArray, str]:
    return (times_min, "minutes") if times_min[-1] <= 360 else (times_min / 60.0, "hours")


def curve_figure(found: BodyStudy) -> Figure:
    """SUV of each region over time, with the bands of the drawn bodies."""
    regions = _order(found.setup.regions)
    panels = _Panels(len(regions), "SUV over time of " + ", ".join(regions))
    times = found.typical.time_min
    x, unit = _time(times)
    # The bolus itself, before the first circulation, is no prediction of this model.
    keep = times >= min(2.0, times[-1] / 20)
    for name in regions:
        bands = []
        if len(found.drawn) >= 3:
            rows = found.bands(name, (2.5, 25.0, 75.0, 97.5))[:, keep]
            bands = [(rows[0], rows[3]), (rows[1], rows[2])]
        panels.add(f"{name}: SUV", x[keep], found.typical.suv(name)[keep], bands, unit, log=False, colour=_of(name))
    text = "SUV over time. Line: the body whose SUV are the published medians."
    if len(found.drawn) >= 3:
        text += (
            f" Shaded: the middle 50 % and 95 % of {len(found.drawn)} bodies with drawn parameters and drawn organ SUV."
        )
    return panels.plate.figure("curves", text + " The first circulation is not shown.")


def _of(name: str) -> str:
    return _COLOUR if name in _ORGANS else _TUMOUR


def response_figure(found: Response, name: str, caption: str) -> Figure:
    """Ratio of uptake to the reference, by what is varied."""
    regions = _order(found.regions)
    panels = _Panels(len(regions), f"Uptake by {found.x_name}")
    log = bool(found.x[0] > 0) and found.question in ("mass", "chemokine")
    for region in regions:
        rows = found.ratios[:, :, found.regions.index(region)]
        bands = []
        if rows.shape[0] > 3:
            low, first, third, high = np.percentile(rows[1:], [2.5, 25.0, 75.0, 97.5], axis=0)
            bands = [(low, high), (first, third)]
        panels.add(f"{region}: ratio", found.x, rows[0], bands, found.x_name, log=log, colour=_of(region), level=1.0)
    if found.uptake.shape[0] > 3:
        caption += f" Shaded: the middle 50 % and 95 % of {found.uptake.shape[0] - 1} drawn bodies."
    return panels.plate.figure(name, caption)


def amount_figure(found: Amounts) -> Figure:
    """Dose per activity of tumour and organs by the amount of peptide; dose of the tumour at the limit, where there is one."""
    regions = [
        r
        for r in _order(found.response.regions)
        if np.isfinite(found.gy_per_mbq[:, :, found.response.regions.index(r)]).all()
    ]
    limited = bool(np.isfinite(found.tumour_gy).all())
    panels = _Panels(len(regions) + limited, "Dose by the amount of peptide")
    x, across = found.response.x, "peptide [nmol]"
    if limited:
        panels.add(
            f"{found.tumour}: Gy at the limits",
            x,
            found.tumour_gy[0],
            _bands(found.tumour_gy),
            across,
            log=True,
            colour=_TUMOUR,
        )
    for region in regions:
        rows = 1000.0 * found.gy_per_mbq[:, :, found.response.regions.index(region)]
        panels.add(f"{region}: Gy/GBq", x, rows[0], _bands(rows), across, log=True, colour=_of(region))
    text = "Self-dose by the amount of peptide, hot and cold together. Line: typical body; shaded: drawn bodies, 50 % and 95 %."
    return panels.plate.figure("amount", text)


def _bands(rows: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    if rows.shape[0] <= 3:
        return []
    low, first, third, high = np.percentile(rows[1:], [2.5, 25.0, 75.0, 97.5], axis=0)
    return [(low, high), (first, third)]


def population_figure(found: Population) -> Figure:
    """Bands of the SUV of virtual patients."""
    regions = _order(found.setup.regions)
    panels = _Panels(len(regions), "Virtual patients: SUV over time of " + ", ".join(regions))
    times = np.asarray(found.setup.times_min)
    x, unit = _time(times)
    keep = times >= min(2.0, times[-1] / 20)
    middle = POPULATION_PERCENTILES.index(50.0)
    for name in regions:
        rows = found.bands(name)[:, keep]
        panels.add(
            f"{name}: SUV",
            x[keep],
            rows[middle],
            [(rows[0], rows[4]), (rows[1], rows[3])],
            unit,
            log=False,
            colour=_of(name),
        )
    n = int(found.usable.sum())
    return panels.plate.figure("patients", f"Median and the middle 50 % and 95 % of {n:,} virtual patients.")
