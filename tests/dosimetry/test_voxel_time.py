"""Time integrals of voxels: sums that are the region's, limits of one exponential, linearity, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.time_activity import time_activity
from fusin.dosimetry.time_activity_region import IntegrationOptions, integrate_region
from fusin.dosimetry.voxel_time import (
    RegionCurve,
    curve_terms,
    integrate_voxels,
    mean_time_h,
    recovery_factors,
    remaining_h,
)
from fusin.dosimetry.voxels import voxel_dose
from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

SHAPE = (6, 7, 8)
HALF_LIFE = nuclide("Lu-177").half_life_s / 3600.0
GRID = Grid(shape=SHAPE, affine=np.diag([4.0, 4.0, 5.0, 1.0]), frame_of_reference_uid="1.2.3")
TIMES = (4.0, 24.0, 72.0, 144.0)


@dataclass(frozen=True)
class Image:
    volume: Volume
    time_h: float


def images(values, times=TIMES, unit="MBq/ml", grid=GRID):
    return [
        Image(Volume(values=np.asarray(v, dtype=float), grid=grid, unit=unit), t)
        for v, t in zip(values, times, strict=True)
    ]


def box(name, *spans, grid=GRID):
    mask = np.zeros(grid.shape, bool)
    mask[tuple(slice(a, b) for a, b in spans)] = True
    return Region.from_mask(name, grid, mask)


def curve(name, activities, times=TIMES, model="mono", **more):
    points = time_activity(name, times, activities)
    return integrate_region(points, NoticeLog(), half_life_h=HALF_LIFE, options=IntegrationOptions(model=model, **more))


def sum_of(volume, mask):
    return float(volume.values[mask].sum()) * volume.voxel_volume_ml


KIDNEY, LIVER = box("kidney", (1, 4), (1, 4), (1, 4)), box("liver", (1, 5), (4, 7), (2, 8))


def decaying(t_eff_kidney=41.0, t_eff_rest=90.0, seed=0):
    start = np.random.default_rng(seed).uniform(0.5, 2.0, SHAPE)
    t_eff = np.where(KIDNEY.mask(), t_eff_kidney, t_eff_rest)
    return start, t_eff, [start * np.exp2(-t / t_eff) for t in TIMES]


def curves_of(values, regions, times=TIMES):
    volume = GRID.voxel_volume_ml
    return [
        RegionCurve(region=r, integral=curve(r.name, [float(v[r.mask()].sum()) * volume for v in values], times))
        for r in regions
    ]


@pytest.mark.parametrize("seed", range(3))
def test_voxels_of_each_region_add_up_to_its_integral_whatever_the_images_hold(seed):
    rng = np.random.default_rng(seed)
    values = [rng.uniform(0.1, 1.0, SHAPE) * np.exp2(-t / 60.0) for t in TIMES]
    regions = curves_of(values, [KIDNEY, LIVER])
    rest = curve("rest", [50.0, 40.0, 20.0, 8.0])
    found = integrate_voxels(images(values), nuclide="Lu-177", regions=regions, remainder=rest, log=NoticeLog())
    for one in regions:
        assert sum_of(found.tia, one.region.mask()) == pytest.approx(one.integral.tia_mbq_h.value, rel=1e-12)
    outside = ~(KIDNEY.mask() | LIVER.mask())
    assert sum_of(found.tia, outside) == pytest.approx(rest.tia_mbq_h.value, rel=1e-12)
    assert found.sums["kidney"] == pytest.approx(regions[0].integral.tia_mbq_h.value, rel=1e-12)


def test_a_lesion_in_the_liver_keeps_its_integral_and_the_liver_as_a_whole_its_own():
    values = decaying()[2]
    lesion = box("lesion", (2, 4), (5, 6), (4, 6))
    lesion_curve = RegionCurve(region=lesion, integral=curve("lesion", [3.0, 2.5, 1.2, 0.5]))
    liver = curves_of(values, [LIVER])[0]
    log = NoticeLog()
    found = integrate_voxels(
        images(values), nuclide="Lu-177", regions=[liver, lesion_curve], remainder=curve("r", [9, 7, 4, 1]), log=log
    )
    assert sum_of(found.tia, lesion.mask()) == pytest.approx(lesion_curve.integral.tia_mbq_h.value, rel=1e-12)
    assert sum_of(found.tia, LIVER.mask()) == pytest.approx(liver.integral.tia_mbq_h.value, rel=1e-12)
    assert [n.code for n in log] == ["REGIONS_SHARE_VOXELS"]


def test_a_lesion_that_exceeds_its_organ_is_named_and_no_voxel_becomes_negative():
    values = decaying()[2]
    lesion = RegionCurve(region=box("lesion", (2, 4), (5, 6), (4, 6)), integral=curve("lesion", [9e4, 8e4, 5e4, 2e4]))
    log = NoticeLog()
    found = integrate_voxels(
        images(values), nuclide="Lu-177", regions=[*curves_of(values, [LIVER]), lesion], remainder=None, log=log
    )
    assert "SHARED_VOXELS_EXCEED_REGION" in [n.code for n in log]
    assert float(found.tia.values.min()) >= 0.0


def test_a_region_on_a_finer_grid_gives_border_voxels_their_part():
    fine = Grid(shape=(24, 28, 32), affine=np.array([[1.0, 0, 0, -1.5], [0, 1.0, 0, -1.5], [0, 0, 1.25, -1.875], [0, 0, 0, 1]]),
                frame_of_reference_uid="1.2.3")  # fmt: skip
    region = box("half", (4, 12), (4, 12), (4, 10), grid=fine)
    values = [np.full(SHAPE, 1.0) * np.exp2(-t / 50.0) for t in TIMES]
    integral = curve("half", [region.volume_ml * float(v[0, 0, 0]) for v in values])
    rest = curve("rest", [(GRID.voxel_volume_ml * 336 - region.volume_ml) * float(v[0, 0, 0]) for v in values])
    found = integrate_voxels(
        images(values), nuclide="Lu-177", regions=[RegionCurve(region=region, integral=integral)], remainder=rest, log=NoticeLog()
    )  # fmt: skip
    np.testing.assert_allclose(found.tia.values, 50.0 / math.log(2.0), rtol=1e-9)


@pytest.mark.parametrize("method", ["mono", "region"])
def test_noiseless_exponentials_give_activity_over_rate_in_every_voxel(method):
    start, t_eff, values = decaying()
    regions = curves_of(values, [KIDNEY])
    outside = ~KIDNEY.mask()
    rest = curve("rest", [float(v[outside].sum()) * GRID.voxel_volume_ml for v in values])
    found = integrate_voxels(
        images(values), nuclide="Lu-177", method=method, regions=regions, remainder=rest, log=NoticeLog()
    )
    np.testing.assert_allclose(found.tia.values, start * t_eff / math.log(2.0), rtol=1e-8)
    if method == "mono":
        np.testing.assert_allclose(found.t_eff_h.values, t_eff, rtol=1e-8)


def test_a_voxel_that_does_not_fall_is_held_at_physical_decay_and_counted():
    values = [np.ones(SHAPE) for _ in TIMES]
    log = NoticeLog()
    found = integrate_voxels(images(values), nuclide="Lu-177", method="mono", regions=[], remainder=None, log=log)
    np.testing.assert_allclose(found.t_eff_h.values, HALF_LIFE, rtol=1e-12)
    assert found.at_physical_decay == math.prod(SHAPE)
    # The logarithm at the mean time stays where it was measured.
    rate = math.log(2.0) / HALF_LIFE
    np.testing.assert_allclose(found.tia.values, math.exp(rate * np.mean(TIMES)) / rate, rtol=1e-12)
    assert [n.code for n in log] == ["VOXELS_AT_PHYSICAL_DECAY"]


def test_a_voxel_seen_once_takes_the_curve_of_its_region_and_an_empty_one_stays_empty():
    values = decaying()[2]
    for image in values[1:]:
        image[2, 2, 2] = 0.0
    for image in values:
        image[0, 0, 0] = 0.0
    regions = curves_of(values, [KIDNEY])
    log = NoticeLog()
    found = integrate_voxels(images(values), nuclide="Lu-177", method="mono", regions=regions, remainder=curve("r", [9, 8, 5, 2]),
                             log=log)  # fmt: skip
    assert found.borrowed == 1
    assert found.tia.values[0, 0, 0] == 0.0
    assert np.isnan(found.t_eff_h.values[2, 2, 2])
    assert np.isfinite(found.tia.values).all()


def test_trapezoids_of_dense_images_approach_the_exponential():
    times = tuple(np.linspace(0.0, 200.0, 401))
    start = np.random.default_rng(1).uniform(0.5, 2.0, SHAPE)
    values = [start * np.exp2(-t / 50.0) for t in times]
    whole = curve("all", [float(v.sum()) * GRID.voxel_volume_ml for v in values], times)
    found = integrate_voxels(
        images(values, times), nuclide="Lu-177", method="trapezoid", regions=[], remainder=whole, log=NoticeLog()
    )
    np.testing.assert_allclose(found.tia.values, start * 50.0 / math.log(2.0), rtol=1e-4)


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_trapezoids_are_linear_in_the_images(first, second, seed):
    rng = np.random.default_rng(seed)
    one, two = ([rng.random(SHAPE) for _ in TIMES] for _ in range(2))
    rest = curve("r", [9, 7, 4, 1])

    def total(values):
        return integrate_voxels(
            images(values), nuclide="Lu-177", method="trapezoid", regions=[], remainder=rest, log=NoticeLog()
        ).tia.values

    both = total([first * a + second * b for a, b in zip(one, two, strict=True)])
    np.testing.assert_allclose(both, first * total(one) + second * total(two), rtol=1e-10)


def test_dose_rates_integrated_are_the_dose_of_the_integral_where_one_tail_serves_all():
    values = decaying()[2]
    rest = curve("r", [9, 7, 4, 1])
    both = {"nuclide": "Lu-177", "regions": [], "remainder": rest, "log": NoticeLog()}
    tia = integrate_voxels(images(values), method="trapezoid", **both).tia
    rates = [voxel_dose(i.volume, nuclide="Lu-177", log=NoticeLog(), photons="near").dose for i in images(values)]
    dose = integrate_voxels([Image(r, t) for r, t in zip(rates, TIMES, strict=True)], method="trapezoid", **both).tia
    assert dose.unit == "Gy"
    direct = voxel_dose(tia, nuclide="Lu-177", log=NoticeLog(), photons="near").dose
    np.testing.assert_allclose(dose.values, direct.values, rtol=1e-9)


@given(st.floats(5.0, 150.0))
@settings(max_examples=20, deadline=None)
def test_mean_time_and_time_left_of_one_exponential_are_its_mean_life(t_eff):
    integral = curve("one", [math.exp2(-t / t_eff) for t in TIMES])
    life = t_eff / math.log(2.0)
    assert mean_time_h(integral) == pytest.approx(life, rel=1e-6)
    assert remaining_h(integral, 100.0) == pytest.approx(life, rel=1e-6)


def test_mean_time_of_an_uptake_curve_is_the_sum_of_both_mean_lives():
    activities = [math.exp2(-t / 60.0) - math.exp2(-t / 3.0) for t in (2.0, 6.0, 24.0, 72.0, 144.0)]
    integral = curve("uptake", activities, (2.0, 6.0, 24.0, 72.0, 144.0), "uptake-bi")
    # First moment of a(e1 - e2) over its integral: (1/l1^2 - 1/l2^2) / (1/l1 - 1/l2) = 1/l1 + 1/l2.
    assert mean_time_h(integral) == pytest.approx(63.0 / math.log(2.0), rel=1e-6)


def test_mean_time_of_trapezoids_is_that_of_their_line():
    integral = curve("flat", [1.0, 1.0, 1.0, 1.0], model="trapezoid", start="flat")
    rate = math.log(2.0) / HALF_LIFE
    area, tail = 144.0, 1.0 / rate
    expected = (area * 72.0 + tail * (144.0 + 1.0 / rate)) / (area + tail)
    assert curve_terms(integral) is None
    assert mean_time_h(integral) == pytest.approx(expected, rel=1e-6)
    assert remaining_h(integral, 144.0) == pytest.approx(1.0 / rate)


def test_the_image_nearest_the_mean_time_gives_the_distribution():
    values = [np.full(SHAPE, 1.0 / (k + 1)) for k in range(4)]
    values[2][2, 2, 2] *= 5.0
    regions = [RegionCurve(region=KIDNEY, integral=curve("kidney", [math.exp2(-t / 50.0) for t in TIMES]))]
    found = integrate_voxels(images(values), nuclide="Lu-177", regions=regions, remainder=None, log=NoticeLog())
    assert found.times_h == {"kidney": 72.0}
    assert found.tia.values[2, 2, 2] == pytest.approx(5.0 * found.tia.values[1, 1, 1])


def test_a_region_that_reaches_beyond_the_images_leaves_that_part_of_its_integral_out():
    wide = Grid(shape=(6, 7, 16), affine=np.diag([4.0, 4.0, 5.0, 1.0]), frame_of_reference_uid="1.2.3")
    region = box("wide", (1, 3), (1, 3), (6, 10), grid=wide)
    values = [np.full(SHAPE, v) for v in (4.0, 3.0, 1.5, 0.5)]
    integral = curve("wide", [4.0, 3.0, 1.5, 0.5])
    log = NoticeLog()
    found = integrate_voxels(
        images(values), nuclide="Lu-177", regions=[RegionCurve(region=region, integral=integral)], remainder=None, log=log
    )  # fmt: skip
    assert [n.code for n in log] == ["REGION_OUTSIDE_GRID"]
    assert float(found.tia.values.sum()) * GRID.voxel_volume_ml == pytest.approx(integral.tia_mbq_h.value / 2)


def test_what_cannot_be_integrated_is_refused_in_a_sentence():
    values = decaying()[2]
    more = {"nuclide": "Lu-177", "regions": [], "remainder": None, "log": NoticeLog()}
    with pytest.raises(NotComputable, match="there is 1 image; need at least 2 images") as caught:
        integrate_voxels(images(values[:1], TIMES[:1]), method="mono", **more)
    assert caught.value.code == "TOO_FEW_POINTS"
    with pytest.raises(InputError, match="each time once"):
        integrate_voxels(images(values, (4.0, 24.0, 24.0, 144.0)), **more)
    with pytest.raises(InputError, match="resample first"):
        integrate_voxels([*images(values[:1], TIMES[:1]), Image(Volume(
            values=np.ones((2, 2, 2)), grid=Grid(shape=(2, 2, 2), affine=np.eye(4)), unit="MBq/ml"), 9.0)], **more)  # fmt: skip
    with pytest.raises(InputError, match="MBq/ml or Gy/h"):
        integrate_voxels(images(values, unit="Bq/ml"), **more)
    with pytest.raises(InputError, match="one of region, trapezoid, mono"):
        integrate_voxels(images(values), method="spline", **more)
    with pytest.raises(InputError, match="at least one"):
        integrate_voxels([], **more)
    empty = [np.where(KIDNEY.mask(), 0.0, v) for v in values]
    kidney = RegionCurve(region=KIDNEY, integral=curve("kidney", [4, 3, 2, 1]))
    with pytest.raises(NotComputable, match="has no activity in it") as caught:
        integrate_voxels(images(empty), **{**more, "regions": [kidney]})
    assert caught.value.code == "NO_ACTIVITY_IN_REGION"


def test_voxels_that_miss_the_curve_of_their_region_are_named():
    values = decaying()[2]
    double = RegionCurve(
        region=KIDNEY, integral=curve("kidney", [2 * float(v[KIDNEY.mask()].sum()) * 0.08 for v in values])
    )
    log = NoticeLog()
    integrate_voxels(images(values), nuclide="Lu-177", method="mono", regions=[double], remainder=None, log=log)
    assert next(n.message for n in log if n.code == "VOXEL_SUM_DIFFERS").endswith(
        "50 % of its curve (uptake before the first image, noise, or a curve that does not fit)"
    )


def test_recovery_factors_are_one_over_r_inside_and_the_smaller_region_counts():
    lesion = box("lesion", (2, 4), (5, 6), (4, 6))
    factors = recovery_factors([(LIVER, 0.8), (lesion, 0.5)], GRID)
    assert set(factors[lesion.mask()]) == {2.0}
    np.testing.assert_allclose(factors[LIVER.mask() & ~lesion.mask()], 1.25)
    assert set(factors[~LIVER.mask()]) == {1.0}
