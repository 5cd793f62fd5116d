"""Cases of a body from TOML and options: what is understood, and one sentence for what is not."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog
from fusin.receptor.pbpk_case import body_case, read_body_case

GIVEN = {"nuclide": "Ga-68", "activity_mbq": 150.0, "peptide_nmol": 30.0}


def case(**fields):
    return body_case({"given": GIVEN, **fields}, "case.toml", log=NoticeLog())


def test_a_scan_has_the_questions_and_times_of_a_scan():
    found = case()
    assert (found.ligand, found.until_h, found.at_min, found.measure, found.ask) == (
        "pentixafor",
        2.0,
        60.0,
        "suv",
        ("mass", "sink"),
    )
    assert found.tumours[0].volume_ml == 10.0


def test_a_therapy_has_those_of_a_therapy():
    found = case(given={"nuclide": "177Lu", "activity_mbq": 7400, "peptide_ug": 250, "molar_mass_g_mol": 1500})
    assert (found.nuclide, found.until_h, found.at_min, found.measure) == ("Lu-177", 336.0, 1440.0, "tia")
    assert "amount" in found.ask
    assert found.given[0].peptide_nmol == pytest.approx(250 / 1500 * 1000)


def test_options_replace_fields_and_another_unit_of_peptide():
    document = {"given": GIVEN, "body": {"kd_nm": 5.0, "weight_kg": 60}}
    overrides = {"given": {"peptide_ug": 36.0, "molar_mass_g_mol": 1200.0}, "body": {"kd_nm": [1.0, 4.0]}}
    found = body_case(document, "case.toml", overrides=overrides, log=NoticeLog())
    assert found.given[0].peptide_nmol == pytest.approx(30.0)
    assert found.stated == {"kd_nm": (1.0, 4.0), "weight_kg": (60.0, 60.0)}


def test_a_drug_without_hours_is_asked_about_and_not_on_board():
    found = case(drug=[{"name": "plerixafor"}])
    assert "drug" in found.ask
    assert found.competition() == ()
    assert len(case(drug=[{"name": "plerixafor", "hours_before": 4}]).competition()) == 1


def test_notices_tell_what_was_taken():
    log = NoticeLog()
    body_case({"given": GIVEN, "body": {"reabsorbed": 0.1, "k_int_per_min": 0.5}}, "case.toml", log=log)
    assert {n.code for n in log} == {"CALIBRATED_NUMBER_STATED", "BODY_NUMBER_UNUSUAL", "REFERENCE_LESION_USED"}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"given": {}}, "nuclide"),
        ({"given": {"nuclide": "Xx-1", "activity_mbq": 1, "peptide_nmol": 1}}, "nuclide"),
        ({"given": {"nuclide": "Ga-68", "activity_mbq": 1}}, "peptide_nmol"),
        ({"given": {"nuclide": "Ga-68", "peptide_nmol": 1}}, "activity_mbq"),
        ({"given": {**GIVEN, "peptide_ug": 3}}, "both amounts"),
        ({"given": {**GIVEN, "activity_mbq": -1}}, "activity_mbq"),
        ({"given": {**GIVEN, "activity_mbq": 0}}, "activity_mbq"),
        ({"given": {**GIVEN, "activity": 1}}, "activity_mbq"),
        ({"given": {**GIVEN, "peptide_nmol": 1e-6}}, "labelled molecules"),
        ({"given": []}, "given"),
        ({"given": [GIVEN, {**GIVEN, "nuclide": "Lu-177", "time_min": 9}]}, "one nuclide"),
        ({"given": {**GIVEN, "time_min": 5}}, "time_min"),
        ({"ligand": "octreotide"}, "pentixafor"),
        ({"body": {"kd": 1}}, "kd_nm"),
        ({"body": {"kd_nm": 0}}, "kd_nm"),
        ({"body": {"kd_nm": [5, 1]}}, "kd_nm"),
        ({"body": {"hematocrit": 45}}, "hematocrit"),
        ({"body": {"gfr_l_min": [0.05, 0.1]}}, "one number"),
        ({"body": {"receptor_spleen_nm": [1, 5]}}, "one number"),
        ({"body": 3}, "table"),
        ({"tumour": {"volume_ml": 1}}, "list"),
        ({"tumour": [{"name": "a"}]}, "volume_ml"),
        ({"tumour": [{"volume_ml": 0}]}, "volume_ml"),
        ({"tumour": [{"name": "spleen", "volume_ml": 5}]}, "name"),
        ({"tumour": [{"name": "a", "volume_ml": 5}, {"name": "a", "volume_ml": 6}]}, "differ"),
        ({"drug": [{"name": "aspirin"}]}, "plerixafor"),
        ({"cxcl12": {"free_nm": 1}}, "ki_nm"),
        ({"limits_gy": {"brain": 3}}, "kidneys"),
        ({"limits_gy": {"kidneys": 0}}, "kidneys"),
        ({"ask": "everything"}, "mass"),
        ({"ask": ["amount"]}, "therapeutic"),
        ({"measure": "dose"}, "suv or tia"),
        ({"until_h": 0}, "until_h"),
        ({"at_min": 500}, "at_min"),
        ({"tumor": []}, "tumour"),
    ],
)  # fmt: skip
def test_a_case_that_cannot_be_used_gets_one_sentence(fields, word):
    with pytest.raises(InputError) as refused:
        case(**fields)
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text("given = [", encoding="utf-8")
    with pytest.raises(InputError, match="TOML"):
        read_body_case(path, log=NoticeLog())


KEYS = st.sampled_from(["name", "volume_ml", "nuclide", "free_nm", "kd_nm"])
TOP = st.sampled_from(
    ["ligand", "given", "body", "tumour", "drug", "cxcl12", "limits_gy", "ask", "measure", "until_h", "at_min"]
)
PLAIN = st.none() | st.booleans() | st.integers(-5, 500) | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


@settings(max_examples=150, deadline=None)
@drawn(st.dictionaries(TOP, VALUES))
def test_no_document_ends_in_a_traceback(document):
    said = ""
    try:
        body_case({"given": GIVEN, **document}, "case.toml", log=NoticeLog())
    except FusinError as err:
        said = str(err)
    assert "\n" not in said
