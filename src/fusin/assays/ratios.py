"""Ratios of two tissues: one per animal, or of the means; never mixed, and each named.

Per animal, the mean and SD of the ratios answer what a typical animal shows, and are right when both tissues come from it. A
ratio of means with its delta-method SD is what many tables print. Fieller's set is exact for two normal means, and is
unbounded where the denominator is not told apart from 0; it is then said so, never cut off.

References
----------
Fieller EC, J R Stat Soc B 1954;16:175-185.
Oehlert GW, Am Stat 1992;46:27-29 (delta method).
Welch BL, Biometrika 1947;34:28-35 (degrees of freedom of unpaired means).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from fusin.errors import InvalidValue, NotComputable
from fusin.provenance import jsonable
from fusin.stats.groups import Summary, summary
from fusin.stats.results import Estimate

__all__ = [
    "FiellerSet",
    "PerAnimalRatio",
    "RatioOfMeans",
    "bootstrap_ratio",
    "exp_or_open",
    "fieller",
    "per_animal_ratio",
    "ratio_of_means",
    "ratio_of_summaries",
]

_WHAT = "ratio"
BOOTSTRAP = 2000
_NOTHING = 1e-12
_MOST_LOG = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FiellerSet:
    """Fieller's confidence set of a ratio.

    Attributes
    ----------
    kind : ``bounded``; ``complement`` (all values outside of low to high); ``everything`` (no value is excluded)
    low, high : limits; None for ``everything``
    g : squared quotient of the t quantile and the t statistic of the denominator; unbounded from 1 on
    """

    kind: str
    low: float | None
    high: float | None
    g: float

    def contains(self, ratio: float) -> bool:
        """Whether a ratio belongs to the set."""
        if self.low is None or self.high is None:
            return True
        inside = self.low <= ratio <= self.high
        return inside if self.kind == "bounded" else not self.low < ratio < self.high

    def sentence(self) -> str:
        """The set in words; empty when it is bounded."""
        if self.kind == "bounded":
            return ""
        if self.low is None or self.high is None:
            return "unbounded: the denominator is not told apart from 0, so no ratio is excluded"
        return f"unbounded: below {self.low:.4g} or above {self.high:.4g}; the denominator is not told apart from 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerAnimalRatio:
    """Mean and SD of the ratios of single animals.

    Attributes
    ----------
    mean : with t interval
    sd : of the ratios; None for one animal
    geometric_mean : with t interval on the log scale; None where a ratio is not positive
    n : animals with a ratio
    left_out : animals whose denominator was 0 or below
    """

    mean: Estimate
    sd: float | None
    geometric_mean: Estimate | None
    n: int
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "kind": "per animal",
            "mean": self.mean.to_json(),
            "sd": jsonable(self.sd),
            "geometric_mean": self.geometric_mean.to_json() if self.geometric_mean else None,
            "n": self.n,
            "left_out": self.left_out,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioOfMeans:
    """Quotient of two means.

    Attributes
    ----------
    estimate : with Fieller's or another interval, as ``method`` says
    delta_sd : SD by error propagation of the two SDs, as tables print it; None without SDs
    delta : the same value with the interval of the delta method
    fieller : Fieller's set, whatever interval ``estimate`` has
    paired : whether the covariance of the two tissues was used
    """

    estimate: Estimate
    delta_sd: float | None
    delta: Estimate
    fieller: FiellerSet | None
    paired: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        found = self.fieller
        shown = (
            None
            if found is None
            else {"kind": found.kind, "low": found.low, "high": found.high, "g": jsonable(found.g)}
        )
        return {
            "kind": "of means",
            **self.estimate.to_json(),
            "delta_sd": jsonable(self.delta_sd),
            "delta": self.delta.to_json(),
            "fieller": shown,
            "paired": self.paired,
        }


def per_animal_ratio(
    numerators: Sequence[float], denominators: Sequence[float], *, level: float = 0.95
) -> PerAnimalRatio:
    """Mean and SD of the ratios of single animals.

    Parameters
    ----------
    numerators, denominators : one value of each animal, in the same order
    level : confidence level

    Raises
    ------
    InvalidValue
        For samples of different length.
    NotComputable
        When no animal has a positive denominator.
    """
    top, bottom = _pair(numerators, denominators)
    # Beyond a ratio of 1e12 the denominator is 0 for any counter.
    usable = bottom > _NOTHING * np.abs(top)
    if not usable.any():
        raise NotComputable(
            _WHAT, "no animal has a denominator above 0", "a denominator that was measured", "ZERO_DENOMINATOR"
        )
    ratios = top[usable] / bottom[usable]
    left_out = int((~usable).sum())
    note = "" if not left_out else f"{left_out} of {top.size} animals have a denominator of 0 or below"
    mean = _t_mean(ratios, "t distribution of per-animal ratios", level, note)
    geometric = None
    if (ratios > 0).all() and ratios.size > 1:
        logs = _t_mean(np.log(ratios), "t distribution of log per-animal ratios", level, note)
        geometric = Estimate(
            value=exp_or_open(logs.value), low=exp_or_open(logs.low), high=exp_or_open(logs.high), method=logs.method, n=logs.n,
            level=level, note=note,
        )  # fmt: skip
    sd = float(ratios.std(ddof=1)) if ratios.size > 1 else None
    return PerAnimalRatio(mean=mean, sd=sd, geometric_mean=geometric, n=int(ratios.size), left_out=left_out)


def ratio_of_means(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    paired: bool,
    level: float = 0.95,
) -> RatioOfMeans:
    """Ratio of two means with delta-method SD and Fieller's interval.

    Parameters
    ----------
    numerators, denominators : values of the animals, in the same order when ``paired``
    paired : both tissues come from the same animals, so that their covariance counts
    level : confidence level

    Raises
    ------
    InvalidValue
        For paired samples of different length or fewer than two values.
    """
    if paired:
        top, bottom = _pair(numerators, denominators)
    else:
        top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    first, second = summary(top), summary(bottom)
    covariance = float(np.cov(top, bottom, ddof=1)[0, 1]) if paired else 0.0
    return _of_moments(first, second, covariance, paired, level)


def ratio_of_summaries(numerator: Summary, denominator: Summary, *, level: float = 0.95) -> RatioOfMeans:
    """Ratio of two printed means, taken as independent because a table does not print their covariance."""
    return _of_moments(numerator, denominator, 0.0, False, level)


def _of_moments(first: Summary, second: Summary, covariance: float, paired: bool, level: float) -> RatioOfMeans:
    if abs(second.mean) <= _NOTHING * abs(first.mean) or second.mean == 0.0:
        raise NotComputable(_WHAT, "the mean of the denominator is 0", "a denominator above 0", "ZERO_DENOMINATOR")
    ratio = first.mean / second.mean
    n = min(first.n, second.n)
    v11, v22 = first.sd**2 / first.n, second.sd**2 / second.n
    v12 = covariance / first.n if paired else 0.0
    df = float(first.n - 1) if paired else _satterthwaite(first, second, ratio)
    variance = max(0.0, v11 - 2 * ratio * v12 + ratio**2 * v22) / second.mean**2
    sd = math.sqrt(
        max(0.0, first.sd**2 - 2 * ratio * covariance + ratio**2 * second.sd**2)
    ) / abs(second.mean)  # fmt: skip
    t = float(stdtrit(df, 0.5 + level / 2.0))
    half = t * math.sqrt(variance)
    which = "paired" if paired else "unpaired"
    delta = Estimate(
        value=ratio, low=ratio - half, high=ratio + half, method=f"delta method, {which}, t", n=n, level=level
    )
    found = fieller(first.mean, second.mean, v11=v11, v22=v22, v12=v12, df=df, level=level)
    bounded = found.kind == "bounded"
    estimate = Estimate(
        value=ratio, low=found.low if bounded else None, high=found.high if bounded else None, method=f"Fieller, {which}",
        n=n, level=level, note=found.sentence(),
    )  # fmt: skip
    return RatioOfMeans(estimate=estimate, delta_sd=sd, delta=delta, fieller=found, paired=paired)


def fieller(
    numerator: float, denominator: float, *, v11: float, v22: float, v12: float, df: float, level: float = 0.95
) -> FiellerSet:
    """Fieller's confidence set of numerator / denominator.

    All ratios r with (a - r b)^2 <= t^2 (v11 - 2 r v12 + r^2 v22).

    Parameters
    ----------
    numerator, denominator : means a and b
    v11, v22, v12 : variances of the two means and their covariance
    df : degrees of freedom of the variances
    level : confidence level

    Raises
    ------
    InvalidValue
        For a negative variance, or a level outside 0 to 1.
    """
    if not (v11 >= 0 and v22 >= 0 and df > 0 and 0.0 < level < 1.0):
        raise InvalidValue("Fieller's interval", f"variances {v11} and {v22}, {df} degrees of freedom, level {level}",
                           "variances of at least 0 and degrees of freedom above 0", "BAD_UNCERTAINTY")  # fmt: skip
    t2 = float(stdtrit(df, 0.5 + level / 2.0)) ** 2
    # (b^2 - t2 v22) r^2 - 2 (a b - t2 v12) r + (a^2 - t2 v11) <= 0
    a = denominator**2 - t2 * v22
    b = numerator * denominator - t2 * v12
    c = numerator**2 - t2 * v11
    g = t2 * v22 / denominator**2 if denominator**2 > 0 else math.inf
    under = b * b - a * c
    if a > 0:
        root = math.sqrt(max(under, 0.0))
        low, high = sorted(((b - root) / a, (b + root) / a))
        return FiellerSet(kind="bounded", low=low, high=high, g=g)
    if a == 0 or under <= 0:
        return FiellerSet(kind="everything", low=None, high=None, g=g)
    root = math.sqrt(under)
    low, high = sorted(((b - root) / a, (b + root) / a))
    return FiellerSet(kind="complement", low=low, high=high, g=g)


def bootstrap_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    paired: bool,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = BOOTSTRAP,
) -> Estimate:
    """Ratio of means with percentile bootstrap limits; animals are drawn, with both tissues when paired.

    Resamples whose denominator is 0 or below are counted and named: they make the upper limit unreliable.

    Raises
    ------
    InvalidValue
        For fewer than two animals, or paired samples of different length.
    """
    if paired:
        top, bottom = _pair(numerators, denominators)
        rows = rng.integers(0, top.size, size=(resamples, top.size))
        tops, bottoms = top[rows].mean(axis=1), bottom[rows].mean(axis=1)
    else:
        top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
        tops = rng.choice(top, size=(resamples, top.size)).mean(axis=1)
        bottoms = rng.choice(bottom, size=(resamples, bottom.size)).mean(axis=1)
    n = min(top.size, bottom.size)
    if n < 2:
        raise InvalidValue("bootstrap of a ratio", f"{n} animals", "two or more", "TOO_FEW")
    mean = float(bottom.mean())
    if abs(mean) <= _NOTHING * abs(float(top.mean())) or mean == 0.0:
        raise NotComputable(_WHAT, "the mean of the denominator is 0", "a denominator above 0", "ZERO_DENOMINATOR")
    value = float(top.mean()) / mean
    lost = int((bottoms <= 0).sum())
    method = f"percentile bootstrap of animals, {'paired' if paired else 'unpaired'}, {resamples} resamples"
    if lost > (1 - level) / 2 * resamples:
        why = f"unbounded: {lost} of {resamples} resamples have a denominator of 0 or below"
        return Estimate(value=value, low=None, high=None, method=method, n=n, level=level, note=why)
    ratios = np.where(bottoms > 0, tops / np.where(bottoms > 0, bottoms, 1.0), np.inf)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf").tolist()
    note = "few animals: bootstrap limits are too narrow" if n < 10 else ""
    return Estimate(value=value, low=low, high=high, method=method, n=n, level=level, note=note)


def _satterthwaite(first: Summary, second: Summary, ratio: float) -> float:
    """Welch's degrees of freedom of a - r b at the estimated ratio."""
    v1, v2 = first.sd**2 / first.n, ratio**2 * second.sd**2 / second.n
    if v1 + v2 == 0:
        return float(first.n + second.n - 2)
    return float((v1 + v2) ** 2 / (v1**2 / (first.n - 1) + v2**2 / (second.n - 1)))


def _t_mean(values: np.ndarray[Any, np.dtype[np.float64]], method: str, level: float, note: str) -> Estimate:
    n, mean = int(values.size), float(values.mean())
    if n < 2:
        why = "one animal has no interval" + (f"; {note}" if note else "")
        return Estimate(value=mean, low=None, high=None, method=method, n=n, level=level, note=why)
    half = float(stdtrit(n - 1, 0.5 + level / 2.0)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(value=mean, low=mean - half, high=mean + half, method=method, n=n, level=level, note=note)


def exp_or_open(value: float | None) -> float | None:
    """Exponential of a limit on the log scale; None where it is open, or beyond what a number can hold."""
    return None if value is None or value > _MOST_LOG else math.exp(value)


def _pair(
    first: Sequence[float], second: Sequence[float]
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise InvalidValue(
            _WHAT, f"{a.size} numerators and {b.size} denominators", "one of each per animal", "UNEQUAL_LENGTHS"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InvalidValue(_WHAT, "values are missing", "both tissues of each animal", "MISSING_VALUES")
    return a, b
