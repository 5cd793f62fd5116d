"""Screening from the outside: three verdicts with reasons, imports, and one sentence for each mistake."""

from __future__ import annotations

import json

import pytest

from fusin.report.demo_cohort import write_demo_tables

TRIAL, DAY = "NCT06125028", "2026-01-31"
RECORD = {
    "protocolSection": {
        "identificationModule": {"nctId": "NCT09999999", "briefTitle": "A trial of nothing"},
        "statusModule": {"overallStatus": "RECRUITING"},
        "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE2"]},
        "eligibilityModule": {
            "minimumAge": "18 Years", "sex": "ALL",
            "eligibilityCriteria": "Inclusion Criteria:\n\n* CXCR4 positive\n\nExclusion Criteria:\n\n* pregnancy",
        },
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screening")
    write_demo_tables(folder)
    return folder / "screening.csv"


def test_screening_is_three_valued_with_a_reason_for_each_rule(fusin, patients):
    ran = fusin("screen", patients, "--trial", TRIAL, "--reference-date", DAY, "--json")
    found = ran.document()["patients"]
    assert ran.code == 0
    assert {p["verdict"] for p in found} == {"eligible", "ineligible", "indeterminate"}
    assert all({"id", "verdict", "reason"} <= set(r) and r["reason"] for p in found for r in p["rules"])
    verdicts = {p["id"]: p["verdict"] for p in found}
    assert verdicts["S01"] == "eligible"
    assert verdicts["S03"] == "ineligible"
    assert verdicts["S05"] == "indeterminate"
    assert all(p["ask"] for p in found if p["verdict"] == "indeterminate")


def test_the_counts_of_the_flow_add_up(fusin, patients):
    arguments = ("--trial", TRIAL, "--trial", "NCT05364177", "--reference-date", DAY, "--json")
    found = fusin("screen", patients, *arguments).document()
    assert [c["trial"] for c in found["consort"]] == [TRIAL, "NCT05364177"]
    for count in found["consort"]:
        assert count["eligible"] + count["ineligible"] + count["indeterminate"] == count["assessed"] == 12
        assert sum(count["by_first"].values()) == count["ineligible"]


def test_today_is_an_assumption_that_strict_refuses(fusin, patients):
    ran = fusin("screen", patients, "--trial", TRIAL, "--json")
    assert "SCREENING_DATE_TODAY" in {n["code"] for n in ran.document()["notices"]}
    assert fusin("screen", patients, "--trial", TRIAL, "--strict").code == 3


def test_a_registry_record_is_imported_and_nobody_passes_its_draft(fusin, patients, tmp_path):
    record = tmp_path / "record.json"
    record.write_text(json.dumps(RECORD))
    out = tmp_path / "out"
    found = fusin("screen", patients, "--registry", record, "--reference-date", DAY, "--out", out, "--json").document()
    (imported,) = found["imported"]
    assert imported["id"] == "NCT09999999"
    assert "CXCR4 positive" in imported["criteria_text"]
    assert "eligible" not in {p["verdict"] for p in found["patients"]}
    assert "CXCR4 positive" in (out / "trials" / "NCT09999999.toml").read_text()


def test_an_import_needs_no_patients(fusin, tmp_path):
    record = tmp_path / "record.json"
    record.write_text(json.dumps(RECORD))
    found = fusin("screen", "--registry", record, "--json").document()
    assert found["patients"] == []
    assert found["imported"][0]["phases"] == ["PHASE2"]


def test_a_trial_of_ones_own_is_screened(fusin, patients, tmp_path):
    record = tmp_path / "record.json"
    record.write_text(json.dumps(RECORD))
    fusin("screen", "--registry", record, "--out", tmp_path / "out")
    own = tmp_path / "out" / "trials" / "NCT09999999.toml"
    found = fusin("screen", patients, "--trial-file", own, "--reference-date", DAY, "--json").document()
    assert [t["id"] for t in found["trials"]] == ["NCT09999999"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--trial", "NCT99"), "NCT99"),
        ((), "NCT number"),
        (("--trial", TRIAL, "--reference-date", "31.01.2026"), "ISO"),
        (("--registry", "nowhere.json"), "nowhere.json"),
    ],
)
def test_a_mistake_of_screen_is_one_sentence(fusin, patients, arguments, part):
    ran = fusin("screen", patients, *arguments)
    assert ran.code == 3
    assert part in ran.refusal


def test_broken_json_is_refused(fusin, tmp_path):
    (tmp_path / "record.json").write_text('{"protocolSection": ')
    ran = fusin("screen", "--registry", tmp_path / "record.json")
    assert (ran.code, "record.json" in ran.refusal) == (3, True)


def test_screening_nothing_is_refused(fusin):
    assert "--registry" in fusin("screen").refusal


def test_a_patient_twice_is_refused_with_its_rows(fusin, tmp_path):
    (tmp_path / "p.csv").write_text("id,sex\nA,f\nA,m\n")
    ran = fusin("screen", tmp_path / "p.csv", "--trial", TRIAL, "--reference-date", DAY)
    assert ran.code == 3
    assert "row 2" in ran.refusal
