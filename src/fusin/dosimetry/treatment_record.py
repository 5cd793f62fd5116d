"""The record of a treated patient: cycles, activities, cumulative organ dose and BED, toxicity grade beside dose.

Doses of cycles share the patient's masses, the calibration and the S values, so that their uncertainties are added as fully
correlated: limits of the sum are sums of the limits. BED is added over cycles, which holds while a cycle has decayed before
the next one begins. A limit is the user's, stands with its citation, and is set beside the dose without a verdict.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fusin.dosimetry.biological import bed_estimate, eqd2_estimate
from fusin.dosimetry.nuclide_exchange import residual_fraction
from fusin.dosimetry.organ_names import organ
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = [
    "Cycle",
    "CycleDose",
    "OrganBiology",
    "OrganCourse",
    "Toxicity",
    "TreatmentRecord",
    "added",
    "organ_courses",
    "toxicity_beside_dose",
]

_OVERLAP = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleDose:
    """Dose of one organ in one cycle; ``t_eff_h`` is needed for BED."""

    organ: str
    dose_gy: Estimate
    t_eff_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One administration.

    Attributes
    ----------
    number : 1, 2, ...
    date : of the administration; None when it is not known
    nuclide : canonical name
    prescribed_gbq, given_gbq : activity; None for what is not known
    doses : one per organ
    """

    number: int
    nuclide: str
    given_gbq: float
    prescribed_gbq: float | None = None
    date: dt.date | None = None
    doses: tuple[CycleDose, ...] = ()

    @property
    def deviation_percent(self) -> float | None:
        """Given activity relative to the prescribed one [%]."""
        return None if self.prescribed_gbq is None else 100.0 * (self.given_gbq / self.prescribed_gbq - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganBiology:
    """What the user knows of an organ; every number comes with ``citation``."""

    organ: str
    citation: str
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None
    limit_gy: float | None = None
    limit_bed_gy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxicity:
    """One graded finding; ``cycle`` or ``date`` says when, and 0 is the time before the first cycle."""

    term: str
    grade: int
    organ: str = ""
    date: dt.date | None = None
    cycle: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentRecord:
    """A patient's treatment."""

    patient: str
    cycles: tuple[Cycle, ...]
    biology: tuple[OrganBiology, ...] = ()
    toxicity: tuple[Toxicity, ...] = ()

    def biology_of(self, name: str) -> OrganBiology | None:
        """What the user knows of an organ, or None."""
        return next((b for b in self.biology if organ(b.organ) == organ(name)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganCourse:
    """Cumulative dose of one organ after each cycle.

    Attributes
    ----------
    organ : its name
    cycles : numbers of the cycles
    dose_gy, bed_gy, eqd2_gy : of each cycle; None where the cycle has none
    cumulative_gy, cumulative_bed_gy, cumulative_eqd2_gy : after each cycle; None from the first cycle on that lacks it
    biology : parameters with their citation, or None
    missing : cycles without a dose for this organ
    """

    organ: str
    cycles: tuple[int, ...]
    dose_gy: tuple[Estimate | None, ...]
    bed_gy: tuple[Estimate | None, ...]
    eqd2_gy: tuple[Estimate | None, ...]
    cumulative_gy: tuple[Estimate | None, ...]
    cumulative_bed_gy: tuple[Estimate | None, ...]
    cumulative_eqd2_gy: tuple[Estimate | None, ...]
    biology: OrganBiology | None = None
    missing: tuple[int, ...] = field(default=())


def organ_courses(record: TreatmentRecord, log: NoticeLog) -> tuple[OrganCourse, ...]:
    """Doses of all organs over the cycles, in the order in which organs first appear.

    Parameters
    ----------
    record : see `TreatmentRecord`
    log : receives cycles without a dose, and cycles that overlap

    Raises
    ------
    InputError
        For no cycle, a number that stands twice, dates that go back, or an organ that stands twice in a cycle.
    """
    cycles = _ordered(record.cycles)
    names: dict[str, str] = {}
    for cycle in cycles:
        keys = [organ(d.organ) for d in cycle.doses]
        again = next((d.organ for d in cycle.doses if keys.count(organ(d.organ)) > 1), None)
        if again is not None:
            raise InputError(f"cycle {cycle.number}", "organ", again, "each organ once")
        for dose in cycle.doses:
            names.setdefault(organ(dose.organ), dose.organ)
    _say_overlap(cycles, log)
    return tuple(_course(name, cycles, record.biology_of(name), log) for name in names.values())


def toxicity_beside_dose(
    record: TreatmentRecord, courses: Sequence[OrganCourse], log: NoticeLog
) -> tuple[Mapping[str, object], ...]:
    """One row per graded finding: term, grade, cycle, and what its organ had received by then.

    Raises
    ------
    InputError
        For a grade outside 0 to 5, or a finding that can be placed beside no cycle.
    """
    cycles = _ordered(record.cycles)
    by_organ = {organ(c.organ): c for c in courses}
    rows = []
    for entry in record.toxicity:
        if isinstance(entry.grade, bool) or entry.grade not in range(6):
            raise InputError(f"toxicity {entry.term}", "grade", entry.grade, "a CTCAE grade, 0 to 5")
        after = _cycle_of(entry, cycles)
        course = by_organ.get(organ(entry.organ)) if entry.organ else None
        if entry.organ and course is None:
            log.warning(
                "TOXICITY_WITHOUT_DOSE", f"{entry.term}: no cycle has a dose of {entry.organ}", where=entry.term
            )
        at = None if course is None or after == 0 else course.cycles.index(after)
        rows.append({
            "term": entry.term, "grade": entry.grade, "organ": entry.organ or None, "date": entry.date, "after_cycle": after,
            "dose_gy": None if at is None or course is None else course.cumulative_gy[at],
            "bed_gy": None if at is None or course is None else course.cumulative_bed_gy[at],
            "given_gbq": sum(c.given_gbq for c in cycles if c.number <= after),
        })  # fmt: skip
    return tuple(sorted(rows, key=lambda r: (r["after_cycle"], str(r["term"]))))


def added(parts: Sequence[Estimate]) -> Estimate:
    """Sum of doses whose errors go together: value, low and high are sums; no limits when one part has none."""
    if any(p.value is None for p in parts):
        raise InputError("sum of doses", "value", None, "a number in every part")
    values = [p.value or 0.0 for p in parts]
    limits = [(p.low, p.high) for p in parts]
    known = all(low is not None and high is not None for low, high in limits)
    return Estimate(
        value=sum(values), low=sum(low or 0.0 for low, _ in limits) if known else None,
        high=sum(high or 0.0 for _, high in limits) if known else None, method="sum of limits, fully correlated",
        n=len(parts), level=min((p.level for p in parts), default=0.95),
        note="" if known else "at least one cycle has no interval",
    )  # fmt: skip


def _ordered(cycles: Sequence[Cycle]) -> tuple[Cycle, ...]:
    if not cycles:
        raise InputError("record", "cycles", 0, "at least one cycle")
    ordered = tuple(sorted(cycles, key=lambda c: c.number))
    numbers = [c.number for c in ordered]
    for number in numbers:
        if numbers.count(number) > 1:
            raise InputError("record", "cycle", number, "each cycle once")
    dated = [c for c in ordered if c.date is not None]
    for before, after in itertools.pairwise(dated):
        if before.date and after.date and after.date <= before.date:
            raise InputError(
                f"cycle {after.number}", "date", after.date.isoformat(), f"a date after {before.date.isoformat()}"
            )
    for cycle in ordered:
        for name in ("given_gbq", "prescribed_gbq"):
            value = getattr(cycle, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"cycle {cycle.number}", name, value, "a positive activity")
    return ordered


def _course(name: str, cycles: Sequence[Cycle], biology: OrganBiology | None, log: NoticeLog) -> OrganCourse:
    found = [next((d for d in c.doses if organ(d.organ) == organ(name)), None) for c in cycles]
    missing = tuple(c.number for c, d in zip(cycles, found, strict=True) if d is None)
    if missing:
        log.warning("CYCLE_WITHOUT_DOSE", f"{name} has no dose in cycle {', '.join(map(str, missing))}: its sum ends before",
                    where=name, raw=list(missing))  # fmt: skip
    beds = [_bed(d, biology, log) if d is not None else None for d in found]
    ratio = biology.alpha_beta_gy if biology is not None else None
    equivalents = [eqd2_estimate(b, ratio) if b is not None and ratio is not None else None for b in beds]
    doses = [d.dose_gy if d is not None else None for d in found]
    return OrganCourse(
        organ=name, cycles=tuple(c.number for c in cycles), dose_gy=tuple(doses), bed_gy=tuple(beds), eqd2_gy=tuple(equivalents),
        cumulative_gy=_running(doses), cumulative_bed_gy=_running(beds), cumulative_eqd2_gy=_running(equivalents),
        biology=biology, missing=missing,
    )  # fmt: skip


def _bed(dose: CycleDose, biology: OrganBiology | None, log: NoticeLog) -> Estimate | None:
    if biology is None or biology.alpha_beta_gy is None or biology.repair_half_time_h is None:
        return None
    if dose.t_eff_h is None:
        log.warning(
            "BED_WITHOUT_T_EFF", f"{dose.organ}: no BED without the effective half-life of the cycle", where=dose.organ
        )
        return None
    if not (math.isfinite(dose.t_eff_h) and dose.t_eff_h > 0):
        raise InputError(f"dose of {dose.organ}", "t_eff_h", dose.t_eff_h, "a positive number of hours")
    rate = math.log(2.0) / dose.t_eff_h
    return bed_estimate(dose.dose_gy, [rate], [1.0], biology.alpha_beta_gy, biology.repair_half_time_h)


def _running(parts: Sequence[Estimate | None]) -> tuple[Estimate | None, ...]:
    """Sums up to each cycle; a missing dose ends them, because a sum without it would look complete."""
    out: list[Estimate | None] = []
    so_far: list[Estimate] = []
    whole = True
    for part in parts:
        whole = whole and part is not None
        if part is not None:
            so_far.append(part)
        out.append(added(so_far) if whole else None)
    return tuple(out)


def _say_overlap(cycles: Sequence[Cycle], log: NoticeLog) -> None:
    """Say where a cycle was still giving dose when the next one began: repair between them is then not counted."""
    for before, after in itertools.pairwise(cycles):
        if before.date is None or after.date is None:
            continue
        days = (after.date - before.date).days
        left = [(residual_fraction(days, d.t_eff_h), d.organ) for d in before.doses if d.t_eff_h is not None]
        worst = max(left, default=(0.0, ""))
        if worst[0] > _OVERLAP:
            log.warning(
                "CYCLES_OVERLAP",
                f"{100 * worst[0]:.1f} % of the dose of cycle {before.number} to {worst[1]} came after cycle {after.number} began: "
                "BED is added as if they were apart",
                where=f"cycle {after.number}",
            )


def _cycle_of(entry: Toxicity, cycles: Sequence[Cycle]) -> int:
    """Number of the last cycle before a finding; 0 before the first."""
    if entry.cycle is not None:
        if entry.cycle != 0 and entry.cycle not in {c.number for c in cycles}:
            raise InputError(f"toxicity {entry.term}", "cycle", entry.cycle, "a cycle of the record, or 0 for before")
        return entry.cycle
    if entry.date is None:
        raise InputError(f"toxicity {entry.term}", "date", "nothing", "a date, or the cycle after which it was found")
    if any(c.date is None for c in cycles):
        raise InputError(
            f"toxicity {entry.term}", "date", entry.date.isoformat(), "dates of all cycles, or the cycle itself"
        )
    before = [c.number for c in cycles if c.date is not None and c.date <= entry.date]
    return max(before, default=0)
