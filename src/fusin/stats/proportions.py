"""Proportions, their differences and their ratios, with intervals that hold at small n.

Coverage of the 95 % intervals, by complete enumeration of all outcomes (the tests compute it again):

=====================  ==================================================  ============  ============
quantity               method                                              mean, n = 12  mean, n = 30
=====================  ==================================================  ============  ============
proportion (default)   Wilson                                              95.5 %        95.2 %
proportion             Clopper-Pearson                                     98.2 %        97.4 %
proportion             Jeffreys                                            95.3 %        95.1 %
proportion             Wald, clipped                                       79.7 %        87.9 %
difference             Newcombe's hybrid score                             95.0 %        95.0 %
ratio                  Koopman's score                                     95.3 %        95.1 %
paired difference      Newcombe's hybrid score, corrected correlation      95.6 %        95.3 %
paired ratio           Bonett and Price's hybrid Wilson score              96.0 %        95.5 %
=====================  ==================================================  ============  ============

These are means over the true proportions. At single proportions near 0 or 1 Wilson's coverage falls to 86 %;
Clopper-Pearson never falls below the nominal level and pays for it with width; Wald falls to 6 % and is not for use.

References
----------
Wilson, J Am Stat Assoc 1927;22:209 · Clopper, Pearson, Biometrika 1934;26:404 · Brown, Cai, DasGupta, Stat Sci
2001;16:101 · Newcombe, Stat Med 1998;17:873 (independent, method 10) and 2635 (paired, method 10) · Koopman, Biometrics
1984;40:513 · Bonett, Price, Stat Med 2006;25:3039 · Fagerland, Lydersen, Laake, Stat Med 2014;33:2850 (paired) and Stat
Methods Med Res 2015;24:224 (independent), whose recommendations are followed.
"""

from __future__ import annotations

import math
from typing import Literal

from scipy.optimize import brentq
from scipy.special import betaincinv

from fusin.errors import InvalidValue, Unsupported
from fusin.stats.checks import normal_quantile, whole_number
from fusin.stats.results import Estimate

__all__ = [
    "ProportionMethod",
    "paired_difference",
    "paired_ratio",
    "proportion",
    "proportion_difference",
    "proportion_ratio",
]

ProportionMethod = Literal["wilson", "clopper-pearson", "jeffreys", "wald"]

_NAMES = {
    "wilson": "Wilson",
    "clopper-pearson": "Clopper-Pearson",
    "jeffreys": "Jeffreys",
    "wald": "Wald, clipped to 0-1",
}
_FAR = 1e6  # a chi2 beyond any quantile
_SMALL_CELL = 5  # normal theory needs about five events and five non-events


def proportion(k: int, n: int, *, method: ProportionMethod = "wilson", level: float = 0.95) -> Estimate:
    """Estimate a proportion with its interval.

    Parameters
    ----------
    k : events
    n : independent units; lesions within patients are not independent (``stats.clustered``)
    method : ``wilson`` (default), ``clopper-pearson`` (never below the nominal level), ``jeffreys`` (equal-tailed
        Beta(1/2, 1/2) posterior, limit 0 at k = 0 and 1 at k = n) or ``wald`` (only to reproduce published intervals)
    level : confidence level

    Returns
    -------
    Estimate with limits within 0-1. At k = 0 the low limit is 0 and at k = n the high limit is 1, exactly; for n = 0
    there is no value and no interval.

    Raises
    ------
    InvalidValue
        For k > n, negative or fractional counts.
    Unsupported
        For an unknown method.
    """
    what = "proportion"
    n = whole_number(n, "n", what=what)
    k = whole_number(k, "k", what=what)
    z = normal_quantile(level)
    if method not in _NAMES:
        raise Unsupported(what, f"interval method is {method!r}", "one of " + ", ".join(_NAMES))
    if k > n:
        raise InvalidValue(what, f"{k} events among {n} units", "no more events than units", "COUNT_INVALID")
    name = _NAMES[method]
    if n == 0:
        return Estimate(
            value=None, low=None, high=None, method=name, n=0, k=0, level=level, note="0 of 0 has no proportion"
        )
    note = ""
    if method == "wilson":
        low, high = _wilson(k, n, z)
    elif method == "wald":
        low, high, note = _wald(k, n, z)
    else:
        low, high = _beta_limits(k, n, level, shift=0.5 if method == "jeffreys" else 0.0)
    return Estimate(value=k / n, low=low, high=high, method=name, n=n, k=k, level=level, note=note)


def _wilson(k: float, n: float, z: float) -> tuple[float, float]:
    """Limits where the score statistic equals z."""
    centre = k + z * z / 2.0
    half = z * math.sqrt(k * (n - k) / n + z * z / 4.0)
    low = 0.0 if k == 0 else (centre - half) / (n + z * z)
    high = 1.0 if k == n else (centre + half) / (n + z * z)
    return low, high


def _wald(k: int, n: int, z: float) -> tuple[float, float, str]:
    """Limits of normal theory, and what is wrong with them."""
    half = z * math.sqrt(k * (n - k) / n) / n
    notes = ["for reproduction of published intervals only"]
    if min(k, n - k) < _SMALL_CELL:
        notes.append(f"normal theory does not hold with {k} events and {n - k} non-events")
    if k in {0, n}:
        notes.append("zero width")
    if k / n - half < 0.0 or k / n + half > 1.0:
        notes.append("limit beyond 0-1 was clipped")
    return max(0.0, k / n - half), min(1.0, k / n + half), "; ".join(notes)


def _beta_limits(k: int, n: int, level: float, *, shift: float) -> tuple[float, float]:
    """Beta quantiles: Clopper-Pearson with shift 0, Jeffreys with 1/2."""
    tail = (1.0 - level) / 2.0
    upper_a = k + (shift or 1.0)
    lower_b = n - k + (shift or 1.0)
    low = 0.0 if k == 0 else float(betaincinv(k + shift, lower_b, tail))
    high = 1.0 if k == n else float(betaincinv(upper_a, n - k + shift, 1.0 - tail))
    return low, high


def _two_counts(k1: int, n1: int, k2: int, n2: int, what: str) -> tuple[int, int, int, int]:
    """Both groups as whole numbers with no more events than units."""
    counts = [
        whole_number(value, name, what=what)
        for value, name in ((k1, "k1"), (n1, "n1"), (k2, "k2"), (n2, "n2"))
    ]  # fmt: skip
    for k, n in (counts[:2], counts[2:]):
        if k > n:
            raise InvalidValue(what, f"{k} events among {n} units", "no more events than units", "COUNT_INVALID")
    return counts[0], counts[1], counts[2], counts[3]


def proportion_difference(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Estimate:
    """Difference k1/n1 - k2/n2 of independent proportions with Newcombe's hybrid score interval.

    Parameters
    ----------
    k1, n1 : events and units of the first group
    k2, n2 : events and units of the second group
    level : confidence level

    Returns
    -------
    Estimate; ``n`` is the number of units of both groups. No value when a group is empty.
    """
    k1, n1, k2, n2 = _two_counts(k1, n1, k2, n2, "difference of proportions")
    z = normal_quantile(level)
    name = "Newcombe hybrid score"
    if 0 in {n1, n2}:
        return _nothing(name, n1 + n2, level, "one group is empty")
    p1, p2 = k1 / n1, k2 / n2
    (low1, high1), (low2, high2) = _wilson(k1, n1, z), _wilson(k2, n2, z)
    return Estimate(
        value=p1 - p2,
        low=p1 - p2 - math.hypot(p1 - low1, high2 - p2),
        high=p1 - p2 + math.hypot(high1 - p1, p2 - low2),
        method=name, n=n1 + n2, level=level,
    )  # fmt: skip


def paired_difference(both: int, first_only: int, second_only: int, neither: int, *, level: float = 0.95) -> Estimate:
    """Difference of two proportions on the same units, first minus second, with Newcombe's interval.

    Parameters
    ----------
    both, first_only, second_only, neither : number of units positive by both, one or no method
    level : confidence level

    Returns
    -------
    Estimate of (first_only - second_only) / n. With no discordant unit the value is 0 and the interval still has width.
    """
    e, f, g, h, n = _pairs(both, first_only, second_only, neither, "paired difference")
    z = normal_quantile(level)
    name = "Newcombe paired hybrid score"
    if n == 0:
        return _nothing(name, 0, level, "no pairs")
    p1, p2 = (e + f) / n, (e + g) / n
    (low1, high1), (low2, high2) = _wilson(e + f, n, z), _wilson(e + g, n, z)
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    cross = float(e * h - f * g)
    if cross > 0.0:
        # Newcombe's correction: a positive correlation must exceed what half a unit could make.
        cross = max(cross - n / 2.0, 0.0)
    phi = cross / math.sqrt(margins) if margins else 0.0
    below = (p1 - low1) ** 2 - 2.0 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    above = (high1 - p1) ** 2 - 2.0 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    value = (f - g) / n
    return Estimate(
        value=value, low=value - math.sqrt(below), high=value + math.sqrt(above), method=name, n=n, level=level
    )


def paired_ratio(both: int, first_only: int, second_only: int, neither: int, *, level: float = 0.95) -> Estimate:
    """Ratio of two proportions on the same units, first over second, with Bonett and Price's hybrid Wilson interval.

    Parameters
    ----------
    both, first_only, second_only, neither : number of units positive by both, one or no method
    level : confidence level

    Returns
    -------
    Estimate; units that neither method found do not enter. The value or a limit is None where it is unbounded.
    """
    e, f, g, _, n = _pairs(both, first_only, second_only, neither, "paired ratio")
    z = normal_quantile(level)
    name = "Bonett-Price hybrid Wilson"
    k1, k2, found = e + f, e + g, e + f + g
    if found == 0:
        return _nothing(name, n, level, "no unit is positive by either method")
    spread = math.sqrt((f + g + 2) / ((k1 + 1) * (k2 + 1)))
    single1 = math.sqrt((1.0 - (k1 + 1) / (found + 2)) / (k1 + 1))
    single2 = math.sqrt((1.0 - (k2 + 1) / (found + 2)) / (k2 + 1))
    z_pair = z * spread / (single1 + single2)
    (low1, high1), (low2, high2) = _wilson(k1, found, z_pair), _wilson(k2, found, z_pair)
    note = "unbounded above: the second method found nothing" if k2 == 0 else ""
    return Estimate(
        value=k1 / k2 if k2 else None,
        low=low1 / high2,
        high=high1 / low2 if k2 else None,
        method=name, n=n, level=level, note=note,
    )  # fmt: skip


def proportion_ratio(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Estimate:
    """Ratio (k1/n1) / (k2/n2) of independent proportions with Koopman's score interval.

    Likelihood ratios are of this kind: LR+ is ``proportion_ratio(tp, tp + fn, fp, fp + tn)``.

    Parameters
    ----------
    k1, n1 : events and units of the first group
    k2, n2 : events and units of the second group
    level : confidence level

    Returns
    -------
    Estimate; the low limit is 0 at k1 = 0. At k2 = 0 value and high limit are None, and the low limit stands.
    """
    k1, n1, k2, n2 = _two_counts(k1, n1, k2, n2, "ratio of proportions")
    z = normal_quantile(level)
    name = "Koopman score"
    if 0 in {n1, n2}:
        return _nothing(name, n1 + n2, level, "one group is empty")
    if k1 == k2 == 0:
        return _nothing(name, n1 + n2, level, "no events in either group")

    def excess(log_ratio: float) -> float:
        return _ratio_score(k1, n1, k2, n2, math.exp(log_ratio)) - z * z

    widest = 40.0
    middle = math.log((k1 / n1) / (k2 / n2)) if k1 and k2 else (-widest if k1 == 0 else widest)
    low = 0.0 if k1 == 0 else math.exp(brentq(excess, -widest, middle, xtol=1e-13))
    high = None if k2 == 0 else math.exp(brentq(excess, middle, widest, xtol=1e-13))
    note = "unbounded above: no events in the second group" if k2 == 0 else ""
    value = (k1 / n1) / (k2 / n2) if k2 else None
    return Estimate(value=value, low=low, high=high, method=name, n=n1 + n2, level=level, note=note)


def _ratio_score(k1: int, n1: int, k2: int, n2: int, ratio: float) -> float:
    """Score chi2 of a given ratio, with both proportions at their likeliest values under it."""
    deviation = k1 / n1 - ratio * k2 / n2
    if deviation == 0.0:
        return 0.0
    a = (n1 + n2) * ratio
    b = n1 * ratio + k1 + n2 + k2 * ratio
    c = float(k1 + k2)
    # The smaller root, written so that it does not lose digits when the ratio is extreme.
    p2 = 2.0 * c / (b + math.sqrt(max(b * b - 4.0 * a * c, 0.0)))
    p1 = ratio * p2
    variance = p1 * max(1.0 - p1, 0.0) / n1 + ratio * ratio * p2 * max(1.0 - p2, 0.0) / n2
    # Not infinity: the root search interpolates between function values.
    return min(deviation * deviation / variance, _FAR) if variance > 0.0 else _FAR


def _pairs(both: int, first_only: int, second_only: int, neither: int, what: str) -> tuple[int, int, int, int, int]:
    """The four cells and their sum."""
    names = ("both", "first only", "second only", "neither")
    e, f, g, h = (
        whole_number(value, name, what=what)
        for value, name in zip((both, first_only, second_only, neither), names, strict=True)
    )
    return e, f, g, h, e + f + g + h


def _nothing(method: str, n: int, level: float, why: str) -> Estimate:
    """An estimate that the data cannot give."""
    return Estimate(value=None, low=None, high=None, method=method, n=n, level=level, note=why)
