"""One study from images: in order of time, with regions, notes and a CT, or one sentence that says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fusin.decay import decay_factor
from fusin.dosimetry.image_headers import Agreed
from fusin.dosimetry.image_notes import check_names, read_notes_file
from fusin.dosimetry.image_points import ImageOptions, ImagePoint, ImageStudy, RegionNotes, require_one_frame
from fusin.dosimetry.quantitative_spect import RecoveryCurve
from fusin.errors import Ambiguous, InputError, MissingValue, NotComputable
from fusin.imaging.mask_sources import referenced_series_uid
from fusin.imaging.masks import read_regions
from fusin.imaging.rasterise import plane_spacing_of
from fusin.imaging.rtstruct import StructureSet, read_structure_set
from fusin.imaging.series import Catalogue
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog

__all__ = ["Found", "assemble", "in_order"]

# Two images that start closer together than this are two reconstructions of one scan.
_ONE_SCAN_H = 1.0 / 60.0
# Voxels that a grid grows by at most on each side; contours farther away belong to another patient or frame.
_MOST_GROWTH = 500
# By its centre alone a voxel of 5 mm counts or not: 9 % (standard deviation) of the volume of 2 mL, 1.5 % at 1.6 mm.
_FINE_MM, _THICKEST_MM = 2.0, 10.0
# Shares of what can be left of the given activity: above is noise and calibration, below is a unit that is wrong by 1000.
_MOST_OF_GIVEN, _LEAST_OF_GIVEN = 1.15, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was read beside the images.

    Attributes
    ----------
    region_files : files of regions; several only where each belongs to one image
    notes : stated in the description of the study
    ct : in Hounsfield units, or None
    source_headers : pydicom data set of one image, or None
    inputs : files that were read
    catalogue : of the folder, or None
    own_regions : outlines by name of image
    """

    region_files: tuple[Path, ...] = ()
    notes: Mapping[str, RegionNotes] | None = None
    ct: Volume | None = None
    source_headers: Any = None
    inputs: tuple[Path, ...] = ()
    catalogue: Catalogue | None = None
    own_regions: Mapping[str, Path] | None = None


def in_order(points: Sequence[ImagePoint]) -> tuple[ImagePoint, ...]:
    """Images in order of time.

    Raises
    ------
    NotComputable
        ``IMAGES_AT_SAME_TIME``, naming both.
    """
    ordered = tuple(sorted(points, key=lambda p: p.time_h))
    for first, second in pairwise(ordered):
        if second.time_h - first.time_h < _ONE_SCAN_H:
            raise NotComputable(
                "one set of images", f"{first.where} and {second.where} both have one time, {first.time_h:.2f} h after injection",
                "one reconstruction of each scan (--series names those to read)", "IMAGES_AT_SAME_TIME",
            )  # fmt: skip
    return ordered


def assemble(
    points: Sequence[ImagePoint], agreed: Agreed, options: ImageOptions, found: Found, log: NoticeLog
) -> ImageStudy:
    """Join images, regions and notes.

    Parameters
    ----------
    points : quantitative images in any order
    agreed : what they share
    options : the user's
    found : what was read beside them
    log : receives notices

    Raises
    ------
    NotComputable
        ``IMAGES_AT_SAME_TIME``, ``FRAMES_DIFFER``, ``REGIONS_MISSING``, ``SEVERAL_REGION_FILES``.
    """
    ordered, ct, frames = _registered(in_order(points), found.ct, options, log)
    files = (options.regions,) if options.regions is not None else found.region_files
    ordered, regions = _outlined(ordered, ct, frames, files, found, log)
    if options.registered:
        first = ordered[0].volume.frame_of_reference_uid
        regions = tuple(_in_frame(r, first) if r.grid.frame_of_reference_uid in frames else r for r in regions)
    if not any(p.regions for p in ordered):
        require_one_frame(ordered)
    _say_unknown_frames(ordered, log)
    _say_implausible(ordered, agreed, log)
    notes, recovery = _noted(options, found, log)
    names = [r.name for r in regions] + [r.name for p in ordered for r in p.regions]
    check_names(notes, names, log, where="regions" if options.notes is None else options.notes.name)
    more = [f for f in (*files, options.notes, *(found.own_regions or {}).values()) if f is not None]
    read = (*found.inputs, *(f for one in more for f in _files_of(one)))
    return ImageStudy(
        points=ordered, nuclide=agreed.nuclide.name, administered_mbq=agreed.administered_mbq, injected=agreed.injected,
        regions=regions, notes=notes, ct=ct, source_headers=found.source_headers, inputs=tuple(dict.fromkeys(read)),
        recovery=recovery, random_u=None if options.random_u_percent is None else options.random_u_percent / 100.0,
        fwhm_mm=options.fwhm_mm, outline_fwhm_mm=options.outline_fwhm_mm,
    )  # fmt: skip


def _outlined(
    points: tuple[ImagePoint, ...], ct: Volume | None, frames: frozenset[str], files: Sequence[Path], found: Found,
    log: NoticeLog,
) -> tuple[tuple[ImagePoint, ...], tuple[Region, ...]]:  # fmt: skip
    """Images with the outlines drawn on each, and the regions that serve all."""
    regions: tuple[Region, ...] = ()
    own = found.own_regions or {}
    out = tuple(replace(p, regions=_read(own[p.where], (p.volume.grid,), log)) if p.where in own else p for p in points)
    if len(files) == 1:
        regions = _read(files[0], _grids(points, ct, files[0], found, frames), log)
    elif len(files) > 1:
        out = _one_each(out, files, log)
    if not regions and not any(p.regions for p in out):
        raise MissingValue("a dose from images", "there are no regions", "--regions with a DICOM SEG, an RT Structure Set or a "
                           "NIfTI label map", "REGIONS_MISSING")  # fmt: skip
    return out, regions


def _noted(options: ImageOptions, found: Found, log: NoticeLog) -> tuple[dict[str, RegionNotes], RecoveryCurve | None]:
    """Notes of the description and of their own file, and the one recovery curve."""
    notes, recovery = dict(found.notes or {}), options.recovery
    if options.notes is not None:
        listed, curve = read_notes_file(options.notes, log)
        if curve is not None and recovery is not None:
            raise InputError(options.notes.name, "recovery", "a second curve", "one recovery curve")
        notes, recovery = notes | listed, recovery or curve
    return notes, recovery


def _files_of(path: Path) -> tuple[Path, ...]:
    """A file, or the files of a folder."""
    return tuple(sorted(f for f in path.iterdir() if f.is_file())) if path.is_dir() else (path,)


def _registered(
    points: tuple[ImagePoint, ...], ct: Volume | None, options: ImageOptions, log: NoticeLog
) -> tuple[tuple[ImagePoint, ...], Volume | None, frozenset[str]]:
    """Images in the first one's frame where the user says that they were registered, and the frames that they had."""
    frames = frozenset(p.volume.frame_of_reference_uid for p in points) - {""}
    if not options.registered or len(frames) < 2:
        return points, ct, frames
    first = next(p.volume.frame_of_reference_uid for p in points if p.volume.frame_of_reference_uid)
    log.adapted("FRAMES_TAKEN_AS_ONE", f"{len(frames)} frames of reference were taken as one, because the images are stated to be "
                "registered", raw=sorted(frames), used=first)  # fmt: skip
    moved = tuple(replace(p, volume=_volume_in(p.volume, first)) for p in points)
    if ct is not None and ct.frame_of_reference_uid in frames:
        ct = _volume_in(ct, first)
    return moved, ct, frames


def _volume_in(volume: Volume, frame: str) -> Volume:
    grid = Grid(shape=volume.grid.shape, affine=volume.grid.affine, frame_of_reference_uid=frame)
    return Volume(values=volume.values, grid=grid, unit=volume.unit)


def _in_frame(region: Region, frame: str) -> Region:
    grid = Grid(shape=region.grid.shape, affine=region.grid.affine, frame_of_reference_uid=frame)
    return replace(region, grid=grid)


def _grids(
    points: Sequence[ImagePoint], ct: Volume | None, file: Path, found: Found, frames: frozenset[str]
) -> tuple[Grid, ...]:
    """Grids on which contours may be filled, the one they were drawn on first; registered images in each frame they had."""
    drawn = referenced_series_uid(file)
    series = found.catalogue.series if found.catalogue is not None else ()
    known = [s.stack.grid for s in series if drawn and s.uid == drawn and s.stack is not None]
    first = points[0].volume.grid
    had = [Grid(shape=first.shape, affine=first.affine, frame_of_reference_uid=frame) for frame in sorted(frames)]
    own = {p.volume.frame_of_reference_uid for p in points}
    return (
        *known, *([ct.grid] if ct is not None else []), *(p.volume.grid for p in points),
        *(g for g in had if g.frame_of_reference_uid not in own),
    )  # fmt: skip


def _read(file: Path, grids: Sequence[Grid], log: NoticeLog) -> tuple[Region, ...]:
    """Regions of a file; contours, which have no grid of their own, on the first grid of their frame."""
    try:
        return read_regions(file, log=log)
    except InputError as err:
        if err.field != "grid":
            raise
        contours = read_structure_set(Path(err.where))
    refused: InputError | None = None
    for grid in grids:
        own = NoticeLog(strict=log.strict)
        try:
            regions = read_regions(file, grid=_holding(grid, contours), log=own)
        except InputError as err:
            if not err.field.startswith("Frame of Reference"):
                raise
            refused = refused or err
            continue
        # Slices that were split have no contour of their own; sparse is only what is so on the image itself.
        fine = "CONTOUR_SPARSE" if _parts(grid, contours) != (1, 1, 1) else ""
        log.extend(n for n in own if n.code != fine)
        return regions
    raise NotComputable(
        "the activity of regions",
        f"the contours of {file.name} lie in a frame of reference of no image ({refused})",
        "images registered to the frame of the contours, or contours drawn on the images", "FRAMES_DIFFER",
    )  # fmt: skip


def _holding(grid: Grid, contours: StructureSet) -> Grid:
    """A grid grown by whole voxels until it holds all contours, in fine parts: what an image cuts off is seen, not lost."""
    points = [c.points_mm for roi in contours.rois for c in roi.contours if np.isfinite(c.points_mm).all()]
    if not points:
        return grid
    places = grid.to_index(np.concatenate(points))
    size = np.array(grid.shape[::-1])
    low = np.clip(np.floor(places.min(axis=0)), -_MOST_GROWTH, 0).astype(int)
    high = np.clip(np.ceil(places.max(axis=0)) + 1, size, size + _MOST_GROWTH).astype(int)
    parts = np.array(_parts(grid, contours))
    affine = grid.affine.copy()
    affine[:3, :3] /= parts
    affine[:3, 3] = grid.to_mm(low - 0.5 + 0.5 / parts)
    columns, rows, slices = ((high - low) * parts).tolist()
    return Grid(shape=(slices, rows, columns), affine=affine, frame_of_reference_uid=grid.frame_of_reference_uid)


def _parts(grid: Grid, contours: StructureSet) -> tuple[int, int, int]:
    """Parts of each (column, row, slice) in which contours are filled; one where only a slice says how thick a contour is."""
    gaps = [roi.plane_spacing_mm or plane_spacing_of(roi.contours) for roi in contours.rois]
    if not any(gap is not None and gap <= _THICKEST_MM for gap in gaps):
        return 1, 1, 1
    lengths = np.linalg.norm(grid.affine[:3, :3], axis=0)
    columns, rows, slices = np.maximum(np.ceil(lengths / _FINE_MM - 1e-6), 1).astype(int).tolist()
    return columns, rows, slices


def _one_each(points: Sequence[ImagePoint], files: Sequence[Path], log: NoticeLog) -> tuple[ImagePoint, ...]:
    """Several files of regions, each in the frame of one image."""
    frames = {p.volume.frame_of_reference_uid: p for p in points}
    listed = ", ".join(f.name for f in files)
    apart = Ambiguous("the regions", f"there are {len(files)} files of regions: {listed}", "one of them, named with --regions, or "
                      "one in the frame of reference of each image", "SEVERAL_REGION_FILES")  # fmt: skip
    if len(frames) < len(points) or "" in frames:
        raise apart
    out = dict(frames)
    for file in files:
        regions = _read(file, tuple(p.volume.grid for p in points), log)
        uids = {r.grid.frame_of_reference_uid for r in regions}
        uid = uids.pop() if len(uids) == 1 else ""
        if uid not in out or out[uid].regions:
            raise apart
        out[uid] = replace(out[uid], regions=regions)
    return tuple(out[p.volume.frame_of_reference_uid] for p in points)


def _say_unknown_frames(points: Sequence[ImagePoint], log: NoticeLog) -> None:
    unknown = [p for p in points if not p.volume.frame_of_reference_uid]
    if unknown and len(points) > 1:
        # NIfTI cannot state a frame; a DICOM image could have, and most sites have one for each visit.
        note = log.info if all(p.facts.get("modality") == "NIfTI" for p in unknown) else log.warning
        said = f"{len(unknown)} of {len(points)} images state no frame of reference and were taken to lie in that of the others"
        note("FRAME_UNKNOWN", said, raw=[p.where for p in unknown])


def _say_implausible(points: Sequence[ImagePoint], agreed: Agreed, log: NoticeLog) -> None:
    """Warn of images with more activity than was given, or next to none of it: another unit, calibration or injection."""
    for point in points:
        total = float(np.nansum(point.volume.values, dtype=np.float64)) * point.volume.voxel_volume_ml
        left = agreed.administered_mbq * float(decay_factor(3600.0 * point.time_h, agreed.nuclide.half_life_s))
        if total > _MOST_OF_GIVEN * left or total < _LEAST_OF_GIVEN * left:
            said = (
                f"the image holds {total:.4g} MBq, and of {agreed.administered_mbq:g} MBq given {left:.4g} MBq can be left after "
                f"{point.time_h:.1f} h: check unit, calibration and activity"
            )
            log.warning("IMAGE_ACTIVITY_IMPLAUSIBLE", said, where=point.where, raw=total, used=left)
