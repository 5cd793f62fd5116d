"""The prior against its definition and numerical derivatives."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fusin.errors import InputError
from fusin.reconstruction.priors import RelativeDifference, neighbour_weights

SPACING = (3.0, 2.0, 2.0)


def images():
    rng = np.random.default_rng(5)
    return rng.gamma(1.0, 2.0, (3, 4, 5)), rng.uniform(0.5, 1.5, (3, 4, 5)).astype(np.float32)


def by_definition(image, prior):
    """The sum over pairs as in Nuyts et al. 2002, written with loops."""
    total = 0.0
    index = list(np.ndindex(image.shape))
    kappa = np.ones(image.shape) if prior.kappa is None else prior.kappa
    for i, a in enumerate(index):
        for b in index[i + 1 :]:
            step = np.abs(np.subtract(a, b))
            if step.max() > 1:
                continue
            weight = min(SPACING) / np.sqrt(((step * SPACING) ** 2).sum())
            d = image[a] - image[b]
            total += weight * kappa[a] * kappa[b] * d**2 / (image[a] + image[b] + prior.gamma * abs(d) + prior.epsilon)
    return total


@pytest.mark.parametrize("gamma", [0.0, 2.0, 10.0])
def test_the_value_is_the_sum_over_pairs(gamma):
    image, kappa = images()
    prior = RelativeDifference(beta=1.0, gamma=gamma, epsilon=0.01, spacing_mm=SPACING, kappa=kappa)
    assert prior.value(image) == pytest.approx(by_definition(image, prior), rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_the_gradient_is_the_numerical_derivative_of_the_value(gamma):
    image, kappa = images()
    prior = RelativeDifference(beta=1.0, gamma=gamma, epsilon=0.01, spacing_mm=SPACING, kappa=kappa)
    found, h = prior.gradient(image), 1e-5
    for index in np.ndindex(image.shape):
        up, down = image.copy(), image.copy()
        up[index] += h
        down[index] -= h
        assert found[index] == pytest.approx((prior.value(up) - prior.value(down)) / (2 * h), rel=1e-5, abs=1e-7)


def test_the_curvature_is_the_numerical_derivative_of_the_gradient():
    image, kappa = images()
    prior = RelativeDifference(beta=1.0, epsilon=0.01, spacing_mm=SPACING, kappa=kappa)
    found, h = prior.curvature(image), 1e-6
    for index in np.ndindex(image.shape):
        up, down = image.copy(), image.copy()
        up[index] += h
        down[index] -= h
        numeric = (prior.gradient(up)[index] - prior.gradient(down)[index]) / (2 * h)
        assert found[index] == pytest.approx(numeric, rel=1e-4)


def test_a_flat_image_has_no_penalty_and_no_slope():
    prior = RelativeDifference(beta=1.0, epsilon=0.01)
    flat = np.full((3, 4, 5), 7.0)
    assert prior.value(flat) == 0.0
    assert np.abs(prior.gradient(flat)).max() == 0.0


def test_the_penalty_scales_with_the_image():
    """The prior has the unit of the image, so that beta does not depend on the calibration."""
    image, _ = images()
    one = RelativeDifference(beta=1.0, epsilon=0.01).value(image)
    assert RelativeDifference(beta=1.0, epsilon=10.0).value(image * 1000.0) == pytest.approx(1000.0 * one, rel=1e-12)


def test_threads_do_not_change_a_bit():
    image, kappa = images()
    prior = RelativeDifference(beta=1.0, epsilon=0.01, kappa=kappa)
    both = prior.value(image), prior.gradient(image)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = prior.value(image), prior.gradient(image)
    finally:
        numba.set_num_threads(before)
    assert alone[0] == both[0]
    assert np.array_equal(alone[1], both[1])


def test_neighbours_weigh_by_their_distance():
    weights = neighbour_weights(SPACING)
    assert weights[1, 1, 1] == 0.0
    assert weights[1, 1, 2] == 1.0
    assert weights[2, 1, 1] == pytest.approx(2 / 3)
    assert weights[1, 2, 2] == pytest.approx(1 / np.sqrt(2))


@pytest.mark.parametrize("given", [{"beta": -1.0}, {"gamma": -0.1}, {"epsilon": 0.0}, {"spacing_mm": (1.0, 0.0, 1.0)},
                                   {"beta": np.nan}, {"kappa": -np.ones((2, 2, 2), np.float32)}])  # fmt: skip
def test_a_prior_that_is_none_is_refused(given):
    with pytest.raises(InputError):
        RelativeDifference(**{"beta": 1.0, "epsilon": 0.1, **given})
