"""What accepting more risk buys: the target's dose against the probability of passing any one upper limit.

For each probability the limits keep their values and take that probability instead of their own; the best choice of nuclides
at each is the Pareto front of dose and risk. Mixtures are searched on a grid of shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.planning import PlanResult, limit_scales
from fusin.dosimetry.planning_draws import dose_estimate
from fusin.stats.results import Estimate

__all__ = ["RISKS", "FrontPoint", "pareto_front", "risk_curves", "target_estimate"]

FloatArray = NDArray[np.float64]
RISKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_SHARES = 9
_STEPS = 61


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """The best that one choice of nuclides gives at one probability.

    Attributes
    ----------
    choice : nuclide, or ``mixture``
    probability : accepted in every upper limit
    activity_gbq : by nuclide
    target_gy : dose of the target
    on_front : no other choice gives the target more at this probability
    """

    choice: str
    probability: float
    activity_gbq: Mapping[str, float]
    target_gy: Estimate
    on_front: bool


def pareto_front(found: PlanResult, risks: Sequence[float] = RISKS) -> tuple[FrontPoint, ...]:
    """Points of every choice at every probability; empty without a target or an upper limit.

    Parameters
    ----------
    found : a plan
    risks : probabilities
    """
    upper = [one for one in found.limits if one.at_most]
    if found.options.target is None or not upper:
        return ()
    rays: list[tuple[str, dict[str, float]]] = [(next(iter(a.shares)), dict(a.shares)) for a in found.alternatives
                                                if len(a.shares) == 1]  # fmt: skip
    if len(found.alternatives) > len(rays):
        (first, one), (second, two) = ((a.shares, a.t_max) for a in found.alternatives[:2])
        names = (next(iter(first)), next(iter(second)))
        rays += [
            ("mixture", {names[0]: (1.0 - s) * one, names[1]: s * two})
            for s in np.linspace(0, 1, _SHARES)[1:-1].tolist()
        ]
    points: list[tuple[float, str, dict[str, float], Estimate]] = []
    for choice, shares in rays:
        ordered = [np.sort(limit_scales(one, found.draws[one.organ], shares, found.options.cycles)) for one in upper]
        target = _target(found, shares)
        for risk in risks:
            t = min(float(o[int(risk * o.size)]) for o in ordered)
            t = min([t, *(v / shares[n] for n, v in found.options.available_gbq.items() if shares.get(n, 0.0) > 0)])
            points.append(
                (risk, choice, {n: v * t for n, v in shares.items()}, dose_estimate(target * t, found.options.level))
            )
    return _best(points, risks)


def _best(
    points: Sequence[tuple[float, str, dict[str, float], Estimate]], risks: Sequence[float]
) -> tuple[FrontPoint, ...]:
    """The best share of each choice at each probability."""
    out = []
    for risk in risks:
        here = [p for p in points if p[0] == risk]
        top = max(p[3].value or 0.0 for p in here)
        for choice in dict.fromkeys(p[1] for p in here):
            _, _, activity, dose = max((p for p in here if p[1] == choice), key=lambda p: p[3].value or 0.0)
            on_front = (dose.value or 0.0) >= top
            out.append(
                FrontPoint(choice=choice, probability=risk, activity_gbq=activity, target_gy=dose, on_front=on_front)
            )
    return tuple(out)


def risk_curves(found: PlanResult) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """Total activities [GBq] up to 1.8 times the plan, and for each limit the probability of passing it there."""
    t = np.linspace(0.0, 1.8, _STEPS) * found.chosen.t_max
    curves = []
    for one in found.limits:
        scales = np.sort(limit_scales(one, found.draws[one.organ], found.chosen.shares, found.options.cycles))
        below = np.searchsorted(scales, t, side="left") / scales.size
        curves.append(below if one.at_most else 1.0 - below)
    return t * sum(found.chosen.shares.values()), tuple(curves)


def target_estimate(found: PlanResult, activity_gbq: Mapping[str, float]) -> Estimate | None:
    """Dose of the target at some activity, None without a target."""
    if found.options.target is None:
        return None
    return dose_estimate(_target(found, activity_gbq), found.options.level)


def _target(found: PlanResult, shares: Mapping[str, float]) -> FloatArray:
    doses = found.draws[found.options.target or ""].dose_gy_per_gbq
    out: FloatArray = np.sum([v * doses[n] for n, v in shares.items()], axis=0)
    return out
