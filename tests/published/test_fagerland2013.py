"""Fagerland, Lydersen, Laake, BMC Med Res Methodol 2013;13:91: the McNemar tests of their two examples."""

from __future__ import annotations

import pytest

from fusin.stats.paired import mcnemar

# example: b, c, uncorrected, corrected, exact, mid-p
EXAMPLES = {
    "airway hyper-responsiveness, 21 children": (1, 7, 0.034, 0.077, 0.070, 0.039),
    "second example, 22 discordant pairs": (6, 16, 0.033, 0.055, 0.052, 0.035),
}


@pytest.mark.parametrize(("b", "c", "chi2", "corrected", "exact", "mid_p"), EXAMPLES.values(), ids=EXAMPLES)
def test_printed_p_values(b, c, chi2, corrected, exact, mid_p):
    tests = mcnemar(b, c)
    found = [round(one.p, 3) for one in (tests.chi2, tests.chi2_corrected, tests.exact, tests.mid_p)]
    assert found == [chi2, corrected, exact, mid_p]


def test_the_recommended_test_is_the_default_and_says_so():
    default = mcnemar(1, 7).default
    assert default.test == "McNemar mid-p"
    assert "Fagerland 2013" in default.note
