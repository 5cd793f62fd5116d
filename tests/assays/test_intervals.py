"""Intervals of fits: limits that theory knows, agreement of methods, and sides that stay open."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import stdtrit

from fusin.assays.fitting import fit
from fusin.assays.intervals import INTERVAL_WORDS, band, bootstrap_draws, derived, intervals, profiled
from fusin.assays.models import hyperbola, line, one_site, plateau_decay, variable_slope
from fusin.errors import InputError

X = np.repeat(np.linspace(-10.5, -5.5, 11), 2)


@pytest.fixture(scope="module")
def curve():
    rng = np.random.default_rng(11)
    y = variable_slope(X, start=1000.0, end=100.0, log_ic50=-8.0, hill=1.2) + 40 * rng.standard_normal(X.size)
    return fit(variable_slope, X, y)


@pytest.fixture(scope="module")
def straight():
    x = np.arange(12.0)
    return fit(line, x, 3 + 2 * x + np.random.default_rng(1).standard_normal(12))


def test_the_profile_of_a_line_is_the_t_interval(straight):
    """For a linear model the profile is exactly quadratic."""
    found = intervals(straight)
    t = stdtrit(10, 0.975)
    for name, value in straight.values.items():
        assert found[name].low == pytest.approx(value - t * straight.se[name], rel=1e-7)
        assert found[name].high == pytest.approx(value + t * straight.se[name], rel=1e-7)
        assert found[name].method == "profile likelihood"


def test_known_standard_deviations_take_the_normal_quantile():
    x = np.arange(12.0)
    found = fit(line, x, 3 + 2 * x + np.random.default_rng(1).standard_normal(12), noise="given", sd=np.ones(12))
    limits = intervals(found)["slope"]
    assert limits.high - limits.low == pytest.approx(2 * 1.959963985 * found.se["slope"], rel=1e-7)


def test_on_the_limit_the_sum_of_squares_has_risen_by_t_squared(curve):
    """The defining property, checked by fixing the parameter there and fitting the others anew."""
    limits = intervals(curve)
    t2 = stdtrit(curve.df, 0.975) ** 2
    data = curve.datasets[0]
    for name in curve.names:
        for end in (limits[name].low, limits[name].high):
            held = fit(variable_slope, data.x, data.y, fixed={name: end})
            assert (held.rss - curve.rss) / curve.variance == pytest.approx(t2, rel=1e-4), name


def test_a_profile_is_the_same_for_a_parameter_and_for_its_logarithm():
    """Kd or log Kd: the limits are the same points, as those of a standard error are not."""
    x = np.array([0.2, 0.5, 1, 2, 5, 10, 20.0])
    y = 500 * x / (3 + x) + np.array([8, -9, 6, 7, -8, 9, -6.0])
    from fusin.assays.models import Model

    plain = Model(
        name="kd", parameters=("bmax", "kd"), function=lambda x, bmax, kd: bmax * x / (kd + x), formula="Y = ..."
    )
    log, raw = fit(hyperbola, x, y), fit(plain, x, y, start={"bmax": 400.0, "kd": 2.0})
    a, b = intervals(log)["log_kd"], intervals(raw)["kd"]
    assert 10**a.low == pytest.approx(b.low, rel=1e-6)
    assert 10**a.high == pytest.approx(b.high, rel=1e-6)


def test_all_methods_agree_where_the_data_are_good(curve):
    reference = intervals(curve)["log_ic50"]
    width = reference.high - reference.low
    for method in INTERVAL_WORDS:
        other = intervals(curve, method=method, seed=1)["log_ic50"]
        assert other.low == pytest.approx(reference.low, abs=0.25 * width), method
        assert other.high == pytest.approx(reference.high, abs=0.25 * width), method
        assert other.method == INTERVAL_WORDS[method]


@pytest.mark.parametrize("seed", [0, 2, 3, 7])
def test_a_side_that_the_data_do_not_bound_stays_open(seed):
    """The lower plateau is never seen: nothing keeps the IC50 from being far higher, and no number is made up for it."""
    x = np.repeat(np.linspace(-10, -8, 5), 2)
    y = one_site(x, start=1000.0, end=0.0, log_ic50=-8.0) + 40 * np.random.default_rng(seed).standard_normal(x.size)
    found = intervals(fit(one_site, x, y))["log_ic50"]
    assert found.high is None
    assert found.low < -7.0
    assert "upper limit open" in found.note


def test_a_wider_level_gives_a_wider_interval(curve):
    narrow, wide = (profiled(curve, level=level)[1]["hill"] for level in (0.8, 0.99))
    assert wide.low < narrow.low < curve.values["hill"] < narrow.high < wide.high


def test_equal_seeds_give_equal_bootstraps_and_other_seeds_do_not(curve):
    first, second, other = (bootstrap_draws(curve, resamples=100, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_bootstrap_of_residuals_scatters_as_the_standard_error_says(straight):
    draws = bootstrap_draws(straight, resamples=4000, seed=0)
    assert draws.std(axis=0) == pytest.approx(list(straight.se.values()), rel=0.05)


def test_a_curve_through_all_points_has_no_width():
    x = np.linspace(0, 60, 8)
    found = fit(plateau_decay, x, plateau_decay(x, start=100.0, plateau=20.0, rate=0.05))
    for method in INTERVAL_WORDS:
        e = intervals(found, method=method, resamples=100)["rate"]
        assert e.low == e.high == e.value
        assert "every point" in e.note


def test_a_function_of_parameters_gets_the_error_of_the_delta_method(curve):
    """For the IC50 itself: ln(10) IC50 times the error of its logarithm."""
    e, se = derived(curve, lambda v: 10 ** v["log_ic50"])
    assert se == pytest.approx(math.log(10) * e.value * curve.se["log_ic50"], rel=1e-9)


def test_the_band_of_a_line_is_that_of_the_textbook(straight):
    at = np.array([-2.0, 5.5, 20.0])
    x = np.arange(12.0)
    middle, low, high = band(straight, at)
    half = stdtrit(10, 0.975) * np.sqrt(
        straight.variance * (1 / 12 + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2))
    )
    assert middle - low == pytest.approx(half, rel=1e-9)
    assert high - middle == pytest.approx(half, rel=1e-9)


def test_unknown_methods_and_percentages_as_levels_are_refused(curve):
    with pytest.raises(InputError, match="one of profile"):
        intervals(curve, method="likelihood")
    with pytest.raises(InputError, match="between 0 and 1"):
        intervals(curve, level=95)
