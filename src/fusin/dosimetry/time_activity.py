"""Time-activity curves: weighted fits of sums of exponentials, their covariance, and the time-integrated activity.

::

    from fusin.dosimetry.time_activity import fit_curve, time_activity

    curve = time_activity("kidney", [4, 24, 72, 144], [98.0, 75.0, 37.0, 12.0])
    fit = fit_curve(curve, "mono", half_life_h=159.528)
    print(fit.tia_mbq_h())

Intervals hold for the logarithm of a positive quantity: value * exp(+-t u / value), with u by first-order propagation of the
covariance s^2 (X'X)^-1 and Student's t for n - k degrees of freedom; with stated uncertainties s is 1 and t is the normal quantile.

References
----------
Siegel J et al., J Nucl Med 1999;40:37S (MIRD pamphlet 16) · JCGM 100:2008, 5.2 · Gear J et al., Eur J Nucl Med Mol Imaging
2018;45:2456 (uncertainty of a dose).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.dosimetry.curve_models import CurveModel, curve_model, minimise
from fusin.errors import InputError, NotComputable
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = [
    "GUM_METHOD",
    "CurveFit",
    "TimeActivity",
    "Weights",
    "fit_curve",
    "log_interval",
    "quantile_of",
    "refuse_lost",
    "root_weights",
    "time_activity",
    "widened",
]

FloatArray = NDArray[np.float64]
Weights = Literal["none", "relative", "given"]
GUM_METHOD = "first-order propagation of the fit, on the log scale"
_LN2 = math.log(2.0)
# A curve that misses its points by less than this share of them goes through them.
_EXACT = 1e-9
_SINGULAR = 1e-8
_EQUAL_RATES = 1.02
# A rate that moves no point by a millionth of the highest one was not measured.
_TRACE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeActivity:
    """Activities of one region.

    Attributes
    ----------
    region : its name
    time_h : (n,) hours after administration, increasing
    activity_mbq : (n,) activity at that time, not decay-corrected
    uncertainty_mbq : (n,) standard uncertainties, or None
    """

    region: str
    time_h: FloatArray
    activity_mbq: FloatArray
    uncertainty_mbq: FloatArray | None = None

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.time_h.size)


def time_activity(
    region: str, time_h: ArrayLike, activity_mbq: ArrayLike, uncertainty_mbq: ArrayLike | None = None
) -> TimeActivity:
    """Check and sort the points of one region.

    Parameters
    ----------
    region : name, for messages
    time_h : hours after administration
    activity_mbq : activity at these times, not decay-corrected
    uncertainty_mbq : standard uncertainties

    Raises
    ------
    InputError
        For unequal lengths, no point, values that are not finite, a negative or repeated time, an activity or uncertainty that
        is not positive.
    """
    columns = {"time_h": time_h, "activity_mbq": activity_mbq}
    if uncertainty_mbq is not None:
        columns["uncertainty_mbq"] = uncertainty_mbq
    arrays: dict[str, FloatArray] = {}
    for name, given in columns.items():
        array = np.atleast_1d(np.asarray(given, dtype=np.float64)).copy()
        size = arrays["time_h"].size if arrays else array.size
        if array.ndim != 1 or array.size != size or not array.size:
            raise InputError(region, name, f"shape {array.shape}", f"{size or 'some'} values, one per time")
        if not np.isfinite(array).all():
            raise InputError(region, name, float(array[~np.isfinite(array)][0]), "finite numbers")
        least = 0.0 if name == "time_h" else math.ulp(0.0)
        if (array < least).any():
            needed = "hours after administration, zero or more" if name == "time_h" else "positive numbers"
            raise InputError(region, name, float(array.min()), needed)
        arrays[name] = array
    order = np.argsort(arrays["time_h"], kind="stable")
    arrays = {name: array[order] for name, array in arrays.items()}
    twice = np.flatnonzero(np.diff(arrays["time_h"]) == 0)
    if twice.size:
        raise InputError(region, "time_h", float(arrays["time_h"][twice[0]]), "each time once")
    for array in arrays.values():
        array.setflags(write=False)
    return TimeActivity(
        region=region, time_h=arrays["time_h"], activity_mbq=arrays["activity_mbq"],
        uncertainty_mbq=arrays.get("uncertainty_mbq"),
    )  # fmt: skip


def root_weights(curve: TimeActivity, weights: Weights) -> FloatArray:
    """Square roots of the weights: 1, 1/activity or 1/uncertainty.

    Raises
    ------
    InputError
        For weights that need uncertainties where there are none, and other words.
    """
    if weights == "none":
        return np.ones(curve.n)
    if weights == "relative":
        return np.asarray(1.0 / curve.activity_mbq)
    if weights != "given":
        raise InputError(curve.region, "weights", weights, "none, relative or given")
    if curve.uncertainty_mbq is None:
        raise InputError(curve.region, "weights", "given", "a column uncertainty_mbq with a value in every row")
    return np.asarray(1.0 / curve.uncertainty_mbq)


def quantile_of(df: int | None, level: float) -> float:
    """Two-sided quantile: Student's t, or the normal one where the scatter is known (None)."""
    if df is None:
        return normal_quantile(level)
    from scipy.special import stdtrit

    normal_quantile(level)
    return float(stdtrit(df, 0.5 + level / 2.0))


def log_interval(
    value: float, u: float, *, quantile: float, level: float, method: str, n: int, note: str = ""
) -> Estimate:
    """A positive quantity with an interval that is symmetric on the log scale."""
    factor = math.exp(min(quantile * u / value, 600.0)) if value > 0 else math.nan
    ok = math.isfinite(factor)
    return Estimate(value=value, low=value / factor if ok else None, high=value * factor if ok else None,
                    method=method, n=n, level=level, note=note)  # fmt: skip


def widened(estimate: Estimate, relative_u: float, *, scale: float = 1.0, method: str = "") -> Estimate:
    """A positive estimate times a factor that has a relative standard uncertainty of its own.

    The half-widths add in quadrature on the log scale, that of the factor as a lognormal one.

    Parameters
    ----------
    estimate : with or without an interval
    relative_u : relative standard uncertainty of the factor
    scale : the factor
    method : how the interval came about; that of the estimate when empty
    """
    value, low, high = estimate.value, estimate.low, estimate.high
    shared = normal_quantile(estimate.level) * math.sqrt(math.log1p(relative_u**2))
    named = method or estimate.method
    if value is None or low is None or high is None or low <= 0:
        return replace(estimate, value=None if value is None else scale * value, low=None, high=None, method=named)
    return replace(
        estimate, value=scale * value, low=scale * value * math.exp(-math.hypot(math.log(value / low), shared)),
        high=scale * value * math.exp(math.hypot(math.log(high / value), shared)), method=named,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveFit:
    """A fitted curve.

    Attributes
    ----------
    model : its form
    points : what was fitted
    weights : of the points
    half_life_h : of the nuclide
    rates_per_h : (r,) increasing
    amplitudes_mbq : (r,) of the exponentials
    free_mbq : (m,) free amplitudes, see ``CurveModel.mixing``
    covariance : (k, k) of the rates and the free amplitudes
    variance : s^2 of a point of weight 1; 1 for stated uncertainties
    df : degrees of freedom, None for stated uncertainties
    rss : weighted sum of squared residuals
    lost : names of parameters that the points do not determine
    """

    model: CurveModel
    points: TimeActivity
    weights: Weights
    half_life_h: float
    rates_per_h: FloatArray
    amplitudes_mbq: FloatArray
    free_mbq: FloatArray
    covariance: FloatArray
    variance: float
    df: int | None
    rss: float
    lost: tuple[str, ...]

    @property
    def k(self) -> int:
        """Number of parameters."""
        return self.model.parameters

    @property
    def slowest_per_h(self) -> float:
        """Decay constant of the nuclide [1/h]."""
        return _LN2 / self.half_life_h

    @property
    def at_physical_decay(self) -> bool:
        """Whether the slowest component was held at physical decay."""
        return bool(self.rates_per_h[0] <= self.slowest_per_h * (1 + 1e-9))

    @property
    def exact(self) -> bool:
        """Whether the curve goes through all points, so that its scatter says nothing."""
        size = float(np.sum((root_weights(self.points, self.weights) * self.points.activity_mbq) ** 2))
        return self.rss <= _EXACT**2 * size

    @property
    def aicc(self) -> float | None:
        """Akaike's criterion with the correction for few points; None for n <= k + 1."""
        n, k = self.points.n, self.k
        if n <= k + 1:
            return None
        if self.weights == "given":
            core = self.rss
        else:
            size = float(np.sum((root_weights(self.points, self.weights) * self.points.activity_mbq) ** 2))
            core = n * math.log(max(self.rss, _EXACT**2 * size) / n)
        return core + 2 * k + 2 * k * (k + 1) / (n - k - 1)

    @property
    def parameters(self) -> dict[str, float]:
        """Rates and amplitudes of the exponentials by name."""
        rates = {f"lambda_{j + 1}_per_h": float(v) for j, v in enumerate(self.rates_per_h)}
        return rates | {f"a_{j + 1}_mbq": float(v) for j, v in enumerate(self.amplitudes_mbq)}

    @property
    def parameter_u(self) -> dict[str, float]:
        """Standard uncertainties of the parameters by name."""
        r, mixing = self.model.rates, self.model.mixing
        of_amplitudes = mixing @ self.covariance[r:, r:] @ mixing.T
        variances = np.concatenate([np.diag(self.covariance)[:r], np.diag(of_amplitudes)])
        return dict(zip(self.parameters, np.sqrt(np.maximum(variances, 0.0)).tolist(), strict=True))

    def at(self, time_h: ArrayLike) -> FloatArray:
        """Fitted activity [MBq] at times [h]."""
        t = np.atleast_1d(np.asarray(time_h, dtype=np.float64))
        return np.asarray(self.model.exponentials(t, self.rates_per_h) @ self.amplitudes_mbq)

    def slopes(self, time_h: ArrayLike) -> FloatArray:
        """Derivatives (n, k) of the curve by rates and free amplitudes."""
        t = np.atleast_1d(np.asarray(time_h, dtype=np.float64))
        decays = self.model.exponentials(t, self.rates_per_h)
        return np.hstack([-t[:, None] * decays * self.amplitudes_mbq, decays @ self.model.mixing])

    def band(self, time_h: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Curve with the limits of its pointwise confidence band [MBq]."""
        mid, slopes = self.at(time_h), self.slopes(time_h)
        u = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", slopes, self.covariance, slopes), 0.0))
        half = quantile_of(self.df, level) * u
        return mid, mid - half, mid + half

    def integral_mbq_h(self, start_h: float = 0.0, end_h: float = math.inf) -> float:
        """Integral of the curve between two times [MBq h]."""
        ends = np.exp(-self.rates_per_h * start_h) - np.exp(-self.rates_per_h * end_h)
        return float(np.sum(self.amplitudes_mbq / self.rates_per_h * ends))

    @property
    def tia_gradient(self) -> FloatArray:
        """Derivatives (k,) of the integral to infinity by rates and free amplitudes."""
        by_rates = -self.amplitudes_mbq / self.rates_per_h**2
        return np.concatenate([by_rates, self.model.mixing.T @ (1.0 / self.rates_per_h)])

    @property
    def tia_u_mbq_h(self) -> float:
        """Standard uncertainty of the time-integrated activity [MBq h]."""
        g = self.tia_gradient
        return float(math.sqrt(max(float(g @ self.covariance @ g), 0.0)))

    def tia_mbq_h(self, level: float = 0.95) -> Estimate:
        """Time-integrated activity from 0 to infinity with its interval [MBq h]."""
        return log_interval(self.integral_mbq_h(), self.tia_u_mbq_h, quantile=quantile_of(self.df, level), level=level,
                            method=GUM_METHOD, n=self.points.n)  # fmt: skip

    def half_life_effective_h(self, level: float = 0.95) -> Estimate:
        """Effective half-life of the slowest component with its interval [h]."""
        rate, u = float(self.rates_per_h[0]), float(math.sqrt(max(float(self.covariance[0, 0]), 0.0)))
        value = _LN2 / rate
        note = "held at physical decay" if self.at_physical_decay else ""
        return log_interval(value, value * u / rate, quantile=quantile_of(self.df, level), level=level,
                            method=GUM_METHOD, n=self.points.n, note=note)  # fmt: skip

    @property
    def tail_fraction(self) -> float:
        """Share of the integral beyond the last time."""
        return self.integral_mbq_h(float(self.points.time_h[-1])) / self.integral_mbq_h()

    @property
    def head_fraction(self) -> float:
        """Share of the integral before the first time."""
        return self.integral_mbq_h(0.0, float(self.points.time_h[0])) / self.integral_mbq_h()


def fit_curve(
    points: TimeActivity, model: str | CurveModel, *, half_life_h: float, weights: Weights = "none"
) -> CurveFit:
    """Fit one model by weighted least squares; no component decays slower than the nuclide.

    Parameters
    ----------
    points : of one region
    model : ``mono``, ``uptake-bi``, ``bi`` or ``tri``
    half_life_h : physical half-life [h]
    weights : ``none``, ``relative`` (1/activity^2) or ``given`` (1/uncertainty^2, taken as they are)

    Returns
    -------
    CurveFit; ``lost`` names parameters that the points do not determine, and the caller decides what that means.

    Raises
    ------
    NotComputable
        ``TOO_FEW_POINTS`` for as few points as parameters (fewer, where uncertainties are given).
    """
    form = curve_model(model) if isinstance(model, str) else model
    _refuse_few(points, form, weights)
    root = root_weights(points, weights)
    slowest = _LN2 / half_life_h
    found = minimise(form, points.time_h, points.activity_mbq, root, slowest_per_h=slowest)
    rates, free = _ordered(form, found.rates_per_h[0], found.free[0])
    amplitudes = form.mixing @ free
    decays = form.exponentials(points.time_h, rates)
    slopes = np.hstack([-points.time_h[:, None] * decays * amplitudes, decays @ form.mixing]) * root[:, None]
    residual = (points.activity_mbq - decays @ amplitudes) * root
    rss = float(residual @ residual)
    df = points.n - form.parameters
    variance = 1.0 if weights == "given" else rss / df
    lost = _lost(form, rates, free, slopes, float((points.activity_mbq * root).max()))
    covariance = np.full((form.parameters,) * 2, math.nan) if lost else variance * _inverse(slopes)
    return CurveFit(
        model=form, points=points, weights=weights, half_life_h=half_life_h, rates_per_h=rates,
        amplitudes_mbq=amplitudes, free_mbq=free, covariance=covariance, variance=variance,
        df=None if weights == "given" else df, rss=rss, lost=lost,
    )  # fmt: skip


def _refuse_few(points: TimeActivity, form: CurveModel, weights: Weights) -> None:
    needed = form.parameters + (0 if weights == "given" else 1)
    if points.n >= needed:
        return
    count = f"{points.n} point{'' if points.n == 1 else 's'}"
    why = "" if points.n < form.parameters else " and their scatter"
    raise NotComputable(
        f"{points.region}: the {form.name} curve",
        f"{count} cannot determine its {form.parameters} parameters{why}",
        f"at least {needed} times, {_instead(points, form, weights)}",
        "TOO_FEW_POINTS",
    )


def _instead(points: TimeActivity, form: CurveModel, weights: Weights) -> str:
    """The simpler model that these points determine, or the methods that use prior knowledge."""
    from fusin.dosimetry.curve_models import MODELS

    spare = 0 if weights == "given" else 1
    simpler = [m.name for m in MODELS.values() if m.parameters < form.parameters and m.parameters + spare <= points.n]
    by_name = f"the simpler model {simpler[-1]}" if simpler else "one parameter less"
    prior = "prior knowledge (--model map" + (", madsen or haenscheid)" if points.n == 1 else ")")
    return f"{by_name}, or {prior}" if simpler else f"or {prior}"


def _ordered(form: CurveModel, rates: FloatArray, free: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rates from slow to fast with the free amplitudes that go with them."""
    order = np.argsort(rates, kind="stable")
    if (order == np.arange(rates.size)).all():
        return rates, free
    amplitudes = (form.mixing @ free)[order]
    return rates[order], np.asarray(np.linalg.lstsq(form.mixing, amplitudes, rcond=None)[0])


def _lost(form: CurveModel, rates: FloatArray, free: FloatArray, slopes: FloatArray, highest: float) -> tuple[str, ...]:
    """Parameters that the points leave open."""
    names = [f"lambda_{j + 1}_per_h" for j in range(form.rates)]
    # What a change of the rate by its own size would do to the curve, at the point where it does most.
    trace = rates * np.abs(slopes[:, : form.rates]).max(axis=0)
    lost = {names[j] for j in range(form.rates) if trace[j] <= _TRACE * highest}
    for j in range(form.rates - 1):
        if rates[j + 1] <= rates[j] * _EQUAL_RATES:
            lost |= {names[j], names[j + 1]}
    if not lost:
        scale = np.sqrt(np.sum(slopes**2, axis=0))
        if not (scale > 0).all():
            return tuple(n for n, s in zip(names, scale.tolist(), strict=False) if not s > 0)
        _, singular, vectors = np.linalg.svd(slopes / scale, full_matrices=False)
        if singular[-1] <= _SINGULAR * singular[0] or singular.size < form.parameters:
            lost = {n for n, v in zip(names, vectors[-1], strict=False) if abs(v) > 0.1} or set(names)
    return tuple(sorted(lost))


def _inverse(slopes: FloatArray) -> FloatArray:
    """(X'X)^-1 from a QR decomposition of the scaled columns."""
    scale = np.sqrt(np.sum(slopes**2, axis=0))
    triangle = np.linalg.qr(slopes / scale, mode="r")
    inverse = np.linalg.inv(triangle)
    return np.asarray((inverse @ inverse.T) / np.outer(scale, scale))


def refuse_lost(fit: CurveFit, simpler: Sequence[str]) -> None:
    """Refuse a fit whose parameters the points do not determine, by their names.

    Raises
    ------
    NotComputable
        ``FIT_NOT_IDENTIFIABLE``.
    """
    if fit.lost:
        raise NotComputable(
            f"{fit.points.region}: the {fit.model.name} curve",
            f"its {fit.points.n} points do not determine {', '.join(fit.lost)}",
            f"scans in the phase that is missing, or a simpler model: {', '.join(simpler) or 'map'}",
            "FIT_NOT_IDENTIFIABLE",
        )
