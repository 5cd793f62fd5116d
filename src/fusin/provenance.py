"""Notices and provenance: what was adapted, and where every number comes from."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Literal

from fusin.errors import StrictRefusal

__all__ = [
    "InputFile",
    "Method",
    "Notice",
    "NoticeLog",
    "Provenance",
    "Severity",
    "canonical_json",
    "jsonable",
    "notice_codes",
    "sha256_of",
    "versions",
]

Severity = Literal["info", "adapted", "warning"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One adaptation, assumption or doubt.

    Attributes
    ----------
    code : category from ``notices.toml``, upper snake case
    severity : ``info`` (worth knowing), ``adapted`` (a value was changed or assumed; refused in
        strict mode) or ``warning`` (the number stands, and a reader should doubt it)
    message : one sentence with the values
    where : file, series or region
    raw : the value found
    used : the value used
    """

    code: str
    severity: Severity
    message: str
    where: str = ""
    raw: Any = None
    used: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the notice as a JSON-ready mapping."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "where": self.where,
            "raw": jsonable(self.raw),
            "used": jsonable(self.used),
        }


@dataclass(slots=True)
class NoticeLog:
    """Collects notices in order; each (code, where, message) is kept once.

    Parameters
    ----------
    strict : turn each adaptation into a refusal
    """

    strict: bool = False
    _notices: dict[tuple[str, str, str], Notice] = field(default_factory=dict)

    def info(self, code: str, message: str, *, where: str = "", raw: Any = None, used: Any = None) -> None:
        """Record something worth knowing."""
        self.add(Notice(code, "info", message, where, raw, used))

    def warning(self, code: str, message: str, *, where: str = "", raw: Any = None, used: Any = None) -> None:
        """Record a doubt about a number that stands."""
        self.add(Notice(code, "warning", message, where, raw, used))

    def adapted(self, code: str, message: str, *, where: str = "", raw: Any = None, used: Any = None) -> None:
        """Record that a value was changed or assumed.

        Raises
        ------
        StrictRefusal
            In strict mode.
        """
        self.add(Notice(code, "adapted", message, where, raw, used))

    def add(self, notice: Notice) -> None:
        """Record a notice made elsewhere, under this log's strictness."""
        if self.strict and notice.severity == "adapted":
            raise StrictRefusal(
                notice.where or "the result",
                f"strict mode refuses an adaptation: {notice.message}",
                "an input that needs none, or a run without --strict",
                notice.code,
            )
        self._notices.setdefault((notice.code, notice.where, notice.message), notice)

    def extend(self, notices: Iterable[Notice]) -> None:
        """Record several notices."""
        for notice in notices:
            self.add(notice)

    def __iter__(self) -> Iterator[Notice]:
        return iter(self._notices.values())

    def __len__(self) -> int:
        return len(self._notices)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """All notices in the order in which they were recorded."""
        return tuple(self._notices.values())


@cache
def notice_codes() -> Mapping[str, str]:
    """Return the registry of notice codes: code to what it means for the reader."""
    text = resources.files("fusin").joinpath("notices.toml").read_text(encoding="utf-8")
    return {str(code): str(meaning) for code, meaning in tomllib.loads(text).items()}


@dataclass(frozen=True, slots=True)
class Method:
    """A method that produced numbers, with the citation a report prints."""

    id: str
    citation: str


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input, named relative to the study, with its digest."""

    path: str
    sha256: str
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a result comes from: inputs, parameters, methods, versions."""

    inputs: tuple[InputFile, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[Method, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the provenance as a JSON-ready mapping."""
        return {
            "inputs": [{"path": i.path, "sha256": i.sha256, "uid": i.uid} for i in self.inputs],
            "parameters": jsonable(self.parameters),
            "methods": [{"id": m.id, "citation": m.citation} for m in self.methods],
            "versions": dict(self.versions),
        }


def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of fusin and of the packages named."""
    found = {}
    for name in ("fusin", *packages):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as lower-case hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def jsonable(value: Any) -> Any:
    """Turn a value into what JSON can hold; NaN and infinities become null, dates become ISO text."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def canonical_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON text with a fixed layout, so that equal results are equal bytes."""
    return json.dumps(jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)
