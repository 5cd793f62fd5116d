"""The verbs of tracer kinetics as a user types them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fusin.imaging.nifti import read_nifti, write_nifti
from fusin.imaging.volume import Grid, Volume
from fusin.receptor.compartments import tissue_curve
from fusin.receptor.synthetic_kinetics import TRUE_REGIONS, bolus_input, dynamic_frames, make_dynamic_tables

CONTRACT = ("K1", "k2", "k3", "k4", "VT", "intervals", "aicc")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    tac, blood = make_dynamic_tables(rng=np.random.default_rng(3))
    (tmp_path / "TAC.csv").write_text(tac, encoding="utf-8")
    (tmp_path / "BLOOD.csv").write_text(blood, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_document_holds_the_keys_of_the_contract(fusin, folder):
    code, out, _ = fusin("receptor", "kinetics", "TAC.csv", "BLOOD.csv", "--model", "2tcm", "--json")
    document = json.loads(out)
    assert code == 0
    assert set(CONTRACT) <= set(document)
    low, high = document["intervals"]["VT"]
    assert low < document["VT"] < high
    assert [r["region"] for r in document["regions"]] == list(TRUE_REGIONS)
    assert {k: document[k] for k in CONTRACT} == {k: document["regions"][0][k] for k in CONTRACT}


def test_the_rates_of_the_made_up_lesion_come_back(fusin, folder):
    _, out, _ = fusin(
        "receptor", "kinetics", "TAC.csv", "BLOOD.csv", "--region", "lesion", "--frames", "mean", "--json"
    )
    found, true = json.loads(out), TRUE_REGIONS["lesion"].rates
    assert [found[n] for n in true] == pytest.approx(list(true.values()), rel=0.08)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("TAC.csv",), "a table of blood samples"),
        (("TAC.csv", "BLOOD.csv", "--region", "tumour"), "one of lesion, spleen"),
        (("TAC.csv", "BLOOD.csv", "--vb", "5"), "0.05, not 5"),
        (("TAC.csv", "BLOOD.csv", "--model", "3tcm"), "one of 2tcm"),
        (("TAC.csv", "BLOOD.csv", "--bound", "k4=1"), "low,high"),
        (("TAC.csv", "BLOOD.csv", "--model", "logan", "--vb", "fit"), "cannot fit it"),
        (("TAC.csv", "BLOOD.csv", "--weights", "counts"), "the nuclide"),
        (("TAC.csv", "BLOOD.csv", "--last-frames", "2"), "at least 4"),
        (("TAC.csv", "BLOOD.csv", "--images", "nowhere"), "a folder for the maps"),
        (("TAC.csv", "BLOOD.csv", "--images", "nowhere", "--out", "x", "--model", "logan"), "one NIfTI file per frame"),
        (("TAC.csv", "--model", "srtm"), "name of the reference region"),
        (("none.csv", "BLOOD.csv"), "a table that exists"),
        (("TAC.csv", "TAC.csv"), "the time of the samples"),
    ],
)
def test_a_mistake_gets_one_sentence(fusin, folder, arguments, sentence):
    code, _, err = fusin("receptor", "kinetics", *arguments)
    assert code == 3
    assert sentence in err
    assert err.count("\n") == 1


def test_strict_refuses_a_unit_that_was_inferred(fusin, folder):
    text = (folder / "TAC.csv").read_text().replace("start_s,end_s", "start,end")
    (folder / "bare.csv").write_text(text)
    assert fusin("receptor", "kinetics", "bare.csv", "BLOOD.csv", "--model", "logan", "--json")[0] == 0
    assert fusin("receptor", "kinetics", "bare.csv", "BLOOD.csv", "--model", "logan", "--strict")[0] == 3


def test_maps_are_written_on_the_grid_of_the_images(fusin, folder):
    frames, source, one = dynamic_frames(), bolus_input(scale_kbq_ml=12.0), TRUE_REGIONS["marrow"]
    curve = tissue_curve(one.model, one.rates, source, frames, vb=one.vb)
    grid = Grid(shape=(2, 3, 4), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    (folder / "images").mkdir()
    for i, value in enumerate(curve):
        values = np.full(grid.shape, value, np.float32)
        write_nifti(folder / "images" / f"{i:02d}.nii.gz", Volume(values=values, grid=grid, unit="kBq/ml"))
    code, out, err = fusin(
        "receptor",
        "kinetics",
        "TAC.csv",
        "BLOOD.csv",
        "--frames",
        "mean",
        "--images",
        "images",
        "--out",
        "found",
        "--json",
    )
    assert code == 0, err
    assert json.loads(out)["voxels"] == 24
    vt = read_nifti(folder / "found" / "maps" / "VT.nii.gz")
    assert vt.grid.matches(grid)
    assert vt.values == pytest.approx(np.full(grid.shape, 1.5), rel=0.03)


def test_a_study_of_the_suv_prints_what_clearance_does(fusin, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = fusin("receptor", "suv-study", "--lesions", "12", "--sensitivity", "0", "--json")
    assert code == 0
    assert len(json.loads(out)["measures"]) == 5
    assert fusin("receptor", "suv-study", "--range", "k9=1,2")[0] == 3
