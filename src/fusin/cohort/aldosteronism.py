"""Subtype of primary aldosteronism: CT, PET and adrenal vein sampling (AVS) side by side, patient by patient.

Each method says left, right, bilateral or indeterminate. PET says it through the lateralisation index and a cut-off of its
own tracer and time (an evidence record), or through a reader. Left against right is a discordance of side and is never
mixed up with one method that does not lateralise. fusin names no final subtype: the line says who says what, and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fusin.cohort.avs import AvsResult, Verdict
from fusin.cohort.tables import PATIENT_COLUMN
from fusin.errors import InputError
from fusin.evidence.catalogue import Catalogue
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.adrenal import AdrenalIndices, adrenal_indices
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.references import ReferenceRegion
from fusin.tabular.columns import Column
from fusin.tabular.rows import Row, rows_of, to_frame
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PET_TABLE",
    "SUBTYPE_COLUMNS",
    "VERDICT_TABLE",
    "MethodName",
    "PetResult",
    "PetScan",
    "SubtypeLine",
    "SubtypeTable",
    "pet_verdict",
    "read_pet_scans",
    "read_verdicts",
    "relation_of",
    "subtype_table",
]

MethodName = Literal["ct", "pet", "avs"]
Relation = Literal["concordant", "opposite sides", "one does not lateralise", "not comparable"]

EARLY_MIN = (5.0, 15.0)
LATE_MIN = (35.0, 65.0)
"""Windows around the published 10 min and 40 to 60 min; the 5 min of tolerance are project-defined."""

_INDICES = ("li", "llr", "lcr", "lar")
_VERDICTS = (
    ("left", ("left", "l", "unilateral-left", "unilateral left")),
    ("right", ("right", "r", "unilateral-right", "unilateral right")),
    ("bilateral", ("bilateral",)),
    ("indeterminate", ("indeterminate",)),
)


def _suv(name: str, meaning: str) -> InputColumn:
    return InputColumn(name, "float64", f"{meaning} [g/mL]", least=0.0)


PET_TABLE = Schema(
    name="adrenal PET table",
    columns=(
        PATIENT_COLUMN,
        InputColumn("tracer", "string", "tracer, for example 68Ga-pentixafor", required=True),
        InputColumn("time_min", "float64", "time after injection [min]", least=0.0, most=300.0),
        _suv("suv_max_left", "SUVmax of the left adrenal or its nodule"),
        _suv("suv_max_right", "SUVmax of the right adrenal or its nodule"),
        _suv("suv_mean_left", "SUVmean of the left adrenal, for LCR"),
        _suv("suv_mean_right", "SUVmean of the right adrenal, for LCR"),
        _suv("adjacent_suv_mean_left", "SUVmean of the left adrenal beside the nodule, for LAR"),
        _suv("adjacent_suv_mean_right", "SUVmean of the right adrenal beside the nodule, for LAR"),
        _suv("liver_suv_mean", "SUVmean of the liver, for LLR"),
        InputColumn("reader_verdict", "string", "left, right, bilateral or indeterminate as read", words=_VERDICTS),
    ),
    key=("patient", "tracer", "time_min"),
    ordered=(("suv_mean_left", "suv_max_left"), ("suv_mean_right", "suv_max_right")),
)
"""One row per scan and time."""

VERDICT_TABLE = Schema(
    name="subtype table",
    columns=(
        PATIENT_COLUMN,
        InputColumn("ct_verdict", "string", "left, right, bilateral or indeterminate; a normal CT is for you to class",
                    words=_VERDICTS),
        InputColumn("avs_verdict", "string", "AVS as reported, where samples are not given", words=_VERDICTS),
    ),
    key=("patient",),
)  # fmt: skip

SUBTYPE_COLUMNS = (
    Column("patient", "string", "patient identifier"),
    Column("ct", "string", "verdict of CT"),
    Column("pet", "string", "verdict of PET"),
    Column("pet_by", "string", "evidence id of the cut-off, or reader"),
    Column("pet_time_min", "float64", "time of the scan behind the verdict [min]"),
    Column("avs", "string", "verdict of AVS"),
    Column("avs_phase", "string", "basal, cosyntropin, both, or reported"),
    Column("relation", "string", "how the three verdicts relate"),
    *(
        Column(f"{index}_{when}", "float64", f"{index.upper()} at {minutes}")
        for when, minutes in (("early", "10 min"), ("late", "40 to 60 min"))
        for index in _INDICES
    ),
    Column("sentence", "string", "the line in words"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PetScan:
    """Adrenal uptake at one time; None where not measured. Fields as in ``PET_TABLE``."""

    patient: str
    tracer: str
    time_min: float | None = None
    suv_max_left: float | None = None
    suv_max_right: float | None = None
    suv_mean_left: float | None = None
    suv_mean_right: float | None = None
    adjacent_suv_mean_left: float | None = None
    adjacent_suv_mean_right: float | None = None
    liver_suv_mean: float | None = None
    reader_verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PetResult:
    """Verdict of one scan.

    Attributes
    ----------
    by : evidence id of the cut-off, ``reader``, or empty when there is neither
    """

    patient: str
    tracer: str
    time_min: float | None
    verdict: Verdict
    by: str
    reason: str
    indices: AdrenalIndices

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        plain = {n: jsonable(getattr(self, n)) for n in self.__slots__ if n != "indices"}
        return plain | {"indices": self.indices.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtypeLine:
    """One patient.

    Attributes
    ----------
    ct, pet, avs : verdicts; None where the method was not done
    avs_by : phase of the samples, or ``reported``
    shown : the scan behind the PET verdict
    early, late : scans at 10 and at 40 to 60 min
    relation : how all the verdicts there are relate
    """

    patient: str
    ct: Verdict | None
    pet: Verdict | None
    avs: Verdict | None
    avs_by: str
    shown: PetResult | None
    early: PetResult | None
    late: PetResult | None
    avs_result: AvsResult | None
    relation: Relation
    sentence: str

    def verdict(self, method: MethodName) -> Verdict | None:
        """Verdict of one method; None where it was not done."""
        return cast("Verdict | None", getattr(self, method))

    def row(self) -> dict[str, Any]:
        """Fields of ``SUBTYPE_COLUMNS``."""
        values: dict[str, Any] = {n: getattr(self, n) for n in ("patient", "ct", "pet", "avs", "relation", "sentence")}
        values |= {"avs_phase": self.avs_by or None, "pet_by": self.shown.by if self.shown else None}
        values["pet_time_min"] = self.shown.time_min if self.shown else None
        for when, result in (("early", self.early), ("late", self.late)):
            for index in _INDICES:
                values[f"{index}_{when}"] = getattr(result.indices, index) if result else None
        return values

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        scans = {n: (None if r is None else r.to_json()) for n, r in (("early", self.early), ("late", self.late))}
        avs = None if self.avs_result is None else self.avs_result.to_json()
        return {k: jsonable(v) for k, v in self.row().items()} | {"scans": scans, "avs_result": avs}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtypeTable:
    """All patients, in the order in which they were first named."""

    lines: tuple[SubtypeLine, ...]

    def to_table(self) -> pd.DataFrame:
        """One row per patient; columns as in ``SUBTYPE_COLUMNS``."""
        return to_frame([line.row() for line in self.lines], SUBTYPE_COLUMNS)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"patients": [line.to_json() for line in self.lines]}


def read_pet_scans(source: str | Path | pd.DataFrame, *, log: NoticeLog) -> tuple[PetScan, ...]:
    """Scans of a table with the columns of ``PET_TABLE``.

    Raises
    ------
    InputError
        For a table that cannot be used, with row and column.
    """
    return tuple(_scan(row) for row in rows_of(source, PET_TABLE, log))


def _scan(row: Row) -> PetScan:
    suv = [c.name for c in PET_TABLE.columns if "suv" in c.name]
    return PetScan(
        patient=row.needed("patient"),
        tracer=row.needed("tracer"),
        time_min=row.number("time_min"),
        reader_verdict=cast("Verdict | None", row.text("reader_verdict")),
        **{name: row.number(name, positive=True) for name in suv},
    )


def read_verdicts(source: str | Path | pd.DataFrame, *, log: NoticeLog) -> dict[str, dict[str, Verdict | None]]:
    """CT and reported AVS verdicts by patient, from a table with the columns of ``VERDICT_TABLE``."""
    return {
        row.needed("patient"): {
            "ct": cast("Verdict | None", row.text("ct_verdict")),
            "avs": cast("Verdict | None", row.text("avs_verdict")),
        }
        for row in rows_of(source, VERDICT_TABLE, log)
    }


@dataclass(frozen=True, slots=True)
class _TypedMean:
    """A liver mean that was typed into a table instead of measured in a region."""

    mean: float


def _indices(scan: PetScan, catalogue: Catalogue | None, log: NoticeLog) -> AdrenalIndices:
    def gland(side: str) -> RegionMetrics | None:
        peak, mean = getattr(scan, f"suv_max_{side}"), getattr(scan, f"suv_mean_{side}")
        if peak is None and mean is None:
            return None
        return RegionMetrics(name=f"{side} adrenal", voxels=0, volume_ml=float("nan"), suv_max=peak, suv_mean=mean)

    def beside(side: str) -> RegionMetrics | None:
        mean = getattr(scan, f"adjacent_suv_mean_{side}")
        if mean is None:
            return None
        return RegionMetrics(name=f"beside {side}", voxels=0, volume_ml=float("nan"), suv_mean=mean)

    # adrenal_indices takes the mean of the liver reference and nothing else; a table has no region to give.
    liver = None if scan.liver_suv_mean is None else cast("ReferenceRegion", _TypedMean(scan.liver_suv_mean))
    return adrenal_indices(
        gland("left"),
        gland("right"),
        liver,
        adjacent_left=beside("left"),
        adjacent_right=beside("right"),
        time_min=scan.time_min,
        tracer=scan.tracer,
        catalogue=catalogue,
        log=log,
    )


def pet_verdict(
    scan: PetScan, *, rule: str | None = None, catalogue: Catalogue | None = None, log: NoticeLog
) -> PetResult:
    """Verdict of one scan.

    Parameters
    ----------
    scan : uptake of both adrenals
    rule : evidence id of an LI cut-off. None: the reader's verdict where there is one; else the first LI cut-off made for
        this tracer and time, one that states its time before one that does not
    catalogue : evidence; the shipped tables when None
    log : receives PET_CUTOFFS_DISAGREE and the notices of :func:`adrenal_indices`

    Raises
    ------
    InputError
        For a rule that is no LI cut-off.
    """
    own = NoticeLog()
    indices = _indices(scan, catalogue, own)
    where = f"{scan.patient} {'?' if scan.time_min is None else format(scan.time_min, 'g')} min"
    for notice in own:
        log.warning(notice.code, notice.message, where=where)
    cutoffs = [c for c in indices.cutoffs if c["metric"] == "li"]
    if rule is not None and rule not in [c["id"] for c in cutoffs]:
        raise InputError("evidence", "id", rule, "an LI cut-off: " + ", ".join(c["id"] for c in cutoffs))
    if rule is None and scan.reader_verdict is not None:
        found: tuple[Verdict, str, str] = (scan.reader_verdict, "reader", f"reader says {scan.reader_verdict}")
    else:
        found = _by_index(indices, cutoffs, rule)
        if rule is None:
            _warn_of_others(found[0], found[1], cutoffs, where, log)
    verdict, by, reason = found
    return PetResult(
        patient=scan.patient,
        tracer=scan.tracer,
        time_min=scan.time_min,
        verdict=verdict,
        by=by,
        reason=reason,
        indices=indices,
    )


def _by_index(
    indices: AdrenalIndices, cutoffs: Sequence[Mapping[str, Any]], rule: str | None
) -> tuple[Verdict, str, str]:
    usable = sorted((c for c in cutoffs if c["applicable"]), key=lambda c: c["time_min"] is None)
    chosen = next((c for c in (cutoffs if rule else usable) if rule in (None, c["id"])), None)
    if chosen is None:
        return "indeterminate", "", "no LI cut-off was made for this tracer and time"
    name = str(chosen["id"])
    if not chosen["applicable"]:
        return "indeterminate", name, f"[{name}] {chosen['because']}"
    if indices.li is None:
        return "indeterminate", name, f"LI is missing: {indices.because}"
    text = f"LI {indices.li:.2f}"
    limit = f"{chosen['op'] or 'cut-off'} {chosen['cutoff']:g} [{name}]"
    if chosen["verdict"] is None:
        return "indeterminate", name, f"{text} lies exactly on {limit}, which prints no operator"
    if chosen["verdict"] and indices.dominant in ("left", "right"):
        return cast("Verdict", indices.dominant), name, f"{text} is {limit}, dominant {indices.dominant}"
    return "bilateral", name, f"{text} is not {limit}"


def _warn_of_others(
    verdict: Verdict, by: str, cutoffs: Sequence[Mapping[str, Any]], where: str, log: NoticeLog
) -> None:
    if verdict == "indeterminate":
        return
    lateralised = verdict in ("left", "right")
    others = [c for c in cutoffs if c["applicable"] and c["verdict"] not in (None, lateralised)]
    if others:
        listed = ", ".join(f"{c['op'] or ''}{c['cutoff']:g} [{c['id']}]" for c in others)
        log.warning("PET_CUTOFFS_DISAGREE", f"{verdict} by [{by}]; the opposite by {listed}.", where=where)


def subtype_table(
    scans: Sequence[PetScan] = (),
    *,
    verdicts: Mapping[str, Mapping[str, Verdict | None]] | None = None,
    avs: Sequence[AvsResult] = (),
    pet_rule: str | None = None,
    prefer: Literal["early", "late"] = "early",
    catalogue: Catalogue | None = None,
    log: NoticeLog,
) -> SubtypeTable:
    """Put CT, PET and AVS of each patient into one line.

    Parameters
    ----------
    scans : PET scans; of several times, the preferred one gives the verdict and the other is shown
    verdicts : CT and reported AVS verdicts by patient
    avs : judged procedures; at most one per patient, and it stands before a reported verdict
    pet_rule : see :func:`pet_verdict`
    prefer : 10 min (``early``) or 40 to 60 min (``late``)
    log : receives PET_TIMES_DISAGREE, PET_TIME_OTHER and AVS_REPORTED_DIFFERS

    Raises
    ------
    InputError
        For two AVS results or two scans of one patient at one time window.
    """
    judged: dict[str, AvsResult] = {}
    for result in avs:
        if result.patient in judged:
            raise InputError("AVS results", "patient", result.patient, "one phase (or both combined) per patient")
        judged[result.patient] = result
    reported = verdicts or {}
    by_patient: dict[str, list[PetScan]] = {}
    for scan in scans:
        by_patient.setdefault(scan.patient, []).append(scan)
    names = dict.fromkeys([*by_patient, *reported, *judged])
    lines = []
    for name in names:
        results = [pet_verdict(s, rule=pet_rule, catalogue=catalogue, log=log) for s in by_patient.get(name, [])]
        lines.append(_line(name, results, reported.get(name, {}), judged.get(name), prefer, log))
    return SubtypeTable(lines=tuple(lines))


def _at(results: Sequence[PetResult], window: tuple[float, float], patient: str) -> PetResult | None:
    inside = [r for r in results if r.time_min is not None and window[0] <= r.time_min <= window[1]]
    if len(inside) > 1:
        raise InputError(
            patient, "time_min", [r.time_min for r in inside], f"one scan within {window[0]:g}-{window[1]:g} min"
        )
    return inside[0] if inside else None


def _line(
    patient: str,
    results: Sequence[PetResult],
    reported: Mapping[str, Verdict | None],
    judged: AvsResult | None,
    prefer: str,
    log: NoticeLog,
) -> SubtypeLine:
    early, late = _at(results, EARLY_MIN, patient), _at(results, LATE_MIN, patient)
    order = [early, late] if prefer == "early" else [late, early]
    other = [r for r in results if r not in (early, late)]
    shown = next((r for r in (*order, *other) if r is not None), None)
    for result in other:
        log.warning(
            "PET_TIME_OTHER", f"A scan at {result.time_min} min is neither at 10 nor at 40 to 60 min.", where=patient
        )
    if early and late and early.verdict != late.verdict:
        text = f"PET is {early.verdict} at {early.time_min:g} min and {late.verdict} at {late.time_min:g} min."
        log.warning("PET_TIMES_DISAGREE", text, where=patient)
    ct, entered = reported.get("ct"), reported.get("avs")
    avs = judged.verdict if judged else entered
    if judged and entered not in (None, judged.verdict):
        text = f"AVS is {judged.verdict} from the samples and was reported {entered}; the samples are used."
        log.warning("AVS_REPORTED_DIFFERS", text, where=patient, raw=entered, used=judged.verdict)
    pet = shown.verdict if shown else None
    relation = relation_of([v for v in (ct, pet, avs) if v is not None])
    parts = [f"CT {ct or 'not done'}"]
    at = "" if shown is None or shown.time_min is None else f"at {shown.time_min:g} min, "
    parts.append(f"PET {pet} ({at}{shown.reason})" if shown else "PET not done")
    parts.append(f"AVS {avs} ({judged.reason if judged else 'as reported'})" if avs else "AVS not done")
    return SubtypeLine(
        patient=patient,
        ct=ct,
        pet=pet,
        avs=avs,
        avs_by=judged.phase if judged else ("reported" if avs else ""),
        shown=shown,
        early=early,
        late=late,
        avs_result=judged,
        relation=relation,
        sentence=f"{patient}: {'; '.join(parts)}. Together: {relation}.",
    )


def relation_of(verdicts: Sequence[Verdict]) -> Relation:
    """How verdicts relate; indeterminate ones say nothing, and fewer than two others cannot be compared."""
    said = [v for v in verdicts if v != "indeterminate"]
    if len(said) < 2:
        return "not comparable"
    if len(set(said)) == 1:
        return "concordant"
    if {"left", "right"} <= set(said):
        return "opposite sides"
    return "one does not lateralise"
