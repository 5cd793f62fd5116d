"""PET list mode as arrays: events as pairs of crystals, the bins of a sinogram that they belong to, and values at them.

A file ``.npz`` holds whole numbers from 0, one row for each event: ``crystals`` (events, 2) within their rings, ``rings``
(events, 2), with time of flight ``tof_bins`` (events,), counted from the first crystal of the pair to the second; of delayed
coincidences ``delayed_crystals`` and ``delayed_rings``; and, if it likes, ``duration_s``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.pet_position import from_head
from fusin.reconstruction.projector import FloatImage

__all__ = ["PetEvents", "read_events", "sort_events"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Kind = Literal["prompts", "delayed"]
_PREFIX = {"prompts": "", "delayed": "delayed_"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PetEvents:
    """Events within a sinogram, the first crystal of each being that of its bin.

    Attributes
    ----------
    geometry : of the sinogram
    bins : (events,) flat index of (view, bin, plane)
    tof_bins : (events,) index of the timing bin; None without time of flight
    crystals, rings : (events, 2)
    left_out : events of pairs that the sinogram does not hold
    duration_s : of the acquisition; None where not stated
    """

    geometry: SinogramGeometry
    bins: IntArray
    tof_bins: IntArray | None
    crystals: IntArray
    rings: IntArray
    left_out: int = 0
    duration_s: float | None = None

    def ends_mm(self, end: Literal[0, 1]) -> FloatArray:
        """(events, 3) places of the first or the second crystals, in image coordinates."""
        scanner = self.geometry.scanner
        across = scanner.crystals_xy_mm[self.crystals[:, end]]
        places = np.column_stack([across, scanner.rings_z_mm[self.rings[:, end]]])
        return np.asarray(places + np.array(self.geometry.centre_mm), dtype=np.float64)

    def values_of(self, sinogram: FloatImage) -> FloatImage:
        """(events,) values of a sinogram with or without timing bins at the bins of the events."""
        geometry = self.geometry
        if sinogram.ndim == 3 or self.tof_bins is None:
            return np.asarray(sinogram.reshape(-1)[self.bins], dtype=np.float32)
        view, rest = np.divmod(self.bins, geometry.bins * geometry.planes)
        found = sinogram.reshape(geometry.views, sinogram.shape[1], -1)[view, self.tof_bins, rest]
        return np.asarray(found, dtype=np.float32)

    def lines(self) -> FloatImage:
        """(events,) lines that the bin of each event adds."""
        return np.asarray(self.geometry.lines_per_plane[self.bins % self.geometry.planes], dtype=np.float32)

    def histogram(self) -> FloatImage:
        """Counts of the sinogram."""
        geometry = self.geometry
        if self.tof_bins is None:
            size = geometry.views * geometry.bins * geometry.planes
            return np.bincount(self.bins, minlength=size).astype(np.float32).reshape(geometry.data_shape)
        assert geometry.tof is not None
        each = geometry.bins * geometry.planes
        view, rest = np.divmod(self.bins, each)
        index = (view * geometry.tof.count + self.tof_bins) * each + rest
        size = geometry.views * geometry.tof.count * each
        return np.bincount(index, minlength=size).astype(np.float32).reshape(geometry.data_shape)


def read_events(path: Path, geometry: SinogramGeometry, *, log: NoticeLog, kind: Kind = "prompts") -> PetEvents:
    """Read the events of a ``.npz`` file.

    Parameters
    ----------
    path : of the file, whose rings are counted as the scanner's header counts them
    geometry : of the sinogram that they are sorted into
    log : receives EVENTS_LEFT_OUT
    kind : which events; those of delayed coincidences need no timing bins

    Raises
    ------
    InputError
        For a file that is none, arrays of other shapes or types, crystals, rings or timing bins that do not exist.
    NotComputable
        Without an event within the sinogram.
    """
    held, prefix = _arrays(path), _PREFIX[kind]
    crystals = _whole_numbers(held, path.name, f"{prefix}crystals", 2, geometry.scanner.crystals)
    rings = _whole_numbers(held, path.name, f"{prefix}rings", 2, geometry.scanner.rings)
    if crystals is None or rings is None or len(crystals) != len(rings):
        found = {f"{prefix}{n}": None if a is None else len(a) for n, a in (("crystals", crystals), ("rings", rings))}
        raise InputError(
            path.name, f"{prefix}crystals and {prefix}rings", found, "two numbers each for the same events"
        )
    if from_head(geometry):
        rings = geometry.scanner.rings - 1 - rings
    timing = None
    if geometry.tof is not None:
        timing = _whole_numbers(held, path.name, f"{prefix}tof_bins", 1, geometry.tof.count)
        if timing is None and kind == "delayed":
            timing = np.full(len(crystals), geometry.tof.count // 2, np.intp)
        if timing is None or len(timing) != len(crystals):
            raise InputError(path.name, f"{prefix}tof_bins", "nothing" if timing is None else f"{len(timing)} numbers",
                             f"the timing bin of each of the {len(crystals)} events: the scanner's header has them")  # fmt: skip
    elif f"{prefix}tof_bins" in held:
        log.adapted(
            "EVENTS_UNTIMED",
            "the timing bins of the events were not used: the scanner's header has none",
            where=path.name,
        )
    events = sort_events(geometry, crystals, rings, timing, duration_s=_duration(held, path.name))
    if not len(events.bins):
        raise NotComputable("a PET reconstruction", f"{path.name} holds no {kind} within the sinogram",
                            "events of crystals that are in coincidence", "LIST_WITHOUT_EVENTS")  # fmt: skip
    if events.left_out:
        log.warning("EVENTS_LEFT_OUT", f"{events.left_out} of {len(crystals)} {kind} belong to pairs of crystals that the sinogram "
                    "of the scanner's header does not hold; they were left out", where=path.name, raw=events.left_out)  # fmt: skip
    return events


def sort_events(
    geometry: SinogramGeometry, crystals: IntArray, rings: IntArray, tof_bins: IntArray | None = None, *,
    duration_s: float | None = None,
) -> PetEvents:  # fmt: skip
    """Find the bin of each event; where a pair is stored the other way round, ring pair and timing bin turn with it.

    Parameters
    ----------
    geometry : of the sinogram
    crystals, rings : (events, 2) from 0
    tof_bins : (events,) from the first crystal to the second
    duration_s : of the acquisition
    """
    n, r = geometry.scanner.crystals, geometry.scanner.rings
    across = np.full((n, n), -1, np.int64)
    turned = np.zeros((n, n), bool)
    pairs = geometry.crystal_pairs
    index = np.broadcast_to(
        np.arange(geometry.views * geometry.bins).reshape(geometry.views, geometry.bins, 1), pairs.shape[:3]
    )
    across[pairs[..., 1], pairs[..., 0]] = index
    turned[pairs[..., 1], pairs[..., 0]] = True
    across[pairs[..., 0], pairs[..., 1]] = index
    turned[pairs[..., 0], pairs[..., 1]] = False
    along = np.full((r, r), -1, np.int64)
    planes, ring_pairs = geometry.ring_pairs
    along[ring_pairs[:, 0], ring_pairs[:, 1]] = planes
    turn = turned[crystals[:, 0], crystals[:, 1]]
    ordered = [np.where(turn[:, None], a[:, ::-1], a) for a in (crystals, rings)]
    line, plane = (table[a[:, 0], a[:, 1]] for table, a in zip((across, along), ordered, strict=True))
    keep = (line >= 0) & (plane >= 0)
    timing = None
    if tof_bins is not None:
        assert geometry.tof is not None
        timing = np.where(turn, geometry.tof.count - 1 - tof_bins, tof_bins)[keep]
    return PetEvents(
        geometry=geometry, bins=(line[keep] * geometry.planes + plane[keep]).astype(np.intp), tof_bins=timing,
        crystals=ordered[0][keep], rings=ordered[1][keep], left_out=int(len(keep) - keep.sum()), duration_s=duration_s,
    )  # fmt: skip


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except Exception as err:
        # NumPy and its zip reader raise errors of many kinds for bytes that are no arrays.
        raise InputError(
            path.name, "events", "a file that is no .npz, or is damaged", "arrays saved by numpy.savez"
        ) from err


def _whole_numbers(held: dict[str, Any], where: str, name: str, columns: int, count: int) -> IntArray | None:
    """(events,) or (events, 2) indices below ``count``; None when absent."""
    found = held.get(name)
    if found is None:
        return None
    shape = "(events, 2)" if columns == 2 else "(events,)"
    if found.ndim != columns or (columns == 2 and found.shape[1] != 2):
        raise InputError(where, name, f"the shape {found.shape}", f"the shape {shape}")
    if not np.issubdtype(found.dtype, np.integer):
        raise InputError(where, name, f"numbers of the type {found.dtype}", "whole numbers")
    if found.size and (int(found.min()) < 0 or int(found.max()) >= count):
        raise InputError(where, name, f"{int(found.min())} to {int(found.max())}", f"numbers from 0 to {count - 1}, as the "
                         "scanner's header says")  # fmt: skip
    return np.asarray(found, dtype=np.intp)


def _duration(held: dict[str, Any], where: str) -> float | None:
    found = held.get("duration_s")
    if found is None:
        return None
    if (
        found.size != 1
        or not np.issubdtype(found.dtype, np.number)
        or not (np.isfinite(found).all() and float(found.reshape(())) > 0)
    ):
        raise InputError(where, "duration_s", str(found)[:40], "one positive number of seconds")
    return float(found.reshape(()))
