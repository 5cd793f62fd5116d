"""Identifiability of a model as tables: rank of the information, what bounds each parameter, and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import Method, NoticeLog
from fusin.receptor.engines import Experiment, OpenModel, run_experiment
from fusin.receptor.identifiability import Identifiability, Profile, identifiability, profile
from fusin.receptor.network import MODELS, records_of
from fusin.receptor.quantities import Quantity
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import shown_columns

__all__ = ["experiments_by_dose", "identify_report"]

FloatArray = NDArray[np.float64]
_FACTORS = (0.1, 0.2, 0.5, 0.8, 1.25, 2.0, 5.0, 10.0)
_METHODS = (
    Method(
        "fisher-information",
        "Cramer-Rao bound by relative central differences of 0.1 %; rank at 1e-6 of the strongest.",
    ),
    Method("profile-likelihood", "Raue et al., Bioinformatics 2009;25:1923; limits where chi-squared rises by 3.84."),
)
_HEADINGS = {
    "alone_percent": "SD, others known, %",
    "together_percent": "SD, others unknown, %",
    "sensitivity": "Sensitivity, % per %",
}


def identify_report(
    opened: OpenModel,
    experiments: Sequence[Experiment],
    outputs: Sequence[str],
    *,
    scatter: float,
    relative: bool,
    parameters: Sequence[str],
    profiles: Sequence[str],
    log: NoticeLog,
) -> JobOutput:
    """What data would tell; the document is the contract of ``fusin receptor identify --json``.

    Parameters
    ----------
    opened : model
    experiments : one for each dose
    outputs : columns that are measured
    scatter : relative, of each datum
    relative : data are against their first value, as folds of a signal are
    parameters : ids; all that an output depends on when empty
    profiles : parameters to follow
    log : receives notices

    Raises
    ------
    InputError
        For names that the model does not have.
    """
    import pandas as pd

    values = _values(opened, parameters)

    def predicted(changed: Mapping[str, float]) -> FloatArray:
        return _predicted(opened, experiments, outputs, changed, relative=relative)

    run_experiment(opened, replace(experiments[0], points=2), log=log)
    found = identifiability(predicted, values, scatter=scatter)
    followed = [profile(predicted, values, name, scatter=scatter, factors=_FACTORS) for name in profiles]
    frame = pd.DataFrame([{**p.to_json(), "value": f"{p.value:.4g}"} for p in found.parameters])
    shown = shown_columns(frame, headings=_HEADINGS)
    tables = [JobTable(name="identifiability", title="What the data bound", frame=frame, shown=shown)]
    if followed:
        tables.append(JobTable(name="profiles", title="Profiles", frame=pd.DataFrame([_printed(p) for p in followed])))
    sentence = _sentence(found, opened.name, outputs, len(experiments))
    said = {"model": opened.name, "outputs": list(outputs), "scatter": scatter, "relative": relative}
    return JobOutput(
        title=f"Identifiability of {opened.name}",
        document={
            **said, "points": found.points, "rank": found.rank, "eigenvalues": found.eigenvalues.tolist(),
            "weakest": [{"name": k, "weight": v} for k, v in _heaviest(found)],
            "parameters": [p.to_json() for p in found.parameters],
            "profiles": [{**_profile_row(p), "factors": p.factors, "loss": p.loss} for p in followed],
        },
        sections=(JobSection(name="identifiability", title="Identifiability", text=(sentence,), tables=tuple(tables)),),
        summary=(sentence,), notices=log.notices,
        provenance=provenance_of(() if opened.path is None else (opened.path,), said, _METHODS),
    )  # fmt: skip


def _predicted(
    opened: OpenModel,
    experiments: Sequence[Experiment],
    outputs: Sequence[str],
    changed: Mapping[str, float],
    *,
    relative: bool,
) -> FloatArray:
    """Data of all experiments in one row, without the start."""
    rows = []
    for experiment in experiments:
        course = run_experiment(opened, experiment, log=NoticeLog(), changed=changed)
        for name in outputs:
            if name not in course.names:
                raise InputError("--output", "column", name, "a column of the model")
            curve = course[name]
            rows.append(curve[1:] / curve[0] if relative and curve[0] > 0 else curve[1:])
    return np.concatenate(rows)


def _values(opened: OpenModel, parameters: Sequence[str]) -> dict[str, float]:
    """Parameters that could be fitted: constant, above 0, and no switch of a shipped model."""
    records = records_of(opened.name) if opened.path is None and opened.name in MODELS else {}
    every = {
        p.id: p.value for p in opened.model.parameters if p.constant and p.role == "global" and p.value and p.value > 0
    }
    if records:
        every = {k: v for k, v in every.items() if k in records and records[k].status != "assumed"}
    for name in parameters:
        if name not in {p.id for p in opened.model.parameters if p.value and p.value > 0}:
            raise InputError("--parameter", "name", name, "a constant parameter above 0 of the model")
    chosen = {p.id: p.value for p in opened.model.parameters if p.id in parameters} if parameters else every
    return {name: float(value) for name, value in chosen.items() if value is not None}


def _profile_row(one: Profile) -> dict[str, object]:
    open_sides = [side for side, limit in (("below", one.low), ("above", one.high)) if limit is None]
    return {"name": one.name, "value": one.value, "low": one.low, "high": one.high, "open": " and ".join(open_sides)}


def _printed(one: Profile) -> dict[str, object]:
    row = _profile_row(one)
    return {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}


def _heaviest(found: Identifiability) -> list[tuple[str, float]]:
    return sorted(found.weakest.items(), key=lambda item: -abs(item[1]))[:5]


def _sentence(found: Identifiability, model: str, outputs: Sequence[str], doses: int) -> str:
    counts = {
        word: sum(p.verdict == word for p in found.parameters)
        for word in ("bounded", "loosely bounded", "practically not identifiable", "not identifiable")
    }
    said = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    weakest = " and ".join(name for name, _ in _heaviest(found)[:2])
    return (
        f"{found.points} data of {', '.join(outputs)} at {doses} doses bound {found.rank} combinations of {len(found.parameters)} "
        f"parameters of {model}: {said}; weakest together are {weakest}."
    )


def experiments_by_dose(base: Experiment, doses: Sequence[Mapping[str, Quantity]]) -> tuple[Experiment, ...]:
    """One experiment for each dose."""
    return tuple(replace(base, dose=dose) for dose in doses)
