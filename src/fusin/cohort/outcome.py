"""Response to therapy: change of CXCR4 uptake and volume between scans, and response categories as entered.

No response criteria are validated for CXCR4 PET, so none is derived: the change is given in percent, and Lugano, PERCIST or
IMWG categories are those that somebody entered. No repeatability of CXCR4 PET is published; limits of one's own test-retest
data can be given, and a change within them is then said not to differ from repetition.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fusin.cohort.tables import PATIENT_COLUMN
from fusin.errors import InputError
from fusin.provenance import NoticeLog, jsonable
from fusin.tabular.columns import Column
from fusin.tabular.rows import Row, rows_of, to_frame
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CHANGE_COLUMNS",
    "FRAMEWORKS",
    "METRICS",
    "RESPONSE_TABLE",
    "CrossTable",
    "Framework",
    "Metric",
    "MetricChange",
    "ResponseChange",
    "ResponseScan",
    "Waterfall",
    "best_response",
    "change_table",
    "cross_tabulate",
    "read_response",
    "response_changes",
]

Metric = Literal["ctv_ml", "tlu_g", "suv_peak"]
Framework = Literal["lugano", "percist", "imwg"]

METRICS: Mapping[Metric, str] = {
    "ctv_ml": "CXCR4 tumour volume [mL]",
    "tlu_g": "total lesion uptake, SUVmean x volume [g]",
    "suv_peak": "SUVpeak of the hottest lesion [g/mL]",
}
FRAMEWORKS: Mapping[Framework, tuple[str, ...]] = {
    "lugano": ("CMR", "PMR", "NMR", "PMD", "CR", "PR", "SD", "PD"),
    "percist": ("CMR", "PMR", "SMD", "PMD"),
    "imwg": ("sCR", "CR", "VGPR", "PR", "MR", "SD", "PD"),
}
"""Categories in the order from best to worst, metabolic before anatomical for Lugano."""

RESPONSE_TABLE = Schema(
    name="response table",
    columns=(
        PATIENT_COLUMN,
        InputColumn("date", "string", "date of the scan, ISO", required=True),
        *(InputColumn(name, "float64", meaning, least=0.0) for name, meaning in METRICS.items()),
        *(
            InputColumn(name, "string", f"{name} category as entered: {', '.join(allowed)}")
            for name, allowed in FRAMEWORKS.items()
        ),
    ),
    key=("patient", "date"),
)
"""One row per scan; the earliest of a patient is the baseline. A missing metric is missing; no disease left is 0."""

CHANGE_COLUMNS = (
    Column("patient", "string", "patient identifier"),
    Column("baseline_date", "string", "date of the first scan"),
    Column("date", "string", "date of this scan"),
    Column("days", "Int64", "between the two"),
    *(
        Column(f"{name}_{suffix}", dtype, f"{meaning}: {words}")
        for name, meaning in METRICS.items()
        for suffix, dtype, words in (
            ("before", "float64", "at baseline"),
            ("after", "float64", "at this scan"),
            ("change_percent", "float64", "change in percent of the baseline; missing for a baseline of 0"),
            ("within_repeatability", "boolean", "change lies within the limits that were given"),
        )
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScan:
    """One scan of one patient; None where not measured or not entered."""

    patient: str
    date: dt.date
    metrics: Mapping[Metric, float | None]
    categories: Mapping[Framework, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """Change of one metric.

    Attributes
    ----------
    change_percent : 100 (after - before) / before; None when one is missing or the baseline is 0
    within_repeatability : whether the change lies within the limits; None without limits or change
    """

    before: float | None
    after: float | None
    change_percent: float | None
    within_repeatability: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseChange:
    """One follow-up scan against the baseline of its patient."""

    patient: str
    baseline_date: dt.date
    date: dt.date
    changes: Mapping[Metric, MetricChange]
    categories: Mapping[Framework, str | None]

    @property
    def days(self) -> int:
        """Days between the scans."""
        return (self.date - self.baseline_date).days

    def row(self) -> dict[str, Any]:
        """Fields of ``CHANGE_COLUMNS``."""
        values: dict[str, Any] = {
            "patient": self.patient,
            "baseline_date": self.baseline_date.isoformat(),
            "date": self.date.isoformat(),
            "days": self.days,
        }
        for metric, change in self.changes.items():
            values |= {f"{metric}_{name}": value for name, value in change.to_json().items()}
        return values

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return self.row() | {"categories": dict(self.categories)}


def read_response(source: str | Path | pd.DataFrame, *, log: NoticeLog) -> tuple[ResponseScan, ...]:
    """Scans of a table with the columns of ``RESPONSE_TABLE``.

    Raises
    ------
    InputError
        For a table that cannot be used, a date that is not ISO, or a category outside its framework.
    """
    return tuple(_scan(row) for row in rows_of(source, RESPONSE_TABLE, log))


def _scan(row: Row) -> ResponseScan:
    date = row.day("date")
    if date is None:
        raise InputError(row.where, "date", None, "an ISO date such as 2024-01-31")
    return ResponseScan(
        patient=row.needed("patient"),
        date=date,
        metrics={m: row.number(m) for m in METRICS},
        categories={f: row.choice(f, allowed) for f, allowed in FRAMEWORKS.items()},
    )


def response_changes(
    scans: Iterable[ResponseScan],
    *,
    repeatability_percent: Mapping[Metric, tuple[float, float]] | None = None,
    log: NoticeLog,
) -> tuple[ResponseChange, ...]:
    """Change of each follow-up scan against the earliest scan of its patient.

    Parameters
    ----------
    scans : in any order
    repeatability_percent : limits of agreement of repeated scans by metric, lower (negative) and upper [%], from one's
        own test-retest data
    log : receives RESPONSE_NO_REPEATABILITY, RESPONSE_NO_FOLLOW_UP and RESPONSE_BASELINE_ZERO

    Raises
    ------
    InputError
        For two scans of one patient on one day, or limits that do not enclose 0.
    """
    limits = repeatability_percent or {}
    for metric, (low, high) in limits.items():
        if not low < 0 < high:
            raise InputError("repeatability", metric, (low, high), "a lower limit below 0 and an upper limit above 0")
    by_patient: dict[str, dict[dt.date, ResponseScan]] = {}
    for scan in scans:
        days = by_patient.setdefault(scan.patient, {})
        if scan.date in days:
            raise InputError("response table", "date", scan.date.isoformat(), f"one scan of {scan.patient} per day")
        days[scan.date] = scan
    changes = []
    for patient, days in by_patient.items():
        baseline, *later = (days[d] for d in sorted(days))
        if not later:
            log.info("RESPONSE_NO_FOLLOW_UP", f"{patient} has one scan, so there is no change.", where=patient)
        changes += [_change(baseline, scan, limits, log) for scan in later]
    if changes and not limits:
        log.warning(
            "RESPONSE_NO_REPEATABILITY",
            "No test-retest repeatability of CXCR4 PET is published and none was given: how much of a change is noise is"
            " not known, and no response criteria are validated for this tracer.",
        )
    return tuple(changes)


def _change(
    baseline: ResponseScan, scan: ResponseScan, limits: Mapping[Metric, tuple[float, float]], log: NoticeLog
) -> ResponseChange:
    changes: dict[Metric, MetricChange] = {}
    for metric in METRICS:
        before, after = baseline.metrics.get(metric), scan.metrics.get(metric)
        percent: float | None = None
        if before is not None and after is not None:
            if before == 0:
                log.warning(
                    "RESPONSE_BASELINE_ZERO",
                    f"{metric} is 0 at baseline and {after:g} later: there is no change in percent.",
                    where=f"{scan.patient} {scan.date}",
                )
            else:
                percent = 100.0 * (after - before) / before
        within: bool | None = None
        if percent is not None and metric in limits:
            within = limits[metric][0] <= percent <= limits[metric][1]
        changes[metric] = MetricChange(before=before, after=after, change_percent=percent, within_repeatability=within)
    return ResponseChange(
        patient=scan.patient,
        baseline_date=baseline.date,
        date=scan.date,
        changes=changes,
        categories=scan.categories,
    )


def change_table(changes: Iterable[ResponseChange]) -> pd.DataFrame:
    """One row per follow-up scan; columns as in ``CHANGE_COLUMNS``."""
    return to_frame([c.row() for c in changes], CHANGE_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Best change of each patient, from the largest increase to the largest decrease.

    Attributes
    ----------
    patients, change_percent : bars in the order of drawing
    categories : category entered for the scan of the best change, by framework
    missing : patients without a change in percent; they belong into the caption, not into the figure
    """

    metric: Metric
    patients: tuple[str, ...]
    change_percent: tuple[float, ...]
    categories: tuple[Mapping[Framework, str | None], ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def best_response(changes: Iterable[ResponseChange], metric: Metric) -> Waterfall:
    """Lowest change in percent of each patient over the follow-up scans."""
    best: dict[str, tuple[float, ResponseChange]] = {}
    seen: dict[str, None] = {}
    for change in changes:
        seen[change.patient] = None
        percent = change.changes[metric].change_percent
        if percent is not None and (change.patient not in best or percent < best[change.patient][0]):
            best[change.patient] = (percent, change)
    bars = sorted(best.values(), key=lambda item: (-item[0], item[1].patient))
    return Waterfall(
        metric=metric,
        patients=tuple(c.patient for _, c in bars),
        change_percent=tuple(p for p, _ in bars),
        categories=tuple(c.categories for _, c in bars),
        missing=tuple(p for p in seen if p not in best),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossTable:
    """Categories of two frameworks on the same scans.

    Attributes
    ----------
    rows, columns : categories of the first and second framework that may occur
    counts : scans by row and column
    missing : scans that lack one of the two
    """

    first: Framework
    second: Framework
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    missing: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}

    def to_table(self) -> pd.DataFrame:
        """Counts with the categories as names of rows and columns."""
        import pandas as pd

        return pd.DataFrame(
            [list(r) for r in self.counts],
            index=pd.Index(self.rows, name=self.first),
            columns=pd.Index(self.columns, name=self.second),
        )


def cross_tabulate(scans: Sequence[ResponseScan], first: Framework, second: Framework) -> CrossTable:
    """Count scans by the categories that were entered; nothing is derived from the uptake.

    Raises
    ------
    InputError
        For a framework against itself.
    """
    if first == second:
        raise InputError("cross table", "framework", first, "two different frameworks")
    rows, columns = FRAMEWORKS[first], FRAMEWORKS[second]
    counts = [[0] * len(columns) for _ in rows]
    missing = 0
    for scan in scans:
        one, two = scan.categories.get(first), scan.categories.get(second)
        if one is None or two is None:
            missing += 1
            continue
        counts[rows.index(one)][columns.index(two)] += 1
    return CrossTable(
        first=first, second=second, rows=rows, columns=columns, counts=tuple(map(tuple, counts)), missing=missing
    )
