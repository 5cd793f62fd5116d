"""Fits of one curve: covariance, integrals, weights, and what a fit is refused for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import curve_fit

from fusin.dosimetry.curve_models import MODELS
from fusin.dosimetry.time_activity import (
    fit_curve,
    log_interval,
    refuse_lost,
    root_weights,
    time_activity,
    widened,
)
from fusin.errors import InputError, InvalidValue, NotComputable
from fusin.stats.results import Estimate

LU = 159.528
TIMES = np.array([1.0, 4.0, 10.0, 24.0, 48.0, 72.0, 120.0, 168.0])
CURVES = {
    "mono": lambda t, a, k: a * np.exp(-k * t),
    "uptake-bi": lambda t, a, k, m: a * (np.exp(-k * t) - np.exp(-m * t)),
}
TRUTH = {"mono": (80.0, 0.015), "uptake-bi": (80.0, 0.012, 0.25)}


def noisy(name, seed=1, share=0.04):
    rng = np.random.default_rng(seed)
    y = CURVES[name](TIMES, *TRUTH[name])
    return y * (1 + share * rng.standard_normal(TIMES.size)), share * y


@pytest.mark.parametrize("weights", ["none", "relative", "given"])
@pytest.mark.parametrize("name", CURVES)
def test_values_and_standard_errors_are_those_of_scipy(name, weights):
    y, u = noisy(name)
    fit = fit_curve(time_activity("r", TIMES, y, u), name, half_life_h=LU, weights=weights)
    sigma = {"none": np.ones_like(y), "relative": y, "given": u}[weights]
    values, covariance = curve_fit(
        CURVES[name], TIMES, y, p0=TRUTH[name], sigma=sigma, absolute_sigma=weights == "given"
    )
    names = ["a_1_mbq", "lambda_1_per_h", "lambda_2_per_h"][: len(values)]
    assert [fit.parameters[n] for n in names] == pytest.approx(values.tolist(), rel=1e-5)
    assert [fit.parameter_u[n] for n in names] == pytest.approx(np.sqrt(np.diag(covariance)).tolist(), rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_integral_is_that_of_the_curve(name):
    y, _ = noisy("uptake-bi", share=0.01)
    if name in ("mono", "bi"):
        y = 20.0 * np.exp(-0.006 * TIMES) + 60.0 * np.exp(-0.09 * TIMES)
    if name == "tri":
        y = 20.0 * np.exp(-0.006 * TIMES) + 60.0 * np.exp(-0.05 * TIMES) - 79.0 * np.exp(-0.9 * TIMES)
    fit = fit_curve(time_activity("r", TIMES, y), name, half_life_h=LU)
    pieces = [quad(lambda t: float(fit.at(t)[0]), a, b)[0] for a, b in ((0, 1), (1, 24), (24, 168), (168, 3000))]
    assert fit.integral_mbq_h() == pytest.approx(sum(pieces), rel=1e-6)
    assert fit.tail_fraction == pytest.approx(pieces[-1] / sum(pieces), rel=1e-5)
    assert fit.head_fraction == pytest.approx(pieces[0] / sum(pieces), rel=1e-5)


@pytest.mark.parametrize("name", CURVES)
def test_slopes_of_curve_and_integral_are_those_of_differences(name):
    y, _ = noisy(name)
    fit = fit_curve(time_activity("r", TIMES, y), name, half_life_h=LU)
    theta = np.concatenate([fit.rates_per_h, fit.free_mbq])
    r = fit.model.rates
    for place in range(theta.size):
        step = 1e-6 * theta[place]
        moved = []
        for sign in (1, -1):
            t = theta.copy()
            t[place] += sign * step
            a = fit.model.mixing @ t[r:]
            moved.append((fit.model.exponentials(TIMES, t[:r]) @ a, float(np.sum(a / t[:r]))))
        assert fit.slopes(TIMES)[:, place] == pytest.approx(
            (moved[0][0] - moved[1][0]) / (2 * step), rel=1e-5, abs=1e-7
        )
        assert fit.tia_gradient[place] == pytest.approx((moved[0][1] - moved[1][1]) / (2 * step), rel=1e-5)


def test_a_unit_of_activity_changes_nothing_but_the_unit():
    y, _ = noisy("uptake-bi")
    fits = [fit_curve(time_activity("r", TIMES, y * s), "uptake-bi", half_life_h=LU) for s in (1.0, 1e-6, 1e6)]
    for other, s in zip(fits[1:], (1e-6, 1e6), strict=True):
        assert other.rates_per_h == pytest.approx(fits[0].rates_per_h, rel=1e-7)
        assert other.tia_mbq_h().low == pytest.approx(s * fits[0].tia_mbq_h().low, rel=1e-6)


def test_the_interval_is_that_of_student_on_the_log_scale():
    """t(2, 0.975) = 4.3027 (tables)."""
    fit = fit_curve(time_activity("r", [4, 24, 72, 144], [90.0, 75.0, 35.0, 13.0]), "mono", half_life_h=LU)
    tia = fit.tia_mbq_h()
    assert math.log(tia.high / tia.value) == pytest.approx(4.30265 * fit.tia_u_mbq_h / tia.value, rel=1e-5)
    assert tia.high / tia.value == pytest.approx(tia.value / tia.low)


def test_data_that_fall_slower_than_the_nuclide_are_held_at_physical_decay():
    fit = fit_curve(time_activity("r", [4, 24, 72, 144], [90.0, 89.0, 90.0, 88.0]), "mono", half_life_h=LU)
    assert fit.at_physical_decay
    assert fit.half_life_effective_h().value == pytest.approx(LU)
    assert fit.tia_u_mbq_h > 0


@pytest.mark.parametrize(("name", "n"), [("mono", 2), ("uptake-bi", 3), ("bi", 4), ("tri", 6), ("bi", 1)])
def test_as_many_points_as_parameters_are_too_few_without_uncertainties(name, n):
    y, _ = noisy("mono")
    with pytest.raises(NotComputable) as caught:
        fit_curve(time_activity("kidney", TIMES[:n], y[:n]), name, half_life_h=LU)
    assert caught.value.code == "TOO_FEW_POINTS"
    assert "kidney" in str(caught.value)
    assert f"at least {MODELS[name].parameters + 1} times" in str(caught.value)


def test_two_points_with_uncertainties_determine_two_parameters():
    """u of A (t2 - t1) / ln(A1/A2)-type quantities by hand: the exact solution of two equations."""
    u = (2.0, 1.5)
    fit = fit_curve(time_activity("r", [24, 96], [60.0, 30.0], u), "mono", half_life_h=LU, weights="given")
    rate = math.log(2.0) / 72.0
    assert fit.parameters["lambda_1_per_h"] == pytest.approx(rate, rel=1e-9)
    assert fit.parameter_u["lambda_1_per_h"] == pytest.approx(math.hypot(2 / 60, 1.5 / 30) / 72.0, rel=1e-6)


def test_a_curve_without_its_uptake_phase_names_the_rate_that_is_lost():
    y = 80.0 * np.exp(-0.015 * TIMES)
    fit = fit_curve(time_activity("liver", TIMES, y), "uptake-bi", half_life_h=LU)
    assert "lambda_2_per_h" in fit.lost
    with pytest.raises(NotComputable, match=r"liver.*lambda_2_per_h.*mono") as caught:
        refuse_lost(fit, ["mono"])
    assert caught.value.code == "FIT_NOT_IDENTIFIABLE"


def test_two_equal_components_are_named():
    y = 80.0 * np.exp(-0.015 * TIMES)
    assert fit_curve(time_activity("r", TIMES, y), "bi", half_life_h=LU).lost


def test_aicc_has_no_value_below_two_more_points_than_parameters():
    """n ln(RSS/n) + 2k + 2k(k+1)/(n-k-1) by hand for k = 2, n = 4: 4 ln(RSS/4) + 4 + 12."""
    points = time_activity("r", [4, 24, 72, 144], [90.0, 75.0, 35.0, 13.0])
    assert fit_curve(points, "uptake-bi", half_life_h=LU).aicc is None
    fit = fit_curve(points, "mono", half_life_h=LU)
    assert fit.aicc == pytest.approx(4 * math.log(fit.rss / 4) + 16)


@pytest.mark.parametrize(
    ("time", "activity", "word"),
    [
        ([1, 2, 2], [3, 2, 1], "each time once"),
        ([1, -2, 3], [3, 2, 1], "zero or more"),
        ([1, 2, 3], [3, 0, 1], "positive"),
        ([1, 2, 3], [3, -1, 1], "positive"),
        ([1, 2, 3], [3, math.nan, 1], "finite"),
        ([1, 2], [3, 2, 1], "2 values"),
        ([], [], "some values"),
    ],
)
def test_points_that_cannot_be_are_refused_in_a_sentence(time, activity, word):
    with pytest.raises(InputError, match=word):
        time_activity("r", time, activity)


def test_the_order_of_the_points_does_not_matter():
    a = time_activity("r", [1, 4, 2], [9, 1, 4], [0.3, 0.1, 0.2])
    assert a.time_h.tolist() == [1, 2, 4]
    assert a.activity_mbq.tolist() == [9, 4, 1]
    assert a.uncertainty_mbq.tolist() == [0.3, 0.2, 0.1]
    with pytest.raises(ValueError, match="read-only"):
        a.activity_mbq[0] = 1.0


def test_weights_need_what_they_are_made_of():
    points = time_activity("r", [1, 2], [9, 1])
    with pytest.raises(InputError, match="uncertainty_mbq"):
        root_weights(points, "given")
    with pytest.raises(InputError, match="none, relative or given"):
        root_weights(points, "poisson")
    with pytest.raises(InvalidValue):
        log_interval(1.0, 0.1, quantile=_quantile(95), level=95, method="", n=1)


def _quantile(level):
    from fusin.dosimetry.time_activity import quantile_of

    return quantile_of(3, level)


def test_a_shared_uncertainty_adds_in_quadrature_on_the_log_scale():
    one = Estimate(value=100.0, low=100.0 / 1.1, high=110.0, method="m", n=4)
    both = widened(one, 0.05, scale=2.0)
    assert both.value == 200.0
    assert math.log(both.high / both.value) == pytest.approx(math.hypot(math.log(1.1), 1.959964 * 0.05), rel=1e-3)
    bare = widened(Estimate(value=3.0, low=None, high=None, method="m", n=1), 0.1, scale=2.0)
    assert (bare.value, bare.low, bare.high) == (6.0, None, None)


def test_a_band_is_narrow_where_the_points_are():
    y, _ = noisy("uptake-bi")
    fit = fit_curve(time_activity("r", TIMES, y), "uptake-bi", half_life_h=LU, weights="relative")
    mid, low, high = fit.band([24.0, 400.0])
    assert ((low < mid) & (mid < high)).all()
    assert (high[0] - low[0]) / mid[0] < (high[1] - low[1]) / mid[1]
