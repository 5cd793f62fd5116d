"""Moving volumes and regions from one voxel grid to another.

Interpolation is done at the centres of the target voxels, as SimpleITK's ``Resample`` does: no average
over the target voxel is taken. Going from 1 mm CT to 4 mm PET voxels therefore keeps the noise of the
CT voxels nearest to each centre; a mean over a region is unbiased, its standard deviation is not that
of a 4 mm CT.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.regions import region_from_crop
from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.provenance import NoticeLog

__all__ = ["fill_value", "index_map", "resample", "resample_region"]

_FILL_BY_UNIT = {"[hnsf'U]": -1024.0, "Bq/ml": 0.0, "BQML": 0.0}
_NOISE = 2.0**-24  # of a voxel; positions that differ less from a whole or half number are meant to be on it


def fill_value(unit: str) -> float:
    """Value for places outside a volume: -1024 for Hounsfield units, 0 for activity and SUV.

    Parameters
    ----------
    unit : UCUM unit of the volume

    Raises
    ------
    InputError
        For other units, where no value is obvious.
    """
    if unit in _FILL_BY_UNIT:
        return _FILL_BY_UNIT[unit]
    if "{SUV" in unit:
        return 0.0
    raise InputError("resample", "fill", None, f"an explicit value for places outside a volume of unit {unit!r}")


def index_map(source: Grid, target: Grid) -> FloatArray:
    """(3, 4) matrix from target (slice, row, column, 1) to continuous source (slice, row, column) index.

    Entries within 2**-24 voxel of a multiple of one half are put there, so that a shared face is the
    same face whatever the order of the floating point operations was.

    Parameters
    ----------
    source, target : grids in one frame of reference
    """
    columns_first = np.linalg.inv(source.affine) @ target.affine
    order = [2, 1, 0, 3]
    matrix: FloatArray = np.ascontiguousarray(columns_first[np.ix_(order, order)][:3])
    halves = np.round(matrix * 2.0) / 2.0
    close = np.abs(matrix - halves) < _NOISE * np.array([1e-3, 1e-3, 1e-3, 1.0])
    return np.where(close, halves, matrix)


def resample(volume: Volume, grid: Grid, *, order: int = 1, fill: float | None = None) -> Volume:
    """Values of a volume at the voxel centres of another grid.

    Point interpolation, as SimpleITK's ``Resample``: when the target is coarser, no averaging is done.
    Whole-number types stay what they are and are rounded to the nearest number. A place counts as
    inside when it lies within the outer faces of the volume (half a voxel beyond the outermost
    centres); there the outermost value is used.

    Parameters
    ----------
    volume : values to move
    grid : target voxels, in the same frame of reference
    order : 1 trilinear, 0 nearest neighbour
    fill : value outside; ``None`` takes -1024 for Hounsfield units and 0 for activity and SUV; NaN is
        allowed for floating point volumes

    Returns
    -------
    Volume
        On ``grid``, of the data type of ``volume``.

    Raises
    ------
    InputError
        Different frames of reference, another order, or a fill that the data type cannot hold.
    """
    from fusin.imaging import resample_kernels as kernels

    if order not in (0, 1):
        raise InputError("resample", "order", order, "0 (nearest) or 1 (trilinear)")
    volume.grid.require_frame(grid, "resample")
    outside = fill_value(volume.unit) if fill is None else fill
    values = volume.values
    whole = not np.issubdtype(values.dtype, np.floating)
    _check_fill(outside, values.dtype)
    target = Grid(shape=grid.shape, affine=grid.affine,
                  frame_of_reference_uid=grid.frame_of_reference_uid or volume.frame_of_reference_uid)  # fmt: skip
    if volume.grid.matches(grid, tolerance_mm=1e-6):
        return Volume(values=values, grid=target, unit=volume.unit)
    source = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    out: NDArray[Any] = np.full(grid.shape, outside, dtype=source.dtype)
    matrix = index_map(volume.grid, grid)
    diagonal = _parallel(matrix, grid.shape)
    if diagonal and order == 1:
        kernels.separable_linear(source, out, matrix[:, 3].copy(), np.diag(matrix).copy(), whole)
    elif diagonal:
        kernels.separable_nearest(source, out, matrix[:, 3].copy(), np.diag(matrix).copy())
    elif order == 1:
        kernels.affine_linear(source, out, matrix, whole)
    else:
        kernels.affine_nearest(source, out, matrix)
    return Volume(values=out, grid=target, unit=volume.unit)


def resample_region(region: Region, grid: Grid, log: NoticeLog) -> Region:
    """Region on another grid: a target voxel belongs to it when its centre lies in a voxel of the region.

    The rule neither grows nor shrinks a region on average, and voxels of touching regions stay
    disjoint. A region of few target voxels can still change its volume by chance; the notice says by
    how much, as a warning above 10 %.

    Parameters
    ----------
    region : region on its own grid
    grid : target voxels, in the same frame of reference
    log : receives REGION_RESAMPLED with both volumes, REGION_OUTSIDE_GRID when part of the region
        lies beyond the grid, REGION_LOST when nothing is left of it

    Returns
    -------
    Region
        On ``grid``. The same object content when both grids have the same voxels.

    Raises
    ------
    InputError
        For different frames of reference.
    """
    from fusin.imaging.resample_kernels import affine_nearest

    region.grid.require_frame(grid, region.name)
    more = {
        "source": region.source, "label": region.label, "tracking_uid": region.tracking_uid,
        "attributes": dict(region.attributes),
    }  # fmt: skip
    if region.grid.matches(grid):
        return region_from_crop(region.name, grid, region.start, region.crop, **more)
    box = _target_box(region, grid)
    matrix = index_map(region.grid, grid)
    start = tuple(b.start for b in box)
    shifted = matrix.copy()
    shifted[:, 3] += matrix[:, :3] @ np.array(start, dtype=np.float64) - np.array(region.start, dtype=np.float64)
    out = np.zeros(tuple(b.stop - b.start for b in box), dtype=np.uint8)
    if out.size and region.crop.size:
        affine_nearest(np.ascontiguousarray(region.crop, dtype=np.uint8), out, shifted)
    moved = region_from_crop(region.name, grid, start, out, **more)
    _report(region, moved, _is_lattice_shift(matrix), log)
    return moved


def _check_fill(fill: float, dtype: np.dtype[Any]) -> None:
    """Refuse a fill that the data type cannot hold."""
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        fits = math.isfinite(fill) and fill == int(fill) and limits.min <= fill <= limits.max
        if not fits:
            raise InputError("resample", "fill", fill, f"a whole number from {limits.min} to {limits.max} for {dtype}")
    elif not np.issubdtype(dtype, np.floating):
        raise InputError("resample", "data type", str(dtype), "whole or floating point numbers")


def _parallel(matrix: FloatArray, shape: tuple[int, int, int]) -> bool:
    """Whether equal axes of both grids are parallel to within a millionth of a voxel over the whole grid."""
    linear = np.abs(matrix[:, :3])
    off_axis = linear * (1.0 - np.eye(3))
    return bool((off_axis @ np.array(shape, dtype=np.float64)).max() < 1e-6)


def _is_lattice_shift(matrix: FloatArray) -> bool:
    """Whether every voxel of one grid is exactly a voxel of the other."""
    return bool(
        np.abs(matrix[:, :3] - np.eye(3)).max() < 1e-6 and np.abs(matrix[:, 3] - np.round(matrix[:, 3])).max() < 1e-3
    )


def _target_box(region: Region, grid: Grid) -> tuple[slice, slice, slice]:
    """Target voxels that can lie in the region's bounding box."""
    low = np.array(region.start[::-1], dtype=np.float64) - 0.5
    high = low + np.array(region.crop.shape[::-1])
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    index = grid.to_index(region.grid.to_mm(corners))[:, ::-1]
    limits = np.array(grid.shape)
    first = np.clip(np.floor(index.min(axis=0)), 0, limits).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, first, limits).astype(int)
    a, b, c = (slice(int(i), int(j)) for i, j in zip(first, stop, strict=True))
    return a, b, c


def _report(before: Region, after: Region, exact: bool, log: NoticeLog) -> None:
    """Notices about what the change of grid did."""
    cut = _outside_fraction(before, after.grid)
    if cut > 0:
        log.warning(
            "REGION_OUTSIDE_GRID", f"{100 * cut:.1f} % of the region lies outside the image and was cut off",
            where=before.name, raw=before.volume_ml, used=after.volume_ml,
        )  # fmt: skip
    if before.voxels and not after.voxels and cut < 1:
        log.warning(
            "REGION_LOST", f"no voxel centre of the image lies in this region of {before.volume_ml:.3f} mL",
            where=before.name, raw=before.volume_ml, used=0.0,
        )  # fmt: skip
    elif not exact and before.voxels and cut < 1:
        change = 100.0 * (after.volume_ml / before.volume_ml - 1.0)
        note = log.info if abs(change) <= 10.0 or cut > 0 else log.warning
        note(
            "REGION_RESAMPLED",
            f"moved to the image's voxels: {before.volume_ml:.3f} mL became {after.volume_ml:.3f} mL ({change:+.1f} %)",
            where=before.name, raw=before.volume_ml, used=after.volume_ml,
        )  # fmt: skip


def _outside_fraction(region: Region, grid: Grid) -> float:
    """Fraction of the region's voxels whose centres lie beyond the outer faces of the grid."""
    if region.voxels == 0:
        return 0.0
    upper = np.array(grid.shape[::-1]) - 0.5

    def share_inside(voxels: NDArray[Any]) -> float:
        index = grid.to_index(region.grid.to_mm(voxels[:, ::-1]))
        return float(((index >= -0.5 - 1e-6) & (index <= upper + 1e-6)).all(axis=1).mean())

    low = np.array(region.start)
    box = np.array(np.meshgrid(*zip(low, low + region.crop.shape - 1, strict=True))).reshape(3, -1).T
    # A grid is convex: when the corners of the box are inside, so is every voxel.
    return 0.0 if share_inside(box) == 1.0 else 1.0 - share_inside(region.indices())
