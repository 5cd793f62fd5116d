"""SUVpeak in its published forms; each result names the definition that gave it.

========================  =====================================================================================
``ibsi-local``            mean of the voxels whose centre lies within 6.2035 mm of the hottest voxel of the region
                          (with several equally hot voxels: the one with the highest mean)
``ibsi-global``           the same mean, maximised over the voxels of the region
``exact-1ml-global``      mean over a sphere of exactly 1 mL, each voxel weighted by the part of it that the sphere
                          covers, maximised over the voxels of the region
``percist-1ml``           the same exact sphere, but it must lie in the lesion: its centre may be any voxel centre, in
                          or out of the region, for which at least half of the sphere lies inside the region
                          and the whole sphere inside the image
========================  =====================================================================================

Voxels outside the region count in every form, as the definitions want. At the edge of the image and beside voxels
without a value the two IBSI forms and the exact form average what exists and say so; the PERCIST form does not accept
such a sphere. A region that can hold no PERCIST sphere has none (it is not replaced by another form).

References
----------
Zwanenburg et al., Radiology 2020;295:328 (IBSI 1, local and global intensity peak; 10.1148/radiol.2020191145).
Wahl et al., J Nucl Med 2009;50 Suppl 1:122S (PERCIST; 10.2967/jnumed.108.057307); O and Wahl, Radiology 2016
(PMC4976461). Vanderhoek et al., J Nucl Med 2012;53:4 (definitions move SUVpeak by up to half; PMC3308343).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import BoolArray, FloatArray, Grid, Region, Volume
from fusin.quantification.morphology import axes_of, ball_offsets, crop_around, values_of
from fusin.quantification.peak_kernels import gather_means, inside_weights, mark_ball

__all__ = ["PEAK_RADIUS_MM", "Peak", "Peaks", "find_peaks", "sphere_weights"]

PEAK_RADIUS_MM = 10.0 * (3.0 / (4.0 * math.pi)) ** (1.0 / 3.0)
"""Radius of a sphere of 1 mL, 6.2035 mm."""

GATHER_LIMIT = 200_000_000
"""Centres times neighbours above which a Fourier transform of the cut-out is cheaper than the gather."""


@dataclass(frozen=True, slots=True)
class Peak:
    """One SUVpeak: value, LPS millimetres of the sphere's centre, share of the sphere that had voxel values."""

    definition: str
    value: float
    centre_mm: tuple[float, float, float]
    coverage: float


@dataclass(frozen=True, slots=True)
class Peaks:
    """All forms of SUVpeak of one region; a form that does not exist is None."""

    exact: Peak | None
    ibsi_local: Peak | None
    ibsi_global: Peak | None
    percist: Peak | None


@lru_cache(maxsize=64)
def _sphere(axes: bytes, radius_mm: float) -> tuple[NDArray[np.int32], FloatArray]:
    """Offsets and covered fractions; see `sphere_weights`."""
    matrix = np.frombuffer(axes, dtype=np.float64).reshape(3, 3)
    along = np.linalg.norm(np.linalg.inv(matrix), axis=0) * radius_mm
    nz, ny, nx = np.ceil(along + 0.5 - 1e-12).astype(int) - 1
    # Lines along the slice axis meet the sphere in a chord known in closed form; only the plane is sampled, with a
    # step of 1/150 of the radius, which keeps each weight within 2e-4.
    step = radius_mm / 150.0
    my, mx = (max(8, math.ceil(float(np.linalg.norm(matrix[a])) / step)) for a in (1, 2))
    sub_y = (np.arange(my) + 0.5) / my - 0.5
    sub_x = (np.arange(mx) + 0.5) / mx - 0.5
    a = float(matrix[0] @ matrix[0])
    slices = np.arange(-nz, nz + 1)
    offsets, weights = [], []
    for y in range(-ny, ny + 1):
        for x in range(-nx, nx + 1):
            base = ((y + sub_y)[:, None, None] * matrix[1] + (x + sub_x)[None, :, None] * matrix[2]).reshape(-1, 3)
            half_b = base @ matrix[0]
            inside = half_b * half_b - a * ((base * base).sum(axis=1) - radius_mm**2)
            hit = inside > 0
            if not hit.any():
                continue
            root = np.sqrt(inside[hit]) / a
            middle = -half_b[hit] / a
            low, high = middle - root, middle + root
            for z in slices:
                length = np.clip(np.minimum(high, z + 0.5) - np.maximum(low, z - 0.5), 0.0, None)
                fraction = float(length.sum()) / (my * mx)
                if fraction > 0.0:
                    offsets.append((z, y, x))
                    weights.append(fraction)
    order = np.lexsort(np.array(offsets).T[::-1])
    where = np.array(offsets, dtype=np.int32)[order]
    share = np.array(weights, dtype=np.float64)[order]
    where.flags.writeable = False
    share.flags.writeable = False
    return where, share


def sphere_weights(grid: Grid, radius_mm: float = PEAK_RADIUS_MM) -> tuple[NDArray[np.int32], FloatArray]:
    """Voxels that a sphere around a voxel centre covers, and the fraction of each that lies inside it.

    Parameters
    ----------
    grid : gives the voxel size and shape; any spacing, skewed axes too
    radius_mm : radius of the sphere, mm

    Returns
    -------
    tuple
        (m, 3) offsets (slice, row, column) and (m,) covered fractions in 0..1, in C order.

    Raises
    ------
    InputError
        For a radius that is not positive.
    """
    if not 0 < radius_mm < np.inf:
        raise InputError("sphere", "radius_mm", radius_mm, "a positive radius")
    return _sphere(axes_of(grid).tobytes(), float(radius_mm))


def _means(
    values: NDArray[Any], centres: NDArray[np.int32], offsets: NDArray[np.int32], weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weighted means around the centres and the share of the weight that exists, by the cheaper of two routes."""
    if len(centres) * len(offsets) > GATHER_LIMIT:
        return _means_fourier(values, centres, offsets, weights)
    means = np.empty(len(centres))
    used = np.empty(len(centres))
    gather_means(values, centres, offsets, weights, means, used)
    return means, used


def _means_fourier(
    values: NDArray[Any], centres: NDArray[np.int32], offsets: NDArray[np.int32], weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    from scipy.signal import fftconvolve

    reach = np.abs(offsets).max(axis=0)
    kernel = np.zeros(2 * reach + 1)
    # Convolution turns the kernel round; storing it turned makes it a correlation (the ball is symmetric only when
    # the sampling is exact).
    kernel[tuple((reach - offsets).T)] = weights
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0.0).astype(np.float64)
    index = tuple(centres.T)
    sums = fftconvolve(filled, kernel, mode="same")[index]
    norms = fftconvolve(finite.astype(np.float64), kernel, mode="same")[index]
    total = float(weights.sum())
    exists = norms > 1e-9 * total
    means = np.full(len(centres), np.nan)
    means[exists] = sums[exists] / norms[exists]
    return means, np.where(exists, np.minimum(norms / total, 1.0), 0.0)


def _best(
    definition: str,
    means: FloatArray,
    used: FloatArray,
    centres: NDArray[np.int32],
    *,
    start: NDArray[np.intp],
    grid: Grid,
) -> Peak | None:
    """The highest mean; the first in C order when several are equal."""
    if means.size == 0 or not np.isfinite(means).any():
        return None
    at = int(np.nanargmax(means))
    x, y, z = grid.to_mm((centres[at] + start)[::-1])
    return Peak(definition, float(means[at]), (float(x), float(y), float(z)), float(used[at]))


def _percist(
    values: NDArray[Any], mask: BoolArray, start: NDArray[np.intp], grid: Grid, volume_ml: float
) -> Peak | None:
    """Highest exact sphere that lies at least half in the mask and wholly on voxels with values.

    ``volume_ml`` is the volume of the region: below half a millilitre no sphere can lie half in it.
    """
    offsets, weights = sphere_weights(grid)
    if volume_ml < 0.5 * float(weights.sum()) * grid.voxel_volume_ml * (1.0 - 1e-6):
        return None
    near = np.zeros_like(mask)
    mark_ball(mask, ball_offsets(grid, PEAK_RADIUS_MM), near)
    centres = np.argwhere(near).astype(np.int32)
    inside = np.empty(len(centres))
    inside_weights(mask, centres, offsets, weights, inside)
    centres = centres[inside >= 0.5 - 1e-9]
    means, used = _means(values, centres, offsets, weights)
    means[used < 1.0 - 1e-9] = np.nan
    return _best("percist-1ml", means, used, centres, start=start, grid=grid)


def find_peaks(volume: Volume, region: Region) -> Peaks:
    """All forms of SUVpeak of a region on the volume's grid.

    Parameters
    ----------
    volume : SUV volume; voxels without a value (NaN) are left out of the spheres
    region : voxels whose peak is asked for

    Returns
    -------
    Peaks
        All None for an empty region or one without any value.

    Raises
    ------
    InputError
        When the region lies on another grid.
    """
    own = values_of(region, volume)
    finite = np.isfinite(own)
    if not finite.any():
        return Peaks(None, None, None, None)
    grid = volume.grid
    offsets, weights = sphere_weights(grid)
    ball = ball_offsets(grid, PEAK_RADIUS_MM)
    # PERCIST centres may lie one radius outside the region, and their spheres reach one radius further.
    box, mask = crop_around(region, 2 * np.abs(offsets).max(axis=0))
    start = np.array([part.start for part in box], dtype=np.intp)
    values = np.ascontiguousarray(volume.values[box])
    centres = np.argwhere(mask).astype(np.int32)
    exact = _best("exact-1ml-global", *_means(values, centres, offsets, weights), centres, start=start, grid=grid)
    means, used = _means(values, centres, ball, np.ones(len(ball)))
    hottest = finite & (own == own[finite].max())
    return Peaks(
        exact=exact,
        ibsi_local=_best("ibsi-local", means[hottest], used[hottest], centres[hottest], start=start, grid=grid),
        ibsi_global=_best("ibsi-global", means, used, centres, start=start, grid=grid),
        percist=_percist(values, mask, start, grid, region.volume_ml),
    )
