"""Search, fits and shapes of peaks."""

from __future__ import annotations

import numpy as np
import pytest
from chromatogram_builders import gauss, signal

from fusin.errors import InputError, NotComputable
from fusin.radiopharmacy import baseline as lines
from fusin.radiopharmacy.peak_detection import Detection, find, noise_variance
from fusin.radiopharmacy.peak_fit import StartPeak, fit_peaks, shape_curve
from fusin.radiopharmacy.suitability import currie_limits, peak_shape, resolution, resolution_tangent

X = np.arange(0.0, 15.0, 1.0 / 60.0)


def found_in(counts, **settings):
    one = signal(X, counts)
    return [
        float(X[p.apex])
        for p in find(one, lines.penalised(counts, model="arpls", lam=None, where=""), Detection(**settings))
    ]


def test_noise_alone_holds_no_peak():
    """60 runs of background only, 900 points each."""
    rng = np.random.default_rng(2)
    assert sum(len(found_in(rng.poisson(3.0, X.size).astype(float))) for _ in range(60)) <= 2


@pytest.mark.parametrize(("counts", "background"), [(400, 1.0), (3000, 20.0), (50, 0.0)])
def test_a_wide_peak_of_few_counts_is_found_at_its_place(counts, background):
    y = np.random.default_rng(3).poisson(gauss(X, counts, 6.0, 0.15) + background).astype(float)
    assert [pytest.approx(t, abs=0.25) for t in found_in(y)] == [6.0]


def test_a_small_neighbour_of_a_large_peak_is_found():
    y = np.random.default_rng(4).poisson(gauss(X, 2e5, 10.0, 0.12) + gauss(X, 2000, 9.2, 0.12) + 2.0).astype(float)
    assert found_in(y) == [pytest.approx(9.2, abs=0.1), pytest.approx(10.0, abs=0.05)]


def test_nothing_is_searched_where_the_method_excludes_it():
    y = np.random.default_rng(5).poisson(gauss(X, 5000, 1.0, 0.1) + gauss(X, 5000, 8.0, 0.1) + 1.0).astype(float)
    assert found_in(y, exclude=((0.0, 2.0),)) == [pytest.approx(8.0, abs=0.05)]


def test_noise_of_a_filtered_detector_counts_its_correlation():
    """A moving mean over 5 points has a fifth of the variance per point, and sums as the unfiltered noise does."""
    rng = np.random.default_rng(6)
    white = rng.normal(0.0, 1.0, 4000)
    smooth = np.convolve(white, np.full(5, 0.2), mode="same")
    x = np.linspace(0, 30, 4000)
    one = signal(x, smooth + 5.0, quantity="analogue")
    base = lines.constant(one.y, np.ones(4000, dtype=bool), where="")
    assert noise_variance(one, base, np.ones(4000, dtype=bool)) == pytest.approx(1.0, rel=0.25)


@pytest.mark.parametrize(
    ("shape", "skew"), [("gaussian", 0.0), ("emg", 0.3), ("emg", 4.0), ("emg", 1e-9), ("skew-normal", 3.0)]
)
def test_a_shape_has_its_area_and_its_mean(shape, skew):
    x = np.linspace(-60.0, 140.0, 200001)
    y = shape_curve(shape, x, area=7.0, centre=10.0, sigma=1.3, skew=skew)
    assert np.all(np.isfinite(y))
    assert np.trapezoid(y, x) == pytest.approx(7.0, rel=1e-6)
    delta = skew / np.sqrt(1 + skew**2)
    mean = 10.0 + {"gaussian": 0.0, "emg": skew, "skew-normal": 1.3 * delta * np.sqrt(2 / np.pi)}[shape]
    assert np.trapezoid(x * y, x) / 7.0 == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize(("shape", "skew"), [("emg", 0.2), ("skew-normal", 2.5)])
def test_blended_skewed_peaks_are_taken_apart(shape, skew):
    x = np.linspace(5.0, 15.0, 1001)
    true = [shape_curve(shape, x, area=a, centre=c, sigma=0.35, skew=skew) for a, c in ((3000.0, 9.0), (1200.0, 10.4))]
    starts = [StartPeak(area=2500.0, centre=9.2, sigma=0.4), StartPeak(area=1000.0, centre=10.6, sigma=0.4)]
    found = fit_peaks(x, sum(true), starts, shape=shape)
    assert [p.area for p in found.peaks] == pytest.approx([3000.0, 1200.0], rel=1e-3)


def test_stated_covariance_of_fitted_counts_is_the_one_of_repeated_counts():
    rng = np.random.default_rng(9)
    x = np.arange(8.0, 13.0, 0.02)
    expected = gauss(x, 4000, 10.0, 0.3) + gauss(x, 1500, 10.9, 0.3)
    starts = [StartPeak(area=4000, centre=10.0, sigma=0.3), StartPeak(area=1500, centre=10.9, sigma=0.3)]
    scale, per_count = np.full(x.size, 0.02), np.ones(x.size)
    found = [
        fit_peaks(x, rng.poisson(expected).astype(float), starts, scale=scale, poisson=per_count) for _ in range(120)
    ]
    areas = np.array([[p.area for p in f.peaks] for f in found])
    stated = np.mean([np.sqrt(np.diag(f.covariance)) for f in found], axis=0)
    np.testing.assert_allclose(stated, areas.std(axis=0), rtol=0.2)
    np.testing.assert_allclose(areas.mean(axis=0), [4000, 1500], rtol=0.02)


def test_more_parameters_than_points_and_a_flat_signal_are_refused():
    x = np.linspace(0, 1, 5)
    with pytest.raises(InputError):
        fit_peaks(x, x, [StartPeak(area=1, centre=0.5, sigma=0.1)] * 2)
    flat = np.zeros(50)
    with pytest.raises(NotComputable):
        fit_peaks(np.linspace(0, 1, 50), flat, [StartPeak(area=0.0, centre=0.5, sigma=0.1)])


def test_a_gaussian_has_the_shape_that_the_pharmacopoeia_gives_it():
    """w = 2.3548 sigma, N = 5.54 (t/w)^2, tailing and asymmetry 1, base width 4 sigma; Ph. Eur. 2.2.46."""
    x = np.linspace(0.0, 20.0, 4001)
    one = peak_shape(x, np.exp(-0.5 * ((x - 8.0) / 0.2) ** 2), name="one", start=6.5, end=9.5)
    two = peak_shape(x, np.exp(-0.5 * ((x - 9.0) / 0.2) ** 2), name="two", start=7.5, end=10.5)
    assert one is not None
    assert two is not None
    assert one.width_half_min == pytest.approx(0.2 * 2.354820045, rel=1e-4)
    assert one.plates == pytest.approx(5.54 * (8.0 / (0.2 * 2.354820045)) ** 2, rel=1e-3)
    assert (one.tailing, one.asymmetry) == (pytest.approx(1.0, abs=1e-3), pytest.approx(1.0, abs=1e-3))
    assert one.width_base_min == pytest.approx(0.8, rel=5e-3)
    assert resolution(one, two) == pytest.approx(1.18 / (2 * 0.2 * 2.354820045), rel=1e-4)
    assert resolution_tangent(one, two) == pytest.approx(2 / 1.6, rel=5e-3)


def test_an_exponential_tail_has_the_tailing_of_its_crossings():
    """Front half a step, tail exp(-t/tau): at 5 % the width is the tail, tau ln 20; at 10 % tau ln 10."""
    x = np.linspace(0.0, 10.0, 10001)
    y = np.where(x < 2.0, np.maximum(0.0, 1.0 - (2.0 - x) / 0.5), np.exp(-(x - 2.0) / 0.7))
    found = peak_shape(x, y, name="tail", start=1.0, end=9.0)
    assert found is not None
    front5, back5 = 0.95 * 0.5, 0.7 * np.log(20.0)
    assert found.tailing == pytest.approx((front5 + back5) / (2 * front5), rel=5e-3)
    assert found.asymmetry == pytest.approx(0.7 * np.log(10.0) / (0.9 * 0.5), rel=5e-3)


def test_flanks_that_a_bound_cuts_off_have_no_width():
    x = np.linspace(0.0, 20.0, 4001)
    found = peak_shape(x, np.exp(-0.5 * ((x - 8.0) / 0.2) ** 2), name="cut", start=7.95, end=9.5)
    assert found is not None
    assert (found.width_half_min, found.plates, found.tailing) == (None, None, None)


def test_limits_of_paired_counts_are_curries():
    """Currie 1968, table II: L_C = 2.33 sqrt(B), L_D = 2.71 + 4.65 sqrt(B), L_Q = 50 (1 + sqrt(1 + B / 12.5))."""
    found = currie_limits(2.0 * 100.0)
    assert found.decision == pytest.approx(23.3, abs=0.05)
    assert found.detection == pytest.approx(2.71 + 46.5, abs=0.05)
    assert found.quantification == pytest.approx(50 * (1 + np.sqrt(1 + 100 / 12.5)), rel=1e-9)
