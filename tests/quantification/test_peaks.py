"""SUVpeak: sphere weights against geometry, definitions against brute force, and how they behave."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hot_spheres import blurred, distance, make_grid, make_volume, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region, Volume
from fusin.quantification import peaks as module
from fusin.quantification.morphology import ball_offsets
from fusin.quantification.peaks import PEAK_RADIUS_MM, find_peaks, sphere_weights

SPACINGS = [
    (4.0728, 4.0728, 3.0),
    (4.07, 4.07, 2.03),
    (2.0, 2.0, 2.0),
    (0.7, 0.7, 0.7),
    (1.0, 2.0, 7.0),
    (20.0, 20.0, 20.0),
]


def brute_fraction(offset, spacing, n=60):
    """Share of a voxel inside the 1 mL sphere, from n^3 sub-voxels."""
    sub = (np.arange(n) + 0.5) / n - 0.5
    z, y, x = ((o + sub) * s for o, s in zip(offset, spacing[::-1], strict=True))
    r2 = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    return float((r2 <= PEAK_RADIUS_MM**2).mean())


def test_radius_is_that_of_one_millilitre():
    assert 4 / 3 * math.pi * PEAK_RADIUS_MM**3 == pytest.approx(1000, rel=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_weights_sum_to_one_millilitre_on_any_grid(spacing):
    grid = make_grid(spacing=spacing)
    _, weights = sphere_weights(grid)
    assert weights.sum() * grid.voxel_volume_ml == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize("spacing", SPACINGS[:3])
def test_each_weight_is_the_covered_share_of_its_voxel(spacing):
    offsets, weights = sphere_weights(make_grid(spacing=spacing))
    rng = np.random.default_rng(0)
    for k in rng.choice(len(offsets), 15, replace=False):
        assert weights[k] == pytest.approx(brute_fraction(offsets[k], spacing), abs=1e-3)


def test_voxel_centre_sphere_holds_1_31_ml_where_the_exact_one_holds_1_ml():
    # Facts measured before: 1.04 mL at 4.07 x 4.07 x 3 mm, 1.31 mL at 4.07 x 4.07 x 2.03 mm.
    for spacing, expected in (((4.07, 4.07, 3.0), 1.04), ((4.07, 4.07, 2.03), 1.31)):
        grid = make_grid(spacing=spacing)
        assert len(ball_offsets(grid, PEAK_RADIUS_MM)) * grid.voxel_volume_ml == pytest.approx(expected, abs=0.006)


def test_weights_follow_an_oblique_and_a_skewed_grid():
    plain = make_grid(spacing=(3, 4, 5))
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    turned = np.eye(4)
    turned[:3, :3] = turn @ plain.affine[:3, :3]
    for a, b in zip(sphere_weights(plain), sphere_weights(Grid(shape=plain.shape, affine=turned)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    skewed = np.diag([3.0, 4.0, 5.0, 1.0])
    skewed[0, 1] = 1.5
    grid = Grid(shape=(9, 9, 9), affine=skewed)
    assert sphere_weights(grid)[1].sum() * grid.voxel_volume_ml == pytest.approx(1.0, abs=2e-4)


def test_all_forms_equal_brute_force():
    grid = make_grid((14, 13, 12))
    values = np.random.default_rng(3).random(grid.shape).astype(np.float32)
    region = sphere_region(grid, (22, 24, 20), 9)
    found = find_peaks(make_volume(values, grid), region)
    exact, balls, percist = [], [], []
    offsets, weights = sphere_weights(grid)
    mask = region.mask()
    for index in np.argwhere(np.ones(grid.shape, bool)):
        near = index + offsets
        inside = ((near >= 0) & (near < grid.shape)).all(axis=1)
        mean = np.average(values[tuple(near[inside].T)].astype(float), weights=weights[inside])
        share = weights[inside][mask[tuple(near[inside].T)]].sum() / weights.sum()
        if share >= 0.5 and inside.all():
            percist.append(mean)
        if mask[tuple(index)]:
            exact.append(mean)
            centre = grid.to_mm(index[::-1])
            balls.append(values[distance(grid, centre) <= PEAK_RADIUS_MM].astype(float).mean())
    hottest = int(np.argmax(values[mask]))
    assert found.exact.value == pytest.approx(max(exact), rel=1e-9)
    assert found.ibsi_global.value == pytest.approx(max(balls), rel=1e-9)
    assert found.ibsi_local.value == pytest.approx(balls[hottest], rel=1e-9)
    assert found.percist.value == pytest.approx(max(percist), rel=1e-9)


def test_fourier_route_equals_the_gather(monkeypatch):
    grid = make_grid((30, 30, 30), spacing=(1.0, 1.0, 1.0))
    values = blurred(np.random.default_rng(2).random(grid.shape), grid, 2.0)
    values[10, 12, 12] = np.nan
    volume, region = make_volume(values, grid), sphere_region(grid, (14, 14, 4), 8)
    gathered = find_peaks(volume, region)
    monkeypatch.setattr(module, "GATHER_LIMIT", 0)
    transformed = find_peaks(volume, region)
    for form in ("exact", "ibsi_local", "ibsi_global"):
        assert getattr(transformed, form).value == pytest.approx(getattr(gathered, form).value, rel=1e-6)
        assert getattr(transformed, form).coverage == pytest.approx(getattr(gathered, form).coverage, abs=1e-9)


def test_peak_of_a_blurred_sphere_equals_the_integral_of_its_profile():
    # Mean over 1 mL at the centre of a Gaussian hot spot: 3/R^3 int_0^R exp(-r^2/2s^2) r^2 dr.
    # Voxels of 0.5 mm: a voxel holds one value, which lowers the mean by h^2 / 24 of the curvature, 0.1 % here.
    grid = make_grid((53, 53, 53), spacing=(0.5, 0.5, 0.5))
    s = 5.0
    values = np.exp(-(distance(grid, (13, 13, 13)) ** 2) / (2 * s * s))
    expected = 3 / PEAK_RADIUS_MM**3 * quad(lambda r: math.exp(-(r**2) / (2 * s * s)) * r**2, 0, PEAK_RADIUS_MM)[0]
    found = find_peaks(make_volume(values, grid), sphere_region(grid, (13, 13, 13), 2))
    assert found.exact.value == pytest.approx(expected, rel=1.5e-3)
    assert found.exact.centre_mm == (13, 13, 13)


def test_percist_sphere_need_not_hold_the_maximum():
    grid = make_grid((20, 20, 20), spacing=(3.0, 3.0, 3.0))
    values = np.where(distance(grid, (28, 28, 28)) <= 11, 5.0, 1.0)
    values[4, 9, 9] = 20.0
    mask = values > 2
    mask[4:7, 9, 9] = True
    found = find_peaks(make_volume(values, grid), Region.from_mask("l", grid, mask))
    assert found.percist.value == pytest.approx(5.0, rel=1e-6)
    assert math.dist(found.percist.centre_mm, (27, 27, 12)) > PEAK_RADIUS_MM


def test_ibsi_local_takes_the_best_of_several_equally_hot_voxels():
    grid = make_grid((9, 9, 30), spacing=(3.0, 3.0, 3.0))
    values = np.ones(grid.shape)
    values[4, 4, 4] = values[4, 4, 22] = 9.0
    values[4, 4, 23] = 8.0
    region = Region.from_mask("l", grid, values > 5)
    assert find_peaks(make_volume(values, grid), region).ibsi_local.centre_mm[0] == pytest.approx(66.0)


def test_voxels_larger_than_the_sphere_give_their_own_value():
    grid = make_grid((3, 3, 3), spacing=(20.0, 20.0, 20.0))
    values = np.arange(27.0).reshape(3, 3, 3)
    region = Region.from_mask("l", grid, values >= 13)
    found = find_peaks(make_volume(values, grid), region)
    assert (found.exact.value, found.ibsi_global.value) == (26.0, 26.0)


def test_tiny_voxels_agree_with_coarse_ones_on_a_plateau():
    for spacing in ((0.5, 0.5, 0.5), (5.0, 5.0, 5.0)):
        n = round(45 / spacing[0])
        grid = make_grid((n, n, n), spacing=spacing)
        region = sphere_region(grid, (22, 22, 22), 5)
        found = find_peaks(make_volume(np.full(grid.shape, 3.0, np.float32), grid), region)
        assert found.exact.value == pytest.approx(3.0, rel=1e-6)


def test_sphere_cut_by_the_image_averages_what_exists_and_reports_its_coverage():
    grid = make_grid((10, 10, 10))
    values = np.full(grid.shape, 2.0)
    region = Region.from_mask("corner", grid, distance(grid, (0, 0, 0)) < 1)
    found = find_peaks(make_volume(values, grid), region)
    assert found.exact.value == pytest.approx(2.0)
    assert found.exact.coverage < 0.5
    assert found.percist is None


def test_missing_voxels_do_not_count_as_zero():
    grid = make_grid((12, 12, 12))
    values = np.full(grid.shape, 4.0)
    values[6, 6, 7] = np.nan
    found = find_peaks(make_volume(values, grid), sphere_region(grid, (24, 24, 18), 7))
    assert found.exact.value == pytest.approx(4.0)


def test_empty_region_has_no_peak():
    grid = make_grid()
    found = find_peaks(make_volume(np.ones(grid.shape), grid), Region.from_mask("none", grid, np.zeros(grid.shape)))
    assert (found.exact, found.ibsi_local, found.ibsi_global, found.percist) == (None,) * 4


def test_region_of_another_grid_is_refused():
    region = sphere_region(make_grid(spacing=(4, 4, 4)), (40, 40, 40), 9)
    with pytest.raises(InputError):
        find_peaks(make_volume(np.ones((24, 24, 24)), make_grid()), region)


def random_case(seed):
    rng = np.random.default_rng(seed)
    grid = make_grid((11, 12, 13), spacing=(3.5, 4.5, 2.5))
    values = rng.random(grid.shape)
    mask = np.zeros(grid.shape, bool)
    mask[3:8, 4:9, 4:9] = rng.random((5, 5, 5)) > 0.3
    return grid, values, mask


FORMS = ("exact", "ibsi_local", "ibsi_global", "percist")


def forms(grid, values, mask):
    found = find_peaks(make_volume(values, grid), Region.from_mask("r", grid, mask))
    return np.array([np.nan if getattr(found, f) is None else getattr(found, f).value for f in FORMS])


@given(st.integers(0, 10**6), st.floats(0.1, 50), st.floats(-5, 5))
@settings(max_examples=15, deadline=None)
def test_peaks_scale_and_shift_with_the_image(seed, factor, shift):
    grid, values, mask = random_case(seed)
    np.testing.assert_allclose(
        forms(grid, factor * values + shift, mask), factor * forms(grid, values, mask) + shift, rtol=1e-9, atol=1e-9
    )


@given(st.integers(0, 10**6), st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3))
@settings(max_examples=15, deadline=None)
def test_peaks_do_not_depend_on_the_order_of_the_axes(seed, order, flips):
    grid, values, mask = random_case(seed)
    flipped = tuple(slice(None, None, -1 if f else 1) for f in flips)
    columns = grid.affine[:, :3][:, ::-1].copy()
    affine = np.eye(4)
    for axis in range(3):
        affine[:, 2 - axis] = columns[:, order[axis]] * (-1 if flips[axis] else 1)
    turned_values = np.ascontiguousarray(values.transpose(order)[flipped])
    turned = Grid(shape=turned_values.shape, affine=affine)
    np.testing.assert_allclose(
        forms(turned, turned_values, mask.transpose(order)[flipped]), forms(grid, values, mask), rtol=1e-3
    )


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_larger_regions_never_have_a_lower_maximised_peak(seed):
    grid, values, mask = random_case(seed)
    smaller = mask & (np.indices(grid.shape)[0] < 6)
    small, large = forms(grid, values, smaller), forms(grid, values, mask)
    for form in (0, 2, 3):
        assert np.isnan(small[form]) or large[form] >= small[form] - 1e-12


def test_float32_and_float64_images_give_the_same_peak():
    grid, values, mask = random_case(5)
    volume = Volume(values=values.astype(np.float32), grid=grid, unit="g/ml{SUVbw}")
    found = find_peaks(volume, Region.from_mask("r", grid, mask))
    assert found.exact.value == pytest.approx(forms(grid, values, mask)[0], rel=1e-6)
