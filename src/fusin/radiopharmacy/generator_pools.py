"""Eluates that were combined: what the pool holds at the moment of its last elution, each part decayed to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusin.decay import decay_factor
from fusin.nuclides import nuclide
from fusin.radiopharmacy.generator import Elution

__all__ = ["Pool", "pools_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Eluates in one vial.

    Attributes
    ----------
    name : as the log has it
    numbers : of the elutions
    time_s : moment of the last of them, to which the activities refer
    eluted_mbq : calculated 68Ga
    measured_mbq : measured 68Ga; None unless every part was measured
    """

    name: str
    numbers: tuple[int, ...]
    time_s: float
    eluted_mbq: float
    measured_mbq: float | None


def pools_of(elutions: Sequence[Elution]) -> tuple[Pool, ...]:
    """Add up the eluates that share a name of a pool, in order of their first elution.

    Parameters
    ----------
    elutions : in order of time
    """
    half_life = nuclide("Ga-68").half_life_s
    found = []
    for name in dict.fromkeys(e.entry.pool for e in elutions if e.entry.pool):
        own = [e for e in elutions if e.entry.pool == name]
        end = own[-1].time_s
        fade = [decay_factor(end - e.time_s, half_life) for e in own]
        measured = [e.entry.eluted_measured_mbq for e in own]
        known = [m for m in measured if m is not None]
        found.append(
            Pool(
                name=str(name), numbers=tuple(e.number for e in own), time_s=end,
                eluted_mbq=math.fsum(e.eluted_mbq * f for e, f in zip(own, fade, strict=True)),
                measured_mbq=math.fsum(m * f for m, f in zip(known, fade, strict=True)) if len(known) == len(own) else None,
            )
        )  # fmt: skip
    return tuple(found)
