"""Files of a table: text with one of three separators, or Parquet; nothing is converted here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fusin.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load"]

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_TEXT = (".csv", ".tsv", ".txt")
# How files begin that spreadsheets write and that are no text in UTF-8, whatever their name says.
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook (or another zip archive)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"%PDF": "a PDF",
}


def load(source: str | Path | pd.DataFrame, known: Sequence[str], where: str) -> tuple[pd.DataFrame, str]:
    """Return a table as it stands, and its name for messages.

    Parameters
    ----------
    source : path of a CSV, TSV or Parquet file, or a frame
    known : column names by which the separator of a text file is recognised
    where : name of a frame for messages

    Raises
    ------
    InputError
        For a file of another kind, text that is not UTF-8, rows of unequal length and a table without rows.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        frame, name = source, where
    else:
        path = Path(source)
        frame, name = _read(path, known), path.name
    if not len(frame):
        raise InputError(name, "rows", 0, "at least one row below the header")
    return frame, name


def _read(path: Path, known: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise InputError(path.name, "file", "nothing", "a table that exists")
    suffix = path.suffix.lower()
    if suffix in {".parquet", ".pq"}:
        from pyarrow import ArrowException

        try:
            return pd.read_parquet(path)
        except (ArrowException, OSError) as err:
            raise InputError(path.name, "file", "bytes that are no Parquet", "a Parquet file") from err
    if suffix not in _TEXT:
        raise InputError(
            path.name, "file type", suffix or "none", "CSV, TSV or Parquet (save a spreadsheet as CSV UTF-8)"
        )
    data = path.read_bytes()
    for start, kind in _NOT_TEXT.items():
        if data.startswith(start):
            raise InputError(path.name, "file", kind, "text: save the spreadsheet as CSV UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x} at {err.start}", "UTF-8 text") from err
    return _parsed(text, path.name, known)


def _parsed(text: str, where: str, known: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    head, _, rest = text.partition("\n")
    # Excel writes and reads a first line that names the separator.
    stated = next((s for s in _SEPARATORS if head.strip("\r ").lower() == f"sep={s}"), None)
    if stated is not None:
        text = rest
        head, _, _ = text.partition("\n")
    separator = stated or max(_SEPARATORS, key=lambda s: (_recognised(head, s, known), head.count(s)))
    rows = [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(c.strip() for c in row)
    ]
    if not rows:
        raise InputError(where, "file", "no text", "a header and rows")
    header = [c.strip() for c in rows[0]]
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            hint = "; a decimal comma splits a number where commas separate columns" if separator == "," else ""
            raise InputError(
                f"{where} row {number}",
                f"number of {_SEPARATORS[separator]}-separated fields",
                len(row),
                f"{len(header)}{hint}",
            )
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def _recognised(head: str, separator: str, known: Sequence[str]) -> int:
    names = next(csv.reader([head], delimiter=separator), [])
    return len({n.strip().lower().replace(" ", "_") for n in names} & set(known))
