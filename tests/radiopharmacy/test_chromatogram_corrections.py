"""Counts that can be compared: decay across the run, dead time, live time."""

from __future__ import annotations

import numpy as np
import pytest
from chromatogram_builders import NO_DECAY, codes, signal, trace
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError, InvalidValue, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_corrections import Decay, dead_time_corrected, prepared, run_decay

X = np.linspace(0.0, 20.0, 41)


def test_a_two_minute_scan_of_gallium_has_a_factor_of_1_021():
    """2^(2/67.71) = 1.0207 at the end of the strip; half-life of ICRP 107."""
    strip = trace(np.linspace(0, 100, 21), np.ones(21), axis="mm")
    factors, half_life_s = run_decay(strip, Decay(nuclide="Ga-68", scan_duration_s=120.0))
    assert factors[0] == 1.0
    assert factors[-1] == pytest.approx(2 ** (2 / 67.71), rel=1e-12)
    assert f"{factors[-1]:.3f}" == "1.021"
    assert half_life_s == pytest.approx(4062.6)


def test_a_strip_scanned_from_its_end_has_its_factors_turned():
    strip = trace(np.linspace(0, 100, 21), np.ones(21), axis="mm")
    forward, _ = run_decay(strip, Decay(nuclide="Ga-68", scan_duration_s=300.0))
    backward, _ = run_decay(strip, Decay(nuclide="Ga-68", scan_duration_s=300.0, reverse=True))
    np.testing.assert_allclose(backward, forward[::-1], rtol=1e-14)


def test_a_strip_without_the_duration_of_its_scan_is_refused():
    strip = trace(np.linspace(0, 100, 21), np.ones(21), axis="mm")
    with pytest.raises(InputError, match="scan_duration_s"):
        run_decay(strip, Decay(nuclide="Ga-68"))


@given(true=st.floats(1.0, 2e4), model=st.sampled_from(["non-paralysable", "paralysable"]))
def test_dead_time_correction_undoes_dead_time(true, model):
    tau = 5e-6
    recorded = true / (1 + true * tau) if model == "non-paralysable" else true * np.exp(-true * tau)
    found, slope = dead_time_corrected(np.array([recorded]), dead_time_s=tau, model=model)
    assert found[0] == pytest.approx(true, rel=1e-10)
    step = 1e-4 * recorded
    sides = [dead_time_corrected(np.array([recorded + s]), dead_time_s=tau, model=model)[0][0] for s in (step, -step)]
    assert slope[0] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize(("model", "rate"), [("non-paralysable", 2.1e5), ("paralysable", 8e4)])
def test_a_rate_beyond_the_dead_time_is_refused(model, rate):
    with pytest.raises(InvalidValue, match="beyond"):
        dead_time_corrected(np.array([rate]), dead_time_s=5e-6, model=model)


def test_dead_time_without_a_live_time_is_refused_and_with_one_is_applied():
    counts = np.full(X.size, 1000.0)
    with pytest.raises(InputError, match="live_time_s"):
        prepared(trace(X, counts, axis="mm"), NoticeLog(), decay=NO_DECAY, dead_time_s=1e-4)
    found = prepared(trace(X, counts, live_time_s=1.0), NoticeLog(), decay=NO_DECAY, dead_time_s=1e-4)
    np.testing.assert_allclose(found.y, 1000.0 / 0.9)


def test_the_dead_time_of_a_run_in_time_takes_the_interval_of_its_points_with_a_notice():
    """A thousand per second with 100 us: n = m / (1 - m tau)."""
    log, width = NoticeLog(), (X[1] - X[0]) * 60.0
    found = prepared(trace(X, np.full(X.size, 1000.0 * width)), log, decay=NO_DECAY, dead_time_s=1e-4)
    np.testing.assert_allclose(found.y, 1000.0 * width / 0.9)
    assert "LIVE_TIME_IS_INTERVAL" in codes(log)


def test_a_rate_over_time_is_counted_over_its_interval_with_a_notice():
    log = NoticeLog()
    found = prepared(trace(X, np.full(X.size, 2.0), quantity="rate"), log, decay=NO_DECAY)
    np.testing.assert_allclose(found.y, 60.0)
    assert codes(log) == ["LIVE_TIME_IS_INTERVAL"]
    with pytest.raises(StrictRefusal):
        prepared(trace(X, np.full(X.size, 2.0), quantity="rate"), NoticeLog(strict=True), decay=NO_DECAY)


def test_a_rate_over_distance_without_live_time_is_no_count_and_says_so():
    log = NoticeLog()
    found = prepared(trace(X, np.full(X.size, 2.0), quantity="rate", axis="mm"), log, decay=NO_DECAY)
    assert found.poisson is None
    assert codes(log) == ["RATE_WITHOUT_LIVE_TIME"]


def test_points_counted_twice_as_long_weigh_the_same():
    live = np.where(X < 10, 1.0, 2.0)
    found = signal(X, 100.0 * live, live_time_s=live)
    assert np.ptp(found.y) < 1e-9
    assert found.poisson is not None
    assert found.poisson[0] == pytest.approx(2.0 * found.poisson[-1])


@pytest.mark.parametrize(("change", "code"), [(-3.0, "COUNTS_NEGATIVE"), (0.5, "COUNTS_NOT_WHOLE"), (0.0, None)])
def test_counts_that_cannot_be_raw_are_doubted(change, code):
    counts = np.full(X.size, 2.0)
    counts[7] += change
    log = NoticeLog()
    signal(X, counts, log=log)
    assert codes(log) == ([code] if code else [])
