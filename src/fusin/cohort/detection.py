"""Detection rates by patient and by lesion, and which lesions are seen by which tracers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.cohort.units import Absent, Unit, Units, clustered, patients_of, side_by_side, tracers_of
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import Notice, NoticeLog
from fusin.stats.checks import whole_number
from fusin.stats.clustered import ClusteredProportion, ratio_proportion
from fusin.stats.proportions import ProportionMethod, proportion
from fusin.stats.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DetectionRate",
    "DetectionTable",
    "SharedLesions",
    "detection_rates",
    "shared_from_cells",
    "shared_lesions",
    "sum_shared",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRate:
    """How often one tracer showed what was there, in one group.

    Attributes
    ----------
    unit : ``"lesion"`` or ``"patient"``
    tracer : its name
    by, group : grouping column and its value; empty for all
    rate : share seen of those assessed, units taken as independent
    clustered : the same share with the between-patient variance; None where no patient has two units, or for one patient
    patients : number of patients behind it
    unassessed : units without an answer of this tracer
    """

    unit: Unit
    tracer: str
    by: str
    group: str
    rate: Estimate
    clustered: ClusteredProportion | None
    patients: int
    unassessed: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "unit": self.unit,
            "tracer": self.tracer,
            "by": self.by,
            "group": self.group,
            "rate": self.rate.to_json(),
            "clustered": self.clustered.to_json() if self.clustered else None,
            "patients": self.patients,
            "unassessed": self.unassessed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTable:
    """Detection rates of a cohort with the doubts of its reader."""

    rates: tuple[DetectionRate, ...]
    notices: tuple[Notice, ...] = ()

    def rate(self, tracer: str, *, unit: Unit = "lesion", by: str = "", group: str = "") -> DetectionRate:
        """One row of the table.

        Raises
        ------
        MissingValue
            When the table has no such row.
        """
        for row in self.rates:
            if (row.tracer, row.unit, row.by, row.group) == (tracer, unit, by, group):
                return row
        raise MissingValue(
            "detection rate", f"no {unit} row of {tracer} for {by or 'all'} {group}".rstrip(), "a row of the table"
        )

    def to_table(self) -> pd.DataFrame:
        """One row per rate with both intervals."""
        import pandas as pd

        return pd.DataFrame([_flat(r) for r in self.rates])

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"rates": [r.to_json() for r in self.rates], "notices": [n.to_json() for n in self.notices]}


def _flat(row: DetectionRate) -> dict[str, Any]:
    rate, other = row.rate, row.clustered
    return {
        "unit": row.unit,
        "tracer": row.tracer,
        "by": row.by,
        "group": row.group,
        "detected": rate.k,
        "n": rate.n,
        "rate": rate.value,
        "rate_low": rate.low,
        "rate_high": rate.high,
        "rate_method": rate.method,
        "clustered_low": other.low if other else None,
        "clustered_high": other.high if other else None,
        "clustered_method": other.method if other else None,
        "patients": row.patients,
        "unassessed": row.unassessed,
    }


def detection_rates(
    findings: pd.DataFrame,
    log: NoticeLog,
    *,
    units: Sequence[Unit] = ("patient", "lesion"),
    by: Sequence[str] = (),
    tracers: Sequence[str] | None = None,
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
    absent: Absent = "unknown",
) -> DetectionTable:
    """Detection rates over all and by group.

    Parameters
    ----------
    findings : as read with the finding schema
    log : receives the doubts
    units : what is counted
    by : group columns, each on its own (``grade``, ``site``, ``entity``)
    tracers : all of the table without it
    interval, level : of the rates
    absent : meaning of a lesion without a row for a tracer, as in `side_by_side`

    Returns
    -------
    DetectionTable
        Lesion rows carry the clustered interval beside the one that takes lesions as independent.

    Raises
    ------
    InputError
        For an unknown tracer or group column.
    """
    names = tracers_of(findings, tracers)
    for column in by:
        if column not in findings.columns:
            raise InputError(
                "finding table", "columns", ", ".join(map(str, findings.columns)), f"a column named {column}"
            )
    lesions = side_by_side(findings, names, log, absent=absent)
    rows: list[DetectionRate] = []
    for unit in units:
        for column, group, part in _parts(lesions, unit, by):
            rows.extend(_rates(part, column, group, interval, level))
    _warn_of_clusters(rows, log)
    return DetectionTable(rates=tuple(rows), notices=log.notices)


def _parts(lesions: Units, unit: Unit, by: Sequence[str]) -> Iterator[tuple[str, str, Units]]:
    if unit not in ("lesion", "patient"):
        raise InvalidValue("detection rate", f"unit {unit!r}", "'lesion' or 'patient'")
    own = lesions.part(lesions.frame["lesion"].notna().to_numpy()) if unit == "lesion" else patients_of(lesions)
    yield "", "", own
    for column in by:
        grouped = own if unit == "lesion" else patients_of(lesions, column)
        yield from ((column, name, part) for name, part in grouped.groups(column))


def _rates(part: Units, by: str, group: str, interval: ProportionMethod, level: float) -> Iterator[DetectionRate]:
    patients = part.patients()
    for column, tracer in enumerate(part.tracers):
        flag = part.detected[:, column]
        known = ~np.isnan(flag)
        found, owner = flag[known] == 1.0, patients[known]
        count, most = clustered(owner)
        rate = proportion(int(found.sum()), int(known.sum()), method=interval, level=level)
        other = ratio_proportion(found, owner, level=level) if most > 1 and count > 1 else None
        yield DetectionRate(unit=part.unit, tracer=tracer, by=by, group=group, rate=rate, clustered=other,
                            patients=count, unassessed=int((~known).sum()))  # fmt: skip


def _warn_of_clusters(rows: Sequence[DetectionRate], log: NoticeLog) -> None:
    lesions = [r for r in rows if r.unit == "lesion" and not r.by and r.rate.n > r.patients]
    for row in lesions:
        log.warning(
            "LESIONS_CLUSTERED",
            f"{row.rate.n} lesions of {row.patients} patients: the {row.rate.method} interval takes them as independent; "
            "quote the clustered one",
            where=row.tracer,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLesions:
    """Lesions by the exact set of tracers that showed them.

    Attributes
    ----------
    tracers : two or more names
    cells : set of tracers (in the order of ``tracers``) to the number seen by exactly these; the empty set counts units
        that a table lists and none showed
    label : group, empty for all
    unit : what is counted
    left_out : units that not all tracers assessed
    """

    tracers: tuple[str, ...]
    cells: Mapping[tuple[str, ...], int]
    label: str = ""
    unit: Unit = "lesion"
    left_out: int = 0

    @property
    def n(self) -> int:
        """Number seen by at least one tracer."""
        return sum(count for seen, count in self.cells.items() if seen)

    def total(self, tracer: str) -> int:
        """Number seen by a tracer, alone or with others."""
        return self.shared(tracer)

    def shared(self, *tracers: str) -> int:
        """Number seen by all of these tracers, whatever the others show (a published pairwise column)."""
        self._known(tracers)
        return sum(count for seen, count in self.cells.items() if set(tracers) <= set(seen))

    def only(self, *tracers: str) -> int:
        """Number seen by exactly these tracers."""
        self._known(tracers)
        return self.cells.get(_ordered(tracers, self.tracers), 0)

    def _known(self, tracers: Sequence[str]) -> None:
        for name in tracers:
            if name not in self.tracers:
                raise InvalidValue("lesion matrix", f"tracer {name!r}", "one of " + ", ".join(self.tracers))

    def to_table(self) -> pd.DataFrame:
        """One row per non-empty set of tracers: a column per tracer, ``exactly`` and ``at_least``."""
        import pandas as pd

        rows = [
            {t: t in seen for t in self.tracers} | {"exactly": self.only(*seen), "at_least": self.shared(*seen)}
            for seen in _subsets(self.tracers)
        ]
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "label": self.label,
            "unit": self.unit,
            "tracers": list(self.tracers),
            "n": self.n,
            "neither": self.cells.get((), 0),
            "left_out": self.left_out,
            "totals": {t: self.total(t) for t in self.tracers},
            "sets": [
                {"tracers": list(s), "exactly": self.only(*s), "at_least": self.shared(*s)}
                for s in _subsets(self.tracers)
            ],
        }


def _ordered(names: Iterable[str], tracers: Sequence[str]) -> tuple[str, ...]:
    wanted = set(names)
    return tuple(t for t in tracers if t in wanted)


def _subsets(tracers: Sequence[str]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(tracers, size) for size in range(1, len(tracers) + 1)))


def shared_from_cells(
    tracers: Sequence[str], cells: Mapping[Sequence[str], int], *, label: str = "", unit: Unit = "lesion"
) -> SharedLesions:
    """A matrix from published exclusive cells.

    Parameters
    ----------
    tracers : two or more different names
    cells : set of tracers to the number seen by exactly these; sets that are left out count 0
    label, unit : as in `SharedLesions`

    Raises
    ------
    InvalidValue
        For an unknown tracer, a set given twice, or an impossible count.

    Examples
    --------
    >>> g2 = shared_from_cells("SFC", {"S": 107, "SF": 7, "F": 3, "SFC": 3})
    >>> g2.n, g2.total("S"), g2.shared("S", "F")
    (120, 117, 10)
    """
    names = tuple(tracers)
    if len(names) < 2 or len(set(names)) != len(names):
        raise InvalidValue("lesion matrix", f"tracers {', '.join(names)}", "two or more different tracers")
    counts: dict[tuple[str, ...], int] = {}
    for given, count in cells.items():
        if not set(given) <= set(names) or len(set(given)) != len(given):
            raise InvalidValue("lesion matrix", f"the set {'+'.join(given)}", "sets of " + ", ".join(names))
        key = _ordered(given, names)
        if key in counts:
            raise InvalidValue("lesion matrix", f"the set {'+'.join(given)} twice", "each set once")
        counts[key] = whole_number(count, f"lesions of {'+'.join(given) or 'none'}", what="lesion matrix")
    return SharedLesions(tracers=names, cells=counts, label=label, unit=unit)


def sum_shared(matrices: Sequence[SharedLesions], *, label: str = "") -> SharedLesions:
    """All groups together.

    Raises
    ------
    InvalidValue
        For no matrix, or matrices of other tracers or units.
    """
    if len({(m.tracers, m.unit) for m in matrices}) != 1:
        raise InvalidValue("sum of lesion matrices", "different tracers or units", "matrices of the same kind")
    sets = {seen for m in matrices for seen in m.cells}
    cells = {seen: sum(m.cells.get(seen, 0) for m in matrices) for seen in sorted(sets)}
    return SharedLesions(tracers=matrices[0].tracers, cells=cells, label=label, unit=matrices[0].unit,
                        left_out=sum(m.left_out for m in matrices))  # fmt: skip


def shared_lesions(
    findings: pd.DataFrame,
    log: NoticeLog,
    *,
    tracers: Sequence[str] | None = None,
    by: str | None = None,
    unit: Unit = "lesion",
    absent: Absent = "unknown",
) -> tuple[SharedLesions, ...]:
    """Exclusive and shared lesions of the tracers: over all first, then by group.

    Parameters
    ----------
    findings : as read with the finding schema
    log : receives the number of units left out
    tracers : all of the table without it
    by : group column
    unit : lesions, or patients
    absent : meaning of a lesion without a row for a tracer, as in `side_by_side`
    """
    names = tracers_of(findings, tracers)
    if len(names) < 2:
        raise InvalidValue("lesion matrix", f"tracers {', '.join(names)}", "two or more different tracers")
    lesions = side_by_side(findings, names, log, absent=absent)
    found = []
    for _, group, part in _parts(lesions, unit, (by,) if by else ()):
        known = ~np.isnan(part.detected).any(axis=1)
        code = (part.detected[known] == 1.0) @ (1 << np.arange(len(names)))
        counts = np.bincount(code, minlength=1 << len(names))
        cells = {
            tuple(t for i, t in enumerate(names) if value >> i & 1): int(count)
            for value, count in enumerate(counts)
            if count
        }
        left = int((~known).sum())
        found.append(SharedLesions(tracers=names, cells=cells, label=group, unit=unit, left_out=left))
    if found[0].left_out:
        log.warning(
            "UNITS_LEFT_OUT",
            f"{found[0].left_out} {unit}s were not assessed with all of {', '.join(names)} and are not in the matrix",
            where="finding table",
        )
    return tuple(found)
