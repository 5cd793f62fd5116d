"""Mean of a volume over the voxels of a coarser grid, for values that add up along a line.

:func:`fusin.imaging.resample.resample` takes the value at the centre of a target voxel; here points are spread evenly in it, no
further apart than the voxels of the source, and their mean is taken. Where the axes of both grids are parallel, that mean is one
matrix for each axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.resample import index_map, resample
from fusin.imaging.volume import FloatArray, Grid, Volume

__all__ = ["covered_slices", "resample_mean"]

_MOST_SAMPLES = 8
_PARALLEL = 1e-6


def resample_mean(volume: Volume, grid: Grid, *, each: Callable[[NDArray[Any]], NDArray[Any]] | None = None) -> Volume:
    """Mean over the voxels of another grid; 0 beyond the volume.

    Parameters
    ----------
    volume : without gaps
    grid : target voxels, in the same frame of reference
    each : function of the values of a slice, whose results are averaged; the values themselves without it

    Returns
    -------
    Volume
        float32 on ``grid``, of the unit of ``volume``.

    Raises
    ------
    InputError
        For another frame of reference.
    """
    volume.grid.require_frame(grid, "resample")
    counts = [_samples(volume.grid, grid, axis) for axis in range(3)]
    matrix = index_map(volume.grid, grid)
    if _are_parallel(matrix, grid):
        values = _separable(volume.values, matrix, grid.shape, counts[::-1], each)
    else:
        if each is not None:
            volume = Volume(values=np.stack([each(s) for s in volume.values]), grid=volume.grid, unit=volume.unit)
        values = _point_by_point(volume, grid, counts)
    frame = grid.frame_of_reference_uid or volume.frame_of_reference_uid
    target = Grid(shape=grid.shape, affine=grid.affine, frame_of_reference_uid=frame)
    return Volume(values=values, grid=target, unit=volume.unit)


def covered_slices(source: Grid, target: Grid) -> NDArray[np.bool_]:
    """Whether any voxel centre of each target slice lies in the source.

    Parameters
    ----------
    source, target : grids in one frame of reference
    """
    matrix = index_map(source, target)
    if _are_parallel(matrix, target):
        inside = [_within(matrix[a, 3] + matrix[a, a] * np.arange(target.shape[a]), source.shape[a]) for a in range(3)]
        return np.asarray(inside[0] & inside[1].any() & inside[2].any())
    ones = Volume(values=np.ones(source.shape, dtype=np.uint8), grid=source, unit="1")
    return np.asarray(resample(ones, target, order=0, fill=0).values.any(axis=(1, 2)))


def _within(position: FloatArray, size: int) -> NDArray[np.bool_]:
    return np.asarray((position >= -0.5) & (position < size - 0.5))


def _are_parallel(matrix: FloatArray, grid: Grid) -> bool:
    off_axis = np.abs(matrix[:, :3]) * (1.0 - np.eye(3))
    return bool((off_axis @ np.array(grid.shape, dtype=np.float64)).max() < _PARALLEL)


def _samples(source: Grid, target: Grid, axis: int) -> int:
    """Points along one axis (column, row, slice) of a target voxel, so that they lie no further apart than source voxels."""
    step = np.linalg.inv(source.affine[:3, :3]) @ target.affine[:3, axis]
    return int(np.clip(math.ceil(float(np.abs(step).max()) - 1e-6), 1, _MOST_SAMPLES))


def _separable(
    values: NDArray[Any], matrix: FloatArray, shape: tuple[int, int, int], counts: list[int],
    each: Callable[[NDArray[Any]], NDArray[Any]] | None,
) -> NDArray[np.float32]:  # fmt: skip
    """The mean as a product of one matrix for each axis, slice by slice, so that no second volume is needed."""
    weights = [_axis_mean(matrix[a, 3], matrix[a, a], shape[a], values.shape[a], counts[a]) for a in range(3)]
    slices = np.empty((values.shape[0], shape[1], shape[2]), np.float32)
    for number, held in enumerate(values):
        if weights[0][:, number].any():
            plane = np.asarray(held if each is None else each(held), dtype=np.float32)
            slices[number] = weights[1] @ (plane @ weights[2].T)
        else:
            slices[number] = 0.0
    return np.ascontiguousarray(np.tensordot(weights[0], slices, axes=1))


def _axis_mean(origin: float, step: float, target: int, source: int, count: int) -> NDArray[np.float32]:
    """(target, source) weights of the mean of ``count`` linearly interpolated points in each target voxel."""
    shares = (np.arange(count) + 0.5) / count - 0.5
    position = origin + step * (np.arange(target)[:, None] + shares)
    held = np.clip(position, 0.0, source - 1.0)
    low = np.minimum(np.floor(held).astype(np.intp), max(source - 2, 0))
    upper = held - low
    inside = _within(position, source) / count
    out = np.zeros((target, source))
    rows = np.broadcast_to(np.arange(target)[:, None], low.shape)
    np.add.at(out, (rows, low), inside * (1.0 - upper))
    np.add.at(out, (rows, np.minimum(low + 1, source - 1)), inside * upper)
    return out.astype(np.float32)


def _point_by_point(volume: Volume, grid: Grid, counts: list[int]) -> NDArray[np.float32]:
    total = np.zeros(grid.shape, dtype=np.float32)
    for step in np.ndindex(*counts):
        offset = np.array([(s + 0.5) / n - 0.5 for s, n in zip(step, counts, strict=True)])
        affine = grid.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ offset
        shifted = Grid(shape=grid.shape, affine=affine, frame_of_reference_uid=grid.frame_of_reference_uid)
        total += resample(volume, shifted, fill=0.0).values
    return np.asarray(total / np.float32(math.prod(counts)), dtype=np.float32)
