"""Convex solids that a line enters and leaves once: ellipsoids, elliptic cylinders and boxes, each cut by up to one plane.

Their intersection with a line is a formula, so that every integral along a line through a phantom of them is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = ["DATA_SIZE", "KINDS", "Solid", "box", "cylinder", "ellipsoid", "encode", "sphere"]

FloatArray = NDArray[np.float64]
Kind = Literal["ellipsoid", "cylinder", "box"]
Point = tuple[float, float, float]
KINDS: tuple[Kind, ...] = ("ellipsoid", "cylinder", "box")
DATA_SIZE = 19
"""Middle (3), axes as rows (9), half sizes (3), normal and offset of the cutting plane (4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """One solid; build it with `ellipsoid`, `sphere`, `cylinder` or `box`.

    Attributes
    ----------
    kind : of the solid
    centre_mm : (x, y, z)
    half_mm : half sizes along its own axes; the axis of a cylinder is its third
    turn_deg : about x, then y, then z
    keep : (nx, ny, nz, offset): only where n . p <= offset [mm]; None for all of it
    """

    kind: Kind
    centre_mm: Point
    half_mm: Point
    turn_deg: Point = (0.0, 0.0, 0.0)
    keep: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("centre_mm", "half_mm", "turn_deg"):
            values = getattr(self, name)
            if len(values) != 3 or not all(math.isfinite(v) for v in values):
                raise InputError(self.kind, name, values, "three finite numbers")
        if min(self.half_mm) <= 0:
            raise InputError(self.kind, "half_mm", self.half_mm, "three positive sizes")
        if self.keep is not None and (not all(map(math.isfinite, self.keep)) or np.linalg.norm(self.keep[:3]) == 0):
            raise InputError(self.kind, "keep", self.keep, "a normal of some length and an offset")

    @property
    def whole_volume_ml(self) -> float:
        """Volume without the cutting plane."""
        a, b, c = self.half_mm
        share = {"ellipsoid": 4.0 / 3.0 * math.pi, "cylinder": 2.0 * math.pi, "box": 8.0}[self.kind]
        return share * a * b * c / 1000.0

    def to_json(self) -> dict[str, Any]:
        """Return the solid as a JSON-ready mapping."""
        found: dict[str, Any] = {"kind": self.kind, "centre_mm": list(self.centre_mm), "half_mm": list(self.half_mm)}
        if any(self.turn_deg):
            found["turn_deg"] = list(self.turn_deg)
        if self.keep is not None:
            found["keep"] = list(self.keep)
        return found


def ellipsoid(centre_mm: Point, half_mm: Point, **more: Any) -> Solid:
    """Ellipsoid with semi-axes ``half_mm``; ``turn_deg`` and ``keep`` as in `Solid`."""
    return Solid(kind="ellipsoid", centre_mm=centre_mm, half_mm=half_mm, **more)


def sphere(centre_mm: Point, diameter_mm: float, **more: Any) -> Solid:
    """Sphere of a diameter."""
    return Solid(kind="ellipsoid", centre_mm=centre_mm, half_mm=(0.5 * diameter_mm,) * 3, **more)


def cylinder(centre_mm: Point, half_mm: Point, **more: Any) -> Solid:
    """Elliptic cylinder: two semi-axes and half its length."""
    return Solid(kind="cylinder", centre_mm=centre_mm, half_mm=half_mm, **more)


def box(centre_mm: Point, half_mm: Point, **more: Any) -> Solid:
    """Box of half sizes."""
    return Solid(kind="box", centre_mm=centre_mm, half_mm=half_mm, **more)


def encode(solids: list[Solid]) -> tuple[NDArray[np.int64], FloatArray]:
    """Kinds and (n, DATA_SIZE) numbers for the kernels."""
    data = np.zeros((len(solids), DATA_SIZE))
    for row, solid in zip(data, solids, strict=True):
        row[:3], row[3:12], row[12:15] = solid.centre_mm, _axes(solid.turn_deg).ravel(), solid.half_mm
        if solid.keep is None:
            row[18] = 1.0
        else:
            length = float(np.linalg.norm(solid.keep[:3]))
            row[15:19] = np.asarray(solid.keep) / length
    return np.array([KINDS.index(s.kind) for s in solids], dtype=np.int64), data


def _axes(turn_deg: Point) -> FloatArray:
    """(3, 3) axes of a turned solid as rows."""
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(math.radians(t)), math.sin(math.radians(t))) for t in turn_deg)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rows: FloatArray = (about_z @ about_y @ about_x).T
    return rows
