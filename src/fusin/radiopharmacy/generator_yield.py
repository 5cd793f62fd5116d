"""Measured elution yields: efficiency with interval, trend over months, control limits, and when a minimum is reached.

Two charts. ``regression`` judges each elution against a line fitted to the others: its limits are prediction limits at the
level of three standard deviations, from Student's t, so that they hold for few elutions too, and a point never widens its
own limits. ``individuals`` is Shewhart's chart with limits at the mean plus and minus three times the mean moving range / d2.

References
----------
Mandel BJ, J Qual Technol 1 (1969) 1-9 (regression control chart).
Belsley DA, Kuh E, Welsch RE, Regression Diagnostics, Wiley 1980, section 2.1 (externally studentised residuals).
ISO 7870-2:2013, Shewhart control charts (individuals and moving range).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.provenance import jsonable
from fusin.stats.results import Estimate, TestResult

__all__ = ["MONTH_S", "Chart", "ChartKind", "Crossing", "YieldPoint", "YieldTrend", "crossing", "fit_yields", "predict"]

ChartKind = Literal["regression", "individuals"]
MONTH_S = 30.4375 * 86400.0
"""Mean month of the Gregorian calendar [s]."""

_D2 = 2.0 / math.sqrt(math.pi)  # mean range of two normal values per standard deviation, 1.128
_TWO_SIGMA, _THREE_SIGMA = math.erf(2.0 / math.sqrt(2.0)), math.erf(3.0 / math.sqrt(2.0))
_LEAST_FOR_LINE, _LEAST_FOR_LIMITS, _PROVISIONAL = 3, 4, 20
_LEAST_SPAN_S = 7 * 86400.0
_HORIZON_MONTHS = 60.0
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldPoint:
    """One measured yield.

    Attributes
    ----------
    number : of the elution
    time_s : its moment
    value : measured activity per 68Ga on the column, both at the elution
    u : standard uncertainty from the measurement alone; None when none was given
    """

    number: int
    time_s: float
    value: float
    u: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Control limits.

    Attributes
    ----------
    method : name of the chart
    centre, low, high : one for each point; None where too few others are left to judge it
    outside : numbers of the elutions beyond their limits
    warning_low, warning_high : warning limits, at the level of two standard deviations
    unusual : numbers of the elutions between warning and control limits
    note : what a reader must know
    """

    method: str
    centre: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    outside: tuple[int, ...]
    warning_low: tuple[float | None, ...] = ()
    warning_high: tuple[float | None, ...] = ()
    unusual: tuple[int, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """When the yield falls to a minimum: the line, and the limits of its confidence band.

    Attributes
    ----------
    minimum : the yield asked about
    time_s : where the line reaches it; None beyond five years
    earliest_s, latest_s : where the band of the mean reaches it; None where it does not within five years
    method : name of the interval
    """

    minimum: float
    time_s: float | None
    earliest_s: float | None
    latest_s: float | None
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldTrend:
    """Measured yields of one generator, or of generators that are eluted together.

    Attributes
    ----------
    series : name of the generator, names joined by ``+`` when pooled
    points : in order of time
    efficiency : mean yield
    latest : yield of the line at the last elution; the mean when there is no line
    slope_per_month : change of the yield per month of 30.4375 days; None without a line
    trend_test : whether the slope is 0
    chart : control limits; None for fewer than four points
    """

    series: str
    points: tuple[YieldPoint, ...]
    efficiency: Estimate
    latest: Estimate
    slope_per_month: Estimate | None
    trend_test: TestResult | None
    chart: Chart | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "series": self.series,
            "efficiency": self.efficiency.to_json(),
            "latest": self.latest.to_json(),
            "slope_per_month": self.slope_per_month.to_json() if self.slope_per_month else None,
            "trend_test": self.trend_test.to_json() if self.trend_test else None,
            "chart": self.chart.to_json() if self.chart else None,
        }


@dataclass(frozen=True, slots=True)
class _Line:
    """Least squares of yield on months since the mean time."""

    middle_s: float
    mean: float
    slope: float
    sxx: float
    s: float
    n: int

    def at(self, time_s: float) -> float:
        """Yield of the line."""
        return self.mean + self.slope * (time_s - self.middle_s) / MONTH_S

    def half_width(self, time_s: float, level: float, *, single: bool) -> float:
        """Half-width of the interval of the mean, or of a single new elution."""
        x = (time_s - self.middle_s) / MONTH_S
        inflation = (1.0 if single else 0.0) + 1.0 / self.n + (x * x / self.sxx if self.sxx else 0.0)
        return _t(level, self.n - (2 if self.sxx else 1)) * self.s * math.sqrt(inflation)


def fit_yields(
    points: Sequence[YieldPoint],
    *,
    series: str,
    chart: ChartKind = "regression",
    common_u_relative: float = 0.0,
    level: float = 0.95,
) -> YieldTrend:
    """Fit the efficiency, its trend, and control limits.

    Parameters
    ----------
    points : in order of time, at least one
    series : name for reports
    chart : kind of control limits
    common_u_relative : relative standard uncertainty that all yields share (activity of the generator, calibrator); it
        widens the interval of a yield and changes neither the trend nor the limits
    level : confidence level
    """
    ordered = tuple(sorted(points, key=lambda p: p.time_s))
    y = np.array([p.value for p in ordered])
    mean = _mean(ordered, y, common_u_relative, level)
    line = _line(ordered)
    if line is None or not line.sxx:
        return YieldTrend(series=series, points=ordered, efficiency=mean, latest=mean, slope_per_month=None,
                          trend_test=None, chart=_chart(ordered, chart))  # fmt: skip
    half = _t(level, line.n - 2) * line.s / math.sqrt(line.sxx)
    slope = Estimate(value=line.slope, low=line.slope - half, high=line.slope + half, n=line.n, level=level,
                     method="t interval of the least-squares slope")  # fmt: skip
    return YieldTrend(
        series=series, points=ordered, efficiency=mean,
        latest=predict(ordered, ordered[-1].time_s, common_u_relative=common_u_relative, single=False, level=level),
        slope_per_month=slope, trend_test=_trend_test(line), chart=_chart(ordered, chart),
    )  # fmt: skip


def predict(
    points: Sequence[YieldPoint],
    time_s: float,
    *,
    common_u_relative: float = 0.0,
    single: bool = True,
    level: float = 0.95,
) -> Estimate:
    """Yield at a time: of the line through three or more elutions, else their mean.

    Parameters
    ----------
    points : measured yields, at least one
    time_s : moment asked about
    common_u_relative : as in `fit_yields`
    single : interval of one new elution (prediction) instead of that of the mean
    level : confidence level
    """
    ordered = tuple(sorted(points, key=lambda p: p.time_s))
    line = _line(ordered)
    if line is None or line.n < 2:
        return _mean(ordered, np.array([p.value for p in ordered]), common_u_relative, level)
    value = line.at(time_s)
    half = line.half_width(time_s, level, single=single)
    what = "least-squares line" if line.sxx else "mean"
    kind = "t prediction interval" if single else "t interval"
    return _widened(value, half, common_u_relative, line.n, level, f"{kind} of the {what}")


def crossing(points: Sequence[YieldPoint], minimum: float, *, level: float = 0.95) -> Crossing | None:
    """When a falling line reaches a minimum; None without a line or when it does not fall.

    Parameters
    ----------
    points : measured yields
    minimum : yield
    level : of the band of the mean
    """
    ordered = tuple(sorted(points, key=lambda p: p.time_s))
    line = _line(ordered)
    if line is None or not line.sxx or not line.slope < 0:
        return None
    start = ordered[0].time_s

    def reached(sign: float) -> float | None:
        def gap(time_s: float) -> float:
            return line.at(time_s) + sign * line.half_width(time_s, level, single=False) - minimum

        steps = np.linspace(0.0, _HORIZON_MONTHS, 2001) * MONTH_S + start
        below = next((i for i, t in enumerate(steps) if gap(float(t)) <= 0), None)
        if below is None:
            return None
        a, b = float(steps[max(below - 1, 0)]), float(steps[below])
        for _ in range(60):
            middle = (a + b) / 2
            a, b = (a, middle) if gap(middle) <= 0 else (middle, b)
        return b

    method = f"{100 * level:g} % t band of the least-squares line"
    return Crossing(
        minimum=minimum, time_s=reached(0.0), earliest_s=reached(-1.0), latest_s=reached(1.0), method=method
    )


def _t(level: float, df: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.5 + level / 2, df))


def _line(points: Sequence[YieldPoint]) -> _Line | None:
    """Least-squares line; its slope is 0 for two points or less than a week, and the spread is that about the mean."""
    n = len(points)
    if n < 2:
        return None
    y = np.array([p.value for p in points])
    middle = points[0].time_s + float(np.mean([p.time_s - points[0].time_s for p in points]))
    x = np.array([(p.time_s - middle) / MONTH_S for p in points])
    sxx = float(x @ x) if n >= _LEAST_FOR_LINE else 0.0
    mean = float(y.mean())
    # A yield falls over months: what changes within days is scatter, and a line through it would say absurd things of later.
    sxx = sxx if points[-1].time_s - points[0].time_s >= _LEAST_SPAN_S else 0.0
    slope = float(x @ (y - mean)) / sxx if sxx else 0.0
    rest = y - mean - slope * x
    return _Line(middle, mean, slope, sxx, math.sqrt(float(rest @ rest) / (n - (2 if sxx else 1))), n)


def _mean(points: Sequence[YieldPoint], y: NDArray[np.float64], common: float, level: float) -> Estimate:
    n, value = len(y), float(y.mean())
    if n == 1:
        u = points[0].u
        if u is None and not common:
            return Estimate(value=value, low=None, high=None, n=1, level=level, method="none",
                            note="one elution without a stated uncertainty has no interval")  # fmt: skip
        from scipy import stats

        half = float(stats.norm.ppf(0.5 + level / 2)) * math.hypot(u or 0.0, common * value)
        return Estimate(value=value, low=value - half, high=value + half, n=1, level=level,
                        method="normal interval of the stated uncertainty")  # fmt: skip
    half = _t(level, n - 1) * float(y.std(ddof=1)) / math.sqrt(n)
    return _widened(value, half, common, n, level, "t interval of the mean")


def _widened(value: float, half: float, common: float, n: int, level: float, method: str) -> Estimate:
    """Estimate whose interval also holds the uncertainty that all yields share."""
    if common:
        from scipy import stats

        half = math.hypot(half, float(stats.norm.ppf(0.5 + level / 2)) * common * value)
        method += ", with the common uncertainty in quadrature"
    return Estimate(value=value, low=value - half, high=value + half, n=n, level=level, method=method)


def _trend_test(line: _Line) -> TestResult:
    from scipy import stats

    name = "t test of the least-squares slope"
    spread = line.s / math.sqrt(line.sxx)
    if not spread:
        return TestResult(test=name, p=None, n=line.n, df=line.n - 2, note="the yields lie on a line without scatter")
    t = line.slope / spread
    return TestResult(test=name, p=float(2 * stats.t.sf(abs(t), line.n - 2)), n=line.n, statistic=t, df=line.n - 2)


def _chart(points: Sequence[YieldPoint], kind: ChartKind) -> Chart | None:
    if len(points) < _LEAST_FOR_LIMITS:
        return None
    found = _individuals(points) if kind == "individuals" else _regression(points)
    outside = _beyond(points, found.low, found.high)
    unusual = tuple(k for k in _beyond(points, found.warning_low, found.warning_high) if k not in outside)
    few = f"limits from {len(points)} elutions are provisional" if len(points) < _PROVISIONAL else ""
    return replace(found, outside=outside, unusual=unusual, note=few)


def _beyond(
    points: Sequence[YieldPoint], lows: Sequence[float | None], highs: Sequence[float | None]
) -> tuple[int, ...]:
    return tuple(
        p.number
        for p, low, high in zip(points, lows, highs, strict=True)
        if low is not None and high is not None and not low - _ROUNDING <= p.value <= high + _ROUNDING
    )


def _individuals(points: Sequence[YieldPoint]) -> Chart:
    y = np.array([p.value for p in points])
    mean, sigma = float(y.mean()), float(np.abs(np.diff(y)).mean()) / _D2
    n = len(points)
    return Chart(method="individuals and moving range, 3 sigma (ISO 7870-2)", centre=(mean,) * n,
                 low=(mean - 3 * sigma,) * n, high=(mean + 3 * sigma,) * n, outside=(),
                 warning_low=(mean - 2 * sigma,) * n, warning_high=(mean + 2 * sigma,) * n)  # fmt: skip


def _regression(points: Sequence[YieldPoint]) -> Chart:
    """Each point against the prediction limits of the line through all others, by the leverages of one fit."""
    line = _line(points)
    assert line is not None
    n, fitted = line.n, 2 if line.sxx else 1
    x = np.array([(p.time_s - line.middle_s) / MONTH_S for p in points])
    y = np.array([p.value for p in points])
    leverage = x * x / line.sxx if line.sxx else np.zeros(n)
    free: NDArray[np.float64] = np.asarray(1.0 - 1.0 / n - leverage)
    rest = y - line.mean - line.slope * x
    # A point that alone decides the slope leaves others without a line; nothing can judge it.
    usable: NDArray[np.bool_] = np.asarray(free > 1e-9)
    safe = np.where(usable, free, 1.0)
    variance = np.maximum(float(rest @ rest) - rest * rest / safe, 0.0) / (n - fitted - 1)
    spread = np.sqrt(variance / safe)
    half, warning = (_t(level, n - fitted - 1) * spread for level in (_THREE_SIGMA, _TWO_SIGMA))
    centre = y - rest / safe

    def listed(values: NDArray[np.float64]) -> tuple[float | None, ...]:
        return tuple(float(v) if ok else None for v, ok in zip(values.tolist(), usable.tolist(), strict=True))

    return Chart(
        method="regression, leave-one-out prediction limits at 99.73 % (t)",
        centre=listed(centre), low=listed(centre - half), high=listed(centre + half), outside=(),
        warning_low=listed(centre - warning), warning_high=listed(centre + warning),
    )  # fmt: skip
