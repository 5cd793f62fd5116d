"""Biologically effective dose of decaying dose rates: Lea-Catcheside factor, BED, EQD2, EUD.

A dose rate that is a sum of exponentials, R(t) = sum of w_i exp(-r_i t) from t = 0 on, has with a repair rate
mu = ln 2 / repair half-time the dose-protraction factor in closed form::

    D = sum w_i / r_i
    G = 2 / D^2 * sum over i, j of w_i w_j / ((r_i + r_j) (r_i + mu))
    BED = D (1 + G D / (alpha/beta))
    EQD2 = BED / (1 + 2 Gy / (alpha/beta))

No denominator can vanish, so equal rates and a repair as fast as the decay need no case of their own. One exponential gives
G = r / (r + mu). Every parameter is the user's; none has a default here.

References
----------
Dale RG, Br J Radiol 58 (1985) 515-528 (exponentially decaying dose rates).
Brenner DJ et al., Radiat Res 150 (1998) 83-91 (generalised Lea-Catcheside factor).
Bodey RK, Flux GD, Evans PM, Cancer Biother Radiopharm 18 (2003) 89-97 (BED in radionuclide therapy).
Niemierko A, Med Phys 24 (1997) 103-110 (EUD); Med Phys 26 (1999) 1100 (generalised EUD).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.dosimetry.nuclide_exchange import exchange_half_life_h
from fusin.errors import InputError, InvalidValue
from fusin.stats.results import Estimate

__all__ = [
    "bed",
    "bed_estimate",
    "eqd2",
    "eqd2_estimate",
    "eud",
    "exchange_half_life_h",
    "generalised_eud",
    "lea_catcheside",
]

FloatArray = NDArray[np.float64]

_REFERENCE_FRACTION_GY = 2.0
# Rounding of sums of exponentials that cancel, relative to their largest term.
_ROUNDING = 1e-9
_GRID = 400


def lea_catcheside(rates_per_h: ArrayLike, weights: ArrayLike, repair_half_time_h: float) -> Any:
    """Dose-protraction factor G of a dose rate that is a sum of exponentials.

    Parameters
    ----------
    rates_per_h : (..., k) rates of the exponentials [1/h], positive; leading axes are voxels
    weights : (..., k) their dose rates at t = 0, in any unit; uptake is a negative weight
    repair_half_time_h : half-time of the repair [h], positive; ``math.inf`` is no repair, G = 1

    Returns
    -------
    float, or array of the leading axes
        0 < G <= 1; NaN where all weights are zero.

    Raises
    ------
    InputError
        For rates that are not positive, or shapes that do not fit.
    InvalidValue
        For a dose rate that is negative at some time: weights that no activity has.

    Examples
    --------
    >>> round(lea_catcheside([math.log(2) / 41], [1.0], 2.8), 5)
    0.06393
    """
    rates, amounts = _curve(rates_per_h, weights)
    repair = math.log(2.0) / _positive(repair_half_time_h, "repair_half_time_h", infinite=True)
    dose: FloatArray = (amounts / rates).sum(axis=-1)
    total = np.zeros(dose.shape)
    for i in range(rates.shape[-1]):
        for j in range(rates.shape[-1]):
            pair = (rates[..., i] + rates[..., j]) * (rates[..., i] + repair)
            total += amounts[..., i] * amounts[..., j] / pair
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(dose > 0, 2.0 * total / dose**2, np.nan)
    return float(factor) if factor.ndim == 0 else factor


def bed(
    dose_gy: ArrayLike, rates_per_h: ArrayLike, weights: ArrayLike, alpha_beta_gy: float, repair_half_time_h: float
) -> Any:
    """Biologically effective dose [Gy]: D (1 + G D / (alpha/beta)); see `lea_catcheside`.

    Parameters
    ----------
    dose_gy : absorbed dose [Gy], not negative; a number, or an array of the leading axes
    rates_per_h, weights, repair_half_time_h : as in `lea_catcheside`; one curve for all voxels, or one for each
    alpha_beta_gy : alpha/beta of the tissue [Gy], positive; ``math.inf`` gives the dose itself

    Raises
    ------
    InputError
        For a negative dose or a parameter that is not positive.
    InvalidValue
        For a dose where the dose rate is zero at all times.

    Examples
    --------
    >>> round(bed(23.0, [math.log(2) / 41], [1.0], 2.6, 2.8), 3)
    36.007
    """
    dose = _doses(dose_gy)
    ratio = _positive(alpha_beta_gy, "alpha_beta_gy", infinite=True)
    factor = np.asarray(lea_catcheside(rates_per_h, weights, repair_half_time_h))
    try:
        missing = np.isnan(factor) & (dose > 0)
    except ValueError as err:
        raise InputError("BED", "dose_gy", f"shape {dose.shape}", f"the shape of the curves, {factor.shape}") from err
    if bool(np.any(missing)):
        raise InvalidValue(
            "BED", "a dose stands where the dose rate is zero", "the curve that gave the dose", "NO_DOSE_RATE"
        )
    out = np.where(dose > 0, dose * (1.0 + np.nan_to_num(factor) * dose / ratio), 0.0)
    return float(out) if out.ndim == 0 else out


def bed_estimate(
    dose: Estimate, rates_per_h: ArrayLike, weights: ArrayLike, alpha_beta_gy: float, repair_half_time_h: float
) -> Estimate:
    """BED with the interval that follows from the interval of the dose; the curve and the parameters count as known."""
    return _mapped(
        dose, lambda gray: float(bed(gray, rates_per_h, weights, alpha_beta_gy, repair_half_time_h)),
        "BED of the limits of the dose",
    )  # fmt: skip


def eqd2(bed_gy: ArrayLike, alpha_beta_gy: float) -> Any:
    """Dose in 2 Gy fractions of the same effect [Gy]: BED / (1 + 2 / (alpha/beta)).

    Raises
    ------
    InputError
        For a negative BED or an alpha/beta that is not positive.

    Examples
    --------
    >>> round(eqd2(36.007, 2.6), 3)
    20.352
    """
    out = _doses(bed_gy, "bed_gy") / (
        1.0 + _REFERENCE_FRACTION_GY / _positive(alpha_beta_gy, "alpha_beta_gy", infinite=True)
    )
    return float(out) if out.ndim == 0 else out


def eqd2_estimate(bed: Estimate, alpha_beta_gy: float) -> Estimate:
    """EQD2 with the limits of the BED."""
    return _mapped(bed, lambda gray: float(eqd2(gray, alpha_beta_gy)), "EQD2 of the limits of the dose")


def eud(dose_gy: ArrayLike, alpha_per_gy: float, volumes: ArrayLike | None = None) -> float:
    """Equivalent uniform dose [Gy]: the uniform dose that as many clonogens survive, exp(-alpha D) each.

    Parameters
    ----------
    dose_gy : (n,) dose [Gy] of voxels or bins, of any shape; give BED to include repair (EUBED)
    alpha_per_gy : linear radiosensitivity [1/Gy], positive
    volumes : volumes of the same shape, in any unit; equal when None

    Raises
    ------
    InputError
        For no voxel, a negative dose, volumes that do not fit, or an alpha that is not positive.

    References
    ----------
    Niemierko A, Med Phys 24 (1997) 103-110, survival exp(-alpha D).
    """
    dose, share = _histogram(dose_gy, volumes)
    alpha = _positive(alpha_per_gy, "alpha_per_gy")
    # The coldest voxel goes before the exponential, so that survival does not underflow at high doses.
    coldest = float(dose[share > 0].min())
    survival = float(np.sum(share * np.exp(-alpha * np.maximum(dose - coldest, 0.0))))
    return coldest - math.log(survival) / alpha


def generalised_eud(dose_gy: ArrayLike, exponent: float, volumes: ArrayLike | None = None) -> float:
    """Generalised EUD [Gy]: (sum v_i D_i^a)^(1/a); a = 1 is the mean, large a the maximum, negative a is for tumours.

    Parameters
    ----------
    dose_gy, volumes : as in `eud`
    exponent : a, finite and not 0

    Raises
    ------
    InputError
        As `eud`, and for an exponent of 0.
    """
    dose, share = _histogram(dose_gy, volumes)
    if not (math.isfinite(exponent) and exponent != 0):
        raise InputError("generalised EUD", "exponent", exponent, "a finite number other than 0")
    counted, part = dose[share > 0], share[share > 0]
    if exponent < 0 and bool(np.any(counted == 0)):
        return 0.0
    most = float(counted.max() if exponent > 0 else counted.min())
    return most * float(np.sum(part * (counted / most) ** exponent)) ** (1.0 / exponent) if most > 0 else 0.0


def _curve(rates_per_h: ArrayLike, weights: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Rates and weights of one shape, checked: the dose rate is never negative."""
    try:
        rates, amounts = (
            np.atleast_1d(np.asarray(rates_per_h, np.float64)),
            np.atleast_1d(np.asarray(weights, np.float64)),
        )
        rates, amounts = np.broadcast_arrays(rates, amounts)
    except (TypeError, ValueError) as err:
        raise InputError("dose rate", "rates and weights", "shapes that differ", "one weight for each rate") from err
    if not rates.shape[-1]:
        raise InputError("dose rate", "rates_per_h", 0, "at least one exponential")
    if not bool(np.all(np.isfinite(rates) & (rates > 0))):
        raise InputError("dose rate", "rates_per_h", float(np.min(rates)), "positive finite rates")
    if not bool(np.all(np.isfinite(amounts))):
        raise InputError("dose rate", "weights", "not finite", "finite dose rates")
    _refuse_negative(rates, amounts)
    return rates, amounts


def _refuse_negative(rates: FloatArray, amounts: FloatArray) -> None:
    """Refuse a dose rate below zero: at the start, at the end, and for one curve at times between."""
    tolerance = _ROUNDING * np.abs(amounts).max(axis=-1)
    start = amounts.sum(axis=-1)
    slowest = np.take_along_axis(amounts, rates.argmin(axis=-1)[..., None], axis=-1)[..., 0]
    alone = (rates == rates.min(axis=-1, keepdims=True)).sum(axis=-1) == 1
    bad = (start < -tolerance) | (alone & (slowest < -tolerance)) | ((amounts / rates).sum(axis=-1) < 0)
    if rates.ndim == 1 and not bool(bad):
        times = np.geomspace(1e-3 / rates.max(), 30.0 / rates.min(), _GRID)
        bad = (amounts * np.exp(-np.outer(times, rates))).sum(axis=-1).min() < -tolerance
    if bool(np.any(bad)):
        raise InvalidValue("Lea-Catcheside factor", "the dose rate is negative at some time",
                           "weights of a curve that is never below zero", "NEGATIVE_DOSE_RATE")  # fmt: skip


def _histogram(dose_gy: ArrayLike, volumes: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    dose = _doses(dose_gy).ravel()
    if not dose.size:
        raise InputError("EUD", "dose_gy", 0, "at least one voxel")
    part = np.ones(dose.size) if volumes is None else np.asarray(volumes, np.float64).ravel()
    if part.shape != dose.shape or not bool(np.all(part >= 0)) or not 0 < part.sum() < math.inf:
        raise InputError("EUD", "volumes", f"{part.size} values", f"{dose.size} volumes, none negative, not all zero")
    return dose, part / part.sum()


def _doses(values: ArrayLike, name: str = "dose_gy") -> FloatArray:
    try:
        dose = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InputError("dose", name, str(values)[:40], "numbers") from err
    if not bool(np.all(dose >= 0)) or bool(np.any(np.isinf(dose))):
        found = float(np.nanmin(dose)) if dose.size and not bool(np.all(np.isnan(dose))) else math.nan
        raise InputError("dose", name, found, "finite doses of zero or more")
    return dose


def _positive(value: float, name: str, *, infinite: bool = False) -> float:
    if not (
        isinstance(value, (int, float, np.floating, np.integer)) and value > 0 and (infinite or math.isfinite(value))
    ):
        raise InputError("radiobiology", name, value, "a positive number")
    return float(value)


def _mapped(estimate: Estimate, function: Any, method: str) -> Estimate:
    """An increasing function of value and limits."""
    found: Sequence[float | None] = [
        None if v is None else function(max(v, 0.0)) for v in (estimate.value, estimate.low, estimate.high)
    ]
    name = f"{method} ({estimate.method})" if estimate.method else method
    return Estimate(value=found[0], low=found[1], high=found[2], method=name, n=estimate.n, level=estimate.level,
                    note=estimate.note)  # fmt: skip
