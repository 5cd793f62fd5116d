"""What labels set aside: the list, the renal pelvis, and the adrenals when they are what is asked about."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.imaging.volume import Grid, Region
from fusin.quantification.exclusions import organ_exclusions, with_renal_pelvis

GRID = Grid(shape=(20, 20, 20), affine=np.diag([4.0, 4.0, 4.0, 1.0]))


def region(name, crop, start=(4, 4, 4)):
    return Region(name=name, grid=GRID, start=start, crop=crop)


def box(name):
    return region(name, np.ones((3, 4, 5), dtype=bool))


def bean():
    """A kidney-like cup: a ball with a hollow that opens to one side."""
    z, y, x = np.indices((11, 11, 11)) - 5
    ball = x**2 + y**2 + z**2 <= 25
    return ball & ~((y**2 + z**2 <= 4) & (x > 0))


@pytest.mark.parametrize("name", ["spleen", "urinary_bladder", "kidney_left", "SPLEEN", "waldeyer_ring"])
def test_a_physiological_organ_is_set_aside(name):
    assert [r.name for r in organ_exclusions([box(name)])] == [name]


@pytest.mark.parametrize("name", ["vertebrae_L3", "lung_left", "hip_left", "lesion", "iliopsoas_left", ""])
def test_organs_in_which_disease_is_sought_stay_in_the_search(name):
    assert organ_exclusions([box(name)]) == ()


@pytest.mark.parametrize("side", ["left", "right"])
def test_adrenals_are_set_aside_unless_they_are_asked_about(side):
    gland = box(f"adrenal_gland_{side}")
    assert organ_exclusions([gland]) == (gland,)
    assert organ_exclusions([gland], keep_adrenals=True) == ()


def test_an_empty_label_is_left_out():
    assert organ_exclusions([region("spleen", np.zeros((1, 1, 1), dtype=bool))]) == ()


def test_a_kidney_is_filled_with_its_pelvis():
    kidney = region("kidney_left", bean())
    (filled,) = organ_exclusions([kidney])
    hollow = kidney.mask().copy()
    z, y, x = 4 + 5, 4 + 5, 4 + 8
    assert not hollow[z, y, x]
    assert filled.mask()[z, y, x]


def test_filling_keeps_every_voxel_of_the_label():
    kidney = region("kidney_right", bean())
    assert not (kidney.mask() & ~with_renal_pelvis(kidney).mask()).any()


def test_a_convex_kidney_is_not_enlarged():
    z, y, x = np.indices((11, 11, 11)) - 5
    ball = region("kidney_left", x**2 + y**2 + z**2 <= 25)
    assert with_renal_pelvis(ball).voxels == ball.voxels


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 5), (6, 1, 1), (1, 1, 2), (2, 2, 1)])
def test_a_flat_label_is_kept_as_it_is(shape):
    """A label of one slice has no hull; the search must not end in an error of the hull's library."""
    flat = region("kidney_left", np.ones(shape, dtype=bool))
    assert with_renal_pelvis(flat).voxels == flat.voxels


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**30))
def test_any_scatter_of_voxels_can_be_filled(seed):
    crop = np.random.default_rng(seed).random((5, 6, 7)) < 0.1
    if not crop.any():
        crop[0, 0, 0] = True
    filled = with_renal_pelvis(region("kidney_left", crop))
    assert filled.voxels >= crop.sum()
