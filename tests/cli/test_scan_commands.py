"""The verbs of the scan from the outside: JSON contracts, files, and one sentence for each mistake."""

from __future__ import annotations

import json
import os

import numpy as np
import pydicom
import pytest

from fusin.imaging.masks import write_label_nifti
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog
from fusin.quantification.study import open_study
from fusin.testing import make_ct_series, make_grid, make_nac_series, make_pet_series

GRID_SHAPE = (12, 32, 32)
FAST = ("--no-dicom", "--no-report", "--threshold", "fixed:5")


@pytest.fixture
def pet(tmp_path):
    return make_pet_series(tmp_path / "dicom" / "pet", grid=make_grid(GRID_SHAPE))


@pytest.fixture
def regions(pet, tmp_path):
    study = open_study(pet, NoticeLog(), with_ct=False)
    region = Region(name="block", grid=study.pet.grid, start=(5, 14, 14), crop=np.ones((3, 4, 4), dtype=bool))
    write_label_nifti(tmp_path / "regions.nii", [region], study.pet.grid)
    return tmp_path / "regions.nii"


def rewrite(folder, change):
    """Change each header of a folder and save it."""
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        change(dataset)
        dataset.save_as(file)


# ------------------------------------------------------------------------------------------- contracts


def test_audit_prints_one_document_with_the_keys_of_the_contract(fusin, pet):
    ran = fusin("audit", pet, "--json")
    (entry,) = ran.document()["series"]
    assert ran.code == 0
    wanted = {"series_uid", "modality", "computable", "rule", "reason", "factor_suvbw_per_bqml", "notices"}
    assert wanted <= set(entry)
    assert entry["computable"] is True


def test_audit_of_a_scan_without_suv_still_succeeds(fusin, tmp_path):
    """The audit's answer is the verdict: a no is not a failure of the audit."""
    ran = fusin("audit", make_pet_series(tmp_path, tags={"PatientWeight": None}), "--json")
    (entry,) = ran.document()["series"]
    assert ran.code == 0
    assert entry["computable"] is False
    assert "0010,1030" in entry["reason"]


def test_audit_for_people_says_yes_and_no(fusin, tmp_path):
    make_pet_series(tmp_path / "ac")
    make_nac_series(tmp_path / "nac")
    ran = fusin("audit", tmp_path)
    assert ran.code == 0
    assert "SUV yes" in ran.out
    assert "SUV no" in ran.out


def test_measure_prints_one_document_with_the_keys_of_the_contract(fusin, pet, regions):
    ran = fusin("measure", pet, regions, "--json")
    document = ran.document()
    assert ran.code == 0
    assert {"series", "regions", "notices"} <= set(document)
    wanted = {
        "name", "voxels", "volume_ml", "suv_max", "suv_mean", "suv_min", "suv_median", "suv_sd", "suv_peak",
    }  # fmt: skip
    assert wanted <= set(document["regions"][0])
    assert document["regions"][0]["voxels"] == 48


def test_measure_writes_what_it_prints(fusin, pet, regions, tmp_path):
    ran = fusin("measure", pet, regions, "--json", "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "regions.json").read_text()) == ran.document()
    assert set(ran.document()["outputs"].values()) == {f.name for f in (tmp_path / "out").iterdir()}


def test_measure_and_the_library_give_the_same_numbers(fusin, pet, regions):
    from fusin.provenance import canonical_json
    from fusin.quantification.measuring import measure_study

    library = json.loads(canonical_json(measure_study(pet, regions, NoticeLog()).to_json()))
    assert fusin("measure", pet, regions, "--json").document() == library


def test_read_prints_one_document_with_the_keys_of_the_contract(fusin, pet, tmp_path):
    ran = fusin("read", pet, "--json", "--out", tmp_path / "out", *FAST)
    assert ran.code == 0
    assert {"series", "references", "lesions", "readout", "outputs", "notices"} <= set(ran.document())
    assert ran.err != ""


def test_read_writes_the_document_that_it_prints(fusin, pet, tmp_path):
    ran = fusin("read", pet, "--json", "--out", tmp_path / "out", *FAST)
    assert json.loads((tmp_path / "out" / "reading.json").read_text()) == ran.document()


def test_read_for_people_names_the_lesions_and_where_the_files_are(fusin, pet, tmp_path):
    ran = fusin("read", pet, "--out", tmp_path / "out", *FAST)
    assert ran.code == 0
    assert "Lesion candidates: 1" in ran.out
    assert "lesions.csv" in ran.out
    assert ran.err == ""


def test_read_without_a_threshold_says_that_nothing_was_searched(fusin, pet, tmp_path):
    ran = fusin("read", pet, "--out", tmp_path / "out", "--no-dicom", "--no-report")
    assert ran.code == 0
    assert "no search was made" in ran.out


def test_strict_refuses_with_exit_3(fusin, tmp_path, regions):
    folder = make_pet_series(tmp_path / "grams", grid=make_grid(GRID_SHAPE), tags={"PatientWeight": "70000"})
    for arguments in (("read", folder, "--out", tmp_path / "out"), ("measure", folder, regions)):
        ran = fusin(*arguments, "--strict")
        assert ran.code == 3
        assert "strict" in ran.refusal


def test_names_with_markup_are_printed_as_they_stand(fusin, tmp_path):
    """[bold] or [/] in a header is text, not an instruction to the console."""
    folder = make_pet_series(tmp_path, description="[red]PET[/red] [/]")
    ran = fusin("audit", folder)
    assert ran.code == 0
    assert "[red]PET[/red] [/]" in ran.out


def test_control_characters_of_a_header_do_not_reach_the_terminal(fusin, tmp_path):
    folder = make_pet_series(tmp_path, description="PET \x1b[2J\x07 AC")
    ran = fusin("audit", folder)
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    assert "\x07" not in ran.out + ran.err


# ------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("verb", ["audit", "read", "measure"])
def test_a_folder_that_is_not_there_is_named(fusin, tmp_path, regions, verb):
    more = {"read": ("--out", tmp_path / "out"), "measure": (regions,)}.get(verb, ())
    ran = fusin(verb, tmp_path / "absent", *more)
    assert ran.code == 3
    assert "absent" in ran.refusal


@pytest.mark.parametrize("verb", ["audit", "read", "measure"])
def test_an_empty_folder_is_named(fusin, tmp_path, regions, verb):
    (tmp_path / "empty").mkdir()
    more = {"read": ("--out", tmp_path / "out"), "measure": (regions,)}.get(verb, ())
    ran = fusin(verb, tmp_path / "empty", *more)
    assert ran.code == 3
    assert "no files" in ran.refusal


@pytest.mark.parametrize("verb", ["audit", "read", "measure"])
def test_a_folder_of_other_files_is_named(fusin, tmp_path, regions, verb):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("hello")
    (tmp_path / "other" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    more = {"read": ("--out", tmp_path / "out"), "measure": (regions,)}.get(verb, ())
    ran = fusin(verb, tmp_path / "other", *more)
    assert ran.code == 3
    assert "none of them readable DICOM" in ran.refusal


def test_a_folder_with_only_ct_is_refused(fusin, tmp_path):
    ran = fusin("read", make_ct_series(tmp_path / "ct"), "--out", tmp_path / "out")
    assert ran.code == 3
    assert "no PET series" in ran.refusal
    assert not (tmp_path / "out").exists()


def test_a_folder_with_only_uncorrected_pet_is_refused(fusin, tmp_path):
    ran = fusin("read", make_nac_series(tmp_path / "nac"), "--out", tmp_path / "out")
    assert ran.code == 3
    assert "attenuation" in ran.refusal


def test_two_pet_series_are_refused_with_their_names(fusin, tmp_path):
    make_pet_series(tmp_path / "d" / "a", description="first PET")
    make_pet_series(tmp_path / "d" / "b", description="second PET", seed_uid="x")
    ran = fusin("read", tmp_path / "d", "--out", tmp_path / "out")
    assert ran.code == 3
    assert all(word in ran.refusal for word in ("first PET", "second PET", "--series"))


def test_a_missing_weight_is_refused_by_its_tag(fusin, tmp_path):
    ran = fusin("read", make_pet_series(tmp_path / "d", tags={"PatientWeight": None}), "--out", tmp_path / "out")
    assert ran.code == 3
    assert "(0010,1030)" in ran.refusal


@pytest.mark.parametrize("kind", ["pet", "text", "absent", "empty folder", "pet folder"])
def test_a_regions_argument_without_regions_is_refused(fusin, pet, tmp_path, kind):
    path = {"pet": next(pet.glob("*.dcm")), "pet folder": pet}.get(kind, tmp_path / "regions.dcm")
    if kind == "text":
        path.write_text("no regions")
    elif kind == "empty folder":
        path.mkdir()
    ran = fusin("measure", pet, path)
    assert ran.code == 3
    assert path.name in ran.refusal


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--threshold", "nonsense"), ("--threshold", "fixed"), ("--threshold", "fixed:hot"), ("--threshold", "fixed:-1"),
        ("--threshold", "fixed:0"), ("--threshold", "fixed:nan"), ("--threshold", "liver:1:2:3"), ("--threshold", ""),
        ("--threshold", "spleen"), ("--contour", "nonsense"), ("--contour", "van-dalen"), ("--contour", "jentzen:1"),
        ("--contour", ""), ("--protocol", "nonsense"), ("--window", "5"), ("--window", "10,0"), ("--window", "a,b"),
        ("--window", "0,inf"), ("--window", "nan,1"), ("--at", "liver"), ("--at", "liver=1,2"), ("--at", "foot=1,2,3"),
        ("--at", "liver=1,2,x"), ("--at", "liver=nan,0,0"), ("--at", "liver=1e9,0,0"), ("--exclude", "box"),
        ("--exclude", "box=1,2,3"), ("--exclude", "=1,2,3,4,5,6"), ("--exclude", "b=nan,0,0,1,1,1"),
        ("--exclude", "b=inf,0,0,1,1,1"), ("--reference", "liver"), ("--reference", "foot=x"),
        ("--reference", "liver=absent.nii"), ("--visual", "positivity-solid-werner2019"),
        ("--visual", "positivity-solid-werner2019=maybe"), ("--visual", "no-such-rule=yes"), ("--labels", "absent.nii"),
        ("--lesions", "absent.nii"), ("--residual", "much"), ("--residual", "-1"), ("--residual", "nan"),
        ("--series", "absent"), ("--phase", "7"), ("--radiopharmaceutical", "9"),
    ],
)  # fmt: skip
def test_an_impossible_option_is_one_sentence(fusin, pet, tmp_path, option, value):
    threshold = () if option == "--threshold" else ("--threshold", "fixed:5")
    ran = fusin("read", pet, "--out", tmp_path / "out", "--no-dicom", *threshold, option, value)
    assert ran.code in (2, 3)
    assert ran.refusal
    assert ran.out == ""


@pytest.mark.parametrize("option", ["--threshold", "--contour", "--at", "--exclude", "--window", "--visual"])
def test_an_impossible_option_is_refused_before_the_scan_is_looked_at(fusin, tmp_path, option):
    """A typing mistake must not cost minutes."""
    ran = fusin("read", tmp_path / "absent", option, "nonsense")
    assert ran.code == 3
    assert option in ran.refusal


def test_an_unknown_norm_lists_the_known_ones(fusin, pet, regions):
    ran = fusin("measure", pet, regions, "--norm", "lean")
    assert ran.code == 3
    assert "lbm-janmahasatian" in ran.refusal


@pytest.mark.parametrize("verb", ["read", "measure"])
def test_an_output_folder_that_is_a_file_is_refused(fusin, pet, regions, tmp_path, verb):
    (tmp_path / "out").write_text("precious")
    more = (regions,) if verb == "measure" else FAST
    ran = fusin(verb, pet, *more, "--out", tmp_path / "out")
    assert ran.code in (1, 3)
    assert "out" in ran.refusal
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(fusin, pet, regions, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    ran = fusin("measure", pet, regions, "--out", tmp_path / "locked" / "out")
    assert ran.code == 1
    assert "locked" in ran.refusal


@pytest.mark.parametrize("damage", ["truncated", "zeroed", "text", "header only"])
def test_broken_dicom_is_named_and_not_fatal_beside_a_good_series(fusin, pet, damage):
    victim = sorted(pet.glob("*.dcm"))[0]
    data = victim.read_bytes()
    broken = {"truncated": data[:700], "zeroed": bytes(len(data)), "text": b"hello", "header only": data[:140]}[damage]
    (pet / "broken.dcm").write_bytes(broken)
    ran = fusin("audit", pet, "--json")
    document = ran.document()
    assert ran.code == 0
    assert any(entry["computable"] for entry in document["series"])
    assert "broken.dcm" in json.dumps(document["notices"])


def test_pixels_that_end_early_are_named(fusin, pet, regions):
    victim = sorted(pet.glob("*.dcm"))[3]
    victim.write_bytes(victim.read_bytes()[:-200])
    ran = fusin("measure", pet, regions, "--json")
    assert ran.code in (0, 3)
    assert victim.name in (ran.err if ran.code else ran.out)


def test_a_refusal_in_json_mode_leaves_standard_output_empty(fusin, tmp_path):
    ran = fusin("audit", tmp_path / "absent", "--json")
    assert ran.code == 3
    assert ran.out == ""


def test_an_error_sentence_stays_one_line_whatever_the_header_says(fusin, tmp_path):
    folder = make_pet_series(tmp_path, tags={"SeriesDescription": "two\r\nlines", "PatientWeight": None})
    ran = fusin("read", folder, "--out", tmp_path / "out")
    assert ran.code == 3
    assert ran.refusal


# ------------------------------------------------------------------------------------------- demo


@pytest.mark.xdist_group("phantom-demo")
def test_demo_refuses_a_folder_with_other_things_in_it(fusin, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    ran = fusin("demo", "--quick", "--out", tmp_path)
    assert ran.code == 3
    assert (tmp_path / "thesis.txt").read_text() == "precious"
    assert ran.refusal


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999999"])
def test_demo_takes_or_refuses_any_seed(fusin, tmp_path, monkeypatch, seed):
    from fusin.errors import InputError

    def stop(*_args, **_options):
        raise InputError("phantom", "stopped", "by the test", "nothing")

    monkeypatch.setattr("fusin.report.demo.write_patient", stop)
    monkeypatch.setattr("fusin.imaging.phantom._PET_SPACING_MM", (40.0, 40.0, 40.0))
    ran = fusin("demo", "--quick", "--seed", seed, "--out", tmp_path / "out")
    assert ran.code in (2, 3)
    assert ran.refusal
