from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fusin.errors import InvalidValue
from fusin.stats.groups import (
    Summary,
    chi2_test,
    fisher_exact,
    kruskal_wallis,
    mann_whitney,
    pearson,
    spearman,
    student_t,
    summary_t,
    welch_t,
)

# Hollander, Wolfe: permeability of the placenta, the example of R's wilcox.test
TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLY = [1.15, 0.88, 0.90, 0.74, 1.21]
# Hollander, Wolfe: tuna colour, the example of R's cor.test
LIGHTNESS = [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1]
PANEL = [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8]

# R 4.2.2 fisher.test: table, p, odds ratio
FISHER = [
    ([[0, 3], [4, 1]], 0.1428571429, 0.0),
    ([[3, 1], [1, 3]], 0.4857142857, 6.408308867),
    ([[2, 3], [10, 15]], 1.0, 1.0),
    ([[0, 4], [3, 5]], 0.4909090909, 0.0),
    ([[5, 3], [0, 4]], 0.08080808081, None),
    ([[12, 7], [5, 9]], 0.1663200658, 2.9765472718),
]


@pytest.mark.parametrize(("table", "p", "ratio"), FISHER)
def test_fisher_agrees_with_r(table, p, ratio):
    """R's root search for the odds ratio stops at 1.2e-4."""
    result = fisher_exact(table)
    assert result.p == pytest.approx(p, rel=1e-9)
    assert result.effect.value == (None if ratio is None else pytest.approx(ratio, rel=2e-4))


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ([[0, 3], [4, 1]], 0.0, 1.8766440949),
        ([[2, 3], [10, 15]], 0.07139994629, 10.47477523794),
        ([[5, 3], [0, 4]], 0.57269922007, None),
        ([[12, 7], [5, 9]], 0.5992624807, 16.6454802165),
    ],
)
def test_odds_ratio_limits_agree_with_r_to_its_root_tolerance(table, low, high):
    """R's fisher.test stops its search for the limits at 1e-4."""
    effect = fisher_exact(table).effect
    assert effect.low == pytest.approx(low, rel=5e-4)
    assert effect.high == (None if high is None else pytest.approx(high, rel=5e-4))


def test_odds_ratio_limits_leave_the_nominal_tails():
    """R 4.2.2 prints 621.93 as high limit of the tea tasting; at 626.24 the tail is 2.5 %, as it should be."""
    effect = fisher_exact([[3, 1], [1, 3]]).effect
    assert stats.nchypergeom_fisher(8, 4, 4, effect.high).cdf(3) == pytest.approx(0.025, abs=1e-6)
    assert stats.nchypergeom_fisher(8, 4, 4, effect.low).sf(2) == pytest.approx(0.025, abs=1e-6)


def test_one_sided_fisher_agrees_with_r():
    assert fisher_exact([[3, 1], [1, 3]], alternative="greater").p == pytest.approx(0.2428571429, rel=1e-9)


def test_an_empty_column_leaves_nothing_to_compare():
    result = fisher_exact([[0, 3], [0, 4]])
    assert (result.p, result.effect.value) == (1.0, None)


def test_larger_tables_are_refused_by_fisher():
    with pytest.raises(InvalidValue):
        fisher_exact([[1, 2, 3], [4, 5, 6]])


# R 4.2.2 chisq.test
@pytest.mark.parametrize(
    ("table", "correction", "chi2", "p"),
    [
        ([[12, 7], [5, 9]], False, 2.4305755197, 0.1189892055),
        ([[12, 7], [5, 9]], True, 1.4559963788, 0.2275682146),
        ([[10, 6, 9], [4, 8, 3]], False, 3.5809523810, 0.1668806838),
    ],
)
def test_chi2_agrees_with_r(table, correction, chi2, p):
    result = chi2_test(table, correction=correction)
    assert (result.statistic, result.p) == pytest.approx((chi2, p), rel=1e-9)


def test_chi2_warns_of_small_expected_counts():
    assert "exact test" in chi2_test([[0, 3], [4, 1]]).note


def test_chi2_of_an_empty_row_has_no_p():
    assert chi2_test([[0, 0], [3, 4]]).p is None


def test_yates_is_for_two_by_two_only():
    with pytest.raises(InvalidValue):
        chi2_test([[1, 2, 3], [4, 5, 6]], correction=True)


def test_mann_whitney_agrees_with_r():
    """R 4.2.2, wilcox.test(conf.int = TRUE)."""
    result = mann_whitney(TERM, EARLY)
    effect = result.effect
    assert (result.statistic, result.p) == (35.0, pytest.approx(0.2544122544, rel=1e-9))
    assert (effect.value, effect.low, effect.high) == pytest.approx((0.305, -0.15, 0.76), rel=1e-9)


def test_one_sided_mann_whitney_agrees_with_r():
    assert mann_whitney(TERM, EARLY, alternative="greater").p == pytest.approx(0.1272061272, rel=1e-9)
    assert mann_whitney(EARLY, TERM, alternative="less").p == pytest.approx(0.1272061272, rel=1e-9)


def test_mann_whitney_with_ties_agrees_with_coin_and_exactranktests():
    """R 4.2.2: coin 1.4.2 wilcox_test(distribution = "exact"), exactRankTests 0.8.35 wilcox.exact: W = 7.5."""
    result = mann_whitney([1, 2, 2, 3, 3, 3, 4, 5], [3, 4, 4, 5, 5, 6, 6])
    assert (result.statistic, result.p) == (7.5, pytest.approx(0.01724941725, rel=1e-9))


def test_large_mann_whitney_agrees_with_r():
    """R 4.2.2, wilcox.test(exact = FALSE, conf.int = TRUE); R's limits come from a root search."""
    i, j = np.arange(1, 91), np.arange(1, 81)
    result = mann_whitney(np.round(i**1.2 / 10 + np.sin(i), 1), np.round(j**1.2 / 10 + np.cos(j) + 1, 1))
    assert (result.statistic, result.p) == (3674.5, pytest.approx(0.8172883154, rel=1e-9))
    found = (result.effect.value, result.effect.low, result.effect.high)
    assert found == pytest.approx((0.2, -1.7, 2.2), abs=1e-9)
    assert "normal approximation" in result.test


@pytest.mark.parametrize("alternative", ["less", "greater"])
def test_large_one_sided_mann_whitney_is_scipys(alternative):
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 30, size=(2, 120))
    theirs = stats.mannwhitneyu(x, y, alternative=alternative, method="asymptotic")
    ours = mann_whitney(x, y, alternative=alternative)
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


groups = st.lists(st.integers(0, 5), min_size=1, max_size=5)


@given(groups, groups)
@settings(max_examples=40, deadline=None)
def test_exact_p_is_the_share_of_all_ways_to_deal_the_ranks(x, y):
    ranks = stats.rankdata([*x, *y])
    centre = len(x) * ranks.mean()
    deals = [abs(sum(deal) - centre) for deal in itertools.combinations(ranks, len(x))]
    share = np.mean(np.array(deals) >= abs(ranks[: len(x)].sum() - centre) - 1e-9)
    assert mann_whitney(x, y).p == pytest.approx(share, abs=1e-12)


@given(groups, groups)
@settings(max_examples=40, deadline=None)
def test_exchanging_the_groups_keeps_p_and_turns_the_shift(x, y):
    one, other = mann_whitney(x, y), mann_whitney(y, x)
    assert one.p == pytest.approx(other.p, abs=1e-12)
    assert one.effect.value == pytest.approx(-other.effect.value)
    assert one.details["superiority"] == pytest.approx(1 - other.details["superiority"])


def test_ranks_do_not_see_the_scale():
    assert mann_whitney(np.exp(TERM), np.exp(EARLY)).p == mann_whitney(TERM, EARLY).p


def test_all_equal_values_are_no_difference():
    assert mann_whitney([2.0] * 5, [2.0] * 6).p == pytest.approx(1.0)
    assert mann_whitney([2.0] * 200, [2.0] * 200).p == 1.0


def test_an_empty_group_has_no_p():
    assert mann_whitney([], [1.0, 2.0]).p is None


def test_three_against_three_give_no_95_percent_interval():
    effect = mann_whitney([1, 2, 3], [4, 5, 6]).effect
    assert (effect.low, effect.high) == (None, None)
    assert effect.value == -3.0


# R 4.2.2 kruskal.test; the first is its own example (mucociliary efficiency)
@pytest.mark.parametrize(
    ("samples", "h", "p"),
    [
        ([[2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0]], 0.7714285714, 0.6799647736),
        ([[1, 2, 2, 3], [2, 3, 3, 4, 5], [5, 5, 6, 4]], 7.95641025641, 0.01871920778),
    ],
)
def test_kruskal_wallis_agrees_with_r(samples, h, p):
    result = kruskal_wallis(samples)
    assert (result.statistic, result.p) == pytest.approx((h, p), rel=1e-9)
    assert "fewer than 5" in result.note


def test_kruskal_wallis_needs_spread_and_groups():
    assert kruskal_wallis([[1, 1], [1, 1]]).p is None
    assert kruskal_wallis([[1, 2], []]).p is None
    with pytest.raises(InvalidValue):
        kruskal_wallis([[1, 2]])


def test_student_agrees_with_r():
    """R 4.2.2, t.test(var.equal = TRUE)."""
    result = student_t(TERM, EARLY)
    assert (result.statistic, result.p) == pytest.approx((1.6061366603, 0.1322505107), rel=1e-9)
    assert (result.effect.low, result.effect.high) == pytest.approx((-0.1162890975, 0.7902890975), rel=1e-8)


def test_welch_agrees_with_r():
    """R 4.2.2, t.test."""
    result = welch_t(TERM, EARLY)
    expected = (2.04138309221, 12.97053844326, 0.06210134378)
    assert (result.statistic, result.df, result.p) == pytest.approx(expected, rel=1e-9)
    assert (result.effect.low, result.effect.high) == pytest.approx((-0.01972499634, 0.69372499634), rel=1e-8)


def test_welch_is_student_when_spread_and_size_agree():
    one, other = Summary(mean=5.0, sd=2.0, n=10), Summary(mean=4.0, sd=2.0, n=10)
    welch, student = summary_t(one, other), summary_t(one, other, equal_variances=True)
    assert (welch.statistic, welch.df) == pytest.approx((student.statistic, student.df))


def test_samples_without_spread_have_no_p():
    assert welch_t([1.0, 1.0], [2.0, 2.0]).p is None


def test_one_value_has_no_standard_deviation():
    with pytest.raises(InvalidValue):
        welch_t([1.0], [2.0, 3.0])
    with pytest.raises(InvalidValue):
        summary_t(Summary(mean=1.0, sd=-2.0, n=5), Summary(mean=1.0, sd=2.0, n=5))


def test_spearman_agrees_with_r():
    """R 4.2.2, cor.test(method = "spearman"), exact at n = 9 and 7."""
    tuna = spearman(LIGHTNESS, PANEL)
    assert (tuna.effect.value, tuna.p) == pytest.approx((0.6, 0.09679783951), rel=1e-9)
    seven = spearman(range(1, 8), [2, 1, 4, 3, 7, 5, 6])
    assert (seven.effect.value, seven.p) == pytest.approx((0.82142857143, 0.03412698413), rel=1e-9)


def test_spearman_with_ties_agrees_with_coins_sampling():
    """R 4.2.2, coin 1.4.2, spearman_test(distribution = approximate(2e6)): 0.01158, standard error 0.00008."""
    assert spearman([1, 2, 2, 3, 4, 5, 6], [2, 1, 3, 3, 5, 4, 6]).p == pytest.approx(0.011579, abs=2.5e-4)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=6))
@settings(max_examples=30, deadline=None)
def test_exact_spearman_p_is_the_share_of_all_pairings(pairs):
    x, y = (stats.rankdata(column) for column in zip(*pairs, strict=True))
    result = spearman(x, y)
    if result.effect.value is None:
        assert "constant" in result.note
        return
    sums = np.array([x @ np.array(order) for order in itertools.permutations(y)])
    share = np.mean(np.abs(sums - sums.mean()) >= abs(x @ y - sums.mean()) - 1e-9)
    assert result.p == pytest.approx(share, abs=1e-12)


def test_spearman_interval_is_bonett_and_wrights():
    """By hand: tanh(atanh(0.6) -+ 1.959964 * sqrt(1.18 / 6))."""
    half = 1.959963985 * np.sqrt(1.18 / 6)
    effect = spearman(LIGHTNESS, PANEL).effect
    assert (effect.low, effect.high) == pytest.approx(
        (np.tanh(np.arctanh(0.6) - half), np.tanh(np.arctanh(0.6) + half))
    )


def test_large_spearman_uses_t():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 60))
    ours, theirs = spearman(x, y), stats.spearmanr(x, y)
    assert (ours.effect.value, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    assert "t approximation" in ours.test


def test_pearson_agrees_with_r():
    """R 4.2.2, cor.test."""
    result = pearson(LIGHTNESS, PANEL)
    effect = result.effect
    assert (effect.value, result.p) == pytest.approx((0.5711815576, 0.1081730543), rel=1e-9)
    assert (effect.low, effect.high) == pytest.approx((-0.1497426330, 0.8955794618), rel=1e-8)


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_correlation_edges(correlation):
    perfect = correlation(range(8), range(8))
    assert (perfect.effect.value, perfect.effect.low) == (1.0, None)
    assert correlation([1, 1, 1], [1, 2, 3]).effect.value is None
    assert correlation([1], [1]).p is None
    assert correlation([1, 2, 3], [1, 3, 2]).effect.low is None


def test_two_points_correlate_without_p():
    assert pearson([1, 2], [1, 3]).p is None


def test_a_test_with_effect_is_json():
    found = json.loads(json.dumps(fisher_exact([[5, 3], [0, 4]]).to_json()))
    assert found["effect"]["high"] is None
    assert {"test", "p", "n", "statistic", "alternative", "note", "details", "effect"} <= set(found)


def test_unknown_alternative_is_refused():
    with pytest.raises(InvalidValue):
        mann_whitney(TERM, EARLY, alternative="larger")


def test_infinite_values_and_tables_for_samples_are_refused():
    with pytest.raises(InvalidValue):
        welch_t([1.0, np.inf], [1.0, 2.0])
    with pytest.raises(InvalidValue):
        mann_whitney([[1.0, 2.0]], [1.0, 2.0])


@pytest.mark.parametrize(
    "result",
    [mann_whitney(TERM, EARLY), kruskal_wallis([TERM, EARLY]), welch_t(TERM, EARLY), spearman(LIGHTNESS, PANEL),
     chi2_test([[12, 7], [5, 9]]), pearson(LIGHTNESS, PANEL)],
    ids=lambda result: result.test,
)  # fmt: skip
def test_results_are_json(result):
    assert json.loads(json.dumps(result.to_json())) == result.to_json()
