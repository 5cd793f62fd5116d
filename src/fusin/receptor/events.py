"""Events: when they fire, in which order they are executed, and what they change."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import NotComputable
from fusin.receptor.equation_functions import lookup_of
from fusin.receptor.equations import Equations
from fusin.receptor.expressions import Expr, store_of
from fusin.receptor.expressions_evaluate import evaluate
from fusin.receptor.sbml_model import Event

__all__ = ["EventQueue"]

FloatArray = NDArray[np.float64]
_MOST = 10_000


@dataclass(slots=True)
class _Pending:
    """An execution that waits; ``values`` are those of the moment at which the event fired, where it uses them."""

    event: int
    time: float
    values: list[float] | None


class EventQueue:
    """Events of one run.

    Parameters
    ----------
    equations : of the model
    triggers : truth of all triggers at (t, y, p)
    rng : chooses among simultaneous events of equal priority, whose order SBML leaves open
    """

    def __init__(
        self, equations: Equations, triggers: Callable[[float, Any, Any], Sequence[float]], rng: np.random.Generator
    ) -> None:
        self._equations, self._triggers, self._rng = equations, triggers, rng
        self._events: tuple[Event, ...] = equations.model.events
        self._last = [e.initially for e in self._events]
        self._pending: list[_Pending] = []
        self._places = equations.places

    @property
    def next_time(self) -> float:
        """When the next execution is due; infinity when none waits."""
        return min((p.time for p in self._pending), default=math.inf)

    def fire(self, t: float, y: FloatArray, p: FloatArray) -> int:
        """Execute all that is due, in place, and what follows from it; return how many executions there were.

        Raises
        ------
        NotComputable
            When events set each other off without end.
        """
        executed = 0
        while True:
            self._watch(t, y, p)
            due = [one for one in self._pending if one.time <= t]
            if not due:
                return executed
            chosen = self._choose(due, t, y, p)
            self._pending.remove(chosen)
            self._execute(chosen, t, y, p)
            executed += 1
            if executed > _MOST:
                raise NotComputable(
                    "the time course", f"events set each other off without end at time {t:g}",
                    "triggers that become false again", "ENDLESS_EVENTS",
                )  # fmt: skip

    def _watch(self, t: float, y: FloatArray, p: FloatArray) -> None:
        """Schedule events whose trigger has become true; drop those that do not persist where it is false again."""
        now = [bool(v) for v in self._triggers(t, y, p)]
        for number, (event, is_true, was_true) in enumerate(zip(self._events, now, self._last, strict=True)):
            if is_true and not was_true:
                delay = 0.0 if event.delay is None else self._value(event.delay, t, y, p)
                if not delay >= 0.0:
                    raise NotComputable(
                        "the time course", f"the delay of {event.id} is {delay:g} at time {t:g}", "a delay of at least 0",
                        "NEGATIVE_DELAY",
                    )  # fmt: skip
                values = [self._value(a.math, t, y, p) for a in event.assignments] if event.at_trigger else None
                self._pending.append(_Pending(number, t + delay, values))
            elif was_true and not is_true and not event.persistent:
                self._pending = [one for one in self._pending if one.event != number]
        self._last = now

    def _choose(self, due: list[_Pending], t: float, y: FloatArray, p: FloatArray) -> _Pending:
        if len(due) == 1:
            return due[0]
        priorities = []
        for one in due:
            formula = self._events[one.event].priority
            priorities.append(-math.inf if formula is None else self._value(formula, t, y, p))
        best = max(priorities)
        ties = [one for one, priority in zip(due, priorities, strict=True) if priority == best]
        # Without priorities any order is right; that of the file is what its author sees.
        return ties[0] if best == -math.inf or len(ties) == 1 else ties[int(self._rng.integers(len(ties)))]

    def _value(self, formula: Expr, t: float, y: FloatArray, p: FloatArray) -> float:
        with np.errstate(all="ignore"):
            return float(evaluate(formula, lookup_of(self._equations, t, y, p)))

    def _execute(self, one: _Pending, t: float, y: FloatArray, p: FloatArray) -> None:
        event = self._events[one.event]
        values = one.values
        if values is None:
            values = [self._value(a.math, t, y, p) for a in event.assignments]
        assigned = {a.variable: v for a, v in zip(event.assignments, values, strict=True)}
        species = self._equations.species
        # All values are meant with the volumes before the event; a new volume then leaves amounts as they are.
        lookup = lookup_of(self._equations, t, y.copy(), p.copy())
        for name in (n for n in assigned if n in species):
            stored = store_of(name)
            if stored in self._places:
                with np.errstate(all="ignore"):
                    self._set(stored, assigned[name] * float(lookup(species[name].compartment)), y, p)
            else:
                self._set(name, assigned[name], y, p)
        compartments = {c.id for c in self._equations.model.compartments}
        for name, value in assigned.items():
            if name not in species:
                old = self._set(name, value, y, p)
                if name in compartments:
                    self._keep_amounts(name, old / value if value else math.nan, y, p)

    def _keep_amounts(self, compartment: str, ratio: float, y: FloatArray, p: FloatArray) -> None:
        """A new volume leaves amounts as they are, also of species that are carried as concentrations."""
        rated = {a.variable for a in self._equations.model.rates}
        for one in self._equations.species.values():
            if one.compartment == compartment and one.id in rated and not one.only_substance:
                self._set(one.id, self._where(one.id, y, p) * ratio, y, p)

    def _where(self, name: str, y: FloatArray, p: FloatArray) -> float:
        array, place = self._places[name]
        return float((y if array == "y" else p)[place])

    def _set(self, name: str, value: float, y: FloatArray, p: FloatArray) -> float:
        array, place = self._places[name]
        target = y if array == "y" else p
        old = float(target[place])
        target[place] = value
        return old
