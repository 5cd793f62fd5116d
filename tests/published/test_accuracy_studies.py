"""Published sensitivities and specificities of CXCR4 PET, reproduced from their counts by the accuracy engine."""

from __future__ import annotations

import pytest

from fusin.cohort.accuracy import accuracy_counts
from fusin.stats.proportions import proportion

# study: (tp, fn, fp, tn), printed sensitivity and specificity in percent, and the printed digits after the point
STUDIES = {
    "Hu 2023, LI >= 1.65": ((33, 10, 0, 57), 76.7, 100.0, 1),
    "JCEM 2024 visual": ((93, 35, 10, 70), 73, 88, 0),
    "JCEM 2024 LI >= 1.50": ((87, 41, 7, 73), 68, 91, 0),
    "JCEM 2024 LI >= 1.65": ((78, 50, 3, 77), 61, 96, 0),
    "Ding 2020 visual": ((25, 0, 3, 11), 100, None, 1),
    "adrenal masses SUVmax >= 7.1": ((40, 4, 5, 29), 90.9, 85.3, 1),
    "adrenal masses LLR >= 2.5": ((42, 2, 4, 30), 95.5, 88.2, 1),
    "AlF-pentixafor visual": ((68, 10, 1, 16), 87.18, 94.12, 2),
    "AlF-pentixafor SUVmax >= 5.45": ((62, 16, 0, 17), 79.49, 100, 2),
    "AlF-pentixafor LAR >= 1.43": ((65, 13, 0, 17), 83.33, 100, 2),
    "AlF-pentixafor LLR": ((63, 15, 0, 17), 80.77, 100, 2),
    "AlF-pentixather visual": ((24, 0, 2, 22), 100, 91.7, 1),
    "gastric MALT 2021": ((38, 2, 0, 26), 95.0, 100, 1),
    "Yin 2024 PET": ((17, 2, 0, 7), 89.47, 100, 2),
    "Yin 2024 AVS": ((15, 4, 0, 7), 78.95, 100, 2),
}
OTHER = {
    "Ding 2020 visual": ("accuracy", 92.3, 1),
    "AlF-pentixather visual": ("accuracy", 95.8, 1),
    "gastric MALT 2021": ("npv", 92.9, 1),
    "Hu 2023, LI >= 1.65": ("accuracy", 90, 0),
    "Yin 2024 PET": ("accuracy", 92.31, 2),
    "Yin 2024 AVS": ("accuracy", 84.62, 2),
}


@pytest.mark.parametrize("study", STUDIES)
def test_counts_give_the_printed_percentages(study):
    counts, sensitivity, specificity, digits = STUDIES[study]
    found = accuracy_counts(*counts)
    within = 0.5 * 10**-digits + 1e-9
    assert 100 * found.sensitivity.value == pytest.approx(sensitivity, abs=within)
    if specificity is not None:
        assert 100 * found.specificity.value == pytest.approx(specificity, abs=within)


@pytest.mark.parametrize("study", OTHER)
def test_counts_give_the_other_printed_measures(study):
    name, printed, digits = OTHER[study]
    found = getattr(accuracy_counts(*STUDIES[study][0]), name)
    assert 100 * found.value == pytest.approx(printed, abs=0.5 * 10**-digits + 1e-9)


def test_gastric_malt_ppv_and_accuracy():
    found = accuracy_counts(38, 2, 0, 26)
    assert (found.ppv.value, round(100 * found.accuracy.value, 1)) == (1.0, 97.0)


def test_hu_prints_clopper_pearson():
    # Hu et al., JAMA Netw Open 2023: sensitivity 0.77 (0.61-0.88), specificity 1.00 (0.94-1.00)
    found = accuracy_counts(33, 10, 0, 57, interval="clopper-pearson")
    limits = [found.sensitivity.low, found.sensitivity.high, found.specificity.low, found.specificity.high]
    assert [round(x, 3) for x in limits] == [0.614, 0.882, 0.937, 1.0]


@pytest.mark.parametrize(("counts", "low", "high"), [((17, 2, 0, 7), 66.9, 98.7), ((15, 4, 0, 7), 54.4, 93.9)])
def test_yin_clopper_pearson_intervals(counts, low, high):
    found = accuracy_counts(*counts, interval="clopper-pearson").sensitivity
    assert (round(100 * found.low, 1), round(100 * found.high, 1)) == (low, high)


def test_yin_reference_contains_the_index_test():
    found = accuracy_counts(17, 2, 0, 7, index_test="PET", reference="lateralised by PET or AVS")
    assert "INCORPORATION_BIAS" in [n.code for n in found.notices]


def test_jcem_youden_index():
    assert accuracy_counts(87, 41, 7, 73).youden.value == pytest.approx(0.59, abs=0.005)


def test_nodules_are_printed_with_a_specificity_one_point_up():
    # 61 patients with unilateral nodules print 0.64 and 0.90; 17/19 is 0.8947 and no other count of 19 is nearer
    found = accuracy_counts(27, 15, 2, 17)
    assert found.sensitivity.value == pytest.approx(0.64, abs=0.005)
    assert found.specificity.value == pytest.approx(0.90, abs=0.006)


@pytest.mark.parametrize(("k", "n", "printed", "digits"), [
    (45, 46, 97.8, 1), (14, 16, 87.5, 1),  # adrenal masses, lateralisation
    (78, 91, 85.7, 1), (63, 73, 86.3, 1), (15, 18, 83.3, 1), (13, 15, 86.7, 1),  # Zheng 2025
    (14, 15, 93.3, 1), (28, 35, 80, 0), (33, 35, 94, 0), (13, 20, 65.0, 2),  # Thieme 2025, Hesse 2026, AlF-pentixafor
    (33, 36, 91.7, 1), (25, 26, 96.2, 1), (27, 28, 96.4, 1),  # MALT PET/MRI, glioma
    (16, 21, 76, 0), (10, 15, 67, 0), (0, 25, 0, 0), (10, 19, 52.6, 1),  # IHC, Werner 2019
])  # fmt: skip
def test_single_proportions(k, n, printed, digits):
    assert 100 * proportion(k, n).value == pytest.approx(printed, abs=0.5 * 10**-digits + 1e-9)


# JNM table (highwire 116544): tp, tn, fp, fn; sensitivity, specificity, accuracy, PPV, NPV with limits and method
# (w Wilson, a Wald clipped), in percent
JNM = {
    "CT 85": (
        (55, 6, 7, 17),
        "76.4 65.4 84.7 w",
        "46.2 23.3 70.9 w",
        "71.8 62.2 81.3 a",
        "88.7 78.5 94.4 w",
        "26.1 12.5 46.5 w",
    ),
    "PET 85": (
        (70, 8, 1, 6),
        "92.1 86.0 98.2 a",
        "88.9 68.3 100 a",
        "91.8 85.9 97.6 a",
        "98.6 95.9 100 a",
        "57.1 31.2 83.1 a",
    ),
    "AVS 17": (
        (10, 2, 2, 3),
        "76.9 49.7 91.8 w",
        "50.0 15.0 85.0 w",
        "70.6 48.9 92.2 a",
        "83.3 55.2 95.3 w",
        "40.0 11.8 77.0 w",
    ),
    "PET 17": (
        (11, 3, 1, 2),
        "84.6 57.8 95.7 w",
        "75.0 30.0 95.4 w",
        "82.4 64.2 100 a",
        "91.7 76.0 100 a",
        "60.0 23.1 88.2 w",
    ),
}


@pytest.mark.parametrize("row", JNM)
def test_jnm_intervals_come_out_of_two_methods(row):
    (tp, tn, fp, fn), *printed = JNM[row]
    for name, text in zip(("sensitivity", "specificity", "accuracy", "ppv", "npv"), printed, strict=True):
        value, low, high, letter = text.split()
        found = getattr(accuracy_counts(tp, fn, fp, tn, interval="wilson" if letter == "w" else "wald"), name)
        assert [100 * x for x in (found.value, found.low, found.high)] == pytest.approx(
            [float(value), float(low), float(high)], abs=0.1
        ), name
