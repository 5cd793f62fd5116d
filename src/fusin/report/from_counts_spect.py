"""The SPECT of ``fusin demo --from-counts``: projections of three days as DICOM, reconstructed from TOML files, and doses."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusin.dosimetry.digital_therapy_patient import therapy_facts
from fusin.dosimetry.image_dose import ImageDose, ImageDoseOptions, image_dose
from fusin.dosimetry.image_files import read_image_study
from fusin.dosimetry.image_points import ImageOptions
from fusin.dosimetry.time_activity_region import IntegrationOptions
from fusin.files import write_bytes_atomically
from fusin.imaging.volume import Grid
from fusin.nuclides import nuclide
from fusin.quantification.study import Stage
from fusin.reconstruction.collimator import FWHM_PER_SIGMA
from fusin.reconstruction.cxcr4_patient import cxcr4_ct, cxcr4_patient, uptake_sources
from fusin.reconstruction.spect_geometry import SpectGeometry
from fusin.report.from_counts_pet import FRAME, ct_grid

if TYPE_CHECKING:
    from fusin.imaging.dicom_headers import StudyHeader
    from fusin.provenance import NoticeLog

__all__ = ["TIMES_H", "count_and_dose"]

TIMES_H = (24.0, 72.0, 168.0)
_ADMINISTERED_MBQ, _WEIGHT_KG = 7400.0, 78.0
_VIEWS, _PIXEL_MM, _BINS, _ROWS, _RADIUS_MM, _MIDDLE_Z = 48, 8.0, 52, 46, 250.0, -640.0
_VIEW_S, _CPS_PER_MBQ, _U_PERCENT = 25.0, 10.0, 2.0
_SLOPE, _INTERCEPT_MM = 0.045, 4.5
_FWHM_MM, _RECOVERY_U = 13.0, 0.08
_REGIONS = ("liver", "spleen", "left kidney", "right kidney", "lesion abdomen 20 mm", "lesion pelvis 40 mm")
# The bladder is emptied between the images.
_BLADDER_SUV = 1.0
_CONFIG = """# Made-up projections; the truth stands in ../truth.json.
modality = "spect"
title = "SPECT {hours:g} h"

[data]
projections = "projections_{hours:g}h.dcm"
window = "peak"

[attenuation]
ct = "CT"
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


def count_and_dose(
    folder: Path, *, injected: datetime, seed: int, log: NoticeLog, progress: Stage
) -> tuple[ImageDose, dict[str, float]]:
    """Simulate projections, reconstruct them, and compute doses; with the true time-integrated activities [MBq h].

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
    from fusin.imaging.nifti import write_nifti
    from fusin.reconstruction.acquired import acquire
    from fusin.reconstruction.config import read_config
    from fusin.reconstruction.run import run_reconstruction

    folder.mkdir(parents=True, exist_ok=True)
    grid = ct_grid(low_z=-850.0, high_z=-430.0)
    ct, patient = cxcr4_ct(grid), cxcr4_patient(bq_ml_per_suv=1.0)
    study = StudyHeader(patient_name="Solids^Patient", patient_id="COUNTS-1", sex="M", weight_kg=_WEIGHT_KG, height_m=1.76,
                        frame_of_reference_uid=FRAME, study_datetime=injected, study_description="Therapy from counts")  # fmt: skip
    write_ct_series(folder / "CT", ct, study=study, seed_uid=f"{FRAME} therapy {seed}", dialect="SYNTHETIC")
    write_nifti(folder / "ct.nii.gz", ct)
    write_label_nifti(folder / "regions.nii.gz", [patient.region(name, grid) for name in _REGIONS], grid)
    write_bytes_atomically(folder / "regions.csv", _recoveries(grid).encode())
    rng = np.random.default_rng(seed)
    for number, hours in enumerate(TIMES_H):
        progress("counting projections", number, len(TIMES_H))
        _project(folder / f"projections_{hours:g}h.dcm", hours, injected, study, rng)
        text = _CONFIG.format(hours=hours, slope=_SLOPE, intercept=_INTERCEPT_MM, cps=_CPS_PER_MBQ, u=_U_PERCENT)
        config = read_config(write_bytes_atomically(folder / f"spect_{hours:g}h.toml", text.encode()))
        run = run_reconstruction(config, acquire(config, log=log), log=log)
        write_nifti(folder / f"spect_{hours:g}h.nii.gz", run.image)
    progress("counting projections", len(TIMES_H), len(TIMES_H))
    source = write_bytes_atomically(folder / "study.toml", _study_text(injected).encode())
    # Three points do not choose among curves; the planted ones have one half-life.
    options = ImageDoseOptions(integration=IntegrationOptions(model="mono"), voxels=None)
    found = image_dose(read_image_study(source, options=ImageOptions(), log=log), options=options, log=log)
    truth = {n: patient.volume_ml(n) * _at_start(n) * 1e-6 * _t_eff_h(n) / math.log(2.0) for n in _REGIONS}
    return found, truth


def _project(path: Path, hours: float, injected: datetime, study: StudyHeader, rng: np.random.Generator) -> None:
    """Projections of one day as one DICOM object."""
    from fusin.imaging.dicom_write import InjectionHeader
    from fusin.reconstruction.collimator import CollimatorResponse
    from fusin.reconstruction.simulate_spect import ScatterModel, simulate_spect
    from fusin.reconstruction.spect_dicom_write import write_nm_projections

    names = uptake_sources()
    activity = {name: _at_start(name) * 2.0 ** (-hours / _t_eff_h(name)) for name in names}
    patient = cxcr4_patient(bq_ml_per_suv=1.0, energy_kev=208.37, activity_bq_ml=activity)
    geometry = SpectGeometry.circular(views=_VIEWS, radius_mm=_RADIUS_MM, pixel_mm=_PIXEL_MM, rows=_ROWS, columns=_BINS,
                                      first_row_mm=_MIDDLE_Z - 0.5 * (_ROWS - 1) * _PIXEL_MM)  # fmt: skip
    counted = simulate_spect(
        patient, geometry, response=CollimatorResponse.linear(slope=_SLOPE, intercept_mm=_INTERCEPT_MM), cps_per_mbq=_CPS_PER_MBQ,
        view_time_s=_VIEW_S, rng=rng, heads=2, started=injected + timedelta(hours=hours), scatter=ScatterModel(),
        frame_of_reference_uid=FRAME, mesh=2,
    )  # fmt: skip
    injection = InjectionHeader(activity_mbq=_ADMINISTERED_MBQ, time=injected, half_life_s=nuclide("Lu-177").half_life_s,
                                nuclide="Lu-177", radiopharmaceutical="Pentixather")  # fmt: skip
    write_nm_projections(
        path, counted.acquisition, study=study, injection=injection, seed_uid=f"{FRAME} {hours:g}", heads=2
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


def _recoveries(grid: Grid) -> str:
    """Recovery of each region after a Gaussian blur of what was planted, at the time of the first image.

    The width is one at which a blur of the planted activity comes near the reconstructed images; a site measures it with a phantom.
    """
    from scipy.ndimage import gaussian_filter

    activity = {name: _at_start(name) * 2.0 ** (-TIMES_H[0] / _t_eff_h(name)) for name in uptake_sources()}
    patient = cxcr4_patient(bq_ml_per_suv=1.0, activity_bq_ml=activity)
    sharp = patient.on_grid(grid, samples=(2, 2, 2))[0].values
    blurred = gaussian_filter(sharp, _FWHM_MM / FWHM_PER_SIGMA / grid.spacing_mm[0])
    rows = ["name,kind,recovery,recovery_u"]
    for name in _REGIONS:
        inside = patient.region(name, grid).mask()
        value = float(blurred[inside].mean()) / activity[name]
        kind = "lesion" if name.startswith("lesion") else "organ"
        rows.append(f"{name},{kind},{value:.4f},{_RECOVERY_U * value:.4f}")
    return "\n".join(rows) + "\n"


def _study_text(injected: datetime) -> str:
    lines = [
        'nuclide = "Lu-177"', f"administered_mbq = {_ADMINISTERED_MBQ:g}", f"injected = {injected.isoformat()}",
        'regions = "regions.nii.gz"', 'notes = "regions.csv"', 'ct = "ct.nii.gz"', f"\n[calibration]\nu_percent = {_U_PERCENT:g}",
    ]  # fmt: skip
    for hours in TIMES_H:
        lines += [
            f'\n[[image]]\nname = "SPECT {hours:g} h"\nfile = "spect_{hours:g}h.nii.gz"',
            f'measured = {(injected + timedelta(hours=hours)).isoformat()}\nunit = "Bq/mL"\ndecay_correction = "start"',
            f"duration_s = {_VIEW_S * _VIEWS / 2:g}",
        ]
    return "\n".join(lines) + "\n"
