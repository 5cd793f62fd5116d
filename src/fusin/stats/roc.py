"""ROC curves: areas with DeLong errors, comparisons, cut-offs with their optimism."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import BoolArray, FloatArray, Record, check_level, normal_quantile
from fusin.stats.cutoffs import CutOff, Optimism, optimism_bootstrap, sensitivity_at_specificity, youden
from fusin.stats.results import Estimate, TestResult
from fusin.stats.roc_points import OPERATORS, Operator, RocCurve, roc_curve, split_scores

__all__ = [
    "OPERATORS",
    "Auc",
    "AucMethod",
    "CutOff",
    "Operator",
    "Optimism",
    "RocCurve",
    "auc",
    "auc_from_summary",
    "compare_auc",
    "compare_auc_unpaired",
    "hanley_mcneil_variance",
    "optimism_bootstrap",
    "roc_curve",
    "sensitivity_at_specificity",
    "youden",
]

AucMethod = Literal["delong", "delong-logit", "hanley-mcneil", "newcombe"]
_METHOD_NAMES = {
    "delong": "DeLong",
    "delong-logit": "DeLong, logit-transformed",
    "hanley-mcneil": "Hanley-McNeil",
    "newcombe": "Newcombe method 5 (Hanley-McNeil variance, score-like)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Auc(Record, Estimate):
    """Area under the ROC curve; an `Estimate` with its standard error (DeLong, or as the method says) and group sizes."""

    standard_error: float | None
    positives: int
    negatives: int


def _placements(values: FloatArray, condition: BoolArray) -> tuple[float, FloatArray, FloatArray]:
    """Area and structural components by midranks, O(n log n) (Sun and Xu, IEEE Signal Process Lett 2014;21:1389)."""
    from scipy.stats import rankdata

    high, low = values[condition], values[~condition]
    m, n = len(high), len(low)
    together = rankdata(np.concatenate([high, low]))
    v10 = (together[:m] - rankdata(high)) / n
    v01 = 1.0 - (together[m:] - rankdata(low)) / m
    return float(v10.mean()), v10, v01


def _variance(components: FloatArray) -> float:
    return float(components.var(ddof=1)) / len(components) if len(components) > 1 else math.nan


def hanley_mcneil_variance(area: float, positives: float, negatives: float) -> float:
    """Variance of an area under exponential scores (Hanley and McNeil, Radiology 1982;143:29)."""
    q1, q2 = area / (2.0 - area), 2.0 * area * area / (1.0 + area)
    spread = (positives - 1) * (q1 - area * area) + (negatives - 1) * (q2 - area * area)
    return (area * (1.0 - area) + spread) / (positives * negatives)


def _newcombe_limits(area: float, positives: int, negatives: int, z: float) -> tuple[float, float]:
    """Solve |theta - area| = z sqrt(V(theta)) with the mean group size (Newcombe, Stat Med 2006;25:559, method 5)."""
    from scipy.optimize import brentq

    size = (positives + negatives) / 2.0

    def gap(theta: float) -> float:
        return (theta - area) ** 2 - z * z * _method5_variance(theta, size, positives * negatives)

    # At an area of 1 the limit itself solves the equation: the root that is wanted lies inside.
    edge = 1e-12
    low = 0.0 if area == 0.0 else float(brentq(gap, 0.0, min(area, 1.0 - edge)))
    high = 1.0 if area == 1.0 else float(brentq(gap, max(area, edge), 1.0))
    return low, high


def _method5_variance(theta: float, size: float, product: float) -> float:
    first = (size - 1) * (1 - theta) / (2 - theta)
    second = (size - 1) * theta / (1 + theta)
    return theta * (1 - theta) * (1 + first + second) / product


def _interval(area: float, error: float, method: AucMethod, level: float, m: int, n: int) -> tuple[float, float]:
    z = normal_quantile(level)
    if method == "newcombe":
        return _newcombe_limits(area, m, n, z)
    if method == "delong-logit":
        half = z * error / (area * (1.0 - area))
        centre = math.log(area / (1.0 - area))
        low, high = (1.0 / (1.0 + math.exp(-(centre + s * half))) for s in (-1, 1))
        return low, high
    return max(area - z * error, 0.0), min(area + z * error, 1.0)


def auc(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    method: AucMethod = "newcombe",
    operator: Operator = ">=",
    level: float = 0.95,
) -> Auc:
    """Area under the empirical ROC curve, ties counted half.

    Parameters
    ----------
    scores, truth, operator : as for `roc_curve`; the area is the same for ``>=`` and ``>``
    method : interval: ``"newcombe"`` (its simulated coverage with 12 and 30 findings is 94 to 97 %), ``"delong"`` (as
        pROC and most papers, cut at 0 and 1; 84 to 93 %), ``"delong-logit"`` (94 to 99 %) or ``"hanley-mcneil"``
    level : confidence level

    Returns
    -------
    Auc
        Where DeLong has no variance (area 0 or 1, or one finding in a class), the interval is Newcombe's and the method
        and note say so.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson, Biometrics 1988;44:837; Hanley and McNeil, Radiology 1982;143:29; Newcombe, Stat Med
    2006;25:559; Qin and Hotilovac, Stat Methods Med Res 2008;17:207 (logit interval).
    """
    check_level(level, what="AUC")
    if method not in _METHOD_NAMES:
        raise InvalidValue("AUC", f"method {method!r}", "one of " + ", ".join(_METHOD_NAMES), "BAD_METHOD")
    values, condition = split_scores(scores, truth, operator, what="AUC")
    area, v10, v01 = _placements(values, condition)
    m, n = len(v10), len(v01)
    variance = _variance(v10) + _variance(v01)
    if method == "hanley-mcneil":
        variance = hanley_mcneil_variance(area, m, n)
    used, note, error = method, "", math.sqrt(variance) if variance > 0 else None
    if error is None or area in (0.0, 1.0):
        error, used = None, "newcombe"
        note = f"{_METHOD_NAMES['delong' if method == 'newcombe' else method]} has no variance for this area and these groups"
    low, high = _interval(area, error or 0.0, used, level, m, n)
    return Auc(
        value=area,
        low=low,
        high=high,
        method=_METHOD_NAMES[used],
        n=m + n,
        level=level,
        note=note,
        standard_error=error,
        positives=m,
        negatives=n,
    )


def auc_from_summary(
    area: float,
    positives: int,
    negatives: int,
    *,
    method: Literal["hanley-mcneil", "newcombe", "binomial"] = "newcombe",
    level: float = 0.95,
) -> Auc:
    """Interval of a published area whose data are not at hand.

    Parameters
    ----------
    area : published area, 0 < area < 1
    positives, negatives : group sizes
    method : ``"newcombe"``, ``"hanley-mcneil"`` or ``"binomial"`` (Clopper-Pearson with the area as a proportion of all
        findings, which some programs print; it has no theory behind it and is here to recognise such intervals)
    level : confidence level
    """
    from scipy.special import betaincinv

    if not 0.0 < area < 1.0 or positives < 1 or negatives < 1:
        raise InvalidValue(
            "AUC", f"area {area:g} of {positives} and {negatives} findings", "0 < area < 1 and both groups", "BAD_AREA"
        )
    n, tail = positives + negatives, 0.5 - check_level(level, what="AUC") / 2.0
    error: float | None = math.sqrt(hanley_mcneil_variance(area, positives, negatives))
    if method == "binomial":
        hits, error = area * n, None
        low, high = (float(betaincinv(hits, n - hits + 1, tail)), float(betaincinv(hits + 1, n - hits, 1.0 - tail)))
    elif method in ("hanley-mcneil", "newcombe"):
        low, high = _interval(area, error or 0.0, method, level, positives, negatives)
    else:
        raise InvalidValue("AUC", f"method {method!r}", "'newcombe', 'hanley-mcneil' or 'binomial'", "BAD_METHOD")
    return Auc(
        value=area,
        low=low,
        high=high,
        method=_METHOD_NAMES.get(method, "binomial exact, area taken as a proportion"),
        n=n,
        level=level,
        note="from the published area and group sizes",
        standard_error=error,
        positives=positives,
        negatives=negatives,
    )


def compare_auc(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    truth: ArrayLike,
    *,
    operator_a: Operator = ">=",
    operator_b: Operator = ">=",
    level: float = 0.95,
) -> TestResult:
    """DeLong's test of two correlated areas: two indices of the same findings.

    Parameters
    ----------
    scores_a, scores_b : (n,) values of the two indices
    truth : (n,) reference
    operator_a, operator_b : what makes each index positive
    level : confidence level of the difference

    Returns
    -------
    TestResult
        ``details``: ``auc_a``, ``auc_b``, ``difference`` (an `Estimate` as a mapping), ``standard_error``, ``covariance``.
        ``p`` None where the difference has no variance.
    """
    what = "comparison of areas"
    values_a, condition = split_scores(scores_a, truth, operator_a, what=what)
    values_b, _ = split_scores(scores_b, truth, operator_b, what=what)
    if condition.sum() < 2 or (~condition).sum() < 2:
        raise InvalidValue(what, "fewer than 2 findings in a class", "2 or more in both", "TOO_FEW")
    area_a, a10, a01 = _placements(values_a, condition)
    area_b, b10, b01 = _placements(values_b, condition)
    variance = _variance(a10 - b10) + _variance(a01 - b01)
    covariance = float(np.cov(a10, b10)[0, 1]) / len(a10) + float(np.cov(a01, b01)[0, 1]) / len(a01)
    extra = {"auc_a": area_a, "auc_b": area_b, "covariance": covariance}
    return _difference_test(
        "DeLong test of two correlated areas", area_a - area_b, variance, len(condition), level, extra
    )


def compare_auc_unpaired(
    scores_a: ArrayLike,
    truth_a: ArrayLike,
    scores_b: ArrayLike,
    truth_b: ArrayLike,
    *,
    operator_a: Operator = ">=",
    operator_b: Operator = ">=",
    level: float = 0.95,
) -> TestResult:
    """Normal test of two independent areas with DeLong variances (two cohorts, or two tracers in different patients).

    Parameters
    ----------
    scores_a, truth_a, scores_b, truth_b : values and references of the two cohorts
    operator_a, operator_b : what makes each index positive
    level : confidence level of the difference
    """
    what = "comparison of areas"
    area_a, a10, a01 = _placements(*split_scores(scores_a, truth_a, operator_a, what=what))
    area_b, b10, b01 = _placements(*split_scores(scores_b, truth_b, operator_b, what=what))
    variance = _variance(a10) + _variance(a01) + _variance(b10) + _variance(b01)
    n = len(a10) + len(a01) + len(b10) + len(b01)
    extra = {"auc_a": area_a, "auc_b": area_b}
    return _difference_test(
        "normal test of two independent areas, DeLong variances", area_a - area_b, variance, n, level, extra
    )


def _difference_test(
    test: str, difference: float, variance: float, n: int, level: float, extra: dict[str, float]
) -> TestResult:
    from scipy.stats import norm

    z = normal_quantile(check_level(level, what="comparison of areas"))
    if not variance > 1e-15:
        note = "the difference has no variance"
        estimate = Estimate(value=difference, low=None, high=None, method=test, n=n, level=level, note=note)
        return TestResult(test=test, p=None, n=n, note=note, details={**extra, "difference": estimate.to_json()})
    error = math.sqrt(variance)
    estimate = Estimate(
        value=difference, low=difference - z * error, high=difference + z * error, method=test, n=n, level=level
    )
    details = {**extra, "standard_error": error, "difference": estimate.to_json()}
    statistic = difference / error
    return TestResult(test=test, p=float(2 * norm.sf(abs(statistic))), statistic=statistic, n=n, details=details)
