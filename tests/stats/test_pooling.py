"""Pooling of 2x2 tables against R's metafor and limits where the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue
from fusin.stats.pooling import (
    bivariate,
    diagnostic_odds_ratio,
    pool_odds_ratios,
    pool_proportions,
    random_effects,
    sroc,
)

INSIDE = {
    "tp": [45, 30, 62, 18, 88, 25, 40, 51, 33, 70, 12, 29],
    "fn": [5, 22, 8, 9, 30, 2, 21, 20, 3, 9, 8, 4],
    "tn": [40, 66, 25, 50, 80, 32, 61, 47, 40, 44, 18, 52],
    "fp": [2, 4, 25, 12, 8, 9, 17, 23, 1, 18, 4, 12],
}
# Nine tables of the size that studies of aldosteronism have, four of them with an empty cell.
SMALL = {
    "tp": [33, 93, 25, 40, 17, 68, 70, 27, 24],
    "fn": [10, 35, 0, 4, 2, 10, 6, 15, 0],
    "tn": [57, 70, 11, 29, 7, 16, 8, 17, 22],
    "fp": [0, 10, 3, 5, 0, 1, 1, 2, 2],
}
# R 4.2.2, metafor 3.8.1: rma.mv(yi, vi, mods = ~ what - 1, random = ~ what | study, struct = "UN"), logits:
# mean, standard errors, covariance of the means, tau2, rho, log-likelihood.
R_INSIDE = {
    "reml": ([1.33525835300, 1.50095893821], [0.225985468996, 0.254835025101], -0.01075738787,
             [0.445423479660, 0.593386765191], -0.246815259712, -28.5025402678),
    "ml": ([1.32518122809, 1.48385979932], [0.214328970507, 0.240256621836], -0.010804708344,
           [0.386274695551, 0.511053752650], -0.285925174957, -29.8942548653),
}  # fmt: skip
R_SMALL = {
    "reml": (
        [1.72595901135, 1.95186333678],
        [0.297301718244, 0.215608592117],
        [0.5043027395705, 0.0165514636971],
        -20.2393775143,
    ),
    "ml": (
        [1.69471777637, 1.95327616694],
        [0.273857457463, 0.214425882710],
        [0.4008434741408, 0.0122598529672],
        -21.4696748814,
    ),
}


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_bivariate_summary_is_that_of_metafor(method):
    mean, errors, covariance, tau2, rho, likelihood = R_INSIDE[method]
    found = bivariate(**INSIDE, method=method)
    assert found.logit_mean == pytest.approx(mean, rel=3e-6)
    assert np.sqrt(np.diag(found.logit_covariance)) == pytest.approx(errors, rel=1e-5)
    assert found.logit_covariance[0][1] == pytest.approx(covariance, rel=1e-4)
    assert np.diag(found.between) == pytest.approx(tau2, rel=2e-5)
    assert found.correlation == pytest.approx(rho, abs=2e-5)
    assert found.log_likelihood == pytest.approx(likelihood, abs=1e-7)
    assert found.note == ""


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_bivariate_summary_with_empty_cells_and_a_boundary_correlation_is_that_of_metafor(method):
    mean, errors, tau2, likelihood = R_SMALL[method]
    found = bivariate(**SMALL, method=method)
    assert found.logit_mean == pytest.approx(mean, rel=1e-6)
    assert np.sqrt(np.diag(found.logit_covariance)) == pytest.approx(errors, rel=1e-5)
    assert np.diag(found.between) == pytest.approx(tau2, rel=1e-4)
    assert found.log_likelihood == pytest.approx(likelihood, abs=1e-7)
    assert "4 of 9 tables" in found.note
    assert "boundary" in found.note


def test_the_summary_curve_and_regions_hold_the_summary_point():
    found = bivariate(**INSIDE)
    sensitivity, specificity = found.sensitivity.value, found.specificity.value
    assert sroc(found, [1 - specificity])[0] == pytest.approx(sensitivity)
    assert (np.diff(sroc(found, np.linspace(0.01, 0.99, 50))) > 0).all()
    region, wide = np.array(found.confidence_region), np.array(found.prediction_region)
    assert region[:, 1].min() < sensitivity < region[:, 1].max()
    assert np.ptp(wide[:, 0]) > np.ptp(region[:, 0])


def test_ratios_of_the_summary_point_agree_with_each_other():
    found = bivariate(**INSIDE)
    assert found.odds_ratio.value == pytest.approx(
        found.positive_likelihood_ratio.value / found.negative_likelihood_ratio.value
    )
    assert found.positive_likelihood_ratio.value == pytest.approx(
        found.sensitivity.value / (1 - found.specificity.value)
    )


def test_equal_studies_pool_to_their_common_rates_without_heterogeneity():
    found = bivariate([80] * 6, [10] * 6, [20] * 6, [90] * 6)
    assert found.sensitivity.value == pytest.approx(0.8)
    assert found.specificity.value == pytest.approx(0.9)
    assert found.correlation is None
    assert found.i2_sensitivity == 0.0
    with pytest.raises(InvalidValue, match="SROC"):
        sroc(found, [0.1])


def test_swapping_the_classes_swaps_sensitivity_and_specificity():
    one = bivariate(**INSIDE)
    other = bivariate(tp=INSIDE["tn"], fp=INSIDE["fn"], fn=INSIDE["fp"], tn=INSIDE["tp"])
    assert other.sensitivity.value == pytest.approx(one.specificity.value, rel=1e-5)
    assert other.odds_ratio.value == pytest.approx(one.odds_ratio.value, rel=1e-5)


@pytest.mark.parametrize(
    ("method", "knapp_hartung", "expected"),
    [
        # R: rma(log odds ratio, method =, test =): b, se, ci.lb, ci.ub, tau2, I2, and predict() pi.lb, pi.ub
        (
            "reml",
            False,
            (4.035055674712, 0.424499604384, 3.203051738668, 4.867059610756, 0.575239045804, 0.40482041389052),
        ),
        (
            "reml",
            True,
            (4.035055674712, 0.386639013881, 3.143464509871, 4.926646839553, 0.575239045804, 0.40482041389052),
        ),
        (
            "dl",
            False,
            (4.001356693267, 0.408560430808, 3.200592963375, 4.802120423158, 0.484933030023, 0.36442842927771),
        ),
        (
            "dl",
            True,
            (4.001356693267, 0.384905005395, 3.113764159165, 4.888949227368, 0.484933030023, 0.36442842927771),
        ),
    ],
)
def test_pooled_odds_ratio_is_that_of_metafor(method, knapp_hartung, expected):
    found = pool_odds_ratios(**SMALL, method=method, knapp_hartung=knapp_hartung)
    ours = (np.log(found.value), found.standard_error, np.log(found.low), np.log(found.high), found.tau2, found.i2)
    assert ours == pytest.approx(expected, rel=2e-5)
    assert (found.heterogeneity.statistic, found.heterogeneity.p) == pytest.approx((12.587095409111, 0.126868187060))


def test_prediction_interval_is_that_of_metafor():
    found = pool_odds_ratios(**SMALL)
    assert (np.log(found.prediction_low), np.log(found.prediction_high)) == pytest.approx(
        (2.07193121750, 5.99818013193), rel=1e-5
    )


def test_pooled_proportion_is_that_of_metafor():
    # R, metafor: rma() with measure "PLO", method "REML", test "knha", on the true positives among the diseased
    found = pool_proportions(INSIDE["tp"], np.add(INSIDE["tp"], INSIDE["fn"]))
    back = np.log(np.array([found.value, found.low, found.high]) / (1 - np.array([found.value, found.low, found.high])))
    assert back == pytest.approx([1.342624047572, 0.830018331260, 1.855229763884], rel=1e-5)
    assert (found.tau2, found.i2) == pytest.approx((0.461434632821, 0.78901463934385), rel=1e-5)
    assert found.heterogeneity.statistic == pytest.approx(44.481014977257)


@pytest.mark.parametrize(
    ("counts", "log_ratio", "variance", "corrected"),
    [
        # R: escalc(measure = "OR"): Yin 2024 with an empty cell, and the CT block of F5
        ((17, 0, 2, 7), 4.65396035016, 2.59047619048, True),
        ((55, 7, 17, 6), np.log(2.773109243697), 0.386529157117, False),
    ],
)
def test_odds_ratio_is_that_of_metafor(counts, log_ratio, variance, corrected):
    found = diagnostic_odds_ratio(*counts)
    assert np.log(found.value) == pytest.approx(log_ratio)
    assert np.log(found.high / found.low) / 2 / 1.959963985 == pytest.approx(np.sqrt(variance))
    assert ("continuity correction" in found.note) == corrected


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 3), st.floats(0.05, 2.0))
def test_shifting_all_effects_shifts_the_mean_and_nothing_else(shift, variance):
    y, v = np.array([0.2, -0.4, 1.1, 0.6]), np.full(4, variance)
    one, other = random_effects(y, v), random_effects(y + shift, v)
    assert other.value - shift == pytest.approx(one.value, abs=1e-6)
    assert other.tau2 == pytest.approx(one.tau2, abs=1e-5)


@pytest.mark.parametrize(
    "counts",
    [
        {"tp": [1, 2], "fp": [1, 2], "fn": [1, 2], "tn": [1, 2]},
        {"tp": [1, 2, -1], "fp": [1, 2, 3], "fn": [1, 2, 3], "tn": [1, 2, 3]},
        {"tp": [0, 2, 1], "fp": [1, 2, 3], "fn": [0, 2, 3], "tn": [1, 2, 3]},
        {"tp": [1, 2, 1], "fp": [1, 2, 3], "fn": [1, 2.5, 3], "tn": [1, 2, 3]},
    ],
)
def test_tables_that_cannot_be_pooled_are_refused(counts):
    with pytest.raises(InvalidValue):
        bivariate(**counts)


def test_results_are_ready_for_json():
    assert bivariate(**INSIDE).to_json()["sensitivity"]["level"] == 0.95
    assert pool_odds_ratios(**SMALL).to_json()["heterogeneity"]["df"] == 8
