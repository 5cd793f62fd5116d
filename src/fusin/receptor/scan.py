"""The same experiment over a range of one value: parameter scans and dose responses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusin.provenance import NoticeLog
from fusin.receptor.engines import Experiment, OpenModel, run_experiment
from fusin.receptor.experiments import Range, Stage
from fusin.receptor.quantities import Quantity, find_symbol, value_in_model

__all__ = ["Response", "Scan", "half_response", "model_value", "run_scan", "summarise"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Response:
    """What one column does in one run: value at the end, extremes with the times at which they are reached, and mean."""

    end: float
    highest: float
    time_of_highest: float
    lowest: float
    time_of_lowest: float
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Runs over a range.

    Attributes
    ----------
    symbol : what was changed
    span : its range
    x : (count,) values in the unit of the range
    time : (n,)
    columns : names
    values : (count, n, columns)
    """

    symbol: str
    span: Range
    x: FloatArray
    time: FloatArray
    columns: tuple[str, ...]
    values: FloatArray

    def responses(self, column: str) -> list[Response]:
        """Summaries of one column, one for each value."""
        place = self.columns.index(column)
        return [summarise(self.time, self.values[i, :, place]) for i in range(len(self.x))]


def summarise(time: FloatArray, values: FloatArray) -> Response:
    """End, extremes and time-weighted mean of a course."""
    top, low = int(np.argmax(values)), int(np.argmin(values))
    mean = float(np.trapezoid(values, time) / (time[-1] - time[0]))
    return Response(float(values[-1]), float(values[top]), float(time[top]), float(values[low]), float(time[low]), mean)


def model_value(opened: OpenModel, span: Range, value: float, option: str) -> tuple[str, float]:
    """Symbol of a range and one of its values in the model's unit."""
    model = opened.model
    symbol = find_symbol(model, span.name, option=option)
    sizes = {c.id: c.size if c.size is not None else math.nan for c in model.compartments}
    quantity = Quantity((value, span.unit, f"{value:g} {span.unit_text}".strip()))
    return symbol, value_in_model(quantity, symbol, model, option=option, sizes=sizes)


def run_scan(
    opened: OpenModel, experiment: Experiment, span: Range, columns: Sequence[str], *, option: str, log: NoticeLog,
    progress: Stage,
) -> Scan:  # fmt: skip
    """Run an experiment for each value of a range.

    Parameters
    ----------
    opened : model with its engine
    experiment : what is the same in all runs
    span : what differs
    columns : what is kept
    option : of the range, for messages; ``--dose-response`` changes a dose at time 0, others hold from the beginning
    log : receives notices
    progress : called with (stage, done, total)

    Raises
    ------
    InputError
        For names, quantities or columns that the model does not have.
    NotComputable
        When a run fails.
    """
    x = span.values()
    dose = option == "--dose-response"
    if dose:
        symbol = find_symbol(opened.model, span.name, option=option, parameters=False)
        # The doses of the range take the place of a single one.
        others = {
            name: quantity for name, quantity in experiment.dose.items()
            if find_symbol(opened.model, name, option="--dose", parameters=False) != symbol
        }  # fmt: skip
    kept: list[FloatArray] = []
    time = np.empty(0)
    for number, value in enumerate(x.tolist()):
        progress(option.lstrip("-"), number, len(x))
        if dose:
            quantity = Quantity((value, span.unit, f"{value:g}"))
            one = replace(experiment, dose={**others, span.name: quantity})
            course = run_experiment(opened, one, log=log)
        else:
            symbol, changed = model_value(opened, span, value, option)
            course = run_experiment(opened, experiment, log=log, changed={symbol: changed})
        time = course.time
        kept.append(np.column_stack([course[name] for name in columns]))
    progress(option.lstrip("-"), len(x), len(x))
    return Scan(symbol=symbol, span=span, x=x, time=time, columns=tuple(columns), values=np.array(kept))


def half_response(x: FloatArray, y: FloatArray) -> float | None:
    """Where a response passes the middle between its first and its last value, by interpolation on a logarithmic scale.

    Parameters
    ----------
    x : increasing values above 0
    y : responses

    Returns
    -------
    float or None
        None when the response does not rise or fall steadily, or passes its middle outside of the range.
    """
    steps = np.diff(y)
    span = float(y[-1] - y[0])
    if span == 0 or not (x > 0).all() or not (np.sign(span) * steps >= -1e-9 * abs(span)).all():
        return None
    middle = 0.5 * (float(y[0]) + float(y[-1]))
    rising = (y - middle) * np.sign(span)
    place = int(np.argmax(rising >= 0))
    if place == 0:
        return None
    share = (middle - y[place - 1]) / (y[place] - y[place - 1])
    return float(math.exp(math.log(x[place - 1]) + share * (math.log(x[place]) - math.log(x[place - 1]))))
