"""Coded concepts of the DICOM objects that fusin writes, by name.

The codes themselves are data (``codes.toml``). Names are those of the field: DICOM keywords in lower case,
TotalSegmentator's organ names, ``Ga-68``, UCUM units.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fusin.errors import InputError

__all__ = ["PRIVATE_SCHEME", "Concept", "Site", "code", "code_names", "has_code", "name_of", "site_of"]

PRIVATE_SCHEME = "99FUSIN"
"""Coding Scheme Designator of concepts without a public code (designators of private schemes begin with 99)."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One coded concept: code value, coding scheme designator, code meaning."""

    value: str
    scheme: str
    meaning: str

    def same_as(self, value: str, scheme: str) -> bool:
        """Whether a code value and scheme mean this concept; the meaning text may differ between writers."""
        return (self.value, self.scheme) == (value, scheme)


@dataclass(frozen=True, slots=True)
class Site:
    """An anatomical site with its side; ``laterality`` is None where the structure has none."""

    concept: Concept
    laterality: Concept | None = None


@cache
def _groups() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files("fusin.imaging").joinpath("codes.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _concepts() -> Mapping[str, Concept]:
    return {name: Concept(*row) for group, rows in _groups().items() if group != "alias" for name, row in rows.items()}


def code_names(group: str) -> tuple[str, ...]:
    """Names of one group of ``codes.toml`` in file order, for example ``"unit"`` or ``"site"``.

    Raises
    ------
    InputError
        When there is no such group.
    """
    if group not in _groups():
        raise InputError("codes.toml", "group", group, f"one of {', '.join(_groups())}")
    return tuple(_groups()[group])


def has_code(name: str) -> bool:
    """Whether a name or alias is known."""
    return name in _concepts() or name in _groups()["alias"]


def code(name: str) -> Concept:
    """Coded concept of a name or alias.

    Raises
    ------
    InputError
        When the name is unknown.

    Examples
    --------
    >>> code("suvbw")
    Concept(value='126401', scheme='DCM', meaning='SUVbw')
    >>> code("{SUVbw}g/ml").value
    'g/ml{SUVbw}'
    """
    name = _groups()["alias"].get(name, name)
    if name not in _concepts():
        raise InputError("coded concepts", "name", name, "a name or alias of codes.toml")
    return _concepts()[name]


def name_of(value: str, scheme: str) -> str:
    """Name of a coded concept, or ``scheme:value`` where fusin has none.

    Both orders of the SUV unit (``g/ml{SUVbw}`` and ``{SUVbw}g/ml``) give the same name.
    """
    value = str(_groups()["alias"].get(value, value)) if scheme == "UCUM" else value
    for name, concept in _concepts().items():
        if concept.same_as(value, scheme):
            return name
    return f"{scheme}:{value}"


def site_of(name: str) -> Site | None:
    """Anatomical site that a region's name means, or None.

    Understands the names of ``[site]``, their aliases, a trailing or inner ``left``/``right`` and a trailing number
    (``kidney_left``, ``lung_upper_lobe_right``, ``rib_left_7``, ``Kidney Right``).

    Examples
    --------
    >>> site_of("adrenal_gland_left").laterality.meaning
    'Left'
    >>> site_of("lesion 3") is None
    True
    """
    sites = _groups()["site"]
    aliases = _groups()["alias"]
    by_lower = {key.lower(): key for key in (*sites, *aliases)}
    words = re.sub(r"[\s\-]+", "_", name.strip().lower())
    if words in by_lower:
        return _site(by_lower[words], None)
    parts = [part for part in words.split("_") if part]
    sides = [part for part in parts if part in ("left", "right")]
    bare = "_".join(part for part in parts if part not in ("left", "right") and not part.isdigit())
    if bare not in by_lower or len(sides) > 1:
        return None
    return _site(by_lower[bare], code(sides[0]) if sides else None)


def _site(name: str, laterality: Concept | None) -> Site | None:
    resolved = _groups()["alias"].get(name, name)
    return Site(_concepts()[resolved], laterality) if resolved in _groups()["site"] else None
