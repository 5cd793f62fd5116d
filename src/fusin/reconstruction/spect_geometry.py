"""Where the detector stood at each view of a SPECT, and the image grid that belongs to it.

Coordinates are LPS millimetres. At the angle ``t`` the detector lies, seen from the axis of rotation, along
``(sin t, cos t)`` in (x, y): 0 degrees is at the patient's back, and seen from the feet the angle grows towards the patient's left,
as DICOM defines Start Angle (0054,0200). Bins of a row run along ``(-cos t, sin t)``, the left to right of someone who looks from
the detector at the patient with the head up; detector rows run towards the head.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid

__all__ = ["Direction", "SpectGeometry", "radii_words"]

FloatArray = NDArray[np.float64]
Direction = Literal["CC", "CW"]
WHERE = "SPECT geometry"


def radii_words(radii_mm: Iterable[float]) -> str:
    """Return radii for a sentence: one number, or from the smallest to the largest."""
    held = list(radii_mm)
    low, high = min(held), max(held)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _per_view(name: str, values: ArrayLike, count: int) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim > 1 or found.size not in (1, count):
        raise InputError(WHERE, name, found.shape, f"one number, or one for each of the {count} views")
    if not np.isfinite(found).all():
        raise InputError(WHERE, name, "a value that is no number", "finite numbers")
    out = np.broadcast_to(found.ravel(), (count,)).copy()
    out.flags.writeable = False
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectGeometry:
    """Parallel-hole views of one acquisition, of one bed or several.

    Attributes
    ----------
    angles_deg : (views,) position of the detector, see the top of this module
    radii_mm : (views,) from the axis of rotation to the collimator face; one number for a circular orbit
    pixel_mm : width of a bin across the axis
    row_mm : height of a detector row along the axis
    rows, columns : of the detector
    direction : of the rotation, ``CC`` for growing angles; a description, the angles are what counts
    first_row_mm : (views,) z of the centre of the first row
    bin_shift_mm : (views,) how far the middle of the rows lies from the axis of rotation, along the bins
    axis_mm : (x, y) of the axis of rotation
    weights : (views,) expected counts for each emitted one relative to the other views: time per view, and decay between views

    Raises
    ------
    InputError
        For sizes, radii or weights that are not positive, and arrays of other lengths.
    """

    angles_deg: FloatArray
    radii_mm: FloatArray
    pixel_mm: float
    row_mm: float
    rows: int
    columns: int
    direction: Direction = "CC"
    first_row_mm: FloatArray = field(default_factory=lambda: np.zeros(1))
    bin_shift_mm: FloatArray = field(default_factory=lambda: np.zeros(1))
    axis_mm: tuple[float, float] = (0.0, 0.0)
    weights: FloatArray = field(default_factory=lambda: np.ones(1))

    def __post_init__(self) -> None:
        angles = np.atleast_1d(np.asarray(self.angles_deg, dtype=np.float64))
        if angles.ndim != 1 or angles.size == 0:
            raise InputError(WHERE, "angles_deg", angles.shape, "one angle for each view")
        for name in ("angles_deg", "radii_mm", "first_row_mm", "bin_shift_mm", "weights"):
            object.__setattr__(self, name, _per_view(name, getattr(self, name), angles.size))
        for name in ("pixel_mm", "row_mm", "rows", "columns"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(WHERE, name, getattr(self, name), "a positive number")
        for name in ("radii_mm", "weights"):
            if (getattr(self, name) <= 0).any():
                raise InputError(WHERE, name, float(getattr(self, name).min()), "positive numbers")
        if self.direction not in ("CC", "CW"):
            raise InputError(WHERE, "direction", self.direction, "CC (growing angles) or CW")

    @classmethod
    def circular(
        cls, *, views: int, radius_mm: float, pixel_mm: float, rows: int, columns: int, start_deg: float = 0.0,
        arc_deg: float = 360.0, direction: Direction = "CC", row_mm: float | None = None, first_row_mm: float | None = None,
    ) -> SpectGeometry:  # fmt: skip
        """Evenly spaced views on a circle.

        Parameters
        ----------
        views, rows, columns : numbers of
        radius_mm : from the axis to the collimator face
        pixel_mm, row_mm : of a bin and of a row; square without the latter
        start_deg, arc_deg, direction : first position, arc, and ``CC`` for growing angles
        first_row_mm : z of the first row; rows lie about z = 0 without it
        """
        height = pixel_mm if row_mm is None else row_mm
        sign = -1.0 if direction == "CW" else 1.0
        first = -0.5 * (rows - 1) * height if first_row_mm is None else first_row_mm
        angles = np.asarray(start_deg + sign * arc_deg / max(views, 1) * np.arange(views), dtype=np.float64)
        return cls(
            angles_deg=angles, radii_mm=np.array([radius_mm]), pixel_mm=pixel_mm, row_mm=height, rows=rows, columns=columns,
            direction=direction, first_row_mm=np.array([first]),
        )  # fmt: skip

    @property
    def views(self) -> int:
        """Number of views of all beds."""
        return int(self.angles_deg.size)

    @property
    def data_shape(self) -> tuple[int, int, int]:
        """(views, rows, columns)."""
        return self.views, self.rows, self.columns

    def grid(self, *, frame_of_reference_uid: str = "", columns: int | None = None) -> Grid:
        """Image grid of the bins' size about the axis of rotation, over the rows of all beds.

        Parameters
        ----------
        frame_of_reference_uid : of the patient coordinates
        columns : of the image, the detector's without it
        """
        width = self.columns if columns is None else columns
        low, high = float(self.first_row_mm.min()), float(self.first_row_mm.max())
        slices = self.rows + int(np.ceil((high - low) / self.row_mm - 1e-6))
        affine = np.diag([self.pixel_mm, self.pixel_mm, self.row_mm, 1.0])
        half = 0.5 * (width - 1) * self.pixel_mm
        affine[:3, 3] = self.axis_mm[0] - half, self.axis_mm[1] - half, low
        return Grid(shape=(slices, width, width), affine=affine, frame_of_reference_uid=frame_of_reference_uid)
