"""Volume, grid and region: the geometry that every imaging room shares.

Coordinates are LPS millimetres (DICOM patient coordinates). Arrays are indexed
``[slice, row, column]``; the affine maps ``(column, row, slice, 1)`` to LPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError

__all__ = ["BoolArray", "FloatArray", "Grid", "Region", "Volume", "stack_labels"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Grid:
    """A regular voxel grid in a frame of reference.

    Attributes
    ----------
    shape : (slices, rows, columns)
    affine : (4, 4) float64, maps (column, row, slice, 1) to LPS millimetres of the voxel centre
    frame_of_reference_uid : DICOM frame of reference; empty when unknown
    """

    shape: tuple[int, int, int]
    affine: FloatArray
    frame_of_reference_uid: str = ""

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise InputError("grid", "affine", affine.shape, "a 4x4 matrix")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise InputError("grid", "affine", "a singular matrix", "three independent axes")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing along (column, row, slice) axes in millimetres."""
        sx, sy, sz = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(sx), float(sy), float(sz)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def to_mm(self, index: ArrayLike) -> FloatArray:
        """LPS millimetres of (..., 3) indices given as (column, row, slice)."""
        ijk = np.asarray(index, dtype=np.float64)
        out: FloatArray = ijk @ self.affine[:3, :3].T + self.affine[:3, 3]
        return out

    def to_index(self, point_mm: ArrayLike) -> FloatArray:
        """Fractional (column, row, slice) indices of (..., 3) LPS millimetre points."""
        p = np.asarray(point_mm, dtype=np.float64) - self.affine[:3, 3]
        out: FloatArray = p @ np.linalg.inv(self.affine[:3, :3]).T
        return out

    def contains(self, point_mm: ArrayLike) -> bool:
        """Whether one LPS point lies inside the outer faces of the grid."""
        index = self.to_index(point_mm)
        upper = np.array(self.shape[::-1]) - 0.5
        return bool(np.all(index >= -0.5) and np.all(index <= upper))

    def matches(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have the same voxels (frames of reference are compared when both are known)."""
        if self is other:
            return True
        if self.shape != other.shape or not self.same_frame(other):
            return False
        # All eight corners, so that a tiny slope over a long axis is seen.
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape[::-1]])).reshape(3, -1).T
        return bool(np.abs(self.to_mm(corners) - other.to_mm(corners)).max() <= tolerance_mm)

    def same_frame(self, other: Grid) -> bool:
        """Whether both frames of reference agree, or one is unknown."""
        a, b = self.frame_of_reference_uid, other.frame_of_reference_uid
        return not a or not b or a == b

    def require_frame(self, other: Grid, where: str) -> None:
        """Refuse to combine grids of different frames of reference.

        Raises
        ------
        InputError
            When both frames are known and differ.
        """
        if not self.same_frame(other):
            raise InputError(
                where,
                "Frame of Reference UID (0020,0052)",
                other.frame_of_reference_uid,
                f"the frame {self.frame_of_reference_uid} of the other object, or a registration",
            )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Volume:
    """Voxel values on a grid.

    Attributes
    ----------
    values : (slices, rows, columns), float32 for PET, int16 for CT; read-only
    grid : geometry
    unit : ``"g/ml{SUVbw}"``, ``"Bq/ml"``, ``"[hnsf'U]"`` (Hounsfield) or another UCUM text
    """

    values: NDArray[Any]
    grid: Grid
    unit: str

    def __post_init__(self) -> None:
        if tuple(self.values.shape) != self.grid.shape:
            raise InputError("volume", "values", tuple(self.values.shape), f"the grid's shape {self.grid.shape}")
        view = self.values.view()
        view.flags.writeable = False
        object.__setattr__(self, "values", view)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.grid.shape

    @property
    def affine(self) -> FloatArray:
        """(column, row, slice, 1) to LPS millimetres."""
        return self.grid.affine

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing along (column, row, slice) in millimetres."""
        return self.grid.spacing_mm

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return self.grid.voxel_volume_ml

    @property
    def frame_of_reference_uid(self) -> str:
        """DICOM frame of reference UID."""
        return self.grid.frame_of_reference_uid


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Region:
    """A named set of voxels on a grid, stored as its bounding box so that hundreds of lesions stay small.

    Attributes
    ----------
    name : what a person called it
    grid : the grid whose voxels are meant
    start : (slice, row, column) of the first voxel of the bounding box
    crop : boolean array of the bounding box; (0, 0, 0) for an empty region
    source : file or method it came from
    label : number in a label map or segment number, 0 when there is none
    tracking_uid : DICOM tracking UID, empty when there is none
    attributes : free small facts (colour, segment type, radius of a sphere...)
    """

    name: str
    grid: Grid
    start: tuple[int, int, int]
    crop: BoolArray
    source: str = ""
    label: int = 0
    tracking_uid: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mask(cls, name: str, grid: Grid, mask: NDArray[Any], **more: Any) -> Region:
        """Build a region from a full-size mask; non-zero voxels belong to it."""
        full = np.asarray(mask) != 0
        if tuple(full.shape) != grid.shape:
            raise InputError(name, "mask", tuple(full.shape), f"the grid's shape {grid.shape}")
        bounds = []
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            hits = np.flatnonzero(full.any(axis=others))
            if hits.size == 0:
                return cls(name=name, grid=grid, start=(0, 0, 0), crop=np.zeros((0, 0, 0), bool), **more)
            bounds.append((int(hits[0]), int(hits[-1]) + 1))
        box = tuple(slice(a, b) for a, b in bounds)
        start = (bounds[0][0], bounds[1][0], bounds[2][0])
        return cls(name=name, grid=grid, start=start, crop=full[box].copy(), **more)

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.crop))

    @property
    def volume_ml(self) -> float:
        """Voxel count times voxel volume."""
        return self.voxels * self.grid.voxel_volume_ml

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Slices of the bounding box in the full array."""
        a, b, c = (slice(s, s + n) for s, n in zip(self.start, self.crop.shape, strict=True))
        return a, b, c

    def mask(self) -> BoolArray:
        """Full-size boolean mask."""
        full = np.zeros(self.grid.shape, dtype=bool)
        full[self.box] = self.crop
        return full

    def indices(self) -> NDArray[np.intp]:
        """(n, 3) voxel indices as (slice, row, column) in the full array, in C order."""
        out: NDArray[np.intp] = np.argwhere(self.crop) + np.array(self.start, dtype=np.intp)
        return out

    def values_in(self, volume: Volume) -> NDArray[Any]:
        """(n,) values of a volume on the same grid, in C order of the voxels."""
        if not self.grid.matches(volume.grid):
            raise InputError(
                self.name, "grid", self.grid.shape, f"the volume's grid {volume.grid.shape}; resample first"
            )
        out: NDArray[Any] = volume.values[self.box][self.crop]
        return out

    def centroid_mm(self) -> FloatArray:
        """(3,) LPS millimetres of the mean voxel centre; NaN for an empty region."""
        if self.voxels == 0:
            return np.full(3, np.nan)
        return self.grid.to_mm(self.indices().mean(axis=0)[::-1])

    def renamed(self, name: str, **attributes: Any) -> Region:
        """Copy with another name and further attributes."""
        return Region(
            name=name,
            grid=self.grid,
            start=self.start,
            crop=self.crop,
            source=self.source,
            label=self.label,
            tracking_uid=self.tracking_uid,
            attributes={**self.attributes, **attributes},
        )


def stack_labels(regions: Sequence[Region], grid: Grid) -> NDArray[np.uint16]:
    """Label map with region i stored as i + 1; later regions win where they overlap."""
    labels = np.zeros(grid.shape, dtype=np.uint16)
    for number, region in enumerate(regions, start=1):
        labels[region.box][region.crop] = number
    return labels
