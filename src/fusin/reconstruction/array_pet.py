"""The PET sinogram projector on arrays of NumPy, PyTorch or CuPy: the lines of `PetSinogramProjector`, on a GPU where there is one.

Each line is the axially shared Joseph walk of `fusin.reconstruction.pet_kernels`. A sparse matrix of two terms a row interpolates
the columns of the image at all crossings of a view; each group of planes then reads a stretch of every column, displaced by where
the crossing lies on the line, and the stretches of a line are added up, with time of flight once for each of its bins. The
transpose reads as well: a column receives a stretch of each line's planes, filled up with zeros. An image goes to the device once
and the sinogram comes back once, for all views of a call. Results are those of `PetSinogramProjector` up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.reconstruction.array_gather import GatherMatrix
from fusin.reconstruction.array_library import ArrayLibrary
from fusin.reconstruction.array_lines import Crossings, crossings_of
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_lines import spacing
from fusin.reconstruction.projector import FloatImage, ViewProjector, Views
from fusin.reconstruction.resolution import FWHM_PER_SIGMA, gaussian_taps

__all__ = ["ArrayPetSinogramProjector"]

WHERE = "PET projector"
# Matrices beyond it are made anew for each call.
_KEPT_BYTES = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What the lines of one view need on the device.

    Attributes
    ----------
    columns : the matrix from pixels to (lines x crossings)
    middles : (lines, crossings) fraction of the line, float64
    across_mm2 : (lines,) square of the length across the axis, float64
    """

    columns: GatherMatrix
    middles: Any
    across_mm2: Any


class ArrayPetSinogramProjector(ViewProjector):
    """Expected counts of a sinogram, and the exact transpose, on the arrays of a library.

    Parameters
    ----------
    host : projector on the CPU, whose geometry, factors and resolution are used
    library : and device that compute
    where : what asked for it, for messages

    Raises
    ------
    InputError
        For a projector that walks every line on its own.
    """

    where = WHERE

    def __init__(self, host: PetSinogramProjector, library: ArrayLibrary, *, where: str = WHERE) -> None:
        plan = host.axial
        if plan is None:
            raise InputError(
                where, "backend", f"{library.name} with rings or slices that share no pitch",
                "evenly spaced rings within slices that divide their pitch, or backend numba",
            )  # fmt: skip
        self.host, self.library = host, library
        self._plan, self.geometry, self._pixel = plan, host.geometry, spacing(host.grid)
        # Slices of a plane follow each other by the slices of a ring pitch.
        self._step = max(round(host.geometry.scanner.ring_pitch_mm / float(host.grid.affine[2, 2])), 1)
        self._factors = None if host.factors is None else library.put(host.factors)
        planes = host.geometry.planes
        order = np.argsort(plan.plane_of, kind="stable")
        counts = np.bincount(plan.plane_of, minlength=planes)
        places, held = (
            np.zeros((int(counts.max()), planes), np.int64),
            np.zeros((int(counts.max()), planes), np.float32),
        )
        rank = np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)
        places[rank, plan.plane_of[order]], held[rank, plan.plane_of[order]] = order, plan.weights[order]
        self._places, self._weights = library.put(places), library.put(held)
        self._plane_of, self._weight_of = library.put(plan.plane_of.astype(np.int64)), library.put(plan.weights)
        tof = host.geometry.tof
        self._edges = None if tof is None else library.put(tof.edges_mm[:, None])
        self._views: dict[int, _View] = {}
        self._kept = 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.host.image_shape

    @property
    def data_shape(self) -> tuple[int, ...]:
        """(views, bins, planes), or (views, timing bins, bins, planes)."""
        return self.host.data_shape

    def _guard(self) -> AbstractContextManager[None]:
        return self.library.within_memory()

    def _forward(self, image: FloatImage, views: Views) -> FloatImage:
        values = self._blurred(self.library.put(np.asarray(image, dtype=np.float32)))
        slices, rows, columns = self.image_shape
        pixels = self.library.empty((rows * columns, slices + 2))
        pixels[:, 1:-1] = values.reshape(slices, -1).T
        # Between the outermost centres and the faces of the image the outermost slices go on.
        pixels[:, 0], pixels[:, -1] = pixels[:, 1], pixels[:, -2]
        out = self.library.empty((views.size, *self.data_shape[1:]))
        for places in self._parts(views):
            held = [self._view(int(v)) for v in views[places]]
            read = self.library.empty((len(held), *held[0].middles.shape, slices + 2))
            for k, view in enumerate(held):
                read[k] = view.columns.forward(pixels).reshape(read.shape[1:])
            sums = self._sums(read.reshape(-1, *read.shape[2:]), held)
            out[places] = self._to_data(sums, len(held))
        if self._factors is not None:
            out *= self._of_views(self._factors, views)
        return np.asarray(self.library.get(out), dtype=np.float32)

    def _back(self, data: FloatImage, views: Views) -> FloatImage:
        values = self.library.put(np.asarray(data, dtype=np.float32))
        if self._factors is not None:
            values = values * self._of_views(self._factors, views)
        slices, rows, columns = self.image_shape
        pixels = self.library.zeros((rows * columns, slices + 2))
        for places in self._parts(views):
            held = [self._view(int(v)) for v in views[places]]
            read = self._spread(self._from_data(values[places]), held)
            for k, view in enumerate(held):
                pixels += view.columns.back(read[k].reshape(-1, slices + 2))
        pixels[:, 1] += pixels[:, 0]
        pixels[:, -2] += pixels[:, -1]
        image = self._blurred(pixels[:, 1:-1].T.reshape(self.image_shape))
        return np.ascontiguousarray(self.library.get(image), dtype=np.float32)

    @property
    def _timing(self) -> int:
        return 1 if self.geometry.tof is None else self.geometry.tof.count

    def _of_views(self, values: Any, chosen: Views) -> Any:
        return (
            values
            if chosen.size == values.shape[0] and (np.diff(chosen) == 1).all()
            else values[self.library.put(chosen)]
        )

    def _parts(self, chosen: Views) -> list[slice]:
        slices, rows, columns = self.image_shape
        one = self.geometry.bins * max(max(rows, columns) * (slices + 2), self._timing * self._plan.weights.size)
        most = max(1, self.library.at_once // one)
        return [slice(a, min(a + most, chosen.size)) for a in range(0, chosen.size, most)]

    def _view(self, view: int) -> _View:
        held = self._views.get(view)
        if held is not None:
            return held
        _, rows, columns = self.image_shape
        lines = self.host.lines(np.array([view]))
        found: Crossings = crossings_of(lines, self._pixel[:2], rows, columns)
        made = _View(
            columns=GatherMatrix.of(self.library, found.pixels, found.weights, rows * columns),
            middles=self.library.put(found.middles), across_mm2=self.library.put(found.across_mm**2),
        )  # fmt: skip
        size = made.columns.bytes + 8 * found.middles.size
        if self._kept + size <= _KEPT_BYTES:
            self._views[view] = made
            self._kept += size
        return made

    def _blocks(self, held: list[_View]) -> Iterator[tuple[slice, Any, Any]]:
        """Blocks of the lines of some views: the lines, their crossings, the squares of their lengths."""
        middles, across = (_joined(self.library, [getattr(v, n) for v in held]) for n in ("middles", "across_mm2"))
        lines, crossings = middles.shape
        most = max(1, self.library.at_once // (crossings * max(self.image_shape[0] + 3, self._timing + 1)))
        for a in range(0, lines, most):
            part = slice(a, min(a + most, lines))
            yield part, middles[part], across[part]

    def _sums(self, read: Any, held: list[_View]) -> Any:
        """(lines, timing bins, sums) of columns (lines, crossings, slices)."""
        plan, width = self._plan, read.shape[2]
        out = self.library.empty((read.shape[0], self._timing, plan.weights.size))
        for part, middles, across in self._blocks(held):
            line = self.library.flat(read[part])
            base = self._starts(tuple(middles.shape), width)
            for (start, slope, rise), (size, first) in zip(plan.groups.tolist(), plan.counts.tolist(), strict=True):
                below, upper = self._below(start, slope, middles)
                places = (base + below)[..., None] + self._stretch(size)
                value = (1.0 - upper) * self.library.pick(line, places) + upper * self.library.pick(line, places + 1)
                length = self.library.xp.sqrt(across + rise * rise)
                timed = value.sum(1)[:, None] if self._edges is None else self._timed(middles, length) @ value
                out[part, :, first : first + size] = timed * self.library.cast(length, np.float32)[:, None, None]
        return out

    def _spread(self, sums: Any, held: list[_View]) -> Any:
        """Exact transpose of `_sums`: (views, lines, crossings, slices)."""
        plan, width, lib = self._plan, self.image_shape[0] + 2, self.library
        crossings = held[0].middles.shape[1]
        out = lib.zeros((sums.shape[0], crossings, width))
        for part, middles, across in self._blocks(held):
            count = part.stop - part.start
            column = out[part]
            for (start, slope, rise), (size, first) in zip(plan.groups.tolist(), plan.counts.tolist(), strict=True):
                below, upper = self._below(start, slope, middles)
                length = lib.xp.sqrt(across + rise * rise)
                value = sums[part, :, first : first + size] * lib.cast(length, np.float32)[:, None, None]
                if self._edges is not None:
                    value = self._timed(middles, length).swapaxes(1, 2) @ value
                # What a plane gives to slice z stands at z - (slice below it) of a line with as many zeros on both sides.
                padded = lib.zeros((count, value.shape[1], 2 * width))
                padded[:, :, width : width + (size - 1) * self._step + 1 : self._step] = value
                base = self._starts((count, value.shape[1]), 2 * width)
                places = (base + (width - 1 - below))[..., None] + lib.count(width + 1)
                stretch = lib.pick(lib.flat(padded), places)
                column += (1.0 - upper) * stretch[..., 1:] + upper * stretch[..., :-1]
        return out.reshape(len(held), -1, crossings, width)

    def _below(self, start: float, slope: float, middles: Any) -> tuple[Any, Any]:
        """Column's place of the slice below the first plane of a group, and the share of the next slice."""
        place = middles * slope + start
        below = self.library.xp.floor(place)
        upper = self.library.cast(place - below, np.float32)[..., None]
        return self.library.cast(below, np.int64) + 1, upper

    def _starts(self, shape: tuple[int, ...], width: int) -> Any:
        """Where (lines, crossings) begin in a line of memory."""
        return self.library.count(int(np.prod(shape))).reshape(shape) * width

    def _stretch(self, size: int) -> Any:
        return self.library.count(size) * self._step

    def _timed(self, middles: Any, length: Any) -> Any:
        """(lines, timing bins, crossings) share of each bin of the time of flight."""
        from fusin.reconstruction.pet_ray_kernels import CUT

        tof = self.geometry.tof
        assert tof is not None
        place = ((middles - 0.5) * length[:, None])[:, None]
        distance = self.library.xp.clip((self._edges - place) / tof.sigma_mm, -CUT, CUT)
        from scipy.special import erf

        below = 0.5 + (0.5 / float(erf(CUT * np.sqrt(0.5)))) * self.library.erf(distance * float(np.sqrt(0.5)))
        return self.library.cast(below[:, 1:] - below[:, :-1], np.float32)

    def _to_data(self, sums: Any, views: int) -> Any:
        """(lines, timing bins, sums) as data of the views."""
        planes = self.library.along_last(sums, self._places[0]) * self._weights[0]
        for k in range(1, self._places.shape[0]):
            planes = planes + self.library.along_last(sums, self._places[k]) * self._weights[k]
        block = planes.reshape(views, self.geometry.bins, self._timing, self.geometry.planes)
        return block[:, :, 0] if self.geometry.tof is None else block.swapaxes(1, 2)

    def _from_data(self, block: Any) -> Any:
        block = block[:, :, None] if self.geometry.tof is None else block.swapaxes(1, 2)
        planes = block.reshape(-1, self._timing, self.geometry.planes)
        return self.library.along_last(planes, self._plane_of) * self._weight_of

    def _blurred(self, image: Any) -> Any:
        """The Gaussian of `fusin.reconstruction.resolution.ImageResolution`, its own transpose."""
        resolution = self.host.resolution
        if resolution is None:
            return image
        for axis, width in ((0, resolution.along_mm), (1, resolution.across_mm), (2, resolution.across_mm)):
            if width > 0:
                taps = gaussian_taps((width / FWHM_PER_SIGMA / float(self._pixel[2 - axis])) ** 2)
                image = _correlated(image, taps, axis)
        return image


def _joined(library: ArrayLibrary, parts: list[Any]) -> Any:
    """Arrays of one shape, one after the other along the first axis."""
    out = library.empty((len(parts), *parts[0].shape), np.float64)
    for k, part in enumerate(parts):
        out[k] = part
    return out.reshape(-1, *parts[0].shape[1:])


def _correlated(image: Any, taps: NDArray[np.float64], axis: int) -> Any:
    """Weighted sum of displaced images, with nothing beyond them; symmetric taps of odd number."""
    reach = taps.size // 2
    moved = image.swapaxes(0, axis)
    out = moved * float(taps[reach])
    for n in range(1, min(reach, moved.shape[0] - 1) + 1):
        out[n:] += float(taps[reach + n]) * moved[:-n]
        out[:-n] += float(taps[reach + n]) * moved[n:]
    return out.swapaxes(0, axis)
