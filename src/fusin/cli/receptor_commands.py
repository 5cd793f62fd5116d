"""Verbs of the receptor; each module beside this one adds its own."""

from __future__ import annotations

import typer

from fusin.cli import (
    receptor_kinetics_commands,
    receptor_occupancy_commands,
    receptor_pbpk_commands,
    receptor_simulate_commands,
)

__all__ = ["register"]

_HELP = """The receptor: CXCR4 signalling as a model that runs, occupancy, tracer kinetics, whole body.

\b
Example: fusin receptor simulate cxcr4 --dose CXCL12=110nM --until 90min
"""


def register(app: typer.Typer) -> None:
    """Add the group ``receptor`` to the command line."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    receptor_simulate_commands.register(group)
    receptor_kinetics_commands.register(group)
    receptor_occupancy_commands.register(group)
    receptor_pbpk_commands.register(group)
    app.add_typer(group, name="receptor")
