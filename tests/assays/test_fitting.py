"""Curve fitting: what must hold for any data, whatever the units, the order of the points and the start."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.assays.depletion import competition_depleted, saturation_depleted
from fusin.assays.fitting import Dataset, fit, fit_global
from fusin.assays.fitting_solver import Piece
from fusin.assays.homologous import homologous
from fusin.assays.models import (
    MODELS,
    Model,
    association,
    bi_exponential,
    hyperbola,
    line,
    mono_exponential,
    one_site,
    plateau_decay,
    tri_exponential,
    variable_slope,
)
from fusin.assays.saturation_models import total_binding, two_sites
from fusin.errors import InputError, NotComputable

X = np.repeat(np.linspace(-10.5, -5.5, 11), 2)
TIME = np.array([0.0, 2, 5, 10, 20, 40, 60, 90, 120, 180])


def competition(seed=0, log_ic50=-8.0, hill=1.3, scatter=30.0, x=X):
    rng = np.random.default_rng(seed)
    return variable_slope(x, start=1000.0, end=100.0, log_ic50=log_ic50, hill=hill) + scatter * rng.standard_normal(
        x.size
    )


CURVES = [
    (one_site, X, {"start": 5.0, "end": 1.0, "log_ic50": -8.2}),
    (variable_slope, X, {"start": 1.0, "end": 5.0, "log_ic50": -7.7, "hill": 0.8}),
    (hyperbola, TIME, {"bmax": 4e5, "log_kd": 1.2}),
    (line, TIME, {"intercept": -3.0, "slope": 0.2}),
    (mono_exponential, TIME, {"amplitude": 90.0, "rate": 0.03}),
    (plateau_decay, TIME, {"start": 100.0, "plateau": 35.0, "rate": 0.05}),
    (association, TIME, {"plateau": 60.0, "rate": 0.02}),
    (bi_exponential, TIME, {"plateau": 10.0, "fast": 50.0, "fast_rate": 0.2, "slow": 40.0, "slow_rate": 0.015}),
    (
        tri_exponential,
        np.linspace(0, 300, 60),
        {"a1": 50.0, "k1": 0.4, "a2": 30.0, "k2": 0.05, "a3": 20.0, "k3": 0.005},
    ),
    (total_binding, TIME, {"bmax": 900.0, "log_kd": 0.8, "ns": 3.0, "background": 20.0}),
    (two_sites, np.geomspace(0.01, 1000, 24), {"bmax": 300.0, "log_kd": -0.5, "bmax_low": 700.0, "log_kd_low": 1.7}),
]


@pytest.mark.parametrize(("model", "x", "truth"), CURVES, ids=[c[0].name for c in CURVES])
def test_a_curve_without_scatter_gives_its_parameters_back_without_a_start(model, x, truth):
    found = fit(model, x, model(x, **truth))
    assert found.values == pytest.approx(truth, rel=1e-5)
    assert found.exact


@pytest.mark.parametrize(("model", "x", "truth"), CURVES, ids=[c[0].name for c in CURVES])
def test_the_jacobian_is_the_derivative_of_the_curve(model, x, truth):
    """Against central differences, which leave six digits."""
    theta = np.array([truth[p] for p in model.parameters])
    piece = Piece(model.function, x, tuple(range(theta.size)), (0.0,) * theta.size, slice(0, x.size))
    _, slopes = piece.with_slopes(theta)
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-6 * max(abs(theta[i]), 1e-3)
        rise = (piece.evaluate(theta + step) - piece.evaluate(theta - step)) / (2 * step[i])
        assert slopes[i] == pytest.approx(rise, rel=1e-5, abs=1e-7 * np.abs(rise).max())


def test_every_model_names_its_parameters_formula_and_linear_ones():
    every = [*MODELS.values(), homologous, competition_depleted, saturation_depleted, total_binding, two_sites]
    for model in every:
        assert set(model.linear) <= set(model.parameters)
        assert "Y = " in model.formula
    with pytest.raises(InputError, match="intercept, slope"):
        line(TIME, slope=1.0)


@given(power=st.integers(-12, 12), shift=st.floats(-3, 3), seed=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_the_log_ic50_does_not_know_the_unit_of_the_response_nor_that_of_the_concentration(power, shift, seed):
    """cpm or MBq, nM or M: the IC50 moves by the shift of the axis and by nothing else."""
    y = competition(seed)
    first = fit(variable_slope, X, y)
    second = fit(variable_slope, X + shift, y * 10.0**power)
    assert second.values["log_ic50"] == pytest.approx(first.values["log_ic50"] + shift, abs=1e-7)
    assert second.values["hill"] == pytest.approx(first.values["hill"], rel=1e-6)
    assert second.se["log_ic50"] == pytest.approx(first.se["log_ic50"], rel=1e-5)
    assert second.rss == pytest.approx(first.rss * 10.0 ** (2 * power), rel=1e-7)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_points_does_not_matter(seed):
    y = competition(3)
    order = np.random.default_rng(seed).permutation(X.size)
    first, second = fit(variable_slope, X, y), fit(variable_slope, X[order], y[order])
    assert second.theta == pytest.approx(first.theta, rel=1e-7)


def test_concentrations_in_molar_are_as_good_as_nanomolar():
    """1e-9 in a column of mol/L must not upset the search or the covariance."""
    x = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
    y = 500 * x / (2.0 + x) + np.array([3.0, -4, 2, -1, 4, -3])
    nano, molar = fit(hyperbola, x, y), fit(hyperbola, x * 1e-9, y)
    assert molar.values["bmax"] == pytest.approx(nano.values["bmax"], rel=1e-8)
    assert molar.values["log_kd"] == pytest.approx(nano.values["log_kd"] - 9, abs=1e-8)
    assert molar.se["log_kd"] == pytest.approx(nano.se["log_kd"], rel=1e-6)


def test_a_line_is_fitted_as_the_textbook_says():
    """Slope, intercept and their errors in closed form."""
    y = np.array([1.1, 1.9, 3.2, 3.8, 5.3, 6.1, 6.6, 8.4, 9.1, 9.7])
    found = fit(line, TIME, y)
    sxx = np.sum((TIME - TIME.mean()) ** 2)
    slope = np.sum((TIME - TIME.mean()) * (y - y.mean())) / sxx
    residual = y - y.mean() - slope * (TIME - TIME.mean())
    s2 = np.sum(residual**2) / 8
    assert found.values["slope"] == pytest.approx(slope, rel=1e-12)
    assert found.se["slope"] == pytest.approx(math.sqrt(s2 / sxx), rel=1e-10)
    assert found.se["intercept"] == pytest.approx(math.sqrt(s2 * (1 / 10 + TIME.mean() ** 2 / sxx)), rel=1e-10)


def test_weighted_least_squares_is_that_of_numpy():
    sd = np.linspace(0.5, 3.0, 10)
    y = 2 + 0.1 * TIME + np.sin(TIME)
    found = fit(line, TIME, y, noise="given", sd=sd)
    slope, intercept = np.polyfit(TIME, y, 1, w=1 / sd)
    cov = np.linalg.inv(
        np.array([[np.sum(TIME**2 / sd**2), np.sum(TIME / sd**2)], [np.sum(TIME / sd**2), np.sum(1 / sd**2)]])
    )
    assert found.values == pytest.approx({"slope": slope, "intercept": intercept}, rel=1e-10)
    assert found.se["slope"] == pytest.approx(math.sqrt(cov[0, 0]), rel=1e-9)
    assert found.variance == 1.0


@pytest.mark.parametrize("noise", ["poisson", "relative"])
def test_weights_that_follow_the_curve_settle_where_the_weighted_sum_is_stationary(noise):
    """At the end, refitting with the weights of the curve changes nothing: X'W(y - f) = 0 with W of f."""
    rng = np.random.default_rng(4)
    curve = plateau_decay(TIME, start=5000.0, plateau=300.0, rate=0.04)
    y = rng.poisson(curve).astype(float)
    found = fit(plateau_decay, TIME, y, noise=noise)
    fitted, slopes = found.problem.with_slopes(found.theta)
    weights = 1 / fitted if noise == "poisson" else 1 / fitted**2
    score = slopes.T @ (weights * (y - fitted))
    size = np.sqrt(np.sum((slopes * np.sqrt(weights)[:, None]) ** 2, axis=0))
    assert np.abs(score / size).max() < 1e-6


def test_a_shared_parameter_is_one_and_its_fit_is_that_of_the_joined_sum():
    y1, y2 = competition(1), 2.0 * competition(2) + 50
    data = [Dataset(name=n, model=variable_slope, x=X, y=y) for n, y in (("a", y1), ("b", y2))]
    found = fit_global(data, shared=("log_ic50", "hill"))
    assert set(found.names) == {"start[a]", "end[a]", "start[b]", "end[b]", "log_ic50", "hill"}
    alone = [fit(variable_slope, X, y) for y in (y1, y2)]
    assert found.rss >= sum(f.rss for f in alone)
    both = sorted(f.values["log_ic50"] for f in alone)
    assert both[0] - 0.02 <= found.values["log_ic50"] <= both[1] + 0.02
    assert found.curve("b") == pytest.approx(y2 - found.residuals("b"))


def test_without_a_shared_parameter_a_global_fit_is_the_single_fits():
    y1, y2 = competition(1), competition(2)
    data = [Dataset(name=n, model=variable_slope, x=X, y=y) for n, y in (("a", y1), ("b", y2))]
    found, first = fit_global(data), fit(variable_slope, X, y1)
    assert found.values["log_ic50[a]"] == pytest.approx(first.values["log_ic50"], abs=1e-8)
    assert found.rss == pytest.approx(first.rss + fit(variable_slope, X, y2).rss, rel=1e-9)


def test_a_fixed_parameter_stays_and_leaves_a_degree_of_freedom():
    y = competition(5)
    found = fit(variable_slope, X, y, fixed={"hill": 1.0})
    plain = fit(one_site, X, y)
    assert found.values["hill"] == 1.0
    assert "hill" not in found.se
    assert found.df == plain.df
    assert found.values["log_ic50"] == pytest.approx(plain.values["log_ic50"], abs=1e-9)


def test_exchanged_terms_are_reported_in_one_order_and_slopes_are_positive():
    truth = {"plateau": 0.0, "fast": 60.0, "fast_rate": 0.2, "slow": 40.0, "slow_rate": 0.01}
    start = {"fast": 40.0, "fast_rate": 0.01, "slow": 60.0, "slow_rate": 0.2}
    y = bi_exponential(TIME, **truth)
    found = fit(bi_exponential, TIME, y, fixed={"plateau": 0.0}, start=start)
    assert found.values["fast_rate"] > found.values["slow_rate"]
    other = fit(
        variable_slope, X, competition(6), start={"start": 100.0, "end": 1000.0, "log_ic50": -8.0, "hill": -1.3}
    )
    assert other.values["hill"] > 0


def test_equal_seeds_give_equal_fits():
    y = competition(7)
    start = {"start": 1.0, "end": 5.0, "log_ic50": -9.0, "hill": 1.0}
    first, second = (fit(variable_slope, X, y, start=start, seed=3) for _ in range(2))
    assert np.array_equal(first.theta, second.theta)


@pytest.mark.parametrize("n", [3, 4])
def test_as_many_points_as_parameters_or_fewer_are_refused(n):
    with pytest.raises(NotComputable, match="cannot determine 4 parameters") as refused:
        fit(variable_slope, X[:n], competition(8)[:n])
    assert refused.value.code == "TOO_FEW_POINTS"
    assert pickle.loads(pickle.dumps(refused.value)).code == "TOO_FEW_POINTS"


def test_parameters_that_the_data_do_not_determine_are_named():
    """Two amplitudes of one curve can be exchanged for each other."""
    twin = Model(name="twin", parameters=("a", "b", "rate"), formula="Y = (a + b) exp(-rate X)", linear=("a", "b"),
                 function=lambda x, a, b, rate: (a + b) * np.exp(-rate * x), candidates=mono_exponential.candidates)  # fmt: skip
    y = 100 * np.exp(-0.03 * TIME) + np.cos(TIME)
    with pytest.raises(NotComputable, match="a and b") as refused:
        fit(twin, TIME, y)
    assert refused.value.code == "FIT_NOT_IDENTIFIABLE"


def test_equal_responses_are_no_curve():
    with pytest.raises(NotComputable, match="all 22 responses are 0"):
        fit(variable_slope, X, np.zeros(X.size))


@pytest.mark.parametrize(
    ("x", "y"),
    [(X, competition(0)[:-1]), (X, np.where(X < -10, np.nan, 1.0)), (np.where(X < -10, np.nan, X), competition(0))],
)
def test_missing_values_and_unequal_lengths_are_input_errors(x, y):
    with pytest.raises(InputError):
        fit(variable_slope, x, y)


def test_unknown_fixed_parameters_and_missing_starts_are_named():
    with pytest.raises(InputError, match="slope"):
        fit(one_site, X, competition(0), fixed={"slope": 1.0})
    with pytest.raises(InputError, match="log_ic50"):
        fit(one_site, X, competition(0), start={"start": 1.0, "end": 0.0})
    bare = Model(name="bare", parameters=("k",), function=lambda x, k: np.exp(-k * x), formula="Y = exp(-kX)")
    with pytest.raises(InputError, match="starting values"):
        fit(bare, TIME, np.exp(-TIME / 9))


def test_weights_without_meaning_are_refused():
    y = line(TIME, intercept=-5.0, slope=0.1) + np.cos(TIME)
    with pytest.raises(NotComputable) as refused:
        fit(line, TIME, y, noise="relative")
    assert refused.value.code == "FIT_WEIGHT_UNDEFINED"
    for sd in (None, np.zeros(10), np.full(10, np.nan)):
        with pytest.raises(NotComputable) as refused:
            fit(line, TIME, y, noise="given", sd=sd)
        assert refused.value.code == "FIT_SD_INVALID"


@pytest.mark.parametrize("scale", [1e120, 1e-120])
def test_responses_whose_squares_are_no_numbers_are_refused(scale):
    with pytest.raises(InputError, match="1e-100 and 1e100"):
        fit(line, [1.0, 2.0, 3.0], [scale, 2 * scale, 3.5 * scale])
