"""From a volume to what a scanner stores: the SUV rules of the readers run backwards.

Writers and test builders use this module. It shares no code with the readers on purpose, so that a
wrong formula cannot cancel itself out in a round trip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader, ds_text
from fusin.imaging.volume import FloatArray, Volume

__all__ = [
    "DecayReference",
    "EncodedPet",
    "PetFrames",
    "PetUnits",
    "Quantised",
    "SuvType",
    "average_count_rate_time_s",
    "body_size",
    "concentration_at_start",
    "decay_factors",
    "encode_units",
    "pet_frames",
    "quantise",
    "suv_factor",
]

DecayReference = Literal["START", "ADMIN", "NONE"]
PetUnits = Literal["BQML", "GML", "CM2ML", "CNTS"]
SuvType = Literal["", "BW", "LBM", "LBMJAMES128", "LBMJANMA", "IBW", "BSA"]

# Any number will do: what a count is worth stands in the header. This one is of the order seen in the field.
_BQML_PER_COUNT = 1.78453


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PetFrames:
    """When each slice was counted.

    Attributes
    ----------
    scan_start : start of the first bed position
    offset_s : (slices,) start of the slice's bed after ``scan_start`` in seconds
    duration_s : counting time of a bed in seconds
    decay_constant : ln 2 / half-life in 1/s
    mean_time_s : time after a bed's start at which the count rate equals its average, in seconds
    """

    scan_start: datetime
    offset_s: FloatArray
    duration_s: float
    decay_constant: float
    mean_time_s: float

    def start(self, index: int) -> datetime:
        """Start of counting of a slice."""
        return self.scan_start + timedelta(seconds=float(self.offset_s[index]))

    def mean(self, index: int) -> datetime:
        """Moment at which a slice's count rate equals its average."""
        return self.start(index) + timedelta(seconds=self.mean_time_s)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Quantised:
    """Stored integers and the slopes that a header carries.

    Attributes
    ----------
    stored : (slices, rows, columns) int16
    slopes : (slices,) decimal strings; ``stored * float(slope)`` is the value
    """

    stored: NDArray[np.int16]
    slopes: tuple[str, ...]


def average_count_rate_time_s(duration_s: float, decay_constant: float) -> float:
    """Time after the start of a frame at which the decaying count rate equals the frame's average [s].

    Parameters
    ----------
    duration_s : frame duration in seconds
    decay_constant : ln 2 / half-life in 1/s

    References
    ----------
    Vacha et al., Comprehensive Manual for SUV Computation: T_ave = ln(lT / (1 - exp(-lT))) / l.
    """
    x = decay_constant * duration_s
    # The quotient loses all digits for short frames; the series is exact to 1e-16 below this bound.
    if x < 1e-4:
        return duration_s * (0.5 - x / 24.0)
    return math.log(x / -math.expm1(-x)) / decay_constant


def pet_frames(slices: int, injection: InjectionHeader, *, start: datetime, duration_s: float, beds: int) -> PetFrames:
    """Spread slices over bed positions that follow each other without a pause.

    Slices are cut into ``beds`` contiguous blocks in index order; block k starts ``k * duration_s``
    after ``start``.

    Raises
    ------
    InputError
        For fewer slices than beds, or a duration or half-life that is not positive.
    """
    if not 1 <= beds <= slices:
        raise InputError("PET series", "beds", beds, f"between 1 and the {slices} slices")
    if duration_s <= 0.0 or injection.half_life_s <= 0.0:
        raise InputError("PET series", "duration and half-life", (duration_s, injection.half_life_s), "seconds above 0")
    decay_constant = math.log(2.0) / injection.half_life_s
    return PetFrames(
        scan_start=start,
        offset_s=(np.arange(slices) * beds // slices).astype(np.float64) * duration_s,
        duration_s=duration_s,
        decay_constant=decay_constant,
        mean_time_s=average_count_rate_time_s(duration_s, decay_constant),
    )


def body_size(suv_type: str, study: StudyHeader) -> float:
    """Quantity that an SUV type divides by: kilograms, or cm2 for BSA.

    Parameters
    ----------
    suv_type : (0054,1006); empty means body weight
    study : weight, height and sex; sex ``"O"`` takes the mean of both formulas

    Raises
    ------
    InputError
        When the type is unknown, or height or sex is missing for a type that needs it.

    References
    ----------
    Sugawara et al. 1999 (10.1148/radiology.213.2.r99nv37521), James 1976, Janmahasatian 2005
    (10.2165/00003088-200544100-00004), Du Bois 1916, as listed in the IBSI SUV manual.
    """
    weight = study.weight_kg
    if suv_type in ("", "BW"):
        return weight
    if not study.height_m:
        raise InputError("study", "height_m", study.height_m, f"a height for SUV type {suv_type}")
    cm = study.height_m * 100.0
    if suv_type == "BSA":
        return 0.007184 * math.pow(cm, 0.725) * math.pow(weight, 0.425) * 1e4
    bmi = weight / study.height_m**2
    both = {
        "LBM": (1.10 * weight - 120.0 * (weight / cm) ** 2, 1.07 * weight - 148.0 * (weight / cm) ** 2),
        "LBMJAMES128": (1.10 * weight - 128.0 * (weight / cm) ** 2, 1.07 * weight - 148.0 * (weight / cm) ** 2),
        "LBMJANMA": (9270.0 * weight / (6680.0 + 216.0 * bmi), 9270.0 * weight / (8780.0 + 244.0 * bmi)),
        "IBW": (48.0 + 1.06 * (cm - 152.0), 45.5 + 0.91 * (cm - 152.0)),
    }
    if suv_type not in both:
        raise InputError("PET series", "suv_type", suv_type, f"BW, BSA or one of {sorted(both)}")
    if study.sex not in ("M", "F", "O"):
        raise InputError("study", "sex", study.sex, f"M, F or O for SUV type {suv_type}")
    male, female = both[suv_type]
    return {"M": male, "F": female, "O": 0.5 * (male + female)}[study.sex]


def suv_factor(study: StudyHeader, injection: InjectionHeader, *, elapsed_s: float) -> float:
    """SUVbw of 1 Bq/mL at a time after injection [g/mL per Bq/mL]."""
    remaining_bq = injection.activity_mbq * 1e6 * math.exp2(-elapsed_s / injection.half_life_s)
    return study.weight_kg * 1000.0 / remaining_bq


def concentration_at_start(
    volume: Volume, study: StudyHeader, injection: InjectionHeader, *, start: datetime
) -> FloatArray:
    """Activity concentration decay-corrected to the scan start [Bq/mL].

    Parameters
    ----------
    volume : ``"Bq/ml"`` (taken as it is) or ``"g/ml{SUVbw}"``
    study, injection : weight, activity, injection time and half-life
    start : scan start

    Returns
    -------
    (slices, rows, columns) float64

    Raises
    ------
    InputError
        For another unit.
    """
    values = np.asarray(volume.values, dtype=np.float64)
    if volume.unit == "Bq/ml":
        return values
    if volume.unit != "g/ml{SUVbw}":
        raise InputError("PET volume", "unit", volume.unit, "'Bq/ml' at the scan start or 'g/ml{SUVbw}'")
    out: FloatArray = values / suv_factor(study, injection, elapsed_s=(start - injection.time).total_seconds())
    return out


def decay_factors(decay: DecayReference, frames: PetFrames, injection: InjectionHeader) -> FloatArray:
    """Decay factor (0054,1321) of each slice: stored value over measured average, without unit.

    START refers values to the scan start, ADMIN to the injection; NONE leaves them at the moment
    of the average count rate, factor 1.
    """
    if decay == "NONE":
        return np.ones_like(frames.offset_s)
    lag_s = 0.0 if decay == "START" else (frames.scan_start - injection.time).total_seconds()
    out: FloatArray = np.exp(frames.decay_constant * (frames.offset_s + frames.mean_time_s + lag_s))
    return out


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EncodedPet:
    """Voxel values in the unit of the header.

    Attributes
    ----------
    values : (slices, rows, columns) float64
    suv_type : (0054,1006), empty for units that are no SUV
    concentration_factor : Bq/mL per count, for counts only
    suv_factor : SUVbw per count, for counts that all refer to one moment
    """

    values: FloatArray
    suv_type: str = ""
    concentration_factor: float | None = None
    suv_factor: float | None = None


def encode_units(
    at_start: FloatArray,
    study: StudyHeader,
    injection: InjectionHeader,
    frames: PetFrames,
    *,
    units: PetUnits,
    suv_type: SuvType,
    decay: DecayReference,
) -> EncodedPet:
    """Convert activity concentration at the scan start into the unit and decay reference of a header.

    Parameters
    ----------
    at_start : (slices, rows, columns) Bq/mL, decay-corrected to the scan start
    study, injection, frames : patient, injection and timing of the same header
    units, suv_type, decay : (0054,1001), (0054,1006), (0054,1102)

    Raises
    ------
    InputError
        For an unknown unit or SUV type.
    """
    elapsed_s = (frames.scan_start - injection.time).total_seconds()
    if units in ("GML", "CM2ML"):
        kind = "BSA" if units == "CM2ML" else suv_type
        suv_bw = at_start * suv_factor(study, injection, elapsed_s=elapsed_s)
        grams_per_size = 1000.0 if kind == "BSA" else 1.0
        return EncodedPet(values=suv_bw * body_size(kind, study) / (study.weight_kg * grams_per_size), suv_type=kind)
    if units not in ("BQML", "CNTS"):
        raise InputError("PET series", "units", units, "BQML, GML, CM2ML or CNTS")
    measured = np.exp(-frames.decay_constant * (frames.offset_s + frames.mean_time_s))
    referred = at_start * (measured * decay_factors(decay, frames, injection))[:, None, None]
    if units == "BQML":
        return EncodedPet(values=referred)
    # One SUV factor serves a whole series only when all its slices refer to the same moment.
    lag_s = {"START": elapsed_s, "ADMIN": 0.0}.get(decay)
    factor = None if lag_s is None else suv_factor(study, injection, elapsed_s=lag_s) * _BQML_PER_COUNT
    return EncodedPet(values=referred / _BQML_PER_COUNT, concentration_factor=_BQML_PER_COUNT, suv_factor=factor)


def quantise(values: NDArray[Any], slopes: float | Sequence[float] | None = None) -> Quantised:
    """Scale values to 16-bit integers.

    Parameters
    ----------
    values : (slices, rows, columns)
    slopes : one slope, or one per slice; without it each slice is scaled to its own largest
        magnitude, and an empty slice gets the slope 1

    Raises
    ------
    InputError
        For values that are not finite, or that leave the range of int16 under a given slope.
    """
    if not np.isfinite(values).all():
        raise InputError("PET volume", "values", "NaN or infinite", "finite values")
    if slopes is None:
        peak = np.abs(values).max(axis=(1, 2))
        wanted = np.where(peak > 0.0, peak / 32767.0, 1.0)
    else:
        wanted = np.broadcast_to(np.asarray(slopes, dtype=np.float64), (values.shape[0],))
    texts = tuple(ds_text(s) for s in wanted)
    # Divide by the slope as it will be read, so that its rounding does not add to the quantisation.
    stored = np.rint(values / np.array([float(t) for t in texts])[:, None, None])
    if np.abs(stored).max() > 32767.0:
        raise InputError(
            "PET volume", "stored value", float(np.abs(stored).max()), "a larger slope: int16 ends at 32767"
        )
    return Quantised(stored=stored.astype(np.int16), slopes=texts)
