"""The bootstrap against the spread of repeated acquisitions, which a simulation can afford."""

from __future__ import annotations

import numpy as np
import pytest
from small_problem import DATA, SHAPE, counts, matrix_projector, truth

from fusin.errors import InputError
from fusin.reconstruction.algorithms import Options, osem
from fusin.reconstruction.bootstrap import bootstrap_counts, interval_of

HOT = truth() == 6.0
OPTIONS = Options(algorithm="osem", iterations=3, subsets=4)


def bootstrap(measured, *, replicates, seed=0):
    return bootstrap_counts(matrix_projector(), measured, options=OPTIONS, iterations=3, replicates=replicates, seed=seed,
                            regions={"hot": HOT})  # fmt: skip


def test_the_spread_of_replicates_is_that_of_repeated_acquisitions():
    projector = matrix_projector()
    repeated = np.array([
        osem(projector, counts(projector, seed=s), iterations=3, subsets=4).image for s in range(100, 220)
    ])  # fmt: skip
    found = bootstrap(counts(projector), replicates=120)
    assert found.sd.mean() == pytest.approx(repeated.std(axis=0, ddof=1).mean(), rel=0.08)
    spread = repeated[:, HOT].mean(axis=1).std(ddof=1)
    assert found.regions["hot"].std(ddof=1) == pytest.approx(spread, rel=0.3)


def test_a_replicate_does_not_depend_on_how_many_follow():
    measured = counts(matrix_projector())
    few, more = bootstrap(measured, replicates=3, seed=4), bootstrap(measured, replicates=5, seed=4)
    assert np.array_equal(few.regions["hot"], more.regions["hot"][:3])


def test_the_interval_is_a_hand_calculation():
    """Replicates 9, 10, 11: sd 1, t(2, 0.975) = 4.30265; with 5 % of 10 shared: sqrt(4.30265^2 + (1.95996 x 0.5)^2)."""
    found = interval_of(10.0, np.array([9.0, 10.0, 11.0]), u_relative=0.05)
    half = np.hypot(4.302653, 1.959964 * 0.5)
    assert (found.low, found.high) == pytest.approx((10 - half, 10 + half), rel=1e-6)
    assert "Student's t" in found.method


def test_without_replicates_and_calibration_there_is_no_interval():
    found = interval_of(10.0, np.array([]))
    assert (found.low, found.high) == (None, None)
    assert found.note


def test_one_replicate_is_refused():
    with pytest.raises(InputError, match="2 or more"):
        bootstrap(counts(matrix_projector()), replicates=1)


def test_the_small_problem_is_what_its_shapes_say():
    assert matrix_projector().matrix.shape == (int(np.prod(DATA)), int(np.prod(SHAPE)))
