"""Compiled relative-difference prior over 26 neighbours; every voxel gathers, so threads change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = ["prior_curvature", "prior_gradient", "prior_values"]


@njit(cache=True, parallel=True)
def prior_values(image: NDArray[Any], kappa: NDArray[Any], weights: NDArray[Any], gamma: float, epsilon: float) -> Any:
    """Half the sum over the neighbours of each voxel, summed by slice in double precision: each pair counts once."""
    slices, rows, columns = image.shape
    out = np.zeros(slices, np.float64)
    for z in prange(slices):
        total = 0.0
        for y in range(rows):
            for x in range(columns):
                a, ka = np.float64(image[z, y, x]), np.float64(kappa[z, y, x])
                for dz in range(-1 if z > 0 else 0, 2 if z < slices - 1 else 1):
                    for dy in range(-1 if y > 0 else 0, 2 if y < rows - 1 else 1):
                        for dx in range(-1 if x > 0 else 0, 2 if x < columns - 1 else 1):
                            b = np.float64(image[z + dz, y + dy, x + dx])
                            d = a - b
                            below = a + b + gamma * abs(d) + epsilon
                            w = weights[dz + 1, dy + 1, dx + 1] * ka * kappa[z + dz, y + dy, x + dx]
                            if below > 0.0:
                                total += 0.5 * w * d * d / below
        out[z] = total
    return out


@njit(cache=True, parallel=True)
def prior_gradient(
    image: NDArray[Any], kappa: NDArray[Any], weights: NDArray[Any], gamma: float, epsilon: float
) -> Any:
    """First derivative by each voxel, float64."""
    slices, rows, columns = image.shape
    out = np.zeros(image.shape, np.float64)
    for z in prange(slices):
        for y in range(rows):
            for x in range(columns):
                a, ka, total = np.float64(image[z, y, x]), np.float64(kappa[z, y, x]), 0.0
                for dz in range(-1 if z > 0 else 0, 2 if z < slices - 1 else 1):
                    for dy in range(-1 if y > 0 else 0, 2 if y < rows - 1 else 1):
                        for dx in range(-1 if x > 0 else 0, 2 if x < columns - 1 else 1):
                            b = np.float64(image[z + dz, y + dy, x + dx])
                            d = a - b
                            below = a + b + gamma * abs(d) + epsilon
                            w = weights[dz + 1, dy + 1, dx + 1] * ka * kappa[z + dz, y + dy, x + dx]
                            if below > 0.0:
                                total += w * d * (gamma * abs(d) + a + 3.0 * b + 2.0 * epsilon) / (below * below)
                out[z, y, x] = total
    return out


@njit(cache=True, parallel=True)
def prior_curvature(
    image: NDArray[Any], kappa: NDArray[Any], weights: NDArray[Any], gamma: float, epsilon: float
) -> Any:
    """Second derivative by each voxel itself, the diagonal of the Hessian matrix, float64."""
    slices, rows, columns = image.shape
    out = np.zeros(image.shape, np.float64)
    for z in prange(slices):
        for y in range(rows):
            for x in range(columns):
                a, ka, total = np.float64(image[z, y, x]), np.float64(kappa[z, y, x]), 0.0
                for dz in range(-1 if z > 0 else 0, 2 if z < slices - 1 else 1):
                    for dy in range(-1 if y > 0 else 0, 2 if y < rows - 1 else 1):
                        for dx in range(-1 if x > 0 else 0, 2 if x < columns - 1 else 1):
                            b = np.float64(image[z + dz, y + dy, x + dx])
                            below = a + b + gamma * abs(a - b) + epsilon
                            w = weights[dz + 1, dy + 1, dx + 1] * ka * kappa[z + dz, y + dy, x + dx]
                            if below > 0.0:
                                total += 2.0 * w * (2.0 * b + epsilon) ** 2 / below**3
                out[z, y, x] = total
    return out
