"""Luo et al., J Nucl Med 2019, doi:10.2967/jnumed.119.226134: Pentixafor against FDG in 17 Waldenström/LPL patients.

The abstract prints p = 0.023, 0.077 and 0.003 and calls the test McNemar's; only the chi2 with continuity correction
gives them. Expected four-digit values were computed with R 4.2.2 mcnemar.test and binom.test.
"""

from __future__ import annotations

import pytest

from fusin.stats.paired import mcnemar

# site: Pentixafor only, FDG only, printed p, corrected, exact, uncorrected
SITES = {
    "any site": (7, 0, 0.023, 0.02334220201, 0.015625, 0.008150971594),
    "bone marrow": (7, 1, 0.077, 0.07709987174, 0.0703125, 0.03389485352),
    "lymph node": (11, 0, 0.003, 0.002568831527, 0.0009765625, 0.0009111188772),
}


@pytest.mark.parametrize(("b", "c", "printed", "corrected", "exact", "uncorrected"), SITES.values(), ids=SITES)
def test_all_variants_agree_with_r(b, c, printed, corrected, exact, uncorrected):
    tests = mcnemar(b, c)
    assert [tests.chi2_corrected.p, tests.exact.p, tests.chi2.p] == pytest.approx(
        [corrected, exact, uncorrected], rel=1e-9
    )


@pytest.mark.parametrize(("b", "c", "printed", "corrected", "exact", "uncorrected"), SITES.values(), ids=SITES)
def test_only_the_corrected_test_rounds_to_the_printed_p(b, c, printed, corrected, exact, uncorrected):
    tests = mcnemar(b, c)
    matching = {
        name for name in ("exact", "mid_p", "chi2_corrected", "chi2") if round(getattr(tests, name).p, 3) == printed
    }
    assert matching == {"chi2_corrected"}


def test_the_marrow_difference_depends_on_the_test():
    """The guide that cites it as a difference omits that the printed test found none."""
    tests = mcnemar(7, 1)
    assert tests.chi2_corrected.p > 0.05
    assert tests.exact.p > 0.05
    assert tests.default.p < 0.05
