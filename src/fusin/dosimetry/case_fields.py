"""Fields of a case that people write as TOML, checked one by one; a field that nothing asks for is refused by its name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from fusin.dosimetry.organs import log_normal
from fusin.errors import InputError
from fusin.stats.results import Estimate
from fusin.tabular.toml_fields import TomlFields, read_toml, shown

__all__ = ["CaseFields", "estimate_from", "read_case"]


def read_case(path: Path) -> CaseFields:
    """The document of a TOML file.

    Raises
    ------
    InputError
        For a missing file, text that is not UTF-8 and text that is no TOML, with the line.
    """
    return CaseFields(read_toml(path), path.name)


def estimate_from(
    value: float, *, low: float | None, high: float | None, u_percent: float | None, where: str, field: str,
    level: float = 0.95,
) -> Estimate:  # fmt: skip
    """A number with the interval that was stated with it: limits, a relative standard uncertainty, or none.

    Raises
    ------
    InputError
        For one limit without the other, limits and a percentage together, or limits on one side of the value.
    """
    if (low is None) != (high is None):
        raise InputError(
            where, f"{field}_low and {field}_high", low if high is None else high, "both limits, or neither"
        )
    if low is not None and u_percent is not None:
        raise InputError(where, field, "limits and a percentage", "one statement of the uncertainty")
    if low is not None and high is not None:
        if not low <= value <= high:
            raise InputError(where, field, f"{value:g} with {low:g} to {high:g}", "limits on both sides of the value")
        return Estimate(value=value, low=low, high=high, method="stated", n=1, level=level)
    if u_percent is None:
        return Estimate(
            value=value, low=None, high=None, method="stated", n=1, level=level, note="no uncertainty stated"
        )
    return log_normal(value, u_percent / 100.0, level=level, n=1, method="stated standard uncertainty, log-normal")


class CaseFields(TomlFields):
    """One table of a TOML document; see :class:`fusin.tabular.toml_fields.TomlFields`."""

    def names(self) -> tuple[str, ...]:
        """Names of the fields that are there."""
        return tuple(self._values)

    def needed(self, name: str, **limits: float) -> float:
        """A number that has to be there; see `number`."""
        value = self.number(name, **limits)
        if value is None:
            raise InputError(self.where, name, "nothing", "a number")
        return value

    def text(self, name: str, *, required: bool = False) -> str:
        """Text, empty when absent; see ``stated_text``."""
        return self.stated_text(name, required=required)

    def flag(self, name: str) -> bool | None:
        """True, False, or None when absent."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise InputError(self.where, name, shown(value), "true or false")
        return value

    def day(self, name: str) -> dt.date | None:
        """An ISO date, or None when absent.

        Raises
        ------
        InputError
            For a date in another order, which would be a guess.
        """
        value = self.take(name)
        if value is None or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
            return value
        if isinstance(value, dt.datetime):
            return value.date()
        try:
            return dt.date.fromisoformat(str(value)[:10])
        except ValueError as err:
            raise InputError(self.where, name, shown(value), "an ISO date such as 2026-01-31") from err

    def estimate(self, name: str, *, zero: bool = False) -> Estimate | None:
        """A number with ``NAME_low`` and ``NAME_high``, or ``NAME_u_percent``, or neither; None when absent.

        Raises
        ------
        InputError
            See `estimate_from`, and for a value that is not positive (or negative, where 0 is an answer).
        """
        value = self.number(name, least=0.0) if zero else self.number(name, above=0.0)
        low, high = self.number(f"{name}_low", least=0.0), self.number(f"{name}_high", least=0.0)
        u_percent = self.number(f"{name}_u_percent", least=0.0)
        if value is None:
            stated = [n for n, v in (("low", low), ("high", high), ("u_percent", u_percent)) if v is not None]
            if stated:
                raise InputError(self.where, f"{name}_{stated[0]}", "an uncertainty", f"{name} itself")
            return None
        return estimate_from(value, low=low, high=high, u_percent=u_percent, where=self.where, field=name)

    def table(self, name: str) -> CaseFields | None:
        """A table below this one, or None when absent."""
        value = self.take(name)
        return None if value is None else CaseFields(value, f"{self.where}, {name}")

    def tables(self, name: str) -> Iterator[CaseFields]:
        """Tables of an array of tables, with where each stands."""
        value = self.take(name)
        for number, one in enumerate(value if isinstance(value, list) else [] if value is None else [value], start=1):
            yield CaseFields(one, f"{self.where}, {name} {number}")

    def file(self, name: str, folder: Path) -> Path | None:
        """A file beside the case that its text names, or None when absent or no text."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return None
        self._asked.add(name)
        return folder / value
