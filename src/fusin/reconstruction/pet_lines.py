"""Lines along the axis: which pairs of rings a line stands for, and how it reads the slices of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid
from fusin.reconstruction.pet_geometry import SinogramGeometry, TofBins

__all__ = ["AxialLines", "AxialPlan", "Rays", "axial_lines", "axial_plan", "event_edges", "factors_of", "spacing"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Rays = Literal["mean", "pairs"]
WHERE = "PET projector"
_ALIGNED = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class AxialLines:
    """Lines of a sinogram along the axis, each at the rings ``(sum - difference) / 2`` and ``(sum + difference) / 2``.

    Attributes
    ----------
    planes : (lines,) plane that a line counts in
    sums, differences : (lines,) of the rings of its ends
    weights : (lines,) lines that it stands for: pairs of rings times mashed views
    """

    planes: IntArray
    sums: FloatArray
    differences: FloatArray
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AxialPlan:
    """How planes read the slices of the image; see `fusin.reconstruction.pet_kernels.sinogram_forward`."""

    width: int
    groups: FloatArray
    counts: IntArray
    table: IntArray
    weights: NDArray[np.float32]
    plane_of: IntArray


def axial_lines(geometry: SinogramGeometry, rays: Rays) -> AxialLines:
    """Return one line for each plane at the mean ring difference of its pairs (``mean``), or one for each pair (``pairs``)."""
    if rays not in ("mean", "pairs"):
        raise InputError(WHERE, "rays", rays, "mean or pairs")
    planes, pairs = geometry.ring_pairs
    sums, differences = pairs.sum(axis=1).astype(float), (pairs[:, 1] - pairs[:, 0]).astype(float)
    weights = np.ones(planes.size)
    if rays == "mean":
        weights = geometry.pairs_per_plane.astype(float)
        differences = np.bincount(planes, differences, minlength=geometry.planes) / weights
        sums = np.bincount(planes, sums, minlength=geometry.planes) / weights
        planes = np.arange(geometry.planes)
    weights = weights * geometry.mashing
    # Lines of one difference and parity stand together, so that they read the image in one stretch.
    order = np.lexsort((sums, sums % 2, np.round(differences, 9)))
    return AxialLines(planes=planes[order], sums=sums[order], differences=differences[order],
                      weights=weights[order].astype(np.float32))  # fmt: skip


def axial_plan(geometry: SinogramGeometry, grid: Grid, lines: AxialLines) -> AxialPlan | None:
    """Return how planes share columns of the image; None where rings or slices do not allow it."""
    scanner = geometry.scanner
    pitch = scanner.ring_pitch_mm / float(grid.affine[2, 2])
    phases = round(pitch)
    slices = grid.shape[0]
    first = (scanner.rings_z_mm[0] + geometry.centre_mm[2] - grid.affine[2, 3]) / grid.affine[2, 2]
    reach = (scanner.rings - 1) * pitch
    if not scanner.even_rings or phases < 1 or abs(pitch - phases) * scanner.rings > _ALIGNED:
        return None
    if first < -0.5 or first + reach > slices - 0.5:
        return None
    if abs(first - round(first)) < _ALIGNED:
        first = float(round(first))
    # One slice beyond either end, where the outermost slices go on.
    index = np.arange(slices + 2)
    stretch = -(-(slices + 2) // phases)
    table = (index % phases) * stretch + index // phases
    key = np.stack([np.round(lines.differences, 9), lines.sums % 2], axis=1)
    follows = (np.diff(key, axis=0) == 0).all(axis=1) & (np.diff(lines.sums) == 2.0)
    starts = np.concatenate([[0], np.flatnonzero(~follows) + 1]).astype(np.intp)
    sizes = np.diff(np.append(starts, lines.sums.size))
    slope = phases * lines.differences[starts]
    base = first + 0.5 * phases * lines.sums[starts] - 0.5 * slope
    groups = np.stack([base, slope, scanner.ring_pitch_mm * lines.differences[starts]], axis=1)
    return AxialPlan(width=phases * stretch, groups=groups, counts=np.stack([sizes, starts], axis=1).astype(np.intp),
                     table=table.astype(np.intp), weights=lines.weights, plane_of=lines.planes)  # fmt: skip


def spacing(grid: Grid) -> FloatArray:
    """Return the size of a voxel along x, y, z [mm].

    Raises
    ------
    InputError
        For axes that are turned or reversed.
    """
    size = np.diag(grid.affine)[:3].copy()
    if (size <= 0).any() or np.abs(grid.affine[:3, :3] - np.diag(size)).max() > 1e-6 * size.min():
        raise InputError(
            WHERE, "grid", "axes that are turned or reversed", "columns along x, rows along y, slices along z"
        )
    return np.asarray(size, dtype=np.float64)


def factors_of(geometry: SinogramGeometry, factors: ArrayLike | None) -> NDArray[np.float32] | None:
    """Return factors of the data, with an axis of length 1 for timing bins that share them.

    Raises
    ------
    InputError
        For another shape, negative factors, or factors that are no numbers.
    """
    if factors is None:
        return None
    held = np.asarray(factors, dtype=np.float32)
    plain = (geometry.views, geometry.bins, geometry.planes)
    if held.shape not in (plain, geometry.data_shape):
        raise InputError(WHERE, "factors", held.shape, f"the shape {plain} of the sinogram")
    if not np.isfinite(held).all() or (held < 0).any():
        raise InputError(WHERE, "factors", "negative factors or no numbers", "0 or a positive number in each bin")
    return held[:, None] if geometry.tof is not None and held.shape == plain else held


def event_edges(tof: TofBins | None, bins: ArrayLike | None, events: int) -> tuple[FloatArray, float]:
    """Return the edges of the time-of-flight bin of each event (events, 2), and its standard deviation [mm].

    Raises
    ------
    InputError
        For bins without time of flight, or the other way round, or bins that do not exist.
    """
    if (tof is None) != (bins is None):
        raise InputError(
            WHERE, "tof_bins", "one of the two", "bins of the events together with a description of time of flight"
        )
    if tof is None:
        return np.zeros((1, 2)), 1.0
    index = np.asarray(bins)
    if index.shape != (events,) or not np.issubdtype(index.dtype, np.integer):
        raise InputError(WHERE, "tof_bins", index.shape, f"a whole number for each of the {events} events")
    if index.min() < 0 or index.max() >= tof.count:
        raise InputError(WHERE, "tof_bins", [int(index.min()), int(index.max())], f"indices from 0 to {tof.count - 1}")
    edges = tof.edges_mm
    # A single event would pass for the edges of all of them, which is the same.
    return np.stack([edges[index], edges[index + 1]], axis=1), tof.sigma_mm
