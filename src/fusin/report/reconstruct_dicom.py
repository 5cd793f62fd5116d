"""A reconstructed SPECT as a DICOM object, and what DICOM objects of SPECT and PET share."""

from __future__ import annotations

import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fusin.imaging.volume import Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog, versions
from fusin.reconstruction.run import Run

__all__ = ["isotope_item", "missing_for_dicom", "spect_dicom", "study_tags"]

_PATIENT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "PatientSize", "PatientAge", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "InstitutionName",
)  # fmt: skip

_LYING = ("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence", "PatientPosition")
_ROTATION = ("StartAngle", "AngularStep", "RotationDirection", "ScanArc")


def missing_for_dicom(run: Run) -> list[str]:
    """What a DICOM object needs and the acquisition does not say."""
    acquired = run.acquired
    needed = {
        "the modality spect or pet": run.config.modality != "matrix",
        "a calibration": acquired.scale is not None,
        "the start of the acquisition": acquired.started is not None,
        "the nuclide": bool(acquired.nuclide),
        "the time of the acquisition" if run.config.modality == "pet" else "the time of a view": acquired.duration_s
        is not None,
        "a DICOM object of the study ([acquisition] study)": acquired.header is not None,
    }
    return [words for words, there in needed.items() if not there]


def spect_dicom(run: Run, path: Path, *, created: datetime | None, log: NoticeLog) -> Path:
    """Write a SPECT as one multi-frame object.

    Parameters
    ----------
    run : that lacks nothing of `missing_for_dicom`
    path : of the file
    created : moment stamped into it; the start of the acquisition without it
    log : receives the notices of the writer
    """
    from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
    from fusin.reconstruction.acquired import digest_of
    from fusin.reconstruction.spect_dicom_write import write_quantitative_spect

    acquired = run.acquired
    assert acquired.started is not None
    assert acquired.duration_s is not None
    header, started = acquired.header, acquired.started
    study = StudyHeader(study_uid=str(header.get("StudyInstanceUID", "")), study_datetime=started,
                        frame_of_reference_uid=str(header.get("FrameOfReferenceUID", "")))  # fmt: skip
    injection = InjectionHeader(activity_mbq=0.0, time=started, half_life_s=nuclide(acquired.nuclide).half_life_s,
                                nuclide=acquired.nuclide, radiopharmaceutical="")  # fmt: skip
    # Statistical reconstructions hold no negative values; the writer refuses any.
    image = Volume(values=np.asarray(run.image.values, np.float32), grid=run.image.grid, unit="Bq/ml")
    own = {
        "RadiopharmaceuticalInformationSequence": [isotope_item(run)], "DetectorInformationSequence": [_detector(run)],
        "EnergyWindowInformationSequence": [_window(run)], **_as_acquired(header),
    }  # fmt: skip
    return write_quantitative_spect(
        path, image, study=study, injection=injection, acquisition_start=started,
        view_time_s=acquired.duration_s, views=acquired.views_in_turn or acquired.projector.data_shape[0],
        corrections=acquired.terms, decay="START" if acquired.decayed_to_start else "NONE",
        seed_uid=digest_of(run.image.values), sentences=run.corrections, description="fusin SPECT Bq/mL (research use only)",
        tags=study_tags(run, created or started, log) | own, rotation=_rotation(header),
    )  # fmt: skip


def _as_acquired(header: Any) -> dict[str, Any]:
    """How the patient lay, as the projections say."""
    found = {name: copy.deepcopy(header.get(name)) for name in _LYING if header.get(name)}
    # A position beside its codes is forbidden, since the two could differ.
    return found | ({"PatientPosition": None} if "PatientOrientationCodeSequence" in found else {})


def _rotation(header: Any) -> dict[str, Any]:
    """Start, step, direction and arc of the rotation, where projections state them."""
    held = header.get("RotationInformationSequence")
    return {name: held[0].get(name) for name in _ROTATION if held and held[0].get(name) not in (None, "")}


def study_tags(run: Run, created: datetime, log: NoticeLog) -> dict[Any, Any]:
    """Patient, study and device as they are; what the source does not say is left out, not made up."""
    from fusin.imaging.derived_objects import study_header

    clean = study_header(run.acquired.header, log=log)
    tags: dict[Any, Any] = {keyword: clean.get(keyword) for keyword in _PATIENT}
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        tags[keyword] = clean.get(keyword, "")
    version = versions()["fusin"]
    return tags | {
        "Manufacturer": "fusin", "ManufacturerModelName": "fusin", "SoftwareVersions": version, "DeviceSerialNumber": None,
        "StationName": None, "BodyPartExamined": None, "Laterality": "", "InstanceCreationDate": created.strftime("%Y%m%d"),
        "InstanceCreationTime": created.strftime("%H%M%S"),
    }  # fmt: skip


def isotope_item(run: Run) -> Any:
    """The nuclide, and of the injection what the source states."""
    from pydicom.dataset import Dataset

    from fusin.imaging.dicom_headers import ds_text, nuclide_code

    held = run.acquired.header.get("RadiopharmaceuticalInformationSequence")
    item = copy.deepcopy(held[0]) if held else Dataset()
    item.RadionuclideCodeSequence = [nuclide_code(run.acquired.nuclide)]
    item.RadionuclideHalfLife = ds_text(nuclide(run.acquired.nuclide).half_life_s)
    return item


def _detector(run: Run) -> Any:
    from pydicom.dataset import Dataset

    from fusin.imaging.dicom_headers import ds_text, plane_geometry

    geometry = plane_geometry(run.image.grid)
    held = run.acquired.header.get("DetectorInformationSequence")
    item = Dataset()
    for keyword in ("CollimatorGridName", "CollimatorType"):
        value = held[0].get(keyword) if held else None
        if value or keyword == "CollimatorType":
            setattr(item, keyword, value or "PARA")
    item.ImageOrientationPatient = [ds_text(c) for c in geometry.orientation]
    item.ImagePositionPatient = [ds_text(c) for c in geometry.positions[0]]
    return item


def _window(run: Run) -> Any:
    from pydicom.dataset import Dataset

    item, limits = Dataset(), run.acquired.energy_kev
    if limits is not None:
        within = Dataset()
        within.EnergyWindowLowerLimit, within.EnergyWindowUpperLimit = (f"{v:g}" for v in limits)
        item.EnergyWindowRangeSequence = [within]
    item.EnergyWindowName = "photopeak"
    return item
