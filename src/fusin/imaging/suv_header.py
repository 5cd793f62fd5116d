"""The header fields on which SUV depends, read once, as found; no rule is applied here."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from fusin.errors import InputError
from fusin.imaging.dicom_values import clean_text, combine, on_clock, parse_number, parse_zone
from fusin.imaging.frames import FrameRecord
from fusin.imaging.instances import Tag
from fusin.imaging.series import Series
from fusin.imaging.suv_consistency import require_uniform_headers

__all__ = ["FrameTiming", "SuvHeader", "read_suv_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTiming:
    """Timing of one frame; None where the header has no readable value.

    Attributes
    ----------
    acquisition : start of the frame's acquisition (naive, scanner's clock)
    frame_reference_time_ms : Frame Reference Time (0054,1300)
    duration_ms : Actual Frame Duration (0018,1242)
    private_reference : vendor's decay correction or scan date-time
    frame_reference : Frame Reference DateTime (0018,9151) of Enhanced objects
    decay_factor : Decay Factor (0054,1321)
    activity_factor : Philips' Activity Concentration Scale Factor (7053,xx09)
    """

    acquisition: datetime | None = None
    frame_reference_time_ms: float | None = None
    duration_ms: float | None = None
    private_reference: datetime | None = None
    frame_reference: datetime | None = None
    decay_factor: float | None = None
    activity_factor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuvHeader:
    """All that the SUV rules look at, as text or number as found (None: absent; NaN: present and unreadable).

    ``series_begun`` is the earliest acquisition over all time points of a 4-D series; ``scaling`` says how an Enhanced
    object's slope was chosen.
    """

    where: str
    enhanced: bool = False
    manufacturer: str = ""
    units: str = ""
    suv_type: str = ""
    decay_correction: str = ""
    corrected_image: tuple[str, ...] = ()
    weight: float | None = None
    size: float | None = None
    sex: str = ""
    dose: float | None = None
    half_life: float | None = None
    nuclide_code: str = ""
    nuclide_scheme: str = ""
    nuclide_meaning: str = ""
    radiopharmaceutical: str = ""
    injection_datetime: str = ""
    injection_time: str = ""
    timezone: str = ""
    series_start: datetime | None = None
    series_time_text: str = ""
    decay_reference: str = ""
    philips_suv_factor: float | None = None
    philips_activity_factor: float | None = None
    private_vendor: str = ""
    radiopharmaceutical_items: int = 0
    acquisition_date_known: bool = True
    series_begun: datetime | None = None
    scaling: str = ""
    private: Mapping[str, str] = field(default_factory=dict)
    frames: tuple[FrameTiming, ...] = ()
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()


def _number(text: str, present: bool) -> float | None:
    """None when absent or empty, NaN when present and unreadable."""
    if not present or not clean_text(text):
        return None
    value = parse_number(text)
    return float("nan") if value is None else value


def _raw_text(item: Any, keyword: str) -> str:
    """Text of an element of a pydicom item without letting a malformed value stop the reading."""
    from pydicom.datadict import tag_for_keyword

    from fusin.imaging.instances import DatasetHeader

    tag = tag_for_keyword(keyword)
    return "" if item is None or tag is None else DatasetHeader(item).text(tag)


def read_suv_header(series: Series, *, item: int | None = None, phase: int = 0) -> SuvHeader:
    """Collect the fields of a series.

    Parameters
    ----------
    series : a series with a stack
    item : 0-based item of the Radiopharmaceutical Information Sequence; None takes the first
    phase : time point whose frames count

    Raises
    ------
    InputError
        When there are fewer radiopharmaceuticals than asked for.
    Ambiguous
        When the slices disagree on a field that SUV hangs on.
    """
    frames = [f for f in series.require_stack().phases[phase] if f is not None]
    require_uniform_headers(frames, series.label)
    dataset, header = frames[0].dataset(), frames[0].header
    zone = parse_zone(header.text(Tag.TIMEZONE))
    drug, count = _drug(dataset, item, series.label)
    code = _first_item(drug, "RadionuclideCodeSequence")
    vendor = _private_vendor(header)
    units, suv_type = _units(series, frames)
    return SuvHeader(
        where=series.label,
        enhanced=series.enhanced,
        manufacturer=header.text(Tag.MANUFACTURER),
        units=units,
        suv_type=suv_type,
        decay_correction=_decay_correction(series, dataset),
        corrected_image=tuple(p.strip().upper() for p in header.text(Tag.CORRECTED_IMAGE).split("\\") if p.strip()),
        weight=_number(header.text(0x00101030), header.raw(0x00101030) is not None),
        size=_number(header.text(0x00101020), header.raw(0x00101020) is not None),
        sex=header.text(0x00100040),
        dose=_number(_raw_text(drug, "RadionuclideTotalDose"), True),
        half_life=_number(_raw_text(drug, "RadionuclideHalfLife"), True),
        nuclide_code=_raw_text(code, "CodeValue"),
        nuclide_scheme=_raw_text(code, "CodingSchemeDesignator"),
        nuclide_meaning=_raw_text(code, "CodeMeaning"),
        radiopharmaceutical=_radiopharmaceutical(drug),
        injection_datetime=_raw_text(drug, "RadiopharmaceuticalStartDateTime"),
        injection_time=_raw_text(drug, "RadiopharmaceuticalStartTime"),
        timezone=header.text(Tag.TIMEZONE),
        series_start=combine(header.text(Tag.SERIES_DATE), header.text(Tag.SERIES_TIME)),
        series_time_text=header.text(Tag.SERIES_TIME),
        decay_reference=_raw_text(dataset, "DecayCorrectionDateTime"),
        philips_suv_factor=_private_number(header, 0x7053, "Philips PET Private Group", 0x00),
        philips_activity_factor=_private_number(header, 0x7053, "Philips PET Private Group", 0x09),
        private_vendor=vendor,
        radiopharmaceutical_items=count,
        acquisition_date_known=series.enhanced
        or bool(header.text(Tag.ACQUISITION_DATE) or header.text(Tag.ACQUISITION_DATETIME)),
        series_begun=_begun(series, zone),
        scaling=str(frames[0].timing.get("scaling", "")),
        private=_ge_private(header),
        frames=tuple(_timing(frame, vendor, zone) for frame in frames),
        slopes=tuple(f.slope for f in frames),
        intercepts=tuple(f.intercept for f in frames),
    )


def _drug(dataset: Any, item: int | None, where: str) -> tuple[Any, int]:
    """Item of the Radiopharmaceutical Information Sequence that is meant, and how many there are."""
    items = _items(dataset, "RadiopharmaceuticalInformationSequence")
    if item is not None and items and item >= len(items):
        raise InputError(where, "radiopharmaceutical", item + 1, f"a number from 1 to {len(items)}")
    return (items[item or 0] if items else None), len(items)


def _begun(series: Series, zone: timezone | None) -> datetime | None:
    """Earliest acquisition over all time points of a 4-D series; None for any other."""
    phases = series.require_stack().phases
    if len(phases) == 1:
        return None
    starts = (_timing(frame, "", zone).acquisition for line in phases for frame in line if frame is not None)
    return min((s for s in starts if s is not None), default=None)


def _items(dataset: Any, keyword: str) -> list[Any]:
    if dataset is None:
        return []
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        return []
    return list(value) if value and not isinstance(value, (bytes, str)) else []


def _first_item(dataset: Any, keyword: str) -> Any:
    items = _items(dataset, keyword)
    return items[0] if items else None


def _radiopharmaceutical(drug: Any) -> str:
    text = _raw_text(drug, "Radiopharmaceutical")
    return text or _raw_text(_first_item(drug, "RadiopharmaceuticalCodeSequence"), "CodeMeaning")


def _units(series: Series, frames: list[FrameRecord]) -> tuple[str, str]:
    """(Units, SUV Type) in classic terms; the UCUM codes of Enhanced objects are translated, unknown ones kept."""
    text, suv_type = series.text(Tag.UNITS), series.text(0x00541006)
    if not series.enhanced:
        return text.upper(), suv_type.upper()
    codes = {str(frame.timing.get("units", "")) for frame in frames}
    if len(codes) > 1:
        return f"MIXED({', '.join(sorted(codes))})", ""
    code = next(iter(codes), "")
    return _UCUM.get(code.lower().replace(" ", ""), (code or text.upper(), suv_type.upper()))


_UCUM = {
    "bq/ml": ("BQML", ""),
    "g/ml{suvbw}": ("GML", "BW"),
    "{suvbw}g/ml": ("GML", "BW"),
    "g/ml{suvlbm}": ("GML", "LBM"),
    "{suvlbm}g/ml": ("GML", "LBM"),
    "g/ml{suvlbm(james128)}": ("GML", "LBMJAMES128"),
    "g/ml{suvlbm(janma)}": ("GML", "LBMJANMA"),
    "g/ml{suvibw}": ("GML", "IBW"),
    "{suvibw}g/ml": ("GML", "IBW"),
    "cm2/ml{suvbsa}": ("CM2ML", "BSA"),
    "{suvbsa}cm2/ml": ("CM2ML", "BSA"),
    "{counts}": ("CNTS", ""),
    "{propcounts}": ("PROPCNTS", ""),
    "{counts}/s": ("CPS", ""),
}


def _decay_correction(series: Series, dataset: Any) -> str:
    """DecayCorrection in classic terms; Enhanced objects say YES or NO, and YES means a stated date-time."""
    text = series.text(Tag.DECAY_CORRECTION).upper()
    if not series.enhanced:
        return text
    flag = _raw_text(dataset, "DecayCorrected").upper()
    return {"YES": "DATETIME", "NO": "NONE"}.get(flag, text)


def _private_vendor(header: Any) -> str:
    if header.private(0x0071, "SIEMENS MED PT", 0x22) is not None:
        return "SIEMENS"
    if header.private(0x0009, "GEMS_PETD_01", 0x0D) is not None:
        return "GE"
    return ""


def _private_number(header: Any, group: int, creator: str, element: int) -> float | None:
    value = header.private(group, creator, element)
    return None if value is None else parse_number(clean_text(value))


def _ge_private(header: Any) -> dict[str, str]:
    """GE fields on what was drawn and what stayed in the syringe, as text."""
    fields = {"pre_activity": 0x38, "pre_time": 0x39, "administered": 0x3B, "post_activity": 0x3C, "post_time": 0x3D}
    found: dict[str, str] = {}
    for name, element in fields.items():
        value = header.private(0x0009, "GEMS_PETD_01", element)
        if value is None:
            continue
        if name.endswith("activity") and len(value) == 4:
            # FL is four bytes little endian; text of four characters would be a number below 1000 with a decimal point.
            text = clean_text(value)
            found[name] = text if parse_number(text) is not None else repr(struct.unpack("<f", value)[0])
        else:
            found[name] = clean_text(value)
    return found


def _timing(frame: FrameRecord, vendor: str, zone: timezone | None) -> FrameTiming:
    header, timing = frame.header, frame.timing
    if timing:
        return FrameTiming(
            acquisition=on_clock(timing.get("acquisition_datetime", ""), zone),
            duration_ms=parse_number(timing.get("duration_ms", "")),
            frame_reference=on_clock(timing.get("frame_reference_datetime", ""), zone),
        )
    private = None
    if vendor == "SIEMENS":
        private = header.private(0x0071, "SIEMENS MED PT", 0x22)
    elif vendor == "GE":
        private = header.private(0x0009, "GEMS_PETD_01", 0x0D)
    return FrameTiming(
        acquisition=_acquisition(header, zone),
        frame_reference_time_ms=header.number(Tag.FRAME_REFERENCE_TIME),
        duration_ms=header.number(Tag.FRAME_DURATION),
        private_reference=None if private is None else on_clock(clean_text(private), zone),
        decay_factor=header.number(Tag.DECAY_FACTOR),
        activity_factor=_private_number(header, 0x7053, "Philips PET Private Group", 0x09),
    )


def _acquisition(header: Any, zone: timezone | None) -> datetime | None:
    found = combine(header.text(Tag.ACQUISITION_DATE), header.text(Tag.ACQUISITION_TIME))
    if found is None:
        found = on_clock(header.text(Tag.ACQUISITION_DATETIME), zone)
    if found is None:
        # An export without acquisition dates still has its times; the series' date is theirs but across midnight,
        # and the rules compare clock times before they trust a date.
        found = combine(header.text(Tag.SERIES_DATE), header.text(Tag.ACQUISITION_TIME))
    return found
