"""What Image Position and Orientation of the detectors say about the axis of rotation, beside Start Angle and Radial Position.

Start Angle and Radial Position say where a head stands about the axis; they are what reconstruction follows. The position of the
first pixel then says where that axis runs through the patient coordinates::

    axis = position + (columns - 1) / 2 * width * u - radius * n,      u = (-cos a, sin a),  n = (sin a, cos a)

Vendors often leave positions at zero or relative to the head itself. A position is believed where two heads at different angles
name the same axis, which they cannot do by chance; of one head alone it may stand for another plane of the detector.

References
----------
DICOM PS3.3 C.8.4.10 (NM TOMO acquisition), C.8.4.11 (NM detector).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.provenance import NoticeLog
from fusin.reconstruction.spect_dicom_geometry import Head, HeadGeometry, number_of, numbers_of

__all__ = ["axis_of_rotation", "note_orientation", "shifted_beds"]

_AGREE_MM = 5.0
_BESIDE_MM = 2.0
_TURNED_DEG = 10.0


def axis_of_rotation(
    heads: Sequence[HeadGeometry], *, width_mm: float, columns: int, where: str, log: NoticeLog
) -> tuple[float, float]:
    """(x, y) of the axis of rotation in patient coordinates [mm].

    Parameters
    ----------
    heads : geometry of each head in each rotation
    width_mm, columns : of the bins
    where : name of the file
    log : receives AXIS_FROM_POSITIONS where heads agree on an axis beside x = y = 0, AXIS_POSITION_UNUSED where what they say is
        left aside
    """
    named = [(h, _axis(h, width_mm, columns)) for h in heads if h.corner_mm is not None]
    away = [axis for _, axis in named if np.hypot(*axis) > _BESIDE_MM]
    if not away:
        return 0.0, 0.0
    places = np.array([axis for _, axis in named])
    angles = np.deg2rad([float(h.angles_deg[0]) for h, _ in named])
    differ = bool((np.abs(np.exp(1j * angles) - np.exp(1j * angles[0])) > np.deg2rad(_TURNED_DEG)).any())
    mean = places.mean(axis=0)
    agree = bool((np.hypot(*(places - mean).T) < _AGREE_MM).all())
    if agree and differ:
        x, y = round(float(mean[0]), 3), round(float(mean[1]), 3)
        log.info(
            "AXIS_FROM_POSITIONS",
            f"Image Position (0020,0032) of the detectors puts the axis of rotation at x = {x:g} and y = {y:g} mm",
            where=where, used=[x, y],
        )  # fmt: skip
        return x, y
    if not any(h.corner_mm is not None and any(h.corner_mm[:2]) for h, _ in named):
        return 0.0, 0.0
    x, y = (round(float(v), 1) for v in away[0])
    log.warning(
        "AXIS_POSITION_UNUSED",
        f"Image Position (0020,0032) of a detector would put the axis of rotation at x = {x:g} and y = {y:g} mm and nothing "
        "confirms it: the axis was taken at x = y = 0, so that a CT may not lie where it should",
        where=where, raw=[x, y], used=[0.0, 0.0],
    )  # fmt: skip
    return 0.0, 0.0


def _axis(head: HeadGeometry, width_mm: float, columns: int) -> NDArray[np.float64]:
    assert head.corner_mm is not None
    angle = np.deg2rad(float(head.angles_deg[0]))
    sine, cosine = np.sin(angle), np.cos(angle)
    along, out = np.array([-cosine, sine]), np.array([sine, cosine])
    return np.asarray(
        np.array(head.corner_mm[:2]) + 0.5 * (columns - 1) * width_mm * along - float(head.radii_mm[0]) * out
    )


def _apart_deg(head: HeadGeometry) -> float | None:
    """Angle between the stated direction of growing columns and that of the start angle [degrees]; None without one."""
    if head.row_axis is None:
        return None
    angle = np.deg2rad(float(head.angles_deg[0]))
    cosine = float(np.dot(head.row_axis, (-np.cos(angle), np.sin(angle), 0.0)))
    return float(np.rad2deg(np.arccos(np.clip(cosine / np.linalg.norm(head.row_axis), -1.0, 1.0))))


def note_orientation(heads: Sequence[HeadGeometry], *, where: str, log: NoticeLog) -> None:
    """Say where Image Orientation of a detector contradicts its start angle, which is what is followed.

    Parameters
    ----------
    heads : geometry of each head in each rotation
    where : name of the file
    log : receives DETECTOR_ORIENTATION_DIFFERS
    """
    for head in heads:
        apart = _apart_deg(head)
        if apart is not None and apart >= _TURNED_DEG:
            log.warning(
                "DETECTOR_ORIENTATION_DIFFERS",
                f"Image Orientation (0020,0037) of detector {head.detector} is turned by {apart:.0f} degrees against its start "
                f"angle of {float(head.angles_deg[0]) % 360:g}: the angle was followed; if the image is turned or mirrored against "
                "the CT, the angle in the file is wrong",
                where=where, raw=list(head.row_axis or ()), used=float(head.angles_deg[0]),
            )  # fmt: skip


def shifted_beds(
    dataset: Any, heads: Sequence[Head], found: Sequence[HeadGeometry], *, where: str, log: NoticeLog
) -> list[HeadGeometry]:
    """Move the rows of later rotations by the table, where a detector states one position for several rotations.

    Parameters
    ----------
    dataset : NM object with TOMO frames
    heads, found : each rotation of each detector, and its geometry
    where : name of the file
    log : receives BED_SHIFT_ASSUMED
    """
    rotations, detectors = (
        dataset.get("RotationInformationSequence") or [],
        dataset.get("DetectorInformationSequence") or [],
    )
    out: list[HeadGeometry] = []
    moved: set[float] = set()
    for head, geometry in zip(heads, found, strict=True):
        first = min(h.rotation for h in heads if h.detector == head.detector)
        item = detectors[head.detector - 1] if head.detector <= len(detectors) else None
        here, start = (number_of(rotations[n - 1], "TableTraverse") for n in (head.rotation, first))
        apart = 0.0 if here is None or start is None else here - start
        if geometry.top_mm is None or apart == 0.0 or len(numbers_of(item, "ImagePositionPatient")) != 3:
            out.append(geometry)
            continue
        moved.add(round(apart, 1))
        out.append(replace(geometry, top_mm=geometry.top_mm + apart))
    if moved:
        log.adapted(
            "BED_SHIFT_ASSUMED",
            "one Image Position (0020,0032) stands for several rotations: later ones were moved by Table Traverse (0018,1131), "
            f"taken to grow towards the head, by "
            f"{', '.join(f'{m:+g}' for m in sorted(moved))} mm",
            where=where, used=sorted(moved),
        )  # fmt: skip
    return out
