"""Charts of lesion uptake as vector pictures; every plotted value is also in the page's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fusin.quantification.lesions import Lesion
from fusin.quantification.references import ReferenceRegion
from fusin.report.svg import AMBER, FAINT, GRID, INK, LESION, MUTED, REFERENCE_COLOURS, Canvas, short, ticks

__all__ = ["MOST_ROWS", "peak_chart", "tbr_chart"]

MOST_ROWS = 24
"""Lesions that fit legibly on the chart of ratios."""

_WIDTH = 580.0
_BANDS = ("blood_pool", "liver")


def peak_chart(
    lesions: Sequence[Lesion], references: Sequence[ReferenceRegion], threshold: Mapping[str, Any] | None = None
) -> str | None:
    """Draw SUVpeak of each lesion, with reference means (line), their standard deviation (band) and the threshold.

    Returns
    -------
    An SVG element, or None when no lesion has a SUVpeak.
    """
    shown = [(x.number, x.metrics.suv_peak) for x in lesions]
    points = [(n, v) for n, v in shown if v is not None and math.isfinite(v)]
    if not points:
        return None
    bands = [r for r in references if r.kind in _BANDS and math.isfinite(r.mean)]
    cut = _number((threshold or {}).get("suv"))
    axis = ticks(max([v for _, v in points] + [r.mean + r.sd for r in bands] + ([cut] if cut else [])))
    left, right, top, height = 44.0, 106.0, 14.0, 230.0
    canvas = Canvas(_WIDTH, top + height + 38, label="SUVpeak of each lesion with reference bands", css="chart")
    wide = _WIDTH - left - right

    def at(value: float) -> float:
        return top + height * (1 - value / axis[-1])

    for value in axis:
        canvas.add("line", x1=left, x2=left + wide, y1=at(value), y2=at(value), stroke=GRID, stroke_width=1)
        canvas.text(left - 7, at(value) + 4, short(value), fill=MUTED, text_anchor="end")
    notes: list[tuple[float, str, str]] = []
    for ref in bands:
        colour, low = REFERENCE_COLOURS[ref.kind], max(0.0, ref.mean - ref.sd)
        canvas.add("rect", x=left, width=wide, y=at(ref.mean + ref.sd), height=at(low) - at(ref.mean + ref.sd),
                   fill=colour, fill_opacity=0.16)  # fmt: skip
        canvas.add("line", x1=left, x2=left + wide, y1=at(ref.mean), y2=at(ref.mean), stroke=colour, stroke_width=1.4,
                   class_="band", data_kind=ref.kind, data_mean=f"{ref.mean:.6g}")  # fmt: skip
        notes.append((at(ref.mean), f"{ref.kind.replace('_', ' ')} {ref.mean:.2f}", colour))
    if cut is not None:
        canvas.add("line", x1=left, x2=left + wide, y1=at(cut), y2=at(cut), stroke=INK, stroke_width=1,
                   stroke_dasharray="6 4", class_="cut", data_suv=f"{cut:.6g}")  # fmt: skip
        notes.append((at(cut), f"threshold {cut:.2f}", INK))
    _margin_notes(canvas, notes, left + wide + 7, top + height)
    step = wide / len(points)
    for rank, (number, value) in enumerate(points):
        x = left + step * (rank + 0.5)
        if len(points) <= 80:
            canvas.add("line", x1=x, x2=x, y1=at(0), y2=at(value), stroke=LESION, stroke_width=min(7.0, step * 0.4),
                       stroke_opacity=0.35)  # fmt: skip
        canvas.add("circle", cx=x, cy=at(value), r=3.6 if len(points) <= 80 else 1.8, fill=LESION, class_="peak",
                   data_lesion=number, data_suv=f"{value:.6g}", title=f"lesion {number}: SUVpeak {value:.2f}")  # fmt: skip
        if rank % max(1, math.ceil(len(points) / 30)) == 0:
            canvas.text(x, top + height + 16, str(number), fill=INK, text_anchor="middle")
    canvas.add("line", x1=left, x2=left + wide, y1=at(0), y2=at(0), stroke=MUTED, stroke_width=1)
    canvas.text(left + wide / 2, top + height + 33, "lesion", fill=MUTED, text_anchor="middle")
    canvas.text(12, top + height / 2, "SUVpeak", fill=MUTED, text_anchor="middle",
                transform=f"rotate(-90 12 {short(top + height / 2)})")  # fmt: skip
    return canvas.render()


def tbr_chart(lesions: Sequence[Lesion], statistic: str = "max/mean") -> str | None:
    """Draw the ratio of the first lesions to blood pool and liver with their intervals, one row per lesion.

    Returns
    -------
    An SVG element, or None when no lesion has a ratio.
    """
    rows = [(x.number, [t for kind in _BANDS if (t := x.tbr(kind, statistic))]) for x in lesions[:MOST_ROWS]]
    rows = [(n, [t for t in found if math.isfinite(t.value)]) for n, found in rows]
    rows = [(n, found) for n, found in rows if found]
    if not rows:
        return None
    ends = [v for _, found in rows for t in found for v in (t.value, t.high) if math.isfinite(v)]
    axis = ticks(max(*ends, 1.0), about=6)
    left, right, top = 44.0, 22.0, 34.0
    pitch = max(15.0, min(42.0, 210.0 / len(rows)))
    height = pitch * len(rows)
    canvas = Canvas(_WIDTH, top + height + 38, label="Tumour-to-background ratios with intervals", css="chart")
    wide = _WIDTH - left - right

    def at(value: float) -> float:
        return left + wide * value / axis[-1]

    for value in axis:
        canvas.add("line", x1=at(value), x2=at(value), y1=top, y2=top + height, stroke=GRID, stroke_width=1)
        canvas.text(at(value), top + height + 16, short(value), fill=MUTED, text_anchor="middle")
    canvas.add(
        "line", x1=at(1), x2=at(1), y1=top, y2=top + height, stroke=FAINT, stroke_width=1.2, stroke_dasharray="4 3"
    )
    for row, (number, found) in enumerate(rows):
        middle = top + pitch * (row + 0.5)
        canvas.text(left - 9, middle + 4, str(number), text_anchor="end")
        for ratio in found:
            y = middle + (-0.17 if ratio.reference == "blood_pool" else 0.17) * pitch
            colour = REFERENCE_COLOURS[ratio.reference]
            if math.isfinite(ratio.low) and math.isfinite(ratio.high):
                canvas.add("line", x1=at(max(0.0, ratio.low)), x2=at(ratio.high), y1=y, y2=y, stroke=colour,
                           stroke_width=1.6, class_="interval")  # fmt: skip
            _mark(canvas, ratio.reference, at(ratio.value), y, colour, class_="ratio", data_lesion=number,
                  data_reference=ratio.reference, data_value=f"{ratio.value:.6g}")  # fmt: skip
    kinds = [kind for kind in _BANDS if any(t.reference == kind for _, found in rows for t in found)]
    for place, kind in enumerate(kinds):
        _mark(canvas, kind, left + 8 + 128 * place, 14, REFERENCE_COLOURS[kind])
        canvas.text(left + 17 + 128 * place, 18, f"to {kind.replace('_', ' ')}", fill=INK)
    canvas.text(left + wide / 2, top + height + 33, f"TBR (SUV{statistic})", fill=MUTED, text_anchor="middle")
    canvas.text(12, top + height / 2, "lesion", fill=MUTED, text_anchor="middle",
                transform=f"rotate(-90 12 {short(top + height / 2)})")  # fmt: skip
    return canvas.render()


def _mark(canvas: Canvas, kind: str, x: float, y: float, colour: str, **more: Any) -> None:
    """Circle for the blood pool and square for the liver: told apart without colour too."""
    if kind == "blood_pool":
        canvas.add("circle", cx=x, cy=y, r=3.7, fill=colour, **more)
    else:
        canvas.add("rect", x=x - 3.3, y=y - 3.3, width=6.6, height=6.6, fill=colour, **more)


def _margin_notes(canvas: Canvas, notes: list[tuple[float, str, str]], x: float, lowest: float) -> None:
    """Names at the right margin, pushed apart so that none covers another."""
    placed: list[tuple[float, str, str]] = []
    for y, text, colour in sorted(notes, reverse=True):
        floor = placed[-1][0] - 13.0 if placed else lowest
        placed.append((min(y, floor), text, colour))
    for y, text, colour in placed:
        canvas.text(x, y + 4, text, size=10.5, fill="#7A5B00" if colour == AMBER else colour)


def _number(value: Any) -> float | None:
    """A finite number or None."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
