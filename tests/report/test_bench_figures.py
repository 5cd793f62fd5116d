"""Figures of the bench: what is plotted is what was handed over, and nothing is cut off."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from fusin.report.bench_figures import Bar, Course, CoursePoint, bars_of_organs, course_over_time

SVG = "{http://www.w3.org/2000/svg}"


def marked(figure, css):
    return [e for e in ET.fromstring(figure.svg).iter() if e.get("class") == css]


def test_every_bar_whisker_and_animal_is_drawn():
    bars = [Bar(series=s, organ=o, mean=m, sd=0.1 * m, values=(0.9 * m, 1.1 * m)) for s, f in (("a", 1.0), ("b", 0.5))
            for o, m in (("tumor", 16 * f), ("blood", 1 * f))]  # fmt: skip
    figure = bars_of_organs(bars, title="%ID/g")
    assert [float(e.get("data-value")) for e in marked(figure, "mean")] == [b.mean for b in bars]
    assert len(marked(figure, "whisker")) == 4
    assert len(marked(figure, "animal")) == 8
    heights = {e.get("data-organ") + e.get("data-series"): float(e.get("height")) for e in marked(figure, "mean")}
    assert heights["tumora"] == pytest.approx(16 * heights["blooda"], rel=0.03)
    assert "SD" in figure.caption


def test_a_long_organ_name_and_many_organs_stay_inside():
    bars = [Bar(series="", organ=f"a rather long name of organ {i}", mean=1.0 + i, sd=None) for i in range(30)]
    figure = bars_of_organs(bars, title="%ID/g")
    assert "24 of 30 organs" in figure.caption
    width, height = (float(v) for v in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure.svg).groups())
    for element in marked(figure, "organ"):
        assert 0 < float(element.get("x")) < width
        assert 0 < float(element.get("y")) < height


def test_a_bar_below_zero_hangs_down():
    figure = bars_of_organs([Bar(series="", organ="blood", mean=-1.0, sd=0.2), Bar(series="", organ="liver", mean=2.0, sd=0.1)],
                            title="%ID/g")  # fmt: skip
    below, above = marked(figure, "mean")
    assert float(below.get("y")) == pytest.approx(float(above.get("y")) + float(above.get("height")), abs=0.05)


def test_a_course_shows_means_and_a_fitted_line():
    points = tuple(CoursePoint(x=x, y=y, low=y - 1, high=y + 1, values=(y,)) for x, y in ((0.0, 100.0), (30.0, 60.0)))
    figure = course_over_time(
        [Course(label="a", points=points, line=((0.0, 100.0), (15.0, 75.0), (30.0, 60.0))), Course(label="b", points=points)],
        x_title="time [min]", y_title="retained [%]", caption="c",
    )  # fmt: skip
    assert [float(e.get("data-y")) for e in marked(figure, "mean")] == [100.0, 60.0] * 2
    assert len(marked(figure, "course")) == 2
    assert len(marked(figure, "well")) == 4


def test_equal_results_are_equal_pictures():
    bars = [Bar(series="", organ="blood", mean=1.0, sd=0.2, values=(0.8, 1.0, 1.2))]
    assert bars_of_organs(bars, title="x").svg == bars_of_organs(bars, title="x").svg
