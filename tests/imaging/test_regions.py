"""Trimming, naming and splitting of regions."""

import numpy as np
from geometry_builders import make_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.imaging.regions import region_from_crop, regions_of_labels, unique_region_names
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.02, 0.5]))
def test_a_region_from_a_part_equals_the_region_from_the_whole(seed, density):
    grid = make_grid()
    rng = np.random.default_rng(seed)
    start = (1, 2, 3)
    part = rng.random((4, 5, 6)) < density
    whole = np.zeros(grid.shape, bool)
    whole[1:5, 2:7, 3:9] = part
    a, b = region_from_crop("r", grid, start, part), Region.from_mask("r", grid, whole)
    assert a.start == b.start
    assert np.array_equal(a.crop, b.crop)


def test_label_maps_split_into_the_same_voxels_whatever_the_numbers_are():
    grid = make_grid()
    rng = np.random.default_rng(3)
    labels = rng.choice(np.array([0, 1, 7, 60000], np.uint16), grid.shape)
    regions = regions_of_labels(labels, grid, {7: "spleen"}, source="f")
    assert [(r.label, r.name) for r in regions] == [(1, "label_1"), (7, "spleen"), (60000, "label_60000")]
    assert all(np.array_equal(r.mask(), labels == r.label) for r in regions)


def test_second_regions_of_one_name_get_a_number_that_is_free():
    grid = make_grid()
    mask = np.ones(grid.shape, bool)
    names = ["Lesion", "Lesion", "Lesion (2)", "Liver", "Lesion"]
    log = NoticeLog()
    out = [r.name for r in unique_region_names([Region.from_mask(n, grid, mask) for n in names], log)]
    assert out == ["Lesion", "Lesion (3)", "Lesion (2)", "Liver", "Lesion (4)"]
    assert {n.code for n in log} == {"REGION_RENAMED"}
