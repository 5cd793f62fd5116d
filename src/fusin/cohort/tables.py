"""Input tables of the cohort: one schema each for findings, patients, accuracy rows and counts."""

from __future__ import annotations

from fusin.tabular.schema import InputColumn, Schema

__all__ = [
    "ACCURACY_COUNTS",
    "ACCURACY_ROWS",
    "FINDINGS",
    "IHC_SCORES",
    "PAIRED_COUNTS",
    "PATIENTS",
    "PATIENT_COLUMN",
]


def _text(name: str, meaning: str, *, required: bool = False, label: bool = False) -> InputColumn:
    return InputColumn(name, "string", meaning, required=required, label=label)


def _number(name: str, meaning: str, *, most: float | None = None) -> InputColumn:
    return InputColumn(name, "float64", meaning, least=0.0, most=most)


def _count(name: str, meaning: str, *, required: bool = True, most: float | None = None) -> InputColumn:
    return InputColumn(name, "Int64", meaning, required=required, least=0, most=most)


PATIENT_COLUMN = _text("patient", "patient identifier, kept as text", required=True, label=True)
_GROUPS = (
    _text("site", "anatomical site", label=True),
    _text("entity", "tumour entity", label=True),
    _text("grade", "tumour grade", label=True),
)
_THREE = (
    ("positive", ("positive", "pos", "yes", "y", "true", "1", "+", "ja")),
    ("negative", ("negative", "neg", "no", "n", "false", "0", "-", "−", "nein")),
    ("indeterminate", ("indeterminate", "equivocal", "inconclusive", "uninterpretable", "borderline")),
)

FINDINGS = Schema(
    name="finding table",
    columns=(
        PATIENT_COLUMN,
        _text("lesion", "lesion identifier, the same for all tracers; missing for a finding of the whole patient"),
        _text("tracer", "tracer", required=True, label=True),
        InputColumn("detected", "boolean", "whether the tracer showed it; missing when not assessed", required=True),
        *_GROUPS,
        _number("suv_max", "highest voxel [g/mL]"),
        _number("suv_mean", "mean [g/mL]"),
        _number("suv_peak", "SUVpeak [g/mL]"),
        _number("tbr_blood_pool", "SUVmax to blood pool SUVmean"),
        _number("tbr_liver", "SUVmax to liver SUVmean"),
        _number("tbr_spleen", "SUVmax to spleen SUVmean"),
        _number("tbr_marrow", "SUVmax to marrow SUVmean"),
        _number("tbr_muscle", "SUVmax to muscle SUVmean"),
        _number("tbr_brain", "SUVmax to normal brain SUVmean"),
        _number("volume_ml", "tumour volume [mL]"),
        _text("study_date", "date of the scan"),
        _text("series_uid", "Series Instance UID of the PET"),
    ),
    key=("patient", "lesion", "tracer"),
    ordered=(("suv_mean", "suv_max"),),
)
PATIENTS = Schema(
    name="patient table",
    columns=(
        PATIENT_COLUMN,
        _text("sex", "sex", label=True),
        _number("age_years", "age at the scan [years]", most=130),
        *_GROUPS,
        _number("ki67_fraction", "Ki-67 index as a fraction", most=1.0),
        _number("uptake_time_min", "injection to scan [min]"),
        _number("activity_mbq", "injected activity [MBq]"),
    ),
    key=("patient",),
)
IHC_SCORES = Schema(
    name="IHC table",
    columns=(
        PATIENT_COLUMN,
        _text("lesion", "lesion identifier"),
        _count("intensity", "staining intensity 0-3", required=False, most=3),
        _count("extent_class", "class of the stained share 0-4", required=False, most=4),
        _number("stained_fraction", "share of stained cells as a fraction", most=1.0),
        _number("weak_percent", "cells of intensity 1 [%]", most=100),
        _number("moderate_percent", "cells of intensity 2 [%]", most=100),
        _number("strong_percent", "cells of intensity 3 [%]", most=100),
        _number("suv_max", "highest voxel of the lesion [g/mL]"),
    ),
    key=("patient", "lesion"),
)
ACCURACY_ROWS = Schema(
    name="accuracy table",
    columns=(
        PATIENT_COLUMN,
        _text("lesion", "lesion identifier; missing for a result of the whole patient"),
        _text("test", "index test", label=True),
        InputColumn("result", "string", "result of the index test; missing when it was not done", words=_THREE),
        InputColumn(
            "reference", "string", "reference standard; missing when it was not done", required=True, words=_THREE
        ),
        InputColumn("marker", "float64", "continuous marker, high in disease"),
    ),
    key=("patient", "lesion", "test"),
)
ACCURACY_COUNTS = Schema(
    name="table of 2x2 counts",
    columns=(
        _text("study", "study or index test", required=True, label=True),
        _count("tp", "true positives"),
        _count("fn", "false negatives"),
        _count("fp", "false positives"),
        _count("tn", "true negatives"),
        _count("n", "all, for the check of the sum", required=False),
        _number("sensitivity", "published sensitivity as a fraction", most=1.0),
        _number("specificity", "published specificity as a fraction", most=1.0),
    ),
    key=("study",),
    sums=(("n", ("tp", "fn", "fp", "tn")),),
)
PAIRED_COUNTS = Schema(
    name="table of paired counts",
    columns=(
        _text("label", "what was counted, for example a site", required=True, label=True),
        _count("both", "seen by both tracers"),
        _count("first_only", "seen by the first alone"),
        _count("second_only", "seen by the second alone"),
        _count("neither", "seen by neither"),
        _count("n", "all, for the check of the sum", required=False),
    ),
    key=("label",),
    sums=(("n", ("both", "first_only", "second_only", "neither")),),
)
