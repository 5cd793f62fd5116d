"""Local sensitivities: by how many percent an output changes when a parameter changes by one percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.engines import Experiment, OpenModel, run_experiment
from fusin.receptor.experiments import Stage
from fusin.receptor.scan import Response, summarise
from fusin.receptor.scipy_engine import Tolerances

__all__ = ["Sensitivity", "run_sensitivity"]

_STEP = 1e-3
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Relative change of an output for a relative change of a parameter; NaN where the output is 0.

    Attributes
    ----------
    parameter, output : names
    value : of the parameter
    end, highest, mean : of the value at the end, the highest value and the mean over time
    """

    parameter: str
    output: str
    value: float
    end: float
    highest: float
    mean: float


def run_sensitivity(
    opened: OpenModel, experiment: Experiment, outputs: Sequence[str], *, log: NoticeLog, progress: Stage
) -> list[Sensitivity]:
    """Sensitivities of outputs to all constant parameters that are not 0, by central differences of 0.1 %.

    Parameters
    ----------
    opened : model with its engine
    experiment : what is run
    outputs : columns
    log : receives notices
    progress : called with (stage, done, total)

    Raises
    ------
    InputError
        When the model has no such parameter.
    """
    ruled = {a.variable for a in (*opened.model.rules, *opened.model.rates, *opened.model.initial)}
    local = opened.roadrunner is None
    parameters = {
        p.id: p.value for p in opened.model.parameters
        if p.constant and p.id not in ruled and p.value and (local or p.role == "global")
    }  # fmt: skip
    if not parameters:
        raise InputError(opened.name, "parameters", "none that are constant and not 0", "a model with parameters")
    relative = min(experiment.tolerances.relative, _TOLERANCE)
    tight = replace(
        experiment, tolerances=Tolerances(relative=relative, absolute=experiment.tolerances.absolute)
    )  # fmt: skip
    found = []
    for number, (name, value) in enumerate(parameters.items()):
        progress("sensitivity", number, len(parameters))
        sides = []
        for sign in (1.0, -1.0):
            course = run_experiment(opened, tight, log=log, changed={name: value * (1.0 + sign * _STEP)})
            sides.append({output: summarise(course.time, course[output]) for output in outputs})
        found += [_one(name, value, output, sides[0][output], sides[1][output]) for output in outputs]
    progress("sensitivity", len(parameters), len(parameters))
    return found


def _one(name: str, value: float, output: str, above: Response, below: Response) -> Sensitivity:
    def slope(high: float, low: float) -> float:
        middle = 0.5 * (high + low)
        return (high - low) / middle / (2.0 * _STEP) if middle != 0.0 else math.nan

    return Sensitivity(
        parameter=name, output=output, value=value, end=slope(above.end, below.end),
        highest=slope(above.highest, below.highest), mean=slope(above.mean, below.mean),
    )  # fmt: skip
