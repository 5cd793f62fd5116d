"""Decay: worked examples, high precision, limits and round trips."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.decay import (
    activity_at,
    activity_u,
    average_count_rate_time_s,
    daughter_activity,
    daughter_maximum_time_s,
    decay_factor,
    elapsed_s,
    mean_over_frame,
    time_integrated,
)
from fusin.errors import InputError
from fusin.nuclides import nuclide

GA68_S = nuclide("Ga-68").half_life_s
GE68_S = nuclide("Ge-68").half_life_s
half_lives = st.floats(min_value=1.0, max_value=1e8)


class Berlin(tzinfo):
    """UTC+2 until 2024-10-27 01:00 UTC, then UTC+1; a whole zone database is not needed to test one night."""

    def utcoffset(self, when):
        early = when.replace(tzinfo=None, fold=0) < datetime(2024, 10, 27, 2) or (
            when.replace(tzinfo=None, fold=0) < datetime(2024, 10, 27, 3) and not when.fold
        )
        return timedelta(hours=2 if early else 1)

    def dst(self, when):
        return self.utcoffset(when) - timedelta(hours=1)

    def tzname(self, when):
        return "CEST" if self.dst(when) else "CET"


def exact_average_time(duration_s: float, half_life_s: float) -> float:
    """T_ave in 50-digit arithmetic, straight from its definition."""
    getcontext().prec = 50
    rate = Decimal(2).ln() / Decimal(half_life_s)
    x = rate * Decimal(duration_s)
    return float((x / (1 - (-x).exp())).ln() / rate)


def test_ga68_one_hour_after_injection_matches_the_hand_calculation():
    # 150 MBq * 2**(-60 / 67.71) = 81.16 MBq; half-life from ICRP Publication 107 (2008)
    assert 150.0 * decay_factor(3600.0, GA68_S) == pytest.approx(81.16, abs=0.005)


def test_fluorine_half_life_used_for_gallium_changes_suv_by_a_fifth():
    # imaging facts G14: F-18 half-life used for Ga-68 at 60 min gives -21 % in SUV
    ratio = decay_factor(3600.0, GA68_S) / decay_factor(3600.0, nuclide("F-18").half_life_s)
    assert ratio - 1.0 == pytest.approx(-0.21, abs=0.005)


def test_zoned_times_count_the_hour_that_daylight_saving_gives_back():
    zone = Berlin()
    before, after = datetime(2024, 10, 27, 1, 30, tzinfo=zone), datetime(2024, 10, 27, 3, 30, tzinfo=zone)
    # Python subtracts wall clocks when both share one zone object: 2 h although 3 h passed.
    assert (after - before) == timedelta(hours=2)
    assert elapsed_s(before, after) == 3 * 3600.0


def test_activity_at_agrees_across_zones_and_midnight():
    injected = datetime(2024, 3, 1, 23, 40, tzinfo=timezone(timedelta(hours=1)))
    scanned = datetime(2024, 3, 1, 23, 40, tzinfo=UTC)
    assert activity_at(150.0, injected, scanned, half_life_s=GA68_S) == pytest.approx(81.16, abs=0.005)
    naive = activity_at(150.0, datetime(2024, 3, 1, 23, 40), datetime(2024, 3, 2, 0, 40), half_life_s=GA68_S)
    assert naive == pytest.approx(81.16, abs=0.005)


def test_naive_and_zoned_times_do_not_mix():
    with pytest.raises(InputError, match="time zone"):
        elapsed_s(datetime(2024, 3, 1), datetime(2024, 3, 1, tzinfo=UTC))


@settings(deadline=None, max_examples=50)
@given(activity=st.floats(1e-3, 1e6), days=st.floats(-3, 3), half_life=st.floats(3600, 1e8))
def test_decaying_forth_and_back_returns_the_activity(activity, days, half_life):
    start = datetime(2024, 5, 5, 12, 0)
    end = start + timedelta(days=days)
    there = activity_at(activity, start, end, half_life_s=half_life)
    assert activity_at(there, end, start, half_life_s=half_life) == pytest.approx(activity, rel=1e-12)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_half_life_is_refused(bad):
    with pytest.raises(InputError, match="half_life_s"):
        decay_factor(1.0, bad)


def test_floats_stay_floats_and_arrays_keep_their_shape():
    times = np.linspace(0.0, 7200.0, 6).reshape(2, 3)
    for function in (decay_factor, mean_over_frame, average_count_rate_time_s):
        assert isinstance(function(60.0, GA68_S), float)
        result = function(times, GA68_S)
        assert result.shape == (2, 3)
        assert result[1, 2] == function(7200.0, GA68_S)


@pytest.mark.parametrize("duration_s", [1e-9, 1e-3, 1.0, 60.0, 180.0, 1460.0, 1470.0, 3600.0, 4e4, 1e6])
@pytest.mark.parametrize("half_life_s", [GA68_S, 122.24, GE68_S])
def test_average_count_rate_time_is_exact_to_machine_precision(duration_s, half_life_s):
    # Reference: the definition evaluated with 50 decimal digits. 1460 and 1470 s lie on both sides of the switch.
    got = average_count_rate_time_s(duration_s, half_life_s)
    assert got == pytest.approx(exact_average_time(duration_s, half_life_s), rel=4e-15)


@pytest.mark.parametrize(("frame_min", "shift_percent"), [(2.0, 1.0), (5.0, 2.6)])
def test_leaving_out_the_average_time_errs_by_the_published_amount(frame_min, shift_percent):
    # imaging facts G7 (IBSI-SUV DRO 3_4_x): T_ave omitted in 2 to 5 min frames errs by 1.0 to 2.6 % for Ga-68
    t_ave = average_count_rate_time_s(frame_min * 60.0, GA68_S)
    assert 100.0 * (1.0 / decay_factor(t_ave, GA68_S) - 1.0) == pytest.approx(shift_percent, abs=0.05)


@settings(deadline=None, max_examples=60)
@given(duration=st.floats(0.0, 1e6), half_life=half_lives)
def test_activity_at_the_average_time_is_the_mean_over_the_frame(duration, half_life):
    t_ave = average_count_rate_time_s(duration, half_life)
    assert decay_factor(t_ave, half_life) == pytest.approx(mean_over_frame(duration, half_life), rel=1e-12)
    assert 0.0 <= t_ave <= duration / 2.0


def test_frame_of_no_length_has_the_starting_activity():
    assert mean_over_frame(0.0, GA68_S) == 1.0
    assert average_count_rate_time_s(0.0, GA68_S) == 0.0
    with pytest.raises(InputError, match="duration_s"):
        mean_over_frame(-1.0, GA68_S)


def test_generator_ingrowth_matches_the_worked_table():
    # radiopharmacy facts 6: fraction of the initial 68Ge activity after h hours, from zero
    table = {0.5: 0.26442, 1: 0.45891, 2: 0.70716, 3: 0.84143, 4: 0.91403, 6: 0.97444, 8: 0.99197}
    hours = np.array(list(table), dtype=float)
    grown = daughter_activity(1.0, hours * 3600, parent_half_life_s=GE68_S, daughter_half_life_s=GA68_S)
    assert grown == pytest.approx(np.array(list(table.values())), abs=5e-6)


def test_generator_ingrowth_matches_radioactivedecay():
    # 4 h ingrowth of 1850 MBq 68Ge = 1690.956 MBq, computed with radioactivedecay (radiopharmacy facts 6)
    grown = daughter_activity(1850.0, 4 * 3600.0, parent_half_life_s=GE68_S, daughter_half_life_s=GA68_S)
    assert grown == pytest.approx(1690.956, abs=5e-4)


def test_generator_case_a_elutions_match_the_worked_numbers():
    # radiopharmacy facts 6, case A: 1850 MBq, equilibrium, 70 % eluted at 0, 180 and 360 min
    rates = {"parent_half_life_s": GE68_S, "daughter_half_life_s": GA68_S}
    on_column = 1850.0 * GE68_S / (GE68_S - GA68_S)
    eluted, parent = [], 1850.0
    for _ in range(3):
        eluted.append(0.7 * on_column)
        on_column = daughter_activity(parent, 180 * 60.0, daughter_start=0.3 * on_column, **rates)
        parent *= decay_factor(180 * 60.0, GE68_S)
    assert eluted == pytest.approx([1295.2, 1151.2, 1144.0], abs=0.05)


def test_gallium_on_a_fresh_generator_peaks_at_14_hours():
    # radiopharmacy facts 6: maximum at 14.10 h
    peak = daughter_maximum_time_s(parent_half_life_s=GE68_S, daughter_half_life_s=GA68_S)
    assert peak / 3600 == pytest.approx(14.10, abs=0.005)


def test_equal_half_lives_have_the_textbook_limit():
    # A2 = lambda t exp(-lambda t) A1(0), greatest at t = 1/lambda
    half_life, t = 3600.0, 5000.0
    rate = math.log(2) / half_life
    got = daughter_activity(1.0, t, parent_half_life_s=half_life, daughter_half_life_s=half_life)
    assert got == pytest.approx(rate * t * math.exp(-rate * t), rel=1e-14)
    near = daughter_activity(1.0, t, parent_half_life_s=half_life, daughter_half_life_s=half_life * (1 + 1e-12))
    assert near == pytest.approx(got, rel=1e-11)
    peak = daughter_maximum_time_s(parent_half_life_s=half_life, daughter_half_life_s=half_life)
    assert peak == pytest.approx(1 / rate, rel=1e-14)


@settings(deadline=None, max_examples=60)
@given(parent=half_lives, daughter=half_lives, t=st.floats(0.0, 1e7), branch=st.floats(0.0, 1.0))
def test_atoms_of_parent_and_daughter_are_conserved(parent, daughter, t, branch):
    """What left the parent is in the daughter or has decayed there; the daughter's decays are the time integral."""
    grown = daughter_activity(1.0, t, parent_half_life_s=parent, daughter_half_life_s=daughter, branch=branch)
    born = branch * time_integrated(1.0, t, parent)
    assert -1e-12 <= grown * daughter / math.log(2) <= born * (1 + 1e-9) + 1e-300


@settings(deadline=None, max_examples=40)
@given(daughter=st.floats(10.0, 1e6), t=st.floats(1.0, 1e6), step=st.floats(1.0, 1e6))
def test_ingrowth_in_two_steps_equals_one_step(daughter, t, step):
    rates = {"parent_half_life_s": 5e5, "daughter_half_life_s": daughter}
    middle = daughter_activity(1.0, t, **rates)
    two = daughter_activity(decay_factor(t, 5e5), step, daughter_start=middle, **rates)
    assert two == pytest.approx(daughter_activity(1.0, t + step, **rates), rel=1e-9)


@pytest.mark.parametrize("wrong", [{"branch": 1.5}, {"elapsed_s": -1.0}])
def test_impossible_ingrowth_is_refused(wrong):
    with pytest.raises(InputError):
        daughter_activity(1.0, **{"elapsed_s": 1.0, "parent_half_life_s": 2.0, "daughter_half_life_s": 1.0, **wrong})


def test_all_decays_of_lutetium_follow_from_its_half_life():
    # N = A * T / ln 2: 1 GBq of 177Lu (6.647 d) makes 8.2854e14 decays; x 147.923 keV = 19.636 Gy kg/GBq
    # (dosimetry facts 2.1, full decay of 1 GBq)
    decays = time_integrated(1e9, math.inf, nuclide("Lu-177").half_life_s)
    assert decays * 147.923e3 * 1.602176634e-19 == pytest.approx(19.636, abs=0.0005)


@settings(deadline=None, max_examples=40)
@given(duration=st.floats(0.0, 1e7), half_life=half_lives)
def test_time_integral_is_the_frame_mean_times_the_duration(duration, half_life):
    assert time_integrated(2.0, duration, half_life) == pytest.approx(
        2.0 * duration * mean_over_frame(duration, half_life), rel=1e-12
    )


def test_uncertainty_follows_a_finite_difference_of_the_half_life():
    ga = nuclide("Ga-68")
    u = activity_u(150.0, 7200.0, half_life_s=GA68_S, half_life_u_s=ga.half_life_u_s)
    up, down = (150.0 * decay_factor(7200.0, GA68_S + sign * ga.half_life_u_s) for sign in (1, -1))
    assert u == pytest.approx((up - down) / 2, rel=1e-6)


def test_uncertainty_agrees_with_a_monte_carlo_propagation():
    # JCGM 101:2008: the spread of 200 000 draws; its own standard error is 0.16 %
    rng = np.random.default_rng(20240501)
    draws = 200_000
    half_life = rng.normal(GA68_S, 8.0, draws)
    activity = rng.normal(150.0, 1.5, draws)
    time = rng.normal(3600.0, 20.0, draws)
    spread = np.std(activity * np.exp2(-time / half_life))
    u = activity_u(150.0, 3600.0, half_life_s=GA68_S, half_life_u_s=8.0, activity_u_relative=0.01, elapsed_u_s=20.0)
    assert u == pytest.approx(spread, rel=0.01)


def test_uncertainty_vanishes_without_time_and_grows_with_it():
    u = [
        activity_u(1.0, t, half_life_s=GA68_S, half_life_u_s=1.0) / decay_factor(t, GA68_S) for t in (0.0, 60.0, 600.0)
    ]
    assert u[0] == 0.0
    assert u[2] == pytest.approx(10 * u[1], rel=1e-12)
    assert activity_u(np.array([1.0, 2.0]), -60.0, half_life_s=GA68_S, half_life_u_s=1.0).shape == (2,)
    with pytest.raises(InputError, match="half_life_u_s"):
        activity_u(1.0, 1.0, half_life_s=GA68_S, half_life_u_s=-1.0)
