"""Absorbed dose of each voxel from the activity of all voxels.

Electrons spread by the voxel kernel of the grid's own spacing, or stay where they are (local deposition). Photons spread by the
same kernel, or over the whole image on a coarser grid, since they go much further than any small kernel. Kernels belong to a
uniform medium; the energy that a voxel gets is then divided by its own mass, so that energy is conserved whatever the density.
Each run adds up where the energy went and refuses its own result when the parts miss the whole by more than 1e-6.

References
----------
Bolch WE et al. MIRD Pamphlet No. 17. J Nucl Med 40 (1999) 11S-36S (voxel S values).
Dieudonne A et al. J Nucl Med 54 (2013) 236-243 (convolution with correction by density).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusin.dosimetry.emissions import JOULE_PER_KEV
from fusin.dosimetry.voxel_convolution import convolve
from fusin.dosimetry.voxel_kernels import (
    HIGHEST_DENSITY,
    LARGEST_SIZE,
    LOWEST_DENSITY,
    Medium,
    VoxelKernel,
    voxel_kernel,
)
from fusin.errors import InputError, NotComputable
from fusin.imaging.resample import index_map, resample
from fusin.imaging.volume import FloatArray, Grid, Volume
from fusin.provenance import NoticeLog

__all__ = ["METHODS", "EnergyShares", "VoxelDose", "density_from_ct", "grid_spacing_mm", "voxel_dose"]

Electrons = Literal["convolution", "local"]
Photons = Literal["far", "near", "none"]

METHODS = {
    "voxel-dose": "convolution with voxel S values (Bolch, J Nucl Med 1999;40:11S, MIRD Pamphlet 17)",
    "density": "energy of a uniform medium divided by the mass of each voxel (Dieudonne, J Nucl Med 2013;54:236)",
}
"""Method ids with the citations that a report prints."""

TOLERANCE = 1e-6
COARSE_MM = 12.0
PHOTON_REACH_MM = 600.0
_PER_ML: dict[str, tuple[float, str]] = {
    f"{prefix}Bq{time}/ml": (scale * seconds, unit)
    for prefix, scale in (("", 1e-6), ("k", 1e-3), ("M", 1.0))
    for time, seconds, unit in ((".s", 1.0, "Gy"), (".h", 3600.0, "Gy"), ("", 3600.0, "Gy/h"))
}
"""Unit of an activity to (MBq s/mL of it, unit of its dose); an activity without time counts for an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyShares:
    """Where the energy of all decays went; the shares sum to 1.

    Attributes
    ----------
    in_grid : deposited in voxels with a dose
    without_density : deposited in voxels too thin for a dose
    left_grid : carried out through the faces of the grid
    beyond_kernel : beyond the reach of the kernel, or of photons that were left out
    mismatch : what is missing to 1, before it was refused or accepted
    """

    in_grid: float
    without_density: float
    left_grid: float
    beyond_kernel: float
    mismatch: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelDose:
    """Dose of each voxel.

    Attributes
    ----------
    dose : Gy, or Gy/h for activities at one time; NaN where the density allows no dose
    nuclide : canonical name
    electrons, photons : how each was spread
    density_g_ml : of the medium of the kernels
    heterogeneous : whether each voxel was divided by its own density
    energy : where the energy went
    u_relative : relative standard uncertainty of the kernel's source voxel; image and integration come on top
    """

    dose: Volume
    nuclide: str
    electrons: str
    photons: str
    density_g_ml: float
    heterogeneous: bool
    energy: EnergyShares
    u_relative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """Energy density in the grid [mGy of the medium] and the sums of a part of the emissions."""

    values: FloatArray
    outside: float
    emitted_kev: float
    absorbed_kev: float


def voxel_dose(
    activity: Volume,
    *,
    nuclide: str,
    log: NoticeLog,
    electrons: Electrons = "convolution",
    photons: Photons = "far",
    density_g_ml: float = 1.04,
    density: Volume | None = None,
    size: int | None = None,
    medium: Medium = "soft-tissue",
    workers: int | None = None,
) -> VoxelDose:
    """Dose, or dose rate, of each voxel.

    Parameters
    ----------
    activity : time-integrated activity (``"MBq.s/ml"``, ``"MBq.h/ml"``; kBq and Bq alike) gives Gy; activity at one time
        (``"Bq/ml"``, ``"kBq/ml"``, ``"MBq/ml"``) gives Gy/h
    nuclide : name, for example ``"Lu-177"``
    log : receives what has no dose and what negative activities there are
    electrons : ``convolution``, or ``local`` for deposition where they are emitted
    photons : ``far`` within the kernel, and beyond it over the whole image on a grid of about 12 mm; ``near`` within the kernel;
        ``none``
    density_g_ml : of the medium of the kernels, and of every voxel when there is no ``density``
    density : g/mL on the grid of the activity (`density_from_ct`); voxels below 0.1 g/mL or without a value get no dose
    size : odd number of voxels of the kernel along each axis, as in `voxel_kernel`
    medium : of the kernels
    workers : threads; all processors when None

    Raises
    ------
    InputError
        For another unit, voxels without a value, no activity, a grid without right angles, a density on another grid, or a
        value out of range.
    NotComputable
        When the energy is not conserved to 1e-6.
    """
    scale, unit = _scale(activity)
    spacing = grid_spacing_mm(activity.grid)
    content = np.asarray(activity.values, dtype=np.float64) * (scale * math.prod(spacing) * 1e-3)
    total = _total(content, log)
    _check_choices(electrons, photons)
    joined = electrons == "convolution" and photons != "none"
    kernel = voxel_kernel(nuclide, spacing, density_g_ml, size, medium=medium, part="all" if joined else "electrons")
    spread = _convolved if electrons == "convolution" else _deposited
    parts = [spread(content, kernel, workers)]
    if not joined or photons == "far":
        alone = voxel_kernel(nuclide, spacing, density_g_ml, kernel.size, medium=medium, part="photons")
        parts += _photons(content, alone, photons, joined=joined, workers=workers)
    uniform = sum((part.values for part in parts[1:]), parts[0].values)
    if not bool((content < 0).any()):
        # Negative values of a positive kernel and activity are rounding of the transform.
        np.maximum(uniform, 0.0, out=uniform)
    own = _density(density, activity.grid, density_g_ml, log)
    milligray = uniform if own is None else uniform * (density_g_ml / own)
    energy = _shares(parts, uniform, milligray, own, total, math.prod(spacing) * 1e-6, density_g_ml)
    dose = Volume(values=milligray * 1e-3, grid=activity.grid, unit=unit)
    return VoxelDose(dose=dose, nuclide=kernel.nuclide, electrons=electrons, photons=photons, density_g_ml=density_g_ml,
                     heterogeneous=own is not None, energy=energy, u_relative=kernel.u_relative)  # fmt: skip


def grid_spacing_mm(grid: Grid) -> tuple[float, float, float]:
    """Spacing along (slices, rows, columns) of a grid of boxes.

    Raises
    ------
    InputError
        For axes that are not at right angles, as of a tilted gantry.
    """
    unit = grid.affine[:3, :3] / np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0))
    worst = float(np.abs(unit.T @ unit - np.eye(3)).max())
    if worst > 1e-3:
        tilt = math.degrees(math.asin(min(worst, 1.0)))
        raise InputError(
            "voxel dose", "axes of the grid", f"{tilt:.2f} degrees off a right angle", "an image on a rectangular grid"
        )
    x, y, z = grid.spacing_mm
    return z, y, x


def density_from_ct(ct: Volume, grid: Grid, *, curve: Sequence[tuple[float, float]], log: NoticeLog) -> Volume:
    """Mass density on a dose grid from CT.

    Each CT voxel is converted first and then averaged over about the size of a dose voxel, as mass adds up and the curve bends.

    Parameters
    ----------
    ct : Hounsfield units
    grid : of the dose, in the same frame of reference
    curve : (Hounsfield units, g/mL) of the scanner, rising, at least two points; straight lines between them
    log : receives values beyond the ends of the curve, which take the density of that end

    Returns
    -------
    Volume
        g/mL; NaN outside of the CT.

    Raises
    ------
    InputError
        For another unit, another frame of reference, or a curve that does not rise.
    """
    from scipy.ndimage import uniform_filter

    if ct.unit != "[hnsf'U]":
        raise InputError("density from CT", "unit", ct.unit, "[hnsf'U]")
    points = np.asarray(curve, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] < 2 or points.shape[1] != 2 or not bool(np.isfinite(points).all()):
        raise InputError("density from CT", "curve", points.shape, "at least two pairs of Hounsfield units and g/mL")
    if bool((np.diff(points[:, 0]) <= 0).any() or (np.diff(points[:, 1]) < 0).any() or points[0, 1] < 0):
        raise InputError(
            "density from CT", "curve", points.tolist(), "rising Hounsfield units and densities of zero or more"
        )
    units = np.asarray(ct.values, dtype=np.float64)
    low, high = int((units < points[0, 0]).sum()), int((units > points[-1, 0]).sum())
    if low:
        log.info(
            "CT_BEYOND_CURVE",
            f"{low} CT voxels below {points[0, 0]:g} HU take {points[0, 1]:g} g/mL",
            where="density from CT",
        )
    if high:
        log.warning(
            "CT_BEYOND_CURVE",
            f"{high} CT voxels above {points[-1, 0]:g} HU take {points[-1, 1]:g} g/mL",
            where="density from CT",
        )
    grams = np.interp(units, points[:, 0], points[:, 1])
    grams[~np.isfinite(units)] = np.nan
    matrix = np.abs(index_map(ct.grid, grid)[:, :3])
    widths = [2 * int(step / 2.0) + 1 for step in matrix.sum(axis=1)]
    mean = uniform_filter(grams, size=widths, mode="nearest") if max(widths) > 1 else grams
    return resample(Volume(values=mean, grid=ct.grid, unit="g/ml"), grid, fill=math.nan)


def _convolved(content: FloatArray, kernel: VoxelKernel, workers: int | None) -> _Spread:
    done = convolve(content, kernel.values, workers=workers)
    return _Spread(values=done.values, outside=done.outside, emitted_kev=kernel.energy_emitted_kev,
                   absorbed_kev=kernel.energy_absorbed_kev)  # fmt: skip


def _deposited(content: FloatArray, kernel: VoxelKernel, _workers: int | None) -> _Spread:
    """All that the kernel keeps, in the voxel of the decay."""
    return _Spread(values=content * kernel.values.sum(), outside=0.0, emitted_kev=kernel.energy_emitted_kev,
                   absorbed_kev=kernel.energy_absorbed_kev)  # fmt: skip


def _photons(
    content: FloatArray, kernel: VoxelKernel, photons: str, *, joined: bool, workers: int | None
) -> list[_Spread]:
    """Photons: within their own small kernel unless they went with the electrons, and beyond it over the whole image."""
    if photons == "none":
        return [_Spread(values=np.zeros(()), outside=0.0, emitted_kev=kernel.energy_emitted_kev, absorbed_kev=0.0)]
    near = [] if joined else [_convolved(content, kernel, workers)]
    if photons == "near":
        return near
    spacing = kernel.spacing_mm
    factors = [2 * int(COARSE_MM / s / 2.0) + 1 for s in spacing]
    coarse = (spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2])
    binned = _binned(content, factors)
    reach = math.ceil(PHOTON_REACH_MM / kernel.density_g_ml / min(coarse))
    least = max(math.ceil(kernel.size // 2 / f) for f in factors)
    half = min(LARGEST_SIZE // 2, max(min(reach, max(binned.shape) - 1), least, 1))
    medium: Medium = "water" if kernel.medium == "water" else "soft-tissue"
    wide = voxel_kernel(kernel.nuclide, coarse, kernel.density_g_ml, 2 * half + 1, medium=medium, part="photons")
    done = convolve(binned, wide.values - _coarsened(kernel.values, factors, half), workers=workers)
    fine, beyond = _refined(done.values, factors, content.shape)
    # The dose of a coarse voxel is that of as many voxels.
    outside = (done.outside + beyond) * math.prod(factors)
    return [*near, _Spread(values=fine, outside=outside, emitted_kev=0.0,
                           absorbed_kev=wide.energy_absorbed_kev - kernel.energy_absorbed_kev)]  # fmt: skip


def _coarsened(kernel: FloatArray, factors: list[int], half: int) -> FloatArray:
    """What a kernel gives to coarse voxels from even activity in one of them."""
    out = kernel / math.prod(factors)
    for axis, factor in enumerate(factors):
        shift = np.arange(kernel.shape[axis]) - kernel.shape[axis] // 2
        block = np.floor_divide(np.arange(factor)[None] + shift[:, None], factor) + half
        weights = (block[:, :, None] == np.arange(2 * half + 1)).mean(axis=1)
        out = np.moveaxis(np.tensordot(out, weights, axes=(axis, 0)), -1, axis)
    return np.asarray(out)


def _binned(content: FloatArray, factors: list[int]) -> FloatArray:
    """Sums over blocks of voxels; the last blocks may reach beyond the grid."""
    padding = [(0, -n % f) for n, f in zip(content.shape, factors, strict=True)]
    padded = np.pad(content, padding)
    shape = [part for n, f in zip(padded.shape, factors, strict=True) for part in (n // f, f)]
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3, 5)))


def _refined(values: FloatArray, factors: list[int], shape: tuple[int, ...]) -> tuple[FloatArray, float]:
    """Values on the fine grid without steps, and the sum over blocks of what lies beyond it; both keep the sum."""
    from scipy.ndimage import uniform_filter

    fine = values
    for axis, factor in enumerate(factors):
        fine = np.repeat(fine, factor, axis=axis)
    inside = fine[: shape[0], : shape[1], : shape[2]]
    beyond = (float(fine.sum()) - float(inside.sum())) / math.prod(factors)
    # Reflection at the faces keeps the sum of a symmetric filter.
    return np.asarray(uniform_filter(inside, size=factors, mode="reflect")), beyond


def _shares(
    parts: list[_Spread], uniform: FloatArray, milligray: FloatArray, own: FloatArray | None, total: float, volume_l: float,
    density_g_ml: float,
) -> EnergyShares:  # fmt: skip
    """Add up the energy from the finished dose, and compare with what was emitted."""
    emitted = sum(part.emitted_kev for part in parts)
    # mGy kg = mJ; a decay of 1 keV is JOULE_PER_KEV, and a MBq s is 1e6 of them.
    whole = total * 1e9 * JOULE_PER_KEV * emitted
    mass_kg = volume_l * density_g_ml
    if own is None:
        inside, thin = float(milligray.sum()) * mass_kg, 0.0
    else:
        empty = np.isnan(own)
        inside = float(np.nansum(milligray * own)) * volume_l
        thin = float(uniform[empty].sum()) * mass_kg
    left = sum(part.outside for part in parts) * mass_kg
    beyond = sum(part.emitted_kev - part.absorbed_kev for part in parts) / emitted
    mismatch = 1.0 - (inside + thin + left) / whole - beyond
    if not abs(mismatch) <= TOLERANCE:
        raise NotComputable("voxel dose", f"{mismatch:.2g} of the energy of all decays is unaccounted for",
                            f"energy that is conserved to {TOLERANCE:g}", "ENERGY_NOT_CONSERVED")  # fmt: skip
    return EnergyShares(in_grid=inside / whole, without_density=thin / whole, left_grid=left / whole, beyond_kernel=beyond,
                        mismatch=mismatch)  # fmt: skip


def _density(density: Volume | None, grid: Grid, density_g_ml: float, log: NoticeLog) -> FloatArray | None:
    """Density of each voxel, NaN where it allows no dose."""
    if density is None:
        return None
    if density.unit != "g/ml":
        raise InputError("voxel dose", "unit of the density", density.unit, "g/ml")
    density.grid.require_frame(grid, "voxel dose")
    if not density.grid.matches(grid):
        raise InputError(
            "voxel dose",
            "grid of the density",
            density.grid.shape,
            f"the grid {grid.shape} of the activity; resample first",
        )
    own = np.array(density.values, dtype=np.float64)
    if bool((own > 10.0 * HIGHEST_DENSITY).any()):
        raise InputError("voxel dose", "density", float(np.nanmax(own)), f"g/mL, at most {10.0 * HIGHEST_DENSITY:g}")
    thin = ~(own >= LOWEST_DENSITY)
    if bool(thin.all()):
        raise InputError("voxel dose", "density", "no voxel", f"voxels of {LOWEST_DENSITY:g} g/mL or more")
    if bool(thin.any()):
        log.info("DOSE_WITHOUT_DENSITY", f"{int(thin.sum())} voxels below {LOWEST_DENSITY:g} g/mL or off the CT have no dose",
                 where="voxel dose", used=int(thin.sum()))  # fmt: skip
    own[thin] = np.nan
    return own


def _scale(activity: Volume) -> tuple[float, str]:
    if activity.unit not in _PER_ML:
        raise InputError("voxel dose", "unit of the activity", activity.unit, "one of " + ", ".join(_PER_ML))
    return _PER_ML[activity.unit]


def _total(content: FloatArray, log: NoticeLog) -> float:
    """Sum of all activity; doubtful when a part is negative."""
    missing = int(content.size - np.count_nonzero(np.isfinite(content)))
    if missing:
        raise InputError(
            "voxel dose", "activity", f"{missing} voxels without a finite value", "a number in every voxel"
        )
    total, below = float(content.sum()), float(content[content < 0].sum())
    if not total > 0:
        raise InputError("voxel dose", "activity", total, "a sum above zero")
    if below < 0:
        share = -100.0 * below / (total - below)
        log.warning("NEGATIVE_VOXEL_ACTIVITY", f"negative voxels hold {share:.3g} % of the positive activity and were kept",
                    where="voxel dose", raw=below)  # fmt: skip
    return total


def _check_choices(electrons: str, photons: str) -> None:
    if electrons not in ("convolution", "local"):
        raise InputError("voxel dose", "electrons", electrons, "convolution or local")
    if photons not in ("far", "near", "none"):
        raise InputError("voxel dose", "photons", photons, "far, near or none")
