"""Organ SUV of [68Ga]pentixafor and no sink effect in solid tumours: 90 patients, doi 10.1007/s11307-022-01717-1."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fusin.receptor.pbpk import Administration, simulate_body
from fusin.receptor.pbpk_calibration import CALIBRATED, ORGAN_SUV, REFERENCE_LESION, calibrated, organ_suvs
from fusin.receptor.pbpk_parameters import defaults
from fusin.receptor.pbpk_population import Setup, draw_patient, run_population
from fusin.receptor.pbpk_questions import draw_bodies, sink, sink_correlations

# SUVmean, median and range.
PUBLISHED = {
    "spleen": (5.2, 2.44, 10.55), "kidneys": (3.27, 1.52, 17.4), "red marrow": (1.76, 0.84, 3.98), "blood": (1.66, 0.88, 2.89),
    "liver": (1.28, 0.73, 2.45),
}  # fmt: skip
SETUP = Setup(
    ligand="pentixafor", given=(Administration(nuclide="Ga-68", activity_mbq=150.0, peptide_nmol=30.0),), times_min=(60.0,),
    tumours=(REFERENCE_LESION,),
)  # fmt: skip


@cache
def bodies():
    return draw_bodies(SETUP, (calibrated(defaults("pentixafor")), SETUP.tumours), 60)


def test_the_targets_are_the_published_numbers():
    found = {o.region: (o.median, o.low, o.high) for o in ORGAN_SUV}
    assert found == {**PUBLISHED, "tumour": (5.4, 1.7, 16.0)}


@pytest.mark.parametrize("organ", sorted(PUBLISHED))
def test_the_typical_body_has_the_published_median(organ):
    values = calibrated(defaults("pentixafor"))
    found = simulate_body(values, SETUP.given, [60.0], tumours=[REFERENCE_LESION])
    assert found.suv_at(organ, 60.0) == pytest.approx(PUBLISHED[organ][0], rel=1e-3)


@pytest.mark.parametrize("kd_nm", [0.1, 1.0, 5.0, 25.0])
def test_every_affinity_of_the_range_gives_the_same_organ_suv(kd_nm):
    """One scan does not identify KD: for each of them there is a body with exactly the published SUV."""
    values = calibrated(defaults("pentixafor", {"kd_nm": kd_nm}))
    assert organ_suvs(values, peptide_nmol=30.0) == pytest.approx([o.median for o in ORGAN_SUV], rel=1e-3)
    assert all(values[name] > 0 for name in CALIBRATED)


@pytest.mark.parametrize("organ", sorted(PUBLISHED))
def test_virtual_patients_lie_where_the_published_ones_lie(organ):
    """Draws whose filtrate alone exceeds a low SUV of the kidneys have no solution, so that their median is somewhat higher."""
    median, low, high = PUBLISHED[organ]
    place = SETUP.regions.index(organ)
    suv = run_population(SETUP, 60).suv[:, place, 0]
    assert np.median(suv) == pytest.approx(median, rel=0.35 if organ == "kidneys" else 0.2)
    assert np.mean((suv >= low) & (suv <= high)) >= 0.9


def test_no_sink_effect_shows_over_volumes_of_solid_tumours():
    """Spearman's rho of the paper is at least -0.204 in every organ."""
    found = sink_correlations(SETUP, bodies(), seed=0)
    assert set(found) == set(PUBLISHED)
    assert max(abs(e.value) for e in found.values()) <= 0.2


def test_a_sink_appears_with_litres_of_disease():
    found = sink(SETUP, bodies()[:1], "suv", volumes_ml=(0, 500, 7000))
    spleen = found.ratios[0, :, found.regions.index("spleen")]
    assert spleen[1] > 0.95
    assert spleen[2] < 0.8


def test_a_patient_depends_on_seed_and_number_alone():
    assert draw_patient(SETUP, 7) == draw_patient(SETUP, 7)
    assert draw_patient(SETUP, 7) != draw_patient(SETUP, 8)
