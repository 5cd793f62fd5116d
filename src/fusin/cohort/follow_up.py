"""Progression-free and overall survival from dates, uptake as a prognostic variable, and swimmer lanes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusin.cohort.tables import PATIENT_COLUMN
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog, jsonable
from fusin.stats.results import TestResult
from fusin.stats.survival import Cox, KaplanMeier, cox, kaplan_meier, logrank
from fusin.tabular.rows import Row, rows_of
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

    from fusin.imaging.volume import FloatArray

__all__ = [
    "FOLLOW_UP_TABLE",
    "Endpoint",
    "FollowUp",
    "Prognosis",
    "SwimmerLane",
    "event_times",
    "prognosis",
    "read_follow_up",
    "selected_cut_p",
    "survival_curve",
    "swimmer_lanes",
]

Endpoint = Literal["os", "pfs"]

DAYS_PER_MONTH = 30.4375
"""365.25 / 12."""

FOLLOW_UP_TABLE = Schema(
    name="follow-up table",
    columns=(
        PATIENT_COLUMN,
        InputColumn("start_date", "string", "start of therapy or date of the scan, ISO", required=True),
        InputColumn("progression_date", "string", "first progression, ISO; missing without one"),
        InputColumn("death_date", "string", "death of any cause, ISO; missing when alive"),
        InputColumn("last_date", "string", "last contact, ISO; needed unless death_date is there"),
        InputColumn(
            "assessed_date", "string", "last assessment without progression, ISO; ends PFS before last contact"
        ),
    ),
    key=("patient",),
)
"""One row per patient; further columns of numbers are markers that can be tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """Dates of one patient; None where it did not happen or is not known.

    Attributes
    ----------
    markers : further numbers of the row by column
    """

    patient: str
    start: dt.date
    progression: dt.date | None = None
    death: dt.date | None = None
    last: dt.date | None = None
    assessed: dt.date | None = None
    markers: Mapping[str, float | None]

    def time(self, endpoint: Endpoint) -> tuple[float, bool] | None:
        """Months and whether the event happened; None without an end of observation.

        OS ends with death, PFS with progression or death, whichever is first. Without an event OS is censored at the
        last contact and PFS at the last assessment, or at the last contact where no assessment is stated.
        """
        events = [self.death] if endpoint == "os" else [self.progression, self.death]
        happened = [d for d in events if d is not None]
        end = min(happened) if happened else (self.assessed if endpoint == "pfs" and self.assessed else self.last)
        if end is None:
            return None
        return (end - self.start).days / DAYS_PER_MONTH, bool(happened)


def read_follow_up(
    source: str | Path | pd.DataFrame, *, markers: Sequence[str] = (), log: NoticeLog
) -> tuple[FollowUp, ...]:
    """Patients of a table with the columns of ``FOLLOW_UP_TABLE``.

    Parameters
    ----------
    markers : names of further columns of numbers to keep

    Raises
    ------
    InputError
        For a date before the start, a date after death, or a table that cannot be used.
    """
    extra = tuple(InputColumn(m, "float64", "prognostic marker") for m in markers)
    schema = Schema(name=FOLLOW_UP_TABLE.name, columns=FOLLOW_UP_TABLE.columns + extra, key=FOLLOW_UP_TABLE.key)
    rows = rows_of(source, schema, log)
    for name in markers:
        # The column has to be there, yet a cell may be empty, so the schema cannot require it.
        if rows and name not in rows[0].values:
            raise InputError(FOLLOW_UP_TABLE.name, "columns", ", ".join(rows[0].values), f"a column named {name}")
    return tuple(_patient(row, markers) for row in rows)


def _patient(row: Row, markers: Sequence[str]) -> FollowUp:
    fields = ("start_date", "progression_date", "death_date", "last_date", "assessed_date")
    start, progression, death, last, assessed = (row.day(f) for f in fields)
    if start is None:
        raise InputError(row.where, "start_date", None, "an ISO date such as 2024-01-31")
    for name, day in zip(fields[1:], (progression, death, last, assessed), strict=True):
        if day is not None and day < start:
            raise InputError(row.where, name, day.isoformat(), f"a date not before the start, {start.isoformat()}")
        if day is not None and death is not None and day > death:
            raise InputError(row.where, name, day.isoformat(), f"a date not after death, {death.isoformat()}")
    return FollowUp(
        patient=row.needed("patient"),
        start=start,
        progression=progression,
        death=death,
        last=last,
        assessed=assessed,
        markers={m: row.number(m) for m in markers},
    )


def event_times(
    patients: Iterable[FollowUp], endpoint: Endpoint, *, log: NoticeLog
) -> tuple[tuple[FollowUp, ...], FloatArray, np.typing.NDArray[np.bool_]]:
    """Patients with follow-up, their months and whether the event happened.

    Parameters
    ----------
    log : receives OUTCOME_NO_FOLLOW_UP with the patients left out

    Raises
    ------
    MissingValue
        When no patient has follow-up.
    """
    listed = list(patients)
    pairs = [(p, p.time(endpoint)) for p in listed]
    kept = [(p, t) for p, t in pairs if t is not None]
    lost = [p.patient for p, t in pairs if t is None]
    if lost:
        text = f"{len(lost)} of {len(listed)} patients have no end of observation for {endpoint.upper()}: "
        log.warning("OUTCOME_NO_FOLLOW_UP", text + ", ".join(lost) + ".")
    if not kept:
        raise MissingValue(endpoint.upper(), "no patient has an end of observation", "death_date or last_date")
    months = np.array([t for _, (t, _) in kept], dtype=np.float64)
    return tuple(p for p, _ in kept), months, np.array([e for _, (_, e) in kept], dtype=np.bool_)


def survival_curve(patients: Iterable[FollowUp], endpoint: Endpoint, *, log: NoticeLog) -> KaplanMeier:
    """Kaplan-Meier curve in months."""
    _, months, events = event_times(patients, endpoint, log=log)
    return kaplan_meier(months, events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prognosis:
    """Uptake as a prognostic variable.

    Attributes
    ----------
    marker, endpoint : what was tested against what
    n, events, missing : patients, events, and patients left out for lack of the marker
    per_unit : Cox model of the continuous marker, hazard ratio for ``unit``
    cut, cut_source : cut-off and where it comes from; None without groups
    low, high : curves of patients below the cut-off, and at or above it
    logrank : test of the two groups; for a cut-off chosen as the best, its p is the corrected one
    optimistic : whether the cut-off was found in these data
    """

    marker: str
    endpoint: Endpoint
    n: int
    events: int
    missing: int
    unit: float
    per_unit: Cox
    cut: float | None = None
    cut_source: str = ""
    low: KaplanMeier | None = None
    high: KaplanMeier | None = None
    logrank: TestResult | None = None
    optimistic: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {n: (v.to_json() if hasattr(v, "to_json") else jsonable(v)) for n, v in values.items()}


def prognosis(
    patients: Iterable[FollowUp],
    marker: str,
    endpoint: Endpoint,
    *,
    cut: float | Literal["median", "best"] | None = None,
    cut_source: str = "",
    unit: float = 1.0,
    log: NoticeLog,
) -> Prognosis:
    """Test a marker: Cox on the continuous value, and groups where a cut-off is given.

    Parameters
    ----------
    cut : a number fixed beforehand with its ``cut_source`` (an evidence id, an own earlier cohort), ``"median"`` of these
        patients, ``"best"`` (largest log-rank statistic between the 10th and 90th percentile), or None
    unit : step of the marker to which the hazard ratio refers, for example 10 for 10 mL
    log : receives OUTCOME_CUT_FROM_DATA, OUTCOME_MARKER_MISSING and OUTCOME_NO_FOLLOW_UP

    Raises
    ------
    InputError
        For a number without a source, or a cut-off that leaves a group empty.
    """
    kept, months, events = event_times(patients, endpoint, log=log)
    raw = np.array([math.nan if p.markers.get(marker) is None else p.markers[marker] for p in kept], dtype=np.float64)
    known = np.isfinite(raw)
    if not known.all():
        lost = ", ".join(p.patient for p, k in zip(kept, known, strict=True) if not k)
        log.warning("OUTCOME_MARKER_MISSING", f"{marker} is missing and left out for: {lost}.")
    values, months, events = raw[known], months[known], events[known]
    model = cox({marker: values / unit}, months, events)
    numbers: dict[str, Any] = {"n": int(known.sum()), "events": int(events.sum()), "missing": int((~known).sum())}
    groups: dict[str, Any] = {}
    if cut is not None:
        groups = _groups(values, months, events, marker, cut, cut_source, log)
    return Prognosis(marker=marker, endpoint=endpoint, unit=unit, per_unit=model, **numbers, **groups)


def _groups(
    values: FloatArray,
    months: FloatArray,
    events: np.typing.NDArray[np.bool_],
    marker: str,
    cut: float | str,
    source: str,
    log: NoticeLog,
) -> dict[str, Any]:
    if isinstance(cut, str):
        limit = float(np.median(values)) if cut == "median" else _best_cut(values, months, events)
        source = f"{cut} of these {values.size} patients"
        log.warning(
            "OUTCOME_CUT_FROM_DATA",
            f"The cut-off {limit:g} of {marker} is the {source}: the separation that it shows is optimistic, and it has to"
            " be confirmed in other patients.",
        )
    else:
        limit = float(cut)
        if not source:
            raise InputError(
                marker, "cut-off", cut, "the source of the number, so that it is not taken for a found one"
            )
    high = values >= limit
    if high.all() or not high.any():
        raise InputError(marker, "cut-off", limit, f"a value that leaves patients on both sides ({values.size} in all)")
    test = logrank(months, events, high)
    if cut == "best":
        test = _corrected(test)
    return {
        "cut": limit,
        "cut_source": source,
        "low": kaplan_meier(months[~high], events[~high]),
        "high": kaplan_meier(months[high], events[high]),
        "logrank": test,
        "optimistic": isinstance(cut, str),
    }


_TAIL = 0.1


def _best_cut(values: FloatArray, months: FloatArray, events: np.typing.NDArray[np.bool_]) -> float:
    low, high = np.quantile(values, [_TAIL, 1.0 - _TAIL])
    candidates = [c for c in np.unique(values) if low <= c <= high and c > values.min()]
    if not candidates:
        raise InputError(
            "cut-off", "marker", np.unique(values).size, "a marker that varies between the 10th and 90th percentile"
        )
    scores = [logrank(months, events, values >= c).statistic or 0.0 for c in candidates]
    return float(candidates[int(np.argmax(scores))])


def selected_cut_p(p: float, tail: float = _TAIL) -> float:
    """Approximate p of the largest of all log-rank statistics over the cut-offs between two quantiles.

    Parameters
    ----------
    p : p of the selected cut-off taken alone
    tail : share of patients left out at either end of the search

    References
    ----------
    Miller and Siegmund, Biometrics 1982;38:1011; Altman et al., J Natl Cancer Inst 1994;86:829. The approximation is for
    small p; above 0.1 it is poor, and never returned above 1.
    """
    normal = NormalDist()
    z = -normal.inv_cdf(max(p, 1e-300) / 2.0)
    if z <= 1.0:
        # The first term changes sign at z = 1; the approximation ends well before.
        return 1.0
    density = normal.pdf(z)
    raised = density * (z - 1.0 / z) * math.log(((1.0 - tail) / tail) ** 2) + 4.0 * density / z
    return min(1.0, max(p, raised))


def _corrected(test: TestResult) -> TestResult:
    if test.p is None:
        return test
    return TestResult(
        test=f"{test.test}, best of many cut-offs, p after Miller and Siegmund",
        p=selected_cut_p(test.p),
        n=test.n,
        statistic=test.statistic,
        df=test.df,
        note="the p of the selected cut-off alone is not valid",
        details={"p_selected": test.p},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SwimmerLane:
    """One patient of a swimmer plot, months from the start.

    Attributes
    ----------
    months : length of the lane: to death, or to the last date known
    ended : ``death``, ``last contact`` or ``last known event`` (no contact date)
    marks : (months, label) of what happened on the way
    """

    patient: str
    months: float
    ended: str
    marks: tuple[tuple[float, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def swimmer_lanes(
    patients: Iterable[FollowUp],
    *,
    events: Mapping[str, Sequence[tuple[dt.date, str]]] | None = None,
    log: NoticeLog,
) -> tuple[SwimmerLane, ...]:
    """Lanes, the longest first.

    Parameters
    ----------
    events : further dated events by patient, such as cycles and responses; after the end of a lane they are an error
    log : receives OUTCOME_NO_FOLLOW_UP

    Raises
    ------
    InputError
        For an event before the start or after the end of the lane.
    """
    lanes = []
    for p in patients:
        listed = [*((p.progression, "progression"),), *(events or {}).get(p.patient, ())]
        marks = [(day, label) for day, label in listed if day is not None]
        end, ended = (p.death, "death") if p.death else (p.last, "last contact")
        if end is None and marks:
            end, ended = max(day for day, _ in marks), "last known event"
        if end is None:
            log.warning(
                "OUTCOME_NO_FOLLOW_UP", f"{p.patient} has no date after the start and no lane.", where=p.patient
            )
            continue
        for day, label in marks:
            if not p.start <= day <= end:
                raise InputError(p.patient, label, day.isoformat(), f"a date from {p.start} to {end}")
        lanes.append(
            SwimmerLane(
                patient=p.patient,
                months=(end - p.start).days / DAYS_PER_MONTH,
                ended=ended,
                marks=tuple(((day - p.start).days / DAYS_PER_MONTH, label) for day, label in sorted(marks)),
            )
        )
    return tuple(sorted(lanes, key=lambda lane: (-lane.months, lane.patient)))
