"""Published numbers from the outside: queries, forest plots, discrepancies, and checks of claims."""

from __future__ import annotations

import pytest

from fusin.report.demo_tables import CLAIMS


@pytest.fixture
def claims(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(CLAIMS, encoding="utf-8")
    return path


def test_evidence_alone_lists_its_topics(fusin):
    found = fusin("evidence", "--json").document()
    assert {"detection", "accuracy", "dosimetry"} <= set(found["topics"])
    assert found["records"] == []


def test_a_query_returns_cited_records_only_of_what_was_asked(fusin, tmp_path):
    out = tmp_path / "out"
    found = fusin("evidence", "--topic", "detection", "--entity", "lymphoma", "--out", out, "--json").document()
    assert found["records"]
    assert all("lymphoma" in r["entity"].lower() and r["citation"] for r in found["records"])
    assert (out / "tables" / "records.csv").is_file()


def test_a_forest_plot_ends_with_ones_own_rate(fusin, tmp_path):
    out = tmp_path / "out"
    arguments = ("--forest", "detection", "--per", "patient", "--add", "mine=17/20", "--out", out)
    rows = fusin("evidence", *arguments, "--json").document()["forest"]
    assert (rows[-1]["label"], rows[-1]["k"], rows[-1]["n"], rows[-1]["added"]) == ("mine", 17, 20, True)
    assert {r["per"] for r in rows} == {"patient"}
    assert "mine" in (out / "figures" / "forest-detection.svg").read_text()


def test_discrepancies_stand_beside_their_originals(fusin):
    found = fusin("evidence", "--discrepancies", "--json").document()["discrepancies"]
    assert len(found) > 10
    assert all(d["claim"] and d["original"] for d in found)


def test_check_finds_what_cannot_be_so(fusin, claims):
    """ACC (n = 41): the p of TRB; a series of 85: one truth vector that differs; Werner 2017: 245 for 244."""
    ran = fusin("evidence", "check", claims, "--tolerance", "0.1", "--json")
    found = {f["claim"]: f for f in ran.document()["findings"]}
    assert ran.code == 0
    trb = found["ACC: TRB per 10 mL"]
    assert trb["severity"] == "suspect"
    assert "0.023" in trb["sentence"]
    assert found["ACC: peritoneal metastases"]["severity"] == "ok"
    truth = found["85 patients with primary aldosteronism"]
    assert truth["severity"] == "conflict"
    assert "CT 72" in truth["sentence"]
    assert "PET 76" in truth["sentence"]
    assert "SSTR would be 244" in found["Three tracers by grade"]["sentence"]


def test_check_writes_a_report(fusin, claims, tmp_path):
    out = tmp_path / "out"
    assert fusin("evidence", "check", claims, "--out", out).code == 0
    assert "TRB" in (out / "report.html").read_text()
    assert (out / "tables" / "consistency.md").read_text().startswith("| Severity")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--topic", "detectoin"), "detection"),
        (("--forest", "radiopharmacy"), "one of"),
        (("--forest", "dosimetry"), "detection"),
        (("--forest", "detection", "--add", "mine=20/17"), "0 <= k <= n"),
        (("--forest", "detection", "--add", "mine"), "LABEL=k/n"),
        (("--add", "mine=1/2"), "--forest"),
        (("--topic", "detection", "--per", "lesion"), "--forest"),
        (("check", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_mistake_of_evidence_is_one_sentence(fusin, arguments, part):
    ran = fusin("evidence", *arguments)
    assert ran.code == 3
    assert part in ran.refusal


def test_a_misspelt_claim_is_refused_and_not_skipped(fusin, tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text('[[hazard_ratio]]\nname = "x"\nratio = "2"\nlow = "1"\nhihg = "4"\n')
    ran = fusin("evidence", "check", path)
    assert (ran.code, "hihg" in ran.refusal) == (3, True)
