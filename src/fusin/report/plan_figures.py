"""Figures of a plan: doses beside their limits, risk against activity, and what more risk buys."""

from __future__ import annotations

from fusin.dosimetry.planning import PlanResult
from fusin.dosimetry.planning_front import FrontPoint, risk_curves
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
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

__all__ = ["front_figure", "plan_dose_figure", "risk_figure"]

_ROW, _TOP, _PLOT = 18.0, 8.0, 150.0
_WIDTH = DOUBLE_MM * 72 / 25.4


def plan_dose_figure(found: PlanResult) -> Figure:
    """Doses at the planned activity with their intervals, and the limits of absorbed dose."""
    names = list(found.doses_gy)
    left = min(150.0, max(text_width(n) for n in names) + 14)
    box = Box(left, _WIDTH - 14, _TOP, _TOP + _ROW * len(names))
    limits = [one for one in found.limits if one.quantity == "dose"]
    ends = [v for d in found.doses_gy.values() for v in (d.low, d.high) if v is not None]
    axis = axis_over([*ends, *(one.value_gy for one in limits)], box.left, box.right, zero=True, about=6)
    entries = [Entry("median dose with its interval", SERIES[0], "mark")]
    if any(one.at_most for one in limits):
        entries.append(Entry("upper limit", SERIES[1]))
    if not all(one.at_most for one in limits):
        entries.append(Entry("minimum", SERIES[2]))
    plate = Plate(DOUBLE_MM, box.bottom + 30 + legend_height(entries, box.right - left) + 4, label="Planned doses")
    plate.bottom_axis(axis, box, "absorbed dose [Gy]", grid=True)
    for number, name in enumerate(names):
        dose, y = found.doses_gy[name], box.top + _ROW * (number + 0.5)
        plate.label(left - 6, y, fit_text(name, left - 10), text_anchor="end", class_="organ")
        plate.line(axis(dose.low or 0.0), y, axis(dose.high or 0.0), y, stroke=SERIES[0].colour, stroke_width=1.2)
        plate.mark("circle", axis(dose.value or 0.0), y, SERIES[0].colour, class_="dose", data_organ=name)
        for one in (o for o in limits if o.organ == name):
            style = SERIES[1 if one.at_most else 2]
            plate.line(axis(one.value_gy), y - 7, axis(one.value_gy), y + 7, stroke=style.colour, stroke_width=1.6,
                       stroke_dasharray=style.dash, class_="limit", data_organ=name)  # fmt: skip
    plate.legend(entries, left, box.bottom + 28, box.right - left)
    return plate.figure("plan-doses", "Absorbed doses at the planned activity: medians with their intervals, and the limits of "
                        "absorbed dose that the user set.")  # fmt: skip


def risk_figure(found: PlanResult) -> Figure:
    """Probability of passing each limit against the total activity."""
    activity, curves = risk_curves(found)
    shown = list(zip(found.limits, curves, strict=True))[: len(SERIES)]
    y_axis = axis_over([0.0, 1.0], _TOP + _PLOT, _TOP, zero=True, percent=True)
    box = Box(left_margin(y_axis) + 4, _WIDTH - 14, _TOP, _TOP + _PLOT)
    x_axis = axis_over(activity.tolist(), box.left, box.right, zero=True, about=6)
    entries = [
        Entry(f"{one.text} (accepted: {100 * one.probability:g} %)", s)
        for (one, _), s in zip(shown, SERIES, strict=False)
    ]
    height = legend_height(entries, box.right - box.left)
    plate = Plate(DOUBLE_MM, box.bottom + 32 + height + 4, label="Probability of passing each limit")
    plate.left_axis(y_axis, box, "probability [%]")
    given = sum(found.chosen.activity_gbq.values())
    mixed = len(found.chosen.shares) > 1
    plate.bottom_axis(x_axis, box, "total activity [GBq]" + (", shares as planned" if mixed else ""))
    plate.line(
        x_axis(given), box.top, x_axis(given), box.bottom, stroke_width=0.8, stroke_dasharray="2 2", class_="plan"
    )
    for number, (one, curve) in enumerate(shown):
        style = SERIES[number]
        points = [(x_axis(a), y_axis(p)) for a, p in zip(activity.tolist(), curve.tolist(), strict=True)]
        plate.add("path", d=polyline(points), fill="none", stroke=style.colour, stroke_width=1.3, stroke_dasharray=style.dash,
                  class_="risk", data_limit=one.text)  # fmt: skip
        plate.mark(style.shape, x_axis(given), y_axis(one.probability), style.colour, class_="accepted")
    plate.legend(entries, box.left, box.bottom + 30, box.right - box.left)
    return plate.figure("plan-risk", "Probability of passing each limit (of staying below, for a minimum) against the activity. "
                        "Dotted: the planned activity; marks: the probability that was accepted.")  # fmt: skip


def front_figure(found: PlanResult, front: tuple[FrontPoint, ...]) -> Figure:
    """Dose of the target against the probability that is accepted, for each choice of nuclides."""
    choices = list(dict.fromkeys(p.choice for p in front))[: len(SERIES)]
    y_axis = axis_over([p.target_gy.value or 0.0 for p in front], _TOP + _PLOT, _TOP, zero=True)
    box = Box(left_margin(y_axis) + 4, _WIDTH - 14, _TOP, _TOP + _PLOT)
    x_axis = axis_over([0.0, *(p.probability for p in front)], box.left, box.right, zero=True, percent=True)
    entries = [Entry(c, s) for c, s in zip(choices, SERIES, strict=False)]
    plate = Plate(
        DOUBLE_MM, box.bottom + 32 + legend_height(entries, box.right - box.left) + 4, label="Dose against risk"
    )
    plate.left_axis(y_axis, box, f"median dose of {found.options.target} [Gy]")
    plate.bottom_axis(x_axis, box, "probability accepted in every upper limit [%]")
    for choice, style in zip(choices, SERIES, strict=False):
        own = [p for p in front if p.choice == choice]
        points = [(x_axis(p.probability), y_axis(p.target_gy.value or 0.0)) for p in own]
        plate.add("path", d=polyline(points), fill="none", stroke=style.colour, stroke_width=1.3, stroke_dasharray=style.dash,
                  class_="front", data_choice=choice)  # fmt: skip
        for x, y in points:
            plate.mark(style.shape, x, y, style.colour)
    plate.legend(entries, box.left, box.bottom + 30, box.right - box.left)
    caption = (
        f"What accepting more risk buys: the largest median dose of {found.options.target} where every upper limit is passed "
        "with at most that probability. The highest points are the Pareto front."
    )
    return plate.figure("plan-front", caption)
