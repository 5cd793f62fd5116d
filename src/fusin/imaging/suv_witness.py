"""Independent witnesses of the reference moment: Frame Reference Time and Decay Factor.

Both count from the moment to which values are decay corrected, so that a moment which no slice's witness supports is
doubted, whatever rule gave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from fusin.decay import average_count_rate_time_s
from fusin.imaging.suv_header import FrameTiming, SuvHeader
from fusin.provenance import NoticeLog

__all__ = ["LONGEST_MS", "is_ge", "unwrapped", "witness"]

DAY_S = 86400.0
LONGEST_MS = 10 * DAY_S * 1000.0
DOUBT_S = 60.0


def is_ge(manufacturer: str) -> bool:
    """Whether the scanner is GE's, whose Frame Reference Time counts to the start of a frame."""
    name = manufacturer.strip().upper()
    return name == "GE" or name.startswith(("GE ", "GE-", "GE_", "GEMS", "GENERAL ELECTRIC"))


def unwrapped(starts: Sequence[datetime], where: str, log: NoticeLog) -> list[datetime]:
    """Acquisition starts of one scan in one run of time; clock times that fell behind midnight move a day on.

    A scan of beds lasts less than half a day. Where its starts spread further, the date did not follow the clock.
    """
    from datetime import timedelta

    if (max(starts) - min(starts)).total_seconds() <= DAY_S / 2:
        return list(starts)
    middle = min(starts) + timedelta(seconds=DAY_S / 2)
    moved = [s + timedelta(days=1) if s < middle else s for s in starts]
    if (max(moved) - min(moved)).total_seconds() > DAY_S / 2:
        return list(starts)
    log.adapted(
        "MIDNIGHT_UNWRAPPED",
        f"the slices begin from {min(starts).time()} to {max(starts).time()} of one date; those after midnight are "
        "counted to the next day",
        where=where,
        raw=[min(starts), max(starts)],
        used=[min(moved), max(moved)],
    )
    return moved


def witness(
    header: SuvHeader, starts: Sequence[datetime | None], times: Sequence[datetime], half_life_s: float, log: NoticeLog
) -> None:
    """Warn when no slice's Frame Reference Time, or no Decay Factor, supports the reference moments.

    Parameters
    ----------
    header : fields as found
    starts : start of each frame's acquisition
    times : reference moment used for each frame
    half_life_s : half-life in seconds
    log : receives REFERENCE_DOUBTED
    """
    ge = is_ge(header.manufacturer)
    for name, offset_of in (
        ("Frame Reference Time (0054,1300)", _by_reference_time),
        ("Decay Factor (0054,1321)", _by_factor),
    ):
        gaps = []
        for frame, start, time in zip(header.frames, starts, times, strict=True):
            expected = offset_of(frame, half_life_s, ge=ge)
            if start is not None and expected is not None:
                gaps.append((start - time).total_seconds() - expected)
        best = min(gaps, key=abs, default=0.0)
        # A Decay Factor of 1.00 resolves about a minute; Frame Reference Times are exact.
        if abs(best) > max(DOUBT_S, 0.01 * half_life_s):
            log.warning(
                "REFERENCE_DOUBTED",
                f"{name} puts the reference moment {abs(best) / 60:.1f} min from the one used, "
                f"{times[0].isoformat(sep=' ', timespec='seconds')}; SUV would change by "
                f"{100 * abs(2 ** min(best / half_life_s, 60.0) - 1):.0f} %",
                where=header.where,
                raw=best,
                used=times[0],
            )
            return


def _average_s(frame: FrameTiming, half_life_s: float) -> float | None:
    duration = frame.duration_ms
    return (
        average_count_rate_time_s(duration / 1000.0, half_life_s) if duration and 0 < duration <= LONGEST_MS else None
    )


def _by_reference_time(frame: FrameTiming, half_life_s: float, *, ge: bool) -> float | None:
    """Seconds from the reference moment to the start of the frame by its Frame Reference Time; None without one.

    A Frame Reference Time of 0 is also what headers hold that do not know it.
    """
    reference, average = frame.frame_reference_time_ms, _average_s(frame, half_life_s)
    if not reference or not abs(reference) <= LONGEST_MS:
        return None
    if ge:
        return reference / 1000.0
    return None if average is None else reference / 1000.0 - average


def _by_factor(frame: FrameTiming, half_life_s: float, *, ge: bool) -> float | None:
    """The same by the Decay Factor, whatever the vendor; a factor of exactly 1 is also what headers hold that do not know."""
    del ge
    factor, average = frame.decay_factor, _average_s(frame, half_life_s)
    if factor is None or not math.isfinite(factor) or factor <= 1 or average is None:
        return None
    return half_life_s * math.log2(factor) - average
