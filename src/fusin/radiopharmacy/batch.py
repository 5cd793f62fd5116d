"""A batch record: what was made from what, when, with which activity, by whom, and what quality control found.

Every activity carries its reference time; every result its unit. Numbers are decimals with the digits that were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from fusin.radiopharmacy.limits import Measured

__all__ = [
    "Activity",
    "Batch",
    "Conditional",
    "Deviation",
    "DoseLimit",
    "ExpiryRequest",
    "FixedLimit",
    "HalfLifeInput",
    "Instrument",
    "LineInput",
    "People",
    "Precursor",
    "RawFile",
    "Reagent",
    "Result",
    "Role",
    "Times",
    "good_through",
]

Role = Literal["starting", "product", "residual", "waste"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One measured activity.

    Attributes
    ----------
    name, role : words; ``starting`` entered the synthesis, ``product`` is what is released, ``residual`` and ``waste`` the rest
    activity_mbq, time : activity and the moment it refers to
    u_percent : standard uncertainty of the reading [%], None when not stated
    instrument : id of the instrument
    """

    name: str
    role: Role
    activity_mbq: Decimal
    time: datetime
    u_percent: Decimal | None = None
    instrument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precursor:
    """The precursor: lot, mass in the synthesis [ug], molar mass [g/mol], and how long it is good."""

    name: str = ""
    lot: str = ""
    amount_ug: Decimal | None = None
    molar_mass_g_mol: Decimal | None = None
    expiry: date | datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reagent:
    """One reagent, cassette, filter or vial with its lot, and the day through which it is good."""

    name: str
    lot: str
    expiry: date | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument, and the day through which its calibration is good."""

    id: str
    name: str
    calibration_due: date | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One deviation; an open one stops the release."""

    id: str
    text: str
    closed: bool
    reason: str = ""
    closed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """A raw file: its name, digest, size, and the digest that the record stated (empty when none)."""

    name: str
    sha256: str
    size: int
    stated: str = ""
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One result of quality control.

    Attributes
    ----------
    test : id of the row of the specification
    measured, unit : as reported
    u : standard uncertainty in the unit, None when not stated
    reference_time : moment to which a share of an impurity refers
    time, analyst, instrument : when, who, with what
    raw : the raw file, None when none is named
    key : where the value stands in the raw file, for a value that was read out of it
    """

    test: str
    measured: Measured
    unit: str
    u: Decimal | None = None
    reference_time: datetime | None = None
    time: datetime | None = None
    analyst: str = ""
    instrument: str = ""
    raw: RawFile | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLifeInput:
    """Readings for the half-life: (time, value) in order, as activities or as counts with their live time [s]."""

    times: tuple[datetime, ...]
    values: tuple[Decimal, ...]
    live_times_s: tuple[Decimal | None, ...]
    background: Decimal
    background_u: Decimal
    repeatability_percent: Decimal | None
    raw: RawFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineInput:
    """Measured gamma lines [keV] and the tolerance within which they count as expected ones."""

    measured_kev: tuple[Decimal, ...]
    tolerance_kev: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseLimit:
    """Something that is limited per dose: its content per mL and the most that a dose may hold, in one unit."""

    name: str
    per_ml: Decimal
    per_dose: Decimal
    unit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLimit:
    """A moment after which the batch must not be used, and why."""

    name: str
    time: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRequest:
    """What the shelf life has to hold for.

    Attributes
    ----------
    stability_h, stability_source : validated by the site; None takes the specification's
    doses, dose_mbq : that the vial must still give at its expiry
    in_use_h, first_puncture : sterility in use after the first puncture
    dose_limits, fixed : further limits
    """

    stability_h: Decimal | None = None
    stability_source: str = ""
    doses: int | None = None
    dose_mbq: Decimal | None = None
    in_use_h: Decimal | None = None
    first_puncture: datetime | None = None
    dose_limits: tuple[DoseLimit, ...] = ()
    fixed: tuple[FixedLimit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """A request to release without some tests: which, why, who approved, and where the reserve sample is."""

    tests: tuple[str, ...]
    reason: str
    approved_by: str
    reserve_sample: str


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who made, tested and releases the batch."""

    maker: str = ""
    analyst: str = ""
    releaser: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Moments of the batch; None when not recorded."""

    start_of_synthesis: datetime | None = None
    end_of_synthesis: datetime | None = None
    decision: datetime | None = None
    released: datetime | None = None
    sterility_started: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A whole batch record; see the page of ``fusin release`` for the file it is read from.

    Attributes
    ----------
    number, product : of the batch
    specification, specification_sha256 : ``ID@version`` and the pinned hash (empty when none)
    recipe : ``ID@version`` of the template, empty when none is named
    parameters : of the process as it was run
    volume_ml : of the product
    max_injected_volume_ml : V of every limit per volume
    declared_mbq, declared_time : activity on the label and its moment
    ethanol_g_ml : content of the product, None when unknown
    mass_balance_tolerance_percent : of sums that should be 100 %; None takes the rounding of their parts
    zone : declared zone of times without an offset
    document : the file as it was read, for the record
    """

    where: str
    number: str
    product: str
    specification: str
    specification_file: str
    specification_sha256: str
    recipe: str
    zone: str
    activities: tuple[Activity, ...]
    results: tuple[Result, ...]
    precursor: Precursor
    reagents: tuple[Reagent, ...]
    instruments: tuple[Instrument, ...]
    deviations: tuple[Deviation, ...]
    people: People
    times: Times
    expiry: ExpiryRequest
    parameters: Mapping[str, Any]
    volume_ml: Decimal | None = None
    max_injected_volume_ml: Decimal | None = None
    declared_mbq: Decimal | None = None
    declared_time: datetime | None = None
    ethanol_g_ml: Decimal | None = None
    mass_balance_tolerance_percent: Decimal | None = None
    half_life: HalfLifeInput | None = None
    lines: LineInput | None = None
    conditional: Conditional | None = None
    document: Mapping[str, Any] = field(default_factory=dict)

    def of_role(self, role: Role) -> tuple[Activity, ...]:
        """Activities of a role."""
        return tuple(a for a in self.activities if a.role == role)

    def result(self, test: str) -> Result | None:
        """The result of a test, or None."""
        return next((r for r in self.results if r.test == test), None)

    def raw_files(self) -> tuple[RawFile, ...]:
        """All raw files, each once."""
        found = [r.raw for r in self.results if r.raw is not None]
        if self.half_life is not None and self.half_life.raw is not None:
            found.append(self.half_life.raw)
        return tuple({f.sha256: f for f in found}.values())


def good_through(limit: date | datetime, moment: datetime) -> bool:
    """Whether something is still good at a moment; a day counts to its end."""
    if isinstance(limit, datetime):
        return moment <= limit
    return moment.date() <= limit
