"""Both component libraries give the same voxels, the same numbers and 26-connectivity."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import MissingExtra
from fusin.quantification.components import label_components


@given(st.integers(0, 10**6), st.floats(0.01, 0.4))
@settings(max_examples=25, deadline=None)
def test_cc3d_and_scipy_agree_exactly(seed, share):
    pytest.importorskip("cc3d")
    mask = np.random.default_rng(seed).random((9, 10, 11)) < share
    for a, b in zip(label_components(mask, backend="cc3d"), label_components(mask, backend="scipy"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_numbers_follow_the_first_voxel_in_c_order():
    mask = np.zeros((3, 3, 7), bool)
    mask[0, 0, 6] = mask[1, 0, 0] = mask[2, 2, 3] = True
    flat, labels, count = label_components(mask)
    assert count == 3
    assert labels.tolist() == [0, 1, 2]
    assert (np.diff(flat) > 0).all()


def test_voxels_that_share_a_corner_are_connected():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert label_components(mask)[2] == 1


def test_empty_mask_has_no_components():
    flat, labels, count = label_components(np.zeros((3, 3, 3), bool))
    assert (flat.size, labels.size, count) == (0, 0, 0)


def test_missing_cc3d_is_named_when_asked_for_and_replaced_when_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "cc3d", None)
    mask = np.ones((2, 2, 2), bool)
    assert label_components(mask)[2] == 1
    with pytest.raises(MissingExtra, match="fast"):
        label_components(mask, backend="cc3d")
