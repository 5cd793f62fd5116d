"""Water as electrons and photons see it: stopping powers, ranges and attenuation from NIST tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ELECTRON_REST_KEV",
    "ElectronTable",
    "PhotonTable",
    "collision_stopping",
    "csda_range",
    "electron_table",
    "photon_table",
    "radiative_stopping",
]

FloatArray = NDArray[np.float64]

ELECTRON_REST_KEV = 510.99895
"""Rest energy of the electron [keV], CODATA 2018."""

BETHE_CONSTANT = 0.1535375
"""2 pi r_e^2 m c^2 N_A [MeV cm2/g], half of the constant of ICRU Report 37."""

WATER_Z_OVER_A = 0.55508
WATER_MEAN_EXCITATION_KEV = 0.075
RANGE_START_KEV = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class ElectronTable:
    """Electrons in liquid water at the energies of ESTAR [keV, MeV cm2/g]."""

    energy_kev: FloatArray
    collision: FloatArray
    radiative: FloatArray
    density_effect: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PhotonTable:
    """Photons in water at the energies of XCOM [keV, cm2/g]."""

    energy_kev: FloatArray
    coherent: FloatArray
    incoherent: FloatArray
    photoelectric: FloatArray
    pair: FloatArray

    def at(self, energy_kev: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Incoherent, photoelectric and pair coefficients [cm2/g] at other energies, by logarithmic interpolation."""
        wanted, given = np.log(energy_kev), np.log(self.energy_kev)
        incoherent, photoelectric = (
            np.exp(np.interp(wanted, given, np.log(column))) for column in (self.incoherent, self.photoelectric)
        )
        return incoherent, photoelectric, np.interp(energy_kev, self.energy_kev, self.pair)


def _columns(name: str) -> list[FloatArray]:
    text = resources.files("fusin.dosimetry").joinpath(name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    return [np.ascontiguousarray(column) for column in table.T]


@cache
def electron_table() -> ElectronTable:
    """Return ESTAR's table of liquid water (10 keV to 5 MeV)."""
    return ElectronTable(*_columns("water_electrons.csv"))


@cache
def photon_table() -> PhotonTable:
    """Return XCOM's table of water (1 keV to 3 MeV)."""
    return PhotonTable(*_columns("water_photons.csv"))


def collision_stopping(energy_kev: FloatArray) -> FloatArray:
    """Collision stopping power of water for electrons [MeV cm2/g].

    Parameters
    ----------
    energy_kev : kinetic energies, from 0.2 keV

    References
    ----------
    ICRU Report 37 (1984), equation 2.9; density effect from ESTAR. Below 1 keV the formula leaves its field; the range
    there is below 0.1 micrometre.
    """
    energy = np.asarray(energy_kev, dtype=np.float64)
    table = electron_table()
    tau = energy / ELECTRON_REST_KEV
    beta2 = tau * (tau + 2.0) / (tau + 1.0) ** 2
    shape = 1.0 - beta2 + (tau * tau / 8.0 - (2.0 * tau + 1.0) * np.log(2.0)) / (tau + 1.0) ** 2
    density = np.interp(np.log(energy), np.log(table.energy_kev), table.density_effect)
    excitation = WATER_MEAN_EXCITATION_KEV / ELECTRON_REST_KEV
    logarithm = np.log(tau * tau * (tau + 2.0) / (2.0 * excitation**2))
    return np.asarray(BETHE_CONSTANT * WATER_Z_OVER_A / beta2 * (logarithm + shape - density))


def radiative_stopping(energy_kev: FloatArray) -> FloatArray:
    """Radiative stopping power of water for electrons [MeV cm2/g], from ESTAR; constant below 10 keV."""
    table = electron_table()
    return np.asarray(np.exp(np.interp(np.log(energy_kev), np.log(table.energy_kev), np.log(table.radiative))))


@cache
def _range_table() -> tuple[FloatArray, FloatArray]:
    energy = np.geomspace(RANGE_START_KEV, 5000.0, 6000)
    inverse = 1e-3 / (collision_stopping(energy) + radiative_stopping(energy))
    steps = 0.5 * (inverse[1:] + inverse[:-1]) * np.diff(energy)
    # The last 0.2 keV are spent within nanometres; half of the local slope is the usual start (ESTAR).
    return energy, np.concatenate([[0.0], np.cumsum(steps)]) + 0.5 * RANGE_START_KEV * inverse[0]


def csda_range(energy_kev: FloatArray) -> FloatArray:
    """Range of electrons in water in the continuous slowing down approximation [g/cm2]."""
    energy, ranges = _range_table()
    low = ranges[0] * np.asarray(energy_kev) / energy[0]
    inside = np.exp(np.interp(np.log(np.maximum(energy_kev, energy[0])), np.log(energy), np.log(ranges)))
    return np.asarray(np.where(np.asarray(energy_kev) < energy[0], low, inside))
