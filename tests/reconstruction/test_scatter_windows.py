"""Scatter from energy windows: the published formulas by hand, noise, and wrong windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.reconstruction.scatter_windows import dual_window, smoothed, triple_window
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_geometry import SpectGeometry

WINDOWS = (EnergyWindow("peak", 187.2, 228.8), EnergyWindow("low", 166.4, 187.2), EnergyWindow("up", 228.8, 239.2))


def acquisition(levels=(100.0, 20.0, 6.0), seed=None, shape=(6, 24, 32)):
    views, rows, columns = shape
    geometry = SpectGeometry.circular(views=views, radius_mm=230, pixel_mm=4.8, rows=rows, columns=columns)
    means = np.broadcast_to(np.array(levels)[:, None, None, None], (3, *shape))
    counts = means if seed is None else np.random.default_rng(seed).poisson(means)
    return SpectAcquisition(counts=counts.astype(np.float32), windows=WINDOWS, geometry=geometry)


def triple(made, **more):
    return triple_window(made, **{"peak": "peak", "lower": "low", "upper": "up", "log": NoticeLog(), **more})


@pytest.mark.parametrize("smooth_mm", [0.0, 10.0, 40.0])
def test_the_triple_window_estimate_is_the_trapezoid_of_ogawa(smooth_mm):
    """(20 / 20.8 keV + 6 / 10.4 keV) * 41.6 keV / 2 = 32 counts, also at the edges of the detector."""
    found = triple(acquisition(), smooth_mm=smooth_mm)
    assert found.counts == pytest.approx(np.full((6, 24, 32), 32.0), rel=1e-5)
    assert found.share == pytest.approx(0.32)
    assert "not subtracted" in found.sentence


def test_without_an_upper_window_half_of_the_trapezoid_stands_and_a_notice():
    log = NoticeLog()
    found = triple(acquisition(), upper=None, log=log)
    assert found.counts == pytest.approx(np.full((6, 24, 32), 20.0), rel=1e-5)
    assert [n.code for n in log] == ["SCATTER_UPPER_MISSING"]


def test_the_dual_window_estimate_is_a_factor_times_the_lower_window():
    found = dual_window(acquisition(), peak=1, lower=2, k=0.5, log=NoticeLog())
    assert found.counts == pytest.approx(np.full((6, 24, 32), 10.0), rel=1e-5)


@pytest.mark.parametrize("smooth_mm", [0.0, 10.0, 25.0])
def test_the_stated_variance_is_that_of_repeated_windows(smooth_mm):
    drawn = [triple(acquisition(seed=s), smooth_mm=smooth_mm) for s in range(60)]
    middle = (slice(None), slice(9, -9), slice(9, -9))
    spread = np.var([d.counts[middle] for d in drawn], axis=0, ddof=1).mean()
    stated = np.mean([d.variance[middle] for d in drawn])
    assert stated == pytest.approx(spread, rel=0.06)


def test_a_redrawn_estimate_varies_as_the_windows_do_and_keeps_its_mean():
    made = triple(acquisition(seed=0))
    drawn = [made.redraw(np.random.default_rng(s)) for s in range(40)]
    assert np.mean(drawn) == pytest.approx(float(made.counts.mean()), rel=0.005)
    assert np.std(drawn, axis=0).mean() > 0
    again = made.redraw(np.random.default_rng(3))
    assert np.array_equal(again, drawn[3])


def test_the_filter_keeps_what_is_even_and_the_counts_within():
    values = np.zeros((1, 41, 41), np.float32)
    values[0, 20, 20] = 1.0
    assert float(smoothed(values, (2.0, 2.0)).sum()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lower": "peak"},
        {"lower": "up"},
        {"upper": "low"},
        {"lower": "nothing"},
        {"smooth_mm": -1.0},
        {"upper": "peak"},
    ],
)
def test_windows_that_are_the_wrong_ones_are_refused(wrong):
    with pytest.raises(InputError):
        triple(acquisition(), **wrong)


def test_windows_without_limits_give_no_triple_estimate():
    made = replace(acquisition(), windows=(WINDOWS[0], EnergyWindow("low"), WINDOWS[2]))
    with pytest.raises(NotComputable) as refused:
        triple(made)
    assert refused.value.code == "WINDOW_LIMITS_MISSING"


def test_an_estimate_above_the_photopeak_is_doubted():
    log = NoticeLog()
    triple(acquisition((10.0, 20.0, 6.0)), log=log)
    assert [n.code for n in log] == ["SCATTER_ABOVE_PEAK"]


@pytest.mark.parametrize("k", [0.0, -1.0, float("nan")])
def test_a_factor_that_is_not_positive_is_refused(k):
    with pytest.raises(InputError, match="k"):
        dual_window(acquisition(), peak=1, lower=2, k=k, log=NoticeLog())
