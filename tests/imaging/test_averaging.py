"""Means over target voxels: the separable path is the point-by-point one, and sums are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.imaging import averaging
from fusin.imaging.averaging import covered_slices, resample_mean
from fusin.imaging.volume import Grid, Volume


def grid_of(shape, spacing, origin, flip=(1, 1, 1)):
    affine = np.diag([*(np.array(spacing) * flip), 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine)


def noise(grid, seed=0):
    values = np.random.default_rng(seed).random(grid.shape).astype(np.float32)
    return Volume(values=values, grid=grid, unit="/cm")


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.tuples(*[st.floats(0.7, 9.0)] * 3), origin=st.tuples(*[st.floats(-30.0, 30.0)] * 3),
    flip=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)  # fmt: skip
def test_one_matrix_for_each_axis_gives_the_mean_of_the_points(spacing, origin, flip):
    source, target = grid_of((7, 9, 8), (2.0, 1.5, 4.0), (-6.0, -5.0, -10.0)), grid_of((4, 5, 6), spacing, origin, flip)
    volume = noise(source)
    counts = [averaging._samples(source, target, axis) for axis in range(3)]
    expected = averaging._point_by_point(volume, target, counts)
    np.testing.assert_allclose(resample_mean(volume, target).values, expected, atol=2e-6)


def test_a_whole_number_of_source_voxels_gives_their_plain_mean():
    fine = grid_of((4, 8, 12), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    coarse = grid_of((2, 2, 3), (4.0, 4.0, 2.0), (1.5, 1.5, 0.5))
    volume = noise(fine)
    blocks = volume.values.reshape(2, 2, 2, 4, 3, 4).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(resample_mean(volume, coarse).values, blocks, rtol=1e-5)


def test_turned_grids_take_points_and_a_constant_stays_constant():
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    target = Grid(shape=(2, 3, 3), affine=turned @ np.diag([3.0, 3.0, 3.0, 1.0]))
    source = grid_of((20, 40, 40), (1.0, 1.0, 1.0), (-20.0, -20.0, -5.0))
    ones = Volume(values=np.full(source.shape, 0.096, np.float32), grid=source, unit="/cm")
    np.testing.assert_allclose(resample_mean(ones, target).values, 0.096, rtol=1e-6)


@pytest.mark.parametrize(("z", "seen"), [(-5.0, [False, True]), (17.0, [True, False]), (40.0, [False, False])])
def test_slices_beyond_the_source_are_not_covered(z, seen):
    source = grid_of((20, 4, 4), (3.0, 3.0, 1.0), (0.0, 0.0, 0.0))
    target = grid_of((2, 2, 2), (3.0, 3.0, 5.0), (0.0, 0.0, z))
    assert covered_slices(source, target).tolist() == seen
