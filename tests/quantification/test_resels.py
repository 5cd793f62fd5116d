"""The error of a region's mean counts independent samples; simulated noise is the judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from fusin.errors import InputError
from fusin.quantification.resels import effective_samples, mean_interval, standard_error_resels


def simulated(volume_ml: float, runs: int, fwhm: float = 6.0, step: float = 2.0):
    """Mean and SD of a spherical region in `runs` images of smoothed noise with mean 10."""
    rng = np.random.default_rng(20)
    radius = (volume_ml * 750 / math.pi) ** (1 / 3)
    n = 2 * math.ceil(radius / step) + 1
    offsets = (np.indices((n, n, n)) - n // 2) * step
    mask = (offsets**2).sum(axis=0) <= radius**2
    pad = 6
    for _ in range(runs):
        noise = gaussian_filter(rng.standard_normal((n + 2 * pad,) * 3), fwhm / 2.3548 / step, truncate=5)
        values = 10 + noise[pad:-pad, pad:-pad, pad:-pad][mask]
        yield values.mean(), values.std(), mask.sum() * step**3 / 1000


@pytest.mark.parametrize("volume_ml", [1.0, 1.57, 4.2])
def test_interval_holds_the_true_mean_in_about_95_of_100_noise_images(volume_ml):
    hits = [low <= 10 <= high for m, s, v in simulated(volume_ml, 500) for low, high, _ in [mean_interval(m, s, v)]]
    # Binomial error of 500 runs is 1 %; the t quantile is on the safe side for small regions.
    assert 0.92 <= np.mean(hits) <= 0.995


def test_dividing_by_the_number_of_voxels_would_hold_far_less_often():
    found = list(simulated(4.2, 300))
    voxels = 4200 / 8
    naive = np.mean([abs(m - 10) <= 1.96 * s / math.sqrt(voxels) for m, s, _ in found])
    assert naive < 0.5


def test_effective_samples_match_the_simulated_variance_of_the_mean():
    means = np.array([m for m, _, _ in simulated(4.2, 800)])
    single = gaussian_filter(np.pad([[[1.0]]], 12), 6 / 2.3548 / 2, truncate=5)
    assert (single**2).sum() / means.var() == pytest.approx(effective_samples(4.2), rel=0.2)


def test_large_regions_approach_the_correlation_volume():
    # Integral of exp(-d^2 / (4 sigma^2)) over space is (4 pi)^1.5 sigma^3.
    sigma = 6 / (2 * math.sqrt(2 * math.log(2)))
    limit = 1e6 / ((4 * math.pi) ** 1.5 * sigma**3 / 1000)
    assert effective_samples(1e6) == pytest.approx(limit, rel=0.01)


def test_point_like_region_is_one_sample_and_has_no_interval():
    low, high, n_eff = mean_interval(2.0, 0.1, 1e-6)
    assert n_eff == pytest.approx(1.0, abs=1e-3)
    assert math.isnan(low)
    assert math.isnan(high)


@given(st.floats(0.5, 500), st.floats(2, 12), st.floats(0.01, 5))
@settings(max_examples=40, deadline=None)
def test_error_shrinks_with_volume_and_grows_with_smoothness(volume, fwhm, sd):
    error = standard_error_resels(sd, volume, fwhm_mm=fwhm)
    if math.isnan(error):
        assert effective_samples(volume, fwhm_mm=fwhm) < 2
        return
    assert standard_error_resels(sd, 2 * volume, fwhm_mm=fwhm) < error
    assert effective_samples(volume, fwhm_mm=fwhm * 1.2) <= effective_samples(volume, fwhm_mm=fwhm)
    low, high, _ = mean_interval(3.0, sd, volume, fwhm_mm=fwhm)
    assert low <= 3.0 <= high


@given(st.floats(0.5, 100), st.floats(0.1, 10))
@settings(max_examples=20, deadline=None)
def test_only_the_ratio_of_size_to_smoothness_counts(volume, scale):
    assert effective_samples(volume * scale**3, fwhm_mm=6 * scale) == pytest.approx(effective_samples(volume), rel=1e-6)


@pytest.mark.parametrize(("volume", "fwhm"), [(0, 6), (-1, 6), (1, 0), (math.nan, 6), (1, math.inf)])
def test_impossible_sizes_are_refused(volume, fwhm):
    with pytest.raises(InputError):
        mean_interval(1, 1, volume, fwhm_mm=fwhm)
