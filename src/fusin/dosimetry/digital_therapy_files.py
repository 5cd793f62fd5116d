"""Files of the digital therapy patient: DICOM as several cameras write it, NIfTI, regions, blood samples, and the truth.

One patient can be written in several forms that mean the same: reconstructed NM in Bq/mL or in counts, PET-like series whose
decay correction is NONE, START or ADMIN, or NIfTI. All forms of one patient hold the same activity.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from fusin.dosimetry.digital_therapy_patient import TherapyPatient, therapy_facts
from fusin.dosimetry.digital_therapy_truth import truth_document
from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.pet_encoding import DecayReference
from fusin.imaging.volume import Volume
from fusin.nuclides import nuclide

if TYPE_CHECKING:
    from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader

__all__ = ["FORMS", "Form", "WrittenTherapy", "blood_csv", "regions_csv", "write_therapy_patient"]

Form = Literal["nm", "nm-counts", "pet-none", "pet-start", "pet-admin", "nifti"]
FORMS: Mapping[Form, str] = {
    "nm": "reconstructed SPECT (NM) in Bq/mL by a real world value mapping",
    "nm-counts": "reconstructed SPECT (NM) in counts",
    "pet-none": "PET-like series in BQML, DecayCorrection NONE",
    "pet-start": "PET-like series in BQML, DecayCorrection START",
    "pet-admin": "PET-like series in BQML, DecayCorrection ADMIN",
    "nifti": "NIfTI in Bq/mL, not decay-corrected",
}
"""Ways to write the images, with what they mean."""

_VIEWS = 64
_DECAY: Mapping[str, DecayReference] = {"pet-none": "NONE", "pet-start": "START", "pet-admin": "ADMIN"}
_NM_TAGS = {"CorrectedImage": ["UNIF", "ATTN", "SCAT", "COR"], "DecayCorrection": "NONE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTherapy:
    """Where a patient was written.

    Attributes
    ----------
    folder : holds everything below
    source : what ``fusin dose images`` reads: the folder of DICOM, or the TOML file that describes the NIfTI files
    images : folder with the images, the CT and the regions
    spect : file or folder of each SPECT
    ct : folder of the CT, or its file
    regions : DICOM Segmentation, or NIfTI label map
    notes : CSV of the regions: kind, mass, recovery
    blood : CSV of the blood samples, as a region of one millilitre
    truth : JSON of what is known
    """

    folder: Path
    source: Path
    images: Path
    spect: tuple[Path, ...]
    ct: Path
    regions: Path
    notes: Path
    blood: Path
    truth: Path


def write_therapy_patient(folder: Path, patient: TherapyPatient, *, form: Form = "nm") -> WrittenTherapy:
    """Write a patient: images and CT, regions, notes, blood samples, truth.

    Parameters
    ----------
    folder : created where absent; files of an earlier call are replaced
    patient : what to write
    form : how the images are written; see `FORMS`

    Raises
    ------
    InputError
        For an unknown form.
    """
    if form not in FORMS:
        raise InputError("therapy patient", "form", form, f"one of {', '.join(FORMS)}")
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    spect, ct, regions = _nifti(images, patient) if form == "nifti" else _dicom(images, patient, form)
    texts = {
        "regions.csv": regions_csv(patient),
        "blood.csv": blood_csv(patient),
        "truth.json": json.dumps(truth_document(patient), indent=1) + "\n",
    }
    notes, blood, truth = (write_bytes_atomically(folder / name, text.encode("utf-8")) for name, text in texts.items())
    source = images
    if form == "nifti":
        source = write_bytes_atomically(
            folder / "study.toml", _description(patient, spect, ct, regions).encode("utf-8")
        )
    return WrittenTherapy(folder=folder, source=source, images=images, spect=spect, ct=ct, regions=regions, notes=notes,
                          blood=blood, truth=truth)  # fmt: skip


def regions_csv(patient: TherapyPatient) -> str:
    """Kind, mass and recovery of each region, as ``fusin dose images --notes`` reads them."""
    u, biology = therapy_facts()["spect"]["insert_u_percent"] / 100.0, therapy_facts()["biology"]
    rows: list[list[object]] = [
        [
            "name",
            "kind",
            "mass_g",
            "mass_u_g",
            "density_g_ml",
            "recovery",
            "recovery_u",
            "alpha_beta_gy",
            "repair_half_time_h",
        ]
    ]
    for region in patient.regions:
        part, recovery = patient.compartments[region.name], patient.recovery[region.name]
        known = (
            [biology["alpha_beta_gy"], biology["repair_half_time_h"]] if region.name in biology["regions"] else ["", ""]
        )
        rows.append([region.name, part.kind, f"{part.mass_g:.4g}", f"{_MASS_U[part.kind] * part.mass_g:.2g}",
                     f"{part.density_g_ml:g}", f"{recovery:.4f}", f"{u * recovery:.4f}", *known])  # fmt: skip
    return _csv(rows)


# Outlines of the CT: better known for an organ than for a lesion.
_MASS_U: Mapping[str, float] = {"organ": 0.03, "marrow": 0.05, "lesion": 0.08}


def blood_csv(patient: TherapyPatient) -> str:
    """Blood samples as a time-activity table of a region of 1 mL, for ``fusin dose``."""
    u = therapy_facts()["study"]["blood_u_percent"] / 100.0
    rows: list[list[object]] = [["region", "time_h", "activity_mbq", "uncertainty_mbq"]]
    rows += [["blood, 1 mL", f"{t:g}", f"{a:.5g}", f"{u * a:.3g}"] for t, a in patient.blood]
    return _csv(rows)


def _csv(rows: list[list[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _dicom(images: Path, patient: TherapyPatient, form: Form) -> tuple[tuple[Path, ...], Path, Path]:
    """SPECT, CT and a Segmentation that refers to the CT."""
    from pydicom import dcmread

    from fusin.imaging.dicom_write import write_ct_series
    from fusin.imaging.segment_objects import write_seg
    from fusin.provenance import NoticeLog

    write = _nm if form.startswith("nm") else _pet
    spect = tuple(write(images, patient, index, form) for index in range(len(patient.times_h)))
    ct = write_ct_series(
        images / "CT", patient.ct, study=_study(patient, 0), seed_uid=_seed(patient), dialect="SYNTHETIC",
        description="CT of the first SPECT", acquisition_start=patient.start(0),
    )  # fmt: skip
    headers = [dcmread(path, stop_before_pixels=True) for path in ct]
    regions = write_seg(
        images / "SEG_regions.dcm", patient.regions, source=headers, log=NoticeLog(), created=patient.start(0),
        series_number=901, series_description="Regions on the CT", algorithm_name="fusin digital patient",
    )  # fmt: skip
    return spect, images / "CT", regions


def _seed(patient: TherapyPatient) -> str:
    return f"therapy patient {patient.seed} {patient.injected.isoformat()}"


def _study(patient: TherapyPatient, index: int) -> StudyHeader:
    from fusin.imaging.dicom_write import StudyHeader

    return StudyHeader(
        patient_name="Digital^Therapy", patient_id="DIGITAL-1", sex="M", weight_kg=78.0, height_m=1.76,
        frame_of_reference_uid=patient.grid.frame_of_reference_uid, study_datetime=patient.start(index),
        study_description="177Lu-pentixather dosimetry",
    )  # fmt: skip


def _injection(patient: TherapyPatient) -> InjectionHeader:
    from fusin.imaging.dicom_write import InjectionHeader

    return InjectionHeader(
        activity_mbq=patient.administered_mbq, time=patient.injected, half_life_s=nuclide(patient.nuclide).half_life_s,
        nuclide=patient.nuclide, radiopharmaceutical="Pentixather",
    )  # fmt: skip


def _label(patient: TherapyPatient, index: int) -> str:
    return f"SPECT {patient.times_h[index]:g} h"


def _nm(images: Path, patient: TherapyPatient, index: int, form: Form) -> Path:
    """One reconstructed NM object; its counts are those of the calibration, or its mapping gives Bq/mL."""
    from fusin.imaging.dicom_write import write_nm

    concentration = np.asarray(patient.spect[index].values, np.float64)
    if form == "nm":
        volume = Volume(values=concentration * 1e6, grid=patient.grid, unit="Bq/ml")
    else:
        factor = therapy_facts()["spect"]["calibration_cps_per_mbq"]
        expected = concentration * patient.grid.voxel_volume_ml * factor * patient.duration_s
        # What rounding takes from one voxel goes to the next: half a count is much where few were counted.
        counts = np.diff(np.rint(np.cumsum(expected.ravel())), prepend=0.0).reshape(expected.shape)
        volume = Volume(values=counts, grid=patient.grid, unit="{counts}")
    return write_nm(
        images / f"SPECT_{index + 1}.dcm", volume, study=_study(patient, index), injection=_injection(patient),
        acquisition_start=patient.start(index), seed_uid=_seed(patient), frame_duration_s=patient.duration_s / _VIEWS,
        description=_label(patient, index), series_number=10 + index, tags=_NM_TAGS,
    )  # fmt: skip


def _pet(images: Path, patient: TherapyPatient, index: int, form: Form) -> Path:
    """One series; the writer takes activity at the start and refers it to the moment that the header names."""
    from fusin.imaging.dicom_write import write_pet_series

    x = math.log(2.0) * patient.duration_s / nuclide(patient.nuclide).half_life_s
    start = np.asarray(patient.spect[index].values, np.float64) * (1e6 * x / -math.expm1(-x))
    folder = images / f"SPECT_{index + 1}"
    write_pet_series(
        folder, Volume(values=start, grid=patient.grid, unit="Bq/ml"), study=_study(patient, index),
        injection=_injection(patient), acquisition_start=patient.start(index), seed_uid=_seed(patient), dialect="SYNTHETIC",
        decay=_DECAY[form], frame_duration_s=patient.duration_s,
        description=_label(patient, index), series_number=10 + index,
    )  # fmt: skip
    return folder


def _nifti(images: Path, patient: TherapyPatient) -> tuple[tuple[Path, ...], Path, Path]:
    from fusin.imaging.masks import write_label_nifti
    from fusin.imaging.nifti import write_nifti

    spect = tuple(
        write_nifti(images / f"spect_{index + 1}.nii.gz",
                    Volume(values=np.asarray(v.values, np.float32) * np.float32(1e6), grid=v.grid, unit="Bq/ml"))
        for index, v in enumerate(patient.spect)
    )  # fmt: skip
    ct = write_nifti(images / "ct.nii.gz", patient.ct)
    regions = write_label_nifti(images / "regions.nii.gz", patient.regions, patient.ct.grid)
    return spect, ct, regions


def _description(patient: TherapyPatient, spect: tuple[Path, ...], ct: Path, regions: Path) -> str:
    """The study as a TOML file beside the folder of its NIfTI files."""
    lines = [
        f'nuclide = "{patient.nuclide}"',
        f"administered_mbq = {patient.administered_mbq:g}",
        f"injected = {patient.injected.isoformat()}",
        f'regions = "images/{regions.name}"',
        'notes = "regions.csv"',
        f'ct = "images/{ct.name}"',
        f"\n[calibration]\nu_percent = {therapy_facts()['spect']['calibration_u_percent']:g}",
    ]
    for index, path in enumerate(spect):
        lines += [
            f'\n[[image]]\nname = "{_label(patient, index)}"\nfile = "images/{path.name}"',
            f'measured = {patient.start(index).isoformat()}\nunit = "Bq/mL"\ndecay_correction = "none"',
            f"duration_s = {patient.duration_s:g}",
        ]
    return "\n".join(lines) + "\n"
