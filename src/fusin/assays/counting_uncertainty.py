"""A number with the named sources of its uncertainty, so that what two numbers share is never counted twice.

Each source contributes one signed term, derivative times standard uncertainty. Sums, products and quotients add these terms
source by source, which is first-order propagation with all covariances (JCGM 100:2008, 5.2): the membrane and the internalised
fraction of a well share their total, and tissues of one animal share their standard.

Limits of the counts of a tube are those of the Poisson score test, N + z^2/2 -+ z sqrt(N + z^2/4); the other sources are
symmetric. They are joined by recovering variances from both sides (Zou, Donner, Stat Med 2008;27:1693)::

    low = x - sqrt(sum (x_i - l_i)^2)        high = x + sqrt(sum (u_i - x_i)^2)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fusin.errors import InvalidValue
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["INTERVAL", "Measured", "Source", "counted", "covariance", "exact", "mean_of", "measured", "summed"]

INTERVAL = "propagated, score limits of the counts"
"""Name of the interval of a single measurement."""


@dataclass(frozen=True, slots=True)
class Source:
    """One reason why a number is uncertain.

    Attributes
    ----------
    kind : what it is (``counting``, ``background``, ``weighing``, ``half-life`` ...)
    name : whose it is (a tube, a balance, a nuclide); equal kind and name are one and the same error
    counts : number of counts behind it, None when it is no Poisson number
    """

    kind: str
    name: str
    counts: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A value with the signed terms of its uncertainty.

    Attributes
    ----------
    value : in the unit of its name
    parts : derivative times standard uncertainty, by source
    complete : False when a source is known to be missing (a rate without its counts), so that no interval is given
    """

    value: float
    parts: Mapping[Source, float] = field(default_factory=dict)
    complete: bool = True

    @property
    def u(self) -> float | None:
        """Standard uncertainty; None when a source is missing."""
        return math.hypot(*self.parts.values()) if self.complete else None

    def __add__(self, other: Measured) -> Measured:
        """Sum."""
        return _joined(self.value + other.value, (1.0, self), (1.0, other))

    def __sub__(self, other: Measured) -> Measured:
        """Difference; a negative one stays negative."""
        return _joined(self.value - other.value, (1.0, self), (-1.0, other))

    def __mul__(self, other: Measured) -> Measured:
        """Product."""
        return _joined(self.value * other.value, (other.value, self), (self.value, other))

    def __truediv__(self, other: Measured) -> Measured:
        """Quotient.

        Raises
        ------
        InvalidValue
            For a denominator of 0.
        """
        if other.value == 0.0:
            raise InvalidValue(
                "a quotient", "the denominator is 0", "a denominator that was measured", "ZERO_DENOMINATOR"
            )
        quotient = self.value / other.value
        return _joined(quotient, (1.0 / other.value, self), (-quotient / other.value, other))

    def scaled(self, factor: float) -> Measured:
        """Product with an exact number."""
        return _joined(self.value * factor, (factor, self))

    def variance_shares(self) -> dict[str, float]:
        """Share of the variance by kind of source, the largest first; empty without uncertainty."""
        found: dict[str, float] = {}
        for source, part in self.parts.items():
            found[source.kind] = found.get(source.kind, 0.0) + part**2
        total = sum(found.values())
        return {k: v / total for k, v in sorted(found.items(), key=lambda kv: -kv[1])} if total else {}

    def limits(self, level: float = 0.95) -> tuple[float, float] | None:
        """Limits of the value; None when a source is missing."""
        if not self.complete:
            return None
        z = normal_quantile(level)
        down = up = 0.0
        for source, part in self.parts.items():
            below, above = _half_widths(source, z)
            down += (part * (below if part > 0 else above)) ** 2
            up += (part * (above if part > 0 else below)) ** 2
        return self.value - math.sqrt(down), self.value + math.sqrt(up)

    def estimate(self, level: float = 0.95) -> Estimate:
        """The value with its interval, as results are handed over; n is 1, for one object was measured."""
        limits = self.limits(level)
        note = "" if limits else "no interval: the counts behind the rate are not known"
        low, high = limits or (None, None)
        return Estimate(value=self.value, low=low, high=high, method=INTERVAL, n=1, level=level, note=note)


def _half_widths(source: Source, z: float) -> tuple[float, float]:
    """Distances of the limits in standard uncertainties, downwards and upwards."""
    if source.counts is None:
        return z, z
    n, unit = source.counts, math.sqrt(max(source.counts, 1.0))
    half = z * math.sqrt(n + z * z / 4.0)
    return (half - z * z / 2.0) / unit, (half + z * z / 2.0) / unit


def _joined(value: float, *terms: tuple[float, Measured]) -> Measured:
    parts: dict[Source, float] = {}
    for derivative, term in terms:
        for source, part in term.parts.items():
            parts[source] = parts.get(source, 0.0) + derivative * part
    return Measured(value, parts, all(t.complete for _, t in terms))


def exact(value: float) -> Measured:
    """A number without uncertainty."""
    return Measured(float(value))


def measured(value: float, u: float, kind: str, name: str) -> Measured:
    """A number with one source of uncertainty.

    Raises
    ------
    InvalidValue
        For an uncertainty that is negative or not finite.
    """
    if not (math.isfinite(u) and u >= 0.0):
        raise InvalidValue(
            f"{kind} of {name}", f"its uncertainty is {u}", "zero or a positive number", "BAD_UNCERTAINTY"
        )
    return Measured(float(value), {Source(kind, name): float(u)} if u else {})


def counted(counts: float, name: str) -> Measured:
    """A number of counts with its Poisson uncertainty, the square root; 1 for no counts at all."""
    return Measured(float(counts), {Source("counting", name, float(counts)): math.sqrt(max(counts, 1.0))})


def summed(values: Iterable[Measured]) -> Measured:
    """Sum of several numbers."""
    listed = list(values)
    return _joined(math.fsum(v.value for v in listed), *((1.0, v) for v in listed))


def mean_of(values: Iterable[Measured]) -> Measured:
    """Arithmetic mean of at least one number."""
    listed = list(values)
    return summed(listed).scaled(1.0 / len(listed))


def covariance(first: Measured, second: Measured) -> float:
    """Covariance of two numbers by the sources that they share."""
    return math.fsum(part * second.parts.get(source, 0.0) for source, part in first.parts.items())
