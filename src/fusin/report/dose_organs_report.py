"""Organ doses for people: dose with interval, self and cross, what the uncertainty is made of, BED, a case for OLINDA."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from fusin.dosimetry.biological import bed_estimate, eqd2_estimate
from fusin.dosimetry.case_fields import estimate_from
from fusin.dosimetry.emissions import say_alpha_assumptions
from fusin.dosimetry.olinda_case import olinda_case, read_template
from fusin.dosimetry.organ_cases import OrganCase, names_of, read_biology, read_organ_case
from fusin.dosimetry.organ_energy import approximate_table, refuse_impossible_energy
from fusin.dosimetry.organ_names import find_organ, organ
from fusin.dosimetry.organs import OrganDose, OrganDoses, log_normal, organ_doses, relative_u
from fusin.dosimetry.s_table_files import read_masses, read_s_tables
from fusin.dosimetry.s_tables import REMAINDER, STable, with_masses, with_remainder
from fusin.dosimetry.treatment_record import OrganBiology
from fusin.errors import InputError, MissingValue
from fusin.provenance import Method, NoticeLog
from fusin.report.dose_organ_figures import dose_figure
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import Shown, estimate_text
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["ORGAN_DOSE_COLUMNS", "SOURCE_DOSE_COLUMNS", "OrganOptions", "organs_report"]

ORGAN_DOSE_COLUMNS = (
    Column("organ", "string", "target"),
    Column("dose_gy", "float64", "mean absorbed dose [Gy]"),
    Column("dose_gy_low", "float64", "lower limit of the dose"),
    Column("dose_gy_high", "float64", "upper limit of the dose"),
    Column("u_percent", "float64", "relative standard uncertainty of the dose (k = 1)"),
    Column("dose_mgy_per_mbq", "float64", "dose per administered activity [mGy/MBq]"),
    Column("self_percent", "float64", "share of the dose from activity in the organ itself"),
    Column("mass_g", "float64", "mass that the dose is for"),
    Column("reference_mass_g", "float64", "mass in the model of the table"),
    Column("self_factor", "float64", "factor on the self-S for the patient's mass"),
    Column("electron_percent", "float64", "share of the self-dose that was rescaled as electrons"),
    Column("bed_gy", "float64", "biologically effective dose [Gy]"),
    Column("bed_gy_low", "float64", "lower limit of the BED"),
    Column("bed_gy_high", "float64", "upper limit of the BED"),
    Column("eqd2_gy", "float64", "dose in 2 Gy fractions of the same effect [Gy]"),
    Column("method", "string", "how the dose was had"),
)
SOURCE_DOSE_COLUMNS = (
    Column("organ", "string", "target"),
    Column("source", "string", "where the activity is"),
    Column("dose_gy", "float64", "part of the dose [Gy]"),
    Column("percent", "float64", "share of the dose of the target"),
)
_SHOWN = (
    Shown(name="organ", heading="organ"),
    Shown(name="dose_gy", heading="dose, Gy", low="dose_gy_low", high="dose_gy_high"),
    Shown(name="u_percent", heading="u (k = 1), %", digits=1),
    Shown(name="dose_mgy_per_mbq", heading="mGy/MBq"),
    Shown(name="self_percent", heading="self, %", digits=1),
    Shown(name="mass_g", heading="mass, g", digits=1),
    Shown(name="reference_mass_g", heading="model, g", digits=1),
    Shown(name="self_factor", heading="self-S x", digits=3),
    Shown(name="bed_gy", heading="BED, Gy", low="bed_gy_low", high="bed_gy_high"),
    Shown(name="eqd2_gy", heading="EQD2, Gy"),
)
_SHOWN_PARTS = (
    Shown(name="organ", heading="organ"),
    Shown(name="source", heading="from"),
    Shown(name="dose_gy", heading="dose, Gy"),
    Shown(name="percent", heading="share, %", digits=2),
)
_METHODS = (
    Method("mird", "Dose = sum of time-integrated activity x S: Bolch WE et al., J Nucl Med 50 (2009) 477-484 (MIRD 21)."),
    Method("mass-scaling", "Self-dose: electrons with 1/m, photons with m^(-2/3); cross-dose unchanged: Divoli A et al., "
           "J Nucl Med 50 (2009) 316-323."),
    Method("dose-interval", "Log-normal, first-order propagation: JCGM 100:2008, 5.1; activities as fully correlated."),
)  # fmt: skip
_BED = Method("bed", "BED with the Lea-Catcheside factor of a sum of exponentials: Dale RG, Br J Radiol 58 (1985) 515-528; "
              "Brenner DJ et al., Radiat Res 150 (1998) 83-91.")  # fmt: skip


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganOptions:
    """What the command line says about organ doses.

    Attributes
    ----------
    nuclide, administered_mbq : where the file does not say them
    s_tables, s_unit : files of S values, and the unit of a CSV that does not state it
    reference_masses, masses : texts ``organ=grams`` of the model and of the patient; the first may name a CSV file
    mass_u_percent : relative standard uncertainty of the patient's masses
    sources : texts ``region=source`` where a region is spelt otherwise in the table
    s_u_percent : relative standard uncertainty of S as a model of this patient
    approximate, body_mass_g : spheres instead of a table
    spheres : regions that are spheres of their mass, for lesions
    organs : targets to show beside those with activity
    biology : file with the parameters of organs
    olinda : case file to fill in
    """

    nuclide: str | None = None
    administered_mbq: float | None = None
    s_tables: tuple[Path, ...] = ()
    s_unit: str | None = None
    reference_masses: tuple[str, ...] = ()
    masses: tuple[str, ...] = ()
    mass_u_percent: float | None = None
    sources: tuple[str, ...] = ()
    s_u_percent: float | None = None
    approximate: bool = False
    body_mass_g: float | None = None
    spheres: tuple[str, ...] = ()
    organs: tuple[str, ...] = ()
    biology: Path | None = None
    olinda: Path | None = None

    def __post_init__(self) -> None:
        u = self.s_u_percent
        if u is not None and not (math.isfinite(u) and 0 <= u < 200):
            raise InputError("--s-u-percent", "uncertainty", u, "a percentage from 0 to below 200")

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping; files by their names."""
        out = {name: getattr(self, name) for name in self.__slots__}
        files = {n: None if out[n] is None else out[n].name for n in ("biology", "olinda")}
        return {**out, **files, "s_tables": [p.name for p in self.s_tables]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One organ or sphere as it is shown."""

    dose: OrganDose
    method: str
    bed: Estimate | None = None
    eqd2: Estimate | None = None
    biology: OrganBiology | None = None
    notes: tuple[str, ...] = field(default=())


def organs_report(path: Path, *, options: OrganOptions, log: NoticeLog) -> JobOutput:
    """Doses of organs by MIRD, and of lesions as spheres.

    Parameters
    ----------
    path : activities over time, their integrals, or the JSON of ``fusin dose``
    options : see `OrganOptions`
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For anything that cannot be used, or that the tables cannot answer.
    """
    case = _case(path, options, log)
    biology = read_biology(options.biology) if options.biology else ()
    lesions = {r: _named(r, case, "--sphere") for r in options.spheres}
    inside = {n: t for n, t in case.tia_mbq_h.items() if n not in lesions.values()}
    doses = _organs(inside, case, options, log) if inside else None
    lines = (
        [_line(d, case, biology, "MIRD, approximation" if doses.approximate else "MIRD") for d in doses.shown()]
        if doses
        else []
    )
    known = {ln.dose.target for ln in lines}
    if doses:
        extra = [d for d in doses.shown(options.organs) if d.target not in known] if options.organs else []
        lines += [_line(d, case, biology, "MIRD") for d in extra]
    lines += [_line(_sphere(n, case, options), case, biology, "sphere of its mass") for n in lesions.values()]
    files = {}
    if options.olinda is not None:
        if case.administered_mbq is None:
            raise InputError("--olinda", "activity", "none", "--administered-mbq, to which coefficients refer")
        coefficients = {n: (t.value or 0.0) / case.administered_mbq for n, t in inside.items()}
        files["case.cas"] = olinda_case(read_template(options.olinda), coefficients, nuclide_name=case.nuclide,
                                        where=options.olinda.name)  # fmt: skip
    inputs = [path, *options.s_tables, *(p for p in (options.biology, options.olinda) if p is not None)]
    return JobOutput(
        title="Organ doses", document=_document(case, doses, lines), sections=_sections(case, doses, lines),
        summary=tuple(_sentence(ln) for ln in lines), notices=log.notices, files=files,
        provenance=provenance_of(inputs, options.to_json(), (*_METHODS, *((_BED,) if biology else ()))),
    )  # fmt: skip


def _case(path: Path, options: OrganOptions, log: NoticeLog) -> OrganCase:
    """The case with regions renamed, masses replaced and their uncertainty filled in."""
    case = read_organ_case(path, log, nuclide_name=options.nuclide, administered_mbq=options.administered_mbq)
    renamed = names_of(options.sources, "--source")
    for name in renamed:
        if name not in case.tia_mbq_h:
            raise InputError("--source", "region", name, "one of " + ", ".join(case.tia_mbq_h))
    masses = {renamed.get(n, n): m for n, m in case.masses_g.items()}
    for name, text in names_of(options.masses, "--mass").items():
        masses[find_organ(name, list(masses)) or name] = _grams(name, text, "--mass")
    if options.mass_u_percent is not None:
        masses = {n: m if m.low is not None else _with_u(m, options.mass_u_percent, n) for n, m in masses.items()}
    say_alpha_assumptions(case.nuclide, log)
    return replace(case, tia_mbq_h={renamed.get(n, n): t for n, t in case.tia_mbq_h.items()}, masses_g=masses,
                   curves={renamed.get(n, n): c for n, c in case.curves.items()},
                   t_eff_h={renamed.get(n, n): t for n, t in case.t_eff_h.items()})  # fmt: skip


def _organs(tia: Mapping[str, Estimate], case: OrganCase, options: OrganOptions, log: NoticeLog) -> OrganDoses:
    table = _table(tia, case, options, log)
    masses = {n: m for n, m in case.masses_g.items() if n not in options.spheres}
    if options.approximate:
        masses = {n: m for n, m in masses.items() if find_organ(n, list(tia)) is not None}
    unused = [n for n in masses if table.target(n) is None and find_organ(n, table.sources) is None]
    for name in unused:
        log.warning("MASS_NOT_USED", f"the mass of {name} belongs to no organ of {table.name}", where=name)
        del masses[name]
    unscaled = [n for n in masses if table.mass_g(n) is None]
    if unscaled:
        raise MissingValue(f"dose of {unscaled[0]} at the patient's mass", f"{table.name} does not say the mass of its model",
                           f"--reference-mass {unscaled[0]}=GRAMS", "REFERENCE_MASS_MISSING")  # fmt: skip
    share = None if options.s_u_percent is None else options.s_u_percent / 100.0
    return organ_doses(tia, table, masses, log=log, s_u_relative=share)


def _table(tia: Mapping[str, Estimate], case: OrganCase, options: OrganOptions, log: NoticeLog) -> STable:
    if options.approximate:
        if options.s_tables or options.body_mass_g is None:
            raise InputError("--approximate", "option", "--s-table" if options.s_tables else "no body mass",
                             "--body-mass-g and no --s-table")  # fmt: skip
        lacking = [n for n in tia if find_organ(n, list(case.masses_g)) is None]
        if lacking:
            raise InputError(
                "--approximate", f"mass of {lacking[0]}", "nothing", "the mass of every organ (--mass organ=grams)"
            )
        masses = {n: case.masses_g[find_organ(n, list(case.masses_g)) or n].value or math.nan for n in tia}
        return approximate_table(masses, nuclide_name=case.nuclide, body_mass_g=options.body_mass_g)
    if not options.s_tables:
        raise InputError(
            "fusin dose organs", "--s-table", "nothing", "files of S values, or --approximate with --body-mass-g"
        )
    table = read_s_tables(options.s_tables, log, nuclide_name=case.nuclide, unit=options.s_unit)
    given: dict[str, float] = {}
    for text in options.reference_masses:
        if text.lower().endswith((".csv", ".tsv")):
            given |= read_masses(Path(text), log)
        else:
            given |= {
                n: _grams(n, t, "--reference-mass").value or math.nan
                for n, t in names_of([text], "--reference-mass").items()
            }
    if given:
        table = with_masses(table, given, log)
    refuse_impossible_energy(table, log)
    if REMAINDER in [organ(n) for n in tia] and find_organ(REMAINDER, table.sources) is None:
        table = with_remainder(table, [n for n in tia if organ(n) != REMAINDER], log)
    return table


def _sphere(name: str, case: OrganCase, options: OrganOptions) -> OrganDose:
    """Self-dose of a lesion as a sphere of its mass."""
    from fusin.dosimetry.spheres import sphere_s

    mass = case.masses_g.get(name)
    if mass is None or mass.value is None:
        raise InputError("--sphere", f"mass of {name}", "nothing", f"a mass in the file, or --mass '{name}=GRAMS'")
    found = sphere_s(case.nuclide, mass.value)
    tia, u_tia = relative_u(case.tia_mbq_h[name], f"TIA of {name}")
    _, u_mass = relative_u(mass, f"mass of {name}")
    gray = tia * found.s_mgy_per_mbq_s * 3.6
    parts = {
        "tia": u_tia or 0.0,
        "mass": u_mass or 0.0,
        "s_value": math.hypot(found.u_relative, (options.s_u_percent or 0.0) / 100),
    }
    u = math.sqrt(sum(p * p for p in parts.values())) if u_tia is not None else None
    note = "" if u is not None else f"no uncertainty of the activity in {name}"
    return OrganDose(target=name, dose_gy=log_normal(gray, u, level=0.95, n=1, note=note), self_gy=gray, by_source_gy={name: gray},
                     mass_g=mass.value, source=True, u_parts=parts if u is not None else None)  # fmt: skip


def _line(dose: OrganDose, case: OrganCase, biology: Sequence[OrganBiology], method: str) -> _Line:
    """BED by the curve of the organ's own activity, where parameters are given."""
    known = next((b for b in biology if organ(b.organ) == organ(dose.target)), None)
    name = find_organ(dose.target, list(case.curves))
    if known is None or name is None or known.alpha_beta_gy is None or known.repair_half_time_h is None:
        return _Line(dose=dose, method=method, biology=known)
    rates, weights = case.curves[name]
    bed = bed_estimate(dose.dose_gy, rates, weights, known.alpha_beta_gy, known.repair_half_time_h)
    return _Line(dose=dose, method=method, bed=bed, eqd2=eqd2_estimate(bed, known.alpha_beta_gy), biology=known)


def _named(name: str, case: OrganCase, option: str) -> str:
    found = find_organ(name, list(case.tia_mbq_h))
    if found is None:
        raise InputError(option, "region", name, "one of " + ", ".join(case.tia_mbq_h))
    return found


def _grams(name: str, text: str, option: str) -> Estimate:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(option, name, text, "a positive mass in grams, such as kidneys=290")
    return estimate_from(value, low=None, high=None, u_percent=None, where=option, field=name)


def _with_u(mass: Estimate, u_percent: float, name: str) -> Estimate:
    if not (math.isfinite(u_percent) and 0 <= u_percent < 100):
        raise InputError("--mass-u-percent", "uncertainty", u_percent, "a percentage from 0 to below 100")
    return estimate_from(mass.value or math.nan, low=None, high=None, u_percent=u_percent, where=name, field="mass_g")


def _u_percent(dose: OrganDose) -> float | None:
    return None if dose.u_parts is None else 100.0 * math.sqrt(sum(u * u for u in dose.u_parts.values()))


def _per_mbq(dose: OrganDose, case: OrganCase) -> float | None:
    return None if case.administered_mbq is None else 1000.0 * (dose.dose_gy.value or 0.0) / case.administered_mbq


def _document(case: OrganCase, doses: OrganDoses | None, lines: Sequence[_Line]) -> dict[str, Any]:
    """The contract of ``fusin dose organs --json``."""
    organs = []
    for line in lines:
        dose, known = line.dose, line.biology
        half_life, curve = _of_source(dose.target, case.t_eff_h), _of_source(dose.target, case.curves)
        organs.append({
            "name": dose.target, "dose_gy": dose.dose_gy.to_json(), "dose_mgy_per_mbq": _per_mbq(dose, case),
            "u_percent": _u_percent(dose),
            "u_parts_percent": None if dose.u_parts is None else {n: 100.0 * u for n, u in dose.u_parts.items()},
            "self_gy": dose.self_gy, "cross_gy": dose.cross_gy,
            "by_source": [{"source": s, "gy": v} for s, v in dose.by_source_gy.items()],
            "mass_g": dose.mass_g, "reference_mass_g": dose.reference_mass_g, "self_factor": dose.self_factor,
            "electron_share": dose.electron_share, "bed_gy": line.bed.to_json() if line.bed else None,
            "eqd2_gy": line.eqd2.to_json() if line.eqd2 else None,
            "biology": None if known is None else {
                "alpha_beta_gy": known.alpha_beta_gy, "repair_half_time_h": known.repair_half_time_h, "citation": known.citation,
            },
            "dose_method": line.method, "t_eff_h": half_life.to_json() if half_life else None,
            "curve": None if curve is None else {"rates_per_h": list(curve[0]), "weights": list(curve[1])},
        })  # fmt: skip
    return {
        "nuclide": case.nuclide, "administered_mbq": case.administered_mbq, "s_table": doses.table if doses else None,
        "approximate": bool(doses and doses.approximate), "organs": organs,
    }  # fmt: skip


def _of_source(target: str, known: Mapping[str, T]) -> T | None:
    """What is known of the region that a target is."""
    name = find_organ(target, list(known))
    return None if name is None else known[name]


def _sections(case: OrganCase, doses: OrganDoses | None, lines: Sequence[_Line]) -> tuple[JobSection, ...]:
    frame = to_frame([_row(ln, case) for ln in lines], ORGAN_DOSE_COLUMNS)
    shown = tuple(s for s in _SHOWN if frame[s.name].notna().any())
    parts = [
        {"organ": ln.dose.target, "source": s, "dose_gy": v, "percent": 100.0 * v / total if total > 0 else None}
        for ln in lines for s, v in ln.dose.by_source_gy.items() for total in (sum(ln.dose.by_source_gy.values()),)
    ]  # fmt: skip
    tables = [
        JobTable(name="organs", title="Organ doses", frame=frame, shown=shown),
        JobTable(name="sources", title="Where the dose comes from", frame=to_frame(parts, SOURCE_DOSE_COLUMNS), shown=_SHOWN_PARTS,
                 on_page=len(parts) <= 60),
    ]  # fmt: skip
    if doses is not None and len(doses.doses) > len(lines):
        rows = [_row(_Line(dose=d, method="MIRD"), case) for d in doses.doses]
        tables.append(JobTable(name="targets", title="All targets of the table", frame=to_frame(rows, ORGAN_DOSE_COLUMNS),
                               on_page=False))  # fmt: skip
    text = f"{case.nuclide}, S values of {doses.table}." if doses else f"{case.nuclide}."
    figures = (dose_figure([(ln.dose.target, ln.dose.dose_gy, ln.dose.self_gy) for ln in lines]),) if lines else ()
    return (JobSection(name="organs", title="Organ doses", text=(text,), tables=tuple(tables), figures=figures),)


def _row(line: _Line, case: OrganCase) -> dict[str, Any]:
    dose, total = line.dose, line.dose.dose_gy.value or 0.0
    return {
        "organ": dose.target, "dose_gy": total, "dose_gy_low": dose.dose_gy.low, "dose_gy_high": dose.dose_gy.high,
        "u_percent": _u_percent(dose), "dose_mgy_per_mbq": _per_mbq(dose, case),
        "self_percent": 100.0 * dose.self_gy / total if total > 0 else None, "mass_g": dose.mass_g,
        "reference_mass_g": dose.reference_mass_g, "self_factor": dose.self_factor,
        "electron_percent": None if dose.electron_share is None else 100.0 * dose.electron_share,
        "bed_gy": line.bed.value if line.bed else None, "bed_gy_low": line.bed.low if line.bed else None,
        "bed_gy_high": line.bed.high if line.bed else None, "eqd2_gy": line.eqd2.value if line.eqd2 else None,
        "method": line.method,
    }  # fmt: skip


def _sentence(line: _Line) -> str:
    note = f" ({line.dose.dose_gy.note})" if line.dose.dose_gy.note else ""
    bed = f", BED {estimate_text(line.bed)} Gy" if line.bed else ""
    return f"{line.dose.target}: {estimate_text(line.dose.dose_gy)} Gy{note}{bed}."
