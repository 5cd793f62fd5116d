"""Outcome after adrenalectomy for primary aldosteronism by the PASO criteria, literally as tabulated.

============  =======================================================  =================================================
outcome       clinical                                                 biochemical
============  =======================================================  =================================================
complete      normal blood pressure (BP), no medication                hypokalaemia corrected and (ARR normal or, if
                                                                       raised, aldosterone suppressed in the test)
partial       same BP with less medication, or lower BP with the same  hypokalaemia corrected, ARR raised, and aldosterone
              or less medication                                       fall >= 50 % and/or abnormal but improved test
absent        unchanged or increased BP with the same or increased     persistent hypokalaemia and/or (raised ARR and
              medication                                               failure to suppress)
============  =======================================================  =================================================

A change of BP is a systolic difference >= 20 or a diastolic >= 10 mmHg; when the two oppose each other the systolic decides.
A change of medication is >= 0.5 defined daily doses (DDD). Where inputs are missing, an outcome is named only if every
possible value of them leads to it. What the table does not cover (lower BP with more medication) is ``unclassified``.

The PASO score (0-25 points) is not computed: the points of its six items were not available in a source that was read; only
its threshold is kept as evidence (``paso-score``, tag S).

References
----------
Criteria as tabulated in J Renin Angiotensin Aldosterone Syst 2023, article 5732812, table 1 (after the PASO study, Lancet
Diabetes Endocrinol 2017, PMC5572673).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fusin.cohort.tables import PATIENT_COLUMN
from fusin.evidence.catalogue import default_value, evidence
from fusin.provenance import NoticeLog, jsonable
from fusin.tabular.columns import Column
from fusin.tabular.rows import Row, rows_of, to_frame, words
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PASO_RESULT_COLUMNS",
    "PASO_TABLE",
    "ConfirmatoryTest",
    "Outcome",
    "PasoInput",
    "PasoResult",
    "paso_outcome",
    "paso_table",
    "read_paso",
]

Outcome = Literal["complete", "partial", "absent", "unclassified", "indeterminate"]
ConfirmatoryTest = Literal["suppressed", "improved", "abnormal", "not-done"]
Change = Literal[-1, 0, 1]

_TESTS: tuple[ConfirmatoryTest, ...] = ("suppressed", "improved", "abnormal", "not-done")
_CHANGES: tuple[Change, ...] = (-1, 0, 1)
# Blood pressures and doses are typed with few decimals; binary rounding must not decide a case at exactly 0.5 DDD.
_DIGITS = 9


def _number(name: str, meaning: str, most: float | None = None) -> InputColumn:
    return InputColumn(name, "float64", meaning, least=0.0, most=most)


PASO_TABLE = Schema(
    name="PASO table",
    columns=(
        PATIENT_COLUMN,
        _number("sbp_before_mmhg", "systolic pressure before surgery [mmHg]", 400.0),
        _number("sbp_after_mmhg", "systolic pressure at follow-up [mmHg]", 400.0),
        _number("dbp_before_mmhg", "diastolic pressure before surgery [mmHg]", 300.0),
        _number("dbp_after_mmhg", "diastolic pressure at follow-up [mmHg]", 300.0),
        _number("ddd_before", "antihypertensive medication before surgery, sum of defined daily doses"),
        _number("ddd_after", "antihypertensive medication at follow-up, sum of defined daily doses; 0 is none"),
        InputColumn("normal_bp_after", "boolean", "blood pressure normal at follow-up by the centre's definition"),
        InputColumn("hypokalaemia_after", "boolean", "hypokalaemia persists; no when corrected or never there"),
        InputColumn("arr_raised_after", "boolean", "aldosterone-to-renin ratio raised at follow-up"),
        InputColumn("confirmatory_test", "string", "suppressed, improved (abnormal but improved), abnormal, not-done",
                    words=words(*_TESTS)),
        _number("aldosterone_before", "plasma aldosterone before surgery, same unit as after"),
        _number("aldosterone_after", "plasma aldosterone at follow-up"),
        _number("months_after", "time from surgery to this assessment [month]"),
    ),
    key=("patient",),
)  # fmt: skip
PASO_RESULT_COLUMNS = (
    Column("patient", "string", "patient"),
    Column("clinical", "string", "complete, partial, absent, unclassified or indeterminate"),
    Column("clinical_reason", "string", "sentence with the changes"),
    Column("biochemical", "string", "complete, partial, absent, unclassified or indeterminate"),
    Column("biochemical_reason", "string", "sentence with the findings"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasoInput:
    """What the criteria ask of one patient; None where unknown. Fields as in ``PASO_TABLE``."""

    patient: str = ""
    sbp_before_mmhg: float | None = None
    sbp_after_mmhg: float | None = None
    dbp_before_mmhg: float | None = None
    dbp_after_mmhg: float | None = None
    ddd_before: float | None = None
    ddd_after: float | None = None
    normal_bp_after: bool | None = None
    hypokalaemia_after: bool | None = None
    arr_raised_after: bool | None = None
    confirmatory_test: ConfirmatoryTest | None = None
    aldosterone_before: float | None = None
    aldosterone_after: float | None = None
    months_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasoResult:
    """Clinical and biochemical outcome, each with its reason."""

    patient: str
    clinical: Outcome
    clinical_reason: str
    biochemical: Outcome
    biochemical_reason: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def paso_outcome(patient: PasoInput, *, log: NoticeLog) -> PasoResult:
    """Classify one patient.

    Parameters
    ----------
    patient : findings; aldosterone before and after in one unit
    log : receives PASO_FOLLOW_UP (outside 6 to 12 months) and PASO_UNCLASSIFIED

    Returns
    -------
    PasoResult
        ``indeterminate`` when the missing inputs could change the outcome, ``unclassified`` when the table has no row.
    """
    clinical, clinical_reason = _clinical(patient)
    biochemical, biochemical_reason = _biochemical(patient)
    _doubt_time(patient, log)
    for kind, outcome, reason in (
        ("clinical", clinical, clinical_reason),
        ("biochemical", biochemical, biochemical_reason),
    ):
        if outcome == "unclassified":
            log.warning("PASO_UNCLASSIFIED", f"No row of the {kind} table fits: {reason}", where=patient.patient)
    return PasoResult(
        patient=patient.patient,
        clinical=clinical,
        clinical_reason=clinical_reason,
        biochemical=biochemical,
        biochemical_reason=biochemical_reason,
    )


def _doubt_time(patient: PasoInput, log: NoticeLog) -> None:
    window, months = evidence("paso-follow-up"), patient.months_after
    if months is None or window.low is None or window.high is None or window.low <= months <= window.high:
        return
    log.warning(
        "PASO_FOLLOW_UP",
        f"Assessed {months:g} months after surgery; the criteria ask for {window.low:g} to {window.high:g}.",
        where=patient.patient,
        raw=months,
    )


def _category(before: float | None, after: float | None, limit: float) -> tuple[Change, ...]:
    """Possible categories of a change: fall, none, rise; exactly the limit counts as a change."""
    if before is None or after is None:
        return _CHANGES
    change = round(after - before, _DIGITS)
    if change <= -limit:
        return (-1,)
    return (1,) if change >= limit else (0,)


def _clinical(p: PasoInput) -> tuple[Outcome, str]:
    ddd_limit = default_value("paso-ddd")
    systolic = _category(p.sbp_before_mmhg, p.sbp_after_mmhg, default_value("paso-sbp"))
    diastolic = _category(p.dbp_before_mmhg, p.dbp_after_mmhg, default_value("paso-dbp"))
    # A systolic change decides; without one the diastolic change is the change.
    pressure: set[Change] = {s or d for s, d in itertools.product(systolic, diastolic)}
    medication = set(_category(p.ddd_before, p.ddd_after, ddd_limit))
    # No dose is negative, so a dose that is known bounds the change where the other is missing.
    if p.ddd_before is None and p.ddd_after is not None and p.ddd_after < ddd_limit:
        medication.discard(1)
    if p.ddd_after is None and p.ddd_before is not None and p.ddd_before < ddd_limit:
        medication.discard(-1)
    normal = _both(p.normal_bp_after)
    without = _both(None if p.ddd_after is None else p.ddd_after == 0)
    possible = {_clinical_row(b, m, n, w) for b, m, n, w in itertools.product(pressure, medication, normal, without)}
    return _settle(possible, _clinical_text(p, pressure, medication))


def _clinical_row(pressure: Change, medication: Change, normal: bool, without: bool) -> Outcome:
    if normal and without:
        return "complete"
    if (pressure == 0 and medication < 0) or (pressure < 0 and medication <= 0):
        return "partial"
    if pressure >= 0 and medication >= 0:
        return "absent"
    return "unclassified"


def _clinical_text(p: PasoInput, pressure: Iterable[int], medication: Iterable[int]) -> str:
    words = {-1: "lower", 0: "same", 1: "higher"}
    doses = {-1: "less", 0: "same", 1: "more"}
    normal = {True: "normal", False: "not normal", None: "normal or not is unknown"}[p.normal_bp_after]
    return (
        f"BP {_arrow(p.sbp_before_mmhg, p.sbp_after_mmhg)}/{_arrow(p.dbp_before_mmhg, p.dbp_after_mmhg)} mmHg "
        f"({' or '.join(words[c] for c in sorted(pressure))}; {normal}), medication "
        f"{_arrow(p.ddd_before, p.ddd_after)} DDD ({' or '.join(doses[c] for c in sorted(medication))})."
    )


def _arrow(before: float | None, after: float | None) -> str:
    return " to ".join("?" if v is None else f"{v:g}" for v in (before, after))


def _biochemical(p: PasoInput) -> tuple[Outcome, str]:
    fall: bool | None = None
    shown = "aldosterone fall unknown"
    if p.aldosterone_before is not None and p.aldosterone_after is not None:
        fraction = round(1.0 - p.aldosterone_after / p.aldosterone_before, _DIGITS)
        fall = fraction >= default_value("paso-aldosterone-fall")
        shown = f"aldosterone fall {100 * fraction:.1f} %"
    tests: tuple[ConfirmatoryTest, ...] = (p.confirmatory_test,) if p.confirmatory_test is not None else _TESTS
    possible = {
        _biochemical_row(k, a, t, f)
        for k, a, t, f in itertools.product(_both(p.hypokalaemia_after), _both(p.arr_raised_after), tests, _both(fall))
    }
    potassium = {True: "persistent hypokalaemia", False: "no hypokalaemia", None: "potassium unknown"}
    ratio = {True: "ARR raised", False: "ARR normal", None: "ARR unknown"}
    text = (
        f"{potassium[p.hypokalaemia_after]}, {ratio[p.arr_raised_after]}, confirmatory test "
        f"{p.confirmatory_test or 'unknown'}, {shown}."
    )
    return _settle(possible, text[0].upper() + text[1:])


def _biochemical_row(hypokalaemia: bool, raised: bool, test: str, fall: bool) -> Outcome:
    if hypokalaemia:
        return "absent"
    if not raised or test == "suppressed":
        return "complete"
    if fall or test == "improved":
        return "partial"
    # Failure to suppress has to be shown by a test; without one the table has no row for a raised ARR.
    return "absent" if test == "abnormal" else "unclassified"


def _both(value: bool | None) -> tuple[bool, ...]:
    return (True, False) if value is None else (value,)


def _settle(possible: set[Outcome], text: str) -> tuple[Outcome, str]:
    if len(possible) == 1:
        return next(iter(possible)), text
    return "indeterminate", f"{text} Possible: {', '.join(sorted(possible))}; the missing inputs decide."


def read_paso(source: str | Path | pd.DataFrame, *, log: NoticeLog) -> tuple[PasoInput, ...]:
    """Patients of a table with the columns of ``PASO_TABLE``; missing columns and cells are unknown.

    Raises
    ------
    InputError
        For a missing ``patient``, a patient twice, or a value that cannot be one (row and column are named).
    """
    return tuple(_input(row) for row in rows_of(source, PASO_TABLE, log))


def _input(row: Row) -> PasoInput:
    return PasoInput(
        patient=row.needed("patient"),
        sbp_before_mmhg=row.number("sbp_before_mmhg", positive=True),
        sbp_after_mmhg=row.number("sbp_after_mmhg", positive=True),
        dbp_before_mmhg=row.number("dbp_before_mmhg", positive=True),
        dbp_after_mmhg=row.number("dbp_after_mmhg", positive=True),
        ddd_before=row.number("ddd_before"),
        ddd_after=row.number("ddd_after"),
        normal_bp_after=row.flag("normal_bp_after"),
        hypokalaemia_after=row.flag("hypokalaemia_after"),
        arr_raised_after=row.flag("arr_raised_after"),
        confirmatory_test=cast("ConfirmatoryTest | None", row.text("confirmatory_test")),
        aldosterone_before=row.number("aldosterone_before", positive=True),
        aldosterone_after=row.number("aldosterone_after"),
        months_after=row.number("months_after"),
    )


def paso_table(results: Iterable[PasoResult]) -> pd.DataFrame:
    """One row per patient; columns as in ``PASO_RESULT_COLUMNS``."""
    return to_frame([r.to_json() for r in results], PASO_RESULT_COLUMNS)
