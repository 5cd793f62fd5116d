"""What the literature says, each number with its source and a tag that says how far to trust it.

Tags: **V** read in the cited source; **D** derived by arithmetic from V; **C** computed from first principles;
**U** claimed by a secondary guide and unverified; **S** stated by a secondary source; **M** general knowledge.
Only V, D and C may be used without being asked for::

    >>> evidence("adrenal-li-hu2023").value
    1.65
    >>> default_value("protocol-uptake-oncology")
    60.0

The records lie in ``tables/*.toml``; edit them there, never in code.
"""

from __future__ import annotations

import difflib
import operator
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fusin.errors import InputError, NotComputable

__all__ = [
    "Catalogue",
    "Clause",
    "Count",
    "Kind",
    "Operator",
    "Per",
    "Record",
    "Tag",
    "all_records",
    "cite",
    "default_catalogue",
    "default_value",
    "evidence",
    "holds",
]

Tag = Literal["V", "D", "C", "U", "S", "M"]
Kind = Literal[
    "normal-uptake", "positivity", "therapy", "adrenal-cutoff", "protocol", "reading", "aldosteronism", "published"
]
Per = Literal["", "patient", "lesion", "scan", "exam", "reader", "animal", "batch"]
Operator = Literal[">", ">=", "<", "<="]

_DEFAULT_TAGS = frozenset({"V", "D", "C"})
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class _Strict(BaseModel):
    """Unknown fields and loose types are errors: a misspelt field must not vanish."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Clause(_Strict):
    """One comparison inside a rule: at least so many subjects fulfil it.

    Attributes
    ----------
    subject : ``lesion`` (each candidate is compared) or ``marrow`` (the marrow reference region)
    metric : ``suv_max``, ``suv_peak`` or ``suv_mean`` of the subject
    relative_to : reference region whose mean divides the metric; empty for a plain SUV
    op, value : the comparison
    count_op, count : how many subjects have to fulfil it, default more than 0
    """

    subject: Literal["lesion", "marrow"]
    metric: Literal["suv_max", "suv_peak", "suv_mean"]
    relative_to: str = ""
    op: Operator
    value: float
    count_op: Literal[">", ">="] = ">"
    count: int = Field(default=0, ge=0)


class Count(_Strict):
    """One cell of a published table of counts, for example ``both`` of two tracers."""

    name: str = Field(min_length=1)
    k: int = Field(ge=0)


class Record(_Strict):
    """One published number or rule.

    Attributes
    ----------
    id : stable name by which code and reports ask for it
    title : what it says, in a few words
    kind : which table it belongs to; ``published`` for numbers that are compared with and never compute anything
    topic, entity : what it is about (``detection``, ``dosimetry`` ...), and in which disease or model
    metric, statistic : what was measured, and what the number is over patients (median, mean, cut-off)
    op : comparison of a cut-off; None where the source prints a number without one
    op_printed : False where the operator was added by the project's clinical sheet
    value, low, high, unit, interval : the number; ``interval`` says what low and high are (range, 95 % CI, window)
    interval_method : how a confidence interval was made, where that is known
    sd : standard deviation beside a mean
    k, n, per : events among n units, and what the units are (patients unless ``per`` or the note says otherwise)
    counts : cells of a published table; of two tracers ``both``, ``first_only``, ``second_only``, ``neither``
    p, p_op, test : p-value as printed, its relation, and the test that gives it
    comparator : the other tracer of a comparison
    endpoint, tracer, time_min, reference_region : what the number holds for; time after injection [min]
    condition : state in which it was measured, for example ``cosyntropin`` or ``basal``; empty where it does not matter
    sensitivity, specificity : of a cut-off, as fractions
    source, doi, pmid, url, tag : where it comes from, and how far to trust it
    guide_claim : what a secondary guide says where it differs
    note : what a reader must know
    method : of a rule: ``threshold`` (computed), ``visual`` (a reader decides) or ``measurement`` (no verdict)
    combine, clauses : of a threshold rule
    reports : reference regions against which the hottest lesion is quoted beside a rule
    optional : the rule is off unless asked for by id
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str = Field(min_length=1)
    kind: Kind
    topic: str = Field(default="", pattern=r"^([a-z]+(-[a-z]+)*)?$")
    entity: str = ""
    metric: str = ""
    statistic: str = ""
    op: Operator | None = None
    op_printed: bool = True
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    interval: str = ""
    interval_method: str = ""
    sd: float | None = Field(default=None, ge=0)
    k: int | None = Field(default=None, ge=0)
    n: int | None = Field(default=None, gt=0)
    per: Per = ""
    counts: tuple[Count, ...] = ()
    p: float | None = Field(default=None, ge=0, le=1)
    p_op: Literal["=", "<"] = "="
    test: str = ""
    comparator: str = ""
    endpoint: str = ""
    tracer: str = ""
    time_min: float | None = Field(default=None, ge=0)
    reference_region: str = ""
    condition: str = ""
    sensitivity: float | None = Field(default=None, ge=0, le=1)
    specificity: float | None = Field(default=None, ge=0, le=1)
    source: str = Field(min_length=1)
    doi: str = ""
    pmid: str = ""
    url: str = ""
    tag: Tag
    guide_claim: str = ""
    note: str = ""
    method: Literal["threshold", "visual", "measurement"] | None = None
    combine: Literal["any", "all"] = "any"
    clauses: tuple[Clause, ...] = ()
    reports: tuple[str, ...] = ()
    optional: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Record:
        bounds = [x for x in (self.low, self.value, self.high) if x is not None]
        if bounds != sorted(bounds):
            raise ValueError("low <= value <= high does not hold")
        if (self.low is not None or self.high is not None) and not self.interval:
            raise ValueError("low and high need interval: what they are")
        if (self.method == "threshold") != bool(self.clauses):
            raise ValueError("a threshold rule has clauses, and only a threshold rule")
        if self.method and not self.is_default_grade and not self.optional:
            raise ValueError(f"a rule tagged {self.tag} has to be optional")
        if self.k is not None and (self.n is None or self.k > self.n):
            raise ValueError("k events need n units, and no more events than units")
        if self.kind == "published" and not (self.topic and self.metric):
            raise ValueError("a published number needs topic and metric")
        if self.kind == "adrenal-cutoff" and not (self.metric and self.value is not None and self.tracer):
            raise ValueError("an adrenal cut-off needs metric, value and tracer")
        return self

    @property
    def is_default_grade(self) -> bool:
        """Whether the tag allows use without being asked for (V, D, C)."""
        return self.tag in _DEFAULT_TAGS

    @property
    def citation(self) -> str:
        """Source with the best locator: DOI, else PMID, else address."""
        locators = (self.doi and f"doi:{self.doi}", self.pmid and f"PMID {self.pmid}", self.url)
        locator = next((text for text in locators if text), "")
        return f"{self.source}; {locator}" if locator else self.source

    def to_json(self) -> dict[str, Any]:
        """Return all fields as a JSON-ready mapping."""
        return self.model_dump(mode="json")


class Catalogue:
    """Records that can be asked for by id.

    Parameters
    ----------
    records : the records in their order

    Raises
    ------
    InputError
        When an id occurs twice.
    """

    def __init__(self, records: tuple[Record, ...]) -> None:
        self.records = records
        self._by_id: dict[str, Record] = {}
        for record in records:
            if record.id in self._by_id:
                raise InputError("evidence", "id", record.id, "each id once")
            self._by_id[record.id] = record

    @classmethod
    def load(cls, folder: Traversable) -> Catalogue:
        """Read all ``*.toml`` tables of a folder, in the order of their names.

        Raises
        ------
        InputError
            For an unreadable table or an invalid record: which file, which record, which field.
        """
        records: list[Record] = []
        tables = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
        for table in tables:
            records.extend(cls._read(table.read_text(encoding="utf-8"), table.name))
        return cls(tuple(records))

    @staticmethod
    def _read(text: str, where: str) -> Iterator[Record]:
        try:
            rows = tomllib.loads(text).get("record", [])
        except tomllib.TOMLDecodeError as err:
            raise InputError(where, "TOML", str(err), "a readable TOML document") from err
        for row in rows:
            name = str(row.get("id", "record without id"))
            try:
                yield Record.model_validate(_tuples(row))
            except ValidationError as err:
                first = err.errors()[0]
                path = ".".join(str(part) for part in first["loc"]) or "record"
                raise InputError(f"{where}: {name}", path, str(first.get("input"))[:80], first["msg"]) from err

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def get(self, record_id: str) -> Record:
        """The record of an id.

        Raises
        ------
        InputError
            For an unknown id, with the nearest ids.
        """
        found = self._by_id.get(record_id)
        if found is None:
            near = difflib.get_close_matches(record_id, self._by_id, n=5, cutoff=0.4)
            raise InputError("evidence", "id", record_id, "one of " + ", ".join(near or sorted(self._by_id)))
        return found

    def default_value(self, record_id: str) -> float:
        """The value of a record that may serve as a default.

        Raises
        ------
        InputError
            For an unknown id.
        NotComputable
            When the record is tagged U, S or M, or holds no single value.
        """
        record = self.get(record_id)
        if not record.is_default_grade:
            raise NotComputable(
                f"a default from {record_id}",
                f"it is tagged {record.tag} ({record.source})",
                "a record read in its source (tag V, D or C), or a value given by the user",
                "EVIDENCE_UNVERIFIED",
            )
        if record.value is None:
            raise NotComputable(
                f"a default from {record_id}",
                "the record holds no single value",
                "a record with one number, or a value given by the user",
                "EVIDENCE_NO_SINGLE_VALUE",
            )
        return record.value

    def select(self, kind: Kind) -> tuple[Record, ...]:
        """All records of one kind, in their order."""
        return tuple(r for r in self.records if r.kind == kind)


@cache
def default_catalogue() -> Catalogue:
    """Return the catalogue that ships with fusin."""
    return Catalogue.load(resources.files("fusin.evidence").joinpath("tables"))


def evidence(record_id: str, *, catalogue: Catalogue | None = None) -> Record:
    """Return a record by id; see :meth:`Catalogue.get`."""
    return (catalogue or default_catalogue()).get(record_id)


def default_value(record_id: str, *, catalogue: Catalogue | None = None) -> float:
    """Return a value that may serve as a default; see :meth:`Catalogue.default_value`."""
    return (catalogue or default_catalogue()).default_value(record_id)


def all_records(*, catalogue: Catalogue | None = None) -> tuple[Record, ...]:
    """Return every record, in the order of the tables."""
    return (catalogue or default_catalogue()).records


def cite(record_id: str, *, catalogue: Catalogue | None = None) -> str:
    """Return the citation of a record: source and the best locator."""
    return (catalogue or default_catalogue()).get(record_id).citation


def holds(op: Operator, value: float, limit: float) -> bool:
    """Whether a value stands in a record's relation to its limit, literally and without any tolerance."""
    return _COMPARE[op](value, limit)


def _tuples(value: Any) -> Any:
    # TOML gives lists; frozen records hold tuples, and strict validation refuses to turn one into the other.
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    if isinstance(value, Mapping):
        return {k: _tuples(v) for k, v in value.items()}
    return value
