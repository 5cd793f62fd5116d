"""Arc-corrected sinograms: lines at even distances, STIR's headers, and from the configuration to an image."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import FusinError, InputError, StrictRefusal, Unsupported
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.pet import CylindricalScanner, PetSinogramProjector, SinogramGeometry
from fusin.reconstruction.pet_corrections import attenuation_factors
from fusin.reconstruction.pet_geometry import span_segments
from fusin.reconstruction.pet_interfile import read_sinogram, write_sinogram
from fusin.reconstruction.pet_scatter import ScatterSampling, single_scatter
from fusin.reconstruction.projector import adjoint_mismatch
from fusin.reconstruction.run import run_reconstruction

SCANNER = CylindricalScanner(
    crystals=96, rings=4, radius_mm=250.0, ring_pitch_mm=20.0, tilt_deg=7.0, energy_resolution=0.12,
    energy_window_kev=(435.0, 650.0),
)  # fmt: skip
SEGMENTS = span_segments(4, 1, None)
DETECTED = SinogramGeometry(scanner=SCANNER, bins=53, segments=SEGMENTS)
EVEN = SinogramGeometry(scanner=SCANNER, bins=61, segments=SEGMENTS, bin_mm=6.5)
CONFIG = """
modality = "pet"
[data]
projections = "prompts.hs"
[image]
shape = [7, 40, 40]
voxel_mm = 8
[attenuation]
mu_map = "mu.nii.gz"
[algorithm]
iterations = 4
subsets = 6
[[region]]
name = "rod"
centre_mm = [48, -24, 0]
radius_mm = 25
"""


def body():
    """A cylinder of water with a rod of fivefold activity off the axis."""
    grid = EVEN.grid(pixel_mm=8.0, columns=40)
    y, x = np.meshgrid(*[(np.arange(40) - 19.5) * 8.0] * 2, indexing="ij")
    inside = np.broadcast_to(np.hypot(x, y) < 120, grid.shape)
    rod = np.broadcast_to(np.hypot(x - 48, y + 24) < 32, grid.shape)
    return (
        grid,
        (inside + 4.0 * rod).astype(np.float32),
        Volume(values=np.float32(0.096) * inside, grid=grid, unit="/cm"),
    )


def distances(geometry):
    """Signed distance of each line from the axis, positive to the side of the quarter turn after its first end."""
    first, second = geometry.ends_mm[..., 0, :], geometry.ends_mm[..., 1, :]
    along = (first - second) / np.linalg.norm(first - second, axis=-1, keepdims=True)
    # A quarter of a turn in the sense of the crystals: (sin a, -cos a) becomes (cos a, sin a).
    return (0.5 * (first + second) * np.stack([-along[..., 1], along[..., 0]], axis=-1)).sum(axis=-1), along


def test_bins_are_parallel_lines_at_even_distances_on_the_ring():
    found, along = distances(EVEN)
    np.testing.assert_allclose(found, np.broadcast_to((np.arange(61) - 30) * 6.5, found.shape), atol=1e-9)
    np.testing.assert_allclose(along, np.broadcast_to(along[:, :1], along.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(EVEN.ends_mm, axis=-1), 250.0)


def test_the_middle_bin_is_that_of_detected_data_and_the_sides_agree():
    np.testing.assert_allclose(EVEN.ends_mm[:, 30], DETECTED.ends_mm[:, 26], atol=1e-9)
    even, detected = distances(EVEN)[0][0], distances(DETECTED)[0][0]
    assert (np.sign(even[31:]) == np.sign(detected[27])).all()
    # STIR: s = R sin(pi t / N) of detected bins.
    np.testing.assert_allclose(detected, 250 * np.sin(np.pi * (np.arange(53) - 26) / 96), atol=1e-9)


def test_projections_are_those_of_detected_lines_at_the_same_places_and_the_pair_is_matched():
    """Interpolated over the distance in a view; detected bins lie up to half a crystal beside its direction."""
    grid, image, _ = body()
    even, detected = (PetSinogramProjector(g, grid).forward(image)[..., 3] for g in (EVEN, DETECTED))
    places, own = distances(EVEN)[0][0], distances(DETECTED)[0][0]
    expected = np.stack([np.interp(places, own, row) for row in detected])
    inside = np.abs(places) < 110
    assert np.abs(even - expected)[:, inside].mean() < 0.03 * expected.max()
    assert adjoint_mismatch(PetSinogramProjector(EVEN, grid), rng=np.random.default_rng(0)) < 1e-6


def test_scatter_of_even_bins_is_that_of_detected_ones_at_the_same_places():
    grid, image, mu = body()
    coarse = ScatterSampling(point_mm=40, crystals=16, rings=2)
    even, detected = (single_scatter(g, image, grid, mu, sampling=coarse)[..., 3] for g in (EVEN, DETECTED))
    places, own = distances(EVEN)[0][0], distances(DETECTED)[0][0]
    expected = np.stack([np.interp(places, own, row) for row in detected])
    assert np.abs(even - expected)[:, np.abs(places) < 170].max() < 0.06 * expected.max()


def test_headers_keep_the_bins_and_are_noticed(tmp_path):
    values = np.random.default_rng(1).random(EVEN.data_shape, dtype=np.float32)
    write_sinogram(tmp_path / "a.hs", EVEN, values)
    text = (tmp_path / "a.hs").read_text()
    assert "applied corrections := { arc correction }" in text
    log = NoticeLog()
    found = read_sinogram(tmp_path / "a.hs", log=log)
    np.testing.assert_array_equal(found.values, values)
    assert found.geometry.bin_mm == 6.5
    np.testing.assert_allclose(found.geometry.ends_mm, EVEN.ends_mm, atol=1e-9)
    assert "SINOGRAM_ARC_CORRECTED" in [n.code for n in log]
    with pytest.raises(StrictRefusal):
        read_sinogram(tmp_path / "a.hs", log=NoticeLog(strict=True))
    (tmp_path / "a.hs").write_text(
        text.replace("effective central bin size (cm) := 0.65", "default bin size (cm) := 0.6")
    )
    assert read_sinogram(tmp_path / "a.hs", log=NoticeLog()).geometry.bin_mm == 6.0


@pytest.mark.parametrize(
    ("bins", "words"),
    [("0.65", None), ("0", "positive"), ("-1", "positive"), ("x", "number"), ("9", "within"), ("", "positive")],
)
def test_bins_that_cannot_be_are_refused(tmp_path, bins, words):
    write_sinogram(tmp_path / "a.hs", EVEN, np.ones(EVEN.data_shape, np.float32))
    text = (tmp_path / "a.hs").read_text().replace("bin size (cm) := 0.65", f"bin size (cm) := {bins}")
    (tmp_path / "a.hs").write_text(text)
    if words is None:
        assert read_sinogram(tmp_path / "a.hs", log=NoticeLog()).geometry.bins == 61
        return
    with pytest.raises(InputError, match=words):
        read_sinogram(tmp_path / "a.hs", log=NoticeLog())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arc")
    grid, image, mu = body()
    factors = attenuation_factors(EVEN, mu)
    expected = PetSinogramProjector(EVEN, grid, factors=factors).forward(image)
    scale = 4e6 / expected.sum()
    write_sinogram(folder / "prompts.hs", EVEN, np.random.default_rng(2).poisson(scale * expected).astype(np.float32))
    write_nifti(folder / "mu.nii.gz", mu)
    return folder, scale * image


def test_the_command_finds_the_rod_where_it_is(made):
    folder, truth = made
    (folder / "c.toml").write_text(CONFIG)
    config = read_config(folder / "c.toml")
    run = run_reconstruction(config, acquire(config, log=NoticeLog()), log=NoticeLog())
    assert run.image.values.sum() == pytest.approx(truth.sum(), rel=0.03)
    assert run.regions[0].mean.value == pytest.approx(truth.max(), rel=0.1)
    weights = run.image.values[3] * (run.image.values[3] > 0.6 * truth.max())
    middle = [(weights * np.indices(weights.shape)[k]).sum() / weights.sum() for k in (0, 1)]
    np.testing.assert_allclose(
        run.image.grid.to_mm(np.array([[middle[1], middle[0], 3.0]]))[0][:2], [48.0, -24.0], atol=4.0
    )


def test_randoms_from_delayed_coincidences_are_refused(made):
    folder, _ = made
    (folder / "d.toml").write_text(CONFIG + '[randoms]\ndelayed = "prompts.hs"\n')
    with pytest.raises(Unsupported, match="no pairs of crystals") as caught:
        acquire(read_config(folder / "d.toml"), log=NoticeLog())
    assert isinstance(caught.value, FusinError)
    assert "\n" not in str(caught.value)
