"""Analytic solids of the digital patient: from readable descriptions to the arrays that the kernels take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging import phantom_kernels as kernels
from fusin.imaging.volume import FloatArray, Grid

__all__ = ["Coverage", "Primitive", "Solid", "coverage_of", "primitives_of"]

_OPS = {"union": kernels.UNION, "intersect": kernels.INTERSECT, "subtract": kernels.SUBTRACT}
_EVERYWHERE = np.array([-np.inf] * 3 + [np.inf] * 3)
_LOFT_STEP_MM = 2.0
_SMALLEST_MM = 0.05


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Primitive:
    """One analytic shape with its operator.

    Attributes
    ----------
    kind, op : codes of `fusin.imaging.phantom_kernels`
    soft : radius of the smooth union [mm], 0 for a sharp one
    box : (6,) x0, y0, z0, x1, y1, z1 [mm]
    data : parameters in the order of the kernel
    """

    kind: int
    op: int
    soft: float
    box: FloatArray
    data: FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Solid:
    """Primitives folded from left to right; the first one is a union."""

    kinds: NDArray[np.int64]
    ops: NDArray[np.int64]
    soft: FloatArray
    box: FloatArray
    starts: NDArray[np.int64]
    data: FloatArray

    @classmethod
    def of(cls, primitives: Sequence[Primitive]) -> Solid:
        """Pack primitives into arrays."""
        if not primitives or primitives[0].op != kernels.UNION:
            raise InputError("phantom", "shapes", len(primitives), "at least one shape, the first one a union")
        sizes = [p.data.size for p in primitives]
        return cls(
            kinds=np.array([p.kind for p in primitives], np.int64),
            ops=np.array([p.op for p in primitives], np.int64),
            soft=np.array([p.soft for p in primitives], np.float64),
            box=np.array([p.box for p in primitives], np.float64),
            starts=np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64),
            data=np.concatenate([p.data for p in primitives]),
        )

    def bounds(self) -> FloatArray:
        """(6,) box that holds the solid: all unions, cut by the intersections."""
        union = self.ops == kernels.UNION
        grown = self.soft[union][:, None] / 4.0
        low, high = (self.box[union, :3] - grown).min(axis=0), (self.box[union, 3:] + grown).max(axis=0)
        for box in self.box[self.ops == kernels.INTERSECT]:
            low, high = np.maximum(low, box[:3]), np.minimum(high, box[3:])
        return np.concatenate([low, high])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Coverage:
    """Share of each voxel inside a solid, kept as its bounding box on a grid."""

    start: tuple[int, int, int]
    share: NDArray[np.float32]

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Slices of the bounding box in the full array."""
        a, b, c = (slice(s, s + n) for s, n in zip(self.start, self.share.shape, strict=True))
        return a, b, c


def coverage_of(
    solid: Solid, grid: Grid, *, samples: tuple[int, int, int], slices: tuple[int, int] | None = None
) -> Coverage | None:
    """Rasterise a solid on an axis-aligned grid.

    Parameters
    ----------
    samples : sub-grid points along x, y, z in voxels that the surface crosses
    slices : first and one past the last slice to fill; the whole grid by default

    Returns
    -------
    Coverage or None
        None where the solid misses these slices.
    """
    pitch = np.array(grid.spacing_mm)
    origin = grid.affine[:3, 3]
    bounds = solid.bounds()
    first = np.maximum(np.floor((bounds[:3] - origin) / pitch), 0).astype(int)
    last = np.minimum(np.ceil((bounds[3:] - origin) / pitch), np.array(grid.shape[::-1]) - 1).astype(int) + 1
    if slices is not None:
        first[2], last[2] = max(first[2], slices[0]), min(last[2], slices[1])
    if np.any(last <= first):
        return None
    share = np.empty(tuple(int(n) for n in (last - first)[::-1]), np.float32)
    corner = origin + first * pitch
    kernels.coverage(
        solid.kinds, solid.ops, solid.soft, solid.box, solid.starts, solid.data,
        (float(corner[0]), float(corner[1]), float(corner[2])), (float(pitch[0]), float(pitch[1]), float(pitch[2])),
        samples, share,
    )  # fmt: skip
    return Coverage(start=(int(first[2]), int(first[1]), int(first[0])), share=share)


def primitives_of(
    shapes: Iterable[Mapping[str, Any]], outlines: Mapping[str, Sequence[Mapping[str, Any]]], *,
    inset_mm: float = 0.0, mirrored: bool = False,
) -> list[Primitive]:  # fmt: skip
    """Turn shape descriptions (as in ``phantom.toml``) into primitives.

    Parameters
    ----------
    shapes : mappings with ``kind``, the numbers of that kind, and optionally ``op``, ``soft``, ``inset``, ``mirror``
    outlines : named lists of shapes that ``kind = "outline"`` stands for
    inset_mm : shrink everything by this much (subtracted shapes grow)
    mirrored : reflect left and right
    """
    found: list[Primitive] = []
    for shape in shapes:
        inset = inset_mm + float(shape.get("inset", 0.0))
        if shape["kind"] == "outline":
            part = outlines[shape["name"]]
            found += primitives_of(part, outlines, inset_mm=inset, mirrored=mirrored)
            continue
        for flip in (False, True) if shape.get("mirror", False) else (False,):
            found += _encode(shape, inset, flip != mirrored)
    return found


def _encode(shape: Mapping[str, Any], inset: float, flip: bool) -> list[Primitive]:
    op = _OPS[shape.get("op", "union")]
    inset = -inset if op == kernels.SUBTRACT else inset
    soft = float(shape.get("soft", 0.0))
    pieces = _BUILDERS[shape["kind"]](shape, inset)
    if flip:
        pieces = [_reflect(*piece) for piece in pieces]
    return [Primitive(kind=k, op=op, soft=soft, box=b, data=d) for k, b, d in pieces]


_Piece = tuple[int, FloatArray, FloatArray]


def _axes(turn: Sequence[float]) -> FloatArray:
    """(3, 3) local axes as rows, turned about x, then y, then z [degrees]."""
    cx, cy, cz = (math.cos(math.radians(t)) for t in turn)
    sx, sy, sz = (math.sin(math.radians(t)) for t in turn)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rows: FloatArray = (about_z @ about_y @ about_x).T
    return rows


def _around(at: FloatArray, half: FloatArray) -> FloatArray:
    return np.concatenate([at - half, at + half])


def _shrunk(sizes: Any, inset: float) -> FloatArray:
    """Sizes less the inset, never below a hair, so that a thin shape vanishes instead of turning inside out."""
    return np.maximum(np.asarray(sizes, np.float64) - inset, _SMALLEST_MM)


def _ellipsoid(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    at, semi = np.asarray(shape["at"], np.float64), _shrunk(shape["semi"], inset)
    axes = _axes(shape.get("turn", (0, 0, 0)))
    half = np.sqrt((axes.T**2) @ semi**2)
    return [(kernels.ELLIPSOID, _around(at, half), np.concatenate([at, axes.ravel(), semi]))]


def _tube(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    path = np.asarray(shape["path"], np.float64)
    radii = _shrunk(path[:, 3], inset)
    pieces = []
    for i in range(len(path) - 1):
        a, b = path[i, :3], path[i + 1, :3]
        low = np.minimum(a - radii[i], b - radii[i + 1])
        high = np.maximum(a + radii[i], b + radii[i + 1])
        data = np.concatenate([a, b, radii[i : i + 2]])
        pieces.append((kernels.CAPSULE, np.concatenate([low, high]), data))
    return pieces


def _cylinder(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    at, axes = np.asarray(shape["at"], np.float64), _axes(shape.get("turn", (0, 0, 0)))
    bottom = _shrunk(shape["semi"], inset)
    top = _shrunk(shape.get("top", shape["semi"]), inset)
    half = _shrunk(shape["half"], inset)
    size = np.array([max(bottom[0], top[0]), max(bottom[1], top[1])])
    reach = np.sqrt((axes[:2].T ** 2) @ size**2) + np.abs(axes[2]) * half
    return [(kernels.CYLINDER, _around(at, reach), np.concatenate([at, axes.ravel(), bottom, top, [float(half)]]))]


def _box(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    at, axes = np.asarray(shape["at"], np.float64), _axes(shape.get("turn", (0, 0, 0)))
    half = _shrunk(shape["half"], inset)
    return [(kernels.BOX, _around(at, np.abs(axes.T) @ half), np.concatenate([at, axes.ravel(), half]))]


def _torus(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    at, axes = np.asarray(shape["at"], np.float64), _axes(shape.get("turn", (0, 0, 0)))
    minor = float(_shrunk(shape["minor"], inset))
    reach = np.sqrt(np.maximum(1.0 - axes[2] ** 2, 0.0)) * float(shape["major"]) + minor
    data = np.concatenate([at, axes.ravel(), [float(shape["major"]), minor]])
    return [(kernels.TORUS, _around(at, reach), data)]


def _half_space(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    normal = np.asarray(shape["normal"], np.float64)
    length = float(np.linalg.norm(normal))
    offset = float(shape["offset"]) / length - inset
    box = _EVERYWHERE.copy()
    for axis in range(3):
        # Only a plane square to an axis has a tight box; a slanted one reaches everywhere.
        if abs(normal[axis]) / length > 1.0 - 1e-12:
            box[axis + 3 if normal[axis] > 0 else axis] = offset * np.sign(normal[axis])
    return [(kernels.HALF_SPACE, box, np.concatenate([normal / length, [offset]]))]


def _loft(shape: Mapping[str, Any], inset: float) -> list[_Piece]:
    """Stack of superellipses; rows are z, centre x, y, semi-axes to +x, -x, -y, +y, and the exponent (>= 2)."""
    from scipy.interpolate import PchipInterpolator

    rows = np.asarray(sorted(shape["rows"]), np.float64)
    if rows[:, 7].min() < 2.0:
        raise InputError("phantom", "loft exponent", float(rows[:, 7].min()), "2 or more")
    shift = np.asarray(shape.get("shift", (0.0, 0.0, 0.0)), np.float64)
    low, high = rows[0, 0] + inset, rows[-1, 0] - inset
    count = max(2, math.ceil((high - low) / _LOFT_STEP_MM) + 1)
    z = np.linspace(low, high, count)
    table = np.ones((count, kernels.SECTION))
    table[:, :7] = PchipInterpolator(rows[:, 0], rows[:, 1:])(z)
    table[:, 2:6] = _shrunk(table[:, 2:6], inset)
    table[:, :2] += shift[:2]
    walls = np.stack(
        [table[:, 0] + table[:, 2], table[:, 0] - table[:, 3], table[:, 1] - table[:, 4], table[:, 1] + table[:, 5]]
    )
    slope = np.abs(np.gradient(walls, z, axis=1)).max(axis=0)
    table[:, 7] = 1.0 / np.sqrt(1.0 + slope**2)
    box = np.array([walls[1].min(), walls[2].min(), low, walls[0].max(), walls[3].max(), high])
    box[[2, 5]] += shift[2]
    header = [low + shift[2], float(z[1] - z[0]), float(count)]
    return [(kernels.LOFT, box, np.concatenate([header, table.ravel()]))]


def _reflect(kind: int, box: FloatArray, data: FloatArray) -> _Piece:
    """Mirror a piece in the plane x = 0."""
    box, data = box.copy(), data.copy()
    box[[0, 3]] = -box[[3, 0]]
    if kind == kernels.LOFT:
        table = data[3:].reshape(-1, kernels.SECTION)
        table[:, 0] *= -1.0
        table[:, [2, 3]] = table[:, [3, 2]]
        return kind, box, data
    data[0] *= -1.0
    if kind == kernels.CAPSULE:
        data[3] *= -1.0
    elif kind != kernels.HALF_SPACE:
        data[[3, 6, 9]] *= -1.0
    return kind, box, data


_BUILDERS = {
    "ellipsoid": _ellipsoid,
    "tube": _tube,
    "cylinder": _cylinder,
    "box": _box,
    "torus": _torus,
    "half_space": _half_space,
    "loft": _loft,
}
