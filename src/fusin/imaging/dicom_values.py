"""Reading DICOM values as scanners and exports really write them."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta, timezone

__all__ = [
    "clean_text",
    "combine",
    "has_clock",
    "on_clock",
    "parse_da",
    "parse_dt",
    "parse_number",
    "parse_numbers",
    "parse_tm",
    "parse_zone",
]

_DATE = re.compile(r"^(\d{4})[-./]?(\d{2})[-./]?(\d{2})$")
_TIME = re.compile(r"^(\d{2}):?(\d{2})?:?(\d{2})?(?:[.,](\d+))?$")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})$")


def clean_text(value: bytes | str | None) -> str:
    """Text without the padding and null bytes that DICOM values carry."""
    if value is None:
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.strip(" \0\t\r\n")


def parse_da(text: str) -> date | None:
    """Date from DA text; ``2025.01.01`` and ``2025-01-01`` occur and are read; None when it is no date."""
    found = _DATE.match(clean_text(text))
    if not found:
        return None
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        return None


def parse_tm(text: str) -> time | None:
    """Time of day from TM text (``0928``, ``09:28:00``, any number of fraction digits); None when it is no time.

    A leap second (``235960``) is read as ``235959``, the latest time Python can hold.
    """
    found = _TIME.match(clean_text(text))
    if not found:
        return None
    hour, minute, second, fraction = found.groups()
    micro = int(((fraction or "") + "000000")[:6])
    try:
        return time(
            int(hour), int(minute or 0), min(int(second or 0), 59) if second == "60" else int(second or 0), micro
        )
    except ValueError:
        return None


def parse_dt(text: str) -> datetime | None:
    """Date and time from DT text; aware when the text carries a UTC offset; None when no full date is there."""
    cleaned = clean_text(text)
    zone: timezone | None = None
    offset = _OFFSET.search(cleaned)
    if offset and offset.start() >= 8:
        sign = -1 if offset.group(1) == "-" else 1
        hours, minutes = int(offset.group(2)), int(offset.group(3))
        if hours > 14 or minutes > 59:
            return None
        zone = timezone(sign * timedelta(hours=hours, minutes=minutes))
        cleaned = cleaned[: offset.start()]
    cleaned = cleaned.replace("T", "").replace(" ", "")
    if "-" in cleaned or cleaned[4:5] in ("-", ".", "/"):
        day, clock = parse_da(cleaned[:10]), cleaned[10:]
    else:
        day, clock = parse_da(cleaned[:8]), cleaned[8:]
    if day is None:
        return None
    moment = parse_tm(clock) if clock else time(0)
    if moment is None:
        return None
    return datetime.combine(day, moment, tzinfo=zone)


def has_clock(text: str) -> bool:
    """Whether a DT text holds a time of day beside its date."""
    cleaned = clean_text(text)
    offset = _OFFSET.search(cleaned)
    digits = re.sub(r"\D", "", cleaned[: offset.start()] if offset and offset.start() >= 8 else cleaned)
    return len(digits) > 8


def parse_zone(text: str) -> timezone | None:
    """UTC offset such as ``+0100``, None when it is none."""
    probe = parse_dt(f"20000101000000{clean_text(text)}") if clean_text(text) else None
    return probe.tzinfo if probe is not None and isinstance(probe.tzinfo, timezone) else None


def on_clock(text: str, zone: timezone | None) -> datetime | None:
    """DT text as a naive moment on the scanner's clock.

    A moment with a UTC offset is moved to ``zone`` where that is known; otherwise its clock time is taken as written,
    because scanners write all their times on one clock.
    """
    moment = parse_dt(text)
    if moment is None or moment.tzinfo is None:
        return moment
    return (moment if zone is None else moment.astimezone(zone)).replace(tzinfo=None)


def combine(day: str, clock: str) -> datetime | None:
    """Naive datetime from DA and TM text, None when either is unreadable."""
    d, t = parse_da(day), parse_tm(clock)
    return datetime.combine(d, t) if d is not None and t is not None else None


def parse_number(text: str) -> float | None:
    """Finite number from DS or IS text; None when there is none (``1,5`` is not guessed to be ``1.5``)."""
    cleaned = clean_text(text)
    try:
        value = float(cleaned)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_numbers(text: str) -> tuple[float, ...]:
    """Numbers of a backslash-separated value; empty when any part is unreadable."""
    cleaned = clean_text(text)
    if not cleaned:
        return ()
    parts = [parse_number(part) for part in cleaned.split("\\")]
    return () if None in parts else tuple(p for p in parts if p is not None)
