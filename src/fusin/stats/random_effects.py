"""Random-effects mean of study estimates with heterogeneity and prediction interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import FloatArray, Record, check_level, finite, normal_quantile, same_length, t_quantile
from fusin.stats.results import Estimate, TestResult

__all__ = ["Pooled", "random_effects"]

_NAMES = {"reml": "REML", "dl": "DerSimonian-Laird"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled(Record, Estimate):
    """Random-effects mean; an `Estimate` with ``n`` studies.

    Attributes
    ----------
    standard_error : on the scale of the effects that were pooled
    tau2 : between-study variance on that scale
    i2 : fraction of the variation that is between studies; None for one study
    heterogeneity : Cochran's Q test
    prediction_low, prediction_high : where the effect of a new study is expected; None for fewer than 3 studies
    """

    standard_error: float
    tau2: float
    i2: float | None
    heterogeneity: TestResult
    prediction_low: float | None
    prediction_high: float | None


def _same(x: FloatArray) -> FloatArray:
    return x


def _tau2_dl(y: FloatArray, v: FloatArray) -> float:
    w = 1.0 / v
    q = float((w * (y - (w @ y) / w.sum()) ** 2).sum())
    return max(0.0, (q - (len(y) - 1)) / float(w.sum() - (w @ w) / w.sum()))


def _tau2_reml(y: FloatArray, v: FloatArray) -> float:
    """Maximum of the restricted likelihood over tau2 >= 0, which may have several stationary points."""
    from scipy.optimize import minimize_scalar

    def loss(tau2: float) -> float:
        w = 1.0 / (v + tau2)
        mean = float(w @ y) / float(w.sum())
        return 0.5 * float(np.log(v + tau2).sum() + math.log(w.sum()) + (w * (y - mean) ** 2).sum())

    top = 10.0 * float(y.var()) + float(v.max())
    grid = np.concatenate([[0.0], np.geomspace(1e-6 * top, top, 60)])
    best = int(np.argmin([loss(float(t)) for t in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 60)])
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    return float(found.x) if found.fun < loss(0.0) else 0.0


def _effects(effects: ArrayLike, variances: ArrayLike, method: str) -> tuple[FloatArray, FloatArray]:
    """Checked effects and variances."""
    what = "random-effects mean"
    y, v = finite(effects, "effects", what=what), finite(variances, "variances", what=what)
    k = same_length(what, effects=y, variances=v)
    if (v <= 0).any() or k < 2 or method not in ("reml", "dl"):
        found = f"{k} studies, method {method!r}"
        raise InvalidValue(what, found, "2 or more, variances above 0, 'reml' or 'dl'", "BAD_INPUT")
    return y, v


def random_effects(
    effects: ArrayLike,
    variances: ArrayLike,
    *,
    method: Literal["reml", "dl"] = "reml",
    knapp_hartung: bool = True,
    level: float = 0.95,
    back: Callable[[FloatArray], Any] = _same,
    note: str = "",
) -> Pooled:
    """Random-effects mean of study estimates.

    Parameters
    ----------
    effects, variances : (k,) estimates on an additive scale (logits, log odds ratios) and their sampling variances
    method : between-study variance by REML or DerSimonian-Laird
    knapp_hartung : t interval with the Knapp-Hartung variance, else a normal interval
    level : confidence level
    back, note : turns the pooled effect and its limits to the scale of the answer; a note for the result

    Returns
    -------
    Pooled
        ``i2`` is the share of tau2 in the total for a typical study; for DerSimonian-Laird it equals (Q - df)/Q.

    References
    ----------
    DerSimonian and Laird, Control Clin Trials 1986;7:177; Knapp and Hartung, Stat Med 2003;22:2693; Higgins and Thompson,
    Stat Med 2002;21:1539; Higgins et al., J R Stat Soc A 2009;172:137 (prediction).
    """
    from scipy.stats import chi2

    y, v = _effects(effects, variances, method)
    check_level(level, what="random-effects mean")
    k, fixed = len(y), 1.0 / v
    q = float((fixed * (y - (fixed @ y) / fixed.sum()) ** 2).sum())
    tau2 = _tau2_reml(y, v) if method == "reml" else _tau2_dl(y, v)
    w = 1.0 / (v + tau2)
    mean, error = float(w @ y) / float(w.sum()), 1.0 / math.sqrt(float(w.sum()))
    quantile = t_quantile(level, k - 1) if knapp_hartung else normal_quantile(level)
    if knapp_hartung:
        error *= math.sqrt(float((w * (y - mean) ** 2).sum()) / (k - 1))
    typical = (k - 1) * float(fixed.sum()) / float(fixed.sum() ** 2 - (fixed**2).sum())
    spread = quantile * math.sqrt(tau2 + error**2)
    ends = back(np.array([mean, mean - quantile * error, mean + quantile * error, mean - spread, mean + spread]))
    return Pooled(
        value=float(ends[0]),
        low=float(ends[1]),
        high=float(ends[2]),
        method=f"random effects, {_NAMES[method]}, {'Knapp-Hartung t' if knapp_hartung else 'normal'} interval",
        n=k,
        level=level,
        note=note,
        standard_error=error,
        tau2=tau2,
        i2=tau2 / (tau2 + typical),
        heterogeneity=TestResult(test="Cochran Q", p=float(chi2.sf(q, k - 1)), statistic=q, df=k - 1, n=k),
        prediction_low=float(ends[3]) if k >= 3 else None,
        prediction_high=float(ends[4]) if k >= 3 else None,
    )
