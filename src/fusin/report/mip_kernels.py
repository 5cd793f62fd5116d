"""Loops of the maximum-intensity projections and of the oblique planes, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["resample_levels", "rotate_maximum", "sample_plane"]


@njit(cache=True)
def _linear(values: Any, column: float, row: float, plane: float) -> Any:
    """Trilinear value at a fractional index; the outer half voxel repeats the border voxel, beyond it NaN."""
    nk, nj, ni = values.shape
    if not (-0.5 <= column <= ni - 0.5 and -0.5 <= row <= nj - 0.5 and -0.5 <= plane <= nk - 0.5):
        return np.nan
    i, j, k = min(max(column, 0.0), ni - 1.0), min(max(row, 0.0), nj - 1.0), min(max(plane, 0.0), nk - 1.0)
    i0, j0, k0 = int(i), int(j), int(k)
    i1, j1, k1 = min(i0 + 1, ni - 1), min(j0 + 1, nj - 1), min(k0 + 1, nk - 1)
    fi, fj, fk = i - i0, j - j0, k - k0
    near = (values[k0, j0, i0] * (1.0 - fi) + values[k0, j0, i1] * fi) * (1.0 - fj) + (
        values[k0, j1, i0] * (1.0 - fi) + values[k0, j1, i1] * fi
    ) * fj
    if fk == 0.0:
        return near
    far = (values[k1, j0, i0] * (1.0 - fi) + values[k1, j0, i1] * fi) * (1.0 - fj) + (
        values[k1, j1, i0] * (1.0 - fi) + values[k1, j1, i1] * fi
    ) * fj
    return near * (1.0 - fk) + far * fk


@njit(cache=True)
def resample_levels(values: Any, step: Any, origin: Any, low: float, scale: float, out: NDArray[np.uint8]) -> None:
    """Fill ``out`` (z, y, x) with 8-bit display levels of a volume sampled on another lattice.

    Parameters
    ----------
    values : (slices, rows, columns) source
    step : (3, 3); column a is the change of the (column, row, slice) index per step along x, y or z
    origin : (3,) index of ``out[0, 0, 0]``
    low, scale : level = (value - low) * scale, limited to 0..255; NaN and the outside become 0
    """
    nz, ny, nx = out.shape
    for z in range(nz):
        for y in range(ny):
            i = origin[0] + z * step[0, 2] + y * step[0, 1]
            j = origin[1] + z * step[1, 2] + y * step[1, 1]
            k = origin[2] + z * step[2, 2] + y * step[2, 1]
            for x in range(nx):
                value = _linear(values, i + x * step[0, 0], j + x * step[1, 0], k + x * step[2, 0])
                level = (value - low) * scale + 0.5
                # A comparison with NaN is false, so the outside falls through to 0.
                if level >= 255.0:
                    out[z, y, x] = 255
                elif level > 0.0:
                    out[z, y, x] = int(level)
                else:
                    out[z, y, x] = 0


@njit(cache=True)
def rotate_maximum(
    columns: NDArray[np.uint8],
    centre: Any,
    cosine: Any,
    sine: Any,
    start_u: Any,
    start_t: Any,
    count_t: int,
    out: NDArray[np.uint8],
) -> None:
    """Fill ``out`` (angle, u, z) with the largest level along each ray perpendicular to z.

    A ray at angle a and lateral position u samples x = u cos a - t sin a, y = u sin a + t cos a (about ``centre``)
    with linear interpolation between the four columns around it.

    Parameters
    ----------
    columns : (y, x, z) levels; z is contiguous, so one ray step handles a whole column at once
    centre : (2,) rotation axis as (x, y) index into ``columns``
    cosine, sine, start_u, start_t : (angles,) direction, first u and first depth t of each frame
    count_t : samples along a ray
    """
    ny, nx, nz = columns.shape
    angles, count_u, _ = out.shape
    filled = np.zeros((ny, nx), dtype=np.bool_)
    for y in range(ny):
        for x in range(nx):
            filled[y, x] = columns[y, x].max() > 0
    best = np.empty(nz, dtype=np.float32)
    for a in range(angles):
        for iu in range(count_u):
            best[:] = 0.0
            u = start_u[a] + iu
            for it in range(count_t):
                t = start_t[a] + it
                px, py = centre[0] + u * cosine[a] - t * sine[a], centre[1] + u * sine[a] + t * cosine[a]
                x0, y0 = int(np.floor(px)), int(np.floor(py))
                if x0 < 0 or y0 < 0 or x0 + 1 >= nx or y0 + 1 >= ny:
                    continue
                if not (filled[y0, x0] or filled[y0, x0 + 1] or filled[y0 + 1, x0] or filled[y0 + 1, x0 + 1]):
                    continue
                fx, fy = np.float32(px - x0), np.float32(py - y0)
                one = np.float32(1.0)
                w00, w01, w10, w11 = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
                c00, c01 = columns[y0, x0], columns[y0, x0 + 1]
                c10, c11 = columns[y0 + 1, x0], columns[y0 + 1, x0 + 1]
                for z in range(nz):
                    value = (
                        w00 * np.float32(c00[z])
                        + w01 * np.float32(c01[z])
                        + w10 * np.float32(c10[z])
                        + w11 * np.float32(c11[z])
                    )
                    best[z] = value if value > best[z] else best[z]
            for z in range(nz):
                out[a, iu, z] = int(best[z] + np.float32(0.5))


@njit(cache=True)
def sample_plane(values: Any, origin: Any, right: Any, down: Any, out: NDArray[np.float32]) -> None:
    """Fill ``out`` (rows, columns) with a plane cut through a volume; NaN outside the volume.

    Parameters
    ----------
    values : (slices, rows, columns) source
    origin : (3,) (column, row, slice) index of the first pixel
    right, down : (3,) index change per pixel to the right and downwards
    """
    height, width = out.shape
    for r in range(height):
        for c in range(width):
            out[r, c] = _linear(
                values,
                origin[0] + c * right[0] + r * down[0],
                origin[1] + c * right[1] + r * down[1],
                origin[2] + c * right[2] + r * down[2],
            )
