"""Specifications of products: versioned, cited documents as data, and those that a site derives from one of them.

There is no universal limit: the same test differs by product and by authority. A batch therefore names its specification by
id and version, and pins the hash of what was read. A row whose number nobody has verified is present with its tag and has
no limit until a site sets one.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from fusin.errors import InputError
from fusin.provenance import canonical_json
from fusin.radiopharmacy.limits import OPERATORS, Limit, Operator, Rounding, known_unit

__all__ = [
    "VERIFIED",
    "Override",
    "Phase",
    "SpecRow",
    "Specification",
    "find_specification",
    "load_specification",
    "shipped_specifications",
    "specification_from_text",
]

Phase = Literal["pre-release", "post-release"]
VERIFIED = frozenset({"V", "D", "C", "site"})
"""Tags whose numbers are used unasked: read in the source, derived from it, computed, or set by the site itself."""

_ROW_KEYS = frozenset(
    {
        "id",
        "test",
        "method",
        "operator",
        "low",
        "high",
        "bound",
        "inclusive",
        "unit",
        "per_volume",
        "phase",
        "reference_time",
    }
    | {"rounding", "requirement", "source", "tag", "kind", "note", "reason", "lines_kev", "sum_kev", "deferrable"}
)
_HEAD_KEYS = frozenset(
    {
        "id",
        "version",
        "title",
        "product",
        "nuclide",
        "source",
        "sources",
        "status",
        "test",
        "mass_balance",
        "stability_h",
    }
    | {"stability_source", "base", "override", "remove", "note", "site"}
)
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRow:
    """One test of a specification.

    Attributes
    ----------
    id, test, method : short name, words, and how it is measured
    limit : what must be met
    phase : whether the result must be there before release
    reference_time : moment to which the limit refers, in words; empty when the source names none
    kind : what fusin can compute for it (``half_life``, ``identity``, ``activity``, ``content``, ``ge68``, ``lu177m``,
        ``endotoxin``, ``peptide`` ...); empty for a test that is only entered
    lines_kev, sum_kev : expected lines and the sum peaks that may appear [keV], for ``identity``
    deferrable : whether a conditional release may go out without it
    source, tag : citation, and V, D, C (usable), ``site``, or S, U, M (unverified: never a limit)
    note, reason : remark, and why a site changed the row
    """

    id: str
    test: str
    method: str
    limit: Limit
    phase: Phase
    source: str
    tag: str
    reference_time: str = ""
    kind: str = ""
    lines_kev: tuple[Decimal, ...] = ()
    sum_kev: tuple[Decimal, ...] = ()
    deferrable: bool = False
    note: str = ""
    reason: str = ""

    @property
    def judged(self) -> bool:
        """Whether the row has a limit that may be used."""
        return self.limit.operator != "none" and self.tag in VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What a site changed: the row, its limit before and after, why, and on whose authority."""

    row: str
    before: str
    after: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """A product's specification.

    Attributes
    ----------
    id, version : together they name the document; a change of content needs a new version
    title, product, nuclide, source : what it is about and where it comes from
    status : such as ``published`` or ``no published specification``
    rows : tests in their printed order
    mass_balances : groups of rows that add up to 100 %
    stability_h, stability_source : validated shelf life after the end of synthesis [h], None when not stated
    base : ``ID@version`` of the specification that a site derived this one from
    overrides : what the site changed
    """

    id: str
    version: int
    title: str
    product: str
    nuclide: str
    source: str
    status: str
    rows: tuple[SpecRow, ...]
    mass_balances: tuple[tuple[str, ...], ...] = ()
    stability_h: Decimal | None = None
    stability_source: str = ""
    base: str = ""
    overrides: tuple[Override, ...] = ()

    @property
    def name(self) -> str:
        """``ID@version``."""
        return f"{self.id}@{self.version}"

    def row(self, row_id: str) -> SpecRow | None:
        """The row of an id, or None."""
        return next((r for r in self.rows if r.id == row_id), None)

    def to_json(self) -> dict[str, Any]:
        """Everything that the hash covers."""
        return {
            "id": self.id, "version": self.version, "title": self.title, "product": self.product, "nuclide": self.nuclide,
            "source": self.source, "status": self.status, "rows": [_row_json(r) for r in self.rows],
            "mass_balances": [list(g) for g in self.mass_balances],
            "stability_h": None if self.stability_h is None else str(self.stability_h),
            "stability_source": self.stability_source, "base": self.base,
            "overrides": [
                {"row": o.row, "before": o.before, "after": o.after, "reason": o.reason, "source": o.source}
                for o in self.overrides
            ],
        }  # fmt: skip

    @property
    def sha256(self) -> str:
        """Hash of the whole content; a batch pins it."""
        return hashlib.sha256(canonical_json(self.to_json(), indent=None).encode("utf-8")).hexdigest()


@cache
def shipped_specifications() -> Mapping[str, Specification]:
    """The specifications that ship with fusin, by ``ID@version``."""
    folder = resources.files("fusin.radiopharmacy").joinpath("specifications")
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            specification = specification_from_text(entry.read_text(encoding="utf-8"), where=entry.name)
            found[specification.name] = specification
    return found


def find_specification(name: str) -> Specification:
    """A shipped specification by ``ID@version``; the version may be left out where there is only one.

    Raises
    ------
    InputError
        For an unknown id or version, with those that exist.
    """
    shipped = shipped_specifications()
    if name in shipped:
        return shipped[name]
    same = [s for s in shipped.values() if s.id == name]
    if len(same) == 1:
        return same[0]
    raise InputError("specification", "name", name, "one of " + ", ".join(shipped) + ", or a specification_file")


def load_specification(path: Path) -> Specification:
    """Read a site's own specification.

    Raises
    ------
    InputError
        For a file that is absent, too large, not UTF-8 or no such document.
    """
    if not path.is_file():
        raise InputError(path.name, "specification_file", "nothing", "a specification (.toml) that exists")
    data = path.read_bytes()
    if len(data) > _MOST_BYTES:
        raise InputError(path.name, "file", f"{len(data)} bytes", "a specification of less than 1 MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x} at {err.start}", "UTF-8 text") from err
    return specification_from_text(text, where=path.name)


def specification_from_text(text: str, *, where: str) -> Specification:
    """Read a specification from TOML text.

    Parameters
    ----------
    text : the document; with ``base = "ID@version"`` its rows override those of a shipped one
    where : its name for messages

    Raises
    ------
    InputError
        For what is no such document: which row, which field.
    """
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise InputError(where, "TOML", str(err), "a readable TOML document") from err
    unknown = sorted(set(document) - _HEAD_KEYS)
    if unknown:
        raise InputError(where, unknown[0], "an unknown key", "one of " + ", ".join(sorted(_HEAD_KEYS)))
    specification = _head(document, where)
    if "base" in document:
        return _derived(specification, document, where)
    rows = _tables(document, "test", where)
    if not rows:
        raise InputError(where, "test", "no rows", "at least one [[test]], or a base")
    made = tuple(_row(r, document, where, None) for r in rows)
    return _checked(replace(specification, rows=made), where)


def _head(document: Mapping[str, Any], where: str) -> Specification:
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(where, "version", version, "a whole number from 1")
    balances = document.get("mass_balance", [])
    if not (
        isinstance(balances, list) and all(isinstance(b, list) and all(isinstance(t, str) for t in b) for b in balances)
    ):
        raise InputError(where, "mass_balance", str(balances)[:60], 'groups of rows, such as [["product", "free"]]')
    stability = document.get("stability_h")
    hours = None if stability is None else _decimal(stability, where, "stability_h")
    if hours is not None and hours <= 0:
        raise InputError(where, "stability_h", str(hours), "a positive number of hours")
    base = document.get("base", "")
    parent = find_specification(_text(document, "base", where)) if base else None

    def text(key: str, default: str | None = None) -> str:
        return _text(document, key, where, default=getattr(parent, key) if parent is not None else default)

    return Specification(
        id=_text(document, "id", where), version=version, title=text("title"), product=text("product"),
        nuclide=text("nuclide"), source=_text(document, "source", where, default="site" if parent else None),
        status=_text(document, "status", where, default="site" if parent else "published"), rows=(),
        mass_balances=tuple(tuple(b) for b in balances) or (parent.mass_balances if parent else ()),
        stability_h=hours if hours is not None else (parent.stability_h if parent else None),
        stability_source=text("stability_source", ""), base=parent.name if parent else "",
    )  # fmt: skip


def _derived(specification: Specification, document: Mapping[str, Any], where: str) -> Specification:
    """The rows of the base with a site's overrides, each of which says why."""
    parent = find_specification(str(document["base"]))
    rows = {r.id: r for r in parent.rows}
    done: list[Override] = []
    for change in _tables(document, "override", where):
        row_id = _text(change, "id", f"{where}: override")
        at = f"{where}: override {row_id}"
        if row_id not in rows:
            raise InputError(at, "id", row_id, f"a row of {parent.name} ({', '.join(rows)}); a new test is a [[test]]")
        reason, source = _text(change, "reason", at), _text(change, "source", at)
        before = rows[row_id]
        rows[row_id] = _row(change, document, where, before)
        done.append(
            Override(
                row=row_id, before=before.limit.text(), after=rows[row_id].limit.text(), reason=reason, source=source
            )
        )
    for row in _tables(document, "test", where):
        made = _row(row, document, where, None)
        if made.id in rows:
            raise InputError(f"{where}: test {made.id}", "id", made.id, "an [[override]]; the base has this row")
        rows[made.id] = made
        done.append(
            Override(row=made.id, before="absent", after=made.limit.text(), reason=made.reason, source=made.source)
        )
    for gone in _tables(document, "remove", where):
        row_id, at = _text(gone, "id", f"{where}: remove"), f"{where}: remove"
        if row_id not in rows:
            raise InputError(at, "id", row_id, f"a row of {parent.name}")
        done.append(
            Override(
                row=row_id,
                before=rows.pop(row_id).limit.text(),
                after="removed",
                reason=_text(gone, "reason", f"{at} {row_id}"),
                source=_text(gone, "source", f"{at} {row_id}"),
            )
        )
    balances = tuple(b for b in specification.mass_balances if all(t in rows for t in b))
    return _checked(
        replace(specification, rows=tuple(rows.values()), overrides=tuple(done), mass_balances=balances), where
    )


def _checked(specification: Specification, where: str) -> Specification:
    ids = [r.id for r in specification.rows]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice:
        raise InputError(where, "test id", twice, "each id once")
    for name in (t for b in specification.mass_balances for t in b):
        if name not in ids:
            raise InputError(where, "mass_balance", name, "rows of this specification")
    return specification


def _row(row: Mapping[str, Any], document: Mapping[str, Any], where: str, before: SpecRow | None) -> SpecRow:
    """A row from its table; what an override leaves out stays as it was."""
    row_id = _text(row, "id", f"{where}: test")
    at = f"{where}: {row_id}"
    unknown = sorted(set(row) - _ROW_KEYS)
    if unknown:
        raise InputError(at, unknown[0], "an unknown key", "one of " + ", ".join(sorted(_ROW_KEYS)))
    phase = _text(row, "phase", at, default=before.phase if before else None)
    if phase not in ("pre-release", "post-release"):
        raise InputError(at, "phase", phase, "pre-release or post-release")
    sources = document.get("sources", {})
    source = _text(row, "source", at, default=before.source if before else str(document.get("source", "")))
    tag = _text(row, "tag", at, default="site" if before or "base" in document else None)
    limit = _limit(row, at, before.limit if before else None)
    if tag not in VERIFIED and limit.operator != "none":
        raise InputError(at, "tag", tag, "operator none: an unverified number is never a limit; a site sets its own")
    return SpecRow(
        id=row_id, test=_text(row, "test", at, default=before.test if before else None),
        method=_text(row, "method", at, default=before.method if before else ""), limit=limit, phase=cast(Phase, phase),
        source=str(sources.get(source, source)) if isinstance(sources, dict) else source, tag=tag,
        reference_time=_text(row, "reference_time", at, default=before.reference_time if before else ""),
        kind=_text(row, "kind", at, default=before.kind if before else ""),
        lines_kev=_numbers(row, "lines_kev", at) or (before.lines_kev if before else ()),
        sum_kev=_numbers(row, "sum_kev", at) or (before.sum_kev if before else ()),
        deferrable=_flag(row, "deferrable", at, before.deferrable if before else False),
        note=_text(row, "note", at, default=before.note if before else ""), reason=_text(row, "reason", at, default=""),
    )  # fmt: skip


def _limit(row: Mapping[str, Any], at: str, before: Limit | None) -> Limit:
    operator = cast(Operator, _text(row, "operator", at, default=before.operator if before else None))
    if operator not in OPERATORS:
        raise InputError(at, "operator", operator, "one of " + ", ".join(OPERATORS))
    kept = before if before is not None and operator == before.operator else None

    def number(key: str, old: Decimal | None) -> Decimal | None:
        return _decimal(row[key], at, key) if key in row else old

    bound = number("bound", None)
    low, high = number("low", kept.low if kept else None), number("high", kept.high if kept else None)
    if operator in (">=", ">"):
        low, high = (bound if bound is not None else low), None
    elif operator in ("<=", "<"):
        low, high = None, (bound if bound is not None else high)
    elif operator != "range":
        low = high = None
    needed = {">=": (low,), ">": (low,), "<=": (high,), "<": (high,), "range": (low, high)}.get(operator, ())
    if any(n is None for n in needed):
        raise InputError(at, "low and high" if operator == "range" else "bound", "nothing", f"a number for {operator}")
    if operator == "range" and low is not None and high is not None and low > high:
        raise InputError(at, "low", f"{low} above {high}", "the lower bound first")
    unit = _text(row, "unit", at, default=before.unit if before else "")
    if operator in (">=", ">", "<=", "<", "range") and not known_unit(unit) and not unit.upper().endswith("/V"):
        raise InputError(at, "unit", unit, "a unit that fusin converts, such as %, min, MBq, EU/mL, ug/GBq, mbar")
    rounding = _text(row, "rounding", at, default=before.rounding if before else "none")
    if rounding not in ("none", "limit-digits"):
        raise InputError(at, "rounding", rounding, "none or limit-digits")
    return Limit(
        operator=operator, low=low, high=high, inclusive=_flag(row, "inclusive", at, kept.inclusive if kept else True),
        unit=unit, per_volume=_flag(row, "per_volume", at, before.per_volume if before else False),
        requirement=_text(row, "requirement", at, default=before.requirement if before else ""),
        rounding=cast(Rounding, rounding),
    )  # fmt: skip


def _row_json(row: SpecRow) -> dict[str, Any]:
    limit = row.limit
    return {
        "id": row.id, "test": row.test, "method": row.method, "operator": limit.operator,
        "low": None if limit.low is None else str(limit.low), "high": None if limit.high is None else str(limit.high),
        "inclusive": limit.inclusive, "unit": limit.unit, "per_volume": limit.per_volume,
        "requirement": limit.requirement, "rounding": limit.rounding, "phase": row.phase,
        "reference_time": row.reference_time, "kind": row.kind, "lines_kev": [str(v) for v in row.lines_kev],
        "sum_kev": [str(v) for v in row.sum_kev], "deferrable": row.deferrable, "source": row.source, "tag": row.tag,
        "note": row.note, "reason": row.reason,
    }  # fmt: skip


def _tables(document: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    found = document.get(key, [])
    if not (isinstance(found, list) and all(isinstance(t, dict) for t in found)):
        raise InputError(where, key, "something else", f"tables written as [[{key}]]")
    return found


def _text(row: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    if key not in row and default is not None:
        return default
    value = row.get(key)
    if not isinstance(value, str) or (not value.strip() and default is None):
        raise InputError(where, key, "nothing" if value is None else value, "text")
    return value.strip()


def _flag(row: Mapping[str, Any], key: str, where: str, default: bool) -> bool:
    value = row.get(key, default)
    if not isinstance(value, bool):
        raise InputError(where, key, str(value), "true or false")
    return value


def _decimal(value: Any, where: str, key: str) -> Decimal:
    # Bounds are written as text where their digits matter: TOML numbers lose no digits here, but editors do.
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InputError(where, key, str(value), "a number")
    try:
        number = Decimal(value)
    except ArithmeticError as err:
        raise InputError(where, key, str(value), "a number with a decimal point") from err
    if not number.is_finite():
        raise InputError(where, key, str(value), "a finite number")
    return number


def _numbers(row: Mapping[str, Any], key: str, where: str) -> tuple[Decimal, ...]:
    values = row.get(key, [])
    if not isinstance(values, list):
        raise InputError(where, key, str(values), "a list of numbers")
    return tuple(_decimal(v, where, key) for v in values)
