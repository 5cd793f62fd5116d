"""The tables of a release as rows: tests, activities, shelf life, specifications, the trail of a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from fusin.radiopharmacy.limits import decimal_text
from fusin.radiopharmacy.recipe import Recipe
from fusin.radiopharmacy.record import Entry
from fusin.radiopharmacy.release import Release
from fusin.radiopharmacy.specification import Specification
from fusin.tabular.columns import Column

__all__ = [
    "ACTIVITY_COLUMNS",
    "EXPIRY_COLUMNS",
    "IMPURITY_COLUMNS",
    "RELEASE_TEST_COLUMNS",
    "SPECIFICATION_COLUMNS",
    "TRAIL_COLUMNS",
    "activity_rows",
    "expiry_rows",
    "impurity_rows",
    "recipe_rows",
    "share_text",
    "specification_rows",
    "test_rows",
    "trail_rows",
]

RELEASE_TEST_COLUMNS = (
    Column("id", "string", "id of the row of the specification"),
    Column("test", "string", "what is tested"),
    Column("method", "string", "how, as the specification says"),
    Column("limit", "string", "limit with its unit; per V already divided"),
    Column("result", "string", "as reported, in the unit of the limit; empty while missing"),
    Column("unit", "string", "unit of the result"),
    Column("low", "float64", "lower 95 % limit of a result that has an interval"),
    Column("high", "float64", "upper 95 % limit"),
    Column("interval_method", "string", "method of the interval"),
    Column("verdict", "string", "pass, fail or open"),
    Column("rounding", "string", "how the result was held against the limit"),
    Column("reason", "string", "why it fails or is open"),
    Column("phase", "string", "pre-release or post-release"),
    Column("computed", "boolean", "computed from the record, not entered"),
    Column("source", "string", "citation of the limit"),
    Column("tag", "string", "V read in the source, D derived, C computed, site; S, U and M are unverified"),
)
ACTIVITY_COLUMNS = (
    Column("moment", "string", "what the moment is"),
    Column("time", "string", "the moment"),
    Column("activity_mbq", "float64", "activity of the product [MBq]"),
    Column("concentration_mbq_ml", "float64", "per volume [MBq/mL]"),
    Column("specific_activity_mbq_ug", "float64", "per mass of precursor [MBq/ug]"),
    Column("molar_activity_gbq_umol", "float64", "per amount of precursor [GBq/umol]"),
)
EXPIRY_COLUMNS = (
    Column("limit", "string", "name of the limit"),
    Column("time", "string", "moment at which it binds; empty when it never does"),
    Column("binding", "boolean", "the earliest one"),
    Column("reason", "string", "why"),
)
IMPURITY_COLUMNS = (
    Column("impurity", "string", "long-lived impurity"),
    Column("moment", "string", "what the moment is"),
    Column("time", "string", "the moment"),
    Column("percent", "float64", "its share of the product's activity at that moment [%]"),
    Column("share", "string", "the same with three digits, as it is printed"),
    Column("at_most", "boolean", "the result lies below a limit of detection: the share is at most this"),
    Column("limit_percent", "float64", "limit of the share [%]; empty without one"),
    Column("crosses", "string", "moment at which the share reaches its limit; empty when it never does"),
)
SPECIFICATION_COLUMNS = (
    Column("id", "string", "id of the row, as a batch record names it"),
    Column("test", "string", "what is tested"),
    Column("limit", "string", "limit, or that a site must set one"),
    Column("phase", "string", "pre-release or post-release"),
    Column("method", "string", "how"),
    Column("rounding", "string", "none, or to the digits of the limit"),
    Column("reference_time", "string", "moment to which the limit refers"),
    Column("tag", "string", "V, D, C, site; S, U and M are unverified and never a limit"),
    Column("source", "string", "citation"),
    Column("note", "string", "remark"),
)
TRAIL_COLUMNS = (
    Column("seq", "Int64", "number of the entry"),
    Column("time_utc", "string", "moment, UTC"),
    Column("zone", "string", "offset that the writer's clock declared"),
    Column("actor", "string", "who"),
    Column("action", "string", "what was done"),
    Column("batch", "string", "about which batch"),
    Column("what", "string", "old and new values, the step, the decision, or the meaning of a signature"),
    Column("reason", "string", "why"),
    Column("hash", "string", "first 16 digits of the entry's hash"),
)


def test_rows(release: Release) -> list[dict[str, Any]]:
    """Rows of `RELEASE_TEST_COLUMNS`."""
    return [
        {
            "id": t.id, "test": t.test, "method": t.method, "limit": t.limit, "result": t.value_text() or None,
            "unit": t.unit or None, "low": t.low, "high": t.high, "interval_method": t.interval or None,
            "verdict": {True: "pass", False: "fail", None: "open"}[t.passed], "rounding": t.rounding or None,
            "reason": t.reason or None, "phase": t.phase, "computed": t.computed, "source": t.source, "tag": t.tag,
        }
        for t in release.tests
    ]  # fmt: skip


test_rows.__test__ = False  # type: ignore[attr-defined]  # the name is the field's own; pytest must not collect it


def activity_rows(release: Release) -> list[dict[str, Any]]:
    """Rows of `ACTIVITY_COLUMNS`."""
    return [
        {
            "moment": a.when, "time": a.time.isoformat(sep=" ", timespec="seconds"), "activity_mbq": a.activity_mbq,
            "concentration_mbq_ml": a.concentration_mbq_ml, "specific_activity_mbq_ug": a.specific_mbq_ug,
            "molar_activity_gbq_umol": a.molar_gbq_umol,
        }
        for a in release.activities
    ]  # fmt: skip


def expiry_rows(release: Release) -> list[dict[str, Any]]:
    """Rows of `EXPIRY_COLUMNS`."""
    return [
        {
            "limit": one.name, "time": None if one.time is None else one.time.isoformat(sep=" ", timespec="seconds"),
            "binding": number == 0 and one.time is not None, "reason": one.reason,
        }
        for number, one in enumerate(release.expiry.limits)
    ]  # fmt: skip


def impurity_rows(release: Release) -> list[dict[str, Any]]:
    """Rows of `IMPURITY_COLUMNS`."""
    return [
        {
            "impurity": i["impurity"], "moment": i["when"],
            "time": datetime.fromisoformat(i["time"]).isoformat(sep=" ", timespec="seconds"), "percent": i["percent"],
            "share": share_text(i["percent"], at_most=i["at_most"]), "at_most": i["at_most"],
            "limit_percent": i["limit_percent"], "crosses": i["crosses"],
        }
        for i in release.impurities
    ]  # fmt: skip


def share_text(percent: float, *, at_most: bool) -> str:
    """A share in percent with three digits, and no exponent where it can be read without one."""
    return ("≤ " if at_most else "") + decimal_text(Decimal(f"{percent:.3g}")) + " %"


def specification_rows(specification: Specification) -> list[dict[str, Any]]:
    """Rows of `SPECIFICATION_COLUMNS`."""
    return [
        {
            "id": r.id, "test": r.test, "limit": r.limit.text(), "phase": r.phase, "method": r.method or None,
            "rounding": r.limit.rounding, "reference_time": r.reference_time or None, "tag": r.tag, "source": r.source,
            "note": r.note or None,
        }
        for r in specification.rows
    ]  # fmt: skip


def trail_rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Rows of `TRAIL_COLUMNS`."""
    return [
        {
            "seq": e.seq, "time_utc": str(e.body.get("time", "")), "zone": str(e.body.get("zone", "")),
            "actor": str(e.body.get("actor", "")), "action": e.action, "batch": e.batch or None,
            "what": "; ".join(_what(e)) or None,
            "reason": str(e.body.get("reason", "")) or None, "hash": e.hash[:16],
        }
        for e in entries
    ]  # fmt: skip


def recipe_rows(recipes: Iterable[Recipe]) -> list[dict[str, Any]]:
    """One row per recipe."""
    return [
        {
            "recipe": r.name, "title": r.title, "tag": r.tag,
            "parameters": "; ".join(
                f"{k} {' to '.join(map(str, v)) if isinstance(v, list) else v}" for k, v in r.parameters.items()
            ),
            "source": r.source,
        }
        for r in recipes
    ]  # fmt: skip


def _what(entry: Entry) -> Iterator[str]:
    data = entry.data
    changes = data.get("changes")
    for change in changes if isinstance(changes, list) else ():
        if isinstance(change, Mapping):
            yield f"{change.get('field')}: {_shown(change.get('old'))} -> {_shown(change.get('new'))}"
    if "to" in data:
        yield f"{data.get('from')} -> {data['to']}"
    if "decision" in data:
        yield f"decision {data['decision']}"
    if "meaning" in data:
        yield f"signed '{data['meaning']}' over entry {data.get('signed_seq')}"
    if entry.action == "batch entered":
        yield f"content {str(data.get('content_sha256', ''))[:16]}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
