"""Subsets of views and their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.reconstruction.subsets import access_order, split_views


def test_eight_subsets_are_used_as_herman_and_meyer_order_them():
    assert access_order(8) == (0, 4, 2, 6, 1, 5, 3, 7)


@given(st.integers(1, 200))
def test_each_subset_is_used_once(subsets):
    assert sorted(access_order(subsets)) == list(range(subsets))


@given(st.integers(1, 90), st.data())
def test_each_view_belongs_to_one_subset_and_sizes_differ_by_one_at_most(views, data):
    subsets = data.draw(st.integers(1, views))
    found = split_views(views, subsets)
    assert sorted(np.concatenate(found).tolist()) == list(range(views))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_two_heads_that_turn_together_give_subsets_that_see_all_around():
    """Heads at 0 and 180 degrees, 32 views each: by index a subset of 8 would still be even, by angle it must be."""
    angles = np.concatenate([np.arange(32) * 5.625, 180 + np.arange(32) * 5.625])
    for views in split_views(64, 8, angles_deg=angles):
        gaps = np.diff(np.sort(angles[views]))
        assert np.allclose(gaps, 45.0)


def test_a_wrong_number_of_angles_is_refused():
    with pytest.raises(InputError, match="angles"):
        split_views(8, 2, angles_deg=np.arange(7))
