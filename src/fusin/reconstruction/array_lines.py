"""Where the lines of a sinogram cross an image across the axis, for projectors on arrays.

The rules are those of `fusin.reconstruction.pet_ray_kernels`: a line is walked along the axis of its larger component, each plane
of voxels counts with what the line really crosses of it, and is interpolated at the middle of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Crossings", "crossings_of"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Crossings of lines with the planes of voxels; those that a line does not have weigh 0.

    Attributes
    ----------
    pixels : (2, lines x crossings) flat index of the two voxels beside each
    weights : (2, lines x crossings) their shares times the share of the line
    middles : (lines, crossings) fraction of the line in the middle of each
    across_mm : (lines,) length of the line across the axis
    """

    pixels: NDArray[np.int64]
    weights: NDArray[np.float32]
    middles: FloatArray
    across_mm: FloatArray


def crossings_of(lines: FloatArray, pixel_mm: FloatArray, rows: int, columns: int) -> Crossings:
    """Return the crossings of lines with an image.

    Parameters
    ----------
    lines : (lines, 4) x and y of both ends in voxels
    pixel_mm : (x, y)
    rows, columns : of the image
    """
    begin, step = lines[:, :2], lines[:, 2:] - lines[:, :2]
    way_mm = np.abs(step * pixel_mm)
    along = way_mm[:, 1] <= way_mm[:, 0] * (1.0 + 1e-12)
    enter, leave = _clipped(begin, step, np.array([columns, rows]))
    start, pace = np.where(along, begin[:, 0], begin[:, 1]), 1.0 / np.where(along, step[:, 0], step[:, 1])
    plane = np.arange(max(rows, columns))
    a = (plane - 0.5 - start[:, None]) * pace[:, None]
    b = (plane + 0.5 - start[:, None]) * pace[:, None]
    low, high = np.maximum(enter[:, None], np.minimum(a, b)), np.minimum(leave[:, None], np.maximum(a, b))
    share = np.where(plane < np.where(along, columns, rows)[:, None], np.maximum(high - low, 0.0), 0.0)
    middles = np.where(share > 0, 0.5 * (low + high), 0.5)
    size = np.where(along, rows, columns)[:, None]
    across = (
        np.where(along, begin[:, 1], begin[:, 0])[:, None] + np.where(along, step[:, 1], step[:, 0])[:, None] * middles
    )
    place = np.clip(across, 0.0, size - 1.0)
    before = np.minimum(place.astype(np.int64), np.maximum(size - 2, 0))
    upper = (place - before).astype(np.float32)
    part = share.astype(np.float32)
    pixels = [np.where(along[:, None], beside * columns + plane, plane * columns + beside)
              for beside in (before, np.minimum(before + 1, size - 1))]  # fmt: skip
    weights = [(part * (np.float32(1.0) - upper)), part * upper]
    # Planes beyond the image weigh nothing, and any voxel will do.
    flat = [np.where(share > 0, p, 0).ravel() for p in pixels]
    return Crossings(pixels=np.stack(flat), weights=np.stack([w.ravel() for w in weights]), middles=middles,
                     across_mm=np.hypot(way_mm[:, 0], way_mm[:, 1]))  # fmt: skip


def _clipped(begin: FloatArray, step: FloatArray, sizes: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """Fractions of each line between which it lies within the faces of the image; the same for one that misses it."""
    enter, leave = np.zeros(len(begin)), np.ones(len(begin))
    for k in range(2):
        flat = step[:, k] == 0.0
        safe = np.where(flat, 1.0, step[:, k])
        a, b = (-0.5 - begin[:, k]) / safe, (sizes[k] - 0.5 - begin[:, k]) / safe
        inside = (begin[:, k] >= -0.5) & (begin[:, k] < sizes[k] - 0.5)
        enter = np.where(flat, np.where(inside, enter, 1.0), np.maximum(enter, np.minimum(a, b)))
        leave = np.where(flat, np.where(inside, leave, 0.0), np.minimum(leave, np.maximum(a, b)))
    missed = leave <= enter
    return np.where(missed, 0.0, enter), np.where(missed, 0.0, leave)
