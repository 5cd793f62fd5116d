"""Published paired counts of two tracers, through the comparison that users call."""

from __future__ import annotations

import pytest

from fusin.cohort.comparison import compare_counts

# Luo et al., JNM 2019 (10.2967/jnumed.119.226134), n = 17: both, CXCR4 only, FDG only, neither; p corrected, exact,
# uncorrected and as printed. Discordant counts follow from the totals; 7/1 is the only fit in the marrow.
LUO = [
    ("any", (10, 7, 0, 0), 0.0233, 0.0156, 0.0082, 0.023),
    ("bone marrow", (9, 7, 1, 0), 0.0771, 0.0703, 0.0339, 0.077),
    ("lymph node", (2, 11, 0, 4), 0.0026, 0.00098, 0.00091, 0.003),
]


@pytest.mark.parametrize(("site", "counts", "corrected", "exact", "plain", "printed"), LUO)
def test_luo_prints_the_continuity_corrected_test(site, counts, corrected, exact, plain, printed):
    found = compare_counts(*counts, first="CXCR4", second="FDG", label=site).to_json()["mcnemar"]
    assert found["chi2_corrected"] == pytest.approx(corrected, abs=5e-5)
    assert found["exact"] == pytest.approx(exact, abs=5e-5)
    assert found["chi2"] == pytest.approx(plain, abs=5e-5)
    assert found["chi2_corrected"] == pytest.approx(printed, abs=5e-4)
    assert abs(found[found["default"]] - printed) > 5e-4, "the default is named because it is another test"


@pytest.mark.parametrize(("site", "counts", "first", "second"), [
    ("bone marrow", (9, 7, 1, 0), 94.1, 58.8), ("lymph node", (2, 11, 0, 4), 76.5, 11.8), ("any", (10, 7, 0, 0), 100, 58.8),
])  # fmt: skip
def test_luo_detection_rates(site, counts, first, second):
    found = compare_counts(*counts, label=site)
    assert 100 * found.first_rate.value == pytest.approx(first, abs=0.05)
    assert 100 * found.second_rate.value == pytest.approx(second, abs=0.05)


def test_weich_lesions_differ_and_are_no_independent_sample():
    # Weich et al., Diagnostics 2021;11:605: 107 lesions of 11 patients; 42 by CXCR4, 102 by SSTR
    found = compare_counts(37, 5, 65, 0, first="CXCR4", second="SSTR", unit="lesion")
    assert (found.n, found.first_rate.k, found.second_rate.k) == (107, 42, 102)
    assert found.mcnemar.chi2_corrected.statistic == pytest.approx(49.73, abs=0.005)
    assert found.mcnemar.chi2_corrected.p < 0.001
    assert "UNION_DENOMINATOR" in [n.code for n in found.notices]


def test_linde_lesions_do_not_differ():
    # Linde et al., Cancer Imaging 2021;21:22: 14 both, 5 FDG only, 7 Pentixafor only
    found = compare_counts(14, 7, 5, 0, unit="lesion")
    assert found.mcnemar.exact.p == pytest.approx(0.774, abs=5e-4)
    assert (found.first_rate.k, found.second_rate.k, found.n) == (21, 19, 26)


def test_ozkan_patients():
    # Ozkan 2019, 24 myeloma patients: CXCR4 13/24, FDG 16/24
    found = compare_counts(12, 1, 4, 7, first="CXCR4", second="FDG")
    assert found.kappa.value == pytest.approx(0.571, abs=5e-4)
    assert found.mcnemar.exact.p == pytest.approx(0.375, abs=1e-12)
    assert (found.first_rate.k, found.second_rate.k) == (13, 16)


def test_yin_agreement_of_pet_and_vein_sampling():
    # Yin et al., Front Endocrinol 2024;15:1291775, n = 26
    found = compare_counts(13, 4, 2, 7, first="PET", second="AVS")
    assert found.kappa.value == pytest.approx(0.5155, abs=5e-5)
    assert found.mcnemar.exact.p == pytest.approx(0.6875, abs=1e-12)
    assert 100 * found.kappa.agreement.value == pytest.approx(76.92, abs=0.005)
