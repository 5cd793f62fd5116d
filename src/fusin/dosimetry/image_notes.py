"""What is known of regions beside their voxels: kind, mass, recovery and parameters of biology, from CSV or TOML."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from fusin.dosimetry.case_fields import CaseFields, read_case
from fusin.dosimetry.image_points import RegionKind, RegionNotes
from fusin.dosimetry.quantitative_spect import Measured, RecoveryCurve, fit_recovery
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.rows import rows_of, words
from fusin.tabular.schema import InputColumn, Schema

__all__ = [
    "REGION_NOTES_TABLE",
    "check_names",
    "notes_of_tables",
    "read_notes_file",
    "read_recovery",
    "read_region_notes",
]

_KINDS = ("organ", "lesion", "marrow", "blood")
REGION_NOTES_TABLE = Schema(
    name="table of regions",
    columns=(
        InputColumn("name", "string", "region as the file of regions calls it", required=True, label=True),
        InputColumn("kind", "string", "`organ`, `lesion`, `marrow` or `blood`; organ where empty", words=words(*_KINDS)),
        InputColumn("mass_g", "float64", "mass, measured apart from the outline"),
        InputColumn("mass_u_g", "float64", "standard uncertainty of the mass"),
        InputColumn("density_g_ml", "float64", "density, which turns the outlined volume into mass"),
        InputColumn("recovery", "float64", "recovery coefficient that activities are divided by"),
        InputColumn("recovery_u", "float64", "standard uncertainty of the recovery coefficient"),
        InputColumn("alpha_beta_gy", "float64", "alpha/beta of BED and EQD2"),
        InputColumn("repair_half_time_h", "float64", "half-time of repair"),
    ),
    key=("name",),
)  # fmt: skip
_LIMITS = {"density_g_ml": 25.0, "recovery": 5.0, "alpha_beta_gy": 1e3, "repair_half_time_h": 1e3, "mass_g": 2e5}


def read_notes_file(path: Path, log: NoticeLog) -> tuple[dict[str, RegionNotes], RecoveryCurve | None]:
    """Notes by name of region, and the recovery curve of the images where the file holds one.

    Parameters
    ----------
    path : CSV or TSV as ``REGION_NOTES_TABLE``, or TOML with one ``[[region]]`` for each and perhaps ``[recovery]``
    log : receives notices of the table

    Raises
    ------
    InputError
        For a table that cannot be used, a name that stands twice, and numbers that are impossible.
    """
    if path.suffix.lower() == ".toml":
        case = read_case(path)
        found, recovery = notes_of_tables(case), case.table("recovery")
        curve = None if recovery is None else read_recovery(recovery)
        case.finish()
        return found, curve
    out = {}
    for row in rows_of(path, REGION_NOTES_TABLE, log):
        values = {c.name: row.values.get(c.name) for c in REGION_NOTES_TABLE.columns[1:]}
        out[row.needed("name")] = _notes(values, row.where)
    return out, None


def read_region_notes(path: Path, log: NoticeLog) -> dict[str, RegionNotes]:
    """Notes by name of region; see :func:`read_notes_file`."""
    return read_notes_file(path, log)[0]


def notes_of_tables(case: CaseFields) -> dict[str, RegionNotes]:
    """Notes from the tables ``[[region]]`` of a document.

    Raises
    ------
    InputError
        As :func:`read_notes_file`.
    """
    out: dict[str, RegionNotes] = {}
    for fields in case.tables("region"):
        name = fields.text("name", required=True)
        if name in out:
            raise InputError(fields.where, "name", name, "each region once")
        values: dict[str, Any] = {c.name: fields.number(c.name) for c in REGION_NOTES_TABLE.columns[2:]}
        values["kind"] = fields.text("kind") or None
        out[name] = _notes(values, fields.where)
        fields.finish()
    return out


def _notes(values: Mapping[str, Any], where: str) -> RegionNotes:
    kind = values["kind"] or "organ"
    if kind not in _KINDS:
        raise InputError(where, "kind", kind, "organ, lesion, marrow or blood")
    numbers = {name: values[name] for name in values if name != "kind" and values[name] is not None}
    for name, value in numbers.items():
        # A standard uncertainty may be 0; everything else has to be positive.
        uncertain = name in ("mass_u_g", "recovery_u")
        if not math.isfinite(value) or value < 0 or (value == 0 and not uncertain):
            raise InputError(where, name, value, "zero or a positive number" if uncertain else "a positive number")
        if value > _LIMITS.get(name, math.inf):
            raise InputError(where, name, value, f"at most {_LIMITS[name]:g}")
    for value, u in (("mass_g", "mass_u_g"), ("recovery", "recovery_u")):
        if u in numbers and value not in numbers:
            raise InputError(where, u, numbers[u], f"{value} itself")
    recovery = numbers.get("recovery")
    return RegionNotes(
        kind=cast(RegionKind, kind), mass_g=numbers.get("mass_g"), mass_u_g=numbers.get("mass_u_g"),
        density_g_ml=numbers.get("density_g_ml"),
        recovery=None if recovery is None else Measured(recovery, numbers.get("recovery_u", 0.0)),
        alpha_beta_gy=numbers.get("alpha_beta_gy"), repair_half_time_h=numbers.get("repair_half_time_h"),
    )  # fmt: skip


def read_recovery(fields: CaseFields) -> RecoveryCurve:
    """Recovery curve of a table: ``volume_ml`` with ``coefficient`` (and ``u``) of inserts, or ``b1_ml`` with ``b2``.

    Raises
    ------
    InputError, NotComputable
        For lists of unequal length, and inserts that determine no curve.
    """
    import numpy as np

    lists = {name: fields.take(name) for name in ("volume_ml", "coefficient", "u")}
    b1, b2 = fields.number("b1_ml", above=0.0), fields.number("b2", above=0.0)
    u1, u2 = fields.number("u_b1_ml", least=0.0) or 0.0, fields.number("u_b2", least=0.0) or 0.0
    correlation = fields.number("correlation", least=-1.0, most=1.0) or 0.0
    low, high = fields.number("low_ml", least=0.0), fields.number("high_ml", above=0.0)
    fields.finish()
    if b1 is not None and b2 is not None and lists["volume_ml"] is None:
        shared = correlation * u1 * u2
        return RecoveryCurve(b1_ml=b1, b2=b2, covariance=np.array([[u1**2, shared], [shared, u2**2]]), low_ml=low or 0.0,
                             high_ml=high or math.inf)  # fmt: skip
    if b1 is not None or b2 is not None or lists["volume_ml"] is None or lists["coefficient"] is None:
        raise InputError(
            fields.where, "recovery", "an incomplete curve", "volume_ml with coefficient, or b1_ml with b2"
        )
    for name, value in lists.items():
        ok = isinstance(value, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
        if value is not None and not ok:
            raise InputError(fields.where, name, type(value).__name__, "a list of numbers")
    return fit_recovery(lists["volume_ml"], lists["coefficient"], u=lists["u"])


def check_names(notes: Mapping[str, RegionNotes], names: Iterable[str], log: NoticeLog, *, where: str) -> None:
    """Warn of notes that belong to no region: a misspelt name would lose its mass in silence.

    Parameters
    ----------
    notes : by name
    names : of the regions there are
    log : receives NOTES_WITHOUT_REGION
    where : file of the notes
    """
    known = list(names)
    for name in notes:
        if name not in known:
            near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.7)
            hint = next((k for k in known if near and k.lower() == near[0]), "")
            log.warning("NOTES_WITHOUT_REGION", f"there is no region {name!r}" + (f"; {hint!r} has a similar name" if hint else ""),
                        where=where, raw=name)  # fmt: skip
