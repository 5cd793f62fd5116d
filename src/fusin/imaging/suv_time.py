"""To which moment the voxel values refer, and when the tracer was given: the clock rules of SUV.

The rules are those of the IBSI SUV manual, version 3 (oncoray/suv_computation, CC BY 4.0), steps 5 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from fusin.decay import average_count_rate_time_s
from fusin.errors import Ambiguous, InvalidValue, MissingValue
from fusin.imaging.dicom_values import has_clock, on_clock, parse_dt, parse_tm, parse_zone
from fusin.imaging.suv_header import FrameTiming, SuvHeader
from fusin.imaging.suv_witness import LONGEST_MS, is_ge, unwrapped, witness
from fusin.provenance import NoticeLog

__all__ = ["ReferenceTimes", "injection_time", "reference_times"]

# Above this half-life a calendar date may be wrong by whole days without the uptake time looking odd (IBSI SUV v3, step 6).
LONG_LIVED_S = 41400.0
EARLY_S = 3600.0
DAY_S = 86400.0
SPREAD_S = 30.0
QUARTER_S = 900.0
SECOND_OF_ROUNDING = (1.0, QUARTER_S - 1.0)


@dataclass(frozen=True, slots=True)
class ReferenceTimes:
    """Reference moment of each frame and the rule that gave it."""

    rule: str
    times: tuple[datetime, ...]

    @property
    def spread_s(self) -> float:
        """Seconds between the earliest and the latest reference moment."""
        return (max(self.times) - min(self.times)).total_seconds()


def reference_times(header: SuvHeader, half_life_s: float, log: NoticeLog) -> ReferenceTimes:
    """Moment to which each frame's values are decay corrected.

    Parameters
    ----------
    header : fields as found; ``decay_correction`` is START, NONE or DATETIME (Enhanced objects)
    half_life_s : half-life in seconds, for the average-count-rate time
    log : receives notices on back-computation

    Raises
    ------
    MissingValue, Ambiguous
        When no rule applies.
    """
    if header.decay_correction == "DATETIME":
        moment = _stated(header)
        return ReferenceTimes("enhanced-decay-correction-datetime", (moment,) * len(header.frames))
    starts = _starts(header, log)
    if header.decay_correction == "NONE":
        moments = tuple(_frame_time(f, s, half_life_s) for f, s in zip(header.frames, starts, strict=True))
        return ReferenceTimes("none-frame-time", moments)
    private = [f.private_reference for f in header.frames]
    if header.private_vendor and all(private):
        times = tuple(p for p in private if p)
        _check_private(header, starts, times, log)
        witness(header, starts, times, half_life_s, log)
        return ReferenceTimes(f"start-private-{header.private_vendor.lower()}", times)
    if any(private):
        log.warning(
            "PRIVATE_TIME_INCOMPLETE",
            f"{sum(p is not None for p in private)} of {len(private)} slices carry the vendor's "
            "private reference time; it is not used",
            where=header.where,
        )
    found = _from_acquisition(header, starts, half_life_s, log)
    witness(header, starts, found.times, half_life_s, log)
    return found


def _starts(header: SuvHeader, log: NoticeLog) -> list[datetime | None]:
    """Start of each frame, with clock times after midnight on the next day."""
    starts = [f.acquisition for f in header.frames]
    known = [s for s in starts if s is not None]
    if len(known) < len(starts) or not known:
        return starts
    return list(unwrapped(known, header.where, log))


def _check_private(
    header: SuvHeader, starts: list[datetime | None], times: tuple[datetime, ...], log: NoticeLog
) -> None:
    """Values are corrected to the start of the scan; a private moment after its first frame was not moved with the dates."""
    known = [s for s in starts if s is not None]
    late = (min(times) - min(known)).total_seconds() if known else 0.0
    if abs(late) > 60.0 and (late > 0 or late < -DAY_S / 2):
        log.warning(
            "PRIVATE_TIME_DOUBTED",
            f"the vendor's private reference time {min(times).isoformat(sep=' ', timespec='seconds')} does not fit the first "
            f"acquisition {min(known).isoformat(sep=' ', timespec='seconds')}",
            where=header.where,
            raw=late,
            used=min(times),
        )


def _stated(header: SuvHeader) -> datetime:
    moment = on_clock(header.decay_reference, parse_zone(header.timezone))
    if moment is None:
        raise MissingValue(
            "SUV",
            f"Decay Correction DateTime (0018,9701) is {header.decay_reference!r}",
            "the date and time of the decay correction",
            "DECAY_REFERENCE_MISSING",
        )
    return moment


def _seconds(value_ms: float, field: str, *, signed: bool = False) -> float:
    """A duration in seconds, refused when no scan can last so long."""
    if not -LONGEST_MS * signed <= value_ms <= LONGEST_MS:
        raise InvalidValue("SUV", f"{field} is {value_ms:g} ms", "a duration within ten days", "DURATION_IMPOSSIBLE")
    return value_ms / 1000.0


def _frame_time(frame: FrameTiming, start: datetime | None, half_life_s: float) -> datetime:
    """Moment at which an uncorrected frame has its average count rate."""
    if frame.frame_reference is not None:
        return frame.frame_reference
    if start is None:
        raise MissingValue(
            "SUV",
            "Acquisition Date and Time (0008,0022/0032) are absent",
            "the start of each frame",
            "ACQUISITION_TIME_MISSING",
        )
    if frame.duration_ms is None or frame.duration_ms <= 0:
        raise MissingValue(
            "SUV",
            f"Actual Frame Duration (0018,1242) is {frame.duration_ms}",
            "the duration of the frame in ms",
            "FRAME_DURATION_MISSING",
        )
    return start + timedelta(
        seconds=average_count_rate_time_s(_seconds(frame.duration_ms, "Actual Frame Duration (0018,1242)"), half_life_s)
    )


def _from_acquisition(
    header: SuvHeader, starts: list[datetime | None], half_life_s: float, log: NoticeLog
) -> ReferenceTimes:
    """Rules (b) to (e): acquisition equal to series time, else back from the frame reference time."""
    if any(s is None for s in starts):
        raise MissingValue(
            "SUV",
            "Acquisition Time (0008,0032) is absent or unreadable",
            "the start of each frame",
            "ACQUISITION_TIME_MISSING",
        )
    known = [s for s in starts if s is not None]
    if not header.acquisition_date_known:
        log.adapted(
            "ACQUISITION_DATE_ASSUMED",
            "Acquisition Date (0008,0022) is absent; the series' date is taken",
            where=header.where,
            used=known[0].date().isoformat() if known else None,
        )
    # In a 4-D series the scan began with its first time point, whichever is asked for.
    earliest = min([*known, header.series_begun] if header.series_begun else known)
    series_clock = parse_tm(header.series_time_text)
    if series_clock is not None:
        apart = abs((earliest - datetime.combine(earliest.date(), series_clock)).total_seconds())
        if min(apart, DAY_S - apart) <= 1.0:
            return ReferenceTimes("start-acquisition-equals-series", (earliest,) * len(known))
    found = _ge(header, known, log) if is_ge(header.manufacturer) else _back_computed(header, known, half_life_s, log)
    if found.spread_s > SPREAD_S:
        raise Ambiguous(
            "SUV",
            f"values corrected to the START have one reference moment, and the slices' times lead to moments "
            f"{found.spread_s:.0f} s apart",
            "the vendor's private reference time, or true Frame Reference Times (0054,1300)",
            "REFERENCE_TIME_UNKNOWN",
        )
    return found


def _frame_reference_s(frame: FrameTiming) -> float:
    if frame.frame_reference_time_ms is None:
        raise Ambiguous(
            "SUV",
            "Series Time differs from Acquisition Time and Frame Reference Time (0054,1300) is absent, so that the moment "
            "of decay correction is unknown",
            "Frame Reference Time, the vendor's private reference time, or an untouched Series Time",
            "REFERENCE_TIME_UNKNOWN",
        )
    return _seconds(frame.frame_reference_time_ms, "Frame Reference Time (0054,1300)", signed=True)


def _ge(header: SuvHeader, starts: list[datetime], log: NoticeLog) -> ReferenceTimes:
    times = tuple(
        start - timedelta(seconds=_frame_reference_s(frame)) for start, frame in zip(starts, header.frames, strict=True)
    )
    log.adapted(
        "REFERENCE_BACK_COMPUTED",
        f"Series Time {header.series_time_text or '(absent)'} is not the acquisition's; the reference moment is the "
        f"acquisition time minus Frame Reference Time ({times[0].isoformat(sep=' ', timespec='seconds')})",
        where=header.where,
        raw=header.series_time_text,
        used=times[0],
    )
    return ReferenceTimes("start-ge-frame-reference", times)


def _back_computed(header: SuvHeader, starts: list[datetime], half_life_s: float, log: NoticeLog) -> ReferenceTimes:
    offsets = [_frame_reference_s(frame) for frame in header.frames]
    # Where one frame counts from its own start, all do: one convention serves a whole series.
    zero = any(offset == 0 for offset in offsets)
    times = []
    for start, frame, offset in zip(starts, header.frames, offsets, strict=True):
        if frame.duration_ms is None or frame.duration_ms <= 0:
            raise Ambiguous(
                "SUV",
                "Series Time differs from Acquisition Time and Actual Frame Duration (0018,1242) is "
                f"{'absent' if frame.duration_ms is None else frame.duration_ms}",
                "the frame duration, from which the moment of decay correction follows",
                "FRAME_DURATION_MISSING",
            )
        duration = _seconds(frame.duration_ms, "Actual Frame Duration (0018,1242)")
        average = 0.0 if zero else average_count_rate_time_s(duration, half_life_s)
        times.append(start + timedelta(seconds=average - offset))
    if zero:
        log.adapted(
            "FRAME_REFERENCE_ZERO",
            "Frame Reference Time (0054,1300) is 0: it is read as counted from the frame's start, and the average-count-rate "
            "time is not added (that would raise SUV by 1 to 3 %)",
            where=header.where,
            raw=0,
        )
    known_vendor = any(v in header.manufacturer.upper() for v in ("SIEMENS", "CTI", "CPS", "PHILIPS"))
    log.adapted(
        "REFERENCE_BACK_COMPUTED",
        f"Series Time {header.series_time_text or '(absent)'} is not the acquisition's; the reference moment is computed from "
        f"acquisition time, frame duration and Frame Reference Time ({times[0].isoformat(sep=' ', timespec='seconds')})"
        + ("" if known_vendor else f"; the vendor {header.manufacturer or '(absent)'!r} is not known to count so"),
        where=header.where,
        raw=header.series_time_text,
        used=times[0],
    )
    return ReferenceTimes("start-back-computed", tuple(times))


def injection_time(header: SuvHeader, reference: datetime, half_life_s: float, log: NoticeLog) -> datetime:
    """Moment of injection on the scanner's clock.

    Parameters
    ----------
    header : fields as found
    reference : earliest reference moment of the series
    half_life_s : half-life in seconds
    log : receives notices on rebuilt dates and converted zones

    Raises
    ------
    MissingValue
        When neither Start DateTime nor Start Time can be read.
    Ambiguous
        For a long-lived nuclide without a valid date.
    InvalidValue
        For an injection more than ten half-lives before the scan.
    """
    stated = _stated_injection(header, log)
    clock_only = parse_tm(header.injection_time)
    if stated is not None and _fits(stated, reference, half_life_s, header, log):
        if clock_only is not None and _clock_gap_s(stated, clock_only) > 60.0:
            log.warning(
                "INJECTION_TIMES_DISAGREE",
                f"Start DateTime (0018,1078) says {stated.time()} and Start Time (0018,1072) {clock_only}; the former is used",
                where=header.where,
                raw=header.injection_time,
                used=stated,
            )
        return stated
    administered = parse_dt(header.private.get("administered", ""))
    if stated is None and clock_only is None:
        if administered is None:
            raise MissingValue(
                "SUV",
                "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) are absent or unreadable",
                "the time of injection",
                "INJECTION_TIME_MISSING",
            )
        log.adapted(
            "INJECTION_TIME_PRIVATE",
            "the time of injection is taken from GE's private administration date-time (0009,xx3B)",
            where=header.where,
            used=administered,
        )
        stated = administered.replace(tzinfo=None)
        if _fits(stated, reference, half_life_s, header, log):
            return stated
    return _rebuilt(header, stated, clock_only, reference, half_life_s, log)


def _clock_gap_s(stated: datetime, clock: object) -> float:
    other = datetime.combine(stated.date(), clock)  # type: ignore[arg-type]  # parse_tm gave a time
    gap = abs((stated - other).total_seconds())
    return min(gap, DAY_S - gap)


def _fits(stated: datetime, reference: datetime, half_life_s: float, header: SuvHeader, log: NoticeLog) -> bool:
    """Whether a stated injection is the one before this scan: within two half-lives, or ten where the date is all there is.

    A short-lived tracer beyond two half-lives may still be right; its date is then rebuilt and compared.
    """
    elapsed = (reference - stated).total_seconds()
    if -EARLY_S <= elapsed < 2.0 * half_life_s:
        return True
    if half_life_s >= LONG_LIVED_S and 0 < elapsed <= 10.0 * half_life_s:
        log.warning(
            "UPTAKE_LONG",
            f"the injection lies {elapsed / DAY_S:.1f} days before the scan, {elapsed / half_life_s:.1f} half-lives",
            where=header.where,
            raw=header.injection_datetime,
            used=stated,
        )
        return True
    return False


def _zone(header: SuvHeader) -> timezone | None:
    """The scanner's UTC offset: Timezone Offset From UTC (0008,0201), else that of the decay correction date-time."""
    stated = parse_zone(header.timezone)
    reference = parse_dt(header.decay_reference)
    if stated is None and reference is not None and isinstance(reference.tzinfo, timezone):
        return reference.tzinfo
    return stated


def _stated_injection(header: SuvHeader, log: NoticeLog) -> datetime | None:
    # A date alone, or an anonymiser's date with no clock beside a real Start Time, says nothing of the hour.
    stated = parse_dt(header.injection_datetime) if has_clock(header.injection_datetime) else None
    if stated is None or stated.tzinfo is None:
        return stated
    zone = _zone(header)
    if zone is None:
        local = parse_tm(header.injection_time)
        gap = _clock_gap_s(stated.replace(tzinfo=None), local) if local is not None else 0.0
        if local is not None and gap > 60.0 and gap % QUARTER_S in (0.0, *SECOND_OF_ROUNDING):
            log.adapted(
                "TIMEZONE_ON_ONE_SIDE",
                f"Start DateTime {header.injection_datetime} carries a UTC offset and the scan's times carry none; Start Time "
                f"{local}, {gap / 3600:g} h apart, is taken as the scanner's clock",
                where=header.where,
                raw=header.injection_datetime,
                used=local,
            )
            return datetime.combine(stated.date(), local)
        log.adapted(
            "TIMEZONE_ON_ONE_SIDE",
            f"Start DateTime {header.injection_datetime} carries a UTC offset and the scan's times carry none; its clock time "
            "is taken as the scanner's",
            where=header.where,
            raw=header.injection_datetime,
            used=stated.replace(tzinfo=None),
        )
        return stated.replace(tzinfo=None)
    moved = stated.astimezone(zone).replace(tzinfo=None)
    if moved != stated.replace(tzinfo=None):
        log.info(
            "TIMEZONE_CONVERTED",
            f"Start DateTime {header.injection_datetime} is {moved} on the scanner's clock",
            where=header.where,
            raw=header.injection_datetime,
            used=moved,
        )
    return moved


def _rebuilt(
    header: SuvHeader,
    stated: datetime | None,
    clock_only: object,
    reference: datetime,
    half_life_s: float,
    log: NoticeLog,
) -> datetime:
    """Keep the clock time and take the date from the reference moment, a day earlier or later across midnight."""
    raw = header.injection_datetime or header.injection_time
    if half_life_s >= LONG_LIVED_S:
        raise Ambiguous(
            "SUV",
            f"the injection {raw!r} does not fit the scan of {reference.isoformat(sep=' ', timespec='minutes')} and the "
            f"half-life of {half_life_s:.0f} s is at or above {LONG_LIVED_S:.0f} s, so that its date cannot be inferred",
            "a valid Radiopharmaceutical Start DateTime (0018,1078)",
            "INJECTION_DATE_UNKNOWN",
        )
    use_clock_only = clock_only is not None and (stated is None or _clock_gap_s(stated, clock_only) > 60.0)
    clock = clock_only if use_clock_only else stated.time() if stated is not None else None
    moment = datetime.combine(reference.date(), clock)  # type: ignore[arg-type]  # one of the two is a time
    if moment > reference + timedelta(seconds=EARLY_S):
        moment -= timedelta(days=1)
    elif (reference - moment).total_seconds() >= DAY_S - EARLY_S:
        moment += timedelta(days=1)
    elapsed = (reference - moment).total_seconds()
    if elapsed > 10.0 * half_life_s:
        raise InvalidValue(
            "SUV",
            f"the injection {raw!r} lies {elapsed / 60.0:.0f} min before the scan, more than ten half-lives of "
            f"{half_life_s / 60.0:.1f} min",
            "the right time of injection",
            "UPTAKE_TIME_IMPOSSIBLE",
        )
    if moment == stated:
        return moment
    if stated is not None and use_clock_only:
        log.warning(
            "INJECTION_TIMES_DISAGREE",
            f"Start DateTime (0018,1078) says {stated} and does not fit the scan; Start Time (0018,1072) {clock_only} is used",
            where=header.where,
            raw=header.injection_datetime,
            used=moment,
        )
    code = "INJECTION_DATE_FROM_SERIES" if stated is None else "INJECTION_DATE_REBUILT"
    log.adapted(
        code,
        f"the injection {raw!r} "
        + ("has no date" if stated is None else "does not fit the scan's date")
        + f"; its clock time is kept and {moment.isoformat(sep=' ', timespec='seconds')} is used",
        where=header.where,
        raw=raw,
        used=moment,
    )
    return moment
