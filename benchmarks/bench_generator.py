"""Time the elution history of a generator against stepping through radioactivedecay, and the plan of a day against trying all.

Run ``python benchmarks/bench_generator.py``; contenders take turns, medians are kept, and ratios are against fusin.
"""

from __future__ import annotations

import itertools

import numpy as np
import radioactivedecay as rd

from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial, draw_volume_ml
from fusin.radiopharmacy.dispensing_search import best_assignment
from fusin.radiopharmacy.generator import ElutionEntry, Generator, elution_history, equilibrium_ratio
from timing import FUSIN, Table, print_table, race, version

ELUTIONS, PATIENTS = 250, 8
RUNS = 5


def _fusin_history() -> float:
    generator = Generator(name="G", ge68_mbq=1850.0, efficiency=0.7)
    entries = [ElutionEntry(time_s=86400.0 * k, generators=("G",)) for k in range(ELUTIONS)]
    return elution_history([generator], entries)[0][-1].eluted_mbq


def _stepped_history() -> float:
    ge, ga, eluted = 1850.0, 1850.0 * equilibrium_ratio(), 0.0
    for k in range(ELUTIONS):
        if k:
            left = rd.Inventory({"Ge-68": ge, "Ga-68": ga}, "MBq").decay(1.0, "d").activities("MBq")
            ge, ga = float(left["Ge-68"]), float(left["Ga-68"])
        eluted, ga = 0.7 * ga, 0.3 * ga
    return eluted


def _day() -> tuple[list[Order], Vial, DispenseRules]:
    rng = np.random.default_rng(0)
    orders = [
        Order(id=str(k), dose_mbq=rng.uniform(100, 200), earliest_s=60 * rng.uniform(0, 60), latest_s=7200.0)
        for k in range(PATIENTS)
    ]
    return orders, Vial(name="A", nuclide="Ga-68", activity_mbq=1100.0, volume_ml=12.0), DispenseRules(gap_s=900.0)


def _planned() -> int:
    orders, vial, rules = _day()
    return len(best_assignment(orders, [vial], rules).chosen)


def _tried() -> int:
    """Every order of all patients; each is filled from its start until the vial or the day ends."""
    orders, vial, rules = _day()
    best = 0
    for chosen in itertools.permutations(orders):
        last, used, served = -np.inf, 0.0, 0
        for order in chosen:
            last = max(order.earliest_s, last + rules.gap_s)
            used += draw_volume_ml(order, vial, last)
            if last > order.latest_s or used > vial.usable_ml:
                break
            served += 1
        best = max(best, served)
    return best


def tables() -> list[Table]:
    """Both races; the contenders must agree."""
    assert np.isclose(_fusin_history(), _stepped_history(), rtol=1e-6)
    assert _planned() == _tried()
    stepped = f"radioactivedecay {version('radioactivedecay')}, step by step"
    history = race({FUSIN: _fusin_history, stepped: _stepped_history}, runs=RUNS)
    plan = race({FUSIN: _planned, "every order": _tried}, runs=3)
    return [
        Table(f"{ELUTIONS} elutions of one generator", dict(history)),
        Table(f"{PATIENTS} patients with windows and a gap, one vial", dict(plan)),
    ]


if __name__ == "__main__":
    for one in tables():
        print_table(one)
