"""Trapezoids with a tail against hand calculation and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.time_activity import time_activity
from fusin.dosimetry.time_activity_trapezoid import trapezoid
from fusin.errors import InputError, NotComputable

LU = 159.528


def test_the_integral_is_that_of_a_hand_calculation():
    """0-4 h: 0.5 x 4 x 50; 4-24: 20 x 45; 24-72: 48 x 30; tail 20 x 159.528 / ln 2."""
    points = time_activity("r", [4, 24, 72], [50.0, 40.0, 20.0])
    body = 100.0 + 900.0 + 1440.0
    tail = 20.0 * LU / math.log(2.0)
    found = trapezoid(points, half_life_h=LU)
    assert found.value_mbq_h == pytest.approx(body + tail)
    assert found.tail_fraction == pytest.approx(tail / (body + tail))
    assert found.head_fraction == pytest.approx(100.0 / (body + tail))
    assert trapezoid(points, half_life_h=LU, start="flat").value_mbq_h == pytest.approx(body + 100.0 + tail)


def test_a_fitted_tail_of_an_exponential_is_exact():
    t = np.array([0.0, 24.0, 48.0, 96.0])
    found = trapezoid(time_activity("r", t, 80.0 * np.exp(-0.02 * t)), half_life_h=LU, tail="fitted")
    assert found.tail_rate_per_h == pytest.approx(0.02)
    assert not found.at_physical_decay


def test_a_fitted_tail_is_never_slower_than_the_nuclide():
    found = trapezoid(time_activity("r", [4, 24, 72], [50.0, 49.0, 48.9]), half_life_h=LU, tail="fitted")
    assert found.at_physical_decay
    assert found.tail_rate_per_h == pytest.approx(math.log(2.0) / LU)


def test_fine_trapezoids_approach_the_integral_of_the_curve():
    t = np.linspace(0.0, 400.0, 4001)
    found = trapezoid(time_activity("r", t, 80.0 * np.exp(-0.02 * t)), half_life_h=LU, tail="fitted")
    assert found.value_mbq_h == pytest.approx(80.0 / 0.02, rel=1e-4)


@pytest.mark.parametrize("tail", ["physical", "fitted"])
def test_the_uncertainty_is_that_of_a_simulation(tail):
    t, y = np.array([4.0, 24.0, 72.0, 144.0]), np.array([90.0, 75.0, 36.0, 13.0])
    u = 0.03 * y
    rng = np.random.default_rng(2)
    drawn = [
        trapezoid(time_activity("r", t, y + u * rng.standard_normal(4)), half_life_h=LU, tail=tail).value_mbq_h
        for _ in range(3000)
    ]
    found = trapezoid(time_activity("r", t, y, u), half_life_h=LU, tail=tail)
    assert found.tia_u_mbq_h == pytest.approx(float(np.std(drawn)), rel=0.06)
    assert found.tia_mbq_h().low < found.value_mbq_h < found.tia_mbq_h().high


def test_without_uncertainties_there_is_no_interval_and_a_reason():
    tia = trapezoid(time_activity("r", [4, 24], [50.0, 40.0]), half_life_h=LU).tia_mbq_h()
    assert (tia.low, tia.high) == (None, None)
    assert "not stated" in tia.note


def test_the_line_is_drawn_as_it_was_integrated():
    found = trapezoid(time_activity("r", [4, 24], [50.0, 40.0]), half_life_h=LU)
    assert found.band([0.0, 2.0, 4.0, 14.0, 24.0])[0] == pytest.approx([0, 25, 50, 45, 40])
    assert found.band([24.0 + LU])[0] == pytest.approx([20.0])


def test_what_is_no_choice_is_refused():
    points = time_activity("r", [4, 24], [50.0, 40.0])
    with pytest.raises(InputError, match="physical or fitted"):
        trapezoid(points, half_life_h=LU, tail="linear")
    with pytest.raises(InputError, match="zero or flat"):
        trapezoid(points, half_life_h=LU, start="one")
    with pytest.raises(NotComputable, match="at least 2 times"):
        trapezoid(time_activity("r", [4], [50.0]), half_life_h=LU)
