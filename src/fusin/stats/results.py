"""What every statistical function gives back: an estimate with its interval, or a test with its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusin.provenance import jsonable

__all__ = ["Estimate", "TestResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number that never stands without its interval.

    Attributes
    ----------
    value : the estimate; None when the data cannot give one (0 of 0)
    low, high : limits of the interval; None when there are none, and ``note`` says why
    level : confidence level
    method : name of the method that gave the interval
    n : number of independent units behind it
    k : number of events, for a proportion
    note : a restriction that a reader must know
    """

    value: float | None
    low: float | None
    high: float | None
    method: str
    n: int
    k: int | None = None
    level: float = 0.95
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A p-value that never stands without its test.

    Attributes
    ----------
    test : name of the test and its variant
    p : two-sided unless ``alternative`` says otherwise; None when the data cannot give one
    statistic : value of the test statistic, None for exact tests without one
    df : degrees of freedom where the test has them
    n : number of units compared
    alternative : ``"two-sided"``, ``"less"`` or ``"greater"``
    note : what a reader must know (ties, zeros dropped, normal approximation)
    details : further numbers by name
    """

    __test__ = False  # the name is the field's own; pytest must not collect it

    test: str
    p: float | None
    n: int
    statistic: float | None = None
    df: float | None = None
    alternative: str = "two-sided"
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}
