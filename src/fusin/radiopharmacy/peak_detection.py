"""Finding peaks above a threshold that knows the noise, and where they begin and end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusin.radiopharmacy.baseline import Baseline
from fusin.radiopharmacy.chromatogram import FloatArray
from fusin.radiopharmacy.chromatogram_corrections import Signal

__all__ = ["Detection", "FoundPeak", "find", "noise_variance"]

_END = 5e-4
_RIPPLE = 1e-4
_COARSEST = 80.0
_QUARTILE = 0.31864
_STRETCHES, _LEAST_STRETCH = 40, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How peaks are found.

    Attributes
    ----------
    threshold : height and prominence in standard deviations of the smoothed noise
    smoothing_points : standard deviation of the finest Gaussian that smooths the signal, for the search alone; it is doubled
        up to an eightieth of the run, so that wide peaks of few counts are seen
    least_percent : peaks with less of the net area are noise to the user; they are left out and counted
    exclude : spans of the axis in which nothing is searched, such as the front of the solvent
    """

    threshold: float = 5.0
    smoothing_points: float = 3.0
    least_percent: float = 0.0
    exclude: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPeak:
    """A peak: indices of its apex and bounds, and whether it shares a valley with its neighbours."""

    apex: int
    first: int
    last: int
    joins_left: bool = False
    joins_right: bool = False


def find(signal: Signal, baseline: Baseline, settings: Detection) -> tuple[FoundPeak, ...]:
    """Find peaks on the net signal.

    Parameters
    ----------
    signal : counts or analogue values
    baseline : first estimate of what they stand on
    settings : threshold and smoothing

    Returns
    -------
    tuple of FoundPeak
        In the order of the axis. Neighbours whose valley lies above the noise share it as their bound.
    """
    net = signal.y - baseline.values
    hills: list[_Hill] = []
    width = settings.smoothing_points
    while width <= max(settings.smoothing_points, net.size / _COARSEST):
        scale = _scale(signal, net, width, settings)
        # The ends are smoothed over half of the points only: what rises there is noise, or no whole peak.
        inner = [a for a in _apexes(scale) if 2.0 * width <= a < net.size - 2.0 * width]
        hills += [_Hill(a, scale) for a in inner if not any(_same(a, h.apex, scale) for h in hills)]
        width *= 2.0
    x = signal.x
    kept = [h for h in hills if not any(low <= x[h.apex] <= high for low, high in settings.exclude)]
    found = _bounded(sorted(kept, key=lambda h: h.apex))
    return found if signal.poisson is not None else _extended(found, signal, settings)


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """The signal at one smoothing, with its noise and what a peak must rise."""

    smooth: FloatArray
    sd: FloatArray
    least: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Hill:
    """An apex, and the finest smoothing at which it stands out."""

    apex: int
    scale: _Scale


def _scale(signal: Signal, net: FloatArray, width: float, settings: Detection) -> _Scale:
    from scipy.ndimage import gaussian_filter1d

    smooth = np.asarray(gaussian_filter1d(net, width, mode="reflect"), dtype=np.float64)
    sd = _smoothed_sd(signal, net, smooth, width)
    rise = settings.threshold * sd
    if signal.poisson is not None:
        # Sums of few counts are skewed: the quantile of z deviations lies (z^2 - 1) / 6 counts higher (Cornish and Fisher).
        points = 2.0 * math.sqrt(math.pi) * width
        rise = rise + signal.poisson * max(settings.threshold**2 - 1.0, 0.0) / (6.0 * points)
    return _Scale(smooth, sd, np.maximum(rise, _RIPPLE * max(float(smooth.max()), 0.0)))


def _apexes(scale: _Scale) -> list[int]:
    from scipy.signal import find_peaks

    smooth, least = scale.smooth, scale.least
    padded = np.concatenate(([smooth.min() - 1.0], smooth, [smooth.min() - 1.0]))
    apexes, _ = find_peaks(padded, prominence=np.concatenate(([np.inf], least, [np.inf])))
    return [int(a) - 1 for a in apexes if smooth[a - 1] >= least[a - 1]]


def _same(one: int, two: int, scale: _Scale) -> bool:
    """Whether no valley deeper than the noise lies between two apexes at a smoothing."""
    low, high = min(one, two), max(one, two)
    lower = min(scale.smooth[one], scale.smooth[two])
    return bool(scale.smooth[low : high + 1].min() > lower - scale.least[one])


def noise_variance(signal: Signal, baseline: Baseline, free: NDArray[np.bool_]) -> float:
    """Variance per point of an analogue signal, from points without peaks, with its correlation between points.

    The variance of a sum of correlated noise grows faster than the number of points; the factor is the integrated
    autocorrelation of the residuals, summed until it first falls below 0.05. What is slower than 25 points is drift, which
    belongs to the baseline, and what lies beyond three robust deviations is signal.
    """
    from scipy.ndimage import gaussian_filter1d

    rest = (signal.y - baseline.values)[free]
    if rest.size < 8:
        return _second_differences(signal.y)
    rest = rest - gaussian_filter1d(rest, 25.0, mode="nearest") if rest.size > 100 else rest - rest.mean()
    spread = 3.0 * 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    rest = np.clip(rest, -spread, spread)
    variance = float(rest.var())
    if variance == 0.0:
        return 0.0
    factor = 1.0
    for lag in range(1, min(rest.size // 4, 25)):
        correlation = float((rest[:-lag] * rest[lag:]).mean()) / variance
        if correlation < 0.05:
            break
        factor += 2.0 * correlation
    return variance * factor


def _smoothed_sd(signal: Signal, net: FloatArray, smooth: FloatArray, width: float) -> FloatArray:
    """Standard deviation of the smoothed signal at each point."""
    from scipy.ndimage import uniform_filter1d

    shrink = 1.0 / (2.0 * math.sqrt(math.pi) * width)
    variance = _local_variance(net)
    lag = int(4.0 * width)
    if signal.poisson is None and net.size > 20 * lag:
        # Detectors filter their signal: its noise does not shrink with smoothing as that of independent points does.
        far = smooth[2 * lag :] - 2.0 * smooth[lag:-lag] + smooth[: -2 * lag]
        variance = np.maximum(variance, _spread(far) ** 2 / 6.0 / shrink)
    if signal.poisson is not None:
        # One count is the least that a point can hold; an empty stretch is not free of noise.
        local = uniform_filter1d(np.maximum(signal.y, 0.0), max(int(14.0 * width), 3), mode="reflect")
        floor = 1.0 / (8.0 * max(width, 1.0) * math.sqrt(math.pi))
        variance = np.maximum(signal.poisson * np.maximum(local, floor), 0.0)
    return np.sqrt(variance * shrink)


def _second_differences(y: FloatArray) -> float:
    """Variance of white noise on a curve: that of second differences is six-fold."""
    return _spread(np.diff(y, 2)) ** 2 / 6.0


def _spread(values: FloatArray) -> float:
    """Standard deviation from the lower quartile of the magnitudes, which peaks on most of a run do not reach."""
    return float(np.percentile(np.abs(values), 25.0)) / _QUARTILE


def _local_variance(y: FloatArray) -> FloatArray:
    """Variance of white noise at each point: of the whole run, or of the stretch of the run around it where that is noisier."""
    whole, count = _second_differences(y), min(_STRETCHES, y.size // _LEAST_STRETCH)
    if count < 2:
        return np.full(y.size, whole)
    size = y.size // count
    own = np.array([_second_differences(y[n * size : (n + 1) * size]) for n in range(count)])
    here: FloatArray = own[np.minimum(np.arange(y.size) // size, count - 1)]
    return np.maximum(whole, here)


def _bounded(hills: Sequence[_Hill]) -> tuple[FoundPeak, ...]:
    """Bounds: where the signal has come down to its noise, or the valley between two peaks."""
    found = []
    for number, hill in enumerate(hills):
        smooth, apex = hill.scale.smooth, hill.apex
        cut = np.maximum(hill.scale.sd, _END * smooth[apex])
        left = hills[number - 1].apex if number else 0
        right = hills[number + 1].apex if number + 1 < len(hills) else smooth.size - 1
        first, from_valley = _walk(smooth, cut, apex, left, -1, valley=number > 0)
        last, to_valley = _walk(smooth, cut, apex, right, 1, valley=number + 1 < len(hills))
        found.append(FoundPeak(apex=apex, first=first, last=last, joins_left=from_valley, joins_right=to_valley))
    return _consistent(found)


def _extended(found: Sequence[FoundPeak], signal: Signal, settings: Detection) -> tuple[FoundPeak, ...]:
    """Ends moved on down the flank: the smooth curve of the search bends up below broad peaks and cuts their feet.

    An end moves while the signal itself still falls by more than its noise, at most by half of its distance from the apex, and
    not into the neighbour.
    """
    from scipy.ndimage import gaussian_filter1d

    width = settings.smoothing_points
    smooth = np.asarray(gaussian_filter1d(signal.y, width, mode="nearest"), dtype=np.float64)
    sd = _smoothed_sd(signal, signal.y, smooth, width)
    stride = max(round(width), 1)
    out = []
    for number, peak in enumerate(found):
        low = found[number - 1].last if number else 0
        high = found[number + 1].first if number + 1 < len(found) else smooth.size - 1
        first = peak.first if peak.joins_left else _lower(smooth, sd, peak.first, peak.apex, max(low, 0), stride)
        last = peak.last if peak.joins_right else _lower(smooth, sd, peak.last, peak.apex, high, stride)
        out.append(replace(peak, first=first, last=last))
    return _consistent(out)


def _lower(smooth: FloatArray, sd: FloatArray, end: int, apex: int, limit: int, stride: int) -> int:
    step = 1 if end > apex else -1
    last = end + step * (abs(end - apex) // 2)
    last = min(last, limit) if step > 0 else max(last, limit)
    while (last - end) * step >= stride and smooth[end] - smooth[end + step * stride] > 2.0 * sd[end]:
        end += step
    return end


def _walk(smooth: FloatArray, cut: FloatArray, apex: int, limit: int, step: int, *, valley: bool) -> tuple[int, bool]:
    """Index where a peak ends, and whether that is a valley above the noise."""
    low, high = min(apex, limit), max(apex, limit)
    if valley:
        bottom = low + int(smooth[low : high + 1].argmin())
        limit = bottom
    for at in range(apex, limit + step, step):
        if smooth[at] <= cut[at]:
            return at, False
    return limit, valley


def _consistent(peaks: list[FoundPeak]) -> tuple[FoundPeak, ...]:
    """A valley is shared by both of its peaks; where they were found at different smoothings they meet in the middle."""
    first = [p.first for p in peaks]
    last = [p.last for p in peaks]
    for i in range(1, len(peaks)):
        if first[i] <= last[i - 1] or (peaks[i].joins_left and peaks[i - 1].joins_right):
            first[i] = last[i - 1] = (first[i] + last[i - 1]) // 2
    return tuple(
        FoundPeak(apex=p.apex, first=first[i], last=last[i], joins_left=i > 0 and first[i] == last[i - 1],
                  joins_right=i + 1 < len(peaks) and last[i] == first[i + 1])
        for i, p in enumerate(peaks) if first[i] < last[i]
    )  # fmt: skip
