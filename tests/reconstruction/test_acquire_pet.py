"""A PET from its TOML file and Interfile sinograms to an image."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pydicom
import pytest

from fusin.errors import FusinError
from fusin.imaging.dicom_headers import code_item
from fusin.imaging.dicom_write import InjectionHeader, StudyHeader, write_ct_series, write_pet_series
from fusin.imaging.nifti import read_nifti, write_nifti
from fusin.imaging.series import scan
from fusin.imaging.suv import apply_plan, plan_suv
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.interfile_image import interfile_image, read_image
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_corrections import attenuation_factors
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry
from fusin.reconstruction.pet_interfile import write_sinogram
from fusin.reconstruction.run import run_reconstruction
from fusin.report.reconstruct_files import reconstruct_files

CONFIG = """
modality = "pet"
[data]
projections = "prompts.hs"
[image]
shape = [7, 24, 24]
voxel_mm = 10
[attenuation]
mu_map = "mu.nii.gz"
[normalisation]
file = "norm.hs"
[randoms]
file = "randoms.hs"
[algorithm]
iterations = 5
subsets = 6
[calibration]
bq_ml_per_count = 2.0
u_percent = 5
[[region]]
name = "body"
centre_mm = [-30, 0, 0]
radius_mm = 25
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pet")
    scanner = CylindricalScanner(crystals=72, rings=4, radius_mm=200.0, ring_pitch_mm=20.0)
    geometry = SinogramGeometry.of_span(scanner, bins=31, span=1)
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    affine[:3, 3] = [-115.0, -115.0, -30.0]
    grid = Grid(shape=(7, 24, 24), affine=affine)
    y, x = np.meshgrid(*[(np.arange(24) - 11.5) * 10.0] * 2, indexing="ij")
    body = np.broadcast_to(np.hypot(x, y) <= 90, grid.shape)
    activity = np.where(body, 1.0, 0.0) + np.where(np.hypot(x - 35, y) <= 25, 3.0, 0.0)
    mu = Volume(values=np.where(body, 0.096, 0.0).astype(np.float32), grid=grid, unit="/cm")
    rng = np.random.default_rng(3)
    norm = rng.uniform(0.7, 1.3, geometry.data_shape).astype(np.float32)
    factors = norm * attenuation_factors(geometry, mu, image=grid)
    expected = PetSinogramProjector(geometry, grid, factors=factors).forward(activity.astype(np.float32))
    scale = 3e6 / expected.sum()
    randoms = np.full(expected.shape, 0.3 * scale * expected.mean(), np.float32)
    prompts = rng.poisson(scale * expected + randoms).astype(np.float32)
    for name, values in (("prompts", prompts), ("norm", norm), ("randoms", randoms)):
        write_sinogram(folder / f"{name}.hs", geometry, values)
    small = SinogramGeometry.of_span(scanner, bins=29, span=1)
    write_sinogram(folder / "other.hs", small, np.ones(small.data_shape, np.float32))
    write_nifti(folder / "mu.nii.gz", mu)
    (folder / "c.toml").write_text(CONFIG)
    return folder, scale * activity


def _run(path):
    config = read_config(path)
    return run_reconstruction(config, acquire(config, log=NoticeLog()), log=NoticeLog())


def test_the_image_has_the_activity_of_the_truth(made):
    run = _run(made[0] / "c.toml")
    assert run.image.values.sum() == pytest.approx(2.0 * made[1].sum(), rel=0.02)
    assert run.regions[0].mean.value == pytest.approx(2.0 * made[1][3, 12, 3:9].mean(), rel=0.05)
    assert run.image.unit == "Bq/ml"
    first = [s.split(":")[0] for s in run.corrections]
    assert first == [
        "Counts",
        "Attenuation",
        "Normalisation",
        "Resolution",
        "Randoms",
        "Scatter",
        "Calibration",
        "Decay",
    ]


def test_what_is_not_corrected_is_said(made):
    text = CONFIG.split("[attenuation]", maxsplit=1)[0] + CONFIG[CONFIG.index("[algorithm]") :]
    (made[0] / "plain.toml").write_text(text)
    corrections = " ".join(acquire(read_config(made[0] / "plain.toml"), log=NoticeLog()).measured.corrections)
    for words in (
        "Attenuation: not corrected",
        "Normalisation: none",
        "Randoms: not corrected",
        "Scatter: not corrected",
    ):
        assert words in corrections


def test_delayed_coincidences_are_redrawn_in_the_bootstrap(made):
    (made[0] / "delayed.toml").write_text(CONFIG.replace('file = "randoms.hs"', 'delayed = "prompts.hs"'))
    measured = acquire(read_config(made[0] / "delayed.toml"), log=NoticeLog()).measured
    assert measured.additive is not None
    a, b = (measured.redrawn(np.random.default_rng(s)).additive for s in (1, 2))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('file = "norm.hs"', 'file = "other.hs"', "other.hs"),
        ('file = "norm.hs"', 'file = "none.hs"', "none.hs"),
        ('file = "randoms.hs"', 'file = "randoms.hs"\ndelayed = "prompts.hs"', "one of them"),
        ("shape = [7, 24, 24]", "", "shape"),
        ("shape = [7, 24, 24]", "shape = [7, 24, 24.5]", "slices"),
        ("voxel_mm = 10", "voxel_mm = [10, 10]", "3 numbers"),
        ("voxel_mm = 10", "voxel_mm = 0", "size in mm"),
        ("bq_ml_per_count = 2.0", "cps_per_mbq = 2", "modality spect"),
        ("[normalisation]", "[resolution]\nslope = 1\n[normalisation]", "modality spect"),
        ("[normalisation]", "[scatter]\nmethod = 'file'\n[normalisation]", "file"),
        ('projections = "prompts.hs"', 'projections = "mu.nii.gz"', "mu.nii.gz"),
    ],
)
def test_each_mistake_gets_one_sentence(made, before, after, words):
    assert before in CONFIG
    path = made[0] / "wrong.toml"
    path.write_text(CONFIG.replace(before, after, 1))
    with pytest.raises(FusinError, match=words) as caught:
        _run(path)
    assert "\n" not in str(caught.value)


STUDY = """
[acquisition]
start = 2026-03-02T10:30:00
nuclide = "F-18"
study = "ct.dcm"
injected_mbq = 200
injected = 2026-03-02T09:30:00
weight_kg = 80
"""


@pytest.fixture(scope="module")
def with_study(made):
    """A configuration with everything that a DICOM series needs; the study's object is a CT without any injection."""
    folder = made[0]
    ct = Volume(values=np.zeros((1, 8, 8), np.float32), grid=Grid(shape=(1, 8, 8), affine=np.eye(4)), unit="[hnsf'U]")
    study = StudyHeader(patient_id="P7", weight_kg=70.0, frame_of_reference_uid="1.2.3.9")
    (written,) = write_ct_series(folder / "ct", ct, study=study, seed_uid="ct", tags={"PatientWeight": None})
    (folder / "ct.dcm").write_bytes(written.read_bytes())
    text = CONFIG.replace("u_percent = 5", "u_percent = 5\nduration_s = 600") + STUDY
    (folder / "dicom.toml").write_text(text)
    return folder, text


@pytest.fixture(scope="module")
def series(with_study, tmp_path_factory):
    """The series as files, the run, and the notices."""
    run, log = _run(with_study[0] / "dicom.toml"), NoticeLog()
    folder = tmp_path_factory.mktemp("out")
    for name, content in reconstruct_files(run, log=log).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder, run, log


def test_the_reader_finds_the_suv_of_the_truth_in_the_dicom_series(series, with_study, made):
    """SUV = c(start) / (200 MBq 2^(-60 min / 109.77 min) / 80 kg), where c(start) is the mean over 600 s times x / (1 - e^-x)."""
    folder, run, _ = series
    (found,) = scan(folder / "dicom", NoticeLog()).of("PT")
    plan = plan_suv(found, NoticeLog())
    suv = apply_plan(plan, found, found.load(NoticeLog())).values
    half_life_s = 109.77 * 60  # DDEP / ICRP 107 give 109.77 min
    x = np.log(2) * 600 / half_life_s
    expected = 2.0 * made[1] * x / -np.expm1(-x) * 80e3 / (200e6 * 2 ** (-3600 / half_life_s))
    assert suv.sum() == pytest.approx(expected.sum(), rel=0.02)
    per_bq = 80e3 / (200e6 * 2 ** (-3600 / half_life_s))
    step = run.image.values.max(axis=(1, 2), keepdims=True) / 32767
    assert (np.abs(suv / per_bq - run.image.values) <= 0.51 * step + 2e-4 * run.image.values).all()
    assert plan.rule.startswith("BQML/START")


def test_the_series_states_what_was_done_and_nothing_else(series):
    folder, run, log = series
    files = sorted((folder / "dicom").iterdir())
    assert len(files) == run.image.shape[0]
    ds = pydicom.dcmread(files[0])
    assert (ds.Modality, ds.Units, ds.DecayCorrection, ds.ActualFrameDuration) == ("PT", "BQML", "START", 600000)
    assert list(ds.CorrectedImage) == ["NORM", "ATTN", "RAN", "DECY"]
    assert (ds.AcquisitionDate, ds.AcquisitionTime[:6], ds.SeriesTime[:6]) == ("20260302", "103000", "103000")
    # The rate of 18F equals its mean over 600 s a little before the middle.
    assert float(ds.FrameReferenceTime) == pytest.approx(600e3 * (0.5 - np.log(2) * 600 / (109.77 * 60) / 24), rel=1e-4)
    assert (ds.PatientID, ds.FrameOfReferenceUID, ds.PatientWeight) == ("P7", "1.2.3.9", 80)
    assert ds.ReconstructionMethod == "OSEM 5i6s"
    for keyword in ("ScatterCorrectionMethod", "RandomsCorrectionMethod", "BodyPartExamined"):
        assert keyword not in ds, keyword
    assert "Synthetic PET" not in str(ds)
    assert [n.code for n in log if n.severity != "info"] == []


@pytest.mark.parametrize(
    ("before", "after", "lacking"),
    [
        ("[calibration]", "[bootstrap]\n[calibration]", None),
        ("\nduration_s = 600", "", "the time of the acquisition"),
        ('study = "ct.dcm"', "", "[acquisition] study"),
        ("bq_ml_per_count = 2.0\nu_percent = 5\nduration_s = 600", "#", "a calibration"),
    ],
)
def test_what_a_pet_series_lacks_is_named(with_study, before, after, lacking):
    folder, text = with_study
    text = text.replace(before, after, 1)
    if after == "#":
        text = text.replace("[calibration]\n", "")
    (folder / "d.toml").write_text(text.replace("iterations = 5", "iterations = 1"))
    log = NoticeLog()
    files = reconstruct_files(_run(folder / "d.toml"), log=log)
    named = [n.message for n in log if n.code == "IMAGE_DICOM_NOT_WRITTEN"]
    assert bool(named) == bool(lacking)
    assert lacking is None or lacking in named[0]
    assert any(name.startswith("dicom/") for name in files) == (lacking is None)


def test_without_injection_the_series_gives_becquerels_and_says_so(with_study):
    folder, text = with_study
    for line in ("injected_mbq = 200\n", "injected = 2026-03-02T09:30:00\n", "weight_kg = 80\n"):
        text = text.replace(line, "")
    (folder / "d.toml").write_text(text.replace("iterations = 5", "iterations = 1"))
    log = NoticeLog()
    files = reconstruct_files(_run(folder / "d.toml"), log=log)
    assert sum(name.startswith("dicom/") for name in files) == 7
    (note,) = [n.message for n in log if n.code == "DICOM_WITHOUT_SUV"]
    assert "injected_mbq" in note
    assert "weight_kg" in note


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("injected_mbq = 200\n", "", "together"),
        ("injected = 2026-03-02T09:30:00", "injected = 2026-03-02T10:31:00", "before the start"),
        ("injected = 2026-03-02T09:30:00", "injected = 2026-03-02T09:30:00Z", "time zone in both"),
        ("injected = 2026-03-02T09:30:00", "injected = 2026-03-02", "date and time"),
        ("injected_mbq = 200", "injected_mbq = -2", "injected_mbq"),
        ("weight_kg = 80", "weight_kg = 0", "weight_kg"),
        ("duration_s = 600", "duration_s = 0", "duration_s"),
    ],
)
def test_each_mistake_about_the_injection_gets_one_sentence(with_study, before, after, words):
    folder, text = with_study
    assert before in text
    (folder / "wrong.toml").write_text(text.replace(before, after, 1))
    with pytest.raises(FusinError, match=words) as caught:
        read_config(folder / "wrong.toml")
    assert "\n" not in str(caught.value)


def test_a_map_that_the_command_wrote_as_interfile_corrects_like_the_nifti_one(made):
    """The image of a reconstruction in STIR's axes is read back as map and as reference where its NIfTI twin lies."""
    folder = made[0]
    mu = read_nifti(folder / "mu.nii.gz", unit="/cm")
    header, data = interfile_image(mu, data_name="mu.v")
    (folder / "mu.hv").write_text(header)
    (folder / "mu.v").write_bytes(data)
    (folder / "hv.toml").write_text(CONFIG.replace("mu.nii.gz", "mu.hv").replace("iterations = 5", "iterations = 1"))
    run = _run(folder / "hv.toml")
    np.testing.assert_allclose(run.acquired.mu.values, mu.values, atol=1e-6)
    assert {"mu.hv", "mu.v"} <= {p.name for p in run.acquired.inputs}
    files = reconstruct_files(run, log=NoticeLog())
    for name in ("image.hv", "image.v"):
        content = files[name]
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    again = read_image(folder / "image.hv", log=NoticeLog(), placement=run.acquired.placement)
    np.testing.assert_array_equal(again.values, run.image.values)
    assert again.grid.matches(run.image.grid, tolerance_mm=1e-6)


def injected(folder, codes=()):
    """A PET object of the study, with its own injection of 68Ga, as the object that the configuration names."""
    volume = Volume(values=np.ones((1, 8, 8)), grid=Grid(shape=(1, 8, 8), affine=np.eye(4)), unit="Bq/ml")
    item = {"activity_mbq": 150.0, "time": datetime(2026, 3, 2, 9, 40), "half_life_s": 4062.6, "nuclide": "Ga-68"}
    (path,) = write_pet_series(folder / "pt", volume, study=StudyHeader(patient_id="P7", weight_kg=62.0), seed_uid="pt",
                               injection=InjectionHeader(**item), acquisition_start=datetime(2026, 3, 2, 10),
                               injection_tags={} if codes == () else {"RadionuclideCodeSequence": codes})  # fmt: skip
    (folder / "pt.dcm").write_bytes(path.read_bytes())


def test_injection_weight_and_nuclide_come_from_the_object_of_the_study(with_study):
    folder, text = with_study
    injected(folder)
    for line in ("injected_mbq = 200\n", "injected = 2026-03-02T09:30:00\n", "weight_kg = 80\n", 'nuclide = "F-18"\n'):
        text = text.replace(line, "")
    (folder / "pt.toml").write_text(text.replace("ct.dcm", "pt.dcm").replace("iterations = 5", "iterations = 1"))
    log = NoticeLog()
    run = _run(folder / "pt.toml")
    assert run.acquired.nuclide == "Ga-68"
    name = next(n for n in reconstruct_files(run, log=log) if n.startswith("dicom/"))
    (folder / "one.dcm").write_bytes(reconstruct_files(run, log=log)[name])
    ds = pydicom.dcmread(folder / "one.dcm")
    item = ds.RadiopharmaceuticalInformationSequence[0]
    assert (float(item.RadionuclideTotalDose), str(item.RadiopharmaceuticalStartDateTime)[:12]) == (
        150e6,
        "202603020940",
    )
    assert (ds.PatientWeight, ds.Manufacturer) == (62, "fusin")
    assert ds.PatientOrientationCodeSequence[0].CodeMeaning == "recumbent"
    assert "INJECTION_REPLACED" not in [n.code for n in log]


def test_a_stated_injection_replaces_that_of_the_study_with_a_notice_and_another_nuclide_is_refused(with_study):
    folder, text = with_study
    injected(folder)
    text = text.replace("ct.dcm", "pt.dcm").replace("iterations = 5", "iterations = 1")
    (folder / "pt.toml").write_text(text)
    with pytest.raises(FusinError, match="Ga-68, as the study's object states"):
        _run(folder / "pt.toml")
    # A code that nobody knows, and none, leave the half-life.
    for codes in ([code_item("C-99999", "SRT", "^68^Gallium")], None):
        injected(folder, codes=codes)
        with pytest.raises(FusinError, match="the study's object states"):
            _run(folder / "pt.toml")
    (folder / "pt.toml").write_text(text.replace('"F-18"', '"Ga-68"'))
    log = NoticeLog()
    reconstruct_files(_run(folder / "pt.toml"), log=log)
    assert [n.code for n in log] == ["INJECTION_REPLACED", "INJECTION_REPLACED"]
