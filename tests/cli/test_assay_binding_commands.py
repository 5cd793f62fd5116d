"""fusin assay binding and saturation as a user runs them: the contract, the files, and one sentence for each mistake."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.assays.models import variable_slope
from fusin.assays.synthetic_binding import CompetitionTruth, make_competition, make_saturation

CONTRACT = {"log_ic50", "ic50_nm", "hill", "top", "bottom", "ki_nm", "residual_ss", "n", "notices"}


@pytest.fixture
def competition(tmp_path):
    path = tmp_path / "competition.csv"
    truths = (CompetitionTruth(name="a", ki_nm=2.0), CompetitionTruth(name="b", ki_nm=20.0))
    make_competition(truths, seed=1).to_csv(path, index=False)
    return path


@pytest.fixture
def saturation(tmp_path):
    path = tmp_path / "saturation.csv"
    make_saturation(seed=1).to_csv(path, index=False)
    return path


@pytest.fixture
def plain(tmp_path):
    """Two columns, one experiment, no names."""
    x = np.array([0.0, *10.0 ** np.arange(-1, 5, 0.5)])
    with np.errstate(divide="ignore"):
        y = variable_slope(np.log10(x) - 9, start=1000.0, end=100.0, log_ic50=-8.0, hill=1.0)
    path = tmp_path / "plain.csv"
    rows = zip(x, y + np.random.default_rng(0).normal(0, 10, x.size), strict=True)
    path.write_text("concentration_nM,counts\n" + "".join(f"{a:g},{b:.1f}\n" for a, b in rows), encoding="utf-8")
    return path


def test_the_document_of_a_plain_table_is_the_contract(fusin, plain):
    found = fusin("assay", "binding", plain, "--json").document()
    assert set(found) >= CONTRACT
    assert found["log_ic50"]["low"] < -8.0 < found["log_ic50"]["high"]
    assert found["ic50_nm"]["value"] == pytest.approx(10 ** (found["log_ic50"]["value"] + 9))
    assert set(found["hill"]) >= {"value", "low", "high", "se", "method"}
    assert (found["direction"], found["n"], found["ki_nm"]) == ("decreasing", 13, None)
    assert "Kd" in found["ki_note"]
    assert found["response"] == "counts"


def test_several_compounds_and_experiments_are_listed_below_the_first(fusin, competition):
    found = fusin("assay", "binding", competition, "--model", "one-site", "--reference", "a", "--json").document()
    assert [c["compound"] for c in found["compounds"]] == ["a", "b"]
    assert [e["experiment"] for e in found["experiments"]] == ["E1", "E2", "E3"]
    assert found["compound"] == "a"
    assert found["compounds"][1]["relative_ic50"]["value"] == pytest.approx(10.0, rel=0.5)
    assert found["log_ic50"]["method"].startswith("t interval")


def test_tables_figures_and_report_are_written(fusin, competition, tmp_path):
    out = tmp_path / "out"
    ran = fusin("assay", "binding", competition, "--kd-nm", "0.5", "--radioligand-nm", "0.2", "--out", out)
    assert ran.code == 0, ran.err
    assert (out / "report.html").is_file()
    assert (
        (out / "tables" / "binding.csv")
        .read_text()
        .splitlines()[0]
        .startswith("compound,experiment,model,n,log_ic50,log_ic50_low")
    )
    family = (out / "figures" / "competition.svg").read_text()
    assert family.count('class="curve"') == 2
    assert family.count('class="point"') == 2 * 3 * 24
    assert len(list((out / "figures").glob("curve-*.svg"))) == 6


def test_saturation_gives_bmax_and_kd(fusin, saturation, tmp_path):
    arguments = (
        "--deplete",
        "--volume-ml",
        "0.25",
        "--specific-activity",
        "1000",
        "--noise",
        "relative",
        "--cells",
        "200000",
    )
    found = fusin("assay", "saturation", saturation, *arguments, "--out", tmp_path / "out", "--json").document()
    assert found["kd"]["low"] < 0.5 < found["kd"]["high"]
    assert found["bmax"]["low"] < 24000 < found["bmax"]["high"]
    assert found["bmax_sites_cell"]["value"] == pytest.approx(
        found["bmax"]["value"] / 1000 * 1e-15 * 6.02214076e23 / 2e5
    )
    drawn = (tmp_path / "out" / "figures" / "saturation-1.svg").read_text()
    assert "non-specific" in drawn
    assert drawn.count('class="band"') == 2


def test_two_runs_write_the_same_bytes(fusin, competition, tmp_path):
    for name in ("one", "two"):
        fusin(
            "assay", "binding", competition, "--interval", "bootstrap", "--resamples", "100", "--out", tmp_path / name
        )
    assert (tmp_path / "one" / "results.json").read_bytes() == (tmp_path / "two" / "results.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "hill"), "--model: choice"),
        (("--level", "95"), "a fraction between 0 and 1"),
        (("--noise", "sqrt"), "--noise: choice"),
        (("--unit", "ng/mL"), "pM, nM, uM, mM, M"),
        (("--response", "dpm"), "--response: column"),
        (("--reference", "x"), "--reference: compound"),
        (("--normalise", "controls"), "rows of kind nonspecific"),
        (("--kd-nm", "0"), "Kd: value"),
        (("--model", "homologous"), "hot"),
        (("--noise", "given"), "standard deviation"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence_and_exit_3(fusin, plain, arguments, sentence):
    ran = fusin("assay", "binding", plain, *arguments)
    assert ran.code == 3
    assert sentence in ran.refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "concentration,cpm\n1,2\n",
        "concentration_nM,cpm\n1,a\n",
        "concentration_nM,cpm\n-1,2\n",
        "log10_concentration_M,cpm\n5,2\n",
        "concentration_nM,cpm\n1,0\n2,0\n3,0\n4,0\n5,0\n6,0\n",
        "concentration_nM,cpm\n1,1\n1,2\n1,3\n1,4\n1,5\n1,6\n",
    ],
)
@pytest.mark.parametrize("verb", ["binding", "saturation"])
def test_a_bad_file_is_one_sentence_and_exit_3(fusin, tmp_path, verb, text):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    ran = fusin("assay", verb, path)
    assert ran.code == 3
    assert ran.refusal


def test_strict_refuses_a_decimal_comma(fusin, tmp_path):
    path = tmp_path / "comma.csv"
    path.write_text(
        "concentration_nM;cpm\n"
        + "".join(f"{a};{b}\n" for a, b in (("0,1", 99), ("1,5", 80), ("15", 40), ("150", 12), ("1500", 9), ("0", 101)))
    )
    assert fusin("assay", "binding", path, "--model", "one-site").code == 0
    assert fusin("assay", "binding", path, "--model", "one-site", "--strict").code == 3
