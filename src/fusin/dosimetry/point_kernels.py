"""Energy around a point source in water: kernels of single energies, and of a nuclide.

The kernels are our own Monte Carlo (`build_point_kernels`) and ship as a table. Distances are in g/cm2, so that they hold at any
density (distance times density). For one nuclide the kernels are added up over its spectra and lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.alpha_particles import alpha_within
from fusin.dosimetry.build_point_kernels import PHOTON_EDGES, REACH, first_collision_fraction
from fusin.dosimetry.emissions import Emissions, emissions
from fusin.dosimetry.water import csda_range, radiative_stopping
from fusin.errors import NotComputable

__all__ = [
    "METHODS",
    "PointKernel",
    "RadialEnergy",
    "electron_within",
    "kernel_table",
    "photon_within",
    "radial_energy",
]

FloatArray = NDArray[np.float64]

METHODS = {
    "emissions": "ENSDF and DDEP evaluations as listed in emissions.toml; beta spectra by Fermi theory "
    "(Behrens and Janecke 1969)",
    "electron-kernels": "own Monte Carlo in water: screened Rutherford single scattering (Moliere 1947), Moller knock-on "
    "electrons, stopping powers of NIST ESTAR (ICRU Report 37)",
    "alphas": "straight paths in water, stopping powers of NIST ASTAR (ICRU Report 49); recoiling nuclei where they are",
    "photon-kernels": "own Monte Carlo in water: Klein-Nishina scattering, photoelectric absorption and pairs, NIST XCOM",
}
"""Method ids with the citations that a report prints."""

BETA_POINTS = 160
RADII = np.concatenate([[0.0], np.geomspace(2e-5, 60.0, 640)])
"""Radii at which the energy within is kept [g/cm2]."""


@dataclass(frozen=True, slots=True, eq=False)
class PointKernel:
    """The table that ships: fractions of the energy within radii, by energy at the source."""

    electron_energy_kev: FloatArray
    electron_within: FloatArray
    electron_u: FloatArray
    spin_energy_kev: FloatArray
    spin_within: FloatArray
    photon_energy_kev: FloatArray
    photon_within: FloatArray
    photon_u: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RadialEnergy:
    """Energy per decay deposited within each radius around a point source in water [keV].

    Attributes
    ----------
    radius_g_cm2 : (n,) distance times density, from 0
    electron_kev : (n,) by electrons, without what they radiate
    bremsstrahlung_kev : (n,) by photons that the electrons radiate
    photon_kev : (n,) by gamma, X and annihilation photons
    electron_spin_kev : (n,) as ``electron_kev``, with spin in the elastic scattering: the model's uncertainty
    statistical_u : (n,) standard error of ``electron_kev`` from the Monte Carlo [keV]
    emitted_electron_kev, emitted_photon_kev, radiated_kev : per decay; what is radiated is part of the electrons' energy
    alpha_kev : (n,) by alphas and the nuclei that recoil from them
    emitted_alpha_kev : per decay
    """

    radius_g_cm2: FloatArray
    electron_kev: FloatArray
    bremsstrahlung_kev: FloatArray
    photon_kev: FloatArray
    electron_spin_kev: FloatArray
    statistical_u: FloatArray
    emitted_electron_kev: float
    emitted_photon_kev: float
    radiated_kev: float
    alpha_kev: FloatArray
    emitted_alpha_kev: float

    @property
    def charged_kev(self) -> FloatArray:
        """Energy by alphas and electrons, with what the electrons radiate [keV]."""
        return self.electron_kev + self.bremsstrahlung_kev + self.alpha_kev

    @property
    def emitted_charged_kev(self) -> float:
        """Energy of alphas and electrons per decay [keV]."""
        return self.emitted_electron_kev + self.emitted_alpha_kev


@cache
def kernel_table() -> PointKernel:
    """Return the table of kernels that ships."""
    with resources.files("fusin.dosimetry").joinpath("point_kernels.npz").open("rb") as stream, np.load(stream) as file:
        names = PointKernel.__dataclass_fields__
        return PointKernel(*(np.asarray(file[name], dtype=np.float64) for name in names))


def _between(energies: FloatArray, rows: FloatArray, energy: float) -> FloatArray:
    """Row at one energy, linear in its logarithm; beyond the table the outermost row."""
    at = float(np.interp(np.log(energy), np.log(energies), np.arange(len(energies))))
    low = min(int(at), len(energies) - 2)
    return np.asarray((1.0 - (at - low)) * rows[low] + (at - low) * rows[low + 1])


def electron_within(
    energy_kev: float, radius_g_cm2: FloatArray, *, spin: bool = False, table: PointKernel | None = None
) -> FloatArray:
    """Fraction of an electron's energy deposited within radii around its source in water.

    Parameters
    ----------
    energy_kev : kinetic energy; below 4 keV the shape of 4 keV is scaled by the range
    radius_g_cm2 : distances times density
    spin : from the kernels with spin in the elastic scattering
    table : kernels; those that ship when None
    """
    kernel = table or kernel_table()
    energies, rows = (
        (kernel.spin_energy_kev, kernel.spin_within) if spin else (kernel.electron_energy_kev, kernel.electron_within)
    )
    row = np.concatenate([[0.0], _between(energies, rows, energy_kev)])
    scale = REACH * float(csda_range(np.array([energy_kev]))[0])
    return np.asarray(np.interp(radius_g_cm2 / scale, np.linspace(0.0, 1.0, len(row)), row))


def photon_within(energy_kev: float, radius_g_cm2: FloatArray, *, table: PointKernel | None = None) -> FloatArray:
    """Fraction of a photon's energy deposited within radii around its source in water.

    The first collision is exact, later ones come from the kernels; secondary electrons deposit where they are made.

    Parameters
    ----------
    energy_kev : of the photon, up to 3000; below 4 keV nothing is scattered
    radius_g_cm2 : distances times density
    table : kernels; those that ship when None
    """
    kernel = table or kernel_table()
    total, kept = first_collision_fraction(np.array([max(energy_kev, 1.0)]))
    first = kept[0] * -np.expm1(-total[0] * radius_g_cm2)
    if energy_kev < kernel.photon_energy_kev[0]:
        return np.asarray(first)
    row = np.concatenate([[0.0], _between(kernel.photon_energy_kev, kernel.photon_within, energy_kev)])
    return np.asarray(first + np.interp(radius_g_cm2, PHOTON_EDGES, row))


def _spectrum(emitted: Emissions) -> tuple[FloatArray, FloatArray]:
    """Energies [keV] and intensities of all electrons, beta spectra in intervals."""
    energies = [b.spectrum(BETA_POINTS).energy_kev for b in emitted.betas]
    # The intervals are narrow, and the mean of their middles is held at that of the fine spectrum.
    weights = [
        b.spectrum(BETA_POINTS).share * b.intensity * b.mean_kev / b.spectrum(BETA_POINTS).mean_kev
        for b in emitted.betas
    ]
    energies.append(np.array([line.energy_kev for line in emitted.electrons]))
    weights.append(np.array([line.intensity for line in emitted.electrons]))
    return np.concatenate(energies), np.concatenate(weights)


def _bremsstrahlung(energy: FloatArray, weight: FloatArray, radiated_kev: float) -> tuple[FloatArray, FloatArray]:
    """Photons of bremsstrahlung: Kramers' spectrum along the slowing down, with the energy that the kernels say is radiated.

    References
    ----------
    Kramers HA. Phil Mag 46 (1923) 836: the energy radiated per interval of photon energy is constant up to the energy of the
    electron, and so falls linearly for an electron that stops.
    """
    from fusin.dosimetry.water import collision_stopping

    edges = np.geomspace(4.0, max(float(energy.max()), 8.0), 61)
    middle = np.sqrt(edges[1:] * edges[:-1])
    slow = np.geomspace(1.0, float(energy.max()), 300)
    # Electrons of at least each energy, per decay: how often that energy is passed while slowing down.
    passing = np.array([float(weight[energy >= t].sum()) for t in slow])
    lost = radiative_stopping(slow) / (collision_stopping(slow) + radiative_stopping(slow)) * passing
    flux = np.array([np.trapezoid(np.where(slow >= k, lost / slow, 0.0), slow) for k in middle])
    power = flux * np.diff(edges)
    if power.sum() <= 0.0:
        return middle, np.zeros_like(middle)
    return middle, power / power.sum() * radiated_kev / middle


@cache
def radial_energy(name: str) -> RadialEnergy:
    """Energy per decay within radii around a point source of a nuclide in water.

    Parameters
    ----------
    name : of the nuclide

    Raises
    ------
    InputError
        For a nuclide whose emissions are not known.
    NotComputable
        For one whose emissions are known in part.
    """
    emitted = emissions(name)
    if emitted.missing:
        raise NotComputable(
            f"the S value of {emitted.nuclide}",
            f"the table of emissions lacks {emitted.missing}",
            "a nuclide whose emissions are complete",
            "EMISSIONS_INCOMPLETE",
        )
    energy, weight = _spectrum(emitted)
    electron, spin = np.zeros_like(RADII), np.zeros_like(RADII)
    for e, w in zip(energy, weight, strict=True):
        electron += w * e * electron_within(float(e), RADII)
        spin += w * e * electron_within(float(e), RADII, spin=True)
    radiated = float((energy * weight).sum()) - float(electron[-1])
    return RadialEnergy(
        radius_g_cm2=RADII,
        electron_kev=electron,
        bremsstrahlung_kev=_photons(_bremsstrahlung(energy, weight, radiated)),
        photon_kev=_photons(_lines(emitted)),
        electron_spin_kev=spin,
        statistical_u=_statistics(energy, weight),
        emitted_electron_kev=float((energy * weight).sum()),
        emitted_photon_kev=emitted.photon_kev_per_decay,
        radiated_kev=radiated,
        alpha_kev=_heavy(emitted),
        emitted_alpha_kev=emitted.alpha_kev_per_decay,
    )


def _heavy(emitted: Emissions) -> FloatArray:
    """Energy that alphas and recoiling nuclei deposit within the radii [keV]; a recoil goes a tenth of a micrometre."""
    found = np.zeros_like(RADII)
    for line in emitted.alphas:
        share = alpha_within(line.energy_kev, RADII) if line.kind == "alpha" else np.minimum(RADII / RADII[1], 1.0)
        found += line.intensity * line.energy_kev * share
    return found


def _lines(emitted: Emissions) -> tuple[FloatArray, FloatArray]:
    """Energies [keV] and intensities of the photons."""
    return np.array([p.energy_kev for p in emitted.photons]), np.array([p.intensity for p in emitted.photons])


def _photons(lines: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Energy that photons deposit within the radii [keV]."""
    found = np.zeros_like(RADII)
    for energy, intensity in zip(*lines, strict=True):
        found += intensity * energy * photon_within(float(energy), RADII)
    return found


def _statistics(energy: FloatArray, weight: FloatArray) -> FloatArray:
    """Standard error of the electrons' energy within the radii [keV]: kernels of different energies are independent."""
    kernel = kernel_table()
    nodes = np.log(kernel.electron_energy_kev)
    at = np.clip(np.interp(np.log(energy), nodes, np.arange(len(nodes))), 0, len(nodes) - 1)
    share = np.zeros(len(nodes))
    low = np.minimum(at.astype(int), len(nodes) - 2)
    np.add.at(share, low, weight * energy * (1.0 - (at - low)))
    np.add.at(share, low + 1, weight * energy * (at - low))
    total = np.zeros_like(RADII)
    for node, amount in enumerate(share):
        reach = REACH * float(csda_range(kernel.electron_energy_kev[node : node + 1])[0])
        row = np.concatenate([[0.0], kernel.electron_u[node]])
        total += (amount * np.interp(RADII / reach, np.linspace(0.0, 1.0, len(row)), row)) ** 2
    return np.asarray(np.sqrt(total))
