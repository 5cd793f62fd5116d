"""Verbs of the bench that start from counts: assay counts, assay biodistribution, assay uptake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.assays.counting_runs import RunSetup

__all__ = ["register"]

CountsFile = Annotated[
    Path, typer.Argument(help="Counter file: Hidex, a CSV of ours, or any with --map.", show_default=False)
]
StudyTable = Annotated[
    Path, typer.Argument(help="Tubes with counts, values (animal, organ, value), or printed means.", show_default=False)
]
MapOption = Annotated[Path | None, typer.Option("--map", help="Column map of the counter, TOML.")]
NuclideOption = Annotated[str | None, typer.Option("--nuclide", help="Nuclide for decay, e.g. Ga-68.")]
HalfLifeOption = Annotated[
    float | None, typer.Option("--half-life-h", help="Half-life in hours, of a nuclide that fusin does not know.")
]
AppliedOption = Annotated[
    list[str] | None,
    typer.Option("--applied", help="What the counter corrected already: dead-time, background or decay. Repeatable."),
]
BackgroundOption = Annotated[
    float | None, typer.Option("--background-cpm", help="Background instead of blanks, counts per minute.")
]
BackgroundUOption = Annotated[
    float | None, typer.Option("--background-u-cpm", help="Its standard uncertainty, counts per minute.")
]
BlankOption = Annotated[list[str] | None, typer.Option("--blank", help="A tube that is a blank. Repeatable.")]
DeadTimeOption = Annotated[
    float, typer.Option("--dead-time-us", min=0, help="Dead time of the counter in microseconds.")
]
DeadModelOption = Annotated[str, typer.Option("--dead-time-model", help="nonparalysable or paralysable.")]
EfficiencyOption = Annotated[
    list[str] | None,
    typer.Option("--efficiency", help="VALUE, VALUE,U or DETECTOR=VALUE,U with its standard uncertainty. Repeatable."),
]
DateOrderOption = Annotated[
    str | None, typer.Option("--date-order", help="Of dates that are not ISO: day-first or month-first.")
]
ReferenceOption = Annotated[
    str | None, typer.Option("--reference-time", help="Common time of all rates, ISO; the first count without it.")
]
SpillOption = Annotated[
    list[str] | None,
    typer.Option("--spill-over", help="NUCLIDE=WINDOW:TUBE, the pure standard of a nuclide. One for each nuclide."),
]
AnimalsOption = Annotated[Path | None, typer.Option("--animals", help="Table of animals: groups, weights, syringes.")]
StandardsOption = Annotated[Path | None, typer.Option("--standards", help="Table of standards and blanks, if apart.")]
CountsOption = Annotated[
    Path | None, typer.Option("--counts", help="Counter file, where the table of tubes holds no counts.")
]
WindowOption = Annotated[str | None, typer.Option("--window", help="Energy window of the counter file, if several.")]
BalanceOption = Annotated[float | None, typer.Option("--balance-sd-mg", min=0, help="SD of one weighing in mg.")]
TailLimitOption = Annotated[
    float | None,
    typer.Option("--tail-limit", min=0, help="Leave out animals with more of the dose in the tail, in percent."),
]
TailOption = Annotated[
    str, typer.Option("--tail", help="Activity in the tail: subtract it from the dose, or keep it in.")
]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="Organ above the line of ratios; the tumour without it.")
]
CompareOption = Annotated[
    list[str] | None, typer.Option("--compare", help="Two groups or two times, 'A,B'. Repeatable; 'none' for no test.")
]
RatioOption = Annotated[str, typer.Option("--ratio-interval", help="Of ratios of means: fieller, delta or bootstrap.")]
DispersionOption = Annotated[str, typer.Option("--dispersion", help="Beside each mean: SD or SEM.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of a bootstrap.")]


UptakeTable = Annotated[
    Path, typer.Argument(help="Tubes of wells (supernatant, acid wash, lysate), blanks, standards.", show_default=False)
]
TracerOption = Annotated[str | None, typer.Option("--reference", help="Tracer to which the others are normalised.")]
RecoveryOption = Annotated[str, typer.Option("--recovery-limits", help="LOW,HIGH in percent of the applied standard.")]


def register(assay: typer.Typer) -> None:
    """Add the verbs below ``assay``."""
    assay.command("counts")(counts)
    assay.command("biodistribution")(biodistribution)
    assay.command("uptake")(uptake)


def _run(
    nuclide: str | None, applied: list[str] | None, background: float | None, background_u: float | None,
    blank: list[str] | None, dead_us: float, dead_model: str, efficiency: list[str] | None, date_order: str | None,
    half_life_h: float | None, reference: str | None = None,
) -> RunSetup:  # fmt: skip
    """What is stated about a run, from the options."""
    from fusin.assays.counting_runs import APPLIED, RunSetup
    from fusin.assays.counting_times import DATE_ORDERS, parse_time

    return RunSetup(
        nuclide=nuclide, half_life_h=half_life_h, applied=tuple(choice(a, APPLIED, "--applied") for a in applied or ()),
        background_cpm=background, background_u_cpm=background_u, blanks=tuple(blank or ()), dead_time_us=dead_us,
        dead_time_model=choice(dead_model, ("nonparalysable", "paralysable"), "--dead-time-model"),
        efficiency=dict(_efficiency(text) for text in efficiency or ()),
        date_order=None if date_order is None else choice(date_order, DATE_ORDERS, "--date-order"),
        reference=None if reference is None else parse_time(reference, "--reference-time", "time", order=date_order),
    )  # fmt: skip


def _efficiency(text: str) -> tuple[str, tuple[float, float]]:
    detector, sign, numbers = text.rpartition("=")
    value, _, u = numbers.partition(",")
    try:
        return detector if sign else "", (float(value), float(u or 0.0))
    except ValueError:
        raise InputError("--efficiency", "value", text, "a number, 0.31,0.005 or detector=0.31,0.005") from None


def _pairs(texts: list[str] | None) -> tuple[tuple[str, str], ...] | None:
    if texts is None:
        return None
    found = []
    for text in texts:
        first, comma, second = text.partition(",")
        if text.strip().lower() == "none":
            continue
        if not comma or not first.strip() or not second.strip():
            raise InputError("--compare", "pair", text, "two labels with a comma, for example 'unblocked,blocked'")
        found.append((first.strip(), second.strip()))
    return tuple(found)


def counts(
    file: CountsFile,
    out: OutOption = None,
    column_map: MapOption = None,
    nuclide: NuclideOption = None,
    reference_time: ReferenceOption = None,
    blank: BlankOption = None,
    background_cpm: BackgroundOption = None,
    background_u_cpm: BackgroundUOption = None,
    dead_time_us: DeadTimeOption = 0.0,
    dead_time_model: DeadModelOption = "nonparalysable",
    efficiency: EfficiencyOption = None,
    applied: AppliedOption = None,
    date_order: DateOrderOption = None,
    half_life_h: HalfLifeOption = None,
    spill_over: SpillOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Net rates of a counter file at one time: dead time, background, decay, efficiency, spill-over, Currie limits.

    \b
    Example: fusin assay counts fusin-demo/bench/hidex.csv --nuclide Ga-68 --blank blank-1 --blank blank-2
    """
    from fusin.provenance import NoticeLog
    from fusin.report.counts_report import CountsOptions, counts_report

    log = NoticeLog(strict=strict)
    run = _run(nuclide, applied, background_cpm, background_u_cpm, blank, dead_time_us, dead_time_model, efficiency,
               date_order, half_life_h, reference_time)  # fmt: skip
    options = CountsOptions(run=run, column_map=column_map, spill_over=dict(_spill(text) for text in spill_over or ()))
    finish(counts_report(file, options=options, log=log), out, as_json=as_json)


def _spill(text: str) -> tuple[str, tuple[str, str]]:
    nuclide, equals, rest = text.partition("=")
    window, colon, tube = rest.partition(":")
    if not (equals and colon and nuclide and window and tube):
        raise InputError("--spill-over", "standard", text, "NUCLIDE=WINDOW:TUBE, for example Lu-177=low:std-Lu")
    return nuclide, (window, tube)


def biodistribution(
    table: StudyTable,
    out: OutOption = None,
    animals: AnimalsOption = None,
    standards: StandardsOption = None,
    counts: CountsOption = None,
    column_map: MapOption = None,
    window: WindowOption = None,
    nuclide: NuclideOption = None,
    blank: BlankOption = None,
    background_cpm: BackgroundOption = None,
    background_u_cpm: BackgroundUOption = None,
    dead_time_us: DeadTimeOption = 0.0,
    dead_time_model: DeadModelOption = "nonparalysable",
    efficiency: EfficiencyOption = None,
    applied: AppliedOption = None,
    date_order: DateOrderOption = None,
    half_life_h: HalfLifeOption = None,
    balance_sd_mg: BalanceOption = None,
    tail: TailOption = "subtract",
    tail_limit: TailLimitOption = None,
    target: TargetOption = None,
    compare: CompareOption = None,
    ratio_interval: RatioOption = "fieller",
    dispersion: DispersionOption = "SD",
    seed: SeedOption = 0,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """%ID/g, %ID per organ and SUV; tumour-to-organ ratios per animal and of means; groups compared; exclusions listed.

    \b
    Example: fusin assay biodistribution fusin-demo/bench/tubes.csv --animals fusin-demo/bench/animals.csv --nuclide Ga-68
    """
    from fusin.assays.biodistribution_files import StudySetup
    from fusin.provenance import NoticeLog
    from fusin.report import biodistribution_report as work

    run = _run(nuclide, applied, background_cpm, background_u_cpm, blank, dead_time_us, dead_time_model, efficiency,
               date_order, half_life_h)  # fmt: skip
    setup = StudySetup(
        run=run, balance_sd_mg=balance_sd_mg, subtract_tail=choice(tail, ("subtract", "keep"), "--tail") == "subtract",
        tail_limit_percent=tail_limit, window=window,
    )  # fmt: skip
    options = work.BiodistributionOptions(
        setup=setup, target=target, compare=_pairs(compare), seed=seed,
        ratio_interval=choice(ratio_interval, ("fieller", "delta", "bootstrap"), "--ratio-interval"),
        dispersion=choice(dispersion, ("SD", "SEM"), "--dispersion"),
    )  # fmt: skip
    inputs = work.BiodistributionInputs(
        table=table, animals=animals, standards=standards, counts=counts, column_map=column_map
    )
    finish(work.biodistribution_report(inputs, options=options, log=NoticeLog(strict=strict)), out, as_json=as_json)


def uptake(
    table: UptakeTable,
    out: OutOption = None,
    nuclide: NuclideOption = None,
    reference: TracerOption = None,
    recovery_limits: RecoveryOption = "95,105",
    background_cpm: BackgroundOption = None,
    background_u_cpm: BackgroundUOption = None,
    dead_time_us: DeadTimeOption = 0.0,
    dead_time_model: DeadModelOption = "nonparalysable",
    efficiency: EfficiencyOption = None,
    applied: AppliedOption = None,
    date_order: DateOrderOption = None,
    half_life_h: HalfLifeOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Uptake and internalisation of cells: shares of the applied activity, specific, normalised; rate and efflux.

    \b
    Example: fusin assay uptake fusin-demo/bench/uptake.csv --nuclide Ga-68 --reference reference
    """
    from fusin.provenance import NoticeLog
    from fusin.report.uptake_report import UptakeOptions, uptake_report

    run = _run(nuclide, applied, background_cpm, background_u_cpm, None, dead_time_us, dead_time_model, efficiency,
               date_order, half_life_h)  # fmt: skip
    options = UptakeOptions(run=run, reference=reference, recovery_limits=_limits(recovery_limits))
    finish(uptake_report(table, options=options, log=NoticeLog(strict=strict)), out, as_json=as_json)


def _limits(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        raise InputError("--recovery-limits", "limits", text, "LOW,HIGH in percent, for example 95,105")
    return low, high
