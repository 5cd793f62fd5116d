"""Resampling against SimpleITK, against closed forms, and by its invariants."""

import numpy as np
import pytest
from geometry_builders import blob, make_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.imaging.resample import resample, resample_region
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog

HU = "[hnsf'U]"
SUV = "g/ml{SUVbw}"


def noise(grid, *, seed=0, dtype=np.float32, unit=SUV):
    values = np.random.default_rng(seed).normal(0, 500, grid.shape)
    return Volume(values=values.astype(dtype), grid=grid, unit=unit)


def sitk_resample(volume, grid, order, fill):
    sitk = pytest.importorskip("SimpleITK")

    def image(values, g):
        out = sitk.GetImageFromArray(values)
        axes = g.affine[:3, :3] / np.array(g.spacing_mm)
        out.SetSpacing(g.spacing_mm)
        out.SetDirection(axes.ravel().tolist())
        out.SetOrigin(g.affine[:3, 3].tolist())
        return out

    how = sitk.sitkLinear if order else sitk.sitkNearestNeighbor
    moving = image(np.array(volume.values), volume.grid)
    fixed = image(np.zeros(grid.shape, np.uint8), grid)
    return sitk.GetArrayFromImage(sitk.Resample(moving, fixed, sitk.Transform(), how, fill, sitk.sitkFloat32))


TARGETS = {
    "finer": make_grid((11, 20, 23), spacing=(1.7, 1.9, 1.3), origin=(-57.1, -78.3, -304.2)),
    "coarser": make_grid((3, 4, 4), spacing=(9.3, 10.1, 7.7), origin=(-52.1, -71.3, -301.7)),
    "reversed": make_grid((8, 12, 12), spacing=(3.1, -3.3, -2.9), origin=(-51.3, -38.7, -283.1)),
    "oblique": make_grid((7, 9, 9), spacing=(3.7, 3.1, 2.9), origin=(-45.3, -68.7, -297.3), angles=(11, -23, 37)),
}


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", TARGETS)
def test_values_equal_those_of_simpleitk(name, order):
    volume = noise(make_grid())
    ours = resample(volume, TARGETS[name], order=order, fill=-7.0).values
    theirs = sitk_resample(volume, TARGETS[name], order, -7.0)
    assert (theirs != -7.0).sum() > 15
    assert np.allclose(ours, theirs, atol=2e-3)


def test_the_border_is_half_a_voxel_beyond_the_outermost_centre():
    grid = Grid(shape=(1, 1, 4), affine=np.eye(4))
    volume = Volume(values=np.array([[[1.0, 2, 3, 4]]], np.float32), grid=grid, unit=SUV)
    at = np.array([-0.51, -0.5, -0.25, 0.0, 2.5, 3.25, 3.49, 3.5])
    found = []
    for x in at:
        affine = np.eye(4)
        affine[0, 3] = x
        found.append(resample(volume, Grid(shape=(1, 1, 1), affine=affine)).values.item())
    assert found == [0, 1, 1, 1, 3.5, 4, 4, 0]


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-30, 30)] * 3), gradient=st.tuples(*[st.floats(-3, 3)] * 3), level=st.floats(-50, 50)
)
def test_a_linear_field_is_reproduced_exactly_inside(angles, gradient, level):
    source = make_grid((12, 12, 12))
    k, j, i = np.meshgrid(*[np.arange(12)] * 3, indexing="ij")
    field = source.to_mm(np.stack([i, j, k], -1)) @ np.array(gradient) + level
    middle = source.to_mm((5.5, 5.5, 5.5))
    target = make_grid((3, 3, 3), spacing=(3.1, 3.3, 2.7), origin=middle - 3.0, angles=angles)
    out = resample(Volume(values=field, grid=source, unit=SUV), target)
    k, j, i = np.meshgrid(*[np.arange(3)] * 3, indexing="ij")
    expected = target.to_mm(np.stack([i, j, k], -1)) @ np.array(gradient) + level
    assert np.allclose(out.values, expected, atol=1e-6)


def test_ct_stays_int16_is_rounded_and_is_air_outside():
    volume = noise(make_grid(), dtype=np.int16, unit=HU)
    out = resample(volume, TARGETS["finer"])
    exact = resample(Volume(values=volume.values.astype(np.float64), grid=volume.grid, unit=HU), TARGETS["finer"])
    assert out.values.dtype == np.int16
    assert np.abs(out.values - exact.values).max() <= 0.5
    assert out.values[0, 0, 0] == -1024


def test_the_same_grid_gives_the_same_values_and_a_shift_by_whole_voxels_moves_them():
    volume = noise(make_grid())
    assert np.array_equal(resample(volume, volume.grid).values, volume.values)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.grid.to_mm((2, 1, 3))
    moved = resample(volume, Grid(shape=volume.shape, affine=affine))
    assert np.array_equal(moved.values[:-3, :-1, :-2], volume.values[3:, 1:, 2:])
    assert not moved.values[-3:].any()


def test_a_nan_does_not_spread_to_voxels_that_do_not_touch_it():
    grid = make_grid()
    values = np.ones(grid.shape, np.float32)
    values[2, 3, 4] = np.nan
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_mm((1, 0, 0))
    out = resample(Volume(values=values, grid=grid, unit=SUV), Grid(shape=grid.shape, affine=affine)).values
    assert np.isnan(out).sum() == 1
    assert np.isnan(out[2, 3, 3])


def test_a_fill_must_fit_the_data_and_be_said_where_none_is_obvious():
    with pytest.raises(InputError, match="fill"):
        resample(noise(make_grid(), dtype=np.int16, unit=HU), TARGETS["finer"], fill=float("nan"))
    with pytest.raises(InputError, match="fill"):
        resample(noise(make_grid(), unit="s"), TARGETS["finer"])
    assert np.isnan(resample(noise(make_grid(), unit="s"), TARGETS["finer"], fill=float("nan")).values[0, 0, 0])
    with pytest.raises(InputError, match="order"):
        resample(noise(make_grid()), TARGETS["finer"], order=3)


def test_volumes_of_different_frames_never_meet():
    other = make_grid(frame="1.2.3")
    with pytest.raises(InputError, match="Frame of Reference"):
        resample(noise(make_grid()), other)
    with pytest.raises(InputError, match="Frame of Reference"):
        resample_region(Region.from_mask("r", make_grid(), blob(make_grid())), other, NoticeLog())


def test_a_region_on_its_own_grid_is_unchanged_and_says_nothing():
    grid = make_grid()
    region = Region.from_mask("r", grid, blob(grid), source="f", label=4, tracking_uid="1.2", attributes={"a": 1})
    log = NoticeLog()
    out = resample_region(region, make_grid(frame=""), log)
    assert np.array_equal(out.mask(), region.mask())
    assert (out.source, out.label, out.tracking_uid, out.attributes) == ("f", 4, "1.2", {"a": 1})
    assert len(log) == 0


@settings(max_examples=20, deadline=None)
@given(shift=st.tuples(*[st.floats(-2, 2)] * 3), angles=st.tuples(*[st.floats(-40, 40)] * 3))
def test_a_large_region_keeps_its_volume_on_any_grid(shift, angles):
    fine = make_grid((40, 40, 40), spacing=(1.5, 1.5, 1.5))
    middle = fine.to_mm((19.5, 19.5, 19.5))
    region = Region.from_mask("ball", fine, blob(fine, radius_mm=25.0))
    coarse = make_grid((30, 30, 30), spacing=(4.1, 3.7, 3.1), angles=angles)
    affine = coarse.affine.copy()
    affine[:3, 3] += middle + shift - coarse.to_mm((14.5, 14.5, 14.5))
    log = NoticeLog()
    moved = resample_region(region, Grid(shape=coarse.shape, affine=affine), log)
    # About 1400 target voxels, 600 of them at the surface: sqrt(600) / 2 = 12 voxels or 0.9 % by chance; 5 % is safe.
    assert moved.volume_ml == pytest.approx(region.volume_ml, rel=0.05)
    assert np.abs(moved.centroid_mm() - middle).max() < 1.0
    assert [n.code for n in log] == ["REGION_RESAMPLED"]


def test_touching_regions_stay_disjoint_and_leave_no_voxel_out():
    fine = make_grid((12, 18, 22), spacing=(1.3, 1.1, 1.7))
    left = np.zeros(fine.shape, bool)
    left[:, :, :9] = True
    target = make_grid((6, 5, 6), spacing=(4.0, 3.0, 2.9), angles=(3, 5, 9))
    log = NoticeLog()
    a, b, both = (
        resample_region(Region.from_mask("r", fine, m), target, log).mask() for m in (left, ~left, np.ones_like(left))
    )
    assert not (a & b).any()
    assert np.array_equal(a | b, both)


def test_what_is_lost_or_cut_off_is_told():
    fine = make_grid((12, 18, 22), spacing=(1.0, 1.0, 1.0))
    speck = np.zeros(fine.shape, bool)
    speck[5, 5, 5] = True
    log = NoticeLog()
    assert resample_region(Region.from_mask("speck", fine, speck), make_grid((3, 3, 3)), log).voxels == 0
    half = make_grid((12, 18, 11), spacing=(1.0, 1.0, 1.0))
    out = resample_region(Region.from_mask("all", fine, np.ones(fine.shape)), half, log)
    assert out.voxels == 12 * 18 * 11
    assert [n.code for n in log] == ["REGION_LOST", "REGION_OUTSIDE_GRID"]
