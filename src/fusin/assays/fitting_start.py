"""Starting points of a fit: candidates of the models, with their linear parameters solved, and seeded variations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fusin.assays.fitting_solver import Problem
from fusin.assays.models import Model

__all__ = ["grid_starts", "solved_linear", "varied_starts"]

FloatArray = NDArray[np.float64]
_MOST = 400


def grid_starts(
    problem: Problem,
    models: Sequence[Model],
    bases: Sequence[str],
    root: FloatArray,
    *,
    keep: int,
) -> FloatArray:
    """Best points of a grid over the non-linear parameters.

    Parameters
    ----------
    problem : curves and data
    models : the model of each piece
    bases : for each free parameter its name within its model
    root : (n,) square roots of the weights
    keep : points wanted

    Returns
    -------
    array
        (b, k) points, the best first; empty where no model offers candidates for all its non-linear parameters.
    """
    linear = {name for model in models for name in model.linear}
    others = sorted({base for base in bases if base not in linear})
    offered = _offered(problem, models)
    if any(base not in offered for base in others):
        return np.empty((0, len(bases)))
    grid = list(itertools.product(*(offered[base] for base in others)))
    if len(grid) > _MOST:
        chosen = np.linspace(0, len(grid) - 1, _MOST).round().astype(int)
        grid = [grid[i] for i in chosen]
    theta = np.zeros((len(grid), len(bases)))
    for column, base in enumerate(others):
        for place in (i for i, b in enumerate(bases) if b == base):
            theta[:, place] = [point[column] for point in grid]
    theta, rss = solved_linear(problem, theta, models, bases, root)
    order = np.argsort(rss, kind="stable")
    best: FloatArray = theta[order[np.isfinite(rss[order])]][:keep]
    return best


def _offered(problem: Problem, models: Sequence[Model]) -> Mapping[str, Sequence[float]]:
    """Candidates by parameter; those of the first piece that offers any, over the range of all pieces."""
    everything = [np.asarray(piece.x, dtype=float) for piece in problem.pieces]
    found: dict[str, Sequence[float]] = {}
    for model in models:
        same = [x for x, m in zip(everything, models, strict=True) if m is model]
        for name, values in model.candidates(np.concatenate(same, axis=-1)).items():
            found.setdefault(name, values)
    return found


def solved_linear(
    problem: Problem, theta: FloatArray, models: Sequence[Model], bases: Sequence[str], root: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Put the best linear parameters into points (b, k); the curve is linear in them, so one step leads there.

    Returns
    -------
    tuple
        New points and their sums of squares, infinite where a curve is no number.
    """
    linear = {name for model in models for name in model.linear}
    places = [i for i, base in enumerate(bases) if base in linear]
    theta = theta.copy()
    with np.errstate(all="ignore"):
        curve, jacobian = problem.with_slopes(theta)
        residual = (problem.y - curve) * root
        if not places:
            rss = np.sum(residual**2, axis=-1)
            return theta, np.where(np.isfinite(rss), rss, np.inf)
        columns = jacobian[..., places] * root[:, None]
        usable = np.isfinite(columns).all(axis=(-2, -1)) & np.isfinite(residual).all(axis=-1)
        columns[~usable], residual[~usable] = 0.0, 0.0
        move = np.matmul(np.linalg.pinv(columns, rcond=1e-10), residual[..., None])[..., 0]
        theta[:, places] += move
        residual = residual - np.matmul(columns, move[..., None])[..., 0]
        rss = np.where(usable, np.sum(residual**2, axis=-1), np.inf)
    return theta, np.where(np.isfinite(rss), rss, np.inf)


def varied_starts(start: FloatArray, *, count: int, seed: int) -> FloatArray:
    """Return a start and seeded variations of it, ever wider ones, some with the other sign.

    Parameters
    ----------
    start : (k,) point
    count : variations beside the start itself; their lognormal factors have a sigma from 0.5 to 3
    seed : of the variations
    """
    rng = np.random.default_rng(seed)
    widths = np.linspace(0.5, 3.0, count)[:, None]
    factors = np.exp(widths * rng.normal(size=(count, start.size)))
    turned = rng.random((count, start.size)) < 0.1
    shifts = np.where(start == 0, rng.normal(size=factors.shape), 0.0)
    return np.vstack([start[None], start * factors * np.where(turned, -1.0, 1.0) + shifts])
