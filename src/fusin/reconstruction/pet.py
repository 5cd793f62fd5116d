"""PET projectors: sinograms and single lines, with attenuation, normalisation, resolution and time of flight.

An expected count is the line integral of the image, in millimetres times the image's unit, times the number of lines of the
bin (pairs of rings, mashed views), times the factors that are given (attenuation, efficiencies, time). Resolution is a Gaussian in
image space, before it.

`PetSinogramProjector` shares columns of the image among the planes of a line where rings are evenly spaced, the slices of the image
divide the ring pitch and no ring lies beyond the image; it walks every line on its own where not.

References
----------
Joseph P, IEEE Trans Med Imaging 1982;1:192 · Reader A et al., IEEE Trans Nucl Sci 2003;50:1392 (image-space resolution) ·
Schramm G, Thielemans K, Front Nucl Med 2024;3:1324562 (parallelproj).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry, TofBins
from fusin.reconstruction.pet_lines import AxialPlan, Rays, axial_lines, axial_plan, event_edges, factors_of, spacing
from fusin.reconstruction.projector import FloatImage, ViewProjector, Views
from fusin.reconstruction.resolution import ImageResolution

__all__ = ["CylindricalScanner", "ListmodeProjector", "PetSinogramProjector", "SinogramGeometry", "TofBins"]

FloatArray = NDArray[np.float64]
WHERE = "PET projector"
# Bounds the memory of spread data; neither depends on the threads, so that results do not.
_SUMS_AT_ONCE = 32_000_000
_PARTS_BYTES, _MOST_PARTS = 2**29, 16
_RAYS_AT_ONCE = 2_000_000


class PetSinogramProjector(ViewProjector):
    """Expected counts of a sinogram, and the exact transpose.

    Parameters
    ----------
    geometry : of the sinogram
    grid : of the image: axes along x, y and z
    factors : attenuation times efficiencies times time, of the shape of the data; with time of flight also (views, bins,
        planes), for all timing bins; None for 1
    resolution : Gaussian blur in image space; None for none
    rays : ``mean`` for one line per plane, at the mean ring difference of its pairs; ``pairs`` for a line of each pair
    per_ray : walk each line on its own, as where the axial shortcut does not apply: slow, for tests

    Raises
    ------
    InputError
        For a grid with turned axes, or factors of another shape.
    """

    where = WHERE

    def __init__(
        self, geometry: SinogramGeometry, grid: Grid, *, factors: ArrayLike | None = None,
        resolution: ImageResolution | None = None, rays: Rays = "mean", per_ray: bool = False,
    ) -> None:  # fmt: skip
        self.geometry, self.grid, self.resolution = geometry, grid, resolution
        self._pixel = spacing(grid)
        self._factors = factors_of(geometry, factors)
        self._along = axial_lines(geometry, rays)
        self._axial = None if per_ray else axial_plan(geometry, grid, self._along)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.grid.shape

    @property
    def data_shape(self) -> tuple[int, ...]:
        """(views, bins, planes), or (views, timing bins, bins, planes)."""
        return self.geometry.data_shape

    @property
    def shares_columns(self) -> bool:
        """Whether planes share interpolated columns, which is several times faster."""
        return self._axial is not None

    @property
    def axial(self) -> AxialPlan | None:
        """How planes read the slices, for every backend; None where each line is walked on its own."""
        return self._axial

    @property
    def factors(self) -> FloatImage | None:
        """Factors of the data, with an axis of length 1 for timing bins that share them; None for 1."""
        return self._factors

    def lines(self, views: Views) -> FloatArray:
        """Return x and y of both ends of all lines of the views in voxels, (lines, 4)."""
        index = (self.geometry.ends_mm[views] - self.grid.affine[:2, 3]) / self._pixel[:2]
        return np.ascontiguousarray(index.reshape(-1, 4))

    @property
    def workspace_bytes(self) -> int:
        """Memory beyond image, data and factors while projecting."""
        if self._axial is None:
            return min(_PARTS_BYTES, _MOST_PARTS * 4 * int(np.prod(self.image_shape))) + 100 * _RAYS_AT_ONCE
        one = self._lines_sums() * self.geometry.bins
        return 8 * int(np.prod(self.image_shape)) + 4 * max(one, min(_SUMS_AT_ONCE, one * self.geometry.views))

    def _forward(self, image: FloatImage, views: Views) -> FloatImage:
        values = np.asarray(image, dtype=np.float32)
        if self.resolution is not None:
            values = self.resolution.blur(values, self._pixel)
        out = np.empty((views.size, *self.data_shape[1:]), np.float32)
        picture = self._to_picture(values)
        for part in self._parts(views):
            lines = self.lines(views[part])
            found = np.empty((lines.shape[0], self._timing, self.geometry.planes), np.float32)
            if self._axial is None:
                self._walk_forward(picture, lines, found)
            else:
                from fusin.reconstruction.pet_kernels import sinogram_forward

                plan = self._axial
                sinogram_forward(picture, lines, self._pixel[:2], plan.groups, plan.counts, plan.table, 1, plan.weights,
                                 plan.plane_of, *self._tof(), found)  # fmt: skip
            out[part] = self._to_data(found, part.stop - part.start)
        if self._factors is not None:
            out *= self._factors[views]
        return out

    def _back(self, data: FloatImage, views: Views) -> FloatImage:
        values = np.asarray(data, dtype=np.float32)
        slices, rows, columns = self.image_shape
        if self._axial is None:
            bytes_of_one = 4 * slices * rows * columns
            chunks = int(np.clip(_PARTS_BYTES // bytes_of_one, 1, _MOST_PARTS))
            picture = np.zeros((chunks, slices, rows, columns), np.float32)
        else:
            picture = np.zeros((rows, columns, self._axial.width), np.float32)
        for part in self._parts(views):
            lines = self.lines(views[part])
            block = values[part]
            if self._factors is not None:
                block = block * self._factors[views[part]]
            found = self._from_data(block)
            if self._axial is None:
                self._walk_back(found, lines, picture)
            else:
                self._add_back(found, lines, picture)
        image = picture.sum(axis=0, dtype=np.float32) if self._axial is None else self._from_picture(picture)
        return image if self.resolution is None else self.resolution.blur(image, self._pixel)

    @property
    def _timing(self) -> int:
        return 1 if self.geometry.tof is None else self.geometry.tof.count

    def _tof(self) -> tuple[FloatArray, float, float]:
        from fusin.reconstruction.pet_ray_kernels import CUT

        tof = self.geometry.tof
        return (np.zeros(0), 1.0, 0.0) if tof is None else (tof.edges_mm, tof.sigma_mm, CUT * tof.sigma_mm)

    def _lines_sums(self) -> int:
        return self._along.planes.size * self._timing

    def _parts(self, chosen: Views) -> list[slice]:
        most = max(1, _SUMS_AT_ONCE // (self._lines_sums() * self.geometry.bins))
        return [slice(a, min(a + most, chosen.size)) for a in range(0, chosen.size, most)]

    def _to_data(self, found: FloatImage, views: int) -> FloatImage:
        """(lines, timing bins, planes) as data of the views."""
        block = found.reshape(views, self.geometry.bins, self._timing, self.geometry.planes)
        return block[:, :, 0] if self.geometry.tof is None else block.swapaxes(1, 2)

    def _from_data(self, block: FloatImage) -> FloatImage:
        if self.geometry.tof is not None:
            block = block.swapaxes(1, 2)
        return np.ascontiguousarray(block).reshape(-1, self._timing, self.geometry.planes)

    def _to_picture(self, image: FloatImage) -> FloatImage:
        if self._axial is None:
            return np.ascontiguousarray(image)
        plan, slices = self._axial, self.image_shape[0]
        picture = np.zeros((*self.image_shape[1:], plan.width), np.float32)
        picture[..., plan.table[1 : slices + 1]] = np.moveaxis(image, 0, -1)
        # Between the outermost centres and the faces of the image the outermost slices go on.
        picture[..., plan.table[0]], picture[..., plan.table[slices + 1]] = image[0], image[-1]
        return picture

    def _from_picture(self, picture: FloatImage) -> FloatImage:
        assert self._axial is not None
        table, slices = self._axial.table, self.image_shape[0]
        image = np.ascontiguousarray(np.moveaxis(picture[..., table[1 : slices + 1]], -1, 0))
        image[0] += picture[..., table[0]]
        image[-1] += picture[..., table[slices + 1]]
        return image

    def _add_back(self, found: FloatImage, lines: FloatArray, picture: FloatImage) -> None:
        from fusin.reconstruction.pet_kernels import prepare, sinogram_back

        plan = self._axial
        assert plan is not None
        sums = np.empty((lines.shape[0], self._timing, plan.weights.size), np.float32)
        prepare(found, lines, self._pixel[:2], plan.groups, plan.counts, plan.weights, plan.plane_of, sums)
        for along in (True, False):
            sinogram_back(sums, lines, self._pixel[:2], plan.groups, plan.counts, plan.table, 1, *self._tof(), along,
                          picture)  # fmt: skip

    def _rays(self, lines: FloatArray) -> list[tuple[slice, int, FloatArray]]:
        """Blocks of (lines, axial line, rays), each axial line on its own."""
        z = self._ends_z()
        out = []
        for a in range(0, lines.shape[0], _RAYS_AT_ONCE):
            block = lines[a : a + _RAYS_AT_ONCE]
            for k, (z1, z2) in enumerate(z):
                rays = np.empty((block.shape[0], 6))
                rays[:, 0:2], rays[:, 3:5] = block[:, :2], block[:, 2:] - block[:, :2]
                rays[:, 2], rays[:, 5] = z1, z2 - z1
                out.append((slice(a, a + block.shape[0]), k, rays))
        return out

    def _ends_z(self) -> FloatArray:
        """(axial lines, 2) slice of both ends."""
        rings = self.geometry.scanner.rings_z_mm + self.geometry.centre_mm[2]
        first, second = (
            0.5 * (self._along.sums - self._along.differences),
            0.5 * (self._along.sums + self._along.differences),
        )
        at = np.stack([np.interp(end, np.arange(rings.size), rings) for end in (first, second)], axis=1)
        return np.asarray((at - self.grid.affine[2, 3]) / self._pixel[2], dtype=np.float64)

    def _bounds(self) -> list[tuple[FloatArray, float]]:
        tof = self.geometry.tof
        if tof is None:
            return [(np.zeros((1, 2)), 1.0)]
        return [(tof.edges_mm[None, t : t + 2], tof.sigma_mm) for t in range(tof.count)]

    def _walk_forward(self, image: FloatImage, lines: FloatArray, found: FloatImage) -> None:
        from fusin.reconstruction.pet_ray_kernels import rays_forward

        found[:] = 0.0
        for part, k, rays in self._rays(lines):
            for t, (edges, sigma) in enumerate(self._bounds()):
                out = np.empty(rays.shape[0], np.float32)
                rays_forward(image, rays, self._pixel, edges, sigma, out)
                found[part, t, self._along.planes[k]] += self._along.weights[k] * out

    def _walk_back(self, found: FloatImage, lines: FloatArray, parts: FloatImage) -> None:
        from fusin.reconstruction.pet_ray_kernels import rays_back

        for part, k, rays in self._rays(lines):
            for t, (edges, sigma) in enumerate(self._bounds()):
                rays_back(
                    found[part, t, self._along.planes[k]] * self._along.weights[k],
                    rays,
                    self._pixel,
                    edges,
                    sigma,
                    parts,
                )


class ListmodeProjector:
    """Expected counts at the lines of single events, and the exact transpose; lines may run anywhere.

    Parameters
    ----------
    starts_mm, ends_mm : (events, 3) ends of each line in image coordinates
    grid : of the image: axes along x, y and z
    sensitivity_image : what all lines of the scanner together see, with the same factors and resolution; see
        `PetSinogramProjector.sensitivity`
    factors : (events,) attenuation times efficiencies; None for 1
    resolution : Gaussian blur in image space; None for none
    tof : its bins; None without
    tof_bins : (events,) index of the time-of-flight bin of each event

    Raises
    ------
    InputError
        For shapes that differ, ends that are no numbers, or bins that do not exist.
    """

    def __init__(
        self, starts_mm: ArrayLike, ends_mm: ArrayLike, grid: Grid, *, sensitivity_image: FloatImage,
        factors: ArrayLike | None = None, resolution: ImageResolution | None = None, tof: TofBins | None = None,
        tof_bins: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        self.grid, self.resolution, self.tof = grid, resolution, tof
        self._pixel = spacing(grid)
        starts, ends = np.asarray(starts_mm, dtype=np.float64), np.asarray(ends_mm, dtype=np.float64)
        if starts.ndim != 2 or starts.shape[1:] != (3,) or starts.shape != ends.shape or not len(starts):
            raise InputError(WHERE, "events", (starts.shape, ends.shape), "two ends (events, 3) of at least one event")
        if not (np.isfinite(starts).all() and np.isfinite(ends).all()):
            raise InputError(WHERE, "events", "ends that are no numbers", "finite millimetres")
        if tuple(sensitivity_image.shape) != grid.shape:
            raise InputError(
                WHERE, "sensitivity_image", tuple(sensitivity_image.shape), f"the grid's shape {grid.shape}"
            )
        self._sensitivity = np.asarray(sensitivity_image, dtype=np.float32)
        self._rays = np.hstack([(starts - grid.affine[:3, 3]) / self._pixel, (ends - starts) / self._pixel])
        self._edges, self._sigma = event_edges(tof, tof_bins, len(starts))
        self._factors = None if factors is None else np.asarray(factors, dtype=np.float32)
        if self._factors is not None and (
            self._factors.shape != (len(starts),) or not np.isfinite(self._factors).all()
        ):
            raise InputError(
                WHERE, "factors", self._factors.shape, f"a finite number for each of the {len(starts)} events"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.grid.shape

    @property
    def data_shape(self) -> tuple[int, ...]:
        """(events,)."""
        return (len(self._rays),)

    def forward(self, image: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the expected counts at the chosen events."""
        from fusin.reconstruction.pet_ray_kernels import rays_forward

        if tuple(image.shape) != self.image_shape:
            raise InputError(WHERE, "image", tuple(image.shape), f"the grid's shape {self.image_shape}")
        values = np.ascontiguousarray(image, dtype=np.float32)
        if self.resolution is not None:
            values = self.resolution.blur(values, self._pixel)
        rays, edges, factors = self._of(views)
        out = np.empty(len(rays), np.float32)
        rays_forward(values, rays, self._pixel, edges, self._sigma, out)
        return out if factors is None else out * factors

    def back(self, data: FloatImage, views: Views | None = None) -> FloatImage:
        """Return the exact transpose of `forward` applied to data of the chosen events."""
        from fusin.reconstruction.pet_ray_kernels import rays_back

        rays, edges, factors = self._of(views)
        if np.shape(data) != (len(rays),):
            raise InputError(WHERE, "data", np.shape(data), f"one number for each of the {len(rays)} events")
        values = np.asarray(data, dtype=np.float32)
        chunks = int(np.clip(_PARTS_BYTES // (4 * int(np.prod(self.image_shape))), 1, _MOST_PARTS))
        parts = np.zeros((chunks, *self.image_shape), np.float32)
        rays_back(values if factors is None else values * factors, rays, self._pixel, edges, self._sigma, parts)
        image = parts.sum(axis=0, dtype=np.float32)
        return image if self.resolution is None else self.resolution.blur(image, self._pixel)

    def sensitivity(self, views: Views | None = None) -> FloatImage:
        """Return the sensitivity of the scanner, and its share for some of the events."""
        share = 1.0 if views is None else len(views) / len(self._rays)
        return np.asarray(self._sensitivity * np.float32(share), dtype=np.float32)

    def _of(self, views: Views | None) -> tuple[FloatArray, FloatArray, FloatImage | None]:
        if views is None:
            return self._rays, self._edges, self._factors
        edges = self._edges if len(self._edges) == 1 else self._edges[views]
        return self._rays[views], edges, None if self._factors is None else self._factors[views]
