"""Answers of the body: directions and limits that must hold whatever the parameters are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.receptor.blocking import drug_by_name
from fusin.receptor.pbpk import Administration, hot_nmol
from fusin.receptor.pbpk_body import Tumour
from fusin.receptor.pbpk_calibration import calibrated
from fusin.receptor.pbpk_parameters import defaults
from fusin.receptor.pbpk_population import Setup
from fusin.receptor.pbpk_questions import amounts_for_therapy, blocking, chemokine, draw_bodies, mass_effect

SCAN = Setup(
    ligand="pentixafor", given=(Administration(nuclide="Ga-68", activity_mbq=150.0, peptide_nmol=30.0),), times_min=(60.0,),
    tumours=(Tumour(name="lesion", volume_ml=10.0),),
)  # fmt: skip
THERAPY = replace(
    SCAN, given=(Administration(nuclide="Lu-177", activity_mbq=1000.0, peptide_nmol=30.0),), times_min=(20160.0,)
)


@pytest.fixture(scope="module")
def bodies():
    return draw_bodies(SCAN, (calibrated(defaults("pentixafor")), SCAN.tumours), 6)


def test_more_peptide_lowers_uptake_of_receptor_organs_and_raises_no_lesion(bodies):
    found = mass_effect(SCAN, bodies, "suv", amounts_nmol=(0.01, 300.0, 30000.0))
    for region in ("lesion", "spleen", "red marrow"):
        ratios = found.ratios[:, :, found.regions.index(region)]
        assert np.all(ratios[:, 2] < ratios[:, 0])
    assert found.ratios[:, 0] == pytest.approx(1.0)


def test_the_amount_at_a_tenth_less_lies_where_the_ratio_is_nine_tenths(bodies):
    found = mass_effect(SCAN, bodies[:1], "suv", amounts_nmol=tuple(np.geomspace(0.01, 1000, 200)))
    at = found.crossing("lesion", 0.9).value
    again = mass_effect(SCAN, bodies[:1], "suv", amounts_nmol=(0.01, at))
    assert again.estimate(1, "lesion").value == pytest.approx(0.9, abs=1e-3)


def test_plerixafor_blinds_soon_after_its_dose_and_not_days_later(bodies):
    found = blocking(SCAN, bodies, drug_by_name("plerixafor"), "suv", hours=(1.0, 12.0, 72.0))
    lesion = found.ratios[:, :, found.regions.index("lesion")]
    assert np.all(np.diff(lesion, axis=1) > 0)
    assert np.all(lesion[:, 0] < 0.8)
    assert lesion[:, 2] == pytest.approx(1.0, abs=0.01)


def test_chemokine_without_any_changes_nothing(bodies):
    found = chemokine(SCAN, bodies, "suv", free_nm=(1e-9, 100.0), ki_nm=25.0)
    lesion = found.ratios[:, :, found.regions.index("lesion")]
    assert lesion[:, 0] == pytest.approx(1.0, abs=1e-6)
    assert np.all(lesion[:, 1] < lesion[:, 0])


def test_time_integrated_activity_per_activity_depends_on_peptide_and_not_on_activity(bodies):
    """Hot and cold behave alike, so that the activity that a limit allows needs no further simulation."""
    tenfold = replace(THERAPY, given=(Administration(nuclide="Lu-177", activity_mbq=10000.0, peptide_nmol=30.0),))
    one = mass_effect(THERAPY, bodies[:1], "tia", amounts_nmol=(30.0, 60.0)).uptake[:, -2:]
    ten = mass_effect(tenfold, bodies[:1], "tia", amounts_nmol=(30.0, 60.0)).uptake[:, -2:]
    assert ten == pytest.approx(one, rel=1e-4)


def test_limits_bind_and_no_activity_exceeds_carrier_free_label(bodies):
    response = mass_effect(THERAPY, bodies[:2], "tia", amounts_nmol=(3.0, 30.0, 300.0))
    factors = {"lesion": 0.05, "kidneys": 0.003, "red marrow": 0.001}
    found = amounts_for_therapy(
        response, gy_per_mbq_h=factors, limits_gy={"kidneys": 20.0}, tumour="lesion", nuclide="Lu-177"
    )
    free = response.x / hot_nmol(1.0, "Lu-177")
    assert np.all(found.activity_mbq <= free * (1 + 1e-12))
    kidneys = found.gy_per_mbq[:, :, response.regions.index("kidneys")] * found.activity_mbq
    assert np.all(kidneys <= 20.0 * (1 + 1e-12))
    assert np.all(np.isclose(kidneys, 20.0) | np.isclose(found.activity_mbq, free))
    assert found.best().value in response.x


def test_limits_of_regions_without_a_dose_are_refused(bodies):
    response = mass_effect(THERAPY, bodies[:1], "tia", amounts_nmol=(3.0, 30.0))
    with pytest.raises(InputError, match="kidneys"):
        amounts_for_therapy(
            response, gy_per_mbq_h={"lesion": 1.0}, limits_gy={"kidneys": 20.0}, tumour="lesion", nuclide="Lu-177"
        )


def test_amounts_below_the_label_are_refused(bodies):
    with pytest.raises(InputError, match="label alone"):
        mass_effect(THERAPY, bodies[:1], "tia", amounts_nmol=(0.1,))
