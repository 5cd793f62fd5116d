"""From texts of the command line to the options of the cohort's verbs, and what these verbs print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from fusin.cli.console import emit_json, print_notices, relative, say, table, talk
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.report.job_output import JobOutput

__all__ = [
    "IntervalOption",
    "JsonFlag",
    "OutOption",
    "StrictFlag",
    "all_or_none",
    "choice",
    "finish",
    "fraction",
    "limits",
    "number_or_word",
    "own_rate",
]

_Name = TypeVar("_Name", bound=str)

SHOWN = 40
FEW_ROWS, WIDE = 4, 8

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for tables, figures, report and JSON; nothing is written without it."),
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, everything else on standard error.")
]
StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Refuse every adaptation of the tables instead of noting it.")
]
IntervalOption = Annotated[
    str,
    typer.Option("--interval", help="Of proportions: wilson, clopper-pearson, jeffreys, or wald (to reproduce only)."),
]


def finish(output: JobOutput, out: Path | None, *, as_json: bool) -> None:
    """Write where a folder is given, then print: one JSON document, or tables for a person."""
    from fusin.report.job_output import write_job

    written = write_job(output, out) if out is not None else None
    document = output.to_json()
    if as_json:
        emit_json({**document, "outputs": dict(written)} if written is not None else document)
    console = talk(as_json=as_json)
    for sentence in output.summary:
        say(console, sentence)
    if not as_json:
        _print_tables(output)
    print_notices(console, output.notices)
    if written is not None and out is not None:
        say(console, f"Written to {relative(out)}: report.html, results.json and {len(written) - 2} other files")


def _print_tables(output: JobOutput) -> None:
    from fusin.report.table_text import print_table

    console = talk()
    for one in output.tables():
        if not one.on_page:
            continue
        printed = print_table(one.frame, one.shown, most=SHOWN)
        if len(printed.rows) <= FEW_ROWS and len(printed.headings) > WIDE:
            # A line per column: so many columns of a terminal would break inside of the numbers.
            columns = [("", False), *(("", False) for _ in printed.rows)]
            console.print(table(one.title, columns, zip(printed.headings, *printed.rows, strict=True)))
        else:
            console.print(table(one.title, zip(printed.headings, printed.numeric, strict=True), printed.rows))
        for note in printed.notes:
            say(console, note)


def choice(text: str, allowed: Sequence[str], option: str) -> Any:
    """One of the allowed words.

    Raises
    ------
    InputError
        For another word.
    """
    if text not in allowed:
        raise InputError(option, "choice", text, "one of " + ", ".join(allowed))
    return text


def all_or_none(values: Mapping[str, float | None], because: str) -> bool:
    """Whether options that belong together are all given.

    Raises
    ------
    InputError
        When some are given and one is missing.
    """
    missing = [name for name, value in values.items() if value is None]
    if missing and len(missing) < len(values):
        raise InputError(missing[0], "option", "nothing", f"{' '.join(values)} together: {because}")
    return not missing


def fraction(value: float | None, option: str) -> float | None:
    """A share strictly between 0 and 1, or None.

    Raises
    ------
    InputError
        For a percentage or another number.
    """
    if value is not None and not 0.0 < value < 1.0:
        raise InputError(option, "share", value, "a fraction between 0 and 1 (0.9, not 90)")
    return value


def number_or_word(text: str | None, words: Sequence[str], option: str) -> Any:
    """A number, one of the words, or None.

    Raises
    ------
    InputError
        For anything else.
    """
    if text is None or text in words:
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(option, "value", text, "a number, or " + " or ".join(words))
    return value


def limits(texts: Sequence[str] | None, names: Mapping[_Name, str], option: str) -> dict[_Name, tuple[float, float]]:
    """Pairs of limits by name from ``name=low,high``.

    Raises
    ------
    InputError
        For an unknown name or what is no pair of numbers.
    """
    found: dict[_Name, tuple[float, float]] = {}
    for text in texts or ():
        word, _, pair = text.partition("=")
        name: _Name = choice(word, tuple(names), option)
        try:
            low, high = (float(part) for part in pair.split(","))
        except ValueError as err:
            raise InputError(option, word, pair, "low,high in percent, for example -25,30") from err
        found[name] = (low, high)
    return found


def own_rate(text: str, option: str) -> tuple[str, int, int]:
    """Label and counts from ``LABEL=k/n``.

    Raises
    ------
    InputError
        When the text is none.
    """
    label, _, counts = text.rpartition("=")
    try:
        k, n = (int(part) for part in counts.split("/"))
    except ValueError as err:
        raise InputError(option, "rate", text, "LABEL=k/n, for example 'this cohort=17/20'") from err
    return label or "this cohort", k, n
