"""Trend and control limits of yields, against scipy and against leaving each point out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fusin.radiopharmacy.generator_yield import MONTH_S, YieldPoint, crossing, fit_yields, predict


def points(values, months=None):
    months = range(len(values)) if months is None else months
    return tuple(
        YieldPoint(number=i, time_s=m * MONTH_S, value=float(v))
        for i, (m, v) in enumerate(zip(months, values, strict=True), start=1)
    )


NOISY = [0.741, 0.729, 0.735, 0.722, 0.718, 0.724, 0.705, 0.709, 0.698, 0.701]


def test_the_slope_and_its_interval_are_those_of_linregress():
    trend = fit_yields(points(NOISY), series="G")
    line = stats.linregress(range(10), NOISY)
    half = stats.t.ppf(0.975, 8) * line.stderr
    assert trend.slope_per_month.value == pytest.approx(line.slope, rel=1e-9)
    assert (trend.slope_per_month.low, trend.slope_per_month.high) == pytest.approx(
        (line.slope - half, line.slope + half)
    )
    assert trend.trend_test.p == pytest.approx(line.pvalue, rel=1e-9)


def test_the_mean_yield_has_the_t_interval():
    trend = fit_yields(points(NOISY), series="G")
    low, high = stats.t.interval(0.95, 9, np.mean(NOISY), stats.sem(NOISY))
    assert (trend.efficiency.value, trend.efficiency.low, trend.efficiency.high) == pytest.approx(
        (np.mean(NOISY), low, high)
    )


def test_the_regression_limits_are_those_of_a_line_through_the_other_points():
    values = list(NOISY)
    values[4] -= 0.05
    chart = fit_yields(points(values), series="G").chart
    x, y = np.arange(10.0), np.array(values)
    for i in range(10):
        keep = np.arange(10) != i
        slope, intercept = np.polyfit(x[keep], y[keep], 1)
        rest = y[keep] - slope * x[keep] - intercept
        s = np.sqrt(rest @ rest / 7)
        sxx = ((x[keep] - x[keep].mean()) ** 2).sum()
        half = stats.t.ppf(0.5 + 0.9973002039367398 / 2, 7) * s
        half *= np.sqrt(1 + 1 / 9 + (x[i] - x[keep].mean()) ** 2 / sxx)
        assert chart.centre[i] == pytest.approx(intercept + slope * i, rel=1e-9)
        assert chart.low[i] == pytest.approx(intercept + slope * i - half, rel=1e-7)
    assert chart.outside == (5,)


def test_the_individuals_limits_are_the_mean_and_266_hundredths_of_the_moving_range():
    # 3 / d2 = 3 / 1.128 = 2.660 (ISO 7870-2); moving ranges 0.02, 0.03, 0.01, 0.01
    values = [0.10, 0.12, 0.09, 0.10, 0.09]
    chart = fit_yields(points(values), series="G", chart="individuals").chart
    assert chart.centre[0] == pytest.approx(0.10)
    moving = (0.02 + 0.03 + 0.01 + 0.01) / 4
    assert chart.high[0] == pytest.approx(0.10 + 2.660 * moving, abs=5e-5)


def test_false_alarms_of_eight_elutions_are_those_of_three_sigma():
    """At small n the usual chart about its own mean would hardly ever, or far too often, raise an alarm."""
    rng = np.random.default_rng(4)
    alarms = sum(
        len(fit_yields(points(0.7 - 0.01 * np.arange(8) + 0.01 * rng.standard_normal(8)), series="G").chart.outside)
        for _ in range(1500)
    )
    # 12000 judgements at 0.27 %: 32 expected, standard deviation 6
    assert 14 <= alarms <= 52


def test_intervals_of_the_mean_yield_cover_their_truth():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(1000):
        efficiency = fit_yields(points(0.7 + 0.02 * rng.standard_normal(6)), series="G").efficiency
        hits += efficiency.low <= 0.7 <= efficiency.high
    assert 930 <= hits <= 970


def test_three_elutions_have_no_control_limits():
    assert fit_yields(points(NOISY[:3]), series="G").chart is None


def test_one_elution_has_an_interval_only_with_a_stated_uncertainty():
    bare = fit_yields(points([0.7]), series="G").efficiency
    assert (bare.low, bare.high) == (None, None)
    stated = fit_yields((YieldPoint(number=1, time_s=0.0, value=0.7, u=0.02),), series="G").efficiency
    assert stated.high == pytest.approx(0.7 + 1.96 * 0.02, abs=1e-5)


def test_equal_yields_raise_no_alarm_from_rounding():
    assert fit_yields(points([0.7] * 12), series="G").chart.outside == ()
    assert fit_yields(points([0.7] * 12), series="G", chart="individuals").chart.outside == ()


def test_a_common_uncertainty_widens_the_interval_and_not_the_limits():
    plain, common = (fit_yields(points(NOISY), series="G", common_u_relative=u) for u in (0.0, 0.05))
    assert common.efficiency.high > plain.efficiency.high + 0.04
    assert common.chart == plain.chart


def test_a_prediction_is_wider_than_the_mean_and_widest_far_away():
    near, far = (predict(points(NOISY), m * MONTH_S) for m in (4.5, 20.0))
    mean = predict(points(NOISY), 4.5 * MONTH_S, single=False)
    assert near.high - near.low > mean.high - mean.low
    assert far.high - far.low > near.high - near.low


def test_a_falling_line_reaches_its_minimum_where_it_should():
    exact = points([0.75 - 0.01 * m for m in range(8)])
    found = crossing(exact, 0.60)
    assert found.time_s / MONTH_S == pytest.approx(15.0, abs=1e-6)
    noisy = crossing(points(NOISY), 0.60)
    assert noisy.earliest_s < noisy.time_s


def test_a_yield_that_rises_reaches_no_minimum():
    assert crossing(points([0.6, 0.61, 0.62, 0.63]), 0.5) is None


def test_elutions_within_one_minute_have_no_trend():
    together = tuple(YieldPoint(number=i, time_s=float(i), value=v) for i, v in enumerate(NOISY, start=1))
    assert fit_yields(together, series="G").slope_per_month is None


def test_predictions_cover_the_next_elution():
    rng = np.random.default_rng(11)
    truth = 0.74 - 0.01 * np.arange(9)
    hits = 0
    for _ in range(1000):
        values = truth + 0.012 * rng.standard_normal(9)
        expected = predict(points(values[:8]), 8 * MONTH_S)
        hits += expected.low <= values[8] <= expected.high
    assert 930 <= hits <= 970
