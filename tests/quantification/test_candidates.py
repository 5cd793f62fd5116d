"""Whole-body candidates: nothing swallowed, nothing invented, names that last."""

from __future__ import annotations

import numpy as np
import pytest
from hot_spheres import blurred, distance, make_grid, make_reference, make_scene, make_volume, sphere_region
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError, StrictRefusal
from fusin.imaging.volume import Grid, Region
from fusin.provenance import Notice, NoticeLog
from fusin.quantification.candidates import (
    CandidateSearch,
    box_region,
    burden,
    find_candidates,
    label_components,
    lesion_identity,
)
from fusin.quantification.thresholds import threshold_fixed

GRID = make_grid((50, 40, 40), spacing=(4.0, 4.0, 3.0))
KIDNEY_AT = (100.0, 80.0, 75.0)
KIDNEY = sphere_region(GRID, KIDNEY_AT, 24.0, "kidney_left")


def search(volume, suv=3.0, **more):
    log = NoticeLog()
    parameters = {k: more.pop(k) for k in list(more) if k in CandidateSearch.__slots__}
    result = find_candidates(volume, threshold_fixed(suv), log=log, search=CandidateSearch(**parameters), **more)
    return result, {n.code for n in log}


def at(lesion):
    return np.array(lesion.metrics.max_mm)


def test_isolated_lesions_are_found_and_ranked_by_peak():
    volume = make_scene(GRID, [((40, 40, 30), 9, 6.0), ((40, 120, 110), 9, 12.0), ((120, 40, 110), 9, 9.0)])
    result, _ = search(volume)
    assert [lesion.number for lesion in result.lesions] == [1, 2, 3]
    peaks = [lesion.metrics.suv_peak for lesion in result.lesions]
    assert peaks == sorted(peaks, reverse=True)
    assert np.linalg.norm(at(result.lesions[0]) - (40, 120, 110)) < 6
    assert {lesion.status for lesion in result.lesions} == {"candidate"}


def test_regions_hold_all_foreground_voxels_of_large_components_exactly_once():
    rng = np.random.default_rng(4)
    volume = make_volume(blurred(rng.gamma(2.0, 1.0, GRID.shape), GRID, 12.0), GRID)
    result, _ = search(volume, suv=2.15)
    assert len(result.lesions) > 5
    total = np.zeros(GRID.shape, int)
    for lesion in result.lesions:
        total += lesion.region.mask()
    flat, labels, count = label_components(volume.values >= 2.15)
    keep = np.bincount(labels, minlength=count) >= CandidateSearch().voxels_needed(GRID)
    expected = np.zeros(GRID.shape, int)
    expected.flat[flat[keep[labels]]] = 1
    np.testing.assert_array_equal(total, expected)


def test_small_components_are_dropped_and_counted():
    values = np.ones(GRID.shape, np.float32)
    values[5, 5, 5:8] = 9
    values[20:23, 20:23, 20:23] = 9
    result, codes = search(make_volume(values, GRID))
    assert (len(result.lesions), result.components, result.too_small) == (1, 2, 1)
    assert "COMPONENTS_TOO_SMALL" in codes
    assert len(search(make_volume(values, GRID), min_volume_ml=0.0)[0].lesions) == 2


def test_minimum_size_needs_both_volume_and_voxels():
    coarse = make_grid((10, 10, 10), spacing=(10, 10, 10))
    assert CandidateSearch().voxels_needed(coarse) == 3
    assert CandidateSearch().voxels_needed(GRID) == 7


def test_touching_lesions_are_split_and_noise_on_one_is_not():
    pair = make_scene(GRID, [((60, 80, 60), 8, 9.0), ((60, 80, 80), 8, 7.0)])
    assert len(search(pair, suv=2.0)[0].lesions) == 2
    assert len(search(pair, suv=2.0, split=False)[0].lesions) == 1
    rng = np.random.default_rng(2)
    single = make_scene(GRID, [((60, 80, 60), 20, 9.0)])
    noisy = make_volume(single.values * (1 + 0.05 * rng.standard_normal(GRID.shape)).astype(np.float32), GRID)
    assert len(search(noisy)[0].lesions) == 1


def test_maxima_closer_than_the_minimum_distance_are_one_lesion():
    pair = make_scene(GRID, [((60, 80, 60), 8, 9.0), ((60, 80, 80), 8, 7.0)])
    assert len(search(pair, suv=2.0, min_distance_mm=30.0)[0].lesions) == 1


def test_split_loses_no_volume():
    pair = make_scene(GRID, [((60, 80, 60), 8, 9.0), ((60, 80, 80), 8, 7.0)])
    one, two = search(pair, suv=2.0, split=False)[0], search(pair, suv=2.0)[0]
    assert burden(two.lesions).tumour_volume_ml == pytest.approx(burden(one.lesions).tumour_volume_ml)


def test_pieces_below_the_minimum_size_join_their_neighbour():
    pair = make_scene(GRID, [((60, 80, 60), 10, 9.0), ((60, 80, 82), 4, 14.0)])
    free = search(pair, suv=2.0, min_volume_ml=0.0)[0]
    assert len(free.lesions) == 2
    smaller = min(lesion.metrics.volume_ml for lesion in free.lesions)
    joined = search(pair, suv=2.0, min_volume_ml=smaller * 1.05)[0]
    assert len(joined.lesions) == 1
    assert burden(joined.lesions).tumour_volume_ml == pytest.approx(burden(free.lesions).tumour_volume_ml)


def organ_scene(*lesions, kidney=10.0, noise=0.0):
    volume = make_scene(GRID, [*lesions, (KIDNEY_AT, 24.0, kidney)])
    rng = np.random.default_rng(8)
    return make_volume(volume.values * (1 + noise * rng.standard_normal(GRID.shape)).astype(np.float32), GRID)


def test_hot_organ_with_its_spill_out_is_set_aside_with_its_name():
    for noise in (0.0, 0.04):
        result, _ = search(organ_scene(noise=noise), suv=2.0, exclusions=[KIDNEY])
        assert result.lesions == ()
        assert [p.site for p in result.physiological] == ["kidney_left"]
        assert "kidney_left" in result.physiological[0].reason
        assert result.physiological[0].region.voxels > KIDNEY.voxels


@pytest.mark.parametrize("uptake", [8.0, 20.0])
def test_lesion_that_touches_an_organ_is_not_swallowed(uptake):
    lesion_at = (100.0 - 24 - 9, 80.0, 75.0)
    result, _ = search(organ_scene((lesion_at, 9.0, uptake), noise=0.02), suv=2.5, exclusions=[KIDNEY])
    assert len(result.lesions) == 1
    lesion = result.lesions[0]
    assert np.linalg.norm(at(lesion) - lesion_at) < 6
    assert not (lesion.region.mask() & KIDNEY.mask()).any()
    # Larger than the sphere at a low threshold, but without the organ or its rim.
    assert lesion.metrics.volume_ml < 4 / 3 * np.pi * 1.3**3
    assert [p.site for p in result.physiological] == ["kidney_left"]


def test_lesion_without_a_maximum_of_its_own_is_set_aside_with_a_warning():
    lesion_at = (100.0 - 24 - 9, 80.0, 75.0)
    result, codes = search(organ_scene((lesion_at, 9.0, 5.0)), suv=2.5, exclusions=[KIDNEY])
    assert result.lesions == ()
    assert "EXCLUSION_EXCEEDED" in codes
    assert "EXCLUSION_EXCEEDED" not in search(organ_scene(), suv=2.5, exclusions=[KIDNEY])[1]


def test_cold_organ_does_not_hide_a_lesion_at_its_border():
    lesion_at = (100.0 - 24 - 9, 80.0, 75.0)
    result, _ = search(organ_scene((lesion_at, 9.0, 8.0), kidney=1.0), exclusions=[KIDNEY])
    assert len(result.lesions) == 1
    assert result.physiological == ()


def test_shifted_mask_still_names_the_organ():
    # The mask lies 9 mm off, as after a breath: the hottest pole lies outside it, the hot part mostly inside.
    slope = 3.0 * np.arange(GRID.shape[0])[:, None, None] * 0.1
    truth = np.where(distance(GRID, KIDNEY_AT) <= 24, 3.0 + slope, 1.0)
    mask = sphere_region(GRID, (100, 80, 66), 24.0, "kidney_left")
    result, _ = search(make_volume(blurred(truth, GRID), GRID), exclusions=[mask])
    assert result.lesions == ()
    assert {p.site for p in result.physiological} == {"kidney_left"}
    assert "hot part" in result.physiological[0].reason


def test_two_organs_that_touch_keep_their_names():
    spleen = sphere_region(GRID, (50, 80, 75), 22.0, "spleen")
    volume = make_scene(GRID, [(KIDNEY_AT, 24.0, 10.0), ((50, 80, 75), 22.0, 6.0)])
    result, _ = search(volume, suv=2.0, exclusions=[KIDNEY, spleen])
    assert sorted(p.site for p in result.physiological) == ["kidney_left", "spleen"]


def test_user_box_excludes_by_patient_coordinates():
    volume = make_scene(GRID, [((40, 40, 30), 9, 6.0), ((120, 120, 110), 9, 9.0)])
    box = box_region(GRID, "tonsils", (100, 100, 90), (140, 140, 130))
    result, _ = search(volume, exclusions=[box])
    assert len(result.lesions) == 1
    assert [p.site for p in result.physiological] == ["tonsils"]


def test_box_holds_the_voxels_whose_centres_lie_in_it_on_a_turned_grid():
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([4.0, 4.0, 3.0])
    grid = Grid(shape=(20, 20, 20), affine=affine)
    middle = grid.to_mm((10, 10, 10))
    box = box_region(grid, "b", middle - 13, middle + 17)
    centres = grid.to_mm(np.indices(grid.shape)[::-1].reshape(3, -1).T)
    expected = ((centres >= middle - 13) & (centres <= middle + 17)).all(axis=1).reshape(grid.shape)
    np.testing.assert_array_equal(box.mask(), expected)
    assert box_region(grid, "far", (900, 900, 900), (901, 901, 901)).voxels == 0
    with pytest.raises(InputError):
        box_region(grid, "b", (0, 0, 0), (1, -1, 1))


SCENE = make_scene(GRID, [((60, 80, 60), 8, 9.0), ((60, 80, 80), 8, 7.0), ((120, 40, 110), 9, 5.0)])


@given(st.floats(1.5, 4.0), st.floats(1.5, 4.0))
@settings(max_examples=10, deadline=None)
def test_identities_survive_a_change_of_the_threshold(first, second):
    names = [{lesion.identity for lesion in search(SCENE, suv=suv)[0].lesions} for suv in (first, second)]
    assert names[0] <= names[1] or names[1] <= names[0]
    assert len(names[0] & names[1]) >= 2


def test_merged_lesion_carries_the_name_of_the_hotter_one_and_the_other_comes_back():
    apart = [lesion.identity for lesion in search(SCENE, suv=2.0)[0].lesions]
    merged = [lesion.identity for lesion in search(SCENE, suv=2.0, split=False)[0].lesions]
    again = [lesion.identity for lesion in search(SCENE, suv=4.0, split=False)[0].lesions]
    assert len(merged) == len(apart) - 1
    assert merged[0] == apart[0]
    assert set(again) == set(apart)


def test_raising_the_threshold_removes_lesions_and_renames_none():
    previous = None
    for suv in (1.6, 2.0, 2.5, 3.0, 3.5, 4.5, 6.0):
        names = {lesion.identity for lesion in search(SCENE, suv=suv, min_volume_ml=0.2)[0].lesions}
        assert previous is None or names <= previous
        previous = names


def test_equally_hot_voxels_are_named_by_the_first_in_c_order():
    values = np.ones(GRID.shape, np.float32)
    values[10:14, 10:14, 10:14] = 7.0
    lesion = search(make_volume(values, GRID))[0].lesions[0]
    assert lesion.identity == lesion_identity(GRID.to_mm((10, 10, 10)))


def test_identity_has_no_negative_zero():
    assert lesion_identity((-0.04, 12.25, -310.0)) == "lps_0.0_12.2_-310.0"


def test_candidates_carry_ratios_and_sites():
    reference = make_reference(grid=GRID, mean=1.6)
    site = sphere_region(GRID, (60, 80, 60), 15, "vertebrae_L3")
    result, _ = search(SCENE, suv=2.0, references=[reference], sites=[site])
    hottest = result.lesions[0]
    assert hottest.tbr("blood_pool").value == pytest.approx(hottest.metrics.suv_max / 1.6)
    assert [lesion.site for lesion in result.lesions] == ["vertebrae_L3", "", ""]
    assert hottest.region.name == hottest.metrics.name == "candidate 1"


def test_notices_carry_the_final_name_and_respect_strict_mode():
    values = np.ones((12, 12, 12), np.float32)
    values[0:4, 0:4, 0:4] = 8.0
    log = NoticeLog()
    find_candidates(make_volume(values, make_grid((12, 12, 12))), threshold_fixed(3.0), log=log)
    assert ("PEAK_SPHERE_CUT", "candidate 1") in {(n.code, n.where) for n in log}
    strict = NoticeLog(strict=True)
    with pytest.raises(StrictRefusal):
        strict.add(Notice("ANY", "adapted", "text"))


def test_nothing_hot_gives_no_candidates():
    result, codes = search(make_volume(np.ones(GRID.shape), GRID))
    assert (result.lesions, result.physiological, result.components) == ((), (), 0)
    assert not codes


def test_missing_voxels_are_never_hot():
    values = SCENE.values.copy()
    values[40] = np.nan
    assert len(search(make_volume(values, GRID), suv=2.0)[0].lesions) == 3


def test_infinite_voxels_are_refused():
    values = SCENE.values.copy()
    values[20, 20, 15] = np.inf
    with pytest.raises(InputError, match="infinite"):
        search(make_volume(values, GRID), suv=2.0)


def test_exclusion_on_another_grid_is_refused():
    with pytest.raises(InputError, match="resample"):
        search(SCENE, exclusions=[sphere_region(make_grid(spacing=(2, 2, 2)), (20, 20, 20), 5)])


@pytest.mark.parametrize(
    ("name", "value"), [("prominence", 0.0), ("hot_fraction", 1.5), ("min_volume_ml", -1.0), ("min_voxels", 0)]
)
def test_impossible_parameters_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        CandidateSearch(**{name: value})


def test_result_does_not_depend_on_the_memory_order_of_the_image():
    turned = make_volume(np.asfortranarray(SCENE.values), GRID)
    first, second = search(SCENE, suv=2.0)[0], search(turned, suv=2.0)[0]
    assert [lesion.to_json() for lesion in first.lesions] == [lesion.to_json() for lesion in second.lesions]


def test_empty_exclusion_changes_nothing():
    empty = Region.from_mask("gallbladder", GRID, np.zeros(GRID.shape))
    assert len(search(SCENE, suv=2.0, exclusions=[empty])[0].lesions) == 3
