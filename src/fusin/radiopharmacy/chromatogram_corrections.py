"""From what a detector wrote to counts that can be compared: live time, dead time, decay across the run.

A peak at 10 min has decayed for 8 min longer than one at 2 min; for 68Ga a true 2.00 % at 2 min then reads 2.17 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import lambertw

from fusin.decay import decay_factor
from fusin.errors import InputError, InvalidValue
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import FloatArray, Trace, bin_widths

__all__ = ["DeadTimeModel", "Decay", "Signal", "dead_time_corrected", "prepared", "run_decay"]

DeadTimeModel = Literal["non-paralysable", "paralysable"]

_WHOLE = 1e-6
_EQUAL = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """The decision on decay across the run: a nuclide, or None for none.

    Attributes
    ----------
    nuclide : name of the nuclide whose decay is corrected to the start of the run
    scan_duration_s : time that the scan of a strip takes; None for a run over time
    reverse : the strip is scanned from its end
    """

    nuclide: str | None
    scan_duration_s: float | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """A trace that is ready for integration; all arrays have shape (n,).

    Attributes
    ----------
    trace : what was read
    x : positions, shifted by a delay
    y : signal per point: counts (dead time and live time corrected), or the analogue value
    weight : what one point adds to an area: 1 for counts, its width in seconds or millimetres otherwise
    decay : factor to the start of the run, 1 without correction
    poisson : variance per count of ``y``; None for a signal that is no count
    noise : variance per point that is not Poisson (analogue noise); 0 until it was estimated
    half_life_s : of the nuclide that was corrected for
    """

    trace: Trace
    x: FloatArray
    y: FloatArray
    weight: FloatArray
    decay: FloatArray
    poisson: FloatArray | None
    noise: float = 0.0
    half_life_s: float | None = None

    @property
    def factor(self) -> FloatArray:
        """What a unit of net signal adds to an area."""
        return self.weight * self.decay

    def with_noise(self, variance: float) -> Signal:
        """The signal with its noise."""
        return replace(self, noise=variance)


def run_decay(trace: Trace, decay: Decay) -> tuple[FloatArray, float | None]:
    """Factors 2^(t/T) of each point to the start of the run, and the half-life [s].

    Parameters
    ----------
    trace : times are minutes after the injection; a strip is scanned evenly within ``scan_duration_s``
    decay : the decision

    Raises
    ------
    InputError
        For a strip without the duration of its scan.
    """
    if decay.nuclide is None:
        return np.ones_like(trace.x), None
    half_life_s = nuclide(decay.nuclide).half_life_s
    if trace.axis == "min":
        elapsed = trace.x * 60.0
    else:
        if decay.scan_duration_s is None:
            raise InputError(trace.where, "scan_duration_s", "nothing",
                             "the time that the scan of the strip took, or decay_correction = false")  # fmt: skip
        share = (trace.x - trace.x[0]) / (trace.x[-1] - trace.x[0])
        elapsed = decay.scan_duration_s * (1.0 - share if decay.reverse else share)
    factors = 1.0 / decay_factor(elapsed, half_life_s)
    if not np.isfinite(factors).all():
        raise InputError(trace.where, "time", float(trace.x[-1]),
                         f"a run shorter than a thousand half-lives of {decay.nuclide}")  # fmt: skip
    return factors, half_life_s


def dead_time_corrected(
    rate_cps: FloatArray, *, dead_time_s: float, model: DeadTimeModel
) -> tuple[FloatArray, FloatArray]:
    """True rates of recorded ones, and the slope d(true)/d(recorded).

    Non-paralysable: n = m / (1 - m tau). Paralysable: m = n exp(-n tau), lower branch, by Lambert's W.

    Parameters
    ----------
    rate_cps : recorded rates m, per second
    dead_time_s : tau
    model : kind of dead time

    Raises
    ------
    InvalidValue
        When a recorded rate is impossible for the dead time.

    References
    ----------
    Knoll, Radiation Detection and Measurement, 4th ed. (2010), chapter 4.VII.
    """
    loss = rate_cps * dead_time_s
    most = 1.0 if model == "non-paralysable" else math.exp(-1.0)
    if np.any(loss >= most):
        raise InvalidValue(
            "the true count rate",
            f"a recorded rate of {float(rate_cps.max()):g} cps is beyond what a {model} dead time of "
            f"{dead_time_s * 1e6:g} us allows, {most / dead_time_s:g} cps",
            "the right dead time, or a weaker sample",
            "DEAD_TIME_IMPOSSIBLE",
        )
    if model == "non-paralysable":
        return rate_cps / (1.0 - loss), 1.0 / (1.0 - loss) ** 2
    lost = -np.real(lambertw(-loss))  # type: ignore[call-overload]  # its stubs know complex arrays only
    true = rate_cps * np.exp(lost)
    return true, np.exp(lost) / (1.0 - lost)


def prepared(
    trace: Trace,
    log: NoticeLog,
    *,
    decay: Decay,
    dead_time_s: float | None = None,
    dead_time_model: DeadTimeModel = "non-paralysable",
) -> Signal:
    """Counts or analogue signal of a trace, corrected for live time, dead time and decay.

    Parameters
    ----------
    trace : one channel
    log : receives doubts about counts that cannot be raw
    decay : the decision on decay
    dead_time_s, dead_time_model : of the detector; None when the instrument corrects it

    Raises
    ------
    InputError
        For a dead time without counting times.
    """
    factors, half_life_s = run_decay(trace, decay)
    live = _live_time(trace, log)
    counted = trace.quantity == "counts" or (trace.quantity == "rate" and live is not None)
    if not counted:
        if dead_time_s is not None:
            raise InputError(trace.where, "dead_time_us", trace.y_unit, "counts, or rates with their live time")
        width = bin_widths(trace.x) * (60.0 if trace.axis == "min" else 1.0)
        return Signal(trace=trace, x=trace.x, y=trace.y, weight=width, decay=factors, poisson=None,
                      half_life_s=half_life_s)  # fmt: skip
    raw = trace.y if trace.quantity == "counts" or live is None else trace.y * live
    _doubt_counts(raw, trace, log)
    per_count = np.ones_like(raw)
    y = raw
    if dead_time_s is not None:
        if live is None:
            live = _interval(trace, log)
        rate, slope = dead_time_corrected(raw / live, dead_time_s=dead_time_s, model=dead_time_model)
        y = rate * live
        # Var(true) = slope^2 * recorded; per count of the corrected signal that is slope^2 * recorded / true.
        per_count = slope**2 * np.divide(raw, y, out=np.ones_like(raw), where=y != 0)
    if live is not None and np.ptp(live) > _EQUAL * float(live.mean()):
        scale = live.mean() / live
        y, per_count = y * scale, per_count * scale
        log.info("LIVE_TIME_VARIES", "counts were brought to the mean live time of the points", where=trace.where,
                 raw=float(np.ptp(live)), used=float(live.mean()))  # fmt: skip
    return Signal(trace=trace, x=trace.x, y=y, weight=np.ones_like(y), decay=factors, poisson=per_count,
                  half_life_s=half_life_s)  # fmt: skip


def _live_time(trace: Trace, log: NoticeLog) -> FloatArray | None:
    """Counting times: as stated, or for a rate over time the distance of the points, which is noted."""
    if trace.live_time_s is not None or trace.quantity == "analogue" or trace.axis == "mm":
        if trace.quantity == "rate" and trace.live_time_s is None:
            log.warning(
                "RATE_WITHOUT_LIVE_TIME",
                "rates without a counting time: Poisson uncertainty cannot be had, only the noise of the signal",
                where=trace.where,
            )
        return trace.live_time_s
    return _interval(trace, log) if trace.quantity == "rate" else None


def _interval(trace: Trace, log: NoticeLog) -> FloatArray:
    """Distance of the points of a run in time as their counting time, which is noted; a strip does not tell it.

    Raises
    ------
    InputError
        For a strip.
    """
    if trace.axis != "min":
        raise InputError(trace.where, "dead_time_us", "counts without a live time", "live_time_s in the column map")
    widths = bin_widths(trace.x) * 60.0
    what = "rates are" if trace.quantity == "rate" else "counts are"
    log.adapted(
        "LIVE_TIME_IS_INTERVAL",
        f"{what} taken as counted over the whole interval of the points, {float(np.median(widths)):.4g} s",
        where=trace.where,
        used=float(np.median(widths)),
    )
    return widths


def _doubt_counts(raw: FloatArray, trace: Trace, log: NoticeLog) -> None:
    """Raw counts are whole and never negative; others were changed before, and their Poisson variance is a guess."""
    if trace.background_subtracted:
        log.warning(
            "COUNTS_NET",
            "the counts are net, as the column map says: what was subtracted has no uncertainty here, so that of a small peak is "
            "understated",
            where=trace.where,
        )
    elif raw.min() < 0:
        first = int(np.flatnonzero(raw < 0)[0])
        unit = trace.axis
        log.adapted(
            "COUNTS_NEGATIVE",
            f"{int((raw < 0).sum())} of {raw.size} counts are negative, the first {float(raw[first]):.4g} at "
            f"{float(trace.x[first]):.4g} {unit}: raw counts cannot be, so a background is taken as subtracted before, and the "
            "uncertainty of a small peak is understated",
            where=trace.where,
            raw=float(raw.min()),
        )
    elif trace.quantity == "counts" and np.any(np.abs(raw - np.round(raw)) > _WHOLE * np.maximum(np.abs(raw), 1.0)):
        log.warning(
            "COUNTS_NOT_WHOLE",
            "counts are no whole numbers: they were smoothed, corrected or scaled before, and Poisson statistics hold "
            "only for what was counted",
            where=trace.where,
        )
