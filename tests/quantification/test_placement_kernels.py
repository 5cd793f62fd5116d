"""The compiled loops of placement against slow, obvious versions of themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage as ndi

from fusin.quantification.placement_kernels import (
    best_path,
    block_mean,
    fill_plane_holes,
    probe_statistics,
    ray_edges,
)


def test_block_mean_is_the_mean_of_each_block_and_of_the_smaller_ones_at_the_end():
    values = np.arange(5 * 4 * 7, dtype=np.int16).reshape(5, 4, 7)
    out = block_mean(values, 2, 3, 4)
    assert out.shape == (3, 2, 2)
    for k, j, i in itertools.product(range(3), range(2), range(2)):
        part = values[2 * k : 2 * k + 2, 3 * j : 3 * j + 3, 4 * i : 4 * i + 4]
        assert out[k, j, i] == pytest.approx(part.mean())


def test_block_mean_reads_reversed_and_transposed_arrays():
    values = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32)
    view = values.transpose(2, 0, 1)[::-1, :, ::-1]
    np.testing.assert_allclose(block_mean(view, 1, 1, 1), view)


def test_plane_holes_are_filled_as_scipy_does():
    mask = np.random.default_rng(3).random((6, 25, 31)) < 0.6
    expected = np.stack([ndi.binary_fill_holes(plane) for plane in mask])
    assert np.array_equal(fill_plane_holes(mask), expected)


def test_probe_statistics_are_mean_and_population_sd_and_nan_where_the_shape_leaves():
    rng = np.random.default_rng(4)
    values = rng.random((8, 9, 10)).astype(np.float32) + 100.0
    allowed = np.ones(values.shape, bool)
    allowed[3, 3, 3] = False
    offsets = np.array([[0, 0, 0], [1, 0, 0], [0, -1, 2]])
    centres = np.array([[4, 4, 4], [2, 3, 3], [7, 4, 4]])
    mean, sd = probe_statistics(values, allowed, centres, offsets)
    index = offsets + centres[0]
    inside = values[tuple(index.T)].astype(float)
    assert (mean[0], sd[0]) == (pytest.approx(inside.mean()), pytest.approx(inside.std(), rel=1e-6))
    assert np.isnan(mean[1:]).all()


def test_the_best_path_is_the_best_of_all_paths():
    score = np.random.default_rng(5).random((4, 3, 3))
    path = best_path(score, 1, 0.1)

    def worth(steps):
        total = sum(score[k, j, i] for k, (j, i) in enumerate(steps))
        moves = [(a[0] - b[0], a[1] - b[1]) for a, b in itertools.pairwise(steps)]
        if any(max(abs(j), abs(i)) > 1 for j, i in moves):
            return -np.inf
        return total - 0.1 * sum(j * j + i * i for j, i in moves)

    cells = list(itertools.product(range(3), range(3)))
    best = max(worth(steps) for steps in itertools.product(cells, repeat=4))
    assert worth([tuple(p) for p in path]) == pytest.approx(best)


@pytest.mark.parametrize("radius", [8.0, 11.0, 14.0])
def test_rays_measure_the_radius_of_a_blurred_disc_in_lung(radius):
    y, x = np.mgrid[0:30, 0:30] * 4.0
    disc = np.where((x - 58.0) ** 2 + (y - 60.0) ** 2 < radius**2, 40.0, -820.0)
    fine = ndi.gaussian_filter(disc, 0.5)[None].astype(np.float32)
    angle = np.deg2rad(np.arange(0, 360, 15.0))
    directions = np.stack([0.125 * np.sin(angle), 0.125 * np.cos(angle)], axis=1)
    length, beyond, lumen = ray_edges(fine, np.array([[0.0, 15.0, 14.5]]), directions, 45.0, 60, 12.0)
    assert np.median(length) / 2.0 == pytest.approx(radius, abs=2.0)
    assert lumen[0] == pytest.approx(40.0, abs=45.0)
    assert (beyond < -300.0).all()


def test_a_ray_without_a_wall_ends_at_its_longest_step():
    flat = np.full((1, 20, 20), 40.0, np.float32)
    length, beyond, _ = ray_edges(flat, np.array([[0.0, 10.0, 10.0]]), np.array([[0.0, 0.1]]), 45.0, 30, 5.0)
    assert length[0, 0] == 30.0
    assert np.isnan(beyond[0, 0])
