"""fusin receptor simulate: the contract of the table and of the JSON, and refusals in one sentence."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

pytest.importorskip("antimony")
pytest.importorskip("libsbml")

DECAY = "model m; species A; compartment c = 2; A in c; A = 3; J: A -> ; k*A*c; k = 0.7; v := 2*A; end"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "decay.ant"
    path.write_text(DECAY)
    return path


def table(path):
    rows = list(csv.reader(path.open()))
    return rows[0], np.array(rows[1:], dtype=float)


@pytest.mark.parametrize("engine", ["scipy", "roadrunner"])
def test_the_table_has_a_row_for_each_point_and_a_column_for_each_variable(fusin, model, tmp_path, engine):
    pytest.importorskip("roadrunner")
    out = tmp_path / "course.csv"
    ran = fusin("receptor", "simulate", model, "--until", 5, "--points", 11, "--engine", engine, "--out", out, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["engine"] == engine
    assert document["notices"] == []
    head, rows = table(out)
    assert head == ["time", "A", "v", "c", "k"]
    assert rows.shape == (11, 5)
    assert rows[[0, -1], 0].tolist() == [0.0, 5.0]
    assert rows[:, 1] == pytest.approx(3 * np.exp(-0.7 * rows[:, 0]), rel=1e-6)
    assert rows[:, 2] == pytest.approx(2 * rows[:, 1], rel=1e-9)


def test_amounts_are_asked_for_by_an_option(fusin, model, tmp_path):
    out = tmp_path / "course.csv"
    assert fusin("receptor", "simulate", model, "--until", 5, "--points", 3, "--amounts", "--out", out).code == 0
    assert table(out)[1][0, 1] == 6.0


def test_a_folder_receives_the_report_and_everything_asked_for(fusin, model, tmp_path):
    out = tmp_path / "all"
    ran = fusin("receptor", "simulate", model, "--until", 5, "--scan", "k=0.1:1:3:log", "--sensitivity", "--steady-state",
                "--draws", 12, "--range", "k=0.1:1", "--out", out, "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    document = ran.document()
    assert {"scan", "sensitivity", "steady_state", "draws"} <= set(document)
    assert document["steady_state"]["slowest_time"] == pytest.approx(1 / 0.7, rel=1e-6)
    assert (out / "report.html").is_file()
    assert len(list((out / "figures").glob("*.svg"))) == 4


def test_a_shipped_model_warns_of_what_is_not_settled(fusin, tmp_path):
    out = tmp_path / "course.csv"
    arguments = ("--dose", "CXCL12=110nM", "--block", "pentixafor=5nM", "--until", "90min", "--points", 91)
    ran = fusin("receptor", "simulate", "cxcr4", *arguments, "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert "AFFINITY_ASSUMED" in [n["code"] for n in ran.document()["notices"]]
    head, rows = table(out)
    assert rows[0, head.index("CXCL12")] == pytest.approx(110.0)
    assert rows[-1, 0] == 5400.0


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("nowhere.xml", "--until", "5"), "no such file"),
        (("MODEL", "--until", "soon"), "soon"),
        (("MODEL", "--until", "-5"), "-5"),
        (("MODEL", "--until", "5min"), "declares no unit of time"),
        (("MODEL", "--until", "5", "--points", "1"), "rows"),
        (("MODEL", "--until", "5", "--engine", "copasi"), "roadrunner"),
        (("MODEL", "--until", "5", "--dose", "B=3"), "'B'"),
        (("MODEL", "--until", "5", "--dose", "A"), "NAME=QUANTITY"),
        (("MODEL", "--until", "5", "--dose", "A=-3"), "at least 0"),
        (("MODEL", "--until", "5", "--set", "v=3"), "rule"),
        (("MODEL", "--until", "5", "--scan", "k=1:2"), "COUNT"),
        (("MODEL", "--until", "5", "--output", "Z"), "Z"),
        (("MODEL", "--until", "5", "--rtol", "2"), "rtol"),
        (("MODEL", "--until", "5", "--draws", "100"), "--range"),
        (("MODEL", "--until", "5", "--scan", "k=1:2:3", "--out", "x.csv"), "folder"),
    ],
)
def test_mistakes_get_one_sentence_and_the_exit_code_of_an_input(fusin, model, arguments, found):
    ran = fusin("receptor", "simulate", *(model if a == "MODEL" else a for a in arguments))
    assert ran.code == 3
    assert found in ran.refusal


def test_the_models_are_listed_by_the_names_that_simulate_takes(fusin):
    names = [m["name"] for m in fusin("receptor", "models", "--json").document()["models"]]
    assert "cxcr4" in names
    assert "cxcr4 " in fusin("receptor", "models").out
