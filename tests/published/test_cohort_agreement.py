"""Agreement and areas of published cohorts, with the method that reproduces each number."""

import numpy as np
import pytest

from fusin.stats.agreement import cohen_kappa
from fusin.stats.clustered import ratio_proportion
from fusin.stats.pooling import bivariate, diagnostic_odds_ratio
from fusin.stats.roc import auc_from_summary, roc_curve


def test_yin_2024_pet_against_adrenal_vein_sampling():
    # Front Endocrinol 2024;15:1291775: both 13, PET only 4, AVS only 2, neither 7; concordance 77 %
    found = cohen_kappa([[13, 4], [2, 7]])
    assert found.value == pytest.approx(0.5155, abs=5e-5)
    assert found.agreement.value == pytest.approx(0.7692, abs=5e-5)
    # R 4.2.2, vcd 1.4.11: confint(Kappa()): 0.182216923720657, 0.848838976900461, ASE 0.170059771107539
    assert (found.low, found.high) == pytest.approx((0.182216923720657, 0.848838976900461), rel=1e-10)
    assert found.standard_error == pytest.approx(0.170059771107539, rel=1e-12)


def test_ozkan_2019_pentixafor_against_fdg_in_myeloma():
    # 24 patients: both 12, CXCR4 only 1, FDG only 4, neither 7 (UHOD 2019, id 828)
    assert cohen_kappa([[12, 1], [4, 7]]).value == pytest.approx(0.571, abs=5e-4)


def test_hu_2023_area_is_a_hanley_mcneil_interval():
    # JAMA Netw Open 2023: 43 unilateral, 57 bilateral; AUC 0.90 (0.83-0.97)
    found = auc_from_summary(0.90, 43, 57, method="hanley-mcneil")
    assert (round(found.low, 2), round(found.high, 2)) == (0.83, 0.97)


def test_unilateral_nodules_area_is_a_binomial_interval():
    # 42 UPA, 19 BPA; AUC 0.82 (0.70-0.90): only the area taken as a proportion of 61 gives so lopsided an interval
    found = auc_from_summary(0.82, 42, 19, method="binomial")
    assert (found.low, found.high) == pytest.approx((0.70, 0.90), abs=0.008)
    normal = auc_from_summary(0.82, 42, 19, method="hanley-mcneil")
    assert round(normal.high, 2) == 0.92


def test_hu_2023_operating_point_lies_on_a_curve_with_that_operator():
    # LI >= 1.65: 33/43 and 57/57; a curve made of these counts has this point
    scores = np.repeat([1.65, 1.64, 1.0], [33, 10, 57])
    curve = roc_curve(scores, np.repeat([1, 1, 0], [33, 10, 57]), operator=">=")
    at = list(curve.thresholds).index(1.65)
    assert curve.sensitivity[at] == pytest.approx(0.767, abs=5e-4)
    assert curve.specificity[at] == 1.0


def test_weich_2021_lesions_of_eleven_patients_are_not_107_independent_ones():
    # 102 of 107 lesions FDG-positive in 11 patients; the split between patients is not published: an equal one with all
    # five misses in a single patient is the worst case that the counts allow
    patient = np.repeat(np.arange(11), [10] * 10 + [7])
    detected = np.ones(107, dtype=int)
    detected[:5] = 0
    found = ratio_proportion(detected, patient)
    assert found.value == pytest.approx(102 / 107)
    assert found.design_effect > 3
    assert found.effective_n < 36


def test_pooled_aldosteronism_studies_bracket_the_published_sensitivity_and_odds_ratio():
    # Section 5 of the clinical sheet: 8 studies, sens 83 %, DOR 27. These five tables (Hu, JCEM visual, Ding visual, Yin,
    # JNM PET) are not those eight; their empty cells pull the normal approximation of specificity down, so 94 % is missed
    tables = {"tp": [33, 93, 25, 17, 70], "fn": [10, 35, 0, 2, 6], "tn": [57, 70, 11, 7, 8], "fp": [0, 10, 3, 0, 1]}
    found = bivariate(**tables)
    assert found.sensitivity.low < 0.83 < found.sensitivity.high
    assert found.odds_ratio.low < 27 < found.odds_ratio.high
    assert "continuity correction" in found.note
    assert found.specificity.high < 0.94


def test_yin_2024_odds_ratio_needs_a_named_correction():
    assert "continuity correction" in diagnostic_odds_ratio(17, 0, 2, 7).note
