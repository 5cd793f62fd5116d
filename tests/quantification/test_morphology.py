"""Regions in millimetres: dilation, shells and cut-outs."""

from __future__ import annotations

import numpy as np
import pytest
from hot_spheres import distance, make_grid, make_volume, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region
from fusin.quantification.morphology import ball_offsets, dilate, region_from_indices, shell, values_of


@given(st.integers(0, 10**6), st.floats(0, 14))
@settings(max_examples=20, deadline=None)
def test_dilation_equals_the_distance_transform(seed, radius):
    grid = make_grid((12, 13, 14), spacing=(4.1, 3.3, 2.7))
    mask = np.random.default_rng(seed).random(grid.shape) > 0.985
    if not mask.any():
        return
    expected = distance_transform_edt(~mask, sampling=grid.spacing_mm[::-1]) <= radius * (1 + 1e-9)
    np.testing.assert_array_equal(dilate(Region.from_mask("r", grid, mask), radius).mask(), expected)


def test_dilation_of_a_solid_body_reaches_as_far_as_that_of_its_surface():
    grid = make_grid((30, 30, 30), spacing=(2.0, 2.0, 2.0))
    solid = sphere_region(grid, (30, 30, 30), 12)
    grown = dilate(solid, 9.0)
    expected = distance_transform_edt(~solid.mask(), sampling=2.0) <= 9.0
    np.testing.assert_array_equal(grown.mask(), expected)
    assert grown.attributes["dilated_mm"] == 9.0


def test_shell_and_region_do_not_overlap_and_together_are_the_dilation():
    grid = make_grid()
    region = sphere_region(grid, (40, 40, 30), 9)
    around = shell(region, 8.0).mask()
    assert not (around & region.mask()).any()
    np.testing.assert_array_equal(around | region.mask(), dilate(region, 8.0).mask())


def test_ball_on_a_skewed_grid_uses_true_distances():
    affine = np.diag([3.0, 4.0, 5.0, 1.0])
    affine[0, 1] = 2.0
    grid = Grid(shape=(21, 21, 21), affine=affine)
    centre = np.array([10, 10, 10])
    expected = np.argwhere(distance(grid, grid.to_mm(centre)) <= 11) - centre
    np.testing.assert_array_equal(ball_offsets(grid, 11.0), expected)


def test_negative_radius_is_refused():
    with pytest.raises(InputError):
        ball_offsets(make_grid(), -1.0)


def test_empty_region_stays_empty():
    empty = Region.from_mask("none", make_grid(), np.zeros((24, 24, 24)))
    assert dilate(empty, 5).voxels == shell(empty, 5).voxels == 0
    assert region_from_indices("none", make_grid(), np.empty((0, 3), int)).voxels == 0


def test_values_of_an_equal_grid_are_accepted_and_of_another_refused():
    volume = make_volume(np.ones((24, 24, 24)), make_grid())
    assert values_of(sphere_region(make_grid(), (40, 40, 30), 5), volume).all()
    with pytest.raises(InputError):
        values_of(sphere_region(make_grid(spacing=(1, 1, 1)), (10, 10, 10), 5), volume)
