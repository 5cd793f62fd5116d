"""The projections put things where they are, whatever the volume's orientation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region, Volume
from fusin.report.mip import project_region, rotating_mip, trace

SPOT = (31.0, -18.0, 42.0)


def grid_of(shape: tuple[int, int, int], axes: NDArray[np.float64], spacing: tuple[float, float, float]) -> Grid:
    """Grid centred on the origin; the columns of ``axes`` are the directions of column, row and slice."""
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return Grid(shape=shape, affine=affine)


def distance_from(grid: Grid, point: tuple[float, ...]) -> NDArray[np.float64]:
    """Distance of each voxel centre from a point in millimetres."""
    k, j, i = np.indices(grid.shape)
    out: NDArray[np.float64] = np.linalg.norm(grid.to_mm(np.stack([i, j, k], axis=-1)) - np.array(point), axis=-1)
    return out


def spot_volume(grid: Grid, point: tuple[float, ...] = SPOT, width: float = 7.0) -> Volume:
    """A smooth hot spot in a lukewarm body."""
    body = 0.8 * (distance_from(grid, (0, 0, 0)) < 90)
    values = body + 9.0 * np.exp(-((distance_from(grid, point) / width) ** 2))
    return Volume(values=values.astype(np.float32), grid=grid, unit="g/ml{SUVbw}")


AXIAL = np.eye(3)
CORONAL = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
SAGITTAL = np.array([[0, 0, -1.0], [1.0, 0, 0], [0, -1.0, 0]])
TILT = np.radians(14.0)
OBLIQUE = np.array([[1, 0, 0], [0, np.cos(TILT), -np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]])


def hottest(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """(x, y) of the middle of the brightest pixels."""
    rows, columns = np.nonzero(picture >= 0.97 * picture.max())
    return float(columns.mean()), float(rows.mean())


@pytest.mark.parametrize("axes", [AXIAL, CORONAL, SAGITTAL, OBLIQUE], ids=["axial", "coronal", "sagittal", "oblique"])
def test_a_hot_spot_is_where_its_coordinates_say_in_every_frame(axes: NDArray[np.float64]) -> None:
    """One formula for the position must hold for frames, outlines and labels, or numbers sit on the wrong lesion."""
    mip = rotating_mip(spot_volume(grid_of((52, 48, 50), axes, (4.0, 4.4, 4.2))), window=(0, 10), angles=12)
    for number in range(mip.angles):
        assert hottest(mip.frame(number)) == pytest.approx(mip.position(SPOT, number), abs=0.9)


def test_head_is_up_and_the_patients_left_is_on_the_right_of_the_frontal_view() -> None:
    mip = rotating_mip(spot_volume(grid_of((52, 48, 50), AXIAL, (4.0, 4.0, 4.0)), (40.0, 0.0, 60.0)), angles=8)
    x, y = hottest(mip.frame(0))
    assert x > (mip.width - 1) / 2 + 5
    assert y < (mip.height - 1) / 2 - 5


def test_posterior_is_on_the_right_when_seen_from_the_patients_left() -> None:
    mip = rotating_mip(spot_volume(grid_of((52, 48, 50), AXIAL, (4.0, 4.0, 4.0)), (0.0, 40.0, 0.0)), angles=8)
    assert hottest(mip.frame(mip.quarter))[0] > (mip.width - 1) / 2 + 5


def test_the_view_from_behind_is_the_mirror_of_the_view_from_the_front() -> None:
    mip = rotating_mip(spot_volume(grid_of((40, 40, 40), AXIAL, (5.0, 5.0, 5.0))), angles=12)
    assert np.array_equal(mip.frame(8), mip.frame(2)[:, ::-1])
    assert np.array_equal(mip.frame(14), mip.frame(2))


def test_frontal_frame_equals_the_maximum_along_rows() -> None:
    """On an isotropic axial grid the coronal MIP is `numpy.max`; the frame may lie half a pixel off the voxels.

    Linear interpolation errs by at most h^2/8 of the second derivative, here 16/8 * 2 * 9/25^2 = 0.058, in each of
    three interpolations; half a display level adds 0.02.
    """
    grid = grid_of((50, 50, 50), AXIAL, (4.0, 4.0, 4.0))
    values = 9.0 * np.exp(-((distance_from(grid, SPOT) / 25.0) ** 2))
    volume = Volume(values=values.astype(np.float32), grid=grid, unit="g/ml{SUVbw}")
    mip = rotating_mip(volume, window=(0, 10), angles=4)
    expected = volume.values.max(axis=1)[::-1]
    first = (-mip.axis_mm[0] + volume.affine[0, 3]) / mip.spacing_mm + (mip.width - 1) / 2
    seen = mip.frame(0) / 25.5
    shifted = np.array([np.interp(first + np.arange(50), np.arange(mip.width), row) for row in seen])
    assert np.abs(shifted - expected)[:, 8:42].max() < 0.2
    assert np.abs(shifted - expected)[:, 8:42].mean() < 0.03


def test_a_frame_at_forty_degrees_agrees_with_scipys_rotation() -> None:
    """`scipy.ndimage.rotate` is an independent linear interpolation of the same turn."""
    from scipy.ndimage import rotate

    volume = spot_volume(grid_of((40, 61, 61), AXIAL, (4.0, 4.0, 4.0)), (36.0, -24.0, 20.0), width=14.0)
    mip = rotating_mip(volume, window=(0, 10), angles=36)
    expected = rotate(volume.values, 40.0, axes=(2, 1), reshape=False, order=1).max(axis=1)[::-1] / 10 * 255
    shift = -np.array(mip.axis_mm) / mip.spacing_mm
    u = shift[0] * np.cos(np.radians(40)) + shift[1] * np.sin(np.radians(40))
    columns = np.arange(61) - 30 + u + (mip.width - 1) / 2
    seen = np.array([np.interp(columns, np.arange(mip.width), row) for row in mip.frame(4).astype(float)])
    inner = slice(12, 49)
    assert np.abs(seen - expected)[:, inner].mean() < 1.5
    assert seen[:, inner].max() == pytest.approx(expected[:, inner].max(), rel=0.03)


@settings(max_examples=8, deadline=None)
@given(factor=st.floats(0.05, 40.0))
def test_scaling_values_and_window_together_changes_nothing(factor: float) -> None:
    grid = grid_of((20, 22, 24), AXIAL, (8.0, 8.0, 8.0))
    volume = spot_volume(grid, width=15)
    scaled = Volume(values=(volume.values * factor).astype(np.float32), grid=grid, unit=volume.unit)
    one = rotating_mip(volume, window=(0, 10), angles=4).half.astype(int)
    other = rotating_mip(scaled, window=(0, 10 * factor), angles=4).half.astype(int)
    assert np.abs(one - other).max() <= 1


@settings(max_examples=8, deadline=None)
@given(order=st.permutations([0, 1, 2]), flips=st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_storage_order_does_not_change_the_picture(order: list[int], flips: tuple[bool, bool, bool]) -> None:
    """The same patient stored with other axes or reversed slices must look the same."""
    grid = grid_of((24, 22, 26), AXIAL, (7.0, 7.0, 7.0))
    volume = spot_volume(grid, width=15)
    affine = grid.affine.copy()
    values = volume.values
    for axis, flip in enumerate(flips):
        if flip:
            column = 2 - axis
            affine[:3, 3] += affine[:3, column] * (values.shape[axis] - 1)
            affine[:3, column] *= -1
            values = np.flip(values, axis)
    affine[:3, :3] = affine[:3, [2 - order[2 - c] for c in range(3)]]
    values = np.ascontiguousarray(values.transpose(order))
    other = Volume(values=values, grid=Grid(shape=values.shape, affine=affine), unit=volume.unit)
    one, two = (rotating_mip(v, angles=4, pixel_mm=7.0) for v in (volume, other))
    assert one.half.shape == two.half.shape
    assert np.abs(one.half.astype(int) - two.half.astype(int)).max() <= 2


@pytest.mark.parametrize("radius", [8.0, 20.0, 45.0])
def test_the_shadow_of_a_sphere_is_a_disc_of_its_radius_at_every_angle(radius: float) -> None:
    grid = grid_of((60, 56, 56), AXIAL, (4.0, 4.0, 4.0))
    region = Region.from_mask("ball", grid, distance_from(grid, SPOT) <= radius)
    mip = rotating_mip(spot_volume(grid), angles=16, regions=[region])
    frames = project_region(region, mip)
    assert len(frames) == 8
    equivalent = (3 * region.voxels * 64.0 / (4 * math.pi)) ** (1 / 3)
    for number, outlines in enumerate(frames):
        (outline,) = outlines
        x, y = outline[:-1].T
        area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) * mip.spacing_mm**2
        assert math.sqrt(area / math.pi) == pytest.approx(equivalent, abs=1.9)
        middle = (outline.max(axis=0) + outline.min(axis=0)) / 2
        assert tuple(middle) == pytest.approx(mip.position(tuple(region.centroid_mm()), number), abs=0.8)


def test_single_voxel_lesions_keep_an_outline_in_every_frame() -> None:
    grid = grid_of((30, 30, 30), AXIAL, (4.0, 4.0, 5.0))
    mask = np.zeros(grid.shape, bool)
    mask[14, 20, 9] = True
    region = Region.from_mask("one", grid, mask)
    frames = project_region(region, rotating_mip(spot_volume(grid), angles=36))
    assert [len(outlines) for outlines in frames] == [1] * 18


def test_an_empty_region_has_no_outline() -> None:
    grid = grid_of((20, 20, 20), AXIAL, (8.0, 8.0, 8.0))
    region = Region.from_mask("none", grid, np.zeros(grid.shape, bool))
    mip = rotating_mip(spot_volume(grid), angles=4)
    assert project_region(region, mip) == [(), ()]
    assert project_region(region, mip, [0]) == [()]


def test_a_cold_volume_gives_blank_frames_and_keeps_the_field_of_view() -> None:
    grid = grid_of((10, 20, 20), AXIAL, (8.0, 8.0, 8.0))
    mip = rotating_mip(Volume(values=np.zeros(grid.shape, np.float32), grid=grid, unit="g/ml{SUVbw}"), angles=4)
    assert not mip.half.any()
    assert mip.width * mip.spacing_mm >= 19 * 8.0


def test_missing_voxels_are_shown_as_nothing_and_not_as_hot() -> None:
    grid = grid_of((20, 20, 20), AXIAL, (8.0, 8.0, 8.0))
    values = spot_volume(grid, (0, 0, 0), 15.0).values.copy()
    values[:3] = np.nan
    mip = rotating_mip(Volume(values=values, grid=grid, unit="g/ml{SUVbw}"), angles=4)
    assert mip.half[:, -2:].max() == 0
    assert mip.half.max() > 200


def test_a_cold_lesion_at_the_edge_still_lies_inside_the_frame() -> None:
    grid = grid_of((30, 60, 60), AXIAL, (5.0, 5.0, 5.0))
    mask = np.zeros(grid.shape, bool)
    mask[10:13, 50:53, 52:55] = True
    region = Region.from_mask("far", grid, mask)
    mip = rotating_mip(spot_volume(grid, (0, 0, 0)), angles=8, regions=[region])
    for outlines in project_region(region, mip):
        assert outlines[0][:, 0].min() >= 0
        assert outlines[0][:, 0].max() <= mip.width - 1


@pytest.mark.parametrize(("name", "value"), [("angles", 30), ("angles", 0), ("window", (5.0, 5.0)), ("window", (8, 2))])
def test_impossible_arguments_are_refused_with_the_value(name: str, value: object) -> None:
    volume = spot_volume(grid_of((8, 8, 8), AXIAL, (8.0, 8.0, 8.0)))
    with pytest.raises(InputError) as caught:
        rotating_mip(volume, **{name: value})  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.found) == (name, value)


def test_outlines_close_at_the_edge_of_the_picture() -> None:
    picture = np.zeros((6, 6), np.uint8)
    picture[:3, :3] = 255
    (outline,) = trace(picture)
    assert outline[0] == pytest.approx(outline[-1])
    assert outline.min() == pytest.approx(-0.5)


def test_a_whole_body_turn_of_36_angles_is_half_of_mirrored_ones() -> None:
    grid = grid_of((400, 200, 200), AXIAL, (4.07, 4.07, 2.5))
    z, y, x = np.ogrid[:400, :200, :200]
    values = 1.2 * ((((x - 100) / 52) ** 2 + ((y - 100) / 33) ** 2 < 1) & (z >= 0)).astype(np.float32)
    volume = Volume(values=values, grid=grid, unit="g/ml{SUVbw}")
    mip = rotating_mip(volume)
    assert mip.half.shape[0] == 18
