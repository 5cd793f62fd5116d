"""The verb chromatogram: the same numbers as the library, one document, one sentence for each mistake."""

from __future__ import annotations

import json

import pytest

from fusin.provenance import NoticeLog
from fusin.report.chromatogram_report import ChromatogramInputs, chromatogram_report
from fusin.report.demo_chromatogram import write_files


@pytest.fixture(scope="module")
def vial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vial")
    write_files(folder)
    return folder


def test_the_document_holds_the_contract_and_the_numbers_of_the_library(fusin, vial):
    code, out, _ = fusin("chromatogram", vial / "hplc.csv", "--method", vial / "hplc.toml", "--json")
    assert code == 0
    document = json.loads(out)
    assert {"name", "start", "end", "area", "percent", "uncertainty"} <= set(document["peaks"][0])
    inputs = ChromatogramInputs(files=(vial / "hplc.csv",), methods=(vial / "hplc.toml",))
    assert document["rcp_percent"] == chromatogram_report(inputs, log=NoticeLog()).document["rcp_percent"]
    assert isinstance(document["notices"], list)


def test_options_alone_do_what_a_method_does(fusin, vial):
    saved = fusin(
        "chromatogram",
        vial / "tlc_citrate.csv",
        "--method",
        vial / "tlc_citrate.toml",
        "--product",
        "bound",
        "--json",
    )
    typed = fusin("chromatogram", vial / "tlc_citrate.csv", "--nuclide", "68Ga", "--scan-duration", "120", "--origin", "15",
        "--front", "90", "--region", "bound=-0.15-0.25", "--region", "free 68Ga=0.7..1.1", "--blank", "35-55",
        "--denominator", "strip", "--product", "bound", "--json",
    )  # fmt: skip
    assert json.loads(typed[1])["rcp_percent"] == pytest.approx(json.loads(saved[1])["rcp_percent"], rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hplc.csv",), "decay_correction"),
        (("missing.csv",), "exists"),
        (("hplc.csv", "--nuclide", "Ga-99"), "Ga-68"),
        (("hplc.csv", "--fit", "lorentzian"), "emg"),
        (("hplc.csv", "--peak", "a=3-1"), "smaller first"),
        (("hplc.csv", "--peak", "3-1"), "NAME=START-END"),
        (("hplc.csv", "--level", "95"), "0.95"),
        (("hplc.csv", "--combine", "sum"), "tlc-tlc"),
        (("hplc.csv", "--no-decay-correction", "--product", "drug"), "drug"),
        (("tlc_citrate.csv", "--no-decay-correction"), "regions"),
        (("tlc_citrate.csv", "--no-decay-correction", "--region", "a=0-1"), "origin"),
        (("tlc_acetate.txt", "--no-decay-correction", "--region", "a=0-1"), "Weg"),
        (("hplc.csv", "--method", "nothing.toml"), "TOML file that exists"),
        (("hplc.csv", "--map", "nothing.toml"), "TOML file that exists"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_3(fusin, vial, monkeypatch, arguments, words):
    monkeypatch.chdir(vial)
    code, out, err = fusin("chromatogram", *arguments)
    assert code == 3
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


def test_strict_mode_refuses_an_inferred_decimal_comma(fusin, vial, tmp_path):
    path = tmp_path / "german.csv"
    path.write_text("time_min;counts\n" + "".join(f"{i},5;{40 if i == 9 else 2}\n" for i in range(20)))
    assert fusin("chromatogram", path, "--no-decay-correction", "--peak", "a=8-11", "--strict")[0] == 3
    assert fusin("chromatogram", path, "--no-decay-correction", "--peak", "a=8-11")[0] == 0
