"""What is published: queries, forest plots with one's own rate, discrepancies of secondary guides, and checks of claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusin.cohort.consistency import check_table
from fusin.errors import InputError
from fusin.evidence.query import Added, discrepancies, forest_data, query, topics
from fusin.provenance import NoticeLog, jsonable
from fusin.report.cohort_figures import forest_plot, forest_rows
from fusin.report.cohort_figures_rates import MOST_FOREST_ROWS
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import shown_columns
from fusin.stats.proportions import ProportionMethod

__all__ = ["EvidenceQuery", "check_claims", "evidence_report"]

_SHORT = ["id", "title", "entity", "tracer", "metric", "value", "low", "high", "unit", "k", "n", "tag", "citation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceQuery:
    """What is asked; see :func:`fusin.evidence.query.query` and :func:`fusin.evidence.query.forest_data`.

    Attributes
    ----------
    forest : topic of a forest plot
    added : rates of one's own in it
    discrepancies : the list of secondary claims beside their originals
    """

    topic: str | None = None
    tracer: str | None = None
    entity: str | None = None
    text: str | None = None
    forest: str | None = None
    metric: str | None = None
    per: str | None = None
    added: tuple[Added, ...] = ()
    interval: ProportionMethod = "wilson"
    discrepancies: bool = False

    @property
    def searches(self) -> bool:
        """Whether records are wanted."""
        return any((self.topic, self.text)) or (not self.forest and any((self.tracer, self.entity)))

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "added"}
        return values | {"added": [{"label": a.label, "k": a.k, "n": a.n, "per": a.per} for a in self.added]}


def evidence_report(asked: EvidenceQuery, *, log: NoticeLog) -> JobOutput:
    """Answer a query; without any condition, the topics.

    Raises
    ------
    InputError
        For an unknown topic, or a rate of one's own without a forest plot.
    """
    for given, option in ((asked.added, "--add"), (asked.metric, "--metric"), (asked.per, "--per")):
        if given and not asked.forest:
            raise InputError("evidence", option, "no forest plot", "--forest TOPIC, which it belongs to")
    document: dict[str, Any] = {"topics": list(topics()), "records": [], "forest": [], "discrepancies": []}
    sections: list[JobSection] = []
    summary: list[str] = []
    if asked.searches:
        frame = query(asked.topic, asked.tracer, asked.entity, asked.text)
        document["records"] = _records(frame)
        text = f"{len(frame)} records. Tags: V read in the source, D derived from it, C computed; U, S and M are unverified."
        table = JobTable(name="records", title="Records", frame=frame[_SHORT], shown=shown_columns(frame[_SHORT]))
        every = JobTable(name="records-all", title="Records, all fields", frame=frame, on_page=False)
        sections.append(JobSection(name="records", title="Published numbers", text=(text,), tables=(table, every)))
        summary.append(text)
    if asked.forest:
        section, document["forest"] = _forest(asked)
        sections.append(section)
        summary += section.text
    if asked.discrepancies:
        frame = discrepancies()
        document["discrepancies"] = _records(frame)
        text = f"{len(frame)} claims of secondary guides beside what the source says."
        table = JobTable(name="discrepancies", title="Discrepancies", frame=frame)
        sections.append(JobSection(name="discrepancies", title="Discrepancies", text=(text,), tables=(table,)))
        summary.append(text)
    if not sections:
        sections.append(_topics_section())
        summary.append("Topics: " + ", ".join(topics()) + ".")
    return JobOutput(
        title="Published evidence", document=document, sections=tuple(sections), summary=tuple(summary),
        notices=log.notices, provenance=provenance_of((), asked.to_json()),
    )  # fmt: skip


def check_claims(path: Path, *, tolerance: float, log: NoticeLog) -> JobOutput:
    """Check published claims against each other; see :mod:`fusin.cohort.consistency`."""
    found = check_table(path, tolerance=tolerance)
    frame = found.to_table()
    sentence = f"{found.title}: {len(found.findings)} checks, {len(found.flagged)} to look at."
    table = JobTable(name="consistency", title="Findings", frame=frame)
    section = JobSection(name="consistency", title="Consistency", text=(sentence,), tables=(table,))
    return JobOutput(
        title=found.title, document=found.to_json(), sections=(section,),
        summary=(sentence, *(f.sentence for f in found.flagged)), notices=log.notices,
        provenance=provenance_of((path,), {"tolerance": tolerance}),
    )  # fmt: skip


def _records(frame: Any) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(k): jsonable(v) for k, v in row.items()} for row in rows]


def _forest(asked: EvidenceQuery) -> tuple[JobSection, list[dict[str, Any]]]:
    frame = forest_data(
        str(asked.forest), added=asked.added, metric=asked.metric, entity=asked.entity, tracer=asked.tracer, per=asked.per,
        method=asked.interval,
    )  # fmt: skip
    if frame.empty:
        raise InputError("evidence", "--forest", asked.forest, _topics_with_rates())
    # Own rates come last and are never left out.
    shown = frame if len(frame) <= MOST_FOREST_ROWS else frame.tail(MOST_FOREST_ROWS)
    text = (
        f"{int((~frame['added'].astype(bool)).sum())} published rates with intervals computed from their counts by one "
    )
    text += f"method ({frame['method'].iloc[0]}); printed limits stand in the full table."
    if len(shown) < len(frame):
        text += f" The figure shows the last {len(shown)} of {len(frame)}."
    figure = forest_plot(forest_rows(shown, group="entity"), name=f"forest-{asked.forest}")
    columns = [
        "label",
        "entity",
        "tracer",
        "metric",
        "per",
        "k",
        "n",
        "rate",
        "low",
        "high",
        "printed_method",
        "citation",
    ]
    printed = frame[columns].rename(columns={"low": "rate_low", "high": "rate_high"})
    tables = (
        JobTable(name="forest", title="Rates", frame=printed, shown=shown_columns(printed, percent=("rate",))),
        JobTable(name="forest-all", title="Rates, all fields", frame=frame, on_page=False),
    )
    section = JobSection(name="forest", title=f"Published rates: {asked.forest}", text=(text,), tables=tables,
                            figures=(figure,))  # fmt: skip
    return section, _records(frame)


def _topics_with_rates() -> str:
    return "a topic with rates that match: " + ", ".join(t for t in topics() if len(forest_data(t)))


def _topics_section() -> JobSection:
    import pandas as pd

    rows: Sequence[dict[str, Any]] = [
        {"topic": t, "records": len(query(t)), "rates_for_a_forest_plot": len(forest_data(t))} for t in topics()
    ]
    table = JobTable(name="topics", title="Topics", frame=pd.DataFrame(rows))
    return JobSection(name="topics", title="Topics", text=("Ask with --topic, --tracer, --entity or --text.",),
                         tables=(table,))  # fmt: skip
