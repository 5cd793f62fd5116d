"""The page and the figures of a reconstruction."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.run import run_reconstruction
from fusin.report.demo_reconstruct import run_part
from fusin.report.reconstruct_figures import image_figure, likelihood_figure
from fusin.report.reconstruct_files import reconstruct_files
from fusin.report.reconstruct_report import reconstruct_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slice")
    run_part(folder)
    text = (folder / "small_map.toml").read_text()
    (folder / "map.toml").write_text(text + "\n[calibration]\nbq_ml_per_count = 100\nu_percent = 4\n")
    config = read_config(folder / "map.toml")
    return run_reconstruction(config, acquire(config, log=NoticeLog()), log=NoticeLog())


def test_the_likelihood_is_drawn_for_each_iteration(run):
    figure = likelihood_figure(run)
    drawn = [float(v) for v in re.findall(r'data-y="([^"]+)"', figure.svg)]
    count = run.result.state.iteration
    assert drawn[:count] == pytest.approx(run.result.state.log_likelihood, rel=1e-9)
    assert drawn[count:] == pytest.approx(run.result.state.objective, rel=1e-9)


def test_the_planes_are_named_and_the_scale_ends_at_the_highest_value(run):
    figure = image_figure(run)
    for word in ("axial", "coronal", "sagittal", "image [Bq/mL]"):
        assert word in figure.svg
    labels = [float(t.replace("\u2009", "")) for t in re.findall(r'class="legend-value">([^<]+)<', figure.svg)]
    assert 0.5 * run.image.values.max() < max(labels) <= run.image.values.max()


def test_an_empty_image_is_still_drawn(run):
    from dataclasses import replace

    empty = replace(run, image=Volume(values=np.zeros(run.image.shape, np.float32), grid=run.image.grid, unit="Bq/ml"))
    assert "<svg" in image_figure(empty).svg


def test_the_interval_of_the_calibration_stands_without_a_bootstrap(run):
    """4 % standard uncertainty: 1.96 x 4 % on both sides."""
    output = reconstruct_report(run, log=NoticeLog())
    mean = output.document["regions"][0]["mean"]
    assert mean["high"] / mean["value"] == pytest.approx(1 + 1.959964 * 0.04, rel=1e-6)
    assert mean["method"] == "calibration, normal"


def test_every_correction_stands_on_the_page(run):
    output = reconstruct_report(run, log=NoticeLog())
    (section,) = [s for s in output.sections if s.name == "corrections"]
    assert section.text == run.corrections
    assert any("100 Bq/mL per image value, standard uncertainty 4 %" in s for s in section.text)


def test_what_a_dicom_object_lacks_is_named(run):
    log = NoticeLog()
    files = reconstruct_files(run, log=log)
    assert "image.dcm" not in files
    assert [n.code for n in log] == ["IMAGE_DICOM_NOT_WRITTEN"]
    assert "the nuclide" in log.notices[0].message
