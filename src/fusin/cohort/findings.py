"""Findings of the consistency checks, and printed numbers with the interval that rounding leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from fusin.errors import InputError
from fusin.provenance import jsonable
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FINDING_COLUMNS", "ConsistencyReport", "Finding", "FindingSeverity", "Printed", "ranked"]

FindingSeverity = Literal["ok", "note", "suspect", "conflict"]

FINDING_COLUMNS = (
    Column("severity", "string", "ok, note (worth knowing), suspect (may have a reason), conflict (cannot be so)"),
    Column("check", "string", "name of the check"),
    Column("claim", "string", "name of the published claim"),
    Column("sentence", "string", "what was found, with the numbers"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Result of one check on one claim.

    Attributes
    ----------
    check : name of the check
    claim : what was checked
    severity : ``ok``; ``note``; ``suspect`` (unlikely, but a method or rounding could explain it); ``conflict`` (the
        printed numbers cannot all be right)
    sentence : with the numbers
    values : computed numbers by name
    """

    check: str
    claim: str
    severity: FindingSeverity
    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyReport:
    """All findings on one set of claims."""

    title: str
    findings: tuple[Finding, ...]

    @property
    def flagged(self) -> tuple[Finding, ...]:
        """Findings that a reader has to look at."""
        return tuple(f for f in self.findings if f.severity in ("suspect", "conflict"))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "title": self.title,
            "checked": len(self.findings),
            "flagged": len(self.flagged),
            "findings": [f.to_json() for f in self.findings],
        }

    def to_table(self) -> pd.DataFrame:
        """One row per finding; columns as in ``FINDING_COLUMNS``."""
        return to_frame([f.to_json() for f in self.findings], FINDING_COLUMNS)


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as printed, with the half unit of its last digit.

    Attributes
    ----------
    value : the number
    half_unit : half of the last printed place; the number behind it lies within value +- half_unit
    text : as printed
    """

    value: float
    half_unit: float
    text: str

    @classmethod
    def parse(cls, value: object, *, where: str, field: str) -> Printed:
        """Read a printed number; text keeps its trailing zeros, a float has the digits of its shortest form.

        Raises
        ------
        InputError
            When it is no finite number.
        """
        text = str(value).strip()
        try:
            number = Decimal(text)
        except InvalidOperation as err:
            raise InputError(where, field, value, "a number, as text to keep trailing zeros") from err
        if isinstance(value, bool) or not number.is_finite():
            raise InputError(where, field, value, "a finite number")
        exponent = number.as_tuple().exponent
        if isinstance(value, float) and number == number.to_integral_value():
            # TOML and CSV turn 2 into 2.0; the zero was not printed by anybody.
            exponent = 0
        places = exponent if isinstance(exponent, int) else 0
        return cls(float(number), float(Decimal(1).scaleb(places) / 2), text)

    @property
    def low(self) -> float:
        """Smallest number that rounds to the printed one."""
        return self.value - self.half_unit

    @property
    def high(self) -> float:
        """Largest number that rounds to the printed one."""
        return self.value + self.half_unit

    def admits(self, value: float, *, slack: float = 1e-9) -> bool:
        """Whether a computed value rounds to the printed one, ties rounded either way."""
        return self.low - slack <= value <= self.high + slack


def ranked(title: str, findings: Iterable[Finding]) -> ConsistencyReport:
    """Findings in the order of their severity, the worst first; order within one severity is kept."""
    rank = {"conflict": 0, "suspect": 1, "note": 2, "ok": 3}
    return ConsistencyReport(title=title, findings=tuple(sorted(findings, key=lambda f: rank[f.severity])))
