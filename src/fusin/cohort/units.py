"""Findings side by side: one row per lesion or patient, one column per tracer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fusin.errors import InputError, InvalidValue
from fusin.provenance import NoticeLog
from fusin.stats.checks import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "GROUP_COLUMNS",
    "METRICS",
    "Absent",
    "Unit",
    "Units",
    "clustered",
    "patients_of",
    "side_by_side",
    "tracers_of",
]

Unit = Literal["lesion", "patient"]
Absent = Literal["unknown", "negative"]
GROUP_COLUMNS = ("site", "entity", "grade")
METRICS = (
    "suv_max",
    "suv_mean",
    "suv_peak",
    "tbr_blood_pool",
    "tbr_liver",
    "tbr_spleen",
    "tbr_marrow",
    "tbr_muscle",
    "tbr_brain",
    "volume_ml",
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Units:
    """Units with what each tracer showed.

    Attributes
    ----------
    unit : ``"lesion"`` or ``"patient"``
    tracers : names in the order of the columns
    frame : (n) rows with ``patient``, ``lesion`` and the group columns of the table
    detected : (n, tracers) 1 seen, 0 not seen, NaN not assessed
    values : metric to (n, tracers) values, NaN where missing
    """

    unit: Unit
    tracers: tuple[str, ...]
    frame: pd.DataFrame
    detected: FloatArray
    values: dict[str, FloatArray]

    def part(self, rows: np.ndarray) -> Units:
        """The units of some rows (boolean or index array)."""
        return Units(
            unit=self.unit,
            tracers=self.tracers,
            frame=self.frame[rows] if rows.dtype == bool else self.frame.iloc[rows],
            detected=self.detected[rows],
            values={name: v[rows] for name, v in self.values.items()},
        )

    def groups(self, by: str) -> Iterable[tuple[str, Units]]:
        """Each group of a column with its units, in the order of its names."""
        labels = self.frame[by]
        for name in sorted(labels.dropna().unique()):
            yield str(name), self.part((labels == name).to_numpy(dtype=bool, na_value=False))

    def patients(self) -> np.ndarray:
        """(n,) patient of each unit."""
        return self.frame["patient"].to_numpy(dtype=object)


def tracers_of(findings: pd.DataFrame, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Tracers of the table, or the wanted ones after a check that they are there.

    Raises
    ------
    InputError
        For a tracer that the table does not hold.
    """
    import difflib

    present = [str(t) for t in findings["tracer"].unique()]
    for name in wanted or ():
        if name not in present:
            alike = {t.lower(): t for t in reversed(present)}
            near = difflib.get_close_matches(name.lower(), list(alike), n=1)
            raise InputError(
                "finding table", "tracer", alike[near[0]] if near else ", ".join(present), f"rows of {name!r}"
            )
    return tuple(wanted) if wanted else tuple(sorted(present))


def side_by_side(
    findings: pd.DataFrame, tracers: Sequence[str], log: NoticeLog, *, absent: Absent = "unknown"
) -> Units:
    """Bring the rows of each lesion together; findings of a whole patient keep a missing lesion.

    Parameters
    ----------
    findings : as read with the finding schema
    tracers : the columns wanted
    absent : what it means when a patient was examined with a tracer and a lesion has no row for it: ``"unknown"`` leaves
        the lesion out for that tracer and warns, ``"negative"`` counts it as not seen, which is right for tables that
        list only what was seen

    Raises
    ------
    InputError
        For a lesion whose rows disagree about its site, entity or grade.
    """
    if absent not in ("unknown", "negative"):
        raise InvalidValue("detection", f"absent is {absent!r}", "'unknown' or 'negative'")
    rows = findings[findings["tracer"].isin(list(tracers))].reset_index(drop=True)
    if "lesion" not in rows.columns:
        rows = rows.assign(lesion=_missing_text(len(rows)))
    key = rows.groupby(["patient", "lesion"], dropna=False, sort=False).ngroup().to_numpy()
    first = np.unique(key, return_index=True)[1]
    frame = rows.iloc[first][["patient", "lesion"]].reset_index(drop=True)
    for column in GROUP_COLUMNS:
        if column in rows.columns:
            frame[column] = _one_value(rows, key, column, len(frame))
    position = {t: i for i, t in enumerate(tracers)}
    column_of = rows["tracer"].map(position).to_numpy(dtype=np.int64)
    metrics = [m for m in METRICS if m in rows.columns]
    flag = np.asarray(rows["detected"].astype("float64"), dtype=np.float64)
    detected = _spread(flag, key, column_of, (len(frame), len(tracers)))
    values = {m: _spread(np.asarray(rows[m], dtype=np.float64), key, column_of, detected.shape) for m in metrics}
    present = _spread(np.ones(len(rows)), key, column_of, detected.shape)
    _settle_absent(frame, detected, np.isnan(present), absent, tuple(tracers), log)
    return Units(unit="lesion", tracers=tuple(tracers), frame=frame, detected=detected, values=values)


def _missing_text(n: int) -> pd.Series[str]:
    import pandas as pd

    return pd.Series([pd.NA] * n, dtype="string")


def _spread(values: FloatArray, row: np.ndarray, column: np.ndarray, shape: tuple[int, ...]) -> FloatArray:
    out = np.full(shape, np.nan)
    out[row, column] = values
    return out


def _one_value(rows: pd.DataFrame, key: np.ndarray, column: str, n: int) -> pd.Series[str]:
    """The value of a group column per lesion; rows that leave it open follow those that do not."""
    import pandas as pd

    labels = rows[column]
    known = labels.notna().to_numpy()
    codes, names = pd.factorize(labels[known])
    kept = np.full(n, -1, dtype=np.int64)
    kept[key[known][::-1]] = codes[::-1]
    wrong = np.zeros(len(rows), dtype=bool)
    wrong[known] = kept[key[known]] != codes
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"finding table, patient {rows['patient'][row]}, lesion {rows['lesion'][row]}", column, str(labels[row]),
            f"the {column} that the other rows of this lesion have, {names[kept[key[row]]]}",
        )  # fmt: skip
    return pd.Series(np.array([*names, None], dtype=object)[kept], dtype="string")


def _settle_absent(
    frame: pd.DataFrame,
    detected: FloatArray,
    gone: np.ndarray,
    absent: Absent,
    tracers: tuple[str, ...],
    log: NoticeLog,
) -> None:
    patient = frame["patient"].astype("category").cat.codes.to_numpy()
    lesion = frame["lesion"].notna().to_numpy()
    for column, tracer in enumerate(tracers):
        examined = np.zeros(patient.max() + 1, dtype=bool)
        examined[patient[~gone[:, column]]] = True
        open_rows = gone[:, column] & examined[patient] & lesion
        count = int(open_rows.sum())
        if count and absent == "negative":
            detected[open_rows, column] = 0.0
            log.adapted(
                "ABSENT_AS_NEGATIVE",
                f"{count} lesions without a row for {tracer} in patients examined with it count as not seen, as asked",
                where="finding table",
                used=count,
            )
        elif count:
            log.warning(
                "LESIONS_WITHOUT_ROW",
                f"{count} lesions have no row for {tracer} in patients examined with it; they are left out for it",
                where="finding table",
                raw=count,
            )


def patients_of(units: Units, by: str | None = None) -> Units:
    """Patients, or patients within each group of a column: seen when any lesion is seen.

    A patient is not assessed when nothing was seen and some lesion was not assessed. A finding of the whole patient
    stands where there is one. SUV and ratios are those of the hottest lesion, volumes are sums.

    Parameters
    ----------
    units : lesions, and findings of whole patients
    by : group column; a patient with lesions at two sites is in both groups

    Raises
    ------
    InputError
        For a patient who is negative as a whole and has a lesion that was seen.
    """
    keys = ["patient"] if by is None else ["patient", by]
    code = units.frame.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    first = np.unique(code, return_index=True)[1]
    n = len(first)
    whole = units.frame["lesion"].isna().to_numpy()
    detected = np.full((n, len(units.tracers)), np.nan)
    for column in range(len(units.tracers)):
        flag = units.detected[:, column]
        lesions = _any_seen(flag[~whole], code[~whole], n)
        stated = _any_seen(flag[whole], code[whole], n)
        clash = (stated == 0.0) & (lesions == 1.0)
        if clash.any():
            patient = units.frame["patient"].iloc[first[int(clash.argmax())]]
            raise InputError(
                f"finding table, patient {patient}", "detected", "no for the whole patient",
                f"one answer: a lesion was seen with {units.tracers[column]}",
            )  # fmt: skip
        detected[:, column] = np.where(np.isnan(stated), lesions, stated)
    frame = units.frame.iloc[first].reset_index(drop=True)
    frame["lesion"] = _missing_text(n)
    values = {m: _over_lesions(v, code, n, total=m == "volume_ml") for m, v in units.values.items()}
    return Units(unit="patient", tracers=units.tracers, frame=frame, detected=detected, values=values)


def _any_seen(flag: FloatArray, code: np.ndarray, n: int) -> FloatArray:
    """Three-valued any: 1 when one is 1, 0 when all are 0, else NaN."""
    seen = np.bincount(code[flag == 1.0], minlength=n) > 0
    unknown = np.bincount(code[np.isnan(flag)], minlength=n) > 0
    there = np.bincount(code, minlength=n) > 0
    return np.where(seen, 1.0, np.where(unknown | ~there, np.nan, 0.0))


def _over_lesions(values: FloatArray, code: np.ndarray, n: int, *, total: bool) -> FloatArray:
    out = np.full((n, values.shape[1]), np.nan)
    for column in range(values.shape[1]):
        present = ~np.isnan(values[:, column])
        group, value = code[present], values[present, column]
        if total:
            sums = np.bincount(group, weights=value, minlength=n)
            out[:, column] = np.where(np.bincount(group, minlength=n) > 0, sums, np.nan)
        else:
            np.fmax.at(out[:, column], group, value)
    return out


def clustered(patients: np.ndarray) -> tuple[int, int]:
    """Number of patients, and the largest number of units of one patient."""
    _, counts = np.unique(patients, return_counts=True)
    return len(counts), int(counts.max(initial=0))
