"""Verbs of the receptor."""

from __future__ import annotations

import typer

from fusin.cli import receptor_kinetics_commands

__all__ = ["register"]

_HELP = """The receptor: CXCR4 signalling, occupancy, tracer kinetics, whole-body distribution.

\b
Example: fusin receptor kinetics fusin-demo/receptor/TAC.csv fusin-demo/receptor/BLOOD.csv
"""


def register(app: typer.Typer) -> None:
    """Add the group ``receptor`` with its verbs to the command line."""
    receptor = typer.Typer(help=_HELP, no_args_is_help=True)
    receptor_kinetics_commands.register(receptor)
    app.add_typer(receptor, name="receptor")
