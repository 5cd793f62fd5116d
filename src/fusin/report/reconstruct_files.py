"""Image files of a reconstruction: NIfTI, DICOM, and a text that states every correction."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path

from fusin.errors import FusinError, StrictRefusal
from fusin.imaging.nifti import write_nifti
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_image import interfile_image
from fusin.reconstruction.run import Run
from fusin.report.reconstruct_dicom import missing_for_dicom, spect_dicom
from fusin.report.reconstruct_dicom_pet import pet_dicom

__all__ = ["reconstruct_files"]


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
        ``image.nii.gz``, ``sd.nii.gz`` with a bootstrap, ``corrections.json``; of a PET ``image.hv`` and ``image.v``; where the
        acquisition says enough, ``image.dcm`` of a SPECT, or the slices of a PET as ``dicom/...``.
    """
    volumes = {"image.nii.gz": run.image}
    if run.sd is not None:
        volumes["sd.nii.gz"] = run.sd
    found: dict[str, str | bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, volume in volumes.items():
            found[name] = write_nifti(Path(folder) / name, volume).read_bytes()
        found |= _dicom(run, Path(folder), created, log)
    if run.config.modality == "pet":
        found["image.hv"], found["image.v"] = interfile_image(
            run.image, data_name="image.v", placement=run.acquired.placement
        )
    found["corrections.json"] = _sidecar(run)
    return found


def _dicom(run: Run, folder: Path, created: datetime | None, log: NoticeLog) -> dict[str, bytes]:
    """DICOM objects by name; none, with a notice, where something is missing."""
    name = "dicom" if run.config.modality == "pet" else "image.dcm"
    missing = missing_for_dicom(run)
    if missing:
        log.info(
            "IMAGE_DICOM_NOT_WRITTEN",
            f"{name} was not written, it needs " + ", ".join(missing),
            where=name,
            raw=missing,
        )
        return {}
    try:
        if run.config.modality == "pet":
            paths = pet_dicom(run, folder / name, created=created, log=log)
            return {f"{name}/{path.name}": path.read_bytes() for path in paths}
        return {name: spect_dicom(run, folder / name, created=created, log=log).read_bytes()}
    except StrictRefusal:
        raise
    except FusinError as err:
        log.warning("OUTPUT_NOT_WRITTEN", f"{name} was not written: {err}", where=name)
        return {}


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
