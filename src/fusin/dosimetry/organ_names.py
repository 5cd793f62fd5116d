"""One organ, many spellings: names of sources and targets in the tables that people import."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fusin.errors import InputError

__all__ = ["find_organ", "nearest", "organ", "organ_key", "organ_parts", "organ_within"]

_SIGNS = re.compile(r"[^\w]+|_")


@dataclass(frozen=True, slots=True)
class _Names:
    """What ``organ_names.toml`` says: spelling to organ, organ to its parts, sub-region to its organ."""

    by_spelling: Mapping[str, str]
    parts: Mapping[str, tuple[str, ...]]
    within: Mapping[str, str]


@cache
def _names() -> _Names:
    text = resources.files("fusin.dosimetry").joinpath("organ_names.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return _Names(
        {organ_key(s): name for name, row in table.items() for s in (name, *row["names"])},
        {name: tuple(row["parts"]) for name, row in table.items() if "parts" in row},
        {name: str(row["within"]) for name, row in table.items() if "within" in row},
    )


def organ_key(name: str) -> str:
    """A name without case, blanks and punctuation."""
    return _SIGNS.sub("", name.casefold())


def organ(name: str) -> str:
    """The organ that a name stands for; an unknown name stands for itself.

    >>> organ("RKidney + LKidney"), organ("Red Mar."), organ("Aorta ")
    ('kidneys', 'red_marrow', 'aorta')
    """
    key = organ_key(name)
    return _names().by_spelling.get(key, key)


def organ_parts(name: str) -> tuple[str, ...]:
    """Organs that make up an organ together, for example both kidneys; empty when it is one."""
    return _names().parts.get(organ(name), ())


def organ_within(name: str) -> str:
    """The organ that a sub-region belongs to; empty when it is none."""
    return _names().within.get(organ(name), "")


def find_organ(name: str, among: Sequence[str]) -> str | None:
    """The entry of a list that stands for the same organ, or None.

    Raises
    ------
    InputError
        When two entries do.
    """
    exact = [n for n in among if organ_key(n) == organ_key(name)]
    found = exact or [n for n in among if organ(n) == organ(name)]
    if len(found) > 1:
        raise InputError("organs", name, ", ".join(found), "one entry for each organ")
    return found[0] if found else None


def nearest(name: str, among: Sequence[str], most: int = 3) -> str:
    """Entries that are spelt like a name, or the first of the list; for a message."""
    if len(among) <= 2 * most:
        return ", ".join(among)
    by_key = {organ_key(n): n for n in among}
    near = [by_key[k] for k in difflib.get_close_matches(organ_key(name), list(by_key), n=most, cutoff=0.5)]
    listed = near or list(among)[: 2 * most]
    return ", ".join(listed) + (", ..." if len(listed) < len(among) and not near else "")
