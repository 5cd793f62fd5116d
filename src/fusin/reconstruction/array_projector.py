"""A matrix projector on any array library of the array API, such as CuPy or PyTorch: products on a GPU, images on the host.

Everything else of a reconstruction stays as it is: arrays go to the device and come back at each projection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.reconstruction.projector import FloatImage, MatrixProjector, ViewProjector, Views

__all__ = ["ArrayMatrixProjector"]


class ArrayMatrixProjector(ViewProjector):
    """The same matrix as a `MatrixProjector`, in single precision on another library's arrays.

    Parameters
    ----------
    host : matrix and shapes
    to_device : turns a float32 array of NumPy into one of the library, for example ``cupy.asarray``
    to_host : turns it back, for example ``cupy.asnumpy``

    Raises
    ------
    InputError
        Where the two do not turn an array into itself.
    """

    def __init__(
        self,
        host: MatrixProjector,
        *,
        to_device: Callable[[FloatImage], Any],
        to_host: Callable[[Any], Any] = np.asarray,
    ) -> None:
        probe = np.arange(3, dtype=np.float32)
        if not np.array_equal(np.asarray(to_host(to_device(probe))), probe):
            raise InputError(
                "array projector", "to_device and to_host", "another array", "functions that are each other's inverse"
            )
        self._host, self._to_device, self._to_host = host, to_device, to_host
        views = host.data_shape[0]
        self._matrix = to_device(
            np.ascontiguousarray(host.matrix.reshape(views, -1, host.matrix.shape[1]), dtype=np.float32)
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self._host.image_shape

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Views first."""
        return self._host.data_shape

    def _view(self, view: int) -> Any:
        return self._matrix[int(view)]

    def _forward(self, image: FloatImage, views: Views) -> FloatImage:
        x = self._to_device(np.ascontiguousarray(image, dtype=np.float32).ravel())
        parts = [np.asarray(self._to_host(self._view(v) @ x)) for v in views]
        return np.asarray(np.stack(parts).reshape(-1, *self.data_shape[1:]), dtype=np.float32)

    def _back(self, data: FloatImage, views: Views) -> FloatImage:
        rows = np.ascontiguousarray(data, dtype=np.float32).reshape(len(views), -1)
        total = np.zeros(int(np.prod(self.image_shape)), np.float64)
        for view, values in zip(views, rows, strict=True):
            total += np.asarray(self._to_host(self._to_device(values) @ self._view(view)))
        return total.reshape(self.image_shape).astype(np.float32)
