"""Stacking frames into a regular volume: order, spacing, gaps, copies, time points."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusin.errors import Ambiguous, NotComputable
from fusin.imaging.dicom_values import parse_number
from fusin.imaging.frames import FrameRecord, require_same_shape, temporal_key
from fusin.imaging.instances import Tag
from fusin.imaging.volume import Grid
from fusin.provenance import NoticeLog

__all__ = ["Stack", "build_stack", "doubt_completeness"]

POSITION_TOLERANCE_MM = 0.02
SPACING_TOLERANCE = 0.05
SPACING_REMARK = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Frames in order along their normal, one list per time point.

    ``phases[k][i]`` is the frame of time point k on slice i, or None where the slice is missing.
    """

    phases: tuple[tuple[FrameRecord | None, ...], ...]
    grid: Grid

    @property
    def missing(self) -> tuple[int, ...]:
        """0-based slices without a frame, in the first time point."""
        return tuple(i for i, frame in enumerate(self.phases[0]) if frame is None)


def build_stack(frames: list[FrameRecord], where: str, log: NoticeLog) -> Stack:
    """Order frames along their normal and find what is wrong with them.

    Parameters
    ----------
    frames : frames of one series, any order
    where : name of the series for messages
    log : receives DUPLICATE_SLICES, MISSING_SLICES, UNEVEN_SPACING, TILTED_STACK, SINGLE_SLICE

    Raises
    ------
    NotComputable
        For mixed frames of reference, matrices, orientations or spacings that are not a regular stack.
    Ambiguous
        For different images at one place that no time attribute tells apart.
    """
    frames = _without_localizers(_without_copies(frames, where, log), where, log)
    rows, columns = require_same_shape(frames, where)
    _require_one_geometry(frames, where)
    normal = frames[0].normal
    places: dict[int, list[FrameRecord]] = defaultdict(list)
    for frame in frames:
        places[round(float(np.dot(frame.position, normal)) / POSITION_TOLERANCE_MM)].append(frame)
    merged = _merge_neighbours(places)
    phases = _phases(merged, where, log)
    firsts = phases[0]
    positions = np.array([frame.position for frame in firsts])
    step, slots = _steps(positions, normal, firsts[0], where, log)
    affine = np.eye(4)
    row_spacing, column_spacing = firsts[0].spacing
    affine[:3, 0] = np.array(firsts[0].orientation[:3]) * column_spacing
    affine[:3, 1] = np.array(firsts[0].orientation[3:]) * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    count = slots[-1] + 1
    filled: list[tuple[FrameRecord | None, ...]] = []
    for phase in phases:
        line: list[FrameRecord | None] = [None] * count
        for slot, frame in zip(slots, phase, strict=True):
            line[slot] = frame
        filled.append(tuple(line))
    frame_uid = firsts[0].header.text(Tag.FRAME_OF_REFERENCE)
    return Stack(tuple(filled), Grid(shape=(count, rows, columns), affine=affine, frame_of_reference_uid=frame_uid))


def _without_copies(frames: list[FrameRecord], where: str, log: NoticeLog) -> list[FrameRecord]:
    """Drop files that carry the same SOP Instance UID as another (copies of one image)."""
    seen: dict[tuple[str, int], FrameRecord] = {}
    copies = []
    for frame in frames:
        key = (frame.instance.sop_instance_uid, frame.index)
        if key in seen and key[0]:
            other = seen[key]
            if other.position != frame.position or not _same_pixels(other, frame):
                raise Ambiguous(
                    f"the volume of {where}",
                    f"{other.instance.name} and {frame.instance.name} share the SOP Instance UID {key[0]} and differ",
                    "one image for each UID",
                    "DUPLICATE_UID",
                )
            copies.append(frame.instance.name)
        else:
            seen[key] = frame
    if copies:
        log.adapted(
            "DUPLICATE_SLICES",
            f"{len(copies)} copies of images already read were left out (first: {copies[0]})",
            where=where,
            raw=len(frames),
            used=len(frames) - len(copies),
        )
        return list(seen.values())
    return frames


def _same_pixels(a: FrameRecord, b: FrameRecord) -> bool:
    if (a.slope, a.intercept) != (b.slope, b.intercept):
        return False
    return bool(np.array_equal(a.instance.decoded()[a.index], b.instance.decoded()[b.index]))


def _without_localizers(frames: list[FrameRecord], where: str, log: NoticeLog) -> list[FrameRecord]:
    scouts = [f for f in frames if "LOCALIZER" in f.header.text(Tag.IMAGE_TYPE).upper()]
    if not scouts or len(scouts) == len(frames):
        return frames
    log.info("LOCALIZER_LEFT_OUT", f"{len(scouts)} localizer images in the series were left out", where=where)
    return [f for f in frames if f not in scouts]


def _require_one_geometry(frames: list[FrameRecord], where: str) -> None:
    uids = {f.header.text(Tag.FRAME_OF_REFERENCE) for f in frames}
    if len(uids) > 1:
        raise NotComputable(
            f"the volume of {where}",
            f"its images lie in {len(uids)} frames of reference ({', '.join(sorted(uids))})",
            "images of one frame of reference",
            "MIXED_FRAMES_OF_REFERENCE",
        )
    first = np.array(frames[0].orientation)
    for frame in frames[1:]:
        if np.abs(np.array(frame.orientation) - first).max() > 1e-3:
            raise NotComputable(
                f"the volume of {where}",
                f"{frames[0].instance.name} and {frame.instance.name} have different orientations",
                "images of one orientation",
                "MIXED_ORIENTATIONS",
            )
        if max(abs(a - b) for a, b in zip(frame.spacing, frames[0].spacing, strict=True)) > 1e-3:
            raise NotComputable(
                f"the volume of {where}",
                f"its images have pixel spacings {frames[0].spacing} and {frame.spacing} mm",
                "images of one pixel spacing",
                "MIXED_PIXEL_SPACINGS",
            )


def _merge_neighbours(places: dict[int, list[FrameRecord]]) -> list[list[FrameRecord]]:
    """Lists of frames by place, in order; keys that rounding put side by side are one place."""
    merged: list[list[FrameRecord]] = []
    last: int | None = None
    for key in sorted(places):
        if last is not None and key - last <= 1:
            merged[-1].extend(places[key])
        else:
            merged.append(list(places[key]))
        last = key
    return merged


def _phases(places: list[list[FrameRecord]], where: str, log: NoticeLog) -> list[list[FrameRecord]]:
    """Time points as lists of frames; copies with their own UIDs are dropped, unexplained doubles refused."""
    counts = {len(place) for place in places}
    if counts == {1}:
        return [[place[0] for place in places]]
    if len(counts) == 1:
        keyed = [sorted(place, key=lambda f: (temporal_key(f), _number(f))) for place in places]
        if all(len({temporal_key(f) for f in place}) == len(place) for place in keyed):
            return [list(phase) for phase in zip(*keyed, strict=True)]
    kept: list[FrameRecord] = []
    dropped = 0
    for place in places:
        for other in place[1:]:
            if not _same_pixels(place[0], other):
                at = ", ".join(f"{x:.2f}" for x in place[0].position)
                raise Ambiguous(
                    f"the volume of {where}",
                    f"{place[0].instance.name} and {other.instance.name} lie at the same place ({at} mm) and differ",
                    "one image for each place, or time attributes that tell them apart",
                    "DUPLICATE_SLICES_DIFFER",
                )
            dropped += 1
        kept.append(place[0])
    log.adapted(
        "DUPLICATE_SLICES", f"{dropped} identical images at the same place were left out", where=where, raw=dropped
    )
    return [kept]


def _number(frame: FrameRecord) -> float:
    return frame.header.number(Tag.INSTANCE_NUMBER) or 0.0


def _single_step(first: FrameRecord, normal: np.ndarray[Any, Any], where: str, log: NoticeLog) -> np.ndarray[Any, Any]:
    """Step vector of a stack of one slice, as thick as its header says."""
    thickness = parse_number(first.timing.get("thickness") or first.header.text(Tag.SLICE_THICKNESS)) or 0.0
    if thickness <= 0:
        raise NotComputable(
            f"the volume of {where}",
            "it has one slice and no Slice Thickness (0018,0050)",
            "the thickness of the slice",
            "NO_THICKNESS",
        )
    log.info("SINGLE_SLICE", f"one slice only; its thickness {thickness:g} mm is taken from the header", where=where)
    step: np.ndarray[Any, Any] = normal * thickness
    return step


def _steps(
    positions: np.ndarray[Any, Any], normal: np.ndarray[Any, Any], first: FrameRecord, where: str, log: NoticeLog
) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Step vector between slices and the slot of each frame; gaps of whole slices leave empty slots."""
    if len(positions) == 1:
        return _single_step(first, normal, where, log), [0]
    along = positions @ normal
    gaps = np.diff(along)
    unit = float(np.median(gaps))
    if len(gaps) > 1:
        # With many gaps missing the median may be a multiple of the spacing; the smallest gap that recurs is safer.
        unit = min(unit, float(np.sort(gaps)[min(1, len(gaps) - 1)]))
    whole = np.rint(gaps / unit).astype(int)
    residual = np.abs(gaps - whole * unit)
    if np.any(whole < 1) or residual.max() > max(SPACING_TOLERANCE * unit, 2 * POSITION_TOLERANCE_MM):
        worst = int(np.argmax(residual))
        raise NotComputable(
            f"the volume of {where}",
            f"the distance of neighbouring slices is {unit:.3f} mm and {gaps[worst]:.3f} mm after slice {worst + 1}",
            "evenly spaced slices",
            "UNEVEN_SPACING",
        )
    slots = [0, *np.cumsum(whole).tolist()]
    if slots[-1] >= len(positions):
        _name_gaps(along, whole, unit, where, log)
    step = (positions[-1] - positions[0]) / slots[-1]
    deviation = float(np.linalg.norm(positions[0] + np.outer(slots, step) - positions, axis=1).max())
    if deviation > 0.25 * unit:
        raise NotComputable(
            f"the volume of {where}",
            f"its slices leave a straight, even line by up to {deviation:.2f} mm",
            "a regular stack",
            "CURVED_STACK",
        )
    if residual.max() > max(SPACING_REMARK * unit, 2 * POSITION_TOLERANCE_MM):
        log.info(
            "SPACING_JITTER",
            f"slice distances vary by up to {residual.max():.3f} mm around {unit:.3f} mm; slices lie within "
            f"{deviation:.3f} mm of the even stack used",
            where=where,
            raw=float(residual.max()),
            used=float(np.linalg.norm(step)),
        )
    lateral = step - normal * (step @ normal)
    if np.linalg.norm(lateral) > 0.01:
        log.info("TILTED_STACK", f"the stack is sheared by {np.linalg.norm(lateral):.3f} mm per slice", where=where)
    return step, slots


def _name_gaps(
    along: np.ndarray[Any, Any], whole: np.ndarray[Any, Any], unit: float, where: str, log: NoticeLog
) -> None:
    missing = [float(along[i] + unit * k) for i, n in enumerate(whole) for k in range(1, n)]
    shown = ", ".join(f"{m:.1f}" for m in missing[:6]) + (" ..." if len(missing) > 6 else "")
    log.adapted(
        "MISSING_SLICES",
        f"{len(missing)} slices are missing inside the stack, at {shown} mm along its normal; they are left without values",
        where=where,
        raw=missing[:50],
        used="no value",
    )


def doubt_completeness(stack: Stack, where: str, log: NoticeLog) -> None:
    """Warn when the header counts other slices than are here, or when the slices lie far apart for their thickness."""
    first = next(frame for frame in stack.phases[0] if frame is not None)
    counted, present = first.header.unsigned(Tag.NUMBER_OF_SLICES), sum(f is not None for f in stack.phases[0])
    if counted and counted != present:
        log.warning(
            "SERIES_INCOMPLETE",
            f"Number of Slices (0054,0081) is {counted} and {present} are here; whole-body sums miss what is not",
            where=where,
            raw=counted,
            used=present,
        )
    thickness = parse_number(first.timing.get("thickness") or first.header.text(Tag.SLICE_THICKNESS))
    step = stack.grid.spacing_mm[2]
    if thickness and present > 1 and step >= 1.5 * thickness:
        log.warning(
            "SLICES_FAR_APART",
            f"slices lie {step:.2f} mm apart and are {thickness:.2f} mm thick; where every other slice was lost, volumes "
            "are too large",
            where=where,
            raw=thickness,
            used=step,
        )
