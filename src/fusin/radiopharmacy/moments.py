"""Moments of a day in the radiopharmacy: read from ISO text, kept as seconds from one origin, shown as they came.

Relative times are minutes from the reference of the activity. Clock times have all a zone or all none; which of the two is
never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from fusin.decay import elapsed_s
from fusin.errors import InputError

__all__ = ["Clock", "Moment", "clock_of", "day_of", "moment"]

Moment = datetime | float
"""A clock time, or minutes after the reference of the activity."""

# A vial lives hours and a generator years; a larger distance is a wrong year, and would overflow a decay factor.
_FARTHEST_S = 100.0 * 365.25 * 86400.0


def moment(value: Any, where: str, field: str) -> datetime:
    """A date with a time of day, from ISO 8601 text or from a value of TOML.

    Raises
    ------
    InputError
        For a day without time, a time without day, and 03/04/2026 08:00, which has two readings.
    """
    needed = "an ISO date with time such as 2026-01-31T08:05"
    if isinstance(value, datetime):
        return value
    text = str(value).strip()
    if re.fullmatch(r"-?\d+([.,]\d+)?", text):
        needed += "; minutes have fields of their own, whose names end in _min"
    elif re.match(r"\d{1,2}([/.-])\d{1,2}\1\d{2}", text):
        needed += "; of other dates it is not known which number is the month"
    if not isinstance(value, str) or len(text) <= len("2026-01-31"):
        raise InputError(where, field, _plain(value), needed)
    try:
        return datetime.fromisoformat(text)
    except ValueError as err:
        raise InputError(where, field, value, needed) from err


def day_of(value: Any) -> date | None:
    """The day, where a value is an ISO date without a time of day; None for anything else."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value.strip()) if len(value.strip()) <= len("2026-01-31") else None
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


@dataclass(frozen=True, slots=True)
class Clock:
    """What second 0 is: a clock time, or nothing but the reference of the activity.

    Attributes
    ----------
    origin : clock time of second 0; None for relative times
    """

    origin: datetime | None = None

    def seconds(self, value: Moment, where: str, field: str) -> float:
        """Seconds from the origin.

        Raises
        ------
        InputError
            For a clock time where times are relative, the zone missing or given against the others, and a
            distance of more than a hundred years.
        """
        if isinstance(value, datetime):
            if self.origin is None:
                raise InputError(
                    where, field, value.isoformat(), "minutes, as the other times, or clock times throughout"
                )
            if (value.utcoffset() is None) != (self.origin.utcoffset() is None):
                needed = (
                    "a UTC offset, as the other times have"
                    if value.utcoffset() is None
                    else "no UTC offset, as the others"
                )
                raise InputError(where, field, value.isoformat(), needed)
            found = elapsed_s(self.origin, value)
        else:
            found = 60.0 * value
        if not abs(found) <= _FARTHEST_S:
            shown = value.isoformat() if isinstance(value, datetime) else value
            raise InputError(where, field, shown, "a time within a hundred years of the others")
        return found

    def json(self, seconds: float | None) -> str | float | None:
        """ISO text with the zone of the origin, or minutes; None where there is no such time."""
        if seconds is None or not math.isfinite(seconds):
            return None
        if self.origin is None:
            return float(f"{seconds / 60.0:.9g}")
        at = self._at(seconds)
        return None if at is None else at.isoformat()

    def text(self, seconds: float | None, *, day: bool = True) -> str:
        """For people: ``2026-01-31 08:05``, ``08:05``, or ``20.5 min``; a dash where there is no such time."""
        if seconds is None or not math.isfinite(seconds):
            return "—"
        if self.origin is None:
            return f"{seconds / 60.0:.1f} min"
        at = self._at(float(round(seconds)))
        if at is None:
            return "—"
        # A minute is 1 % of 68Ga, so that seconds are shown where there are any.
        return at.strftime(("%Y-%m-%d " if day else "") + ("%H:%M:%S" if at.second else "%H:%M"))

    def _at(self, seconds: float) -> datetime | None:
        """The clock time; None beyond the calendar, where doses of long-lived nuclides would still be enough."""
        assert self.origin is not None
        try:
            return (self.origin + timedelta(seconds=round(seconds, 3))).replace(tzinfo=self.origin.tzinfo)
        except OverflowError:
            return None


def clock_of(values: Iterable[Moment]) -> Clock:
    """Clock of the first clock time among the values; relative when there is none."""
    return Clock(next((v for v in values if isinstance(v, datetime)), None))
