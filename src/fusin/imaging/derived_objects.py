"""What SEG, SR and parametric map share: a clean patient header, the source of each slice, geometry, UIDs."""

from __future__ import annotations

import copy
import hashlib
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pydicom
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat, format_number_as_ds

from fusin.errors import InputError, Unsupported
from fusin.imaging.codes import PRIVATE_SCHEME, Concept, code
from fusin.imaging.volume import FloatArray, Grid
from fusin.provenance import NoticeLog, versions

__all__ = [
    "RESEARCH_USE",
    "Axes",
    "SourceFrame",
    "SourceImages",
    "axes_of",
    "code_item",
    "coding_schemes",
    "derived_uid",
    "describe_source",
    "equipment",
    "fitted_text",
    "position_of",
    "stamp_creation",
    "study_header",
]

RESEARCH_USE = "Research use only. Not for diagnosis or treatment decisions."

_LONG_STRING = 64
_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"

# Type 2 in the Patient and General Study modules: present in every object, empty where the source says nothing.
_TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_OPTIONAL = ("StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "IssuerOfPatientID")
_TRIAL = (
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
)
_EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "InstitutionName")


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One source frame: its object, and its number when the object holds many frames."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SourceImages:
    """The series that an object was made from, ordered by the slices of a grid.

    Attributes
    ----------
    header : clean patient and study attributes in UTF-8; type 2 attributes are all present
    grid : voxel grid
    series_uid, frame_of_reference_uid, modality : of the source series
    slices : source frames of each grid slice; empty where the source has no image there
    """

    header: Dataset
    grid: Grid
    series_uid: str
    frame_of_reference_uid: str
    modality: str
    slices: tuple[tuple[SourceFrame, ...], ...]

    @property
    def objects(self) -> dict[str, str]:
        """SOP Instance UID to SOP Class UID, each object once, in slice order."""
        return {f.sop_instance_uid: f.sop_class_uid for frames in self.slices for f in frames}

    def anchor(self) -> Dataset:
        """One clean single-frame header at slice 0, from which highdicom builds an object.

        It has no patient name: highdicom warns of names with one component, which are legal and common in trials.
        The name is put into the finished object.
        """
        axes = axes_of(self.grid)
        ds = copy.deepcopy(self.header)
        ds.PatientName = ""
        ds.SOPClassUID = _PET_IMAGE
        ds.SOPInstanceUID = next(iter(self.objects))
        ds.SeriesInstanceUID = self.series_uid
        ds.FrameOfReferenceUID = self.frame_of_reference_uid
        ds.PositionReferenceIndicator = ""
        ds.Modality = self.modality
        ds.Rows, ds.Columns = self.grid.shape[1:]
        ds.ImageOrientationPatient = list(axes.orientation)
        ds.ImagePositionPatient = list(position_of(self.grid, 0))
        ds.PixelSpacing = list(axes.pixel_spacing)
        ds.SliceThickness = ds.SpacingBetweenSlices = axes.slice_spacing
        return ds


@dataclass(frozen=True, slots=True)
class Axes:
    """Geometry of a grid as DICOM decimal strings."""

    orientation: tuple[DSfloat, ...]
    pixel_spacing: tuple[DSfloat, DSfloat]
    slice_spacing: DSfloat


def equipment() -> dict[str, Any]:
    """Arguments that name fusin as the device, for highdicom's constructors."""
    version = versions()["fusin"]
    return {
        "manufacturer": "fusin",
        "manufacturer_model_name": "fusin",
        "software_versions": version,
        "device_serial_number": version,
    }


def derived_uid(*parts: str | bytes) -> str:
    """UID under 2.25 made from the parts alone, so that equal inputs give equal UIDs.

    References
    ----------
    DICOM PS3.5 section B.2: UID made from a UUID.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"


def code_item(concept: Concept) -> Dataset:
    """Code sequence item of a concept."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = concept.value, concept.scheme, concept.meaning
    return item


def coding_schemes() -> list[Any]:
    """Declaration of fusin's private coding scheme, for highdicom's constructors."""

    return [CodingSchemeIdentificationItem(designator=PRIVATE_SCHEME, name="fusin", responsible_organization="fusin")]


def study_header(first: Dataset, *, log: NoticeLog) -> Dataset:
    """Patient and study attributes of a source header, cleaned for a new object.

    Text is written in UTF-8. Attributes of type 2 that are missing become empty; a value that its value
    representation does not allow is left out. Both are recorded, nothing is invented.

    Parameters
    ----------
    first : header of one source object in any transfer syntax
    log : receives ``DICOM_BLANK_FILLED`` and ``DICOM_VALUE_LEFT_OUT``

    Raises
    ------
    InputError
        When the Study Instance UID is missing: the object could not be filed with its patient.
    """
    out = Dataset()
    out.SpecificCharacterSet = "ISO_IR 192"
    out.StudyInstanceUID = _required_uid(first, "StudyInstanceUID")
    blank = []
    for keyword in _TYPE_2:
        value = _clean(first, keyword, log)
        setattr(out, keyword, "" if value is None else value)
        if keyword not in first:
            blank.append(keyword)
    if blank:
        log.info("DICOM_BLANK_FILLED", f"the source has no {', '.join(blank)}; written empty", raw=blank)
    for keyword in (*_OPTIONAL, *_EQUIPMENT):
        _copy(first, out, keyword, log)
    # A trial and a de-identification are stated completely or not at all: half of either is an invalid object.
    if all(_clean(first, k, log) for k in ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", _TRIAL[-1])):
        for keyword in _TRIAL:
            setattr(out, keyword, _clean(first, keyword, log) or "")
    if _clean(first, "PatientIdentityRemoved", log) == "YES" and _clean(first, "DeidentificationMethod", log):
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethod"):
            _copy(first, out, keyword, log)
    return out


def describe_source(source: Sequence[Dataset], grid: Grid, *, log: NoticeLog) -> SourceImages:
    """Find the source frame of each grid slice by its position.

    Parameters
    ----------
    source : headers of the source slices, or one Enhanced multi-frame header
    grid : voxel grid made from them
    log : receives what was left out or missing

    Raises
    ------
    InputError
        When there is no source, the image size or frame of reference differs, or fewer than 90 % of the grid's
        slices have a source within a tenth of the slice spacing.
    Unsupported
        When rows and columns are not perpendicular: DICOM describes rectangular pixels only.
    """
    if not source:
        raise InputError("source", "headers", 0, "at least one header of the source series")
    first = source[0]
    axes = axes_of(grid)
    for ds in source:
        found = (ds.get("Rows"), ds.get("Columns"))
        if found != grid.shape[1:]:
            raise InputError("source", "Rows and Columns", found, f"the grid's {grid.shape[1:]}")
    slices: list[list[SourceFrame]] = [[] for _ in range(grid.shape[0])]
    stray = 0
    for frame, position in _source_frames(source):
        index = int(np.rint(grid.to_index(position)[2]))
        away = float(np.linalg.norm(grid.to_mm([0, 0, index]) - position))
        if 0 <= index < len(slices) and away <= 0.1 * float(axes.slice_spacing):
            slices[index].append(frame)
        else:
            stray += 1
    covered = sum(bool(frames) for frames in slices)
    if covered < 0.9 * len(slices):
        raise InputError(
            "source", "Image Position (Patient)", f"{covered} of {len(slices)} slices", "the grid's slices"
        )
    if stray or covered < len(slices):
        log.info(
            "SOURCE_SLICES_DIFFER",
            f"{len(slices) - covered} grid slices have no source image and {stray} source images lie on no grid slice",
        )
    return SourceImages(
        header=study_header(first, log=log),
        grid=grid,
        series_uid=_required_uid(first, "SeriesInstanceUID"),
        frame_of_reference_uid=_frame_of_reference(first, grid),
        modality=str(first.get("Modality") or "PT"),
        slices=tuple(tuple(frames) for frames in slices),
    )


def fitted_text(text: str, keyword: str, log: NoticeLog) -> str:
    """Text as a DICOM long string: one line of at most 64 characters without backslash; a change is recorded."""
    used = " ".join(text.replace("\\", "/").split())[:_LONG_STRING].strip()
    if used != text:
        log.info("DICOM_TEXT_FITTED", f"{keyword} holds {_LONG_STRING} characters: {used!r}", raw=text, used=used)
    return used


def stamp_creation(ds: Dataset, created: datetime) -> None:
    """State when object, content and series came into being.

    highdicom dates all contributing equipment by its own clock, the scanner included; the scanner's date is removed.
    """
    ds.InstanceCreationDate = ds.ContentDate = ds.SeriesDate = created.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.ContentTime = ds.SeriesTime = created.strftime("%H%M%S.%f")
    for item in ds.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = created.strftime("%Y%m%d%H%M%S.%f")
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == code("acquisition_equipment").value:
            del item.ContributionDateTime


def _clean(source: Dataset, keyword: str, log: NoticeLog) -> Any:
    """Value of one attribute, or None when it is absent, empty or not allowed by its value representation."""
    # pydicom warns about each invalid value it meets; here the doubt is recorded as a notice instead.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = source.get(keyword)
        if value is None or value == "":
            return None
        if isinstance(value, MultiValue):
            value = "/".join(str(part) for part in value)
        vr = dictionary_VR(keyword)
        text = format_number_as_ds(float(value)) if vr == "DS" else str(value).strip()
    try:
        DataElement(keyword, vr, text, validation_mode=pydicom.config.RAISE)
    except ValueError:
        text = ""
    if keyword == "PatientSex" and text not in ("M", "F", "O"):
        text = ""
    if not text:
        log.info("DICOM_VALUE_LEFT_OUT", f"{keyword} {str(value)!r} of the source is not valid DICOM", raw=str(value))
        return None
    return text


def _copy(source: Dataset, out: Dataset, keyword: str, log: NoticeLog) -> None:
    value = _clean(source, keyword, log)
    if value is not None:
        setattr(out, keyword, value)


def _required_uid(ds: Dataset, keyword: str) -> str:
    value = str(ds.get(keyword) or "")
    if not value:
        raise InputError("source", keyword, value, "a UID")
    return value


def _frame_of_reference(first: Dataset, grid: Grid) -> str:
    stated = str(first.get("FrameOfReferenceUID") or "")
    if stated and grid.frame_of_reference_uid and stated != grid.frame_of_reference_uid:
        raise InputError(
            "source", "Frame of Reference UID (0020,0052)", stated, f"{grid.frame_of_reference_uid} as the grid"
        )
    uid = stated or grid.frame_of_reference_uid
    if not uid:
        raise InputError(
            "source", "Frame of Reference UID (0020,0052)", uid, "a UID; positions mean nothing without it"
        )
    return uid


def _source_frames(source: Sequence[Dataset]) -> Iterator[tuple[SourceFrame, FloatArray]]:
    """Each source frame with the LPS position of its first pixel."""
    for ds in source:
        sop_class, sop_instance = _required_uid(ds, "SOPClassUID"), _required_uid(ds, "SOPInstanceUID")
        if "PerFrameFunctionalGroupsSequence" not in ds:
            yield SourceFrame(sop_class, sop_instance), _vector(ds, sop_instance)
            continue
        shared = ds.get("SharedFunctionalGroupsSequence") or [Dataset()]
        for number, group in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
            plane = group.get("PlanePositionSequence") or shared[0].get("PlanePositionSequence") or [Dataset()]
            yield SourceFrame(sop_class, sop_instance, number), _vector(plane[0], sop_instance)


def _vector(ds: Dataset, where: str) -> FloatArray:
    value = ds.get("ImagePositionPatient")
    if value is None or len(value) != 3:
        raise InputError(where, "Image Position (Patient) (0020,0032)", value, "three numbers")
    return np.array([float(v) for v in value])


def axes_of(grid: Grid) -> Axes:
    """Axes of a grid; its slices may be displaced sideways, since each frame carries its own position."""
    sx, sy, _ = grid.spacing_mm
    across, down = grid.affine[:3, 0] / sx, grid.affine[:3, 1] / sy
    if abs(across @ down) > 1e-4:
        raise Unsupported(
            "a DICOM image plane",
            f"rows and columns meet at {np.degrees(np.arccos(across @ down)):.2f} degrees",
            "rectangular pixels",
            "GRID_SHEARED",
        )
    return Axes(
        tuple(DSfloat(float(v), auto_format=True) for v in (*across, *down)),
        (DSfloat(sy, auto_format=True), DSfloat(sx, auto_format=True)),
        DSfloat(abs(float(np.cross(across, down) @ grid.affine[:3, 2])), auto_format=True),
    )


def position_of(grid: Grid, slice_index: int) -> tuple[DSfloat, ...]:
    """Centre of the first pixel of a slice in LPS millimetres, as decimal strings."""
    return tuple(DSfloat(float(v), auto_format=True) for v in grid.to_mm([0, 0, slice_index]))
