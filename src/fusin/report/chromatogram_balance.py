"""Whether the percentages that a laboratory wrote down for one sample add up to 100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_text import decoded
from fusin.radiopharmacy.radiochemical_purity import MassBalance, mass_balance
from fusin.report.chromatogram_methods import MASS_BALANCE
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import number_text

__all__ = ["balance_report"]


@dataclass(frozen=True, slots=True)
class _Table:
    """Names and percentages as printed, with their sum."""

    file: str
    names: tuple[str, ...]
    percents: tuple[str, ...]
    balance: MassBalance


def balance_report(files: Sequence[Path], *, log: NoticeLog) -> JobOutput:
    """Add up tables of percentages; the document of ``fusin chromatogram --mass-balance --json``.

    Parameters
    ----------
    files : CSV with the columns ``name`` and ``percent``, one sample each
    log : receives sums that rounding does not explain

    Raises
    ------
    InputError
        For a table without these columns, and for what is no percentage.
    """
    tables = [_read(path, log) for path in files]
    documents = [_document(t) for t in tables]
    return JobOutput(
        title="Mass balance",
        document=documents[0] if len(documents) == 1 else {"kind": "mass_balance", "rcp_percent": None, "runs": documents},
        sections=tuple(_section(t, number) for number, t in enumerate(tables, start=1)),
        summary=tuple(_sentence(t) for t in tables),
        notices=log.notices,
        provenance=provenance_of(files, {"mass_balance": True}, (MASS_BALANCE,)),
    )  # fmt: skip


def _read(path: Path, log: NoticeLog) -> _Table:
    where = path.name
    if not path.is_file():
        raise InputError(where, "file", "nothing", "a table of percentages that exists")
    text = decoded(path.read_bytes(), where=where, encoding=None)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    sign = max(";\t,", key=lines[0][1].count)
    headings = [c.strip().strip('"').lower() for c in lines[0][1].split(sign)]
    if "percent" not in headings or "name" not in headings:
        raise InputError(where, "columns", ", ".join(headings[:8]), "name and percent")
    names, percents = [], []
    for number, line in lines[1:]:
        cells = [c.strip().strip('"') for c in line.split(sign)]
        if len(cells) != len(headings):
            raise InputError(
                f"{where} line {number}", "number of fields", len(cells), f"{len(headings)}, as in the headings"
            )
        value = cells[headings.index("percent")].removesuffix("%").strip()
        if sign != "," and "," in value:
            log.adapted("DECIMAL_COMMA", "percentages have a decimal comma, read as a decimal point", where=where)
            value = value.replace(",", ".")
        names.append(cells[headings.index("name")])
        percents.append(value)
    if not percents:
        raise InputError(where, "rows", "none", "one row for each percentage")
    try:
        balance = mass_balance(percents)
    except InputError as err:
        raise InputError(where, err.field, err.found, err.needed) from err
    if not balance.balanced:
        way = "more" if balance.total > 100.0 else "less"
        log.warning("MASS_BALANCE_OFF", f"{' + '.join(percents)} = {balance.total:g}, {abs(balance.total - 100.0):.2g} {way} than "
                    f"100 where rounding explains {balance.tolerance:.2g}; nothing was rescaled",
                    where=where, raw=balance.total)  # fmt: skip
    return _Table(where, tuple(names), tuple(percents), balance)


def _document(table: _Table) -> dict[str, Any]:
    parts = [{"name": n, "percent": float(p)} for n, p in zip(table.names, table.percents, strict=True)]
    return {"kind": "mass_balance", "file": table.file, "parts": parts, "rcp_percent": None, **table.balance.to_json()}


def _sentence(table: _Table) -> str:
    said = "add up to 100 within rounding" if table.balance.balanced else "do not add up to 100"
    return f"{table.file}: {len(table.names)} percentages with the sum {table.balance.total:g} {said}."


def _section(table: _Table, number: int) -> JobSection:
    import pandas as pd

    frame = pd.DataFrame({"name": [*table.names, "sum"], "percent": [*table.percents, f"{table.balance.total:g}"]})
    allowed = f"Half a unit of each last digit allows for {number_text(table.balance.tolerance)} percent points."
    one = JobTable(name=f"balance-{number}", title=f"Percentages of {table.file}", frame=frame)
    return JobSection(name=f"balance-{number}", title=table.file, text=(_sentence(table), allowed), tables=(one,))
