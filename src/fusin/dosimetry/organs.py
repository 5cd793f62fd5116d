"""MIRD organ doses: time-integrated activities of sources times S values, with self-dose scaled to the patient's masses.

::

    D(target) = sum over sources of TIA(source) x S(target <- source)

A patient's mass m rescales the self-dose alone: its electron part with m_ref/m, its photon part with (m_ref/m)^(2/3).
Cross-dose stays as the table has it. TIAs of the sources share calibration and are propagated as fully correlated, which is
never too narrow; masses and S values are independent of them.

References
----------
Bolch WE et al., J Nucl Med 50 (2009) 477-484 (MIRD Pamphlet 21).
Divoli A et al., J Nucl Med 50 (2009) 316-323 (rescaling by mass).
JCGM 100:2008, 5.1 and 5.2 (propagation of uncertainty).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fusin.dosimetry.mass_scaling import mass_exponent, scaled_self_factor
from fusin.dosimetry.organ_names import find_organ, nearest, organ, organ_parts, organ_within
from fusin.dosimetry.s_tables import STable, absorbed_kev
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["METHOD", "OrganDose", "OrganDoses", "Uncertain", "log_normal", "organ_doses", "relative_u"]

METHOD = "log-normal, first-order propagation"
_SECONDS_PER_HOUR, _MGY_PER_GY = 3600.0, 1000.0


class Uncertain(Protocol):
    """Anything with a value and limits, such as an `Estimate`."""

    @property
    def value(self) -> float | None:
        """Best value."""

    @property
    def low(self) -> float | None:
        """Lower limit."""

    @property
    def high(self) -> float | None:
        """Upper limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganDose:
    """Mean absorbed dose of one target.

    Attributes
    ----------
    target : as the table spells it
    dose_gy : with its interval, which has no limits where an uncertainty is missing
    self_gy : part from activity in the target itself [Gy]
    by_source_gy : part of each source [Gy]
    mass_g : mass that the dose is for [g]; None when nobody states it
    reference_mass_g : mass of the target in the model [g]
    self_factor : factor on the self-S for the patient's mass; 1 without rescaling
    electron_share : share of the self-dose of the reference that was scaled as electrons; None without rescaling
    source : the target holds activity of its own
    u_parts : relative standard uncertainty of the dose by its origin: tia, mass, s_value
    """

    target: str
    dose_gy: Estimate
    self_gy: float
    by_source_gy: Mapping[str, float]
    mass_g: float | None = None
    reference_mass_g: float | None = None
    self_factor: float = 1.0
    electron_share: float | None = None
    source: bool = False
    u_parts: Mapping[str, float] | None = None

    @property
    def cross_gy(self) -> float:
        """Part from activity elsewhere [Gy]."""
        return float(sum(self.by_source_gy.values())) - self.self_gy


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganDoses:
    """Doses of all targets of a table.

    Attributes
    ----------
    nuclide, table : what was combined
    doses : one per target, in the order of the table
    approximate : the table is an approximation
    """

    nuclide: str
    table: str
    doses: tuple[OrganDose, ...]
    approximate: bool = False

    def of(self, name: str) -> OrganDose:
        """Dose of one organ.

        Raises
        ------
        InputError
            When it is no target of the table.
        """
        found = find_organ(name, [d.target for d in self.doses])
        if found is None:
            raise InputError(self.table, "target", name, nearest(name, [d.target for d in self.doses]))
        return next(d for d in self.doses if d.target == found)

    def shown(self, names: Sequence[str] = ()) -> tuple[OrganDose, ...]:
        """The targets asked for; without names those that hold activity, and organs made of them."""
        if names:
            return tuple(self.of(n) for n in names)
        held = {organ(d.target) for d in self.doses if d.source}
        return tuple(d for d in self.doses if d.source or held & set(organ_parts(d.target)))


def organ_doses(
    tia_mbq_h: Mapping[str, Uncertain | float],
    s_table: STable,
    masses_g: Mapping[str, Uncertain | float] | None = None,
    *,
    log: NoticeLog | None = None,
    s_u_relative: float | None = None,
    electron_kev: Callable[[float], float] | None = None,
    level: float = 0.95,
) -> OrganDoses:
    """Absorbed doses of all targets of a table.

    Parameters
    ----------
    tia_mbq_h : time-integrated activity of each source [MBq h]; a number has no uncertainty and gives no interval
    s_table : S values of the same nuclide
    masses_g : masses of the patient's organs [g]; others keep the masses of the model
    log : receives notices
    s_u_relative : relative standard uncertainty of S as a model of this patient, on top of what the table states
    electron_kev : energy that electrons leave per decay [keV] in an organ of a mass [g], to tell the electrons' share of
        a self-S where the table does not; a sphere of water when None
    level : of the intervals

    Raises
    ------
    InputError
        For a source that the table lacks, a negative TIA, a mass that is not positive.
    MissingValue
        For a mass of an organ whose mass in the model nobody states.
    """
    log = log if log is not None else NoticeLog()
    if not tia_mbq_h:
        raise InputError("organ doses", "sources", 0, "the time-integrated activity of at least one source")
    sources = _resolved(tia_mbq_h, s_table, log)
    masses = _masses(masses_g or {}, s_table, sources, log)
    scale = {n: _scale(n, m, s_table, log, electron_kev) for n, m in masses.items()}
    columns = {s: s_table.column(s, log) * (_SECONDS_PER_HOUR / _MGY_PER_GY) for s in sources}
    spreads = {s: _table_u(s, s_table) for s in sources}
    doses, missing = [], []
    for row, target in enumerate(s_table.targets):
        if any(math.isnan(columns[s][row]) for s in sources):
            missing.append(target)
            continue
        s_u = {s: math.hypot(s_u_relative or 0.0, spreads[s][row]) for s in sources}
        parts = {s: (v, columns[s][row], s_u[s]) for s, v in sources.items()}
        doses.append(_dose(target, parts, scale, s_table, level))
    _say_missing(missing, sources, s_table, log)
    if s_table.approximate:
        log.warning("S_VALUES_APPROXIMATE", f"{s_table.name}: {s_table.citation}", where=s_table.name)
    return OrganDoses(nuclide=s_table.nuclide, table=s_table.name, approximate=s_table.approximate,
                      doses=_composed(doses, scale, level, log))  # fmt: skip


def relative_u(given: Uncertain | float, where: str) -> tuple[float, float | None]:
    """Value and relative standard uncertainty; None for a number alone.

    Limits of level p mean a standard uncertainty of ln(high/low) / (2 z_p), or of (high - low) / (2 z_p value) when the
    lower limit is not positive.

    Raises
    ------
    InputError
        For a value that is missing, negative or not finite, and for limits on one side of it.
    """
    if isinstance(given, (int, float, np.floating)):
        return _non_negative(float(given), where), None
    if given.value is None:
        raise InputError(where, "value", None, "a number")
    value = _non_negative(float(given.value), where)
    low, high = given.low, given.high
    if low is None or high is None or value == 0.0:
        return value, None
    if not low <= value * (1 + 1e-9) or not value <= high * (1 + 1e-9):
        raise InputError(where, "interval", f"{low:g} to {high:g}", f"limits on both sides of {value:g}")
    z = normal_quantile(float(getattr(given, "level", 0.95)))
    if low > 0:
        return value, math.log(high / low) / (2.0 * z)
    return value, (high - low) / (2.0 * z * value)


def log_normal(
    value: float, u_relative: float | None, *, level: float, n: int, note: str = "", method: str = METHOD
) -> Estimate:
    """Interval value x exp(+-z s) with s^2 = ln(1 + u^2); without an uncertainty there are no limits."""
    if u_relative is None:
        return Estimate(value=value, low=None, high=None, method=method, n=n, level=level, note=note)
    width = normal_quantile(level) * math.sqrt(math.log1p(u_relative**2))
    return Estimate(value=value, low=value * math.exp(-width), high=value * math.exp(width), method=method, n=n,
                    level=level, note=note)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scale:
    """What a patient's mass does to the self-S of an organ."""

    mass_g: float
    reference_g: float
    factor: float
    share: float
    exponent: float
    u_mass: float | None


Part = tuple[tuple[float, float | None], float, float]


def _resolved(
    tia: Mapping[str, Uncertain | float], table: STable, log: NoticeLog
) -> dict[str, tuple[float, float | None]]:
    """Sources with value and uncertainty; parts of an organ that the table holds only as a whole are added."""
    found: dict[str, tuple[float, float | None]] = {}
    for name, given in tia.items():
        if find_organ(name, list(found)) is not None:
            raise InputError("organ doses", "source", name, "each source once")
        found[name] = relative_u(given, f"TIA of {name}")
    whole = {p: w for w in table.sources for p in organ_parts(w)}
    lumped: dict[str, list[str]] = {}
    for name in found:
        if find_organ(name, table.sources) is None and organ(name) in whole:
            lumped.setdefault(whole[organ(name)], []).append(name)
    for name, parts in lumped.items():
        if len(parts) < len(organ_parts(name)) or name in found:
            raise InputError(table.name, "source", ", ".join(parts),
                             f"all parts of {name} and not {name} itself: the table has no parts")  # fmt: skip
        values = [found.pop(p) for p in parts]
        log.adapted("SOURCES_ADDED", f"{table.name} has {name} only as a whole: {' and '.join(parts)} are added",
                    where=name, raw=parts, used=name)  # fmt: skip
        total = sum(v for v, _ in values)
        known = [v * u for v, u in values if u is not None]
        found[name] = (total, sum(known) / total if total > 0 and len(known) == len(values) else None)
    return found


def _masses(
    masses_g: Mapping[str, Uncertain | float], table: STable, sources: Mapping[str, Any], log: NoticeLog
) -> dict[str, tuple[float, float | None]]:
    """The patient's masses by organ; the mass of a whole is shared by parts that hold activity of their own."""
    out: dict[str, tuple[float, float | None]] = {}
    for name, given in masses_g.items():
        mass, u = relative_u(given, f"mass of {name}")
        if not mass > 0:
            raise InputError("organ doses", f"mass of {name}", mass, "a positive mass in grams")
        parts = [p for p in organ_parts(name) if find_organ(p, list(sources)) is not None]
        whole, own = table.mass_g(name), [table.mass_g(p) for p in parts]
        if parts and whole is not None and all(m is not None for m in own):
            log.adapted("MASS_SPLIT_BY_MODEL", f"the {mass:g} g of {name} are shared by {' and '.join(parts)} as in {table.name}",
                        where=name, raw=mass, used=parts)  # fmt: skip
            out.update({organ(p): (mass * m / whole, u) for p, m in zip(parts, own, strict=True) if m is not None})
        elif organ(name) in out:
            raise InputError("organ doses", "mass", name, "one mass for each organ")
        else:
            if table.target(name) is None and find_organ(name, table.sources) is None:
                raise MissingValue("organ dose", f"{table.name} has no organ {name} for the mass of {mass:g} g",
                                   nearest(name, table.targets), "ORGAN_NOT_IN_TABLE")  # fmt: skip
            out[organ(name)] = (mass, u)
    return out


def _scale(
    name: str,
    given: tuple[float, float | None],
    table: STable,
    log: NoticeLog,
    electron_kev: Callable[[float], float] | None,
) -> _Scale:
    mass, u = given
    reference = table.mass_g(name)
    if reference is None:
        raise MissingValue(f"dose of {name} at {mass:g} g", f"{table.name} does not say the mass of {name} in its model",
                           "--reference-mass", "REFERENCE_MASS_MISSING")  # fmt: skip
    if u is None:
        log.info("MASS_UNCERTAINTY_MISSING", "the uncertainty of the mass is not stated and not in the interval of the dose",
                 where=name)  # fmt: skip
    share = _electron_share(name, reference, table, log, electron_kev)
    return _Scale(mass, reference, scaled_self_factor(mass, reference, share), share,
                  mass_exponent(mass, reference, share), u)  # fmt: skip


def _electron_share(
    name: str, reference_g: float, table: STable, log: NoticeLog, electron_kev: Callable[[float], float] | None
) -> float:
    """Share of the self-S of the model that electrons give: as the table says, or by a sphere of the same mass."""
    stated = table.electron_share(name)
    target = table.target(name)
    if stated is not None:
        return stated
    if target is None or not table.holds(name):
        return 1.0
    total = absorbed_kev(float(table.column(name, NoticeLog())[table.targets.index(target)]), reference_g)
    if electron_kev is None:
        from fusin.dosimetry.organ_energy import electron_self_kev

        electrons = electron_self_kev(table.nuclide, reference_g)
    else:
        electrons = electron_kev(reference_g)
    if not total > 0 or electrons >= total:
        log.info("SELF_DOSE_AS_ELECTRONS", f"all self-dose of {name} is rescaled as that of electrons: its S value means "
                 f"{total:.1f} keV per decay, electrons alone {electrons:.1f} keV in a sphere", where=name)  # fmt: skip
        return 1.0
    return electrons / total


def _table_u(source: str, table: STable) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Relative uncertainty that the table states for a source; 0 where it states none."""
    found = find_organ(source, table.sources)
    if found is None:
        return np.zeros(len(table.targets))
    return np.nan_to_num(table.u_relative[:, table.sources.index(found)])


def _dose(
    target: str, parts: Mapping[str, Part], scale: Mapping[str, _Scale], table: STable, level: float
) -> OrganDose:
    """Dose of one target from (TIA and its u, Gy per MBq h, u of S) of each source."""
    base = organ_within(target) or organ(target)
    scaled = scale.get(base)
    own = [s for s in parts if organ(s) == base]
    doses = {
        s: tia * s_gy * (scaled.factor if scaled and s in own else 1.0) for s, ((tia, _), s_gy, _) in parts.items()
    }
    total, self_gy = sum(doses.values()), sum(doses[s] for s in own)
    unknown = [s for s, ((tia, u), _, _) in parts.items() if u is None and tia > 0]
    note = f"no uncertainty of the activity in {', '.join(unknown)}" if unknown else ""
    u_parts = None
    if not unknown and total > 0:
        u_tia = sum(doses[s] * (u or 0.0) for s, ((_, u), _, _) in parts.items()) / total
        u_s = math.sqrt(sum((doses[s] * u_s) ** 2 for s, (_, _, u_s) in parts.items())) / total
        u_mass = abs(scaled.exponent) * (scaled.u_mass or 0.0) * self_gy / total if scaled else 0.0
        u_parts = {"tia": u_tia, "mass": u_mass, "s_value": u_s}
    combined = math.sqrt(sum(u * u for u in u_parts.values())) if u_parts else None
    same = organ_within(target) == ""
    return OrganDose(
        target=target, dose_gy=log_normal(total, combined, level=level, n=len(parts), note=note), self_gy=self_gy,
        by_source_gy=doses, mass_g=scaled.mass_g if scaled and same else table.mass_g(target),
        reference_mass_g=table.mass_g(target), self_factor=scaled.factor if scaled and own else 1.0,
        electron_share=scaled.share if scaled and own else None, source=bool(own) and same, u_parts=u_parts,
    )  # fmt: skip


def _composed(
    doses: Sequence[OrganDose], scale: Mapping[str, _Scale], level: float, log: NoticeLog
) -> tuple[OrganDose, ...]:
    """Organs made of parts that were rescaled become the mean of their parts by mass."""
    out = []
    for dose in doses:
        parts = [d for p in organ_parts(dose.target) for d in doses if organ(d.target) == p]
        moved = [p for p in organ_parts(dose.target) if p in scale]
        if not moved or organ(dose.target) in scale:
            out.append(dose)
        elif len(parts) < len(organ_parts(dose.target)) or any(p.mass_g is None for p in parts):
            log.warning("PARTS_NOT_RESCALED", f"{dose.target} keeps the masses of the model, although {moved[0]} does not",
                        where=dose.target)  # fmt: skip
            out.append(dose)
        else:
            out.append(_mean_of(dose, parts, level))
    return tuple(out)


def _mean_of(whole: OrganDose, parts: Sequence[OrganDose], level: float) -> OrganDose:
    masses = [p.mass_g or 0.0 for p in parts]
    mass = sum(masses)
    by_source = {
        s: sum(m * p.by_source_gy[s] for m, p in zip(masses, parts, strict=True)) / mass for s in parts[0].by_source_gy
    }
    total = sum(by_source.values())
    known = [p.u_parts for p in parts if p.u_parts is not None]
    u_parts = None
    if len(known) == len(parts) and total > 0:
        # Parts share calibration and method, so that their uncertainties are added without squaring.
        shares = [m * (p.dose_gy.value or 0.0) / (mass * total) for m, p in zip(masses, parts, strict=True)]
        u_parts = {k: sum(w * u[k] for w, u in zip(shares, known, strict=True)) for k in known[0]}
    combined = math.sqrt(sum(u * u for u in u_parts.values())) if u_parts else None
    return OrganDose(
        target=whole.target, dose_gy=log_normal(total, combined, level=level, n=whole.dose_gy.n, note=whole.dose_gy.note),
        self_gy=sum(m * p.self_gy for m, p in zip(masses, parts, strict=True)) / mass, by_source_gy=by_source, mass_g=mass,
        reference_mass_g=whole.reference_mass_g, source=whole.source, u_parts=u_parts,
    )  # fmt: skip


def _say_missing(missing: Sequence[str], sources: Mapping[str, Any], table: STable, log: NoticeLog) -> None:
    if not missing:
        return
    held = [t for t in missing if organ(t) in {organ(s) for s in sources}]
    if held:
        raise MissingValue(f"dose of {held[0]}", f"{table.name} has no S value for one of the sources", "a table with it",
                           "S_VALUE_MISSING")  # fmt: skip
    log.warning("S_VALUE_MISSING", f"{len(missing)} targets have no S value for one of the sources and are left out",
                where=table.name, raw=list(missing)[:10])  # fmt: skip


def _non_negative(value: float, where: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise InputError(where, "value", value, "a finite number of zero or more")
    return value
