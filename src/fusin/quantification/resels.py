"""How many independent measurements a region holds, and what that means for the error of its mean.

Neighbouring PET voxels are correlated: the standard error of a mean over n voxels is far larger than SD / sqrt(n).
The noise is modelled as stationary and Gaussian-smoothed with one FWHM. The mean over a region then has the variance
``sigma**2 * E[rho]``, where ``E[rho]`` is the correlation averaged over all pairs of points of the region, and the
region counts ``n_eff = 1 / E[rho]`` independent samples. For large regions n_eff tends to
``volume / ((pi / (2 ln 2))**1.5 * FWHM**3)``, which is 3.4 times fewer than volume / FWHM**3: dividing by FWHM**3
alone gives intervals that hold 77 to 85 % of the time instead of 95 % (simulated in the tests).
"""

from __future__ import annotations

import math
from functools import lru_cache

from fusin.errors import InputError

__all__ = ["degrees_of_freedom", "effective_samples", "mean_interval", "standard_error_resels"]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""FWHM of a Gaussian in units of its standard deviation, 2.3548."""


@lru_cache(maxsize=4096)
def _pair_correlation(volume_ml: float, fwhm_mm: float, power: int) -> float:
    """Mean over all point pairs in a sphere of the noise correlation to a power.

    The density of distances d in a sphere of radius R is 3 d^2/R^3 - 9 d^3/(4 R^4) + 3 d^5/(16 R^6)
    (Deltheil 1926); the correlation of Gaussian-smoothed noise is exp(-d^2 / (4 sigma^2)).
    """
    import numpy as np

    radius = (volume_ml * 1000.0 * 0.75 / math.pi) ** (1.0 / 3.0)
    exponent = power / (4.0 * (fwhm_mm / FWHM_PER_SIGMA) ** 2)
    # Beyond 8 correlation lengths the integrand is below 1e-27: a fixed rule then stays exact for any region size.
    upper = min(2.0 * radius, 8.0 / math.sqrt(exponent))
    nodes, weights = np.polynomial.legendre.leggauss(64)
    d = 0.5 * upper * (nodes + 1.0)
    density = 3 * d**2 / radius**3 - 9 * d**3 / (4 * radius**4) + 3 * d**5 / (16 * radius**6)
    return min(float((weights * density * np.exp(-exponent * d * d)).sum() * 0.5 * upper), 1.0)


def _check(volume_ml: float, fwhm_mm: float) -> None:
    if not (volume_ml > 0 and math.isfinite(volume_ml)):
        raise InputError("standard error", "volume_ml", volume_ml, "a positive volume")
    if not (fwhm_mm > 0 and math.isfinite(fwhm_mm)):
        raise InputError("standard error", "fwhm_mm", fwhm_mm, "a positive width")


def effective_samples(volume_ml: float, *, fwhm_mm: float = 6.0) -> float:
    """Number of independent samples that a compact region holds, at least 1.

    Parameters
    ----------
    volume_ml : volume of the region; its shape is taken as a sphere (an elongated one holds slightly more)
    fwhm_mm : full width at half maximum of the smoothness of the noise, mm

    Raises
    ------
    InputError
        When the volume or the width is not positive.
    """
    _check(volume_ml, fwhm_mm)
    return max(1.0, 1.0 / _pair_correlation(volume_ml, fwhm_mm, 1))


def degrees_of_freedom(volume_ml: float, *, fwhm_mm: float = 6.0) -> float:
    """Degrees of freedom of the region's sample SD, at least 1.

    Squared deviations are correlated as rho**2, so the SD rests on more samples than the mean does.
    """
    _check(volume_ml, fwhm_mm)
    return max(1.0, 1.0 / _pair_correlation(volume_ml, fwhm_mm, 2) - 1.0)


def standard_error_resels(sd: float, volume_ml: float, *, fwhm_mm: float = 6.0) -> float:
    """Standard error of a region's mean that counts resolution elements instead of voxels [unit of ``sd``].

    Parameters
    ----------
    sd : population SD of the voxels. Within a small region it misses the part of the noise that moves the whole
        region; ``sd**2 / (n_eff - 1)`` restores it.
    volume_ml : volume of the region
    fwhm_mm : smoothness of the noise, mm

    Returns
    -------
    float
        NaN when the region holds fewer than two independent samples: one sample has no spread.
    """
    n_eff = effective_samples(volume_ml, fwhm_mm=fwhm_mm)
    if n_eff < 2.0 or not math.isfinite(sd):
        return math.nan
    return sd / math.sqrt(n_eff - 1.0)


def mean_interval(mean: float, sd: float, volume_ml: float, *, fwhm_mm: float = 6.0) -> tuple[float, float, float]:
    """95 % interval of a region's mean, and the number of independent samples behind it.

    Parameters
    ----------
    mean, sd : mean and population SD of the voxels
    volume_ml : volume of the region
    fwhm_mm : smoothness of the noise, mm; the reconstructed resolution is the usual stand-in

    Returns
    -------
    tuple
        (low, high, n_eff). The limits are NaN where fewer than two independent samples exist.

    Notes
    -----
    Student's t with the degrees of freedom of the SD. True differences of uptake inside the region widen the SD and
    with it the interval; a bias that all voxels share (calibration, partial volume) is not in it.

    Examples
    --------
    >>> low, high, n_eff = mean_interval(1.60, 0.20, 1.57)
    >>> round(low, 2), round(high, 2), round(n_eff, 1)
    (1.37, 1.83, 4.7)
    """
    from scipy.special import stdtrit

    n_eff = effective_samples(volume_ml, fwhm_mm=fwhm_mm)
    error = standard_error_resels(sd, volume_ml, fwhm_mm=fwhm_mm)
    half = float(stdtrit(degrees_of_freedom(volume_ml, fwhm_mm=fwhm_mm), 0.975)) * error
    return mean - half, mean + half, n_eff
