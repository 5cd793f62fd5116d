"""Measurements to a DICOM structured report (TID 1500), and back.

One group per segment of a SEG object: lesions and reference regions alike. Names, units, derivations, methods and
sites are names of ``codes.toml``; this module knows nothing of how a number came about.
"""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.codes import Concept, code, name_of, site_of
from fusin.imaging.derived_objects import (
    RESEARCH_USE,
    coding_schemes,
    derived_uid,
    equipment,
    fitted_text,
    stamp_creation,
    study_header,
)
from fusin.provenance import NoticeLog, versions

__all__ = ["Measurement", "MeasurementGroup", "read_sr", "write_sr"]

_SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_QUALITATIVE = ("C0034375", "UMLS", "Qualitative Evaluations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number of one region.

    Attributes
    ----------
    concept : what was measured, for example ``"suvbw"`` or ``"lesion_to_background_ratio"``
    value : finite number; a number that cannot be had has no measurement
    unit : for example ``"g/ml{SUVbw}"``, ``"ml"``, ``"1"``
    derivation : ``"max"``, ``"mean"``, ``"peak"`` ...; empty when the concept says it all
    method : how it was measured; a name, or empty
    site : where the number was taken when not in the region itself (the reference region of a ratio)
    low, high : limits of its interval in the unit of the value; both or none
    """

    concept: str
    value: float
    unit: str
    derivation: str = ""
    method: str = ""
    site: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementGroup:
    """All measurements of one segment.

    Attributes
    ----------
    segment_number : segment in the SEG object
    measurements : in the order in which they are to be read
    site : anatomical site of the finding, for example ``"kidney_left"``; empty when unknown
    finding : what the region is; empty to take the type of the segment
    tracking_id, tracking_uid : identity of the finding; empty to take those of the segment
    """

    segment_number: int
    measurements: tuple[Measurement, ...]
    site: str = ""
    finding: str = ""
    tracking_id: str = ""
    tracking_uid: str = ""


def write_sr(
    path: Path | str,
    groups: Sequence[MeasurementGroup],
    *,
    source: Sequence[Dataset],
    seg_path: Path | str,
    log: NoticeLog,
    comments: Sequence[str] = (),
    algorithm_name: str = "fusin",
    series_description: str = "",
    series_number: int = 902,
    created: datetime | None = None,
) -> Path:
    """Write measurements as a Comprehensive 3D SR with template TID 1500, one TID 1411 group per segment.

    Tracking identifiers are those of the SEG. The report is preliminary and unverified, names fusin as the observing
    device, and ends with a statement of research use. The PET slices stand as evidence; there is no image library.

    Parameters
    ----------
    path : file to write; replaced atomically
    groups : at least one
    source : headers of the series that the SEG was made from
    seg_path : SEG object that holds the segments
    log : receives notices
    comments : further sentences about the whole report, for example the threshold rule
    algorithm_name : algorithm that made the measurements; fusin's version is stated beside it
    series_description : at most 64 characters; names fusin, its version and research use when empty
    series_number : positive
    created : creation time, now when None; equal inputs with an equal time give equal bytes

    Raises
    ------
    InputError
        No groups, a segment that the SEG does not hold, a tracking UID other than the segment's, a value that is not
        finite, an unknown name, or a SEG of another study or series.

    References
    ----------
    DICOM PS3.16 TID 1500, TID 1411, TID 300; CID 7464, CID 7466, CID 7469.
    """
    if not groups or not source:
        raise InputError("SR", "groups and source", (len(groups), len(source)), "at least one of each")
    seg = _read_seg_header(Path(seg_path), source[0])
    created = created or datetime.now()
    description = series_description or f"fusin {versions()['fusin']} measurements (research use only)"
    parts = (str(seg.SOPInstanceUID), description, created.isoformat(), repr(tuple(groups)), repr(tuple(comments)))
    content = _content(groups, (*comments, RESEARCH_USE), seg, str(source[0].SeriesInstanceUID), algorithm_name)
    header = study_header(source[0], log=log)
    ds = _document(content, _evidence(seg, source, header), derived_uid(*parts))
    ds.PatientName = header.PatientName
    ds.SeriesNumber, ds.SeriesDescription = series_number, fitted_text(description, "SeriesDescription", log)
    stamp_creation(ds, created)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return write_bytes_atomically(Path(path), buffer.getvalue())


def read_sr(path: Path | str) -> tuple[MeasurementGroup, ...]:
    """Read the volumetric measurement groups of a TID 1500 report.

    Codes that fusin has no name for come back as ``scheme:value``; an alias comes back as the name it stands for.

    Parameters
    ----------
    path : file written by `write_sr`, or another TID 1500 report with segment references

    Raises
    ------
    InputError
        When the file is no Comprehensive 3D SR with this template.
    """
    path = Path(path)
    try:
        ds = pydicom.dcmread(path)
        report: Any = hd.sr.Comprehensive3DSR.from_dataset(ds, copy=False).content
        groups = report.get_volumetric_roi_measurement_groups()
    except (pydicom.errors.InvalidDicomError, AttributeError, ValueError, OSError) as err:
        raise InputError(path.name, "SR", str(err), "a Comprehensive 3D SR with template TID 1500") from err
    return tuple(_read_group(group) for group in groups)


def _content(
    groups: Sequence[MeasurementGroup], remarks: Sequence[str], seg: Dataset, series_uid: str, algorithm_name: str
) -> Dataset:
    """Root content item of the TID 1500 report."""
    segments = {int(item.SegmentNumber): item for item in seg.SegmentSequence}
    algorithm = hd.sr.AlgorithmIdentification(name=algorithm_name, version=versions()["fusin"], manufacturer="fusin")
    report = hd.sr.MeasurementReport(
        observation_context=_observation_context(),
        procedure_reported=_coded("pet_procedure"),
        imaging_measurements=[_group(group, seg, segments, series_uid, algorithm) for group in groups],
        title=_coded("pet_measurement_report"),
    )
    root: Dataset = report[0]
    root.ContentSequence.append(_remarks(remarks))
    return root


def _document(content: Dataset, evidence: Sequence[Dataset], identity: str) -> Dataset:
    """Preliminary, unverified report around a content tree."""
    # highdicom copies and searches the tree it is given several times; the trunk alone makes the same document.
    trunk = Dataset()
    trunk.update({element.tag: element for element in content if element.keyword != "ContentSequence"})
    trunk.ContentSequence = content.ContentSequence[:1]
    ds: Dataset = hd.sr.Comprehensive3DSR(
        evidence=evidence,
        content=trunk,
        series_instance_uid=derived_uid("SR series", identity),
        series_number=1,
        sop_instance_uid=derived_uid("SR", identity),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=coding_schemes(),
        **equipment(),
    )
    ds.ContentSequence = content.ContentSequence
    return ds


def _read_seg_header(path: Path, first: Dataset) -> Dataset:
    """UIDs and segments of the SEG, which must belong to the source."""
    wanted = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SegmentSequence"]
    try:
        seg = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*wanted, "ReferencedSeriesSequence"])
    except (pydicom.errors.InvalidDicomError, OSError) as err:
        raise InputError(path.name, "SEG", str(err), "a DICOM Segmentation") from err
    if seg.get("SOPClassUID") not in _SEG_CLASSES:
        raise InputError(path.name, "SOP Class UID", str(seg.get("SOPClassUID", "")), "a DICOM Segmentation")
    series = [str(item.SeriesInstanceUID) for item in seg.get("ReferencedSeriesSequence", ())]
    if seg.StudyInstanceUID != first.StudyInstanceUID or str(first.SeriesInstanceUID) not in series:
        raise InputError(path.name, "Referenced Series", series, f"the source series {first.SeriesInstanceUID}")
    return seg


def _evidence(seg: Dataset, source: Sequence[Dataset], header: Dataset) -> list[Dataset]:
    """References to the SEG and the source objects; the first one carries patient and study."""
    first = copy.deepcopy(header)
    # highdicom warns of names with one component, which are legal; the name is put into the finished report.
    first.PatientName = ""
    # The scanner took no part in the measurements; it stands in the SEG as contributing equipment.
    for keyword in ("Manufacturer", "ManufacturerModelName"):
        if keyword in first:
            delattr(first, keyword)
    out = []
    for ds, target in ((seg, first), *((ds, Dataset()) for ds in source)):
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            setattr(target, keyword, str(ds.get(keyword)))
        out.append(target)
    return out


def _coded(name: str | Concept) -> CodedConcept:
    concept = name if isinstance(name, Concept) else code(name)
    return CodedConcept(concept.value, concept.scheme, concept.meaning)


def _observation_context() -> Any:
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", "fusin", versions()["fusin"]),
        name="fusin",
        manufacturer_name="fusin",
        model_name="fusin",
        serial_number=versions()["fusin"],
    )
    observer = hd.sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    return hd.sr.ObservationContext(observer_device_context=observer)


def _remarks(sentences: Sequence[str]) -> Any:
    """Qualitative Evaluations container of TID 1500 with one comment per sentence."""
    container = hd.sr.ContainerContentItem(
        name=CodedConcept(*_QUALITATIVE), relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = hd.sr.ContentSequence(
        [
            hd.sr.TextContentItem(
                name=_coded("comment"), value=text, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
            )
            for text in sentences
        ]
    )
    return container


def _finding_sites(name: str) -> list[Any] | None:
    if not name:
        return None
    site = site_of(name)
    if site is None:
        raise InputError("SR", "site", name, "an anatomical site of codes.toml")
    laterality = _coded(site.laterality) if site.laterality else None
    return [hd.sr.FindingSite(anatomic_location=_coded(site.concept), laterality=laterality)]


def _group(
    group: MeasurementGroup, seg: Dataset, segments: Mapping[int, Dataset], series_uid: str, algorithm: Any
) -> Any:
    """TID 1411 group of one segment."""
    where = f"SR group of segment {group.segment_number}"
    segment = segments.get(group.segment_number)
    if segment is None:
        raise InputError(where, "segment number", group.segment_number, f"one of {sorted(segments)}")
    uid = str(segment.get("TrackingUID", ""))
    if group.tracking_uid and uid and group.tracking_uid != uid:
        raise InputError(where, "Tracking UID", group.tracking_uid, f"{uid} as in the SEG")
    kind, category = segment.SegmentedPropertyTypeCodeSequence[0], segment.SegmentedPropertyCategoryCodeSequence[0]
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=uid
            or group.tracking_uid
            or derived_uid("tracking", str(seg.SOPInstanceUID), str(group.segment_number)),
            identifier=str(segment.get("TrackingID", "")) or group.tracking_id or str(segment.SegmentLabel),
        ),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=group.segment_number,
            source_series=hd.sr.SourceSeriesForSegmentation(series_uid),
        ),
        finding_type=_coded(group.finding) if group.finding else CodedConcept.from_dataset(kind),
        finding_category=CodedConcept.from_dataset(category),
        finding_sites=_finding_sites(group.site),
        algorithm_id=algorithm,
        measurements=[_measurement(m, where) for m in group.measurements],
    )


def _measurement(m: Measurement, where: str) -> Any:
    """TID 300 measurement."""
    if not math.isfinite(m.value):
        raise InputError(where, m.concept, m.value, "a finite number; leave out what cannot be computed")
    interval = None
    if m.low is not None or m.high is not None:
        if m.low is None or m.high is None or not m.low <= m.value <= m.high:
            raise InputError(
                where, f"interval of {m.concept}", (m.low, m.value, m.high), "low <= value <= high, or none"
            )
        interval = hd.sr.MeasurementProperties(
            upper_measurement_uncertainty=float(m.high - m.value), lower_measurement_uncertainty=float(m.value - m.low)
        )
    return hd.sr.Measurement(
        name=_coded(m.concept),
        value=float(m.value),
        unit=_coded(m.unit),
        derivation=_coded(m.derivation) if m.derivation else None,
        method=_coded(m.method) if m.method else None,
        finding_sites=_finding_sites(m.site),
        properties=interval,
    )


def _name(concept: Any) -> str:
    return "" if concept is None else name_of(str(concept.value), str(concept.scheme_designator))


def _site_name(sites: Sequence[Any]) -> str:
    if not sites:
        return ""
    side = _name(sites[0].laterality)
    return _name(sites[0].value) + (f"_{side}" if side else "")


def _read_group(group: Any) -> MeasurementGroup:
    reference = group.referenced_segment[0].ReferencedSOPSequence[0]
    return MeasurementGroup(
        segment_number=int(reference.ReferencedSegmentNumber),
        measurements=tuple(_read_measurement(m) for m in group.get_measurements()),
        site=_site_name(group.finding_sites),
        finding=_name(group.finding_type),
        tracking_id=str(group.tracking_identifier),
        tracking_uid=str(group.tracking_uid),
    )


def _read_measurement(m: Any) -> Measurement:
    limits = {}
    for item in m[0].get("ContentSequence", ()):
        name = _name(item.name)
        if name in ("upper_uncertainty", "lower_uncertainty"):
            limits[name] = float(item.value)
    both = len(limits) == 2
    return Measurement(
        concept=_name(m.name),
        value=float(m.value),
        unit=_name(m.unit),
        derivation=_name(m.derivation),
        method=_name(m.method),
        site=_site_name(m.finding_sites),
        low=m.value - limits["lower_uncertainty"] if both else None,
        high=m.value + limits["upper_uncertainty"] if both else None,
    )
