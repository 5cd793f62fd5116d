"""Registry import: a real v2 record, the traps of mirrors and of the old API, and drafts that admit what they lack."""

from __future__ import annotations

import copy
import json
from datetime import date
from email.message import Message
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError, URLError

import pandas as pd
import pytest

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.trials.eligibility import screen
from fusin.trials.registry import API, draft_toml, draft_trial, fetch_study, read_studies
from fusin.trials.rules import load_trial

RECORD = {
    "protocolSection": {
        "identificationModule": {
            "nctId": "NCT00000001", "briefTitle": "A trial", "acronym": "AT", "orgStudyIdInfo": {"id": "X-1"},
            "secondaryIdInfos": [{"id": "2022-1", "type": "EUDRACT_NUMBER"}],
        },
        "statusModule": {
            "overallStatus": "RECRUITING", "startDateStruct": {"date": "2024-01"}, "statusVerifiedDate": "2024-02",
        },
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "Somebody", "class": "OTHER"}},
        "designModule": {
            "studyType": "INTERVENTIONAL", "phases": ["PHASE1", "PHASE2"],
            "enrollmentInfo": {"count": 21, "type": "ESTIMATED"},
        },
        "eligibilityModule": {
            "eligibilityCriteria": "Inclusion Criteria:\n\n* \\[68Ga\\] PET, SUV \\> 3\n\nExclusion Criteria:\n\n* Pregnancy",
            "sex": "FEMALE", "minimumAge": "6 Months", "maximumAge": "80 Years",
        },
    },
    "hasResults": False,
}  # fmt: skip


def record(**modules):
    made = copy.deepcopy(RECORD)
    for name, change in modules.items():
        made["protocolSection"][name].update(change)
    return made


def one(data, log=None):
    return read_studies(data, NoticeLog() if log is None else log)[0]


def test_facts_and_verbatim_text_are_kept():
    study = one(RECORD)
    assert (study.nct_id, study.phases, study.status, study.planned, study.enrolled) == (
        "NCT00000001", ("PHASE1", "PHASE2"), "RECRUITING", 21, None,
    )  # fmt: skip
    assert study.codes == ("X-1", "2022-1")
    assert (study.minimum_age, study.maximum_age, study.sex) == ((6, "months"), (80, "years"), "FEMALE")
    assert study.criteria_text == RECORD["protocolSection"]["eligibilityModule"]["eligibilityCriteria"]
    assert study.criteria.inclusion == ("[68Ga] PET, SUV > 3",)


def test_a_list_answer_and_a_file_are_read(tmp_path: Path):
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({"studies": [RECORD, RECORD], "totalCount": 2}), encoding="utf-8")
    assert len(read_studies(file, NoticeLog())) == 2


def test_an_observational_study_has_no_phases_and_no_doubt():
    log = NoticeLog()
    data = record(designModule={"studyType": "OBSERVATIONAL"})
    del data["protocolSection"]["designModule"]["phases"]
    assert one(data, log).phases == ()
    assert not list(log)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({**RECORD, "ctrname": "CTGOV2"}, "TRIAL_KEY_FOREIGN"),
        (record(statusModule={"overallStatus": "Not yet recruiting"}), "TRIAL_STATUS_SPELLING"),
        (record(statusModule={"overallStatus": "Active"}), "TRIAL_STATUS_UNKNOWN"),
        (record(designModule={"phases": []}), "TRIAL_PHASE_MISSING"),
        (record(eligibilityModule={"minimumAge": "18"}), "TRIAL_AGE_UNREADABLE"),
        (record(eligibilityModule={"eligibilityCriteria": "Inclusion Criteria: age = 18"}), "TRIAL_OPERATOR_LOST"),
    ],
)
def test_traps_are_told(data, code):
    log = NoticeLog()
    one(data, log)
    assert [n.code for n in log] == [code]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"FullStudiesResponse": {}}, "old API v1"),
        ({"ProtocolSection": {"EligibilityModule": {"Gender": "All"}}}, "old API v1"),
        ({"Study": {"ProtocolSection": {}}}, "old API v1"),
        ({"something": 1}, "protocolSection"),
        ([1], "an object"),
        ({"studies": []}, "at least one"),
        (record(identificationModule={"nctId": "X"}), "8 digits"),
        (record(designModule={"phases": ["Phase 2"]}), "PHASE2"),
    ],
)
def test_what_is_no_v2_record_is_refused_with_a_sentence(data, complaint):
    with pytest.raises(InputError, match=complaint):
        one(data)


def test_an_unreadable_file_is_refused(tmp_path: Path):
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="readable JSON"):
        read_studies(tmp_path / "a.json", NoticeLog())


def test_fetching_asks_the_registry_by_number_through_the_transport():
    asked = []

    def transport(url):
        asked.append(url)
        return json.dumps(RECORD).encode()

    assert fetch_study("nct00000001", NoticeLog(), transport=transport).title == "A trial"
    assert asked == [API + "NCT00000001?format=json"]


def test_an_alias_is_told():
    log = NoticeLog()
    fetch_study("NCT00000002", log, transport=lambda _: json.dumps(RECORD).encode())
    assert [n.code for n in log] == ["TRIAL_ID_REDIRECTED"]


def test_what_cannot_be_fetched_is_refused():
    with pytest.raises(InputError, match="8 digits"):
        fetch_study("NCT1", NoticeLog(), transport=lambda _: b"")
    with pytest.raises(InputError, match="JSON of"):
        fetch_study("NCT00000001", NoticeLog(), transport=lambda _: b"<html>")

    def unreachable(url):
        raise NotComputable("the registry record", url, "a network")

    with pytest.raises(NotComputable):
        fetch_study("NCT00000001", NoticeLog(), transport=unreachable)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (HTTPError(API, 404, "no", Message(), None), "answered 404"),
        (URLError("no route"), "no route"),
        (TimeoutError("slow"), "slow"),
    ],
)
def test_a_registry_that_does_not_answer_is_a_sentence(monkeypatch, failure, words):
    def urlopen(request, timeout):
        assert (request.full_url, timeout) == (API + "NCT00000001?format=json", 30)
        raise failure

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(NotComputable, match=words):
        fetch_study("NCT00000001", NoticeLog())


def test_the_default_transport_reads_the_body(monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda request, timeout: BytesIO(json.dumps(RECORD).encode()))
    assert fetch_study("NCT00000001", NoticeLog()).nct_id == "NCT00000001"


def test_a_draft_has_rules_for_age_and_sex_only_and_never_finds_anybody_eligible():
    draft = draft_trial(one(RECORD))
    assert [(r.id, r.op, r.value, r.unit) for r in draft.rules] == [
        ("minimum-age", ">=", 6, "months"), ("maximum-age", "<=", 80, "years"), ("sex", "==", "female", ""),
    ]  # fmt: skip
    assert draft.to_transcribe == ("inclusion: [68Ga] PET, SUV > 3", "exclusion: Pregnancy")
    rows = pd.DataFrame(
        [
            {"id": "a", "age_years": 30, "sex": "f", "pregnancy": "no", "breastfeeding": "no", "allergy": "no"},
            {"id": "b", "age_years": 81, "sex": "f", "pregnancy": "no", "breastfeeding": "no", "allergy": "no"},
        ]
    )
    found = screen(rows, [draft.id], reference_date=date(2024, 1, 1), log=NoticeLog(), library={draft.id: draft})
    assert [a.verdict for a in found.assessments] == ["indeterminate", "ineligible"]


def test_a_draft_file_reads_back_as_the_same_trial(tmp_path: Path):
    study = one(record(identificationModule={"briefTitle": 'Tab\t"quotes" \\ é'}))
    file = tmp_path / "draft.toml"
    file.write_text(draft_toml(study), encoding="utf-8")
    assert load_trial(file) == draft_trial(study)
    assert "# * [68Ga] PET, SUV > 3" in file.read_text(encoding="utf-8")
