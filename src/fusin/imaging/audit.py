"""Why SUV can or cannot be computed, series by series, from headers alone, and what looks doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from fusin.errors import FusinError, InputError, NotComputable
from fusin.imaging.select_series import attenuation_corrected
from fusin.imaging.series import Catalogue, Series
from fusin.imaging.suv import SuvOptions, SuvPlan, plan_from_header
from fusin.imaging.suv_header import SuvHeader, read_suv_header
from fusin.imaging.suv_time import injection_time
from fusin.provenance import Notice, NoticeLog

__all__ = ["Audit", "Protocol", "SeriesAudit", "audit_catalogue", "audit_series", "doubts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What a scan should look like; outside of it a number stands and is doubted.

    Attributes
    ----------
    name : id that a notice cites
    uptake_min : accepted minutes from injection to the start of the scan
    activity_mbq : accepted injected activity
    source : citation
    """

    name: str
    uptake_min: tuple[float, float]
    activity_mbq: tuple[float, float]
    source: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SeriesAudit:
    """The verdict on one series."""

    series: Series
    computable: bool
    rule: str | None
    reason: str
    plan: SuvPlan | None
    uptake_time_min: float | None
    notices: tuple[Notice, ...]

    def to_json(self) -> dict[str, Any]:
        """One entry of ``audit --json``."""
        plan = self.plan
        return {
            "series_uid": self.series.uid,
            "modality": self.series.modality,
            "description": self.series.description,
            "instances": len(self.series.instances),
            "computable": self.computable,
            "rule": self.rule,
            "reason": self.reason,
            "factor_suvbw_per_bqml": plan.factor_suvbw_per_bqml if plan else None,
            "uptake_time_min": self.uptake_time_min,
            "suv": plan.to_json() if plan else None,
            "notices": [n.to_json() for n in self.notices],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """All series of a folder, and the files that could not be read."""

    series: tuple[SeriesAudit, ...]
    notices: tuple[Notice, ...]

    def to_json(self) -> dict[str, Any]:
        """The contract of ``fusin audit --json``."""
        return {"series": [s.to_json() for s in self.series], "notices": [n.to_json() for n in self.notices]}


def audit_catalogue(
    catalogue: Catalogue, *, protocol: Protocol, options: SuvOptions | None = None, strict: bool = False
) -> Audit:
    """Audit each series of a folder; nothing here reads a pixel."""
    return Audit(
        tuple(audit_series(s, protocol=protocol, options=options, strict=strict) for s in catalogue.series),
        catalogue.notices,
    )


def audit_series(
    series: Series, *, protocol: Protocol, options: SuvOptions | None = None, strict: bool = False
) -> SeriesAudit:
    """Audit one series."""
    log = NoticeLog()
    log.extend(series.notices)
    plan: SuvPlan | None = None
    uptake: float | None = None
    try:
        if series.modality != "PT":
            raise NotComputable("SUV", f"the modality is {series.modality}", "a PET series (PT)", "NOT_PET")
        series.require_stack()
        if attenuation_corrected(series) is False:
            raise NotComputable(
                "SUV",
                "the series is not attenuation corrected",
                "an attenuation-corrected series",
                "NOT_ATTENUATION_CORRECTED",
            )
        header = read_suv_header(series, item=None if options is None or options.item is None else options.item - 1)
        own = NoticeLog(strict=strict)
        plan = plan_from_header(header, own, options=options)
        uptake = doubts(header, plan, protocol, own)
        log.extend(own)
        reason = "computable"
    except FusinError as err:
        plan, reason = None, str(err)
        if series.modality == "PT":
            log.warning(getattr(err, "code", "NOT_COMPUTABLE"), reason, where=series.label)
    return SeriesAudit(
        series=series,
        computable=plan is not None,
        rule=plan.rule if plan else None,
        reason=reason,
        plan=plan,
        uptake_time_min=uptake,
        notices=log.notices,
    )


def doubts(header: SuvHeader, plan: SuvPlan, protocol: Protocol, log: NoticeLog) -> float | None:
    """Record what looks doubtful about a scan; returns the uptake time in minutes when it is known.

    The uptake time runs from the injection to the start of the first frame.
    """
    uptake = _uptake_min(header, plan.half_life_s)
    low, high = protocol.uptake_min
    if uptake is not None and not low <= uptake <= high:
        log.warning(
            "UPTAKE_OUTSIDE_PROTOCOL",
            f"uptake time is {uptake:.1f} min, outside {low:g} to {high:g} min ({protocol.name}: {protocol.source})",
            where=header.where,
            raw=uptake,
        )
    elif uptake is None:
        log.info(
            "UPTAKE_UNKNOWN", "the header does not give both the time of injection and of the scan", where=header.where
        )
    low, high = protocol.activity_mbq
    activity = plan.activity_mbq
    if activity is not None and not low <= activity <= high:
        log.warning(
            "ACTIVITY_OUTSIDE_PROTOCOL",
            f"injected activity is {activity:.1f} MBq, outside {low:g} to {high:g} MBq ({protocol.name})",
            where=header.where,
            raw=activity,
        )
    _check_beds(header, log)
    return uptake


def _uptake_min(header: SuvHeader, half_life_s: float | None) -> float | None:
    starts = [f.acquisition or f.frame_reference for f in header.frames]
    known = [s for s in starts if s is not None]
    lifetime = half_life_s or header.half_life
    if not known or lifetime is None or not 0 < lifetime < float("inf"):
        return None
    begin: datetime = min(known)
    if header.decay_correction == "START" and header.series_start is not None and header.series_start <= begin:
        begin = header.series_start if (begin - header.series_start).total_seconds() < 7200 else begin
    try:
        injected = injection_time(header, begin, lifetime, NoticeLog())
    except (NotComputable, InputError):
        return None
    return (begin - injected).total_seconds() / 60.0


def _check_beds(header: SuvHeader, log: NoticeLog) -> None:
    """Beds follow one another at about the frame duration; longer pauses and unequal durations are named."""
    starts = sorted({f.acquisition for f in header.frames if f.acquisition is not None})
    durations = sorted({f.duration_ms / 1000.0 for f in header.frames if f.duration_ms})
    if len(starts) < 2 or not durations:
        return
    gaps = np.diff([s.timestamp() for s in starts])
    longest = float(gaps.max())
    if longest > 2.0 * durations[-1] + 60.0:
        log.warning(
            "BED_PAUSE",
            f"{longest / 60:.1f} min lie between two bed positions of {durations[-1] / 60:.1f} min; the scan was interrupted "
            "or the times are wrong",
            where=header.where,
            raw=longest,
        )
    if durations[-1] / durations[0] > 1.05:
        log.info(
            "BED_DURATIONS_DIFFER",
            f"bed durations run from {durations[0]:g} to {durations[-1]:g} s",
            where=header.where,
            raw=durations,
        )
    total = (starts[-1] - starts[0]).total_seconds() / 60.0
    log.info("BEDS", f"{len(starts)} bed positions over {total:.1f} min", where=header.where, raw=len(starts))
