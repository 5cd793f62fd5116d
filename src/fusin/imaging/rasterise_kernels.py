"""Compiled loops of :mod:`fusin.imaging.rasterise` and of the contour tracer.

Coordinates of polygons are whole multiples of 1/65536 of a unit, so that every comparison is exact and
a vertex or an edge on a voxel centre is decided by the rule and never by rounding noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["SCALE", "fill_even_odd", "points_in_slabs", "toggle_polygon", "trace_edges"]

SCALE = 65536


@njit(cache=True)
def _ceil_div(a: int, b: int) -> int:
    """Smallest whole number not below a / b, for b > 0."""
    return -((-a) // b)


@njit(cache=True)
def toggle_polygon(x: Any, y: Any, first_row: int, first_column: int, flips: Any) -> None:
    """Record where each row of voxel centres crosses a closed polygon.

    A row at height r crosses an edge when ``y_low <= r < y_high``, and the centre c lies left of the
    crossing when ``c < x``: a polygon owns its upper and left border and not its lower and right one.

    Parameters
    ----------
    x, y : (n,) int64, column and row of the vertices times SCALE
    first_row, first_column : voxel of ``flips[0, 0]``
    flips : (rows, columns + 1) uint8, ``flips[r, m]`` is toggled for a crossing just left of which lies column m - 1
    """
    n = x.shape[0]
    rows = flips.shape[0]
    columns = flips.shape[1] - 1
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        x_low, y_low, x_high, y_high = x[i], y[i], x[j], y[j]
        if y_low == y_high:
            continue
        if y_low > y_high:
            x_low, y_low, x_high, y_high = x_high, y_high, x_low, y_low
        start = max(_ceil_div(y_low, SCALE), first_row)
        stop = min(_ceil_div(y_high, SCALE), first_row + rows)
        height = y_high - y_low
        for row in range(start, stop):
            numerator = x_low * height + (row * SCALE - y_low) * (x_high - x_low)
            m = _ceil_div(numerator, height * SCALE) - first_column
            flips[row - first_row, min(max(m, 0), columns)] ^= 1


@njit(cache=True)
def fill_even_odd(flips: Any, mask: Any) -> None:
    """Turn crossings into a mask: a centre is inside when an odd number of crossings lies to its right.

    Parameters
    ----------
    flips : (rows, columns + 1) uint8 of :func:`toggle_polygon`
    mask : (rows, columns) uint8, written
    """
    for r in range(mask.shape[0]):
        parity = np.uint8(0)
        for c in range(mask.shape[1] - 1, -1, -1):
            parity ^= flips[r, c + 1]
            mask[r, c] = parity


@njit(cache=True)
def points_in_slabs(
    start: Any, out: Any, matrix: Any, low: Any, high: Any, first: Any, offsets: Any, x: Any, y: Any
) -> None:
    """Test the centres of a box of voxels against a stack of polygon slabs in any orientation.

    Parameters
    ----------
    start : (3,) int64, (slice, row, column) of ``out[0, 0, 0]``
    out : (slices, rows, columns) uint8, written
    matrix : (3, 4), in-plane (u, v) and height w in millimetres of (slice, row, column, 1)
    low, high : (planes,) slab limits along w, ascending; a centre belongs to a slab when low <= w < high
    first : (planes + 1,) int64, contours of each plane
    offsets : (contours + 1,) int64, vertices of each contour
    x, y : (vertices,) int64, in-plane coordinates times SCALE
    """
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                a, b, c = k + start[0], j + start[1], i + start[2]
                w = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
                plane = np.searchsorted(low, w, side="right") - 1
                if plane < 0 or w >= high[plane]:
                    continue
                u = int(np.rint((matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]) * SCALE))
                v = int(np.rint((matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]) * SCALE))
                parity = 0
                for contour in range(first[plane], first[plane + 1]):
                    parity ^= _crossings(x, y, offsets[contour], offsets[contour + 1], u, v)
                out[k, j, i] = parity


@njit(cache=True)
def _crossings(x: Any, y: Any, begin: int, end: int, u: int, v: int) -> int:
    """Parity of the crossings of one polygon right of a point, by the rule of :func:`toggle_polygon`."""
    parity = 0
    before = end - 1
    for i in range(begin, end):
        y_i, y_b = y[i], y[before]
        if (y_i <= v) != (y_b <= v):
            height = y_i - y_b
            side = (u - x[before]) * height - (v - y_b) * (x[i] - x[before])
            if (side < 0) == (height > 0) and side != 0:
                parity ^= 1
        before = i
    return parity


@njit(cache=True)
def trace_edges(mask: Any) -> Any:
    """Closed outlines of a mask along the edges of its pixels, outer borders and holes alike.

    The walk keeps the mask on its right hand; where two pixels touch only at a corner it turns
    right, so that they get outlines of their own.

    Parameters
    ----------
    mask : (rows, columns) boolean

    Returns
    -------
    corners : (n, 2) int64, (row, column) of pixel corners; corner (r, c) is the upper left one of pixel (r, c)
    offsets : (loops + 1,) int64, corners of each outline
    """
    rows, columns = mask.shape
    padded = np.zeros((rows + 2, columns + 2), np.bool_)
    padded[1:-1, 1:-1] = mask
    edges = 0
    for r in range(1, rows + 1):
        for c in range(1, columns + 1):
            if padded[r, c]:
                edges += 4 - padded[r - 1, c] - padded[r + 1, c] - padded[r, c - 1] - padded[r, c + 1]
    corners = np.empty((edges, 2), np.int64)
    offsets = np.empty(edges // 4 + 1, np.int64)
    seen = np.zeros((rows + 2, columns + 2), np.bool_)
    step_r = np.array([0, 1, 0, -1])
    step_c = np.array([1, 0, -1, 0])
    # Pixel ahead to the right of the walker, relative to the corner, for right, down, left and up.
    right_r = np.array([0, 0, -1, -1])
    right_c = np.array([0, -1, -1, 0])
    left_r = np.array([-1, 0, 0, -1])
    left_c = np.array([0, 0, -1, -1])
    count = 0
    loops = 0
    offsets[0] = 0
    for r0 in range(1, rows + 1):
        for c0 in range(1, columns + 1):
            if not padded[r0, c0] or padded[r0 - 1, c0] or seen[r0, c0]:
                continue
            r, c, d = r0, c0, 0
            corners[count] = (r - 1, c - 1)
            count += 1
            while True:
                if d == 0:
                    seen[r, c] = True
                r += step_r[d]
                c += step_c[d]
                turned = d
                if not padded[r + right_r[d], c + right_c[d]]:
                    turned = (d + 1) % 4
                elif padded[r + left_r[d], c + left_c[d]]:
                    turned = (d + 3) % 4
                if r == r0 and c == c0 and turned == 0:
                    break
                if turned != d:
                    corners[count] = (r - 1, c - 1)
                    count += 1
                d = turned
            loops += 1
            offsets[loops] = count
    return corners[:count], offsets[: loops + 1]
