"""Verb of the simulated SUV study: receptor suv-study."""

from __future__ import annotations

from typing import Annotated

import typer

from fusin.cli.console import stages
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

__all__ = ["register"]

LesionsOption = Annotated[int, typer.Option("--lesions", help="Number of simulated lesions.")]
UntilOption = Annotated[float, typer.Option("--until-min", help="End of the scan [min].")]
RangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--range", help="Range that is drawn from, such as k3=0.01,0.2; k1, k2, k3, k4, clearance. Repeatable."
    ),
]
NuclideOption = Annotated[str, typer.Option("--nuclide", help="Nuclide.")]
SensitivityOption = Annotated[float, typer.Option("--sensitivity", help="Counts per decay; 0 for no noise.")]
VolumeOption = Annotated[float, typer.Option("--volume-ml", help="Volume of a lesion.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of draws and noise.")]


def register(group: typer.Typer) -> None:
    """Add the verb to the group ``receptor``."""
    group.command("suv-study")(suv_study)


def suv_study(
    out: OutOption = None,
    lesions: LesionsOption = 200,
    until_min: UntilOption = 60.0,
    ranges: RangeOption = None,
    nuclide: NuclideOption = "Ga-68",
    sensitivity: SensitivityOption = 2e-4,
    volume_ml: VolumeOption = 4.0,
    seed: SeedOption = 0,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Simulate whether the SUV of one frame stands for binding, against blood clearance and the noise of counts.

    \b
    Example: fusin receptor suv-study --lesions 20
    """
    from fusin.provenance import NoticeLog
    from fusin.receptor.suv_study import SuvStudySettings
    from fusin.report.suv_study_report import suv_study_report

    settings = SuvStudySettings(
        lesions=lesions, until_min=until_min, nuclide=nuclide, sensitivity=sensitivity, volume_ml=volume_ml, seed=seed,
        **_ranges(ranges or []),
    )  # fmt: skip
    with stages() as progress:
        output = suv_study_report(settings, log=NoticeLog(strict=strict), progress=progress)
    finish(output, out, as_json=as_json)


def _ranges(texts: list[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for text in texts:
        name, _, pair = text.partition("=")
        if name not in ("k1", "k2", "k3", "k4", "clearance"):
            raise InputError("--range", "name", name, "one of k1, k2, k3, k4, clearance")
        try:
            low, high = (float(part) for part in pair.split(","))
        except ValueError as err:
            raise InputError("--range", name, pair, "low,high, for example k3=0.01,0.2") from err
        found[name] = (low, high)
    return found
