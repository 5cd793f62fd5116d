"""The search for a quiet place: erosion, admissible centres, lesions avoided, noise not flattered."""

from __future__ import annotations

import numpy as np

from fusin.imaging.volume import Grid
from fusin.quantification.reference_search import eroded, quiet_place, shape_offsets
from fusin.quantification.references import ReferenceShape, reference_shape, sphere_region

SPACING = (3.0, 4.0, 4.0)
GRID = Grid(shape=(30, 30, 30), affine=np.diag([4.0, 4.0, 3.0, 1.0]))
BALL = ReferenceShape(form="sphere", diameter_mm=20.0, length_mm=0.0, source="test")


def block(margin=3):
    mask = np.zeros(GRID.shape, bool)
    mask[margin:-margin, margin:-margin, margin:-margin] = True
    return mask


def test_erosion_keeps_what_is_farther_than_the_margin_from_every_outside_voxel():
    rng = np.random.default_rng(1)
    mask = rng.random((9, 8, 7)) < 0.9
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded) * SPACING
    expected = np.zeros_like(mask)
    for index in np.argwhere(mask):
        nearest = np.sqrt((((index + 1) * SPACING - outside) ** 2).sum(axis=1)).min()
        expected[tuple(index)] = nearest > 4.5
    assert np.array_equal(eroded(mask, 4.5, SPACING), expected)


def test_no_margin_changes_nothing():
    mask = block()
    assert np.array_equal(eroded(mask, 0.0, SPACING), mask)


def test_offsets_are_the_region_that_is_measured_later():
    for shape in (BALL, reference_shape("liver")):
        offsets = shape_offsets(shape, GRID)
        region = sphere_region(GRID, GRID.to_mm((15, 14, 16)), shape.diameter_mm, "r")
        assert {tuple(v) for v in np.add(offsets, (16, 14, 15))} == {tuple(v) for v in region.indices()}


def test_the_place_is_nearest_to_the_ideal_one_in_quiet_tissue():
    pet = np.full(GRID.shape, 1.0, np.float32)
    place = quiet_place(pet, block(), shape_offsets(BALL, GRID), (15, 15, 15), SPACING)
    assert place is not None
    assert place.index == (15, 15, 15)
    assert place.cov == 0.0


def test_a_lesion_at_the_ideal_place_is_avoided():
    pet = 1.0 + 0.02 * np.random.default_rng(2).standard_normal(GRID.shape).astype(np.float32)
    pet[13:18, 13:18, 13:18] = 8.0
    offsets = shape_offsets(BALL, GRID)
    place = quiet_place(pet, block(), offsets, (15, 15, 15), SPACING)
    assert place is not None
    index = offsets + np.array(place.index)
    assert pet[tuple(index.T)].max() < 2.0


def test_the_spread_at_the_place_is_not_the_luckiest_one():
    """The quietest of thousands of places would claim too small an SD; the quiet quarter hardly does."""
    ratios = []
    offsets = shape_offsets(BALL, GRID)
    for seed in range(8):
        pet = (1.0 + 0.15 * np.random.default_rng(seed).standard_normal(GRID.shape)).astype(np.float32)
        place = quiet_place(pet, block(), offsets, (15, 15, 15), SPACING)
        assert place is not None
        ratios.append(place.cov * place.mean / 0.15)
    assert np.mean(ratios) > 0.85


def test_a_shape_that_fits_nowhere_gives_none():
    pet = np.ones(GRID.shape, np.float32)
    small = np.zeros(GRID.shape, bool)
    small[10:12, 10:12, 10:12] = True
    assert quiet_place(pet, small, shape_offsets(BALL, GRID), (11, 11, 11), SPACING) is None
    assert quiet_place(pet, np.zeros(GRID.shape, bool), shape_offsets(BALL, GRID), (11, 11, 11), SPACING) is None


def test_tissue_without_counts_gives_none():
    assert (
        quiet_place(np.zeros(GRID.shape, np.float32), block(), shape_offsets(BALL, GRID), (15, 15, 15), SPACING) is None
    )
