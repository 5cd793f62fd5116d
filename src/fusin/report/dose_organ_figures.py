"""Figures of organ doses, of a budget and of a treatment: doses with intervals, shares of variance, doses over cycles."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from fusin.dosimetry.treatment_record import OrganCourse, TreatmentRecord
from fusin.dosimetry.uncertainty import Budget
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
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
    text_width,
)
from fusin.report.svg import MUTED
from fusin.stats.results import Estimate

__all__ = ["budget_figure", "course_figure", "dose_figure"]

_ROW, _TOP, _LABEL = 15.0, 8.0, 130.0
_MOST = 30


def dose_figure(doses: Sequence[tuple[str, Estimate, float]], *, name: str = "organ-doses") -> Figure:
    """Doses with intervals, one row each; the part from the organ itself is a bar.

    Parameters
    ----------
    doses : (name, dose [Gy], part from the organ itself [Gy])
    name : stem of the file
    """
    rows = list(doses)[:_MOST]
    width = DOUBLE_MM * 72 / 25.4
    left = min(_LABEL, max((text_width(n) for n, _, _ in rows), default=30.0) + 14)
    box = Box(left, width - 14, _TOP, _TOP + _ROW * max(len(rows), 1))
    ends = [v for _, d, _ in rows for v in (d.value, d.low, d.high) if v is not None]
    axis = axis_over(ends, box.left, box.right, zero=True, about=6)
    entries = [Entry("dose with its interval", SERIES[1], "mark")]
    if any(own > 0 for _, _, own in rows):
        entries.insert(0, Entry("from the organ itself", SERIES[5], "box"))
    plate = Plate(DOUBLE_MM, box.bottom + 30 + legend_height(entries, box.right - left) + 4, label="Absorbed doses")
    plate.bottom_axis(axis, box, "absorbed dose [Gy]", grid=True)
    for number, (label, dose, own) in enumerate(rows):
        y = box.top + _ROW * (number + 0.5)
        plate.label(left - 6, y, fit_text(label, left - 10), text_anchor="end", class_="organ")
        if own > 0:
            plate.add("rect", x=axis(0.0), y=y - 3.4, width=max(axis(own) - axis(0.0), 0.3), height=6.8,
                      fill=SERIES[5].colour, class_="self", data_organ=label)  # fmt: skip
        if dose.low is not None and dose.high is not None:
            plate.line(
                axis(dose.low), y, axis(dose.high), y, stroke=SERIES[1].colour, stroke_width=1.4, class_="interval"
            )
        if dose.value is not None:
            plate.mark("square", axis(dose.value), y, SERIES[1].colour, class_="dose", data_organ=label,
                       data_gy=f"{dose.value:.6g}")  # fmt: skip
    plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
    plate.legend(entries, left, box.bottom + 29, box.right - left)
    bar = "; the bar is the part from activity in the organ itself" if len(entries) > 1 else ""
    return plate.figure(name, f"Absorbed dose with its interval{bar}.")


def budget_figure(budgets: Sequence[tuple[str, Budget]]) -> Figure:
    """Relative uncertainty of each link, in groups by region; the net effect of the volume, not its parts."""
    rows = [(region, row) for region, found in budgets[:8] for row in found.rows if row.share is not None]
    heads = len({region for region, _ in rows})
    width = DOUBLE_MM * 72 / 25.4
    left = 120.0
    box = Box(left, width - 44, _TOP, _TOP + 12.0 * (len(rows) + 1.3 * heads))
    axis = axis_over([100.0 * r.contribution for _, r in rows], box.left, box.right, zero=True, about=6)
    plate = Plate(DOUBLE_MM, box.bottom + 30, label="Contributions to the uncertainty of doses")
    plate.bottom_axis(axis, box, "contribution to the relative standard uncertainty of the dose [%]", grid=True)
    y, before = box.top, ""
    for region, row in rows:
        if region != before:
            plate.label(4, y + 9, fit_text(region, left), class_="region")
            y, before = y + 15.6, region
        value = 100.0 * row.contribution
        plate.label(left - 6, y + 6, row.quantity, size=SMALL, text_anchor="end", fill=MUTED)
        plate.add("rect", x=axis(0.0), y=y + 2.2, width=max(axis(value) - axis(0.0), 0.3), height=7.6, fill=SERIES[0].colour,
                  class_="contribution", data_region=region, data_quantity=row.quantity, data_percent=f"{value:.6g}")  # fmt: skip
        plate.label(axis(value) + 4, y + 6, f"{value:.1f}", size=SMALL, class_="value")
        y += 12.0
    plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
    return plate.figure("budget", "What each link of the chain adds to the uncertainty of the dose, as standard uncertainty; "
                        "the volume counts with its net effect on counts, recovery and mass.")  # fmt: skip


def course_figure(record: TreatmentRecord, courses: Sequence[OrganCourse]) -> Figure:
    """Cumulative doses over the cycles with their intervals; graded findings stand below their cycle."""
    shown = list(courses)[: len(SERIES)]
    numbers = [c.number for c in sorted(record.cycles, key=lambda c: c.number)]
    findings = [t for t in record.toxicity if t.grade > 0]
    width, top, plot = DOUBLE_MM * 72 / 25.4, 10.0, 150.0
    ends = [v for c in shown for e in c.cumulative_gy if e is not None for v in (e.value, e.high) if v is not None]
    limits = [(c, c.biology.limit_gy) for c in shown if c.biology is not None and c.biology.limit_gy is not None]
    y_axis = axis_over([*ends, *(v for _, v in limits)], top + plot, top, zero=True, about=5)
    left = left_margin(y_axis)
    box = Box(left, width - 10, top, top + plot)
    x_axis = _cycles_axis(numbers, box)
    entries = [Entry(c.organ, s) for c, s in zip(shown, SERIES, strict=False)]
    rows = min(len(findings), 8)
    wide = box.right - left
    plate = Plate(DOUBLE_MM, box.bottom + 30 + legend_height(entries, wide) + 10 * (rows + bool(limits)) + 4,
                  label="Cumulative doses over the cycles")  # fmt: skip
    plate.left_axis(y_axis, box, "cumulative dose [Gy]")
    plate.bottom_axis(x_axis, box, "cycle")
    for place, course in enumerate(shown):
        # Organs stand beside each other, so that no interval covers another.
        _course_line(plate, course, numbers, x_axis, y_axis, SERIES[place], 7.0 * (place - (len(shown) - 1) / 2))
    for course, limit in limits:
        style = SERIES[shown.index(course)]
        plate.line(box.left, y_axis(limit or 0.0), box.right, y_axis(limit or 0.0), stroke=style.colour, stroke_width=0.6,
                   stroke_dasharray="2 2", class_="limit", data_organ=course.organ)  # fmt: skip
    plate.legend(entries, left, box.bottom + 28, wide)
    notes = [f"Dotted: limit that the user set for {', '.join(c.organ for c, _ in limits)}."] if limits else []
    for entry in findings[:rows]:
        when = (
            f"after cycle {entry.cycle}" if entry.cycle is not None else (entry.date.isoformat() if entry.date else "")
        )
        notes.append(f"{entry.term}, grade {entry.grade}{f', {entry.organ}' if entry.organ else ''}, {when}")
    plate.notes(notes, left, box.bottom + 30 + legend_height(entries, wide))
    return plate.figure("course", "Cumulative absorbed dose after each cycle with its interval (limits added, fully correlated); "
                        "graded findings below.")  # fmt: skip


def _cycles_axis(numbers: Sequence[int], box: Box) -> Axis:
    """One tick per cycle, with room at both ends."""
    low, high = min(numbers) - 0.5, max(numbers) + 0.5
    return Axis(low=low, high=high, start=box.left, stop=box.right, ticks=tuple(float(n) for n in numbers))


def _course_line(
    plate: Plate, course: OrganCourse, numbers: Sequence[int], x_axis: Axis, y_axis: Axis, style: Series, aside: float
) -> None:
    """Steps from cycle to cycle, moved aside by some points; a dose that is missing ends the line."""
    found = list(itertools.takewhile(lambda pair: pair[1] is not None, zip(numbers, course.cumulative_gy, strict=True)))
    points: list[tuple[float, float]] = []
    before = y_axis(0.0)
    marks = []
    for number, dose in found:
        x, y = x_axis(float(number)) + aside, y_axis((dose.value if dose is not None else None) or 0.0)
        points += [(x, before), (x, y)]
        before = y
        marks.append((x, y, dose))
        if dose is not None and dose.low is not None and dose.high is not None:
            plate.line(
                x, y_axis(dose.low), x, y_axis(dose.high), stroke=style.colour, stroke_width=1.0, class_="interval"
            )
    if not points:
        return
    points.append((min(points[-1][0] + 14, x_axis.stop), points[-1][1]))
    plate.add("path", d=polyline(points), fill="none", stroke=style.colour, stroke_width=1.3, stroke_dasharray=style.dash,
              class_="course", data_organ=course.organ)  # fmt: skip
    for x, y, dose in marks:
        plate.mark(style.shape, x, y, style.colour, class_="dose", data_organ=course.organ,
                   data_gy=f"{(dose.value if dose is not None else None) or 0.0:.6g}")  # fmt: skip
