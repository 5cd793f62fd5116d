"""The cohort of the demonstration: made-up tables, and what the verbs of the cohort make of them on one page."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

from fusin.cohort.detection import detection_rates
from fusin.cohort.synthetic import CohortDesign, make_cohort
from fusin.cohort.tables import FINDINGS
from fusin.evidence.query import Added
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.quantification.study import Stage, silent
from fusin.report.cohort_accuracy import AccuracyOptions, accuracy_of_table
from fusin.report.cohort_compare import CompareOptions, compare_tables
from fusin.report.cohort_evidence import EvidenceQuery, check_claims, evidence_report
from fusin.report.cohort_outcome import OutcomeInputs, OutcomeOptions, outcome_report
from fusin.report.cohort_subtype import SubtypeInputs, SubtypeOptions, subtype_report
from fusin.report.cohort_trials import ScreenOptions, screen_report
from fusin.report.demo_tables import CLAIMS, PAIRED, STUDIES, demo_tables
from fusin.report.job_output import JobOutput, joined, write_job
from fusin.report.table_text import csv_text
from fusin.tabular.schema import read_table

__all__ = ["run_cohort_demo", "write_demo_tables"]

_TRIAL, _DAY = "NCT06125028", dt.date(2026, 1, 31)
_STAGE = "the cohort"


def write_demo_tables(folder: Path, *, seed: int = 0) -> None:
    """Write the tables of a made-up cohort (CSV) and published claims (TOML) into a folder."""
    cohort = make_cohort(CohortDesign(), seed=seed)
    texts = {f"{name}.csv": csv_text(frame) for name, frame in demo_tables(cohort).items()}
    texts |= {"claims.toml": CLAIMS, "luo2019.csv": PAIRED, "studies.csv": STUDIES}
    for name, text in texts.items():
        write_bytes_atomically(folder / name, text.encode("utf-8"))


def run_cohort_demo(folder: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Make a cohort, read its tables like any other, and write tables, figures and one page.

    Parameters
    ----------
    folder : receives the tables of the cohort, ``report.html``, ``results.json``, ``tables`` and ``figures``
    seed : of the cohort
    progress : called with (stage, done, total)
    """
    write_demo_tables(folder, seed=seed)
    steps = {
        "compare": _compared,
        "repeat": _repeated,
        "accuracy": _accurate,
        "studies": _studies,
        "subtype": _subtyped,
        "outcome": _outcome,
        "screen": _screened,
        "evidence": _published,
        "check": _checked,
    }
    outputs: dict[str, JobOutput] = {}
    for number, (name, step) in enumerate(steps.items()):
        progress(_STAGE, number, len(steps) + 1)
        outputs[name] = step(folder)
    output = joined("A made-up cohort with known truth", outputs)
    write_job(output, folder)
    progress(_STAGE, len(steps) + 1, len(steps) + 1)
    return output


def _compared(folder: Path) -> JobOutput:
    options = CompareOptions(first="CXCR4", second="FDG", by=("grade",), ihc=folder / "ihc.csv")
    return compare_tables([folder / "findings.csv"], options=options, log=NoticeLog())


def _repeated(folder: Path) -> JobOutput:
    options = CompareOptions(first="scan 1", second="scan 2", agreement="suv_max")
    output = compare_tables([folder / "repeated_scans.csv"], options=options, log=NoticeLog())
    kept = tuple(s for s in output.sections if s.name == "agreement")
    return replace(output, title="Repeated scans", sections=kept)


def _accurate(folder: Path) -> JobOutput:
    options = AccuracyOptions(test="CXCR4 PET", reference="histology and follow-up", cut_offs=(4.0,))
    return accuracy_of_table(folder / "accuracy.csv", options=options, log=NoticeLog())


def _studies(folder: Path) -> JobOutput:
    options = AccuracyOptions(reference="vein sampling or histology")
    return accuracy_of_table(folder / "studies.csv", options=options, log=NoticeLog())


def _subtyped(folder: Path) -> JobOutput:
    inputs = SubtypeInputs(
        pet=folder / "adrenal_pet.csv",
        avs=folder / "avs.csv",
        verdicts=folder / "ct_verdicts.csv",
        paso=folder / "surgery.csv",
    )
    return subtype_report(inputs, options=SubtypeOptions(selectivity="avs-si-basal-2"), log=NoticeLog())


def _outcome(folder: Path) -> JobOutput:
    inputs = OutcomeInputs(
        follow_up=folder / "follow_up.csv", response=folder / "response.csv", toxicity=folder / "toxicity.csv"
    )
    options = OutcomeOptions(
        markers=("suv_max",), cut="median", repeatability={"suv_peak": (-20.0, 25.0)}, cross=("lugano", "percist")
    )
    return outcome_report(inputs, options=options, log=NoticeLog())


def _screened(folder: Path) -> JobOutput:
    options = ScreenOptions(trials=(_TRIAL,), reference_date=_DAY)
    return screen_report(folder / "screening.csv", options=options, today=_DAY, log=NoticeLog())


def _published(folder: Path) -> JobOutput:
    findings = read_table(folder / "findings.csv", FINDINGS, NoticeLog())
    own = detection_rates(findings, NoticeLog(), units=("patient",)).rate("CXCR4", unit="patient").rate
    added = Added(label="this made-up cohort", k=own.k or 0, n=own.n, entity="this cohort", tracer="CXCR4")
    asked = EvidenceQuery(
        forest="detection", per="patient", metric="positive patients", added=(added,), discrepancies=True
    )
    return evidence_report(asked, log=NoticeLog())


def _checked(folder: Path) -> JobOutput:
    return check_claims(folder / "claims.toml", tolerance=0.1, log=NoticeLog())
