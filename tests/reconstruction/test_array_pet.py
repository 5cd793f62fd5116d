"""The PET projector on arrays is that of the compiled kernels, whose judges stand in test_pet.py."""

from __future__ import annotations

import numpy as np
import pytest
from array_problems import SCANNER, TOF, difference, largest_difference, library, pet

from fusin.errors import InputError
from fusin.imaging.volume import Grid
from fusin.reconstruction.algorithms import osem
from fusin.reconstruction.array_pet import ArrayPetSinogramProjector
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import PetSinogramProjector, SinogramGeometry
from fusin.reconstruction.projector import adjoint_mismatch

CASES = {
    "plain": {},
    "span 3": {"span": 3},
    "time of flight": {"tof": TOF},
    "factors and resolution": {"factors": True, "blurred": True},
    "all": {"span": 3, "mashing": 2, "tof": TOF, "factors": True, "blurred": True, "rays": "pairs"},
}


def pair(name="numpy", **changes):
    host = pet(**changes)
    return host, ArrayPetSinogramProjector(host, library(name))


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("case", CASES)
def test_projections_are_those_of_the_compiled_kernels(name, case):
    host, projector = pair(name, **CASES[case])
    assert largest_difference(host, projector) < 1e-5
    assert largest_difference(host, projector, views=np.array([5, 0, 11])) < 1e-5


@pytest.mark.parametrize("per_ring", [1, 3])
def test_slices_may_divide_the_ring_pitch_by_any_whole_number(per_ring):
    host, projector = pair(per_ring=per_ring, span=3)
    assert largest_difference(host, projector) < 1e-5


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("case", ["span 3", "all"])
def test_back_projection_is_the_exact_transpose(name, case):
    _, projector = pair(name, **CASES[case])
    assert adjoint_mismatch(projector, rng=np.random.default_rng(3)) < 1e-6
    assert adjoint_mismatch(projector, rng=np.random.default_rng(4), views=np.array([3, 1])) < 1e-6


def test_lines_that_miss_a_small_image_see_nothing_of_it():
    geometry = SinogramGeometry.of_span(SCANNER, bins=63)
    affine = np.diag([5.0, 7.0, 6.0, 1.0])
    affine[:3, 3] = (20.0, -60.0, -15.0)
    host = PetSinogramProjector(geometry, Grid(shape=(6, 9, 1), affine=affine))
    projector = ArrayPetSinogramProjector(host, library("numpy"))
    assert host.shares_columns
    assert largest_difference(host, projector) < 1e-5
    assert (projector.forward(np.ones(host.image_shape, np.float32)) == 0).mean() > 0.5


def test_how_many_lines_are_computed_together_changes_nothing_but_rounding(monkeypatch):
    host, projector = pair(tof=TOF)
    monkeypatch.setattr(type(projector.library), "at_once", 5000)
    monkeypatch.setattr("fusin.reconstruction.array_pet._KEPT_BYTES", 0)
    assert (
        largest_difference(host, ArrayPetSinogramProjector(host, projector.library), views=np.array([4, 5, 30])) < 1e-5
    )


def test_osem_gives_the_same_image():
    host, projector = pair(factors=True, blurred=True)
    truth = np.zeros(host.image_shape, np.float32)
    truth[3:8, 8:17, 9:20], truth[5, 11:13, 13:15] = 0.05, 0.4
    counts = np.random.default_rng(6).poisson(host.forward(truth)).astype(np.float32)
    measured = Measured(counts=counts, additive=np.full(counts.shape, 0.05, np.float32))
    one, other = (osem(p, measured, iterations=2, subsets=4).image for p in (host, projector))
    assert difference(other, one) < 1e-4


def test_rings_without_a_common_pitch_are_refused_with_what_would_do():
    geometry = SinogramGeometry.of_span(SCANNER, bins=15)
    affine = np.diag([8.0, 8.0, 4.5, 1.0])
    affine[:3, 3] = (-76.0, -76.0, -18.0)
    host = PetSinogramProjector(geometry, Grid(shape=(9, 20, 20), affine=affine))
    with pytest.raises(InputError, match="backend numba"):
        ArrayPetSinogramProjector(host, library("numpy"))


def test_what_does_not_fit_is_refused_as_on_the_cpu():
    host, projector = pair()
    for p in (host, projector):
        with pytest.raises(InputError, match="shape"):
            p.forward(np.ones((3, 3, 3), np.float32))
        with pytest.raises(InputError, match="shape"):
            p.back(np.ones((8, 3, 3), np.float32))
        with pytest.raises(InputError, match="indices"):
            p.sensitivity(np.array([-1]))
