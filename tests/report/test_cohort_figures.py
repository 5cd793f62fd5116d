"""Figures show the numbers of their results, keep their words apart, and do not change between runs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusin.cohort.comparison import summarise
from fusin.cohort.comparison_results import PairedValues
from fusin.cohort.detection import DetectionRate, shared_from_cells
from fusin.cohort.follow_up import SwimmerLane
from fusin.cohort.outcome import Waterfall
from fusin.errors import InputError
from fusin.evidence.query import Added, forest_data
from fusin.report import cohort_figures as figures
from fusin.report.cohort_figures_paired import MOST_LINES
from fusin.report.cohort_figures_rates import MOST_FOREST_ROWS
from fusin.report.cohort_figures_survival import MOST_LANES
from fusin.report.plate import text_width
from fusin.stats.agreement import bland_altman, cohen_kappa
from fusin.stats.paired import wilcoxon_signed_rank
from fusin.stats.proportions import proportion
from fusin.stats.results import Estimate
from fusin.stats.roc import auc, compare_auc, roc_curve, youden
from fusin.stats.survival import kaplan_meier, logrank

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("[68Ga]Ga-Pentixafor", "[18F]FDG")
NAN = re.compile(r"\b(nan|inf)\b")
HOSTILE = '<script>alert("1")</script>&\x07'


def parsed(figure: figures.Figure) -> ET.Element:
    return ET.fromstring(figure.standalone())


def of_class(figure: figures.Figure, css: str) -> list[ET.Element]:
    return [e for e in parsed(figure).iter() if e.get("class") == css]


def words_of(figure: figures.Figure) -> list[str]:
    return [e.text or "" for e in parsed(figure).iter(SVG + "text")]


def paired(n: int = 30, seed: int = 1, **more: Any) -> figures.Figure:
    rng = np.random.default_rng(seed)
    first = rng.lognormal(2, 0.5, n)
    second = first * rng.lognormal(-0.2, 0.3, n)
    result = PairedValues(
        metric="suv_max", unit="lesion", first=summarise(first), second=summarise(second), patients=n, unpaired=0,
        test=wilcoxon_signed_rank(first, second), patient_test=None,
    )  # fmt: skip
    return figures.paired_plot(first, second, names=NAMES, title="SUVmax [g/mL]", result=result, **more)


def agreement(n: int = 30, **more: Any) -> figures.Figure:
    rng = np.random.default_rng(2)
    first = rng.lognormal(2, 0.5, n)
    return figures.bland_altman_plot(
        bland_altman(first, first * rng.lognormal(0, 0.1, n), **more), names=("reader 1", "reader 2"), quantity="SUV"
    )


def roc(n: int = 60, curves: int = 2) -> figures.Figure:
    rng = np.random.default_rng(3)
    truth = np.arange(n) % 2 == 0
    scores = [rng.normal(0, 1, n) + shift * truth for shift in (1.5, 0.6, 1.0, 0.3)[:curves]]
    series = [
        figures.RocSeries(label=f"index {i}", curve=roc_curve(s, truth), auc=auc(s, truth), cut_off=youden(s, truth))
        for i, s in enumerate(scores)
    ]
    return figures.roc_plot(series, comparison=compare_auc(scores[0], scores[1], truth) if curves > 1 else None)


def follow_up(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    life, end = rng.exponential(20, n) + 0.1, rng.uniform(5, 48, n)
    return np.minimum(life, end), life < end, np.where(np.arange(n) % 2, "low uptake", "high uptake")


def survival(n: int = 60) -> figures.Figure:
    time, event, group = follow_up(n)
    curves = {g: kaplan_meier(time[group == g], event[group == g]) for g in ("low uptake", "high uptake")}
    return figures.survival_plot(curves, title="overall survival [%]", test=logrank(time, event, group))


def fall(n: int = 20, **more: Any) -> figures.Figure:
    change = np.linspace(180.0, -100.0, n) if n > 1 else np.array([-40.0])
    words = ("PD", "SD", None, "PR", "CR")
    return figures.waterfall_plot(
        Waterfall(
            metric="ctv_ml", patients=tuple(f"P{i:05d}" for i in range(n)), change_percent=tuple(change.tolist()),
            categories=tuple({"imwg": words[5 * i // n]} for i in range(n)), missing=("X",),
        ),
        **{"framework": "imwg", "limits": (-20.0, 25.0)} | more,
    )  # fmt: skip


def lanes(n: int = 12) -> tuple[SwimmerLane, ...]:
    return tuple(
        SwimmerLane(
            patient=f"P{i:02d}", months=40.0 / (i + 1), ended=("death", "last contact", "last known event")[i % 3],
            marks=((10.0 / (i + 1), "cycle 1"), (20.0 / (i + 1), "progression")),
        )
        for i in range(n)
    )  # fmt: skip


def heat() -> figures.Figure:
    table = [[31, 3, 0], [4, 22, 5], [1, 2, 27]]
    return figures.concordance_map(
        table,
        ("left", "bilateral", "right"),
        names=("PET", "AVS"),
        agreement=proportion(80, 95),
        kappa=cohen_kappa(table),
    )


def shared() -> figures.Figure:
    tracers = ("[68Ga]Ga-DOTATOC", "[18F]FDG", "[68Ga]Ga-Pentixafor")
    cells = {tracers[:1]: 107, tracers[:2]: 7, tracers[1:2]: 3, tracers: 3, (): 4}
    return figures.upset_plot(shared_from_cells(tracers, cells))


def rates() -> list[DetectionRate]:
    counts = {"G1": ((115, 115), (12, 115)), "G2": ((117, 120), (13, 120)), "G3": ((79, 113), (110, 113))}
    return [
        DetectionRate(unit="lesion", tracer=t, by="grade", group=g, rate=proportion(*kn), clustered=None, patients=9, unassessed=0)
        for g, pair in counts.items()
        for t, kn in zip(("DOTATOC", "FDG"), pair, strict=True)
    ]  # fmt: skip


def forest() -> figures.Figure:
    table = forest_data("detection", per="patient", added=Added(label="This cohort", k=21, n=26))
    return figures.forest_plot(figures.forest_rows(table, group="entity"))


def ratios() -> figures.Figure:
    rows = [
        figures.ForestRow(label=label, estimate=Estimate(value=v, low=low, high=high, method="Wald", n=80), counts="41")
        for label, v, low, high in (("SUVpeak per 5 g/mL", 1.3, 1.05, 1.61), ("age", 0.93, 0.7, 1.2))
    ]
    return figures.forest_plot(rows, ratio=True, title="hazard ratio", width_mm=120)


EVERY: dict[str, Callable[[], figures.Figure]] = {
    "paired": paired,
    "paired-log": lambda: paired(log=True),
    "bland-altman": agreement,
    "bland-altman-ratio": lambda: agreement(scale="ratio"),
    "roc": roc,
    "survival": survival,
    "waterfall": fall,
    "waterfall-cut": lambda: fall(highest=100.0),
    "waterfall-wide": lambda: fall(60),
    "swimmer": lambda: figures.swimmer_plot(lanes()),
    "concordance": heat,
    "upset": shared,
    "rates": lambda: figures.rate_bars(rates()),
    "forest": forest,
    "ratios": ratios,
}


def extent(text: ET.Element) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a text, turned ones included."""
    size, x, y = (float(text.get(k, "0")) for k in ("font-size", "x", "y"))
    width = 0.92 * text_width(text.text or "", size)
    left = x - width * {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor", ""), 0.0)
    if not text.get("transform"):
        return left, y - 0.72 * size, left + width, y + 0.1 * size
    # Turned about its anchor: what was to the left now lies below.
    below = y + (x - left)
    return x - 0.72 * size, below - width, x + 0.1 * size, below


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_no_word_is_cropped_or_covers_another(make: Callable[[], figures.Figure]) -> None:
    root = parsed(make())
    wide, tall = (float(v) for v in root.attrib["viewBox"].split()[2:])
    boxes = [(e.text, extent(e)) for e in root.iter(SVG + "text") if e.text]
    for text, (left, top, right, bottom) in boxes:
        assert left >= -0.5, text
        assert top >= -0.5, text
        assert right <= wide + 0.5, text
        assert bottom <= tall + 0.5, text
    for i, (text, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            apart = a[2] <= b[0] + 0.3 or b[2] <= a[0] + 0.3 or a[3] <= b[1] + 0.3 or b[3] <= a[1] + 0.3
            assert apart, f"{text!r} covers {other!r}"


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_a_figure_has_a_printed_size_and_type_that_can_be_read(make: Callable[[], figures.Figure]) -> None:
    figure = make()
    root = parsed(figure)
    assert root.attrib["width"] == f"{figure.width_mm:g}mm"
    assert figure.width_mm in (85.0, 120.0, 170.0)
    assert figure.height_mm < 240.0
    # The view box counts points, so that a font size of 8 prints as 8 pt.
    assert float(root.attrib["viewBox"].split()[2]) == pytest.approx(figure.width_mm * 72 / 25.4, abs=0.01)
    assert min(float(e.get("font-size", "0")) for e in root.iter(SVG + "text")) >= 6.0


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_nothing_in_a_figure_needs_inline_style_identifiers_or_the_network(make: Callable[[], figures.Figure]) -> None:
    figure = make()
    for element in parsed(figure).iter():
        assert not {"style", "id", "href", "onload"} & set(element.attrib)
        assert element.tag.removeprefix(SVG) in {"svg", "rect", "line", "path", "circle", "text", "title"}
    assert not NAN.search(figure.svg)
    assert "url(" not in figure.svg


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_equal_results_give_equal_files(make: Callable[[], figures.Figure], tmp_path: Path) -> None:
    one, two = make().write(tmp_path / "a"), make().write(tmp_path / "b")
    assert one.read_bytes() == two.read_bytes()
    assert not re.search(rb"20\d\d-\d\d-\d\d", one.read_bytes())


def test_every_pair_is_a_line_with_its_values_and_the_medians_are_those_of_the_result() -> None:
    figure = paired(30)
    pairs = of_class(figure, "pair")
    firsts = [float(e.get("data-first", "nan")) for e in pairs]
    assert len(pairs) == 30
    assert float(of_class(figure, "median")[0].get("data-median", "nan")) == pytest.approx(np.median(firsts), rel=1e-5)
    assert any(t.startswith("p ") and "Wilcoxon" in t for t in words_of(figure))
    assert "SUVmax [g/mL]" in words_of(figure)


def test_a_higher_value_stands_higher() -> None:
    figure = figures.paired_plot([1.0, 4.0], [2.0, 3.0], names=NAMES, title="SUV")
    low, high = of_class(figure, "pair")
    assert float(low.get("y1", "0")) > float(high.get("y1", "0"))
    assert float(low.get("y1", "0")) > float(low.get("y2", "0"))


def test_many_pairs_become_distributions_and_the_caption_says_so() -> None:
    figure = paired(MOST_LINES + 1)
    assert not of_class(figure, "pair")
    assert len(of_class(figure, "violin")) == 2
    assert "too many for lines" in figure.caption


def test_pairs_that_cannot_be_drawn_are_counted_in_the_caption() -> None:
    figure = figures.paired_plot([1.0, np.nan, 0.0, 4.0], [2.0, 3.0, 1.0, 5.0], names=NAMES, title="TBR", log=True)
    assert len(of_class(figure, "pair")) == 2
    assert "2 pairs could not be drawn" in figure.caption
    with pytest.raises(InputError):
        figures.paired_plot([1.0, 2.0], [1.0], names=NAMES, title="TBR")


def test_limits_of_agreement_are_drawn_at_their_values() -> None:
    result = bland_altman([1.0, 2.0, 3.0, 4.0], [1.1, 1.8, 3.3, 3.7])
    figure = figures.bland_altman_plot(result, names=("a", "b"), quantity="SUV")
    drawn = {e.get("data-line"): float(e.get("data-value", "nan")) for e in of_class(figure, "agreement")}
    assert drawn == pytest.approx(
        {"upper limit": result.upper.value, "bias": result.bias.value, "lower limit": result.lower.value}, rel=1e-5
    )
    assert len(of_class(figure, "point")) == 4


def test_the_operating_point_lies_on_its_curve_and_the_area_is_printed_with_its_interval() -> None:
    figure = roc(60, 1)
    point = of_class(figure, "operating-point")[0]
    x, y = float(point.get("cx", "0")), float(point.get("cy", "0"))
    steps = [tuple(map(float, p.split())) for p in of_class(figure, "roc")[0].attrib["d"][1:].split("L")]
    assert min(abs(a - x) + abs(b - y) for a, b in steps) < 0.1
    assert any(re.search(r"AUC 0\.\d\d \(0\.\d\d to [01]\.\d\d\)", t) for t in words_of(figure))


def test_numbers_at_risk_are_those_of_the_curve() -> None:
    time, event = [2.0, 5.0, 5.0, 8.0, 13.0], [True, False, True, True, False]
    figure = figures.survival_plot({"all": kaplan_meier(time, event)}, title="OS [%]")
    counts = {float(e.get("data-time", "nan")): int(e.text or -1) for e in of_class(figure, "at-risk")}
    # Counted by hand: five patients, one gone before 3, three before 6, four before 9.
    assert {t: counts[t] for t in (0.0, 3.0, 6.0, 9.0)} == {0.0: 5, 3.0: 4, 6.0: 2, 9.0: 1}
    assert of_class(figure, "censored")[0].get("data-count") == "2"
    assert any("3/5 events, median 8.0" in t for t in words_of(figure))


def test_a_curve_without_events_has_no_band_and_no_median() -> None:
    figure = figures.survival_plot({"all": kaplan_meier([3.0, 4.0], [False, False])}, title="OS [%]")
    assert not of_class(figure, "band")
    assert any("median not reached" in t for t in words_of(figure))


def test_bars_of_a_waterfall_carry_the_change_and_a_cut_one_its_value() -> None:
    bars = of_class(fall(20, highest=100.0), "bar")
    assert [float(b.get("data-change", "nan")) for b in bars[:1] + bars[-1:]] == [180.0, -100.0]
    cut = [e.text for e in of_class(fall(20, highest=100.0), "cut")]
    assert cut[0] == "+180"
    assert len(cut) == sum(v > 100 for v in np.linspace(180.0, -100.0, 20))
    assert "Not shown for lack of a change in percent: 1." in fall(20).caption


def test_zero_stands_between_growth_and_shrinkage() -> None:
    bars = of_class(fall(2), "bar")
    grown, shrunk = ((float(b.get("y", "0")), float(b.get("height", "0"))) for b in bars)
    assert grown[0] + grown[1] == pytest.approx(shrunk[0], abs=0.02)


def test_lanes_have_the_length_of_the_follow_up_and_their_events() -> None:
    figure = figures.swimmer_plot(lanes(3))
    drawn = of_class(figure, "lane")
    width = [float(e.get("width", "0")) for e in drawn]
    assert width[0] / width[1] == pytest.approx(2.0, rel=0.01)
    assert [e.get("data-ended") for e in drawn] == ["death", "last contact", "last known event"]
    assert {e.get("data-label") for e in of_class(figure, "event")} == {"cycle 1", "progression"}


def test_more_lanes_than_a_page_holds_are_said_to_be_left_out() -> None:
    figure = figures.swimmer_plot(lanes(MOST_LANES + 5))
    assert len(of_class(figure, "lane")) == MOST_LANES
    assert f"{MOST_LANES} of {MOST_LANES + 5} are shown" in figure.caption


def test_the_heat_map_shows_every_count_and_frames_equal_verdicts() -> None:
    figure = heat()
    cells = {(e.get("data-row"), e.get("data-column")): e.get("data-count") for e in of_class(figure, "cell")}
    assert cells["left", "bilateral"] == "3"
    assert cells["bilateral", "left"] == "4"
    assert len(of_class(figure, "equal")) == 3
    with pytest.raises(InputError):
        figures.concordance_map([[1, 2]], ("a", "b"), names=("x", "y"))


def test_sets_of_tracers_are_exclusive_and_fall_in_size() -> None:
    sets = [(e.get("data-tracers"), int(e.get("data-count", "-1"))) for e in of_class(shared(), "set")]
    assert sets[0] == ("[68Ga]Ga-DOTATOC", 107)
    assert sum(n for _, n in sets) == 120
    assert [n for _, n in sets] == sorted((n for _, n in sets), reverse=True)
    totals = [int(e.get("data-count", "-1")) for e in of_class(shared(), "total")]
    assert totals == [117, 13, 3]
    assert "4 more were seen by none" in shared().caption


def test_rates_are_drawn_with_their_intervals_and_counts() -> None:
    figure = figures.rate_bars(rates())
    bars = of_class(figure, "rate")
    assert float(bars[0].get("data-value", "nan")) == 1.0
    found = of_class(figure, "interval")[1]
    expected = proportion(12, 115)
    assert float(found.get("data-low", "nan")) == pytest.approx(expected.low, rel=1e-5)
    assert {"115", "/115"} < set(words_of(figure)) or "115/115" in words_of(figure)


def test_the_forest_brings_groups_together_and_marks_ones_own_cohort() -> None:
    figure = forest()
    groups = [e.text for e in of_class(figure, "forest-group")]
    assert len(groups) == len(set(groups))
    values = {e.get("data-label"): e for e in of_class(figure, "forest-value")}
    assert float(values["This cohort"].get("data-value", "nan")) == pytest.approx(21 / 26, rel=1e-5)
    assert values["This cohort"].tag == SVG + "path"
    assert any(t.startswith("80.8 % (") for t in words_of(figure))


def test_a_long_forest_says_how_much_it_leaves_out() -> None:
    row = figures.ForestRow(label="x", estimate=proportion(1, 2), counts="1/2")
    figure = figures.forest_plot([row] * (MOST_FOREST_ROWS + 7))
    assert len(of_class(figure, "forest-value")) == MOST_FOREST_ROWS
    assert f"The first {MOST_FOREST_ROWS} of {MOST_FOREST_ROWS + 7}" in figure.caption


def test_a_ratio_of_one_stands_in_the_middle_of_its_inverse_pair() -> None:
    rows = [
        figures.ForestRow(label=str(v), estimate=Estimate(value=v, low=v / 1.5, high=v * 1.5, method="Wald", n=50))
        for v in (0.5, 1.0, 2.0)
    ]
    spots = of_class(figures.forest_plot(rows, ratio=True), "forest-value")
    x = [float(e.get("x", "0")) + float(e.get("width", "0")) / 2 for e in spots]
    assert x[1] == pytest.approx((x[0] + x[2]) / 2, abs=0.02)


EMPTY: dict[str, Callable[[], figures.Figure]] = {
    "paired": lambda: figures.paired_plot([], [], names=NAMES, title="SUV"),
    "roc": lambda: figures.roc_plot([]),
    "survival": lambda: figures.survival_plot({}, title="OS [%]"),
    "waterfall": lambda: figures.waterfall_plot(
        Waterfall(metric="tlu_g", patients=(), change_percent=(), categories=(), missing=())
    ),
    "swimmer": lambda: figures.swimmer_plot([]),
    "rates": lambda: figures.rate_bars([]),
    "forest": lambda: figures.forest_plot([]),
    "upset": lambda: figures.upset_plot(shared_from_cells("AB", {})),
    "concordance": lambda: figures.concordance_map([[0, 0], [0, 0]], ("left", "right"), names=("PET", "AVS")),
}


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_nothing_gives_an_empty_figure_that_says_so(make: Callable[[], figures.Figure]) -> None:
    figure = make()
    assert re.search(r"\b(No|0)\b", figure.caption)
    assert not NAN.search(figure.svg)
    assert parsed(figure).attrib["viewBox"]


ONE: dict[str, Callable[[], figures.Figure]] = {
    "paired": lambda: figures.paired_plot([4.0], [5.0], names=NAMES, title="SUV"),
    "survival": lambda: figures.survival_plot({"all": kaplan_meier([3.0], [True])}, title="OS [%]"),
    "survival-at-0": lambda: figures.survival_plot({"all": kaplan_meier([0.0], [False])}, title="OS [%]"),
    "waterfall": lambda: fall(1),
    "swimmer": lambda: figures.swimmer_plot(lanes(1)),
    "rates": lambda: figures.rate_bars([rates()[0]]),
    "rate-of-nobody": lambda: figures.rate_bars(
        [DetectionRate(unit="patient", tracer="A", by="", group="", rate=proportion(0, 0), clustered=None, patients=0,
                       unassessed=3)]),
    "forest": lambda: figures.forest_plot([figures.ForestRow(label="x", estimate=proportion(0, 1), counts="0/1", own=True)]),
    "roc": lambda: roc(2, 1),
}  # fmt: skip


@pytest.mark.parametrize("make", ONE.values(), ids=ONE)
def test_one_patient_is_drawn(make: Callable[[], figures.Figure]) -> None:
    figure = make()
    numbers = re.findall(r'(?:x|y|cx|cy|x1|y1|width|height)="(-?[\d.]+)"', figure.svg)
    assert numbers
    assert not NAN.search(figure.svg)


MANY: dict[str, Callable[[], figures.Figure]] = {
    "paired": lambda: paired(10_000),
    "bland-altman": lambda: agreement(10_000),
    "roc": lambda: roc(10_000, 1),
    "survival": lambda: survival(10_000),
    "waterfall": lambda: fall(10_000),
    "swimmer": lambda: figures.swimmer_plot(lanes(10_000)),
}


@pytest.mark.parametrize("make", MANY.values(), ids=MANY)
def test_ten_thousand_patients_stay_a_small_file(make: Callable[[], figures.Figure]) -> None:
    assert len(make().svg) < 250_000


def test_names_from_a_table_stay_text() -> None:
    rate = DetectionRate(
        unit="lesion",
        tracer=HOSTILE,
        by="grade",
        group=HOSTILE,
        rate=proportion(1, 2),
        clustered=None,
        patients=1,
        unassessed=0,
    )
    lane = SwimmerLane(patient=HOSTILE, months=3.0, ended="death", marks=((1.0, HOSTILE),))
    for figure in (
        figures.rate_bars([rate]),
        figures.swimmer_plot([lane]),
        figures.forest_plot([figures.ForestRow(label=HOSTILE, estimate=proportion(1, 2), group=HOSTILE)]),
        figures.survival_plot({HOSTILE: kaplan_meier([1.0], [True])}, title=HOSTILE),
        figures.paired_plot([1.0], [2.0], names=(HOSTILE, HOSTILE), title=HOSTILE),
        figures.concordance_map([[1]], (HOSTILE,), names=(HOSTILE, HOSTILE)),
    ):
        assert "<script" not in figure.svg
        assert "\x07" not in figure.svg
        parsed(figure)


def test_a_waterfall_too_fine_for_colours_names_none() -> None:
    figure = fall(10_000)
    assert "Colours" not in figure.caption
    assert not of_class(figure, "legend")


def test_censoring_ticks_are_drawn_where_they_can_be_told_apart() -> None:
    assert of_class(survival(60), "censored")
    assert not of_class(survival(10_000), "censored")
