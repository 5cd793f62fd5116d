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
    assert output.document["combination"]["formula"] == "(100 - A) x T"
    assert {"regions", "peaks", "runs"} <= set(output.document)
    assert not any(n.code == "HPLC_MISSES_COLLOID" for n in output.notices)


def test_two_strips_are_combined_by_subtraction(vial):
    inputs = ChromatogramInputs(
        files=(vial / "tlc_citrate.csv", vial / "tlc_acetate.txt"),
        methods=(vial / "tlc_citrate.toml", vial / "tlc_acetate.toml"),
        maps=(Path("none"), vial / "tlc_acetate_map.toml"),
    )
    document = chromatogram_report(inputs, log=NoticeLog()).document
    terms = document["combination"]
    assert document["rcp_percent"] == pytest.approx(100 - terms["A"]["percent"] - terms["B"]["percent"])
    with pytest.raises(InputError, match="combination"):
        chromatogram_report(replace(inputs, combine="tlc-hplc"), log=NoticeLog())


def test_one_impurity_is_not_subtracted_twice(vial):
    inputs = ChromatogramInputs(files=(vial / "tlc_citrate.csv",) * 2, methods=(vial / "tlc_citrate.toml",))
    with pytest.raises(InputError, match="twice"):
        chromatogram_report(inputs, log=NoticeLog())


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
