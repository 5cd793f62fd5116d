"""Screening: verdicts with reasons, counts that add up, and nothing unverified that passes."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from fusin.errors import InputError
from fusin.provenance import NoticeLog, canonical_json
from fusin.trials.eligibility import screen
from fusin.trials.rules import Trial, trials

DAY = date(2024, 10, 1)
LYMFOR = {
    "id": "P1", "birth_date": "1960-05-05", "sex": "female", "childbearing_potential": "no", "breastfeeding": "no",
    "allergy": "no", "diagnosis": "splenic MZL", "diagnosis_basis": "biopsy", "prior_therapy": "no",
    "contraception": "yes", "egfr_ml_min_1_73m2": 45.0, "glucose_mg_dl": 110,
}  # fmt: skip


def run(rows, trial_ids=("NCT06125028",), log=None, **more):
    log = NoticeLog() if log is None else log
    return screen(pd.DataFrame(rows), trial_ids, reference_date=DAY, log=log, **more)


def verdict(**change):
    return run([{**LYMFOR, **change}]).assessments[0]


def test_a_patient_who_meets_every_counted_rule_is_eligible():
    assert verdict().verdict == "eligible"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"birth_date": "2007-01-01"}, "age"),
        ({"diagnosis": "DLBCL"}, "diagnosis"),
        ({"prior_therapy": "yes"}, "treatment-naive"),
        ({"allergy": "yes"}, "universal-allergy"),
        ({"breastfeeding": True}, "universal-breastfeeding"),
        ({"childbearing_potential": "yes", "pregnancy": "positive"}, "universal-pregnancy"),
        ({"diagnosis_basis": "clinical"}, "histology"),
    ],
)
def test_one_failing_rule_excludes_and_says_why(change, rule):
    found = verdict(**change)
    assert found.verdict == "ineligible"
    assert found.ids("fail")[0] == rule
    assert next(r for r in found.rules if r.id == rule).reason


@pytest.mark.parametrize("name", [k for k in LYMFOR if k not in ("id", "glucose_mg_dl", "contraception")])
def test_an_unknown_is_indeterminate_and_asked_for_never_a_pass(name):
    found = verdict(**{name: None})
    assert found.verdict in ("indeterminate", "eligible")
    if name == "sex":
        # the universal rules are settled without it: no pregnancy is possible, no breast-feeding is recorded
        assert found.verdict == "eligible"
    else:
        assert found.verdict == "indeterminate"
        assert found.ask


def test_a_failing_rule_outweighs_an_unknown_one():
    assert verdict(allergy="yes", diagnosis=None).verdict == "ineligible"


def test_men_are_not_asked_for_pregnancy():
    found = verdict(sex="m", childbearing_potential=None, breastfeeding=None)
    assert found.verdict == "eligible"


def test_renal_function_by_either_route():
    low = {"egfr_ml_min_1_73m2": 25}
    assert verdict(**low, crcl_ml_min=65).verdict == "eligible"
    assert verdict(**low, crcl_ml_min=60).verdict == "ineligible"
    assert verdict(**low).verdict == "indeterminate"
    assert "creatinine clearance, with its date" in verdict(**low).ask


def test_the_unverified_glucose_rule_is_shown_and_not_counted():
    found = verdict(glucose_mg_dl=400)
    rule = next(r for r in found.rules if r.id == "glucose")
    assert (found.verdict, rule.verdict, rule.counted) == ("eligible", "fail", False)
    assert "not counted" in rule.reason


def test_an_unverified_trial_is_never_screened_as_if_verified():
    log = NoticeLog()
    found = run([LYMFOR, {**LYMFOR, "id": "P2", "allergy": "yes"}], ["NCT05093335"], log)
    assert {a.verdict for a in found.assessments} == {"indeterminate"}
    assert "TRIAL_UNVERIFIED" in {n.code for n in log}
    assert found.consort("NCT05093335").undecided["trial-verified"] == 2


def test_allogeneic_transplantation_is_allowed_after_12_months_without_gvhd():
    cnsl = {
        "id": "a", "age_years": 60, "sex": "m", "allergy": "no", "diagnosis": "PCNSL", "diagnosis_basis": "csf",
        "disease_site": "CNS only", "measurable_disease": "yes", "prior_therapy": "no",
        "planned_regimen": "HD-MTX based", "allo_sct_date": "never",
    }  # fmt: skip
    rows = [
        cnsl,
        {**cnsl, "id": "b", "allo_sct_date": "2023-09-30", "gvhd": "no", "immunosuppression": "no"},
        {**cnsl, "id": "c", "allo_sct_date": "2023-10-01", "gvhd": "no", "immunosuppression": "no"},
        {**cnsl, "id": "d", "allo_sct_date": "2023-01-01", "gvhd": "yes", "immunosuppression": "no"},
        {**cnsl, "id": "e", "allo_sct_date": "2023-01-01", "gvhd": "no"},
    ]
    found = run(rows, ["NCT05222269"])
    assert [a.verdict for a in found.assessments] == [
        "eligible", "eligible", "ineligible", "ineligible", "indeterminate",
    ]  # fmt: skip


def test_hypertension_by_any_of_its_three_roads():
    base = {"id": "a", "sex": "m", "allergy": "no", "arr": "2.5 (ng/dL)/(mU/L)", "systolic_bp": 130, "diastolic_bp": 80}
    rows = [
        {**base, "antihypertensive_drugs": 1, "hypokalaemia": "no"},
        {**base, "id": "b", "systolic_bp": 145, "antihypertensive_drugs": 3},
        {**base, "id": "c", "hypokalaemia": "yes"},
        {**base, "id": "d", "diastolic_bp": 101},
        {**base, "id": "e", "systolic_bp": 145, "antihypertensive_drugs": 2, "hypokalaemia": "no"},
        {**base, "id": "f", "hypokalaemia": "yes", "arr": "60 (pmol/L)/(mU/L)"},
    ]
    found = run(rows, ["NCT06183554"])
    assert [a.verdict for a in found.assessments] == [
        "ineligible", "eligible", "eligible", "eligible", "ineligible", "eligible",
    ]  # fmt: skip


def test_consort_counts_add_up_and_name_the_first_and_every_failing_rule():
    rows = [
        LYMFOR,
        {**LYMFOR, "id": "P2", "birth_date": "2010-01-01", "prior_therapy": "yes"},
        {**LYMFOR, "id": "P3", "prior_therapy": "yes"},
        {**LYMFOR, "id": "P4", "diagnosis": None},
    ]
    counts = run(rows).consort("NCT06125028")
    assert (counts.assessed, counts.eligible, counts.ineligible, counts.indeterminate) == (4, 1, 2, 1)
    assert counts.by_first == {"age": 1, "treatment-naive": 1}
    assert counts.by_any == {"age": 1, "treatment-naive": 2}
    assert counts.undecided == {"diagnosis": 1}
    assert sum(counts.by_first.values()) == counts.ineligible


def test_json_follows_the_contract_and_names_the_trial():
    found = run([LYMFOR], ["NCT06125028", "NCT04504526"]).to_json()
    assert [(p["id"], p["trial"], p["verdict"]) for p in found["patients"]] == [
        ("P1", "NCT06125028", "eligible"),
        ("P1", "NCT04504526", "eligible"),
    ]
    assert {"id", "verdict", "reason"} <= set(found["patients"][0]["rules"][0])
    assert canonical_json(found) == canonical_json(run([LYMFOR], ["NCT06125028", "NCT04504526"]).to_json())


def test_tables_have_one_row_per_patient_and_per_rule():
    found = run([LYMFOR])
    assert found.to_table().loc[0, "verdict"] == "eligible"
    assert len(found.rules_table()) == 3 + 8


def test_the_order_of_rows_and_of_columns_changes_nothing():
    rows = [LYMFOR, {**LYMFOR, "id": "P2", "diagnosis": "MM"}, {**LYMFOR, "id": "P3", "allergy": None}]
    forth = {a.patient_id: a.verdict for a in run(rows).assessments}
    table = pd.DataFrame(rows).iloc[::-1, ::-1]
    back = screen(table, ["NCT06125028"], reference_date=DAY, log=NoticeLog())
    assert forth == {a.patient_id: a.verdict for a in back.assessments}


def test_missing_values_of_every_kind_are_unknown():
    for hole in (None, np.nan, pd.NA, pd.NaT, "", "n/a"):
        table = pd.DataFrame([LYMFOR]).astype(object)
        table.loc[0, "diagnosis"] = hole
        found = screen(table, ["NCT06125028"], reference_date=datetime(2024, 10, 1), log=NoticeLog())
        assert found.assessments[0].verdict == "indeterminate"


def test_a_closed_trial_and_partial_criteria_are_told():
    log = NoticeLog()
    run([LYMFOR], ["NCT05222269", "NCT06246357"], log)
    codes = {n.code for n in log}
    assert {"TRIAL_NOT_OPEN", "TRIAL_PARTIAL_CRITERIA", "TRIAL_STATUS", "TRIAL_COLUMN_MISSING"} <= codes


@pytest.mark.parametrize(
    ("rows", "ids", "complaint"),
    [
        ([LYMFOR, LYMFOR], ["NCT06125028"], "row 2"),
        ([{**LYMFOR, "id": None}], ["NCT06125028"], "row 1"),
        ([{"name": "x"}], ["NCT06125028"], "one column id"),
        ([LYMFOR], [], "at least one"),
        ([LYMFOR], ["NCT99999999"], "one of"),
    ],
)
def test_a_list_that_cannot_be_screened_is_refused(rows, ids, complaint):
    with pytest.raises(InputError, match=complaint):
        run(rows, ids)


def test_a_trial_of_ones_own_can_be_injected():
    mine = Trial(id="NCT00000001", title="x", verified=True, sources=("y",))
    found = run([LYMFOR], ["NCT00000001"], library={"NCT00000001": mine})
    assert found.assessments[0].verdict == "eligible"


def test_five_hundred_patients_are_assessed_in_every_trial():
    rows = [{**LYMFOR, "id": f"P{i}"} for i in range(500)]
    found = run(rows, list(trials()))
    assert len(found.assessments) == 500 * 18
