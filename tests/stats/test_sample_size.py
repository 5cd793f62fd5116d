from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue, NotComputable, Unsupported
from fusin.stats.paired import mcnemar
from fusin.stats.proportions import proportion
from fusin.stats.sample_size import (
    accuracy_power,
    accuracy_sample_size,
    expected_half_width,
    mcnemar_power,
    mcnemar_sample_size,
)

P_OF = {"exact": "exact", "mid-p": "mid_p", "chi2": "chi2", "chi2-corrected": "chi2_corrected"}


# R 4.2.2: dmultinom summed over all 496 tables of 30 patients with shares 0.35 and 0.10
@pytest.mark.parametrize(
    ("test", "power"),
    [("exact", 0.4460496658), ("mid-p", 0.540193769), ("chi2-corrected", 0.4318429644), ("chi2", 0.5407855647)],
)
def test_mcnemar_power_agrees_with_enumeration_in_r(test, power):
    assert mcnemar_power(30, 0.35, 0.10, test=test) == pytest.approx(power, rel=1e-8)


def test_size_of_the_mid_p_test_agrees_with_r():
    assert mcnemar_power(30, 0.2, 0.2) == pytest.approx(0.04315045303, rel=1e-8)


def brute_power(n, first, second, test):
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            p = getattr(mcnemar(b, c), P_OF[test]).p
            if p is not None and p <= 0.05:
                ways = math.comb(n, b) * math.comb(n - b, c)
                total += ways * first**b * second**c * (1 - first - second) ** (n - b - c)
    return total


@pytest.mark.parametrize("test", P_OF)
def test_power_is_that_of_the_tests_themselves(test):
    assert mcnemar_power(17, 0.5, 0.05, test=test) == pytest.approx(brute_power(17, 0.5, 0.05, test), rel=1e-10)


def test_connors_and_miettinens_formulas():
    """Biometrics 1987;43:207 and 1968;24:339, by hand with psi = 0.45 and delta = 0.25: 54.1 and 51.7."""
    size = mcnemar_sample_size(0.35, 0.10)
    assert (size.connor, size.miettinen) == (55, 52)


@pytest.mark.parametrize(("first", "second"), [(0.35, 0.10), (0.05, 0.45), (0.30, 0.20)])
def test_formulas_come_close_to_the_enumerated_size(first, second):
    size = mcnemar_sample_size(first, second)
    assert size.n == pytest.approx(size.connor, abs=max(2, 0.02 * size.connor))


def test_size_is_where_the_power_stays_above_its_target():
    size = mcnemar_sample_size(0.35, 0.10, power=0.9)
    assert mcnemar_power(size.n - 1, 0.35, 0.10) < 0.9 <= size.power
    assert all(mcnemar_power(n, 0.35, 0.10) >= 0.9 for n in range(size.n, size.n + 15))


def test_the_exact_test_costs_patients():
    assert mcnemar_sample_size(0.35, 0.10, test="exact").n > mcnemar_sample_size(0.35, 0.10).n


@given(st.floats(0.02, 0.45), st.floats(0.02, 0.45), st.integers(2, 40))
@settings(max_examples=25, deadline=None)
def test_power_does_not_care_which_method_is_better(first, second, n):
    assert mcnemar_power(n, first, second) == pytest.approx(mcnemar_power(n, second, first), rel=1e-9, abs=1e-12)


def test_without_discordance_nothing_can_be_shown():
    assert mcnemar_power(30, 0.0, 0.0) == 0.0


def test_equal_or_impossible_shares_are_refused():
    with pytest.raises(InvalidValue):
        mcnemar_sample_size(0.2, 0.2)
    with pytest.raises(InvalidValue):
        mcnemar_sample_size(35, 10)
    with pytest.raises(NotComputable):
        mcnemar_sample_size(0.101, 0.1)
    with pytest.raises(Unsupported):
        mcnemar_power(10, 0.2, 0.1, test="wald")


def test_buderer_agrees_with_epir():
    """R 4.2.2, epiR 2.0.57, epi.ssdxsesp(Py = 0.2, epsilon = 0.1): 172.87 for Se 0.90 and 61.22 for Sp 0.85."""
    size = accuracy_sample_size(sensitivity=0.90, specificity=0.85, half_width=0.1, prevalence=0.2)
    assert (size.n_for_sensitivity, size.n_for_specificity, size.n) == (173, 62, 173)


def test_half_of_patients_with_the_condition_and_an_even_test_is_the_textbook_385():
    """1.96**2 * 0.25 / 0.05**2 = 384.1, so 385 of either kind."""
    size = accuracy_sample_size(sensitivity=0.5, specificity=0.5, half_width=0.05, prevalence=0.5)
    assert (size.with_condition, size.without_condition, size.n) == (385, 385, 769)


def test_wilson_intervals_at_buderers_size_are_as_narrow_as_asked():
    size = accuracy_sample_size(sensitivity=0.90, specificity=0.85, half_width=0.1, prevalence=0.2)
    assert size.wilson_half_widths == pytest.approx((0.1, 0.1), abs=0.003)


def test_expected_half_width_is_the_mean_over_outcomes():
    outcomes = [(math.comb(12, k) * 0.7**k * 0.3 ** (12 - k), proportion(k, 12)) for k in range(13)]
    by_hand = sum(chance * (one.high - one.low) / 2 for chance, one in outcomes)
    assert expected_half_width(12, 0.7) == pytest.approx(by_hand, rel=1e-9)


def test_accuracy_power_agrees_with_r():
    """R 4.2.2: sum of dbinom(0:40, 40, 0.95) where the low limit of binom.test exceeds 0.8."""
    assert accuracy_power(40, 0.95, above=0.8, method="clopper-pearson") == pytest.approx(0.6767357607, rel=1e-8)


def test_percent_for_a_share_is_refused():
    with pytest.raises(InvalidValue):
        accuracy_sample_size(sensitivity=90, specificity=0.85, half_width=0.1, prevalence=0.2)


def test_sizes_are_json():
    assert mcnemar_sample_size(0.35, 0.10).to_json()["test"] == "mid-p"
    found = accuracy_sample_size(sensitivity=0.9, specificity=0.85, half_width=0.1, prevalence=0.2).to_json()
    assert found["method"] == "Buderer 1996"
