"""Counts to activity: closed forms, propagation against simulation, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from fusin.dosimetry.quantitative_spect import (
    Calibration,
    Measured,
    calibration_factor,
    dead_time_factor,
    fit_recovery,
    quantified_activity,
)
from fusin.errors import InputError, NotComputable

VOLUMES = np.array([0.5, 1.2, 2.6, 5.6, 11.5, 26.5, 60.0, 113.0])


def recovery(v, b1=2.5, b2=1.1):
    return 1.0 / (1.0 + (b1 / v) ** b2)


def test_the_calibration_factor_is_counts_per_second_and_megabecquerel():
    found = calibration_factor(1.2e6, duration_s=600.0, activity_mbq=200.0, activity_u_relative=0.02)
    assert found.cps_per_mbq == pytest.approx(10.0)
    assert found.u_cps_per_mbq == pytest.approx(10.0 * math.hypot(0.02, 1 / math.sqrt(1.2e6)))


def test_acquisitions_that_scatter_more_than_their_counts_widen_the_factor():
    calm = calibration_factor([1.2e6, 1.2e6, 1.2e6], duration_s=600.0, activity_mbq=200.0, activity_u_relative=0.0)
    wild = calibration_factor([1.1e6, 1.2e6, 1.3e6], duration_s=600.0, activity_mbq=200.0, activity_u_relative=0.0)
    assert wild.u_cps_per_mbq == pytest.approx(wild.cps_per_mbq * (0.1 / 1.2) / math.sqrt(3))
    assert calm.u_cps_per_mbq < wild.u_cps_per_mbq / 10


@pytest.mark.parametrize(
    ("kind", "seen"),
    [("non-paralysable", lambda n, t: n / (1 + n * t)), ("paralysable", lambda n, t: n * math.exp(-n * t))],
)
def test_dead_time_brings_back_the_true_rate(kind, seen):
    true, tau = 80_000.0, 2e-6
    rate = seen(true, tau)
    assert rate * dead_time_factor(rate, tau_s=tau, kind=kind).value == pytest.approx(true)
    own = dead_time_factor(rate, tau_s=tau, tau_u_s=1e-9, kind=kind)
    other = brentq(lambda n: seen(n, tau + 1e-9) - rate, 1.0, 300_000.0) / rate
    assert own.u == pytest.approx(other - own.value, rel=1e-3)


@pytest.mark.parametrize(("kind", "rate"), [("paralysable", 2e5), ("non-paralysable", 5e5)])
def test_a_rate_that_no_detector_shows_is_refused(kind, rate):
    with pytest.raises(NotComputable) as caught:
        dead_time_factor(rate, tau_s=2e-6, kind=kind)
    assert caught.value.code == "RATE_BEYOND_DEAD_TIME"


def test_the_recovery_curve_is_found_again_and_its_uncertainty_is_that_of_a_simulation():
    exact = fit_recovery(VOLUMES, recovery(VOLUMES), u=np.full(VOLUMES.size, 0.02))
    assert (exact.b1_ml, exact.b2) == pytest.approx((2.5, 1.1), rel=1e-6)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(400):
        fit = fit_recovery(
            VOLUMES, recovery(VOLUMES) + 0.02 * rng.standard_normal(VOLUMES.size), u=np.full(VOLUMES.size, 0.02)
        )
        drawn.append(fit.at(8.0 + 0.5 * rng.standard_normal()).value)
    assert exact.at(8.0, volume_u_ml=0.5).u == pytest.approx(float(np.std(drawn)), rel=0.12)
    assert exact.measured(8.0)
    assert not exact.measured(500.0)


def test_what_inserts_differ_by_beyond_noise_is_in_the_interval_of_the_next_region():
    """95 % intervals of a new region, whose loss differs from the curve as those of the inserts do, hold it about as often."""
    rng = np.random.default_rng(4)
    volumes = np.repeat(VOLUMES[1:], 2)
    inside = dict.fromkeys(("stated", "none"), 0)
    for _ in range(100):
        loss = (1.0 - recovery(volumes)) * (1.0 + 0.12 * rng.standard_normal(volumes.size))
        own = np.full(volumes.size, 0.01)
        seen = 1.0 - loss + 0.01 * rng.standard_normal(volumes.size)
        new = 1.0 - (1.0 - float(recovery(np.array([7.0]))[0])) * (1.0 + 0.12 * rng.standard_normal())
        for name, u in (("stated", own), ("none", None)):
            at = fit_recovery(volumes, seen, u=u).at(7.0)
            inside[name] += abs(at.value - new) < 1.96 * at.u
    for hits in inside.values():
        assert 0.84 <= hits / 100 <= 0.99


def test_inserts_that_differ_by_their_noise_alone_have_no_spread():
    assert fit_recovery(VOLUMES, recovery(VOLUMES), u=np.full(VOLUMES.size, 0.02)).loss_spread == 0.0
    spread = fit_recovery(
        VOLUMES, recovery(VOLUMES) + 0.05 * np.resize([1, -1], VOLUMES.size), u=np.full(VOLUMES.size, 1e-3)
    )
    assert spread.loss_spread > 0.1


def test_an_activity_adds_its_relative_variances():
    found = quantified_activity(
        1e5, duration_s=1000.0, calibration=Calibration(cps_per_mbq=10.0, u_cps_per_mbq=0.3, n=3), counts_u=2000.0,
        recovery=Measured(0.8, 0.04), dead_time=Measured(1.1, 0.011),
    )  # fmt: skip
    assert found.activity_mbq == pytest.approx(1.1 * 100.0 / 10.0 / 0.8)
    assert found.u_mbq / found.activity_mbq == pytest.approx(math.sqrt(0.02**2 + 0.03**2 + 0.05**2 + 0.01**2))
    assert found.shared_relative == pytest.approx(math.sqrt(0.03**2 + 0.05**2 + 0.01**2))


def test_what_cannot_be_is_refused_in_a_sentence():
    calibration = Calibration(cps_per_mbq=10.0, u_cps_per_mbq=0.3, n=3)
    bad = (
        lambda: calibration_factor(0, duration_s=1, activity_mbq=1, activity_u_relative=0),
        lambda: calibration_factor(1, duration_s=1, activity_mbq=1, activity_u_relative=-1),
        lambda: dead_time_factor(-1, tau_s=1e-6),
        lambda: dead_time_factor(1e3, tau_s=1e-6, kind="mixed"),
        lambda: fit_recovery([1, 2], [0.5]),
        lambda: fit_recovery([1, 2, 3], [0.5, 0.6, 0.7], u=[1, 0, 1]),
        lambda: fit_recovery(VOLUMES, recovery(VOLUMES)).at(0.0),
        lambda: quantified_activity(0, duration_s=1, calibration=calibration),
        lambda: quantified_activity(10, duration_s=math.nan, calibration=calibration),
    )
    for call in bad:
        with pytest.raises(InputError):
            call()
    with pytest.raises(NotComputable, match="at least 3"):
        fit_recovery([1, 2], [0.5, 0.6])


def test_inserts_that_lose_nothing_determine_no_curve():
    with pytest.raises(NotComputable, match="do not determine"):
        fit_recovery([1.0, 10.0, 50.0, 100.0], [1.0, 1.0, 1.0, 1.0])
