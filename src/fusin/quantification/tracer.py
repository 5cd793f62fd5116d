"""Which tracer a scan says it has: rules made for CXCR4 tracers say nothing of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fusin.provenance import NoticeLog
from fusin.quantification.positivity import Readout

__all__ = ["check_tracer", "evidence_tracer", "withheld"]

# Names by which headers call the CXCR4 tracers of the evidence tables.
_CXCR4_NAMES = ("pentixa", "pentixathe", "cpcr4", "ptf", "cxcr4")


def check_tracer(series: Mapping[str, Any], log: NoticeLog) -> bool:
    """Whether the header's tracer may be read by rules for CXCR4 tracers.

    A header that names none is read with a warning; one that names another tracer is measured, and the rules are
    withheld (strict mode refuses it).
    """
    name = str(series.get("radiopharmaceutical") or "").strip()
    if not name:
        log.warning(
            "TRACER_UNKNOWN",
            "the header names no radiopharmaceutical; the readout takes it for a CXCR4 tracer",
            where=str(series.get("description") or ""),
        )
        return True
    if any(word in name.lower() for word in _CXCR4_NAMES):
        return True
    log.adapted(
        "TRACER_NOT_CXCR4",
        f"the radiopharmaceutical is {name!r}, no CXCR4 tracer; the scan is measured and rules for CXCR4 tracers are withheld",
        where=str(series.get("description") or ""),
        raw=name,
        used="no readout",
    )
    return False


def withheld(readout: Readout, tracer: str) -> Readout:
    """The readout with every verdict and the score withdrawn, saying why."""
    because = f"withheld: {tracer} is no CXCR4 tracer"
    rules = tuple(replace(rule, verdict=None, because=because, lesions=()) for rule in readout.rules)
    return replace(readout, rules=rules, score=None, score_because=because)


def evidence_tracer(series: Mapping[str, Any]) -> str:
    """Name under which the evidence tables know the tracer of a scan; the header's own name where they know none."""
    name = str(series.get("radiopharmaceutical") or "").strip()
    low, nuclide = name.lower(), str(series.get("nuclide") or "")
    therapeutic = "pentixathe" in low
    if nuclide == "F-18" and "pentixa" in low:
        return "18F-AlF-NOTA-pentixather" if therapeutic else "18F-AlF-NOTA-pentixafor"
    if not low or ("pentixa" in low and not therapeutic and nuclide in ("", "Ga-68")):
        return "68Ga-pentixafor"
    return name
