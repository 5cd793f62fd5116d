"""Adrenal indices LI, LLR, LCR and LAR for primary aldosteronism.

The cut-offs are evidence records (kind ``adrenal-cutoff``). Each is evaluated with the operator its source prints, and
only on a scan of its own tracer and time; the others are listed with the reason why they do not apply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fusin.evidence.catalogue import Catalogue, Record, default_catalogue, holds
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.references import ReferenceRegion

__all__ = ["AdrenalIndices", "adrenal_indices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdrenalIndices:
    """PET indices of the adrenals; None where an input is missing.

    LI = SUVmax dominant / non-dominant adrenal; LLR = SUVmax / liver SUVmean;
    LCR = SUVmax / contralateral adrenal SUVmean; LAR = SUVmax / adjacent adrenal SUVmean.

    ``dominant`` is ``"left"``, ``"right"``, ``"equal"``, or empty when one side was not measured; LLR, LCR and LAR are
    those of the dominant side, or of the only measured one. ``cutoffs`` holds one mapping per published cut-off with
    ``id, title, metric, op, cutoff, value, applicable, verdict, because, tracer, time_min, endpoint, n, sensitivity,
    specificity, citation, tag``.
    """

    dominant: str
    suv_max_left: float | None
    suv_max_right: float | None
    li: float | None
    llr: float | None
    lcr: float | None
    lar: float | None
    cutoffs: tuple[dict[str, Any], ...] = ()
    because: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def adrenal_indices(
    left: RegionMetrics | None,
    right: RegionMetrics | None,
    liver: ReferenceRegion | None,
    *,
    adjacent_left: RegionMetrics | None = None,
    adjacent_right: RegionMetrics | None = None,
    time_min: float | None = None,
    tracer: str = "68Ga-pentixafor",
    time_tolerance_min: float = 5.0,
    catalogue: Catalogue | None = None,
    log: NoticeLog,
) -> AdrenalIndices:
    """Form the adrenal indices and compare them with every published cut-off.

    Parameters
    ----------
    left, right : metrics of each adrenal (or its nodule); None when it was not measured
    liver : liver reference for LLR
    adjacent_left, adjacent_right : metrics of normal adrenal tissue beside the nodule, for LAR
    time_min : time after injection of this scan [min]; None when unknown
    tracer : tracer of this scan; brackets, hyphens and case do not matter
    time_tolerance_min : how far the scan may lie from the time of a cut-off [min]; project-defined
    catalogue : evidence; the shipped tables when None
    log : receives ADRENAL_SIDE_MISSING, ADRENAL_LIVER_MISSING and ADRENAL_TIME_UNKNOWN
    """
    sides = {"left": _positive(left, "suv_max"), "right": _positive(right, "suv_max")}
    dominant, side, why = _dominance(sides)
    for name, value in sides.items():
        if value is None:
            log.warning("ADRENAL_SIDE_MISSING", f"The {name} adrenal has no usable SUVmax.", where=f"{name} adrenal")
    if liver is None:
        log.warning("ADRENAL_LIVER_MISSING", "There is no liver reference, so LLR is missing.", where="liver")
    if time_min is None:
        log.warning("ADRENAL_TIME_UNKNOWN", "The time after injection is unknown; timed cut-offs do not apply.")
    own, other = (left, right) if side == "left" else (right, left)
    adjacent = adjacent_left if side == "left" else adjacent_right
    peak, low = (sides[side], min((v for v in sides.values() if v), default=None)) if side else (None, None)
    values: dict[str, float | None] = {
        "suv_max": peak,
        "suv_mean": _positive(own, "suv_mean") if side else None,
        "li": _ratio(peak, low) if dominant else None,
        "llr": _ratio(peak, liver.mean if liver else None),
        "lcr": _ratio(peak, _positive(other, "suv_mean") if side else None),
        "lar": _ratio(peak, _positive(adjacent, "suv_mean")),
    }
    records = (catalogue or default_catalogue()).select("adrenal-cutoff")
    return AdrenalIndices(
        dominant=dominant,
        suv_max_left=sides["left"],
        suv_max_right=sides["right"],
        li=values["li"],
        llr=values["llr"],
        lcr=values["lcr"],
        lar=values["lar"],
        cutoffs=tuple(_cutoff(r, values, tracer, time_min, time_tolerance_min) for r in records),
        because=why,
    )


def _positive(metrics: RegionMetrics | None, name: str) -> float | None:
    value = getattr(metrics, name) if metrics is not None else None
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    if numerator is None or denominator is None or not (math.isfinite(denominator) and denominator > 0):
        return None
    return numerator / denominator


def _dominance(sides: Mapping[str, float | None]) -> tuple[str, str, str]:
    """Return (dominant, side that LLR, LCR and LAR describe, sentence)."""
    left, right = sides["left"], sides["right"]
    if left is None and right is None:
        return "", "", "Neither adrenal has a usable SUVmax."
    if left is None or right is None:
        side, gone = ("right", "left") if left is None else ("left", "right")
        return (
            "",
            side,
            f"The {gone} adrenal has no usable SUVmax: no LI and no dominant side; LLR and LAR are of the {side}.",
        )
    if left == right:
        return "equal", "left", f"Both adrenals have SUVmax {left:.2f}; LLR, LCR and LAR are of the left."
    side = "left" if left > right else "right"
    return side, side, f"The {side} adrenal is dominant: SUVmax {left:.2f} left, {right:.2f} right."


def _cutoff(
    record: Record, values: Mapping[str, float | None], tracer: str, time_min: float | None, tolerance_min: float
) -> dict[str, Any]:
    value = values.get(record.metric)
    because = _mismatch(record, tracer, time_min, tolerance_min)
    applicable = not because
    verdict = None
    if applicable:
        verdict, because = _verdict(record, value)
        if record.time_min is None:
            because += " The time after injection of the source is not known here."
    return {
        "id": record.id,
        "title": record.title,
        "metric": record.metric,
        "op": record.op,
        "cutoff": record.value,
        "value": value,
        "applicable": applicable,
        "verdict": verdict,
        "because": because,
        "tracer": record.tracer,
        "time_min": record.time_min,
        "endpoint": record.endpoint,
        "n": record.n,
        "sensitivity": record.sensitivity,
        "specificity": record.specificity,
        "citation": record.citation,
        "tag": record.tag,
    }


def _mismatch(record: Record, tracer: str, time_min: float | None, tolerance_min: float) -> str:
    if not record.is_default_grade:
        return f"Not applied: tagged {record.tag} ({record.source})."
    if _tracer_key(record.tracer) != _tracer_key(tracer):
        return f"Not applicable: made for {record.tracer}, this scan is {tracer or 'of an unknown tracer'}."
    if record.time_min is None:
        return ""
    if time_min is None:
        return f"Not applicable: made for {record.time_min:g} min, the time of this scan is unknown."
    if abs(time_min - record.time_min) > tolerance_min:
        return f"Not applicable: made for {record.time_min:g} min, this scan is at {time_min:g} min."
    return ""


def _verdict(record: Record, value: float | None) -> tuple[bool | None, str]:
    """Compare literally; without a printed operator a tie has no verdict."""
    if value is None or record.value is None:
        return None, f"{record.metric.upper()} is missing."
    printed = "" if record.op_printed else " (operator not printed in the source)"
    text = f"{record.metric.upper()} {value:.3f} against {record.op or 'cut-off'} {record.value:g}{printed}."
    if record.op is not None:
        return holds(record.op, value, record.value), text
    return (None if value == record.value else value > record.value), text


def _tracer_key(tracer: str) -> str:
    key = "".join(c for c in tracer.lower() if c.isalnum())
    # "[68Ga]Ga-PentixaFor" repeats the element that "68Ga-pentixafor" names once.
    return key.replace("68gaga", "68ga")
