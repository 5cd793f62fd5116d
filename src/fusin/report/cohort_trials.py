"""Screening for trials: from a patient list and rules to verdicts with reasons, counts and one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.tabular.files import load
from fusin.trials.eligibility import Screening, screen
from fusin.trials.registry import RegistryStudy, Transport, draft_toml, draft_trial, fetch_study, read_studies
from fusin.trials.rules import Trial, load_trial, trials

__all__ = ["ScreenOptions", "screen_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenOptions:
    """What to screen for.

    Attributes
    ----------
    trials : NCT numbers; with none, the imported and own trials
    reference_date : date of ages and windows; None takes ``today`` with a notice
    registry : JSON files of ClinicalTrials.gov (API v2), or NCT numbers to fetch
    own : trial files of one's own
    """

    trials: tuple[str, ...] = ()
    reference_date: date | None = None
    registry: tuple[str, ...] = ()
    own: tuple[Path, ...] = ()


def screen_report(
    patients: Path | None,
    *,
    options: ScreenOptions,
    today: date,
    log: NoticeLog,
    transport: Transport | None = None,
) -> JobOutput:
    """Import registry records, and screen a patient list where there is one.

    Parameters
    ----------
    patients : table with one row per patient; None only imports
    today : taken as reference date when none is given
    transport : how a record is fetched; the network when None

    Raises
    ------
    InputError
        For neither a patient table nor a record, an unknown trial, or a table that cannot be used.
    """
    studies = [s for source in options.registry for s in _studies(source, log, transport)]
    own = [load_trial(path) for path in options.own]
    if patients is None and not studies:
        raise InputError("screening", "patient table", "none", "a patient table, or --registry with a record to import")
    sections = [_registry_section(studies)] if studies else []
    files = {f"trials/{s.nct_id}.toml": draft_toml(s) for s in studies}
    document: dict[str, Any] = {"patients": [], "imported": [_imported(s) for s in studies]}
    inputs = [
        *([patients] if patients else []),
        *(Path(s) for s in options.registry if Path(s).is_file()),
        *options.own,
    ]
    summary = tuple(
        f"{s.nct_id} imported: {s.title} ({len(s.criteria.items)} criteria to transcribe)." for s in studies
    )
    day = options.reference_date
    if patients is not None:
        day = day or _today(today, log)
        library: Mapping[str, Trial] = {
            **trials(),
            **{d.id: d for d in map(draft_trial, studies)},
            **{t.id: t for t in own},
        }
        wanted = options.trials or tuple(dict.fromkeys([*(s.nct_id for s in studies), *(t.id for t in own)]))
        frame, _ = load(patients, ("id", "patient_id", "patient", "birth_date", "diagnosis"), "")
        found = screen(frame, wanted, reference_date=day, log=log, library=library)
        sections = [*_screening_sections(found), *sections]
        document |= found.to_json()
        summary = (*_counts(found), *summary)
    parameters = {"trials": options.trials, "reference_date": day, "registry": [Path(r).name for r in options.registry]}
    return JobOutput(
        title="Screening for trials", document=document, sections=tuple(sections), summary=summary, notices=log.notices,
        provenance=provenance_of(inputs, parameters), files=files,
    )  # fmt: skip


def _today(today: date, log: NoticeLog) -> date:
    log.adapted(
        "SCREENING_DATE_TODAY",
        f"no reference date was given: ages and windows are those of {today.isoformat()}",
        where="screening",
        used=today.isoformat(),
    )
    return today


def _studies(source: str, log: NoticeLog, transport: Transport | None) -> Sequence[RegistryStudy]:
    if source.strip().upper().startswith("NCT") and not Path(source).exists():
        return [fetch_study(source, log, transport=transport)]
    return read_studies(Path(source), log)


def _imported(study: RegistryStudy) -> dict[str, Any]:
    return {
        "id": study.nct_id,
        "title": study.title,
        "phases": list(study.phases),
        "status": study.status,
        "criteria_text": study.criteria_text,
        "to_transcribe": list(study.criteria.items),
    }


def _counts(found: Screening) -> tuple[str, ...]:
    lines = []
    for trial in found.trials:
        c = found.consort(trial.id)
        lines.append(
            f"{trial.id}: {c.assessed} assessed, {c.eligible} eligible, {c.ineligible} ineligible, "
            f"{c.indeterminate} indeterminate at {found.reference_date.isoformat()}."
        )
    return tuple(lines)


def _screening_sections(found: Screening) -> list[JobSection]:
    import pandas as pd

    consorts = [found.consort(t.id) for t in found.trials]
    counts = [
        {"trial": c.trial_id, "assessed": c.assessed, "eligible": c.eligible, "ineligible": c.ineligible,
         "indeterminate": c.indeterminate}
        for c in consorts
    ]  # fmt: skip
    reasons = [
        {"trial": c.trial_id, "rule": rule, "first_to_fail": c.by_first.get(rule, 0), "fails": c.by_any.get(rule, 0),
         "undecided": c.undecided.get(rule, 0)}
        for c in consorts
        for rule in dict.fromkeys([*c.by_any, *c.undecided])
    ]  # fmt: skip
    columns = ["trial", "rule", "first_to_fail", "fails", "undecided"]
    flow = JobSection(
        name="flow", title="Flow of patients",
        text=(*_counts(found), "The rules are key criteria of public records; the protocol decides."),
        tables=(
            JobTable(name="consort", title="Verdicts", frame=pd.DataFrame(counts)),
            JobTable(name="reasons", title="Reasons", frame=pd.DataFrame(reasons, columns=columns)),
        ),
    )  # fmt: skip
    patients = JobSection(
        name="patients", title="Patients",
        text=("An unknown is never a pass: the last column says what to ask for.",),
        tables=(
            JobTable(name="screening", title="Verdicts by patient", frame=found.to_table()),
            JobTable(name="screening-rules", title="Every rule", frame=found.rules_table(), on_page=False),
        ),
    )  # fmt: skip
    return [flow, patients]


def _registry_section(studies: Sequence[RegistryStudy]) -> JobSection:
    import pandas as pd

    rows = [
        {"trial": s.nct_id, "title": s.title, "phases": ", ".join(s.phases), "status": s.status,
         "criteria_to_transcribe": len(s.criteria.items)}
        for s in studies
    ]  # fmt: skip
    criteria = [{"trial": s.nct_id, "criterion": item} for s in studies for item in s.criteria.items]
    text = (
        "Only age and sex are structured in the registry; no patient is eligible before a person transcribed the rest."
    )
    tables = [JobTable(name="imported", title="Imported records", frame=pd.DataFrame(rows))]
    if criteria:
        tables.append(JobTable(name="criteria", title="Criteria as registered", frame=pd.DataFrame(criteria)))
    return JobSection(name="registry", title="Registry records", text=(text,), tables=tuple(tables))
