"""The optional engine: libRoadRunner, which compiles a model and integrates it with CVODE."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, MissingExtra, NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.scipy_engine import Tolerances
from fusin.receptor.simulation import Simulator, TimeCourse, output_times

__all__ = ["RoadRunnerSimulator"]

FloatArray = NDArray[np.float64]


class RoadRunnerSimulator:
    """One model in libRoadRunner: loaded once, reset before each run.

    Parameters
    ----------
    sbml : text of the model
    simulator : the same model in our own equations, which check and convert what the user sets

    Raises
    ------
    MissingExtra
        When libRoadRunner is not installed.
    NotComputable
        When it refuses the model.
    """

    def __init__(self, sbml: str, simulator: Simulator) -> None:
        try:
            roadrunner = import_module("roadrunner")
        except ImportError as err:
            raise MissingExtra("libroadrunner", "receptor", "--engine roadrunner") from err
        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
        self._own, self.model = simulator, simulator.model
        try:
            self._runner = roadrunner.RoadRunner(sbml)
        except RuntimeError as err:
            raise _refused(err, self.model.source) from err
        referred = {p.id for p in self.model.parameters if p.role == "reference"}
        self.columns = tuple(name for name in simulator.columns if name not in referred)

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
        """A time course from 0; see `fusin.receptor.simulation.Simulator.run`.

        Raises
        ------
        InputError
            For a value that cannot be set.
        NotComputable
            When the integration fails.
        """
        log = log if log is not None else NoticeLog()
        tolerances = tolerances or Tolerances()
        times = output_times(until, points)
        y, p = start if start is not None else self._own.start(changed, log)
        runner = self._runner
        runner.resetAll()
        integrator = runner.getIntegrator()
        integrator.setValue("relative_tolerance", tolerances.relative)
        integrator.setValue("absolute_tolerance", tolerances.of(y))
        integrator.setValue("maximum_num_steps", tolerances.most_steps)
        try:
            if changed or start is not None:
                self._set(y, p)
            runner.timeCourseSelections = ["time", *(self._selection(name, amounts=amounts) for name in self.columns)]
            found = np.array(runner.simulate(0.0, until, points), dtype=float)
        except RuntimeError as err:
            raise _refused(err, self.model.source) from err
        return TimeCourse(
            time=times, names=self.columns, values=np.ascontiguousarray(found[:, 1:]), amounts=amounts, engine="roadrunner",
            notices=log.notices,
        )  # fmt: skip

    def _selection(self, name: str, *, amounts: bool) -> str:
        one = self._own.equations.species.get(name)
        if one is None or amounts:
            return name
        home = next(c for c in self.model.compartments if c.id == one.compartment)
        return f"[{name}]" if home.dimensions else name

    def _set(self, y: FloatArray, p: FloatArray) -> None:
        """Put our own start into the engine: parameters and compartments first, because amounts stay when they change."""
        equations = self._own.equations
        values = dict(zip((*equations.states, *equations.fixed), (*y.tolist(), *p.tolist()), strict=True))
        roles = {q.id: q.role for q in self.model.parameters}
        for name, value in values.items():
            if name in roles and np.isfinite(value):
                if roles[name] == "local":
                    self._check_local(name, value)
                else:
                    self._put(name, value)
        for one in self.model.compartments:
            if one.id in values:
                self._put(one.id, values[one.id])
        for name in equations.species:
            stored, home = values.get(f"$store:{name}"), equations.species[name].compartment
            if stored is None and name in values:
                stored = values[name] * (1.0 if equations.species[name].only_substance else values.get(home, 1.0))
            if stored is not None and np.isfinite(stored):
                self._put(name, stored)

    def _put(self, name: str, value: float) -> None:
        if self._runner[name] != value:
            self._runner[name] = value

    def _check_local(self, name: str, value: float) -> None:
        stated = next(q.value for q in self.model.parameters if q.id == name)
        if stated is not None and value != stated:
            raise InputError(self.model.source, name, "a local parameter", "--engine scipy, to set a local parameter")


def _refused(err: Exception, source: str) -> NotComputable:
    text: Any = " ".join(str(err).split())
    return NotComputable(
        "the time course", f"libRoadRunner says: {text[:200]}", f"--engine scipy for {source}", "ENGINE_FAILED"
    )
