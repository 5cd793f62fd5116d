"""The PET of ``fusin demo --from-counts``: coincidences of a patient, reconstructed, written as DICOM, and read like any other."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from fusin.imaging.volume import Grid, Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.quantification.pipeline import ReadOptions, read_study
from fusin.quantification.reading import Reading
from fusin.quantification.study import Stage, StudyOptions
from fusin.reconstruction.cxcr4_patient import cxcr4_ct, cxcr4_patient
from fusin.reconstruction.phantoms import Phantom

__all__ = ["FRAME", "count_and_read", "ct_grid"]

FRAME = "2.25.311072940471063940185211763100561"
"""Frame of reference of the patient."""

_INJECTED_MBQ, _WEIGHT_KG, _UPTAKE_MIN = 150.0, 78.0, 60.0
_CRYSTALS, _RINGS, _RADIUS_MM, _RING_MM, _BINS = 192, 90, 380.0, 12.0, 69
_MIDDLE_Z, _PIXEL_MM, _COLUMNS = -560.0, 6.0, 71
_TRUES, _SCATTER, _RANDOMS = 3e7, 0.35, 0.3
_ITERATIONS, _SUBSETS = 2, 8
_ORGANS = {
    "liver": "liver", "spleen": "spleen", "left kidney": "kidney_left", "right kidney": "kidney_right",
    "urinary bladder": "urinary_bladder", "left adrenal": "adrenal_gland_left", "right adrenal": "adrenal_gland_right",
}  # fmt: skip


def ct_grid(*, pitch_mm: float = 4.0, low_z: float = -1106.0, high_z: float = -2.0) -> Grid:
    """Grid of the CT of the patient."""
    affine = np.diag([pitch_mm, pitch_mm, pitch_mm, 1.0])
    affine[:3, 3] = -198.0, -138.0, low_z
    shape = (int((high_z - low_z) / pitch_mm) + 1, int(276 / pitch_mm) + 1, int(396 / pitch_mm) + 1)
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=FRAME)


def count_and_read(
    folder: Path, *, scan_start: datetime, seed: int, log: NoticeLog, progress: Stage
) -> tuple[Reading, Phantom]:
    """Simulate the coincidences, reconstruct them, write PET and CT, and read both.

    Parameters
    ----------
    folder : receives ``dicom`` and the files of the reading
    scan_start : an hour after the injection
    seed : of the counts
    log : receives the notices of all steps
    progress : called with (stage, done, total)
    """
    from fusin.imaging.dicom_write import InjectionHeader, StudyHeader, write_ct_series, write_pet_series
    from fusin.imaging.masks import write_label_nifti
    from fusin.report.outputs import write_reading

    half_life = nuclide("Ga-68").half_life_s
    at_scan_mbq = _INJECTED_MBQ * 2.0 ** (-60.0 * _UPTAKE_MIN / half_life)
    patient = cxcr4_patient(bq_ml_per_suv=at_scan_mbq * 1e3 / _WEIGHT_KG)
    grid = ct_grid()
    ct = cxcr4_ct(grid)
    progress("counting coincidences", 0, 2)
    image = _reconstructed(patient, ct, seed, log)
    progress("counting coincidences", 2, 2)
    study = StudyHeader(patient_name="Solids^Patient", patient_id="COUNTS-1", sex="M", weight_kg=_WEIGHT_KG, height_m=1.76,
                        frame_of_reference_uid=FRAME, study_datetime=scan_start, study_description="From counts")  # fmt: skip
    injection = InjectionHeader(
        activity_mbq=_INJECTED_MBQ, time=scan_start - timedelta(minutes=_UPTAKE_MIN), half_life_s=half_life
    )
    write_ct_series(folder / "dicom" / "CT", ct, study=study, seed_uid=f"{FRAME} {seed}")
    write_pet_series(folder / "dicom" / "PET", image, study=study, injection=injection, acquisition_start=scan_start,
                     seed_uid=f"{FRAME} {seed}", description="PET AC from counts")  # fmt: skip
    organs = [patient.region(name, grid).renamed(label) for name, label in _ORGANS.items()]
    labels = write_label_nifti(folder / "organs.nii.gz", organs, grid)
    options = ReadOptions(labels=labels, at=("liver=-72,-14,-545", "blood_pool=26,-34,-432"), study=StudyOptions())
    reading, opened = read_study(folder / "dicom", log, options=options, progress=progress)
    return write_reading(reading, opened, folder, log, title="PET from counts", progress=progress), patient


def _reconstructed(patient: Phantom, ct: Volume, seed: int, log: NoticeLog) -> Volume:
    """OSEM of the simulated prompts [Bq/mL], attenuation from the CT."""
    from fusin.reconstruction.algorithms import Options, reconstruct
    from fusin.reconstruction.attenuation import ct_to_mu
    from fusin.reconstruction.data import Measured
    from fusin.reconstruction.pet import PetSinogramProjector
    from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry
    from fusin.reconstruction.simulate_pet import simulate_pet

    scanner = CylindricalScanner(crystals=_CRYSTALS, rings=_RINGS, radius_mm=_RADIUS_MM, ring_pitch_mm=_RING_MM)
    geometry = SinogramGeometry.of_span(
        scanner, bins=_BINS, span=3, max_ring_difference=1, centre_mm=(0.0, 0.0, _MIDDLE_Z)
    )
    counted = simulate_pet(patient, geometry, trues=_TRUES, rng=np.random.default_rng(seed), scatter_fraction=_SCATTER,
                           randoms_fraction=_RANDOMS, lines=(2, 1))  # fmt: skip
    grid = geometry.grid(pixel_mm=_PIXEL_MM, columns=_COLUMNS, frame_of_reference_uid=FRAME)
    mu = ct_to_mu(ct, energy_kev=511.0, kvp=120.0, log=log, grid=grid)
    optical = (
        PetSinogramProjector(geometry, grid).forward(np.float32(0.1) * np.asarray(mu.values, np.float32))
        / geometry.pairs_per_plane
    )
    projector = PetSinogramProjector(geometry, grid, factors=np.exp(-optical))
    measured = Measured(counts=counted.counts, additive=(counted.scatter + counted.randoms).astype(np.float32))
    options = Options(algorithm="osem", iterations=_ITERATIONS, subsets=_SUBSETS)
    found = reconstruct(projector, measured, options=options, log=log)
    return Volume(values=(found.image / counted.scale).astype(np.float32), grid=grid, unit="Bq/ml")
