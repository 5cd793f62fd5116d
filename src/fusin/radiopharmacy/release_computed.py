"""What follows from a batch record by arithmetic: yields, molar activity, half-life, identity, mass balance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from scipy.special import ndtri

from fusin.decay import decay_factor, elapsed_s
from fusin.errors import InputError
from fusin.radiopharmacy.batch import Activity, Batch, HalfLifeInput, LineInput
from fusin.radiopharmacy.half_life import HalfLife, Reading, half_life_of
from fusin.radiopharmacy.limits import convert
from fusin.radiopharmacy.specification import Specification, SpecRow
from fusin.stats.results import Estimate

__all__ = [
    "ActivityAt",
    "Identity",
    "MassBalance",
    "Yields",
    "activity_at_mbq",
    "half_life_of_batch",
    "identity_of",
    "mass_balances",
    "molar_activities",
    "yields_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yields:
    """Yields of a synthesis.

    Attributes
    ----------
    decay_corrected : product over starting activity, both at the reference time of the product, as a fraction
    not_corrected : product over starting activity, each at its own reference time, as a fraction
    recovery : product, residuals and waste over starting activity at one time, as a fraction; None without residuals
    minutes : from the starting to the product reference time
    """

    decay_corrected: Estimate
    not_corrected: Estimate
    recovery: Estimate | None
    minutes: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "decay_corrected": self.decay_corrected.to_json(), "not_corrected": self.not_corrected.to_json(),
            "recovery": None if self.recovery is None else self.recovery.to_json(), "minutes": self.minutes,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityAt:
    """Activity of the product at a moment.

    Attributes
    ----------
    when, time : what the moment is, and the moment
    activity_mbq : activity
    concentration_mbq_ml, specific_mbq_ug, molar_gbq_umol : None where volume, mass or molar mass is not recorded
    """

    when: str
    time: datetime
    activity_mbq: float
    concentration_mbq_ml: float | None
    specific_mbq_ug: float | None
    molar_gbq_umol: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "when": self.when, "time": self.time.isoformat(), "activity_mbq": self.activity_mbq,
            "concentration_mbq_ml": self.concentration_mbq_ml, "specific_activity_mbq_ug": self.specific_mbq_ug,
            "molar_activity_gbq_umol": self.molar_gbq_umol,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which expected lines were found within the tolerance, and which measured ones nothing explains [keV]."""

    found: tuple[tuple[Decimal, Decimal], ...]
    missing: tuple[Decimal, ...]
    unexplained: tuple[Decimal, ...]
    tolerance_kev: Decimal

    @property
    def verdict(self) -> bool | None:
        """True when every expected line is there and every measured one explained; None for unexplained lines."""
        if self.missing:
            return False
        return None if self.unexplained else True

    def text(self) -> str:
        """What was found, in words."""
        parts = [", ".join(str(m) for _, m in self.found) + " keV" if self.found else "no expected line"]
        if self.missing:
            parts.append("missing " + ", ".join(str(v) for v in self.missing))
        if self.unexplained:
            parts.append("unexplained " + ", ".join(str(v) for v in self.unexplained))
        return "; ".join(parts) + f" (within {self.tolerance_kev} keV)"


@dataclass(frozen=True, slots=True, kw_only=True)
class MassBalance:
    """Results of one system that should add up to 100 %.

    Attributes
    ----------
    tests : rows that were added
    sum_percent : their sum, never rescaled
    tolerance_percent : what the rounding of the parts allows, or what the record states
    consistent : whether the sum lies within the tolerance
    """

    tests: tuple[str, ...]
    sum_percent: Decimal
    tolerance_percent: Decimal
    consistent: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "tests": list(self.tests), "sum_percent": float(self.sum_percent),
            "tolerance_percent": float(self.tolerance_percent), "consistent": self.consistent,
        }  # fmt: skip


def activity_at_mbq(activity: Activity, when: datetime, *, half_life_s: float) -> float:
    """An activity at another moment than its reference time [MBq]."""
    return float(activity.activity_mbq) * decay_factor(elapsed_s(activity.time, when), half_life_s)


def yields_of(batch: Batch, *, half_life_s: float, level: float = 0.95) -> Yields | None:
    """Yields from the activities with the roles ``starting`` and ``product``; None where one of them is missing.

    The interval is first-order propagation of the stated reading uncertainties, normal; without them there is none, and
    the estimate says so.

    Raises
    ------
    InputError
        When the product's reference time lies before that of a starting activity, or nothing was put in.
    """
    starting, product = batch.of_role("starting"), batch.of_role("product")
    if not starting or not product:
        return None
    end = product[0].time
    first = min(a.time for a in starting)
    if elapsed_s(max((a.time for a in starting), key=lambda t: elapsed_s(first, t)), end) < 0:
        raise InputError(
            f"{batch.where}: activity ({product[0].name})",
            "time",
            end.isoformat(),
            "a time after the starting activity",
        )
    put_in = sum(float(a.activity_mbq) for a in starting)
    if put_in <= 0:
        raise InputError(f"{batch.where}: activity ({starting[0].name})", "activity_mbq", 0, "a positive activity")
    at_end = [activity_at_mbq(a, end, half_life_s=half_life_s) for a in starting]
    got = float(product[0].activity_mbq)
    others = (*batch.of_role("residual"), *batch.of_role("waste"))
    recovery = None
    if others:
        rest = [activity_at_mbq(a, end, half_life_s=half_life_s) for a in others]
        recovery = _quotient((product[0], *others), [got, *rest], starting, at_end, level)
    return Yields(
        decay_corrected=_quotient(product, [got], starting, at_end, level),
        not_corrected=_quotient(product, [got], starting, [float(a.activity_mbq) for a in starting], level),
        recovery=recovery, minutes=elapsed_s(first, end) / 60.0,
    )  # fmt: skip


def _quotient(
    above: tuple[Activity, ...], over: list[float], below: tuple[Activity, ...], under: list[float], level: float
) -> Estimate:
    value = sum(over) / sum(under)
    if any(a.u_percent is None for a in (*above, *below)):
        note = "no interval: the uncertainty of a reading (u_percent) is not stated"
        return Estimate(value=value, low=None, high=None, method="quotient of activities", n=1, level=level, note=note)
    u_over = math.hypot(*(v * float(cast(Decimal, a.u_percent)) / 100 for v, a in zip(over, above, strict=True)))
    u_under = math.hypot(*(v * float(cast(Decimal, a.u_percent)) / 100 for v, a in zip(under, below, strict=True)))
    u = value * math.hypot(u_over / sum(over) if sum(over) else 0.0, u_under / sum(under))
    wide = float(ndtri(0.5 + level / 2.0)) * u
    method = "first-order propagation, normal"
    return Estimate(value=value, low=value - wide, high=value + wide, method=method, n=1, level=level)


def molar_activities(batch: Batch, moments: dict[str, datetime], *, half_life_s: float) -> tuple[ActivityAt, ...]:
    """Activity, its concentration, specific and molar activity of the product at several moments.

    The mass is that of the precursor in the synthesis: nothing of it is taken to be lost, so that the molar activity is a
    lower bound where purification removes precursor.
    """
    product = batch.of_role("product")
    if not product:
        return ()
    mass, molar = batch.precursor.amount_ug, batch.precursor.molar_mass_g_mol
    found = []
    for when, time in moments.items():
        activity = activity_at_mbq(product[0], time, half_life_s=half_life_s)
        specific = None if mass is None else activity / float(mass)
        found.append(
            ActivityAt(
                when=when, time=time, activity_mbq=activity,
                concentration_mbq_ml=None if batch.volume_ml is None else activity / float(batch.volume_ml),
                specific_mbq_ug=specific,
                # MBq/ug times g/mol is MBq/umol.
                molar_gbq_umol=None if specific is None or molar is None else specific * float(molar) / 1000.0,
            )
        )  # fmt: skip
    return tuple(found)


def half_life_of_batch(entered: HalfLifeInput) -> HalfLife:
    """Half-life from the readings of a record."""
    first = entered.times[0] if entered.times else None
    readings = [
        Reading(
            time_s=elapsed_s(cast(datetime, first), time), value=float(value),
            live_time_s=None if live is None else float(live), background=float(entered.background),
            background_u=float(entered.background_u),
        )
        for time, value, live in zip(entered.times, entered.values, entered.live_times_s, strict=True)
    ]  # fmt: skip
    repeatability = entered.repeatability_percent
    return half_life_of(readings, repeatability=None if repeatability is None else float(repeatability) / 100.0)


def identity_of(row: SpecRow, lines: LineInput) -> Identity:
    """Compare measured gamma lines with those of the specification within the stated tolerance."""
    near = lines.tolerance_kev
    found, missing = [], []
    for expected in row.lines_kev:
        closest = min(lines.measured_kev, key=lambda m: abs(m - expected))
        if abs(closest - expected) <= near:
            found.append((expected, closest))
        else:
            missing.append(expected)
    known = (*row.lines_kev, *row.sum_kev)
    unexplained = tuple(m for m in lines.measured_kev if all(abs(m - k) > near for k in known))
    return Identity(found=tuple(found), missing=tuple(missing), unexplained=unexplained, tolerance_kev=near)


def mass_balances(batch: Batch, specification: Specification) -> tuple[MassBalance, ...]:
    """Sums of the results of each system that has all its parts as plain numbers.

    The tolerance is half a unit of the last digit of each part, added up, unless the record states another.
    """
    found = []
    for group in specification.mass_balances:
        results = [batch.result(test) for test in group]
        parts = [r for r in results if r is not None and r.measured.value is not None and r.measured.qualifier == "="]
        if len(parts) != len(group):
            continue
        values = [
            convert(cast(Decimal, r.measured.value), r.unit, "%", where=f"{batch.where}: result {r.test}", field="unit")
            for r in parts
        ]
        total = sum(values, Decimal(0))
        rounding = sum((Decimal("0.5").scaleb(cast(int, v.as_tuple().exponent)) for v in values), Decimal(0))
        tolerance = batch.mass_balance_tolerance_percent or rounding
        found.append(
            MassBalance(
                tests=group, sum_percent=total, tolerance_percent=tolerance, consistent=abs(total - 100) <= tolerance
            )
        )
    return tuple(found)
