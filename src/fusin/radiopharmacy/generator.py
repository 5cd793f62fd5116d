"""68Ge/68Ga generators: ingrowth, elution history and what is left on the column, in closed form.

With lambda1 of 68Ge, lambda2 of 68Ga and R left by the last elution::

    A_Ga(t) = R exp(-lambda2 t) + A_Ge(0) lambda2 / (lambda2 - lambda1) (exp(-lambda1 t) - exp(-lambda2 t))
    eluted  = efficiency A_Ga        R = (1 - efficiency) A_Ga

Times are seconds from one origin. An efficiency is the share of the 68Ga on the column that an elution takes.

References
----------
Bateman H, Proc Cambridge Philos Soc 15 (1910) 423-427.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fusin.decay import daughter_activity, decay_factor
from fusin.errors import InputError
from fusin.nuclides import nuclide

__all__ = [
    "Elution",
    "ElutionEntry",
    "Generator",
    "Part",
    "Start",
    "State",
    "checked_efficiency",
    "elution_history",
    "equilibrium_ratio",
    "ga68_on_column_mbq",
    "largest_after_s",
]

Start = Literal["equilibrium", "empty", "stated"]


def _half_lives_s() -> tuple[float, float]:
    return nuclide("Ge-68").half_life_s, nuclide("Ga-68").half_life_s


def equilibrium_ratio() -> float:
    """68Ga per 68Ge in transient equilibrium: lambda2 / (lambda2 - lambda1) = 1.00017357."""
    parent, daughter = _half_lives_s()
    return 1.0 / (1.0 - daughter / parent)


def ga68_on_column_mbq(*, ge68_mbq: float, residual_mbq: float, elapsed_s: float) -> float:
    """68Ga on the column some time after an elution [MBq].

    Parameters
    ----------
    ge68_mbq, residual_mbq : 68Ge and 68Ga on the column just after the elution
    elapsed_s : seconds since then, not negative

    Raises
    ------
    InputError
        For a negative time.
    """
    parent, daughter = _half_lives_s()
    return daughter_activity(
        ge68_mbq, elapsed_s, parent_half_life_s=parent, daughter_half_life_s=daughter, daughter_start=residual_mbq
    )


def largest_after_s(*, ge68_mbq: float, residual_mbq: float) -> float:
    """Seconds after an elution at which the column holds most 68Ga: 14.10 h without residual, sooner with one.

    0 when the column never holds more than now.
    """
    parent, daughter = _half_lives_s()
    rate_1, rate_2 = math.log(2.0) / parent, math.log(2.0) / daughter
    grown = equilibrium_ratio() * ge68_mbq
    if grown <= residual_mbq:
        return 0.0
    return max(math.log(rate_2 * (grown - residual_mbq) / (rate_1 * grown)) / (rate_2 - rate_1), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """One generator.

    Attributes
    ----------
    name : unique among generators that are used together
    ge68_mbq : 68Ge at ``reference_s``
    reference_s : time that the activity refers to
    efficiency : share of the 68Ga on the column that an elution takes; None when it is to be fitted
    efficiency_u : its standard uncertainty, common to all elutions
    ge68_u_relative : relative standard uncertainty of ``ge68_mbq``
    start : ``equilibrium`` with the 68Ge before the first elution, ``empty`` of 68Ga at ``start_s``, or ``stated``
    start_s : time at which the column was empty, or held ``start_ga68_mbq``
    start_ga68_mbq : 68Ga on the column at ``start_s``
    eluted_before : elutions before the log begins
    in_use_s : first use, from which its age counts; None for the reference
    """

    name: str
    ge68_mbq: float
    reference_s: float = 0.0
    efficiency: float | None = None
    efficiency_u: float | None = None
    ge68_u_relative: float | None = None
    start: Start = "equilibrium"
    start_s: float = 0.0
    start_ga68_mbq: float = 0.0
    eluted_before: int = 0
    in_use_s: float | None = None

    def __post_init__(self) -> None:
        where = f"generator {self.name}"
        if not (math.isfinite(self.ge68_mbq) and self.ge68_mbq > 0):
            raise InputError(where, "ge68_mbq", self.ge68_mbq, "a number above 0")
        if self.efficiency is not None:
            checked_efficiency(self.efficiency, where, "efficiency")

    def ge68_at_mbq(self, time_s: float) -> float:
        """68Ge at a time [MBq]."""
        return self.ge68_mbq * decay_factor(time_s - self.reference_s, _half_lives_s()[0])


def checked_efficiency(value: float, where: str, field: str, *, zero: bool = False) -> float:
    """An efficiency above 0 and at most 1.

    Parameters
    ----------
    value : share of the 68Ga on the column
    where, field : for messages
    zero : whether 0 is one, as for an elution that was broken off

    Raises
    ------
    InputError
        For a percentage or another number.
    """
    if not (math.isfinite(value) and value <= 1.0 and (value > 0.0 or (zero and value == 0.0))):
        least = "from 0 to 1" if zero else "above 0 and at most 1"
        raise InputError(where, field, value, f"a fraction {least} (0.7, not 70)")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ElutionEntry:
    """One elution as a log has it.

    Attributes
    ----------
    time_s : moment of the elution
    generators : names of those that were eluted into one vial; more than one are pooled
    efficiency : of this elution alone, 0 when it was broken off; None takes that of the generator
    measured_mbq, measured_u_mbq, measured_s : activity as read, its standard uncertainty, the time of the reading
    volume_ml : of the eluate
    breakthrough_percent, breakthrough_of, breakthrough_s : 68Ge in percent of ``ge68_on_column`` or ``ga68_eluted``, and
        the time to which a 68Ga denominator refers
    ge68_eluate_bq : 68Ge in the eluate
    pool : name that eluates share which were combined
    where : row for messages
    """

    time_s: float
    generators: tuple[str, ...]
    efficiency: float | None = None
    measured_mbq: float | None = None
    measured_u_mbq: float | None = None
    measured_s: float | None = None
    volume_ml: float | None = None
    breakthrough_percent: float | None = None
    breakthrough_of: str | None = None
    breakthrough_s: float | None = None
    ge68_eluate_bq: float | None = None
    pool: str | None = None
    where: str = "elution"

    @property
    def eluted_measured_mbq(self) -> float | None:
        """Measured activity at the moment of the elution [MBq]."""
        if self.measured_mbq is None:
            return None
        read = self.time_s if self.measured_s is None else self.measured_s
        return self.measured_mbq * decay_factor(self.time_s - read, _half_lives_s()[1])

    @property
    def eluted_measured_u_mbq(self) -> float | None:
        """Standard uncertainty of `eluted_measured_mbq` [MBq]."""
        if not self.measured_mbq or self.measured_u_mbq is None or self.eluted_measured_mbq is None:
            return None
        return self.measured_u_mbq * self.eluted_measured_mbq / self.measured_mbq


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one generator gave to an elution.

    Attributes
    ----------
    generator : its name
    ge68_mbq : 68Ge on the column
    on_column_mbq : 68Ga on the column just before the elution
    eluted_mbq, residual_mbq : 68Ga taken, and left behind
    idle_s : since the elution before; None for the first one
    """

    generator: str
    ge68_mbq: float
    on_column_mbq: float
    eluted_mbq: float
    residual_mbq: float
    idle_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elution:
    """One calculated elution; sums over the generators that were eluted together.

    Attributes
    ----------
    number : from 1
    entry : the row of the log
    parts : one for each generator
    """

    number: int
    entry: ElutionEntry
    parts: tuple[Part, ...]

    @property
    def time_s(self) -> float:
        """Moment of the elution."""
        return self.entry.time_s

    @property
    def ge68_mbq(self) -> float:
        """68Ge on the columns [MBq]."""
        return math.fsum(p.ge68_mbq for p in self.parts)

    @property
    def on_column_mbq(self) -> float:
        """68Ga on the columns just before the elution [MBq]."""
        return math.fsum(p.on_column_mbq for p in self.parts)

    @property
    def eluted_mbq(self) -> float:
        """Calculated 68Ga at the moment of the elution [MBq]."""
        return math.fsum(p.eluted_mbq for p in self.parts)

    @property
    def residual_mbq(self) -> float:
        """Calculated 68Ga left on the columns [MBq]."""
        return math.fsum(p.residual_mbq for p in self.parts)

    @property
    def idle_s(self) -> float | None:
        """Longest time since the elution before among the generators [s]; None for a first one."""
        idle = [p.idle_s for p in self.parts if p.idle_s is not None]
        return max(idle) if idle else None


@dataclass(slots=True)
class State:
    """68Ga of one generator after its last elution, or at its start.

    Attributes
    ----------
    generator : the generator
    time_s, residual_mbq : when it was last known, and what it then held; None before the first elution from equilibrium
    eluted : whether it was eluted since the start
    """

    generator: Generator
    time_s: float | None
    residual_mbq: float
    eluted: bool = False

    @classmethod
    def at_start(cls, generator: Generator) -> State:
        """State before the first elution."""
        if generator.start == "equilibrium":
            return cls(generator, None, 0.0)
        return cls(generator, generator.start_s, generator.start_ga68_mbq)

    def on_column_mbq(self, time_s: float) -> float:
        """68Ga on the column at a time [MBq].

        Raises
        ------
        InputError
            Before the column was last known.
        """
        if self.time_s is None:
            return equilibrium_ratio() * self.generator.ge68_at_mbq(time_s)
        if time_s < self.time_s:
            raise InputError(
                f"generator {self.generator.name}", "time", f"{(self.time_s - time_s) / 60.0:g} min too early",
                "a time after the elution before it, or after the start of the column",
            )  # fmt: skip
        return ga68_on_column_mbq(
            ge68_mbq=self.generator.ge68_at_mbq(self.time_s), residual_mbq=self.residual_mbq,
            elapsed_s=time_s - self.time_s,
        )  # fmt: skip

    def after(self, time_s: float, eluted_mbq: float) -> State:
        """State just after an elution that took some 68Ga."""
        return State(self.generator, time_s, self.on_column_mbq(time_s) - eluted_mbq, True)


def elution_history(
    generators: Sequence[Generator],
    entries: Sequence[ElutionEntry],
    *,
    efficiency: Mapping[str, float] | None = None,
    shift: Mapping[str, float] | None = None,
    follow_measured: bool = False,
) -> tuple[tuple[Elution, ...], dict[str, State]]:
    """Calculate every elution of a log, and the state after the last one.

    Parameters
    ----------
    generators : with unique names
    entries : in rising order of time
    efficiency : by generator, for those that state none
    shift : by generator, added to every efficiency, to see how the result depends on it
    follow_measured : leave on the column what was measured to be left, where there is a measurement; a pooled
        measurement is shared in proportion to the calculated parts

    Raises
    ------
    InputError
        For entries out of order, an unknown generator, and one without any efficiency.
    """
    states = {g.name: State.at_start(g) for g in generators}
    if len(states) < len(generators):
        raise InputError("generators", "name", ", ".join(g.name for g in generators), "each name once")
    found: list[Elution] = []
    for number, entry in enumerate(entries, start=1):
        wanted: dict[str, float] = {}
        columns: dict[str, float] = {}
        for name in entry.generators:
            if name not in states:
                raise InputError(entry.where, "generator", name, "one of " + ", ".join(states))
            columns[name] = states[name].on_column_mbq(entry.time_s)
            share = _efficiency(states[name].generator, entry, efficiency)
            wanted[name] = columns[name] * (share + (shift or {}).get(name, 0.0) if share else 0.0)
        parts = tuple(_part(states[name], entry.time_s, columns[name], wanted[name]) for name in entry.generators)
        elution = Elution(number=number, entry=entry, parts=parts)
        found.append(elution)
        taken = wanted
        if follow_measured and entry.eluted_measured_mbq is not None:
            # More than the column holds would leave a negative rest; the yield above 1 is reported where it is computed.
            measured = min(entry.eluted_measured_mbq, elution.on_column_mbq)
            parts_mbq, whole = (wanted, elution.eluted_mbq) if elution.eluted_mbq else (columns, elution.on_column_mbq)
            taken = {name: measured * parts_mbq[name] / whole if whole else 0.0 for name in entry.generators}
        for name in entry.generators:
            states[name] = states[name].after(entry.time_s, min(taken[name], columns[name]))
    return tuple(found), states


def _efficiency(generator: Generator, entry: ElutionEntry, fitted: Mapping[str, float] | None) -> float:
    stated = entry.efficiency if entry.efficiency is not None else generator.efficiency
    if stated is None:
        stated = (fitted or {}).get(generator.name)
    if stated is None:
        raise InputError(
            f"generator {generator.name}", "yield", "nothing", "an elution yield, or measured elutions to fit it from"
        )
    return checked_efficiency(stated, entry.where, "yield", zero=entry.efficiency is not None)


def _part(state: State, time_s: float, on_column_mbq: float, eluted_mbq: float) -> Part:
    return Part(
        generator=state.generator.name,
        ge68_mbq=state.generator.ge68_at_mbq(time_s),
        on_column_mbq=on_column_mbq,
        eluted_mbq=eluted_mbq,
        residual_mbq=on_column_mbq - eluted_mbq,
        idle_s=time_s - state.time_s if state.eluted and state.time_s is not None else None,
    )
