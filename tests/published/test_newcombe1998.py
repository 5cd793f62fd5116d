"""Newcombe's worked intervals for differences of proportions, and the recommended paired methods.

Independent: Newcombe, Stat Med 1998;17:873, Table II, method 10, to four digits; ten digits from R 4.2.2, Epi 2.47
``ci.pd(method = "Nc")``. Paired: Newcombe, Stat Med 1998;17:2635, method 10, and the example in Altman et al., Statistics
with Confidence (2000), table 6.2; ratio: Bonett, Price, Stat Med 2006;25:3039, formula evaluated in R.
"""

from __future__ import annotations

import pytest

from fusin.stats.proportions import paired_difference, paired_ratio, proportion_difference

INDEPENDENT = {
    (56, 70, 48, 80): (0.0524314724, 0.3338726540),
    (9, 10, 3, 10): (0.1705227239, 0.8090179735),
    (6, 7, 2, 7): (0.05822792748, 0.80624963752),
    (5, 56, 0, 29): (-0.03813714790, 0.19256001386),
    (0, 10, 0, 20): (-0.1611251581, 0.2775327999),
    (10, 10, 0, 10): (0.6075093504, 1.0),
}


@pytest.mark.parametrize(("counts", "limits"), INDEPENDENT.items(), ids=str)
def test_independent_difference(counts, limits):
    estimate = proportion_difference(*counts)
    assert (estimate.low, estimate.high) == pytest.approx(limits, abs=1e-9)


def test_paired_difference_of_altman():
    estimate = paired_difference(14, 5, 0, 22)
    assert [round(n, 3) for n in (estimate.value, estimate.low, estimate.high)] == [0.122, 0.011, 0.226]


def test_paired_difference_of_newcombe():
    estimate = paired_difference(36, 12, 2, 0)
    assert [round(n, 4) for n in (estimate.value, estimate.low, estimate.high)] == [0.2, 0.0569, 0.3404]


def test_paired_difference_of_airway_response():
    """Bentur 2009 in Fagerland, Stat Med 2014;33:2850: -0.286 (-0.507 to -0.026)."""
    estimate = paired_difference(1, 1, 7, 12)
    assert [round(n, 3) for n in (estimate.value, estimate.low, estimate.high)] == [-0.286, -0.507, -0.026]


@pytest.mark.parametrize(
    ("cells", "value", "limits"),
    [
        ((1, 1, 7, 12), 0.25, (0.06773400144, 0.92272711893)),
        ((59, 6, 16, 80), 65 / 75, (0.7579028473, 0.9910387774)),
    ],
)
def test_paired_ratio(cells, value, limits):
    estimate = paired_ratio(*cells)
    assert estimate.value == pytest.approx(value)
    assert (estimate.low, estimate.high) == pytest.approx(limits, abs=1e-9)
