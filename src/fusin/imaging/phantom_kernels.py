"""Compiled kernels of the digital patient: signed distances of analytic shapes and voxel coverage.

A solid is a list of primitives folded from left to right with union, intersection and subtraction.
Every distance below is a lower bound of the true distance (in magnitude) near the surface, so that a
voxel whose sample points all lie nearer to its centre than the surface is known to be wholly inside or
outside, and only the voxels on a surface are sampled on a fine sub-grid.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "BOX",
    "CAPSULE",
    "CYLINDER",
    "ELLIPSOID",
    "HALF_SPACE",
    "INTERSECT",
    "LOFT",
    "SECTION",
    "SUBTRACT",
    "TORUS",
    "UNION",
    "blend",
    "coverage",
    "speckle",
]

ELLIPSOID, CAPSULE, CYLINDER, BOX, TORUS, HALF_SPACE, LOFT = range(7)
UNION, INTERSECT, SUBTRACT = range(3)
# One row of a loft's table: centre x, y; semi-axes to +x, -x, -y, +y; exponent; cosine of the steepest wall.
SECTION = 8
_FAR = 1e9
_EPSILON = 1e-9
# Runs of equal coverage are stepped over by this share of the distance bound: a bound, not the distance.
_CAUTION = 0.9


@njit(cache=True, nogil=True)
def _ellipsoid(data: Any, o: int, x: float, y: float, z: float) -> float:
    px, py, pz = x - data[o], y - data[o + 1], z - data[o + 2]
    u = (data[o + 3] * px + data[o + 4] * py + data[o + 5] * pz) / data[o + 12]
    v = (data[o + 6] * px + data[o + 7] * py + data[o + 8] * pz) / data[o + 13]
    w = (data[o + 9] * px + data[o + 10] * py + data[o + 11] * pz) / data[o + 14]
    smallest = min(data[o + 12], data[o + 13], data[o + 14])
    return (math.sqrt(u * u + v * v + w * w) - 1.0) * smallest


@njit(cache=True, nogil=True)
def _capsule(data: Any, o: int, x: float, y: float, z: float) -> float:
    ax, ay, az = data[o + 3] - data[o], data[o + 4] - data[o + 1], data[o + 5] - data[o + 2]
    px, py, pz = x - data[o], y - data[o + 1], z - data[o + 2]
    length2 = ax * ax + ay * ay + az * az
    t = 0.0
    if length2 > _EPSILON:
        t = min(1.0, max(0.0, (px * ax + py * ay + pz * az) / length2))
    qx, qy, qz = px - t * ax, py - t * ay, pz - t * az
    return math.sqrt(qx * qx + qy * qy + qz * qz) - (data[o + 6] + t * (data[o + 7] - data[o + 6]))


@njit(cache=True, nogil=True)
def _cylinder(data: Any, o: int, x: float, y: float, z: float) -> float:
    px, py, pz = x - data[o], y - data[o + 1], z - data[o + 2]
    u = data[o + 3] * px + data[o + 4] * py + data[o + 5] * pz
    v = data[o + 6] * px + data[o + 7] * py + data[o + 8] * pz
    w = data[o + 9] * px + data[o + 10] * py + data[o + 11] * pz
    half = data[o + 16]
    t = min(1.0, max(0.0, 0.5 + 0.5 * w / half))
    a = data[o + 12] + t * (data[o + 14] - data[o + 12])
    b = data[o + 13] + t * (data[o + 15] - data[o + 13])
    return max((math.sqrt((u / a) ** 2 + (v / b) ** 2) - 1.0) * min(a, b), abs(w) - half)


@njit(cache=True, nogil=True)
def _box(data: Any, o: int, x: float, y: float, z: float) -> float:
    px, py, pz = x - data[o], y - data[o + 1], z - data[o + 2]
    u = abs(data[o + 3] * px + data[o + 4] * py + data[o + 5] * pz) - data[o + 12]
    v = abs(data[o + 6] * px + data[o + 7] * py + data[o + 8] * pz) - data[o + 13]
    w = abs(data[o + 9] * px + data[o + 10] * py + data[o + 11] * pz) - data[o + 14]
    return max(u, v, w)


@njit(cache=True, nogil=True)
def _torus(data: Any, o: int, x: float, y: float, z: float) -> float:
    px, py, pz = x - data[o], y - data[o + 1], z - data[o + 2]
    u = data[o + 3] * px + data[o + 4] * py + data[o + 5] * pz
    v = data[o + 6] * px + data[o + 7] * py + data[o + 8] * pz
    w = data[o + 9] * px + data[o + 10] * py + data[o + 11] * pz
    ring = math.sqrt(u * u + v * v) - data[o + 12]
    return math.sqrt(ring * ring + w * w) - data[o + 13]


@njit(cache=True, nogil=True)
def _loft(data: Any, o: int, x: float, y: float, z: float) -> float:
    bottom, step, rows = data[o], data[o + 1], int(data[o + 2])
    top = bottom + step * (rows - 1)
    s = min(max((z - bottom) / step, 0.0), rows - 1.0)
    i = min(int(s), rows - 2)
    f = s - i
    p = o + 3 + i * 8
    q = p + 8
    dx = x - (data[p] + f * (data[q] - data[p]))
    dy = y - (data[p + 1] + f * (data[q + 1] - data[p + 1]))
    side = 2 if dx > 0.0 else 3
    face = 4 if dy < 0.0 else 5
    a = data[p + side] + f * (data[q + side] - data[p + side])
    b = data[p + face] + f * (data[q + face] - data[p + face])
    n = data[p + 6] + f * (data[q + 6] - data[p + 6])
    u, v = abs(dx) / a, abs(dy) / b
    radius = math.sqrt(u * u + v * v) if n < 2.001 else (u**n + v**n) ** (1.0 / n)
    inside = (radius - 1.0) * min(a, b) * min(data[p + 7], data[q + 7])
    return max(inside, bottom - z, z - top)


@njit(cache=True, nogil=True)
def _primitive(kind: int, data: Any, o: int, x: float, y: float, z: float) -> float:
    if kind == CAPSULE:
        return _capsule(data, o, x, y, z)
    if kind == ELLIPSOID:
        return _ellipsoid(data, o, x, y, z)
    if kind == LOFT:
        return _loft(data, o, x, y, z)
    if kind == CYLINDER:
        return _cylinder(data, o, x, y, z)
    if kind == BOX:
        return _box(data, o, x, y, z)
    if kind == TORUS:
        return _torus(data, o, x, y, z)
    return data[o] * x + data[o + 1] * y + data[o + 2] * z - data[o + 3]


@njit(cache=True, nogil=True)
def _outside_box(box: Any, j: int, x: float, y: float, z: float) -> float:
    return max(box[j, 0] - x, x - box[j, 3], box[j, 1] - y, y - box[j, 4], box[j, 2] - z, z - box[j, 5])


@njit(cache=True, nogil=True)
def _distance(
    kinds: Any, ops: Any, soft: Any, box: Any, starts: Any, data: Any,
    active: Any, count: int, reach: float, x: float, y: float, z: float,
) -> float:  # fmt: skip
    d = _FAR
    for i in range(count):
        j = active[i]
        op = ops[j]
        away = _outside_box(box, j, x, y, z)
        if away > reach + soft[j]:
            # Too far to touch this voxel: the distance to the bounding box is bound enough.
            if op == UNION:
                d = min(d, away)
            elif op == INTERSECT:
                d = max(d, away)
            else:
                d = max(d, -away)
            continue
        p = _primitive(kinds[j], data, starts[j], x, y, z)
        if op == INTERSECT:
            d = max(d, p)
        elif op == SUBTRACT:
            d = max(d, -p)
        elif soft[j] > 0.0 and abs(d - p) < soft[j]:
            # Polynomial smooth minimum: two limbs grow into each other instead of meeting in a crease.
            h = 0.5 + 0.5 * (d - p) / soft[j]
            d = d + h * (p - d) - soft[j] * h * (1.0 - h)
        else:
            d = min(d, p)
    return d


@njit(cache=True, nogil=True)
def _row_actives(ops: Any, soft: Any, box: Any, y: float, z: float, reach: float, active: Any) -> int:
    """List the primitives that can touch a row of voxels; return how many."""
    count = 0
    for j in range(ops.size):
        gap = max(box[j, 1] - y, y - box[j, 4], box[j, 2] - z, z - box[j, 5])
        if ops[j] == INTERSECT or gap <= reach + soft[j]:
            active[count] = j
            count += 1
    return count


@njit(cache=True, nogil=True)
def _sampled(
    kinds: Any, ops: Any, soft: Any, box: Any, starts: Any, data: Any, active: Any, count: int, reach: float,
    x: float, y: float, z: float, spacing: Any, samples: Any,
) -> float:  # fmt: skip
    """Share of the sub-grid points of one voxel that lie inside."""
    inside = 0
    nx, ny, nz = samples
    for c in range(nz):
        pz = z + ((c + 0.5) / nz - 0.5) * spacing[2]
        for b in range(ny):
            py = y + ((b + 0.5) / ny - 0.5) * spacing[1]
            a = 0
            while a < nx:
                px = x + ((a + 0.5) / nx - 0.5) * spacing[0]
                d = _distance(kinds, ops, soft, box, starts, data, active, count, reach, px, py, pz)
                run = min(1 + int(abs(d) * _CAUTION * nx / spacing[0]), nx - a)
                if d <= 0.0:
                    inside += run
                a += run
    return inside / (nx * ny * nz)


@njit(cache=True, nogil=True)
def coverage(
    kinds: NDArray[np.int64], ops: NDArray[np.int64], soft: NDArray[np.float64], box: NDArray[np.float64],
    starts: NDArray[np.int64], data: NDArray[np.float64], origin: tuple[float, float, float],
    spacing: tuple[float, float, float], samples: tuple[int, int, int], out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write the share of every voxel that lies inside a solid.

    Parameters
    ----------
    kinds, ops, soft, starts : (n,) primitive codes, operators, smooth-union radii [mm], offsets into `data`
    box : (n, 6) bounding boxes x0, y0, z0, x1, y1, z1 [mm]
    data : parameters of all primitives, one after the other
    origin, spacing : centre of voxel (0, 0, 0) and voxel pitch along x, y, z [mm]
    samples : sub-grid points per voxel along x, y, z, used on the surface only
    out : (slices, rows, columns) float32, overwritten
    """
    # Half the diagonal of the block of sample points: a surface farther away cannot part them.
    span2 = 0.0
    for axis in range(3):
        span2 += (spacing[axis] * (1.0 - 1.0 / samples[axis])) ** 2
    margin = 0.5 * math.sqrt(span2)
    reach = 2.0 * margin + 1.0
    active = np.empty(ops.size, np.int64)
    nz, ny, nx = out.shape
    for k in range(nz):
        z = origin[2] + k * spacing[2]
        for r in range(ny):
            y = origin[1] + r * spacing[1]
            count = _row_actives(ops, soft, box, y, z, reach, active)
            c = 0
            while c < nx:
                x = origin[0] + c * spacing[0]
                d = _distance(kinds, ops, soft, box, starts, data, active, count, reach, x, y, z)
                if abs(d) < margin:
                    out[k, r, c] = _sampled(
                        kinds, ops, soft, box, starts, data, active, count, reach, x, y, z, spacing, samples
                    )
                    c += 1
                    continue
                run = 1 + int(min((abs(d) - margin) * _CAUTION / spacing[0], float(nx)))
                value = np.float32(1.0) if d <= 0.0 else np.float32(0.0)
                for e in range(c, min(c + run, nx)):
                    out[k, r, e] = value
                c += run


@njit(cache=True, nogil=True)
def blend(values: NDArray[np.float32], share: NDArray[np.float32], value: float) -> None:
    """Paint `value` over `values` where a solid covers `share` of the voxel; both arrays have one shape."""
    nz, ny, nx = values.shape
    paint = np.float32(value)
    for k in range(nz):
        for r in range(ny):
            for c in range(nx):
                f = share[k, r, c]
                if f > 0.0:
                    values[k, r, c] += f * (paint - values[k, r, c])


@njit(cache=True, nogil=True)
def speckle(values: NDArray[np.float32], field: NDArray[np.float32], variance_per_suv: float) -> None:
    """Multiply activity by log-normal noise of mean one; the variance is `variance_per_suv` times the activity.

    Parameters
    ----------
    values : activity, overwritten; voxels without activity stay without
    field : standard normal deviates, correlated in space, of the same shape
    """
    flat, deviates = values.ravel(), field.ravel()
    for i in range(flat.size):
        mean = flat[i]
        if mean > 0.0:
            spread2 = math.log1p(variance_per_suv / mean)
            flat[i] = mean * math.exp(math.sqrt(spread2) * deviates[i] - 0.5 * spread2)
