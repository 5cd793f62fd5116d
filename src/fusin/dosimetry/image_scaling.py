"""From stored values of an image to activity concentration: units, calibration, and what one MBq gives in counts.

::

    c [MBq/mL] = n / (CF t v)      counts n of a voxel, CF counts per second and MBq, t the duration, v the voxel [mL]

The duration of a reconstructed SPECT is the time per projection times the projections of a rotation, whatever the number of
heads: the time that the clock on the wall shows. CF must have been measured with the same convention and reconstruction.

References
----------
Dewaraja Y et al., J Nucl Med 2012;53:1310 (MIRD pamphlet 23) · Ljungberg M et al., J Nucl Med 2016;57:151 (MIRD pamphlet 26).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusin.dosimetry.image_points import ImageOptions
from fusin.errors import InputError, MissingValue, Unsupported
from fusin.imaging.dicom_values import parse_number
from fusin.imaging.series import Series
from fusin.imaging.suv_header import SuvHeader
from fusin.imaging.volume import FloatArray
from fusin.provenance import NoticeLog

__all__ = ["Scaling", "acquisition_duration_s", "check_options", "scaling_of_series", "scaling_of_unit"]

_MBQ_ML = {
    "bq/ml": 1e-6, "bqml": 1e-6, "bq/cc": 1e-6, "bq/cm3": 1e-6, "kbq/ml": 1e-3, "kbq/cc": 1e-3, "kbqml": 1e-3, "mbq/ml": 1.0,
    "mbq/cc": 1.0, "mbqml": 1.0,
}  # fmt: skip
_COUNTS = ("cnts", "{counts}", "counts", "propcnts", "{propcounts}", "1", "none", "")
_RATES = ("{counts}/s", "counts/s", "cps")
_LONGEST_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How loaded values become MBq/mL: value * factor + offset.

    Attributes
    ----------
    factor : one number, or one for each existing slice
    offset : of a real world value mapping
    counts_per_mbq : counts that one MBq gives, None where the image holds no counts
    u_relative : relative standard uncertainty of the calibration
    words : one sentence
    """

    factor: float | FloatArray
    offset: float = 0.0
    counts_per_mbq: float | None = None
    u_relative: float = 0.0
    words: str = ""


def check_options(options: ImageOptions) -> None:
    """Refuse numbers that no one could mean.

    Raises
    ------
    InputError
        Naming the option.
    """
    positive = {
        "--administered-mbq": options.administered_mbq,
        "--calibration-cps-per-mbq": options.calibration_cps_per_mbq,
        "--duration-s": options.duration_s,
    }
    for name, value in positive.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(name, "value", value, "a positive number")
    for name, value in (
        ("--calibration-u-percent", options.calibration_u_percent),
        ("--random-u-percent", options.random_u_percent),
    ):
        if value is not None and not (math.isfinite(value) and 0 <= value < 100):
            raise InputError(name, "value", value, "a percentage from 0 to below 100")
    for name, value in (("--fwhm-mm", options.fwhm_mm), ("--outline-fwhm-mm", options.outline_fwhm_mm)):
        if value is not None and not (math.isfinite(value) and 0 <= value <= 100):
            raise InputError(name, "value", value, "a resolution from 0 to 100 mm")
    if options.decay_correction not in (None, "none", "start", "admin"):
        raise InputError("--decay-correction", "value", options.decay_correction, "none, start or admin")


def acquisition_duration_s(series: Series) -> float | None:
    """Duration of an acquisition [s]: rotations times projections times the time of one; else the longest frame; None unknown."""
    dataset = series.dataset()
    total = 0.0
    if series.modality == "NM":
        for item in dataset.get("RotationInformationSequence") or []:
            each = parse_number(str(item.get("ActualFrameDuration", "") or ""))
            views = parse_number(str(item.get("NumberOfFramesInRotation", "") or ""))
            total += (each or 0.0) * (views or 0.0) / 1000.0
    if not total:
        found = [parse_number(f.timing.get("duration_ms", "")) if f.timing else f.header.number(0x00181242) for f in
                 series.frames]  # fmt: skip
        total = max((n for n in found if n is not None), default=0.0) / 1000.0
    return total if 0 < total <= _LONGEST_S else None


def scaling_of_series(
    series: Series, header: SuvHeader, options: ImageOptions, *, duration_s: float | None, where: str, log: NoticeLog
) -> Scaling:
    """Scaling of a DICOM series: real world values, Units (0054,1001), or counts with a calibration.

    Parameters
    ----------
    series : with a stack
    header : its fields
    options : calibration, where values are counts
    duration_s : of the acquisition
    where : name of the image
    log : receives notices on the calibration

    Raises
    ------
    NotComputable
        Units that are no activity, and counts without a calibration.
    """
    mapped = None if series.enhanced else _real_world(series, where)
    if mapped is not None:
        unit, slope, intercept, rescale = mapped
        first = scaling_of_unit(unit, options, duration_s=duration_s, voxel_ml=_voxel_ml(series), where=where, log=log)
        # The volume was loaded with the rescale of its frames, and a mapping takes stored values.
        gain = slope / rescale[0]
        factor = float(first.factor)
        return Scaling(factor=factor * gain, offset=factor * (intercept - gain * rescale[1]), u_relative=first.u_relative,
                       counts_per_mbq=first.counts_per_mbq, words=f"real world values, {first.words}")  # fmt: skip
    units = header.units
    if series.modality == "PT" and not units:
        raise MissingValue(f"the activity in {where}", "Units (0054,1001) is absent", "BQML, or CNTS with a calibration",
                           "ACTIVITY_UNIT_MISSING")  # fmt: skip
    if units == "CNTS" and header.philips_activity_factor and options.calibration_cps_per_mbq is None:
        own = [f.activity_factor or header.philips_activity_factor for f in header.frames]
        return Scaling(factor=1e-6 * np.asarray(own, dtype=np.float64), u_relative=_stated_u(options, log),
                       words="counts times Philips' activity concentration factor (7053,xx09)")  # fmt: skip
    return scaling_of_unit(units, options, duration_s=duration_s, voxel_ml=_voxel_ml(series), where=where, log=log)


def scaling_of_unit(
    unit: str, options: ImageOptions, *, duration_s: float | None, voxel_ml: float, where: str, log: NoticeLog
) -> Scaling:
    """Scaling of values in a named unit.

    Parameters
    ----------
    unit : Bq/mL, kBq/mL, MBq/mL, counts or counts/s in the spellings of DICOM and UCUM
    options : calibration, where values are counts
    duration_s : of the acquisition
    voxel_ml : volume of a voxel
    where : name of the image
    log : receives notices on the calibration

    Raises
    ------
    NotComputable
        ``ACTIVITY_UNIT`` for units that are no activity, ``CALIBRATION_NEEDED``, ``DURATION_NEEDED``.
    """
    word = unit.strip().lower().replace(" ", "")
    if word in _MBQ_ML:
        if options.calibration_cps_per_mbq is not None:
            log.warning("CALIBRATION_NOT_USED", f"values are in {unit}, so that the calibration factor "
                        f"{options.calibration_cps_per_mbq:g} cps/MBq was not used", where=where)  # fmt: skip
        return Scaling(factor=_MBQ_ML[word], u_relative=_stated_u(options, log), words=f"values in {unit}")
    if word not in (*_COUNTS, *_RATES):
        raise Unsupported(f"the activity in {where}", f"its values are in {unit}", "Bq/mL (BQML), or counts with a calibration",
                          "ACTIVITY_UNIT")  # fmt: skip
    factor = options.calibration_cps_per_mbq
    if factor is None:
        named = f"in {unit}" if word else "without a unit"
        raise MissingValue(f"the activity in {where}", f"its values are {named}, that is counts, and no calibration is given",
                           "--calibration-cps-per-mbq with --calibration-u-percent", "CALIBRATION_NEEDED")  # fmt: skip
    u = _stated_u(options, log)
    if word in _RATES:
        return Scaling(factor=1.0 / (factor * voxel_ml), u_relative=u, words=f"counts per second over {factor:g} cps/MBq",
                       counts_per_mbq=None if duration_s is None else factor * duration_s)  # fmt: skip
    if duration_s is None:
        raise MissingValue(f"the activity in {where}", "its values are counts and its duration is not known",
                           "--duration-s (time per projection times projections per head)", "DURATION_NEEDED")  # fmt: skip
    log.info("COUNTS_CALIBRATED", f"counts over {factor:g} cps/MBq, {duration_s:g} s and {voxel_ml:.4g} mL of a voxel", where=where,
             used=factor)  # fmt: skip
    return Scaling(factor=1.0 / (factor * duration_s * voxel_ml), counts_per_mbq=factor * duration_s, u_relative=u,
                   words=f"counts over {factor:g} cps/MBq and {duration_s:g} s")  # fmt: skip


def _stated_u(options: ImageOptions, log: NoticeLog) -> float:
    """Relative uncertainty of the calibration; 0 where nobody stated it, which a notice says."""
    if options.calibration_u_percent is None:
        log.warning("CALIBRATION_U_UNKNOWN", "the uncertainty of the calibration was not stated and is in no interval "
                    "(--calibration-u-percent)", where="calibration")  # fmt: skip
        return 0.0
    return options.calibration_u_percent / 100.0


def _voxel_ml(series: Series) -> float:
    return series.require_stack().grid.voxel_volume_ml


def _real_world(series: Series, where: str) -> tuple[str, float, float, tuple[float, float]] | None:
    """(unit, slope, intercept, rescale of the frames) of a real world value mapping in activity or counts; None without one."""
    items = list(series.dataset().get("RealWorldValueMappingSequence") or [])
    read = [(_unit_of(item), item) for item in items]
    fitting = [pair for pair in read if pair[0].lower().replace(" ", "") in _MBQ_ML]
    if not fitting:
        return None
    unit, item = fitting[0]
    slope, intercept = item.get("RealWorldValueSlope"), item.get("RealWorldValueIntercept")
    if slope is None or not math.isfinite(float(slope)) or float(slope) <= 0:
        raise Unsupported(f"the activity in {where}", "its real world value mapping has no positive slope",
                          "a mapping by slope and intercept", "ACTIVITY_UNIT")  # fmt: skip
    rescales = {(f.slope, f.intercept) for f in series.frames}
    if len(rescales) != 1:
        raise Unsupported(f"the activity in {where}", "its slices have several rescale slopes beside one real world value mapping",
                          "one of the two", "ACTIVITY_UNIT")  # fmt: skip
    return unit, float(slope), float(intercept or 0.0), rescales.pop()


def _unit_of(item: Any) -> str:
    codes = item.get("MeasurementUnitsCodeSequence") or []
    return str(codes[0].get("CodeValue", "") or codes[0].get("LongCodeValue", "") or "") if codes else ""
