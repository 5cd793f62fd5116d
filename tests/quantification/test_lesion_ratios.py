"""Tumour-to-background ratios with honest limits, and the burden."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hot_spheres import make_grid, make_reference, make_scene, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from fusin.provenance import NoticeLog
from fusin.quantification.lesion_ratios import BOTH_ERRORS, REFERENCE_ERROR, burden, tbrs_for
from fusin.quantification.lesions import Lesion
from fusin.quantification.metrics import measure_region
from fusin.quantification.resels import degrees_of_freedom, standard_error_resels

GRID = make_grid((30, 24, 24))
REGION = sphere_region(GRID, (48, 48, 45), 10.0)
METRICS = measure_region(make_scene(GRID, [((48, 48, 45), 10.0, 9.0)]), REGION, log=NoticeLog())


def ratios(*references, metrics=METRICS, region=REGION, **more):
    log = NoticeLog()
    found = tbrs_for(metrics, region, references, log=log, **more)
    return {(t.reference, t.statistic): t for t in found}, {n.code for n in log}


def test_ratios_are_quotients_against_each_reference():
    found, codes = ratios(make_reference("blood_pool", mean=1.6), make_reference("liver", mean=1.3))
    assert not codes
    assert found["blood_pool", "max/mean"].value == pytest.approx(METRICS.suv_max / 1.6)
    assert found["liver", "mean/mean"].value == pytest.approx(METRICS.suv_mean / 1.3)
    assert found["liver", "peak/mean"].value == pytest.approx(METRICS.suv_peak / 1.3)
    assert len(found) == 6


def test_limits_equal_the_delta_method_by_hand():
    found, _ = ratios(make_reference(mean=1.6, sd=0.2, volume_ml=1.57))
    error = standard_error_resels(0.2, 1.57) / 1.6
    factor = math.exp(float(stdtrit(degrees_of_freedom(1.57), 0.975)) * error)
    top = found["blood_pool", "max/mean"]
    assert (top.low, top.high) == pytest.approx((top.value / factor, top.value * factor))
    assert top.method == REFERENCE_ERROR
    assert found["blood_pool", "mean/mean"].method == BOTH_ERRORS


def test_mean_over_mean_is_wider_than_max_over_mean():
    found, _ = ratios(make_reference(volume_ml=14.0))
    both, one = found["blood_pool", "mean/mean"], found["blood_pool", "max/mean"]
    assert both.high / both.low > one.high / one.low


def test_larger_reference_gives_a_narrower_interval():
    narrow = ratios(make_reference(volume_ml=14.0))[0]["blood_pool", "max/mean"]
    wide = ratios(make_reference(volume_ml=1.5))[0]["blood_pool", "max/mean"]
    assert narrow.high - narrow.low < wide.high - wide.low


def test_interval_of_a_simulated_ratio_holds_about_95_of_100_times():
    rng = np.random.default_rng(5)
    volume, sd, runs = 4.0, 0.3, 600
    n_eff = (0.3 / standard_error_resels(0.3, volume)) ** 2 + 1
    freedom = degrees_of_freedom(volume)
    hits = 0
    for _ in range(runs):
        mean = 1.6 + sd / math.sqrt(n_eff) * rng.standard_normal()
        spread = sd * math.sqrt(rng.chisquare(freedom) / freedom * (1 - 1 / n_eff))
        found, _ = ratios(make_reference(mean=mean, sd=spread, volume_ml=volume))
        top = found["blood_pool", "max/mean"]
        hits += top.low <= METRICS.suv_max / 1.6 <= top.high
    assert hits / runs == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("mean", [0.0, -0.3, math.nan])
def test_reference_that_is_not_positive_gives_no_ratio(mean):
    found, codes = ratios(make_reference(mean=mean))
    assert not found
    assert codes == {"REFERENCE_NOT_POSITIVE"}


def test_lesion_that_is_not_positive_gives_no_ratio_of_that_statistic():
    found, codes = ratios(make_reference(), metrics=replace(METRICS, suv_mean=-0.1))
    assert ("blood_pool", "mean/mean") not in found
    assert ("blood_pool", "max/mean") in found
    assert codes == {"LESION_NOT_POSITIVE"}


def test_missing_statistic_gives_no_ratio():
    found, _ = ratios(make_reference(), metrics=replace(METRICS, suv_peak=None))
    assert ("blood_pool", "peak/mean") not in found


def test_tiny_reference_gives_a_ratio_without_an_invented_interval():
    found, _ = ratios(make_reference(volume_ml=0.05))
    top = found["blood_pool", "max/mean"]
    assert top.value > 0
    assert math.isnan(top.low)
    assert "too few" in top.method
    assert top.to_json()["low"] is None


def test_reference_inside_the_lesion_is_named():
    inside = make_reference(grid=GRID, region=sphere_region(GRID, (48, 48, 45), 5.0))
    assert "REFERENCE_OVERLAPS_LESION" in ratios(inside)[1]
    apart = make_reference(grid=GRID, region=sphere_region(GRID, (12, 12, 12), 5.0))
    assert "REFERENCE_OVERLAPS_LESION" not in ratios(apart)[1]


@given(st.floats(0.1, 20), st.floats(0.001, 2), st.floats(0.6, 100))
@settings(max_examples=25, deadline=None)
def test_limits_enclose_the_ratio_and_do_not_depend_on_the_unit(mean, sd, volume):
    one = ratios(make_reference(mean=mean, sd=sd, volume_ml=volume))[0]["blood_pool", "max/mean"]
    thousand = ratios(
        make_reference(mean=1000 * mean, sd=1000 * sd, volume_ml=volume),
        metrics=replace(METRICS, suv_max=1000 * METRICS.suv_max),
    )[0]["blood_pool", "max/mean"]
    assert one.low <= one.value <= one.high
    assert (thousand.value, thousand.low, thousand.high) == pytest.approx((one.value, one.low, one.high), rel=1e-9)


def test_burden_sums_candidates_and_leaves_physiological_regions_out():
    def lesion(number, status="candidate", **fields):
        return Lesion(
            number=number, identity=str(number), region=REGION, metrics=replace(METRICS, **fields), status=status
        )

    total = burden(
        [
            lesion(1, volume_ml=2.0, total_lesion_uptake=10.0, suv_max=9.0),
            lesion(2, volume_ml=3.0, total_lesion_uptake=30.0, suv_max=12.0),
            lesion(3, "physiological", volume_ml=100.0, total_lesion_uptake=900.0, suv_max=40.0),
        ]
    )
    assert (total.lesions, total.tumour_volume_ml, total.total_lesion_uptake) == (2, 5.0, 40.0)
    assert (total.suv_max, total.suv_mean) == (12.0, 8.0)


def test_burden_of_nothing_has_no_suv():
    total = burden([])
    assert (total.lesions, total.tumour_volume_ml, total.total_lesion_uptake) == (0, 0.0, 0.0)
    assert (total.suv_max, total.suv_mean) == (None, None)
