"""How many patients could be served at best: a linear relaxation that no plan can exceed.

Time is cut into cells. A dose in a cell is counted with its volume at the begin of the cell, shares of doses are allowed, and of
all cells within one least gap at most one dose is taken; each of these makes it easier than the day is. Where a plan serves as
much as this allows, nothing serves more.

References
----------
Sousa JP, Wolsey LA, Math Program 54 (1992) 353-367 (time-indexed formulations of scheduling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fusin.radiopharmacy.dispensing_gaps import Choice, GapDay

__all__ = ["cannot_serve_more"]

# Cells per gap are tried until the relaxation has at most so many variables; more cells are a tighter bound.
_CELLS = (24.0, 12.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.25, 0.125)
_MOST_VARIABLES = 8_000


def cannot_serve_more(day: GapDay, weight: float) -> bool:
    """Whether it is proven that no plan serves a larger weight; False says nothing.

    Parameters
    ----------
    day : limits
    weight : that a plan serves
    """
    if not day.choices:
        return True
    weights = [listed[0].weight for listed in day.choices.values()]
    if weight >= math.fsum(weights) * (1.0 - 1e-12):
        return True
    bound = _bound(day)
    return bound is not None and bound < weight + max(_step(weights), 1e-9) - 1e-6 * max(weights)


def _step(weights: Sequence[float]) -> float:
    """Least difference between two sums of weights that differ; 0 when none is known."""
    thousandths = [round(1000.0 * w) for w in weights]
    if any(abs(k - 1000.0 * w) > 1e-9 * k for k, w in zip(thousandths, weights, strict=True)):
        return 0.0
    return math.gcd(*thousandths) / 1000.0


def _cells(day: GapDay, per_gap: float) -> list[tuple[Choice, int, float]]:
    """Choice, number of the cell and volume of every cell that a window touches."""
    choices = [c for listed in day.choices.values() for c in listed]
    if not day.gap_s:
        return [(c, k, c.volume_ml(c.first_s)) for k, c in enumerate(choices)]
    origin = min(c.first_s for c in choices)
    # No injection of a plan without needless waiting is later than the last window's begin and a gap for each other dose.
    latest = max([*(c.first_s for c in choices), *day.taken_s]) + day.gap_s * (len(day.choices) + len(day.taken_s))
    width = day.gap_s * (1.0 - 1e-9) / per_gap
    found: list[tuple[Choice, int, float]] = []
    for c in choices:
        last = min(c.last_s, latest) + 1e-6
        first, end = math.floor((c.first_s - origin) / width), math.floor((last - origin) / width)
        if (end - first) + len(found) > _MOST_VARIABLES:
            return []
        found += [(c, k, c.volume_ml(max(c.first_s, origin + k * width))) for k in range(first, end + 1)]
    return found


def _bound(day: GapDay) -> float | None:
    """Optimum of the relaxation; None when it would be too large."""
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    per_gap, cells = next(((p, found) for p in _CELLS if (found := _cells(day, p))), (0.0, []))
    if not cells:
        return None
    orders = {i: row for row, i in enumerate(day.choices)}
    rows, columns, values = [], [], []
    limits = [1.0] * (len(orders) + len(day.free_ml))
    for column, (choice, _, volume) in enumerate(cells):
        usable = max(day.free_ml[choice.vial], 1e-12)
        rows += [orders[choice.order], len(orders) + choice.vial]
        columns += [column, column]
        values += [1.0, min(volume / usable, 2.0)]
    if day.gap_s:
        together = max(round(per_gap), 1)
        numbers = np.array([k for _, k, _ in cells])
        for start in sorted(set(numbers.tolist())):
            inside = np.flatnonzero((numbers >= start) & (numbers < start + together))
            rows += [len(limits)] * len(inside)
            columns += inside.tolist()
            values += [1.0] * len(inside)
            limits.append(max(1.0 / per_gap, 1.0))
    matrix: Any = csr_matrix((values, (rows, columns)), shape=(len(limits), len(cells)))
    best = linprog(
        [-choice.weight for choice, _, _ in cells], A_ub=matrix, b_ub=limits, bounds=(0.0, 1.0), method="highs"
    )
    return -float(best.fun) if best.status == 0 and best.fun is not None else None
