"""Compiled fits of one model in each voxel: lines, and basis functions with their refinement."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["line_voxels", "one_rate_voxels", "two_rate_voxels"]

FloatArray = NDArray[np.float64]

_TINY = 1e-300


@njit(cache=True, nogil=True, error_model="numpy")
def line_voxels(
    method: int, activity: NDArray[np.float32], length: FloatArray, gap: FloatArray, area: FloatArray, now: FloatArray,
    extra: FloatArray, begin: int, weights: FloatArray, slope: FloatArray, intercept: FloatArray,
) -> None:  # fmt: skip
    """Patlak (0), Logan (1) and MA1 (2) of many voxels.

    Parameters
    ----------
    method : number
    activity : (voxels, frames)
    length, gap : of the frames, and the gaps before them [min]
    area, now : integral of the input to the middle of each frame, and its value there
    extra : added to the area, for the reference plot
    begin : first frame of the line
    weights : of the frames, for MA1; the others use every frame from ``begin`` on alike
    slope, intercept : receive the results; NaN where there is none
    """
    for v in range(activity.shape[0]):
        total, before = 0.0, 0.0
        n, sx, sy, sxx, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
        for f in range(activity.shape[1]):
            c = float(activity[v, f])
            total += 0.5 * gap[f] * (before + c) + 0.5 * length[f] * c
            before = c
            if f >= begin:
                if method == 2:
                    w = weights[f]
                    # Normal equations of C = a area + b integral.
                    n += w * area[f] * area[f]
                    sx += w * area[f] * total
                    sxx += w * total * total
                    sy += w * area[f] * c
                    sxy += w * total * c
                elif (method == 0 and now[f] > 0.0) or (method == 1 and c > 0.0):
                    x = area[f] / now[f] if method == 0 else (area[f] + extra[f]) / c
                    y = c / now[f] if method == 0 else total / c
                    n += 1.0
                    sx += x
                    sy += y
                    sxx += x * x
                    sxy += x * y
            total += 0.5 * length[f] * c
        slope[v], intercept[v] = math.nan, math.nan
        if method == 2:
            det = n * sxx - sx * sx
            if det > 1e-14 * n * sxx and n > 0:
                a, b = (sxx * sy - sx * sxy) / det, (n * sxy - sx * sy) / det
                if b != 0.0:
                    slope[v], intercept[v] = -a / b, 1.0 / b
        elif n > 2.0:
            det = n * sxx - sx * sx
            if det > 0.0:
                slope[v] = (n * sxy - sx * sy) / det
                intercept[v] = (sy - slope[v] * sx) / n


@njit(cache=True, nogil=True, error_model="numpy")
def _one(cf: float, cb: float, ff: float, bf: float, bb: float, has: bool, free_sign: bool) -> Any:
    """Coefficients of the fixed response and of that with a rate."""
    a, b = 0.0, cb / bb
    if has:
        det = ff * bb - bf * bf
        a, b = (bb * cf - bf * cb) / det, (ff * cb - bf * cf) / det
        if a < 0.0:
            a, b = 0.0, cb / bb
        if b < 0.0 and not free_sign:
            a, b = max(cf / ff, 0.0), 0.0
    elif b < 0.0 and not free_sign:
        b = 0.0
    return a, b


@njit(cache=True, nogil=True, error_model="numpy")
def one_rate_voxels(
    activity: NDArray[np.float32], weights: FloatArray, log_rates: FloatArray, basis: FloatArray, fixed: FloatArray,
    free_sign: bool, out: FloatArray,
) -> None:  # fmt: skip
    """C = a fixed + b basis(theta) in many voxels, theta on a grid with a parabola through its best neighbours.

    Parameters
    ----------
    activity : (voxels, frames)
    weights : of the frames
    log_rates, basis : grid of ln theta, and the response at each
    fixed : a response without a rate; of length 0 when there is none
    free_sign : b may be negative
    out : (voxels, 4) receives a, b, theta and the weighted sum of squares; NaN where nothing fits
    """
    m, frames = basis.shape
    has = fixed.size > 0
    ff = (weights * fixed * fixed).sum() if has else 1.0
    bb, bf = np.empty(m), np.zeros(m)
    for g in range(m):
        bb[g] = (weights * basis[g] * basis[g]).sum()
        bf[g] = (weights * basis[g] * fixed).sum() if has else 0.0
    cost, sa, sb = np.empty(m), np.empty(m), np.empty(m)
    for v in range(activity.shape[0]):
        cc, cf = 0.0, 0.0
        for f in range(frames):
            cc += weights[f] * activity[v, f] * activity[v, f]
            if has:
                cf += weights[f] * activity[v, f] * fixed[f]
        best = 0
        for g in range(m):
            cb = 0.0
            for f in range(frames):
                cb += weights[f] * activity[v, f] * basis[g, f]
            a, b = _one(cf, cb, ff, bf[g], bb[g], has, free_sign)
            sa[g], sb[g] = a, b
            cost[g] = cc - 2.0 * (a * cf + b * cb) + a * a * (ff if has else 0.0) + b * b * bb[g] + 2.0 * a * b * bf[g]
            if cost[g] < cost[best]:
                best = g
        if cc <= 0.0 or not math.isfinite(cost[best]):
            out[v, :] = math.nan
            continue
        shift = 0.0
        if 0 < best < m - 1:
            bend = cost[best - 1] - 2.0 * cost[best] + cost[best + 1]
            if bend > 0.0:
                shift = min(max(0.5 * (cost[best - 1] - cost[best + 1]) / bend, -0.5), 0.5)
        other = best + 1 if shift > 0 else best - 1
        share = abs(shift)
        a, b, z = sa[best], sb[best], log_rates[best]
        if share > 0.0:
            a += share * (sa[other] - a)
            b += share * (sb[other] - b)
            z += share * (log_rates[other] - z)
        out[v, 0], out[v, 1], out[v, 2], out[v, 3] = a, b, math.exp(z), max(cost[best], 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _table(z: float, low: float, step: float, basis: FloatArray, value: FloatArray, rise: FloatArray) -> None:
    """Response at ln theta and its derivative, by cubic interpolation between the rows of a table."""
    m = basis.shape[0]
    x = (z - low) / step
    g = min(max(int(x), 1), m - 3)
    u = x - g
    for f in range(basis.shape[1]):
        p0, p1, p2, p3 = basis[g - 1, f], basis[g, f], basis[g + 1, f], basis[g + 2, f]
        c1, c2, c3 = 0.5 * (p2 - p0), p0 - 2.5 * p1 + 2.0 * p2 - 0.5 * p3, 0.5 * (p3 - p0) + 1.5 * (p1 - p2)
        value[f] = p1 + u * (c1 + u * (c2 + u * c3))
        rise[f] = (c1 + u * (2.0 * c2 + 3.0 * u * c3)) / step


@njit(cache=True, nogil=True, error_model="numpy")
def _two(cc: float, cx: float, cy: float, xx: float, xy: float, yy: float) -> Any:
    """Non-negative coefficients of two responses, and the sum of squares."""
    det = xx * yy - xy * xy
    a = (yy * cx - xy * cy) / det if det > 1e-12 * xx * yy else -1.0
    b = (xx * cy - xy * cx) / det if det > 1e-12 * xx * yy else -1.0
    if a < 0.0 or b < 0.0:
        one, two = max(cx / xx, 0.0), max(cy / yy, 0.0)
        if one * cx >= two * cy:
            a, b = one, 0.0
        else:
            a, b = 0.0, two
    return a, b, cc - 2.0 * (a * cx + b * cy) + a * a * xx + b * b * yy + 2.0 * a * b * xy


@njit(cache=True, nogil=True, error_model="numpy")
def two_rate_voxels(
    activity: NDArray[np.float32], weights: FloatArray, low: float, step: float, basis: FloatArray, every: int, most: int,
    out: FloatArray,
) -> None:  # fmt: skip
    """C = a basis(theta1) + b basis(theta2), theta1 > theta2, a, b >= 0, in many voxels.

    The best pair of a coarse grid is refined by Levenberg-Marquardt steps on the table.

    Parameters
    ----------
    activity : (voxels, frames)
    weights : of the frames
    low, step, basis : table over ln theta
    every : coarse grid: each so-manieth row
    most : steps of the refinement
    out : (voxels, 5) receives a, b, theta1, theta2 and the weighted sum of squares; NaN where nothing fits
    """
    m, frames = basis.shape
    rows = np.arange(1, m - 1, every)
    k = rows.size
    gram = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            gram[i, j] = (weights * basis[rows[i]] * basis[rows[j]]).sum()
    high = low + step * (m - 1)
    dots, p, q = np.empty(k), np.empty(4), np.empty(4)
    v1, d1, v2, d2 = np.empty(frames), np.empty(frames), np.empty(frames), np.empty(frames)
    for v in range(activity.shape[0]):
        cc = 0.0
        for f in range(frames):
            cc += weights[f] * activity[v, f] * activity[v, f]
        for i in range(k):
            total = 0.0
            for f in range(frames):
                total += weights[f] * activity[v, f] * basis[rows[i], f]
            dots[i] = total
        if not cc > 0.0 or dots.max() <= 0.0:
            out[v, :] = math.nan
            continue
        cost = math.inf
        for i in range(k):
            for j in range(i):
                a, b, now = _two(cc, dots[i], dots[j], gram[i, i], gram[i, j], gram[j, j])
                if now < cost:
                    cost = now
                    p[0], p[1], p[2], p[3] = a, b, low + step * rows[i], low + step * rows[j]
        scale = max(p[0] + p[1], _TINY)
        p[0], p[1] = max(p[0], 1e-3 * scale), max(p[1], 1e-6 * scale)
        cost = _refined(activity[v], weights, low, high, step, basis, most, p, q, v1, d1, v2, d2)
        if p[2] < p[3]:
            p[0], p[1], p[2], p[3] = p[1], p[0], p[3], p[2]
        out[v, 0], out[v, 1], out[v, 2], out[v, 3], out[v, 4] = p[0], p[1], math.exp(p[2]), math.exp(p[3]), cost


@njit(cache=True, nogil=True, error_model="numpy")
def _cost(
    c: NDArray[np.float32], weights: FloatArray, p: FloatArray, low: float, step: float, basis: FloatArray,
    v1: FloatArray, d1: FloatArray, v2: FloatArray, d2: FloatArray,
) -> float:  # fmt: skip
    _table(p[2], low, step, basis, v1, d1)
    _table(p[3], low, step, basis, v2, d2)
    total = 0.0
    for f in range(c.size):
        r = p[0] * v1[f] + p[1] * v2[f] - c[f]
        total += weights[f] * r * r
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _refined(
    c: NDArray[np.float32], weights: FloatArray, low: float, high: float, step: float, basis: FloatArray, most: int,
    p: FloatArray, q: FloatArray, v1: FloatArray, d1: FloatArray, v2: FloatArray, d2: FloatArray,
) -> float:  # fmt: skip
    """Levenberg-Marquardt on ln a, ln b, ln theta1, ln theta2; ``p`` is changed in place."""
    damping = 1e-2
    cost = _cost(c, weights, p, low, step, basis, v1, d1, v2, d2)
    normal, gradient, j = np.zeros((4, 4)), np.zeros(4), np.zeros(4)
    for _ in range(most):
        normal[:], gradient[:] = 0.0, 0.0
        for f in range(c.size):
            r = p[0] * v1[f] + p[1] * v2[f] - c[f]
            j[0], j[1], j[2], j[3] = p[0] * v1[f], p[1] * v2[f], p[0] * d1[f], p[1] * d2[f]
            for i in range(4):
                gradient[i] += weights[f] * j[i] * r
                for k in range(i + 1):
                    normal[i, k] += weights[f] * j[i] * j[k]
        better = False
        now = cost
        for _ in range(8):
            _stepped(normal, gradient, damping, p, q, low, high)
            now = _cost(c, weights, q, low, step, basis, v1, d1, v2, d2)
            if now <= cost:
                better = True
                break
            damping = min(damping * 8.0, 1e10)
        if not better:
            break
        gain = cost - now
        p[:] = q
        cost = now
        damping = max(damping / 10.0, 1e-12)
        if gain <= 1e-9 * cost:
            break
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def _stepped(
    normal: FloatArray, gradient: FloatArray, damping: float, p: FloatArray, q: FloatArray, low: float, high: float
) -> None:
    """One damped step by Cholesky's decomposition, kept inside of the table."""
    root, x = np.zeros((4, 4)), np.empty(4)
    for i in range(4):
        for k in range(i + 1):
            total = normal[i, k] + (damping * normal[i, i] + 1e-30 * normal[0, 0] + _TINY if i == k else 0.0)
            for n in range(k):
                total -= root[i, n] * root[k, n]
            root[i, k] = math.sqrt(max(total, _TINY)) if i == k else total / root[k, k]
    for i in range(4):
        x[i] = -gradient[i]
        for k in range(i):
            x[i] -= root[i, k] * x[k]
        x[i] /= root[i, i]
    for i in range(3, -1, -1):
        for k in range(i + 1, 4):
            x[i] -= root[k, i] * x[k]
        x[i] /= root[i, i]
    for i in range(4):
        x[i] = min(max(x[i], -1.5), 1.5)
    q[0], q[1] = p[0] * math.exp(x[0]), p[1] * math.exp(x[1])
    q[2] = min(max(p[2] + x[2], low), high)
    q[3] = min(max(p[3] + x[3], low), high)
