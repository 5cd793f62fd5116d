"""Energy spectra of beta rays by Fermi's theory, for allowed and unique first-forbidden transitions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.water import ELECTRON_REST_KEV
from fusin.errors import InputError

__all__ = ["BetaSpectrum", "Shape", "beta_spectrum", "fermi_function"]

FloatArray = NDArray[np.float64]
Shape = Literal["allowed", "unique-first"]

FINE_STRUCTURE = 1.0 / 137.035999
LONGEST_KEV = 20_000.0


@dataclass(frozen=True, slots=True, eq=False)
class BetaSpectrum:
    """One branch.

    Attributes
    ----------
    energy_kev : (n,) kinetic energies, the middles of equal intervals from 0 to the endpoint
    share : (n,) share of the electrons in each interval; sums to 1
    """

    energy_kev: FloatArray
    share: FloatArray

    @property
    def mean_kev(self) -> float:
        """Mean kinetic energy [keV]."""
        return float((self.energy_kev * self.share).sum())


def _order(k: int, charge: float, total: FloatArray, mass_number: int) -> FloatArray:
    """Coulomb function of order k at the nuclear surface, up to the factors that orders share."""
    from scipy.special import gamma, loggamma

    momentum = np.sqrt(total * total - 1.0)
    root = math.sqrt(k * k - (FINE_STRUCTURE * charge) ** 2)
    eta = FINE_STRUCTURE * charge * total / momentum
    # Nuclear radius in units of the electron's Compton wavelength (Elton's formula).
    radius = 0.0029 * mass_number ** (1 / 3) + 0.0063 * mass_number ** (-1 / 3) - 0.017 / mass_number
    double_factorial = math.prod(range(2 * k - 1, 0, -2))
    size = (k * double_factorial) ** 2 * 4.0**k * (2.0 * momentum * radius) ** (2.0 * (root - k))
    wave = np.exp(math.pi * eta + 2.0 * np.real(loggamma(root + 1j * eta))) / gamma(1.0 + 2.0 * root) ** 2
    return np.asarray(size * wave * (k + root) / (2.0 * k))


def fermi_function(charge: float, total_energy: FloatArray, *, mass_number: int) -> FloatArray:
    """Fermi function of a point nucleus, taken at its radius.

    Parameters
    ----------
    charge : atomic number of the daughter; negative for positrons
    total_energy : with the rest energy, in units of it (above 1)
    mass_number : of the nucleus, for its radius

    References
    ----------
    Behrens H, Janecke J. Numerical Tables for Beta-Decay and Electron Capture (Landolt-Bornstein I/4), 1969.
    """
    return _order(1, charge, np.asarray(total_energy, dtype=np.float64), mass_number)


def beta_spectrum(
    *, endpoint_kev: float, daughter_z: int, mass_number: int, shape: Shape = "allowed", positron: bool = False,
    points: int = 4000,
) -> BetaSpectrum:  # fmt: skip
    """Spectrum of one branch: phase space, Fermi function, and the shape factor of the transition.

    Parameters
    ----------
    endpoint_kev : largest kinetic energy [keV]
    daughter_z : atomic number of the daughter
    mass_number : of the nucleus
    shape : ``"allowed"``, or ``"unique-first"`` with the factor q^2 + lambda_2 p^2
    positron : the charge of the emitted particle
    points : number of equal intervals

    Raises
    ------
    InputError
        For an endpoint outside of 0 to 20 MeV, or an unknown shape.

    References
    ----------
    Behrens and Janecke 1969; lambda_2 is the ratio of the Coulomb functions of orders 2 and 1, not 1.
    """
    if not 0.0 < endpoint_kev <= LONGEST_KEV:
        raise InputError("beta spectrum", "endpoint_kev", endpoint_kev, "a kinetic energy above 0 and up to 20000 keV")
    if shape not in ("allowed", "unique-first"):
        raise InputError("beta spectrum", "shape", shape, "allowed or unique-first")
    charge = -float(daughter_z) if positron else float(daughter_z)
    energy = (np.arange(points) + 0.5) * endpoint_kev / points
    total = 1.0 + energy / ELECTRON_REST_KEV
    momentum = np.sqrt(total * total - 1.0)
    neutrino = (endpoint_kev - energy) / ELECTRON_REST_KEV
    first = fermi_function(charge, total, mass_number=mass_number)
    density = momentum * total * neutrino**2 * first
    if shape == "unique-first":
        second = _order(2, charge, total, mass_number)
        density = density * (neutrino**2 + second / first * momentum**2)
    return BetaSpectrum(energy, density / density.sum())
