"""Exact null distributions of rank statistics, ties included, by counting instead of sampling.

All distributions are conditional on the observed ranks. Midranks are multiples of one half, so everything is counted on
the doubled scale, where ranks are whole numbers and index ``i`` of a distribution stands for the statistic ``i / 2``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats.checks import FloatArray, IntArray

__all__ = [
    "Alternative",
    "check_alternative",
    "difference_order_statistics",
    "doubled_ranks",
    "product_sum_distribution",
    "rank_sum_distribution",
    "signed_rank_distribution",
    "tail_probability",
    "walsh_order_statistics",
]

Alternative = Literal["two-sided", "less", "greater"]
LISTED_PAIRS = 2_000_000  # beyond it the pairs are counted, not listed, to keep memory below 100 MB
TIE_DIGITS = 11  # differences of decimal input agree to about 15 digits; the last four are rounding


def check_alternative(alternative: str, *, what: str) -> None:
    """Refuse an unknown alternative.

    Raises
    ------
    InvalidValue
        For anything but two-sided, less or greater.
    """
    if alternative not in {"two-sided", "less", "greater"}:
        raise InvalidValue(what, f"alternative is {alternative!r}", "two-sided, less or greater")


def doubled_ranks(values: FloatArray, *, scale: float | None = None) -> IntArray:
    """Twice the midranks of the values, as whole numbers.

    Parameters
    ----------
    values : (n,) array
    scale : size of the measured numbers; values that agree within 1e-11 of it are tied, because 0.3 - 0.2 and
        0.2 - 0.1 differ in binary and not in truth. None ranks the values as they are.
    """
    if scale:
        values = np.round(values / scale, TIE_DIGITS)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((2 * last - counts + 1)[inverse], dtype=np.int64)


def signed_rank_distribution(ranks2: IntArray) -> FloatArray:
    """Probabilities of the doubled sum of positive ranks when each sign is a fair coin.

    Parameters
    ----------
    ranks2 : doubled ranks of the non-zero differences

    Returns
    -------
    read-only array of length ``sum(ranks2) + 1``; the sign-flip distribution of Pratt (J Am Stat Assoc 1959;54:655)
    """
    return _signed_ranks(tuple(np.sort(ranks2).tolist()))


# The distributions depend on the sorted ranks only; a table of many tests at one n computes them once.
@lru_cache(maxsize=32)
def _signed_ranks(ranks2: tuple[int, ...]) -> FloatArray:
    chances = np.zeros(sum(ranks2) + 1)
    chances[0] = 1.0
    reached = 0
    for rank in ranks2:
        chances[rank : reached + rank + 1] = chances[rank : reached + rank + 1] + chances[: reached + 1]
        reached += rank
        chances[: reached + 1] *= 0.5
    chances.flags.writeable = False
    return chances


def rank_sum_distribution(ranks2: IntArray, size: int) -> FloatArray:
    """Probabilities of the doubled rank sum of ``size`` units drawn without replacement.

    Parameters
    ----------
    ranks2 : doubled ranks of all units together
    size : number of units in the group whose ranks are summed

    Returns
    -------
    read-only array of length ``sum(ranks2) + 1``; the permutation distribution of the Wilcoxon rank sum
    """
    return _rank_sums(tuple(np.sort(ranks2).tolist()), size)


@lru_cache(maxsize=32)
def _rank_sums(ranks2: tuple[int, ...], size: int) -> FloatArray:
    chances = np.zeros((size + 1, sum(ranks2) + 1))
    chances[0, 0] = 1.0
    reached = 0
    for seen, rank in enumerate(ranks2):
        for drawn in range(min(seen + 1, size), 0, -1):
            chances[drawn, rank : reached + rank + 1] += chances[drawn - 1, : reached + 1]
        reached += rank
    drawn_sums = np.asarray(chances[size] / chances[size].sum())
    drawn_sums.flags.writeable = False
    return drawn_sums


def product_sum_distribution(first2: IntArray, second2: IntArray) -> FloatArray:
    """Probabilities of the sum of products of two rankings over all pairings (Spearman's statistic, times four).

    Parameters
    ----------
    first2, second2 : doubled ranks of the two variables, at most about 12 units: the work grows with 2**n

    Returns
    -------
    read-only array up to the largest sum that any pairing has
    """
    return _product_sums(tuple(np.sort(first2).tolist()), tuple(np.sort(second2).tolist()))


@lru_cache(maxsize=32)
def _product_sums(first2: tuple[int, ...], second2: tuple[int, ...]) -> FloatArray:
    n = len(first2)
    longest = sum(one * other for one, other in zip(first2, second2, strict=True)) + 1
    layer: dict[int, FloatArray] = {0: np.ones(1)}
    for rank in first2:
        following: dict[int, FloatArray] = {}
        for used, chances in layer.items():
            for j in range(n):
                if used >> j & 1:
                    continue
                target = following.setdefault(used | 1 << j, np.zeros(longest))
                shift = rank * second2[j]
                target[shift : shift + chances.size] += chances[: longest - shift]
        layer = following
    counts = layer[(1 << n) - 1]
    chances = np.asarray(counts / counts.sum())
    chances.flags.writeable = False
    return chances


def tail_probability(chances: FloatArray, observed: int, alternative: Alternative) -> float:
    """Probability of a statistic at least as far out as the observed one.

    Parameters
    ----------
    chances : distribution by whole-numbered value
    observed : the observed value
    alternative : two-sided counts values at least as far from the mean on either side
    """
    support = np.arange(chances.size)
    if alternative == "greater":
        return min(1.0, float(chances[observed:].sum()))
    if alternative == "less":
        return min(1.0, float(chances[: observed + 1].sum()))
    centre = float(chances @ support)
    # The centre is a sum of many terms; a millionth of a rank is far above its rounding and far below one step.
    return min(1.0, float(chances[np.abs(support - centre) >= abs(observed - centre) - 1e-6].sum()))


def walsh_order_statistics(values: FloatArray, orders: ArrayLike) -> FloatArray:
    """Order statistics (from 1) of the n(n+1)/2 averages of pairs of values, each value paired with itself too."""
    ordered = np.sort(values)
    if ordered.size * (ordered.size + 1) // 2 <= LISTED_PAIRS:
        rows, columns = np.triu_indices(ordered.size)
        averages = np.sort((ordered[rows] + ordered[columns]) / 2.0)
        return np.asarray(averages[np.asarray(orders, dtype=np.int64) - 1])

    def at_most(limit: float) -> int:
        pairs = int(np.searchsorted(ordered, 2.0 * limit - ordered, side="right").sum())
        return (pairs + int(np.searchsorted(ordered, limit, side="right"))) // 2

    return _by_bisection(at_most, orders, float(ordered[0]), float(ordered[-1]))


def difference_order_statistics(first: FloatArray, second: FloatArray, orders: ArrayLike) -> FloatArray:
    """Order statistics (from 1) of all differences between a value of the first and one of the second sample."""
    first, second = np.sort(first), np.sort(second)
    if first.size * second.size <= LISTED_PAIRS:
        differences = np.sort(np.subtract.outer(first, second), axis=None)
        return np.asarray(differences[np.asarray(orders, dtype=np.int64) - 1])

    def at_most(limit: float) -> int:
        return int(np.searchsorted(first, limit + second, side="right").sum())

    return _by_bisection(at_most, orders, float(first[0] - second[-1]), float(first[-1] - second[0]))


def _by_bisection(at_most: Callable[[float], int], orders: ArrayLike, lowest: float, highest: float) -> FloatArray:
    """Smallest limits that at least ``order`` values do not exceed, to 12 digits of the range."""
    found = []
    for order in np.asarray(orders, dtype=np.int64).tolist():
        low, high = lowest, highest
        while high - low > 1e-12 * (highest - lowest):
            middle = low + (high - low) / 2.0
            if at_most(middle) >= order:
                high = middle
            else:
                low = middle
        found.append(high)
    return np.array(found)
