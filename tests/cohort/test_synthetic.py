"""The made-up cohort and power by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusin.cohort.aldosteronism import PET_TABLE, VERDICT_TABLE
from fusin.cohort.avs_table import AVS_TABLE
from fusin.cohort.follow_up import FOLLOW_UP_TABLE
from fusin.cohort.power import power_accuracy_simulated, power_mcnemar_simulated
from fusin.cohort.synthetic import CohortDesign, LatentShares, TracerDesign, draw_detection, make_cohort
from fusin.cohort.tables import ACCURACY_ROWS, FINDINGS, IHC_SCORES, PATIENTS
from fusin.errors import InvalidValue
from fusin.provenance import NoticeLog
from fusin.stats.sample_size import mcnemar_power
from fusin.tabular.schema import read_table

TABLES = {
    "findings": FINDINGS, "patients": PATIENTS, "ihc": IHC_SCORES, "accuracy": ACCURACY_ROWS, "adrenal_pet": PET_TABLE,
    "avs": AVS_TABLE, "subtype": VERDICT_TABLE, "follow_up": FOLLOW_UP_TABLE,
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_each_table_satisfies_its_schema_without_a_notice(name):
    log = NoticeLog()
    read_table(getattr(make_cohort(seed=2), name), TABLES[name], log)
    assert [n.message for n in log] == []


@pytest.mark.parametrize("name", TABLES)
def test_one_seed_is_one_cohort_and_another_seed_another(name):
    one, two, three = (getattr(make_cohort(seed=s), name) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(three)


def test_detection_has_the_probability_and_the_likeness_it_was_given():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(40_000), 2)
    seen = draw_detection(
        rng, np.full((80_000, 2), [0.5, 0.8]), owner, LatentShares(patient=0.2, patient_tracer=0.3, lesion=0.1)
    )
    assert seen.mean(axis=0) == pytest.approx([0.5, 0.8], abs=0.006)
    # At p = 1/2 two latent normals of correlation c agree with probability 1/2 + asin(c) / pi.
    agree = (seen[::2, 0] == seen[1::2, 0]).mean()
    assert agree == pytest.approx(0.5 + np.arcsin(0.2 + 0.3) / np.pi, abs=0.008)


def test_rates_of_a_large_cohort_are_those_of_the_design():
    design = CohortDesign(patients=3000)
    found = make_cohort(design, seed=4).findings
    for tracer in design.tracers:
        rows = found[found["tracer"] == tracer.name]
        for grade, wanted in tracer.detection.items():
            assert rows[rows["grade"] == grade]["detected"].mean() == pytest.approx(wanted, abs=0.035)
        suv = rows["suv_max"].dropna()
        assert suv.median() == pytest.approx(tracer.suv_median, rel=0.06)
        assert np.log(suv).std() == pytest.approx(np.log(tracer.suv_gsd), rel=0.06)


def test_survival_falls_with_uptake():
    rows = make_cohort(CohortDesign(patients=1500, hazard_ratio=2.0), seed=1).follow_up
    days = (pd.to_datetime(rows["last_date"]) - pd.to_datetime(rows["start_date"])).dt.days
    hot = rows["suv_max"] > rows["suv_max"].median()
    died = rows["death_date"].notna()
    # Deaths per patient-day estimate the hazard.
    assert died[hot].sum() / days[hot].sum() > 1.5 * died[~hot].sum() / days[~hot].sum()
    assert (rows["death_date"].dropna() == rows["last_date"][died]).all()


def test_vein_sampling_and_pet_see_the_adenoma_side():
    cohort = make_cohort(CohortDesign(adrenal_patients=400), seed=3)
    truth = cohort.adrenal_truth.set_index("patient")["subtype"]
    early = cohort.adrenal_pet.query("time_min == 10").set_index("patient")
    left = truth.index[truth == "left"]
    assert (early.loc[left, "suv_max_left"] / early.loc[left, "suv_max_right"]).median() > 1.65
    both = truth.index[truth == "bilateral"]
    ratio = early.loc[both, "suv_max_left"] / early.loc[both, "suv_max_right"]
    assert ratio.between(1 / 1.65, 1.65).mean() > 0.9


@pytest.mark.parametrize("change", [
    {"patients": 0}, {"lesions_per_patient": 0.5}, {"grades": {"G1": 0.6}}, {"unilateral": 1.2}, {"ihc_correlation": 1.0},
    {"hazard_ratio": 0}, {"tracers": (TracerDesign(name="A", detection={"G1": 0.5}, suv_median=5),)},
    {"grades": {"G": 1.0}, "tracers": (TracerDesign(name="A", detection={"G": 1.5}, suv_median=5),)},
])  # fmt: skip
def test_an_impossible_design_is_refused(change):
    with pytest.raises(InvalidValue):
        CohortDesign(**change)


def test_shares_above_one_are_refused():
    with pytest.raises(InvalidValue):
        LatentShares(patient=0.5, patient_tracer=0.4, lesion=0.2)


def test_simulated_power_agrees_with_enumeration():
    # Independent tracers of 0.85 and 0.6: first only 0.34, second only 0.09 of the patients.
    found = power_mcnemar_simulated(
        50, first=0.85, second=0.6, shares=LatentShares(patient=0, patient_tracer=0, lesion=0), simulations=3000
    )
    wanted = mcnemar_power(50, 0.34, 0.09)
    assert found.power.value == pytest.approx(wanted, abs=0.03)


def test_mcnemar_on_alike_lesions_rejects_too_often_and_gee_does_not():
    found = power_mcnemar_simulated(
        20, first=0.7, second=0.7, lesions_per_patient=6, simulations=400,
        shares=LatentShares(patient=0.1, patient_tracer=0.4, lesion=0.1), seed=1,
    )  # fmt: skip
    assert found.naive.value > 0.15
    assert found.power.value < 0.09
    assert "GEE" in found.aim


def test_power_to_exceed_a_sensitivity_agrees_with_enumeration():
    from scipy.stats import binom

    from fusin.stats.proportions import proportion

    # 40 patients, half diseased: sum over the diseased and the hits among them.
    wanted = sum(
        binom.pmf(d, 40, 0.5) * binom.pmf(k, d, 0.9)
        for d in range(1, 41) for k in range(d + 1) if (proportion(k, d).low or 0.0) > 0.7
    )  # fmt: skip
    found = power_accuracy_simulated(
        40, sensitivity=0.9, specificity=0.9, prevalence=0.5, least_sensitivity=0.7, simulations=3000
    )
    assert found.power.value == pytest.approx(wanted, abs=0.03)


def test_alike_lesions_add_less_power_than_they_seem_to():
    found = power_accuracy_simulated(30, sensitivity=0.85, specificity=0.9, prevalence=0.6, least_sensitivity=0.7,
                                     lesions_per_patient=5, patient_share=0.5, simulations=300)  # fmt: skip
    assert found.naive.value > found.power.value + 0.1


@pytest.mark.parametrize(
    "change", [{"first": 70}, {"patients": 2}, {"test": "t"}, {"lesions_per_patient": 0}, {"simulations": 5}]
)
def test_impossible_simulations_are_refused(change):
    arguments = {"patients": 20, "first": 0.7, "second": 0.5} | change
    with pytest.raises(InvalidValue):
        power_mcnemar_simulated(arguments.pop("patients"), **arguments)
