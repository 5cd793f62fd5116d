"""The relative-difference prior of Nuyts et al.: it smooths what is small beside its surroundings and spares edges.

::

    R(x) = sum over pairs  w_jk kappa_j kappa_k (x_j - x_k)^2 / (x_j + x_k + gamma |x_j - x_k| + epsilon)

with the 26 neighbours of each voxel and ``w_jk`` the smallest voxel side over the distance of the two centres. What is
maximised is ``L(x) - beta R(x)``. R has the unit of the image, so beta is a pure number and a change of the scale of the
image (counts or Bq/mL) does not change what it does.

References
----------
Nuyts J, Bequé D, Dupont P, Mortelmans L, IEEE Trans Nucl Sci 2002;49:56 (the prior) · Fessler JA, Rogers WL, IEEE Trans
Image Process 1996;5:1346 (kappa, for a resolution that does not depend on the place).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.reconstruction.projector import FloatImage

__all__ = ["RelativeDifference", "neighbour_weights"]

DoubleImage = NDArray[np.float64]


def neighbour_weights(spacing_mm: tuple[float, float, float]) -> DoubleImage:
    """Weights of the 26 neighbours, the smallest voxel side over their distance; 0 for the voxel itself.

    Parameters
    ----------
    spacing_mm : along slices, rows and columns of the array
    """
    steps = np.arange(-1, 2)
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    dz, dy, dx = spacing_mm
    distance = np.sqrt((z * dz) ** 2 + (y * dy) ** 2 + (x * dx) ** 2)
    distance[1, 1, 1] = np.inf
    weights: DoubleImage = min(spacing_mm) / distance
    return weights


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RelativeDifference:
    """A prior with its strength.

    Attributes
    ----------
    beta : strength, 0 or more
    gamma : 0 for a nearly quadratic prior, larger spares edges more; 2 is usual
    epsilon : keeps two empty voxels from dividing by nothing, in the unit of the image; positive
    spacing_mm : of the voxels along slices, rows and columns
    kappa : (slices, rows, columns) weights of the voxels; None for 1 everywhere

    Raises
    ------
    InputError
        For numbers outside these limits.
    """

    beta: float
    epsilon: float
    gamma: float = 2.0
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    kappa: FloatImage | None = None

    def __post_init__(self) -> None:
        for name, least in (("beta", 0.0), ("gamma", 0.0), ("epsilon", np.nextafter(0.0, 1.0))):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= least):
                raise InputError("prior", name, value, "a positive number" if least else "0 or a positive number")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise InputError("prior", "spacing_mm", self.spacing_mm, "three positive numbers")
        if self.kappa is not None and not (np.isfinite(self.kappa).all() and (np.asarray(self.kappa) >= 0).all()):
            raise InputError("prior", "kappa", "values below 0 or no numbers", "0 or a positive number in each voxel")

    def _with(self, image: NDArray[np.floating]) -> tuple[NDArray[np.floating], FloatImage, DoubleImage, float, float]:
        kappa = np.ones(image.shape, np.float32) if self.kappa is None else self.kappa
        if kappa.shape != image.shape:
            raise InputError("prior", "kappa", kappa.shape, f"the shape {image.shape} of the image")
        return image, kappa, neighbour_weights(self.spacing_mm), float(self.gamma), float(self.epsilon)

    def value(self, image: NDArray[np.floating]) -> float:
        """R(x), without beta."""
        from fusin.reconstruction.relative_difference_kernels import prior_values

        return float(prior_values(*self._with(image)).sum())

    def gradient(self, image: NDArray[np.floating]) -> DoubleImage:
        """dR/dx_j of each voxel, without beta."""
        from fusin.reconstruction.relative_difference_kernels import prior_gradient

        found: DoubleImage = prior_gradient(*self._with(image))
        return found

    def curvature(self, image: NDArray[np.floating]) -> DoubleImage:
        """d2R/dx_j2 of each voxel, without beta."""
        from fusin.reconstruction.relative_difference_kernels import prior_curvature

        found: DoubleImage = prior_curvature(*self._with(image))
        return found
