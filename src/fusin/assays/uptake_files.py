"""From the table of an uptake assay to net rates of wells; every nuclide decays with its own half-life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fusin.assays.counter_tables import reading_of_row
from fusin.assays.counting import CountReading
from fusin.assays.counting_runs import CountedRun, RunSetup, correct_run, pooled_rate
from fusin.assays.counting_uncertainty import Measured, mean_of
from fusin.assays.uptake import Well
from fusin.assays.uptake_tables import FRACTIONS, UPTAKE_TABLE
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.files import load
from fusin.tabular.rows import Row, rows_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UptakeStudy", "read_uptake"]

_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UptakeStudy:
    """Wells, the applied activity of each tracer, and the runs behind them by nuclide."""

    wells: tuple[Well, ...]
    standards: Mapping[str, Measured]
    runs: Mapping[str, CountedRun]


@dataclass(frozen=True, slots=True, eq=False)
class _Tube:
    row: Row
    kind: str
    reading: CountReading
    nuclide: str


def read_uptake(path: Path, setup: RunSetup, log: NoticeLog) -> UptakeStudy:
    """Read the tubes of an uptake assay and correct them.

    Raises
    ------
    InputError, NotComputable
        With one sentence: which row, what stands there, what would do.
    """
    frame, name = load(path, UPTAKE_TABLE.names(), "")
    rows = rows_of(_long(frame), UPTAKE_TABLE, log, where=name)
    tubes = [_tube(row, setup, number) for number, row in enumerate(rows)]
    runs: dict[str, CountedRun] = {}
    rates: dict[int, Measured] = {}
    for nuclide in dict.fromkeys(t.nuclide for t in tubes if t.kind != "blank"):
        # Blanks without a nuclide belong to all.
        mine = [
            i for i, t in enumerate(tubes) if t.nuclide == nuclide or (t.kind == "blank" and not t.row.text("nuclide"))
        ]
        run = correct_run([tubes[i].reading for i in mine], replace(setup, nuclide=nuclide or None), log)
        runs[nuclide] = run
        for i, rate in zip((i for i in mine if tubes[i].kind != "blank"), run.rates, strict=True):
            share = tubes[i].row.number("counted_fraction")
            if share is not None and not share > _TINY:
                raise InputError(tubes[i].row.where, "counted_fraction", share, "a share above 0")
            rates[i] = pooled_rate([rate]).scaled(1.0 / (1.0 if share is None else share))
    return UptakeStudy(wells=_wells(tubes, rates), standards=_standards(tubes, rates), runs=runs)


def _long(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per tube; a row with a column for each fraction becomes one row for each."""
    import pandas as pd

    plain = {str(c): str(c).strip().lstrip("\ufeff").lower().replace(" ", "_").replace("-", "_") for c in frame.columns}
    wide = {f"{f}_{q}": (f, q) for f, _ in FRACTIONS for q in ("counts", "cpm")}
    found = [c for c in frame.columns if plain[str(c)] in wide]
    if not found:
        return frame
    rows: list[dict[str, object]] = []
    for record in frame.to_dict("records"):
        base = {plain[str(k)]: v for k, v in record.items() if k not in found}
        filled = [c for c in found if str(record[c]).strip() not in ("", "nan", "None")]
        for column in filled:
            fraction, quantity = wide[plain[str(column)]]
            rows.append({**base, "fraction": fraction, quantity: record[column]})
        if not filled:
            rows.append(base)
    return pd.DataFrame(rows, dtype=object)


def _tube(row: Row, setup: RunSetup, number: int) -> _Tube:
    kind = row.text("kind") or "sample"
    well, fraction = row.text("well"), row.text("fraction")
    if kind == "sample" and (well is None or fraction is None):
        missing = "well" if well is None else "fraction"
        raise InputError(row.where, missing, None, "a value for each tube; blanks and standards say so in kind")
    name = " ".join(filter(None, (well, fraction, row.text("tracer")))) if kind == "sample" else f"{kind} {number + 1}"
    reading = reading_of_row(row, tube=name, kind=kind, date_order=setup.date_order)
    return _Tube(row, kind, reading, row.text("nuclide") or setup.nuclide or "")


def _standards(tubes: Sequence[_Tube], rates: Mapping[int, Measured]) -> dict[str, Measured]:
    found: dict[str, list[Measured]] = {}
    for i, tube in enumerate(tubes):
        if tube.kind == "standard":
            share = tube.row.number("applied_fraction")
            if share is not None and not share > _TINY:
                raise InputError(tube.row.where, "applied_fraction", share, "a share above 0")
            found.setdefault(tube.row.text("tracer") or "", []).append(
                rates[i].scaled(1.0 / (1.0 if share is None else share))
            )
    return {tracer: mean_of(values) for tracer, values in found.items()}


def _wells(tubes: Sequence[_Tube], rates: Mapping[int, Measured]) -> tuple[Well, ...]:
    wells: dict[tuple[str, ...], Well] = {}
    where: dict[tuple[str, ...], str] = {}
    for i, tube in enumerate(tubes):
        if tube.kind != "sample":
            continue
        row = tube.row
        key = (
            row.needed("well"),
            row.text("tracer") or "",
            row.text("experiment") or "",
            row.text("phase") or "uptake",
        )
        described = _described(row, key)
        own = wells.setdefault(key, described)
        fraction = row.needed("fraction")
        if getattr(own, fraction) is not None:
            raise InputError(
                row.where,
                "fraction",
                fraction,
                f"each fraction of well {key[0]} once; {where[*key, fraction]} holds it",
            )
        if (own.condition, own.time_min) != (described.condition, described.time_min):
            raise InputError(row.where, "condition and time", f"{described.condition}, {described.time_min}",
                             f"those of the other tubes of well {key[0]}: {own.condition}, {own.time_min}")  # fmt: skip
        where[*key, fraction] = row.where
        wells[key] = _with(own, fraction, rates[i], row)
    return tuple(wells.values())


def _described(row: Row, key: tuple[str, ...]) -> Well:
    minutes, hours = row.number("time_min"), row.number("time_h")
    if minutes is not None and hours is not None:
        raise InputError(row.where, "time_h", hours, "time_min or time_h, not both")
    return Well(
        name=key[0], tracer=key[1], experiment=key[2], phase=key[3], condition=row.text("condition") or "unblocked",
        time_min=hours * 60.0 if hours is not None else minutes,
    )  # fmt: skip


def _with(well: Well, fraction: str, rate: Measured, row: Row) -> Well:
    cells, protein = row.number("cells_million"), row.number("protein_mg")
    for field, value in (("cells_million", cells), ("protein_mg", protein)):
        if value is not None and not value > _TINY:
            raise InputError(row.where, field, value, "a number above 0")
    cells = well.cells_million if cells is None else cells
    protein = well.protein_mg if protein is None else protein
    well = replace(well, cells_million=cells, protein_mg=protein)
    if fraction == "supernatant":
        return replace(well, supernatant=rate)
    return replace(well, acid_wash=rate) if fraction == "acid_wash" else replace(well, lysate=rate)
