"""The baseline that a run asks for: constant, linear, curved, and chords that pass through valleys which nothing explains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import exponnorm
from tests.radiopharmacy.chromatogram_builders import codes, gauss, trace

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_method import BaselineRule, ChromatogramMethod, PeakRule
from fusin.radiopharmacy.hplc import evaluate_hplc
from fusin.radiopharmacy.peak_valleys import raised_valleys

X = np.arange(0.0, 15.0, 1 / 60)
PEAKS = gauss(X, 20000, 2.0, 0.1) + gauss(X, 980000, 10.0, 0.15)


def percents(y, log=None, **method):
    found = evaluate_hplc(
        trace(X, y), ChromatogramMethod(decay_correction=False, **method), NoticeLog() if log is None else log
    )
    return [p.percent.value for p in found.pieces], found


@pytest.mark.parametrize(
    ("background", "model", "within"),
    [
        (20.0 + 0.0 * X, "constant", 0.01),
        (5.0 + 4.0 * X, "linear", 0.01),
        (20.0 + 100.0 * np.exp(-0.5 * ((X - 7.0) / 3.0) ** 2), "polynomial", 0.04),
    ],
)
@pytest.mark.parametrize(
    "peaks", [(), (PeakRule(name="free", window_min=(1, 3)), PeakRule(name="product", window_min=(9, 11)))]
)
def test_a_small_peak_stands_on_the_background_that_there_is(background, model, within, peaks):
    """2 % beside 98 %, without noise: the areas are those that were put in, whatever lies below."""
    log = NoticeLog()
    shares, found = percents(PEAKS + background, log, peaks=peaks)
    assert found.baseline.model == model
    assert shares == pytest.approx([2.0, 98.0], abs=within)
    assert ("BASELINE_FOLLOWS_DRIFT" in codes(log)) == (model != "constant")


def test_a_constant_background_with_poisson_noise_is_left_constant():
    for seed in range(10):
        y = np.random.default_rng(seed).poisson(PEAKS / 50 + 3.0).astype(float)
        assert percents(y)[1].baseline.model == "constant"


def test_a_stated_constant_that_does_not_fit_is_doubted_and_kept():
    log = NoticeLog()
    shares, found = percents(PEAKS + 5.0 + 4.0 * X, log, baseline=BaselineRule(model="constant"))
    assert found.baseline.model == "constant"
    assert "BASELINE_DRIFTS" in codes(log)
    assert abs(shares[0] - 2.0) > 0.05


def test_a_curved_background_of_few_counts_does_not_bias_a_small_peak():
    """2 % of 50000 counts over a hump of up to 14 counts per point, in windows that were stated."""
    hump = 2.0 + 12.0 * np.exp(-0.5 * ((X - 7.0) / 3.0) ** 2)
    windows = (PeakRule(name="free", window_min=(1, 3)), PeakRule(name="product", window_min=(9, 11)))
    deviations = []
    for seed in range(12):
        y = np.random.default_rng(seed).poisson(PEAKS / 20 + hump).astype(float)
        found = percents(y, peaks=windows)[1]
        assert found.baseline.model == "polynomial"
        deviations.append((found.pieces[0].percent.value - 2.0) / found.pieces[0].percent.u)
    assert abs(np.mean(deviations)) < 0.8


def test_feet_of_broad_peaks_are_not_cut_off():
    """Two Gaussians of 10000 whose widths are a sixth of the run and more: both areas within 0.3 % without any option."""
    x = np.arange(0.0, 40.0, 0.01)
    y = gauss(x, 10000, 10.0, 1.0) + gauss(x, 10000, 25.0, 3.0)
    for quantity, unit in (("counts", 1.0), ("analogue", 60.0 * 0.01)):
        found = evaluate_hplc(trace(x, y, quantity=quantity), ChromatogramMethod(decay_correction=False), NoticeLog())
        assert [p.area / unit for p in found.pieces] == pytest.approx([10000, 10000], rel=3e-3)


@pytest.mark.parametrize("tau", [0.01, 0.3, 1.0, 3.0])
def test_no_valley_between_tailing_peaks_is_called_raised(tau):
    """An exponentially modified Gaussian falls at least as fast as its own flank from 20 to 10 % goes on."""
    x = np.arange(0.0, 80.0, 0.02)
    for distance in (8.0, 10.0, 14.0, 20.0):
        y = 100.0 * exponnorm.pdf(x, tau, 15.0) + 40.0 * exponnorm.pdf(x, tau, 15.0 + distance)
        apexes = [int(y[: int((15 + distance * 0.6) / 0.02)].argmax())]
        apexes += [int((15 + distance * 0.7) / 0.02) + int(y[int((15 + distance * 0.7) / 0.02) :].argmax())]
        assert raised_valleys(x, y, apexes, [(0, x.size - 1)], smooth=False) == []


def test_peaks_on_a_broad_hump_stand_on_chords_through_their_valleys():
    """Three sharp peaks on a hump of 4 % of their height, which begins and ends outside of them."""
    x = np.arange(0.0, 30.0, 0.01)
    true = [gauss(x, area, at, 0.3) for area, at in ((8000, 10.0), (6000, 14.0), (9000, 18.0))]
    hump = 4.0 * np.exp(-0.5 * ((x - 14.0) / 4.0) ** 2)
    found = evaluate_hplc(
        trace(x, sum(true) + hump, quantity="analogue"),
        ChromatogramMethod(decay_correction=False, peaks_from="detect"),
        NoticeLog(),
    )
    main = sorted(sorted(found.pieces, key=lambda p: -p.area)[:3], key=lambda p: p.start)
    assert [p.area / 0.6 for p in main] == pytest.approx([8000, 6000, 9000], rel=0.08)
