"""Least squares for many starting points, data sets or fixed parameters at once.

The Jacobian comes from complex steps (Squire, Trapp, SIAM Rev 1998;40:110), which have no rounding error of differences;
the steps are those of Levenberg and Marquardt, scaled by the columns, so that nanomoles and molar are the same problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Piece", "Problem", "refine"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_STEP = 1e-30
_TINY = 1e-300
# Beyond this the products of the normal equations leave the range of numbers.
_HUGE = 1e120


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One curve of a problem.

    Attributes
    ----------
    function : ``function(x, *arguments)``
    x : (n,) or (m, n)
    slots : for each argument the place of its parameter, or None for a constant
    constants : for each argument the constant, where there is one
    rows : its points among all points of the problem
    """

    function: Callable[..., Any]
    x: FloatArray
    slots: tuple[int | None, ...]
    constants: tuple[float, ...]
    rows: slice

    def evaluate(self, theta: Any, x: FloatArray | None = None) -> Any:
        """The curve for parameters of shape (..., k): shape (..., n)."""
        arguments = [
            constant if slot is None else theta[..., slot, None]
            for slot, constant in zip(self.slots, self.constants, strict=True)
        ]
        with np.errstate(all="ignore"):
            return self.function(self.x if x is None else x, *arguments)

    def free(self) -> list[int]:
        """Places of the parameters that the curve depends on, each once."""
        return sorted({s for s in self.slots if s is not None})

    def with_slopes(self, theta: FloatArray, x: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Curve (..., n) and its derivatives (..., m, n) by the ``free()`` parameters."""
        free = self.free()
        stepped = np.repeat(theta[..., None, :].astype(complex), max(len(free), 1), axis=-2)
        for row, slot in enumerate(free):
            stepped[..., row, slot] += 1j * _STEP
        found = np.asarray(self.evaluate(stepped, x))
        n = (self.x if x is None else x).shape[-1]
        found = np.broadcast_to(found, (*stepped.shape[:-1], n))
        with np.errstate(all="ignore"):
            slopes = found.imag[..., : len(free), :] / _STEP
        return found[..., 0, :].real, slopes


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Curves with their data.

    Attributes
    ----------
    names : of the k free parameters
    pieces : the curves
    y : (n,) responses
    low, high : (k,) limits beyond which parameters are not followed
    """

    names: tuple[str, ...]
    pieces: tuple[Piece, ...]
    y: FloatArray
    low: FloatArray
    high: FloatArray

    def curve(self, theta: FloatArray) -> FloatArray:
        """All curves for parameters of shape (..., k): shape (..., n)."""
        out = np.empty((*theta.shape[:-1], self.y.size))
        for piece in self.pieces:
            out[..., piece.rows] = piece.evaluate(theta)
        return out

    def with_slopes(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Curves (..., n) and Jacobian (..., n, k)."""
        curve = np.empty((*theta.shape[:-1], self.y.size))
        jacobian = np.zeros((*curve.shape, len(self.names)))
        for piece in self.pieces:
            value, slopes = piece.with_slopes(theta)
            curve[..., piece.rows] = value
            for row, slot in enumerate(piece.free()):
                jacobian[..., piece.rows, slot] = slopes[..., row, :]
        return curve, jacobian


def refine(
    problem: Problem,
    theta: FloatArray,
    root: FloatArray,
    *,
    y: FloatArray | None = None,
    frozen: BoolArray | None = None,
    iterations: int = 200,
    tolerance: float = 1e-14,
) -> tuple[FloatArray, FloatArray]:
    """Minimise the sum of squares from several points at once.

    Parameters
    ----------
    problem : curves and data
    theta : (b, k) starting points
    root : (n,) or (b, n) square roots of the weights
    y : (b, n) responses where they differ from those of the problem
    frozen : (b, k) parameters that stay as they are
    iterations : most steps
    tolerance : expected relative fall of the sum of squares at which an element is finished

    Returns
    -------
    tuple
        (b, k) parameters and (b,) sums of squares; infinite where a start cannot be evaluated.
    """
    state = _State.begin(problem, theta, root, y, frozen)
    for _ in range(iterations):
        if not state.step(problem, tolerance):
            break
    return state.theta, state.rss


@dataclass(slots=True, eq=False)
class _State:
    """Elements on their way: parameters, residuals, Jacobians, damping, and which still move."""

    theta: FloatArray
    y: FloatArray
    root: FloatArray
    frozen: BoolArray
    residual: FloatArray
    jacobian: FloatArray
    rss: FloatArray
    damping: FloatArray
    growth: FloatArray
    moving: BoolArray

    @classmethod
    def begin(
        cls, problem: Problem, theta: FloatArray, root: FloatArray, y: FloatArray | None, frozen: BoolArray | None
    ) -> _State:
        theta = np.array(theta, dtype=float)
        b, k = theta.shape
        n = problem.y.size
        y = np.broadcast_to(problem.y if y is None else y, (b, n))
        root = np.broadcast_to(root, (b, n))
        frozen = np.zeros((b, k), dtype=bool) if frozen is None else frozen
        residual, jacobian, rss = _evaluate(problem, theta, y, root)
        return cls(
            theta=theta, y=y, root=root, frozen=frozen, residual=residual, jacobian=jacobian, rss=rss,
            damping=np.full(b, 1e-3), growth=np.full(b, 4.0), moving=np.isfinite(rss),
        )  # fmt: skip

    def step(self, problem: Problem, tolerance: float) -> bool:
        """One step of each moving element; False when none is left."""
        at = np.flatnonzero(self.moving)
        if not at.size:
            return False
        jac, res = self.jacobian[at], self.residual[at]
        normal = np.matmul(jac.transpose(0, 2, 1), jac)
        slope = np.matmul(jac.transpose(0, 2, 1), res[..., None])[..., 0]
        diagonal = np.einsum("bkk->bk", normal)
        size = np.sqrt(np.where(diagonal > _TINY, diagonal, 1.0))
        normal /= size[:, :, None] * size[:, None, :]
        slope = slope / size
        held = self.frozen[at]
        slope[held] = 0.0
        normal[held] = 0.0
        normal.transpose(0, 2, 1)[held] = 0.0
        index = np.arange(normal.shape[1])
        normal[:, index, index] = 1.0 + self.damping[at, None]
        move = -_solved(normal, slope)
        # Expected fall of the linearised sum of squares, which is 0 at the minimum.
        expected = -np.einsum("bk,bk->b", slope, move)
        move = move / size
        trial = self.theta[at] + move
        residual, jacobian, rss = _evaluate(problem, trial, self.y[at], self.root[at])
        before = self.rss[at]
        better = rss <= before
        self._keep(at[better], trial[better], residual[better], jacobian[better], rss[better])
        self._damp(at, better)
        flat = expected <= tolerance * before
        still = np.all(np.abs(move) <= 1e-14 * np.abs(trial) + _TINY, axis=1)
        stuck = ~better & ((rss - before <= 1e-13 * before) | (self.damping[at] > 1e14))
        self.moving[at[flat | still | stuck | (before <= _TINY)]] = False
        return bool(self.moving.any())

    def _keep(
        self, at: NDArray[np.intp], theta: FloatArray, residual: FloatArray, jacobian: FloatArray, rss: FloatArray
    ) -> None:
        self.theta[at], self.residual[at], self.jacobian[at], self.rss[at] = theta, residual, jacobian, rss

    def _damp(self, at: NDArray[np.intp], better: BoolArray) -> None:
        """Less damping after a success; after failures in a row ever more (Nielsen 1999)."""
        good, bad = at[better], at[~better]
        self.damping[good] = np.maximum(self.damping[good] * 0.1, 1e-15)
        self.growth[good] = 4.0
        self.damping[bad] *= self.growth[bad]
        self.growth[bad] = np.minimum(self.growth[bad] * 2.0, 1e6)


def _evaluate(
    problem: Problem, theta: FloatArray, y: FloatArray, root: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weighted residuals, weighted Jacobian and sums of squares; infinite where the curve is no number."""
    curve, jacobian = problem.with_slopes(theta)
    with np.errstate(all="ignore"):
        residual = (curve - y) * root
        jacobian = jacobian * root[..., None]
        rss: FloatArray = np.sum(residual**2, axis=-1)
        slope_size = np.max(np.abs(jacobian), axis=(-2, -1), initial=0.0)
    # NaN compares as false, so that it counts as bad too.
    bad = ~((rss <= _HUGE) & (slope_size <= _HUGE))
    bad |= ((theta < problem.low) | (theta > problem.high)).any(axis=-1)
    return residual, jacobian, np.where(bad, np.inf, rss)


def _solved(normal: FloatArray, slope: FloatArray) -> FloatArray:
    """Solve the damped normal equations of all elements; where rounding makes one singular, with more damping."""
    with np.errstate(all="ignore"):
        try:
            found = np.linalg.solve(normal, slope[..., None])[..., 0]
        except np.linalg.LinAlgError:
            found = np.linalg.solve(normal + 1e-8 * np.eye(normal.shape[-1]), slope[..., None])[..., 0]
    return np.asarray(found, dtype=np.float64)
