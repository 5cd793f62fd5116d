"""Toxicity: worst CTCAE grade of each patient and term, with the share of patients at grade 3 or more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.cohort.tables import PATIENT_COLUMN
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.stats.proportions import proportion
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import rows_of, to_frame
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TOXICITY_COLUMNS", "TOXICITY_TABLE", "ToxicityTerm", "toxicity", "toxicity_table", "worst_grades"]

TOXICITY_TABLE = Schema(
    name="toxicity table",
    columns=(
        PATIENT_COLUMN,
        InputColumn("term", "string", "CTCAE term, spelt alike throughout", required=True, label=True),
        InputColumn("grade", "Int64", "CTCAE grade 0 to 5; the version belongs into the caption", required=True,
                    least=0, most=5),
        InputColumn("cycle", "Int64", "treatment cycle", least=1),
    ),
)  # fmt: skip
"""One row per event; several of one patient and term count once, with the worst grade."""

TOXICITY_COLUMNS = (
    Column("term", "string", "CTCAE term"),
    Column("treated", "Int64", "patients treated"),
    *(Column(f"grade_{g}", "Int64", f"patients whose worst grade is {g}") for g in range(1, 6)),
    Column("any", "Int64", "patients with any grade above 0"),
    Column("any_fraction", "float64", "of those treated"),
    Column("any_low", "float64", "lower 95 % limit"),
    Column("any_high", "float64", "upper 95 % limit"),
    Column("severe", "Int64", "patients at grade 3, 4 or 5"),
    Column("severe_fraction", "float64", "of those treated"),
    Column("severe_low", "float64", "lower 95 % limit"),
    Column("severe_high", "float64", "upper 95 % limit"),
    Column("interval_method", "string", "method of the limits"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicityTerm:
    """One term over all treated patients.

    Attributes
    ----------
    worst : patients by worst grade, from 1 to 5
    any, severe : share of treated patients with any grade above 0, and with grade 3 or more
    """

    term: str
    treated: int
    worst: tuple[int, int, int, int, int]
    any: Estimate
    severe: Estimate

    def row(self) -> dict[str, Any]:
        """Fields of ``TOXICITY_COLUMNS``."""
        values: dict[str, Any] = {"term": self.term, "treated": self.treated, "interval_method": self.severe.method}
        values |= {f"grade_{g}": n for g, n in enumerate(self.worst, 1)}
        for name, share in (("any", self.any), ("severe", self.severe)):
            values |= {name: share.k, f"{name}_fraction": share.value}
            values |= {f"{name}_low": share.low, f"{name}_high": share.high}
        return values

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "term": self.term,
            "treated": self.treated,
            "worst": list(self.worst),
            "any": self.any.to_json(),
            "severe": self.severe.to_json(),
        }


def worst_grades(source: str | Path | pd.DataFrame, *, log: NoticeLog) -> dict[tuple[str, str], int]:
    """Worst grade by (patient, term), from a table with the columns of ``TOXICITY_TABLE``.

    Raises
    ------
    InputError
        For a grade that is no whole number from 0 to 5, with row and column.
    """
    worst: dict[tuple[str, str], int] = {}
    for row in rows_of(source, TOXICITY_TABLE, log):
        key = row.needed("patient"), row.needed("term")
        worst[key] = max(int(row.values["grade"]), worst.get(key, 0))
    return worst


def toxicity(
    source: str | Path | pd.DataFrame, *, treated: Collection[str], log: NoticeLog
) -> tuple[ToxicityTerm, ...]:
    """Toxicity by term.

    Parameters
    ----------
    source : events
    treated : every patient treated, those without any event too: they are the denominator

    Returns
    -------
    tuple
        Terms by the number of patients at grade 3 or more, then by any grade, then by name.

    Raises
    ------
    InputError
        For an event of a patient who is not among the treated.
    """
    everyone = {str(p) for p in treated}
    worst = worst_grades(source, log=log)
    strangers = sorted({p for p, _ in worst} - everyone)
    if strangers:
        raise InputError("toxicity table", "patient", ", ".join(strangers), "patients on the list of those treated")
    terms = []
    for term in dict.fromkeys(t for _, t in worst):
        grades = [g for (_, t), g in worst.items() if t == term]
        counts = tuple(grades.count(g) for g in range(1, 6))
        terms.append(
            ToxicityTerm(
                term=term,
                treated=len(everyone),
                worst=(counts[0], counts[1], counts[2], counts[3], counts[4]),
                any=proportion(sum(counts), len(everyone)),
                severe=proportion(sum(counts[2:]), len(everyone)),
            )
        )
    return tuple(sorted(terms, key=lambda t: (-(t.severe.k or 0), -(t.any.k or 0), t.term)))


def toxicity_table(terms: Collection[ToxicityTerm]) -> pd.DataFrame:
    """One row per term; columns as in ``TOXICITY_COLUMNS``."""
    return to_frame([t.row() for t in terms], TOXICITY_COLUMNS)
