"""Time-activity curves and doses for people: sentences, tables, figures and one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusin.dosimetry.curve_models import MODELS
from fusin.dosimetry.dose_table import DoseOptions, DoseTable, RegionDose, dose_table
from fusin.dosimetry.time_activity_region import RegionIntegral
from fusin.provenance import Method, NoticeLog
from fusin.report.dose_figures import time_activity_figures
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import estimate_text, number_text, shown_columns
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = [
    "CANDIDATE_COLUMNS",
    "DOSE_RESULT_COLUMNS",
    "PARAMETER_COLUMNS",
    "POINT_COLUMNS",
    "dose_output",
    "dose_report",
]


def _estimate_columns(name: str, meaning: str) -> tuple[Column, ...]:
    return (
        Column(name, "float64", meaning),
        Column(f"{name}_low", "float64", f"lower limit of `{name}`"),
        Column(f"{name}_high", "float64", f"upper limit of `{name}`"),
    )


DOSE_RESULT_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("model", "string", "curve or method"),
    Column("n", "Int64", "number of times"),
    *_estimate_columns("tia_mbq_h", "time-integrated activity from administration to infinity"),
    Column("tia_u_mbq_h", "float64", "its standard uncertainty (k = 1)"),
    *_estimate_columns("tiac_h", "time-integrated activity per administered activity"),
    *_estimate_columns("t_eff_h", "effective half-life of the slowest component"),
    Column("extrapolated_fraction", "float64", "share of the integral beyond the last time"),
    Column("before_fraction", "float64", "share of the integral before the first time"),
    Column("mass_g", "float64", "mass"),
    *_estimate_columns("dose_gy", "self-dose of a sphere of that mass"),
    *_estimate_columns("dose_gy_per_gbq", "the same per administered activity"),
    Column("method", "string", "of the interval"),
    Column("reason", "string", "why a number is missing"),
)
PARAMETER_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("parameter", "string", "rate `lambda_j_per_h` or amplitude `a_j_mbq` of A(t) = sum a_j exp(-lambda_j t)"),
    *_estimate_columns("value", "its value"),
    Column("method", "string", "of the interval"),
)
CANDIDATE_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("model", "string", "curve"),
    Column("k", "Int64", "number of parameters"),
    Column("aicc", "float64", "Akaike's criterion for few points"),
    Column("weight", "float64", "share in the average"),
    Column("tia_mbq_h", "float64", "time-integrated activity by this curve"),
    Column("reason", "string", "why it was left out"),
)
POINT_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("time_h", "float64", "hours after administration"),
    Column("activity_mbq", "float64", "measured, at that time"),
    Column("uncertainty_mbq", "float64", "standard uncertainty as stated"),
    Column("fitted_mbq", "float64", "by the curve that is drawn"),
    Column("residual_percent", "float64", "measured less fitted, in percent of fitted"),
)
_HEADINGS = {
    "n": "times", "tia_mbq_h": "TIA [MBq h]", "tiac_h": "TIAC, h", "t_eff_h": "T_eff, h", "mass_g": "mass, g",
    "extrapolated_fraction": "beyond last time", "dose_gy": "dose [Gy]", "dose_gy_per_gbq": "dose [Gy/GBq]",
    "aicc": "AICc", "k": "parameters",
}  # fmt: skip


def dose_report(source: Path, *, options: DoseOptions, log: NoticeLog, extra_inputs: Sequence[Path] = ()) -> JobOutput:
    """Read a table, integrate its regions, and make the page.

    Parameters
    ----------
    source : table of activities
    options : nuclide, administered activity, method
    log : receives notices
    extra_inputs : further files that entered, such as priors

    Raises
    ------
    InputError, NotComputable
        See :func:`fusin.dosimetry.dose_table.dose_table`.
    """
    found = dose_table(source, options=options, log=log)
    return dose_output(found, options=options, log=log, inputs=(source, *extra_inputs))


def dose_output(found: DoseTable, *, options: DoseOptions, log: NoticeLog, inputs: Sequence[Path] = ()) -> JobOutput:
    """The page and the document of a table that was integrated."""
    parameters = {
        "nuclide": found.nuclide, "half_life_h": found.half_life_h, "administered_mbq": found.administered_mbq,
        "decay_correction": options.decay_correction, "uncertainty_percent": options.uncertainty_percent,
        "mass_u_percent": options.mass_u_percent,
        **{name: getattr(options.integration, name) for name in options.integration.__slots__},
    }  # fmt: skip
    return JobOutput(
        title="Time-activity curves and doses", document=_document(found), sections=_sections(found, options),
        summary=_summary(found), notices=log.notices,
        provenance=provenance_of(inputs, parameters, methods=_methods(found, options)),
    )  # fmt: skip


def _document(found: DoseTable) -> dict[str, Any]:
    """The contract of ``fusin dose --json``."""
    return {
        "nuclide": found.nuclide,
        "half_life_h": found.half_life_h,
        "administered_mbq": found.administered_mbq,
        "regions": [_region(r) for r in found.regions],
    }


def _region(one: RegionDose) -> dict[str, Any]:
    found = one.integral
    notices = [n.to_json() for n in one.notices]
    dose = {
        "mass_g": one.mass_g,
        "mass_u_g": one.mass_u_g,
        "dose_gy": one.dose_gy.to_json() if one.dose_gy else None,
        "dose_reason": one.dose_reason or None,
        "reason": one.reason or None,
        "notices": notices,
    }
    if found is None:
        empty = ("model", "tia_mbq_h", "tia_u_mbq_h", "tiac_h", "t_eff_h", "extrapolated_fraction", "before_fraction")
        return {
            "name": one.name,
            **dict.fromkeys(empty),
            "parameters": {},
            "parameter_estimates": {},
            "candidates": [],
            **dose,
        }
    return {
        "name": one.name,
        "model": found.model,
        "averaged": found.averaged,
        "weights": found.weights or None,
        "n": found.points.n,
        "parameters": dict(found.parameters),
        "parameter_estimates": {name: e.to_json() for name, e in found.parameter_estimates.items()},
        "tia_mbq_h": found.tia_mbq_h.to_json(),
        "tia_u_mbq_h": found.tia_u_mbq_h,
        "tiac_h": one.tiac_h.to_json() if one.tiac_h else None,
        "t_eff_h": found.t_eff_h.to_json() if found.t_eff_h else None,
        "extrapolated_fraction": found.extrapolated_fraction,
        "before_fraction": found.before_fraction,
        "candidates": _candidates(one, found),
        "prior": None if found.prior is None else found.prior.id,
        **dose,
    }


def _candidates(one: RegionDose, found: RegionIntegral) -> list[dict[str, Any]]:
    return [
        {
            "region": one.name, "model": c.model, "k": MODELS[c.model].parameters, "aicc": c.aicc, "weight": c.weight,
            "tia_mbq_h": None if c.fit is None else c.fit.integral_mbq_h(), "reason": c.reason or None,
        }
        for c in found.candidates
    ]  # fmt: skip


def _summary(found: DoseTable) -> tuple[str, ...]:
    done = [r for r in found.regions if r.integral is not None]
    count = f"{len(done)} region{'' if len(done) == 1 else 's'}"
    given = f", {found.administered_mbq:g} MBq administered" if found.administered_mbq is not None else ""
    first = f"{found.nuclide} (half-life {found.half_life_h:g} h{given}): {count} integrated"
    first += f", {len(found.failed)} not." if found.failed else "."
    return (first, *(_sentence(r) for r in found.regions))


def _sentence(one: RegionDose) -> str:
    found = one.integral
    if found is None:
        return one.reason + "."
    led = "an average of models led by " if found.averaged else ""
    text = f"{one.name}: {estimate_text(found.tia_mbq_h)} MBq h by {led}{found.model}"
    text += f", {estimate_text(one.tiac_h)} h per administered activity" if one.tiac_h else ""
    text += f" ({found.tia_mbq_h.note})" if found.tia_mbq_h.note else ""
    text += (
        f", {100 * found.extrapolated_fraction:.0f} % beyond the last time" if found.points.n > 1 else ", from one scan"
    )
    if one.dose_gy is not None:
        text += f"; {estimate_text(one.dose_gy)} Gy to a sphere of {number_text(one.mass_g, 4)} g"
    return text + "."


def _sections(found: DoseTable, options: DoseOptions) -> tuple[JobSection, ...]:
    doses = to_frame([_dose_row(r, found.administered_mbq) for r in found.regions], DOSE_RESULT_COLUMNS)
    hidden = {"n", "tia_u_mbq_h", "before_fraction", "method"}
    hidden |= {
        c for c in ("tiac_h", "t_eff_h", "mass_g", "dose_gy", "dose_gy_per_gbq", "reason") if doses[c].isna().all()
    }
    hidden |= {f"{c}{s}" for c in hidden for s in ("_low", "_high")}
    shown = shown_columns(
        doses, DOSE_RESULT_COLUMNS, percent=("extrapolated_fraction",), headings=_HEADINGS, leave_out=hidden
    )
    shown = tuple(replace(s, digits=1) if s.name == "mass_g" else s for s in shown)
    level = options.integration.level
    text = [f"Intervals of {100 * level:g} %: {m}." for m in _interval_methods(found)]
    if doses["dose_gy"].notna().any():
        text.append(
            "A dose is that of a region to itself, as a sphere of its mass in tissue; what other regions add is not in it."
        )
    sections = [
        JobSection(name="doses", title="Regions", text=tuple(text),
                   tables=(JobTable(name="doses", title="Time-integrated activity and dose", frame=doses, shown=shown),)),
        JobSection(name="curves", title="Curves", text=_weighting(found),
                   figures=time_activity_figures(found.regions, level=level)),
        JobSection(name="parameters", title="Parameters", tables=_curve_tables(found),
                   text=("A(t) = sum of a_j exp(-lambda_j t), t in hours after administration.",)),
    ]  # fmt: skip
    rows = [c for r in found.regions if r.integral for c in _candidates(r, r.integral)]
    if len(rows) > sum(r.integral is not None for r in found.regions):
        frame = to_frame(rows, CANDIDATE_COLUMNS)
        table = JobTable(name="models", title="Models", frame=frame,
                         shown=shown_columns(frame, CANDIDATE_COLUMNS, headings=_HEADINGS))  # fmt: skip
        words = (
            "The integral is the average over the models with weight."
            if options.integration.average
            else "The model with the lowest AICc stands."
        )
        sections.append(JobSection(name="models", title="Choice of models", text=(words,), tables=(table,)))
    return tuple(sections)


def _weighting(found: DoseTable) -> tuple[str, ...]:
    """How the points were weighted, in words."""
    meaning = {"none": "no weights", "relative": "weights 1/activity²", "given": "weights 1/uncertainty² as stated"}
    used = dict.fromkeys(r.integral.weights for r in found.regions if r.integral is not None and r.integral.weights)
    return (f"Least squares with {' or '.join(meaning[w] for w in used)}.",) if used else ()


def _interval_methods(found: DoseTable) -> list[str]:
    return list(dict.fromkeys(r.integral.tia_mbq_h.method for r in found.regions if r.integral is not None))


def _spread(name: str, e: Estimate | None, scale: float = 1.0) -> dict[str, float | None]:
    values = (None, None, None) if e is None else (e.value, e.low, e.high)
    return {f"{name}{s}": None if v is None else v * scale for s, v in zip(("", "_low", "_high"), values, strict=True)}


def _dose_row(one: RegionDose, administered_mbq: float | None) -> Mapping[str, Any]:
    found = one.integral
    per_gbq = None if administered_mbq is None else one.dose_gy
    row: dict[str, Any] = {"region": one.name, "mass_g": one.mass_g, "reason": one.reason or one.dose_reason or None}
    row |= _spread("dose_gy", one.dose_gy) | _spread("dose_gy_per_gbq", per_gbq, 1000.0 / (administered_mbq or 1.0))
    row |= _spread("tiac_h", one.tiac_h) | _spread("tia_mbq_h", found.tia_mbq_h if found else None)
    row |= _spread("t_eff_h", found.t_eff_h if found else None)
    if found is not None:
        row |= {
            "model": found.model, "n": found.points.n, "tia_u_mbq_h": found.tia_u_mbq_h, "method": found.tia_mbq_h.method,
            "extrapolated_fraction": found.extrapolated_fraction, "before_fraction": found.before_fraction,
        }  # fmt: skip
    return row


def _curve_tables(found: DoseTable) -> tuple[JobTable, ...]:
    parameters = [
        {"region": r.name, "parameter": name, **_spread("value", e), "method": e.method}
        for r in found.regions if r.integral is not None
        for name, e in r.integral.parameter_estimates.items()
    ]  # fmt: skip
    points = [row for r in found.regions if r.integral is not None for row in _point_rows(r.integral)]
    frame = to_frame(parameters, PARAMETER_COLUMNS)
    tables = [
        JobTable(name="points", title="Measured and fitted", frame=to_frame(points, POINT_COLUMNS), on_page=False)
    ]
    if parameters:
        shown = shown_columns(frame, PARAMETER_COLUMNS, leave_out=("method",))
        tables.insert(0, JobTable(name="parameters", title="Parameters", frame=frame, shown=shown))
    return tuple(tables)


def _point_rows(found: RegionIntegral) -> list[dict[str, Any]]:
    points = found.points
    fitted = [None] * points.n if found.drawn is None else found.drawn.band(points.time_h)[0].tolist()
    u = [None] * points.n if points.uncertainty_mbq is None else points.uncertainty_mbq.tolist()
    return [
        {
            "region": found.region, "time_h": t, "activity_mbq": a, "uncertainty_mbq": s, "fitted_mbq": f,
            "residual_percent": None if f is None else 100.0 * (a / f - 1.0),
        }
        for t, a, s, f in zip(points.time_h.tolist(), points.activity_mbq.tolist(), u, fitted, strict=True)
    ]  # fmt: skip


def _methods(found: DoseTable, options: DoseOptions) -> tuple[Method, ...]:
    """What made the numbers, with its citation."""
    models = {r.integral.model for r in found.regions if r.integral is not None}
    used = []
    if any(m.removeprefix("hybrid ") in MODELS for m in models):
        used.append(Method("exponentials", "Variable projection: Golub G, Pereyra V, SIAM J Numer Anal 1973;10:413; "
                           "uncertainty: JCGM 100:2008, 5.2; Gear J et al., Eur J Nucl Med Mol Imaging 2018;45:2456."))  # fmt: skip
    if options.integration.model == "auto":
        used.append(Method("aicc", "AICc: Hurvich C, Tsai C, Biometrika 1989;76:297; averaging: Burnham K, Anderson D, Model "
                           "Selection and Multimodel Inference, Springer 2002."))  # fmt: skip
    if options.integration.interval == "bootstrap":
        used.append(
            Method("bootstrap", "Parametric bootstrap: Efron B, Tibshirani R, An Introduction to the Bootstrap, 1993.")
        )
    if any(m.startswith("hybrid") for m in models):
        used.append(
            Method("hybrid", "Planar images on the scale of one SPECT: Siegel J et al., J Nucl Med 1999;40:37S.")
        )
    cited = {"haenscheid": "Hänscheid H et al., J Nucl Med 2018;59:75.", "madsen": "Madsen M et al., Med Phys 2018;45:2318.",
             "map": "Maximum a posteriori with a lognormal half-life; formulas in docs/methods.md.",
             "trapezoid": "Trapezoids with an exponential tail: Siegel J et al., J Nucl Med 1999;40:37S."}  # fmt: skip
    used += [Method(m, cited[m]) for m in sorted(models & set(cited))]
    priors = {r.integral.prior.id: r.integral.prior for r in found.regions if r.integral and r.integral.prior}
    used += [
        Method(f"prior {p.id}", f"{p.source}{'; read in the abstract only' if p.tag == 'A' else ''}.")
        for p in priors.values()
    ]
    if any(r.dose_gy for r in found.regions):
        used.append(
            Method(
                "sphere",
                "Self-dose of a sphere: Bolch WE et al., MIRD pamphlet 21, J Nucl Med 2009;50:477; S values of fusin.",
            )
        )
    return tuple(used)
