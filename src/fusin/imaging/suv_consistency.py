"""Whether all slices of a series say the same: one SUV rule needs one unit, one correction, one patient, one injection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fusin.errors import Ambiguous
from fusin.imaging.dicom_values import parse_number
from fusin.imaging.frames import FrameRecord
from fusin.imaging.instances import DatasetHeader, Header, Tag

__all__ = ["require_uniform_headers"]

_TEXTS = {
    Tag.UNITS: "Units (0054,1001)",
    0x00541006: "SUV Type (0054,1006)",
    Tag.DECAY_CORRECTION: "Decay Correction (0054,1102)",
    0x00100040: "Patient's Sex (0010,0040)",
}
_NUMBERS = {0x00101030: "Patient's Weight (0010,1030)", 0x00101020: "Patient's Size (0010,1020)"}
_DRUG = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartDateTime",
    "RadiopharmaceuticalStartTime",
)


def require_uniform_headers(frames: Sequence[FrameRecord], where: str) -> None:
    """Refuse a series whose slices disagree on anything that SUV hangs on.

    Raises
    ------
    Ambiguous
        Naming the field and the values found.
    """
    first = frames[0].header
    for frame in frames[1:]:
        other = frame.header
        if other is first:
            continue
        for tag, field in _TEXTS.items():
            _same(field, first.text(tag).upper(), other.text(tag).upper(), where)
        for tag, field in _NUMBERS.items():
            a, b = first.text(tag), other.text(tag)
            if a != b and parse_number(a) != parse_number(b):
                _same(field, a, b, where)
        done = ["/".join(sorted(h.text(Tag.CORRECTED_IMAGE).upper().split("\\"))) for h in (first, other)]
        _same("Corrected Image (0028,0051)", done[0], done[1], where)
        if first.raw(Tag.RADIOPHARMACEUTICAL) != other.raw(Tag.RADIOPHARMACEUTICAL):
            _same_drug(frames[0], frame, where)


def _same(field: str, a: Any, b: Any, where: str) -> None:
    if a != b:
        raise Ambiguous(
            "SUV",
            f"the slices of {where} disagree: {field} is {a!r} and {b!r}",
            "slices of one acquisition",
            "MIXED_HEADERS",
        )


def _same_drug(a: FrameRecord, b: FrameRecord, where: str) -> None:
    """Sequences whose bytes differ may still say the same; the fields that count decide."""
    found = [_drug(frame) for frame in (a, b)]
    for keyword, x, y in zip(_DRUG, *found, strict=True):
        if x != y and (parse_number(x) is None or parse_number(x) != parse_number(y)):
            _same(f"Radiopharmaceutical Information, {keyword}", x, y, where)


def _drug(frame: FrameRecord) -> tuple[str, ...]:
    from pydicom.datadict import tag_for_keyword

    try:
        items = list(frame.dataset().get("RadiopharmaceuticalInformationSequence") or [])
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        items = []
    texts: list[str] = []
    for keyword in _DRUG:
        tag = tag_for_keyword(keyword)
        header: Header | None = DatasetHeader(items[0]) if items else None
        texts.append("" if header is None or tag is None else header.text(tag))
    return tuple(texts)
