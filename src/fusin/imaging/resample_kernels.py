"""Compiled interpolation loops of :mod:`fusin.imaging.resample`.

Positions are continuous voxel indices of the source. A position belongs to the source when it lies in
``[-0.5, n - 0.5)`` on every axis; between the outermost centre and the outer face the outermost value
is used. Voxels of weight zero are never read, so that a NaN beside the position does no harm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["affine_linear", "affine_nearest", "separable_linear", "separable_nearest"]


@njit(cache=True)
def _bracket(position: float, n: int) -> tuple[int, int, float]:
    """Lower and upper voxel and the weight of the upper one, clamped to the outermost centres."""
    if position <= 0.0:
        return 0, 0, 0.0
    if position >= n - 1:
        return n - 1, n - 1, 0.0
    low = int(np.floor(position))
    weight = position - low
    if weight == 0.0:
        return low, low, 0.0
    return low, low + 1, weight


@njit(cache=True)
def _mix(a: float, b: float, weight: float) -> float:
    """Linear interpolation that ignores the value of weight zero."""
    if weight == 0.0:
        return a
    return a + weight * (b - a)


@njit(cache=True)
def _axis_table(origin: float, step: float, n_out: int, n_in: int) -> Any:
    """Lower voxel, upper voxel, weight and validity of each output index of one axis."""
    low = np.empty(n_out, np.int64)
    high = np.empty(n_out, np.int64)
    weight = np.empty(n_out, np.float64)
    first = n_out
    last = -1
    for i in range(n_out):
        position = origin + step * i
        low[i], high[i], weight[i] = _bracket(position, n_in)
        if -0.5 <= position < n_in - 0.5:
            first = min(first, i)
            last = max(last, i)
    return low, high, weight, first, last + 1


@njit(cache=True)
def _mix_two(a: Any, b: Any, u: float, out: Any, left: int, right: int) -> None:
    """Linear interpolation between two rows; a weight of zero comes with two equal rows."""
    for x in range(left, right):
        out[x] = a[x] * (1.0 - u) + b[x] * u


@njit(cache=True)
def _mix_four(a: Any, b: Any, c: Any, d: Any, u: float, v: float, out: Any, left: int, right: int) -> None:
    """Linear interpolation between two rows of two slices each."""
    for x in range(left, right):
        out[x] = (a[x] * (1.0 - u) + b[x] * u) * (1.0 - v) + (c[x] * (1.0 - u) + d[x] * u) * v


@njit(cache=True)
def separable_linear(source: Any, out: Any, origin: Any, step: Any, whole: bool) -> None:
    """Trilinear interpolation when the axes of both grids are parallel.

    Parameters
    ----------
    source : (slices, rows, columns)
    out : (slices, rows, columns), already filled with the value for outside
    origin, step : (3,) source index of output voxel 0 and per output voxel, for (slice, row, column)
    whole : round to the nearest whole number before storing
    """
    z0, z1, wz, z_from, z_to = _axis_table(origin[0], step[0], out.shape[0], source.shape[0])
    y0, y1, wy, y_from, y_to = _axis_table(origin[1], step[1], out.shape[1], source.shape[1])
    x0, x1, wx, x_from, x_to = _axis_table(origin[2], step[2], out.shape[2], source.shape[2])
    if z_from >= z_to or y_from >= y_to or x_from >= x_to:
        return
    left = min(x0[x_from], x0[x_to - 1])
    right = max(x1[x_from], x1[x_to - 1]) + 1
    line = np.empty(source.shape[2], np.float64)
    for k in range(z_from, z_to):
        for j in range(y_from, y_to):
            if wz[k] == 0.0:
                _mix_two(source[z0[k], y0[j]], source[z0[k], y1[j]], wy[j], line, left, right)
            else:
                a, b, c, d = source[z0[k], y0[j]], source[z0[k], y1[j]], source[z1[k], y0[j]], source[z1[k], y1[j]]
                _mix_four(a, b, c, d, wy[j], wz[k], line, left, right)
            if whole:
                for i in range(x_from, x_to):
                    out[k, j, i] = np.rint(_mix(line[x0[i]], line[x1[i]], wx[i]))
            else:
                for i in range(x_from, x_to):
                    out[k, j, i] = _mix(line[x0[i]], line[x1[i]], wx[i])


@njit(cache=True)
def separable_nearest(source: Any, out: Any, origin: Any, step: Any) -> None:
    """Nearest neighbour when the axes of both grids are parallel; arguments as for :func:`separable_linear`."""
    for k in range(out.shape[0]):
        z = int(np.floor(origin[0] + step[0] * k + 0.5))
        if z < 0 or z >= source.shape[0]:
            continue
        for j in range(out.shape[1]):
            y = int(np.floor(origin[1] + step[1] * j + 0.5))
            if y < 0 or y >= source.shape[1]:
                continue
            for i in range(out.shape[2]):
                x = int(np.floor(origin[2] + step[2] * i + 0.5))
                if 0 <= x < source.shape[2]:
                    out[k, j, i] = source[z, y, x]


@njit(cache=True)
def affine_linear(source: Any, out: Any, matrix: Any, whole: bool) -> None:
    """Trilinear interpolation between any two grids.

    Parameters
    ----------
    source : (slices, rows, columns)
    out : (slices, rows, columns), already filled with the value for outside
    matrix : (3, 4), source (slice, row, column) index of output (slice, row, column, 1)
    whole : round to the nearest whole number before storing
    """
    nz, ny, nx = source.shape
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            bz = matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 3]
            by = matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 3]
            bx = matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 3]
            for i in range(out.shape[2]):
                z = bz + matrix[0, 2] * i
                y = by + matrix[1, 2] * i
                x = bx + matrix[2, 2] * i
                inside = -0.5 <= z < nz - 0.5 and -0.5 <= y < ny - 0.5 and -0.5 <= x < nx - 0.5
                if not inside:
                    continue
                z0, z1, wz = _bracket(z, nz)
                y0, y1, wy = _bracket(y, ny)
                x0, x1, wx = _bracket(x, nx)
                low = _mix(
                    _mix(source[z0, y0, x0], source[z0, y0, x1], wx),
                    _mix(source[z0, y1, x0], source[z0, y1, x1], wx),
                    wy,
                )
                high = _mix(
                    _mix(source[z1, y0, x0], source[z1, y0, x1], wx),
                    _mix(source[z1, y1, x0], source[z1, y1, x1], wx),
                    wy,
                )
                value = _mix(low, high, wz)
                out[k, j, i] = np.rint(value) if whole else value


@njit(cache=True)
def affine_nearest(source: Any, out: Any, matrix: Any) -> None:
    """Nearest neighbour between any two grids; arguments as for :func:`affine_linear`."""
    nz, ny, nx = source.shape
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                z = int(np.floor(matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + matrix[0, 3] + 0.5))
                y = int(np.floor(matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + matrix[1, 3] + 0.5))
                x = int(np.floor(matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + matrix[2, 3] + 0.5))
                if 0 <= z < nz and 0 <= y < ny and 0 <= x < nx:
                    out[k, j, i] = source[z, y, x]
