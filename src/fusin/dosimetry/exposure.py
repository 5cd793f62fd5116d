"""Dose of a diagnostic scan from published coefficients: activity times dose per activity, with the tag of the source.

Effective dose is a quantity of radiation protection for a reference person, not the risk of a patient.

References
----------
ICRP Publication 103, Ann ICRP 37 (2-4), 2007 (effective dose).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from fusin.dosimetry.case_fields import CaseFields, read_case
from fusin.dosimetry.organs import log_normal
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["DoseCoefficients", "Exposure", "coefficients", "exposure", "known_coefficients", "read_coefficients"]

_METHOD = "activity times coefficient"
_TAGS = {
    "V": "read in the source",
    "A": "read in an abstract",
    "M": "not verified in the source",
    "U": "not verified in the source",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseCoefficients:
    """Doses of one tracer per activity.

    Attributes
    ----------
    id : name that a user asks for
    tracer, nuclide : what was administered
    effective_msv_per_mbq : effective dose; None when the source has none
    organs_mgy_per_mbq : mean absorbed doses by organ
    u_percent : relative standard uncertainty that the source states; None when it states none
    citation, tag, note : where the numbers come from and how sure that is
    """

    id: str
    tracer: str
    nuclide: str
    effective_msv_per_mbq: float | None
    organs_mgy_per_mbq: Mapping[str, float]
    u_percent: float | None
    citation: str
    tag: str
    note: str = ""

    @property
    def standing(self) -> str:
        """The tag in words."""
        return _TAGS[self.tag]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Dose of one scan.

    Attributes
    ----------
    coefficients : what was used
    administered_mbq : activity
    effective_msv : effective dose of the tracer; None when the source has none
    organs_mgy : absorbed doses by organ
    ct_msv : effective dose of the CT; None when nothing was given
    """

    coefficients: DoseCoefficients
    administered_mbq: float
    effective_msv: Estimate | None
    organs_mgy: Mapping[str, Estimate]
    ct_msv: float | None = None


def known_coefficients() -> tuple[str, ...]:
    """Names of the coefficients that ship with fusin; none is a default."""
    return tuple(_document())


def coefficients(name: str) -> DoseCoefficients:
    """Coefficients that ship with fusin, by name.

    Raises
    ------
    InputError
        For a name that is not one of them.
    """
    if name not in _document():
        raise InputError("--coefficients", "name", name, "a TOML file, or one of " + ", ".join(known_coefficients()))
    return _coefficients(name, CaseFields(_document()[name], f"exposure.toml, {name}"))


def read_coefficients(path: Path) -> DoseCoefficients:
    """Coefficients of a user's own file: the fields of ``exposure.toml`` at its top level.

    Raises
    ------
    InputError
        For a file without citation or doses, and for a tag that is none of V, A, M, U.
    """
    return _coefficients(path.stem, read_case(path))


def exposure(
    found: DoseCoefficients,
    *,
    administered_mbq: float,
    log: NoticeLog,
    activity_u_percent: float | None = None,
    ct_dlp_mgy_cm: float | None = None,
    ct_k_msv_per_mgy_cm: float | None = None,
) -> Exposure:
    """Doses of one administration.

    Parameters
    ----------
    found : see `coefficients`
    administered_mbq : activity that reached the patient
    log : receives a warning for numbers that nobody verified
    activity_u_percent : relative standard uncertainty of the activity
    ct_dlp_mgy_cm, ct_k_msv_per_mgy_cm : dose-length product of the CT and the conversion to effective dose, both or neither

    Raises
    ------
    InputError
        For an activity that is not positive, or one CT number without the other.
    """
    if not (math.isfinite(administered_mbq) and administered_mbq > 0):
        raise InputError("exposure", "administered_mbq", administered_mbq, "a positive activity")
    if (ct_dlp_mgy_cm is None) != (ct_k_msv_per_mgy_cm is None):
        raise InputError("exposure", "CT", "one number", "the dose-length product and its conversion, or neither")
    for name, value in (("ct_dlp_mgy_cm", ct_dlp_mgy_cm), ("ct_k_msv_per_mgy_cm", ct_k_msv_per_mgy_cm),
                        ("activity_u_percent", activity_u_percent)):  # fmt: skip
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError("exposure", name, value, "a number of zero or more")
    if found.tag in {"M", "U"}:
        log.warning(
            "COEFFICIENTS_UNVERIFIED",
            f"{found.id} ({found.citation}): {found.note or found.standing}",
            where=found.tracer,
        )
    parts = [p for p in (found.u_percent, activity_u_percent) if p is not None]
    u = math.hypot(*parts) / 100.0 if found.u_percent is not None else None
    note = "" if u is not None else "the source states no uncertainty"

    def dose(per_mbq: float) -> Estimate:
        return log_normal(per_mbq * administered_mbq, u, level=0.95, n=1, note=note, method=_METHOD)

    return Exposure(
        coefficients=found, administered_mbq=administered_mbq,
        effective_msv=None if found.effective_msv_per_mbq is None else dose(found.effective_msv_per_mbq),
        organs_mgy={name: dose(value) for name, value in found.organs_mgy_per_mbq.items()},
        ct_msv=None if ct_dlp_mgy_cm is None or ct_k_msv_per_mgy_cm is None else ct_dlp_mgy_cm * ct_k_msv_per_mgy_cm,
    )  # fmt: skip


def _coefficients(name: str, fields: CaseFields) -> DoseCoefficients:
    activity = fields.needed("reference_activity_mbq", above=0.0)
    effective = fields.number("effective_msv", least=0.0)
    organs = fields.table("organs_mgy")
    listed = {} if organs is None else {str(n): organs.needed(str(n), least=0.0) for n in organs.names()}
    if effective is None and not listed:
        raise InputError(fields.where, "effective_msv", "no dose", "effective_msv, organs_mgy, or both")
    tag = fields.text("tag", required=True)
    if tag not in _TAGS:
        raise InputError(fields.where, "tag", tag, "one of " + ", ".join(f"{t} ({w})" for t, w in _TAGS.items()))
    out = DoseCoefficients(
        id=name, tracer=fields.text("tracer", required=True), nuclide=nuclide(fields.text("nuclide", required=True)).name,
        effective_msv_per_mbq=None if effective is None else effective / activity,
        organs_mgy_per_mbq={n: v / activity for n, v in listed.items()}, u_percent=fields.number("u_percent", least=0.0),
        citation=fields.text("citation", required=True), tag=tag, note=fields.text("note"),
    )  # fmt: skip
    fields.finish()
    return out


@cache
def _document() -> Mapping[str, Any]:
    text = resources.files("fusin.dosimetry").joinpath("exposure.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
