"""The plan for people: the activity, the limit that binds, doses with intervals, alternatives, and what more risk buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusin.dosimetry.planning import Alternative, Kept, Limit, PlanOptions, PlanResult, draws_for, plan
from fusin.dosimetry.planning_files import parse_limit, read_limits, read_study
from fusin.dosimetry.planning_front import FrontPoint, pareto_front, target_estimate
from fusin.provenance import Method, NoticeLog
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plan_figures import front_figure, plan_dose_figure, risk_figure
from fusin.report.plan_schedules import (
    SCHEDULE_METHOD,
    ScheduleOptions,
    schedule_document,
    schedule_rows,
    schedule_section,
)
from fusin.report.table_text import Shown, estimate_text
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["ALTERNATIVE_COLUMNS", "FRONT_COLUMNS", "PLAN_DOSE_COLUMNS", "PLAN_LIMIT_COLUMNS", "plan_report"]

PLAN_DOSE_COLUMNS = (
    Column("organ", "string", "organ or lesion"),
    Column("dose_gy", "float64", "median dose at the planned activity [Gy]"),
    Column("dose_gy_low", "float64", "lower limit of `dose_gy`"),
    Column("dose_gy_high", "float64", "upper limit of `dose_gy`"),
)
PLAN_LIMIT_COLUMNS = (
    Column("limit", "string", "the limit in words"),
    Column("accepted", "float64", "probability of passing it that the user accepts"),
    Column("probability", "float64", "probability of passing it (staying below, for a minimum)"),
    Column("probability_low", "float64", "lower limit of `probability` from the number of draws (Wilson)"),
    Column("probability_high", "float64", "upper limit of `probability`"),
    Column("headroom", "float64", "factor on the activity at which this limit alone would hold exactly"),
    Column("binding", "boolean", "the activity cannot rise because of it"),
    Column("citation", "string", "source, as the user gave it"),
)
ALTERNATIVE_COLUMNS = (
    Column("choice", "string", "nuclide, or mixture"),
    Column("activity", "string", "largest activity that keeps all upper limits"),
    Column("target_gy", "float64", "median dose of the target there [Gy]"),
    Column("target_gy_low", "float64", "lower limit of `target_gy`"),
    Column("target_gy_high", "float64", "upper limit of `target_gy`"),
    Column("binding", "string", "what stops it"),
    Column("feasible", "boolean", "the minima are kept too"),
)
FRONT_COLUMNS = (
    Column("probability", "float64", "accepted in every upper limit"),
    Column("choice", "string", "nuclide, or mixture"),
    Column("activity", "string", "activity"),
    Column("target_gy", "float64", "median dose of the target [Gy]"),
    Column("target_gy_low", "float64", "lower limit of `target_gy`"),
    Column("target_gy_high", "float64", "upper limit of `target_gy`"),
    Column("on_front", "boolean", "no other choice gives more at this probability"),
)
# A limit that binds as soon as the activity rises by this factor is named beside the binding one.
_NEAR = 1.02
_METHODS = (
    Method("chance", "Chance constraints P(D > limit) <= p: Charnes A, Cooper WW, Manage Sci 6 (1959) 73-79."),
    Method("monte-carlo", "Propagation of distributions by Monte Carlo with common draws: JCGM 101:2008."),
)
_EXCHANGE = Method(
    "exchange", "Exchange of physical decay: Siegel JA et al., J Nucl Med 40 (1999) 37S-61S (MIRD Pamphlet 16)."
)
_BED = Method("bed", "BED: Dale RG, Br J Radiol 58 (1985) 515-528; Brenner DJ et al., Radiat Res 150 (1998) 83-91.")


def plan_report(
    study: Path, *, options: PlanOptions | None = None, limits_file: Path | None = None, limits: Sequence[str] = (),
    study_nuclide: str | None = None, schedules: ScheduleOptions | None = None, draws_by_limits: bool = False,
    log: NoticeLog,
) -> JobOutput:  # fmt: skip
    """The activity to give after a pre-therapeutic study.

    Parameters
    ----------
    study : file of the study; a TOML file may hold limits
    options : what is asked; the nuclide of the study alone when None
    limits_file, limits : further limits, as a file and as lines
    study_nuclide : of a table
    schedules : times of scans whose errors are compared
    draws_by_limits : as many draws as the probabilities of the limits need, instead of those of the options
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For files, limits and options that cannot be used.
    """
    measured, own = read_study(study, log, nuclide_name=study_nuclide)
    given = (*own, *(read_limits(limits_file, log) if limits_file else ()), *(parse_limit(t) for t in limits))
    options = options or PlanOptions(nuclides=(measured.nuclide,))
    if draws_by_limits:
        options = replace(options, draws=draws_for(given))
    found = plan(measured, given, options, log=log)
    front = pareto_front(found)
    rows = schedule_rows(measured, schedules, seed=found.options.seed, log=log) if schedules else ()
    methods = [*_METHODS]
    if any(n != measured.nuclide for n in found.options.nuclides):
        methods.append(_EXCHANGE)
    if any(one.quantity in {"bed", "eqd2"} for one in found.limits):
        methods.append(_BED)
    if schedules:
        methods.append(SCHEDULE_METHOD)
    asked = found.options
    parameters = {
        "study_nuclide": measured.nuclide, "common_u": measured.common_u, "change_u": measured.change_u,
        "activity_u": measured.activity_u, "target": asked.target, "mixture": asked.mixture, "cycles": asked.cycles,
        "transplant_day": asked.transplant_day, "draws": asked.draws, "seed": asked.seed,
        "scan_u": schedules.scan_u if schedules else None,
        "limits": [f"{one.text}, p {one.probability:g}: {one.citation}" for one in found.limits],
    }  # fmt: skip
    document = {**_document(found, front), "schedules": schedule_document(rows)}
    scans = (schedule_section(rows, schedules),) if schedules else ()
    return JobOutput(
        title="Activity plan" if found.feasible else "Activity plan: infeasible", document=document,
        sections=(*_sections(found, front), *scans), summary=_summary(found), notices=log.notices,
        provenance=provenance_of([study, *([limits_file] if limits_file else [])], parameters, methods),
    )  # fmt: skip


def _activity_text(activity: Mapping[str, float]) -> str:
    return " + ".join(f"{v:.3g} GBq {n}" for n, v in activity.items() if v > 0)


def _binding(one: Alternative) -> str:
    return f"activity of {one.binding}" if isinstance(one.binding, str) else one.binding.organ


def _summary(found: PlanResult) -> tuple[str, ...]:
    chosen, asked = found.chosen, found.options
    cycles = f" in {asked.cycles} equal cycles" if asked.cycles > 1 else ""
    stop = f"the supply of {chosen.binding}" if isinstance(chosen.binding, str) else chosen.binding.text
    if found.feasible:
        amounts = " + ".join(f"{estimate_text(e)} GBq {n}" for n, e in found.activity_gbq.items())
        out = [f"Plan: {amounts}{cycles} (interval of the simulation). Binding: {stop}{_citation(chosen.binding)}."]
    else:
        out = [f"Infeasible: {found.reason}."]
    near = [k.limit.text for k in found.kept if not k.binding and k.limit.at_most and k.headroom < _NEAR]
    if near:
        out.append(f"Within {100 * (_NEAR - 1):.0f} % of binding too: {', '.join(near)}.")
    if found.at_limit_gbq is not None:
        out.append(f"{stop[:1].upper()}{stop[1:]} would be met exactly at {estimate_text(found.at_limit_gbq)} GBq in total, "
                   f"{100 * asked.level:g} % of the draws: that is how well the study knows the patient.")  # fmt: skip
    if asked.target:
        out.append(f"{asked.target}: {estimate_text(found.doses_gy[asked.target])} Gy.")
    if found.residual_gy is not None:
        out.append(
            f"{asked.marrow} after day {asked.transplant_day:g}: {estimate_text(found.residual_gy)} Gy still to come."
        )
    return tuple(out)


def _citation(binding: Limit | str) -> str:
    if isinstance(binding, str):
        return ""
    return f" ({binding.citation.strip() or 'no source given'})"


def _sections(found: PlanResult, front: tuple[FrontPoint, ...]) -> tuple[JobSection, ...]:
    doses = [
        {"organ": n, "dose_gy": d.value, "dose_gy_low": d.low, "dose_gy_high": d.high}
        for n, d in found.doses_gy.items()
    ]
    limits = [{"limit": k.limit.text, "accepted": k.limit.probability, "probability": k.probability, "binding": k.binding,
               "probability_low": k.probability_low, "probability_high": k.probability_high, "headroom": k.headroom,
               "citation": k.limit.citation or "none given"} for k in found.kept]  # fmt: skip
    choices = [
        {"choice": _choice(a), "activity": _activity_text(a.activity_gbq), "binding": _binding(a), "feasible": a.feasible,
         **_three("target_gy", target_estimate(found, a.activity_gbq))} for a in found.alternatives
    ]  # fmt: skip
    dose_shown = (Shown(name="organ", heading="organ"),
                  Shown(name="dose_gy", heading="dose, Gy", low="dose_gy_low", high="dose_gy_high"))  # fmt: skip
    limit_shown = (
        Shown(name="limit", heading="limit"), Shown(name="accepted", heading="accepted", percent=True),
        Shown(name="probability", heading="probability", percent=True, low="probability_low", high="probability_high"),
        Shown(name="headroom", heading="headroom", digits=2), Shown(name="binding", heading="binding"),
        Shown(name="citation", heading="source"),
    )  # fmt: skip
    heading = f"Doses at the {'planned activity' if found.feasible else 'activity that keeps the upper limits'}"
    plan_tables = [JobTable(name="plan-doses", title=heading, frame=to_frame(doses, PLAN_DOSE_COLUMNS),
                            shown=dose_shown)]  # fmt: skip
    figures = [plan_dose_figure(found)]
    if limits:
        plan_tables.append(JobTable(name="plan-limits", title="Limits", frame=to_frame(limits, PLAN_LIMIT_COLUMNS),
                                    shown=limit_shown))  # fmt: skip
        figures.append(risk_figure(found))
    sections = [
        JobSection(name="plan", title="Plan", text=_summary(found), tables=tuple(plan_tables), figures=tuple(figures))
    ]
    if len(choices) > 1:
        shown = (
            Shown(name="choice", heading="choice"), Shown(name="activity", heading="most activity"),
            Shown(name="target_gy", heading=f"{found.options.target}, Gy", low="target_gy_low", high="target_gy_high"),
            Shown(name="binding", heading="stopped by"), Shown(name="feasible", heading="minima kept"),
        )  # fmt: skip
        frame = to_frame(choices, ALTERNATIVE_COLUMNS)
        table = JobTable(name="plan-alternatives", title="Alternatives", frame=frame, shown=shown)
        sections.append(JobSection(name="alternatives", title="Alternatives", tables=(table,)))
    if front:
        sections.append(_front_section(found, front))
    return tuple(sections)


def _front_section(found: PlanResult, front: tuple[FrontPoint, ...]) -> JobSection:
    rows = [
        {"probability": p.probability, "choice": p.choice, "activity": _activity_text(p.activity_gbq), "on_front": p.on_front,
         **_three("target_gy", p.target_gy)} for p in front
    ]  # fmt: skip
    shown = (
        Shown(name="probability", heading="accepted", percent=True), Shown(name="choice", heading="choice"),
        Shown(name="activity", heading="activity"), Shown(name="on_front", heading="on the front"),
        Shown(name="target_gy", heading=f"{found.options.target}, Gy", low="target_gy_low", high="target_gy_high"),
    )  # fmt: skip
    table = JobTable(name="plan-front", title="Dose against risk", frame=to_frame(rows, FRONT_COLUMNS), shown=shown)
    return JobSection(name="front", title="What more risk buys", tables=(table,), figures=(front_figure(found, front),),
                      text=("Every upper limit takes the same probability here; minima are not asked for.",))  # fmt: skip


def _three(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _choice(one: Alternative) -> str:
    return next(iter(one.shares)) if len(one.shares) == 1 else "mixture"


def _document(found: PlanResult, front: Sequence[FrontPoint]) -> dict[str, Any]:
    """The contract of ``fusin plan --json``."""
    asked, chosen = found.options, found.chosen
    activity = {n: e.to_json() for n, e in found.activity_gbq.items()}
    return {
        "feasible": found.feasible, "reason": found.reason or None, "activity_gbq": activity if found.feasible else {},
        "nearest_gbq": None if found.feasible else activity, "binding": _binding(chosen),
        "binding_limit": None if isinstance(chosen.binding, str) else chosen.binding.text,
        "at_limit_gbq": _json(found.at_limit_gbq),
        "organs": [_organ(n, d, [k for k in found.kept if k.limit.organ == n]) for n, d in found.doses_gy.items()],
        "residual_marrow_gy": _json(found.residual_gy), "transplant_day": asked.transplant_day, "marrow": asked.marrow,
        "target": asked.target, "cycles": asked.cycles, "study_nuclide": found.study.nuclide,
        "alternatives": [
            {"choice": _choice(a), "activity_gbq": a.activity_gbq, "feasible": a.feasible, "binding": _binding(a),
             "target_gy": _json(target_estimate(found, a.activity_gbq))} for a in found.alternatives
        ],
        "front": [
            {"choice": p.choice, "probability": p.probability, "activity_gbq": dict(p.activity_gbq),
             "target_gy": p.target_gy.to_json(), "on_front": p.on_front} for p in front
        ],
    }  # fmt: skip


def _organ(name: str, dose: Estimate, kept: Sequence[Kept]) -> dict[str, Any]:
    """Doses and limits of one organ; ``limit_gy`` is its first upper limit."""
    first = next((k for k in kept if k.limit.at_most), None)
    return {
        "name": name, "dose_gy": dose.to_json(), "limit_gy": first.limit.value_gy if first else None,
        "limit_quantity": first.limit.quantity if first else None,
        "probability_exceeded": first.probability if first else None,
        "limits": [
            {"text": k.limit.text, "quantity": k.limit.quantity, "at_most": k.limit.at_most, "limit_gy": k.limit.value_gy,
             "accepted": k.limit.probability, "probability": k.probability, "probability_low": k.probability_low,
             "probability_high": k.probability_high, "headroom": k.headroom, "binding": k.binding,
             "citation": k.limit.citation} for k in kept
        ],
    }  # fmt: skip


def _json(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate.to_json()
