"""Pages of the receptor: occupancy, pathway in its states, and workflows whose verbs exist."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
import typer.main

from fusin.provenance import NoticeLog
from fusin.receptor.occupancy_case import case_of
from fusin.report.pathway_figure import shade
from fusin.report.receptor_occupancy import occupancy_report
from fusin.report.workflow_figures import workflow_figure, workflow_report, workflows

CASE = {
    "tracer": {"kd_nm": [0.1, 25], "amount_nmol": 30, "weight_kg": 75, "free_suv": 1.66},
    "tissue": {"receptor_nm": [50, 170]},
    "drug": [{"name": "plerixafor"}],
    "cxcl12": {"free_nm": [10]},
    "ic50": [{"name": "A", "ic50_nm": 24.8, "radioligand_nm": 0.2, "radioligand_kd_nm": 0.5, "receptor_nm": 1.0}],
}


@pytest.fixture(scope="module")
def occupancy():
    log = NoticeLog()
    return occupancy_report(case_of(CASE, "x", log=log), inputs=(), seed=0, draws=500, log=log)


def test_every_part_that_was_asked_for_has_its_section(occupancy):
    assert [s.name for s in occupancy.sections] == ["occupancy", "mass", "drugs", "cxcl12", "ki", "affinities"]
    assert {f.name for f in occupancy.figures()} == {"occupancy_map", "mass_effect", "drug_on_board"}


def test_every_number_of_the_summary_has_its_interval(occupancy):
    assert len(occupancy.summary) == 4
    assert all(re.search(r"\(.+ to .+\)", sentence) for sentence in occupancy.summary)


def test_figures_are_readable_xml_without_style(occupancy):
    for figure in occupancy.figures():
        root = ET.fromstring(figure.svg)
        assert root.get("role") == "img"
        assert "style=" not in figure.svg


def test_nothing_asked_is_said():
    log = NoticeLog()
    output = occupancy_report(case_of({}, "x", log=log), inputs=(), seed=0, draws=500, log=log)
    assert "Nothing was asked" in output.summary[0]


@pytest.fixture(scope="module")
def drawn():
    pytest.importorskip("libsbml", reason="needs the extra receptor")
    from fusin.receptor.engines import Experiment, open_model
    from fusin.receptor.quantities import parse_pairs, parse_quantity
    from fusin.report.receptor_pathway import pathway_report

    experiment = Experiment(
        until=parse_quantity("20min", "t"), points=121, dose=parse_pairs(["CXCL12=10nM"], "d"),
        block=parse_pairs(["pentixafor=50nM"], "b"),
    )  # fmt: skip
    return pathway_report(open_model("cxcr4-pathway"), experiment, at=parse_quantity("10min", "t"), log=NoticeLog())


def test_three_states_are_drawn_with_the_same_boxes(drawn):
    assert [f.name for f in drawn.figures()] == ["pathway_rest", "pathway_stimulated", "pathway_blocked"]
    boxes = [re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"', f.svg) for f in drawn.figures()]
    assert boxes[0] == boxes[1] == boxes[2]


def test_every_drawing_of_lower_layers_says_that_they_are_relative(drawn):
    for figure in drawn.figures():
        assert "relative, uncalibrated for CXCR4" in figure.svg


def test_the_stimulus_is_deeper_than_the_block(drawn):
    levels = {row["node"]: row for row in drawn.document["nodes"]}
    for node in ("Gβγ", "Akt", "ERK", "CXCR4 with CXCL12"):
        assert levels[node]["rest"] <= levels[node]["blocked"] < levels[node]["stimulated"], node
    assert levels["CXCR4"]["unit"] == "molecules"
    assert levels["CXCL12"]["unit"] == "nM"


def test_every_parameter_of_the_model_is_listed_with_its_status(drawn):
    assert {p["status"] for p in drawn.document["parameters"]} == {"assumed", "borrowed", "fitted-in-source"}
    assert len(drawn.document["parameters"]) > 80


def test_shades_run_from_white_to_deep_and_stop_at_the_ends():
    assert shade(0.0) == shade(-1.0) == "#FFFFFF"
    assert shade(1.0) == shade(7.0) != shade(0.5)


def _verbs():
    from fusin.cli.app import app

    command = typer.main.get_command(app)
    found = set(command.commands)
    return found, found | {f"{n} {s}" for n in found for s in getattr(command.commands[n], "commands", ())}


def test_every_step_of_a_workflow_is_a_verb_that_exists():
    _, every = _verbs()
    assert {s.verb for w in workflows().values() for s in w.stages} <= every


def test_every_verb_has_its_place_in_a_workflow():
    """A new verb that no workflow shows is a verb that nobody finds; the demonstration is no step."""
    top, _ = _verbs()
    shown = {s.verb.split()[0] for w in workflows().values() for s in w.stages}
    assert top - {"demo"} <= shown


@pytest.mark.parametrize("name", ["theranostic", "study"])
def test_a_workflow_names_each_verb_in_its_drawing(name):
    figure = workflow_figure(workflows()[name])
    assert all(f"fusin {s.verb}" in figure.svg for s in workflows()[name].stages)
    assert set(workflow_report(log=NoticeLog()).document["workflows"]) == set(workflows())
