"""What a simulated study must show whatever its ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.receptor.suv_study import SuvStudySettings, simulate_suv_study

SETTINGS = SuvStudySettings(lesions=40, sensitivity=0.0)


@pytest.fixture(scope="module")
def study():
    return simulate_suv_study(SETTINGS)


def test_clearance_lowers_the_suv_and_leaves_vt_alone(study):
    """Hamberg 1994: the SUV of a late frame depends on the clearance of the plasma."""
    assert study.clearance_effect("suv") < -10
    assert study.clearance_effect("ratio") > 10
    # Logan's line from the last ten frames of an hour is not quite straight, and how much hangs on the input a little.
    assert abs(study.clearance_effect("logan")) < 6
    assert abs(study.clearance_effect("fit")) < 0.5


def test_without_noise_the_fit_is_the_truth(study):
    assert study.measured["fit"] == pytest.approx(study.truth["VT"], rel=1e-3)


def test_equal_seeds_give_equal_studies():
    small = replace(SETTINGS, lesions=4, sensitivity=2e-4)
    first, again = simulate_suv_study(small), simulate_suv_study(small)
    other = simulate_suv_study(replace(small, seed=1))
    assert np.array_equal(first.measured["suv"], again.measured["suv"])
    assert not np.array_equal(first.measured["suv"], other.measured["suv"])


@pytest.mark.parametrize("change", [{"lesions": 1}, {"until_min": 1.0}, {"k3": (0.2, 0.1)}, {"volume_ml": 0.0}])
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(InputError):
        simulate_suv_study(replace(SETTINGS, **change))
