"""Verbs of the evidence: what is published, and whether published numbers agree with each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusin.cli.options import IntervalOption, JsonFlag, OutOption, StrictFlag, choice, finish, own_rate
from fusin.errors import InputError

__all__ = ["register"]

TopicOption = Annotated[str | None, typer.Option("--topic", help="Topic; fusin evidence alone lists them.")]
TracerOption = Annotated[str | None, typer.Option("--tracer", help="Part of the tracer's name.")]
EntityOption = Annotated[str | None, typer.Option("--entity", help="Part of the disease's name.")]
TextOption = Annotated[str | None, typer.Option("--text", help="Words that all occur in the record.")]
ForestOption = Annotated[str | None, typer.Option("--forest", help="Topic whose published rates are drawn.")]
MetricOption = Annotated[str | None, typer.Option("--metric", help="Only these rates in the forest plot.")]
PerOption = Annotated[str | None, typer.Option("--per", help="Only rates per patient, lesion, scan or exam.")]
AddOption = Annotated[
    list[str] | None, typer.Option("--add", help="Your own rate in the plot: 'this cohort=17/20'. Repeatable.")
]
DiscrepanciesFlag = Annotated[
    bool, typer.Option("--discrepancies", help="Claims of secondary guides beside the originals.")
]
ClaimsFile = Annotated[Path, typer.Argument(help="Claims to check, TOML or CSV.", show_default=False)]
ToleranceOption = Annotated[
    float, typer.Option("--tolerance", min=0, help="Points that intervals may differ beyond rounding.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    group = typer.Typer(rich_markup_mode=None, add_completion=False)
    group.callback(invoke_without_command=True)(evidence)
    group.command("check")(check)
    app.add_typer(group, name="evidence")


def evidence(
    context: typer.Context,
    out: OutOption = None,
    topic: TopicOption = None,
    tracer: TracerOption = None,
    entity: EntityOption = None,
    text: TextOption = None,
    forest: ForestOption = None,
    metric: MetricOption = None,
    per: PerOption = None,
    add: AddOption = None,
    interval: IntervalOption = "wilson",
    discrepancies: DiscrepanciesFlag = False,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """What is published, each number with its source; a forest plot with your own rate; fusin evidence check FILE for claims.

    \b
    Example: fusin evidence --topic detection --entity lymphoma
    """
    if context.invoked_subcommand is not None:
        return
    from fusin.evidence.query import Added
    from fusin.provenance import NoticeLog
    from fusin.report.cohort_evidence import EvidenceQuery, evidence_report

    own = tuple(
        Added(label=label, k=k, n=n, per=per or "patient") for label, k, n in (own_rate(t, "--add") for t in add or ())
    )
    asked = EvidenceQuery(
        topic=topic, tracer=tracer, entity=entity, text=text, forest=forest, metric=metric, per=per, added=own,
        interval=choice(interval, ("wilson", "clopper-pearson", "jeffreys", "wald"), "--interval"),
        discrepancies=discrepancies,
    )  # fmt: skip
    finish(evidence_report(asked, log=NoticeLog(strict=strict)), out, as_json=as_json)


def check(
    claims: ClaimsFile,
    out: OutOption = None,
    tolerance: ToleranceOption = 0.0,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Check published claims against each other: ratios and p values, intervals, percentages, 2 x 2 tables, sums.

    \b
    Example: fusin evidence check fusin-demo/cohort/claims.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.report.cohort_evidence import check_claims

    if not claims.is_file():
        raise InputError(claims.name, "file", "nothing", "a file of claims (.toml or .csv)")
    finish(check_claims(claims, tolerance=tolerance, log=NoticeLog(strict=strict)), out, as_json=as_json)
