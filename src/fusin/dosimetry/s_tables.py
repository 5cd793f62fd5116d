"""S values from source to target, as a table that was imported with its origin.

Tables of reference phantoms are not shipped: their licences allow a user to read them, and not us to hand them on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.organ_names import find_organ, nearest, organ, organ_key, organ_parts
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog

__all__ = ["KEV_PER_S_GRAM", "REMAINDER", "STable", "absorbed_kev", "joined_tables", "with_masses", "with_remainder"]

KEV_PER_S_GRAM = 1.602176634e-4
"""mGy/(MBq s) of 1 keV absorbed per decay in 1 g: 1.602176634e-16 J/keV x 1e3 g/kg x 1e6 decays x 1e3 mGy (SI 2019)."""

REMAINDER = "remainder"
"""Name of the source that is the body less all other sources."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class STable:
    """Mean dose of targets per decay in sources.

    Attributes
    ----------
    name : what messages call it: the file, or the model
    nuclide : canonical name
    sources, targets : as the table spells them
    values : (targets, sources) S [mGy/(MBq s)]; NaN where the table has none
    u_relative : same shape, relative standard uncertainty of S as the table states it; NaN where it does not
    masses_g : masses of targets [g], by their spelling
    electron_shares : share of the self-S that electrons give, by target, where it is known
    approximate : the table is an approximation and says so in every result
    citation : where the numbers come from
    """

    name: str
    nuclide: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    values: FloatArray
    u_relative: FloatArray
    masses_g: Mapping[str, float] = field(default_factory=dict)
    electron_shares: Mapping[str, float] = field(default_factory=dict)
    approximate: bool = False
    citation: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.targets), len(self.sources))
        for name in ("values", "u_relative"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise InputError(self.name, name, str(array.shape), f"one value per target and source, {shape}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if bool(np.any(self.values < 0)):
            raise InputError(self.name, "S value", float(np.nanmin(self.values)), "values of zero or more")

    def column(self, source: str, log: NoticeLog) -> FloatArray:
        """S of all targets from one source [mGy/(MBq s)].

        A source that the table holds only in parts (both kidneys) is their mean by mass, which is exact for activity of one
        concentration; an `adapted` notice says so.

        Raises
        ------
        InputError
            When the table has no such source, with those that are spelt like it.
        """
        found = find_organ(source, self.sources)
        if found is not None:
            return self.values[:, self.sources.index(found)]
        if not self.holds(source):
            raise InputError(
                self.name,
                "source",
                source,
                f"a source of the table ({nearest(source, self.sources)}), or a sphere (--sphere)",
            )
        parts = [find_organ(p, self.sources) for p in organ_parts(source)]
        weights = np.array([self.mass_g(p) or 0.0 for p in organ_parts(source)])
        columns = np.stack([self.values[:, self.sources.index(p)] for p in parts if p is not None])
        log.adapted(
            "SOURCE_SPLIT_BY_MASS",
            f"{self.name} has no source {source}: its activity is spread over {' and '.join(map(str, parts))} by mass",
            where=source, raw=source, used=[p for p in parts if p is not None],
        )  # fmt: skip
        out: FloatArray = (weights[:, None] * columns).sum(axis=0) / weights.sum()
        return out

    def holds(self, source: str) -> bool:
        """Whether `column` has an answer: the source itself, or all of its parts with their masses."""
        if find_organ(source, self.sources) is not None:
            return True
        parts = organ_parts(source)
        return bool(parts) and all(find_organ(p, self.sources) and self.mass_g(p) is not None for p in parts)

    def target(self, name: str) -> str | None:
        """Spelling of a target in this table, or None."""
        return find_organ(name, self.targets)

    def mass_g(self, name: str) -> float | None:
        """Mass of an organ in the model of the table [g], or None when the table has none."""
        found = find_organ(name, list(self.masses_g))
        return None if found is None else self.masses_g[found]

    def electron_share(self, target: str) -> float | None:
        """Share of the self-S that electrons give, where the table says so."""
        found = find_organ(target, list(self.electron_shares))
        return None if found is None else self.electron_shares[found]


def absorbed_kev(s_mgy_per_mbq_s: float, mass_g: float) -> float:
    """Energy absorbed in a target per decay in the source [keV] that an S value and a mass mean.

    >>> round(absorbed_kev(1.3713e-5, 1799.776), 1)
    154.0
    """
    return s_mgy_per_mbq_s * mass_g / KEV_PER_S_GRAM


def joined_tables(tables: Sequence[STable]) -> STable:
    """One table from several of the same nuclide and targets, for example one file per source.

    Raises
    ------
    InputError
        For another nuclide, other targets, masses that differ (another model), or a source that stands twice.
    """
    if not tables:
        raise InputError("S values", "tables", 0, "at least one table")
    first = tables[0]
    for other in tables[1:]:
        if other.nuclide != first.nuclide:
            raise InputError(other.name, "nuclide", other.nuclide, f"{first.nuclide}, as {first.name} has")
        if [organ_key(t) for t in other.targets] != [organ_key(t) for t in first.targets]:
            raise InputError(other.name, "targets", f"{len(other.targets)} targets",
                             f"the {len(first.targets)} targets of {first.name}: tables of one phantom model")  # fmt: skip
        differs = [
            t for t, m in other.masses_g.items() if t in first.masses_g and abs(m - first.masses_g[t]) > 1e-3 * m
        ]
        if differs:
            raise InputError(other.name, f"mass of {differs[0]}", other.masses_g[differs[0]],
                             f"{first.masses_g[differs[0]]:g} g, as {first.name} has; these are two models")  # fmt: skip
        again = [s for s in other.sources if find_organ(s, first.sources) is not None]
        if again:
            raise InputError(other.name, "source", again[0], "each source once")
        first = replace(
            first, name=f"{first.name}, {other.name}", sources=first.sources + other.sources,
            values=np.hstack([first.values, other.values]), u_relative=np.hstack([first.u_relative, other.u_relative]),
            masses_g={**other.masses_g, **first.masses_g},
        )  # fmt: skip
    return first


def with_masses(table: STable, masses_g: Mapping[str, float], log: NoticeLog) -> STable:
    """The table with masses of its model that were given apart from it.

    Raises
    ------
    MissingValue
        For a mass of an organ that the table does not have.
    InputError
        For a mass that contradicts the one of the table by more than 1 %.
    """
    found = dict(table.masses_g)
    for name, mass in masses_g.items():
        target = table.target(name) or find_organ(name, table.sources)
        if target is None:
            raise MissingValue("mass of the model", f"{table.name} has no organ {name}", nearest(name, table.targets),
                               "ORGAN_NOT_IN_TABLE")  # fmt: skip
        own = table.mass_g(name)
        if own is not None and abs(own - mass) > 0.01 * own:
            raise InputError(table.name, f"reference mass of {name}", mass, f"{own:g} g, which the table states")
        found[target] = float(mass)
    log.info(
        "REFERENCE_MASS_GIVEN", f"masses of the model given for {', '.join(map(organ, masses_g))}", where=table.name
    )
    return replace(table, masses_g=found)


def with_remainder(table: STable, sources: Sequence[str], log: NoticeLog) -> STable:
    """The table with a source ``remainder``: the whole body without the other sources.

    S(t <- rest) = (S(t <- body) m(body) - sum of S(t <- s) m(s)) / (m(body) - sum of m(s))

    Parameters
    ----------
    table : with a source for the whole body, its mass, and the masses of the sources
    sources : the other sources of the case
    log : receives targets for which the difference is negative and was set to 0

    Raises
    ------
    MissingValue
        For a table without whole body, or a mass that nobody states.

    References
    ----------
    Cloutier RJ et al., Health Phys 25 (1973) 147-161 (dose from the remainder of the body).
    """
    body = find_organ("total_body", table.sources)
    needed = "a source for the whole body, and masses of it and of the sources (--reference-mass)"
    if body is None:
        raise MissingValue(
            "dose from the remainder", f"{table.name} has no source for the whole body", needed, "NO_REMAINDER"
        )
    masses = {s: table.mass_g(s) for s in (body, *sources)}
    unknown = [s for s, m in masses.items() if m is None]
    if unknown:
        raise MissingValue(
            "dose from the remainder", f"the mass of {', '.join(unknown)} is unknown", needed, "NO_REMAINDER"
        )
    rest = 2.0 * (masses[body] or 0.0) - sum(m or 0.0 for m in masses.values())
    if not rest > 0:
        raise InputError(table.name, "mass of the whole body", masses[body], "more than the sources together")
    total = table.values[:, table.sources.index(body)] * (masses[body] or 0.0)
    own = sum((np.nan_to_num(table.column(s, log)) * (masses[s] or 0.0) for s in sources), np.zeros(len(table.targets)))
    column = (total - own) / rest
    below = [t for t, v in zip(table.targets, column, strict=True) if v < 0]
    if below:
        log.adapted("REMAINDER_BELOW_ZERO", f"the remainder's S is negative for {len(below)} targets and was set to 0",
                    where=table.name, raw=below[:10], used=0.0)  # fmt: skip
    values = np.hstack([table.values, np.maximum(column, 0.0)[:, None]])
    spread = np.hstack([table.u_relative, np.full((len(table.targets), 1), np.nan)])
    return replace(table, sources=(*table.sources, REMAINDER), values=values, u_relative=spread)
