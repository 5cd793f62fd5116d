"""Wells whose shares are ready: percent of the applied activity from somebody's sheet, instead of counts."""

from __future__ import annotations

from pathlib import Path

from fusin.assays.counter_columns import documented, named_rows
from fusin.assays.counting_uncertainty import Measured
from fusin.assays.uptake import Well, WellShares
from fusin.assays.uptake_tables import SHARE_FIELDS, SHARES_TABLE, UPTAKE_TABLE
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.files import load
from fusin.tabular.rows import Row

__all__ = ["holds_shares", "read_shares"]

# Printed shares have two decimals or so; a sum that is further off than this is another number.
_ROOM = 0.1


def holds_shares(path: Path) -> bool:
    """Whether a table has shares and no counts."""
    known = [*SHARE_FIELDS, *(c.name for c in UPTAKE_TABLE.columns if c.name.endswith(("counts", "cpm")))]
    frame, _ = load(path, [*UPTAKE_TABLE.names(), *SHARES_TABLE.names()], "")
    found = {documented(c, known) for c in frame.columns} - {None}
    return bool(found) and found <= set(SHARE_FIELDS)


def read_shares(path: Path, log: NoticeLog) -> tuple[WellShares, ...]:
    """Shares of wells as a table gives them; what follows from two of them is computed.

    Raises
    ------
    InputError
        For a row without shares, shares that contradict each other, or a well that stands twice.
    """
    out: list[WellShares] = []
    seen: dict[tuple[object, ...], str] = {}
    for number, row in enumerate(named_rows(path, SHARES_TABLE, log), start=1):
        well = _well(row, number)
        key = (well.name, well.tracer, well.experiment, well.phase, well.condition, well.time_min)
        if row.text("well") is not None and key in seen:
            raise InputError(row.where, "well", well.name, f"each well once; {seen[key]} holds it already")
        seen[key] = row.where
        out.append(_shares(well, row))
    log.warning(
        "COUNTING_UNCERTAINTY_UNKNOWN", "shares come without the counts behind them, so single wells have no interval",
        where=path.name,
    )  # fmt: skip
    return tuple(out)


def _well(row: Row, number: int) -> Well:
    minutes, hours = row.number("time_min"), row.number("time_h")
    if minutes is not None and hours is not None:
        raise InputError(row.where, "time_h", hours, "time_min or time_h, not both")
    retained = row.number("retained_percent") is not None
    for field in ("cells_million", "protein_mg"):
        value = row.number(field)
        if value is not None and not value > 0:
            raise InputError(row.where, field, value, "a number above 0")
    return Well(
        name=row.text("well") or f"row {number}", tracer=row.text("tracer") or "",
        condition=row.text("condition") or "unblocked", phase=row.text("phase") or ("efflux" if retained else "uptake"),
        experiment=row.text("experiment") or "", time_min=60.0 * hours if hours is not None else minutes,
        cells_million=row.number("cells_million"), protein_mg=row.number("protein_mg"),
    )  # fmt: skip


def _shares(well: Well, row: Row) -> WellShares:
    given = {name: row.number(name) for name in SHARE_FIELDS}
    if all(value is None for value in given.values()):
        raise InputError(row.where, "shares", "nothing", "one of " + ", ".join(SHARE_FIELDS))
    whole, membrane, inside = (given[f"{f}_percent"] for f in ("uptake", "membrane", "internalised"))
    known = [v is not None for v in (whole, membrane, inside)]
    if sum(known) == 2:
        whole = (membrane or 0.0) + (inside or 0.0) if whole is None else whole
        membrane = whole - (inside or 0.0) if membrane is None else membrane
        inside = whole - membrane if inside is None else inside
    if whole is not None and membrane is not None and inside is not None and abs(whole - membrane - inside) > _ROOM:
        raise InputError(row.where, "uptake_percent", whole, f"membrane + internalised, {membrane + inside:g}")
    ratio = 100.0 * inside / whole if inside is not None and whole is not None and whole > 0 else None
    return WellShares(
        well=well, denominator="stated", uptake_percent=_stated(whole), membrane_percent=_stated(membrane),
        internalised_percent=_stated(inside), internalised_of_cell_percent=_stated(ratio), recovery_percent=None,
        retained_percent=_stated(given["retained_percent"]),
    )  # fmt: skip


def _stated(value: float | None) -> Measured | None:
    return None if value is None else Measured(value, {}, complete=False)
