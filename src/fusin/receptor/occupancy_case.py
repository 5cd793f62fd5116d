"""The case of an occupancy question: tracer, tissue, competitors, drugs and IC50 of papers, from a TOML file or options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.evidence.catalogue import Record, all_records
from fusin.provenance import NoticeLog
from fusin.receptor.blocking import Drug, drug_by_name
from fusin.receptor.peptide_amount import PeptideAmount, amount_in_batch
from fusin.receptor.ranges import Range, ligand_table, range_of
from fusin.tabular.toml_fields import TomlFields, read_toml

__all__ = ["AssayIc50", "Case", "Competitor", "case_of", "published_affinities", "read_case"]

PUBLISHED_SUV = (0.88, 1.66, 2.89)
"""SUVmean of heart blood 60 min after [68Ga]pentixafor: median and range of 90 patients, doi 10.1007/s11307-022-01717-1."""

HOURS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 24.0, 36.0, 48.0)
CXCL12_NM = (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Competitor:
    """A ligand that is kept at a free concentration."""

    name: str
    kd_nm: Range
    free_nm: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class AssayIc50:
    """An IC50 of a paper, with what its assay had in the tube."""

    name: str
    ic50_nm: float
    radioligand_nm: float
    radioligand_kd_nm: float
    receptor_nm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """What is asked.

    Attributes
    ----------
    tracer : name
    kd_nm : of the tracer
    amount : peptide of the injection, or None
    weight_kg : of the patient
    free_suv : SUV of the tracer that is free at the tissue, as that of blood; None when it is not stated
    receptor_nm : in the tissue, or None
    nonspecific_share : of the SUV without any competitor
    competitors, drugs : on board
    hours : after the dose of a drug
    cxcl12_nm, cxcl12_kd_nm : chemokine at the tissue
    ic50 : of papers
    """

    tracer: str
    kd_nm: Range
    weight_kg: float
    amount: PeptideAmount | None = None
    free_suv: Range | None = None
    receptor_nm: Range | None = None
    nonspecific_share: Range = field(default_factory=lambda: Range(value=0.0, low=0.0, high=0.0, stated=False))
    competitors: tuple[Competitor, ...] = ()
    drugs: tuple[Drug, ...] = ()
    hours: tuple[float, ...] = HOURS
    cxcl12_nm: tuple[float, ...] = ()
    cxcl12_kd_nm: Range = field(default_factory=lambda: _assumed("CXCL12"))
    ic50: tuple[AssayIc50, ...] = ()


def published_affinities() -> tuple[Record, ...]:
    """Records of affinities for CXCR4, those that contradict each other included."""
    return tuple(r for r in all_records() if r.topic == "affinity" and r.metric == "IC50")


def _assumed(name: str) -> Range:
    span = ligand_table()["ranges"].get(name)
    if span is None:
        raise InputError("tracer", "kd_nm", "nothing", f"the KD of {name}: a number or [low, high] in nM")
    found = range_of([span["low_nm"], span["high_nm"]], name, "kd_nm")
    return Range(value=found.value, low=found.low, high=found.high, stated=False)


def read_case(
    path: Path, *, overrides: Mapping[str, Any] | None = None, hours: list[float] | None = None, log: NoticeLog
) -> Case:
    """A case from a TOML file; options of the command line replace its fields.

    Raises
    ------
    InputError
        For a file that cannot be read, an unknown field or a number out of its limits.
    """
    return case_of(read_toml(path), path.name, overrides=overrides, hours=hours, folder=path.parent, log=log)


def case_of(
    document: Mapping[str, Any],
    where: str,
    *,
    overrides: Mapping[str, Any] | None = None,
    hours: list[float] | None = None,
    folder: Path | None = None,
    log: NoticeLog,
) -> Case:
    """A case from a document of tables.

    Parameters
    ----------
    document : tables ``tracer``, ``tissue``, ``cxcl12`` and lists ``competitor``, ``drug``, ``ic50``
    where : for messages
    overrides : the same tables with fields that win; rows of lists are added
    hours : after the dose of a drug, instead of the field ``hours``
    folder : to which the path of a batch is relative
    log : receives notices

    Raises
    ------
    InputError
        For an unknown field or a number out of its limits.
    """
    top = TomlFields(_merged(document, where, overrides or {}, hours), where)
    tracer = TomlFields(top.take("tracer") or {}, f"{where} [tracer]")
    tissue = TomlFields(top.take("tissue") or {}, f"{where} [tissue]")
    chemokine = TomlFields(top.take("cxcl12") or {}, f"{where} [cxcl12]")
    name = tracer.stated_text("name") or "pentixafor"
    kd = _range(tracer, "kd_nm") or _assumed(name)
    if not kd.stated:
        _note_assumed(name, kd, where, log)
    weight = tracer.number("weight_kg", above=0.0, most=1000.0)
    amount = _amount(tracer, name, folder, log)
    suv = _free_suv(tracer, log, where)
    if weight is None:
        if amount is not None or suv is not None:
            raise InputError(
                f"{where} [tracer]",
                "weight_kg",
                "nothing",
                "the weight: a concentration is SUV times amount over weight",
            )
        weight = 1.0
    case = Case(
        tracer=name, kd_nm=kd, weight_kg=weight, amount=amount, free_suv=suv, receptor_nm=_range(tissue, "receptor_nm"),
        nonspecific_share=_share(tissue), competitors=_competitors(top, where), drugs=_drugs(top, where, log),
        hours=_numbers(top, where, "hours", HOURS), cxcl12_nm=_numbers(chemokine, f"{where} [cxcl12]", "free_nm", ()),
        cxcl12_kd_nm=_range(chemokine, "kd_nm") or _assumed("CXCL12"), ic50=_assays(top, where),
    )  # fmt: skip
    for part in (tracer, tissue, chemokine, top):
        part.finish()
    return case


def _merged(
    document: Mapping[str, Any], where: str, overrides: Mapping[str, Any], hours: list[float] | None
) -> dict[str, Any]:
    """The document with fields that win and rows that are added."""
    merged = dict(document)
    for table, fields in overrides.items():
        old = merged.get(table, [] if isinstance(fields, list) else {})
        if isinstance(fields, list):
            if not isinstance(old, list):
                raise InputError(where, table, type(old).__name__, f"a list of tables [[{table}]]")
            merged[table] = [*old, *fields]
        else:
            if not isinstance(old, Mapping):
                raise InputError(where, table, type(old).__name__, "a table of fields")
            merged[table] = {**old, **fields}
    if hours is not None:
        merged["hours"] = hours
    return merged


def _note_assumed(name: str, kd: Range, where: str, log: NoticeLog) -> None:
    span = f"{kd.low:g} to {kd.high:g} nM"
    message = f"the KD of {name} is not settled: {span} is used; state kd_nm to use another"
    log.warning("AFFINITY_RANGE_USED", message, where=where, used=[kd.low, kd.high])


def _range(fields: TomlFields, name: str, *, above_zero: bool = True, most: float = 1e15) -> Range | None:
    value = fields.take(name)
    return None if value is None else range_of(value, fields.where, name, above_zero=above_zero, most=most)


def _share(tissue: TomlFields) -> Range:
    found = _range(tissue, "nonspecific_share", above_zero=False, most=1.0)
    return found if found is not None else Range(value=0.0, low=0.0, high=0.0, stated=False)


def _free_suv(tracer: TomlFields, log: NoticeLog, where: str) -> Range | None:
    value = tracer.take("free_suv")
    if value is None:
        return None
    if value == "published":
        low, middle, high = PUBLISHED_SUV
        log.info("FREE_SUV_PUBLISHED", f"free tracer is taken as the SUV of heart blood of 90 patients, {middle:g} ({low:g} to "
                 f"{high:g}), doi 10.1007/s11307-022-01717-1; whole blood is not free plasma", where=where)  # fmt: skip
        return Range(value=middle, low=low, high=high)
    return range_of(value, tracer.where, "free_suv", most=1000.0)


def _amount(tracer: TomlFields, name: str, folder: Path | None, log: NoticeLog) -> PeptideAmount | None:
    """Peptide of the injection, from whichever fields state it."""
    nmol, mass = tracer.number("amount_nmol", above=0.0), tracer.number("amount_ug", above=0.0)
    molar, activity = tracer.number("molar_mass_g_mol", above=0.0), tracer.number("activity_mbq", above=0.0)
    nuclide_name, batch = tracer.stated_text("nuclide"), tracer.stated_text("batch")
    patient, when = tracer.stated_text("patient"), _moment(tracer)
    ways = [w for w, v in (("amount_nmol", nmol), ("amount_ug", mass), ("batch", batch or None)) if v is not None]
    if len(ways) > 1:
        raise InputError(tracer.where, "amount", " and ".join(ways), "one of amount_nmol, amount_ug, batch")
    if batch:
        return amount_in_batch(
            (folder or Path()) / batch, log=log, patient=patient, activity_mbq=activity, injected_at=when,
            nuclide_name=nuclide_name, molar_mass_g_mol=molar,
        )  # fmt: skip
    if mass is not None:
        if molar is None:
            raise InputError(
                tracer.where, "molar_mass_g_mol", "nothing", f"the molar mass of {name}: the amount is in micrograms"
            )
        nmol = 1e3 * mass / molar
    if (activity is None) != (not nuclide_name):
        raise InputError(tracer.where, "activity", "half of it", "activity_mbq and nuclide together")
    if nmol is None:
        if activity is not None:
            raise InputError(tracer.where, "amount", "nothing", "amount_nmol, amount_ug or batch beside the activity")
        return None
    found = PeptideAmount(peptide_nmol=nmol, source="amount_ug and molar mass" if mass is not None else "amount_nmol")
    return found.with_activity(activity, nuclide_name, log) if activity is not None else found


def _moment(tracer: TomlFields) -> datetime | None:
    value = tracer.take("injected_at")
    if value is None or isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as err:
        raise InputError(tracer.where, "injected_at", str(value), "an ISO time such as 2026-07-20T09:30:00") from err


def _rows(top: TomlFields, name: str, where: str) -> list[TomlFields]:
    rows = top.take(name)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise InputError(where, name, type(rows).__name__, f"a list of tables [[{name}]]")
    return [TomlFields(row, f"{where} [[{name}]] {n}") for n, row in enumerate(rows, 1)]


def _needed(fields: TomlFields, name: str, *, above_zero: bool = True) -> Range:
    found = _range(fields, name, above_zero=above_zero)
    if found is None:
        raise InputError(fields.where, name, "nothing", "a number or [low, high]")
    return found


def _competitors(top: TomlFields, where: str) -> tuple[Competitor, ...]:
    found = []
    for row in _rows(top, "competitor", where):
        found.append(
            Competitor(
                name=row.stated_text("name", required=True),
                kd_nm=_needed(row, "kd_nm"),
                free_nm=_needed(row, "free_nm", above_zero=False),
            )
        )
        row.finish()
    return tuple(found)


def _drugs(top: TomlFields, where: str, log: NoticeLog) -> tuple[Drug, ...]:
    found = []
    for row in _rows(top, "drug", where):
        name = row.stated_text("name", required=True)
        kd, dose = _range(row, "kd_nm"), row.number("dose_mg_per_kg", above=0.0, most=1000.0)
        keys = ("tmax_h", "half_life_h", "volume_l_per_kg")
        own = {key: _range(row, key) for key in keys}
        share, molar = _range(row, "free_share", most=1.0), row.number("molar_mass_g_mol", above=0.0)
        row.finish()
        if name in ligand_table()["drugs"]:
            base = drug_by_name(name, kd_nm=kd, dose_mg_per_kg=dose)
            log.info("DRUG_RANGES_USED", f"{name}: {base.source}", where=where)
            if not base.kd_nm.stated:
                _note_assumed(name, base.kd_nm, where, log)
            numbers = {key: own[key] or getattr(base, key) for key in keys}
            drug = Drug(
                name=name, dose_mg_per_kg=base.dose_mg_per_kg, molar_mass_g_mol=molar or base.molar_mass_g_mol,
                free_share=share or base.free_share, kd_nm=base.kd_nm, source=base.source, **numbers,
            )  # fmt: skip
        else:
            everything = {"kd_nm": kd, "dose_mg_per_kg": dose, "molar_mass_g_mol": molar, "free_share": share, **own}
            missing = [key for key, value in everything.items() if value is None]
            if missing:
                raise InputError(
                    row.where,
                    missing[0],
                    "nothing",
                    f"all numbers of a drug that fusin does not know ({', '.join(missing)})",
                )
            drug = Drug(name=name, source="as stated", **everything)  # type: ignore[arg-type]  # none is None here
        _early_peak(drug, row.where)
        found.append(drug)
    return tuple(found)


def _early_peak(drug: Drug, where: str) -> None:
    """Refuse ranges in which the peak may come later than absorption that is faster than elimination allows."""
    latest = drug.half_life_h.low / math.log(2.0)
    if drug.tmax_h.high >= latest:
        needed = f"a peak before {latest:.3g} h, the mean lifetime at the shortest half-life"
        raise InputError(where, "tmax_h", drug.tmax_h.high, needed)


def _numbers(fields: TomlFields, where: str, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    value = fields.take(name)
    if value is None:
        return default
    values = value if isinstance(value, list) else [value]
    return tuple(range_of(v, where, name, above_zero=False).value for v in values)


def _assays(top: TomlFields, where: str) -> tuple[AssayIc50, ...]:
    found = []
    for row in _rows(top, "ic50", where):
        name = row.stated_text("name", required=True)
        keys = ("ic50_nm", "radioligand_nm", "radioligand_kd_nm", "receptor_nm")
        values = {key: row.number(key, above=0.0) for key in keys}
        row.finish()
        missing = [key for key, value in values.items() if value is None]
        if missing:
            raise InputError(row.where, missing[0], "nothing", "a number above 0 in nM")
        found.append(AssayIc50(name=name, **{k: v for k, v in values.items() if v is not None}))
    return tuple(found)
