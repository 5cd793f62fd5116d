"""Compiled photon transport in unbounded water: Compton scattering by free electrons, photoelectric absorption, pairs.

Only what comes after the first collision is sampled; the first collision is known exactly, and `point_kernels` adds it.
Secondary electrons deposit where they are made. Coherent scattering is left out: it turns photons by little and deposits nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["transport_photons"]

MC2 = 510.99895
STOP_KEV = 1.0
STACK = 8


@njit(cache=True, nogil=True)
def _klein_nishina(energy: float, rng: np.random.Generator) -> tuple[float, float]:
    """Energy after a Compton collision [keV] and cosine of the deflection, by rejection (Kahn's mixture)."""
    k = energy / MC2
    low = 1.0 / (1.0 + 2.0 * k)
    a, b = math.log(1.0 / low), 0.5 * (1.0 - low * low)
    while True:
        inverse = rng.random() * (a + b) < a
        u = rng.random()
        e = low**u if inverse else math.sqrt(low * low + (1.0 - low * low) * u)
        t = (1.0 - e) / (k * e)
        if rng.random() < 1.0 - e * t * (2.0 - t) / (1.0 + e * e):
            return energy * e, 1.0 - t


@njit(cache=True, nogil=True)
def _turn(direction: NDArray[Any], cosine: float, azimuth: float) -> None:
    u, v, w = direction
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    cp, sp = math.cos(azimuth), math.sin(azimuth)
    if abs(w) > 0.99999:
        direction[0], direction[1], direction[2] = sine * cp, sine * sp, cosine if w > 0 else -cosine
        return
    q = math.sqrt(1.0 - w * w)
    direction[0] = u * cosine + sine * (u * w * cp - v * sp) / q
    direction[1] = v * cosine + sine * (v * w * cp + u * sp) / q
    direction[2] = w * cosine - sine * cp * q


@njit(cache=True, nogil=True)
def _collide(
    energy: float, pick: float, compton: float, photo: float, direction: NDArray[Any], rng: np.random.Generator
) -> tuple[float, float, bool]:
    """Energy deposited in a collision, energy after it, and whether a second photon of 511 keV flies the other way."""
    if pick < compton:
        after, cosine = _klein_nishina(energy, rng)
        if after <= STOP_KEV:
            after = 0.0
        _turn(direction, cosine, 2.0 * math.pi * rng.random())
        return energy - after, after, False
    if pick < compton + photo or energy <= 2.0 * MC2:
        return energy, 0.0, False
    _turn(direction, 2.0 * rng.random() - 1.0, 2.0 * math.pi * rng.random())
    return energy - 2.0 * MC2, MC2, True


@njit(cache=True, nogil=True)
def _history(
    stack: NDArray[Any], log_start: float, log_step: float, coefficients: NDArray[Any], edges: NDArray[Any],
    tally: NDArray[Any], direction: NDArray[Any], rng: np.random.Generator,
) -> None:  # fmt: skip
    """Follow the photons on the stack to their end; the first collision of ``stack[0]`` is not tallied."""
    count, first = 1, True
    while count > 0:
        count -= 1
        energy, x, y, z = stack[count, 0], stack[count, 1], stack[count, 2], stack[count, 3]
        direction[:] = stack[count, 4:]
        while energy > 0.0:
            at = (math.log(energy) - log_start) / log_step
            j = int(at)
            at -= j
            c = coefficients[0, j] * (1.0 - at) + coefficients[0, j + 1] * at
            p = coefficients[1, j] * (1.0 - at) + coefficients[1, j + 1] * at
            n = coefficients[2, j] * (1.0 - at) + coefficients[2, j + 1] * at
            step = -math.log(1.0 - rng.random()) / (c + p + n)
            x, y, z = x + step * direction[0], y + step * direction[1], z + step * direction[2]
            r = math.sqrt(x * x + y * y + z * z)
            if r >= edges[-1]:
                break
            deposit, energy, pair = _collide(energy, rng.random() * (c + p + n), c, p, direction, rng)
            if pair and count < STACK:
                stack[count, 0], stack[count, 1], stack[count, 2], stack[count, 3] = MC2, x, y, z
                stack[count, 4:] = -direction
                count += 1
            if not first:
                tally[np.searchsorted(edges, r, side="right") - 1] += deposit
            first = False


@njit(cache=True, nogil=True)
def transport_photons(
    energy_kev: float, histories: int, log_start: float, log_step: float, coefficients: NDArray[Any],
    edges: NDArray[Any], batches: int, rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Energy deposited from the second collision on around a point source of photons [keV per batch].

    Parameters
    ----------
    energy_kev : of the photons at the source
    histories : photons per batch
    log_start, log_step : grid of the logarithm of the energy on which the coefficients are given
    coefficients : (3, n) incoherent, photoelectric and pair attenuation [cm2/g] on that grid
    edges : radii of the shells [g/cm2], increasing; photons beyond the last are given up
    batches : independent groups, whose scatter gives the statistical uncertainty
    rng : source of random numbers
    """
    tally = np.zeros((batches, len(edges) - 1))
    stack = np.zeros((STACK, 7))
    direction = np.zeros(3)
    for batch in range(batches):
        for _ in range(histories):
            stack[0, :] = 0.0
            stack[0, 0], stack[0, 6] = energy_kev, 1.0
            _history(stack, log_start, log_step, coefficients, edges, tally[batch], direction, rng)
    return tally
