"""What stands on the page: each section of a reading as plain rows of text and finished pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from fusin.provenance import Notice
from fusin.quantification.lesions import Lesion
from fusin.quantification.reading import Reading
from fusin.quantification.references import ReferenceRegion
from fusin.report import charts, figures
from fusin.report.tiles import Mark, three_planes
from fusin.report.wording import (
    DASH,
    KIND_TITLES,
    SEVERITIES,
    any_value,
    flat,
    interval,
    millimetres,
    number,
    verdict,
    words,
)

__all__ = ["page_content"]

_SERIES_SHOWN = {
    "patient_name", "patient_id", "study_date", "radiopharmaceutical", "nuclide", "activity_mbq", "injection_time",
    "uptake_time_min", "weight_kg", "units", "rule", "factor_suvbw_per_bqml", "slices", "spacing_mm", "manufacturer",
    "model", "description", "modality", "decay_correction", "reference_time", "half_life_s", "matrix", "norm",
}  # fmt: skip
_TAGS = {
    "V": "V: read in the source",
    "D": "D: derived by arithmetic from values read in the source",
    "U": "U: claimed by a secondary guide only",
}
_METRICS = {"suv_max": "SUVmax", "suv_mean": "SUVmean", "suv_peak": "SUVpeak"}
_MEANT_FOR_RATIOS = ("blood_pool", "liver")


def page_content(reading: Reading, *, window: tuple[float, float]) -> dict[str, Any]:
    """Everything the template shows, in the order of the page.

    Parameters
    ----------
    reading : result of a reading
    window : SUV limits of all pictures
    """
    overlay = figures.mip_overlay(reading, window=window)
    given = any(lesion.status == "given" for lesion in reading.lesions)
    return {
        "noun": "lesion" if given else "lesion candidate",
        "facts": _header_facts(reading.series),
        "key_figures": _key_figures(reading, given),
        "suv": _suv_facts(reading.series),
        "threshold": {k: any_value(v) for k, v in reading.threshold.items()},
        "threshold_suv": number(reading.threshold.get("suv")),
        "searched": reading.burden.lesions is not None,
        "mips": [Markup(figures.static_mip(overlay, view)) for view in ("anterior", "left")],
        "mip_note": figures.scale_note(overlay),
        "turning": figures.turning_mip(overlay),
        "most_turning": figures.MOST_TURNING,
        "window": [number(v, 0 if float(v).is_integer() else 1) for v in window],
        "lesions": _lesion_rows(reading),
        "peak_definition": _peak_definition(reading),
        "tiles": _lesion_tiles(reading, window),
        "most_tiles": figures.MOST_NUMBERED,
        "charts": _charts(reading),
        "most_rows": charts.MOST_ROWS,
        "has_ct": reading.ct is not None,
        "references": [_reference_row(reading, ref, window) for ref in reading.references],
        "declined": _declined(reading),
        "physiological": [_spot_row(spot) for spot in reading.physiological],
        "excluded": [(region.name, number(region.volume_ml, 1)) for region in reading.excluded],
        "readout": _readout(reading),
        "adrenal": _adrenal(reading),
        "notices": _notices(reading.notices),
        "methods": [(m.id, m.citation) for m in reading.provenance.methods],
        "inputs": reading.provenance.inputs,
        "parameters": flat(reading.provenance.parameters),
        "versions": sorted(reading.provenance.versions.items()),
        "outputs": [(words(k), v) for k, v in reading.outputs.items()],
        "series_more": flat({k: v for k, v in reading.series.items() if k not in _SERIES_SHOWN}, "series."),
        "dash": DASH,
    }


def _header_facts(series: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Study facts under the title."""
    tracer = [any_value(series.get(k)) for k in ("radiopharmaceutical", "nuclide")]
    scanner = [any_value(series.get(k)) for k in ("manufacturer", "model")]
    facts = [
        ("Patient", any_value(series.get("patient_id"))),
        ("Study date", any_value(series.get("study_date"))),
        ("Tracer", " · ".join(t for t in tracer if t != DASH) or DASH),
        ("Series", any_value(series.get("description"))),
        ("Scanner", " ".join(s for s in scanner if s != DASH) or DASH),
    ]
    if series.get("patient_name"):
        facts.insert(0, ("Name", any_value(series["patient_name"])))
    return facts


def _key_figures(reading: Reading, given: bool) -> list[dict[str, str]]:
    """Seven numbers that a reader looks for first."""
    burden = reading.burden
    peaks = [x for x in reading.lesions if x.metrics.suv_max is not None]
    hottest = max(peaks, key=lambda x: x.metrics.suv_max or 0.0, default=None)
    where = f"no. {hottest.number}" + (f", {hottest.site}" if hottest.site else "") if hottest else ""
    rows = [
        {"label": "Lesions given" if given else "Lesion candidates", "value": any_value(burden.lesions), "unit": "",
         "note": ""},
        {"label": "CXCR4-TV", "value": number(burden.tumour_volume_ml, 1), "unit": "mL",
         "note": "tumour volume"},
        {"label": "TLU", "value": number(burden.total_lesion_uptake, 1), "unit": "g", "note": "SUVmean × volume"},
        {"label": "Hottest lesion", "value": number(hottest.metrics.suv_max) if hottest else DASH,
         "unit": "SUVmax" if hottest else "", "note": where},
    ]  # fmt: skip
    for kind in _MEANT_FOR_RATIOS:
        ref = next((r for r in reading.references if r.kind == kind), None)
        rows.append(
            {
                "label": KIND_TITLES[kind],
                "value": number(ref.mean) if ref else DASH,
                "unit": "SUVmean" if ref else "",
                "note": f"95 % {interval(ref.mean_low, ref.mean_high)}" if ref else "not placed",
            }
        )
    # A unit beside a dash would suggest a number.
    return [{**row, "unit": "" if row["value"] == DASH else row["unit"]} for row in rows]


def _suv_facts(series: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the voxels became SUV."""
    factor = series.get("factor_suvbw_per_bqml")
    spacing, matrix = series.get("spacing_mm"), series.get("matrix")
    shape = any_value(series.get("slices"))
    if matrix is not None:
        shape += " × " + " × ".join(any_value(n) for n in matrix)
    if spacing is not None:
        shape += " voxels of " + " × ".join(number(v) for v in spacing) + " mm"
    return [
        ("Rule", any_value(series.get("rule"))),
        ("Stored units", any_value(series.get("units"))),
        ("Factor", f"{factor:.6g} SUVbw per Bq/mL" if isinstance(factor, (int, float)) else any_value(factor)),
        ("Normalised to", any_value(series.get("norm"))),
        ("Injected activity", _with_unit(series.get("activity_mbq"), 1, "MBq")),
        ("Injected at", any_value(series.get("injection_time"))),
        ("Decay correction", any_value(series.get("decay_correction"))),
        ("Decayed to", any_value(series.get("reference_time"))),
        ("Half-life", _with_unit(series.get("half_life_s"), 1, "s")),
        ("Uptake time", _with_unit(series.get("uptake_time_min"), 0, "min")),
        ("Weight", _with_unit(series.get("weight_kg"), 1, "kg")),
        ("Grid", shape),
    ]


def _with_unit(value: Any, digits: int, unit: str) -> str:
    """Number and unit, or a dash alone."""
    text = number(value, digits)
    return text if text == DASH else f"{text} {unit}"


def _ratio(lesion: Lesion, kind: str) -> dict[str, str]:
    """TBR against one reference with its interval."""
    found = lesion.tbr(kind)
    if found is None:
        return {"value": DASH, "interval": "", "method": ""}
    return {"value": number(found.value), "interval": interval(found.low, found.high), "method": found.method}


def _lesion_rows(reading: Reading) -> list[dict[str, Any]]:
    """One table row per lesion."""
    rows = []
    for lesion in reading.lesions:
        m = lesion.metrics
        rows.append(
            {
                "number": lesion.number,
                "identity": lesion.identity,
                "site": lesion.site or DASH,
                "status": lesion.status,
                "reason": lesion.reason,
                "suv_max": number(m.suv_max),
                "suv_peak": number(m.suv_peak),
                "definition": m.suv_peak_definition,
                "suv_mean": number(m.suv_mean),
                "volume": number(m.volume_ml),
                "tlu": number(m.total_lesion_uptake, 1),
                "blood_pool": _ratio(lesion, "blood_pool"),
                "liver": _ratio(lesion, "liver"),
                "centroid": millimetres(m.centroid_mm),
                "notes": m.notes,
            }
        )
    return rows


def _peak_definition(reading: Reading) -> str:
    """The SUVpeak definition that all lesions share, empty when they differ or there are none."""
    found = {lesion.metrics.suv_peak_definition for lesion in reading.lesions}
    return found.pop() if len(found) == 1 else ""


def _lesion_tiles(reading: Reading, window: tuple[float, float]) -> list[dict[str, Any]]:
    """Cards of the first lesions: planes through the hottest voxel."""
    marks = [Mark.of(lesion.region) for lesion in reading.lesions]
    neighbours = [m for m in marks if m is not None]
    rows = _lesion_rows(reading)
    tiles = []
    for lesion, mark, row in list(zip(reading.lesions, marks, rows, strict=True))[: figures.MOST_NUMBERED]:
        centre = figures.region_tile_centre(lesion.region, lesion.metrics.max_mm)
        picture = ""
        if mark is not None and centre is not None:
            picture = three_planes(reading.pet, reading.ct, centre, main=mark, others=neighbours, window=window,
                                   label=f"Lesion {lesion.number}: three planes through its hottest voxel")  # fmt: skip
        tiles.append({**row, "picture": Markup(picture)})
    return tiles


def _charts(reading: Reading) -> list[dict[str, Any]]:
    """Charts that have something to show, each with its caption."""
    peaks = charts.peak_chart(reading.lesions, reading.references, reading.threshold)
    ratios = charts.tbr_chart(reading.lesions)
    found = []
    if peaks:
        found.append(
            {
                "picture": Markup(peaks),
                "caption": "SUVpeak by lesion. Lines and bands: mean and standard deviation of the reference voxels.",
            }
        )
    if ratios:
        limit = f" First {charts.MOST_ROWS} lesions." if len(reading.lesions) > charts.MOST_ROWS else ""
        found.append(
            {
                "picture": Markup(ratios),
                "caption": f"Tumour-to-background ratios with 95 % intervals; the dashed line is 1.{limit}",
            }
        )
    return found


def _reference_row(reading: Reading, ref: ReferenceRegion, window: tuple[float, float]) -> dict[str, Any]:
    """One reference region with the tile that shows its place."""
    mark = Mark.of(ref.region)
    centre = figures.region_tile_centre(ref.region, ref.centre_mm)
    title = KIND_TITLES[ref.kind]
    picture = ""
    if mark is not None and centre is not None:
        picture = three_planes(reading.pet, reading.ct, centre, main=mark, window=window, reference=True,
                               label=f"{title}: place of the reference region in three planes")  # fmt: skip
    return {
        "title": title,
        "name": ref.region.name,
        "mean": number(ref.mean),
        "sd": number(ref.sd),
        "interval": interval(ref.mean_low, ref.mean_high),
        "voxels": ref.voxels,
        "volume": number(ref.volume_ml),
        "method": ref.method,
        "confidence": number(ref.confidence),
        "detail": ref.detail,
        "centre": millimetres(ref.centre_mm),
        "picture": Markup(picture),
    }


def _declined(reading: Reading) -> list[tuple[str, str]]:
    """References that ratios need and that are absent, each with what the notices say about it."""
    placed = {ref.kind for ref in reading.references}
    absent = [kind for kind in KIND_TITLES if kind not in placed]
    rows = []
    for kind in absent:
        about = [n.message for n in reading.notices if n.code.startswith("REFERENCE_") and n.where == kind]
        if about or kind in _MEANT_FOR_RATIOS:
            rows.append((KIND_TITLES[kind], "; ".join(about) or "no region of this kind was placed or given"))
    return rows


def _spot_row(spot: Lesion) -> dict[str, str]:
    """One hot region that was set aside."""
    return {
        "number": str(spot.number),
        "site": spot.site or spot.region.name or DASH,
        "reason": spot.reason or DASH,
        "suv_max": number(spot.metrics.suv_max),
        "suv_mean": number(spot.metrics.suv_mean),
        "volume": number(spot.metrics.volume_ml),
        "centroid": millimetres(spot.metrics.centroid_mm),
    }


def _readout(reading: Reading) -> dict[str, Any]:
    """Verdicts of the cited rules and the project-defined score."""
    readout = reading.readout
    rules = [
        {
            "title": rule.title,
            "id": rule.rule_id,
            **verdict(rule.verdict),
            "because": rule.because,
            "citation": rule.citation or DASH,
            "tag": _TAGS.get(rule.tag, rule.tag),
            "lesions": ", ".join(str(n) for n in rule.lesions),
        }
        for rule in sorted(readout.rules, key=lambda rule: rule.verdict is None)
    ]
    return {
        "rules": rules,
        "score": readout.score,
        "score_name": readout.score_name or "Score",
        "score_because": readout.score_because,
    }


def _adrenal(reading: Reading) -> dict[str, Any] | None:
    """Indices of the adrenals with the cut-offs they were held against."""
    found = reading.adrenal
    if found is None:
        return None
    names = {
        "LI": ("SUVmax dominant / SUVmax non-dominant adrenal", found.li),
        "LLR": ("SUVmax / liver SUVmean", found.llr),
        "LCR": ("SUVmax / contralateral adrenal SUVmean", found.lcr),
        "LAR": ("SUVmax / adjacent adrenal SUVmean", found.lar),
    }
    return {
        "dominant": found.dominant or DASH,
        "left": number(found.suv_max_left),
        "right": number(found.suv_max_right),
        "indices": [(name, meaning, number(value)) for name, (meaning, value) in names.items()],
        "cutoffs": [_cutoff_row(c) for c in sorted(found.cutoffs, key=lambda c: not c.get("applicable", True))],
        "because": found.because,
    }


def _cutoff_row(cutoff: Mapping[str, Any]) -> dict[str, str]:
    """One published cut-off: what it asks, what was found, for whom it was made."""
    applicable = cutoff.get("applicable", True)
    shown = verdict(cutoff.get("verdict")) if applicable else {"word": "not applicable", "symbol": "·"}
    minutes = _with_unit(cutoff.get("time_min"), 0, "min")
    made_for = (any_value(cutoff.get("tracer")), minutes, any_value(cutoff.get("endpoint")))
    performance = [f"n = {any_value(cutoff.get('n'))}"] if cutoff.get("n") is not None else []
    performance += [
        f"{rate} {number(cutoff[rate])}" for rate in ("sensitivity", "specificity") if cutoff.get(rate) is not None
    ]
    operator = {">=": "≥", "<=": "≤"}.get(str(cutoff.get("op")), any_value(cutoff.get("op")))
    name = any_value(cutoff.get("metric"))
    metric = _METRICS.get(name, name.upper())
    return {
        **shown,
        "rule": f"{metric} {operator} {any_value(cutoff.get('cutoff'))}",
        "id": any_value(cutoff.get("id")),
        "value": number(cutoff.get("value")),
        "because": str(cutoff.get("because") or ""),
        "made_for": ", ".join(part for part in made_for if part != DASH) or DASH,
        "performance": ", ".join(performance) or DASH,
        "citation": any_value(cutoff.get("citation")),
        "tag": _TAGS.get(str(cutoff.get("tag")), any_value(cutoff.get("tag"))),
    }


def _notices(notices: tuple[Notice, ...]) -> list[dict[str, str]]:
    """Notices, the gravest first, otherwise in the order in which they came."""
    ranked = sorted(notices, key=lambda n: SEVERITIES.index(n.severity))
    return [
        {
            "severity": n.severity,
            "code": n.code,
            "message": n.message,
            "where": n.where or DASH,
            "change": "" if n.raw is None and n.used is None else f"{any_value(n.raw)} → {any_value(n.used)}",
        }
        for n in ranked
    ]
