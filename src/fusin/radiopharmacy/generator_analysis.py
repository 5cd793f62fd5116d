"""A generator as a whole: calculated elutions, measured yields, control limits, breakthrough, retirement, the next elution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.generator import Elution, ElutionEntry, Generator, State, elution_history
from fusin.radiopharmacy.generator_log import GeneratorLog
from fusin.radiopharmacy.generator_plan import ElutionPlan, plan_elution, soonest_s
from fusin.radiopharmacy.generator_pools import Pool, pools_of
from fusin.radiopharmacy.generator_rules import Breakthrough, Retirement, breakthrough_of, retirement_of
from fusin.radiopharmacy.generator_yield import (
    ChartKind,
    Crossing,
    YieldPoint,
    YieldTrend,
    crossing,
    fit_yields,
    predict,
)
from fusin.stats.results import Estimate

__all__ = ["GeneratorResult", "assess_generator"]

_NORMAL_95 = 1.959963984540054
_PLAN_ROUNDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorResult:
    """Everything that a log says about a generator.

    Attributes
    ----------
    log : what was read
    elutions : calculated
    eluted : calculated activity of each elution with its interval
    yields : measured yield by number of the elution
    trends : one for each generator, or for generators that are eluted together
    crossings : by series, when the least yield is reached; only with such a rule
    breakthrough : 68Ge of the eluates
    retirement : one for each generator
    pools : eluates that were combined
    discard : numbers of the elutions that a rule on idle time discards
    plan : the next elution
    planned : its activity with interval
    states : after the last elution
    fitted : whether the efficiency of the calculation was fitted
    """

    log: GeneratorLog
    elutions: tuple[Elution, ...]
    eluted: tuple[Estimate, ...]
    yields: Mapping[int, float]
    trends: tuple[YieldTrend, ...]
    crossings: Mapping[str, Crossing]
    breakthrough: tuple[Breakthrough, ...]
    retirement: tuple[Retirement, ...]
    pools: tuple[Pool, ...]
    discard: tuple[int, ...]
    plan: ElutionPlan | None
    planned: Estimate | None
    states: Mapping[str, State]
    fitted: bool


def assess_generator(found: GeneratorLog, log: NoticeLog, *, chart: ChartKind = "regression") -> GeneratorResult:
    """Calculate and judge a generator.

    The calculated history follows the stated efficiencies; where none is stated, the line (or mean) of the measured
    yields. A measured yield is the activity read, decay-corrected to the elution, per 68Ga that the column then held, and
    what the column held follows the measured elutions before.

    Parameters
    ----------
    found : generator and log
    log : receives notices
    chart : kind of control limits

    Raises
    ------
    InputError
        Without an efficiency and without measured elutions.
    NotComputable
        When the measured elutions fit no efficiency from 0 to 1.
    """
    points, states = _measured(found)
    _warn_of_yields(found, points, log)
    common = _common_u(found)
    trends = tuple(fit_yields(p, series=series, chart=chart, common_u_relative=common) for series, p in points.items())
    fitted = _needs_fit(found)
    entries = _with_line(found, points) if fitted else found.entries
    elutions, _ = elution_history(found.generators, entries)
    rules = found.rules
    crossings: dict[str, Crossing] = {}
    if rules.minimum_yield is not None:
        near = {s: crossing(p, rules.minimum_yield) for s, p in points.items()}
        crossings = {s: c for s, c in near.items() if c is not None}
    _notice_charts(trends, found, log)
    planned = _planned(found, states, points, log) if found.plan else None
    return GeneratorResult(
        log=found,
        elutions=elutions,
        eluted=_eluted(found, entries, elutions, points),
        yields={p.number: p.value for series in points.values() for p in series},
        trends=trends,
        crossings=crossings,
        breakthrough=tuple(b for e in elutions if (b := breakthrough_of(e, rules, found.clock, log)) is not None),
        retirement=retirement_of(found.generators, elutions, rules, log),
        pools=pools_of(elutions),
        discard=_discard(elutions, found, log),
        plan=planned[0] if planned else None,
        planned=planned[1] if planned else None,
        states=states,
        fitted=fitted,
    )


def _series(entry: ElutionEntry) -> str:
    return "+".join(entry.generators)


def _needs_fit(found: GeneratorLog) -> bool:
    """Whether some elution has neither an efficiency of its own nor one of its generators."""
    return any(not _states_efficiency(found, e) for e in found.entries)


def _measured(found: GeneratorLog) -> tuple[dict[str, tuple[YieldPoint, ...]], dict[str, State]]:
    """Measured yields by series, and the state that follows them.

    An elution without a reading needs an efficiency to know what it left; where none is stated it is the mean of the
    measured ones, found by repetition because these depend on what was left.
    """
    guess = {g.name: 0.5 for g in found.generators if g.efficiency is None}
    measured = [e for e in found.entries if e.measured_mbq is not None]
    for generator in found.generators:
        if generator.efficiency is None and not any(generator.name in e.generators for e in measured if e.measured_mbq):
            if all(e.efficiency is not None for e in found.entries if generator.name in e.generators) and found.entries:
                continue
            raise InputError(
                f"generator {generator.name}",
                "yield",
                "nothing",
                "--yield, or measured elutions (eluted_mbq of the log) to fit it from",
            )
    points: dict[str, tuple[YieldPoint, ...]] = {}
    states: dict[str, State] = {}
    for _ in range(_PLAN_ROUNDS):
        elutions, states = elution_history(found.generators, found.entries, efficiency=guess, follow_measured=True)
        points = _points(elutions)
        again = dict(guess)
        for name in guess:
            own = [p.value for series, ps in points.items() if name in series.split("+") for p in ps]
            if own:
                again[name] = min(max(math.fsum(own) / len(own), 1e-6), 1.0)
        if all(abs(again[n] - guess[n]) < 1e-12 for n in guess):
            break
        guess = again
    return points, states


def _points(elutions: Sequence[Elution]) -> dict[str, tuple[YieldPoint, ...]]:
    points: dict[str, list[YieldPoint]] = {}
    for e in elutions:
        activity, u = e.entry.eluted_measured_mbq, e.entry.eluted_measured_u_mbq
        if activity is not None and not e.on_column_mbq:
            raise InputError(
                e.entry.where, "eluted_mbq", activity, "no reading of a column that is empty at that moment"
            )
        if activity is not None:
            points.setdefault(_series(e.entry), []).append(
                YieldPoint(
                    number=e.number, time_s=e.time_s, value=activity / e.on_column_mbq,
                    u=None if u is None else u / e.on_column_mbq,
                )
            )  # fmt: skip
    return {series: tuple(listed) for series, listed in points.items()}


def _common_u(found: GeneratorLog) -> float:
    """Relative uncertainty that all yields share: activity meter and stated 68Ge."""
    total = math.fsum(g.ge68_mbq for g in found.generators)
    own = math.sqrt(math.fsum((g.ge68_mbq * (g.ge68_u_relative or 0.0)) ** 2 for g in found.generators)) / total
    return math.hypot(found.rules.calibrator_u_relative, own)


def _line_yield(points: Sequence[YieldPoint], time_s: float, series: str) -> float:
    value = predict(points, time_s).value
    if value is None or not 0.0 < value <= 1.0:
        raise NotComputable(
            f"the elutions of generator {series}",
            f"the measured elutions give a yield of {value:.3g} of the 68Ga on the column",
            "the right 68Ge activity with its reference time, or --yield",
            "YIELD_IMPOSSIBLE",
        )
    return value


def _with_line(found: GeneratorLog, points: Mapping[str, tuple[YieldPoint, ...]]) -> tuple[ElutionEntry, ...]:
    """Entries whose efficiency is that of the line of their series where nothing states one."""
    return tuple(
        entry
        if _states_efficiency(found, entry)
        else replace(entry, efficiency=_line_yield(_own_points(entry.generators, points), entry.time_s, _series(entry)))
        for entry in found.entries
    )


def _own_points(names: Sequence[str], points: Mapping[str, tuple[YieldPoint, ...]]) -> tuple[YieldPoint, ...]:
    """Points of the series itself; else those of every series that one of its generators took part in."""
    if "+".join(names) in points:
        return points["+".join(names)]
    return tuple(p for series, ps in points.items() if set(names) & set(series.split("+")) for p in ps)


def _eluted(
    found: GeneratorLog,
    entries: Sequence[ElutionEntry],
    elutions: Sequence[Elution],
    points: Mapping[str, tuple[YieldPoint, ...]],
) -> tuple[Estimate, ...]:
    """Each calculated activity with the interval of its efficiency, fitted or stated, and of the stated 68Ge."""
    # The yields of one generator share their uncertainty: a small common step of all, scaled up, is first order.
    step = 1e-3
    steps = {g.name: -step * g.efficiency_u for g in found.generators if g.efficiency_u}
    shifted = elution_history(found.generators, entries, shift=steps)[0] if steps else elutions
    return tuple(
        _stated_eluted(found, elution, (elution.eluted_mbq - lower.eluted_mbq) / step)
        if _states_efficiency(found, entry)
        else _fitted_eluted(found, elution, points)
        for entry, elution, lower in zip(found.entries, elutions, shifted, strict=True)
    )


def _states_efficiency(found: GeneratorLog, entry: ElutionEntry) -> bool:
    """Whether an elution has an efficiency of its own, or all of its generators have one."""
    stated = {g.name for g in found.generators if g.efficiency is not None}
    return entry.efficiency is not None or set(entry.generators) <= stated


def _stated_eluted(found: GeneratorLog, elution: Elution, of_yield_mbq: float) -> Estimate:
    """Interval from what was stated: uncertainty that the yield brings [MBq], and that of the 68Ge of each part."""
    relative = {g.name: g.ge68_u_relative for g in found.generators}
    u = math.hypot(of_yield_mbq, *(p.eluted_mbq * (relative[p.generator] or 0.0) for p in elution.parts))
    value = elution.eluted_mbq
    if not u:
        return Estimate(value=value, low=None, high=None, n=1, method="none",
                        note="no uncertainty of the 68Ge activity or of the yield was stated")  # fmt: skip
    return Estimate(value=value, low=value - _NORMAL_95 * u, high=value + _NORMAL_95 * u, n=1,
                    method="normal interval, first-order propagation (JCGM 100)")  # fmt: skip


def _fitted_eluted(found: GeneratorLog, elution: Elution, points: Mapping[str, tuple[YieldPoint, ...]]) -> Estimate:
    own = _own_points(elution.entry.generators, points)
    return _scaled(
        predict(own, elution.time_s, common_u_relative=found.rules.calibrator_u_relative), elution.eluted_mbq
    )


def _scaled(yield_: Estimate, activity: float) -> Estimate:
    """An activity with the relative interval of its yield."""
    assert yield_.value is not None
    factor = activity / yield_.value
    low, high = (None if limit is None else limit * factor for limit in (yield_.low, yield_.high))
    return replace(yield_, value=activity, low=low, high=high)


def _planned(
    found: GeneratorLog, states: Mapping[str, State], points: Mapping[str, tuple[YieldPoint, ...]], log: NoticeLog
) -> tuple[ElutionPlan, Estimate]:
    assert found.plan is not None
    lead = 60.0 * found.plan.lead_min
    last = [s.time_s for s in states.values() if s.time_s is not None]
    asked = found.plan_s
    now = max(last) if last else (asked or 0.0) - lead
    moment_s = now + lead if asked is None else asked
    efficiency, estimate = {}, None
    for g in found.generators:
        if g.efficiency is not None:
            efficiency[g.name] = g.efficiency
            continue
        own = _own_points((g.name,), points)
        efficiency[g.name] = _line_yield(own, moment_s - lead, g.name) if own else _last_stated(found, g)
        if own:
            estimate = predict(own, moment_s - lead, common_u_relative=found.rules.calibrator_u_relative)
    if asked is None and found.plan.wanted_mbq is not None:
        moment_s = soonest_s(list(states.values()), efficiency=efficiency, wanted_mbq=found.plan.wanted_mbq, now_s=now,
                             lead_s=lead)  # fmt: skip
    plan = plan_elution(list(states.values()), efficiency=efficiency, time_s=moment_s, now_s=now,
                        wanted_mbq=found.plan.wanted_mbq, lead_s=lead)  # fmt: skip
    if plan.enough is False:
        log.warning(
            "ELUTION_TOO_SMALL",
            f"{plan.available_mbq:.1f} MBq can be had at {found.clock.text(moment_s)}, {plan.wanted_mbq:g} MBq are wanted; "
            + (f"the earliest time is {found.clock.text(plan.earliest_s)}" if plan.earliest_s is not None
               else f"the most that it gives is {plan.largest_mbq:.1f} MBq at {found.clock.text(plan.largest_s)}"),
            where="plan", raw=plan.available_mbq,
        )  # fmt: skip
    if estimate is not None and len(found.generators) == 1:
        return plan, _scaled(estimate, plan.available_mbq)
    return plan, _stated_interval(found.generators, plan.available_mbq)


def _last_stated(found: GeneratorLog, generator: Generator) -> float:
    """Efficiency of the last elution that states one for this generator."""
    own = (e.efficiency for e in reversed(found.entries) if generator.name in e.generators and e.efficiency)
    stated = next(own, None)
    if stated is None:
        raise InputError(
            f"generator {generator.name}", "yield", "none above 0", "a yield for the next elution (--yield)"
        )
    return stated


def _stated_interval(generators: Sequence[Generator], activity: float) -> Estimate:
    relative = [
        math.hypot(g.ge68_u_relative or 0.0, (g.efficiency_u or 0.0) / g.efficiency if g.efficiency else 0.0)
        for g in generators
    ]
    u = max(relative) * activity
    if not u:
        return Estimate(value=activity, low=None, high=None, n=1, method="none",
                        note="no uncertainty of the 68Ge activity or of the yield was stated")  # fmt: skip
    return Estimate(value=activity, low=activity - _NORMAL_95 * u, high=activity + _NORMAL_95 * u, n=1,
                    method="normal interval, first-order propagation (JCGM 100)")  # fmt: skip


def _discard(elutions: Sequence[Elution], found: GeneratorLog, log: NoticeLog) -> tuple[int, ...]:
    limit = found.rules.discard_after_idle_h
    if limit is None:
        return ()
    numbers = tuple(e.number for e in elutions if e.idle_s is not None and e.idle_s > 3600.0 * limit)
    if numbers:
        log.info(
            "ELUATE_AFTER_IDLE",
            f"{len(numbers)} elutions followed more than {limit:g} idle hours; the rule that was set discards their eluate",
            where="rules", raw=list(numbers),
        )  # fmt: skip
    return numbers


def _warn_of_yields(found: GeneratorLog, points: Mapping[str, tuple[YieldPoint, ...]], log: NoticeLog) -> None:
    minimum = found.rules.minimum_yield
    for series in points.values():
        for p in series:
            where = found.entries[p.number - 1].where
            at = found.clock.text(p.time_s)
            if p.value > 1.0:
                log.warning(
                    "YIELD_ABOVE_ONE",
                    f"elution {p.number} ({at}): {100 * p.value:.1f} % of the 68Ga that the column can hold; check the 68Ge "
                    "activity, its date and the reference time of the reading",
                    where=where, raw=p.value,
                )  # fmt: skip
            if minimum is not None and p.value < minimum:
                log.warning(
                    "YIELD_BELOW_MINIMUM",
                    f"elution {p.number} ({at}): yield {100 * p.value:.1f} %, at least {100 * minimum:g} % were asked for",
                    where=where, raw=p.value,
                )  # fmt: skip


def _notice_charts(trends: Sequence[YieldTrend], found: GeneratorLog, log: NoticeLog) -> None:
    for trend in trends:
        value = {p.number: p.value for p in trend.points}
        if trend.chart is None:
            log.info(
                "YIELD_LIMITS_TOO_FEW",
                f"generator {trend.series}: {len(trend.points)} measured elutions; control limits need 4",
                where=trend.series,
            )
            continue
        for number in trend.chart.unusual:
            log.info(
                "YIELD_UNUSUAL",
                f"elution {number} ({found.clock.text(found.entries[number - 1].time_s)}): yield {100 * value[number]:.1f} % "
                "lies beyond its warning limits, as one in 22 does by chance",
                where=found.entries[number - 1].where, raw=value[number],
            )  # fmt: skip
        for number in trend.chart.outside:
            log.warning(
                "YIELD_OUT_OF_CONTROL",
                f"elution {number} ({found.clock.text(found.entries[number - 1].time_s)}): yield {100 * value[number]:.1f} % "
                f"lies outside its control limits ({trend.chart.method})",
                where=found.entries[number - 1].where, raw=value[number],
            )  # fmt: skip
        slope, test = trend.slope_per_month, trend.trend_test
        if slope and test and test.p is not None and test.p < 0.05 and slope.value is not None and slope.value < 0:
            log.info(
                "YIELD_DECLINES",
                f"generator {trend.series}: the yield falls by {-100 * slope.value:.2g} points per month ({test.test})",
                where=trend.series, raw=slope.value,
            )  # fmt: skip
