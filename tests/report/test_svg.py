"""Text that comes from headers stays text, and numbers stay short."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.report.svg import REFERENCE_COLOURS, Canvas, path_data, short, ticks


def test_markup_in_texts_titles_and_attributes_is_escaped() -> None:
    canvas = Canvas(10, 10, label='"><script>', css="x")
    canvas.text(1, 1, "<b>&")
    canvas.add("rect", title="</title><script>", data_key='" onload="x')
    root = ET.fromstring(canvas.render())
    assert root.attrib["aria-label"] == '"><script>'
    assert root[0].text == "<b>&"
    assert root[1].attrib == {"data-key": '" onload="x'}
    assert root[1][0].text == "</title><script>"


def test_groups_close_and_missing_attributes_are_left_out() -> None:
    canvas = Canvas(10, 10, label="x", css="x")
    with canvas.group("a", href="#tile-1", title="lesion 1"):
        canvas.add("line", x1=1.0, x2=None, class_="cut")
    link = ET.fromstring(canvas.render())[0]
    assert link.attrib == {"href": "#tile-1"}
    assert link[1].attrib == {"x1": "1", "class": "cut"}


@settings(max_examples=60, deadline=None)
@given(value=st.floats(-1e6, 1e6))
def test_short_numbers_are_right_to_the_digits_kept(value: float) -> None:
    assert float(short(value, 2)) == pytest.approx(value, abs=0.00501)
    assert short(value, 2) != "-0"


@settings(max_examples=60, deadline=None)
@given(high=st.floats(1e-3, 1e5))
def test_axis_ticks_are_even_and_just_cover_the_data(high: float) -> None:
    found = ticks(high)
    steps = np.diff(found)
    assert found[0] == 0
    assert found[-1] >= high * (1 - 1e-9)
    assert found[-2] < high * (1 + 1e-9)
    assert np.allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 1e-6


@pytest.mark.parametrize("high", [0.0, -3.0, math.nan, math.inf])
def test_an_axis_without_data_still_has_two_ends(high: float) -> None:
    assert ticks(high) == [0.0, 1.0]


def test_long_outlines_are_thinned_and_closed() -> None:
    angle = np.linspace(0, 2 * np.pi, 500)
    data = path_data([np.stack([np.cos(angle), np.sin(angle)], axis=1)], 10.0, most=50)
    assert data.startswith("M10 0L")
    assert data.endswith("Z")
    assert data.count("L") + 1 == 50


def test_each_reference_tissue_has_its_own_colour() -> None:
    assert len(set(REFERENCE_COLOURS.values())) == len(REFERENCE_COLOURS) == 7
