"""Eligibility text of a registry record: unescaped, split into inclusion and exclusion, and checked for lost signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fusin.provenance import NoticeLog

__all__ = ["Criteria", "split_criteria", "unescape"]

_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!<>~^|&=$\"':;,?/@%])")
_WORDS = (
    "key|main|major|general|principal|primary|specific|common|additional|other|patient|patients|subject|subjects|"
    "participant|participants|study|trial|part|cohort|arm|group|phase|[ivx]+|[a-d]|\\d+"
)
_HEAD = re.compile(
    rf"^[\s#*_>\-–•.]*(?:(?:{_WORDS})\s+)*(?P<non>non[\s-]*)?(?P<kind>inclusion|exclusion)"
    r"(?:(?:\s+(?:criteria|criterion))(?P<scope>\s*(?:\([^)]*\)|(?:for|of|in)\s[^:]{1,80}))?[\s*_]*(?:[:\-–.]+|$)|\s*[*_]*\s*(?::|$))"
    r"[\s*_]*(?P<rest>.*)$",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^(?P<indent>\s*)(?:[*\-–•·]|\(?\d{1,2}[.)]|[a-z][.)])\s+(?P<text>.+)$")
# "Age = 18 years" where the record had ">=": a lone equal sign, or the replacement of a character that was lost.
_LOST = re.compile(r"(?<![<>=!≤≥])(?:=|\?|\ufffd)\s*\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Criteria of one study.

    Attributes
    ----------
    text : all of it, unescaped
    inclusion, exclusion : one entry per criterion of the first level; deeper levels follow their parent in its entry
    unsplit : what stands before any head, or everything where there is none
    """

    text: str
    inclusion: tuple[str, ...]
    exclusion: tuple[str, ...]
    unsplit: tuple[str, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """All criteria, each with its side in front."""
        sides = (("inclusion", self.inclusion), ("exclusion", self.exclusion), ("unsplit", self.unsplit))
        return tuple(f"{side}: {text}" for side, entries in sides for text in entries)


def unescape(text: str) -> str:
    """Remove the backslashes of Markdown: ``\\[68Ga\\]`` becomes ``[68Ga]``, ``\\>`` becomes ``>``."""
    return _ESCAPED.sub(r"\1", text)


def split_criteria(text: str, log: NoticeLog, *, where: str) -> Criteria:
    """Split the criteria text of a record at its heads, in their varieties.

    Parameters
    ----------
    text : as registered, with backslashes
    log : warns where no head was found and where a comparison sign seems lost
    where : NCT number for the notices
    """
    plain = unescape(text)
    sides: dict[str, list[str]] = {"unsplit": [], "inclusion": [], "exclusion": []}
    side = "unsplit"
    for line in plain.splitlines():
        head = _HEAD.match(line)
        if head:
            excluded = head["kind"].lower() == "exclusion" or bool(head["non"])
            side = "exclusion" if excluded else "inclusion"
            line = head["rest"]  # noqa: PLW2901 - what stands behind a head on its line is the first criterion
        if line.strip():
            sides[side].append(line.rstrip())
    if text and not (sides["inclusion"] or sides["exclusion"]):
        log.warning("TRIAL_CRITERIA_UNSPLIT", f"{where}: no inclusion or exclusion head was found", where=where)
    for line in plain.splitlines():
        if _LOST.search(line):
            message = f"{where}: a comparison sign may be lost in {line.strip()[:80]!r}: compare with the registry"
            log.warning("TRIAL_OPERATOR_LOST", message, where=where, raw=line.strip()[:80])
    entries = {name: tuple(_entries(lines)) for name, lines in sides.items()}
    return Criteria(text=plain, **entries)


def _entries(lines: list[str]) -> Iterator[str]:
    """Join what belongs to one criterion: deeper bullets and lines without a bullet follow the entry before them."""
    bullets = [m for line in lines if (m := _BULLET.match(line))]
    level = min((len(m["indent"]) for m in bullets), default=0)
    entry: list[str] = []
    for line in lines:
        match = _BULLET.match(line)
        first = match is not None and len(match["indent"]) <= level
        if entry and (first or not bullets):
            yield "\n".join(entry)
            entry = []
        entry.append(match["text"].strip() if match is not None and first else line.strip())
    if entry:
        yield "\n".join(entry)
