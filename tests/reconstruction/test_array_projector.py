"""Products on another array library give the image of the host to 1e-4."""

from __future__ import annotations

import numpy as np
import pytest
from small_problem import counts, matrix_projector

from fusin.errors import InputError
from fusin.reconstruction.algorithms import osem
from fusin.reconstruction.array_projector import ArrayMatrixProjector
from fusin.reconstruction.projector import adjoint_mismatch


def _difference(projector):
    host = matrix_projector()
    a = osem(host, counts(host), iterations=3, subsets=4).image
    b = osem(projector, counts(host), iterations=3, subsets=4).image
    return float(np.abs(a - b).max() / a.max())


def test_arrays_of_numpy_give_the_image_of_the_host():
    projector = ArrayMatrixProjector(matrix_projector(), to_device=np.asarray)
    assert _difference(projector) < 1e-4
    assert adjoint_mismatch(projector, rng=np.random.default_rng(1)) < 1e-6


def test_a_gpu_gives_the_image_of_the_host():
    torch = pytest.importorskip("torch", reason="no PyTorch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    projector = ArrayMatrixProjector(
        matrix_projector(), to_device=lambda a: torch.from_numpy(np.array(a)).cuda(), to_host=lambda t: t.cpu().numpy()
    )
    assert _difference(projector) < 1e-4


def test_functions_that_change_an_array_are_refused():
    with pytest.raises(InputError, match="inverse"):
        ArrayMatrixProjector(matrix_projector(), to_device=lambda a: a + 1)
