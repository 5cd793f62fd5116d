"""Compiled sums over all pairs of crystals of a sinogram's bins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

__all__ = ["CHUNKS", "bin_products", "crystal_sums"]

CHUNKS = 8
"""Partial sums of :func:`crystal_sums`; fixed, so that threads do not change the order of a sum."""


@njit(cache=True, parallel=True)
def bin_products(crystals: Any, rings: Any, plane_of: Any, values: Any, out: Any) -> None:
    """Sum of the products of both crystals' values over the pairs of each bin.

    Parameters
    ----------
    crystals : (lines, mashing, 2) of a ring
    rings : (pairs, 2)
    plane_of : (pairs,)
    values : (rings, crystals)
    out : (lines, planes) float32, written
    """
    for line in prange(crystals.shape[0]):
        sums = np.zeros(out.shape[1])
        for m in range(crystals.shape[1]):
            one, two = crystals[line, m, 0], crystals[line, m, 1]
            for k in range(rings.shape[0]):
                sums[plane_of[k]] += values[rings[k, 0], one] * values[rings[k, 1], two]
        out[line] = sums


@njit(cache=True, parallel=True)
def crystal_sums(crystals: Any, rings: Any, plane_of: Any, values: Any, ratios: Any, out: Any) -> None:
    """Sum over the pairs of each crystal of the products of values, plain and times the ratio of the bin.

    Parameters
    ----------
    crystals, rings, plane_of, values : as in :func:`bin_products`
    ratios : (lines, planes)
    out : (CHUNKS, 2, rings, crystals), added to: products, products times ratios
    """
    lines = crystals.shape[0]
    for chunk in prange(CHUNKS):
        plain, weighted = out[chunk, 0], out[chunk, 1]
        for line in range(chunk * lines // CHUNKS, (chunk + 1) * lines // CHUNKS):
            for m in range(crystals.shape[1]):
                one, two = crystals[line, m, 0], crystals[line, m, 1]
                for k in range(rings.shape[0]):
                    product = values[rings[k, 0], one] * values[rings[k, 1], two]
                    ratio = product * ratios[line, plane_of[k]]
                    plain[rings[k, 0], one] += product
                    plain[rings[k, 1], two] += product
                    weighted[rings[k, 0], one] += ratio
                    weighted[rings[k, 1], two] += ratio
