"""Verb of the doses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

__all__ = ["register"]

DayFile = Annotated[
    Path | None, typer.Argument(help="Vials and patients (TOML), or patients alone (CSV).", show_default=False)
]
VialOption = Annotated[float | None, typer.Option("--vial-mbq", help="Activity of one vial at its reference [MBq].")]
VolumeOption = Annotated[float | None, typer.Option("--volume-ml", help="Its volume [mL].")]
NuclideOption = Annotated[str | None, typer.Option("--nuclide", help="Its nuclide: Ga-68, Lu-177, ...")]
AtOption = Annotated[
    str | None, typer.Option("--at", help="ISO time to which its activity refers; else times are minutes.")
]
DeadOption = Annotated[float | None, typer.Option("--dead-volume-ml", help="Volume that cannot be drawn [mL].")]
ExpiresOption = Annotated[str | None, typer.Option("--expires", help="ISO time of its expiry.")]
ExpiresMinOption = Annotated[
    float | None, typer.Option("--expires-min", help="The same in minutes after the reference.")
]
VialUOption = Annotated[
    float | None, typer.Option("--vial-u-percent", help="Relative standard uncertainty of its activity [%].")
]
ContentOption = Annotated[
    list[str] | None, typer.Option("--content", help="Other content of the whole vial: peptide_ug=50. Repeatable.")
]
LimitOption = Annotated[
    list[str] | None, typer.Option("--limit", help="Largest amount per dose: peptide_ug=25. Repeatable.")
]
PatientOption = Annotated[
    list[str] | None, typer.Option("--patient", help="ID=MBq@time, time in ISO or minutes: P1=150@20. Repeatable.")
]
LeadOption = Annotated[float | None, typer.Option("--lead-min", help="Minutes from the draw to the injection.")]
GapOption = Annotated[float | None, typer.Option("--gap-min", help="Least minutes between two injections.")]
MaxVolumeOption = Annotated[float | None, typer.Option("--max-volume-ml", help="Largest volume for one patient [mL].")]
ResidualOption = Annotated[
    float | None, typer.Option("--residual-percent", help="Share that stays in the syringe [%].")
]
ResidualMlOption = Annotated[float | None, typer.Option("--residual-ml", help="Volume that stays in the syringe [mL].")]
ToleranceOption = Annotated[
    float | None, typer.Option("--time-tolerance-min", help="Half-width of the injection's window [min].")
]
VolumeUOption = Annotated[float | None, typer.Option("--volume-u-ml", help="Standard uncertainty of a volume [mL].")]
WhatIfOption = Annotated[
    list[str] | None,
    typer.Option("--what-if", help="later=15, later:P3=15, dose:P3=120, extra:P9=150@TIME, drop:P3. Repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("dispense")(dispense)


def dispense(
    day: DayFile = None, out: OutOption = None, vial_mbq: VialOption = None, volume_ml: VolumeOption = None,
    nuclide: NuclideOption = None, at: AtOption = None, dead_volume_ml: DeadOption = None, expires: ExpiresOption = None,
    expires_min: ExpiresMinOption = None, vial_u_percent: VialUOption = None, content: ContentOption = None,
    limit: LimitOption = None, patient: PatientOption = None, lead_min: LeadOption = None, gap_min: GapOption = None,
    max_volume_ml: MaxVolumeOption = None, residual_percent: ResidualOption = None, residual_ml: ResidualMlOption = None,
    time_tolerance_min: ToleranceOption = None, volume_u_ml: VolumeUOption = None, what_if: WhatIfOption = None,
    strict: StrictFlag = False, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Who gets how much from which vial when: a draw sheet, or who cannot be served and why.

    \b
    Example: fusin dispense fusin-demo/vial/day.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.radiopharmacy.dispensing_files import DispenseOptions
    from fusin.report.dispense_report import dispense_report

    vial = _given(
        activity_mbq=vial_mbq, volume_ml=volume_ml, nuclide=nuclide, reference_time=at, dead_volume_ml=dead_volume_ml,
        expires=expires, expires_min=expires_min, activity_u_percent=vial_u_percent,
    )  # fmt: skip
    rules = _given(
        lead_min=lead_min, gap_min=gap_min, max_volume_ml=max_volume_ml, residual_percent=residual_percent,
        residual_ml=residual_ml, time_tolerance_min=time_tolerance_min, volume_u_ml=volume_u_ml,
    )  # fmt: skip
    if day is None and not vial:
        raise InputError("dispense", "input", "nothing", "a file, or --vial-mbq, --volume-ml, --nuclide and --patient")
    options = DispenseOptions(
        vial=vial, rules=rules, contents=tuple(content or ()), limits=tuple(limit or ()), patients=tuple(patient or ())
    )
    output = dispense_report(day, options=options, changes=what_if or (), log=NoticeLog(strict=strict))
    finish(output, out, as_json=as_json)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
