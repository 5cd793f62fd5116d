"""Power by simulation, where lesions cluster within patients and formulas do not reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fusin.cohort.synthetic import LatentShares, draw_detection
from fusin.errors import InvalidValue
from fusin.stats.checks import whole_number
from fusin.stats.clustered import gee_compare, ratio_proportion
from fusin.stats.paired import mcnemar
from fusin.stats.proportions import ProportionMethod, proportion
from fusin.stats.results import Estimate

__all__ = ["PowerSimulation", "power_accuracy_simulated", "power_mcnemar_simulated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSimulation:
    """Power of a design with its simulation error.

    Attributes
    ----------
    power : share of simulated cohorts that reached the aim, Wilson interval of the simulation
    aim : what counted as reaching it
    patients, units : size of one cohort; ``units`` is the mean number of units
    truth : what was simulated
    naive : the same share when clustered lesions are taken as independent, None where there is no clustering
    """

    power: Estimate
    aim: str
    patients: int
    units: float
    truth: dict[str, float]
    naive: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "power": self.power.to_json(),
            "aim": self.aim,
            "patients": self.patients,
            "units": self.units,
            "truth": self.truth,
            "naive": self.naive.to_json() if self.naive else None,
        }


def power_mcnemar_simulated(
    patients: int,
    *,
    first: float,
    second: float,
    lesions_per_patient: float = 1.0,
    shares: LatentShares | None = None,
    alpha: float = 0.05,
    test: Literal["mid_p", "exact", "chi2", "chi2_corrected"] = "mid_p",
    simulations: int = 2000,
    seed: int = 0,
) -> PowerSimulation:
    """Power to show that two tracers detect differently.

    Parameters
    ----------
    patients : number of patients
    first, second : true detection rates
    lesions_per_patient : mean number, 1 + Poisson; above 1 the test is GEE with patients as clusters
    shares : how alike lesions and tracers are; the default of `LatentShares` without it
    alpha : two-sided level
    test : McNemar variant for one unit per patient
    simulations, seed : of the simulation

    Returns
    -------
    PowerSimulation
        With several lesions per patient ``naive`` is the rejection rate of McNemar on lesions, which is too high at equal
        rates when a patient's lesions are alike for one tracer.
    """
    _check(patients, simulations, {"first": first, "second": second, "alpha": alpha})
    if lesions_per_patient < 1 or test not in ("mid_p", "exact", "chi2", "chi2_corrected"):
        found = f"test {test!r} with {lesions_per_patient:g} lesions per patient"
        raise InvalidValue("power", found, "mid_p, exact, chi2 or chi2_corrected, and a mean of at least 1")
    rng, alike = np.random.default_rng(seed), shares or LatentShares()
    hits = naive = total = 0
    known: dict[tuple[int, int], bool] = {}
    for _ in range(simulations):
        counts = 1 + rng.poisson(lesions_per_patient - 1.0, patients)
        owner = np.repeat(np.arange(patients), counts)
        probability = np.broadcast_to(np.array([first, second]), (len(owner), 2))
        seen = draw_detection(rng, probability, owner, alike)
        cells = int((seen[:, 0] & ~seen[:, 1]).sum()), int((seen[:, 1] & ~seen[:, 0]).sum())
        if cells not in known:
            known[cells] = (p := getattr(mcnemar(*cells), test).p) is not None and p <= alpha
        naive += known[cells]
        total += len(owner)
        if lesions_per_patient > 1:
            p = gee_compare(seen[:, 0], seen[:, 1], owner).test.p
            hits += p is not None and p <= alpha
    several = lesions_per_patient > 1
    return PowerSimulation(
        power=proportion(hits if several else naive, simulations),
        aim=f"{'GEE' if several else f'McNemar {test}'} p <= {alpha:g}",
        patients=patients,
        units=total / simulations,
        truth={"first": first, "second": second, "lesions_per_patient": lesions_per_patient,
               "patient_share": alike.patient, "patient_tracer_share": alike.patient_tracer, "lesion_share": alike.lesion},
        naive=proportion(naive, simulations) if several else None,
    )  # fmt: skip


def power_accuracy_simulated(
    patients: int,
    *,
    sensitivity: float,
    specificity: float,
    prevalence: float,
    least_sensitivity: float,
    least_specificity: float | None = None,
    lesions_per_patient: int = 1,
    patient_share: float = 0.3,
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
    simulations: int = 2000,
    seed: int = 0,
) -> PowerSimulation:
    """Power to show that sensitivity (and specificity) exceed the least that is useful.

    The aim is reached when the lower limit of the interval lies above the least value.

    Parameters
    ----------
    patients : number of patients, of whom a binomial number is diseased
    sensitivity, specificity, prevalence : the truth
    least_sensitivity, least_specificity : what must be exceeded; no aim for specificity without a number
    lesions_per_patient : units of each patient, all diseased or all healthy; above 1 the interval is the clustered one
    patient_share : share of the latent variance between patients
    interval, level : of the proportions for one unit per patient
    simulations, seed : of the simulation
    """
    shares = {"sensitivity": sensitivity, "specificity": specificity, "prevalence": prevalence}
    _check(patients, simulations, shares | {"least_sensitivity": least_sensitivity})
    units = whole_number(lesions_per_patient, "lesions per patient", what="power", at_least=1)
    rng = np.random.default_rng(seed)
    hits = naive = 0
    for _ in range(simulations):
        diseased = int(rng.binomial(patients, prevalence))
        goals = ((diseased, sensitivity, least_sensitivity), (patients - diseased, specificity, least_specificity))
        reached, simple = True, True
        for group, truth, least in goals:
            if least is None:
                continue
            clusterwise, plain = _lower_limits(rng, group, truth, units, patient_share, interval, level)
            reached, simple = reached and clusterwise > least, simple and plain > least
        hits, naive = hits + reached, naive + simple
    goal = f"lower {level:.0%} limit of sensitivity above {least_sensitivity:g}"
    if least_specificity is not None:
        goal += f" and of specificity above {least_specificity:g}"
    return PowerSimulation(
        power=proportion(hits, simulations),
        aim=goal,
        patients=patients,
        units=float(patients * units),
        truth=shares | {"lesions_per_patient": float(units), "patient_share": patient_share},
        naive=proportion(naive, simulations) if units > 1 else None,
    )


def _lower_limits(
    rng: np.random.Generator,
    group: int,
    truth: float,
    units: int,
    share: float,
    interval: ProportionMethod,
    level: float,
) -> tuple[float, float]:
    """Lower limits of one drawn proportion: clustered, and as if independent. No units reach no aim."""
    if group == 0:
        return -1.0, -1.0
    owner = np.repeat(np.arange(group), units)
    right = draw_detection(
        rng, np.full((len(owner), 1), truth), owner, LatentShares(patient=share, patient_tracer=0.0, lesion=0.0)
    )[:, 0]
    plain = proportion(int(right.sum()), len(right), method=interval, level=level).low
    if units == 1:
        return (-1.0, -1.0) if plain is None else (plain, plain)
    robust = ratio_proportion(right, owner, level=level).low if group > 1 else None
    return -1.0 if robust is None else robust, -1.0 if plain is None else plain


def _check(patients: int, simulations: int, shares: dict[str, float]) -> None:
    whole_number(patients, "patients", what="power", at_least=3)
    whole_number(simulations, "simulations", what="power", at_least=100)
    for name, value in shares.items():
        if not 0.0 < value < 1.0:
            raise InvalidValue("power", f"{name} is {value:g}", "a value between 0 and 1 (0.9, not 90)")
