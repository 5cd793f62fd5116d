"""Analytic phantoms and their line integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.imaging.volume import Grid
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.solids import Solid, box, cylinder, ellipsoid, sphere


def one(solid, activity=1.0, mu=0.1):
    return Phantom(name="one", parts=(Part(name="solid", solid=solid, activity_bq_ml=activity, mu_per_cm=mu),))


def grid_of(shape, pitch):
    affine = np.diag([pitch, pitch, pitch, 1.0])
    affine[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * pitch
    return Grid(shape=shape, affine=affine)


def many_lines(count, seed=0, radius=200.0):
    rng = np.random.default_rng(seed)
    ends = rng.normal(size=(2, count, 3))
    return radius * ends / np.linalg.norm(ends, axis=-1, keepdims=True)


def test_chords_of_a_sphere_have_the_length_of_geometry():
    starts, ends = many_lines(5000)
    length, optical = one(sphere((0, 0, 0), 100.0)).line_integrals(starts, ends)
    d = (ends - starts) / np.linalg.norm(ends - starts, axis=1, keepdims=True)
    nearest = np.linalg.norm(np.cross(starts, d), axis=1)
    expected = 2 * np.sqrt(np.maximum(50.0**2 - nearest**2, 0))
    # Squares, because a chord near the rim is the root of a difference.
    assert length**2 == pytest.approx(expected**2, abs=1e-8)
    assert optical == pytest.approx(length * 0.01, rel=1e-12)
    assert (expected > 0).mean() > 0.05


def test_the_axes_of_each_solid_have_their_lengths():
    for solid in (ellipsoid, cylinder, box):
        phantom = one(solid((10.0, -20.0, 5.0), (30.0, 20.0, 40.0)))
        for axis, half in enumerate((30.0, 20.0, 40.0)):
            start, end = np.array([10.0, -20.0, 5.0]), np.array([10.0, -20.0, 5.0])
            start[axis] -= 300
            end[axis] += 300
            assert phantom.line_integrals(start, end)[0] == pytest.approx(2 * half, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.sampled_from([ellipsoid, cylinder, box]))
def test_turning_a_solid_and_the_line_together_changes_nothing(turn, make):
    rng = np.random.default_rng(5)
    start, end = rng.uniform(-60, 60, (2, 3))
    x, y, z = np.deg2rad(turn)
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    m = about_z @ about_y @ about_x
    still = one(make((0, 0, 0), (50.0, 30.0, 20.0))).line_integrals(start, end)[0]
    turned = one(make((0, 0, 0), (50.0, 30.0, 20.0), turn_deg=turn)).line_integrals(m @ start, m @ end)[0]
    assert turned == pytest.approx(still, abs=1e-7)


@pytest.mark.parametrize(
    ("solid", "volume"),
    [
        (sphere((3, 4, 5), 37.0), math.pi / 6 * 3.7**3),
        (ellipsoid((0, 0, 0), (30, 20, 10), turn_deg=(20, 30, 40)), 4 / 3 * math.pi * 6),
        (cylinder((0, 0, 0), (40, 30, 25)), math.pi * 12 * 5),
        (box((0, 0, 0), (20, 30, 10), turn_deg=(0, 0, 45)), 48.0),
        (sphere((0, 0, 0), 100.0, keep=(0, -1, 0, 0)), math.pi / 12 * 1000),
    ],
)
def test_lines_through_a_solid_add_up_to_its_volume(solid, volume):
    assert one(solid).volume_ml("solid", pitch_mm=0.2) == pytest.approx(volume, rel=1e-3)
    if solid.keep is None:
        assert solid.whole_volume_ml == pytest.approx(volume, rel=1e-12)


def bowl():
    return Phantom(
        name="bowl",
        parts=(
            Part(name="water", solid=cylinder((0, 0, 0), (80, 80, 60)), activity_bq_ml=1.0, mu_per_cm=0.1),
            Part(name="hot", solid=sphere((20, 10, 0), 40.0), activity_bq_ml=8.0, mu_per_cm=0.1),
            Part(name="air", solid=sphere((-30, 0, 0), 30.0), activity_bq_ml=0.0, mu_per_cm=0.0),
        ),
    )


def test_a_later_part_takes_the_place_of_an_earlier_one():
    activity, optical = bowl().line_integrals([-200.0, 0, 0], [200.0, 0, 0])
    hot = 2 * math.sqrt(20**2 - 10**2)
    assert activity == pytest.approx((160 - hot - 30) * 1.0 + hot * 8.0, rel=1e-12)
    assert optical == pytest.approx((160 - 30) * 0.01, rel=1e-12)


def test_activity_is_that_of_the_volumes():
    hot, air = (math.pi / 6 * d**3 for d in (4.0, 3.0))
    expected = (math.pi * 64 * 12 - hot - air) + 8 * hot
    assert bowl().activity_bq(pitch_mm=0.5) == pytest.approx(expected, rel=1e-3)


def test_the_voxels_hold_the_activity_of_the_solids():
    activity, mu = bowl().on_grid(grid_of((40, 50, 50), 4.0))
    assert activity.values.sum() * activity.voxel_volume_ml == pytest.approx(bowl().activity_bq(pitch_mm=0.5), rel=3e-3)
    assert float(mu.values.max()) == pytest.approx(0.1)
    assert activity.values.max() == pytest.approx(8.0)


def test_a_region_is_what_no_later_part_covers():
    phantom, grid = bowl(), grid_of((64, 90, 90), 2.0)
    assert phantom.region("air", grid).volume_ml == pytest.approx(math.pi / 6 * 27, rel=0.02)
    water, hot = phantom.region("water", grid).mask(), phantom.region("hot", grid).mask()
    assert not (water & hot).any()


def test_attenuated_planes_of_a_cylinder_follow_the_exponential():
    """Uniform activity behind mu: the integral of exp(-mu t) is (1 - exp(-mu L)) / mu, for any thickness of the slabs."""
    phantom = one(cylinder((0, 0, 0), (100, 100, 200)), activity=3.0, mu=0.15)
    start = np.array([[0.0, -300.0, 0.0], [60.0, -300.0, 0.0], [150.0, -300.0, 0.0]])
    for slab_mm, slabs in ((5.0, 120), (7.3, 83), (600.0, 1)):
        seen, emitted = phantom.attenuated_planes(start, np.array([0.0, 1.0, 0.0]), slab_mm=slab_mm, slabs=slabs)
        length = np.array([200.0, 160.0, 0.0])
        assert seen.sum(axis=0) == pytest.approx(3.0 * -np.expm1(-0.015 * length) / 0.015, rel=1e-12)
        assert emitted.sum(axis=0) == pytest.approx(3.0 * length, rel=1e-12)


def test_a_slab_lies_at_its_depth():
    phantom = one(sphere((0, 0, 0), 10.0), mu=0.0)
    seen, _ = phantom.attenuated_planes(
        np.array([[0.0, -102.5, 0.0]]), np.array([0.0, 1.0, 0.0]), slab_mm=5.0, slabs=60
    )
    assert seen[:, 0].nonzero()[0].tolist() == [19, 20, 21]
    assert seen[19:22, 0] == pytest.approx([2.5, 5.0, 2.5])


def test_the_number_of_threads_changes_nothing():
    import numba

    starts, ends = many_lines(2000, seed=3)
    before = numba.get_num_threads()
    all_threads = bowl().line_integrals(starts, ends)[0]
    try:
        numba.set_num_threads(1)
        one_thread = bowl().line_integrals(starts, ends)[0]
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(all_threads, one_thread)


def test_the_truth_states_volume_and_activity_of_each_region():
    truth = bowl().truth()
    assert [p["name"] for p in truth["parts"]] == ["water", "hot", "air"]
    assert truth["regions"]["hot"]["activity_bq"] == pytest.approx(8 * math.pi / 6 * 64, rel=2e-3)


def test_other_activities_keep_the_solids():
    changed = bowl().with_activity({"hot": 2.0})
    assert [p.activity_bq_ml for p in changed.parts] == [1.0, 2.0, 0.0]
    assert changed.parts[1].solid == bowl().parts[1].solid


def test_what_is_no_solid_gets_one_sentence():
    with pytest.raises(InputError, match="half_mm"):
        sphere((0, 0, 0), -3.0)
    with pytest.raises(InputError, match="centre_mm"):
        sphere((0, 0, math.nan), 3.0)
    with pytest.raises(InputError, match="activity_bq_ml"):
        one(sphere((0, 0, 0), 3.0), activity=-1.0)
    with pytest.raises(InputError, match="one of water, hot, air"):
        bowl().with_activity({"cold": 1.0})
    with pytest.raises(InputError, match="keep"):
        Solid(kind="box", centre_mm=(0, 0, 0), half_mm=(1, 1, 1), keep=(0, 0, 0, 1))
    with pytest.raises(InputError, match="the same shape"):
        bowl().line_integrals([0, 0, 0], [[0, 0, 1]])
