"""Tables of a biodistribution that hold no counts: values that are ready, and means that somebody printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fusin.assays.biodistribution import Exclusion, OrganValue, TissueValues
from fusin.assays.biodistribution_groups import OrganSummary, summary_of_printed
from fusin.assays.biodistribution_tables import SAMPLES_TABLE, SUMMARY_TABLE, VALUES_TABLE
from fusin.assays.counter_columns import documented, named_rows
from fusin.assays.counting_uncertainty import Measured
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.stats.groups import Summary
from fusin.tabular.files import load
from fusin.tabular.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QUANTITIES", "TableKind", "kind_of_table", "read_means", "read_values", "time_label"]

TableKind = Literal["counts", "values", "means"]

_BY_ORGAN = re.compile(
    r"(?!mean|average|sd|sem|n\b)(.+?)[\s_(\[,:]+(?:(suv)|(?:%|pct|percent)[\s_]*i[da](?:(?:\s*/\s*|_per_|_)(?:(g)|organ))?)\W*",
    re.IGNORECASE,
)
_TIME_HOURS = (("time_h", "h", 1.0), ("time_min", "min", 1.0 / 60.0), ("time_d", "d", 24.0))
QUANTITIES = (("percent_id_per_g", "%ID/g"), ("percent_id", "%ID"), ("suv", "SUV"))
"""Column and unit of each quantity."""


def kind_of_table(path: Path) -> TableKind:
    """What a table holds, by its columns: means of a paper, values that are ready, or tubes with counts."""
    known = [*SAMPLES_TABLE.names(), *VALUES_TABLE.names(), *SUMMARY_TABLE.names()]
    frame, _ = load(path, known, "")
    names = {documented(c, known) for c in frame.columns}
    if {"mean", "n"} <= names:
        return "means"
    values = {"percent_id_per_g", "percent_id", "suv", "value"}
    found = bool(names & values) or any(_organ_of(c) for c in frame.columns)
    return "values" if found and not names & {"counts", "cpm", "tube"} else "counts"


def _organ_of(heading: object) -> tuple[str, str] | None:
    """Organ and quantity of a heading such as ``blood_percent_id_per_g`` or ``Blood (%ID/g)``."""
    found = _BY_ORGAN.fullmatch(str(heading).strip())
    if found is None:
        return None
    if found[2]:
        return found[1], "suv"
    return found[1], "percent_id_per_g" if found[3] else "percent_id"


def _long(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per organ where each organ has a column of its own; an empty cell is no value."""
    import pandas as pd

    wide = {c: organ for c in frame.columns if (organ := _organ_of(c)) is not None}
    if not wide or "organ" in {documented(c, VALUES_TABLE.names()) for c in frame.columns}:
        return frame
    rows = []
    for record in frame.to_dict("records"):
        base = {k: v for k, v in record.items() if k not in wide}
        rows += [
            {**base, "organ": organ, quantity: record[c]}
            for c, (organ, quantity) in wide.items()
            if str(record[c]).strip() not in ("", "nan", "None")
        ]
    return pd.DataFrame(rows, dtype=object)


def time_label(row: Row) -> tuple[str, float | None]:
    """Label of a time point and its hours.

    Raises
    ------
    InputError
        For a time in two units.
    """
    given = [(name, unit, scale) for name, unit, scale in _TIME_HOURS if row.number(name) is not None]
    if len(given) > 1:
        raise InputError(row.where, given[1][0], row.number(given[1][0]), f"the time once; {given[0][0]} is there too")
    if given:
        name, unit, scale = given[0]
        value = row.number(name) or 0.0
        return f"{value:g} {unit}", value * scale
    return row.text("time") or "", None


def read_values(path: Path, log: NoticeLog) -> tuple[TissueValues, str]:
    """Values that are ready, and the name of their quantity.

    Raises
    ------
    InputError
        For a table without values, several quantities in one column ``value``, or an organ that stands twice.
    """
    frame, name = load(path, VALUES_TABLE.names(), "")
    rows = named_rows(_long(frame), VALUES_TABLE, log, where=name)
    out: list[OrganValue] = []
    exclusions: list[Exclusion] = []
    seen: dict[tuple[str, str, str, str], str] = {}
    units: set[str] = set()
    for row in rows:
        animal, organ, group = row.needed("animal"), row.needed("organ"), row.text("group") or ""
        label, hours = time_label(row)
        key = (animal, organ, group, label)
        if key in seen:
            raise InputError(
                row.where, "animal + organ", f"{animal}, {organ}", f"each once; {seen[key]} holds it already"
            )
        seen[key] = row.where
        reason = row.text("excluded_because")
        if reason:
            exclusions.append(Exclusion(animal, organ, reason, "stated"))
            continue
        found, unit = _ready(row, path.name, log)
        units |= unit
        out.append(
            OrganValue(
                animal=animal, organ=organ, group=group, time=label, time_h=hours, suv=found.get("suv"),
                percent_id_per_g=found.get("percent_id_per_g"), percent_id=found.get("percent_id"),
            )
        )  # fmt: skip
    quantity = next((name for name, unit in QUANTITIES if unit in units), None)
    if quantity is None:
        raise InputError(path.name, "values", "none", "%ID/g, %ID or SUV in at least one row")
    return TissueValues(values=tuple(out), exclusions=tuple(exclusions)), quantity


def _ready(row: Row, name: str, log: NoticeLog) -> tuple[dict[str, Measured], set[str]]:
    """Quantities of a row; their own uncertainty is not in a table of values."""
    found = {q: Measured(v, {}, complete=False) for q, _ in QUANTITIES if (v := row.number(q)) is not None}
    units = {unit for q, unit in QUANTITIES if q in found}
    value = row.number("value")
    if value is not None:
        unit = row.text("unit")
        if unit is None:
            log.adapted("VALUE_UNIT_ASSUMED", "values without a unit are taken as %ID/g", where=name, used="%ID/g")
            unit = "%ID/g"
        quantity = next(q for q, u in QUANTITIES if u == unit)
        if quantity in found:
            raise InputError(row.where, "value", value, f"the value once; {quantity} is there too")
        found[quantity] = Measured(value, {}, complete=False)
        units.add(unit)
    return found, units


def read_means(path: Path, log: NoticeLog) -> tuple[OrganSummary, ...]:
    """Means, SDs and sizes as a paper prints them.

    Raises
    ------
    InputError
        For a row without SD and SEM although it has several animals, or with both.
    """
    out = []
    for row in named_rows(path, SUMMARY_TABLE, log):
        sd, sem, n = row.number("sd"), row.number("sem"), int(row.number("n") or 0)
        if sd is not None and sem is not None:
            raise InputError(row.where, "sem", sem, "sd or sem, not both")
        if sd is None and sem is None and n > 1:
            raise InputError(row.where, "sd", "nothing", "the SD of the animals, or their sem")
        sd = sem * n**0.5 if sem is not None else sd
        label, hours = time_label(row)
        given = Summary(mean=row.number("mean") or 0.0, sd=sd or 0.0, n=n)
        out.append(
            summary_of_printed(
                group=row.text("group") or "", time=label, time_h=hours, organ=row.needed("organ"), given=given
            )
        )
    return tuple(out)
