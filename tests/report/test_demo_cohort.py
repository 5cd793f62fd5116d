"""The cohort of the demonstration: readable tables, one page with every figure, and the truth recovered."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest

from fusin.report import cohort_figures
from fusin.report.demo_cohort import run_cohort_demo, write_demo_tables

# Figure function to the stem with which its files begin.
FIGURES = {
    "bland_altman_plot": "repeat-bland-altman",
    "concordance_map": "subtype-concordance",
    "forest_plot": "evidence-forest",
    "paired_plot": "compare-paired",
    "rate_bars": "compare-detection",
    "roc_plot": "accuracy-roc",
    "survival_plot": "outcome-survival",
    "swimmer_plot": "outcome-swimmer",
    "upset_plot": "compare-shared",
    "waterfall_plot": "outcome-waterfall",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(output, folder)."""
    folder = tmp_path_factory.mktemp("demo") / "cohort"
    output = run_cohort_demo(folder)
    return output, folder


def test_every_kind_of_figure_is_drawn(demo):
    names = [f.stem for f in (demo[1] / "figures").iterdir()]
    plots = {n for n in cohort_figures.__all__ if n.endswith(("_plot", "_map", "_bars"))}
    assert plots == set(FIGURES)
    assert [plot for plot, stem in FIGURES.items() if not any(n.startswith(stem) for n in names)] == []


def test_every_figure_is_well_formed_and_on_the_page(demo):
    page = (demo[1] / "report.html").read_text()
    figures = sorted((demo[1] / "figures").iterdir())
    assert page.count("<figure") == len(figures)
    assert all(ET.fromstring(f.read_bytes()).tag.endswith("svg") for f in figures)


def test_the_page_asks_the_network_for_nothing(demo):
    page = (demo[1] / "report.html").read_text()
    assert not re.search(r'(?:src|href)="https?:', page)
    assert "Research use only" in page or "RESEARCH USE ONLY" in page.upper()


def test_each_table_is_written_in_three_forms(demo):
    outputs = json.loads((demo[1] / "results.json").read_text())["outputs"]
    for table in demo[0].tables():
        forms = [f"{table.name}_{form}" in outputs for form in ("csv", "markdown", "word")]
        assert forms == [True, table.on_page, table.on_page]


def test_names_of_tables_and_figures_are_unique(demo):
    for items in (demo[0].tables(), demo[0].figures()):
        names = [i.name for i in items]
        assert len(names) == len(set(names))


def test_the_checker_finds_the_published_contradictions(demo):
    findings = demo[0].document["check"]["findings"]
    flagged = {f["claim"] for f in findings if f["severity"] in ("suspect", "conflict")}
    assert flagged == {"ACC: TRB per 10 mL", "85 patients with primary aldosteronism", "Three tracers by grade"}


def test_detection_follows_the_design(demo):
    """Default design, G3: CXCR4 0.70, FDG 0.90, SSTR 0.35; the clustered 95 % interval of each holds it."""
    rates = {(r["tracer"], r["group"]): r for r in demo[0].document["compare"]["detection"] if r["unit"] == "lesion"}
    for tracer, truth in (("CXCR4", 0.70), ("FDG", 0.90), ("SSTR", 0.35)):
        clustered = rates[tracer, "G3"]["clustered"]
        assert clustered["low"] < truth < clustered["high"]


def test_the_same_seed_gives_the_same_tables(tmp_path):
    for name in ("one", "two"):
        write_demo_tables(tmp_path / name, seed=3)
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 16
    assert all(f.read_bytes() == (tmp_path / "two" / f.name).read_bytes() for f in files)
