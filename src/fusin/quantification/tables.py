"""Tidy tables of a reading: one schema serves the writer, the documentation and the tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fusin.quantification.lesions import Lesion
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.reading import Reading
from fusin.quantification.references import ReferenceRegion
from fusin.tabular.columns import Column

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LESION_COLUMNS",
    "REFERENCE_COLUMNS",
    "REGION_COLUMNS",
    "lesion_table",
    "reference_table",
    "region_table",
]


_METRICS = (
    Column("voxels", "Int64", "number of voxels"),
    Column("volume_ml", "float64", "voxel count times voxel volume; for a lesion the CXCR4 tumour volume [mL]"),
    Column("suv_max", "float64", "highest voxel [g/mL]"),
    Column("suv_mean", "float64", "mean [g/mL]"),
    Column("suv_min", "float64", "lowest voxel [g/mL]"),
    Column("suv_median", "float64", "median [g/mL]"),
    Column("suv_sd", "float64", "population standard deviation [g/mL]"),
    Column("suv_peak", "float64", "SUVpeak by the definition in suv_peak_definition [g/mL]"),
    Column("suv_peak_definition", "string", "id of the definition of suv_peak"),
    Column(
        "suv_peak_exact", "float64", "1 mL sphere with exact partial voxels, highest over the region's voxels [g/mL]"
    ),
    Column("suv_peak_ibsi_local", "float64", "IBSI local intensity peak (centred at SUVmax) [g/mL]"),
    Column("suv_peak_ibsi_global", "float64", "IBSI global intensity peak [g/mL]"),
    Column("suv_peak_percist", "float64", "PERCIST: 1 mL sphere of highest mean, need not hold SUVmax [g/mL]"),
    Column("total_lesion_uptake", "float64", "SUVmean x volume, TLU [g]"),
    Column("sam", "float64", "standardised added metabolic activity: (mean - shell mean) x volume [g]"),
    Column("sam_background", "float64", "mean of the background shell of SAM [g/mL]"),
    Column("centroid_x_mm", "float64", "mean voxel centre, LPS x: patient left positive [mm]"),
    Column("centroid_y_mm", "float64", "LPS y: posterior positive [mm]"),
    Column("centroid_z_mm", "float64", "LPS z: head positive [mm]"),
)
_LIMITS = (("", "ratio"), ("_low", "lower 95 % limit of the ratio"), ("_high", "upper 95 % limit of the ratio"))
_TBRS = tuple(
    Column(
        f"tbr_{statistic}_{reference}{suffix}",
        "float64",
        f"{words} SUV{statistic} to {reference.replace('_', ' ')} SUVmean",
    )
    for reference in ("blood_pool", "liver", "spleen", "marrow", "muscle", "brain", "adrenal")
    for statistic in ("max", "peak", "mean")
    for suffix, words in _LIMITS
)
_CASE = (
    Column("patient_id", "string", "Patient ID (0010,0020)"),
    Column("study_date", "string", "Study Date (0008,0020)"),
    Column("series_uid", "string", "Series Instance UID of the PET"),
    Column("tracer", "string", "radiopharmaceutical as the header names it"),
)
LESION_COLUMNS = (
    *_CASE,
    Column("lesion", "Int64", "rank by SUVpeak, from 1"),
    Column("identity", "string", "name that stays when the threshold changes: position of the hottest voxel"),
    Column("site", "string", "anatomical site when labels gave one"),
    Column("status", "string", "candidate, given or physiological (set aside)"),
    Column("reason", "string", "why it has this status"),
    *_METRICS,
    *_TBRS,
    Column("tbr_method", "string", "methods of the intervals"),
)
REGION_COLUMNS = (
    *_CASE,
    Column("region", "string", "name of the region as drawn"),
    Column("norm", "string", "normalisation of all SUV columns: bw, lbm-janmahasatian, ..., bsa"),
    *_METRICS,
)
REFERENCE_COLUMNS = (
    *_CASE,
    Column("kind", "string", "reference tissue"),
    Column("suv_mean", "float64", "mean [g/mL]"),
    Column("suv_mean_low", "float64", "lower 95 % limit of the mean [g/mL]"),
    Column("suv_mean_high", "float64", "upper 95 % limit of the mean [g/mL]"),
    Column("suv_sd", "float64", "population standard deviation [g/mL]"),
    Column("voxels", "Int64", "number of voxels"),
    Column("volume_ml", "float64", "volume [mL]"),
    Column("method", "string", "given, point, labels or automatic"),
    Column("confidence", "float64", "0 to 1 for automatic placement"),
    Column("detail", "string", "how the region was placed"),
    Column("centre_x_mm", "float64", "LPS x of the centroid [mm]"),
    Column("centre_y_mm", "float64", "LPS y [mm]"),
    Column("centre_z_mm", "float64", "LPS z [mm]"),
)


def _frame(rows: Sequence[Mapping[str, Any]], columns: Iterable[Column]) -> pd.DataFrame:
    import pandas as pd

    listed = list(columns)
    data = {c.name: pd.Series([row.get(c.name) for row in rows], dtype=c.dtype) for c in listed}
    return pd.DataFrame(data, columns=[c.name for c in listed])


def _case(series: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "patient_id": series.get("patient_id"),
        "study_date": series.get("study_date"),
        "series_uid": series.get("series_uid"),
        "tracer": series.get("radiopharmaceutical"),
    }


def _place(prefix: str, point: Sequence[float] | None) -> dict[str, Any]:
    return {
        f"{prefix}_{axis}_mm": None if point is None else float(v)
        for axis, v in zip("xyz", point or (0, 0, 0), strict=True)
    }


def _metrics(metrics: RegionMetrics) -> dict[str, Any]:
    row = metrics.to_json()
    return {c.name: row[c.name] for c in _METRICS if c.name in row} | _place("centroid", metrics.centroid_mm)


def _lesion(lesion: Lesion) -> dict[str, Any]:
    row: dict[str, Any] = {
        "lesion": lesion.number,
        "identity": lesion.identity,
        "site": lesion.site or None,
        "status": lesion.status,
        "reason": lesion.reason or None,
        "tbr_method": "; ".join(sorted({t.method for t in lesion.tbrs})) or None,
    }
    for ratio in lesion.tbrs:
        name = f"tbr_{ratio.statistic.split('/')[0]}_{ratio.reference}"
        row |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    return row | _metrics(lesion.metrics)


def lesion_table(reading: Reading, *, physiological: bool = False) -> pd.DataFrame:
    """One row per lesion; columns as in ``LESION_COLUMNS``.

    Parameters
    ----------
    reading : result of a reading
    physiological : give the hot regions that were set aside instead; the two are never in one table, whose sums would
        then mean nothing
    """
    lesions = reading.physiological if physiological else reading.lesions
    case = _case(reading.series)
    return _frame([case | _lesion(lesion) for lesion in lesions], LESION_COLUMNS)


def reference_table(reading: Reading) -> pd.DataFrame:
    """One row per reference region; columns as in ``REFERENCE_COLUMNS``."""
    case = _case(reading.series)
    return _frame([case | _reference(r) for r in reading.references], REFERENCE_COLUMNS)


def _reference(reference: ReferenceRegion) -> dict[str, Any]:
    return {
        "kind": reference.kind,
        "suv_mean": reference.mean,
        "suv_mean_low": reference.mean_low,
        "suv_mean_high": reference.mean_high,
        "suv_sd": reference.sd,
        "voxels": reference.voxels,
        "volume_ml": reference.volume_ml,
        "method": reference.method,
        "confidence": reference.confidence,
        "detail": reference.detail or None,
    } | _place("centre", reference.centre_mm)


def region_table(series: Mapping[str, Any], metrics: Sequence[RegionMetrics]) -> pd.DataFrame:
    """One row per measured region; columns as in ``REGION_COLUMNS``."""
    case = _case(series)
    return _frame(
        [case | {"region": m.name, "norm": series.get("norm")} | _metrics(m) for m in metrics], REGION_COLUMNS
    )
