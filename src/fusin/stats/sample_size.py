"""How many patients a comparison of two tracers or an accuracy study needs, and the power that it then has.

Formulas give the size that papers quote; the power beside it is enumerated over all outcomes, so that it belongs to the
test that will be used and not to its normal approximation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special, stats

from fusin.errors import InvalidValue, NotComputable, Unsupported
from fusin.provenance import jsonable
from fusin.stats.checks import FloatArray, normal_quantile, whole_number
from fusin.stats.proportions import ProportionMethod, proportion

__all__ = [
    "AccuracySize",
    "McNemarSize",
    "McNemarVariant",
    "accuracy_power",
    "accuracy_sample_size",
    "expected_half_width",
    "mcnemar_power",
    "mcnemar_sample_size",
]

McNemarVariant = Literal["mid-p", "exact", "chi2", "chi2-corrected"]

LARGEST = 20_000  # pairs; beyond it enumeration takes minutes and the formulas are exact enough


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemarSize:
    """Number of units for a McNemar comparison.

    Attributes
    ----------
    n : smallest size from which the enumerated power no longer falls below the target
    power : enumerated power at ``n``
    test : McNemar variant that the power belongs to
    connor : size by Connor's formula
    miettinen : size by Miettinen's formula
    target : power asked for
    alpha : two-sided level
    """

    n: int
    power: float
    test: str
    connor: int
    miettinen: int
    target: float
    alpha: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracySize:
    """Number of patients for intervals of a given half-width around sensitivity and specificity.

    Attributes
    ----------
    n : patients to recruit so that both intervals are as narrow as asked
    n_for_sensitivity, n_for_specificity : patients to recruit for either alone
    with_condition, without_condition : patients of either kind that the intervals need
    half_width : half-width asked for
    prevalence : expected share of patients with the condition
    level : confidence level
    method : formula
    wilson_half_widths : expected half-widths of the Wilson intervals at these sizes, enumerated
    """

    n: int
    n_for_sensitivity: int
    n_for_specificity: int
    with_condition: int
    without_condition: int
    half_width: float
    prevalence: float
    level: float
    method: str
    wilson_half_widths: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def _share(value: float, name: str, what: str) -> float:
    """Return a probability strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise InvalidValue(what, f"{name} is {value}", "a value between 0 and 1 (0.9, not 90)")
    return float(value)


def _discordance(first_only: float, second_only: float, what: str) -> tuple[float, float]:
    """Share of discordant units and the difference, both checked."""
    if not (0.0 <= first_only <= 1.0 and 0.0 <= second_only <= 1.0 and first_only + second_only <= 1.0):
        raise InvalidValue(what, f"shares {first_only} and {second_only}", "shares from 0 to 1 that sum to at most 1")
    return first_only + second_only, first_only - second_only


def mcnemar_sample_size(
    first_only: float,
    second_only: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    test: McNemarVariant = "mid-p",
) -> McNemarSize:
    """Number of patients to compare two methods in by a McNemar test.

    Parameters
    ----------
    first_only, second_only : expected shares of patients positive by one method only
    power : power asked for
    alpha : two-sided level
    test : McNemar variant that will be used

    Returns
    -------
    McNemarSize; power by enumeration rises and falls by single patients, so ``n`` is the size after the last fall.

    Raises
    ------
    InvalidValue
        For shares outside 0-1 and for equal shares, which no size can tell apart.
    NotComputable
        When more than 20 000 patients would be needed.

    References
    ----------
    Connor, Biometrics 1987;43:207 · Miettinen, Biometrics 1968;24:339.
    """
    what = "sample size of a McNemar comparison"
    discordant, difference = _discordance(first_only, second_only, what)
    _share(power, "power", what)
    _share(alpha, "alpha", what)
    if difference == 0.0:
        raise InvalidValue(what, "both shares are equal", "shares that differ")
    connor, miettinen = _formulas(discordant, difference, power, alpha)
    most = math.ceil(1.4 * max(connor, miettinen)) + 40
    if most > LARGEST:
        raise NotComputable(what, f"about {connor:.0f} patients are needed", "a larger difference", "SAMPLE_TOO_LARGE")
    rejected = _rejection(most, discordant, difference, alpha, test)
    n, reached = most, _mcnemar_power(most, discordant, rejected)
    while n > 1:
        before = _mcnemar_power(n - 1, discordant, rejected)
        if before < power:
            break
        n, reached = n - 1, before
    return McNemarSize(
        n=n,
        power=reached,
        test=test,
        connor=math.ceil(connor),
        miettinen=math.ceil(miettinen),
        target=power,
        alpha=alpha,
    )


def _formulas(discordant: float, difference: float, power: float, alpha: float) -> tuple[float, float]:
    """Sizes by Connor's and Miettinen's normal approximations, before rounding up."""
    za, zb = normal_quantile(1.0 - alpha), float(special.ndtri(power))
    gap = difference * difference
    connor = (za * math.sqrt(discordant) + zb * math.sqrt(max(discordant - gap, 0.0))) ** 2 / gap
    inner = max(discordant**2 - gap * (3.0 + discordant) / 4.0, 0.0)
    return connor, (za * discordant + zb * math.sqrt(inner)) ** 2 / (discordant * gap)


def mcnemar_power(
    n: int, first_only: float, second_only: float, *, alpha: float = 0.05, test: McNemarVariant = "mid-p"
) -> float:
    """Power of a McNemar test by enumeration of all numbers of discordant patients and their splits.

    Parameters
    ----------
    n : patients
    first_only, second_only : true shares of patients positive by one method only; equal shares give the size of the test
    alpha : two-sided level
    test : McNemar variant

    Returns
    -------
    Probability that p <= alpha.

    Raises
    ------
    InvalidValue
        For shares outside 0-1, a level outside 0-1, no patients or more than 20 000.
    """
    what = "power of a McNemar comparison"
    n = whole_number(n, "n", what=what, at_least=1)
    if n > LARGEST:
        raise InvalidValue(what, f"n is {n}", f"at most {LARGEST} patients")
    discordant, difference = _discordance(first_only, second_only, what)
    _share(alpha, "alpha", what)
    return _mcnemar_power(n, discordant, _rejection(n, discordant, difference, alpha, test))


def _mcnemar_power(n: int, discordant: float, rejected: FloatArray) -> float:
    """Chance of rejection over the binomial number of discordant patients."""
    return float(stats.binom.pmf(np.arange(n + 1), n, discordant) @ rejected[: n + 1])


def _rejection(most: int, discordant: float, difference: float, alpha: float, test: McNemarVariant) -> FloatArray:
    """Chance of p <= alpha for each number of discordant patients from 0 to ``most``."""
    tests: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
        "mid-p": _mid_p, "exact": _exact_p, "chi2": _chi2_p, "chi2-corrected": _corrected_p,
    }  # fmt: skip
    if test not in tests:
        raise Unsupported("power of a McNemar comparison", f"test is {test!r}", "one of " + ", ".join(tests))
    sizes = np.arange(most + 1, dtype=np.float64)
    # All four p-values fall as the split gets more uneven, so the region is two tails and one count per size describes it.
    low, high = np.full(most + 1, -1.0), np.floor(sizes / 2.0)
    while np.any(low < high):
        middle = np.ceil((low + high) / 2.0)
        inside = tests[test](middle, sizes) <= alpha
        low, high = np.where(inside, middle, low), np.where(inside, high, middle - 1.0)
    share = (discordant + difference) / (2.0 * discordant) if discordant else 0.5
    lower = special.bdtr(np.maximum(low, 0.0), sizes.astype(np.int64), share)
    upper = special.bdtr(np.maximum(low, 0.0), sizes.astype(np.int64), 1.0 - share)
    return np.asarray(np.where(low >= 0.0, lower + upper, 0.0), dtype=np.float64)


def _exact_p(fewer: FloatArray, n: FloatArray) -> FloatArray:
    """Exact conditional p of ``fewer`` among n discordant units."""
    tail = special.bdtr(np.maximum(fewer, 0.0), n.astype(np.int64), 0.5)
    return np.asarray(np.where(fewer < 0.0, 0.0, np.minimum(2.0 * tail, 1.0)))


def _mid_p(fewer: FloatArray, n: FloatArray) -> FloatArray:
    """Mid-p of ``fewer`` among n discordant units; 1 at an even split."""
    whole = n.astype(np.int64)
    tail = special.bdtr(np.maximum(fewer, 0.0), whole, 0.5)
    beyond = np.where(fewer > 0.0, special.bdtr(np.maximum(fewer - 1.0, 0.0), whole, 0.5), 0.0)
    return np.asarray(np.where(2.0 * fewer == n, 1.0, tail + beyond))


def _chi2_p(fewer: FloatArray, n: FloatArray) -> FloatArray:
    """Uncorrected chi2 p; 1 without discordance, as nothing can be rejected then."""
    return np.asarray(special.chdtrc(1, (n - 2.0 * fewer) ** 2 / np.maximum(n, 1.0)))


def _corrected_p(fewer: FloatArray, n: FloatArray) -> FloatArray:
    """Continuity-corrected chi2 p; 1 without discordance."""
    return np.asarray(special.chdtrc(1, np.maximum(n - 2.0 * fewer - 1.0, 0.0) ** 2 / np.maximum(n, 1.0)))


def accuracy_sample_size(
    *, sensitivity: float, specificity: float, half_width: float, prevalence: float, level: float = 0.95
) -> AccuracySize:
    """Number of patients for intervals of a given half-width around sensitivity and specificity (Buderer).

    Parameters
    ----------
    sensitivity, specificity : expected values
    half_width : half of the width that the intervals may have, 0.1 for plus or minus ten points
    prevalence : expected share of patients with the condition among those recruited
    level : confidence level

    Returns
    -------
    AccuracySize. The formula is of normal theory; ``wilson_half_widths`` shows what the Wilson intervals, which will be
    printed, are expected to have at these numbers.

    Raises
    ------
    InvalidValue
        For values that are not strictly between 0 and 1.

    References
    ----------
    Buderer, Acad Emerg Med 1996;3:895.
    """
    what = "sample size of an accuracy study"
    z = normal_quantile(level)
    expected = (_share(sensitivity, "sensitivity", what), _share(specificity, "specificity", what))
    _share(half_width, "half-width", what)
    _share(prevalence, "prevalence", what)
    # Rounding before the ceiling keeps 385.0000000001 from becoming 386.
    raw = [z * z * p * (1.0 - p) / half_width**2 for p in expected]
    needed = [math.ceil(round(number, 9)) for number in raw]
    recruits = [
        math.ceil(round(raw[0] / prevalence, 9)),
        math.ceil(round(raw[1] / (1.0 - prevalence), 9)),
    ]  # fmt: skip
    widths = tuple(expected_half_width(number, p, level=level) for number, p in zip(needed, expected, strict=True))
    return AccuracySize(
        n=max(recruits), n_for_sensitivity=recruits[0], n_for_specificity=recruits[1],
        with_condition=needed[0], without_condition=needed[1], half_width=half_width, prevalence=prevalence,
        level=level, method="Buderer 1996", wilson_half_widths=(widths[0], widths[1]),
    )  # fmt: skip


def _likely_counts(n: int, p: float) -> range:
    """Counts that together hold all but 1e-12 of a binomial distribution."""
    low, high = (float(stats.binom.ppf(tail, n, p)) for tail in (5e-13, 1.0 - 5e-13))
    return range(max(0, int(low)), min(n, int(high)) + 1)


def expected_half_width(n: int, p: float, *, method: ProportionMethod = "wilson", level: float = 0.95) -> float:
    """Expected half-width of a proportion's interval, over all outcomes.

    Parameters
    ----------
    n : units
    p : true proportion
    method : interval method
    level : confidence level

    Raises
    ------
    InvalidValue
        For no units and for p outside 0-1.
    """
    what = "expected width of an interval"
    n = whole_number(n, "n", what=what, at_least=1)
    _share(p, "proportion", what)
    counts = _likely_counts(n, p)
    chances = stats.binom.pmf(np.array(counts), n, p)
    intervals = [proportion(k, n, method=method, level=level) for k in counts]
    widths = np.array([(one.high or 0.0) - (one.low or 0.0) for one in intervals])
    return float(chances @ widths / 2.0)


def accuracy_power(
    n: int, p: float, *, above: float, method: ProportionMethod = "wilson", level: float = 0.95
) -> float:
    """Chance that the interval of a proportion lies above a limit, by enumeration.

    Parameters
    ----------
    n : patients with the condition (for sensitivity) or without it (for specificity)
    p : true sensitivity or specificity
    above : value that the low limit has to exceed
    method : interval method
    level : confidence level

    Raises
    ------
    InvalidValue
        For no units and for shares outside 0-1.
    """
    what = "power of an accuracy study"
    n = whole_number(n, "n", what=what, at_least=1)
    _share(p, "proportion", what)
    _share(above, "limit", what)
    counts = _likely_counts(n, p)
    chances = stats.binom.pmf(np.array(counts), n, p)
    shown = np.array([(proportion(k, n, method=method, level=level).low or 0.0) > above for k in counts])
    return float(chances @ shown)
