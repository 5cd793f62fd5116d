"""The verb of planning on the command line, and the files that it reads."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.planning_files import parse_limit, read_limits, read_study
from fusin.errors import FusinError
from fusin.provenance import NoticeLog
from fusin.report.demo_plan import run_part

LIMIT = "kidneys<=23 p=0.05: example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan-files")
    run_part(path)
    return path


def test_the_document_keeps_the_contract(fusin, folder):
    code, out, _ = fusin("plan", folder / "plan.toml", "--limit", LIMIT, "--draws", "2000", "--json")
    document = json.loads(out)
    assert code == 0
    assert {"activity_gbq", "binding", "organs", "residual_marrow_gy", "notices"} <= set(document)
    assert document["binding"] == "kidneys"
    activity = document["activity_gbq"]["Lu-177"]
    assert activity["low"] <= activity["value"] <= activity["high"]
    kidneys = document["organs"][0]
    assert kidneys["limit_gy"] == 23
    assert kidneys["probability_exceeded"] == pytest.approx(0.05, abs=1e-3)
    assert kidneys["dose_gy"]["low"] < kidneys["dose_gy"]["value"] < 23


def test_an_infeasible_plan_says_so_and_names_no_activity(fusin, folder):
    code, out, err = fusin("plan", folder / "plan.toml", "--limit", LIMIT, "--limit",
                         "red marrow>=30 p=0.1: example", "--draws", "2000", "--json")  # fmt: skip
    document = json.loads(out)
    assert (code, document["feasible"], document["activity_gbq"]) == (0, False, {})
    assert "Infeasible: no activity keeps all limits" in err
    assert document["nearest_gbq"]["Lu-177"]["value"] > 0


def test_a_folder_gets_the_page_with_three_figures(fusin, folder, tmp_path):
    code, _, err = fusin("plan", folder / "plan.toml", "--limits", folder / "plan_limits.toml", "--nuclide", "Lu-177", "--nuclide",
        "Y-90", "--mixture", "--target", "lesion", "--marrow", "red marrow", "--transplant-day", "14", "--draws", "2000", "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    names = {p.name for p in (tmp_path / "out" / "figures").iterdir()}
    assert names == {"plan-doses.svg", "plan-risk.svg", "plan-front.svg"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "at least one limit"),
        (("--limit", "kidneys<=0 p=0.05: x"), "above 0 Gy"),
        (("--limit", "kidneys<=-5 p=0.05: x"), "above 0 Gy"),
        (("--limit", "kidneys<=23: x"), "probability"),
        (("--limit", "kidneys<=23 p=1: x"), "between 0 and 1"),
        (("--limit", "kidneys<=23,5 p=0.1: x"), "a number"),
        (("--limit", "kidneys<=23 p=0.1 q=3: x"), "ab="),
        (("--limit", "kidneys"), "CITATION"),
        (("--limit", "spleen<=23 p=0.1: x"), "organ of the study"),
        (("--limit", LIMIT, "--nuclide", "Zz-99"), "nuclide"),
        (("--limit", LIMIT, "--study-nuclide", "Y-90"), "--study-nuclide"),
        (("--limit", LIMIT, "--available", "Lu-177"), "NUCLIDE=GBQ"),
        (("--limit", LIMIT, "--available", "Lu-177=nan"), "positive"),
        (("--limit", LIMIT, "--transplant-day=-3", "--marrow", "marrow"), "zero or more"),
        (("--limit", LIMIT, "--transplant-day=3"), "marrow"),
        (("--limit", LIMIT, "--level", "95"), "fraction"),
        (("--limit", LIMIT, "--draws", "10"), "at least"),
        (("--limits", "nothing.toml"), "exists"),
        (("--limit", LIMIT, "--schedule", "48,x", "--scan-u-percent", "5"), "hours"),
        (("--limit", LIMIT, "--schedule", "48"), "together"),
        (("--limit", LIMIT, "--schedule", "48", "--scan-u-percent", "500"), "below 1"),
    ],
)
def test_a_mistake_gets_one_sentence(fusin, folder, arguments, words):
    code, out, err = fusin("plan", folder / "plan.toml", *arguments)
    assert (code, out) == (3, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_rare_limit_gets_the_draws_that_it_needs(fusin, folder):
    """One lognormal dose: P(A d > L) = p at A = L / (median exp(z sigma)), z of p = 0.001 is 3.0902."""
    path = folder / "rare.toml"
    organ = '[[organ]]\nname = "liver"\ndose_gy_per_gbq = 0.71\ndose_gy_per_gbq_u_percent = 25\n'
    path.write_text(f'nuclide = "Lu-177"\n{organ}', encoding="utf-8")
    limit = ("--limit", "liver<=30 p=0.001: example")
    code, out, _ = fusin("plan", path, *limit, "--json")
    assert code == 0
    expected = 30.0 / (0.71 * math.exp(3.0902 * math.sqrt(math.log1p(0.25**2))))
    assert json.loads(out)["activity_gbq"]["Lu-177"]["value"] == pytest.approx(expected, rel=0.035)
    code, _, err = fusin("plan", path, *limit, "--draws", "20000")
    assert code == 3
    assert "at least 30000" in err


def test_schedules_are_compared_for_each_organ(fusin, folder):
    code, out, _ = fusin(
        "plan",
        folder / "plan.toml",
        "--limit",
        LIMIT,
        "--draws",
        "2000",
        "--schedule",
        "48,120",
        "--schedule",
        "96",
        "--scan-u-percent",
        "5",
        "--json",
    )
    rows = json.loads(out)["schedules"]
    assert code == 0
    assert {(r["organ"], len(r["times_h"]), r["method"]) for r in rows} == {
        (organ, n, m) for organ in ("kidneys", "red marrow", "lesion")
        for n, m in ((2, "map"), (2, "mono"), (1, "haenscheid"), (1, "madsen"), (1, "map"))
    }  # fmt: skip
    assert all(r["rms"] > r["rms_u"] > 0 for r in rows)


HEAD = 'nuclide = "Lu-177"\n[[organ]]\nname = "kidneys"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "dose_gy_per_gbq = -1\n", "above 0"),
        (HEAD + "mass_g = 3\n", "dose per GBq"),
        (HEAD + "dose_gy_per_gbq = 1\ndose_gy_per_gbq_low = 0.5\n", "both limits"),
        (HEAD + "dose_gy_per_gbq = 1\ncolour = 2\n", "colour"),
        (HEAD + 'dose_gy_per_gbq = 1\nabsorbed_kev = { "Q-1" = 3 }\n', "Q-1"),
        (HEAD + "dose_gy_per_gbq = 1\nabsorbed_kev = 3\n", "table"),
        (HEAD + 'dose_gy_per_gbq = 1\n[[limit]]\norgan = "kidneys"\nprobability = 0.1\n', "one of the two"),
        ('nuclide = "Lu-177"\n', "at least one organ"),
        ("[[organ]]\nname = 'a'\ndose_gy_per_gbq = 1\n", "nuclide of the study"),
        ("organ = 3\nnuclide = 'Lu-177'\n", "table"),
        ("= 3", "TOML"),
    ],
)
def test_a_study_that_cannot_be_used_is_refused(tmp_path, text, words):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FusinError, match=words):
        read_study(path, NoticeLog())


def test_a_table_with_decimal_commas_is_the_same_study(folder):
    from_table, _ = read_study(folder / "plan.csv", NoticeLog(), nuclide_name="Lu-177")
    from_toml, _ = read_study(folder / "plan.toml", NoticeLog())
    assert from_table.organs[0].dose_gy_per_gbq == from_toml.organs[0].dose_gy_per_gbq
    assert from_table.organs[0].mass_g == 150


def test_limits_of_a_table_are_those_of_toml(folder, tmp_path):
    path = tmp_path / "limits.csv"
    path.write_text(
        "organ,at_most_gy,probability,quantity,residual_day,citation\nkidneys,23,0.05,,,example value\n"
        "red marrow,0.5,0.1,residual,14,example value\n", encoding="utf-8",
    )  # fmt: skip
    assert read_limits(path, NoticeLog()) == read_limits(folder / "plan_limits.toml", NoticeLog())


def test_a_document_of_fusin_dose_is_a_study(tmp_path):
    estimate = {"value": 0.2, "low": 0.16, "high": 0.25, "level": 0.95}
    half_life = {"value": 41, "low": 33, "high": 51, "level": 0.95}
    regions = [
        {"name": "kidney", "dose_gy": estimate, "t_eff_h": half_life, "mass_g": 155},
        {"name": "x", "dose_gy": None},
    ]
    path, log = tmp_path / "results.json", NoticeLog()
    path.write_text(json.dumps({"nuclide": "Lu-177", "administered_mbq": 200, "regions": regions}), encoding="utf-8")
    study, _ = read_study(path, log)
    assert study.organs[0].dose_gy_per_gbq.value == pytest.approx(1.0)
    assert study.organs[0].t_eff_h.high == 51
    assert [n.code for n in log.notices] == ["ORGAN_WITHOUT_DOSE"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"regions": 3}', '{"regions": []}', '{"regions": [{"name": "a"}]}',
     '{"nuclide": "Lu-177", "administered_mbq": 0, "regions": [{"name": "a"}]}',
     '{"nuclide": "Lu-177", "administered_mbq": 200, "regions": [{"name": "a", "dose_gy": {"value": "x"}}]}'],
)  # fmt: skip
def test_a_document_that_is_no_study_is_refused(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FusinError):
        read_study(path, NoticeLog())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_no_line_of_a_limit_breaks_the_reader(text):
    try:
        found = parse_limit(text)
    except FusinError:
        found = None
    assert found is None or found.value_gy > 0


def test_a_line_holds_all_that_a_limit_has():
    found = parse_limit("renal cortex >= 40.5 Gy EQD2 p=0.1 ab=2.6 repair=2.8: Smith 2020: table 3")
    assert (found.organ, found.value_gy, found.at_most, found.quantity) == ("renal cortex", 40.5, False, "eqd2")
    assert (found.alpha_beta_gy, found.repair_half_time_h, found.citation) == (2.6, 2.8, "Smith 2020: table 3")
