"""The treated patient's record, and the dose of a diagnostic scan, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusin.dosimetry.exposure import Exposure, coefficients, exposure, read_coefficients
from fusin.dosimetry.treatment_files import read_record
from fusin.dosimetry.treatment_record import OrganCourse, TreatmentRecord, organ_courses, toxicity_beside_dose
from fusin.provenance import Method, NoticeLog, jsonable
from fusin.report.dose_organ_figures import course_figure
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import Shown, estimate_text
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["COURSE_COLUMNS", "CYCLE_COLUMNS", "EXPOSURE_COLUMNS", "GRADE_COLUMNS", "exposure_report", "record_report"]


def _limits(name: str, meaning: str) -> tuple[Column, ...]:
    return (
        Column(name, "float64", meaning),
        Column(f"{name}_low", "float64", f"lower limit of `{name}`"),
        Column(f"{name}_high", "float64", f"upper limit of `{name}`"),
    )


CYCLE_COLUMNS = (
    Column("cycle", "Int64", "number"),
    Column("date", "string", "day of the administration"),
    Column("nuclide", "string", "name"),
    Column("prescribed_gbq", "float64", "prescribed activity [GBq]"),
    Column("given_gbq", "float64", "administered activity [GBq]"),
    Column("deviation_percent", "float64", "administered relative to prescribed"),
    Column("cumulative_gbq", "float64", "administered so far, of one nuclide [GBq]"),
)
COURSE_COLUMNS = (
    Column("organ", "string", "organ or lesion"),
    Column("cycle", "Int64", "number of the cycle"),
    *_limits("dose_gy", "dose of the cycle [Gy]"),
    *_limits("cumulative_gy", "dose after the cycle [Gy]"),
    *_limits("cumulative_bed_gy", "BED after the cycle [Gy]"),
    Column("cumulative_eqd2_gy", "float64", "EQD2 after the cycle [Gy]"),
    Column("limit_gy", "float64", "limit of the dose that the user set [Gy]"),
    Column("limit_bed_gy", "float64", "limit of the BED that the user set [Gy]"),
    Column("citation", "string", "of parameters and limits, as the user gave it"),
)
GRADE_COLUMNS = (
    Column("term", "string", "graded finding"),
    Column("grade", "Int64", "CTCAE grade"),
    Column("organ", "string", "organ whose dose stands beside it"),
    Column("date", "string", "day of the finding"),
    Column("after_cycle", "Int64", "last cycle before it; 0 is before the first"),
    *_limits("dose_gy", "dose that the organ had by then [Gy]"),
    Column("bed_gy", "float64", "BED that the organ had by then [Gy]"),
    Column("given_gbq", "float64", "activity given by then [GBq]"),
)
EXPOSURE_COLUMNS = (
    Column("quantity", "string", "effective dose, or organ"),
    *_limits("value", "dose"),
    Column("unit", "string", "mSv or mGy"),
)
_SHOWN_CYCLES = (
    Shown(name="cycle", heading="cycle"),
    Shown(name="date", heading="date"),
    Shown(name="nuclide", heading="nuclide"),
    Shown(name="prescribed_gbq", heading="prescribed, GBq"),
    Shown(name="given_gbq", heading="given, GBq"),
    Shown(name="deviation_percent", heading="deviation, %", digits=1),
    Shown(name="cumulative_gbq", heading="so far, GBq"),
)
_BIOLOGY = ("alpha_beta_gy", "repair_half_time_h", "limit_gy", "limit_bed_gy", "citation")
_RECORD_METHODS = (
    Method("cumulative-dose", "Sum over cycles; limits added, because cycles share masses, calibration and S values."),
    Method(
        "bed",
        "BED with the Lea-Catcheside factor of one exponential per cycle: Dale RG, Br J Radiol 58 (1985) 515-528.",
    ),
)
_EFFECTIVE = Method(
    "effective-dose", "Effective dose of a reference person: ICRP Publication 103, Ann ICRP 37 (2-4), 2007."
)


def record_report(path: Path, *, log: NoticeLog) -> JobOutput:
    """Cycles, cumulative dose and BED, and toxicity beside dose.

    Raises
    ------
    InputError
        For a record that cannot be used or contradicts itself.
    """
    record, files = read_record(path, log)
    courses = organ_courses(record, log)
    grades = toxicity_beside_dose(record, courses, log)
    cycles = _cycles(record)
    sections = [
        JobSection(
            name="cycles",
            title="Cycles",
            tables=(
                JobTable(name="cycles", title="Cycles", frame=to_frame(cycles, CYCLE_COLUMNS), shown=_SHOWN_CYCLES),
            ),
        )
    ]
    if courses:
        sections.append(_course_section(record, courses))
    if grades:
        frame = to_frame([_grade_row(g) for g in grades], GRADE_COLUMNS)
        shown = (
            Shown(name="term", heading="finding"), Shown(name="grade", heading="grade"), Shown(name="organ", heading="organ"),
            Shown(name="after_cycle", heading="after cycle"), Shown(name="date", heading="date"),
            Shown(name="dose_gy", heading="dose so far, Gy", low="dose_gy_low", high="dose_gy_high"),
            Shown(name="bed_gy", heading="BED so far, Gy"), Shown(name="given_gbq", heading="given so far, GBq"),
        )  # fmt: skip
        table = JobTable(name="grades", title="Grade beside dose", frame=frame, shown=shown)
        sections.append(JobSection(name="grades", title="Toxicity beside dose", tables=(table,)))
    return JobOutput(
        title=f"Treatment record of {record.patient}", document=_record_document(record, courses, grades, cycles),
        sections=tuple(sections), summary=_record_summary(record, courses), notices=log.notices,
        provenance=provenance_of(files, {}, _RECORD_METHODS),
    )  # fmt: skip


def exposure_report(
    *, administered_mbq: float, name: str, log: NoticeLog, activity_u_percent: float | None = None,
    ct_dlp_mgy_cm: float | None = None, ct_k_msv_per_mgy_cm: float | None = None,
) -> JobOutput:  # fmt: skip
    """Dose of one diagnostic administration from named coefficients.

    Parameters
    ----------
    administered_mbq : activity that reached the patient
    name : of coefficients that ship with fusin, or a TOML file
    log : receives notices
    activity_u_percent, ct_dlp_mgy_cm, ct_k_msv_per_mgy_cm : see :func:`fusin.dosimetry.exposure.exposure`

    Raises
    ------
    InputError
        For coefficients that are not there, or numbers that cannot be.
    """
    own = Path(name)
    found = exposure(
        read_coefficients(own) if own.suffix.lower() == ".toml" else coefficients(name), administered_mbq=administered_mbq,
        log=log, activity_u_percent=activity_u_percent, ct_dlp_mgy_cm=ct_dlp_mgy_cm, ct_k_msv_per_mgy_cm=ct_k_msv_per_mgy_cm,
    )  # fmt: skip
    used = found.coefficients
    rows = [_exposure_row(organ, dose, "mGy") for organ, dose in found.organs_mgy.items()]
    if found.effective_msv is not None:
        rows.insert(0, _exposure_row("effective dose", found.effective_msv, "mSv"))
    if found.ct_msv is not None:
        rows.append({"quantity": "effective dose of the CT", "value": found.ct_msv, "unit": "mSv"})
    sentence = (
        f"{used.tracer}, {administered_mbq:g} MBq: "
        + (f"effective dose {estimate_text(found.effective_msv)} mSv" if found.effective_msv else "no effective dose")
        + f", by {used.citation} (tag {used.tag}: {used.standing})."
    )
    table = JobTable(name="exposure", title="Dose of the scan", frame=to_frame(rows, EXPOSURE_COLUMNS))
    inputs = (own,) if own.suffix.lower() == ".toml" else ()
    return JobOutput(
        title="Dose of a diagnostic scan", document=_exposure_document(found), summary=(sentence,), notices=log.notices,
        sections=(JobSection(name="exposure", title="Dose of the scan", text=(sentence,), tables=(table,)),),
        provenance=provenance_of(inputs, {"administered_mbq": administered_mbq, "coefficients": used.id},
                                 (_EFFECTIVE, Method(used.id, used.citation))),
    )  # fmt: skip


def _cycles(record: TreatmentRecord) -> list[dict[str, Any]]:
    so_far: dict[str, float] = {}
    rows = []
    for cycle in sorted(record.cycles, key=lambda c: c.number):
        so_far[cycle.nuclide] = so_far.get(cycle.nuclide, 0.0) + cycle.given_gbq
        rows.append({
            "cycle": cycle.number, "date": cycle.date.isoformat() if cycle.date else None, "nuclide": cycle.nuclide,
            "prescribed_gbq": cycle.prescribed_gbq, "given_gbq": cycle.given_gbq, "deviation_percent": cycle.deviation_percent,
            "cumulative_gbq": so_far[cycle.nuclide],
        })  # fmt: skip
    return rows


def _course_section(record: TreatmentRecord, courses: Sequence[OrganCourse]) -> JobSection:
    rows = [_course_row(c, i) for c in courses for i in range(len(c.cycles))]
    shown = (
        Shown(name="organ", heading="organ"), Shown(name="cycle", heading="cycle"),
        Shown(name="dose_gy", heading="dose, Gy", low="dose_gy_low", high="dose_gy_high"),
        Shown(name="cumulative_gy", heading="so far, Gy", low="cumulative_gy_low", high="cumulative_gy_high"),
        Shown(name="cumulative_bed_gy", heading="BED so far, Gy", low="cumulative_bed_gy_low", high="cumulative_bed_gy_high"),
        Shown(name="cumulative_eqd2_gy", heading="EQD2 so far, Gy"), Shown(name="limit_gy", heading="limit, Gy"),
        Shown(name="limit_bed_gy", heading="limit, BED"),
    )  # fmt: skip
    frame = to_frame(rows, COURSE_COLUMNS)
    used = tuple(s for s in shown if frame[s.name].notna().any())
    cited = [f"{c.organ}: {c.biology.citation}." for c in courses if c.biology is not None]
    table = JobTable(name="courses", title="Dose over the cycles", frame=frame, shown=used)
    lead = "Parameters and limits are those of the record, with their source." if cited else ""
    return JobSection(name="courses", title="Cumulative dose", text=tuple(t for t in (lead, *cited) if t), tables=(table,),
                      figures=(course_figure(record, courses),))  # fmt: skip


def _course_row(course: OrganCourse, at: int) -> dict[str, Any]:
    known = course.biology
    return {
        "organ": course.organ, "cycle": course.cycles[at], **_three("dose_gy", course.dose_gy[at]),
        **_three("cumulative_gy", course.cumulative_gy[at]), **_three("cumulative_bed_gy", course.cumulative_bed_gy[at]),
        "cumulative_eqd2_gy": _value(course.cumulative_eqd2_gy[at]), "limit_gy": known.limit_gy if known else None,
        "limit_bed_gy": known.limit_bed_gy if known else None, "citation": known.citation if known else None,
    }  # fmt: skip


def _grade_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "date": row["date"].isoformat() if row["date"] else None, **_three("dose_gy", row["dose_gy"]),
            "bed_gy": _value(row["bed_gy"])}  # fmt: skip


def _three(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _record_summary(record: TreatmentRecord, courses: Sequence[OrganCourse]) -> tuple[str, ...]:
    given: dict[str, float] = {}
    for cycle in record.cycles:
        given[cycle.nuclide] = given.get(cycle.nuclide, 0.0) + cycle.given_gbq
    cycles = len(record.cycles)
    out = [
        f"{cycles} {'cycle' if cycles == 1 else 'cycles'}, "
        + ", ".join(f"{v:.4g} GBq {n}" for n, v in given.items())
        + " given."
    ]
    for course in courses:
        total, effective = course.cumulative_gy[-1], course.cumulative_bed_gy[-1]
        if total is None:
            out.append(f"{course.organ}: no sum, because cycle {', '.join(map(str, course.missing))} has no dose.")
        else:
            bed = f", BED {estimate_text(effective)} Gy" if effective is not None else ""
            out.append(f"{course.organ}: {estimate_text(total)} Gy{bed}.")
    return tuple(out)


def _record_document(
    record: TreatmentRecord,
    courses: Sequence[OrganCourse],
    grades: Sequence[Mapping[str, Any]],
    cycles: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    def estimates(found: Sequence[Estimate | None]) -> list[Any]:
        return [None if e is None else e.to_json() for e in found]

    return {
        "patient": record.patient, "cycles": [dict(c) for c in cycles],
        "organs": [
            {
                "name": c.organ, "cycle_numbers": list(c.cycles), "dose_gy": estimates(c.dose_gy), "bed_gy": estimates(c.bed_gy),
                "cumulative_gy": estimates(c.cumulative_gy), "cumulative_bed_gy": estimates(c.cumulative_bed_gy),
                "cumulative_eqd2_gy": estimates(c.cumulative_eqd2_gy), "missing_cycles": list(c.missing),
                "biology": None if c.biology is None else {
                    n: getattr(c.biology, n) for n in _BIOLOGY
                },
            }
            for c in courses
        ],
        "toxicity": [
            {n: v.to_json() if isinstance(v, Estimate) else jsonable(v) for n, v in row.items()} for row in grades
        ],
    }  # fmt: skip


def _exposure_row(name: str, dose: Estimate, unit: str) -> dict[str, Any]:
    return {"quantity": name, **_three("value", dose), "unit": unit}


def _exposure_document(found: Exposure) -> dict[str, Any]:
    used = found.coefficients
    return {
        "tracer": used.tracer, "nuclide": used.nuclide, "administered_mbq": found.administered_mbq, "coefficients": used.id,
        "citation": used.citation, "tag": used.tag,
        "effective_msv": None if found.effective_msv is None else found.effective_msv.to_json(),
        "organs": [{"name": n, "dose_mgy": d.to_json()} for n, d in found.organs_mgy.items()], "ct_msv": found.ct_msv,
    }  # fmt: skip
