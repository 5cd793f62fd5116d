"""BED and EQD2 of each voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fusin.dosimetry.biological import bed, eqd2
from fusin.errors import InputError
from fusin.imaging.volume import BoolArray, FloatArray, Volume

__all__ = ["BED_UNIT", "EQD2_UNIT", "bed_volume", "eqd2_volume"]

BED_UNIT = "Gy{BED}"
EQD2_UNIT = "Gy{EQD2}"


def bed_volume(
    dose: Volume, *, rates_per_h: ArrayLike, weights: ArrayLike, alpha_beta_gy: float, repair_half_time_h: float
) -> Volume:
    """Biologically effective dose of each voxel; voxels without a dose stay without.

    Parameters
    ----------
    dose : Gy
    rates_per_h, weights : (k,) one curve for all voxels, or (slices, rows, columns, k); see `lea_catcheside`
    alpha_beta_gy : of the tissue [Gy]
    repair_half_time_h : half-time of the repair [h]

    Raises
    ------
    InputError
        For another unit, a negative dose, or a parameter out of range.
    InvalidValue
        For a curve that is negative at some time, or zero where there is a dose.

    Notes
    -----
    Repair and dose rate are those of the voxel itself; cells that move between voxels are not in the model.
    """
    if dose.unit != "Gy":
        raise InputError("BED", "unit of the dose", dose.unit, "Gy")
    values = np.asarray(dose.values, dtype=np.float64)
    known = ~np.isnan(values)
    rates, amounts = _curves(rates_per_h, values.shape, known), _curves(weights, values.shape, known)
    out = np.full(values.shape, np.nan)
    out[known] = bed(values[known], rates, amounts, alpha_beta_gy, repair_half_time_h)
    return Volume(values=out, grid=dose.grid, unit=BED_UNIT)


def eqd2_volume(bed_map: Volume, *, alpha_beta_gy: float) -> Volume:
    """Dose in 2 Gy fractions of the same effect in each voxel.

    Parameters
    ----------
    bed_map : of `bed_volume`
    alpha_beta_gy : the alpha/beta that gave it [Gy]

    Raises
    ------
    InputError
        For a map that is no BED, or an alpha/beta that is not positive.
    """
    if bed_map.unit != BED_UNIT:
        raise InputError("EQD2", "unit of the map", bed_map.unit, f"{BED_UNIT}, made by bed_volume")
    values = np.asarray(bed_map.values, dtype=np.float64)
    known = ~np.isnan(values)
    out = np.full(values.shape, np.nan)
    out[known] = eqd2(values[known], alpha_beta_gy)
    return Volume(values=out, grid=bed_map.grid, unit=EQD2_UNIT)


def _curves(values: ArrayLike, shape: tuple[int, ...], known: BoolArray) -> FloatArray:
    """One curve as it is, or those of the voxels that have a dose."""
    try:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as err:
        raise InputError("BED", "curve", str(values)[:40], "numbers") from err
    if array.ndim == 1:
        return array
    if array.shape[:-1] != shape:
        raise InputError("BED", "curve", array.shape, f"one curve, or one for each voxel of {shape}")
    return np.asarray(array[known])
