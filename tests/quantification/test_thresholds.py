"""Threshold rules against hand calculation, their limits, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hot_spheres import make_grid, make_reference, make_volume, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from fusin.errors import InvalidValue, MissingValue
from fusin.quantification.thresholds import (
    Threshold,
    threshold_a50p,
    threshold_background,
    threshold_fixed,
    threshold_iterative,
    threshold_jentzen,
    threshold_liver,
    threshold_nestle,
    threshold_otsu,
    threshold_percent_max,
    threshold_percist_blood,
    threshold_reference,
    threshold_reference_max,
    threshold_ridler,
    threshold_schaefer,
    threshold_van_dalen,
    van_dalen_level,
)

BLOOD = make_reference("blood_pool", mean=1.6, sd=0.2)
LIVER = make_reference("liver", mean=1.28, sd=0.15)


@pytest.mark.parametrize(
    ("threshold", "suv"),
    [
        (threshold_fixed(4.0), 4.0),
        (threshold_percent_max(10, 41), 4.1),
        (threshold_a50p(8.0), 4.0),
        (threshold_a50p(8.0, 1.0), 4.5),
        (threshold_reference(BLOOD), 3.6),
        (threshold_reference(BLOOD, factor=1.0, sd_factor=0.0), 1.6),
        (threshold_liver(LIVER), 2.22),
        (threshold_percist_blood(BLOOD), 3.6),
        (threshold_background(10, 2.0), 5.28),
        (threshold_nestle(8.0, 1.5), 2.7),
        (threshold_schaefer(8.0, 1.5, a=0.5, b=0.7), 5.05),
    ],
)
def test_rule_equals_the_hand_calculation(threshold, suv):
    assert threshold.suv == pytest.approx(suv)
    assert threshold.because
    assert threshold.citation
    assert set(threshold.to_json()) == {"rule", "suv", "because", "citation", "tag", "parameters"}


def test_liver_rule_of_percist_is_about_2_2_with_pentixafor_and_below_blood_based_one():
    # The facts: liver 1.28, SD 0.15 give "about 2.2", below the normal marrow, spleen and kidney range.
    assert threshold_liver(LIVER).suv == pytest.approx(2.2, abs=0.05)
    assert threshold_liver(LIVER).suv < threshold_reference(BLOOD).suv


def test_formulas_known_from_secondary_accounts_say_so():
    tags = {t.tag for t in (threshold_a50p(8, 1), threshold_background(9, 1), threshold_nestle(8, 1))}
    assert tags == {"U"}
    assert threshold_reference(BLOOD).tag == "S"
    assert threshold_reference(BLOOD, factor=1.2).tag == "P"


def test_liver_max_is_the_hottest_voxel_of_the_region():
    grid = make_grid()
    region = sphere_region(grid, (40, 40, 30), 15)
    values = np.ones(grid.shape)
    values[10, 10, 10] = 2.7
    liver = make_reference("liver", grid=grid, region=region)
    assert threshold_reference_max(liver, make_volume(values, grid)).suv == 2.7


@pytest.mark.parametrize(
    "call",
    [
        lambda: threshold_fixed(0.0),
        lambda: threshold_fixed(math.nan),
        lambda: threshold_percent_max(10, 140),
        lambda: threshold_percent_max(-1, 41),
        lambda: threshold_liver(BLOOD),
        lambda: threshold_percist_blood(LIVER),
        lambda: threshold_background(1.0, 2.0),
        lambda: threshold_background(2.0, 1.0, fraction=1.2),
        lambda: threshold_reference(make_reference(mean=-1.0, sd=0.1)),
        lambda: threshold_otsu([2.0, 2.0]),
        lambda: threshold_ridler([1.0]),
    ],
)
def test_impossible_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: threshold_schaefer(8, 1),
        lambda: threshold_schaefer(8, 1, a=0.5),
        lambda: threshold_jentzen(lambda _: 1.0, suv_max=9, background=1),
        lambda: threshold_jentzen(lambda _: 1.0, suv_max=9, background=1, a=0.4),
    ],
)
def test_rules_that_need_a_calibration_refuse_without(call):
    with pytest.raises(MissingValue) as caught:
        call()
    assert caught.value.code == "CALIBRATION_MISSING"


def profile(r: float, radius: float, sigma: float) -> float:
    """Homogeneous sphere seen with a Gaussian at distance r, by numerical convolution along the axis through the point.

    Each slab of the sphere is a disc around that axis; the transverse Gaussian over it is 1 - exp(-rim / 2 sigma^2).
    """

    def slab(t: float) -> float:
        rim = radius**2 - t**2
        return (1 - math.exp(-rim / (2 * sigma**2))) * math.exp(-((r - t) ** 2) / (2 * sigma**2))

    return quad(slab, -radius, radius)[0] / (sigma * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("volume_ml", [0.1, 0.5, 2.0, 20.0])
def test_van_dalen_level_equals_a_numerical_convolution(volume_ml):
    sigma, radius = 6 / 2.354820045, (volume_ml * 750 / math.pi) ** (1 / 3)
    expected = profile(radius, radius, sigma) / profile(0.0, radius, sigma)
    assert van_dalen_level(volume_ml, 6.0) == pytest.approx(expected, rel=1e-6)


def test_van_dalen_level_tends_to_one_half_for_large_and_one_for_point_like_spheres():
    assert van_dalen_level(1e9, 6.0) == pytest.approx(0.5, abs=1e-3)
    assert van_dalen_level(1e-6, 6.0) == pytest.approx(1.0, abs=1e-3)


def test_van_dalen_level_has_no_jump_where_the_series_takes_over():
    volumes = np.geomspace(1e-6, 1e-3, 400)
    levels = np.array([van_dalen_level(v, 6.0) for v in volumes])
    assert np.abs(np.diff(levels)).max() < 2e-3


def test_iterative_threshold_agrees_with_the_volume_it_encloses():
    # Gaussian hot spot: V(T) = 4/3 pi r^3 with r = s sqrt(2 ln(contrast / (T - B))).
    s, top, base = 12.0, 9.0, 1.0

    def volume_at(t):
        return 4 / 3 * math.pi * (s * math.sqrt(2 * math.log((top - base) / (t - base)))) ** 3 / 1000

    found = threshold_van_dalen(volume_at, suv_max=top, background=base, fwhm_mm=6.0)
    level = (found.suv - base) / (top - base)
    assert level == pytest.approx(van_dalen_level(volume_at(found.suv), 6.0), abs=1e-3)


def test_jentzen_curve_is_followed():
    found = threshold_jentzen(lambda _: 2.0, suv_max=9, background=1, a=0.3, b=0.2)
    assert found.suv == pytest.approx(1 + 0.4 * 8, rel=1e-3)


def test_iteration_that_leaves_the_range_is_refused():
    with pytest.raises(InvalidValue, match="level"):
        threshold_iterative(
            lambda _: 1.0, lambda _: 1.4, suv_max=9, background=1, rule="mine", citation="none", tag="P"
        )


@given(st.floats(-3, 3), st.floats(3.5, 12), st.integers(3, 60), st.integers(3, 60))
@settings(max_examples=30, deadline=None)
def test_histogram_rules_separate_two_clear_classes(low, high, n, m):
    values = np.r_[np.full(n, low + 4), np.full(m, high + 4)]
    for rule in (threshold_otsu, threshold_ridler):
        assert low + 4 < rule(values).suv < high + 4


def test_otsu_equals_exhaustive_search():
    values = np.random.default_rng(0).gamma(2.0, 1.0, 60)
    cuts = (np.sort(values)[1:] + np.sort(values)[:-1]) / 2

    def between(t):
        a, b = values[values < t], values[values >= t]
        return a.size * b.size * (a.mean() - b.mean()) ** 2

    assert threshold_otsu(values).suv == pytest.approx(max(cuts, key=between))


def test_ridler_is_the_midpoint_of_its_class_means():
    values = np.random.default_rng(1).gamma(2.0, 1.0, 200)
    t = threshold_ridler(values).suv
    assert t == pytest.approx(0.5 * (values[values < t].mean() + values[values >= t].mean()), rel=1e-8)


def test_threshold_at_or_below_zero_cannot_exist():
    with pytest.raises(InvalidValue) as caught:
        Threshold(rule="mine", suv=-0.1, because="made up", citation="none")
    assert caught.value.code == "THRESHOLD_NOT_POSITIVE"
