from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fusin.errors import InvalidValue, MissingValue, Unsupported
from fusin.stats.paired import (
    bowker,
    mcnemar,
    paired_t,
    sign_test,
    stuart_maxwell,
    wilcoxon_signed_rank,
)

# Hollander, Wolfe: depression scale before and after, the example of R's wilcox.test
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
# differences 5 -1 0 -2 3 0 3 3 2 0 -1 3: ties and zeros
FIRST = [9, 8, 6, 7, 9, 4, 6, 7, 8, 5, 6, 9]
SECOND = [4, 9, 6, 9, 6, 4, 3, 4, 6, 5, 7, 6]

small = st.integers(0, 40)


# b, c: R 4.2.2 mcnemar.test corrected and uncorrected, binom.test(b, b + c)
@pytest.mark.parametrize(
    ("b", "c", "corrected", "plain", "exact"),
    [
        (30, 14, 0.02373851525, 0.01586133274, 0.02262884121),
        (6, 6, 1.0, 1.0, 1.0),
        (5, 65, 1.765560047e-12, 7.425002683e-13, 2.21535284e-14),
        (4, 2, 0.6830913983, 0.4142161782, 0.6875),
    ],
)
def test_mcnemar_agrees_with_r(b, c, corrected, plain, exact):
    tests = mcnemar(b, c)
    assert [tests.chi2_corrected.p, tests.chi2.p, tests.exact.p] == pytest.approx([corrected, plain, exact], rel=1e-8)


def test_without_discordance_exact_is_one_and_chi2_has_no_value():
    """R's mcnemar.test gives NaN."""
    tests = mcnemar(0, 0)
    assert (tests.exact.p, tests.mid_p.p, tests.chi2.p, tests.chi2_corrected.p) == (1.0, 1.0, None, None)
    assert tests.default.note == "no discordant units"


@given(small, small)
@settings(max_examples=50, deadline=None)
def test_mcnemar_does_not_care_which_method_comes_first(b, c):
    one, other = mcnemar(b, c), mcnemar(c, b)
    assert [one.exact.p, one.mid_p.p, one.chi2.p] == [other.exact.p, other.mid_p.p, other.chi2.p]


@given(small, small)
@settings(max_examples=50, deadline=None)
def test_mid_p_is_the_exact_p_less_the_chance_of_the_table(b, c):
    tests = mcnemar(b, c)
    expected = 1.0 if b == c else tests.exact.p - stats.binom.pmf(b, b + c, 0.5)
    assert tests.mid_p.p == pytest.approx(expected, abs=1e-12)


def test_mcnemar_variants_meet_when_n_is_large():
    tests = mcnemar(50_400, 49_600)
    found = [tests.exact.p, tests.mid_p.p, tests.chi2.p, tests.chi2_corrected.p]
    assert found == pytest.approx([tests.chi2.p] * 4, rel=0.02)


def test_mcnemar_json_holds_the_contracted_names():
    assert set(json.loads(json.dumps(mcnemar(7, 1).to_json()))) == {
        "b", "c", "exact", "mid_p", "chi2_corrected", "chi2", "default",
    }  # fmt: skip


def test_negative_counts_are_refused():
    with pytest.raises(InvalidValue):
        mcnemar(-1, 3)


def test_one_sided_sign_test_agrees_with_r():
    """R 4.2.2, binom.test(7, 10, alternative = "greater")."""
    assert sign_test(7, 3, alternative="greater").p == pytest.approx(0.171875)
    assert sign_test(3, 7, alternative="less").p == pytest.approx(0.171875)


def test_sign_test_of_nothing_changed_is_one():
    assert sign_test(0, 0, ties=12).p == 1.0


def test_wilcoxon_without_ties_agrees_with_r():
    """R 4.2.2, wilcox.test(paired = TRUE, conf.int = TRUE)."""
    result = wilcoxon_signed_rank(BEFORE, AFTER)
    effect = result.effect
    assert (result.statistic, result.p) == (40.0, pytest.approx(0.0390625, rel=1e-12))
    assert (effect.value, effect.low, effect.high) == pytest.approx((0.46, 0.01, 0.786), rel=1e-9)


def test_one_sided_wilcoxon_agrees_with_r():
    assert wilcoxon_signed_rank(BEFORE, AFTER, alternative="greater").p == pytest.approx(0.01953125)
    assert wilcoxon_signed_rank(AFTER, BEFORE, alternative="less").p == pytest.approx(0.01953125)


@pytest.mark.parametrize(("zero", "p", "one_sided"), [("pratt", 0.1015625, 0.05078125), ("wilcox", 0.0625, 0.03125)])
def test_wilcoxon_with_ties_and_zeros_agrees_with_coin(zero, p, one_sided):
    """R 4.2.2, coin 1.4.2, wilcoxsign_test(distribution = "exact", zero.method = "Pratt" and "Wilcoxon")."""
    assert wilcoxon_signed_rank(FIRST, SECOND, zero=zero).p == pytest.approx(p, rel=1e-12)
    greater = wilcoxon_signed_rank(FIRST, SECOND, zero=zero, alternative="greater")
    assert greater.p == pytest.approx(one_sided, rel=1e-12)


def test_wilcoxon_statistic_of_exactranktests():
    """R 4.2.2, exactRankTests 0.8.35, wilcox.exact: V = 43, p = 0.015625."""
    first, second = [5, 8, 6, 7, 9, 4, 6, 7, 8, 5, 6, 9], [4, 6, 6, 5, 9, 5, 3, 4, 6, 4, 6, 5]
    result = wilcoxon_signed_rank(first, second, zero="wilcox")
    assert (result.statistic, result.p) == (43.0, pytest.approx(0.015625, rel=1e-12))


@pytest.mark.parametrize("zero", ["pratt", "wilcox", "zsplit"])
def test_wilcoxon_statistic_is_scipys(zero):
    ours = wilcoxon_signed_rank(FIRST, SECOND, zero=zero, alternative="greater")
    theirs = stats.wilcoxon(FIRST, SECOND, zero_method=zero, alternative="greater", method="asymptotic")
    assert ours.statistic == theirs.statistic


def large_sample():
    index, slope = np.arange(1, 501), np.linspace(1, 10, 500)
    first = np.round(slope * (1 + 0.3 * np.sin(index)), 3)
    return first, np.round(slope * (1 + 0.3 * np.cos(index)), 3) - 0.1


def test_large_wilcoxon_agrees_with_r_and_names_its_approximation():
    """R 4.2.2, wilcox.test(paired = TRUE, conf.int = TRUE, digits.rank = 9); R's limits come from a root search."""
    result = wilcoxon_signed_rank(*large_sample())
    assert (result.statistic, result.p) == (66782.0, pytest.approx(0.1984723812, rel=1e-8))
    found = (result.effect.value, result.effect.low, result.effect.high)
    assert found == pytest.approx((0.1094768334, -0.05854742475, 0.2789709471), abs=1e-4)
    assert "normal approximation" in result.test


@pytest.mark.parametrize("alternative", ["less", "greater"])
def test_large_one_sided_wilcoxon_is_scipys(alternative):
    first, second = large_sample()
    # Rounded, because scipy ranks the last binary digit of the differences too.
    differences = np.round(first - second, 6)
    theirs = stats.wilcoxon(differences, alternative=alternative, method="asymptotic", correction=True)
    assert wilcoxon_signed_rank(first, second, alternative=alternative).p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_no_pairs_have_no_shift():
    result = wilcoxon_signed_rank([], [])
    assert (result.n, result.effect.value) == (0, None)


def test_large_samples_give_the_shift_narrowly():
    rng = np.random.default_rng(1)
    x = rng.normal(size=20_000)
    effect = wilcoxon_signed_rank(x + 0.25, np.zeros(20_000)).effect
    assert effect.low < 0.25 < effect.high
    assert effect.high - effect.low < 0.04


differences = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


@given(differences)
@settings(max_examples=40, deadline=None)
def test_exact_p_is_the_share_of_all_sign_patterns(found):
    values = np.array([value for value in found if value], dtype=float)
    ranks = stats.rankdata(np.abs(values))
    observed = abs(float(ranks @ np.sign(values)))
    patterns = itertools.product((-1, 1), repeat=values.size)
    share = np.mean([abs(float(ranks @ np.array(signs))) >= observed - 1e-9 for signs in patterns]) if found else 1.0
    assert wilcoxon_signed_rank(found, [0] * len(found), zero="wilcox").p == pytest.approx(share, abs=1e-12)


@given(differences, st.sampled_from(["pratt", "wilcox", "zsplit"]))
@settings(max_examples=40, deadline=None)
def test_exchanging_the_samples_turns_the_shift_and_keeps_p(found, zero):
    zeros = [0] * len(found)
    one, other = wilcoxon_signed_rank(found, zeros, zero=zero), wilcoxon_signed_rank(zeros, found, zero=zero)
    assert one.p == pytest.approx(other.p, abs=1e-12)
    assert one.effect.value == pytest.approx(-other.effect.value)


def test_binary_noise_does_not_break_ties():
    """0.3 - 0.2 and 0.2 - 0.1 differ in the last bit; SUVs with one decimal are full of such pairs."""
    clean = wilcoxon_signed_rank([3, 2, 5, 4, 9], [2, 1, 6, 2, 5])
    noisy = wilcoxon_signed_rank([0.3, 0.2, 0.5, 0.4, 0.9], [0.2, 0.1, 0.6, 0.2, 0.5])
    assert (noisy.p, noisy.statistic) == (clean.p, clean.statistic)


def test_all_ties_give_p_one_and_an_effect_of_zero():
    result = wilcoxon_signed_rank([4.2] * 8, [4.2] * 8)
    assert (result.p, result.n, result.effect.value) == (1.0, 0, 0.0)
    assert result.note == "all differences are zero"


def test_five_pairs_cannot_reach_95_percent():
    """R 4.2.2 wilcox.test gives p = 0.0625 as the smallest possible."""
    result = wilcoxon_signed_rank([1, 2, 3, 4, 5.5], [0] * 5)
    assert result.p == pytest.approx(0.0625)
    assert (result.effect.low, result.effect.high) == (None, None)
    assert "93.8%" in result.effect.note


def test_treatment_of_zeros_is_named():
    assert "zeros: wilcox" in wilcoxon_signed_rank(FIRST, SECOND, zero="wilcox").test
    assert "3 zero differences (pratt)" in wilcoxon_signed_rank(FIRST, SECOND).note


def test_unknown_treatment_of_zeros_is_refused():
    with pytest.raises(Unsupported):
        wilcoxon_signed_rank(FIRST, SECOND, zero="drop")


def test_unpaired_lengths_and_gaps_are_refused():
    with pytest.raises(InvalidValue):
        wilcoxon_signed_rank([1, 2, 3], [1, 2])
    with pytest.raises(MissingValue):
        paired_t([1, 2, np.nan], [1, 2, 3])


def test_paired_t_agrees_with_r():
    """R 4.2.2, t.test(paired = TRUE)."""
    result = paired_t(BEFORE, AFTER)
    effect = result.effect
    assert (result.statistic, result.p, result.df) == pytest.approx((3.03537541565, 0.01617662743, 8), rel=1e-9)
    expected = (0.43188888889, 0.10377871227, 0.75999906551)
    assert (effect.value, effect.low, effect.high) == pytest.approx(expected, rel=1e-9)


def test_one_sided_paired_t_halves_p():
    two = paired_t(BEFORE, AFTER).p
    assert paired_t(BEFORE, AFTER, alternative="greater").p == pytest.approx(two / 2)
    assert paired_t(BEFORE, AFTER, alternative="less").p == pytest.approx(1 - two / 2)


@pytest.mark.parametrize(("x", "y"), [([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]), ([5.0], [3.0]), ([], [])])
def test_paired_t_without_spread_has_no_p(x, y):
    result = paired_t(x, y)
    assert result.p is None
    assert result.note


# categories negative, equivocal, positive by two readers
SQUARE = [[20, 3, 0], [10, 30, 5], [5, 15, 40]]


def test_bowker_agrees_with_r():
    """R 4.2.2, mcnemar.test on the 3x3 table."""
    result = bowker(SQUARE)
    assert (result.statistic, result.p, result.df) == pytest.approx((13.769230769231, 0.003236706503, 3), rel=1e-9)


def test_stuart_maxwell_agrees_with_coin():
    """R 4.2.2, coin 1.4.2, mh_test: chi2 13.7647, p = 0.001025728."""
    result = stuart_maxwell(SQUARE)
    assert (result.statistic, result.p, result.df) == pytest.approx((13.764705882353, 0.001025727727, 2), rel=1e-9)


@pytest.mark.parametrize("test", [bowker, stuart_maxwell])
def test_two_categories_are_mcnemars_chi2(test):
    assert test([[12, 7], [2, 9]]).p == pytest.approx(mcnemar(7, 2).chi2.p, rel=1e-12)


@pytest.mark.parametrize("test", [bowker, stuart_maxwell])
def test_full_agreement_gives_no_p(test):
    result = test(np.diag([5, 3, 4]))
    assert (result.p, result.note) == (None, "no discordant units")


def test_pairs_without_discordance_cost_no_degree_of_freedom():
    """R gives NaN for this table."""
    result = bowker([[5, 3, 0], [1, 5, 0], [0, 0, 7]])
    assert result.df == 1
    assert "2 pairs" in result.note
    assert stuart_maxwell([[5, 3, 0], [1, 5, 0], [0, 0, 7]]).df == 1


@pytest.mark.parametrize("table", [[[1, 2, 3], [4, 5, 6]], [[1, -2], [3, 4]], [[1.5, 2], [3, 4]], [1, 2, 3]])
def test_tables_that_are_no_square_counts_are_refused(table):
    with pytest.raises(InvalidValue):
        bowker(table)


@pytest.mark.parametrize(
    "result",
    [mcnemar(7, 1), sign_test(7, 3), wilcoxon_signed_rank(FIRST, SECOND), paired_t(BEFORE, AFTER), bowker(SQUARE),
     stuart_maxwell(SQUARE)],
    ids=lambda result: type(result).__name__,
)  # fmt: skip
def test_results_are_json(result):
    assert json.loads(json.dumps(result.to_json())) == result.to_json()
