"""Choosing among curves by AICc, averaging over them, and the parametric bootstrap of the result.

AICc = n ln(RSS/n) + 2k + 2k(k+1)/(n-k-1), with chi^2 in place of the first term for stated uncertainties; k counts the
parameters of the curve. It has no value for n <= k + 1, so such a model is left out of the choice and can only be asked for by
name. The average is that of the time-integrated activity; its uncertainty holds that of each model and their disagreement.

References
----------
Hurvich C, Tsai C, Biometrika 1989;76:297 (AICc) · Burnham K, Anderson D, Model Selection and Multimodel Inference, Springer 2002,
4.3 (averaging, adjusted standard error) · Efron B, Tibshirani R, An Introduction to the Bootstrap, Chapman & Hall 1993, 6.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.curve_models import MODELS, minimise
from fusin.dosimetry.time_activity import (
    GUM_METHOD,
    CurveFit,
    TimeActivity,
    Weights,
    fit_curve,
    quantile_of,
    refuse_lost,
    root_weights,
)
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["Candidate", "FitChoice", "Interval", "choose_curve"]

FloatArray = NDArray[np.float64]
Interval = Literal["gum", "bootstrap"]
_LN2 = math.log(2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One model that was considered.

    Attributes
    ----------
    model : its name
    fit : the fit, None where there is none
    aicc : None where it has no value
    weight : share in the average, 0 for one that was left out
    reason : why it was left out, else empty
    """

    model: str
    fit: CurveFit | None
    aicc: float | None
    weight: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitChoice:
    """The curve of a region and its time-integrated activity.

    Attributes
    ----------
    best : the fit that is named and drawn
    candidates : all models that were considered, the best first
    tia_mbq_h : time-integrated activity, averaged where several candidates have weight
    tia_u_mbq_h : its standard uncertainty
    tail_fraction, head_fraction : shares of the integral beyond the last and before the first time
    draws : successful draws of a bootstrap, 0 without one
    """

    best: CurveFit
    candidates: tuple[Candidate, ...]
    tia_mbq_h: Estimate
    tia_u_mbq_h: float
    tail_fraction: float
    head_fraction: float
    draws: int = 0

    @property
    def averaged(self) -> bool:
        """Whether more than one model has weight."""
        return sum(c.weight > 0 for c in self.candidates) > 1


def choose_curve(
    points: TimeActivity,
    log: NoticeLog,
    *,
    half_life_h: float,
    model: str = "auto",
    weights: Weights = "none",
    average: bool = True,
    interval: Interval = "gum",
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> FitChoice:
    """Fit the model that is named, or all that AICc can compare.

    Parameters
    ----------
    points : of one region
    log : receives notices
    half_life_h : of the nuclide
    model : a name, or ``auto``
    weights : see :func:`fusin.dosimetry.time_activity.fit_curve`
    average : average the integral over the models by their Akaike weights (``auto`` only); else the best model alone
    interval : ``gum`` (propagation) or ``bootstrap`` (parametric, every draw chooses and averages again)
    level : of the interval
    resamples, seed : of the bootstrap

    Raises
    ------
    NotComputable
        ``TOO_FEW_POINTS``, ``FIT_NOT_IDENTIFIABLE``, or ``MODEL_NOT_COMPARABLE`` where AICc has no value for any model.
    """
    candidates = (
        _all(points, half_life_h, weights, log) if model == "auto" else _one(points, model, half_life_h, weights)
    )
    shares = _shares(candidates, average)
    weighed = [
        Candidate(model=c.model, fit=c.fit, aicc=c.aicc, weight=w, reason=c.reason)
        for c, w in zip(candidates, shares, strict=True)
    ]
    weighed.sort(key=lambda c: (-c.weight, c.fit is None))
    used = [c for c in weighed if c.weight > 0 and c.fit is not None]
    fits = [(c.weight, c.fit) for c in used if c.fit is not None]
    value = sum(w * f.integral_mbq_h() for w, f in fits)
    tail = sum(w * f.tail_fraction * f.integral_mbq_h() for w, f in fits) / value
    head = sum(w * f.head_fraction * f.integral_mbq_h() for w, f in fits) / value
    tia, u = _propagated(fits, value, level)
    draws = 0
    if interval == "bootstrap":
        tia, u, draws = _bootstrap(used, tia, average=average, level=level, resamples=resamples, seed=seed)
    elif interval != "gum":
        raise InputError(points.region, "interval", interval, "gum or bootstrap")
    return FitChoice(best=fits[0][1], candidates=tuple(weighed), tia_mbq_h=tia, tia_u_mbq_h=u, tail_fraction=tail,
                     head_fraction=head, draws=draws)  # fmt: skip


def _one(points: TimeActivity, model: str, half_life_h: float, weights: Weights) -> list[Candidate]:
    fit = fit_curve(points, model, half_life_h=half_life_h, weights=weights)
    refuse_lost(fit, [m.name for m in MODELS.values() if m.parameters < fit.k])
    return [Candidate(model=fit.model.name, fit=fit, aicc=fit.aicc, weight=1.0)]


def _all(points: TimeActivity, half_life_h: float, weights: Weights, log: NoticeLog) -> list[Candidate]:
    """Every model, fitted where AICc has a value."""
    found = []
    for form in MODELS.values():
        if points.n <= form.parameters + 1:
            reason = f"AICc has no value for {points.n} points and {form.parameters} parameters (n <= k + 1)"
            found.append(Candidate(model=form.name, fit=None, aicc=None, weight=0.0, reason=reason))
            continue
        fit = fit_curve(points, form, half_life_h=half_life_h, weights=weights)
        reason = f"the points do not determine {', '.join(fit.lost)}" if fit.lost else ""
        found.append(
            Candidate(model=form.name, fit=None if fit.lost else fit, aicc=fit.aicc, weight=0.0, reason=reason)
        )
    if not any(c.fit for c in found):
        _refuse_choice(points, found, weights)
    few = [c.model for c in found if "n <= k + 1" in c.reason]
    if few:
        log.info(
            "MODELS_NOT_COMPARED",
            f"AICc has no value at {points.n} points for {', '.join(few)} (n <= k + 1): not considered; --model names one",
            where=points.region,
        )
    return found


def _refuse_choice(points: TimeActivity, found: Sequence[Candidate], weights: Weights) -> None:
    spare = 0 if weights == "given" else 1
    by_name = [m.name for m in MODELS.values() if m.parameters + spare <= points.n]
    wish = f"--model {' or '.join(by_name)}, or --model map with a prior" if by_name else "--model map with a prior"
    if points.n == 1:
        wish = "--model haenscheid, madsen or map for a single time point"
    lost = [f"{c.model}: {c.reason}" for c in found if "determine" in c.reason]
    count = f"{points.n} point{'' if points.n == 1 else 's'}"
    why = (
        "; ".join(lost)
        if lost
        else f"AICc compares models with k parameters from k + 2 points on, and there {'is' if points.n == 1 else 'are'} {count}"
    )
    raise NotComputable(
        f"{points.region}: the choice of a curve",
        why,
        f"at least 4 times, or a model by name: {wish}",
        "MODEL_NOT_COMPARABLE",
    )


def _shares(candidates: Sequence[Candidate], average: bool) -> list[float]:
    """Akaike weights; all to the best one without averaging."""
    values = [c.aicc if c.fit is not None and c.aicc is not None else math.inf for c in candidates]
    if len(candidates) == 1:
        return [1.0]
    lowest = min(values)
    raw = [math.exp(-0.5 * (v - lowest)) if math.isfinite(v) else 0.0 for v in values]
    if not average:
        # Equal criteria go to the model with fewer parameters, which comes first.
        raw = [float(i == values.index(lowest)) for i in range(len(raw))]
    # A model of less than a thousandth has no say that a reader would want to follow.
    raw = [r if r >= 1e-3 * max(raw) else 0.0 for r in raw]
    return [r / sum(raw) for r in raw]


def _propagated(fits: Sequence[tuple[float, CurveFit]], value: float, level: float) -> tuple[Estimate, float]:
    """Adjusted standard error on the log scale: each model with its own Student quantile, and the spread between models."""
    z = normal_quantile(level)
    half, plain = 0.0, 0.0
    for weight, fit in fits:
        own, tia = fit.tia_u_mbq_h, fit.integral_mbq_h()
        apart = math.log(tia / value)
        half += weight * math.hypot(quantile_of(fit.df, level) * own / tia, z * apart)
        plain += weight * math.hypot(own, tia - value)
    factor = math.exp(min(half, 600.0))
    method = GUM_METHOD + (", averaged over models by AICc" if len(fits) > 1 else "")
    estimate = Estimate(value=value, low=value / factor, high=value * factor, method=method,
                        n=fits[0][1].points.n, level=level)  # fmt: skip
    return estimate, plain


def _bootstrap(
    used: Sequence[Candidate], tia: Estimate, *, average: bool, level: float, resamples: int, seed: int
) -> tuple[Estimate, float, int]:
    """Draw points around the best curve, with the scatter itself drawn from its distribution, and repeat the whole estimate."""
    best = used[0].fit
    assert best is not None
    assert tia.value is not None
    if resamples < 100:
        raise InputError(best.points.region, "resamples", resamples, "at least 100")
    if seed < 0:
        raise InputError(best.points.region, "seed", seed, "a whole number of zero or more")
    rng = np.random.default_rng(seed)
    root = root_weights(best.points, best.weights)
    curve = best.at(best.points.time_h)
    noise = rng.standard_normal((resamples, best.points.n)) / root
    if best.df is None:
        drawn = curve + noise
    else:
        # Few residuals know their variance badly: s^2 is drawn as df s^2 / chi^2, which gives Student's tails.
        variance = best.variance * best.df / rng.chisquare(best.df, resamples)
        drawn = curve + noise * np.sqrt(variance)[:, None]
    integrals, criteria = [], []
    for candidate in used:
        assert candidate.fit is not None
        integral, criterion = _refitted(candidate.fit, drawn, root)
        integrals.append(integral)
        criteria.append(criterion)
    shares = _drawn_shares(np.array(criteria), average)
    values = np.sum(shares * np.array(integrals), axis=0)
    kept = values[np.isfinite(values) & (values > 0)]
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    estimate = Estimate(
        value=tia.value, low=float(low), high=float(high), level=level, n=tia.n,
        method=f"parametric bootstrap, {kept.size} draws" + (", model averaged in each" if len(used) > 1 else ""),
    )  # fmt: skip
    deviation = (
        float(np.std(kept, ddof=1))
        if best.df is None or best.df > 2
        else float(high - low) / (2 * normal_quantile(level))
    )
    return estimate, deviation, int(kept.size)


def _refitted(fit: CurveFit, drawn: FloatArray, root: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Integrals (B,) and criteria (B,) of one model fitted to every draw."""
    again = minimise(fit.model, fit.points.time_h, drawn, root, slowest_per_h=fit.slowest_per_h, start=fit.rates_per_h)
    with np.errstate(divide="ignore", invalid="ignore"):
        integral = np.sum(again.free @ fit.model.mixing.T / again.rates_per_h, axis=1)
        n, k = fit.points.n, fit.k
        core = again.rss if fit.weights == "given" else n * np.log(np.maximum(again.rss, 1e-300) / n)
    extra = 2 * k + 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else 0.0
    return np.asarray(integral), np.asarray(core + extra)


def _drawn_shares(criteria: FloatArray, average: bool) -> FloatArray:
    if len(criteria) == 1:
        return np.ones_like(criteria)
    raw = np.exp(-0.5 * (criteria - criteria.min(axis=0)))
    if not average:
        raw = (np.arange(len(criteria))[:, None] == criteria.argmin(axis=0)).astype(float)
    return np.asarray(raw / raw.sum(axis=0))
