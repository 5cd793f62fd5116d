"""Half-life from two or more readings, with its uncertainty.

Two readings give the closed form T = dt ln 2 / ln(A1/A2). The interval is that of the decay constant, whose error is close to
normal, turned into half-lives; it is therefore longer above than below, and open above where the constant reaches zero.
Three readings or more give a weighted log-linear fit with its chi-square. The background is one number for all readings: its
error moves them together, which widens the interval more than independent errors would (generalised least squares).

References
----------
JCGM 100:2008, 5.1.2 (propagation). Bevington PR, Robinson DK, Data Reduction and Error Analysis, 3rd ed., ch. 6 (weighted
straight line, chi-square). Aitken AC, Proc R Soc Edinb 55 (1936) 42-48 (generalised least squares).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusin.errors import InputError, NotComputable
from fusin.stats.results import Estimate

__all__ = ["WEAK_MIN", "HalfLife", "Reading", "half_life_of", "two_reading_u_s"]

WEAK_MIN = 15.0
"""Span of the readings [min] below which a pass is weak evidence for 68Ga: u(T) is then 1.9 min or more at 0.3 %."""

_LN2 = math.log(2.0)
_PASSES = 50
_FEW = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a decaying source.

    Attributes
    ----------
    time_s : seconds from any common moment
    value : activity in any unit, or counts
    live_time_s : counting time, for counts; the time is then that of the middle of the counting; None for an activity
    background : in the unit of ``value`` (activity), or as a rate [1/s] (counts)
    background_u : standard uncertainty of the background, in its unit; one background, so one error for all readings
    """

    time_s: float
    value: float
    live_time_s: float | None = None
    background: float = 0.0
    background_u: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLife:
    """A half-life with its uncertainty.

    Attributes
    ----------
    half_life_s, u_s : value and standard uncertainty [s]
    estimate : the same in minutes with its 95 % interval and method
    readings : number of readings
    span_s : between the first and the last reading [s]
    chi2, df, p : of the fit; None for two readings, and where the scatter itself gave the uncertainty
    """

    half_life_s: float
    u_s: float | None
    estimate: Estimate
    readings: int
    span_s: float
    chi2: float | None = None
    df: int | None = None
    p: float | None = None

    @property
    def short(self) -> bool:
        """Whether the readings span less than 22 % of a half-life, 15 min for 68Ga."""
        return self.span_s / self.half_life_s < WEAK_MIN * 60.0 / 4062.6

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping; times in minutes."""
        return {
            "value_min": self.half_life_s / 60.0, "u_min": None if self.u_s is None else self.u_s / 60.0,
            "low_min": self.estimate.low, "high_min": self.estimate.high, "method": self.estimate.method,
            "readings": self.readings, "span_min": self.span_s / 60.0, "chi2": self.chi2, "df": self.df, "p": self.p,
            "note": self.estimate.note,
        }  # fmt: skip


def two_reading_u_s(half_life_s: float, *, interval_s: float, repeatability: float) -> float:
    """Standard uncertainty of a half-life from two readings [s]: u(T) = T^2 sqrt(2) r / (dt ln 2).

    Parameters
    ----------
    half_life_s : half-life [s]
    interval_s : time between the readings [s]
    repeatability : relative standard deviation of one reading (0.003 for 0.3 %)

    Raises
    ------
    InputError
        For a time or a repeatability that is not positive.

    Examples
    --------
    >>> [round(two_reading_u_s(67.71 * 60, interval_s=60.0 * m, repeatability=0.003) / 60, 2) for m in (5, 10, 20, 30)]
    [5.61, 2.81, 1.4, 0.94]
    """
    for name, value in (("half_life_s", half_life_s), ("interval_s", interval_s), ("repeatability", repeatability)):
        if not (math.isfinite(value) and value > 0):
            raise InputError("half-life", name, value, "a positive number")
    return half_life_s**2 * math.sqrt(2.0) * repeatability / (interval_s * _LN2)


def half_life_of(readings: Sequence[Reading], *, repeatability: float | None = None, level: float = 0.95) -> HalfLife:
    """Half-life of two or more readings.

    Parameters
    ----------
    readings : in any order
    repeatability : relative standard deviation of one reading (0.003 for 0.3 %); needed for two readings of activity
    level : of the interval

    Returns
    -------
    HalfLife
        With known errors (repeatability, counts) the interval is normal; without, the scatter about the line gives it,
        by Student's t with n - 2 degrees of freedom.

    Raises
    ------
    InputError
        For fewer than two readings, equal times, or a reading at or below its background.
    NotComputable
        When the readings do not fall.
    """
    ordered = _checked(readings, repeatability)
    times = [r.time_s for r in ordered]
    net = [_net(r) for r in ordered]
    known = repeatability is not None or any(r.live_time_s is not None for r in ordered)
    fitted = list(net)
    slope, slope_u, chi2 = 0.0, 0.0, 0.0
    for _ in range(_PASSES if known else 1):
        own = [_log_variance(r, f, repeatability) if known else 1.0 for r, f in zip(ordered, fitted, strict=True)]
        shared = [r.background_u / f if known else 0.0 for r, f in zip(ordered, fitted, strict=True)]
        before = slope
        intercept, slope, slope_u, chi2, centre = _line(times, [math.log(n) for n in net], own, shared)
        # Weights from the line instead of from the counts themselves: a low count would else weigh too much.
        fitted = [math.exp(intercept + slope * (t - centre)) for t in times]
        if abs(slope - before) <= 1e-12 * abs(slope):
            break
    if slope >= 0.0:
        raise _no_decay(slope, slope_u if known else None, times[-1] - times[0], level)
    return _result(ordered, -slope, slope_u, chi2, known=known, level=level)


def _checked(readings: Sequence[Reading], repeatability: float | None) -> list[Reading]:
    where = "half-life"
    if len(readings) < 2:
        raise InputError(where, "readings", len(readings), "two or more readings with their times")
    if repeatability is not None and not (math.isfinite(repeatability) and 0.0 < repeatability < 0.5):
        raise InputError(where, "repeatability", repeatability, "a relative standard deviation such as 0.003 (0.3 %)")
    ordered = sorted(readings, key=lambda r: r.time_s)
    for earlier, later in itertools.pairwise(ordered):
        if earlier.time_s == later.time_s:
            raise InputError(where, "time", "two readings at one moment", "a time of its own for each reading")
    counted = [r.live_time_s is not None for r in ordered]
    if any(counted) != all(counted):
        raise InputError(where, "readings", "counts and activities", "readings of one kind")
    for number, reading in enumerate(ordered, start=1):
        at = f"{where}: reading {number}"
        if reading.live_time_s is not None and not reading.live_time_s > 0:
            raise InputError(at, "live_time_s", reading.live_time_s, "a positive number of seconds")
        if not (math.isfinite(reading.value) and math.isfinite(reading.time_s)):
            raise InputError(at, "value", reading.value, "a finite number")
        if _net(reading) <= 0:
            raise InputError(at, "net value", round(_net(reading), 6), "a reading above its background")
    return ordered


def _net(reading: Reading) -> float:
    if reading.live_time_s is None:
        return reading.value - reading.background
    return reading.value / reading.live_time_s - reading.background


def _no_decay(slope: float, slope_u: float | None, span_s: float, level: float) -> NotComputable:
    """Why there is no half-life, with the shortest one that the errors of the readings still allow."""
    from scipy import stats

    because = f"the net readings {'rise' if slope > 0.0 else 'do not fall'} over {span_s / 60.0:.3g} min"
    fastest = None if slope_u is None else float(stats.norm.ppf(level)) * slope_u - slope
    if fastest is not None and fastest > 0.0:
        because += f" (it is above {_LN2 / fastest / 60.0:.3g} min, one-sided {100 * level:.0f} % limit)"
    needed = "readings of a decaying source, in the order of their times"
    return NotComputable("half-life", because, needed, "READINGS_DO_NOT_FALL")


def _log_variance(reading: Reading, fitted: float, repeatability: float | None) -> float:
    """Variance of the logarithm of a net reading by its own error: Poisson's of counts, and the repeatability."""
    gross = fitted + reading.background
    variance = (gross * (repeatability or 0.0)) ** 2
    if reading.live_time_s is not None:
        variance += gross / reading.live_time_s
    return variance / fitted**2


def _line(
    x: list[float], y: list[float], own: list[float], shared: list[float]
) -> tuple[float, float, float, float, float]:
    """Straight line by generalised least squares: intercept at the mean, slope, u(slope), chi-square, mean of x.

    The covariance is diag(own) + shared shared'; its inverse follows from the formula of Sherman and Morrison.
    """
    weights = [1.0 / v for v in own]
    mean = math.fsum(w * b for w, b in zip(weights, x, strict=True)) / math.fsum(weights)
    off = [b - mean for b in x]
    spread = 1.0 + math.fsum(w * s * s for w, s in zip(weights, shared, strict=True))

    def product(one: list[float], other: list[float]) -> float:
        plain = math.fsum(w * a * b for w, a, b in zip(weights, one, other, strict=True))
        left = math.fsum(w * a * s for w, a, s in zip(weights, one, shared, strict=True))
        right = math.fsum(w * s * b for w, s, b in zip(weights, shared, other, strict=True))
        return plain - left * right / spread

    ones = [1.0] * len(x)
    n11, n12, n22 = product(ones, ones), product(ones, off), product(off, off)
    y1, y2 = product(ones, y), product(off, y)
    determinant = n11 * n22 - n12 * n12
    slope, intercept = (n11 * y2 - n12 * y1) / determinant, (n22 * y1 - n12 * y2) / determinant
    rest = [c - intercept - slope * b for b, c in zip(off, y, strict=True)]
    return intercept, slope, math.sqrt(n11 / determinant), product(rest, rest), mean


def _result(
    readings: list[Reading], constant: float, constant_u: float, chi2: float, *, known: bool, level: float
) -> HalfLife:
    from scipy import stats

    n, span = len(readings), readings[-1].time_s - readings[0].time_s
    half_life, df = _LN2 / constant, n - 2
    quantile, name, note = float(stats.norm.ppf(0.5 + level / 2.0)), "normal in the decay constant", ""
    u: float | None = constant_u
    if not known:
        u = None if df == 0 else constant_u * math.sqrt(chi2 / df)
        if df:
            quantile, name = float(stats.t.ppf(0.5 + level / 2.0, df)), f"Student's t in the decay constant, {df} df"
    method = ("two readings" if n == 2 else "log-linear fit") + f", {name}"
    low = high = None
    if u is None:
        method, note = "two readings", "no interval: the repeatability of a reading is not stated"
    else:
        low = _LN2 / (constant + quantile * u) / 60.0
        slowest = constant - quantile * u
        high = _LN2 / slowest / 60.0 if slowest > 0 else None
        note = "" if high is not None else "unbounded above: the readings could be constant"
    if any(r.live_time_s is not None and r.value < _FEW for r in readings):
        note = "; ".join(
            part for part in (note, "fewer than 100 counts in a reading: the interval is approximate") if part
        )
    fitted = known and df > 0
    return HalfLife(
        half_life_s=half_life, u_s=None if u is None else half_life**2 * u / _LN2,
        estimate=Estimate(value=half_life / 60.0, low=low, high=high, method=method, n=n, level=level, note=note),
        readings=n, span_s=span, chi2=chi2 if fitted else None, df=df if fitted else None,
        p=float(stats.chi2.sf(chi2, df)) if fitted else None,
    )  # fmt: skip
