"""Everything that is computed for a case: typical patient, drawn bodies, answers, what is identified, virtual patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.blocking import drug_by_name
from fusin.receptor.pbpk import BodyCurves, output_times, simulate_body
from fusin.receptor.pbpk_calibration import Identified, calibrated, identified, open_spans
from fusin.receptor.pbpk_case import BodyCase
from fusin.receptor.pbpk_parameters import CALIBRATED, LIGAND_FIELDS, defaults, records_for
from fusin.receptor.pbpk_population import Setup
from fusin.receptor.pbpk_questions import (
    Bodies,
    Response,
    blocking,
    chemokine,
    draw_bodies,
    mass_effect,
    sink,
    sink_correlations,
)
from fusin.stats.results import Estimate

__all__ = ["BodyStudy", "sampling_times", "setup_of", "study_body", "typical_values"]

FloatArray = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
CURVE_POINTS = 97
_PET_MIN = (5.0, 15.0, 30.0, 45.0, 60.0, 90.0, 120.0)
_THERAPY_MIN = (60.0, 240.0, 1440.0, 2880.0, 4320.0, 5760.0, 10080.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodyStudy:
    """Results of a case.

    Attributes
    ----------
    case, setup : what was asked
    typical : curves of the typical patient
    bodies : typical and drawn parameters
    drawn : curves of the drawn bodies
    suv, tia_mbq_h : by region: at the moment of the table; until the end
    responses : answers by question
    correlations : of organ SUV with tumour volume
    identified : what the calibration leaves open
    """

    case: BodyCase
    setup: Setup
    typical: BodyCurves
    bodies: Bodies
    drawn: tuple[BodyCurves, ...]
    suv: Mapping[str, Estimate]
    tia_mbq_h: Mapping[str, Estimate]
    responses: Mapping[str, Response]
    correlations: Mapping[str, Estimate]
    identified: tuple[Identified, ...]

    def bands(self, region: str, percentiles: Sequence[float]) -> FloatArray:
        """Percentiles of the SUV of drawn bodies, (percentiles, times)."""
        return np.asarray(np.percentile([c.suv(region) for c in self.drawn], percentiles, axis=0))


def sampling_times(case: BodyCase) -> list[float]:
    """Moments after the first injection at which a patient would be imaged [min]."""
    until = 60.0 * case.until_h
    return [t for t in (_PET_MIN if until <= 360.0 else _THERAPY_MIN) if t <= until] or [until]


def typical_values(case: BodyCase) -> dict[str, float]:
    """The body whose SUV are the published medians, then the numbers of the patient and of the ligand."""
    middle = {k: math.sqrt(low * high) if low > 0 else 0.5 * (low + high) for k, (low, high) in case.stated.items()}
    own = case.ligand == "pentixafor"
    body = {k: v for k, v in middle.items() if own or k not in LIGAND_FIELDS}
    # Size, volumes, flow and filtration of this patient come after the calibration, which is that of other patients.
    records = records_for("pentixafor")
    later = {k: v for k, v in body.items() if records[k].status == "measured"}
    before = {k: v for k, v in body.items() if k not in later}
    values = calibrated(defaults("pentixafor", before), keep=[name for name in CALIBRATED if name in before]) | later
    if not own:
        # What binds is the same receptor; affinity and rates are those of pentixafor unless the user states them.
        values["free_in_plasma"] = records_for(case.ligand)["free_in_plasma"].value
        values |= {k: v for k, v in middle.items() if k in LIGAND_FIELDS}
    return values


def setup_of(case: BodyCase, times_min: FloatArray, seed: int) -> Setup:
    """What all patients of the case share."""
    return Setup(
        ligand=case.ligand, given=case.given, times_min=tuple(times_min.tolist()), tumours=case.tumours,
        competition=case.competition(), stated=case.stated, seed=seed,
    )  # fmt: skip


def study_body(
    case: BodyCase, *, draws: int = 40, seed: int = 0, log: NoticeLog | None = None, progress: Progress | None = None
) -> BodyStudy:
    """Run a case.

    Parameters
    ----------
    case : what is asked
    draws : bodies with drawn parameters, for intervals and bands; 0 for none
    seed : of the draws
    log : receives notices
    progress : called with (stage, done, total)

    Raises
    ------
    InputError
        For a number of draws that is none.
    NotComputable
        When no body with the stated numbers has the published SUV.
    """
    if not 0 <= draws <= 10_000:
        raise InputError("--draws", "number", draws, "from 0 to 10000; more are patients, --patients")
    notices = log if log is not None else NoticeLog()
    times = np.unique([*output_times(60.0 * case.until_h, CURVE_POINTS), case.at_min, *sampling_times(case)])
    setup = setup_of(case, times, seed)
    typical = (typical_values(case), case.tumours)
    bodies = draw_bodies(setup, typical, draws, progress=progress)
    _doubts(case, len(bodies) - 1, draws, notices)
    curves = [
        simulate_body(
            values, case.given, times, tumours=tumours, competition=setup.competition, relative=1e-8 if not i else 1e-6
        )
        for i, (values, tumours) in enumerate(bodies)
    ]
    place = int(np.flatnonzero(times == case.at_min)[0])
    suv = {r: _spread([float(c.suv(r)[place]) for c in curves]) for r in setup.regions}
    tia = {r: _spread([c.tia_mbq_h(r) for c in curves]) for r in setup.regions}
    asked = replace(setup, times_min=(case.at_min if case.measure == "suv" else 60.0 * case.until_h,))
    responses, correlations = _answers(case, asked, bodies, seed, progress)
    spans = open_spans(
        "pentixafor", {k: v for k, v in case.stated.items() if v[0] < v[1] and case.ligand == "pentixafor"}
    )
    known = identified([v for v, _ in bodies[1:]], spans) if len(bodies) > 10 and case.ligand == "pentixafor" else ()
    return BodyStudy(
        case=case, setup=setup, typical=curves[0], bodies=bodies, drawn=tuple(curves[1:]), suv=suv, tia_mbq_h=tia,
        responses=responses, correlations=correlations, identified=known,
    )  # fmt: skip


def _answers(
    case: BodyCase, setup: Setup, bodies: Bodies, seed: int, progress: Progress | None
) -> tuple[dict[str, Response], dict[str, Estimate]]:
    measure = "suv" if case.measure == "suv" else "tia"
    found: dict[str, Response] = {}
    correlations: dict[str, Estimate] = {}
    if "mass" in case.ask or "amount" in case.ask:
        found["mass"] = mass_effect(setup, bodies, "suv" if measure == "suv" else "tia", progress=progress)
    if "sink" in case.ask:
        found["sink"] = sink(setup, bodies, "suv" if measure == "suv" else "tia", progress=progress)
        correlations = sink_correlations(replace(setup, times_min=(case.at_min,)), bodies, seed=seed, progress=progress)
    if "drug" in case.ask:
        drugs = [one.drug for one in case.drugs] or [drug_by_name("plerixafor")]
        # The question varies the hours of a drug, so that the body without it is the reference.
        free = replace(setup, competition=())
        for drug in drugs:
            found[f"drug {drug.name}"] = blocking(
                free, bodies, drug, "suv" if measure == "suv" else "tia", progress=progress
            )
    if "cxcl12" in case.ask:
        free = replace(setup, competition=())
        found["cxcl12"] = chemokine(free, bodies, "suv" if measure == "suv" else "tia", free_nm=case.levels_nm,
                                    ki_nm=case.cxcl12_ki_nm, progress=progress)  # fmt: skip
    return found, correlations


def _spread(values: Sequence[float]) -> Estimate:
    if len(values) < 3:
        return Estimate(value=values[0], low=None, high=None, method="no interval: no draws", n=len(values) - 1,
                        note="--draws gives an interval")  # fmt: skip
    low, high = np.percentile(values[1:], [2.5, 97.5]).tolist()
    method = (
        f"value: typical body; interval: 2.5 to 97.5 % of {len(values) - 1} drawn bodies, each calibrated to drawn SUV"
    )
    return Estimate(value=values[0], low=low, high=high, method=method, n=len(values) - 1)


def _doubts(case: BodyCase, found: int, draws: int, log: NoticeLog) -> None:
    if case.ligand != "pentixafor":
        message = f"no organ SUV of {case.ligand} are published: receptors and organs are those that pentixafor shows"
        log.warning("CALIBRATED_WITH_PENTIXAFOR", message, where=case.ligand)
    if "kd_nm" not in case.stated:
        record = records_for(case.ligand)["kd_nm"]
        message = (
            f"no KD is stated: {record.value:.3g} nM, and draws from {record.low:g} to {record.high:g} nM, are used"
        )
        log.warning("BODY_AFFINITY_ASSUMED", message, where=case.ligand, used=record.value)
    if found < draws:
        message = f"{draws - found} of {draws} bodies have no numbers that give the drawn SUV"
        log.warning("SOME_BODIES_FAILED", message, used=found)
