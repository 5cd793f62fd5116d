"""fusin receptor occupancy, pathway and workflow: what they print, write and refuse."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fusin.cli.app import app
from fusin.errors import FusinError

ASK = ["receptor", "occupancy", "--amount-nmol", "30", "--weight-kg", "75", "--free-suv", "published", "--draws", "400"]


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_json_holds_every_answer(tmp_path):
    found = run(*ASK, "--drug", "plerixafor", "--hours", "1,24", "--json", "--out", tmp_path / "o")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert [row["hours"] for row in document["drugs"]] == [1.0, 24.0]
    assert document["tracer"]["peptide"]["peptide_nmol"] == 30
    assert (tmp_path / "o" / "figures" / "occupancy_map.svg").is_file()


def test_a_case_file_and_options_agree(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(
        '[tracer]\namount_nmol = 30\nweight_kg = 75\nfree_suv = "published"\nkd_nm = [1, 4]\n', encoding="utf-8"
    )
    by_file = json.loads(run("receptor", "occupancy", path, "--draws", 400, "--json").stdout)
    by_option = json.loads(run(*ASK, "--kd-nm", "1..4", "--json").stdout)
    assert by_file["occupied"] == by_option["occupied"]


def test_peptide_comes_from_a_batch(tmp_path):
    row = {
        "id": "P1",
        "nuclide": "Ga-68",
        "administered_mbq": 150.0,
        "amounts": [{"name": "peptide_ug", "amount": 12.2139}],
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"patients": [row]}), encoding="utf-8")
    ask = ["receptor", "occupancy", "--batch", path, "--patient", "P1", "--molar-mass", 1221.39, "--weight-kg", 75]
    document = json.loads(run(*ask, "--json").stdout)
    assert document["tracer"]["peptide"]["peptide_nmol"] == pytest.approx(10.0)
    assert document["provenance"]["inputs"][0]["path"] == "results.json"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--kd-nm", "two"], "--kd-nm"),
        (["--kd-nm", "5..1"], "kd_nm"),
        (["--hours", "1;2"], "--hours"),
        (["--free-suv", "much"], "--free-suv"),
        (["--drug", "aspirin"], "dose_mg_per_kg"),
        (["--draws", "3"], "draws"),
        (["--amount-nmol", "30"], "weight"),
        (["nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments, word):
    found = run("receptor", "occupancy", *arguments)
    assert isinstance(found.exception, FusinError), found.exception
    assert found.exception.exit_code == 3
    assert word in str(found.exception)
    assert "\n" not in str(found.exception)


def test_a_pathway_is_written_in_three_states(tmp_path):
    pytest.importorskip("libsbml", reason="needs the extra receptor")
    ask = [
        "receptor",
        "pathway",
        "cxcr4",
        "--dose",
        "CXCL12=10nM",
        "--block",
        "pentixafor=50nM",
        "--set",
        "KD_pentixafor=5nM",
    ]
    found = run(*ask, "--at", "5min", "--until", "10min", "--json", "--out", tmp_path / "p")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["at"] == 300.0
    names = {p.name for p in (tmp_path / "p" / "figures").iterdir()}
    assert names == {"pathway_rest.svg", "pathway_stimulated.svg", "pathway_blocked.svg"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--at", "99min"], "--at"), (["--dose", "IL2=1nM"], "IL2"), (["--until", "soon"], "--until")],
)
def test_a_pathway_that_cannot_be_drawn_gets_one_sentence(arguments, word):
    pytest.importorskip("libsbml", reason="needs the extra receptor")
    found = run("receptor", "pathway", "cxcr4", *arguments)
    assert isinstance(found.exception, FusinError), found.exception
    assert word in str(found.exception)


def test_workflows_are_listed():
    found = run("receptor", "workflow", "--json")
    assert set(json.loads(found.stdout)["workflows"]) == {"theranostic", "study"}
