"""One patient: what is given, and activity, SUV and time-integrated activity of each region over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.receptor.blocking import Drug, absorption_rate_per_h
from fusin.receptor.pbpk_body import Tumour, body_system, region_volumes
from fusin.receptor.pbpk_system import Competition, Course, Give, run

__all__ = [
    "Administration",
    "BodyCurves",
    "constant_competitor",
    "drug_on_board",
    "hot_nmol",
    "output_times",
    "simulate_body",
]

FloatArray = NDArray[np.float64]
_AVOGADRO = 6.02214076e23


def hot_nmol(activity_mbq: float, nuclide_name: str) -> float:
    """Labelled molecules of an activity [nmol]: A / (lambda N_A)."""
    return activity_mbq * 1e6 / nuclide(nuclide_name).decay_constant_per_s / _AVOGADRO * 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration:
    """One injection.

    Attributes
    ----------
    nuclide : name
    activity_mbq : at its time
    peptide_nmol : labelled and unlabelled together
    time_min : of its start
    duration_min : of an infusion
    """

    nuclide: str
    activity_mbq: float
    peptide_nmol: float
    time_min: float = 0.0
    duration_min: float = 0.0

    def give(self) -> Give:
        """Hot and cold amounts.

        Raises
        ------
        InputError
            When the activity has more molecules than the peptide.
        """
        if not (math.isfinite(self.activity_mbq) and self.activity_mbq >= 0):
            raise InputError("administration", "activity_mbq", self.activity_mbq, "at least 0 MBq")
        hot = hot_nmol(self.activity_mbq, self.nuclide)
        if not (math.isfinite(self.peptide_nmol) and self.peptide_nmol > 0):
            raise InputError("administration", "peptide_nmol", self.peptide_nmol, "an amount above 0 nmol")
        if self.peptide_nmol < hot * (1 - 1e-9):
            raise InputError(
                "administration", "peptide_nmol", self.peptide_nmol,
                f"at least {hot:.4g} nmol, the labelled molecules in {self.activity_mbq:g} MBq of {self.nuclide}",
            )  # fmt: skip
        return Give(
            time_min=self.time_min,
            hot_nmol=hot,
            cold_nmol=max(self.peptide_nmol - hot, 0.0),
            duration_min=self.duration_min,
        )


def constant_competitor(free_nm: float, ki_nm: float) -> Competition:
    """A competitor that stays at a free concentration, such as CXCL12 of a tissue.

    Raises
    ------
    InputError
        For a negative concentration or a Ki that is not above 0.
    """
    if not (math.isfinite(free_nm) and free_nm >= 0 and math.isfinite(ki_nm) and ki_nm > 0):
        raise InputError("competitor", "free_nm, ki_nm", f"{free_nm:g}, {ki_nm:g}", "at least 0 nM, and above 0 nM")
    return Competition(height=free_nm / ki_nm)


def drug_on_board(drug: Drug, *, hours_before: float) -> Competition:
    """A drug given under the skin some hours before (negative: after) the injection.

    Its free concentration follows `fusin.receptor.blocking.concentration_nm` at the middle of its ranges, and is the same in
    every tissue.
    """
    ke = math.log(2.0) / drug.half_life_h.value
    ka = float(absorption_rate_per_h(np.array(drug.tmax_h.value), np.array(drug.half_life_h.value)))
    peak = drug.dose_mg_per_kg * 1e6 / drug.molar_mass_g_mol / drug.volume_l_per_kg.value
    height = peak * ka / (ka - ke) * drug.free_share.value / drug.kd_nm.value
    return Competition(
        height=height, time_min=-60.0 * hours_before, absorption_per_min=ka / 60.0, elimination_per_min=ke / 60.0
    )


def output_times(end_min: float, points: int = 121) -> FloatArray:
    """Moments from 0 to an end, dense at the beginning.

    Raises
    ------
    InputError
        For an end that is not above 0 or too few points.
    """
    if not (math.isfinite(end_min) and 0 < end_min <= 1e6):
        raise InputError("simulation", "until", float(end_min), "a time above 0, at most 1e6 min")
    if not 2 <= points <= 100_000:
        raise InputError("simulation", "points", points, "from 2 to 100000")
    first = min(0.5, end_min / (2 * points))
    return np.concatenate([[0.0], np.geomspace(first, end_min, points - 1)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodyCurves:
    """What happens to one patient.

    Attributes
    ----------
    values : parameters
    tumours : regions beside the organs
    nuclide : name
    activity_mbq, peptide_nmol : given in all
    volumes_l : of the regions
    course : states
    """

    values: Mapping[str, float]
    tumours: tuple[Tumour, ...]
    nuclide: str
    activity_mbq: float
    peptide_nmol: float
    volumes_l: Mapping[str, float]
    course: Course = field(repr=False)

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions."""
        return self.course.system.regions

    @property
    def time_min(self) -> FloatArray:
        """Moments [min]."""
        return self.course.time_min

    def activity(self, region: str) -> FloatArray:
        """Activity of a region at its time [MBq]."""
        rate = nuclide(self.nuclide).decay_constant_per_s
        return np.asarray(self.course.region_hot(region) * 1e-9 * _AVOGADRO * rate / 1e6)

    def suv(self, region: str) -> FloatArray:
        """Standardised uptake value of a region: activity per volume over what decay leaves of that given, per weight.

        Zero before anything is given.
        """
        given = self.course.hot_left()
        share = np.divide(self.course.region_hot(region), given, out=np.zeros_like(given), where=given > 0)
        return np.asarray(share * self.values["weight_kg"] / self.volumes_l[region])

    def suv_at(self, region: str, time_min: float) -> float:
        """SUV at one of the moments."""
        return float(np.interp(time_min, self.time_min, self.suv(region)))

    def tia_mbq_h(self, region: str) -> float:
        """Time-integrated activity until the last moment [MBq h]."""
        rate = nuclide(self.nuclide).decay_constant_per_s
        return float(self.course.integral(region)[-1] * 1e-9 * _AVOGADRO * rate / 1e6 / 60.0)

    def tail_mbq_h(self, region: str) -> float:
        """What physical decay alone would add after the last moment [MBq h]: an upper limit."""
        return float(self.activity(region)[-1] / (3600.0 * nuclide(self.nuclide).decay_constant_per_s))

    def to_json(self) -> dict[str, Any]:
        """Return curves as a JSON-ready mapping."""
        return {
            "time_min": self.time_min.tolist(),
            "suv": {name: self.suv(name).tolist() for name in self.regions},
            "activity_mbq": {name: self.activity(name).tolist() for name in self.regions},
        }


def simulate_body(
    values: Mapping[str, float], given: Sequence[Administration], times_min: Sequence[float] | FloatArray, *,
    tumours: Sequence[Tumour] = (), competition: Sequence[Competition] = (), relative: float = 1e-8,
) -> BodyCurves:  # fmt: skip
    """Run one patient.

    Parameters
    ----------
    values : parameters by name, see `fusin.receptor.pbpk_parameters.defaults`
    given : injections of one nuclide
    times_min : increasing moments from the first injection on
    tumours, competition : any number
    relative : tolerance of a step

    Raises
    ------
    InputError
        For no injection, or injections of two nuclides.
    """
    nuclides = sorted({nuclide(one.nuclide).name for one in given})
    if len(nuclides) != 1:
        raise InputError("administration", "nuclide", ", ".join(nuclides) or "none", "one nuclide for all injections")
    system = body_system(values, nuclide_name=nuclides[0], tumours=tumours)
    course = run(system, [one.give() for one in given], times_min, competition=competition, relative=relative)
    return BodyCurves(
        values=dict(values), tumours=tuple(tumours), nuclide=nuclides[0], activity_mbq=sum(g.activity_mbq for g in given),
        peptide_nmol=sum(g.peptide_nmol for g in given), volumes_l=region_volumes(values, tumours), course=course,
    )  # fmt: skip
