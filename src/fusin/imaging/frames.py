"""Frames: one image plane each, whether it came as a file of its own or inside a multi-frame object."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import mul
from typing import Any

import numpy as np

from fusin.errors import FusinError, InputError, NotComputable, Unsupported
from fusin.imaging.dicom_values import clean_text, parse_dt, parse_number
from fusin.imaging.instances import DatasetHeader, Header, Instance, Tag

__all__ = ["ENHANCED_CLASSES", "NM_CLASS", "FrameRecord", "frames_of"]

NM_CLASS = "1.2.840.10008.5.1.4.1.1.20"
ENHANCED_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.130": "Enhanced PET",
    "1.2.840.10008.5.1.4.1.1.128.1": "Legacy Converted Enhanced PET",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.30": "Parametric Map",
}
_CONVERTED_CLASSES = ("1.2.840.10008.5.1.4.1.1.128.1", "1.2.840.10008.5.1.4.1.1.2.2")


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """Geometry, scaling and timing of one image plane.

    Attributes
    ----------
    instance, index : the file and the 0-based frame in it
    position, orientation : Image Position and Orientation (Patient); LPS mm and direction cosines
    spacing : (row spacing, column spacing) in mm, the order of Pixel Spacing
    slope, intercept : rescale
    timing : texts of an Enhanced object's functional groups (classic files keep theirs in the header)
    own_header : classic header of a frame of a Legacy Converted object
    """

    instance: Instance
    index: int
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    spacing: tuple[float, float]
    slope: float
    intercept: float
    timing: Mapping[str, str] = field(default_factory=dict)
    own_header: Header | None = None

    @property
    def header(self) -> Header:
        """Header of this frame: that of its file, or what a converted object keeps of the classic header it had."""
        return self.own_header if self.own_header is not None else self.instance.header

    def dataset(self) -> Any:
        """pydicom dataset behind :attr:`header`, without pixels."""
        own = self.own_header
        return own.dataset if isinstance(own, DatasetHeader) else self.instance.dataset()

    @property
    def normal(self) -> np.ndarray[Any, Any]:
        """Unit normal of the plane, row direction x column direction."""
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        normal = np.cross(row, column)
        unit: np.ndarray[Any, Any] = normal / np.linalg.norm(normal)
        return unit


def frames_of(instance: Instance) -> list[FrameRecord]:
    """All frames of one file.

    Raises
    ------
    InputError
        When the position, orientation or spacing is missing or malformed.
    Unsupported
        For planar (projection) nuclear medicine images.
    """
    if instance.sop_class_uid in ENHANCED_CLASSES:
        return _guarded(_enhanced, instance)
    if instance.sop_class_uid == NM_CLASS or (instance.frames > 1 and instance.header.text(Tag.MODALITY) == "NM"):
        return _guarded(_nuclear, instance)
    if instance.frames > 1:
        raise Unsupported(
            "a volume",
            f"{instance.name} is a multi-frame object of class {instance.sop_class_uid}",
            "single-frame files, an Enhanced object or a tomographic NM object",
            "MULTIFRAME_UNSUPPORTED",
        )
    header = instance.header
    position, orientation = header.numbers(Tag.POSITION), header.numbers(Tag.ORIENTATION)
    if header.text(Tag.MODALITY) == "NM" and not position:
        raise Unsupported(
            "a volume",
            f"{instance.name} is a planar nuclear medicine image (SOP class {instance.sop_class_uid}) that has no place "
            "in the patient",
            "a reconstructed SPECT series (NM Image Storage, RECON TOMO)",
            "NM_PLANAR",
        )
    spacing = header.numbers(Tag.PIXEL_SPACING)
    slope, intercept = header.number(Tag.SLOPE), header.number(Tag.INTERCEPT)
    return [_record(instance, 0, position, orientation, spacing, slope, intercept, {})]


def _guarded(read: Callable[[Instance], list[FrameRecord]], instance: Instance) -> list[FrameRecord]:
    """Multi-frame headers are read through pydicom, which raises many kinds on damaged values."""
    try:
        return read(instance)
    except FusinError:
        raise
    except Exception as err:
        raise InputError(
            instance.name, "functional groups", f"{type(err).__name__}: {err}", "an intact header"
        ) from err


def _record(
    instance: Instance,
    index: int,
    position: tuple[float, ...],
    orientation: tuple[float, ...],
    spacing: tuple[float, ...],
    slope: float | None,
    intercept: float | None,
    timing: Mapping[str, str],
    own_header: Header | None = None,
) -> FrameRecord:
    where = instance.name if index == 0 else f"{instance.name} frame {index + 1}"
    if len(position) != 3:
        raise InputError(where, "Image Position (Patient) (0020,0032)", position, "three numbers")
    if len(orientation) != 6:
        raise InputError(where, "Image Orientation (Patient) (0020,0037)", orientation, "six numbers")
    lengths = math.hypot(*orientation[:3]), math.hypot(*orientation[3:])
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(sum(map(mul, orientation[:3], orientation[3:]))) > 0.01:
        raise InputError(
            where, "Image Orientation (Patient) (0020,0037)", orientation, "two perpendicular unit vectors"
        )
    if len(spacing) != 2 or min(spacing) <= 0:
        raise InputError(where, "Pixel Spacing (0028,0030)", spacing, "two positive numbers")
    if slope == 0:
        raise InputError(where, "Rescale Slope (0028,1053)", slope, "a slope that is not zero")
    p, o = position, orientation
    return FrameRecord(
        instance,
        index,
        (p[0], p[1], p[2]),
        (o[0], o[1], o[2], o[3], o[4], o[5]),
        (spacing[0], spacing[1]),
        1.0 if slope is None else slope,
        0.0 if intercept is None else intercept,
        timing,
        own_header,
    )


def _value(item: Any, keyword: str) -> Any:
    return getattr(item, keyword, None) if item is not None else None


def _first(item: Any, keyword: str) -> Any:
    sequence = _value(item, keyword)
    return sequence[0] if sequence else None


def _floats(value: Any) -> tuple[float, ...]:
    return () if value is None else tuple(float(v) for v in value)


def _text(value: Any) -> str:
    return "" if value is None else clean_text(getattr(value, "original_string", None) or str(value))


def _enhanced(instance: Instance) -> list[FrameRecord]:
    """Frames of an Enhanced object."""
    dataset = instance.dataset()
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    per_frame = _value(dataset, "PerFrameFunctionalGroupsSequence") or []
    if len(per_frame) != instance.frames:
        raise InputError(
            instance.name,
            "Per-Frame Functional Groups (5200,9230)",
            f"{len(per_frame)} items",
            f"one for each of the {instance.frames} frames",
        )
    return [_enhanced_frame(instance, dataset, index, shared, groups) for index, groups in enumerate(per_frame)]


def _enhanced_frame(instance: Instance, dataset: Any, index: int, shared: Any, groups: Any) -> FrameRecord:
    """One frame; each functional group is sought in the frame's own groups first, then in the shared ones."""

    def group(keyword: str) -> Any:
        found = _first(groups, keyword)
        return found if found is not None else _first(shared, keyword)

    measures, content = group("PixelMeasuresSequence"), group("FrameContentSequence")
    transform = group("PixelValueTransformationSequence")
    mappings = _all(groups, "RealWorldValueMappingSequence") or _all(shared, "RealWorldValueMappingSequence")
    scaling = _scaling(transform, mappings)
    timing = {
        "units": scaling.units,
        "scaling": scaling.remark,
        "frame_reference_datetime": _text(_value(content, "FrameReferenceDateTime")),
        "acquisition_datetime": _text(_value(content, "FrameAcquisitionDateTime")),
        "duration_ms": _text(_value(content, "FrameAcquisitionDuration")),
        "temporal_index": _text(_value(content, "TemporalPositionIndex")),
        "thickness": _text(_value(measures, "SliceThickness")),
    }
    converted = instance.sop_class_uid in _CONVERTED_CLASSES
    return _record(
        instance,
        index,
        _floats(_value(group("PlanePositionSequence"), "ImagePositionPatient")),
        _floats(_value(group("PlaneOrientationSequence"), "ImageOrientationPatient")),
        _floats(_value(measures, "PixelSpacing")),
        scaling.slope,
        scaling.intercept,
        {} if converted else timing,
        _classic_header(dataset, shared, groups, timing) if converted else None,
    )


@dataclass(frozen=True, slots=True)
class _Scaling:
    """How stored values become values of a unit."""

    slope: float | None
    intercept: float | None
    units: str
    remark: str = ""


def _scaling(transform: Any, mappings: list[Any]) -> _Scaling:
    """Slope, intercept and unit that belong together.

    A Real World Value item maps stored values to its own unit, so unit and slope are taken from one item, in Bq/mL where
    there is a choice. Writers that put only the unit there (slope 1) and the slope into the Pixel Value Transformation
    are read as they mean it.
    """
    pvt = (_number_of(transform, "RescaleSlope"), _number_of(transform, "RescaleIntercept"))
    items = [(_units(_first(m, "MeasurementUnitsCodeSequence")), m) for m in mappings]
    if not items:
        return _Scaling(*pvt, "")
    units, item = min(items, key=lambda pair: _PREFERRED.index(pair[0].lower()) if pair[0].lower() in _PREFERRED else 9)
    slope, intercept = _number_of(item, "RealWorldValueSlope"), _number_of(item, "RealWorldValueIntercept")
    if slope is None:
        if getattr(item, "RealWorldValueLUTData", None) is not None:
            raise Unsupported(
                "the volume", "the real world values are given by a table", "a slope and intercept", "RWV_TABLE"
            )
        return _Scaling(*pvt, units)
    if pvt[0] is None or pvt[0] == slope:
        return _Scaling(slope, intercept, units)
    if slope == 1.0:
        return _Scaling(
            *pvt,
            units,
            "the unit of the real world value item, the slope of the pixel value transformation",
        )
    return _Scaling(slope, intercept, units, "unit and slope of the real world value item")


_PREFERRED = ("bq/ml", "g/ml{suvbw}", "{suvbw}g/ml")


def _number_of(item: Any, keyword: str) -> float | None:
    value = _value(item, keyword)
    return None if value is None else float(value)


def _all(item: Any, keyword: str) -> list[Any]:
    return list(_value(item, keyword) or [])


def _units(code: Any) -> str:
    """UCUM code; one of more than 16 characters stands in Long Code Value (0008,0119)."""
    return _text(_value(code, "CodeValue")) or _text(_value(code, "LongCodeValue"))


def _classic_header(dataset: Any, shared: Any, groups: Any, timing: Mapping[str, str]) -> DatasetHeader:
    """The classic header that a Legacy Converted object keeps spread over its functional groups."""
    import pydicom

    merged = pydicom.Dataset()
    merged.update(dataset)
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        del merged[keyword]
    unassigned = (
        _first(shared, "UnassignedSharedConvertedAttributesSequence"),
        _first(groups, "UnassignedPerFrameConvertedAttributesSequence"),
    )
    for item in unassigned:
        if item is not None:
            merged.update(item)
    moment = parse_dt(timing["acquisition_datetime"])
    if moment is not None and "AcquisitionTime" not in merged:
        merged.AcquisitionDate, merged.AcquisitionTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    duration = parse_number(timing["duration_ms"])
    if duration is not None and "ActualFrameDuration" not in merged:
        merged.ActualFrameDuration = round(duration)
    return DatasetHeader(merged)


def _nuclear(instance: Instance) -> list[FrameRecord]:
    """Frames of a reconstructed NM object; its planes follow the first one at Spacing Between Slices."""
    header = instance.header
    kind = header.text(Tag.IMAGE_TYPE).upper().split("\\")
    if "RECON TOMO" not in kind and "RECON GATED TOMO" not in kind:
        raise Unsupported(
            "a volume",
            f"{instance.name} is a nuclear medicine image of type {'/'.join(kind) or 'unknown'}, which holds projections",
            "a reconstructed series (RECON TOMO)",
            "NM_PROJECTIONS",
        )
    dataset = instance.dataset()
    detector = _first(dataset, "DetectorInformationSequence")
    origin = header.numbers(Tag.POSITION) or _floats(_value(detector, "ImagePositionPatient"))
    orientation = header.numbers(Tag.ORIENTATION) or _floats(_value(detector, "ImageOrientationPatient"))
    step = header.number(Tag.SPACING_BETWEEN_SLICES) or header.number(Tag.SLICE_THICKNESS)
    if step is None:
        raise InputError(instance.name, "Spacing Between Slices (0018,0088)", None, "the distance of the planes in mm")
    spacing = header.numbers(Tag.PIXEL_SPACING)
    slope, intercept = header.number(Tag.SLOPE), header.number(Tag.INTERCEPT)
    first = _record(instance, 0, origin, orientation, spacing, slope, intercept, {})
    records = [first]
    for index in range(1, instance.frames):
        position = np.array(first.position) + first.normal * step * index
        records.append(_record(instance, index, tuple(position), orientation, spacing, slope, intercept, {}))
    return records


def temporal_key(frame: FrameRecord) -> tuple[float, ...]:
    """What tells two frames at one place apart in time: position index, trigger, reference and acquisition time."""
    header = frame.header
    if frame.timing:
        texts = [frame.timing.get(k, "") for k in ("temporal_index", "acquisition_datetime")]
        return tuple(parse_number(t) or 0.0 for t in texts)
    tags = (Tag.TEMPORAL_POSITION, Tag.TRIGGER_TIME, Tag.FRAME_REFERENCE_TIME)
    clock = parse_number(header.text(Tag.ACQUISITION_TIME).replace(":", ""))
    return (*(header.number(tag) or 0.0 for tag in tags), clock or 0.0)


def require_same_shape(frames: list[FrameRecord], where: str) -> tuple[int, int]:
    """(rows, columns) of all frames.

    Raises
    ------
    NotComputable
        When the matrices differ.
    """
    shapes = {(f.instance.header.unsigned(Tag.ROWS), f.instance.header.unsigned(Tag.COLUMNS)) for f in frames}
    rows, columns = next(iter(shapes))
    if len(shapes) != 1 or not rows or not columns:
        raise NotComputable(
            f"the volume of {where}",
            f"its images have the matrices {sorted(map(str, shapes))}",
            "images of one matrix",
            "MIXED_MATRICES",
        )
    return rows, columns
