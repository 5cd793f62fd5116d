"""Builders of small SUV volumes whose truth is known; every random one takes a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusin.imaging.volume import Grid, Region, Volume
from fusin.quantification.references import ReferenceRegion

SUV = "g/ml{SUVbw}"


def make_grid(
    shape: Sequence[int] = (24, 24, 24), spacing: Sequence[float] = (4.0, 4.0, 3.0), origin=(0.0, 0.0, 0.0)
) -> Grid:
    """Axis-aligned grid; spacing and origin along (column, row, slice)."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape=tuple(shape), affine=affine)


def make_volume(values, grid: Grid | None = None, unit: str = SUV) -> Volume:
    """Volume of an array; a default grid when none is given."""
    values = np.asarray(values)
    return Volume(values=values, grid=grid or make_grid(values.shape), unit=unit)


def distance(grid: Grid, centre) -> np.ndarray:
    """Millimetres of every voxel centre from a point."""
    index = np.indices(grid.shape)[::-1].reshape(3, -1).T
    return np.sqrt(((grid.to_mm(index) - np.asarray(centre)) ** 2).sum(axis=1)).reshape(grid.shape)


def sphere_region(grid: Grid, centre, radius: float, name: str = "sphere") -> Region:
    """Voxels whose centre lies in a sphere."""
    return Region.from_mask(name, grid, distance(grid, centre) <= radius)


def blurred(values, grid: Grid, fwhm: float = 6.0) -> np.ndarray:
    """Gaussian-blurred copy as float32."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.asarray(values, float), fwhm / 2.3548 / np.array(grid.spacing_mm[::-1])).astype(
        np.float32
    )


def make_scene(grid: Grid, spheres, background: float = 1.0, fwhm: float = 6.0) -> Volume:
    """Blurred hot spheres (centre, radius, suv) on a background."""
    truth = np.full(grid.shape, background)
    for centre, radius, suv in spheres:
        truth[distance(grid, centre) <= radius] = suv
    return make_volume(blurred(truth, grid, fwhm), grid)


def make_reference(kind="blood_pool", mean=1.6, sd=0.2, volume_ml=1.57, grid: Grid | None = None, region=None):
    """Reference region with the numbers asked for."""
    grid = grid or make_grid()
    region = region or Region(name=kind, grid=grid, start=(0, 0, 0), crop=np.ones((1, 1, 1), bool))
    return ReferenceRegion(
        kind=kind,
        region=region,
        mean=mean,
        sd=sd,
        voxels=region.voxels,
        volume_ml=volume_ml,
        mean_low=mean,
        mean_high=mean,
        method="given",
    )
