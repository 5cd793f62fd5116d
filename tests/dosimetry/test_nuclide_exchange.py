"""Physical decay exchanged: half-lives, rates, dose ratios, what is left after some days."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.nuclide_exchange import (
    biological_half_life_h,
    exchange_dose_ratio,
    exchange_half_life_h,
    exchange_rates_per_h,
    physical_half_life_h,
    residual_fraction,
)
from fusin.errors import InputError, InvalidValue


@given(t_eff=st.floats(0.5, 159.0))
def test_there_and_back_is_where_one_came_from(t_eff):
    there = exchange_half_life_h(t_eff, "Lu-177", "Y-90")
    assert there < min(t_eff, physical_half_life_h("Y-90"))
    assert exchange_half_life_h(there, "Y-90", "Lu-177") == pytest.approx(t_eff, rel=1e-9)


@given(t_eff=st.floats(0.5, 159.0))
def test_a_rate_and_its_half_life_are_exchanged_alike(t_eff):
    rate = exchange_rates_per_h([math.log(2) / t_eff], "Lu-177", "Y-90")[0]
    assert math.log(2) / rate == pytest.approx(exchange_half_life_h(t_eff, "Lu-177", "Y-90"), rel=1e-9)


def test_activity_that_only_decays_has_no_biological_half_life_and_gets_the_other_physical_one():
    physical = physical_half_life_h("Lu-177")
    assert biological_half_life_h(physical, "Lu-177") == math.inf
    assert exchange_half_life_h(physical, "Lu-177", "Y-90") == pytest.approx(64.1, rel=1e-9)


@pytest.mark.parametrize(
    "call", [biological_half_life_h, lambda t, n: exchange_rates_per_h([math.log(2) / t], n, "Y-90")]
)
def test_an_effective_half_life_beyond_the_physical_one_is_refused(call):
    with pytest.raises(InvalidValue) as caught:
        call(200.0, "Lu-177")
    assert caught.value.code == "EFFECTIVE_EXCEEDS_PHYSICAL"


@pytest.mark.parametrize(
    "call",
    [
        lambda: biological_half_life_h(0.0, "Lu-177"),
        lambda: exchange_half_life_h(10.0, "Lu-177", "Lu-999"),
        lambda: exchange_dose_ratio(41.0, "Lu-177", "Y-90", from_kev=0.0, to_kev=872.0),
        lambda: residual_fraction(-1, 92.0),
        lambda: residual_fraction(14, 0.0),
    ],
)
def test_a_value_that_cannot_be_is_refused(call):
    with pytest.raises(InputError):
        call()
