"""Tests of two measurements on the same units: detection by two tracers, paired SUV, paired stages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from fusin.errors import Unsupported
from fusin.stats.checks import FloatArray, IntArray, counts_table, normal_quantile, paired_samples, whole_number
from fusin.stats.effects import EffectTest
from fusin.stats.exact import (
    Alternative,
    check_alternative,
    doubled_ranks,
    signed_rank_distribution,
    tail_probability,
    walsh_order_statistics,
)
from fusin.stats.results import Estimate, TestResult

__all__ = [
    "McNemar",
    "ZeroMethod",
    "bowker",
    "mcnemar",
    "paired_t",
    "sign_test",
    "stuart_maxwell",
    "wilcoxon_signed_rank",
]

ZeroMethod = Literal["pratt", "wilcox", "zsplit"]

EXACT_PAIRS = 400  # exact distribution in about 0.1 s; the normal approximation is good to three digits far below it


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """The four McNemar tests of one table, and the one to quote.

    Attributes
    ----------
    b, c : units positive by the first method only and by the second only
    exact : exact conditional (binomial) test; never above its level and conservative
    mid_p : exact test with half the probability of the observed table
    chi2_corrected : chi2 with Edwards' continuity correction, which SPSS and much of the literature print
    chi2 : chi2 without correction, McNemar's own
    default : the test to quote; the mid-p test at every size
    """

    b: int
    c: int
    exact: TestResult
    mid_p: TestResult
    chi2_corrected: TestResult
    chi2: TestResult
    default: TestResult

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        tests = {name: getattr(self, name).to_json() for name in self.__slots__ if name not in {"b", "c"}}
        return {"b": self.b, "c": self.c, **tests}


def mcnemar(b: int, c: int) -> McNemar:
    """Compare two methods on the same units by their discordant units.

    The default is the mid-p test whatever the size. Fagerland, Lydersen and Laake (BMC Med Res Methodol 2013;13:91)
    enumerated 9595 situations: the mid-p test never exceeded its level, the exact conditional and the
    continuity-corrected test did well in none, and the uncorrected chi2 exceeded its level often, if slightly.
    One test for all sizes also avoids the jump that a switch at 25 discordant pairs makes. The exact test is there
    for readers who need a guarantee.

    Parameters
    ----------
    b : units positive by the first method only
    c : units positive by the second method only

    Returns
    -------
    McNemar; with no discordant unit the exact and mid-p value is 1 and chi2 has no value. For b = c the mid-p value is
    1: nothing favours either side (Fagerland prints ``1 - P(b)/2`` there, which would give 0.5 without any discordance).

    Raises
    ------
    InvalidValue
        For negative or fractional counts.
    """
    b = whole_number(b, "first only", what="McNemar test")
    c = whole_number(c, "second only", what="McNemar test")
    n, fewer = b + c, min(b, c)
    tail = float(special.bdtr(fewer, n, 0.5))
    beyond = float(special.bdtr(fewer - 1, n, 0.5)) if fewer else 0.0
    none = "no discordant units" if n == 0 else ""
    exact = TestResult(test="McNemar exact conditional", p=min(1.0, 2.0 * tail), n=n, note=none)
    mid_note = none or "recommended by Fagerland 2013; not guaranteed to keep its level"
    mid_p = TestResult(test="McNemar mid-p", p=1.0 if b == c else tail + beyond, n=n, note=mid_note)
    corrected = _mcnemar_chi2("McNemar chi2 with continuity correction", max(abs(b - c) - 1, 0), n)
    plain = _mcnemar_chi2("McNemar chi2 without continuity correction", abs(b - c), n)
    return McNemar(b=b, c=c, exact=exact, mid_p=mid_p, chi2_corrected=corrected, chi2=plain, default=mid_p)


def _mcnemar_chi2(name: str, excess: int, n: int) -> TestResult:
    """Chi2 with one degree of freedom from the excess of one kind of discordance."""
    if n == 0:
        return TestResult(test=name, p=None, n=0, df=1, note="no discordant units: chi2 is 0/0")
    chi2 = excess * excess / n
    note = "fewer than 25 discordant units: prefer the mid-p or exact test" if n < 25 else ""
    return TestResult(test=name, p=float(special.chdtrc(1, chi2)), n=n, statistic=chi2, df=1, note=note)


def sign_test(plus: int, minus: int, *, ties: int = 0, alternative: Alternative = "two-sided") -> TestResult:
    """Exact sign test: are increases as frequent as decreases?

    Parameters
    ----------
    plus, minus : units that went up and down
    ties : units that stayed; they are left out, as usual, and counted in the note
    alternative : ``greater`` asks whether plus prevails

    Returns
    -------
    TestResult; p = 1 when nothing changed.
    """
    what = "sign test"
    check_alternative(alternative, what=what)
    plus = whole_number(plus, "plus", what=what)
    minus = whole_number(minus, "minus", what=what)
    ties = whole_number(ties, "ties", what=what)
    n = plus + minus
    extreme = {"two-sided": min(plus, minus), "greater": minus, "less": plus}[alternative]
    tail = float(special.bdtr(extreme, n, 0.5))
    p = min(1.0, 2.0 * tail) if alternative == "two-sided" else tail
    note = f"{ties} units without change left out" if ties else ""
    return TestResult(
        test="sign test, exact binomial", p=p, n=n, statistic=float(plus), alternative=alternative, note=note
    )


def wilcoxon_signed_rank(
    x: ArrayLike,
    y: ArrayLike,
    *,
    zero: ZeroMethod = "pratt",
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> EffectTest:
    """Wilcoxon signed-rank test of paired samples, exact up to 400 pairs even with ties and zeros.

    The exact p is the share of all 2**n sign patterns of the non-zero differences whose rank sum is at least as far out;
    it equals the tabulated one without ties. Beyond 400 pairs the normal approximation with tie and continuity
    correction is used and named.

    Parameters
    ----------
    x, y : (n,) arrays in the same unit, unit by unit; the test is about x - y
    zero : ``pratt`` (default) ranks all differences and drops the ranks of zeros; ``wilcox`` drops zeros before ranking;
        ``zsplit`` ranks as Pratt and gives half of the zero ranks to either side, which shifts the statistic
        and leaves p as Pratt's
    alternative : ``greater`` asks whether x exceeds y
    level : confidence level of the effect

    Returns
    -------
    EffectTest whose effect is the Hodges-Lehmann pseudomedian of x - y; its interval inverts the untied test, so that ties
    make it wider than needed, never narrower. There is none when so few pairs cannot reach the level (n < 6 for 95 %).

    Raises
    ------
    InvalidValue, MissingValue
        For unequal lengths and for missing or infinite values.
    """
    what = "Wilcoxon signed-rank test"
    check_alternative(alternative, what=what)
    if zero not in {"pratt", "wilcox", "zsplit"}:
        raise Unsupported(what, f"treatment of zeros is {zero!r}", "pratt, wilcox or zsplit")
    first, second = paired_samples(x, y, what=what)
    differences, scale = _differences(first, second)
    effect = _pseudomedian(differences, level)
    kept = differences if zero != "wilcox" else differences[differences != 0.0]
    nonzero = kept != 0.0
    n, zeros = int(np.count_nonzero(nonzero)), int(np.count_nonzero(differences == 0.0))
    ranks2 = doubled_ranks(np.abs(kept), scale=scale) if kept.size else np.zeros(0, dtype=np.int64)
    signed2, plus2 = ranks2[nonzero], int(ranks2[kept > 0.0].sum())
    p, how = _signed_rank_p(signed2, plus2, alternative)
    given_away = float(ranks2[~nonzero].sum()) / 4.0 if zero == "zsplit" else 0.0
    notes = [f"{zeros} zero differences ({zero})"] if zeros else []
    if np.unique(signed2).size < n:
        notes.append("tied ranks")
    if n == 0:
        notes = ["all differences are zero"]
    return EffectTest(
        test=f"Wilcoxon signed-rank, {how}, zeros: {zero}", p=p, n=n, statistic=plus2 / 2.0 + given_away,
        alternative=alternative, note="; ".join(notes), effect=effect,
        details={"zeros": zeros, "positive": int(np.count_nonzero(differences > 0.0))},
    )  # fmt: skip


def _differences(first: FloatArray, second: FloatArray) -> tuple[FloatArray, float]:
    """Differences with rounding noise set to zero, and the size of the measured numbers."""
    differences = first - second
    scale = float(max(np.max(np.abs(first), initial=0.0), np.max(np.abs(second), initial=0.0)))
    # 1e-11 of the values is below any measurement; without it 0.3 - 0.1 and 0.2 would count as different.
    differences[np.abs(differences) <= 1e-11 * scale] = 0.0
    return differences, scale


def _signed_rank_p(ranks2: IntArray, plus2: int, alternative: Alternative) -> tuple[float, str]:
    """P value of the doubled positive rank sum, and how it was had."""
    if ranks2.size <= EXACT_PAIRS:
        return tail_probability(signed_rank_distribution(ranks2), plus2, alternative), "exact"
    ranks = ranks2 / 2.0
    deviation = plus2 / 2.0 - ranks.sum() / 2.0
    return _normal_p(deviation, math.sqrt(float(ranks @ ranks) / 4.0), alternative), (
        "normal approximation with continuity correction"
    )


def _normal_p(deviation: float, spread: float, alternative: Alternative) -> float:
    """Normal tail of a statistic in steps of one, moved by half a step towards the mean."""
    if alternative == "two-sided":
        return min(1.0, 2.0 * float(special.ndtr(-max(abs(deviation) - 0.5, 0.0) / spread)))
    outward = deviation if alternative == "greater" else -deviation
    return float(special.ndtr(-(outward - 0.5) / spread))


def _pseudomedian(differences: FloatArray, level: float) -> Estimate:
    """Hodges-Lehmann estimate with the interval that inverts the signed-rank test."""
    n, name = differences.size, "Hodges-Lehmann, inverted signed-rank test"
    z = normal_quantile(level)
    if n == 0:
        return Estimate(value=None, low=None, high=None, method=name, n=0, level=level, note="no pairs")
    pairs = n * (n + 1) // 2
    order, reached = _signed_rank_order(n, level, z)
    middle = [(pairs + 1) // 2, pairs // 2 + 1]
    if order == 0:
        value = float(walsh_order_statistics(differences, middle).mean())
        most = 1.0 - 2.0 ** (1 - n)
        note = f"{n} pairs cannot give a {level:.0%} interval (at most {most:.1%})"
        return Estimate(value=value, low=None, high=None, method=name, n=n, level=level, note=note)
    found = walsh_order_statistics(differences, [*middle, order, pairs + 1 - order])
    note = f"exact level {reached:.1%}" if reached is not None else "normal approximation of the limits"
    return Estimate(
        value=float(found[:2].mean()),
        low=float(found[2]),
        high=float(found[3]),
        method=name,
        n=n,
        level=level,
        note=note,
    )


def _signed_rank_order(n: int, level: float, z: float) -> tuple[int, float | None]:
    """Order (from 1) of the Walsh average that is the low limit, 0 for none; and the level it has exactly."""
    if n <= EXACT_PAIRS:
        chances = signed_rank_distribution(np.arange(1, n + 1, dtype=np.int64))
        below = np.cumsum(chances)
        # order = number of whole rank sums that lie in the tail, so that P(W < order) stays within it.
        order = int(np.count_nonzero(below <= (1.0 - level) / 2.0 * (1.0 + 1e-12)))
        return order, 1.0 - 2.0 * float(below[order - 1]) if order else None
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
    return math.floor(n * (n + 1) / 4.0 - z * spread), None


def paired_t(x: ArrayLike, y: ArrayLike, *, alternative: Alternative = "two-sided", level: float = 0.95) -> EffectTest:
    """Paired t test of x - y with the mean difference and its interval.

    Parameters
    ----------
    x, y : (n,) arrays in the same unit, unit by unit
    alternative : ``greater`` asks whether x exceeds y
    level : confidence level of the mean difference (always two-sided)

    Returns
    -------
    EffectTest; p and interval are None for fewer than two pairs, p is None when all differences are equal.
    """
    what = "paired t test"
    check_alternative(alternative, what=what)
    first, second = paired_samples(x, y, what=what)
    normal_quantile(level)
    differences, _ = _differences(first, second)
    n = differences.size
    mean = float(differences.mean()) if n else None
    name = "t distribution of the mean difference"
    if n < 2 or mean is None:
        why = f"{n} pairs: no standard deviation"
        effect = Estimate(value=mean, low=None, high=None, method=name, n=n, level=level, note=why)
        return EffectTest(test=what, p=None, n=n, alternative=alternative, note=why, effect=effect)
    sd = float(differences.std(ddof=1))
    if sd <= 1e-11 * max(abs(mean), float(np.abs(first).max())):
        why = "all differences are equal: no spread to test against"
        effect = Estimate(value=mean, low=None, high=None, method=name, n=n, level=level, note=why)
        return EffectTest(test=what, p=None, n=n, df=n - 1, alternative=alternative, note=why, effect=effect)
    error = sd / math.sqrt(n)
    t, half = mean / error, float(special.stdtrit(n - 1, 0.5 + level / 2.0)) * error
    effect = Estimate(value=mean, low=mean - half, high=mean + half, method=name, n=n, level=level)
    tails = {"two-sided": 2.0 * special.stdtr(n - 1, -abs(t)), "greater": special.stdtr(n - 1, -t)}
    p = float(tails[alternative] if alternative != "less" else special.stdtr(n - 1, t))
    return EffectTest(
        test=what, p=p, n=n, statistic=t, df=n - 1, alternative=alternative, effect=effect, details={"sd": sd}
    )


def bowker(table: ArrayLike) -> TestResult:
    """Bowker's test of symmetry of a square table (same categories twice on the same units).

    Parameters
    ----------
    table : (k, k) counts, rows by the first and columns by the second method

    Returns
    -------
    TestResult with one degree of freedom per pair of categories that holds discordant units; pairs without any
    carry no information and are left out (R's mcnemar.test gives NaN there). For k = 2 it is the uncorrected McNemar chi2.
    """
    counts = counts_table(table, what="Bowker test", square=True)
    upper = np.triu_indices(counts.shape[0], k=1)
    one, other = counts[upper], counts.T[upper]
    informative = one + other > 0
    n, df = int(counts.sum()), int(np.count_nonzero(informative))
    name = "Bowker test of symmetry"
    if df == 0:
        return TestResult(test=name, p=None, n=n, df=0, note="no discordant units")
    one, other = one[informative], other[informative]
    chi2 = float(((one - other) ** 2 / (one + other)).sum())
    left_out = informative.size - df
    notes = [f"{left_out} pairs of categories without discordance left out"] if left_out else []
    if int((one + other).min()) < 10:
        notes.append("fewer than 10 discordant units in a pair of categories: the chi2 approximation is doubtful")
    return TestResult(test=name, p=float(special.chdtrc(df, chi2)), n=n, statistic=chi2, df=df, note="; ".join(notes))


def stuart_maxwell(table: ArrayLike) -> TestResult:
    """Stuart-Maxwell test of marginal homogeneity: do both methods use the categories equally often?

    Parameters
    ----------
    table : (k, k) counts, rows by the first and columns by the second method

    Returns
    -------
    TestResult; the degrees of freedom are the rank of the covariance matrix, k - 1 unless categories are unused or
    never confused with the others. For k = 2 it is the uncorrected McNemar chi2.

    References
    ----------
    Stuart, Biometrika 1955;42:412 · Maxwell, Br J Psychiatry 1970;116:651.
    """
    counts = counts_table(table, what="Stuart-Maxwell test", square=True)
    n, name = int(counts.sum()), "Stuart-Maxwell test of marginal homogeneity"
    discordant = counts - np.diag(np.diag(counts))
    if not discordant.any():
        return TestResult(test=name, p=None, n=n, df=0, note="no discordant units")
    excess = (discordant.sum(axis=1) - discordant.sum(axis=0)).astype(np.float64)
    both = (discordant + discordant.T).astype(np.float64)
    covariance = np.diag(both.sum(axis=1)) - both
    # One null direction per set of connected categories; the pseudo-inverse needs no choice of a category to drop.
    df = int(np.linalg.matrix_rank(covariance))
    chi2 = float(excess @ np.linalg.pinv(covariance) @ excess)
    note = f"rank {df} of {counts.shape[0] - 1}" if df < counts.shape[0] - 1 else ""
    return TestResult(test=name, p=float(special.chdtrc(df, chi2)), n=n, statistic=chi2, df=df, note=note)
