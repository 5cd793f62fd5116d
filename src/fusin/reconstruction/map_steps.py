"""One pass of each algorithm that maximises L - beta R; see `fusin.reconstruction.algorithms`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fusin.reconstruction.likelihood import Problem
from fusin.reconstruction.priors import RelativeDifference
from fusin.reconstruction.projector import FloatImage

__all__ = ["ascend", "bsrem_pass", "svrg_pass"]

DoubleImage = NDArray[np.float64]
Done = Callable[[int], None]

_NEWTON, _ENOUGH = 12, 1e-4


def _preconditioner(problem: Problem, prior: RelativeDifference | None, image: FloatImage, delta: float) -> DoubleImage:
    """(x + delta) / (s + 2 beta (x + delta) R''): the inverse curvature of the EM surrogate and of the prior together.

    The prior couples neighbours; twice the diagonal of its Hessian stands for what they add.
    """
    x = image.astype(np.float64) + delta
    below = problem.sensitivity.astype(np.float64)
    floor = 1e-9 * float(below.max())
    seen = below > floor
    if prior is not None and prior.beta > 0:
        below = below + 2.0 * prior.beta * x * prior.curvature(image)
    return np.divide(x, below, out=np.zeros_like(x), where=seen)


def _pull(prior: RelativeDifference | None, image: NDArray[np.floating]) -> DoubleImage | float:
    return prior.beta * prior.gradient(image) if prior is not None and prior.beta > 0 else 0.0


def bsrem_pass(
    problem: Problem,
    prior: RelativeDifference | None,
    image: FloatImage,
    *,
    step: float,
    delta: float,
    done: Done,
) -> FloatImage:
    """Each subset once, with the step of this iteration and the curvature of its first image."""
    count = len(problem.subsets)
    scale = _preconditioner(problem, prior, image, delta)
    for k, views in enumerate(problem.subsets):
        slope = count * problem.gradient(image, views).astype(np.float64) - _pull(prior, image)
        image = np.maximum(image + step * scale * slope, 0.0).astype(np.float32)
        done(k)
    return image


def svrg_pass(
    problem: Problem,
    prior: RelativeDifference | None,
    image: FloatImage,
    *,
    step: float,
    delta: float,
    done: Done,
) -> FloatImage:
    """Each subset once; its gradient is corrected by what it was at the first image of the pass, where all are known.

    A pass costs twice the projections of one of OSEM, and holds one image per subset.
    """
    count, anchor = len(problem.subsets), image
    scale = _preconditioner(problem, prior, anchor, delta)
    at_anchor = [problem.gradient(anchor, views) for views in problem.subsets]
    full = np.sum(at_anchor, axis=0, dtype=np.float64)
    for k, views in enumerate(problem.subsets):
        now = at_anchor[k] if image is anchor else problem.gradient(image, views)
        slope = count * (now.astype(np.float64) - at_anchor[k]) + full - _pull(prior, image)
        image = np.maximum(image + step * scale * slope, 0.0).astype(np.float32)
        done(k)
    return image


def ascend(problem: Problem, prior: RelativeDifference | None, image: FloatImage, *, delta: float) -> FloatImage:
    """One step with all data along a feasible direction of ascent, as far as the objective rises.

    Along a line L - beta R is concave, so Newton's method on its slope finds the best step; without a prior the first trial,
    step 1, is the EM step.
    """
    x = image.astype(np.float64)
    expected = problem.expected(image).astype(np.float64)
    (views,) = problem.subsets
    slope = problem.steer(expected.astype(np.float32), views).astype(np.float64) - problem.sensitivity
    slope -= _pull(prior, image)
    direction = np.maximum(x + _preconditioner(problem, prior, image, delta) * slope, 0.0) - x
    moved = problem.projector.forward(direction.astype(np.float32)).astype(np.float64)
    lost = float(np.vdot(problem.sensitivity.astype(np.float64), direction))
    falling = direction < 0
    most = float(np.min(-x[falling] / direction[falling])) if falling.any() else 4.0
    counts = problem.measured.counts.astype(np.float64)
    if problem.measured.weights is not None:
        counts = counts * problem.measured.weights

    def rise(a: float) -> float:
        e = expected + a * moved
        ratio = np.divide(counts, e, out=np.zeros_like(e), where=(counts > 0) & (e > 0))
        drag = _pull(prior, np.maximum(x + a * direction, 0.0))
        pulled = float(np.vdot(drag, direction)) if isinstance(drag, np.ndarray) else 0.0
        return float(np.vdot(ratio, moved)) - lost - pulled

    a = _best_step(rise, min(max(most, 1.0), 4.0))
    return np.maximum(x + a * direction, 0.0).astype(np.float32)


def _best_step(rise: Callable[[float], float], most: float) -> float:
    """Zero of a falling function in (0, most], or ``most`` where it is still positive there (regula falsi, Illinois)."""
    low, high = 0.0, most
    at_low, at_high = rise(low), rise(high)
    if at_high >= 0:
        return high
    if at_low <= 0:
        return 0.0
    first, a = at_low, low
    for _ in range(_NEWTON):
        a = high - at_high * (high - low) / (at_high - at_low)
        found = rise(a)
        if abs(found) <= _ENOUGH * first:
            break
        if found > 0:
            low, at_low, at_high = a, found, 0.5 * at_high
        else:
            high, at_high, at_low = a, found, 0.5 * at_low
    return a
