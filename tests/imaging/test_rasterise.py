"""Contours to voxels: analytic shapes, the border rule, slabs on other grids, and what is refused."""

import numpy as np
import pytest
from geometry_builders import make_grid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.imaging.rasterise import Contour, plane_spacing_of, rasterise
from fusin.imaging.volume import Grid
from fusin.provenance import NoticeLog

UNIT = Grid(shape=(1, 12, 12), affine=np.eye(4))


def flat(points, z=0.0, kind="CLOSED_PLANAR"):
    xy = np.asarray(points, float)
    return Contour(points_mm=np.column_stack([xy, np.full(len(xy), z)]), kind=kind)


def rectangle(x0, y0, x1, y1, z=0.0):
    return flat([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z)


def fill(contours, grid=UNIT, log=None, **more):
    return rasterise("r", contours, grid, log=NoticeLog() if log is None else log, **more)


def ball_contours(radius, spacing, *, centre=(0.0, 0.0, 0.0), turn=None, corners=256):
    """Circles of a ball on planes ``spacing`` apart, turned about the centre."""
    turn = np.eye(3) if turn is None else turn
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    out = []
    for w in np.arange(-np.floor(radius / spacing), np.floor(radius / spacing) + 1) * spacing:
        r = np.sqrt(radius**2 - w**2)
        if r > 0:
            ring = np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(corners, w)])
            out.append(Contour(points_mm=ring @ turn.T + np.asarray(centre)))
    return out


def test_a_border_through_voxel_centres_owns_the_upper_left_ones_only():
    region = fill([rectangle(2, 3, 5, 7)])
    expected = np.zeros((12, 12), bool)
    expected[3:7, 2:5] = True
    assert np.array_equal(region.mask()[0], expected)


def test_neighbours_that_share_a_border_share_no_voxel_and_leave_none_out():
    parts = [
        flat([(1, 1), (6, 1), (4, 5), (1, 5)]), flat([(6, 1), (10, 1), (10, 5), (4, 5)]),
        flat([(1, 5), (4, 5), (7, 10), (1, 10)]), flat([(4, 5), (10, 5), (10, 10), (7, 10)]),
    ]  # fmt: skip
    masks = [fill([p]).mask().astype(int) for p in parts]
    assert np.array_equal(sum(masks), fill([rectangle(1, 1, 10, 10)]).mask().astype(int))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 44), st.integers(0, 44)), min_size=3, max_size=12), st.integers(0, 11))
def test_direction_and_first_point_do_not_matter(points, turn):
    corners = np.array(points) / 4.0  # quarters put many vertices and edges exactly on voxel centres
    a = fill([flat(corners)]).mask()
    assert np.array_equal(a, fill([flat(corners[::-1])]).mask())
    assert np.array_equal(a, fill([flat(np.roll(corners, turn % len(corners), axis=0))]).mask())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_generic_polygons_agree_with_another_point_in_polygon_test(seed):
    path = pytest.importorskip("matplotlib.path")
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.random(rng.integers(3, 15))) * 2 * np.pi
    radius = 1 + 5 * rng.random(angle.size)
    corners = np.column_stack([5.5 + radius * np.cos(angle), 5.5 + radius * np.sin(angle)])
    j, i = np.mgrid[:12, :12]
    inside = path.Path(corners).contains_points(np.column_stack([i.ravel(), j.ravel()])).reshape(12, 12)
    assert np.array_equal(fill([flat(corners)]).mask()[0], inside)


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_an_inner_contour_and_a_keyhole_are_the_same_hole(kind):
    both = [rectangle(0.5, 0.5, 9.5, 9.5), rectangle(3.5, 3.5, 6.5, 6.5)]
    nested = fill([Contour(points_mm=c.points_mm, kind=kind) for c in both])
    keyhole = fill([flat([
        (0.5, 0.5), (9.5, 0.5), (9.5, 9.5), (0.5, 9.5), (0.5, 5.0), (3.5, 5.0), (3.5, 6.5), (6.5, 6.5), (6.5, 3.5),
        (3.5, 3.5), (3.5, 5.0), (0.5, 5.0),
    ])])  # fmt: skip
    assert nested.voxels == 81 - 9
    assert np.array_equal(nested.mask(), keyhole.mask())


def test_an_island_in_a_hole_is_filled_again():
    nest = [rectangle(0.5, 0.5, 10.5, 10.5), rectangle(2.5, 2.5, 8.5, 8.5), rectangle(4.5, 4.5, 6.5, 6.5)]
    assert fill(nest).voxels == 100 - 36 + 4


@pytest.mark.parametrize("radius", [8.0, 15.0, 30.0])
@pytest.mark.parametrize("angles", [(0, 0, 0), (13, -29, 41)])
def test_a_ball_has_its_volume_within_the_discretisation_error(radius, angles):
    # Stack of discs by the midpoint rule plus a lattice count; both errors shrink with the number of surface voxels.
    turn = rotation(angles)
    centre = np.array([1.3, -2.1, 0.7])
    grid = make_grid((80, 80, 80), spacing=(1.0, 1.0, 1.0), origin=centre - 40.0)
    region = fill(ball_contours(radius, 1.0, centre=centre, turn=turn), grid)
    exact_ml = 4.0 / 3.0 * np.pi * radius**3 / 1000.0
    assert region.volume_ml == pytest.approx(exact_ml, rel=0.9 / radius**1.5 + 0.002)
    assert np.abs(region.centroid_mm() - centre).max() < 0.15


@pytest.mark.parametrize("slice_mm", [1.0, 2.0, 3.27, 4.0, 5.0])
def test_contours_of_a_fine_ct_keep_their_volume_on_a_pet_grid(slice_mm):
    grid = make_grid((40, 40, 40), spacing=(4.07, 4.07, 3.0), origin=(-79, -81, -61))
    region = fill(ball_contours(30.0, slice_mm), grid)
    assert region.volume_ml == pytest.approx(4 / 3 * np.pi * 27, rel=0.02)


def test_contours_of_thick_slices_fill_the_slices_between_them():
    log = NoticeLog()
    grid = make_grid((41, 70, 70), spacing=(1.0, 1.0, 1.0), origin=(-35, -35, -20))
    cylinder = [rectangle(-10, -10, 10, 10, z) for z in (-10.0, -5.0, 0.0, 5.0, 10.0)]
    region = fill(cylinder, grid, log)
    assert region.volume_ml == pytest.approx(20 * 20 * 25 / 1000)
    assert [n.code for n in log] == ["CONTOUR_SPARSE"]


def test_a_gap_between_two_parts_is_not_filled():
    log = NoticeLog()
    grid = make_grid((41, 40, 40), spacing=(1.0, 1.0, 1.0), origin=(-20, -20, -20))
    parts = [rectangle(-5, -5, 5, 5, z) for z in (-10.0, -9.0, -8.0, 3.0, 4.0)]
    region = fill(parts, grid, log)
    assert region.voxels == 5 * 100
    assert [n.code for n in log] == ["CONTOUR_GAP"]


def test_one_lonely_contour_stands_for_one_slice():
    grid = make_grid((9, 40, 40), spacing=(1.0, 1.0, 2.5), origin=(-20, -20, -10))
    assert fill([rectangle(-5, -5, 5, 5, 0.3)], grid).voxels == 100
    two = [rectangle(-5, -5, 5, 5, -10.0), rectangle(-5, -5, 5, 5, 10.0)]
    assert fill(two, grid).voxels == 200


def test_planes_off_the_slices_by_less_than_half_belong_to_one_slice_each():
    grid = make_grid((9, 40, 40), spacing=(1.0, 1.0, 3.0), origin=(-20, -20, -12))
    for shift in (-1.4, -0.02, 0.0, 0.02, 1.4):
        region = fill([rectangle(-5, -5, 5, 5, z + shift) for z in (-3.0, 0.0, 3.0)], grid)
        assert region.voxels == 300
        assert region.start[0] == 3


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3))
def test_turning_contours_and_grid_together_changes_nothing(angles):
    turn = rotation(angles)
    contours = ball_contours(9.3, 2.0, centre=(0.3, 0.2, 0.1))
    grid = make_grid((12, 14, 14), spacing=(1.9, 1.7, 2.0), origin=(-12.1, -11.3, -11.0))
    affine = grid.affine.copy()
    affine[:3] = turn @ affine[:3]
    turned = [Contour(points_mm=c.points_mm @ turn.T) for c in contours]
    a, b = fill(contours, grid), fill(turned, Grid(shape=grid.shape, affine=affine))
    assert a.voxels > 200
    assert np.array_equal(a.mask(), b.mask())


def test_sagittal_contours_on_an_axial_grid_keep_their_volume():
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    grid = make_grid((30, 30, 30), spacing=(2.0, 2.2, 3.0), origin=(-29, -31, -44))
    region = fill(ball_contours(20.0, 3.0, turn=turn), grid)
    assert region.volume_ml == pytest.approx(4 / 3 * np.pi * 8, rel=0.02)


def test_a_sheared_stack_keeps_a_box_upright():
    affine = np.array([[1.0, 0, 0.4, -10], [0, 1, 0, -10], [0, 0, 1, 0], [0, 0, 0, 1]])
    grid = Grid(shape=(8, 20, 28), affine=affine)
    region = fill([rectangle(-3.1, -3.1, 3.1, 3.1, z) for z in (0.0, 4.0)], grid)
    x = grid.to_mm(region.indices()[:, ::-1])[:, 0]
    assert region.start[0] == 0
    assert region.crop.shape[0] == 6
    assert np.abs(x).max() <= 3.1
    assert region.voxels == pytest.approx(6.2 * 7 * 6, rel=0.1)  # seven rows of centres lie within 6.2 mm


def test_points_open_lines_and_short_contours_are_skipped_with_a_notice():
    log = NoticeLog()
    contours = [
        flat([(1, 1)], kind="POINT"), flat([(1, 1), (5, 5), (1, 5)], kind="OPEN_PLANAR"), flat([(1, 1), (4, 4)]),
        rectangle(1.5, 1.5, 4.5, 4.5),
    ]  # fmt: skip
    assert fill(contours, log=log).voxels == 9
    assert [n.code for n in log] == ["CONTOUR_SKIPPED", "CONTOUR_SKIPPED", "CONTOUR_TOO_SHORT"]
    assert fill(contours[:3], log=log).voxels == 0
    assert log.notices[-1].code == "REGION_EMPTY"


def test_a_contour_stored_twice_does_not_erase_itself():
    log = NoticeLog()
    assert fill([rectangle(1.5, 1.5, 4.5, 4.5)] * 2, log=log).voxels == 9
    assert [n.code for n in log] == ["CONTOUR_DUPLICATE"]


def test_what_lies_outside_the_image_is_told():
    log = NoticeLog()
    assert fill([rectangle(6.5, 6.5, 30, 30)], log=log).voxels == 25
    assert [n.code for n in log] == ["REGION_OUTSIDE_GRID"]


def test_twisted_crossing_or_endless_contours_are_refused():
    bent = Contour(points_mm=np.array([[0.0, 0, 0], [9, 0, 4], [9, 9, 0], [0, 9, 4]]))
    with pytest.raises(InputError, match="off one common orientation"):
        fill([bent])
    upright = Contour(points_mm=np.array([[0.0, 0, 0], [9, 0, 0], [9, 0, 9], [0, 0, 9]]))
    with pytest.raises(InputError, match="off one common orientation"):
        fill([upright, rectangle(0, 0, 9, 9)])
    with pytest.raises(InputError, match="voxels away"):
        fill([rectangle(0, 0, 90_000, 9)])
    with pytest.raises(InputError, match="not finite"):
        fill([flat([(0, 0), (1, np.nan), (2, 2)])])


def test_plane_spacing_ignores_gaps_and_strays():
    planes = [rectangle(0, 0, 5, 5, z) for z in (0.0, 3.0, 6.0, 6.8, 9.0, 40.0, 43.0, 46.0)]
    assert plane_spacing_of(planes) == pytest.approx(2.2)
    assert plane_spacing_of([planes[i] for i in (0, 1, 2, 4, 5, 6, 7)]) == pytest.approx(3.0)
    assert plane_spacing_of(planes[:1]) is None
    assert plane_spacing_of([]) is None
