"""PET scanners of rings, and the sinograms that belong to them.

Coordinates are millimetres along the axes of the image, with the middle of the scanner at ``centre_mm``. Crystal k of N on a ring
is at the angle ``a = 2 pi k / N + tilt``, at ``(radius sin a, -radius cos a)`` in (x, y), and rings follow each other along z. View
v and bin t of a sinogram are the line between the crystals::

    first = (v + floor(t / 2)) mod N,   second = (v - floor((t + 1) / 2) + N / 2) mod N,    t = -(bins // 2) ...

so that neighbouring bins interleave two angles and ``t = 0`` passes the axis. Arc-corrected bins have one width instead: they are
the lines at the distance ``t bin_mm`` from the axis in the direction of their view, whose ends lie between crystals. A plane of a
sinogram holds the pairs of rings (r1, r2), of the first and second crystal, with one sum and a ring difference ``r2 - r1`` within
its segment.

References
----------
Defrise M et al., Phys Med Biol 1990;35:1361 (segments) · Fahey F, J Nucl Med Technol 2002;30:39 (span) · Thielemans K et al., Phys
Med Biol 2012;57:867 (STIR, whose Interfile headers describe the same order).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, Unsupported
from fusin.imaging.volume import Grid

__all__ = ["CylindricalScanner", "Segment", "SinogramGeometry", "TofBins", "span_segments"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
SCANNER, SINOGRAM = "PET scanner", "sinogram"
# Ten times what any scanner has: beyond it a header is damaged.
_MOST_CRYSTALS, _MOST_RINGS, _MOST_TIMING_BINS = 20_000, 10_000, 10_000
LIGHT_MM_PER_PS = 0.299792458
"""Speed of light; a difference of arrival moves a point by half of it."""


def _whole(where: str, name: str, value: object, least: int, most: float = np.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        upto = "" if np.isinf(most) else f" to {most:g}"
        raise InputError(where, name, value, f"a whole number from {least}{upto or ' up'}")


def _positive(where: str, name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise InputError(where, name, value, "a positive number")


@dataclass(frozen=True, kw_only=True, eq=False)
class CylindricalScanner:
    """Rings of crystals on a circle, or on flat blocks about the axis.

    Attributes
    ----------
    crystals : per ring, even
    rings : number of
    radius_mm : from the axis to where photons are taken to interact: inner radius plus mean depth; for blocks, to their middle
    ring_pitch_mm : between neighbouring rings
    tilt_deg : angle of crystal 0, and of the first crystal's edge of block 0 less half a crystal
    mirrored : crystals are counted the other way round: all places have the opposite x
    blocks : flat blocks in a ring; 0 for crystals on a circle
    crystal_pitch_mm : between neighbouring crystals of a block
    rings_per_block : rings that follow each other without a gap; 0 for all of them
    ring_gap_mm : what is added to the pitch between axial blocks
    energy_resolution : FWHM relative to the energy, at 511 keV; None where unknown
    energy_window_kev : lower and upper level; None where unknown
    name : of the model

    Raises
    ------
    InputError
        For sizes that cannot be.
    """

    crystals: int
    rings: int
    radius_mm: float
    ring_pitch_mm: float
    tilt_deg: float = 0.0
    mirrored: bool = False
    blocks: int = 0
    crystal_pitch_mm: float | None = None
    rings_per_block: int = 0
    ring_gap_mm: float = 0.0
    energy_resolution: float | None = None
    energy_window_kev: tuple[float, float] | None = None
    name: str = "unknown"

    def __post_init__(self) -> None:
        _whole(SCANNER, "crystals", self.crystals, 4, _MOST_CRYSTALS)
        _whole(SCANNER, "rings", self.rings, 1, _MOST_RINGS)
        if self.crystals % 2:
            raise InputError(
                SCANNER, "crystals", self.crystals, "an even number per ring, so that each one has an opposite"
            )
        for name in ("radius_mm", "ring_pitch_mm"):
            _positive(SCANNER, name, getattr(self, name))
        if not np.isfinite(self.tilt_deg):
            raise InputError(SCANNER, "tilt_deg", self.tilt_deg, "a finite angle")
        _whole(SCANNER, "blocks", self.blocks, 0)
        _whole(SCANNER, "rings_per_block", self.rings_per_block, 0)
        if self.blocks:
            if self.crystals % self.blocks:
                raise InputError(SCANNER, "blocks", self.blocks, f"a divisor of the {self.crystals} crystals")
            if self.crystal_pitch_mm is None:
                raise InputError(SCANNER, "crystal_pitch_mm", None, "the distance of crystals in a flat block")
            _positive(SCANNER, "crystal_pitch_mm", self.crystal_pitch_mm)
        if self.ring_gap_mm < 0 or (self.ring_gap_mm > 0 and not self.rings_per_block):
            raise InputError(SCANNER, "ring_gap_mm", self.ring_gap_mm, "0 or more, with rings_per_block")

    @cached_property
    def crystals_xy_mm(self) -> FloatArray:
        """(crystals, 2) places in a ring."""
        step = 2.0 * np.pi / self.crystals
        angle = step * np.arange(self.crystals) + np.deg2rad(self.tilt_deg)
        if not self.blocks:
            return self.radius_mm * self.outwards(angle)
        per = self.crystals // self.blocks
        block, inside = np.divmod(np.arange(self.crystals), per)
        middle = step * (per * block + 0.5 * (per - 1)) + np.deg2rad(self.tilt_deg)
        assert self.crystal_pitch_mm is not None
        along = (inside - 0.5 * (per - 1)) * self.crystal_pitch_mm
        # A quarter of a turn on, outwards is along.
        places = self.radius_mm * self.outwards(middle) + along[:, None] * self.outwards(middle + 0.5 * np.pi)
        return np.asarray(places, dtype=np.float64)

    def outwards(self, angle: FloatArray) -> FloatArray:
        """Return the direction from the axis (x, y) at angles in the sense of the crystals, tilt included [radians]."""
        sine = -np.sin(angle) if self.mirrored else np.sin(angle)
        return np.asarray(np.stack([sine, -np.cos(angle)], axis=-1), dtype=np.float64)

    @cached_property
    def rings_z_mm(self) -> FloatArray:
        """(rings,) places along the axis, about 0."""
        gaps = np.arange(self.rings) // self.rings_per_block if self.rings_per_block else np.zeros(self.rings)
        z = self.ring_pitch_mm * np.arange(self.rings) + self.ring_gap_mm * gaps
        return np.asarray(z - 0.5 * (z[0] + z[-1]), dtype=np.float64)

    @property
    def even_rings(self) -> bool:
        """Whether all rings are equally far apart."""
        return self.ring_gap_mm == 0.0 or self.rings <= self.rings_per_block


@dataclass(frozen=True, slots=True, kw_only=True)
class TofBins:
    """Bins of the difference of arrival, about 0.

    Attributes
    ----------
    count : number of bins; in the middle of bin ``(count - 1) / 2`` both photons arrive together
    width_ps : of a bin
    resolution_ps : FWHM of the coincidence timing
    """

    count: int
    width_ps: float
    resolution_ps: float

    def __post_init__(self) -> None:
        _whole("time of flight", "count", self.count, 1, _MOST_TIMING_BINS)
        for name in ("width_ps", "resolution_ps"):
            _positive("time of flight", name, getattr(self, name))

    @property
    def edges_mm(self) -> FloatArray:
        """(count + 1,) places along the line, from its middle towards the second crystal."""
        edges = (np.arange(self.count + 1) - 0.5 * self.count) * (self.width_ps * 0.5 * LIGHT_MM_PER_PS)
        return np.asarray(edges, dtype=np.float64)

    @property
    def sigma_mm(self) -> float:
        """Standard deviation along the line."""
        return float(self.resolution_ps * 0.5 * LIGHT_MM_PER_PS / (2.0 * np.sqrt(2.0 * np.log(2.0))))


@dataclass(frozen=True, slots=True)
class Segment:
    """Ring differences ``r2 - r1`` from ``low`` to ``high`` that share planes."""

    low: int
    high: int

    @property
    def nearest(self) -> int:
        """Smallest absolute ring difference."""
        return 0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))

    def sums(self, rings: int) -> IntArray:
        """Return ``r1 + r2`` of each plane."""
        step = 2 if self.low == self.high else 1
        return np.arange(self.nearest, 2 * (rings - 1) - self.nearest + 1, step)


def span_segments(rings: int, span: int, max_ring_difference: int | None = None) -> tuple[Segment, ...]:
    """Segments of an odd span in the order 0, +1, -1, +2, ...

    Parameters
    ----------
    rings : of the scanner
    span : ring differences of a segment
    max_ring_difference : largest of all; the last whole segment within the rings without it

    Raises
    ------
    InputError
        For an even span, or a largest difference that cuts a segment.
    """
    _whole(SINOGRAM, "span", span, 1)
    if span % 2 == 0:
        raise InputError(SINOGRAM, "span", span, "an odd number; other schemes are stated segment by segment")
    half = span // 2
    largest = rings - 1 if max_ring_difference is None else max_ring_difference
    _whole(SINOGRAM, "max_ring_difference", largest, 0, rings - 1)
    if max_ring_difference is not None and (largest - half) % span and largest >= half:
        raise InputError(SINOGRAM, "max_ring_difference", largest, f"{half} plus a multiple of the span {span}")
    found = [Segment(-min(half, largest), min(half, largest))]
    for k in range(1, (largest - half) // span + 1):
        low, high = k * span - half, k * span + half
        found += [Segment(low, high), Segment(-high, -low)]
    return tuple(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class SinogramGeometry:
    """Which lines the bins of a sinogram are.

    Data have the shape ``(views, bins, planes)``, with time of flight ``(views, timing bins, bins, planes)``. Planes are those of
    the first segment, then of the second, and so on.

    Attributes
    ----------
    scanner : the detector
    bins : lines of a view across the axis
    segments : see `span_segments`
    mashing : neighbouring views that were added
    tof : bins of the time of flight; None without
    centre_mm : middle of the scanner in image coordinates
    bin_mm : distance of the bins of arc-corrected data; None for bins that are pairs of crystals
    position : how the patient lay, where the geometry comes from a file; see `fusin.reconstruction.pet_position`

    Raises
    ------
    InputError
        For more bins than lines, segments that overlap or leave the scanner, views that mashing does not divide, and bins of one
        width that reach beyond a ring or belong to flat blocks.
    """

    scanner: CylindricalScanner
    bins: int
    segments: tuple[Segment, ...]
    mashing: int = 1
    tof: TofBins | None = None
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    position: str = ""
    bin_mm: float | None = None

    def __post_init__(self) -> None:
        half = self.scanner.crystals // 2
        _whole(SINOGRAM, "bins", self.bins, 1, self.scanner.crystals - 1 if self.bin_mm is None else _MOST_CRYSTALS)
        if self.bin_mm is not None:
            _positive(SINOGRAM, "bin_mm", self.bin_mm)
            reach = self.bins // 2 * self.bin_mm
            if self.scanner.blocks or reach >= self.scanner.radius_mm:
                raise InputError(SINOGRAM, "bin_mm", self.bin_mm, f"crystals on a circle of {self.scanner.radius_mm:g} mm, the "
                                 f"{self.bins} bins within")  # fmt: skip
        _whole(SINOGRAM, "mashing", self.mashing, 1, half)
        if half % self.mashing:
            raise InputError(SINOGRAM, "mashing", self.mashing, f"a divisor of the {half} views")
        if not self.segments:
            raise InputError(SINOGRAM, "segments", "none", "at least one segment")
        seen: set[int] = set()
        for segment in self.segments:
            differences = set(range(segment.low, segment.high + 1))
            if not differences or max(map(abs, differences)) >= self.scanner.rings:
                raise InputError(SINOGRAM, "segments", (segment.low, segment.high),
                                 f"ring differences that {self.scanner.rings} rings have, low before high")  # fmt: skip
            if segment.low < 0 < segment.high and segment.low != -segment.high:
                raise InputError(
                    SINOGRAM, "segments", (segment.low, segment.high), "a segment on one side of 0, or even about it"
                )
            if seen & differences:
                raise InputError(
                    SINOGRAM, "segments", (segment.low, segment.high), "ring differences that no other segment has"
                )
            seen |= differences

    @classmethod
    def of_span(
        cls, scanner: CylindricalScanner, *, bins: int, span: int = 1, max_ring_difference: int | None = None, mashing: int = 1,
        tof: TofBins | None = None, centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> SinogramGeometry:  # fmt: skip
        """Return the geometry with the segments of a span; see `span_segments`."""
        segments = span_segments(scanner.rings, span, max_ring_difference)
        return cls(scanner=scanner, bins=bins, segments=segments, mashing=mashing, tof=tof, centre_mm=centre_mm)

    @property
    def views(self) -> int:
        """Views over half a turn."""
        return self.scanner.crystals // 2 // self.mashing

    @cached_property
    def planes_of_segment(self) -> tuple[int, ...]:
        """Planes of each segment."""
        return tuple(len(s.sums(self.scanner.rings)) for s in self.segments)

    @property
    def planes(self) -> int:
        """Planes of all segments."""
        return sum(self.planes_of_segment)

    @property
    def data_shape(self) -> tuple[int, ...]:
        """(views, bins, planes), or (views, timing bins, bins, planes)."""
        if self.tof is None:
            return self.views, self.bins, self.planes
        return self.views, self.tof.count, self.bins, self.planes

    @property
    def view_angles_deg(self) -> FloatArray:
        """(views,) angle of the normal of the lines of each view, in the sense of the crystals."""
        step = 180.0 / (self.scanner.crystals // 2)
        return np.asarray(
            self.scanner.tilt_deg + step * (self.mashing * (np.arange(self.views) + 0.5) - 0.5), dtype=np.float64
        )

    @cached_property
    def crystal_pairs(self) -> IntArray:
        """(views, bins, mashing, 2) first and second crystal of the lines of each bin.

        Raises
        ------
        Unsupported
            For arc-corrected bins.
        """
        if self.bin_mm is not None:
            raise Unsupported("finding the crystals of bins", "the sinogram is arc corrected: its bins are no pairs of crystals",
                              "data as detected, or randoms and efficiencies as sinograms", "BINS_WITHOUT_CRYSTALS")  # fmt: skip
        n = self.scanner.crystals
        view = np.arange(n // 2).reshape(self.views, 1, self.mashing)
        t = (np.arange(self.bins) - self.bins // 2)[None, :, None]
        pairs = np.stack([(view + t // 2) % n, (view - (t + 1) // 2 + n // 2) % n], axis=-1)
        return pairs.astype(np.intp)

    @cached_property
    def crystals_at_ends(self) -> FloatArray:
        """(views, bins, 2) crystal at both ends of a line, the middle one of mashed views; a fraction for arc-corrected bins."""
        if self.bin_mm is None:
            return np.asarray(self.crystal_pairs[:, :, self.mashing // 2], dtype=np.float64)
        step = 2.0 * np.pi / self.scanner.crystals
        view = (np.deg2rad(self.view_angles_deg - self.scanner.tilt_deg) / step)[:, None]
        aside = np.arcsin((np.arange(self.bins) - self.bins // 2) * self.bin_mm / self.scanner.radius_mm)[None] / step
        return np.stack([view + aside, view - aside + self.scanner.crystals / 2], axis=-1)

    @cached_property
    def ends_mm(self) -> FloatArray:
        """(views, bins, 2, 2) x and y of the first and the second end of each line."""
        if self.bin_mm is not None:
            step = 2.0 * np.pi / self.scanner.crystals
            angle = self.crystals_at_ends * step + np.deg2rad(self.scanner.tilt_deg)
            places = self.scanner.radius_mm * self.scanner.outwards(angle) + np.array(self.centre_mm[:2])
            return np.asarray(places, dtype=np.float64)
        ends = self.scanner.crystals_xy_mm[self.crystal_pairs].mean(axis=2)
        return np.asarray(ends + np.array(self.centre_mm[:2]), dtype=np.float64)

    @cached_property
    def ring_pairs(self) -> tuple[IntArray, IntArray]:
        """(plane, (r1, r2)) of each pair of rings that a plane adds, (pairs,) and (pairs, 2)."""
        planes, pairs, first = [], [], 0
        for segment in self.segments:
            sums = segment.sums(self.scanner.rings)
            lookup = {int(m): first + i for i, m in enumerate(sums)}
            for d in range(segment.low, segment.high + 1):
                for r1 in range(max(0, -d), min(self.scanner.rings, self.scanner.rings - d)):
                    planes.append(lookup[2 * r1 + d])
                    pairs.append((r1, r1 + d))
            first += len(sums)
        order = np.argsort(planes, kind="stable")
        return np.array(planes, dtype=np.intp)[order], np.array(pairs, dtype=np.intp).reshape(-1, 2)[order]

    @cached_property
    def pairs_per_plane(self) -> IntArray:
        """(planes,) pairs of rings that each plane adds."""
        return np.bincount(self.ring_pairs[0], minlength=self.planes).astype(np.intp)

    @property
    def lines_per_plane(self) -> IntArray:
        """(planes,) lines that a bin of each plane adds: pairs of rings times mashed views."""
        return np.asarray(self.pairs_per_plane * self.mashing, dtype=np.intp)

    def segment_slices(self) -> tuple[slice, ...]:
        """Where the planes of each segment stand in the last axis of the data."""
        ends = np.cumsum((0, *self.planes_of_segment))
        return tuple(slice(int(a), int(b)) for a, b in pairwise(ends))

    def grid(
        self,
        *,
        pixel_mm: float,
        columns: int,
        rows: int | None = None,
        planes_per_ring: int = 2,
        frame_of_reference_uid: str = "",
    ) -> Grid:
        """Image grid about the scanner, whose planes are those of the rings and between them.

        Parameters
        ----------
        pixel_mm : width of a voxel across the axis
        columns, rows : of the image; square without the latter
        planes_per_ring : planes in a ring pitch, 2 as usual: ``2 rings - 1`` planes
        frame_of_reference_uid : of the coordinates
        """
        _positive(SINOGRAM, "pixel_mm", pixel_mm)
        for name, value in (("columns", columns), ("planes_per_ring", planes_per_ring)):
            _whole(SINOGRAM, name, value, 1)
        height, z = columns if rows is None else rows, self.scanner.rings_z_mm
        pitch = self.scanner.ring_pitch_mm / planes_per_ring
        slices = int(np.ceil((z[-1] - z[0]) / pitch - 1e-6)) + 1
        affine = np.diag([pixel_mm, pixel_mm, pitch, 1.0])
        half = 0.5 * (np.array([columns, height, slices]) - 1) * np.array([pixel_mm, pixel_mm, pitch])
        affine[:3, 3] = np.array(self.centre_mm) - half
        return Grid(shape=(slices, height, columns), affine=affine, frame_of_reference_uid=frame_of_reference_uid)
