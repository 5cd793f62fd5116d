"""Time courses of a model: loaded once, run with any values, by either engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import Notice, NoticeLog
from fusin.receptor.equation_functions import values_of
from fusin.receptor.equations import Equations, equations_of
from fusin.receptor.expressions import Expr, Sym
from fusin.receptor.initial_values import initial_values
from fusin.receptor.sbml_model import Model
from fusin.receptor.scipy_engine import ScipyProblem, Tolerances, Trajectory

__all__ = ["EngineName", "Simulator", "TimeCourse", "columns_of", "output_times"]

FloatArray = NDArray[np.float64]
EngineName = Literal["scipy", "roadrunner"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeCourse:
    """Values of a model over time.

    Attributes
    ----------
    time : (n,) in the model's unit
    names : of the columns: species, then parameters that change, compartments, and parameters that do not
    values : (n, columns)
    amounts : species are amounts, not concentrations
    engine : what integrated
    notices : what was adapted
    """

    time: FloatArray
    names: tuple[str, ...]
    values: FloatArray
    amounts: bool
    engine: EngineName
    notices: tuple[Notice, ...] = ()

    def __getitem__(self, name: str) -> FloatArray:
        """One column."""
        column: FloatArray = self.values[:, self.names.index(name)]
        return column

    def csv_text(self) -> str:
        """The table with a column ``time``, in full precision."""
        lines = [",".join(("time", *self.names))]
        rows = np.column_stack([self.time, self.values]).tolist()
        lines += [",".join(map(repr, row)) for row in rows]
        return "\n".join(lines) + "\n"


def output_times(until: float, points: int, *, start: float = 0.0) -> FloatArray:
    """Evenly spaced moments from a start to an end.

    Raises
    ------
    InputError
        When the end does not lie after the start, or there are fewer than two moments.
    """
    if not (math.isfinite(until) and until > start):
        raise InputError("--until", "end", until, f"a finite time after {start:g}")
    if points < 2 or points > 10_000_000:
        raise InputError("--points", "number of rows", points, "from 2 to 10000000 rows")
    return np.linspace(start, until, points)


def columns_of(model: Model) -> tuple[str, ...]:
    """Names of the columns of a time course."""
    governed = {a.variable for a in (*model.rules, *model.rates, *(a for e in model.events for a in e.assignments))}
    parameters = [p for p in model.parameters if p.role != "local"]
    varying = [p.id for p in parameters if not p.constant or p.id in governed]
    constant = [p.id for p in parameters if p.id not in varying and p.role == "global"]
    return (*(s.id for s in model.species), *varying, *(c.id for c in model.compartments), *constant)


class Simulator:
    """One model, ready for any number of runs; nothing is compiled twice.

    Parameters
    ----------
    model : what `fusin.receptor.sbml_read.read_model` gives
    compiled : machine code from the first run on; None decides by the size of the model

    Examples
    --------
    >>> simulator = Simulator(read_model("model.xml"))                         # doctest: +SKIP
    >>> simulator.run(until=5400, points=181, changed={"CXCL12": 10})["CXCR4"]  # doctest: +SKIP
    """

    def __init__(self, model: Model, *, compiled: bool | None = None) -> None:
        self.model = model
        self.equations: Equations = equations_of(model)
        self.problem = ScipyProblem(self.equations, compiled=compiled)
        self.columns = columns_of(model)

    def start(
        self, changed: Mapping[str, float] | None = None, log: NoticeLog | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """States and fixed symbols at time 0; see `fusin.receptor.initial_values.initial_values`."""
        return initial_values(self.equations, changed=changed or {}, log=log if log is not None else NoticeLog())

    def run(
        self,
        *,
        until: float,
        points: int,
        changed: Mapping[str, float] | None = None,
        amounts: bool = False,
        tolerances: Tolerances | None = None,
        seed: int = 0,
        log: NoticeLog | None = None,
        start: tuple[FloatArray, FloatArray] | None = None,
    ) -> TimeCourse:
        """A time course from 0.

        Parameters
        ----------
        until : end, in the model's unit of time
        points : number of rows, evenly spaced, both ends included
        changed : identifier to value at the start, of species in the meaning of their symbol
        amounts : species as amounts; concentrations without it
        tolerances : of the integration
        seed : of the order of simultaneous events with equal priorities
        log : receives notices
        start : states and fixed symbols to start from, instead of ``changed``

        Raises
        ------
        InputError
            For a value that cannot be set, or times that are none.
        NotComputable
            When the integration fails.
        """
        log = log if log is not None else NoticeLog()
        times = output_times(until, points)
        y, p = start if start is not None else self.start(changed, log)
        found = self.problem.run(times, y, p, tolerances=tolerances or Tolerances(), seed=seed)
        return TimeCourse(
            time=times, names=self.columns, values=self.values(times, found, amounts=amounts), amounts=amounts,
            engine="scipy", notices=log.notices,
        )  # fmt: skip

    def values(self, times: FloatArray, found: Trajectory, *, amounts: bool) -> FloatArray:
        """Columns of a trajectory."""
        formulas = [self.formula(name, amounts=amounts) for name in self.columns]
        return values_of(self.equations, formulas, times, found.y, found.p)

    def formula(self, name: str, *, amounts: bool) -> Expr:
        """Formula of a column."""
        if name not in self.equations.species:
            return Sym(name)
        return self.equations.amount(name) if amounts else self.equations.concentration(name)
