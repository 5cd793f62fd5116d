"""The patient's weight, height and sex as headers give them, checked, and the SUV norm they yield."""

from __future__ import annotations

import math

from fusin.errors import InvalidValue, MissingValue
from fusin.imaging.body_size import Norm, normalisation, parse_sex
from fusin.imaging.suv_header import SuvHeader
from fusin.provenance import NoticeLog

__all__ = ["norm_factor"]


def _body(
    header: SuvHeader, log: NoticeLog, *, needs_height: bool, needs_sex: bool
) -> tuple[float, float | None, str | None]:
    """(weight in kg, height in cm, sex), each checked only where needed."""
    weight = header.weight
    hint = (
        f"; Patient's Size (0010,1020) holds {header.size:g}, which may be the weight"
        if header.size and header.size > 3
        else ""
    )
    if weight is None or weight == 0:
        raise MissingValue(
            "SUV",
            f"Patient's Weight (0010,1030) is {'absent' if weight is None else '0'}{hint}",
            "the weight in kg",
            "WEIGHT_MISSING",
        )
    if math.isnan(weight) or weight < 0:
        raise InvalidValue(
            "SUV",
            f"Patient's Weight (0010,1030) is {'unreadable' if math.isnan(weight) else weight}",
            "the weight in kg",
            "WEIGHT_INVALID",
        )
    if weight >= 1000:
        log.adapted(
            "WEIGHT_IN_GRAMS",
            f"Patient's Weight {weight:g} is read as grams",
            where=header.where,
            raw=weight,
            used=weight / 1000,
        )
        weight /= 1000.0
    if not 2 <= weight <= 300:
        log.warning("WEIGHT_IMPLAUSIBLE", f"Patient's Weight is {weight:g} kg", where=header.where, raw=weight)
    _doubt_body_mass(weight, header, log)
    height = _height_cm(header, log) if needs_height else None
    return weight, height, parse_sex(header.sex) if needs_sex else (header.sex.strip().upper() or None)


def _doubt_body_mass(weight_kg: float, header: SuvHeader, log: NoticeLog) -> None:
    """A body mass index that hardly anybody has means a weight in pounds, or one that stands in the wrong field."""
    size = header.size
    if size is None or not 0 < size <= 300:
        return
    height_m = size / 100.0 if size > 3 else size
    if height_m <= 1.2:
        return
    index = weight_kg / height_m**2
    if not 12.0 <= index <= 50.0:
        log.warning(
            "BODY_MASS_IMPLAUSIBLE",
            f"{weight_kg:g} kg at {height_m:.2f} m is a body mass index of {index:.0f}"
            + (f"; {weight_kg:g} lb would be {weight_kg * 0.45359237:.1f} kg" if index > 50 else ""),
            where=header.where,
            raw=index,
        )


def _height_cm(header: SuvHeader, log: NoticeLog) -> float:
    size = header.size
    if size is None or size == 0:
        raise MissingValue(
            "the SUV norm",
            f"Patient's Size (0010,1020) is {'absent' if size is None else '0'}",
            "the height in metres",
            "HEIGHT_MISSING",
        )
    if math.isnan(size) or size < 0 or size > 300:
        raise InvalidValue(
            "the SUV norm",
            f"Patient's Size (0010,1020) is {'unreadable' if math.isnan(size) else size}",
            "the height in metres",
            "HEIGHT_INVALID",
        )
    if size > 3:
        log.adapted(
            "HEIGHT_IN_CM",
            f"Patient's Size {size:g} is read as centimetres",
            where=header.where,
            raw=size,
            used=size / 100,
        )
        return size
    return size * 100.0


def norm_factor(header: SuvHeader, norm: Norm, log: NoticeLog) -> tuple[float, float, float | None, str | None]:
    """Ratio of an SUV norm to SUVbw, with the weight [kg], height [cm] and sex used.

    Raises
    ------
    MissingValue, InvalidValue
        When the weight, or a height or sex that the norm needs, is absent or impossible.
    """
    weight, height, sex = _body(header, log, needs_height=norm != "bw", needs_sex=norm not in ("bw", "bsa"))
    size = normalisation(norm, weight_kg=weight, height_cm=height, sex=sex)  # type: ignore[arg-type]  # parse_sex narrowed it
    # SUVbsa is per cm2 of body surface and SUVbw per g: 1 m2 = 1e4 cm2, 1 kg = 1e3 g.
    per_bw = size * 1e4 / (weight * 1e3) if norm == "bsa" else size / weight
    return per_bw, weight, height, sex
