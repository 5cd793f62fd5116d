"""Verbs of the bench: assay binding, assay saturation."""

from __future__ import annotations

import typer

from fusin.cli import assay_binding_commands, assay_count_commands

__all__ = ["register"]

_HELP = """The bench: counts, binding, saturation, uptake, biodistribution.

\b
Example: fusin assay counts fusin-demo/bench/hidex.csv --nuclide Ga-68 --background-cpm 70
"""


def register(app: typer.Typer) -> None:
    """Add the verb ``assay`` with its own verbs to the command line."""
    assay = typer.Typer(help=_HELP, no_args_is_help=True)
    assay_count_commands.register(assay)
    assay_binding_commands.register(assay)
    app.add_typer(assay, name="assay")
