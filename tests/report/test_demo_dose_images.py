"""The images of the demonstration: doses, marrow and plan against what was planted."""

from __future__ import annotations

import json
import tomllib

import pytest

from fusin.dosimetry.digital_therapy_files import write_therapy_patient
from fusin.dosimetry.digital_therapy_patient import make_therapy_patient
from fusin.dosimetry.marrow_files import read_marrow_case
from fusin.dosimetry.planning import PlanOptions
from fusin.provenance import NoticeLog
from fusin.report.demo_dose_images import FOLDER, TRUTH_COLUMNS, run_part
from fusin.report.plan_report import plan_report


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder / FOLDER, run_part(folder)


@pytest.fixture(scope="module")
def truth(demo):
    return json.loads((demo[0] / "truth.json").read_text(encoding="utf-8"))


def test_the_page_compares_every_region_with_the_truth(demo, truth):
    output = demo[1]
    table = next(t for t in output.tables() if t.name == "doses-truth")
    assert list(table.frame["region"]) == [r["name"] for r in truth["regions"]]
    assert [c.name for c in TRUTH_COLUMNS] == list(table.frame.columns)
    assert table.frame["within"].dropna().all()
    assert any(s.startswith("Against the truth") for s in output.summary)


def test_organs_are_within_3_percent_of_the_truth(demo):
    rows = demo[1].document["doses"]["truth"]
    organs = [r for r in rows if r["kind"] == "organ"]
    assert len(organs) == 5
    assert max(abs(r["tia_difference_percent"]) for r in organs) < 3.0


def test_marrow_by_image_and_blood_holds_the_truth(demo, truth):
    """The chain of two verbs: vertebrae of the images and samples of blood to the dose of active marrow."""
    found = demo[1].document["marrow"]["dose_gy"]
    true = truth["marrow"]["self_dose_gy"]
    assert found["low"] <= true <= found["high"]
    assert found["value"] == pytest.approx(true, rel=0.1)


def test_the_marrow_case_holds_the_samples_of_the_blood(demo, truth):
    case = read_marrow_case(demo[0] / "marrow.toml")
    per_ml = case.blood.tia_mbq_h_per_g.value * 1.06
    assert per_ml == pytest.approx(truth["blood"]["tia_mbq_h_per_ml"], rel=0.06)
    assert case.regions[0].marrow_g.value == pytest.approx(truth["marrow"]["active_marrow_g"], rel=0.05)


def test_the_plan_from_images_names_the_organ_that_binds(demo, truth):
    options = PlanOptions(nuclides=("Lu-177",), target="lesion gluteal", draws=4000, seed=1)
    output = plan_report(demo[0] / "plan.toml", options=options, log=NoticeLog())
    found = output.document
    assert found["binding"].startswith(truth["plan"]["binding"])
    # A chance constraint of 5 % stays below the activity that would just reach the limit.
    allowed = truth["plan"]["activity_gbq"][truth["plan"]["binding"]]
    assert 0.6 * allowed < found["activity_gbq"]["Lu-177"]["value"] < allowed


def test_the_plan_states_limits_as_examples(demo):
    plan = tomllib.loads((demo[0] / "plan.toml").read_text(encoding="utf-8"))
    assert {limit["citation"] for limit in plan["limit"]} == {"example value, no advice"}


def test_dose_maps_are_among_the_files(demo):
    assert {"doses-dose.nii.gz", "doses-dose.dcm"} <= set(demo[1].files)


def test_the_patient_of_the_demonstration_is_that_of_its_seed(demo, tmp_path):
    again = write_therapy_patient(tmp_path, make_therapy_patient(seed=0))
    for path in again.spect:
        assert path.read_bytes() == (demo[0] / "images" / path.name).read_bytes()
