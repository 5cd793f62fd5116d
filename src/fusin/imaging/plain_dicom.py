"""Our own reader of plain DICOM files: little endian, native pixels, one pass over the top-level elements.

It knows nothing of values beyond where they lie. Whatever it does not recognise makes it step aside
(:class:`NotPlain`), and pydicom reads the file instead; both give identical arrays.

References
----------
DICOM PS3.5 sections 7.1 to 7.5 (data element structure, nested data sets).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from fusin.imaging.dicom_values import clean_text, parse_number, parse_numbers

__all__ = ["NeedMoreBytes", "NotPlain", "PlainHeader", "parse_plain"]

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
PIXEL_TAGS = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})
_LONG_VR = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV"})
_SHORT_VR = frozenset(
    {
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FL",
        b"FD",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    }
)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_HH = struct.Struct("<HH").unpack_from
_HHI = struct.Struct("<HHI").unpack_from
_EXPLICIT = struct.Struct("<HH2sH").unpack_from
_H = struct.Struct("<H").unpack_from
_I = struct.Struct("<I").unpack_from


class NotPlain(Exception):
    """The file is not plain little endian DICOM as this reader understands it."""


class NeedMoreBytes(Exception):
    """The header is longer than the bytes given."""


@dataclass(slots=True)
class PlainHeader:
    """Top-level elements of one file by their place in the header's bytes.

    Attributes
    ----------
    data : the first bytes of the file
    elements : tag -> (offset, length)
    pixel_tag, pixel_offset, pixel_length : where the pixels lie; tag 0 when there are none
    transfer_syntax : UID
    """

    data: bytes
    elements: dict[int, tuple[int, int]]
    pixel_tag: int = 0
    pixel_offset: int = 0
    pixel_length: int = 0
    transfer_syntax: str = EXPLICIT_LITTLE
    _creators: dict[tuple[int, str], int] = field(default_factory=dict)

    def raw(self, tag: int) -> bytes | None:
        """Bytes of a top-level element, None when absent."""
        place = self.elements.get(tag)
        return None if place is None else self.data[place[0] : place[0] + place[1]]

    def text(self, tag: int) -> str:
        """Text of an element, empty when absent."""
        return clean_text(self.raw(tag))

    def number(self, tag: int) -> float | None:
        """Number of a DS or IS element."""
        return parse_number(self.text(tag))

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Numbers of a multi-valued DS or IS element."""
        return parse_numbers(self.text(tag))

    def unsigned(self, tag: int) -> int | None:
        """Value of a US element."""
        value = self.raw(tag)
        return None if value is None or len(value) < 2 else int(_H(value)[0])

    def private(self, group: int, creator: str, element: int) -> bytes | None:
        """Bytes of a private element found through its private creator, wherever the block was reserved."""
        for block in range(0x10, 0x100):
            name = self.raw((group << 16) | block)
            if name is not None and clean_text(name) == creator:
                value = self.raw((group << 16) | (block << 8) | element)
                if value is not None:
                    return value
        return None


def _skip_undefined(data: bytes, position: int, implicit: bool) -> int:
    """Position after a sequence of undefined length that starts at ``position``."""
    while True:
        if position + 8 > len(data):
            raise NeedMoreBytes
        group, element = _HH(data, position)
        tag = (group << 16) | element
        length = _I(data, position + 4)[0]
        position += 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise NotPlain
        if length == _UNDEFINED:
            _, position, _, _ = _walk(data, position, implicit, nested=True)
        else:
            position += length


def _element_start(data: bytes, position: int, implicit: bool) -> tuple[int, int]:
    """(start, length) of the value of the element at ``position``."""
    if implicit:
        return position + 8, _I(data, position + 4)[0]
    vr = data[position + 4 : position + 6]
    if vr in _SHORT_VR:
        return position + 8, _H(data, position + 6)[0]
    if vr in _LONG_VR:
        if position + 12 > len(data):
            raise NeedMoreBytes
        return position + 12, _I(data, position + 8)[0]
    raise NotPlain


def _walk(
    data: bytes, position: int, implicit: bool, *, nested: bool = False
) -> tuple[dict[int, tuple[int, int]], int, int, int]:
    """Elements from ``position`` to the pixels, the item's end or the end of the data."""
    elements: dict[int, tuple[int, int]] = {}
    size, last = len(data), -1
    while position + 8 <= size:
        # One unpacking serves the element, its VR and its length: this loop is most of what reading headers costs.
        start, vr = position + 8, b""
        if implicit:
            group, element, length = _HHI(data, position)
        else:
            group, element, vr, length = _EXPLICIT(data, position)
        tag = (group << 16) | element
        if nested and tag == _ITEM_END:
            return elements, start, 0, 0
        if vr not in _SHORT_VR and not implicit:
            start, length = _element_start(data, position, implicit)
        if not nested:
            if tag in PIXEL_TAGS:
                return elements, start, length, tag
            if tag <= last or group == 0:
                raise NotPlain
            last = tag
        following = _skip_undefined(data, start, implicit) if length == _UNDEFINED else start + length
        if following > size:
            raise NeedMoreBytes
        elements[tag] = (start, following - start)
        position = following
    if nested or position != size:
        raise NeedMoreBytes
    return elements, position, 0, 0


def parse_plain(data: bytes, *, whole: bool) -> PlainHeader:
    """Parse the beginning of a DICOM file.

    Parameters
    ----------
    data : first bytes of the file
    whole : whether ``data`` is the whole file

    Raises
    ------
    NotPlain
        For another transfer syntax, a missing preamble, or a structure this reader does not know.
    NeedMoreBytes
        When the header does not end within ``data``.
    """
    if len(data) < 144 or data[128:132] != b"DICM":
        raise NotPlain
    position, syntax = 132, ""
    while position + 8 <= len(data):
        group, element = _HH(data, position)
        if group != 2:
            break
        start, length = _element_start(data, position, implicit=False)
        if length == _UNDEFINED:
            raise NotPlain
        if element == 0x10:
            syntax = clean_text(data[start : start + length])
        position = start + length
    if syntax not in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        raise NotPlain
    try:
        elements, offset, length, tag = _walk(data, position, syntax == IMPLICIT_LITTLE)
    except NeedMoreBytes:
        if whole:
            raise NotPlain from None
        raise
    if not tag and not whole:
        raise NeedMoreBytes
    if tag and length == _UNDEFINED:
        raise NotPlain
    header_end = offset if tag else len(data)
    return PlainHeader(data[:header_end], elements, tag, offset if tag else 0, length, syntax)
