"""Self-dose of an organ of another mass: electrons with 1/m, photons with m^(-2/3), cross-dose unchanged.

References
----------
Snyder WS, in: Medical Radionuclides: Radiation Dose and Effects, AEC CONF-691212 (1970) (photon self-dose).
Divoli A et al., J Nucl Med 50 (2009) 316-323 (mass scaling beside full simulation).
Bolch WE et al., J Nucl Med 50 (2009) 477-484 (MIRD Pamphlet 21).
"""

from __future__ import annotations

import math

from fusin.errors import InputError

__all__ = ["mass_exponent", "scaled_self_factor"]

_PHOTON_EXPONENT = 2.0 / 3.0


def scaled_self_factor(mass_g: float, reference_mass_g: float, electron_share: float) -> float:
    """Factor on the self-S of a reference organ [1].

    Parameters
    ----------
    mass_g : mass of the patient's organ [g]
    reference_mass_g : mass of the organ of the table [g]
    electron_share : share of the self-dose of the reference organ that electrons give, 0 to 1

    Raises
    ------
    InputError
        For a mass that is not positive or a share outside 0 to 1.

    Examples
    --------
    >>> round(scaled_self_factor(150.0, 300.0, 1.0), 3), round(scaled_self_factor(150.0, 300.0, 0.0), 3)
    (2.0, 1.587)
    """
    ratio = _mass(reference_mass_g, "reference_mass_g") / _mass(mass_g, "mass_g")
    share = _share(electron_share)
    return share * ratio + (1.0 - share) * math.pow(ratio, _PHOTON_EXPONENT)


def mass_exponent(mass_g: float, reference_mass_g: float, electron_share: float) -> float:
    """Local exponent of the self-dose in the mass: d ln S / d ln m, between -1 and -2/3."""
    ratio = _mass(reference_mass_g, "reference_mass_g") / _mass(mass_g, "mass_g")
    electrons, photons = electron_share * ratio, (1.0 - _share(electron_share)) * math.pow(ratio, _PHOTON_EXPONENT)
    return -(electrons + _PHOTON_EXPONENT * photons) / (electrons + photons)


def _mass(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError("mass scaling", name, value, "a positive mass in grams")
    return float(value)


def _share(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise InputError("mass scaling", "electron_share", value, "a fraction from 0 to 1")
    return float(value)
