"""Geometry of regions in millimetres: balls on any grid, dilation, shells, and cut-outs around a region."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import BoolArray, FloatArray, Grid, Region, Volume

__all__ = [
    "Box",
    "axes_of",
    "ball_offsets",
    "crop_around",
    "dilate",
    "region_from_crop",
    "region_from_indices",
    "shell",
    "values_of",
]

Box = tuple[slice, slice, slice]
"""Slices of a cut-out in (slice, row, column) order."""


def axes_of(grid: Grid) -> FloatArray:
    """(3, 3) matrix whose rows are the steps in millimetres along the slice, row and column index."""
    out: FloatArray = np.ascontiguousarray(grid.affine[:3, :3].T[::-1])
    return out


@lru_cache(maxsize=64)
def _ball(axes: bytes, radius_mm: float) -> NDArray[np.int32]:
    matrix = np.frombuffer(axes, dtype=np.float64).reshape(3, 3)
    # |offset along an index axis| <= radius * |row of the inverse|, for skewed axes too.
    reach = np.floor(radius_mm * np.linalg.norm(np.linalg.inv(matrix), axis=0) + 1e-9).astype(int)
    ranges = [np.arange(-n, n + 1) for n in reach]
    offsets = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    distance2 = ((offsets @ matrix) ** 2).sum(axis=1)
    out: NDArray[np.int32] = offsets[distance2 <= radius_mm**2 * (1.0 + 1e-9)].astype(np.int32)
    out.flags.writeable = False
    return out


def ball_offsets(grid: Grid, radius_mm: float) -> NDArray[np.int32]:
    """(m, 3) index offsets (slice, row, column) whose voxel centres lie within a radius of a voxel centre.

    Raises
    ------
    InputError
        For a negative or infinite radius.
    """
    if not 0 <= radius_mm < np.inf:
        raise InputError("ball", "radius_mm", radius_mm, "a radius of 0 mm or more")
    return _ball(axes_of(grid).tobytes(), float(radius_mm))


def crop_around(region: Region, margin: NDArray[np.int32] | tuple[int, int, int]) -> tuple[Box, BoolArray]:
    """Cut-out of the bounding box grown by a margin in voxels, never beyond the grid, and the mask inside it.

    Parameters
    ----------
    region : a region that is not empty
    margin : voxels to add on both sides along (slice, row, column)
    """
    low = [max(0, s - int(m)) for s, m in zip(region.start, margin, strict=True)]
    ends = [s + n + int(m) for s, n, m in zip(region.start, region.crop.shape, margin, strict=True)]
    high = [min(size, end) for size, end in zip(region.grid.shape, ends, strict=True)]
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    mask = np.zeros([b - a for a, b in zip(low, high, strict=True)], dtype=bool)
    at = [s - a for s, a in zip(region.start, low, strict=True)]
    nz, ny, nx = region.crop.shape
    mask[at[0] : at[0] + nz, at[1] : at[1] + ny, at[2] : at[2] + nx] = region.crop
    return box, mask


def region_from_indices(name: str, grid: Grid, indices: NDArray[np.integer], *, source: str = "") -> Region:
    """Region of (n, 3) voxel indices (slice, row, column), without touching the full grid."""
    if len(indices) == 0:
        return Region(name=name, grid=grid, start=(0, 0, 0), crop=np.zeros((0, 0, 0), bool), source=source)
    low, high = indices.min(axis=0), indices.max(axis=0)
    crop = np.zeros(tuple(int(n) for n in high - low + 1), dtype=bool)
    crop[tuple((indices - low).T)] = True
    return Region(name=name, grid=grid, start=(int(low[0]), int(low[1]), int(low[2])), crop=crop, source=source)


def values_of(region: Region, volume: Volume) -> NDArray[Any]:
    """(n,) values of a volume in a region; the geometry is compared only when the two do not share one grid object.

    Raises
    ------
    InputError
        When the grids differ.
    """
    if region.grid is volume.grid:
        out: NDArray[Any] = volume.values[region.box][region.crop]
        return out
    return region.values_in(volume)


def region_from_crop(name: str, grid: Grid, box: Box, mask: BoolArray, *, source: str = "") -> Region:
    """Region of the true voxels of a cut-out that starts at ``box``."""
    start = np.array([part.start for part in box])
    return region_from_indices(name, grid, np.argwhere(mask) + start, source=source)


def _reached(region: Region, radius_mm: float) -> tuple[Box, BoolArray, BoolArray]:
    """Cut-out, mask and dilated mask."""
    from fusin.quantification.peak_kernels import mark_ball

    offsets = ball_offsets(region.grid, radius_mm)
    box, mask = crop_around(region, np.abs(offsets).max(axis=0))
    out = np.zeros_like(mask)
    mark_ball(mask, offsets, out)
    return box, mask, out


def dilate(region: Region, radius_mm: float) -> Region:
    """Region grown by all voxels whose centre lies within a radius of the centre of one of its voxels.

    Parameters
    ----------
    region : voxels to grow; an empty region stays empty
    radius_mm : millimetres, so that the result does not depend on the voxel size

    Raises
    ------
    InputError
        For a negative radius.
    """
    if region.voxels == 0:
        return region
    box, _, out = _reached(region, radius_mm)
    grown = region_from_crop(region.name, region.grid, box, out, source=region.source)
    return grown.renamed(region.name, **region.attributes, dilated_mm=radius_mm)


def shell(region: Region, radius_mm: float) -> Region:
    """Voxels within a radius of the region that do not belong to it."""
    if region.voxels == 0:
        return region
    box, mask, out = _reached(region, radius_mm)
    return region_from_crop(f"{region.name} shell", region.grid, box, out & ~mask, source="shell")
