"""Screening of a patient list against trials: a verdict with the reason per rule, and the counts of the flow chart.

A counted rule that fails makes a patient ineligible; without one, any unknown makes the patient indeterminate and says
what to ask for; only a patient for whom every counted rule passes is eligible. Rules known from a secondary guide only
are shown and not counted, and a trial without a public record has no verdict but indeterminate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from fusin.errors import InputError
from fusin.provenance import Notice, NoticeLog
from fusin.trials.logic import Finding, describe, evaluate
from fusin.trials.rules import Rule, Trial, trial, universal_rules
from fusin.trials.values import Patient, column_map

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Assessment", "Consort", "RuleFinding", "Screening", "assess", "screen"]

Verdict = Literal["eligible", "ineligible", "indeterminate"]
RuleVerdict = Literal["pass", "fail", "indeterminate"]

_CLOSED = frozenset({"TERMINATED", "COMPLETED", "WITHDRAWN", "SUSPENDED", "ACTIVE_NOT_RECRUITING"})
_ID_COLUMNS = ("id", "patient_id", "patient")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """What a rule says of a patient.

    Attributes
    ----------
    id, kind : of the rule
    verdict : ``pass`` (nothing stands against the patient), ``fail`` or ``indeterminate``
    reason : value found and what was asked
    ask : what to ask for when it is indeterminate
    counted : False for a rule that is shown and does not enter the verdict
    """

    id: str
    kind: str
    verdict: RuleVerdict
    reason: str
    ask: tuple[str, ...] = ()
    counted: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON-ready mapping."""
        names = ("id", "kind", "verdict", "reason", "counted")
        return {name: getattr(self, name) for name in names} | {"ask": list(self.ask)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Verdict on one patient for one trial."""

    patient_id: str
    trial_id: str
    verdict: Verdict
    rules: tuple[RuleFinding, ...]

    @property
    def ask(self) -> tuple[str, ...]:
        """Everything that has to be asked for, each once."""
        return tuple(dict.fromkeys(a for r in self.rules if r.counted and r.verdict != "pass" for a in r.ask))

    def ids(self, verdict: RuleVerdict) -> tuple[str, ...]:
        """Ids of the counted rules with a verdict, in the order of the rules."""
        return tuple(r.id for r in self.rules if r.counted and r.verdict == verdict)

    def to_json(self) -> dict[str, Any]:
        """Return the assessment as a JSON-ready mapping."""
        return {
            "id": self.patient_id,
            "trial": self.trial_id,
            "verdict": self.verdict,
            "rules": [r.to_json() for r in self.rules],
            "ask": list(self.ask),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Consort:
    """Counts of a flow chart; ``assessed`` is the sum of the three verdicts.

    Attributes
    ----------
    trial_id : the trial
    assessed, eligible, ineligible, indeterminate : patients
    by_first : ineligible patients by the first rule that fails, in the order of the rules; sums to ``ineligible``
    by_any : ineligible patients by every rule that fails; a patient may count several times
    undecided : indeterminate patients by every rule that is undecided
    """

    trial_id: str
    assessed: int
    eligible: int
    ineligible: int
    indeterminate: int
    by_first: Mapping[str, int]
    by_any: Mapping[str, int]
    undecided: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as a JSON-ready mapping."""
        return {
            "trial": self.trial_id,
            "assessed": self.assessed,
            "eligible": self.eligible,
            "ineligible": self.ineligible,
            "indeterminate": self.indeterminate,
            "by_first": dict(self.by_first),
            "by_any": dict(self.by_any),
            "undecided": dict(self.undecided),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """All verdicts of a screening.

    Attributes
    ----------
    reference_date : date of ages and windows
    trials : in the order asked for
    assessments : patient by patient, and within a patient trial by trial
    notices : what was doubted or assumed
    """

    reference_date: date
    trials: tuple[Trial, ...]
    assessments: tuple[Assessment, ...]
    notices: tuple[Notice, ...] = field(default=())

    def consort(self, trial_id: str) -> Consort:
        """Return the counts of one trial."""
        mine = [a for a in self.assessments if a.trial_id == trial_id]
        verdicts = Counter(a.verdict for a in mine)
        out = [a for a in mine if a.verdict == "ineligible"]
        open_ones = [a for a in mine if a.verdict == "indeterminate"]
        return Consort(
            trial_id=trial_id,
            assessed=len(mine),
            eligible=verdicts["eligible"],
            ineligible=verdicts["ineligible"],
            indeterminate=verdicts["indeterminate"],
            by_first=_counts(a.ids("fail")[:1] for a in out),
            by_any=_counts(a.ids("fail") for a in out),
            undecided=_counts(a.ids("indeterminate") for a in open_ones),
        )

    def to_table(self) -> pd.DataFrame:
        """Return one row per patient and trial: verdict, failed and undecided rules, what to ask for."""
        import pandas as pd

        columns = ["patient_id", "trial_id", "verdict", "failed", "undecided", "ask"]
        rows = [
            (a.patient_id, a.trial_id, a.verdict, "; ".join(a.ids("fail")), "; ".join(a.ids("indeterminate")),
             "; ".join(a.ask))
            for a in self.assessments
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def rules_table(self) -> pd.DataFrame:
        """Return one row per patient, trial and rule, with the reason."""
        import pandas as pd

        columns = ["patient_id", "trial_id", "rule_id", "kind", "verdict", "counted", "reason", "ask"]
        rows = [
            (a.patient_id, a.trial_id, r.id, r.kind, r.verdict, r.counted, r.reason, "; ".join(r.ask))
            for a in self.assessments
            for r in a.rules
        ]
        return pd.DataFrame(rows, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return the screening as a JSON-ready mapping."""
        return {
            "reference_date": self.reference_date.isoformat(),
            "trials": [
                {"id": t.id, "title": t.title, "phases": list(t.phases), "status": t.status, "verified": t.verified,
                 "transcription": t.transcription}
                for t in self.trials
            ],
            "consort": [self.consort(t.id).to_json() for t in self.trials],
            "patients": [a.to_json() for a in self.assessments],
            "notices": [n.to_json() for n in self.notices],
        }  # fmt: skip


def screen(
    patients: pd.DataFrame,
    trial_ids: Sequence[str],
    *,
    reference_date: date,
    log: NoticeLog,
    library: Mapping[str, Trial] | None = None,
) -> Screening:
    """Screen a patient list against trials.

    Parameters
    ----------
    patients : one row per patient with a column ``id`` (or ``patient_id``); other columns as in ``data/fields.toml``,
        with their unit as suffix (``lesion_size_mm``), in the header (``eGFR [mL/min/1.73m2]``) or in the cell
    trial_ids : NCT numbers; each once
    reference_date : date at which ages, windows and times since an event are taken
    log : notices on columns, cells and trials
    library : trials by NCT number; the shipped ones when None

    Raises
    ------
    InputError
        For an unknown trial, a missing or duplicated patient id, or no trial at all.
    StrictRefusal
        In strict mode, when a unit would have to be assumed.
    """
    if not trial_ids:
        raise InputError("screening", "trials", "none", "at least one NCT number")
    chosen = tuple(dict.fromkeys(trial(t, library=library) for t in trial_ids))
    day = reference_date.date() if isinstance(reference_date, datetime) else reference_date
    for one in chosen:
        _tell_about(one, day, log)
    asked = [f for t in chosen for r in (*universal_rules(), *t.rules) for f in r.fields]
    id_column = _id_column([str(c) for c in patients.columns])
    columns = column_map([str(c) for c in patients.columns], asked, log)
    plain = patients.set_axis([str(c) for c in patients.columns], axis=1).astype(object)
    rows: list[dict[str, Any]] = [
        {str(k): v for k, v in row.items()} for row in plain.where(plain.notna(), None).to_dict(orient="records")
    ]
    assessments = [
        assess(patient, one, day)
        for patient in (Patient(i, row, columns, log) for i, row in zip(_ids(rows, id_column), rows, strict=True))
        for one in chosen
    ]
    return Screening(reference_date=day, trials=chosen, assessments=tuple(assessments), notices=log.notices)


def assess(patient: Patient, one: Trial, reference_date: date) -> Assessment:
    """Return the verdict on one patient for one trial; see the module's docstring."""
    found = [
        _finding(prefix + rule.id, rule, patient, reference_date, counted=one.verified)
        for prefix, group in (("universal-", universal_rules()), ("", one.rules))
        for rule in group
        if rule.kind != "procedure"
    ]
    standing = _standing(one)
    rules = (*((standing,) if standing else ()), *found)
    counted = {f.verdict for f in rules if f.counted}
    verdict: Verdict = "eligible"
    if "fail" in counted:
        verdict = "ineligible"
    elif "indeterminate" in counted:
        verdict = "indeterminate"
    return Assessment(patient_id=patient.id, trial_id=one.id, verdict=verdict, rules=rules)


def _standing(one: Trial) -> RuleFinding | None:
    """What the trial itself leaves open: no public record, or criteria that nobody transcribed yet."""
    if not one.verified:
        reason = f"no public record of {one.id} is known: nothing is screened as if it were"
        ask = ("the registry record of the trial",)
        return RuleFinding(id="trial-verified", kind="trial", verdict="indeterminate", reason=reason, ask=ask)
    if one.transcription == "draft":
        reason = f"{len(one.to_transcribe)} criteria are text that no rule covers yet"
        ask = ("rules for the criteria text of the trial",)
        return RuleFinding(id="criteria-transcribed", kind="trial", verdict="indeterminate", reason=reason, ask=ask)
    return None


def _finding(rule_id: str, rule: Rule, patient: Patient, day: date, *, counted: bool) -> RuleFinding:
    finding: Finding = evaluate(rule, patient, day)
    counts = counted and rule.verified
    truth = finding.truth
    if truth is not None and rule.kind == "exclusion":
        truth = not truth
    verdict: RuleVerdict = "indeterminate" if truth is None else ("pass" if truth else "fail")
    reason = finding.reason if counts else f"{finding.reason} (unverified rule: shown, not counted)"
    return RuleFinding(id=rule_id, kind=rule.kind, verdict=verdict, reason=reason, ask=finding.ask, counted=counts)


def _tell_about(one: Trial, day: date, log: NoticeLog) -> None:
    if not one.verified:
        log.warning("TRIAL_UNVERIFIED", f"{one.id}: {one.note or 'no public record known'}", where=one.id)
        return
    if one.status in _CLOSED or (one.ended and one.ended < day.isoformat()):
        until = f", ended {one.ended}" if one.ended else ""
        log.warning("TRIAL_NOT_OPEN", f"{one.id} does not recruit: {one.status or 'ended'}{until}", where=one.id)
    elif one.status != "RECRUITING":
        log.info("TRIAL_STATUS", f"{one.id}: registered status is {one.status or 'not known'}", where=one.id)
    what = "a draft with age and sex only" if one.transcription == "draft" else "the key criteria only"
    log.info("TRIAL_PARTIAL_CRITERIA", f"{one.id}: the rules are {what}; the protocol decides", where=one.id)
    for rule in one.rules:
        if not rule.verified:
            message = f"{one.id}: rule {rule.id} ({describe(rule)}) is unverified: shown, not counted"
            log.warning("TRIAL_RULE_UNVERIFIED", message, where=one.id)


def _id_column(columns: Sequence[str]) -> str:
    found = [c for c in columns if c.strip().casefold().replace(" ", "_") in _ID_COLUMNS]
    if len(found) != 1:
        raise InputError("patient table", "columns", ", ".join(columns)[:200], "one column id, patient_id or patient")
    return found[0]


def _ids(rows: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        name = "" if row[column] is None else str(row[column]).strip()
        if not name:
            raise InputError(f"patient table, row {number}", column, row[column], "an identifier")
        if name in seen:
            raise InputError(
                f"patient table, row {number}", column, name, f"each patient once; also in row {seen[name]}"
            )
        seen[name] = number
    return list(seen)


def _counts(groups: Iterable[Sequence[str]]) -> dict[str, int]:
    return dict(Counter(rule_id for ids in groups for rule_id in ids))
