"""From counts of a reconstructed SPECT to Bq/mL: sensitivity, dead time, recovery, each with its uncertainty.

::

    c [Bq/mL] = n 1e6 / (CF t v)

with n the image value (expected counts of a view without attenuation), CF the counts per second and MBq of one head in air, t
the time of a view and v the volume of a voxel. Relative variances add.

Dead time is a loss of each view: its expected counts are the true ones times ``m / n`` of measured and true rate::

    non-paralysable   n = m / (1 - m tau)          paralysable   m = n exp(-n tau), lower solution

References
----------
Dewaraja Y et al., J Nucl Med 2012;53:1310 (MIRD pamphlet 23) · Gear J et al., Eur J Nucl Med Mol Imaging 2018;45:2456 · Knoll
G, Radiation Detection and Measurement, Wiley 2010, chapter 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, NotComputable
from fusin.stats.results import Estimate

__all__ = ["SpectScale", "dead_time_shares", "recovered", "recovery_coefficient", "spect_scale"]

FloatArray = NDArray[np.float64]
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectScale:
    """Bq/mL of an image value of 1, with its relative standard uncertainty and where that comes from."""

    bq_ml_per_count: float
    u_relative: float
    budget: dict[str, float]


def _checked(where: str, *, positive: dict[str, float], not_negative: dict[str, float]) -> None:
    for name, value in positive.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(where, name, value, "a positive number")
    for name, value in not_negative.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(where, name, value, "zero or a positive number")


def spect_scale(
    *, cps_per_mbq: float, u_cps_per_mbq: float, view_time_s: float, voxel_ml: float, dead_time_factor: float = 1.0,
    u_dead_time_factor: float = 0.0,
) -> SpectScale:  # fmt: skip
    """Bq/mL of an image value of 1.

    Parameters
    ----------
    cps_per_mbq, u_cps_per_mbq : sensitivity of one head in air and its standard uncertainty [1/(s MBq)]
    view_time_s : of a view of weight 1 [s]
    voxel_ml : volume of a voxel [mL]
    dead_time_factor, u_dead_time_factor : true over measured rate, where it is not in the weights of the views

    Raises
    ------
    InputError
        For numbers that are not positive.
    """
    _checked("calibration", positive={"cps_per_mbq": cps_per_mbq, "view_time_s": view_time_s, "voxel_ml": voxel_ml},
             not_negative={"u_cps_per_mbq": u_cps_per_mbq, "u_dead_time_factor": u_dead_time_factor})  # fmt: skip
    if not (math.isfinite(dead_time_factor) and dead_time_factor >= 1.0):
        raise InputError("calibration", "dead_time_factor", dead_time_factor, "1 or more: true over measured rate")
    budget = {"calibration": u_cps_per_mbq / cps_per_mbq, "dead_time": u_dead_time_factor / dead_time_factor}
    value = 1e6 * dead_time_factor / (cps_per_mbq * view_time_s * voxel_ml)
    return SpectScale(bq_ml_per_count=value, u_relative=math.hypot(*budget.values()), budget=budget)


def dead_time_shares(
    measured_cps: ArrayLike, *, tau_s: float, kind: Literal["paralysable", "non-paralysable"] = "paralysable"
) -> FloatArray:
    """Measured over true rate of each view, to multiply the weights of the views with.

    Parameters
    ----------
    measured_cps : (views,) rate of each head over the spectrum or window for which tau holds [1/s]
    tau_s : dead time [s]
    kind : of the detector

    Raises
    ------
    InputError
        For rates or a dead time below 0, and another kind.
    NotComputable
        ``VIEW_BEYOND_DEAD_TIME`` for a rate that no true rate gives.
    """
    rates = np.atleast_1d(np.asarray(measured_cps, dtype=np.float64))
    if not (np.isfinite(rates).all() and (rates >= 0).all()):
        raise InputError("dead time", "measured_cps", float(np.nanmin(rates)), "rates of 0 or more")
    _checked("dead time", positive={}, not_negative={"tau_s": tau_s})
    if kind not in ("paralysable", "non-paralysable"):
        raise InputError("dead time", "kind", kind, "paralysable or non-paralysable")
    x = rates * tau_s
    limit = 1.0 if kind == "non-paralysable" else math.exp(-1.0)
    if (x >= limit).any():
        raise NotComputable(
            "the dead time of a view",
            f"{rates.max():g} counts per second with {tau_s:g} s are beyond what a {kind} detector can show",
            f"a rate below {limit / tau_s:g} per second",
            "VIEW_BEYOND_DEAD_TIME",
        )
    if kind == "non-paralysable":
        return np.asarray(1.0 - x)
    from scipy.special import lambertw

    return np.asarray(np.exp(lambertw(-x, 0).real), dtype=np.float64)


def recovery_coefficient(
    measured: float, truth: float, *, u_measured: float, u_truth: float, background: float = 0.0
) -> Estimate:
    """Recovery of a sphere: measured contrast over true contrast, with a 95 % interval by propagation.

    Parameters
    ----------
    measured, truth : mean concentration in the image and in the phantom, same unit
    u_measured, u_truth : standard uncertainties; that of the image from a bootstrap of the counts
    background : true concentration around the sphere

    Raises
    ------
    InputError
        For a sphere without contrast and negative uncertainties.
    """
    _checked("recovery", positive={"truth": truth}, not_negative={"u_measured": u_measured, "u_truth": u_truth})
    contrast = truth - background
    if not math.isfinite(contrast) or contrast == 0:
        raise InputError("recovery", "background", background, "another concentration than that of the sphere")
    value = (measured - background) / contrast
    u = math.hypot(u_measured / contrast, value * u_truth / contrast)
    return Estimate(value=value, low=value - _NORMAL_95 * u, high=value + _NORMAL_95 * u,
                    method="normal interval by propagation of variances", n=1)  # fmt: skip


def recovered(
    value: float,
    u_value: float,
    *,
    recovery: float,
    u_recovery: float,
    background: float = 0.0,
    u_background: float = 0.0,
) -> tuple[float, float]:
    """Concentration B + (c - B) / R of a volume with the recovery R in a background B, and its standard uncertainty.

    Parameters
    ----------
    value, u_value : mean c of the image and its standard uncertainty
    recovery, u_recovery : of the volume, as `recovery_coefficient` has it
    background, u_background : concentration around the volume, which spills in; of the same unit

    Raises
    ------
    InputError
        For a recovery that is not positive, and negative uncertainties.
    """
    _checked("recovery", positive={"recovery": recovery}, not_negative={
        "u_value": u_value, "u_recovery": u_recovery, "background": background, "u_background": u_background,
    })  # fmt: skip
    contrast = (value - background) / recovery
    parts = u_value / recovery, contrast * u_recovery / recovery, u_background * (1.0 - 1.0 / recovery)
    return background + contrast, math.hypot(*parts)
