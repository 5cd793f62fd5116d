"""The SPECT of ``fusin demo --from-counts``: projections of three days as DICOM, reconstructed from TOML files, and doses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusin.dosimetry.digital_therapy_patient import therapy_facts
from fusin.dosimetry.image_dose import ImageDose, ImageDoseOptions, image_dose
from fusin.dosimetry.image_files import read_image_study
from fusin.dosimetry.image_points import ImageOptions
from fusin.dosimetry.quantitative_spect import Measured
from fusin.dosimetry.time_activity_region import IntegrationOptions
from fusin.files import write_bytes_atomically
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.quantification.study import Stage
from fusin.reconstruction.attenuation_lines import hounsfield_line
from fusin.reconstruction.cxcr4_patient import cxcr4_ct, cxcr4_patient, uptake_sources
from fusin.reconstruction.phantoms import Phantom
from fusin.reconstruction.spect_geometry import SpectGeometry
from fusin.report.from_counts_pet import FRAME, ct_grid
from fusin.report.from_counts_recovery import Recovery, measured_recovery, recovery_of, sphere_phantom
from fusin.report.plate import Figure
from fusin.report.reconstruct_figures import image_figure

if TYPE_CHECKING:
    from fusin.imaging.dicom_headers import StudyHeader
    from fusin.reconstruction.run import Run

__all__ = ["TIMES_H", "CountedTherapy", "count_and_dose"]

TIMES_H = (24.0, 72.0, 168.0)
_ADMINISTERED_MBQ, _WEIGHT_KG = 7400.0, 78.0
_VIEWS, _PIXEL_MM, _BINS, _ROWS, _RADIUS_MM, _MIDDLE_Z = 48, 8.0, 52, 46, 250.0, -640.0
_VIEW_S, _CPS_PER_MBQ, _U_PERCENT = 25.0, 10.0, 2.0
_SLOPE, _INTERCEPT_MM = 0.045, 4.5
_ENERGY_KEV, _MESH = 208.37, 2
_RANDOM_PERCENT = 5.0
_REGIONS = ("liver", "spleen", "left kidney", "right kidney", "lesion abdomen 20 mm", "lesion pelvis 40 mm")
# The bladder is emptied between the images.
_BLADDER_SUV = 1.0
_CONFIG = """# Made-up projections; the truth stands in ../truth.json.
modality = "spect"
title = "SPECT {name}"

[data]
projections = "projections_{name}.dcm"
window = "peak"

[attenuation]
ct = "{ct}"
energy_kev = 208.37

[scatter]
method = "tew"
lower = "lower"
upper = "upper"

[resolution]
slope = {slope:g}
intercept_mm = {intercept:g}

[algorithm]
name = "osem"
iterations = 6
subsets = 8

[calibration]
cps_per_mbq = {cps:g}
u_percent = {u:g}
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountedTherapy:
    """What the SPECT gave.

    Attributes
    ----------
    doses : of the regions
    truth : planted time-integrated activities [MBq h]
    recovery : measured on spheres
    divided_by : what each region was divided by
    figures : planes of the spheres and of the patient
    """

    doses: ImageDose
    truth: dict[str, float]
    recovery: Recovery
    divided_by: Mapping[str, Measured]
    figures: tuple[Figure, ...]


def count_and_dose(folder: Path, *, injected: datetime, seed: int, log: NoticeLog, progress: Stage) -> CountedTherapy:
    """Simulate projections of a phantom and a patient, reconstruct them, and compute doses.

    Parameters
    ----------
    folder : receives projections, configurations, images, CT, regions and ``study.toml``
    injected : moment of the injection
    seed : of the counts
    log : receives the notices of all steps
    progress : called with (stage, done, total)
    """
    from fusin.imaging.dicom_write import StudyHeader, write_ct_series
    from fusin.imaging.masks import write_label_nifti

    folder.mkdir(parents=True, exist_ok=True)
    grid = ct_grid(low_z=-850.0, high_z=-430.0)
    ct, patient = cxcr4_ct(grid), cxcr4_patient(bq_ml_per_suv=1.0)
    study = StudyHeader(patient_name="Solids^Patient", patient_id="COUNTS-1", sex="M", weight_kg=_WEIGHT_KG, height_m=1.76,
                        frame_of_reference_uid=FRAME, study_datetime=injected, study_description="Therapy from counts")  # fmt: skip
    write_ct_series(folder / "CT", ct, study=study, seed_uid=f"{FRAME} therapy {seed}", dialect="SYNTHETIC")
    write_nifti(folder / "ct.nii.gz", ct)
    regions = [patient.region(name, grid) for name in _REGIONS]
    write_label_nifti(folder / "regions.nii.gz", regions, grid)
    rng = np.random.default_rng(seed)
    steps = len(TIMES_H) + 1
    progress("counting projections", 0, steps)
    recovery, picture = _spheres(folder, injected - timedelta(days=1), study, rng, seed, log)
    figures = [picture]
    for number, hours in enumerate(TIMES_H):
        progress("counting projections", number + 1, steps)
        activity = {name: _at_start(name) * 2.0 ** (-hours / _t_eff_h(name)) for name in uptake_sources()}
        counted = cxcr4_patient(bq_ml_per_suv=1.0, energy_kev=_ENERGY_KEV, activity_bq_ml=activity)
        run = _image(folder, f"{hours:g}h", counted, injected, study, rng, log, delay_h=hours)
        if number == 0:
            divided_by = recovery_of(recovery, run.image, regions)
            figures.append(_picture(run, "patient", f"The patient after {hours:g} h."))
    progress("counting projections", steps, steps)
    write_bytes_atomically(folder / "regions.csv", _notes(divided_by).encode())
    source = write_bytes_atomically(folder / "study.toml", _study_text(injected).encode())
    # Three points do not choose among curves; the planted ones have one half-life.
    options = ImageDoseOptions(integration=IntegrationOptions(model="mono"), voxels=None)
    found = image_dose(read_image_study(source, options=ImageOptions(), log=log), options=options, log=log)
    truth = {n: patient.volume_ml(n) * _at_start(n) * 1e-6 * _t_eff_h(n) / math.log(2.0) for n in _REGIONS}
    return CountedTherapy(doses=found, truth=truth, recovery=recovery, divided_by=divided_by, figures=tuple(figures))


def _spheres(
    folder: Path, filled: datetime, study: StudyHeader, rng: np.random.Generator, seed: int, log: NoticeLog
) -> tuple[Recovery, Figure]:
    """Recovery from a phantom that the same camera counts before the patient."""
    from fusin.imaging.dicom_write import write_ct_series

    water = float(hounsfield_line(energy_kev=_ENERGY_KEV, kvp=120.0, log=NoticeLog()).mu_per_cm(0.0))
    phantom, fine = sphere_phantom(middle_z_mm=_MIDDLE_Z, mu_per_cm=water), ct_grid(low_z=-830.0, high_z=-446.0)
    numbers = np.rint(1000.0 * (phantom.on_grid(fine, samples=(2, 2, 2))[1].values / water - 1.0)).astype(np.int16)
    own = replace(study, patient_name="Spheres^Phantom", patient_id="COUNTS-2", study_datetime=filled)
    write_ct_series(folder / "CT_spheres", Volume(values=numbers, grid=fine, unit="[hnsf'U]"), study=own,
                    seed_uid=f"{FRAME} spheres {seed}", dialect="SYNTHETIC")  # fmt: skip
    run = _image(folder, "spheres", phantom, filled, own, rng, log, delay_h=1.0, ct="CT_spheres")
    return measured_recovery(run.image, phantom, fine), _picture(run, "spheres", "The phantom with ten spheres.")


def _picture(run: Run, name: str, what: str) -> Figure:
    made = image_figure(run)
    return replace(made, name=name, caption=f"{what} {made.caption}")


def _image(
    folder: Path, name: str, phantom: Phantom, injected: datetime, study: StudyHeader, rng: np.random.Generator, log: NoticeLog,
    *, delay_h: float, ct: str = "CT",
) -> Run:  # fmt: skip
    """Count a phantom, write its projections as one DICOM object and a configuration, and reconstruct from these files."""
    from fusin.reconstruction.acquired import acquire
    from fusin.reconstruction.config import read_config
    from fusin.reconstruction.run import run_reconstruction

    _project(folder / f"projections_{name}.dcm", phantom, injected, delay_h, study, rng)
    text = _CONFIG.format(name=name, ct=ct, slope=_SLOPE, intercept=_INTERCEPT_MM, cps=_CPS_PER_MBQ, u=_U_PERCENT)
    config = read_config(write_bytes_atomically(folder / f"spect_{name}.toml", text.encode()))
    run = run_reconstruction(config, acquire(config, log=log), log=log)
    write_nifti(folder / f"spect_{name}.nii.gz", run.image)
    return run


def _project(
    path: Path, phantom: Phantom, injected: datetime, delay_h: float, study: StudyHeader, rng: np.random.Generator
) -> None:
    """Projections of one acquisition as one DICOM object."""
    from fusin.imaging.dicom_write import InjectionHeader
    from fusin.reconstruction.collimator import CollimatorResponse
    from fusin.reconstruction.simulate_spect import ScatterModel, simulate_spect
    from fusin.reconstruction.spect_dicom_write import write_nm_projections

    geometry = SpectGeometry.circular(views=_VIEWS, radius_mm=_RADIUS_MM, pixel_mm=_PIXEL_MM, rows=_ROWS, columns=_BINS,
                                      first_row_mm=_MIDDLE_Z - 0.5 * (_ROWS - 1) * _PIXEL_MM)  # fmt: skip
    counted = simulate_spect(
        phantom, geometry, cps_per_mbq=_CPS_PER_MBQ, view_time_s=_VIEW_S, rng=rng,
        response=CollimatorResponse.linear(slope=_SLOPE, intercept_mm=_INTERCEPT_MM), heads=2, mesh=_MESH, scatter=ScatterModel(),
        started=injected + timedelta(hours=delay_h), frame_of_reference_uid=FRAME,
    )  # fmt: skip
    injection = InjectionHeader(activity_mbq=_ADMINISTERED_MBQ, time=injected, nuclide="Lu-177",
                                half_life_s=nuclide("Lu-177").half_life_s, radiopharmaceutical="Pentixather")  # fmt: skip
    write_nm_projections(
        path, counted.acquisition, study=study, injection=injection, seed_uid=f"{FRAME} {path.stem}", heads=2
    )


def _t_eff_h(name: str) -> float:
    """Effective half-life of a part, as the digital therapy patient has it."""
    facts = therapy_facts()
    if name in facts["compartment"]:
        return float(facts["compartment"][name]["t_eff_h"])
    if name == "marrow":
        return float(facts["marrow"]["t_eff_h"])
    if name.startswith("lesion"):
        return float(facts["lesion"][0]["t_eff_h"])
    return float(facts["compartment"]["rest"]["t_eff_h"])


def _at_start(name: str) -> float:
    """Concentration [Bq/mL] that the curve has at the injection: that of the uptake before therapy."""
    suv = _BLADDER_SUV if name == "urinary bladder" else uptake_sources()[name][0]
    return suv * _ADMINISTERED_MBQ * 1e3 / _WEIGHT_KG


def _notes(divided_by: Mapping[str, Measured]) -> str:
    """Table of regions with what each is divided by."""
    rows = ["name,kind,recovery,recovery_u"]
    for name, found in divided_by.items():
        kind = "lesion" if name.startswith("lesion") else "organ"
        rows.append(f"{name},{kind},{found.value:.4f},{found.u:.4f}")
    return "\n".join(rows) + "\n"


def _study_text(injected: datetime) -> str:
    lines = [
        'nuclide = "Lu-177"', f"administered_mbq = {_ADMINISTERED_MBQ:g}", f"injected = {injected.isoformat()}",
        'regions = "regions.nii.gz"', 'notes = "regions.csv"', 'ct = "ct.nii.gz"', f"random_u_percent = {_RANDOM_PERCENT:g}",
        f"\n[calibration]\nu_percent = {_U_PERCENT:g}",
    ]  # fmt: skip
    for hours in TIMES_H:
        lines += [
            f'\n[[image]]\nname = "SPECT {hours:g} h"\nfile = "spect_{hours:g}h.nii.gz"',
            f'measured = {(injected + timedelta(hours=hours)).isoformat()}\nunit = "Bq/mL"\ndecay_correction = "start"',
            f"duration_s = {_VIEW_S * _VIEWS / 2:g}",
        ]
    return "\n".join(lines) + "\n"
