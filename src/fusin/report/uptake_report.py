"""An uptake assay as tables, figures and sentences; everything is computed in ``fusin.assays``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.assays.counting_runs import CountedRun, RunSetup
from fusin.assays.uptake import WellShares, well_shares
from fusin.assays.uptake_files import read_uptake
from fusin.assays.uptake_groups import ReferenceRatio, UptakeGroup, group_wells, reference_normalised, specific_uptake
from fusin.assays.uptake_kinetics import Efflux, InternalisationRate, effluxes, internalisation_rates
from fusin.assays.uptake_shares import holds_shares, read_shares
from fusin.assays.uptake_tables import WELL_COLUMNS
from fusin.provenance import Method, NoticeLog, jsonable
from fusin.report.bench_figures import Course, CoursePoint, course_over_time
from fusin.report.counts_methods import (
    EFFLUX,
    FIELLER,
    INTERNALISATION,
    T_INTERVAL,
    WELCH_DIFFERENCE,
    counting_methods,
)
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import Figure
from fusin.report.table_text import estimate_text, shown_columns
from fusin.stats.results import Estimate
from fusin.tabular.rows import to_frame

__all__ = ["UptakeOptions", "uptake_report"]

_WORDS = {
    "uptake_percent": "Uptake", "membrane_percent": "Membrane", "internalised_percent": "Internalised",
    "internalised_of_cell_percent": "Internalised of cell-associated",
}  # fmt: skip
_KEYS = ("tracer", "phase", "condition", "time_min", "per")


@dataclass(frozen=True, slots=True, kw_only=True)
class UptakeOptions:
    """What is asked.

    Attributes
    ----------
    run : what the user states about the counter
    reference : tracer to which the others are normalised
    recovery_limits : in percent of the applied standard
    """

    run: RunSetup = field(default_factory=RunSetup)
    reference: str | None = None
    recovery_limits: tuple[float, float] = (95.0, 105.0)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {**self.run.to_json(), "reference": self.reference, "recovery_limits": list(self.recovery_limits)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    runs: Mapping[str, CountedRun]
    shares: tuple[WellShares, ...]
    groups: tuple[UptakeGroup, ...]
    specific: tuple[UptakeGroup, ...]
    normalised: tuple[ReferenceRatio, ...]
    rates: tuple[InternalisationRate, ...]
    efflux: tuple[Efflux, ...]


def uptake_report(path: Path, *, options: UptakeOptions, log: NoticeLog) -> JobOutput:
    """Shares of every well, replicates, specific uptake, normalisation and rates.

    Raises
    ------
    InputError, NotComputable
        When the table cannot be used: one sentence with file, row and column.
    """
    runs, shares = _wells(path, options, log)
    groups = group_wells(shares)
    specific = specific_uptake(groups, log)
    found = _Found(
        runs=runs, shares=shares, groups=groups, specific=specific,
        normalised=reference_normalised(shares, options.reference, log) if options.reference else (),
        rates=internalisation_rates(shares, log), efflux=effluxes(shares, log),
    )  # fmt: skip
    summary = _summary(found, options)
    return JobOutput(
        title="Uptake and internalisation", document=_document(found, options), sections=_sections(found, summary),
        summary=summary, notices=log.notices, provenance=provenance_of((path,), options.to_json(), _methods(found, options)),
    )  # fmt: skip


def _wells(
    path: Path, options: UptakeOptions, log: NoticeLog
) -> tuple[Mapping[str, CountedRun], tuple[WellShares, ...]]:
    """Shares from counts, or those that the table holds ready."""
    if holds_shares(path):
        return {}, read_shares(path, log)
    study = read_uptake(path, options.run, log)
    return study.runs, well_shares(study.wells, study.standards, log, recovery_limits=options.recovery_limits)


def _methods(found: _Found, options: UptakeOptions) -> tuple[Method, ...]:
    used = [*counting_methods(found.runs.values(), options.run), *((T_INTERVAL,) if found.groups else ())]
    used += [WELCH_DIFFERENCE] if found.specific or found.rates else []
    used += [FIELLER] if found.normalised else []
    used += [INTERNALISATION] if found.rates else []
    used += [EFFLUX] if found.efflux else []
    return tuple(used)


def _document(found: _Found, options: UptakeOptions) -> dict[str, Any]:
    recovered = [s for s in found.shares if s.recovery_percent is not None]
    low, high = options.recovery_limits
    outside = [s.well.name for s in recovered if s.recovery_percent and not low <= s.recovery_percent.value <= high]
    return {
        "wells": [s.to_json() for s in found.shares],
        "groups": [g.to_json() for g in found.groups],
        "specific": [g.to_json() for g in found.specific],
        "reference_normalised": [r.to_json() for r in found.normalised],
        "internalisation_rate": [r.to_json() for r in found.rates],
        "efflux": [e.to_json() for e in found.efflux],
        "recovery": {"limits": [low, high], "checked": len(recovered), "outside": outside},
        "runs": [{"nuclide": n, "reference_time": jsonable(r.reference)} for n, r in found.runs.items()],
    }


def _summary(found: _Found, options: UptakeOptions) -> tuple[str, ...]:
    recovered = [s.recovery_percent.value for s in found.shares if s.recovery_percent is not None]
    low, high = options.recovery_limits
    single = (
        "intervals of single wells: counting, with the shared total" if found.runs else "shares as the table gives them"
    )
    means = "; intervals of means: t" if found.groups else ""
    lines = [f"{len(found.shares)} wells; {single}{means}."]
    if recovered:
        outside = sum(not low <= r <= high for r in recovered)
        lines.append(
            f"Recovery {min(recovered):.1f} to {max(recovered):.1f} % of the applied standard; "
            f"{outside} of {len(recovered)} wells outside {low:g} to {high:g} %."
        )
    for r in found.rates:
        kind = "specific" if r.specific else "total, not specific"
        lines.append(f"{_of(r.tracer)}internalisation rate ({kind}) {estimate_text(r.rate, method=True)} per min.")
    for e in found.efflux:
        lines.append(
            f"{_of(e.tracer)}efflux: retained {_said(e.plateau, '%')}; half-life {_said(e.half_life, 'min')} [{e.rate.method}]."
        )

    return tuple(lines)


def _said(e: Estimate, unit: str) -> str:
    """A value with its interval, or why it has none; a value alone would be taken for a result."""
    if e.value is None:
        return e.note or "not computed"
    return f"{estimate_text(e)} {unit}" + (f" ({e.note})" if e.low is None or e.high is None else "")


def _of(tracer: str) -> str:
    return f"{tracer}: " if tracer else ""


def _sections(found: _Found, summary: tuple[str, ...]) -> tuple[JobSection, ...]:
    wells = to_frame([_flat(s) for s in found.shares], WELL_COLUMNS)
    every = JobTable(name="wells", title="Wells", frame=wells, on_page=False)
    plain, scaled = _by_unit(found.groups)
    shown = _group_tables("groups", "Means of replicates", plain) if plain else ()
    out = [JobSection(name="uptake", title="Uptake", text=summary, tables=(*shown, every), figures=_figures(found))]
    plain, specific = _by_unit(found.specific)
    if plain:
        shown = _group_tables("specific", "Specific: unblocked less blocked", plain)
        out.append(JobSection(name="specific", title="Specific uptake", tables=shown))
    if scaled:
        shown = _group_tables("normalised", "Means of replicates", scaled)
        more = _group_tables("normalised-specific", "Specific: unblocked less blocked", specific) if specific else ()
        out.append(JobSection(name="normalised", title="Per cells or protein", tables=(*shown, *more)))
    if found.normalised:
        text = ("100 x specific internalisation of the tracer / that of the reference; Fieller's interval.",)
        out.append(
            JobSection(name="reference", title="Reference", text=text, tables=(_reference_table(found.normalised),))
        )
    if found.rates or found.efflux:
        out.append(_kinetics(found))
    return tuple(out)


def _flat(s: WellShares) -> dict[str, Any]:
    row = s.to_json()
    out = dict(row)
    for name in (*_WORDS, "recovery_percent"):
        got = row[name] or {}
        out |= {name: got.get("value"), f"{name}_low": got.get("low"), f"{name}_high": got.get("high")}
    return out


def _by_unit(groups: Sequence[UptakeGroup]) -> tuple[list[UptakeGroup], list[UptakeGroup]]:
    """Groups in percent of the applied activity, and those per cells or protein."""
    return [g for g in groups if g.per == "percent"], [g for g in groups if g.per != "percent"]


def _group_tables(name: str, title: str, groups: Sequence[UptakeGroup]) -> tuple[JobTable, JobTable]:
    """One row per group with its quantities as columns for the page, and the long table for a file."""
    import pandas as pd

    tidy = pd.DataFrame([_tidy(g) for g in groups])
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for g in groups:
        key = (g.tracer, g.phase, g.condition, g.time_min, g.per)
        row = rows.setdefault(key, dict(zip(_KEYS, key, strict=True)) | {"n": g.mean.n, "unit": g.unit})
        row |= {g.quantity: g.mean.value, f"{g.quantity}_low": g.mean.low, f"{g.quantity}_high": g.mean.high,
                f"{g.quantity}_method": g.mean.method}  # fmt: skip
    frame = pd.DataFrame(list(rows.values()))
    frame["per"] = frame["per"].str.removeprefix("per ")
    # What does not differ between the rows says nothing in a column of its own.
    alike = {c for c in ("tracer", "phase", "condition", "unit") if frame[c].nunique() <= 1}
    alike |= {"time_min"} if frame["time_min"].isna().all() else set()
    alike |= {"per"} if frame["per"].nunique() == 1 else set()
    per = "" if groups[0].per == "percent" or "per" not in alike else f" {groups[0].per}"
    unit = str(frame["unit"].iloc[0]).capitalize() if "unit" in alike else "n"
    headings = _WORDS | {"n": unit, "time_min": "Time [min]", "per": "Per"}
    shown = shown_columns(frame, leave_out=alike, headings=headings)
    wide = JobTable(name=f"{name}-printed", title=f"{title}, % of applied{per} (95 %)", frame=frame, shown=shown)
    return wide, JobTable(name=name, title=f"{title}, one quantity per row", frame=tidy, on_page=False)


def _tidy(g: UptakeGroup) -> dict[str, Any]:
    return {
        "tracer": g.tracer, "phase": g.phase, "condition": g.condition, "time_min": g.time_min, "quantity": g.quantity,
        "per": g.per, "mean": g.mean.value, "mean_low": g.mean.low, "mean_high": g.mean.high,
        "mean_method": g.mean.method, "sd": g.sd, "n": g.mean.n, "unit": g.unit,
    }  # fmt: skip


def _reference_table(ratios: Sequence[ReferenceRatio]) -> JobTable:
    import pandas as pd

    rows = [
        {"tracer": r.tracer, "reference": r.reference, "time_min": r.time_min, "percent": r.ratio.value,
         "percent_low": r.ratio.low, "percent_high": r.ratio.high, "percent_method": r.ratio.method, "note": r.ratio.note}
        for r in ratios
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    headings = {"percent": "% of reference (95 %)", "time_min": "Time [min]"}
    shown = shown_columns(frame, headings=headings, leave_out=() if frame["note"].any() else ("note",))
    return JobTable(name="reference", title="Reference", frame=frame, shown=shown)


def _kinetics(found: _Found) -> JobSection:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for r in found.rates:
        rows.append(_kinetic(r.tracer, "internalisation rate [1/min]", r.rate))
    for e in found.efflux:
        rows += [
            _kinetic(e.tracer, "retained at the end [%]", e.plateau), _kinetic(e.tracer, "efflux rate [1/min]", e.rate),
            _kinetic(e.tracer, "efflux half-life [min]", e.half_life),
        ]  # fmt: skip
    frame = pd.DataFrame(rows)
    alike = [c for c in ("tracer", "note") if not frame[c].any()]
    shown = shown_columns(frame, headings={"value": "Value (95 %)"}, leave_out=alike)
    table = JobTable(name="kinetics", title="Rates", frame=frame, shown=shown)
    text = (
        "Internalisation rate: slope of the internalised share against the time integral of the membrane share. "
        "Efflux: 100 I(t) / (I + M)(0), a mono-exponential to a plateau.",
    )
    return JobSection(name="kinetics", title="Rates", text=text, tables=(table,), figures=_kinetic_figures(found))


def _kinetic(tracer: str, name: str, e: Any) -> dict[str, Any]:
    return {"tracer": tracer, "parameter": name, "value": e.value, "value_low": e.low, "value_high": e.high,
            "method": e.method, "n": e.n, "note": e.note}  # fmt: skip


def _figures(found: _Found) -> tuple[Figure, ...]:
    """Internalised share over time, unblocked and blocked, of every tracer."""
    courses = []
    rows = [
        g for g in found.groups if g.quantity == "internalised_percent" and g.per == "percent" and g.phase == "uptake"
    ]
    keys = dict.fromkeys((g.tracer, g.condition) for g in rows)
    for tracer, condition in keys:
        points = [
            CoursePoint(
                x=g.time_min, y=g.mean.value or 0.0, low=None if g.sd is None else (g.mean.value or 0.0) - g.sd,
                high=None if g.sd is None else (g.mean.value or 0.0) + g.sd, values=g.values,
            )
            for g in rows
            if (g.tracer, g.condition) == (tracer, condition) and g.time_min is not None
        ]  # fmt: skip
        if len(points) > 1:
            courses.append(Course(label=" ".join(filter(None, (tracer, condition))), points=tuple(points)))
    if not courses:
        return ()
    caption = "Internalised activity in percent of the applied; means ± SD of replicates, rings: replicates."
    return (
        course_over_time(
            courses, x_title="time [min]", y_title="internalised [% of applied]", caption=caption, name="internalised",
            width_mm=120.0,
        ),
    )  # fmt: skip


def _kinetic_figures(found: _Found) -> tuple[Figure, ...]:
    out = []
    if found.rates:
        courses = []
        for r in found.rates:
            xs = [p[0] for p in r.points]
            slope = r.rate.value
            ends = () if slope is None else tuple((x, r.intercept + slope * x) for x in (min(xs), max(xs)))
            courses.append(Course(label=r.tracer, points=tuple(CoursePoint(x=x, y=y) for x, y in r.points), line=ends))
        out.append(
            course_over_time(
                courses, x_title="∫ membrane dt [% min]", y_title="internalised [%]",
                caption="Internalised share against the integral of the membrane share; the slope is the rate.",
                name="internalisation-rate",
            )
        )  # fmt: skip
    if found.efflux:
        courses = [
            Course(label=e.tracer, points=tuple(CoursePoint(x=t, y=y) for t, y in e.retained), line=e.line)
            for e in found.efflux
        ]
        out.append(
            course_over_time(
                courses, x_title="time after the wash [min]", y_title="retained [%]",
                caption="Internalised activity that stays, with the fitted exponential to a plateau.", name="efflux",
            )
        )  # fmt: skip
    return tuple(out)
