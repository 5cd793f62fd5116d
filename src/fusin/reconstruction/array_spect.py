"""The SPECT projector on arrays of NumPy, PyTorch or CuPy: the plan of `SpectProjector`, on a GPU where there is one.

Turning is a sparse matrix of four terms a row, whose transpose gathers as well; attenuation runs along depth plane by plane;
planes are shared among levels of blur by a product with a small matrix; levels are blurred into each other as on the CPU. An image
goes to the device once and the projections come back once, for all views of a call. Results are those of `SpectProjector` up to
rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.reconstruction.array_gather import GatherMatrix
from fusin.reconstruction.array_library import ArrayLibrary
from fusin.reconstruction.projector import FloatImage, ViewProjector, Views
from fusin.reconstruction.spect import SpectProjector

__all__ = ["ArraySpectProjector"]

# Matrices beyond it are made anew for each call.
_KEPT_BYTES = 2**30
# The blur reads two bins beyond, which stay zero.
_RIM = 2


class ArraySpectProjector(ViewProjector):
    """Expected counts of a SPECT, and the exact transpose, on the arrays of a library.

    Parameters
    ----------
    host : projector on the CPU, whose geometry, map and response are used
    library : and device that compute
    """

    def __init__(self, host: SpectProjector, library: ArrayLibrary) -> None:
        self.host, self.library = host, library
        self._plan = host.plan
        self._type = self._plan.share.dtype
        half = host.half_depth()
        self._minus_half = None if half is None else self._to_device(-half)
        self._turns: dict[int, GatherMatrix] = {}
        self._kept = 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.host.image_shape

    @property
    def data_shape(self) -> tuple[int, int, int]:
        """(views, detector rows, bins)."""
        return self.host.data_shape

    def _guard(self) -> AbstractContextManager[None]:
        return self.library.within_memory()

    def _forward(self, image: FloatImage, views: Views) -> FloatImage:
        pixels = self._to_device(np.asarray(image, dtype=self._type))
        out = self.library.zeros((views.size, *self.data_shape[1:]), self._type)
        for places, part, slices in self._parts(views):
            turned = self._turned(pixels, part, slices)
            if self._minus_half is not None:
                turned *= self._passed(part, slices)
            count, _, width = turned.shape
            planes = self._plan.low.shape[1]
            levels = self._shares(part) @ turned.reshape(count, planes, -1)
            field = self._blurred(levels.reshape(count, levels.shape[1], -1, width), part)
            self._read_rows(field, part, out, places)
        return np.asarray(self.library.get(out), dtype=self._type)

    def _back(self, data: FloatImage, views: Views) -> FloatImage:
        counts = self.library.put(np.asarray(data, dtype=self._type))
        slices_all, rows, columns = self.image_shape
        pixels = self.library.zeros((rows * columns, slices_all), self._type)
        for places, part, slices in self._parts(views):
            levels = self._spread(counts, part, places, slices)
            count, depth, bins, width = levels.shape
            planes = self._shares(part).swapaxes(1, 2) @ levels.reshape(count, depth, bins * width)
            planes = planes.reshape(count, -1, width)
            if self._minus_half is not None:
                planes *= self._passed(part, slices)
            for k, view in enumerate(part):
                pixels[:, slices] += self._turn(int(view)).back(planes[k])
        image = self.library.get(pixels).T.reshape(self.image_shape)
        return np.ascontiguousarray(image, dtype=self._type)

    def _to_device(self, image: NDArray[Any]) -> Any:
        """(pixels, slices): neighbours along the axis lie together."""
        return self.library.put(image.reshape(image.shape[0], -1).T)

    def _parts(self, chosen: Views) -> Iterator[tuple[range, Views, slice]]:
        """Runs of views that see the same slabs: their places in the call, the views, and the slices."""
        from fusin.reconstruction.spect_kernels import SLAB

        plan = self._plan
        one = plan.low.shape[1] * self.data_shape[2] * self.image_shape[0]
        most = max(1, self.library.at_once // one)
        start = 0
        while start < chosen.size:
            first, last = plan.slabs[chosen[start]]
            stop = start + 1
            while stop < min(start + most, chosen.size) and (plan.slabs[chosen[stop]] == (first, last)).all():
                stop += 1
            yield range(start, stop), chosen[start:stop], slice(first * SLAB, min(last * SLAB, self.image_shape[0]))
            start = stop

    def _turn(self, view: int) -> GatherMatrix:
        """The matrix that turns pixels into (planes, bins) of a view."""
        held = self._turns.get(view)
        if held is not None:
            return held
        _, rows, columns = self.image_shape
        column0, row0, column_u, row_u, column_d, row_d = self._plan.frame[view]
        d, u = np.arange(self._plan.low.shape[1])[:, None], np.arange(self.data_shape[2])[None, :]
        x, y = column0 + u * column_u + d * column_d, row0 + u * row_u + d * row_d
        i, j = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fx, fy = x - i, y - j
        index, weights = [], []
        for down, right, weight in (
            (0, 0, (1 - fx) * (1 - fy)),
            (0, 1, fx * (1 - fy)),
            (1, 0, (1 - fx) * fy),
            (1, 1, fx * fy),
        ):
            row, column = j + down, i + right
            inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            index.append(np.where(inside, row * columns + column, 0).ravel())
            weights.append(np.where(inside, weight, 0.0).ravel().astype(self._type))
        made = GatherMatrix.of(self.library, np.stack(index), np.stack(weights), rows * columns)
        if self._kept + made.bytes <= _KEPT_BYTES:
            self._turns[view] = made
            self._kept += made.bytes
        return made

    def _turned(self, pixels: Any, part: Views, slices: slice) -> Any:
        """(views, planes x bins, slices) of an image or a map."""
        seen = pixels[:, slices]
        if part.size == 1:
            return self._turn(int(part[0])).forward(seen)[None]
        size = self._plan.low.shape[1] * self.data_shape[2]
        out = self.library.empty((part.size, size, seen.shape[1]), self._type)
        for k, view in enumerate(part):
            out[k] = self._turn(int(view)).forward(seen)
        return out

    def _passed(self, part: Views, slices: slice) -> Any:
        """Share that reaches the detector from the middle of each turned voxel."""
        half = self._turned(self._minus_half, part, slices)
        planes = self._plan.low.shape[1]
        by_plane = half.reshape(part.size, planes, -1, half.shape[2])
        by_plane[:] = self.library.xp.exp(by_plane)
        passed = 1.0
        for d in range(planes):
            through = by_plane[:, d]
            middle = through * passed
            passed = middle * through
            by_plane[:, d] = middle
        return half

    def _shares(self, part: Views) -> Any:
        """(views, levels, planes) share of each plane in each level of blur."""
        low, share = self._plan.low[part], self._plan.share[part]
        out = np.zeros((part.size, self._plan.levels, low.shape[1]), self._type)
        view, plane = np.indices(low.shape)
        for k in range(3):
            out[view, low + k, plane] += share[..., k]
        return self.library.put(out)

    def _field(self, part: Views) -> tuple[int, int, tuple[int, ...]]:
        """Bins and slices of zeros before the image, and the shape (views, bins, slices) of its field."""
        from fusin.reconstruction.spect_kernels import SLAB

        across, along = (int(pad) + _RIM for pad in self._plan.pads)
        first, last = self._plan.slabs[part[0]]
        return across, along, (part.size, self.data_shape[2] + 2 * across, int(last - first) * SLAB + 2 * along)

    def _blurred(self, levels: Any, part: Views) -> Any:
        """All levels, each blurred by its variance, added up."""
        across, along, shape = self._field(part)
        field = self.library.zeros(shape, self._type)
        inner = (slice(None), slice(across, across + levels.shape[2]), slice(along, along + levels.shape[3]))
        for k in range(levels.shape[1] - 1, -1, -1):
            if k < levels.shape[1] - 1:
                self._blur(field, self._plan.taps[k])
            field[inner] += levels[:, k]
        self._blur_along(field, part)
        return field

    def _blur(self, field: Any, taps: NDArray[Any]) -> None:
        """Blur in place by five taps across and along the axis; the rim stays zero."""
        c, b, a = (float(t) for t in taps[:3])
        line = c * field[:, 2:-2] + b * (field[:, 1:-3] + field[:, 3:-1]) + a * (field[:, :-4] + field[:, 4:])
        c, b, a = (float(t) for t in taps[3:])
        field[:, 2:-2, 2:-2] = (
            c * line[..., 2:-2] + b * (line[..., 1:-3] + line[..., 3:-1]) + a * (line[..., :-4] + line[..., 4:])
        )

    def _blur_along(self, field: Any, part: Views) -> None:
        """Blur in place along the axis by three taps of each view."""
        if not self._plan.last_taps[part, 1].any():
            return
        taps = self.library.put(self._plan.last_taps[part])
        centre, beside = taps[:, 0][:, None, None], taps[:, 1][:, None, None]
        inner = field[:, 2:-2]
        field[:, 2:-2, 2:-2] = centre * inner[..., 2:-2] + beside * (inner[..., 1:-3] + inner[..., 3:-1])

    def _rows_of(self, view: int, length: int) -> list[tuple[slice, slice, float]]:
        """Detector rows, the slices of the field that they read, and the weight, for the slices below and above."""
        from fusin.reconstruction.spect_kernels import SLAB

        along = int(self._plan.pads[1]) + _RIM
        position = float(self._plan.offset[view]) - int(self._plan.slabs[view, 0]) * SLAB + along
        z, scale, rows = int(np.floor(position)), float(self._plan.scale[view]), self.data_shape[1]
        found = []
        for side, weight in ((z, scale * (1.0 - (position - z))), (z + 1, scale * (position - z))):
            # The rim of the field is zero, and rows beyond it see nothing.
            first, last = max(0, _RIM - side), min(rows, length - _RIM - side)
            if last > first and weight != 0.0:
                found.append((slice(first, last), slice(side + first, side + last), weight))
        return found

    def _read_rows(self, field: Any, part: Views, out: Any, places: range) -> None:
        across, _, shape = self._field(part)
        bins = slice(across, across + self.data_shape[2])
        for k, (place, view) in enumerate(zip(places, part, strict=True)):
            for rows, slices, weight in self._rows_of(int(view), shape[2]):
                out[place, rows] += weight * field[k, bins, slices].T

    def _spread(self, counts: Any, part: Views, places: range, slices: slice) -> Any:
        """Exact transpose of `_blurred` and `_read_rows`: (views, levels, bins, slices)."""
        across, along, shape = self._field(part)
        bins, width = self.data_shape[2], slices.stop - slices.start
        field = self.library.zeros(shape, self._type)
        inner = (slice(None), slice(across, across + bins), slice(along, along + width))
        for k, (place, view) in enumerate(zip(places, part, strict=True)):
            for rows, read, weight in self._rows_of(int(view), shape[2]):
                field[k, inner[1], read] += weight * counts[place, rows].T
        self._blur_along(field, part)
        levels = self.library.empty((part.size, self._plan.levels, bins, width), self._type)
        for k in range(self._plan.levels):
            if k > 0:
                self._blur(field, self._plan.taps[k - 1])
            levels[:, k] = field[inner]
        return levels
