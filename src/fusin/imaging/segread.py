"""DICOM Segmentation objects to regions.

All segmentation types are read: BINARY (one bit per voxel, bits running on over frame borders),
FRACTIONAL (thresholded) and LABELMAP (8 or 16 bits, with or without a palette). The voxel grid is made
from the positions of the frames, whatever their order and however many empty ones were left out.

References
----------
DICOM PS3.3 sections A.51, C.8.20 (Segmentation) and PS3.5 section 8.1.1 (bit packing).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, MissingExtra
from fusin.imaging.dicom_objects import read_object
from fusin.imaging.regions import region_from_crop, regions_of_labels
from fusin.imaging.volume import FloatArray, Grid, Region
from fusin.provenance import NoticeLog

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["SEG_SOP_CLASSES", "read_seg"]

SEG_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", _BIG_ENDIAN)
_BACKGROUND = 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Frames:
    """Where the frames of an object belong.

    Attributes
    ----------
    grid : evenly spaced planes from the first to the last frame position
    plane : (frames,) slice of each frame
    segment : (frames,) segment number of each frame; 0 in label maps
    """

    grid: Grid
    plane: NDArray[np.int64]
    segment: NDArray[np.int64]


def read_seg(path: Path | str, *, log: NoticeLog, threshold: float = 0.5) -> tuple[Region, ...]:
    """Read the segments of a DICOM Segmentation object on the grid of its own frames.

    Parameters
    ----------
    path : the file
    log : receives SEG_FRACTIONAL_THRESHOLD and SEGMENT_EMPTY
    threshold : part of Maximum Fractional Value from which a voxel of a FRACTIONAL segmentation
        belongs to the segment, above 0 and up to 1

    Returns
    -------
    tuple of Region
        In the order of the Segment Sequence, also empty ones. ``name`` is the Segment Label exactly as stored,
        ``label`` the segment number. Attributes: ``segmentation_type``, ``property`` and ``category`` (code
        meanings), ``property_code`` (value, scheme), ``algorithm``, ``description``.

    Raises
    ------
    InputError
        Not a segmentation, damaged, tiled, without positions, or not evenly spaced.
    MissingExtra
        Compressed in a way that needs an optional decoder.
    """
    path = Path(path)
    if not 0 < threshold <= 1:
        raise InputError(str(path), "threshold", threshold, "a number above 0 and up to 1")
    return read_object(
        path, SEG_SOP_CLASSES, "a DICOM Segmentation", lambda dataset: _read(str(path), dataset, log, threshold)
    )


def _read(where: str, dataset: Dataset, log: NoticeLog, threshold: float) -> tuple[Region, ...]:
    """Regions of an opened object."""
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise InputError(where, "Segmentation Type (0062,0001)", kind, "BINARY, FRACTIONAL or LABELMAP")
    segments = {int(item.SegmentNumber): item for item in dataset.get("SegmentSequence") or []}
    if not segments:
        raise InputError(where, "Segment Sequence (0062,0002)", "no segment", "at least one")
    frames = _frames(where, dataset, kind)
    pixels = _Pixels(where, dataset)
    if kind == "LABELMAP":
        found = _label_map(where, frames, pixels)
    else:
        limit = 1.0
        if kind == "FRACTIONAL":
            limit = threshold * float(dataset.MaximumFractionalValue)
            log.info("SEG_FRACTIONAL_THRESHOLD", f"voxels of at least {threshold:g} of the largest fraction were taken",
                     where=where, raw=str(dataset.get("SegmentationFractionalType", "")), used=threshold)  # fmt: skip
        found = _planes(where, frames, pixels, limit)
    unknown = sorted(set(found) - set(segments) - {_BACKGROUND})
    if unknown:
        raise InputError(where, "segment numbers of the frames", unknown, f"numbers described: {sorted(segments)}")
    regions = []
    for number, item in segments.items():
        if number == _BACKGROUND:
            continue
        region = found.get(number)
        if region is None or region.voxels == 0:
            log.info(
                "SEGMENT_EMPTY", f"segment {number} {str(item.get('SegmentLabel', ''))!r} holds no voxel", where=where
            )
        start, crop = ((0, 0, 0), np.zeros((0, 0, 0), bool)) if region is None else (region.start, region.crop)
        regions.append(Region(
            name=str(item.get("SegmentLabel", "")), grid=frames.grid, start=start, crop=crop, source=where,
            label=number, tracking_uid=str(item.get("TrackingUID", "")), attributes=_attributes(item, kind),
        ))  # fmt: skip
    return tuple(regions)


def _attributes(item: Dataset, kind: str) -> dict[str, Any]:
    """Small facts of a segment description."""
    out: dict[str, Any] = {"segmentation_type": kind}
    for key, keyword in (
        ("category", "SegmentedPropertyCategoryCodeSequence"), ("property", "SegmentedPropertyTypeCodeSequence"),
    ):  # fmt: skip
        code = (item.get(keyword) or [None])[0]
        if code is not None:
            out[key] = str(code.get("CodeMeaning", ""))
            out[f"{key}_code"] = (str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", "")))
    for key, keyword in (
        ("algorithm", "SegmentAlgorithmType"), ("description", "SegmentDescription"), ("tracking_id", "TrackingID"),
    ):  # fmt: skip
        if item.get(keyword):
            out[key] = str(item.get(keyword))
    return out


def _frames(where: str, dataset: Dataset, kind: str) -> _Frames:
    """Grid of the object, and plane and segment of each frame."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    count = int(dataset.get("NumberOfFrames") or 0)
    if not len(groups) or len(groups) != count:
        raise InputError(where, "Per-frame Functional Groups Sequence (5200,9230)", len(groups), f"{count} items")

    def group(item: Dataset, keyword: str) -> Dataset | None:
        sequence = item.get(keyword) or (shared.get(keyword) if shared is not None else None)
        return sequence[0] if sequence else None

    positions = np.empty((count, 3))
    orientations = np.empty((count, 6))
    segment = np.zeros(count, dtype=np.int64)
    orientation_item: Dataset | None = None
    orientation = np.full(6, np.nan)
    for number, item in enumerate(groups):
        place, turn = group(item, "PlanePositionSequence"), group(item, "PlaneOrientationSequence")
        if place is None or turn is None:
            needed = "a segmentation of a volume (slide and tiled ones have no patient coordinates)"
            raise InputError(where, f"frame {number + 1}", "no plane position or orientation in the patient", needed)
        positions[number] = [float(x) for x in place.ImagePositionPatient]
        if turn is not orientation_item:
            orientation_item, orientation = turn, np.array([float(x) for x in turn.ImageOrientationPatient])
        orientations[number] = orientation
        if kind != "LABELMAP":
            named = group(item, "SegmentIdentificationSequence")
            if named is None:
                raise InputError(
                    where, f"frame {number + 1}", "no Segment Identification (0062,000A)", "a segment number"
                )
            segment[number] = int(named.ReferencedSegmentNumber)
    if np.abs(orientations - orientations[0]).max() > 1e-4:
        raise InputError(where, "Image Orientation (0020,0037)", "frames of different orientation", "parallel frames")
    measures = group(groups[0], "PixelMeasuresSequence")
    if measures is None:
        raise InputError(where, "Pixel Measures Sequence (0028,9110)", None, "a pixel spacing")
    return _lattice(
        where, dataset, positions=positions, orientation=orientations[0], measures=measures, segment=segment
    )


def _lattice(
    where: str, dataset: Dataset, *, positions: FloatArray, orientation: FloatArray, measures: Dataset,
    segment: NDArray[np.int64],
) -> _Frames:  # fmt: skip
    """Evenly spaced planes through the frame positions, with the planes left out put back."""
    across, down = orientation[:3], orientation[3:]
    normal = np.cross(across, down)
    height = positions @ normal
    distinct = np.unique(np.round(height, 3))
    stated = abs(float(measures.get("SpacingBetweenSlices") or 0.0))
    thickness = abs(float(measures.get("SliceThickness") or 0.0))
    smallest = float(np.diff(distinct).min()) if distinct.size > 1 else 0.0
    for spacing in (stated, smallest, thickness):
        if spacing <= 0:
            continue
        index = (height - height.min()) / spacing
        plane = np.rint(index).astype(np.int64)
        if np.abs(index - plane).max() <= 0.1 and len(np.unique(plane)) == distinct.size:
            break
    else:
        raise InputError(
            where, "Image Position (0020,0032) of the frames", distinct[:6].tolist(), "evenly spaced planes"
        )
    origin, step = positions[int(np.argmin(plane))], normal * spacing
    if plane.max() > 0:
        design = np.stack([np.ones(len(plane)), plane], axis=1)
        (origin, step), *_ = np.linalg.lstsq(design, positions, rcond=None)
        if np.abs(design @ np.stack([origin, step]) - positions).max() > 0.1 * spacing:
            raise InputError(where, "Image Position (0020,0032)", "frames that are not above each other", "one stack")
    affine = np.eye(4)
    row_mm, column_mm = (float(x) for x in measures.PixelSpacing)
    affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = across * column_mm, down * row_mm, step, origin
    grid = Grid(
        shape=(int(plane.max()) + 1, int(dataset.Rows), int(dataset.Columns)), affine=affine,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "")),
    )  # fmt: skip
    return _Frames(grid=grid, plane=plane, segment=segment)


class _Pixels:
    """Frame by frame access to the stored numbers, without unpacking all frames at once."""

    def __init__(self, where: str, dataset: Dataset) -> None:
        self.rows, self.columns = int(dataset.Rows), int(dataset.Columns)
        self.bits = int(dataset.BitsAllocated)
        self.size = self.rows * self.columns
        count = int(dataset.NumberOfFrames)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        if self.bits not in (1, 8, 16):
            raise InputError(where, "Bits Allocated (0028,0100)", self.bits, "1, 8 or 16")
        if dataset.get("PixelData") is None:
            raise InputError(where, "Pixel Data (7FE0,0010)", None, "pixels")
        self.decoded: NDArray[Any] | None = None
        self.packed_frames: list[bytes] | None = None
        self.packed = np.zeros(0, dtype=np.uint8)
        self.order = ">" if syntax == _BIG_ENDIAN else "<"
        if syntax == _DEFLATED_FRAMES:
            self.packed_frames = _inflated(dataset, count)
        elif syntax not in _NATIVE:
            self.decoded = _decompressed(where, dataset).reshape(count, self.rows, self.columns)
        else:
            self.packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
            needed = -(-self.size * count * self.bits // 8)
            if self.packed.size < needed:
                raise InputError(where, "Pixel Data (7FE0,0010)", f"{self.packed.size} bytes", f"{needed} bytes")

    def frame(self, number: int) -> NDArray[Any]:
        """(rows, columns) stored numbers of a frame."""
        if self.decoded is not None:
            out: NDArray[Any] = self.decoded[number]
            return out
        data, first = self.packed, number * self.size
        if self.packed_frames is not None:
            data, first = np.frombuffer(self.packed_frames[number], dtype=np.uint8), 0
        if self.bits == 1:
            begin = first // 8
            bits = np.unpackbits(data[begin : -(-(first + self.size) // 8)], bitorder="little")
            flat = bits[first - 8 * begin :][: self.size]
        else:
            width = self.bits // 8
            flat = data[first * width : (first + self.size) * width].view(f"{self.order}u{width}")
        return flat.reshape(self.rows, self.columns)


def _inflated(dataset: Dataset, count: int) -> list[bytes]:
    """Frames of the Deflated Image Frame Compression transfer syntax (PS3.5 section A.4.13)."""
    from pydicom.encaps import generate_frames

    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    return [zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame) for frame in frames]


def _decompressed(where: str, dataset: Dataset) -> NDArray[Any]:
    """All frames of a compressed object, through pydicom's decoders."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as err:
        raise InputError(where, "Transfer Syntax UID (0002,0010)", str(syntax), "a syntax for pixel data") from err
    if not decoder.is_available:
        raise MissingExtra("pylibjpeg", "compressed", f"{where}: {syntax.name}")
    # Palette colours are only for display: the stored numbers are the segment numbers.
    out: NDArray[Any] = decoder.as_array(dataset, raw=True)[0]
    return out


def _label_map(where: str, frames: _Frames, pixels: _Pixels) -> dict[int, Region]:
    """Regions of a LABELMAP object by segment number."""
    labels = np.zeros(frames.grid.shape, dtype=np.uint8 if pixels.bits == 8 else np.uint16)
    if len(np.unique(frames.plane)) != len(frames.plane):
        raise InputError(where, "frames", "several label maps of one plane", "one frame per plane")
    for number, plane in enumerate(frames.plane.tolist()):
        labels[plane] = pixels.frame(number)
    return {region.label: region for region in regions_of_labels(labels, frames.grid, {}, source=where)}


def _planes(where: str, frames: _Frames, pixels: _Pixels, limit: float) -> dict[int, Region]:
    """Regions of a BINARY or FRACTIONAL object by segment number."""
    out: dict[int, Region] = {}
    for segment in np.unique(frames.segment).tolist():
        members = np.flatnonzero(frames.segment == segment)
        planes = frames.plane[members]
        if len(np.unique(planes)) != len(planes):
            raise InputError(where, f"segment {segment}", "several frames of one plane", "one frame per plane")
        first = int(planes.min())
        stack = np.zeros((int(planes.max()) - first + 1, pixels.rows, pixels.columns), dtype=bool)
        for number, plane in zip(members.tolist(), planes.tolist(), strict=True):
            np.greater_equal(pixels.frame(number), limit, out=stack[plane - first])
        out[segment] = region_from_crop("", frames.grid, (first, 0, 0), stack)
    return out
