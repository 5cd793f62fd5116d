"""%ID/g, %ID per organ and SUV of single animals, from counts, weights and standards of the injected dose.

With net rates n at one common time, a standard that holds the share or amount f, and the injected amount D in the same unit::

    injected   ID = D (n_std / f) - n_tail
    %ID      = 100 n_organ / (share of the organ counted) / ID
    %ID/g    = 100 n_tissue / ID / mass            SUV = (%ID/g) (body weight in g) / 100

All tissues of an animal share its standard, background and half-life; the propagation knows that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scipy.special import stdtrit
from scipy.stats import chi2

from fusin.assays.counting_uncertainty import Measured, Source, exact, mean_of, measured, summed
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog, jsonable

__all__ = [
    "CARCASS",
    "TAIL",
    "AnimalDose",
    "Calibration",
    "DoseUnit",
    "Exclusion",
    "OrganValue",
    "StandardTube",
    "Tissue",
    "TissueValues",
    "calibrate",
    "injected_dose",
    "organ_values",
    "tail_exclusion",
    "tissue_mass",
]

DoseUnit = Literal["fraction", "g", "mL", "MBq"]

TAIL, CARCASS = "tail", "carcass"
"""Names of tissues that mean something: the place of injection, and what is left of the animal."""

_SCATTER_P = 0.01
# In any unit that is used here; what is smaller is a slip, and its reciprocal has no meaning.
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StandardTube:
    """A standard of the injected dose.

    Attributes
    ----------
    name : tube
    rate : net rate at the common time [1/s]
    amount : what it holds of the injected solution, in ``unit``
    unit : share of the dose, g, mL, or MBq at the common time
    relative_u : standard uncertainty of the amount, as a fraction
    """

    name: str
    rate: Measured
    amount: float
    unit: DoseUnit
    relative_u: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rate per unit of the injected solution [1/s per unit].

    Attributes
    ----------
    rate_per_unit : mean of the standards
    unit : of the amount
    n : standards
    method : how the uncertainty was found
    """

    rate_per_unit: Measured
    unit: DoseUnit
    n: int
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        rate = self.rate_per_unit
        return {
            "cps_per_unit": rate.value,
            "u": jsonable(rate.u),
            "unit": self.unit,
            "n": self.n,
            "method": self.method,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnimalDose:
    """What an animal got.

    Attributes
    ----------
    animal : identifier
    gross : rate of what left the syringe [1/s at the common time]
    tail : rate of the tail, None when it was not counted
    net : rate of what reached the circulation; without the tail where it was subtracted
    """

    animal: str
    gross: Measured
    tail: Measured | None
    net: Measured

    @property
    def tail_percent(self) -> Measured | None:
        """Tail as a share of what left the syringe [%]."""
        return None if self.tail is None else (self.tail / self.gross).scaled(100.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tissue:
    """One counted tissue.

    Attributes
    ----------
    animal, organ : whose, as spelt
    rate : net rate at the common time [1/s]
    mass : wet mass [g], None when it was not weighed
    counted_fraction : share of the organ in the tube
    detected : whether it is more than background
    """

    animal: str
    organ: str
    rate: Measured
    mass: Measured | None = None
    counted_fraction: float = 1.0
    detected: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrganValue:
    """Uptake of one organ of one animal.

    Attributes
    ----------
    animal, organ, group, time : as spelt; ``time`` is a label
    time_h : number behind the label, None when there is none
    percent_id_per_g, percent_id, suv : decay-corrected; None when the data do not give them
    decay_to_sacrifice : factor from the corrected to the uncorrected %ID/g; None without times
    mass_g : wet mass [g]
    detected : more than background
    """

    animal: str
    organ: str
    group: str = ""
    time: str = ""
    time_h: float | None = None
    percent_id_per_g: Measured | None = None
    percent_id: Measured | None = None
    suv: Measured | None = None
    decay_to_sacrifice: float | None = None
    mass_g: float | None = None
    detected: bool | None = None

    def quantity(self, name: str) -> Measured | None:
        """Value of a quantity by its column name."""
        found: Measured | None = getattr(self, name)
        return found


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is left out of the analysis, and why; ``rule`` is ``extravasation`` or ``stated``."""

    animal: str
    organ: str
    reason: str
    rule: str

    def to_json(self) -> dict[str, str]:
        """Return a JSON-ready mapping."""
        return {"animal": self.animal, "organ": self.organ, "reason": self.reason, "rule": self.rule}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueValues:
    """All values of a study, before anything is summarised.

    Attributes
    ----------
    values : of animals that are analysed
    doses : by animal; empty for tables of values
    recovery : animal to summed %ID of all its tissues with the tail, of what left the syringe
    whole_body : animals whose carcass was counted, so that the recovery is one
    exclusions : what was left out
    calibration : of the standards; None for tables of values
    """

    values: tuple[OrganValue, ...]
    doses: Mapping[str, AnimalDose] = field(default_factory=dict)
    recovery: Mapping[str, Measured] = field(default_factory=dict)
    whole_body: frozenset[str] = frozenset()
    exclusions: tuple[Exclusion, ...] = ()
    calibration: Calibration | None = None


def tissue_mass(
    *, mass_g: float | None, full_g: float | None, empty_g: float | None, u_g: float | None, where: str, name: str
) -> Measured | None:
    """Wet mass of a tissue, given or by difference.

    Parameters
    ----------
    mass_g : mass [g]
    full_g, empty_g : tube with tissue and without [g]
    u_g : standard uncertainty of the mass [g]; None adds none
    where, name : row for messages, and the tube

    Raises
    ------
    InputError
        For a mass of 0 or below, both kinds of mass, or half of a pair.
    """
    if full_g is not None or empty_g is not None:
        if mass_g is not None:
            raise InputError(where, "mass_g", mass_g, "a mass, or full_g and empty_g, not both")
        if full_g is None or empty_g is None:
            missing = "full_g" if full_g is None else "empty_g"
            raise InputError(where, missing, "nothing", "full_g and empty_g together")
        mass_g = full_g - empty_g
        if not mass_g > 0:
            raise InputError(
                f"{where} ({name})", "full_g - empty_g", round(mass_g, 6),
                "a wet mass above 0; full and empty may be exchanged",
            )  # fmt: skip
    if mass_g is None:
        return None
    if not mass_g > _TINY:
        raise InputError(f"{where} ({name})", "mass_g", mass_g, "a wet mass above 0")
    return exact(mass_g) if not u_g else measured(mass_g, u_g, "weighing", name)


def calibrate(standards: Sequence[StandardTube], log: NoticeLog) -> Calibration:
    """Rate per unit of the injected solution, mean of the standards.

    Where standards scatter more than their own uncertainties allow (chi2, p < 0.01), the SD of their mean times t/1.96 is the
    uncertainty, with a notice, so that 95 % limits hold for few standards.

    Raises
    ------
    MissingValue
        Without a standard.
    InvalidValue
        For standards in different units, an amount of 0, or a standard without signal.
    """
    what = "%ID"
    if not standards:
        raise MissingValue(
            what, "there is no standard of the injected dose", "at least one tube of kind standard", "NO_STANDARD"
        )
    units = list(dict.fromkeys(s.unit for s in standards))
    if len(units) > 1:
        raise InvalidValue(
            what, f"standards are given in {' and '.join(units)}", "one unit for all standards", "STANDARD_UNIT"
        )
    each = []
    for one in standards:
        if not (math.isfinite(one.amount) and one.amount > _TINY):
            raise InvalidValue(
                what, f"standard {one.name} holds {one.amount:g} {one.unit}", "an amount above 0", "STANDARD_UNIT"
            )
        if not one.rate.value > 0:
            raise InvalidValue(
                what, f"standard {one.name} has a net rate of {one.rate.value:g} per second", "a rate above background",
                "STANDARD_EMPTY",
            )  # fmt: skip
        each.append(one.rate / measured(one.amount, one.relative_u * one.amount, "standard", one.name))
    mean, n = mean_of(each), len(each)
    if n > 1 and all(e.u for e in each):
        statistic = sum(((e.value - mean.value) / (e.u or 1.0)) ** 2 for e in each)
        if float(chi2.sf(statistic, n - 1)) < _SCATTER_P:
            sd = math.sqrt(sum((e.value - mean.value) ** 2 for e in each) / (n - 1) / n)
            log.warning(
                "STANDARDS_SCATTER",
                f"the {n} standards scatter by {100 * sd * math.sqrt(n) / mean.value:.2g} % (SD), more than stated; "
                "the SD of their mean is used",
            )
            widened = sd * float(stdtrit(n - 1, 0.975)) / 1.959963984540054
            return Calibration(
                Measured(mean.value, {Source("standard", "scatter"): widened}), units[0], n, "SD of the mean, t"
            )
    return Calibration(mean, units[0], n, "propagated, mean of the standards")


def injected_dose(
    animal: str, amount: Measured, calibration: Calibration, *, tail: Measured | None, subtract_tail: bool, where: str
) -> AnimalDose:
    """Dose of an animal in the rate of the counter.

    Parameters
    ----------
    animal : identifier
    amount : what left the syringe, in the unit of the calibration
    calibration : of the standards
    tail : net rate of the tail
    subtract_tail : whether activity at the place of injection was never available to the tissues
    where : for messages

    Raises
    ------
    InputError
        When nothing was injected, or nothing is left after the tail.
    """
    if not (math.isfinite(amount.value) and amount.value > _TINY):
        raise InputError(
            where, "injected dose", amount.value, f"more in the full syringe than after injection ({calibration.unit})"
        )
    gross = amount * calibration.rate_per_unit
    net = gross - tail if tail is not None and subtract_tail else gross
    if not net.value > 0:
        raise InputError(
            where, "tail", f"{100 * (1 - net.value / gross.value):.0f} % of the dose", "less than all of it"
        )
    return AnimalDose(animal=animal, gross=gross, tail=tail, net=net)


def tail_exclusion(dose: AnimalDose, limit_percent: float) -> Exclusion | None:
    """The extravasation rule: an animal whose tail holds more than a stated share of the dose is left out."""
    found = dose.tail_percent
    if found is None or found.value <= limit_percent:
        return None
    reason = f"tail holds {found.value:.1f} % of the injected dose, above the stated limit of {limit_percent:g} %"
    return Exclusion(dose.animal, "", reason, "extravasation")


def organ_values(
    tissues: Sequence[Tissue], dose: AnimalDose, *, body_weight_g: float | None
) -> tuple[tuple[OrganValue, ...], Measured]:
    """Uptake of the tissues of one animal, and the recovered share of what left the syringe [%].

    Parameters
    ----------
    tissues : of this animal; tissues of one name are added
    dose : of this animal
    body_weight_g : for SUV, None leaves it out

    Raises
    ------
    InputError
        For a body weight or counted share that is not positive.
    """
    if body_weight_g is not None and not body_weight_g > _TINY:
        raise InputError(f"animal {dose.animal}", "body_weight_g", body_weight_g, "a weight above 0")
    out, whole = [], []
    for one in tissues:
        if not one.counted_fraction > _TINY:
            raise InputError(
                f"animal {one.animal} {one.organ}",
                "counted_fraction",
                one.counted_fraction,
                "a share above 0, at most 1",
            )
        organ_rate = one.rate.scaled(1.0 / one.counted_fraction)
        whole.append(organ_rate)
        per_gram = None if one.mass is None else (one.rate / dose.net / one.mass).scaled(100.0)
        out.append(
            OrganValue(
                animal=one.animal, organ=one.organ, percent_id_per_g=per_gram,
                percent_id=(organ_rate / dose.net).scaled(100.0),
                suv=None if per_gram is None or body_weight_g is None else per_gram.scaled(body_weight_g / 100.0),
                mass_g=None if one.mass is None else one.mass.value, detected=one.detected,
            )
        )  # fmt: skip
    recovered = (summed(whole) / dose.gross).scaled(100.0)
    return tuple(out), recovered
