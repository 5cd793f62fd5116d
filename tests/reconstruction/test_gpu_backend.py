"""On a GPU: projections and images are those of the compiled kernels to 1e-4. Without one these tests are skipped."""

from __future__ import annotations

import numpy as np
import pytest
from array_problems import TOF, difference, largest_difference, pet, spect

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import osem
from fusin.reconstruction.array_library import open_library
from fusin.reconstruction.array_pet import ArrayPetSinogramProjector
from fusin.reconstruction.array_projector import ArrayMatrixProjector
from fusin.reconstruction.array_spect import ArraySpectProjector
from fusin.reconstruction.data import Measured
from fusin.reconstruction.projector import MatrixProjector, adjoint_mismatch


@pytest.fixture(scope="module", params=["torch", "cupy"])
def gpu(request):
    try:
        return open_library(request.param, "cuda", log=NoticeLog())
    except InputError as err:
        pytest.skip(f"no CUDA device: {err}")


HOSTS = {
    "SPECT": spect,
    "SPECT of two beds": lambda: spect(beds=2),
    "PET": lambda: pet(factors=True, blurred=True),
    "PET with time of flight": lambda: pet(span=3, mashing=2, tof=TOF),
}


def on_gpu(host, gpu):
    return ArraySpectProjector(host, gpu) if hasattr(host, "plan") else ArrayPetSinogramProjector(host, gpu)


@pytest.mark.parametrize("case", HOSTS)
def test_projections_are_those_of_the_compiled_kernels(gpu, case):
    host = HOSTS[case]()
    projector = on_gpu(host, gpu)
    assert largest_difference(host, projector) < 1e-4
    assert adjoint_mismatch(projector, rng=np.random.default_rng(0)) < 1e-6


@pytest.mark.parametrize("case", HOSTS)
def test_osem_gives_the_same_image(gpu, case):
    host = HOSTS[case]()
    truth = np.ones(host.image_shape, np.float32)
    truth[2:4, 9:14, 12:18] = 8.0
    expected = host.forward(truth)
    counts = np.random.default_rng(1).poisson(expected * (2e5 / expected.sum())).astype(np.float32)
    measured = Measured(counts=counts, additive=np.full(counts.shape, 0.01, np.float32))
    one, other = (osem(p, measured, iterations=2, subsets=4).image for p in (host, on_gpu(host, gpu)))
    assert difference(other, one) < 1e-4


@pytest.mark.parametrize("case", ["SPECT", "PET with time of flight"])
def test_a_second_run_gives_the_same_bits(gpu, case):
    projector = on_gpu(HOSTS[case](), gpu)
    rng = np.random.default_rng(2)
    image, data = rng.random(projector.image_shape, np.float32), rng.random(projector.data_shape, np.float32)
    found = {(projector.forward(image).tobytes(), projector.back(data).tobytes()) for _ in range(3)}
    assert len(found) == 1


def test_a_matrix_gives_the_same_projections(gpu):
    rng = np.random.default_rng(3)
    host = MatrixProjector(rng.random((60, 48)), (3, 4, 4), (6, 10))
    projector = ArrayMatrixProjector(host, to_device=gpu.put, to_host=gpu.get)
    assert largest_difference(host, projector) < 1e-4
