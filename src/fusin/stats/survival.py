"""Survival: Kaplan-Meier, log-rank tests and restricted means; Cox regression stands in `cox`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    Record,
    check_level,
    cluster_codes,
    finite,
    flags,
    frozen,
    normal_quantile,
    same_length,
)
from fusin.stats.cox import Cox, cox
from fusin.stats.results import Estimate, TestResult

__all__ = [
    "Cox",
    "KaplanMeier",
    "cox",
    "kaplan_meier",
    "logrank",
    "logrank_trend",
    "median_follow_up",
    "restricted_mean",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KaplanMeier(Record):
    """Product-limit curve; all arrays have one entry for each distinct time, after time 0.

    Attributes
    ----------
    time : (m,) event and censoring times, first entry 0
    survival, low, high : (m,) survival and its log-log limits; limits are NaN where the curve is 1 or 0
    at_risk : (m,) patients at risk just before the time
    events, censored : (m,) at the time
    median : median survival with interval; ``value`` None where the curve stays above one half
    n : number of patients
    n_events : number of events
    level : confidence level
    method : how the limits were made
    """

    time: FloatArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    at_risk: IntArray
    events: IntArray
    censored: IntArray
    median: Estimate
    n: int
    n_events: int
    level: float
    method: str = field(default="Kaplan-Meier, log-log limits (Greenwood)")

    def at(self, time: float) -> Estimate:
        """Survival at a time; beyond the last observation of a curve above 0 there is none."""
        last = float(self.time[-1])
        if time < 0:
            raise InvalidValue("survival at a time", f"time {time:g}", "a time of 0 or more", "NEGATIVE_TIME")
        index = int(np.searchsorted(self.time, time, side="right")) - 1
        if time > last and self.survival[-1] > 0:
            note = f"no patient is observed beyond {last:g}"
            return Estimate(value=None, low=None, high=None, method=self.method, n=self.n, level=self.level, note=note)
        value, low, high = (float(a[index]) for a in (self.survival, self.low, self.high))
        flat = math.isnan(low)
        return Estimate(
            value=value,
            low=None if flat else low,
            high=None if flat else high,
            method=self.method,
            n=self.n,
            level=self.level,
            note="log-log limits do not exist where the curve is 1 or 0" if flat else "",
        )

    def numbers_at_risk(self, times: ArrayLike) -> IntArray:
        """Patients still observed just before each time, for the line below a figure."""
        index = np.searchsorted(self.time, np.asarray(times, dtype=np.float64), side="left")
        return np.append(self.at_risk, 0)[index].astype(np.int64)


def _follow_up(time: ArrayLike, event: ArrayLike, what: str) -> tuple[FloatArray, BoolArray]:
    times, events = finite(time, "time", what=what), flags(event, "event", what=what)
    same_length(what, time=times, event=events)
    if (times < 0).any():
        raise InvalidValue(what, f"a time of {times.min():g}", "times of 0 or more", "NEGATIVE_TIME")
    return times, events


def kaplan_meier(time: ArrayLike, event: ArrayLike, *, level: float = 0.95) -> KaplanMeier:
    """Product-limit survival with log-log limits and the median with its interval (Brookmeyer-Crowley).

    Parameters
    ----------
    time : (n,) follow-up, any unit
    event : (n,) True for an event, False for censoring; at equal times events come first
    level : confidence level

    Raises
    ------
    InvalidValue
        For negative or missing times.

    References
    ----------
    Kaplan and Meier, JASA 1958;53:457; Kalbfleisch and Prentice (1980), log-log limits.
    """
    from lifelines import KaplanMeierFitter  # type: ignore[import-untyped]  # lifelines ships no types

    times, events = _follow_up(time, event, "survival curve")
    check_level(level, what="survival curve")
    fit = KaplanMeierFitter(alpha=1.0 - level).fit(times, events)
    table = fit.event_table
    grid = table.index.to_numpy(dtype=np.float64)
    survival = fit.survival_function_.iloc[:, 0].to_numpy(dtype=np.float64)
    limits = fit.confidence_interval_.to_numpy(dtype=np.float64)
    flat = (survival <= 0.0) | (survival >= 1.0)
    low, high = np.where(flat, np.nan, limits[:, 0]), np.where(flat, np.nan, limits[:, 1])
    return KaplanMeier(
        time=frozen(grid),
        survival=frozen(survival),
        low=frozen(low),
        high=frozen(high),
        at_risk=frozen(table["at_risk"].to_numpy(dtype=np.int64)),
        events=frozen(table["observed"].to_numpy(dtype=np.int64)),
        censored=frozen(table["censored"].to_numpy(dtype=np.int64)),
        median=_median(grid, survival, low, high, len(times), level),
        n=len(times),
        n_events=int(events.sum()),
        level=level,
    )


def _median(
    grid: FloatArray, survival: FloatArray, low: FloatArray, high: FloatArray, n: int, level: float
) -> Estimate:
    def first(curve: FloatArray) -> float | None:
        reached = np.flatnonzero(curve <= 0.5 + 1e-12)
        return float(grid[reached[0]]) if reached.size else None

    # Where the curve has fallen to 0 its limits do not exist: the last limit holds on.
    value, lower, upper = first(survival), first(low), first(high)
    note = "" if value is not None else "the curve stays above one half"
    if value is not None and upper is None:
        note = "the upper limit is not reached"
    method = "first time with survival at or below one half, log-log limits"
    return Estimate(value=value, low=lower, high=upper, method=method, n=n, level=level, note=note)


def median_follow_up(time: ArrayLike, event: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Median follow-up by the reverse Kaplan-Meier method (Schemper and Smith, Control Clin Trials 1996;17:343)."""
    times, events = _follow_up(time, event, "median follow-up")
    return kaplan_meier(times, ~events, level=level).median


def _logrank_sums(
    times: FloatArray, events: BoolArray, code: IntArray, groups: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Observed and expected events of each group, and the hypergeometric covariance of observed - expected."""
    moments, index = np.unique(times, return_inverse=True)
    size = len(moments)
    flat = index * groups + code
    died = np.bincount(flat, weights=events, minlength=size * groups).reshape(size, groups)
    left = np.bincount(flat, minlength=size * groups).reshape(size, groups)
    at_risk = left[::-1].cumsum(axis=0)[::-1].astype(np.float64)
    deaths, total = died.sum(axis=1), at_risk.sum(axis=1)
    keep = deaths > 0
    died, at_risk, deaths, total = died[keep], at_risk[keep], deaths[keep], total[keep]
    share = at_risk / total[:, None]
    factor = deaths * np.divide(total - deaths, total - 1.0, out=np.zeros(len(total)), where=total > 1)
    covariance = np.diag(factor @ share) - np.einsum("t,ti,tj->ij", factor, share, share)
    return died.sum(axis=0), deaths @ share, covariance


def _grouped(
    time: ArrayLike, event: ArrayLike, group: ArrayLike, what: str
) -> tuple[FloatArray, BoolArray, IntArray, list[str]]:
    import pandas as pd

    times, events = _follow_up(time, event, what)
    cluster_codes(group, what=what)
    code, labels = pd.factorize(np.asarray(group), sort=True)
    same_length(what, time=times, event=events, group=code)
    if len(labels) < 2:
        raise InvalidValue(what, "one group", "two or more", "ONE_GROUP")
    return times, events, code.astype(np.int64), [str(x) for x in labels]


def logrank(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> TestResult:
    """Log-rank test of two or more survival curves.

    Parameters
    ----------
    time, event : as for `kaplan_meier`
    group : (n,) labels

    Returns
    -------
    TestResult
        ``details`` holds ``observed`` and ``expected`` events by group; ``p`` None without events.

    References
    ----------
    Mantel, Cancer Chemother Rep 1966;50:163; Peto and Peto, J R Stat Soc A 1972;135:185.
    """
    from scipy.stats import chi2

    times, events, code, labels = _grouped(time, event, group, "log-rank test")
    observed, expected, covariance = _logrank_sums(times, events, code, len(labels))
    details = {
        "observed": dict(zip(labels, observed.tolist(), strict=True)),
        "expected": dict(zip(labels, expected.tolist(), strict=True)),
    }
    name, df = f"log-rank test of {len(labels)} groups", len(labels) - 1
    gap = (observed - expected)[:-1]
    if not events.any() or np.linalg.matrix_rank(covariance) < df:
        note = "no events while two groups were at risk"
        return TestResult(test=name, p=None, n=len(times), df=df, note=note, details=details)
    statistic = float(gap @ np.linalg.solve(covariance[:-1, :-1], gap))
    return TestResult(
        test=name, p=float(chi2.sf(statistic, df)), statistic=statistic, df=df, n=len(times), details=details
    )


def logrank_trend(
    time: ArrayLike, event: ArrayLike, group: ArrayLike, scores: Sequence[float] | None = None
) -> TestResult:
    """Log-rank test for trend over ordered groups, such as grade or stage.

    Parameters
    ----------
    time, event : as for `kaplan_meier`
    group : (n,) labels whose sorted order is the order of the groups
    scores : one for each group in sorted order; 1, 2, 3... by default

    References
    ----------
    Tarone, Biometrika 1975;62:679.
    """
    from scipy.stats import chi2

    what = "log-rank test for trend"
    times, events, code, labels = _grouped(time, event, group, what)
    weight = np.arange(1.0, len(labels) + 1) if scores is None else finite(scores, "scores", what=what)
    if len(weight) != len(labels):
        raise InvalidValue(what, f"{len(weight)} scores for {len(labels)} groups", "one for each group", "BAD_SCORES")
    observed, expected, covariance = _logrank_sums(times, events, code, len(labels))
    variance = float(weight @ covariance @ weight)
    details = {"groups": labels, "scores": weight.tolist()}
    if variance <= 1e-12:
        note = "the trend has no variance"
        return TestResult(test=what, p=None, n=len(times), df=1, note=note, details=details)
    statistic = float(weight @ (observed - expected)) ** 2 / variance
    return TestResult(
        test=what, p=float(chi2.sf(statistic, 1)), statistic=statistic, df=1, n=len(times), details=details
    )


def restricted_mean(time: ArrayLike, event: ArrayLike, *, horizon: float, level: float = 0.95) -> Estimate:
    """Mean survival time up to a horizon: the area under the Kaplan-Meier curve.

    Parameters
    ----------
    time, event : as for `kaplan_meier`
    horizon : end of the window, same unit as the times
    level : confidence level; normal interval with the Greenwood variance

    Raises
    ------
    InvalidValue
        For a horizon beyond the last observation of a curve that is still above 0.

    References
    ----------
    Irwin, J Hyg 1949;47:188; Royston and Parmar, BMC Med Res Methodol 2013;13:152.
    """
    what = "restricted mean survival"
    curve = kaplan_meier(time, event, level=level)
    if horizon <= 0 or (horizon > curve.time[-1] and curve.survival[-1] > 0):
        found = f"horizon {horizon:g} with follow-up to {curve.time[-1]:g}"
        raise InvalidValue(what, found, "a horizon above 0 within the follow-up", "BAD_HORIZON")
    inside = curve.time < horizon
    grid = np.append(curve.time[inside], horizon)
    area = np.diff(grid) * curve.survival[inside]
    after = area[::-1].cumsum()[::-1]
    deaths, at_risk = curve.events[inside], curve.at_risk[inside].astype(np.float64)
    # The last patient at risk adds nothing: the area after a curve of 0 is 0.
    live = (deaths > 0) & (at_risk > deaths)
    greenwood = deaths[live] / (at_risk[live] * (at_risk[live] - deaths[live]))
    value, error = float(area.sum()), math.sqrt(float((after[live] ** 2 * greenwood).sum()))
    half = normal_quantile(level) * error
    method = f"area under Kaplan-Meier to {horizon:g}, Greenwood"
    note = "" if error > 0 else "no events before the horizon: no variance"
    return Estimate(
        value=value,
        low=max(value - half, 0.0) if error > 0 else None,
        high=min(value + half, horizon) if error > 0 else None,
        method=method,
        n=curve.n,
        k=int(deaths.sum()),
        level=level,
        note=note,
    )
