"""Percentages of a chromatogram with their intervals, and radiochemical purity from one system or two.

A percentage p = A / N is a ratio of signed net areas that share counts and baseline. Its interval holds every p0 for which
A - p0 N lies within z of its standard deviation *under p0* (a score interval): without background it is Wilson's interval of a
proportion, without Poisson statistics it is Fieller's interval of a ratio, and it has a width at 0 counts.

References
----------
Wilson, J Am Stat Assoc 1927;22:209 · Fieller, J R Stat Soc B 1954;16:175 · Zou, Donner, Stat Med 2008;27:1693 (MOVER).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from scipy.optimize import brentq

from fusin.errors import InputError, InvalidValue, NotComputable
from fusin.radiopharmacy.integration import Areas
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = [
    "MassBalance",
    "Percentage",
    "column_recovery",
    "difference",
    "mass_balance",
    "percentage",
    "rcp_tlc_hplc",
    "rcp_two_tlc",
    "remainder",
]

_LEAST_VARIANCE = 0.5
_FAR = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentage:
    """A percentage with its standard uncertainty and its interval.

    Attributes
    ----------
    estimate : value, limits and method; all in percent
    u : standard uncertainty in percent points
    """

    estimate: Estimate
    u: float

    @property
    def value(self) -> float:
        """The percentage."""
        return self.estimate.value if self.estimate.value is not None else math.nan


def percentage(areas: Areas, part: Sequence[int], whole: Sequence[int], *, level: float = 0.95) -> Percentage:
    """Area of some parts as a percentage of the area of others, which include them or not.

    Parameters
    ----------
    areas : from `fusin.radiopharmacy.integration`
    part, whole : places of the areas in numerator and denominator
    level : confidence level

    Raises
    ------
    NotComputable
        When the denominator is not positive beyond its background noise.
    """
    z = normal_quantile(level)
    top, bottom = np.zeros(areas.area.size), np.zeros(areas.area.size)
    top[list(part)], bottom[list(whole)] = 1.0, 1.0
    value_top, total = float(top @ areas.area), float(bottom @ areas.area)
    noise = math.sqrt(max(float(bottom @ areas.covariance @ bottom), 0.0))
    if total <= 0.0 or total <= z * noise:
        raise NotComputable(
            "the percentages",
            f"the net area that they refer to is {total:.4g} with a background uncertainty of {noise:.3g}",
            "a signal above the background",
            "NET_NOT_POSITIVE",
        )
    share = value_top / total
    variance = _variance_of(areas, top, bottom, total, nested=set(part) <= set(whole))
    low, high = (_limit(share, value_top, total, variance, z, sign) for sign in (-1.0, 1.0))
    own = variance(share)
    one_count = float(areas.per_area.max(initial=0.0)) ** 2
    # Without a single count in the part the variance at the estimate is 0; the interval still knows how little was seen.
    u = math.sqrt(own) / total if own > _LEAST_VARIANCE * one_count else (high - low) / (2.0 * z)
    method = f"score, {areas.source}" if areas.counted else f"Fieller, {areas.source}"
    estimate = Estimate(value=100.0 * share, low=100.0 * low, high=100.0 * high, method=method, n=1, level=level)
    return Percentage(estimate=estimate, u=100.0 * u)


def _variance_of(
    areas: Areas, top: np.ndarray, bottom: np.ndarray, total: float, *, nested: bool
) -> Callable[[float], float]:
    """Variance of A - p N as a function of p, with the areas that p would bring."""
    shares = np.maximum(areas.area, 0.0)

    def mean_of(weights: np.ndarray) -> float:
        inside = weights * shares
        if inside.sum() > 0:
            return float((inside * areas.per_area).sum() / inside.sum())
        return float(areas.per_area[weights > 0].mean()) if np.any(weights > 0) else 0.0

    rest = bottom * (1.0 - top)
    of_part, of_rest = mean_of(top), mean_of(rest)

    def variance(p: float) -> float:
        contrast = top - p * bottom
        fixed = float(contrast @ areas.covariance @ contrast)
        if nested:
            own = min(max(p, 0.0), 1.0)
            return fixed + (1.0 - p) ** 2 * of_part * own * total + p**2 * of_rest * (1.0 - own) * total
        return fixed + of_part * max(p, 0.0) * total + p**2 * of_rest * total

    return variance


def _limit(share: float, top: float, total: float, variance: Callable[[float], float], z: float, sign: float) -> float:
    """Where (A - pN)^2 = z^2 Var(A - pN), below or above the estimate."""

    def excess(p: float) -> float:
        return (top - p * total) ** 2 - z * z * variance(p)

    wall = 0.0 if sign < 0.0 else 1.0
    if variance(wall) <= 0.0 and sign * (wall - share) <= 0.0:
        # Without background no count can lie beyond 0 or 100 %.
        return share
    step = 1e-6 + z * math.sqrt(max(variance(share), 0.0)) / total
    inner, outer = share, share + sign * step
    while excess(outer) <= 0.0:
        step *= 1.6
        inner, outer = outer, share + sign * step
        # At 0 and 1 the variance has its least value: a step across them could miss the limit.
        for edge in (0.0, 1.0):
            if min(inner, outer) < edge < max(inner, outer):
                outer = edge
        if step > _FAR:
            raise NotComputable("the interval of a percentage", "it has no end: the signal does not rise above its noise",
                                "more counts", "NET_NOT_POSITIVE")  # fmt: skip
    if excess(inner) >= 0.0:
        return inner
    return float(brentq(excess, inner, outer, xtol=1e-14))


def rcp_two_tlc(first: Estimate, second: Estimate) -> Estimate:
    """Radiochemical purity 100 - A - B of two TLC systems, each of which shows one impurity.

    Parameters
    ----------
    first, second : percentages of the impurities, from independent strips

    Raises
    ------
    InvalidValue
        For a percentage that is missing or cannot be.
    """
    return remainder((first, second), ("A", "B"))


def remainder(impurities: Sequence[Estimate], letters: Sequence[str]) -> Estimate:
    """What impurities of independent strips leave of 100 %.

    Parameters
    ----------
    impurities : percentages, each species in one of them only
    letters : how the formula calls them

    Raises
    ------
    InvalidValue
        For a percentage that is missing or cannot be.
    """
    values = [_checked(one, f"the impurity {letter}") for one, letter in zip(impurities, letters, strict=True)]
    formula = " - ".join(["100", *letters])
    if len(values) == 1:
        found = _combined(100.0 - values[0], ((impurities[0], -1.0),), f"{impurities[0].method}, {formula}")
    else:
        found = _combined(100.0 - sum(values), [(one, -1.0) for one in impurities], f"MOVER, {formula}")
    return found


def difference(more: Estimate, less: Estimate) -> Estimate:
    """What one region holds beyond another, of two independent strips; signed.

    Raises
    ------
    InvalidValue
        For a percentage that is missing or cannot be.
    """
    a, b = _checked(more, "the larger region"), _checked(less, "the smaller region")
    return _combined(a - b, ((more, 1.0), (less, -1.0)), "MOVER, difference")


def rcp_tlc_hplc(impurity: Estimate, product: Estimate) -> Estimate:
    """Radiochemical purity (100 - A) x T: what TLC leaves behind, times what HPLC finds of the rest.

    Parameters
    ----------
    impurity : A in percent, colloid or whatever does not leave the column, by TLC
    product : T in percent, by HPLC

    Raises
    ------
    InvalidValue
        For a percentage that is missing or cannot be.

    References
    ----------
    The combination as printed for [68Ga]Ga-DOTA-MGS5: PMC8235783, table 1.
    """
    a, t = _checked(impurity, "the impurity"), _checked(product, "the product")
    slopes = ((impurity, -t / 100.0), (product, (100.0 - a) / 100.0))
    return _combined((100.0 - a) * t / 100.0, slopes, "MOVER, (100 - A) x T")


def _checked(one: Estimate, name: str) -> float:
    if one.value is None or not math.isfinite(one.value):
        raise InvalidValue(
            "radiochemical purity", f"{name} has no percentage", "a percentage from each system", "PERCENT_MISSING"
        )
    if not -50.0 <= one.value <= 150.0:
        raise InvalidValue(
            "radiochemical purity", f"{name} is {one.value:g} %", "a percentage of about 0 to 100", "PERCENT_IMPOSSIBLE"
        )
    return one.value


def _combined(value: float, parts: Sequence[tuple[Estimate, float]], method: str) -> Estimate:
    """Distances of the limits, square and add; a part without limits takes them from the whole."""
    below = above = 0.0
    for one, slope in parts:
        if one.low is None or one.high is None or one.value is None:
            return Estimate(value=value, low=None, high=None, method=method, n=len(parts),
                            note="a percentage was given without its interval")  # fmt: skip
        down, up = slope * (one.value - one.low), slope * (one.high - one.value)
        if slope < 0:
            down, up = -up, -down
        below, above = below + down**2, above + up**2
    level = parts[0][0].level
    return Estimate(value=value, low=value - math.sqrt(below), high=value + math.sqrt(above), method=method,
                    n=len(parts), level=level)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MassBalance:
    """Sum of percentages that should be 100.

    Attributes
    ----------
    total : their sum, never rescaled
    tolerance : what rounding of the printed values can explain, or what was stated
    balanced : whether the sum lies within it
    """

    total: float
    tolerance: float
    balanced: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"total": self.total, "tolerance": self.tolerance, "balanced": self.balanced}


def mass_balance(percents: Sequence[str | float], *, tolerance: float | None = None) -> MassBalance:
    """Whether percentages of one sample add up to 100; a sum that does not is told, never rescaled.

    Parameters
    ----------
    percents : as printed (``"0.85"``), so that half a unit of each last digit can be allowed for
    tolerance : allowed difference in percent points instead of that

    Raises
    ------
    InputError
        For what is no percentage.

    Examples
    --------
    >>> mass_balance(["99.2", "0.85", "0.56"]).balanced
    False
    """
    total, rounding = Decimal(0), Decimal(0)
    for text in percents:
        try:
            value = Decimal(str(text))
        except InvalidOperation as err:
            raise InputError("mass balance", "percentage", str(text), "a number") from err
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or not 0 <= value <= 100:
            raise InputError("mass balance", "percentage", str(text), "a number from 0 to 100")
        total += value
        rounding += Decimal(5).scaleb(exponent - 1)
    allowed = float(rounding) if tolerance is None else tolerance
    return MassBalance(
        total=float(total), tolerance=allowed, balanced=bool(abs(float(total) - 100.0) <= allowed + 1e-12)
    )


def column_recovery(
    *, eluted: float, eluted_u: float, injected: float, injected_u: float, level: float = 0.95
) -> Estimate:
    """Eluted over injected activity in percent, Fieller interval; what is missing stayed on the column.

    Parameters
    ----------
    eluted, injected : areas in one unit at one time, for example counts with the column and with a bypass
    eluted_u, injected_u : their standard uncertainties

    Raises
    ------
    NotComputable
        When the injected area is not positive beyond its uncertainty.
    """
    z = normal_quantile(level)
    g = (z * injected_u / injected) ** 2 if injected > 0 else math.inf
    if not g < 1.0:
        raise NotComputable("the column recovery", f"the injected area is {injected:.4g} +- {injected_u:.3g}",
                            "an injected area above its uncertainty", "NET_NOT_POSITIVE")  # fmt: skip
    ratio = eluted / injected
    half = z / injected * math.sqrt(max((1.0 - g) * eluted_u**2 + ratio**2 * injected_u**2, 0.0))
    low, high = (ratio - half) / (1.0 - g), (ratio + half) / (1.0 - g)
    return Estimate(value=100.0 * ratio, low=100.0 * low, high=100.0 * high, method="Fieller", n=1, level=level)
