"""Time ``fusin reconstruct`` of a 177Lu SPECT: a new process that reads DICOM and CT, reconstructs, and writes all files.

128 x 128 x 128 voxels of 4.8 mm, 64 views on a non-circular orbit of two heads, three energy windows, a CT of 512 x 512; counts
come from the analytic CXCR4 patient by the simulator, whose model is not the reconstructor's. No other program does the same job
in one command; the rows compare the command with itself, and :mod:`bench_spect` its iteration with another program's.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from bench_read_command import RUNS, median, timed
from timing import FUSIN, Table, Timing, print_table

__all__ = ["tables", "write_case"]

SIZE, VIEWS, SUBSETS, ITERATIONS, PIXEL_MM = 128, 64, 8, 10, 4.8
LIMIT_WALL_S = 10.0
_MIDDLE_Z = -620.0
_CONFIG = """modality = "spect"
title = "177Lu, 128^3"

[data]
projections = "tomo.dcm"
window = "peak"

[attenuation]
ct = "ct"
energy_kev = 208.37

[scatter]
method = "tew"
lower = "lower"
upper = "upper"

[resolution]
slope = 0.045
intercept_mm = 4.5

[algorithm]
name = "osem"
iterations = {iterations}
subsets = {subsets}

[calibration]
cps_per_mbq = 10.0
u_percent = 3
"""


def write_case(folder: Path) -> Path:
    """Write projections, CT and configurations; the folder comes back."""
    from fusin.imaging.dicom_write import InjectionHeader, StudyHeader, write_ct_series
    from fusin.imaging.volume import Grid
    from fusin.nuclides import nuclide
    from fusin.reconstruction.collimator import CollimatorResponse
    from fusin.reconstruction.cxcr4_patient import cxcr4_ct, cxcr4_patient
    from fusin.reconstruction.simulate_spect import ScatterModel, simulate_spect
    from fusin.reconstruction.spect_dicom_write import write_nm_projections
    from fusin.reconstruction.spect_geometry import SpectGeometry

    angles = np.arange(VIEWS) * 360.0 / VIEWS
    geometry = SpectGeometry.circular(
        views=VIEWS, radius_mm=250.0, pixel_mm=PIXEL_MM, rows=SIZE, columns=SIZE,
        first_row_mm=_MIDDLE_Z - 0.5 * (SIZE - 1) * PIXEL_MM,
    )  # fmt: skip
    geometry = replace(geometry, radii_mm=250.0 + 40.0 * np.abs(np.sin(np.deg2rad(angles))))
    frame = "2.25.151617181920212223242526272829303132"
    injected = datetime(2024, 5, 2, 9, 0)
    study = StudyHeader(patient_name="Bench^Patient", patient_id="BENCH", sex="M", weight_kg=78.0, height_m=1.76,
                        frame_of_reference_uid=frame, study_datetime=injected, study_description="Benchmark")  # fmt: skip
    counted = simulate_spect(
        cxcr4_patient(bq_ml_per_suv=3e4, energy_kev=208.37), geometry, cps_per_mbq=10.0, view_time_s=20.0, heads=2, mesh=1,
        response=CollimatorResponse.linear(slope=0.045, intercept_mm=4.5), scatter=ScatterModel(), frame_of_reference_uid=frame,
        started=injected, rng=np.random.default_rng(0),
    )  # fmt: skip
    injection = InjectionHeader(activity_mbq=7400.0, time=injected, half_life_s=nuclide("Lu-177").half_life_s, nuclide="Lu-177",
                                radiopharmaceutical="Pentixather")  # fmt: skip
    write_nm_projections(
        folder / "tomo.dcm", counted.acquisition, study=study, injection=injection, seed_uid=frame, heads=2
    )
    pitch = 500.0 / 512
    affine = np.diag([pitch, pitch, 5.0, 1.0])
    affine[:3, 3] = -250.0, -250.0, _MIDDLE_Z - 310.0
    grid = Grid(shape=(125, 512, 512), affine=affine, frame_of_reference_uid=frame)
    write_ct_series(
        folder / "ct", cxcr4_ct(grid, samples=(1, 1, 1)), study=study, seed_uid=frame + " ct", dialect="SYNTHETIC"
    )
    for iterations in (1, ITERATIONS):
        text = _CONFIG.format(iterations=iterations, subsets=SUBSETS)
        (folder / f"spect_{iterations}.toml").write_text(text)
    return folder


def tables() -> list[Table]:
    """One table of the command's variants."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_case(Path(name))
        whole = ["reconstruct", str(folder / f"spect_{ITERATIONS}.toml"), "--out", str(folder / "image"), "--quiet"]
        variants = {
            FUSIN + f" reconstruct, {ITERATIONS} iterations, all outputs": whole,
            FUSIN + " reconstruct, no files": [*whole[:2], "--quiet", "--json"],
            FUSIN + " reconstruct, 1 iteration, no files": [
                "reconstruct", str(folder / "spect_1.toml"), "--quiet", "--json",
            ],
        }  # fmt: skip
        cold = timed(whole, folder / "compiled")
        samples: dict[str, list[Timing]] = {variant: [] for variant in variants}
        for arguments in variants.values():
            timed(arguments)
        for _ in range(RUNS):
            for variant, arguments in variants.items():
                samples[variant].append(timed(arguments))
    rows = {variant: median(timings) for variant, timings in samples.items()}
    rows[FUSIN + " reconstruct, first run on a machine (compiles)"] = cold
    first = next(iter(rows.values()))
    return [
        Table(
            f"A 177Lu SPECT of {SIZE}^3 voxels, {VIEWS} views, {SUBSETS} subsets with CT attenuation, collimator response and TEW",
            rows, [f"limit: {LIMIT_WALL_S:.0f} s wall once compiled; median {first.wall_s:.1f} s"],
        )
    ]  # fmt: skip


if __name__ == "__main__":
    for table in tables():
        print_table(table)
