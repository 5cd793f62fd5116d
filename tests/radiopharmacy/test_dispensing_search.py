"""The search serves as many as trying every way does."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial, draw_volume_ml
from fusin.radiopharmacy.dispensing_bound import cannot_serve_more
from fusin.radiopharmacy.dispensing_search import best_assignment, gap_day, window_of


def most_by_trying(orders, vials, rules):
    """Largest weight over all orders of all subsets and all vials, each injection at its earliest."""
    best = 0.0
    for size in range(1, len(orders) + 1):
        for chosen in itertools.permutations(range(len(orders)), size):
            for places in itertools.product(range(len(vials)), repeat=size):
                last, used, fits = -np.inf, [0.0] * len(vials), True
                for i, v in zip(chosen, places, strict=True):
                    window = window_of(orders[i], vials[v], rules)
                    time_s = max(window.first_s, last + rules.gap_s if rules.gap_s else window.first_s)
                    used[v] += draw_volume_ml(orders[i], vials[v], time_s)
                    if time_s > window.last_s or used[v] > vials[v].usable_ml:
                        fits = False
                        break
                    last = time_s
                if fits:
                    best = max(best, sum(orders[i].weight for i in chosen))
    return best


def a_day(rng, n, vials):
    made = []
    for k in range(n):
        first = 60.0 * rng.uniform(0, 90)
        made.append(
            Order(
                id=f"P{k}", dose_mbq=rng.uniform(80, 220), earliest_s=first, latest_s=first + 60.0 * rng.choice([0, 30, 120]),
                weight=float(rng.choice([1.0, 1.0, 2.0])),
            )
        )  # fmt: skip
    listed = [
        Vial(name=f"V{k}", nuclide="Ga-68", activity_mbq=rng.uniform(400, 900), volume_ml=8.0, dead_volume_ml=0.2,
             available_s=1800.0 * k, expires_s=1800.0 * k + 9000.0)
        for k in range(vials)
    ]  # fmt: skip
    return made, listed


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("vials", "gap_min"), [(1, 0), (1, 25), (2, 0), (2, 20)])
def test_the_search_finds_what_trying_every_way_finds(seed, vials, gap_min):
    orders, listed = a_day(np.random.default_rng([seed, vials, gap_min]), 4, vials)
    rules = DispenseRules(gap_s=60.0 * gap_min)
    found = best_assignment(orders, listed, rules)
    assert found.exact
    assert sum(orders[i].weight for i in found.chosen) == pytest.approx(most_by_trying(orders, listed, rules))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gap_min", [0, 15])
def test_every_plan_keeps_volumes_windows_and_gaps(seed, gap_min):
    orders, vials = a_day(np.random.default_rng([seed, gap_min]), 9, 2)
    rules = DispenseRules(gap_s=60.0 * gap_min)
    found = best_assignment(orders, vials, rules)
    used = [0.0, 0.0]
    times = sorted(t for _, t in found.chosen.values())
    for i, (v, t) in found.chosen.items():
        window = window_of(orders[i], vials[v], rules)
        assert window.first_s - 1e-6 <= t <= window.last_s + 1e-6
        used[v] += draw_volume_ml(orders[i], vials[v], t)
    assert all(u <= vial.usable_ml * (1 + 1e-9) for u, vial in zip(used, vials, strict=True))
    assert all(b - a >= rules.gap_s - 1e-6 for a, b in itertools.pairwise(times))


def test_thirty_patients_of_one_vial_are_still_exact():
    rng = np.random.default_rng(1)
    orders = [
        Order(id=str(k), dose_mbq=rng.uniform(5, 60), earliest_s=600.0 * k, latest_s=600.0 * k) for k in range(30)
    ]
    vial = Vial(name="A", nuclide="F-18", activity_mbq=900.0, volume_ml=20.0)
    found = best_assignment(orders, [vial], DispenseRules())
    volumes = sorted(draw_volume_ml(o, vial, o.earliest_s) for o in orders)
    # With equal weights the smallest volumes together are the most that fit.
    assert found.exact
    assert len(found.chosen) == int(np.searchsorted(np.cumsum(volumes), 20.0 * (1 + 1e-9), side="right"))


def a_long_day(n, seed):
    """Doses with windows of up to three hours from two vials, two hours apart."""
    r = random.Random(seed)
    vials = [
        Vial(name=f"V{k}", nuclide="Ga-68", activity_mbq=r.uniform(800, 2000) * n / 12, volume_ml=r.uniform(10, 20),
             reference_s=7200.0 * k, available_s=7200.0 * k, expires_s=7200.0 * k + 14400.0)
        for k in range(2)
    ]  # fmt: skip
    orders = []
    for k in range(n):
        first = 60.0 * r.uniform(10, 240)
        last = first + 60.0 * r.uniform(0, 180)
        dose = r.choice([100, 120, 150, 180, 200.0])
        orders.append(Order(id=str(k), dose_mbq=dose, earliest_s=first, latest_s=last, lead_s=600.0))
    return orders, vials


# Optima of a time-indexed integer programme over all left-shifted moments, solved to proven optimality by HiGHS 1.11
# (scipy.optimize.milp), which knows nothing of the search.
@pytest.mark.parametrize(("n", "seed", "most"), [(12, 0, 9), (14, 1, 11), (14, 2, 10), (16, 2, 11), (20, 0, 14)])
def test_long_days_with_a_gap_serve_as_many_as_an_integer_programme_proves_possible(n, seed, most):
    orders, vials = a_long_day(n, seed)
    found = best_assignment(orders, vials, DispenseRules(gap_s=900.0))
    assert len(found.chosen) == most
    assert found.exact


@pytest.mark.parametrize(("n", "gap_min"), [(20, 20), (40, 10)])
def test_equal_doses_of_one_vial_follow_one_another_until_it_is_empty(n, gap_min):
    orders = [Order(id=str(k), dose_mbq=150.0, earliest_s=1200.0, latest_s=86400.0) for k in range(n)]
    vial = Vial(name="A", nuclide="Ga-68", activity_mbq=1900.0, volume_ml=15.0)
    found = best_assignment(orders, [vial], DispenseRules(gap_s=60.0 * gap_min))
    # Every plan has its k-th injection no earlier than 20 min + (k - 1) gaps, and volumes grow with time.
    volumes = [150 / 1900 * 15 * 2 ** ((20 + gap_min * k) / 67.71) for k in range(n)]
    assert len(found.chosen) == int(np.searchsorted(np.cumsum(volumes), 15.0, side="right"))
    assert found.exact


def test_a_gap_that_fixed_times_keep_anyway_changes_nothing():
    orders = [Order(id=str(k), dose_mbq=100.0 + 3 * k, earliest_s=1200.0 * k, latest_s=1200.0 * k) for k in range(40)]
    vials = [Vial(name=n, nuclide="Ga-68", activity_mbq=2000.0, volume_ml=15.0) for n in "AB"]
    with_gap = best_assignment(orders, vials, DispenseRules(gap_s=900.0))
    assert with_gap == best_assignment(orders, vials, DispenseRules())
    assert with_gap.exact


def test_new_injections_keep_the_gap_to_drawn_ones():
    drawn = Order(id="D", dose_mbq=100.0, earliest_s=1800.0, latest_s=1800.0, drawn_ml=2.0)
    new = [Order(id=str(k), dose_mbq=100.0, earliest_s=1500.0, latest_s=7200.0) for k in range(3)]
    vial = Vial(name="A", nuclide="Ga-68", activity_mbq=2000.0, volume_ml=15.0)
    found = best_assignment([drawn, *new], [vial], DispenseRules(gap_s=1200.0))
    assert sorted(t for _, t in found.chosen.values()) == [1800.0, 3000.0, 4200.0, 5400.0]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("vials", "gap_min"), [(1, 25), (2, 0), (2, 20)])
def test_the_bound_never_denies_what_can_be_served(seed, vials, gap_min):
    orders, listed = a_day(np.random.default_rng([seed, vials, gap_min]), 4, vials)
    rules = DispenseRules(gap_s=60.0 * gap_min)
    most = most_by_trying(orders, listed, rules)
    day = gap_day(orders, listed, rules)
    assert not any(cannot_serve_more(day, weight) for weight in np.arange(0.0, most))


def test_the_same_day_gives_the_same_plan():
    orders, vials = a_long_day(16, 1)
    first, again = (best_assignment(orders, vials, DispenseRules(gap_s=900.0)) for _ in range(2))
    assert first == again


def test_patients_who_are_alike_go_in_the_order_in_which_they_are_listed():
    orders = [Order(id=str(k), dose_mbq=d, earliest_s=1200.0, latest_s=8400.0) for k, d in enumerate((100, 100, 300))]
    vial = Vial(name="A", nuclide="Ga-68", activity_mbq=850.0, volume_ml=10.0)
    found = best_assignment(orders, [vial], DispenseRules(gap_s=2100.0))
    assert [found.chosen[k][1] / 60 for k in (2, 0, 1)] == [20.0, 55.0, 90.0]
