"""Table of an uptake assay, one row per tube or one row per well, and what is written."""

from __future__ import annotations

from fusin.assays.counter_tables import COUNT_COLUMNS, KINDS
from fusin.tabular.columns import Column
from fusin.tabular.schema import InputColumn, Schema

__all__ = ["FRACTIONS", "SHARES_TABLE", "SHARE_FIELDS", "UPTAKE_TABLE", "WELL_COLUMNS"]

FRACTIONS = (
    ("supernatant", ("supernatant", "s", "medium", "supernatant and washes", "free", "wash")),
    ("acid_wash", ("acid_wash", "acid wash", "m", "membrane", "membrane-bound", "acid", "glycine", "surface")),
    ("lysate", ("lysate", "i", "internalised", "internalized", "naoh", "cells")),
)
"""Fractions of a well."""

_PHASES = (
    ("uptake", ("uptake", "internalisation", "internalization")),
    ("efflux", ("efflux", "externalisation", "externalization", "washout")),
)

_CONDITIONS = (
    ("unblocked", ("unblocked", "total", "no", "-", "unblock", "free", "0", "false")),
    ("blocked", ("blocked", "block", "yes", "+", "nonspecific", "non-specific", "nsb", "1", "true")),
)
_OF_A_WELL = (
    InputColumn("condition", "string", "with or without the blocker", words=_CONDITIONS),
    InputColumn("tracer", "string", "tracer; two tracers in one well are a dual label", label=True),
    InputColumn("time_min", "float64", "incubation time, or time after the wash for efflux [min]", least=0.0, most=1e9),
    InputColumn("time_h", "float64", "the same [h], instead of minutes", least=0.0, most=1e9),
    InputColumn("phase", "string", "`uptake` unless it says efflux", words=_PHASES),
    InputColumn("experiment", "string", "independent experiment; wells of one are not independent"),
    InputColumn("cells_million", "float64", "cells in the well [1e6]", least=0.0, most=1e9),
    InputColumn("protein_mg", "float64", "protein in the well [mg]", least=0.0, most=1e9),
)

UPTAKE_TABLE = Schema(
    name="table of an uptake assay",
    columns=(
        InputColumn("well", "string", "well; empty for blanks and standards"),
        InputColumn("fraction", "string", "what the tube holds: `supernatant`, `acid_wash` or `lysate`", words=FRACTIONS),
        InputColumn("kind", "string", "what the tube is; a standard holds the applied activity", words=KINDS),
        *_OF_A_WELL,
        InputColumn("nuclide", "string", "nuclide of the tracer, where several are counted; else --nuclide"),
        *COUNT_COLUMNS,
        InputColumn("counted_fraction", "float64", "share of the fraction that was counted; 1 when absent", least=0.0, most=1.0),
        InputColumn("applied_fraction", "float64", "standard: share of the applied activity; 1 when absent", least=0.0, most=1e9),
        *(InputColumn(f"{f}_{q}", "float64", f"wide form: {q} of the {f.replace('_', ' ')}", least=-1e12, most=1e12)
          for q in ("counts", "cpm") for f, _ in FRACTIONS),
    ),
)  # fmt: skip
"""One row per tube, or per well with one column for each fraction."""

SHARE_FIELDS = ("uptake_percent", "membrane_percent", "internalised_percent", "retained_percent")
"""Shares that a table may hold instead of counts."""

SHARES_TABLE = Schema(
    name="table of shares",
    columns=(
        InputColumn("well", "string", "well or number of the replicate; rows are wells of their own without it"),
        *_OF_A_WELL,
        InputColumn("uptake_percent", "float64", "cell-associated, 100 (M + I) / applied", least=-1e3, most=1e3),
        InputColumn("membrane_percent", "float64", "100 M / applied", least=-1e3, most=1e3),
        InputColumn("internalised_percent", "float64", "100 I / applied", least=-1e3, most=1e3),
        InputColumn(
            "retained_percent",
            "float64",
            "efflux: what stays, in percent of the cell-associated activity at 0 min",
            least=-1e3,
            most=1e3,
        ),
    ),
)
"""Shares that are ready, one row per well."""

WELL_COLUMNS = (
    Column("well", "string", "well"),
    Column("tracer", "string", "tracer"),
    Column("experiment", "string", "experiment"),
    Column("phase", "string", "uptake or efflux"),
    Column("condition", "string", "unblocked or blocked"),
    Column("time_min", "float64", "time [min]"),
    Column("uptake_percent", "float64", "100 (M + I) / total"),
    Column("uptake_percent_low", "float64", "lower 95 % limit of counting"),
    Column("uptake_percent_high", "float64", "upper limit"),
    Column("membrane_percent", "float64", "100 M / total"),
    Column("internalised_percent", "float64", "100 I / total"),
    Column("internalised_percent_low", "float64", "lower 95 % limit of counting"),
    Column("internalised_percent_high", "float64", "upper limit"),
    Column("internalised_of_cell_percent", "float64", "100 I / (M + I)"),
    Column("recovery_percent", "float64", "100 total / standard; empty without supernatant or standard"),
    Column("cells_million", "float64", "cells [1e6]"),
    Column("protein_mg", "float64", "protein [mg]"),
)
"""Written wells."""
