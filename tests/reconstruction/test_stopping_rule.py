"""When a run stops early."""

from __future__ import annotations

import numpy as np
import pytest
from small_problem import SHAPE, counts, matrix_projector, truth

from fusin.errors import InputError
from fusin.reconstruction.algorithms import Options, reconstruct
from fusin.reconstruction.priors import RelativeDifference
from fusin.reconstruction.stopping import OBJECT, REGION, Stopping

WHOLE = np.ones(SHAPE, bool)
BACKGROUND = truth() == 1.0
HOT = truth() == 6.0


def test_the_tolerances_are_those_of_the_challenge():
    """SyneRBI/PETRIC, petric.py: RMSE of object and background 0.01, mean of a region 0.005."""
    assert (OBJECT, REGION) == (0.01, 0.005)


def test_the_metrics_are_those_of_a_hand_calculation():
    """Background 2; everything off by 0.1: RMSE / mean = 0.05; the region off by 0.3: 0.15."""
    reference = np.full(SHAPE, 2.0, np.float32)
    image = reference + np.float32(0.1)
    image[HOT] = 2.3
    rule = Stopping(whole=BACKGROUND, background=BACKGROUND, regions={"hot": HOT}, reference=reference)
    found = rule.metrics(image, image)
    assert found == pytest.approx({"object": 0.05, "background": 0.05, "hot": 0.15}, rel=1e-5)
    assert rule.metric(image, image) == pytest.approx(0.15 / 0.005, rel=1e-5)


def test_a_run_with_a_prior_stops_once_it_rests():
    rule = Stopping(whole=WHOLE, background=BACKGROUND, regions={"hot": HOT}, consecutive=2)
    options = Options(algorithm="map", iterations=200, subsets=4, prior=RelativeDifference(beta=20.0, epsilon=1e-3))
    found = reconstruct(matrix_projector(), counts(matrix_projector()), options=options, stopping=rule)
    assert 2 < found.state.iteration < 100
    assert "differ from the image an iteration before" in found.stopped
    assert all(c < 1 for c in found.state.changes[-2:])
    assert found.state.changes[-3] >= 1


def test_a_run_that_never_rests_says_that_its_iterations_ended_it():
    rule = Stopping(whole=WHOLE, background=BACKGROUND)
    found = reconstruct(matrix_projector(), counts(matrix_projector()), options=Options(iterations=2), stopping=rule)
    assert found.stopped == "2 iterations were asked for"


@pytest.mark.parametrize("given", [{"background": np.zeros(SHAPE, bool)}, {"regions": {"a": np.ones((2, 2, 2), bool)}},
                                   {"consecutive": 0}, {"object_tolerance": 0.0}])  # fmt: skip
def test_a_rule_that_could_never_be_met_is_refused(given):
    with pytest.raises(InputError):
        Stopping(**{"whole": WHOLE, "background": BACKGROUND, **given})
