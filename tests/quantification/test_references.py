"""Reference regions: shapes by voxel centres, measurement, guards and the --at syntax."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError, NotComputable, StrictRefusal
from fusin.evidence.catalogue import evidence
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.references import (
    check_overlap,
    cylinder_region,
    parse_at,
    reference_at,
    reference_from_region,
    reference_shape,
    sphere_region,
)
from fusin.quantification.resels import mean_interval

SUV = "g/ml{SUVbw}"


def make_grid(shape=(24, 22, 20), spacing=(4.0, 4.0, 3.0), tilt_deg=0.0):
    turn = math.radians(tilt_deg)
    rotation = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = [-30.0, 12.0, 100.0]
    return Grid(shape=shape, affine=affine)


def make_pet(grid=None, value=1.5, noise=0.0, seed=0):
    grid = grid or make_grid()
    values = value + noise * np.random.default_rng(seed).standard_normal(grid.shape)
    return Volume(values=values.astype(np.float32), grid=grid, unit=SUV)


def centre_of(grid):
    return grid.to_mm((np.array(grid.shape[::-1]) - 1) / 2)


def all_points(grid):
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    return grid.to_mm(np.stack([i, j, k], axis=-1))


def codes(log):
    return {n.code for n in log}


def test_a_3_cm_sphere_holds_14_1_ml_on_a_fine_grid():
    # 4/3 pi 1.5^3 = 14.137 mL
    grid = make_grid(shape=(40, 40, 40), spacing=(1.0, 1.0, 1.0))
    # Off the lattice's points of symmetry, where whole shells of voxels come and go at once.
    centre = np.add(centre_of(grid), (0.21, 0.37, -0.13))
    assert sphere_region(grid, centre, 30.0, "liver").volume_ml == pytest.approx(14.137, rel=0.005)


def test_the_percist_cylinder_holds_1_57_ml_on_a_fine_grid():
    # pi 0.5^2 2 = 1.571 mL; an odd number of voxels across makes the centre a voxel centre
    grid = make_grid(shape=(61, 41, 41), spacing=(0.4, 0.4, 0.4))
    assert cylinder_region(grid, centre_of(grid), 10.0, 20.0).volume_ml == pytest.approx(1.571, rel=0.03)


@settings(max_examples=20, deadline=None)
@given(
    tilt=st.floats(-40, 40),
    x=st.floats(5, 14),
    y=st.floats(5, 14),
    z=st.floats(5, 18),
    diameter=st.floats(6, 30),
)
def test_a_sphere_is_exactly_the_voxel_centres_within_its_radius(tilt, x, y, z, diameter):
    grid = make_grid(tilt_deg=tilt)
    centre = grid.to_mm((x, y, z))
    inside = ((all_points(grid) - centre) ** 2).sum(axis=-1) <= (diameter / 2) ** 2
    region = sphere_region(grid, centre, diameter, "s")
    if inside.any():
        assert np.array_equal(region.mask(), inside)
    else:
        assert region.voxels == 1


@settings(max_examples=20, deadline=None)
@given(axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1), length=st.floats(8, 40))
def test_a_cylinder_is_exactly_the_voxel_centres_within_it(axis, length):
    grid = make_grid(tilt_deg=10.0)
    centre = centre_of(grid)
    offset = all_points(grid) - centre
    unit = np.array(axis) / np.linalg.norm(axis)
    along = offset @ unit
    inside = ((offset**2).sum(axis=-1) - along**2 <= 6.0**2) & (np.abs(along) <= length / 2)
    assert np.array_equal(cylinder_region(grid, centre, 12.0, length, axis).mask(), inside)


def test_where_voxels_are_too_large_the_nearest_one_stands_in_and_it_is_said():
    grid = make_grid(spacing=(12.0, 12.0, 12.0))
    log = NoticeLog()
    region = sphere_region(grid, grid.to_mm((4.5, 4.5, 4.6)), 6.0, "tiny", log=log)
    assert region.voxels == 1
    assert codes(log) == {"REFERENCE_NEAREST_VOXEL"}


def test_strict_mode_refuses_the_nearest_voxel():
    grid = make_grid(spacing=(12.0, 12.0, 12.0))
    with pytest.raises(StrictRefusal):
        sphere_region(grid, grid.to_mm((4.5, 4.5, 4.6)), 6.0, "tiny", log=NoticeLog(strict=True))


def test_a_sphere_across_the_border_says_how_many_voxels_are_missing():
    grid = make_grid()
    log = NoticeLog()
    whole = sphere_region(grid, grid.to_mm((10, 11, 12)), 30.0, "s")
    cut = sphere_region(grid, grid.to_mm((10, 11, 0)), 30.0, "s", log=log)
    (notice,) = log
    assert notice.code == "REFERENCE_PARTLY_OUTSIDE"
    assert notice.raw == whole.voxels - cut.voxels


def test_a_point_outside_the_volume_is_refused_with_the_volumes_span():
    pet = make_pet()
    with pytest.raises(InputError, match="inside the volume") as caught:
        reference_at(pet, "liver", (0.0, 0.0, 500.0), log=NoticeLog())
    assert caught.value.found == (0.0, 0.0, 500.0)


@pytest.mark.parametrize("bad", [(math.nan, 0, 0), (1, 2), "abc"])
def test_a_point_that_is_no_point_is_refused(bad):
    with pytest.raises(InputError):
        sphere_region(make_grid(), bad, 10.0, "s")


@pytest.mark.parametrize("diameter", [0.0, -1.0, math.inf])
def test_a_size_that_is_no_length_is_refused(diameter):
    grid = make_grid()
    with pytest.raises(InputError):
        sphere_region(grid, centre_of(grid), diameter, "s")


def test_an_axis_without_direction_is_refused():
    grid = make_grid()
    with pytest.raises(InputError):
        cylinder_region(grid, centre_of(grid), 10.0, 20.0, (0, 0, 0))


@pytest.mark.parametrize(
    ("text", "kind", "point"),
    [
        ("liver=10,-20.5,300", "liver", (10.0, -20.5, 300.0)),
        ("aorta=1,2,3", "blood_pool", (1.0, 2.0, 3.0)),
        (" Blood-Pool = 1e1, 2 ,-3", "blood_pool", (10.0, 2.0, -3.0)),
    ],
)
def test_at_is_read(text, kind, point):
    assert parse_at(text) == (kind, point)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("liver", "value"),
        ("tongue=1,2,3", "kind"),
        ("liver=1,2", "liver"),
        ("liver=1,b,3", "liver"),
        ("liver=1,nan,3", "liver"),
    ],
)
def test_at_that_cannot_be_read_says_which_part(text, field):
    with pytest.raises(InputError) as caught:
        parse_at(text)
    assert (caught.value.where, caught.value.field) == ("--at", field)


def test_mean_and_population_sd_are_those_of_the_voxels():
    # 1, 2, 3, 4: mean 2.5, population SD sqrt(1.25) = 1.1180 (sample SD would be 1.2910)
    grid = make_grid(shape=(1, 1, 4))
    pet = Volume(values=np.array([[[1, 2, 3, 4]]], np.float32), grid=grid, unit="1")
    region = Region.from_mask("r", grid, np.ones(grid.shape))
    reference = reference_from_region(pet, region, "muscle", "given", log=NoticeLog())
    assert (reference.mean, reference.sd) == (pytest.approx(2.5), pytest.approx(1.1180, abs=1e-4))
    assert (reference.voxels, reference.volume_ml) == (4, pytest.approx(4 * 0.048))


def test_the_interval_counts_resolution_elements():
    pet = make_pet(noise=0.2)
    reference = reference_at(pet, "liver", centre_of(pet.grid), log=NoticeLog(), fwhm_mm=7.0)
    low, high, _ = mean_interval(reference.mean, reference.sd, reference.volume_ml, fwhm_mm=7.0)
    assert (reference.mean_low, reference.mean_high) == (low, high)
    assert reference.mean_low < reference.mean < reference.mean_high


@settings(max_examples=15, deadline=None)
@given(value=st.floats(0.05, 50), factor=st.floats(0.1, 20))
def test_a_reference_scales_with_the_image(value, factor):
    one = reference_at(make_pet(value=value, noise=0.02), "spleen", centre_of(make_grid()), log=NoticeLog())
    pet = make_pet(value=value, noise=0.02)
    scaled = Volume(values=pet.values * np.float32(factor), grid=pet.grid, unit=SUV)
    two = reference_at(scaled, "spleen", centre_of(pet.grid), log=NoticeLog())
    assert two.mean == pytest.approx(factor * one.mean, rel=1e-5)
    assert two.sd == pytest.approx(factor * one.sd, rel=1e-3)


def test_a_constant_image_gives_its_value_and_no_spread():
    pet = make_pet(value=1.3)
    reference = reference_at(pet, "liver", centre_of(pet.grid), log=NoticeLog())
    assert reference.mean == pytest.approx(1.3, rel=1e-6)
    assert reference.sd == pytest.approx(0.0, abs=1e-9)
    assert reference.method == "point"
    assert reference.confidence is None
    assert "30 mm sphere" in reference.detail


@pytest.mark.parametrize(
    ("value", "code"),
    [(math.nan, "REFERENCE_NOT_FINITE"), (0.0, "REFERENCE_NOT_POSITIVE"), (-1.0, "REFERENCE_NOT_POSITIVE")],
)
def test_a_reference_that_cannot_divide_is_refused(value, code):
    pet = make_pet(value=value)
    with pytest.raises(NotComputable) as caught:
        reference_at(pet, "liver", centre_of(pet.grid), log=NoticeLog())
    assert caught.value.code == code


def test_an_empty_region_is_refused():
    pet = make_pet()
    empty = Region.from_mask("nothing", pet.grid, np.zeros(pet.shape))
    with pytest.raises(NotComputable) as caught:
        reference_from_region(pet, empty, "liver", "given", log=NoticeLog())
    assert caught.value.code == "REFERENCE_EMPTY"


def test_a_region_on_another_grid_is_refused():
    other = make_grid(spacing=(3.0, 3.0, 3.0))
    region = sphere_region(other, centre_of(other), 20.0, "elsewhere")
    with pytest.raises(InputError):
        reference_from_region(make_pet(), region, "liver", "given", log=NoticeLog())


def test_an_uneven_reference_is_doubted():
    log = NoticeLog()
    pet = make_pet(value=1.4, noise=0.6)
    reference_at(pet, "liver", centre_of(pet.grid), log=log)
    assert "REFERENCE_NOT_UNIFORM" in codes(log)


def test_a_hot_voxel_in_a_reference_is_doubted():
    pet = make_pet(value=1.4, noise=0.05)
    values = pet.values.copy()
    values[12, 11, 10] = 6.0
    log = NoticeLog()
    reference_at(Volume(values=values, grid=pet.grid, unit=SUV), "liver", pet.grid.to_mm((10, 11, 12)), log=log)
    assert codes(log) == {"REFERENCE_HOT_VOXELS"}


def test_noise_alone_is_no_hot_voxel():
    log = NoticeLog()
    pet = make_pet(value=1.4, noise=0.3, seed=3)
    reference_at(pet, "liver", centre_of(pet.grid), log=log)
    assert codes(log) == set()


@pytest.mark.parametrize(("kind", "record"), [("liver", "normal-uptake-liver"), ("blood_pool", "normal-uptake-heart")])
def test_the_published_range_is_the_band_of_doubt(kind, record):
    # Mol Imaging Biol 2022;24:659: liver 0.73-2.45, heart 0.88-2.89 (n = 90)
    high = evidence(record).high
    assert high is not None
    for value, doubted in ((0.98 * high, False), (1.02 * high, True)):
        log = NoticeLog()
        pet = make_pet(value=value)
        reference_at(pet, kind, centre_of(pet.grid), log=log)
        assert ("REFERENCE_OUTSIDE_NORMAL_BAND" in codes(log)) is doubted


def test_the_band_holds_for_suvbw_only():
    log = NoticeLog()
    pet = Volume(values=np.full((24, 22, 20), 9000.0, np.float32), grid=make_grid(), unit="Bq/ml")
    reference_at(pet, "liver", centre_of(pet.grid), log=log)
    assert codes(log) == set()


def test_overlap_with_a_lesion_is_counted():
    pet = make_pet()
    reference = reference_at(pet, "liver", pet.grid.to_mm((10, 11, 12)), log=NoticeLog())
    lesion = sphere_region(pet.grid, pet.grid.to_mm((13, 11, 12)), 16.0, "lesion 1")
    far = sphere_region(pet.grid, pet.grid.to_mm((2, 2, 2)), 6.0, "lesion 2")
    log = NoticeLog()
    check_overlap([reference], [lesion, far], log)
    (notice,) = log
    assert notice.code == "REFERENCE_OVERLAPS_LESION"
    assert notice.raw == int((reference.region.mask() & lesion.mask()).sum())


def test_every_kind_has_a_shape_with_a_source():
    for kind in ("blood_pool", "liver", "spleen", "marrow", "brain", "adrenal", "muscle"):
        assert reference_shape(kind).source
    assert reference_shape("liver").diameter_mm == 30.0
    assert (reference_shape("blood_pool").diameter_mm, reference_shape("blood_pool").length_mm) == (10.0, 20.0)
