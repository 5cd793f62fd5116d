"""The SPECT projector on arrays is that of the compiled kernels, whose judges stand in test_spect_projector.py."""

from __future__ import annotations

import numpy as np
import pytest
from array_problems import RESPONSE, difference, largest_difference, library, spect

from fusin.errors import InputError
from fusin.reconstruction.algorithms import osem
from fusin.reconstruction.array_spect import ArraySpectProjector
from fusin.reconstruction.data import Measured
from fusin.reconstruction.projector import adjoint_mismatch


def pair(name="numpy", **changes):
    host = spect(**changes)
    return host, ArraySpectProjector(host, library(name))


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("response", [None, RESPONSE], ids=["sharp", "blurred"])
@pytest.mark.parametrize("attenuated", [False, True], ids=["bare", "attenuated"])
def test_projections_are_those_of_the_compiled_kernels(name, attenuated, response):
    host, projector = pair(name, attenuated=attenuated, response=response)
    assert largest_difference(host, projector) < 1e-5
    assert largest_difference(host, projector, views=np.array([7, 2, 3, 9])) < 1e-5


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_views_of_two_beds_see_their_own_slabs(name):
    host, projector = pair(name, beds=2)
    assert host.plan.slabs.min(axis=0).tolist() != host.plan.slabs.max(axis=0).tolist()
    assert largest_difference(host, projector) < 1e-5
    assert adjoint_mismatch(projector, rng=np.random.default_rng(3)) < 1e-6


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_back_projection_is_the_exact_transpose(name):
    _, projector = pair(name)
    assert adjoint_mismatch(projector, rng=np.random.default_rng(3)) < 1e-6
    assert adjoint_mismatch(projector, rng=np.random.default_rng(4), views=np.array([8, 1])) < 1e-6
    _, exact = pair(name, double=True)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal(exact.image_shape), rng.standard_normal(exact.data_shape)
    forward = exact.forward(x)
    scale = float(np.linalg.norm(forward) * np.linalg.norm(y))
    assert abs(float((forward * y).sum()) - float((x * exact.back(y)).sum())) < 1e-13 * scale


def test_how_many_views_are_computed_together_changes_nothing_but_rounding(monkeypatch):
    host, projector = pair()
    one = projector.forward(np.ones(host.image_shape, np.float32))
    monkeypatch.setattr(type(projector.library), "at_once", 1)
    monkeypatch.setattr("fusin.reconstruction.array_spect._KEPT_BYTES", 0)
    alone = ArraySpectProjector(host, projector.library)
    assert difference(alone.forward(np.ones(host.image_shape, np.float32)), one) < 1e-6
    assert largest_difference(host, alone) < 1e-5


def test_osem_gives_the_same_image():
    host, projector = pair()
    truth = np.zeros(host.image_shape, np.float32)
    truth[4:14, 8:20, 8:20], truth[8:10, 11:14, 13:16] = 4.0, 40.0
    counts = np.random.default_rng(6).poisson(host.forward(truth)).astype(np.float32)
    one, other = (osem(p, Measured(counts=counts), iterations=3, subsets=5).image for p in (host, projector))
    assert difference(other, one) < 1e-4


def test_what_does_not_fit_is_refused_as_on_the_cpu():
    host, projector = pair()
    for p in (host, projector):
        with pytest.raises(InputError, match="shape"):
            p.forward(np.ones((3, 3, 3), np.float32))
        with pytest.raises(InputError, match="shape"):
            p.back(np.ones((8, 3, 3), np.float32))
        with pytest.raises(InputError, match="indices"):
            p.sensitivity(np.array([10]))
