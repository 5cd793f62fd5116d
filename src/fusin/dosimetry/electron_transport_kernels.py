"""Compiled electron transport in unbounded water: every elastic collision, hard collisions with electrons, the rest continuous.

Elastic scattering is screened Rutherford with Moliere's screening angle. Collisions with electrons that hand over more than
`HARD_KEV` are sampled from the Moller cross-section and the knocked-on electron is followed; all others, and the emission of
bremsstrahlung, slow the electron down continuously. Energy radiated leaves the tally.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["HARD_KEV", "STOP_KEV", "transport_electrons"]

MC2 = 510.99895
ALPHA = 1.0 / 137.035999
RE2_CM2 = 2.8179403262e-13**2
AVOGADRO = 6.02214076e23
HARD_KEV = 10.0
STOP_KEV = 0.6
# Atoms per gram of water and their atomic numbers: hydrogen, oxygen.
N_H, N_O = 0.111894 / 1.00794 * AVOGADRO, 0.888106 / 15.9994 * AVOGADRO
N_ELECTRON = N_H + 8.0 * N_O
STACK = 64


@njit(cache=True, nogil=True)
def _moller(energy: float) -> tuple[float, float]:
    """Hard collisions with electrons per g/cm2, and the energy that they take [keV cm2/g]."""
    low, high = HARD_KEV, 0.5 * energy
    if high <= low:
        return 0.0, 0.0
    tau = energy / MC2
    beta2 = tau * (tau + 2.0) / (tau + 1.0) ** 2
    scale = 2.0 * math.pi * RE2_CM2 * MC2 / beta2 * N_ELECTRON
    c2 = 1.0 / (energy + MC2) ** 2
    c1 = (2.0 * energy + MC2) * MC2 / (energy + MC2) ** 2
    odds = math.log(high / low) - math.log((energy - high) / (energy - low))
    number = 1.0 / low - 1.0 / high + 1.0 / (energy - high) - 1.0 / (energy - low) + c2 * (high - low)
    number -= c1 / energy * odds
    taken = math.log(high / low) + energy / (energy - high) - energy / (energy - low)
    taken += math.log((energy - high) / (energy - low)) + 0.5 * c2 * (high * high - low * low)
    taken += c1 * math.log((energy - high) / (energy - low))
    return scale * number, scale * taken


@njit(cache=True, nogil=True)
def _knock_on_energy(energy: float, rng: np.random.Generator) -> float:
    """Energy handed over in a hard collision [keV], by rejection from 1/W^2."""
    low, high = HARD_KEV, 0.5 * energy
    c2 = 1.0 / (energy + MC2) ** 2
    c1 = (2.0 * energy + MC2) * MC2 / (energy + MC2) ** 2
    while True:
        w = 1.0 / (1.0 / low - rng.random() * (1.0 / low - 1.0 / high))
        rest = energy - w
        weight = 1.0 + (w / rest) ** 2 + c2 * w * w - c1 * w / rest
        if rng.random() * 2.3 < weight:
            return w


@njit(cache=True, nogil=True)
def _turned(u: float, v: float, w: float, cosine: float, azimuth: float) -> tuple[float, float, float]:
    """Direction after a deflection."""
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    cp, sp = math.cos(azimuth), math.sin(azimuth)
    if abs(w) > 0.99999:
        return sine * cp, sine * sp, cosine if w > 0 else -cosine
    q = math.sqrt(1.0 - w * w)
    u2 = u * cosine + sine * (u * w * cp - v * sp) / q
    v2 = v * cosine + sine * (v * w * cp + u * sp) / q
    w2 = w * cosine - sine * cp * q
    norm = 1.0 / math.sqrt(u2 * u2 + v2 * v2 + w2 * w2)
    return u2 * norm, v2 * norm, w2 * norm


@njit(cache=True, nogil=True)
def _elastic(energy: float, hard: bool) -> tuple[float, float, float, float]:
    """Elastic collisions per g/cm2 on hydrogen and oxygen, and their screening parameters."""
    tau = energy / MC2
    p2 = tau * (tau + 2.0)
    beta2 = p2 / (tau + 1.0) ** 2
    base = math.pi * RE2_CM2 * (tau + 1.0) ** 2 / (p2 * p2)
    eta_h = 0.25 * (ALPHA / 0.885) ** 2 / p2 * (1.13 + 3.76 * ALPHA**2 / beta2)
    eta_o = 0.25 * (ALPHA / 0.885) ** 2 * 4.0 / p2 * (1.13 + 3.76 * (8.0 * ALPHA) ** 2 / beta2)
    # Z(Z + 1) counts the deflections by electrons. Those in hard collisions are sampled apart and taken out here, by their share of
    # the mean of 1 - cos: ln(T / 2 W) of ln(1 + 1 / eta) - 1 / (1 + eta), to leading order in the energy handed over.
    apart = math.log(0.5 * energy / HARD_KEV) if hard else 0.0
    apart_h = apart / (math.log(1.0 + 1.0 / eta_h) - 1.0 / (1.0 + eta_h))
    apart_o = apart / (math.log(1.0 + 1.0 / eta_o) - 1.0 / (1.0 + eta_o))
    s_h = N_H * (2.0 - apart_h) * base / (eta_h * (1.0 + eta_h))
    s_o = N_O * 8.0 * (9.0 - apart_o) * base / (eta_o * (1.0 + eta_o))
    return s_h, s_o, eta_h, eta_o


@njit(cache=True, nogil=True)
def _cosine(eta: float, z: float, energy: float, spin: bool, rng: np.random.Generator) -> float:
    """Cosine of an elastic deflection; ``spin`` multiplies by Mott's ratio in the form of McKinley and Feshbach (rejection)."""
    tau = energy / MC2
    beta2 = tau * (tau + 2.0) / (tau + 1.0) ** 2
    slope = math.pi * ALPHA * z * math.sqrt(beta2)
    while True:
        q = rng.random()
        half = eta * q / (1.0 - q + eta)  # sin^2 of half the angle
        sine = math.sqrt(half)
        if not spin or rng.random() * (1.0 + 0.25 * slope) < 1.0 - beta2 * half + slope * sine * (1.0 - sine):
            return 1.0 - 2.0 * half


@njit(cache=True, nogil=True)
def _put(tally: NDArray[Any], x: float, y: float, z: float, width: float, amount: float) -> None:
    i = int(math.sqrt(x * x + y * y + z * z) / width)
    if i < tally.shape[0]:
        tally[i] += amount


@njit(cache=True, nogil=True)
def _history(
    stack: NDArray[Any], log_start: float, log_step: float, collision: NDArray[Any], radiative: NDArray[Any],
    tally: NDArray[Any], width: float, spin: bool, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Follow the electrons on the stack to their end; ``stack[0]`` holds the first."""
    count = 1
    while count > 0:
        count -= 1
        energy, x, y, z = stack[count, 0], stack[count, 1], stack[count, 2], stack[count, 3]
        u, v, w = stack[count, 4], stack[count, 5], stack[count, 6]
        while True:
            hard, taken = _moller(energy)
            s_h, s_o, eta_h, eta_o = _elastic(energy, hard > 0.0)
            total = s_h + s_o + hard
            step = -math.log(1.0 - rng.random()) / total
            at = (math.log(energy) - log_start) / log_step
            j = int(at)
            at -= j
            soft = collision[j] * (1.0 - at) + collision[j + 1] * at - taken
            slope = soft + radiative[j] * (1.0 - at) + radiative[j + 1] * at
            end = step * slope >= energy - STOP_KEV
            lost = energy - STOP_KEV if end else step * slope
            step = lost / slope
            part = rng.random() * step
            _put(tally, x + part * u, y + part * v, z + part * w, width, lost * soft / slope)
            x, y, z = x + step * u, y + step * v, z + step * w
            energy -= lost
            if end:
                _put(tally, x, y, z, width, energy)
                break
            pick = rng.random() * total
            azimuth = 2.0 * math.pi * rng.random()
            if pick < hard and energy > 2.0 * HARD_KEV:
                given = _knock_on_energy(energy, rng)
                forward = math.sqrt(given * (energy + 2.0 * MC2) / (energy * (given + 2.0 * MC2)))
                rest = energy - given
                if count < STACK:
                    stack[count, 0], stack[count, 1], stack[count, 2], stack[count, 3] = given, x, y, z
                    stack[count, 4], stack[count, 5], stack[count, 6] = _turned(u, v, w, forward, azimuth + math.pi)
                    count += 1
                else:
                    _put(tally, x, y, z, width, given)
                cosine = math.sqrt(rest * (energy + 2.0 * MC2) / (energy * (rest + 2.0 * MC2)))
                energy = rest
            elif pick < hard:
                continue
            else:
                light = pick - hard < s_h
                cosine = _cosine(eta_h if light else eta_o, 1.0 if light else 8.0, energy, spin, rng)
            u, v, w = _turned(u, v, w, cosine, azimuth)


@njit(cache=True, nogil=True)
def transport_electrons(
    energy_kev: float, histories: int, log_start: float, log_step: float, collision: NDArray[Any],
    radiative: NDArray[Any], bins: int, width: float, batches: int, spin: bool, rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Energy deposited around a point source of electrons, per shell and batch [keV per batch].

    Parameters
    ----------
    energy_kev : kinetic energy at the source
    histories : electrons per batch
    log_start, log_step : grid of the logarithm of the energy on which the stopping powers are given
    collision, radiative : stopping powers [keV cm2/g] on that grid
    bins, width : number of shells and their thickness [g/cm2]
    batches : independent groups, whose scatter gives the statistical uncertainty
    spin : elastic scattering with the electron's spin (McKinley and Feshbach, Phys Rev 74 (1948) 1759)
    rng : source of random numbers
    """
    tally = np.zeros((batches, bins))
    stack = np.zeros((STACK + 1, 7))
    for batch in range(batches):
        for _ in range(histories):
            stack[0, :] = 0.0
            stack[0, 0], stack[0, 6] = energy_kev, 1.0
            _history(stack, log_start, log_step, collision, radiative, tally[batch], width, spin, rng)
    return tally
