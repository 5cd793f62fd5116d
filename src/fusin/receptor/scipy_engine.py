"""The engine that is always there: LSODA of scipy, with jumps found on its dense trajectory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import NotComputable
from fusin.receptor.equation_functions import compiled_jacobian, compiled_rates, operations, python_function
from fusin.receptor.equations import Equations
from fusin.receptor.events import EventQueue
from fusin.receptor.expressions import Expr
from fusin.receptor.jumps import JumpFinder

__all__ = ["ScipyProblem", "Tolerances", "Trajectory"]

FloatArray = NDArray[np.float64]
_COMPILE_FROM = 300
_STEPS = 100
_MOST_STOPS = 100_000
_CHATTER = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Tolerances of the integration.

    Attributes
    ----------
    relative : of each state
    absolute : of each state, in its unit; None for one that follows from the smallest initial value
    most_steps : between two moments of the output
    """

    relative: float = 1e-9
    absolute: float | None = None
    most_steps: int = 200_000

    def of(self, y: FloatArray) -> float:
        """Absolute tolerance for a start: 1e-12, or less where initial values are small."""
        if self.absolute is not None:
            return self.absolute
        present = np.abs(y[np.isfinite(y) & (y != 0.0)])
        return 1e-12 * float(np.clip(present.min(), 1e-18, 1.0)) if present.size else 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """States at the moments asked for: ``y`` is (states, n), ``p`` (fixed,) or (fixed, n) where events change it."""

    y: FloatArray
    p: FloatArray


class ScipyProblem:
    """The equations of one model, ready for any number of runs.

    Parameters
    ----------
    equations : of the model
    compiled : machine code from the start; None decides by the size of the model
    """

    def __init__(self, equations: Equations, *, compiled: bool | None = None) -> None:
        self.equations = equations
        self._compile = operations(equations) >= _COMPILE_FROM if compiled is None else compiled
        self.runs = 0

    @cached_property
    def _plain_rates(self) -> Callable[[float, Any, Any], list[float]]:
        return python_function(self.equations, list(self.equations.rates.values()))

    @cached_property
    def _machine(self) -> tuple[Any, Any]:
        return compiled_rates(self.equations), compiled_jacobian(self.equations)

    @cached_property
    def triggers(self) -> Callable[[float, Any, Any], list[float]]:
        """Truth of the triggers of all events."""
        return python_function(self.equations, self.trigger_formulas, truth=True)

    @cached_property
    def jumps(self) -> JumpFinder:
        """What can jump during a run."""
        return JumpFinder(self.equations, [*self.trigger_formulas, *self.equations.rates.values()])

    @property
    def trigger_formulas(self) -> list[Expr]:
        """Triggers of the events."""
        return [e.trigger for e in self.equations.model.events]

    def rates(self, t: float, y: FloatArray, p: FloatArray) -> FloatArray:
        """Time derivatives of all states."""
        if self._compile:
            found: FloatArray = self._machine[0](t, y, p)
            return found
        return np.array(self._plain_rates(t, y, p))

    def jacobian(self, t: float, y: FloatArray, p: FloatArray) -> FloatArray:
        """Derivatives of the rates by the states, (n, n)."""
        found: FloatArray = self._machine[1](t, y, p)
        return found

    def run(self, times: FloatArray, y: FloatArray, p: FloatArray, *, tolerances: Tolerances, seed: int) -> Trajectory:
        """States at increasing times, the first of them the start.

        Parameters
        ----------
        times : (n,) in the model's unit
        y, p : start; they are left as they are
        tolerances : of the integration
        seed : of the order of simultaneous events

        Raises
        ------
        NotComputable
            When the integration fails, with the moment.
        """
        self.runs += 1
        if self.runs > 1:
            self._compile = True
        if self.equations.model.events or self.jumps.count:
            return _Walk(self, times, y.copy(), p.copy(), tolerances, seed).trajectory()
        if not len(y):
            return Trajectory(np.empty((0, len(times))), p)
        return Trajectory(self._smooth(times, y, p, tolerances), p)

    def _smooth(self, times: FloatArray, y: FloatArray, p: FloatArray, tolerances: Tolerances) -> FloatArray:
        from scipy.integrate import odeint

        if self._compile:
            machine, jacobian = self._machine
            function, slopes = machine.bound(p), jacobian.bound(p)
        else:
            plain = self._plain_rates

            def function(state: FloatArray, t: float) -> Any:
                return plain(t, state, p)

            slopes = None
        with warnings.catch_warnings():
            # What it warns of becomes the reason of a refusal below.
            warnings.simplefilter("ignore")
            found, info = odeint(
                function, y, times, Dfun=slopes, rtol=tolerances.relative, atol=tolerances.of(y), full_output=True,
                mxstep=tolerances.most_steps,
            )  # fmt: skip
        if info["message"] != "Integration successful." or not np.isfinite(found).all():
            raise _failed(float(info["tcur"][-1]) if len(info["tcur"]) else 0.0, str(info["message"]))
        return np.ascontiguousarray(found.T)

    def stepper(
        self, t: float, y: FloatArray, p: FloatArray, bound: float, longest: float, tolerances: Tolerances
    ) -> Any:
        """An integrator from a moment up to a bound."""
        if not len(y):
            return _Still(t, bound, longest)
        from scipy.integrate import LSODA

        if self._compile:
            machine, jacobian = self._machine
            return LSODA(lambda t, y: machine(t, y, p), t, y, bound, rtol=tolerances.relative, atol=tolerances.of(y),
                         jac=lambda t, y: jacobian(t, y, p), max_step=longest)  # fmt: skip
        plain = self._plain_rates
        return LSODA(lambda t, y: np.array(plain(t, y, p)), t, y, bound, rtol=tolerances.relative, atol=tolerances.of(y),
                     max_step=longest)  # fmt: skip


def _failed(t: float, reason: str) -> NotComputable:
    return NotComputable(
        "the time course", f"the integration stops at time {t:g} ({reason.rstrip('.')})",
        "a model whose rates stay finite, or other tolerances", "INTEGRATION_FAILED",
    )  # fmt: skip


class _Still:
    """Steps of a model that integrates nothing."""

    def __init__(self, t: float, bound: float, longest: float) -> None:
        self.t, self.t_old, self.status = t, t, "running"
        self.y = np.empty(0)
        self._bound, self._longest = bound, longest

    def step(self) -> str:
        self.t_old, self.t = self.t, min(self.t + self._longest, self._bound)
        if self.t >= self._bound:
            self.status = "finished"
        return ""

    def dense_output(self) -> Callable[[float], FloatArray]:
        return lambda t: self.y


class _Walk:
    """One run that stops at every jump."""

    def __init__(
        self, problem: ScipyProblem, times: FloatArray, y: FloatArray, p: FloatArray, tolerances: Tolerances, seed: int,
    ) -> None:  # fmt: skip
        self._problem, self._times, self._tolerances = problem, times, tolerances
        self._t, self._y, self._p = float(times[0]), y, p
        self._ys, self._ps = np.empty((len(y), len(times))), np.empty((len(p), len(times)))
        self._row = 0
        self._queue = EventQueue(problem.equations, problem.triggers, np.random.default_rng(seed))
        self._finder = problem.jumps
        spacing = float(np.diff(times).max()) if len(times) > 1 else math.inf
        self._longest = min(spacing, (times[-1] - times[0]) / _STEPS)
        self._stops, self._close = 0, 0

    def trajectory(self) -> Trajectory:
        end = float(self._times[-1])
        self._queue.fire(self._t, self._y, self._p)
        self._record(None, self._t, closed=True)
        while self._row < len(self._times):
            before = self._t
            self._segment(min(end, self._queue.next_time))
            fired = self._queue.fire(self._t, self._y, self._p)
            self._record(None, self._t, closed=True)
            self._guard(before, fired)
        return Trajectory(self._ys, self._ps)

    def _segment(self, bound: float) -> None:
        """Integrate until the next jump, or the bound."""
        stepper = self._problem.stepper(self._t, self._y, self._p, bound, self._longest, self._tolerances)
        base = self._finder.signs(self._t, self._y, self._p)
        steps = 0
        while stepper.status == "running":
            message = stepper.step()
            steps += 1
            if stepper.status == "failed" or not np.isfinite(stepper.y).all() or steps > self._tolerances.most_steps:
                raise _failed(float(stepper.t), message or "it takes too many steps")
            dense = stepper.dense_output()
            crossing = self._finder.first(dense, float(stepper.t_old), float(stepper.t), base, self._p)
            end = float(stepper.t) if crossing is None else crossing
            self._record(dense, end, closed=False)
            if crossing is not None:
                self._t, self._y = crossing, np.array(dense(crossing), dtype=float)
                return
        self._t, self._y = bound, np.array(stepper.y, dtype=float)

    def _record(self, dense: Any, end: float, *, closed: bool) -> None:
        """Note the state at the moments before an end, and at the end itself when closed."""
        while self._row < len(self._times):
            t = float(self._times[self._row])
            if t > end or (t == end and not closed):
                return
            self._ys[:, self._row] = self._y if dense is None else dense(t)
            self._ps[:, self._row] = self._p
            self._row += 1

    def _guard(self, before: float, fired: int) -> None:
        self._stops += 1
        if self._stops > _MOST_STOPS:
            raise _failed(self._t, "too many events or jumps")
        span = float(self._times[-1] - self._times[0])
        self._close = self._close + 1 if not fired and self._t - before < 1e-6 * span else 0
        if self._close > _CHATTER:
            # A rate that changes its sign at a threshold holds the state there; no step ever gets away from it.
            raise NotComputable(
                "the time course", f"a threshold holds the state from time {self._t:g} on",
                "rates that do not change their sign at a threshold, or a smooth transition", "SLIDING_MODE",
            )  # fmt: skip
