"""Frames of a dynamic scan, and the activity of one region in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError

__all__ = ["Frames", "TissueCurve", "cumulative"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Frames:
    """When activity was measured, in minutes after the start of the injection clock.

    Attributes
    ----------
    mid_min : middle of each frame, increasing
    start_min, end_min : its limits; None when only the middle is known
    """

    mid_min: FloatArray
    start_min: FloatArray | None = None
    end_min: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("mid_min", "start_min", "end_min"):
            value = getattr(self, name)
            if value is not None:
                array = np.array(value, dtype=np.float64)
                array.flags.writeable = False
                object.__setattr__(self, name, array)

    @classmethod
    def between(cls, start_min: ArrayLike, end_min: ArrayLike, *, where: str = "frames") -> Frames:
        """Frames by their limits.

        Raises
        ------
        InputError
            For a frame that ends before it begins, and for frames that are out of order or overlap.
        """
        start, end = np.asarray(start_min, dtype=np.float64), np.asarray(end_min, dtype=np.float64)
        wrong = np.flatnonzero(end < start)
        if wrong.size:
            i = int(wrong[0])
            raise InputError(
                f"{where} row {i + 1}", "frame end", float(end[i]), f"a time after its start, {start[i]:g} min"
            )
        # Times that were rounded to a tenth of a second may seem to overlap.
        wrong = np.flatnonzero(start[1:] < end[:-1] - 1.0 / 300.0)
        if wrong.size:
            i = int(wrong[0])
            raise InputError(
                f"{where} row {i + 2}", "frame start", float(start[i + 1]),
                f"at least {end[i]:g} min, where the frame before ends",
            )  # fmt: skip
        return cls(mid_min=0.5 * (start + end), start_min=start, end_min=end)

    @property
    def n(self) -> int:
        """Number of frames."""
        return int(self.mid_min.size)

    @property
    def duration_min(self) -> FloatArray | None:
        """Length of each frame."""
        if self.start_min is None or self.end_min is None:
            return None
        return np.asarray(self.end_min - self.start_min)

    @property
    def last_min(self) -> float:
        """Time that an input has to reach."""
        return float(self.mid_min[-1] if self.end_min is None else self.end_min[-1])

    def edges(self, *, average: bool) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp]]:
        """Edges in order of time, and where each frame begins and ends among them; points in time without ``average``."""
        if not average or self.start_min is None or self.end_min is None:
            places = np.arange(self.n)
            return np.asarray(self.mid_min), places, places
        edges = np.unique(np.concatenate([self.start_min, self.end_min]))
        return edges, np.searchsorted(edges, self.start_min), np.searchsorted(edges, self.end_min)

    def chosen(self, keep: NDArray[Any]) -> Frames:
        """A part of the frames."""
        return Frames(
            mid_min=self.mid_min[keep],
            start_min=None if self.start_min is None else self.start_min[keep],
            end_min=None if self.end_min is None else self.end_min[keep],
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TissueCurve:
    """Activity of one region.

    Attributes
    ----------
    region, scan : names; ``scan`` is empty where a table holds one
    frames : when
    activity : decay-corrected to one time, in the unit of the input
    weights : of least squares, as stated in the table; None when it states none
    unit : as the table states it, empty when it does not
    """

    region: str
    frames: Frames
    activity: FloatArray
    weights: FloatArray | None = None
    scan: str = ""
    unit: str = ""

    @property
    def name(self) -> str:
        """Scan and region."""
        return f"{self.scan} {self.region}".strip()


def cumulative(frames: Frames, activity: FloatArray) -> FloatArray:
    """Integral of the activity from 0 to the middle of each frame [activity x min].

    Frames count with their durations, and a gap between them with a trapezoid; points in time are joined by lines. Before the
    first frame the activity rises in a line from 0 at time 0.
    """
    if frames.start_min is None or frames.end_min is None:
        time = np.concatenate([[0.0], frames.mid_min])
        value = np.concatenate([[0.0], activity])
        return np.asarray(np.cumsum(0.5 * np.diff(time) * (value[1:] + value[:-1])))
    start, end = frames.start_min, frames.end_min
    whole = (end - start) * activity
    before = np.concatenate([[0.0], activity[:-1]])
    gaps = np.maximum(start - np.concatenate([[0.0], end[:-1]]), 0.0)
    bridged = 0.5 * gaps * (before + activity)
    return np.asarray(np.cumsum(bridged) + np.cumsum(whole) - 0.5 * whole)
