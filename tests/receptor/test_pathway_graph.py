"""A model as a graph: what turns, what drives, what holds back, and what takes part."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("libsbml", reason="needs the extra receptor")

from fusin.errors import InputError
from fusin.receptor.network import NodeWords, read_layer
from fusin.receptor.occupancy_trafficking import chemokine_trafficking
from fusin.receptor.pathway_graph import node_levels, pathway_graph, taking_part
from fusin.receptor.sbml_read import read_model
from fusin.receptor.simulation import Simulator


@cache
def pathway():
    words = tuple(w for letter in "ABCDE" for w in read_layer(letter).nodes)
    return pathway_graph(read_model("cxcr4-pathway"), words)


def edges():
    graph = pathway()
    return {(graph.nodes[e.source].label, graph.nodes[e.target].label, e.kind) for e in graph.edges}


@pytest.mark.parametrize(
    "edge",
    [
        ("CXCL12", "CXCR4 with CXCL12", "turns"),
        ("CXCR4", "CXCR4 with CXCL12", "turns"),
        ("pentixafor", "CXCR4 with antagonist", "turns"),
        ("CXCR4 with CXCL12", "Gαi", "drives"),
        ("Gβγ", "PI3K", "drives"),
        ("PI3K", "PIP3", "drives"),
        ("PIP3", "Akt", "drives"),
        ("S6K", "PI3K", "blocks"),
        ("ERK", "Raf", "blocks"),
        ("MEK", "ERK", "drives"),
        ("Gβγ", "PLC", "drives"),
        ("Ca²⁺", "IP3 receptor", "blocks"),
        ("CXCR4 with arrestin, inside", "ERK on arrestin", "drives"),
    ],
)
def test_arrows_follow_from_the_formulas(edge):
    assert edge in edges()


def test_nothing_points_at_itself_and_every_end_exists():
    graph = pathway()
    assert all(e.source != e.target for e in graph.edges)
    assert {k for e in graph.edges for k in (e.source, e.target)} <= set(range(len(graph.nodes)))
    assert {n.lane for n in graph.nodes} == set(graph.lanes)


def test_what_stays_empty_is_left_out():
    course = Simulator(read_model("cxcr4-pathway")).run(until=600.0, points=11, changed={"CXCL12": 10.0})
    graph = pathway()
    smaller = taking_part(graph, [node_levels(graph, course)])
    labels = {n.label for n in smaller.nodes}
    assert "Akt" in labels
    assert not labels & {"ACKR3", "pentixafor", "CXCR4 with antagonist"}
    assert all(max(e.source, e.target) < len(smaller.nodes) for e in smaller.edges)


def test_levels_are_shares_of_the_active_form_or_amounts():
    course = Simulator(read_model("cxcr4-pathway")).run(until=600.0, points=11, changed={"CXCL12": 10.0})
    graph = pathway()
    levels = node_levels(graph, course)
    place = {n.label: k for k, n in enumerate(graph.nodes)}
    assert levels[:, place["Akt"]] == pytest.approx(course["pAkt"])
    assert levels[:, place["CXCR4"]] == pytest.approx(course["R4"])
    assert np.all(levels[:, [k for k, n in enumerate(graph.nodes) if n.switches]] <= 1.0 + 1e-9)


def test_species_without_words_are_nodes_of_their_own():
    graph = pathway_graph(read_model("cxcr4"), (NodeWords("arrestin", ("Be", "Bp"), ("Be", "Bp")),))
    assert len(graph.nodes) == len(read_model("cxcr4").species) - 1


def test_cxcl12_takes_receptor_inside_and_hides_what_is_left():
    """110 nM: about half of the receptor is off the surface after 40 min, by the layer of Coggins 2014."""
    rows = {(r["cxcl12_nm"], r["minutes"]): r for r in chemokine_trafficking([1.0, 110.0])}
    assert rows[110.0, 40]["surface"] == pytest.approx(0.5, abs=0.05)
    assert rows[110.0, 40]["unoccupied"] < 0.2
    assert rows[1.0, 40]["surface"] > 0.95
    with pytest.raises(InputError):
        chemokine_trafficking([1.0], cell="yeast")
