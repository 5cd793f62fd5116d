"""Exact integrals along lines through solids of constant content; of solids that overlap, the last one counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

__all__ = ["attenuated_planes", "integrals", "paint"]

_TINY = 1e-12


@njit(cache=True)
def _between(q: float, e: float, low: float, high: float) -> Any:
    """Where |q + t e| <= 1."""
    if abs(e) < _TINY:
        return (low, high) if abs(q) <= 1.0 else (1.0, 0.0)
    first, second = (-1.0 - q) / e, (1.0 - q) / e
    return max(low, min(first, second)), min(high, max(first, second))


@njit(cache=True)
def _within(a: float, b: float, c: float, low: float, high: float) -> Any:
    """Where a t^2 + 2 b t + c <= 0."""
    if a < _TINY * _TINY:
        return (low, high) if c <= 0.0 else (1.0, 0.0)
    root = b * b - a * c
    if root <= 0.0:
        return 1.0, 0.0
    root = np.sqrt(root)
    return max(low, (-b - root) / a), min(high, (-b + root) / a)


@njit(cache=True)
def _cross(kind: Any, row: Any, p: Any, d: Any, low: float, high: float) -> Any:
    """Where the line p + t d is inside of a solid, within low to high; empty when the first is not below the second."""
    if row[15] != 0.0 or row[16] != 0.0 or row[17] != 0.0:
        height = row[15] * p[0] + row[16] * p[1] + row[17] * p[2] - row[18]
        slope = row[15] * d[0] + row[16] * d[1] + row[17] * d[2]
        if abs(slope) < _TINY:
            if height > 0.0:
                return 1.0, 0.0
        elif slope > 0.0:
            high = min(high, -height / slope)
        else:
            low = max(low, -height / slope)
    a, b, c = 0.0, 0.0, -1.0
    for axis in range(3):
        first = 3 + 3 * axis
        q = row[first] * (p[0] - row[0]) + row[first + 1] * (p[1] - row[1]) + row[first + 2] * (p[2] - row[2])
        e = row[first] * d[0] + row[first + 1] * d[1] + row[first + 2] * d[2]
        q, e = q / row[12 + axis], e / row[12 + axis]
        if kind == 2 or (kind == 1 and axis == 2):
            low, high = _between(q, e, low, high)
        else:
            a, b, c = a + e * e, b + q * e, c + q * q
    return _within(a, b, c, low, high) if kind != 2 else (low, high)


@njit(cache=True)
def _cuts(kinds: Any, data: Any, p: Any, d: Any, length: float, index: Any, low: Any, high: Any, cuts: Any) -> Any:
    """Solids that a line meets, and the sorted places where it enters or leaves one."""
    count = 0
    for s in range(kinds.size):
        a, b = _cross(kinds[s], data[s], p, d, 0.0, length)
        if a < b:
            index[count], low[count], high[count] = s, a, b
            for value in (a, b):
                place = 2 * count if value == a else 2 * count + 1
                while place > 0 and cuts[place - 1] > value:
                    cuts[place] = cuts[place - 1]
                    place -= 1
                cuts[place] = value
            count += 1
    return count


@njit(cache=True)
def _top(count: int, index: Any, low: Any, high: Any, middle: float) -> Any:
    for s in range(count - 1, -1, -1):
        if low[s] < middle < high[s]:
            return index[s]
    return -1


@njit(cache=True, parallel=True)
def integrals(kinds: Any, data: Any, values: Any, starts: Any, ends: Any, out: Any) -> None:
    """out[ray, k] = integral of content k from start to end, in content times mm."""
    for ray in prange(starts.shape[0]):
        index, low, high = np.empty(kinds.size, np.int64), np.empty(kinds.size), np.empty(kinds.size)
        cuts = np.empty(2 * kinds.size)
        d = ends[ray] - starts[ray]
        length = np.sqrt((d * d).sum())
        out[ray, :] = 0.0
        if length == 0.0:
            continue
        d = d / length
        count = _cuts(kinds, data, starts[ray], d, length, index, low, high, cuts)
        for i in range(2 * count - 1):
            step = cuts[i + 1] - cuts[i]
            top = _top(count, index, low, high, 0.5 * (cuts[i] + cuts[i + 1]))
            if step > 0.0 and top >= 0:
                for k in range(values.shape[1]):
                    out[ray, k] += values[top, k] * step


@njit(cache=True, parallel=True)
def attenuated_planes(
    kinds: Any, data: Any, values: Any, starts: Any, direction: Any, slab_mm: float, seen: Any, emitted: Any
) -> None:
    """Integrals of the activity in slabs behind a detector, with and without attenuation on the way to it.

    ``values`` holds activity per part and attenuation per mm; ``seen[slab, ray]`` and ``emitted[slab, ray]`` are filled.
    """
    slabs = seen.shape[0]
    length = slabs * slab_mm
    for ray in prange(starts.shape[0]):
        index, low, high = np.empty(kinds.size, np.int64), np.empty(kinds.size), np.empty(kinds.size)
        cuts = np.empty(2 * kinds.size)
        seen[:, ray] = 0.0
        emitted[:, ray] = 0.0
        count = _cuts(kinds, data, starts[ray], direction, length, index, low, high, cuts)
        depth = 0.0
        for i in range(2 * count - 1):
            place, stop = cuts[i], cuts[i + 1]
            top = _top(count, index, low, high, 0.5 * (place + stop))
            if stop <= place or top < 0:
                continue
            activity, mu = values[top, 0], values[top, 1]
            if activity == 0.0:
                depth += mu * (stop - place)
                continue
            while place < stop:
                slab = min(int(place / slab_mm + 1e-9), slabs - 1)
                edge = min(stop, (slab + 1) * slab_mm) if slab < slabs - 1 else stop
                step = edge - place
                share = step if mu * step < 1e-9 else -np.expm1(-mu * step) / mu
                seen[slab, ray] += activity * np.exp(-depth) * share
                emitted[slab, ray] += activity * step
                depth += mu * step
                place = edge


@njit(cache=True)
def _holds(kind: Any, row: Any, x: float, y: float, z: float) -> bool:
    if row[15] * x + row[16] * y + row[17] * z > row[18]:
        return False
    total = 0.0
    for axis in range(3):
        first = 3 + 3 * axis
        q = row[first] * (x - row[0]) + row[first + 1] * (y - row[1]) + row[first + 2] * (z - row[2])
        q /= row[12 + axis]
        if kind == 2 or (kind == 1 and axis == 2):
            if abs(q) > 1.0:
                return False
        else:
            total += q * q
    return total <= 1.0


@njit(cache=True, parallel=True)
def paint(kinds: Any, data: Any, values: Any, affine: Any, samples: Any, out: Any) -> None:
    """Mean content of each voxel over samples (along x, y, z) in it; out[k, slice, row, column]."""
    _, slices, rows, columns = out.shape
    share = 1.0 / (samples[0] * samples[1] * samples[2])
    for plane in prange(slices * rows):
        k, j = plane // rows, plane % rows
        total = np.empty(values.shape[1])
        for i in range(columns):
            total[:] = 0.0
            for c in range(samples[2]):
                w = k + (c + 0.5) / samples[2] - 0.5
                for b in range(samples[1]):
                    v = j + (b + 0.5) / samples[1] - 0.5
                    for a in range(samples[0]):
                        u = i + (a + 0.5) / samples[0] - 0.5
                        x = affine[0, 0] * u + affine[0, 1] * v + affine[0, 2] * w + affine[0, 3]
                        y = affine[1, 0] * u + affine[1, 1] * v + affine[1, 2] * w + affine[1, 3]
                        z = affine[2, 0] * u + affine[2, 1] * v + affine[2, 2] * w + affine[2, 3]
                        for s in range(kinds.size - 1, -1, -1):
                            if _holds(kinds[s], data[s], x, y, z):
                                for n in range(values.shape[1]):
                                    total[n] += values[s, n]
                                break
            for n in range(values.shape[1]):
                out[n, k, j, i] = total[n] * share
