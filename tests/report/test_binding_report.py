"""What the pages of binding assays show: every compound, its experiments, and curves that belong to the numbers beside them."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from fusin.assays.binding import BindingOptions
from fusin.assays.binding_radioligand import Radioligand
from fusin.assays.binding_tables import BINDING_COLUMNS, KI_COLUMNS, SATURATION_COLUMNS
from fusin.assays.saturation import SaturationOptions
from fusin.assays.synthetic_binding import CompetitionTruth, make_competition, make_saturation
from fusin.provenance import NoticeLog
from fusin.report.binding_report import binding_of_table, saturation_of_table
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


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Twenty-one compounds in two experiments: 63 rows."""
    path = tmp_path_factory.mktemp("many") / "many.csv"
    truths = [CompetitionTruth(name=f"c{i:02d}", ki_nm=1.0 + i) for i in range(21)]
    make_competition(truths, experiments=2, replicates=1).to_csv(path, index=False)
    hot = Radioligand(kd_nm=0.5, concentration_nm=0.2, added=50000.0)
    options = BindingOptions(model="one-site", radioligand=hot)
    return binding_of_table(path, options=options, log=NoticeLog())


def test_a_page_of_many_compounds_shows_one_row_for_each_and_says_where_the_others_are(many):
    tables = {t.name: t for t in many.tables()}
    assert (len(tables["binding"].frame), tables["binding"].on_page) == (63, False)
    assert (len(tables["compounds"].frame), tables["compounds"].on_page) == (21, True)
    assert not tables["ki"].on_page
    said = " ".join(t for s in many.sections for t in s.text)
    assert "63 rows are in tables/binding.csv" in said
    assert "Ki by every way is in tables/ki.csv" in said
    assert "The first 12 of 42 curves are drawn" in said
    assert len([f for f in many.figures() if f.name.startswith("curve-")]) == 12


def test_ki_is_shown_by_every_way_and_the_reported_one_is_marked(demo):
    _, output = demo
    frame = next(t.frame for t in output.tables() if t.name == "competition-ki")
    assert list(frame.columns) == [c.name for c in KI_COLUMNS]
    assert set(frame["way"]) == {"cheng-prusoff", "hot-depletion", "exact"}
    assert frame.loc[frame["reported"], "way"].tolist() == ["exact"] * len(TRUTHS)


def test_the_methods_are_those_that_were_used_each_with_its_citation(demo):
    _, output = demo
    cited = {m.id: m.citation for m in output.provenance.methods}
    for method, words in {
        "ki-cheng-prusoff": "1973;22:3099", "ki-exact": "Wang", "interval-profile": "Venzon", "aicc": "Hurvich, Tsai",
        "f-test": "Motulsky", "homologous-competition": "DeBlasi", "global-fit": "Munson, Rodbard", "mean-of-logs": "geometric",
        "ratio": "Satterthwaite", "depletion": "Prism",
    }.items():  # fmt: skip
        assert words in cited[method]
    assert "mover" not in cited
    assert "interval-wald" not in cited


def test_a_mean_says_in_its_sentence_how_many_experiments_it_holds(tmp_path):
    frame = make_competition((CompetitionTruth(name="a", ki_nm=5.0),), experiments=3)
    short = (frame["experiment"] == "E3") & ((frame["concentration_nM"] > 0.4) | (frame["kind"] != "sample"))
    path = tmp_path / "short.csv"
    frame[~short].to_csv(path, index=False)
    output = binding_of_table(path, options=BindingOptions(model="one-site"), log=NoticeLog())
    assert "of 2 of 3 experiments (no IC50 in E3)" in output.summary[0]
    assert any("2 of 3 experiments" in t for s in output.sections for t in s.text)


def test_curves_of_a_saturation_that_are_not_drawn_are_counted(tmp_path):
    frame = pd.concat([make_saturation(seed=i).assign(group=f"g{i:02d}") for i in range(13)])
    path = tmp_path / "groups.csv"
    frame.to_csv(path, index=False)
    output = saturation_of_table(path, options=SaturationOptions(noise="relative"), log=NoticeLog())
    assert "The first 12 of 13 curves are drawn." in output.sections[0].text
    assert len([f for f in output.figures() if f.name.startswith("saturation-")]) == 12
