"""Strips: regions by Rf, denominators, what lies between, and refusals by name."""

from __future__ import annotations

import numpy as np
import pytest
from chromatogram_builders import codes, trace

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_method import BaselineRule, ChromatogramMethod, Edit, RegionRule
from fusin.radiopharmacy.synthetic_chromatograms import TruePeak, make_strip
from fusin.radiopharmacy.tlc import evaluate_tlc

LOW = RegionRule(name="colloid", rf=(-0.15, 0.25), role="impurity")
HIGH = RegionRule(name="product", rf=(0.6, 1.1), role="product")
METHOD = ChromatogramMethod(
    decay_correction=True, nuclide="Ga-68", scan_duration_s=120, origin_mm=15, front_mm=90, regions=(LOW, HIGH),
    baseline=BaselineRule(windows=((35, 55),)),
)  # fmt: skip


def strip(seed=1, extra=()):
    peaks = [TruePeak(counts=900, centre=15, sigma=2), TruePeak(counts=99100, centre=76, sigma=2), *extra]
    return trace(*make_strip(peaks, seed=seed), axis="mm", where="strip.csv")


def evaluate(one=None, log=None, **changes):
    return evaluate_tlc(one or strip(), METHOD.changed(**changes), NoticeLog() if log is None else log)


def test_a_made_up_strip_gives_back_its_truth():
    run = evaluate()
    assert run.rcp is not None
    assert run.rcp.low <= 99.1 <= run.rcp.high
    assert run.impurity.value + run.rcp.value == pytest.approx(100.0)
    assert [p.rf for p in run.pieces] == [pytest.approx((-0.15, 0.25)), pytest.approx((0.6, 1.1))]


@pytest.mark.parametrize("denominator", ["regions", "strip"])
def test_activity_between_the_regions_is_told_and_enters_the_strip_only(denominator):
    log = NoticeLog()
    run = evaluate(strip(extra=[TruePeak(counts=5000, centre=45, sigma=2)]), log, denominator=denominator,
                   baseline=BaselineRule(windows=((0, 3),)))  # fmt: skip
    assert run.unassigned.value == pytest.approx(100 * 5 / 105, abs=0.4)
    assert "UNASSIGNED_ACTIVITY" in codes(log)
    expected = 99.1 if denominator == "regions" else 99.1 * 100 / 105
    assert run.rcp.value == pytest.approx(expected, abs=0.4)


def test_a_stated_limit_decides_whether_the_rest_is_too_much():
    log = NoticeLog()
    one = strip(extra=[TruePeak(counts=1000, centre=45, sigma=2)])
    evaluate(one, log, unassigned_limit_percent=2.0, baseline=BaselineRule(windows=((0, 3),)))
    assert "UNASSIGNED_ACTIVITY" not in codes(log)
    evaluate(one, log, unassigned_limit_percent=0.5, baseline=BaselineRule(windows=((0, 3),)))
    assert "UNASSIGNED_ACTIVITY" in codes(log)


def test_a_strip_without_any_baseline_is_evaluated_with_a_warning():
    log = NoticeLog()
    evaluate_tlc(strip(), METHOD.changed(baseline=BaselineRule(model=None)), log)
    assert "BACKGROUND_NOT_SUBTRACTED" in codes(log)


def test_a_blank_measured_apart_brings_its_uncertainty():
    without = evaluate(baseline=BaselineRule(model="constant", per_point=2.0))
    with_u = evaluate(baseline=BaselineRule(model="constant", per_point=2.0, per_point_u=0.5))
    assert with_u.pieces[0].area == pytest.approx(without.pieces[0].area)
    assert with_u.pieces[0].percent.u > without.pieces[0].percent.u


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"origin_mm": None}, "origin_mm", "nothing"),
        ({"front_mm": 15.0}, "front_mm", "another place"),
        ({"regions": (LOW, RegionRule(name="b", rf=(0.2, 1.0)))}, "colloid and b", "overlap"),
        ({"regions": (RegionRule(name="b", rf=(0.5, 3.0)),)}, "b", "within what was measured"),
        ({"regions": ()}, "regions", "nothing"),
        ({"baseline": BaselineRule(model="constant")}, "baseline", "without windows"),
        ({"baseline": BaselineRule(windows=((300, 400),))}, "baseline", "on the strip"),
        ({"baseline": BaselineRule(model="local")}, "baseline", "on a strip"),
        ({"products": ("drug",)}, "product", "drug"),
        ({"scan_duration_s": None}, "scan_duration_s", "nothing"),
        ({"decay_correction": None, "nuclide": None}, "decay_correction", "no decision"),
    ],
)
def test_what_is_missing_or_contradicts_is_refused_by_field(changes, field, words):
    from dataclasses import replace

    with pytest.raises(InputError) as refused:
        evaluate_tlc(strip(), replace(METHOD, **changes), NoticeLog())
    assert refused.value.field == field
    assert words in str(refused.value)


def test_a_strip_that_lies_the_other_way_round_reads_the_same_and_says_so():
    """Rf = (x - x0) / (xf - x0) holds for either direction of the distance."""
    from dataclasses import replace

    log = NoticeLog()
    there = evaluate_tlc(strip(), replace(METHOD, nuclide=None, decay_correction=False), NoticeLog())
    length = float(strip().x[0] + strip().x[-1])
    turned = replace(strip(), x=length - strip().x[::-1], y=strip().y[::-1])
    method = replace(METHOD, nuclide=None, decay_correction=False, origin_mm=length - METHOD.origin_mm,
                     front_mm=length - METHOD.front_mm)  # fmt: skip
    if METHOD.baseline.windows:
        windows = tuple((length - b, length - a) for a, b in METHOD.baseline.windows)
        method = replace(method, baseline=replace(METHOD.baseline, windows=windows))
    back = evaluate_tlc(turned, method, log)
    shares = {p.name: p.percent.value for p in back.pieces}
    assert shares == pytest.approx({p.name: p.percent.value for p in there.pieces}, abs=1e-9)
    assert all(p.rf[0] < p.rf[1] for p in back.pieces)
    assert "STRIP_REVERSED" in codes(log)


def test_a_change_by_hand_keeps_before_after_reason_and_name():
    log = NoticeLog()
    run = evaluate(log=log, edits=(Edit(peak="colloid", start=10.0, reason="edge of the strip", user="A. Person"),))
    (edit,) = run.edits
    assert (edit.before["start"], edit.after["start"]) == (pytest.approx(3.75), 10.0)
    assert (edit.reason, edit.user) == ("edge of the strip", "A. Person")
    assert "MANUAL_INTEGRATION" in codes(log)
    assert run.pieces[0].how == "edited"


def test_counts_of_nothing_but_background_have_no_percentages():
    log = NoticeLog()
    y = np.random.default_rng(3).poisson(2.0, 201).astype(float)
    run = evaluate(trace(np.arange(0, 100.5, 0.5), y, axis="mm"), log)
    assert run.rcp is None
    assert run.rcp_reason
    assert "PERCENT_NOT_SAID" in codes(log)
