"""The integral by trapezoids with an exponential tail, for curves that no sum of exponentials describes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.dosimetry.time_activity import TimeActivity, log_interval
from fusin.errors import InputError, NotComputable
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["Start", "Tail", "Trapezoid", "trapezoid"]

FloatArray = NDArray[np.float64]
Tail = Literal["physical", "fitted"]
Start = Literal["zero", "flat"]
_LN2 = math.log(2.0)
_TAIL_POINTS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trapezoid:
    """Trapezoids and a tail.

    Attributes
    ----------
    points : the corners
    tail, start : as asked for
    tail_rate_per_h : of the tail
    at_physical_decay : whether a fitted tail was slower than physical decay and was held there
    weights_h : (n,) share of each activity in the integral up to the tail's rate [h]
    """

    points: TimeActivity
    tail: Tail
    start: Start
    tail_rate_per_h: float
    at_physical_decay: bool
    weights_h: FloatArray

    @property
    def value_mbq_h(self) -> float:
        """Time-integrated activity [MBq h]."""
        return float(self.weights_h @ self.points.activity_mbq)

    @property
    def tail_fraction(self) -> float:
        """Share of the integral beyond the last time."""
        return float(self.points.activity_mbq[-1]) / self.tail_rate_per_h / self.value_mbq_h

    @property
    def head_fraction(self) -> float:
        """Share of the integral before the first time."""
        first = float(self.points.time_h[0] * self.points.activity_mbq[0])
        return first * (0.5 if self.start == "zero" else 1.0) / self.value_mbq_h

    @property
    def tia_u_mbq_h(self) -> float | None:
        """Standard uncertainty from those of the activities; None where they are not stated [MBq h]."""
        u = self.points.uncertainty_mbq
        if u is None:
            return None
        slopes = self.weights_h.copy()
        if self.tail == "fitted" and not self.at_physical_decay:
            slopes -= float(self.points.activity_mbq[-1]) / self.tail_rate_per_h**2 * _rate_slopes(self.points)
        return float(np.sqrt(np.sum((slopes * u) ** 2)))

    def tia_mbq_h(self, level: float = 0.95) -> Estimate:
        """Time-integrated activity; an interval only where uncertainties are stated [MBq h]."""
        method = f"trapezoids, {self.tail} tail"
        u = self.tia_u_mbq_h
        if u is None:
            note = "no interval: the uncertainties of the activities are not stated"
            return Estimate(value=self.value_mbq_h, low=None, high=None, method=method, n=self.points.n, level=level,
                            note=note)  # fmt: skip
        return log_interval(self.value_mbq_h, u, quantile=normal_quantile(level), level=level, method=method,
                            n=self.points.n)  # fmt: skip

    def band(self, time_h: ArrayLike, level: float = 0.95) -> tuple[FloatArray, None, None]:
        """The line that was integrated [MBq]; it has no band."""
        t = np.atleast_1d(np.asarray(time_h, dtype=np.float64))
        first, last = float(self.points.time_h[0]), float(self.points.time_h[-1])
        mid = np.interp(t, self.points.time_h, self.points.activity_mbq)
        if self.start == "zero" and first > 0:
            mid = np.where(t < first, self.points.activity_mbq[0] * t / first, mid)
        tail = self.points.activity_mbq[-1] * np.exp(-self.tail_rate_per_h * (t - last))
        return np.where(t > last, tail, mid), None, None


def trapezoid(points: TimeActivity, *, half_life_h: float, tail: Tail = "physical", start: Start = "zero") -> Trapezoid:
    """Integrate by trapezoids.

    Parameters
    ----------
    points : of one region, two or more
    half_life_h : of the nuclide
    tail : beyond the last time ``physical`` decay, which gives the largest integral that is possible without further uptake, or the
        ``fitted`` rate of the last three points (two, where there are no more), no slower than physical decay
    start : before the first time a rise from ``zero`` at t = 0, or the first activity (``flat``)

    Raises
    ------
    NotComputable
        ``TOO_FEW_POINTS`` for one point.
    InputError
        For another tail or start.
    """
    if tail not in ("physical", "fitted"):
        raise InputError(points.region, "tail", tail, "physical or fitted")
    if start not in ("zero", "flat"):
        raise InputError(points.region, "start", start, "zero or flat")
    if points.n < 2:
        needed = "at least 2 times, or --model haenscheid, madsen or map"
        raise NotComputable(f"{points.region}: the trapezoids", "there is 1 point", needed, "TOO_FEW_POINTS")
    slowest = _LN2 / half_life_h
    fitted = _tail_rate(points) if tail == "fitted" else slowest
    rate = max(fitted, slowest)
    steps = np.diff(points.time_h)
    weights = np.zeros(points.n)
    weights[:-1] += steps / 2
    weights[1:] += steps / 2
    weights[0] += float(points.time_h[0]) * (0.5 if start == "zero" else 1.0)
    weights[-1] += 1.0 / rate
    return Trapezoid(points=points, tail=tail, start=start, tail_rate_per_h=rate, at_physical_decay=fitted <= slowest,
                     weights_h=weights)  # fmt: skip


def _tail_places(points: TimeActivity) -> FloatArray:
    """Weights of log activities in the slope of the last points."""
    t = points.time_h[-min(_TAIL_POINTS, points.n) :]
    centred = t - t.mean()
    return np.asarray(centred / np.sum(centred**2))


def _tail_rate(points: TimeActivity) -> float:
    places = _tail_places(points)
    return -float(places @ np.log(points.activity_mbq[-places.size :]))


def _rate_slopes(points: TimeActivity) -> FloatArray:
    places = _tail_places(points)
    slopes = np.zeros(points.n)
    slopes[-places.size :] = -places / points.activity_mbq[-places.size :]
    return slopes
