"""The integral from one scan or few, with what is known of the effective half-life.

==========  ===================================================  ======================================================
method      integral                                             what it needs
==========  ===================================================  ======================================================
haenscheid  A(t) 2t / ln 2                                       one scan; T_eff for the interval only
madsen      A(t) 2^(t/T) T / ln 2                                one scan and T_eff
map         A T / ln 2 at the maximum of the posterior density   one scan or more with uncertainties, T_eff with its spread
==========  ===================================================  ======================================================

Haenscheid's integral is f(x) = 2x 2^(-x) times the true one of a mono-exponential curve, x = t / T_eff; f is 1 at x = 1 and x = 2
and at most 1.0615 (x = 1.4427). All three take the curve as mono-exponential from t = 0.

References
----------
Hänscheid H et al., J Nucl Med 2018;59:75 · Madsen M et al., Med Phys 2018;45:2318.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.dosimetry.priors import Prior
from fusin.dosimetry.time_activity import TimeActivity
from fusin.errors import InputError, NotComputable
from fusin.stats.results import Estimate

__all__ = [
    "Posterior",
    "haenscheid_factor",
    "haenscheid_mbq_h",
    "madsen_mbq_h",
    "posterior",
    "single_time_estimate",
]

FloatArray = NDArray[np.float64]
_LN2 = math.log(2.0)
_T_STEPS, _A_STEPS = 401, 121
_REACH = 6.0
_NARROWINGS, _NEGLIGIBLE = 6, 25.0


def haenscheid_factor(time_h: ArrayLike, *, t_eff_h: ArrayLike) -> FloatArray:
    """Ratio of Hänscheid's integral to the true one of a mono-exponential curve, 2x 2^(-x) with x = t / T_eff."""
    x = np.asarray(time_h, dtype=np.float64) / np.asarray(t_eff_h, dtype=np.float64)
    return np.asarray(2.0 * x * np.exp2(-x))


def haenscheid_mbq_h(activity_mbq: float, *, time_h: float) -> float:
    """Time-integrated activity from one scan without a half-life, A(t) 2t / ln 2 [MBq h].

    Raises
    ------
    InputError
        For a time or an activity that is not positive.
    """
    _positive(activity_mbq=activity_mbq, time_h=time_h)
    return activity_mbq * 2.0 * time_h / _LN2


def madsen_mbq_h(activity_mbq: float, *, time_h: float, t_eff_h: float) -> float:
    """Time-integrated activity from one scan and an effective half-life, A(t) 2^(t/T) T / ln 2 [MBq h].

    Raises
    ------
    InputError
        For a time, an activity or a half-life that is not positive.
    """
    _positive(activity_mbq=activity_mbq, time_h=time_h, t_eff_h=t_eff_h)
    return activity_mbq * math.pow(2.0, time_h / t_eff_h) * t_eff_h / _LN2


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError("single time point", name, value, "a positive number")


def _half_lives(
    prior: Prior, half_life_h: float, region: str, within: tuple[float, float] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Half-lives and their prior probabilities, cut off at physical decay; ``within`` narrows their logarithms."""
    _check_prior(prior, half_life_h, region)
    sigma = prior.sigma
    if sigma is None:
        raise NotComputable(
            f"{region}: the interval of the effective half-life",
            f"the prior {prior.id} states {prior.median_h:g} h without a spread",
            "a prior with mean_h and sd_h or median_h and gsd, or --t-eff-h with --t-eff-sd-h",
            "PRIOR_WITHOUT_SPREAD",
        )
    centre = math.log(prior.median_h)
    wide = (centre - _REACH * sigma, min(centre + _REACH * sigma, math.log(half_life_h)))
    logs = np.linspace(*(within or wide), _T_STEPS)
    weights = np.exp(-0.5 * ((logs - centre) / sigma) ** 2)
    weights[[0, -1]] *= 0.5
    return np.exp(logs), weights / weights.sum()


def _check_prior(prior: Prior, half_life_h: float, region: str) -> None:
    if prior.median_h > half_life_h * (1 + 1e-6):
        raise InputError(region, f"effective half-life of the prior {prior.id}", prior.median_h,
                         f"at most the physical half-life, {half_life_h:g} h")  # fmt: skip


def single_time_estimate(
    points: TimeActivity, method: str, *, half_life_h: float, prior: Prior | None, level: float = 0.95
) -> tuple[Estimate, float | None]:
    """Hänscheid's or Madsen's integral with the interval that the prior of the half-life and the activity give.

    Parameters
    ----------
    points : one point
    method : ``haenscheid`` or ``madsen``
    half_life_h : of the nuclide
    prior : of the effective half-life; Hänscheid's method goes without, and then has no interval
    level : of the interval

    Returns
    -------
    Estimate [MBq h] and its standard uncertainty, None without an interval.

    Raises
    ------
    NotComputable
        ``SINGLE_POINT_ONLY`` for several points; ``PRIOR_MISSING`` for Madsen's method without a half-life.
    """
    what = f"{points.region}: the {method} estimate"
    if points.n != 1:
        raise NotComputable(
            what, f"there are {points.n} points", "one point, or --model map, which uses all", "SINGLE_POINT_ONLY"
        )
    time, activity = float(points.time_h[0]), float(points.activity_mbq[0])
    if method == "haenscheid":
        value = haenscheid_mbq_h(activity, time_h=time)
        name = "Hänscheid 2018"
    else:
        if prior is None:
            raise NotComputable(what, "no effective half-life is known for it", "--t-eff-h, or --prior with a row for this region",
                                "PRIOR_MISSING")  # fmt: skip
        _check_prior(prior, half_life_h, points.region)
        value = madsen_mbq_h(activity, time_h=time, t_eff_h=prior.median_h)
        name = "Madsen 2018"
    if prior is None or prior.gsd is None:
        note = "no interval: the spread of the effective half-life is not known"
        return Estimate(value=value, low=None, high=None, method=name, n=1, level=level, note=note), None
    half_lives, weights = _half_lives(prior, half_life_h, points.region)
    values = activity * np.exp2(time / half_lives) * half_lives / _LN2
    note = ""
    if points.uncertainty_mbq is None:
        note = "the uncertainty of the activity is not stated and not in the interval"
    else:
        values, weights = _with_noise(values, weights, float(points.uncertainty_mbq[0]) / activity)
    low, high = _quantiles(values, weights, level)
    u = math.sqrt(float(np.sum(weights * (values - value) ** 2)))
    method_name = f"{name}; truth of a mono-exponential curve, prior {prior.id}"
    return Estimate(value=value, low=low, high=high, method=method_name, n=1, level=level, note=note), u


def _with_noise(values: FloatArray, weights: FloatArray, relative: float) -> tuple[FloatArray, FloatArray]:
    """Values with a normal relative error of the activity, positive part."""
    errors = np.linspace(-_REACH, _REACH, 121)
    factors = 1.0 + relative * errors
    mass = np.exp(-0.5 * errors**2) * (factors > 0)
    mass = mass / mass.sum()
    return np.outer(values, factors).ravel(), np.outer(weights, mass).ravel()


def _quantiles(values: FloatArray, weights: FloatArray, level: float) -> tuple[float, float]:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    share = (share - 0.5 * weights[order]) / share[-1]
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], share, values[order])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """Posterior distribution of a mono-exponential curve.

    Attributes
    ----------
    points, prior : what it rests on
    half_life_h : of the nuclide
    t_eff_h : (m,) half-lives
    amplitude_mbq : (m, a) activities at t = 0 for each half-life
    mass : (m, a) probabilities
    mode_t_eff_h, mode_amplitude_mbq : maximum of the density in the logarithms
    """

    points: TimeActivity
    prior: Prior
    half_life_h: float
    t_eff_h: FloatArray
    amplitude_mbq: FloatArray
    mass: FloatArray
    mode_t_eff_h: float
    mode_amplitude_mbq: float

    def _estimate(self, values: FloatArray, at: float, level: float) -> Estimate:
        low, high = _quantiles(values.ravel(), self.mass.ravel(), level)
        return Estimate(
            value=at, low=low, high=high, method=f"posterior, prior {self.prior.id}", n=self.points.n, level=level
        )

    def tia_mbq_h(self, level: float = 0.95) -> Estimate:
        """Time-integrated activity at the mode, with its credible interval [MBq h]."""
        values = self.amplitude_mbq * self.t_eff_h[:, None] / _LN2
        return self._estimate(values, self.mode_amplitude_mbq * self.mode_t_eff_h / _LN2, level)

    @property
    def tia_u_mbq_h(self) -> float:
        """Posterior standard deviation of the time-integrated activity [MBq h]."""
        values = self.amplitude_mbq * self.t_eff_h[:, None] / _LN2
        mean = float(np.sum(self.mass * values))
        return math.sqrt(float(np.sum(self.mass * (values - mean) ** 2)))

    def half_life_effective_h(self, level: float = 0.95) -> Estimate:
        """Effective half-life with its credible interval [h]."""
        values = np.broadcast_to(self.t_eff_h[:, None], self.mass.shape)
        return self._estimate(values, self.mode_t_eff_h, level)

    def amplitude_at_zero_mbq(self, level: float = 0.95) -> Estimate:
        """Activity at t = 0 with its credible interval [MBq]."""
        return self._estimate(self.amplitude_mbq, self.mode_amplitude_mbq, level)

    def band(self, time_h: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Curve at the mode with its pointwise credible band [MBq]."""
        times = np.atleast_1d(np.asarray(time_h, dtype=np.float64))
        mid = self.mode_amplitude_mbq * np.exp2(-times / self.mode_t_eff_h)
        limits = [
            _quantiles((self.amplitude_mbq * np.exp2(-t / self.t_eff_h)[:, None]).ravel(), self.mass.ravel(), level)
            for t in times.tolist()
        ]
        return mid, np.array([low for low, _ in limits]), np.array([high for _, high in limits])

    @property
    def tail_fraction(self) -> float:
        """Share of the integral beyond the last time; 1 for one point, where every part rests on the half-life."""
        return 1.0 if self.points.n == 1 else math.pow(2.0, -float(self.points.time_h[-1]) / self.mode_t_eff_h)

    @property
    def head_fraction(self) -> float:
        """Share of the integral before the first time."""
        return 1.0 - math.pow(2.0, -float(self.points.time_h[0]) / self.mode_t_eff_h)


def posterior(points: TimeActivity, prior: Prior, *, half_life_h: float) -> Posterior:
    """Posterior of a mono-exponential curve: normal errors of the activities, lognormal prior of T_eff, flat log amplitude.

    Parameters
    ----------
    points : one or more, with uncertainties
    prior : of the effective half-life, with its spread
    half_life_h : of the nuclide, at which the prior ends

    Raises
    ------
    NotComputable
        ``UNCERTAINTY_MISSING`` without uncertainties, ``PRIOR_WITHOUT_SPREAD``.
    InputError
        For a prior beyond the physical half-life.
    """
    if points.uncertainty_mbq is None:
        raise NotComputable(
            f"{points.region}: the maximum a posteriori",
            "the uncertainty of the activities is not stated",
            "a column uncertainty_mbq, or --uncertainty-percent (of images --random-u-percent)",
            "UNCERTAINTY_MISSING",
        )
    half_lives, weights = _half_lives(prior, half_life_h, points.region)
    power, best, misfit = _profile(points, half_lives)
    for _ in range(_NARROWINGS):
        # A prior much wider than what the points say is looked at where the posterior lies.
        score = np.log(np.maximum(weights, 1e-300)) - 0.5 * misfit
        kept = np.flatnonzero(score > score.max() - _NEGLIGIBLE)
        first, last = max(int(kept[0]) - 1, 0), min(int(kept[-1]) + 1, half_lives.size - 1)
        if last - first > half_lives.size // 2:
            break
        within = (math.log(half_lives[first]), math.log(half_lives[last]))
        half_lives, weights = _half_lives(prior, half_life_h, points.region, within)
        power, best, misfit = _profile(points, half_lives)
    steps = np.linspace(-_REACH, _REACH, _A_STEPS)
    spread = 1.0 / np.sqrt(power)
    amplitude = best[:, None] + spread[:, None] * steps
    positive = amplitude > 0
    # A flat prior of log A is 1/A in A.
    safe = np.where(positive, amplitude, 1.0)
    density = np.where(positive, np.exp(-0.5 * steps**2) / safe, 0.0) * spread[:, None]
    mass = weights[:, None] * np.exp(-0.5 * (misfit - misfit.min()))[:, None] * density
    t_mode, a_mode = _mode(half_lives, weights, misfit, best)
    return Posterior(
        points=points, prior=prior, half_life_h=half_life_h, t_eff_h=half_lives, amplitude_mbq=safe,
        mass=mass / mass.sum(), mode_t_eff_h=t_mode, mode_amplitude_mbq=a_mode,
    )  # fmt: skip


def _profile(points: TimeActivity, half_lives: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For each half-life: information on the amplitude, its best value, and chi-squared there."""
    assert points.uncertainty_mbq is not None
    w = 1.0 / points.uncertainty_mbq**2
    decays = np.exp2(-points.time_h[None, :] / half_lives[:, None])
    # A half-life so short that nothing is left at the scans explains nothing.
    power = np.maximum(np.sum(w * decays**2, axis=1), 1e-280)
    best = np.sum(w * decays * points.activity_mbq, axis=1) / power
    misfit = np.sum(w * (points.activity_mbq - best[:, None] * decays) ** 2, axis=1)
    return power, np.maximum(best, 1e-280), misfit


def _mode(half_lives: FloatArray, weights: FloatArray, misfit: FloatArray, best: FloatArray) -> tuple[float, float]:
    """Maximum of the density in (log T, log A), between the steps of T by a parabola."""
    inner = weights.copy()
    inner[[0, -1]] *= 2.0
    score = np.log(inner) - 0.5 * misfit
    place = int(np.argmax(score))
    logs = np.log(half_lives)
    at = float(logs[place])
    if 0 < place < logs.size - 1:
        below, here, above = score[place - 1 : place + 2].tolist()
        at += 0.5 * float(logs[1] - logs[0]) * (below - above) / (below - 2 * here + above)
    return math.exp(at), float(np.exp(np.interp(at, logs, np.log(best))))
