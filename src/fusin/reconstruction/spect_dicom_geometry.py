"""Where the heads of a DICOM SPECT stood: angles, radii, rows, shifts, as vendors write them.

The start of a head stands in its detector item or in the rotation; radii stand in either, one number or one per view; rows run
from head to feet unless the orientation of the detector says otherwise. What the object leaves open is asked for, or assumed
with a notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, InvalidValue, MissingValue, Unsupported
from fusin.imaging.dicom_values import clean_text, parse_number
from fusin.provenance import NoticeLog
from fusin.reconstruction.spect_geometry import Direction, radii_words

__all__ = ["Head", "HeadGeometry", "head_geometry", "number_of", "numbers_of"]

FloatArray = NDArray[np.float64]
# No patient fits into less, no gantry opens wider.
_RADII_MM = (30.0, 1000.0)
_SAME_MM = 0.5
_GE_XELERIS, _GE_OFFSETS = (0x0055, 0x1022), (0x0013, 0x101E)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """A detector during one rotation: numbers from 1, and its views."""

    detector: int
    rotation: int
    views: NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadGeometry:
    """Geometry of the views of one head.

    Attributes
    ----------
    angles_deg, radii_mm : (views,)
    direction : of the rotation
    top_mm : z of the first stored row
    rows_to_feet : whether stored rows run from head to feet
    shift_mm : of the middle of the rows from the axis of rotation
    duration_s : of a view; None when not stated
    detector : its number
    corner_mm : position of the first pixel as stated; None without one
    row_axis : direction of growing columns as stated; None without one
    """

    angles_deg: FloatArray
    radii_mm: FloatArray
    direction: Direction
    top_mm: float | None
    rows_to_feet: bool
    shift_mm: float
    duration_s: float | None
    detector: int = 1
    corner_mm: tuple[float, ...] | None = None
    row_axis: tuple[float, ...] | None = None

    def lowest_row_mm(self, rows: int, row_mm: float) -> float:
        """z of the row nearest to the feet; rows lie about 0 where the object has no position."""
        if self.top_mm is None:
            return -0.5 * (rows - 1) * row_mm
        return self.top_mm - (rows - 1) * row_mm if self.rows_to_feet else self.top_mm


def numbers_of(item: Any, keyword: str) -> tuple[float, ...]:
    """Finite numbers of an element, empty when it is absent or unreadable."""
    try:
        value = item.get(keyword) if item is not None else None
    except Exception:  # a malformed value makes pydicom raise many kinds; here it is a value that cannot be read
        return ()
    if value is None or value == "":
        return ()
    listed = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)
    found = [parse_number(str(v)) for v in listed]
    return () if any(v is None for v in found) else tuple(float(v) for v in found if v is not None)


def number_of(item: Any, keyword: str) -> float | None:
    """First number of an element, None when it has none."""
    found = numbers_of(item, keyword)
    return found[0] if found else None


def _item(dataset: Any, keyword: str, number: int) -> Any:
    items = dataset.get(keyword) or []
    return items[number - 1] if 1 <= number <= len(items) else None


def head_geometry(dataset: Any, head: Head, *, where: str, radius_mm: float | None, log: NoticeLog) -> HeadGeometry:
    """Geometry of one head.

    Parameters
    ----------
    dataset : NM object with TOMO frames
    head : detector, rotation and views
    where : name of the file
    radius_mm : of the orbit, where the object has none
    log : receives notices

    Raises
    ------
    NotComputable
        For a missing rotation, step, direction, start or radius, and for collimators that are not parallel.
    """
    detector = _item(dataset, "DetectorInformationSequence", head.detector)
    rotation = _item(dataset, "RotationInformationSequence", head.rotation)
    if rotation is None:
        raise MissingValue("SPECT projections", f"{where} has no Rotation Information (0054,0052) for rotation {head.rotation}",
                           "start angle, step and direction", "ROTATION_MISSING")  # fmt: skip
    collimator = clean_text(str(detector.get("CollimatorType", "") or "")) if detector is not None else ""
    if collimator not in ("", "PARA", "UNKN", "NONE"):
        raise Unsupported(
            "a SPECT reconstruction",
            f"the collimator of {where} is {collimator}",
            "a parallel-hole collimator (PARA)",
            "COLLIMATOR_UNSUPPORTED",
        )
    angles, direction = _angles(dataset, head, detector, rotation, where, log)
    radii = _radii(dataset, head, detector, rotation, where, radius_mm, log)
    top, to_feet = _rows(detector, rotation, where, log)
    shift = number_of(detector, "CenterOfRotationOffset") or 0.0
    if shift:
        log.info(
            "ROTATION_OFFSET",
            f"the centre of rotation of detector {head.detector} lies {shift:g} mm beside the middle of the rows",
            where=where,
            used=shift,
        )
    milliseconds = number_of(rotation, "ActualFrameDuration")
    if milliseconds is None or milliseconds <= 0:
        log.warning(
            "VIEW_TIME_UNKNOWN",
            "Actual Frame Duration (0018,1242) is absent: the time of a view is not known",
            where=where,
        )
    return HeadGeometry(
        angles_deg=angles, radii_mm=radii, direction=direction, top_mm=top, rows_to_feet=to_feet, shift_mm=-shift,
        duration_s=milliseconds / 1000.0 if milliseconds else None, detector=head.detector,
        corner_mm=_three(numbers_of(detector, "ImagePositionPatient")),
        row_axis=_three(numbers_of(detector, "ImageOrientationPatient")[:3]),
    )  # fmt: skip


def _three(values: tuple[float, ...]) -> tuple[float, ...] | None:
    return values if len(values) == 3 and any(v != 0 for v in values) else None


def _angles(
    dataset: Any, head: Head, detector: Any, rotation: Any, where: str, log: NoticeLog
) -> tuple[FloatArray, Direction]:
    """Positions of the head [degrees], 0 at the patient's back."""
    step, word = (
        number_of(rotation, "AngularStep"),
        clean_text(str(rotation.get("RotationDirection", "") or "")).upper(),
    )
    own, common = number_of(detector, "StartAngle"), number_of(rotation, "StartAngle")
    if step is None or word not in ("CW", "CC", "CCW") or (own is None and common is None):
        lacks = "Angular Step (0018,1144)" if step is None else "Rotation Direction (0018,1140)"
        lacks = "Start Angle (0054,0200)" if step is not None and word in ("CW", "CC", "CCW") else lacks
        raise MissingValue(
            "SPECT projections",
            f"{where} has no usable {lacks}",
            "start angle, step and direction of each rotation",
            "ROTATION_MISSING",
        )
    if step == 0:
        raise InvalidValue(
            "SPECT projections",
            f"the Angular Step (0018,1144) of {where} is 0",
            "a step between views",
            "ROTATION_MISSING",
        )
    count, stated = len(head.views), number_of(rotation, "NumberOfFramesInRotation")
    index = head.views - 1
    if own is not None and int(index.min()) > 0 and int(index[-1] - index[0]) == count - 1:
        # Some number the views of the second head on; with a start of its own they count from it.
        index = index - index[0]
    if stated is not None and stated > 0 and int(stated) != count:
        raise InvalidValue(
            "SPECT projections",
            f"{where} states {int(stated)} views in rotation {head.rotation} and holds {count} of "
            f"detector {head.detector}",
            "all views of the rotation",
            "VIEWS_MISSING",
        )
    if count > 1 and int(index[-1] - index[0]) != count - 1:
        gaps = sorted(set(range(int(index[0]), int(index[-1]) + 1)) - set(index.tolist()))
        raise InvalidValue("SPECT projections", f"{where} lacks view {gaps[0] + 1} of detector {head.detector}",
                           "all views of the rotation", "VIEWS_MISSING")  # fmt: skip
    _check_arc(rotation, count * abs(step), abs(step), where)
    start = _start(dataset, head, own, common, index, where, log)
    sign = -1.0 if word == "CW" else 1.0
    return np.asarray(start + sign * abs(step) * index, dtype=np.float64), "CW" if word == "CW" else "CC"


def _check_arc(rotation: Any, turned: float, step: float, where: str) -> None:
    """Refuse views that go further than the arc, or round the patient twice."""
    arc = number_of(rotation, "ScanArc")
    limit = 360.0 if arc is None or arc <= 0 else min(arc, 360.0)
    if turned > limit + step:
        says = f"states a Scan Arc (0018,1143) of {arc:g} degrees" if arc else "turns once"
        raise InvalidValue(
            "SPECT projections",
            f"{where} {says} and its views of {step:g} degrees each cover {turned:g}",
            "an Angular Step (0018,1144) that fits the number of views",
            "ARC_EXCEEDED",
        )


def _start(
    dataset: Any,
    head: Head,
    own: float | None,
    common: float | None,
    index: NDArray[np.intp],
    where: str,
    log: NoticeLog,
) -> float:
    """Start angle of a head in a rotation."""
    rotations = dataset.get("RotationInformationSequence") or []
    first = number_of(rotations[0], "StartAngle")
    if own is not None:
        # The detector states where the acquisition began; a later rotation may begin elsewhere.
        later = (
            0.0
            if common is None or first is None or head.rotation == 1 or len(rotations) == _heads_of(dataset)
            else common - first
        )
        return own + later
    assert common is not None
    heads = _heads_of(dataset)
    if heads > 1 and len(rotations) < heads and head.detector > 1 and int(index.min()) == 0:
        if heads > 2:
            raise MissingValue("SPECT projections", f"{where} has {heads} detectors and no Start Angle (0054,0200) of each",
                               "the start angle of each detector", "ROTATION_MISSING")  # fmt: skip
        log.adapted(
            "HEADS_OPPOSED",
            "the second detector states no start angle and was taken to stand opposite to the first",
            where=where,
            used=common + 180.0,
        )
        return common + 180.0
    return common


def _heads_of(dataset: Any) -> int:
    return int(number_of(dataset, "NumberOfDetectors") or len(dataset.get("DetectorInformationSequence") or []) or 1)


def _radii(
    dataset: Any, head: Head, detector: Any, rotation: Any, where: str, given: float | None, log: NoticeLog
) -> FloatArray:
    """Distance of the collimator face from the axis at each view [mm]."""
    count = len(head.views)
    stated = numbers_of(detector, "RadialPosition")
    if not any(stated):
        stated = numbers_of(rotation, "RadialPosition")
        heads = _heads_of(dataset)
        if len(stated) == count * heads and heads > 1:
            stated = stated[(head.detector - 1) * count : head.detector * count]
    if not any(stated):
        if given is None:
            raise MissingValue(
                "SPECT projections",
                f"{where} has no Radial Position (0018,1142)",
                "radius_mm, from the axis of rotation to the collimator face",
                "RADIUS_MISSING",
            )
        log.info("RADIUS_STATED", f"the radius of the orbit was stated as {given:g} mm", where=where, used=given)
        return np.full(count, float(given))
    if given is not None and max(abs(float(r) - given) for r in stated) > _SAME_MM:
        raise InputError(where, "radius_mm", given, f"{radii_words(stated)} mm, as the file states, or nothing")
    if len(stated) not in (1, count):
        raise InvalidValue("SPECT projections", f"{where} has {len(stated)} radial positions for {count} views of detector "
                           f"{head.detector}", "one, or one for each view", "RADIUS_MISSING")  # fmt: skip
    radii = np.broadcast_to(np.asarray(stated, dtype=np.float64), (count,)).copy()
    radii += _xeleris_offsets(dataset, head, count, where, log)
    if not (_RADII_MM[0] <= radii.min() and radii.max() <= _RADII_MM[1]):
        raise InvalidValue("SPECT projections", f"the radial positions of {where} go from {radii.min():g} to {radii.max():g} mm",
                           f"{_RADII_MM[0]:g} to {_RADII_MM[1]:g} mm", "RADIUS_MISSING")  # fmt: skip
    return radii


def _xeleris_offsets(dataset: Any, head: Head, count: int, where: str, log: NoticeLog) -> FloatArray:
    """GE workstations keep what autocontouring added to the radius in private triples, the third number of each."""
    try:
        values = np.asarray(dataset[_GE_XELERIS][0][_GE_OFFSETS].value, dtype=np.float64).ravel()
    except Exception:  # the element is absent, or holds something else: then there is no offset
        return np.zeros(count)
    heads = _heads_of(dataset)
    if values.size not in (3 * count, 3 * count * heads) or not np.isfinite(values).all():
        return np.zeros(count)
    third = values.reshape(-1, 3)[:, 2]
    mine = third if third.size == count else third[(head.detector - 1) * count : head.detector * count]
    log.info(
        "RADIUS_OFFSETS",
        f"private offsets (0055,1022) of {mine.min():g} to {mine.max():g} mm were added to the radii",
        where=where,
        used=[float(mine.min()), float(mine.max())],
    )
    return np.asarray(mine, dtype=np.float64)


def _rows(detector: Any, rotation: Any, where: str, log: NoticeLog) -> tuple[float | None, bool]:
    """(z of the first stored row, whether rows run to the feet)."""
    position = numbers_of(detector, "ImagePositionPatient")
    axes = numbers_of(detector, "ImageOrientationPatient")
    to_feet = True
    if len(axes) == 6 and abs(abs(axes[5]) - 1.0) < 0.02:
        to_feet = axes[5] < 0
        if not to_feet:
            log.info("ROWS_TO_HEAD", "Image Orientation (0020,0037) says that rows run towards the head", where=where)
    if len(position) == 3:
        return position[2], to_feet
    table = number_of(rotation, "TableTraverse")
    log.adapted("SPECT_POSITION_ASSUMED", "the detector has no Image Position (0020,0032): "
                + ("the middle of the rows was taken as z = 0" if table is None else "z was taken from the table's traverse")
                + ", so that a CT may not lie where it should", where=where, raw=None, used=table)  # fmt: skip
    return table, to_feet
