"""Where a model comes to rest: integrated until nothing changes, then checked by its rates and by its eigenvalues."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.engines import OpenModel
from fusin.receptor.scipy_engine import Tolerances, Trajectory

__all__ = ["SteadyState", "find_steady_state"]

FloatArray = NDArray[np.float64]
_DECADES = 12
_STILL = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SteadyState:
    """A state of rest.

    Attributes
    ----------
    columns, values : one for each column of a time course
    after : time that was integrated, in the model's unit
    change : largest relative change per that time that is left
    slowest_time : time constant of the slowest way back to it; None where the state moves along a conserved quantity alone
    stable : no small disturbance grows
    """

    columns: tuple[str, ...]
    values: FloatArray
    after: float
    change: float
    slowest_time: float | None
    stable: bool


def find_steady_state(
    opened: OpenModel,
    y: FloatArray,
    p: FloatArray,
    *,
    first: float,
    tolerances: Tolerances,
    amounts: bool,
    log: NoticeLog,
) -> SteadyState:
    """Integrate over ever longer times until the state rests.

    Parameters
    ----------
    opened : the model; our own engine serves it
    y, p : start
    first : time to begin with
    tolerances : of the integration
    amounts : species as amounts
    log : receives notices

    Raises
    ------
    NotComputable
        When the state still changes after twelve decades of time, as one that oscillates or grows does.
    """
    own = opened.own
    span, passed = first, 0.0
    for _ in range(_DECADES):
        found = own.problem.run(np.array([passed, passed + span]), y, p, tolerances=tolerances, seed=0)
        y = found.y[:, -1].copy()
        p = (found.p if found.p.ndim == 1 else found.p[:, -1]).copy()
        passed += span
        change = _change(own.problem.rates(passed, y, p) if len(y) else np.zeros(0), y, passed)
        if change < _STILL:
            break
        span *= 10.0
    else:
        raise NotComputable(
            "the steady state", f"the model still changes by {change:.2g} of a value at time {passed:g}",
            "a model that neither oscillates nor grows", "NO_STEADY_STATE",
        )  # fmt: skip
    slowest, stable = _relaxation(own.problem.jacobian(passed, y, p)) if len(y) else (None, True)
    values = own.values(np.array([passed]), Trajectory(y[:, None], p), amounts=amounts)[0]
    return SteadyState(
        columns=own.columns, values=values, after=passed, change=change, slowest_time=slowest, stable=stable
    )  # fmt: skip


def _change(rates: FloatArray, y: FloatArray, passed: float) -> float:
    """Largest change over the time that has passed, relative to the value, or to the largest one where it is small."""
    if not len(y):
        return 0.0
    largest = float(np.abs(y).max())
    scale = np.abs(y) + _STILL * (largest or 1.0)
    return float((np.abs(rates) * passed / scale).max())


def _relaxation(jacobian: FloatArray) -> tuple[float | None, bool]:
    """Slowest time constant, and whether all others decay; zeros belong to conserved quantities."""
    if not np.isfinite(jacobian).all():
        return None, False
    real = np.linalg.eigvals(jacobian).real
    scale = float(np.abs(real).max(initial=0.0))
    if scale == 0.0:
        return None, True
    moving = real[np.abs(real) > 1e-12 * scale * len(real)]
    return -1.0 / float(moving.max()) if moving.max() < 0 else math.inf, bool(moving.max() < 0)
