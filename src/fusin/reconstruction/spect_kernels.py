"""Compiled loops of the SPECT projector: rotate, attenuate, and blur by levels of variance, with the exact transpose.

The image is cut into slabs of ``SLAB`` slices that lie together in memory (``[slab, row, column, slice]``), because every step
but the axial blur treats the slices alike. Work is shared among threads by slab or by view, each of which is written by one thread
in a fixed order, so that the number of threads cannot change a result.

A view is described by ``frame[view] = (column of plane 0 and bin 0, row of it, columns per bin, rows per bin, columns per plane,
rows per plane)``; plane 0 is the nearest to the detector. The image has ``BORDER`` voxels of zeros on each side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

__all__ = ["BORDER", "SLAB", "blur_back", "blur_forward", "from_slabs", "rotate_back", "rotate_forward", "to_slabs"]

SLAB = 32
BORDER = 2


@njit(cache=True, fastmath={"contract"}, inline="always")
def _pass_half(optical: Any, one: Any) -> Any:
    """exp(-x) of the optical depth of half a voxel; relative error below 1e-8 up to 0.5 and 1e-4 up to 2."""
    t = optical * (one * np.float32(-0.25))
    fifth = one * np.float32(1.0 / 120.0)
    e = one + t * (
        one
        + t
        * (one * np.float32(0.5) + t * (one * np.float32(1.0 / 6.0) + t * (one * np.float32(1.0 / 24.0) + t * fifth)))
    )
    e = e * e
    return e * e


@njit(cache=True, fastmath={"contract"}, inline="always")
def _attenuate(half: Any, i: Any, j: Any, weight: Any, one: Any, passed: Any, middle: Any) -> None:
    """Carry what passes from the detector through one voxel more; ``middle`` is what passes from its middle."""
    w00, w01, w10, w11 = weight
    a, b, c, e = half[j, i], half[j, i + np.uintp(1)], half[j + np.uintp(1), i], half[j + np.uintp(1), i + np.uintp(1)]
    for z in range(SLAB):
        middle[z] = w00 * a[z] + w01 * b[z] + w10 * c[z] + w11 * e[z]
    for z in range(SLAB):
        h = _pass_half(middle[z], one)
        m = passed[z] * h
        middle[z] = m
        passed[z] = m * h


@njit(cache=True, fastmath={"contract"}, inline="always")
def _corner(start: float, one: Any) -> Any:
    """Voxel below a position, with the border, and the fraction above it."""
    below = int(np.floor(start))
    return np.uintp(below + BORDER), one * np.float32(start - below)


@njit(cache=True, fastmath={"contract"}, inline="always")
def _weights(fx: Any, fy: Any, one: Any) -> Any:
    """Weights of the four voxels about a position; their sum is one."""
    w11 = fx * fy
    w10 = fy - w11
    return one - fx - w10, fx - w11, w10, w11


@njit(cache=True, parallel=True)
def to_slabs(image: Any, out: Any) -> None:
    """Copy an image (slices, rows, columns) into the middle of ``out`` (slabs, rows + 2 borders, columns + 2 borders, SLAB)."""
    slices, rows, columns = image.shape
    for task in prange(out.shape[0] * rows):
        s, j = task // rows, task % rows
        line = out[s, j + BORDER]
        for z in range(min(SLAB, slices - s * SLAB)):
            source = image[s * SLAB + z, j]
            for i in range(columns):
                line[i + BORDER, z] = source[i]


@njit(cache=True, parallel=True)
def from_slabs(slabs: Any, out: Any) -> None:
    """Copy back what :func:`to_slabs` copied."""
    slices, rows, columns = out.shape
    for task in prange(slabs.shape[0] * rows):
        s, j = task // rows, task % rows
        line = slabs[s, j + BORDER]
        for z in range(min(SLAB, slices - s * SLAB)):
            target = out[s * SLAB + z, j]
            for i in range(columns):
                target[i] = line[i + BORDER, z]


@njit(cache=True, parallel=True, fastmath={"contract"})
def rotate_forward(
    image: Any, half: Any, dense: Any, frame: Any, spans: Any, low: Any, share: Any, slabs: Any, out: Any
) -> None:
    """Sum the attenuated planes of each view into its levels of variance.

    Parameters
    ----------
    image : (slabs, rows + 2 borders, columns + 2 borders, SLAB)
    half : optical depth of half a voxel, as ``image``; not read where nothing is dense
    dense : (slabs, rows + 2 borders, columns + 2 borders), whether any of the four voxels from here on attenuates in the slab
    frame : (views, 6)
    spans : (views, planes, 2), bins from and to that meet the image
    low : (views, planes), the first of the three levels that share a plane
    share : (views, planes, 3), their shares; all 0 behind the collimator
    slabs : (views, 2), slabs from and to that the detector sees
    out : (views, slabs, levels, bins, SLAB), written for the slabs that are seen
    """
    views, depths = low.shape
    count, bins = image.shape[0], out.shape[3]
    one, step = image.dtype.type(1.0), np.uintp(1)
    for task in prange(views * count):
        v, s = task // count, task % count
        if s < slabs[v, 0] or s >= slabs[v, 1]:
            continue
        passed = np.ones((bins, SLAB), image.dtype)
        middle, value = np.ones(SLAB, image.dtype), np.empty(SLAB, image.dtype)
        column0, row0, column_u, row_u, column_d, row_d = frame[v]
        picture, depth, levels, solid = image[s], half[s], out[v, s], dense[s]
        for k in range(levels.shape[0]):
            for n in range(bins):
                row = levels[k, n]
                for z in range(SLAB):
                    row[z] = 0.0
        for d in range(depths):
            w_a, w_b, w_c = share[v, d, 0], share[v, d, 1], share[v, d, 2]
            first, second, third = levels[low[v, d]], levels[low[v, d] + 1], levels[low[v, d] + 2]
            for n in range(spans[v, d, 0], spans[v, d, 1]):
                u = np.uintp(n)
                i, fx = _corner(column0 + n * column_u + d * column_d, one)
                j, fy = _corner(row0 + n * row_u + d * row_d, one)
                w00, w01, w10, w11 = _weights(fx, fy, one)
                through = passed[u]
                if solid[j, i]:
                    _attenuate(depth, i, j, (w00, w01, w10, w11), one, through, middle)
                    through = middle
                a, b, c, e = picture[j, i], picture[j, i + step], picture[j + step, i], picture[j + step, i + step]
                for z in range(SLAB):
                    value[z] = (w00 * a[z] + w01 * b[z] + w10 * c[z] + w11 * e[z]) * through[z]
                row_a, row_b, row_c = first[u], second[u], third[u]
                for z in range(SLAB):
                    row_a[z] += w_a * value[z]
                    row_b[z] += w_b * value[z]
                    row_c[z] += w_c * value[z]


@njit(cache=True, parallel=True, fastmath={"contract"})
def rotate_back(
    levels: Any, half: Any, dense: Any, frame: Any, spans: Any, low: Any, share: Any, slabs: Any, out: Any
) -> None:
    """Exact transpose of :func:`rotate_forward`: ``levels`` as its ``out``; ``out`` as its ``image``, added to."""
    views, depths = low.shape
    bins = levels.shape[3]
    one, step = out.dtype.type(1.0), np.uintp(1)
    for s in prange(out.shape[0]):
        depth, picture, solid = half[s], out[s], dense[s]
        middle, value = np.ones(SLAB, out.dtype), np.empty(SLAB, out.dtype)
        for v in range(views):
            if s < slabs[v, 0] or s >= slabs[v, 1]:
                continue
            passed = np.ones((bins, SLAB), out.dtype)
            column0, row0, column_u, row_u, column_d, row_d = frame[v]
            mine = levels[v, s]
            for d in range(depths):
                w_a, w_b, w_c = share[v, d, 0], share[v, d, 1], share[v, d, 2]
                first, second, third = mine[low[v, d]], mine[low[v, d] + 1], mine[low[v, d] + 2]
                for n in range(spans[v, d, 0], spans[v, d, 1]):
                    u = np.uintp(n)
                    i, fx = _corner(column0 + n * column_u + d * column_d, one)
                    j, fy = _corner(row0 + n * row_u + d * row_d, one)
                    w00, w01, w10, w11 = _weights(fx, fy, one)
                    through = passed[u]
                    if solid[j, i]:
                        _attenuate(depth, i, j, (w00, w01, w10, w11), one, through, middle)
                        through = middle
                    row_a, row_b, row_c = first[u], second[u], third[u]
                    for z in range(SLAB):
                        value[z] = (w_a * row_a[z] + w_b * row_b[z] + w_c * row_c[z]) * through[z]
                    a, b, c, e = picture[j, i], picture[j, i + step], picture[j + step, i], picture[j + step, i + step]
                    for z in range(SLAB):
                        a[z] += w00 * value[z]
                        b[z] += w01 * value[z]
                    for z in range(SLAB):
                        c[z] += w10 * value[z]
                        e[z] += w11 * value[z]


@njit(cache=True, fastmath={"contract"})
def _blur(field: Any, scratch: Any, taps: Any) -> None:
    """Blur a field in place by symmetric five-tap kernels; its outer two rows and columns are zero and stay so."""
    rows, columns = field.shape
    c, b, a = taps[0], taps[1], taps[2]
    for u in range(2, rows - 2):
        here, near, after, far, beyond = field[u], field[u - 1], field[u + 1], field[u - 2], field[u + 2]
        line = scratch[u]
        for z in range(columns):
            line[z] = c * here[z] + b * (near[z] + after[z]) + a * (far[z] + beyond[z])
    c, b, a = taps[3], taps[4], taps[5]
    for u in range(2, rows - 2):
        line, target = scratch[u], field[u]
        for z in range(2, columns - 2):
            target[z] = c * line[z] + b * (line[z - 1] + line[z + 1]) + a * (line[z - 2] + line[z + 2])


@njit(cache=True, fastmath={"contract"})
def _blur_along(field: Any, scratch: Any, centre: Any, beside: Any) -> None:
    """Blur a field in place along the axis by a symmetric three-tap kernel."""
    for u in range(2, field.shape[0] - 2):
        line, target = scratch[u], field[u]
        line[:] = target
        for z in range(2, field.shape[1] - 2):
            target[z] = centre * line[z] + beside * (line[z - 1] + line[z + 1])


@njit(cache=True, parallel=True, fastmath={"contract"})
def blur_forward(
    levels: Any, taps: Any, last_taps: Any, pads: Any, slabs: Any, offset: Any, scale: Any, out: Any
) -> None:
    """Blur the levels of each view into its projection.

    Parameters
    ----------
    levels : (views, slabs, levels, bins, SLAB)
    taps : (levels - 1, 6), centre, first and second neighbour across and along the axis, from each level to the next
    last_taps : (views, 2), centre and neighbour of a blur along the axis alone, of all levels
    pads : (2,), bins and slices of zeros about the image, so that what leaves a field of view may come back
    slabs : (views, 2), as in :func:`rotate_forward`
    offset : (views,), slice of the first detector row
    scale : (views,), factor of each view
    out : (views, rows, bins), written
    """
    views, _, depth, bins, _ = levels.shape
    across, along = pads[0] + 2, pads[1] + 2
    rows = out.shape[1]
    for v in prange(views):
        first, last = slabs[v, 0], slabs[v, 1]
        field = np.zeros((bins + 2 * across, (last - first) * SLAB + 2 * along), levels.dtype)
        scratch = np.zeros_like(field)
        for k in range(depth - 1, -1, -1):
            if k < depth - 1:
                _blur(field, scratch, taps[k])
            for s in range(first, last):
                for u in range(bins):
                    source = levels[v, s, k, u]
                    target = field[u + across, along + (s - first) * SLAB : along + (s - first + 1) * SLAB]
                    for z in range(SLAB):
                        target[z] += source[z]
        if last_taps[v, 1] > 0:
            _blur_along(field, scratch, last_taps[v, 0], last_taps[v, 1])
        for r in range(rows):
            position = offset[v] + r - first * SLAB + along
            z = int(np.floor(position))
            upper = levels.dtype.type(position - z) * scale[v]
            lower = scale[v] - upper
            if z < 0 or z + 1 >= field.shape[1]:
                out[v, r, :] = 0.0
                continue
            for u in range(bins):
                out[v, r, u] = lower * field[u + across, z] + upper * field[u + across, z + 1]


@njit(cache=True, parallel=True, fastmath={"contract"})
def blur_back(data: Any, taps: Any, last_taps: Any, pads: Any, slabs: Any, offset: Any, scale: Any, out: Any) -> None:
    """Exact transpose of :func:`blur_forward`: ``data`` as its ``out``; ``out`` as its ``levels``, written where seen."""
    views, _, depth, bins, _ = out.shape
    across, along = pads[0] + 2, pads[1] + 2
    rows = data.shape[1]
    for v in prange(views):
        first, last = slabs[v, 0], slabs[v, 1]
        field = np.zeros((bins + 2 * across, (last - first) * SLAB + 2 * along), out.dtype)
        scratch = np.zeros_like(field)
        for r in range(rows):
            position = offset[v] + r - first * SLAB + along
            z = int(np.floor(position))
            upper = out.dtype.type(position - z) * scale[v]
            lower = scale[v] - upper
            # The outer two columns stay zero for the blur, and the forward direction reads zeros there.
            for side, weight in ((z, lower), (z + 1, upper)):
                if 2 <= side < field.shape[1] - 2:
                    for u in range(bins):
                        field[u + across, side] += weight * data[v, r, u]
        if last_taps[v, 1] > 0:
            _blur_along(field, scratch, last_taps[v, 0], last_taps[v, 1])
        for k in range(depth):
            if k > 0:
                _blur(field, scratch, taps[k - 1])
            for s in range(first, last):
                for u in range(bins):
                    target = out[v, s, k, u]
                    source = field[u + across, along + (s - first) * SLAB : along + (s - first + 1) * SLAB]
                    for z in range(SLAB):
                        target[z] = source[z]
