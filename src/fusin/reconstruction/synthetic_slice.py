"""A made-up slice with known truth and its system matrix: small enough to be reconstructed in a moment.

The counts come from a grid five times finer than the image, so that they are not the image's own model back again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SyntheticSlice", "make_slice"]

FloatArray = NDArray[np.float64]
_MU_PER_CM, _BODY_MM = 0.13, 110.0
_DISCS = (("hot", (45.0, 30.0), 22.0, 8.0), ("warm", (-50.0, 25.0), 26.0, 4.0), ("cold", (0.0, -55.0), 24.0, 0.0))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SyntheticSlice:
    """Counts of a slice, the matrix that explains them, and the truth.

    Attributes
    ----------
    matrix : (bins, voxels) probability that a decay in a voxel is counted in a bin
    counts, additive : (views, bins), Poisson counts and the expected scatter in them
    angles_deg : of the views
    shape, voxel_mm : of the image
    truth : decays per voxel of discs and background by name
    discs : (x, y) and radius of each disc [mm]
    """

    matrix: FloatArray
    counts: FloatArray
    additive: FloatArray
    angles_deg: FloatArray
    shape: tuple[int, int, int]
    voxel_mm: float
    truth: dict[str, float]
    discs: dict[str, tuple[tuple[float, float], float]]


def make_slice(*, seed: int = 0, size: int = 32, views: int = 32, total: float = 4e5) -> SyntheticSlice:
    """Project a disc with three inserts over a full turn, with attenuation, scatter and Poisson noise.

    Parameters
    ----------
    seed : of the noise
    size, views : voxels along a side (and bins of a view), and views
    total : expected counts
    """
    voxel = 8.0
    angles = np.arange(views) * 360.0 / views
    coarse, fine = _points(size, voxel, 3), _points(size, voxel, 5)
    matrix = _bins(coarse, angles, size, voxel)
    # Mean over the points of each voxel: points are ordered voxel by voxel.
    matrix = matrix.reshape(views * size, size * size, -1).mean(axis=2)
    values = _activity(fine)
    expected = (_bins(fine, angles, size, voxel) @ values / 25.0).reshape(views, size)
    scale = 0.85 * total / expected.sum()
    additive = np.full((views, size), 0.15 * total / (views * size))
    counts = np.random.default_rng(seed).poisson(scale * expected + additive).astype(np.float64)
    truth = {"background": scale, **{name: scale * value for name, _, _, value in _DISCS}}
    return SyntheticSlice(
        matrix=matrix, counts=counts, additive=additive, angles_deg=angles, shape=(1, size, size), voxel_mm=voxel, truth=truth,
        discs={name: (centre, radius) for name, centre, radius, _ in _DISCS},
    )  # fmt: skip


def _points(size: int, voxel: float, split: int) -> FloatArray:
    """(x, y) of split x split points in each voxel, voxel by voxel, rows first."""
    centres = (np.arange(size) - 0.5 * (size - 1)) * voxel
    inside = (np.arange(split) - 0.5 * (split - 1)) * voxel / split
    y, x, dy, dx = np.meshgrid(centres, centres, inside, inside, indexing="ij")
    return np.stack([(x + dx).ravel(), (y + dy).ravel()], axis=1)


def _activity(points: FloatArray) -> FloatArray:
    value = np.where(np.hypot(*points.T) <= _BODY_MM, 1.0, 0.0)
    for _, centre, radius, level in _DISCS:
        value[np.hypot(*(points - np.array(centre)).T) <= radius] = level
    return value


def _bins(points: FloatArray, angles_deg: FloatArray, size: int, voxel: float) -> FloatArray:
    """(views * bins, points): share of each point in the two nearest bins, times what the body lets pass."""
    out = np.zeros((angles_deg.size, size, points.shape[0]))
    columns = np.arange(points.shape[0])
    for view, angle in enumerate(np.deg2rad(angles_deg)):
        across = points @ np.array([np.cos(angle), np.sin(angle)])
        towards = points @ np.array([-np.sin(angle), np.cos(angle)])
        half = np.sqrt(np.maximum(_BODY_MM**2 - across**2, 0.0))
        path_cm = np.clip(half - towards, 0.0, 2.0 * half) / 10.0
        passes = np.exp(-_MU_PER_CM * path_cm)
        place = across / voxel + 0.5 * (size - 1)
        low = np.floor(place).astype(int)
        for bins, share in ((low, 1.0 - (place - low)), (low + 1, place - low)):
            good = (bins >= 0) & (bins < size)
            out[view, bins[good], columns[good]] += (share * passes)[good]
    return out.reshape(angles_deg.size * size, -1)
