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
def crossing(plane: int, start: float, pace: float, enter: float, leave: float) -> Any:
    """Share of the ray within a plane of voxels, and the fraction at its middle; ``pace`` is 1 / step."""
    a, b = (plane - 0.5 - start) * pace, (plane + 0.5 - start) * pace
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


@njit(cache=True, inline="always")
def _orient(ray: Any, pixel: Any) -> Any:
    """Axis that a ray is walked along, the other two, and its length in millimetres."""
    a, b, c = abs(ray[3] * pixel[0]), abs(ray[4] * pixel[1]), abs(ray[5] * pixel[2])
    length = math.sqrt(a * a + b * b + c * c)
    most = max(a, b) * (1.0 + 1e-12)
    if c > most:
        return 2, 0, 1, length
    return (1, 0, 2, length) if b > a * (1.0 + 1e-12) else (0, 1, 2, length)


@njit(cache=True)
def _walk(shape: Any, ray: Any, pixel: Any, edges: Any, sigma: float, at: Any, upper: Any, parts: Any) -> Any:
    """Planes that a ray passes.

    Parameters
    ----------
    shape : (slices, rows, columns)
    ray : (x, y, z, dx, dy, dz), from the first end to the second, in voxels
    pixel : (x, y, z) size of a voxel in millimetres
    edges : (2,) of a time-of-flight bin, from the middle of the ray in millimetres; both the same: none
    sigma : of the time of flight in millimetres
    at : (planes,), written: flat index of the first of four voxels
    upper : (2, planes), written: shares of the next voxel in the two directions across
    parts : (planes,), written: millimetres, times the share of the time-of-flight bin

    Returns
    -------
    tuple of int
        Planes written, and the steps in memory to the next voxel in the two directions across.
    """
    size = (shape[2], shape[1], shape[0])
    stride = (1, shape[2], shape[2] * shape[1])
    axis, one, two, length = _orient(ray, pixel)
    across = (np.uintp(stride[one] if size[one] > 1 else 0), np.uintp(stride[two] if size[two] > 1 else 0))
    enter, leave = 0.0, 1.0
    for k in range(3):
        enter, leave = clip(ray[k], ray[3 + k], size[k], enter, leave)
    if leave <= enter or length == 0.0:
        return 0, across[0], across[1]
    first, last = span(ray[axis], ray[3 + axis], size[axis], enter, leave)
    pace, timed, count = 1.0 / ray[3 + axis], edges[1] > edges[0], 0
    low, high = first, last
    if timed:
        reach = CUT * sigma
        a, b = max(enter, (edges[0] - reach) / length + 0.5), min(leave, (edges[1] + reach) / length + 0.5)
        if b <= a:
            return 0, across[0], across[1]
        low, high = span(ray[axis], ray[3 + axis], size[axis], a, b)
    start_u, step_u, top_u, most_u = ray[one], ray[3 + one], size[one] - 1.0, max(size[one] - 2, 0)
    start_v, step_v, top_v, most_v = ray[two], ray[3 + two], size[two] - 1.0, max(size[two] - 2, 0)
    for plane in range(low, high + 1):
        if first < plane < last:
            weight, middle = abs(pace) * length, (plane - ray[axis]) * pace
        else:
            share, middle = crossing(plane, ray[axis], pace, enter, leave)
            weight = share * length
        if timed:
            place = (middle - 0.5) * length
            weight *= below((edges[1] - place) / sigma) - below((edges[0] - place) / sigma)
            if weight <= 0.0:
                continue
        u, v = min(max(start_u + step_u * middle, 0.0), top_u), min(max(start_v + step_v * middle, 0.0), top_v)
        i, j = min(int(u), most_u), min(int(v), most_v)
        at[count] = plane * stride[axis] + i * stride[one] + j * stride[two]
        upper[0, count], upper[1, count], parts[count] = u - i, v - j, weight
        count += 1
    return count, across[0], across[1]


@njit(cache=True, parallel=True)
def rays_forward(image: Any, rays: Any, pixel: Any, edges: Any, sigma: float, out: Any) -> None:
    """Line integrals of an image.

    Parameters
    ----------
    image : (slices, rows, columns), contiguous
    rays : (rays, 6), as in :func:`_walk`
    pixel : (3,) millimetres along x, y, z
    edges : (rays, 2), or (1, 2) for all of them, as in :func:`_walk`
    sigma : of the time of flight in millimetres
    out : (rays,), written
    """
    most, whole = max(image.shape), np.float32(1.0)
    flat = image.ravel()
    for task in prange((rays.shape[0] + 255) // 256):
        at, upper, parts = np.empty(most, np.uintp), np.empty((2, most), np.float32), np.empty(most, np.float32)
        for r in range(task * 256, min((task + 1) * 256, rays.shape[0])):
            bounds = edges[r if edges.shape[0] > 1 else 0]
            count, one, two = _walk(image.shape, rays[r], pixel, bounds, sigma, at, upper, parts)
            total = 0.0
            for i in range(count):
                k, u, v = at[i], upper[0, i], upper[1, i]
                near = (whole - u) * flat[k] + u * flat[k + one]
                far = (whole - u) * flat[k + two] + u * flat[k + one + two]
                total += parts[i] * ((whole - v) * near + v * far)
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
    chunks, shape = parts_of.shape[0], parts_of.shape[1:]
    most, whole = max(shape), np.float32(1.0)
    for chunk in prange(chunks):
        flat = parts_of[chunk].ravel()
        at, upper, parts = np.empty(most, np.uintp), np.empty((2, most), np.float32), np.empty(most, np.float32)
        for r in range(chunk * rays.shape[0] // chunks, (chunk + 1) * rays.shape[0] // chunks):
            y = np.float32(data[r])
            if y == 0.0:
                continue
            bounds = edges[r if edges.shape[0] > 1 else 0]
            count, one, two = _walk(shape, rays[r], pixel, bounds, sigma, at, upper, parts)
            for i in range(count):
                k, u, v = at[i], upper[0, i], upper[1, i]
                value = parts[i] * y
                near, far = (whole - v) * value, v * value
                flat[k] += (whole - u) * near
                flat[k + one] += u * near
                flat[k + two] += (whole - u) * far
                flat[k + one + two] += u * far
