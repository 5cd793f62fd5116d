"""Figures of occupancy: a map over amount and affinity, the mass effect with its band, and a drug by hours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusin.receptor.occupancy_answers import occupancy_grid
from fusin.receptor.occupancy_case import Case
from fusin.report.pathway_figure import shade
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
    polyline,
    text_width,
)
from fusin.report.svg import INK, MUTED

__all__ = ["drug_figure", "mass_effect_figure", "occupancy_map"]

_LEFT, _TOP = 40.0, 8.0
_AMOUNTS = (0.1, 10000.0)
_KD = (0.1, 100.0)
_LINES = (0.1, 0.5, 0.9)


def _box(width_mm: float, height: float, right: float = 10.0) -> Box:
    return Box(_LEFT, width_mm * 72.0 / 25.4 - right, _TOP, height)


def occupancy_map(case: Case, affinities: Sequence[Mapping[str, Any]]) -> Figure:
    """Occupancy by the tracer over amount and KD; published IC50 stand at the side, as if they were KD.

    Parameters
    ----------
    case : with a free SUV
    affinities : rows of `fusin.receptor.occupancy_answers.Answers.affinities`
    """
    box = _box(DOUBLE_MM, 230.0, right=120.0)
    x = axis_over(_AMOUNTS, box.left, box.right, log=True)
    y = axis_over(_KD, box.bottom, box.top, log=True)
    plate = Plate(DOUBLE_MM, box.bottom + 40, label="Occupancy by amount of peptide and KD")
    _cells(plate, case, x, y)
    suv = case.free_suv.value if case.free_suv is not None else 1.0
    for share in _LINES:
        # C / (C + KD) = share is a straight line on these axes.
        slope = suv / case.weight_kg * (1.0 - share) / share
        start, stop = max(x.low, y.low / slope), min(x.high, y.high / slope)
        if start < stop:
            plate.line(x(start), y(slope * start), x(stop), y(slope * stop), stroke=INK, stroke_width=1.0)
            at = math.exp(0.25 * math.log(start) + 0.75 * math.log(stop))
            plate.label(x(at) + 3, y(slope * at) + 7, f"{share:.0%}", size=SMALL, font_weight="bold")
    if case.amount is not None and x.within(case.amount.peptide_nmol):
        at = x(case.amount.peptide_nmol)
        plate.line(at, box.top, at, box.bottom, stroke="#D55E00", stroke_dasharray="4 2", stroke_width=1.2)
        plate.label(at + 3, box.top + 7, f"{case.amount.peptide_nmol:.3g} nmol", size=SMALL, fill="#A03E00")
    for row in affinities:
        if y.within(row["ic50_nm"]):
            at = y(row["ic50_nm"])
            plate.line(box.left, at, box.right + 4, at, stroke="#0072B2", stroke_dasharray="1.5 1.5", stroke_width=0.9)
            plate.label(
                box.right + 6, at, f"{row['tracer']} {row['ic50_nm']:g} ({row['tag']})", size=SMALL, fill="#005485"
            )
    plate.left_axis(y, box, "KD in nM", grid=False)
    plate.bottom_axis(x, box, "peptide injected in nmol")
    plate.notes(["Lines: 10, 50 and 90 % occupied. At the side: published IC50 drawn as if KD; tags U and M are unverified."],
                _LEFT, box.bottom + 27)  # fmt: skip
    return plate.figure(
        "occupancy_map",
        f"Occupancy of the receptor by {case.tracer} at equilibrium, for free tracer of SUV {suv:g} in {case.weight_kg:g} kg. "
        "Published affinities disagree about tenfold, and with them whether an imaging dose saturates anything.",
    )


def _cells(plate: Plate, case: Case, x: Axis, y: Axis) -> None:
    """Shades on a grid that is fine enough to look smooth."""
    across, up = 56, 36
    amounts = np.exp(np.linspace(math.log(x.low), math.log(x.high), across + 1))
    constants = np.exp(np.linspace(math.log(y.low), math.log(y.high), up + 1))
    middle_x, middle_y = np.sqrt(amounts[1:] * amounts[:-1]), np.sqrt(constants[1:] * constants[:-1])
    grid = occupancy_grid(case, middle_x.tolist(), middle_y.tolist())
    # Each cell reaches to the far edges and the next one covers it, so that no seams show.
    for j in reversed(range(up)):
        top = y(constants[j + 1])
        for i in range(across):
            left = x(amounts[i])
            wide, high = x.stop - left, y.start - top
            plate.add("rect", x=left, y=top, width=wide, height=high, fill=shade(float(grid[j, i])))


def _band(plate: Plate, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], colour: str) -> None:
    outline = [*zip(xs, highs, strict=True), *reversed(list(zip(xs, lows, strict=True)))]
    plate.add("path", d=polyline(outline) + "Z", fill=colour, fill_opacity=0.18)


def mass_effect_figure(rows: Sequence[Mapping[str, Any]], *, amount_nmol: float | None, tracer: str) -> Figure:
    """Relative specific uptake by amount of peptide, with the interval from the ranges.

    Parameters
    ----------
    rows : of the mass effect
    amount_nmol : of this injection
    tracer : name
    """
    box = _box(SINGLE_MM, 150.0)
    x = axis_over(_AMOUNTS, box.left, box.right, log=True)
    y = axis_over((0.0, 1.0), box.bottom, box.top)
    closed = "closed_uptake" in rows[0]
    plate = Plate(SINGLE_MM, box.bottom + (52 if closed else 30), label="Mass effect")
    plate.left_axis(y, box, "specific uptake, relative")
    xs = [x(row["amount_nmol"]) for row in rows]
    names = [("relative_uptake", "plasma keeps free tracer up")]
    if closed:
        names.append(("closed_uptake", "tissue has what it got"))
    for (name, _), series in zip(names, SERIES, strict=False):
        if rows[0][f"{name}_low"] is not None:
            _band(plate, xs, [y(r[f"{name}_low"]) for r in rows], [y(r[f"{name}_high"]) for r in rows], series.colour)
        curve = polyline([(a, y(r[name])) for a, r in zip(xs, rows, strict=True)])
        plate.add("path", d=curve, fill="none", stroke=series.colour, stroke_width=1.4, stroke_dasharray=series.dash)
    if amount_nmol is not None and x.within(amount_nmol):
        plate.line(x(amount_nmol), box.top, x(amount_nmol), box.bottom, stroke=MUTED, stroke_dasharray="3 2")
    plate.bottom_axis(x, box, "peptide injected in nmol")
    if closed:
        entries = [Entry(text, series) for (_, text), series in zip(names, SERIES, strict=False)]
        plate.legend(entries, _LEFT, box.bottom + 27, box.right - _LEFT)
    return plate.figure(
        "mass_effect",
        f"Specific uptake of {tracer} against that of a vanishing amount of peptide, at equilibrium. Bands hold 95 % of the draws "
        "from the stated ranges.",
    )


def drug_figure(rows: Sequence[Mapping[str, Any]], *, tracer: str) -> Figure:
    """SUV with a drug on board against without it, by hours after the dose.

    Parameters
    ----------
    rows : of one or more drugs
    tracer : name
    """
    box = _box(SINGLE_MM, 150.0)
    drugs = list(dict.fromkeys(row["drug"] for row in rows))
    x = axis_over([row["hours"] for row in rows], box.left, box.right, zero=True)
    y = axis_over((0.0, 1.0), box.bottom, box.top)
    plate = Plate(SINGLE_MM, box.bottom + (42 if len(drugs) > 1 else 30), label="SUV ratio by hours after a drug")
    plate.left_axis(y, box, "SUV with the drug, relative")
    for drug, series in zip(drugs, SERIES, strict=False):
        own = sorted((row for row in rows if row["drug"] == drug), key=lambda row: row["hours"])
        xs = [x(row["hours"]) for row in own]
        if own[0]["suv_ratio_low"] is not None:
            _band(plate, xs, [y(r["suv_ratio_low"]) for r in own], [y(r["suv_ratio_high"]) for r in own], series.colour)
        plate.add("path", d=polyline([(a, y(r["suv_ratio"])) for a, r in zip(xs, own, strict=True)]), fill="none",
                  stroke=series.colour, stroke_width=1.4)  # fmt: skip
        for a, row in zip(xs, own, strict=True):
            plate.mark(series.shape, a, y(row["suv_ratio"]), series.colour)
    plate.bottom_axis(x, box, "hours after the dose")
    if len(drugs) > 1:
        entries = [Entry(drug, series, "mark") for drug, series in zip(drugs, SERIES, strict=False)]
        plate.legend(entries, _LEFT, box.bottom + 27, box.right - _LEFT)
    words = drugs[0] if text_width(drugs[0]) < 120 else "the drug"
    return plate.figure(
        "drug_on_board",
        f"SUV of {tracer} with {words} on board against without, by hours after its dose. Bands hold 95 % of the draws from the "
        "ranges of its kinetics and of both affinities.",
    )
