"""Three-tracer lesion matrices: which triple-positive counts make the published table and its totals fit?

A table that prints lesions seen by one tracer alone and lesions seen by each pair does not say how many were seen by all
three, because the pairs include them. With t triple-positive lesions in a row::

    tracer A = A_only + AB + AC - t
    lesions  = A_only + B_only + C_only + AB + AC + BC - 2 t
    seen by A and B only = AB - t

All integer t that fit are found, row by row and together with the totals over the rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusin.errors import InputError
from fusin.provenance import jsonable

__all__ = ["LesionMatrix", "LesionSolution", "MatrixRow", "solve_lesion_matrix"]

MAX_SOLUTIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """Printed counts of one group of lesions, for example one grade.

    Attributes
    ----------
    name : of the group
    only : lesions seen by one tracer alone, in the order of the tracers
    pairs : lesions seen by tracers 1 and 2, 1 and 3, 2 and 3, triple-positive ones included
    totals : lesions of each tracer in this row where printed, else None
    lesions : all lesions of this row where printed, else None
    """

    name: str
    only: tuple[int, int, int]
    pairs: tuple[int, int, int]
    totals: tuple[int | None, int | None, int | None] = (None, None, None)
    lesions: int | None = None

    def __post_init__(self) -> None:
        for field in ("only", "pairs"):
            counts = getattr(self, field)
            if len(counts) != 3 or any(isinstance(c, bool) or not isinstance(c, int) or c < 0 for c in counts):
                raise InputError(f"lesion matrix row {self.name}", field, counts, "three counts of 0 or more")

    def by_tracer(self, triple: int) -> tuple[int, int, int]:
        """Lesions of each tracer with so many triple-positive ones."""
        ab, ac, bc = self.pairs
        a, b, c = self.only
        return a + ab + ac - triple, b + ab + bc - triple, c + ac + bc - triple

    def count(self, triple: int) -> int:
        """Different lesions of this row."""
        return sum(self.only) + sum(self.pairs) - 2 * triple

    def possible(self) -> tuple[int, ...]:
        """Triple-positive counts that this row alone allows."""
        return tuple(
            t
            for t in range(min(self.pairs) + 1)
            if all(want in (None, have) for want, have in zip(self.totals, self.by_tracer(t), strict=True))
            and self.lesions in (None, self.count(t))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionSolution:
    """One way to complete the table.

    Attributes
    ----------
    triple : triple-positive lesions of each row
    lesions : different lesions of each row
    by_tracer : lesions of each tracer for each row
    exclusive : for each row the lesions of each exclusive combination, named by the tracers joined with ``+``
    """

    triple: Mapping[str, int]
    lesions: Mapping[str, int]
    by_tracer: Mapping[str, Mapping[str, int]]
    exclusive: Mapping[str, Mapping[str, int]]

    @property
    def totals(self) -> dict[str, int]:
        """Lesions of each tracer over all rows."""
        names = next(iter(self.by_tracer.values()), {})
        return {n: sum(row[n] for row in self.by_tracer.values()) for n in names}

    @property
    def total_lesions(self) -> int:
        """Different lesions over all rows."""
        return sum(self.lesions.values())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        plain = {name: jsonable(getattr(self, name)) for name in self.__slots__}
        return plain | {"totals": self.totals, "total_lesions": self.total_lesions}


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionMatrix:
    """All solutions of a matrix.

    Attributes
    ----------
    tracers : names in the order of the counts
    solutions : in the order of the triple-positive counts; at most 1000
    complete : whether these are all
    because : why there is none, else empty
    """

    tracers: tuple[str, str, str]
    solutions: tuple[LesionSolution, ...]
    complete: bool
    because: str = ""

    @property
    def unique(self) -> LesionSolution | None:
        """The solution where there is exactly one."""
        return self.solutions[0] if len(self.solutions) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "tracers": list(self.tracers),
            "complete": self.complete,
            "because": self.because,
            "solutions": [s.to_json() for s in self.solutions],
        }


def solve_lesion_matrix(
    rows: Sequence[MatrixRow],
    *,
    tracers: tuple[str, str, str],
    totals: Mapping[str, int] | None = None,
    lesions: int | None = None,
    limit: int = MAX_SOLUTIONS,
) -> LesionMatrix:
    """Find every set of triple-positive counts that fits the printed numbers.

    Parameters
    ----------
    rows : printed counts
    tracers : three names, in the order of the counts
    totals : printed total of each tracer over all rows, where there is one
    lesions : printed total of different lesions, where there is one
    limit : stop after so many solutions

    Returns
    -------
    LesionMatrix
        Without a solution, ``because`` names the row or the totals that cannot be met.

    Raises
    ------
    InputError
        For a total of an unknown tracer, or rows of one name.
    """
    if len(set(tracers)) != 3 or len({r.name for r in rows}) != len(rows):
        raise InputError(
            "lesion matrix", "names", [*tracers, *(r.name for r in rows)], "three tracers, rows named once"
        )
    for name in totals or {}:
        if name not in tracers:
            raise InputError("lesion matrix", "totals", name, "one of " + ", ".join(tracers))
    choices = [r.possible() for r in rows]
    for row, possible in zip(rows, choices, strict=True):
        if not possible:
            return _none(tracers, f"No triple-positive count fits the printed totals of row {row.name}.")
    wanted = _wanted_sums(rows, tracers, totals or {}, lesions)
    if len(set(wanted.values())) > 1:
        listed = ", ".join(f"{name} {_words(t)}" for name, t in wanted.items())
        return _none(tracers, f"The printed totals need different sums of triple-positive lesions: {listed}.")
    target = next(iter(wanted.values()), None)
    if target is not None and target.odd:
        return _none(tracers, "The printed number of lesions has the wrong parity for this table.")
    found = list(itertools.islice(_sums(choices, None if target is None else target.value), limit + 1))
    if not found:
        low, high = sum(c[0] for c in choices), sum(c[-1] for c in choices)
        need = "" if target is None else f"{target.value}"
        return _none(
            tracers, f"The printed totals need {need} triple-positive lesions; the rows allow {low} to {high}."
        )
    solutions = tuple(_solution(rows, tracers, triples) for triples in found[:limit])
    return LesionMatrix(tracers=tracers, solutions=solutions, complete=len(found) <= limit)


@dataclass(frozen=True, slots=True)
class _Sum:
    value: int
    odd: bool = False


def _words(need: _Sum) -> str:
    return "an odd half" if need.odd else str(need.value)


def _none(tracers: tuple[str, str, str], because: str) -> LesionMatrix:
    return LesionMatrix(tracers=tracers, solutions=(), complete=True, because=because)


def _wanted_sums(
    rows: Sequence[MatrixRow], tracers: tuple[str, str, str], totals: Mapping[str, int], lesions: int | None
) -> dict[str, _Sum]:
    """Sum of the triple-positive lesions over the rows that each printed total asks for."""
    wanted = {
        name: _Sum(sum(r.by_tracer(0)[i] for r in rows) - totals[name])
        for i, name in enumerate(tracers)
        if name in totals
    }
    if lesions is not None:
        twice = sum(r.count(0) for r in rows) - lesions
        wanted["lesions"] = _Sum(twice // 2, bool(twice % 2))
    return wanted


def _sums(choices: Sequence[tuple[int, ...]], target: int | None) -> Iterator[tuple[int, ...]]:
    """Combinations of one choice per row, in order, that add up to the target."""
    if not choices:
        if target in (None, 0):
            yield ()
        return
    rest = choices[1:]
    least, most = sum(c[0] for c in rest), sum(c[-1] for c in rest)
    for first in choices[0]:
        left = None if target is None else target - first
        if left is None or least <= left <= most:
            yield from ((first, *tail) for tail in _sums(rest, left))


def _solution(rows: Sequence[MatrixRow], tracers: tuple[str, str, str], triples: Sequence[int]) -> LesionSolution:
    pairs = list(itertools.combinations(tracers, 2))
    exclusive = {}
    for row, t in zip(rows, triples, strict=True):
        cells = dict(zip(tracers, row.only, strict=True))
        cells |= {"+".join(p): n - t for p, n in zip(pairs, row.pairs, strict=True)}
        exclusive[row.name] = cells | {"+".join(tracers): t}
    return LesionSolution(
        triple={r.name: t for r, t in zip(rows, triples, strict=True)},
        lesions={r.name: r.count(t) for r, t in zip(rows, triples, strict=True)},
        by_tracer={r.name: dict(zip(tracers, r.by_tracer(t), strict=True)) for r, t in zip(rows, triples, strict=True)},
        exclusive=exclusive,
    )
