"""A body as pools that exchange a hot and a cold ligand, and its course in time.

Every pool holds a hot and a cold amount. Both move by the same first-order transfers; hot becomes cold with the decay of its
nuclide; at a site a free ligand binds receptor that neither holds, nor a competitor. Integrals of the hot amount of a region
follow as states of their own, so that time-integrated activity needs no quadrature of points.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable

__all__ = ["Competition", "Course", "Give", "PoolBuilder", "PoolSystem", "run"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Pattern = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]

MOST_STEPS = 200_000
_HOT_FLOOR = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """What is given at one moment.

    Attributes
    ----------
    time_min : of its start
    hot_nmol, cold_nmol : labelled and unlabelled ligand
    duration_min : of an infusion at a constant rate; 0 for a bolus
    """

    time_min: float = 0.0
    hot_nmol: float = 0.0
    cold_nmol: float = 0.0
    duration_min: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not np.isfinite(value) or (value < 0 and name != "time_min"):
                raise InputError("administration", name, float(value), "a finite number of at least 0")

    def hot_left(self, time_min: FloatArray, decay_per_min: float) -> FloatArray:
        """Of the hot ligand that is given by each moment, what decay leaves [nmol]."""
        after = np.maximum(np.asarray(time_min, dtype=np.float64) - self.time_min, 0.0)
        begun = np.asarray(time_min) >= self.time_min
        if self.duration_min == 0:
            return np.asarray(np.where(begun, self.hot_nmol * np.exp(-decay_per_min * after), 0.0))
        within = np.minimum(after, self.duration_min)
        grown = -np.expm1(-decay_per_min * within) / decay_per_min if decay_per_min > 0 else within
        return np.asarray(self.hot_nmol / self.duration_min * grown * np.exp(-decay_per_min * (after - within)))

    def given_by(self, time_min: float) -> float:
        """Hot and cold ligand that is given by a moment [nmol]."""
        after = time_min - self.time_min
        share = min(after / self.duration_min, 1.0) if self.duration_min > 0 else 1.0
        return (self.hot_nmol + self.cold_nmol) * share if after >= 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Competition:
    """A competitor whose free concentration over its Ki is known: constant, or as after one dose (Bateman).

    Attributes
    ----------
    height : concentration over Ki of a constant competitor, or D / (V Ki) ka / (ka - ke) after a dose
    time_min : of the dose; may be negative
    absorption_per_min, elimination_per_min : both 0 for a constant one
    """

    height: float
    time_min: float = 0.0
    absorption_per_min: float = 0.0
    elimination_per_min: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolSystem:
    """Pools in arrays, as the kernels need them; made by `PoolBuilder.build`.

    Attributes
    ----------
    pools : names; state i is the hot and state n + i the cold amount [nmol]
    regions : names; state 2 n + q is the integral of the hot amount of region q [nmol min]
    weights : (regions, pools) share of each pool in each region
    rows, columns, values : linear part [1/min]
    sites, strength, receptor : see `fusin.receptor.pbpk_kernels.rates`
    site_names : pool of the bound ligand of each site
    entry : pool that receives what is given
    decay_per_min : of the nuclide
    """

    pools: tuple[str, ...]
    regions: tuple[str, ...]
    weights: FloatArray
    rows: IntArray
    columns: IntArray
    values: FloatArray
    sites: IntArray
    strength: FloatArray
    receptor: FloatArray
    site_names: tuple[str, ...]
    entry: int
    decay_per_min: float

    @property
    def size(self) -> int:
        """Number of states."""
        return 2 * len(self.pools) + len(self.regions)

    def pattern(self) -> Pattern:
        """Order of the pivots of the matrix of a step; rows below and columns right of each, with their offsets."""
        return _pattern(self.size, self.rows.tobytes(), self.columns.tobytes(), self.sites.tobytes())


@dataclass(slots=True)
class PoolBuilder:
    """Collects pools, transfers, sites and regions."""

    decay_per_min: float = 0.0
    _pools: dict[str, int] = field(default_factory=dict)
    _moves: list[tuple[int, int, float]] = field(default_factory=list)
    _sites: list[tuple[int, int, float, float]] = field(default_factory=list)
    _regions: dict[str, dict[int, float]] = field(default_factory=dict)

    def pool(self, name: str) -> int:
        """Number of a pool, made when it is new."""
        return self._pools.setdefault(name, len(self._pools))

    def move(self, source: str, target: str, rate_per_min: float) -> None:
        """First-order transfer; a rate of 0 keeps its place, so that all patients share one pattern."""
        self._moves.append((self.pool(source), self.pool(target), float(rate_per_min)))

    def exchange(self, one: str, other: str, flow: float, one_volume: float, other_volume: float) -> None:
        """Two-way transfer at a flow [L/min] between two volumes [L]."""
        self.move(one, other, flow / one_volume)
        self.move(other, one, flow / other_volume)

    def site(self, free: str, bound: str, *, on_per_nmol_min: float, off_per_min: float, receptor_nmol: float) -> None:
        """Saturable binding: rate ``on_per_nmol_min`` times free receptor times free ligand, both [nmol]."""
        self._sites.append((self.pool(free), self.pool(bound), float(on_per_nmol_min), float(receptor_nmol)))
        self.move(bound, free, off_per_min)

    def region(self, name: str, shares: Mapping[str, float]) -> None:
        """A region that is seen: pools with the share of each that belongs to it."""
        self._regions[name] = {self.pool(pool): share for pool, share in shares.items()}

    def build(self, entry: str) -> PoolSystem:
        """The arrays; ``entry`` is the pool that receives what is given."""
        n = len(self._pools)
        rows, columns, values = [], [], []
        for source, target, rate in self._moves:
            for shift in (0, n):
                rows += [source + shift, target + shift]
                columns += [source + shift] * 2
                values += [-rate, rate]
        for pool in range(n):
            rows += [pool, n + pool]
            columns += [pool, pool]
            values += [-self.decay_per_min, self.decay_per_min]
        weights = np.zeros((len(self._regions), n))
        for q, shares in enumerate(self._regions.values()):
            for pool, share in shares.items():
                weights[q, pool] = share
                rows.append(2 * n + q)
                columns.append(pool)
                values.append(share)
        names = tuple(self._pools)
        return PoolSystem(
            pools=names, regions=tuple(self._regions), weights=weights, rows=np.array(rows, dtype=np.int64),
            columns=np.array(columns, dtype=np.int64), values=np.array(values, dtype=np.float64),
            sites=np.array([(f, n + f, b, n + b) for f, b, _, _ in self._sites], dtype=np.int64).reshape(-1, 4),
            strength=np.array([on for _, _, on, _ in self._sites], dtype=np.float64),
            receptor=np.array([r for _, _, _, r in self._sites], dtype=np.float64),
            site_names=tuple(names[b] for _, b, _, _ in self._sites), entry=self._pools[entry],
            decay_per_min=self.decay_per_min,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """States over time.

    Attributes
    ----------
    system : that was run
    time_min : (times,)
    state : (times, states)
    gives : what was given
    competition : competitors that were on board
    steps : of the integration
    """

    system: PoolSystem
    time_min: FloatArray
    state: FloatArray
    gives: tuple[Give, ...]
    competition: tuple[Competition, ...]
    steps: int

    @property
    def given_hot_nmol(self) -> float:
        """Hot ligand that was given until the last moment."""
        return sum(g.hot_nmol for g in self.gives if g.time_min <= self.time_min[-1])

    def hot_left(self) -> FloatArray:
        """What decay leaves of the hot ligand that was given, wherever it is [nmol]."""
        return np.asarray(sum(g.hot_left(self.time_min, self.system.decay_per_min) for g in self.gives))

    def hot(self, pool: str) -> FloatArray:
        """Hot amount of a pool [nmol]."""
        return np.asarray(self.state[:, self.system.pools.index(pool)])

    def cold(self, pool: str) -> FloatArray:
        """Cold amount of a pool [nmol]."""
        return np.asarray(self.state[:, len(self.system.pools) + self.system.pools.index(pool)])

    def region_hot(self, region: str) -> FloatArray:
        """Hot amount of a region [nmol], decayed."""
        n = len(self.system.pools)
        return np.asarray(self.state[:, :n] @ self.system.weights[self.system.regions.index(region)])

    def region_total(self, region: str) -> FloatArray:
        """Hot and cold amount of a region [nmol]."""
        n = len(self.system.pools)
        weights = self.system.weights[self.system.regions.index(region)]
        return np.asarray((self.state[:, :n] + self.state[:, n : 2 * n]) @ weights)

    def integral(self, region: str) -> FloatArray:
        """Integral of the hot amount of a region from the start [nmol min]."""
        return np.asarray(self.state[:, 2 * len(self.system.pools) + self.system.regions.index(region)])

    def occupied(self, bound: str) -> FloatArray:
        """Share of a site's receptor that hot and cold ligand hold."""
        receptor = self.system.receptor[self.system.site_names.index(bound)]
        return np.asarray((self.hot(bound) + self.cold(bound)) / receptor if receptor > 0 else 0.0 * self.time_min)

    def balances(self) -> dict[str, float]:
        """Largest relative errors of mass, of decay and of receptor.

        Ligand that was given equals hot and cold of all pools, excreted ones included. Hot of all pools equals what
        decay leaves of the hot that was given. Free receptor is never negative.
        """
        n = len(self.system.pools)
        given = sum(g.given_by(float(self.time_min[-1])) for g in self.gives)
        found = {"mass": abs(float(self.state[-1, : 2 * n].sum()) - given) / given}
        if self.given_hot_nmol > 0 and self.system.decay_per_min > 0:
            present = self.state[:, :n].sum(axis=1)
            found["decay"] = float(np.max(np.abs(present - self.hot_left())) / self.given_hot_nmol)
        least = [float(np.max(self.occupied(name))) for name in self.system.site_names]
        found["receptor"] = max(0.0, max(least, default=0.0) - 1.0)
        return found


def run(
    system: PoolSystem, gives: Sequence[Give], times_min: Sequence[float] | FloatArray, *,
    competition: Sequence[Competition] = (), relative: float = 1e-8, absolute: float = 1e-11,
) -> Course:  # fmt: skip
    """Integrate the equations with the compiled method.

    Parameters
    ----------
    system : pools
    gives : what is given and when; at least one
    times_min : increasing times at which the state is kept, from the first give on
    competition : competitors on board
    relative, absolute : tolerances of a step; the absolute one is a share of what was given

    Raises
    ------
    InputError
        For times that do not increase, and when nothing is given.
    NotComputable
        When the integration fails.
    """
    from fusin.receptor.pbpk_kernels import integrate

    times = np.asarray(times_min, dtype=np.float64)
    start = min((g.time_min for g in gives), default=0.0)
    hot, cold = sum(g.hot_nmol for g in gives), sum(g.cold_nmol for g in gives)
    if not gives or hot + cold <= 0:
        raise InputError("administration", "amount", 0.0, "hot or cold ligand above 0 nmol")
    if times.size == 0 or np.any(np.diff(times) <= 0) or times[0] < start:
        raise InputError("simulation", "times", times[:3].tolist(), f"increasing times from {start:g} min on")
    n, q = len(system.pools), len(system.regions)
    scale = np.concatenate(
        [np.full(n, max(hot, _HOT_FLOOR)), np.full(n, hot + cold), np.full(q, max(hot, _HOT_FLOOR) * 100.0)]
    )
    drugs = np.array([(c.time_min, c.height, c.absorption_per_min, c.elimination_per_min) for c in competition])
    state, kept, at, steps = np.zeros(system.size), np.zeros((times.size, system.size)), start, 0
    linear = (system.rows, system.columns, system.values)
    for begin, end in itertools.pairwise(_breaks(gives, competition, start, float(times[-1]))):
        _add_boluses(state, system, gives, begin)
        kept[times == begin] = state
        inside = np.flatnonzero((times > begin) & (times <= end))
        marks = times[inside] if inside.size and times[inside[-1]] == end else np.append(times[inside], end)
        course = np.zeros((marks.size, system.size))
        done = integrate(
            state, begin, marks, linear, system.sites, system.strength, system.receptor, drugs.reshape(-1, 4),
            _supply(system, gives, begin, end), system.pattern(), absolute * scale, relative, MOST_STEPS, course,
        )  # fmt: skip
        if done < 0 or not np.all(np.isfinite(state)):
            because = f"the integration gave up between {begin:g} and {end:g} min"
            raise NotComputable("the course of the body", because, "rates within their ranges", "INTEGRATION_FAILED")
        kept[inside] = course[: inside.size]
        steps, at = steps + done, end
    _add_boluses(state, system, gives, at)
    kept[times == at] = state
    return Course(
        system=system, time_min=times, state=kept, gives=tuple(gives), competition=tuple(competition), steps=steps
    )


def _add_boluses(state: FloatArray, system: PoolSystem, gives: Sequence[Give], moment: float) -> None:
    for give in gives:
        if give.duration_min == 0 and give.time_min == moment:
            state[system.entry] += give.hot_nmol
            state[len(system.pools) + system.entry] += give.cold_nmol


def _supply(system: PoolSystem, gives: Sequence[Give], begin: float, end: float) -> FloatArray:
    """What infusions bring between two moments [nmol/min]."""
    found = np.zeros(system.size)
    for give in gives:
        if give.duration_min > 0 and give.time_min <= begin and end <= give.time_min + give.duration_min:
            found[system.entry] += give.hot_nmol / give.duration_min
            found[len(system.pools) + system.entry] += give.cold_nmol / give.duration_min
    return found


def _breaks(gives: Sequence[Give], competition: Sequence[Competition], start: float, end: float) -> list[float]:
    """Moments at which the equations jump: the integration starts anew there."""
    moments = {start, end}
    for give in gives:
        moments |= {give.time_min, give.time_min + give.duration_min}
    moments |= {c.time_min for c in competition if c.elimination_per_min > 0}
    return sorted(m for m in moments if start <= m <= end)


@lru_cache(maxsize=64)
def _pattern(n: int, rows: bytes, columns: bytes, sites: bytes) -> Pattern:
    """Pivots in the order of least degree, and the fill-in that follows from it."""
    filled = np.eye(n, dtype=bool)
    filled[np.frombuffer(rows, dtype=np.int64), np.frombuffer(columns, dtype=np.int64)] = True
    for free_hot, free_cold, bound_hot, bound_cold in np.frombuffer(sites, dtype=np.int64).reshape(-1, 4).tolist():
        for free, bound in ((free_hot, bound_hot), (free_cold, bound_cold)):
            filled[np.ix_([free, bound], [free, bound_hot, bound_cold])] = True
    left = np.ones(n, dtype=bool)
    order: list[int] = []
    below: list[int] = []
    right: list[int] = []
    below_at, right_at = [0], [0]
    for _ in range(n):
        cost = (filled[left].sum(axis=0) - 1) * (filled[:, left].sum(axis=1) - 1)
        k = int(np.argmin(np.where(left, cost, n * n + 1)))
        left[k] = False
        order.append(k)
        down, across = np.flatnonzero(filled[:, k] & left), np.flatnonzero(filled[k] & left)
        filled[np.ix_(down, across)] = True
        below += down.tolist()
        right += across.tolist()
        below_at.append(len(below))
        right_at.append(len(right))
    found = [np.array(part, dtype=np.int64) for part in (order, below, below_at, right, right_at)]
    return found[0], found[1], found[2], found[3], found[4]
