"""Vials over the day: volume and activity, with a step at each draw."""

from __future__ import annotations

from fusin.radiopharmacy.dispensing_plan import DispensePlan, vial_course
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
    left_margin,
    legend_height,
    polyline,
    spread,
    text_width,
)
from fusin.report.svg import FAINT, MUTED

__all__ = ["vial_figure"]

_PANEL, _BETWEEN = 92.0, 16.0


def vial_figure(plan: DispensePlan) -> Figure:
    """Volume above, activity below, a line for each vial; draws are named, and the expiry is a thin line."""
    uses = plan.vials[: len(SERIES)]
    courses = [vial_course(plan, u.vial) for u in uses]
    start, end = min(c[0][0] for c in courses), max(c[-1][0] for c in courses)
    expiries = [u.vial.expires_s for u in uses if u.vial.expires_s is not None and start < u.vial.expires_s]
    if expiries and min(expiries) - start < 3 * (end - start):
        end = max(end, min(expiries))
    unit, factor = (
        ("days", 86400.0) if end - start > 3 * 86400 else ("hours", 3600.0) if end - start > 6 * 3600 else ("min", 60.0)
    )
    width, top = DOUBLE_MM * 72 / 25.4, 20.0
    volume = axis_over([p[1] for c in courses for p in c], top + _PANEL, top, zero=True, about=4)
    low = top + _PANEL + _BETWEEN
    activity = axis_over([p[2] for c in courses for p in c], low + _PANEL, low, zero=True, about=4)
    left = max(left_margin(volume), left_margin(activity))
    boxes = (Box(left, width - 10, top, top + _PANEL), Box(left, width - 10, low, low + _PANEL))
    x_axis = axis_over([0.0, (end - start) / factor], left, width - 10, about=8)
    entries = [Entry(f"{u.vial.name} ({u.vial.nuclide})", s) for u, s in zip(uses, SERIES, strict=False)]
    wide = boxes[1].right - left
    plate = Plate(
        DOUBLE_MM, boxes[1].bottom + 30 + legend_height(entries, wide) + 2, label="Volume and activity of the vials"
    )
    plate.left_axis(volume, boxes[0], "volume [mL]")
    plate.left_axis(activity, boxes[1], "activity [MBq]")
    origin = plan.clock.text(start) if plan.clock.origin is not None else f"{start / 60.0:g} min"
    plate.bottom_axis(
        x_axis, boxes[1], f"{unit} after {origin}" if start or plan.clock.origin else unit + " after the reference"
    )
    plate.line(left, boxes[0].bottom, width - 10, boxes[0].bottom, stroke=MUTED)
    for use, style in zip(uses, SERIES, strict=False):
        if use.vial.expires_s is not None and start < use.vial.expires_s <= end:
            _expiry(plate, x_axis((use.vial.expires_s - start) / factor), boxes, style.colour)
    _draws(plate, plan, boxes, x_axis, start, factor)
    for use, course, style in zip(uses, courses, SERIES, strict=False):
        for axis, column in ((volume, 1), (activity, 2)):
            line = [(x_axis((p[0] - start) / factor), axis(max(p[column], 0.0))) for p in course]
            plate.add("path", d=polyline(line), fill="none", stroke=style.colour, stroke_width=1.4,
                      stroke_dasharray=style.dash, stroke_linejoin="round", class_="course", data_label=use.vial.name)  # fmt: skip
    plate.legend(entries, left, boxes[1].bottom + 28, wide)
    how = "named by its patient" if _names_fit(plan, boxes[0]) else "numbered in the order of the draw sheet"
    return plate.figure("vials", f"Volume and activity of each vial; a step is a draw, {how}.")


def _expiry(plate: Plate, x: float, boxes: tuple[Box, Box], colour: str) -> None:
    plate.line(x, boxes[0].top, x, boxes[1].bottom, stroke=colour, stroke_width=0.8, class_="expiry")
    plate.label(x - 3, boxes[1].top + 6, "expiry", size=SMALL, text_anchor="end", fill=colour)


def _drawn(plan: DispensePlan) -> list[tuple[float, str]]:
    return [(s.draw_s, s.order.id) for s in plan.servings if s.served and s.draw_s is not None]


def _names_fit(plan: DispensePlan, box: Box) -> bool:
    """Whether the names of all patients have room beside one another."""
    names = [name for _, name in _drawn(plan)]
    return len(names) * (max((text_width(n, SMALL) for n in names), default=0.0) + 4) <= 0.7 * (box.right - box.left)


def _draws(plate: Plate, plan: DispensePlan, boxes: tuple[Box, Box], x_axis: Axis, start: float, factor: float) -> None:
    """A faint line and a name or number at each draw; those that would overlap are moved apart."""
    named = _names_fit(plan, boxes[0])
    draws = [(t, name if named else str(k)) for k, (t, name) in enumerate(_drawn(plan), start=1)]
    places = [x_axis((t - start) / factor) for t, _ in draws]
    widest = max((text_width(name, SMALL) for _, name in draws), default=0.0) + 4
    for x, at, (_, name) in zip(spread(places, widest, boxes[0].left, boxes[0].right), places, draws, strict=True):
        plate.line(at, boxes[0].top - 2, at, boxes[1].bottom, stroke=FAINT, stroke_width=0.5, stroke_dasharray="2 2")
        plate.label(x, boxes[0].top - 10, name, size=SMALL, fill=MUTED, text_anchor="middle", class_="draw")
