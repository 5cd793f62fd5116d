"""Verb of the whole body: receptor pbpk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from fusin.cli.console import say, stages, talk
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

__all__ = ["register"]

CaseArgument = Annotated[
    Path | None, typer.Argument(help="TOML file of the case; options replace its fields.", show_default=False)
]
LigandOption = Annotated[str | None, typer.Option("--ligand", help="pentixafor (unless stated) or pentixather.")]
NuclideOption = Annotated[str | None, typer.Option("--nuclide", help="Ga-68, Lu-177, Y-90, or another one.")]
ActivityOption = Annotated[float | None, typer.Option("--activity-mbq", help="Activity injected.")]
AmountOption = Annotated[float | None, typer.Option("--peptide-nmol", help="Peptide injected, hot and cold together.")]
MicrogramOption = Annotated[
    float | None, typer.Option("--peptide-ug", help="The same in micrograms, with --molar-mass.")
]
MolarOption = Annotated[float | None, typer.Option("--molar-mass", help="Of the peptide [g/mol].")]
DurationOption = Annotated[float | None, typer.Option("--infusion-min", help="Duration of an infusion; 0 is a bolus.")]
KdOption = Annotated[str | None, typer.Option("--kd-nm", help="KD of the ligand [nM]: a number, or low..high.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Parameter, such as gfr_l_min=0.06 or k_int_per_min=0.002..0.02. Repeatable."),
]
TumourOption = Annotated[
    list[str] | None, typer.Option("--tumour", help="NAME=mL, or NAME=mL:nM with its receptor. Repeatable.")
]
DrugOption = Annotated[
    list[str] | None, typer.Option("--drug", help="On board: plerixafor=HOURS before the injection. Repeatable.")
]
Cxcl12Option = Annotated[
    float | None, typer.Option("--cxcl12-nm", help="Free CXCL12 in the tissues [nM], with --cxcl12-ki.")
]
Cxcl12KiOption = Annotated[float | None, typer.Option("--cxcl12-ki", help="Ki of CXCL12 against the ligand [nM].")]
LimitOption = Annotated[
    list[str] | None, typer.Option("--limit", help="Dose limit for the amount of peptide: kidneys=23. Repeatable.")
]
AskOption = Annotated[list[str] | None, typer.Option("--ask", help="mass, sink, drug, cxcl12, amount. Repeatable.")]
MeasureOption = Annotated[str | None, typer.Option("--measure", help="What answers compare: suv, or tia.")]
UntilOption = Annotated[float | None, typer.Option("--until-h", help="End of the curves [h]; 2 of PET, else 336.")]
AtOption = Annotated[float | None, typer.Option("--at-min", help="Moment of the SUV [min]; 60 of PET, else 1440.")]
DrawsOption = Annotated[int, typer.Option("--draws", help="Bodies with drawn parameters, for intervals and bands.")]
PatientsOption = Annotated[
    int, typer.Option("--patients", min=0, help="Virtual patients; with --out a stopped run goes on where it was.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")]


def register(group: typer.Typer) -> None:
    """Add the verb to the group ``receptor``."""
    group.command("pbpk")(pbpk)


def pbpk(
    case: CaseArgument = None,
    ligand: LigandOption = None,
    nuclide: NuclideOption = None,
    activity_mbq: ActivityOption = None,
    peptide_nmol: AmountOption = None,
    peptide_ug: MicrogramOption = None,
    molar_mass: MolarOption = None,
    infusion_min: DurationOption = None,
    kd_nm: KdOption = None,
    setting: SetOption = None,
    tumour: TumourOption = None,
    drug: DrugOption = None,
    cxcl12_nm: Cxcl12Option = None,
    cxcl12_ki: Cxcl12KiOption = None,
    limit: LimitOption = None,
    ask: AskOption = None,
    measure: MeasureOption = None,
    until_h: UntilOption = None,
    at_min: AtOption = None,
    draws: DrawsOption = 40,
    patients: PatientsOption = 0,
    seed: SeedOption = 0,
    out: OutOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """A ligand in the whole body: uptake of organs and tumours, cold peptide, tumour sink, drugs, amount for therapy.

    \b
    Example: fusin receptor pbpk --nuclide Ga-68 --activity-mbq 150 --peptide-nmol 30 --tumour lesion=10 --draws 10
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.pbpk_case import read_body_case
    from fusin.report.pbpk_report import pbpk_report

    log = NoticeLog(strict=strict)
    body: dict[str, Any] = dict(_pair(text, "--set") for text in setting or [])
    body |= {} if kd_nm is None else {"kd_nm": _span(kd_nm, "--kd-nm")}
    fields = {
        "ligand": ligand, "body": body or None, "tumour": [_tumour(t) for t in tumour or []] or None,
        "given": _kept({
            "nuclide": nuclide, "activity_mbq": activity_mbq, "peptide_nmol": peptide_nmol, "peptide_ug": peptide_ug,
            "molar_mass_g_mol": molar_mass, "duration_min": infusion_min,
        }) or None,
        "drug": [_drug(t) for t in drug or []] or None, "cxcl12": _kept({"free_nm": cxcl12_nm, "ki_nm": cxcl12_ki}) or None,
        "limits_gy": dict(_pair(text, "--limit") for text in limit or []) or None, "ask": ask or None, "measure": measure,
        "until_h": until_h, "at_min": at_min,
    }  # fmt: skip
    read = read_body_case(case, overrides=_kept(fields), log=log)
    if patients and out is None:
        raise InputError("--patients", "--out", "nothing", "a folder, which keeps what is finished")
    with _said_when_stopped(out if patients else None), stages() as progress:
        inputs = [] if case is None else [case]
        output = pbpk_report(
            read, inputs=inputs, draws=draws, seed=seed, patients=patients, folder=out, log=log, progress=progress
        )
    finish(output, out, as_json=as_json)


@contextmanager
def _said_when_stopped(folder: Path | None) -> Iterator[None]:
    """Say what a stopped run has kept."""
    from fusin.report.pbpk_report import POPULATION_FILE

    try:
        yield
    except KeyboardInterrupt:
        if folder is not None and (folder / POPULATION_FILE).is_file():
            text = f"{POPULATION_FILE} keeps the patients that are finished; the same command goes on from there."
            say(talk(as_json=True), text)
        raise


def _kept(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _number(text: str, option: str, needed: str) -> float:
    try:
        return float(text.strip())
    except ValueError as err:
        raise InputError(option, "value", text, needed) from err


def _span(text: str, option: str) -> float | list[float]:
    low, dots, high = text.partition("..")
    needed = "a number such as 2.5, or a range such as 0.1..25"
    return [_number(low, option, needed), _number(high, option, needed)] if dots else _number(text, option, needed)


def _pair(text: str, option: str) -> tuple[str, float | list[float]]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise InputError(option, "text", text, "NAME=NUMBER")
    return name.strip(), _span(value, option)


def _tumour(text: str) -> dict[str, Any]:
    name, equals, value = text.rpartition("=")
    needed = "NAME=mL, or NAME=mL:nM, such as lesion=10 or lesion=10:5"
    if not equals:
        raise InputError("--tumour", "text", text, needed)
    volume, colon, receptor = value.partition(":")
    found: dict[str, Any] = {"name": name.strip(), "volume_ml": _number(volume, "--tumour", needed)}
    return {**found, "receptor_nm": _number(receptor, "--tumour", needed)} if colon else found


def _drug(text: str) -> dict[str, Any]:
    name, equals, hours = text.partition("=")
    found: dict[str, Any] = {"name": name.strip()}
    if equals:
        found["hours_before"] = _number(hours, "--drug", "NAME=HOURS before the injection, such as plerixafor=4")
    return found
