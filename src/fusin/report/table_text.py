"""A table as text that people paste: CSV, Markdown, and HTML that Word keeps.

An estimate is written ``value (low to high)`` and a p value with its test; what is missing is a dash, never 0. CSV keeps the
columns of the frame as they are, because it is read by programs.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from fusin.report.wording import DASH, any_value, words
from fusin.stats.results import Estimate, TestResult
from fusin.tabular.columns import Column

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PrintedTable",
    "Shown",
    "csv_text",
    "estimate_text",
    "html_table",
    "markdown_table",
    "number_text",
    "p_text",
    "p_value_text",
    "print_table",
    "shown_columns",
    "word_html",
]

_SMALLEST_P, _LARGEST_P, _LEVEL = 0.001, 0.99, 0.05
_LIMITS = ("_low", "_high")
_P_NAMES = ("p", "p_adjusted", "adjusted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One printed column.

    Attributes
    ----------
    name : column of the frame; empty for an interval without its value
    heading : what stands above it
    meaning : what it is, for the reader of a heading
    digits : decimals; None chooses by the numbers
    percent : a fraction that is printed in percent
    low, high : columns of the limits
    test : column with the name of the test; the column is then a p value
    p : the column is a p value
    significant : digits of each number for itself, where a column spans many sizes; 0 for the same decimals in all
    """

    name: str
    heading: str
    meaning: str = ""
    digits: int | None = None
    percent: bool = False
    low: str = ""
    high: str = ""
    test: str = ""
    p: bool = False
    significant: int = 0


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table as text: headings, meanings, cells, which columns are numbers, and the notes below it."""

    headings: tuple[str, ...]
    meanings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    notes: tuple[str, ...]


def p_value_text(p: float | None) -> str:
    """A p value as journals print it: ``< 0.001``, three decimals below 0.1 and two above, ``> 0.99``; never 0.

    A value that three decimals would put on 0.050 gets as many as it takes to show its side.

    >>> [p_value_text(p) for p in (0.0, 0.0004, 0.0233, 0.04996, 0.377, 1.0, None)]
    ['< 0.001', '< 0.001', '0.023', '0.04996', '0.38', '> 0.99', '—']
    """
    if p is None or not math.isfinite(p):
        return DASH
    if p < _SMALLEST_P:
        return "< 0.001"
    if p > _LARGEST_P:
        return "> 0.99"
    text = f"{p:.3f}" if round(p, 3) < 0.1 else f"{p:.2f}"
    digits = 3
    while p != _LEVEL and float(text) == _LEVEL and digits < 12:
        digits += 1
        text = f"{p:.{digits}f}"
    return text


def p_text(test: TestResult) -> str:
    """A test in words: ``p = 0.023 (McNemar, continuity-corrected)``.

    >>> p_text(TestResult(test="sign test", p=0.00002, n=20))
    'p < 0.001 (sign test)'
    """
    if test.p is None:
        return f"no p value ({test.test}{': ' + test.note if test.note else ''})"
    text = p_value_text(test.p)
    return f"p {text if text[0] in '<>' else '= ' + text} ({test.test})"


def estimate_text(estimate: Estimate, *, digits: int | None = None, percent: bool = False, method: bool = False) -> str:
    """An estimate with its interval: ``0.82 (0.71 to 0.90)``, or in percent ``82.1 % (71.0 to 90.2)``.

    Parameters
    ----------
    estimate : what is printed
    digits : decimals; chosen by the size of the interval when None
    percent : the estimate is a fraction that is printed in percent
    method : add the level and the method of the interval
    """
    text = _with_limits(estimate.value, estimate.low, estimate.high, digits, percent)
    if estimate.value is None and estimate.note:
        text += f" ({estimate.note})"
    return f"{text} [{100 * estimate.level:g} %, {estimate.method}]" if method and estimate.low is not None else text


def number_text(value: float | None, digits: int = 3) -> str:
    """A number with about three significant digits and no exponent; a dash for what is missing."""
    if value is None or not math.isfinite(value):
        return DASH
    places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    text = _plain(value, min(places, 6))
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown_columns(
    frame: pd.DataFrame,
    columns: Iterable[Column] = (),
    *,
    percent: Collection[str] = (),
    headings: Mapping[str, str] | None = None,
    leave_out: Collection[str] = (),
    significant: Mapping[str, int] | None = None,
) -> tuple[Shown, ...]:
    """Choose how the columns of a frame are printed.

    ``x``, ``x_low`` and ``x_high`` become one column; ``p`` beside ``test`` and ``x_p`` beside ``x_test`` become p values with
    their test. The method of an interval (``x_method``) that is the same in all rows goes below the table,
    and an interval that no row has is left out.

    Parameters
    ----------
    frame : the table
    columns : names with meanings, as the schema has them
    percent : fractions that are printed in percent
    headings : other headings than the words of the name
    leave_out : columns that are not printed
    significant : column to digits of each of its numbers, instead of the same decimals in all
    """
    names = [str(c) for c in frame.columns if c not in leave_out]
    meanings = {c.name: c.meaning for c in columns}
    given = headings or {}
    # A p value takes its test with it, and the limits stand with their value.
    taken = {_test_of(n, names) for n in names}
    shown: list[Shown] = []
    for name in names:
        base = next((name[: -len(s)] for s in _LIMITS if name.endswith(s)), "")
        if name in taken or (base and base in names and _has_limits(base, names)):
            continue
        limits = (name + "_low", name + "_high") if _has_limits(name, names) else ("", "")
        column = Shown(
            name=name, heading=given.get(name, words(name)), meaning=meanings.get(name, ""), percent=name in percent,
            low=limits[0], high=limits[1], test=_test_of(name, names), p=_is_p(name),
            significant=(significant or {}).get(name, 0),
        )  # fmt: skip
        if base and _has_limits(base, names):
            if name.endswith("_high") or frame[[base + s for s in _LIMITS]].isna().all(axis=None):
                continue
            column = replace(
                column, name="", heading=given.get(base, words(base)), low=base + "_low", high=base + "_high",
                percent=base in percent,
            )  # fmt: skip
        elif name.endswith("_method") and frame[name].dropna().nunique() <= 1:
            continue
        shown.append(column)
    return tuple(shown)


def print_table(frame: pd.DataFrame, shown: Sequence[Shown] | None = None, *, most: int | None = None) -> PrintedTable:
    """Cells of a frame as text.

    Parameters
    ----------
    frame : the table
    shown : columns; `shown_columns` when None
    most : rows that are printed; a note says how many there are
    """
    columns = shown_columns(frame) if shown is None else tuple(shown)
    part = frame if most is None else frame.head(most)
    cells = [_cells(part, c) for c in columns]
    notes = _method_notes(frame, columns)
    if len(part) < len(frame):
        notes.append(f"The first {len(part):,} of {len(frame):,} rows.")
    return PrintedTable(
        headings=tuple(c.heading + (" [%]" if c.percent else "") for c in columns),
        meanings=tuple(c.meaning for c in columns),
        rows=tuple(zip(*cells, strict=True)) if cells else (),
        numeric=tuple(_numeric(part, c) for c in columns),
        notes=tuple(notes),
    )


def csv_text(frame: pd.DataFrame) -> str:
    """The frame as CSV with ten significant digits; missing is empty."""
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")


def markdown_table(frame: pd.DataFrame, shown: Sequence[Shown] | None = None) -> str:
    """The table in Markdown, with its notes below."""
    table = print_table(frame, shown)
    if not table.headings:
        return ""
    lines = [
        _markdown_row(table.headings),
        _markdown_row(["---:" if n else "---" for n in table.numeric], raw=True),
        *(_markdown_row(row) for row in table.rows),
    ]
    if table.notes:
        lines += ["", *(_markdown_cell(n) + "  " for n in table.notes)]
    return "\n".join(lines) + "\n"


def word_html(frame: pd.DataFrame, shown: Sequence[Shown] | None = None, *, title: str = "") -> str:
    """A page with one table whose borders stand in the table itself, so that a word processor keeps them.

    Horizontal rules only, as journals want: above and below the headings and below the last row.
    """
    table = print_table(frame, shown)
    rule, cell = "1pt solid #000000", "padding:2pt 6pt;text-align:"
    parts = ['<table style="border-collapse:collapse;font-family:Arial,sans-serif;font-size:9pt" cellspacing="0">']
    if title:
        parts.append(f'<caption style="text-align:left;font-weight:bold;padding:2pt 0">{escape(title)}</caption>')
    aligned = ["right" if n else "left" for n in table.numeric]
    heads = "".join(
        f'<th style="{cell}{a};border-top:{rule};border-bottom:{rule}">{escape(h)}</th>'
        for h, a in zip(table.headings, aligned, strict=True)
    )
    parts.append(f"<thead><tr>{heads}</tr></thead><tbody>")
    for number, row in enumerate(table.rows, start=1):
        last = f";border-bottom:{rule}" if number == len(table.rows) else ""
        parts.append(
            "<tr>"
            + "".join(f'<td style="{cell}{a}{last}">{escape(v)}</td>' for v, a in zip(row, aligned, strict=True))
            + "</tr>"
        )
    parts.append("</tbody></table>")
    parts += [
        f'<p style="font-family:Arial,sans-serif;font-size:8pt;margin:2pt 0">{escape(n)}</p>' for n in table.notes
    ]
    head = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title or "Table")}</title></head>'
    )
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def html_table(table: PrintedTable) -> str:
    """The table as an element of the page: classes only, no inline style."""
    css = [' class="n"' if n else "" for n in table.numeric]
    hints = [f' title="{escape(m)}"' if m else "" for m in table.meanings]
    heads = "".join(f"<th{c}{m}>{escape(h)}</th>" for c, m, h in zip(css, hints, table.headings, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{c}>{escape(v)}</td>" for c, v in zip(css, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _has_limits(name: str, names: Collection[str]) -> bool:
    return name + "_low" in names and name + "_high" in names


def _is_p(name: str) -> bool:
    return name in _P_NAMES or name.endswith("_p")


def _test_of(name: str, names: Collection[str]) -> str:
    """Column with the test of a p value."""
    if not _is_p(name):
        return ""
    beside = "test" if name in _P_NAMES else name[:-1] + "test"
    return beside if beside in names else ""


def _cells(frame: pd.DataFrame, column: Shown) -> list[str]:
    if column.low:
        values = frame[column.name].tolist() if column.name else [None] * len(frame)
        ends = zip(values, frame[column.low].tolist(), frame[column.high].tolist(), strict=True)
        unit = "" if column.percent else None
        return [
            _with_limits(_number(v), _number(a), _number(b), column.digits, column.percent, unit) for v, a, b in ends
        ]
    values = frame[column.name].tolist()
    if column.test:
        pairs = zip(values, frame[column.test].tolist(), strict=True)
        return [
            f"{p_value_text(_number(p))} ({t})"
            if _number(p) is not None and not _missing(t)
            else p_value_text(_number(p))
            for p, t in pairs
        ]
    if column.p:
        return [p_value_text(_number(v)) for v in values]
    if column.significant:
        return [_own_digits(v, column.significant) for v in values]
    digits = _common_digits(values) if column.digits is None and not column.percent else column.digits
    return [_cell(v, column.digits if isinstance(v, Estimate) else digits, column.percent) for v in values]


def _cell(value: Any, digits: int | None, percent: bool) -> str:
    if isinstance(value, Estimate):
        return estimate_text(value, digits=digits, percent=percent)
    if isinstance(value, TestResult):
        return p_text(value)
    if _missing(value):
        return DASH
    found = _number(value)
    if found is None:
        return any_value(value)
    if isinstance(value, numbers.Integral):
        return _plain(float(value), 0)
    return _plain(100.0 * found, 1 if digits is None else digits) if percent else _plain(found, digits or 0)


def _own_digits(value: Any, digits: int) -> str:
    """A number by its own size, with an exponent where it would else be a row of zeros."""
    found = _number(value)
    if found is None or isinstance(value, numbers.Integral):
        return _cell(value, None, False)
    if 0 < abs(found) < 1e-4:
        mantissa, power = f"{found:.{digits - 1}e}".split("e")
        return f"{number_text(float(mantissa), digits)}e\u2212{abs(int(power))}"
    return number_text(found, digits)


def _missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA, which has no truth value of its own."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def _number(value: Any) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if math.isfinite(value) else None


def _common_digits(values: Sequence[Any]) -> int:
    """Decimals that show three digits of the median size, at most 4; none for whole numbers."""
    found = [abs(float(v)) for v in values if _number(v) is not None and not isinstance(v, numbers.Integral)]
    found = sorted(v for v in found if v > 0)
    if not found or all(v == round(v) for v in found):
        return 0
    return min(4, max(0, 2 - math.floor(math.log10(found[len(found) // 2]))))


def _with_limits(
    value: float | None,
    low: float | None,
    high: float | None,
    digits: int | None,
    percent: bool,
    unit: str | None = " %",
) -> str:
    scale = 100.0 if percent else 1.0
    given = [None if v is None or not math.isfinite(v) else scale * v for v in (value, low, high)]
    if given == [None, None, None]:
        return DASH
    places = digits if digits is not None else (1 if percent else _interval_digits(given))
    mid, first, last = (DASH if v is None else _plain(v, places) for v in given)
    sign = (unit or "") if percent else ""
    ends = f"{first} to {last}"
    if given[0] is None:
        return ends + sign
    if given[1] is None and given[2] is None:
        return mid + sign
    return f"{mid}{sign} ({ends})"


def _interval_digits(given: Sequence[float | None]) -> int:
    """Decimals by the width of the interval, of which two digits are worth printing; without it three of the value."""
    value, low, high = given
    if low is not None and high is not None and high > low:
        return min(4, max(0, 1 - math.floor(math.log10(high - low))))
    return min(4, max(0, 2 - math.floor(math.log10(abs(value or low or high or 1.0)))))


def _plain(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not any(c in "123456789" for c in text) else text.replace("-", "\u2212")


def _numeric(frame: pd.DataFrame, column: Shown) -> bool:
    if column.low:
        return True
    if column.test:
        return False
    values = [v for v in frame[column.name].tolist() if not _missing(v)]
    return bool(values) and all(isinstance(v, (numbers.Real, Estimate)) and not isinstance(v, bool) for v in values)


def _method_notes(frame: pd.DataFrame, columns: Sequence[Shown]) -> list[str]:
    """One line for each interval whose method is the same in all rows and has no column of its own."""
    own = {c.name for c in columns}
    found: dict[str, list[str]] = {}
    for column in columns:
        name = column.low.removesuffix("_low") + "_method"
        if not column.low or name in own or name not in frame.columns:
            continue
        methods = frame[name].dropna().unique().tolist()
        if len(methods) == 1 and methods[0]:
            found.setdefault(str(methods[0]), []).append(column.heading)
    return [f"Interval of {', '.join(names)}: {method}." for method, names in found.items()]


def _markdown_row(cells: Sequence[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(c if raw else _markdown_cell(c) for c in cells) + " |"


def _markdown_cell(text: str) -> str:
    """Text that neither ends its cell nor becomes markup."""
    flat = " ".join(text.split())
    for sign in "\\|*_`[]<":
        flat = flat.replace(sign, "\\" + sign)
    return flat
