"""Dose maps as DICOM RT Dose, so that planning systems and viewers show them on the patient's images."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.config import IGNORE
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from fusin.dosimetry.voxel_biology import BED_UNIT, EQD2_UNIT
from fusin.dosimetry.voxels import grid_spacing_mm
from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.derived_objects import axes_of, derived_uid, equipment, fitted_text, position_of, study_header
from fusin.imaging.volume import FloatArray, Grid, Volume
from fusin.provenance import NoticeLog

__all__ = ["RTDOSE_SOP_CLASS", "write_rtdose"]

RTDOSE_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.2"
_RTPLAN_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.5"
_TYPES = {"Gy": "PHYSICAL", BED_UNIT: "EFFECTIVE", EQD2_UNIT: "EFFECTIVE"}


def write_rtdose(
    path: Path | str,
    dose: Volume,
    *,
    source: Dataset,
    log: NoticeLog,
    series_description: str = "",
    series_number: int = 905,
    comment: str = "",
    heterogeneous: bool = False,
    plan_uid: str = "",
    bits: Literal[16, 32] = 16,
    created: datetime | None = None,
) -> Path:
    """Write a dose map as an RT Dose object.

    Parameters
    ----------
    path : file to write; replaced atomically
    dose : Gy, or BED or EQD2 of `voxel_biology`, which are stored as EFFECTIVE dose; NaN is stored as 0, with a notice
    source : header of one image of the study on whose frame of reference the dose lies
    log : receives notices
    series_description : at most 64 characters; says what the map is when empty
    series_number : positive
    comment : Dose Comment, at most 1024 characters
    heterogeneous : whether the density of each voxel was taken from the image
    plan_uid : SOP Instance UID of the RT Plan of the treatment. The standard requires a reference; without a plan a UID is derived
        that refers to no object, with a notice
    bits : of a pixel. 16 keep 1/131070 of the highest dose and every reader takes them; 32 keep all, and some readers fail
    created : creation time; left empty when None, so that equal inputs give equal bytes

    Raises
    ------
    InputError
        For another unit, negative, infinite or no doses, a frame of reference that is not that of ``source``, or a grid that is no
        stack of rectangles.

    References
    ----------
    DICOM PS3.3 section C.8.8.3 (RT Dose).
    """
    values, grid = _stacked(_checked(dose, bits, log), dose.grid)
    frame = _frame(source, grid)
    description = series_description or f"fusin {dose.unit} (research use only)"
    seed = derived_uid(
        str(source.get("StudyInstanceUID", "")), frame, description, comment, grid.affine.tobytes(), values.tobytes(),
        "/".join([dose.unit, str(created), str(series_number), plan_uid, str(heterogeneous), str(bits)]),
    )  # fmt: skip
    ds = study_header(source, log=log)
    _add_series(ds, fitted_text(description, "SeriesDescription", log), series_number, created, seed)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = frame, ""
    _add_geometry(ds, grid)
    _add_dose(ds, values, bits)
    ds.DoseType = _TYPES[dose.unit]
    ds.TissueHeterogeneityCorrection = "IMAGE" if heterogeneous else "WATER"
    if comment:
        ds.DoseComment = " ".join(comment.split())[:1024]
    _add_plan(ds, plan_uid, seed, log)
    return _saved(ds, Path(path))


def _add_plan(ds: Dataset, plan_uid: str, seed: str, log: NoticeLog) -> None:
    if not plan_uid:
        log.info("RTDOSE_WITHOUT_PLAN", "RT Dose must refer to a plan; the UID written is derived and no such object exists",
                 where="RT Dose")  # fmt: skip
    if plan_uid and not UID(plan_uid, validation_mode=IGNORE).is_valid:
        raise InputError("RT Dose", "plan_uid", plan_uid, "a DICOM UID: digits and dots, at most 64")
    plan = Dataset()
    plan.ReferencedSOPClassUID = _RTPLAN_SOP_CLASS
    plan.ReferencedSOPInstanceUID = UID(plan_uid or derived_uid(seed, "plan"))
    ds.ReferencedRTPlanSequence = DicomSequence([plan])


def _saved(ds: Dataset, path: Path) -> Path:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return write_bytes_atomically(path, buffer.getbuffer())


def _checked(dose: Volume, bits: int, log: NoticeLog) -> FloatArray:
    """Doses as they can be stored."""
    if bits not in (16, 32):
        raise InputError("RT Dose", "bits", bits, "16 or 32")
    if dose.unit not in _TYPES:
        raise InputError("RT Dose", "unit", dose.unit, "one of " + ", ".join(_TYPES))
    grid_spacing_mm(dose.grid)
    values = np.array(dose.values, dtype=np.float64)
    missing = np.isnan(values)
    if bool(np.isinf(values).any()) or bool(missing.all()):
        raise InputError("RT Dose", "values", "infinite or no doses", "finite doses, or NaN where there is none")
    if bool((values < 0).any()):
        raise InputError(
            "RT Dose", "values", float(np.nanmin(values)), "doses of zero or more; the object cannot hold others"
        )
    if bool(missing.any()):
        log.warning("RTDOSE_MISSING_AS_ZERO", f"{int(missing.sum())} voxels without a dose are stored as 0",
                    where="RT Dose", used=0.0)  # fmt: skip
        values[missing] = 0.0
    return values


def _stacked(values: FloatArray, grid: Grid) -> tuple[FloatArray, Grid]:
    """The same voxels with slices along the normal of rows and columns, as offsets count upward for most readers."""
    normal = np.cross(grid.affine[:3, 0], grid.affine[:3, 1])
    if float(normal @ grid.affine[:3, 2]) > 0:
        return values, grid
    affine = np.array(grid.affine)
    affine[:3, 3] += affine[:3, 2] * (grid.shape[0] - 1)
    affine[:3, 2] *= -1.0
    return values[::-1], Grid(shape=grid.shape, affine=affine, frame_of_reference_uid=grid.frame_of_reference_uid)


def _frame(source: Dataset, grid: Grid) -> str:
    stated = str(source.get("FrameOfReferenceUID") or "")
    if stated and grid.frame_of_reference_uid and stated != grid.frame_of_reference_uid:
        raise InputError(
            "RT Dose", "Frame of Reference UID (0020,0052)", stated, f"{grid.frame_of_reference_uid}, that of the dose"
        )
    if not (stated or grid.frame_of_reference_uid):
        raise InputError(
            "RT Dose", "Frame of Reference UID (0020,0052)", "", "a UID; positions mean nothing without it"
        )
    return stated or grid.frame_of_reference_uid


def _add_series(ds: Dataset, description: str, series_number: int, created: datetime | None, seed: str) -> None:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = UID(RTDOSE_SOP_CLASS)
    ds.file_meta.MediaStorageSOPInstanceUID = UID(derived_uid(seed, "instance"))
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = RTDOSE_SOP_CLASS, ds.file_meta.MediaStorageSOPInstanceUID
    ds.Modality = "RTDOSE"
    device = equipment()
    ds.Manufacturer, ds.ManufacturerModelName = device["manufacturer"], device["manufacturer_model_name"]
    ds.SoftwareVersions, ds.DeviceSerialNumber = device["software_versions"], device["device_serial_number"]
    ds.SeriesInstanceUID = derived_uid(seed, "series")
    ds.SeriesNumber, ds.SeriesDescription, ds.OperatorsName, ds.InstanceNumber = series_number, description, "", 1
    if created:
        ds.InstanceCreationDate = ds.ContentDate = ds.SeriesDate = created.strftime("%Y%m%d")
        ds.InstanceCreationTime = ds.ContentTime = ds.SeriesTime = created.strftime("%H%M%S.%f")


def _add_geometry(ds: Dataset, grid: Grid) -> None:
    axes = axes_of(grid)
    ds.ImageOrientationPatient = list(axes.orientation)
    ds.ImagePositionPatient = list(position_of(grid, 0))
    ds.PixelSpacing = list(axes.pixel_spacing)
    ds.SliceThickness = axes.slice_spacing
    step = float(axes.slice_spacing)
    if grid.shape[0] == 1:
        # A list of one offset is no valid value; an object of one frame has none.
        return
    ds.NumberOfFrames = grid.shape[0]
    ds.FrameIncrementPointer = 0x3004000C
    ds.GridFrameOffsetVector = [f"{step * index:.10g}" for index in range(grid.shape[0])]


def _add_dose(ds: Dataset, values: FloatArray, bits: int) -> None:
    # Rounded up within the 16 characters of a decimal string, so that the highest dose fits.
    scaling = f"{max(float(values.max()), 1e-30) / (2**bits - 1) * (1.0 + 1e-9):.9e}"
    stored = np.rint(values / float(scaling)).astype(f"<u{bits // 8}")
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = values.shape[1:]
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, 0
    ds.DoseUnits, ds.DoseSummationType = "GY", "PLAN"
    ds.DoseGridScaling = scaling
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"
