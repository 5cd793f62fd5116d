"""Verbs of tracer kinetics: receptor kinetics, receptor suv-study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from fusin.cli import receptor_suv_commands
from fusin.cli.console import stages
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish, fraction, number_or_word
from fusin.errors import InputError

__all__ = ["register"]

_MODELS = ("2tcm", "1tcm", "2tcm-irreversible", "patlak", "logan", "ma1", "srtm", "logan-ref")

TacTable = Annotated[Path, typer.Argument(help="Frames and regions (CSV, TSV, Parquet).", show_default=False)]
BloodTable = Annotated[
    Path | None, typer.Argument(help="Blood samples; not needed for srtm and logan-ref.", show_default=False)
]
ModelOption = Annotated[str, typer.Option("--model", help=", ".join(_MODELS) + ".")]
CompareFlag = Annotated[bool, typer.Option("--compare", help="Fit all compartment models and compare them by AICc.")]
ScanOption = Annotated[list[str] | None, typer.Option("--scan", help="Scan of a table with several. Repeatable.")]
RegionOption = Annotated[list[str] | None, typer.Option("--region", help="Region to fit; all without. Repeatable.")]
VbOption = Annotated[
    str, typer.Option("--vb", help="Share of blood in the regions, or fit; auto: 0.05, and 0 without whole blood.")
]
DelayOption = Annotated[str, typer.Option("--delay-s", help="By which tissue follows blood [s], or fit.")]
FramesOption = Annotated[
    str, typer.Option("--frames", help="Compare the model at the mid of each frame, or its mean over the frame.")
]
WeightsOption = Annotated[
    str, typer.Option("--weights", help="auto, given (column weights), uniform, duration, counts (needs --nuclide).")
]
NuclideOption = Annotated[str | None, typer.Option("--nuclide", help="Nuclide, for weights by counts, such as Ga-68.")]
IntervalOption = Annotated[str, typer.Option("--interval", help="profile, covariance, or none.")]
LevelOption = Annotated[float, typer.Option("--level", help="Confidence level, as a fraction.")]
BoundOption = Annotated[
    list[str] | None, typer.Option("--bound", help="Limits of the search, such as k4=0.001,0.5. Repeatable.")
]
TStarOption = Annotated[
    str | None, typer.Option("--t-star-min", help="Start of the line [min], or auto (all points within a tenth).")
]
LastOption = Annotated[int | None, typer.Option("--last-frames", help="Frames of the line, instead of t*.")]
ReferenceOption = Annotated[str | None, typer.Option("--reference", help="Reference region of srtm and logan-ref.")]
K2Option = Annotated[float | None, typer.Option("--k2-ref", help="k2 of the reference region [1/min], for logan-ref.")]
ParentOption = Annotated[
    str, typer.Option("--parent", help="Parent fraction: linear, hill, exponential, power; none without metabolites.")
]
RatioOption = Annotated[
    float | None, typer.Option("--plasma-over-blood", help="Plasma/blood ratio, where plasma was not measured.")
]
DispersionOption = Annotated[float, typer.Option("--dispersion-s", help="Dispersion of the sampling line to undo [s].")]
UntilOption = Annotated[float | None, typer.Option("--until-min", help="Leave out frames that end later [min].")]
TimeUnitOption = Annotated[str | None, typer.Option("--time-unit", help="Of times without one: s, min, h.")]
ImagesOption = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of the dynamic images: maps of the model, written to --out as NIfTI."),
]
UnitOption = Annotated[str | None, typer.Option("--unit", help="Of activities without one: kBq/mL, Bq/mL, SUV, ...")]


def register(group: typer.Typer) -> None:
    """Add the verbs of tracer kinetics to the group ``receptor``."""
    group.command("kinetics")(kinetics)
    receptor_suv_commands.register(group)


def kinetics(
    tac: TacTable,
    blood: BloodTable = None,
    out: OutOption = None,
    model: ModelOption = "2tcm",
    compare: CompareFlag = False,
    scan: ScanOption = None,
    region: RegionOption = None,
    vb: VbOption = "auto",
    delay_s: DelayOption = "0",
    frames: FramesOption = "mid",
    weights: WeightsOption = "auto",
    nuclide: NuclideOption = None,
    interval: IntervalOption = "profile",
    level: LevelOption = 0.95,
    bound: BoundOption = None,
    t_star_min: TStarOption = None,
    last_frames: LastOption = None,
    reference: ReferenceOption = None,
    k2_ref: K2Option = None,
    parent: ParentOption = "linear",
    plasma_over_blood: RatioOption = None,
    dispersion_s: DispersionOption = 0.0,
    until_min: UntilOption = None,
    time_unit: TimeUnitOption = None,
    unit: UnitOption = None,
    images: ImagesOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Rates and volumes of distribution of a dynamic scan: compartment models, Patlak, Logan, MA1, SRTM.

    \b
    Example: fusin receptor kinetics fusin-demo/receptor/TAC.csv fusin-demo/receptor/BLOOD.csv --model 2tcm --region lesion
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.kinetic_fit import FitSettings
    from fusin.receptor.kinetics import KineticOptions
    from fusin.report.kinetics_report import kinetics_report

    _need_folder(images, out)
    start = number_or_word(t_star_min, ("auto",), "--t-star-min")
    fit = FitSettings(
        vb=_share(_fitted("0.05" if vb == "auto" else vb, "--vb")), delay_min=_fitted(delay_s, "--delay-s", 60.0),
        average=choice(frames, ("mid", "mean"), "--frames") == "mean", level=fraction(level, "--level") or 0.95,
        interval=choice(interval, ("profile", "covariance", "none"), "--interval"), bounds=_bounds(bound or []),
    )  # fmt: skip
    options = KineticOptions(
        model=choice(model, _MODELS, "--model"), compare=compare, fit=fit, nuclide=nuclide, reference=reference,
        weights=choice(weights, ("auto", "given", "uniform", "duration", "counts"), "--weights"),
        t_star_min=None if start == "auto" else start, automatic=start == "auto", last_frames=_count(last_frames),
        k2_ref=_positive(k2_ref, "--k2-ref"), plasma_over_blood=_positive(plasma_over_blood, "--plasma-over-blood"),
        parent=choice(parent, ("linear", "hill", "exponential", "power", "none"), "--parent"),
        dispersion_min=_positive(dispersion_s, "--dispersion-s", zero=True) / 60.0, until_min=_positive(until_min, "--until-min"),
        measured_vb=vb == "auto", time_unit=time_unit, unit=unit, scans=tuple(scan or ()), regions=tuple(region or ()),
    )  # fmt: skip
    log = NoticeLog(strict=strict)
    with stages() as progress:
        output = kinetics_report(tac, blood, options=options, log=log, images=images, progress=progress)
    finish(output, out, as_json=as_json)


def _need_folder(images: Path | None, out: Path | None) -> None:
    if images is not None and out is None:
        raise InputError("--images", "--out", "nothing", "a folder for the maps")


def _fitted(text: str, option: str, per: float = 1.0) -> float | None:
    """A number in the unit of which ``per`` make one, or None for ``fit``."""
    found = number_or_word(text, ("fit",), option)
    return None if found == "fit" else found / per


def _share(value: float | None) -> float | None:
    if value is not None and not 0.0 <= value < 1.0:
        raise InputError("--vb", "share of blood", value, "a fraction from 0 to below 1 (0.05, not 5)")
    return value


def _positive(value: float | None, option: str, *, zero: bool = False) -> Any:
    if value is not None and not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise InputError(option, "value", value, "zero or a positive number" if zero else "a positive number")
    return value


def _count(value: int | None) -> int | None:
    if value is not None and value < 4:
        raise InputError("--last-frames", "number of frames", value, "at least 4")
    return value


def _bounds(texts: list[str]) -> dict[str, tuple[float, float]]:
    from fusin.receptor.kinetic_fit import BOUNDS

    found = {}
    for text in texts:
        name, _, pair = text.partition("=")
        choice(name, tuple(BOUNDS), "--bound")
        try:
            low, high = (float(part) for part in pair.split(","))
        except ValueError as err:
            raise InputError("--bound", name, pair, "low,high, for example k4=0.001,0.5") from err
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError("--bound", name, pair, "two numbers in order")
        found[name] = (low, high)
    return found
