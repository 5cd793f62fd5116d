"""Expected errors of scan schedules: limits that are known without a simulation."""

from __future__ import annotations

import math

import pytest

from fusin.dosimetry.schedules import parse_schedule, schedule_errors
from fusin.errors import InputError


def errors(*schedules, sigma=0.24, u=0.05, median=40.0, draws=4000):
    found = schedule_errors(schedules, median_h=median, sigma=sigma, nuclide="Lu-177", scan_u=u, draws=draws)
    return {(f.times_h, f.method): f for f in found}


def test_a_curve_through_scans_without_error_has_no_error():
    assert errors((24.0, 96.0), u=0.0)[(24.0, 96.0), "mono"].rms < 1e-9


def test_a_known_half_life_leaves_the_error_of_the_scan_to_madsen():
    found = errors((72.0,), sigma=1e-6, u=0.05)[(72.0,), "madsen"]
    assert found.rms == pytest.approx(0.05, abs=4 * found.rms_u)


def test_one_scan_with_a_prior_is_madsen():
    """With one scan the likelihood says nothing about the half-life, so that the mode is the prior's."""
    found = errors((96.0,))
    assert found[(96.0,), "map"].rms == pytest.approx(found[(96.0,), "madsen"].rms, rel=1e-3)


def test_a_prior_helps_where_scans_are_few_and_close():
    found = errors((48.0, 60.0), u=0.1)
    assert found[(48.0, 60.0), "map"].rms < 0.5 * found[(48.0, 60.0), "mono"].rms


def test_more_scans_are_never_much_worse():
    found = errors((48.0, 120.0), (24.0, 48.0, 72.0, 120.0, 168.0))
    assert found[(24.0, 48.0, 72.0, 120.0, 168.0), "map"].rms < found[(48.0, 120.0), "map"].rms


def test_two_scans_have_the_error_of_first_order():
    """ln TIA = ln A - ln rate: its variance from two logarithms with standard deviation u, T known to 1e-6."""
    u, t1, t2, median = 0.01, 30.0, 90.0, 40.0
    rate = math.log(2) / median
    by_first = 1 + t1 / (t2 - t1) - 1 / (rate * (t2 - t1))
    by_second = 1 - by_first
    found = errors((t1, t2), sigma=1e-6, u=u, median=median, draws=20_000)[(t1, t2), "mono"]
    assert found.rms == pytest.approx(u * math.hypot(by_first, by_second), rel=0.03)


@pytest.mark.parametrize("text", ["", "a", "48,,96", "-3", "0", "48,48", "nan", "1,2,3,4,5,6,7,8,9,10,11,12,13"])
def test_times_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="hours"):
        parse_schedule(text)


@pytest.mark.parametrize("numbers", [{"median": 200.0}, {"median": -1.0}, {"sigma": 0.0}, {"u": 1.5}, {"draws": 3}])
def test_numbers_that_cannot_be_are_refused(numbers):
    with pytest.raises(InputError, match="schedule"):
        errors((48.0,), **numbers)


def test_times_are_sorted():
    assert parse_schedule("96, 48") == (48.0, 96.0)
