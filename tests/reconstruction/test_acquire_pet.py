"""A PET from its TOML file and Interfile sinograms to an image."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import FusinError
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_corrections import attenuation_factors
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry
from fusin.reconstruction.pet_interfile import write_sinogram
from fusin.reconstruction.run import run_reconstruction

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
