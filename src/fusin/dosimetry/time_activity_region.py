"""One region from its points to its time-integrated activity, by whichever method was asked for, with its doubts as notices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.dosimetry.curve_models import MODELS
from fusin.dosimetry.hybrid import Hybrid, hybrid
from fusin.dosimetry.priors import Prior
from fusin.dosimetry.single_time_point import posterior, single_time_estimate
from fusin.dosimetry.time_activity import CurveFit, TimeActivity, Weights, log_interval, quantile_of, widened
from fusin.dosimetry.time_activity_choice import Candidate, FitChoice, Interval, choose_curve
from fusin.dosimetry.time_activity_trapezoid import Start, Tail, trapezoid
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["METHODS", "Drawn", "IntegrationOptions", "RegionIntegral", "integrate_region"]

FloatArray = NDArray[np.float64]
METHODS = ("auto", *MODELS, "trapezoid", "haenscheid", "madsen", "map")
# Project-defined: a rise beyond this is taken for uptake and not for noise where no uncertainty is stated.
_RISE = 0.10


class Drawn(Protocol):
    """Anything that can be drawn as a curve."""

    def band(self, time_h: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
        """Curve and limits at times [MBq]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationOptions:
    """How regions are integrated.

    Attributes
    ----------
    model : one of `METHODS`
    weights : None takes stated uncertainties where all points have them, and else none
    average : see :func:`fusin.dosimetry.time_activity_choice.choose_curve`
    interval, resamples, seed : see there
    level : of all intervals
    tail, start : of trapezoids
    tail_limit : extrapolated share from which a warning is given (project-defined 0.2)
    common_u : relative standard uncertainty that all points share, such as that of the calibration
    """

    model: str = "auto"
    weights: Weights | None = None
    average: bool = True
    interval: Interval = "gum"
    resamples: int = 500
    seed: int = 0
    level: float = 0.95
    tail: Tail = "physical"
    start: Start = "zero"
    tail_limit: float = 0.2
    common_u: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionIntegral:
    """The result of one region.

    Attributes
    ----------
    region : its name
    points : what was integrated
    model : name of the curve or method
    weights : of the points, empty where there was no fit
    parameters : by name
    parameter_estimates : the same with their intervals
    tia_mbq_h : time-integrated activity from 0 to infinity
    tia_u_mbq_h : standard uncertainty; None where the method gives none
    t_eff_h : effective half-life of the slowest component, None where the method has none
    extrapolated_fraction : share of the integral beyond the last time
    before_fraction : share before the first time
    candidates : models that were compared
    drawn : the curve
    prior : what was known before, or None
    hybrid : planar and SPECT
    """

    region: str
    points: TimeActivity
    model: str
    tia_mbq_h: Estimate
    tia_u_mbq_h: float | None
    extrapolated_fraction: float
    before_fraction: float
    drawn: Drawn | None
    weights: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    parameter_estimates: Mapping[str, Estimate] = field(default_factory=dict)
    t_eff_h: Estimate | None = None
    candidates: tuple[Candidate, ...] = ()
    prior: Prior | None = None
    hybrid: Hybrid | None = None

    @property
    def averaged(self) -> bool:
        """Whether the integral is an average over models."""
        return sum(c.weight > 0 for c in self.candidates) > 1


def integrate_region(
    points: TimeActivity,
    log: NoticeLog,
    *,
    half_life_h: float,
    options: IntegrationOptions | None = None,
    prior: Prior | None = None,
    spect: TimeActivity | None = None,
) -> RegionIntegral:
    """Time-integrated activity of one region.

    Parameters
    ----------
    points : activities, not decay-corrected; planar counts in any unit where ``spect`` is given
    log : receives notices
    half_life_h : of the nuclide
    options : the method and its choices
    prior : of the effective half-life, for ``map``, ``madsen`` and the interval of ``haenscheid``
    spect : one quantitative SPECT, which sets the scale of planar points

    Raises
    ------
    InputError, NotComputable
        One sentence: what the points cannot answer, and what would do.
    """
    chosen = options or IntegrationOptions()
    if chosen.model not in METHODS:
        raise InputError(points.region, "model", chosen.model, "one of " + ", ".join(METHODS))
    if not (math.isfinite(chosen.common_u) and 0 <= chosen.common_u < 1):
        raise InputError(
            points.region, "common uncertainty", chosen.common_u, "a share from 0 to below 1 (0.05 for 5 %)"
        )
    weights = chosen.weights or ("none" if points.uncertainty_mbq is None else "given")
    if chosen.model in ("haenscheid", "madsen"):
        found = _single(points, chosen, half_life_h, prior)
    elif chosen.model == "map":
        found = _map(points, chosen, half_life_h, prior)
    else:
        _refuse_rise(points, log)
        found = (
            _trapezoid(points, chosen, half_life_h)
            if chosen.model == "trapezoid"
            else _fitted(points, chosen, half_life_h, weights, log)
        )
    if spect is not None:
        found = _on_scale(found, spect, chosen)
    found = _with_common(found, chosen)
    _warn_of_tail(found, chosen, log)
    return found


def _fitted(
    points: TimeActivity, options: IntegrationOptions, half_life_h: float, weights: Weights, log: NoticeLog
) -> RegionIntegral:
    choice = choose_curve(
        points, log, half_life_h=half_life_h, model=options.model, weights=weights, average=options.average,
        interval=options.interval, level=options.level, resamples=options.resamples, seed=options.seed,
    )  # fmt: skip
    fit = choice.best
    _warn_of_fit(choice, log)
    estimates = {}
    for name, value in fit.parameters.items():
        u = fit.parameter_u[name]
        half = quantile_of(fit.df, options.level) * u
        if name.startswith("lambda"):
            estimates[name] = log_interval(value, u, quantile=quantile_of(fit.df, options.level), level=options.level,
                                           method="propagated, log scale", n=points.n)  # fmt: skip
        else:
            estimates[name] = Estimate(value=value, low=value - half, high=value + half, method="propagated", n=points.n,
                                       level=options.level)  # fmt: skip
    return RegionIntegral(
        region=points.region, points=points, model=fit.model.name, weights=weights, parameters=fit.parameters,
        parameter_estimates=estimates, tia_mbq_h=choice.tia_mbq_h, tia_u_mbq_h=choice.tia_u_mbq_h,
        t_eff_h=fit.half_life_effective_h(options.level), extrapolated_fraction=choice.tail_fraction,
        before_fraction=choice.head_fraction, candidates=choice.candidates, drawn=fit,
    )  # fmt: skip


def _trapezoid(points: TimeActivity, options: IntegrationOptions, half_life_h: float) -> RegionIntegral:
    found = trapezoid(points, half_life_h=half_life_h, tail=options.tail, start=options.start)
    return RegionIntegral(
        region=points.region, points=points, model="trapezoid", parameters={"lambda_tail_per_h": found.tail_rate_per_h},
        tia_mbq_h=found.tia_mbq_h(options.level), tia_u_mbq_h=found.tia_u_mbq_h, extrapolated_fraction=found.tail_fraction,
        before_fraction=found.head_fraction, drawn=found,
    )  # fmt: skip


def _single(
    points: TimeActivity, options: IntegrationOptions, half_life_h: float, prior: Prior | None
) -> RegionIntegral:
    tia, u = single_time_estimate(points, options.model, half_life_h=half_life_h, prior=prior, level=options.level)
    # With one point no part of the integral lies between two measurements.
    found = RegionIntegral(region=points.region, points=points, model=options.model, tia_mbq_h=tia, tia_u_mbq_h=u,
                           extrapolated_fraction=1.0, before_fraction=0.0, drawn=None, prior=prior)  # fmt: skip
    if prior is None:
        return found
    half_life = _prior_half_life(prior, half_life_h, options.level)
    return replace(found, t_eff_h=half_life, parameters={"lambda_1_per_h": math.log(2.0) / prior.median_h})


def _prior_half_life(prior: Prior, half_life_h: float, level: float) -> Estimate:
    """Half-life of the prior itself, which one scan leaves as it was."""
    reach = math.exp(normal_quantile(level) * prior.sigma) if prior.sigma else None
    low = None if reach is None else prior.median_h / reach
    high = None if reach is None else min(prior.median_h * reach, half_life_h)
    return Estimate(value=prior.median_h, low=low, high=high, method=f"prior {prior.id}", n=1, level=level)


def _map(points: TimeActivity, options: IntegrationOptions, half_life_h: float, prior: Prior | None) -> RegionIntegral:
    if prior is None:
        raise NotComputable(
            f"{points.region}: the maximum a posteriori",
            "no prior of the effective half-life is given for it",
            "--t-eff-h with --t-eff-sd-h, or --prior with a row for this region",
            "PRIOR_MISSING",
        )
    found = posterior(points, prior, half_life_h=half_life_h)
    half_life, amplitude = found.half_life_effective_h(options.level), found.amplitude_at_zero_mbq(options.level)
    rate = Estimate(
        value=math.log(2.0) / found.mode_t_eff_h, low=math.log(2.0) / (half_life.high or math.inf),
        high=math.log(2.0) / (half_life.low or math.inf), method=half_life.method, n=points.n, level=options.level,
    )  # fmt: skip
    return RegionIntegral(
        region=points.region, points=points, model="map", weights="given",
        parameters={"lambda_1_per_h": math.log(2.0) / found.mode_t_eff_h, "a_1_mbq": found.mode_amplitude_mbq},
        parameter_estimates={"lambda_1_per_h": rate, "a_1_mbq": amplitude}, tia_mbq_h=found.tia_mbq_h(options.level),
        tia_u_mbq_h=found.tia_u_mbq_h, t_eff_h=half_life, extrapolated_fraction=found.tail_fraction,
        before_fraction=found.head_fraction, drawn=found, prior=prior,
    )  # fmt: skip


def _on_scale(found: RegionIntegral, spect: TimeActivity, options: IntegrationOptions) -> RegionIntegral:
    """Put a planar curve on the scale of a SPECT."""
    if not isinstance(found.drawn, CurveFit) or found.averaged or spect.n != 1:
        raise NotComputable(
            f"{found.region}: the hybrid of planar images and SPECT",
            f"it needs one curve and one SPECT, and there are {spect.n} SPECT and the model {found.model}"
            + (", averaged over models" if found.averaged else ""),
            "one fitted model by name (--model mono or uptake-bi) or --no-average, and one SPECT",
            "HYBRID_NOT_POSSIBLE",
        )
    u = None if spect.uncertainty_mbq is None else float(spect.uncertainty_mbq[0])
    joined = hybrid(
        found.drawn, spect_time_h=float(spect.time_h[0]), spect_mbq=float(spect.activity_mbq[0]), spect_u_mbq=u
    )
    scaled = {k: v * (joined.scale if k.startswith("a_") else 1.0) for k, v in found.parameters.items()}
    rates = {k: e for k, e in found.parameter_estimates.items() if not k.startswith("a_")}
    own = found.points
    points = replace(own, activity_mbq=own.activity_mbq * joined.scale,
                     uncertainty_mbq=None if own.uncertainty_mbq is None else own.uncertainty_mbq * joined.scale)  # fmt: skip
    return replace(found, tia_mbq_h=joined.tia_mbq_h(options.level), tia_u_mbq_h=joined.tia_u_mbq_h, parameters=scaled,
                   parameter_estimates=rates, points=points, drawn=joined, hybrid=joined,
                   model=f"hybrid {found.model}")  # fmt: skip


def _with_common(found: RegionIntegral, options: IntegrationOptions) -> RegionIntegral:
    """Add an uncertainty that all points share, which no residual can show."""
    tia = found.tia_mbq_h
    if not options.common_u or tia.value is None or tia.low is None or found.tia_u_mbq_h is None:
        return found
    method = f"{tia.method}, with {100 * options.common_u:g} % shared by all points"
    estimate = widened(tia, options.common_u, method=method)
    return replace(found, tia_mbq_h=estimate, tia_u_mbq_h=math.hypot(found.tia_u_mbq_h, options.common_u * tia.value))


def _refuse_rise(points: TimeActivity, log: NoticeLog) -> None:
    """Refuse a curve that still rises at its last time, where nothing of the clearance was seen."""
    if points.n < 2:
        return
    before, last = points.activity_mbq[-2:].tolist()
    if last <= before:
        return
    limit = _beyond_noise(points, points.n - 2, points.n - 1)
    times = f"from {before:g} MBq at {points.time_h[-2]:g} h to {last:g} MBq at {points.time_h[-1]:g} h"
    if last > limit or last >= float(points.activity_mbq.max()):
        raise NotComputable(
            f"{points.region}: the time-integrated activity",
            f"the activity rises {times}, so that its clearance was not seen",
            "a later scan, or a look at these two values (decay-corrected? another region?)",
            "ACTIVITY_RISES_AT_END",
        )
    log.warning("LAST_ACTIVITY_HIGHER", f"the activity rises {times}; taken as noise", where=points.region)


def _beyond_noise(points: TimeActivity, first: int, later: int) -> float:
    """The largest later activity that may be noise: two standard uncertainties, or a tenth where none are stated."""
    before, u = float(points.activity_mbq[first]), points.uncertainty_mbq
    return before * (1 + _RISE) if u is None else before + 2.0 * float(np.hypot(u[first], u[later]))


def _warn_of_fit(choice: FitChoice, log: NoticeLog) -> None:
    fit, where = choice.best, choice.best.points.region
    if fit.at_physical_decay:
        log.warning(
            "RATE_AT_PHYSICAL_DECAY",
            f"the slowest component of {fit.model.name} was held at physical decay; decay-corrected activities look like this",
            where=where,
        )
    poor = [n for n, u in fit.parameter_u.items() if u > abs(fit.parameters[n])]
    if poor:
        log.warning(
            "PARAMETER_POORLY_DETERMINED",
            f"{', '.join(poor)}: the standard uncertainty is larger than the value",
            where=where,
        )
    if fit.points.n <= fit.k + 1:
        log.warning(
            "FEW_POINTS_FOR_MODEL",
            f"{fit.points.n} points for the {fit.k} parameters of {fit.model.name}: no criterion can tell whether it is right",
            where=where,
        )
    if fit.exact and fit.df is not None:
        log.warning(
            "CURVE_THROUGH_ALL_POINTS",
            "the curve goes through all points, so that its interval says nothing",
            where=where,
        )
    if fit.weights == "given" and fit.points.n > fit.k:
        from scipy.special import chdtrc

        p = float(chdtrc(fit.points.n - fit.k, fit.rss))
        if p < 0.01:
            log.warning(
                "FIT_WORSE_THAN_UNCERTAINTIES",
                f"the points miss {fit.model.name} by more than their uncertainties: chi-squared {fit.rss:.1f}, "
                f"{fit.points.n - fit.k} degrees of freedom, p = {p:.2g}",
                where=where,
            )
    peak = int(np.argmax(fit.points.activity_mbq))
    first, most = float(fit.points.activity_mbq[0]), float(fit.points.activity_mbq[peak])
    if fit.model.name == "mono" and most > _beyond_noise(fit.points, 0, peak):
        log.warning(
            "UPTAKE_NOT_IN_MODEL",
            f"the activity rises from {first:g} to {most:g} MBq at {fit.points.time_h[peak]:g} h, which a mono-exponential cannot; "
            "--model uptake-bi can",
            where=where,
        )


def _warn_of_tail(found: RegionIntegral, options: IntegrationOptions, log: NoticeLog) -> None:
    share = found.extrapolated_fraction
    if share > options.tail_limit and found.points.n > 1:
        log.warning(
            "TAIL_EXTRAPOLATED",
            f"{100 * share:.0f} % of the integral lie beyond the last time, {found.points.time_h[-1]:g} h (warned of from "
            f"{100 * options.tail_limit:g} %)",
            where=found.region,
        )
    if found.points.n == 1:
        log.warning(
            "SINGLE_TIME_POINT", "one point: the whole integral rests on an assumed half-life", where=found.region
        )
    if found.prior is not None:
        read = " (read in an abstract only)" if found.prior.tag == "A" else ""
        log.info("PRIOR_USED", f"prior {found.prior.id}: median {found.prior.median_h:.1f} h, {found.prior.source}{read}",
                 where=found.region)  # fmt: skip
