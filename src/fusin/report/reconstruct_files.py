"""Image files of a reconstruction: NIfTI, DICOM, and a text that states every correction."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path

from fusin.imaging.nifti import write_nifti
from fusin.provenance import NoticeLog
from fusin.reconstruction.run import Run

__all__ = ["reconstruct_files"]


def reconstruct_files(run: Run, *, log: NoticeLog, created: datetime | None = None) -> dict[str, str | bytes]:
    """Contents of the files by name.

    Parameters
    ----------
    run : of `run_reconstruction`
    log : receives why a file was not written
    created : moment stamped into DICOM files

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
    found["corrections.json"] = _sidecar(run)
    return found


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
