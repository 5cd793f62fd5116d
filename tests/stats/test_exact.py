from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.stats import exact

values = st.lists(st.integers(-20, 20), min_size=2, max_size=12)


@given(values)
@settings(max_examples=30, deadline=None)
def test_distributions_sum_to_one_and_have_their_mean(found):
    ranks2 = exact.doubled_ranks(np.array(found, dtype=float))
    chances = exact.signed_rank_distribution(ranks2)
    assert chances.sum() == pytest.approx(1.0)
    assert chances @ np.arange(chances.size) == pytest.approx(ranks2.sum() / 2)
    drawn = exact.rank_sum_distribution(ranks2, 2)
    assert drawn @ np.arange(drawn.size) == pytest.approx(2 * ranks2.mean())


def test_tabulated_signed_rank_tail():
    """Wilcoxon's table: P(T <= 13) at n = 12 is 0.0212."""
    chances = exact.signed_rank_distribution(np.arange(1, 13))
    assert chances[:14].sum() == pytest.approx(0.0212, abs=5e-5)


def test_midranks_are_doubled_to_whole_numbers():
    assert exact.doubled_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [5, 2, 5, 8]


def test_counted_pairs_are_the_listed_pairs(monkeypatch):
    """Above two million pairs order statistics are found by counting; both ways must agree."""
    rng = np.random.default_rng(0)
    x, y = np.round(rng.normal(size=60), 2), np.round(rng.normal(size=50), 2)
    walsh, shift = [1, 300, 915, 1830], [1, 700, 1500, 3000]
    listed = exact.walsh_order_statistics(x, walsh), exact.difference_order_statistics(x, y, shift)
    monkeypatch.setattr(exact, "LISTED_PAIRS", 0)
    counted = exact.walsh_order_statistics(x, walsh), exact.difference_order_statistics(x, y, shift)
    assert counted[0] == pytest.approx(listed[0], abs=1e-9)
    assert counted[1] == pytest.approx(listed[1], abs=1e-9)


def test_cached_distributions_cannot_be_changed():
    chances = exact.signed_rank_distribution(np.arange(1, 5))
    with pytest.raises(ValueError, match="read-only"):
        chances[0] = 1.0
