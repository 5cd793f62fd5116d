"""Spheres: limits, conservation of energy, and scaling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.emissions import JOULE_PER_KEV, emissions
from fusin.dosimetry.point_kernels import radial_energy
from fusin.dosimetry.spheres import chord_survival, sphere_s
from fusin.errors import InputError, NotComputable

COMPLETE = ["Lu-177", "Y-90", "Ga-68", "Tb-161", "Ac-225"]


def test_the_survival_in_a_sphere_agrees_with_random_points():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(400_000, 3))
    points *= (rng.random(len(points)) ** (1 / 3) / np.linalg.norm(points, axis=1))[:, None]
    directions = rng.normal(size=points.shape)
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for distance in (0.1, 0.7, 1.5):
        inside = np.linalg.norm(points + distance * directions, axis=1) < 1.0
        error = 4 * np.sqrt(inside.mean() * (1 - inside.mean()) / len(points))
        assert chord_survival(np.array([distance]), radius=1.0)[0] == pytest.approx(inside.mean(), abs=error)


@pytest.mark.parametrize("nuclide", COMPLETE)
def test_the_fractions_rise_with_the_mass_and_the_s_value_falls(nuclide):
    spheres = [sphere_s(nuclide, m) for m in np.geomspace(1e-3, 1e4, 15)]
    assert np.all(np.diff([s.absorbed_kev for s in spheres]) > 0)
    assert np.all(np.diff([s.s_mgy_per_mbq_s for s in spheres]) < 0)


@pytest.mark.parametrize("nuclide", COMPLETE)
def test_the_fractions_and_the_s_value_are_one_energy(nuclide):
    found, emitted = sphere_s(nuclide, 7.0), emissions(nuclide)
    energy = found.electron_fraction * emitted.electron_kev_per_decay
    energy += found.photon_fraction * emitted.photon_kev_per_decay + found.alpha_fraction * emitted.alpha_kev_per_decay
    assert energy == pytest.approx(found.absorbed_kev, rel=1e-6)
    assert found.s_mgy_per_mbq_s == pytest.approx(energy * JOULE_PER_KEV * 1e9 / 7e-3, rel=1e-6)


@pytest.mark.parametrize("nuclide", COMPLETE)
def test_no_sphere_absorbs_more_than_a_decay_emits(nuclide):
    emitted = emissions(nuclide)
    found = sphere_s(nuclide, 1e4)
    assert found.electron_fraction <= 1.001
    total = emitted.electron_kev_per_decay + emitted.photon_kev_per_decay + emitted.alpha_kev_per_decay
    assert found.absorbed_kev < total


def test_what_electrons_radiate_is_not_given_back_to_them():
    """ESTAR's yield, averaged over the spectrum of 90Y, is about half a per cent of 933 keV."""
    energy = radial_energy("Y-90")
    assert 0.003 < energy.radiated_kev / energy.emitted_electron_kev < 0.008
    assert energy.electron_kev[-1] + energy.radiated_kev == pytest.approx(energy.emitted_electron_kev)


@given(st.floats(0.01, 1000.0), st.floats(0.5, 2.0))
@settings(max_examples=20, deadline=None)
def test_at_equal_mass_a_denser_sphere_absorbs_what_a_smaller_thickness_does(mass, density):
    """Distances count in g/cm2: a sphere of density rho is one of water whose radius is rho times as long, of rho^2 the mass."""
    dense = sphere_s("Y-90", mass, density)
    same = sphere_s("Y-90", min(max(mass * density**2, 1e-3), 1e4))
    assert dense.absorbed_kev == pytest.approx(same.absorbed_kev, rel=1e-6)


@pytest.mark.parametrize("nuclide", COMPLETE)
@pytest.mark.parametrize("mass", [0.001, 0.1, 10.0, 1e4])
def test_every_s_value_has_an_interval_around_it(nuclide, mass):
    found = sphere_s(nuclide, mass)
    assert 0 < found.low < found.s_mgy_per_mbq_s < found.high
    assert 0.0005 < found.u_relative < 0.1


@pytest.mark.parametrize("mass", [0.0, -1.0, 1e-4, 1e5, float("nan"), float("inf")])
def test_a_mass_that_no_lesion_has_is_refused(mass):
    with pytest.raises(InputError, match="mass_g"):
        sphere_s("Lu-177", mass)


@pytest.mark.parametrize("density", [0.0, -1.0, 22.6, float("nan")])
def test_a_density_that_no_tissue_has_is_refused(density):
    with pytest.raises(InputError, match="density"):
        sphere_s("Lu-177", 1.0, density)


def test_a_nuclide_known_in_part_has_no_s_value():
    with pytest.raises(NotComputable, match="isomeric transition") as refusal:
        sphere_s("Lu-177m", 1.0)
    assert refusal.value.code == "EMISSIONS_INCOMPLETE"


@pytest.mark.parametrize("mass", [0.01, 1.0, 100.0])
def test_alphas_leave_a_sphere_by_their_path_over_its_radius(mass):
    """For a range far below the radius R the share that leaves is 3/4 of the mean distance of the deposits over R."""
    found, energy = sphere_s("Ac-225", mass), radial_energy("Ac-225")
    middle = 0.5 * (energy.radius_g_cm2[1:] + energy.radius_g_cm2[:-1])
    distance = float((middle * np.diff(energy.alpha_kev)).sum()) / energy.emitted_alpha_kev
    assert 1.0 - found.alpha_fraction == pytest.approx(0.75 * distance / (found.radius_mm / 10.0), rel=1e-3)


def test_alphas_give_a_large_sphere_all_of_their_energy():
    found = sphere_s("Ac-225", 1e4)
    assert found.alpha_fraction == pytest.approx(1.0, abs=3e-4)
    assert found.alpha_mgy_per_mbq_s + found.electron_mgy_per_mbq_s == found.charged_mgy_per_mbq_s
