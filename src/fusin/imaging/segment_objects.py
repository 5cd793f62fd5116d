"""Regions to DICOM Segmentation objects.

Which frames are written. A binary SEG holds one frame per segment and slice. All of them for ten lesions on 400
slices are 4000 frames, 22 MB and two seconds for the reader; only the non-empty ones are 0.4 MB, but then the first
and last slices are missing (a reader builds a shorter volume) and a segment with a gap along the slices breaks viewers
that count frames instead of reading positions (OHIF/Viewers#2833, highdicom#214). The default lies between: segment 1
is written on every slice, so that each slice of the grid occurs, and every other segment without a gap from its first
to its last slice (2.6 MB, read in 0.2 s). ``omit_empty_frames=False`` writes every frame, for viewers that need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from fusin.errors import InputError, Unsupported
from fusin.imaging.codes import Concept, Site, code, has_code, site_of
from fusin.imaging.derived_objects import (
    RESEARCH_USE,
    SourceImages,
    code_item,
    derived_uid,
    describe_source,
    equipment,
    fitted_text,
)
from fusin.imaging.frame_groups import Frame, save_with_frames
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog, versions

__all__ = ["PALETTE", "AlgorithmType", "SegKind", "segment_codes", "write_seg"]

SegKind = Literal["binary", "fractional", "labelmap"]
AlgorithmType = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]

PALETTE: tuple[tuple[int, int, int], ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Display colours as 8-bit RGB that people with colour-vision deficiency tell apart (Okabe and Ito 2008)."""

_MAX_FRACTION = 255


def write_seg(
    path: Path | str,
    regions: Sequence[Region],
    *,
    source: Sequence[Dataset],
    log: NoticeLog,
    kind: SegKind = "binary",
    series_description: str = "",
    series_number: int = 900,
    algorithm_name: str = "fusin",
    algorithm_type: AlgorithmType = "AUTOMATIC",
    algorithm_family: str = "histogram_analysis",
    omit_empty_frames: bool = True,
    created: datetime | None = None,
) -> Path:
    """Write regions of one grid as a DICOM Segmentation, one segment per region in the order given.

    `segment_codes` says how a region is described. Its name becomes label and Tracking ID; the Tracking UID is the
    region's own or made from series and name. Its attributes ``algorithm_type`` and ``colour`` (8-bit RGB) are used.

    Parameters
    ----------
    path : file to write; replaced atomically
    regions : at least one, all on the same grid; a region without voxels becomes a segment without voxels
    source : headers of the slices from which the grid was made, or one Enhanced multi-frame header
    log : receives notices
    kind : ``"binary"`` (may overlap), ``"fractional"`` (occupancy 0 or 255 of 255) or ``"labelmap"`` (may not
        overlap; a new object class that few viewers read)
    series_description : at most 64 characters; names fusin, its version and research use when empty
    series_number : positive
    algorithm_name, algorithm_type, algorithm_family : how the regions came about; the family is a name of codes.toml
    omit_empty_frames : see the module's text
    created : creation time, now when None; equal inputs with an equal time give equal bytes

    Raises
    ------
    InputError
        No regions, regions of several grids, a region without a name, or a source that does not fit the grid.
    Unsupported
        Overlapping regions in a label map, or a grid whose rows and columns are not perpendicular.

    References
    ----------
    DICOM PS3.3 sections A.51 and C.8.20.
    """
    _check(regions)
    images = describe_source(source, regions[0].grid, log=log)
    created = created or datetime.now()
    frames = _frames(regions, kind, omit_empty_frames)
    pixels, bits = _pixels(regions, frames, kind)
    description = series_description or f"fusin {versions()['fusin']} regions (research use only)"
    algorithm = (algorithm_name, algorithm_type, algorithm_family)
    words = (images.series_uid, kind, description, created.isoformat(), *algorithm, *(r.name for r in regions))
    ds = _skeleton(images, regions, kind, algorithm, identity=derived_uid(pixels, *words), log=log)
    ds.SeriesNumber, ds.SeriesDescription = series_number, fitted_text(description, "SeriesDescription", log)
    return save_with_frames(
        ds, Path(path), source=images, frames=frames, derivation="segmentation",
        pixels=("PixelData", "OW" if bits == 16 else "OB", pixels), created=created,
    )  # fmt: skip


def segment_codes(region: Region) -> tuple[Concept, Concept, Site | None]:
    """Category, type and site by which a region is described.

    An organ's name gives its anatomical structure. A name that begins with ``lesion`` or ``candidate`` gives
    "Lesion", a morphologically abnormal structure and no diagnosis. Any other name gives "Tissue", which claims
    nothing. ``attributes["code"]`` overrides the name; ``attributes["site"]`` says where a lesion lies.

    Parameters
    ----------
    region : region with a name

    Returns
    -------
    category, type, site : the site is that of the organ itself or of the lesion, None when unknown
    """
    stated = str(region.attributes.get("code") or "")
    where = site_of(str(region.attributes.get("site") or ""))
    organ = site_of(stated or region.name)
    if organ is not None:
        return code("anatomical_structure"), organ.concept, organ
    if stated and not has_code(stated):
        raise InputError(region.name, 'attributes["code"]', stated, "a name of codes.toml")
    if stated and stated != "tissue":
        return code("morphologically_abnormal_structure"), code(stated), where
    if not stated and region.name.strip().lower().startswith(("lesion", "candidate")):
        return code("morphologically_abnormal_structure"), code("lesion"), where
    return code("tissue"), code("tissue"), where


def _check(regions: Sequence[Region]) -> None:
    """Refuse what no segmentation can hold."""
    if not regions:
        raise InputError("SEG", "regions", 0, "at least one region")
    for region in regions:
        if not region.name.strip():
            raise InputError("SEG", "region name", region.name, "a name; it becomes the Segment Label")
        if not region.grid.matches(regions[0].grid):
            raise InputError(region.name, "grid", region.grid.shape, f"the grid of {regions[0].name}; resample first")


def _overlap(regions: Sequence[Region]) -> bool:
    taken = np.zeros(regions[0].grid.shape, dtype=bool)
    for region in regions:
        part = taken[region.box]
        if np.any(part & region.crop):
            return True
        part |= region.crop
    return False


def _frames(regions: Sequence[Region], kind: SegKind, omit_empty: bool) -> list[Frame]:
    """Frames in the order of segment, then slice; the module's text says which are written."""
    slices = regions[0].grid.shape[0]
    every = set(range(slices))
    spans = [set(range(r.start[0], r.start[0] + r.crop.shape[0])) for r in regions]
    if kind == "labelmap":
        wanted = {0, slices - 1}.union(*spans) if omit_empty else every
        return [Frame(index) for index in sorted(wanted)]
    if not omit_empty:
        spans = [every] * len(spans)
    # A frame of a fractional object is eight times as large: the outer slices alone keep the extent of the grid.
    spans[0] = every if kind == "binary" else spans[0] | {0, slices - 1}
    return [Frame(index, segment) for segment, span in enumerate(spans, start=1) for index in sorted(span)]


def _pixels(regions: Sequence[Region], frames: Sequence[Frame], kind: SegKind) -> tuple[bytes, int]:
    """Pixel data and bits allocated."""
    rows, columns = regions[0].grid.shape[1:]
    if kind == "labelmap":
        if _overlap(regions):
            raise Unsupported("a label map", "regions overlap", 'kind="binary"', "REGIONS_OVERLAP")
        dtype = np.uint8 if len(regions) < 256 else np.uint16
        labels = np.zeros((len(frames), rows, columns), dtype=dtype)
        for image, frame in zip(labels, frames, strict=True):
            for number, region in enumerate(regions, start=1):
                _paint(image, region, frame.slice_index, number)
        return labels.astype(labels.dtype.newbyteorder("<"), copy=False).tobytes(), labels.itemsize * 8
    if kind == "fractional":
        fractions = np.zeros((len(frames), rows, columns), dtype=np.uint8)
        for image, frame in zip(fractions, frames, strict=True):
            _paint(image, regions[frame.segment - 1], frame.slice_index, _MAX_FRACTION)
        return fractions.tobytes(), 8
    # Frames follow each other without padding; eight of them always end on a byte, whatever their size.
    packed = bytearray()
    for first in range(0, len(frames), 8):
        group = frames[first : first + 8]
        bits = np.zeros((len(group), rows, columns), dtype=np.uint8)
        for image, frame in zip(bits, group, strict=True):
            _paint(image, regions[frame.segment - 1], frame.slice_index, 1)
        packed += np.packbits(bits, bitorder="little").tobytes()
    return bytes(packed), 1


def _paint(image: NDArray[Any], region: Region, slice_index: int, value: int) -> None:
    """Set the region's pixels of one slice."""
    inside = slice_index - region.start[0]
    if 0 <= inside < region.crop.shape[0]:
        image[region.box[1:]][region.crop[inside]] = value


def _skeleton(
    images: SourceImages,
    regions: Sequence[Region],
    kind: SegKind,
    algorithm: tuple[str, str, str],
    *,
    identity: str,
    log: NoticeLog,
) -> Dataset:
    """Segmentation with all modules and segments but an empty frame in place of the real ones."""
    rows, columns = images.grid.shape[1:]
    ds: Dataset = Segmentation(
        source_images=[images.anchor()],
        pixel_array=np.zeros((1, rows, columns), dtype=np.uint8),
        segmentation_type=kind.upper(),
        segment_descriptions=[
            _description(number, region, images.series_uid, algorithm, log)
            for number, region in enumerate(regions, start=1)
        ],
        series_instance_uid=derived_uid("SEG series", identity),
        series_number=1,
        sop_instance_uid=derived_uid("SEG", identity),
        instance_number=1,
        fractional_type="OCCUPANCY",
        max_fractional_value=_MAX_FRACTION,
        content_description=RESEARCH_USE,
        content_label="REGIONS",
        omit_empty_frames=False,
        **equipment(),
    )
    if kind == "binary":
        ds.SegmentsOverlap = "YES" if _overlap(regions) else "NO"
    return ds


def _description(
    number: int, region: Region, series_uid: str, algorithm: tuple[str, str, str], log: NoticeLog
) -> SegmentDescription:
    """Item of the Segment Sequence."""
    category, what, site = segment_codes(region)
    name, default_type, family_name = algorithm
    algorithm_type = str(region.attributes.get("algorithm_type") or default_type)
    family = code(family_name)
    label = fitted_text(region.name.strip(), "SegmentLabel", log)
    red, green, blue = region.attributes.get("colour") or PALETTE[(number - 1) % len(PALETTE)]
    item = SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=Code(category.value, category.scheme, category.meaning),
        segmented_property_type=Code(what.value, what.scheme, what.meaning),
        algorithm_type=algorithm_type,
        algorithm_identification=None
        if algorithm_type == "MANUAL"
        else AlgorithmIdentificationSequence(
            fitted_text(name, "AlgorithmName", log),
            Code(family.value, family.scheme, family.meaning),
            versions()["fusin"],
            source="fusin",
        ),
        tracking_uid=region.tracking_uid or derived_uid("tracking", series_uid, region.name),
        tracking_id=label,
        display_color=CIELabColor.from_rgb(red, green, blue),
    )
    _put_site(item, what, site)
    return item


def _put_site(item: Dataset, what: Concept, site: Site | None) -> None:
    """Laterality of an organ, or anatomic region of a lesion."""
    if site is None:
        return
    if site.concept == what:
        if site.laterality is not None:
            kind = item.SegmentedPropertyTypeCodeSequence[0]
            kind.SegmentedPropertyTypeModifierCodeSequence = [code_item(site.laterality)]
        return
    region = code_item(site.concept)
    if site.laterality is not None:
        region.AnatomicRegionModifierSequence = [code_item(site.laterality)]
    item.AnatomicRegionSequence = [region]
