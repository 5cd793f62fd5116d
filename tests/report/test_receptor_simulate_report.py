"""The page of a simulation: what its figures draw, and what they must say."""

from __future__ import annotations

import pytest

from fusin.provenance import NoticeLog
from fusin.receptor.engines import Experiment, open_model
from fusin.receptor.experiments import Study
from fusin.receptor.quantities import parse_pairs, parse_quantity
from fusin.report.demo_simulation import run_part
from fusin.report.receptor_simulate_report import simulate_report

pytest.importorskip("libsbml")


def report(name="cxcr4", **asked):
    experiment = Experiment(
        until=parse_quantity("90min", "--until"), points=31, dose=parse_pairs(["CXCL12=110nM"], "--dose")
    )  # fmt: skip
    return simulate_report(open_model(name), experiment, Study(**asked), log=NoticeLog())


def figures(output):
    return {f.name: f.svg for f in output.figures()}


def test_a_course_with_draws_has_two_bands_their_median_and_the_model_itself():
    svg = figures(report(outputs=("C4Bp",), draws=10, ranges=("KD_L_R4=2:40:log",)))["time-course"]
    assert [svg.count(f'class="{name}"') for name in ("band", "median", "course")] == [2, 1, 1]
    assert "time [min]" in svg


def test_a_dose_response_has_a_point_for_each_dose_and_a_family_of_courses():
    drawn = figures(report(outputs=("C4Bp",), dose_response="CXCL12=1nM:1000nM:5:log"))
    assert drawn["response"].count('class="point"') == 2 * 5
    assert drawn["family"].count('class="course"') == 5
    assert "CXCL12 [nM]" in drawn["response"]


@pytest.mark.parametrize(("name", "relative"), [("cxcr4", False), ("cxcr4-pathway", True)])
def test_figures_of_uncalibrated_layers_say_so(name, relative):
    for svg in figures(report(name, outputs=("C4Bp",), scan="KD_L_R4=2:40:3:log")).values():
        assert ("relative, uncalibrated for CXCR4" in svg) is relative


def test_the_summary_speaks_of_the_first_output_that_was_asked_for():
    output = report(outputs=("R4", "C4Bp"))
    assert " R4: " in output.summary[0]
    assert [r["column"] for r in output.document["responses"]] == ["R4", "C4Bp"]


def test_equal_runs_give_equal_bytes(tmp_path):
    one, other = run_part(tmp_path / "a", seed=1), run_part(tmp_path / "b", seed=1)
    assert figures(one) == figures(other)
    assert one.document == other.document
    assert (tmp_path / "a" / "ligand.xml").read_bytes() == (tmp_path / "b" / "ligand.xml").read_bytes()


def test_times_of_the_table_say_their_unit_and_small_rates_keep_their_digits():
    from fusin.report.table_text import print_table

    output = report(outputs=("C4Bp",), draws=10, ranges=("k_int_C4=0.00001:0.0047:log",))
    tables = {t.name: t for s in output.sections for t in s.tables}
    course = print_table(tables["course-summary"].frame, tables["course-summary"].shown)
    assert "Time of highest [s]" in course.headings
    draws = print_table(tables["draws"].frame, tables["draws"].shown)
    low = draws.rows[0][draws.headings.index("Low")]
    assert low == "1e−5"
