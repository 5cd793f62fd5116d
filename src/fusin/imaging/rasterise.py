"""Planar contours to voxels.

A region drawn as contours is taken as a stack of slabs: each contour plane stands for the space half
way to its neighbours (half a plane spacing at the ends). A voxel belongs to the region when its centre
lies in the slab and in the polygon, which works for any grid: the one it was drawn on, one with other
slices, or one that is oblique to it.

Contours of one plane are combined by exclusive or, so that an inner contour is a hole, and by the even-odd
rule, so that a keyhole contour is one too. A polygon owns its upper and left border and not its lower and
right one (in rows and columns of the grid): two regions that share a border share no voxel and leave none
out. Coordinates are rounded to 1/65536 voxel first, which makes the rule exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.regions import region_from_crop
from fusin.imaging.volume import FloatArray, Grid, Region
from fusin.provenance import NoticeLog

__all__ = ["Contour", "plane_spacing_of", "rasterise"]

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_SAME_PLANE_MM = 0.1
_THICKEST_SLICE_MM = 10.0
_REACH = 8192  # whole-number products of coordinates up to this stay within 64 bits


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contour:
    """One contour of a structure set.

    Attributes
    ----------
    points_mm : (n, 3) LPS millimetres
    kind : Contour Geometric Type (3006,0042)
    """

    points_mm: FloatArray
    kind: str = "CLOSED_PLANAR"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Stack:
    """Usable contours on parallel planes, sorted by height.

    Attributes
    ----------
    polygons : (n, 3) points, ordered by plane
    plane : index of the plane of each polygon
    axes : (3, 3) rows u, v, w; w is the normal of the planes
    low, high : (planes,) slab limits along w in millimetres
    height : (planes,) position of each plane along w
    """

    polygons: list[FloatArray]
    plane: NDArray[np.int64]
    axes: FloatArray
    low: FloatArray
    high: FloatArray
    height: FloatArray


def rasterise(
    name: str,
    contours: Sequence[Contour],
    grid: Grid,
    *,
    log: NoticeLog,
    plane_spacing_mm: float | None = None,
    **more: Any,
) -> Region:
    """Voxels whose centres lie inside a stack of planar contours.

    Parameters
    ----------
    name : name of the region, also used in notices
    contours : contours in LPS millimetres on parallel planes, in any order
    grid : voxels to fill
    log : receives CONTOUR_SKIPPED (points and open lines), CONTOUR_TOO_SHORT (fewer than 3 points),
        CONTOUR_DUPLICATE, CONTOUR_GAP, CONTOUR_SPARSE, REGION_OUTSIDE_GRID and REGION_EMPTY
    plane_spacing_mm : distance of the planes that the contours were drawn on; ``None`` takes the lower
        quartile of the distances found, or the slice spacing of ``grid`` for a single plane
    more : further fields of :class:`Region`

    Returns
    -------
    Region
        Empty when nothing is inside.

    Raises
    ------
    InputError
        Contours that are not planar, or not on parallel planes, or thousands of voxels away.
    """
    polygons = _usable(name, contours, log)
    if not polygons:
        log.warning("REGION_EMPTY", "the region has no closed contour", where=name)
        return region_from_crop(name, grid, (0, 0, 0), np.zeros((0, 0, 0), bool), **more)
    normal, aligned = _common_normal(name, polygons, grid)
    stack = _stack(name, polygons, grid, normal=normal, spacing_mm=plane_spacing_mm, log=log)
    start, crop = _fill_slices(name, stack, grid) if aligned else _fill_oblique(name, stack, grid)
    region = region_from_crop(name, grid, start, crop, **more)
    cut = _outside_share(stack, grid)
    if cut > 0:
        log.warning("REGION_OUTSIDE_GRID", f"{100 * cut:.1f} % of the contour points lie outside the image; "
                    "what lies there was cut off", where=name, raw=cut, used=region.volume_ml)  # fmt: skip
    if region.voxels == 0 and cut < 1:
        log.warning("REGION_EMPTY", "no voxel centre of the image lies inside the contours", where=name)
    return region


def plane_spacing_of(contours: Sequence[Contour]) -> float | None:
    """Distance of the planes on which the contours of one structure lie [mm].

    The lower quartile of the distances between neighbouring planes: gaps between separate parts do not
    count, and a single stray plane does not either. ``None`` for fewer than two planes.

    Parameters
    ----------
    contours : contours of one structure
    """
    polygons = [c.points_mm for c in contours if c.kind in _CLOSED and len(c.points_mm) >= 3]
    if not polygons:
        return None
    normal = _mean_normal(polygons)
    if normal is None:
        return None
    heights, _ = _planes(np.array([float((p @ normal).mean()) for p in polygons]))
    gaps = np.diff(heights)
    return float(np.quantile(gaps, 0.25, method="lower")) if gaps.size else None


def _usable(name: str, contours: Sequence[Contour], log: NoticeLog) -> list[FloatArray]:
    """Closed contours of at least three points, each once."""
    kept: list[FloatArray] = []
    skipped: dict[str, int] = {}
    short = doubled = 0
    seen: set[bytes] = set()
    for contour in contours:
        points = np.asarray(contour.points_mm, dtype=np.float64)
        if not np.isfinite(points).all():
            raise InputError(name, "Contour Data (3006,0050)", "a coordinate that is not finite", "millimetres")
        if contour.kind not in _CLOSED:
            skipped[contour.kind] = skipped.get(contour.kind, 0) + 1
        elif len(points) < 3:
            short += 1
        elif points.tobytes() in seen:
            doubled += 1
        else:
            seen.add(points.tobytes())
            kept.append(points)
    for kind, number in skipped.items():
        log.warning(
            "CONTOUR_SKIPPED", f"{number} contours of type {kind or 'unknown'} enclose nothing and were skipped",
            where=name, raw=kind, used=None,
        )  # fmt: skip
    if short:
        log.warning("CONTOUR_TOO_SHORT", f"{short} contours of fewer than three points were ignored", where=name)
    if doubled:
        # Under exclusive or a second copy would erase the first.
        log.warning("CONTOUR_DUPLICATE", f"{doubled} contours are there twice and were used once", where=name)
    return kept


def _area_vector(points: FloatArray) -> FloatArray:
    """Vector along the normal of a polygon whose length is its area (Newell)."""
    centred = points - points[0]
    out: FloatArray = 0.5 * np.cross(centred, np.roll(centred, -1, axis=0)).sum(axis=0)
    return out


def _mean_normal(polygons: Sequence[FloatArray]) -> FloatArray | None:
    """Unit normal shared by the polygons, signed so that its largest part is positive; None without any area."""
    vectors = [_area_vector(p) for p in polygons]
    largest = max(vectors, key=lambda v: float(v @ v))
    if float(largest @ largest) < 1e-12:
        return None
    total = sum((v if float(v @ largest) >= 0 else -v for v in vectors), np.zeros(3))
    unit: FloatArray = total / np.linalg.norm(total)
    return unit if unit[np.argmax(np.abs(unit))] > 0 else -unit


def _spread(polygons: Sequence[FloatArray], normal: FloatArray) -> float:
    """Largest extent of a polygon along a direction [mm]."""
    return max(float(np.ptp(p @ normal)) for p in polygons)


def _common_normal(name: str, polygons: Sequence[FloatArray], grid: Grid) -> tuple[FloatArray, bool]:
    """Normal of the contour planes and whether they are parallel to the slices of the grid."""
    slice_normal = _slice_normal(grid)
    if _spread(polygons, slice_normal) <= 0.1 * _slice_distance(grid):
        return slice_normal, True
    normal = _mean_normal(polygons)
    if normal is None:
        raise InputError(
            name, "Contour Data (3006,0050)", "contours without area in no common plane", "planar contours"
        )
    spread = _spread(polygons, normal)
    if spread > 0.5:
        raise InputError(
            name, "Contour Data (3006,0050)", f"points up to {spread:.2f} mm off one common orientation",
            "closed contours that are planar and parallel to each other",
        )  # fmt: skip
    return normal, False


def _slice_normal(grid: Grid) -> FloatArray:
    """Unit normal of the slices, pointing towards higher slice numbers."""
    normal = np.cross(grid.affine[:3, 0], grid.affine[:3, 1])
    unit: FloatArray = normal / np.linalg.norm(normal)
    return unit if float(unit @ grid.affine[:3, 2]) > 0 else -unit


def _slice_distance(grid: Grid) -> float:
    """Perpendicular distance of neighbouring slices [mm]."""
    return float(_slice_normal(grid) @ grid.affine[:3, 2])


def _planes(heights: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """Ascending plane heights, and the plane of each contour; heights closer than 0.1 mm are one plane."""
    order = np.argsort(heights, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(heights[order]) > _SAME_PLANE_MM)])
    number = np.empty(len(heights), dtype=np.int64)
    number[order] = group
    centres = np.bincount(number, weights=heights) / np.bincount(number)
    return centres, number


def _stack(
    name: str, polygons: list[FloatArray], grid: Grid, *, normal: FloatArray, spacing_mm: float | None, log: NoticeLog
) -> _Stack:
    """Sort the polygons into planes and give each plane its slab."""
    heights, plane = _planes(np.array([float((p @ normal).mean()) for p in polygons]))
    gaps = np.diff(heights)
    if spacing_mm is None:
        spacing_mm = float(np.quantile(gaps, 0.25, method="lower")) if gaps.size else _thickness(grid, normal)
        if spacing_mm > _THICKEST_SLICE_MM:
            # Farther apart than slices ever are: these are single slices of separate parts.
            spacing_mm = _thickness(grid, normal)
    joined = gaps <= 1.5 * spacing_mm
    if gaps.size and not joined.all():
        log.info(
            "CONTOUR_GAP",
            f"contour planes are {spacing_mm:.2f} mm apart; {int((~joined).sum())} gaps of up to {gaps.max():.2f} mm "
            "were left empty",
            where=name,
            raw=float(gaps.max()),
            used=spacing_mm,
        )
    slice_mm = _thickness(grid, normal)
    if spacing_mm > 1.5 * slice_mm:
        log.info(
            "CONTOUR_SPARSE",
            f"contours every {spacing_mm:.2f} mm on slices every {slice_mm:.2f} mm: each contour stands for the "
            "space half way to its neighbours",
            where=name,
            raw=spacing_mm,
            used=slice_mm,
        )
    half = np.where(joined, 0.5 * gaps, 0.5 * spacing_mm)
    low = heights - np.concatenate([[0.5 * spacing_mm], half])
    high = heights + np.concatenate([half, [0.5 * spacing_mm]])
    order = np.argsort(plane, kind="stable")
    # A limit half way between planes often lies exactly on a slice; a tiny shift decides it the same way everywhere.
    nudge = 1e-5 * spacing_mm
    return _Stack(
        polygons=[polygons[i] for i in order], plane=plane[order], axes=_axes(normal, grid),
        low=low - nudge, high=high - nudge, height=heights,
    )  # fmt: skip


def _thickness(grid: Grid, normal: FloatArray) -> float:
    """Extent of a voxel along a direction [mm], the slice distance when the direction is the slice normal."""
    if abs(float(_slice_normal(grid) @ normal)) > 1 - 1e-6:
        return _slice_distance(grid)
    # The distance between planes of voxel centres across the direction, averaged over the three axes.
    unit = np.abs(normal @ grid.affine[:3, :3])
    return float((unit**2).sum() / unit.sum())


def _axes(normal: FloatArray, grid: Grid) -> FloatArray:
    """Right-handed u, v, w with w the normal and u as near as possible to the grid's rows."""
    candidates = grid.affine[:3, :3].T / np.linalg.norm(grid.affine[:3, :3], axis=0)[:, None]
    along = min(candidates, key=lambda a: abs(float(a @ normal)))
    u = along - (along @ normal) * normal
    u = u / np.linalg.norm(u)
    return np.stack([u, np.cross(normal, u), normal])


def _whole(name: str, coordinates: FloatArray) -> NDArray[np.int64]:
    """Coordinates in 1/65536, refused when too large for exact arithmetic."""
    from fusin.imaging.rasterise_kernels import SCALE

    if np.abs(coordinates).max() >= _REACH:
        raise InputError(name, "Contour Data (3006,0050)", f"a point {np.abs(coordinates).max():.0f} voxels away",
                         "contours in millimetres near the image")  # fmt: skip
    return np.rint(coordinates * SCALE).astype(np.int64)


def _fill_slices(name: str, stack: _Stack, grid: Grid) -> tuple[tuple[int, int, int], NDArray[np.uint8]]:
    """Fill when contour planes and slices are parallel."""
    from fusin.imaging.rasterise_kernels import fill_even_odd, toggle_polygon

    normal = stack.axes[2]
    slice_height = grid.affine[:3, 3] @ normal + np.arange(grid.shape[0]) * _slice_distance(grid)
    plane_of = np.searchsorted(stack.low, slice_height, side="right") - 1
    hit = (plane_of >= 0) & (slice_height < stack.high[np.maximum(plane_of, 0)])
    index = [grid.to_index(p)[:, :2] for p in stack.polygons]
    every = np.concatenate(index)
    limits = np.array([grid.shape[2], grid.shape[1]])
    # One voxel of margin: on sheared grids the polygons move with the slice, by at most their own shear per slab.
    shear = _shear_margin(stack, grid)
    first = np.clip(np.floor(every.min(axis=0)) - shear, 0, limits).astype(int)
    stop = np.clip(np.ceil(every.max(axis=0)) + 1 + shear, first, limits).astype(int)
    slices = np.flatnonzero(hit)
    if slices.size == 0 or (stop <= first).any():
        return (0, 0, 0), np.zeros((0, 0, 0), np.uint8)
    k0, k1 = int(slices[0]), int(slices[-1]) + 1
    crop = np.zeros((k1 - k0, stop[1] - first[1], stop[0] - first[0]), dtype=np.uint8)
    begin = np.searchsorted(stack.plane, np.arange(len(stack.low) + 1))
    for k in slices:
        plane = int(plane_of[k])
        flips = np.zeros((crop.shape[1], crop.shape[2] + 1), dtype=np.uint8)
        for number in range(int(begin[plane]), int(begin[plane + 1])):
            points = stack.polygons[number]
            # Along the normal onto this slice, so that a slab is a right prism on sheared grids too.
            on_slice = points + (slice_height[k] - (points @ normal))[:, None] * normal
            xy = _whole(name, grid.to_index(on_slice)[:, :2])
            toggle_polygon(np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1]), first[1], first[0], flips)
        fill_even_odd(flips, crop[k - k0])
    return (k0, int(first[1]), int(first[0])), crop


def _shear_margin(stack: _Stack, grid: Grid) -> int:
    """Voxels by which a polygon can move inside the plane across its slab on a sheared grid."""
    per_mm = np.linalg.inv(grid.affine[:3, :3])[:2] @ stack.axes[2]
    return int(np.ceil(np.abs(per_mm).max() * float((stack.high - stack.low).max()) - 1e-9))


def _fill_oblique(name: str, stack: _Stack, grid: Grid) -> tuple[tuple[int, int, int], NDArray[np.uint8]]:
    """Fill when the slices cut the contour planes at an angle."""
    from fusin.imaging.rasterise_kernels import points_in_slabs

    every = np.concatenate(stack.polygons)
    origin = every.mean(axis=0)
    local = every @ stack.axes.T
    corners = np.array(np.meshgrid(
        *[(local[:, a].min(), local[:, a].max()) for a in (0, 1)], (stack.low.min(), stack.high.max())
    )).reshape(3, -1).T  # fmt: skip
    index = grid.to_index(corners @ stack.axes)[:, ::-1]
    limits = np.array(grid.shape)
    first = np.clip(np.floor(index.min(axis=0)), 0, limits).astype(np.int64)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, first, limits).astype(np.int64)
    out = np.zeros(tuple(stop - first), dtype=np.uint8)
    if out.size:
        matrix = np.zeros((3, 4))
        matrix[:, :3] = (stack.axes @ grid.affine[:3, :3])[:, ::-1]
        matrix[:, 3] = stack.axes @ (grid.affine[:3, 3] - origin)
        height = float(stack.axes[2] @ origin)
        uv = _whole(name, (every - origin) @ stack.axes[:2].T)
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in stack.polygons])]).astype(np.int64)
        begin = np.searchsorted(stack.plane, np.arange(len(stack.low) + 1)).astype(np.int64)
        points_in_slabs(first, out, matrix, stack.low - height, stack.high - height, begin, offsets,
                        np.ascontiguousarray(uv[:, 0]), np.ascontiguousarray(uv[:, 1]))  # fmt: skip
    return (int(first[0]), int(first[1]), int(first[2])), out


def _outside_share(stack: _Stack, grid: Grid) -> float:
    """Share of contour points beyond the outer faces of the grid, with a hundredth of a voxel allowed."""
    index = grid.to_index(np.concatenate(stack.polygons))
    upper = np.array(grid.shape[::-1]) - 0.5
    inside = ((index >= -0.51) & (index <= upper + 0.01)).all(axis=1)
    return float(1.0 - inside.mean())
