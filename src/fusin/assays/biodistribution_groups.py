"""A study in groups: mean and SD per organ, tumour-to-organ ratios of both kinds, and tests between groups or times.

A group is what shares a group label and a time point. Animals are the units; organs of one animal are never counted as
independent animals. Tests: Welch on the values, and on the logarithms for ratios; Holm's correction over the organs of one
comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit

from fusin.assays.biodistribution import CARCASS, TAIL, OrganValue
from fusin.assays.ratios import (
    PerAnimalRatio,
    RatioOfMeans,
    bootstrap_ratio,
    exp_or_open,
    per_animal_ratio,
    ratio_of_means,
    ratio_of_summaries,
)
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog, jsonable
from fusin.stats.effects import EffectTest
from fusin.stats.groups import Summary, summary_t, welch_t
from fusin.stats.multiplicity import adjust
from fusin.stats.results import Estimate

__all__ = [
    "Comparison",
    "OrganRatio",
    "OrganSummary",
    "RatioInterval",
    "compare_groups",
    "find_target",
    "organ_ratios",
    "ratios_of_summaries",
    "summarise",
    "summary_of_printed",
]

RatioInterval = Literal["fieller", "delta", "bootstrap"]
Cell = tuple[str, str]

_TUMOUR = ("tumor", "tumour", "xenograft")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganSummary:
    """One organ of one group.

    Attributes
    ----------
    group, time, organ : as spelt; ``time_h`` is the number behind the label
    n : animals
    mean : with t interval
    sd, sem : of the animals; None for one
    """

    group: str
    time: str
    time_h: float | None
    organ: str
    n: int
    mean: Estimate
    sd: float | None
    sem: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "group": self.group, "time": self.time, "time_h": jsonable(self.time_h), "organ": self.organ, "n": self.n,
            "mean": self.mean.to_json(), "sd": jsonable(self.sd), "sem": jsonable(self.sem),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganRatio:
    """Target to organ in one group, both kinds, each under its name.

    Attributes
    ----------
    target, organ : numerator and denominator
    per_animal : None when no animal has both, or the organ is at 0 in all
    of_means : None for one animal
    why : why a kind is missing
    """

    group: str
    time: str
    target: str
    organ: str
    per_animal: PerAnimalRatio | None
    of_means: RatioOfMeans | None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "group": self.group, "time": self.time, "target": self.target, "organ": self.organ,
            "per_animal": self.per_animal.to_json() if self.per_animal else None,
            "of_means": self.of_means.to_json() if self.of_means else None, "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two groups compared in one organ.

    Attributes
    ----------
    quantity : ``value``, or ``ratio`` for the log of target to organ
    organ : tissue; denominator of the ratio
    first, second : labels; the difference is first - second, the ratio's effect first / second
    test : Welch's test with its effect; its p is None for groups of one or without spread
    p_adjusted : Holm over the organs of this comparison and quantity
    """

    quantity: str
    organ: str
    first: str
    second: str
    test: EffectTest
    p_adjusted: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "quantity": self.quantity, "organ": self.organ, "first": self.first, "second": self.second,
            **self.test.to_json(), "p_adjusted": jsonable(self.p_adjusted), "adjustment": "Holm",
        }  # fmt: skip


def cells_of(values: Sequence[OrganValue]) -> dict[Cell, list[OrganValue]]:
    """Values by (group, time), times in their order."""
    found: dict[Cell, list[OrganValue]] = {}
    for one in values:
        found.setdefault((one.group, one.time), []).append(one)
    hours = {cell: next((v.time_h for v in rows if v.time_h is not None), None) for cell, rows in found.items()}
    order = {group: i for i, group in enumerate(dict.fromkeys(g for g, _ in found))}
    keys = sorted(found, key=lambda c: (order[c[0]], math.inf if hours[c] is None else hours[c]))
    return {cell: found[cell] for cell in keys}


def summarise(values: Sequence[OrganValue], quantity: str, *, level: float = 0.95) -> tuple[OrganSummary, ...]:
    """Mean, SD, SEM and t interval of every organ in every group, organs in the order in which they first stand."""
    organs = list(dict.fromkeys(v.organ for v in values))
    out = []
    for (group, time), rows in cells_of(values).items():
        for organ in organs:
            found = [m.value for v in rows if v.organ == organ and (m := v.quantity(quantity)) is not None]
            if found:
                hours = next((v.time_h for v in rows if v.time_h is not None), None)
                out.append(_summary(group, time, hours, organ, found, level))
    return tuple(out)


def _summary(group: str, time: str, hours: float | None, organ: str, found: list[float], level: float) -> OrganSummary:
    sd = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
    given = Summary(mean=float(np.mean(found)), sd=sd, n=len(found))
    return summary_of_printed(group=group, time=time, time_h=hours, organ=organ, given=given, level=level)


def summary_of_printed(
    *, group: str, time: str, time_h: float | None, organ: str, given: Summary, level: float = 0.95
) -> OrganSummary:
    """Summary from mean, SD and n; one animal has neither SD nor interval."""
    n, value = given.n, given.mean
    if n < 2:
        lone = Estimate(
            value=value, low=None, high=None, method="t", n=n, level=level, note="one animal has no interval"
        )
        return OrganSummary(group=group, time=time, time_h=time_h, organ=organ, n=n, mean=lone, sd=None, sem=None)
    sem = given.sd / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.5 + level / 2.0)) * sem
    mean = Estimate(value=value, low=value - half, high=value + half, method="t", n=n, level=level)
    return OrganSummary(group=group, time=time, time_h=time_h, organ=organ, n=n, mean=mean, sd=given.sd, sem=sem)


def find_target(organs: Sequence[str], asked: str | None, log: NoticeLog) -> str | None:
    """Numerator of the ratios: the organ asked for, or the only one that is called tumour.

    Raises
    ------
    InputError
        For an organ that is not in the table.
    """
    if asked is not None:
        found = [o for o in organs if o.strip().lower() == asked.strip().lower()]
        if not found:
            raise InputError("--target", "organ", asked, "one of " + ", ".join(organs))
        return found[0]
    named = [o for o in organs if any(o.strip().lower().startswith(word) for word in _TUMOUR)]
    if len(named) == 1:
        return named[0]
    if named:
        log.warning("TARGET_NOT_CHOSEN", f"{', '.join(named)} could be the target of ratios; name one with --target")
    return None


def organ_ratios(
    values: Sequence[OrganValue],
    target: str,
    *,
    quantity: str = "percent_id_per_g",
    interval: RatioInterval = "fieller",
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> tuple[OrganRatio, ...]:
    """Target to organ in every group, per animal and of means.

    Parameters
    ----------
    values : of all animals
    target : numerator
    quantity : column name
    interval : of the ratio of means
    rng : for ``bootstrap``
    level : confidence level
    """
    out = []
    for (group, time), rows in cells_of(values).items():
        by_animal = _by_animal(rows, quantity)
        for organ in dict.fromkeys(v.organ for v in rows):
            if organ == target or organ.strip().lower() in (TAIL, CARCASS):
                continue
            pairs = [(a[target], a[organ]) for a in by_animal.values() if target in a and organ in a]
            if pairs:
                per_animal, of_means, why = _ratio(pairs, interval, rng, level)
                out.append(
                    OrganRatio(group=group, time=time, target=target, organ=organ, per_animal=per_animal, of_means=of_means,
                               why=why)
                )  # fmt: skip
    return tuple(out)


def _ratio(
    pairs: Sequence[tuple[float, float]], interval: RatioInterval, rng: np.random.Generator | None, level: float
) -> tuple[PerAnimalRatio | None, RatioOfMeans | None, str]:
    tops, bottoms = [p[0] for p in pairs], [p[1] for p in pairs]
    per_animal: PerAnimalRatio | None = None
    of_means: RatioOfMeans | None = None
    why: list[str] = []
    try:
        per_animal = per_animal_ratio(tops, bottoms, level=level)
    except NotComputable as err:
        why.append(err.because)
    if len(pairs) < 2:
        why.append("one animal has no interval")
        return per_animal, None, "; ".join(why)
    try:
        of_means = ratio_of_means(tops, bottoms, paired=True, level=level)
    except NotComputable as err:
        return per_animal, None, "; ".join([*why, err.because])
    if interval == "delta":
        chosen = of_means.delta
    elif interval == "bootstrap":
        chosen = bootstrap_ratio(tops, bottoms, paired=True, rng=rng or np.random.default_rng(0), level=level)
    else:
        chosen = of_means.estimate
    of_means = RatioOfMeans(
        estimate=chosen, delta_sd=of_means.delta_sd, delta=of_means.delta, fieller=of_means.fieller, paired=True
    )
    return per_animal, of_means, "; ".join(why)


def ratios_of_summaries(
    summaries: Sequence[OrganSummary], target: str, *, level: float = 0.95
) -> tuple[OrganRatio, ...]:
    """Ratios of printed means; per-animal ratios cannot be had from them."""
    out = []
    for one in summaries:
        top = next((s for s in summaries if (s.group, s.time, s.organ) == (one.group, one.time, target)), None)
        if top is None or one.organ == target:
            continue
        of_means, why = None, "per-animal ratios need the values of the animals"
        if top.n < 2 or one.n < 2 or top.sd is None or one.sd is None:
            why += "; one animal has no interval"
        else:
            try:
                of_means = ratio_of_summaries(
                    Summary(mean=top.mean.value or 0.0, sd=top.sd, n=top.n),
                    Summary(mean=one.mean.value or 0.0, sd=one.sd, n=one.n),
                    level=level,
                )
            except NotComputable as err:
                why += f"; {err.because}"
        out.append(
            OrganRatio(
                group=one.group,
                time=one.time,
                target=target,
                organ=one.organ,
                per_animal=None,
                of_means=of_means,
                why=why,
            )
        )
    return tuple(out)


def compare_groups(
    values: Sequence[OrganValue] | Sequence[OrganSummary],
    pairs: Sequence[tuple[str, str]],
    *,
    quantity: str = "percent_id_per_g",
    target: str | None = None,
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """Welch tests of every organ between pairs of groups or times, Holm over the organs.

    Parameters
    ----------
    values : of animals, or printed summaries
    pairs : labels of groups (compared at each time) or of times (compared within each group)
    quantity : column name of the values
    target : numerator of ratios, which are compared on the log scale too
    level : of the intervals

    Raises
    ------
    InputError
        For a label that is neither a group nor a time.
    """
    out: list[Comparison] = []
    cells = [(v.group, v.time) for v in values]
    for first, second in pairs:
        for one, two in _matched(cells, first, second):
            names = _names(one, two)
            tests: list[tuple[str, EffectTest]] = []
            ratio_tests: list[tuple[str, EffectTest]] = []
            for organ in dict.fromkeys(v.organ for v in values):
                found = _test(values, organ, one, two, quantity, level)
                if found is not None:
                    tests.append((organ, found))
                ratio = _ratio_test(values, organ, target, one, two, quantity, level)
                if ratio is not None:
                    ratio_tests.append((organ, ratio))
            for kind, group in (("value", tests), ("ratio", ratio_tests)):
                adjusted = adjust([t.p for _, t in group], "holm")
                out += [
                    Comparison(quantity=kind, organ=o, first=names[0], second=names[1], test=t, p_adjusted=p)
                    for (o, t), p in zip(group, adjusted, strict=True)
                ]
    return tuple(out)


def _matched(cells: Sequence[Cell], first: str, second: str) -> list[tuple[Cell, Cell]]:
    """Pairs of cells that two labels stand for."""
    groups, times = list(dict.fromkeys(g for g, _ in cells)), list(dict.fromkeys(t for _, t in cells))
    present = set(cells)
    if {first, second} <= set(groups):
        return [((first, t), (second, t)) for t in times if {(first, t), (second, t)} <= present]
    if {first, second} <= set(times):
        return [((g, first), (g, second)) for g in groups if {(g, first), (g, second)} <= present]
    known = [x for x in (*groups, *times) if x]
    bad = first if first not in known else second
    raise InputError("--compare", "label", bad, "two groups or two times of " + ", ".join(known))


def _names(one: Cell, two: Cell) -> tuple[str, str]:
    def named(cell: Cell) -> str:
        return ", ".join(part for part in cell if part) or "all"

    return named(one), named(two)


def _test(
    values: Sequence[OrganValue] | Sequence[OrganSummary], organ: str, one: Cell, two: Cell, quantity: str, level: float
) -> EffectTest | None:
    """Welch's test of one organ; None where a group lacks the organ."""
    samples: list[Summary | list[float]] = []
    for cell in (one, two):
        rows = [v for v in values if v.organ == organ and (v.group, v.time) == cell]
        if rows and isinstance(rows[0], OrganSummary):
            samples.append(Summary(mean=rows[0].mean.value or 0.0, sd=rows[0].sd or 0.0, n=rows[0].n))
        else:
            samples.append(
                [m.value for v in rows if isinstance(v, OrganValue) and (m := v.quantity(quantity)) is not None]
            )
    first, second = samples
    if isinstance(first, Summary) and isinstance(second, Summary):
        return summary_t(first, second, level=level) if min(first.n, second.n) > 1 else None
    if isinstance(first, Summary) or isinstance(second, Summary) or not (first and second):
        return None
    if min(len(first), len(second)) < 2:
        return _untested(float(np.mean(first) - np.mean(second)), len(first) + len(second), level)
    return welch_t(first, second, level=level)


def _untested(difference: float, n: int, level: float) -> EffectTest:
    why = "a group of one animal has no spread"
    effect = Estimate(value=difference, low=None, high=None, method="none", n=n, level=level, note=why)
    return EffectTest(test="Welch t test", p=None, n=n, note=why, effect=effect)


def _ratio_test(
    values: Sequence[OrganValue] | Sequence[OrganSummary],
    organ: str,
    target: str | None,
    one: Cell,
    two: Cell,
    quantity: str,
    level: float,
) -> EffectTest | None:
    """Welch's test of log ratios, its effect turned back into a quotient of geometric means."""
    if target is None or organ == target or organ.strip().lower() in (TAIL, CARCASS):
        return None
    logs: list[list[float]] = []
    for cell in (one, two):
        rows = [v for v in values if isinstance(v, OrganValue) and (v.group, v.time) == cell]
        pairs = [(a[target], a[organ]) for a in _by_animal(rows, quantity).values() if target in a and organ in a]
        if len(pairs) < 2 or any(t <= 0 or b <= 0 for t, b in pairs):
            return None
        logs.append([math.log(t / b) for t, b in pairs])
    found = welch_t(logs[0], logs[1], level=level)
    e = found.effect
    effect = Estimate(
        value=exp_or_open(e.value), low=exp_or_open(e.low), high=exp_or_open(e.high),
        method="quotient of geometric means, t on the log scale", n=e.n,
        level=level, note=e.note,
    )  # fmt: skip
    return EffectTest(
        test="Welch t test of log ratios", p=found.p, n=found.n, statistic=found.statistic, df=found.df, note=found.note,
        effect=effect,
    )  # fmt: skip


def _by_animal(rows: Sequence[OrganValue], quantity: str) -> Mapping[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for v in rows:
        value = v.quantity(quantity)
        if value is not None:
            found.setdefault(v.animal, {})[v.organ] = value.value
    return found
