"""A reaction model for people: what was run, what changed, and what follows from ranges of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fusin.provenance import Method, NoticeLog
from fusin.receptor.engines import Experiment, OpenModel, run_experiment, values_of_settings
from fusin.receptor.experiments import Stage, Study, chosen_columns, parse_range, silent
from fusin.receptor.monte_carlo import Draws, ranges_of, run_draws
from fusin.receptor.network import MODELS, RELATIVE, read_layer
from fusin.receptor.quantities import unit_text
from fusin.receptor.scan import Scan, half_response, run_scan, summarise
from fusin.receptor.sensitivity import Sensitivity, run_sensitivity
from fusin.receptor.simulation import TimeCourse
from fusin.receptor.steady_state import SteadyState, find_steady_state
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import Figure
from fusin.report.receptor_figures import Look, course_figure, family_figure, response_figure, sensitivity_figure
from fusin.report.table_text import number_text, shown_columns
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["RESPONSE_COLUMNS", "SCAN_COLUMNS", "SENSITIVITY_COLUMNS", "STEADY_COLUMNS", "simulate_report"]

RESPONSE_COLUMNS = (
    Column("column", "string", "species, parameter or compartment"),
    Column("name", "string", "what a person calls it"),
    Column("unit", "string", "unit, where the model declares one that has a short name"),
    Column("start", "float64", "value at time 0"),
    Column("end", "float64", "value at the end"),
    Column("highest", "float64", "highest value among the rows"),
    Column("time_of_highest", "float64", "its time, in the model's unit"),
    Column("lowest", "float64", "lowest value"),
    Column("time_of_lowest", "float64", "its time"),
    Column("mean", "float64", "mean over time"),
)
SCAN_COLUMNS = (
    Column("symbol", "string", "what was changed"),
    Column("value", "float64", "its value, in the unit of the range"),
    Column("column", "string", "what was observed"),
    Column("end", "float64", "value at the end"),
    Column("highest", "float64", "highest value"),
    Column("time_of_highest", "float64", "its time, in the model's unit"),
    Column("lowest", "float64", "lowest value"),
    Column("mean", "float64", "mean over time"),
)
SENSITIVITY_COLUMNS = (
    Column("parameter", "string", "parameter"),
    Column("value", "float64", "its value"),
    Column("output", "string", "column that was observed"),
    Column("end", "float64", "percent of the value at the end per percent of the parameter"),
    Column("highest", "float64", "the same of the highest value"),
    Column("mean", "float64", "the same of the mean over time"),
)
STEADY_COLUMNS = (
    Column("column", "string", "species, parameter or compartment"),
    Column("value", "float64", "value at rest"),
)
_METHODS = {
    "scipy": Method(
        "lsoda", "LSODA: Petzold L, SIAM J Sci Stat Comput 1983;4:136, with the analytic Jacobian, by scipy."
    ),
    "roadrunner": Method("roadrunner", "CVODE in libRoadRunner: Welsh C et al., Bioinformatics 2023;39:btac770."),
}
_SBML = Method("sbml", "SBML Level 3 Version 2: Hucka M et al., J Integr Bioinform 2019;16:20190021.")
_FULL_TABLE = 12


@dataclass(slots=True)
class _Parts:
    """What grows while the questions of a study are answered."""

    sections: list[JobSection] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)


def simulate_report(
    opened: OpenModel, experiment: Experiment, study: Study, *, log: NoticeLog, progress: Stage = silent
) -> JobOutput:
    """Run an experiment and what is asked beside it, and make the page.

    Parameters
    ----------
    opened : model with its engine
    experiment : what is done
    study : further questions
    log : receives notices
    progress : called with (stage, done, total)

    Raises
    ------
    InputError, NotComputable
        As `fusin.receptor.engines.run_experiment` and the functions of the questions.
    """
    course = run_experiment(opened, experiment, log=log)
    columns = chosen_columns(study.outputs, course.names, course.values, [s.id for s in opened.model.species])
    look = _look(opened, experiment, course)
    draws = None
    if study.draws:
        ranges = ranges_of(opened, study.ranges)
        draws = run_draws(
            opened, experiment, ranges, columns, draws=study.draws, seed=study.seed, log=log, progress=progress
        )  # fmt: skip
    parts = _Parts()
    _add_course(parts, opened, course, columns, look, draws)
    for option, text in (("--scan", study.scan), ("--dose-response", study.dose_response)):
        if text:
            span = parse_range(text, option, counted=True)
            found = run_scan(opened, experiment, span, columns, option=option, log=log, progress=progress)
            _add_scan(parts, found, option, look)
    if study.steady_state:
        _add_steady(parts, opened, experiment, course, log)
    if study.sensitivity:
        _add_sensitivity(parts, run_sensitivity(opened, experiment, columns, log=log, progress=progress), columns, look)
    return JobOutput(
        title=f"Simulation of {opened.name}",
        document={
            "engine": course.engine, "model": opened.name, "until": float(course.time[-1]), "points": len(course.time),
            "amounts": course.amounts, "columns": ["time", *course.names], **parts.document,
        },
        sections=tuple(parts.sections), summary=tuple(parts.summary), notices=log.notices,
        provenance=provenance_of(
            [opened.path] if opened.path else [], _parameters(opened, experiment, study), [_METHODS[course.engine], _SBML]
        ),
    )  # fmt: skip


def _parameters(opened: OpenModel, experiment: Experiment, study: Study) -> dict[str, Any]:
    def texts(given: Mapping[str, Any]) -> dict[str, str]:
        return {name: quantity[2] for name, quantity in given.items()}

    return {
        "model": opened.name, "until": experiment.until[2], "points": experiment.points, "dose": texts(experiment.dose),
        "block": texts(experiment.block), "set": texts(experiment.setting), "amounts": experiment.amounts,
        "equilibrate": experiment.equilibrate[2] if experiment.equilibrate else None,
        "rtol": experiment.tolerances.relative, "atol": experiment.tolerances.absolute, "seed": experiment.seed,
        "scan": study.scan, "dose_response": study.dose_response, "draws": study.draws, "ranges": list(study.ranges),
    }  # fmt: skip


def _look(opened: OpenModel, experiment: Experiment, course: TimeCourse) -> Look:
    model = opened.model
    own = model.units.get("$time")
    given = experiment.until[1] or own
    names = {s.id: s.name or s.id for s in model.species} | {p.id: p.name or p.id for p in model.parameters}
    names |= {c.id: c.name or c.id for c in model.compartments}
    units = {name: unit_text(model.units.get(name)) for name in course.names}
    whole = {c.id for c in model.compartments if c.constant and c.size == 1.0}
    for one in model.species:
        # The column may be the other of amount and concentration than the symbol of the species.
        if one.only_substance != course.amounts and not (one.only_substance and one.compartment in whole):
            units[one.id] = "" if one.only_substance else unit_text(model.units.get("$substance"))
    factor = own.factor / given.factor if own is not None and given is not None else 1.0
    notes: tuple[str, ...] = ()
    if opened.path is None and opened.name in MODELS:
        relative = [x for x in MODELS[opened.name].layers if read_layer(x).calibration == RELATIVE]
        notes = (f"Layers {', '.join(relative)}: {RELATIVE}.",) if relative else ()
    return Look(
        names=names, units=units, time_unit=unit_text(given), time_factor=factor, model_time=unit_text(own), notes=notes
    )  # fmt: skip


def _printed(rows: list[dict[str, Any]], columns: tuple[Column, ...], look: Look) -> dict[str, Any]:
    """Frame of responses and how it is printed: each number by its size, times with their unit."""
    frame = to_frame(rows, columns)
    unit = f" [{look.model_time}]" if look.model_time else ""
    headings = {"time_of_highest": f"Time of highest{unit}", "time_of_lowest": f"Time of lowest{unit}"}
    digits = {c.name: 4 for c in columns if c.dtype == "float64"}
    return {"frame": frame, "shown": shown_columns(frame, columns, headings=headings, significant=digits)}


def _add_course(
    parts: _Parts, opened: OpenModel, course: TimeCourse, columns: tuple[str, ...], look: Look, draws: Draws | None
) -> None:
    import pandas as pd

    rows = []
    for name in course.names:
        values = course[name]
        if np.isfinite(values).all():
            found = summarise(course.time, values)
            row = {n: getattr(found, n) for n in found.__slots__}
            row |= {"column": name, "name": look.names.get(name, name), "unit": look.units.get(name, "")}
            rows.append({**row, "start": float(values[0])})
    shown = sorted((r for r in rows if r["column"] in columns), key=lambda r: columns.index(r["column"]))
    frame = to_frame(rows, RESPONSE_COLUMNS)
    tables = [
        JobTable(name="course-summary", title="Columns of the figure", **_printed(shown, RESPONSE_COLUMNS, look)),
        JobTable(name="columns", title="All columns", frame=frame, on_page=False),
        JobTable(
            name="time-course", title="Time course", on_page=False,
            frame=pd.DataFrame(np.column_stack([course.time, course.values]), columns=["time", *course.names]),
        ),
    ]  # fmt: skip
    parts.document["responses"] = shown
    first = next((r for r in shown), None)
    end = f"{course.time[-1] * look.time_factor:.6g} {look.time_unit or 'in the unit of the model'}"
    line = f"{opened.name}: {len(course.time)} rows from 0 to {end} by {course.engine}."
    if first is not None:
        line += (
            f" {first['name']}: {number_text(first['start'])} at the start, {number_text(first['end'])} at the end, highest "
            f"{number_text(first['highest'])} at {number_text(first['time_of_highest'] * look.time_factor)} {look.time_unit}."
        )
    parts.summary.append(line)
    if draws is not None:
        tables.append(_draws_table(parts, draws, columns))
    figure = course_figure(course.time, {c: course[c] for c in columns}, look, draws=draws)
    parts.sections.append(JobSection(name="course", title="Time course", tables=tuple(tables), figures=(figure,)))


def _draws_table(parts: _Parts, draws: Draws, columns: tuple[str, ...]) -> JobTable:
    import pandas as pd

    first = columns[0]
    low, high = draws.bands(first)[[0, -1], -1]
    parts.summary.append(
        f"Draws: {len(draws.values)} of {len(draws.ranges)} parameters; {first} at the end lies between "
        f"{number_text(float(low))} and {number_text(float(high))} in 95 % of them."
    )
    ranks = {column: draws.rank_correlations(column) for column in columns}
    rows = [
        {"parameter": name, "low": span.low, "high": span.high, "log": span.log, **{c: ranks[c][name] for c in columns}}
        for name, span in draws.ranges.items()
    ]
    parts.document["draws"] = {
        "runs": len(draws.values), "failed": draws.failed,
        "ranges": [{k: r[k] for k in ("parameter", "low", "high", "log")} for r in rows],
        "bands": [
            {"column": c, "percentiles": draws.bands(c)[:, -1].tolist(), "rank_correlation": list(ranks[c].values())}
            for c in columns
        ],
    }  # fmt: skip
    frame = pd.DataFrame(rows)
    order = frame[first].abs().sort_values(ascending=False, kind="stable").index
    shown = shown_columns(frame, significant={"low": 3, "high": 3})
    return JobTable(
        name="draws", title="Rank correlation of each parameter with the value at the end (Spearman)",
        frame=frame.loc[order].reset_index(drop=True), shown=shown, on_page=len(rows) <= _FULL_TABLE * 8,
    )  # fmt: skip


def _add_scan(parts: _Parts, found: Scan, option: str, look: Look) -> None:
    rows = []
    halves: dict[str, float | None] = {}
    for column in found.columns:
        responses = found.responses(column)
        for value, one in zip(found.x.tolist(), responses, strict=True):
            row = {n: getattr(one, n) for n in ("end", "highest", "time_of_highest", "lowest", "mean")}
            rows.append({"symbol": found.symbol, "value": value, "column": column, **row})
        halves[column] = half_response(found.x, np.array([r.highest for r in responses]))
    key = option.lstrip("-").replace("-", "_")
    parts.document[key] = {
        "symbol": found.symbol, "unit": found.span.unit_text, "values": found.x.tolist(), "rows": rows,
        "half": [{"column": c, "value": v} for c, v in halves.items()],
    }  # fmt: skip
    column = found.columns[0]
    if halves[column] is not None:
        parts.summary.append(
            f"{column} is half-way between its responses to the lowest and the highest {found.symbol} at "
            f"{number_text(halves[column])} {found.span.unit_text or '(unit of the model)'} (by interpolation)."
        )
    figures: list[Figure] = [response_figure(found, found.columns, look), family_figure(found, column, look)]
    table = JobTable(
        name=key.replace("_", "-"), title=f"Responses to {found.symbol}", **_printed(rows, SCAN_COLUMNS, look)
    )
    title = "Dose response" if key == "dose_response" else "Scan"
    parts.sections.append(JobSection(name=key.replace("_", "-"), title=title, tables=(table,), figures=tuple(figures)))


def _add_steady(parts: _Parts, opened: OpenModel, experiment: Experiment, course: TimeCourse, log: NoticeLog) -> None:
    settings = values_of_settings(opened, experiment, log)
    y, p = opened.own.start(settings, log)
    found: SteadyState = find_steady_state(
        opened, y, p, first=float(course.time[-1]), tolerances=experiment.tolerances, amounts=experiment.amounts, log=log
    )  # fmt: skip
    rows = [{"column": n, "value": v} for n, v in zip(found.columns, found.values.tolist(), strict=True)]
    parts.document["steady_state"] = {
        "values": rows, "after": found.after, "change": found.change,
        "slowest_time": found.slowest_time, "stable": found.stable,
    }  # fmt: skip
    parts.summary.append(
        f"At rest (without doses) after {found.after:g}; "
        + ("stable" if found.stable else "not stable: a small disturbance grows")
        + (f", slowest time constant {number_text(found.slowest_time)}." if found.slowest_time else ".")
    )
    species = {s.id for s in opened.model.species}
    frame = to_frame(rows, STEADY_COLUMNS)
    table = JobTable(name="steady-state", title="Values at rest", frame=frame, on_page=len(species) <= _FULL_TABLE * 8)
    parts.sections.append(JobSection(name="steady-state", title="Steady state", tables=(table,)))


def _add_sensitivity(parts: _Parts, found: list[Sensitivity], columns: tuple[str, ...], look: Look) -> None:
    rows = [{n: getattr(s, n) for n in s.__slots__} for s in found]
    rows.sort(key=lambda r: (r["output"] != columns[0], -abs(r["mean"]) if r["mean"] == r["mean"] else 0.0))
    parts.document["sensitivity"] = rows
    largest = rows[0]
    parts.summary.append(
        f"{columns[0]} depends most on {largest['parameter']}: {number_text(largest['mean'])} % of its mean per percent."
    )
    frame = to_frame(rows, SENSITIVITY_COLUMNS)
    table = JobTable(name="sensitivity", title="Local sensitivities", frame=frame)
    figures = tuple(sensitivity_figure(found, c, look) for c in columns[:2])
    parts.sections.append(JobSection(name="sensitivity", title="Sensitivity", tables=(table,), figures=figures))
