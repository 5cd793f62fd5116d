"""From counts of a region to activity with its uncertainty: calibration factor, dead time, recovery.

::

    A = f_dead * C / (t * CF * R(V)),     CF in counts per second and MBq, R the recovery coefficient

Relative variances add, with the volume entering through the recovery (Gear 2018, eq. 13 to 24)::

    (u(A)/A)^2 = (u(C)/C)^2 + (u(CF)/CF)^2 + (u(R)/R)^2 + (u(f)/f)^2

References
----------
Gear J et al., Eur J Nucl Med Mol Imaging 2018;45:2456 (PMC6208822) · Dewaraja Y et al., J Nucl Med 2012;53:1310 (MIRD
pamphlet 23) · Knoll G, Radiation Detection and Measurement, Wiley 2010, chapter 4 (dead time).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, NotComputable

__all__ = [
    "Calibration",
    "Measured",
    "Quantified",
    "RecoveryCurve",
    "calibration_factor",
    "dead_time_factor",
    "fit_recovery",
    "quantified_activity",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its standard uncertainty."""

    value: float
    u: float

    @property
    def relative(self) -> float:
        """Relative standard uncertainty."""
        return self.u / self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Sensitivity of a camera, counts per second and megabecquerel."""

    cps_per_mbq: float
    u_cps_per_mbq: float
    n: int


def _positive(where: str, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(where, name, value, "a positive number")


def _not_negative(where: str, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(where, name, value, "zero or a positive number")


def calibration_factor(
    counts: ArrayLike, *, duration_s: ArrayLike, activity_mbq: ArrayLike, activity_u_relative: float
) -> Calibration:
    """Sensitivity from one or several acquisitions of a known activity.

    Parameters
    ----------
    counts : net counts of each acquisition
    duration_s : of each acquisition, or of all [s]
    activity_mbq : at the time of each acquisition, or of all [MBq]
    activity_u_relative : relative standard uncertainty of the activity meter, shared by all acquisitions

    Raises
    ------
    InputError
        For numbers that are not positive.
    """
    c, t, a = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, dtype=float)) for v in (counts, duration_s, activity_mbq))
    )
    for name, values in (("counts", c), ("duration_s", t), ("activity_mbq", a)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError("calibration", name, float(values.min()), "positive numbers")
    _not_negative("calibration", activity_u_relative=activity_u_relative)
    each = c / (t * a)
    mean = float(each.mean())
    # Counting statistics, or the scatter of repeated acquisitions where it is larger.
    counting = mean / math.sqrt(float(c.sum()))
    scatter = float(each.std(ddof=1)) / math.sqrt(each.size) if each.size > 1 else 0.0
    u = math.hypot(max(counting, scatter), mean * activity_u_relative)
    return Calibration(cps_per_mbq=mean, u_cps_per_mbq=u, n=int(each.size))


def dead_time_factor(
    measured_cps: float,
    *,
    tau_s: float,
    tau_u_s: float = 0.0,
    kind: Literal["paralysable", "non-paralysable"] = "paralysable",
) -> Measured:
    """True over measured rate with its uncertainty.

    Non-paralysable n = m / (1 - m tau); paralysable m = n exp(-n tau), its lower solution.

    Parameters
    ----------
    measured_cps : rate over the whole energy spectrum or the window for which tau holds [1/s]
    tau_s, tau_u_s : dead time and its standard uncertainty [s]
    kind : of the detector

    Raises
    ------
    InputError
        For numbers that are not positive, and another kind.
    NotComputable
        ``RATE_BEYOND_DEAD_TIME`` for a rate that no true rate gives.
    """
    _positive("dead time", measured_cps=measured_cps)
    _not_negative("dead time", tau_s=tau_s, tau_u_s=tau_u_s)
    x = measured_cps * tau_s
    if kind not in ("paralysable", "non-paralysable"):
        raise InputError("dead time", "kind", kind, "paralysable or non-paralysable")
    limit = 1.0 if kind == "non-paralysable" else math.exp(-1.0)
    if x >= limit:
        raise NotComputable(
            "the dead time correction",
            f"{measured_cps:g} counts per second with {tau_s:g} s are beyond what a {kind} detector can show",
            f"a rate below {limit / tau_s:g} per second",
            "RATE_BEYOND_DEAD_TIME",
        )
    if kind == "non-paralysable":
        factor = 1.0 / (1.0 - x)
        slope = factor**2
    else:
        from scipy.special import lambertw

        loss = -float(lambertw(-x, 0).real)
        factor = math.exp(loss)
        # From x = w exp(-w): dw/dx = exp(w) / (1 - w).
        slope = factor * factor / (1.0 - loss)
    return Measured(factor, slope * measured_cps * tau_u_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecoveryCurve:
    """Recovery coefficient by volume, R(V) = 1 / (1 + (b1 / V)^b2).

    Attributes
    ----------
    b1_ml, b2 : parameters
    covariance : (2, 2)
    low_ml, high_ml : volumes that were measured
    loss_spread : standard deviation of the loss 1 - R of single inserts about the curve, relative to the loss
    """

    b1_ml: float
    b2: float
    covariance: FloatArray
    low_ml: float
    high_ml: float
    loss_spread: float = 0.0

    def at(self, volume_ml: float, *, volume_u_ml: float = 0.0) -> Measured:
        """Recovery coefficient of a volume; its uncertainty holds those of the curve, of its spread and of the volume.

        Raises
        ------
        InputError
            For a volume that is not positive.
        """
        _positive("recovery", volume_ml=volume_ml)
        _not_negative("recovery", volume_u_ml=volume_u_ml)
        ratio = (self.b1_ml / volume_ml) ** self.b2
        value = 1.0 / (1.0 + ratio)
        common = value**2 * ratio
        slopes = np.array([-common * self.b2 / self.b1_ml, -common * math.log(self.b1_ml / volume_ml)])
        by_volume = common * self.b2 / volume_ml
        variance = float(slopes @ self.covariance @ slopes) + (by_volume * volume_u_ml) ** 2
        variance += (self.loss_spread * (1.0 - value)) ** 2
        return Measured(value, math.sqrt(max(variance, 0.0)))

    def measured(self, volume_ml: float) -> bool:
        """Whether a volume lies within those that were measured."""
        return self.low_ml <= volume_ml <= self.high_ml


def fit_recovery(volume_ml: ArrayLike, recovery: ArrayLike, *, u: ArrayLike | None = None) -> RecoveryCurve:
    """Fit the recovery curve to inserts of a phantom.

    Inserts of one size differ by more than noise: by their place among the voxels, their contrast, and the rings of a resolution
    model. What exceeds the stated uncertainties is a spread of the loss 1 - R about the curve (by its moment, as DerSimonian and
    Laird), raised by what Student's t asks of so few inserts. The next region is one more draw: `RecoveryCurve.at` holds it.

    Parameters
    ----------
    volume_ml, recovery : (n,) inserts, three or more
    u : (n,) standard uncertainties of the recovery; taken from the scatter without

    Raises
    ------
    InputError
        For unequal lengths and numbers that are not positive.
    NotComputable
        ``TOO_FEW_POINTS`` for fewer than three inserts, ``FIT_NOT_IDENTIFIABLE`` where they determine no curve.

    References
    ----------
    DerSimonian R, Laird N, Control Clin Trials 1986;7:177.
    """
    from scipy.stats import norm, t

    v, r = np.asarray(volume_ml, dtype=float), np.asarray(recovery, dtype=float)
    if v.ndim != 1 or v.shape != r.shape or not ((v > 0) & (r > 0) & np.isfinite(v) & np.isfinite(r)).all():
        raise InputError(
            "recovery", "inserts", f"{v.size} volumes and {r.size} coefficients", "as many positive numbers of each"
        )
    if v.size < 3:
        raise NotComputable("the recovery curve", f"there are {v.size} inserts", "at least 3", "TOO_FEW_POINTS")
    own = np.ones(v.size) if u is None else np.asarray(u, dtype=float)
    if own.shape != v.shape or not (np.isfinite(own) & (own > 0)).all():
        raise InputError(
            "recovery", "uncertainties", "another number of them or one that is not positive", "one for each insert"
        )
    freedom = v.size - 2
    logs, normal, misses = _fitted(v, r, own)
    losses = _losses(v, logs)
    variance = float(((misses / own) ** 2).sum()) / freedom if u is None else 1.0
    spread = _spread(misses, losses, np.zeros(v.size) if u is None else own, np.ones(v.size))
    if u is not None and spread > 0:
        # With the weights that this gives; a fixed point would at times follow one insert of hardly any loss.
        for _ in range(_REFITS):
            total = np.hypot(own, spread * losses)
            logs, normal, misses = _fitted(v, r, total)
            spread = _spread(misses, losses, own, 1.0 / total**2)
    values = np.exp(logs)
    few = float(t.ppf(0.975, freedom) / norm.ppf(0.975)) if spread > 0 else 1.0
    covariance = few**2 * variance * np.linalg.inv(normal) * np.outer(values, values)
    return RecoveryCurve(b1_ml=float(values[0]), b2=float(values[1]), covariance=covariance, low_ml=float(v.min()),
                         high_ml=float(v.max()), loss_spread=few * spread)  # fmt: skip


_NO_LOSS = 1e-6
_REFITS = 3


def _spread(misses: FloatArray, losses: FloatArray, own: FloatArray, weights: FloatArray) -> float:
    """Relative spread of the loss by the moment of weighted misses: E sum w miss^2 = (n - 2) / n sum w (u^2 + k^2 loss^2)."""
    share = (misses.size - 2) / misses.size
    excess = float((weights * (misses**2 / share - own**2)).sum())
    return math.sqrt(max(excess, 0.0) / float((weights * losses**2).sum()))


def _losses(v: FloatArray, logs: FloatArray) -> FloatArray:
    """1 - R of the curve with the logarithms of its parameters."""
    b1, b2 = np.exp(logs)
    return np.asarray(1.0 - 1.0 / (1.0 + (b1 / v) ** b2))


def _fitted(v: FloatArray, r: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithms of the parameters, the matrix of the normal equations, and how far the curve lies above the inserts."""
    from scipy.optimize import least_squares

    def residual(logs: FloatArray) -> FloatArray:
        return np.asarray((1.0 - _losses(v, logs) - r) / own)

    start = np.array([math.log(float(np.median(v)) / 3.0), 0.0])
    found = least_squares(residual, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    slopes = np.asarray(found.jac, dtype=np.float64)
    normal = slopes.T @ slopes
    flat = float(_losses(v, found.x).max()) < _NO_LOSS
    if flat or not found.success or np.linalg.cond(normal) > 1e12:
        raise NotComputable("the recovery curve", "the inserts do not determine its two parameters", "inserts of different volumes",
                            "FIT_NOT_IDENTIFIABLE")  # fmt: skip
    return found.x, normal, np.asarray(found.fun * own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantified:
    """An activity with its uncertainty and where it comes from.

    Attributes
    ----------
    activity_mbq, u_mbq : the activity and its standard uncertainty
    budget : relative standard uncertainty of each source
    shared_relative : the part that is the same at all times (calibration, recovery, dead time's tau), for ``common_u``
    """

    activity_mbq: float
    u_mbq: float
    budget: dict[str, float]
    shared_relative: float


def quantified_activity(
    counts: float,
    *,
    duration_s: float,
    calibration: Calibration,
    counts_u: float | None = None,
    recovery: Measured | None = None,
    dead_time: Measured | None = None,
) -> Quantified:
    """Activity of a region from its counts.

    Parameters
    ----------
    counts : net counts of the region in the reconstructed image
    duration_s : time per projection times their number [s]
    calibration : of the camera with the same reconstruction
    counts_u : standard uncertainty of the counts, with that of the outline; the Poisson value of the counts without
    recovery : coefficient of the region's volume; left out means 1, without an uncertainty
    dead_time : factor; left out means 1

    Raises
    ------
    InputError
        For numbers that are not positive.
    """
    _positive("activity", counts=counts, duration_s=duration_s, cps_per_mbq=calibration.cps_per_mbq)
    own = math.sqrt(counts) if counts_u is None else counts_u
    _not_negative("activity", counts_u=own)
    r, f = recovery or Measured(1.0, 0.0), dead_time or Measured(1.0, 0.0)
    _positive("activity", recovery=r.value, dead_time=f.value)
    value = f.value * counts / (duration_s * calibration.cps_per_mbq * r.value)
    budget = {
        "counts": own / counts,
        "calibration": calibration.u_cps_per_mbq / calibration.cps_per_mbq,
        "recovery": r.relative,
        "dead_time": f.relative,
    }
    shared = math.hypot(budget["calibration"], budget["recovery"], budget["dead_time"])
    return Quantified(
        activity_mbq=value, u_mbq=value * math.hypot(*budget.values()), budget=budget, shared_relative=shared
    )
