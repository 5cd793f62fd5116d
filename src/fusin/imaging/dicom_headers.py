"""Headers, codes and plumbing that all DICOM image writers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, private_dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_data_element, write_file_meta_info
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from fusin.errors import InputError
from fusin.imaging.volume import FloatArray, Grid

__all__ = [
    "InjectionHeader",
    "PlaneGeometry",
    "SliceTags",
    "SliceWriter",
    "StudyHeader",
    "TagKey",
    "TagMap",
    "apply_tags",
    "code_item",
    "common_modules",
    "ds_text",
    "dt_text",
    "make_uid",
    "nuclide_code",
    "pixel_module",
    "plane_geometry",
    "save_instance",
    "series_frame_of_reference",
]

TagKey = str | tuple[int, int] | tuple[int, str, int]
# Keys are TagKey; Mapping is invariant in its key type, so that the exact type would refuse plain dicts of names.
TagMap = Mapping[Any, Any]
SliceTags = Callable[[int], TagMap]

_PIXEL_DATA = 0x7FE00010
_IMPLEMENTATION_UID = generate_uid(entropy_srcs=["fusin", "implementation"])

# CID 4020 in both schemes: scanners still send the retired SNOMED-RT style, the standard now asks for SCT.
_NUCLIDE_CODES: dict[str, tuple[str, str, str]] = {
    "C-11": ("40565003", "C-105A1", "^11^Carbon"),
    "Cu-64": ("3932008", "C-127A2", "^64^Copper"),
    "F-18": ("77004003", "C-111A1", "^18^Fluorine"),
    "Ga-68": ("35337001", "C-131A3", "^68^Gallium"),
    "I-124": ("40937006", "C-114A5", "^124^Iodine"),
    "I-131": ("1368003", "C-114B1", "^131^Iodine"),
    "In-111": ("56609000", "C-145A4", "^111^Indium"),
    "Lu-177": ("447553000", "C-101ED", "^177^Lutetium"),
    "Tc-99m": ("72454006", "C-163A8", "^99m^Technetium"),
    "Y-90": ("14691008", "C-162A7", "^90^Yttrium"),
    "Zr-89": ("63360001", "C-168A4", "^89^Zirconium"),
}

# Vendor elements by (group, creator, offset): pydicom's private dictionary lacks the Siemens one.
_PRIVATE_VR: dict[tuple[int, str, int], str] = {
    (0x0071, "SIEMENS MED PT", 0x22): "DT",
    (0x0009, "GEMS_PETD_01", 0x0D): "DT",
    (0x0009, "GEMS_PETD_01", 0x3B): "DT",
    (0x7053, "Philips PET Private Group", 0x00): "DS",
    (0x7053, "Philips PET Private Group", 0x09): "DS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHeader:
    """Patient and study as they stand in every object of a study; the defaults describe nobody.

    Attributes
    ----------
    patient_name : DICOM person name
    patient_id : identifier
    sex : ``"M"``, ``"F"``, ``"O"`` or empty
    weight_kg : body weight in kilograms
    height_m : body height in metres; None when not recorded
    birth_date : None when not recorded
    study_uid : derived from patient and time when empty
    frame_of_reference_uid : derived from the study when empty; a volume's own frame takes precedence
    study_datetime : start of the study
    study_description : free text
    institution : free text
    """

    patient_name: str = "Synthetic^Patient"
    patient_id: str = "SYN-0001"
    sex: str = "F"
    weight_kg: float = 70.0
    height_m: float | None = 1.70
    birth_date: date | None = date(1965, 3, 14)
    study_uid: str = ""
    frame_of_reference_uid: str = ""
    study_datetime: datetime = datetime(2024, 1, 15, 9, 50)
    study_description: str = "PET/CT whole body"
    institution: str = "Synthetic Hospital"

    def __post_init__(self) -> None:
        if not self.study_uid:
            object.__setattr__(self, "study_uid", make_uid("study", self.patient_id, self.study_datetime.isoformat()))
        if not self.frame_of_reference_uid:
            object.__setattr__(self, "frame_of_reference_uid", make_uid("frame", self.study_uid))


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionHeader:
    """What was injected, how much and when.

    Attributes
    ----------
    activity_mbq : activity at ``time`` in MBq
    time : clock time of the injection
    half_life_s : half-life that the scanner writes, in seconds
    nuclide : for example ``"Ga-68"``
    radiopharmaceutical : name in the header
    """

    activity_mbq: float
    time: datetime
    half_life_s: float
    nuclide: str = "Ga-68"
    radiopharmaceutical: str = "Pentixafor"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PlaneGeometry:
    """A grid in DICOM's words.

    Attributes
    ----------
    orientation : six direction cosines, first along columns, then along rows
    positions : (slices, 3) LPS millimetres of the centre of the first voxel of each slice
    pixel_spacing : (between rows, between columns) in millimetres
    slice_spacing : distance between slices in millimetres, negative when slices run against the normal
    locations : (slices,) position along the normal in millimetres
    """

    orientation: tuple[float, ...]
    positions: FloatArray
    pixel_spacing: tuple[float, float]
    slice_spacing: float
    locations: FloatArray


def make_uid(*sources: str) -> str:
    """Return a UID that depends on the given texts only."""
    return str(generate_uid(entropy_srcs=["fusin", *sources]))


def ds_text(value: float) -> str:
    """Decimal string of at most 16 characters that is nearest to a number."""
    for digits in range(16, 6, -1):
        text = format(float(value), f".{digits}g")
        if len(text) <= 16:
            return text
    raise InputError("decimal string", "value", value, "a number that fits into 16 characters")


def dt_text(moment: datetime) -> str:
    """DICOM DT with microseconds."""
    return moment.strftime("%Y%m%d%H%M%S.%f").rjust(21, "0")


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """Return one item of a code sequence."""
    item = Dataset()
    # Code Value is an SH of at most 16 characters; longer codes have an element of their own (PS3.3 table 8.8-1).
    setattr(item, "CodeValue" if len(value) <= 16 else "LongCodeValue", value)
    item.CodingSchemeDesignator, item.CodeMeaning = scheme, meaning
    return item


def nuclide_code(nuclide: str, scheme: str = "SCT") -> Dataset:
    """Code item of a radionuclide (CID 4020 and 18).

    Parameters
    ----------
    nuclide : for example ``"Ga-68"``
    scheme : ``"SCT"`` or the retired ``"SRT"``, which most scanners send

    Raises
    ------
    InputError
        When the nuclide has no code here.
    """
    if nuclide not in _NUCLIDE_CODES:
        raise InputError("injection", "nuclide", nuclide, f"one of {sorted(_NUCLIDE_CODES)}")
    sct, srt, meaning = _NUCLIDE_CODES[nuclide]
    return code_item(sct if scheme == "SCT" else srt, scheme, meaning)


def series_frame_of_reference(study: StudyHeader, grid: Grid) -> str:
    """Frame of reference of a series: the grid's own, else the study's."""
    return grid.frame_of_reference_uid or study.frame_of_reference_uid


def plane_geometry(grid: Grid) -> PlaneGeometry:
    """Describe a grid by DICOM plane attributes.

    Raises
    ------
    InputError
        When the axes are not orthogonal: a stack of DICOM planes has no shear.
    """
    spacing = np.array(grid.spacing_mm)
    column, row, along = (grid.affine[:3, :3] / spacing).T
    normal = np.cross(column, row)
    if abs(column @ row) > 1e-4 or abs(abs(along @ normal) - 1.0) > 1e-4:
        raise InputError("volume", "affine", np.round(grid.affine[:3, :3], 4).tolist(), "orthogonal axes")
    index = np.zeros((grid.shape[0], 3))
    index[:, 2] = np.arange(grid.shape[0])
    positions = grid.to_mm(index)
    return PlaneGeometry(
        orientation=tuple(float(c) for c in (*column, *row)),
        positions=positions,
        pixel_spacing=(float(spacing[1]), float(spacing[0])),
        slice_spacing=float(spacing[2] * np.sign(along @ normal)),
        locations=positions @ normal,
    )


def common_modules(study: StudyHeader, *, sop_class: str, modality: str) -> Dataset:
    """Patient, study and SOP common attributes, with type 2 attributes present and empty."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = sop_class
    ds.Modality = modality
    ds.StudyDate, ds.StudyTime = study.study_datetime.strftime("%Y%m%d"), study.study_datetime.strftime("%H%M%S.%f")
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.InstitutionName = study.institution
    ds.StudyDescription = study.study_description
    ds.PatientName, ds.PatientID = study.patient_name, study.patient_id
    ds.PatientBirthDate = study.birth_date.strftime("%Y%m%d") if study.birth_date else ""
    ds.PatientSex = study.sex
    ds.PatientWeight = ds_text(study.weight_kg)
    if study.height_m is not None:
        ds.PatientSize = ds_text(study.height_m)
    ds.StudyInstanceUID = study.study_uid
    ds.StudyID = "1"
    return ds


def pixel_module(ds: Dataset, rows: int, columns: int, *, signed: bool) -> None:
    """Add the attributes of a 16-bit monochrome pixel matrix."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = int(signed)


def _vr_of(ds: Dataset, tag: int) -> str:
    if tag in ds:
        return str(ds[tag].VR)
    vr = dictionary_VR(tag)
    return ("SS" if ds.get("PixelRepresentation") == 1 else "US") if vr == "US or SS" else vr


def _text_for(vr: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return {"DA": value.strftime("%Y%m%d"), "TM": value.strftime("%H%M%S.%f")}.get(vr, dt_text(value))
    return ds_text(value) if vr == "DS" and isinstance(value, float) else value


def _apply_private(ds: Dataset, key: tuple[int, str, int], value: Any) -> None:
    group, creator, offset = key
    block = ds.private_block(group, creator, create=True)
    if value is not None:
        vr = _PRIVATE_VR.get(key) or private_dictionary_VR((group << 16) + 0x1000 + offset, creator)
        block.add_new(offset, vr, _text_for(vr, value))
        return
    if offset in block:
        del block[offset]
    creator_tag = block.get_tag(0).elem >> 8
    if not any(e.tag.elem >> 8 == creator_tag for e in ds.group_dataset(group)):
        del ds[group, creator_tag]


def apply_tags(ds: Dataset, tags: TagMap | None, *, where: str = "tags") -> None:
    """Set or delete attributes of a data set in place.

    Parameters
    ----------
    ds : changed in place
    tags : keys are DICOM keywords, ``(group, element)`` or, for a private element,
        ``(group, creator, last two hex digits)``; the value None deletes, a datetime is written
        as the element's DA, TM or DT
    where : named in errors

    Raises
    ------
    InputError
        For a keyword that DICOM does not know.
    """
    for key, value in (tags or {}).items():
        if isinstance(key, tuple) and len(key) == 3:
            _apply_private(ds, key, value)
            continue
        tag = tag_for_keyword(key) if isinstance(key, str) else (key[0] << 16) + int(key[1])
        if tag is None:
            raise InputError(where, "keyword", key, "a DICOM keyword, (group, element) or (group, creator, element)")
        if value is None:
            ds.pop(tag, None)
        else:
            vr = _vr_of(ds, tag)
            ds.add_new(tag, vr, DicomSequence(value) if vr == "SQ" else _text_for(vr, value))


def _file_meta(ds: Dataset, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID, meta.ImplementationVersionName = _IMPLEMENTATION_UID, "FUSIN"
    return meta


def save_instance(ds: Dataset, path: Path, stored: NDArray[Any], transfer_syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set with its 16-bit pixels in a transfer syntax; return the path.

    Parameters
    ----------
    ds : complete except for the pixel data, which it keeps
    path : file to write
    stored : 16-bit integer pixels, any shape
    transfer_syntax : UID; compressed syntaxes need a codec that pydicom knows
    """
    syntax = UID(transfer_syntax)
    big = syntax == ExplicitVRBigEndian
    ds.file_meta = _file_meta(ds, ExplicitVRLittleEndian if syntax.is_compressed else syntax)
    ds.add_new(_PIXEL_DATA, "OW", stored.astype(stored.dtype.newbyteorder(">" if big else "<")).tobytes())
    if syntax.is_compressed:
        ds.compress(syntax, generate_instance_uid=False)
    dcmwrite(path, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=not big, enforce_file_format=True)
    return path


class SliceWriter:
    """Writes the slices of a series; elements that all slices share are encoded once.

    Parameters
    ----------
    template : data set whose elements may be shared by the data sets that follow
    transfer_syntax : UID of the transfer syntax
    """

    def __init__(self, template: Dataset, transfer_syntax: str) -> None:
        self._syntax = UID(transfer_syntax)
        self._plain = self._syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
        self._charset = convert_encodings(template.get("SpecificCharacterSet", "ISO_IR 100"))
        self._shared = template
        self._encoded = {id(element): self._encode(element) for element in template} if self._plain else {}

    def _encode(self, element: DataElement) -> bytes:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, self._syntax == ImplicitVRLittleEndian
        write_data_element(buffer, element, self._charset)
        return buffer.getvalue()

    def write(self, ds: Dataset, path: Path, stored: NDArray[Any]) -> Path:
        """Write one slice; ``ds`` and ``stored`` as in ``save_instance``."""
        if not self._plain:
            return save_instance(ds, path, stored, self._syntax)
        ds.add_new(_PIXEL_DATA, "OW", stored.astype(stored.dtype.newbyteorder("<")).tobytes())
        meta = DicomBytesIO()
        meta.is_little_endian, meta.is_implicit_VR = True, False
        write_file_meta_info(meta, _file_meta(ds, self._syntax))
        # Equal identity means the very element of the template, which lives as long as this writer.
        body = (self._encoded.get(id(element)) or self._encode(element) for element in ds)
        path.write_bytes(b"\0" * 128 + b"DICM" + meta.getvalue() + b"".join(body))
        return path
