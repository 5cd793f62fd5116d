"""Verbs of binding assays: assay binding, assay saturation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish, fraction

__all__ = ["register"]

_MODELS = ("variable-slope", "one-site", "f-test", "aicc", "homologous")
_NOISES = ("constant", "poisson", "relative", "given")
_KI_METHODS = ("auto", "cheng-prusoff", "hot-depletion", "exact")
_INTERVALS = ("profile", "wald", "bootstrap", "bootstrap-cases")

BindingTable = Annotated[Path, typer.Argument(help="Table of a competition (CSV, TSV, Parquet).", show_default=False)]
SaturationTable = Annotated[Path, typer.Argument(help="Table of a saturation (CSV, TSV, Parquet).", show_default=False)]
UnitOption = Annotated[
    str | None, typer.Option("--unit", help="Of a concentration column without one: pM, nM, uM, mM, M.")
]
ResponseOption = Annotated[
    str | None, typer.Option("--response", help="Column of the response, where several could be it.")
]
ModelOption = Annotated[
    str, typer.Option("--model", help="variable-slope, one-site, f-test or aicc (choose between them), homologous.")
]
NoiseOption = Annotated[
    str, typer.Option("--noise", help="Scatter: constant, poisson (1/Y), relative (1/Y^2), given (column sd).")
]
IntervalOption = Annotated[str, typer.Option("--interval", help="profile, wald, bootstrap, bootstrap-cases.")]
LevelOption = Annotated[float, typer.Option("--level", help="Confidence level, as a fraction.")]
ReplicatesOption = Annotated[str, typer.Option("--replicates", help="separate points, or their mean.")]
NormaliseOption = Annotated[
    str, typer.Option("--normalise", help="none, controls (total 100, non-specific 0), total (total 100).")
]
NonspecificOption = Annotated[
    str,
    typer.Option(
        "--nonspecific", help="Control tubes: fit (as complete displacement), fix (as lower plateau), ignore."
    ),
]
TopOption = Annotated[float | None, typer.Option("--top", help="Upper plateau, when it is known.")]
BottomOption = Annotated[float | None, typer.Option("--bottom", help="Lower plateau, when it is known.")]
KdOption = Annotated[float | None, typer.Option("--kd-nm", help="Kd of the radioligand in nM, for Ki.")]
KdUncertaintyOption = Annotated[
    float | None,
    typer.Option("--kd-u-nm", help="Standard uncertainty of that Kd in nM; it then enters the interval of Ki."),
]
HotOption = Annotated[
    float | None, typer.Option("--radioligand-nm", help="Concentration of the radioligand in nM, for Ki.")
]
HotUncertaintyOption = Annotated[
    float | None, typer.Option("--radioligand-u-nm", help="Standard uncertainty of that concentration in nM.")
]
ReceptorOption = Annotated[
    float | None, typer.Option("--receptor-nm", help="Binding sites in the reaction in nM, for the exact Ki.")
]
ReceptorUncertaintyOption = Annotated[
    float | None, typer.Option("--receptor-u-nm", help="Standard uncertainty of the binding sites in nM.")
]
BmaxOption = Annotated[
    float | None, typer.Option("--bmax", help="Binding sites in the unit of the response, instead of --receptor-nm.")
]
KiMethodOption = Annotated[
    str,
    typer.Option(
        "--ki-method",
        help="cheng-prusoff, hot-depletion (competitor taken as free), exact (both depleted), or auto: exact where it can be had.",
    ),
]
AddedOption = Annotated[
    float | None, typer.Option("--added", help="Radioligand per tube, in the unit of the response.")
]
VolumeOption = Annotated[float | None, typer.Option("--volume-ml", help="Volume of the reaction in mL.")]
ActivityOption = Annotated[
    float | None, typer.Option("--specific-activity", help="Counts per amount of radioligand, cpm per fmol.")
]
ReferenceOption = Annotated[str | None, typer.Option("--reference", help="Compound that the others are related to.")]
ResamplesOption = Annotated[int, typer.Option("--resamples", min=100, help="Of a bootstrap.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap and the multi-start.")]
SitesOption = Annotated[str, typer.Option("--sites", help="one, two, or f-test to choose.")]
NoBackgroundFlag = Annotated[bool, typer.Option("--no-background", help="Without radioligand the response is 0.")]
DepleteFlag = Annotated[
    bool,
    typer.Option(
        "--deplete", help="Concentrations are those added, and binding depletes them; needs volume and activity."
    ),
]
ProteinOption = Annotated[
    float | None, typer.Option("--protein-mg", help="Protein per tube in mg, for Bmax in fmol/mg.")
]
CellsOption = Annotated[float | None, typer.Option("--cells", help="Cells per tube, for Bmax in sites per cell.")]


def register(group: typer.Typer) -> None:
    """Add the verbs to the group ``assay``."""
    group.command("binding")(binding)
    group.command("saturation")(saturation)


def binding(
    table: BindingTable,
    out: OutOption = None,
    unit: UnitOption = None,
    response: ResponseOption = None,
    model: ModelOption = "variable-slope",
    noise: NoiseOption = "constant",
    interval: IntervalOption = "profile",
    level: LevelOption = 0.95,
    replicates: ReplicatesOption = "separate",
    normalise: NormaliseOption = "none",
    nonspecific: NonspecificOption = "fit",
    top: TopOption = None,
    bottom: BottomOption = None,
    ki_method: KiMethodOption = "auto",
    kd_nm: KdOption = None,
    kd_u_nm: KdUncertaintyOption = None,
    radioligand_nm: HotOption = None,
    radioligand_u_nm: HotUncertaintyOption = None,
    receptor_nm: ReceptorOption = None,
    receptor_u_nm: ReceptorUncertaintyOption = None,
    bmax: BmaxOption = None,
    added: AddedOption = None,
    volume_ml: VolumeOption = None,
    specific_activity: ActivityOption = None,
    reference: ReferenceOption = None,
    resamples: ResamplesOption = 2000,
    seed: SeedOption = 0,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Competition binding: IC50, slope, plateaus, Ki, each with its interval; several compounds and experiments.

    \b
    Example: fusin assay binding fusin-demo/bench/competition.csv --reference "ligand A (reference)"
    """
    from fusin.assays.binding import BindingOptions
    from fusin.assays.binding_radioligand import Radioligand
    from fusin.provenance import NoticeLog
    from fusin.report.binding_report import binding_of_table

    hot = Radioligand(
        kd_nm=kd_nm, concentration_nm=radioligand_nm, added=added, volume_ml=volume_ml,
        specific_activity=specific_activity, receptor_nm=receptor_nm, bmax=bmax, kd_u_nm=kd_u_nm,
        concentration_u_nm=radioligand_u_nm, receptor_u_nm=receptor_u_nm,
    )  # fmt: skip
    options = BindingOptions(
        model=choice(model, _MODELS, "--model"), noise=choice(noise, _NOISES, "--noise"),
        interval=choice(interval, _INTERVALS, "--interval"), level=fraction(level, "--level") or 0.95,
        replicates=choice(replicates, ("separate", "mean"), "--replicates"),
        normalise=choice(normalise, ("none", "controls", "total"), "--normalise"),
        nonspecific=choice(nonspecific, ("fit", "fix", "ignore"), "--nonspecific"), top=top, bottom=bottom,
        radioligand=hot, ki_method=choice(ki_method, _KI_METHODS, "--ki-method"), reference=reference,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    output = binding_of_table(table, options=options, log=NoticeLog(strict=strict), unit=unit, response=response)
    finish(output, out, as_json=as_json)


def saturation(
    table: SaturationTable,
    out: OutOption = None,
    unit: UnitOption = None,
    response: ResponseOption = None,
    sites: SitesOption = "one",
    no_background: NoBackgroundFlag = False,
    deplete: DepleteFlag = False,
    noise: NoiseOption = "constant",
    interval: IntervalOption = "profile",
    level: LevelOption = 0.95,
    volume_ml: VolumeOption = None,
    specific_activity: ActivityOption = None,
    protein_mg: ProteinOption = None,
    cells: CellsOption = None,
    seed: SeedOption = 0,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Saturation binding: Bmax and Kd from specific, or from total and non-specific binding fitted together.

    \b
    Example: fusin assay saturation fusin-demo/bench/saturation.csv --noise poisson
    """
    from fusin.assays.saturation import SaturationOptions
    from fusin.provenance import NoticeLog
    from fusin.report.binding_report import saturation_of_table

    options = SaturationOptions(
        sites=choice(sites, ("one", "two", "f-test"), "--sites"), background=not no_background, deplete=deplete,
        noise=choice(noise, _NOISES, "--noise"), interval=choice(interval, _INTERVALS, "--interval"),
        level=fraction(level, "--level") or 0.95, volume_ml=volume_ml, specific_activity=specific_activity,
        protein_mg=protein_mg, cells=cells, seed=seed,
    )  # fmt: skip
    output = saturation_of_table(table, options=options, log=NoticeLog(strict=strict), unit=unit, response=response)
    finish(output, out, as_json=as_json)
