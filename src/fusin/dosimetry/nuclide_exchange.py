"""From the biokinetics of one nuclide to those of another on the same molecule: physical decay out, physical decay in.

With biological half-life T_bio and physical half-life T_phys, 1/T_eff = 1/T_bio + 1/T_phys. The exchange assumes that the
molecule, its amount and the patient behave the same, which a larger amount of peptide or a response to therapy can break.

References
----------
Siegel JA et al., J Nucl Med 40 (1999) 37S-61S (MIRD Pamphlet 16).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, InvalidValue
from fusin.nuclides import nuclide

__all__ = [
    "biological_half_life_h",
    "exchange_dose_ratio",
    "exchange_half_life_h",
    "exchange_rates_per_h",
    "physical_half_life_h",
    "residual_fraction",
]

# Effective half-lives that were fitted with the physical rate as bound may exceed it by rounding.
_ROUNDING = 1e-9


def physical_half_life_h(name: str) -> float:
    """Physical half-life of a nuclide [h]."""
    return nuclide(name).half_life_s / 3600.0


def biological_half_life_h(t_eff_h: float, name: str) -> float:
    """Biological half-life [h]: 1 / (1/T_eff - 1/T_phys); infinite when nothing leaves but by decay.

    Parameters
    ----------
    t_eff_h : effective half-life [h]
    name : the nuclide that it was measured with

    Raises
    ------
    InputError
        For a half-life that is not positive.
    InvalidValue
        For one longer than the physical half-life.

    Examples
    --------
    >>> round(biological_half_life_h(41.0, "Lu-177"), 2)
    55.18
    """
    if not (math.isfinite(t_eff_h) and t_eff_h > 0):
        raise InputError("effective half-life", "t_eff_h", t_eff_h, "a positive number of hours")
    physical = physical_half_life_h(name)
    if t_eff_h > physical * (1.0 + _ROUNDING):
        raise InvalidValue(
            "biological half-life",
            f"the effective half-life of {t_eff_h:g} h is longer than the {physical:g} h of {nuclide(name).name}",
            "an effective half-life of activity that was not decay-corrected", "EFFECTIVE_EXCEEDS_PHYSICAL",
        )  # fmt: skip
    rate = 1.0 / t_eff_h - 1.0 / physical
    return 1.0 / rate if rate > _ROUNDING / physical else math.inf


def exchange_half_life_h(t_eff_h: float, from_nuclide: str, to_nuclide: str) -> float:
    """Effective half-life [h] with another nuclide on the same molecule.

    Parameters
    ----------
    t_eff_h : effective half-life with ``from_nuclide`` [h]
    from_nuclide, to_nuclide : names such as ``"Lu-177"``

    Raises
    ------
    InputError, InvalidValue
        As `biological_half_life_h`.

    Examples
    --------
    >>> round(exchange_half_life_h(41.0, "Lu-177", "Y-90"), 3)
    29.654
    """
    biological = biological_half_life_h(t_eff_h, from_nuclide)
    return 1.0 / (1.0 / biological + 1.0 / physical_half_life_h(to_nuclide))


def exchange_rates_per_h(rates_per_h: ArrayLike, from_nuclide: str, to_nuclide: str) -> NDArray[np.float64]:
    """Rates [1/h] of the exponentials of a curve with another nuclide; its amplitudes per administered MBq stay.

    Raises
    ------
    InvalidValue
        For a rate slower than the physical decay of ``from_nuclide``.
    """
    rates = np.atleast_1d(np.asarray(rates_per_h, dtype=np.float64))
    physical = math.log(2.0) / physical_half_life_h(from_nuclide)
    if not bool(np.all(rates >= physical * (1.0 - _ROUNDING))):
        raise InvalidValue(
            "nuclide exchange",
            f"a rate of {float(np.min(rates)):g}/h is slower than the decay of {nuclide(from_nuclide).name}, {physical:g}/h",
            "rates of activity that was not decay-corrected", "EFFECTIVE_EXCEEDS_PHYSICAL",
        )  # fmt: skip
    out: NDArray[np.float64] = np.maximum(rates - physical, 0.0) + math.log(2.0) / physical_half_life_h(to_nuclide)
    return out


def exchange_dose_ratio(t_eff_h: float, from_nuclide: str, to_nuclide: str, *, from_kev: float, to_kev: float) -> float:
    """Dose per administered activity with another nuclide, as a ratio to that with the first.

    The ratio of effective half-lives times the ratio of energies absorbed in the organ per decay; the uptake phase is
    taken as short beside both half-lives.

    Parameters
    ----------
    t_eff_h : effective half-life with ``from_nuclide`` [h]
    from_kev, to_kev : energies absorbed in the organ per decay [keV], for example of a sphere of its mass

    Raises
    ------
    InputError
        For an energy that is not positive.

    Examples
    --------
    >>> round(exchange_dose_ratio(41.0, "Lu-177", "Y-90", from_kev=149.8, to_kev=872.0), 2)
    4.21
    """
    for name, value in (("from_kev", from_kev), ("to_kev", to_kev)):
        if not (math.isfinite(value) and value > 0):
            raise InputError("dose ratio", name, value, "a positive energy per decay")
    return exchange_half_life_h(t_eff_h, from_nuclide, to_nuclide) / t_eff_h * to_kev / from_kev


def residual_fraction(days: float, t_eff_h: float) -> float:
    """Share of the dose that is still to come after some days: 2^(-24 d / T_eff), one exponential.

    Raises
    ------
    InputError
        For a negative number of days or a half-life that is not positive.

    Examples
    --------
    >>> round(100 * residual_fraction(14, 92.0), 2), round(100 * residual_fraction(14, 49.5), 2)
    (7.95, 0.9)
    """
    if not (math.isfinite(days) and days >= 0):
        raise InputError("residual dose", "days", days, "zero or more days")
    if not (math.isfinite(t_eff_h) and t_eff_h > 0):
        raise InputError("residual dose", "t_eff_h", t_eff_h, "a positive number of hours")
    return math.exp2(-24.0 * days / t_eff_h)
