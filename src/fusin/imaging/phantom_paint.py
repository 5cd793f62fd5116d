"""Painting the digital patient: from solids to activity, Hounsfield units, blur and noise.

Solids are painted in order; where one covers a share of a voxel it replaces that share of what was there. The same
shares tell how much of each voxel an organ keeps in the end.

The log-normal form of the noise follows H. H. Barrett, D. W. Wilson and B. M. W. Tsui, "Noise properties of the EM
algorithm: I. Theory", Phys Med Biol 39 (1994) 833: an iteratively reconstructed voxel is close to log-normal, with a
variance that grows with its mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.optimize import brentq

from fusin.imaging.phantom_anatomy import LesionPlan, Part
from fusin.imaging.phantom_kernels import blend, speckle
from fusin.imaging.phantom_shapes import Coverage, coverage_of
from fusin.imaging.volume import FloatArray, Grid, Region

__all__ = ["add_pet_noise", "blurred", "paint_ct", "paint_pet"]

FloatVolume = NDArray[np.float32]

_SAMPLES = {"coarse": 3, "organ": 4, "lesion": 8}
_CT_SAMPLES = (2, 2, 1)
_SLAB = 16
_NOISE_SLICES = 24
_CT_GRAIN_VOXELS = 1.8
_AIR_HU = -1000.0
_THREADS = 2
_BATCH = 8
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


def paint_pet(
    parts: Sequence[Part], plans: Sequence[LesionPlan], grid: Grid
) -> tuple[FloatVolume, dict[str, Region], dict[str, Region]]:
    """Paint the uptake, without blur or noise.

    Returns
    -------
    values, organs, lesions : (slices, rows, columns) SUV, and regions on the grid by name; an organ or lesion that
        the grid misses is there and empty
    """
    values = np.zeros(grid.shape, np.float32)
    shares = _Shares(parts, grid)
    for part, cover in _covers([part for part in parts if not part.ct_only], grid):
        blend(values[cover.box], cover.share, part.tissue.suv)
        shares.paint(cover, part.organs)
    lesions = {}
    for plan in plans:
        attributes = {
            "code": "lesion",
            "site": plan.coded_site,
            "suv_planted": plan.suv,
            "volume_ml": plan.volume_ml,
        }
        found = coverage_of(plan.solid, grid, samples=(_SAMPLES["lesion"],) * 3)
        if found is None:
            lesions[plan.name] = _region(plan.name, np.zeros((0, 0, 0), bool), (0, 0, 0), grid, attributes)
            continue
        blend(values[found.box], found.share, plan.suv)
        shares.paint(found, ())
        lesions[plan.name] = _region(plan.name, found.share >= 0.5, found.start, grid, attributes)
    return values, shares.regions(), lesions


def _covers(parts: Sequence[Part], grid: Grid) -> Iterator[tuple[Part, Coverage]]:
    """Rasterise parts in painting order, a few of them ahead on another thread."""

    def cover(part: Part) -> Coverage | None:
        n = _SAMPLES["coarse" if part.coarse else "organ"]
        return coverage_of(part.solid, grid, samples=(n, n, n))

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for first in range(0, len(parts), _BATCH):
            batch = parts[first : first + _BATCH]
            for part, found in zip(batch, pool.map(cover, batch), strict=True):
                if found is not None:
                    yield part, found


class _Shares:
    """What share of each voxel every organ holds, kept inside the box that the organ can reach."""

    def __init__(self, parts: Sequence[Part], grid: Grid) -> None:
        self.grid = grid
        self.names = tuple(dict.fromkeys(name for part in parts for name in part.organs))
        limit = np.array(grid.shape)
        self.low = np.tile(limit, (len(self.names), 1))
        self.high = np.zeros_like(self.low)
        origin, pitch = grid.affine[:3, 3], np.array(grid.spacing_mm)
        for part in parts:
            bounds = part.solid.bounds()
            low = np.floor((bounds[:3] - origin) / pitch)[::-1]
            high = np.ceil((bounds[3:] - origin) / pitch)[::-1] + 1
            for name in part.organs:
                i = self.names.index(name)
                self.low[i] = np.minimum(self.low[i], np.clip(low, 0, limit).astype(int))
                self.high[i] = np.maximum(self.high[i], np.clip(high, 0, limit).astype(int))
        self.arrays = [
            np.zeros(tuple(np.maximum(b - a, 0)), np.float32) for a, b in zip(self.low, self.high, strict=True)
        ]

    def paint(self, cover: Coverage, owners: Sequence[str]) -> None:
        """Give the covered share to its owners and take it from every other organ."""
        start = np.array(cover.start)
        stop = start + cover.share.shape
        for i in np.flatnonzero(np.all((self.low < stop) & (start < self.high), axis=1)):
            first, last = np.maximum(start, self.low[i]), np.minimum(stop, self.high[i])
            here = tuple(slice(a, b) for a, b in zip(first - self.low[i], last - self.low[i], strict=True))
            there = tuple(slice(a, b) for a, b in zip(first - start, last - start, strict=True))
            blend(self.arrays[i][here], cover.share[there], 1.0 if self.names[i] in owners else 0.0)

    def regions(self) -> dict[str, Region]:
        """Voxels that an organ holds by more than half, so that no voxel has two owners."""
        found = {}
        for name, low, share in zip(self.names, self.low, self.arrays, strict=True):
            occupancy_ml = float(share.sum(dtype=np.float64)) * self.grid.voxel_volume_ml
            start = (int(low[0]), int(low[1]), int(low[2]))
            found[name] = _region(name, share > 0.5, start, self.grid, {"occupancy_ml": occupancy_ml})
        return found


def _region(
    name: str, inside: NDArray[np.bool_], start: tuple[int, int, int], grid: Grid, attributes: dict[str, Any]
) -> Region:
    """Region of a crop, cut to the voxels that are inside."""
    hits = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if hits[0].size == 0:
        crop, first = np.zeros((0, 0, 0), bool), (0, 0, 0)
    else:
        z, y, x = (slice(int(h[0]), int(h[-1]) + 1) for h in hits)
        crop, first = inside[z, y, x].copy(), (start[0] + z.start, start[1] + y.start, start[2] + x.start)
    return Region(name=name, grid=grid, start=first, crop=crop, source="phantom", attributes=attributes)


def _weights(fwhm: float) -> FloatArray:
    """Normalised samples of a Gaussian whose variance is exact; the width is in voxels.

    Plain samples of a narrow Gaussian have too small a variance, so the sampled curve is widened until theirs is right.
    """
    sigma = fwhm / _FWHM_PER_SIGMA
    offsets = np.arange(-max(1, math.ceil(4.5 * sigma + 1.0)), max(1, math.ceil(4.5 * sigma + 1.0)) + 1)

    def kernel(width: float) -> FloatArray:
        samples: FloatArray = np.exp(-0.5 * (offsets / width) ** 2)
        samples /= samples.sum()
        return samples

    def excess(width: float) -> float:
        return float((kernel(width) * offsets**2).sum()) - sigma**2

    return kernel(brentq(excess, 0.04, 1.2 * sigma + 0.5)) if sigma > 0.0 else np.ones(1)


def blurred(values: FloatVolume, spacing_mm: Sequence[float], fwhm_mm: float) -> FloatVolume:
    """Convolve with an isotropic Gaussian.

    Parameters
    ----------
    values : (slices, rows, columns)
    spacing_mm : voxel along x, y, z [mm]
    fwhm_mm : full width at half maximum; 0 returns the values as they are
    """
    if fwhm_mm == 0.0:
        return values
    # The body goes on beyond the last slice; in the plane there is air at the edge.
    modes: tuple[tuple[int, Literal["constant", "nearest"]], ...] = ((2, "constant"), (1, "constant"), (0, "nearest"))
    for (axis, mode), pitch in zip(modes, spacing_mm, strict=True):
        values = correlate1d(values, _weights(fwhm_mm / pitch), axis=axis, mode=mode)
    return values


def add_pet_noise(
    activity: FloatVolume, spacing_mm: Sequence[float], *, noise: float, fwhm_mm: float, rng: np.random.Generator
) -> None:
    """Multiply activity by correlated log-normal noise of mean one.

    Parameters
    ----------
    activity : SUV, overwritten
    spacing_mm : voxel along x, y, z [mm]
    noise : standard deviation at SUV 1; the variance is proportional to the SUV; 0 for none
    fwhm_mm : width of the Gaussian that correlates the noise; 0 for white noise
    """
    if noise == 0.0:
        return
    weights = [_weights(fwhm_mm / pitch) for pitch in spacing_mm]
    # Slices beyond both ends, so that the filter finds as much noise there as everywhere.
    beyond = len(weights[2]) // 2
    field = rng.standard_normal((activity.shape[0] + 2 * beyond, *activity.shape[1:]), dtype=np.float32)
    field = blurred(field, spacing_mm, fwhm_mm)[beyond : beyond + activity.shape[0]]
    if fwhm_mm > 0.0:
        field = field * np.float32(1.0 / math.sqrt(math.prod(float((w**2).sum()) for w in weights)))
    speckle(activity, np.ascontiguousarray(field), noise**2)


def paint_ct(
    parts: Sequence[Part], plans: Sequence[LesionPlan], grid: Grid, *, noise_hu: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Paint Hounsfield units with noise of the given standard deviation, slab by slab.

    Returns
    -------
    (slices, rows, columns) int16
    """
    out = np.empty(grid.shape, np.int16)
    solids = [(p.solid, p.tissue.hu) for p in parts] + [(p.solid, p.tissue.hu) for p in plans]
    tile = _ct_noise(grid, noise_hu, rng)
    picks = rng.integers(0, tile.shape, size=(grid.shape[0], 3))

    def slab(first: int) -> None:
        last = min(first + _SLAB, grid.shape[0])
        values = np.full((last - first, *grid.shape[1:]), _AIR_HU, np.float32)
        for solid, hu in solids:
            cover = coverage_of(solid, grid, samples=_CT_SAMPLES, slices=(first, last))
            if cover is not None:
                z, y, x = cover.box
                blend(values[z.start - first : z.stop - first, y, x], cover.share, hu)
        for k in range(last - first):
            number, row, column = (int(v) for v in picks[first + k])
            values[k] += np.roll(tile[number], (row, column), axis=(0, 1))
        out[first:last] = np.rint(values, out=values)

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        list(pool.map(slab, range(0, grid.shape[0], _SLAB)))
    return out


def _ct_noise(grid: Grid, noise_hu: float, rng: np.random.Generator) -> FloatVolume:
    """A few slices of noise with the grain of a soft kernel; each slice of the CT is one of them, shifted."""
    field = rng.standard_normal((min(_NOISE_SLICES, grid.shape[0]), *grid.shape[1:]), dtype=np.float32)
    kernel = _weights(_CT_GRAIN_VOXELS)
    for axis in (1, 2):
        field = correlate1d(field, kernel, axis=axis, mode="wrap")
    scaled: FloatVolume = field * np.float32(noise_hu / float((kernel**2).sum()))
    return scaled
