"""The page of a dose: contract, tables, figures, and that equal input gives equal bytes."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from fusin.dosimetry.dose_table import DoseOptions
from fusin.dosimetry.priors import lognormal_prior
from fusin.dosimetry.time_activity_region import IntegrationOptions
from fusin.provenance import NoticeLog
from fusin.report.demo_time_activity import run_part
from fusin.report.dose_figures import PANELS
from fusin.report.dose_report import dose_report
from fusin.report.job_output import write_job

CONTRACT = {"name", "model", "parameters", "tia_mbq_h", "tiac_h", "extrapolated_fraction", "dose_gy", "notices"}


def report(tmp_path, table, model="auto", **options):
    path = tmp_path / "t.csv"
    table.to_csv(path, index=False)
    chosen = DoseOptions(nuclide="Lu-177", integration=IntegrationOptions(model=model), **options)
    return dose_report(path, options=chosen, log=NoticeLog())


def regions(count):
    t = np.array([4.0, 24.0, 72.0, 144.0])
    scatter = np.array([1.02, 0.99, 1.01, 1.0])
    parts = [
        pd.DataFrame({"region": f"lesion {i}", "time_h": t, "activity_mbq": (i + 1) * np.exp2(-t / (30 + i)) * scatter})
        for i in range(count)
    ]
    return pd.concat(parts)


def test_the_document_holds_the_contract(tmp_path):
    output = run_part(tmp_path)
    document = json.loads(json.dumps(output.to_json()))
    assert len(document["regions"]) == 6
    for region in document["regions"]:
        assert set(region) >= CONTRACT
        assert {"value", "low", "high"} <= set(region["tia_mbq_h"])
        assert 0 < region["extrapolated_fraction"] < 1
        assert "lambda_1_per_h" in region["parameters"]
        assert all(n["where"] == region["name"] for n in region["notices"])
    assert {m["id"] for m in document["provenance"]["methods"]} >= {"exponentials", "aicc", "sphere"}


def test_the_demonstration_is_the_same_for_the_same_seed(tmp_path):
    pages = []
    for name in ("a", "b"):
        output = run_part(tmp_path / name)
        write_job(output, tmp_path / name / "out")
        pages.append((tmp_path / name / "out" / "report.html").read_bytes())
    assert pages[0] == pages[1]
    assert run_part(tmp_path / "c", seed=1).document != run_part(tmp_path / "d", seed=2).document


def test_every_region_has_a_panel_and_six_share_a_figure(tmp_path):
    figures = report(tmp_path, regions(8)).figures()
    assert [f.svg.count('class="panel-title"') for f in figures] == [PANELS, 2]
    assert [f.name for f in figures] == ["time-activity-1", "time-activity-2"]


def test_a_panel_draws_points_band_residuals_and_the_extrapolated_part_apart(tmp_path):
    (figure,) = report(tmp_path, regions(1)).figures()
    assert figure.svg.count('class="point"') == 4
    assert figure.svg.count('class="residual"') == 4
    assert figure.svg.count('class="band"') == 1
    within = re.search(r'<path[^>]*class="curve-within"[^>]*>', figure.svg)[0]
    for name in ("curve-before", "curve-beyond"):
        beyond = re.search(rf'<path[^>]*class="{name}"[^>]*>', figure.svg)[0]
        assert "stroke-dasharray" in beyond
        assert "stroke-dasharray" not in within
    assert "dashed" in figure.caption


@pytest.mark.parametrize("model", ["haenscheid", "madsen", "map"])
def test_one_scan_makes_a_page(tmp_path, model):
    table = pd.DataFrame(
        {"region": ["kidney"], "time_h": [72.0], "activity_mbq": [30.0], "uncertainty_mbq": [1.0], "mass_g": [150.0]}
    )
    output = report(tmp_path, table, model, priors=(lognormal_prior(mean_h=41.0, sd_h=10.0),))
    write_job(output, tmp_path / "out")
    assert "from one scan" in output.summary[1]
    assert output.document["regions"][0]["prior"] == "given"
    assert any(m.id == "prior given" for m in output.provenance.methods)


def test_an_integral_without_an_interval_says_so_where_it_is_printed(tmp_path):
    output = report(tmp_path, regions(1), "trapezoid")
    assert output.document["regions"][0]["tia_mbq_h"]["low"] is None
    assert "no interval" in output.summary[1]


def test_a_region_that_failed_stands_in_document_table_and_summary(tmp_path):
    output = report(tmp_path, pd.concat([regions(1), regions(2).iloc[4:5]]))
    failed = output.document["regions"][1]
    assert failed["model"] is None
    assert failed["tia_mbq_h"] is None
    assert "AICc" in failed["reason"]
    assert any("lesion 1" in s for s in output.summary)
    frame = next(t.frame for t in output.tables() if t.name == "doses")
    assert frame.loc[1, "reason"] == failed["reason"]


def test_the_table_of_points_holds_every_residual(tmp_path):
    output = report(tmp_path, regions(2), "mono")
    frame = next(t.frame for t in output.tables() if t.name == "points")
    assert len(frame) == 8
    expected = 100 * (frame["activity_mbq"] / frame["fitted_mbq"] - 1)
    assert frame["residual_percent"].to_numpy(float) == pytest.approx(expected.to_numpy(float))
