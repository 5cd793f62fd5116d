"""Compiled Joseph projector of sinograms that shares each column of the image among all planes of a line.

Lines that differ only in their rings pass the same columns of voxels. Each transaxial crossing is interpolated once for all
slices, and every ring difference then reads it with an axial shift that is the same for all its planes: a sum of two stretches of
memory. The image is stored ``[row, column, slice]`` with the slices sorted by their place within a ring pitch, so that those
stretches are contiguous. The lines and their weights are those of :mod:`fusin.reconstruction.pet_ray_kernels`.

Results do not depend on the number of threads: a line is projected by one thread, and so is a strip of the image written.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from fusin.reconstruction.pet_ray_kernels import below, clip, crossing, span

__all__ = ["STRIP", "prepare", "sinogram_back", "sinogram_forward"]

STRIP = 8
"""Columns or rows of the image that one thread writes at a time."""


@njit(cache=True, inline="always")
def _course(line: Any, pixel: Any, rows: int, columns: int) -> Any:
    """How a line crosses the image: (along x, first, last, enter, leave, start, 1 / step, start across, step across)."""
    dx, dy = line[2] - line[0], line[3] - line[1]
    enter, leave = clip(line[0], dx, columns, 0.0, 1.0)
    enter, leave = clip(line[1], dy, rows, enter, leave)
    along = abs(dy * pixel[1]) <= abs(dx * pixel[0]) * (1.0 + 1e-12)
    if leave <= enter:
        return along, 0, -1, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0
    if along:
        first, last = span(line[0], dx, columns, enter, leave)
        return True, first, last, enter, leave, line[0], 1.0 / dx, line[1], dy
    first, last = span(line[1], dy, rows, enter, leave)
    return False, first, last, enter, leave, line[1], 1.0 / dy, line[0], dx


@njit(cache=True, inline="always")
def _beside(across: float, size: int) -> Any:
    """Voxel before a place, and the share of the next one."""
    place = min(max(across, 0.0), size - 1.0)
    before = min(int(place), max(size - 2, 0))
    return before, np.float32(place - before)


@njit(cache=True, inline="always")
def _shift(base: float, slope: float, middle: float, pad: int) -> Any:
    """Index into the table of slices, and the share of the next slice."""
    place = base + slope * middle
    before = int(np.floor(place))
    return before + pad, place - before


@njit(cache=True, fastmath={"contract"})
def _mix(target: Any, first: Any, second: Any, a: Any, b: Any) -> None:
    for q in range(target.size):
        target[q] += a * first[q] + b * second[q]


@njit(cache=True, fastmath={"contract"})
def _mix_two(target: Any, first: Any, second: Any, third: Any, fourth: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    for q in range(target.size):
        target[q] += (a * first[q] + b * second[q]) + (c * third[q] + d * fourth[q])


@njit(cache=True, fastmath={"contract"})
def _add(target: Any, source: Any, a: Any) -> None:
    for q in range(target.size):
        target[q] += a * source[q]


@njit(cache=True, fastmath={"contract"})
def _share_out(first: Any, second: Any, source: Any, a: Any, b: Any) -> None:
    for q in range(source.size):
        first[q] += a * source[q]
        second[q] += b * source[q]


@njit(cache=True, inline="always")
def _length(line: Any, pixel: Any, rise: float) -> float:
    """Millimetres of a line whose ends lie ``rise`` apart along the axis."""
    return math.sqrt(((line[2] - line[0]) * pixel[0]) ** 2 + ((line[3] - line[1]) * pixel[1]) ** 2 + rise * rise)


@njit(cache=True)
def _columns(picture: Any, line: Any, pixel: Any, held: Any, shares: Any, middles: Any) -> int:
    """Interpolated columns of all crossings of a line; how many there are."""
    rows, columns = picture.shape[0], picture.shape[1]
    along, first, last, enter, leave, start, pace, start2, step2 = _course(line, pixel, rows, columns)
    count = 0
    for plane in range(first, last + 1):
        share, middle = crossing(plane, start, pace, enter, leave)
        if share <= 0.0:
            continue
        before, upper = _beside(start2 + step2 * middle, rows if along else columns)
        lower = np.float32(1.0) - upper
        # The next voxel of the last one has no weight, and may then be any.
        one = picture[before, plane] if along else picture[plane, before]
        after = min(before + 1, (rows if along else columns) - 1)
        two = picture[after, plane] if along else picture[plane, after]
        target = held[count]
        for z in range(target.size):
            target[z] = lower * one[z] + upper * two[z]
        shares[count], middles[count] = share, middle
        count += 1
    return count


@njit(cache=True)
def _read(held: Any, shares: Any, middles: Any, count: int, group: Any, table: Any, taken: Any) -> None:
    """Sums of one group of planes over all crossings, without time of flight."""
    base, slope, pad = group
    size = taken.size
    if size == 1:
        total = np.float32(0.0)
        for s in range(count):
            i, upper = _shift(base, slope, middles[s], pad)
            lower, share = np.float32(1.0 - upper), np.float32(shares[s])
            total += share * (held[s, table[i]] * lower + held[s, table[i + 1]] * np.float32(upper))
        taken[0] += total
        return
    s = 0
    while s + 1 < count:
        i, upper = _shift(base, slope, middles[s], pad)
        j, upper2 = _shift(base, slope, middles[s + 1], pad)
        a, b = np.float32(shares[s] * (1.0 - upper)), np.float32(shares[s] * upper)
        c, d = np.float32(shares[s + 1] * (1.0 - upper2)), np.float32(shares[s + 1] * upper2)
        f, g, h, k = table[i], table[i + 1], table[j], table[j + 1]
        here, there = held[s], held[s + 1]
        _mix_two(taken, here[f : f + size], here[g : g + size], there[h : h + size], there[k : k + size], a, b, c, d)
        s += 2
    if s < count:
        i, upper = _shift(base, slope, middles[s], pad)
        f, g = table[i], table[i + 1]
        here = held[s]
        _mix(taken, here[f : f + size], here[g : g + size], np.float32(shares[s] * (1.0 - upper)),
             np.float32(shares[s] * upper))  # fmt: skip


@njit(cache=True, inline="always")
def _timing(place: float, edges: Any, sigma: float, reach: float) -> Any:
    """First and last time-of-flight bin that a place reaches."""
    width = edges[1] - edges[0]
    low = int(np.floor((place - reach - edges[0]) / width))
    high = int(np.floor((place + reach - edges[0]) / width))
    return max(low, 0), min(high, edges.size - 2)


@njit(cache=True)
def _read_timed(
    held: Any,
    shares: Any,
    middles: Any,
    count: int,
    group: Any,
    table: Any,
    length: float,
    timing: Any,
    taken: Any,
) -> None:
    """Sums of one group of planes over all crossings in each time-of-flight bin; ``taken`` is (timing bins, planes)."""
    base, slope, pad = group
    size = taken.shape[1]
    edges, sigma, reach = timing
    value = np.empty(size, np.float32)
    for s in range(count):
        i, upper = _shift(base, slope, middles[s], pad)
        f, g = table[i], table[i + 1]
        place = (middles[s] - 0.5) * length
        low, high = _timing(place, edges, sigma, reach)
        value[:] = 0.0
        here = held[s]
        _mix(value, here[f : f + size], here[g : g + size], np.float32(shares[s] * (1.0 - upper)),
             np.float32(shares[s] * upper))  # fmt: skip
        before = below((edges[low] - place) / sigma) if high >= low else 0.0
        for t in range(low, high + 1):
            after = below((edges[t + 1] - place) / sigma)
            _add(taken[t], value, np.float32(after - before))
            before = after


@njit(cache=True, parallel=True)
def sinogram_forward(
    picture: Any, lines: Any, pixel: Any, groups: Any, counts: Any, table: Any, pad: int, weights: Any, plane_of: Any,
    edges: Any, sigma: float, reach: float, out: Any,
) -> None:  # fmt: skip
    """Line integrals of all planes of some lines.

    Parameters
    ----------
    picture : (rows, columns, width) float32, slices in the order of ``table``
    lines : (lines, 4) x and y of both ends in voxels
    pixel : (x, y) millimetres
    groups : (groups, 3) slice at the start of a line of its first plane, change along the line, and that in millimetres
    counts : (groups, 2) planes in a group, and its first place among the sums
    table : memory index of slice ``index - pad``
    pad : slices before the first
    weights, plane_of : (sums,) factor of each sum and the plane it belongs to
    edges, sigma, reach : of the time-of-flight bins, their Gaussian and where it is cut, in millimetres; empty for none
    out : (lines, timing bins, planes), written
    """
    most = max(picture.shape[0], picture.shape[1])
    timed = edges.size > 1
    for r in prange(lines.shape[0]):
        held = np.empty((most, picture.shape[2]), np.float32)
        shares, middles = np.empty(most), np.empty(most)
        sums = np.zeros((out.shape[1], weights.size), np.float32)
        found = _columns(picture, lines[r], pixel, held, shares, middles)
        for g in range(groups.shape[0]):
            size, first = counts[g, 0], counts[g, 1]
            group = (groups[g, 0], groups[g, 1], pad)
            length = _length(lines[r], pixel, groups[g, 2])
            taken = sums[:, first : first + size]
            if timed:
                _read_timed(held, shares, middles, found, group, table, length, (edges, sigma, reach), taken)
            else:
                _read(held, shares, middles, found, group, table, taken[0])
            for t in range(sums.shape[0]):
                for q in range(first, first + size):
                    sums[t, q] *= np.float32(length)
        out[r] = 0.0
        for t in range(sums.shape[0]):
            for q in range(weights.size):
                out[r, t, plane_of[q]] += weights[q] * sums[t, q]


@njit(cache=True, parallel=True)
def prepare(data: Any, lines: Any, pixel: Any, groups: Any, counts: Any, weights: Any, plane_of: Any, out: Any) -> None:
    """Spread data over the sums of :func:`sinogram_forward`: (lines, timing bins, planes) to (lines, timing bins, sums)."""
    for r in prange(data.shape[0]):
        for g in range(groups.shape[0]):
            length = np.float32(_length(lines[r], pixel, groups[g, 2]))
            for q in range(counts[g, 1], counts[g, 1] + counts[g, 0]):
                for t in range(data.shape[1]):
                    out[r, t, q] = data[r, t, plane_of[q]] * weights[q] * length


@njit(cache=True)
def _spread(column: Any, source: Any, share: float, middle: float, group: Any, table: Any) -> None:
    """Add one group of planes to the column of one crossing."""
    base, slope, pad = group
    i, upper = _shift(base, slope, middle, pad)
    f, g, size = table[i], table[i + 1], source.size
    _share_out(column[f : f + size], column[g : g + size], source, np.float32(share * (1.0 - upper)),
               np.float32(share * upper))  # fmt: skip


@njit(cache=True)
def _collect(sums: Any, first: int, size: int, place: float, timing: Any, value: Any) -> None:
    """Weighted sum of the time-of-flight bins that a place reaches."""
    edges, sigma, reach = timing
    low, high = _timing(place, edges, sigma, reach)
    value[:] = 0.0
    before = below((edges[low] - place) / sigma) if high >= low else 0.0
    for t in range(low, high + 1):
        after = below((edges[t + 1] - place) / sigma)
        _add(value, sums[t, first : first + size], np.float32(after - before))
        before = after


@njit(cache=True)
def _spread_groups(
    sums: Any, groups: Any, counts: Any, table: Any, pad: int, lengths: Any, timing: Any, share: float, middle: float, value: Any,
    column: Any,
) -> None:  # fmt: skip
    """Add all groups of planes of a line to the column of one crossing."""
    timed = timing[0].size > 1
    for g in range(groups.shape[0]):
        size, first = counts[g, 0], counts[g, 1]
        group = (groups[g, 0], groups[g, 1], pad)
        if timed:
            _collect(sums, first, size, (middle - 0.5) * lengths[g], timing, value[:size])
            _spread(column, value[:size], share, middle, group, table)
        elif size == 1:
            i, upper = _shift(groups[g, 0], groups[g, 1], middle, pad)
            part = sums[0, first] * np.float32(share)
            column[table[i]] += part * np.float32(1.0 - upper)
            column[table[i + 1]] += part * np.float32(upper)
        else:
            _spread(column, sums[0, first : first + size], share, middle, group, table)


@njit(cache=True, parallel=True)
def sinogram_back(
    sums: Any, lines: Any, pixel: Any, groups: Any, counts: Any, table: Any, pad: int, edges: Any, sigma: float, reach: float,
    along: bool, picture: Any,
) -> None:  # fmt: skip
    """Exact transpose of :func:`sinogram_forward` for the lines that are walked along x, or for the others.

    Parameters
    ----------
    sums : (lines, timing bins, sums) of :func:`prepare`
    lines, pixel, groups, counts, table, pad, edges, sigma, reach : as in :func:`sinogram_forward`
    along : whether to project the lines along x; each thread then writes strips of columns, otherwise of rows
    picture : (rows, columns, width), added to
    """
    rows, columns, width = picture.shape
    planes, size = (columns, rows) if along else (rows, columns)
    for strip in prange((planes + STRIP - 1) // STRIP):
        column, lengths = np.empty(width, np.float32), np.empty(groups.shape[0])
        value = np.empty(sums.shape[2], np.float32)
        for r in range(lines.shape[0]):
            course = _course(lines[r], pixel, rows, columns)
            first, last = max(course[1], strip * STRIP), min(course[2], strip * STRIP + STRIP - 1)
            if course[0] != along or last < first:
                continue
            if edges.size > 1:
                for g in range(groups.shape[0]):
                    lengths[g] = _length(lines[r], pixel, groups[g, 2])
            for plane in range(first, last + 1):
                share, middle = crossing(plane, course[5], course[6], course[3], course[4])
                if share <= 0.0:
                    continue
                column[:] = 0.0
                _spread_groups(
                    sums[r], groups, counts, table, pad, lengths, (edges, sigma, reach), share, middle, value, column
                )
                before, upper = _beside(course[7] + course[8] * middle, size)
                after = min(before + 1, size - 1)
                _add(picture[before, plane] if along else picture[plane, before], column, np.float32(1.0) - upper)
                _add(picture[after, plane] if along else picture[plane, after], column, upper)
