"""The shelf life of a batch as a picture: every limit as a bar from the reference time, the binding one marked."""

from __future__ import annotations

from datetime import datetime

from fusin.decay import elapsed_s
from fusin.radiopharmacy.release import Release
from fusin.report.plate import DOUBLE_MM, FONT, SERIES, SMALL, Box, Figure, Plate, axis_over, fit_text, text_width
from fusin.report.svg import INK, MUTED

__all__ = ["shelf_life_figure"]

_ROW = 17.0
_SOFT = "#C9D3DE"
_MINUTES = 90.0 * 60.0


def shelf_life_figure(release: Release) -> Figure | None:
    """Bars of all limits that have a moment; None when there is none, or no moment to start from."""
    start = release.batch.times.end_of_synthesis or next((a.time for a in release.batch.of_role("product")), None)
    limits = [one for one in release.expiry.limits if one.time is not None]
    if start is None or not limits:
        return None
    seconds = [elapsed_s(start, one.time) for one in limits if one.time is not None]
    # A limit months away would flatten the others; it is drawn to the edge and says its time.
    last = max([s for s in seconds if s <= 6.0 * max(min(seconds), 3600.0)] or [min(seconds)])
    unit, per = ("min", 60.0) if last <= _MINUTES * 2 else ("h", 3600.0) if last <= 96 * 3600 else ("d", 86400.0)
    names = max(text_width(one.name) for one in limits)
    left = min(names + 10.0, 190.0)
    plate = Plate(DOUBLE_MM, 22.0 + _ROW * len(limits) + 30.0, label="Shelf life: every limit, the binding one first")
    box = Box(left=left, right=plate.width - 78.0, top=16.0, bottom=16.0 + _ROW * len(limits))
    axis = axis_over([0.0, last / per], box.left, box.right, zero=True)
    plate.bottom_axis(
        axis,
        box,
        f"after {'the end of synthesis' if release.batch.times.end_of_synthesis else 'the reference time'} [{unit}]",
    )
    for row, (one, value) in enumerate(zip(limits, seconds, strict=True)):
        middle = box.top + (row + 0.5) * _ROW
        binding = row == 0
        end = min(max(axis(value / per), box.left), box.right)
        plate.label(box.left - 6, middle, fit_text(one.name, left - 8), text_anchor="end", fill=INK if binding else MUTED,
                    font_weight="bold" if binding else None, class_="limit")  # fmt: skip
        plate.add("rect", x=box.left, y=middle - 4.2, width=max(end - box.left, 0.8), height=8.4,
                  fill=SERIES[1].colour if binding else _SOFT)  # fmt: skip
        assert one.time is not None
        plate.label(end + 4, middle, _clock(one.time, start), size=FONT if binding else SMALL, fill=INK if binding else MUTED,
                    font_weight="bold" if binding else None, class_="time")  # fmt: skip
    top = box.top - 5
    plate.label(box.left, top - 3, _clock(start, start, day=True), size=SMALL, fill=MUTED)
    caption = (
        f"Shelf life of batch {release.batch.number}. Every limit that follows from the record; the earliest, "
        f"{release.expiry.binding}, binds."
    )
    return plate.figure("shelf-life", caption)


def _clock(time: datetime, start: datetime, *, day: bool = False) -> str:
    same = time.date() == start.date()
    return time.strftime("%H:%M" if same and not day else "%Y-%m-%d %H:%M")
