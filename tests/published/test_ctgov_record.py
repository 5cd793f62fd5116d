"""A real ClinicalTrials.gov API v2 record, NCT03275402 (131I-omburtamab), as the R package ctrdata stores it.

Expected values read by eye in the record; field names against the OpenAPI description, version 2.0.3.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fusin.provenance import NoticeLog
from fusin.trials import registry
from fusin.trials.registry import draft_trial, read_studies

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ctgov"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared registry record is not on this machine")


@pytest.fixture(scope="module")
def read():
    log = NoticeLog()
    return read_studies(FOLDER / "NCT03275402.json", log)[0], log


def test_facts_of_the_record(read):
    study, _ = read
    assert (study.nct_id, study.status, study.phases) == ("NCT03275402", "TERMINATED", ("PHASE2", "PHASE3"))
    assert (study.minimum_age, study.maximum_age, study.sex) == (None, (18, "years"), "ALL")


def test_criteria_are_split_at_both_heads(read):
    study, _ = read
    assert (len(study.criteria.inclusion), len(study.criteria.exclusion), study.criteria.unsplit) == (3, 5, ())
    assert study.criteria.inclusion[2] == "Patients must have a life expectancy of at least 3 months."
    assert study.criteria_text.startswith("Inclusion Criteria:\n\n* Patients must")


def test_keys_of_the_mirror_are_told_and_dropped(read):
    _, log = read
    assert [(n.code, n.raw) for n in log] == [
        ("TRIAL_KEY_FOREIGN", "ctrname"),
        ("TRIAL_KEY_FOREIGN", "record_last_import"),
    ]


def test_the_draft_knows_the_upper_age_only(read):
    draft = draft_trial(read[0])
    assert [(r.id, r.op, r.value) for r in draft.rules] == [("maximum-age", "<=", 18)]
    assert len(draft.to_transcribe) == 8


def test_status_and_phase_terms_are_those_of_the_openapi_description():
    text = (FOLDER / "ctg-oas-v2.yaml").read_text(encoding="utf-8")

    def enum(name):
        block = re.search(
            rf"^    {name}:\n      type: \"string\"\n      enum:\n((?:      - .*\n)+)", text, re.MULTILINE
        )
        return set(re.findall(r'- "(\w+)"', block.group(1)))

    assert enum("Status") == registry._STATUS
    assert enum("Phase") == registry._PHASES
