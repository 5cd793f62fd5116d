"""Limits of agreement of two methods, and the repeatability of one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import FloatArray, Record, check_level, finite, normal_quantile, same_length, t_quantile
from fusin.stats.results import Estimate, TestResult

__all__ = ["BlandAltman", "bland_altman"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlandAltman(Record):
    """Limits of agreement of two methods, or of a repetition.

    Attributes
    ----------
    bias, lower, upper : mean difference first - second and the limits, with intervals; percent of the mean for scale
        ``"percent"``, ratios for ``"ratio"``
    sd : standard deviation of the differences (of the logarithms for ``"ratio"``)
    scale : ``"difference"``, ``"percent"`` or ``"ratio"``
    repeatability : largest difference expected in 95 % of repetitions, 1.96 sqrt(mean d^2); right only where both
        columns are the same method; a factor for ``"ratio"``
    proportional : slope of the differences on the means
    proportional_test : t test of that slope
    mean, difference : (n,) what is drawn
    """

    bias: Estimate
    lower: Estimate
    upper: Estimate
    sd: float
    scale: str
    repeatability: Estimate
    proportional: Estimate
    proportional_test: TestResult
    mean: tuple[float, ...]
    difference: tuple[float, ...]


def bland_altman(
    x: ArrayLike,
    y: ArrayLike,
    *,
    scale: Literal["difference", "percent", "ratio"] = "difference",
    interval: Literal["exact", "approximate"] = "exact",
    level: float = 0.95,
) -> BlandAltman:
    """Bias and 95 % limits of agreement of two paired measurements.

    Parameters
    ----------
    x, y : (n,) paired values of the first and second method, same unit
    scale : ``"difference"`` x - y; ``"percent"`` 100 (x - y) / mean; ``"ratio"`` exp of the log difference
    interval : intervals of the limits: ``"exact"`` (noncentral t) or ``"approximate"`` (Bland and Altman)
    level : confidence level of the intervals; the limits themselves always span bias +- 1.96 SD

    Raises
    ------
    InvalidValue
        For fewer than 3 pairs, unequal lengths, missing values, or values at or below 0 on a relative scale.

    References
    ----------
    Bland and Altman, Stat Methods Med Res 1999;8:135; Carkeet, Optom Vis Sci 2015;92:e71 (exact intervals).
    """
    what = "limits of agreement"
    first, second = finite(x, "x", what=what), finite(y, "y", what=what)
    n = same_length(what, x=first, y=second)
    check_level(level, what=what)
    if n < 3:
        raise InvalidValue(what, f"{n} pairs", "3 or more", "TOO_FEW")
    mean, d = _differences(first, second, scale)
    sd = float(d.std(ddof=1))
    if sd == 0.0:
        raise InvalidValue(what, "all differences are equal", "differences that vary", "NO_VARIATION")
    back: Callable[[float], float] = math.exp if scale == "ratio" else float
    centre = float(d.mean())
    bias_half = t_quantile(level, n - 1) * sd / math.sqrt(n)
    ends = (back(centre - bias_half), back(centre + bias_half))
    name = "mean difference, t interval"
    bias = Estimate(value=back(centre), low=ends[0], high=ends[1], method=name, n=n, level=level)
    lower, upper = (_limit(centre, sd, n, sign, level, interval, back) for sign in (-1, 1))
    slope, slope_test = _proportional_bias(mean, d, level)
    return BlandAltman(
        bias=bias,
        lower=lower,
        upper=upper,
        sd=sd,
        scale=scale,
        repeatability=_repeatability(d, level, back),
        proportional=slope,
        proportional_test=slope_test,
        mean=tuple(mean.tolist()),
        difference=tuple(np.exp(d).tolist() if scale == "ratio" else d.tolist()),
    )


def _differences(first: FloatArray, second: FloatArray, scale: str) -> tuple[FloatArray, FloatArray]:
    if scale == "difference":
        return (first + second) / 2.0, first - second
    if (first <= 0).any() or (second <= 0).any():
        raise InvalidValue(
            "limits of agreement", "values at or below 0", "positive values for a relative scale", "NOT_POSITIVE"
        )
    if scale == "percent":
        mean = (first + second) / 2.0
        return mean, 100.0 * (first - second) / mean
    return np.sqrt(first * second), np.log(first) - np.log(second)


def _limit(
    centre: float, sd: float, n: int, sign: int, level: float, interval: str, back: Callable[[float], float]
) -> Estimate:
    """One limit of agreement with its interval."""
    from scipy.stats import nct

    z = normal_quantile(0.95)
    value = centre + sign * z * sd
    if interval == "exact":
        # A limit is a normal percentile: (estimate - percentile) is a noncentral t with ncp z sqrt(n).
        inner, outer = (float(nct.ppf(q, n - 1, z * math.sqrt(n))) for q in (0.5 - level / 2, 0.5 + level / 2))
        ends = sorted(centre + sign * sd / math.sqrt(n) * q for q in (inner, outer))
        name = "limit of agreement, exact (noncentral t)"
    else:
        half = t_quantile(level, n - 1) * sd * math.sqrt(1.0 / n + z * z / (2.0 * (n - 1)))
        ends, name = [value - half, value + half], "limit of agreement, Bland-Altman approximate"
    return Estimate(value=back(value), low=back(ends[0]), high=back(ends[1]), method=name, n=n, level=level)


def _repeatability(d: FloatArray, level: float, back: Callable[[float], float]) -> Estimate:
    """Repeatability coefficient 1.96 sqrt(2) sw with sw^2 = mean(d^2)/2 on n degrees of freedom."""
    from scipy.stats import chi2

    n, z = len(d), normal_quantile(0.95)
    total = float((d**2).sum())
    value, low, high = (
        z * math.sqrt(total / q) for q in (n, chi2.ppf(0.5 + level / 2, n), chi2.ppf(0.5 - level / 2, n))
    )
    return Estimate(
        value=back(value),
        low=back(low),
        high=back(high),
        n=n,
        level=level,
        method="repeatability coefficient, chi-square interval",
        note="valid where both columns are repetitions of one method",
    )


def _proportional_bias(mean: FloatArray, d: FloatArray, level: float) -> tuple[Estimate, TestResult]:
    """Regression of the differences on the means."""
    from scipy.stats import linregress

    method, n = "slope of differences on means, least squares", len(d)
    if np.ptp(mean) == 0.0:
        note = "all means are equal"
        return (
            Estimate(value=None, low=None, high=None, method=method, n=n, level=level, note=note),
            TestResult(test="t test of proportional bias", p=None, n=n, note=note),
        )
    fit = linregress(mean, d)
    half = t_quantile(level, n - 2) * float(fit.stderr)
    slope = float(fit.slope)
    test = TestResult(
        test="t test of proportional bias",
        p=float(fit.pvalue),
        n=n,
        df=n - 2,
        statistic=slope / float(fit.stderr) if fit.stderr > 0 else None,
    )
    return Estimate(value=slope, low=slope - half, high=slope + half, method=method, n=n, level=level), test
