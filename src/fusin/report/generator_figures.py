"""A generator as figures: 68Ga on the column with its elutions, and the control chart of its yields."""

from __future__ import annotations

from collections.abc import Sequence

from fusin.radiopharmacy.generator import State
from fusin.radiopharmacy.generator_analysis import GeneratorResult
from fusin.radiopharmacy.generator_yield import YieldTrend
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    Axis,
    Box,
    Entry,
    Figure,
    Plate,
    axis_over,
    left_margin,
    legend_height,
    polyline,
)
from fusin.report.svg import INK, MUTED

__all__ = ["activity_figure", "yield_figure"]

_POINTS = 60
_DAY_S = 86400.0


def _scale(span_s: float) -> tuple[str, float]:
    """Unit of a time axis and its seconds."""
    if span_s > 90 * _DAY_S:
        return "months", 30.4375 * _DAY_S
    if span_s > 3 * _DAY_S:
        return "days", _DAY_S
    return ("hours", 3600.0) if span_s > 3 * 3600.0 else ("min", 60.0)


def activity_figure(result: GeneratorResult) -> Figure | None:
    """68Ge and 68Ga on the columns over time, a drop at each elution, measured eluates as squares; None without elutions.

    Of a long log the last 20 elutions are drawn, because the ingrowth of hours vanishes in months.
    """
    shown = result.elutions[-20:]
    if not shown:
        return None
    start, end = shown[0].time_s, shown[-1].time_s
    if result.plan is not None:
        end = max(end, result.plan.time_s)
    end += max(0.04 * (end - start), 1800.0)
    unit, factor = _scale(end - start)
    width, box_height = DOUBLE_MM * 72 / 25.4, 150.0
    names = [g.name for g in result.log.generators][: len(SERIES)]
    top = [e.ge68_mbq for e in shown] + [p.on_column_mbq for e in shown for p in e.parts]
    top += [e.entry.eluted_measured_mbq or 0.0 for e in shown]
    y_axis = axis_over(top, 8.0 + box_height, 8.0, zero=True)
    box = Box(left_margin(y_axis), width - 10, 8.0, 8.0 + box_height)
    x_axis = axis_over([0.0, (end - start) / factor], box.left, box.right, about=8)
    entries = [Entry(f"68Ga on {name}", style) for name, style in zip(names, SERIES, strict=False)]
    entries += [Entry("68Ga eluted, calculated", SERIES[4], "mark")]
    if any(e.entry.measured_mbq is not None for e in shown):
        entries.append(Entry("68Ga eluted, measured", SERIES[3], "mark"))
    legend_width = box.right - box.left
    plate = Plate(
        DOUBLE_MM, box.bottom + 30 + legend_height(entries, legend_width) + 2, label="68Ga on the generator over time"
    )
    plate.left_axis(y_axis, box, "activity [MBq]")
    plate.bottom_axis(x_axis, box, _axis_title(result, start, unit))
    for name, style in zip(names, SERIES, strict=False):
        line = _course(result, name, [e.number for e in shown], start, end)
        plate.add("path", d=polyline([(x_axis((t - start) / factor), y_axis(a)) for t, a in line]), fill="none",
                  stroke=style.colour, stroke_width=1.3, stroke_dasharray=style.dash, stroke_linejoin="round",
                  class_="course", data_label=name)  # fmt: skip
    for e in shown:
        x = x_axis((e.time_s - start) / factor)
        plate.mark(SERIES[4].shape, x, y_axis(e.eluted_mbq), SERIES[4].colour, size=3.0, class_="calculated",
                   data_value=f"{e.eluted_mbq:.6g}")  # fmt: skip
        if e.entry.eluted_measured_mbq is not None:
            plate.mark(SERIES[3].shape, x, y_axis(e.entry.eluted_measured_mbq), SERIES[3].colour, size=2.4, class_="measured",
                       data_value=f"{e.entry.eluted_measured_mbq:.6g}")  # fmt: skip
    plate.legend(entries, box.left, box.bottom + 28, legend_width)
    many = f" The last {len(shown)} of {len(result.elutions)} elutions." if len(shown) < len(result.elutions) else ""
    return plate.figure(
        "generator-activity",
        "68Ga on the column, calculated in closed form; it falls at each elution and grows in again." + many,
    )


def _axis_title(result: GeneratorResult, start: float, unit: str) -> str:
    if result.log.clock.origin is None:
        return f"{unit} after {start / 60.0:g} min" if start else f"{unit} after the reference"
    return f"{unit} after {result.log.clock.text(start)}"


def _course(
    result: GeneratorResult, name: str, numbers: Sequence[int], start: float, end: float
) -> list[tuple[float, float]]:
    """Points of the 68Ga on one column: before and after each elution, and between them."""
    generator = next(g for g in result.log.generators if g.name == name)
    state = State.at_start(generator)
    line: list[tuple[float, float]] = []

    def draw(until: float) -> None:
        begun = max(start, state.time_s if state.time_s is not None else start)
        if until >= begun:
            steps = [begun + (until - begun) * k / _POINTS for k in range(_POINTS + 1)]
            line.extend((t, state.on_column_mbq(t)) for t in steps)

    for e in result.elutions:
        part = next((p for p in e.parts if p.generator == name), None)
        if part is None:
            continue
        if e.number in numbers:
            draw(e.time_s)
        state = State(generator, e.time_s, part.residual_mbq, True)
    draw(end)
    return line


def yield_figure(trend: YieldTrend, result: GeneratorResult) -> Figure | None:
    """Measured yields with their control limits; points outside are drawn as crosses. None for fewer than two points."""
    if len(trend.points) < 2:
        return None
    start = trend.points[0].time_s
    unit, factor = _scale(trend.points[-1].time_s - start)
    chart, minimum = trend.chart, result.log.rules.minimum_yield
    values = [p.value for p in trend.points] + ([minimum] if minimum is not None else [])
    spread = max(values) - min(values) or 0.05
    limits = [v for v in (*chart.low, *chart.high) if v is not None] if chart else []
    # Limits of very few elutions are so wide that the yields themselves would be one flat line.
    values += [v for v in limits if min(values) - 2 * spread <= v <= max(values) + 2 * spread]
    width = DOUBLE_MM * 72 / 25.4
    y_axis = axis_over(values, 138.0, 8.0, percent=True)
    box = Box(left_margin(y_axis), width - 10, 8.0, 138.0)
    x_axis = axis_over([(p.time_s - start) / factor for p in trend.points], box.left + 4, box.right - 4, about=8)
    entries = [Entry("measured yield", SERIES[0], "mark"), Entry("outside the limits", SERIES[1], "mark")]
    entries += [Entry("expected", SERIES[2]), Entry("control limits", SERIES[1])] if chart else []
    entries += [Entry("least yield asked for", SERIES[3])] if minimum is not None else []
    wide = box.right - box.left
    plate = Plate(
        DOUBLE_MM, box.bottom + 30 + legend_height(entries, wide) + 2, label=f"Elution yields of {trend.series}"
    )
    plate.left_axis(y_axis, box, "yield [% of 68Ga on the column]")
    plate.bottom_axis(x_axis, box, _axis_title(result, start, unit))
    if chart:
        for limit, style in ((chart.centre, SERIES[2]), (chart.low, SERIES[1]), (chart.high, SERIES[1])):
            line = [(x_axis((p.time_s - start) / factor), _held(y_axis, v))
                    for p, v in zip(trend.points, limit, strict=True) if v is not None]  # fmt: skip
            plate.add("path", d=polyline(line), fill="none", stroke=style.colour, stroke_width=0.9,
                      stroke_dasharray=style.dash, class_="limit")  # fmt: skip
    if minimum is not None:
        plate.line(box.left, y_axis(minimum), box.right, y_axis(minimum), stroke=SERIES[3].colour,
                   stroke_dasharray=SERIES[3].dash, class_="minimum")  # fmt: skip
    outside = chart.outside if chart else ()
    for p in trend.points:
        style = SERIES[1] if p.number in outside else SERIES[0]
        plate.mark(style.shape, x_axis((p.time_s - start) / factor), y_axis(p.value), style.colour, size=2.4,
                   class_="yield", data_number=p.number, data_value=f"{p.value:.6g}")  # fmt: skip
        if p.number in outside:
            plate.label(x_axis((p.time_s - start) / factor) + 5, y_axis(p.value), str(p.number), size=7.0, fill=INK)
    plate.legend(entries, box.left, box.bottom + 28, wide)
    if chart and chart.note:
        plate.label(box.right, box.top + 2, chart.note, size=7.0, fill=MUTED, text_anchor="end")
    kind = chart.method if chart else "too few elutions for control limits"
    return plate.figure(f"generator-yield-{_stem(trend.series)}", f"Measured yields of {trend.series}; {kind}.")


def _stem(series: str) -> str:
    return "".join(c.lower() if c.isascii() and c.isalnum() else "-" for c in series)


def _held(axis: Axis, value: float) -> float:
    """Place of a limit, at the edge of the plot where it lies beyond."""
    return axis(min(max(value, axis.low), axis.high))
