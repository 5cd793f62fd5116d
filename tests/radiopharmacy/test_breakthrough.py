"""Long-lived impurities: shares at other times, crossings, counts after decay."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.decay import daughter_activity
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.radiopharmacy.breakthrough import ge68_of_count, impurity_of, strontium

GERMANIUM = impurity_of("Ge-68", "Ga-68")


@given(percent=st.floats(1e-8, 1e-2), hours=st.floats(0, 12))
def test_the_share_goes_forth_and_back(percent, hours):
    later = GERMANIUM.percent_at(percent, 3600 * hours)
    assert GERMANIUM.percent_at(later, -3600 * hours) == pytest.approx(percent, rel=1e-9)


@given(percent=st.floats(1e-7, 9e-4))
def test_the_share_is_the_limit_when_it_crosses_it(percent):
    assert GERMANIUM.percent_at(percent, GERMANIUM.crossing_s(percent, 0.001)) == pytest.approx(0.001, rel=1e-9)


def test_the_share_is_that_of_the_two_member_chain():
    hours = 9.0
    germanium, gallium = nuclide("Ge-68").half_life_s, nuclide("Ga-68").half_life_s
    one = 2 ** (-hours * 3600 / germanium) * 1e-4
    two = daughter_activity(
        1e-4, hours * 3600, parent_half_life_s=germanium, daughter_half_life_s=gallium, daughter_start=1.0
    )
    assert GERMANIUM.percent_at(0.01, hours * 3600) == pytest.approx(100 * one / two, rel=1e-9)


def test_the_share_ends_at_equilibrium():
    # Activities in equilibrium: A(68Ga)/A(68Ge) = 1.00017357 (lambda2/(lambda2 - lambda1))
    assert GERMANIUM.percent_at(0.001, 30 * 86400) == pytest.approx(100 / 1.00017357, rel=1e-6)


def test_a_limit_that_is_never_reached_has_no_crossing():
    assert GERMANIUM.crossing_s(0.0, 0.001) is None
    assert GERMANIUM.crossing_s(0.001, 150.0) is None


def test_a_share_above_its_limit_crossed_it_before():
    assert GERMANIUM.crossing_s(0.002, 0.001) < 0


def test_strontium_doubles_with_the_half_life_of_yttrium():
    assert strontium().percent_at(1e-6, 64.10 * 3600) / 1e-6 == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("percent", [-1.0, math.nan, math.inf])
def test_impossible_shares_are_refused(percent):
    with pytest.raises(InputError):
        GERMANIUM.percent_at(percent, 0.0)


def count(**changes):
    given_ = {
        "live_time_s": 3600.0, "background_counts": 900, "background_live_time_s": 3600.0, "efficiency": 0.05,
        "efficiency_u": 0.001, "intensity": 1.7828, "elapsed_s": 50 * 3600.0, "ga68_mbq": 10.0,
    }  # fmt: skip
    return ge68_of_count(changes.pop("counts", 1500), **(given_ | changes))


def test_germanium_of_a_count_is_the_hand_calculation():
    # 600 net counts / (3600 s * 0.05 * 1.7828) = 1.8697 Bq 68Ge; 50 h earlier 1.8796 Bq; relative to 10 MBq 68Ga: 1.880e-5 %
    assert count().value == pytest.approx(1.880e-5, rel=1e-3)


def test_a_net_count_below_zero_stays_below_zero():
    found = count(counts=850)
    assert found.value < 0
    assert found.low < found.value < found.high


def test_a_count_before_48_hours_is_refused():
    with pytest.raises(InputError, match="48 h"):
        count(elapsed_s=24 * 3600.0)
