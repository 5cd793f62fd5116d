"""From threshold to region: growth, leaks, bounds, gradients and votes."""

from __future__ import annotations

import numpy as np
import pytest
from hot_spheres import distance, make_grid, make_reference, make_scene, make_volume, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog
from fusin.quantification.segmentation import (
    SEED_RULES,
    majority_vote,
    segment_gradient,
    segment_majority,
    segment_seed,
    segment_volume,
)
from fusin.quantification.thresholds import threshold_fixed, threshold_van_dalen

GRID = make_grid((40, 30, 30), spacing=(4.0, 4.0, 3.0))
CENTRE = (56.0, 56.0, 60.0)
SEED = (20, 14, 14)
VOLUME = make_scene(GRID, [(CENTRE, 20.0, 10.0)])
TRUE_ML = 4 / 3 * np.pi * 2.0**3


def grown(rule, volume=VOLUME, seed=SEED, **more):
    log = NoticeLog()
    region = segment_seed(volume, seed, rule, log=log, **more)
    return region, {n.code for n in log}


@pytest.mark.parametrize("rule", sorted(set(SEED_RULES) - {"fixed-2.5", "fixed-3", "nestle", "percent-max-70"}))
def test_large_sphere_is_recovered_by_every_rule_that_aims_at_its_edge(rule):
    region, _ = grown(SEED_RULES[rule])
    assert region.volume_ml == pytest.approx(TRUE_ML, rel=0.25)
    assert region.attributes["threshold"]["rule"] == rule


def test_background_rule_beats_the_plain_percentage_on_a_warm_background():
    warm = make_scene(GRID, [(CENTRE, 20.0, 10.0)], background=3.5)
    plain, _ = grown(SEED_RULES["percent-max-41"], warm)
    adapted, codes = grown(SEED_RULES["background-41"], warm)
    assert abs(adapted.volume_ml - TRUE_ML) < abs(plain.volume_ml - TRUE_ML)
    assert "BACKGROUND_FROM_SHELL" in codes
    assert "BACKGROUND_FROM_SHELL" not in grown(SEED_RULES["background-41"], warm, background=3.5)[1]


def test_van_dalen_recovers_the_sphere_from_the_resolution_alone():
    region, _ = grown(
        lambda s: threshold_van_dalen(s.volume_at, suv_max=s.suv_max, background=s.need_background(), fwhm_mm=6.0)
    )
    assert region.volume_ml == pytest.approx(TRUE_ML, rel=0.06)


@given(st.integers(0, 10**6), st.floats(0.3, 0.9))
@settings(max_examples=20, deadline=None)
def test_growth_equals_the_labelled_component(seed, threshold):
    grid = make_grid((9, 10, 11))
    values = np.random.default_rng(seed).random(grid.shape)
    region, _ = grown(threshold_fixed(threshold), make_volume(values, grid), (4, 5, 5), search_mm=100.0)
    labels, _ = label(values >= threshold, structure=np.ones((3, 3, 3)))
    hottest = np.unravel_index(values.argmax(), values.shape)
    expected = labels == labels[hottest] if labels[hottest] else np.zeros(grid.shape, bool)
    np.testing.assert_array_equal(region.mask(), expected)


def test_neighbouring_lesion_is_not_taken():
    volume = make_scene(GRID, [(CENTRE, 12.0, 10.0), ((56, 56, 110), 6.0, 8.0)])
    region, _ = grown(threshold_fixed(4.0), volume)
    assert region.mask()[:30].sum() == region.voxels


def test_lesion_below_the_threshold_gives_an_empty_region_and_a_notice():
    region, codes = grown(threshold_fixed(50.0))
    assert region.voxels == 0
    assert "SEED_BELOW_THRESHOLD" in codes


def test_running_into_a_hotter_structure_is_named():
    volume = make_scene(GRID, [(CENTRE, 9.0, 6.0), ((56, 56, 86), 14.0, 15.0)])
    region, codes = grown(SEED_RULES["percent-max-40"], volume, search_mm=5.0)
    assert "SEGMENTATION_LEAK" in codes
    bounded, codes = grown(SEED_RULES["percent-max-40"], volume, voi=sphere_region(GRID, CENTRE, 9.0), search_mm=5.0)
    assert "SEGMENTATION_LEAK" not in codes
    assert "VOI_CUTS_REGION" in codes
    assert bounded.voxels < region.voxels


def test_seed_region_and_seed_voxel_give_the_same_lesion():
    a, _ = grown(SEED_RULES["percent-max-41"])
    b, _ = grown(SEED_RULES["percent-max-41"], seed=sphere_region(GRID, CENTRE, 10.0))
    np.testing.assert_array_equal(a.mask(), b.mask())


@pytest.mark.parametrize("seed", [(-1, 0, 0), (40, 0, 0), (0, 0, 30)])
def test_seed_outside_the_volume_is_refused(seed):
    with pytest.raises(InputError):
        grown(threshold_fixed(3), seed=seed)


def test_seed_outside_the_voi_or_on_another_grid_is_refused():
    with pytest.raises(InputError):
        grown(threshold_fixed(3), voi=sphere_region(GRID, (8, 8, 8), 6))
    with pytest.raises(InputError):
        grown(threshold_fixed(3), seed=sphere_region(make_grid(spacing=(2, 2, 2)), (20, 20, 20), 5))


def test_seed_without_activity_is_refused():
    with pytest.raises(InvalidValue, match="SUVmax"):
        grown(threshold_fixed(3), make_volume(np.zeros(GRID.shape), GRID))


def test_background_rule_without_any_background_is_refused():
    with pytest.raises(MissingValue):
        grown(SEED_RULES["nestle"], make_volume(np.full(GRID.shape, 5.0), GRID))


def test_missing_voxels_stop_the_growth():
    values = VOLUME.values.copy()
    values[22] = np.nan
    region, _ = grown(threshold_fixed(4.0), make_volume(values, GRID))
    assert not region.mask()[22:].any()


@given(st.floats(1.5, 4.0), st.floats(4.1, 9.0))
@settings(max_examples=15, deadline=None)
def test_higher_threshold_gives_a_subset(low, high):
    wide, narrow = grown(threshold_fixed(low))[0].mask(), grown(threshold_fixed(high))[0].mask()
    assert not (narrow & ~wide).any()


def test_whole_volume_threshold_keeps_all_hot_voxels_and_no_missing_ones():
    values = VOLUME.values.copy()
    values[0, 0, 0] = np.nan
    region = segment_volume(make_volume(values, GRID), threshold_fixed(4.0))
    np.testing.assert_array_equal(region.mask(), np.nan_to_num(values) >= 4.0)


def test_gradient_watershed_recovers_the_sphere_on_a_warm_background_too():
    for background in (1.0, 4.0):
        volume = make_scene(GRID, [(CENTRE, 20.0, 10.0)], background=background)
        region = segment_gradient(volume, SEED, log=NoticeLog())
        assert region.volume_ml == pytest.approx(TRUE_ML, rel=0.15)


def test_gradient_watershed_leaves_a_hot_neighbour_alone():
    volume = make_scene(GRID, [(CENTRE, 15.0, 10.0), ((56, 56, 108), 8.0, 9.0)])
    region = segment_gradient(volume, SEED, log=NoticeLog())
    assert distance(GRID, CENTRE)[region.mask()].max() < 22


def test_gradient_of_missing_voxels_is_refused():
    values = VOLUME.values.copy()
    values[20, 14, 20] = np.nan
    with pytest.raises(InvalidValue):
        segment_gradient(make_volume(values, GRID), SEED, log=NoticeLog())


def test_majority_needs_the_number_of_votes():
    a, b, c = (sphere_region(GRID, CENTRE, r) for r in (8, 14, 20))
    np.testing.assert_array_equal(majority_vote([a, b, c], 2).mask(), b.mask())
    np.testing.assert_array_equal(majority_vote([a, b, c], 3).mask(), a.mask())
    empty = Region.from_mask("none", GRID, np.zeros(GRID.shape))
    assert majority_vote([a, empty], 2).voxels == 0
    assert majority_vote([empty, empty], 1).voxels == 0


@pytest.mark.parametrize("needed", [0, 3])
def test_impossible_majority_is_refused(needed):
    with pytest.raises(InputError):
        majority_vote([sphere_region(GRID, CENTRE, 5)] * 2, needed)


def test_majority_of_the_five_named_rules_lies_between_its_members():
    liver = make_reference("liver", mean=1.3, sd=0.15, grid=GRID, region=sphere_region(GRID, (20, 20, 20), 8))
    two = segment_majority(VOLUME, SEED, liver, needed=2, log=NoticeLog())
    three = segment_majority(VOLUME, SEED, liver, needed=3, log=NoticeLog())
    assert not (three.mask() & ~two.mask()).any()
    assert grown(threshold_fixed(4.0))[0].voxels <= three.voxels <= two.voxels
