"""Compiled sums and quotients over projection data; each view is summed by itself, so threads change nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = ["log_terms", "quotients"]


@njit(cache=True, parallel=True)
def quotients(counts: NDArray[Any], expected: NDArray[Any], less: float) -> NDArray[Any]:
    """Measured over expected counts, minus ``less``; 0 - less where nothing was counted or nothing can be expected.

    Parameters
    ----------
    counts, expected : (views, bins) float32
    less : 0 for EM steps, 1 for gradients
    """
    out = np.empty(counts.shape, np.float32)
    for view in prange(counts.shape[0]):
        for i in range(counts.shape[1]):
            y, e = counts[view, i], expected[view, i]
            out[view, i] = (y / e if y > 0.0 and e > 0.0 else 0.0) - less
    return out


@njit(cache=True, parallel=True)
def log_terms(counts: NDArray[Any], expected: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Sum of w y log(e), and of the counts that nothing explains (e = 0), of each view in double precision.

    Parameters
    ----------
    counts, expected : (views, bins) float32
    weights : (views, bins), or (0, 0) for none

    Returns
    -------
    (views, 2) float64
    """
    out = np.zeros((counts.shape[0], 2), np.float64)
    weighted = weights.shape[0] > 0
    for view in prange(counts.shape[0]):
        logs, lost = 0.0, 0.0
        for i in range(counts.shape[1]):
            y = np.float64(counts[view, i])
            if weighted:
                y *= weights[view, i]
            if y > 0.0:
                e = np.float64(expected[view, i])
                if e > 0.0:
                    logs += y * math.log(e)
                else:
                    lost += y
        out[view, 0] = logs
        out[view, 1] = lost
    return out
