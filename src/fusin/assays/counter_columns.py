"""Headings of other people's tables: what means a documented column beyond doubt is read as it, what lacks a unit is refused.

Brackets, blanks and signs in a heading do not matter: ``Mass (g)`` is ``mass_g`` and ``% ID/g`` is ``percent_id_per_g``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.files import load
from fusin.tabular.rows import Row, rows_of
from fusin.tabular.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["documented", "known_columns", "named_rows", "plain_heading"]

_MEANS: Mapping[str, tuple[str, ...]] = {
    "counts": ("count", "gross_counts", "raw_counts", "recorded_counts"),
    "cpm": ("counts_per_minute", "counts_min"),
    "live_time_s": ("count_time_s", "counting_time_s", "counting_time_sec", "count_time_sec", "live_time_sec"),
    "live_time_min": ("count_time_min", "counting_time_min"),
    "start_time": ("start", "count_start", "counting_start", "start_of_count", "count_start_time"),
    "end_time": ("end", "count_end", "end_of_count"),
    "tube": ("sample_id", "sample_name", "tube_id", "tube_name", "vial"),
    "window": ("energy_window", "roi", "channel"),
    "animal": ("animal_id", "mouse", "mouse_id", "rat", "rat_id", "subject"),
    "organ": ("tissue", "organ_tissue", "tissue_organ"),
    "group": ("cohort", "arm", "treatment", "treatment_group"),
    "mass_g": ("weight_g", "wet_mass_g", "wet_weight_g", "organ_mass_g", "organ_weight_g", "tissue_mass_g", "tissue_weight_g"),
    "mass_mg": ("weight_mg", "wet_mass_mg", "wet_weight_mg", "organ_mass_mg", "organ_weight_mg", "tissue_mass_mg",
                "tissue_weight_mg"),
    "full_g": ("tube_full_g", "full_tube_g"),
    "empty_g": ("tube_empty_g", "empty_tube_g", "tare_g"),
    "body_weight_g": ("body_mass_g", "weight_g", "bw_g", "animal_weight_g"),
    "injected_g": ("injected_mass_g",),
    "injected_ml": ("injected_volume_ml",),
    "injected_mbq": ("injected_activity_mbq", "injected_dose_mbq"),
    "percent_id_per_g": ("pct_id_per_g", "percent_id_g", "pct_id_g", "percent_ia_per_g", "pct_ia_per_g", "percent_ia_g"),
    "percent_id": ("pct_id", "percent_id_organ", "pct_id_organ", "percent_id_per_organ", "pct_id_per_organ", "percent_ia"),
    "time_h": ("time_hr", "time_hours", "time_p_i_h", "time_pi_h", "time_after_injection_h", "hours", "h_p_i"),
    "time_min": ("time_minutes", "minutes", "incubation_min", "incubation_time_min", "time_p_i_min"),
    "time_d": ("time_days", "days"),
    "well": ("well_id", "well_name", "replicate"),
    "condition": ("blocking", "block", "blocked"),
    "tracer": ("compound", "ligand", "radioligand"),
    "cells_million": ("million_cells", "cells_1e6", "cells_10_6"),
    "sd": ("std", "stdev", "standard_deviation"),
    "mean": ("average",),
    "uptake_percent": ("uptake_pct",),
    "membrane_percent": ("membrane_pct", "membrane_bound_percent", "surface_percent"),
    "internalised_percent": ("internalized_percent", "internalised_pct", "internalized_pct"),
    "retained_percent": ("retained_pct", "percent_retained"),
    "excluded_because": ("exclusion_reason", "reason_for_exclusion"),
}  # fmt: skip
"""Documented name to the headings that mean the same."""

_WITHOUT_UNIT: Mapping[str, tuple[str, ...]] = {
    "mass": ("mass_g", "mass_mg"), "weight": ("mass_g", "mass_mg", "body_weight_g"), "wet_weight": ("mass_g", "mass_mg"),
    "body_weight": ("body_weight_g",), "bw": ("body_weight_g",), "time": ("time_min", "time_h", "time_d"),
    "time_point": ("time_min", "time_h", "time_d"), "timepoint": ("time_min", "time_h", "time_d"),
    "count_time": ("live_time_s", "live_time_min"), "counting_time": ("live_time_s", "live_time_min"),
    "live_time": ("live_time_s", "live_time_min"), "activity": ("activity_mbq",), "protein": ("protein_mg",),
    "cells": ("cells_million",), "injected_dose": ("injected_mbq", "injected_g", "injected_ml"),
    "injected_activity": ("injected_mbq",), "injected_volume": ("injected_ml",), "injected": ("injected_mbq", "injected_ml"),
    "supernatant": ("supernatant_counts", "supernatant_cpm"), "acid_wash": ("acid_wash_counts", "acid_wash_cpm"),
    "lysate": ("lysate_counts", "lysate_cpm"),
}  # fmt: skip
"""Headings that could have several units, and the documented names that say one."""


def plain_heading(name: object) -> str:
    """Lower case, percent written out, and one underscore for whatever is no letter or digit."""
    text = str(name).strip().lstrip("\ufeff").lower().replace("%", " percent ")
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")


def documented(name: object, names: Sequence[str]) -> str | None:
    """Documented name of a heading, None when it is none of them."""
    plain = plain_heading(name)
    if plain in names:
        return plain
    return next((n for n in names if plain in _MEANS.get(n, ())), None)


def known_columns(
    frame: pd.DataFrame, schema: Schema, log: NoticeLog, where: str
) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """Frame with documented names, and documented name to heading for those that were spelt otherwise.

    Raises
    ------
    InputError
        For a heading without its unit, or two headings that mean the same column.
    """
    names = schema.names()
    found: dict[str, list[str]] = {}
    for heading in map(str, frame.columns):
        meant = documented(heading, names)
        if meant is not None:
            found.setdefault(meant, []).append(heading)
    for name, headings in found.items():
        exact = [h for h in headings if plain_heading(h) == name]
        # The documented name wins over a synonym; two of a kind cannot be told apart.
        if len(exact or headings) > 1:
            raise InputError(where, f"column {name}", ", ".join(exact or headings), "each column once")
        found[name] = exact or headings
    for heading in map(str, frame.columns):
        could = [n for n in _WITHOUT_UNIT.get(plain_heading(heading), ()) if n in names]
        if could and plain_heading(heading) not in names and not set(could) & set(found):
            raise InputError(
                where, f"column {heading!r}", "no unit in its heading", f"a column named {' or '.join(could)}"
            )
    own = {name: headings[0] for name, headings in found.items()}
    others = {name: heading for name, heading in own.items() if plain_heading(heading) != name}
    if others:
        said = ", ".join(f"{heading!r} as {name}" for name, heading in others.items())
        log.info("COLUMN_SYNONYM", f"columns are read by another name: {said}", where=where)
    out = frame.copy()
    back = {heading: name for name, heading in own.items()}
    out.columns = out.columns.__class__([back.get(str(c), str(c)) for c in frame.columns])
    return out, others


def named_rows(source: Path | pd.DataFrame, schema: Schema, log: NoticeLog, *, where: str = "") -> tuple[Row, ...]:
    """Rows of a table whose headings may be spelt in other ways.

    Raises
    ------
    InputError
        As `known_columns` and `fusin.tabular.rows.rows_of`; a field that is spelt otherwise in the file is named as there.
    """
    frame, name = load(source, schema.names(), where)
    frame, others = known_columns(frame, schema, log, name)
    try:
        return rows_of(frame, schema, log, where=name)
    except InputError as err:
        heading = others.get(err.field)
        if heading is None:
            raise
        raise InputError(err.where, f"{heading} ({err.field})", err.found, err.needed) from None
