"""Tracer kinetics for people: sentences, tables, figures and one document."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import Method, NoticeLog
from fusin.quantification.study import Stage, silent
from fusin.receptor.compartments import MODELS
from fusin.receptor.graphical import LINES
from fusin.receptor.kinetic_fit import CompartmentFit
from fusin.receptor.kinetic_images import KineticImages, images_of
from fusin.receptor.kinetics import KineticOptions, KineticStudy, RegionKinetics, kinetics_of
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.kinetics_figures import MOST_PANELS, kinetics_figures
from fusin.report.table_text import estimate_text, number_text, shown_columns
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["KINETIC_COLUMNS", "KINETIC_FIT_COLUMNS", "KINETIC_POINT_COLUMNS", "kinetics_output", "kinetics_report"]

_NAMES = ("K1", "k2", "k3", "k4", "VT", "Ki", "BP_ND", "R1", "DVR", "vB", "delay_min")
_UNITS = {
    "K1": "mL/cm3/min",
    "k2": "1/min",
    "k3": "1/min",
    "k4": "1/min",
    "VT": "mL/cm3",
    "Ki": "mL/cm3/min",
    "delay_min": "min",
}
KINETIC_COLUMNS = (
    Column("scan", "string", "scan or patient, where the table names it"),
    Column("region", "string", "region"),
    Column("parameter", "string", "K1, k2, k3, k4, VT, Ki, BP_ND, R1, DVR, vB, delay_min"),
    Column("value", "float64", "its value"),
    Column("value_low", "float64", "lower limit of its interval; empty where the data do not bound it"),
    Column("value_high", "float64", "upper limit"),
    Column("unit", "string", "of the value"),
    Column("method", "string", "of the interval"),
    Column("note", "string", "what to know about its identification"),
)
KINETIC_FIT_COLUMNS = (
    Column("scan", "string", "scan or patient, where the table names it"),
    Column("region", "string", "region"),
    Column("model", "string", "model"),
    Column("n", "Int64", "frames that were used"),
    Column("k", "Int64", "fitted parameters"),
    Column("rss", "float64", "weighted sum of squares"),
    Column("aicc", "float64", "Akaike's criterion for few points; the smallest of a region is best"),
    Column("t_star_min", "float64", "start of the first frame of a graphical method"),
    Column("reason", "string", "why there is no result"),
)
_FIT_HEADINGS = {"n": "n", "k": "k", "rss": "RSS", "aicc": "AICc", "t_star_min": "t* [min]"}
KINETIC_POINT_COLUMNS = (
    Column("scan", "string", "scan or patient, where the table names it"),
    Column("region", "string", "region"),
    Column("time_min", "float64", "middle of the frame"),
    Column("activity", "float64", "measured, in the unit of the table"),
    Column("fitted", "float64", "by the model"),
    Column("weight", "float64", "in least squares"),
    Column("x", "float64", "abscissa of a graphical method"),
    Column("y", "float64", "its ordinate"),
    Column("used", "boolean", "whether the frame made the line"),
)
_METHODS = {
    "1tcm": ("compartments", "Compartment models: Gunn R et al., J Cereb Blood Flow Metab 2001;21:635."),
    "2tcm": ("compartments", "Compartment models: Gunn R et al., J Cereb Blood Flow Metab 2001;21:635."),
    "2tcm-irreversible": ("compartments", "Compartment models: Gunn R et al., J Cereb Blood Flow Metab 2001;21:635."),
    "patlak": ("patlak", "Patlak C et al., J Cereb Blood Flow Metab 1983;3:1."),
    "logan": ("logan", "Logan J et al., J Cereb Blood Flow Metab 1990;10:740."),
    "ma1": ("ma1", "Ichise M et al., J Cereb Blood Flow Metab 2002;22:1271."),
    "srtm": ("srtm", "Lammertsma A, Hume S, Neuroimage 1996;4:153."),
    "logan-ref": ("logan-ref", "Logan J et al., J Cereb Blood Flow Metab 1996;16:834."),
}


def kinetics_report(
    tac: Path, blood: Path | None, *, options: KineticOptions, log: NoticeLog, images: Path | None = None, progress: Stage = silent,
) -> JobOutput:  # fmt: skip
    """Read tables, fit all regions, and make the page.

    Parameters
    ----------
    tac, blood : tables
    options : model and how it is fitted
    log : receives notices
    images : folder of the dynamic images, for maps
    progress : called with (stage, done, total)

    Raises
    ------
    InputError, NotComputable
        See :func:`fusin.receptor.kinetics.kinetics_of` and :func:`fusin.receptor.kinetic_images.images_of`.
    """
    progress("curves", 0, 1)
    found = kinetics_of(tac, blood, options=options, log=log)
    progress("curves", 1, 1)
    options = found.options
    maps = None
    if images is not None:
        maps = images_of(images, found, options=options, log=log, progress=partial(progress, "voxels"))
    inputs = [p for p in (tac, blood) if p is not None]
    output = kinetics_output(found, options=options, log=log, inputs=inputs)
    return output if maps is None else _with_maps(output, maps)


def _nifti_bytes(volume: Volume) -> bytes:
    with TemporaryDirectory() as folder:
        return write_nifti(Path(folder) / "map.nii.gz", volume).read_bytes()


def _with_maps(output: JobOutput, found: KineticImages) -> JobOutput:
    """The result with its maps as files, and a line about each."""
    named = {name: f"maps/{name}.nii.gz" for name in found.maps}
    lines = [
        f"Maps: {found.voxels} of {math.prod(found.shape)} voxels fitted; medians "
        + ", ".join(f"{name} {number_text(found.median(name))}" for name in found.maps) + "."
    ]  # fmt: skip
    document = {
        **output.document, "maps": [{"name": n, "unit": v.unit, "median": found.median(n)} for n, v in found.maps.items()],
        "voxels": found.voxels,
    }  # fmt: skip
    files = {named[name]: _nifti_bytes(volume) for name, volume in found.maps.items()}
    return replace(output, document=document, summary=(*output.summary, *lines), files={**output.files, **files})


def kinetics_output(found: KineticStudy, *, options: KineticOptions, log: NoticeLog, inputs: list[Path]) -> JobOutput:
    """The page and the document of a study that was fitted."""
    fit = options.fit
    parameters = {
        "model": options.model, "vb": "fitted" if fit.vb is None else fit.vb, "frames": "mean" if fit.average else "middle",
        "delay_min": "fitted" if fit.delay_min is None else fit.delay_min, "weights": found.weighting, "interval": fit.interval,
        "level": fit.level, "bounds": dict(fit.bounds), "reference": options.reference, "k2_ref": options.k2_ref,
        "t_star_min": options.t_star_min, "last_frames": options.last_frames, "automatic": options.automatic,
        "parent": options.parent, "dispersion_min": options.dispersion_min, "plasma_over_blood": options.plasma_over_blood,
        "until_min": options.until_min, "nuclide": options.nuclide,
    }  # fmt: skip
    return JobOutput(
        title="Tracer kinetics", document=_document(found), sections=_sections(found, options), summary=_summary(found, options),
        notices=log.notices, provenance=provenance_of(inputs, parameters, methods=(Method(*_METHODS[options.model]),)),
    )  # fmt: skip


def _document(found: KineticStudy) -> dict[str, Any]:
    """The contract of ``fusin receptor kinetics --json``: the first region's numbers, then all regions."""
    regions = [_region(r) for r in found.regions]
    first = next((d for d, r in zip(regions, found.regions, strict=True) if not r.reason), regions[0])
    head = {k: first[k] for k in ("scan", "region", *_NAMES, "intervals", "aicc")}
    return {"model": found.model, **head, "unit": found.unit or None, "weights": found.weighting, "regions": regions}


def _region(one: RegionKinetics) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(_NAMES)
    values |= {name: e.value for name, e in one.estimates.items()}
    fit, line = one.compartments, one.line
    if fit is not None and one.model != "srtm":
        # What was fixed is part of the answer, with no interval of its own.
        values |= {name: fit.rates[name] for name in ("vB", "delay_min") if values[name] is None}
    return {
        "scan": one.curve.scan, "region": one.curve.region, **values,
        "intervals": {name: [e.low, e.high] for name, e in one.estimates.items()},
        "aicc": None if fit is None else fit.aicc,
        "estimates": {name: e.to_json() for name, e in one.estimates.items()},
        "n": fit.n if fit is not None else (int(line.used.sum()) if line is not None else None),
        "k": fit.k if fit is not None else (2 if line is not None else None),
        "rss": None if fit is None else fit.rss,
        "at_limit": [] if fit is None else list(fit.at_limit),
        "t_star_min": None if line is None else line.t_star_min,
        "intercept": None if line is None else line.intercept,
        "largest_error": None if line is None else line.largest_error,
        "other_frames": None if one.averaged is None else one.averaged[1],
        "candidates": [{"model": m, "aicc": c.aicc, "k": c.k, "rss": c.rss} for m, c in one.candidates.items()],
        "input": None if one.source is None else one.source.parent or None,
        "reason": one.reason or None,
    }  # fmt: skip


def _summary(found: KineticStudy, options: KineticOptions) -> tuple[str, ...]:
    done = [r for r in found.regions if not r.reason]
    count = f"{len(done)} region{'' if len(done) == 1 else 's'}"
    failed = len(found.regions) - len(done)
    first = (
        f"{_title(found.model)}: {count} fitted"
        + (f", {failed} not" if failed else "")
        + f"; weights: {found.weighting}."
    )
    lines = [_sentence(r) for r in done[:MOST_PANELS]]
    lines += [f"{r.curve.name}: {r.reason}." for r in found.regions if r.reason][:MOST_PANELS]
    return (first, *lines)


def _title(model: str) -> str:
    title = MODELS[model].title if model in MODELS else f"{model} plot"
    return title[0].upper() + title[1:]


def _sentence(one: RegionKinetics) -> str:
    parts = [f"{name} {estimate_text(e)}" for name, e in one.estimates.items()]
    best = ""
    ranked = sorted((c for c in one.candidates.items() if c[1].aicc is not None), key=lambda c: float(c[1].aicc or 0.0))
    if len(ranked) > 1:
        ahead = float(ranked[1][1].aicc or 0.0) - float(ranked[0][1].aicc or 0.0)
        best = f"; lowest AICc: {ranked[0][0]}, {ahead:.1f} below {ranked[1][0]}"
    return f"{one.curve.name}: {', '.join(parts)}{best}."


def _rows(found: KineticStudy) -> list[dict[str, Any]]:
    return [
        {
            "scan": r.curve.scan, "region": r.curve.region, "parameter": name, "value": e.value, "value_low": e.low,
            "value_high": e.high, "unit": _UNITS.get(name, ""), "method": e.method, "note": e.note,
        }
        for r in found.regions for name, e in r.estimates.items()
    ]  # fmt: skip


def _fit_rows(found: KineticStudy) -> list[dict[str, Any]]:
    rows = []
    for r in found.regions:
        fits: dict[str, CompartmentFit | None] = {**r.candidates} or {r.model: r.compartments}
        for model, fit in fits.items():
            rows.append({
                "scan": r.curve.scan, "region": r.curve.region, "model": model,
                "n": fit.n if fit is not None else (int(r.line.used.sum()) if r.line is not None else None),
                "k": fit.k if fit is not None else (2 if r.line is not None else None), "rss": None if fit is None else fit.rss,
                "aicc": None if fit is None else fit.aicc, "t_star_min": None if r.line is None else r.line.t_star_min,
                "reason": r.reason or None,
            })  # fmt: skip
    return rows


def _point_rows(found: KineticStudy) -> list[dict[str, Any]]:
    rows = []
    for r in found.regions:
        for i in range(r.curve.frames.n):
            line = r.line
            rows.append({
                "scan": r.curve.scan, "region": r.curve.region, "time_min": float(r.curve.frames.mid_min[i]),
                "activity": float(r.curve.activity[i]), "weight": float(r.weights[i]),
                "fitted": None if r.compartments is None else float(r.compartments.fitted[i]),
                "x": None if line is None else float(line.x[i]), "y": None if line is None else float(line.y[i]),
                "used": None if line is None else bool(line.used[i]),
            })  # fmt: skip
    return rows


def _sections(found: KineticStudy, options: KineticOptions) -> tuple[JobSection, ...]:
    frame = to_frame(_rows(found), KINETIC_COLUMNS)
    hidden = {"method"} | ({"scan"} if all(not r.curve.scan for r in found.regions) else set())
    hidden |= {c for c in ("note",) if (frame[c].fillna("") == "").all()}
    shown = shown_columns(frame, KINETIC_COLUMNS, leave_out=hidden)
    method = next((e.method for r in found.regions for e in r.estimates.values()), "")
    level = f"Intervals of {100 * options.fit.level:g} %: {method}."
    text = [level, _view(options)]
    if options.model in ("srtm", "logan-ref"):
        text.append(
            f"Reference region: {options.reference}. No organ is free of CXCR4, so BP_ND is a ratio to that region."
        )
    fits = to_frame(_fit_rows(found), KINETIC_FIT_COLUMNS)
    gone = {c for c in ("rss", "aicc", "t_star_min", "reason") if fits[c].isna().all()} | (hidden & {"scan"})
    points = JobTable(
        name="points", title="Frames", frame=to_frame(_point_rows(found), KINETIC_POINT_COLUMNS), on_page=False
    )
    return (
        JobSection(name="kinetics", title="Parameters", text=tuple(text),
                   tables=(JobTable(name="kinetics", title="Parameters", frame=frame, shown=shown),)),
        JobSection(name="curves", title="Curves", text=_input_words(found),
                   figures=kinetics_figures(found.regions, unit=found.unit)),
        JobSection(name="fits", title="Fits", text=(f"Weights of the frames: {found.weighting}.",), tables=(
            JobTable(name="fits", title="Fits", frame=fits,
                     shown=shown_columns(fits, KINETIC_FIT_COLUMNS, leave_out=gone, headings=_FIT_HEADINGS,
                                         significant={"rss": 3})), points)),
    )  # fmt: skip


def _view(options: KineticOptions) -> str:
    if options.model in LINES:
        return "Slopes of lines through transformed frames; noise in the frames biases VT of Logan's plot downwards."
    seen = "its mean over each frame" if options.fit.average else "its value at the middle of each frame"
    vb = "fitted" if options.fit.vb is None else f"{options.fit.vb:g}"
    return f"The model is compared by {seen}." + (
        "" if options.model == "srtm" else f" Share of blood in the regions: {vb}."
    )


def _input_words(found: KineticStudy) -> tuple[str, ...]:
    words = list(dict.fromkeys(r.source.parent for r in found.regions if r.source is not None and r.source.parent))
    more = len([r for r in found.regions if not r.reason]) - MOST_PANELS
    text = [f"Parent fraction: {words[0]}."] if words else []
    return tuple(text + ([f"{more} further regions are in the tables."] if more > 0 else []))
