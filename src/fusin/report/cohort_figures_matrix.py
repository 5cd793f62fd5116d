"""Agreement and overlap as figures: a heat map of two verdicts, and the matrix of tracers that see the same lesions."""

from __future__ import annotations

from collections.abc import Sequence

from fusin.cohort.detection import SharedLesions
from fusin.errors import InputError
from fusin.report.plate import (
    SERIES,
    SINGLE_MM,
    SMALL,
    Box,
    Figure,
    Plate,
    axis_over,
    fit_text,
    left_margin,
    text_width,
)
from fusin.report.svg import INK, MUTED
from fusin.report.table_text import estimate_text
from fusin.stats.agreement import Kappa
from fusin.stats.results import Estimate

__all__ = ["concordance_map", "upset_plot"]

# One hue from almost white to dark blue; the step of lightness is even, so that it survives grey printing.
_PALE, _DARK = (240, 245, 250), (8, 69, 120)


def concordance_map(
    counts: Sequence[Sequence[int]],
    categories: Sequence[str],
    *,
    names: tuple[str, str],
    columns: Sequence[str] | None = None,
    agreement: Estimate | None = None,
    kappa: Kappa | None = None,
    name: str = "concordance",
    width_mm: float = SINGLE_MM,
) -> Figure:
    """Draw a table of two verdicts as a heat map with its counts; equal verdicts are framed.

    Parameters
    ----------
    counts : units by first (rows) and second (columns)
    categories : of the rows, and of the columns unless told
    names : of the first and the second method
    columns : categories of the second method where they differ
    agreement, kappa : printed below
    name : stem of the file
    width_mm : of the figure
    """
    across = list(columns or categories)
    if len(counts) != len(categories) or any(len(r) != len(across) for r in counts):
        raise InputError(
            "concordance map", "counts", f"{len(counts)} rows", f"{len(categories)} rows of {len(across)} counts"
        )
    width = width_mm * 72 / 25.4
    left = 20.0 + min(70.0, max([text_width(c) for c in categories], default=20.0)) + 4
    cell = (width - left - 6) / max(len(across), 1)
    tall = min(cell, 34.0)
    turned = any(text_width(c) > cell - 2 for c in across)
    head = 14.0 + (min(60.0, max([text_width(c) for c in across], default=0.0)) + 4 if turned else 11.0)
    bottom = head + tall * len(categories)
    notes = _agreement_notes(counts, agreement, kappa)
    plate = Plate(width_mm, bottom + 6 + 10 * len(notes) + 3, label=f"Concordance of {names[0]} and {names[1]}")
    plate.label(
        left + (width - left - 6) / 2, 7, fit_text(names[1], width - left), text_anchor="middle", font_weight="bold"
    )
    middle = (head + bottom) / 2
    plate.turned(7, middle, fit_text(names[0], max(bottom - head, 40)), text_anchor="middle", font_weight="bold")
    for place, category in enumerate(across):
        x = left + cell * (place + 0.5)
        if turned:
            plate.turned(x, head - 3, fit_text(category, 60), class_="column")
        else:
            plate.label(x, head - 6, category, text_anchor="middle", class_="column")
    for row, category in enumerate(categories):
        plate.label(left - 4, head + tall * (row + 0.5), fit_text(category, left - 24), text_anchor="end", class_="row")
    _cells(plate, counts, categories, across, (left, head, cell, tall))
    plate.notes(notes, 4, bottom + 6)
    total = sum(map(sum, counts))
    return plate.figure(
        name, f"{total:,} units by {names[0]} (rows) and {names[1]} (columns); frames mark equal verdicts."
    )


def _cells(
    plate: Plate,
    counts: Sequence[Sequence[int]],
    rows: Sequence[str],
    columns: Sequence[str],
    place: tuple[float, float, float, float],
) -> None:
    """Cells with their counts, then frames about equal verdicts; ``place`` is left, top, width and height of the first."""
    left, top, wide, tall = place
    most = max([c for row in counts for c in row], default=0)
    for i, first in enumerate(rows):
        for j, second in enumerate(columns):
            count, x, y = counts[i][j], left + wide * j, top + tall * i
            colour, ink = _shade(count / most if most else 0.0)
            plate.add("rect", x=x, y=y, width=wide, height=tall, fill=colour, stroke="#FFFFFF", stroke_width=1,
                      class_="cell", data_row=first, data_column=second, data_count=str(count))  # fmt: skip
            plate.label(x + wide / 2, y + tall / 2, f"{count:,}", fill=ink, text_anchor="middle")
    for i, first in enumerate(rows):
        if first in columns:
            x, y = left + wide * columns.index(first), top + tall * i
            plate.add("rect", x=x + 1.2, y=y + 1.2, width=wide - 2.4, height=tall - 2.4, fill="none",
                      stroke=SERIES[1].colour, stroke_width=1.2, class_="equal")  # fmt: skip


def _shade(share: float) -> tuple[str, str]:
    """Colour of a cell, and the ink that is read on it."""
    mixed = [round(a + (b - a) * share**0.7) for a, b in zip(_PALE, _DARK, strict=True)]
    return "#" + "".join(f"{v:02X}" for v in mixed), "#FFFFFF" if share > 0.38 else INK


def _agreement_notes(counts: Sequence[Sequence[int]], agreement: Estimate | None, kappa: Kappa | None) -> list[str]:
    notes = []
    if agreement:
        notes.append(f"agreement {agreement.k}/{agreement.n}, {estimate_text(agreement, percent=True)}")
    if kappa:
        weights = "" if kappa.weights == "unweighted" else f", {kappa.weights} weights"
        notes.append(f"Cohen's kappa {estimate_text(kappa, digits=2)}{weights}")
    return notes


def upset_plot(result: SharedLesions, *, name: str = "shared-lesions", width_mm: float = SINGLE_MM) -> Figure:
    """Draw how many lesions exactly which tracers saw: bars over a matrix of dots, totals of the tracers at the left.

    Parameters
    ----------
    result : of two or more tracers; more than three tracers show the sets that occur, the largest 24 of them
    name : stem of the file
    width_mm : of the figure
    """
    table = result.to_table()
    rows = [(tuple(t for t in result.tracers if row[t]), int(row["exactly"])) for row in table.to_dict("records")]
    # Equal numbers stand in the order of the tracers, so that the picture does not depend on the input's order.
    rows.sort(key=lambda item: -item[1])
    sets = (rows if len(result.tracers) <= 3 else [r for r in rows if r[1] > 0])[:24]
    width = width_mm * 72 / 25.4
    names = [fit_text(t, 86.0) for t in result.tracers]
    wide_name = max(text_width(t) for t in names)
    totals = [result.total(t) for t in result.tracers]
    wide_total = 26.0
    left = 24 + wide_total + 5 + wide_name + 8
    axis = axis_over([c for _, c in sets], 92.0, 12.0, zero=True, about=4)
    box = Box(max(left, left_margin(axis) + 2), width - 4, 12.0, 92.0)
    pitch_y = 14.0
    plate = Plate(
        width_mm, box.bottom + 8 + pitch_y * len(names) + 4, label=f"{result.unit}s by the tracers that saw them"
    )
    plate.left_axis(axis, box, "", grid=True)
    x_title = box.left - left_margin(axis) + 8
    plate.turned(x_title, 52, f"{result.unit}s", text_anchor="middle", class_="title-y")
    pitch = (box.right - box.left) / max(len(sets), 1)
    for row, label in enumerate(names):
        y = box.bottom + 8 + pitch_y * (row + 0.5)
        if row % 2 == 0:
            plate.add("rect", x=2, width=width - 4, y=y - pitch_y / 2, height=pitch_y, fill="#F3F5F8")
        long = wide_total * totals[row] / max(*totals, 1)
        plate.add("rect", x=24 + wide_total - long, width=long, y=y - 3.6, height=7.2, fill=MUTED, class_="total",
                  data_tracer=result.tracers[row], data_count=str(totals[row]))  # fmt: skip
        plate.label(24 + wide_total - long - 2, y, f"{totals[row]:,}", size=SMALL, text_anchor="end")
        plate.label(box.left - 8, y, label, text_anchor="end", class_="tracer")
    for place, (seen, count) in enumerate(sets):
        x, wide = box.left + pitch * (place + 0.5), min(18.0, 0.62 * pitch)
        colour = SERIES[0].colour if len(seen) > 1 else SERIES[1].colour
        plate.add("rect", x=x - wide / 2, width=wide, y=axis(count), height=axis(0) - axis(count), fill=colour, class_="set",
                  data_tracers="+".join(seen), data_count=str(count), title=f"only {' and '.join(seen)}: {count}")  # fmt: skip
        plate.label(x, axis(count) - 6, f"{count:,}", size=SMALL, text_anchor="middle")
        _dots(plate, result.tracers, seen, x, box.bottom + 8, pitch_y)
    plate.line(box.left, box.bottom, box.right, box.bottom, stroke=MUTED)
    plate.label(24 + wide_total, box.bottom + 2, "total", size=SMALL, fill=MUTED, text_anchor="end")
    return plate.figure(name, _upset_caption(result, len(sets), len(rows)))


def _dots(plate: Plate, tracers: Sequence[str], seen: Sequence[str], x: float, top: float, pitch: float) -> None:
    places = [top + pitch * (i + 0.5) for i, t in enumerate(tracers) if t in seen]
    plate.line(x, places[0], x, places[-1], stroke=INK, stroke_width=1.4)
    for i, tracer in enumerate(tracers):
        plate.add("circle", cx=x, cy=top + pitch * (i + 0.5), r=3.0, fill=INK if tracer in seen else "#D3DAE2")


def _upset_caption(result: SharedLesions, shown: int, total: int) -> str:
    parts = [f"{result.n:,} {result.unit}s seen by at least one tracer, by exactly which."]
    if none := result.cells.get((), 0):
        parts.append(f"{none:,} more were seen by none.")
    if result.left_out:
        parts.append(f"{result.left_out:,} were not assessed with all tracers and are left out.")
    if len(result.tracers) > 3 and shown < total:
        parts.append(f"{shown} of {total} sets are shown.")
    return " ".join(parts)
