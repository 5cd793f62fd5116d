"""What a reconstruction needs to know of a camera: expected counts of an image, and the exact transpose.

Images are ``(slices, rows, columns)`` and data have views as their first axis; both are float32. A subset of the data is a
list of view indices. Every algorithm of this wing is written against this protocol, so that SPECT, PET, list mode and the
small matrices of the tests share one reconstruction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = [
    "FloatImage",
    "MatrixProjector",
    "Projector",
    "ViewProjector",
    "Views",
    "adjoint_mismatch",
    "chosen_views",
    "require_shape",
]

FloatImage = NDArray[np.float32]
Views = NDArray[np.intp]


@runtime_checkable
class Projector(Protocol):
    """A linear model of one whole acquisition, split into views.

    Attenuation, normalisation, resolution and time per view are inside; scatter and randoms are not, they are the
    ``additive`` of `fusin.reconstruction.data.Measured`. ``views=None`` means all of them, in order.
    """

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns) of the image."""

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of the data; the first axis counts views."""

    def forward(self, image: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the expected counts of the views, shape ``(len(views), *data_shape[1:])``."""

    def back(self, data: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the exact transpose of `forward` applied to data of the views."""

    def sensitivity(self, views: Views | None = None) -> FloatImage:
        """Return ``back(ones)``; for list mode the integral over all lines, and its share for some of the events."""


@dataclass(frozen=True, slots=True, eq=False)
class MatrixProjector:
    """A projector that holds its matrix: for tests, teaching and problems of a few thousand voxels.

    Parameters
    ----------
    matrix : (bins, voxels), not negative; rows in the order of the flattened data
    image_shape : (slices, rows, columns) with ``voxels`` elements
    data_shape : views first, ``bins`` elements

    Raises
    ------
    InputError
        When the shapes do not fit together.
    """

    matrix: NDArray[np.float64]
    image_shape: tuple[int, int, int]
    data_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        needed = (int(np.prod(self.data_shape)), int(np.prod(self.image_shape)))
        if self.matrix.shape != needed:
            raise InputError("projector", "matrix", self.matrix.shape, f"the shape {needed} of data and image")

    def _rows(self, views: Views | None) -> NDArray[np.float64]:
        per_view = self.matrix.reshape(self.data_shape[0], -1, self.matrix.shape[1])
        chosen = per_view if views is None else per_view[np.asarray(views, dtype=np.intp)]
        return chosen.reshape(-1, self.matrix.shape[1])

    def forward(self, image: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the expected counts of the views."""
        product = self._rows(views) @ np.asarray(image, dtype=np.float64).ravel()
        return product.reshape(-1, *self.data_shape[1:]).astype(np.float32)

    def back(self, data: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the transpose applied to data of the views."""
        product = self._rows(views).T @ np.asarray(data, dtype=np.float64).ravel()
        return product.reshape(self.image_shape).astype(np.float32)

    def sensitivity(self, views: Views | None = None) -> FloatImage:
        """Return the sums of the columns over the views."""
        sums: FloatImage = self._rows(views).sum(axis=0).reshape(self.image_shape).astype(np.float32)
        return sums


def chosen_views(views: Views | None, count: int, where: str) -> Views:
    """Indices of the views; all of them without any.

    Raises
    ------
    InputError
        For a view that does not exist.
    """
    chosen = np.arange(count) if views is None else np.asarray(views, dtype=np.intp)
    if ((chosen < 0) | (chosen >= count)).any():
        raise InputError(where, "views", [int(chosen.min()), int(chosen.max())], f"indices from 0 to {count - 1}")
    return chosen


def require_shape(
    where: str, field: str, values: NDArray[Any], needed: tuple[int, ...], of: str = "of the grid"
) -> None:
    """Refuse an image or data of another shape.

    Raises
    ------
    InputError
        With the shape that is needed.
    """
    if tuple(values.shape) != needed:
        raise InputError(where, field, tuple(values.shape), f"the shape {needed} {of}")


class ViewProjector(ABC):
    """What projectors of a camera or scanner share: checks of shapes and views, and the sensitivity.

    A projector has its shapes and two methods, ``_forward(image, views)`` and its exact transpose ``_back(data, views)``, which get
    views that exist and arrays of the right shape.
    """

    where = "projector"

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""

    @property
    @abstractmethod
    def data_shape(self) -> tuple[int, ...]:
        """Shape of the data; the first axis counts views."""

    @abstractmethod
    def _forward(self, image: FloatImage, views: Views) -> FloatImage: ...

    @abstractmethod
    def _back(self, data: FloatImage, views: Views) -> FloatImage: ...

    def _guard(self) -> AbstractContextManager[None]:
        """Around both directions, to turn errors of a library into sentences."""
        return nullcontext()

    def forward(self, image: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the expected counts of the views, shape ``(len(views), *data_shape[1:])``.

        Parameters
        ----------
        image : (slices, rows, columns)
        views : indices; all of them without it

        Raises
        ------
        InputError
            For an image of another shape or a view that does not exist.
        NotComputable
            Where a device has not enough memory.
        """
        chosen = chosen_views(views, self.data_shape[0], self.where)
        require_shape(self.where, "image", image, self.image_shape)
        with self._guard():
            return self._forward(image, chosen)

    def back(self, data: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the exact transpose of `forward` applied to data of the views, (slices, rows, columns).

        Parameters
        ----------
        data : (len(views), *data_shape[1:])
        views : indices; all of them without it

        Raises
        ------
        InputError
            For data of another shape or a view that does not exist.
        NotComputable
            Where a device has not enough memory.
        """
        chosen = chosen_views(views, self.data_shape[0], self.where)
        require_shape(self.where, "data", data, (chosen.size, *self.data_shape[1:]), "of the views")
        with self._guard():
            return self._back(data, chosen)

    def sensitivity(self, views: Views | None = None) -> FloatImage:
        """Return ``back(ones)``."""
        count = self.data_shape[0] if views is None else len(views)
        return self.back(np.broadcast_to(np.float32(1.0), (count, *self.data_shape[1:])), views)


def adjoint_mismatch(projector: Projector, *, rng: np.random.Generator, views: Views | None = None) -> float:
    """Relative difference of <H x, y> and <x, H' y> for zero-mean x and y.

    Vectors without negative values hide a wrong transpose: their scalar products are dominated by sums, which even a
    poor back-projector keeps. The difference is divided by ``|H x| |y|``.

    Parameters
    ----------
    projector : the pair to test
    rng : draws x and y
    views : the views to test; all of them by default

    Returns
    -------
    float
        Below 1e-6 for a matched pair in float32.
    """
    x = rng.standard_normal(projector.image_shape).astype(np.float32)
    count = projector.data_shape[0] if views is None else len(views)
    y = rng.standard_normal((count, *projector.data_shape[1:])).astype(np.float32)
    hx = projector.forward(x, views).astype(np.float64)
    hty = projector.back(y, views).astype(np.float64)
    forward = float(np.vdot(hx, y.astype(np.float64)))
    backward = float(np.vdot(x.astype(np.float64), hty))
    scale = float(np.linalg.norm(hx) * np.linalg.norm(y.astype(np.float64)))
    return abs(forward - backward) / scale if scale > 0 else 0.0
