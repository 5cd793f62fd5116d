"""Simulated intervals of 95 % hold the true integral in 93 to 97 % of the studies, within the error of the simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.priors import lognormal_prior
from fusin.dosimetry.single_time_point import posterior, single_time_estimate
from fusin.dosimetry.time_activity import fit_curve, time_activity
from fusin.dosimetry.time_activity_choice import choose_curve
from fusin.provenance import NoticeLog

LU = 159.528
STUDIES = 200


def decline(t, half_life):
    return 100.0 * np.exp2(-t / half_life)


def with_uptake(t):
    return 100.0 * (np.exp2(-t / 60.0) - np.exp(-0.25 * t))


FALLING = (lambda t: decline(t, 41.0), 100.0 * 41.0 / math.log(2.0))
SLOW = (lambda t: decline(t, 150.0), 100.0 * 150.0 / math.log(2.0))
RISING = (with_uptake, 100.0 * (60.0 / math.log(2.0) - 4.0))


def check_share(hits, studies):
    """93 to 97 %, and twice the binomial error of so many studies."""
    slack = 2.0 * math.sqrt(0.95 * 0.05 / studies)
    assert 0.93 - slack <= hits / studies <= 0.97 + slack


@pytest.mark.parametrize("weights", ["relative", "given"])
@pytest.mark.parametrize(
    ("model", "times", "truth", "share"),
    [
        ("mono", (4, 24, 48, 96, 144), FALLING, 0.05),
        ("mono", (4, 24, 72, 144), FALLING, 0.10),
        ("mono", (4, 24, 48, 96, 144), SLOW, 0.05),
        ("uptake-bi", (2, 6, 24, 72, 120, 168), RISING, 0.05),
        ("uptake-bi", (4, 24, 72, 144), RISING, 0.05),
    ],
)
def test_intervals_of_a_named_model_hold(model, times, truth, share, weights):
    rng = np.random.default_rng(5)
    t = np.array(times, dtype=float)
    y, integral = truth[0](t), truth[1]
    hits = 0
    for _ in range(STUDIES):
        seen = y * (1 + share * rng.standard_normal(t.size))
        tia = fit_curve(time_activity("r", t, seen, share * y), model, half_life_h=LU, weights=weights).tia_mbq_h()
        hits += tia.low <= integral <= tia.high
    check_share(hits, STUDIES)


def test_intervals_hold_when_the_model_is_chosen_from_the_points():
    rng = np.random.default_rng(6)
    t = np.array([1, 4, 10, 24, 72, 120, 168.0])
    y, integral = RISING[0](t), RISING[1]
    hits = 0
    for _ in range(60):
        seen = time_activity("r", t, y * (1 + 0.05 * rng.standard_normal(t.size)), 0.05 * y)
        tia = choose_curve(seen, NoticeLog(), half_life_h=LU, weights="given").tia_mbq_h
        hits += tia.low <= integral <= tia.high
    check_share(hits, 60)


@pytest.mark.parametrize("times", [(72.0,), (24.0, 96.0), (4.0, 24.0, 72.0)])
def test_credible_intervals_hold_over_the_population_of_the_prior(times):
    prior = lognormal_prior(mean_h=41.0, sd_h=10.0)
    rng = np.random.default_rng(7)
    t = np.array(times)
    hits = 0
    for _ in range(STUDIES):
        half_life = prior.median_h * math.exp(prior.sigma * rng.standard_normal())
        y = decline(t, half_life)
        seen = time_activity("k", t, y * (1 + 0.06 * rng.standard_normal(t.size)), 0.06 * y)
        tia = posterior(seen, prior, half_life_h=LU).tia_mbq_h()
        hits += tia.low <= 100.0 * half_life / math.log(2.0) <= tia.high
    check_share(hits, STUDIES)


@pytest.mark.parametrize("method", ["haenscheid", "madsen"])
def test_intervals_of_one_scan_hold_over_the_population_of_the_prior(method):
    prior = lognormal_prior(mean_h=41.0, sd_h=10.0)
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(STUDIES):
        half_life = prior.median_h * math.exp(prior.sigma * rng.standard_normal())
        y = decline(np.array([96.0]), half_life)
        seen = time_activity("k", [96.0], y * (1 + 0.06 * rng.standard_normal()), 0.06 * y)
        tia, _ = single_time_estimate(seen, method, half_life_h=LU, prior=prior)
        hits += tia.low <= 100.0 * half_life / math.log(2.0) <= tia.high
    check_share(hits, STUDIES)
