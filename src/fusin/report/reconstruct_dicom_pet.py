"""A reconstructed PET as a DICOM series: one object for each slice, in Bq/mL at the start of the acquisition."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fusin.imaging.volume import Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.reconstruction.run import Run
from fusin.report.reconstruct_dicom import isotope_item, study_tags

__all__ = ["pet_dicom"]

_INJECTION = ("RadionuclideTotalDose", "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime")

_ORIENTATION = ("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence")


def pet_dicom(run: Run, folder: Path, *, created: datetime | None, log: NoticeLog) -> list[Path]:
    """Write a PET as a series; return the paths.

    The frame of reference is that of the study's object where attenuation was corrected, since map and image then share their
    coordinates; without it the image has one of its own.

    Parameters
    ----------
    run : that lacks nothing of `missing_for_dicom`
    folder : of the files
    created : moment stamped into them; the start of the acquisition without it
    log : receives DICOM_WITHOUT_SUV, INJECTION_REPLACED and the notices of the writer
    """
    from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader, make_uid
    from fusin.imaging.dicom_write import write_pet_series
    from fusin.reconstruction.acquired import digest_of

    acquired = run.acquired
    assert acquired.started is not None
    assert acquired.duration_s is not None
    started, header = acquired.started, acquired.header
    own = _study_and_corrections(run, created or started, log)
    item = _injection_item(run, own, log)
    study_uid = str(header.get("StudyInstanceUID", ""))
    frame = str(header.get("FrameOfReferenceUID", "")) if acquired.mu is not None else ""
    study = StudyHeader(study_uid=study_uid, study_datetime=started,
                        frame_of_reference_uid=frame or make_uid("frame", study_uid, digest_of(run.image.values)))  # fmt: skip
    injection = InjectionHeader(activity_mbq=0.0, time=started, half_life_s=nuclide(acquired.nuclide).half_life_s,
                                nuclide=acquired.nuclide, radiopharmaceutical="")  # fmt: skip
    return write_pet_series(
        folder, Volume(values=np.asarray(run.image.values, np.float32), grid=run.image.grid, unit="Bq/ml"),
        study=study, injection=injection, acquisition_start=started, frame_duration_s=acquired.duration_s, dialect="SYNTHETIC",
        seed_uid=digest_of(run.image.values), description="fusin PET Bq/mL (research use only)",
        attenuation_corrected="ATTN" in acquired.terms, tags=own | {"RadiopharmaceuticalInformationSequence": [item]},
    )  # fmt: skip


def _study_and_corrections(run: Run, created: datetime, log: NoticeLog) -> dict[Any, Any]:
    """Attributes that replace those of the writer's example patient and scanner."""
    config, terms = run.config, run.acquired.terms
    state = run.result.state
    method = f"{config.algorithm.upper()} {state.iteration}i{run.result.options.subsets}s"
    randoms, scatter = config.fields("randoms"), config.fields("scatter").stated_text("method")
    tags = study_tags(run, created, log) | {
        "CorrectedImage": [*terms, "DECY"], "ReconstructionMethod": method,
        # A file of expected randoms does not say how they were found, which is no method of the standard.
        "RandomsCorrectionMethod": "NONE" if "RAN" not in terms else "DLYD" if "delayed" in randoms else None,
        "ScatterCorrectionMethod": {"simulated": "single scatter simulation", "file": "estimate from a file"}.get(scatter),
        "AttenuationCorrectionMethod": _attenuation_method(run), "ImageComments": " ".join(run.corrections)[:10240],
        **{keyword: _items(run, keyword) for keyword in _ORIENTATION},
    }  # fmt: skip
    weight = config.weight_kg
    if weight is not None:
        from fusin.imaging.dicom_headers import ds_text

        held = tags.get("PatientWeight")
        if held is not None and abs(float(held) - weight) > 0.05:
            log.adapted("INJECTION_REPLACED", f"the stated weight of {weight:g} kg was written instead of {float(held):g} kg",
                        where="PatientWeight", raw=float(held), used=weight)  # fmt: skip
        tags["PatientWeight"] = ds_text(weight)
    return tags


def _items(run: Run, keyword: str) -> list[Any]:
    """How the patient lay, as the object of the study says; empty where it does not."""
    return list(run.acquired.header.get(keyword) or ())


def _attenuation_method(run: Run) -> str | None:
    if "ATTN" not in run.acquired.terms:
        return None
    return "measured, CT" if "ct" in run.config.fields("attenuation") else "measured, map of coefficients"


def _injection_item(run: Run, tags: dict[Any, Any], log: NoticeLog) -> Any:
    """The radiopharmaceutical of the study, with the injection that the configuration states."""
    from fusin.imaging.dicom_headers import ds_text, dt_text

    item, stated, started = isotope_item(run), run.config.injection, run.acquired.started
    assert started is not None
    if stated is not None:
        time = stated.time if started.tzinfo is None else stated.time.astimezone(started.tzinfo)
        held = [f"{k} {item.get(k)}" for k in _INJECTION if item.get(k)]
        if held:
            log.adapted("INJECTION_REPLACED", f"the stated injection of {stated.activity_mbq:g} MBq at {time.isoformat()} was "
                        f"written instead of the study's ({', '.join(held)})", where="dicom", raw=held)  # fmt: skip
        item.RadionuclideTotalDose = ds_text(stated.activity_mbq * 1e6)
        item.RadiopharmaceuticalStartDateTime = dt_text(time)
        item.RadiopharmaceuticalStartTime = time.strftime("%H%M%S.%f")
    lacking = [words for words, there in (
        ("the injected activity (injected_mbq)", item.get("RadionuclideTotalDose")),
        ("the time of injection (injected)", any(item.get(k) for k in _INJECTION[1:])),
        ("the weight (weight_kg)", tags.get("PatientWeight")),
        ("an attenuation correction", "ATTN" in run.acquired.terms),
    ) if not there]  # fmt: skip
    if lacking:
        log.info("DICOM_WITHOUT_SUV", "the DICOM series gives Bq/mL and no SUV, which needs " + ", ".join(lacking), where="dicom",
                 raw=lacking)  # fmt: skip
    return item
