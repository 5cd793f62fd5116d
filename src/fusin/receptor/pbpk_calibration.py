"""Calibration of the body to the published uptake of normal organs, and what these numbers leave open.

Six numbers of the body (`fusin.receptor.pbpk_parameters.CALIBRATED`) are found such that the SUV of five organs and of a
solid tumour come out, whatever the rest of the parameters is. Draws of the rest within their ranges, each with SUV drawn from
the published distributions and a calibration of its own, show how far the six are known; what keeps its whole range is not
identified by SUV at one moment.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.receptor.pbpk import hot_nmol
from fusin.receptor.pbpk_body import Tumour, body_system, region_volumes
from fusin.receptor.pbpk_parameters import CALIBRATED, defaults, records_for
from fusin.receptor.pbpk_system import Give, run

__all__ = [
    "CALIBRATION_PEPTIDE_NMOL",
    "OPEN",
    "ORGAN_SUV",
    "REFERENCE_LESION",
    "Identified",
    "OrganSuv",
    "Spans",
    "calibrated",
    "draw_body",
    "identified",
    "open_spans",
    "organ_suvs",
]

FloatArray = NDArray[np.float64]
Spans = Mapping[str, tuple[float, float]]

_MINUTES, _ACTIVITY_MBQ = 60.0, 150.0
CALIBRATION_PEPTIDE_NMOL = (10.0, 30.0, 50.0)
"""Peptide of the published scans: low, value and high. It is not published; assumed."""

_CLOSE, _ITERATIONS, _STEP = 2e-4, 40, 1.0
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganSuv:
    """Published SUV of one region: median and range of patients.

    Attributes
    ----------
    region : name
    median, low, high : SUV
    widths : expected range of as many standard normal numbers (4.98 of 90, 3.69 of 19)
    source : citation
    """

    region: str
    median: float
    low: float
    high: float
    widths: float
    source: str

    def at(self, z: float) -> float:
        """SUV at a standard normal number: log-normal to either side of the median, each as wide as its half of the range."""
        limit = self.low if z < 0 else self.high
        return self.median * math.exp(abs(z) * 2.0 / self.widths * math.log(limit / self.median))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


REFERENCE_LESION = Tumour(name="tumour", volume_ml=10.0)
"""Stands for a solid tumour in the calibration."""

_ORGANS = "SUVmean, [68Ga]pentixafor at 60 min, 90 patients with solid tumours, doi 10.1007/s11307-022-01717-1"
_TUMOURS = "SUVmax, [68Ga]pentixafor, 19 patients with solid tumours, Werner 2019"
ORGAN_SUV = (
    OrganSuv(region="blood", median=1.66, low=0.88, high=2.89, widths=4.98, source=_ORGANS),
    OrganSuv(region="spleen", median=5.2, low=2.44, high=10.55, widths=4.98, source=_ORGANS),
    OrganSuv(region="red marrow", median=1.76, low=0.84, high=3.98, widths=4.98, source=_ORGANS),
    OrganSuv(region="liver", median=1.28, low=0.73, high=2.45, widths=4.98, source=_ORGANS),
    OrganSuv(region="kidneys", median=3.27, low=1.52, high=17.4, widths=4.98, source=_ORGANS),
    OrganSuv(region="tumour", median=5.4, low=1.7, high=16.0, widths=3.69, source=_TUMOURS),
)
"""What the body is calibrated to, in the order of `CALIBRATED`."""

OPEN = (
    "kd_nm", "k_on_l_nmol_min", "k_int_per_min", "exchange_rest_l_min", "exchange_sinus_per_min", "interstitial_rest_l",
    "internalised_release_per_min", "tubule_per_min", "release_kidney_per_min", "interstitial_albumin",
)  # fmt: skip
"""What the draws vary on a log scale within its range, beside body size, volumes, flow and filtration."""

_PHYSIOLOGY = (
    "weight_kg", "plasma_l", "hematocrit", "cardiac_output_l_min", "gfr_l_min", "volume_kidney_l", "volume_spleen_l",
    "volume_marrow_l", "volume_liver_l", "exchange_tumour_per_min", "perfusion_tumour_per_min", "plasma_tumour",
)  # fmt: skip


def organ_suvs(values: Mapping[str, float], *, peptide_nmol: float, time_min: float = _MINUTES) -> FloatArray:
    """SUV of the regions of `ORGAN_SUV` after [68Ga]pentixafor, with the reference lesion as the only tumour."""
    system = body_system(values, nuclide_name="Ga-68", tumours=(REFERENCE_LESION,))
    hot = hot_nmol(_ACTIVITY_MBQ, "Ga-68")
    course = run(system, [Give(hot_nmol=hot, cold_nmol=peptide_nmol - hot)], [time_min], relative=1e-5, absolute=1e-8)
    volumes = region_volumes(values, (REFERENCE_LESION,))
    left = hot * math.exp(-system.decay_per_min * time_min)
    return np.array(
        [course.region_hot(o.region)[0] / left * values["weight_kg"] / volumes[o.region] for o in ORGAN_SUV]
    )


def calibrated(
    values: Mapping[str, float], *, targets: Sequence[float] | None = None, keep: Collection[str] = (),
    peptide_nmol: float = CALIBRATION_PEPTIDE_NMOL[1],
) -> dict[str, float]:  # fmt: skip
    """Parameters with those of `CALIBRATED` changed such that SUV meet their targets.

    Parameters
    ----------
    values : all parameters of pentixafor
    targets : SUV in the order of `ORGAN_SUV`; the published medians when None
    keep : names of `CALIBRATED` that stay, because the user states them; their SUV is then a result
    peptide_nmol : of the scans that were published

    Raises
    ------
    NotComputable
        When no numbers within the ranges give these SUV.
    """
    at = [i for i, name in enumerate(CALIBRATED) if name not in keep]
    names = [CALIBRATED[i] for i in at]
    goal = np.log([o.median for o in ORGAN_SUV] if targets is None else np.asarray(targets, dtype=float))[at]
    records = records_for("pentixafor")
    low, high = (np.log([getattr(records[name], end) for name in names]) for end in ("low", "high"))
    found = dict(values)
    x = np.clip(np.log([values[name] for name in names]), low, high)

    def miss(point: FloatArray) -> FloatArray:
        found.update(zip(names, np.exp(point).tolist(), strict=True))
        return np.asarray(np.log(organ_suvs(found, peptide_nmol=peptide_nmol)[at]) - goal)

    if not at:
        return found
    error = miss(x)
    slopes = _slopes(miss, x, error)
    stuck = np.zeros(x.size, dtype=np.int64)
    for iteration in range(_ITERATIONS):
        if float(np.max(np.abs(error))) < _CLOSE:
            miss(x)
            return found
        step = np.clip(-np.linalg.solve(slopes, error), -_STEP, _STEP)
        new = np.clip(x + step, low, high)
        moved = new - x
        # A number that has been on its limit and is pushed over it again has no solution within its range.
        stuck = np.where((moved == 0.0) & (np.abs(step) > 0.02), stuck + 1, 0)
        if stuck.max() >= 2 or float(np.max(np.abs(moved))) < 1e-9:
            break
        after = miss(new)
        slopes += np.outer(after - error - slopes @ moved, moved) / float(moved @ moved)
        x, error = new, after
        if iteration % 8 == 7 or not np.all(np.isfinite(slopes)):
            slopes = _slopes(miss, x, error)
    worst = int(np.argmax(np.abs(error)))
    raise NotComputable(
        "the calibration", f"no {names[worst]} within its range gives SUV {math.exp(goal[worst]):.3g} of the "
        f"{ORGAN_SUV[at[worst]].region}", "other parameters", "ORGAN_SUV_OUT_OF_REACH",
    )  # fmt: skip


def _slopes(miss: Any, x: FloatArray, error: FloatArray) -> FloatArray:
    """Slopes of log SUV: that of blood on all organs, and of each organ's own number; organs hardly touch each other."""
    size = 0.05
    found = np.diag(np.maximum((miss(x + size) - error) / size, 1e-3))
    shift = np.zeros_like(x)
    shift[0] = size
    # The share that is free in plasma comes first where it is calibrated; it moves everything, and lowers blood.
    column = (miss(x + shift) - error) / size
    if abs(column[0]) > 1e-3:
        others = np.diag(found)[1:] - column[1:]
        found[:, 0] = column
        found[np.arange(1, x.size), np.arange(1, x.size)] = np.maximum(others, 1e-3)
    return found


def open_spans(ligand: str, stated: Spans | None = None) -> dict[str, tuple[float, float]]:
    """Ranges of what the calibration leaves open, with those that the user states.

    Raises
    ------
    InputError
        For a range that is none.
    """
    records = records_for(ligand)
    found = {name: (records[name].low, records[name].high) for name in OPEN}
    for name, (low, high) in (stated or {}).items():
        defaults(ligand, {name: low})
        defaults(ligand, {name: high})
        if not 0 < low <= high:
            raise InputError("body", name, f"{low:g} to {high:g}", "two numbers above 0 in order")
        found[name] = (low, high)
    return found


def draw_body(spans: Spans, fixed: Mapping[str, float], *, seed: int, number: int) -> tuple[dict[str, float], int]:
    """One patient whose organ SUV are drawn from the published distribution.

    What is open is drawn log-uniform within its range; body size, volumes, flow and filtration by their spreads; SUV log-normal
    to either side of their medians; peptide of the scan log-uniform; then the body is calibrated. A draw without a solution is
    drawn again.

    Parameters
    ----------
    spans : of `open_spans` of pentixafor
    fixed : parameters that the user states; they stay. Body size, volumes, flow and filtration take their place after the
        calibration: the SUV are those of other patients, and the difference that these numbers make is a result
    seed, number : the stream of this patient alone

    Returns
    -------
    parameters, number of draws that were thrown away

    Raises
    ------
    NotComputable
        When no draw has a solution.
    """
    rng = np.random.default_rng([seed, number, 29])
    records = records_for("pentixafor")
    base = defaults("pentixafor")
    for attempt in range(_ATTEMPTS):
        values = dict(base)
        for name, (low, high) in spans.items():
            values[name] = math.exp(rng.uniform(math.log(low), math.log(high))) if low < high else low
        for name in _PHYSIOLOGY:
            record = records[name]
            values[name] = min(record.high, max(record.low, record.value * record.spread ** rng.standard_normal()))
        values |= {name: value for name, value in fixed.items() if records[name].status != "measured"}
        keep = [name for name in CALIBRATED if name in fixed]
        targets = [o.at(float(rng.standard_normal())) for o in ORGAN_SUV]
        least, _, most = CALIBRATION_PEPTIDE_NMOL
        peptide = math.exp(rng.uniform(math.log(least), math.log(most)))
        try:
            found = calibrated(values, targets=targets, keep=keep, peptide_nmol=peptide)
            return {**found, **fixed}, attempt
        except NotComputable as err:
            if err.code not in ("ORGAN_SUV_OUT_OF_REACH", "INTEGRATION_FAILED"):
                raise
    raise NotComputable(
        "a virtual patient",
        f"none of {_ATTEMPTS} draws gives the published organ SUV",
        "wider ranges",
        "NO_PATIENT_FOUND",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """How much of the range of a number the organ SUV leave.

    Attributes
    ----------
    name, unit : of the number
    low, median, high : 2.5, 50 and 97.5 % of the draws
    range_low, range_high : before
    left : width of the middle 95 % on a log scale, over that of the range; near 0.95 where nothing was learnt
    """

    name: str
    unit: str
    low: float
    median: float
    high: float
    range_low: float
    range_high: float
    left: float

    @property
    def known(self) -> str:
        """In words."""
        return "not identified" if self.left > 0.8 else ("partly" if self.left > 0.4 else "identified, given the rest")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "known": self.known}


def identified(draws: Sequence[Mapping[str, float]], spans: Spans) -> tuple[Identified, ...]:
    """Spread of each number over calibrated draws, against the range that it had; and of receptor over KD in the spleen."""
    records = records_for("pentixafor")
    rows = []
    for name in (*CALIBRATED, *(n for n in spans if spans[n][0] < spans[n][1])):
        low, high = spans.get(name, (records[name].low, records[name].high))
        rows.append(_identified(name, records[name].unit, np.array([d[name] for d in draws]), low, high))
    ratio = np.array([d["receptor_spleen_nm"] / d["kd_nm"] for d in draws])
    record, kd = records["receptor_spleen_nm"], spans["kd_nm"]
    rows.append(_identified("receptor_spleen_nm / kd_nm", "1", ratio, record.low / kd[1], record.high / kd[0]))
    return tuple(rows)


def _identified(name: str, unit: str, found: FloatArray, low: float, high: float) -> Identified:
    first, middle, last = np.percentile(found, [2.5, 50.0, 97.5]).tolist()
    return Identified(name=name, unit=unit, low=first, median=middle, high=last, range_low=low, range_high=high,
                      left=math.log(last / first) / math.log(high / low))  # fmt: skip
