"""Concordance of two methods that subtype primary aldosteronism: four categories, opposite sides counted apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusin.cohort.aldosteronism import MethodName, SubtypeLine, relation_of
from fusin.provenance import NoticeLog
from fusin.stats.agreement import Kappa, cohen_kappa
from fusin.stats.paired import McNemar, mcnemar
from fusin.stats.proportions import proportion
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CATEGORIES", "CONCORDANCE_COLUMNS", "Concordance", "concordance"]

CATEGORIES = ("left", "bilateral", "right", "indeterminate")
"""Left and right stand at the ends, so that a weighted kappa counts opposite sides as the largest disagreement."""

CONCORDANCE_COLUMNS = (
    Column("first", "string", "verdict of the first method"),
    *(Column(c, "Int64", f"patients whom the second method calls {c}") for c in CATEGORIES),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concordance:
    """Two methods on the same patients.

    Attributes
    ----------
    first, second : methods
    table : patients by first (rows) and second (columns), in the order of ``CATEGORIES``
    n : patients with a verdict of both methods; ``missing``: those who lack one
    comparable : patients whom neither calls indeterminate
    concordant, opposite_sides, one_does_not_lateralise : these patients by relation
    agreement : concordant of comparable
    kappa, weighted_kappa : three categories (left, bilateral, right); linear weights, left against right weighs double
    both, first_only, second_only, neither : comparable patients by lateralisation to either side
    kappa_lateralised : two categories, lateralised or not
    mcnemar : of ``first_only`` against ``second_only``
    """

    first: MethodName
    second: MethodName
    table: tuple[tuple[int, ...], ...]
    n: int
    missing: int
    comparable: int
    concordant: int
    opposite_sides: int
    one_does_not_lateralise: int
    agreement: Estimate
    kappa: Kappa | None
    weighted_kappa: Kappa | None
    both: int
    first_only: int
    second_only: int
    neither: int
    kappa_lateralised: Kappa | None
    mcnemar: McNemar | None

    def to_table(self) -> pd.DataFrame:
        """Patients by category; columns as in ``CONCORDANCE_COLUMNS``."""
        rows = [
            {"first": c} | dict(zip(CATEGORIES, r, strict=True)) for c, r in zip(CATEGORIES, self.table, strict=True)
        ]
        return to_frame(rows, CONCORDANCE_COLUMNS)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        values = {name: getattr(self, name) for name in self.__slots__}
        plain = {n: (v.to_json() if hasattr(v, "to_json") else v) for n, v in values.items()}
        return plain | {"categories": list(CATEGORIES), "table": [list(r) for r in self.table]}


def concordance(lines: Iterable[SubtypeLine], first: MethodName, second: MethodName, *, log: NoticeLog) -> Concordance:
    """Compare two methods over patients.

    Parameters
    ----------
    lines : patients
    first, second : ``ct``, ``pet`` or ``avs``
    log : receives CONCORDANCE_OPPOSITE_SIDES with the patients concerned
    """
    index = {c: i for i, c in enumerate(CATEGORIES)}
    table = [[0] * len(CATEGORIES) for _ in CATEGORIES]
    relations: dict[str, list[str]] = {}
    missing = 0
    for line in lines:
        one, two = line.verdict(first), line.verdict(second)
        if one is None or two is None:
            missing += 1
            continue
        table[index[one]][index[two]] += 1
        relations.setdefault(relation_of([one, two]), []).append(line.patient)
    opposite = relations.get("opposite sides", [])
    if opposite:
        listed = ", ".join(opposite)
        log.warning(
            "CONCORDANCE_OPPOSITE_SIDES", f"{first.upper()} and {second.upper()} name opposite sides: {listed}."
        )
    three = [row[:3] for row in table[:3]]
    both = three[0][0] + three[0][2] + three[2][0] + three[2][2]
    first_only, second_only, neither = three[0][1] + three[2][1], three[1][0] + three[1][2], three[1][1]
    comparable = sum(map(sum, three))
    concordant = len(relations.get("concordant", []))
    some = comparable > 0
    return Concordance(
        first=first,
        second=second,
        table=tuple(map(tuple, table)),
        n=sum(map(sum, table)),
        missing=missing,
        comparable=comparable,
        concordant=concordant,
        opposite_sides=len(opposite),
        one_does_not_lateralise=len(relations.get("one does not lateralise", [])),
        agreement=proportion(concordant, comparable),
        kappa=cohen_kappa(three) if some else None,
        weighted_kappa=cohen_kappa(three, weights="linear") if some else None,
        both=both,
        first_only=first_only,
        second_only=second_only,
        neither=neither,
        kappa_lateralised=cohen_kappa([[both, first_only], [second_only, neither]]) if some else None,
        mcnemar=mcnemar(first_only, second_only) if some else None,
    )
