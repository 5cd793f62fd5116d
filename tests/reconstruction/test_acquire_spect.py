"""A SPECT from its TOML file to Bq/mL: the truth is put in as activity and must come out as activity."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pydicom
import pytest

from fusin.errors import FusinError, InputError
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.config import read_config
from fusin.reconstruction.run import run_reconstruction
from fusin.reconstruction.spect import SpectProjector
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_dicom_write import write_nm_projections
from fusin.reconstruction.spect_geometry import SpectGeometry
from fusin.report.reconstruct_files import reconstruct_files

CPS, TIME_S, BACKGROUND = 9.4, 200.0, 5e4
WINDOWS = (EnergyWindow("peak", 187.2, 228.8), EnergyWindow("low", 166.4, 187.2), EnergyWindow("up", 228.8, 249.6))
STARTED = datetime(2026, 3, 2, 9, 30)

CONFIG = """
modality = "spect"
[data]
projections = "tomo.dcm"
window = "peak"
[scatter]
method = "tew"
lower = "low"
upper = 3
[attenuation]
mu_map = "mu.nii.gz"
[resolution]
slope = 0.058
intercept_mm = 1.65
[algorithm]
iterations = 6
subsets = 4
[calibration]
cps_per_mbq = 9.4
u_percent = 3
[[region]]
name = "body"
centre_mm = [-40, 0, 0]
radius_mm = 24
"""


def _disc(grid):
    _, y, x = np.meshgrid(*[(np.arange(n) - 0.5 * (n - 1)) * 8.0 for n in grid.shape], indexing="ij")
    return (x / 105) ** 2 + (y / 80) ** 2 <= 1, (x - 40) ** 2 + (y - 20) ** 2 <= 30**2


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Projections, attenuation map and configuration of a cylinder with a rod of fourfold activity; total in MBq."""
    folder = tmp_path_factory.mktemp("spect")
    geometry = SpectGeometry.circular(views=24, radius_mm=200, pixel_mm=8, rows=8, columns=32)
    grid = geometry.grid(frame_of_reference_uid="1.2.3.4")
    body, rod = _disc(grid)
    mu = Volume(values=np.where(body, 0.135, 0.0).astype(np.float32), grid=grid, unit="/cm")
    activity = BACKGROUND * (body + 3.0 * rod)
    per_count = 1e6 / (CPS * TIME_S * grid.voxel_volume_ml)
    projector = SpectProjector(geometry, grid, mu, CollimatorResponse.linear(slope=0.058, intercept_mm=1.65))
    expected = projector.forward((activity / per_count).astype(np.float32))
    scatter = np.full(expected.shape, 0.2 * expected.mean())
    rng = np.random.default_rng(7)
    # Windows of half the width on both sides: scatter S gives S / 2 in each.
    counts = np.stack([rng.poisson(m) for m in (expected + scatter, 0.5 * scatter, 0.5 * scatter)]).astype(np.float32)
    acquisition = SpectAcquisition(
        counts=counts, windows=WINDOWS, geometry=geometry, durations_s=np.full(24, TIME_S), starts_s=np.arange(24) * TIME_S,
        started=STARTED, nuclide="Lu-177", frame_of_reference_uid="1.2.3.4",
    )  # fmt: skip
    injection = InjectionHeader(
        activity_mbq=7000, time=datetime(2026, 3, 1, 9, 30), half_life_s=574300, nuclide="Lu-177"
    )
    write_nm_projections(folder / "tomo.dcm", acquisition, study=StudyHeader(), injection=injection, seed_uid="a")
    write_nifti(folder / "mu.nii.gz", mu)
    (folder / "c.toml").write_text(CONFIG)
    return folder, 1e-6 * float(activity.sum()) * grid.voxel_volume_ml


def _run(path):
    config = read_config(path)
    return run_reconstruction(config, acquire(config, log=NoticeLog()), log=NoticeLog())


@pytest.fixture(scope="module")
def run(made):
    return _run(made[0] / "c.toml")


def test_the_total_activity_comes_back_within_two_percent(run, made):
    found = 1e-6 * float(run.image.values.sum(dtype=np.float64)) * run.image.voxel_volume_ml
    assert found == pytest.approx(made[1], rel=0.02)


def test_the_body_has_its_concentration(run):
    (region,) = run.regions
    assert region.mean.value == pytest.approx(BACKGROUND, rel=0.03)
    assert region.mean.high / region.mean.value == pytest.approx(1 + 1.959964 * 0.03, rel=1e-6)


def test_every_correction_is_a_sentence(run):
    first = [s.split(":")[0] for s in run.corrections]
    for word in ("Counts", "Attenuation", "Resolution", "Scatter", "Calibration", "Decay"):
        assert word in first


def test_the_dicom_file_says_what_dosimetry_asks_for_and_holds_the_same_values(run, made, tmp_path):
    files = reconstruct_files(run, log=NoticeLog())
    (tmp_path / "image.dcm").write_bytes(files["image.dcm"])
    ds = pydicom.dcmread(tmp_path / "image.dcm")
    source = pydicom.dcmread(made[0] / "tomo.dcm", stop_before_pixels=True)
    assert (ds.AcquisitionDate, ds.AcquisitionTime[:6], ds.Units, ds.DecayCorrection) == (
        "20260302",
        "093000",
        "BQML",
        "START",
    )
    assert list(ds.CorrectedImage) == ["ATTN", "SCAT", "DECY"]
    assert (ds.StudyInstanceUID, ds.PatientID, ds.FrameOfReferenceUID) == (
        source.StudyInstanceUID,
        source.PatientID,
        "1.2.3.4",
    )
    assert float(ds.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose) == 7000.0
    window = ds.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence[0]
    assert (float(window.EnergyWindowLowerLimit), float(window.EnergyWindowUpperLimit)) == (187.2, 228.8)
    assert "Scatter: triple energy window" in str(ds.ImageComments)
    values = ds.pixel_array * float(ds.RescaleSlope)
    assert np.abs(values - run.image.values).max() <= 0.51 * float(ds.RescaleSlope)


def test_nothing_of_an_example_patient_enters_the_dicom_file(run, made, tmp_path):
    """The writer's defaults describe a synthetic patient; a source that says less must not be filled up with them."""
    from dataclasses import replace

    header = pydicom.dcmread(made[0] / "tomo.dcm", stop_before_pixels=True)
    for keyword in (
        "PatientWeight",
        "PatientSize",
        "InstitutionName",
        "StudyDescription",
        "PatientBirthDate",
        "PatientSex",
    ):
        delattr(header, keyword)
    header.PatientName, header.PatientID = "A^B", "77"
    del header.RadiopharmaceuticalInformationSequence
    bare = replace(run, acquired=replace(run.acquired, header=header))
    (tmp_path / "image.dcm").write_bytes(reconstruct_files(bare, log=NoticeLog())["image.dcm"])
    ds = pydicom.dcmread(tmp_path / "image.dcm")
    assert (str(ds.PatientName), ds.PatientID, ds.PatientBirthDate, ds.PatientSex) == ("A^B", "77", "", "")
    for keyword in ("PatientWeight", "PatientSize", "InstitutionName", "StudyDescription", "BodyPartExamined"):
        assert keyword not in ds, keyword
    item = ds.RadiopharmaceuticalInformationSequence[0]
    assert "RadionuclideTotalDose" not in item
    assert "Synthetic" not in str(ds)


def test_the_scatter_windows_are_redrawn_in_the_bootstrap(made):
    config = read_config(made[0] / "c.toml")
    measured = acquire(config, log=NoticeLog()).measured
    a, b = (measured.redrawn(np.random.default_rng(s)).additive for s in (1, 2))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('window = "peak"', "", "3 windows"),
        ('window = "peak"', 'window = "208 keV"', "energy window"),
        ('window = "peak"', "window = true", "energy window"),
        ("upper = 3", 'upper = "low"', "window"),
        ('lower = "low"', "", "lower"),
        ('method = "tew"', 'method = "dew"', "no upper"),
        ('method = "tew"\nlower = "low"\nupper = 3', 'method = "dew"\nlower = "low"', "scatter: k"),
        ('method = "tew"', 'method = "esse"', "none, tew, dew"),
        ('mu_map = "mu.nii.gz"', 'mu_map = "tomo.dcm"', "tomo.dcm"),
        ('mu_map = "mu.nii.gz"', "", "one of them"),
        ("slope = 0.058", "slope = -1", "at least 0"),
        ("slope = 0.058", "", "one of slope"),
        ("slope = 0.058", "slope = 0.058\nhole_mm = 2", "one of slope"),
        ("u_percent = 3", "u_percent = 3\nduration_s = 30", "200 s"),
        ("u_percent = 3", "", "u_percent"),
        ("cps_per_mbq = 9.4", "cps_per_mbq = 0", "above 0"),
        ("[calibration]", '[acquisition]\nnuclide = "Y-90"\n[calibration]', "Lu-177"),
        ("[calibration]", "[acquisition]\nstart = 2026-03-03T09:30:00\n[calibration]", "2026-03-02"),
        ("[calibration]", "[acquisition]\nstart = 2026-03-03\n[calibration]", "ISO date and time"),
        ('projections = "tomo.dcm"', 'projections = "mu.nii.gz"', "mu.nii.gz"),
        ("subsets = 4", "subsets = 25", "1 to 24"),
    ],
)
def test_each_mistake_gets_one_sentence(made, before, after, words):
    assert before in CONFIG
    path = made[0] / "wrong.toml"
    path.write_text(CONFIG.replace(before, after, 1))
    with pytest.raises(FusinError, match=words) as caught:
        _run(path)
    assert "\n" not in str(caught.value)


def test_a_map_in_hounsfield_units_is_refused(made, tmp_path):
    config = read_config(made[0] / "c.toml")
    grid = acquire(config, log=NoticeLog()).grid
    write_nifti(made[0] / "hu.nii.gz", Volume(values=np.full(grid.shape, 40, np.float32), grid=grid, unit=""))
    (made[0] / "hu.toml").write_text(CONFIG.replace("mu.nii.gz", "hu.nii.gz"))
    with pytest.raises(InputError, match="1/cm"):
        acquire(read_config(made[0] / "hu.toml"), log=NoticeLog())


def test_losses_by_dead_time_come_back_view_by_view(made, run):
    """Counts are thinned as a paralysable head would lose them that is dead for a tenth of the mean interval."""
    from fusin.reconstruction.spect_files import read_spect

    folder = made[0]
    whole = read_spect(folder / "tomo.dcm", log=NoticeLog())
    true = whole.counts.sum(axis=(0, 2, 3), dtype=float) / TIME_S
    tau = 0.1 / true.mean()
    rng = np.random.default_rng(3)
    kept = rng.binomial(whole.counts.astype(int), np.exp(-true * tau)[None, :, None, None]).astype(np.float32)
    lossy = SpectAcquisition(counts=kept, windows=WINDOWS, geometry=whole.geometry, durations_s=whole.durations_s,
                             starts_s=whole.starts_s, started=STARTED, nuclide="Lu-177",
                             frame_of_reference_uid="1.2.3.4")  # fmt: skip
    injection = InjectionHeader(activity_mbq=7000, time=STARTED, half_life_s=574300, nuclide="Lu-177")
    write_nm_projections(folder / "lossy.dcm", lossy, study=StudyHeader(), injection=injection, seed_uid="b")
    table = f"[dead_time]\ntau_us = {1e6 * tau:.6g}\nu_tau_us = {1e5 * tau:.6g}\nspectrum_factor = 1.0\n"
    (folder / "lossy.toml").write_text(
        CONFIG.replace("tomo.dcm", "lossy.dcm").replace("[calibration]", table + "[calibration]")
    )
    found = _run(folder / "lossy.toml")
    assert found.image.values.sum() == pytest.approx(run.image.values.sum(), rel=0.003)
    # 10 % of 0.1 / (1 - 0.1), beside 3 % of the calibration.
    assert found.acquired.u_relative == pytest.approx(np.hypot(0.03, 0.1 * 0.1 / 0.9), rel=0.02)
    assert any(s.startswith("Dead time: paralysable") for s in found.corrections)
    assert "DTIM" in found.acquired.terms


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[dead_time]\ntau_us = 5", "u_tau_us"),
        ("[dead_time]\ntau_us = -5\nu_tau_us = 1", "above 0"),
        ("[dead_time]\ntau_us = 5\nu_tau_us = 1\nkind = 'stunned'", "paralysable"),
        ("[dead_time]\ntau_us = 1e6\nu_tau_us = 1", "beyond what"),
        ("[dead_time]\ntau_us = 5\nu_tau_us = 1\nspectrum_factor = 0.5", "at least 1"),
    ],
)
def test_each_mistake_of_a_dead_time_gets_one_sentence(made, table, words):
    path = made[0] / "wrong.toml"
    path.write_text(CONFIG.replace("[calibration]", table + "\n[calibration]"))
    with pytest.raises(FusinError, match=words) as caught:
        acquire(read_config(path), log=NoticeLog())
    assert "\n" not in str(caught.value)


def test_a_factor_beside_a_dead_time_is_refused(made):
    path = made[0] / "wrong.toml"
    path.write_text(
        CONFIG.replace("[calibration]", "[dead_time]\ntau_us = 1\nu_tau_us = 0\n[calibration]\ndead_time_factor = 1.1")
    )
    with pytest.raises(InputError, match="the same loss"):
        acquire(read_config(path), log=NoticeLog())
