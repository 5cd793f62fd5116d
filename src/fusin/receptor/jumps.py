"""Moments at which a comparison of a model changes: found between two steps, to the last digit of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.receptor.equation_functions import python_function
from fusin.receptor.equations import Equations
from fusin.receptor.expressions import Expr, Op, jumping, op, symbols

__all__ = ["JumpFinder"]

FloatArray = NDArray[np.float64]
_SAMPLES = (0.5, 1.0)
_GUESSES = 6
_EPSILON = float(np.finfo(float).eps)


class JumpFinder:
    """What can jump in some formulas.

    Parameters
    ----------
    equations : of the model
    formulas : triggers, rates
    """

    def __init__(self, equations: Equations, formulas: Iterable[Expr]) -> None:
        found = dict.fromkeys(r for f in formulas for r in _jumping_within(equations, f) if _moves(equations, r))
        # The two sides of "equal" meet at a point that no step finds; which side is larger can be seen.
        watched = [Op("gt", r.args) if r.name in ("eq", "ne") else r for r in found]
        margins = [op("sub", *r.args) if len(r.args) == 2 and r.name != "quotient" else None for r in found]
        self.count = len(watched)
        self._signs = python_function(equations, watched)
        self._margins = python_function(
            equations, [m if m is not None else w for m, w in zip(margins, watched, strict=True)]
        )
        self._smooth = [m is not None for m in margins]

    def signs(self, t: float, y: FloatArray, p: FloatArray) -> list[float]:
        """What is true at a moment, and the whole numbers of what counts in whole numbers."""
        return self._signs(t, y, p)

    def first(
        self, dense: Callable[[float], Any], start: float, stop: float, base: list[float], p: FloatArray
    ) -> float | None:
        """The first moment in (start, stop] at which something has changed, or None.

        Parameters
        ----------
        dense : state between the two
        base : what held at the start
        p : fixed symbols
        """
        low = start
        for share in _SAMPLES:
            high = stop if share == 1.0 else start + share * (stop - start)
            if self._signs(high, np.asarray(dense(high)), p) != base:
                return self._narrowed(dense, low, high, base, p)
            low = high
        return None

    def _narrowed(
        self, dense: Callable[[float], Any], low: float, high: float, base: list[float], p: FloatArray
    ) -> float:
        def changed(t: float) -> bool:
            return self._signs(t, np.asarray(dense(t)), p) != base

        for _ in range(_GUESSES):
            guess = self._guess(dense, low, high, base, p)
            if guess is None:
                break
            slack = 4.0 * _EPSILON * max(abs(low), abs(high))
            width = high - low
            for t in (guess - slack, guess + slack):
                if low < t < high:
                    low, high = (low, t) if changed(t) else (t, high)
            if high - low > 0.5 * width:
                break
        while True:
            middle = 0.5 * (low + high)
            if not low < middle < high:
                return high
            low, high = (low, middle) if changed(middle) else (middle, high)

    def _guess(
        self, dense: Callable[[float], Any], low: float, high: float, base: list[float], p: FloatArray
    ) -> float | None:
        """Where a straight line through the difference of both sides crosses zero."""
        after = np.asarray(dense(high))
        now = self._signs(high, after, p)
        moved = [i for i, (a, b) in enumerate(zip(base, now, strict=True)) if a != b and self._smooth[i]]
        if not moved:
            return None
        before = self._margins(low, np.asarray(dense(low)), p)
        then = self._margins(high, after, p)
        places = [low + (high - low) * before[i] / (before[i] - then[i]) for i in moved if before[i] != then[i]]
        inside = [t for t in places if low <= t <= high]
        return min(inside) if inside else None


def _jumping_within(equations: Equations, formula: Expr) -> list[Op]:
    inner = [f for _, f in equations.needed([formula])]
    return [r for f in (formula, *inner) for r in jumping(f)]


def _moves(equations: Equations, relation: Op) -> bool:
    names = {*symbols(relation), *(s for _, f in equations.needed([relation]) for s in symbols(f))}
    return bool(equations.model.events) or any(equations.places.get(n, ("p", 0))[0] != "p" for n in names)
