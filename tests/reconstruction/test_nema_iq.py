"""The NEMA image quality phantom and its figures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.nema_iq import (
    DIAMETERS_MM,
    background_places,
    lung_residual,
    nema_figures,
    nema_iq_phantom,
    sphere_places,
)
from fusin.reconstruction.solids import cylinder


def grid_of(pitch=2.5, slices=24):
    shape = (slices, int(280 / pitch), int(340 / pitch))
    affine = np.diag([pitch, pitch, 2.5, 1.0])
    affine[:3, 3] = -0.5 * (shape[2] - 1) * pitch, -0.5 * (shape[1] - 1) * pitch - 30.0, -30.0
    return Grid(shape=shape, affine=affine)


def rods(ratio=4.0, cold=()):
    """The phantom with rods instead of spheres: then every disc is full."""
    phantom = nema_iq_phantom(background_bq_ml=5000.0, ratio=ratio, cold=cold)
    parts = [
        replace(p, solid=cylinder(p.solid.centre_mm, (p.solid.half_mm[0], p.solid.half_mm[0], 60.0)))
        if "sphere" in p.name
        else p
        for p in phantom.parts
    ]
    return replace(phantom, parts=tuple(parts))


def test_the_spheres_have_the_volumes_of_the_standard():
    """Volumes of 0.52, 1.15, 2.57, 5.57, 11.49 and 26.52 mL (NEMA NU 2, inner diameters of 10 to 37 mm)."""
    truth = nema_iq_phantom(background_bq_ml=5000.0).truth()["regions"]
    for d, volume in zip(DIAMETERS_MM, (0.52, 1.15, 2.57, 5.57, 11.49, 26.52), strict=True):
        assert truth[f"sphere {d:g} mm"]["volume_ml"] == pytest.approx(volume, abs=0.01)
        assert truth[f"sphere {d:g} mm"]["activity_bq_ml"] == 20000.0


def test_the_body_holds_about_ten_litres():
    """Half disc of 147 mm, box of 140 x 77 mm, two quarter discs of 77 mm, 180 mm long."""
    area = math.pi / 2 * 147**2 + 140 * 77 + math.pi / 2 * 77**2
    phantom = nema_iq_phantom(background_bq_ml=1.0, ratio=1.0001)
    filled = area * 0.18 - math.pi * 25**2 * 0.18
    assert phantom.activity_bq(pitch_mm=1.0) == pytest.approx(filled, rel=2e-3)


def test_rods_of_the_true_contrast_are_recovered_in_full():
    for ratio in (4.0, 8.0):
        image = rods(ratio).on_grid(grid_of(1.25), samples=(4, 4, 1))[0]
        for found in nema_figures(image, ratio=ratio):
            # Pixels at the rim of a disc are themselves in part outside of the rod.
            assert 100.0 - 95.0 / found.diameter_mm < found.recovery.value < 100.1
            assert found.variability.value < 0.5


def test_cold_rods_are_recovered_by_their_own_formula():
    image = rods(cold=(28.0, 37.0)).on_grid(grid_of(1.25), samples=(4, 4, 1))[0]
    found = {f.diameter_mm: f for f in nema_figures(image, ratio=4.0, cold=(28.0, 37.0))}
    assert not found[37.0].hot
    assert found[37.0].recovery.value == pytest.approx(100.0, abs=3.0)
    assert found[10.0].hot


def test_an_even_image_has_no_contrast_at_all():
    grid = grid_of()
    image = Volume(values=np.full(grid.shape, 7.0, np.float32), grid=grid, unit="Bq/ml")
    for found in nema_figures(image, ratio=4.0):
        assert found.recovery.value == pytest.approx(0.0, abs=1e-4)


def test_a_blurred_sphere_loses_contrast_by_its_size():
    from scipy.ndimage import gaussian_filter

    grid = grid_of()
    sharp = nema_iq_phantom(background_bq_ml=5000.0).on_grid(grid)[0]
    image = replace(sharp, values=gaussian_filter(sharp.values, 6.0 / 2.355 / 2.5))
    values = [f.recovery.value for f in nema_figures(image, ratio=4.0)]
    assert values == sorted(values)
    assert values[0] < 60
    assert values[-1] > 80


def test_white_noise_gives_the_variability_of_the_mean_over_a_disc():
    grid = grid_of()
    rng = np.random.default_rng(2)
    image = Volume(values=rng.normal(100.0, 30.0, grid.shape), grid=grid, unit="Bq/ml")
    for found in nema_figures(image, ratio=4.0):
        pixels = math.pi / 4 * found.diameter_mm**2 / 2.5**2
        assert found.variability.value == pytest.approx(30.0 / math.sqrt(pixels), rel=0.3)
        assert found.variability.low < found.variability.value < found.variability.high


def test_the_interval_without_replicates_covers_the_truth_of_noise():
    """Recovery is 0 in noise without spheres: 95 % intervals miss it in about one of twenty."""
    grid = grid_of(5.0)
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(40):
        image = Volume(values=rng.normal(100.0, 20.0, grid.shape), grid=grid, unit="Bq/ml")
        inside += sum(f.recovery.low <= 0 <= f.recovery.high for f in nema_figures(image, ratio=4.0))
    assert 0.90 <= inside / 240 <= 0.99


def test_intervals_of_replicates_hold_what_repeated_images_give():
    """Replicates hold the noise of their image and their own: their percentiles would lie above the variability of the image."""
    grid = grid_of(5.0)
    rng = np.random.default_rng(6)
    every = []
    for _ in range(12):
        image = rng.normal(100.0, 20.0, grid.shape)
        replicates = [image + rng.normal(0.0, 20.0, grid.shape) for _ in range(20)]
        every.append(nema_figures(Volume(values=image, grid=grid, unit="Bq/ml"), ratio=4.0, replicates=replicates))
    assert "20 bootstrap replicates" in every[0][0].recovery.method
    expected = np.sqrt(np.mean([[f.variability.value**2 for f in found] for found in every], axis=0))
    recovery = [f.recovery.low <= 0.0 <= f.recovery.high for found in every for f in found]
    variability = [
        f.variability.low <= e <= f.variability.high for found in every for f, e in zip(found, expected, strict=True)
    ]
    assert 0.88 <= np.mean(recovery) <= 1.0
    assert 0.85 <= np.mean(variability) <= 1.0


def test_the_lung_residual_is_that_of_the_insert():
    grid = grid_of()
    truth = nema_iq_phantom(background_bq_ml=5000.0).on_grid(grid, samples=(2, 2, 1))[0]
    lung = nema_iq_phantom(background_bq_ml=5000.0).region("lung", grid).mask()
    assert lung_residual(truth).value == pytest.approx(0.0, abs=1e-6)
    assert lung_residual(truth).low is None
    filled = replace(truth, values=np.where(lung, 1000.0, truth.values))
    found = lung_residual(filled, replicates=[filled.values * np.float32(1.0 + 0.01 * k * lung) for k in (-1, 0, 1)])
    assert found.value == pytest.approx(20.0, rel=0.01)
    assert found.low == pytest.approx(found.value - 0.01 * found.value * 4.303, rel=1e-3)


def test_the_discs_of_the_background_keep_their_distance():
    places = background_places()
    assert places.shape == (12, 2)
    for d, (x, y, _) in sphere_places().items():
        assert np.hypot(places[:, 0] - x, places[:, 1] - y).min() >= d / 2 + 15.0 + 18.5


def test_what_is_no_image_of_the_phantom_gets_one_sentence():
    small = Grid(shape=(4, 20, 20), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    image = Volume(values=np.ones(small.shape), grid=small, unit="Bq/ml")
    with pytest.raises(NotComputable, match=r"no slice|leaves the image"):
        nema_figures(image, ratio=4.0)
    empty = Volume(values=np.zeros(grid_of().shape), grid=grid_of(), unit="Bq/ml")
    with pytest.raises(NotComputable, match="with activity"):
        nema_figures(empty, ratio=4.0)
    with pytest.raises(InputError, match="other than 1"):
        nema_figures(empty, ratio=1.0)
    with pytest.raises(InputError, match="diameters"):
        nema_iq_phantom(background_bq_ml=1.0, cold=(12.0,))
    with pytest.raises(InputError, match="replicate"):
        nema_figures(empty, ratio=4.0, replicates=[np.zeros((2, 2, 2))])
