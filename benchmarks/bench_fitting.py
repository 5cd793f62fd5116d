"""Time a competition curve with its intervals against lmfit and against scipy with a plain bootstrap.

Run ``python benchmarks/bench_fitting.py``; every contender starts from the same rough guess and fits the same 24 tubes.
"""

from __future__ import annotations

import numpy as np

from fusin.assays.fitting import Fit, fit
from fusin.assays.intervals import bootstrap_draws, profiled
from fusin.assays.models import variable_slope
from timing import FUSIN, Table, print_table, race

RESAMPLES = 500
X = np.repeat(np.linspace(-10.5, -5.5, 12), 2)
START = {"start": 900.0, "end": 50.0, "log_ic50": -7.5, "hill": 1.0}


def tubes() -> np.ndarray:
    """Counts of a competition, IC50 10 nM."""
    curve = variable_slope(X, start=1000.0, end=100.0, log_ic50=-8.0, hill=1.1)
    return np.asarray(curve + 40 * np.random.default_rng(0).standard_normal(X.size))


def plain(x: np.ndarray, start: float, end: float, log_ic50: float, hill: float) -> np.ndarray:
    """The curve as somebody would type it."""
    return np.asarray(start + (end - start) / (1 + 10 ** (hill * (log_ic50 - x))))


def by_fusin(y: np.ndarray) -> Fit:
    """Multi-start, fit, profile of all four parameters."""
    return profiled(fit(variable_slope, X, y, start=START))[0]


def by_lmfit(y: np.ndarray) -> object:
    """One start, fit, conf_interval of all four parameters."""
    import lmfit

    parameters = lmfit.Parameters()
    for name, value in START.items():
        parameters.add(name, value=value)
    minimiser = lmfit.Minimizer(lambda p: plain(X, **p.valuesdict()) - y, parameters)
    return lmfit.conf_interval(minimiser, minimiser.minimize(), sigmas=[0.95])


def bootstrap_by_fusin(y: np.ndarray) -> object:
    """Fit and residual bootstrap, all resamples at once."""
    return bootstrap_draws(fit(variable_slope, X, y, start=START), resamples=RESAMPLES)


def bootstrap_by_scipy(y: np.ndarray) -> object:
    """Fit and residual bootstrap, one curve_fit for each resample."""
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(0)
    best, _ = curve_fit(plain, X, y, p0=list(START.values()))
    curve = plain(X, *best)
    residual = y - curve
    return [
        curve_fit(plain, X, curve + residual[rng.integers(y.size, size=y.size)], p0=best)[0] for _ in range(RESAMPLES)
    ]


def tables() -> list[Table]:
    """One table per task."""
    y = tubes()
    return [
        Table(
            "One competition curve, 24 tubes: fit and profile intervals of 4 parameters",
            race({FUSIN: lambda: by_fusin(y), "lmfit minimize + conf_interval": lambda: by_lmfit(y)}),
            ["fusin follows 42 starts, lmfit one."],
        ),
        Table(
            f"The same curve: fit and {RESAMPLES} bootstrap resamples",
            race({FUSIN: lambda: bootstrap_by_fusin(y), "scipy curve_fit in a loop": lambda: bootstrap_by_scipy(y)}),
        ),
    ]


def main() -> None:
    """Print all tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
