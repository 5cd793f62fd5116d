"""Axes end on round numbers around their values, and words keep to their places."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.report.plate import (
    SERIES,
    Entry,
    Plate,
    axis_over,
    fit_text,
    legend_height,
    number_label,
    polyline,
    spread,
    text_width,
    wrap,
)

NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 5)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.booleans())
def test_an_axis_encloses_its_values_with_different_labels(values: list[float], zero: bool) -> None:
    axis = axis_over(values, 0.0, 100.0, zero=zero)
    slack = 1e-6 * (axis.high - axis.low)
    assert axis.low - slack <= min(values) <= max(values) <= axis.high + slack
    assert 2 <= len(axis.ticks) <= 14
    assert not zero or axis.within(0.0)
    if max(values) - min(values) > 1e-3:
        assert len(set(axis.labels())) == len(axis.ticks)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-5, 1e7), min_size=1, max_size=6))
def test_a_logarithmic_axis_encloses_its_values(values: list[float]) -> None:
    axis = axis_over(values, 0.0, 100.0, log=True)
    assert axis.low <= min(values) * (1 + 1e-8)
    assert axis.high >= max(values) * (1 - 1e-8)
    assert len(axis.ticks) >= 2
    assert axis(math.sqrt(axis.low * axis.high)) == pytest.approx(50.0)


def test_an_axis_of_nothing_goes_from_zero_to_one() -> None:
    assert axis_over([math.nan], 0.0, 1.0).ticks[-1] == 1.0


def test_labels_have_the_decimals_of_their_step_and_a_true_minus() -> None:
    assert number_label(-2.5, 2.5) == "−2.5"
    assert number_label(0.25, 0.25) == "0.25"
    assert number_label(-0.0, 5.0) == "0"
    assert number_label(10000, 5000) == "10\u2009000"


def test_texts_are_shortened_and_wrapped_within_their_width() -> None:
    text = "Waldenström, bone marrow: patients with uptake of a long name"
    assert text_width(fit_text(text, 90.0)) <= 90.0
    lines = wrap(text, 90.0, most=2)
    assert len(lines) == 2
    assert all(text_width(line) <= 90.0 for line in lines)
    assert lines[1].endswith("…")
    assert wrap("", 10.0) == [""]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_labels_at_a_margin_stand_apart_in_their_order(values: list[float]) -> None:
    placed = spread(values, 9.0, 0.0, 100.0)
    ordered = [placed[i] for i in sorted(range(len(values)), key=lambda i: values[i])]
    assert all(b - a >= 9.0 - 1e-6 for a, b in itertools.pairwise(ordered))
    assert max(placed) <= 100.0


def test_a_path_leaves_out_points_that_change_nothing() -> None:
    assert polyline([(0, 0), (1, 0), (2, 0), (2, 1), (2, 1.001)]) == "M0 0L2 0L2 1"
    assert polyline([]) == ""


def test_a_legend_breaks_into_rows() -> None:
    entries = [Entry("a rather long name of a tracer", SERIES[i]) for i in range(3)]
    assert legend_height(entries, 200.0) == 33.0
    assert legend_height([], 200.0) == 0.0


def test_a_figure_is_written_whole(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = Plate(85.0, 100.0, label="x").figure("empty", "nothing").write(tmp_path / "new")
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    assert [p.name for p in path.parent.iterdir()] == ["empty.svg"]
