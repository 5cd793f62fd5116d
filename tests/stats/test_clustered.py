"""Findings within patients: against geepack, survey, statsmodels, and limits where the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue
from fusin.stats.clustered import (
    cluster_bootstrap,
    clustered_difference,
    gee_compare,
    gee_compare_groups,
    gee_proportion,
    ratio_proportion,
)

SIZES = [1, 2, 3, 4, 5, 6, 2, 3, 4, 8, 1, 5, 7, 3, 2]
HITS = [1, 2, 2, 1, 5, 4, 0, 3, 1, 7, 1, 2, 7, 2, 2]
HITS2 = [0, 1, 2, 1, 4, 4, 1, 1, 0, 7, 1, 1, 5, 2, 1]
PATIENT = np.repeat(np.arange(15), SIZES)
FIRST = np.concatenate([np.repeat([1, 0], [k, n - k]) for n, k in zip(SIZES, HITS, strict=True)])
SECOND = np.concatenate([np.repeat([0, 1], [n - k, k]) for n, k in zip(SIZES, HITS2, strict=True)])


def logit(p):
    return np.log(p / (1 - p))


def test_gee_with_the_correlation_of_geepack_gives_the_value_and_error_of_geepack():
    # R 4.2.2, geepack 1.3.9: geeglm(y ~ 1, binomial, corstr = "exchangeable"), alpha 0.216723092232096
    found = gee_proportion(FIRST, PATIENT, correction="none", correlation=0.216723092232096)
    assert logit(found.value) == pytest.approx(0.864269263754407, rel=1e-6)
    assert found.standard_error / (found.value * (1 - found.value)) == pytest.approx(0.396100298348498, rel=1e-6)


def test_gee_under_independence_is_that_of_geepack():
    # R: corstr = "independence": 0.916290731874155, Std.err 0.398826403338595
    found = gee_proportion(FIRST, PATIENT, correction="none", correlation=0.0)
    assert found.value == pytest.approx(40 / 56)
    assert found.standard_error / (found.value * (1 - found.value)) == pytest.approx(0.398826403338595, rel=1e-9)


def test_paired_gee_is_that_of_geepack():
    # R: geeglm(v ~ tracer, exchangeable), alpha 0.227613270672846: -0.692296037504874, Std.err 0.255601029292761
    found = gee_compare(FIRST, SECOND, PATIENT, correction="none", correlation=0.227613270672846)
    assert found.test.details["log_odds_ratio"] == pytest.approx(0.692296037504874, rel=1e-6)
    assert found.test.details["standard_error"] == pytest.approx(0.255601029292761, rel=1e-6)
    assert logit(found.first.value) == pytest.approx(0.818885425389426, rel=1e-6)


@pytest.mark.parametrize(("correction", "cov_type"), [("mancl-derouen", "bias_reduced"), ("none", "robust")])
def test_estimated_correlation_and_corrected_error_are_those_of_statsmodels(correction, cov_type):
    import statsmodels.api as sm

    both, tracer = np.concatenate([FIRST, SECOND]), np.repeat([0, 1], len(FIRST))
    labels = np.concatenate([PATIENT, PATIENT])
    order = np.argsort(labels, kind="stable")
    design = np.column_stack([tracer == 0, tracer == 1]).astype(float)
    structure = sm.cov_struct.Exchangeable()
    model = sm.GEE(both[order], design[order], labels[order], family=sm.families.Binomial(), cov_struct=structure)
    fit = model.fit(cov_type=cov_type, ctol=1e-12)
    found = gee_compare(FIRST, SECOND, PATIENT, correction=correction)
    assert found.correlation == pytest.approx(float(structure.dep_params), rel=1e-6)
    assert found.first.standard_error / (found.first.value * (1 - found.first.value)) == pytest.approx(
        fit.bse[0], rel=1e-6
    )
    contrast = np.array([1.0, -1.0])
    error = np.sqrt(contrast @ np.asarray(fit.cov_params()) @ contrast)
    assert found.test.details["standard_error"] == pytest.approx(error, rel=1e-6)


def test_ratio_estimator_is_that_of_the_survey_package():
    # R, survey 4.1.1: svymean(~y, svydesign(~id)): 0.714285714286, SE 0.0842499076838; svyciprop(method = "logit")
    # and "mean" on 14 degrees of freedom; deff = "replace" 1.9129236516 uses n - 1 in the simple variance.
    found = ratio_proportion(FIRST, PATIENT, interval="logit")
    assert found.value == pytest.approx(0.714285714286)
    assert found.standard_error == pytest.approx(0.0842499076838, rel=1e-10)
    assert (found.low, found.high) == pytest.approx((0.507716921586, 0.858357126046), rel=1e-8)
    wald = ratio_proportion(FIRST, PATIENT, interval="wald")
    assert (wald.low, wald.high) == pytest.approx((0.533587633827, 0.894983794744), rel=1e-10)
    assert found.design_effect == pytest.approx(1.9129236516 * 56 / 55, rel=1e-9)
    assert found.effective_n * found.design_effect == pytest.approx(56)


def test_one_finding_for_each_patient_is_an_ordinary_proportion():
    success = np.repeat([1, 0], [14, 6])
    found = gee_proportion(success, np.arange(20), correction="none")
    assert found.value == pytest.approx(0.7)
    assert found.standard_error == pytest.approx(np.sqrt(0.7 * 0.3 / 20))
    assert found.design_effect == pytest.approx(1.0)
    assert ratio_proportion(success, np.arange(20)).design_effect == pytest.approx(20 / 19)


def test_copies_of_each_finding_add_nothing():
    success = np.repeat([1, 0], [14, 6])
    one = gee_proportion(success, np.arange(20))
    five = gee_proportion(np.repeat(success, 5), np.repeat(np.arange(20), 5))
    assert five.standard_error == pytest.approx(one.standard_error, rel=1e-6)
    assert five.correlation == pytest.approx(0.99)
    assert five.effective_n == pytest.approx(one.effective_n, rel=1e-6)


@pytest.mark.parametrize("value", [0, 1])
def test_all_or_nothing_found_counts_patients_instead_of_findings(value):
    for method in (gee_proportion, ratio_proportion):
        found = method(np.full(107, value), np.repeat(np.arange(11), [10] * 10 + [7]))
        assert found.value == value
        assert found.effective_n == 11
        assert found.high - found.low > 0.25
        assert "one finding per patient" in found.note


def test_corrections_are_ordered_as_their_theory_says():
    errors = [
        gee_proportion(FIRST, PATIENT, correction=c).standard_error
        for c in ("none", "kauermann-carroll", "mancl-derouen")
    ]
    assert errors == sorted(errors)
    assert gee_proportion(FIRST, PATIENT, correction="mbn").standard_error > errors[0]


def test_a_tracer_that_finds_everything_has_no_odds_ratio_but_a_tested_difference():
    found = gee_compare(np.ones(56, int), SECOND, PATIENT)
    assert found.odds_ratio.value is None
    assert found.first.value == 1.0
    assert found.test.p < 0.01
    assert "no logit" in found.note


def test_obuchowski_with_one_finding_for_each_patient_is_mcnemar_with_a_sample_variance():
    # b = 7, c = 1, n = 17 (Luo 2019, marrow): (b-c)^2 / (b + c - (b-c)^2/n) * (n-1)/n
    first, second = np.repeat([1, 0, 1, 0], [7, 1, 9, 0]), np.repeat([0, 1, 1, 0], [7, 1, 9, 0])
    both, tracer = np.concatenate([first, second]), np.repeat([0, 1], 17)
    estimate, test = clustered_difference(both, tracer, np.concatenate([np.arange(17)] * 2))
    assert estimate.value == pytest.approx(6 / 17)
    assert test.statistic**2 == pytest.approx(36 / (8 - 36 / 17) * 16 / 17)


def test_identical_columns_are_not_tested():
    found = gee_compare(FIRST, FIRST, PATIENT)
    assert found.test.p is None
    assert found.difference.value == pytest.approx(0.0, abs=1e-12)


def test_groups_of_different_size_are_compared():
    group = (np.arange(56) % 3 == 0).astype(int)
    found = gee_compare_groups(FIRST, group, PATIENT)
    assert found.first.n + found.second.n == 56
    assert found.test.df == 13


def test_swapping_the_tracers_turns_the_sign():
    one, other = gee_compare(FIRST, SECOND, PATIENT), gee_compare(SECOND, FIRST, PATIENT)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.odds_ratio.value * other.odds_ratio.value == pytest.approx(1.0)
    assert one.test.p == pytest.approx(other.test.p)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_and_the_names_of_patients_do_not_matter(seed):
    order = np.random.default_rng(seed).permutation(len(FIRST))
    names = np.array([f"P{p:02d}" for p in PATIENT])
    one, other = gee_proportion(FIRST, PATIENT), gee_proportion(FIRST[order], names[order])
    assert other.value == pytest.approx(one.value, rel=1e-9)
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-8)


def test_strong_negative_correlation_of_few_patients_converges():
    # These counts made the correlation swing between two values for ever.
    sizes = [6, 1, 4, 3, 2, 5, 3, 2, 4, 4, 3, 2]
    hits = [4, 1, 3, 2, 2, 3, 2, 1, 3, 3, 2, 2]
    y = np.concatenate([np.repeat([1, 0], [k, n - k]) for n, k in zip(sizes, hits, strict=True)])
    found = gee_proportion(y, np.repeat(np.arange(12), sizes))
    assert found.correlation < 0
    assert found.low < 28 / 39 < found.high


def test_cluster_bootstrap_agrees_with_the_ratio_estimator():
    found = cluster_bootstrap(FIRST, PATIENT, resamples=8000, interval="percentile")
    exact = ratio_proportion(FIRST, PATIENT)
    assert found.value == pytest.approx(exact.value)
    # The bootstrap variance lacks the factor K/(K-1).
    assert found.standard_error == pytest.approx(exact.standard_error * np.sqrt(14 / 15), rel=0.04)


@pytest.mark.parametrize("interval", ["bca", "percentile", "basic"])
def test_cluster_bootstrap_takes_any_statistic_of_totals(interval):
    columns = np.column_stack([FIRST, SECOND, np.ones(56)])
    found = cluster_bootstrap(
        columns, PATIENT, lambda t: (t[:, 0] - t[:, 1]) / t[:, 2], interval=interval, resamples=1500
    )
    assert found.value == pytest.approx((FIRST.sum() - SECOND.sum()) / 56)
    assert found.low < found.value < found.high
    assert found.n == 15
    assert found.findings == 56


def test_bootstrap_of_a_constant_has_no_interval():
    found = cluster_bootstrap(np.ones(12), np.repeat([0, 1, 2], 4), resamples=100)
    assert found.value == 1.0
    assert found.low is None
    assert found.note


@pytest.mark.parametrize(
    ("success", "cluster"),
    [([1, 0], ["a", "a"]), ([1, 2], ["a", "b"]), ([1, 0], ["a", None]), ([1], ["a", "b"]), ([], [])],
)
def test_rows_that_cannot_be_used_are_refused(success, cluster):
    with pytest.raises(InvalidValue):
        gee_proportion(success, cluster)


def test_a_hundred_thousand_findings_of_ten_thousand_patients_are_compared():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(10_000), 10)
    rate = rng.beta(3, 1, 10_000)[patient]
    first, second = rng.random(100_000) < rate, rng.random(100_000) < 0.9 * rate
    found = gee_compare(first, second, patient)
    assert found.difference.value == pytest.approx(0.075, abs=0.01)


def test_results_are_ready_for_json():
    assert gee_proportion(FIRST, PATIENT).to_json()["clusters"] == 15
    assert gee_compare(FIRST, SECOND, PATIENT).to_json()["first"]["k"] == 40
    assert cluster_bootstrap(FIRST, PATIENT, resamples=50).to_json()["resamples"] == 50
