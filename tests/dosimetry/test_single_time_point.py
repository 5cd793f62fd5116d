"""One scan or few with prior knowledge: limits, agreement with closed forms, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.priors import Prior, lognormal_prior
from fusin.dosimetry.single_time_point import haenscheid_mbq_h, madsen_mbq_h, posterior, single_time_estimate
from fusin.dosimetry.time_activity import fit_curve, time_activity
from fusin.errors import InputError, NotComputable

LU = 159.528
PRIOR = lognormal_prior(mean_h=41.0, sd_h=10.0)


def test_a_vague_prior_leaves_the_fit_as_it_was():
    t = np.array([4.0, 24.0, 72.0, 144.0])
    y = 90.0 * np.exp2(-t / 45.0) * np.array([1.02, 0.99, 1.01, 0.98])
    points = time_activity("r", t, y, 0.03 * y)
    vague = Prior(id="vague", regions=(), nuclide="", median_h=60.0, gsd=8.0, source="test", tag="O")
    found, fit = posterior(points, vague, half_life_h=LU), fit_curve(points, "mono", half_life_h=LU, weights="given")
    assert found.tia_mbq_h().value == pytest.approx(fit.integral_mbq_h(), rel=2e-3)
    assert found.tia_u_mbq_h == pytest.approx(fit.tia_u_mbq_h, rel=0.03)
    assert found.tia_mbq_h().low == pytest.approx(fit.tia_mbq_h().low, rel=0.01)


def test_a_sharp_prior_fixes_the_half_life():
    sharp = Prior(id="sharp", regions=(), nuclide="", median_h=41.0, gsd=1.0005, source="test", tag="O")
    found = posterior(time_activity("r", [24, 96], [60.0, 20.0], [3.0, 1.0]), sharp, half_life_h=LU)
    assert found.mode_t_eff_h == pytest.approx(41.0, rel=1e-3)


def test_one_scan_at_the_mode_is_madsen_with_the_median():
    found = posterior(time_activity("k", [72.0], [30.0], [1.0]), PRIOR, half_life_h=LU)
    assert found.tia_mbq_h().value == pytest.approx(madsen_mbq_h(30.0, time_h=72.0, t_eff_h=PRIOR.median_h), rel=1e-3)


def test_nothing_decays_slower_than_the_nuclide_in_the_posterior():
    wide = Prior(id="wide", regions=(), nuclide="", median_h=120.0, gsd=2.0, source="test", tag="O")
    found = posterior(time_activity("k", [72.0], [30.0], [1.0]), wide, half_life_h=LU)
    assert found.t_eff_h.max() <= LU * (1 + 1e-12)
    assert found.half_life_effective_h().high < LU


def test_two_scans_say_more_than_one():
    one = posterior(time_activity("k", [72.0], [30.0], [1.0]), PRIOR, half_life_h=LU)
    two = posterior(time_activity("k", [24.0, 72.0], [67.0, 30.0], [2.0, 1.0]), PRIOR, half_life_h=LU)
    assert two.tia_u_mbq_h < 0.7 * one.tia_u_mbq_h
    assert two.tail_fraction < one.tail_fraction == 1.0


def test_the_band_meets_a_precise_point():
    found = posterior(time_activity("k", [72.0], [30.0], [0.01]), PRIOR, half_life_h=LU)
    mid, low, high = found.band([72.0, 200.0])
    assert (low[0], mid[0], high[0]) == pytest.approx((30.0, 30.0, 30.0), rel=2e-3)
    assert high[1] > 2 * low[1]


def test_without_a_prior_haenscheid_has_no_interval_and_says_why():
    tia, u = single_time_estimate(time_activity("k", [72.0], [30.0]), "haenscheid", half_life_h=LU, prior=None)
    assert tia.value == pytest.approx(haenscheid_mbq_h(30.0, time_h=72.0)) == pytest.approx(30 * 144 / math.log(2))
    assert (tia.low, tia.high, u) == (None, None, None)
    assert "half-life" in tia.note


def test_refusals_name_what_is_missing():
    point = time_activity("liver", [72.0], [30.0])
    bare = Prior(id="median only", regions=(), nuclide="", median_h=109.0, gsd=None, source="test", tag="A")
    with pytest.raises(NotComputable) as caught:
        posterior(point, PRIOR, half_life_h=LU)
    assert caught.value.code == "UNCERTAINTY_MISSING"
    with pytest.raises(NotComputable) as caught:
        posterior(time_activity("liver", [72.0], [30.0], [1.0]), bare, half_life_h=LU)
    assert caught.value.code == "PRIOR_WITHOUT_SPREAD"
    with pytest.raises(NotComputable) as caught:
        single_time_estimate(time_activity("liver", [24, 72], [30, 20]), "madsen", half_life_h=LU, prior=PRIOR)
    assert caught.value.code == "SINGLE_POINT_ONLY"
    with pytest.raises(InputError, match=r"physical half-life, 64\.1 h"):
        single_time_estimate(point, "madsen", half_life_h=64.1, prior=bare)
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError):
            haenscheid_mbq_h(bad, time_h=72.0)
