"""Writers of genuine DICOM images: classic PET and CT series here, multi-frame objects in their own file.

They serve phantoms, tests and export. Every object passes a validator of the standard; what real
scanners do differently is a dialect, and what a test wants wrong is said with ``tags``.

What a PET volume means does not depend on the header that is asked for. It holds either activity
concentration in Bq/mL decay-corrected to the start of the acquisition (unit ``"Bq/ml"``) or SUVbw
(unit ``"g/ml{SUVbw}"``). The stored values are derived from it such that a reader who follows the
header gets the same SUVbw for every combination of dialect, units and decay reference:

======== =============================================================================================
START    the concentration at the start of the acquisition
ADMIN    the concentration referred to the time of injection
NONE     the average over the frame of each bed position as measured, which is the concentration at its
         average-count-rate time
CNTS     any of these divided by the Philips concentration factor
GML      SUV of the type asked for; SUV has no decay reference
CM2ML    SUV normalised to body surface area
======== =============================================================================================

``tags``, ``injection_tags`` and ``slice_tags`` change the header only, never the stored values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage

from fusin.errors import InputError
from fusin.imaging.dicom_headers import (
    InjectionHeader,
    SliceTags,
    SliceWriter,
    StudyHeader,
    TagMap,
    apply_tags,
    code_item,
    common_modules,
    ds_text,
    dt_text,
    make_uid,
    nuclide_code,
    pixel_module,
    plane_geometry,
    series_frame_of_reference,
)
from fusin.imaging.dicom_write_multiframe import write_enhanced_pet, write_legacy_enhanced_pet, write_nm
from fusin.imaging.pet_encoding import (
    DecayReference,
    EncodedPet,
    PetFrames,
    PetUnits,
    Quantised,
    SuvType,
    concentration_at_start,
    decay_factors,
    encode_units,
    pet_frames,
    quantise,
)
from fusin.imaging.volume import FloatArray, Volume

__all__ = [
    "DIALECTS",
    "Dialect",
    "InjectionHeader",
    "StudyHeader",
    "write_ct_series",
    "write_enhanced_pet",
    "write_legacy_enhanced_pet",
    "write_nm",
    "write_pet_series",
]

_PHILIPS = "Philips PET Private Group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a manufacturer's PET headers look.

    Attributes
    ----------
    manufacturer, model, software : equipment strings
    code_scheme : coding scheme of nuclide codes
    corrections : (0028,0051) of a fully corrected image
    reconstruction, scatter, randoms : method strings
    frame_reference : ``"mean"``: (0054,1300) is the average-count-rate time after the scan start;
        ``"start"``: the frame's start after the scan start
    """

    manufacturer: str
    model: str
    software: str
    code_scheme: str
    corrections: tuple[str, ...]
    reconstruction: str
    scatter: str
    randoms: str
    frame_reference: Literal["mean", "start"] = "mean"


DIALECTS: dict[str, Dialect] = {
    "SIEMENS": Dialect(
        manufacturer="SIEMENS",
        model="Biograph64_mCT",
        software="VG60A",
        code_scheme="SRT",
        corrections=("NORM", "DTIM", "ATTN", "SCAT", "RADL", "DECY"),
        reconstruction="PSF+TOF 4i5s",
        scatter="Model-based",
        randoms="DLYD",
    ),
    "GE": Dialect(
        manufacturer="GE MEDICAL SYSTEMS",
        model="Discovery 690",
        software="52.00",
        code_scheme="SRT",
        corrections=("DECY", "ATTN", "SCAT", "DTIM", "RAN", "RADL", "DCAL", "NORM"),
        reconstruction="VPFXS",
        scatter="Model Based",
        randoms="SING",
        frame_reference="start",
    ),
    "PHILIPS": Dialect(
        manufacturer="Philips Medical Systems",
        model="GEMINI TF TOF 16",
        software="3.5.2",
        code_scheme="SRT",
        corrections=("DCAL", "DTIM", "ATTN", "SCAT", "RAN", "NORM", "DECY"),
        reconstruction="BLOB-OS-TF",
        scatter="SS-SIMUL",
        randoms="DLYD",
    ),
    "SYNTHETIC": Dialect(
        manufacturer="Synthetic",
        model="Synthetic PET",
        software="1",
        code_scheme="SCT",
        corrections=("NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"),
        reconstruction="none",
        scatter="none",
        randoms="DLYD",
    ),
}


def _dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        raise InputError("series", "dialect", name, f"one of {sorted(DIALECTS)}")
    return DIALECTS[name]


def _injection_module(ds: Dataset, injection: InjectionHeader, voice: Dialect, injection_tags: TagMap | None) -> None:
    item = Dataset()
    item.Radiopharmaceutical = injection.radiopharmaceutical
    item.RadiopharmaceuticalStartTime = injection.time.strftime("%H%M%S.%f")
    item.RadionuclideTotalDose = ds_text(injection.activity_mbq * 1e6)
    item.RadionuclideHalfLife = ds_text(injection.half_life_s)
    item.RadiopharmaceuticalStartDateTime = dt_text(injection.time)
    item.RadionuclideCodeSequence = DicomSequence([nuclide_code(injection.nuclide, voice.code_scheme)])
    apply_tags(item, injection_tags, where="injection_tags")
    ds.RadiopharmaceuticalInformationSequence = DicomSequence([item])


def _patient_orientation(ds: Dataset) -> None:
    recumbent = code_item("102538003", "SCT", "recumbent")
    recumbent.PatientOrientationModifierCodeSequence = DicomSequence([code_item("40199007", "SCT", "supine")])
    ds.PatientOrientationCodeSequence = DicomSequence([recumbent])
    ds.PatientGantryRelationshipCodeSequence = DicomSequence([code_item("102540008", "SCT", "headfirst")])


@dataclass(frozen=True, slots=True)
class _Label:
    description: str
    number: int
    seed_uid: str
    start: datetime


def _series_template(study: StudyHeader, volume: Volume, voice: Dialect, label: _Label, *, sop_class: UID) -> Dataset:
    """Build what every slice of a series shares: patient to equipment, plane and pixel modules."""
    geometry = plane_geometry(volume.grid)
    modality = "CT" if sop_class == CTImageStorage else "PT"
    ds = common_modules(study, sop_class=sop_class, modality=modality)
    ds.SeriesDate, ds.SeriesTime = label.start.strftime("%Y%m%d"), label.start.strftime("%H%M%S.%f")
    ds.SeriesInstanceUID = make_uid("series", label.seed_uid, study.study_uid, modality, str(label.number))
    ds.SeriesNumber, ds.SeriesDescription = label.number, label.description
    ds.FrameOfReferenceUID = series_frame_of_reference(study, volume.grid)
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = voice.manufacturer, voice.model, voice.software
    ds.BodyPartExamined = "WHOLEBODY"
    ds.ImageOrientationPatient = [ds_text(c) for c in geometry.orientation]
    ds.PixelSpacing = [ds_text(s) for s in geometry.pixel_spacing]
    ds.SliceThickness = ds_text(abs(geometry.slice_spacing))
    ds.PositionReferenceIndicator = ""
    pixel_module(ds, *volume.shape[1:], signed=True)
    return ds


def _pet_series_module(
    ds: Dataset, voice: Dialect, code: EncodedPet, *, units: str, decay: DecayReference, beds: int, attenuation: bool
) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.CollimatorType = "NONE"
    dropped = ({"DECY"} if decay == "NONE" else set()) | (set() if attenuation else {"ATTN", "SCAT"})
    ds.CorrectedImage = [c for c in voice.corrections if c not in dropped]
    ds.SeriesType = ["WHOLE BODY" if beds > 1 else "STATIC", "IMAGE"]
    ds.Units = units
    if code.suv_type:
        ds.SUVType = code.suv_type
    ds.CountsSource = "EMISSION"
    ds.RandomsCorrectionMethod = voice.randoms
    if attenuation:
        ds.AttenuationCorrectionMethod = "measured,AC_CT"
        ds.ScatterCorrectionMethod = voice.scatter
    ds.DecayCorrection = decay
    ds.ReconstructionMethod = voice.reconstruction
    ds.RescaleIntercept = "0"
    _patient_orientation(ds)


def _private_block(ds: Dataset, dialect: str, frames: PetFrames, injection: InjectionHeader, code: EncodedPet) -> None:
    blocks: dict[str, dict[tuple[int, str, int], Any]] = {
        "SIEMENS": {(0x0071, "SIEMENS MED PT", 0x22): frames.scan_start},
        "GE": {(0x0009, "GEMS_PETD_01", 0x0D): frames.scan_start, (0x0009, "GEMS_PETD_01", 0x3B): injection.time},
        "PHILIPS": {(0x7053, _PHILIPS, 0x00): code.suv_factor, (0x7053, _PHILIPS, 0x09): code.concentration_factor},
    }
    apply_tags(ds, {key: value for key, value in blocks.get(dialect, {}).items() if value is not None})


def write_pet_series(
    folder: Path,
    volume: Volume,
    *,
    study: StudyHeader,
    injection: InjectionHeader,
    acquisition_start: datetime,
    seed_uid: str,
    dialect: str = "SIEMENS",
    units: PetUnits = "BQML",
    suv_type: SuvType = "BW",
    decay: DecayReference = "START",
    frame_duration_s: float = 180.0,
    beds: int = 1,
    description: str = "PET AC",
    series_number: int = 4,
    attenuation_corrected: bool = True,
    slopes: float | Sequence[float] | None = None,
    tags: TagMap | None = None,
    injection_tags: TagMap | None = None,
    slice_tags: SliceTags | None = None,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> list[Path]:
    """Write a classic PET series, one file per slice in index order; return the paths.

    Parameters
    ----------
    volume : Bq/mL decay-corrected to ``acquisition_start``, or SUVbw; see the top of this module
    study, injection : header fields; weight, height, sex and activity also convert SUV
    acquisition_start : start of the first of ``beds`` equal blocks of slices, each of ``frame_duration_s``
    seed_uid : UIDs depend on it, on the study and on the series number only
    dialect : ``"SIEMENS"``, ``"GE"``, ``"PHILIPS"`` or ``"SYNTHETIC"``; CNTS is Philips only
    suv_type : (0054,1006) for GML, empty to store SUVbw without it; CM2ML is always BSA
    slopes : RescaleSlope of all slices or of each; default: each slice scaled to its maximum
    tags, injection_tags : attributes to set or, with None, to delete; keys as in ``apply_tags``
    slice_tags : slice index to further tags

    Raises
    ------
    InputError
        For an unknown choice, sheared axes, or values that do not fit the slope.
    """
    voice = _dialect(dialect)
    if units == "CNTS" and dialect != "PHILIPS":
        raise InputError("PET series", "units", units, "the dialect PHILIPS, the only one with factors for counts")
    frames = pet_frames(volume.shape[0], injection, start=acquisition_start, duration_s=frame_duration_s, beds=beds)
    at_start = concentration_at_start(volume, study, injection, start=acquisition_start)
    code = encode_units(at_start, study, injection, frames, units=units, suv_type=suv_type, decay=decay)
    label = _Label(description, series_number, seed_uid, acquisition_start)
    ds = _series_template(study, volume, voice, label, sop_class=PositronEmissionTomographyImageStorage)
    _pet_series_module(ds, voice, code, units=units, decay=decay, beds=beds, attenuation=attenuation_corrected)
    _injection_module(ds, injection, voice, injection_tags)
    _private_block(ds, dialect, frames, injection, code)
    coded = quantise(code.values, slopes)
    per_slice = _pet_slices(ds, coded, frames, decay_factors(decay, frames, injection), voice)
    layers = (per_slice, lambda _: tags or {}, slice_tags)
    return _write_files(ds, folder, volume, coded.stored, layers=layers, transfer_syntax=transfer_syntax)


def _pet_slices(ds: Dataset, coded: Quantised, frames: PetFrames, factors: FloatArray, voice: Dialect) -> SliceTags:
    """Add the series' timing to the template and return what changes from slice to slice."""
    ds.ActualFrameDuration = round(frames.duration_s * 1000.0)
    ds.NumberOfSlices = len(factors)
    content = frames.start(len(factors) - 1) + timedelta(seconds=frames.duration_s)
    ds.ContentDate, ds.ContentTime = content.strftime("%Y%m%d"), content.strftime("%H%M%S.%f")
    shift_s = frames.mean_time_s if voice.frame_reference == "mean" else 0.0
    low, high = coded.stored.min(axis=(1, 2)).tolist(), coded.stored.max(axis=(1, 2)).tolist()

    def attributes(index: int) -> TagMap:
        begin = frames.start(index)
        return {
            "AcquisitionDate": begin,
            "AcquisitionTime": begin,
            "FrameReferenceTime": float(frames.offset_s[index] + shift_s) * 1000.0,
            # The standard allows a decay factor only where a correction was made.
            "DecayFactor": None if ds.DecayCorrection == "NONE" else format(float(factors[index]), ".9g"),
            "ImageIndex": index + 1,
            "RescaleSlope": coded.slopes[index],
            "SmallestImagePixelValue": low[index],
            "LargestImagePixelValue": high[index],
        }

    return attributes


def _write_files(
    template: Dataset,
    folder: Path,
    volume: Volume,
    stored: NDArray[np.int16],
    *,
    layers: tuple[SliceTags | None, ...],
    transfer_syntax: str,
) -> list[Path]:
    """Write one file per slice; the layers of tags are applied in order."""
    folder.mkdir(parents=True, exist_ok=True)
    geometry = plane_geometry(volume.grid)
    writer = SliceWriter(template, transfer_syntax)
    paths = []
    for index in range(stored.shape[0]):
        ds = Dataset()
        ds.update(template)
        ds.SOPInstanceUID = make_uid("instance", template.SeriesInstanceUID, str(index))
        ds.InstanceNumber = index + 1
        ds.ImagePositionPatient = [ds_text(c) for c in geometry.positions[index]]
        ds.SliceLocation = ds_text(geometry.locations[index])
        for layer in layers:
            if layer is not None:
                apply_tags(ds, layer(index))
        name = f"{template.Modality}{int(template.SeriesNumber):03d}_{index + 1:04d}.dcm"
        paths.append(writer.write(ds, folder / name, stored[index]))
    return paths


def write_ct_series(
    folder: Path,
    volume: Volume,
    *,
    study: StudyHeader,
    seed_uid: str,
    description: str = "CT low dose",
    kvp: float = 120.0,
    series_number: int = 2,
    acquisition_start: datetime | None = None,
    dialect: str = "SIEMENS",
    tags: TagMap | None = None,
    slice_tags: SliceTags | None = None,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> list[Path]:
    """Write a CT series, one file per slice in index order, slope 1 and intercept -1024; return the paths.

    Parameters
    ----------
    volume : Hounsfield units, unit ``"[hnsf'U]"``; fractions are rounded
    study : header fields
    seed_uid : UIDs depend on it, on the study and on the series number only
    kvp : tube voltage in kV
    acquisition_start : default: the start of the study
    tags, slice_tags : as in ``write_pet_series``

    Raises
    ------
    InputError
        For another unit, or Hounsfield units that do not fit into int16.
    """
    if volume.unit != "[hnsf'U]":
        raise InputError("CT volume", "unit", volume.unit, "[hnsf'U]")
    stored = np.rint(np.asarray(volume.values, dtype=np.float64)) + 1024.0
    if not np.isfinite(stored).all() or np.abs(stored).max() > 32767.0:
        raise InputError("CT volume", "values", "outside int16", "finite Hounsfield units from -33791 to 31743")
    moment = acquisition_start or study.study_datetime
    label = _Label(description, series_number, seed_uid, moment)
    ds = _series_template(study, volume, _dialect(dialect), label, sop_class=CTImageStorage)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.AcquisitionDate = ds.ContentDate = moment.strftime("%Y%m%d")
    ds.AcquisitionTime = ds.ContentTime = moment.strftime("%H%M%S.%f")
    ds.PatientPosition = "HFS"
    ds.KVP = ds_text(kvp)
    ds.AcquisitionNumber = 1
    ds.ConvolutionKernel = "B30f"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    layers = (lambda _: tags or {}, slice_tags)
    return _write_files(ds, folder, volume, stored.astype(np.int16), layers=layers, transfer_syntax=transfer_syntax)
