"""Administered activity, half-life and residual: the quantities that people type into scanners."""

from __future__ import annotations

import math
import re
from datetime import datetime

from fusin.decay import decay_factor
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.imaging.dicom_values import parse_dt, parse_number
from fusin.imaging.suv_header import SuvHeader
from fusin.nuclides import Nuclide, nuclide, nuclide_from_code
from fusin.provenance import NoticeLog

_NUCLIDE_IN_NAME = re.compile(r"(?<![A-Za-z0-9])(?:\d{1,3}m?-?[A-Z][a-z]?|[A-Z][a-z]?-?\d{1,3}m?)(?![a-z0-9])")

__all__ = ["administered_activity", "half_life", "header_nuclide", "net_of_residual"]

MBQ_LIMIT = 1e4
SHORTEST_S, LONGEST_S = 1.0, 1e11
SMALLEST_DOSE = 1e-6  # 1 Bq when read as MBq; less is no activity at all
# Below and above, no person was imaged: the value is in another unit, or a small animal's.
LOWEST_MBQ, HIGHEST_MBQ = 8.0, 20_000.0


def administered_activity(header: SuvHeader, log: NoticeLog) -> float:
    """Radionuclide Total Dose (0018,1074) in Bq; values below 1e4 are MBq (the unit of Enhanced objects).

    Raises
    ------
    MissingValue, InvalidValue
        When absent, unreadable, zero or negative.
    """
    dose = header.dose
    if dose is None:
        raise MissingValue(
            "SUV", "Radionuclide Total Dose (0018,1074) is absent", "the administered activity in Bq", "DOSE_MISSING"
        )
    if not math.isfinite(dose) or dose < SMALLEST_DOSE:
        raise InvalidValue(
            "SUV",
            f"Radionuclide Total Dose (0018,1074) is {'unreadable' if math.isnan(dose) else dose}",
            "the administered activity in Bq",
            "DOSE_INVALID",
        )
    activity_mbq = dose / 1e6 if dose >= MBQ_LIMIT else dose
    if not LOWEST_MBQ <= activity_mbq <= HIGHEST_MBQ:
        hint = (
            f"; {dose:g} mCi would be {37 * dose:.0f} MBq"
            if dose < MBQ_LIMIT
            else f"; {dose:g} kBq would be {dose / 1e3:g} MBq"
        )
        log.warning(
            "ACTIVITY_IMPLAUSIBLE",
            f"Radionuclide Total Dose {dose:g} is {activity_mbq:g} MBq{hint}",
            where=header.where,
            raw=dose,
            used=activity_mbq,
        )
    if dose >= MBQ_LIMIT:
        return dose
    if header.enhanced:
        log.info(
            "DOSE_IN_MBQ",
            f"Radionuclide Total Dose {dose:g} is in MBq, as Enhanced objects state it",
            where=header.where,
            raw=dose,
            used=dose * 1e6,
        )
    else:
        log.adapted(
            "DOSE_IN_MBQ",
            f"Radionuclide Total Dose {dose:g} is read as MBq",
            where=header.where,
            raw=dose,
            used=dose * 1e6,
        )
    return dose * 1e6


def header_nuclide(header: SuvHeader) -> Nuclide | None:
    """Nuclide that the radionuclide code, its meaning or the name of the tracer names; None when none does."""
    if header.nuclide_code:
        try:
            return nuclide_from_code(header.nuclide_code, header.nuclide_scheme)
        except InputError:
            pass
    for text in (header.nuclide_meaning, *_NUCLIDE_IN_NAME.findall(header.radiopharmaceutical)):
        try:
            if text:
                return nuclide(text)
        except InputError:
            continue
    return None


def half_life(header: SuvHeader, log: NoticeLog, *, from_code: bool) -> float:
    """Radionuclide Half Life (0018,1075) in seconds; compared with the nuclide's, never replaced by it unasked.

    Raises
    ------
    MissingValue, InvalidValue
        When absent (and not allowed to come from the code), unreadable, zero or negative.
    """
    value, known = header.half_life, header_nuclide(header)
    if value is None:
        if from_code and known is not None:
            log.adapted(
                "HALF_LIFE_FROM_CODE",
                f"Radionuclide Half Life (0018,1075) is absent; that of {known.name}, {known.half_life_s:.1f} s, is used",
                where=header.where,
                used=known.half_life_s,
            )
            return known.half_life_s
        hint = f" (the code says {known.name}: --half-life-from-code uses its half-life)" if known else ""
        raise MissingValue(
            "SUV",
            f"Radionuclide Half Life (0018,1075) is absent{hint}",
            "the half-life in seconds",
            "HALF_LIFE_MISSING",
        )
    if not math.isfinite(value) or not SHORTEST_S <= value <= LONGEST_S:
        raise InvalidValue(
            "SUV",
            f"Radionuclide Half Life (0018,1075) is {'unreadable' if math.isnan(value) else value}",
            "the half-life in seconds",
            "HALF_LIFE_INVALID",
        )
    return _compared(value, known, header.where, log)


def _compared(value: float, known: Nuclide | None, where: str, log: NoticeLog) -> float:
    """The header's half-life beside the nuclide's: used as it is, but for one that fits only in minutes."""
    if known is None:
        log.info(
            "NUCLIDE_UNKNOWN",
            f"no nuclide is named beside the half-life of {value:g} s, so that it could not be checked",
            where=where,
            raw=value,
        )
        return value
    if abs(value * 60.0 / known.half_life_s - 1.0) < 0.02:
        log.adapted(
            "HALF_LIFE_IN_MINUTES",
            f"Radionuclide Half Life {value:g} fits {known.name} only when read as minutes",
            where=where,
            raw=value,
            used=value * 60.0,
        )
        return value * 60.0
    relative = value / known.half_life_s - 1.0
    if abs(relative) > 0.01:
        log.warning(
            "HALF_LIFE_DIFFERS",
            f"Radionuclide Half Life is {value:g} s and that of {known.name} is {known.half_life_s:.1f} s; the header's is used",
            where=where,
            raw=value,
            used=value,
        )
    elif abs(relative) > 1e-4:
        log.info(
            "HALF_LIFE_ROUNDED",
            f"Radionuclide Half Life is {value:g} s, {100 * relative:+.2f} % from {known.name}'s {known.half_life_s:.1f} s; "
            "the header's is used",
            where=where,
            raw=value,
            used=value,
        )
    return value


def net_of_residual(
    header: SuvHeader,
    activity_bq: float,
    injected: datetime,
    half_life_s: float,
    residual: float | str | None,
    log: NoticeLog,
) -> float:
    """Activity that entered the patient, at the time of injection [Bq].

    Parameters
    ----------
    residual : None takes the header's dose as net; a number is the activity left in the syringe in MBq at the time of
        injection; ``"header"`` computes drawn minus left from GE's private fields, both decayed to the injection

    Raises
    ------
    InputError
        When the residual is no number between 0 and the dose, or GE's fields are absent.
    """
    if residual is None:
        return activity_bq
    if residual == "header":
        net = _ge_net_bq(header, injected, half_life_s)
    else:
        left = float(residual) * 1e6
        if not 0 <= left < activity_bq:
            raise InputError(
                "--residual", "residual activity [MBq]", residual, f"a number from 0 to below {activity_bq / 1e6:g}"
            )
        net = activity_bq - left
    log.info(
        "RESIDUAL_SUBTRACTED",
        f"{(activity_bq - net) / 1e6:.2f} MBq of residual activity were subtracted from {activity_bq / 1e6:.2f} MBq",
        where=header.where,
        raw=activity_bq / 1e6,
        used=net / 1e6,
    )
    return net


def _ge_net_bq(header: SuvHeader, injected: datetime, half_life_s: float) -> float:
    fields = header.private
    pre, post = parse_number(fields.get("pre_activity", "")), parse_number(fields.get("post_activity", ""))
    pre_time, post_time = parse_dt(fields.get("pre_time", "")), parse_dt(fields.get("post_time", ""))
    if pre is None or post is None or pre_time is None or post_time is None:
        raise InputError(
            header.where,
            "GE private residual fields (0009,xx38, xx39, xx3C, xx3D)",
            sorted(fields) or "none",
            "drawn and left activity with their times, or --residual with a number in MBq",
        )
    at_injection = [
        amount * float(decay_factor((injected - moment.replace(tzinfo=None)).total_seconds(), half_life_s))
        for amount, moment in ((pre, pre_time), (post, post_time))
    ]
    net = at_injection[0] - at_injection[1]
    if net <= 0:
        raise InputError(
            header.where, "GE private residual fields", f"{pre} drawn, {post} left", "more drawn than left"
        )
    # GE writes MBq here; a site that writes Bq shows by the size, as with the dose itself.
    return net if net >= MBQ_LIMIT else net * 1e6
