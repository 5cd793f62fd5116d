"""``fusin reconstruct`` on counts of another model: exact lines through solids, written as a camera and a scanner would."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.imaging.nifti import read_nifti, write_nifti
from fusin.nuclides import nuclide
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry
from fusin.reconstruction.pet_interfile import write_sinogram
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.simulate_pet import simulate_pet
from fusin.reconstruction.simulate_spect import ScatterModel, simulate_spect
from fusin.reconstruction.solids import cylinder, sphere
from fusin.reconstruction.spect_dicom_write import write_nm_projections
from fusin.reconstruction.spect_geometry import SpectGeometry

FRAME = "1.2.3.4"
STARTED = datetime(2026, 3, 2, 9, 30)
SPECT = """modality = "spect"
[data]
projections = "tomo.dcm"
window = "peak"
[attenuation]
mu_map = "mu.nii.gz"
[scatter]
method = "tew"
lower = "lower"
upper = "upper"
[resolution]
slope = 0.04
intercept_mm = 4.0
[algorithm]
iterations = 6
subsets = 6
[calibration]
cps_per_mbq = 9.4
u_percent = 1.5
[[region]]
name = "all"
centre_mm = [0, 0, 0]
radius_mm = 150
[[region]]
name = "warm"
centre_mm = [-35, -10, 0]
radius_mm = 25
"""
PET = """modality = "pet"
[data]
projections = "prompts.hs"
[image]
shape = [15, 45, 45]
voxel_mm = 4.0
[attenuation]
mu_map = "mu.nii.gz"
[scatter]
method = "file"
file = "scatter.hs"
[randoms]
delayed = "delayed.hs"
[algorithm]
iterations = 4
subsets = 8
[calibration]
bq_ml_per_count = {scale:.6g}
u_percent = 1
[[region]]
name = "warm"
centre_mm = [-25, -10, 0]
radius_mm = 18
[[region]]
name = "hot"
centre_mm = [25, 10, 0]
radius_mm = 16
"""


def jar(half, warm, hot, mu, diameter):
    parts = (
        Part(name="water", solid=cylinder((0, 0, 0), half), activity_bq_ml=warm, mu_per_cm=mu),
        Part(name="hot", solid=sphere((half[0] * 0.36, 10.0, 0), diameter), activity_bq_ml=hot, mu_per_cm=mu),
    )
    return Phantom(name="jar", parts=parts)


def regions(ran):
    assert ran.code == 0, ran.err
    return {r["name"]: r for r in json.loads(ran.out)["regions"]}


@pytest.fixture
def tomo(tmp_path):
    """A 177Lu jar as DICOM NM of two heads with scatter, decay and noise; its activity [MBq]."""
    phantom = jar((100.0, 80.0, 48.0), 1e5, 6e5, 0.135, 50.0)
    geometry = SpectGeometry.circular(views=36, radius_mm=200.0, pixel_mm=8.0, rows=20, columns=36)
    counted = simulate_spect(
        phantom, geometry, response=CollimatorResponse.linear(slope=0.04, intercept_mm=4.0), cps_per_mbq=9.4, view_time_s=60.0,
        rng=np.random.default_rng(5), heads=2, scatter=ScatterModel(), started=STARTED, frame_of_reference_uid=FRAME,
    )  # fmt: skip
    injection = InjectionHeader(activity_mbq=500.0, time=STARTED - timedelta(hours=1), nuclide="Lu-177",
                                half_life_s=nuclide("Lu-177").half_life_s)  # fmt: skip
    write_nm_projections(tmp_path / "tomo.dcm", counted.acquisition, study=StudyHeader(), injection=injection, seed_uid="a",
                         heads=2)  # fmt: skip
    write_nifti(tmp_path / "mu.nii.gz", phantom.on_grid(geometry.grid(frame_of_reference_uid=FRAME))[1])
    (tmp_path / "c.toml").write_text(SPECT)
    return tmp_path, phantom.activity_bq() * 1e-6


def test_the_activity_of_a_177lu_jar_comes_back_from_its_dicom_file(tomo, fusin):
    folder, planted = tomo
    found = regions(fusin("reconstruct", folder / "c.toml", "--json", "--quiet"))
    total, warm = found["all"]["total"], found["warm"]["mean"]
    assert total["value"] == pytest.approx(planted, rel=0.02)
    assert total["low"] < planted < total["high"]
    assert warm["value"] == pytest.approx(1e5, rel=0.04)


def test_concentrations_of_a_pet_jar_come_back_from_its_interfile(tmp_path, fusin):
    phantom = jar((70.0, 60.0, 60.0), 1000.0, 5000.0, 0.096, 40.0)
    scanner = CylindricalScanner(crystals=128, rings=8, radius_mm=200.0, ring_pitch_mm=6.0)
    geometry = SinogramGeometry.of_span(scanner, bins=65, span=3, max_ring_difference=1)
    counted = simulate_pet(
        phantom, geometry, trues=4e6, rng=np.random.default_rng(2), scatter_fraction=0.3, randoms_fraction=0.25
    )
    held = {"prompts": counted.counts, "scatter": counted.scatter.astype(np.float32), "delayed": counted.delayed}
    for name, values in held.items():
        write_sinogram(tmp_path / f"{name}.hs", geometry, values)
    write_nifti(tmp_path / "mu.nii.gz", phantom.on_grid(geometry.grid(pixel_mm=4.0, columns=45))[1])
    (tmp_path / "c.toml").write_text(PET.format(scale=1.0 / counted.scale))
    found = regions(fusin("reconstruct", tmp_path / "c.toml", "--json", "--quiet", "--out", tmp_path / "image"))
    assert found["warm"]["mean"]["value"] == pytest.approx(1000.0, rel=0.03)
    assert found["hot"]["mean"]["value"] == pytest.approx(5000.0, rel=0.06)
    image = read_nifti(tmp_path / "image" / "image.nii.gz")
    assert image.shape == (15, 45, 45)
    assert float(image.values[7].max()) == pytest.approx(5000.0, rel=0.5)
