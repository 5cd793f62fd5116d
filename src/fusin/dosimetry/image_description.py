"""Images that a TOML file describes: NIfTI or DICOM, each with its moment, unit and decay correction.

::

    nuclide = "Lu-177"
    administered_mbq = 200.0
    injected = 2026-03-02T09:30:00
    regions = "regions.nii.gz"

    [calibration]
    cps_per_mbq = 9.2
    u_percent = 4.0

    [[image]]
    file = "spect_24h.nii.gz"
    measured = 2026-03-03T09:28:00
    unit = "counts"
    decay_correction = "none"
    duration_s = 1200.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np

from fusin.decay import decay_factor, elapsed_s
from fusin.dosimetry.case_fields import CaseFields, read_case
from fusin.dosimetry.image_choice import choose_images
from fusin.dosimetry.image_headers import Agreed, ImageHeader, agree, read_image_header
from fusin.dosimetry.image_notes import notes_of_tables, read_recovery
from fusin.dosimetry.image_points import CONCENTRATION, DecayReference, ImageOptions, ImagePoint, ImageStudy
from fusin.dosimetry.image_scaling import check_options, scaling_of_unit
from fusin.dosimetry.image_series import StatedTime, effective_delay_s, point_of_series
from fusin.dosimetry.image_study import Found, assemble
from fusin.dosimetry.quantitative_spect import Measured
from fusin.errors import InputError, MissingValue, NotComputable
from fusin.imaging.nifti import is_nifti, read_nifti
from fusin.imaging.series import Series, scan
from fusin.imaging.volume import Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.tabular.toml_fields import shown

__all__ = ["read_described_study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """One [[image]]."""

    file: Path
    where: str
    time_h: float | None
    measured: datetime | None
    unit: str
    dead_time: Measured | None
    options: ImageOptions
    regions: Path | None


def read_described_study(path: Path, *, options: ImageOptions, log: NoticeLog) -> ImageStudy:
    """Read the study that a TOML file describes; its files lie beside it.

    Parameters
    ----------
    path : the TOML file
    options : answers for what the file does not say; one that it does say is refused
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        A field that is missing, misspelt or impossible; images that cannot be used.
    """
    case = read_case(path)
    merged = _merged(case, path.parent, options)
    check_options(merged)
    images = [_described(fields, path.parent, merged) for fields in case.tables("image")]
    notes, ct_file = notes_of_tables(case), case.file("ct", path.parent)
    case.finish()
    if not images:
        raise InputError(path.name, "image", "none", "an [[image]] for each scan")
    names = [d.where for d in images]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise InputError(path.name, "image", twice, "a name of its own for each image (name = ...)")
    series = {d.where: _series(d, log) for d in images}
    headers = {w: read_image_header(s, _of(images, w).options, log) for w, s in series.items() if s is not None}
    headers = {w: replace(h, where=w, header=replace(h.header, where=w)) for w, h in headers.items()}
    agreed = agree(list(headers.values()), merged, log)
    points = [_point(d, headers.get(d.where), agreed, log) for d in images]
    read = (path, *(f for d in images for f in _files(d, series[d.where])), *([ct_file] if ct_file else []))
    first = next((h for h in headers.values()), None)
    return assemble(
        points, agreed, merged,
        Found(notes=notes, ct=None if ct_file is None else _ct(ct_file, log), inputs=tuple(dict.fromkeys(read)),
              source_headers=None if first is None else first.series.dataset(),
              own_regions={d.where: d.regions for d in images if d.regions is not None}), log,
    )  # fmt: skip


def _of(images: list[_Described], where: str) -> _Described:
    return next(d for d in images if d.where == where)


def _merged(case: CaseFields, folder: Path, options: ImageOptions) -> ImageOptions:
    """Options with what the file states; both together would leave open which one counts."""
    calibration, recovery = case.table("calibration"), case.table("recovery")
    stated: dict[str, Any] = {
        "nuclide": case.text("nuclide") or None,
        "administered_mbq": case.number("administered_mbq", above=0.0),
        "injected": _moment(case, "injected"),
        "regions": case.file("regions", folder),
        "notes": case.file("notes", folder),
        "decay_correction": _reference(case),
        "duration_s": case.number("duration_s", above=0.0),
        "random_u_percent": case.number("random_u_percent", least=0.0),
        "fwhm_mm": case.number("fwhm_mm", least=0.0),
        "outline_fwhm_mm": case.number("outline_fwhm_mm", least=0.0),
        "registered": case.flag("registered"),
        "recovery": None if recovery is None else read_recovery(recovery),
    }
    if calibration is not None:
        stated["calibration_cps_per_mbq"] = calibration.number("cps_per_mbq", above=0.0)
        stated["calibration_u_percent"] = calibration.number("u_percent", least=0.0)
        calibration.finish()
    for name, value in stated.items():
        own = getattr(options, name)
        if value is None or own in (None, "", False) or _same(name, own, value):
            continue
        said = "a curve" if name == "recovery" else shown(value) if name == "injected" else str(value)
        raise InputError(case.where, name, said, "what the option says, or no option")
    return replace(options, **{name: value for name, value in stated.items() if value is not None})


def _same(name: str, option: Any, stated: Any) -> bool:
    """Whether an option says what the file says, in whatever spelling."""
    if name == "nuclide":
        return nuclide(option).name == nuclide(stated).name
    if isinstance(option, Path):
        return option.resolve() == Path(stated).resolve()
    if isinstance(option, datetime) and (option.tzinfo is None) != (stated.tzinfo is None):
        return False
    return bool(option == stated)


def _described(fields: CaseFields, folder: Path, options: ImageOptions) -> _Described:
    file = fields.file("file", folder)
    if file is None:
        raise InputError(fields.where, "file", "nothing", "the NIfTI file, or the DICOM file or folder, of the image")
    if not file.exists():
        raise InputError(fields.where, "file", file.name, "a file or folder that exists beside the description")
    factor, u = fields.number("dead_time_factor", least=1.0), fields.number("dead_time_u", least=0.0)
    if u is not None and factor is None:
        raise InputError(fields.where, "dead_time_u", u, "dead_time_factor itself")
    own: dict[str, Any] = {
        "decay_correction": _reference(fields),
        "duration_s": fields.number("duration_s", above=0.0),
        "calibration_cps_per_mbq": fields.number("cps_per_mbq", above=0.0),
        "calibration_u_percent": fields.number("calibration_u_percent", least=0.0),
    }
    name, series = fields.text("name"), fields.text("series")
    time_h, measured = fields.number("time_h", least=0.0), _moment(fields, "measured")
    if time_h is not None and measured is not None:
        raise InputError(fields.where, "time_h and measured", "both", "one of them")
    chosen = replace(options, **{k: v for k, v in own.items() if v is not None}, series=(series,) if series else ())
    out = _Described(
        file=file, where=f"image {name!r}" if name else f"image {file.name!r}", time_h=time_h, measured=measured,
        unit=fields.text("unit"), dead_time=None if factor is None else Measured(factor, u or 0.0), options=chosen,
        regions=fields.file("regions", folder),
    )  # fmt: skip
    fields.finish()
    check_options(chosen)
    return out


def _reference(fields: CaseFields) -> DecayReference | None:
    word = fields.text("decay_correction").lower()
    if word not in ("", "none", "start", "admin"):
        raise InputError(fields.where, "decay_correction", word, "none, start or admin")
    return cast(DecayReference, word) if word else None


def _moment(fields: CaseFields, name: str) -> datetime | None:
    """A date with a time, as TOML writes it or as ISO text; None when absent."""
    value = fields.take(name)
    needed = "an ISO date with a time, such as 2026-03-02T09:30:00"
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, date) or not isinstance(value, str) or len(value.strip()) <= 10:
        raise InputError(fields.where, name, shown(value), needed)
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError as err:
        raise InputError(fields.where, name, value, needed) from err


def _series(described: _Described, log: NoticeLog) -> Series | None:
    """The DICOM series of an image; None for NIfTI."""
    if described.file.is_file() and _nifti(described.file):
        return None
    found = choose_images(scan(described.file, log), described.options.series, log)
    if len(found) > 1:
        listed = "; ".join(f"{s.number} {s.description}" for s in found)
        raise InputError(described.where, "file", f"{len(found)} series: {listed}", "one image, or series = its number")
    return found[0]


def _nifti(file: Path) -> bool:
    import gzip
    import zlib

    try:
        with file.open("rb") as stream:
            head = stream.read(544)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(file) as unpacked:
                head = unpacked.read(544)
    except (EOFError, zlib.error, OSError):
        return True
    return is_nifti(head)


def _files(described: _Described, series: Series | None) -> tuple[Path, ...]:
    return (described.file,) if series is None else tuple(Path(i.path) for i in series.instances)


def _point(described: _Described, header: ImageHeader | None, agreed: Agreed, log: NoticeLog) -> ImagePoint:
    time_h = described.time_h
    if described.measured is not None:
        time_h = _since(described, agreed)
    if header is None:
        return _nifti_point(described, time_h, agreed, log)
    if described.unit:
        raise InputError(described.where, "unit", described.unit, "no unit: the header of a DICOM image states it")
    stated = StatedTime(time_h=time_h, dead_time=described.dead_time)
    return point_of_series(header, agreed, described.options, log, stated=stated)


def _since(described: _Described, agreed: Agreed) -> float:
    if agreed.injected is None:
        raise MissingValue(f"the activity in {described.where}", "it states when it was measured, and nothing states the injection",
                           "injected, or time_h (hours after injection) of the image", "INJECTION_TIME_MISSING")  # fmt: skip
    assert described.measured is not None
    hours = elapsed_s(agreed.injected, described.measured) / 3600.0
    if hours < 0:
        raise NotComputable(f"the activity in {described.where}", f"its scan lies {-hours:.2f} h before the injection",
                            "the right times", "IMAGE_BEFORE_INJECTION")  # fmt: skip
    return hours


def _nifti_point(described: _Described, time_h: float | None, agreed: Agreed, log: NoticeLog) -> ImagePoint:
    where, options = described.where, described.options
    if time_h is None:
        raise InputError(
            where, "time_h or measured", "nothing", "the start of the scan: a moment, or hours after injection"
        )
    loaded = read_nifti(described.file, unit=described.unit, log=log)
    if not loaded.unit:
        raise InputError(where, "unit", "nothing", "Bq/mL, kBq/mL, MBq/mL, counts or counts/s")
    kind = options.decay_correction
    if kind is None:
        raise MissingValue(
            f"the activity in {where}", "its decay correction is not stated, so that the moment its values belong to is unknown",
            "decay_correction = none, start or admin", "DECAY_CORRECTION_UNKNOWN",
        )  # fmt: skip
    scaling = scaling_of_unit(loaded.unit, options, duration_s=options.duration_s, voxel_ml=loaded.voxel_volume_ml, where=where,
                              log=log)  # fmt: skip
    half_life = agreed.nuclide.half_life_s
    gain, words = float(scaling.factor), f"stated as {kind}: values belong to the start"
    if kind == "admin":
        back = float(decay_factor(3600.0 * time_h, half_life))
        gain, words = (
            gain * back,
            f"stated as admin: decayed from the injection to the start of the scan, factor {back:.5g}",
        )
        log.info("DECAY_CORRECTION_UNDONE", words, where=where, used=back)
    elif kind == "none":
        delay, said = effective_delay_s(options.duration_s, half_life, where=where, log=log)
        time_h, words = time_h + delay / 3600.0, f"stated as none: {said}"
    if described.dead_time is not None:
        gain *= described.dead_time.value
        log.info("DEAD_TIME_APPLIED", f"multiplied by the stated dead time factor {described.dead_time.value:g}", where=where,
                 used=described.dead_time.value)  # fmt: skip
    values = np.asarray(np.asarray(loaded.values, dtype=np.float64) * gain, dtype=np.float32)
    facts: Mapping[str, Any] = {"modality": "NIfTI", "units": loaded.unit, "decay_correction": kind.upper(), "files": 1}
    return ImagePoint(
        volume=Volume(values=values, grid=loaded.grid, unit=CONCENTRATION), time_h=time_h, u_relative=scaling.u_relative,
        where=where, correction=words, scaling=scaling.words, dead_time=described.dead_time,
        counts_per_mbq=scaling.counts_per_mbq, measured=described.measured, duration_s=options.duration_s, facts=facts,
    )  # fmt: skip


def _ct(file: Path, log: NoticeLog) -> Volume:
    """A CT from NIfTI, or the CT with the most slices of a DICOM folder."""
    if not file.exists():
        raise InputError(file.name, "ct", "nothing there", "a NIfTI file or a DICOM folder that exists")
    if file.is_file() and _nifti(file):
        return read_nifti(file, unit="[hnsf'U]", log=log)
    found = [s for s in scan(file, log).of("CT") if s.stack is not None]
    if not found:
        raise InputError(file.name, "ct", "no CT series", "a folder with a CT")
    return max(found, key=lambda s: len(s.frames)).load(log)
