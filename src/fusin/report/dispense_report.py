"""A day of doses for people: the draw sheet, what reaches each patient, the vials, what if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.provenance import Method, NoticeLog
from fusin.radiopharmacy.dispensing_files import DispenseOptions, DispenseRequest, read_dispensing
from fusin.radiopharmacy.dispensing_plan import DispensePlan, limit_words, plan_doses
from fusin.radiopharmacy.dispensing_tables import DOSE_COLUMNS, dispense_json, dose_rows
from fusin.radiopharmacy.dispensing_whatif import WhatIf, what_if
from fusin.report.dispense_figures import vial_figure
from fusin.report.dispense_sheet import draw_sheet_html, time_text
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import Shown
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dispense_report"]

_METHODS = (
    Method(
        "dose-volume",
        "Volume = dose / (concentration at the injection x (1 - residue)) + residual volume, decay by half-life.",
    ),
    Method("dose-interval", "First-order propagation of uncertainty: JCGM 100:2008, 5.1.2."),
)
_BLANK = "________ MBq  ___:___"


def dispense_report(
    source: Path | None, *, options: DispenseOptions, changes: Sequence[str] = (), log: NoticeLog
) -> JobOutput:
    """Read vials and patients, plan the day, and plan it again for every change asked about.

    Parameters
    ----------
    source : TOML document or CSV of patients; None for options alone
    options : of the command line
    changes : see `fusin.radiopharmacy.dispensing_whatif`
    log : receives notices

    Raises
    ------
    InputError
        For anything that cannot be used.
    """
    request = read_dispensing(source, options, log)
    plan = plan_doses(request.orders, request.vials, request.rules, clock=request.clock, log=log)
    tried = [what_if(request, change) for change in changes]
    sheet = _sheet(plan)
    sections = [replace(sheet, text=(*_summary(plan), *sheet.text)), _doses(plan), _vials(plan)]
    sections += [_changes(tried)] if tried else []
    return JobOutput(
        title="Doses", document=dispense_json(plan, tried), sections=tuple(sections), summary=_summary(plan),
        notices=log.notices,
        provenance=replace(provenance_of(request.inputs, _parameters(request)), methods=_METHODS),
        files={"draw-sheet.html": draw_sheet_html(plan)},
    )  # fmt: skip


def _parameters(request: DispenseRequest) -> Mapping[str, Any]:
    rules = request.rules
    return {
        "gap_min": rules.gap_s / 60.0, "limits": dict(rules.limits), "time_tolerance_min": rules.time_tolerance_s / 60.0,
        "volume_u_ml": rules.volume_u_ml, "defaults": dict(request.defaults),
    }  # fmt: skip


def _summary(plan: DispensePlan) -> tuple[str, ...]:
    total = len(plan.servings)
    few = {1: "The patient is served.", 2: "Both patients are served."}
    first = few.get(total, f"All {total} patients are served.")
    sentences = [first if plan.feasible else f"Not all can be served: {plan.reason}."]
    if plan.delay is not None and plan.delay.delay_s > 0:
        sentences.append(
            f"What is served may become {_duration(plan.delay.delay_s)} later; then the "
            f"{limit_words(plan.delay.binding)} ({plan.delay.where}) is reached."
        )
    return tuple(sentences)


def _duration(seconds: float) -> str:
    """A duration in the unit that a person would use."""
    if seconds < 3 * 3600.0:
        return f"{seconds / 60.0:.1f} min"
    return f"{seconds / 3600.0:.1f} h" if seconds < 72 * 3600.0 else f"{seconds / 86400.0:.1f} d"


def _sheet(plan: DispensePlan) -> JobSection:
    clock = plan.clock
    rows = [
        {
            "draw at": time_text(plan, s.draw_s), "patient": s.order.id, "vial": s.vial, "draw mL": s.volume_ml,
            "MBq at the draw": s.activity_mbq, "inject at": time_text(plan, s.injection_s),
            "MBq at injection": s.injection_mbq, "measured, at": "drawn" if s.order.drawn_ml is not None else _BLANK,
        }
        for s in plan.servings if s.served
    ]  # fmt: skip
    frame = _frame(
        rows,
        ("draw at", "patient", "vial", "draw mL", "MBq at the draw", "inject at", "MBq at injection", "measured, at"),
    )
    digits = {"draw mL": 3, "MBq at the draw": 1, "MBq at injection": 1}
    shown = tuple(Shown(name=str(c), heading=str(c), digits=digits.get(str(c))) for c in frame.columns)
    tables = [JobTable(name="draw-sheet", title="Draw sheet", frame=frame, shown=shown)]
    missed = [
        {
            "patient": s.order.id, "would need mL": s.volume_ml, "of vial": s.vial,
            "at": time_text(plan, s.injection_s), "binding": limit_words(s.binding), "why": s.reason,
        }
        for s in plan.servings if not s.served
    ]  # fmt: skip
    if missed:
        wanted = _frame(missed, tuple(missed[0]))
        columns = tuple(
            Shown(name=str(c), heading=str(c), digits=3 if c == "would need mL" else None) for c in wanted.columns
        )
        tables.append(JobTable(name="not-served", title="Not served", frame=wanted, shown=columns))
    day = (
        f"Times of {clock.text(plan.servings[0].draw_s)[:10]}. "
        if clock.origin is not None
        else "Times after the reference. "
    )
    text = (
        f"{day}draw-sheet.html is the same for print, with fields for the measured activity, its time and the residue."
    )
    return JobSection(
        name="sheet", title="Draw sheet", text=(text,), tables=tuple(tables), figures=(vial_figure(plan),)
    )


def _doses(plan: DispensePlan) -> JobSection:
    frame = to_frame(dose_rows(plan), DOSE_COLUMNS)
    for name in sorted({n for s in plan.servings for n in s.amounts}):
        frame[name] = [s.amounts.get(name) for s in plan.servings]
    frame["latest_injection_time"] = [time_text(plan, s.latest_s) for s in plan.servings]
    frame["latest_binding"] = [limit_words(s.latest_binding) if s.latest_binding else None for s in plan.servings]
    shown = [
        Shown(name="id", heading="patient"), Shown(name="served", heading="served"),
        Shown(name="wanted_mbq", heading="asked for, MBq", digits=1),
        Shown(name="administered_mbq", heading="administered, MBq", digits=1,
              low="administered_mbq_low", high="administered_mbq_high"),
        *(Shown(name=str(n), heading=str(n), digits=2) for n in frame.columns if str(n) not in {c.name for c in DOSE_COLUMNS}),
        Shown(name="latest_injection_time", heading="last injection, alone"), Shown(name="latest_binding", heading="set by"),
    ]  # fmt: skip
    known = [s.administered for s in plan.servings if s.served and s.administered is not None]
    notes = {e.note for e in known if e.note} | {f"Intervals: 95 %, {e.method}" for e in known if e.low is not None}
    text = tuple(f"{n[:1].upper()}{n[1:]}." for n in sorted(notes))
    table = JobTable(name="doses", title="What reaches the patients", frame=frame, shown=tuple(shown))
    return JobSection(name="doses", title="Doses", text=text, tables=(table,))


def _vials(plan: DispensePlan) -> JobSection:
    clock = plan.clock
    rows = [
        {
            "vial": u.vial.name, "nuclide": u.vial.nuclide, "MBq": u.vial.activity_mbq, "at": clock.text(u.vial.reference_s),
            "mL": u.vial.volume_ml, "doses": u.doses, "drawn mL": u.used_ml, "left mL": u.left_ml,
        }
        for u in plan.vials
    ]  # fmt: skip
    frame = _frame(rows, tuple(rows[0]))
    digits = {"drawn mL": 3, "left mL": 3, "mL": 2, "MBq": 1}
    shown = tuple(Shown(name=str(c), heading=str(c), digits=digits.get(str(c))) for c in frame.columns)
    return JobSection(
        name="vials", title="Vials", tables=(JobTable(name="vials", title="Vials", frame=frame, shown=shown),)
    )


def _changes(tried: Sequence[WhatIf]) -> JobSection:
    rows = [
        {"what if": c.change, "served": f"{sum(s.served for s in c.plan.servings)} of {len(c.plan.servings)}",
         "why not all": c.plan.reason or "—"}
        for c in tried
    ]  # fmt: skip
    return JobSection(name="what-if", title="What if",
                      tables=(JobTable(name="what-if", title="What if", frame=_frame(rows, tuple(rows[0]))),))  # fmt: skip


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns))
