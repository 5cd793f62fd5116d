"""ROC curves as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusin.report.plate import SERIES, SINGLE_MM, SMALL, Axis, Box, Figure, Plate, Series, fit_text, polyline, wrap
from fusin.report.svg import FAINT, INK, MUTED
from fusin.report.table_text import estimate_text, number_text, p_text
from fusin.stats.results import TestResult
from fusin.stats.roc import Auc, CutOff, RocCurve

__all__ = ["RocSeries", "roc_plot"]

_OPERATORS = {">=": "≥", "<=": "≤"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RocSeries:
    """One curve with what was computed for it.

    Attributes
    ----------
    label : name in the legend
    curve : its points
    auc : area with interval
    cut_off : operating point, drawn with the intervals of sensitivity and specificity
    """

    label: str
    curve: RocCurve
    auc: Auc | None = None
    cut_off: CutOff | None = None


def roc_plot(
    series: Sequence[RocSeries],
    *,
    comparison: TestResult | None = None,
    name: str = "roc",
    width_mm: float = SINGLE_MM,
) -> Figure:
    """Draw ROC curves with areas, intervals and operating points.

    Parameters
    ----------
    series : up to six curves
    comparison : test of two areas
    name : stem of the file
    width_mm : of the figure; the plot is square
    """
    shown = list(series)[: len(SERIES)]
    width = width_mm * 72 / 25.4
    box = Box(38.0, width - 10, 6.0, 6.0 + width - 48)
    texts = [_legend_text(s) for s in shown]
    rows = [line for lines in texts for line in lines]
    plate = Plate(width_mm, box.bottom + 33 + 10 * len(rows) + (12 if comparison else 0) + 2,
                  label="ROC curve of " + ", ".join(s.label for s in shown))  # fmt: skip
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    x_axis = Axis(low=0.0, high=1.0, start=box.left, stop=box.right, ticks=ticks)
    y_axis = Axis(low=0.0, high=1.0, start=box.bottom, stop=box.top, ticks=ticks)
    plate.left_axis(y_axis, box, "sensitivity")
    plate.bottom_axis(x_axis, box, "1 − specificity", grid=True)
    plate.line(box.left, box.bottom, box.right, box.top, stroke=FAINT, stroke_dasharray="3 2", stroke_width=0.6)
    y = box.bottom + 34
    for one, style, lines in zip(shown, SERIES, texts, strict=False):
        steps = _steps(one.curve)
        plate.add("path", d=polyline([(x_axis(a), y_axis(b)) for a, b in steps]), fill="none", stroke=style.colour,
                  stroke_width=1.5, stroke_dasharray=style.dash, stroke_linejoin="round", class_="roc",
                  data_label=one.label, data_points=len(one.curve.sensitivity))  # fmt: skip
        if one.cut_off:
            _operating_point(plate, one, style, x_axis, y_axis)
        plate.line(4, y, 22, y, stroke=style.colour, stroke_width=1.5, stroke_dasharray=style.dash)
        for row, line in enumerate(lines):
            plate.label(
                27,
                y + 10 * row,
                line,
                size=SMALL + (0.5 if not row else 0),
                fill=INK if not row else MUTED,
                class_="legend",
            )
        y += 10 * len(lines)
    if comparison:
        plate.label(4, y + 2, fit_text(p_text(comparison), width - 8), class_="p")
    return plate.figure(name, _caption(shown, len(series)))


def _steps(curve: RocCurve) -> list[tuple[float, float]]:
    """Points as they are joined: ties between the classes make oblique pieces, as their half count in the area does."""
    return list(zip((1.0 - curve.specificity).tolist(), curve.sensitivity.tolist(), strict=True))


def _legend_text(one: RocSeries) -> list[str]:
    area = f", AUC {estimate_text(one.auc, digits=2)}" if one.auc else ""
    lines = wrap(f"{one.label}{area}", 205.0, SMALL + 0.5)
    if one.cut_off:
        cut = one.cut_off
        sign = _OPERATORS.get(cut.operator, cut.operator)
        lines.append(
            f"at {sign} {number_text(cut.threshold.value)}: sensitivity {estimate_text(cut.sensitivity, percent=True, digits=0)}"
        )
        lines.append(f"specificity {estimate_text(cut.specificity, percent=True, digits=0)}")
    return lines


def _operating_point(plate: Plate, one: RocSeries, style: Series, x_axis: Axis, y_axis: Axis) -> None:
    cut = one.cut_off
    if cut is None or cut.sensitivity.value is None or cut.specificity.value is None:
        return
    x, y = x_axis(1.0 - cut.specificity.value), y_axis(cut.sensitivity.value)
    if cut.sensitivity.low is not None and cut.sensitivity.high is not None:
        plate.line(
            x, y_axis(cut.sensitivity.low), x, y_axis(cut.sensitivity.high), stroke=style.colour, class_="interval"
        )
    if cut.specificity.low is not None and cut.specificity.high is not None:
        plate.line(
            x_axis(1 - cut.specificity.high),
            y,
            x_axis(1 - cut.specificity.low),
            y,
            stroke=style.colour,
            class_="interval",
        )
    # A cross is made of lines and cannot have a rim.
    rim: dict[str, Any] = {} if style.shape == "cross" else {"stroke": "#FFFFFF", "stroke_width": 0.7}
    plate.mark(style.shape, x, y, style.colour, size=3.2, class_="operating-point", data_label=one.label,
               data_x=f"{1.0 - cut.specificity.value:.6g}", data_y=f"{cut.sensitivity.value:.6g}", **rim)  # fmt: skip


def _caption(shown: Sequence[RocSeries], total: int) -> str:
    if not shown:
        return "No curve to show."
    curves = "; ".join(
        f"{s.label}: {s.curve.positives} with and {s.curve.negatives} without the condition" for s in shown
    )
    text = f"Empirical ROC curves. {curves}."
    methods = sorted({f"{100 * s.auc.level:g} %, {s.auc.method}" for s in shown if s.auc})
    if methods:
        text += f" Intervals of the areas: {'; '.join(methods)}."
    if any(s.cut_off for s in shown):
        text += " Markers: operating points with the intervals of sensitivity and specificity."
        notes = {s.cut_off.sensitivity.note.rstrip(".") for s in shown if s.cut_off} - {""}
        text += "".join(f" {note[:1].upper()}{note[1:]}." for note in sorted(notes))
    return text + (f" The first {len(shown)} of {total} curves are shown." if len(shown) < total else "")
