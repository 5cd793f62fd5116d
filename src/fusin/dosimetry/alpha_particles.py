"""Alpha particles in water: range and energy along a straight path, from the stopping powers of ICRU Report 49."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA_STOPPING_U", "HIGHEST_KEV", "alpha_range", "alpha_within"]

FloatArray = NDArray[np.float64]

ALPHA_STOPPING_U = 0.02
"""Relative standard uncertainty of the stopping power of water for alphas of 1 to 10 MeV (ICRU Report 49, section 4: 1 to 2 %)."""

HIGHEST_KEV = 10_000.0
_STEPS = 4000


@cache
def _range_table() -> tuple[FloatArray, FloatArray]:
    """Energies [keV] and ranges [g/cm2]."""
    text = resources.files("fusin.dosimetry").joinpath("water_alphas.csv").read_text(encoding="utf-8")
    lines = [line.split(",") for line in text.splitlines() if not line.startswith("#")][1:]
    given, stopping = np.array(lines, dtype=np.float64).T
    energy = np.geomspace(given[0], given[-1], _STEPS)
    inverse = 1e-3 / np.exp(np.interp(np.log(energy), np.log(given), np.log(stopping)))
    steps = 0.5 * (inverse[1:] + inverse[:-1]) * np.diff(energy)
    # Below 1 keV the stopping power goes with the speed, so that the rest of the path is 2 E / S(E).
    return energy, np.concatenate([[0.0], np.cumsum(steps)]) + 2.0 * energy[0] * inverse[0]


def alpha_range(energy_kev: float) -> float:
    """Range in liquid water in the continuous slowing down approximation [g/cm2].

    Parameters
    ----------
    energy_kev : kinetic energy, 1 keV to 10 MeV

    References
    ----------
    ASTAR, NIST Standard Reference Database 124; ICRU Report 49 (1993). Collisions with nuclei are left out; they shorten the
    range of 5 MeV by less than 1 %.
    """
    energy, ranges = _range_table()
    return float(np.exp(np.interp(np.log(energy_kev), np.log(energy), np.log(ranges))))


def alpha_within(energy_kev: float, radius_g_cm2: FloatArray) -> FloatArray:
    """Fraction of an alpha's energy deposited within radii around its source in water, along a straight path.

    Parameters
    ----------
    energy_kev : kinetic energy at the source
    radius_g_cm2 : distances times density
    """
    energy, ranges = _range_table()
    left = alpha_range(energy_kev) - np.asarray(radius_g_cm2, dtype=np.float64)
    inside = np.exp(np.interp(np.log(np.maximum(left, ranges[0])), np.log(ranges), np.log(energy)))
    start = energy[0] * np.clip(left / ranges[0], 0.0, 1.0) ** 2
    return np.asarray(1.0 - np.where(left > ranges[0], inside, start) / energy_kev)
