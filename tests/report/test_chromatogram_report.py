"""From files to one document: kinds, combinations, figures, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from fusin.errors import Ambiguous, InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_method import PeakRule, RegionRule
from fusin.report.chromatogram_balance import balance_report
from fusin.report.chromatogram_figures import thinned
from fusin.report.chromatogram_report import ChromatogramInputs, chromatogram_report
from fusin.report.demo_chromatogram import TRUTH, run_part, write_files
from fusin.report.job_output import write_job


@pytest.fixture(scope="module")
def vial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vial")
    write_files(folder)
    return folder


def strip(vial, name="citrate", **more):
    return chromatogram_report(
        ChromatogramInputs(files=(vial / f"tlc_{name}.csv",), methods=(vial / f"tlc_{name}.toml",)),
        log=NoticeLog(),
        **more,
    )


def test_the_demonstration_finds_the_truth_that_it_was_made_of(tmp_path):
    output = run_part(tmp_path, seed=3)
    rcp = output.document["rcp"]
    assert rcp["low"] <= TRUTH["product"] <= rcp["high"]
    assert output.document["combination"]["formula"] == "(100 - A) x T, T without free 68Ga"
    assert {"regions", "peaks", "runs"} <= set(output.document)
    assert not any(n.code == "HPLC_MISSES_COLLOID" for n in output.notices)


def test_two_strips_are_combined_by_subtraction(vial):
    inputs = ChromatogramInputs(
        files=(vial / "tlc_citrate.csv", vial / "tlc_acetate.txt"),
        methods=(vial / "tlc_citrate.toml", vial / "tlc_acetate.toml"),
        maps=(Path("none"), vial / "tlc_acetate_map.toml"),
    )
    log = NoticeLog()
    document = chromatogram_report(inputs, log=log).document
    terms = document["combination"]
    assert terms["formula"] == "100 - B"
    assert document["rcp_percent"] == pytest.approx(100 - terms["B"]["percent"])
    assert [s["name"] for s in terms["species"]] == ["colloid", "free"]
    assert [s["percent"] for s in terms["species"]] == pytest.approx([TRUTH["colloid"], TRUTH["free 68Ga"]], abs=0.1)
    assert next(n.message for n in log if n.code == "PRODUCT_NOT_ALONE").startswith("neither system parts by-product")
    with pytest.raises(InputError, match="combination"):
        chromatogram_report(replace(inputs, combine="tlc-hplc"), log=NoticeLog())


def test_one_impurity_is_not_subtracted_twice(vial):
    inputs = ChromatogramInputs(files=(vial / "tlc_citrate.csv",) * 2, methods=(vial / "tlc_citrate.toml",))
    document = chromatogram_report(inputs, log=NoticeLog()).document
    assert document["combination"]["formula"] == "100 - A"
    text = (vial / "tlc_citrate.toml").read_text().replace('contains = ["free"]', 'role = "impurity"')
    (vial / "silent.toml").write_text(text)
    with pytest.raises(InputError, match="twice"):
        chromatogram_report(replace(inputs, methods=(vial / "silent.toml",)), log=NoticeLog())


def test_two_runs_are_not_combined_and_the_document_says_why(vial):
    inputs = ChromatogramInputs(files=(vial / "hplc.csv",) * 2, methods=(vial / "hplc.toml",))
    document = chromatogram_report(inputs, log=NoticeLog()).document
    assert document["rcp_percent"] is None
    assert "not combined" in document["rcp"]["reason"]
    assert len(document["peaks"]) == 6


def test_a_method_of_the_other_kind_is_refused(vial):
    for files, methods in (("hplc.csv", "tlc_citrate.toml"), ("tlc_citrate.csv", "hplc.toml")):
        with pytest.raises(InputError, match="axis"):
            chromatogram_report(ChromatogramInputs(files=(vial / files,), methods=(vial / methods,)), log=NoticeLog())


def test_regions_over_time_and_peaks_over_distance_are_refused(vial):
    inputs = ChromatogramInputs(files=(vial / "hplc.csv",))
    with pytest.raises(InputError, match="regions"):
        chromatogram_report(
            inputs, change=lambda m: m.changed(regions=(RegionRule(name="a", rf=(0, 1)),)), log=NoticeLog()
        )
    with pytest.raises(InputError, match="peaks"):
        chromatogram_report(
            replace(inputs, files=(vial / "tlc_citrate.csv",)),
            change=lambda m: m.changed(peaks=(PeakRule(name="a", window_min=(0, 1)),)), log=NoticeLog(),
        )  # fmt: skip


def test_two_radio_channels_need_a_choice(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("time_min,a_counts,b_counts\n" + "".join(f"{i},{i + 1},{i + 2}\n" for i in range(9)))
    with pytest.raises(Ambiguous, match="2 channels"):
        chromatogram_report(ChromatogramInputs(files=(path,)), log=NoticeLog())


def test_the_number_of_methods_must_fit_the_files(vial):
    inputs = ChromatogramInputs(files=(vial / "hplc.csv",) * 3, methods=(vial / "hplc.toml",) * 2)
    with pytest.raises(InputError, match="one for each of the 3"):
        chromatogram_report(inputs, log=NoticeLog())


def test_equal_files_give_equal_documents(vial):
    one, two = (strip(vial, change=lambda m: m.changed(products=("bound",))) for _ in range(2))
    assert json.dumps(one.to_json(), default=str) == json.dumps(two.to_json(), default=str)
    assert one.document["rcp_percent"] == one.document["regions"][0]["percent"]


def test_the_figure_draws_every_line_of_the_integration(vial):
    svg = ET.fromstring(strip(vial).figures()[0].svg)
    drawn = [e.get("class") for e in svg.iter()]
    assert drawn.count("baseline") == drawn.count("signal") == 2
    assert drawn.count("bound") == 2 * 2 * 2
    assert {"origin", "front", "area"} <= set(drawn)
    assert not re.search(r"nan|inf", strip(vial).figures()[0].svg)


def test_the_figure_of_a_run_shows_drop_lines_names_and_the_other_channel(vial):
    inputs = ChromatogramInputs(files=(vial / "hplc.csv",), methods=(vial / "hplc.toml",))
    svg = ET.fromstring(chromatogram_report(inputs, log=NoticeLog()).figures()[0].svg)
    drawn = [e.get("class") for e in svg.iter()]
    assert drawn.count("drop-line") == 2 * 2 * 3
    assert "channel" in drawn
    texts = [e.text or "" for e in svg.iter() if e.get("class") == "piece-label"]
    assert any("product" in t and "%" in t for t in texts)


def test_thinning_keeps_the_highest_and_the_lowest_point():
    x = np.arange(50000.0)
    y = np.random.default_rng(0).normal(size=x.size)
    y[31234], y[777] = 99.0, -99.0
    xs, ys = thinned(x, y)
    assert xs.size <= 1800
    assert (ys.max(), ys.min()) == (99.0, -99.0)
    assert np.all(np.diff(xs) > 0)


def test_all_files_are_written(vial, tmp_path):
    written = write_job(strip(vial), tmp_path / "out")
    assert {"report", "json"} <= set(written)
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in written.values())


def test_the_page_lists_each_method_that_was_used_with_its_citation(vial):
    inputs = ChromatogramInputs(files=(vial / "hplc.csv",), methods=(vial / "hplc.toml",))
    output = chromatogram_report(inputs, log=NoticeLog())
    listed = {m.id: m.citation for m in output.provenance.methods}
    assert {"net-area", "baseline-constant", "decay", "half-life-Ga-68", "interval-score", "suitability"} <= set(listed)
    assert not {"dead-time", "shape-emg", "skim-tangent"} & set(listed)
    fitted = chromatogram_report(inputs, change=lambda m: m.changed(fit="emg", dead_time_us=1.0), log=NoticeLog())
    assert {"dead-time", "shape-emg", "interval-fieller"} <= {m.id for m in fitted.provenance.methods}


def test_percentages_that_rounding_does_not_explain_are_flagged_and_left_alone(tmp_path):
    """Batch 2 of Daniel et al., doi 10.1186/s41181-023-00187-2, table 3: 99.2 + 0.85 + 0.56."""
    (tmp_path / "batch2.csv").write_text("name;percent\nproduct;99,2\nfree;0,85\nother;0,56\n")
    (tmp_path / "batch1.csv").write_text("name,percent\nproduct,99.2 %\nfree,0.25\nother,0.56\n")
    log = NoticeLog()
    output = balance_report([tmp_path / "batch2.csv"], log=log)
    assert output.document["total"] == pytest.approx(100.61)
    assert not output.document["balanced"]
    assert [p["percent"] for p in output.document["parts"]] == [99.2, 0.85, 0.56]
    assert "MASS_BALANCE_OFF" in [n.code for n in log]
    both = balance_report([tmp_path / "batch1.csv", tmp_path / "batch2.csv"], log=NoticeLog()).document
    assert [d["balanced"] for d in both["runs"]] == [True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), ("name,value\na,1\n", "name and percent"), ("name,percent\na,x\n", "'x'"), ("name,percent\n", "one row"),
     ("name,percent\na,0,5\n", "2, as in"), ("name,percent\na,-1\n", "0 to 100"), ("name,percent\na,nan\n", "0 to 100")],
)  # fmt: skip
def test_a_table_of_percentages_that_cannot_be_added_is_refused_in_one_sentence(tmp_path, text, words):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        balance_report([tmp_path / "table.csv"], log=NoticeLog())
