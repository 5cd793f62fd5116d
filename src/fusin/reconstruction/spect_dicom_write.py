"""DICOM NM objects of SPECT: projections for tests and simulations, and the quantitative image that dosimetry reads.

The image states what readers of dosimetry software ask for: date and time of the acquisition, Bq/mL as a real world value and
as Units (0054,1001) with Rescale Slope, Decay Correction (0054,1102), the corrections (0028,0051), nuclide and injection, and
the time of the rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fusin.errors import InputError
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader, TagMap, ds_text
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.spect_acquisition import SpectAcquisition
from fusin.reconstruction.spect_geometry import SpectGeometry

__all__ = ["CORRECTIONS", "write_nm_projections", "write_quantitative_spect"]

# Corrected Image (0028,0051): what was corrected, in the defined terms of PS3.3 C.8.4.8.
CORRECTIONS = ("ATTN", "SCAT", "DTIM", "DECY", "UNIF", "COR", "NCO", "NRGY", "LIN", "MOTN", "CLN")
_LARGEST = 65535.0


def write_nm_projections(
    path: Path, acquisition: SpectAcquisition, *, study: StudyHeader, injection: InjectionHeader, seed_uid: str, heads: int = 1,
    series_number: int = 6, description: str = "SPECT projections", tags: TagMap | None = None,
    detector_tags: TagMap | None = None, rotation_tags: TagMap | None = None,
) -> Path:  # fmt: skip
    """Write the projections of one bed as one NM TOMO object; counts are rounded.

    Parameters
    ----------
    path : file to write
    acquisition : views of one bed at even angular steps, those of each head one after the other
    study, injection : header fields
    seed_uid : UIDs depend on it, on the study and on the series number only
    heads : number of detectors; the views are split evenly among them
    tags, detector_tags, rotation_tags : attributes to set or, with None, to delete, of the object and of each item

    Raises
    ------
    InputError
        For counts beyond 16 bits, several beds, uneven steps, and views that do not divide among the heads.
    """
    from fusin.imaging.dicom_headers import apply_tags
    from fusin.imaging.dicom_write import write_nm

    geometry = acquisition.geometry
    if heads < 1 or geometry.views % heads:
        raise InputError("SPECT projections", "heads", heads, f"a divisor of the {geometry.views} views")
    if np.ptp(geometry.first_row_mm) > 1e-6:
        raise InputError(
            "SPECT projections", "first_row_mm", float(np.ptp(geometry.first_row_mm)), "one bed for each file"
        )
    each = geometry.views // heads
    step = _step(geometry, heads)
    windows = len(acquisition.windows)
    moment = acquisition.started or study.study_datetime
    time_s = acquisition.view_time_s() or 20.0
    # Stored rows run from head to feet, as cameras write them.
    frames = acquisition.counts[:, :, ::-1].reshape(windows * geometry.views, geometry.rows, geometry.columns)
    affine = np.diag([geometry.pixel_mm, geometry.row_mm, 1.0, 1.0])
    volume = Volume(values=frames, grid=Grid(shape=frames.shape, affine=affine,
                    frame_of_reference_uid=acquisition.frame_of_reference_uid), unit="{counts}")  # fmt: skip
    rotation = _rotation(geometry, step, each, time_s)
    detectors = [_detector(geometry, h, each) for h in range(heads)]
    for item in detectors:
        apply_tags(item, detector_tags, where="detector_tags")
    apply_tags(rotation, rotation_tags, where="rotation_tags")
    frame = np.arange(windows * geometry.views)
    own: dict[Any, Any] = {
        "EnergyWindowVector": (frame // geometry.views + 1).tolist(), "NumberOfEnergyWindows": windows,
        "DetectorVector": (frame % geometry.views // each + 1).tolist(), "NumberOfDetectors": heads,
        "AngularViewVector": (frame % each + 1).tolist(), "RotationVector": [1] * frame.size,
        "EnergyWindowInformationSequence": [_window(w) for w in acquisition.windows],
        "DetectorInformationSequence": detectors, "RotationInformationSequence": [rotation], "NumberOfRotations": 1,
        "SpacingBetweenSlices": None, "SliceThickness": None,
    }  # fmt: skip
    return write_nm(path, volume, study=study, injection=injection, acquisition_start=moment, seed_uid=seed_uid, kind="TOMO",
                    frame_duration_s=time_s, description=description, series_number=series_number,
                    tags={**own, **dict(tags or {})})  # fmt: skip


def write_quantitative_spect(
    path: Path, image: Volume, *, study: StudyHeader, injection: InjectionHeader, acquisition_start: datetime, view_time_s: float,
    views: int, corrections: Sequence[str], decay: Literal["START", "NONE"], seed_uid: str, sentences: Sequence[str] = (),
    description: str = "SPECT Bq/mL", series_number: int = 8, tags: TagMap | None = None, rotation: TagMap | None = None,
) -> Path:  # fmt: skip
    """Write a reconstructed SPECT in Bq/mL as one NM RECON TOMO object.

    Parameters
    ----------
    path : file to write
    image : Bq/mL, not negative
    study, injection : header fields
    acquisition_start : start of the first view
    view_time_s, views : time of a view and views that each head took after one another; their product is the duration
    corrections : defined terms of Corrected Image (0028,0051), such as ATTN and SCAT
    decay : whether values refer to the start, or are means over the acquisition
    sentences : what was done, for Image Comments (0020,4000)
    seed_uid : UIDs depend on it, on the study and on the series number only
    tags : further attributes
    rotation : attributes of the rotation as it was; without them, a full turn in even steps

    Raises
    ------
    InputError
        For another unit, negative values, times that are not positive, and terms that DICOM does not define.
    """
    from fusin.imaging.dicom_headers import apply_tags
    from fusin.imaging.dicom_write import write_nm

    if image.unit != "Bq/ml":
        raise InputError("quantitative SPECT", "unit", image.unit, "Bq/ml: a calibration")
    values = np.asarray(image.values)
    if not np.isfinite(values).all() or values.min(initial=0.0) < 0:
        raise InputError("quantitative SPECT", "values", float(np.nanmin(values)), "finite values of 0 or more")
    for name, value in (("view_time_s", view_time_s), ("views", views)):
        if not (np.isfinite(value) and value > 0):
            raise InputError("quantitative SPECT", name, value, "a positive number")
    unknown = [c for c in corrections if c not in CORRECTIONS]
    if unknown or decay not in ("START", "NONE"):
        raise InputError("quantitative SPECT", "corrections", unknown or decay, "terms of " + ", ".join(CORRECTIONS))
    terms = [c for c in dict.fromkeys((*corrections, *(("DECY",) if decay == "START" else ())))
             if c != "DECY" or decay == "START"]  # fmt: skip
    slope = float(values.max(initial=0.0)) / _LARGEST or 1.0
    # Rescale Slope holds 16 characters; both descriptions of a stored value have to be the same number.
    slope = float(ds_text(slope * (1.0 + 1e-12)))
    turned = _whole(views, view_time_s)
    apply_tags(turned, rotation, where="rotation")
    own: dict[Any, Any] = {
        "AcquisitionDateTime": acquisition_start, "Units": "BQML", "RescaleSlope": ds_text(slope), "RescaleIntercept": "0",
        "DecayCorrection": decay, "CorrectedImage": terms or None, "RotationInformationSequence": [turned],
        "ImageComments": " ".join(sentences)[:10240] or None,
        "DerivationDescription": "Statistical reconstruction of projections" if sentences else None,
    }  # fmt: skip
    return write_nm(path, image, study=study, injection=injection, acquisition_start=acquisition_start, seed_uid=seed_uid,
                    kind="RECON TOMO", frame_duration_s=view_time_s, description=description, series_number=series_number,
                    slope=slope, tags={**own, **dict(tags or {})})  # fmt: skip


def _step(geometry: SpectGeometry, heads: int) -> float:
    """Angle between views of a head [degrees], positive."""
    each = geometry.views // heads
    if each == 1:
        return 360.0 / heads
    steps = np.diff(geometry.angles_deg.reshape(heads, each), axis=1)
    sign = -1.0 if geometry.direction == "CW" else 1.0
    step = float(sign * steps[0, 0])
    if not np.allclose(steps, sign * step, atol=1e-4) or step <= 0:
        raise InputError(
            "SPECT projections", "angles_deg", steps.ravel()[:4].tolist(), "even steps in the direction of rotation"
        )
    return step


def _dataset(**attributes: Any) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _rotation(geometry: SpectGeometry, step: float, each: int, time_s: float) -> Any:
    return _dataset(
        StartAngle=ds_text(float(geometry.angles_deg[0])), AngularStep=ds_text(step), RotationDirection=geometry.direction,
        ScanArc=ds_text(step * each), ActualFrameDuration=round(1000.0 * time_s), NumberOfFramesInRotation=each,
    )  # fmt: skip


def _whole(views: int, time_s: float) -> Any:
    return _dataset(StartAngle="0", AngularStep=ds_text(360.0 / views), RotationDirection="CC", ScanArc="360",
                    ActualFrameDuration=round(1000.0 * time_s), NumberOfFramesInRotation=int(views))  # fmt: skip


def _detector(geometry: SpectGeometry, head: int, each: int) -> Any:
    mine = slice(head * each, (head + 1) * each)
    angle = float(geometry.angles_deg[mine][0])
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    top = float(geometry.first_row_mm[0]) + (geometry.rows - 1) * geometry.row_mm
    radius = float(geometry.radii_mm[mine][0])
    first_bin = -0.5 * (geometry.columns - 1) * geometry.pixel_mm
    x = geometry.axis_mm[0] - cosine * first_bin + sine * radius
    y = geometry.axis_mm[1] + sine * first_bin + cosine * radius
    shift = float(geometry.bin_shift_mm[mine].mean())
    return _dataset(
        CollimatorGridName="synthetic", CollimatorType="PARA", StartAngle=ds_text(angle),
        RadialPosition=[ds_text(float(r)) for r in geometry.radii_mm[mine]], CenterOfRotationOffset=ds_text(-shift),
        ImageOrientationPatient=[ds_text(float(v)) for v in (-cosine, sine, 0.0, 0.0, 0.0, -1.0)],
        ImagePositionPatient=[ds_text(float(v)) for v in (x, y, top)],
    )  # fmt: skip


def _window(window: Any) -> Any:
    limits = [] if window.low_kev is None else [
        _dataset(EnergyWindowLowerLimit=ds_text(window.low_kev), EnergyWindowUpperLimit=ds_text(window.high_kev))
    ]  # fmt: skip
    return _dataset(EnergyWindowName=window.name, EnergyWindowRangeSequence=limits)
