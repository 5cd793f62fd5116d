"""SPECT projector: rotate, attenuate on the fly, blur by depth, sum; and its exact transpose.

For each view the image is turned into the frame of the detector (bilinear), each plane is weighted with what the tissue between its
middle and the detector lets pass, and planes are blurred by the response of the collimator at their distance::

    p(u, z) = w  sum_d  G[s^2(R - d)] * ( f(u, d, z) exp(-int mu) )

Bilinear turning blurs by itself, by a variance that is zero at multiples of 90 degrees and about 1/6 bin^2 elsewhere. It is
measured for each view and taken out of the blur across the axis, so that the width of a point is that of the collimator at every
angle.

An image value is the expected number of counts from its voxel in one view of weight 1 without attenuation.

References
----------
Zeng G, Gullberg G, IEEE Trans Nucl Sci 1992;39:1487 (rotating, layer by layer) · Di Bella E et al., IEEE Trans Nucl Sci 1996;43:
3370 (rotators) · McCarthy A, Miller M, IEEE Trans Med Imaging 1991;10:426 (incremental blur).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.projector import FloatImage, ViewProjector, Views
from fusin.reconstruction.spect_geometry import SpectGeometry
from fusin.reconstruction.spect_levels import five_taps, level_variances, split, step_taps

__all__ = ["SpectGeometry", "SpectProjector"]

FloatArray = NDArray[np.float64]

# Bounds the memory of the levels, and does not depend on the threads.
_VIEWS_AT_ONCE = 8
# Beyond it the compiled exponential loses accuracy; no tissue or implant is near.
_LARGEST_HALF_DEPTH = 2.0
# A point at the edge that wanders further out in steps would come back with less than 0.01 % of its counts.
_REACH = 2.0
# Slices beyond the rows of a bed count as far as their tail is above 1e-4.
_SLAB_REACH = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What the kernels need to know of each view; see :mod:`fusin.reconstruction.spect_kernels`."""

    frame: FloatArray
    spans: NDArray[np.intp]
    low: NDArray[np.intp]
    share: NDArray[Any]
    taps: NDArray[Any]
    last_taps: NDArray[Any]
    levels: int
    pads: NDArray[np.intp]
    slabs: NDArray[np.intp]
    offset: FloatArray
    scale: NDArray[Any]


class SpectProjector(ViewProjector):
    """Expected counts of a SPECT, and the exact transpose.

    Parameters
    ----------
    geometry : of the views
    grid : of the image: axes along x, y and z, voxels as wide as the bins and as high as the rows; the geometry's own without it
    mu : linear attenuation coefficient [1/cm] on that grid; None for none
    response : of the collimator; None for none
    compensate_turning : take the blur of the bilinear turning out of the collimator's
    double : compute in float64, four times slower: for tests

    Raises
    ------
    InputError
        For a grid or a map that does not fit, values that are no attenuation coefficients.
    """

    def __init__(
        self, geometry: SpectGeometry, grid: Grid | None = None, mu: Volume | None = None,
        response: CollimatorResponse | None = None, *, compensate_turning: bool = True, double: bool = False,
    ) -> None:  # fmt: skip
        from fusin.reconstruction.spect_kernels import SLAB

        self.geometry, self.grid, self.response = geometry, geometry.grid() if grid is None else grid, response
        self._dtype = np.dtype(np.float64 if double else np.float32)
        _check_grid(self.grid, geometry)
        self._slab_count = -(-self.grid.shape[0] // SLAB)
        self._half = self._checked_depth(mu)
        self._dense = self._dense_cells()
        self._plan = _plan(geometry, self.grid, response, compensate_turning, self._dtype)
        # Kept between calls: fresh memory of this size costs as much as the copy into it.
        self._picture = np.zeros(self._half_shape(), self._dtype)
        self._levels = np.empty(self._levels_shape(min(_VIEWS_AT_ONCE, geometry.views)), self._dtype)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.grid.shape

    @property
    def data_shape(self) -> tuple[int, int, int]:
        """(views, detector rows, bins)."""
        return self.geometry.data_shape

    @property
    def plan(self) -> _Plan:
        """How each view turns, shares and blurs, for every backend."""
        return self._plan

    def half_depth(self) -> FloatImage | None:
        """Return the optical depth of half of each voxel, (slices, rows, columns); None without a map."""
        return self._from_slabs(self._half) if self._half.shape[1] > 1 else None

    @property
    def workspace_bytes(self) -> int:
        """Memory beyond image and data while projecting."""
        levels = _VIEWS_AT_ONCE * self._slab_count * self._plan.levels * self.geometry.columns * 16
        return int(self._dtype.itemsize * levels + 2 * self._half.nbytes)

    def _forward(self, image: FloatImage, views: Views) -> FloatImage:
        from fusin.reconstruction.spect_kernels import blur_forward, rotate_forward

        picture = self._to_slabs(np.asarray(image), self._picture)
        out = np.empty((views.size, *self.data_shape[1:]), self._dtype)
        plan = self._plan
        for start in range(0, views.size, _VIEWS_AT_ONCE):
            part = views[start : start + _VIEWS_AT_ONCE]
            levels = self._levels[: part.size]
            rotate_forward(picture, self._half, self._dense, plan.frame[part], plan.spans[part], plan.low[part],
                           plan.share[part], plan.slabs[part], levels)  # fmt: skip
            blur_forward(levels, plan.taps, plan.last_taps[part], plan.pads, plan.slabs[part], plan.offset[part],
                         plan.scale[part], out[start : start + part.size])  # fmt: skip
        return out

    def _back(self, data: FloatImage, views: Views) -> FloatImage:
        from fusin.reconstruction.spect_kernels import blur_back, rotate_back

        counts = np.ascontiguousarray(data, dtype=self._dtype)
        out = np.zeros(self._half_shape(), self._dtype)
        plan = self._plan
        for start in range(0, views.size, _VIEWS_AT_ONCE):
            part = views[start : start + _VIEWS_AT_ONCE]
            levels = self._levels[: part.size]
            blur_back(counts[start : start + part.size], plan.taps, plan.last_taps[part], plan.pads, plan.slabs[part],
                      plan.offset[part], plan.scale[part], levels)  # fmt: skip
            rotate_back(levels, self._half, self._dense, plan.frame[part], plan.spans[part], plan.low[part],
                        plan.share[part], plan.slabs[part], out)  # fmt: skip
        return self._from_slabs(out)

    def _levels_shape(self, views: int) -> tuple[int, ...]:
        from fusin.reconstruction.spect_kernels import SLAB

        return views, self._slab_count, self._plan.levels, self.geometry.columns, SLAB

    def _half_shape(self) -> tuple[int, ...]:
        from fusin.reconstruction.spect_kernels import BORDER, SLAB

        _, rows, columns = self.grid.shape
        return self._slab_count, rows + 2 * BORDER, columns + 2 * BORDER, SLAB

    def _to_slabs(self, image: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        """Copy an image into slabs whose borders and missing slices are zero."""
        from fusin.reconstruction.spect_kernels import to_slabs

        to_slabs(np.ascontiguousarray(image, dtype=self._dtype), out)
        return out

    def _from_slabs(self, slabs: NDArray[Any]) -> FloatImage:
        from fusin.reconstruction.spect_kernels import from_slabs

        out = np.empty(self.image_shape, self._dtype)
        from_slabs(slabs, out)
        return out

    def _dense_cells(self) -> NDArray[np.bool_]:
        """Cells of four voxels in which anything attenuates; air is passed by without a computation."""
        out = np.zeros(self._half_shape()[:3], np.bool_)
        if self._half.shape[1] > 1:
            filled: NDArray[np.bool_] = np.any(self._half, axis=3)
            out[:, :-1, :-1] = filled[:, :-1, :-1] | filled[:, 1:, :-1] | filled[:, :-1, 1:] | filled[:, 1:, 1:]
        return out

    def _checked_depth(self, mu: Volume | None) -> NDArray[Any]:
        if mu is None:
            return np.zeros((self._slab_count, 1, 1, 1), self._dtype)
        self.grid.require_frame(mu.grid, "attenuation map")
        if not self.grid.matches(mu.grid):
            mine, theirs = (np.round(g.affine[:3, 3], 2).tolist() for g in (self.grid, mu.grid))
            raise InputError("attenuation map", "grid", f"{mu.grid.shape} at {theirs} mm",
                             f"the image's {self.grid.shape} at {mine} mm; resample it")  # fmt: skip
        values = np.asarray(mu.values, dtype=np.float64)
        half = values * (0.05 * self.geometry.pixel_mm)
        if not np.isfinite(values).all() or values.min() < 0 or half.max() > _LARGEST_HALF_DEPTH:
            found = float(np.nanmin(values)) if np.nanmin(values) < 0 else float(np.nanmax(values))
            raise InputError(
                "attenuation map", "values", found, "attenuation coefficients in 1/cm, not negative, without gaps"
            )
        return self._to_slabs(half, np.zeros(self._half_shape(), self._dtype))


def _check_grid(grid: Grid, geometry: SpectGeometry) -> None:
    wanted = np.array([geometry.pixel_mm, geometry.pixel_mm, geometry.row_mm])
    if not np.allclose(grid.affine[:3, :3], np.diag(wanted), rtol=1e-4, atol=1e-6):
        raise InputError("projector", "grid", np.round(grid.affine[:3, :3], 4).tolist(),
                         f"axes along x, y and z with voxels of {wanted.tolist()} mm, the size of the bins")  # fmt: skip


def _plan(
    geometry: SpectGeometry, grid: Grid, response: CollimatorResponse | None, compensate: bool, dtype: np.dtype[Any]
) -> _Plan:
    from fusin.reconstruction.spect_kernels import SLAB

    depth_mm, frame = _frames(geometry, grid)
    planes = depth_mm.shape[0]
    spans = _spans(frame, planes, geometry.columns, grid.shape)
    blur = _turning_variance(frame, spans) if compensate and response is not None else np.zeros(geometry.views)
    fine_mm = min(geometry.pixel_mm, geometry.row_mm)
    across, along = (fine_mm / geometry.pixel_mm) ** 2, (fine_mm / geometry.row_mm) ** 2
    distance = geometry.radii_mm[:, None] - depth_mm[None, :]
    width = np.zeros_like(distance) if response is None else response.sigma_mm(np.maximum(distance, 0.0)) / fine_mm
    variance = np.maximum(width**2 - blur[:, None] / across, 0.0)
    seen = (distance > 0) & (spans[..., 1] > spans[..., 0])
    largest = float(variance[seen].max()) if seen.any() else 0.0
    levels = level_variances(largest)
    low, share = split(variance, levels)
    share = share * (distance > 0)[..., None]
    last = np.array([five_taps(min(b / across * along, 1.0 / 3.0))[:2] for b in blur])
    widths = np.sqrt(largest * np.array([across, along]))
    offset = (geometry.first_row_mm - grid.affine[2, 3]) / geometry.row_mm
    # A whole number within rounding must not be split between two slices.
    offset = np.where(np.abs(offset - np.rint(offset)) < 1e-4, np.rint(offset), offset)
    return _Plan(
        frame=frame, spans=spans, low=low, share=share.astype(dtype), levels=len(levels), offset=offset,
        taps=step_taps(levels, across=across, along=along).astype(dtype), last_taps=last.astype(dtype),
        pads=np.ceil(_REACH * widths).astype(np.intp) + 1, scale=geometry.weights.astype(dtype),
        slabs=_slabs(offset, geometry.rows, _SLAB_REACH * float(widths[1]), grid.shape[0], SLAB),
    )  # fmt: skip


def _frames(geometry: SpectGeometry, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Depth of the planes towards the detector [mm], and the kernels' frame of each view."""
    _, rows, columns = grid.shape
    size = geometry.pixel_mm
    centre = grid.affine[:2, 3] + 0.5 * size * np.array([columns - 1, rows - 1])
    away = float(np.hypot(*(centre - np.array(geometry.axis_mm))))
    planes = int(np.ceil(np.hypot(rows, columns) + 2.0 * away / size)) + 1
    # The planes shall meet voxel centres at 0 and 90 degrees, so that turning blurs nothing there.
    planes += (planes - rows) % 2
    depth_mm = np.asarray((0.5 * (planes - 1) - np.arange(planes)) * size, dtype=np.float64)
    angle = np.deg2rad(geometry.angles_deg)
    sine, cosine = np.sin(angle), np.cos(angle)
    for values in (sine, cosine):
        values[np.abs(values) < 1e-12] = 0.0
    first_bin = -0.5 * (geometry.columns - 1) * size + geometry.bin_shift_mm
    x = geometry.axis_mm[0] - cosine * first_bin + sine * depth_mm[0]
    y = geometry.axis_mm[1] + sine * first_bin + cosine * depth_mm[0]
    column, row = (x - grid.affine[0, 3]) / size, (y - grid.affine[1, 3]) / size
    frame = np.stack([column, row, -cosine, sine, -sine, -cosine], axis=1)
    # Rounding of a sum of products must not turn whole numbers into fractions just below them.
    frame[:, :2] = np.where(
        np.abs(frame[:, :2] * 2 - np.rint(frame[:, :2] * 2)) < 1e-9, np.rint(frame[:, :2] * 2) / 2, frame[:, :2]
    )
    return depth_mm, frame


def _spans(frame: FloatArray, planes: int, bins: int, shape: tuple[int, int, int]) -> NDArray[np.intp]:
    """(views, planes, 2) bins from and to whose interpolation meets the image."""
    d = np.arange(planes)
    low, high = np.zeros((len(frame), planes)), np.full((len(frame), planes), bins - 1.0)
    for axis, size in ((0, shape[2]), (1, shape[1])):
        start = frame[:, axis, None] + frame[:, 4 + axis, None] * d
        step = np.broadcast_to(frame[:, 2 + axis, None], start.shape)
        flat = step == 0
        safe = np.where(flat, 1.0, step)
        ends = np.sort(np.stack([(-1.0 - start) / safe, (size - start) / safe]), axis=0)
        outside = flat & ((start <= -1.0) | (start >= size))
        low = np.where(flat, low, np.maximum(low, ends[0]))
        high = np.where(outside, -1.0, np.where(flat, high, np.minimum(high, ends[1])))
    first, last = np.ceil(low + 1e-9), np.floor(high - 1e-9) + 1
    last = np.where(high == bins - 1.0, float(bins), last)
    first = np.where(low == 0.0, 0.0, first)
    return np.stack([first, np.maximum(first, last)], axis=-1).astype(np.intp)


def _turning_variance(frame: FloatArray, spans: NDArray[np.intp]) -> FloatArray:
    """Mean variance across the axis that bilinear turning adds to a point at each view [bins^2]."""
    planes = spans.shape[1]
    u = np.arange(int(spans.max(initial=1)))
    d = np.arange(planes)[:, None]
    out = np.zeros(len(frame))
    for v, (x0, y0, xu, yu, xd, yd) in enumerate(frame):
        inside = (u >= spans[v, :, :1]) & (u < spans[v, :, 1:])
        fx, fy = np.modf(x0 + u * xu + d * xd + 4096.0)[0], np.modf(y0 + u * yu + d * yd + 4096.0)[0]
        spread = fx * (1.0 - fx) * xu**2 + fy * (1.0 - fy) * yu**2
        out[v] = float(spread[inside].mean()) if inside.any() else 0.0
    return out


def _slabs(offset: FloatArray, rows: int, reach: float, slices: int, slab: int) -> NDArray[np.intp]:
    """Slabs from and to whose activity reaches the rows of each view."""
    first = np.clip(np.floor(offset - reach - 1), 0, slices - 1) // slab
    last = np.clip(np.ceil(offset + rows + reach + 1), 1, slices)
    return np.stack([first, -(-last // slab)], axis=1).astype(np.intp)
