"""Compiled loops of growing, flooding and marker watershed; called by `segmentation` and `candidates` only."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["flood_basins", "grow", "merge_small", "watershed"]


@njit(cache=True, nogil=True)
def grow(
    values: NDArray[Any], seed: NDArray[np.int64], threshold: float, allowed: NDArray[np.bool_], bounded: bool
) -> NDArray[np.int32]:
    """(n, 3) voxels at or above a threshold that are 26-connected to a seed, in the order in which they were reached.

    Parameters
    ----------
    values : (slices, rows, columns); NaN never belongs
    seed : (3,) index of a voxel at or above the threshold
    allowed : mask of the same shape that bounds the growth, read only when ``bounded``
    """
    nz, ny, nx = values.shape
    seen = np.zeros((nz, ny, nx), dtype=np.bool_)
    found = np.empty((1024, 3), dtype=np.int32)
    found[0, 0], found[0, 1], found[0, 2] = seed[0], seed[1], seed[2]
    seen[seed[0], seed[1], seed[2]] = True
    count = 1
    head = 0
    while head < count:
        z0, y0, x0 = found[head, 0], found[head, 1], found[head, 2]
        head += 1
        for z in range(max(z0 - 1, 0), min(z0 + 2, nz)):
            for y in range(max(y0 - 1, 0), min(y0 + 2, ny)):
                for x in range(max(x0 - 1, 0), min(x0 + 2, nx)):
                    if seen[z, y, x] or not values[z, y, x] >= threshold:
                        continue
                    if bounded and not allowed[z, y, x]:
                        continue
                    seen[z, y, x] = True
                    if count == found.shape[0]:
                        larger = np.empty((2 * count, 3), dtype=np.int32)
                        larger[:count] = found
                        found = larger
                    found[count, 0], found[count, 1], found[count, 2] = z, y, x
                    count += 1
    return found[:count]


@njit(cache=True, nogil=True)
def _find(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _distance(a: NDArray[np.int32], b: NDArray[np.int32], axes: NDArray[np.float64]) -> float:
    """Millimetres between two voxel centres."""
    total = 0.0
    for c in range(3):
        step = 0.0
        for i in range(3):
            step += (a[i] - b[i]) * axes[i, c]
        total += step * step
    return float(np.sqrt(total))


@njit(cache=True, nogil=True)
def _joins(
    low: int,
    high: int,
    saddle: float,
    values: NDArray[Any],
    owner: NDArray[np.int32],
    size: int,
    rules: NDArray[np.float64],
    distance_mm: float,
) -> bool:
    """Whether the lower of two basins that meet at a saddle is part of the higher one; see `flood_basins`."""
    prominence = (values[low] - saddle) / values[low]
    if owner[low] > 0:
        return bool(owner[low] == owner[high])
    if size < rules[3]:
        return True
    if owner[high] > 0:
        return bool(prominence < (rules[0] if owner[low] < 0 else rules[2]))
    return bool(prominence < rules[0] or distance_mm < rules[1])


@njit(cache=True, nogil=True)
def _flooded_neighbours(
    at: NDArray[np.int32], lookup: NDArray[np.int32], parent: NDArray[np.int32], near: NDArray[np.int64]
) -> int:
    """Write the positions of the neighbours that already have a basin to ``near`` and return their number."""
    nz, ny, nx = lookup.shape
    count = 0
    for z in range(max(at[0] - 1, 0), min(at[0] + 2, nz)):
        for y in range(max(at[1] - 1, 0), min(at[1] + 2, ny)):
            for x in range(max(at[2] - 1, 0), min(at[2] + 2, nx)):
                w = lookup[z, y, x] - 1
                if w >= 0 and parent[w] >= 0:
                    near[count] = w
                    count += 1
    return count


@njit(cache=True, nogil=True)
def flood_basins(
    values: NDArray[Any],
    index: NDArray[np.int32],
    order: NDArray[np.int64],
    lookup: NDArray[np.int32],
    axes: NDArray[np.float64],
    owner: NDArray[np.int32],
    rules: NDArray[np.float64],
) -> NDArray[np.int32]:
    """Assign each foreground voxel to a maximum by flooding from the top; basins join where the rules say so.

    Voxels come in order of falling value. Each joins the basin of its hottest neighbour; where it touches further
    basins it is their saddle, and the lower basin joins the higher one when

    - its maximum lies in an exclusion (``owner`` > 0) and the higher maximum in the same one; otherwise never,
    - or it holds fewer than ``rules[3]`` voxels above the saddle,
    - or the higher maximum lies in an exclusion and the relative prominence is below ``rules[2]`` (``rules[0]`` when
      the lower maximum lies in the spill-out rim, ``owner`` < 0),
    - or neither does and the prominence is below ``rules[0]`` or the maxima are closer than ``rules[1]`` mm.

    Parameters
    ----------
    values, index, owner : (n,), (n, 3), (n,) of the foreground voxels
    order : (n,) positions by falling value, ties in C order
    lookup : (slices, rows, columns); position + 1 of a foreground voxel, 0 elsewhere
    axes : (3, 3) millimetre steps along slice, row, column

    Returns
    -------
    (n,) position of the maximum that each voxel belongs to
    """
    n = values.shape[0]
    parent = np.full(n, -1, dtype=np.int32)
    size = np.ones(n, dtype=np.int64)
    rank = np.empty(n, dtype=np.int64)
    for r in range(n):
        rank[order[r]] = r
    near = np.empty(26, dtype=np.int64)
    for r in range(n):
        v = order[r]
        count = _flooded_neighbours(index[v], lookup, parent, near)
        if count == 0:
            parent[v] = v
            continue
        own = _find(parent, near[np.argmin(rank[near[:count]])])
        parent[v] = own
        size[own] += 1
        for k in range(count):
            other = _find(parent, near[k])
            if other == own:
                continue
            low, high = (other, own) if rank[other] > rank[own] else (own, other)
            distance = _distance(index[low], index[high], axes)
            if _joins(low, high, float(values[v]), values, owner, size[low], rules, distance):
                parent[low] = high
                size[high] += size[low]
                own = high
    for i in range(n):
        parent[i] = _find(parent, i)
    return parent


@njit(cache=True, nogil=True)
def merge_small(
    basins: NDArray[np.int32],
    index: NDArray[np.int32],
    order: NDArray[np.int64],
    lookup: NDArray[np.int32],
    owner: NDArray[np.int32],
    min_voxels: int,
) -> None:
    """Give basins below a size to the neighbour behind their highest saddle, in place.

    A split must not throw away volume. A basin never takes over a neighbour across the border of an exclusion unless
    its maximum is the higher one.
    """
    n = basins.shape[0]
    nz, ny, nx = lookup.shape
    size = np.zeros(n, dtype=np.int64)
    rank = np.empty(n, dtype=np.int64)
    for r in range(n):
        rank[order[r]] = r
        size[basins[r]] += 1
    for r in range(n):
        v = order[r]
        z0, y0, x0 = index[v, 0], index[v, 1], index[v, 2]
        for z in range(max(z0 - 1, 0), min(z0 + 2, nz)):
            for y in range(max(y0 - 1, 0), min(y0 + 2, ny)):
                for x in range(max(x0 - 1, 0), min(x0 + 2, nx)):
                    w = lookup[z, y, x] - 1
                    if w < 0 or rank[w] > r:
                        continue
                    a, b = _find(basins, v), _find(basins, w)
                    if a == b:
                        continue
                    low, high = (a, b) if rank[a] > rank[b] else (b, a)
                    mixed = (owner[low] > 0) != (owner[high] > 0)
                    small = size[low] < min_voxels or (size[high] < min_voxels and not mixed)
                    if not small or (owner[low] > 0 and owner[low] != owner[high]):
                        continue
                    basins[low] = high
                    size[high] += size[low]
    for i in range(n):
        basins[i] = _find(basins, i)


@njit(cache=True, nogil=True)
def watershed(relief: NDArray[np.float64], labels: NDArray[np.int32]) -> None:
    """Flood a relief from its markers, in place: each voxel takes the label that reaches it over the lowest pass.

    Parameters
    ----------
    relief : (slices, rows, columns), finite
    labels : same shape; markers > 0, 0 to be filled. Ties go to the voxel that was reached first.
    """
    nz, ny, nx = relief.shape
    queue = [(relief[0, 0, 0], 0, 0, 0, 0)]
    queue.pop()
    age = 0
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                if labels[z, y, x] > 0:
                    queue.append((relief[z, y, x], age, z, y, x))
                    age += 1
    heapq.heapify(queue)
    while len(queue) > 0:
        level, _, z0, y0, x0 = heapq.heappop(queue)
        for z in range(max(z0 - 1, 0), min(z0 + 2, nz)):
            for y in range(max(y0 - 1, 0), min(y0 + 2, ny)):
                for x in range(max(x0 - 1, 0), min(x0 + 2, nx)):
                    if labels[z, y, x] == 0:
                        labels[z, y, x] = labels[z0, y0, x0]
                        heapq.heappush(queue, (max(level, relief[z, y, x]), age, z, y, x))
                        age += 1
