"""DICOM RT Structure Sets: contours in, contours out.

Reading yields named contours that :func:`structure_set_regions` puts onto a grid. Writing traces
each slice of a region along the edges of its voxels, so that reading the file on the same grid gives
the same voxels; holes become inner contours of the same plane (exclusive or). The slice spacing is
written to Source Pixel Planes Characteristics (3006,004A), and used from there when reading, so that a
structure drawn on every second slice is not mistaken for one with thicker slices.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.dicom_objects import read_object
from fusin.imaging.rasterise import Contour, plane_spacing_of, rasterise
from fusin.imaging.volume import FloatArray, Grid, Region
from fusin.provenance import NoticeLog

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["RTSTRUCT_SOP_CLASS", "Roi", "StructureSet", "read_structure_set", "structure_set_regions", "write_rtstruct"]

RTSTRUCT_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_CONTOUR_DATA = 0x30060050
_NAME_LIMIT = 64
_COLOURS = (
    (230, 60, 60), (60, 140, 230), (70, 180, 75), (245, 170, 40), (150, 80, 200), (60, 190, 190),
    (240, 100, 180), (150, 120, 60), (120, 200, 40), (100, 100, 220),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Roi:
    """One region of interest of a structure set.

    Attributes
    ----------
    number : ROI Number (3006,0022)
    name : ROI Name (3006,0026), exactly as stored
    contours : in file order
    colour : red, green, blue from 0 to 255, or None
    frame_of_reference_uid : frame of the contours
    algorithm : ROI Generation Algorithm (3006,0036)
    interpreted_type : RT ROI Interpreted Type (3006,00A4)
    plane_spacing_mm : slice spacing of the drawing image when the file says it, else None
    """

    number: int
    name: str
    contours: tuple[Contour, ...]
    colour: tuple[int, int, int] | None = None
    frame_of_reference_uid: str = ""
    algorithm: str = ""
    interpreted_type: str = ""
    plane_spacing_mm: float | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StructureSet:
    """What fusin uses of an RT Structure Set.

    Attributes
    ----------
    path : the file
    label : Structure Set Label (3006,0002)
    sop_instance_uid : UID of the object
    series_uids : image series the contours were drawn on
    rois : in the order of the Structure Set ROI Sequence
    """

    path: Path
    label: str
    sop_instance_uid: str
    series_uids: tuple[str, ...]
    rois: tuple[Roi, ...]


def read_structure_set(path: Path | str) -> StructureSet:
    """Read an RT Structure Set.

    Parameters
    ----------
    path : the file

    Returns
    -------
    StructureSet
        ROIs without contours are kept, with none.

    Raises
    ------
    InputError
        Not a structure set, truncated, or sequences that do not fit together.
    """
    path = Path(path)
    return read_object(
        path, (RTSTRUCT_SOP_CLASS,), "an RT Structure Set", lambda dataset: _structure_set(path, dataset)
    )


def structure_set_regions(structure_set: StructureSet, grid: Grid, *, log: NoticeLog) -> tuple[Region, ...]:
    """Put every ROI onto a grid.

    Parameters
    ----------
    structure_set : of :func:`read_structure_set`
    grid : voxels to fill, in the frame of reference of the contours
    log : as for :func:`fusin.imaging.rasterise.rasterise`, and ROI_WITHOUT_CONTOURS

    Returns
    -------
    tuple of Region
        In file order, names exactly as stored; ``label`` is the ROI number.

    Raises
    ------
    InputError
        Different frames of reference, or contours that are not planar and parallel.
    """
    shared = _shared_spacing(structure_set)
    regions = []
    for roi in structure_set.rois:
        where = f"{structure_set.path}: {roi.name}"
        attributes: dict[str, Any] = {"algorithm": roi.algorithm, "interpreted_type": roi.interpreted_type}
        if roi.colour is not None:
            attributes["colour"] = roi.colour
        if not roi.contours:
            log.info("ROI_WITHOUT_CONTOURS", f"{roi.name!r} has no contours", where=where)
            regions.append(Region(
                name=roi.name, grid=grid, start=(0, 0, 0), crop=np.zeros((0, 0, 0), bool),
                source=str(structure_set.path), label=roi.number, attributes=attributes,
            ))  # fmt: skip
            continue
        drawn_in = Grid(shape=(1, 1, 1), affine=np.eye(4), frame_of_reference_uid=roi.frame_of_reference_uid)
        grid.require_frame(drawn_in, where)
        region = rasterise(
            roi.name, roi.contours, grid, log=log, plane_spacing_mm=roi.plane_spacing_mm or shared,
            source=str(structure_set.path), label=roi.number, attributes=attributes,
        )  # fmt: skip
        regions.append(region)
    return tuple(regions)


def write_rtstruct(
    path: Path | str,
    regions: Sequence[Region],
    *,
    source: Sequence[Dataset],
    label: str = "fusin",
    description: str = "Regions for research use",
    series_number: int = 9001,
    algorithm: str = "AUTOMATIC",
    created: datetime | None = None,
    log: NoticeLog | None = None,
) -> Path:
    """Write regions as an RT Structure Set.

    Equal regions, sources and parameters give equal bytes: the UIDs are derived from them.

    Parameters
    ----------
    path : where to; written beside and renamed
    regions : at least one, all in the frame of reference of ``source``; attribute ``colour`` is used when present
    source : headers of the images that the regions refer to, in any order, or one multi-frame header
    label : Structure Set Label, at most 16 characters
    description : Series Description and Structure Set Name, at most 64 characters
    series_number : of the new series
    algorithm : ROI Generation Algorithm: AUTOMATIC, SEMIAUTOMATIC or MANUAL
    created : date and time of the structure set; left empty when ``None``
    log : receives DICOM_BLANK_FILLED and DICOM_VALUE_LEFT_OUT about the source header

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        No region, no source, another frame of reference, or a name that DICOM cannot hold (more than
        64 characters, a backslash or a control character).
    """
    from fusin.imaging.rtstruct_dataset import structure_set_dataset

    path = Path(path)
    if not regions or not source:
        raise InputError(str(path), "regions and source", (len(regions), len(source)), "at least one of each")
    for field, text, limit in (("label", label, 16), ("description", description, 64)):
        if len(text) > limit:
            raise InputError(str(path), field, text, f"at most {limit} characters, as DICOM allows")
    frame = str(source[0].get("FrameOfReferenceUID", ""))
    source_frame = Grid(shape=(1, 1, 1), affine=np.eye(4), frame_of_reference_uid=frame)
    for region in regions:
        source_frame.require_frame(region.grid, f"{path}: {region.name}")
        bad = len(region.name) > _NAME_LIMIT or "\\" in region.name or not region.name.isprintable()
        if bad or not region.name.strip():
            needed = f"1 to {_NAME_LIMIT} printable characters without a backslash, as DICOM allows"
            raise InputError(str(path), "region name", region.name, needed)
    dataset = structure_set_dataset(
        regions, source, label=label, description=description, series_number=series_number,
        algorithm=algorithm, created=created, seed=_seed(regions, source, label, description, created),
        colours=_COLOURS, log=log if log is not None else NoticeLog(),
    )  # fmt: skip
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return write_bytes_atomically(path, buffer.getvalue())


def _seed(
    regions: Sequence[Region], source: Sequence[Dataset], label: str, description: str, created: datetime | None
) -> str:
    """Digest of all that goes into a structure set, from which its UIDs are made."""
    digest = hashlib.sha256()
    digest.update("|".join([label, description, str(created), *sorted(str(d.SOPInstanceUID) for d in source)]).encode())
    for region in regions:
        digest.update(repr((region.name, region.label, region.start, region.crop.shape)).encode())
        digest.update(np.packbits(region.crop).tobytes())
        digest.update(np.round(region.grid.affine, 6).tobytes())
    return digest.hexdigest()


def _shared_spacing(structure_set: StructureSet) -> float | None:
    """Plane spacing shared by all ROIs: the smallest found, since each may leave slices out."""
    found = [spacing for roi in structure_set.rois if (spacing := plane_spacing_of(roi.contours)) is not None]
    smallest = min(found, default=None)
    # Farther apart than slices ever are: single slices of separate parts, which say nothing about the spacing.
    return smallest if smallest is not None and smallest <= 10.0 else None


def _structure_set(path: Path, dataset: Dataset) -> StructureSet:
    """Join the three ROI sequences of an object."""
    if "ROIContourSequence" not in dataset:
        # Every structure set has it; a file that ends before it would otherwise pass for one of empty regions.
        raise InputError(str(path), "ROI Contour Sequence (3006,0039)", None, "contours: the file may be cut off")
    contours: dict[int, Any] = {}
    for item in dataset.get("ROIContourSequence") or []:
        number = _roi_number(path, item, "ReferencedROINumber")
        if number in contours:
            raise InputError(str(path), "ROI Contour Sequence (3006,0039)", f"ROI {number} twice", "each ROI once")
        contours[number] = item
    types = {
        _roi_number(path, item, "ReferencedROINumber"): str(item.get("RTROIInterpretedType") or "")
        for item in dataset.get("RTROIObservationsSequence") or []
    }
    rois = []
    numbers: set[int] = set()
    for item in dataset.get("StructureSetROISequence") or []:
        number = _roi_number(path, item, "ROINumber")
        if number in numbers:
            raise InputError(
                str(path), "Structure Set ROI Sequence (3006,0020)", f"ROI {number} twice", "each ROI once"
            )
        numbers.add(number)
        rois.append(_roi(path, number, item, contours.get(number), types.get(number, "")))
    orphans = sorted(set(contours) - numbers)
    if orphans:
        raise InputError(
            str(path), "ROI Contour Sequence (3006,0039)", f"contours of ROI numbers {orphans}",
            "numbers that the Structure Set ROI Sequence (3006,0020) names",
        )  # fmt: skip
    if not rois:
        raise InputError(str(path), "Structure Set ROI Sequence (3006,0020)", "no ROI", "at least one")
    return StructureSet(
        path=path,
        label=str(dataset.get("StructureSetLabel", "")),
        sop_instance_uid=str(dataset.get("SOPInstanceUID", "")),
        series_uids=_series_uids(dataset),
        rois=tuple(rois),
    )


def _roi_number(path: Path, item: Dataset, keyword: str) -> int:
    """Value of an ROI number, which everything else hangs on."""
    value = item.get(keyword)
    if value is None:
        raise InputError(str(path), keyword, None, "a number that joins names and contours")
    return int(value)


def _roi(path: Path, number: int, item: Dataset, drawn: Dataset | None, interpreted_type: str) -> Roi:
    """One ROI from its item and its contour item."""
    contours: list[Contour] = []
    colour = spacing = None
    if drawn is not None:
        where = f"{path}: ROI {number}"
        contours = [_contour(where, c) for c in drawn.get("ContourSequence") or []]
        stored = drawn.get("ROIDisplayColor")
        if stored is not None and len(stored) == 3:
            colour = (int(stored[0]), int(stored[1]), int(stored[2]))
        planes = drawn.get("SourcePixelPlanesCharacteristicsSequence") or []
        if planes and planes[0].get("SpacingBetweenSlices"):
            spacing = abs(float(planes[0].SpacingBetweenSlices))
    return Roi(
        number=number,
        name=str(item.get("ROIName") or ""),
        contours=tuple(contours),
        colour=colour,
        frame_of_reference_uid=str(item.get("ReferencedFrameOfReferenceUID") or ""),
        algorithm=str(item.get("ROIGenerationAlgorithm") or ""),
        interpreted_type=interpreted_type,
        plane_spacing_mm=spacing,
    )


def _contour(where: str, item: Dataset) -> Contour:
    """Points of one contour item."""
    kind = str(item.get("ContourGeometricType") or "")
    points = _points(where, item)
    stated = item.get("NumberOfContourPoints")
    if stated is not None and int(stated) != len(points):
        raise InputError(
            where, "Number of Contour Points (3006,0046)", int(stated), f"{len(points)}, as many as Contour Data holds"
        )  # fmt: skip
    return Contour(points_mm=points, kind=kind)


def _points(where: str, item: Dataset) -> FloatArray:
    """(n, 3) points of a contour item."""
    if _CONTOUR_DATA not in item:
        raise InputError(where, "Contour Data (3006,0050)", None, "points")
    raw = item.get_item(_CONTOUR_DATA)
    value = raw.value if raw is not None else None
    if isinstance(value, bytes):
        # Straight from the stored text: pydicom's own decimal objects are a hundred times slower.
        text = value.decode("ascii", errors="replace").strip("\0 ")
        numbers = np.array([float(x) for x in text.split("\\")] if text else [], dtype=np.float64)
    else:
        numbers = np.array([] if value is None else value, dtype=np.float64).ravel()
    if numbers.size == 0 or numbers.size % 3:
        raise InputError(where, "Contour Data (3006,0050)", f"{numbers.size} numbers", "three per point")
    return numbers.reshape(-1, 3)


def _series_uids(dataset: Dataset) -> tuple[str, ...]:
    """Series that the contours refer to."""
    found = []
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                found.append(str(series.get("SeriesInstanceUID", "")))
    return tuple(uid for uid in dict.fromkeys(found) if uid)
