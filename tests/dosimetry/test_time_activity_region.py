"""One region by every method, and the doubts that go with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.priors import lognormal_prior
from fusin.dosimetry.time_activity import time_activity
from fusin.dosimetry.time_activity_region import IntegrationOptions, integrate_region
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog

LU = 159.528
T4 = [4, 24, 72, 144]
FALL = [98.0, 75.0, 37.0, 12.0]


def codes(log):
    return {n.code for n in log}


def integrate(times, values, u=None, *, prior=None, spect=None, **options):
    log = NoticeLog()
    found = integrate_region(time_activity("kidney", times, values, u), log, half_life_h=LU,
                             options=IntegrationOptions(**options), prior=prior, spect=spect)  # fmt: skip
    return found, log


def test_an_activity_that_rises_to_the_last_time_is_refused():
    for values in ([10, 20, 40, 80], [100, 60, 30, 35], [10, 20, 40, 40.5]):
        with pytest.raises(NotComputable, match="clearance was not seen") as caught:
            integrate(T4, values)
        assert caught.value.code == "ACTIVITY_RISES_AT_END"


def test_a_last_activity_that_is_higher_within_noise_is_pointed_out():
    _, log = integrate([4, 24, 72, 120, 144], [100, 60, 30, 20, 21])
    assert "LAST_ACTIVITY_HIGHER" in codes(log)
    _, log = integrate([4, 24, 72, 120, 144], [100, 60, 30, 20, 24], [5, 3, 2, 2, 2])
    assert "LAST_ACTIVITY_HIGHER" in codes(log)


def test_a_large_share_beyond_the_last_time_is_warned_of_and_the_limit_is_the_users():
    found, log = integrate([4, 10, 24, 48], [90, 86, 77, 62], model="mono")
    assert found.extrapolated_fraction > 0.5
    assert "TAIL_EXTRAPOLATED" in codes(log)
    _, log = integrate([4, 10, 24, 48], [90, 86, 77, 62], model="mono", tail_limit=0.9)
    assert "TAIL_EXTRAPOLATED" not in codes(log)


def test_decay_corrected_looking_data_are_pointed_out():
    _, log = integrate(T4, [90.0, 89.0, 90.0, 88.0], model="mono")
    assert "RATE_AT_PHYSICAL_DECAY" in codes(log)


def test_uptake_that_a_mono_exponential_cannot_have_is_pointed_out():
    _, log = integrate(T4, [50.0, 90.0, 60.0, 30.0])
    assert "UPTAKE_NOT_IN_MODEL" in codes(log)
    assert "MODELS_NOT_COMPARED" in codes(log)


def test_points_far_from_the_curve_are_pointed_out_where_uncertainties_are_stated():
    _, log = integrate([4, 24, 48, 72, 144], [98, 50, 60, 30, 12], [1, 1, 1, 1, 1], model="mono")
    assert "FIT_WORSE_THAN_UNCERTAINTIES" in codes(log)


def test_a_curve_through_all_points_says_that_its_interval_means_nothing():
    _, log = integrate([4, 24, 72, 144], 80 * np.exp(-0.01 * np.array(T4)), model="mono")
    assert "CURVE_THROUGH_ALL_POINTS" in codes(log)


def test_a_parameter_larger_in_doubt_than_in_value_is_named():
    _, log = integrate([1, 4, 24, 72, 144], [70, 98, 75, 42, 12], model="uptake-bi", weights="none")
    assert "FEW_POINTS_FOR_MODEL" not in codes(log)
    _, log = integrate([4, 24, 48, 100], [50, 60, 90, 40], model="uptake-bi")
    assert codes(log) >= {"PARAMETER_POORLY_DETERMINED", "FEW_POINTS_FOR_MODEL"}


def test_weights_follow_the_table_unless_they_are_named():
    assert integrate(T4, FALL, model="mono")[0].weights == "none"
    assert integrate(T4, FALL, [5, 4, 2, 1], model="mono")[0].weights == "given"
    assert integrate(T4, FALL, [5, 4, 2, 1], model="mono", weights="relative")[0].weights == "relative"


def test_an_uncertainty_shared_by_all_points_widens_the_interval_alone():
    plain, _ = integrate(T4, FALL, [5, 4, 2, 1], model="mono")
    shared, _ = integrate(T4, FALL, [5, 4, 2, 1], model="mono", common_u=0.1)
    assert shared.tia_mbq_h.value == plain.tia_mbq_h.value
    assert shared.tia_u_mbq_h == pytest.approx(math.hypot(plain.tia_u_mbq_h, 0.1 * plain.tia_mbq_h.value))
    assert shared.tia_mbq_h.low < plain.tia_mbq_h.low < plain.tia_mbq_h.high < shared.tia_mbq_h.high
    with pytest.raises(InputError, match=r"0\.05 for 5 %"):
        integrate(T4, FALL, common_u=5)


def test_one_scan_is_told_to_rest_on_its_half_life():
    prior = lognormal_prior(mean_h=41.0, sd_h=10.0)
    for model in ("haenscheid", "madsen", "map"):
        found, log = integrate([72], [30.0], [1.5], model=model, prior=prior)
        assert found.extrapolated_fraction == 1.0
        assert codes(log) == {"SINGLE_TIME_POINT", "PRIOR_USED"}
        assert found.tia_mbq_h.low < found.tia_mbq_h.value < found.tia_mbq_h.high


@pytest.mark.parametrize("model", ["madsen", "map"])
def test_a_method_without_its_prior_says_how_to_give_one(model):
    with pytest.raises(NotComputable, match="--t-eff-h") as caught:
        integrate([72], [30.0], [1.5], model=model)
    assert caught.value.code == "PRIOR_MISSING"


def test_a_hybrid_needs_one_curve_and_one_spect():
    spect = time_activity("kidney", [72.0], [50.0], [2.0])
    found, _ = integrate(T4, FALL, model="mono", spect=spect)
    assert found.model == "hybrid mono"
    assert found.drawn.band([72.0])[0][0] == pytest.approx(50.0)
    for options, two in (({"model": "trapezoid"}, spect), ({"model": "mono"}, time_activity("k", [24, 72], [5, 4]))):
        with pytest.raises(NotComputable) as caught:
            integrate(T4, FALL, spect=two, **options)
        assert caught.value.code == "HYBRID_NOT_POSSIBLE"


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="trapezoid"):
        integrate(T4, FALL, model="spline")
