"""The STARD flow: who had the index test, who the reference, and what became of indeterminate results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusin.errors import InputError, InvalidValue, MissingValue

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["AccuracyRows", "IndeterminateRule", "StardFlow", "stard_rows"]

IndeterminateRule = Literal["excluded", "worst", "best"]
_INDEX = ("positive", "negative", "indeterminate", "missing")
_REFERENCE = ("positive", "negative", "indeterminate", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class StardFlow:
    """Counts at each stage.

    Attributes
    ----------
    unit : ``"patient"`` or ``"lesion"``
    rule : what indeterminate index results count as
    table : index result to reference result to count, missing ones included
    analysed : units in the 2x2 table
    patients : patients behind the rows
    """

    unit: str
    rule: IndeterminateRule
    table: dict[str, dict[str, int]]
    analysed: int
    patients: int

    @property
    def enrolled(self) -> int:
        """All units of the table."""
        return sum(sum(row.values()) for row in self.table.values())

    @property
    def not_tested(self) -> int:
        """Units without an index result."""
        return sum(self.table["missing"].values())

    @property
    def indeterminate(self) -> int:
        """Units with a clear reference and an indeterminate index result."""
        return self.table["indeterminate"]["positive"] + self.table["indeterminate"]["negative"]

    @property
    def reference_unclear(self) -> int:
        """Tested units whose reference is indeterminate."""
        return sum(self.table[i]["indeterminate"] for i in _INDEX[:3])

    @property
    def not_verified(self) -> int:
        """Tested units without a reference."""
        return sum(self.table[i]["missing"] for i in _INDEX[:3])

    @property
    def verified_positive(self) -> float | None:
        """Share of positive index results with a reference."""
        return _verified(self.table["positive"])

    @property
    def verified_negative(self) -> float | None:
        """Share of negative index results with a reference."""
        return _verified(self.table["negative"])

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "unit": self.unit,
            "enrolled": self.enrolled,
            "patients": self.patients,
            "not_tested": self.not_tested,
            "not_verified": self.not_verified,
            "reference_unclear": self.reference_unclear,
            "indeterminate": self.indeterminate,
            "indeterminate_rule": self.rule,
            "analysed": self.analysed,
            "table": self.table,
        }

    def to_table(self) -> pd.DataFrame:
        """One row per stage of the flow diagram."""
        import pandas as pd

        stages = ("enrolled", "not_tested", "not_verified", "reference_unclear", "indeterminate", "analysed")
        return pd.DataFrame([{"stage": s, "n": getattr(self, s)} for s in stages])


def _verified(row: dict[str, int]) -> float | None:
    total = sum(row.values())
    return (total - row["missing"]) / total if total else None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AccuracyRows:
    """Units of the 2x2 table.

    Attributes
    ----------
    positive, truth : (n,) index result and reference
    patient : (n,) patient of each unit
    flow : how they were had
    """

    positive: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    patient: NDArray[np.object_]
    flow: StardFlow


def stard_rows(
    rows: pd.DataFrame, *, unit: Literal["patient", "lesion"], indeterminate: IndeterminateRule
) -> AccuracyRows:
    """Sort the rows into the flow and settle indeterminate index results.

    Parameters
    ----------
    rows : ``patient, result, reference`` (and ``lesion`` for lesions)
    unit : what a row is
    indeterminate : ``"excluded"``; ``"worst"`` makes them wrong (negative in disease, positive in health); ``"best"`` right

    Raises
    ------
    InputError
        For several rows of one patient where patients are the unit, or rows without a result column.
    MissingValue
        When nothing is left.
    """
    if indeterminate not in ("excluded", "worst", "best"):
        raise InvalidValue("accuracy", f"indeterminate results as {indeterminate!r}", "excluded, worst or best")
    if "result" not in rows.columns:
        raise InputError("accuracy table", "columns", ", ".join(map(str, rows.columns)), "a column named result")
    patient = rows["patient"].to_numpy(dtype=object)
    if unit == "patient":
        _refuse_repeats(patient)
    result = rows["result"].fillna("missing").to_numpy(dtype=object)
    reference = rows["reference"].fillna("missing").to_numpy(dtype=object)
    table = {i: {r: int(np.count_nonzero((result == i) & (reference == r))) for r in _REFERENCE} for i in _INDEX}
    truth, clear = reference == "positive", (reference == "positive") | (reference == "negative")
    unsure = result == "indeterminate"
    positive = result == "positive"
    if indeterminate != "excluded":
        positive = np.where(unsure, truth if indeterminate == "best" else ~truth, positive)
    kept = clear & ((result == "positive") | (result == "negative") | (unsure & (indeterminate != "excluded")))
    if not kept.any():
        raise MissingValue("accuracy", f"none of {len(rows)} rows has an index result and a reference", "rows with both",
                           "NO_UNITS")  # fmt: skip
    flow = StardFlow(unit=unit, rule=indeterminate, table=table, analysed=int(kept.sum()), patients=len(set(patient)))
    return AccuracyRows(positive=positive[kept].astype(bool), truth=truth[kept], patient=patient[kept], flow=flow)


def _refuse_repeats(patient: NDArray[np.object_]) -> None:
    seen: set[Any] = set()
    for row, name in enumerate(patient, start=1):
        if name in seen:
            raise InputError(f"accuracy table row {row}", "patient", name, "one row for each patient, or unit 'lesion'")
        seen.add(name)
