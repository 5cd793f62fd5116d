"""The table of point kernels: remade in part by its own code, against ESTAR and XCOM, and its limits."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from scipy import integrate

from fusin.dosimetry import build_point_kernels as build
from fusin.dosimetry.point_kernels import electron_within, kernel_table, photon_within
from fusin.dosimetry.water import collision_stopping, csda_range, electron_table, photon_table, radiative_stopping


def test_the_table_is_smaller_than_200_kilobytes():
    assert resources.files("fusin.dosimetry").joinpath("point_kernels.npz").stat().st_size < 200_000


@pytest.mark.parametrize(("index", "histories"), [(20, 3000), (34, 800)])
def test_two_electron_kernels_remade_with_few_histories_agree_with_the_table(index, histories):
    table = kernel_table()
    energy = float(table.electron_energy_kev[index])
    again, u = build.electron_kernel(energy, histories, seed=99)
    error = np.hypot(u, table.electron_u[index])
    places = [20, 45, 70, 95, 120]
    for place in places:
        # Eight batches: the 99.9 % point of Student's t with 7 degrees of freedom is 5.4.
        assert abs(again[place] - table.electron_within[index][place]) < 5.4 * error[place] + 1e-4


@pytest.mark.parametrize("index", [12, 30])
def test_two_photon_kernels_remade_with_few_histories_agree_with_the_table(index):
    table = kernel_table()
    again, u = build.photon_kernel(float(table.photon_energy_kev[index]), 8000, seed=99)
    error = np.hypot(u, table.photon_u[index])
    for place in (60, 80, 95):
        assert abs(again[place] - table.photon_within[index][place]) < 5.4 * error[place] + 1e-4


def test_the_same_seed_gives_the_same_kernel():
    first, second = (build.electron_kernel(60.0, 80, seed=5)[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_what_a_kernel_lacks_is_the_radiation_yield():
    """ESTAR: the share of the energy that is radiated while slowing down, integral of the ratio of stopping powers."""
    for energy, index in ((float(e), i) for i, e in enumerate(kernel_table().electron_energy_kev) if e > 50):
        grid = np.geomspace(0.6, energy, 4000)
        ratio = radiative_stopping(grid) / (collision_stopping(grid) + radiative_stopping(grid))
        yielded = integrate.trapezoid(ratio, grid) / energy
        missing = 1.0 - kernel_table().electron_within[index][-1]
        # Knock-on electrons take energy early, which then radiates less; hence below the yield of a single track.
        assert missing == pytest.approx(yielded, rel=0.08, abs=2e-4)


def test_the_stopping_power_is_that_of_estar():
    table = electron_table()
    assert collision_stopping(table.energy_kev) == pytest.approx(table.collision, rel=5e-4)
    assert radiative_stopping(table.energy_kev) == pytest.approx(table.radiative, rel=1e-6)


@pytest.mark.parametrize(("energy", "published"), [(100.0, 1.431e-2), (1000.0, 0.4367)])
def test_the_range_is_that_of_icru_37(energy, published):
    assert csda_range(np.array([energy]))[0] == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize(
    ("energy", "published"), [(20.0, 0.5503), (60.0, 0.03190), (100.0, 0.02546), (200.0, 0.02967), (1000.0, 0.03103)]
)
def test_the_first_collision_deposits_what_the_energy_absorption_coefficient_says(energy, published):
    """Hubbell and Seltzer, NISTIR 5632: mass energy-absorption coefficients of liquid water [cm2/g]."""
    total, kept = build.first_collision_fraction(np.array([energy]))
    assert (total * kept)[0] == pytest.approx(published, rel=0.015)


def test_photons_are_all_absorbed_in_the_end():
    """At 60 cm of water little is left of 60 keV, and more of 1 MeV."""
    far = np.array([60.0])
    assert photon_within(60.0, far)[0] == pytest.approx(1.0, abs=0.004)
    assert 0.85 < photon_within(1000.0, far)[0] < 0.97


def test_near_the_source_photons_deposit_as_the_first_collision_says():
    near = np.array([0.05])
    total, kept = build.first_collision_fraction(np.array([208.0]))
    assert photon_within(208.0, near)[0] == pytest.approx(kept[0] * total[0] * 0.05, rel=0.01)


@pytest.mark.parametrize("energy", [1.0, 10.0, 147.0, 933.0, 2279.0])
def test_the_energy_within_rises_from_nothing_to_nearly_all(energy):
    radii = np.concatenate([[0.0], np.geomspace(1e-6, 5.0, 200)])
    within = electron_within(energy, radii)
    assert within[0] == 0.0
    assert np.all(np.diff(within) >= -1e-12)
    assert 0.985 < within[-1] <= 1.0005
    beyond = electron_within(energy, csda_range(np.array([energy])) * 1.05)[0]
    assert beyond == pytest.approx(within[-1], abs=2e-3)


def test_no_coefficient_of_the_photons_is_missing():
    table = photon_table()
    assert np.all(np.diff(table.energy_kev) > 0)
    assert (table.incoherent > 0).all()
    assert (table.photoelectric > 0).all()
    # XCOM: 0.0707 cm2/g at 1 MeV in water (Hubbell and Seltzer 1995: 7.072e-2)
    incoherent, photoelectric, _ = table.at(np.array([1000.0]))
    assert (incoherent + photoelectric)[0] == pytest.approx(7.066e-2, rel=1e-3)


def test_the_builder_writes_the_table_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ELECTRON_ENERGIES_KEV", np.array([20.0, 40.0, 60.0, 80.0]))
    monkeypatch.setattr(build, "PHOTON_ENERGIES_KEV", np.array([50.0, 100.0]))
    path = build.build(tmp_path / "kernels.npz", scale=0.002, processes=1)
    with np.load(path) as file, np.load(str(resources.files("fusin.dosimetry") / "point_kernels.npz")) as shipped:
        assert set(file) == set(shipped)
        assert file["electron_within"].shape == (4, build.SHELLS)
        assert file["spin_within"].shape == (2, build.SHELLS)
        assert file["photon_within"].shape == (2, len(build.PHOTON_EDGES) - 1)
