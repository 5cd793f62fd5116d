"""Where inside an organ a reference shape sits best: quiet tissue, away from edges, near the textbook place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import BoolArray, FloatArray, Grid
from fusin.quantification.references import ReferenceShape

__all__ = ["QuietPlace", "eroded", "quiet_place", "shape_offsets"]

MOST_CENTRES = 24000
"""Centres tried per search; more only repeats neighbours a voxel apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietPlace:
    """The place chosen for a shape.

    Attributes
    ----------
    index : (z, y, x) voxel of the centre
    mean, cov : PET mean and SD/mean of the shape there
    typical : median over all admissible centres of the shape's mean
    centres : admissible centres (shape wholly inside the tissue)
    """

    index: tuple[int, int, int]
    mean: float
    cov: float
    typical: float
    centres: int


def shape_offsets(shape: ReferenceShape, grid: Grid) -> NDArray[np.int64]:
    """Voxel offsets (z, y, x) of a shape centred on a voxel, by voxel centres; at least the voxel itself."""
    spacing = grid.spacing_mm
    radius, half = shape.diameter_mm / 2.0, shape.length_mm / 2.0
    reach = radius if shape.form == "sphere" else math.hypot(radius, half)
    span = [np.arange(-math.ceil(reach / s), math.ceil(reach / s) + 1) for s in spacing[::-1]]
    z, y, x = np.meshgrid(*span, indexing="ij")
    index = np.stack([z.ravel(), y.ravel(), x.ravel()], axis=1)
    offset = index[:, ::-1] @ grid.affine[:3, :3].T
    if shape.form == "sphere":
        inside = (offset**2).sum(axis=1) <= radius**2
    else:
        inside = ((offset[:, :2] ** 2).sum(axis=1) <= radius**2) & (np.abs(offset[:, 2]) <= half)
    return np.ascontiguousarray(index[inside], dtype=np.int64)


def eroded(mask: BoolArray, margin_mm: float, spacing_zyx: Sequence[float]) -> BoolArray:
    """Voxels of a mask whose centres lie farther than `margin_mm` from the centre of every voxel outside it.

    The border of the array counts as outside, so that a cut organ is not searched at its cut.
    """
    if margin_mm <= 0.0 or not mask.any():
        return mask
    from scipy import ndimage as ndi

    # Distances outside the mask's own box are never asked for.
    box = ndi.find_objects(mask.view(np.uint8))[0]
    distance = ndi.distance_transform_edt(np.pad(mask[box], 1), sampling=tuple(spacing_zyx))
    out = np.zeros_like(mask)
    out[box] = distance[1:-1, 1:-1, 1:-1] > margin_mm
    return out


def quiet_place(
    pet: NDArray[Any],
    allowed: BoolArray,
    offsets: NDArray[np.int64],
    ideal: Sequence[float],
    spacing_zyx: Sequence[float],
    *,
    usual: float = 0.25,
    centres_in: BoolArray | None = None,
) -> QuietPlace | None:
    """Choose where a shape measures a tissue best.

    All centres whose whole shape lies in `allowed` are measured. Those whose mean differs from the typical one by
    more than `usual` (other organ, lesion, gallbladder) are dropped, then the noisier three quarters; of the rest
    the one nearest to `ideal` is taken. Taking the single quietest one would make the SD too small: the minimum over
    thousands of draws of noise.

    Parameters
    ----------
    pet : (nz, ny, nx) values
    allowed : (nz, ny, nx) voxels of the tissue
    offsets : (m, 3) voxels of the shape
    ideal : (z, y, x) voxel coordinates of the textbook place
    spacing_zyx : voxel size in mm
    usual : largest relative difference of the mean from the typical mean
    centres_in : voxels in which the centre may lie, by default all of `allowed`

    Returns
    -------
    QuietPlace or None
        None when the shape fits nowhere, the tissue has no counts or no place is typical of it.
    """
    from fusin.quantification.placement_kernels import probe_statistics

    centres = np.argwhere(allowed if centres_in is None else centres_in).astype(np.int64)
    if centres.shape[0] == 0:
        return None
    stride = max(1, centres.shape[0] // MOST_CENTRES)
    mean, sd = probe_statistics(pet, allowed, centres[::stride], offsets)
    fits = np.isfinite(mean)
    centres, mean, sd = centres[::stride][fits], mean[fits], sd[fits]
    if centres.shape[0] == 0:
        return None
    typical = float(np.median(mean))
    if not (math.isfinite(typical) and typical > 0.0):
        return None
    keep = np.abs(mean - typical) <= usual * typical
    if not keep.any():
        return None
    cov = np.where(keep, sd / np.where(mean > 0.0, mean, np.nan), np.inf)
    cov = np.where(np.isfinite(cov), cov, np.inf)
    quiet = np.flatnonzero(cov <= np.quantile(cov[keep], 0.25))
    distance: FloatArray = (((centres[quiet] - np.asarray(ideal)) * np.asarray(spacing_zyx)) ** 2).sum(axis=1)
    best = int(quiet[np.argmin(distance)])
    z, y, x = (int(v) for v in centres[best])
    return QuietPlace(
        index=(z, y, x), mean=float(mean[best]), cov=float(cov[best]), typical=typical, centres=int(fits.sum())
    )
