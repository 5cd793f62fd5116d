"""From the table of an uptake assay to net rates of wells; every nuclide decays with its own half-life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fusin.assays.counter_columns import named_rows
from fusin.assays.counter_tables import reading_of_row
from fusin.assays.counting import CountReading
from fusin.assays.counting_runs import CountedRun, RunSetup, correct_run, pooled_rate
from fusin.assays.counting_uncertainty import Measured, mean_of
from fusin.assays.uptake import Well
from fusin.assays.uptake_tables import FRACTIONS, UPTAKE_TABLE
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.files import load
from fusin.tabular.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UptakeStudy", "read_uptake"]

_TINY = 1e-12
_ANY_S = 60.0


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
    rows = named_rows(_long(frame), UPTAKE_TABLE, log, where=name)
    assumed = _equal_time(rows, setup, log, name)
    tubes = [_tube(row, setup, number, assumed) for number, row in enumerate(rows)]
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


def _equal_time(rows: Sequence[Row], setup: RunSetup, log: NoticeLog, where: str) -> float | None:
    """One counting time for a table that states none: shares of wells are ratios, in which it cancels."""
    timed = ("live_time_s", "live_time_min", "cpm")
    if any(row.number(field) is not None for row in rows for field in timed):
        return None
    needed = {"--background-cpm": setup.background_cpm, "--dead-time-us": setup.dead_time_us}
    asked = next((name for name, value in needed.items() if value), None)
    if asked is None and "decay" not in setup.applied:
        asked = "the decay during each count"
    if asked is not None:
        raise InputError(where, "live_time_s", "nothing", f"the counting time of each tube, for {asked}")
    log.adapted(
        "EQUAL_COUNTING_TIME", "no counting time is given, so all tubes are taken as counted equally long", where=where
    )
    return _ANY_S


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


def _tube(row: Row, setup: RunSetup, number: int, assumed_s: float | None) -> _Tube:
    kind = row.text("kind") or "sample"
    well, fraction = row.text("well"), row.text("fraction")
    if kind == "sample" and (well is None or fraction is None):
        missing = "well" if well is None else "fraction"
        raise InputError(row.where, missing, "nothing", "a value for each tube; blanks and standards say so in kind")
    if setup.half_life_h is not None and row.text("nuclide"):
        raise InputError(row.where, "nuclide", row.text("nuclide"), "none beside a stated half-life")
    name = " ".join(filter(None, (well, fraction, row.text("tracer")))) if kind == "sample" else f"{kind} {number + 1}"
    reading = reading_of_row(row, tube=name, kind=kind, date_order=setup.date_order, assumed_s=assumed_s)
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
    """Wells from their tubes; a name that returns in another condition or at another time is another well."""
    wells: dict[tuple[object, ...], Well] = {}
    where: dict[tuple[object, ...], str] = {}
    for i, tube in enumerate(tubes):
        if tube.kind != "sample":
            continue
        row = tube.row
        own = _described(row)
        key = (own.name, own.tracer, own.experiment, own.phase, own.condition, own.time_min)
        own = wells.setdefault(key, own)
        fraction = row.needed("fraction")
        if getattr(own, fraction) is not None:
            raise InputError(
                row.where,
                "fraction",
                fraction,
                f"each fraction of {_named(own)} once; {where[*key, fraction]} holds it",
            )
        where.setdefault(key, row.where)
        where[*key, fraction] = row.where
        wells[key] = _with(own, fraction, rates[i], row)
    _refuse_gaps(wells, where)
    return tuple(wells.values())


def _refuse_gaps(wells: Mapping[tuple[object, ...], Well], where: Mapping[tuple[object, ...], str]) -> None:
    """Refuse a well that lacks a fraction that the other wells of its tracer and phase have, for its shares would differ."""
    counted: dict[tuple[str, str], set[str]] = {}
    for well in wells.values():
        counted.setdefault((well.tracer, well.phase), set()).update(_fractions(well))
    for key, well in wells.items():
        missing = [f for f, _ in FRACTIONS if f in counted[well.tracer, well.phase] - _fractions(well)]
        if missing:
            raise InputError(
                where[key], "fraction", f"{_named(well)} without {' and '.join(missing)}",
                "the same fractions of all wells of a tracer",
            )  # fmt: skip


def _fractions(well: Well) -> set[str]:
    return {f for f, _ in FRACTIONS if getattr(well, f) is not None}


def _named(well: Well) -> str:
    minutes = "" if well.time_min is None else f"{well.time_min:g} min"
    return " ".join(filter(None, ("well", well.name, well.tracer, well.condition, minutes)))


def _described(row: Row) -> Well:
    minutes, hours = row.number("time_min"), row.number("time_h")
    if minutes is not None and hours is not None:
        raise InputError(row.where, "time_h", hours, "time_min or time_h, not both")
    return Well(
        name=row.needed("well"), tracer=row.text("tracer") or "", experiment=row.text("experiment") or "",
        phase=row.text("phase") or "uptake", condition=row.text("condition") or "unblocked",
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
