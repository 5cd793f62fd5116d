"""Nuclides by name, DICOM code or half-life, each number with its source.

The data lie in ``nuclides.toml``; another table can be passed to every function::

    >>> nuclide("Ga-68").half_life_s
    4062.6
    >>> nuclide("^68^Gallium") is nuclide("68-Ga")
    True
    >>> nuclide_from_code("C-111A1", "SRT").name
    'F-18'
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from fusin.errors import Ambiguous, InputError

__all__ = [
    "Nuclide",
    "NuclideTable",
    "default_nuclides",
    "nuclide",
    "nuclide_from_code",
    "nuclide_from_half_life",
]

_SECONDS: Mapping[str, float] = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

# SNOMED RT values are written under three designators in the field (DICOM PS3.16, annex 8).
_SRT_NAMES = ("SRT", "SNM3", "99SDM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nuclide:
    """One nuclide with cited constants.

    Attributes
    ----------
    name : canonical name, for example ``"Ga-68"`` or ``"Lu-177m"``
    element : English element name, lower case
    half_life, half_life_unit : default value as printed by its source
    source : citation of the default half-life
    evaluated_half_life_s : newer evaluated value [s]
    half_life_u_s : standard uncertainty of the evaluated value [s]; None when it is unverified
    uncertainty_source : citation of the evaluated value and its uncertainty
    tag : V read in the source, U unverified
    positron_fraction, positron_u : positrons per decay and standard uncertainty; None for other emitters
    positron_source : citation of the positron fraction, else empty
    progeny : radioactive daughters in this table with their branching fraction
    codes : (value, scheme) pairs of RadionuclideCodeSequence
    meaning : DICOM code meaning, empty when there is no code
    note : what a reader should know
    """

    name: str
    element: str
    half_life: float
    half_life_unit: str
    source: str
    evaluated_half_life_s: float
    half_life_u_s: float | None
    uncertainty_source: str
    tag: str
    positron_fraction: float | None = None
    positron_u: float | None = None
    positron_source: str = ""
    progeny: Mapping[str, float] = field(default_factory=dict)
    codes: tuple[tuple[str, str], ...] = ()
    meaning: str = ""
    note: str = ""

    @property
    def half_life_s(self) -> float:
        """Default half-life [s]."""
        return _seconds(self.half_life, self.half_life_unit)

    @property
    def decay_constant_per_s(self) -> float:
        """Decay constant ln 2 / half-life [1/s]."""
        return math.log(2.0) / self.half_life_s

    @property
    def half_life_u_total_s(self) -> float | None:
        """Standard uncertainty of the default value [s], None when unverified.

        The evaluated uncertainty combined in quadrature with the distance between the default and the
        evaluated value, because that distance is known and left uncorrected (JCGM 100:2008, F.2.4.5).
        """
        if self.half_life_u_s is None:
            return None
        return math.hypot(self.half_life_u_s, self.half_life_s - self.evaluated_half_life_s)

    @property
    def symbol(self) -> str:
        """Element symbol."""
        return self.name.split("-")[0]

    @property
    def mass_number(self) -> int:
        """Mass number without the isomer's letter."""
        return int(self.name.split("-")[1].rstrip("m"))


@dataclass(frozen=True, slots=True, eq=False)
class NuclideTable:
    """Nuclides that can be asked for by name, code or half-life."""

    nuclides: tuple[Nuclide, ...]
    _by_key: dict[str, Nuclide] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for entry in self.nuclides:
            mass = entry.name.split("-")[1]
            for stem in (entry.symbol, entry.element):
                for key in (_key(mass + stem), _key(stem + mass)):
                    if key in self._by_key:
                        raise InputError("nuclide table", "name", entry.name, "each nuclide once")
                    self._by_key[key] = entry

    @classmethod
    def load(cls, path: Path) -> NuclideTable:
        """Read a table laid out like ``nuclides.toml``.

        Raises
        ------
        InputError
            For a file that is not such a table: which nuclide, which field.
        """
        return cls.from_text(path.read_text(encoding="utf-8"), where=path.name)

    @classmethod
    def from_text(cls, text: str, *, where: str) -> NuclideTable:
        """Read a table from TOML text; ``where`` names it in errors."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as err:
            raise InputError(where, "TOML", str(err), "a readable TOML document") from err
        sources = document.pop("sources", {})
        return cls(tuple(_nuclide(name, row, sources, where) for name, row in document.items()))

    def __iter__(self) -> Iterator[Nuclide]:
        return iter(self.nuclides)

    def __len__(self) -> int:
        return len(self.nuclides)

    def get(self, name: str) -> Nuclide:
        """The nuclide of a name in any of the field's spellings.

        Raises
        ------
        InputError
            For an unknown name, with the nearest names.
        """
        key = _key(name)
        found = self._by_key.get(key)
        if found is None:
            near = difflib.get_close_matches(key, self._by_key, n=5, cutoff=0.6)
            names = list(dict.fromkeys(self._by_key[k].name for k in near)) or [n.name for n in self.nuclides]
            raise InputError("nuclide table", "nuclide", name, "one of " + ", ".join(names))
        return found

    def from_code(self, value: str, scheme: str) -> Nuclide:
        """The nuclide of a coded value, for example ``("C-131A3", "SRT")``.

        Raises
        ------
        InputError
            For a code that no nuclide carries.
        """
        wanted = (value.strip().upper(), "SRT" if scheme.strip().upper() in _SRT_NAMES else scheme.strip().upper())
        for entry in self.nuclides:
            if wanted in entry.codes:
                return entry
        raise InputError(
            "RadionuclideCodeSequence (0054,0300)",
            "code",
            f"{value} ({scheme})",
            "a radionuclide of DICOM CID 18 or CID 4020 that fusin knows",
        )

    def from_half_life(self, seconds: float, tolerance: float = 0.01) -> Nuclide:
        """The nuclide whose half-life lies within a relative tolerance.

        Parameters
        ----------
        seconds : half-life [s]
        tolerance : largest relative difference, for example 0.01

        Raises
        ------
        InputError
            When no nuclide is near enough, or the value is not a positive number.
        Ambiguous
            When several are.
        """
        if not (math.isfinite(seconds) and seconds > 0):
            raise InputError("half-life", "seconds", seconds, "a positive number of seconds")
        near = [n for n in self.nuclides if abs(seconds / n.half_life_s - 1.0) <= tolerance]
        if len(near) > 1:
            raise Ambiguous(
                "the nuclide",
                f"a half-life of {seconds:g} s fits {', '.join(n.name for n in near)} within {tolerance:.2%}",
                "the radionuclide code (0054,0300)",
                "NUCLIDE_AMBIGUOUS",
            )
        if not near:
            closest = min(self.nuclides, key=lambda n: abs(math.log(seconds / n.half_life_s)))
            raise InputError(
                "half-life",
                "seconds",
                seconds,
                f"within {tolerance:.2%} of a known nuclide (nearest {closest.name}, {closest.half_life_s:g} s)",
            )
        return near[0]


@cache
def default_nuclides() -> NuclideTable:
    """Return the table that ships with fusin."""
    text = resources.files("fusin").joinpath("nuclides.toml").read_text(encoding="utf-8")
    return NuclideTable.from_text(text, where="nuclides.toml")


def nuclide(name: str, *, table: NuclideTable | None = None) -> Nuclide:
    """Return a nuclide by name: ``Ga-68``, ``68Ga``, ``Ga68``, ``^68^Gallium``, ``68-Ga``, ``gallium-68``.

    Raises
    ------
    InputError
        For an unknown name, with the nearest names.
    """
    return (table or default_nuclides()).get(name)


def nuclide_from_code(value: str, scheme: str, *, table: NuclideTable | None = None) -> Nuclide:
    """Return the nuclide of a DICOM code; see :meth:`NuclideTable.from_code`."""
    return (table or default_nuclides()).from_code(value, scheme)


def nuclide_from_half_life(seconds: float, tolerance: float = 0.01, *, table: NuclideTable | None = None) -> Nuclide:
    """Return the nuclide of a half-life [s]; see :meth:`NuclideTable.from_half_life`."""
    return (table or default_nuclides()).from_half_life(seconds, tolerance)


def _key(name: str) -> str:
    return "".join(c for c in name.lower() if c.isascii() and c.isalnum())


def _seconds(value: float, unit: str) -> float:
    # 67.71 * 60.0 is one bit below 4062.6; the printed decimal is what is meant.
    return float(f"{value * _SECONDS[unit]:.12g}")


def _nuclide(name: str, row: Mapping[str, Any], sources: Mapping[str, str], where: str) -> Nuclide:
    def need(key: str) -> Any:
        if key not in row:
            raise InputError(f"{where}: {name}", key, None, "a value")
        return row[key]

    unit = need("unit")
    if unit not in _SECONDS:
        raise InputError(f"{where}: {name}", "unit", unit, "s, min, h or d")
    for key in ("half_life", "evaluated", "evaluated_u"):
        if not float(need(key)) > 0:
            raise InputError(f"{where}: {name}", key, row[key], "a positive number")
    positron_source = row.get("positron_source", "")
    return Nuclide(
        name=name,
        element=need("element"),
        half_life=float(row["half_life"]),
        half_life_unit=unit,
        source=sources.get(need("source"), row["source"]),
        evaluated_half_life_s=_seconds(float(row["evaluated"]), unit),
        half_life_u_s=None if need("tag") == "U" else _seconds(float(row["evaluated_u"]), unit),
        uncertainty_source=sources.get(need("evaluated_source"), row["evaluated_source"]),
        tag=row["tag"],
        positron_fraction=row.get("positron_fraction"),
        positron_u=row.get("positron_u"),
        positron_source=sources.get(positron_source, positron_source),
        progeny=dict(row.get("progeny", {})),
        codes=tuple((value, scheme) for value, scheme in row.get("codes", [])),
        meaning=row.get("meaning", ""),
        note=row.get("note", ""),
    )
