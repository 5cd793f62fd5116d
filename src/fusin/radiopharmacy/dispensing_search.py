"""Who is served from which vial and when: the assignment that serves most, exact as long as nothing has to be cut off.

Volumes grow with time, so that for a given order of patients every injection is best at its earliest moment. Without a least
gap between injections patients do not hinder one another in time, and one pass over them with the Pareto front of the volumes
used is enough. With a gap the orders are built up patient by patient over the sets served, keeping for each set the front of
(time of the last injection, volumes used).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial, draw_volume_ml, last_injection_s

__all__ = ["FRONT", "Assignment", "Window", "best_assignment", "window_of"]

FRONT = 120
"""Labels kept for one set or one weight; beyond it the search is no longer exact and says so."""

_LEVEL = 6_000
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Window:
    """When a dose can be injected from a vial.

    Attributes
    ----------
    first_s, last_s : first and last moment
    binding : what sets the last moment: ``window``, or the limit of the vial
    """

    first_s: float
    last_s: float
    binding: str

    @property
    def open(self) -> bool:
        """Whether there is such a moment."""
        # A fixed time that was computed from minutes may miss its own limit by rounding.
        return self.first_s <= self.last_s + 1e-6


@dataclass(frozen=True, slots=True)
class Assignment:
    """Vial and injection of the orders that are served.

    Attributes
    ----------
    chosen : by index of the order: (index of the vial, injection [s])
    exact : whether no better assignment can exist
    """

    chosen: dict[int, tuple[int, float]]
    exact: bool


@dataclass(frozen=True, slots=True)
class _Label:
    weight: float
    used: tuple[float, ...]
    last_s: float
    chosen: tuple[tuple[int, int, float], ...]

    @property
    def rank(self) -> tuple[float, float, float]:
        return (-self.weight, math.fsum(self.used), self.last_s)


def window_of(order: Order, vial: Vial, rules: DispenseRules) -> Window:
    """When a dose can be injected from a vial, for itself."""
    first = order.earliest_s
    if vial.available_s is not None:
        first = max(first, vial.available_s + order.lead_s)
    if not math.isfinite(first):
        first = vial.reference_s + order.lead_s
    last, binding = last_injection_s(order, vial, rules)
    return Window(first, order.latest_s, "window") if order.latest_s <= last else Window(first, last, binding)


def best_assignment(orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules) -> Assignment:
    """The assignment with the largest total weight served, then the least volume drawn.

    Parameters
    ----------
    orders : doses asked for; those drawn already take their volume first
    vials : vials
    rules : gap and limits
    """
    used = [0.0] * len(vials)
    fixed: list[tuple[int, int, float]] = []
    open_: dict[int, dict[int, Window]] = {}
    for i, order in enumerate(orders):
        if order.drawn_ml is not None:
            v = next(k for k, vial in enumerate(vials) if order.fits(vial))
            used[v] += order.drawn_ml
            fixed.append((i, v, order.earliest_s))
            continue
        windows = {v: window_of(order, vial, rules) for v, vial in enumerate(vials) if order.fits(vial)}
        windows = {v: w for v, w in windows.items() if w.open}
        if windows:
            open_[i] = windows
    start = _Label(0.0, tuple(used), -math.inf, tuple(fixed))
    if rules.gap_s > 0:
        best, exact = _with_gap(orders, vials, rules, open_, start)
    else:
        # A quick answer first: what cannot reach it any more need not be followed.
        quick, exact = _without_gap(orders, vials, rules, open_, start, most=8, least=-math.inf)
        best = quick
        if not exact and len(quick.chosen) < len(fixed) + len(open_):
            best, exact = _without_gap(orders, vials, rules, open_, start, most=FRONT, least=quick.weight)
    everyone = len(best.chosen) == len(fixed) + len(open_)
    return Assignment({i: (v, t) for i, v, t in best.chosen}, exact or everyone)


def _room(vials: Sequence[Vial], used: Sequence[float], v: int, volume: float) -> bool:
    return used[v] + volume <= vials[v].usable_ml * (1.0 + _ROUNDING)


def _extended(label: _Label, order: Order, i: int, v: int, time_s: float, volume: float) -> _Label:
    used = tuple(u + volume if k == v else u for k, u in enumerate(label.used))
    return _Label(label.weight + order.weight, used, time_s, (*label.chosen, (i, v, time_s)))


def _without_gap(
    orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules, windows: dict[int, dict[int, Window]], start: _Label,
    *, most: int, least: float,
) -> tuple[_Label, bool]:  # fmt: skip
    labels, exact = [start], True
    ahead = math.fsum(orders[i].weight for i in windows)
    for i, own in windows.items():
        ahead -= orders[i].weight
        volumes = {v: draw_volume_ml(orders[i], vials[v], w.first_s) for v, w in own.items()}
        grown = list(labels)
        for label in labels:
            grown += [
                _extended(label, orders[i], i, v, own[v].first_s, volume)
                for v, volume in volumes.items()
                if _room(vials, label.used, v, volume)
            ]
        groups: dict[float, list[_Label]] = {}
        for label in grown:
            if label.weight + ahead >= least - _ROUNDING:
                groups.setdefault(round(label.weight, 9), []).append(label)
        labels = []
        for group in groups.values():
            front, whole = _front(group, most, with_time=False)
            labels += front
            exact = exact and whole
    return min(labels, key=lambda label: label.rank), exact


def _with_gap(
    orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules, windows: dict[int, dict[int, Window]], start: _Label
) -> tuple[_Label, bool]:  # fmt: skip
    level: dict[frozenset[int], list[_Label]] = {frozenset(): [start]}
    best, exact = start, True
    taken = sorted(t for *_, t in start.chosen)
    while level:
        grown: dict[frozenset[int], list[_Label]] = {}
        for done, labels in level.items():
            for i, own in windows.items():
                if i in done:
                    continue
                for label in labels:
                    for v, window in own.items():
                        time_s = _free(max(window.first_s, label.last_s + rules.gap_s), taken, rules.gap_s)
                        if time_s > window.last_s + 1e-6:
                            continue
                        volume = draw_volume_ml(orders[i], vials[v], time_s)
                        if _room(vials, label.used, v, volume):
                            longer = _extended(label, orders[i], i, v, time_s, volume)
                            grown.setdefault(done | {i}, []).append(longer)
        level = {}
        for done, labels in grown.items():
            level[done], whole = _front(labels, FRONT, with_time=True)
            exact = exact and whole
            best = min([best, *level[done]], key=lambda label: label.rank)
        if sum(map(len, level.values())) > _LEVEL:
            kept = sorted(((done, label) for done, ls in level.items() for label in ls), key=lambda p: p[1].rank)
            level, exact = {}, False
            for done, label in kept[:_LEVEL]:
                level.setdefault(done, []).append(label)
    return best, exact


def _free(time_s: float, taken: Sequence[float], gap_s: float) -> float:
    """The first moment from ``time_s`` on that keeps the gap to injections of doses that are drawn already."""
    for other in taken:
        if abs(time_s - other) < gap_s - 1e-6:
            time_s = other + gap_s
    return time_s


def _front(labels: list[_Label], most: int, *, with_time: bool) -> tuple[list[_Label], bool]:
    """Labels that no other beats in every volume (and in time), at most ``most``; False when some were cut off."""
    front: list[_Label] = []
    for label in sorted(labels, key=lambda one: one.rank):
        beaten = any(
            all(a <= b + _ROUNDING for a, b in zip(other.used, label.used, strict=True))
            and (not with_time or other.last_s <= label.last_s + 1e-6)
            for other in front
        )
        if not beaten:
            front.append(label)
        if len(front) > most:
            return front[:most], False
    return front, True
