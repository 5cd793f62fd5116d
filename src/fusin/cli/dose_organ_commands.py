"""Verbs below ``fusin dose``: organs, marrow, BED, the budget of a dose, the treated patient, the diagnostic scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish

__all__ = ["register"]

Activities = Annotated[
    Path,
    typer.Argument(help="Activities over time, their integrals (CSV), or the JSON of fusin dose.", show_default=False),
]
NuclideOption = Annotated[str | None, typer.Option("--nuclide", help="Nuclide, where the file does not say it.")]
GivenOption = Annotated[float | None, typer.Option("--administered-mbq", help="Administered activity [MBq].")]
TableOption = Annotated[
    list[Path] | None, typer.Option("--s-table", help="S values: OpenDose JSON, CSV, or ICRP 133 SAF. Repeatable.")
]
UnitOption = Annotated[str | None, typer.Option("--s-unit", help="Unit of a CSV that states none, mGy/(MBq s).")]
ReferenceOption = Annotated[
    list[str] | None, typer.Option("--reference-mass", help="Mass in the model: kidneys=310, or a CSV. Repeatable.")
]
MassOption = Annotated[list[str] | None, typer.Option("--mass", help="The patient's mass: kidneys=290. Repeatable.")]
MassUOption = Annotated[
    float | None, typer.Option("--mass-u-percent", help="Standard uncertainty of the patient's masses.")
]
SourceOption = Annotated[
    list[str] | None, typer.Option("--source", help="Region and its source in the table: lk='Kidney left'. Repeatable.")
]
SUOption = Annotated[
    float | None, typer.Option("--s-u-percent", help="Standard uncertainty of S as a model of this patient.")
]
ApproximateFlag = Annotated[
    bool, typer.Option("--approximate", help="Water spheres and spread photons instead of a table; needs the body.")
]
BodyOption = Annotated[float | None, typer.Option("--body-mass-g", help="Mass of the whole body [g].")]
SphereOption = Annotated[
    list[str] | None, typer.Option("--sphere", help="Region that is a sphere of its mass (lesion). Repeatable.")
]
OrganOption = Annotated[list[str] | None, typer.Option("--organ", help="Further target to show. Repeatable.")]
BiologyOption = Annotated[
    Path | None, typer.Option("--biology", help="alpha/beta and repair of organs with their citation (TOML).")
]
OlindaOption = Annotated[
    Path | None, typer.Option("--olinda", help="Case file saved by your OLINDA, to fill in as case.cas below --out.")
]
MarrowFile = Annotated[Path, typer.Argument(help="Blood, regions and energy (TOML).", show_default=False)]
ChainFile = Annotated[Path, typer.Argument(help="One [[dose]] for each dose (TOML).", show_default=False)]
RecordFile = Annotated[Path, typer.Argument(help="Cycles, doses, toxicity (TOML).", show_default=False)]
DrawsOption = Annotated[int, typer.Option("--draws", help="Draws of the simulation.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the simulation.")]
DoseOption = Annotated[float, typer.Option("--dose-gy", help="Absorbed dose [Gy].", show_default=False)]
RatioOption = Annotated[
    float, typer.Option("--alpha-beta-gy", help="alpha/beta of the tissue [Gy].", show_default=False)
]
RepairOption = Annotated[
    float, typer.Option("--repair-half-time-h", help="Half-time of its repair [h].", show_default=False)
]
TeffOption = Annotated[
    list[float],
    typer.Option("--t-eff-h", help="Effective half-life of a component [h]. Repeatable.", show_default=False),
]
WeightOption = Annotated[
    list[float] | None,
    typer.Option("--weight", help="Its dose rate at t = 0, any unit; negative for uptake. Repeatable."),
]
FromOption = Annotated[str | None, typer.Option("--from", help="Nuclide that the half-lives are of.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Nuclide that the dose is of.")]
ScanOption = Annotated[
    float, typer.Option("--administered-mbq", help="Activity that reached the patient [MBq].", show_default=False)
]
CoefficientsOption = Annotated[
    str,
    typer.Option("--coefficients", help="Named coefficients, or a TOML file; none is a default.", show_default=False),
]
ScanUOption = Annotated[
    float | None, typer.Option("--activity-u-percent", help="Standard uncertainty of the activity.")
]
DlpOption = Annotated[float | None, typer.Option("--ct-dlp", help="Dose-length product of the CT [mGy cm].")]
ConversionOption = Annotated[float | None, typer.Option("--ct-k", help="Effective dose per it [mSv/(mGy cm)].")]


def register(group: typer.Typer) -> None:
    """Add the verbs to the group of ``fusin dose``."""
    for verb in (organs, marrow, bed, budget, record, exposure):
        group.command(verb.__name__)(verb)


def organs(
    activities: Activities, out: OutOption = None, nuclide: NuclideOption = None, administered_mbq: GivenOption = None,
    s_table: TableOption = None, s_unit: UnitOption = None, reference_mass: ReferenceOption = None, mass: MassOption = None,
    mass_u_percent: MassUOption = None, source: SourceOption = None, s_u_percent: SUOption = None,
    approximate: ApproximateFlag = False, body_mass_g: BodyOption = None, sphere: SphereOption = None,
    organ: OrganOption = None, biology: BiologyOption = None, olinda: OlindaOption = None, strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Organ doses by MIRD from your own tables of S values, with the patient's masses, and BED.

    \b
    Example: fusin dose organs fusin-demo/dose/organs.csv --nuclide Lu-177 --s-table fusin-demo/dose/s_values.csv --sphere lesion
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_organs_report import OrganOptions, organs_report

    options = OrganOptions(
        nuclide=nuclide, administered_mbq=administered_mbq, s_tables=tuple(s_table or ()), s_unit=s_unit,
        reference_masses=tuple(reference_mass or ()), masses=tuple(mass or ()), mass_u_percent=mass_u_percent,
        sources=tuple(source or ()), s_u_percent=s_u_percent, approximate=approximate, body_mass_g=body_mass_g,
        spheres=tuple(sphere or ()), organs=tuple(organ or ()), biology=biology, olinda=olinda,
    )  # fmt: skip
    finish(organs_report(activities, options=options, log=NoticeLog(strict=strict)), out, as_json=as_json)


def marrow(case: MarrowFile, out: OutOption = None, strict: StrictFlag = False, as_json: JsonFlag = False) -> None:
    """Red marrow dose from blood, from images, or from both, with the components apart.

    \b
    Example: fusin dose marrow fusin-demo/dose/marrow.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_marrow_report import marrow_report

    finish(marrow_report(case, log=NoticeLog(strict=strict)), out, as_json=as_json)


def bed(
    dose_gy: DoseOption, alpha_beta_gy: RatioOption, repair_half_time_h: RepairOption, t_eff_h: TeffOption,
    weight: WeightOption = None, from_nuclide: FromOption = None, to_nuclide: ToOption = None, out: OutOption = None,
    strict: StrictFlag = False, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """BED and EQD2 of one dose with one or several effective half-lives.

    \b
    Example: fusin dose bed --dose-gy 23 --t-eff-h 41 --alpha-beta-gy 2.6 --repair-half-time-h 2.8
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_marrow_report import bed_report

    output = bed_report(
        dose_gy=dose_gy, alpha_beta_gy=alpha_beta_gy, repair_half_time_h=repair_half_time_h, t_eff_h=t_eff_h,
        weights=weight or (), from_nuclide=from_nuclide, to_nuclide=to_nuclide, log=NoticeLog(strict=strict),
    )  # fmt: skip
    finish(output, out, as_json=as_json)


def budget(
    chains: ChainFile, out: OutOption = None, draws: DrawsOption = 20000, seed: SeedOption = 0, strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """What the uncertainty of a dose is made of, link by link, and the same by simulation.

    \b
    Example: fusin dose budget fusin-demo/dose/budget.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_marrow_report import budget_report

    finish(budget_report(chains, draws=draws, seed=seed, log=NoticeLog(strict=strict)), out, as_json=as_json)


def record(file: RecordFile, out: OutOption = None, strict: StrictFlag = False, as_json: JsonFlag = False) -> None:
    """A treated patient: cycles, cumulative dose and BED, toxicity grade beside dose.

    \b
    Example: fusin dose record fusin-demo/dose/record.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_record_report import record_report

    finish(record_report(file, log=NoticeLog(strict=strict)), out, as_json=as_json)


def exposure(
    administered_mbq: ScanOption, coefficients: CoefficientsOption, out: OutOption = None,
    activity_u_percent: ScanUOption = None, ct_dlp: DlpOption = None, ct_k: ConversionOption = None,
    strict: StrictFlag = False, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Dose of a diagnostic scan by named coefficients, with the tag of their source.

    \b
    Example: fusin dose exposure --administered-mbq 150 --coefficients herrmann-2015-unverified
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_record_report import exposure_report

    output = exposure_report(
        administered_mbq=administered_mbq, name=coefficients, activity_u_percent=activity_u_percent, ct_dlp_mgy_cm=ct_dlp,
        ct_k_msv_per_mgy_cm=ct_k, log=NoticeLog(strict=strict),
    )  # fmt: skip
    finish(output, out, as_json=as_json)
