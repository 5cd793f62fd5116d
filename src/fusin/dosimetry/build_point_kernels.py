"""Makes ``point_kernels.npz``: energy around point sources of electrons and photons in water, by our own Monte Carlo.

Run ``python -m fusin.dosimetry.build_point_kernels FILE``; the table that ships was made so with the defaults.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.water import ELECTRON_REST_KEV, collision_stopping, csda_range, photon_table, radiative_stopping
from fusin.files import write_bytes_atomically

__all__ = [
    "ELECTRON_ENERGIES_KEV",
    "PHOTON_EDGES",
    "PHOTON_ENERGIES_KEV",
    "REACH",
    "build",
    "electron_kernel",
    "first_collision_fraction",
    "photon_kernel",
]

FloatArray = NDArray[np.float64]

ELECTRON_ENERGIES_KEV = np.geomspace(4.0, 2600.0, 40)
PHOTON_ENERGIES_KEV = np.geomspace(4.0, 2900.0, 48)
SHELLS, REACH = 150, 1.2
"""Shells of an electron kernel, and their outer radius in units of the CSDA range."""

PHOTON_EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 60.0, 96)])
"""Radii of the shells of a photon kernel [g/cm2]."""

BATCHES = 8
SPIN_STRIDE = 3
_GRID = np.geomspace(0.3, 4000.0, 1200)


def electron_kernel(
    energy_kev: float, histories: int, *, seed: int, spin: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Fraction of the energy deposited within each radius, and its standard error.

    Parameters
    ----------
    energy_kev : of the electrons at the source
    histories : electrons, split into batches
    seed : of the random numbers
    spin : with the electron's spin in the elastic scattering

    Returns
    -------
    tuple
        Both of shape (150,), at the outer radii of shells that are 0.008 CSDA ranges thick; the rest is radiated.
    """
    from fusin.dosimetry.electron_transport_kernels import transport_electrons

    width = REACH * float(csda_range(np.array([energy_kev]))[0]) / SHELLS
    each = max(histories // BATCHES, 1)
    tally = transport_electrons(
        energy_kev, each, float(np.log(_GRID[0])), float(np.log(_GRID[1] / _GRID[0])), collision_stopping(_GRID) * 1e3,
        radiative_stopping(_GRID) * 1e3, SHELLS, width, BATCHES, spin, np.random.default_rng(seed),
    )  # fmt: skip
    return _summed(tally / (each * energy_kev))


def photon_kernel(energy_kev: float, histories: int, *, seed: int) -> tuple[FloatArray, FloatArray]:
    """Fraction of the energy deposited from the second collision on within each radius, and its standard error.

    Parameters
    ----------
    energy_kev : of the photons at the source
    histories : photons, split into batches
    seed : of the random numbers

    Returns
    -------
    tuple
        Both of shape (96,), at ``PHOTON_EDGES[1:]``.
    """
    from fusin.dosimetry.photon_transport_kernels import transport_photons

    grid = np.geomspace(0.9, 3000.0, 800)
    inside = np.clip(grid, 1.0, 3000.0)
    coefficients = np.stack(photon_table().at(inside))
    each = max(histories // BATCHES, 1)
    tally = transport_photons(
        energy_kev, each, float(np.log(grid[0])), float(np.log(grid[1] / grid[0])), coefficients,
        PHOTON_EDGES, BATCHES, np.random.default_rng(seed),
    )  # fmt: skip
    return _summed(tally / (each * energy_kev))


def _summed(shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    within = np.cumsum(shares, axis=1)
    return within.mean(axis=0), within.std(axis=0, ddof=1) / np.sqrt(len(within))


def first_collision_fraction(energy_kev: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Attenuation coefficient without coherent scattering [cm2/g], and the energy fraction that the first collision deposits.

    References
    ----------
    Klein O, Nishina Y. Z Phys 52 (1929) 853-868.
    """
    incoherent, photoelectric, pair = photon_table().at(energy_kev)
    total = incoherent + photoelectric + pair
    cosine, weight = np.polynomial.legendre.leggauss(64)
    kept = np.empty_like(total)
    for i, energy in enumerate(energy_kev):
        ratio = 1.0 / (1.0 + energy / ELECTRON_REST_KEV * (1.0 - cosine))
        section = weight * ratio**2 * (ratio + 1.0 / ratio - 1.0 + cosine**2)
        kept[i] = float((section * (1.0 - ratio)).sum() / section.sum())
    made = np.maximum(energy_kev - 2.0 * ELECTRON_REST_KEV, 0.0) / energy_kev
    return total, (incoherent * kept + photoelectric + pair * made) / total


def _electron_job(job: tuple[float, int, int, bool]) -> tuple[FloatArray, FloatArray]:
    energy, histories, seed, spin = job
    return electron_kernel(energy, histories, seed=seed, spin=spin)


def _photon_job(job: tuple[float, int, int]) -> tuple[FloatArray, FloatArray]:
    energy, histories, seed = job
    return photon_kernel(energy, histories, seed=seed)


def build(path: Path, *, scale: float = 1.0, processes: int = 2) -> Path:
    """Compute all kernels and write the table.

    Parameters
    ----------
    path : of the ``.npz`` file
    scale : histories relative to those of the table that ships
    processes : to share the energies among
    """
    counts = [int(scale * np.clip(1.2e7 / (energy + 150.0), 6000, 40000)) for energy in ELECTRON_ENERGIES_KEV]
    electrons = [
        (float(e), n, 1 + i, False) for i, (e, n) in enumerate(zip(ELECTRON_ENERGIES_KEV, counts, strict=True))
    ]
    spinning = [(e, n, 101 + i, True) for i, (e, n, _, _) in enumerate(electrons)][::SPIN_STRIDE]
    photons = [(float(e), int(scale * 100_000), 201 + i) for i, e in enumerate(PHOTON_ENERGIES_KEV)]
    with ProcessPoolExecutor(processes) as pool:
        # The costly ones first, so that no process is left with one of them at the end.
        made = list(pool.map(_electron_job, [*electrons[::-1], *spinning[::-1]]))
        scattered = list(pool.map(_photon_job, photons))
    plain, spun = made[: len(electrons)][::-1], made[len(electrons) :][::-1]
    stream = BytesIO()
    np.savez_compressed(
        stream,
        electron_energy_kev=ELECTRON_ENERGIES_KEV,
        electron_within=np.array([m for m, _ in plain], dtype=np.float32),
        electron_u=np.array([u for _, u in plain], dtype=np.float16),
        spin_energy_kev=ELECTRON_ENERGIES_KEV[::SPIN_STRIDE],
        spin_within=np.array([m for m, _ in spun], dtype=np.float32),
        photon_energy_kev=PHOTON_ENERGIES_KEV,
        photon_within=np.array([m for m, _ in scattered], dtype=np.float32),
        photon_u=np.array([u for _, u in scattered], dtype=np.float16),
    )
    return write_bytes_atomically(path, stream.getvalue())


if __name__ == "__main__":
    build(Path(sys.argv[1]))
