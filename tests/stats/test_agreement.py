"""Kappa, intraclass correlation and limits of agreement against R, published numbers and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue
from fusin.stats.agreement import ICC_FORMS, bland_altman, cohen_kappa, icc, percent_agreement

THREE = [[20, 3, 1], [4, 15, 2], [0, 5, 10]]
# Ratings of four judges on six targets: Shrout and Fleiss, Psychological Bulletin 1979;86:420, table 2.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# R 4.2.2, psych 2.2.9, ICC(x, lmer = FALSE): estimate, lower, upper.
R_ICC = {
    "ICC(1,1)": (0.1657417684, -0.1329323249, 0.7225600623),
    "ICC(2,1)": (0.2897637795, 0.0187865134, 0.7610843696),
    "ICC(3,1)": (0.7148407148, 0.3424647650, 0.9458582600),
    "ICC(1,k)": (0.4427971337, -0.8844421552, 0.9124154203),
    "ICC(2,k)": (0.6200505476, 0.0711368153, 0.9272320402),
    "ICC(3,k)": (0.9093155424, 0.6756747138, 0.9858916782),
}
SUV_DIFFERENCES = np.array([1.2, -0.5, 0.8, 2.1, -1.3, 0.4, 0.9, -0.2, 1.5, 0.3, -0.7, 1.1])


@pytest.mark.parametrize(
    ("weights", "kappa", "error", "low", "high"),
    [
        # R 4.2.2, vcd 1.4.11: Kappa() and confint(); "Equal-Spacing" is linear, "Fleiss-Cohen" quadratic.
        (None, 0.6163682864450127, 0.0853580343013502, 0.449069613423232, 0.783666959466794),
        ("linear", 0.6819085487077535, 0.0755261107823207, 0.533880091682023, 0.829937005733484),
        ("quadratic", 0.7524071526822560, 0.0713446864998965, 0.612574136654158, 0.892240168710354),
    ],
)
def test_three_category_kappa_is_that_of_r(weights, kappa, error, low, high):
    found = cohen_kappa(THREE, weights=weights)
    assert found.value == pytest.approx(kappa, rel=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-10)


@pytest.mark.parametrize("table", [[[5, 0], [0, 0]], [[0, 0, 0], [0, 9, 0], [0, 0, 0]], [[0, 0], [0, 0]]])
def test_one_category_throughout_gives_no_kappa_but_says_why(table):
    found = cohen_kappa(table)
    assert found.value is None
    assert found.low is None
    assert found.test.p is None
    assert found.note


def test_perfect_agreement_is_kappa_one_without_a_zero_width_interval():
    found = cohen_kappa([[6, 0], [0, 4]])
    assert found.value == 1.0
    assert (found.low, found.high) == (None, None)
    assert "standard error is 0" in found.note
    assert found.test.p == pytest.approx(0.0015654, rel=1e-4)  # z = sqrt(10): kappa 1 over its null error 1/sqrt(n)


def test_kappa_paradox_shows_in_the_details():
    # Byrt, Bishop, Carlin 1993: PABAK = 2 po - 1, whatever the prevalence.
    found = cohen_kappa([[85, 5], [5, 5]])
    assert found.details["pabak"] == pytest.approx(0.8)
    assert found.value == pytest.approx((0.9 - 0.82) / 0.18)
    assert found.details["prevalence_index"] == pytest.approx(0.8)


def test_maximum_kappa_is_that_of_the_best_table_with_the_same_margins():
    found = cohen_kappa([[13, 4], [2, 7]])
    best = cohen_kappa([[15, 2], [0, 9]])
    assert found.details["max_kappa"] == pytest.approx(best.value)
    weighted = cohen_kappa([[8, 2, 0], [1, 3, 4], [0, 0, 6]], weights="linear")
    sorted_table = cohen_kappa([[9, 1, 0], [0, 4, 4], [0, 0, 6]], weights="linear")
    assert weighted.details["max_kappa"] == pytest.approx(sorted_table.value)


def test_bootstrap_interval_agrees_with_the_large_sample_one_for_many_subjects():
    table = np.array(THREE) * 10
    large, boot = cohen_kappa(table), cohen_kappa(table, interval="bootstrap")
    assert (boot.low, boot.high) == pytest.approx((large.low, large.high), abs=0.006)
    assert "bootstrap" in boot.method


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=9, max_size=9))
def test_kappa_does_not_depend_on_which_reader_comes_first(counts):
    table = np.array(counts).reshape(3, 3)
    one, other = cohen_kappa(table, weights="quadratic"), cohen_kappa(table.T, weights="quadratic")
    assert (one.value is None) == (other.value is None)
    if one.value is not None:
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.value <= one.details["max_kappa"] + 1e-12


@pytest.mark.parametrize("table", [[[1, 2, 3]], [[1, -1], [0, 2]], [[1.5, 0], [0, 2]], [[1, np.nan], [0, 1]]])
def test_a_table_that_cannot_be_is_refused(table):
    with pytest.raises(InvalidValue):
        cohen_kappa(table)


def test_percent_agreement_of_nobody_is_missing():
    assert percent_agreement([[0, 0], [0, 0]]).value is None
    assert percent_agreement([[28, 0], [7, 0]]).value == pytest.approx(0.8)  # Hesse 2026 before harmonisation: 28/35


@pytest.mark.parametrize("form", ICC_FORMS)
def test_all_six_intraclass_correlations_are_those_of_r(form):
    found = icc(JUDGES, form=form)
    assert (found.value, found.low, found.high) == pytest.approx(R_ICC[form], abs=2e-10)


def test_intraclass_correlations_round_to_the_published_table():
    # Shrout and Fleiss 1979, table 4: .17 .29 .71 .44 .62 .91
    assert [round(icc(JUDGES, form=f).value, 2) for f in ICC_FORMS] == [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]


def test_consistency_ignores_a_shift_of_one_rater_and_agreement_does_not():
    shifted = np.array(JUDGES) + np.array([0, 0, 0, 5])
    assert icc(shifted, form="ICC(3,1)").value == pytest.approx(icc(JUDGES, form="ICC(3,1)").value)
    assert icc(shifted, form="ICC(2,1)").value < icc(JUDGES, form="ICC(2,1)").value


def test_raters_that_differ_by_a_constant_give_an_estimate_without_interval():
    column = np.arange(5.0)
    found = icc(np.column_stack([column, column + 1.0]), form="ICC(3,1)")
    assert found.value == 1.0
    assert found.low is None
    assert icc(np.ones((4, 2)), form="ICC(1,1)").value is None


@pytest.mark.parametrize("ratings", [[[1.0, 2.0]], [[1.0], [2.0]], [[1.0, np.nan], [2.0, 3.0]], [1.0, 2.0]])
def test_incomplete_ratings_are_refused(ratings):
    with pytest.raises(InvalidValue):
        icc(ratings)


def test_exact_limits_of_agreement_are_the_noncentral_t_of_r():
    # R 4.2.2: mean(d) + sd(d)/sqrt(n) * qt(c(.025,.975), n-1, qnorm(.975)*sqrt(n)); t.test(d)$conf.int
    base = np.linspace(3.0, 12.0, 12)
    found = bland_altman(base + SUV_DIFFERENCES, base)
    assert (found.bias.value, found.sd) == pytest.approx((0.466666666667, 0.993920916310), rel=1e-11)
    assert (found.bias.low, found.bias.high) == pytest.approx((-0.164840555161, 1.098173888494), rel=1e-10)
    assert (found.upper.low, found.upper.high) == pytest.approx((1.67756271816, 3.97369238896), rel=1e-7)
    assert found.lower.high - found.bias.value == pytest.approx(found.bias.value - found.upper.low)


def test_approximate_limits_follow_the_formula_of_bland_and_altman():
    base = np.linspace(3.0, 12.0, 12)
    found = bland_altman(base + SUV_DIFFERENCES, base, interval="approximate")
    # t(0.975, 11) = 2.200985 and SE^2 = s^2 (1/n + 1.96^2 / (2 (n - 1)))
    half = 2.200985 * 0.993920916 * np.sqrt(1 / 12 + 1.959964**2 / 22)
    assert found.upper.high - found.upper.value == pytest.approx(half, rel=1e-6)


def test_ratio_limits_do_not_depend_on_the_unit():
    rng = np.random.default_rng(2)
    x = rng.lognormal(2.0, 0.4, 30)
    y = x * rng.lognormal(0.1, 0.1, 30)
    one, other = bland_altman(y, x, scale="ratio"), bland_altman(1000 * y, 1000 * x, scale="ratio")
    assert one.upper.value == pytest.approx(other.upper.value)
    assert 1.0 < one.bias.value < 1.25


def test_repeatability_counts_the_bias_of_the_repetition():
    found = bland_altman([5.0, 7.0, 9.0], [4.0, 5.0, 8.0])
    assert found.repeatability.value == pytest.approx(1.959964 * np.sqrt((1 + 4 + 1) / 3), rel=1e-6)
    assert "repetitions" in found.repeatability.note


def test_proportional_bias_is_found():
    x = np.linspace(1.0, 20.0, 15)
    found = bland_altman(1.2 * x + 0.1 * np.sin(7 * x), x)
    assert found.proportional.value == pytest.approx(0.2 / 1.1, abs=0.01)
    assert found.proportional_test.p < 1e-6


def test_relative_limits_refuse_zero_uptake():
    with pytest.raises(InvalidValue, match="at or below 0"):
        bland_altman([1.0, 2.0, 0.0], [1.0, 2.0, 3.0], scale="ratio")
    with pytest.raises(InvalidValue, match="equal"):
        bland_altman([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])


def test_results_are_ready_for_json():
    assert cohen_kappa(THREE).to_json()["agreement"]["k"] == 45
    assert icc(JUDGES).to_json()["test"]["df"] == 5
    assert bland_altman([1.0, 2.0, 3.0], [1.0, 2.5, 3.1]).to_json()["bias"]["n"] == 3
