"""Columns of the tables of a body, and the tables that its page shows in their place."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusin.receptor.pbpk_body import ORGANS
from fusin.receptor.pbpk_questions import Amounts, Response
from fusin.report.job_output import JobTable
from fusin.report.table_text import shown_columns
from fusin.tabular.columns import Column

__all__ = [
    "BODY_AMOUNT_COLUMNS",
    "BODY_CURVE_COLUMNS",
    "BODY_IDENTIFIED_COLUMNS",
    "BODY_PARAMETER_COLUMNS",
    "BODY_REGION_COLUMNS",
    "BODY_RESPONSE_COLUMNS",
    "identified_table",
    "limit_table",
    "of_draws",
    "parameter_table",
    "ratio_table",
    "significant",
]


def _with_limits(name: str, meaning: str) -> tuple[Column, Column, Column]:
    return (
        Column(name, "float64", meaning),
        Column(f"{name}_low", "float64", "2.5 % of the drawn bodies"),
        Column(f"{name}_high", "float64", "97.5 % of the drawn bodies"),
    )


BODY_REGION_COLUMNS = (
    Column("region", "string", "organ or tumour; blood is whole blood of heart, lungs and large vessels"),
    Column("volume_ml", "float64", "volume of the region"),
    Column("at_min", "float64", "moment of the SUV, after the first injection"),
    *_with_limits("suv", "standardised uptake value of the typical body"),
    *_with_limits("tia_mbq_h", "time-integrated activity until the end of the curves"),
    Column("tail_mbq_h", "float64", "what physical decay alone would add after the end"),
    *_with_limits("dose_gy", "self-dose until the end: sphere of that volume; of marrow the charged particles alone"),
    Column("suv_method", "string", "of the intervals"),
)
BODY_CURVE_COLUMNS = (
    Column("region", "string", "organ or tumour"),
    Column("time_min", "float64", "after the first injection"),
    Column("suv", "float64", "standardised uptake value of the typical body"),
    Column("activity_mbq", "float64", "activity at that time"),
)
BODY_RESPONSE_COLUMNS = (
    Column("question", "string", "mass, sink, blocking or chemokine"),
    Column("setting", "string", "what is varied, with its unit"),
    Column("x", "float64", "its value"),
    Column("region", "string", "organ or tumour"),
    Column("measure", "string", "suv, or tia: time-integrated activity per activity [h]"),
    *_with_limits("uptake", "SUV or time-integrated activity per activity, typical body"),
    *_with_limits("ratio", "uptake over its reference"),
)
BODY_AMOUNT_COLUMNS = (
    Column("peptide_nmol", "float64", "peptide, hot and cold together"),
    Column("region", "string", "organ or tumour"),
    *_with_limits("gy_per_gbq", "self-dose per activity, typical body"),
    *_with_limits("allowed_gbq", "activity that the limits and carrier-free label allow"),
    Column("limiting", "string", "what limits the typical body"),
    *_with_limits("dose_gy", "self-dose at that activity"),
)
BODY_IDENTIFIED_COLUMNS = (
    Column("name", "string", "number of the body, or a ratio of two"),
    Column("unit", "string", "its unit"),
    Column("low", "float64", "2.5 % of the calibrated draws"),
    Column("median", "float64", "their median"),
    Column("high", "float64", "97.5 %"),
    Column("range_low", "float64", "range before the calibration"),
    Column("range_high", "float64", "its upper end"),
    Column(
        "left", "float64", "width of the draws over that of the range, on a log scale; 0.95 where nothing was learnt"
    ),
    Column("known", "string", "the same in words"),
)
BODY_PARAMETER_COLUMNS = (
    Column("parameter", "string", "name, as in the table [body] of a case"),
    Column("value", "float64", "of the typical body"),
    Column("unit", "string", "its unit"),
    Column("low", "float64", "range in which it may lie"),
    Column("high", "float64", "its upper end"),
    Column("status", "string", "measured, fitted-in-source, borrowed, assumed, calibrated, or stated by the user"),
    Column("meaning", "string", "in words"),
    Column("source", "string", "where it comes from"),
)


def significant(value: float) -> str:
    """Three digits, without an exponent where one is not needed."""
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2e}"
    return f"{float(f'{value:.3g}'):,.10g}"


def of_draws(name: str, values: Any) -> dict[str, float | None]:
    """Typical value and the middle 95 % of the bodies; nothing where one of them has no value."""
    if not np.isfinite(values).all():
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = np.percentile(values, [2.5, 97.5]).tolist() if values.size > 2 else (None, None)
    return {name: float(values[0]), f"{name}_low": low, f"{name}_high": high}


def _page(name: str, title: str, rows: list[dict[str, Any]]) -> JobTable:
    import pandas as pd

    frame = pd.DataFrame(rows)
    headings = {str(c): str(c) for c in frame.columns}
    return JobTable(name=name, title=title, frame=frame, shown=shown_columns(frame, headings=headings))


def ratio_table(name: str, title: str, response: Response) -> JobTable:
    """Ratios of the regions side by side."""
    tumours = [r for r in response.regions if r not in ORGANS][:2]
    rows = []
    for k, x in enumerate(response.x.tolist()):
        row: dict[str, Any] = {response.x_name: significant(x)}
        for region in (*tumours, "spleen", "red marrow", "kidneys", "liver"):
            row |= of_draws(region, response.ratios[:, k, response.regions.index(region)])
        rows.append(row)
    return _page(name, f"{title}: uptake over that with {response.reference_text}", rows)


def limit_table(found: Amounts) -> JobTable:
    """By the amount of peptide: the activity that limits allow, what limits, and doses."""
    names = [n for n in (found.tumour, "kidneys", "red marrow", "liver", "spleen") if n in found.response.regions]
    rows = []
    for k, x in enumerate(found.response.x.tolist()):
        row: dict[str, Any] = {"peptide [nmol]": significant(x)}
        if found.limiting:
            row |= {**of_draws("allowed [GBq]", found.activity_mbq[:, k] / 1000.0), "limited by": found.limiting[k]}
            row |= of_draws(f"{found.tumour} [Gy]", found.tumour_gy[:, k])
        for name in names:
            row |= of_draws(f"{name} [Gy/GBq]", 1000.0 * found.gy_per_mbq[:, k, found.response.regions.index(name)])
        rows.append(row)
    return _page("amount", "Amount of peptide: doses, and the activity that limits allow", rows)


def identified_table(rows: list[dict[str, Any]]) -> JobTable:
    """What the calibration leaves of each range."""
    shown = [
        {
            "number": one["name"], "unit": one["unit"], "median": significant(one["median"]),
            "95 % of draws": f"{significant(one['low'])} to {significant(one['high'])}",
            "range": f"{significant(one['range_low'])} to {significant(one['range_high'])}",
            "share of range left": f"{one['left']:.2f}", "": one["known"],
        } for one in rows
    ]  # fmt: skip
    return _page("known", "What organ SUV tell", shown)


def parameter_table(rows: list[dict[str, Any]]) -> JobTable:
    """Parameters with their ranges and sources."""
    shown = [
        {
            "parameter": one["parameter"], "value": significant(one["value"]), "unit": one["unit"],
            "range": f"{significant(one['low'])} to {significant(one['high'])}", "status": one["status"],
            "meaning": one["meaning"], "source": one["source"],
        } for one in rows
    ]  # fmt: skip
    return _page("parameter", "Parameters", shown)
