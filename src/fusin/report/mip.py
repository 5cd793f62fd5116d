"""Maximum-intensity projections in patient axes: a full turn about the patient, and what lies where on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import FloatArray, Grid, Region, Volume

__all__ = ["RotatingMip", "project_region", "rotating_mip", "trace"]

Path = FloatArray
"""(n, 2) points as (x to the right, y downwards) in pixels; (0, 0) is the centre of the first pixel."""

_MOST_VOXELS = 12e6
_BODY_FRACTION = 0.04
_MARGIN_MM = 12.0
_LARGE_MM = 70.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RotatingMip:
    """Projections of a volume on a turn about the patient's long axis, head up.

    Frame 0 looks at the patient from the front (patient left on the image right); a quarter turn later the viewer
    stands at the patient's left (posterior on the image right). An orthographic projection from behind is the mirror
    image of the one from the front, so only half a turn is kept.

    Attributes
    ----------
    half : (angles / 2, height, width) uint8 display levels, 0 at and below ``window[0]``, 255 at and above ``window[1]``
    angles : frames in a full turn
    spacing_mm : pixel size, the same in both directions
    axis_mm : (x, y) of the rotation axis in LPS millimetres; it lies in the middle column
    top_mm : z of the first row's centre in LPS millimetres
    window : SUV limits of the display levels
    """

    half: NDArray[np.uint8]
    angles: int
    spacing_mm: float
    axis_mm: tuple[float, float]
    top_mm: float
    window: tuple[float, float]

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return int(self.half.shape[1])

    @property
    def width(self) -> int:
        """Columns of a frame."""
        return int(self.half.shape[2])

    @property
    def quarter(self) -> int:
        """Number of the frame seen from the patient's left."""
        return self.angles // 4

    def frame(self, number: int) -> NDArray[np.uint8]:
        """(height, width) display levels of frame ``number``, counted modulo a full turn."""
        n = number % self.angles
        kept = len(self.half)
        picture: NDArray[np.uint8] = self.half[n] if n < kept else self.half[n - kept][:, ::-1]
        return picture

    def position(self, point_mm: Sequence[float], number: int) -> tuple[float, float]:
        """Pixel (x, y) at which an LPS point appears in frame ``number``."""
        angle = 2.0 * np.pi * number / self.angles
        u = (point_mm[0] - self.axis_mm[0]) * np.cos(angle) + (point_mm[1] - self.axis_mm[1]) * np.sin(angle)
        return float(u / self.spacing_mm + (self.width - 1) / 2), float((self.top_mm - point_mm[2]) / self.spacing_mm)


def rotating_mip(
    volume: Volume,
    *,
    window: tuple[float, float] = (0.0, 10.0),
    angles: int = 36,
    regions: Sequence[Region] = (),
    pixel_mm: float | None = None,
) -> RotatingMip:
    """Project a volume on a full turn about the patient's long axis.

    The volume is sampled linearly on an isotropic lattice in patient axes, whatever its own orientation, and each
    ray takes the largest of linearly interpolated samples.

    Parameters
    ----------
    volume : SUV volume
    window : SUV limits of the display levels
    angles : frames in a full turn, a multiple of 4
    regions : regions that must lie inside the frames even where the volume is cold
    pixel_mm : pixel size; by default the finest spacing of the volume, coarser where memory would grow

    Raises
    ------
    InputError
        When the window is empty or the number of angles is not a multiple of 4.
    """
    from fusin.report.mip_kernels import resample_levels

    low, high = window
    if not high > low:
        raise InputError("MIP", "window", window, "an upper limit above the lower one")
    if angles < 4 or angles % 4:
        raise InputError("MIP", "angles", angles, "a multiple of 4")
    axis, radius = _body(volume, low + _BODY_FRACTION * (high - low), regions)
    corners = _corners(volume.grid)
    bottom, top = float(corners[:, 2].min()), float(corners[:, 2].max())
    spacing = pixel_mm or max(
        min(volume.spacing_mm), float(np.cbrt((2 * radius) ** 2 * max(top - bottom, 1.0) / _MOST_VOXELS))
    )
    half_width = max(2, int(np.ceil(radius / spacing)))
    rows = max(2, round((top - bottom) / spacing) + 1)
    side = 2 * half_width + 3  # one empty column on each side for the interpolation
    first = np.array([axis[0] - (half_width + 1) * spacing, axis[1] - (half_width + 1) * spacing, top])
    levels = np.empty((rows, side, side), dtype=np.uint8)
    step, origin = _lattice(volume.grid, first, spacing)
    resample_levels(_numbers(volume), step, origin, float(low), 255.0 / (high - low), levels)
    count = 2 * half_width + 1
    middle = np.array([half_width + 1.0, half_width + 1.0])
    start = np.full(angles // 2, -float(half_width))
    return RotatingMip(
        half=_rotate(levels, middle, angles, start, start, count, count),
        angles=angles,
        spacing_mm=spacing,
        axis_mm=axis,
        top_mm=top,
        window=(float(low), float(high)),
    )


def project_region(region: Region, mip: RotatingMip, frames: Sequence[int] | None = None) -> list[tuple[Path, ...]]:
    """Outlines of a region's shadow on frames of a MIP, in frame pixels.

    Parameters
    ----------
    region : any region in the frame of reference of the projected volume
    mip : projection it is drawn on
    frames : frame numbers below ``angles / 2``; all of them by default

    Returns
    -------
    One tuple of closed outlines per frame; empty tuples for an empty region.
    """
    from fusin.report.mip_kernels import resample_levels

    wanted = range(len(mip.half)) if frames is None else frames
    if region.voxels == 0:
        return [() for _ in wanted]
    # A shell of empty voxels lets the interpolated edge fall to zero around the region.
    crop = np.pad(region.crop, 1).astype(np.float32)
    k, j, i = region.start
    index = np.array(np.meshgrid(*[(a - 1.0, a + n) for a, n in zip((i, j, k), region.crop.shape[::-1], strict=True)]))
    box = region.grid.to_mm(index.reshape(3, -1).T)
    low, high = box.min(axis=0), box.max(axis=0)
    fine = 1 if (high - low).max() > _LARGE_MM else 2
    s = mip.spacing_mm / fine
    row = int(np.floor((mip.top_mm - high[2]) / s))
    first = np.array([low[0] - s, low[1] - s, mip.top_mm - row * s])
    counts = [int(np.ceil((high[a] - low[a]) / s)) + 3 for a in range(3)]
    levels = np.empty((counts[2], counts[1], counts[0]), dtype=np.uint8)
    step, origin = _lattice(region.grid, first, s)
    resample_levels(crop, step, origin - np.array([i - 1.0, j - 1.0, k - 1.0]), 0.0, 255.0, levels)
    axis = (np.array(mip.axis_mm) - first[:2]) / s
    angle = 2.0 * np.pi * np.array(list(wanted)) / mip.angles
    centre = (np.array(counts[:2]) - 1) / 2 - axis
    reach = math.hypot(counts[0], counts[1]) / 2
    start_u = np.floor(centre[0] * np.cos(angle) + centre[1] * np.sin(angle) - reach)
    start_t = np.floor(-centre[0] * np.sin(angle) + centre[1] * np.cos(angle) - reach)
    across = int(np.ceil(2 * reach)) + 2
    shadows = _rotate(levels, axis, mip.angles, start_u, start_t, across, across, angle)
    middle = (mip.width - 1) / 2
    return [
        tuple(path / fine + (u / fine + middle, row / fine) for path in trace(shadow))
        for shadow, u in zip(shadows, start_u, strict=True)
    ]


def trace(levels: NDArray[np.uint8] | NDArray[np.float32], at: float = 127.5) -> tuple[Path, ...]:
    """Closed outlines of the part of a picture above a level, in pixels; an empty border closes them at the edge."""
    from contourpy import contour_generator

    lines = contour_generator(z=np.pad(levels.astype(np.float64), 1)).lines(at)
    return tuple(np.asarray(line, dtype=np.float64) - 1.0 for line in lines if len(line) > 3)


def _rotate(
    levels: NDArray[np.uint8],
    axis: FloatArray,
    angles: int,
    start_u: FloatArray,
    start_t: FloatArray,
    count_u: int,
    count_t: int,
    angle: FloatArray | None = None,
) -> NDArray[np.uint8]:
    """(frames, rows, columns) maxima of (z, y, x) levels."""
    from fusin.report.mip_kernels import rotate_maximum

    turn = 2.0 * np.pi * np.arange(angles // 2) / angles if angle is None else angle
    out = np.empty((len(turn), count_u, levels.shape[0]), dtype=np.uint8)
    columns = np.ascontiguousarray(levels.transpose(1, 2, 0))
    rotate_maximum(columns, axis.astype(np.float64), np.cos(turn), np.sin(turn), start_u, start_t, count_t, out)
    return np.ascontiguousarray(out.transpose(0, 2, 1))


def _lattice(grid: Grid, first_mm: FloatArray, spacing_mm: float) -> tuple[FloatArray, FloatArray]:
    """Index step per lattice step along x, y and downwards z, and the index of the lattice's first point."""
    inverse = np.linalg.inv(grid.affine[:3, :3])
    step = inverse * (np.array([1.0, 1.0, -1.0]) * spacing_mm)
    return np.ascontiguousarray(step), grid.to_index(first_mm)


def _numbers(volume: Volume) -> NDArray[np.float32]:
    """Values as contiguous float32, without a copy where they are that already."""
    return np.ascontiguousarray(volume.values, dtype=np.float32)


def _corners(grid: Grid) -> FloatArray:
    """(8, 3) LPS millimetres of the corner voxels' centres."""
    index = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape[::-1]])).reshape(3, -1).T
    return grid.to_mm(index)


def _body(volume: Volume, above: float, regions: Sequence[Region]) -> tuple[tuple[float, float], float]:
    """Middle (x, y) of what is warm, and the radius around it that holds everything, in millimetres."""
    grid = volume.grid
    # The array axis that runs most nearly along the patient is projected away.
    along = 2 - int(np.argmax(np.abs(grid.affine[2, :3]) / np.array(grid.spacing_mm)))
    warm = np.count_nonzero(volume.values > above, axis=along) >= min(3, volume.shape[along])
    points = np.argwhere(warm).astype(np.float64)
    middle = (volume.shape[along] - 1) / 2
    index = np.insert(points, along, middle, axis=1)[:, ::-1]
    found = [grid.to_mm(index)[:, :2]] if len(index) else [_corners(grid)[:, :2]]
    for region in regions:
        if region.voxels:
            found.append(region.grid.to_mm(region.indices()[:, ::-1])[:, :2])
    xy = np.concatenate(found)
    centre = (xy.min(axis=0) + xy.max(axis=0)) / 2
    radius = float(np.sqrt(((xy - centre) ** 2).sum(axis=1).max()))
    return (float(centre[0]), float(centre[1])), radius + _MARGIN_MM
