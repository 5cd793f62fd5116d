"""Voxel dose, histograms and voxel BED where the answer is known: uniform activity, one voxel, a sphere, a ramp of dose.

Voxel S values and energies per decay are those of EGSnrc in soft tissue of 1.04 g/mL (fact sheet on dosimetry, sections 3.1, 3.2);
the rest is energy over mass, or counted by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from fusin.dosimetry.dvh import dvh
from fusin.dosimetry.emissions import JOULE_PER_KEV, emissions
from fusin.dosimetry.spheres import sphere_s
from fusin.dosimetry.time_activity import time_activity
from fusin.dosimetry.time_activity_region import IntegrationOptions, integrate_region
from fusin.dosimetry.voxel_biology import bed_volume, eqd2_volume
from fusin.dosimetry.voxel_kernels import voxel_kernel
from fusin.dosimetry.voxel_time import RegionCurve, integrate_voxels
from fusin.dosimetry.voxels import voxel_dose
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

LN2 = math.log(2.0)


def grid_of(shape, spacing, origin=(0.0, 0.0, 0.0)):
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid="1.2.3")


def per_voxel(values, mm):
    """MBq h in each voxel as a concentration."""
    values = np.asarray(values, dtype=float)
    return Volume(values=values / (mm**3 * 1e-3), grid=grid_of(values.shape, (mm, mm, mm)), unit="MBq.h/ml")


def dose_of(activity, name, **more):
    return voxel_dose(activity, nuclide=name, log=NoticeLog(), **more)


@pytest.mark.parametrize(("name", "mm", "kev"), [("Lu-177", 4.8, 151.7), ("Lu-177", 3.0, 150.5), ("Y-90", 4.8, 930.3)])
def test_amid_even_activity_a_voxel_gets_the_energy_of_the_whole_kernel(name, mm, kev):
    """keV per decay that EGSnrc finds in 11^3 voxels, over the mass of one voxel; all of it from the sum of the kernel."""
    found = dose_of(per_voxel(np.ones((41, 41, 41)), mm), name, photons="near", size=11)
    middle = found.dose.values[20, 20, 20]
    assert middle == pytest.approx(3.6e9 * kev * JOULE_PER_KEV / (1.04e-6 * mm**3), rel=0.01)
    assert middle == pytest.approx(3.6 * voxel_kernel(name, (mm, mm, mm), 1.04, 11).values.sum(), rel=1e-6)
    shares = found.energy
    assert shares.in_grid + shares.left_grid + shares.beyond_kernel == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("name", "mm"), [("Lu-177", 4.8), ("Lu-177", 3.0), ("Y-90", 4.8)])
def test_electrons_far_from_edges_give_local_deposition_and_less_at_a_face(name, mm):
    activity = per_voxel(np.ones((41, 41, 41)), mm)
    spread = dose_of(activity, name, photons="none", size=11).dose.values
    local = dose_of(activity, name, photons="none", electrons="local", size=11).dose.values
    assert spread[20, 20, 20] == pytest.approx(local[20, 20, 20], rel=1e-4)
    assert 0.5 < spread[0, 20, 20] / spread[20, 20, 20] < 1.0


def test_local_deposition_is_energy_over_mass_at_any_density():
    """933.1 keV of 90Y electrons per decay in 3 mm voxels; a quarter of the density makes four times the dose."""
    activity = per_voxel(np.ones((31, 31, 31)), 3.0)
    found = []
    for density in (1.04, 0.26):
        thin = Volume(values=np.full((31, 31, 31), density), grid=activity.grid, unit="g/ml")
        found.append(dose_of(activity, "Y-90", electrons="local", photons="none", density=thin).dose.values[15, 15, 15])
    assert found[0] == pytest.approx(3.6e9 * 933.106 * JOULE_PER_KEV / (1.04e-6 * 27.0), rel=0.01)
    assert found[1] / found[0] == pytest.approx(4.0, rel=1e-9)


def point(at):
    values = np.zeros((21, 21, 21))
    values[at] = 100.0
    return dose_of(per_voxel(values, 4.8), "Lu-177", photons="near", size=11).dose.values


def test_one_voxel_gives_the_kernel_itself():
    found = point((10, 10, 10))
    assert found[10, 10, 10] == pytest.approx(360.0 * 0.19155, rel=0.015)
    assert found[10, 10, 11] == pytest.approx(360.0 * 2.420e-3, rel=0.015)
    assert found[11, 10, 10] == pytest.approx(360.0 * 2.420e-3, rel=0.015)
    assert found[10, 11, 11] == pytest.approx(360.0 * 8.51e-5, rel=0.05)
    assert found[5:16, 5:16, 5:16].sum() == pytest.approx(360.0 * 0.21133, rel=0.01)


def test_a_voxel_in_a_corner_sends_nothing_round_to_the_other_sides():
    found = point((0, 0, 0))
    assert found[0, 0, 0] == pytest.approx(360.0 * 0.19155, rel=0.015)
    far = found.copy()
    far[:6, :6, :6] = 0.0
    assert np.abs(far).max() < 1e-9 * found[0, 0, 0]


def test_a_sphere_of_300_ml_loses_what_its_s_value_says():
    """90Y in water, whole voxels of 4.42 mm: 5.9 % below an infinite medium in a published voxel code; a sphere of 300 g loses
    5.3 %. Voxels that the surface cuts would lose more, because their activity is spread beyond it."""
    mm, count = 4.42, 29
    radius = (3.0 * 300e3 / (4.0 * math.pi)) ** (1.0 / 3.0)
    square = ((np.arange(count) - count // 2) * mm) ** 2
    inside = square[:, None, None] + square[None, :, None] + square[None, None, :] <= radius**2
    activity = Volume(values=inside.astype(float), grid=grid_of(inside.shape, (mm, mm, mm)), unit="MBq.h/ml")
    found = dose_of(activity, "Y-90", density_g_ml=1.0, medium="water", photons="none").dose.values
    endless = 3.6e9 * emissions("Y-90").electron_kev_per_decay * JOULE_PER_KEV / 1e-3
    loss = 1.0 - float(found[inside].mean()) / endless
    assert loss == pytest.approx(0.059, abs=0.006)
    # Steps of voxels have more surface than the sphere.
    smooth = 1.0 - sphere_s("Y-90", 300.0).absorbed_kev / emissions("Y-90").electron_kev_per_decay
    assert smooth < loss < smooth + 0.015


def ramp():
    """0 to 10 Gy along 100 columns."""
    return np.broadcast_to((np.arange(100) + 0.5) / 10.0, (4, 6, 100)).copy()


def ramp_histogram(mask_on_halves):
    """A region on voxels of half the row height, so that dose voxels count with parts."""
    dose = Volume(values=ramp(), grid=grid_of((4, 6, 100), (2.0, 2.0, 2.0)), unit="Gy")
    halves = grid_of((4, 12, 100), (2.0, 1.0, 2.0), origin=(0.0, -0.5, 0.0))
    return dvh(dose, Region.from_mask("box", halves, mask_on_halves), log=NoticeLog())


def test_a_ramp_of_dose_has_the_histogram_of_a_line():
    """V(d) = 1 - d/10 and D_x = 10 (1 - x); one voxel is 0.1 Gy."""
    found = ramp_histogram(np.ones((4, 12, 100), bool))
    assert found.mean == pytest.approx(5.0, rel=1e-9)
    for percent in (2, 5, 50, 95, 98):
        assert found.dose_at_percent(percent) == pytest.approx(10.0 * (1.0 - percent / 100.0), abs=0.051)
    for gray in (1.0, 2.5, 5.0, 9.0):
        assert found.percent_at(gray) == pytest.approx(100.0 - 10.0 * gray, abs=0.51)


def test_voxels_that_count_by_half_have_the_histogram_of_two_lines():
    """Below 5 Gy half of each voxel: volume 0.75 of the box, mean (2.5 x 0.25 + 7.5 x 0.5) / 0.75 = 35/6 Gy,
    V(d > 5) = (10 - d)/7.5, D50 = 10 - 3.75, and D98 = 0.3 from (5 + (5 - d)/2)/7.5 = 0.98."""
    mask = np.ones((4, 12, 100), bool)
    mask[:, ::2, :50] = False
    found = ramp_histogram(mask)
    assert found.total_ml == pytest.approx(0.75 * 4 * 6 * 100 * 8e-3)
    assert found.mean == pytest.approx(35.0 / 6.0, rel=1e-9)
    assert found.percent_at(5.0) == pytest.approx(200.0 / 3.0, abs=0.4)
    assert found.percent_at(2.5) == pytest.approx(250.0 / 3.0, abs=0.6)
    assert found.dose_at_percent(50) == pytest.approx(6.25, abs=0.11)
    assert found.dose_at_percent(98) == pytest.approx(0.3, abs=0.11)


def test_volume_that_rises_with_dose_has_the_histogram_of_a_square():
    """Heights of voxels proportional to their dose, V(d) = 1 - (d/10)^2, D_x = 10 sqrt(1 - x), mean 20/3 Gy."""
    rows = 200
    dose = Volume(values=ramp()[:1, :1], grid=grid_of((1, 1, 100), (2.0, 2.0, 2.0)), unit="Gy")
    fine = grid_of((1, rows, 100), (2.0, 2.0 / rows, 2.0), origin=(0.0, -1.0 + 1.0 / rows, 0.0))
    height = (np.arange(100) + 0.5) / 100.0 * rows
    mask = np.arange(rows)[None, :, None] < height[None, None, :]
    found = dvh(dose, Region.from_mask("wedge", fine, mask), log=NoticeLog())
    assert found.mean == pytest.approx(20.0 / 3.0, rel=1e-3)
    for percent in (2, 50, 95, 98):
        assert found.dose_at_percent(percent) == pytest.approx(10.0 * math.sqrt(1.0 - percent / 100.0), abs=0.11)
    for gray in (2.0, 5.0, 8.0):
        assert found.percent_at(gray) == pytest.approx(100.0 - gray**2, abs=1.1)


def test_each_voxel_has_the_bed_of_its_own_dose_and_half_life():
    """D (1 + G D / (a/b)) with G = r / (r + mu); 36.007 Gy for 23 Gy at 41 h, a/b 2.6 Gy, repair 2.8 h."""
    dose = np.array([[[0.0, 1.0, 5.0], [10.0, 23.0, 40.0]]])
    t_eff = np.array([[[41.0, 41.0, 20.0], [80.0, 41.0, 109.0]]])
    volume = Volume(values=dose, grid=grid_of(dose.shape, (4.0, 4.0, 4.0)), unit="Gy")
    found = bed_volume(volume, rates_per_h=(LN2 / t_eff)[..., None], weights=np.ones((*dose.shape, 1)), alpha_beta_gy=2.6,
                       repair_half_time_h=2.8)  # fmt: skip
    rate, repair = LN2 / t_eff, LN2 / 2.8
    expected = dose * (1.0 + rate / (rate + repair) * dose / 2.6)
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)
    assert found.values[0, 1, 1] == pytest.approx(36.007, abs=6e-4)
    equivalent = eqd2_volume(found, alpha_beta_gy=2.6).values
    np.testing.assert_allclose(equivalent, expected / (1.0 + 2.0 / 2.6), rtol=1e-12)


@dataclass(frozen=True)
class Image:
    volume: Volume
    time_h: float


def decaying(unit, scale=1.0):
    """A random image that falls with 41 h, at four times, with the whole of it as one region."""
    grid, times = grid_of((7, 6, 5), (4.8, 4.8, 4.8)), (4.0, 24.0, 72.0, 144.0)
    start = scale * np.random.default_rng(8).uniform(0.5, 2.0, grid.shape)
    images = [Image(Volume(values=start * 2.0 ** (-t / 41.0), grid=grid, unit=unit), t) for t in times]
    total = [float(i.volume.values.sum()) * grid.voxel_volume_ml for i in images]
    integral = integrate_region(time_activity("all", times, total), NoticeLog(), options=IntegrationOptions(model="mono"),
                                half_life_h=nuclide("Lu-177").half_life_s / 3600.0)  # fmt: skip
    return images, [RegionCurve(region=Region.from_mask("all", grid, np.ones(grid.shape, bool)), integral=integral)]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("region", 41.0 / LN2),
        ("mono", 41.0 / LN2),
        # Zero to the first image, three trapezoids, and the tail of the curve, per activity at the administration.
        ("trapezoid", 59.977947146683434),
    ],
)
def test_time_integrals_of_voxels_that_fall_alike(method, expected):
    images, regions = decaying("MBq/ml")
    found = integrate_voxels(images, nuclide="Lu-177", method=method, regions=regions, remainder=None, log=NoticeLog())
    start = images[0].volume.values * 2.0 ** (4.0 / 41.0)
    np.testing.assert_allclose(found.tia.values / start, expected, rtol=1e-5)


def test_dose_rates_over_time_are_the_dose_of_the_time_integral():
    images, regions = decaying("MBq/ml")
    rates = [Image(dose_of(i.volume, "Lu-177").dose, i.time_h) for i in images]
    common = {"nuclide": "Lu-177", "method": "trapezoid", "regions": regions, "remainder": None}
    first = integrate_voxels(rates, **common, log=NoticeLog()).tia.values
    second = dose_of(integrate_voxels(images, **common, log=NoticeLog()).tia, "Lu-177").dose.values
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-6 * second.max())
