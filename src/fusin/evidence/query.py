"""Questions to the evidence: which numbers are published on a topic, and how a cohort stands among them.

>>> query(topic="dosimetry", entity="kidney", tracer="90Y")["id"].tolist()
['haenscheid-dose-kidney-y', 'haenscheid-ratio-kidney']
>>> len(discrepancies())
28
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fusin.errors import InputError
from fusin.evidence.catalogue import Catalogue, Record, Tag, all_records

if TYPE_CHECKING:
    import pandas as pd

    from fusin.stats.proportions import ProportionMethod

__all__ = ["Added", "Discrepancy", "discrepancies", "forest_data", "query", "shipped_discrepancies", "topics"]

_COLUMNS = (
    "id", "topic", "title", "entity", "tracer", "comparator", "metric", "statistic", "op", "value", "sd", "low", "high",
    "unit", "interval", "interval_method", "k", "n", "per", "counts", "p_op", "p", "test", "time_min",
    "reference_region", "tag", "default_grade", "citation", "guide_claim", "note",
)  # fmt: skip


class Discrepancy(BaseModel):
    """What a secondary guide claims, beside the original.

    Attributes
    ----------
    id, category : stable name; ``number`` (a value) or ``concept``
    study, guide : the study, and which guides make the claim (G0 NET imaging, G1 theranostic agent, G2 trials)
    claim, original : the claim and what the source says
    verdict, comment : how they compare, and why
    tag : how the original is known
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    category: Literal["number", "concept"]
    study: str = Field(min_length=1)
    guide: str = Field(min_length=1)
    claim: str = Field(min_length=1)
    original: str = Field(min_length=1)
    verdict: Literal["agrees", "omission", "overstated", "suspect", "wrong", "unverified"]
    comment: str = ""
    tag: Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A rate of one's own that joins a forest plot.

    Attributes
    ----------
    label : how the plot names it
    k, n : events among units
    per : what the units are; published rates of other units are a different quantity
    entity, tracer : disease and tracer
    """

    label: str
    k: int
    n: int
    per: str = "patient"
    entity: str = ""
    tracer: str = ""


@cache
def shipped_discrepancies() -> tuple[Discrepancy, ...]:
    """Return the discrepancies that ship with fusin, in the order of their table."""
    table = resources.files("fusin.evidence").joinpath("tables", "discrepancies.toml")
    rows = tomllib.loads(table.read_text(encoding="utf-8"))["discrepancy"]
    return tuple(Discrepancy.model_validate(row) for row in rows)


def discrepancies() -> pd.DataFrame:
    """Return the discrepancies as a table with one row each; columns as in :class:`Discrepancy`."""
    import pandas as pd

    rows = [d.model_dump() for d in shipped_discrepancies()]
    return pd.DataFrame(rows, columns=list(Discrepancy.model_fields))


def topics(*, catalogue: Catalogue | None = None) -> tuple[str, ...]:
    """Return all topics in alphabetical order; a record without a topic is filed under its kind."""
    return tuple(sorted({_topic(r) for r in all_records(catalogue=catalogue)}))


def query(
    topic: str | None = None,
    tracer: str | None = None,
    entity: str | None = None,
    text: str | None = None,
    *,
    catalogue: Catalogue | None = None,
) -> pd.DataFrame:
    """Return the records that meet all conditions, one row each, in the order of the tables.

    Parameters
    ----------
    topic : one of :func:`topics`, exactly
    tracer, entity : part of the name, in any case; ``tracer`` also finds the comparator
    text : words that all occur somewhere in the record (id, title, metric, note, source ...), in any case
    catalogue : the records; the shipped ones when None

    Raises
    ------
    InputError
        For an unknown topic, with the nearest ones. No match is an empty table.
    """
    import pandas as pd

    records = _matching(topic, tracer, entity, all_records(catalogue=catalogue))
    if text:
        words = text.lower().split()
        records = [r for r in records if all(w in _haystack(r) for w in words)]
    table = pd.DataFrame([_row(r) for r in records], columns=list(_COLUMNS))
    return table.astype({"k": "Int64", "n": "Int64"})


def forest_data(
    topic: str,
    *,
    added: Added | Iterable[Added] | None = None,
    metric: str | None = None,
    entity: str | None = None,
    tracer: str | None = None,
    per: str | None = None,
    unverified: bool = False,
    method: ProportionMethod = "wilson",
    catalogue: Catalogue | None = None,
) -> pd.DataFrame:
    """Return published rates with their intervals, and one's own beside them, ready for a forest plot.

    All intervals are computed from the counts with one method, because printed ones mix methods; the printed limits
    stand beside them as ``printed_low`` and ``printed_high``.

    Parameters
    ----------
    topic : one of :func:`topics`
    added : rates of this cohort; they come last
    metric, entity, tracer, per : narrow the published rates; ``metric`` and ``per`` exactly, the others by part
    unverified : also show rates tagged U, S or M
    method : interval, see :func:`fusin.stats.proportions.proportion`
    catalogue : the records; the shipped ones when None

    Returns
    -------
    One row per rate: ``label, entity, tracer, metric, per, k, n, rate, low, high, method, level, printed_low,
    printed_high, printed_method, tag, citation, id, added``; rates and limits are fractions.

    Raises
    ------
    InputError
        For an unknown topic, or when a rate of one's own has impossible counts.
    """
    import pandas as pd

    rows = []
    for record in _matching(topic, tracer, entity, all_records(catalogue=catalogue)):
        wanted = metric in (None, record.metric) and per in (None, record.per)
        if record.k is not None and wanted and (unverified or record.is_default_grade):
            rows.append(_published_rate(record, method))
    own: Sequence[Added] = [added] if isinstance(added, Added) else list(added or ())
    rows += [_own_rate(item, metric or "", method) for item in own]
    columns = (
        "label", "entity", "tracer", "metric", "per", "k", "n", "rate", "low", "high", "method", "level",
        "printed_low", "printed_high", "printed_method", "tag", "citation", "id", "added",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def _published_rate(record: Record, method: ProportionMethod) -> dict[str, Any]:
    scale = 100.0 if record.unit == "%" else 1.0
    printed = record.interval == "95 % CI"
    return {
        "label": record.title,
        "entity": record.entity,
        "tracer": record.tracer,
        "metric": record.metric,
        "per": record.per,
        **_interval(record.k or 0, record.n or 0, method),
        "printed_low": record.low / scale if printed and record.low is not None else None,
        "printed_high": record.high / scale if printed and record.high is not None else None,
        "printed_method": record.interval_method,
        "tag": record.tag,
        "citation": record.citation,
        "id": record.id,
        "added": False,
    }


def _own_rate(item: Added, metric: str, method: ProportionMethod) -> dict[str, Any]:
    if item.n <= 0 or not 0 <= item.k <= item.n:
        raise InputError(item.label, "k of n", f"{item.k} of {item.n}", "0 <= k <= n and n > 0")
    own = {"label": item.label, "entity": item.entity, "tracer": item.tracer, "metric": metric, "per": item.per}
    blank = {"printed_low": None, "printed_high": None, "printed_method": "", "tag": "", "citation": "", "id": ""}
    return {**own, **_interval(item.k, item.n, method), **blank, "added": True}


def _interval(k: int, n: int, method: ProportionMethod) -> dict[str, Any]:
    from fusin.stats.proportions import proportion

    est = proportion(k, n, method=method)
    return {
        "k": k, "n": n, "rate": est.value, "low": est.low, "high": est.high, "method": est.method, "level": est.level,
    }  # fmt: skip


def _matching(topic: str | None, tracer: str | None, entity: str | None, records: tuple[Record, ...]) -> list[Record]:
    known = sorted({_topic(r) for r in records})
    if topic is not None and topic not in known:
        near = difflib.get_close_matches(topic, known, n=3, cutoff=0.4)
        raise InputError("evidence", "topic", topic, "one of " + ", ".join(near or known))
    return [
        r
        for r in records
        if topic in (None, _topic(r))
        and (not tracer or tracer.lower() in f"{r.tracer} {r.comparator}".lower())
        and (not entity or entity.lower() in r.entity.lower())
    ]


def _topic(record: Record) -> str:
    return record.topic or record.kind


def _haystack(record: Record) -> str:
    parts = (
        record.id, record.title, record.metric, record.entity, record.endpoint, record.tracer, record.comparator,
        record.note, record.guide_claim, record.citation, _topic(record),
    )  # fmt: skip
    return " ".join(parts).lower()


def _row(record: Record) -> Mapping[str, Any]:
    fields = {name: getattr(record, name) for name in _COLUMNS if name in Record.model_fields}
    fields["topic"] = _topic(record)
    fields["counts"] = "; ".join(f"{c.name} {c.k}" for c in record.counts)
    fields["p_op"] = record.p_op if record.p is not None else ""
    return {**fields, "default_grade": record.is_default_grade, "citation": record.citation}
