"""Attenuation factors, efficiencies and randoms of PET sinograms."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.pet import CylindricalScanner, PetSinogramProjector, SinogramGeometry, TofBins
from fusin.reconstruction.pet_corrections import (
    attenuation_factors,
    detection_efficiencies,
    over_timing_bins,
    randoms_from_delayed,
    randoms_from_singles,
    singles_from_delayed,
)

SCANNER = CylindricalScanner(crystals=64, rings=5, radius_mm=200.0, ring_pitch_mm=6.0)
GEOMETRY = SinogramGeometry.of_span(SCANNER, bins=31, span=3)
MASHED = SinogramGeometry.of_span(SCANNER, bins=31, span=3, mashing=2)


def cylinder(radius_mm, mu_per_cm, pixel_mm=1.0, **grid):
    columns = int(2.4 * radius_mm / pixel_mm)
    at = GEOMETRY.grid(pixel_mm=pixel_mm, columns=columns, **grid)
    # Share of each pixel within the circle, from 8 x 8 points.
    fine = (np.arange(8 * columns) + 0.5) / 8.0 - 0.5 * columns
    inside = (fine[:, None] ** 2 + fine[None] ** 2) * pixel_mm**2 < radius_mm**2
    disc = inside.reshape(columns, 8, columns, 8).mean(axis=(1, 3))
    return Volume(values=np.broadcast_to(mu_per_cm * disc, at.shape).astype(np.float32), grid=at, unit="1/cm")


@pytest.mark.parametrize("geometry", [GEOMETRY, MASHED])
def test_a_water_cylinder_attenuates_by_the_length_of_its_chords(geometry):
    """exp(-mu L) of a cylinder of 10 cm radius and 0.096 1/cm, within 0.5 %."""
    mu = cylinder(100.0, 0.096)
    factors = attenuation_factors(geometry, mu)
    ends = geometry.ends_mm
    middle = np.linalg.norm(ends.mean(axis=2), axis=-1)
    across = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1)
    chord = 2.0 * np.sqrt(np.clip(100.0**2 - middle**2, 0, None))
    planes, pairs = geometry.ring_pairs
    rise = np.bincount(planes, pairs[:, 1] - pairs[:, 0]) / geometry.pairs_per_plane * 6.0
    oblique = np.sqrt(across[..., None] ** 2 + rise**2) / across[..., None]
    expected = np.exp(-0.0096 * chord[..., None] * oblique)
    inner = middle < 95.0
    np.testing.assert_allclose(factors[inner], expected[inner], rtol=5e-3)
    assert (factors[middle > 103.0] == 1.0).all()


def test_a_map_of_another_frame_is_refused():
    mu = cylinder(100.0, 0.096, pixel_mm=4.0, frame_of_reference_uid="1.2.3")
    image = GEOMETRY.grid(pixel_mm=4.0, columns=60, frame_of_reference_uid="1.2.4")
    with pytest.raises(InputError, match="Frame of Reference"):
        attenuation_factors(GEOMETRY, mu, image=image)


@pytest.mark.parametrize(("scale", "unit"), [(-1.0, "1/cm"), (np.nan, "1/cm"), (100.0, "1/cm"), (1.0, "[hnsf'U]")])
def test_a_map_that_is_no_attenuation_is_refused(scale, unit):
    mu = cylinder(100.0, 0.096, pixel_mm=4.0)
    with pytest.raises(InputError, match="attenuation map"):
        attenuation_factors(GEOMETRY, Volume(values=mu.values * np.float32(scale), grid=mu.grid, unit=unit))


def test_efficiencies_are_the_mean_products_of_both_crystals():
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 1.5, (5, 64))
    values[2, 7] = 0.0
    found = detection_efficiencies(MASHED, values)
    planes, pairs = MASHED.ring_pairs
    for view, line, plane in rng.integers(0, (MASHED.views, 31, MASHED.planes), (40, 3)):
        products = [
            values[r1, a] * values[r2, b]
            for r1, r2 in pairs[planes == plane]
            for a, b in MASHED.crystal_pairs[view, line]
        ]
        assert found[view, line, plane] == pytest.approx(np.mean(products), rel=1e-6)


def test_equal_crystals_have_efficiency_one_and_geometric_factors_multiply():
    ones = np.ones((5, 64))
    np.testing.assert_allclose(detection_efficiencies(GEOMETRY, ones), 1.0)
    bent = np.linspace(1.0, 2.0, 31)[:, None]
    np.testing.assert_allclose(detection_efficiencies(GEOMETRY, ones, geometric=bent)[3, :, 4], bent[:, 0], rtol=1e-6)
    for wrong in (np.ones(30), np.ones((2, 3, 4, 5)), -bent):
        with pytest.raises(InputError, match="geometric"):
            detection_efficiencies(GEOMETRY, ones, geometric=wrong)


def test_randoms_are_two_tau_times_both_singles_rates():
    """Two crystals of 10 000 cps and a window 2 tau of 4 ns over 60 s: 4e-9 * 1e8 * 60 = 24 counts a line."""
    randoms = randoms_from_singles(MASHED, np.full((5, 64), 1e4), window_ns=4.0, duration_s=60.0)
    np.testing.assert_allclose(randoms / MASHED.lines_per_plane, 24.0, rtol=1e-6)


def test_singles_are_found_again_from_expected_delayed_counts():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.2, 1.0, (5, 64)) * 30.0
    truth[1, 10] = 0.0
    plain = SinogramGeometry.of_span(SCANNER, bins=31)
    delayed = randoms_from_singles(plain, truth, window_ns=1e9, duration_s=1.0)
    np.testing.assert_allclose(singles_from_delayed(plain, delayed), truth, rtol=1e-3, atol=0.01)


def test_singles_model_takes_most_of_the_noise_out_of_delayed_counts():
    rng = np.random.default_rng(2)
    expected = randoms_from_singles(GEOMETRY, rng.uniform(0.5, 1.0, (5, 64)), window_ns=1e9, duration_s=1.0)
    delayed = rng.poisson(expected)
    found = randoms_from_delayed(GEOMETRY, delayed)
    raw = np.sqrt(np.mean((delayed - expected) ** 2))
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.2 * raw
    assert found.sum() == pytest.approx(delayed.sum(), rel=1e-4)


def test_no_delayed_coincidence_is_refused():
    with pytest.raises(NotComputable, match="no delayed"):
        singles_from_delayed(GEOMETRY, np.zeros(GEOMETRY.data_shape))
    with pytest.raises(InputError, match="negative"):
        singles_from_delayed(GEOMETRY, np.full(GEOMETRY.data_shape, -1.0))


def test_randoms_spread_evenly_over_timing_bins():
    tof = TofBins(count=5, width_ps=400.0, resolution_ps=500.0)
    timed = SinogramGeometry.of_span(SCANNER, bins=31, span=3, tof=tof)
    randoms = np.random.default_rng(3).random(GEOMETRY.data_shape, np.float32)
    spread = over_timing_bins(timed, randoms)
    assert spread.shape == timed.data_shape
    np.testing.assert_allclose(spread.sum(axis=1), randoms, rtol=1e-5)
    np.testing.assert_allclose(over_timing_bins(timed, randoms, window_ns=4.0).sum(axis=1), randoms / 2, rtol=1e-5)
    with pytest.raises(InputError, match="window_ns"):
        over_timing_bins(timed, randoms, window_ns=1.0)
    with pytest.raises(InputError, match="time of flight"):
        over_timing_bins(GEOMETRY, randoms)


def test_factors_enter_expected_counts():
    grid = Grid(shape=(9, 20, 20), affine=np.diag([12.0, 12.0, 3.0, 1.0]) + 0)
    image = np.ones(grid.shape, np.float32)
    factors = np.random.default_rng(4).random(GEOMETRY.data_shape)
    plain, with_factors = PetSinogramProjector(GEOMETRY, grid), PetSinogramProjector(GEOMETRY, grid, factors=factors)
    np.testing.assert_allclose(with_factors.forward(image), plain.forward(image) * factors, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: detection_efficiencies(GEOMETRY, np.ones((64, 5))), "crystals"),
        (lambda: randoms_from_singles(GEOMETRY, -np.ones((5, 64)), window_ns=4.0, duration_s=1.0), "singles_cps"),
        (lambda: randoms_from_singles(GEOMETRY, np.ones((5, 64)), window_ns=0.0, duration_s=1.0), "window_ns"),
        (lambda: randoms_from_singles(GEOMETRY, np.ones((5, 64)), window_ns=4.0, duration_s=np.inf), "duration_s"),
        (lambda: singles_from_delayed(GEOMETRY, np.ones((2, 3))), "counts"),
    ],
)
def test_what_does_not_fit_is_refused(call, field):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
