"""Image files of a reconstruction: NIfTI, DICOM, and a text that states every correction."""

from __future__ import annotations

import copy
import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fusin.errors import FusinError, StrictRefusal
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog, versions
from fusin.reconstruction.run import Run

__all__ = ["reconstruct_files"]

_PATIENT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "PatientSize", "PatientAge", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "InstitutionName",
)  # fmt: skip


def reconstruct_files(run: Run, *, log: NoticeLog, created: datetime | None = None) -> dict[str, str | bytes]:
    """Contents of the files by name.

    Parameters
    ----------
    run : of `run_reconstruction`
    log : receives IMAGE_DICOM_NOT_WRITTEN with what is missing
    created : moment stamped into the DICOM file; the start of the acquisition without it

    Returns
    -------
    dict
        ``image.nii.gz``, ``sd.nii.gz`` with a bootstrap, ``image.dcm`` where the acquisition says enough, ``corrections.json``.
    """
    volumes = {"image.nii.gz": run.image}
    if run.sd is not None:
        volumes["sd.nii.gz"] = run.sd
    found: dict[str, str | bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, volume in volumes.items():
            found[name] = write_nifti(Path(folder) / name, volume).read_bytes()
        try:
            dicom = _dicom(run, Path(folder), created, log)
        except StrictRefusal:
            raise
        except FusinError as err:
            log.warning("OUTPUT_NOT_WRITTEN", f"image.dcm was not written: {err}", where="image.dcm")
            dicom = None
        if dicom is not None:
            found["image.dcm"] = dicom
    found["corrections.json"] = _sidecar(run)
    return found


def _missing(run: Run) -> list[str]:
    """What a DICOM object needs and the acquisition does not say."""
    acquired = run.acquired
    needed = {
        "the modality spect": run.config.modality == "spect",
        "a calibration": acquired.scale is not None,
        "the start of the acquisition": acquired.started is not None,
        "the nuclide": bool(acquired.nuclide),
        "the time of a view": acquired.duration_s is not None,
        "a DICOM object of the study ([acquisition] study)": acquired.header is not None,
    }
    return [words for words, there in needed.items() if not there]


def _dicom(run: Run, folder: Path, created: datetime | None, log: NoticeLog) -> bytes | None:
    from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
    from fusin.reconstruction.acquired import digest_of
    from fusin.reconstruction.spect_dicom_write import write_quantitative_spect

    missing = _missing(run)
    if missing:
        log.info("IMAGE_DICOM_NOT_WRITTEN", "image.dcm was not written, it needs " + ", ".join(missing), where="image.dcm",
                 raw=missing)  # fmt: skip
        return None
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
    path = write_quantitative_spect(
        folder / "image.dcm", image, study=study, injection=injection, acquisition_start=started,
        view_time_s=acquired.duration_s, views=acquired.views_in_turn or acquired.projector.data_shape[0],
        corrections=acquired.terms, decay="START" if acquired.decayed_to_start else "NONE",
        seed_uid=digest_of(run.image.values), sentences=run.corrections, description="fusin SPECT Bq/mL (research use only)",
        tags=_tags(run, created or started, log),
    )  # fmt: skip
    return path.read_bytes()


def _tags(run: Run, created: datetime, log: NoticeLog) -> dict[Any, Any]:
    """Patient, study, nuclide, window and device as they are; what the source does not say is left out, not made up."""
    from fusin.imaging.derived_objects import study_header

    clean = study_header(run.acquired.header, log=log)
    tags: dict[Any, Any] = {keyword: clean.get(keyword) for keyword in _PATIENT}
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        tags[keyword] = clean.get(keyword, "")
    version = versions()["fusin"]
    return tags | {
        "Manufacturer": "fusin", "ManufacturerModelName": "fusin", "SoftwareVersions": version, "DeviceSerialNumber": None,
        "StationName": None, "BodyPartExamined": None, "InstanceCreationDate": created.strftime("%Y%m%d"),
        "InstanceCreationTime": created.strftime("%H%M%S"),
        "RadiopharmaceuticalInformationSequence": [_isotope(run)], "DetectorInformationSequence": [_detector(run)],
        "EnergyWindowInformationSequence": [_window(run)],
    }  # fmt: skip


def _isotope(run: Run) -> Any:
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


def _sidecar(run: Run) -> str:
    """What a NIfTI header has no place for."""
    acquired = run.acquired
    document = {
        "unit": "Bq/mL" if run.image.unit == "Bq/ml" else "counts",
        "corrections": list(run.corrections),
        "acquisition_start": None if acquired.started is None else acquired.started.isoformat(),
        "nuclide": acquired.nuclide or None,
        "view_duration_s": acquired.duration_s,
        "decay": acquired.decay,
        "bq_ml_per_image_value": acquired.scale,
        "calibration_u_percent": None if acquired.scale is None else 100.0 * acquired.u_relative,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
