"""The command of the body: one document, and one sentence for each mistake."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fusin.cli.app import app
from fusin.errors import InputError

GIVEN = ["receptor", "pbpk", "--nuclide", "Ga-68", "--activity-mbq", "150", "--peptide-nmol", "30"]


def invoke(*arguments):
    return CliRunner().invoke(app, [*GIVEN, *arguments])


def test_the_document_names_regions_and_answers(tmp_path):
    found = invoke(
        "--draws",
        "3",
        "--tumour",
        "lesion=10:5",
        "--kd-nm",
        "1..5",
        "--drug",
        "plerixafor=12",
        "--out",
        str(tmp_path / "out"),
        "--json",
    )
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert [r["region"] for r in document["regions"]][-1] == "lesion"
    assert document["mass"]["rows"]
    assert document["drugs"]["reference"] == "no plerixafor"
    assert (tmp_path / "out" / "TIMES.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--tumour", "10"], "NAME=mL"), (["--tumour", "a=x"], "NAME=mL"), (["--set", "gfr_l_min"], "NAME=NUMBER"),
        (["--set", "gfr_l_min=low"], "a number"), (["--kd-nm", "strong"], "a number"), (["--drug", "plerixafor=soon"], "HOURS"),
        (["--patients", "10"], "--out"), (["--draws", "-1"], "--draws"), (["--limit", "kidneys=x"], "a number"),
        (["--peptide-ug", "5"], "both amounts"), (["--ask", "all"], "mass"), (["--set", "weight_kg=0"], "weight_kg"),
        (["--tumour", "a=19000"], "flow"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_sentence(arguments, word):
    found = invoke(*arguments)
    assert isinstance(found.exception, InputError), found.output
    assert word in str(found.exception)
