"""Sums of exponentials and their least-squares fit: amplitudes solved, rates searched (variable projection).

Every curve is A(t) = sum a_j exp(-lambda_j t) with lambda_1 < lambda_2 < ... and no rate below that of physical decay:

============  ==========================================================  ==========
model         curve                                                       parameters
============  ==========================================================  ==========
mono          a1 e1                                                       2
uptake-bi     a1 (e1 - e2): nothing at t = 0                              3
bi            a1 e1 + a2 e2, both amplitudes positive                     4
tri           a1 e1 + a2 e2 + a3 e3, a1 and the activity at t = 0 positive  6
============  ==========================================================  ==========

The rates are searched on a grid first and then by Levenberg-Marquardt steps with Kaufman's Jacobian, so that no starting value
is needed; many data sets of one schedule are fitted at once, as a bootstrap needs.

References
----------
Golub G, Pereyra V, SIAM J Numer Anal 1973;10:413 (variable projection) · Kaufman L, BIT 1975;15:49.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = ["MODELS", "CurveModel", "Minimum", "curve_model", "minimise"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_STEPS = 300
_STARTS = 6
_GRID = {1: 120, 2: 60, 3: 26}
# exp(-30) is below any scan: a faster rate leaves no trace at the first time.
_FASTEST = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class CurveModel:
    """One sum of exponentials.

    Attributes
    ----------
    name : as the option ``--model`` has it
    rates : number of rates
    mixing : (rates, m) turns the m free amplitudes into those of the exponentials
    positive : free amplitudes that cannot be negative
    """

    name: str
    rates: int
    mixing: FloatArray
    positive: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Number of free parameters k."""
        return self.rates + int(self.mixing.shape[1])

    def exponentials(self, time_h: FloatArray, rates_per_h: FloatArray) -> FloatArray:
        """Return exp(-lambda_j t), shape (..., n, rates), for rates of shape (..., rates)."""
        return np.asarray(np.exp(-time_h[:, None] * rates_per_h[..., None, :]))


MODELS: Mapping[str, CurveModel] = {
    m.name: m
    for m in (
        CurveModel("mono", 1, np.eye(1), (0,)),
        CurveModel("uptake-bi", 2, np.array([[1.0], [-1.0]]), (0,)),
        CurveModel("bi", 2, np.eye(2), (0, 1)),
        CurveModel("tri", 3, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 1.0]]), (0, 2)),
    )
}


def curve_model(name: str) -> CurveModel:
    """The model of a name.

    Raises
    ------
    InputError
        For another name.
    """
    if name not in MODELS:
        raise InputError("time-activity curve", "model", name, "one of " + ", ".join(MODELS))
    return MODELS[name]


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Minima of B data sets.

    Attributes
    ----------
    rates_per_h : (B, rates)
    free : (B, m) free amplitudes
    rss : (B,) weighted sums of squared residuals
    slowest_per_h, fastest_per_h : limits of the search
    """

    rates_per_h: FloatArray
    free: FloatArray
    rss: FloatArray
    slowest_per_h: float
    fastest_per_h: float


def minimise(
    model: CurveModel,
    time_h: FloatArray,
    activity: FloatArray,
    root: FloatArray,
    *,
    slowest_per_h: float,
    start: FloatArray | None = None,
) -> Minimum:
    """Smallest weighted sum of squares for each data set.

    Parameters
    ----------
    model : the curve
    time_h : (n,) times, increasing, not negative
    activity : (n,) or (B, n) activities
    root : (n,) square roots of the weights, or (B, n)
    slowest_per_h : decay constant of the nuclide, the lower limit of every rate
    start : (rates,) starting rates; a grid over all rates is searched without them
    """
    data = np.atleast_2d(activity) * root
    roots = np.broadcast_to(np.atleast_2d(root), data.shape)
    after = time_h[time_h > 0]
    fastest = max(_FASTEST / float(after[0]) if after.size else 0.0, 100.0 * slowest_per_h)
    limits = (np.log(slowest_per_h), np.log(fastest))
    if start is not None:
        logs = np.broadcast_to(np.log(np.clip(start, slowest_per_h, fastest)), (len(data), model.rates)).copy()
        logs, free, rss = _descend(model, time_h, data, roots, logs, limits)
    else:
        found = [_from_grid(model, time_h, data[i], roots[i], limits) for i in range(len(data))]
        logs, free, rss = (np.stack([f[part] for f in found]) for part in range(3))
    return Minimum(np.exp(logs), free, rss, slowest_per_h, fastest)


def _from_grid(
    model: CurveModel, time_h: FloatArray, data: FloatArray, root: FloatArray, limits: tuple[float, float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Best of several starts of one data set."""
    grid = np.linspace(*limits, _GRID[model.rates])
    places = np.array(list(itertools.combinations(range(grid.size), model.rates)))
    points = grid[places]
    phi = _basis(model, time_h, np.exp(points)) * root[:, None]
    _, rss = _amplitudes(model, phi, np.broadcast_to(data, (len(points), data.size)))
    chosen: list[int] = []
    for index in np.argsort(rss, kind="stable"):
        far = all(np.abs(places[index] - places[c]).max() > 2 for c in chosen)
        if far:
            chosen.append(int(index))
        if len(chosen) == _STARTS:
            break
    many = np.broadcast_to(data, (len(chosen), data.size))
    logs, free, rss = _descend(model, time_h, many, np.broadcast_to(root, many.shape), points[chosen], limits)
    best = int(np.argmin(rss))
    return logs[best], free[best], rss[best]


def _basis(model: CurveModel, time_h: FloatArray, rates: FloatArray) -> FloatArray:
    return np.asarray(model.exponentials(time_h, rates) @ model.mixing)


def _amplitudes(model: CurveModel, phi: FloatArray, data: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Free amplitudes (B, m) of least squares under their signs, and the sums of squares (B,)."""
    size, m = len(phi), phi.shape[-1]
    best, lowest = np.zeros((size, m)), np.sum(data**2, axis=-1)
    open_ = np.ones(size, dtype=bool)
    subsets = (s for count in range(len(model.positive) + 1) for s in itertools.combinations(model.positive, count))
    for dropped in subsets:
        if not open_.any():
            break
        keep = [i for i in range(m) if i not in dropped]
        if not keep:
            continue
        at = np.flatnonzero(open_)
        part = phi[at][:, :, keep]
        solved = np.einsum("bij,bj->bi", np.linalg.pinv(part, rcond=1e-13), data[at])
        signed = [k for k, i in enumerate(keep) if i in model.positive]
        feasible = (solved[:, signed] >= 0).all(axis=1)
        rss = np.sum((data[at] - np.einsum("bni,bi->bn", part, solved)) ** 2, axis=-1)
        better = feasible & (rss <= lowest[at])
        rows = at[better]
        best[rows] = 0.0
        best[np.ix_(rows, np.array(keep))] = solved[better]
        lowest[rows] = rss[better]
        if not dropped:
            # Without a sign broken the free minimum is the minimum.
            open_[at[feasible]] = False
    return best, lowest


def _descend(
    model: CurveModel,
    time_h: FloatArray,
    data: FloatArray,
    root: FloatArray,
    logs: FloatArray,
    limits: tuple[float, float],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Levenberg-Marquardt steps in the logarithms of the rates, within their limits, until they stand still."""
    logs = logs.copy()
    phi = _basis(model, time_h, np.exp(logs)) * root[..., None]
    free, rss = _amplitudes(model, phi, data)
    damping = np.full(len(data), 1e-3)
    moving = np.ones(len(data), dtype=bool)
    for _ in range(_STEPS):
        at = np.flatnonzero(moving)
        if not at.size:
            break
        step = _step(model, time_h, data[at], root[at], logs[at], free[at], damping[at], limits)
        tried = np.clip(logs[at] + step, *limits)
        phi = _basis(model, time_h, np.exp(tried)) * root[at][..., None]
        new_free, new_rss = _amplitudes(model, phi, data[at])
        better = new_rss < rss[at]
        moved = np.abs(tried - logs[at]).max(axis=1)
        # A short step that brings nothing is lost in rounding; shorter ones would be as well.
        still = (moved < 1e-12) | (~better & (moved < 1e-8))
        rows = at[better]
        logs[rows], free[rows], rss[rows] = tried[better], new_free[better], new_rss[better]
        damping[at] = np.where(better, damping[at] * 0.2, damping[at] * 5.0)
        moving[at[still | (damping[at] > 1e14)]] = False
    return logs, free, rss


def _step(
    model: CurveModel,
    time_h: FloatArray,
    data: FloatArray,
    root: FloatArray,
    logs: FloatArray,
    free: FloatArray,
    damping: FloatArray,
    limits: tuple[float, float],
) -> FloatArray:
    """Steps (B, rates) of Kaufman's variant of variable projection."""
    rates = np.exp(logs)
    decays = model.exponentials(time_h, rates)
    # A column whose amplitude stands at zero does not take part.
    phi = (decays @ model.mixing) * root[..., None] * (free != 0.0)[:, None, :]
    residual = data - np.einsum("bni,bi->bn", phi, free)
    amplitude = free @ model.mixing.T
    slopes = -time_h[:, None] * decays * (rates * amplitude)[:, None, :] * root[..., None]
    slopes = slopes - phi @ (np.linalg.pinv(phi, rcond=1e-13) @ slopes)
    gradient = np.einsum("bnj,bn->bj", slopes, residual)
    stuck = ((logs <= limits[0]) & (gradient < 0)) | ((logs >= limits[1]) & (gradient > 0))
    slopes = slopes * ~stuck[:, None, :]
    gradient = gradient * ~stuck
    normal = np.einsum("bni,bnj->bij", slopes, slopes)
    size = np.einsum("bii->bi", normal)
    floor = 1e-30 + 1e-14 * size.max(axis=1, keepdims=True)
    normal = normal + np.eye(model.rates) * (size * damping[:, None] + floor)[:, None, :]
    step = np.linalg.solve(normal, gradient[..., None])[..., 0]
    return np.asarray(np.clip(step, -2.0, 2.0))
