"""The command ``fusin``: one verb per job."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from fusin.cli import (
    assay_commands,
    chromatogram_commands,
    cohort_commands,
    dispense_commands,
    dose_commands,
    evidence_commands,
    generator_commands,
    plan_commands,
    receptor_commands,
    reconstruct_commands,
    release_commands,
    scan_commands,
    trial_commands,
)
from fusin.cli.console import RESEARCH
from fusin.cli.wording import printable

__all__ = ["app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    name="fusin",
    help=f"CXCR4 theranostics from vial to dose. {RESEARCH}",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
scan_commands.register(app)
cohort_commands.register(app)
trial_commands.register(app)
evidence_commands.register(app)
generator_commands.register(app)
chromatogram_commands.register(app)
release_commands.register(app)
dispense_commands.register(app)
assay_commands.register(app)
dose_commands.register(app)
plan_commands.register(app)
receptor_commands.register(app)
reconstruct_commands.register(app)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        from fusin.provenance import versions

        typer.echo(f"fusin {versions()['fusin']}")
        raise typer.Exit


def main() -> None:
    """Run the command line; refusals end in one sentence on standard error and the exit code of their class."""
    from fusin.errors import FusinError

    if not sys.warnoptions:
        # Warnings of libraries are for programmers; what a reader must know is a notice.
        warnings.simplefilter("ignore")
    try:
        # Typer turns an interrupt into the return value 130, and its own early exits into theirs.
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except FusinError as err:
        _leave(str(err), err.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _leave("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as err:
        if type(err).__name__ == "NoArgsIsHelpError":
            # A group without a verb is a question, as fusin without one is: its help keeps its lines.
            typer.echo(str(err))
            return
        if type(err).__module__.startswith(("click", "typer")) and hasattr(err, "format_message"):
            _leave(f"{err.format_message()} (fusin --help lists the verbs, fusin VERB --help its options)", 2)
        if isinstance(err, (OSError, MemoryError)):
            _leave(str(err) or "not enough memory", 1)
        raise
    if code == INTERRUPTED:
        _leave("interrupted", INTERRUPTED)
    if code:
        sys.exit(code)


def _leave(sentence: str, code: int) -> NoReturn:
    """End with one line on standard error, whatever a header put into the sentence."""
    sys.stderr.write(f"fusin: {printable(sentence).strip()}\n")
    sys.exit(code)
