"""Outcome as figures: Kaplan-Meier curves with numbers at risk, waterfall and swimmer plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fusin.cohort.follow_up import SwimmerLane
from fusin.cohort.outcome import FRAMEWORKS, METRICS, Framework, Waterfall
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
    counted,
    fit_text,
    left_margin,
    legend_height,
    polyline,
    text_width,
    wrap,
)
from fusin.report.svg import FAINT, INK, MUTED, short
from fusin.report.table_text import estimate_text, number_text, p_text
from fusin.stats.results import TestResult
from fusin.stats.survival import KaplanMeier

__all__ = ["MOST_BARS", "MOST_LANES", "survival_plot", "swimmer_plot", "waterfall_plot"]

MOST_BARS, MOST_LANES = 600, 80
"""Bars that are drawn one by one; lanes that stay legible on one page."""

_SHORT_METRICS = {"ctv_ml": "CXCR4 tumour volume", "tlu_g": "TLU", "suv_peak": "SUVpeak"}
_FRAMEWORKS = {"lugano": "Lugano", "percist": "PERCIST", "imwg": "IMWG"}
_MOST_TICKS, _KEY_SIZE = 300, 7.5
_TICK_STEPS = (1, 2, 3, 6, 12, 24, 36, 60, 120)


def survival_plot(
    curves: Mapping[str, KaplanMeier],
    *,
    title: str,
    test: TestResult | None = None,
    unit: str = "months",
    name: str = "survival",
    width_mm: float = SINGLE_MM,
) -> Figure:
    """Draw Kaplan-Meier curves with intervals, censoring ticks, medians and numbers at risk.

    Parameters
    ----------
    curves : by name of the group; up to six
    title : of the axis, for example ``"progression-free survival [%]"``
    test : of the difference of the groups
    unit : of the times
    name : stem of the file
    width_mm : of the figure
    """
    shown = dict(list(curves.items())[: len(SERIES)])
    width = width_mm * 72 / 25.4
    names = [fit_text(n, 60.0, SMALL) for n in shown] if len(shown) > 1 else ["patients"][: len(shown)]
    left = max(38.0, 8.0 + max([text_width(n, SMALL) for n in names], default=0.0) + 10)
    head = _survival_head(shown, test, width)
    top = 11.0 + 11 * len(head)
    box = Box(left, width - 10, top, top + 135)
    x_axis = _time_axis([float(c.time[-1]) for c in shown.values()], box)
    y_axis = Axis(low=0.0, high=1.0, start=box.bottom, stop=box.top, ticks=(0, 0.25, 0.5, 0.75, 1.0), percent=True)
    plate = Plate(width_mm, box.bottom + 40 + 10 * len(shown) + 3, label=f"Kaplan-Meier curves, {title}")
    for row, (text, key) in enumerate(head):
        y = 9.5 + 11 * row
        if key is not None:
            plate.line(4, y, 20, y, stroke=key.colour, stroke_width=1.5, stroke_dasharray=key.dash)
        plate.label(24, y, text, size=_KEY_SIZE, class_="legend")
    plate.left_axis(y_axis, box, title)
    plate.bottom_axis(x_axis, box, unit)
    for (label, curve), style in zip(shown.items(), SERIES, strict=False):
        _band(plate, curve, style, x_axis, y_axis)
        _curve(plate, label, curve, style, x_axis, y_axis)
    plate.label(4, box.bottom + 33, "at risk", size=SMALL, fill=MUTED)
    for row, (label, (group, curve), style) in enumerate(zip(names, shown.items(), SERIES, strict=False)):
        y = box.bottom + 43 + 10 * row
        plate.label(4, y, label, size=SMALL, fill=style.colour)
        for tick, count in zip(x_axis.ticks, curve.numbers_at_risk(x_axis.ticks).tolist(), strict=True):
            plate.label(x_axis(tick), y, str(count), size=SMALL, text_anchor="middle", class_="at-risk",
                        data_group=group, data_time=f"{tick:g}")  # fmt: skip
    return plate.figure(name, _survival_caption(shown, len(curves)))


def _survival_head(
    curves: Mapping[str, KaplanMeier], test: TestResult | None, width: float
) -> list[tuple[str, Series | None]]:
    """Lines above the plot, each with the series whose key stands before it."""
    head: list[tuple[str, Series | None]] = []
    for (label, curve), style in zip(curves.items(), SERIES, strict=False):
        lines = wrap(_curve_text(label if len(curves) > 1 else "", curve), width - 26, _KEY_SIZE)
        head += [(line, style if not row else None) for row, line in enumerate(lines)]
    return head + [(line, None) for line in (wrap(p_text(test), width - 26, _KEY_SIZE) if test else [])]


def _curve_text(label: str, curve: KaplanMeier) -> str:
    middle = (
        f"median {estimate_text(curve.median, digits=1)}" if curve.median.value is not None else "median not reached"
    )
    return f"{label}{': ' if label else ''}{curve.n_events}/{curve.n} events, {middle}"


def _time_axis(ends: Sequence[float], box: Box) -> Axis:
    """From 0 to the longest follow-up; ticks in steps that calendars know."""
    last = max([e for e in ends if e > 0], default=1.0)
    step = next((s for s in _TICK_STEPS if last / s <= 6), None)
    if step is None or last < 3:
        found = axis_over([0.0, last], box.left, box.right, zero=True)
        ticks = tuple(t for t in found.ticks if t <= last)
    else:
        ticks = tuple(float(t) for t in range(0, math.floor(last + 1e-9) + 1, step))
    return Axis(low=0.0, high=last, start=box.left, stop=box.right, ticks=ticks)


def _stairs(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of a step function that keeps each value until the next time."""
    corners = [(times[0], values[0])]
    for time, before, after in zip(times[1:], values, values[1:], strict=False):
        corners += [(time, before), (time, after)]
    return corners


def _band(plate: Plate, curve: KaplanMeier, style: Series, x_axis: Axis, y_axis: Axis) -> None:
    """Pointwise interval where it exists: not before the first event, nor after the curve has reached 0."""
    there = np.flatnonzero(np.isfinite(curve.low))
    if not there.size:
        return
    first, last = int(there[0]), int(there[-1])
    end = min(last + 1, len(curve.time) - 1)
    times = [*curve.time[first : last + 1].tolist(), float(curve.time[end])]
    upper, lower = ([*a[first : last + 1].tolist(), float(a[last])] for a in (curve.high, curve.low))
    outline = _stairs(times, upper) + _stairs(times, lower)[::-1]
    plate.add("path", d=polyline([(x_axis(x), y_axis(y)) for x, y in outline]) + "Z", fill=style.colour,
              fill_opacity=0.13, class_="band")  # fmt: skip


def _curve(plate: Plate, label: str, curve: KaplanMeier, style: Series, x_axis: Axis, y_axis: Axis) -> None:
    times, survival = curve.time.tolist(), curve.survival.tolist()
    ticks = sorted(
        {(round(4 * x_axis(t)) / 4, round(4 * y_axis(s)) / 4)
         for t, s, c in zip(times, survival, curve.censored.tolist(), strict=True) if c > 0}
    )  # fmt: skip
    plate.add("path", d=polyline([(x_axis(x), y_axis(y)) for x, y in _stairs(times, survival)]), fill="none",
              stroke=style.colour, stroke_width=1.4, stroke_dasharray=style.dash, class_="curve", data_group=label,
              data_n=curve.n, data_events=curve.n_events, data_last=f"{survival[-1]:.6g}")  # fmt: skip
    if 0 < int(curve.censored.sum()) <= _MOST_TICKS:
        plate.add("path", d="".join(f"M{short(x)} {short(y - 2.6)}v5.2" for x, y in ticks), fill="none",
                  stroke=style.colour, stroke_width=0.8, class_="censored", data_group=label,
                  data_count=int(curve.censored.sum()))  # fmt: skip


def _survival_caption(curves: Mapping[str, KaplanMeier], total: int) -> str:
    if not curves:
        return "No curve to show."
    methods = "; ".join(dict.fromkeys(f"{100 * c.level:g} %, {c.method}" for c in curves.values()))
    crowded = any(int(c.censored.sum()) > _MOST_TICKS for c in curves.values())
    left_out = f", left out where they are more than {_MOST_TICKS}" if crowded else ""
    text = f"Upright ticks: censored patients{left_out}. Shaded: intervals ({methods})."
    return text + (f" The first {len(curves)} of {total} groups are shown." if len(curves) < total else "")


def waterfall_plot(
    result: Waterfall,
    *,
    framework: Framework | None = None,
    highest: float | None = None,
    limits: tuple[float, float] | None = None,
    name: str = "waterfall",
    width_mm: float | None = None,
) -> Figure:
    """Draw the best change of each patient as bars in falling order.

    Parameters
    ----------
    result : bars in their order
    framework : colours the bars by the category that was entered
    highest : bars above this percentage are cut, marked and labelled with their value
    limits : percentages between which a change does not differ from repetition, drawn as a band
    name : stem of the file
    width_mm : of the figure; two columns for more than 24 patients when None
    """
    n = len(result.patients)
    chosen = width_mm or (SINGLE_MM if n <= 24 else DOUBLE_MM)
    width = chosen * 72 / 25.4
    colours = _category_colours(result, framework if n <= MOST_BARS else None)
    entries = [Entry(label, style, "box") for label, style in colours.items()]
    head = (legend_height(entries, width - 44) + 4 if entries else 0.0) + (20 if highest is not None else 4)
    cut = [min(v, highest) if highest is not None else v for v in result.change_percent]
    axis = axis_over([*cut, *(limits or ()), 0.0], head + 145, head, zero=True, about=6)
    box = Box(left_margin(axis), width - 6, head, head + 145)
    named = n <= (24 if chosen <= SINGLE_MM else 60)
    tall = min(52.0, max([text_width(p, 6.5) for p in result.patients], default=0.0) + 6) if named else 0.0
    plate = Plate(chosen, box.bottom + max(tall, 4) + 15, label=f"Waterfall plot of {n} patients")
    plate.legend(entries, box.left, 2, box.right - box.left)
    plate.left_axis(axis, box, f"best change of {_SHORT_METRICS[result.metric]} [%]")
    if limits:
        plate.add("rect", x=box.left, width=box.right - box.left, y=axis(limits[1]), height=axis(limits[0]) - axis(limits[1]),
                  fill=FAINT, fill_opacity=0.3, class_="limits")  # fmt: skip
    _waterfall_bars(plate, result, cut, axis, box, [_category(c, framework) for c in result.categories], colours)
    plate.line(box.left, axis(0), box.right, axis(0), stroke=INK)
    pitch = (box.right - box.left) / max(n, 1)
    for place, patient in enumerate(result.patients if named else ()):
        x = box.left + pitch * (place + 0.5)
        label = fit_text(patient, 48, 6.5)
        plate.turned(x, box.bottom + 4, label, size=6.5, fill=MUTED, text_anchor="end", class_="patient")
    plate.label((box.left + box.right) / 2, box.bottom + max(tall, 4) + 7, counted(n, "patient"), text_anchor="middle")
    return plate.figure(name, _waterfall_caption(result, framework, highest, limits))


def _category(categories: Mapping[Framework, str | None], framework: Framework | None) -> str:
    return (categories.get(framework) if framework else None) or ""


def _category_colours(result: Waterfall, framework: Framework | None) -> dict[str, Series]:
    """Categories that occur, from best to worst, each with its colour; those not entered are grey."""
    if framework is None:
        return {}
    found = {_category(c, framework) for c in result.categories}
    # Four groups of response, so that six or eight categories need no more colours than people tell apart.
    tones = {
        "sCR": 2,
        "CMR": 2,
        "CR": 5,
        "VGPR": 0,
        "PMR": 0,
        "PR": 0,
        "MR": 3,
        "NMR": 4,
        "SMD": 4,
        "SD": 4,
        "PMD": 1,
        "PD": 1,
    }
    ordered = {c: SERIES[tones[c]] for c in FRAMEWORKS[framework] if c in found}
    return ordered | ({"not entered": Series(FAINT, None, "square")} if "" in found else {})


def _waterfall_bars(
    plate: Plate, result: Waterfall, cut: Sequence[float], axis: Axis, box: Box, categories: Sequence[str],
    colours: Mapping[str, Series],
) -> None:  # fmt: skip
    n = len(cut)
    pitch = (box.right - box.left) / max(n, 1)
    if n > MOST_BARS:
        tops = [(box.left + pitch * (i + e), axis(v)) for i, v in enumerate(cut) for e in (0, 1)]
        outline = [(box.left, axis(0)), *tops, (box.right, axis(0))]
        plate.add("path", d=polyline(outline) + "Z", fill=SERIES[0].colour, class_="bars", data_count=str(n))
        return
    for i, (patient, value, drawn, category) in enumerate(
        zip(result.patients, result.change_percent, cut, categories, strict=True)
    ):
        x, wide = box.left + pitch * i, min(0.82 * pitch, 34.0)
        style = colours.get(category or "not entered", SERIES[0])
        y, tall = min(axis(drawn), axis(0)), max(abs(axis(drawn) - axis(0)), 0.6)
        plate.add("rect", x=x + (pitch - wide) / 2, width=wide, y=y, height=tall, fill=style.colour, class_="bar",
                  data_patient=patient, data_change=f"{value:.6g}", data_category=category or None,
                  title=f"{patient}: {value:+.1f} %{', ' + category if category else ''}")  # fmt: skip
        if drawn != value:
            plate.line(x, y + 5, x + pitch, y + 2.5, stroke="#FFFFFF", stroke_width=1.4)
            plate.turned(x + pitch / 2, y - 2, f"+{value:.0f}", size=min(SMALL, pitch), class_="cut")


def _waterfall_caption(
    result: Waterfall, framework: Framework | None, highest: float | None, limits: tuple[float, float] | None
) -> str:
    if not result.patients:
        return "No change in percent to show."
    parts = [f"Lowest change of each patient against baseline: {METRICS[result.metric]}."]
    if framework and len(result.patients) <= MOST_BARS:
        parts.append(f"Colours: {_FRAMEWORKS[framework]} category as entered for that scan.")
    if limits:
        parts.append(f"Grey: limits of repetition, {number_text(limits[0])} to {number_text(limits[1])} %.")
    if highest is not None and max(result.change_percent) > highest:
        parts.append(f"Bars above {highest:g} % are cut and carry their value.")
    if result.missing:
        parts.append(f"Not shown for lack of a change in percent: {len(result.missing)}.")
    return " ".join(parts)


def swimmer_plot(
    lanes: Sequence[SwimmerLane], *, unit: str = "months", name: str = "swimmer", width_mm: float = DOUBLE_MM
) -> Figure:
    """Draw one lane per patient, with what happened on the way and how it ended.

    Parameters
    ----------
    lanes : in the order of drawing
    unit : of the times
    name : stem of the file
    width_mm : of the figure
    """
    shown = list(lanes)[:MOST_LANES]
    width = width_mm * 72 / 25.4
    labels = list(dict.fromkeys(label for lane in shown for _, label in lane.marks))
    styles = {label: _mark_style(i) for i, label in enumerate(labels)}
    ended = list(dict.fromkeys(lane.ended for lane in shown))
    entries = [Entry(label, styles[label], "mark") for label in labels]
    head = legend_height([*entries, *(Entry(e, SERIES[0], "mark") for e in ended)], width - 8) + 5
    pitch = max(8.0, min(15.0, 480.0 / max(len(shown), 1)))
    left = min(90.0, max([text_width(lane.patient, SMALL) for lane in shown], default=30.0) + 10)
    box = Box(left, width - 14, head, head + pitch * max(len(shown), 1) + 3)
    x_axis = _time_axis([m for lane in shown for m in (lane.months, *(t for t, _ in lane.marks))], box)
    plate = Plate(width_mm, box.bottom + 28, label=f"Swimmer plot of {len(shown)} patients")
    plate.bottom_axis(x_axis, box, unit, grid=True)
    _swimmer_legend(plate, entries, ended, width - 8)
    for row, lane in enumerate(shown):
        y, end = box.top + pitch * (row + 0.5), x_axis(lane.months)
        plate.label(
            left - 6, y, fit_text(lane.patient, left - 8, SMALL), size=SMALL, text_anchor="end", class_="patient"
        )
        plate.add("rect", x=box.left, width=max(end - box.left, 0.5), y=y - 0.3 * pitch, height=0.6 * pitch,
                  fill=SERIES[5].colour, fill_opacity=0.45, class_="lane", data_patient=lane.patient,
                  data_months=f"{lane.months:.6g}", data_ended=lane.ended)  # fmt: skip
        _ending(plate, lane.ended, end, y)
        for months, label in lane.marks:
            style = styles[label]
            plate.mark(style.shape, x_axis(months), y, style.colour, size=min(2.6, 0.28 * pitch), class_="event",
                       data_label=label, data_months=f"{months:.6g}",
                       title=f"{lane.patient}: {label}, {months:.1f} {unit}")  # fmt: skip
    plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
    text = "One lane for each patient, the longest first." if shown else "No patient with follow-up."
    return plate.figure(name, text + (f" {len(shown)} of {len(lanes)} are shown." if len(shown) < len(lanes) else ""))


def _mark_style(place: int) -> Series:
    """Different colour and shape for each kind of event; combinations repeat after thirty."""
    order = (1, 2, 0, 3, 4)
    shapes = ("diamond", "triangle", "circle", "square", "cross")
    colour = SERIES[order[place % 5]].colour
    return Series(colour, None, shapes[(place + place // 5) % 5])  # type: ignore[arg-type]  # literals of a tuple


def _ending(plate: Plate, ended: str, x: float, y: float) -> None:
    """A bar for death, an arrow for a patient who is still followed, a ring for the last event known."""
    if ended == "death":
        plate.line(x, y - 4, x, y + 4, stroke=INK, stroke_width=2.0, class_="end")
    elif ended == "last contact":
        d = f"M{short(x)} {short(y)}h6m-2.6 -2.3l2.6 2.3l-2.6 2.3"
        plate.add("path", d=d, fill="none", stroke=INK, stroke_width=0.9, class_="end")
    else:
        plate.add("circle", cx=x + 3.5, cy=y, r=2.2, fill="#FFFFFF", stroke=INK, stroke_width=0.8, class_="end")


def _swimmer_legend(plate: Plate, entries: Sequence[Entry], ended: Sequence[str], width: float) -> None:
    """Legend of events, then of the ways in which a lane ends."""
    x, row = 4.0, 0
    everything = [(e.text, e.series) for e in entries] + [(text, None) for text in ended]
    for text, style in everything:
        wide = 20.0 + text_width(text)
        if x > 4.0 and x - 4.0 + wide > width:
            x, row = 4.0, row + 1
        y = 2 + 11 * row + 5.5
        if style is not None:
            plate.mark(style.shape, x + 8, y, style.colour, size=2.6)
        else:
            _ending(plate, text, x + 8 if text == "death" else x + 5, y)
        plate.label(x + 20, y, fit_text(text, width - 20), class_="legend")
        x += wide + 12.0
