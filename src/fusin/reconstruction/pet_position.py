"""How the patient lay in a PET scanner, and what that makes of the scanner's axes.

STIR counts x from left to right, y from top to bottom and z from deep in the scanner to its opening, as one sees it from the bed.
In patient coordinates (L, P, S) these are::

    HFS  (x, y, -z)      HFP  (-x, -y, -z)      FFS  (-x, y, z)      FFP  (x, -y, z)

so that the first ring is that nearest to the head of a patient who lies head first, and crystals run the other way round a patient
who lies feet first.

References
----------
UCL/STIR, src/include/stir/DiscretisedDensity.inl (axes by patient position); DICOM PS3.3 C.7.3.1.1.2 (patient position).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast, get_args

from fusin.errors import InputError, Unsupported
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_header import InterfileHeader
from fusin.reconstruction.pet_geometry import Segment, SinogramGeometry
from fusin.reconstruction.projector import FloatImage

__all__ = ["PatientPosition", "as_filed", "from_head", "placed", "position_lines", "position_of", "turned"]

PatientPosition = Literal["HFS", "HFP", "FFS", "FFP"]
_ORIENTATIONS, _ROTATIONS = {"head_in": "HF", "feet_in": "FF"}, {"supine": "S", "prone": "P"}
_UNSAID = ("", "other", "unknown")


def position_of(header: InterfileHeader, stated: str, log: NoticeLog) -> PatientPosition:
    """Return how the patient lay: by the header, or as stated, or head first and supine with a notice.

    Parameters
    ----------
    header : with ``patient orientation`` and ``patient rotation``, or without
    stated : by the user; empty for nothing
    log : receives SINOGRAM_AXES_ASSUMED

    Raises
    ------
    InputError
        For another word, and for a statement that contradicts the header.
    Unsupported
        For a patient on the side.
    """
    if stated and stated not in get_args(PatientPosition):
        raise InputError(header.where, "patient_position", stated, "one of " + ", ".join(get_args(PatientPosition)))
    ways = [header.text(f"patient {n}").lower().replace(" ", "_") for n in ("orientation", "rotation")]
    if ways[1] in ("left", "right"):
        raise Unsupported("a PET reconstruction", f"the patient of {header.where} lay on the {ways[1]} side", "supine or prone",
                          "PATIENT_POSITION_UNSUPPORTED")  # fmt: skip
    if all(way in _UNSAID for way in ways):
        if not stated:
            log.adapted(
                "SINOGRAM_AXES_ASSUMED",
                "the patient was taken to lie head first and supine: the header has no patient orientation and rotation, and no "
                "patient_position of a PET is stated",
                where=header.where, used="HFS",
            )  # fmt: skip
        return cast(PatientPosition, stated or "HFS")
    for name, way, known in zip(("orientation", "rotation"), ways, (_ORIENTATIONS, _ROTATIONS), strict=True):
        if way not in known and way not in _UNSAID:
            raise InputError(header.where, f"patient {name}", way[:40], "one of " + ", ".join(known))
    said = _ORIENTATIONS.get(ways[0], stated[:2] or "HF") + _ROTATIONS.get(ways[1], stated[2:] or "S")
    if stated and stated != said:
        raise InputError(header.where, "patient_position", stated, f"{said}, as the header says, or nothing")
    return cast(PatientPosition, said)


def from_head(geometry: SinogramGeometry) -> bool:
    """Whether files of a geometry count rings from the head."""
    return geometry.position in ("", "HFS", "HFP") and not (geometry.position == "" and geometry.scanner.mirrored)


def placed(
    geometry: SinogramGeometry, position: PatientPosition, centre_mm: tuple[float, float, float]
) -> SinogramGeometry:
    """Return a geometry of the scanner's axes in patient coordinates.

    Parameters
    ----------
    geometry : as a header describes it
    position : how the patient lay
    centre_mm : middle of the scanner in patient coordinates
    """
    half_turn = 180.0 if position.endswith("P") else 0.0
    scanner = replace(
        geometry.scanner,
        mirrored=position.startswith("FF"),
        tilt_deg=geometry.scanner.tilt_deg + half_turn,
    )
    found = replace(geometry, scanner=scanner, centre_mm=centre_mm, position=position)
    return replace(found, segments=_mirrored(geometry.segments)) if from_head(found) else found


def as_filed(geometry: SinogramGeometry) -> SinogramGeometry:
    """Return the geometry that a header describes, the opposite of `placed`."""
    half_turn = 180.0 if geometry.position.endswith("P") else 0.0
    scanner = replace(geometry.scanner, mirrored=False, tilt_deg=geometry.scanner.tilt_deg - half_turn)
    segments = _mirrored(geometry.segments) if from_head(geometry) else geometry.segments
    return replace(geometry, scanner=scanner, segments=segments, centre_mm=(0.0, 0.0, 0.0), position="")


def _mirrored(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Segments with rings counted from the other end, in the order they had where they are the same ones."""
    other = tuple(Segment(-s.high, -s.low) for s in segments)
    return segments if set(other) == set(segments) else other


def turned(values: FloatImage, source: SinogramGeometry, target: SinogramGeometry) -> FloatImage:
    """Values of one geometry with the rings of the other, which counts them from the other end.

    Parameters
    ----------
    values : of the source's ``data_shape``
    source, target : of the same lines
    """
    out = values.copy()
    held = dict(zip(source.segments, source.segment_slices(), strict=True))
    for segment, where in zip(target.segments, target.segment_slices(), strict=True):
        out[..., where] = values[..., held[Segment(-segment.high, -segment.low)]][..., ::-1]
    return out


def position_lines(geometry: SinogramGeometry) -> list[str]:
    """Lines of a header that say how the patient lay."""
    position = geometry.position or ("FFS" if geometry.scanner.mirrored else "HFS")
    orientation = next(k for k, v in _ORIENTATIONS.items() if position.startswith(v))
    rotation = next(k for k, v in _ROTATIONS.items() if position.endswith(v))
    return [f"patient orientation := {orientation}", f"patient rotation := {rotation}"]
