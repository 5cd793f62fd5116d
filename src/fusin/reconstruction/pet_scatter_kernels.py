"""Compiled sums over scatter points, and the interpolation of sparse detector pairs."""

from __future__ import annotations

import math
from typing import Any

from numba import njit, prange

__all__ = ["interpolate_pairs", "pair_sums"]


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
    count, last = detectors.shape[0], angle_table.shape[1] - 1
    for a in prange(count):
        for b in range(a + 1, count):
            total = 0.0
            for s in range(points.shape[0]):
                x, y, z = points[s, 0], points[s, 1], points[s, 2]
                ux, uy, uz = detectors[a, 0] - x, detectors[a, 1] - y, detectors[a, 2] - z
                vx, vy, vz = detectors[b, 0] - x, detectors[b, 1] - y, detectors[b, 2] - z
                ru, rv = ux * ux + uy * uy + uz * uz, vx * vx + vy * vy + vz * vz
                length_u, length_v = math.sqrt(ru), math.sqrt(rv)
                # The unscattered photon flew away from the detector of the other one: straight on is the cosine 1.
                cosine = -(ux * vx + uy * vy + uz * vz) / (length_u * length_v)
                place = 0.5 * (cosine + 1.0) * last
                i = min(max(int(place), 0), last - 1)
                w = place - i
                share = (1.0 - w) * angle_table[0, i] + w * angle_table[0, i + 1]
                if share <= 0.0:
                    continue
                thinner = (1.0 - w) * angle_table[1, i] + w * angle_table[1, i + 1]
                facing = (ux * normals[a, 0] + uy * normals[a, 1] + uz * normals[a, 2]) / length_u
                facing *= (vx * normals[b, 0] + vy * normals[b, 1] + vz * normals[b, 2]) / length_v
                one = emission[s, a] * math.exp(-depth[s, a] - thinner * depth[s, b])
                two = emission[s, b] * math.exp(-depth[s, b] - thinner * depth[s, a])
                total += strength[s] * share * max(facing, 0.0) * (one + two) / (ru * rv)
            out[a, b] = total
            out[b, a] = total
    for a in range(count):
        out[a, a] = 0.0


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
