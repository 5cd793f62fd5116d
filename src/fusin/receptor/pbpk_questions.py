"""What users ask of the body: cold peptide, tumour burden, drugs on board, and the amount of peptide for therapy.

Labelled and unlabelled ligand behave alike. For one amount of peptide the time-integrated activity is therefore proportional to
the activity, and the activity that a limit allows follows without another simulation; it never exceeds what carrier-free label
of that amount would hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.receptor.blocking import Drug
from fusin.receptor.pbpk import Administration, constant_competitor, drug_on_board, hot_nmol, simulate_body
from fusin.receptor.pbpk_body import Tumour
from fusin.receptor.pbpk_population import Setup, draw_patient
from fusin.receptor.pbpk_system import Competition
from fusin.stats.results import Estimate

__all__ = [
    "BURDEN",
    "Amounts",
    "Bodies",
    "Response",
    "amounts_for_therapy",
    "blocking",
    "chemokine",
    "draw_bodies",
    "mass_effect",
    "response_rows",
    "sink",
    "sink_correlations",
]

FloatArray = NDArray[np.float64]
Measure = Literal["suv", "tia"]
Patient = tuple[dict[str, float], tuple[Tumour, ...]]
Bodies = tuple[Patient, ...]
Progress = Callable[[str, int, int], None]
BURDEN = "tumour burden"
"""Name of the tumour that stands for all disease in the study of the sink."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """Uptake of regions at several settings, in several bodies; the first body is the typical one.

    Attributes
    ----------
    question : short name
    x_name : what differs, with its unit
    x : settings
    regions : names
    measure : SUV at a moment, or time-integrated activity per activity given
    uptake : (bodies, settings, regions)
    reference : (bodies, regions) uptake that ratios refer to
    reference_text : in words
    """

    question: str
    x_name: str
    x: FloatArray
    regions: tuple[str, ...]
    measure: Measure
    uptake: FloatArray
    reference: FloatArray
    reference_text: str

    @property
    def ratios(self) -> FloatArray:
        """Uptake over its reference."""
        return np.asarray(self.uptake / self.reference[:, None, :])

    def estimate(self, setting: int, region: str, *, ratio: bool = True) -> Estimate:
        """Typical value and the middle 95 % of the bodies."""
        source = self.ratios if ratio else self.uptake
        return _estimate(source[:, setting, self.regions.index(region)])

    def crossing(self, region: str, level: float) -> Estimate:
        """Setting at which the ratio of a region falls to a level, by interpolation on a log scale where all settings are above 0.

        Bodies whose ratio stays above are counted as beyond the last setting, and the limit of the interval is then None.
        """
        place = self.regions.index(region)
        found = np.array([_crossing(self.x, row[:, place], level) for row in self.ratios])
        value = None if math.isinf(found[0]) else float(found[0])
        low, high = np.percentile(found, [2.5, 97.5], method="nearest").tolist()
        note = (
            f"beyond {self.x[-1]:g} in {np.isinf(found).sum()} of {found.size} bodies" if np.isinf(found).any() else ""
        )
        return Estimate(value=value, low=low if math.isfinite(low) else None, high=high if math.isfinite(high) else None,
                        method=_method(found.size), n=int(found.size), note=note)  # fmt: skip


def _method(n: int) -> str:
    return f"2.5 to 97.5 % of {n} bodies with drawn parameters, each calibrated to drawn organ SUV"


def _estimate(values: FloatArray) -> Estimate:
    if values.size < 2:
        return Estimate(value=float(values[0]), low=None, high=None, method="no interval: one body", n=1,
                        note="more draws give an interval")  # fmt: skip
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return Estimate(value=float(values[0]), low=low, high=high, method=_method(values.size), n=int(values.size))


def _crossing(x: FloatArray, ratio: FloatArray, level: float) -> float:
    below = np.flatnonzero(ratio <= level)
    if below.size == 0:
        return math.inf
    j = int(below[0])
    if j == 0:
        return float(x[0])
    share = (ratio[j - 1] - level) / (ratio[j - 1] - ratio[j])
    if x[j - 1] > 0:
        return float(x[j - 1] * (x[j] / x[j - 1]) ** share)
    return float(x[j - 1] + share * (x[j] - x[j - 1]))


def draw_bodies(setup: Setup, typical: Patient, draws: int, *, progress: Progress | None = None) -> Bodies:
    """The typical body, then drawn ones."""
    found = [typical]
    for number in range(draws):
        if progress is not None:
            progress("bodies", number, draws)
        try:
            found.append(draw_patient(setup, number))
        except NotComputable as err:
            if err.code != "NO_PATIENT_FOUND":
                raise
    return tuple(found)


def _uptake(
    patient: Patient,
    given: Sequence[Administration],
    times: Sequence[float],
    competition: Sequence[Competition],
    measure: Measure,
) -> dict[str, float]:
    values, tumours = patient
    curves = simulate_body(values, given, times, tumours=tumours, competition=competition, relative=1e-6)
    if measure == "suv":
        return {name: float(curves.suv(name)[-1]) for name in curves.regions}
    return {name: curves.tia_mbq_h(name) / curves.activity_mbq for name in curves.regions}


def _respond(
    bodies: Bodies, x: Sequence[float], case: Callable[[Patient, float], dict[str, float]], *, regions: Sequence[str],
    progress: Progress | None, stage: str,
) -> FloatArray:  # fmt: skip
    found = np.full((len(bodies), len(x), len(regions)), np.nan)
    for b, body in enumerate(bodies):
        if progress is not None:
            progress(stage, b, len(bodies))
        for k, setting in enumerate(x):
            uptake = case(body, float(setting))
            found[b, k] = [uptake[name] for name in regions]
    return found


def _least(setup: Setup) -> float:
    """Peptide below which a tracer is no longer one that can be made: its label alone, at least 0.01 nmol."""
    return max(0.01, *(1.001 * hot_nmol(one.activity_mbq, one.nuclide) for one in setup.given))


def mass_effect(
    setup: Setup, bodies: Bodies, measure: Measure, *, amounts_nmol: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> Response:  # fmt: skip
    """Uptake by the amount of peptide; the reference is the label alone, or 0.01 nmol."""
    least = _least(setup)
    usual = np.append(least, np.geomspace(max(1.0, 1.5 * least), max(3000.0, 100.0 * least), 12))
    amounts = usual if amounts_nmol is None else np.asarray(amounts_nmol, dtype=float)
    rising = amounts.size > 0 and bool(np.all(np.isfinite(amounts)) and np.all(np.diff(amounts) > 0))
    if not rising or amounts[0] < least * (1 - 1e-9):
        needed = f"increasing amounts of at least {least:.3g} nmol, the label alone"
        raise InputError("mass effect", "amounts_nmol", amounts.tolist(), needed)

    def case(body: Patient, amount: float) -> dict[str, float]:
        given = [replace(one, peptide_nmol=amount / len(setup.given)) for one in setup.given]
        return _uptake(body, given, setup.times_min, setup.competition, measure)

    regions = _regions(setup)
    grid = np.unique(np.concatenate([[least], amounts]))
    uptake = _respond(bodies, grid.tolist(), case, regions=regions, progress=progress, stage="peptide")
    return Response(question="mass", x_name="peptide [nmol]", x=grid, regions=regions, measure=measure, uptake=uptake,
                    reference=uptake[:, 0], reference_text=f"{least:.3g} nmol")  # fmt: skip


def _regions(setup: Setup) -> tuple[str, ...]:
    return tuple(r for r in setup.regions if r != "rest")


def sink(
    setup: Setup, bodies: Bodies, measure: Measure, *, volumes_ml: Sequence[float] = (0, 50, 200, 500, 1000, 2000, 4000, 7000),
    progress: Progress | None = None,
) -> Response:  # fmt: skip
    """Uptake of organs by the volume of all disease together."""
    volumes = np.asarray(volumes_ml, dtype=float)

    def case(body: Patient, volume: float) -> dict[str, float]:
        values, tumours = body
        more = (Tumour(name=BURDEN, volume_ml=volume),) if volume > 0 else ()
        # Disease that takes a large share of the body takes no more flow per litre than the body has to give.
        limited = {**values, "perfusion_tumour_per_min": _perfusion(values, volume)}
        return _uptake((limited, (*tumours, *more)), setup.given, setup.times_min, setup.competition, measure)

    regions = _regions(setup)
    uptake = _respond(bodies, volumes.tolist(), case, regions=regions, progress=progress, stage="burden")
    return Response(question="sink", x_name="tumour burden [mL]", x=volumes, regions=regions, measure=measure, uptake=uptake,
                    reference=uptake[:, 0], reference_text="no further tumour")  # fmt: skip


def _perfusion(values: Mapping[str, float], volume_ml: float) -> float:
    flow = float(values["cardiac_output_l_min"] * (1.0 - values["hematocrit"]) * (values["weight_kg"] / 73.0) ** 0.75)
    return min(float(values["perfusion_tumour_per_min"]), 0.2 * flow / max(volume_ml / 1000.0, 1e-9))


def sink_correlations(
    setup: Setup, bodies: Bodies, *, seed: int, low_ml: float = 1.0, high_ml: float = 2000.0, per_body: int = 3,
    progress: Progress | None = None,
) -> dict[str, Estimate]:  # fmt: skip
    """Spearman's correlation of organ SUV with tumour volume over virtual patients, as a cohort would show it.

    Volumes are log-uniform, one from each of ``per_body`` parts of the range. The interval is that of Fisher's z with the
    variance of Bonett and Wright (2000).
    """
    from scipy.stats import norm, spearmanr

    rng = np.random.default_rng([seed, 37])
    organs = [r for r in _regions(setup) if r in ("kidneys", "spleen", "red marrow", "liver", "blood")]
    volumes, uptake = [], []
    for number, (values, _) in enumerate(bodies[1:]):
        if progress is not None:
            progress("cohort", number, len(bodies) - 1)
        for place in range(per_body):
            # Each body with a small, a middle and a large burden, so that bodies differ by no chance of their volumes.
            volume = low_ml * (high_ml / low_ml) ** ((place + rng.uniform()) / per_body)
            limited = {**values, "perfusion_tumour_per_min": _perfusion(values, volume)}
            disease = (Tumour(name=BURDEN, volume_ml=volume),)
            found = _uptake((limited, disease), setup.given, setup.times_min, setup.competition, "suv")
            volumes.append(volume)
            uptake.append([found[name] for name in organs])
    table, n = np.array(uptake), len(bodies) - 1
    rows = {}
    for place, organ in enumerate(organs):
        if n < 5:
            rows[organ] = Estimate(value=None, low=None, high=None, method="none", n=n, note="needs at least 5 bodies")
            continue
        rho = float(spearmanr(volumes, table[:, place])[0])
        half = float(norm.ppf(0.975)) * math.sqrt((1 + rho * rho / 2) / max(n - 3, 1))
        rows[organ] = Estimate(value=rho, low=math.tanh(math.atanh(rho) - half), high=math.tanh(math.atanh(rho) + half),
                               method="Fisher z, Bonett-Wright", n=n)  # fmt: skip
    return rows


def blocking(
    setup: Setup, bodies: Bodies, drug: Drug, measure: Measure, *,
    hours: Sequence[float] = (0.5, 1, 2, 4, 6, 8, 12, 16, 24, 36, 48), progress: Progress | None = None,
) -> Response:  # fmt: skip
    """Uptake by the hours between a drug under the skin and the injection; the reference is the body without it."""

    def case(body: Patient, hour: float) -> dict[str, float]:
        on_board = () if hour < 0 else (drug_on_board(drug, hours_before=hour),)
        return _uptake(body, setup.given, setup.times_min, (*setup.competition, *on_board), measure)

    regions = _regions(setup)
    uptake = _respond(bodies, [-1.0, *hours], case, regions=regions, progress=progress, stage=drug.name)
    return Response(question="blocking", x_name=f"hours after {drug.name}", x=np.asarray(hours, float), regions=regions,
                    measure=measure, uptake=uptake[:, 1:], reference=uptake[:, 0], reference_text=f"no {drug.name}")  # fmt: skip


def chemokine(
    setup: Setup,
    bodies: Bodies,
    measure: Measure,
    *,
    free_nm: Sequence[float],
    ki_nm: float,
    progress: Progress | None = None,
) -> Response:
    """Uptake by free CXCL12 that every tissue holds; the reference is the body without it."""

    def case(body: Patient, level: float) -> dict[str, float]:
        more = (constant_competitor(level, ki_nm),) if level > 0 else ()
        return _uptake(body, setup.given, setup.times_min, (*setup.competition, *more), measure)

    regions = _regions(setup)
    uptake = _respond(bodies, [0.0, *free_nm], case, regions=regions, progress=progress, stage="CXCL12")
    return Response(question="chemokine", x_name="free CXCL12 [nM]", x=np.asarray(free_nm, float), regions=regions, measure=measure,
                    uptake=uptake[:, 1:], reference=uptake[:, 0], reference_text="no CXCL12")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Amounts:
    """Dose per activity by the amount of peptide, and the activity that limits allow.

    Attributes
    ----------
    response : time-integrated activity per activity [h]
    gy_per_mbq : (bodies, amounts, regions); NaN where a region has no dose factor
    activity_mbq : (bodies, amounts) that the limits allow; NaN without limits
    limiting : by amount, what limits the typical body
    tumour : region whose dose is maximised
    tumour_gy : (bodies, amounts) at that activity
    """

    response: Response
    gy_per_mbq: FloatArray
    activity_mbq: FloatArray
    limiting: tuple[str, ...]
    tumour: str
    tumour_gy: FloatArray

    def best(self) -> Estimate:
        """Amount with the largest dose of the tumour within the limits [nmol]."""
        return _estimate(self.response.x[np.argmax(self.tumour_gy, axis=1)])


def amounts_for_therapy(
    response: Response, *, gy_per_mbq_h: Mapping[str, float], limits_gy: Mapping[str, float], tumour: str, nuclide: str
) -> Amounts:
    """Doses by the amount of peptide.

    Parameters
    ----------
    response : of `mass_effect` with measure ``tia``
    gy_per_mbq_h : self-dose of a region per time-integrated activity in it
    limits_gy : of organs; empty for doses per activity alone
    tumour : whose dose is maximised
    nuclide : of the ligand, for the activity of carrier-free label

    Raises
    ------
    InputError
        For a limit of a region without a dose factor, or an unknown tumour.
    """
    names = response.regions
    for name in (*limits_gy, tumour):
        if name not in names or name not in gy_per_mbq_h:
            raise InputError("amount", "region", name, "one of " + ", ".join(n for n in names if n in gy_per_mbq_h))
    factors = np.array([gy_per_mbq_h.get(name, math.nan) for name in names])
    gy = response.uptake * factors
    free = response.x / hot_nmol(1.0, nuclide)
    bounds = [np.broadcast_to(free, gy.shape[:2])]
    words = ["carrier-free label"]
    for name, limit in limits_gy.items():
        if not (math.isfinite(limit) and limit > 0):
            raise InputError("amount", f"limit of {name}", float(limit), "a dose above 0 Gy")
        bounds.append(limit / gy[:, :, names.index(name)])
        words.append(name)
    stacked = np.stack(bounds)
    allowed = stacked.min(axis=0) if limits_gy else np.full(gy.shape[:2], np.nan)
    limiting = tuple(words[i] for i in stacked[:, 0].argmin(axis=0)) if limits_gy else ()
    dose = allowed * gy[:, :, names.index(tumour)]
    return Amounts(
        response=response, gy_per_mbq=gy, activity_mbq=allowed, limiting=limiting, tumour=tumour, tumour_gy=dose
    )


def response_rows(found: Response) -> list[dict[str, Any]]:
    """Rows of a table: one per setting and region."""
    rows = []
    for k, x in enumerate(found.x.tolist()):
        for name in found.regions:
            uptake, ratio = found.estimate(k, name, ratio=False), found.estimate(k, name)
            rows.append({
                "question": found.question, "setting": found.x_name, "x": x, "region": name, "measure": found.measure,
                "uptake": uptake.value, "uptake_low": uptake.low, "uptake_high": uptake.high,
                "ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high,
            })  # fmt: skip
    return rows
