"""Columns of the tables of a body."""

from __future__ import annotations

from fusin.tabular.columns import Column

__all__ = [
    "BODY_AMOUNT_COLUMNS",
    "BODY_CURVE_COLUMNS",
    "BODY_IDENTIFIED_COLUMNS",
    "BODY_PARAMETER_COLUMNS",
    "BODY_REGION_COLUMNS",
    "BODY_RESPONSE_COLUMNS",
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
