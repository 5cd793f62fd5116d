"""What a chromatogram is: positions, a signal with its unit, and what is known of how it was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = [
    "Axis",
    "Channel",
    "FilePeak",
    "FloatArray",
    "Quantity",
    "Trace",
    "bin_edges",
    "bin_widths",
    "checked_positions",
]

FloatArray = NDArray[np.float64]
Axis = Literal["min", "mm"]
Quantity = Literal["counts", "rate", "analogue"]
Channel = Literal["radio", "uv", "unknown"]

_LEAST_POINTS = 3


@dataclass(frozen=True, slots=True)
class FilePeak:
    """A peak that the file itself reports: retention and bounds in minutes, area in signal unit times seconds."""

    retention_min: float
    start_min: float | None
    end_min: float | None
    area: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """One channel of one run, with its positions in minutes or millimetres.

    Attributes
    ----------
    x : (n,) positions, strictly increasing: minutes after injection (HPLC) or millimetres along the strip (TLC)
    y : (n,) signal: counts per point, counts per second, or an analogue value in ``y_unit``
    axis : unit of ``x``
    y_unit : unit of ``y`` as it was stated
    quantity : ``counts``, ``rate`` (per second) or ``analogue``
    channel : ``radio``, ``uv`` (no decay), or ``unknown`` (an analogue signal whose detector was not named)
    live_time_s : (n,) counting time of each point; None when it is not known
    name : column or detector
    where : file name for messages
    sample : what the file says about itself
    file_peaks : peaks that the file reports
    background_subtracted : counts are net, as the column map says
    """

    x: FloatArray
    y: FloatArray
    axis: Axis
    y_unit: str
    quantity: Quantity
    channel: Channel
    live_time_s: FloatArray | None = None
    name: str = ""
    where: str = ""
    sample: Mapping[str, Any] = field(default_factory=dict)
    file_peaks: tuple[FilePeak, ...] = ()
    background_subtracted: bool = False

    def __post_init__(self) -> None:
        for name in ("x", "y", "live_time_s"):
            value = getattr(self, name)
            if value is not None:
                array = np.array(value, dtype=np.float64)
                array.setflags(write=False)
                object.__setattr__(self, name, array)
        if self.x.ndim != 1 or self.x.shape != self.y.shape:
            raise InputError(
                self.where, "signal", f"{self.y.shape} for {self.x.shape} positions", "one value per point"
            )
        if self.x.size < _LEAST_POINTS:
            raise InputError(self.where, "points", self.x.size, f"at least {_LEAST_POINTS}")

    @property
    def kind(self) -> Literal["hplc", "tlc"]:
        """``hplc`` over time, ``tlc`` over distance."""
        return "hplc" if self.axis == "min" else "tlc"

    def shifted(self, delay: float) -> Trace:
        """The same signal, ``delay`` earlier (in the unit of the axis)."""
        return replace(self, x=self.x - delay)

    @property
    def area_unit(self) -> str:
        """Unit of an area: counts, or signal times seconds (HPLC) or millimetres (TLC)."""
        if self.quantity == "counts":
            return "counts"
        return f"{self.y_unit}·{'s' if self.axis == 'min' else 'mm'}"


def checked_positions(x: FloatArray, *, where: str, name: str, places: Sequence[str] | None = None) -> FloatArray:
    """Positions that rise strictly.

    Parameters
    ----------
    x : positions
    where, name : of the file and the column, for the message
    places : where each position stands, such as ``line 5``; ``point 4`` without

    Raises
    ------
    InputError
        For the first position that does not rise, with its row: a strip that was scanned twice, rows out of order,
        or a duplicate cannot be integrated.
    """
    falling = np.flatnonzero(np.diff(x) <= 0)
    if falling.size:
        row = int(falling[0]) + 1
        here, before = (places[n] if places else f"point {n + 1}" for n in (row, row - 1))
        fault = "the same stands" if x[row] == x[row - 1] else f"{x[row - 1]:g} stands"
        raise InputError(
            f"{where} {here}",
            name,
            float(x[row]),
            f"positions that rise throughout and occur once ({fault} in {before})",
        )
    return x


def bin_widths(x: FloatArray) -> FloatArray:
    """Width of the bin of each point, from midpoint to midpoint; the first and last bin are as wide as their step."""
    edges = bin_edges(x)
    return np.diff(edges)


def bin_edges(x: FloatArray) -> FloatArray:
    """(n + 1,) limits of the bins."""
    middle = 0.5 * (x[1:] + x[:-1])
    return np.concatenate(([1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]))
