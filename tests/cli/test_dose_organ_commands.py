"""The verbs of organs, marrow, BED, budget, record and scan on the command line."""

from __future__ import annotations

import json

import pytest

from fusin.report.demo_organs import run_part


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("dose-files")
    run_part(path)
    return path


@pytest.mark.parametrize(
    ("verb", "keys"),
    [
        (
            ("organs", "{}/organs.csv", "--nuclide", "Lu-177", "--s-table", "{}/s_values.csv", "--sphere", "lesion"),
            {"organs"},
        ),
        (("marrow", "{}/marrow.toml"), {"components", "residual_gy", "lower_bound"}),
        (("budget", "{}/budget.toml", "--draws", "2000"), {"doses"}),
        (("record", "{}/record.toml"), {"cycles", "toxicity"}),
        (
            ("exposure", "--administered-mbq", "150", "--coefficients", "herrmann-2015-unverified"),
            {"effective_msv", "tag"},
        ),
        (
            ("bed", "--dose-gy", "23", "--t-eff-h", "41", "--alpha-beta-gy", "2.6", "--repair-half-time-h", "2.8"),
            {"bed_gy", "g"},
        ),
    ],
)
def test_every_verb_prints_one_document(fusin, folder, verb, keys):
    code, out, _ = fusin("dose", *(v.replace("{}", str(folder)) for v in verb), "--json")
    assert code == 0
    assert keys | {"notices", "provenance"} <= set(json.loads(out))


def test_a_folder_gets_page_tables_and_the_case(fusin, folder, tmp_path):
    code, _, err = fusin("dose", "record", folder / "record.toml", "--out", tmp_path / "out")
    assert code == 0, err
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "tables" / "courses.csv").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("organs", "{}/organs.csv", "--nuclide", "Lu-177"),
        ("organs", "{}/nothing.csv", "--nuclide", "Lu-177"),
        ("marrow", "{}/organs.csv"),
        ("record", "{}/budget.toml"),
        ("bed", "--dose-gy", "23", "--t-eff-h", "41", "--alpha-beta-gy", "0", "--repair-half-time-h", "2.8"),
        ("exposure", "--administered-mbq", "0", "--coefficients", "herrmann-2015-unverified"),
        ("exposure", "--administered-mbq", "150", "--coefficients", "guess"),
        ("budget", "{}/budget.toml", "--draws", "10"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_3(fusin, folder, arguments):
    code, out, err = fusin("dose", *(a.replace("{}", str(folder)) for a in arguments), "--json")
    assert code == 3
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("fusin: ")
    assert err.count("\n") == 1


def test_strict_refuses_activity_that_was_spread_over_parts(fusin, folder, tmp_path):
    table = tmp_path / "lr.csv"
    table.write_text(
        "target [mGy/(MBq s)],left kidney,right kidney,mass_g\nleft kidney,1.56e-4,5e-8,153\nright kidney,5e-8,1.53e-4,157\n"
        "kidneys,7.7e-5,7.7e-5,310\n"
    )
    tia = tmp_path / "tia.csv"
    tia.write_text("region,tia_mbq_h,u_percent\nkidneys,500,8\n")
    arguments = ("organs", tia, "--nuclide", "Lu-177", "--s-table", table)
    assert fusin("dose", *arguments)[0] == 0
    code, _, err = fusin("dose", *arguments, "--strict")
    assert code == 3
    assert "strict" in err
