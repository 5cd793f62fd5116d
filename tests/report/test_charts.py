"""What is drawn is what was measured."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest

from fusin.quantification.lesions import Lesion, Tbr
from fusin.quantification.reading import Reading
from fusin.report.charts import MOST_ROWS, peak_chart, tbr_chart


def nodes(text: str | None, css: str) -> list[ET.Element]:
    assert text is not None
    return [node for node in ET.fromstring(text).iter() if node.get("class") == css]


def with_peak(lesion: Lesion, value: float | None) -> Lesion:
    return replace(lesion, metrics=replace(lesion.metrics, suv_peak=value))


def test_each_lesion_is_a_point_at_its_suvpeak(reading: Reading) -> None:
    points = nodes(peak_chart(reading.lesions, reading.references, reading.threshold), "peak")
    assert [int(p.attrib["data-lesion"]) for p in points] == [x.number for x in reading.lesions]
    assert [float(p.attrib["data-suv"]) for p in points] == pytest.approx([x.metrics.suv_peak for x in reading.lesions])


def test_heights_are_linear_in_suv_and_share_the_axis_with_the_bands(reading: Reading) -> None:
    chart = peak_chart(reading.lesions, reading.references, reading.threshold)
    pairs = [(float(p.attrib["data-suv"]), float(p.attrib["cy"])) for p in nodes(chart, "peak")]
    pairs += [(float(b.attrib["data-mean"]), float(b.attrib["y1"])) for b in nodes(chart, "band")]
    pairs += [(float(c.attrib["data-suv"]), float(c.attrib["y1"])) for c in nodes(chart, "cut")]
    (v1, y1), (v2, y2) = pairs[0], pairs[4]
    slope = (y2 - y1) / (v2 - v1)
    assert slope < 0
    assert [y1 + slope * (v - v1) for v, _ in pairs] == pytest.approx([y for _, y in pairs], abs=0.05)
    assert len(pairs) == 5 + 2 + 1


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_missing_suvpeak_is_no_point_at_zero(reading: Reading, value: float | None) -> None:
    lesions = [with_peak(reading.lesions[0], value), *reading.lesions[1:]]
    points = nodes(peak_chart(lesions, (), {}), "peak")
    assert [p.attrib["data-lesion"] for p in points] == ["2", "3", "4", "5"]


def test_without_lesions_there_is_no_chart(reading: Reading) -> None:
    assert peak_chart((), reading.references, reading.threshold) is None
    assert tbr_chart(()) is None
    assert peak_chart([with_peak(reading.lesions[0], None)], ()) is None


def test_without_references_and_threshold_only_points_are_drawn(make_reading: Callable[..., Reading]) -> None:
    reading = make_reading(with_references=False)
    chart = peak_chart(reading.lesions, reading.references, {"suv": None})
    assert not nodes(chart, "band")
    assert not nodes(chart, "cut")
    assert tbr_chart(reading.lesions) is None


def test_ratios_carry_value_reference_and_interval(reading: Reading) -> None:
    chart = tbr_chart(reading.lesions)
    ratios = nodes(chart, "ratio")
    assert len(ratios) == 10
    assert {r.tag for r in ratios if r.attrib["data-reference"] == "blood_pool"} == {"circle"}
    assert {r.tag for r in ratios if r.attrib["data-reference"] == "liver"} == {"rect"}
    expected = reading.lesions[2].tbr("liver")
    assert expected is not None
    found = [r for r in ratios if (r.attrib["data-lesion"], r.attrib["data-reference"]) == ("3", "liver")]
    assert float(found[0].attrib["data-value"]) == pytest.approx(expected.value, rel=1e-5)
    for line, mark in zip(nodes(chart, "interval"), ratios, strict=True):
        x = float(mark.attrib.get("cx", 0)) or float(mark.attrib["x"]) + 3.3
        assert float(line.attrib["x1"]) < x < float(line.attrib["x2"])


def test_a_ratio_without_limits_has_no_interval(reading: Reading) -> None:
    bare = Tbr(reference="liver", statistic="max/mean", value=4.0, low=math.nan, high=math.inf, method="none")
    chart = tbr_chart([replace(reading.lesions[0], tbrs=(bare,))])
    assert len(nodes(chart, "ratio")) == 1
    assert not nodes(chart, "interval")


def test_a_hundred_lesions_stay_legible(reading: Reading) -> None:
    lesions = [replace(reading.lesions[0], number=n) for n in range(1, 201)]
    chart = peak_chart(lesions, reading.references)
    assert len(nodes(chart, "peak")) == 200
    assert len([n for n in ET.fromstring(chart or "").iter("text") if (n.text or "").isdigit()]) < 60
    assert len({n.attrib["data-lesion"] for n in nodes(tbr_chart(lesions), "ratio")}) == MOST_ROWS


def test_names_at_the_margin_do_not_cover_each_other(reading: Reading) -> None:
    same = [replace(r, mean=1.5) for r in reading.references]
    root = ET.fromstring(peak_chart(reading.lesions, same, {"suv": 1.55}) or "")
    heights = sorted(float(n.attrib["y"]) for n in root.iter("text") if n.get("font-size") == "10.5")
    assert len(heights) == 3
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 12
