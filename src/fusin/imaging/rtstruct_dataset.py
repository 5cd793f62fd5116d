"""The DICOM dataset of an RT Structure Set, built from regions (used by :mod:`fusin.imaging.rtstruct`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ImplicitVRLittleEndian

from fusin.errors import InputError
from fusin.imaging.derived_objects import derived_uid, equipment, study_header
from fusin.imaging.volume import FloatArray, Grid, Region
from fusin.provenance import NoticeLog

__all__ = ["structure_set_dataset"]

_SOP_CLASS = UID("1.2.840.10008.5.1.4.1.1.481.3")
_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"


def structure_set_dataset(
    regions: Sequence[Region],
    source: Sequence[Dataset],
    *,
    label: str,
    description: str,
    series_number: int,
    algorithm: str,
    created: datetime | None,
    seed: str,
    colours: Sequence[tuple[int, int, int]],
    log: NoticeLog,
) -> Dataset:
    """Build the whole object; the arguments are those of :func:`fusin.imaging.rtstruct.write_rtstruct`.

    Parameters
    ----------
    seed : text that the new UIDs are derived from
    colours : used in turn for regions without a colour of their own
    log : receives what the source header lacks or holds in an invalid form

    Returns
    -------
    Dataset
        With file meta information, ready to be saved.

    Raises
    ------
    InputError
        When the source lacks the UIDs that must be referred to.
    """
    dataset = study_header(source[0], log=log)
    _add_series(dataset, description, series_number, created, seed)
    dataset.StructureSetLabel = label
    dataset.StructureSetName = description
    frame = str(source[0].get("FrameOfReferenceUID", "")) or derived_uid(seed, "frame")
    dataset.FrameOfReferenceUID = frame
    dataset.PositionReferenceIndicator = ""
    dataset.ReferencedFrameOfReferenceSequence = DicomSequence([_references(source, frame)])
    slices = _SourceSlices(source)
    names, drawn, observations = [], [], []
    for number, region in enumerate(regions, start=1):
        names.append(_name_item(number, region, frame, algorithm))
        colour = region.attributes.get("colour") or colours[(number - 1) % len(colours)]
        drawn.append(_contour_item(number, region, colour, slices))
        observation = Dataset()
        observation.ObservationNumber = number
        observation.ReferencedROINumber = number
        observation.RTROIInterpretedType = str(region.attributes.get("interpreted_type") or "")
        observation.ROIInterpreter = ""
        observations.append(observation)
    dataset.StructureSetROISequence = DicomSequence(names)
    dataset.ROIContourSequence = DicomSequence(drawn)
    dataset.RTROIObservationsSequence = DicomSequence(observations)
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _add_series(dataset: Dataset, description: str, series_number: int, created: datetime | None, seed: str) -> None:
    """Series, equipment and instance attributes, below the patient and study of the source."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = _SOP_CLASS
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(derived_uid(seed, "instance"))
    # Implicit VR, as contour data of more than 64 kB has no valid length in explicit VR.
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.SOPClassUID = _SOP_CLASS
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "RTSTRUCT"
    device = equipment()
    dataset.Manufacturer = device["manufacturer"]
    dataset.ManufacturerModelName = device["manufacturer_model_name"]
    dataset.SoftwareVersions = device["software_versions"]
    dataset.DeviceSerialNumber = device["device_serial_number"]
    dataset.SeriesInstanceUID = derived_uid(seed, "series")
    dataset.SeriesNumber = series_number
    dataset.SeriesDescription = description
    dataset.OperatorsName = ""
    dataset.InstanceNumber = 1
    dataset.StructureSetDate = created.strftime("%Y%m%d") if created else ""
    dataset.StructureSetTime = created.strftime("%H%M%S") if created else ""


def _references(source: Sequence[Dataset], frame: str) -> Dataset:
    """Frame of reference, study, series and images that the structure set belongs to."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"):
        if any(not image.get(keyword) for image in source):
            raise InputError("source images", keyword, None, "a UID to refer to")
    series = Dataset()
    series.SeriesInstanceUID = source[0].SeriesInstanceUID
    series.ContourImageSequence = DicomSequence([_image_reference(image, None) for image in source])
    study = Dataset()
    study.ReferencedSOPClassUID = _DETACHED_STUDY
    study.ReferencedSOPInstanceUID = source[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = DicomSequence([series])
    item = Dataset()
    item.FrameOfReferenceUID = frame
    item.RTReferencedStudySequence = DicomSequence([study])
    return item


def _image_reference(image: Dataset, frame_number: int | None) -> Dataset:
    """Reference to an image, or to one frame of it."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if frame_number is not None:
        item.ReferencedFrameNumber = frame_number
    return item


def _name_item(number: int, region: Region, frame: str, algorithm: str) -> Dataset:
    """Item of the Structure Set ROI Sequence."""
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = frame
    item.ROIName = region.name
    item.ROIVolume = f"{region.volume_ml:.6g}"
    item.ROIGenerationAlgorithm = algorithm
    return item


class _SourceSlices:
    """Finds the source image in which a contour lies."""

    def __init__(self, source: Sequence[Dataset]) -> None:
        placed = [entry for image in source for entry in _positions(image)]
        self.references = [(image, number) for image, number, _ in placed]
        self.positions: FloatArray = np.array([p for _, _, p in placed], dtype=np.float64).reshape(-1, 3)

    def at(self, grid: Grid, slice_number: int) -> Dataset | None:
        """Reference to the image in the plane of a slice of the grid, or None when no image lies there."""
        if not len(self.positions):
            return None
        normal = np.cross(grid.affine[:3, 0], grid.affine[:3, 1])
        normal /= np.linalg.norm(normal)
        centre = grid.to_mm((0, 0, slice_number))
        away = np.abs((self.positions - centre) @ normal)
        nearest = int(np.argmin(away))
        if away[nearest] > 0.25 * abs(float(normal @ grid.affine[:3, 2])):
            return None
        image, number = self.references[nearest]
        return _image_reference(image, number)


def _positions(image: Dataset) -> list[tuple[Dataset, int | None, list[float]]]:
    """(image, frame number, position) of each plane of a single-frame or multi-frame header."""
    if image.get("ImagePositionPatient") is not None:
        return [(image, None, [float(x) for x in image.ImagePositionPatient])]
    found: list[tuple[Dataset, int | None, list[float]]] = []
    for number, groups in enumerate(image.get("PerFrameFunctionalGroupsSequence") or [], start=1):
        if groups.get("PlanePositionSequence"):
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            found.append((image, number, [float(x) for x in position]))
    return found


def _contour_item(number: int, region: Region, colour: Sequence[int], slices: _SourceSlices) -> Dataset:
    """Item of the ROI Contour Sequence: the outlines of each slice along the edges of the voxels."""
    from fusin.imaging.rasterise_kernels import trace_edges

    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = [int(c) for c in colour]
    item.SourcePixelPlanesCharacteristicsSequence = DicomSequence([_pixel_planes(region.grid)])
    contours: list[Dataset] = []
    for k in range(region.crop.shape[0]):
        plane = np.ascontiguousarray(region.crop[k])
        if not plane.any():
            continue
        corners, offsets = trace_edges(plane)
        index = np.empty((len(corners), 3))
        index[:, 0] = corners[:, 1] + (region.start[2] - 0.5)
        index[:, 1] = corners[:, 0] + (region.start[1] - 0.5)
        index[:, 2] = k + region.start[0]
        points = region.grid.to_mm(index)
        reference = slices.at(region.grid, k + region.start[0])
        for begin, end in pairwise(offsets.tolist()):
            contours.append(_one_contour(len(contours) + 1, points[begin:end], reference))
    if contours:
        item.ContourSequence = DicomSequence(contours)
    return item


def _one_contour(number: int, points: NDArray[Any], reference: Dataset | None) -> Dataset:
    """Item of the Contour Sequence."""
    contour = Dataset()
    if reference is not None:
        contour.ContourImageSequence = DicomSequence([reference])
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour.ContourNumber = number
    contour.ContourData = [_decimal(x) for x in points.ravel().tolist()]
    return contour


def _pixel_planes(grid: Grid) -> Dataset:
    """Source Pixel Planes Characteristics (3006,004A): the voxels that the contours follow."""
    columns, rows, normal_step = grid.affine[:3, 0], grid.affine[:3, 1], grid.affine[:3, 2]
    spacing = grid.spacing_mm
    normal = np.cross(columns, rows)
    normal /= np.linalg.norm(normal)
    item = Dataset()
    item.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    item.SpacingBetweenSlices = _decimal(abs(float(normal @ normal_step)))
    item.ImageOrientationPatient = [_decimal(x, 9) for x in [*(columns / spacing[0]), *(rows / spacing[1])]]
    item.ImagePositionPatient = [_decimal(x) for x in grid.affine[:3, 3]]
    item.NumberOfFrames = grid.shape[0]
    item.Rows = grid.shape[1]
    item.Columns = grid.shape[2]
    return item


def _decimal(value: float, digits: int = 6) -> str:
    """Decimal string of at most 16 characters; a millionth of a millimetre is far below any voxel edge."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
