"""Half-life from readings: closed form, fit, intervals and their coverage, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.errors import InputError, NotComputable
from fusin.radiopharmacy.half_life import Reading, half_life_of, two_reading_u_s

T = 67.71 * 60.0


def decaying(times_min, activity=600.0, noise=None):
    factors = np.ones(len(times_min)) if noise is None else 1.0 + noise
    return [
        Reading(time_s=60.0 * t, value=float(activity * 2 ** (-t * 60 / T) * f))
        for t, f in zip(times_min, factors, strict=True)
    ]


def test_two_exact_readings_give_the_closed_form_and_its_uncertainty():
    found = half_life_of(decaying([0, 20]), repeatability=0.003)
    assert found.half_life_s == pytest.approx(T, rel=1e-12)
    assert found.u_s == pytest.approx(two_reading_u_s(T, interval_s=1200, repeatability=0.003), rel=1e-9)
    assert found.chi2 is None


def test_the_interval_is_longer_above_than_below():
    estimate = half_life_of(decaying([0, 10]), repeatability=0.003).estimate
    assert estimate.high - estimate.value > estimate.value - estimate.low


def test_the_interval_has_no_upper_end_when_the_readings_could_be_constant():
    estimate = half_life_of(decaying([0, 2]), repeatability=0.02).estimate
    assert estimate.high is None
    assert "unbounded" in estimate.note


def test_two_readings_without_repeatability_have_no_interval_and_say_so():
    found = half_life_of(decaying([0, 20]))
    assert found.u_s is None
    assert (found.estimate.low, found.estimate.high) == (None, None)
    assert "repeatability" in found.estimate.note


def test_order_unit_and_origin_of_the_readings_change_nothing():
    readings = decaying([0, 7, 19, 33], noise=np.array([0.002, -0.003, 0.001, 0.002]))
    moved = [Reading(time_s=r.time_s + 1e6, value=1e-3 * r.value) for r in reversed(readings)]
    first, second = half_life_of(readings, repeatability=0.003), half_life_of(moved, repeatability=0.003)
    assert second.half_life_s == pytest.approx(first.half_life_s, rel=1e-9)
    assert second.chi2 == pytest.approx(first.chi2, rel=1e-6)


def test_the_fit_agrees_with_weighted_least_squares_of_numpy():
    readings = decaying([0, 5, 12, 30], noise=np.array([0.004, -0.002, 0.003, -0.001]))
    slope = np.polyfit([r.time_s for r in readings], np.log([r.value for r in readings]), 1)[0]
    assert half_life_of(readings, repeatability=0.003).half_life_s == pytest.approx(-math.log(2) / slope, rel=1e-6)


def test_background_is_taken_off_first():
    readings = [Reading(time_s=r.time_s, value=r.value + 25.0, background=25.0) for r in decaying([0, 15, 30])]
    assert half_life_of(readings, repeatability=0.003).half_life_s == pytest.approx(T, rel=1e-9)


def test_a_span_of_ten_minutes_is_short_for_gallium_and_an_hour_is_not():
    assert half_life_of(decaying([0, 10]), repeatability=0.003).short
    assert not half_life_of(decaying([0, 60]), repeatability=0.003).short


@pytest.mark.parametrize(
    "readings",
    [
        [], [Reading(time_s=0, value=5)], [Reading(time_s=0, value=5), Reading(time_s=0, value=4)],
        [Reading(time_s=0, value=5), Reading(time_s=60, value=-1)],
        [Reading(time_s=0, value=5), Reading(time_s=60, value=4, background=4)],
        [Reading(time_s=0, value=5), Reading(time_s=60, value=400, live_time_s=10)],
        [Reading(time_s=0, value=math.nan), Reading(time_s=60, value=4)],
    ],
)  # fmt: skip
def test_unusable_readings_are_refused(readings):
    with pytest.raises(InputError):
        half_life_of(readings, repeatability=0.003)


def test_readings_that_rise_give_no_half_life():
    with pytest.raises(NotComputable) as refusal:
        half_life_of([Reading(time_s=0, value=4), Reading(time_s=60, value=5)], repeatability=0.003)
    assert refusal.value.code == "READINGS_DO_NOT_FALL"


@pytest.mark.parametrize(
    ("times", "known"), [((0, 20), True), ((0, 10, 20, 30), True), ((0, 10, 20, 30), False), ((0, 30, 60), False)]
)
def test_simulated_coverage_of_the_interval_lies_between_93_and_97_percent(times, known):
    """3000 sets of readings with a relative normal error of 0.3 %; binomial standard error 0.4 points."""
    rng, hits, n = np.random.default_rng(11), 0, 3000
    for _ in range(n):
        readings = decaying(times, noise=0.003 * rng.standard_normal(len(times)))
        estimate = half_life_of(readings, repeatability=0.003 if known else None).estimate
        hits += estimate.low <= 67.71 and (estimate.high is None or estimate.high >= 67.71)
    assert 0.93 <= hits / n <= 0.97


def test_simulated_coverage_from_counts_with_background():
    """Three countings of about 2000 counts over an hour, background 2 per second."""
    rng, hits, n = np.random.default_rng(12), 0, 2000
    for _ in range(n):
        readings = []
        for minute in (0, 30, 60):
            rate = 40.0 * 2 ** (-minute * 60 / T) + 2.0
            readings.append(
                Reading(time_s=60.0 * minute, value=float(rng.poisson(50 * rate)), live_time_s=50.0, background=2.0)
            )
        estimate = half_life_of(readings).estimate
        hits += estimate.low <= 67.71 and (estimate.high is None or estimate.high >= 67.71)
    assert 0.93 <= hits / n <= 0.97


def counted(rng, times_min, *, rate, background, live_s=60.0, background_s):
    """Counts of a decaying source over one background that was counted once."""
    own = rng.poisson(background * background_s) / background_s
    return [
        Reading(
            time_s=60.0 * t, value=float(rng.poisson(live_s * (rate * 2 ** (-t * 60 / T) + background))), live_time_s=live_s,
            background=own, background_u=math.sqrt(own / background_s),
        )
        for t in times_min
    ]  # fmt: skip


def test_the_error_of_one_background_moves_all_readings_and_the_interval_covers():
    """Ten countings down to the background, which was counted for one minute; taken as independent it covers 89 %."""
    rng, hits, n = np.random.default_rng(13), 0, 1500
    for _ in range(n):
        estimate = half_life_of(
            counted(rng, range(0, 181, 20), rate=200.0, background=40.0, background_s=60.0)
        ).estimate
        hits += estimate.low <= 67.71 and (estimate.high is None or estimate.high >= 67.71)
    assert 0.93 <= hits / n <= 0.97


def test_the_fit_agrees_with_the_matrix_formula_of_generalised_least_squares():
    readings = counted(np.random.default_rng(2), (0, 30, 60, 120), rate=100.0, background=30.0, background_s=100.0)
    found = half_life_of(readings)
    times = np.array([r.time_s for r in readings])
    logs = np.log([r.value / r.live_time_s - r.background for r in readings])
    slope, intercept = -math.log(2) / found.half_life_s, None
    for _ in range(30):
        intercept = logs.mean() - slope * times.mean() if intercept is None else intercept
        fitted = np.exp(intercept + slope * times)
        common = readings[0].background_u / fitted
        covariance = np.diag((fitted + readings[0].background) / 60.0 / fitted**2) + np.outer(common, common)
        design = np.column_stack([np.ones(4), times])
        normal = design.T @ np.linalg.inv(covariance) @ design
        intercept, slope = np.linalg.solve(normal, design.T @ np.linalg.inv(covariance) @ logs)
    assert found.half_life_s == pytest.approx(-math.log(2) / slope, rel=1e-8)
    assert found.u_s == pytest.approx(math.sqrt(np.linalg.inv(normal)[1, 1]) * math.log(2) / slope**2, rel=1e-6)
    rest = logs - intercept - slope * times
    assert found.chi2 == pytest.approx(rest @ np.linalg.inv(covariance) @ rest, rel=1e-6)


def test_equal_readings_give_the_shortest_half_life_that_is_still_possible():
    """Two equal readings 20 min apart at 0.3 %: lambda < 1.645 * 0.003 * sqrt(2) / 20 per min."""
    equal = [Reading(time_s=0, value=500), Reading(time_s=1200, value=500)]
    with pytest.raises(NotComputable) as refusal:
        half_life_of(equal, repeatability=0.003)
    shortest = math.log(2) * 20 / (1.6449 * 0.003 * math.sqrt(2))
    assert f"above {shortest:.3g} min" in str(refusal.value)
