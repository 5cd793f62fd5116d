"""System suitability: resolution, plates, tailing, asymmetry, relative retention, signal to noise, limits of the radio channel.

References
----------
Ph. Eur. 2.2.46 and USP <621>: Rs = 1.18 (t2 - t1) / (w1 + w2) at half height, N = 5.54 (t / w)^2, symmetry (tailing)
w(5 %) / (2 f). Currie, Anal Chem 1968;40:586 (decision, detection and quantification limits).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusin.radiopharmacy.baseline import Baseline
from fusin.radiopharmacy.chromatogram import FloatArray
from fusin.radiopharmacy.chromatogram_corrections import Signal
from fusin.stats.checks import normal_quantile

__all__ = ["CurrieLimits", "PeakShape", "currie_limits", "peak_shape", "resolution", "resolution_tangent", "shapes"]

_HALF, _TENTH, _TWENTIETH = 0.5, 0.1, 0.05
_QUANTIFIED = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakShape:
    """Shape of one peak; what its flanks do not reach is None.

    Attributes
    ----------
    name : of the peak
    retention_min : of the apex, from a parabola through its points
    height : above the baseline, in the unit of the signal
    width_half_min : width at half height
    width_base_min : between the tangents at half height, on the base line
    plates : 5.54 (t / w)^2
    tailing : width at 5 % over twice the front half
    asymmetry : back half over front half at 10 %
    resolution : to the peak before, at half heights; None for the first
    resolution_tangent : the same with base widths, 2 (t2 - t1) / (w1 + w2)
    rrt : retention relative to the product; None without one
    signal_to_noise : 2 H / h with h the range of the noise, taken as five standard deviations of it
    """

    name: str
    retention_min: float
    height: float
    width_half_min: float | None
    width_base_min: float | None
    plates: float | None
    tailing: float | None
    asymmetry: float | None
    resolution: float | None = None
    resolution_tangent: float | None = None
    rrt: float | None = None
    signal_to_noise: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrieLimits:
    """Limits of a net area whose blank has a known variance.

    Attributes
    ----------
    decision, detection, quantification : net areas
    blank_u : standard deviation of the net area without activity
    """

    decision: float
    detection: float
    quantification: float
    blank_u: float

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def currie_limits(blank_variance: float, *, per_area: float = 1.0, level: float = 0.95) -> CurrieLimits:
    """Decision, detection and quantification limits of a net area.

    With s0 the standard deviation of the blank and z one-sided: L_C = z s0, L_D = z^2 + 2 z s0,
    L_Q = (k^2 / 2) (1 + sqrt(1 + 4 s0^2 / k^2)) with k = 10. For paired counts of a background B, s0^2 = 2 B and at
    95 % these are 2.33 sqrt(B), 2.71 + 4.65 sqrt(B) and 50 (1 + sqrt(1 + B / 12.5)).

    Parameters
    ----------
    blank_variance : variance of the net area without activity, in squared units of the area
    per_area : Poisson variance per unit of area; 1 for raw counts, 0 for signals that are no counts
    level : one-sided confidence
    """
    z = normal_quantile(2.0 * level - 1.0)
    s0, k = math.sqrt(max(blank_variance, 0.0)), _QUANTIFIED
    grown = k * k * per_area
    return CurrieLimits(
        decision=z * s0,
        detection=z * z * per_area + 2.0 * z * s0,
        quantification=0.5 * (grown + math.sqrt(grown * grown + 4.0 * k * k * s0 * s0)),
        blank_u=s0,
    )


def resolution(first: PeakShape, second: PeakShape) -> float | None:
    """1.18 (t2 - t1) / (w1 + w2) with widths at half height."""
    if first.width_half_min is None or second.width_half_min is None:
        return None
    return 1.18 * (second.retention_min - first.retention_min) / (first.width_half_min + second.width_half_min)


def resolution_tangent(first: PeakShape, second: PeakShape) -> float | None:
    """2 (t2 - t1) / (w1 + w2) with widths between tangents."""
    if first.width_base_min is None or second.width_base_min is None:
        return None
    return 2.0 * (second.retention_min - first.retention_min) / (first.width_base_min + second.width_base_min)


def peak_shape(
    x: FloatArray, net: FloatArray, *, name: str, start: float, end: float, noise_sd: float | None = None
) -> PeakShape | None:
    """Shape of the peak between two bounds; None when nothing rises there.

    Parameters
    ----------
    x : (n,) minutes
    net : (n,) signal above the baseline; a noisy one is smoothed by a cubic over about half of the width first
    start, end : bounds
    noise_sd : standard deviation of one point; for the ratio of signal to noise
    """
    inside = np.flatnonzero((x >= start) & (x <= end))
    if inside.size < 5:
        return None
    first, last = int(inside[0]), int(inside[-1])
    curve = _smoothed(net, first, last, noise_sd)
    apex = first + int(curve[first : last + 1].argmax())
    height, at = _vertex(x, curve, apex)
    if height <= 0.0:
        return None
    crossings = {
        share: _crossings(x, curve, apex, first, last, share * height) for share in (_HALF, _TENTH, _TWENTIETH)
    }
    half = crossings[_HALF]
    width = half[1] - half[0] if half[0] is not None and half[1] is not None else None
    base = _tangent_width(x, curve, half) if half[0] is not None and half[1] is not None else None
    low5, high5 = crossings[_TWENTIETH]
    low10, high10 = crossings[_TENTH]
    return PeakShape(
        name=name,
        retention_min=at,
        height=height,
        width_half_min=width,
        width_base_min=base,
        plates=5.54 * (at / width) ** 2 if width else None,
        tailing=(high5 - low5) / (2.0 * (at - low5)) if low5 is not None and high5 is not None and at > low5 else None,
        asymmetry=(high10 - at) / (at - low10) if low10 is not None and high10 is not None and at > low10 else None,
        signal_to_noise=2.0 * height / (5.0 * noise_sd) if noise_sd else None,
    )


def shapes(
    signal: Signal, baseline: Baseline, bounds: Sequence[tuple[str, float, float]], *, product: str | None
) -> tuple[PeakShape, ...]:
    """Shapes of all peaks in the order of their retention, with resolution and relative retention."""
    net = (signal.y - baseline.values) * signal.decay
    level = float(np.median(np.maximum(baseline.values, 0.0)))
    noise = math.sqrt(max(level, signal.noise)) if signal.poisson is not None else math.sqrt(signal.noise)
    found = [
        s for name, start, end in bounds
        if (s := peak_shape(signal.x, net, name=name, start=start, end=end, noise_sd=noise or None)) is not None
    ]  # fmt: skip
    found.sort(key=lambda s: s.retention_min)
    main = next((s.retention_min for s in found if s.name == product), None)
    out: list[PeakShape] = []
    for number, one in enumerate(found):
        before = found[number - 1] if number else None
        values = {n: getattr(one, n) for n in one.__slots__}
        values["resolution"] = resolution(before, one) if before else None
        values["resolution_tangent"] = resolution_tangent(before, one) if before else None
        values["rrt"] = one.retention_min / main if main else None
        out.append(PeakShape(**values))
    return tuple(out)


def _smoothed(net: FloatArray, first: int, last: int, noise_sd: float | None) -> FloatArray:
    """A cubic over about half of the width, where noise would move the crossings; else the signal itself."""
    from scipy.signal import savgol_filter

    top = float(net[first : last + 1].max())
    above = int((net[first : last + 1] > 0.5 * top).sum())
    noise = max(noise_sd or 0.0, math.sqrt(max(top, 0.0)) if noise_sd is not None and noise_sd >= 1.0 else 0.0)
    if above < 8 or noise < 0.01 * top:
        return net
    window = max(5, above // 2 * 2 + 1)
    if window > net.size:
        return net
    return np.asarray(savgol_filter(net, window, 3), dtype=np.float64)


def _vertex(x: FloatArray, y: FloatArray, apex: int) -> tuple[float, float]:
    """Height and place of the parabola through the highest point and its neighbours."""
    if not 0 < apex < x.size - 1:
        return float(y[apex]), float(x[apex])
    (a, b, c), step = y[apex - 1 : apex + 2], 0.5 * (x[apex + 1] - x[apex - 1])
    bend = a - 2.0 * b + c
    if bend >= 0.0:
        return float(b), float(x[apex])
    shift = 0.5 * (a - c) / bend
    return float(b - 0.25 * (a - c) * shift), float(x[apex] + shift * step)


def _crossings(
    x: FloatArray, y: FloatArray, apex: int, first: int, last: int, level: float
) -> tuple[float | None, float | None]:
    """Where the flanks of a peak cross a level, going down from its apex; None where a bound comes first."""
    low = high = None
    for i in range(apex, first, -1):
        if y[i - 1] <= level < y[i]:
            low = float(x[i - 1] + (level - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1]))
            break
    for i in range(apex, last):
        if y[i + 1] <= level < y[i]:
            high = float(x[i] + (y[i] - level) / (y[i] - y[i + 1]) * (x[i + 1] - x[i]))
            break
    return low, high


def _tangent_width(x: FloatArray, y: FloatArray, half: tuple[float | None, float | None]) -> float | None:
    """Width on the base line between the steepest tangents of the flanks."""
    low, high = half
    if low is None or high is None:
        return None
    reach = 0.5 * (high - low)
    slopes = np.gradient(y, x)
    left = np.flatnonzero((x >= low - reach) & (x <= 0.5 * (low + high)))
    right = np.flatnonzero((x <= high + reach) & (x >= 0.5 * (low + high)))
    if left.size < 2 or right.size < 2:
        return None
    i, j = int(left[slopes[left].argmax()]), int(right[slopes[right].argmin()])
    if slopes[i] <= 0.0 or slopes[j] >= 0.0:
        return None
    return float((x[j] - y[j] / slopes[j]) - (x[i] - y[i] / slopes[i]))
