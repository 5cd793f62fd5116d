"""A reconstruction of a few hundred voxels through a dense matrix, for the tests of the algorithms."""

from __future__ import annotations

import numpy as np

from fusin.reconstruction.data import Measured
from fusin.reconstruction.projector import MatrixProjector

SHAPE, DATA = (3, 8, 8), (16, 30)


def matrix_projector(seed=1, shape=SHAPE, data=DATA):
    rng = np.random.default_rng(seed)
    return MatrixProjector(rng.gamma(0.3, 1.0, (int(np.prod(data)), int(np.prod(shape)))), shape, data)


def truth(shape=SHAPE):
    image = np.ones(shape, np.float32)
    image[1, 2:5, 2:5], image[2, 5:7, 5:7] = 6.0, 0.05
    return image


def counts(projector, *, additive=20.0, seed=2, scale=1.0):
    rng = np.random.default_rng(seed)
    b = np.full(projector.data_shape, additive, np.float32) if additive else None
    expected = scale * projector.forward(truth(projector.image_shape)) + (0.0 if b is None else b)
    return Measured(counts=rng.poisson(expected).astype(np.float32), additive=b)
