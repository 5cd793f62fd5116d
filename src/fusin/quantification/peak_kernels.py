"""Compiled loops of the peak and of the ball dilation; called by `peaks` and `morphology` only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["gather_means", "inside_weights", "mark_ball"]


@njit(cache=True, nogil=True)
def gather_means(
    values: NDArray[Any],
    centres: NDArray[np.int32],
    offsets: NDArray[np.int32],
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    used: NDArray[np.float64],
) -> None:
    """Weighted mean of the finite voxels around each centre, and the share of the weight that exists.

    Parameters
    ----------
    values : (slices, rows, columns)
    centres : (n, 3) voxel indices
    offsets : (m, 3) neighbours relative to a centre
    weights : (m,) their weights
    means : (n,) output; NaN where no voxel has weight
    used : (n,) output; fraction of the weight that lay on finite voxels inside the array
    """
    nz, ny, nx = values.shape
    total = weights.sum()
    for i in range(centres.shape[0]):
        z0, y0, x0 = centres[i, 0], centres[i, 1], centres[i, 2]
        acc = 0.0
        norm = 0.0
        for k in range(offsets.shape[0]):
            z = z0 + offsets[k, 0]
            y = y0 + offsets[k, 1]
            x = x0 + offsets[k, 2]
            if z < 0 or y < 0 or x < 0 or z >= nz or y >= ny or x >= nx:
                continue
            value = float(values[z, y, x])
            if np.isfinite(value):
                acc += weights[k] * value
                norm += weights[k]
        means[i] = acc / norm if norm > 0.0 else np.nan
        used[i] = norm / total


@njit(cache=True, nogil=True)
def inside_weights(
    mask: NDArray[np.bool_],
    centres: NDArray[np.int32],
    offsets: NDArray[np.int32],
    weights: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fraction of the weight around each centre that lies inside the mask, written to ``out`` of shape (n,)."""
    nz, ny, nx = mask.shape
    total = weights.sum()
    for i in range(centres.shape[0]):
        acc = 0.0
        for k in range(offsets.shape[0]):
            z = centres[i, 0] + offsets[k, 0]
            y = centres[i, 1] + offsets[k, 1]
            x = centres[i, 2] + offsets[k, 2]
            if z < 0 or y < 0 or x < 0 or z >= nz or y >= ny or x >= nx:
                continue
            if mask[z, y, x]:
                acc += weights[k]
        out[i] = acc / total


@njit(cache=True, nogil=True)
def mark_ball(mask: NDArray[np.bool_], offsets: NDArray[np.int32], out: NDArray[np.bool_]) -> None:
    """Set every voxel of ``out`` that a ball around a mask voxel reaches; both have the same shape.

    Only surface voxels throw their ball: each voxel beyond the mask has its nearest mask voxel on the surface.
    """
    nz, ny, nx = mask.shape
    for z0 in range(nz):
        for y0 in range(ny):
            for x0 in range(nx):
                if not mask[z0, y0, x0]:
                    continue
                out[z0, y0, x0] = True
                inner = (
                    0 < z0 < nz - 1
                    and 0 < y0 < ny - 1
                    and 0 < x0 < nx - 1
                    and mask[z0 - 1, y0, x0]
                    and mask[z0 + 1, y0, x0]
                    and mask[z0, y0 - 1, x0]
                    and mask[z0, y0 + 1, x0]
                    and mask[z0, y0, x0 - 1]
                    and mask[z0, y0, x0 + 1]
                )
                if inner:
                    continue
                for k in range(offsets.shape[0]):
                    z = z0 + offsets[k, 0]
                    y = y0 + offsets[k, 1]
                    x = x0 + offsets[k, 2]
                    if z >= 0 and y >= 0 and x >= 0 and z < nz and y < ny and x < nx:
                        out[z, y, x] = True
