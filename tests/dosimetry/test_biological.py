"""Lea-Catcheside factor, BED, EQD2 and EUD: limits in closed form, numerical integration, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.biological import bed, bed_estimate, eqd2, eqd2_estimate, eud, generalised_eud, lea_catcheside
from fusin.errors import FusinError, InputError, InvalidValue
from fusin.stats.results import Estimate

LN2 = math.log(2.0)
rates = st.floats(1e-3, 2.0)


def factor_by_quadrature(rates_per_h, weights, repair_half_time_h):
    """G from its definition, by integrating the dose rate and its memory as differential equations on a fine grid."""
    from scipy.integrate import solve_ivp

    mu, r, w = LN2 / repair_half_time_h, np.array(rates_per_h), np.array(weights)

    def change(t, y):
        rate = float(w @ np.exp(-r * t))
        return [rate - mu * y[0], rate * y[0], rate]

    end = 60.0 / r.min()
    found = solve_ivp(change, (0.0, end), [0.0, 0.0, 0.0], rtol=1e-10, atol=1e-13, method="LSODA").y[:, -1]
    return 2.0 * found[1] / found[2] ** 2


@pytest.mark.parametrize(
    ("r", "w", "repair"),
    [
        ([0.0169], [1.0], 2.8),
        ([0.014, 0.845], [1.0, -1.0], 2.8),
        ([0.014, 0.2, 0.9], [3.0, 2.0, -4.5], 1.5),
        ([0.02, 0.02], [1.0, 2.0], 2.8),
        ([LN2 / 2.8], [1.0], 2.8),
    ],
)
def test_the_closed_form_is_the_double_integral(r, w, repair):
    assert lea_catcheside(r, w, repair) == pytest.approx(factor_by_quadrature(r, w, repair), rel=1e-6)


@given(rate=rates, repair=st.floats(0.1, 50.0))
def test_one_exponential_gives_rate_over_rate_plus_repair(rate, repair):
    assert lea_catcheside([rate], [3.0], repair) == pytest.approx(rate / (rate + LN2 / repair), rel=1e-12)


@given(rate=rates, share=st.floats(0.05, 0.95), repair=st.floats(0.1, 50.0))
def test_a_component_split_in_two_of_the_same_rate_changes_nothing(rate, share, repair):
    assert lea_catcheside([rate, rate], [share, 1 - share], repair) == pytest.approx(
        lea_catcheside([rate], [1.0], repair), rel=1e-12
    )


@given(slow=rates, fast=rates, share=st.floats(0.0, 1.0))
def test_the_factor_lies_between_zero_and_one_and_is_one_without_repair(slow, fast, share):
    found = lea_catcheside([slow, fast], [share, 1 - share], 2.8)
    assert 0.0 < found <= 1.0 + 1e-12
    assert lea_catcheside([slow, fast], [share, 1 - share], math.inf) == pytest.approx(1.0, rel=1e-9)


def test_an_uptake_phase_spares_more_than_the_same_decay_alone():
    """A dose that is delivered more slowly leaves more time for repair."""
    assert lea_catcheside([0.0169, 0.3], [1.0, -1.0], 2.8) < lea_catcheside([0.0169], [1.0], 2.8)


def test_voxels_with_curves_of_their_own_give_what_each_gives_alone():
    rng = np.random.default_rng(3)
    r = rng.uniform(0.01, 0.5, (4, 5, 2))
    w = rng.uniform(0.1, 1.0, (4, 5, 2))
    dose = rng.uniform(0.0, 40.0, (4, 5))
    found = bed(dose, r, w, 2.6, 2.8)
    assert found.shape == (4, 5)
    for i in range(4):
        for j in range(5):
            assert found[i, j] == pytest.approx(bed(dose[i, j], r[i, j], w[i, j], 2.6, 2.8), rel=1e-12)


def test_voxels_without_dose_have_no_bed_and_one_curve_serves_all():
    found = bed(np.array([0.0, 23.0]), [LN2 / 41], [1.0], 2.6, 2.8)
    assert found[0] == 0.0
    assert found[1] == pytest.approx(36.007, abs=5e-4)
    alone = bed(np.array([0.0, 5.0]), [[0.1], [0.1]], [[0.0], [1.0]], 2.6, 2.8)
    assert alone[0] == 0.0
    assert alone[1] > 5.0


def test_a_dose_without_a_dose_rate_is_refused():
    with pytest.raises(InvalidValue) as caught:
        bed(3.0, [0.1], [0.0], 2.6, 2.8)
    assert caught.value.code == "NO_DOSE_RATE"


def test_an_infinite_alpha_beta_gives_the_dose_itself():
    assert bed(23.0, [0.01], [1.0], math.inf, 2.8) == 23.0
    assert eqd2(23.0, math.inf) == 23.0


@given(dose=st.floats(0.01, 100), ratio=st.floats(0.5, 20))
def test_acute_dose_in_two_gray_fractions_is_its_own_eqd2(dose, ratio):
    """n fractions of 2 Gy have BED = n 2 (1 + 2/(alpha/beta)), and EQD2 must give 2 n back."""
    assert eqd2(dose * (1 + 2 / ratio), ratio) == pytest.approx(dose, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: lea_catcheside([0.0], [1.0], 2.8), InputError),
        (lambda: lea_catcheside([-0.1], [1.0], 2.8), InputError),
        (lambda: lea_catcheside([math.nan], [1.0], 2.8), InputError),
        (lambda: lea_catcheside([], [], 2.8), InputError),
        (lambda: lea_catcheside([0.1, 0.2], [1.0, 1.0, 1.0], 2.8), InputError),
        (lambda: lea_catcheside([0.1], [1.0], 0.0), InputError),
        (lambda: lea_catcheside([0.1], [-1.0], 2.8), InvalidValue),
        (lambda: lea_catcheside([0.1, 0.5], [-1.0, 3.0], 2.8), InvalidValue),
        (lambda: lea_catcheside([0.1, 0.5], [1.0, -1.2], 2.8), InvalidValue),
        (lambda: bed(-1.0, [0.1], [1.0], 2.6, 2.8), InputError),
        (lambda: bed(math.nan, [0.1], [1.0], 2.6, 2.8), InputError),
        (lambda: bed(1.0, [0.1], [1.0], 0.0, 2.8), InputError),
        (lambda: bed("much", [0.1], [1.0], 2.6, 2.8), InputError),
        (lambda: bed(np.ones(3), [[0.1], [0.1]], [[1.0], [1.0]], 2.6, 2.8), InputError),
        (lambda: eqd2(1.0, -2.0), InputError),
        (lambda: eud([], 0.3), InputError),
        (lambda: eud([1.0], 0.0), InputError),
        (lambda: eud([1.0, 2.0], 0.3, [1.0]), InputError),
        (lambda: eud([1.0, 2.0], 0.3, [0.0, 0.0]), InputError),
        (lambda: generalised_eud([1.0], 0.0), InputError),
    ],
)
def test_what_no_tissue_has_is_refused_in_one_sentence(call, error):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, FusinError)
    assert "\n" not in str(caught.value)


def test_limits_of_a_dose_become_limits_of_its_bed_and_eqd2():
    dose = Estimate(value=23.0, low=18.0, high=29.0, method="log-normal", n=4)
    found = bed_estimate(dose, [LN2 / 41], [1.0], 2.6, 2.8)
    assert (found.low, found.high) == (
        pytest.approx(bed(18.0, [LN2 / 41], [1.0], 2.6, 2.8)),
        pytest.approx(bed(29.0, [LN2 / 41], [1.0], 2.6, 2.8)),
    )
    assert eqd2_estimate(found, 2.6).value == pytest.approx(20.352, abs=5e-4)
    assert "limits of the dose" in found.method


@given(dose=st.floats(0.0, 500.0), alpha=st.floats(0.01, 1.0))
def test_a_uniform_dose_is_its_own_eud(dose, alpha):
    assert eud(np.full(5, dose), alpha) == pytest.approx(dose, rel=1e-9, abs=1e-12)


def test_eud_lies_between_the_coldest_and_the_mean_and_survives_high_doses():
    dose = np.array([10.0, 400.0, 5000.0])
    found = eud(dose, 0.35)
    # Only the coldest third survives: 10 - ln(1/3)/alpha
    assert found == pytest.approx(10.0 + math.log(3.0) / 0.35, rel=1e-9)


def test_eud_of_two_doses_is_the_hand_calculation():
    expected = -math.log(0.25 * math.exp(-0.3 * 2) + 0.75 * math.exp(-0.3 * 8)) / 0.3
    assert eud([2.0, 8.0], 0.3, [1.0, 3.0]) == pytest.approx(expected, rel=1e-12)


def test_generalised_eud_has_mean_maximum_and_harmonic_mean_as_its_cases():
    dose = np.array([1.0, 4.0])
    assert generalised_eud(dose, 1.0) == pytest.approx(2.5)
    assert generalised_eud(dose, -1.0) == pytest.approx(1.6)
    assert generalised_eud(dose, 500.0) == pytest.approx(4.0, rel=2e-3)
    assert generalised_eud([0.0, 4.0], -1.0) == 0.0
