"""Verbs of the bench: assay binding, assay saturation."""

from __future__ import annotations

import typer

from fusin.cli import assay_count_commands

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb ``assay`` with its own verbs to the command line."""
    assay = typer.Typer(help="The bench: binding, saturation, uptake, biodistribution.", no_args_is_help=True)
    assay_count_commands.register(assay)
    app.add_typer(assay, name="assay")
