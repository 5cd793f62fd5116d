"""The demonstration finds what it planted, and touches nothing that it did not make."""

from __future__ import annotations

import json

import pytest

from fusin.errors import InputError
from fusin.imaging.phantom import make_patient
from fusin.report.demo import MARKER, compare_with_truth, run_demo

pytestmark = pytest.mark.xdist_group("phantom-demo")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(reading, comparison, folder) of the quick demo."""
    out = tmp_path_factory.mktemp("demo") / "fusin-demo"
    return (*run_demo(out, quick=True), out)


@pytest.fixture(scope="module")
def adenoma(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "adenoma"
    return (*run_demo(out, quick=True, adenoma=True), out)


def test_every_planted_lesion_is_found_and_nothing_else(demo):
    _, comparison, _ = demo
    assert comparison.found == len(comparison.matches) == 11
    assert comparison.extra == ()
    assert comparison.below == ()


def test_the_sentence_says_what_the_numbers_say(demo):
    assert "11 of 11" in demo[1].sentence()
    assert "0 candidates" in demo[1].sentence()


def test_the_folder_holds_the_study_and_the_reading(demo):
    names = {f.name for f in demo[2].iterdir()}
    assert {MARKER, "dicom", "report.html", "reading.json", "segmentation.dcm", "measurements.dcm"} <= names


def test_the_json_beside_the_report_is_the_reading(demo):
    document = json.loads((demo[2] / "reading.json").read_text())
    assert len(document["lesions"]) == len(demo[0].lesions)


def test_lesions_of_the_demo_have_sites_from_the_labels_or_none(demo):
    assert all(isinstance(lesion.site, str) for lesion in demo[0].lesions)


def test_a_comparison_counts_what_lies_below_the_threshold_apart(demo):
    from dataclasses import replace

    reading = replace(demo[0], threshold={**demo[0].threshold, "suv": 1e6}, lesions=())
    patient = make_patient(spacing_mm=(5.0, 5.0, 5.0))
    compared = compare_with_truth(reading, patient)
    assert compared.matches == ()
    assert len(compared.below) == len(patient.lesions)


def test_a_missed_lesion_is_counted_as_missed(demo):
    from dataclasses import replace

    patient = make_patient(spacing_mm=(5.0, 5.0, 5.0))
    compared = compare_with_truth(replace(demo[0], lesions=demo[0].lesions[1:]), patient)
    assert compared.found < len(compared.matches)
    missed = [m for m in compared.matches if m.number is None]
    assert all(m.suv_max is None and m.volume_ml is None for m in missed)


def test_the_adenoma_lateralises_to_the_left(adenoma):
    """LI = left / right SUVmax; a 9 mm ball of SUV 20 against a normal gland (about 4.4 after blurring)."""
    indices = adenoma[0].adrenal
    document = indices.to_json()
    assert document["li"]["value"] > 2 if isinstance(document.get("li"), dict) else True
    assert adenoma[0].series["uptake_time_min"] == pytest.approx(40.0, abs=1.0)


def test_adrenal_indices_follow_from_the_measured_glands(adenoma, tmp_path):
    """The adenoma grows out of the gland: the indices take its SUVmax against the other gland, and Ding's cut-off is met."""
    from fusin.imaging.masks import read_regions
    from fusin.provenance import NoticeLog
    from fusin.quantification.metrics import measure_region

    reading, _, out = adenoma
    organs = read_regions(next((out / "dicom").glob("SEG_organs*")), grid=reading.pet.grid, log=NoticeLog())
    glands = {r.name: measure_region(reading.pet, r, log=NoticeLog()) for r in organs if r.name.startswith("adrenal")}
    nodule = reading.lesions[0].metrics
    left, right = glands["adrenal_gland_left"], glands["adrenal_gland_right"]
    assert nodule.suv_max > left.suv_max > right.suv_max
    indices = reading.adrenal
    assert indices.dominant == "left"
    assert indices.li == pytest.approx(nodule.suv_max / right.suv_max, rel=1e-6)
    assert indices.lcr == pytest.approx(nodule.suv_max / right.suv_mean, rel=1e-6)
    assert indices.lar is not None
    (ding,) = [c for c in indices.cutoffs if "suvmax-ding" in str(c)]
    assert True in ding.values()


def test_a_later_demo_replaces_an_earlier_one(demo, monkeypatch):
    """The marker allows it; what was there is gone before the new one is made."""

    def stop(*_args, **_options):
        raise InputError("demo", "stopped", "by the test", "nothing")

    monkeypatch.setattr("fusin.report.demo.make_patient", stop)
    with pytest.raises(InputError, match="stopped"):
        run_demo(demo[2])


@pytest.mark.parametrize("content", ["file", "folder"])
def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path, content):
    precious = tmp_path / "precious"
    precious.mkdir() if content == "folder" else precious.write_text("x")
    with pytest.raises(InputError):
        run_demo(tmp_path, quick=True)
    assert precious.exists()


def test_an_output_that_is_a_file_is_refused(tmp_path):
    target = tmp_path / "out"
    target.write_text("precious")
    with pytest.raises(InputError):
        run_demo(target)
    assert target.read_text() == "precious"


def test_a_negative_seed_is_refused_before_anything_is_removed(tmp_path):
    (tmp_path / MARKER).touch()
    (tmp_path / "report.html").write_text("earlier")
    with pytest.raises(InputError, match="seed"):
        run_demo(tmp_path, seed=-1)
    assert (tmp_path / "report.html").exists()
