"""Values at the start: literals, initial assignments and rules, whichever governs, and what the user sets instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.equations import Equations
from fusin.receptor.expressions import TIME, Expr
from fusin.receptor.expressions_evaluate import evaluate

__all__ = ["initial_values"]

FloatArray = NDArray[np.float64]
_STORE = "$store:"


def initial_values(
    equations: Equations, *, changed: Mapping[str, float], log: NoticeLog
) -> tuple[FloatArray, FloatArray]:
    """States and fixed symbols at time 0.

    Parameters
    ----------
    equations : of the model
    changed : identifier to value, of species in the meaning of their symbol; it stands before what the file says
    log : receives a notice for a compartment without a size

    Raises
    ------
    InputError
        For an unknown or governed identifier, a negative or infinite value, or a state that has no initial value.
    """
    start = _Start(equations, changed, log)
    with np.errstate(all="ignore"):
        y = np.array([start.value(name) for name in equations.states], dtype=float)
        p = np.array([start.value(name) for name in equations.fixed], dtype=float)
    missing = [name.removeprefix(_STORE) for name, v in zip(equations.states, y.tolist(), strict=True) if math.isnan(v)]
    if missing:
        raise InputError(
            equations.model.source, "initial values", f"none for {missing[0]}", "a number for each variable"
        )
    return y, p


class _Start:
    def __init__(self, equations: Equations, changed: Mapping[str, float], log: NoticeLog) -> None:
        self._equations, self._log = equations, log
        model = equations.model
        self._source = model.source
        self._formulas: dict[str, Expr] = {a.variable: a.math for a in (*model.initial, *model.rules)}
        self._formulas |= {r.id: r.rate for r in model.reactions if r.rate is not None}
        self._formulas |= {n: f for n, f in equations.definitions.items() if n.startswith("$rate:")}
        self._literals: dict[str, float | None] = {p.id: p.value for p in model.parameters}
        self._literals |= {c.id: c.size for c in model.compartments}
        self._changed = dict(changed)
        self._check(changed)
        self._known: dict[str, Any] = {TIME: 0.0}
        self._open: set[str] = set()

    def _check(self, changed: Mapping[str, float]) -> None:
        model = self._equations.model
        ruled = {a.variable for a in model.rules}
        for name, value in changed.items():
            if name not in self._literals and name not in self._equations.species:
                raise InputError(self._source, "symbol", name, "a species, parameter or compartment of the model")
            if name in ruled:
                raise InputError(
                    self._source, name, "a value for what a rule governs", "a symbol without an assignment rule"
                )
            if not math.isfinite(value) or (value < 0 and name in self._equations.species):
                raise InputError(self._source, name, value, "a finite number, for a species none below 0")

    def value(self, name: str) -> Any:
        if name in self._known:
            return self._known[name]
        if name in self._open:
            found = f"a circle through {name}"
            raise InputError(self._source, "initial values", found, "assignments that do not need each other")
        self._open.add(name)
        found = self._found(name)
        self._open.discard(name)
        self._known[name] = found
        return found

    def _found(self, name: str) -> Any:
        if name in self._changed:
            return self._changed[name]
        if name.startswith(_STORE):
            return self._stored(name.removeprefix(_STORE))
        if name in self._formulas:
            return evaluate(self._formulas[name], self.value)
        one = self._equations.species.get(name)
        if one is None:
            return self._literal(name)
        if one.only_substance:
            if one.amount is None and one.concentration is not None:
                return one.concentration * self.value(one.compartment)
            return one.amount if one.amount is not None else math.nan
        if one.concentration is not None:
            return one.concentration
        return one.amount / self.value(one.compartment) if one.amount is not None else math.nan

    def _stored(self, name: str) -> Any:
        one = self._equations.species[name]
        if name not in self._changed and name not in self._formulas and one.amount is not None:
            return one.amount
        return self.value(name) * self.value(one.compartment)

    def _literal(self, name: str) -> float:
        value = self._literals.get(name)
        if value is not None:
            return value
        if any(c.id == name and c.dimensions for c in self._equations.model.compartments):
            self._log.adapted(
                "COMPARTMENT_SIZE",
                f"The compartment {name} has no size, so that 1 is taken",
                where=self._source,
                used=1.0,
            )
            return 1.0
        return math.nan
