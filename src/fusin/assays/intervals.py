"""Intervals of fitted parameters: profile likelihood, bootstrap, and the symmetric one of the standard error.

The profile is the default: it holds under any monotone change of a parameter (nM or log M), and it says when the data do not
bound a parameter at all. Such a side stays open (None); no number is invented for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fusin.assays.fitting import Fit, refit
from fusin.assays.fitting_solver import refine
from fusin.errors import InputError, NotComputable
from fusin.stats.results import Estimate

__all__ = [
    "INTERVAL_WORDS",
    "IntervalMethod",
    "band",
    "bootstrap_draws",
    "critical_value",
    "derived",
    "intervals",
    "profiled",
]

FloatArray = NDArray[np.float64]
IntervalMethod = Literal["profile", "wald", "bootstrap", "bootstrap-cases"]
INTERVAL_WORDS = {
    "profile": "profile likelihood",
    "wald": "Wald, t distribution",
    "bootstrap": "bootstrap of residuals, BCa",
    "bootstrap-cases": "bootstrap of points, BCa",
}
"""What a report calls each method."""

_OPEN_UP, _OPEN_DOWN = "upper limit open: the data do not bound it", "lower limit open: the data do not bound it"
_EXACT = "the curve goes through every point"
# How far a profile is followed before a side counts as open, in units of the symmetric interval.
_FARTHEST = 2000.0
_TURNS = 60
_FLAT = 1e-3
# A fall of the sum of squares, in units of s², that counts as another minimum and not as rounding.
_LOWER = 1e-4
_CLOSE = 1e-6
# Share of the range in which a parameter is followed (12 decades or more) that counts as its edge.
_FENCE = 0.05


def intervals(
    found: Fit,
    *,
    method: IntervalMethod = "profile",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> dict[str, Estimate]:
    """Intervals of the free parameters by name.

    Parameters
    ----------
    found : the fit
    method : ``profile``, ``wald``, ``bootstrap`` (residuals) or ``bootstrap-cases`` (points)
    level : confidence level
    resamples, seed : of the bootstrap
    names : parameters wanted; all without it

    Raises
    ------
    InputError
        For an unknown method or a level outside 0 to 1.
    """
    if method not in get_args(IntervalMethod):
        raise InputError("interval", "method", method, "one of " + ", ".join(get_args(IntervalMethod)))
    wanted = tuple(found.names if names is None else names)
    if method == "profile":
        return profiled(found, level=level, names=wanted)[1]
    if method == "wald":
        return {name: _wald(found, name, level) for name in wanted}
    draws = bootstrap_draws(found, resamples=resamples, seed=seed, cases=method == "bootstrap-cases")
    return {name: _bca(found, name, draws, level, method) for name in wanted}


def critical_value(found: Fit, level: float) -> float:
    """Two-sided quantile: of t, or of the normal distribution where the standard deviations are known.

    Raises
    ------
    InputError
        When the level is not between 0 and 1.
    """
    from scipy.special import ndtri, stdtrit

    if not 0.0 < level < 1.0:
        raise InputError("interval", "level", level, "a level between 0 and 1, such as 0.95")
    return float(ndtri(0.5 + level / 2) if found.noise == "given" else stdtrit(found.df, 0.5 + level / 2))


def _wald(found: Fit, name: str, level: float) -> Estimate:
    value, half = found.values[name], critical_value(found, level) * found.se[name]
    return _estimate(found, value, value - half, value + half, level, "wald")


def _estimate(
    found: Fit, value: float, low: float | None, high: float | None, level: float, method: IntervalMethod
) -> Estimate:
    if found.exact:
        low = high = value
    notes = [_EXACT] if found.exact else []
    notes += [_OPEN_DOWN] if low is None else []
    notes += [_OPEN_UP] if high is None else []
    return Estimate(
        value=value, low=low, high=high, method=INTERVAL_WORDS[method], n=found.n, level=level, note="; ".join(notes)
    )


def profiled(found: Fit, *, level: float = 0.95, names: Sequence[str] | None = None) -> tuple[Fit, dict[str, Estimate]]:
    """Profile-likelihood intervals, and the fit they belong to.

    Along each parameter the others are fitted anew, until the sum of squares has risen to s² t² above its minimum
    (Venzon, Moolgavkar, Appl Stat 1988;37:87; Bates, Watts, Nonlinear Regression Analysis, 1988, section 6.1).

    Parameters
    ----------
    found : the fit
    level : confidence level
    names : parameters wanted; all without it

    Returns
    -------
    tuple
        The fit, which is a lower minimum than ``found`` where a profile met one, and the intervals by name.
    """
    wanted = tuple(found.names if names is None else names)
    for _ in range(4):
        if found.exact:
            return found, {n: _estimate(found, found.values[n], None, None, level, "profile") for n in wanted}
        walk = _Walk.begin(found, wanted, critical_value(found, level))
        lower = walk.run()
        if lower is None:
            limits = walk.limits()
            return found, {
                n: _estimate(found, found.values[n], limits[2 * i], limits[2 * i + 1], level, "profile")
                for i, n in enumerate(wanted)
            }
        found = refit(found, lower)
    raise NotComputable(
        found.what,
        "the search keeps finding lower minima along the profiles",
        "a simpler model or more points",
        "FIT_NO_MINIMUM",
    )


@dataclass(slots=True, eq=False)
class _Walk:
    """Two elements for each parameter, one per side, that look for the place where the profile crosses its limit."""

    found: Fit
    places: NDArray[np.intp]
    sides: FloatArray
    target: float
    unit: FloatArray
    theta: FloatArray
    inner: FloatArray
    inner_tau: FloatArray
    outer: FloatArray
    outer_tau: FloatArray
    shift: FloatArray
    done: NDArray[np.bool_]
    open: NDArray[np.bool_]

    @classmethod
    def begin(cls, found: Fit, names: Sequence[str], target: float) -> _Walk:
        places = np.repeat([found.names.index(n) for n in names], 2)
        sides = np.tile([-1.0, 1.0], len(names))
        unit = target * np.sqrt(np.diag(found.covariance))[places]
        b = places.size
        return cls(
            found=found, places=places, sides=sides, target=target, unit=unit,
            theta=np.tile(found.theta, (b, 1)), inner=np.zeros(b), inner_tau=np.zeros(b),
            outer=np.full(b, np.inf), outer_tau=np.full(b, np.inf), shift=unit.copy(),
            done=np.zeros(b, dtype=bool), open=np.zeros(b, dtype=bool),
        )  # fmt: skip

    def run(self) -> FloatArray | None:
        """Walk until each element has its limit or counts as open; a lower minimum that is met is returned at once."""
        base = self.found.weighted_rss
        for _ in range(_TURNS):
            at = np.flatnonzero(~self.done)
            if not at.size:
                return None
            theta, rss = self._solve(at)
            lower = rss < base - _LOWER * self.found.variance
            if lower.any():
                best: FloatArray = theta[int(np.argmin(rss))]
                return best
            with np.errstate(invalid="ignore"):
                tau = np.sqrt(np.maximum(rss - base, 0.0) / self.found.variance)
            self._note(at, theta, tau)
            self._propose(at)
        # A side that 60 turns did not settle has no limit that anybody should rely on.
        self.open |= ~self.done
        return None

    def _fenced(self) -> NDArray[np.bool_]:
        """Sides whose limit is that of the search: a parameter stands where it is not followed any farther."""
        low, high = self.found.problem.low, self.found.problem.high
        with np.errstate(invalid="ignore"):
            room = _FENCE * (high - low)
            near = (self.theta - low < room) | (high - self.theta < room)
        return np.asarray((near & np.isfinite(room)).any(axis=1), dtype=bool)

    def _solve(self, at: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """Fit the other parameters at the proposed places, from the nearest point known."""
        start = self.theta[at].copy()
        rows = np.arange(at.size)
        place = self.places[at]
        goal = self.found.theta[place] + self.sides[at] * self.shift[at]
        covariance = self.found.covariance
        # Others move along the ridge that the covariance describes; it is exact for a linear model.
        ridge = covariance[:, place].T / covariance[place, place][:, None]
        start += ridge * (goal - start[rows, place])[:, None]
        start[rows, place] = goal
        plain = self.theta[at].copy()
        plain[rows, place] = goal
        frozen = np.zeros(start.shape, dtype=bool)
        frozen[rows, place] = True
        problem, root = self.found.problem, self.found.root
        theta, rss = refine(
            problem, np.vstack([start, plain]), root, frozen=np.vstack([frozen, frozen]), tolerance=1e-9
        )
        first, second = rss[: at.size], rss[at.size :]
        return np.where((first <= second)[:, None], theta[: at.size], theta[at.size :]), np.minimum(first, second)

    def _note(self, at: NDArray[np.intp], theta: FloatArray, tau: FloatArray) -> None:
        below = tau < self.target
        near, far = at[below], at[~below]
        # Ever farther and no higher: the profile has reached a level that lies below its limit.
        going = (self.inner[near] > 2 * self.unit[near]) & (self.shift[near] > self.inner[near])
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = (tau[below] - self.inner_tau[near]) / np.log(self.shift[near] / self.inner[near])
        flat = going & ~np.isfinite(self.outer[near]) & (rise <= _FLAT * self.target)
        self.open[near[flat]] = True
        self.inner[near], self.inner_tau[near] = self.shift[near], tau[below]
        self.theta[near] = theta[below]
        self.outer[far], self.outer_tau[far] = self.shift[far], tau[~below]
        close = np.abs(tau - self.target) <= _CLOSE * self.target
        narrow = np.isfinite(self.outer[at]) & (self.inner[at] >= (1 - 1e-9) * self.outer[at])
        # A jump to where no curve can be computed is no crossing.
        self.open[at[narrow & ~close & (self.inner_tau[at] < (1 - 1e-4) * self.target)]] = True
        lost = ~np.isfinite(self.outer[at]) & (self.shift[at] > _FARTHEST * self.unit[at])
        self.open[at[lost]] = True
        self.done[at] = close | narrow | self.open[at]

    def _propose(self, at: NDArray[np.intp]) -> None:
        for i in at[~self.done[at]].tolist():
            a, ta, b, tb = self.inner[i], self.inner_tau[i], self.outer[i], self.outer_tau[i]
            if not np.isfinite(b):
                stretch = min(max(self.target / ta, 1.05), 4.0) if ta > 0 else 4.0
                self.shift[i] = a * stretch if a > 0 else 4.0 * self.shift[i]
                continue
            share = (self.target - ta) / (tb - ta) if np.isfinite(tb) else 0.5
            # Kept off the ends, so that each turn narrows the bracket from both sides.
            self.shift[i] = a + min(max(share, 0.03), 0.97) * (b - a)

    def limits(self) -> list[float | None]:
        """Low and high of each parameter in turn; None for an open side."""
        values = self.found.theta[self.places] + self.sides * self.shift
        gone = self.open | self._fenced()
        return [None if g else float(v) for v, g in zip(values, gone, strict=True)]


def bootstrap_draws(found: Fit, *, resamples: int = 2000, seed: int = 0, cases: bool = False) -> FloatArray:
    """Refit resampled data.

    Parameters
    ----------
    found : the fit
    resamples, seed : number and seed of the resamples
    cases : draw points instead of residuals

    Returns
    -------
    array
        (resamples, k) parameters; rows of NaN where a resample has no minimum. Residuals are weighted, centred and
        widened by √(n/(n-k)), because fitted residuals are smaller than the scatter (Davison, Hinkley 1997, chapter 7).
    """
    rng = np.random.default_rng(seed)
    problem, root, n = found.problem, found.root, found.n
    theta = np.tile(found.theta, (resamples, 1))
    curve = problem.curve(found.theta[None])[0]
    if cases:
        rows = rng.integers(n, size=(resamples, n))
        counts = np.zeros((resamples, n))
        np.add.at(counts, (np.arange(resamples)[:, None], rows), 1.0)
        drawn, rss = refine(problem, theta, root * np.sqrt(counts), iterations=60, tolerance=1e-8)
    else:
        residual = (problem.y - curve) * root
        residual = (residual - residual.mean()) * np.sqrt(n / max(found.df, 1))
        y = curve + residual[rng.integers(n, size=(resamples, n))] / root
        drawn, rss = refine(problem, theta, root, y=y, iterations=60, tolerance=1e-8)
    drawn[~np.isfinite(rss)] = np.nan
    return drawn


def _bca(found: Fit, name: str, draws: FloatArray, level: float, method: IntervalMethod) -> Estimate:
    """Bias-corrected and accelerated percentile interval (Efron 1987), acceleration from the jackknife."""
    from scipy.special import ndtr, ndtri

    place = found.names.index(name)
    value = found.values[name]
    if found.exact:
        return _estimate(found, value, value, value, level, method)
    column = draws[np.isfinite(draws[:, place]), place]
    if column.size < 0.9 * len(draws):
        raise NotComputable(
            found.what, f"{len(draws) - column.size} of {len(draws)} resamples have no minimum", "the profile interval",
            "FIT_BOOTSTRAP_FAILED",
        )  # fmt: skip
    below = (np.sum(column < value) + 0.5 * np.sum(column == value)) / column.size
    shift = float(ndtri(np.clip(below, 0.5 / column.size, 1 - 0.5 / column.size)))
    left_out = _jackknife(found)[:, place]
    away = np.nanmean(left_out) - left_out[np.isfinite(left_out)]
    spread = float(np.sum(away**2)) ** 1.5
    bend = float(np.sum(away**3)) / (6.0 * spread) if spread > 0 else 0.0
    ends = []
    for z in (ndtri((1 - level) / 2), ndtri((1 + level) / 2)):
        ends.append(float(ndtr(shift + (shift + z) / (1 - bend * (shift + z)))))
    low, high = np.quantile(column, ends)
    return _estimate(found, value, float(low), float(high), level, method)


def _jackknife(found: Fit) -> FloatArray:
    """(n, k) parameters with each point left out in turn."""
    weights = np.ones((found.n, found.n)) - np.eye(found.n)
    drawn, rss = refine(
        found.problem, np.tile(found.theta, (found.n, 1)), found.root * weights, iterations=60, tolerance=1e-8
    )
    drawn[~np.isfinite(rss)] = np.nan
    return drawn


def derived(
    found: Fit, function: Callable[[Mapping[str, Any]], Any], *, level: float = 0.95, note: str = ""
) -> tuple[Estimate, float]:
    """A number computed from parameters, with its interval by the delta method, and its standard error.

    Parameters
    ----------
    found : the fit
    function : of the parameters by name; must accept complex numbers (the gradient is a complex step)
    level : confidence level
    note : what a reader must know
    """
    value = float(np.real(function(found.values)))
    gradient = np.empty(len(found.names))
    for i, name in enumerate(found.names):
        stepped: dict[str, Any] = dict(found.values)
        stepped[name] = found.values[name] + 1e-30j
        gradient[i] = np.imag(function(stepped)) / 1e-30
    se = float(np.sqrt(gradient @ found.covariance @ gradient))
    half = critical_value(found, level) * se
    estimate = Estimate(
        value=value, low=value - half, high=value + half, method="delta method, t distribution", n=found.n, level=level,
        note=note,
    )  # fmt: skip
    return estimate, se


def band(
    found: Fit, x: FloatArray, *, dataset: str | None = None, level: float = 0.95
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Curve with its pointwise confidence band by the delta method.

    Parameters
    ----------
    found : the fit
    x : where; (n,) or (m, n)
    dataset : which curve
    level : confidence level

    Returns
    -------
    tuple
        Curve, lower and upper limit, each (n,).
    """
    piece = found.problem.pieces[found.place(dataset)]
    curve, slopes = piece.with_slopes(found.theta, x)
    free = piece.free()
    covariance = found.covariance[np.ix_(free, free)]
    half = critical_value(found, level) * np.sqrt(np.einsum("in,ij,jn->n", slopes, covariance, slopes))
    return curve, curve - half, curve + half
