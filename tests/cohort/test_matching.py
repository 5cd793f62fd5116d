"""Lesion matching across two scans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.matching import LesionPlace, match_lesions, place_of
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog


def grid(spacing: float = 4.0, n: int = 30, frame: str = "1.2.3", origin: float = 0.0) -> Grid:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape=(n, n, n), affine=affine, frame_of_reference_uid=frame)


def ball(name: str, centre: tuple[float, float, float], radius: float, on: Grid) -> LesionPlace:
    index = np.indices(on.shape).reshape(3, -1).T
    inside = np.linalg.norm(on.to_mm(index[:, ::-1]) - np.array(centre), axis=1) <= radius
    return place_of(Region.from_mask(name, on, inside.reshape(on.shape)))


def point(name: str, *xyz: float) -> LesionPlace:
    return LesionPlace(name=name, centroid_mm=(xyz[0], xyz[1], xyz[2]))


def pairs(matching) -> set[tuple[str, str]]:
    return {(m.first, m.second) for m in matching.pairs}


def rotation(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    a = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    matrix[:3, 3] = shift
    return matrix


def test_a_lesion_matches_itself_completely():
    a = ball("a", (40, 40, 40), 12, grid())
    (row,) = match_lesions([a], [a], NoticeLog()).rows
    assert (row.dice, row.iou, row.distance_mm) == (1.0, 1.0, 0.0)


def test_overlap_of_shifted_balls_is_that_of_the_formula():
    # Two balls of radius r at distance d share pi (4r + d)(2r - d)^2 / 12.
    fine = grid(1.0, 60)
    one, two = ball("a", (30, 30, 25), 12, fine), ball("b", (30, 30, 35), 12, fine)
    shared = np.pi * (4 * 12 + 10) * (24 - 10) ** 2 / 12
    (row,) = match_lesions([one], [two], NoticeLog()).rows
    assert row.dice == pytest.approx(shared / (4 / 3 * np.pi * 12**3), abs=0.01)
    assert row.iou == pytest.approx(row.dice / (2 - row.dice), rel=1e-12)


def test_grids_of_different_spacing_agree_about_the_overlap():
    one, two = ball("a", (50, 50, 50), 14, grid(2.0, 50)), ball("b", (50, 50, 50), 14, grid(4.0, 25))
    forth = match_lesions([one], [two], NoticeLog()).rows[0]
    back = match_lesions([two], [one], NoticeLog()).rows[0]
    assert forth.dice == pytest.approx(back.dice, abs=1e-12)
    # A voxel surface lies a quarter of the spacing off on average: 1 - (4/4) * 3 / (2 * 14) = 0.89.
    assert forth.dice == pytest.approx(0.89, abs=0.02)


def test_a_rotated_scan_is_brought_back_by_its_alignment():
    move = rotation(20, (10, -5, 3))
    inverse = np.linalg.inv(move)
    centre = np.array([60.0, 60.0, 60.0, 1.0])
    there = tuple((inverse @ centre)[:3])
    one = ball("a", (60, 60, 60), 12, grid(2.0, 60))
    two = ball("b", there, 12, grid(2.0, 80, frame="9.9", origin=-40.0))
    (row,) = match_lesions([one], [two], NoticeLog(), alignment=move).rows
    assert row.distance_mm < 0.5
    # Two surfaces of 2 mm voxels, each half a millimetre off on average: 1 - sqrt(2) * 0.5 * 3 / (2 * 12) = 0.91.
    assert row.dice == pytest.approx(0.91, abs=0.02)


def test_different_frames_need_an_alignment():
    one, two = ball("a", (40, 40, 40), 9, grid()), ball("b", (40, 40, 40), 9, grid(frame="9.9"))
    with pytest.raises(MissingValue):
        match_lesions([one], [two], NoticeLog())
    assert len(match_lesions([one], [two], NoticeLog(), alignment=np.eye(4)).pairs) == 1


@pytest.mark.parametrize(
    "alignment", [np.diag([2.0, 1, 1, 1]), np.diag([-1.0, 1, 1, 1]), np.eye(3), np.full((4, 4), np.nan)]
)
def test_a_transform_that_is_not_rigid_is_refused(alignment):
    with pytest.raises(InvalidValue):
        match_lesions([point("a", 0, 0, 0)], [], NoticeLog(), alignment=alignment)


def test_unmatched_lesions_are_kept():
    found = match_lesions(
        [point("a", 0, 0, 0), point("b", 100, 0, 0)], [point("c", 3, 0, 0), point("d", 0, 200, 0)], NoticeLog()
    )
    assert [(r.first, r.second) for r in found.rows] == [("a", "c"), ("b", None), (None, "d")]
    assert len(found.to_table()) == 3


def test_the_assignment_is_one_to_one_and_best_over_all():
    # Greedy nearest pairs would take (a, c) at 1 mm and leave b and d 14 mm apart unmatched at better total.
    first = [point("a", 0, 0, 0), point("b", -6, 0, 0)]
    second = [point("c", -1, 0, 0), point("d", 7, 0, 0)]
    assert pairs(match_lesions(first, second, NoticeLog())) == {("a", "d"), ("b", "c")}


def test_a_close_rival_asks_for_review():
    log = NoticeLog()
    found = match_lesions([point("a", 0, 0, 0)], [point("b", 3, 0, 0), point("c", -3.5, 0, 0)], log)
    assert found.rows[0].review
    assert [n.code for n in log] == ["MATCH_NEEDS_REVIEW"]


def test_a_split_lesion_names_the_one_that_it_overlaps():
    on = grid(2.0, 60)
    whole, part, rest = ball("w", (60, 60, 60), 16, on), ball("p", (60, 60, 54), 10, on), ball("r", (60, 60, 73), 4, on)
    found = match_lesions([whole], [part, rest], NoticeLog())
    assert pairs(found) == {("w", "p")}
    assert "overlaps w" in found.rows[1].review


def test_no_lesions_on_either_side_is_no_error():
    assert match_lesions([], [], NoticeLog()).rows == ()
    assert match_lesions([point("a", 0, 0, 0)], [], NoticeLog()).rows[0].second is None


def test_one_name_twice_and_bad_limits_are_refused():
    with pytest.raises(InputError):
        match_lesions([point("a", 0, 0, 0), point("a", 1, 0, 0)], [], NoticeLog())
    with pytest.raises(InvalidValue):
        match_lesions([], [], NoticeLog(), max_distance_mm=0)
    with pytest.raises(InputError):
        place_of(Region.from_mask("empty", grid(), np.zeros(grid().shape)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-80, 80)] * 3), min_size=1, max_size=7, unique=True), st.randoms())
def test_names_and_order_do_not_change_who_matches_whom(places, random):
    first = [point(f"a{i}", *p) for i, p in enumerate(places)]
    second = [point(f"b{i}", p[0] + 1.0, p[1], p[2]) for i, p in enumerate(places)]
    mixed = list(second)
    random.shuffle(mixed)
    total = sum(m.score for m in match_lesions(first, second, NoticeLog()).pairs)
    again = match_lesions(first, mixed, NoticeLog())
    assert sum(m.score for m in again.pairs) == pytest.approx(total)
    assert len({m.first for m in again.pairs}) == len({m.second for m in again.pairs}) == len(again.pairs)
