"""Verbs of the receptor that ask who holds it, and that draw its network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

__all__ = ["register"]

CaseArgument = Annotated[
    Path | None, typer.Argument(help="TOML file of the case; options replace its fields.", show_default=False)
]
TracerOption = Annotated[str | None, typer.Option("--tracer", help="Name of the tracer; pentixafor unless stated.")]
KdOption = Annotated[str | None, typer.Option("--kd-nm", help="KD of the tracer in nM: a number, or low..high.")]
AmountOption = Annotated[float | None, typer.Option("--amount-nmol", help="Peptide injected, hot and cold, in nmol.")]
MicrogramOption = Annotated[
    float | None, typer.Option("--amount-ug", help="The same in micrograms, with --molar-mass.")
]
MolarOption = Annotated[float | None, typer.Option("--molar-mass", help="Of the peptide in g/mol.")]
BatchOption = Annotated[
    Path | None, typer.Option("--batch", help="results.json of fusin release or fusin dispense.", show_default=False)
]
PatientOption = Annotated[str | None, typer.Option("--patient", help="Patient in a day of fusin dispense.")]
NuclideOption = Annotated[str | None, typer.Option("--nuclide", help="Nuclide of the tracer, with --activity-mbq.")]
ActivityOption = Annotated[float | None, typer.Option("--activity-mbq", help="Activity injected, for the hot share.")]
WhenOption = Annotated[str | None, typer.Option("--injected-at", help="ISO time of the injection, for a release.")]
WeightOption = Annotated[float | None, typer.Option("--weight-kg", help="Weight of the patient.")]
SuvOption = Annotated[
    str | None,
    typer.Option("--free-suv", help="SUV of tracer that is free at the tissue: a number, low..high, or published."),
]
ReceptorOption = Annotated[
    str | None, typer.Option("--receptor-nm", help="Receptor in the tissue in nM: a number, or low..high.")
]
NonspecificOption = Annotated[
    str | None, typer.Option("--nonspecific-share", help="Of the SUV: a number, or low..high.")
]
DrugOption = Annotated[list[str] | None, typer.Option("--drug", help="Drug on board, such as plerixafor. Repeatable.")]
HoursOption = Annotated[str | None, typer.Option("--hours", help="Hours after the dose of a drug, with commas.")]
Cxcl12Option = Annotated[str | None, typer.Option("--cxcl12-nm", help="CXCL12 at the tissue in nM, with commas.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the draws behind the intervals.")]
DrawsOption = Annotated[int, typer.Option("--draws", help="Number of draws.")]


ModelArgument = Annotated[
    str, typer.Argument(help="SBML or Antimony file, or a model of fusin (fusin receptor models).")
]
PathwayDoseOption = Annotated[
    list[str] | None,
    typer.Option("--dose", help="Makes the stimulated state: CXCL12=10nM. Repeatable.", metavar="SPECIES=QUANTITY"),
]
PathwayBlockOption = Annotated[
    list[str] | None,
    typer.Option(
        "--block", help="Added for the blocked state: pentixafor=50nM. Repeatable.", metavar="SPECIES=QUANTITY"
    ),
]
PathwaySetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Switch of the blocked state: pertussis=1. Repeatable.", metavar="NAME=QUANTITY"),
]
PathwayAtOption = Annotated[str | None, typer.Option("--at", help="Moment that is drawn; the end unless stated.")]
PathwayUntilOption = Annotated[
    str, typer.Option("--until", help="End of the simulation, over which shades are scaled.")
]


IdentifyDoseOption = Annotated[
    list[str],
    typer.Option(
        "--dose", help="One experiment each: CXCL12=10nM. Repeatable.", metavar="SPECIES=QUANTITY", show_default=False
    ),
]
MeasuredOption = Annotated[
    list[str],
    typer.Option("--output", help="Column that is measured. Repeatable.", metavar="COLUMN", show_default=False),
]
ScatterOption = Annotated[float, typer.Option("--scatter", help="Relative standard deviation of each datum.")]
FoldFlag = Annotated[
    bool, typer.Option("--absolute", help="Data in units of the model; without it, folds of their start.")
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="Parameters in question; all but assumed ones unless stated. Repeatable."),
]
ProfileOption = Annotated[list[str] | None, typer.Option("--profile", help="Parameter to follow; slow. Repeatable.")]
IdentifyPointsOption = Annotated[int, typer.Option("--points", help="Moments of each experiment, the start included.")]
IdentifyUntilOption = Annotated[str, typer.Option("--until", help="End of each experiment.")]


def register(group: typer.Typer) -> None:
    """Add the verbs to the group of ``fusin receptor``."""
    group.command("occupancy")(occupancy)
    group.command("pathway")(pathway)
    group.command("identify")(identify)
    group.command("workflow")(workflow)


def occupancy(
    case: CaseArgument = None,
    tracer: TracerOption = None,
    kd_nm: KdOption = None,
    amount_nmol: AmountOption = None,
    amount_ug: MicrogramOption = None,
    molar_mass: MolarOption = None,
    batch: BatchOption = None,
    patient: PatientOption = None,
    nuclide: NuclideOption = None,
    activity_mbq: ActivityOption = None,
    injected_at: WhenOption = None,
    weight_kg: WeightOption = None,
    free_suv: SuvOption = None,
    receptor_nm: ReceptorOption = None,
    nonspecific_share: NonspecificOption = None,
    drug: DrugOption = None,
    hours: HoursOption = None,
    cxcl12_nm: Cxcl12Option = None,
    seed: SeedOption = 0,
    draws: DrawsOption = 4000,
    out: OutOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Who holds the receptor: peptide, drugs, CXCL12; how much cold peptide; Ki from IC50.

    \b
    Example: fusin receptor occupancy --amount-nmol 30 --weight-kg 75 --free-suv published --drug plerixafor
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.occupancy_case import case_of, read_case
    from fusin.report.receptor_occupancy import occupancy_report

    log = NoticeLog(strict=strict)
    fields = {
        "name": tracer, "kd_nm": _span(kd_nm, "--kd-nm"), "amount_nmol": amount_nmol, "amount_ug": amount_ug,
        "molar_mass_g_mol": molar_mass, "batch": None if batch is None else str(batch.absolute()), "patient": patient,
        "nuclide": nuclide, "activity_mbq": activity_mbq, "injected_at": injected_at, "weight_kg": weight_kg,
        "free_suv": free_suv if free_suv == "published" else _span(free_suv, "--free-suv"),
    }  # fmt: skip
    tissue = {
        "receptor_nm": _span(receptor_nm, "--receptor-nm"),
        "nonspecific_share": _span(nonspecific_share, "--nonspecific-share"),
    }
    overrides: dict[str, Any] = {"tracer": _given(fields), "tissue": _given(tissue)}
    if drug:
        overrides["drug"] = [{"name": name} for name in drug]
    if cxcl12_nm is not None:
        overrides["cxcl12"] = {"free_nm": _list(cxcl12_nm, "--cxcl12-nm")}
    if case is not None:
        found = read_case(case, overrides=overrides, hours=_list(hours, "--hours"), log=log)
    else:
        found = case_of({}, "options", overrides=overrides, hours=_list(hours, "--hours"), log=log)
    inputs = [path for path in (case, batch) if path is not None]
    finish(occupancy_report(found, inputs=inputs, seed=seed, draws=draws, log=log), out, as_json=as_json)


def pathway(
    model: ModelArgument = "cxcr4-pathway",
    dose: PathwayDoseOption = None,
    block: PathwayBlockOption = None,
    setting: PathwaySetOption = None,
    at: PathwayAtOption = None,
    until: PathwayUntilOption = "30min",
    out: OutOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Draw a model from itself: at rest, stimulated, and blocked, coloured by a simulation.

    \b
    Example: fusin receptor pathway cxcr4-pathway --dose CXCL12=10nM --block pentixafor=50nM --at 10min
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.engines import Experiment, open_model
    from fusin.receptor.quantities import parse_pairs, parse_quantity
    from fusin.report.receptor_pathway import pathway_report

    log = NoticeLog(strict=strict)
    experiment = Experiment(
        until=parse_quantity(until, "--until"), points=361, dose=parse_pairs(dose or [], "--dose"),
        block=parse_pairs(block or [], "--block"), setting=parse_pairs(setting or [], "--set"),
    )  # fmt: skip
    moment = None if at is None else parse_quantity(at, "--at")
    finish(pathway_report(open_model(model), experiment, at=moment, log=log), out, as_json=as_json)


def identify(
    model: ModelArgument,
    dose: IdentifyDoseOption,
    output: MeasuredOption,
    until: IdentifyUntilOption = "90min",
    points: IdentifyPointsOption = 19,
    scatter: ScatterOption = 0.1,
    absolute: FoldFlag = False,
    parameter: ParameterOption = None,
    profile: ProfileOption = None,
    out: OutOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Which parameters data could bound: rank of the information, Cramer-Rao, and profiles.

    \b
    Example: fusin receptor identify cxcr4 --dose CXCL12=4nM --dose CXCL12=110nM --output recruited_CXCR4
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.engines import Experiment, open_model
    from fusin.receptor.quantities import parse_pairs, parse_quantity
    from fusin.report.receptor_identify import experiments_by_dose, identify_report

    log = NoticeLog(strict=strict)
    base = Experiment(until=parse_quantity(until, "--until"), points=points)
    doses = [parse_pairs([text], "--dose") for text in dose]
    made = identify_report(
        open_model(model), experiments_by_dose(base, doses), output, scatter=scatter, relative=not absolute,
        parameters=parameter or (), profiles=profile or (), log=log,
    )  # fmt: skip
    finish(made, out, as_json=as_json)


def workflow(out: OutOption = None, strict: StrictFlag = False, as_json: JsonFlag = False) -> None:
    """Diagrams of the theranostic and of the clinical study workflow, with the verb of each step.

    \b
    Example: fusin receptor workflow
    """
    from fusin.provenance import NoticeLog
    from fusin.report.workflow_figures import workflow_report

    finish(workflow_report(log=NoticeLog(strict=strict)), out, as_json=as_json)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _number(text: str, option: str, needed: str) -> float:
    try:
        return float(text.strip())
    except ValueError as err:
        raise InputError(option, "value", text, needed) from err


def _span(text: str | None, option: str) -> float | list[float] | None:
    """A number, or two of them from ``low..high``.

    Raises
    ------
    InputError
        For anything else.
    """
    if text is None:
        return None
    needed = "a number such as 2.5, or a range such as 0.1..25"
    low, dots, high = text.partition("..")
    return [_number(low, option, needed), _number(high, option, needed)] if dots else _number(text, option, needed)


def _list(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    return [_number(part, option, "numbers with commas between them, such as 1,4,24") for part in text.split(",")]
