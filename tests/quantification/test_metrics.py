"""Metrics of a region against hand calculation, their honesty about odd voxels, and their invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hot_spheres import make_grid, make_scene, make_volume, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog
from fusin.quantification.metrics import measure_region


def measure(values, mask, grid=None, **more):
    log = NoticeLog()
    grid = grid or make_grid(np.shape(values))
    metrics = measure_region(make_volume(values, grid), Region.from_mask("lesion", grid, mask), log=log, **more)
    return metrics, {n.code for n in log}


def row_case():
    values = np.ones((5, 5, 9))
    values[2, 2, 2:6] = [2.0, 4.0, 6.0, 12.0]
    mask = np.zeros(values.shape, bool)
    mask[2, 2, 2:6] = True
    return values, mask


def test_statistics_equal_the_hand_calculation():
    metrics, _ = measure(*row_case())
    assert (metrics.voxels, metrics.suv_max, metrics.suv_min, metrics.suv_mean) == (4, 12, 2, 6)
    assert metrics.suv_median == 5
    assert metrics.suv_sd == pytest.approx(math.sqrt((16 + 4 + 0 + 36) / 4))
    assert metrics.volume_ml == pytest.approx(4 * 0.048)
    assert metrics.total_lesion_uptake == pytest.approx(6 * 4 * 0.048)


def test_positions_are_lps_millimetres():
    grid = make_grid((5, 5, 9), origin=(-100.0, 50.0, 7.0))
    metrics, _ = measure(*row_case(), grid)
    assert metrics.max_mm == (-80.0, 58.0, 13.0)
    assert metrics.centroid_mm == (-86.0, 58.0, 13.0)


def test_sam_uses_a_shell_in_millimetres():
    values = np.full((21, 21, 21), 1.5)
    grid = make_grid(values.shape, spacing=(2.0, 2.0, 2.0))
    region = sphere_region(grid, (20, 20, 20), 6)
    values[region.mask()] = 5.0
    metrics = measure_region(make_volume(values, grid), region, log=NoticeLog())
    assert metrics.sam_background == pytest.approx(1.5)
    assert metrics.sam == pytest.approx(3.5 * region.volume_ml)
    values[0] = 100.0
    assert measure_region(make_volume(values, grid), region, log=NoticeLog()).sam_background == pytest.approx(1.5)
    assert measure_region(make_volume(values, grid), region, log=NoticeLog(), shell_mm=14).sam_background > 1.5


def test_default_peak_is_the_exact_global_one_and_says_so():
    metrics, _ = measure(*row_case())
    assert metrics.suv_peak == metrics.suv_peak_exact
    assert metrics.suv_peak_definition == "exact-1ml-global"


def test_empty_region_gives_no_values_and_a_notice():
    metrics, codes = measure(np.ones((4, 4, 4)), np.zeros((4, 4, 4), bool))
    assert codes == {"REGION_EMPTY"}
    assert (metrics.voxels, metrics.volume_ml) == (0, 0)
    assert {metrics.suv_max, metrics.suv_mean, metrics.suv_peak, metrics.total_lesion_uptake, metrics.sam} == {None}
    assert metrics.to_json()["suv_sd"] is None


def test_voxels_without_a_value_are_left_out_and_counted():
    values, mask = row_case()
    values[2, 2, 5] = np.nan
    metrics, codes = measure(values, mask)
    assert "VOXELS_WITHOUT_VALUE" in codes
    assert (metrics.suv_max, metrics.suv_mean, metrics.voxels) == (6, 4, 4)
    assert any("1 of 4 voxels" in note for note in metrics.notes)


def test_region_of_missing_voxels_only_gives_no_values():
    metrics, codes = measure(np.full((4, 4, 4), np.nan), np.ones((4, 4, 4), bool))
    assert "VOXELS_WITHOUT_VALUE" in codes
    assert metrics.suv_mean is None
    assert metrics.volume_ml > 0


def test_negative_voxels_are_kept():
    values, mask = row_case()
    values[2, 2, 2] = -2.0
    metrics, codes = measure(values, mask)
    assert "NEGATIVE_VOXELS" in codes
    assert (metrics.suv_min, metrics.suv_mean) == (-2, 5)


def test_one_voxel_region_is_measured_and_doubted():
    values, _ = row_case()
    mask = np.zeros(values.shape, bool)
    mask[2, 2, 5] = True
    metrics, codes = measure(values, mask)
    assert {"ONE_VOXEL_REGION", "NO_PERCIST_PEAK"} <= codes
    assert (metrics.suv_mean, metrics.suv_sd, metrics.suv_peak_percist) == (12, 0, None)


def test_region_that_fills_the_image_has_no_shell():
    metrics, codes = measure(np.ones((4, 4, 4)), np.ones((4, 4, 4), bool))
    assert "NO_SHELL" in codes
    assert metrics.sam is None


def test_peak_at_the_edge_of_the_image_is_named():
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, 0] = True
    _, codes = measure(np.ones((6, 6, 6)), mask)
    assert "PEAK_SPHERE_CUT" in codes


def test_small_lesion_is_named_for_partial_volume_when_the_resolution_is_known():
    assert "PARTIAL_VOLUME" in measure(*row_case(), fwhm_mm=6.0)[1]
    assert "PARTIAL_VOLUME" not in measure(*row_case())[1]


def test_values_that_are_not_suv_are_named():
    log = NoticeLog()
    values, mask = row_case()
    grid = make_grid(values.shape)
    measure_region(make_volume(values, grid, unit="Bq/ml"), Region.from_mask("l", grid, mask), log=log)
    assert "UNIT_NOT_SUV" in {n.code for n in log}


@pytest.mark.parametrize("field", ["shell_mm", "fwhm_mm"])
def test_impossible_lengths_are_refused(field):
    with pytest.raises(InputError, match=field):
        measure(*row_case(), **{field: 0.0})


def test_sphere_of_known_uptake_is_recovered():
    # A sphere of 25 mm radius is far larger than the resolution: its peak is its true uptake.
    grid = make_grid((40, 30, 30), spacing=(4.0, 4.0, 3.0))
    volume = make_scene(grid, [((60, 60, 60), 25.0, 8.0)])
    region = sphere_region(grid, (60, 60, 60), 25.0)
    metrics = measure_region(volume, region, log=NoticeLog())
    assert metrics.suv_peak == pytest.approx(8.0, rel=0.01)
    assert metrics.suv_peak_percist == pytest.approx(8.0, rel=0.01)
    assert metrics.volume_ml == pytest.approx(4 / 3 * math.pi * 2.5**3, rel=0.02)


def test_large_sums_keep_float64_accuracy():
    grid = make_grid((60, 60, 60))
    values = np.full(grid.shape, 0.1, np.float32)
    metrics = measure_region(
        make_volume(values, grid), Region.from_mask("r", grid, np.ones(grid.shape)), log=NoticeLog()
    )
    assert metrics.suv_mean == pytest.approx(float(np.float32(0.1)), rel=1e-12)


@given(st.integers(0, 10**6), st.floats(0.01, 100))
@settings(max_examples=10, deadline=None)
def test_metrics_scale_with_the_image(seed, factor):
    rng = np.random.default_rng(seed)
    values = rng.random((8, 8, 8)) + 0.5
    mask = np.zeros(values.shape, bool)
    mask[2:6, 2:6, 2:6] = rng.random((4, 4, 4)) > 0.4
    mask[3, 3, 3] = True
    one, many = measure(values, mask)[0], measure(values * factor, mask)[0]
    for name in ("suv_max", "suv_mean", "suv_min", "suv_median", "suv_sd", "suv_peak", "total_lesion_uptake", "sam"):
        assert getattr(many, name) == pytest.approx(factor * getattr(one, name), rel=1e-9, abs=1e-12)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_order_of_the_statistics(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(2, 1, (8, 8, 8))
    metrics, _ = measure(values, rng.random(values.shape) > 0.7)
    assert metrics.suv_min <= metrics.suv_median <= metrics.suv_max
    assert metrics.suv_min <= metrics.suv_mean <= metrics.suv_max
    assert metrics.suv_peak <= values.max()
