"""Compiled integration of a body of pools: linear transfer, decay and saturable binding, by a stiff Rosenbrock method.

The method is RODAS of order 4 (Hairer E, Wanner G, Solving Ordinary Differential Equations II, 2nd ed., IV.7), L-stable and stiffly
accurate, with the exact Jacobian. Such a method keeps every linear balance of the equations to rounding. The matrix of a step is
factorised without pivoting along a pattern that was found once: it is an M-matrix up to the binding terms.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["integrate", "jacobian", "rates"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_GAMMA = 0.25
_A = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [1.544, 0.0, 0.0, 0.0],
        [0.9466785280815826, 0.2557011698983284, 0.0, 0.0],
        [3.314825187068521, 2.896124015972201, 0.9986419139977817, 0.0],
        [1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950],
    ]
)
_C = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [-5.6688, 0.0, 0.0, 0.0, 0.0],
        [-2.430093356833875, -0.2063599157091915, 0.0, 0.0, 0.0],
        [-0.1073529058151375, -9.594562251023355, -20.47028614809616, 0.0, 0.0],
        [7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160, 0.0],
        [8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054],
    ]
)
_AT = np.array([0.0, 0.386, 0.21, 0.63, 1.0, 1.0])
_D = np.array([0.25, -0.1043, 0.1035, -0.03620000000000023, 0.0, 0.0])
_LEAST_STEP_MIN = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def _load(t: float, drugs: FloatArray) -> tuple[float, float]:
    """Sum of concentration over Ki of the competitors, and its slope in time.

    Rows of ``drugs``: time of the dose [min], height, rates of absorption and elimination [1/min]; a row with both rates 0 is
    a competitor that stays.
    """
    total, slope = 0.0, 0.0
    for d in range(drugs.shape[0]):
        after = t - drugs[d, 0]
        if drugs[d, 2] == 0.0 and drugs[d, 3] == 0.0:
            total += drugs[d, 1]
        elif after >= 0.0:
            up, down = math.exp(-drugs[d, 2] * after), math.exp(-drugs[d, 3] * after)
            total += drugs[d, 1] * (down - up)
            slope += drugs[d, 1] * (drugs[d, 2] * up - drugs[d, 3] * down)
    return total, slope


@njit(cache=True, nogil=True, error_model="numpy")
def rates(
    t: float, y: FloatArray, linear: tuple[IntArray, IntArray, FloatArray], sites: IntArray, strength: FloatArray,
    receptor: FloatArray, drugs: FloatArray, supply: FloatArray, out: FloatArray, slope: FloatArray,
) -> None:  # fmt: skip
    """Derivative of the state, and its own derivative in time.

    Parameters
    ----------
    t : time [min]
    y : state [nmol]
    linear : rows, columns and rate constants [1/min]
    sites : (binding sites, 4): places of free hot, free cold, bound hot, bound cold
    strength : association per nmol of free receptor [1/nmol/min]
    receptor : [nmol]
    drugs : competitors, see ``_load``
    supply : what is infused [nmol/min]
    out, slope : receive both
    """
    out[:] = supply
    slope[:] = 0.0
    rows, columns, values = linear
    for e in range(rows.size):
        out[rows[e]] += values[e] * y[columns[e]]
    load, rise = _load(t, drugs)
    for s in range(sites.shape[0]):
        left = (receptor[s] - y[sites[s, 2]] - y[sites[s, 3]]) * strength[s]
        free = left / (1.0 + load)
        lost = -free * rise / (1.0 + load)
        for k in range(2):
            ligand = y[sites[s, k]]
            out[sites[s, k]] -= free * ligand
            out[sites[s, 2 + k]] += free * ligand
            slope[sites[s, k]] -= lost * ligand
            slope[sites[s, 2 + k]] += lost * ligand


@njit(cache=True, nogil=True, error_model="numpy")
def jacobian(
    t: float, y: FloatArray, linear: tuple[IntArray, IntArray, FloatArray], sites: IntArray, strength: FloatArray,
    receptor: FloatArray, drugs: FloatArray, matrix: FloatArray,
) -> None:  # fmt: skip
    """Add the derivative of the rates by the state to a matrix; see ``rates``."""
    rows, columns, values = linear
    for e in range(rows.size):
        matrix[rows[e], columns[e]] += values[e]
    share = 1.0 / (1.0 + _load(t, drugs)[0])
    for s in range(sites.shape[0]):
        k_on = strength[s] * share
        free = (receptor[s] - y[sites[s, 2]] - y[sites[s, 3]]) * k_on
        for k in range(2):
            i, b = sites[s, k], sites[s, 2 + k]
            matrix[i, i] -= free
            matrix[b, i] += free
            for other in range(2, 4):
                j = sites[s, other]
                matrix[i, j] += k_on * y[i]
                matrix[b, j] -= k_on * y[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _factorise(w: FloatArray, pattern: tuple[IntArray, IntArray, IntArray, IntArray, IntArray]) -> None:
    order, below, below_at, right, right_at = pattern
    for s in range(order.size):
        k = order[s]
        inverse = 1.0 / w[k, k]
        for p in range(below_at[s], below_at[s + 1]):
            i = below[p]
            if w[i, k] != 0.0:
                part = w[i, k] * inverse
                w[i, k] = part
                for q in range(right_at[s], right_at[s + 1]):
                    w[i, right[q]] -= part * w[k, right[q]]


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(w: FloatArray, pattern: tuple[IntArray, IntArray, IntArray, IntArray, IntArray], b: FloatArray) -> None:
    order, below, below_at, right, right_at = pattern
    for s in range(order.size):
        k = order[s]
        value = b[k]
        if value != 0.0:
            for p in range(below_at[s], below_at[s + 1]):
                b[below[p]] -= w[below[p], k] * value
    for s in range(order.size - 1, -1, -1):
        k = order[s]
        value = b[k]
        for q in range(right_at[s], right_at[s + 1]):
            value -= w[k, right[q]] * b[right[q]]
        b[k] = value / w[k, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    t: float, h: float, y: FloatArray, linear: tuple[IntArray, IntArray, FloatArray], sites: IntArray, strength: FloatArray,
    receptor: FloatArray, drugs: FloatArray, supply: FloatArray, pattern: tuple[IntArray, IntArray, IntArray, IntArray, IntArray],
    stages: FloatArray, w: FloatArray, out: FloatArray, slope: FloatArray, first: FloatArray, new: FloatArray,
) -> None:  # fmt: skip
    """One step; ``new`` receives the state, the last row of ``stages`` its error."""
    n = y.size
    w[:, :] = 0.0
    jacobian(t, y, linear, sites, strength, receptor, drugs, w)
    for i in range(n):
        for j in range(n):
            w[i, j] = -w[i, j]
        w[i, i] += 1.0 / (h * _GAMMA)
    _factorise(w, pattern)
    rates(t, y, linear, sites, strength, receptor, drugs, supply, out, first)
    for stage in range(6):
        if stage > 0:
            if stage < 5:
                new[:] = y
                for j in range(stage):
                    new += _A[stage, j] * stages[j]
            else:
                new += stages[4]
            rates(t + _AT[stage] * h, new, linear, sites, strength, receptor, drugs, supply, out, slope)
        row = stages[stage]
        row[:] = out
        for j in range(stage):
            row += (_C[stage, j] / h) * stages[j]
        if _D[stage] != 0.0:
            row += (h * _D[stage]) * first
        _solve(w, pattern, row)
    new += stages[5]


@njit(cache=True, nogil=True, error_model="numpy")
def integrate(
    y: FloatArray, start: float, times: FloatArray, linear: tuple[IntArray, IntArray, FloatArray], sites: IntArray,
    strength: FloatArray, receptor: FloatArray, drugs: FloatArray, supply: FloatArray,
    pattern: tuple[IntArray, IntArray, IntArray, IntArray, IntArray], absolute: FloatArray, relative: float, most_steps: int,
    course: FloatArray,
) -> int:  # fmt: skip
    """Integrate from a start through increasing times; steps end on each of them.

    Parameters
    ----------
    y : state at the start; holds the state at the last time afterwards
    start, times : [min]
    linear, sites, strength, receptor, drugs, supply : see ``rates``
    pattern : order of the pivots; rows below and columns right of each, with their offsets
    absolute, relative : tolerances of a step, absolute by state
    most_steps : before it gives up
    course : (times, states) receives the states

    Returns
    -------
    Number of steps; negative when it gave up.
    """
    n = y.size
    stages, w = np.zeros((6, n)), np.zeros((n, n))
    out, slope, first, new = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    t, h, count, rejected = start, 1e-3, 0, False
    for number in range(times.size):
        end = times[number]
        while t < end:
            if count >= most_steps or h < _LEAST_STEP_MIN:
                return -count - 1
            left = end - t
            used = left if h >= left * (1.0 - 1e-12) else (0.5 * left if h > 0.5 * left else h)
            _step(
                t, used, y, linear, sites, strength, receptor, drugs, supply, pattern, stages, w, out, slope, first, new
            )
            error = 0.0
            for i in range(n):
                scale = absolute[i] + relative * max(abs(y[i]), abs(new[i]))
                error += (stages[5, i] / scale) ** 2
            error = math.sqrt(error / n)
            count += 1
            if not math.isfinite(error):
                h, rejected = 0.1 * used, True
                continue
            factor = min(5.0, max(0.2, 0.9 * error**-0.25)) if error > 0.0 else 5.0
            if error <= 1.0:
                t = end if used == left else t + used
                y[:] = new
                # A step that was cut short by an output time says nothing about the step that fits.
                h = (
                    max(h, used * factor)
                    if used < h and factor >= 1.0
                    else used * min(factor, 1.0 if rejected else 5.0)
                )
                rejected = False
            else:
                h, rejected = used * min(factor, 0.9), True
        course[number, :] = y
    return count
