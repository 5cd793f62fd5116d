"""The verb that runs a reaction model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusin.cli.console import emit_json, print_notices, relative, say, stages, talk
from fusin.cli.options import JsonFlag, StrictFlag, choice, finish
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.receptor.engines import Experiment, OpenModel
    from fusin.receptor.experiments import Study

__all__ = ["register"]

_ENGINES = ("scipy", "roadrunner")

ModelFile = Annotated[
    str, typer.Argument(help="SBML or Antimony file, or a model of fusin (fusin receptor models).", show_default=False)
]
UntilOption = Annotated[str, typer.Option("--until", help="End: 90min, 2h, or a number in the model's unit.")]
PointsOption = Annotated[int, typer.Option("--points", help="Rows of the table, evenly spaced from 0 to the end.")]
EngineOption = Annotated[str, typer.Option("--engine", help="scipy (always there) or roadrunner (optional, fast).")]
AmountsFlag = Annotated[bool, typer.Option("--amounts", help="Species as amounts instead of concentrations.")]
TableOrFolder = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="NAME.csv for the table alone; a folder for tables, figures, report and JSON."),
]
DoseOption = Annotated[
    list[str] | None,
    typer.Option("--dose", help="Given at time 0: CXCL12=10nM. Repeatable.", metavar="SPECIES=QUANTITY"),
]
BlockOption = Annotated[
    list[str] | None,
    typer.Option("--block", help="Antagonist on board: pentixafor=5nM. Repeatable.", metavar="SPECIES=QUANTITY"),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Another value of a parameter. Repeatable.", metavar="NAME=QUANTITY")
]
RestOption = Annotated[
    str | None, typer.Option("--equilibrate", help="Time before 0 that the model runs without the dose.")
]
OutputsOption = Annotated[
    list[str] | None, typer.Option("--output", help="Column that is drawn and compared. Repeatable.", metavar="COLUMN")
]
ScanOption = Annotated[
    str | None, typer.Option("--scan", help="Runs over a range: NAME=LOW:HIGH:COUNT or with :log.", metavar="RANGE")
]
ResponseOption = Annotated[
    str | None,
    typer.Option("--dose-response", help="The same for doses: CXCL12=0.1nM:1000nM:13:log.", metavar="RANGE"),
]
SteadyFlag = Annotated[bool, typer.Option("--steady-state", help="Where the model comes to rest, from the start.")]
SensitivityFlag = Annotated[bool, typer.Option("--sensitivity", help="What each parameter does to the outputs.")]
DrawsOption = Annotated[int, typer.Option("--draws", help="Monte Carlo over the ranges of parameters.", min=0)]
RangeOption = Annotated[
    list[str] | None,
    typer.Option("--range", help="Range of a parameter for --draws: NAME=LOW:HIGH or with :log. Repeatable."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the draws and of simultaneous events.", min=0)]
RelativeOption = Annotated[float, typer.Option("--rtol", help="Relative tolerance of the integration.")]
AbsoluteOption = Annotated[
    float | None, typer.Option("--atol", help="Absolute tolerance; follows from the start if left out.")
]


def register(group: typer.Typer) -> None:
    """Add the verbs to the group."""
    group.command("simulate")(simulate)
    group.command("models")(models)


def simulate(
    model: ModelFile,
    until: UntilOption,
    points: PointsOption = 181,
    engine: EngineOption = "scipy",
    amounts: AmountsFlag = False,
    out: TableOrFolder = None,
    dose: DoseOption = None,
    block: BlockOption = None,
    setting: SetOption = None,
    equilibrate: RestOption = None,
    output: OutputsOption = None,
    scan: ScanOption = None,
    dose_response: ResponseOption = None,
    steady_state: SteadyFlag = False,
    sensitivity: SensitivityFlag = False,
    draws: DrawsOption = 0,
    ranges: RangeOption = None,
    seed: SeedOption = 0,
    rtol: RelativeOption = 1e-9,
    atol: AbsoluteOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Time course of a reaction model: a shipped one, or any SBML or Antimony file.

    \b
    Example: fusin receptor simulate cxcr4 --dose CXCL12=110nM --block pentixafor=5nM --until 90min
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.engines import Experiment, open_model
    from fusin.receptor.experiments import Study
    from fusin.receptor.quantities import parse_pairs, parse_quantity
    from fusin.receptor.scipy_engine import Tolerances

    _check_tolerances(rtol, atol)
    log = NoticeLog(strict=strict)
    opened = open_model(model, engine=choice(engine, _ENGINES, "--engine"), log=log)
    experiment = Experiment(
        until=parse_quantity(until, "--until"), points=points, dose=parse_pairs(dose or [], "--dose"),
        block=parse_pairs(block or [], "--block"), setting=parse_pairs(setting or [], "--set"),
        equilibrate=None if equilibrate is None else parse_quantity(equilibrate, "--equilibrate"), amounts=amounts,
        tolerances=Tolerances(relative=rtol, absolute=atol), seed=seed,
    )  # fmt: skip
    study = Study(
        outputs=tuple(output or ()), scan=scan, dose_response=dose_response, steady_state=steady_state,
        sensitivity=sensitivity, draws=draws, ranges=tuple(ranges or ()), seed=seed,
    )  # fmt: skip
    if out is not None and out.suffix.casefold() == ".csv":
        _table(opened, experiment, study, log, out, as_json=as_json)
        return
    from fusin.report.receptor_simulate_report import simulate_report

    with stages() as progress:
        made = simulate_report(opened, experiment, study, log=log, progress=progress)
    finish(made, out, as_json=as_json)


def _table(opened: OpenModel, experiment: Experiment, study: Study, log: Any, out: Path, *, as_json: bool) -> None:
    """The table alone: without a report, because this is what a pipeline calls many times."""
    from fusin.files import write_bytes_atomically
    from fusin.receptor.engines import run_experiment

    if study.asked:
        raise InputError("--out", "file", out.name, f"a folder, because {study.asked} gives more than one table")
    course = run_experiment(opened, experiment, log=log)
    write_bytes_atomically(out, course.csv_text().encode("utf-8"))
    if as_json:
        notices = [n.to_json() for n in log.notices]
        document: dict[str, Any] = {
            "engine": course.engine,
            "notices": notices,
            "model": opened.name,
            "points": len(course.time),
        }
        document |= {"until": float(course.time[-1]), "amounts": course.amounts, "columns": ["time", *course.names]}
        emit_json({**document, "outputs": {"table": out.name}})
    console = talk(as_json=as_json)
    say(
        console,
        f"{len(course.time)} rows of {len(course.names)} columns from 0 to {course.time[-1]:g} by {course.engine}",
    )
    print_notices(console, log.notices)
    say(console, f"Written to {relative(out)}")


def _check_tolerances(rtol: float, atol: float | None) -> None:
    if not 1e-14 <= rtol < 0.1:
        raise InputError("--rtol", "tolerance", rtol, "from 1e-14 to below 0.1")
    if atol is not None and not 0.0 < atol < float("inf"):
        raise InputError("--atol", "tolerance", atol, "a positive number")


def models(as_json: JsonFlag = False) -> None:
    """Models that come with fusin, by the name that simulate takes.

    \b
    Example: fusin receptor models
    """
    from fusin.receptor.network import MODELS

    if as_json:
        emit_json({"models": [{"name": name, "layers": m.layers, "title": m.title} for name, m in MODELS.items()]})
        return
    console = talk()
    for name, shipped in MODELS.items():
        say(console, f"{name:<20} {shipped.title}")
