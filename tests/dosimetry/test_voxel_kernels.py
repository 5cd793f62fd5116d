"""Voxel kernels: symmetry, sums, scaling, and agreement with direct sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.emissions import JOULE_PER_KEV
from fusin.dosimetry.point_kernels import radial_energy
from fusin.dosimetry.voxel_kernels import voxel_kernel
from fusin.errors import InputError, NotComputable

spacings = st.floats(1.0, 10.0)


@given(st.tuples(spacings, spacings, spacings), st.sampled_from(["Lu-177", "Y-90"]))
@settings(max_examples=10, deadline=None)
def test_a_kernel_is_the_same_forth_and_back_along_each_axis(spacing, nuclide):
    values = voxel_kernel(nuclide, spacing, size=5).values
    for axis in range(3):
        assert np.array_equal(values, np.flip(values, axis))


def test_axes_change_places_with_their_spacings():
    """Reciprocity between grids: slices, rows and columns are labels."""
    values = voxel_kernel("Y-90", (5.0, 3.0, 2.0), size=7).values
    turned = voxel_kernel("Y-90", (2.0, 5.0, 3.0), size=7).values
    assert np.transpose(values, (2, 0, 1)) == pytest.approx(turned, rel=1e-9)


def test_equal_spacings_give_a_kernel_that_is_equal_along_all_axes():
    values = voxel_kernel("Lu-177", (3.0, 3.0, 3.0)).values
    for axes in ((0, 2, 1), (1, 0, 2), (2, 1, 0)):
        assert values == pytest.approx(np.transpose(values, axes), rel=1e-9)


@pytest.mark.parametrize("part", ["all", "electrons", "photons"])
def test_the_sum_times_the_mass_is_the_energy_absorbed(part):
    found = voxel_kernel("Lu-177", (4.0, 3.0, 3.0), 1.1, part=part)
    mass_kg = 4.0 * 3.0 * 3.0 * 1e-3 * 1.1e-3
    assert found.values.sum() * mass_kg / (JOULE_PER_KEV * 1e9) == pytest.approx(found.energy_absorbed_kev, rel=1e-12)
    assert found.energy_absorbed_kev + found.energy_outside_kev == pytest.approx(found.energy_emitted_kev, rel=1e-12)


def test_electrons_and_photons_are_the_parts_of_the_whole():
    whole, electrons, photons = (
        voxel_kernel("Lu-177", (4.8,) * 3, part=p).values for p in ("all", "electrons", "photons")
    )
    assert electrons + photons == pytest.approx(whole, rel=1e-12)


def test_a_kernel_beyond_the_range_holds_all_that_electrons_deposit():
    found, energy = voxel_kernel("Y-90", (4.8,) * 3, part="electrons"), radial_energy("Y-90")
    lost = energy.radiated_kev
    assert energy.electron_kev[-1] - 1e-6 <= found.energy_absorbed_kev <= energy.electron_kev[-1] + lost


def test_larger_kernels_hold_smaller_ones():
    small, large = (voxel_kernel("Lu-177", (4.8,) * 3, size=n).values for n in (5, 11))
    assert large[3:8, 3:8, 3:8] == pytest.approx(small, rel=1e-3)


@given(st.floats(0.5, 2.0))
@settings(max_examples=8, deadline=None)
def test_density_scales_distances(density):
    """The share of the energy depends on spacing times density alone; dose is that energy over the mass."""
    dense = voxel_kernel("Y-90", (4.0, 4.0, 4.0), density, size=5)
    scaled = voxel_kernel("Y-90", (4.0 * density,) * 3, 1.0, size=5)
    assert dense.values == pytest.approx(scaled.values * density**2, rel=1e-6)


@pytest.mark.parametrize(("nuclide", "spacing"), [("Y-90", (2.0, 3.0, 5.0)), ("Lu-177", (0.8, 1.0, 1.5))])
def test_the_shares_of_the_voxels_agree_with_random_points_and_directions(nuclide, spacing):
    """Energy from random points of the source voxel in random directions, at random distances of the point kernel."""
    rng = np.random.default_rng(11)
    energy = radial_energy(nuclide)
    within = energy.electron_kev
    n = 500_000
    distance = np.interp(rng.random(n) * within[-1], within, energy.radius_g_cm2) * 10.0
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    start = (rng.random((n, 3)) - 0.5) * spacing
    voxel = np.rint((start + distance[:, None] * directions) / spacing).astype(int)
    kernel = voxel_kernel(nuclide, spacing, 1.0, 5, medium="water", part="electrons")
    mass_kg = math.prod(spacing) * 1e-6
    per_kev = JOULE_PER_KEV * 1e9 / mass_kg
    for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)]:
        share = float(np.all(voxel == place, axis=1).mean())
        error = 4.5 * math.sqrt(share * (1 - share) / n) * within[-1]
        found = kernel.values[tuple(2 + p for p in place)] / per_kev
        # Bremsstrahlung is in the kernel and not in the sample.
        assert found == pytest.approx(share * within[-1], abs=error + 1e-3 * found)


def test_the_kernel_is_enlarged_where_electrons_go_further_than_five_voxels():
    assert voxel_kernel("Lu-177", (4.8,) * 3).size == 11
    fine = voxel_kernel("Y-90", (1.0,) * 3)
    assert fine.size > 11
    assert fine.size % 2 == 1
    assert fine.energy_absorbed_kev > 0.99 * fine.energy_emitted_kev


def test_a_kernel_is_the_same_in_every_run():
    from fusin.dosimetry import voxel_kernels

    first = voxel_kernel("Y-90", (3.3, 3.3, 3.3)).values.copy()
    voxel_kernels._kernel.cache_clear()
    assert np.array_equal(first, voxel_kernel("Y-90", (3.3, 3.3, 3.3)).values)


@pytest.mark.parametrize("spacing", [(0.0, 4.8, 4.8), (4.8, -1.0, 4.8), (float("nan"),) * 3, (400.0,) * 3, (4.8, 4.8)])
def test_a_spacing_that_no_grid_has_is_refused(spacing):
    with pytest.raises(InputError, match="spacing_mm"):
        voxel_kernel("Lu-177", spacing)


@pytest.mark.parametrize("size", [0, 4, -3, 1001, 5.0, True])
def test_a_size_that_has_no_middle_is_refused(size):
    with pytest.raises(InputError, match="size"):
        voxel_kernel("Lu-177", (4.8,) * 3, size=size)


@pytest.mark.parametrize("more", [{"medium": "bone"}, {"part": "neutrons"}, {"density_g_ml": 0.0}])
def test_what_the_kernel_does_not_know_is_refused(more):
    with pytest.raises(InputError):
        voxel_kernel("Lu-177", (4.8,) * 3, **more)


def test_a_nuclide_known_in_part_has_no_kernel():
    with pytest.raises(NotComputable, match="isomeric"):
        voxel_kernel("177mLu", (4.8,) * 3)


def test_the_values_cannot_be_changed_by_who_gets_them():
    values = voxel_kernel("Lu-177", (4.8,) * 3).values
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0, 0] = 1.0
