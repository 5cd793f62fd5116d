"""Compiled response of compartments to a sampled input, and its bounded least-squares fit.

The input is linear between its samples, so each convolution with an exponential is exact::

    y(t) = int_0^t c(s) exp(-theta (t - s)) ds,   Y(t) = int_0^t y(s) ds

A frame that begins and ends at the same edge is a point in time; any other one gets its mean, (Y(end) - Y(start)) / duration.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["KINDS", "VIEWS", "blood_response", "curve", "fit", "frame_response", "profile_limit"]

FloatArray = NDArray[np.float64]

KINDS = {"1tcm": 0, "2tcm-irreversible": 1, "2tcm": 2, "srtm": 3}
"""Numbers of the models; parameters are K1, k2, k3, k4, vB, delay (R1, k2, BP of ``srtm``)."""

VIEWS = {"rates": 0, "VT": 1, "Ki": 2, "BP_ND": 3}
"""What stands in the place of a parameter: VT or Ki in that of K1, BP_ND in that of k3."""

_SMALL = 0.05
_PARAMETERS = 6


@njit(cache=True, error_model="numpy")
def _phi(x: float) -> Any:
    """(1 - exp(-x))/x, (1 - phi1)/x, (1/2 - phi2)/x; series below 0.05, where the differences would lose digits."""
    if x < _SMALL:
        one = 1.0 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7 * (1 - x / 8))))))
        two = 0.5 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7 * (1 - x / 8 * (1 - x / 9)))))))
        three = (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7 * (1 - x / 8 * (1 - x / 9 * (1 - x / 10))))))) / 6.0
        return one, two, three
    one = -math.expm1(-x) / x
    two = (1.0 - one) / x
    return one, two, (0.5 - two) / x


@njit(cache=True, error_model="numpy")
def _responses(
    time: FloatArray, value: FloatArray, theta: float, at: FloatArray, y: FloatArray, area: FloatArray
) -> None:
    """y and Y at increasing times; the input is zero before its first sample and must reach the last time."""
    node, level, total = 0, 0.0, 0.0
    last = time.size - 1
    for i in range(at.size):
        t = at[i]
        while node < last and time[node + 1] <= t:
            h = time[node + 1] - time[node]
            x = theta * h
            one, two, three = _phi(x)
            a, rise = value[node], value[node + 1] - value[node]
            total += h * one * level + h * h * (a * two + rise * three)
            level = level * (1.0 - x * one) + h * (a * one + rise * two)
            node += 1
        if t <= time[0]:
            y[i], area[i] = 0.0, 0.0
            continue
        h = t - time[node]
        one, two, three = _phi(theta * h)
        a = value[node]
        rise = (value[node + 1] - a) * h / (time[node + 1] - time[node]) if node < last else 0.0
        area[i] = total + h * one * level + h * h * (a * two + rise * three)
        y[i] = level * (1.0 - theta * h * one) + h * (a * one + rise * two)


@njit(cache=True, error_model="numpy")
def frame_response(
    time: FloatArray, value: FloatArray, theta: float, edges: FloatArray, first: Any, last: Any, delay: float
) -> FloatArray:
    """Response in each frame; theta = 0 integrates the input.

    Parameters
    ----------
    time, value : samples of the input, increasing
    theta : rate [1/min]
    edges : increasing times
    first, last : index of the edge at which each frame begins and ends
    delay : minutes by which the tissue follows the input
    """
    y, area = np.empty(edges.size), np.empty(edges.size)
    _responses(time, value, theta, edges - delay, y, area)
    out = np.empty(first.size)
    for i in range(first.size):
        a, b = first[i], last[i]
        out[i] = y[a] if a == b else (area[b] - area[a]) / (edges[b] - edges[a])
    return out


@njit(cache=True, error_model="numpy")
def _exponentials(kind: int, p: FloatArray) -> Any:
    """Coefficients and rates of the two exponentials of a model."""
    if kind == 0:
        return p[0], p[1], 0.0, 0.0
    if kind == 3:
        apparent = p[1] / (1.0 + p[2])
        return p[1] - p[0] * apparent, apparent, 0.0, 0.0
    if kind == 1:
        total = p[1] + p[2]
        return p[0] * p[1] / total, total, p[0] * p[2] / total, 0.0
    total = p[1] + p[2] + p[3]
    gap = math.sqrt(max(total * total - 4.0 * p[1] * p[3], 0.0))
    fast = 0.5 * (total + gap)
    slow = p[1] * p[3] / fast
    if gap < 1e-12 * total:
        return p[0], fast, 0.0, 0.0
    return p[0] * (fast - p[2] - p[3]) / gap, fast, p[0] * (p[2] + p[3] - slow) / gap, slow


@njit(cache=True, error_model="numpy")
def curve(
    kind: int, p: FloatArray, time: FloatArray, value: FloatArray, edges: FloatArray, first: Any, last: Any,
    blood_time: FloatArray, blood: FloatArray, direct: FloatArray,
) -> Any:  # fmt: skip
    """Activity in each frame.

    Parameters
    ----------
    kind : number of the model
    p : K1, k2, k3, k4, vB, delay (R1, k2, BP_ND, -, -, - of the reference model)
    time, value : plasma, or the reference region
    edges, first, last : frames
    blood_time, blood : whole blood; empty where there is none
    direct : blood or reference region in each frame; empty when it is to be computed with the delay
    """
    a, fast, b, slow = _exponentials(kind, p)
    delay = p[5]
    out = np.zeros(first.size)
    for part in range(2):
        # One call in a loop keeps the compiled code small.
        share, rate = (a, fast) if part == 0 else (b, slow)
        if share != 0.0:
            out += share * frame_response(time, value, rate, edges, first, last, delay)
    if kind == 3:
        return out + p[0] * direct
    if p[4] == 0.0:
        return out
    if direct.size:
        return (1.0 - p[4]) * out + p[4] * direct
    return (1.0 - p[4]) * out + p[4] * blood_response(blood_time, blood, edges, first, last, delay)


@njit(cache=True, error_model="numpy")
def blood_response(
    time: FloatArray, value: FloatArray, edges: FloatArray, first: Any, last: Any, delay: float
) -> FloatArray:
    """Blood itself in each frame."""
    at = edges - delay
    y, area = np.empty(edges.size), np.empty(edges.size)
    _responses(time, value, 0.0, at, y, area)
    now = np.interp(at, time, value)
    out = np.empty(first.size)
    for i in range(first.size):
        a, b = first[i], last[i]
        if a == b:
            out[i] = now[a] if at[a] >= time[0] else 0.0
        else:
            out[i] = (y[b] - y[a]) / (edges[b] - edges[a])
    return out


@njit(cache=True, error_model="numpy")
def _natural(kind: int, view: int, z: FloatArray) -> FloatArray:
    """Parameters from their fitted form: logarithms of the first four, and what a view puts in their places."""
    p = z.copy()
    for i in range(4):
        p[i] = math.exp(z[i])
    if view == 3:
        p[2] *= p[3]
    if view == 1:
        p[0] *= p[1] if kind == 0 else p[1] * p[3] / (p[2] + p[3])
    if view == 2:
        p[0] *= (p[1] + p[2]) / p[2]
    return p


@njit(cache=True, error_model="numpy")
def _residuals(
    kind: int, view: int, z: FloatArray, root: FloatArray, y: FloatArray, time: FloatArray, value: FloatArray,
    edges: FloatArray, first: Any, last: Any, blood_time: FloatArray, blood: FloatArray, direct: FloatArray,
) -> Any:  # fmt: skip
    p = _natural(kind, view, z)
    return root * (curve(kind, p, time, value, edges, first, last, blood_time, blood, direct) - y)


@njit(cache=True, error_model="numpy")
def fit(
    kind: int, view: int, z: FloatArray, low: FloatArray, high: FloatArray, free: Any, root: FloatArray, y: FloatArray,
    time: FloatArray, value: FloatArray, edges: FloatArray, first: Any, last: Any,
    blood_time: FloatArray, blood: FloatArray, direct: FloatArray, most: int, enough: float,
) -> Any:  # fmt: skip
    """Levenberg-Marquardt within a box; returns (parameters, weighted sum of squares, Jacobian, converged).

    Parameters
    ----------
    kind, view : numbers of the model and of its parametrisation
    z, low, high : start and limits: logarithms of four parameters, then vB and delay
    free : which ones are fitted
    root, y : square roots of the weights, and the measured activities
    most : iterations
    enough : relative gain below which two iterations in a row are the last
    """
    z = np.minimum(np.maximum(z, low), high)
    r = _residuals(kind, view, z, root, y, time, value, edges, first, last, blood_time, blood, direct)
    cost = (r * r).sum()
    damping, converged = 1e-3, False
    jacobian = np.zeros((y.size, _PARAMETERS))
    quiet = 0
    for _ in range(most):
        for j in range(_PARAMETERS):
            if free[j]:
                # Central differences; at a limit both sides stay inside of the domain because exp(z) is always positive.
                h = 1e-5 if j < 4 else 1e-6
                jacobian[:, j] = 0.0
                for sign in (1.0, -1.0):
                    z2 = z.copy()
                    z2[j] = z[j] + sign * h
                    moved = _residuals(
                        kind, view, z2, root, y, time, value, edges, first, last, blood_time, blood, direct
                    )
                    for i in range(y.size):
                        jacobian[i, j] += sign * moved[i] / (2.0 * h)
        gradient, normal = _normal(jacobian, r)
        better = False
        for _ in range(12):
            step = _step(normal, gradient, z, low, high, free, damping)
            z2 = np.minimum(np.maximum(z + step, low), high)
            r2 = _residuals(kind, view, z2, root, y, time, value, edges, first, last, blood_time, blood, direct)
            cost2 = (r2 * r2).sum()
            if cost2 <= cost:
                better = True
                break
            damping = min(damping * 6.0, 1e12)
        if not better:
            converged = True
            break
        small = np.abs(z2 - z).max() < 1e-9 or cost - cost2 <= enough * cost
        z, r, cost = z2, r2, cost2
        damping = max(damping / 9.0, 1e-15)
        quiet = quiet + 1 if small else 0
        if quiet >= 2:
            converged = True
            break
    return z, cost, jacobian, converged


@njit(cache=True, error_model="numpy")
def _normal(jacobian: FloatArray, r: FloatArray) -> Any:
    """Gradient and matrix of the normal equations."""
    gradient, normal = np.zeros(_PARAMETERS), np.zeros((_PARAMETERS, _PARAMETERS))
    for i in range(r.size):
        for j in range(_PARAMETERS):
            gradient[j] += jacobian[i, j] * r[i]
            for k in range(j + 1):
                normal[j, k] += jacobian[i, j] * jacobian[i, k]
    for j in range(_PARAMETERS):
        for k in range(j):
            normal[k, j] = normal[j, k]
    return gradient, normal


@njit(cache=True, error_model="numpy")
def _solved(a: FloatArray, b: FloatArray) -> FloatArray:
    """Solution of a small positive definite system by Cholesky's decomposition."""
    n = b.size
    root = np.zeros((n, n))
    x = b.copy()
    for i in range(n):
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= root[i, k] * root[j, k]
            root[i, j] = math.sqrt(max(total, 1e-14 * a[i, i])) if i == j else total / root[j, j]
    for i in range(n):
        for k in range(i):
            x[i] -= root[i, k] * x[k]
        x[i] /= root[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= root[k, i] * x[k]
        x[i] /= root[i, i]
    return x


@njit(cache=True, error_model="numpy")
def _step(
    normal: FloatArray,
    gradient: FloatArray,
    z: FloatArray,
    low: FloatArray,
    high: FloatArray,
    free: Any,
    damping: float,
) -> FloatArray:
    """Damped step of the free parameters that no limit holds back."""
    held = np.zeros(_PARAMETERS, dtype=np.bool_)
    for j in range(_PARAMETERS):
        pushed = (z[j] <= low[j] and gradient[j] > 0.0) or (z[j] >= high[j] and gradient[j] < 0.0)
        held[j] = not free[j] or pushed
    a = np.zeros((_PARAMETERS, _PARAMETERS))
    b = np.zeros(_PARAMETERS)
    for i in range(_PARAMETERS):
        if held[i]:
            a[i, i] = 1.0
            continue
        b[i] = -gradient[i]
        for j in range(_PARAMETERS):
            if not held[j]:
                a[i, j] = normal[i, j]
        # A rate that moves nothing must not make the equations singular.
        a[i, i] += damping * normal[i, i] + 1e-300
        if a[i, i] <= 1e-290:
            a[i, i], b[i] = 1.0, 0.0
    step = _solved(a, b)
    for j in range(4):
        step[j] = min(max(step[j], -2.0), 2.0)
    return step


@njit(cache=True, error_model="numpy")
def profile_limit(
    kind: int, view: int, place: int, side: float, start: float, target: float, z: FloatArray, low: FloatArray,
    high: FloatArray, free: Any, root: FloatArray, y: FloatArray, time: FloatArray, value: FloatArray,
    edges: FloatArray, first: Any, last: Any, blood_time: FloatArray, blood: FloatArray, direct: FloatArray,
) -> Any:  # fmt: skip
    """Where the profile of one parameter reaches a sum of squares, and whether the limit of another rate made it so.

    The place is NaN where the sum is never reached inside of the box.

    Parameters
    ----------
    place, side : index of the parameter, and -1 or 1
    start : first step in its fitted form
    target : sum of squares at the limit
    """
    others = free.copy()
    others[place] = False
    inner, bound = z[place], low[place] if side < 0 else high[place]
    step, at, now = start, z.copy(), z.copy()
    found = False
    outer = inner
    for _ in range(40):
        outer = inner + side * step
        if (outer - bound) * side >= 0.0:
            outer = bound
        now = at.copy()
        now[place] = outer
        now, cost, _, _ = fit(kind, view, now, low, high, others, root, y, time, value, edges, first, last,
                              blood_time, blood, direct, 60, 1e-8)  # fmt: skip
        if cost >= target:
            found = True
            break
        if outer == bound:
            break
        inner, at = outer, now
        step *= 1.7
    if not found:
        return math.nan, False
    for _ in range(30):
        middle = 0.5 * (inner + outer)
        now = at.copy()
        now[place] = middle
        now, cost, _, _ = fit(kind, view, now, low, high, others, root, y, time, value, edges, first, last,
                              blood_time, blood, direct, 60, 1e-8)  # fmt: skip
        if cost >= target:
            outer = middle
        else:
            inner, at = middle, now
        if abs(outer - inner) < 1e-3 * max(start, 1e-3):
            break
    pinned = False
    for j in range(4):
        if others[j]:
            pinned = pinned or now[j] - low[j] < 1e-6 or high[j] - now[j] < 1e-6
    if pinned:
        # A limit that holds back counts; one behind which the curve stays the same, as k3 = 0, does not.
        now, cost, _, _ = fit(kind, view, now, low - 3.0, high + 3.0, others, root, y, time, value, edges, first, last,
                              blood_time, blood, direct, 60, 1e-8)  # fmt: skip
        pinned = cost < (1.0 - 1e-3) * target
    return 0.5 * (inner + outer), pinned
