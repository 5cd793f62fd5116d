"""Our own synthesis of the IBSI-SUV digital reference objects, list version 3.

The list of cases, their descriptions and expected values, and the header values of the default
object are those of Vacha, Zwanenburg et al., oncoray/suv_computation (CC BY 4.0). The objects here
are built anew from these descriptions on a smaller matrix. Two things differ on purpose: values
that the originals truncate (DRO_2_3) get a finer slope, and where a case is about one rule, the
other rules do not give the same answer by accident (two bed positions; an uninformative frame
reference time where the private date-time or the equality of times is to be used).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader, TagMap
from fusin.imaging.dicom_write import write_enhanced_pet, write_pet_series
from fusin.imaging.volume import BoolArray, Grid, Volume

__all__ = ["IbsiDro", "dro_volume", "ibsi_dro", "ibsi_dro_ids"]

_SCAN = datetime(2025, 1, 1, 11)
_AFTER_MIDNIGHT = datetime(2025, 1, 2, 0, 30)
_FRAME_S = 300.0
# The half-lives that scanners write into (0018,1075), in seconds.
_F18_S, _GA68_S, _ZR89_S = 6586.2, 4062.6, 282276.0
_LATER = timedelta(minutes=45)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class IbsiDro:
    """One digital reference object on disk.

    Attributes
    ----------
    case_id : for example ``"DRO_3_2_1"``
    description : what is special about it
    folder : holds the files of the series
    mask : (slices, rows, columns), the phantom without its surroundings
    expected : SUVbw (minimum, median, maximum) inside the mask; None when SUV must be refused
    """

    case_id: str
    description: str
    folder: Path
    mask: BoolArray
    expected: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    description: str
    sex: str = "O"
    nuclide: str = "F-18"
    half_life_s: float = _F18_S
    uptake: timedelta = timedelta(hours=1)
    start: datetime = _SCAN
    series_later: timedelta = timedelta(0)
    writer: Mapping[str, Any] = field(default_factory=dict)
    tags: TagMap = field(default_factory=dict)
    injection_tags: TagMap = field(default_factory=dict)
    enhanced: bool = False


def _suv(description: str, sex: str, suv_type: str, **tags: Any) -> _Case:
    return _Case(
        description=description, sex=sex, writer={"units": "GML", "suv_type": suv_type, "slopes": None}, tags=tags
    )


def _timed(description: str, dialect: str, *, later: bool, **more: Any) -> _Case:
    """Build a case about the reference time; private date-times are absent unless kept."""
    private: TagMap = {
        "SIEMENS": {(0x0071, "SIEMENS MED PT", 0x22): None},
        "GE": {(0x0009, "GEMS_PETD_01", 0x0D): None, (0x0009, "GEMS_PETD_01", 0x3B): None},
    }.get(dialect, {})
    writer = {"dialect": dialect, "beds": 2 if later else 1, **more.pop("writer", {})}
    tags = {} if more.pop("keep_private", False) else private
    return _Case(
        description=description,
        series_later=_LATER if later else timedelta(0),
        writer=writer,
        tags={**tags, **more.pop("tags", {})},
        **more,
    )


_VENDORS = ("SIEMENS", "GE", "PHILIPS", "SYNTHETIC")
_SUV_SCALE, _CONCENTRATION_SCALE = ((0x7053, "Philips PET Private Group", n) for n in (0x00, 0x09))
_COUNTS: Mapping[str, Any] = {"dialect": "PHILIPS", "units": "CNTS", "slopes": None}
_UNCORRECTED: Mapping[str, Any] = {"decay": "NONE", "beds": 2}


def _unit_cases() -> dict[str, _Case]:
    cases = {
        "DRO_0_0": _Case(description="default PET Image Storage"),
        "DRO_1_0": _Case(description="several rescale slopes", writer={"slopes": [3.0, 4.0] * 10}),
        "DRO_2_0": _Case(description="GML, SUVbw", writer={"units": "GML", "slopes": 0.1}),
        "DRO_2_3": _Case(description="CM2ML, SUVbsa", writer={"units": "CM2ML", "slopes": None}),
        "DRO_2_4": _Case(description="CNTS, SUV factor only", writer=_COUNTS, tags={_CONCENTRATION_SCALE: None}),
        "DRO_2_5": _Case(description="CNTS, concentration factor only", writer=_COUNTS, tags={_SUV_SCALE: None}),
    }
    for number, suv_type in (("2_1", "LBMJAMES128"), ("2_2", "IBW"), ("2_6", "LBMJANMA")):
        for index, sex in enumerate("MFO"):
            cases[f"DRO_{number}_{index}"] = _suv(f"GML, {suv_type}, sex {sex}", sex, suv_type)
    return cases


def _dose_cases() -> dict[str, _Case]:
    cases = {
        "DRO_3_0": _Case(description="dose in MBq", injection_tags={"RadionuclideTotalDose": 368.08}),
        "DRO_3_1": _Case(description="decay correction ADMIN", writer={"decay": "ADMIN"}),
    }
    for index, vendor in enumerate(_VENDORS):
        uncorrected = {**_UNCORRECTED, **(_COUNTS if vendor == "PHILIPS" else {})}
        cases |= {
            f"DRO_3_2_{index}": _timed(f"START, series after acquisition, {vendor}", vendor, later=True),
            f"DRO_3_4_{index}": _timed(f"NONE, two bed positions, {vendor}", vendor, later=False, writer=uncorrected),
            f"DRO_3_5_{index}": _timed(
                f"START, series time is acquisition time, {vendor}",
                vendor,
                later=False,
                tags={"FrameReferenceTime": 0.0},
            ),
        }
    for index, vendor in enumerate(_VENDORS[:2]):
        cases[f"DRO_3_3_{index}"] = _timed(
            f"as 3_2, with the private date-time, {vendor}", vendor, later=True, keep_private=True,
            tags={"FrameReferenceTime": 0.0},
        )  # fmt: skip
    return cases


def _time_cases() -> dict[str, _Case]:
    no_date = {"RadiopharmaceuticalStartDateTime": None}
    no_time = {"RadiopharmaceuticalStartTime": None}
    zr89: dict[str, Any] = {"nuclide": "Zr-89", "half_life_s": _ZR89_S, "uptake": timedelta(days=3)}
    return {
        "DRO_4_0": _Case(description="start date-time only", injection_tags=no_time),
        "DRO_4_1": _Case(description="start time only", injection_tags=no_date),
        "DRO_4_2": _Case(description="midnight, start time only", start=_AFTER_MIDNIGHT, injection_tags=no_date),
        "DRO_4_3": _Case(description="midnight, start date-time", start=_AFTER_MIDNIGHT),
        "DRO_4_4": _Case(
            description="midnight, anonymised acquisition date", start=datetime(1960, 1, 1, 0, 30),
            injection_tags={"RadiopharmaceuticalStartDateTime": datetime(2025, 1, 1, 23, 30)},
        ),
        "DRO_4_5": _Case(description="Zr-89, three days", **zr89),
        "DRO_5_0": _Case(description="Ga-68", nuclide="Ga-68", half_life_s=_GA68_S),
        "DRO_error_4_0": _Case(description="no start time at all", injection_tags={**no_date, **no_time}),
        "DRO_error_4_1": _Case(description="Zr-89, start time only", injection_tags=no_date, **zr89),
        "DRO_error_4_2": _Case(
            description="Zr-89, anonymised start date-time",
            injection_tags={"RadiopharmaceuticalStartDateTime": datetime(1960, 12, 29, 11)}, **zr89,
        ),
        "DRO_error_5_0": _Case(description="no half-life", injection_tags={"RadionuclideHalfLife": None}),
    }  # fmt: skip


def _enhanced_cases() -> dict[str, _Case]:
    later: dict[str, Any] = {"series_later": _LATER, "enhanced": True}
    return {
        "DRO_7_0_0": _Case(description="default Enhanced PET", enhanced=True),
        "DRO_7_1_0": _Case(description="Enhanced PET, slopes", enhanced=True, writer={"slopes": [3.0, 4.0] * 10}),
        "DRO_7_2_0": _Case(description="Enhanced PET, SUVbw", enhanced=True, writer={"units": "GML", "slopes": 0.1}),
        "DRO_7_3_0": _Case(description="Enhanced PET, series after reference", writer={"beds": 2}, **later),
        "DRO_7_3_1": _Case(description="Enhanced PET, not decay-corrected", enhanced=True, writer=_UNCORRECTED),
    }


def _error_cases() -> dict[str, _Case]:
    return {
        "DRO_error_2_0": _Case(description="no weight", tags={"PatientWeight": None}),
        "DRO_error_2_1": _Case(description="weight 0", tags={"PatientWeight": 0.0}),
        "DRO_error_2_2": _suv("SUVibw, no sex", "O", "IBW", PatientSex=None),
        "DRO_error_2_3": _suv("SUVibw, other sex", "O", "IBW", PatientSex="X"),
        "DRO_error_2_4": _suv("SUVibw, no height", "O", "IBW", PatientSize=None),
        "DRO_error_2_5": _suv("SUVibw, height 0", "O", "IBW", PatientSize=0.0),
        "DRO_error_2_6": _Case(
            description="CNTS without factors", writer=_COUNTS, tags={_SUV_SCALE: None, _CONCENTRATION_SCALE: None}
        ),
        "DRO_error_2_7": _Case(description="PROPCNTS", tags={"Units": "PROPCNTS"}),
        "DRO_error_3_0": _Case(description="no dose", injection_tags={"RadionuclideTotalDose": None}),
        "DRO_error_3_1": _Case(description="negative dose", injection_tags={"RadionuclideTotalDose": -368.08e6}),
        "DRO_error_3_2": _timed("no frame duration", "SIEMENS", later=True, tags={"ActualFrameDuration": None}),
    }


def _cases() -> dict[str, _Case]:
    found = _unit_cases() | _dose_cases() | _time_cases() | _enhanced_cases() | _error_cases()
    return dict(sorted(found.items(), key=lambda pair: ("error" in pair[0], pair[0])))


def ibsi_dro_ids() -> tuple[str, ...]:
    """Identifiers of the 58 objects of the IBSI-SUV list version 3; those to refuse contain ``error``."""
    return tuple(_cases())


def dro_volume(size: int = 64, slices: int = 20) -> tuple[Volume, NDArray[np.bool_]]:
    """Build the phantom of the reference objects in SUVbw, and its mask.

    A cylinder of 1.0 in a surrounding of 0, with a hot sphere of 4.0 and a cold one of 0.2, both
    40 mm wide, on 4 mm voxels; the first and last slice are empty.

    Parameters
    ----------
    size : rows and columns
    slices : number of slices
    """
    z, y, x = np.meshgrid(np.arange(slices), np.arange(size), np.arange(size), indexing="ij")
    centre = size // 2
    mask = ((y - centre) ** 2 + (x - centre) ** 2 <= (centre - 4) ** 2) & (z > 0) & (z < slices - 1)
    values = np.where(mask, 1.0, 0.0)
    for column, suv in ((centre + size // 4, 4.0), (centre - size // 4, 0.2)):
        values[(z - slices // 2) ** 2 + (y - centre) ** 2 + (x - column) ** 2 <= 25] = suv
    grid = Grid(shape=(slices, size, size), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    return Volume(values=values, grid=grid, unit="g/ml{SUVbw}"), mask


def ibsi_dro(case_id: str, folder: Path, *, size: int = 64) -> IbsiDro:
    """Write one reference object.

    Parameters
    ----------
    case_id : one of ``ibsi_dro_ids()``
    folder : files go into ``folder / case_id``
    size : rows and columns; the originals have 256

    Raises
    ------
    InputError
        For an unknown identifier.
    """
    cases = _cases()
    if case_id not in cases:
        raise InputError("IBSI-SUV", "case", case_id, "one of ibsi_dro_ids()")
    case = cases[case_id]
    volume, mask = dro_volume(size)
    study = StudyHeader(
        patient_name="PETDRO^PHANTOM",
        patient_id="DRO",
        sex=case.sex,
        weight_kg=70.0,
        height_m=1.75,
        birth_date=date(1990, 1, 1),
        study_datetime=case.start,
        study_description="PET SUV verification",
    )
    injection = InjectionHeader(
        activity_mbq=368.08,
        time=case.start - case.uptake,
        half_life_s=case.half_life_s,
        nuclide=case.nuclide,
        radiopharmaceutical="FDG" if case.nuclide == "F-18" else case.nuclide,
    )
    series_start = case.start + case.series_later
    options: dict[str, Any] = {
        "study": study,
        "injection": injection,
        "acquisition_start": case.start,
        "frame_duration_s": _FRAME_S,
        "description": f"PET SUV verification {case_id}",
        "slopes": 1.0,
        "seed_uid": case_id,
        "tags": {"SeriesDate": series_start, "SeriesTime": series_start, **case.tags},
        "injection_tags": case.injection_tags,
        **case.writer,
    }
    target = folder / case_id
    if case.enhanced:
        write_enhanced_pet(target / f"{case_id}.dcm", volume, **options)
    else:
        write_pet_series(target, volume, **{"dialect": "SYNTHETIC", **options})
    expected = None if "error" in case_id else (0.20, 1.00, 4.00)
    return IbsiDro(case_id=case_id, description=case.description, folder=target, mask=mask, expected=expected)
