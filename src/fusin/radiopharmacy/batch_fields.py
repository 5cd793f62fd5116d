"""Fields of a batch record: decimals as written, times with or without a zone, and no key that nobody asked for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.limits import convert

__all__ = ["BatchFields", "Clock"]

_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_ACTIVITY = {
    "activity_mbq": "MBq",
    "activity_gbq": "GBq",
    "activity_kbq": "kBq",
    "activity_bq": "Bq",
    "activity_mci": "mCi",
}


class Clock:
    """Remembers whether times have a zone; a record never mixes the two."""

    def __init__(self) -> None:
        self._first: tuple[bool, str] | None = None

    def check(self, value: datetime, where: str, field: str) -> datetime:
        """The time, when it has a zone like those before it.

        Raises
        ------
        InputError
            When one time has a zone and another has none.
        """
        zoned = value.utcoffset() is not None
        if self._first is None:
            self._first = (zoned, f"{where}: {field}")
        if zoned != self._first[0]:
            need = "a UTC offset" if not zoned else "no UTC offset"
            raise InputError(where, field, value.isoformat(), f"{need}, as {self._first[1]}: times are never mixed")
        return value


class BatchFields:
    """One table of a batch record.

    Parameters
    ----------
    values : the table
    where : file and table for messages
    clock : of the whole record
    log : receives a notice for each decimal comma
    """

    def __init__(self, values: Any, where: str, clock: Clock, log: NoticeLog) -> None:
        if not isinstance(values, Mapping):
            raise InputError(where, "table", type(values).__name__, "a table of fields")
        self.where, self._values, self._clock, self._log = where, dict(values), clock, log
        self._asked: set[str] = set()

    def take(self, name: str) -> Any:
        """The value as it stands, or None."""
        self._asked.add(name)
        return self._values.get(name)

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return name in self._values

    def text(self, name: str, *, required: bool = False) -> str:
        """Text (a whole number counts as its digits); empty when absent.

        Raises
        ------
        InputError
            For another type, and when it is required and absent.
        """
        value = self.take(name)
        if isinstance(value, bool) or not (value is None or isinstance(value, (str, int))):
            raise InputError(self.where, name, _shown(value), "text in quotes")
        found = "" if value is None else str(value).strip()
        if required and not found:
            raise InputError(self.where, name, "nothing", "text")
        return found

    def number(
        self, name: str, *, required: bool = False, positive: bool = True, signed: bool = False
    ) -> Decimal | None:
        """A number with the digits that were written, or None when absent.

        Raises
        ------
        InputError
            For text, a comma that may separate thousands, and a sign or a zero that cannot be.
        """
        value = self.take(name)
        if value is None:
            if required:
                raise InputError(self.where, name, "nothing", "a number")
            return None
        number = self._decimal(value, name)
        if not signed and (number < 0 or (positive and number == 0)):
            raise InputError(
                self.where, name, str(number), "a positive number" if positive else "zero or a positive number"
            )
        return number

    def numbers(self, name: str) -> tuple[Decimal, ...]:
        """A list of numbers, empty when absent."""
        values = self.take(name)
        if values is None:
            return ()
        if not isinstance(values, list):
            raise InputError(self.where, name, _shown(values), "a list of numbers such as [511, 1077]")
        return tuple(self._decimal(v, name) for v in values)

    def activity_mbq(self, *, required: bool = True, positive: bool = False) -> Decimal | None:
        """The activity under the name of its unit (``activity_mbq``, ``activity_gbq``, ``activity_mci`` ...) [MBq].

        Raises
        ------
        InputError
            For none, several, or an activity without its unit.
        """
        given = [name for name in _ACTIVITY if self.has(name)]
        if self.has("activity"):
            raise InputError(
                self.where, "activity", _shown(self.take("activity")), "its unit: " + " or ".join(_ACTIVITY)
            )
        if len(given) > 1:
            raise InputError(self.where, given[1], "a second activity", f"one of {', '.join(given)}")
        if not given:
            if required:
                raise InputError(self.where, "activity_mbq", "nothing", "the activity with its unit in the name")
            return None
        number = self.number(given[0], required=True, positive=positive)
        assert number is not None
        return convert(number, _ACTIVITY[given[0]], "MBq", where=self.where, field=given[0])

    def time(self, name: str, *, required: bool = False, why: str = "an ISO date and time") -> datetime | None:
        """A moment, or None when absent.

        Raises
        ------
        InputError
            For a day alone, a time of day alone, other notations, and a zone where others have none.
        """
        value = self.take(name)
        if value is None or value == "":
            if required:
                raise InputError(self.where, name, "nothing", why)
            return None
        found = _moment(value)
        if found is None:
            raise InputError(self.where, name, _shown(value), "an ISO date and time such as 2026-03-02T08:15")
        return self._clock.check(found, self.where, name)

    def day(self, name: str, *, required: bool = False) -> date | datetime | None:
        """A day, through which something is good, or a moment; None when absent.

        Raises
        ------
        InputError
            For other notations; 03/04/2026 has two readings.
        """
        value = self.take(name)
        if value is None or value == "":
            if required:
                raise InputError(self.where, name, "nothing", "an ISO date such as 2026-12-31")
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
            try:
                return date.fromisoformat(value.strip())
            except ValueError as err:
                raise InputError(self.where, name, value, "an ISO date such as 2026-12-31") from err
        found = _moment(value)
        if found is None:
            raise InputError(self.where, name, _shown(value), "an ISO date such as 2026-12-31")
        return self._clock.check(found, self.where, name)

    def below(self, name: str) -> BatchFields:
        """A table inside of this one; empty when absent."""
        value = self.take(name)
        return BatchFields({} if value is None else value, f"{self.where}: {name}", self._clock, self._log)

    def tables(self, name: str) -> list[BatchFields]:
        """Tables written as ``[[name]]``; one ``[name]`` counts as a list of one."""
        value = self.take(name)
        listed = [] if value is None else value if isinstance(value, list) else [value]
        return [
            BatchFields(one, f"{self.where}: {name} {number}", self._clock, self._log)
            for number, one in enumerate(listed, start=1)
        ]

    def rename(self, label: str) -> None:
        """Name the table by what it is about instead of by its number."""
        self.where = f"{self.where.rpartition(' ')[0]} {label}"

    def finish(self) -> None:
        """Refuse keys that nothing asked for: a misspelt limit must not vanish.

        Raises
        ------
        InputError
            With the nearest key that exists.
        """
        for name in self._values:
            if name not in self._asked:
                near = difflib.get_close_matches(name, sorted(self._asked), n=1, cutoff=0.6)
                known = f"{near[0]} instead" if near else "one of " + ", ".join(sorted(self._asked))
                raise InputError(self.where, "key", name, known + " (free remarks belong into [notes])")

    def _decimal(self, value: Any, name: str) -> Decimal:
        comma = isinstance(value, str) and bool(re.fullmatch(r"\s*[+-]?\d+,\d+\s*", value))
        if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
            raise InputError(self.where, name, _shown(value), "a number")
        if comma and _THOUSANDS.fullmatch(str(value).strip()):
            raise InputError(
                self.where, name, value, "a decimal point; the comma could be decimal or separate thousands"
            )
        try:
            number = Decimal(str(value).strip().replace(",", ".") if comma else str(value).strip())
        except InvalidOperation as err:
            raise InputError(self.where, name, _shown(value), "a plain number; the unit stands in the name") from err
        if not number.is_finite() or abs(number) > Decimal("1e30") or (number and abs(number) < Decimal("1e-30")):
            raise InputError(self.where, name, str(value), "a finite number")
        if comma:
            self._log.adapted(
                "BATCH_DECIMAL_COMMA", f"{name}: {value} was read with a decimal comma", where=self.where, raw=value,
                used=str(number),
            )  # fmt: skip
        return number


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value.strip()) <= len("2026-01-31"):
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _shown(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return type(value).__name__
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)[:60]
