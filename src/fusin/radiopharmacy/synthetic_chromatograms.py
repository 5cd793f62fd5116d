"""Made-up strips and runs with known truth: true shares, shapes, background, decay and counting noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusin.decay import decay_factor
from fusin.nuclides import nuclide
from fusin.radiopharmacy.chromatogram import FloatArray
from fusin.radiopharmacy.peak_fit import shape_curve

__all__ = ["TruePeak", "make_radio_run", "make_strip", "make_uv_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruePeak:
    """A peak as it is: counts at the start of the run, place (min or mm), width and tail in the unit of the axis."""

    counts: float
    centre: float
    sigma: float
    tau: float = 0.0


def make_strip(
    peaks: Sequence[TruePeak],
    *,
    seed: int,
    length_mm: float = 100.0,
    step_mm: float = 0.5,
    background: float = 2.0,
    nuclide_name: str | None = "Ga-68",
    scan_duration_s: float = 120.0,
) -> tuple[FloatArray, FloatArray]:
    """(distances [mm], counts) of a scanned strip.

    Parameters
    ----------
    peaks : what is on the strip
    seed : of the counting noise
    length_mm, step_mm : of the scan
    background : expected counts per point
    nuclide_name : decays while the strip is scanned; None for a camera that sees it at once
    scan_duration_s : of the scan
    """
    x = np.arange(0.0, length_mm + step_mm / 2.0, step_mm)
    left = _left(x / x[-1] * scan_duration_s, nuclide_name)
    return x, _counted(_sum(peaks, x) * step_mm * left + background, seed)


def make_radio_run(
    peaks: Sequence[TruePeak],
    *,
    seed: int,
    length_min: float = 15.0,
    step_s: float = 1.0,
    background: float = 3.0,
    nuclide_name: str | None = "Ga-68",
) -> tuple[FloatArray, FloatArray]:
    """(times [min], counts) of a run through a flow cell.

    Parameters
    ----------
    peaks : what elutes, with its counts at the injection
    seed : of the counting noise
    length_min, step_s : of the recording
    background : expected counts per point
    nuclide_name : decays between injection and detector
    """
    x = np.arange(0.0, length_min * 60.0 + step_s / 2.0, step_s) / 60.0
    left = _left(x * 60.0, nuclide_name)
    return x, _counted(_sum(peaks, x) * (step_s / 60.0) * left + background, seed)


def make_uv_run(
    peaks: Sequence[TruePeak],
    *,
    seed: int,
    length_min: float = 15.0,
    step_s: float = 1.0,
    noise: float = 0.05,
    drift: float = 2.0,
) -> tuple[FloatArray, FloatArray]:
    """(times [min], absorbance [mAU]) of the same run; ``counts`` of a peak is its area in mAU min."""
    x = np.arange(0.0, length_min * 60.0 + step_s / 2.0, step_s) / 60.0
    random = np.random.default_rng(seed).normal(0.0, noise, x.size)
    return x, np.asarray(_sum(peaks, x) + drift * x / x[-1] + random, dtype=np.float64)


def _sum(peaks: Sequence[TruePeak], x: FloatArray) -> FloatArray:
    total = np.zeros_like(x)
    for peak in peaks:
        total += shape_curve("emg", x, area=peak.counts, centre=peak.centre, sigma=peak.sigma, skew=peak.tau)
    return total


def _left(elapsed_s: FloatArray, nuclide_name: str | None) -> FloatArray:
    if nuclide_name is None:
        return np.ones_like(elapsed_s)
    return decay_factor(elapsed_s, nuclide(nuclide_name).half_life_s)


def _counted(expected: FloatArray, seed: int) -> FloatArray:
    return np.random.default_rng(seed).poisson(expected).astype(np.float64)
