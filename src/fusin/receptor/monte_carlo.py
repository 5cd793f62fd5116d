"""What the ranges of parameters do to a time course: draws, and bands that hold a share of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.engines import Experiment, OpenModel, run_experiment
from fusin.receptor.experiments import Range, Stage, parse_range
from fusin.receptor.network import MODELS, records_of
from fusin.receptor.scan import model_value

__all__ = ["PERCENTILES", "Draws", "ranges_of", "run_draws"]

FloatArray = NDArray[np.float64]
PERCENTILES = (2.5, 25.0, 50.0, 75.0, 97.5)
_FEWEST = 10
_MOST_FAILED = 0.5
# A choice between two models and no uncertain number: it repeats the defect of the public file.
_SWITCHES = frozenset({"volume_ratio"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """Time courses of drawn parameters.

    Attributes
    ----------
    ranges : by symbol, in the model's units
    parameters : (draws, symbols) values of the runs that did not fail
    time : (n,)
    columns : names
    values : (draws, n, columns)
    failed : number of runs that failed
    """

    ranges: Mapping[str, Range]
    parameters: FloatArray
    time: FloatArray
    columns: tuple[str, ...]
    values: FloatArray
    failed: int

    def bands(self, column: str) -> FloatArray:
        """Percentiles of a column at each time, (5, n): shares of the draws, no confidence in a mean."""
        found: FloatArray = np.percentile(self.values[:, :, self.columns.index(column)], PERCENTILES, axis=0)
        return found

    def rank_correlations(self, column: str) -> dict[str, float]:
        """Spearman's correlation of each parameter with the value of a column at the end; NaN where nothing varies."""
        from scipy.stats import rankdata

        end = self.values[:, -1, self.columns.index(column)]
        found = {}
        for place, name in enumerate(self.ranges):
            a, b = rankdata(self.parameters[:, place]), rankdata(end)
            spread = float(np.std(a) * np.std(b))
            found[name] = float(np.mean((a - a.mean()) * (b - b.mean())) / spread) if spread > 0 else float("nan")
        return found


def ranges_of(opened: OpenModel, texts: Sequence[str]) -> dict[str, Range]:
    """Ranges that the user states, or those of the records of a shipped model.

    Parameters
    ----------
    opened : the model
    texts : such as ``KD_L_R4=2nM:40nM:log``

    Raises
    ------
    InputError
        When there are none, or one stands twice.
    """
    found: dict[str, Range] = {}
    for text in texts:
        span = parse_range(text, "--range", counted=False)
        symbol, low = model_value(opened, span, span.low, "--range")
        _, high = model_value(opened, span, span.high, "--range")
        if symbol in found:
            raise InputError("--range", "option", f"{symbol} twice", "each name once")
        found[symbol] = Range(name=symbol, low=low, high=high, unit=None, unit_text="", count=0, log=span.log)
    if found:
        return found
    if opened.path is None and opened.name in MODELS:
        for name, record in records_of(opened.name).items():
            if record.low < record.high and name not in _SWITCHES:
                log = record.low > 0
                found[name] = Range(
                    name=name, low=record.low, high=record.high, unit=None, unit_text="", count=0, log=log
                )  # fmt: skip
    if not found:
        raise InputError(
            "--draws", "ranges", "none", "--range NAME=LOW:HIGH, because the model has no records of ranges"
        )
    return found


def run_draws(
    opened: OpenModel, experiment: Experiment, ranges: Mapping[str, Range], columns: Sequence[str], *, draws: int,
    seed: int, log: NoticeLog, progress: Stage,
) -> Draws:  # fmt: skip
    """Run an experiment with drawn parameters, each independent of the others.

    Parameters
    ----------
    opened : model with its engine
    experiment : what is the same in all runs
    ranges : uniform, or uniform on a logarithmic scale
    columns : what is kept
    draws : number of runs
    seed : of the draws
    log : receives a notice when runs fail
    progress : called with (stage, done, total)

    Raises
    ------
    InputError
        For fewer than ten draws.
    NotComputable
        When more than half of the runs fail.
    """
    if draws < _FEWEST:
        raise InputError("--draws", "number", draws, f"at least {_FEWEST} draws, because a band is a share of them")
    rng = np.random.default_rng(seed)
    drawn = np.column_stack([span.draw(rng.random(draws)) for span in ranges.values()])
    kept: list[FloatArray] = []
    used: list[int] = []
    time = np.empty(0)
    for number, row in enumerate(drawn.tolist()):
        progress("draws", number, draws)
        try:
            course = run_experiment(opened, experiment, log=log, changed=dict(zip(ranges, row, strict=True)))
        except NotComputable as err:
            if err.code != "INTEGRATION_FAILED":
                raise
            continue
        time = course.time
        kept.append(np.column_stack([course[name] for name in columns]))
        used.append(number)
    progress("draws", draws, draws)
    failed = draws - len(used)
    if failed > _MOST_FAILED * draws:
        raise NotComputable("the bands", f"{failed} of {draws} runs fail", "narrower ranges", "DRAWS_FAILED")
    if failed:
        log.warning("SOME_DRAWS_FAILED", f"{failed} of {draws} runs failed and are not in the bands", used=len(used))
    return Draws(
        ranges=dict(ranges), parameters=drawn[used], time=time, columns=tuple(columns), values=np.array(kept), failed=failed
    )  # fmt: skip
