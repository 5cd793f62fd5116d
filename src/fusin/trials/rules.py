"""Trial rules as data: what each trial asks for, where that is written, and whether it was verified.

One file per trial in ``data/*.toml``; rules that hold for every trial in ``data/universal.toml``. A rule of kind
``inclusion`` has to be true, one of kind ``exclusion`` has to be false, and a ``procedure`` is done by the trial later
and is never screened::

    >>> trial("NCT06125028").phases
    ('PHASE3',)
    >>> [c.registered for c in trial("NCT06125028").claims if c.field == "phase"]
    ['PHASE3']
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fusin.errors import InputError
from fusin.trials.fields import field_spec

__all__ = ["Claim", "Condition", "Operator", "Rule", "Trial", "load_trial", "trial", "trials", "universal_rules"]

Operator = Literal[">=", "<=", ">", "<", "==", "in", "not_in", "between", "any_of", "all_of", "not"]
_COMBINE = frozenset({"any_of", "all_of", "not"})
_ORDERED = frozenset({">=", "<=", ">", "<", "between"})


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Condition(_Strict):
    """One comparison with a field of the patient, or a combination of conditions.

    Attributes
    ----------
    field : name in ``data/fields.toml``; empty for a combination
    op : comparison, or ``any_of``, ``all_of``, ``not`` over the conditions in ``value``
    value : what the field is compared with; two numbers for ``between`` (both inclusive); a list for ``in``
    unit : unit of ``value``; a time unit on a date field compares the time from that date to the reference date
    window_days : the field (or the date beside it) must lie within so many days before the reference date
    """

    field: str = ""
    op: Operator
    value: bool | int | float | str | tuple[Condition, ...] | tuple[int | float | str, ...]
    unit: str = ""
    window_days: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Condition:
        combined = isinstance(self.value, tuple) and all(isinstance(v, Condition) for v in self.value)
        if (self.op in _COMBINE) != (combined and self.value != ()):
            raise ValueError("any_of, all_of and not take conditions, and no other operator does")
        if self.op == "not" and len(self.parts) != 1:
            raise ValueError("not takes one condition")
        if (self.op in _COMBINE) != (not self.field):
            raise ValueError("a comparison names a field, a combination none")
        if self.op in ("in", "not_in") and not isinstance(self.value, tuple):
            raise ValueError("in and not_in take a list")
        if self.field:
            self._fits_its_field()
        return self

    def _fits_its_field(self) -> None:
        spec = field_spec(self.field)
        numbers = self.value if isinstance(self.value, tuple) else (self.value,)
        numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in numbers)
        if self.op in _ORDERED:
            if spec.kind not in ("number", "date") or not numeric:
                raise ValueError(f"{self.op} compares numbers, {self.field} is a {spec.kind}")
            if len(numbers) != (2 if self.op == "between" else 1):
                raise ValueError("between takes two numbers, the others one")
        if self.unit in ("months", "years") and not all(isinstance(v, int) for v in numbers):
            raise ValueError("months and years are counted on the calendar: whole numbers only")
        if spec.kind in ("flag", "date") and self.op == "==" and not isinstance(self.value, bool):
            raise ValueError(f"{self.field} is compared with true or false")
        if spec.diagnosis or spec.choices:
            unknown = [v for v in numbers if spec.choice(str(v)) != v]
            if unknown:
                raise ValueError(f"{self.field} has no choice {unknown[0]!r}")
        spec.check_unit(self.unit, ordered=self.op in _ORDERED)

    @cached_property
    def parts(self) -> tuple[Condition, ...]:
        """The conditions of a combination; empty for a comparison."""
        value = self.value if isinstance(self.value, tuple) else ()
        return tuple(v for v in value if isinstance(v, Condition))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields asked for, each once, in order."""
        names = [self.field] if self.field else [f for part in self.parts for f in part.fields]
        return tuple(dict.fromkeys(names))


class Rule(Condition):
    """A condition with its origin.

    Attributes
    ----------
    id : stable within the trial
    kind : ``inclusion`` (has to be true), ``exclusion`` (has to be false), ``procedure`` (recorded, never screened)
    note : how the wording was read, and what it leaves open
    source_line : the facts of the source that the rule stands for
    verified : False for a rule known from a secondary guide only: it is shown and never counted
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    kind: Literal["inclusion", "exclusion", "procedure"] = "inclusion"
    note: str = ""
    source_line: str = Field(min_length=1)
    verified: bool


class Claim(_Strict):
    """What a secondary guide says about a trial, beside the registry."""

    field: str
    guide: str
    claim: str
    registered: str
    verdict: Literal["agrees", "wrong", "stale", "imprecise", "unverified"]


class Trial(_Strict):
    """A trial: registry facts and rules.

    Attributes
    ----------
    id, title, acronym, sponsor, codes : names and further identifiers
    study_type, phases, status, status_as_of : registry terms; ``status`` is empty where it is not known
    enrolled, planned : numbers of participants
    started, ended : ISO dates
    tracer, activity_mbq, activity_window_mbq : what is injected
    verified : False where no public record was found: such a trial is never screened as if it were known
    transcription : ``key criteria`` (the sheet lists the main ones) or ``draft`` (imported, text not yet transcribed)
    sources : addresses
    note : what a reader must know
    claims : the guides' claims beside the registered facts
    rules : in the order in which a screening asks
    to_transcribe : criteria text that no rule covers yet
    """

    id: str = Field(pattern=r"^NCT\d{8}$")
    title: str
    acronym: str = ""
    sponsor: str = ""
    codes: tuple[str, ...] = ()
    study_type: Literal["INTERVENTIONAL", "OBSERVATIONAL", "EXPANDED_ACCESS", ""] = ""
    phases: tuple[Literal["NA", "EARLY_PHASE1", "PHASE1", "PHASE2", "PHASE3", "PHASE4"], ...] = ()
    status: str = ""
    status_as_of: str = ""
    enrolled: int | None = Field(default=None, ge=0)
    planned: int | None = Field(default=None, ge=0)
    started: str = ""
    ended: str = ""
    tracer: str = ""
    activity_mbq: float | None = Field(default=None, gt=0)
    activity_window_mbq: float | None = Field(default=None, gt=0)
    verified: bool
    transcription: Literal["key criteria", "draft"] = "key criteria"
    sources: tuple[str, ...] = ()
    note: str = ""
    claims: tuple[Claim, ...] = ()
    rules: tuple[Rule, ...] = ()
    to_transcribe: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Trial:
        ids = [r.id for r in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError("each rule id once")
        if not self.verified and any(r.verified for r in self.rules):
            raise ValueError("an unverified trial has no verified rule")
        if self.verified and not self.sources:
            raise ValueError("a verified trial names its sources")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return all fields as a JSON-ready mapping."""
        return self.model_dump(mode="json")


@cache
def trials() -> Mapping[str, Trial]:
    """Return the trials that ship with fusin, by NCT number."""
    folder = resources.files("fusin.trials").joinpath("data")
    files = sorted((f for f in folder.iterdir() if f.name.startswith("NCT")), key=lambda f: f.name)
    found = [_parse(f.read_text(encoding="utf-8"), f.name) for f in files]
    return {t.id: t for t in found}


def trial(trial_id: str, *, library: Mapping[str, Trial] | None = None) -> Trial:
    """Return a trial by its NCT number, in any case.

    Raises
    ------
    InputError
        For an unknown trial, with the nearest ones.
    """
    known = library if library is not None else trials()
    wanted = trial_id.strip().upper()
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
        raise InputError("trials", "id", trial_id, "one of " + ", ".join(near or sorted(known)))
    return known[wanted]


@cache
def universal_rules() -> tuple[Rule, ...]:
    """Return the rules that hold for every trial."""
    file = resources.files("fusin.trials").joinpath("data", "universal.toml")
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["rule"]
    return tuple(Rule.model_validate(_tuples(row)) for row in rows)


def load_trial(path: Path) -> Trial:
    """Read a trial file of one's own, in the format of the shipped ones.

    Raises
    ------
    InputError
        For an unreadable file or an invalid rule: which file, which field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(str(path), "file", str(err), "a readable TOML file in UTF-8") from err
    return _parse(text, path.name)


def _parse(text: str, where: str) -> Trial:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise InputError(where, "TOML", str(err), "a readable TOML document") from err
    head = dict(data.get("trial", {}))
    head["claims"], head["rules"] = data.get("claim", []), data.get("rule", [])
    extra = sorted(set(data) - {"trial", "claim", "rule"})
    if extra:
        raise InputError(where, "table", extra[0], "only [trial], [[claim]] and [[rule]]")
    try:
        return Trial.model_validate(_tuples(head))
    except ValidationError as err:
        first = err.errors()[0]
        path = ".".join(str(part) for part in first["loc"]) or "trial"
        raise InputError(where, path, str(first.get("input"))[:80], first["msg"]) from err


def _tuples(value: Any) -> Any:
    # TOML gives lists; frozen models hold tuples, and strict validation refuses to turn one into the other.
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    if isinstance(value, Mapping):
        return {k: _tuples(v) for k, v in value.items()}
    return value
