"""Tests between independent groups and correlations, each with its effect and interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from fusin.errors import InvalidValue
from fusin.provenance import jsonable
from fusin.stats.checks import FloatArray, IntArray, counts_table, normal_quantile, paired_samples, sample, whole_number
from fusin.stats.effects import EffectTest
from fusin.stats.exact import (
    Alternative,
    check_alternative,
    difference_order_statistics,
    doubled_ranks,
    product_sum_distribution,
    rank_sum_distribution,
    tail_probability,
)
from fusin.stats.results import Estimate, TestResult

__all__ = [
    "Summary",
    "chi2_test",
    "fisher_exact",
    "kruskal_wallis",
    "mann_whitney",
    "pearson",
    "spearman",
    "student_t",
    "summary",
    "summary_t",
    "welch_t",
]

EXACT_WORK = 30_000_000  # additions for an exact rank-sum distribution: about 0.1 s, 40 against 40 fits
EXACT_SPEARMAN = 12  # the pairings are counted by subsets, 2**12 of them in about 0.2 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a paper prints of a sample: mean, standard deviation and size.

    Attributes
    ----------
    mean : mean
    sd : sample standard deviation (n - 1)
    n : number of units
    """

    mean: float
    sd: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def fisher_exact(table: ArrayLike, *, alternative: Alternative = "two-sided", level: float = 0.95) -> EffectTest:
    """Fisher's exact test of a 2x2 table with the conditional odds ratio and its exact interval.

    Parameters
    ----------
    table : ((a, b), (c, d)), rows are groups, columns event and no event
    alternative : ``greater`` asks whether the odds are higher in the first row; two-sided p sums all tables that are no
        likelier than the observed one, as R's fisher.test does
    level : confidence level of the odds ratio (always two-sided)

    Returns
    -------
    EffectTest; the effect is the conditional maximum-likelihood odds ratio with the interval of Cornfield and Fisher,
    which never covers less than nominally and on average more (98.8 % with 12, 97.9 % with 30 units per group). With
    a zero cell the odds ratio is 0 or unbounded (None); with an empty row or column there is none and p = 1.

    Raises
    ------
    InvalidValue
        For tables that are not 2x2.
    """
    from scipy import stats
    from scipy.stats import contingency

    what = "Fisher exact test"
    check_alternative(alternative, what=what)
    normal_quantile(level)
    counts = counts_table(table, what=what)
    if counts.shape != (2, 2):
        raise InvalidValue(what, f"table of shape {counts.shape}", "a 2x2 table; chi2_test takes larger ones")
    n, name = int(counts.sum()), "conditional odds ratio, exact (Fisher-Cornfield)"
    p = min(1.0, float(stats.fisher_exact(counts, alternative=alternative).pvalue))
    if 0 in counts.sum(axis=0) or 0 in counts.sum(axis=1):
        why = "an empty row or column: no odds ratio"
        effect = Estimate(value=None, low=None, high=None, method=name, n=n, level=level, note=why)
        return EffectTest(test=what, p=1.0, n=n, alternative=alternative, note=why, effect=effect)
    ratio = contingency.odds_ratio(counts)
    limits = ratio.confidence_interval(level)
    value, high = float(ratio.statistic), float(limits.high)
    unbounded = math.isinf(high)
    effect = Estimate(
        value=None if math.isinf(value) else value,
        low=float(limits.low),
        high=None if unbounded else high,
        method=name, n=n, level=level, note="unbounded above: a zero cell" if unbounded else "",
    )  # fmt: skip
    (a, b), (c, d) = counts.tolist()
    details = {"sample_odds_ratio": a * d / (b * c) if b * c else None}
    return EffectTest(test=what, p=p, n=n, alternative=alternative, effect=effect, details=details)


def chi2_test(table: ArrayLike, *, correction: bool = False) -> TestResult:
    """Pearson's chi2 test of independence.

    Parameters
    ----------
    table : (rows, columns) counts of independent units
    correction : Yates' continuity correction, for 2x2 tables only; off by default, named in the result

    Returns
    -------
    TestResult with Cramer's V and the smallest expected count in ``details``; a note where Cochran's rule (no expected
    count below 1, at most a fifth below 5) fails. No p with an empty row or column.

    Raises
    ------
    InvalidValue
        When the correction is asked for on a table that is not 2x2.
    """
    what = "chi2 test"
    counts = counts_table(table, what=what)
    if correction and counts.shape != (2, 2):
        raise InvalidValue(what, f"Yates' correction of a table of shape {counts.shape}", "a 2x2 table")
    n = int(counts.sum())
    name = "chi2 with Yates' continuity correction" if correction else "chi2 without continuity correction"
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    df = (rows.size - 1) * (columns.size - 1)
    if 0 in rows or 0 in columns:
        return TestResult(test=name, p=None, n=n, df=df, note="an empty row or column")
    expected = np.outer(rows, columns) / n
    distance = np.abs(counts - expected)
    if correction:
        distance = np.maximum(distance - 0.5, 0.0)
    chi2 = float((distance**2 / expected).sum())
    sparse = expected.min() < 1.0 or np.mean(expected < 5.0) > 0.2
    note = f"smallest expected count {expected.min():.2g}: prefer an exact test" if sparse else ""
    return TestResult(
        test=name, p=float(special.chdtrc(df, chi2)), n=n, statistic=chi2, df=df, note=note,
        details={"cramers_v": math.sqrt(chi2 / (n * (min(counts.shape) - 1))), "smallest_expected": float(expected.min())},
    )  # fmt: skip


def mann_whitney(
    x: ArrayLike, y: ArrayLike, *, alternative: Alternative = "two-sided", level: float = 0.95
) -> EffectTest:
    """Mann-Whitney (Wilcoxon rank-sum) test, exact for small samples even with ties.

    The exact p is taken over all ways to deal the observed ranks to the two groups; two-sided counts rank sums at least
    as far from their mean. Larger samples (from about 40 against 40) use the normal approximation with tie and
    continuity correction, and the name says so.

    Parameters
    ----------
    x, y : (m,) and (n,) arrays in the same unit
    alternative : ``greater`` asks whether x is the larger
    level : confidence level of the shift

    Returns
    -------
    EffectTest; the statistic is U of x, the effect the Hodges-Lehmann shift x - y with the interval that inverts the
    untied test (wider than needed with ties), and ``details`` holds the probability that x exceeds y (the AUC).
    p is None when a group is empty.
    """
    what = "Mann-Whitney test"
    check_alternative(alternative, what=what)
    first, second = sample(x, "the first group", what=what), sample(y, "the second group", what=what)
    m, n = first.size, second.size
    effect = _shift(first, second, level)
    if 0 in {m, n}:
        return EffectTest(test=what, p=None, n=m + n, alternative=alternative, note="one group is empty", effect=effect)
    ranks2 = doubled_ranks(np.concatenate([first, second]))
    sum2 = int(ranks2[:m].sum())
    p, how = _rank_sum_p(ranks2, m, sum2, alternative)
    u = sum2 / 2.0 - m * (m + 1) / 2.0
    return EffectTest(
        test=f"{what}, {how}", p=p, n=m + n, statistic=u, alternative=alternative, effect=effect,
        note="tied ranks" if np.unique(ranks2).size < m + n else "", details={"superiority": u / (m * n)},
    )  # fmt: skip


def _rank_sum_p(ranks2: IntArray, m: int, sum2: int, alternative: Alternative) -> tuple[float, str]:
    """P value of the first group's doubled rank sum, and how it was had."""
    total2, size = int(ranks2.sum()), ranks2.size
    n = size - m
    if size * min(m, n) * total2 / 2 <= EXACT_WORK:
        if m <= n:
            return tail_probability(rank_sum_distribution(ranks2, m), sum2, alternative), "exact"
        mirrored: dict[str, Alternative] = {"two-sided": "two-sided", "less": "greater", "greater": "less"}
        other = rank_sum_distribution(ranks2, n)
        return tail_probability(other, total2 - sum2, mirrored[alternative]), "exact"
    centred = ranks2 / 2.0 - (size + 1) / 2.0
    spread = math.sqrt(m * n / (size * (size - 1)) * float(centred @ centred))
    how = "normal approximation with continuity correction"
    if spread == 0.0:
        return 1.0, how
    deviation = sum2 / 2.0 - m * (size + 1) / 2.0
    if alternative == "two-sided":
        return min(1.0, 2.0 * float(special.ndtr(-max(abs(deviation) - 0.5, 0.0) / spread))), how
    outward = deviation if alternative == "greater" else -deviation
    return float(special.ndtr(-(outward - 0.5) / spread)), how


def _shift(first: FloatArray, second: FloatArray, level: float) -> Estimate:
    """Hodges-Lehmann shift with the interval that inverts the rank-sum test."""
    m, n, name = first.size, second.size, "Hodges-Lehmann shift, inverted Mann-Whitney test"
    z = normal_quantile(level)
    if 0 in {m, n}:
        return Estimate(value=None, low=None, high=None, method=name, n=m + n, level=level, note="one group is empty")
    ranks2 = 2 * np.arange(1, m + n + 1, dtype=np.int64)
    fewer = min(m, n)
    reached = None
    if (m + n) * fewer * int(ranks2.sum()) / 2 <= EXACT_WORK:
        lowest = fewer * (fewer + 1) // 2
        below = np.cumsum(rank_sum_distribution(ranks2 // 2, fewer)[lowest:])
        order = int(np.count_nonzero(below <= (1.0 - level) / 2.0 * (1.0 + 1e-12)))
        reached = 1.0 - 2.0 * float(below[order - 1]) if order else None
    else:
        order = math.floor(m * n / 2.0 - z * math.sqrt(m * n * (m + n + 1) / 12.0))
    middle = [(m * n + 1) // 2, m * n // 2 + 1]
    if order == 0:
        value = float(difference_order_statistics(first, second, middle).mean())
        note = f"{m} and {n} values cannot give a {level:.0%} interval"
        return Estimate(value=value, low=None, high=None, method=name, n=m + n, level=level, note=note)
    found = difference_order_statistics(first, second, [*middle, order, m * n + 1 - order])
    note = f"exact level {reached:.1%}" if reached is not None else "normal approximation of the limits"
    return Estimate(
        value=float(found[:2].mean()), low=float(found[2]), high=float(found[3]), method=name, n=m + n, level=level,
        note=note,
    )  # fmt: skip


def kruskal_wallis(groups: Sequence[ArrayLike]) -> TestResult:
    """Kruskal-Wallis test of several groups, tie-corrected, by its chi2 approximation.

    Parameters
    ----------
    groups : one array per group

    Returns
    -------
    TestResult; a note where a group has fewer than five values, p None when all values are equal or a group is empty.

    Raises
    ------
    InvalidValue
        For fewer than two groups.
    """
    what = "Kruskal-Wallis test"
    if len(groups) < 2:
        raise InvalidValue(what, f"{len(groups)} group", "two or more groups")
    samples = [sample(values, f"group {index}", what=what) for index, values in enumerate(groups, start=1)]
    sizes = np.array([values.size for values in samples])
    n, df = int(sizes.sum()), len(samples) - 1
    if 0 in sizes:
        return TestResult(test=what, p=None, n=n, df=df, note="an empty group")
    ranks = doubled_ranks(np.concatenate(samples)) / 2.0
    centred = ranks - (n + 1) / 2.0
    total = float(centred @ centred)
    if total == 0.0:
        return TestResult(test=what, p=None, n=n, df=df, note="all values are equal")
    sums = np.add.reduceat(centred, np.concatenate([[0], np.cumsum(sizes)[:-1]]))
    h = (n - 1) * float((sums**2 / sizes).sum()) / total
    note = "a group has fewer than 5 values: the chi2 approximation is doubtful" if sizes.min() < 5 else ""
    return TestResult(
        test=f"{what}, chi2 approximation", p=float(special.chdtrc(df, h)), n=n, statistic=h, df=df, note=note
    )


def summary(values: ArrayLike) -> Summary:
    """Mean, standard deviation and size of a sample of at least two values.

    Raises
    ------
    InvalidValue
        For fewer than two values.
    """
    array = sample(values, "the sample", what="standard deviation")
    if array.size < 2:
        raise InvalidValue("standard deviation", f"{array.size} values", "two or more values")
    return Summary(mean=float(array.mean()), sd=float(array.std(ddof=1)), n=array.size)


def student_t(x: ArrayLike, y: ArrayLike, *, alternative: Alternative = "two-sided", level: float = 0.95) -> EffectTest:
    """Student's t test of two independent samples (equal variances assumed); the effect is the mean difference x - y."""
    return summary_t(summary(x), summary(y), equal_variances=True, alternative=alternative, level=level)


def welch_t(x: ArrayLike, y: ArrayLike, *, alternative: Alternative = "two-sided", level: float = 0.95) -> EffectTest:
    """Welch's t test of two independent samples (variances may differ); the effect is the mean difference x - y."""
    return summary_t(summary(x), summary(y), equal_variances=False, alternative=alternative, level=level)


def summary_t(
    first: Summary,
    second: Summary,
    *,
    equal_variances: bool = False,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> EffectTest:
    """Two-sample t test from means and standard deviations, as papers print them.

    Parameters
    ----------
    first, second : the two samples
    equal_variances : Student's test with pooled variance; otherwise Welch's with Satterthwaite's degrees of freedom
    alternative : ``greater`` asks whether the first mean is the larger
    level : confidence level of the mean difference (always two-sided)

    Returns
    -------
    EffectTest; p is None when neither sample has any spread.

    Raises
    ------
    InvalidValue
        For samples of fewer than two units or a negative standard deviation.
    """
    what = "Student t test (equal variances)" if equal_variances else "Welch t test"
    check_alternative(alternative, what=what)
    normal_quantile(level)
    for one in (first, second):
        whole_number(one.n, "sample size", what=what, at_least=2)
        if not (math.isfinite(one.mean) and one.sd >= 0.0 and math.isfinite(one.sd)):
            raise InvalidValue(what, f"mean {one.mean} and SD {one.sd}", "a finite mean and an SD of at least 0")
    n1, n2 = first.n, second.n
    difference, n = first.mean - second.mean, n1 + n2
    name = "t distribution of the mean difference"
    if first.sd <= 1e-13 * abs(first.mean) and second.sd <= 1e-13 * abs(second.mean):
        why = "no spread in either sample"
        effect = Estimate(value=difference, low=None, high=None, method=name, n=n, level=level, note=why)
        return EffectTest(test=what, p=None, n=n, alternative=alternative, note=why, effect=effect)
    if equal_variances:
        df = float(n - 2)
        error = math.sqrt(((n1 - 1) * first.sd**2 + (n2 - 1) * second.sd**2) / df * (1.0 / n1 + 1.0 / n2))
    else:
        v1, v2 = first.sd**2 / n1, second.sd**2 / n2
        error = math.sqrt(v1 + v2)
        df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    t, half = difference / error, float(special.stdtrit(df, 0.5 + level / 2.0)) * error
    effect = Estimate(value=difference, low=difference - half, high=difference + half, method=name, n=n, level=level)
    p = _t_tail(t, df, alternative)
    return EffectTest(test=what, p=p, n=n, statistic=t, df=df, alternative=alternative, effect=effect)


def _t_tail(t: float, df: float, alternative: Alternative) -> float:
    """P value of a t statistic."""
    if alternative == "two-sided":
        return float(2.0 * special.stdtr(df, -abs(t)))
    return float(special.stdtr(df, -t if alternative == "greater" else t))


def spearman(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> EffectTest:
    """Spearman's rank correlation, exact up to 12 units even with ties, with the interval of Bonett and Wright.

    Parameters
    ----------
    x, y : (n,) arrays, unit by unit
    level : confidence level

    Returns
    -------
    EffectTest; the interval is Fisher's z with standard error sqrt((1 + rho**2 / 2) / (n - 3)) (Bonett, Wright,
    Psychometrika 2000;65:23) and is None for n < 4 and for rho = -1 or 1. Above 12 units p comes from t with n - 2 degrees
    of freedom. No correlation when a variable is constant.
    """
    first, second = paired_samples(x, y, what="Spearman correlation")
    n = first.size
    ranks1, ranks2 = doubled_ranks(first), doubled_ranks(second)

    def p_value(rho: float) -> tuple[float | None, str]:
        if n <= EXACT_SPEARMAN:
            return _exact_spearman(ranks1, ranks2), "exact"
        return _correlation_t(rho, n), "t approximation"

    return _correlation(
        "Spearman rank correlation", "Bonett-Wright", ranks1 / 2.0, ranks2 / 2.0, level, p_value, inflation=0.5
    )


def _exact_spearman(ranks1: IntArray, ranks2: IntArray) -> float:
    """Share of all pairings of the ranks whose sum of products is at least as far from its mean."""
    # A common factor of the ranks (2 without ties) makes the table of possible sums shorter and changes nothing else.
    short1 = ranks1 // max(int(np.gcd.reduce(ranks1)), 1)
    short2 = ranks2 // max(int(np.gcd.reduce(ranks2)), 1)
    return tail_probability(product_sum_distribution(short1, short2), int(short1 @ short2), "two-sided")


def pearson(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> EffectTest:
    """Pearson's correlation with the t test and Fisher's z interval.

    Parameters
    ----------
    x, y : (n,) arrays, unit by unit
    level : confidence level

    Returns
    -------
    EffectTest; no interval for n < 4 and for r = -1 or 1, no correlation when a variable is constant.
    """
    first, second = paired_samples(x, y, what="Pearson correlation")

    def p_value(r: float) -> tuple[float | None, str]:
        return _correlation_t(r, first.size), "t test"

    return _correlation("Pearson correlation", "Fisher z", first, second, level, p_value, inflation=0.0)


def _correlation(
    name: str,
    method: str,
    first: FloatArray,
    second: FloatArray,
    level: float,
    p_value: Callable[[float], tuple[float | None, str]],
    *,
    inflation: float,
) -> EffectTest:
    """Correlation with its z interval; ``inflation`` times r squared widens the variance of z."""
    n, z = first.size, normal_quantile(level)
    constant = n < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0
    if constant:
        why = f"{n} units" if n < 2 else "a variable is constant"
        effect = Estimate(value=None, low=None, high=None, method=method, n=n, level=level, note=why)
        return EffectTest(test=name, p=None, n=n, note=why, effect=effect)
    r = max(-1.0, min(1.0, float(np.corrcoef(first, second)[0, 1])))
    exactly_one = 1.0 - abs(r) < 1e-14
    p, how = p_value(r)
    why = f"{n} units give no interval" if n < 4 else ("perfect correlation gives no interval" if exactly_one else "")
    if why:
        effect = Estimate(value=r, low=None, high=None, method=method, n=n, level=level, note=why)
    else:
        half = z * math.sqrt((1.0 + inflation * r * r) / (n - 3))
        low, high = math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
        effect = Estimate(value=r, low=low, high=high, method=method, n=n, level=level)
    return EffectTest(test=f"{name}, {how}", p=p, n=n, statistic=r, effect=effect)


def _correlation_t(r: float, n: int) -> float | None:
    """Two-sided p of a correlation by t with n - 2 degrees of freedom."""
    if n < 3:
        return None
    if abs(r) == 1.0:
        return 0.0
    return _t_tail(r * math.sqrt((n - 2) / (1.0 - r * r)), n - 2, "two-sided")
