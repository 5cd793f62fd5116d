"""Compiled loops of reference placement: block means, probe statistics, rays and the best path."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["best_path", "block_mean", "fill_plane_holes", "probe_statistics", "ray_edges"]


@njit(cache=True)
def block_mean(values: NDArray[Any], fz: int, fy: int, fx: int) -> NDArray[np.float32]:
    """Mean of blocks of (fz, fy, fx) voxels; blocks at the far ends may be smaller.

    Parameters
    ----------
    values : (nz, ny, nx) array, any strides

    Returns
    -------
    (ceil(nz / fz), ceil(ny / fy), ceil(nx / fx)) float32
    """
    nz, ny, nx = values.shape
    mz, my, mx = (nz + fz - 1) // fz, (ny + fy - 1) // fy, (nx + fx - 1) // fx
    out = np.empty((mz, my, mx), np.float32)
    for k in range(mz):
        for j in range(my):
            for i in range(mx):
                total = 0.0
                count = 0
                for z in range(k * fz, min(nz, (k + 1) * fz)):
                    for y in range(j * fy, min(ny, (j + 1) * fy)):
                        for x in range(i * fx, min(nx, (i + 1) * fx)):
                            total += values[z, y, x]
                            count += 1
                out[k, j, i] = total / count
    return out


@njit(cache=True)
def fill_plane_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill, in each plane, what the outside cannot reach through 4-neighbours.

    Parameters
    ----------
    mask : (nz, ny, nx) bool

    Returns
    -------
    (nz, ny, nx) bool
    """
    nz, ny, nx = mask.shape
    out = np.ones((nz, ny, nx), np.bool_)
    stack = np.empty(ny * nx, np.int64)
    for k in range(nz):
        top = 0
        for j in range(ny):
            for i in range(nx):
                edge = j in (0, ny - 1) or i in (0, nx - 1)
                if edge and not mask[k, j, i] and out[k, j, i]:
                    out[k, j, i] = False
                    stack[top] = j * nx + i
                    top += 1
        while top > 0:
            top -= 1
            j, i = stack[top] // nx, stack[top] % nx
            for n in range(4):
                jj = j + (n == 0) - (n == 1)
                ii = i + (n == 2) - (n == 3)
                if 0 <= jj < ny and 0 <= ii < nx and out[k, jj, ii] and not mask[k, jj, ii]:
                    out[k, jj, ii] = False
                    stack[top] = jj * nx + ii
                    top += 1
    return out


@njit(cache=True)
def probe_statistics(
    values: NDArray[Any],
    allowed: NDArray[np.bool_],
    centres: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population SD of a shape at each centre; NaN where the shape leaves the allowed voxels.

    Parameters
    ----------
    values, allowed : (nz, ny, nx) arrays
    centres : (n, 3) voxel indices (z, y, x)
    offsets : (m, 3) voxels of the shape relative to its centre

    Returns
    -------
    mean, sd : (n,) float64
    """
    nz, ny, nx = values.shape
    n, m = centres.shape[0], offsets.shape[0]
    mean = np.full(n, np.nan)
    sd = np.full(n, np.nan)
    for c in range(n):
        total = 0.0
        squares = 0.0
        first = float(values[centres[c, 0], centres[c, 1], centres[c, 2]])
        fits = True
        for o in range(m):
            z = centres[c, 0] + offsets[o, 0]
            y = centres[c, 1] + offsets[o, 1]
            x = centres[c, 2] + offsets[o, 2]
            if not (0 <= z < nz and 0 <= y < ny and 0 <= x < nx and allowed[z, y, x]):
                fits = False
                break
            # Shifted sums: the plain sum of squares loses digits where the SD is small against the mean.
            d = float(values[z, y, x]) - first
            total += d
            squares += d * d
        if fits:
            mean[c] = first + total / m
            sd[c] = np.sqrt(max(squares / m - (total / m) ** 2, 0.0))
    return mean, sd


@njit(cache=True)
def ray_edges(
    ct: NDArray[np.float32],
    centres: NDArray[np.float64],
    directions: NDArray[np.float64],
    tolerance_hu: float,
    steps: int,
    settle: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Walk rays in the axial plane from each centre until the CT leaves the lumen's own value.

    Parameters
    ----------
    ct : (nz, ny, nx) HU
    centres : (n, 3) indices (z, y, x); z is whole, y and x may be fractional
    directions : (r, 2) steps (dy, dx) in voxels, of equal length in millimetres
    tolerance_hu : the wall begins where the value differs from the centre's by more
    steps : longest walk
    settle : steps behind the beginning of the wall at which the neighbour's own value is read

    Returns
    -------
    length : (n, r) steps until half-way between lumen and neighbour; `steps` where no wall was met
    beyond : (n, r) HU of the neighbour, NaN where no wall was met
    lumen : (n,) HU of the centre
    """
    n, rays = centres.shape[0], directions.shape[0]
    length = np.full((n, rays), float(steps))
    beyond = np.full((n, rays), np.nan)
    lumen = np.empty(n)
    for c in range(n):
        z, y0, x0 = int(centres[c, 0]), centres[c, 1], centres[c, 2]
        lumen[c] = _bilinear(ct, z, y0, x0)
        for r in range(rays):
            dy, dx = directions[r, 0], directions[r, 1]
            for s in range(1, steps + 1):
                value = _bilinear(ct, z, y0 + s * dy, x0 + s * dx)
                if abs(value - lumen[c]) <= tolerance_hu:
                    continue
                far = _bilinear(ct, z, y0 + (s + settle) * dy, x0 + (s + settle) * dx)
                if (value - lumen[c]) * (far - lumen[c]) < 0.0:
                    # A thin bright wall before lung (cortical bone) is a bone edge, not a lung edge.
                    far = value
                beyond[c, r] = far
                half = 0.5 * abs(far - lumen[c])
                edge = s
                while edge < s + settle and abs(value - lumen[c]) < half:
                    edge += 1
                    value = _bilinear(ct, z, y0 + edge * dy, x0 + edge * dx)
                length[c, r] = float(edge)
                break
    return length, beyond, lumen


@njit(cache=True)
def _bilinear(ct: NDArray[np.float32], z: int, y: float, x: float) -> float:
    """Linear interpolation in one plane, held constant outside."""
    _, ny, nx = ct.shape
    y = min(max(y, 0.0), ny - 1.0)
    x = min(max(x, 0.0), nx - 1.0)
    j, i = min(int(y), ny - 2), min(int(x), nx - 2)
    v, u = y - j, x - i
    return float(
        (1.0 - v) * ((1.0 - u) * ct[z, j, i] + u * ct[z, j, i + 1])
        + v * ((1.0 - u) * ct[z, j + 1, i] + u * ct[z, j + 1, i + 1])
    )


@njit(cache=True)
def best_path(score: NDArray[np.float64], reach: int, bend: float) -> NDArray[np.int64]:
    """Path with the highest sum through a stack of planes (dynamic programming).

    Parameters
    ----------
    score : (nz, ny, nx) finite values
    reach : largest step in y and in x from plane to plane, in voxels
    bend : penalty per squared voxel of step

    Returns
    -------
    (nz, 2) row and column per plane
    """
    nz, ny, nx = score.shape
    best = score[0].copy()
    back = np.zeros((nz, ny, nx), np.int32)
    for k in range(1, nz):
        now = np.empty((ny, nx))
        for j in range(ny):
            for i in range(nx):
                top = -np.inf
                where = 0
                for dj in range(-reach, reach + 1):
                    for di in range(-reach, reach + 1):
                        jj, ii = j + dj, i + di
                        if 0 <= jj < ny and 0 <= ii < nx:
                            value = best[jj, ii] - bend * (dj * dj + di * di)
                            if value > top:
                                top = value
                                where = jj * nx + ii
                now[j, i] = top + score[k, j, i]
                back[k, j, i] = where
        best = now
    path = np.empty((nz, 2), np.int64)
    last = int(np.argmax(best))
    for k in range(nz - 1, -1, -1):
        path[k, 0], path[k, 1] = last // nx, last % nx
        last = back[k, path[k, 0], path[k, 1]]
    return path
