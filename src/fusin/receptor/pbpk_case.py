"""The case of a body: ligand, injections, tumours, competitors, parameters and limits, from a TOML file and options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.receptor.blocking import Drug, drug_by_name
from fusin.receptor.pbpk import Administration, constant_competitor, drug_on_board, hot_nmol
from fusin.receptor.pbpk_body import Tumour
from fusin.receptor.pbpk_calibration import REFERENCE_LESION
from fusin.receptor.pbpk_parameters import CALIBRATED, LIGAND_FIELDS, LIGANDS, defaults, records_for
from fusin.receptor.pbpk_system import Competition
from fusin.receptor.ranges import range_of
from fusin.tabular.toml_fields import TomlFields, read_toml

__all__ = ["ASKED", "BodyCase", "OnBoard", "body_case", "read_body_case"]

ASKED = ("mass", "sink", "drug", "cxcl12", "amount")
"""Questions by their short names."""

_PET_H, _THERAPY_H = 2.0, 336.0
CXCL12_NM = (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBoard:
    """A drug, and the hours between it and the injection; None where only the question asks for it."""

    drug: Drug
    hours_before: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodyCase:
    """What is asked.

    Attributes
    ----------
    ligand : name
    given : injections
    stated : parameters with limits that are equal for a single number
    tumours : regions beside the organs
    drugs : on board
    cxcl12_nm, cxcl12_ki_nm : free chemokine on board, or None; its affinity
    limits_gy : of organs, for the amount of peptide
    until_h, at_min : end of the curves; moment of the table of SUV
    measure : ``suv`` at that moment, or ``tia`` until the end
    ask : questions
    """

    ligand: str
    given: tuple[Administration, ...]
    stated: Mapping[str, tuple[float, float]]
    tumours: tuple[Tumour, ...]
    drugs: tuple[OnBoard, ...]
    cxcl12_nm: float | None
    cxcl12_ki_nm: float
    limits_gy: Mapping[str, float]
    until_h: float
    at_min: float
    measure: str
    ask: tuple[str, ...]
    levels_nm: tuple[float, ...] = field(default=CXCL12_NM)

    @property
    def nuclide(self) -> str:
        """Canonical name of the nuclide."""
        return nuclide(self.given[0].nuclide).name

    def competition(self) -> tuple[Competition, ...]:
        """Competitors on board."""
        found = [
            drug_on_board(one.drug, hours_before=one.hours_before) for one in self.drugs if one.hours_before is not None
        ]
        if self.cxcl12_nm is not None:
            found.append(constant_competitor(self.cxcl12_nm, self.cxcl12_ki_nm))
        return tuple(found)


def read_body_case(path: Path | None, *, overrides: Mapping[str, Any] | None = None, log: NoticeLog) -> BodyCase:
    """A case from a TOML file, or from options alone; options of the command line replace its fields.

    Raises
    ------
    InputError
        For a file that cannot be read, an unknown field or a number out of its limits.
    """
    if path is None:
        return body_case({}, "options", overrides=overrides, log=log)
    return body_case(read_toml(path), path.name, overrides=overrides, log=log)


def body_case(
    document: Mapping[str, Any], where: str, *, overrides: Mapping[str, Any] | None = None, log: NoticeLog
) -> BodyCase:
    """A case from a document.

    Parameters
    ----------
    document : fields ``ligand``, ``until_h``, ``at_min``, ``measure``, ``ask``; tables ``given``, ``body``, ``cxcl12``,
        ``limits_gy``; lists ``tumour`` and ``drug``
    where : for messages
    overrides : the same with fields that win; lists of options replace those of the file
    log : receives notices

    Raises
    ------
    InputError
        For an unknown field or a number out of its limits.
    """
    top = TomlFields(_merged(document, overrides or {}), where)
    ligand = top.stated_text("ligand") or "pentixafor"
    if ligand not in LIGANDS:
        raise InputError(where, "ligand", ligand, "one of " + ", ".join(LIGANDS))
    given = _given(top.take("given"), where)
    stated = _stated(top.take("body") or {}, ligand, f"{where} [body]", log)
    name = nuclide(given[0].nuclide)
    pet = name.positron_fraction is not None and name.half_life_s < 86400.0
    until = top.number("until_h", above=0.0, most=10000.0) or (_PET_H if pet else _THERAPY_H)
    at = top.number("at_min", above=0.0) or min(60.0 if pet else 1440.0, 60.0 * until)
    if at > 60.0 * until:
        raise InputError(where, "at_min", at, f"at most until_h, {60 * until:g} min")
    tumours = _tumours(top.take("tumour"), where, log)
    drugs = _drugs(top.take("drug"), where)
    chemokine = TomlFields(top.take("cxcl12") or {}, f"{where} [cxcl12]")
    free = chemokine.number("free_nm", least=0.0)
    ki = chemokine.number("ki_nm", above=0.0)
    measure = top.stated_text("measure") or ("suv" if pet else "tia")
    if measure not in ("suv", "tia"):
        raise InputError(where, "measure", measure, "suv or tia")
    limits = _limits(top.take("limits_gy") or {}, f"{where} [limits_gy]")
    ask = _asked(top.take("ask"), where, drugs=bool(drugs), cxcl12=free is not None, therapy=not pet)
    chemokine.finish()
    top.finish()
    if free is not None and ki is None:
        raise InputError(
            f"{where} [cxcl12]", "ki_nm", "nothing", "the Ki of CXCL12 against the ligand in nM; 2 to 40 are published"
        )
    return BodyCase(
        ligand=ligand, given=given, stated=stated, tumours=tumours, drugs=drugs, cxcl12_nm=free, cxcl12_ki_nm=ki or 25.0,
        limits_gy=limits, until_h=until, at_min=at, measure=measure, ask=ask,
    )  # fmt: skip


def _merged(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for name, value in overrides.items():
        old = merged.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            # An amount in one unit replaces the amount in the other.
            kept = {
                k: v
                for k, v in old.items()
                if not (k.startswith("peptide_") and any(n.startswith("peptide_") for n in value))
            }
            merged[name] = {**kept, **value}
        else:
            merged[name] = value
    return merged


def _given(value: Any, where: str) -> tuple[Administration, ...]:
    rows = value if isinstance(value, list) else [value or {}]
    found = []
    for number, row in enumerate(rows, start=1):
        place = f"{where} [given]" if len(rows) == 1 else f"{where} [[given]] {number}"
        fields = TomlFields(row, place)
        name = fields.stated_text("nuclide", required=True)
        activity = fields.number("activity_mbq", least=0.0, most=1e6)
        nmol, microgram = (
            fields.number("peptide_nmol", above=0.0, most=1e6),
            fields.number("peptide_ug", above=0.0, most=1e7),
        )
        mass = fields.number("molar_mass_g_mol", above=0.0)
        start, length = (
            fields.number("time_min", least=0.0, most=1e6),
            fields.number("duration_min", least=0.0, most=1e5),
        )
        fields.finish({"activity": "activity_mbq", "peptide": "peptide_nmol, or peptide_ug with molar_mass_g_mol"})
        if activity is None:
            raise InputError(place, "activity_mbq", "nothing", "the activity in MBq")
        if (nmol is None) == (microgram is None):
            raise InputError(place, "peptide_nmol", "nothing" if nmol is None else "both amounts",
                             "peptide_nmol, or peptide_ug with molar_mass_g_mol: hot and cold together")  # fmt: skip
        if microgram is not None:
            if mass is None:
                raise InputError(
                    place, "molar_mass_g_mol", "nothing", "the molar mass of the peptide, to turn ug into nmol"
                )
            nmol = microgram / mass * 1000.0
        one = Administration(nuclide=nuclide(name).name, activity_mbq=activity, peptide_nmol=float(nmol or 0.0),
                             time_min=start or 0.0, duration_min=length or 0.0)  # fmt: skip
        one.give()
        found.append(one)
    if not found:
        raise InputError(where, "given", "nothing", "at least one injection")
    if min(one.time_min for one in found) != 0:
        raise InputError(where, "time_min", min(one.time_min for one in found), "0 for the first injection")
    if sum(hot_nmol(one.activity_mbq, one.nuclide) for one in found) <= 0:
        raise InputError(where, "activity_mbq", 0.0, "an activity above 0 in at least one injection")
    if len({one.nuclide for one in found}) > 1:
        raise InputError(
            where, "nuclide", ", ".join(sorted({one.nuclide for one in found})), "one nuclide for all injections"
        )
    return tuple(found)


def _stated(value: Any, ligand: str, where: str, log: NoticeLog) -> dict[str, tuple[float, float]]:
    if not isinstance(value, Mapping):
        raise InputError(where, "table", type(value).__name__, "a table of parameters")
    records = records_for(ligand)
    found = {}
    for name, number in value.items():
        if name not in records:
            raise InputError(where, "parameter", name, "one of " + ", ".join(records))
        span = range_of(number, where, name, above_zero=False)
        defaults(ligand, {name: span.low})
        defaults(ligand, {name: span.high})
        found_by_calibration = name in CALIBRATED and (ligand == "pentixafor" or name not in LIGAND_FIELDS)
        if span.low < span.high and (span.low == 0 or found_by_calibration or records[name].status == "measured"):
            raise InputError(
                where, name, number, "one number: a range is drawn from for what the calibration leaves open"
            )
        found[name] = (span.low, span.high)
        if found_by_calibration:
            log.info("CALIBRATED_NUMBER_STATED", f"{name} is stated and not calibrated", where=where, used=span.value)
        elif not records[name].low <= span.low or not span.high <= records[name].high:
            usual = f"{records[name].low:g} to {records[name].high:g} {records[name].unit}"
            log.warning("BODY_NUMBER_UNUSUAL", f"{name} lies outside of {usual}", where=where, used=span.value)
    return found


def _tumours(value: Any, where: str, log: NoticeLog) -> tuple[Tumour, ...]:
    if value is None:
        log.info(
            "REFERENCE_LESION_USED",
            "no tumour is stated; one of 10 mL with the uptake of a solid tumour is shown",
            where=where,
        )
        return (REFERENCE_LESION,)
    if not isinstance(value, list):
        raise InputError(where, "tumour", type(value).__name__, "a list, [[tumour]]")
    found = []
    for number, row in enumerate(value, start=1):
        fields = TomlFields(row, f"{where} [[tumour]] {number}")
        volume = fields.number("volume_ml", above=0.0)
        if volume is None:
            raise InputError(fields.where, "volume_ml", "nothing", "the volume in mL")
        found.append(Tumour(name=fields.stated_text("name") or f"tumour {number}", volume_ml=volume,
                            receptor_nm=fields.number("receptor_nm", least=0.0, most=1e6)))  # fmt: skip
        fields.finish()
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise InputError(where, "tumour name", max(names, key=names.count), "names that differ")
    return tuple(found)


def _drugs(value: Any, where: str) -> tuple[OnBoard, ...]:
    if value is not None and not isinstance(value, list):
        raise InputError(where, "drug", type(value).__name__, "a list, [[drug]]")
    found = []
    for number, row in enumerate(value or [], start=1):
        fields = TomlFields(row, f"{where} [[drug]] {number}")
        kd = fields.take("kd_nm")
        drug = drug_by_name(
            fields.stated_text("name", required=True), kd_nm=None if kd is None else range_of(kd, fields.where, "kd_nm"),
            dose_mg_per_kg=fields.number("dose_mg_per_kg", above=0.0),
        )  # fmt: skip
        hours = fields.number("hours_before", least=-240.0, most=1000.0)
        fields.finish()
        found.append(OnBoard(drug=drug, hours_before=hours))
    return tuple(found)


def _limits(value: Any, where: str) -> dict[str, float]:
    fields = TomlFields(value, where)
    found = {}
    for name in value:
        limit = fields.number(name, above=0.0)
        if name not in ("kidneys", "red marrow", "liver", "spleen"):
            raise InputError(where, "organ", name, "kidneys, red marrow, liver or spleen")
        found[name] = float(limit or math.nan)
    return found


def _asked(value: Any, where: str, *, drugs: bool, cxcl12: bool, therapy: bool) -> tuple[str, ...]:
    if value is None:
        usual = {"mass": True, "sink": True, "drug": drugs, "cxcl12": cxcl12, "amount": therapy}
        return tuple(name for name in ASKED if usual[name])
    rows = value if isinstance(value, list) else [value]
    for one in rows:
        if one not in ASKED:
            raise InputError(where, "ask", one, "one of " + ", ".join(ASKED))
    if "amount" in rows and not therapy:
        raise InputError(
            where, "ask", "amount", "a therapeutic nuclide such as Lu-177 for the amount of peptide in therapy"
        )
    return tuple(name for name in ASKED if name in rows)
