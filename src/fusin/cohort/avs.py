"""Adrenal vein sampling: indices, and a verdict that names the thresholds behind it.

With A aldosterone, C cortisol (or metanephrine) and P the peripheral sample::

    SI   = C_adrenal / C_P                       per side, was the vein entered?
    LI   = (A/C)_dominant / (A/C)_non-dominant   which side?
    CSI  = (A/C)_non-dominant / (A/C)_P          is the other side suppressed?
    RASI = (A/C)_adrenal / (A/C)_P               per side; helps when the other side failed

Source of the formulas: Adrenal vein sampling: technique and protocol, a systematic review, table 6,
doi:10.1186/s42155-021-00220-y. Thresholds are evidence records (``evidence/tables/avs.toml``), asked for by id.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

from fusin.errors import InputError
from fusin.evidence.catalogue import Catalogue, Record, default_catalogue, holds
from fusin.provenance import NoticeLog, jsonable

__all__ = [
    "AvsIndices",
    "AvsProcedure",
    "AvsResult",
    "AvsRules",
    "AvsSample",
    "Hormone",
    "Phase",
    "Verdict",
    "assess_both_phases",
    "assess_procedure",
    "avs_indices",
    "default_rules",
    "to_nmol_l",
]

Hormone = Literal["aldosterone", "cortisol", "metanephrine"]
Phase = Literal["basal", "cosyntropin"]
Verdict = Literal["left", "right", "bilateral", "indeterminate"]
Normaliser = Literal["cortisol", "metanephrine"]

_BASAL: Phase = "basal"
_STIMULATED: Phase = "cosyntropin"


@cache
def _unit_table() -> Mapping[str, Any]:
    text = resources.files("fusin.cohort").joinpath("avs_units.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def to_nmol_l(value: float, unit: str, hormone: Hormone, *, where: str = "concentration") -> float:
    """Concentration in nmol/L.

    Parameters
    ----------
    value : in ``unit``
    unit : one of the units of ``avs_units.toml``, spelt as there
    hormone : decides the molar mass
    where : row for the message

    Raises
    ------
    InputError
        For another unit.
    """
    units = _unit_table()["unit"]
    if unit not in units:
        raise InputError(where, f"{hormone}_unit", unit, "one of " + ", ".join(units))
    entry = units[unit]
    amount = value * float(entry["factor"])
    if entry["base"] == "mol/L":
        return amount
    return amount / float(_unit_table()["molar_mass_g_mol"][hormone]["value"])


@dataclass(frozen=True, slots=True, kw_only=True)
class AvsSample:
    """Concentrations of one vein [nmol/L]; None where not measured."""

    aldosterone_nmol_l: float | None = None
    cortisol_nmol_l: float | None = None
    metanephrine_nmol_l: float | None = None

    def of(self, hormone: Hormone) -> float | None:
        """Concentration of one hormone [nmol/L]."""
        return cast("float | None", getattr(self, f"{hormone}_nmol_l"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AvsProcedure:
    """The three samples of one phase of one patient.

    Attributes
    ----------
    cortisol_cosecretion : whether autonomous cortisol secretion is known; None when nobody says
    """

    patient: str
    phase: Phase
    left: AvsSample = AvsSample()
    right: AvsSample = AvsSample()
    peripheral: AvsSample = AvsSample()
    cortisol_cosecretion: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AvsIndices:
    """Indices of one procedure; None where a sample is missing.

    Attributes
    ----------
    normaliser : hormone by which aldosterone was divided and selectivity judged
    si_left, si_right : selectivity index (with metanephrine: adrenal to peripheral metanephrine ratio)
    dominant : ``left``, ``right``, ``equal``, or empty without LI
    li, csi : lateralisation and contralateral suppression index
    rasi_left, rasi_right : relative aldosterone secretion index
    """

    normaliser: Normaliser
    si_left: float | None
    si_right: float | None
    dominant: str
    li: float | None
    csi: float | None
    rasi_left: float | None
    rasi_right: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class AvsRules:
    """Thresholds by evidence id.

    Attributes
    ----------
    selectivity : None when no verified threshold exists: the verdict is then indeterminate
    lateralised : LI that means unilateral; None: indeterminate
    bilateral : LI that means bilateral; between the two lies the grey zone. None: whatever is not lateralised
    suppression : CSI of a suppressed contralateral gland; an adjunct, None to leave it out
    require_suppression : whether a unilateral verdict needs it
    normaliser : cortisol, or metanephrine where cortisol is co-secreted
    """

    selectivity: str | None
    lateralised: str | None
    bilateral: str | None
    suppression: str | None = "avs-csi-1"
    require_suppression: bool = False
    normaliser: Normaliser = "cortisol"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class AvsResult:
    """Verdict of one procedure, with everything that led to it.

    Attributes
    ----------
    verdict : left, right (unilateral), bilateral or indeterminate
    reason : sentence with numbers, thresholds and their ids
    selective_left, selective_right : None when it cannot be judged
    suppressed : contralateral suppression; None when it cannot be judged
    grey_zone : LI lies between the two thresholds
    """

    patient: str
    phase: str
    verdict: Verdict
    reason: str
    selective_left: bool | None
    selective_right: bool | None
    suppressed: bool | None
    grey_zone: bool
    indices: AvsIndices
    rules: AvsRules

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        plain = {n: jsonable(getattr(self, n)) for n in self.__slots__ if n not in ("indices", "rules")}
        return plain | {"indices": self.indices.to_json(), "rules": self.rules.to_json()}


def default_rules(phase: Phase, normaliser: Normaliser = "cortisol") -> AvsRules:
    """Thresholds that may be used without being asked for: those read in their source.

    Without cosyntropin no verified selectivity threshold is known, so it is None and has to be named by id.
    """
    if normaliser == "metanephrine":
        stimulated = phase == "cosyntropin"
        return AvsRules(
            selectivity="avs-metanephrine-12" if stimulated else None,
            lateralised="avs-li-metanephrine-4" if stimulated else None,
            bilateral=None,
            normaliser=normaliser,
        )
    if phase == "basal":
        return AvsRules(selectivity=None, lateralised="avs-li-4", bilateral="avs-li-4-bilateral")
    return AvsRules(
        selectivity="avs-si-cosyntropin-3", lateralised="avs-li-cosyntropin-4", bilateral="avs-li-cosyntropin-bilateral"
    )


def avs_indices(procedure: AvsProcedure, normaliser: Normaliser = "cortisol") -> AvsIndices:
    """SI, LI, CSI and RASI of one procedure; None where a sample is missing."""
    left, right, peripheral = procedure.left, procedure.right, procedure.peripheral
    reference = peripheral.of(normaliser)
    corrected = [_ratio(s.of("aldosterone"), s.of(normaliser)) for s in (left, right, peripheral)]
    ac_left, ac_right, ac_peripheral = corrected
    dominant, li, low = "", None, None
    if ac_left is not None and ac_right is not None:
        low, high = min(ac_left, ac_right), max(ac_left, ac_right)
        li = _ratio(high, low)
        dominant = "equal" if low == high else ("left" if ac_left > ac_right else "right")
    return AvsIndices(
        normaliser=normaliser,
        si_left=_ratio(left.of(normaliser), reference),
        si_right=_ratio(right.of(normaliser), reference),
        dominant=dominant,
        li=li,
        csi=_ratio(low, ac_peripheral),
        rasi_left=_ratio(ac_left, ac_peripheral),
        rasi_right=_ratio(ac_right, ac_peripheral),
    )


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    if numerator is None or denominator is None:
        return None
    return numerator / denominator


def assess_procedure(
    procedure: AvsProcedure, *, rules: AvsRules | None = None, catalogue: Catalogue | None = None, log: NoticeLog
) -> AvsResult:
    """Judge one procedure.

    Parameters
    ----------
    rules : thresholds by id; the verified defaults of the phase when None
    catalogue : evidence; the shipped tables when None
    log : receives AVS_THRESHOLD_UNVERIFIED, AVS_THRESHOLD_CONDITION and AVS_CORTISOL_COSECRETION

    Raises
    ------
    InputError
        For an unknown id, or a record that holds no threshold of the index it is named for.
    """
    rules = rules or default_rules(procedure.phase)
    where = f"{procedure.patient} {procedure.phase}"
    book = _Book(catalogue or default_catalogue(), procedure.phase, where, log)
    indices = avs_indices(procedure, rules.normaliser)
    verdict: Verdict
    if procedure.cortisol_cosecretion and rules.normaliser == "cortisol":
        log.warning(
            "AVS_CORTISOL_COSECRETION",
            "Cortisol is co-secreted, so indices corrected by cortisol mislead; metanephrine is the alternative.",
            where=where,
        )
    si_metric = "si" if rules.normaliser == "cortisol" else "metanephrine_ratio"
    selectivity = book.threshold(rules.selectivity, si_metric)
    sides = {"left": indices.si_left, "right": indices.si_right}
    selective = {side: _meets(selectivity, value) for side, value in sides.items()}
    suppressed = _meets(book.threshold(rules.suppression, "csi"), indices.csi)
    failure = _cannulation_failure(indices, selective, selectivity)
    if failure:
        verdict, reason, grey = "indeterminate", failure, False
    else:
        verdict, reason, grey = _lateralise(indices, rules, book, suppressed)
        reason += f" Both veins were entered: {_si_text(indices, selectivity)}."
    return AvsResult(
        patient=procedure.patient,
        phase=procedure.phase,
        verdict=verdict,
        reason=reason,
        selective_left=selective["left"],
        selective_right=selective["right"],
        suppressed=suppressed,
        grey_zone=grey,
        indices=indices,
        rules=rules,
    )


@dataclass(frozen=True, slots=True)
class _Book:
    """Looks thresholds up and says what is doubtful about their use here."""

    catalogue: Catalogue
    phase: Phase
    where: str
    log: NoticeLog

    def threshold(self, record_id: str | None, metric: str) -> Record | None:
        if record_id is None:
            return None
        record = self.catalogue.get(record_id)
        if record.metric != metric or record.op is None or record.value is None:
            raise InputError("evidence", "id", record_id, f"a record that holds a threshold of {metric}")
        if not record.is_default_grade:
            self.log.info(
                "AVS_THRESHOLD_UNVERIFIED",
                f"The threshold {record_id} is used as asked for; it is tagged {record.tag} ({record.source}).",
                where=self.where,
            )
        if record.condition and self.phase not in record.condition:
            self.log.warning(
                "AVS_THRESHOLD_CONDITION",
                f"The threshold {record_id} was made for sampling with {record.condition}; this phase is {self.phase}.",
                where=self.where,
            )
        return record


def _meets(record: Record | None, value: float | None) -> bool | None:
    if record is None or value is None or record.op is None or record.value is None:
        return None
    return holds(record.op, value, record.value)


def _limit(record: Record | None) -> str:
    return "no threshold" if record is None else f"{record.op} {record.value:g} [{record.id}]"


def _si_text(indices: AvsIndices, record: Record | None) -> str:
    name = "SI" if indices.normaliser == "cortisol" else "metanephrine ratio"
    values = (f"{'missing' if v is None else format(v, '.2f')}" for v in (indices.si_left, indices.si_right))
    return "{} left {}, right {} against {}".format(name, *values, _limit(record))


def _cannulation_failure(indices: AvsIndices, selective: Mapping[str, bool | None], record: Record | None) -> str:
    """Why no verdict is possible, with what the other side's RASI shows; empty when both veins were entered."""
    if all(selective.values()):
        return ""
    numbers = _si_text(indices, record)
    if record is None:
        return f"Selectivity cannot be judged: no verified threshold for this phase; name one by id ({numbers})."
    failed = [side for side, good in selective.items() if good is False]
    unknown = [side for side, good in selective.items() if good is None]
    parts = [f"cannulation of the {side} vein failed" for side in failed]
    parts += [f"selectivity of the {side} vein is unknown" for side in unknown]
    text = f"{' and '.join(parts)} ({numbers})."
    text = text[0].upper() + text[1:]
    good = [side for side, ok in selective.items() if ok]
    rasi = {"left": indices.rasi_left, "right": indices.rasi_right}
    if good and rasi[good[0]] is not None:
        text += f" RASI of the {good[0]} side is {rasi[good[0]]:.2f}: a hint, no verdict."
    return text


def _lateralise(
    indices: AvsIndices, rules: AvsRules, book: _Book, suppressed: bool | None
) -> tuple[Verdict, str, bool]:
    lateralised = book.threshold(rules.lateralised, "li")
    bilateral = book.threshold(rules.bilateral, "li")
    if indices.li is None:
        return "indeterminate", "LI is missing: a sample was not measured.", False
    text = f"LI {indices.li:.2f} (dominant {indices.dominant})"
    if lateralised is None:
        return "indeterminate", f"{text}, and no verified LI threshold for this phase; name one by id.", False
    csi = "CSI is missing" if indices.csi is None else f"CSI {indices.csi:.2f}"
    state = {True: "contralateral suppression", False: "no contralateral suppression", None: "suppression not judged"}
    side_text = f"{state[suppressed]} ({csi})"
    if _meets(lateralised, indices.li) and indices.dominant in ("left", "right"):
        if rules.require_suppression and not suppressed:
            return "indeterminate", f"{text} is {_limit(lateralised)}, but {side_text} and the rule needs it.", False
        side = cast("Verdict", indices.dominant)
        return side, f"{side.capitalize()}: {text} is {_limit(lateralised)}; {side_text}.", False
    if bilateral is None or _meets(bilateral, indices.li):
        against = f"not {_limit(lateralised)}" if bilateral is None else _limit(bilateral)
        return "bilateral", f"Bilateral: {text} is {against}; {side_text}.", False
    between = f"neither {_limit(lateralised)} nor {_limit(bilateral)}"
    return "indeterminate", f"Grey zone: {text} is {between}; {side_text}.", True


def assess_both_phases(
    basal: AvsProcedure,
    stimulated: AvsProcedure,
    *,
    basal_rules: AvsRules | None = None,
    stimulated_rules: AvsRules | None = None,
    catalogue: Catalogue | None = None,
    log: NoticeLog,
) -> AvsResult:
    """Require the same verdict before and during cosyntropin, as the reference of a PET trial does.

    The LI threshold of both phases is ``avs-li-trial-reference`` unless rules are given. The indices returned are those
    of the stimulated phase.
    """
    first_rules, second_rules = (
        given or replace(default_rules(phase), lateralised="avs-li-trial-reference", bilateral=None)
        for given, phase in ((basal_rules, _BASAL), (stimulated_rules, _STIMULATED))
    )
    first = assess_procedure(basal, rules=first_rules, catalogue=catalogue, log=log)
    second = assess_procedure(stimulated, rules=second_rules, catalogue=catalogue, log=log)
    agree = first.verdict == second.verdict
    return replace(
        second,
        phase="basal and cosyntropin",
        verdict=second.verdict if agree else "indeterminate",
        reason=("" if agree else "The phases disagree. ") + f"Basal: {first.reason} Cosyntropin: {second.reason}",
        grey_zone=first.grey_zone or second.grey_zone,
    )
