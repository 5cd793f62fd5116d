"""Beta spectra: phase space and Coulomb field, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.beta_spectra import beta_spectrum, fermi_function
from fusin.errors import InputError


def spectrum(endpoint_kev=500.0, *, z=72, a=177, **more):
    return beta_spectrum(endpoint_kev=endpoint_kev, daughter_z=z, mass_number=a, **more)


def test_without_charge_the_fermi_function_is_one():
    assert fermi_function(1e-9, np.array([1.1, 2.0, 5.0]), mass_number=100) == pytest.approx(1.0, rel=1e-7)


def test_a_light_nucleus_gives_the_relativistic_phase_space():
    # p W q^2 alone; a = 1 with vanishing charge leaves nothing else
    found = spectrum(18.59, z=0, a=3)
    energy = found.energy_kev / 510.99895
    density = np.sqrt(energy * (energy + 2)) * (1 + energy) * (18.59 / 510.99895 - energy) ** 2
    assert found.share == pytest.approx(density / density.sum(), rel=1e-6)


def test_the_field_of_the_nucleus_holds_electrons_back_and_pushes_positrons_away():
    bare = spectrum(800.0, z=0).mean_kev
    assert spectrum(800.0, z=30).mean_kev < bare < spectrum(800.0, z=30, positron=True).mean_kev


@given(st.floats(5.0, 5000.0), st.integers(1, 90), st.booleans())
def test_every_spectrum_is_a_distribution_below_its_endpoint(endpoint, z, positron):
    found = spectrum(endpoint, z=z, a=2 * z + 1, positron=positron, points=500)
    assert found.share.sum() == pytest.approx(1.0)
    assert (found.share >= 0).all()
    assert 0 < found.energy_kev[0] < found.mean_kev < found.energy_kev[-1] < endpoint


def test_the_mean_does_not_hang_on_the_number_of_intervals():
    coarse, fine = (spectrum(2278.7, z=40, a=90, shape="unique-first", points=n).mean_kev for n in (1000, 8000))
    assert coarse == pytest.approx(fine, rel=2e-5)


@pytest.mark.parametrize("endpoint", [0.0, -5.0, float("nan"), float("inf"), 1e6])
def test_an_endpoint_that_no_decay_has_is_refused(endpoint):
    with pytest.raises(InputError, match="endpoint_kev"):
        spectrum(endpoint)


def test_an_unknown_shape_is_refused_by_name():
    with pytest.raises(InputError, match="unique-first"):
        spectrum(shape="second-forbidden")
