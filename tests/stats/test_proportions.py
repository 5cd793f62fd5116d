from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue, MissingValue, Unsupported
from fusin.stats.proportions import (
    paired_difference,
    paired_ratio,
    proportion,
    proportion_difference,
    proportion_ratio,
)

METHODS = ("wilson", "clopper-pearson", "jeffreys", "wald")
counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
cells = st.tuples(*[st.integers(0, 20)] * 4).filter(any)


def limits(estimate):
    return estimate.low, estimate.high


# R 4.2.2, binom.test(k, n)$conf.int
BINOM_TEST = {
    (0, 10): (0.0, 0.3084971078),
    (10, 10): (0.6915028922, 1.0),
    (1, 12): (0.002107593232, 0.384796165151),
    (11, 12): (0.6152038348, 0.9978924068),
    (17, 19): (0.6686233355, 0.9869878356),
    (33, 43): (0.6136917882, 0.8824464289),
    (57, 57): (0.9373325191, 1.0),
    (25, 26): (0.8036303532, 0.9990267121),
}
# R 4.2.2, prop.test(k, n, correct = FALSE)$conf.int; Hmisc 4.8.0 binconf agrees except at k = 1 and n - 1, where it
# replaces one limit by a Poisson one
PROP_TEST = {
    (0, 10): (0.0, 0.2775327999),
    (10, 10): (0.7224672001, 1.0),
    (1, 12): (0.0148650944, 0.3538799111),
    (11, 12): (0.6461200889, 0.9851349056),
    (17, 19): (0.6860591729, 0.9706414397),
    (33, 43): (0.6225547970, 0.8684632152),
    (57, 57): (0.9368611651, 1.0),
    (25, 26): (0.811072211, 0.993178015),
}


@pytest.mark.parametrize(("counts", "expected"), BINOM_TEST.items(), ids=str)
def test_clopper_pearson_agrees_with_r(counts, expected):
    assert limits(proportion(*counts, method="clopper-pearson")) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("counts", "expected"), PROP_TEST.items(), ids=str)
def test_wilson_agrees_with_r(counts, expected):
    assert limits(proportion(*counts)) == pytest.approx(expected, abs=1e-9)


def test_jeffreys_agrees_with_r():
    """R 4.2.2, qbeta(c(.025, .975), 3.5, 9.5) and qbeta(.975, .5, 12.5)."""
    assert limits(proportion(3, 12, method="jeffreys")) == pytest.approx((0.07594232892, 0.52919108363), rel=1e-8)
    assert proportion(0, 12, method="jeffreys").high == pytest.approx(0.1853059383, rel=1e-8)


def test_nothing_of_n_has_the_exact_limit_of_the_hand_calculation():
    assert proportion(0, 20, method="clopper-pearson").high == pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_limits_are_exactly_zero_and_one_at_the_ends(method):
    assert proportion(0, 7, method=method).low == 0.0
    assert proportion(7, 7, method=method).high == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_nothing_of_nothing_has_no_proportion(method):
    estimate = proportion(0, 0, method=method)
    assert (estimate.value, estimate.low, estimate.high) == (None, None, None)
    assert "0 of 0" in estimate.note


def test_wald_says_what_is_wrong_with_it():
    note = proportion(12, 12, method="wald").note
    assert "reproduction" in note
    assert "zero width" in note
    assert "clipped" in proportion(11, 12, method="wald").note


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "jeffreys"])
@given(counts)
@settings(max_examples=40, deadline=None)
def test_interval_holds_the_proportion_and_stays_within_0_and_1(method, pair):
    estimate = proportion(*pair, method=method)
    assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0


@pytest.mark.parametrize("method", METHODS)
@given(counts)
@settings(max_examples=40, deadline=None)
def test_counting_non_events_mirrors_the_interval(method, pair):
    k, n = pair
    one, other = proportion(k, n, method=method), proportion(n - k, n, method=method)
    assert limits(one) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-12)


def test_methods_agree_when_n_is_large():
    found = [limits(proportion(400_000, 1_000_000, method=method)) for method in METHODS]
    assert np.ptp(np.array(found), axis=0) == pytest.approx([0.0, 0.0], abs=2e-6)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 5), (1.5, 5), (True, 5), ("3", 5), (3, math.inf)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(InvalidValue):
        proportion(k, n)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_missing_count_is_not_zero(missing):
    with pytest.raises(MissingValue):
        proportion(missing, 5)


def test_a_count_from_a_table_with_gaps_may_be_a_float():
    assert proportion(np.float64(3.0), np.int64(5)) == proportion(3, 5)


def test_a_level_in_percent_is_refused():
    with pytest.raises(InvalidValue):
        proportion(3, 5, level=95)


def test_an_unknown_method_is_refused():
    with pytest.raises(Unsupported):
        proportion(3, 5, method="exact")


def test_estimate_names_its_method_and_counts_in_json():
    found = proportion(3, 12).to_json()
    assert (found["method"], found["k"], found["n"], found["level"]) == ("Wilson", 3, 12, 0.95)


@given(counts, counts)
@settings(max_examples=40, deadline=None)
def test_swapping_the_groups_negates_the_difference(first, second):
    one, other = proportion_difference(*first, *second), proportion_difference(*second, *first)
    assert limits(one) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert -1.0 - 1e-12 <= one.low <= one.value <= one.high <= 1.0 + 1e-12


@given(cells)
@settings(max_examples=40, deadline=None)
def test_swapping_the_methods_negates_the_paired_difference(table):
    both, first, second, neither = table
    one = paired_difference(both, first, second, neither)
    other = paired_difference(both, second, first, neither)
    assert limits(one) == pytest.approx((-other.high, -other.low), abs=1e-12)


def test_all_concordant_pairs_still_give_an_interval():
    estimate = paired_difference(12, 0, 0, 0)
    assert estimate.value == 0.0
    assert estimate.low < 0.0 < estimate.high


@given(cells.filter(lambda table: table[0] + table[1] > 0 and table[0] + table[2] > 0))
@settings(max_examples=40, deadline=None)
def test_swapping_the_methods_inverts_the_paired_ratio(table):
    both, first, second, neither = table
    one, other = paired_ratio(both, first, second, neither), paired_ratio(both, second, first, neither)
    assert limits(one) == pytest.approx((1 / other.high, 1 / other.low), rel=1e-9)


@given(counts.filter(lambda pair: pair[0] > 0), counts.filter(lambda pair: pair[0] > 0))
@settings(max_examples=40, deadline=None)
def test_swapping_the_groups_inverts_the_ratio(first, second):
    one, other = proportion_ratio(*first, *second), proportion_ratio(*second, *first)
    assert limits(one) == pytest.approx((1 / other.high, 1 / other.low), rel=1e-6)


def test_score_ratio_agrees_with_r():
    """R 4.2.2, epiR 2.0.57, epi.2by2 RR.strata.score; it reads the matrix by columns, so the groups are 9/12 and 1/8."""
    estimate = proportion_ratio(9, 12, 1, 8)
    assert estimate.value == pytest.approx(6.0)
    assert limits(estimate) == pytest.approx((1.452362957, 34.07217805), rel=1e-8)


def test_ratio_of_two_full_groups_is_one_with_the_interval_of_its_wilson_limits():
    """With p2 = 1 the score equation reduces to Wilson's: low = n / (n + z**2)."""
    assert limits(proportion_ratio(10, 10, 10, 10)) == pytest.approx((0.7224672001, 1 / 0.7224672001), rel=1e-8)


def test_ratio_without_events_has_one_limit_or_none():
    assert proportion_ratio(0, 10, 3, 10).low == 0.0
    unbounded = proportion_ratio(9, 10, 0, 10)
    assert (unbounded.value, unbounded.high) == (None, None)
    assert unbounded.low > 1.0
    assert proportion_ratio(0, 10, 0, 10).low is None


@pytest.mark.parametrize("function", [proportion_difference, proportion_ratio])
def test_an_empty_group_gives_no_comparison(function):
    assert function(0, 0, 3, 5).value is None


@pytest.mark.parametrize("function", [paired_difference, paired_ratio])
def test_no_pairs_give_no_comparison(function):
    assert function(0, 0, 0, 0).value is None


def test_paired_ratio_is_unbounded_when_the_second_method_finds_nothing():
    estimate = paired_ratio(0, 5, 0, 3)
    assert (estimate.value, estimate.high) == (None, None)
    assert estimate.low > 1.0


def test_more_events_than_units_are_refused_in_either_group():
    with pytest.raises(InvalidValue):
        proportion_ratio(1, 5, 6, 5)
