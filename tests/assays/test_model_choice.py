"""Choosing between nested curves, and noise models: the formulas, their limits, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.assays.fitting import fit
from fusin.assays.model_choice import aicc, compare_models
from fusin.assays.models import line, one_site, variable_slope
from fusin.assays.noise import NOISE_WORDS, NOISES, checked_noise, root_weights
from fusin.errors import InputError

X = np.repeat(np.linspace(-10.5, -5.5, 11), 2)


def pair(hill, seed=0, scatter=20.0, **options):
    y = variable_slope(X, start=1000.0, end=100.0, log_ic50=-8.0, hill=hill)
    y = y + scatter * np.random.default_rng(seed).standard_normal(X.size)
    return tuple(fit(m, X, y, **options) for m in (one_site, variable_slope))


def test_aicc_is_the_formula_of_burnham_and_anderson():
    simple, _ = pair(1.0)
    k, n = 4, 22
    expected = n * math.log(simple.rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert aicc(simple) == pytest.approx(expected, rel=1e-12)


def test_aicc_needs_more_points_than_it_corrects_for():
    found = fit(line, [0.0, 1, 2, 3], [0.1, 0.9, 2.2, 2.8])
    assert aicc(found) is None


def test_the_f_test_rejects_a_true_slope_of_one_in_one_of_twenty():
    """Under the simpler model p is uniform; 160 runs, limits of four standard deviations."""
    rejected = sum(compare_models(*pair(1.0, seed=s)).test.p < 0.05 for s in range(160))
    assert 0 < rejected < 8 + 4 * 2.8


def test_a_steep_curve_is_told_apart_by_both_criteria():
    found = compare_models(*pair(2.0))
    assert found.preferred_by_test == found.preferred_by_aicc == "variable-slope competition"
    assert found.test.p < 1e-6
    assert found.aicc_difference < -20


def test_known_standard_deviations_give_a_chi_square_test():
    found = compare_models(*pair(1.0, noise="given", sd=np.full(X.size, 20.0)))
    simple, full = pair(1.0, noise="given", sd=np.full(X.size, 20.0))
    assert found.test.test.startswith("chi square")
    assert found.test.statistic == pytest.approx(simple.weighted_rss - full.weighted_rss, rel=1e-9)


def test_curves_through_all_points_are_compared_without_a_ratio_of_zeros():
    same, steep = compare_models(*pair(1.0, scatter=0.0)), compare_models(*pair(2.0, scatter=0.0))
    assert (same.test.p, same.preferred_by_test) == (1.0, "one-site competition")
    assert (steep.test.p, steep.preferred_by_test) == (0.0, "variable-slope competition")


def test_other_points_or_the_wrong_order_are_refused():
    simple, full = pair(1.0)
    with pytest.raises(InputError, match="more parameters"):
        compare_models(full, simple)
    with pytest.raises(InputError, match="same points"):
        compare_models(simple, fit(variable_slope, X[:-2], full.datasets[0].y[:-2]))


def test_every_noise_model_has_words_and_no_other_is_taken():
    assert set(NOISES) == set(NOISE_WORDS)
    assert checked_noise("poisson") == "poisson"
    with pytest.raises(InputError, match="constant, poisson, relative, given"):
        checked_noise("sqrt")


@pytest.mark.parametrize(("noise", "power"), [("constant", 0.0), ("poisson", -0.5), ("relative", -1.0)])
def test_root_weights_fall_with_the_declared_power_of_the_curve(noise, power):
    curve = np.array([10.0, 100.0, 1000.0])
    found = root_weights(noise, curve, None, what="curve")
    assert found / found[-1] == pytest.approx((curve / curve[-1]) ** power, rel=1e-12)
