"""Dates and times of counter files: ISO 8601 always, other orders only when somebody declares them."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Literal, get_args

from fusin.errors import Ambiguous, InputError

__all__ = ["DATE_ORDERS", "DateOrder", "after_midnight", "parse_clock", "parse_time", "same_zone"]

DateOrder = Literal["iso", "day-first", "month-first"]
DATE_ORDERS: tuple[str, ...] = get_args(DateOrder)

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?\s*([AaPp]\.?[Mm]\.?)?")
_NUMBERS = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})(?:[ T,]+(.+))?")
_SHORT_YEAR = re.compile(r"\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2}(?!\d)")
_ISO = re.compile(r"(\d{4})[/\-.](\d{2})[/\-.](\d{2})(.*)", re.DOTALL)


def parse_clock(text: str, where: str, field: str) -> time:
    """Time of day, with AM or PM where it is written.

    Raises
    ------
    InputError
        For what is no time of day.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found:
        hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
        half = (found[5] or "").replace(".", "").lower()
        if half and not 1 <= hour <= 12:
            raise InputError(where, field, text, "an hour from 1 to 12 before AM or PM")
        if half:
            hour = hour % 12 + (12 if half == "pm" else 0)
        micro = int((found[4] or "0").ljust(6, "0"))
        if hour < 24 and minute < 60 and second < 60:
            return time(hour, minute, second, micro)
    raise InputError(where, field, text, "a time of day such as 14:05:30")


def parse_time(text: str, where: str, field: str, *, order: str | None) -> datetime:
    """Date and time.

    Parameters
    ----------
    text : ISO 8601 with or without zone, or day, month and year in the declared order
    where, field : for messages
    order : ``iso``, ``day-first``, ``month-first``, or None when nobody declared one

    Raises
    ------
    Ambiguous
        For a date such as 03/04/2026 without a declared order.
    InputError
        For a date that does not exist or has no year of four digits.
    """
    text = text.strip()
    if _ISO.fullmatch(text):
        iso = re.sub(r"^(\d{4})[/.](\d{2})[/.](\d{2})", r"\1-\2-\3", text)
        if len(iso) <= 10:
            raise InputError(where, field, text, "a date with its time of day, such as 2026-01-31T14:05:30")
        try:
            return datetime.fromisoformat(iso)
        except ValueError as err:
            needed = "a date that exists, and a time such as 2026-01-31T14:05:30"
            raise InputError(where, field, text, needed) from err
    found = _NUMBERS.fullmatch(text)
    if not found:
        if _SHORT_YEAR.match(text):
            raise InputError(where, field, text, "a year of four digits")
        raise InputError(where, field, text, "a date and time such as 2026-01-31T14:05:30")
    if order not in ("day-first", "month-first"):
        raise Ambiguous(
            f"the time of {where}", f"{field} is {text!r} and nobody declared the order of day and month",
            "day-first or month-first (--date-order, or date_order in the column map)", "DATE_ORDER",
        )  # fmt: skip
    day, month = (int(found[1]), int(found[2])) if order == "day-first" else (int(found[2]), int(found[1]))
    if not found[4]:
        raise InputError(where, field, text, "a date with its time of day")
    clock = parse_clock(found[4], where, field)
    try:
        return datetime.combine(date(int(found[3]), month, day), clock)
    except ValueError as err:
        raise InputError(where, field, text, f"a date that exists, read {order}") from err


def same_zone(times: list[tuple[str, datetime | None]]) -> None:
    """Refuse times of which some have a zone and others none, because their distance would be a guess.

    Raises
    ------
    InputError
        Naming one of each.
    """
    zoned = [(w, t) for w, t in times if t is not None and t.utcoffset() is not None]
    plain = [(w, t) for w, t in times if t is not None and t.utcoffset() is None]
    if zoned and plain:
        raise InputError(
            plain[0][0],
            "time zone",
            f"{plain[0][1].isoformat()} beside {zoned[0][1].isoformat()} ({zoned[0][0]})",
            "all times with a UTC offset, or all without",
        )


def after_midnight(clock: time, day: date, previous: datetime | None) -> datetime:
    """Moment of a clock time on a day, or on the next one when it would lie more than 12 h before the one before it."""
    found = datetime.combine(day, clock)
    while previous is not None and previous - found > timedelta(hours=12):
        found += timedelta(days=1)
    return found
