"""What the headers of a patient's images say of nuclide, activity, injection and decay correction, and whether they agree.

The clock rules are those of SUV (:mod:`fusin.imaging.suv_time`). Nothing that a header leaves open is guessed: an option answers
it, or the image is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from fusin.dosimetry.image_points import ImageOptions
from fusin.dosimetry.image_scaling import acquisition_duration_s
from fusin.errors import InputError, InvalidValue, MissingValue, NotComputable
from fusin.imaging.dicom_values import parse_zone
from fusin.imaging.instances import Tag
from fusin.imaging.series import Series
from fusin.imaging.suv_activity import half_life, header_nuclide
from fusin.imaging.suv_header import SuvHeader, read_suv_header
from fusin.imaging.suv_time import injection_time
from fusin.nuclides import Nuclide, nuclide
from fusin.provenance import NoticeLog

__all__ = [
    "Agreed",
    "ImageHeader",
    "agree",
    "as_activity",
    "on_zone",
    "read_image_header",
    "scanner_half_life_s",
    "series_name",
]

# Below this a stated activity is in MBq and above it in Bq: 100 GBq beyond any patient, 0.1 MBq below any.
_BQ_FROM = 1e5
_SAME, _SAME_S = 0.01, 60.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageHeader:
    """Fields of one series.

    Attributes
    ----------
    series : with a stack
    where : its name in messages
    header : its fields; ``decay_correction`` is completed by the option
    correction_words : what the header, or the option, says of the decay correction
    nuclide : None where the header names none
    administered_mbq : None where absent
    patient : Patient ID (0010,0020)
    zone : the scanner's UTC offset, None where not stated
    begun : earliest start of a frame on the scanner's clock, None where absent
    duration_s : of the acquisition, None where not known
    """

    series: Series
    where: str
    header: SuvHeader
    correction_words: str
    nuclide: Nuclide | None
    administered_mbq: float | None
    patient: str
    zone: timezone | None
    begun: datetime | None
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What all images share.

    Attributes
    ----------
    nuclide : of all
    administered_mbq : at the time of injection
    injected : with a zone when the images have one; None where nothing states it
    """

    nuclide: Nuclide
    administered_mbq: float
    injected: datetime | None


@contextmanager
def as_activity(where: str) -> Iterator[None]:
    """Refusals of the SUV rules in the words of this module: they are about an activity here."""
    try:
        yield
    except NotComputable as err:
        if err.what != "SUV":
            raise
        raise type(err)(f"the activity in {where}", err.because, err.needed, err.code) from err


def series_name(series: Series) -> str:
    """How messages name a series."""
    number = f" {series.number}" if series.number is not None else ""
    return f"series{number} {(series.description or series.uid)!r}"


def on_zone(moment: datetime, zone: timezone | None) -> datetime:
    """A moment of the scanner's clock, with its zone where that is known."""
    return moment if zone is None or moment.tzinfo is not None else moment.replace(tzinfo=zone)


def read_image_header(series: Series, options: ImageOptions, log: NoticeLog) -> ImageHeader:
    """Fields of one series.

    Parameters
    ----------
    series : with a stack
    options : answers for what the header leaves open
    log : receives notices

    Raises
    ------
    NotComputable
        ``DECAY_CORRECTION_UNKNOWN``; slices that disagree.
    """
    where = series_name(series)
    with as_activity(where):
        header = replace(read_suv_header(series), where=where)
    correction, words = _correction(series, header, options, where, log)
    found = acquisition_duration_s(series)
    duration = found if options.duration_s is None else options.duration_s
    if found is not None and duration is not None and abs(duration / found - 1.0) > _SAME:
        log.warning("DURATION_DIFFERS", f"the header's duration is {found:g} s; the stated {duration:g} s is used", where=where,
                    raw=found, used=duration)  # fmt: skip
    frames = header.frames
    if duration is not None:
        # A SPECT is one scan of all slices; beds of a PET keep the times that they state.
        whole = series.modality == "NM"
        frames = tuple(f if f.duration_ms and not whole else replace(f, duration_ms=1000.0 * duration) for f in frames)
    starts = [f.acquisition for f in frames if f.acquisition is not None]
    _say_assumed_start(header, starts, where, log)
    return ImageHeader(
        series=series, where=where, header=replace(header, decay_correction=correction, frames=frames),
        correction_words=words, nuclide=header_nuclide(header), administered_mbq=_administered(header, series.modality, where, log),
        patient=series.text(Tag.PATIENT_ID), zone=parse_zone(header.timezone), begun=min(starts, default=header.series_start),
        duration_s=duration,
    )  # fmt: skip


def _say_assumed_start(header: SuvHeader, starts: Sequence[datetime], where: str, log: NoticeLog) -> None:
    """A start that is not stated as such: the series' date, or its time, which may be that of the reconstruction."""
    if starts and not header.acquisition_date_known:
        log.adapted("ACQUISITION_DATE_ASSUMED", "Acquisition Date (0008,0022) is absent; the series' date is taken", where=where,
                    used=starts[0].date().isoformat())  # fmt: skip
    if not starts and header.series_start is not None:
        used = header.series_start.isoformat(sep=" ", timespec="minutes")
        said = f"Acquisition Time (0008,0032) is absent; the series' {used} is taken, which may be that of the reconstruction"
        log.adapted("ACQUISITION_TIME_FROM_SERIES", said, where=where, used=used)


def _correction(
    series: Series, header: SuvHeader, options: ImageOptions, where: str, log: NoticeLog
) -> tuple[str, str]:
    """(START, ADMIN, NONE or DATETIME; who says so)."""
    stated, said = header.decay_correction, options.decay_correction
    decayed = "DECY" in header.corrected_image
    if stated in ("START", "ADMIN", "NONE", "DATETIME"):
        if said is not None and stated != "DATETIME" and said.upper() != stated:
            raise InputError("--decay-correction", where, said, f"{stated.lower()}, as its header says, or no option")
        if header.corrected_image and decayed != (stated != "NONE") and stated != "DATETIME":
            log.warning("DECAY_FLAG_DISAGREES", f"Decay Correction (0054,1102) is {stated} and Corrected Image (0028,0051) "
                        f"{'holds' if decayed else 'lacks'} DECY", where=where, raw="/".join(header.corrected_image))  # fmt: skip
        return stated, f"Decay Correction (0054,1102) {stated}"
    if said is not None:
        return said.upper(), f"stated as {said} (the header says {stated or 'nothing'})"
    if series.modality == "NM" and not stated and header.corrected_image and not decayed:
        listed = "/".join(header.corrected_image)
        log.adapted("DECAY_CORRECTION_INFERRED", f"Corrected Image (0028,0051) lists {listed} and no DECY: taken as not "
                    "decay-corrected", where=where, raw=listed, used="none")  # fmt: skip
        return "NONE", f"Corrected Image (0028,0051) {listed}, without DECY"
    found = f"Decay Correction (0054,1102) is {stated or 'absent'}" + (
        " and Corrected Image (0028,0051) lists DECY" if decayed else ""
    )
    raise MissingValue(
        f"the activity in {where}", f"{found}, so that the moment its values belong to is unknown",
        "--decay-correction none, start or admin, as the reconstruction was set", "DECAY_CORRECTION_UNKNOWN",
    )  # fmt: skip


def _administered(header: SuvHeader, modality: str, where: str, log: NoticeLog) -> float | None:
    """Radionuclide Total Dose (0018,1074) in MBq: NM objects state MBq and PET objects Bq, and the size tells which was meant."""
    dose = header.dose
    if dose is None or not math.isfinite(dose) or dose <= 0:
        return None
    becquerel = dose >= _BQ_FROM
    activity = dose / 1e6 if becquerel else dose
    if becquerel == (modality == "NM") and not header.enhanced:
        log.adapted("ADMINISTERED_UNIT", f"Radionuclide Total Dose (0018,1074) {dose:g} is read as {'Bq' if becquerel else 'MBq'}, "
                    f"{activity:g} MBq", where=where, raw=dose, used=activity)  # fmt: skip
    return activity


def agree(headers: Sequence[ImageHeader], options: ImageOptions, log: NoticeLog) -> Agreed:
    """Nuclide, activity and injection that all images share.

    Parameters
    ----------
    headers : of all DICOM series; none where the images carry no headers
    options : the user's; a nuclide must agree with the headers, an activity or time goes before theirs with a warning
    log : receives notices

    Raises
    ------
    NotComputable
        ``PATIENTS_DIFFER``, ``NUCLIDES_DIFFER``, ``NUCLIDE_MISSING``, ``ADMINISTERED_MISSING``, ``ADMINISTERED_DIFFER``,
        ``INJECTIONS_DIFFER``, ``TIMEZONE_MIXED``.
    """
    ids = {h.patient: h for h in headers if h.patient}
    if len(ids) > 1:
        a, b = list(ids.values())[:2]
        raise NotComputable("one set of images", f"{a.where} is of patient {a.patient} and {b.where} of {b.patient}",
                            "images of one patient", "PATIENTS_DIFFER")  # fmt: skip
    found = _nuclide(headers, options)
    return Agreed(nuclide=found, administered_mbq=_agreed_activity(headers, options, log),
                  injected=_agreed_injection(headers, found, options, log))  # fmt: skip


def _nuclide(headers: Sequence[ImageHeader], options: ImageOptions) -> Nuclide:
    named = {h.nuclide.name: h for h in headers if h.nuclide is not None}
    if len(named) > 1:
        a, b = list(named.items())[:2]
        raise NotComputable("one set of images", f"{a[1].where} is of {a[0]} and {b[1].where} of {b[0]}", "images of one nuclide",
                            "NUCLIDES_DIFFER")  # fmt: skip
    wanted = nuclide(options.nuclide) if options.nuclide else None
    if wanted is not None and named and wanted.name not in named:
        name, header = next(iter(named.items()))
        raise NotComputable("one set of images", f"the nuclide is stated as {wanted.name} and {header.where} is of {name}",
                            "images of the stated nuclide", "NUCLIDES_DIFFER")  # fmt: skip
    if wanted is None and not named:
        raise MissingValue("a dose from images", "neither a header nor an option names the nuclide", "--nuclide, such as Lu-177",
                           "NUCLIDE_MISSING")  # fmt: skip
    return wanted if wanted is not None else next(h.nuclide for h in named.values() if h.nuclide is not None)


def _agreed_activity(headers: Sequence[ImageHeader], options: ImageOptions, log: NoticeLog) -> float:
    known = [(h, h.administered_mbq) for h in headers if h.administered_mbq is not None]
    said = options.administered_mbq
    for header, activity in known:
        if said is not None and abs(activity / said - 1.0) > _SAME:
            log.warning("ADMINISTERED_CONTRADICTS", f"the header states {activity:g} MBq; the stated {said:g} MBq are used",
                        where=header.where, raw=activity, used=said)  # fmt: skip
        if said is None and abs(activity / known[0][1] - 1.0) > _SAME:
            raise NotComputable("the administered activity", f"{known[0][0].where} states {known[0][1]:g} MBq and {header.where} "
                                f"{activity:g} MBq", "--administered-mbq", "ADMINISTERED_DIFFER")  # fmt: skip
    if said is None and not known:
        raise MissingValue("a dose from images", "no header holds the administered activity", "--administered-mbq",
                           "ADMINISTERED_MISSING")  # fmt: skip
    return said if said is not None else known[0][1]


def _agreed_injection(
    headers: Sequence[ImageHeader], found: Nuclide, options: ImageOptions, log: NoticeLog
) -> datetime | None:
    zones = {h.zone is not None for h in headers}
    said = options.injected
    if len(zones) > 1 or (said is not None and zones and (said.tzinfo is not None) not in zones):
        with_zone = next((h.where for h in headers if h.zone is not None), "the stated injection")
        without = next((h.where for h in headers if h.zone is None), "the stated injection")
        raise NotComputable("times after injection", f"{with_zone} has a UTC offset and {without} has none",
                            "all times with a UTC offset (Timezone Offset From UTC (0008,0201)), or all without",
                            "TIMEZONE_MIXED")  # fmt: skip
    stated = [(h, t) for h in headers if (t := _injection(h, found, said, log)) is not None]
    for header, moment in stated:
        apart = abs((moment - (said or stated[0][1])).total_seconds())
        if apart <= _SAME_S:
            continue
        if said is None:
            raise NotComputable(
                "times after injection",
                f"{stated[0][0].where} states the injection at {stated[0][1].isoformat(sep=' ', timespec='minutes')} and "
                f"{header.where} at {moment.isoformat(sep=' ', timespec='minutes')}", "--injected with the right time",
                "INJECTIONS_DIFFER",
            )  # fmt: skip
        log.warning("INJECTION_CONTRADICTS", f"the header states the injection at {moment.isoformat(sep=' ', timespec='minutes')}; "
                    f"the stated {said.isoformat(sep=' ', timespec='minutes')} is used", where=header.where, raw=moment,
                    used=said)  # fmt: skip
    return said if said is not None else (stated[0][1] if stated else None)


def _injection(header: ImageHeader, found: Nuclide, said: datetime | None, log: NoticeLog) -> datetime | None:
    """Injection by one header; None where it states none. With a stated one, a header that cannot be read does not matter."""
    if header.begun is None:
        return None
    try:
        with as_activity(header.where):
            moment = injection_time(
                header.header, header.begun, found.half_life_s, log if said is None else NoticeLog()
            )
    except NotComputable as err:
        if said is None and err.code != "INJECTION_TIME_MISSING":
            raise type(err)(err.what, err.because, f"{err.needed}, or --injected", err.code) from err
        return None
    return on_zone(moment, header.zone)


def scanner_half_life_s(header: ImageHeader, found: Nuclide, log: NoticeLog) -> float:
    """Half-life with which the scanner corrected for decay [s], to undo it; the nuclide's own where the header has none."""
    if header.header.half_life is None:
        return found.half_life_s
    with as_activity(header.where):
        value = half_life(header.header, log, from_code=False)
    if abs(value / found.half_life_s - 1.0) > 0.05:
        raise InvalidValue(
            f"the activity in {header.where}", f"its half-life is {value:g} s and that of {found.name} {found.half_life_s:g} s",
            "a header of one nuclide", "NUCLIDES_DIFFER",
        )  # fmt: skip
    return value
