from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue, Unsupported
from fusin.stats.multiplicity import adjust

RAW = [0.01, 0.02, 0.03, 0.04, 0.05, 0.0005, 0.9]
pvalues = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def test_holm_agrees_with_r():
    """R 4.2.2, p.adjust(p, "holm")."""
    assert adjust(RAW) == pytest.approx([0.06, 0.10, 0.12, 0.12, 0.12, 0.0035, 0.9])


def test_benjamini_hochberg_agrees_with_r():
    """R 4.2.2, p.adjust(p, "BH")."""
    expected = [0.035, 0.04666666667, 0.0525, 0.056, 0.05833333333, 0.0035, 0.9]
    assert adjust(RAW, "bh") == pytest.approx(expected, rel=1e-9)


def test_a_test_without_p_is_not_counted():
    assert adjust([0.01, None, 0.04, math.nan]) == (pytest.approx(0.02), None, pytest.approx(0.04), None)


def test_nothing_to_adjust():
    assert adjust([]) == ()


@given(pvalues)
@settings(max_examples=40, deadline=None)
def test_adjusting_never_lowers_and_holm_is_the_stricter(raw):
    holm, bh = adjust(raw), adjust(raw, "bh")
    assert all(
        1.0 >= strict >= mild - 1e-12 and mild >= p - 1e-12 for p, strict, mild in zip(raw, holm, bh, strict=True)
    )


@given(pvalues)
@settings(max_examples=40, deadline=None)
def test_order_does_not_matter(raw):
    assert sorted(adjust(raw[::-1])) == pytest.approx(sorted(adjust(raw)))


def test_impossible_input_is_refused():
    with pytest.raises(InvalidValue):
        adjust([0.2, 1.2])
    with pytest.raises(Unsupported):
        adjust([0.2], "bonferroni")
