"""Frames of derived objects: per-frame functional groups, source references, and a fast atomic save.

highdicom builds each object from one clean header and one empty frame. The real frames are added here, because its
constructor wants all segments stacked in one array, and because a PET of 400 slices brings thousands of small sequence
items: building and writing them one by one takes most of the time of an object (2.6 s for 4000 frames, against 0.3 s
here). The three sequences that grow with the slices are encoded as Explicit VR Little Endian bytes; pydicom writes
everything else.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.codes import Concept, code
from fusin.imaging.derived_objects import SourceFrame, SourceImages, axes_of, derived_uid, position_of, stamp_creation

__all__ = ["Frame", "element", "put_geometry", "save_with_frames", "sequence"]

_LONG_FORM = ("OB", "OW", "OF", "SQ")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame to be written: grid slice, and segment number (0 where frames have none)."""

    slice_index: int
    segment: int = 0


def element(keyword: str, vr: str, value: bytes) -> bytes:
    """One data element in Explicit VR Little Endian.

    Parameters
    ----------
    keyword : DICOM keyword
    vr : value representation
    value : encoded value; padded to even length as its representation asks

    References
    ----------
    DICOM PS3.5 sections 6.2 and 7.1.2.
    """
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB") else b" "
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise InputError("DICOM dictionary", "keyword", keyword, "a standard keyword")
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = struct.pack("<HI", 0, len(value)) if vr in _LONG_FORM else struct.pack("<H", len(value))
    return head + length + value


def sequence(keyword: str, items: Iterable[bytes]) -> bytes:
    """One sequence of defined length; each item is its encoded elements in tag order."""
    return element(keyword, "SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items))


def put_geometry(ds: Dataset, source: SourceImages) -> None:
    """State voxel size and orientation of the grid in the shared functional groups.

    Parameters
    ----------
    ds : object built from ``source.anchor()``; changed in place
    source : the series it was made from
    """
    axes = axes_of(source.grid)
    shared = ds.SharedFunctionalGroupsSequence[0]
    measures = Dataset()
    measures.PixelSpacing = list(axes.pixel_spacing)
    # The voxels of the grid tile space, whatever thickness the scanner states for its slices.
    measures.SliceThickness = measures.SpacingBetweenSlices = axes.slice_spacing
    shared.PixelMeasuresSequence = [measures]
    orientation = Dataset()
    orientation.ImageOrientationPatient = list(axes.orientation)
    shared.PlaneOrientationSequence = [orientation]
    dimension_uid = derived_uid(str(ds.SOPInstanceUID), "dimensions")
    for item in (*ds.DimensionIndexSequence, *ds.DimensionOrganizationSequence):
        item.DimensionOrganizationUID = dimension_uid


def save_with_frames(
    ds: Dataset,
    path: Path,
    *,
    source: SourceImages,
    frames: Sequence[Frame],
    derivation: str,
    pixels: tuple[str, str, bytes],
    created: datetime,
) -> Path:
    """Add frames, source references and pixels to an object and write it atomically.

    Parameters
    ----------
    ds : object with all modules, and one frame that is replaced; changed in place
    path : file to write
    source : the series it was made from
    frames : frames in the order of the pixel data
    derivation : name of the image derivation code
    pixels : keyword, value representation and bytes of the pixel data element
    created : time of creation, stated as the object's own
    """
    put_geometry(ds, source)
    ds.PatientName = source.header.PatientName
    ds.NumberOfFrames = len(frames)
    stamp_creation(ds, created)
    references = [
        _uid("ReferencedSOPClassUID", class_uid) + _uid("ReferencedSOPInstanceUID", instance_uid)
        for instance_uid, class_uid in source.objects.items()
    ]
    series = sequence("ReferencedInstanceSequence", references) + _uid("SeriesInstanceUID", source.series_uid)
    encoded = {
        "ReferencedSeriesSequence": sequence("ReferencedSeriesSequence", [series]),
        "SourceImageSequence": sequence("SourceImageSequence", references),
        "PerFrameFunctionalGroupsSequence": sequence(
            "PerFrameFunctionalGroupsSequence", _groups(ds, source, frames, derivation)
        ),
        pixels[0]: element(*pixels),
    }
    return write_bytes_atomically(path, _spliced(ds, {Tag(keyword): data for keyword, data in encoded.items()}))


def _spliced(ds: Dataset, encoded: Mapping[int, bytes]) -> bytes:
    """File of a dataset in which some elements are already encoded."""
    for tag in encoded:
        if tag in ds:
            del ds[tag]
    buffer = io.BytesIO()
    first, *rest = sorted(encoded)
    head = ds[:first]
    head.file_meta = ds.file_meta
    pydicom.dcmwrite(buffer, head, enforce_file_format=True)
    parts = [buffer.getvalue(), encoded[first]]
    for start, stop in zip((first, *rest), (*rest, None), strict=True):
        piece = DicomBytesIO()
        piece.is_little_endian, piece.is_implicit_VR = True, False
        write_dataset(piece, ds[start:stop], "utf8")
        parts.append(piece.getvalue())
        if stop is not None:
            parts.append(encoded[stop])
    return b"".join(parts)


def _uid(keyword: str, value: str) -> bytes:
    return element(keyword, "UI", value.encode())


def _code(keyword: str, concept: Concept) -> bytes:
    """Code sequence with one item."""
    item = (
        element("CodeValue", "SH", concept.value.encode())
        + element("CodingSchemeDesignator", "SH", concept.scheme.encode())
        + element("CodeMeaning", "LO", concept.meaning.encode())
    )
    return sequence(keyword, [item])


def _derivation(frames: Sequence[SourceFrame], how: bytes, purpose: bytes) -> bytes:
    """Derivation Image Sequence of one slice; empty where it has no source (the attribute is of type 2)."""
    images = []
    for frame in frames:
        item = _uid("ReferencedSOPClassUID", frame.sop_class_uid)
        item += _uid("ReferencedSOPInstanceUID", frame.sop_instance_uid)
        if frame.frame_number is not None:
            item += element("ReferencedFrameNumber", "IS", str(frame.frame_number).encode())
        images.append(item + element("SpatialLocationsPreserved", "CS", b"YES") + purpose)
    return sequence("DerivationImageSequence", [sequence("SourceImageSequence", images) + how] if images else [])


def _groups(ds: Dataset, source: SourceImages, frames: Sequence[Frame], derivation: str) -> list[bytes]:
    """Per-frame functional groups; the parts that depend on the slice alone are encoded once per slice."""
    how, purpose = (
        _code("DerivationCodeSequence", code(derivation)),
        _code("PurposeOfReferenceCodeSequence", code("source_image")),
    )
    order = {index: place for place, index in enumerate(sorted({f.slice_index for f in frames}), start=1)}
    images = {index: _derivation(source.slices[index], how, purpose) for index in order}
    positions = {}
    for index in order:
        text = "\\".join(str(v) for v in position_of(source.grid, index)).encode()
        positions[index] = sequence("PlanePositionSequence", [element("ImagePositionPatient", "DS", text)])
    by_segment = "SegmentSequence" in ds and len(ds.DimensionIndexSequence) == 2
    # One segment alone stands in the shared functional groups, where highdicom puts it.
    named = by_segment and "SegmentIdentificationSequence" not in ds.SharedFunctionalGroupsSequence[0]
    groups = []
    for frame in frames:
        values = (frame.segment, order[frame.slice_index]) if by_segment else (order[frame.slice_index],)
        content = element("DimensionIndexValues", "UL", struct.pack(f"<{len(values)}I", *values))
        group = images[frame.slice_index] + sequence("FrameContentSequence", [content]) + positions[frame.slice_index]
        if named:
            number = element("ReferencedSegmentNumber", "US", struct.pack("<H", frame.segment))
            group += sequence("SegmentIdentificationSequence", [number])
        groups.append(group)
    return groups
