"""The next elution: what can be had when, the earliest moment with enough, and what an elution in between costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusin.decay import decay_factor
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.radiopharmacy.generator import State, equilibrium_ratio, largest_after_s

__all__ = ["Between", "ElutionPlan", "between_elutions", "plan_elution", "soonest_s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """An additional elution before the planned one.

    Attributes
    ----------
    time_s : moment of the additional elution
    eluted_mbq : what it gives
    then_mbq : what the planned one still gives
    loss_mbq : what the planned one gives less
    total_mbq : the two together, each at its own moment
    """

    time_s: float
    eluted_mbq: float
    then_mbq: float
    loss_mbq: float
    total_mbq: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ElutionPlan:
    """What the next elution can give.

    Attributes
    ----------
    time_s : moment at which the activity is wanted; the elution starts ``lead_s`` before it
    wanted_mbq : activity wanted at that moment; None when only the available activity is asked for
    lead_s : seconds from the elution to that moment (labelling, quality control)
    available_mbq : 68Ga at that moment from an elution ``lead_s`` before
    enough : whether that is what is wanted
    earliest_s : earliest moment at which the wanted activity can be had; None when never
    largest_s, largest_mbq : when most can be had, and how much
    last_day_s : until when a full column gives the wanted activity, as the 68Ge decays
    between : additional elutions on the way, evenly spread
    best_between : the one with the largest sum of both elutions; None when any additional elution lowers it
    """

    time_s: float
    wanted_mbq: float | None
    lead_s: float
    available_mbq: float
    enough: bool | None
    earliest_s: float | None
    largest_s: float
    largest_mbq: float
    last_day_s: float | None
    between: tuple[Between, ...]
    best_between: Between | None


def _available(states: Sequence[State], efficiency: Mapping[str, float], time_s: float) -> float:
    return math.fsum(efficiency[s.generator.name] * s.on_column_mbq(time_s) for s in states)


def plan_elution(
    states: Sequence[State],
    *,
    efficiency: Mapping[str, float],
    time_s: float,
    now_s: float,
    wanted_mbq: float | None = None,
    lead_s: float = 0.0,
    steps: int = 6,
) -> ElutionPlan:
    """Plan an elution; several generators are eluted together.

    Parameters
    ----------
    states : after the last elution
    efficiency : by generator
    time_s : moment at which the activity is wanted
    now_s : first moment at which an elution is possible, not before the last elution
    wanted_mbq : activity wanted at ``time_s``
    lead_s : seconds between the elution and the moment of use
    steps : number of additional elutions that are tried between now and then

    Raises
    ------
    InputError
        When the elution would have to start before ``now_s``, or the wanted activity is not above 0.
    """
    if wanted_mbq is not None and not (math.isfinite(wanted_mbq) and wanted_mbq > 0):
        raise InputError("plan", "wanted_mbq", wanted_mbq, "an activity above 0")
    elution_s = time_s - lead_s
    if elution_s < now_s:
        found = f"an elution {(now_s - elution_s) / 60.0:g} min before the column is free"
        raise InputError("plan", "time", found, "a time after the last elution, with the lead time")
    fade = decay_factor(lead_s, nuclide("Ga-68").half_life_s)
    available = fade * _available(states, efficiency, elution_s)
    largest_s = _largest(states, efficiency, now_s)
    largest = fade * _available(states, efficiency, largest_s)
    earliest = last = None
    if wanted_mbq is not None:
        earliest = _earliest(states, efficiency, wanted_mbq / fade, now_s, largest_s)
        last = _last_day(states, efficiency, wanted_mbq / fade, largest_s)
    tried = between_elutions(states, efficiency=efficiency, now_s=now_s, time_s=elution_s, steps=steps)
    return ElutionPlan(
        time_s=time_s, wanted_mbq=wanted_mbq, lead_s=lead_s, available_mbq=available,
        enough=None if wanted_mbq is None else available >= wanted_mbq * (1 - 1e-12),
        earliest_s=None if earliest is None else earliest + lead_s,
        largest_s=largest_s + lead_s, largest_mbq=largest,
        last_day_s=None if last is None else last + lead_s,
        between=tried, best_between=_best_between(states, efficiency, now_s, elution_s),
    )  # fmt: skip


def soonest_s(
    states: Sequence[State], *, efficiency: Mapping[str, float], wanted_mbq: float, now_s: float, lead_s: float = 0.0
) -> float:
    """Earliest moment at which an activity can be had; that of the largest activity where it never can [s].

    Parameters
    ----------
    states, efficiency, now_s : as in `plan_elution`
    wanted_mbq : activity wanted ``lead_s`` after the elution
    """
    fade = decay_factor(lead_s, nuclide("Ga-68").half_life_s)
    largest_s = _largest(states, efficiency, now_s)
    earliest = _earliest(states, efficiency, wanted_mbq / fade, now_s, largest_s)
    return (largest_s if earliest is None else earliest) + lead_s


def between_elutions(
    states: Sequence[State], *, efficiency: Mapping[str, float], now_s: float, time_s: float, steps: int
) -> tuple[Between, ...]:
    """Additional elutions, evenly spread strictly between two moments, and what each costs the elution at the end.

    Parameters
    ----------
    states : after the last elution
    efficiency : by generator
    now_s, time_s : from the first possible moment to the planned elution
    steps : number of additional elutions
    """
    if time_s <= now_s:
        return ()
    return tuple(
        _between(states, efficiency, now_s + (time_s - now_s) * k / (steps + 1), time_s) for k in range(1, steps + 1)
    )


def _between(states: Sequence[State], efficiency: Mapping[str, float], at_s: float, time_s: float) -> Between:
    # The search ends at the planned moment itself, give or take a rounding.
    at_s = min(at_s, time_s)
    eluted = _available(states, efficiency, at_s)
    after = [s.after(at_s, efficiency[s.generator.name] * s.on_column_mbq(at_s)) for s in states]
    then, without = _available(after, efficiency, time_s), _available(states, efficiency, time_s)
    return Between(time_s=at_s, eluted_mbq=eluted, then_mbq=then, loss_mbq=without - then, total_mbq=eluted + then)


def _best_between(
    states: Sequence[State], efficiency: Mapping[str, float], now_s: float, time_s: float
) -> Between | None:
    """The additional elution with the largest sum: the best of a grid, refined by golden section beside it."""
    if time_s <= now_s:
        return None

    def total(at_s: float) -> float:
        return _between(states, efficiency, at_s, time_s).total_mbq

    grid = [now_s + (time_s - now_s) * k / 200 for k in range(201)]
    best = max(range(201), key=lambda k: total(grid[k]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 200)]
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(40):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (a, high) if total(a) < total(b) else (low, b)
    found = _between(states, efficiency, (low + high) / 2, time_s)
    alone = _available(states, efficiency, time_s)
    return found if found.total_mbq > alone * (1 + 1e-9) else None


def _largest(states: Sequence[State], efficiency: Mapping[str, float], now_s: float) -> float:
    """Moment of the largest available activity from now on; of pooled generators between their own maxima."""
    moments = []
    for state in states:
        known = state.time_s
        wait = 0.0
        if known is not None:
            wait = largest_after_s(ge68_mbq=state.generator.ge68_at_mbq(known), residual_mbq=state.residual_mbq)
        moments.append(now_s if known is None else max(known + wait, now_s))
    low, high = min(moments), max(moments)
    for _ in range(100):
        if high - low < 1e-3:
            break
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (a, high) if _available(states, efficiency, a) < _available(states, efficiency, b) else (low, b)
    return (low + high) / 2


def _earliest(
    states: Sequence[State], efficiency: Mapping[str, float], wanted: float, now_s: float, largest_s: float
) -> float | None:
    if _available(states, efficiency, now_s) >= wanted:
        return now_s
    if _available(states, efficiency, largest_s) < wanted:
        return None
    low, high = now_s, largest_s
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if _available(states, efficiency, middle) >= wanted else (middle, high)
    return high


def _last_day(
    states: Sequence[State], efficiency: Mapping[str, float], wanted: float, largest_s: float
) -> float | None:
    """Until when a column in equilibrium gives the wanted activity."""
    full = equilibrium_ratio() * math.fsum(
        efficiency[s.generator.name] * s.generator.ge68_at_mbq(largest_s) for s in states
    )
    if full < wanted:
        return None
    return largest_s + nuclide("Ge-68").half_life_s * math.log2(full / wanted)
