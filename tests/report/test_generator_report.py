"""A generator for people: what the figures draw is what was computed, and the page holds it."""

from __future__ import annotations

import json
import re

import pytest

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.generator_analysis import assess_generator
from fusin.radiopharmacy.generator_log import GeneratorOptions, PlanRequest, read_generator
from fusin.report.demo_generator import run_part
from fusin.report.generator_figures import activity_figure, yield_figure
from fusin.report.generator_report import generator_report
from fusin.report.job_output import write_job


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    return folder, run_part(folder)


def result(**more):
    options = GeneratorOptions(ge68_mbq=1850.0, yields=(0.7,), **more)
    return assess_generator(read_generator(None, options, NoticeLog()), NoticeLog())


def test_the_activity_figure_marks_every_calculated_eluate():
    figure = activity_figure(result(elute_at=(0.0, 180.0, 360.0)))
    marked = re.findall(r'class="calculated" data-value="([\d.]+)"', figure.svg)
    assert [float(v) for v in marked] == pytest.approx([1295.2, 1151.2, 1144.0], abs=0.05)
    assert "measured" not in re.findall(r'class="legend">([^<]*)', figure.svg)


def test_one_elution_and_a_plan_alone_are_drawn_or_left_out():
    assert activity_figure(result(elute_at=(0.0,))) is not None
    assert activity_figure(result(plan=PlanRequest(time=0.0))) is None


def test_the_control_chart_draws_each_measured_yield(demo):
    folder, _ = demo
    log = read_generator(folder / "generator.toml", GeneratorOptions(), NoticeLog())
    found = assess_generator(log, NoticeLog())
    figure = yield_figure(found.trends[0], found)
    drawn = {int(n): float(v) for n, v in re.findall(r'data-number="(\d+)" data-value="([\d.]+)"', figure.svg)}
    assert drawn == pytest.approx(found.yields, rel=1e-5)


def test_the_demonstration_finds_the_elution_that_went_wrong(demo):
    _, output = demo
    assert output.document["trends"][0]["chart"]["outside"] == [23]
    assert output.document["plan"]["enough"] is True


def test_the_page_is_one_file_and_equal_runs_are_equal_bytes(demo, tmp_path):
    folder, output = demo
    first, second = tmp_path / "a", tmp_path / "b"
    write_job(output, first)
    write_job(run_part(folder), second)
    assert (first / "report.html").read_bytes() == (second / "report.html").read_bytes()
    assert "Mandel" in (first / "report.html").read_text(encoding="utf-8")
    assert json.loads((first / "results.json").read_text(encoding="utf-8"))["elutions"][0]["number"] == 1


def test_every_section_of_pooled_generators_is_made(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text(
        '[[generator]]\nname = "A"\nge68_mbq = 1850\nyield = 0.7\n[[generator]]\nname = "B"\nge68_mbq = 700\nyield = 0.6\n'
        "[[elution]]\ntime_min = 0\neluted_mbq = 1700\nreference_min = 0\nge68_eluate_bq = 900\n"
        "[[elution]]\ntime_min = 240\ngenerator = 'B'\neluted_mbq = 380\nreference_min = 240\n"
        "[plan]\ntime_min = 480\nwanted_mbq = 1000\n"
    )
    output = generator_report(path, options=GeneratorOptions(), log=NoticeLog())
    assert [s.name for s in output.sections] == ["yields", "elutions", "breakthrough", "plan", "retirement"]
    assert [t["series"] for t in output.document["trends"]] == ["A+B", "B"]
