"""Levels of variance: how planes at many depths share a few blurs.

A plane of variance v [bins^2] is shared among three levels a < b <= v <= c such that its zeroth, second and fourth moments are
those of its Gaussian::

    w_a = (v - b)(v - c) / ((a - b)(a - c)),   w_b = (v - a)(v - c) / ((b - a)(b - c)),   w_c = (v - a)(v - b) / ((c - a)(c - b))

The only share below zero is that of the narrowest level, at least -1/8, and the sum of the three blurs stays above zero everywhere.
Below the first step two levels share it, with the second moment exact. Levels follow each other by symmetric five-tap kernels of
variance s whose fourth moment is that of a Gaussian, 3 s^2, where that needs no negative tap (1/3 <= s <= 4/3)::

    a = (3 s^2 - s) / 24,   b = (s - 8 a) / 2,   c = 1 - 2 a - 2 b      (second neighbour, neighbour, centre)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["five_taps", "level_variances", "split", "step_taps"]

FloatArray = NDArray[np.float64]

# Below 1/3 a step cannot hold the fourth moment; once the blur is wide, wider steps are as exact.
_FINE, _COARSE, _FINE_UP_TO = 0.5, 1.0, 4.0
_FEWEST = 3


def five_taps(variance: float) -> tuple[float, float, float]:
    """(centre, neighbour, second neighbour) of a kernel of unit sum; variance in bins^2, from 0 to 4/3."""
    a = max((3.0 * variance * variance - variance) / 24.0, 0.0)
    b = (variance - 8.0 * a) / 2.0
    return 1.0 - 2.0 * a - 2.0 * b, b, a


def level_variances(largest: float) -> FloatArray:
    """Variances of the levels, three or more, from 0 to at least ``largest`` [bins^2]."""
    levels = [0.0]
    while levels[-1] < largest - 1e-12 or len(levels) < _FEWEST:
        levels.append(levels[-1] + (_FINE if levels[-1] < _FINE_UP_TO - 1e-9 else _COARSE))
    return np.array(levels)


def step_taps(levels: FloatArray, *, across: float, along: float) -> FloatArray:
    """Taps from each level to the next.

    Parameters
    ----------
    levels : of `level_variances`, in units of the finer of the two directions
    across, along : variance in bins^2 of each direction for one unit; the larger is 1

    Returns
    -------
    ndarray
        (levels - 1, 6): centre, neighbour, second neighbour across the axis, then along it.
    """
    steps = np.diff(levels)
    return np.array([[*five_taps(across * s), *five_taps(along * s)] for s in steps]).reshape(-1, 6)


def split(variance: FloatArray, levels: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Lowest of the three levels of each variance, and their shares (..., 3)."""
    below = np.clip(np.searchsorted(levels, variance, side="right") - 1, 0, len(levels) - 2)
    low = np.maximum(below - 1, 0)
    a, b, c = levels[low], levels[low + 1], levels[low + 2]
    three = [(variance - b) * (variance - c) / ((a - b) * (a - c)), (variance - a) * (variance - c) / ((b - a) * (b - c)),
             (variance - a) * (variance - b) / ((c - a) * (c - b))]  # fmt: skip
    # Below the first step no narrower level is left that could carry the share below zero.
    upper = variance / levels[1]
    two = [1.0 - upper, upper, np.zeros_like(variance)]
    shares = np.where((below == 0)[..., None], np.stack(two, axis=-1), np.stack(three, axis=-1))
    return low.astype(np.intp), shares
