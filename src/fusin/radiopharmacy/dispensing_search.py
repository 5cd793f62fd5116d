"""Who is served from which vial and when: the assignment that serves most, exact as long as nothing has to be cut off.

Volumes grow with time, so that for a given order of patients every injection is best at its earliest moment. Without a least
gap between injections patients do not hinder one another in time, and one pass over them with the Pareto front of the volumes
used is enough. With a gap see `fusin.radiopharmacy.dispensing_gaps`. Where not every way was tried, a bound may still prove that
nothing serves more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial, draw_volume_ml, last_injection_s
from fusin.radiopharmacy.dispensing_bound import cannot_serve_more
from fusin.radiopharmacy.dispensing_gaps import Choice, GapDay, every_way, improved

__all__ = ["FRONT", "Assignment", "Window", "best_assignment", "gap_day", "window_of"]

FRONT = 120
"""Labels kept for one weight of a day without a gap; beyond it not every way is tried."""

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
    exact : whether no other assignment can serve more
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
    fixed, used = _drawn(orders, vials)
    windows = _windows(orders, vials, rules)
    day = gap_day(orders, vials, rules)
    start = _Label(0.0, tuple(used), -math.inf, ())
    # A quick answer first: what cannot reach it any more need not be followed.
    best, exact = _without_gap(orders, vials, windows, start, most=8, least=-math.inf)
    apart = _keeps_gap(day, best)
    if not exact and apart and len(best.chosen) < len(windows):
        best, exact = _without_gap(orders, vials, windows, start, most=FRONT, least=best.weight)
        apart = _keeps_gap(day, best)
    chosen = list(best.chosen)
    if not apart:
        sequence, exact = every_way(day, improved(day))
        placed = day.placed(sequence) or []
        chosen = [(c.order, c.vial, time_s) for c, (time_s, _) in zip(sequence, placed, strict=True)]
    weight = math.fsum(orders[i].weight for i, *_ in chosen)
    return Assignment({i: (v, t) for i, v, t in [*fixed, *chosen]}, exact or cannot_serve_more(day, weight))


def _keeps_gap(day: GapDay, label: _Label) -> bool:
    """Whether a plan that knows of no gap has one."""
    times = sorted([*(t for *_, t in label.chosen), *day.taken_s])
    new = {t for *_, t in label.chosen}
    # Two doses that are drawn already may be as close as they are.
    return all(b - a >= day.gap_s - 1e-6 or not {a, b} & new for a, b in itertools.pairwise(times))


def _drawn(orders: Sequence[Order], vials: Sequence[Vial]) -> tuple[list[tuple[int, int, float]], list[float]]:
    """Order, vial and injection of what is drawn already, and the volume that it took of each vial."""
    fixed, used = [], [0.0] * len(vials)
    for i, order in enumerate(orders):
        if order.drawn_ml is not None:
            v = next(k for k, vial in enumerate(vials) if order.fits(vial))
            used[v] += order.drawn_ml
            fixed.append((i, v, order.earliest_s))
    return fixed, used


def _windows(orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules) -> dict[int, dict[int, Window]]:
    """Open windows by order and vial, of what is still to be drawn."""
    found = {}
    for i, order in enumerate(orders):
        if order.drawn_ml is None:
            own = {v: window_of(order, vial, rules) for v, vial in enumerate(vials) if order.fits(vial)}
            if own := {v: w for v, w in own.items() if w.open}:
                found[i] = own
    return found


def gap_day(orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules) -> GapDay:
    """What a plan has to keep, in numbers alone."""
    fixed, used = _drawn(orders, vials)
    choices = {
        i: tuple(_choice(orders[i], i, vials[v], v, w) for v, w in own.items())
        for i, own in _windows(orders, vials, rules).items()
    }
    free = tuple(vial.usable_ml - u for vial, u in zip(vials, used, strict=True))
    return GapDay(choices=choices, free_ml=free, gap_s=rules.gap_s, taken_s=tuple(sorted(t for *_, t in fixed)))


def _choice(order: Order, i: int, vial: Vial, v: int, window: Window) -> Choice:
    return Choice(
        order=i, vial=v, first_s=window.first_s, last_s=window.last_s,
        grows_ml=draw_volume_ml(order, vial, window.first_s) - order.residual_ml, stays_ml=order.residual_ml,
        half_life_s=vial.half_life_s, weight=order.weight,
    )  # fmt: skip


def _room(vials: Sequence[Vial], used: Sequence[float], v: int, volume: float) -> bool:
    return used[v] + volume <= vials[v].usable_ml * (1.0 + _ROUNDING)


def _extended(label: _Label, order: Order, i: int, v: int, time_s: float, volume: float) -> _Label:
    used = tuple(u + volume if k == v else u for k, u in enumerate(label.used))
    return _Label(label.weight + order.weight, used, time_s, (*label.chosen, (i, v, time_s)))


def _without_gap(
    orders: Sequence[Order], vials: Sequence[Vial], windows: dict[int, dict[int, Window]], start: _Label,
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
            front, whole = _front(group, most)
            labels += front
            exact = exact and whole
    return min(labels, key=lambda label: label.rank), exact


def _front(labels: list[_Label], most: int) -> tuple[list[_Label], bool]:
    """Labels that no other beats in every volume, at most ``most``; False when some were cut off."""
    front: list[_Label] = []
    for label in sorted(labels, key=lambda one: one.rank):
        if not any(all(a <= b + _ROUNDING for a, b in zip(other.used, label.used, strict=True)) for other in front):
            front.append(label)
        if len(front) > most:
            return front[:most], False
    return front, True
