"""Pooling of 2x2 tables of several studies: bivariate random effects, odds ratios, heterogeneity."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import FloatArray, Record, check_level, finite, normal_quantile, same_length
from fusin.stats.random_effects import Pooled, random_effects
from fusin.stats.results import Estimate

__all__ = [
    "Bivariate",
    "Pooled",
    "bivariate",
    "diagnostic_odds_ratio",
    "pool_odds_ratios",
    "pool_proportions",
    "random_effects",
    "sroc",
]

Correct = Literal["single", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bivariate(Record):
    """Bivariate random-effects summary of sensitivity and specificity.

    Attributes
    ----------
    sensitivity, specificity : summary point, logit intervals
    odds_ratio, positive_likelihood_ratio, negative_likelihood_ratio : of the summary point, log intervals
    logit_mean : logits of sensitivity and specificity
    logit_covariance : 2x2 covariance of that mean, rows as tuples
    between : 2x2 between-study covariance of the logits
    correlation : between logit sensitivity and logit specificity; None where a variance is 0
    log_likelihood : at the estimate, restricted for REML
    confidence_region, prediction_region : points (false-positive rate, sensitivity) of the 95 % regions (or `level`)
    i2_sensitivity, i2_specificity : univariate I2 of each logit, a fraction
    studies : number of tables
    level, method : how
    note : continuity correction, boundary estimates
    """

    sensitivity: Estimate
    specificity: Estimate
    odds_ratio: Estimate
    positive_likelihood_ratio: Estimate
    negative_likelihood_ratio: Estimate
    logit_mean: tuple[float, float]
    logit_covariance: tuple[tuple[float, float], tuple[float, float]]
    between: tuple[tuple[float, float], tuple[float, float]]
    correlation: float | None
    log_likelihood: float
    confidence_region: tuple[tuple[float, float], ...]
    prediction_region: tuple[tuple[float, float], ...]
    i2_sensitivity: float | None
    i2_specificity: float | None
    studies: int
    level: float
    method: str
    note: str = ""


def _tables(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike, what: str) -> FloatArray:
    """Counts (k, 4) in the order tp, fp, fn, tn."""
    columns = {
        name: finite(np.atleast_1d(np.asarray(v)), name, what=what)
        for name, v in (("tp", tp), ("fp", fp), ("fn", fn), ("tn", tn))
    }
    same_length(what, **columns)
    table = np.column_stack(list(columns.values()))
    if (table < 0).any() or (table != np.round(table)).any():
        raise InvalidValue(what, "negative or broken counts", "integer counts", "BAD_COUNTS")
    empty = ((table[:, 0] + table[:, 2]) == 0) | ((table[:, 1] + table[:, 3]) == 0)
    if empty.any():
        row = int(np.flatnonzero(empty)[0])
        raise InvalidValue(
            what, f"table {row + 1} has no patients with, or none without, the condition", "both", "EMPTY_GROUP"
        )
    return table


def _continuity(table: FloatArray, correct: Correct) -> tuple[FloatArray, str]:
    """Add one half where a cell is empty, and say so; tables without zeros are left alone unless ``"all"``."""
    if correct not in ("single", "all"):
        raise InvalidValue("pooling", f"correction {correct!r}", "'single' or 'all'", "BAD_CORRECTION")
    zero = (table == 0).any(axis=1)
    if not zero.any():
        return table, ""
    rows = np.ones(len(table), dtype=bool) if correct == "all" else zero
    where = "all tables" if correct == "all" else f"{int(zero.sum())} of {len(table)} tables with an empty cell"
    return table + 0.5 * rows[:, None], f"continuity correction 0.5 added to each cell of {where}"


def diagnostic_odds_ratio(tp: int, fp: int, fn: int, tn: int, *, level: float = 0.95) -> Estimate:
    """Diagnostic odds ratio TP TN / (FP FN) with the Woolf interval.

    Parameters
    ----------
    tp, fp, fn, tn : counts
    level : confidence level

    Returns
    -------
    Estimate
        With an empty cell one half is added to all four (Haldane-Anscombe), and the note says so.

    References
    ----------
    Woolf, Ann Hum Genet 1955;19:251; Glas et al., J Clin Epidemiol 2003;56:1129.
    """
    z = normal_quantile(check_level(level, what="diagnostic odds ratio"))
    table, note = _continuity(_tables(tp, fp, fn, tn, "diagnostic odds ratio"), "single")
    a, b, c, d = table[0]
    centre, error = math.log(a * d / (b * c)), math.sqrt(float((1.0 / table[0]).sum()))
    low, high = math.exp(centre - z * error), math.exp(centre + z * error)
    return Estimate(
        value=math.exp(centre), low=low, high=high, method="Woolf logit", n=tp + fp + fn + tn, level=level, note=note
    )


def pool_odds_ratios(
    tp: ArrayLike,
    fp: ArrayLike,
    fn: ArrayLike,
    tn: ArrayLike,
    *,
    method: Literal["reml", "dl"] = "reml",
    knapp_hartung: bool = True,
    correct: Correct = "single",
    level: float = 0.95,
) -> Pooled:
    """Random-effects diagnostic odds ratio of several studies.

    Parameters
    ----------
    tp, fp, fn, tn : (k,) counts of the studies
    method, knapp_hartung, level : as for `random_effects`
    correct : tables that get one half when a cell is empty: only those, or all
    """
    table, note = _continuity(_tables(tp, fp, fn, tn, "pooled odds ratio"), correct)
    effects = np.log(table[:, 0] * table[:, 3] / (table[:, 1] * table[:, 2]))
    variances = (1.0 / table).sum(axis=1)
    return random_effects(
        effects, variances, method=method, knapp_hartung=knapp_hartung, level=level, back=np.exp, note=note
    )


def pool_proportions(
    k: ArrayLike,
    n: ArrayLike,
    *,
    method: Literal["reml", "dl"] = "reml",
    knapp_hartung: bool = True,
    level: float = 0.95,
) -> Pooled:
    """Random-effects mean of proportions on the logit scale; one half is added where k is 0 or n, and named.

    Parameters
    ----------
    k, n : (m,) events and totals
    method, knapp_hartung, level : as for `random_effects`
    """
    what = "pooled proportion"
    events, totals = finite(k, "k", what=what), finite(n, "n", what=what)
    same_length(what, k=events, n=totals)
    if (events < 0).any() or (events > totals).any() or (totals < 1).any():
        raise InvalidValue(what, "counts outside 0 <= k <= n", "possible counts", "BAD_COUNTS")
    table, note = _continuity(np.column_stack([events, totals - events]), "single")
    effects, variances = np.log(table[:, 0] / table[:, 1]), (1.0 / table).sum(axis=1)
    return random_effects(
        effects, variances, method=method, knapp_hartung=knapp_hartung, level=level, back=_expit, note=note
    )


def _expit(x: FloatArray) -> FloatArray:
    found: FloatArray = 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=np.float64)))
    return found


def _between(parameters: FloatArray) -> FloatArray:
    """Covariance from the entries of its Cholesky factor, so that every parameter vector is a valid one."""
    a, b, c = parameters
    return np.array([[a * a, a * b], [a * b, b * b + c * c]])


def _profile(
    parameters: FloatArray, y: FloatArray, within: FloatArray, reml: bool
) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood, mean and its covariance at a between-study covariance."""
    total = within + _between(parameters)
    precision = np.linalg.inv(total)
    information = precision.sum(axis=0)
    covariance = np.linalg.inv(information)
    mean = covariance @ np.einsum("kij,kj->i", precision, y)
    gap = y - mean
    value = -0.5 * (float(np.linalg.slogdet(total)[1].sum()) + float(np.einsum("ki,kij,kj->", gap, precision, gap)))
    size = y.size
    if reml:
        # The constant log |X'X| = 2 log k makes the value that of R's metafor.
        value += 0.5 * (2.0 * math.log(len(y)) - float(np.linalg.slogdet(information)[1]))
        size -= 2
    return value - 0.5 * size * math.log(2.0 * math.pi), mean, covariance


def _maximise(y: FloatArray, within: FloatArray, reml: bool) -> FloatArray:
    """Best Cholesky parameters from several starts; the surface has ridges where a variance is near 0."""
    from scipy.optimize import minimize

    def loss(parameters: FloatArray) -> float:
        return -_profile(parameters, y, within, reml)[0]

    spread = np.sqrt(np.maximum(y.var(axis=0, ddof=1) - within.diagonal(axis1=1, axis2=2).mean(axis=0), 0.02))
    best, lowest = np.zeros(3), math.inf
    for rho in (-0.8, 0.0, 0.8):
        start = np.array([spread[0], rho * spread[1], math.sqrt(1.0 - rho * rho) * spread[1]])
        rough = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000})
        fine = minimize(loss, rough.x, method="BFGS", options={"gtol": 1e-9})
        found = fine if fine.fun <= rough.fun else rough
        if found.fun < lowest - 1e-10:
            best, lowest = np.asarray(found.x), float(found.fun)
    return best


def _logits(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logits of sensitivity and specificity (k, 2) and their sampling covariances (k, 2, 2)."""
    a, b, c, d = table.T
    within = np.zeros((len(table), 2, 2))
    within[:, 0, 0], within[:, 1, 1] = 1.0 / a + 1.0 / c, 1.0 / b + 1.0 / d
    return np.column_stack([np.log(a / c), np.log(d / b)]), within


def _few_studies(count: int) -> str:
    return "" if count >= 5 else f"{count} studies are few for five parameters"


def bivariate(
    tp: ArrayLike,
    fp: ArrayLike,
    fn: ArrayLike,
    tn: ArrayLike,
    *,
    method: Literal["reml", "ml"] = "reml",
    correct: Correct = "single",
    level: float = 0.95,
) -> Bivariate:
    """Bivariate random-effects summary of sensitivity and specificity (Reitsma).

    Logits of sensitivity and specificity of each study are normal around a common mean with an unstructured
    between-study covariance and known within-study variances; intervals are normal on the logit scale.
    With empty cells the correction pulls rates towards one half; many of them ask for the exact binomial model, which
    this is not.

    Parameters
    ----------
    tp, fp, fn, tn : (k,) counts of the studies
    method : restricted or full maximum likelihood
    correct : tables that get one half when a cell is empty: only those, or all
    level : confidence level

    Raises
    ------
    InvalidValue
        For fewer than 3 studies or a study without patients in a class.

    References
    ----------
    Reitsma et al., J Clin Epidemiol 2005;58:982; Harbord et al., Biostatistics 2007;8:239 (regions, SROC).
    """
    what = "bivariate pooling"
    check_level(level, what=what)
    table, note = _continuity(_tables(tp, fp, fn, tn, what), correct)
    if method not in ("reml", "ml") or len(table) < 3:
        raise InvalidValue(what, f"{len(table)} studies, method {method!r}", "3 or more, 'reml' or 'ml'", "TOO_FEW")
    y, within = _logits(table)
    parameters = _maximise(y, within, method == "reml")
    value, mean, covariance = _profile(parameters, y, within, method == "reml")
    between = _between(parameters)
    correlation, edge = _correlation(between)
    name = f"bivariate normal, {method.upper()}"
    return Bivariate(
        **_summary(mean, covariance, int(table.round().sum()), level, name),
        logit_mean=(float(mean[0]), float(mean[1])),
        logit_covariance=_rows(covariance),
        between=_rows(between),
        correlation=correlation,
        log_likelihood=value,
        confidence_region=_region(mean, covariance, len(y), level),
        prediction_region=_region(mean, covariance + between, len(y), level),
        i2_sensitivity=random_effects(y[:, 0], within[:, 0, 0], method="dl").i2,
        i2_specificity=random_effects(y[:, 1], within[:, 1, 1], method="dl").i2,
        studies=len(y),
        level=level,
        method=name,
        note="; ".join(x for x in (note, edge, _few_studies(len(y))) if x),
    )


def _rows(matrix: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def _correlation(between: FloatArray) -> tuple[float | None, str]:
    scale = math.sqrt(between[0, 0] * between[1, 1])
    if scale < 1e-8:
        return None, "a between-study variance is estimated as 0"
    found = min(max(float(between[0, 1]) / scale, -1.0), 1.0)
    return found, "the between-study correlation is on its boundary" if abs(found) > 0.999 else ""


def _summary(mean: FloatArray, covariance: FloatArray, n: int, level: float, name: str) -> dict[str, Estimate]:
    """Summary point and the ratios derived from it by the delta method."""
    z = normal_quantile(level)

    def estimate(centre: float, gradient: tuple[float, float], back: Callable[[float], float]) -> Estimate:
        g = np.array(gradient)
        half = z * math.sqrt(float(g @ covariance @ g))
        low, high = back(centre - half), back(centre + half)
        return Estimate(value=back(centre), low=low, high=high, method=name, n=n, level=level)

    sens, spec = (float(x) for x in _expit(mean))
    return {
        "sensitivity": estimate(float(mean[0]), (1.0, 0.0), lambda x: 1.0 / (1.0 + math.exp(-x))),
        "specificity": estimate(float(mean[1]), (0.0, 1.0), lambda x: 1.0 / (1.0 + math.exp(-x))),
        "odds_ratio": estimate(float(mean.sum()), (1.0, 1.0), math.exp),
        "positive_likelihood_ratio": estimate(math.log(sens / (1.0 - spec)), (1.0 - sens, spec), math.exp),
        "negative_likelihood_ratio": estimate(math.log((1.0 - sens) / spec), (-sens, -(1.0 - spec)), math.exp),
    }


def _region(mean: FloatArray, covariance: FloatArray, studies: int, level: float) -> tuple[tuple[float, float], ...]:
    """Points of an ellipse on the logit scale, sized by F on 2 and k - 2 degrees of freedom (Harbord)."""
    from scipy.stats import f

    radius = math.sqrt(2.0 * float(f.isf(1.0 - level, 2, studies - 2)))
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0.0, 2.0 * np.pi, 73)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    logits = mean[:, None] + radius * vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * circle)
    sensitivity, specificity = _expit(logits)
    return tuple(zip((1.0 - specificity).tolist(), sensitivity.tolist(), strict=True))


def sroc(fit: Bivariate, false_positive_rate: ArrayLike) -> FloatArray:
    """Sensitivity on the summary ROC curve at given false-positive rates.

    Parameters
    ----------
    fit : result of `bivariate`
    false_positive_rate : (m,) values between 0 and 1, both excluded

    Returns
    -------
    (m,) array
        Sensitivities; the curve goes through the summary point.

    Raises
    ------
    InvalidValue
        Where a between-study variance is 0, so that the curve has no slope.

    References
    ----------
    Rutter and Gatsonis, Stat Med 2001;20:2865, by the equivalence of Harbord et al., Biostatistics 2007;8:239.
    """
    rates = finite(false_positive_rate, "false-positive rate", what="SROC curve")
    if (rates <= 0).any() or (rates >= 1).any():
        raise InvalidValue(
            "SROC curve", "false-positive rates of 0, 1 or outside", "values between 0 and 1", "BAD_RATE"
        )
    if fit.correlation is None:
        raise InvalidValue("SROC curve", "a between-study variance of 0", "studies that differ in both", "NO_VARIATION")
    slope = math.sqrt(fit.between[0][0] / fit.between[1][1])
    intercept = fit.logit_mean[0] + slope * fit.logit_mean[1]
    return _expit(intercept + slope * np.log(rates / (1.0 - rates)))
