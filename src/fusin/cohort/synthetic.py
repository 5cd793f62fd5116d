"""A made-up cohort with known truth: for the demonstration, for tests and for power by simulation.

Detection follows a probit model with random effects: lesion ``l`` of patient ``p`` is seen by tracer ``t`` when
``sqrt(r) u_p + sqrt(q) w_pt + sqrt(s) v_pl + sqrt(1 - r - q - s) e_plt < Phi^-1(probability)``, all effects standard
normal. The probability of each tracer and grade is therefore exact; ``r`` makes lesions of one patient alike for all
tracers, ``q`` for one tracer (a patient whose tumours express its target), and ``s`` makes tracers agree on a lesion. Only
``q`` harms a McNemar test on lesions: what both tracers share cancels in the comparison.

SUVs are lognormal, as published SDs near the mean demand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fusin.errors import InvalidValue
from fusin.stats.checks import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]

__all__ = ["CohortDesign", "LatentShares", "SyntheticCohort", "TracerDesign", "draw_detection", "make_cohort"]

_SITES = ("liver", "bone", "lymph node", "lung", "peritoneum")
_BLOOD_POOL = {"median": 1.7, "gsd": 1.2}
_LIVER = {"median": 2.1, "gsd": 1.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentShares:
    """Shares of the latent variance of detection; what is left belongs to the single observation.

    Attributes
    ----------
    patient : ``r``, common to all lesions and tracers of a patient
    patient_tracer : ``q``, common to all lesions of a patient for one tracer
    lesion : ``s``, common to all tracers for one lesion
    """

    patient: float = 0.15
    patient_tracer: float = 0.2
    lesion: float = 0.15

    def __post_init__(self) -> None:
        if min(self.patient, self.patient_tracer, self.lesion) < 0 or self.rest < -1e-9:
            raise InvalidValue("synthetic cohort", f"shares {self.patient}, {self.patient_tracer}, {self.lesion}",
                               "shares from 0 that sum to at most 1")  # fmt: skip

    @property
    def rest(self) -> float:
        """Share of the single observation."""
        return 1.0 - self.patient - self.patient_tracer - self.lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class TracerDesign:
    """What is true of one tracer.

    Attributes
    ----------
    name : tracer
    detection : probability that a lesion is seen, by grade
    suv_median : median SUVmax of a seen lesion [g/mL]
    suv_gsd : geometric standard deviation of SUVmax between lesions, above 1
    """

    name: str
    detection: Mapping[str, float]
    suv_median: float
    suv_gsd: float = 1.8


_TRACERS = (
    TracerDesign(name="CXCR4", detection={"G1": 0.05, "G2": 0.25, "G3": 0.7}, suv_median=6.0, suv_gsd=1.9),
    TracerDesign(name="FDG", detection={"G1": 0.15, "G2": 0.4, "G3": 0.9}, suv_median=8.0),
    TracerDesign(name="SSTR", detection={"G1": 0.95, "G2": 0.85, "G3": 0.35}, suv_median=16.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortDesign:
    """The truth of a cohort.

    Attributes
    ----------
    patients : number of patients
    lesions_per_patient : mean number of lesions; each patient has at least one (1 + Poisson)
    grades : grade to its share of patients
    tracers : two or more
    shares : how alike the detection of lesions and tracers is
    ihc_correlation : correlation of the latent IHC score with log SUVmax of the first tracer
    adrenal_patients : patients with primary aldosteronism, in tables of their own
    unilateral : share of them with unilateral disease
    hazard_ratio : of death per doubling of SUVmax of the hottest lesion of the first tracer
    median_survival_months : of a patient with median uptake
    """

    patients: int = 60
    lesions_per_patient: float = 4.0
    grades: Mapping[str, float] = field(default_factory=lambda: {"G1": 0.3, "G2": 0.35, "G3": 0.35})
    tracers: tuple[TracerDesign, ...] = _TRACERS
    shares: LatentShares = LatentShares()
    ihc_correlation: float = 0.6
    adrenal_patients: int = 40
    unilateral: float = 0.6
    hazard_ratio: float = 1.4
    median_survival_months: float = 24.0

    def __post_init__(self) -> None:
        tracer_probabilities = [p for t in self.tracers for p in t.detection.values()]
        checks = [
            (self.patients < 1 or self.adrenal_patients < 0, "patients", "at least one patient"),
            (self.lesions_per_patient < 1, "lesions_per_patient", "a mean of at least 1"),
            (not math.isclose(sum(self.grades.values()), 1.0, abs_tol=1e-9), "grades", "shares that sum to 1"),
            (not 0 <= self.unilateral <= 1, "unilateral", "a share from 0 to 1"),
            (any(not 0 <= p <= 1 for p in tracer_probabilities), "detection", "probabilities"),
            (any(set(t.detection) != set(self.grades) for t in self.tracers), "detection", "one probability per grade"),
            (
                any(t.suv_median <= 0 or t.suv_gsd <= 1 for t in self.tracers),
                "suv",
                "a median above 0 and a GSD above 1",
            ),
            (not -1 < self.ihc_correlation < 1, "ihc_correlation", "a correlation inside (-1, 1)"),
            (self.hazard_ratio <= 0 or self.median_survival_months <= 0, "survival", "numbers above 0"),
        ]
        for broken, name, needed in checks:
            if broken:
                raise InvalidValue("synthetic cohort", f"{name} of the design is impossible", needed)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SyntheticCohort:
    """Tables of a made-up cohort, each as its schema wants it.

    Attributes
    ----------
    design, seed : what made it
    findings, patients, ihc, accuracy : finding table, patient table, IHC table, accuracy table (first tracer against a
        reference that is wrong in no patient)
    adrenal_pet, avs, subtype : scans, vein samples and CT verdicts of the patients with primary aldosteronism
    adrenal_truth : patient and true ``subtype`` (left, right, bilateral)
    follow_up : dates of therapy, progression, death and last contact, and ``suv_max`` of the hottest lesion
    """

    design: CohortDesign
    seed: int
    findings: pd.DataFrame
    patients: pd.DataFrame
    ihc: pd.DataFrame
    accuracy: pd.DataFrame
    adrenal_pet: pd.DataFrame
    avs: pd.DataFrame
    subtype: pd.DataFrame
    adrenal_truth: pd.DataFrame
    follow_up: pd.DataFrame


def draw_detection(
    rng: np.random.Generator, probability: FloatArray, patient: NDArray[np.intp], shares: LatentShares
) -> BoolArray:
    """Draw what each tracer sees.

    Parameters
    ----------
    rng : generator
    probability : (n, tracers) probability of each lesion and tracer
    patient : (n,) index of the patient of each lesion, from 0
    shares : how alike lesions and tracers are

    Returns
    -------
    (n, tracers) boolean
    """
    from scipy.special import ndtri

    n, tracers = probability.shape
    patients = int(patient.max()) + 1
    latent = (
        math.sqrt(shares.patient) * rng.standard_normal((patients, 1))[patient]
        + math.sqrt(shares.patient_tracer) * rng.standard_normal((patients, tracers))[patient]
        + math.sqrt(shares.lesion) * rng.standard_normal((n, 1))
        + math.sqrt(max(shares.rest, 0.0)) * rng.standard_normal((n, tracers))
    )
    return np.asarray(latent < ndtri(probability), dtype=bool)


def make_cohort(design: CohortDesign | None = None, *, seed: int = 0) -> SyntheticCohort:
    """Draw a cohort; the same design and seed give the same tables.

    Parameters
    ----------
    design : the truth; the default has three tracers over three grades
    seed : of the generator
    """
    import pandas as pd

    design = design or CohortDesign()
    rng, adrenal_rng, outcome_rng = (np.random.default_rng([seed, part]) for part in range(3))
    names = np.array([f"P{i:04d}" for i in range(1, design.patients + 1)], dtype=object)
    grade = rng.choice(
        np.array(list(design.grades), dtype=object), size=design.patients, p=list(design.grades.values())
    )
    counts = 1 + rng.poisson(design.lesions_per_patient - 1.0, size=design.patients)
    patient = np.repeat(np.arange(design.patients), counts)
    lesions = _lesions(design, rng, patient, counts, names, grade)
    findings = _findings(design, lesions)
    patients = pd.DataFrame(
        {
            "patient": names,
            "sex": rng.choice(["F", "M"], size=design.patients),
            "age_years": np.round(np.clip(rng.normal(61.0, 11.0, design.patients), 18.0, 90.0)),
            "grade": grade,
            "ki67_fraction": np.round(rng.beta(2.0, 6.0, design.patients), 2),
        }
    )
    adrenal = _adrenal(design, adrenal_rng)
    return SyntheticCohort(
        design=design,
        seed=seed,
        findings=findings,
        patients=patients,
        ihc=_ihc(design, rng, lesions),
        accuracy=_accuracy(design, rng, lesions, names),
        **adrenal,
        follow_up=_follow_up(design, outcome_rng, lesions, names),
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Lesions:
    """Lesions of all patients: names, indices and what each tracer does."""

    patient: NDArray[np.intp]
    patient_name: NDArray[np.object_]
    name: NDArray[np.object_]
    site: NDArray[np.object_]
    grade: NDArray[np.object_]
    volume_ml: FloatArray
    seen: BoolArray
    suv_max: FloatArray
    blood: FloatArray
    liver: FloatArray


def _lesions(
    design: CohortDesign,
    rng: np.random.Generator,
    patient: NDArray[np.intp],
    counts: NDArray[np.int64],
    names: NDArray[np.object_],
    grade: NDArray[np.object_],
) -> _Lesions:
    n = len(patient)
    probability = np.array([[t.detection[str(g)] for t in design.tracers] for g in grade])[patient]
    # Half of the log variance of uptake lies between patients, so that hot patients have hot lesions.
    spread = np.log([t.suv_gsd for t in design.tracers])
    shared = rng.standard_normal((design.patients, len(design.tracers)))[patient]
    uptake = np.log([t.suv_median for t in design.tracers]) + spread * (
        math.sqrt(0.5) * shared + math.sqrt(0.5) * rng.standard_normal((n, len(design.tracers)))
    )
    return _Lesions(
        patient=patient,
        patient_name=names[patient],
        name=np.array([f"L{k}" for c in counts for k in range(1, c + 1)], dtype=object),
        site=rng.choice(np.array(_SITES, dtype=object), size=n, p=[0.4, 0.25, 0.2, 0.1, 0.05]),
        grade=grade[patient],
        volume_ml=rng.lognormal(math.log(3.0), 1.0, (n, 1)) * rng.lognormal(0.0, 0.15, (n, len(design.tracers))),
        seen=draw_detection(rng, probability, patient, design.shares),
        suv_max=np.exp(uptake),
        blood=_tissue(design, rng, _BLOOD_POOL)[patient],
        liver=_tissue(design, rng, _LIVER)[patient],
    )


def _tissue(design: CohortDesign, rng: np.random.Generator, tissue: Mapping[str, float]) -> FloatArray:
    """(patients, tracers) mean SUV of a reference tissue."""
    size = (design.patients, len(design.tracers))
    return np.asarray(rng.lognormal(math.log(tissue["median"]), math.log(tissue["gsd"]), size))


def _findings(design: CohortDesign, lesions: _Lesions) -> pd.DataFrame:
    """One row per lesion and tracer; uptake is missing where nothing was seen."""
    import pandas as pd

    parts = []
    for column, tracer in enumerate(design.tracers):
        seen = lesions.seen[:, column]
        suv = np.where(seen, lesions.suv_max[:, column], np.nan)
        parts.append(
            pd.DataFrame(
                {
                    "patient": pd.array(lesions.patient_name, dtype="string"),
                    "lesion": pd.array(lesions.name, dtype="string"),
                    "tracer": pd.array([tracer.name] * len(seen), dtype="string"),
                    "detected": pd.array(seen, dtype="boolean"),
                    "site": pd.array(lesions.site, dtype="string"),
                    "grade": pd.array(lesions.grade, dtype="string"),
                    "suv_max": np.round(suv, 2),
                    "suv_mean": np.round(0.58 * suv, 2),
                    "tbr_blood_pool": np.round(suv / lesions.blood[:, column], 2),
                    "tbr_liver": np.round(suv / lesions.liver[:, column], 2),
                    "volume_ml": np.round(np.where(seen, lesions.volume_ml[:, column], np.nan), 2),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _ihc(design: CohortDesign, rng: np.random.Generator, lesions: _Lesions) -> pd.DataFrame:
    """One biopsied lesion per patient; the score follows log SUVmax of the first tracer with the given correlation."""
    import pandas as pd
    from scipy.special import ndtr

    first = np.unique(lesions.patient, return_index=True)[1]
    tracer = design.tracers[0]
    uptake = (np.log(lesions.suv_max[first, 0]) - math.log(tracer.suv_median)) / math.log(tracer.suv_gsd)
    rho = design.ihc_correlation
    latent = ndtr(rho * uptake + math.sqrt(1.0 - rho**2) * rng.standard_normal(len(first)))
    intensity = np.digitize(latent, [0.15, 0.5, 0.8])
    extent = np.where(intensity == 0, 0, np.digitize(latent, [0.3, 0.55, 0.85]) + 1)
    return pd.DataFrame(
        {
            "patient": lesions.patient_name[first],
            "lesion": lesions.name[first],
            "intensity": pd.array(intensity, dtype="Int64"),
            "extent_class": pd.array(extent, dtype="Int64"),
            "suv_max": np.round(lesions.suv_max[first, 0], 2),
        }
    )


def _accuracy(
    design: CohortDesign, rng: np.random.Generator, lesions: _Lesions, names: NDArray[np.object_]
) -> pd.DataFrame:
    """Patients with tumour, and half as many without, whose marker is background; a few readings are indeterminate."""
    import pandas as pd

    hottest = _hottest(lesions, len(names))
    healthy = max(1, len(names) // 2)
    marker = np.concatenate([hottest, rng.lognormal(math.log(2.2), 0.35, healthy)])
    result = np.where(marker >= 4.0, "positive", "negative").astype(object)
    result[rng.random(len(marker)) < 0.03] = "indeterminate"
    return pd.DataFrame(
        {
            "patient": [*names, *(f"C{i:04d}" for i in range(1, healthy + 1))],
            "result": pd.array(result, dtype="string"),
            "reference": pd.array(["positive"] * len(names) + ["negative"] * healthy, dtype="string"),
            "marker": np.round(marker, 2),
        }
    )


def _hottest(lesions: _Lesions, patients: int) -> FloatArray:
    """SUVmax of the hottest seen lesion of the first tracer; background of 2 g/mL where none was seen."""
    hottest = np.full(patients, 2.0)
    np.maximum.at(hottest, lesions.patient, np.where(lesions.seen[:, 0], lesions.suv_max[:, 0], 2.0))
    return hottest


def _adrenal(design: CohortDesign, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Primary aldosteronism: the adenoma side takes up tracer and secretes aldosterone; CT sees nodules of either kind."""
    import pandas as pd

    n = design.adrenal_patients
    patient = np.array([f"A{i:04d}" for i in range(1, n + 1)], dtype=object)
    side = rng.choice(np.array(["left", "right"], dtype=object), size=n)
    truth = np.where(rng.random(n) < design.unilateral, side, "bilateral").astype(object)
    adenoma = np.stack([truth == "left", truth == "right"], axis=1)
    normal = rng.lognormal(math.log(6.0), 0.2, (n, 1)) * rng.lognormal(0.0, 0.1, (n, 2))
    uptake = normal * np.where(adenoma, rng.lognormal(math.log(2.3), 0.3, (n, 2)), 1.0)
    scans = []
    for minutes, rise in ((10.0, 1.0), (40.0, 1.1)):
        late = np.where(adenoma, rise, 0.95) if minutes > 10.0 else 1.0
        suv = np.round(uptake * late, 2)
        scans.append(
            pd.DataFrame(
                {
                    "patient": patient,
                    "tracer": "68Ga-pentixafor",
                    "time_min": minutes,
                    "suv_max_left": suv[:, 0],
                    "suv_max_right": suv[:, 1],
                    "suv_mean_left": np.round(0.6 * suv[:, 0], 2),
                    "suv_mean_right": np.round(0.6 * suv[:, 1], 2),
                    "liver_suv_mean": np.round(rng.lognormal(math.log(2.0), 0.15, n), 2),
                }
            )
        )
    seen = np.where(rng.random(n) < 0.7, truth, rng.choice(["left", "right", "bilateral"], size=n))
    return {
        "adrenal_pet": pd.concat(scans, ignore_index=True),
        "avs": _vein_samples(rng, patient, adenoma, truth == "bilateral"),
        "subtype": pd.DataFrame({"patient": patient, "ct_verdict": seen}),
        "adrenal_truth": pd.DataFrame({"patient": patient, "subtype": truth}),
    }


def _vein_samples(
    rng: np.random.Generator, patient: NDArray[np.object_], adenoma: BoolArray, bilateral: BoolArray
) -> pd.DataFrame:
    """Basal samples; one right vein in ten is missed, so that its cortisol is that of the periphery."""
    import pandas as pd

    n = len(patient)
    cortisol = rng.lognormal(math.log(330.0), 0.25, n)
    selectivity = rng.lognormal(math.log(4.0), 0.35, (n, 2))
    selectivity[:, 1] = np.where(rng.random(n) < 0.1, rng.uniform(0.9, 1.2, n), selectivity[:, 1])
    # Aldosterone over cortisol relative to the periphery: high beside an adenoma, suppressed opposite, raised in both glands.
    ratio = np.where(adenoma, 6.0, np.where(bilateral[:, None], 2.2, 0.6)) * rng.lognormal(0.0, 0.2, (n, 2))
    periphery = rng.lognormal(math.log(0.7), 0.3, n)
    rows = []
    for column, site in enumerate(("left", "right")):
        level = cortisol * selectivity[:, column]
        rows.append((site, periphery * ratio[:, column] * selectivity[:, column], level))
    rows.append(("peripheral", periphery, cortisol))
    parts = [
        pd.DataFrame(
            {
                "patient": patient,
                "phase": "basal",
                "site": site,
                "aldosterone": np.round(aldosterone, 3),
                "aldosterone_unit": "nmol/L",
                "cortisol": np.round(level, 1),
                "cortisol_unit": "nmol/L",
            }
        )
        for site, aldosterone, level in rows
    ]
    return pd.concat(parts, ignore_index=True)


def _follow_up(
    design: CohortDesign, rng: np.random.Generator, lesions: _Lesions, names: NDArray[np.object_]
) -> pd.DataFrame:
    """Exponential survival whose hazard grows with uptake; progression comes first, follow-up ends at 1 to 5 years."""
    import pandas as pd

    n = len(names)
    hottest = _hottest(lesions, n)
    relative = design.hazard_ratio ** np.log2(hottest / np.median(hottest))
    death = rng.exponential(design.median_survival_months / math.log(2.0), n) / relative
    progression = death * rng.beta(2.0, 2.0, n)
    end = rng.uniform(12.0, 60.0, n)
    start = np.datetime64("2020-01-06") + rng.integers(0, 700, n).astype("timedelta64[D]")

    def day(months: FloatArray) -> NDArray[np.datetime64]:
        return np.asarray(start + np.ceil(months * 30.4375).astype("timedelta64[D]"))

    def listed(days: NDArray[np.datetime64], kept: BoolArray) -> list[str | None]:
        return [str(d) if k else None for d, k in zip(days, kept, strict=True)]

    died, progressed = death <= end, progression <= end
    return pd.DataFrame(
        {
            "patient": names,
            "start_date": [str(d) for d in start],
            "progression_date": listed(day(progression), progressed),
            "death_date": listed(day(death), died),
            "last_date": listed(day(np.minimum(death, end)), np.ones(n, dtype=bool)),
            "suv_max": np.round(hottest, 2),
        }
    )
