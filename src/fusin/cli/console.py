"""What all commands share: progress, notices, errors in one sentence, one JSON document on standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.cli.wording import printable
from fusin.provenance import Notice, canonical_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["emit_json", "print_notices", "say", "stages", "table", "talk"]

RESEARCH = "Research use only. Not for diagnosis or treatment decisions."
_MARKS = {"warning": "!", "adapted": "~", "info": "i"}


def talk(*, as_json: bool = False) -> Console:
    """Console for people: standard output, or standard error when a JSON document goes to standard output."""
    from rich.console import Console

    stream = sys.stderr if as_json else sys.stdout
    width = None if stream.isatty() else 132
    return Console(stderr=as_json, highlight=False, soft_wrap=not stream.isatty(), width=width)


def emit_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(canonical_json(document) + "\n")


def say(console: Console, text: str) -> None:
    """Print one line as it stands, without markup."""
    console.print(printable(text), markup=False)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars on a terminal, silence elsewhere; the work calls ``(stage, done, total)``."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def table(title: str, columns: Iterable[tuple[str, bool]], rows: Iterable[Iterable[str]]) -> Table:
    """Table for the console; columns are (heading, right-aligned)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, right in columns:
        made.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def print_notices(console: Console, notices: Iterable[Notice], *, at_least: str = "adapted") -> None:
    """Print notices by weight: warnings, then adaptations, then (when asked) information."""
    shown = {"info": ("warning", "adapted", "info"), "adapted": ("warning", "adapted")}[at_least]
    listed = sorted((n for n in notices if n.severity in shown), key=lambda n: shown.index(n.severity))
    for notice in listed:
        where = f" [{notice.where}]" if notice.where else ""
        say(console, f" {_MARKS[notice.severity]} {notice.code}: {notice.message}{where}")


def relative(path: Path) -> str:
    """Path as a person would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
