"""Valleys that lie higher than the peaks beside them explain, so that something broad lies below both.

The flank of a peak is continued from where it has come down to 20 and 10 % of its height as an exponential. A Gaussian falls
faster than that and an exponentially modified Gaussian nowhere slower, so a valley well above the sum of both continuations
is not the overlap of two such peaks: a solvent front or a drift carries them, and their baseline passes through the valley.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fusin.radiopharmacy.chromatogram import FloatArray

__all__ = ["raised_valleys"]

_UPPER, _LOWER = 0.2, 0.1
_ABOVE = 1.25
_SMOOTHING = 3.0
_SURE = 3.0


def raised_valleys(
    x: FloatArray, net: FloatArray, apexes: Sequence[int], spans: Sequence[tuple[int, int]], *, smooth: bool
) -> list[int]:
    """Indices of the valleys between neighbouring peaks of one group through which the baseline passes.

    Parameters
    ----------
    x, net : positions, and the signal above the chords of the groups
    apexes : indices of the apexes of peaks that were found, rising
    spans : first and last index of each group
    smooth : whether the noise asks for smoothing

    Returns
    -------
    list of int
        Valleys above 1.25 times what the flanks of both peaks lead to, and valleys below the chord: a chord that cuts the
        signal is no baseline either. Peaks that do not come down to a tenth of their height say nothing.
    """
    from scipy.ndimage import gaussian_filter1d

    second = np.diff(net, 2)
    sd = 1.4826 * float(np.median(np.abs(second - np.median(second)))) / math.sqrt(6.0)
    y = net
    if smooth:
        y = np.asarray(gaussian_filter1d(net, _SMOOTHING, mode="nearest"), dtype=np.float64)
        sd /= math.sqrt(2.0 * math.sqrt(math.pi) * _SMOOTHING)
    out = []
    for one, two in pairwise(apexes):
        if not any(first <= one and two <= last for first, last in spans):
            continue
        valley = one + int(y[one : two + 1].argmin())
        left, right = _continued(x, y, one, valley), _continued(x, y, two, valley)
        explained = None if left is None or right is None else _ABOVE * (left + right)
        if y[valley] < -_SURE * sd or (explained is not None and y[valley] > explained + _SURE * sd):
            out.append(valley)
    return out


def _continued(x: FloatArray, y: FloatArray, apex: int, valley: int) -> float | None:
    """What the flank of a peak leads to at the valley; None when it does not come down far enough before."""
    flank = np.arange(apex, valley + 1) if valley >= apex else np.arange(apex, valley - 1, -1)
    height = float(y[apex])
    upper, lower = np.flatnonzero(y[flank] <= _UPPER * height), np.flatnonzero(y[flank] <= _LOWER * height)
    if height <= 0.0 or not lower.size or upper[0] == lower[0]:
        return None
    a, b = int(flank[upper[0]]), int(flank[lower[0]])
    if y[b] <= 0.0:
        return 0.0
    rate = math.log(float(y[a]) / float(y[b])) / abs(float(x[b] - x[a]))
    return float(y[b]) * math.exp(-rate * abs(float(x[valley] - x[b])))
