"""Paired detection counts of published CXCR4 PET comparisons, and the tests that follow from them.

Weich, Diagnostics 2021;11:605 · Linde, Cancer Imaging 2021;21:22 · Ozkan 2019 (multiple myeloma, 24 patients) · multiple
myeloma, 34 patients · multiple myeloma staging, Eur J Nucl Med Mol Imaging 2024, doi:10.1007/s00259-024-06621-0 · Duell, J
Nucl Med 2021;62:1415 (MZL) · Lapa, Oncotarget 2016;7:9288 (SCLC) · Bluemel 2017 (ACC) · Yin, Front Endocrinol
2024;15:1291775. Values at ten digits: R 4.2.2, mcnemar.test and binom.test.
"""

from __future__ import annotations

import pytest

from fusin.stats.paired import mcnemar, sign_test
from fusin.stats.proportions import paired_difference, proportion


def test_weich_lesions_give_the_corrected_chi2_behind_p_below_0_001():
    corrected = mcnemar(5, 65).chi2_corrected
    assert corrected.statistic == pytest.approx(49.72857143, rel=1e-9)
    assert corrected.p == pytest.approx(1.765560047e-12, rel=1e-8)


def test_linde_lesions_do_not_separate_the_tracers():
    tests = mcnemar(7, 5)
    assert tests.exact.p == pytest.approx(0.7744140625, rel=1e-12)
    assert tests.chi2_corrected.p == pytest.approx(0.77282999268, rel=1e-9)
    assert 14 + tests.b + tests.c == 26


def test_linde_detection_rates_of_both_tracers():
    assert [proportion(k, 26).value for k in (14 + 5, 14 + 7)] == pytest.approx([0.731, 0.808], abs=5e-4)


def test_ozkan_patients():
    assert mcnemar(1, 4).exact.p == pytest.approx(0.375)
    assert [proportion(12 + 1, 24).k, proportion(12 + 4, 24).k] == [13, 16]


def test_ozkan_lesion_superiority():
    assert sign_test(2, 7, ties=3).p == pytest.approx(0.1796875)


def test_myeloma_extent_in_34_patients():
    assert 23 + 2 + 9 == 34
    assert sign_test(23, 2, ties=9).p == pytest.approx(1.94311142e-05, rel=1e-8)


def test_myeloma_staging_in_55_patients_is_below_the_printed_p():
    staged = sign_test(26, 4, ties=25)
    assert staged.p == pytest.approx(5.947612226e-05, rel=1e-8)
    assert staged.p < 0.001
    assert "25" in staged.note


def test_duell_restaging_is_no_proof_of_upstaging():
    """Up 7, down 3 of 22: by hand 2 * (1 + 10 + 45 + 120) / 1024."""
    assert sign_test(7, 3, ties=12).p == pytest.approx(352 / 1024)
    assert proportion(8, 22).value == pytest.approx(0.364, abs=5e-4)
    assert proportion(16, 18).value == pytest.approx(0.889, abs=5e-4)


def test_lapa_small_cell_counts_are_balanced():
    assert sign_test(2, 2, ties=2).p == 1.0


def test_bluemel_fdg_prevails_in_acc():
    """More 2 against 13, complementary or comparable 15; by hand 2 * (1 + 15 + 105) / 2**15."""
    assert sign_test(2, 13, ties=15).p == pytest.approx(242 / 32768)


def test_yin_pet_against_vein_sampling():
    tests = mcnemar(4, 2)
    assert tests.exact.p == pytest.approx(0.6875)
    assert tests.chi2_corrected.p == pytest.approx(0.6830913983, rel=1e-9)
    difference = paired_difference(13, 4, 2, 7)
    assert difference.low < 0.0 < difference.high


@pytest.mark.parametrize(
    ("k", "n", "low", "high", "printed"),
    [(17, 19, 66.9, 98.7, 89.47), (15, 19, 54.4, 93.9, 78.95)],
)
def test_yin_sensitivities_with_clopper_pearson(k, n, low, high, printed):
    estimate = proportion(k, n, method="clopper-pearson")
    found = [100 * estimate.value, 100 * estimate.low, 100 * estimate.high]
    assert found == pytest.approx([printed, low, high], abs=0.051)


@pytest.mark.parametrize(("k", "printed"), [(24, 92.31), (22, 84.62), (20, 76.92)])
def test_yin_accuracies_and_agreement(k, printed):
    assert 100 * proportion(k, 26).value == pytest.approx(printed, abs=0.005)
