"""Images on one grid: activity is kept, frames are respected, nothing is invented beyond an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.image_points import CONCENTRATION, ImagePoint, common_grid, on_one_grid, require_one_frame
from fusin.errors import NotComputable
from fusin.imaging.resample import resample
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog


def grid_of(shape, spacing, origin=(0.0, 0.0, 0.0), frame="1.2", axes=None):
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if axes is None else axes) @ np.diag(spacing)
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


def point(grid, values, *, where="image", time_h=1.0):
    volume = Volume(values=np.asarray(values, dtype=np.float32), grid=grid, unit=CONCENTRATION)
    return ImagePoint(volume=volume, time_h=time_h, u_relative=0.0, where=where, correction="")


def blob(grid, centre, sigma):
    index = np.indices(grid.shape)[::-1].reshape(3, -1).T
    distance = ((grid.to_mm(index) - centre) ** 2).sum(axis=1)
    return np.exp(-0.5 * distance / sigma**2).reshape(grid.shape)


def test_images_of_one_grid_stay_as_they_are():
    grid = grid_of((3, 4, 5), (4.0, 4.0, 4.0))
    points = [point(grid, np.ones(grid.shape)), point(grid, np.zeros(grid.shape))]
    log = NoticeLog()
    assert on_one_grid(points, log=log) == tuple(points)
    assert len(log) == 0


@settings(max_examples=30, deadline=None)
@given(st.floats(1.5, 9.0), st.floats(1.5, 9.0), st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_activity_is_kept_whatever_spacing_and_offset(sx, sz, dx, dz):
    """The sum of concentration times volume over a blob is the same before and after, to rounding."""
    target = grid_of((12, 12, 12), (6.0, 6.0, 6.0))
    low, reach = -12.0, 90.0
    source = grid_of(tuple(int(reach / s) + 2 for s in (sz, 5.0, sx)), (sx, 5.0, sz), (low + dx, low, low + dz))
    before = blob(source, (33.0, 33.0, 33.0), 6.0)
    moved = on_one_grid([point(source, before)], target, log=NoticeLog())[0].volume
    total = before.sum() * source.voxel_volume_ml
    assert moved.values.sum() * target.voxel_volume_ml == pytest.approx(total, rel=1e-3)


def test_a_target_with_all_of_the_source_in_it_keeps_its_activity_to_rounding():
    rng = np.random.default_rng(1)
    source = grid_of((10, 11, 12), (3.0, 2.5, 2.0))
    values = np.zeros(source.shape)
    values[3:7, 4:8, 4:9] = rng.random((4, 4, 5))
    target = grid_of((4, 5, 6), (5.5, 5.1, 4.3), (2.0, 2.0, 2.0))
    moved = on_one_grid([point(source, values)], target, log=NoticeLog())[0].volume
    assert moved.values.sum() * target.voxel_volume_ml == pytest.approx(values.sum() * source.voxel_volume_ml, rel=1e-6)


def test_equal_spacings_give_trilinear_interpolation():
    rng = np.random.default_rng(2)
    source = grid_of((8, 8, 8), (4.0, 4.0, 4.0))
    values = rng.random(source.shape).astype(np.float32)
    target = grid_of((6, 6, 6), (4.0, 4.0, 4.0), (3.0, 5.0, 4.4))
    moved = on_one_grid([point(source, values)], target, log=NoticeLog())[0].volume
    straight = resample(Volume(values=values, grid=source, unit="Bq/ml"), target).values
    np.testing.assert_allclose(moved.values, straight, atol=1e-6)


def test_axes_that_are_swapped_and_flipped_are_followed():
    rng = np.random.default_rng(3)
    source = grid_of((5, 6, 7), (4.0, 4.0, 4.0))
    values = rng.random(source.shape)
    axes = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    target = grid_of((7, 6, 5), (4.0, 4.0, 4.0), (0.0, 20.0, 0.0), axes=axes)
    moved = on_one_grid([point(source, values)], target, log=NoticeLog())[0].volume
    np.testing.assert_allclose(moved.values, values.transpose(2, 1, 0)[:, ::-1, :], atol=1e-6)


def test_a_turned_grid_keeps_an_even_image_and_the_activity_of_a_blob():
    source = grid_of((40, 40, 40), (3.0, 3.0, 3.0))
    angle = np.deg2rad(12.0)
    axes = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    target = grid_of((14, 14, 14), (5.0, 5.0, 5.0), (40.0, 25.0, 25.0), axes=axes)
    even = on_one_grid([point(source, np.full(source.shape, 2.5))], target, log=NoticeLog())[0].volume
    np.testing.assert_allclose(even.values, 2.5, rtol=1e-6)
    centre = target.to_mm((6.5, 6.5, 6.5))
    before = blob(source, centre, 7.0)
    moved = on_one_grid([point(source, before)], target, log=NoticeLog())[0].volume
    total = before.sum() * source.voxel_volume_ml
    assert moved.values.sum() * target.voxel_volume_ml == pytest.approx(total, rel=2e-3)


def test_the_common_grid_is_the_part_that_all_images_cover():
    first = grid_of((10, 10, 10), (4.0, 4.0, 4.0))
    second = grid_of((10, 10, 10), (4.0, 4.0, 4.0), (8.0, 0.0, -12.0))
    found = common_grid([point(first, np.zeros(first.shape)), point(second, np.zeros(second.shape))])
    assert found.shape == (7, 10, 8)
    assert found.affine[:3, 3].tolist() == [8.0, 0.0, 0.0]


def test_a_grid_beyond_an_image_is_refused_rather_than_filled_with_zero():
    small, large = grid_of((4, 4, 4), (4.0, 4.0, 4.0)), grid_of((9, 4, 4), (4.0, 4.0, 4.0))
    with pytest.raises(NotComputable, match="does not cover") as caught:
        on_one_grid([point(small, np.ones(small.shape))], large, log=NoticeLog())
    assert caught.value.code == "IMAGES_APART"
    far = grid_of((4, 4, 4), (4.0, 4.0, 4.0), (500.0, 0.0, 0.0))
    with pytest.raises(NotComputable, match="no voxel of a lies within b") as caught:
        on_one_grid(
            [point(small, np.ones(small.shape), where="a"), point(far, np.ones(far.shape), where="b")], log=NoticeLog()
        )
    assert caught.value.code == "IMAGES_APART"


def test_frames_that_differ_are_refused_by_name():
    a, b = grid_of((3, 3, 3), (4.0,) * 3, frame="1.2"), grid_of((3, 3, 3), (4.0,) * 3, frame="1.3")
    points = [point(a, np.ones(a.shape), where="SPECT 4 h"), point(b, np.ones(b.shape), where="SPECT 24 h")]
    with pytest.raises(NotComputable, match=r"SPECT 4 h and SPECT 24 h .* \(1\.2 and 1\.3\)") as caught:
        on_one_grid(points, log=NoticeLog())
    assert caught.value.code == "FRAMES_DIFFER"
    unknown = grid_of((3, 3, 3), (4.0,) * 3, frame="")
    assert require_one_frame([points[0], point(unknown, np.ones(unknown.shape))]) is None
