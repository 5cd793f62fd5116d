"""The record of a treated patient from TOML, or from TOML that names tables."""

from __future__ import annotations

from pathlib import Path

from fusin.dosimetry.case_fields import CaseFields, estimate_from, read_case
from fusin.dosimetry.treatment_record import Cycle, CycleDose, OrganBiology, Toxicity, TreatmentRecord
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.tabular.rows import Row, rows_of
from fusin.tabular.schema import InputColumn, Schema

__all__ = ["CYCLES_TABLE", "CYCLE_DOSES_TABLE", "TOXICITY_GRADES_TABLE", "read_record"]

CYCLES_TABLE = Schema(
    name="treatment cycles",
    columns=(
        InputColumn("cycle", "Int64", "number of the cycle, from 1", required=True, least=1),
        InputColumn("date", "string", "day of the administration, ISO"),
        InputColumn("nuclide", "string", "nuclide, for example Lu-177", required=True),
        InputColumn("prescribed_gbq", "float64", "prescribed activity [GBq]", least=0.0),
        InputColumn("given_gbq", "float64", "administered activity [GBq]", required=True, least=0.0),
    ),
    key=("cycle",),
)
CYCLE_DOSES_TABLE = Schema(
    name="cycle doses",
    columns=(
        InputColumn("cycle", "Int64", "number of the cycle", required=True, least=1),
        InputColumn("organ", "string", "organ or lesion", required=True),
        InputColumn("dose_gy", "float64", "mean absorbed dose [Gy]", required=True, least=0.0),
        InputColumn("dose_gy_low", "float64", "lower 95 % limit [Gy]", least=0.0),
        InputColumn("dose_gy_high", "float64", "upper 95 % limit [Gy]", least=0.0),
        InputColumn("dose_gy_u_percent", "float64", "relative standard uncertainty instead of limits [%]", least=0.0),
        InputColumn("t_eff_h", "float64", "effective half-life, for BED [h]", least=0.0),
    ),
    key=("cycle", "organ"),
    ordered=(("dose_gy_low", "dose_gy"), ("dose_gy", "dose_gy_high")),
)
TOXICITY_GRADES_TABLE = Schema(
    name="toxicity beside dose",
    columns=(
        InputColumn("term", "string", "CTCAE term", required=True),
        InputColumn("grade", "Int64", "CTCAE grade, 0 to 5", required=True, least=0, most=5),
        InputColumn("organ", "string", "organ whose dose stands beside it"),
        InputColumn("date", "string", "day of the finding, ISO"),
        InputColumn(
            "after_cycle", "Int64", "cycle after which it was found, instead of a date; 0 is before the first", least=0
        ),
    ),
)


def read_record(path: Path, log: NoticeLog) -> tuple[TreatmentRecord, tuple[Path, ...]]:
    """The record, and the files that it was read from.

    Cycles are tables ``[[cycle]]`` with ``[[cycle.dose]]``, or ``cycles`` and ``doses`` name CSV files beside the TOML;
    ``toxicity`` is an array of tables or such a name.

    Raises
    ------
    InputError
        For anything that cannot be used, with file and field.
    """
    case, folder = read_case(path), path.parent
    files = [path]

    def rows(name: str, schema: Schema) -> tuple[Row, ...]:
        table = case.file(name, folder)
        if table is None:
            return ()
        files.append(table)
        return rows_of(table, schema, log)

    patient = case.text("patient", required=True)
    doses: dict[int, list[CycleDose]] = {}
    for row in rows("doses", CYCLE_DOSES_TABLE):
        doses.setdefault(_whole(row, "cycle"), []).append(_dose_of_row(row))
    cycles = [_cycle_of_row(r) for r in rows("cycles", CYCLES_TABLE)] or [_cycle(t) for t in case.tables("cycle")]
    case.take("cycle")
    unknown = sorted(set(doses) - {c.number for c in cycles})
    if unknown:
        raise InputError(path.name, "doses", f"cycle {unknown[0]}", "doses of cycles that the record has")
    cycles = [
        Cycle(number=c.number, nuclide=c.nuclide, given_gbq=c.given_gbq, prescribed_gbq=c.prescribed_gbq, date=c.date,
              doses=(*c.doses, *doses.get(c.number, ())))
        for c in cycles
    ]  # fmt: skip
    if case.file("toxicity", folder) is not None:
        findings = [_toxicity_of_row(r) for r in rows("toxicity", TOXICITY_GRADES_TABLE)]
    else:
        findings = [_toxicity(t) for t in case.tables("toxicity")]
    biology = tuple(_biology(t) for t in case.tables("organ"))
    case.finish()
    return (
        TreatmentRecord(patient=patient, cycles=tuple(cycles), biology=biology, toxicity=tuple(findings)),
        tuple(files),
    )


def _cycle(fields: CaseFields) -> Cycle:
    number = fields.needed("number", least=1.0)
    if number != round(number):
        raise InputError(fields.where, "number", number, "a whole number")
    doses = []
    for one in fields.tables("dose"):
        dose = one.estimate("dose_gy", zero=True)
        if dose is None:
            raise InputError(one.where, "dose_gy", "nothing", "a dose")
        doses.append(
            CycleDose(organ=one.text("organ", required=True), dose_gy=dose, t_eff_h=one.number("t_eff_h", above=0.0))
        )
        one.finish()
    out = Cycle(
        number=int(number), date=fields.day("date"), nuclide=nuclide(fields.text("nuclide", required=True)).name,
        prescribed_gbq=fields.number("prescribed_gbq", above=0.0), given_gbq=fields.needed("given_gbq", above=0.0),
        doses=tuple(doses),
    )  # fmt: skip
    fields.finish()
    return out


def _biology(fields: CaseFields) -> OrganBiology:
    out = OrganBiology(
        organ=fields.text("name", required=True), citation=fields.text("citation"),
        alpha_beta_gy=fields.number("alpha_beta_gy", above=0.0),
        repair_half_time_h=fields.number("repair_half_time_h", above=0.0), limit_gy=fields.number("limit_gy", above=0.0),
        limit_bed_gy=fields.number("limit_bed_gy", above=0.0),
    )  # fmt: skip
    if not out.citation:
        raise InputError(fields.where, "citation", "nothing", "where the parameters and limits of this organ come from")
    fields.finish()
    return out


def _toxicity(fields: CaseFields) -> Toxicity:
    grade = fields.needed("grade", least=0.0, most=5.0)
    cycle = fields.number("after_cycle", least=0.0)
    if grade != round(grade) or (cycle is not None and cycle != round(cycle)):
        raise InputError(
            fields.where, "grade or after_cycle", grade if grade != round(grade) else cycle, "a whole number"
        )
    out = Toxicity(term=fields.text("term", required=True), grade=int(grade), organ=fields.text("organ"), date=fields.day("date"),
                   cycle=None if cycle is None else int(cycle))  # fmt: skip
    fields.finish()
    return out


def _cycle_of_row(row: Row) -> Cycle:
    given = row.number("given_gbq", positive=True)
    if given is None:
        raise InputError(row.where, "given_gbq", None, "a value in every row")
    return Cycle(number=_whole(row, "cycle"), date=row.day("date"), nuclide=nuclide(row.needed("nuclide")).name,
                 prescribed_gbq=row.number("prescribed_gbq", positive=True), given_gbq=given)  # fmt: skip


def _dose_of_row(row: Row) -> CycleDose:
    value = row.number("dose_gy")
    if value is None:
        raise InputError(row.where, "dose_gy", None, "a value in every row")
    dose = estimate_from(value, low=row.number("dose_gy_low"), high=row.number("dose_gy_high"),
                         u_percent=row.number("dose_gy_u_percent"), where=row.where, field="dose_gy")  # fmt: skip
    return CycleDose(organ=row.needed("organ"), dose_gy=dose, t_eff_h=row.number("t_eff_h", positive=True))


def _toxicity_of_row(row: Row) -> Toxicity:
    return Toxicity(term=row.needed("term"), grade=_whole(row, "grade"), organ=row.text("organ") or "", date=row.day("date"),
                    cycle=None if row.values.get("after_cycle") is None else _whole(row, "after_cycle"))  # fmt: skip


def _whole(row: Row, name: str) -> int:
    value = row.number(name)
    if value is None:
        raise InputError(row.where, name, None, "a value in every row")
    return int(value)
