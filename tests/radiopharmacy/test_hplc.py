"""Runs: decay, names, baselines, delays, recovery, edits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chromatogram_builders import codes, gauss, trace

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_method import BaselineRule, ChromatogramMethod, Edit, PeakRule, Recovery
from fusin.radiopharmacy.hplc import delay_by_peak, evaluate_hplc
from fusin.radiopharmacy.peak_detection import Detection
from fusin.radiopharmacy.synthetic_chromatograms import TruePeak, make_radio_run, make_uv_run

FREE = PeakRule(name="free", window_min=(1.5, 2.8), role="impurity")
PRODUCT = PeakRule(name="product", retention_min=10.0, tolerance_min=0.4, role="product")
METHOD = ChromatogramMethod(nuclide="Ga-68", decay_correction=True, peaks=(FREE, PRODUCT))


def run(seed=1, free=2000.0, extra=(), **more):
    peaks = [TruePeak(counts=free, centre=2.0, sigma=0.12), TruePeak(counts=98000.0, centre=10.0, sigma=0.12), *extra]
    return trace(*make_radio_run(peaks, seed=seed, **more))


def evaluate(one=None, log=None, other=(), **changes):
    return evaluate_hplc(one or run(), replace(METHOD, **changes), NoticeLog() if log is None else log, other=other)


def test_a_made_up_run_gives_back_its_truth():
    found = evaluate()
    assert [p.name for p in found.pieces] == ["free", "product"]
    assert found.impurity.low <= 2.0 <= found.impurity.high
    assert found.rcp.low <= 98.0 <= found.rcp.high


def test_peaks_that_the_method_does_not_name_still_count():
    found = evaluate(run(extra=[TruePeak(counts=3000.0, centre=6.0, sigma=0.12)]))
    assert [p.apex for p in found.pieces] == pytest.approx([2.0, 6.0, 10.0], abs=0.1)
    assert [p.role for p in found.pieces] == ["impurity", "", "product"]
    assert found.rcp.value == pytest.approx(100 * 98 / 103, abs=0.3)


def test_a_window_without_a_single_count_has_zero_percent_with_a_width():
    one = run(free=0.0, background=0.0)
    assert one.y[(one.x > 1.5) & (one.x < 2.8)].sum() == 0
    found = evaluate(one)
    piece = found.pieces[0]
    assert piece.percent.value == pytest.approx(0.0, abs=1e-9)
    assert piece.percent.estimate.high > 0.001
    assert piece.percent.u > 0


def test_a_product_that_is_not_there_leaves_no_purity_and_says_why():
    log = NoticeLog()
    found = evaluate(log=log, peaks=(FREE, replace(PRODUCT, retention_min=13.0)))
    assert found.rcp is None
    assert "product" in found.rcp_reason
    assert found.not_found == ("product",)
    assert "PEAK_NOT_FOUND" in codes(log)


def test_relative_retention_names_an_impurity():
    rule = PeakRule(name="early", rrt=(0.5, 0.7), role="impurity")
    found = evaluate(run(extra=[TruePeak(counts=3000.0, centre=6.0, sigma=0.12)]), peaks=(PRODUCT, rule))
    assert {p.name: p.role for p in found.pieces}["early"] == "impurity"


@pytest.mark.parametrize(("wanted", "centre"), [("largest", 10.0), ("2.0", 2.0)])
def test_a_product_is_named_by_retention_or_as_the_largest(wanted, centre):
    found = evaluate(peaks=(), products=(wanted,))
    assert next(p for p in found.pieces if p.role == "product").apex == pytest.approx(centre, abs=0.1)


def test_a_product_at_a_retention_without_a_peak_is_refused():
    with pytest.raises(InputError, match="product"):
        evaluate(peaks=(), products=("7.5",))


@pytest.mark.parametrize("model", ["none", "constant", "linear", "arpls", "asls", "local"])
def test_every_baseline_gives_the_share_of_strong_peaks(model):
    found = evaluate(run(background=0.5), baseline=BaselineRule(model=model))
    assert found.impurity.value == pytest.approx(2.0, abs=0.25)


def test_the_radio_channel_is_shifted_onto_the_uv_channel():
    radio = run()
    uv = trace(
        *make_uv_run([TruePeak(counts=5.0, centre=9.8, sigma=0.12)], seed=2),
        quantity="analogue",
        channel="uv",
        y_unit="mAU",
    )
    assert delay_by_peak(radio, uv, radio_min=10.0, uv_min=9.8) == pytest.approx(12.0, abs=1.5)
    found = evaluate(delay_match_min=(9.8, 10.0), other=[uv], peaks=(), products=("largest",))
    assert found.delay_s == pytest.approx(12.0, abs=1.5)
    assert found.pieces[-1].apex == pytest.approx(9.8, abs=0.05)
    assert found.pieces[0].area == pytest.approx(2000, rel=0.1)


def test_a_delay_shifts_the_axis_and_not_the_decay():
    plain, shifted = evaluate(peaks=(), products=("largest",)), evaluate(peaks=(), products=("largest",), delay_s=30.0)
    assert shifted.pieces[-1].area == pytest.approx(plain.pieces[-1].area, rel=1e-5)
    assert shifted.pieces[-1].apex == pytest.approx(plain.pieces[-1].apex - 0.5, abs=1e-3)


def test_a_delay_longer_than_the_run_is_refused():
    with pytest.raises(InputError, match="delay"):
        evaluate(peaks=(), delay_s=1e9)


def test_recovery_of_the_column_has_an_interval_and_turns_purity_into_that_of_what_was_injected():
    log = NoticeLog()
    found = evaluate(log=log, recovery=Recovery(injected=105000.0, injected_u=300.0))
    assert found.recovery.low <= 100 * 100 / 105 <= found.recovery.high
    assert "COLUMN_KEEPS_ACTIVITY" in codes(log)
    assert found.rcp_of_injected.value == pytest.approx(98 * 100 / 105, rel=0.02)


def test_a_radio_channel_without_a_decision_on_decay_is_refused_and_a_uv_channel_needs_none():
    with pytest.raises(InputError, match="decay_correction"):
        evaluate(nuclide=None, decay_correction=None)
    uv = trace(*make_uv_run([TruePeak(counts=5.0, centre=9.8, sigma=0.12)], seed=2), quantity="analogue", channel="uv")
    assert evaluate(uv, nuclide=None, decay_correction=None, peaks=()).signal.half_life_s is None


def test_a_run_without_any_peak_is_refused_with_the_way_out():
    y = np.random.default_rng(1).poisson(2.0, 900).astype(float)
    with pytest.raises(NotComputable, match="windows") as refused:
        evaluate(trace(np.arange(900) / 60.0, y), peaks=())
    assert refused.value.code == "NO_PEAKS"


def test_overlapping_peaks_are_doubted_and_fitted_apart():
    x = np.arange(0.0, 15.0, 0.01)
    y = np.random.default_rng(7).poisson(gauss(x, 60000, 10.0, 0.2) + gauss(x, 30000, 10.72, 0.2) + 1.0).astype(float)
    log = NoticeLog()
    evaluate(trace(x, y), log, nuclide=None, decay_correction=False, peaks=())
    assert "PEAKS_OVERLAP" in codes(log)
    fitted = evaluate(trace(x, y), nuclide=None, decay_correction=False, peaks=(), fit="gaussian")
    assert [p.area for p in fitted.pieces] == pytest.approx([60000, 30000], rel=0.02)
    assert all(p.percent.estimate.method.startswith("Fieller") for p in fitted.pieces)


def test_a_peak_that_was_removed_or_added_by_hand_is_recorded():
    edits = (
        Edit(peak="free", remove=True, reason="injection spike", user="A. Person"),
        Edit(peak="late", start=12.0, end=13.0, reason="seen by eye", user="A. Person"),
    )
    found = evaluate(edits=edits)
    assert [p.name for p in found.pieces] == ["product", "late"]
    removed, added = found.edits
    assert removed.before is not None
    assert removed.after is None
    assert added.before is None
    assert added.after["start"] == 12.0


def test_peaks_below_the_stated_least_percentage_are_left_out_by_name():
    log = NoticeLog()
    found = evaluate(log=log, peaks=(PRODUCT,), detection=Detection(least_percent=5.0))
    assert [p.name for p in found.pieces] == ["product"]
    assert "SMALL_PEAKS_LEFT_OUT" in codes(log)


@pytest.mark.parametrize(("counts", "share", "background"), [(1e5, 0.02, 3.0), (1e4, 0.02, 1.0)])
def test_intervals_of_peaks_that_were_searched_hold_the_truth_too(counts, share, background):
    """The search chooses the bounds; 200 runs from raw counts to the interval, 68Ga decayed."""
    hits = 0
    for seed in range(200):
        peaks = [TruePeak(counts=counts * share, centre=2.0, sigma=0.12, tau=0.05),
                 TruePeak(counts=counts * (1 - share), centre=10.0, sigma=0.12, tau=0.05)]  # fmt: skip
        one = trace(*make_radio_run(peaks, seed=seed, background=background))
        found = evaluate(one, peaks=(), products=("10",))
        assert len(found.pieces) == 2
        hits += found.rcp.low <= 100 * (1 - share) <= found.rcp.high
    assert 0.92 <= hits / 200 <= 0.98
