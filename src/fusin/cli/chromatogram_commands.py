"""The verb chromatogram: radio-TLC strips and radio-HPLC runs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish
from fusin.errors import InputError

__all__ = ["register"]

_SPAN = re.compile(r"\s*(-?\d+(?:\.\d*)?)\s*(?:-|to|\.\.|,)\s*(-?\d+(?:\.\d*)?)\s*")

Files = Annotated[
    list[Path],
    typer.Argument(help="ANDI/AIA netCDF (.cdf) or text exports; two of them are combined.", show_default=False),
]
MethodOption = Annotated[
    list[Path] | None, typer.Option("--method", help="Saved method (TOML): one for all files, or one for each.")
]
MapOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--map", help="Saved column map (TOML): one for all files, or one for each (none for a file without)."
    ),
]
NuclideOption = Annotated[
    str | None, typer.Option("--nuclide", help="Nuclide whose decay across the run is corrected, such as Ga-68.")
]
DecayFlag = Annotated[
    bool | None,
    typer.Option("--decay-correction/--no-decay-correction", help="The decision on decay; a nuclide alone means yes."),
]
OriginOption = Annotated[float | None, typer.Option("--origin", help="Origin of the strip in mm.")]
FrontOption = Annotated[float | None, typer.Option("--front", help="Front of the solvent in mm.")]
RegionOption = Annotated[
    list[str] | None, typer.Option("--region", help="Region of a strip by Rf: 'colloid=0-0.2'. Repeatable.")
]
PeakOption = Annotated[
    list[str] | None, typer.Option("--peak", help="Window of a run in min: 'free Ga=1.5-3'. Repeatable.")
]
ProductOption = Annotated[
    list[str] | None, typer.Option("--product", help="Product: a name, a retention in min, or largest. Repeatable.")
]
ImpurityOption = Annotated[
    list[str] | None, typer.Option("--impurity", help="Impurity, likewise, for a combination. Repeatable.")
]
BlankOption = Annotated[
    list[str] | None, typer.Option("--blank", help="Window without activity in mm or min: '40-55'. Repeatable.")
]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", help="none, constant, linear, arpls, asls, or local (chords, runs only).")
]
DenominatorOption = Annotated[
    str | None, typer.Option("--denominator", help="Of the percentages: regions or strip, peaks or run.")
]
ScanOption = Annotated[
    float | None, typer.Option("--scan-duration", help="Time that the scan of the strip took, in s.")
]
DeadTimeOption = Annotated[
    float | None, typer.Option("--dead-time", help="Dead time of the radio detector in microseconds.")
]
PeaksFromOption = Annotated[
    str | None, typer.Option("--peaks-from", help="detect, file (its own bounds), or windows (of the method only).")
]
FitOption = Annotated[
    str | None, typer.Option("--fit", help="Shape for peaks that overlap: gaussian, emg, skew-normal.")
]
DelayOption = Annotated[
    float | None, typer.Option("--delay", help="Delay of the radio channel behind the UV channel in s.")
]
UvOption = Annotated[Path | None, typer.Option("--uv", help="A file with another channel of the run, for the plot.")]
ChannelOption = Annotated[str | None, typer.Option("--channel", help="What the detector is: radio or uv.")]
CombineOption = Annotated[
    str, typer.Option("--combine", help="Of two files: auto, none, tlc-tlc (100 - A - B) or tlc-hplc ((100 - A) x T).")
]
BalanceFlag = Annotated[
    bool,
    typer.Option("--mass-balance", help="The files are tables of percentages (name, percent): do they add up to 100?"),
]
LevelOption = Annotated[
    float | None, typer.Option("--level", help="Confidence level of all intervals; 0.95 unless told.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("chromatogram")(chromatogram)


def chromatogram(
    files: Files,
    out: OutOption = None,
    method: MethodOption = None,
    column_map: MapOption = None,
    nuclide: NuclideOption = None,
    decay: DecayFlag = None,
    origin: OriginOption = None,
    front: FrontOption = None,
    region: RegionOption = None,
    peak: PeakOption = None,
    product: ProductOption = None,
    impurity: ImpurityOption = None,
    blank: BlankOption = None,
    baseline: BaselineOption = None,
    denominator: DenominatorOption = None,
    scan_duration: ScanOption = None,
    dead_time: DeadTimeOption = None,
    peaks_from: PeaksFromOption = None,
    fit: FitOption = None,
    delay: DelayOption = None,
    uv: UvOption = None,
    channel: ChannelOption = None,
    combine: CombineOption = "auto",
    level: LevelOption = None,
    balance: BalanceFlag = False,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Radio-TLC and radio-HPLC: signed net areas, percentages and radiochemical purity, each with its interval.

    \b
    Example: fusin chromatogram fusin-demo/vial/tlc_citrate.csv --method fusin-demo/vial/tlc_citrate.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.report.chromatogram_balance import balance_report
    from fusin.report.chromatogram_report import ChromatogramInputs, chromatogram_report

    if balance:
        finish(balance_report(files, log=NoticeLog(strict=strict)), out, as_json=as_json)
        return
    inputs = ChromatogramInputs(
        files=tuple(files), methods=tuple(method or ()), maps=tuple(column_map or ()), uv=uv,
        combine=choice(combine, ("auto", "none", "tlc-tlc", "tlc-hplc"), "--combine"),
    )  # fmt: skip
    changes = {
        "nuclide": nuclide, "decay_correction": decay, "origin_mm": origin, "front_mm": front, "fit": fit, "delay_s": delay,
        "denominator": denominator, "scan_duration_s": scan_duration, "peaks_from": peaks_from, "channel": channel,
        "level": level, "dead_time_us": dead_time,
        "products": tuple(product) if product else None, "impurities": tuple(impurity) if impurity else None,
        "regions": _regions(region), "peaks": _peaks(peak),
    }  # fmt: skip
    _refuse_choices(changes, baseline)
    output = chromatogram_report(
        inputs, change=lambda one: _changed(one, changes, blank, baseline), log=NoticeLog(strict=strict)
    )
    finish(output, out, as_json=as_json)


def _refuse_choices(changes: dict[str, Any], baseline: str | None) -> None:
    """Words and limits of options, refused before a file is read."""
    words = {
        "--fit": (changes["fit"], ("gaussian", "emg", "skew-normal")),
        "--denominator": (changes["denominator"], ("regions", "strip", "peaks", "run")),
        "--peaks-from": (changes["peaks_from"], ("detect", "file", "windows")),
        "--channel": (changes["channel"], ("radio", "uv")),
        "--baseline": (baseline, ("none", "constant", "linear", "arpls", "asls", "local")),
    }
    for option, (value, allowed) in words.items():
        if value is not None:
            choice(value, allowed, option)
    level = changes["level"]
    if level is not None and not 0.5 <= level < 1.0:
        raise InputError("--level", "confidence level", level, "a number from 0.5 to below 1, such as 0.95")
    above = {
        "--scan-duration": ("seconds", changes["scan_duration_s"]),
        "--dead-time": ("microseconds", changes["dead_time_us"]),
    }
    for option, (unit, number) in above.items():
        if number is not None and not 0.0 < number < math.inf:
            raise InputError(option, unit, number, "a number above 0")


def _changed(method: Any, changes: dict[str, Any], blank: Sequence[str] | None, baseline: str | None) -> Any:
    from dataclasses import replace

    from fusin.nuclides import nuclide

    name = changes["nuclide"]
    found = method.changed(**changes | {"nuclide": nuclide(name).name if name else None})
    if blank or baseline:
        windows = tuple(_span(text, "--blank") for text in blank or ())
        rule = replace(found.baseline, model=baseline or found.baseline.model)
        if windows:
            rule = replace(rule, windows=windows, windows_rf=(), per_point=None)
        found = found.changed(baseline=rule)
    return found


def _span(text: str, option: str) -> tuple[float, float]:
    found = _SPAN.fullmatch(text)
    if not found or float(found[1]) >= float(found[2]):
        raise InputError(option, "range", text, "two numbers, the smaller first, such as 0-0.2")
    return float(found[1]), float(found[2])


def _named(texts: Sequence[str] | None, option: str) -> list[tuple[str, tuple[float, float]]] | None:
    if not texts:
        return None
    out = []
    for text in texts:
        name, sign, bounds = text.partition("=")
        if not sign or not name.strip():
            raise InputError(option, "range", text, "NAME=START-END, such as 'colloid=0-0.2'")
        out.append((name.strip(), _span(bounds, option)))
    names = [name for name, _ in out]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise InputError(option, "name", twice, "each name once")
    return out


def _regions(texts: Sequence[str] | None) -> Any:
    from fusin.radiopharmacy.chromatogram_method import RegionRule

    found = _named(texts, "--region")
    return None if found is None else tuple(RegionRule(name=name, rf=bounds) for name, bounds in found)


def _peaks(texts: Sequence[str] | None) -> Any:
    from fusin.radiopharmacy.chromatogram_method import PeakRule

    found = _named(texts, "--peak")
    return None if found is None else tuple(PeakRule(name=name, window_min=bounds) for name, bounds in found)
