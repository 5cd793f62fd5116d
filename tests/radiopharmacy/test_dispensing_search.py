"""The search serves as many as trying every way does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial, draw_volume_ml
from fusin.radiopharmacy.dispensing_search import best_assignment, window_of


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
