"""Sums of exponentials: recovered exactly, found wherever they lie, and never slower than physical decay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from fusin.dosimetry.curve_models import MODELS, curve_model, minimise
from fusin.errors import InputError

LAMBDA = math.log(2.0) / 159.528
TIMES = np.array([0.5, 2.0, 5.0, 12.0, 24.0, 48.0, 80.0, 120.0, 170.0])
RATES = {"mono": [0.02], "uptake-bi": [0.012, 0.4], "bi": [0.006, 0.08], "tri": [0.007, 0.05, 0.9]}
FREE = {"mono": [40.0], "uptake-bi": [90.0], "bi": [25.0, 60.0], "tri": [30.0, 55.0, 3.0]}


def curve(model, time, rates, free):
    return model.exponentials(time, np.array(rates)) @ (model.mixing @ np.array(free))


@pytest.mark.parametrize("name", MODELS)
def test_a_curve_without_noise_is_found_again(name):
    model = curve_model(name)
    y = curve(model, TIMES, RATES[name], FREE[name])
    found = minimise(model, TIMES, y, np.ones(TIMES.size), slowest_per_h=LAMBDA)
    assert np.sort(found.rates_per_h[0]) == pytest.approx(RATES[name], rel=1e-6)
    assert found.rss[0] <= 1e-16 * np.sum(y**2)


@settings(max_examples=30, deadline=None)
@given(half_life=st.floats(8.0, 150.0), rise=st.floats(0.3, 4.0), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_the_minimum_is_no_higher_than_that_of_another_program(half_life, rise, scale, seed):
    """Trust region reflective of scipy, started at the truth and elsewhere."""
    rng = np.random.default_rng(seed)
    y = scale * (np.exp2(-TIMES / half_life) - np.exp2(-TIMES / rise)) * (1 + 0.05 * rng.standard_normal(TIMES.size))
    own = minimise(curve_model("uptake-bi"), TIMES, y, np.ones(TIMES.size), slowest_per_h=LAMBDA)

    def residual(p):
        return p[0] * (np.exp(-p[1] * TIMES) - np.exp(-p[2] * TIMES)) - y / scale

    limits = ([0.0, LAMBDA, LAMBDA], [np.inf, own.fastest_per_h, own.fastest_per_h])
    starts = ([1.0, math.log(2) / half_life, math.log(2) / rise], [2.0, 0.02, 0.5])
    other = min(
        2.0 * least_squares(residual, np.maximum(s, limits[0]), bounds=limits, xtol=1e-12, ftol=1e-12).cost
        for s in starts
    )
    assert own.rss[0] / scale**2 <= other * (1 + 1e-6) + 1e-20


@given(st.lists(st.floats(0.1, 100.0), min_size=5, max_size=9))
@settings(max_examples=40, deadline=None)
def test_no_component_decays_slower_than_the_nuclide_whatever_the_data(values):
    y = np.array(values)
    for name in ("mono", "uptake-bi", "bi"):
        found = minimise(curve_model(name), TIMES[: y.size], y, np.ones(y.size), slowest_per_h=LAMBDA)
        assert (found.rates_per_h >= LAMBDA * (1 - 1e-12)).all()
        assert np.isfinite(found.rss).all()
        assert (found.free[:, list(curve_model(name).positive)] >= 0).all()


def test_many_data_sets_at_once_are_the_same_as_one_by_one():
    rng = np.random.default_rng(3)
    model = curve_model("uptake-bi")
    y = curve(model, TIMES, RATES["uptake-bi"], FREE["uptake-bi"]) * (1 + 0.05 * rng.standard_normal((6, TIMES.size)))
    root = 1.0 / y[0]
    together = minimise(model, TIMES, y, root, slowest_per_h=LAMBDA, start=np.array(RATES["uptake-bi"]))
    for i in range(len(y)):
        alone = minimise(model, TIMES, y[i], root, slowest_per_h=LAMBDA)
        assert together.rss[i] == pytest.approx(alone.rss[0], rel=1e-8)


def test_an_unknown_model_is_named():
    with pytest.raises(InputError, match="quad"):
        curve_model("quad")
