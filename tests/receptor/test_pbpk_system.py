"""The compiled integration of pools against scipy, closed forms and balances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from fusin.errors import InputError
from fusin.receptor.pbpk_body import Tumour, body_system
from fusin.receptor.pbpk_kernels import jacobian, rates
from fusin.receptor.pbpk_parameters import defaults
from fusin.receptor.pbpk_system import Competition, Give, PoolBuilder, run


def body(nuclide="Lu-177", **changed):
    values = defaults("pentixafor", changed)
    return body_system(
        values,
        nuclide_name=nuclide,
        tumours=[Tumour(name="a", volume_ml=10, receptor_nm=20), Tumour(name="b", volume_ml=200)],
    )


def right_side(system, competition):
    drugs = np.array(
        [(c.time_min, c.height, c.absorption_per_min, c.elimination_per_min) for c in competition], dtype=float
    ).reshape(-1, 4)
    supply, slope = np.zeros(system.size), np.zeros(system.size)
    linear = (system.rows, system.columns, system.values)

    def function(t, y):
        out = np.zeros(system.size)
        rates(t, np.asarray(y), linear, system.sites, system.strength, system.receptor, drugs, supply, out, slope)
        return out

    def slopes(t, y):
        matrix = np.zeros((system.size, system.size))
        jacobian(t, np.asarray(y), linear, system.sites, system.strength, system.receptor, drugs, matrix)
        return matrix

    return function, slopes


@pytest.mark.parametrize(
    ("nuclide", "end_min", "hot", "cold"), [("Ga-68", 120.0, 1.5e-3, 30.0), ("Lu-177", 14 * 1440.0, 10.2, 90.0)]
)
def test_the_compiled_method_agrees_with_scipy_to_a_millionth(nuclide, end_min, hot, cold):
    system = body(nuclide)
    drug = Competition(height=40.0, time_min=-120.0, absorption_per_min=0.08, elimination_per_min=0.003)
    times = np.geomspace(1.0, end_min, 8)
    own = run(system, [Give(hot_nmol=hot, cold_nmol=cold)], times, competition=(drug,), relative=1e-9, absolute=1e-12)
    function, slopes = right_side(system, (drug,))
    start = np.zeros(system.size)
    start[system.entry], start[len(system.pools) + system.entry] = hot, cold
    n = len(system.pools)
    scale = np.concatenate([np.full(n, hot), np.full(n, hot + cold), np.full(len(system.regions), hot)])
    other = solve_ivp(
        function, (0.0, end_min), start, method="BDF", t_eval=times, rtol=1e-10, atol=1e-13 * scale, jac=slopes
    )
    assert other.success
    for region in system.regions:
        weights = system.weights[system.regions.index(region)]
        assert own.region_hot(region) == pytest.approx(weights @ other.y[:n], rel=1e-6)
        assert own.integral(region) == pytest.approx(other.y[2 * n + system.regions.index(region)], rel=1e-6)


def test_the_jacobian_is_the_derivative_of_the_rates():
    system = body()
    competition = (
        Competition(height=3.0),
        Competition(height=5.0, time_min=0.0, absorption_per_min=0.1, elimination_per_min=0.01),
    )
    function, slopes = right_side(system, competition)
    y = np.random.default_rng(1).uniform(0.1, 1.0, system.size)
    found = slopes(20.0, y)
    for column in range(system.size):
        step = np.zeros(system.size)
        step[column] = 1e-6
        numeric = (function(20.0, y + step) - function(20.0, y - step)) / 2e-6
        assert found[:, column] == pytest.approx(numeric, rel=1e-5, abs=1e-5)


def test_mass_decay_and_receptor_balance_to_a_billionth():
    for nuclide in ("Ga-68", "Lu-177", "Y-90"):
        course = run(body(nuclide), [Give(hot_nmol=2.0, cold_nmol=500.0)], np.geomspace(1, 10000, 9), relative=1e-8)
        assert set(course.balances()) == {"mass", "decay", "receptor"}
        assert max(course.balances().values()) < 1e-9


def test_hot_is_the_decayed_share_of_all_ligand_when_both_are_given_together():
    """Labelled and unlabelled molecules behave alike: an independent check of the binding terms of both."""
    system = body("Ga-68")
    times = np.array([5.0, 30.0, 90.0])
    course = run(system, [Give(hot_nmol=1.0, cold_nmol=9.0)], times, relative=1e-9)
    for region in system.regions:
        expected = 0.1 * course.region_total(region) * np.exp(-system.decay_per_min * times)
        assert course.region_hot(region) == pytest.approx(expected, rel=1e-7)


def two_pools(decay=0.0):
    builder = PoolBuilder(decay_per_min=decay)
    builder.move("plasma", "tissue", 0.3)
    builder.move("tissue", "plasma", 0.1)
    builder.region("plasma", {"plasma": 1.0})
    return builder.build("plasma")


def test_two_pools_follow_their_closed_form():
    times = np.array([0.0, 1.0, 5.0, 40.0])
    course = run(two_pools(0.05), [Give(hot_nmol=3.0)], times, relative=1e-9)
    share = 0.25 + 0.75 * np.exp(-0.4 * times)
    assert course.region_hot("plasma") == pytest.approx(3.0 * share * np.exp(-0.05 * times), rel=1e-8)
    area = 3.0 * (0.25 * (1 - np.exp(-0.05 * times)) / 0.05 + 0.75 * (1 - np.exp(-0.45 * times)) / 0.45)
    assert course.integral("plasma") == pytest.approx(area, rel=1e-8, abs=1e-12)


def test_an_infusion_gives_the_same_amount_as_a_bolus_and_ends_on_time():
    times = np.array([0.0, 5.0, 10.0, 30.0])
    course = run(two_pools(), [Give(cold_nmol=4.0, duration_min=10.0)], times)
    total = course.cold("plasma") + course.cold("tissue")
    assert total == pytest.approx([0.0, 2.0, 4.0, 4.0], rel=1e-9, abs=1e-12)


def test_a_second_injection_is_added_at_its_time():
    course = run(two_pools(), [Give(cold_nmol=1.0), Give(time_min=10.0, cold_nmol=2.0)], np.array([9.0, 10.0, 20.0]))
    assert (course.cold("plasma") + course.cold("tissue")) == pytest.approx([1.0, 3.0, 3.0], rel=1e-9)


def test_an_injection_at_the_last_moment_is_there():
    course = run(two_pools(), [Give(cold_nmol=1.0), Give(time_min=5.0, cold_nmol=2.0)], [0.0, 5.0])
    assert (course.cold("plasma") + course.cold("tissue")) == pytest.approx([1.0, 3.0])
    assert course.balances()["mass"] < 1e-12
    assert run(two_pools(), [Give(hot_nmol=1.0)], [0.0]).hot("plasma") == pytest.approx([1.0])


def closed_site(load=0.0, cold=5.0):
    """Ligand and receptor in one litre, nothing leaves."""
    builder = PoolBuilder()
    builder.site("free", "bound", on_per_nmol_min=0.1, off_per_min=0.5, receptor_nmol=4.0)
    builder.region("all", {"free": 1.0, "bound": 1.0})
    competition = (Competition(height=load),) if load else ()
    return run(builder.build("free"), [Give(cold_nmol=cold)], np.array([500.0]), competition=competition)


def test_binding_comes_to_the_exact_equilibrium():
    """KD = 5 nM, receptor 4 nM, ligand 5 nM: the root of a quadratic (V10)."""
    b = 4.0 + 5.0 + 5.0
    expected = (b - math.sqrt(b * b - 4 * 4.0 * 5.0)) / 2.0
    assert closed_site().cold("bound")[0] == pytest.approx(expected, rel=1e-8)


def test_a_competitor_raises_the_apparent_kd():
    """Cheng and Prusoff: with L/Ki = 3 the KD is four times as large."""
    b = 4.0 + 5.0 + 20.0
    expected = (b - math.sqrt(b * b - 4 * 4.0 * 5.0)) / 2.0
    assert closed_site(load=3.0).cold("bound")[0] == pytest.approx(expected, rel=1e-8)


def test_a_drug_after_the_injection_changes_nothing_before_it():
    system = body("Ga-68")
    times, give = np.array([10.0, 19.0, 60.0]), [Give(hot_nmol=1e-3, cold_nmol=20.0)]
    drug = Competition(height=1000.0, time_min=20.0, absorption_per_min=0.05, elimination_per_min=0.003)
    with_drug, without = run(system, give, times, competition=(drug,)), run(system, give, times)
    assert with_drug.region_hot("spleen")[:2] == pytest.approx(without.region_hot("spleen")[:2], rel=1e-6)
    assert with_drug.region_hot("spleen")[2] < 0.9 * without.region_hot("spleen")[2]


def test_cold_ligand_given_first_holds_the_receptor():
    system = body("Ga-68")
    hot = Give(time_min=30.0, hot_nmol=1e-3, cold_nmol=1.0)
    alone = run(system, [hot], np.array([90.0]))
    after = run(system, [Give(cold_nmol=3000.0), hot], np.array([90.0]))
    assert after.region_hot("spleen")[0] < 0.6 * alone.region_hot("spleen")[0]


@pytest.mark.parametrize(
    ("gives", "times"),
    [([], [1.0]), ([Give()], [1.0]), ([Give(cold_nmol=1.0)], [2.0, 1.0]), ([Give(cold_nmol=1.0)], []),
     ([Give(cold_nmol=1.0)], [-1.0])],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(gives, times):
    with pytest.raises(InputError):
        run(two_pools(), gives, times)


def test_an_amount_that_is_none_is_refused():
    with pytest.raises(InputError, match="hot_nmol"):
        Give(hot_nmol=-1.0)
