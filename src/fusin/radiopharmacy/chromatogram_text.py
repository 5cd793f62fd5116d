"""The block of numbers in a text export: signs, headings and cells, whatever header lines a vendor puts above it."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import FloatArray
from fusin.radiopharmacy.chromatogram_map import ColumnMap

__all__ = ["Block", "column_numbers", "decoded", "find_block"]

_SIGNS = {",": "comma", ";": "semicolon", "\t": "tab", " ": "space"}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d+)?")
_LEAST_ROWS = 3
_MOST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangular block of cells.

    Attributes
    ----------
    headings : texts above the columns; empty for a file without
    rows : cells of each row
    lines : line of each row in the file, from 1
    decimal : sign between whole and fraction
    stated : whether the map says so
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    decimal: str | None
    stated: bool


def decoded(data: bytes, *, where: str, encoding: str | None) -> str:
    """Text of a file: UTF-8, UTF-16 with its mark, or the encoding that the map names.

    Raises
    ------
    InputError
        For bytes that are no such text, and an encoding that Python does not know.
    """
    if len(data) > _MOST_BYTES:
        raise InputError(where, "size", len(data), f"at most {_MOST_BYTES} bytes")
    if not data.strip():
        raise InputError(where, "file", "an empty file", "rows of positions and signal")
    chosen = encoding or ("utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    try:
        text = data.decode(chosen)
    except LookupError as err:
        raise InputError(where, "encoding", encoding, "the name of an encoding, such as utf-8 or latin-1") from err
    except (UnicodeDecodeError, UnicodeError) as err:
        raise InputError(where, "text", "bytes that are no text in UTF-8 (a binary file, or another encoding)",
                         "a text table in UTF-8, or encoding in the column map") from err  # fmt: skip
    if "\x00" in text:
        raise InputError(where, "text", "bytes of a binary file", "a text export, or an ANDI file named .cdf")
    return text


def find_block(text: str, mapping: ColumnMap, *, where: str) -> Block:
    """The block of numbers of a text export.

    Parameters
    ----------
    text : the file
    mapping : signs, section and line of the headings where the file does not tell them
    where : name of the file for messages

    Raises
    ------
    InputError
        When there is no block of at least two columns, there are several and no section was named, or a row within
        the block is broken.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = _section_start(lines, mapping.section, where)
    delimiter, (start, stop) = _delimiter_and_run(lines, first, mapping, where)
    if mapping.section is None:
        _refuse_second(lines, stop, delimiter, where, start)
    heading = _heading_line(lines, start, first, mapping, delimiter, where)
    headings = tuple(_cells(lines[heading], delimiter)) if heading is not None else ()
    wanted = len(headings) if headings else len(_cells(lines[start], delimiter))
    end = _end_of_block(lines, stop, delimiter)
    rows: list[tuple[str, ...]] = []
    places: list[int] = []
    for number in range(start, end):
        if not lines[number].strip():
            continue
        cells = _cells(lines[number], delimiter)
        if len(cells) == wanted + 1 and not cells[-1]:
            cells = cells[:-1]
        if len(cells) != wanted:
            split = delimiter == "," and len(cells) > wanted
            hint = "; a decimal comma splits a number where commas separate columns" if split else ""
            field = f"number of {_SIGNS[delimiter]}-separated fields"
            raise InputError(f"{where} line {number + 1}", field, len(cells), f"{wanted}{hint}")
        rows.append(tuple(cells))
        places.append(number + 1)
    decimal = mapping.decimal or _decimal(rows, delimiter, where, places)
    return Block(headings, tuple(rows), tuple(places), decimal, mapping.decimal is not None)


def column_numbers(block: Block, index: int, name: str, *, where: str, log: NoticeLog) -> FloatArray:
    """A column as finite numbers.

    Raises
    ------
    InputError
        For the first cell that is no finite number, with its line.
    """
    values = np.empty(len(block.rows))
    swapped = 0
    for row, cells in enumerate(block.rows):
        text = cells[index].strip().strip('"').replace("−", "-")
        plain = text
        if block.decimal == "," and "," in text:
            plain, swapped = text.replace(",", "."), swapped + 1
        try:
            values[row] = float(plain) if "_" not in plain else math.nan
        except ValueError:
            values[row] = math.nan
        if not math.isfinite(values[row]):
            raise InputError(f"{where} line {block.lines[row]}", name, text, _needed(text, block.decimal))
    if swapped and not block.stated:
        log.adapted("DECIMAL_COMMA", f"column {name}: {swapped} numbers have a decimal comma, read as a decimal point",
                    where=where)  # fmt: skip
    return values


def _needed(text: str, decimal: str | None) -> str:
    if _GROUPED.fullmatch(text):
        return "a plain number without signs between thousands (or decimal in the column map)"
    if "," in text and decimal == ".":
        return "a decimal point, as the other cells have"
    return "a finite number"


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' in line:
        return [c.strip() for c in next(csv.reader([line], delimiter=delimiter), [])]
    return [c.strip() for c in line.split(delimiter)]


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip('"').replace("−", "-")) is not None


def _numeric(line: str, delimiter: str) -> int:
    """Number of fields of a line that holds numbers in at least its first two fields; 0 for another line."""
    cells = _cells(line, delimiter)
    while cells and not cells[-1]:
        cells = cells[:-1]
    return len(cells) if len(cells) > 1 and all(_is_number(c) for c in cells[:2]) else 0


def _section_start(lines: list[str], section: str | None, where: str) -> int:
    if section is None:
        return 0
    found = [n for n, line in enumerate(lines) if section.lower() in line.lower()]
    if not found:
        raise InputError(where, "section", section, "a text that stands in a line of the file")
    if len(found) > 1:
        raise InputError(where, "section", section, f"a text of one line only (it stands in {len(found)})")
    return found[0] + 1


def _run(lines: list[str], first: int, delimiter: str) -> tuple[int, int]:
    """First run of lines with numbers from ``first`` on: (start, stop); empty lines inside are passed over."""
    start, rows, last = -1, 0, -1
    for number in range(first, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if _numeric(line, delimiter):
            start = number if start < 0 else start
            rows, last = rows + 1, number
        elif start >= 0:
            if rows >= _LEAST_ROWS:
                break
            start, rows = -1, 0
    return (start, last + 1) if rows >= _LEAST_ROWS else (-1, -1)


def _delimiter_and_run(lines: list[str], first: int, mapping: ColumnMap, where: str) -> tuple[str, tuple[int, int]]:
    candidates = [mapping.delimiter] if mapping.delimiter else list(_SIGNS)
    runs = {d: _run(lines, first, d) for d in candidates}
    found = {d: r for d, r in runs.items() if r[0] >= 0}
    if not found:
        raise _no_table(lines[first:], first, candidates, where)
    # A semicolon or tab that separates numbers is the separator; the comma beside it is a decimal comma.
    for sign in (";", "\t"):
        if sign in found:
            return sign, found[sign]
    return next(iter(found.items()))


def _no_table(lines: list[str], offset: int, signs: Sequence[str], where: str) -> InputError:
    """Why there is no block of numbers: a broken cell in a short table, a decimal comma, one column, or no numbers."""
    needed = "at least 3 rows with two numbers, separated by comma, semicolon or tab"
    filled = [(n, line) for n, line in enumerate(lines, start=offset + 1) if line.strip()]
    for sign in signs:
        table = [(n, _cells(line, sign)) for n, line in filled]
        begun = [place for place, (_, cells) in enumerate(table) if len(cells) > 1 and _is_number(cells[0])]
        if not begun:
            continue
        width = len(table[begun[0] - 1][1]) if begun[0] else 0
        for number, cells in (table[place] for place in begun):
            if sign == "," and width > 1 and len(cells) > width:
                return InputError(f"{where} line {number}", "number of comma-separated fields", len(cells),
                                  f"{width}; a decimal comma splits a number where commas separate columns")  # fmt: skip
            broken = next((c for c in cells if c and not _is_number(c)), None)
            if broken is not None:
                return InputError(f"{where} line {number}", "number", broken, "a finite number in each column of a row")
        return InputError(where, "table", f"{len(begun)} rows of numbers", needed)
    single = sum(1 for _, line in filled if _is_number(line.strip()))
    found = f"{single} lines with one number" if single > len(filled) / 2 else "no rows of numbers"
    return InputError(where, "table", found, needed)


def _refuse_second(lines: list[str], stop: int, delimiter: str, where: str, start: int) -> None:
    """A second long block is another detector; which one is meant cannot be known."""
    again = _run(lines, stop, delimiter)
    # A broken cell ends the run too: what follows it directly belongs to the same block.
    between = [n for n in range(stop, again[0]) if lines[n].strip()] if again[0] >= 0 else []
    if len(between) > 1:
        titles = [next((lines[n].strip() for n in range(s, -1, -1) if lines[n].strip().startswith("[")), "")
                  for s in (start, again[0])]  # fmt: skip
        raise InputError(where, "blocks of numbers", f"two, at lines {start + 1} and {again[0] + 1}",
                         f"section in the column map: a text above one of them {[t for t in titles if t]}")  # fmt: skip


def _end_of_block(lines: list[str], stop: int, delimiter: str) -> int:
    """Rows below a single broken line still belong to the block, so that the broken line is named and not cut off."""
    following = [n for n in range(stop, len(lines)) if lines[n].strip()]
    if len(following) > 1 and _numeric(lines[following[1]], delimiter):
        return following[1]
    if len(following) == 1 and len(_cells(lines[following[0]], delimiter)) > 1:
        return following[0] + 1
    return stop


def _heading_line(
    lines: list[str], start: int, first: int, mapping: ColumnMap, delimiter: str, where: str
) -> int | None:
    if mapping.header_line is not None:
        number = mapping.header_line - 1
        if number < 0:
            return None
        if number >= start:
            raise InputError(where, "header_line", mapping.header_line, f"a line above the numbers at line {start + 1}")
        return number
    above = [n for n in range(first, start) if lines[n].strip()]
    if not above:
        return None
    cells = _cells(lines[above[-1]], delimiter)
    broken = len(above) > 1 and _numeric(lines[above[-2]], delimiter) == len(cells) > 1
    if len(cells) > 1 and (_is_number(cells[0]) or broken):
        shown = next((c for c in cells if not _is_number(c)), cells[0])
        raise InputError(f"{where} line {above[-1] + 1}", "number", shown, "a finite number in each column of a row")
    return above[-1] if len(cells) > 1 else None


def _decimal(rows: list[tuple[str, ...]], delimiter: str, where: str, places: list[int]) -> Literal[".", ","] | None:
    """Sign between whole and fraction, where the cells leave one reading."""
    if delimiter == ",":
        return "."
    commas = [(n, c) for n, row in enumerate(rows) for c in row if "," in c]
    if not commas:
        return "."
    line, shown = commas[0]
    if any("." in c for row in rows for c in row):
        raise InputError(f"{where} line {places[line]}", "number", shown,
                         "one sign between whole and fraction (decimal in the column map)")  # fmt: skip
    if all(_THOUSANDS.fullmatch(c) for _, c in commas):
        raise InputError(f"{where} line {places[line]}", "number", shown,
                         "a decimal point, or decimal in the column map: the comma could separate thousands")  # fmt: skip
    return ","
