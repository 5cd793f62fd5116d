"""Layouts of graphs: boxes do not overlap, lanes keep their order, lines keep out of boxes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.report.graph_layout import lay_out

BOX, GAP, WIDTH = 60.0, 8.0, 460.0


@st.composite
def graphs(draw):
    lanes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=16))
    node = st.integers(0, len(lanes) - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=24))
    return lanes, list(dict.fromkeys((a, b) for a, b in pairs if a != b))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_boxes_of_a_row_never_overlap_and_stay_on_the_page(graph):
    laid = lay_out(*graph, width=WIDTH, gap=GAP, box=BOX, most=5)
    for level in range(laid.rows):
        places = sorted(x for x, row in zip(laid.x, laid.row, strict=True) if row == level)
        assert len(places) <= 5
        assert all(b - a >= min(BOX, WIDTH / 8) * 0.6 for a, b in pairwise(places))
        assert all(0 <= x <= WIDTH for x in places)


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_lanes_stand_one_below_the_other(graph):
    lanes, links = graph
    laid = lay_out(lanes, links, width=WIDTH, gap=GAP, box=BOX)
    for k, lane in enumerate(lanes):
        first, last = laid.bands[lane]
        assert first <= laid.row[k] <= last
    used = [laid.bands[lane] for lane in sorted(set(lanes))]
    assert all(above[1] < below[0] for above, below in pairwise(used))


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_a_line_passes_every_row_between_its_ends(graph):
    lanes, links = graph
    laid = lay_out(lanes, links, width=WIDTH, gap=GAP, box=BOX)
    for (a, b), route in zip(links, laid.routes, strict=True):
        assert len(route) == max(abs(laid.row[a] - laid.row[b]) - 1, 0)


def test_a_line_leaves_room_beside_the_boxes_that_it_passes():
    laid = lay_out([0, 1, 2], [(0, 1), (1, 2), (0, 2)], width=WIDTH, gap=GAP, box=BOX)
    row, x = laid.routes[2][0]
    assert row == laid.row[1]
    assert abs(x - laid.x[1]) >= BOX / 2 + GAP - 1e-6


def test_a_chain_stands_in_the_middle():
    laid = lay_out([0, 0, 0], [(0, 1), (1, 2)], width=WIDTH, gap=GAP, box=BOX)
    assert laid.row == (0, 1, 2)
    assert laid.x == pytest.approx((WIDTH / 2,) * 3)


def test_a_circle_does_not_hang_the_layout():
    laid = lay_out([0, 0], [(0, 1), (1, 0)], width=WIDTH, gap=GAP, box=BOX)
    assert laid.row[0] != laid.row[1]
