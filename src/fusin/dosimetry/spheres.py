"""Absorbed dose to a sphere from activity spread evenly in it: S values of lesions by mass and nuclide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.alpha_particles import ALPHA_STOPPING_U
from fusin.dosimetry.emissions import EVALUATION_U, JOULE_PER_KEV, emissions
from fusin.dosimetry.point_kernels import RadialEnergy, radial_energy
from fusin.errors import InputError

__all__ = ["ATTENUATION_U", "HEAVIEST_G", "LIGHTEST_G", "STOPPING_U", "SphereS", "chord_survival", "sphere_s"]

FloatArray = NDArray[np.float64]

LIGHTEST_G, HEAVIEST_G = 1e-3, 1e4
LOWEST_DENSITY, HIGHEST_DENSITY = 0.1, 3.0
STOPPING_U, ATTENUATION_U = 0.01, 0.01
"""Relative standard uncertainties of the collision stopping power of water (ICRU Report 37, section 5) and of attenuation
coefficients (Hubbell, Phys Med Biol 44 (1999) R1, for water at these energies)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SphereS:
    """S value of a sphere, per time-integrated activity.

    Attributes
    ----------
    nuclide : canonical name
    mass_g, density_g_ml, radius_mm : of the sphere
    s_mgy_per_mbq_s : dose to the sphere per decay in it [mGy/(MBq s)]
    electron_mgy_per_mbq_s, photon_mgy_per_mbq_s : its parts
    electron_fraction, photon_fraction : absorbed fractions; bremsstrahlung counts to the electrons
    alpha_mgy_per_mbq_s, alpha_fraction : the same of alphas and recoiling nuclei; 0 for other emitters
    absorbed_kev : energy absorbed per decay [keV]
    u_relative : relative standard uncertainty: emissions and their evaluation, Monte Carlo statistics, transport
    low, high : interval of the S value with coverage factor 2
    """

    nuclide: str
    mass_g: float
    density_g_ml: float
    radius_mm: float
    s_mgy_per_mbq_s: float
    electron_mgy_per_mbq_s: float
    photon_mgy_per_mbq_s: float
    electron_fraction: float
    photon_fraction: float
    alpha_mgy_per_mbq_s: float
    alpha_fraction: float
    absorbed_kev: float
    u_relative: float

    @property
    def charged_mgy_per_mbq_s(self) -> float:
        """S value of alphas and electrons, which scale with 1/mass [mGy/(MBq s)]."""
        return self.alpha_mgy_per_mbq_s + self.electron_mgy_per_mbq_s

    @property
    def low(self) -> float:
        """Lower end of the interval (coverage factor 2)."""
        return self.s_mgy_per_mbq_s * (1.0 - 2.0 * self.u_relative)

    @property
    def high(self) -> float:
        """Upper end of the interval (coverage factor 2)."""
        return self.s_mgy_per_mbq_s * (1.0 + 2.0 * self.u_relative)


def chord_survival(distance: FloatArray, *, radius: float) -> FloatArray:
    """Share of the points at a distance from random points of a sphere, in random directions, that lie in it.

    Parameters
    ----------
    distance : any unit
    radius : of the sphere, in the same unit

    References
    ----------
    Berger MJ. Beta-ray dosimetry calculations with the use of point kernels (1970): 1 - 3/2 s + 1/2 s^3 with s = r / (2 R).
    """
    s = np.minimum(distance / (2.0 * radius), 1.0)
    return np.asarray(1.0 - 1.5 * s + 0.5 * s**3)


def _absorbed(radius: FloatArray, within: FloatArray, sphere_radius: float) -> float:
    """Integral of the survival over the energy deposited; by parts, as the survival is smooth and the energy is not."""
    edges = np.unique(np.concatenate([radius, sphere_radius * np.linspace(0.0, 2.0, 401)]))
    edges = edges[edges <= radius[-1]]
    energy = np.interp(edges, radius, within)
    survival = chord_survival(edges, radius=sphere_radius)
    middle = chord_survival(0.5 * (edges[1:] + edges[:-1]), radius=sphere_radius)
    # Simpson's mean of the survival in each shell, in which the energy counts as evenly spread.
    return float((np.diff(energy) * (survival[1:] + 4.0 * middle + survival[:-1]) / 6.0).sum())


def sphere_s(nuclide: str, mass_g: float, density: float = 1.0) -> SphereS:
    """S value of a sphere of water-like tissue with activity spread evenly in it, in unbounded tissue of the same density.

    Parameters
    ----------
    nuclide : name, for example ``"Lu-177"``
    mass_g : from 0.001 to 10000 g
    density : of the sphere and of what surrounds it [g/mL]

    Raises
    ------
    InputError
        For an unknown nuclide, or a mass or density outside of its range.
    NotComputable
        For a nuclide whose emissions are known in part.

    References
    ----------
    Bolch WE et al. MIRD Pamphlet No. 21. J Nucl Med 50 (2009) 477-484: S = energy absorbed per decay / mass.
    """
    if not (math.isfinite(mass_g) and LIGHTEST_G <= mass_g <= HEAVIEST_G):
        raise InputError("sphere", "mass_g", mass_g, f"a mass from {LIGHTEST_G:g} to {HEAVIEST_G:g} g")
    if not (math.isfinite(density) and LOWEST_DENSITY <= density <= HIGHEST_DENSITY):
        raise InputError("sphere", "density", density, f"a density from {LOWEST_DENSITY:g} to {HIGHEST_DENSITY:g} g/mL")
    energy = radial_energy(emissions(nuclide).nuclide)
    radius_mm = 10.0 * (3.0 * mass_g / density / (4.0 * math.pi)) ** (1.0 / 3.0)
    reach = radius_mm / 10.0 * density
    electron = _absorbed(energy.radius_g_cm2, energy.electron_kev + energy.bremsstrahlung_kev, reach)
    photon = _absorbed(energy.radius_g_cm2, energy.photon_kev, reach)
    alpha = _absorbed(energy.radius_g_cm2, energy.alpha_kev, reach)
    factor = JOULE_PER_KEV * 1e6 * 1e3 / (mass_g * 1e-3)
    emitted = energy.emitted_electron_kev
    return SphereS(
        nuclide=emissions(nuclide).nuclide,
        mass_g=mass_g,
        density_g_ml=density,
        radius_mm=radius_mm,
        s_mgy_per_mbq_s=(electron + photon + alpha) * factor,
        electron_mgy_per_mbq_s=electron * factor,
        photon_mgy_per_mbq_s=photon * factor,
        electron_fraction=electron / emitted,
        photon_fraction=photon / energy.emitted_photon_kev if energy.emitted_photon_kev > 0 else 0.0,
        alpha_mgy_per_mbq_s=alpha * factor,
        alpha_fraction=alpha / energy.emitted_alpha_kev if energy.emitted_alpha_kev > 0 else 0.0,
        absorbed_kev=electron + photon + alpha,
        u_relative=_uncertainty(nuclide, energy, reach, (electron, photon, alpha)),
    )


def _uncertainty(nuclide: str, energy: RadialEnergy, reach: float, absorbed: tuple[float, float, float]) -> float:
    """Relative standard uncertainty of the energy absorbed [keV] of electrons, photons and alphas."""
    emitted = emissions(nuclide)
    electron, photon, alpha = absorbed
    total = electron + photon + alpha
    lines = math.hypot(*(p.energy_kev * p.intensity_u for p in emitted.photons), 0.0)
    photon_u = lines / emitted.photon_kev_per_decay * photon if emitted.photon_kev_per_decay > 0 else 0.0
    alpha_u = emitted.alpha_u_kev * alpha / energy.emitted_alpha_kev if alpha > 0 else 0.0
    emission_u = math.hypot(emitted.electron_u_kev * electron / energy.emitted_electron_kev, photon_u, alpha_u)
    survival = chord_survival(energy.radius_g_cm2, radius=reach)
    # As if the errors at all radii went together, which is the worst that they can do.
    statistical = float((0.5 * (energy.statistical_u[1:] + energy.statistical_u[:-1]) * -np.diff(survival)).sum())
    # Elastic scattering with and without spin bounds the model; both are as likely (rectangular distribution).
    spin = _absorbed(energy.radius_g_cm2, energy.electron_spin_kev - energy.electron_kev, reach)
    model = abs(spin) / math.sqrt(3.0)
    # A stopping power that is too high by a part shortens all paths by that part, as a sphere larger by it would.
    wider = _absorbed(energy.radius_g_cm2, energy.electron_kev, reach * (1.0 + STOPPING_U))
    stopping = wider - _absorbed(energy.radius_g_cm2, energy.electron_kev, reach)
    shorter = _absorbed(energy.radius_g_cm2, energy.alpha_kev, reach * (1.0 + ALPHA_STOPPING_U)) - alpha
    parts = (emission_u, EVALUATION_U * total, statistical, model, stopping, shorter, ATTENUATION_U * photon)
    return math.hypot(*parts) / total
