"""The numbers of the body and of its ligands: records with value, unit, source, status and range."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fusin.errors import InputError

__all__ = [
    "CALIBRATED",
    "LIGANDS",
    "LIGAND_FIELDS",
    "BodyRecord",
    "body_records",
    "defaults",
    "organ_shares",
    "records_for",
]

LIGANDS = ("pentixafor", "pentixather")
LIGAND_FIELDS = ("kd_nm", "k_on_l_nmol_min", "k_int_per_min", "free_in_plasma")
_UNITS = {"kd_nm": "nM", "k_on_l_nmol_min": "L/nmol/min", "k_int_per_min": "1/min", "free_in_plasma": "1"}
_MEANINGS = {
    "kd_nm": "affinity for CXCR4",
    "k_on_l_nmol_min": "association with CXCR4",
    "k_int_per_min": "internalisation of the bound ligand",
    "free_in_plasma": "share of the ligand in plasma that no protein holds",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRecord:
    """One number and how far it can be trusted.

    Attributes
    ----------
    id : name
    value : in ``unit``
    unit, meaning, source : in words
    status : measured, fitted-in-source, borrowed, assumed or calibrated
    low, high : range in which it may lie
    spread : geometric standard deviation between patients; 1 for none
    calibrate : whether the calibration moves it
    """

    id: str
    value: float
    unit: str
    meaning: str
    source: str
    status: str
    low: float
    high: float
    spread: float = 1.0
    calibrate: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@cache
def _document() -> dict[str, Any]:
    text = resources.files("fusin.receptor").joinpath("pbpk_parameters.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def body_records() -> Mapping[str, BodyRecord]:
    """Records of the body, without those of a ligand."""
    document = _document()
    references = document["references"]
    found = {}
    for row in document["parameter"]:
        found[row["id"]] = BodyRecord(**{**row, "source": references.get(row["source"], row["source"])})
    return found


@cache
def records_for(ligand: str) -> Mapping[str, BodyRecord]:
    """Records of the body and of one ligand.

    Raises
    ------
    InputError
        For a ligand that is not there.
    """
    rows = {row["name"]: row for row in _document()["ligand"]}
    if ligand not in rows:
        raise InputError("ligand", "name", ligand, "one of " + ", ".join(rows))
    found = dict(body_records())
    for name in LIGAND_FIELDS:
        found[name] = BodyRecord(id=name, unit=_UNITS[name], meaning=_MEANINGS[name], **rows[ligand][name])
    return found


CALIBRATED = (
    "free_in_plasma", "receptor_spleen_nm", "receptor_marrow_nm", "uptake_liver_l_min", "reabsorbed", "receptor_tumour_nm",
)  # fmt: skip
"""What the calibration moves; each has ``calibrate = true`` in its record."""


@cache
def organ_shares() -> Mapping[str, Mapping[str, float]]:
    """Shares of cardiac output (``flow``) and of plasma (``plasma``) by organ, reference man."""
    found: Mapping[str, Mapping[str, float]] = _document()["shares"]
    return found


def defaults(ligand: str, changed: Mapping[str, float] | None = None) -> dict[str, float]:
    """Values by name, with those that the user states.

    Raises
    ------
    InputError
        For an unknown name, and for a value that no body can have.
    """
    records = records_for(ligand)
    values = {name: record.value for name, record in records.items()}
    for name, value in (changed or {}).items():
        if name not in records:
            raise InputError("body", "parameter", name, "one of " + ", ".join(records))
        _check(name, value, records[name])
        values[name] = float(value)
    return values


def _check(name: str, value: float, record: BodyRecord) -> None:
    zero = name in ("receptor_kidney_nm", "receptor_tumour_nm", "reabsorbed", "uptake_liver_l_min", "k_int_per_min")
    share = record.unit == "1" and name != "interstitial_albumin"
    bad = not math.isfinite(value) or value < 0 or (value == 0 and not zero) or (share and value > 1)
    if bad:
        unit = "" if record.unit == "1" else f" in {record.unit}"
        raise InputError(
            "body", name, float(value), f"a number {'from 0' if zero else 'above 0'}{' to 1' if share else ''}{unit}"
        )
