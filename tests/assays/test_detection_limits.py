"""Currie's limits against the numbers that everybody quotes, and against the definition by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.assays.detection_limits import currie_limits, currie_limits_of_times
from fusin.errors import InvalidValue


@pytest.mark.parametrize("background", [20.0, 100.0, 2500.0])
def test_paired_blank_gives_the_working_expressions(background):
    # Currie 1968, Anal Chem 40:586: 2.33 sqrt(B), 2.71 + 4.65 sqrt(B), 50 (1 + sqrt(1 + B/12.5))
    found = currie_limits(background)
    assert found.decision == pytest.approx(2.33 * math.sqrt(background), rel=2e-3)
    assert found.detection == pytest.approx(2.71 + 4.65 * math.sqrt(background), rel=2e-3)
    assert found.determination == pytest.approx(50 * (1 + math.sqrt(1 + background / 12.5)), rel=1e-12)


def test_a_well_known_background_gives_the_smaller_limits():
    # Currie 1968, table: 1.64 sqrt(B), 2.71 + 3.29 sqrt(B)
    found = currie_limits(400.0, background_u_counts=0.0)
    assert found.decision == pytest.approx(1.645 * 20, rel=1e-3)
    assert found.detection == pytest.approx(2.71 + 3.29 * 20, rel=1e-3)


def test_a_long_blank_lies_between_both():
    equal = currie_limits_of_times(100.0, blank_time_s=60.0, sample_time_s=60.0)
    assert equal == currie_limits(100.0)
    longer = currie_limits_of_times(1000.0, blank_time_s=600.0, sample_time_s=60.0)
    # s0^2 = B (1 + t/tb) = 100 (1 + 0.1)
    assert longer.decision == pytest.approx(1.6448536 * math.sqrt(110.0), rel=1e-6)
    assert currie_limits(100.0, background_u_counts=0.0).decision < longer.decision < equal.decision


def test_both_risks_are_five_percent_at_the_limits():
    rng, background = np.random.default_rng(4), 400.0
    found = currie_limits(background)
    empty = rng.poisson(background, 200_000) - rng.poisson(background, 200_000)
    full = rng.poisson(background + found.detection, 200_000) - rng.poisson(background, 200_000)
    assert np.mean(empty > found.decision) == pytest.approx(0.05, abs=0.004)
    assert np.mean(full <= found.decision) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("wrong", [{"background_counts": -1.0}, {"background_counts": 1.0, "risk": 5.0},
                                   {"background_counts": 1.0, "background_u_counts": -1.0}])  # fmt: skip
def test_impossible_backgrounds_and_risks_are_refused(wrong):
    with pytest.raises(InvalidValue):
        currie_limits(**wrong)
    with pytest.raises(InvalidValue):
        currie_limits_of_times(10.0, blank_time_s=0.0, sample_time_s=60.0)
