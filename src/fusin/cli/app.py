"""The command ``fusin``: one verb per job."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fusin.cli import scan_commands
from fusin.cli.console import RESEARCH

__all__ = ["app", "main"]

app = typer.Typer(
    name="fusin",
    help=f"CXCR4 theranostics from vial to dose. {RESEARCH}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
scan_commands.register(app)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        from fusin.provenance import versions

        typer.echo(f"fusin {versions()['fusin']}")
        raise typer.Exit


def main() -> None:
    """Run the command line; refusals end in one sentence on standard error and the exit code of their class."""
    from fusin.errors import FusinError

    try:
        app(standalone_mode=False)
    except FusinError as err:
        sys.stderr.write(f"fusin: {err}\n")
        sys.exit(err.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("fusin: interrupted\n")
        sys.exit(130)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except Exception as err:
        if type(err).__module__.startswith(("click", "typer")) and hasattr(err, "format_message"):
            sys.stderr.write(f"fusin: {err.format_message()} (fusin --help lists the verbs and their options)\n")
            sys.exit(2)
        if isinstance(err, (OSError, MemoryError)):
            sys.stderr.write(f"fusin: {err or 'not enough memory'}\n")
            sys.exit(1)
        raise
