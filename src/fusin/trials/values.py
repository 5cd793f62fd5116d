"""Cells of a patient table read as values that a rule can be compared with, or as an unknown with its reason.

Nothing is guessed: a number without a unit where two units are usual, a date that is not ISO, a word that is not in the
dictionary are unknown, and the reason says so. ``<60`` and ``>90`` are intervals, as laboratories print them.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeAlias

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.trials.fields import FieldSpec, field_spec, fields, normal, normal_unit

__all__ = ["Birth", "Event", "Names", "Patient", "Span", "Unknown", "Value", "column_map", "completed", "earlier"]

_MISSING = frozenset({"", "na", "n a", "nan", "none recorded", "unknown", "unk", "missing", "not known", "unbekannt"})
_YES = frozenset({"yes", "y", "true", "t", "1", "1.0", "ja", "j", "oui", "positive", "pos", "present", "done"})
_NO = frozenset({"no", "n", "false", "f", "0", "0.0", "nein", "non", "negative", "neg", "absent", "none", "never"})
_NEVER = _NO | {"not done"}
_NUMBER = re.compile(r"^(<=|>=|<|>|≤|≥)?\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(.*)$")
_HEADER = re.compile(r"^(.*?)\s*[\[(](.+)[\])]\s*$")


@dataclass(frozen=True, slots=True)
class Span:
    """A number in the field's canonical unit; an interval where only a bound is known."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False
    text: str = ""

    @property
    def exact(self) -> bool:
        """Whether it is one number."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Birth:
    """A date of birth."""

    on: date


@dataclass(frozen=True, slots=True)
class Event:
    """Whether something happened, and when; ``on`` is None for never and for an undated event."""

    happened: bool
    on: date | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Canonical choices, diagnoses or entries of a list."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that cannot be used, and why."""

    reason: str


Value: TypeAlias = Span | Birth | Event | Names | bool | Unknown


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table that carries a field: its name as written, and its unit ("" for none)."""

    name: str
    unit: str


def column_map(columns: Sequence[str], wanted: Sequence[str], log: NoticeLog) -> dict[str, tuple[Column, ...]]:
    """Find the columns of each wanted field, and tell which are missing and which are not used.

    Raises
    ------
    InputError
        When two columns have the same name but for case and spacing.
    """
    seen: dict[str, str] = {}
    found: dict[str, list[Column]] = {}
    for name in columns:
        text, unit = _header(str(name))
        if text in seen and not unit:
            raise InputError("patient table", "column", f"{seen[text]} and {name}", "each column once")
        seen.setdefault(text, str(name))
        for key, column_unit in _carried(text):
            found.setdefault(key, []).append(Column(str(name), unit or column_unit))
    used = {c.name for cols in found.values() for c in cols}
    for name in columns:
        if str(name) not in used and _header(str(name))[0] not in ("id", "patient_id", "patient"):
            log.info("TRIAL_COLUMN_UNUSED", f"column {name} is no field of the data dictionary", where=str(name))
    for key in dict.fromkeys(wanted):
        if key not in found and not (key == "age" and "birth_date" in found):
            log.warning("TRIAL_COLUMN_MISSING", f"no column for {key}: {field_spec(key).ask}", where=key)
    return {key: tuple(cols) for key, cols in found.items()}


def _header(name: str) -> tuple[str, str]:
    match = _HEADER.match(name)
    base, unit = (match.group(1), match.group(2)) if match else (name, "")
    return re.sub(r"[\s\-]+", "_", base.strip().casefold()), unit.strip()


def _carried(text: str) -> list[tuple[str, str]]:
    if text in ("birth_date", "date_of_birth", "dob"):
        return [("birth_date", "")]
    hits = [(spec.name, unit) for spec in fields().values() if (unit := spec.column_unit(text)) is not None]
    for ending in ("_date", "_unit"):
        base = text.removesuffix(ending)
        if text.endswith(ending) and not hits:
            hits += [(s.name + ending, "") for s in fields().values() if base in (s.name, *s.columns)]
    return hits


@dataclass(slots=True)
class Patient:
    """One row of the table, whose cells are read once each.

    Parameters
    ----------
    id : for notices
    row : cells by column name
    columns : from :func:`column_map`
    log : notices on cells that could not be used
    """

    id: str
    row: Mapping[str, object]
    columns: Mapping[str, tuple[Column, ...]]
    log: NoticeLog
    _read: dict[str, Value] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        """Return the value of a field, or why it is unknown."""
        if name not in self._read:
            self._read[name] = self._age() if name == "age" else self._value(field_spec(name))
        return self._read[name]

    def dated(self, name: str) -> date | Unknown:
        """Date that stands beside a field, in its column ``<field>_date``."""
        return self._date(name + "_date")

    def _date(self, key: str) -> date | Unknown:
        for column in self.columns.get(key, ()):
            cell = self.row[column.name]
            if not _is_missing(cell):
                return _as_date(cell) or self._doubt(column.name, cell, "no ISO date (YYYY-MM-DD)")
        return Unknown(f"{key} not recorded")

    def _age(self) -> Value:
        born = self._date("birth_date")
        stated = self._value(field_spec("age"))
        if isinstance(born, date):
            return Birth(born)
        return stated if "age" in self.columns else born

    def _value(self, spec: FieldSpec) -> Value:
        read: list[tuple[str, Value]] = []
        for column in self.columns.get(spec.name, ()):
            cell = self.row[column.name]
            if not _is_missing(cell):
                read.append((column.name, self._cell(spec, column, cell)))
        known = [(name, v) for name, v in read if not isinstance(v, Unknown)]
        if not read:
            return Unknown(f"{spec.name} not recorded")
        if not known:
            return read[0][1]
        if any(not _agree(v, known[0][1]) for _, v in known):
            names = " and ".join(name for name, _ in known)
            return self._doubt(names, [self.row[n] for n, _ in known], "columns that disagree")
        return known[0][1]

    def _cell(self, spec: FieldSpec, column: Column, cell: object) -> Value:
        if spec.kind == "number":
            return self._number(spec, column, cell)
        if spec.kind == "flag":
            flag = _as_flag(cell)
            return self._doubt(column.name, cell, "neither yes nor no") if flag is None else flag
        if spec.kind == "date":
            return self._event(column, cell)
        parts = re.split(r"[;|]", str(cell)) if spec.kind == "list" else [str(cell)]
        names = [spec.choice(part) for part in parts if part.strip()]
        if spec.kind == "list" and not spec.diagnosis and normal(str(cell)) in _NO:
            return Names(())
        if None in names or not names:
            return self._doubt(column.name, cell, f"not in the dictionary of {spec.name}")
        return Names(tuple(n for n in names if n))

    def _event(self, column: Column, cell: object) -> Value:
        if isinstance(cell, (str, bool)):
            if normal(str(cell)) in _NEVER:
                return Event(False)
            if normal(str(cell)) in _YES:
                return Event(True)
        on = _as_date(cell)
        if on is None:
            return self._doubt(column.name, cell, "neither an ISO date (YYYY-MM-DD) nor never")
        return Event(True, on)

    def _number(self, spec: FieldSpec, column: Column, cell: object) -> Value:
        match = _NUMBER.match(str(cell).strip())
        if isinstance(cell, bool) or match is None:
            return self._doubt(column.name, cell, "no number")
        sign, digits, written = match.groups()
        if re.match(r"^,\d", written):
            return self._doubt(column.name, cell, "a decimal comma")
        if written and column.unit and normal_unit(written) != normal_unit(column.unit):
            return self._doubt(column.name, cell, f"a unit other than that of the column ({column.unit})")
        unit = written or column.unit or self._unit_beside(spec)
        if not unit and spec.unit:
            if not spec.bare_unit:
                return self._doubt(column.name, cell, f"no unit ({spec.unit} and others are usual)")
            unit = spec.bare_unit
            # Years of age and mmHg have no rival in the dictionary: nothing is assumed there.
            if spec.units:
                message = f"column {column.name} has no unit; taken as {unit}"
                self.log.adapted("TRIAL_UNIT_ASSUMED", message, where=column.name, used=unit)
        factor = spec.factor(unit)
        if factor is None:
            return self._doubt(
                column.name, cell, f"{unit}, which cannot be converted to {spec.unit or 'a plain number'}"
            )
        number = float(digits) * factor
        if (spec.low is not None and number < spec.low) or (spec.high is not None and number > spec.high):
            return self._doubt(column.name, cell, "impossible")
        return _span(number, sign or "", f"{digits} {unit}".strip(), spec)

    def _unit_beside(self, spec: FieldSpec) -> str:
        for column in self.columns.get(spec.name + "_unit", ()):
            cell = self.row[column.name]
            if not _is_missing(cell):
                return str(cell)
        return ""

    def _doubt(self, column: str, cell: object, what: str) -> Unknown:
        message = f"patient {self.id}, {column}: {str(cell)[:60]!r} is {what}"
        self.log.warning("TRIAL_VALUE_UNUSABLE", message, where=f"patient {self.id}", raw=str(cell)[:60])
        return Unknown(f"{column} holds {str(cell)[:60]!r}: {what}")


def _span(number: float, sign: str, text: str, spec: FieldSpec) -> Span:
    if sign in ("<", "<=", "≤"):
        low = -math.inf if spec.low is None else spec.low
        return Span(low, number, high_open=sign == "<", text=f"{sign} {text}")
    if sign in (">", ">=", "≥"):
        high = math.inf if spec.high is None else spec.high
        return Span(number, high, low_open=sign == ">", text=f"{sign} {text}")
    return Span(number, number, text=text)


def _agree(a: Value, b: Value) -> bool:
    if isinstance(a, Span) and isinstance(b, Span):
        return math.isclose(a.low, b.low, rel_tol=1e-3) and math.isclose(a.high, b.high, rel_tol=1e-3)
    return a == b


def _is_missing(cell: object) -> bool:
    # The screening turns every NaN, NaT and NA of the table into None.
    return cell is None or (isinstance(cell, str) and normal(cell) in _MISSING)


def _as_flag(cell: object) -> bool | None:
    spellings = {str(cell).strip().casefold(), normal(str(cell))}
    if spellings & _YES:
        return True
    return False if spellings & _NO else None


def _as_date(cell: object) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    text = str(cell).strip()
    if not re.match(r"^\d{4}-\d{2}-\d{2}([T ].*)?$", text):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def earlier(day: date, amount: float, unit: str) -> date:
    """Return the day that lies ``amount`` units before another one; months and years on the calendar.

    The last day of a month stays the last one where the earlier month is shorter: 31 May less 3 months is 29 February
    in a leap year.
    """
    if unit in ("days", "weeks"):
        return day - timedelta(days=amount * (7 if unit == "weeks" else 1))
    months = day.year * 12 + day.month - 1 - int(amount) * (12 if unit == "years" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def completed(born: date, day: date, unit: str) -> int:
    """Completed units from a birth date to a day; a birthday on 29 February is reached on 1 March in other years."""
    if unit in ("days", "weeks"):
        return (day - born).days // (7 if unit == "weeks" else 1)
    months = (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)
    return months // 12 if unit == "years" else months
