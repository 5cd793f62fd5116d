"""Ratios: both kinds by hand, and Fieller's set against the test that it inverts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fusin.assays.ratios import bootstrap_ratio, fieller, per_animal_ratio, ratio_of_means, ratio_of_summaries
from fusin.errors import InvalidValue, NotComputable
from fusin.stats.groups import Summary

TUMOUR = [14.0, 18.0, 16.0, 21.0, 12.0]
BLOOD = [1.0, 1.5, 0.8, 1.4, 1.1]


def test_per_animal_and_of_means_are_two_numbers():
    own, means = per_animal_ratio(TUMOUR, BLOOD), ratio_of_means(TUMOUR, BLOOD, paired=True)
    ratios = np.array(TUMOUR) / BLOOD
    assert own.mean.value == pytest.approx(ratios.mean())
    assert own.sd == pytest.approx(ratios.std(ddof=1))
    assert own.geometric_mean.value == pytest.approx(stats.gmean(ratios))
    assert means.estimate.value == pytest.approx(np.mean(TUMOUR) / np.mean(BLOOD))
    assert own.mean.value != pytest.approx(means.estimate.value, rel=1e-3)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_paired_fieller_limits_are_where_the_paired_t_test_turns(level):
    """The set holds the ratios r for which numerator - r denominator has no mean that differs from 0."""
    found = ratio_of_means(TUMOUR, BLOOD, paired=True, level=level).estimate
    for limit in (found.low, found.high):
        p = stats.ttest_1samp(np.array(TUMOUR) - limit * np.array(BLOOD), 0.0).pvalue
        assert p == pytest.approx(1 - level, rel=1e-6)


@given(
    st.floats(-5, 5), st.floats(-3, 3), st.floats(0.01, 2), st.floats(0.01, 2), st.floats(-0.9, 0.9), st.floats(-8, 8)
)
def test_fieller_set_holds_exactly_what_its_inequality_says(a, b, s1, s2, rho, ratio):
    v11, v22, v12 = s1**2, s2**2, rho * s1 * s2
    found = fieller(a, b, v11=v11, v22=v22, v12=v12, df=5)
    t2 = stats.t.ppf(0.975, 5) ** 2
    slack = t2 * (v11 - 2 * ratio * v12 + ratio**2 * v22) - (a - ratio * b) ** 2
    if abs(slack) > 1e-6 * (1 + ratio**2):
        assert found.contains(ratio) == (slack > 0)


def test_a_denominator_near_zero_is_unbounded_and_says_so():
    found = ratio_of_means([16.0, 18.0, 15.0], [0.1, -0.05, 0.3], paired=True)
    assert found.estimate.low is None
    assert found.estimate.high is None
    assert "unbounded" in found.estimate.note
    assert found.fieller.kind == "complement"
    assert found.fieller.g >= 1
    assert ratio_of_means([0.1, -0.2, 0.1], [0.1, -0.05, 0.3], paired=True).fieller.kind == "everything"


def test_fieller_agrees_with_the_delta_method_for_a_precise_denominator():
    big = ratio_of_summaries(Summary(mean=10.0, sd=1.0, n=6), Summary(mean=5.0, sd=1e-4, n=6))
    assert big.estimate.low == pytest.approx(big.delta.low, rel=1e-4)
    assert big.delta_sd == pytest.approx(0.2, rel=1e-4)


def test_unpaired_ratio_has_welch_degrees_of_freedom():
    # With both terms equal, a sd/sqrt(n) each, Welch gives 2 (n - 1).
    found = ratio_of_summaries(Summary(mean=4.0, sd=0.4, n=5), Summary(mean=4.0, sd=0.4, n=5))
    half = stats.t.ppf(0.975, 8) * math.sqrt(2 * 0.16 / 5) / 4
    assert found.delta.high - 1.0 == pytest.approx(half)


def test_an_animal_without_activity_in_the_denominator_is_left_out_by_name():
    found = per_animal_ratio([1.0, 2.0, 3.0], [1.0, 0.0, 1.0])
    assert (found.n, found.left_out) == (2, 1)
    assert "1 of 3" in found.mean.note
    with pytest.raises(NotComputable):
        per_animal_ratio([1.0], [-1.0])


def test_one_animal_has_a_ratio_and_no_interval():
    found = per_animal_ratio([8.0], [2.0])
    assert found.mean.value == 4.0
    assert found.sd is None
    assert found.mean.low is None


def test_bootstrap_is_seeded_and_says_when_it_cannot():
    first, again = (bootstrap_ratio(TUMOUR, BLOOD, paired=True, rng=np.random.default_rng(1)) for _ in range(2))
    assert first == again
    assert first.low < first.value < first.high
    near = bootstrap_ratio(TUMOUR, [0.1, -0.1, 0.05, 0.2, -0.1], paired=True, rng=np.random.default_rng(1))
    assert near.low is None
    assert "unbounded" in near.note


def test_samples_that_do_not_match_are_refused():
    with pytest.raises(InvalidValue):
        per_animal_ratio([1.0, 2.0], [1.0])
    with pytest.raises(InvalidValue):
        ratio_of_means([1.0, math.nan], [1.0, 2.0], paired=True)


def test_fieller_covers_what_it_promises():
    """1,500 studies of five animals with correlated tissues; 95 % within 1.5 points."""
    rng = np.random.default_rng(7)
    hits, studies = 0, 1500
    for _ in range(studies):
        shared = rng.normal(0, 0.1, 5)
        top = 16 * (1 + shared + rng.normal(0, 0.2, 5))
        bottom = 1.0 * (1 + shared + rng.normal(0, 0.15, 5))
        hits += ratio_of_means(top, bottom, paired=True).fieller.contains(16.0)
    assert hits / studies == pytest.approx(0.95, abs=0.015)


def test_a_limit_beyond_what_a_number_holds_is_open():
    found = per_animal_ratio([1e-9, 1e9], [1.0, 1.0]).geometric_mean
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.high == pytest.approx(math.exp(stats.t.ppf(0.975, 1) * math.log(1e9)), rel=1e-9)
    assert per_animal_ratio([1e-300, 1e9], [1.0, 1.0]).geometric_mean.high is None
