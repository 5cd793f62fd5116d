"""Fit of one compartment model to one curve: several starts, bounded least squares, intervals that say what is not identified."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.receptor.compartments import MODELS, CompartmentName, derived
from fusin.receptor.frames import FloatArray, Frames
from fusin.receptor.input_function import InputFunction
from fusin.stats.results import Estimate

__all__ = ["BOUNDS", "CompartmentFit", "FitSettings", "fit_compartments"]

BOUNDS: Mapping[str, tuple[float, float]] = {
    "K1": (1e-4, 10.0), "k2": (1e-4, 10.0), "k3": (1e-4, 10.0), "k4": (1e-4, 10.0),
    "R1": (1e-3, 10.0), "BP_ND": (1e-4, 100.0), "vB": (0.0, 1.0), "delay_min": (-1.0, 2.0),
}  # fmt: skip
"""Limits of the search: per minute, mL/cm3/min, minutes."""

_STARTS = np.array(
    [
        # K1, k2, k3, k4: they differ in how fast tracer leaves and how it is held; K1 is scaled to the data.
        (0.1, 0.1, 0.05, 0.03), (0.1, 0.3, 0.1, 0.02), (0.1, 0.05, 0.01, 0.02), (0.1, 0.8, 0.3, 0.05), (0.1, 0.1, 0.02, 0.1),
        (0.1, 0.2, 0.02, 0.002), (0.1, 0.03, 0.1, 0.2), (0.1, 1.5, 0.1, 0.01),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a curve is fitted.

    Attributes
    ----------
    vb : share of blood; None fits it
    delay_min : delay of the tissue behind the input; None fits it
    average : means over the frames; False takes their middles
    level : of the intervals
    interval : ``profile``, ``covariance`` or ``none``
    bounds : name to limits, in place of :data:`BOUNDS`
    """

    vb: float | None = 0.05
    delay_min: float | None = 0.0
    average: bool = False
    level: float = 0.95
    interval: Literal["profile", "covariance", "none"] = "profile"
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CompartmentFit:
    """A fitted model.

    Attributes
    ----------
    model : name
    estimates : name to estimate, the rates first, then vB and delay_min where they were fitted, then what follows from them
    rates : all parameters as used, fixed ones too
    fitted : activity by the model in each frame
    rss : weighted sum of squares
    n, k : frames with weight, fitted parameters
    aicc : Akaike's criterion for few points; None where there are too few
    at_limit : names of parameters that lie at a limit of the search
    converged : whether the search ended by itself
    """

    model: str
    estimates: Mapping[str, Estimate]
    rates: Mapping[str, float]
    fitted: FloatArray
    rss: float
    n: int
    k: int
    aicc: float | None
    at_limit: tuple[str, ...]
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """One curve as the kernel wants it."""

    kind: int
    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    free: NDArray[np.bool_]
    root: FloatArray
    data: tuple[Any, ...]

    def fit(self, z: FloatArray, most: int, view: int = 0) -> Any:
        from fusin.receptor.compartment_kernels import fit

        # numba gives its dispatcher the types of a function without unpacking.
        run: Any = fit
        return run(self.kind, view, z, self.low, self.high, self.free, self.root, *self.data, most, 1e-13)


def fit_compartments(
    model: CompartmentName, frames: Frames, activity: FloatArray, source: InputFunction, *, settings: FitSettings,
    weights: FloatArray | None = None, what: str = "the curve",
) -> CompartmentFit:  # fmt: skip
    """Fit a compartment model.

    Parameters
    ----------
    model : one of :data:`fusin.receptor.compartments.MODELS`
    frames, activity : the curve
    source : input that reaches the last frame; the reference region for ``srtm``
    settings : what is fixed, limits, intervals
    weights : of least squares; a frame with weight 0 is left out; equal when None
    what : name for messages

    Raises
    ------
    NotComputable
        For fewer weighted frames than parameters plus one, and an input without activity.
    InputError
        For blood that the model needs and does not have.
    """
    given = np.ones(frames.n) if weights is None else weights
    keep = given > 0
    problem = _problem(model, frames.chosen(keep), activity[keep], given[keep], source, settings, what)
    n, k = int(keep.sum()), int(problem.free.sum())
    if n <= k:
        raise NotComputable(
            f"{model} of {what}", f"{n} frames with weight for {k} parameters", f"at least {k + 1}", "FRAMES_FEW"
        )
    if not float(np.abs(source.plasma).max()) > 0:
        raise NotComputable(
            f"{model} of {what}", "the input is zero throughout", "an input with activity", "INPUT_EMPTY"
        )
    if not float(np.abs(activity[keep]).max()) > 0:
        raise NotComputable(
            f"{model} of {what}", "its activity is zero throughout", "a region with activity", "CURVE_EMPTY"
        )
    z, rss, jacobian, converged = _best(problem, activity[keep], settings)
    values = _values(problem.names, z)
    rates = {name: values[name] for name in MODELS[model].rates}
    estimates = _estimates(model, problem, z, rss, jacobian, n - k, settings)
    at_limit = tuple(
        name for j, name in enumerate(problem.names)
        if name and problem.free[j] and min(z[j] - problem.low[j], problem.high[j] - z[j]) < 1e-6
    )  # fmt: skip
    return CompartmentFit(
        model=model, estimates=estimates, rates={**rates, "vB": float(z[4]), "delay_min": float(z[5])},
        fitted=_all_frames(model, rates, z, frames, source, activity, settings), rss=float(rss), n=n, k=k,
        aicc=_aicc(float(rss), n, k), at_limit=at_limit, converged=bool(converged),
    )  # fmt: skip


def _aicc(rss: float, n: int, k: int) -> float | None:
    if n - k - 1 <= 0 or rss <= 0:
        return None
    return n * math.log(rss / n) + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1)


def _names(model: CompartmentName) -> tuple[str, ...]:
    rates = MODELS[model].rates
    return (*rates, *[""] * (4 - len(rates)), "vB", "delay_min")


def _problem(
    model: CompartmentName, frames: Frames, activity: FloatArray, weights: FloatArray, source: InputFunction,
    settings: FitSettings, what: str,
) -> _Problem:  # fmt: skip
    from fusin.receptor.compartment_kernels import KINDS, blood_response

    names = _names(model)
    low, high = np.zeros(6), np.zeros(6)
    free = np.zeros(6, dtype=np.bool_)
    for j, name in enumerate(names):
        if name and j < 4:
            a, b = settings.bounds.get(name, BOUNDS[name])
            if not 0 < a < b:
                raise InputError("bounds", name, f"{a:g},{b:g}", "two positive limits in order")
            low[j], high[j], free[j] = math.log(a), math.log(b), True
    reference = model == "srtm"
    vb = 0.0 if reference else settings.vb
    delay = 0.0 if reference else settings.delay_min
    for j, name, fixed in ((4, "vB", vb), (5, "delay_min", delay)):
        low[j], high[j] = settings.bounds.get(name, BOUNDS[name]) if fixed is None else (fixed, fixed)
        free[j] = fixed is None
    if vb != 0.0 and source.blood is None:
        raise InputError(what, "whole blood", "nothing", "a column of whole blood, or --vb 0")
    edges, first, last = frames.edges(average=settings.average)
    empty: NDArray[np.float64] = np.empty(0)
    blood_time = empty if source.blood_time_min is None or reference else np.asarray(source.blood_time_min)
    blood = empty if source.blood is None or reference else np.asarray(source.blood)
    direct = empty
    if reference:
        direct = np.interp(frames.mid_min, source.time_min, source.plasma)
    elif blood.size and delay is not None:
        # Blood in the frames does not change while the delay does not.
        direct = blood_response(blood_time.copy(), blood.copy(), edges.copy(), first, last, delay)
    # Copies, because compiled code is made anew for arrays that are read-only.
    arrays = (activity, source.time_min, source.plasma, edges, first, last, blood_time, blood, direct)
    data = tuple(np.array(a) for a in arrays)
    return _Problem(KINDS[model], names, low, high, free, np.sqrt(weights), data)


def _best(problem: _Problem, activity: FloatArray, settings: FitSettings) -> Any:
    """The lowest minimum from all starts: a few steps from each, then the best three to the end."""
    from fusin.receptor.compartment_kernels import curve

    shape_of: Any = curve
    tried = []
    starts = (
        _STARTS if problem.kind != 3 else np.array([(1.0, 0.1, 1.0, 1.0), (1.0, 0.3, 0.1, 1.0), (0.8, 0.05, 3.0, 1.0)])
    )
    for start in starts:
        z = np.concatenate([np.log(start), [0.05, 0.0]])
        z[4] = 0.5 * (problem.low[4] + min(problem.high[4], 0.1))
        z[5] = min(max(0.0, problem.low[5]), problem.high[5])
        z = np.clip(z, problem.low, problem.high)
        if problem.kind != 3:
            shape = shape_of(problem.kind, np.concatenate([np.exp(z[:4]), [0.0, z[5]]]), *problem.data[1:])
            weighted = problem.root**2 * shape
            scale = float((weighted * activity).sum()) / max(float((weighted * shape).sum()), 1e-300)
            z[0] = np.clip(z[0] + math.log(max(scale, 1e-6)), problem.low[0], problem.high[0])
        tried.append(problem.fit(z, 12))
    tried.sort(key=lambda r: float(r[1]))
    ends = [problem.fit(r[0], 400) for r in tried[:3]]
    return min(ends, key=lambda r: float(r[1]))


def _values(names: tuple[str, ...], z: FloatArray) -> dict[str, float]:
    return {name: float(math.exp(z[j]) if j < 4 else z[j]) for j, name in enumerate(names) if name}


def _all_frames(
    model: CompartmentName, rates: Mapping[str, float], z: FloatArray, frames: Frames, source: InputFunction,
    activity: FloatArray, settings: FitSettings,
) -> FloatArray:  # fmt: skip
    from fusin.receptor.compartments import tissue_curve

    return tissue_curve(model, rates, source, frames, vb=float(z[4]), delay_min=float(z[5]), average=settings.average)


def _estimates(
    model: CompartmentName,
    problem: _Problem,
    z: FloatArray,
    rss: float,
    jacobian: FloatArray,
    df: int,
    settings: FitSettings,
) -> dict[str, Estimate]:
    from scipy.stats import t

    from fusin.receptor.compartment_kernels import VIEWS

    quantile = float(t.ppf(0.5 + settings.level / 2.0, df))
    errors = _log_errors(model, problem, z, rss, jacobian, df)
    values = _values(problem.names, z)
    found: dict[str, Estimate] = {}
    n = int(problem.root.size)
    places = {name: (0, j) for j, name in enumerate(problem.names) if name and problem.free[j]}
    places |= {name: (VIEWS[view], j) for name, (view, j) in MODELS[model].derived.items()}
    values |= derived(model, values)
    for name, (view, place) in places.items():
        low = high = None
        if settings.interval != "none":
            low, high = (
                _profile(problem, z, view, place, values[name], rss, quantile, df, errors[name])
                if settings.interval == "profile"
                else _wald(values[name], quantile * errors[name], linear=place > 3)
            )
        note = (
            _identified(name, values[name], low, high, linear=place > 3)
            if settings.interval != "none"
            else "no interval was asked for"
        )
        method = {"profile": "profile of the weighted least squares, F(1, df)", "none": "none",
                  "covariance": "t of the covariance" + ("" if place > 3 else " of the logarithm")}[settings.interval]  # fmt: skip
        found[name] = Estimate(
            value=values[name], low=low, high=high, method=method, n=n, level=settings.level, note=note
        )
    return found


def _identified(name: str, value: float, low: float | None, high: float | None, *, linear: bool) -> str:
    """What a reader must know about the interval."""
    if low is None and high is None:
        return f"{name} is not identified: the data bound it on neither side"
    if low is None or high is None:
        side = "below" if low is None else "above"
        return f"{name} is not bounded {side} by the data"
    if not linear and high > 9.0 * low:
        return f"{name} is poorly identified: its interval spans a factor of {high / low:.0f}"
    return ""


def _log_errors(
    model: CompartmentName, problem: _Problem, z: FloatArray, rss: float, jacobian: FloatArray, df: int
) -> dict[str, float]:
    """Standard errors of the logarithms (of vB and the delay themselves); infinite where the data say nothing."""
    free = np.flatnonzero(problem.free)
    inverse = np.linalg.pinv(jacobian[:, free].T @ jacobian[:, free], rcond=1e-12, hermitian=True)
    covariance = np.zeros((6, 6))
    covariance[np.ix_(free, free)] = rss / df * inverse
    found = {problem.names[j]: math.sqrt(max(float(covariance[j, j]), 0.0)) for j in free}
    for name in MODELS[model].derived:
        gradient = np.zeros(6)
        for j in free[free < 4]:
            moved = []
            for h in (1e-5, -1e-5):
                z2 = z.copy()
                z2[j] += h
                moved.append(math.log(derived(model, _values(problem.names, z2))[name]))
            gradient[j] = (moved[0] - moved[1]) / 2e-5
        found[name] = math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))
    return found


def _wald(value: float, half: float, *, linear: bool) -> tuple[float | None, float | None]:
    if not math.isfinite(half) or (not linear and half > 12.0):
        return None, None
    return (value - half, value + half) if linear else (value * math.exp(-half), value * math.exp(half))


def _profile(
    problem: _Problem,
    z: FloatArray,
    view: int,
    place: int,
    value: float,
    rss: float,
    quantile: float,
    df: int,
    error: float,
) -> tuple[float | None, float | None]:
    """Limits where the sum of squares, all other parameters fitted again, has risen by F/df of itself."""
    from fusin.receptor.compartment_kernels import profile_limit

    start = z.copy()
    low, high = problem.low.copy(), problem.high.copy()
    if view:
        start[place] = math.log(value)
        # The replaced rate keeps its meaning only inside of its limits, which the others then guard.
        low[place], high[place] = math.log(value) - 12.0, math.log(value) + 12.0
    target = rss * (1.0 + quantile**2 / df)
    step = min(max(quantile * error, 1e-3 if place < 4 else 1e-4), 1.0 if place < 4 else 0.2)
    found: list[float | None] = []
    for side in (-1.0, 1.0):
        limit, pinned = profile_limit(
            problem.kind, view, place, side, step, target, start, low, high, problem.free, problem.root, *problem.data
        )
        # A limit that another rate reached only at the end of its own range is one of the search, not of the data.
        found.append(None if math.isnan(limit) or pinned else (math.exp(limit) if place < 4 else float(limit)))
    return found[0], found[1]
