"""Shapes fitted to peaks that overlap: Gaussian, exponentially modified Gaussian, skew-normal, on a smooth baseline.

Each shape has its area as a parameter, so that areas and their covariance come straight out of the fit.

References
----------
EMG: Grushka, Anal Chem 1972;44:1733; evaluated with erfcx so that small tau does not overflow (Kalambet et al., J Chemom
2011;25:352). Skew-normal: Azzalini, Scand J Stat 1985;12:171. Least squares by lmfit (Levenberg-Marquardt).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusin.errors import InputError, NotComputable
from fusin.radiopharmacy.chromatogram import FloatArray

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.minimizer import MinimizerResult

__all__ = ["FitBaseline", "FittedPeak", "PeakFit", "ShapeName", "StartPeak", "fit_peaks", "shape_curve"]

ShapeName = Literal["gaussian", "emg", "skew-normal"]
FitBaseline = Literal["none", "constant", "linear", "exponential"]

_BASELINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "constant": ("level",),
    "linear": ("level", "slope"),
    "exponential": ("amplitude", "rate"),
}
_SKEWS: dict[str, tuple[float, ...]] = {"gaussian": (0.0,), "emg": (0.7, 0.15, 2.0), "skew-normal": (1.5, -1.5, 4.0)}
_MOST_CALLS = 4000
_SINGULAR, _TOUCHED, _NOTHING = 1e-7, 1e-3, 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPeak:
    """Where the search for one peak begins: area, place of its apex, and standard deviation, in the units of the axis."""

    area: float
    centre: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPeak:
    """One fitted peak.

    Attributes
    ----------
    area, area_u : area and its standard uncertainty
    apex : place of its highest point
    values, uncertainties : parameters by name: ``area``, ``centre``, ``sigma`` and ``height`` (gaussian), ``tau`` (emg) or
        ``alpha`` (skew-normal)
    """

    area: float
    area_u: float
    apex: float
    values: dict[str, float]
    uncertainties: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeakFit:
    """A fit.

    Attributes
    ----------
    shape : of all peaks
    peaks : in the order of their starts
    covariance : (k, k) of the areas
    baseline : values of the baseline's parameters, with ``uncertainties`` under ``baseline_u``
    x : (n,) positions
    curves : (k, n) each peak, in the unit of the signal
    total : (n,) everything with the baseline
    residual_ss : weighted sum of squared residuals
    dof : points less parameters
    weighted : whether the residuals were divided by Poisson deviations
    """

    shape: ShapeName
    peaks: tuple[FittedPeak, ...]
    covariance: FloatArray
    baseline: dict[str, float]
    baseline_u: dict[str, float]
    x: FloatArray
    curves: FloatArray
    total: FloatArray
    residual_ss: float
    dof: int
    weighted: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "shape": self.shape,
            "residual_ss": self.residual_ss,
            "dof": self.dof,
            "weighted": self.weighted,
            "values": {f"{name}_{i + 1}": v for i, p in enumerate(self.peaks) for name, v in p.values.items()}
            | self.baseline,
        }


def shape_curve(
    shape: ShapeName, x: FloatArray, *, area: float, centre: float, sigma: float, skew: float
) -> FloatArray:
    """A peak of a given area over x; ``skew`` is tau of an EMG or alpha of a skew-normal peak.

    Raises
    ------
    InputError
        For an unknown shape.
    """
    from scipy.special import erfc, erfcx, ndtr

    z = (x - centre) / sigma
    normal = np.exp(-0.5 * z * z) / (sigma * math.sqrt(2.0 * math.pi))
    if shape == "gaussian":
        return area * normal
    if shape == "skew-normal":
        return area * 2.0 * normal * ndtr(skew * z)
    if shape != "emg":
        raise InputError("peak fit", "shape", shape, "gaussian, emg or skew-normal")
    if abs(skew) < 1e-6 * sigma:
        return area * normal
    ratio, side = sigma / abs(skew), math.copysign(1.0, skew)
    u = (ratio - side * z) / math.sqrt(2.0)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled = np.exp(-0.5 * z * z) * erfcx(np.maximum(u, 0.0))
        plain = np.exp(np.minimum(0.5 * ratio * ratio - side * z * ratio, 700.0)) * erfc(np.minimum(u, 0.0))
    return area / (2.0 * abs(skew)) * np.where(u >= 0.0, scaled, plain)


def fit_peaks(
    x: FloatArray,
    y: FloatArray,
    starts: Sequence[StartPeak],
    *,
    shape: ShapeName = "gaussian",
    baseline: FitBaseline = "none",
    baseline_start: Sequence[float] = (),
    scale: FloatArray | None = None,
    poisson: FloatArray | None = None,
    under: FloatArray | None = None,
) -> PeakFit:
    """Fit a sum of peaks by least squares.

    Parameters
    ----------
    x, y : (n,) positions and signal
    starts : one per peak
    shape : of all peaks
    baseline : fitted with the peaks: constant (level), linear (level, slope) or exponential (amplitude, rate)
    baseline_start : starting values of its parameters
    scale : (n,) factor from an area density to the signal, for counts per bin the width of the bin; 1 when None
    poisson : (n,) variance per count of the signal; residuals are then weighted by the fitted counts
    under : (n,) known counts below ``y`` (a baseline that was subtracted), which add to the Poisson variance

    Raises
    ------
    InputError
        For no peak, or fewer points than parameters.
    NotComputable
        When no start converges, or the covariance cannot be had.
    """
    factor = np.ones_like(x) if scale is None else scale
    names = _BASELINES[baseline]
    needed = (3 if shape == "gaussian" else 4) * len(starts) + len(names)
    if not starts or x.size <= needed:
        raise InputError("peak fit", "points", x.size, f"more than {needed}, and at least one peak")
    model = _Model(x, y, factor, shape, baseline, len(starts))
    begin = starts
    if shape != "gaussian":
        # Skewed shapes wander when they begin far away; Gaussians of the same peaks tell where the areas are.
        begin = _gaussian_starts(x, y, starts, baseline, baseline_start, factor)
    below = np.zeros_like(y) if under is None else under
    deviation = np.ones_like(y) if poisson is None else np.sqrt(poisson * np.maximum(y + below, 1.0))
    best: MinimizerResult | None = None
    for skew in _SKEWS[shape]:
        found = _minimised(model.residual, _parameters(begin, names, baseline_start, x, shape, skew), deviation)
        if found is not None and (best is None or found.chisqr < best.chisqr * (1.0 - 1e-9)):
            best = found
    if best is not None and poisson is not None:
        for _ in range(2):
            deviation = np.sqrt(poisson * np.maximum(model.total(best.params.valuesdict()) + below, 0.25))
            best = _minimised(model.residual, best.params, deviation, scaled=False) or best
    covariance = None if best is None else _covariance(model.residual, best, deviation, scaled=poisson is None)
    if best is None or covariance is None:
        raise NotComputable(f"the fit of {len(starts)} {shape} peaks", "it does not converge to a minimum with a covariance",
                            "another shape, fewer peaks, or drop lines", "FIT_FAILED")  # fmt: skip
    return _result(best, covariance, model, names, weighted=poisson is not None)


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """Peaks on a baseline as functions of their parameters."""

    x: FloatArray
    y: FloatArray
    factor: FloatArray
    shape: ShapeName
    baseline: FitBaseline
    count: int

    def curves(self, values: Mapping[str, float]) -> FloatArray:
        """(k, n) each peak."""
        return np.array([
            self.factor * shape_curve(self.shape, self.x, area=values[f"area{i}"], centre=values[f"centre{i}"],
                                      sigma=values[f"sigma{i}"], skew=values.get(f"skew{i}", 0.0))
            for i in range(self.count)
        ])  # fmt: skip

    def smooth(self, values: Mapping[str, float]) -> FloatArray:
        """(n,) the baseline."""
        if self.baseline == "exponential":
            return np.asarray(values["amplitude"] * np.exp(-values["rate"] * self.x), dtype=np.float64)
        line = values.get("level", 0.0) + values.get("slope", 0.0) * (self.x - self.x.mean())
        return np.asarray(line, dtype=np.float64)

    def total(self, values: Mapping[str, float]) -> FloatArray:
        """(n,) everything."""
        return np.asarray(self.curves(values).sum(axis=0) + self.smooth(values), dtype=np.float64)

    def residual(self, parameters: Parameters, deviation: FloatArray) -> FloatArray:
        """(n,) weighted differences from the signal."""
        return np.asarray((self.total(parameters.valuesdict()) - self.y) / deviation)


def _gaussian_starts(
    x: FloatArray, y: FloatArray, starts: Sequence[StartPeak], baseline: FitBaseline, baseline_start: Sequence[float],
    scale: FloatArray,
) -> Sequence[StartPeak]:  # fmt: skip
    try:
        found = fit_peaks(x, y, starts, baseline=baseline, baseline_start=baseline_start, scale=scale)
    except NotComputable:
        return starts
    fitted = [StartPeak(area=p.area, centre=p.values["centre"], sigma=p.values["sigma"]) for p in found.peaks]
    near = all(abs(f.centre - s.centre) < 2.0 * s.sigma and f.area > 0.0 for f, s in zip(fitted, starts, strict=True))
    return fitted if near else starts


def _parameters(
    starts: Sequence[StartPeak], names: Sequence[str], baseline_start: Sequence[float], x: FloatArray, shape: ShapeName,
    skew: float,
) -> Parameters:  # fmt: skip
    from lmfit import Parameters

    made = Parameters()
    least = 1e-3 * float(np.median(np.diff(x)))
    for i, start in enumerate(starts):
        made.add(f"area{i}", value=start.area)
        # The mean of a skewed shape lies behind its centre; the search begins with the apex in place.
        shift = 0.5 * skew * start.sigma if shape == "emg" else 0.0
        # A skewed peak that may go anywhere changes places with its neighbour.
        reach = math.inf if shape == "gaussian" else 5.0 * start.sigma
        made.add(f"centre{i}", value=start.centre - shift, min=start.centre - reach, max=start.centre + reach)
        made.add(f"sigma{i}", value=start.sigma, min=least)
        if shape == "emg":
            made.add(f"skew{i}", value=skew * start.sigma, min=1e-4 * start.sigma)
        elif shape == "skew-normal":
            made.add(f"skew{i}", value=skew)
    for number, name in enumerate(names):
        made.add(name, value=baseline_start[number] if number < len(baseline_start) else 0.0)
    return made


def _minimised(residual: Any, parameters: Parameters, deviation: FloatArray, *, scaled: bool = True) -> Any:
    """Result of one start, or None when it fails; the covariance is scaled by the residuals unless they are weighted."""
    from lmfit import Minimizer

    fitter = Minimizer(residual, parameters, fcn_args=(deviation,), scale_covar=scaled, nan_policy="raise")
    try:
        with np.errstate(all="ignore"):
            found = fitter.leastsq(xtol=1e-13, ftol=1e-13, max_nfev=_MOST_CALLS)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return None
    # Without noise a skew that should be 0 is approached for ever, with residuals of nothing.
    done = (
        found.success
        or found.covar is not None
        or found.chisqr < _NOTHING * float((residual(_empty(parameters), deviation) ** 2).sum())
    )
    return found if np.isfinite(found.chisqr) and done else None


def _covariance(residual: Any, best: Any, deviation: FloatArray, *, scaled: bool) -> FloatArray | None:
    """Inverse of J'J at the minimum with central differences, which keep the digits that forward ones lose."""
    columns = []
    for name in best.var_names:
        value = float(best.params[name].value)
        step = 6e-6 * max(abs(value), 1e-6)
        sides = []
        for sign in (1.0, -1.0):
            moved = best.params.copy()
            # A parameter at the end of its range would be moved back by its own limits.
            moved[name].set(value=value + sign * step, min=-np.inf, max=np.inf)
            sides.append(residual(moved, deviation))
        columns.append((sides[0] - sides[1]) / (2.0 * step))
    jacobian = np.array(columns).T
    norms = np.sqrt((jacobian**2).sum(axis=0))
    if not np.isfinite(norms).all() or np.any(norms == 0.0):
        return None
    _, singular, right = np.linalg.svd(jacobian / norms, full_matrices=False)
    kept = singular > _SINGULAR * singular[0]
    lost = np.abs(right[~kept]).max(axis=0, initial=0.0) > _TOUCHED
    if any(lost[n] for n, name in enumerate(best.var_names) if name.startswith("area")):
        return None
    # A skew-normal without skew cannot tell its centre from its skew; its area is as certain as ever.
    inverse = (right[kept].T / singular[kept] ** 2) @ right[kept] / np.outer(norms, norms)
    inverse[lost] = inverse[:, lost] = np.nan
    return np.asarray(inverse * (best.chisqr / best.nfree if scaled else 1.0))


def _empty(parameters: Parameters) -> Parameters:
    """The same parameters without any peak."""
    out = parameters.copy()
    for name in out:
        if name.startswith("area"):
            out[name].set(value=0.0)
    return out


def _result(best: Any, full: FloatArray, model: _Model, names: Sequence[str], *, weighted: bool) -> PeakFit:
    found = best.params.valuesdict()
    curves, shape, x = model.curves(found), model.shape, model.x
    varied, deviations = list(best.var_names), np.sqrt(np.diag(full))
    count = len(curves)
    places = [varied.index(f"area{i}") for i in range(count)]
    skewed = {"gaussian": "", "emg": "tau", "skew-normal": "alpha"}[shape]

    def uncertainty(name: str) -> float:
        return float(deviations[varied.index(name)])

    peaks = []
    for i in range(count):
        pairs = {"area": f"area{i}", "centre": f"centre{i}", "sigma": f"sigma{i}"}
        pairs |= {skewed: f"skew{i}"} if skewed else {}
        values = {k: float(best.params[v].value) for k, v in pairs.items()}
        uncertainties = {k: uncertainty(v) for k, v in pairs.items()}
        if shape == "gaussian":
            block = full[np.ix_(*[[varied.index(f"area{i}"), varied.index(f"sigma{i}")]] * 2)]
            height = values["area"] / (values["sigma"] * math.sqrt(2.0 * math.pi))
            slope = np.array([height / values["area"], -height / values["sigma"]])
            values["height"], uncertainties["height"] = height, float(math.sqrt(slope @ block @ slope))
        apex = float(x[int(curves[i].argmax())])
        peaks.append(FittedPeak(area=values["area"], area_u=uncertainties["area"], apex=apex, values=values,
                                uncertainties=uncertainties))  # fmt: skip
    return PeakFit(
        shape=shape, peaks=tuple(peaks), covariance=full[np.ix_(places, places)],
        baseline={n: float(best.params[n].value) for n in names}, baseline_u={n: uncertainty(n) for n in names},
        x=x, curves=curves, total=model.total(found), residual_ss=float(best.chisqr), dof=int(best.nfree),
        weighted=weighted,
    )  # fmt: skip
