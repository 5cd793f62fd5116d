"""Simulated chromatograms of hplc-py (cremerlab/hplc-py, GPL-3; read, never copied) with the areas they were made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import skewnorm

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import Trace
from fusin.radiopharmacy.chromatogram_files import read_chromatogram
from fusin.radiopharmacy.chromatogram_map import ColumnMap
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod
from fusin.radiopharmacy.hplc import evaluate_hplc
from fusin.radiopharmacy.peak_fit import StartPeak, fit_peaks

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "radiochem" / "hplc_py"
COUNTS = ColumnMap(x_column=1, x_unit="min", y_column=2, y_unit="counts")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"public data absent: {DATA}")


def evaluate(name, **method):
    trace = read_chromatogram(DATA / name, NoticeLog(), mapping=COUNTS)[0]
    return evaluate_hplc(trace, ChromatogramMethod(decay_correction=False, **method), NoticeLog())


def test_two_blended_peaks_of_10000_each_are_taken_apart_within_one_percent():
    """The second peak of 10000 lies on the tail of the first: sigma 1 at 15 min and sigma 2 at 19 min."""
    found = evaluate("test_assessment_chrom.csv", fit="gaussian")
    assert [p.apex for p in found.pieces] == pytest.approx([15.07, 18.99, 80.0, 110.0], abs=0.02)
    assert [p.area for p in found.pieces] == pytest.approx([10000, 10000, 2000, 10000], rel=0.01)


def test_a_shallow_peak_is_found_beside_a_strong_one():
    """test_shallow_signal_peaks.csv: 10000 at 10 min, 1000 at 50 min."""
    found = evaluate("test_shallow_signal_chrom.csv")
    assert [p.apex for p in found.pieces] == pytest.approx([10.0, 50.0], abs=0.02)
    assert [p.area for p in found.pieces] == pytest.approx([10000, 1000], rel=0.01)


def test_peaks_stand_on_a_strongly_curved_background():
    """test_SNIP_chrom.csv holds the background beside the signal, so the net area is known."""
    table = np.loadtxt(DATA / "test_SNIP_chrom.csv", delimiter=",", skiprows=1)
    net = table[:, 2] - table[:, 1]
    trace = Trace(x=table[:, 0], y=table[:, 2], axis="min", y_unit="mAU", quantity="analogue", channel="uv")
    found = evaluate_hplc(trace, ChromatogramMethod(), NoticeLog())
    for at in (5.0, 12.0, 19.0, 26.0, 33.0):
        piece = min(found.pieces, key=lambda p: abs(p.apex - at))
        true = net[np.abs(table[:, 0] - at) < 3.0].sum() * 0.01 * 60.0
        assert piece.area == pytest.approx(true, rel=0.01)


@pytest.mark.parametrize("unit", ["counts", "mV"])
@pytest.mark.parametrize("skew", [0.0, 3.0, -3.0])
@pytest.mark.parametrize("scale", [2.0, 3.0])
def test_two_peaks_of_10000_each_come_out_by_the_search_alone(unit, skew, scale):
    """test_assessment_peaks.csv: 10000 at 10.0 min with scale 1 and 10000 at 25.0 min, made anew; without any option.

    The file states a scale of 3 for the second peak and the height of a scale of 2, so both are tried.
    """
    x = np.arange(0.0, 40.0, 0.01)
    y = 10000.0 * 0.01 * (skewnorm.pdf(x, skew, 10.0, 1.0) + skewnorm.pdf(x, skew, 25.0, scale))
    counted = unit == "counts"
    trace = Trace(x=x, y=y, axis="min", y_unit=unit, quantity="counts" if counted else "analogue",
                  channel="radio" if counted else "unknown")  # fmt: skip
    found = evaluate_hplc(trace, ChromatogramMethod(decay_correction=False), NoticeLog())
    per_bin = 1.0 if counted else 0.01 * 60.0
    assert [p.area / per_bin for p in found.pieces] == pytest.approx([10000, 10000], rel=0.003)


@pytest.mark.parametrize("which", range(20))
def test_two_gaussians_are_unmixed_at_every_distance(which):
    """test_unmix: 10000 at 8 min and 7000 from 10.5 min on, sigma 1 both."""
    table = np.loadtxt(DATA / "test_unmix_chrom.csv", delimiter=",", skiprows=1)
    peaks = np.loadtxt(DATA / "test_unmix_peaks.csv", delimiter=",", skiprows=1)
    inside, true = table[:, 2] == which, peaks[peaks[:, 7] == which]
    x, y = table[inside, 0], table[inside, 1]
    starts = [StartPeak(area=8000.0, centre=c + 0.2, sigma=0.8) for c in true[:, 0]]
    found = fit_peaks(x, y, starts, scale=np.full(x.size, x[1] - x[0]))
    assert [p.area for p in found.peaks] == pytest.approx(true[:, 4].tolist(), rel=1e-6)
