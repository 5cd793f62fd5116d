"""A pathway at rest, stimulated and blocked: one drawing each, with the same places and the same shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.provenance import Method, NoticeLog
from fusin.receptor.engines import Experiment, OpenModel, run_experiment
from fusin.receptor.network import MODELS, RELATIVE, read_layer, records_of
from fusin.receptor.pathway_graph import PathwayGraph, node_levels, pathway_graph, taking_part
from fusin.receptor.peptide_amount import AVOGADRO
from fusin.receptor.quantities import Quantity, time_in_model, unit_text
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.pathway_figure import PathwayState, pathway_figure
from fusin.report.plate import Figure, counted, number_label
from fusin.report.table_text import shown_columns

__all__ = ["pathway_report"]

_WORDS = {"rest": "At rest", "stimulated": "Stimulated", "blocked": "Stimulated and blocked"}
_METHODS = (
    Method("layered-drawing", "Sugiyama, Tagawa, Toda, IEEE Trans Syst Man Cybern 1981;11:109."),
    Method("receptor-layer", "Coggins et al., PLoS ONE 2014;9:e98328, with one volume for the ligand."),
)
_MANY = 60


def pathway_report(opened: OpenModel, experiment: Experiment, *, at: Quantity | None, log: NoticeLog) -> JobOutput:
    """Draw a model in up to three states; the document is the contract of ``fusin receptor pathway --json``.

    Parameters
    ----------
    opened : model
    experiment : doses make the stimulated state; blocks and settings are added for the blocked one
    at : moment that is drawn; the end when None
    log : receives notices

    Raises
    ------
    InputError
        For a moment outside of the simulation, or a model with too many species to draw.
    """
    shipped = MODELS.get(opened.name) if opened.path is None else None
    words = [w for letter in (shipped.layers if shipped else "") for w in read_layer(letter).nodes]
    graph = pathway_graph(opened.model, words)
    courses = {name: run_experiment(opened, one, log=log) for name, one in _states(experiment).items()}
    levels = {name: node_levels(graph, course) for name, course in courses.items()}
    graph, levels = _without_empty(graph, levels)
    if len(graph.nodes) > _MANY:
        raise InputError(
            opened.name, "species", f"{len(graph.nodes)} to draw", f"a model of at most {_MANY} nodes that take part"
        )
    time = next(iter(courses.values())).time
    moment = _moment(at, opened, float(time[-1]))
    row = int(np.argmin(np.abs(time - moment)))
    peak = np.max([level.max(axis=0) for level in levels.values()], axis=0)
    notes = _notes(shipped.layers if shipped else "")
    figures = [
        _figure(graph, name, level[row], peak, minutes=_said_time(float(time[row]), opened), notes=notes, opened=opened)
        for name, level in levels.items()
    ]
    return _output(opened, experiment, graph, levels, row, float(time[row]), figures, notes, log)


def _states(experiment: Experiment) -> dict[str, Experiment]:
    """Experiments of the states that differ."""
    rest = replace(experiment, dose={}, block={}, setting={})
    found = {"rest": rest}
    if experiment.dose:
        found["stimulated"] = replace(experiment, block={}, setting={})
    if experiment.block or experiment.setting:
        found["blocked"] = experiment
    return found


def _without_empty(graph: PathwayGraph, levels: Mapping[str, Any]) -> tuple[PathwayGraph, dict[str, Any]]:
    smaller = taking_part(graph, list(levels.values()))
    kept = [graph.nodes.index(node) for node in smaller.nodes]
    return smaller, {name: level[:, kept] for name, level in levels.items()}


def _moment(at: Quantity | None, opened: OpenModel, end: float) -> float:
    if at is None:
        return end
    moment = time_in_model(at, opened.model, "--at")
    if not 0 <= moment <= end:
        raise InputError("--at", "moment", moment, f"a moment from 0 to the end of {end:g} in the model's unit")
    return moment


def _said_time(time: float, opened: OpenModel) -> str:
    unit = opened.model.units.get("$time")
    if unit is not None and unit.powers == (("second", 1.0),):
        seconds = time * unit.factor
        return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
    return f"time {time:g}"


def _notes(layers: str) -> tuple[str, ...]:
    relative = [x for x in layers if read_layer(x).calibration == RELATIVE]
    if not relative:
        return ()
    return (f"Layers {', '.join(f'{x} ({read_layer(x).title})' for x in relative)}:", f"{RELATIVE}.")


def _text(value: float, *, share: bool, unit: str) -> str:
    if share:
        # Rounding leaves an empty form a hair below nothing.
        return f"{value if value <= -5e-3 else abs(value):.0%} active"
    size = abs(value)
    after = f" {unit}" if unit in ("pM", "nM", "uM", "mM") else ""
    if size >= 1000:
        return number_label(round(value, 2 - int(np.floor(np.log10(size)))), 1.0) + after
    return (f"{value:.3g}" if size >= 1e-6 else "0") + after


def _figure(
    graph: PathwayGraph, name: str, values: Any, peak: Any, *, minutes: str, notes: Sequence[str], opened: OpenModel
) -> Figure:
    shares = [float(v / p) if p > 0 else 0.0 for v, p in zip(values, peak, strict=True)]
    units = [_unit(opened, n.active[0]) for n in graph.nodes]
    texts = [_text(float(v), share=n.switches, unit=u) for v, n, u in zip(values, graph.nodes, units, strict=True)]
    rested = opened.path is None or name != "rest"
    title = f"{_WORDS[name] if rested else 'As the model stands'}, {minutes}"
    amounts = " Amounts without a unit are molecules per cell, or relative." if "molecules" in units else ""
    return pathway_figure(
        graph, PathwayState(title, shares, texts), name=f"pathway_{name}", notes=notes,
        caption=f"{opened.name}: {title[0].lower()}{title[1:]}. Drawn from the reactions of the model; shades run from none to the "
        f"most in any state.{amounts}",
    )  # fmt: skip


def _output(
    opened: OpenModel,
    experiment: Experiment,
    graph: PathwayGraph,
    levels: Mapping[str, Any],
    row: int,
    time: float,
    figures: Sequence[Figure],
    notes: Sequence[str],
    log: NoticeLog,
) -> JobOutput:
    import pandas as pd

    nodes = _rows(opened, graph, levels, row)
    edges = [
        {"source": graph.nodes[e.source].label, "target": graph.nodes[e.target].label, "kind": e.kind}
        for e in graph.edges
    ]
    records = (
        [r.to_json() for r in records_of(opened.name).values()] if opened.path is None and opened.name in MODELS else []
    )
    printed = pd.DataFrame([_rounded(n, list(levels)) for n in nodes])
    shown = shown_columns(printed, significant=dict.fromkeys(levels, 4))
    tables = [JobTable(name="nodes", title="Nodes at the moment drawn", frame=printed, shown=shown)]
    tables.append(JobTable(name="edges", title="Edges", frame=pd.DataFrame(edges), on_page=False))
    sections = [
        JobSection(name="pathway", title="Pathway", text=tuple(notes), tables=tuple(tables), figures=tuple(figures))
    ]
    summary = [f"{len(nodes)} nodes and {len(edges)} edges of {opened.name}, drawn in {counted(len(levels), 'state')}."]
    if records:
        counts = pd.Series([r["status"] for r in records]).value_counts()
        said = "; ".join(f"{n} {status}" for status, n in counts.items())
        summary.append(f"Parameters: {said}.")
        frame = pd.DataFrame(records)[["layer", "id", "value", "low", "high", "unit", "status", "source", "meaning"]]
        table = JobTable(name="parameters", title="Parameters and what they rest on", frame=frame, on_page=False)
        sections.append(
            JobSection(
                name="parameters",
                title="Parameters",
                text=(f"{said}; each with its source in tables/parameters.csv.",),
                tables=(table,),
            )
        )
    parameters = {
        "model": opened.name,
        "dose": _said(experiment.dose),
        "block": _said(experiment.block),
        "set": _said(experiment.setting),
    }
    return JobOutput(
        title=f"Pathway of {opened.name}",
        document={
            "model": opened.name, "at": time, "nodes": nodes, "edges": edges, "parameters": records, "calibration": " ".join(notes),
        },
        sections=tuple(sections), summary=tuple(summary), notices=log.notices,
        provenance=provenance_of(() if opened.path is None else (opened.path,), parameters, _METHODS),
    )  # fmt: skip


def _rows(opened: OpenModel, graph: PathwayGraph, levels: Mapping[str, Any], row: int) -> list[dict[str, Any]]:
    """Nodes with their levels at one moment."""
    return [
        {
            "node": node.label,
            "compartment": node.lane,
            "measure": "active share" if node.switches else "amount",
            "unit": _unit(opened, node.active[0]) if not node.switches else "",
            **{name: float(level[row, k]) for name, level in levels.items()},
        }
        for k, node in enumerate(graph.nodes)
    ]


def _rounded(node: Mapping[str, Any], states: Sequence[str]) -> dict[str, Any]:
    """A row with four digits; what integration leaves of nothing is nothing."""
    noise = 1e-12 * max(abs(node[name]) for name in states)
    return {**node, **{name: float(f"{node[name]:.4g}") if abs(node[name]) > noise else 0.0 for name in states}}


def _unit(opened: OpenModel, species: str) -> str:
    """Unit in which a time course has a species, in words."""
    unit = opened.model.units.get(species)
    if unit is None:
        return ""
    if not unit.powers:
        return "relative"
    if unit.powers == (("mole", 1.0),) and 0.99 < unit.factor * AVOGADRO < 1.01:
        return "molecules"
    return unit_text(unit)


def _said(quantities: Mapping[str, Quantity]) -> dict[str, str]:
    return {name: quantity[2] for name, quantity in quantities.items()}
