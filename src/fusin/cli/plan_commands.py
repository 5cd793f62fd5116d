"""The verb of planning: the activity to give under limits that the user sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish, fraction
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.report.plan_schedules import ScheduleOptions

__all__ = ["register"]

StudyFile = Annotated[Path, typer.Argument(help="Study: .toml, .json of fusin dose, or a table.", show_default=False)]
LimitsFile = Annotated[Path | None, typer.Option("--limits", help="Limits, .toml or a table.")]
LimitOption = Annotated[
    list[str] | None,
    typer.Option("--limit", help="'kidneys<=23 p=0.05: CITATION', >= for a minimum; repeatable.", metavar="LIMIT"),
]
NuclideOption = Annotated[
    list[str] | None,
    typer.Option("--nuclide", help="Nuclide that may be given; that of the study when left out. Repeatable."),
]
StudyNuclideOption = Annotated[str | None, typer.Option("--study-nuclide", help="Nuclide of the study, for a table.")]
TargetOption = Annotated[str | None, typer.Option("--target", help="Organ or lesion whose dose is to be high.")]
MixtureFlag = Annotated[bool, typer.Option("--mixture", help="Both nuclides together are allowed.")]
CyclesOption = Annotated[int, typer.Option("--cycles", help="Number of equal cycles, apart from each other.")]
AvailableOption = Annotated[
    list[str] | None, typer.Option("--available", help="Most activity over all cycles: Y-90=6 (GBq). Repeatable.")
]
MarrowOption = Annotated[str | None, typer.Option("--marrow", help="Organ whose residual dose counts.")]
DayOption = Annotated[
    float | None, typer.Option("--transplant-day", help="Days from the administration to the transplant.")
]
ScheduleOption = Annotated[
    list[str] | None, typer.Option("--schedule", help="Hours of scans to compare, such as 48,96. Repeatable.")
]
ScanOption = Annotated[
    float | None, typer.Option("--scan-u-percent", help="Standard uncertainty of each scan's activity, for --schedule.")
]
LevelOption = Annotated[float, typer.Option("--level", help="Level of the intervals.")]
DrawsOption = Annotated[
    int | None,
    typer.Option("--draws", help="Draws of the simulation, 1000 to 1000000; 20000, more for small probabilities."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the simulation.", min=0)]

_MOST_DRAWS = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("plan")(plan)


def plan(
    study: StudyFile,
    out: OutOption = None,
    limits: LimitsFile = None,
    limit: LimitOption = None,
    nuclide: NuclideOption = None,
    study_nuclide: StudyNuclideOption = None,
    target: TargetOption = None,
    mixture: MixtureFlag = False,
    cycles: CyclesOption = 1,
    available: AvailableOption = None,
    marrow: MarrowOption = None,
    transplant_day: DayOption = None,
    schedule: ScheduleOption = None,
    scan_u_percent: ScanOption = None,
    level: LevelOption = 0.95,
    draws: DrawsOption = None,
    seed: SeedOption = 0,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """The activity with the highest dose to a target under limits that you set and cite, each with its probability.

    \b
    Example: fusin plan fusin-demo/dose/plan.toml --limit "kidneys<=23 p=0.05: example"
    """
    from fusin.dosimetry.planning import PlanOptions
    from fusin.dosimetry.planning_files import read_study
    from fusin.provenance import NoticeLog
    from fusin.report.plan_report import plan_report

    if draws is not None and draws > _MOST_DRAWS:
        raise InputError("--draws", "draws", draws, f"at most {_MOST_DRAWS}")
    fraction(level, "--level")
    nuclides = tuple(nuclide or ()) or (read_study(study, NoticeLog(), nuclide_name=study_nuclide)[0].nuclide,)
    options = PlanOptions(
        nuclides=nuclides, target=target, mixture=mixture, cycles=cycles, marrow=marrow, transplant_day=transplant_day,
        available_gbq=_available(available or ()), level=level, seed=seed,
        draws=20_000 if draws is None else draws,
    )  # fmt: skip
    output = plan_report(
        study, options=options, limits_file=limits, limits=tuple(limit or ()), study_nuclide=study_nuclide,
        schedules=_schedules(schedule or (), scan_u_percent), draws_by_limits=draws is None, log=NoticeLog(strict=strict),
    )  # fmt: skip
    finish(output, out, as_json=as_json)


def _schedules(texts: Sequence[str], u_percent: float | None) -> ScheduleOptions | None:
    """Schedules with the uncertainty of a scan; both or neither."""
    from fusin.dosimetry.schedules import parse_schedule
    from fusin.report.plan_schedules import ScheduleOptions

    if not texts and u_percent is None:
        return None
    if not texts or u_percent is None:
        missing = "--scan-u-percent" if texts else "--schedule"
        raise InputError(missing, "option", "nothing", "--schedule and --scan-u-percent together")
    return ScheduleOptions(times_h=tuple(dict.fromkeys(parse_schedule(t) for t in texts)), scan_u=u_percent / 100.0)


def _available(texts: Sequence[str]) -> dict[str, float]:
    """Largest activities by nuclide from ``NUCLIDE=GBQ``."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, amount = text.rpartition("=")
        try:
            value = float(amount)
        except ValueError as err:
            raise InputError("--available", "activity", text, "NUCLIDE=GBQ, for example Y-90=6") from err
        if name in found or not name:
            raise InputError("--available", "nuclide", text, "each nuclide once, NUCLIDE=GBQ")
        found[name] = value
    return found
