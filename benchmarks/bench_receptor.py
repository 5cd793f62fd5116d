"""Time a reaction model of 30 species against libRoadRunner and against scipy with rates in plain Python.

Run ``python benchmarks/bench_receptor.py``. The model is BIOMD0000000599 where shared data are present, else the shipped CXCR4
model: 5400 s, 181 rows, relative tolerance 1e-8. Each contender has loaded the model before; resetting it counts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import roadrunner
from scipy.integrate import solve_ivp

from fusin.receptor.equation_functions import python_function
from fusin.receptor.sbml_read import model_from_sbml, read_sbml_text
from fusin.receptor.scipy_engine import Tolerances
from fusin.receptor.simulation import Simulator
from timing import FUSIN, Table, print_table, race

__all__ = ["tables"]

_FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "sbml" / "biomodels" / "BIOMD0000000599.xml"
_UNTIL, _POINTS, _RELATIVE, _ABSOLUTE = 5400.0, 181, 1e-8, 1e-6


def tables() -> list[Table]:
    """One course, and one hundred courses with another value of a parameter each."""
    source = str(_FILE) if _FILE.exists() else "cxcr4"
    text, name = read_sbml_text(source)
    simulator = Simulator(model_from_sbml(text, where=name), compiled=True)
    runner = roadrunner.RoadRunner(text)
    runner.getIntegrator().setValue("relative_tolerance", _RELATIVE)
    runner.getIntegrator().setValue("absolute_tolerance", _ABSOLUTE)
    rates = python_function(simulator.equations, list(simulator.equations.rates.values()))
    times = np.linspace(0.0, _UNTIL, _POINTS)
    tolerances = Tolerances(relative=_RELATIVE, absolute=_ABSOLUTE)
    parameter = next(p.id for p in simulator.model.parameters if p.role == "global" and p.value)

    def ours(value: float | None = None) -> object:
        changed = None if value is None else {parameter: value}
        return simulator.run(until=_UNTIL, points=_POINTS, tolerances=tolerances, changed=changed)

    def theirs(value: float | None = None) -> object:
        runner.resetAll()
        if value is not None:
            runner[parameter] = value
        return runner.simulate(0.0, _UNTIL, _POINTS)

    def plain() -> object:
        y, p = simulator.start()
        return solve_ivp(
            lambda t, state: rates(t, state, p), (0.0, _UNTIL), y, method="LSODA", t_eval=times, rtol=_RELATIVE, atol=_ABSOLUTE
        )  # fmt: skip

    stated = next(p.value for p in simulator.model.parameters if p.id == parameter) or 1.0
    values = (stated * np.linspace(0.5, 2.0, 100)).tolist()
    one = race({FUSIN: ours, "libRoadRunner": theirs, "scipy LSODA, rates in Python": plain})
    many = race({FUSIN: lambda: [ours(v) for v in values], "libRoadRunner": lambda: [theirs(v) for v in values]})
    return [
        Table(f"{name}: {_UNTIL:g} s, {_POINTS} rows, rtol 1e-8", one),
        Table(f"{name}: 100 such courses, another value of a parameter in each", many),
    ]


if __name__ == "__main__":
    for one in tables():
        print_table(one)
