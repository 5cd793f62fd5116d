"""The activity to give: the highest dose to a target under limits that hold with a stated probability.

A plan is a ray t x, with x the GBq of each nuclide at t = 1. Every limit has, in each draw, one t at which it is met exactly::

    dose       t = L / d,              d = sum of x_j D_j
    BED        t = B / d,              B = 2 L / (1 + sqrt(1 + 4 k L)),  k = G / (N alpha/beta) for N equal cycles apart
    EQD2       as BED with L (1 + 2 Gy / (alpha/beta))
    residual   t = L / d',             d' = integral of the dose rate after the day / N, of the last cycle

with the dose rate of each nuclide a sum of exponentials, as the study knows the organ's activity,

so P(D > L) <= p holds up to the p-quantile of t, and P(D < L) <= p from the (1 - p)-quantile on. That is exact for the
draws, for sums of lognormals too. Mixtures are searched along the shares of two nuclides.

References
----------
Charnes A, Cooper WW, Manage Sci 6 (1959) 73-79 (chance constraints).
Dale RG, Br J Radiol 58 (1985) 515-528; Brenner DJ et al., Radiat Res 150 (1998) 83-91 (BED).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.biological import lea_catcheside
from fusin.dosimetry.organ_names import find_organ, nearest
from fusin.dosimetry.planning_draws import (
    OrganDraws,
    Study,
    dose_estimate,
    dose_rate,
    draw_study,
    residual_dose,
    say_half_life_alone,
)
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["Alternative", "Kept", "Limit", "PlanOptions", "PlanResult", "draws_for", "limit_scales", "plan"]

FloatArray = NDArray[np.float64]
Quantity = Literal["dose", "bed", "eqd2", "residual"]
QUANTITIES: tuple[Quantity, ...] = ("dose", "bed", "eqd2", "residual")
_SHARES, _NARROWER = 13, 9
_FEW, _DRAWS, _MOST_DRAWS = 30, 20_000, 300_000
_MOST_GY, _GBQ = 1e6, (1e-6, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that the user sets and cites.

    Attributes
    ----------
    organ : name in the study
    value_gy : the limit [Gy], in the unit of ``quantity``
    at_most : True for P(D > limit) <= p, False for a minimum, P(D < limit) <= p
    probability : p, between 0 and 1
    quantity : ``dose``, ``bed``, ``eqd2``, or ``residual`` (dose after the day ``residual_day``)
    alpha_beta_gy, repair_half_time_h : of BED and EQD2
    residual_day : days after the (last) administration
    citation : where the limit comes from
    """

    organ: str
    value_gy: float
    probability: float
    at_most: bool = True
    quantity: Quantity = "dose"
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None
    residual_day: float | None = None
    citation: str = ""

    def __post_init__(self) -> None:
        where = f"limit of {self.organ}"
        if not _number(self.value_gy) or not 0 < self.value_gy <= _MOST_GY:
            raise InputError(where, "limit_gy", self.value_gy, f"a limit above 0 Gy, at most {_MOST_GY:g}")
        if not _number(self.probability) or not 0 < self.probability < 1:
            raise InputError(where, "probability", self.probability, "a probability between 0 and 1 (0.05 for 5 %)")
        if self.quantity not in QUANTITIES:
            raise InputError(where, "quantity", self.quantity, "one of " + ", ".join(QUANTITIES))
        biology = (("alpha_beta_gy", self.alpha_beta_gy), ("repair_half_time_h", self.repair_half_time_h))
        for name, value in biology if self.quantity in {"bed", "eqd2"} else ():
            if value is None or not _number(value) or value <= 0:
                raise InputError(
                    where, name, "nothing" if value is None else value, f"a positive number for {self.quantity}"
                )
        if self.quantity == "residual" and (self.residual_day is None or not _number(self.residual_day)):
            raise InputError(
                where, "residual_day", "nothing", "the day of the transplant, counted from the administration"
            )
        if self.residual_day is not None and self.residual_day < 0:
            raise InputError(where, "residual_day", self.residual_day, "zero or more days after the administration")

    @property
    def text(self) -> str:
        """The limit in words."""
        unit = {
            "dose": "Gy",
            "bed": "Gy BED",
            "eqd2": "Gy EQD2",
            "residual": f"Gy after day {self.residual_day or 0:g}",
        }
        return f"{self.organ} {'at most' if self.at_most else 'at least'} {self.value_gy:g} {unit[self.quantity]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What is asked.

    Attributes
    ----------
    nuclides : that may be given
    target : organ or lesion whose median dose is to be as high as possible; needed for several nuclides
    mixture : two nuclides together are allowed
    cycles : equal cycles, apart from each other
    marrow, transplant_day : organ and day of the residual dose
    available_gbq : most activity of a nuclide, over all cycles
    level : of intervals
    draws, seed : of the simulation
    """

    nuclides: tuple[str, ...]
    target: str | None = None
    mixture: bool = False
    cycles: int = 1
    marrow: str | None = None
    transplant_day: float | None = None
    available_gbq: Mapping[str, float] = field(default_factory=dict)
    level: float = 0.95
    draws: int = _DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.nuclides or len(set(self.nuclides)) != len(self.nuclides):
            raise InputError("plan", "nuclides", ", ".join(self.nuclides) or "none", "each nuclide once, at least one")
        for name in (*self.nuclides, *self.available_gbq):
            nuclide(name)
        if isinstance(self.cycles, bool) or not isinstance(self.cycles, int) or not 1 <= self.cycles <= 50:
            raise InputError("plan", "cycles", self.cycles, "a whole number from 1 to 50")
        if self.transplant_day is not None and not (_number(self.transplant_day) and self.transplant_day >= 0):
            raise InputError(
                "plan", "transplant day", self.transplant_day, "zero or more days after the administration"
            )
        for name, value in self.available_gbq.items():
            if not (_number(value) and value > 0):
                raise InputError("plan", f"available activity of {name}", value, "a positive number of GBq")
        if not 0 < self.level < 1:
            raise InputError("plan", "level", self.level, "a fraction between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A limit at the planned activity.

    Attributes
    ----------
    limit : as set
    probability : of passing it (of staying below, for a minimum)
    probability_low, probability_high : Wilson interval of the simulation
    binding : the activity cannot rise because of it
    headroom : factor by which the activity could change until this limit alone holds it; below 1 for a minimum that is kept
    """

    limit: Limit
    probability: float
    probability_low: float
    probability_high: float
    binding: bool
    headroom: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alternative:
    """The most that one choice of nuclides allows.

    Attributes
    ----------
    shares : GBq of each nuclide at t = 1
    t_max, t_low, t_high : largest allowed t, with its interval from the number of draws
    t_min : smallest t that keeps all minima; 0 without any
    binding : the limit that sets ``t_max``, or the nuclide whose supply does
    short_of : the minimum that sets ``t_min``
    target_gy : median dose of the target at t = 1
    """

    shares: Mapping[str, float]
    t_max: float
    t_low: float
    t_high: float
    t_min: float
    binding: Limit | str
    short_of: Limit | None
    target_gy: float

    @property
    def feasible(self) -> bool:
        """Whether all limits can hold together."""
        return self.t_min <= self.t_max

    @property
    def activity_gbq(self) -> dict[str, float]:
        """At the largest t."""
        return {n: v * self.t_max for n, v in self.shares.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanResult:
    """A plan; infeasible ones are described at the activity that keeps all upper limits.

    Attributes
    ----------
    study, limits, options : what was asked, with the names of the study
    chosen : the best alternative
    alternatives : each nuclide alone, then the mixture
    activity_gbq : by nuclide; the interval is that of the simulation
    at_limit_gbq : total activity at which the binding limit is met exactly, with its spread over the draws
    kept : every limit at that activity
    doses_gy : of every organ
    residual_gy : of the marrow after the transplant day
    reason : why it is infeasible and by how far, else empty
    draws : of every organ
    """

    study: Study
    limits: tuple[Limit, ...]
    options: PlanOptions
    chosen: Alternative
    alternatives: tuple[Alternative, ...]
    activity_gbq: Mapping[str, Estimate]
    at_limit_gbq: Estimate | None
    kept: tuple[Kept, ...]
    doses_gy: Mapping[str, Estimate]
    residual_gy: Estimate | None
    reason: str
    draws: Mapping[str, OrganDraws]

    @property
    def feasible(self) -> bool:
        """Whether all limits hold."""
        return self.chosen.feasible


def plan(study: Study, limits: Sequence[Limit], options: PlanOptions, *, log: NoticeLog) -> PlanResult:
    """The activity with the highest dose to the target under the limits.

    Parameters
    ----------
    study : doses per GBq and half-lives, with their uncertainties
    limits : at least one upper limit, unless every nuclide has a largest activity
    options : nuclides, target, cycles, transplant day, simulation
    log : receives notices

    Raises
    ------
    InputError
        For no limit, unknown organs, several nuclides without a target.
    NotComputable
        See :func:`fusin.dosimetry.planning_draws.draw_study`.
    """
    names = [o.name for o in study.organs]
    limits = tuple(replace(one, organ=_known(one.organ, names, "limit")) for one in limits)
    nuclides = tuple(nuclide(n).name for n in options.nuclides)
    options = replace(
        options, nuclides=nuclides, available_gbq={nuclide(n).name: v for n, v in options.available_gbq.items()},
        target=_known(options.target, names, "target") if options.target else None,
        marrow=_known(options.marrow, names, "marrow") if options.marrow else None,
    )  # fmt: skip
    _check(limits, options, log)
    draws = draw_study(study, nuclides, draws=options.draws, seed=options.seed, log=log)
    timed = [o.organ for o in limits if o.quantity != "dose"]
    if options.marrow and options.transplant_day is not None:
        timed.append(options.marrow)
    exchanged = any(n != nuclide(study.nuclide).name for n in nuclides)
    say_half_life_alone(study, names if exchanged else timed, log)
    singles = [_alternative({n: 1.0}, draws, limits, options) for n in nuclides]
    _refuse_absurd(singles)
    found = list(singles)
    if options.mixture and len(nuclides) == 2:
        found.append(_best_mixture(singles, draws, limits, options))
    chosen = max(found, key=_worth)
    reason = "" if chosen.feasible else _why(chosen, draws, options)
    if reason:
        log.warning("PLAN_INFEASIBLE", reason, where="plan")
    return PlanResult(
        study=study, limits=limits, options=options, chosen=chosen, alternatives=tuple(found),
        activity_gbq=_activities(chosen, options), at_limit_gbq=_at_limit(chosen, draws, options),
        kept=tuple(_kept(one, chosen, draws, options) for one in limits),
        doses_gy={n: dose_estimate(_dose(draws[n], chosen.activity_gbq), options.level) for n in draws},
        residual_gy=_residual(chosen, draws, options), reason=reason, draws=draws,
    )  # fmt: skip


def draws_for(limits: Sequence[Limit]) -> int:
    """Draws that the probabilities of some limits need: 20000, or up to 300000 where thirty would not pass the rarest."""
    return min(max([_DRAWS, *map(_draws_of, limits)]), _MOST_DRAWS)


def limit_scales(limit: Limit, one: OrganDraws, shares: Mapping[str, float], cycles: int) -> FloatArray:
    """The t of each draw at which a limit is met exactly on the ray t x.

    Parameters
    ----------
    limit : of the organ
    one : draws of the organ
    shares : GBq of each nuclide at t = 1
    cycles : equal cycles

    Raises
    ------
    NotComputable
        ``PLAN_T_EFF_MISSING`` where BED or residual dose lack the half-life.
    """
    unit = _dose(one, shares)
    if limit.quantity == "dose":
        return limit.value_gy / unit
    if limit.quantity == "residual":
        return limit.value_gy / residual_dose(one, shares, limit.residual_day or 0.0, limit.organ) * cycles
    rates, weights = dose_rate(one, shares, limit.organ)
    alpha_beta = limit.alpha_beta_gy or math.inf
    factor = np.asarray(lea_catcheside(rates, weights, limit.repair_half_time_h or math.inf)) / (cycles * alpha_beta)
    bed = limit.value_gy * (1.0 + 2.0 / alpha_beta if limit.quantity == "eqd2" else 1.0)
    out: FloatArray = 2.0 * bed / (1.0 + np.sqrt(1.0 + 4.0 * factor * bed)) / unit
    return out


def _draws_of(limit: Limit) -> int:
    return math.ceil(_FEW / min(limit.probability, 1.0 - limit.probability) - 1e-6)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _known(name: str, names: Sequence[str], what: str) -> str:
    found = find_organ(name, names)
    if found is None:
        raise InputError("plan", f"{what} organ", name, f"an organ of the study: {nearest(name, names)}")
    return found


def _check(limits: Sequence[Limit], options: PlanOptions, log: NoticeLog) -> None:
    upper = any(one.at_most for one in limits)
    if not upper and not all(n in options.available_gbq for n in options.nuclides):
        raise InputError("plan", "limits", "no upper limit", "at least one limit 'at most', set and cited by you")
    if options.target is None and len(options.nuclides) > 1:
        raise InputError(
            "plan", "target", "nothing", "the organ or lesion whose dose is to be high, to choose between nuclides"
        )
    if options.mixture and len(options.nuclides) != 2:
        raise InputError("plan", "mixture", f"{len(options.nuclides)} nuclides", "exactly two nuclides")
    if options.transplant_day is not None and options.marrow is None:
        raise InputError(
            "plan", "marrow", "nothing", "the organ of the study that is the marrow, for the residual dose"
        )
    seen = [(one.organ, one.quantity, one.at_most, one.residual_day) for one in limits]
    for one, key in zip(limits, seen, strict=True):
        if seen.count(key) > 1:
            raise InputError("plan", "limits", f"{one.text}, and another", "each limit of an organ once")
        if not one.citation.strip():
            log.warning(
                "LIMIT_WITHOUT_CITATION", f"the limit '{one.text}' has no source: it is yours alone", where="plan"
            )
        enough = _draws_of(one)
        if options.draws < enough:
            raise InputError(
                "plan", "draws", options.draws, f"at least {enough} for the probability {one.probability:g}"
            )
    residual = options.transplant_day is not None or any(one.quantity == "residual" for one in limits)
    if options.cycles > 1 and residual:
        log.warning("RESIDUAL_OF_LAST_CYCLE", "the residual dose counts the last cycle only", where="plan")


def _refuse_absurd(singles: Sequence[Alternative]) -> None:
    """Refuse activities that no one has: a limit that the doses never reach, or doses in another unit."""
    for one in singles:
        if not _GBQ[0] <= one.t_max <= _GBQ[1]:
            raise InputError("plan", "limits and doses", f"an activity of {one.t_max:.3g} GBq {next(iter(one.shares))}",
                             "limits that the doses can reach, and doses in Gy per GBq")  # fmt: skip


def _dose(one: OrganDraws, shares: Mapping[str, float]) -> FloatArray:
    out: FloatArray = np.sum([v * one.dose_gy_per_gbq[n] for n, v in shares.items()], axis=0)
    return out


def _alternative(
    shares: Mapping[str, float], draws: Mapping[str, OrganDraws], limits: Sequence[Limit], options: PlanOptions
) -> Alternative:
    """Largest and smallest t on a ray, and what sets them."""
    most: tuple[float, float, float, Limit | str] = (math.inf, math.inf, math.inf, "")
    least, short_of = 0.0, None
    for one in limits:
        ordered = np.sort(limit_scales(one, draws[one.organ], shares, options.cycles))
        n, value = ordered.size, _edge(one, ordered)
        if one.at_most:
            below = int(one.probability * n + 1e-9)
            wide = math.ceil(normal_quantile(0.95) * math.sqrt(n * one.probability * (1.0 - one.probability)))
            if value < most[0]:
                most = (value, float(ordered[max(below - wide, 0)]), float(ordered[min(below + wide, n - 1)]), one)
        elif value > least:
            least, short_of = value, one
    for name, value in options.available_gbq.items():
        if shares.get(name, 0.0) > 0 and value / shares[name] < most[0]:
            most = (value / shares[name],) * 3 + (name,)
    target = draws[options.target] if options.target else None
    gray = float(np.median(_dose(target, shares))) if target else sum(shares.values())
    return Alternative(shares=dict(shares), t_max=most[0], t_low=most[1], t_high=most[2], t_min=least, binding=most[3],
                       short_of=short_of, target_gy=gray)  # fmt: skip


def _best_mixture(
    singles: Sequence[Alternative], draws: Mapping[str, OrganDraws], limits: Sequence[Limit], options: PlanOptions
) -> Alternative:
    """The best share of two nuclides, in units of what each allows alone: a grid, then a finer one about its best."""
    (first,), (second,) = (tuple(s.shares) for s in singles)

    def at(share: float) -> Alternative:
        return _alternative(
            {first: (1.0 - share) * singles[0].t_max, second: share * singles[1].t_max}, draws, limits, options
        )

    shares = np.linspace(0.0, 1.0, _SHARES)
    found = {float(s): at(float(s)) for s in shares[1:-1]}
    step = 1.0 / (_SHARES - 1)
    for _ in range(2):
        best = max(found, key=lambda s: _worth(found[s]))
        found |= {float(s): at(float(s)) for s in np.linspace(best - step, best + step, _NARROWER)[1:-1]}
        step *= 2.0 / (_NARROWER - 1)
    return max(found.values(), key=_worth)


def _edge(limit: Limit, ordered: FloatArray) -> float:
    """The t up to which (for a minimum: from which) a limit holds with its probability, from sorted draws."""
    below = int(limit.probability * ordered.size + 1e-9)
    return float(ordered[below if limit.at_most else ordered.size - 1 - below])


def _worth(one: Alternative) -> tuple[bool, float]:
    """Feasible ones by the dose of the target, others by how near they are."""
    return one.feasible, one.target_gy * one.t_max if one.feasible else one.t_max / one.t_min


def _activities(chosen: Alternative, options: PlanOptions) -> dict[str, Estimate]:
    note = "the interval is that of the simulation; the patient's uncertainty is in the probabilities"
    return {
        n: Estimate(value=v * chosen.t_max, low=v * chosen.t_low, high=v * chosen.t_high, n=1, level=0.95, note=note,
                    method=f"order statistics of {options.draws} draws")
        for n, v in chosen.shares.items()
    }  # fmt: skip


def _at_limit(chosen: Alternative, draws: Mapping[str, OrganDraws], options: PlanOptions) -> Estimate | None:
    if not isinstance(chosen.binding, Limit):
        return None
    one = chosen.binding
    scales = limit_scales(one, draws[one.organ], chosen.shares, options.cycles)
    return dose_estimate(scales * sum(chosen.shares.values()), options.level)


def _kept(limit: Limit, chosen: Alternative, draws: Mapping[str, OrganDraws], options: PlanOptions) -> Kept:
    from fusin.stats.proportions import proportion

    scales = limit_scales(limit, draws[limit.organ], chosen.shares, options.cycles)
    passed = int(np.sum(scales < chosen.t_max) if limit.at_most else np.sum(scales > chosen.t_max))
    found = proportion(passed, scales.size)
    return Kept(limit=limit, probability=passed / scales.size, probability_low=float(found.low or 0.0),
                probability_high=1.0 if found.high is None else float(found.high),
        headroom=_edge(limit, np.sort(scales)) / chosen.t_max, binding=limit is chosen.binding)  # fmt: skip


def _residual(chosen: Alternative, draws: Mapping[str, OrganDraws], options: PlanOptions) -> Estimate | None:
    if options.marrow is None or options.transplant_day is None:
        return None
    values = residual_dose(draws[options.marrow], chosen.activity_gbq, options.transplant_day, options.marrow)
    return dose_estimate(values / options.cycles, options.level)


def _why(chosen: Alternative, draws: Mapping[str, OrganDraws], options: PlanOptions) -> str:
    """Which two limits contradict each other, and by how far."""
    short = chosen.short_of
    assert short is not None
    scales = limit_scales(short, draws[short.organ], chosen.shares, options.cycles)
    missed = float(np.mean(scales > chosen.t_max))
    what = f"the supply of {chosen.binding}" if isinstance(chosen.binding, str) else chosen.binding.text
    given = " and ".join(f"{v:.3g} GBq {n}" for n, v in chosen.activity_gbq.items() if v > 0)
    return (
        f"no activity keeps all limits: {what} allows {given}, where {short.text} is missed with probability {missed:.2g} "
        f"(allowed {short.probability:g}); it would need {chosen.t_min / chosen.t_max:.2f} times that activity"
    )
