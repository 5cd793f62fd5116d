"""Quantitative images of one patient at several times: what each holds, and all of them on one grid.

A point is an image as activity concentration [MBq/mL] at a stated moment, with its decay correction undone, so that curves and
voxels hold the activity that was there. Images go to one grid by overlap: a target voxel takes from each source voxel the share
of its volume that lies in it, which keeps the activity (and is trilinear interpolation where spacings are equal).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.quantitative_spect import Measured, RecoveryCurve
from fusin.errors import NotComputable
from fusin.imaging.resample import index_map, resample
from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.provenance import NoticeLog

__all__ = [
    "CONCENTRATION",
    "DecayReference",
    "ImageOptions",
    "ImagePoint",
    "ImageStudy",
    "RegionKind",
    "RegionNotes",
    "common_grid",
    "on_one_grid",
    "require_one_frame",
]

CONCENTRATION = "MBq/ml"
DecayReference = Literal["none", "start", "admin"]
RegionKind = Literal["organ", "lesion", "marrow", "blood"]
# A voxel counts as covered when no more of it than this lies beyond an image.
_EDGE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionNotes:
    """What is known of a region beside its voxels; None where nothing was stated.

    Attributes
    ----------
    kind : organ, lesion, marrow or blood
    mass_g, mass_u_g : mass and its standard uncertainty, measured apart from the outline
    density_g_ml : turns the outlined volume into mass
    recovery : coefficient that the activity is divided by
    alpha_beta_gy, repair_half_time_h : for BED and EQD2
    """

    kind: RegionKind = "organ"
    mass_g: float | None = None
    mass_u_g: float | None = None
    density_g_ml: float | None = None
    recovery: Measured | None = None
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """What the images do not say, or what the user says of all of them.

    Attributes
    ----------
    nuclide : name
    administered_mbq : at the time of injection
    injected : moment of injection, with or without a zone as the images have it
    regions : file of regions in the common frame of reference
    notes : CSV or TOML of the regions' masses, kinds and parameters
    decay_correction : of images whose header does not say
    calibration_cps_per_mbq, calibration_u_percent : sensitivity of the camera for images in counts, and its relative standard
        uncertainty; the latter also for images in Bq/mL, where it is that of their calibration
    duration_s : of the whole acquisition (time per projection times projections per detector), for images in counts
    series : series numbers, descriptions or UIDs to read; empty for all that fit
    registered : the images were registered to one another although their frames of reference differ
    random_u_percent : relative standard uncertainty of each activity that differs from time to time; None takes the scatter of
        the points about their curve
    fwhm_mm : resolution of the images, for what an uncertain outline does to its counts, and for the loss of small regions
    outline_fwhm_mm : resolution of the images on which regions were outlined (CT is sharper); None takes ``fwhm_mm``
    recovery : curve by volume, for regions without a coefficient of their own
    """

    nuclide: str = ""
    administered_mbq: float | None = None
    injected: datetime | None = None
    regions: Path | None = None
    notes: Path | None = None
    decay_correction: DecayReference | None = None
    calibration_cps_per_mbq: float | None = None
    calibration_u_percent: float | None = None
    duration_s: float | None = None
    series: tuple[str, ...] = ()
    registered: bool = False
    random_u_percent: float | None = None
    fwhm_mm: float | None = None
    outline_fwhm_mm: float | None = None
    recovery: RecoveryCurve | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagePoint:
    """One quantitative image.

    Attributes
    ----------
    volume : activity concentration at ``time_h``, unit ``"MBq/ml"``
    time_h : hours after injection
    u_relative : relative standard uncertainty that all voxels and all times share (calibration); 0 when not known
    where : series or file, for messages
    correction : what the decay correction was and what was done
    scaling : how stored values became activity concentration
    dead_time : factor that was applied, with its uncertainty; None without one
    counts_per_mbq : counts that one MBq gives in the image, for images in counts; None for others
    regions : outlines drawn on this image alone; they go before those of the study
    measured : moment to which the concentration belongs, None where only hours after injection were stated
    duration_s : of the acquisition, None where it is not known
    facts : what was read of the header (units, decay correction, start, series), for the list of images
    """

    volume: Volume
    time_h: float
    u_relative: float
    where: str
    correction: str
    scaling: str = ""
    dead_time: Measured | None = None
    counts_per_mbq: float | None = None
    regions: tuple[Region, ...] = ()
    measured: datetime | None = None
    duration_s: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageStudy:
    """All images of one treatment with their regions.

    Attributes
    ----------
    points : in order of time
    nuclide : canonical name
    administered_mbq : at the time of injection
    injected : moment of injection; None where the images state hours after injection
    regions : in the frame of reference of the images, each on its own grid
    notes : by name of region
    ct : in Hounsfield units, or None
    source_headers : pydicom data set of one image, for the headers of results; None without DICOM
    inputs : files that were read
    recovery : curve by volume for regions without a coefficient of their own
    random_u : relative standard uncertainty of each activity that differs from time to time, None when not stated
    fwhm_mm : resolution of the images, None when not stated
    outline_fwhm_mm : resolution of the images on which regions were outlined, None for ``fwhm_mm``
    """

    points: tuple[ImagePoint, ...]
    nuclide: str
    administered_mbq: float
    injected: datetime | None
    regions: tuple[Region, ...]
    notes: Mapping[str, RegionNotes] = field(default_factory=dict)
    ct: Volume | None = None
    source_headers: Any = None
    inputs: tuple[Path, ...] = ()
    recovery: RecoveryCurve | None = None
    random_u: float | None = None
    fwhm_mm: float | None = None
    outline_fwhm_mm: float | None = None

    def notes_of(self, name: str) -> RegionNotes:
        """Notes of a region; the defaults where nothing was stated."""
        return self.notes.get(name, RegionNotes())


def require_one_frame(points: Sequence[ImagePoint]) -> None:
    """Refuse images of different frames of reference: no distance between them is known.

    Raises
    ------
    NotComputable
        ``FRAMES_DIFFER``, naming two of them.
    """
    known = [p for p in points if p.volume.frame_of_reference_uid]
    for point in known[1:]:
        if not point.volume.grid.same_frame(known[0].volume.grid):
            raise NotComputable(
                "one set of images",
                f"{known[0].where} and {point.where} lie in different frames of reference "
                f"({known[0].volume.frame_of_reference_uid} and {point.volume.frame_of_reference_uid})",
                "images that were registered to one of them and saved in its frame, regions drawn on each image, or "
                "--registered where only the identifiers differ",
                "FRAMES_DIFFER",
            )


def common_grid(points: Sequence[ImagePoint]) -> Grid:
    """Voxels of the first image that all images cover.

    Raises
    ------
    NotComputable
        ``FRAMES_DIFFER``; ``IMAGES_APART`` where no voxel is covered by all.
    """
    require_one_frame(points)
    first = points[0].volume.grid
    low, high = np.zeros(3, dtype=int), np.array(first.shape)
    for point in points[1:]:
        if point.volume.grid.matches(first):
            continue
        begin, end = _covered(point.volume.grid, first)
        low, high = np.maximum(low, begin), np.minimum(high, end)
        if (high <= low).any():
            raise NotComputable(
                "one grid for all images", f"no voxel of {points[0].where} lies within {point.where} and the images before it",
                "images that cover the same part of the patient", "IMAGES_APART",
            )  # fmt: skip
    affine = first.affine.copy()
    affine[:3, 3] = first.to_mm(low[::-1].astype(np.float64))
    shape = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))
    frame = next((p.volume.frame_of_reference_uid for p in points if p.volume.frame_of_reference_uid), "")
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


def on_one_grid(points: Sequence[ImagePoint], grid: Grid | None = None, *, log: NoticeLog) -> tuple[ImagePoint, ...]:
    """All images on one grid of their common frame of reference; the activity in it is kept.

    Parameters
    ----------
    points : images
    grid : target; the part of the first image's grid that all images cover where None
    log : receives IMAGES_RESAMPLED

    Raises
    ------
    NotComputable
        ``FRAMES_DIFFER``; ``IMAGES_APART`` where a grid is not covered by an image.
    """
    require_one_frame(points)
    target = common_grid(points) if grid is None else grid
    out = []
    for point in points:
        source = point.volume.grid
        if source.matches(target):
            out.append(point)
            continue
        source.require_frame(target, point.where)
        begin, end = _covered(source, target)
        if (begin > 0).any() or (end < np.array(target.shape)).any():
            raise NotComputable(
                "one grid for all images", f"{point.where} does not cover all of it", "a grid within every image",
                "IMAGES_APART",
            )  # fmt: skip
        log.info("IMAGES_RESAMPLED", f"moved to a grid of {_shape(target)} by overlap of voxels, from {_shape(source)}",
                 where=point.where, raw=source.shape, used=target.shape)  # fmt: skip
        values = _overlap(point.volume, target)
        frame = target.frame_of_reference_uid or source.frame_of_reference_uid
        named = Grid(shape=target.shape, affine=target.affine, frame_of_reference_uid=frame)
        out.append(replace(point, volume=Volume(values=values, grid=named, unit=point.volume.unit)))
    return tuple(out)


def _shape(grid: Grid) -> str:
    size = " x ".join(str(n) for n in grid.shape[::-1])
    return f"{size} voxels of {' x '.join(f'{s:.4g}' for s in grid.spacing_mm)} mm"


def _covered(source: Grid, target: Grid) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and end (slice, row, column) of the target voxels that lie wholly within the source."""
    matrix = index_map(source, target)
    size = np.array(source.shape, dtype=np.float64)
    begin, end = np.zeros(3, dtype=int), np.array(target.shape)
    reach = 0.5 * np.abs(matrix[:, :3]).sum(axis=1)
    if not _axes_parallel(matrix, target.shape):
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in target.shape])).reshape(3, -1)
        index = matrix[:, :3] @ corners + matrix[:, 3:]
        inside = (
            (index - reach[:, None] > -0.5 - _EDGE) & (index + reach[:, None] < size[:, None] - 0.5 + _EDGE)
        ).all()
        return (begin, end) if inside else (begin, begin)
    for axis in range(3):
        along = int(np.argmax(np.abs(matrix[axis, :3])))
        index = matrix[axis, 3] + matrix[axis, along] * np.arange(target.shape[along])
        slack = _EDGE * max(1.0, abs(matrix[axis, along]))
        ok = np.flatnonzero((index - reach[axis] > -0.5 - slack) & (index + reach[axis] < size[axis] - 0.5 + slack))
        begin[along], end[along] = (int(ok[0]), int(ok[-1]) + 1) if ok.size else (0, 0)
    return begin, end


def _axes_parallel(matrix: FloatArray, shape: tuple[int, int, int]) -> bool:
    """Whether each axis of one grid runs along one axis of the other, to a thousandth of a voxel over the whole grid."""
    linear = np.abs(matrix[:, :3])
    main = np.argmax(linear, axis=1)
    off = linear.copy()
    off[np.arange(3), main] = 0.0
    return bool(sorted(main.tolist()) == [0, 1, 2] and (off @ np.array(shape, dtype=np.float64)).max() < 1e-3)


def _overlap(volume: Volume, target: Grid) -> NDArray[np.float32]:
    """Mean of the source over each target voxel."""
    matrix = index_map(volume.grid, target)
    if not _axes_parallel(matrix, target.shape):
        return _supersampled(volume, target, matrix)
    values = np.asarray(volume.values, dtype=np.float64)
    order = [int(np.argmax(np.abs(matrix[axis, :3]))) for axis in range(3)]
    for axis in range(3):
        weights = _axis_weights(values.shape[axis], target.shape[order[axis]], float(matrix[axis, order[axis]]),
                                float(matrix[axis, 3]))  # fmt: skip
        values = np.moveaxis(np.asarray(weights @ np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)).reshape(
            target.shape[order[axis]], *np.delete(values.shape, axis)), 0, axis)  # fmt: skip
    # Source axis i now runs along target axis order[i].
    moved = np.transpose(values, np.argsort(order))
    return np.ascontiguousarray(moved, dtype=np.float32)


def _axis_weights(source: int, target: int, step: float, offset: float) -> Any:
    """Sparse (target, source) shares of each target voxel's length that lie in each source voxel."""
    from scipy.sparse import csr_array

    centre = offset + step * np.arange(target)
    low, high = centre - abs(step) / 2.0, centre + abs(step) / 2.0
    first = np.floor(low + 0.5).astype(int)
    rows, columns, shares = [], [], []
    for extra in range(math.ceil(abs(step)) + 2):
        voxel = first + extra
        length = np.minimum(high, voxel + 0.5) - np.maximum(low, voxel - 0.5)
        keep = length > 0
        rows.append(np.flatnonzero(keep))
        # A sliver beyond the edge, within the tolerance of coverage, takes the outermost voxel.
        columns.append(np.clip(voxel[keep], 0, source - 1))
        shares.append(length[keep] / abs(step))
    return csr_array((np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))), shape=(target, source))


def _supersampled(volume: Volume, target: Grid, matrix: FloatArray) -> NDArray[np.float32]:
    """Mean of trilinear values on a raster finer than both voxels, for grids that are turned against each other."""
    parts = np.maximum(2, np.ceil(2.0 * np.abs(matrix[:, :3]).max(axis=0))).astype(int)
    total = np.zeros(target.shape, dtype=np.float64)
    for index in np.ndindex(*parts):
        shift = (np.array(index) + 0.5) / parts - 0.5
        affine = target.affine.copy()
        affine[:3, 3] = target.to_mm(shift[::-1])
        moved = Grid(shape=target.shape, affine=affine, frame_of_reference_uid=target.frame_of_reference_uid)
        total += resample(volume, moved, order=1, fill=0.0).values
    return np.asarray(total / parts.prod(), dtype=np.float32)
