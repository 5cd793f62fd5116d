"""The theranostic and the clinical study workflow as diagrams, made from the stages of this program."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.pathway_graph import GraphEdge, GraphNode, PathwayGraph
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.pathway_figure import PathwayState, Style, pathway_figure
from fusin.report.plate import Figure

__all__ = ["Stage", "Workflow", "workflow_figure", "workflow_report", "workflows"]

_STYLE = Style(box=98.0, tall=26.0, step=46.0, most=4, legend=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: what is done, the verb that does it, where, and after which steps."""

    id: str
    title: str
    verb: str
    lane: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workflow:
    """Stages in lanes from the top."""

    name: str
    title: str
    lanes: tuple[str, ...]
    stages: tuple[Stage, ...]


@cache
def workflows() -> Mapping[str, Workflow]:
    """The workflows of ``workflows.toml`` by name.

    Raises
    ------
    InputError
        When a stage follows one that does not exist.
    """
    text = resources.files("fusin.report").joinpath("workflows.toml").read_text(encoding="utf-8")
    found: dict[str, Workflow] = {}
    for name, raw in tomllib.loads(text).items():
        stages = tuple(
            Stage(s["id"], s["title"], s["verb"], s["lane"], tuple(s.get("after", ()))) for s in raw["stage"]
        )
        known = {s.id for s in stages}
        for stage in stages:
            for before in stage.after:
                if before not in known:
                    raise InputError("workflows.toml", f"after of {stage.id}", before, "a stage of the same workflow")
        found[name] = Workflow(name, str(raw["title"]), tuple(raw["lanes"]), stages)
    return found


def workflow_figure(workflow: Workflow) -> Figure:
    """Draw one workflow; a lane without stages is left out."""
    place = {stage.id: k for k, stage in enumerate(workflow.stages)}
    nodes = tuple(GraphNode(s.title, (s.id,), (s.id,), s.lane) for s in workflow.stages)
    edges = tuple(GraphEdge(place[a], place[s.id], "turns") for s in workflow.stages for a in s.after)
    used = {s.lane for s in workflow.stages}
    graph = PathwayGraph(nodes, edges, tuple(lane for lane in workflow.lanes if lane in used))
    state = PathwayState(workflow.title, None, [f"fusin {s.verb}" for s in workflow.stages])
    return pathway_figure(
        graph, state, name=f"workflow_{workflow.name}", style=_STYLE,
        caption=f"{workflow.title}: each box is a step and the verb of fusin that does it.",
    )  # fmt: skip


def workflow_report(*, log: NoticeLog) -> JobOutput:
    """Both workflows; the document is the contract of ``fusin receptor workflow --json``."""
    import pandas as pd

    sections: list[JobSection] = []
    document: dict[str, Any] = {}
    for name, workflow in workflows().items():
        rows = [
            {"stage": s.id, "title": s.title, "verb": f"fusin {s.verb}", "lane": s.lane, "after": ", ".join(s.after)}
            for s in workflow.stages
        ]
        document[name] = rows
        table = JobTable(name=name, title=workflow.title, frame=pd.DataFrame(rows))
        sections.append(
            JobSection(name=name, title=workflow.title, tables=(table,), figures=(workflow_figure(workflow),))
        )
    steps = sum(len(w.stages) for w in workflows().values())
    return JobOutput(
        title="Workflows",
        document={"workflows": document},
        sections=tuple(sections),
        summary=(f"{len(document)} workflows with {steps} steps, each with the verb that does it.",),
        notices=log.notices,
        provenance=provenance_of((), {}),
    )
