"""ROC curves against pROC, brute force and limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subarachnoid import FEMALE, NDKA, POOR, S100B, WFNS

from fusin.errors import InvalidValue
from fusin.stats.roc import (
    auc,
    auc_from_summary,
    compare_auc,
    compare_auc_unpaired,
    hanley_mcneil_variance,
    optimism_bootstrap,
    roc_curve,
    sensitivity_at_specificity,
    youden,
)

# R 4.2.2, pROC 1.18.0, data(aSAH): auc(), var(), ci(), direction "<".
R_AREAS = [
    (S100B, 0.731368563685637, 0.00266868245717244, 0.630118211761623, 0.832618915609651),
    (NDKA, 0.611957994579946, 0.0031908105493913, 0.501244999271703, 0.722670989888189),
    (WFNS, 0.823678861788618, 0.00146991470882363, 0.748534887819453, 0.898822835757783),
]


@pytest.mark.parametrize(("scores", "area", "variance", "low", "high"), R_AREAS)
def test_areas_and_delong_intervals_are_those_of_proc(scores, area, variance, low, high):
    found = auc(scores, POOR, method="delong")
    assert found.value == pytest.approx(area, rel=1e-12)
    assert found.standard_error**2 == pytest.approx(variance, rel=1e-10)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-10)


def test_paired_comparisons_are_those_of_proc():
    # R: roc.test(s100b, ndka), roc.test(s100b, wfns), cov()
    one = compare_auc(S100B, NDKA, POOR)
    assert (one.statistic, one.p) == pytest.approx((1.390770025735577, 0.164295175223054), rel=1e-10)
    assert one.details["covariance"] == pytest.approx(-0.000756164938056579, rel=1e-9)
    two = compare_auc(S100B, WFNS, POOR)
    assert (two.statistic, two.p) == pytest.approx((-2.2089835914409077, 0.0271757822291882), rel=1e-10)


def test_unpaired_comparison_has_the_variances_of_proc():
    # R: roc.test(women, men, paired = FALSE): D -0.501880774326713, areas 0.72 and 0.772727272727273
    found = compare_auc_unpaired(S100B[FEMALE], POOR[FEMALE], S100B[~FEMALE], POOR[~FEMALE])
    assert (found.details["auc_a"], found.details["auc_b"]) == pytest.approx((0.72, 0.772727272727273))
    assert found.statistic == pytest.approx(-0.501880774326713, rel=1e-10)
    assert found.details["standard_error"] ** 2 == pytest.approx(0.0110374690315892, rel=1e-10)


def test_youden_cut_off_is_that_of_proc():
    # R: coords(roc, "best", best.method = "youden"): 0.205 lies between the scores 0.20 and 0.21
    found = youden(S100B, POOR, resamples=200)
    assert found.sensitivity.value == pytest.approx(0.634146341463415)
    assert found.specificity.value == pytest.approx(0.805555555555556)
    assert 0.205 < found.threshold.value <= 0.22
    assert found.threshold.low <= found.threshold.value <= found.threshold.high


def test_sensitivity_at_fixed_specificity_is_that_of_proc():
    # R: coords(roc, 0.9, input = "specificity") interpolates: 0.390243902439024
    found = sensitivity_at_specificity(S100B, POOR, 0.9, interpolate=True, resamples=300)
    assert found.sensitivity.value == pytest.approx(0.390243902439024)
    assert found.sensitivity.low < 0.39 < found.sensitivity.high
    assert sensitivity_at_specificity(S100B, POOR, 0.9, resamples=50).specificity.value >= 0.9


def test_operators_move_the_cut_off_and_not_the_curve():
    scores, truth = [1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1]
    at_least, above = roc_curve(scores, truth, operator=">="), roc_curve(scores, truth, operator=">")
    assert at_least.thresholds.tolist() == [math.inf, 4.0, 3.0, 2.0, 1.0]
    assert above.thresholds.tolist() == [4.0, 3.0, 2.0, 1.0, -math.inf]
    assert np.array_equal(at_least.sensitivity, above.sensitivity)
    assert youden(scores, truth, operator=">=", resamples=20).threshold.value == 3.0
    assert youden(scores, truth, operator=">", resamples=20).threshold.value == 2.0


@pytest.mark.parametrize("operator", [">=", ">", "<=", "<"])
def test_every_point_is_what_the_operator_counts(operator):
    import operator as op

    scores, truth = np.round(S100B[:40], 1), POOR[:40]
    compare = {">=": op.ge, ">": op.gt, "<=": op.le, "<": op.lt}[operator]
    curve = roc_curve(scores, truth, operator=operator)
    for threshold, sens, spec in zip(curve.thresholds, curve.sensitivity, curve.specificity, strict=True):
        called = compare(scores, threshold)
        assert called[truth].mean() == pytest.approx(sens)
        assert (~called[~truth]).mean() == pytest.approx(spec)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=30))
def test_area_counts_pairs_and_ties_half(rows):
    scores, truth = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows])
    if truth.all() or not truth.any():
        return
    pairs = np.sign(np.subtract.outer(scores[truth], scores[~truth]))
    assert auc(scores, truth).value == pytest.approx((pairs.mean() + 1) / 2)
    assert auc(-scores, truth).value == pytest.approx(1 - (pairs.mean() + 1) / 2)
    curve = roc_curve(scores, truth)
    area = np.trapezoid(curve.sensitivity, 1 - curve.specificity)
    assert area == pytest.approx(auc(scores, truth).value)


def test_a_perfect_marker_still_has_a_lower_limit():
    found = auc([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1])
    assert found.value == 1.0
    assert found.standard_error is None
    assert 0.4 < found.low < 0.9
    assert found.high == 1.0
    assert "Newcombe" in found.method
    assert "no variance" in found.note


def test_one_positive_finding_has_no_delong_variance():
    found = auc([1, 2, 3, 2.5], [0, 0, 0, 1])
    assert found.standard_error is None
    assert "Newcombe" in found.method


def test_hanley_mcneil_variance_follows_the_hand_calculation():
    # area 0.9, 43 and 57: Q1 = 0.9/1.1, Q2 = 1.62/1.9; (0.09 + 42 * 0.008181818 + 56 * 0.042631579) / 2451
    assert hanley_mcneil_variance(0.9, 43, 57) == pytest.approx((0.09 + 0.343636364 + 2.387368421) / 2451, rel=1e-8)


def test_equal_indices_are_not_compared():
    found = compare_auc(S100B, 2 * S100B, POOR)
    assert found.p is None
    assert found.details["difference"]["value"] == 0.0


@pytest.mark.parametrize(
    ("scores", "truth"),
    [([1, 2], [1, 1]), ([1, np.nan], [0, 1]), ([1, 2, 3], [0, 1]), ([1, 2], [0, 2]), ([], []), (["a", "b"], [0, 1])],
)
def test_data_without_a_curve_are_refused(scores, truth):
    with pytest.raises(InvalidValue):
        roc_curve(scores, truth)


def test_a_percentage_is_no_specificity_and_a_wrong_operator_no_operator():
    with pytest.raises(InvalidValue, match="fraction"):
        sensitivity_at_specificity(S100B, POOR, 95)
    with pytest.raises(InvalidValue, match="operator"):
        auc(S100B, POOR, operator="=>")


@pytest.mark.parametrize("resampling", ["within classes", "all findings"])
def test_a_useless_marker_loses_its_apparent_youden_index(resampling):
    rng = np.random.default_rng(3)
    gains = [
        optimism_bootstrap(rng.normal(size=40), np.repeat([0, 1], 20), resamples=150, resampling=resampling, rng=rng)
        for _ in range(40)
    ]
    apparent = np.mean([g.apparent["youden"] for g in gains])
    corrected = np.mean([g.corrected["youden"] for g in gains])
    assert apparent > 0.1
    assert corrected < 0.6 * apparent


def test_optimism_vanishes_for_many_findings():
    rng = np.random.default_rng(4)
    truth = np.repeat([0, 1], 20_000)
    found = optimism_bootstrap(rng.normal(size=40_000) + 2 * truth, truth, resamples=30)
    assert abs(found.optimism["youden"]) < 0.01


def test_a_hundred_thousand_findings_are_compared():
    rng = np.random.default_rng(0)
    truth = rng.random(100_000) < 0.3
    scores = rng.normal(size=100_000) + truth
    found = compare_auc(scores, scores + rng.normal(size=100_000), truth)
    assert found.p < 1e-10


def test_results_are_ready_for_json():
    assert auc(S100B, POOR).to_json()["positives"] == 41
    assert len(roc_curve([1, 2], [0, 1]).to_json()["thresholds"]) == 3
    assert youden([1, 2, 3, 4], [0, 0, 1, 1], resamples=20).to_json()["tied_thresholds"] == [3.0]
    assert auc_from_summary(0.9, 43, 57).to_json()["low"] < 0.9
