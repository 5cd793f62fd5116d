"""What the pages of binding assays show: every compound, its experiments, and curves that belong to the numbers beside them."""

from __future__ import annotations

import re

import pytest

from fusin.assays.binding import BindingOptions
from fusin.assays.binding_tables import BINDING_COLUMNS, SATURATION_COLUMNS
from fusin.provenance import NoticeLog
from fusin.report.binding_report import binding_of_table
from fusin.report.demo_binding import TRUTHS, run_part


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return folder, run_part(folder)


def test_the_demonstration_finds_the_truth_that_it_planted(demo):
    _, output = demo
    compounds = {c["compound"]: c for c in output.document["competition"]["compounds"]}
    for truth in TRUTHS:
        # Three experiments that differ by 0.06 in log Ki, and 4 % pipetting.
        assert compounds[truth.name]["ki_nm"]["value"] == pytest.approx(truth.ki_nm, rel=0.25)
    kd = output.document["saturation"]["kd"]
    assert kd["low"] < 0.5 < kd["high"]
    homologous = output.document["homologous"]["kd_nm"]
    assert homologous["low"] < 2.0 < homologous["high"]


def test_equal_seeds_make_equal_demonstrations(demo, tmp_path):
    folder, output = demo
    again = run_part(tmp_path)
    assert (tmp_path / "competition.csv").read_bytes() == (folder / "competition.csv").read_bytes()
    assert [f.svg for f in again.figures()] == [f.svg for f in output.figures()]


def test_tables_have_the_documented_columns(demo):
    _, output = demo
    tables = {t.name: t.frame for t in output.tables()}
    assert list(tables["competition-binding"].columns) == [c.name for c in BINDING_COLUMNS]
    assert list(tables["saturation-saturation"].columns) == [c.name for c in SATURATION_COLUMNS]


def test_the_family_holds_a_curve_a_legend_and_an_interval_for_each_compound(demo):
    _, output = demo
    figure = next(f for f in output.figures() if f.name == "competition-competition")
    assert figure.svg.count('class="curve"') == len(TRUTHS)
    assert figure.svg.count('class="interval"') == len(TRUTHS)
    for truth in TRUTHS:
        assert truth.name in figure.svg
    assert " style=" not in figure.svg


def test_every_curve_shows_all_its_tubes_and_their_residuals(demo):
    _, output = demo
    figure = next(f for f in output.figures() if f.name == "competition-curve-1")
    assert figure.svg.count('class="point"') == figure.svg.count('class="residual"') == 24
    assert 'class="band"' in figure.svg
    assert "log₁₀ competitor [mol/L]" in figure.svg


def test_no_number_of_a_figure_is_broken(demo):
    _, output = demo
    for figure in output.figures():
        assert not re.search(r"\b(nan|inf)\b", figure.svg, re.IGNORECASE), figure.name


def test_the_page_says_which_model_was_chosen_and_why(demo, tmp_path):
    folder, _ = demo
    text = (folder / "competition.csv").read_text().splitlines()
    single = [text[0], *[row for row in text[1:] if row.startswith("ligand B,E1")]]
    path = tmp_path / "one.csv"
    path.write_text("\n".join(single), encoding="utf-8")
    output = binding_of_table(path, options=BindingOptions(model="f-test"), log=NoticeLog())
    said = " ".join(output.sections[0].text)
    assert "Slope 1 against a free slope" in said
    assert "extra sum of squares F test" in said
    assert "AICc" in said
    assert "Reported: one-site competition" in said
