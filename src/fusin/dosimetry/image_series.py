"""A DICOM series as activity concentration at one moment: which moment its values belong to, and how they are brought there.

With T the half-life, d the duration and t the start of the scan::

    START   the values belong to t as they are
    ADMIN   c(t) = c * 2^(-(t - t_injection) / T)
    NONE    the values are means over the scan and belong to t + ln(x / (1 - e^-x)) T / ln 2,  x = d ln 2 / T

Slices that refer to different moments (beds, private times) are brought to the earliest of them by physical decay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from fusin.decay import average_count_rate_time_s, decay_factor, elapsed_s
from fusin.dosimetry.image_headers import Agreed, ImageHeader, as_activity, on_zone, scanner_half_life_s
from fusin.dosimetry.image_points import CONCENTRATION, ImageOptions, ImagePoint
from fusin.dosimetry.image_scaling import scaling_of_series
from fusin.dosimetry.quantitative_spect import Measured
from fusin.errors import MissingValue, NotComputable
from fusin.imaging.suv_time import reference_times
from fusin.imaging.volume import FloatArray, Volume
from fusin.provenance import NoticeLog

__all__ = ["StatedTime", "effective_delay_s", "point_of_series"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedTime:
    """What a user states of one image beside its header.

    Attributes
    ----------
    time_h : start of the scan, hours after injection; goes before the header's clock
    dead_time : factor that values are multiplied by
    """

    time_h: float | None = None
    dead_time: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """When values belong to: hours after injection, clock time, factor of each slice, and words."""

    time_h: float
    measured: datetime | None
    factors: float | FloatArray
    words: str


def effective_delay_s(duration_s: float | None, half_life_s: float, *, where: str, log: NoticeLog) -> tuple[float, str]:
    """Time after the start of a scan to which values without decay correction belong [s], and how it was found.

    Parameters
    ----------
    duration_s : of the scan; without one the start is taken, with a warning of what that may mean
    half_life_s : of the nuclide
    where : name of the image
    log : receives DURATION_UNKNOWN
    """
    if duration_s is None:
        shift = 100.0 * math.expm1(900.0 * math.log(2.0) / half_life_s)
        log.warning("DURATION_UNKNOWN", "values without decay correction are means over the scan, and its duration is not known: "
                    f"they were taken as those of its start (a scan of 30 min: {shift:.2g} % by decay)", where=where)  # fmt: skip
        return 0.0, "taken as at the start"
    delay = average_count_rate_time_s(duration_s, half_life_s)
    return delay, f"mean over {duration_s:g} s, {delay:.0f} s after the start"


def point_of_series(
    header: ImageHeader, agreed: Agreed, options: ImageOptions, log: NoticeLog, *, stated: StatedTime | None = None
) -> ImagePoint:
    """Load a series as activity concentration.

    Parameters
    ----------
    header : of the series
    agreed : nuclide and injection
    options : calibration
    log : receives notices
    stated : time and dead time of this image

    Raises
    ------
    NotComputable
        Units, times or decay corrections that cannot be had; ``IMAGE_BEFORE_INJECTION``.
    """
    own = stated or StatedTime()
    where = header.where
    scaling = scaling_of_series(
        header.series, header.header, options, duration_s=header.duration_s, where=where, log=log
    )
    moment = _moment(header, agreed, own, log)
    if moment.time_h < 0:
        raise NotComputable(
            f"the activity in {where}", f"its scan lies {-moment.time_h:.2f} h before the injection",
            "the right time of injection (--injected)", "IMAGE_BEFORE_INJECTION",
        )  # fmt: skip
    loaded = header.series.load(log)
    dead = own.dead_time
    values = np.asarray(loaded.values, dtype=np.float32)
    gain = np.asarray(scaling.factor) * np.asarray(moment.factors) * (1.0 if dead is None else dead.value)
    offset = scaling.offset * np.asarray(moment.factors) * (1.0 if dead is None else dead.value)
    gain, offset = _by_slice(header, gain), _by_slice(header, offset)
    scaled = np.empty(values.shape, dtype=np.float32)
    np.multiply(values, gain, out=scaled, dtype=np.float64, casting="same_kind")
    if np.any(offset):
        np.add(scaled, offset, out=scaled, dtype=np.float64, casting="same_kind")
    if dead is not None:
        log.info(
            "DEAD_TIME_APPLIED",
            f"multiplied by the stated dead time factor {dead.value:g}",
            where=where,
            used=dead.value,
        )
    return ImagePoint(
        volume=Volume(values=scaled, grid=loaded.grid, unit=CONCENTRATION), time_h=moment.time_h, where=where,
        u_relative=scaling.u_relative, correction=moment.words, scaling=scaling.words, dead_time=dead,
        counts_per_mbq=scaling.counts_per_mbq, measured=moment.measured, duration_s=header.duration_s,
        facts=_facts(header),
    )  # fmt: skip


def _by_slice(header: ImageHeader, values: Any) -> FloatArray:
    """Numbers of the existing slices as a column over all slices; NaN where a slice is missing."""
    stack = header.series.require_stack()
    if np.ndim(values) == 0:
        return np.full((len(stack.phases[0]), 1, 1), float(values))
    out = np.full(len(stack.phases[0]), np.nan)
    out[[f is not None for f in stack.phases[0]]] = values
    return out[:, None, None]


def _moment(header: ImageHeader, agreed: Agreed, stated: StatedTime, log: NoticeLog) -> _Moment:
    """The moment of the values, by what the header says of the decay correction."""
    half_life = scanner_half_life_s(header, agreed.nuclide, log)
    kind = header.header.decay_correction
    begun = None if header.begun is None else on_zone(header.begun, header.zone)
    start_h = stated.time_h if stated.time_h is not None else _hours(header, begun, agreed)
    if kind == "ADMIN":
        factor = float(decay_factor(3600.0 * start_h, half_life))
        words = f"{header.correction_words}: decayed from the injection to the start of the scan, factor {factor:.5g}"
        log.info("DECAY_CORRECTION_UNDONE", words, where=header.where, used=factor)
        return _Moment(time_h=start_h, measured=begun, factors=factor, words=words)
    if header.series.modality == "NM":
        return _of_spect(header, kind, start_h, begun, half_life, log)
    try:
        with as_activity(header.where):
            found = reference_times(header.header, half_life, log)
    except NotComputable:
        if stated.time_h is None:
            raise
        # A stated time needs no clock; an export without usable ones has one moment for all slices.
        return _Moment(
            time_h=start_h,
            measured=None,
            factors=1.0,
            words=f"{header.correction_words}: values belong to the stated time",
        )
    first = min(found.times)
    elapsed = np.array([(t - first).total_seconds() for t in found.times])
    factors = np.asarray(decay_factor(-elapsed, half_life), dtype=np.float64)
    delay_h = 0.0 if header.begun is None else (first - header.begun).total_seconds() / 3600.0
    words = f"{header.correction_words}: values belong to {first.isoformat(sep=' ', timespec='seconds')} ({found.rule})"
    if found.spread_s > 1.0:
        words += f"; slices up to {found.spread_s:.0f} s later were brought there"
    return _Moment(time_h=start_h + delay_h, measured=on_zone(first, header.zone), words=words,
                   factors=1.0 if found.spread_s == 0 else factors)  # fmt: skip


def _of_spect(
    header: ImageHeader, kind: str, start_h: float, begun: datetime | None, half_life: float, log: NoticeLog
) -> _Moment:
    """A reconstructed SPECT is one scan: its start, or the moment of its mean."""
    if kind == "START":
        return _Moment(
            time_h=start_h, measured=begun, factors=1.0, words=f"{header.correction_words}: values belong to the start"
        )
    delay, words = effective_delay_s(header.duration_s, half_life, where=header.where, log=log)
    measured = None if begun is None else begun + timedelta(seconds=delay)
    return _Moment(
        time_h=start_h + delay / 3600.0, measured=measured, factors=1.0, words=f"{header.correction_words}: {words}"
    )


def _hours(header: ImageHeader, begun: datetime | None, agreed: Agreed) -> float:
    if begun is None:
        raise MissingValue(
            f"the activity in {header.where}", "Acquisition Time (0008,0032) and Series Time (0008,0031) are absent",
            "the time of the scan", "ACQUISITION_TIME_MISSING",
        )  # fmt: skip
    if agreed.injected is None:
        raise MissingValue(
            f"the activity in {header.where}", "no header and no option states the time of injection", "--injected, such as "
            "2026-03-02T09:30", "INJECTION_TIME_MISSING",
        )  # fmt: skip
    return elapsed_s(agreed.injected, begun) / 3600.0


def _facts(header: ImageHeader) -> dict[str, Any]:
    series = header.series
    return {
        "modality": series.modality,
        "series_uid": series.uid,
        "description": series.description,
        "units": header.header.units,
        "decay_correction": header.header.decay_correction,
        "start": header.begun,
        "files": len(series.instances),
    }
