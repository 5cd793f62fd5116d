"""Alphas in water: range, and energy along the path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.alpha_particles import HIGHEST_KEV, alpha_range, alpha_within


@given(st.floats(10.0, 9000.0))
def test_a_faster_alpha_goes_further_and_stops_at_its_range(energy_kev):
    reach = alpha_range(energy_kev)
    assert alpha_range(energy_kev * 1.1) > reach
    shares = alpha_within(energy_kev, np.array([0.0, 0.25, 0.5, 0.75, 1.0, 2.0]) * reach)
    assert shares[0] == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.diff(shares[:5]) > 0)
    assert shares[4] == shares[5] == 1.0


def test_the_slope_of_the_energy_is_the_stopping_power():
    """ASTAR: 884.8 MeV cm2/g at 5 MeV; the peak of Bragg, at 0.7 MeV, lies 5 micrometres before the end of the path."""
    step = np.array([0.0, 1e-6])
    lost = np.diff(alpha_within(5000.0, step))[0] * 5.0 / 1e-6
    assert lost == pytest.approx(884.8, rel=2e-3)
    path = np.linspace(0.0, alpha_range(5000.0), 200)
    deposit = np.diff(alpha_within(5000.0, path))
    assert 0.8 < path[int(deposit.argmax())] / path[-1] < 1.0


def test_the_table_ends_where_it_says():
    assert alpha_range(HIGHEST_KEV) == pytest.approx(alpha_range(HIGHEST_KEV * 1.5))
