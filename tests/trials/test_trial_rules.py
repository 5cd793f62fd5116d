"""Trial rules are data: complete, cited, consistent, and honest about what nobody verified."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from fusin.errors import InputError
from fusin.evidence.catalogue import all_records
from fusin.trials import rules
from fusin.trials.fields import diagnoses, field_spec, fields, find_diagnosis, normal
from fusin.trials.rules import Condition, load_trial, trial, trials, universal_rules

# Second transcription of the clinical sheet, section 8: phases, status, planned, number of rules
SECOND = {
    "NCT06125028": (("PHASE3",), "NOT_YET_RECRUITING", 148, 8),
    "NCT05222269": (("PHASE2",), "TERMINATED", 50, 8),
    "NCT06246357": (("PHASE2",), "", None, 4),
    "NCT05093335": ((), "", None, 0),
    "NCT04561492": ((), "", None, 0),
    "NCT03335670": (("EARLY_PHASE1",), "ACTIVE_NOT_RECRUITING", 30, 8),
    "NCT06356922": (("PHASE1", "PHASE2"), "RECRUITING", 21, 4),
    "NCT05364177": (("EARLY_PHASE1",), "UNKNOWN", 100, 1),
    "NCT03436342": (("EARLY_PHASE1",), "UNKNOWN", 100, 3),
    "NCT04504526": (("EARLY_PHASE1",), "UNKNOWN", 50, 1),
    "NCT05255926": (("NA",), "RECRUITING", 300, 1),
    "NCT06720207": ((), "NOT_YET_RECRUITING", 30, 1),
    "NCT07122674": ((), "RECRUITING", 100, 2),
    "NCT07027254": (("NA",), "RECRUITING", None, 2),
    "NCT06478875": (("PHASE2",), "NOT_YET_RECRUITING", 25, 2),
    "NCT06183554": ((), "RECRUITING", 60, 2),
    "NCT06773663": (("PHASE1", "PHASE2"), "RECRUITING", 150, 2),
    "NCT07350707": (("PHASE1", "PHASE2"), "RECRUITING", 160, 2),
}


def test_every_trial_of_the_sheet_is_there_and_agrees_with_a_second_transcription():
    assert set(trials()) == set(SECOND)
    for nct, expected in SECOND.items():
        one = trial(nct)
        assert (one.phases, one.status, one.planned, len(one.rules)) == expected, nct


def test_lymfor_is_phase_3_and_the_guides_phase_2_stands_beside_it():
    claim = next(c for c in trial("nct06125028").claims if c.field == "phase")
    assert (claim.claim, claim.registered, claim.verdict) == ("PHASE2", "PHASE3", "wrong")
    assert trial("NCT05222269").enrolled == 1


def test_trials_known_only_from_guides_are_unverified_and_have_no_rules():
    unverified = {t.id for t in trials().values() if not t.verified}
    assert unverified == {"NCT05093335", "NCT04561492"}
    assert all(not trial(nct).rules for nct in unverified)


def test_the_one_unverified_rule_is_the_glucose_claim():
    unverified = {(t.id, r.id) for t in trials().values() for r in t.rules if not r.verified}
    assert unverified == {("NCT06125028", "glucose")}


def test_every_rule_quotes_its_source_and_asks_for_known_fields():
    for rule in (*universal_rules(), *(r for t in trials().values() for r in t.rules)):
        assert rule.source_line
        assert set(rule.fields) <= set(fields())
    assert [r.id for r in universal_rules()] == ["pregnancy", "breastfeeding", "allergy"]


def test_renal_function_takes_either_of_two_quantities_each_with_its_own_unit():
    rule = next(r for r in trial("NCT06125028").rules if r.id == "renal-function")
    assert [(p.field, p.op, p.value, p.unit) for p in rule.parts] == [
        ("egfr", ">", 30, "mL/min/1.73m2"),
        ("creatinine_clearance", ">", 60, "mL/min"),
    ]


def test_enrolment_agrees_with_the_evidence_tables():
    facts = {r.id.removeprefix("trial-").upper(): r for r in all_records() if r.topic == "trial" and r.tag == "V"}
    for nct, record in facts.items():
        if "ENROLLED" not in nct:
            assert trial(nct).planned == record.value


def test_examples_of_the_module_hold():
    assert doctest.testmod(rules).failed == 0
    assert rules.trials() is trials()


def test_an_unknown_trial_is_refused_with_near_ones():
    with pytest.raises(InputError, match="NCT06125028"):
        trial("NCT06125029")


def test_diagnoses_form_a_hierarchy_without_circles_and_understand_spellings():
    assert find_diagnosis("MALT lymphoma").code == "EMZL"
    assert find_diagnosis("primary hyper-aldosteronism") is None
    assert find_diagnosis("Waldenstrom").is_a("haematologic_malignancy")
    assert not find_diagnosis("MM").is_a("lymphoma")
    names = [n for d in diagnoses().values() for n in {normal(t) for t in (d.code, d.name, *d.synonyms)}]
    assert len(names) == len(set(names))
    assert all(p in diagnoses() for d in diagnoses().values() for p in d.parents)


def test_glucose_conversion_is_that_of_its_molar_mass():
    # glucose 180.156 g/mol: 1 mmol/L = 18.0156 mg/dL; aldosterone 360.44 g/mol: 1 ng/dL = 27.74 pmol/L
    assert field_spec("glucose").factor("mmol/l") == pytest.approx(180.156 / 10)
    assert field_spec("aldosterone_renin_ratio").factor("(pmol/L)/(mU/L)") == pytest.approx(360.44 / 1e4, rel=1e-3)
    assert field_spec("egfr").factor("mL/min") is None
    assert field_spec("egfr").factor("ml / min / 1.73 m²") == 1.0


HEAD = '[trial]\nid = "NCT00000001"\ntitle = "x"\nverified = true\nsources = ["y"]\n'
RULE = '[[rule]]\nid = "a"\nfield = "age"\nop = ">="\nvalue = 18\nunit = "years"\nsource_line = "s"\nverified = true\n'
CHOICE = (
    RULE.replace('"age"', '"diagnosis"').replace(">=", "in").replace("18", '["MALT"]').replace('unit = "years"', "")
)


def test_a_trial_file_of_ones_own_is_read(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(HEAD + RULE, encoding="utf-8")
    assert load_trial(file).rules[0].value == 18


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + RULE + RULE, "each rule id once"),
        (HEAD + RULE.replace('"age"', '"agee"'), "agee"),
        (HEAD + RULE.replace('unit = "years"\n', ""), "age needs one of"),
        (HEAD + RULE.replace("18", '"18"'), "compares numbers"),
        (HEAD + RULE.replace('op = ">="', 'op = "any_of"'), "take conditions"),
        (HEAD.replace("true", "false") + RULE, "unverified trial"),
        (HEAD.replace('sources = ["y"]\n', ""), "names its sources"),
        (HEAD + RULE.replace('"age"', '"egfr"').replace("years", "mL/min"), "cannot be converted"),
        (HEAD + CHOICE, "no choice"),
        (HEAD + "[[rules]]\n", "only"),
        ("nonsense", "TOML"),
    ],
)
def test_an_invalid_trial_file_is_refused_with_the_reason(tmp_path: Path, text, complaint):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=complaint):
        load_trial(file)


def test_a_missing_trial_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="readable"):
        load_trial(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "bad",
    [
        {"op": "not", "value": ({"field": "allergy", "op": "==", "value": True},) * 2},
        {"field": "allergy", "op": "==", "value": "yes"},
        {"field": "age", "op": "between", "value": (18,), "unit": "years"},
        {"field": "age", "op": ">=", "value": 1.5, "unit": "years"},
        {"field": "fdg_pet_date", "op": "<=", "value": 14},
        {"field": "sex", "op": "in", "value": "male"},
        {"field": "age", "op": "any_of", "value": ({"field": "allergy", "op": "==", "value": True},)},
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="Condition"):
        Condition.model_validate(bad)
