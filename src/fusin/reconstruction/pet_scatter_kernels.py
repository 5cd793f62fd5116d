"""Compiled sums over scatter points, and the interpolation of sparse detector pairs."""

from __future__ import annotations

import math
from typing import Any

from numba import njit, prange

__all__ = ["interpolate_pairs", "leg_profiles", "pair_sums", "scattered", "timed_pair_sums"]


@njit(cache=True, inline="always")
def scattered(point: Any, strength: float, a: Any, b: Any, facing_a: Any, facing_b: Any, angle_table: Any) -> Any:
    """What a scatter point adds to a pair of detectors for an emission of 1 on either leg, before attenuation.

    Parameters
    ----------
    point, a, b : (3,) places of the scatter point and the two detectors [mm]
    strength : coefficient of attenuation times volume [mm^2]
    facing_a, facing_b : (3,) unit normals of the detectors
    angle_table : as in :func:`pair_sums`

    Returns
    -------
    tuple of float
        The share, the relative attenuation of the scattered photon, and the lengths of both legs [mm].
    """
    last = angle_table.shape[1] - 1
    ux, uy, uz = a[0] - point[0], a[1] - point[1], a[2] - point[2]
    vx, vy, vz = b[0] - point[0], b[1] - point[1], b[2] - point[2]
    ru, rv = ux * ux + uy * uy + uz * uz, vx * vx + vy * vy + vz * vz
    length_u, length_v = math.sqrt(ru), math.sqrt(rv)
    # The unscattered photon flew away from the detector of the other one: straight on is the cosine 1.
    cosine = -(ux * vx + uy * vy + uz * vz) / (length_u * length_v)
    place = 0.5 * (cosine + 1.0) * last
    i = min(max(int(place), 0), last - 1)
    w = place - i
    share = (1.0 - w) * angle_table[0, i] + w * angle_table[0, i + 1]
    thinner = (1.0 - w) * angle_table[1, i] + w * angle_table[1, i + 1]
    facing = (ux * facing_a[0] + uy * facing_a[1] + uz * facing_a[2]) / length_u
    facing *= (vx * facing_b[0] + vy * facing_b[1] + vz * facing_b[2]) / length_v
    return strength * share * max(facing, 0.0) / (ru * rv), thinner, length_u, length_v


@njit(cache=True, parallel=True)
def pair_sums(
    detectors: Any, normals: Any, points: Any, strength: Any, emission: Any, depth: Any, angle_table: Any, out: Any
) -> None:
    """Single scatter of each pair of detectors.

    Parameters
    ----------
    detectors, normals : (detectors, 3) places [mm] and unit normals
    points : (points, 3) [mm]
    strength : (points,) coefficient of attenuation times volume [mm^2]
    emission : (points, detectors) integral of the image from the point to the detector [image mm]
    depth : (points, detectors) integral of the coefficient of attenuation at 511 keV
    angle_table : (2, cosines) over the cosine from -1 to 1: probability per solid angle times efficiency, and attenuation
        relative to that at 511 keV
    out : (detectors, detectors), written; symmetric
    """
    count = detectors.shape[0]
    for a in prange(count):
        for b in range(a + 1, count):
            total = 0.0
            for s in range(points.shape[0]):
                share, thinner, _, _ = scattered(points[s], strength[s], detectors[a], detectors[b], normals[a], normals[b],
                                                 angle_table)  # fmt: skip
                if share <= 0.0:
                    continue
                one = emission[s, a] * math.exp(-depth[s, a] - thinner * depth[s, b])
                two = emission[s, b] * math.exp(-depth[s, b] - thinner * depth[s, a])
                total += share * (one + two)
            out[a, b] = total
            out[b, a] = total
    for a in range(count):
        out[a, a] = 0.0


@njit(cache=True, parallel=True)
def leg_profiles(values: Any, starts: Any, steps: Any, counts: Any, step_mm: float, bin_mm: float, out: Any) -> None:
    """Where along its way from a scatter point each ray passes activity.

    Parameters
    ----------
    values : (slices, rows, columns), contiguous
    starts : (rays, 3) first sample (x, y, z) in voxels
    steps : (rays, 3) from sample to sample
    counts : (rays,) samples
    step_mm, bin_mm : between samples, and of a bin of the profile
    out : (rays, bins), written: sums of the interpolated image
    """
    nz, ny, nx = values.shape
    for r in prange(starts.shape[0]):
        for k in range(out.shape[1]):
            out[r, k] = 0.0
        for n in range(counts[r]):
            x, y, z = starts[r, 0] + n * steps[r, 0], starts[r, 1] + n * steps[r, 1], starts[r, 2] + n * steps[r, 2]
            if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5 and -0.5 <= z < nz - 0.5):
                continue
            x, y, z = min(max(x, 0.0), nx - 1.0), min(max(y, 0.0), ny - 1.0), min(max(z, 0.0), nz - 1.0)
            i, j, k = int(x), int(y), int(z)
            i1, j1, k1 = min(i + 1, nx - 1), min(j + 1, ny - 1), min(k + 1, nz - 1)
            u, v, w = x - i, y - j, z - k
            low = (1.0 - v) * ((1.0 - u) * values[k, j, i] + u * values[k, j, i1])
            low += v * ((1.0 - u) * values[k, j1, i] + u * values[k, j1, i1])
            high = (1.0 - v) * ((1.0 - u) * values[k1, j, i] + u * values[k1, j, i1])
            high += v * ((1.0 - u) * values[k1, j1, i] + u * values[k1, j1, i1])
            # A sample lies between the middles of two bins and is shared by them, so that the mean place is kept.
            place = (n + 0.5) * step_mm / bin_mm - 0.5
            m = min(max(math.floor(place), 0), out.shape[1] - 2)
            share = min(max(place - m, 0.0), 1.0)
            value = (1.0 - w) * low + w * high
            out[r, m] += (1.0 - share) * value
            out[r, m + 1] += share * value


@njit(cache=True, inline="always")
def _at(profile: Any, place: float) -> Any:
    """A profile interpolated at a place in its samples; 0 outside."""
    i = math.floor(place)
    if i < 0 or i >= profile.shape[0] - 1:
        return 0.0
    w = place - i
    return (1.0 - w) * profile[i] + w * profile[i + 1]


@njit(cache=True, parallel=True)
def timed_pair_sums(
    detectors: Any, normals: Any, points: Any, strength: Any, legs: Any, first_mm: float, spacing_mm: float, depth: Any,
    angle_table: Any, centres_mm: Any, out: Any,
) -> None:  # fmt: skip
    """Single scatter of each pair of detectors in each timing bin.

    Parameters
    ----------
    detectors, normals, points, strength, depth, angle_table : as in :func:`pair_sums`
    legs : (points, detectors, samples) emission on the way from the point to the detector, as it is counted in a timing bin whose
        middle stands for a distance from the point
    first_mm, spacing_mm : that distance of the first sample, and between samples
    centres_mm : (timing bins,) their middles, from the middle of the pair towards the second detector
    out : (detectors, detectors, timing bins), added to for the first detector before the second
    """
    count = detectors.shape[0]
    for a in prange(count):
        for b in range(a + 1, count):
            for s in range(points.shape[0]):
                share, thinner, way_a, way_b = scattered(points[s], strength[s], detectors[a], detectors[b], normals[a],
                                                         normals[b], angle_table)  # fmt: skip
                if share <= 0.0:
                    continue
                one = share * math.exp(-depth[s, a] - thinner * depth[s, b])
                two = share * math.exp(-depth[s, b] - thinner * depth[s, a])
                middle = 0.5 * (way_a - way_b)
                for t in range(centres_mm.shape[0]):
                    # Emission at r on the leg to a arrives as if from middle - r on the line, on the leg to b as from middle + r.
                    away = middle - centres_mm[t]
                    out[a, b, t] += one * _at(legs[s, a], (away - first_mm) / spacing_mm)
                    out[a, b, t] += two * _at(legs[s, b], (-away - first_mm) / spacing_mm)


@njit(cache=True, inline="always")
def _between(place: float, count: int) -> Any:
    """Sample before a place, and the share of the next."""
    i = min(max(math.floor(place), 0), max(count - 2, 0))
    return i, min(max(place - i, 0.0), 1.0)


@njit(cache=True, parallel=True)
def interpolate_pairs(sparse: Any, around: Any, along: Any, factor: Any, rise: Any, radius: float, out: Any) -> None:
    """Expected scatter of every bin from that of sparse pairs.

    Parameters
    ----------
    sparse : (around, along, around, along) of the sampled detectors, without the geometry of the pair
    around : (lines, 2) place of both crystals among the samples around a ring
    along : (planes, 2) place of both rings among the samples along the axis
    factor : (lines,) squared distance across the axis [mm^2]
    rise : (planes,) axial distance of both ends [mm]
    radius : of the ring [mm]
    out : (lines, planes) float32, written
    """
    turns, rings = sparse.shape[0], sparse.shape[1]
    for line in prange(around.shape[0]):
        a, wa = math.floor(around[line, 0]), around[line, 0] - math.floor(around[line, 0])
        b, wb = math.floor(around[line, 1]), around[line, 1] - math.floor(around[line, 1])
        for p in range(along.shape[0]):
            i, wi = _between(along[p, 0], rings)
            j, wj = _between(along[p, 1], rings)
            i1, j1 = min(i + 1, rings - 1), min(j + 1, rings - 1)
            total = 0.0
            for k in range(4):
                one, two = (a + (k & 1)) % turns, (b + (k >> 1)) % turns
                share = (wa if k & 1 else 1.0 - wa) * (wb if k >> 1 else 1.0 - wb)
                total += share * (
                    (1.0 - wi) * ((1.0 - wj) * sparse[one, i, two, j] + wj * sparse[one, i, two, j1])
                    + wi * ((1.0 - wj) * sparse[one, i1, two, j] + wj * sparse[one, i1, two, j1])
                )
            # Both crystals face the axis: on a circle either cosine is half the chord over the radius, times that of the rise.
            square = factor[line] + rise[p] * rise[p]
            facing = factor[line] / (4.0 * radius * radius) * (factor[line] / square)
            out[line, p] = total * square / facing if facing > 0.0 else 0.0
