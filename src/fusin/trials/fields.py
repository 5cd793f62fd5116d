"""The data dictionary of a screening: what each field means, which columns carry it, and in which units.

Fields lie in ``data/fields.toml``, diagnoses in ``data/diagnoses.toml``. A unit is converted only where the factor is a
number; creatinine clearance [mL/min] and eGFR [mL/min/1.73m2] are two fields, because one is not a multiple of the
other.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fusin.errors import InputError

__all__ = ["TIME_UNITS", "Diagnosis", "FieldSpec", "diagnoses", "field_spec", "fields", "find_diagnosis", "normal"]

TIME_UNITS = ("days", "weeks", "months", "years")


class FieldSpec(BaseModel):
    """One field of a patient.

    Attributes
    ----------
    name : as rules call it
    kind : ``number``, ``flag`` (yes or no), ``date`` (of an event, or "never"), ``choice`` or ``list`` (several)
    ask : what to ask for when it is not recorded
    unit : canonical unit of a number
    units : further units and the factor that turns them into the canonical one
    bare_unit : unit taken when neither column nor cell carries one; empty where that would be a guess
    low, high : limits of the possible
    columns : further column names; a name followed by a unit suffix is understood too
    suffixes : column suffix to unit
    choices : canonical choices, each with its synonyms
    diagnosis : the choices are those of ``diagnoses.toml``
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    kind: Literal["number", "flag", "date", "choice", "list"]
    ask: str
    unit: str = ""
    units: dict[str, float] = Field(default_factory=dict)
    bare_unit: str = ""
    low: float | None = None
    high: float | None = None
    columns: tuple[str, ...] = ()
    suffixes: dict[str, str] = Field(default_factory=dict)
    choices: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    diagnosis: bool = False

    def factor(self, unit: str) -> float | None:
        """Factor from a unit to the canonical one; None for a unit that cannot be converted."""
        wanted = normal_unit(unit)
        if wanted == normal_unit(self.unit):
            return 1.0
        known = {normal_unit(u): f for u, f in self.units.items()}
        return known.get(wanted)

    def check_unit(self, unit: str, *, ordered: bool) -> None:
        """Refuse a rule whose unit the field cannot be compared in.

        Raises
        ------
        ValueError
            With the field and the units that would do.
        """
        if self.kind == "date" and ordered:
            if unit not in TIME_UNITS:
                raise ValueError(f"time since {self.name} needs one of {', '.join(TIME_UNITS)}, not {unit!r}")
        elif self.name == "age" and ordered:
            if unit not in TIME_UNITS:
                raise ValueError(f"age needs one of {', '.join(TIME_UNITS)}, not {unit!r}")
        elif self.kind == "number" and self.factor(unit) is None:
            raise ValueError(f"{self.name} in {unit!r} cannot be converted to {self.unit!r}")

    def column_unit(self, column: str) -> str | None:
        """Unit that a column of this field carries: "" for none, None where the column is not of this field."""
        for base in (self.name, *self.columns):
            if column == base:
                return ""
            if column.startswith(base + "_") and column[len(base) + 1 :] in self.suffixes:
                return self.suffixes[column[len(base) + 1 :]]
        return None

    def choice(self, text: str) -> str | None:
        """Canonical choice of a spelling; None for one that is not known."""
        wanted = normal(text)
        if self.diagnosis:
            found = find_diagnosis(text)
            return found.code if found else None
        if not self.choices:
            return wanted or None
        for code, synonyms in self.choices.items():
            if wanted in {normal(code), *(normal(s) for s in synonyms)}:
                return code
        return None


class Diagnosis(BaseModel):
    """A diagnosis in the hierarchy: ``parents`` are the more general ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    code: str
    name: str
    synonyms: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()

    def is_a(self, code: str) -> bool:
        """Whether this diagnosis is the given one or a kind of it."""
        known = diagnoses()
        return self.code == code or any(known[p].is_a(code) for p in self.parents)


_SIGNS = str.maketrans("²µμ", "2uu", "·^* ")


@cache
def fields() -> Mapping[str, FieldSpec]:
    """Return the data dictionary by field name."""
    rows = _table("fields.toml", "field")
    return {row["name"]: FieldSpec.model_validate(_tuples(row)) for row in rows}


def field_spec(name: str) -> FieldSpec:
    """Return a field of the data dictionary.

    Raises
    ------
    InputError
        For an unknown field.
    """
    spec = fields().get(name)
    if spec is None:
        raise InputError("trials", "field", name, "one of " + ", ".join(sorted(fields())))
    return spec


@cache
def diagnoses() -> Mapping[str, Diagnosis]:
    """Return all diagnoses by code."""
    return {row["code"]: Diagnosis.model_validate(_tuples(row)) for row in _table("diagnoses.toml", "diagnosis")}


def find_diagnosis(text: str) -> Diagnosis | None:
    """Return the diagnosis of a code, name or synonym in any spelling; None for one that is not known."""
    return _diagnosis_names().get(normal(text))


@cache
def _diagnosis_names() -> Mapping[str, Diagnosis]:
    return {normal(n): d for d in diagnoses().values() for n in (d.code, d.name, *d.synonyms)}


def normal(text: str) -> str:
    """Text without case, punctuation and double spaces, for comparison of spellings."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def normal_unit(unit: str) -> str:
    """Unit without case, spaces and typographic signs, for comparison of spellings."""
    return unit.casefold().translate(_SIGNS)


def _table(file: str, key: str) -> list[dict[str, Any]]:
    text = resources.files("fusin.trials").joinpath("data", file).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)[key]
    return rows


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    if isinstance(value, Mapping):
        return {k: _tuples(v) for k, v in value.items()}
    return value
