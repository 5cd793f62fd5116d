"""Proportions and group tests of published CXCR4 PET cohorts, each to its printed digits.

Sources stand beside the rows; counts marked "nearest" are the integers closest to the printed percentages.
"""

from __future__ import annotations

import pytest

from fusin.stats.groups import Summary, fisher_exact, summary_t
from fusin.stats.proportions import proportion

# source and quantity: events, units, printed percentage, digits after the point
PRINTED = {
    "Hu 2023 concordance with AVS": (90, 100, 90, 0),
    "Hu 2023 CT concordance": (54, 100, 54, 0),
    "JCEM 2024 visual sensitivity (nearest)": (93, 128, 73, 0),
    "JCEM 2024 visual specificity (nearest)": (70, 80, 88, 0),
    "JCEM 2024 LI 1.50 sensitivity (nearest)": (87, 128, 68, 0),
    "JCEM 2024 LI 1.50 specificity (nearest)": (73, 80, 91, 0),
    "JCEM 2024 LI 1.65 sensitivity (nearest)": (78, 128, 61, 0),
    "JCEM 2024 LI 1.65 specificity (nearest)": (77, 80, 96, 0),
    "Ding 2020 accuracy": (36, 39, 92.3, 1),
    "adrenal masses, lateralisation of adenoma": (45, 46, 97.8, 1),
    "adrenal masses, lateralisation of hyperplasia": (14, 16, 87.5, 1),
    "adrenal masses, SUVmax sensitivity (nearest)": (40, 44, 90.9, 1),
    "adrenal masses, SUVmax specificity (nearest)": (29, 34, 85.3, 1),
    "adrenal masses, LLR sensitivity (nearest)": (42, 44, 95.5, 1),
    "adrenal masses, LLR specificity (nearest)": (30, 34, 88.2, 1),
    "unilateral nodules, SUVmax sensitivity (nearest)": (27, 42, 64, 0),
    # 17/19 = 89.47 %; the paper prints 0.90 and no other integer is nearer
    "Zheng 2025 PET positive": (78, 91, 85.7, 1),
    "Zheng 2025 unilateral": (63, 73, 86.3, 1),
    "Zheng 2025 bilateral": (15, 18, 83.3, 1),
    "Zheng 2025 benefit": (13, 15, 86.7, 1),
    "Thieme 2025 final subtype": (14, 15, 93.3, 1),
    "Thieme 2025 CT and PET": (10, 10, 100, 0),
    "Hesse 2026 agreement before": (28, 35, 80, 0),
    "Hesse 2026 agreement after": (33, 35, 94, 0),
    "AlF-NOTA-pentixafor visual sensitivity": (68, 78, 87.18, 2),
    "AlF-NOTA-pentixafor visual specificity": (16, 17, 94.12, 2),
    "AlF-NOTA-pentixafor SUVmax sensitivity": (62, 78, 79.49, 2),
    "AlF-NOTA-pentixafor LAR sensitivity": (65, 78, 83.33, 2),
    "AlF-NOTA-pentixafor LLR sensitivity": (63, 78, 80.77, 2),
    "AlF-NOTA-pentixafor AVS concordance": (13, 20, 65.00, 2),
    "AlF-NOTA-pentixather sensitivity": (24, 24, 100, 0),
    "AlF-NOTA-pentixather specificity": (22, 24, 91.7, 1),
    "AlF-NOTA-pentixather accuracy": (46, 48, 95.8, 1),
    "gastric MALT follow-up sensitivity": (38, 40, 95.0, 1),
    "gastric MALT follow-up specificity": (26, 26, 100, 0),
    "gastric MALT follow-up PPV": (38, 38, 100, 0),
    "gastric MALT follow-up NPV": (26, 28, 92.9, 1),
    "gastric MALT follow-up accuracy": (64, 66, 97.0, 1),
    "MALT PET/MRI 2019": (33, 36, 91.7, 1),
    "glioma patients": (25, 26, 96.2, 1),
    "glioma lesions": (27, 28, 96.4, 1),
    "Iowa IHC, NEC": (16, 21, 76, 0),
    "Iowa IHC, lung NET": (10, 15, 67, 0),
    "Iowa IHC, non-lung NET": (0, 25, 0, 0),
    "Werner 2019 visible": (10, 19, 52.6, 1),
    "Dreher 2023 TBR above 1": (103, 152, 67.8, 1),
}


@pytest.mark.parametrize(("k", "n", "printed", "digits"), PRINTED.values(), ids=PRINTED)
def test_percentage_follows_from_its_counts(k, n, printed, digits):
    assert 100 * proportion(k, n).value == pytest.approx(printed, abs=0.5 * 10.0**-digits + 1e-9)


def test_hu_prints_clopper_pearson_intervals():
    """JAMA Netw Open 2023: sensitivity 0.77 (0.61-0.88), specificity 1.00 (0.94-1.00)."""
    sensitivity = proportion(33, 43, method="clopper-pearson")
    specificity = proportion(57, 57, method="clopper-pearson")
    assert [round(number, 3) for number in (sensitivity.value, sensitivity.low, sensitivity.high)] == [
        0.767,
        0.614,
        0.882,
    ]
    assert [round(number, 3) for number in (specificity.low, specificity.high)] == [0.937, 1.0]


def test_jcem_youden_at_the_lower_cut_off():
    assert proportion(87, 128).value + proportion(73, 80).value - 1 == pytest.approx(0.59, abs=0.005)


def test_nodule_specificity_is_printed_one_point_up():
    """17/19 is 0.895, which a paper may round to 0.90; 18/19 would be 0.95."""
    assert proportion(17, 19).value == pytest.approx(0.90, abs=0.006)


APA, OTHER = Summary(mean=21.34, sd=9.41, n=25), Summary(mean=6.29, sd=2.10, n=14)


def test_ding_suvmax_by_student():
    result = summary_t(APA, OTHER, equal_variances=True)
    assert (round(result.statistic, 2), result.df) == (5.87, 37)
    assert result.p < 1e-4


def test_ding_suvmax_by_welch_which_fits_the_unequal_spreads():
    result = summary_t(APA, OTHER)
    assert (round(result.statistic, 2), round(result.df, 1)) == (7.66, 28.0)
    assert result.p < 1e-4


def test_lung_against_other_net_in_ihc():
    """Iowa, PMC10896455: Fisher p = 3.5e-6; R 4.2.2 fisher.test gives 3.542691798e-06 and a low limit of 7.435."""
    result = fisher_exact([[10, 5], [0, 25]])
    assert result.p == pytest.approx(3.542691798e-06, rel=1e-8)
    assert result.effect.high is None
    assert result.effect.low == pytest.approx(7.435, abs=0.001)


def test_grade_trend_of_net_positivity_is_not_significant():
    """Werner 2017: 0 of 3 G1 against 4 of 5 G3 patients; a guide calls it increasing with grade."""
    assert fisher_exact([[0, 3], [4, 1]]).p == pytest.approx(0.1428571429, rel=1e-9)
