"""Counts of a SPECT with everything that its files say of them: windows, geometry, times, nuclide."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.reconstruction.projector import FloatImage
from fusin.reconstruction.spect_geometry import SpectGeometry

__all__ = ["EnergyWindow", "SpectAcquisition", "decay_weights", "join_acquisitions"]


# An axis within 2 mm of the origin is taken to be there, so that beds may differ by a little more.
_SAME_AXIS_MM = 3.0


@dataclass(frozen=True, slots=True)
class EnergyWindow:
    """An energy window.

    Attributes
    ----------
    name : as in the file, may be empty
    low_kev, high_kev : its limits; None where the file states none
    """

    name: str
    low_kev: float | None = None
    high_kev: float | None = None

    def words(self) -> str:
        """Name and limits for messages."""
        limits = "without limits" if self.low_kev is None else f"{self.low_kev:g} to {self.high_kev:g} keV"
        return f"{self.name or 'window'} ({limits})"

    def width_kev(self) -> float:
        """Width of the window [keV].

        Raises
        ------
        NotComputable
            ``WINDOW_LIMITS_MISSING``.
        """
        if self.low_kev is None or self.high_kev is None:
            raise NotComputable("the width of an energy window", f"{self.words()} states none",
                                "a file with the limits of its energy windows", "WINDOW_LIMITS_MISSING")  # fmt: skip
        return self.high_kev - self.low_kev


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectAcquisition:
    """Projections of all windows, rows towards the head and bins as in `fusin.reconstruction.spect_geometry`.

    Attributes
    ----------
    counts : (windows, views, rows, bins) float32
    windows : in that order
    geometry : of the views
    durations_s : (views,) time of each view; None when the file does not say
    starts_s : (views,) start of each view after ``started``; None when the file does not say
    started : start of the acquisition on the scanner's clock
    nuclide : such as ``Lu-177``; empty when unknown
    frame_of_reference_uid : of the patient coordinates; empty when unknown
    header : DICOM header without pixels; None for other files
    inputs : files
    name : for messages
    corrections : one sentence for each thing that reading changed
    """

    counts: NDArray[np.float32]
    windows: tuple[EnergyWindow, ...]
    geometry: SpectGeometry
    durations_s: NDArray[np.float64] | None = None
    starts_s: NDArray[np.float64] | None = None
    started: datetime | None = None
    nuclide: str = ""
    frame_of_reference_uid: str = ""
    header: Any = None
    inputs: tuple[Path, ...] = ()
    name: str = "projections"
    corrections: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        needed = (len(self.windows), *self.geometry.data_shape)
        if self.counts.shape != needed:
            raise InputError(self.name, "counts", self.counts.shape, f"the shape {needed} of windows and geometry")
        if not np.isfinite(self.counts).all() or (self.counts < 0).any():
            lowest = float(np.nanmin(self.counts))
            raise InputError(self.name, "counts", f"{int((self.counts < 0).sum())} negative bins, lowest {lowest:g}",
                             "counts of 0 or more")  # fmt: skip
        view = self.counts.view()
        view.flags.writeable = False
        object.__setattr__(self, "counts", view)

    def index(self, window: str | float | None) -> int:
        """Place of a window.

        Parameters
        ----------
        window : name, number from 1, energy in keV that it alone holds (a number above the count), or None for the only one

        Raises
        ------
        InputError
            When none or several are meant.
        """
        listed = ", ".join(f"{n}: {w.words()}" for n, w in enumerate(self.windows, start=1))
        if window is None:
            if len(self.windows) == 1:
                return 0
            raise InputError(self.name, "energy window", f"{len(self.windows)} windows", f"the photopeak's: {listed}")
        try:
            number: float | None = float(window)
        except ValueError:
            number = None
        by_name = [n for n, w in enumerate(self.windows) if str(window).strip().lower() == w.name.lower()]
        if len(by_name) == 1:
            return by_name[0]
        if number is not None and number == int(number) and 1 <= number <= len(self.windows):
            return int(number) - 1
        if number is not None:
            inside = [
                n
                for n, w in enumerate(self.windows)
                if w.low_kev is not None and w.low_kev <= number <= (w.high_kev or 0.0)
            ]
            if len(inside) == 1:
                return inside[0]
        raise InputError(self.name, "energy window", str(window), f"one of {listed}")

    def of_window(self, window: str | float | None) -> FloatImage:
        """Counts of one window, (views, rows, bins); arguments as for `index`."""
        counts: FloatImage = self.counts[self.index(window)]
        return counts

    def view_time_s(self) -> float | None:
        """Mean time of a view [s]; None when unknown."""
        return None if self.durations_s is None else float(self.durations_s.mean())


def decay_weights(acquisition: SpectAcquisition, log: NoticeLog) -> tuple[SpectGeometry, float | None, str]:
    """Geometry whose weights refer all views to the start of the acquisition, the time of a view of weight 1, and a sentence.

    Without times all views have weight 1. Without a nuclide the weights are the times alone, and the image is a mean over the
    acquisition.

    Parameters
    ----------
    acquisition : as read
    log : receives SPECT_DECAY_UNKNOWN

    Returns
    -------
    tuple
        (geometry, time of a view [s] or None, what the values of the image refer to)
    """
    own = np.asarray(acquisition.geometry.weights, dtype=np.float64)
    durations = acquisition.durations_s
    if durations is None:
        return acquisition.geometry, None, "The values are means over the acquisition; no decay correction was made."
    nominal = float(durations.mean())
    weights = own * durations / nominal
    sentence = "The values are means over the acquisition; no decay correction was made."
    if acquisition.nuclide and acquisition.starts_s is not None:
        rate = np.log(2.0) / nuclide(acquisition.nuclide).half_life_s
        x = rate * durations
        weights = weights * np.exp(-rate * acquisition.starts_s) * -np.expm1(-x) / x
        sentence = f"The values refer to the start of the acquisition, by the half-life of {acquisition.nuclide} for each view."
    elif not acquisition.nuclide:
        log.warning(
            "SPECT_DECAY_UNKNOWN",
            "the projections name no nuclide, so that decay during the acquisition was left out",
            where=acquisition.name,
        )
    return replace(acquisition.geometry, weights=weights), nominal, sentence


def join_acquisitions(parts: list[SpectAcquisition]) -> SpectAcquisition:
    """One acquisition from files of several windows, heads or beds.

    Parameters
    ----------
    parts : at least one, of one patient coordinate system

    Raises
    ------
    NotComputable
        ``SPECT_FILES_DIFFER`` for files that are no parts of one acquisition.
    """
    merged: list[SpectAcquisition] = []
    for part in parts:
        twin = next((m for m in merged if _same_views(m, part)), None)
        if twin is None:
            merged.append(part)
            continue
        common = set(twin.windows) & set(part.windows)
        if common:
            raise _differ(twin, part, f"both hold the same views of {sorted(w.words() for w in common)[0]}")
        merged[merged.index(twin)] = replace(
            twin, counts=np.concatenate([twin.counts, part.counts]), windows=twin.windows + part.windows,
            inputs=twin.inputs + part.inputs, corrections=tuple(dict.fromkeys(twin.corrections + part.corrections)),
        )  # fmt: skip
    whole = merged[0]
    for part in merged[1:]:
        whole = _with_views(whole, part)
    return whole


def _same_views(one: SpectAcquisition, other: SpectAcquisition) -> bool:
    a, b = one.geometry, other.geometry
    return a.data_shape == b.data_shape and all(
        np.allclose(getattr(a, n), getattr(b, n), atol=1e-3) for n in ("angles_deg", "first_row_mm", "radii_mm")
    )


def _differ(one: SpectAcquisition, other: SpectAcquisition, because: str) -> NotComputable:
    return NotComputable("one SPECT from several files", f"of {one.name} and {other.name} {because}",
                         "the files of one acquisition alone", "SPECT_FILES_DIFFER")  # fmt: skip


def _with_views(one: SpectAcquisition, other: SpectAcquisition) -> SpectAcquisition:
    """Views of another bed or head appended."""
    a, b = one.geometry, other.geometry
    if (a.rows, a.columns) != (b.rows, b.columns) or not np.allclose(
        [a.pixel_mm, a.row_mm], [b.pixel_mm, b.row_mm], rtol=1e-4
    ):
        raise _differ(one, other, "the matrices differ")
    if not np.allclose(a.axis_mm, b.axis_mm, atol=_SAME_AXIS_MM):
        raise _differ(one, other, "the axes of rotation differ")
    if set(one.windows) != set(other.windows):
        raise _differ(one, other, "the energy windows differ")
    if one.nuclide and other.nuclide and one.nuclide != other.nuclide:
        raise _differ(one, other, f"one is of {one.nuclide} and one of {other.nuclide}")
    if one.frame_of_reference_uid != other.frame_of_reference_uid:
        raise _differ(one, other, "the Frames of Reference (0020,0052) differ")
    order = [other.windows.index(w) for w in one.windows]
    arrays: dict[str, Any] = {
        n: np.concatenate([getattr(a, n), getattr(b, n)])
        for n in ("angles_deg", "radii_mm", "first_row_mm", "bin_shift_mm", "weights")
    }
    times: dict[str, Any] = {"durations_s": None, "starts_s": None}
    if one.durations_s is not None and other.durations_s is not None:
        times["durations_s"] = np.concatenate([one.durations_s, other.durations_s])
        if (
            one.starts_s is not None
            and other.starts_s is not None
            and one.started is not None
            and other.started is not None
        ):
            first = min(one.started, other.started)
            shifted = [p.starts_s + (p.started - first).total_seconds() for p in (one, other)]  # type: ignore[operator]
            times |= {"starts_s": np.concatenate(shifted), "started": first}
    return replace(
        one, counts=np.concatenate([one.counts, other.counts[order]], axis=1), geometry=replace(a, **arrays),
        inputs=one.inputs + other.inputs, corrections=tuple(dict.fromkeys(one.corrections + other.corrections)), **times,
    )  # fmt: skip
