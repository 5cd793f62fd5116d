"""Compiled Joseph projector of single rays.

A ray is walked along the axis of its largest component. In each plane of voxels it passes, the image is interpolated in the other
two directions at the middle of the ray's way through the plane, and counted with the length of that way. The first and the last
plane count with what of them the ray really crosses, and between the outermost centres and the faces of the image the outermost
voxels go on: so an image of ones gives the length of the chord for every ray, also along the faces.

References
----------
Joseph P, IEEE Trans Med Imaging 1982;1:192.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

__all__ = ["CUT", "below", "clip", "crossing", "rays_back", "rays_forward", "span"]

CUT = 4.0
"""Where the Gaussian of the time of flight is cut off, in standard deviations; its integral is kept at 1."""


@njit(cache=True, inline="always")
def clip(start: float, step: float, size: int, enter: float, leave: float) -> Any:
    """Narrow (enter, leave), fractions of a ray, to what lies between two faces of the image."""
    if step == 0.0:
        return (enter, leave) if -0.5 <= start < size - 0.5 else (1.0, 0.0)
    a, b = (-0.5 - start) / step, (size - 0.5 - start) / step
    return max(enter, min(a, b)), min(leave, max(a, b))


@njit(cache=True, inline="always")
def span(start: float, step: float, size: int, enter: float, leave: float) -> Any:
    """First and last plane that a clipped ray passes."""
    a, b = start + step * enter, start + step * leave
    return max(int(np.floor(min(a, b) + 0.5)), 0), min(int(np.floor(max(a, b) + 0.5)), size - 1)


@njit(cache=True, inline="always")
def crossing(plane: int, start: float, step: float, enter: float, leave: float) -> Any:
    """Share of the ray within a plane of voxels, and the fraction at its middle."""
    a, b = (plane - 0.5 - start) / step, (plane + 0.5 - start) / step
    low, high = max(enter, min(a, b)), min(leave, max(a, b))
    return max(high - low, 0.0), 0.5 * (low + high)


@njit(cache=True, inline="always")
def below(distance: float) -> float:
    """Integral of the cut-off Gaussian up to a distance in standard deviations."""
    if distance <= -CUT:
        return 0.0
    if distance >= CUT:
        return 1.0
    return 0.5 + 0.5 * math.erf(distance * math.sqrt(0.5)) / math.erf(CUT * math.sqrt(0.5))


@njit(cache=True)
def _walk(shape: Any, ray: Any, pixel: Any, edges: Any, sigma: float, at: Any, lower: Any, parts: Any) -> int:
    """Planes that a ray passes: for each one its three indices, the weights of the next voxels, and its length.

    Parameters
    ----------
    shape : (slices, rows, columns)
    ray : (x, y, z, dx, dy, dz), from the first end to the second, in voxels
    pixel : (x, y, z) size of a voxel in millimetres
    edges : (2,) of a time-of-flight bin, from the middle of the ray in millimetres; both the same: none
    sigma : of the time of flight in millimetres
    at : (planes, 3), written: voxel (x, y, z) before the crossing
    lower : (planes, 3), written: 1 along the axis walked, else share of that voxel; the next one has the rest
    parts : (planes,), written: millimetres, times the share of the time-of-flight bin

    Returns
    -------
    int
        Planes written.
    """
    size = (shape[2], shape[1], shape[0])
    length = 0.0
    axis = 0
    for k in range(3):
        length += (ray[3 + k] * pixel[k]) ** 2
        if abs(ray[3 + k] * pixel[k]) > abs(ray[3 + axis] * pixel[axis]) * (1.0 + 1e-12):
            axis = k
    length = math.sqrt(length)
    if length == 0.0:
        return 0
    enter, leave = 0.0, 1.0
    for k in range(3):
        enter, leave = clip(ray[k], ray[3 + k], size[k], enter, leave)
    if leave <= enter:
        return 0
    first, last = span(ray[axis], ray[3 + axis], size[axis], enter, leave)
    count = 0
    for plane in range(first, last + 1):
        share, middle = crossing(plane, ray[axis], ray[3 + axis], enter, leave)
        weight = share * length
        if edges[1] > edges[0]:
            place = (middle - 0.5) * length
            weight *= below((edges[1] - place) / sigma) - below((edges[0] - place) / sigma)
        if weight <= 0.0:
            continue
        for k in range(3):
            at[count, k] = plane
            lower[count, k] = 1.0
            if k != axis:
                place = min(max(ray[k] + ray[3 + k] * middle, 0.0), size[k] - 1.0)
                at[count, k] = min(int(place), max(size[k] - 2, 0))
                lower[count, k] = 1.0 - (place - at[count, k])
        parts[count] = weight
        count += 1
    return count


@njit(cache=True, parallel=True)
def rays_forward(image: Any, rays: Any, pixel: Any, edges: Any, sigma: float, out: Any) -> None:
    """Line integrals of an image.

    Parameters
    ----------
    image : (slices, rows, columns)
    rays : (rays, 6), as in :func:`_walk`
    pixel : (3,) millimetres along x, y, z
    edges : (rays, 2), or (1, 2) for all of them, as in :func:`_walk`
    sigma : of the time of flight in millimetres
    out : (rays,), written
    """
    most = max(image.shape)
    tasks = (rays.shape[0] + 255) // 256
    top = np.array([image.shape[0] - 1, image.shape[1] - 1, image.shape[2] - 1])
    for task in prange(tasks):
        at, lower, parts = np.empty((most, 3), np.intp), np.empty((most, 3)), np.empty(most)
        for r in range(task * 256, min((task + 1) * 256, rays.shape[0])):
            count = _walk(image.shape, rays[r], pixel, edges[r if edges.shape[0] > 1 else 0], sigma, at, lower, parts)
            total = 0.0
            for i in range(count):
                x, y, z = at[i, 0], at[i, 1], at[i, 2]
                u, v, w = lower[i, 0], lower[i, 1], lower[i, 2]
                x1, y1, z1 = min(x + 1, top[2]), min(y + 1, top[1]), min(z + 1, top[0])
                # One of the three weights is 1, so that four of the eight corners count.
                value = 0.0
                for corner in range(8):
                    share = (
                        (1.0 - u if corner & 1 else u) * (1.0 - v if corner & 2 else v) * (1.0 - w if corner & 4 else w)
                    )
                    if share != 0.0:
                        value += (
                            share * image[z1 if corner & 4 else z, y1 if corner & 2 else y, x1 if corner & 1 else x]
                        )
                total += parts[i] * value
            out[r] = total


@njit(cache=True, parallel=True)
def rays_back(data: Any, rays: Any, pixel: Any, edges: Any, sigma: float, parts_of: Any) -> None:
    """Exact transpose of :func:`rays_forward`.

    Parameters
    ----------
    data : (rays,)
    rays, pixel, edges, sigma : as in :func:`rays_forward`
    parts_of : (chunks, slices, rows, columns), added to: each takes an equal share of the rays, and one thread at a time. Their
        number, not that of the threads, sets the order of all sums
    """
    chunks = parts_of.shape[0]
    shape = parts_of.shape[1:]
    most = max(shape)
    for chunk in prange(chunks):
        image = parts_of[chunk]
        at, lower, parts = np.empty((most, 3), np.intp), np.empty((most, 3)), np.empty(most)
        first, last = chunk * rays.shape[0] // chunks, (chunk + 1) * rays.shape[0] // chunks
        for r in range(first, last):
            if data[r] == 0.0:
                continue
            count = _walk(shape, rays[r], pixel, edges[r if edges.shape[0] > 1 else 0], sigma, at, lower, parts)
            for i in range(count):
                x, y, z = at[i, 0], at[i, 1], at[i, 2]
                u, v, w = lower[i, 0], lower[i, 1], lower[i, 2]
                x1, y1, z1 = min(x + 1, shape[2] - 1), min(y + 1, shape[1] - 1), min(z + 1, shape[0] - 1)
                value = parts[i] * data[r]
                for corner in range(8):
                    share = (
                        (1.0 - u if corner & 1 else u) * (1.0 - v if corner & 2 else v) * (1.0 - w if corner & 4 else w)
                    )
                    if share != 0.0:
                        image[z1 if corner & 4 else z, y1 if corner & 2 else y, x1 if corner & 1 else x] += (
                            value * share
                        )
