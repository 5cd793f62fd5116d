"""Time the whole body: the compiled stiff method against scipy on the same equations, and virtual patients per second.

Run ``python benchmarks/bench_pbpk.py``; contenders take turns, medians are kept, and ratios are against fusin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from fusin.receptor.pbpk import Administration, hot_nmol
from fusin.receptor.pbpk_body import Tumour, body_system
from fusin.receptor.pbpk_kernels import jacobian, rates
from fusin.receptor.pbpk_parameters import defaults
from fusin.receptor.pbpk_population import Setup, run_population
from fusin.receptor.pbpk_system import Give, run
from timing import FUSIN, Table, print_table, race

PATIENTS, RUNS = 200, 3
END_MIN = 14 * 1440.0


def tables() -> list[Table]:
    """Two weeks of one patient; and virtual patients, each with its calibration."""
    system = body_system(defaults("pentixafor"), nuclide_name="Lu-177", tumours=[Tumour(name="lesion", volume_ml=10.0)])
    hot = hot_nmol(7400.0, "Lu-177")
    n, size = len(system.pools), system.size
    start = np.zeros(size)
    start[system.entry], start[n + system.entry] = hot, 100.0 - hot
    linear = (system.rows, system.columns, system.values)
    drugs, supply, slope = np.zeros((0, 4)), np.zeros(size), np.zeros(size)

    def right(t: float, y: np.ndarray) -> np.ndarray:
        out = np.zeros(size)
        rates(t, y, linear, system.sites, system.strength, system.receptor, drugs, supply, out, slope)
        return out

    def slopes(t: float, y: np.ndarray) -> np.ndarray:
        matrix = np.zeros((size, size))
        jacobian(t, y, linear, system.sites, system.strength, system.receptor, drugs, matrix)
        return matrix

    def scipy(method: str) -> Callable[[], object]:
        return lambda: solve_ivp(right, (0.0, END_MIN), start, method=method, rtol=1e-8, atol=1e-11 * hot, jac=slopes)

    course = race({
        FUSIN: lambda: run(system, [Give(hot_nmol=hot, cold_nmol=100.0 - hot)], [END_MIN]),
        "scipy BDF, compiled rates and Jacobian": scipy("BDF"),
        "scipy Radau, compiled rates and Jacobian": scipy("Radau"),
    })  # fmt: skip
    given = (Administration(nuclide="Ga-68", activity_mbq=150.0, peptide_nmol=30.0),)
    setup = Setup(ligand="pentixafor", given=given, times_min=(60.0, 120.0))
    crowd = race({FUSIN: lambda: run_population(setup, PATIENTS)}, runs=RUNS)
    minutes = crowd[FUSIN].wall_s / PATIENTS * 10_000 / 60.0
    return [
        Table(f"Whole body: two weeks of one patient ({size} states, relative tolerance 1e-8)", course),
        Table(
            f"Whole body: {PATIENTS} virtual patients, each calibrated",
            crowd,
            [f"10 000 take {minutes:.1f} min at this rate."],
        ),
    ]


if __name__ == "__main__":
    for table in tables():
        print_table(table)
