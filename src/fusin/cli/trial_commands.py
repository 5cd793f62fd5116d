"""Verb of the trials: screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

__all__ = ["register"]

PatientTable = Annotated[
    Path | None,
    typer.Argument(
        help="One row per patient, with a column id; without it, records are only imported.", show_default=False
    ),
]
TrialOption = Annotated[list[str] | None, typer.Option("--trial", help="NCT number. Repeatable.")]
DateOption = Annotated[
    str | None, typer.Option("--reference-date", help="Date of ages and windows, 2026-01-31; today without it.")
]
RegistryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--registry",
        help="Import a record: JSON file of ClinicalTrials.gov (API v2), or NCT number to fetch. Repeatable.",
    ),
]
TrialFileOption = Annotated[
    list[Path] | None, typer.Option("--trial-file", help="Trial of your own (TOML). Repeatable.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("screen")(screen)


def screen(
    patients: PatientTable = None,
    out: OutOption = None,
    trial: TrialOption = None,
    reference_date: DateOption = None,
    registry: RegistryOption = None,
    trial_file: TrialFileOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Screen a patient list for trials: eligible, ineligible or indeterminate, with the reason per rule and what to ask for.

    \b
    Example: fusin screen fusin-demo/cohort/screening.csv --trial NCT06125028 --reference-date 2026-01-31
    """
    from datetime import date, datetime

    from fusin.provenance import NoticeLog
    from fusin.report.cohort_trials import ScreenOptions, screen_report

    day = None
    if reference_date is not None:
        try:
            day = date.fromisoformat(reference_date)
        except ValueError as err:
            raise InputError("--reference-date", "date", reference_date, "an ISO date such as 2026-01-31") from err
    options = ScreenOptions(
        trials=tuple(trial or ()), reference_date=day, registry=tuple(registry or ()), own=tuple(trial_file or ())
    )
    today = datetime.now().astimezone().date()
    output = screen_report(patients, options=options, today=today, log=NoticeLog(strict=strict))
    finish(output, out, as_json=as_json)
