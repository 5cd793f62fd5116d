"""Planar curve and one SPECT: the shape from the planar images, the scale from the quantitative one.

With the fitted planar curve p(t), in any unit, and the SPECT activity A_s at t_s::

    TIA = A_s * P / p(t_s),    P the integral of p from 0 to infinity

so that the sensitivity of the planar images, their attenuation and overlap cancel as far as they are the same at all times.

References
----------
Siegel J et al., J Nucl Med 1999;40:37S · He B et al., Med Phys 2008;35:3667 (hybrid planar and SPECT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.dosimetry.time_activity import CurveFit, log_interval, quantile_of
from fusin.errors import InputError
from fusin.stats.results import Estimate

__all__ = ["Hybrid", "hybrid"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hybrid:
    """A planar curve on the scale of a SPECT.

    Attributes
    ----------
    planar : fit of the planar points, in their own unit
    spect_time_h, spect_mbq : the SPECT
    spect_u_mbq : its standard uncertainty, or None
    """

    planar: CurveFit
    spect_time_h: float
    spect_mbq: float
    spect_u_mbq: float | None

    @property
    def scale(self) -> float:
        """Megabecquerel per unit of the planar curve."""
        return self.spect_mbq / float(self.planar.at(self.spect_time_h)[0])

    @property
    def tia_u_mbq_h(self) -> float:
        """Standard uncertainty from the planar fit, whose scale cancels, and the SPECT [MBq h]."""
        integral, there = self.planar.integral_mbq_h(), float(self.planar.at(self.spect_time_h)[0])
        slope = self.planar.tia_gradient / integral - self.planar.slopes(self.spect_time_h)[0] / there
        shape = math.sqrt(max(float(slope @ self.planar.covariance @ slope), 0.0))
        return self.scale * integral * math.hypot(shape, (self.spect_u_mbq or 0.0) / self.spect_mbq)

    def tia_mbq_h(self, level: float = 0.95) -> Estimate:
        """Time-integrated activity with its interval [MBq h]."""
        note = (
            "" if self.spect_u_mbq is not None else "the uncertainty of the SPECT is not stated and not in the interval"
        )
        return log_interval(
            self.scale * self.planar.integral_mbq_h(), self.tia_u_mbq_h, quantile=quantile_of(self.planar.df, level), level=level,
            method="planar shape on the scale of one SPECT, propagated", n=self.planar.points.n + 1, note=note,
        )  # fmt: skip

    def band(self, time_h: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The scaled curve with the band of its shape [MBq]."""
        mid, low, high = self.planar.band(time_h, level)
        return self.scale * mid, self.scale * low, self.scale * high


def hybrid(planar: CurveFit, *, spect_time_h: float, spect_mbq: float, spect_u_mbq: float | None = None) -> Hybrid:
    """Scale a planar curve to one SPECT.

    Parameters
    ----------
    planar : fit of the planar points; their unit does not matter
    spect_time_h, spect_mbq : time and activity of the SPECT, not decay-corrected
    spect_u_mbq : standard uncertainty of that activity

    Raises
    ------
    InputError
        For an activity or uncertainty that is not positive, and a SPECT beyond the planar times, where the curve is extrapolated.
    """
    where = planar.points.region
    for name, value in (
        ("SPECT activity", spect_mbq),
        ("SPECT uncertainty", 1.0 if spect_u_mbq is None else spect_u_mbq),
    ):
        if not (math.isfinite(value) and value > 0):
            raise InputError(where, name, value, "a positive number of MBq")
    first, last = float(planar.points.time_h[0]), float(planar.points.time_h[-1])
    if not first <= spect_time_h <= last:
        raise InputError(
            where, "time of the SPECT", spect_time_h, f"a time between the planar images, {first:g} to {last:g} h"
        )
    return Hybrid(planar=planar, spect_time_h=spect_time_h, spect_mbq=spect_mbq, spect_u_mbq=spect_u_mbq)
