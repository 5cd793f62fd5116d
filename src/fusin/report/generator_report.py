"""A generator for people: sentences, tables, figures and one document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.provenance import Method, NoticeLog
from fusin.radiopharmacy.generator_analysis import GeneratorResult, assess_generator
from fusin.radiopharmacy.generator_log import GeneratorOptions, read_generator
from fusin.radiopharmacy.generator_tables import ELUTION_COLUMNS, elution_rows, generator_json
from fusin.radiopharmacy.generator_yield import ChartKind, YieldTrend
from fusin.report.generator_figures import activity_figure, yield_figure
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import estimate_text, p_text, shown_columns
from fusin.stats.results import Estimate
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["generator_report"]

_HEADINGS = {
    "number": "#", "ge68_mbq": "68Ge [MBq]", "on_column_mbq": "on column, MBq", "eluted_mbq": "calculated, MBq",
    "residual_mbq": "left, MBq", "measured_mbq": "measured, MBq", "measured_yield": "measured yield",
    "idle_h": "idle hours", "volume_ml": "mL",
}  # fmt: skip


def generator_report(
    source: Path | None, *, options: GeneratorOptions, log: NoticeLog, chart: ChartKind = "regression"
) -> JobOutput:
    """Read, calculate and judge a generator.

    Parameters
    ----------
    source : TOML document or CSV log; None for options alone
    options : of the command line
    log : receives notices
    chart : kind of control limits

    Raises
    ------
    InputError
        For anything that cannot be used.
    NotComputable
        When the measured elutions fit no efficiency.
    """
    found = read_generator(source, options, log)
    result = assess_generator(found, log, chart=chart)
    sections = [_yields(result)] if result.trends else []
    sections += [_elutions(result)] if result.elutions else []
    sections += [_breakthrough(result)] if result.breakthrough else []
    sections += [_plan(result)] if result.plan else []
    limited = found.rules.retire_elutions is not None or found.rules.retire_months is not None
    sections += [_retirement(result)] if result.elutions and limited else []
    if sections:
        sections[0] = replace(sections[0], text=(*_summary(result), *sections[0].text))
    parameters = {
        "ge68_mbq": [g.ge68_mbq for g in found.generators],
        "efficiency": [g.efficiency for g in found.generators],
        "start": [g.start for g in found.generators],
        "chart": chart,
        "half_lives": "68Ge 270.95 d, 68Ga 67.71 min (ICRP Publication 107)",
    }
    return JobOutput(
        title="Generator", document=generator_json(result), sections=tuple(sections), summary=_summary(result),
        notices=log.notices, provenance=replace(provenance_of(found.inputs, parameters), methods=_methods(result)),
    )  # fmt: skip


def _methods(result: GeneratorResult) -> tuple[Method, ...]:
    """What made the numbers, with its citation."""
    used = [Method("bateman", "Two-member chain: Bateman H, Proc Cambridge Philos Soc 15 (1910) 423-427.")]
    if any(t.chart and t.chart.method.startswith("individuals") for t in result.trends):
        used.append(Method("individuals-chart", "Shewhart chart of individuals and moving range: ISO 7870-2:2013."))
    if any(t.chart and t.chart.method.startswith("regression") for t in result.trends):
        citation = (
            "Regression control chart: Mandel BJ, J Qual Technol 1 (1969) 1-9; externally studentised residuals: "
        )
        used.append(
            Method("regression-chart", citation + "Belsley DA, Kuh E, Welsch RE, Regression Diagnostics, Wiley 1980.")
        )
    return tuple(used)


def _summary(result: GeneratorResult) -> tuple[str, ...]:
    clock, sentences = result.log.clock, []
    for g in result.log.generators:
        held = f"with {g.start_ga68_mbq:g} MBq 68Ga" if g.start_ga68_mbq else "without 68Ga"
        start = "in equilibrium" if g.start == "equilibrium" else held
        sentences.append(
            f"Generator {g.name}: {g.ge68_mbq:g} MBq 68Ge at {clock.text(g.reference_s)}, {start} at the start."
        )
    if result.elutions:
        last = result.elutions[-1]
        sentences.append(
            f"{len(result.elutions)} elution{'s' if len(result.elutions) > 1 else ''}; the last one at "
            f"{clock.text(last.time_s)} gives {last.eluted_mbq:.1f} MBq by calculation and leaves {last.residual_mbq:.1f} MBq."
        )
    for p in result.pools:
        read = "" if p.measured_mbq is None else f", {p.measured_mbq:.1f} MBq by measurement"
        parts = ", ".join(map(str, p.numbers))
        sentences.append(
            f"Pool {p.name} (elutions {parts}) holds {p.eluted_mbq:.1f} MBq at {clock.text(p.time_s)} by calculation{read}."
        )
    sentences += [_trend_sentence(t) for t in result.trends]
    if result.plan is not None and result.planned is not None:
        wanted = f"; {result.plan.wanted_mbq:g} MBq are wanted" if result.plan.wanted_mbq is not None else ""
        sentences.append(f"At {clock.text(result.plan.time_s)} {estimate_text(result.planned)} MBq can be had{wanted}.")
    return tuple(sentences)


def _trend_sentence(trend: YieldTrend) -> str:
    text = (
        f"Measured yield of {trend.series}: {estimate_text(trend.efficiency, percent=True)} of the 68Ga on the column "
    )
    how = trend.efficiency.method if trend.efficiency.low is not None else "without an interval"
    text += f"({trend.efficiency.n} elution{'s' if trend.efficiency.n > 1 else ''}, {how})"
    if trend.slope_per_month is not None and trend.trend_test is not None:
        slope = estimate_text(_points(trend), digits=2)
        text += f"; {slope} percentage points per month, {p_text(trend.trend_test)}"
    return text + "."


def _points(trend: YieldTrend) -> Estimate:
    """The slope in percentage points."""
    slope = trend.slope_per_month
    assert slope is not None
    value, low, high = (None if v is None else 100.0 * v for v in (slope.value, slope.low, slope.high))
    return replace(slope, value=value, low=low, high=high)


def _elutions(result: GeneratorResult) -> JobSection:
    frame = to_frame(elution_rows(result), ELUTION_COLUMNS)
    printed = frame.copy()
    printed["time"] = [result.log.clock.text(e.time_s) for e in result.elutions]
    one = len(result.log.generators) == 1
    hidden = {"measured_u_mbq", *(("generator",) if one else ())}
    hidden |= {"volume_ml", "ge68_mbq"} if frame["measured_mbq"].notna().any() else set()
    hidden |= {c for c in ("measured_mbq", "measured_yield", "volume_ml", "idle_h") if frame[c].isna().all()}
    hidden |= set() if frame["discard"].any() else {"discard"}
    shown = shown_columns(
        printed, ELUTION_COLUMNS, percent=("measured_yield", "efficiency"), headings=_HEADINGS, leave_out=hidden
    )
    shown = tuple(replace(s, digits=1) if s.name.endswith("_mbq") else s for s in shown)
    how = "of the line of the measured yields" if result.fitted else "as stated"
    figure = activity_figure(result)
    return JobSection(
        name="elutions",
        title="Elutions",
        text=(
            f"Calculated from the 68Ge on the column with the efficiency {how}; measured activities are decay-corrected to "
            "the moment of their elution.",
        ),
        tables=(
            JobTable(name="elutions", title="Elutions", frame=printed, shown=shown),
            JobTable(name="elutions-all", title="Elutions, all columns", frame=frame, on_page=False),
        ),
        figures=(figure,) if figure else (),
    )


def _yields(result: GeneratorResult) -> JobSection:
    rows = []
    for t in result.trends:
        slope, test = t.slope_per_month, t.trend_test
        rows.append(
            {
                "generator": t.series, "n": t.efficiency.n,
                "yield": t.efficiency.value, "yield_low": t.efficiency.low, "yield_high": t.efficiency.high,
                "yield_method": t.efficiency.method,
                "latest": t.latest.value, "latest_low": t.latest.low, "latest_high": t.latest.high,
                "latest_method": t.latest.method,
                "change_per_month": slope.value if slope else None, "change_per_month_low": slope.low if slope else None,
                "change_per_month_high": slope.high if slope else None,
                "p": test.p if test else None, "test": test.test if test else None,
                "outside_limits": ", ".join(map(str, t.chart.outside)) or "none" if t.chart else "too few elutions",
                "beyond_warning": ", ".join(map(str, t.chart.unusual)) or "none" if t.chart else "too few elutions",
            }
        )  # fmt: skip
    frame = _frame(rows)
    shown = shown_columns(frame, percent=("yield", "latest", "change_per_month"))
    text = [
        f"{t.series}: {t.chart.method}{'; ' + t.chart.note if t.chart.note else ''}." for t in result.trends if t.chart
    ]
    for series, c in result.crossings.items():
        early, at, late = (_day(result, t) for t in (c.earliest_s, c.time_s, c.latest_s))
        text.append(f"{series}: the line falls to {100 * c.minimum:g} % at {at} ({early} to {late}, {c.method}).")
    drawn = [yield_figure(t, result) for t in result.trends]
    return JobSection(
        name="yields", title="Measured yields", text=tuple(text),
        tables=(JobTable(name="yields", title="Efficiency and trend", frame=frame, shown=shown),),
        figures=tuple(f for f in drawn if f is not None),
    )  # fmt: skip


def _day(result: GeneratorResult, time_s: float | None) -> str:
    """A day; where times are relative, days after the reference."""
    if time_s is None:
        return "later than five years"
    return result.log.clock.text(time_s)[:10] if result.log.clock.origin is not None else f"{time_s / 86400.0:.0f} d"


def _breakthrough(result: GeneratorResult) -> JobSection:
    rows = [
        {
            "elution": b.number, "stated [%]": b.stated_percent, "stated of": b.stated_of,
            "of 68Ge on column [%]": b.of_column_percent, "of eluted 68Ga at the elution [%]": b.of_ga68_percent,
            "limit [%]": b.limit_percent, "limit of": b.limit_of, "within": b.within,
            "minutes until the 68Ga ratio reaches its limit": b.reached_after_min,
        }
        for b in result.breakthrough
    ]  # fmt: skip
    for row in rows:
        for name, value in row.items():
            if "[%]" in name and isinstance(value, float):
                row[name] = f"{value:.3g}"
    text = "Per 68Ge on the column and per eluted 68Ga are different numbers; the second doubles every 68 min after the elution."
    return JobSection(name="breakthrough", title="68Ge breakthrough", text=(text,),
                      tables=(JobTable(name="breakthrough", title="68Ge in the eluates", frame=_frame(rows)),))  # fmt: skip


def _plan(result: GeneratorResult) -> JobSection:
    plan, clock = result.plan, result.log.clock
    assert plan is not None
    assert result.planned is not None
    facts: list[tuple[str, str]] = [
        ("wanted at", clock.text(plan.time_s)),
        ("elution at", clock.text(plan.time_s - plan.lead_s)),
        ("wanted [MBq]", "—" if plan.wanted_mbq is None else f"{plan.wanted_mbq:.1f}"),
        ("available [MBq]", estimate_text(result.planned, digits=1, method=True)),
        ("most that can be had [MBq]", f"{plan.largest_mbq:.1f} at {clock.text(plan.largest_s)}"),
    ]
    if plan.wanted_mbq is not None:
        facts.insert(
            4, ("earliest time with enough", "never" if plan.earliest_s is None else clock.text(plan.earliest_s))
        )
        facts.append(
            ("full column gives it until", "no longer" if plan.last_day_s is None else clock.text(plan.last_day_s))
        )
    tables = [JobTable(name="plan", title="Next elution", frame=_frame([{"what": a, "value": b} for a, b in facts]))]
    if plan.between:
        rows = [
            {
                "additional elution at": clock.text(b.time_s), "it gives [MBq]": b.eluted_mbq,
                "the planned one then gives [MBq]": b.then_mbq, "loss of the planned one [MBq]": b.loss_mbq,
                "sum [MBq]": b.total_mbq,
            }
            for b in plan.between
        ]  # fmt: skip
        tables.append(JobTable(name="between", title="An elution in between", frame=_frame(rows)))
    text = (
        ["Activities of an elution in between and of the planned one are those at their own elution."]
        if plan.between
        else []
    )
    if plan.best_between is not None:
        best = plan.best_between
        text.append(
            f"Of all additional elutions the one at {clock.text(best.time_s)} gives the largest sum, {best.total_mbq:.1f} MBq "
            f"({best.eluted_mbq:.1f} and {best.then_mbq:.1f} MBq, each at its own moment)."
        )
    return JobSection(name="plan", title="Next elution", text=tuple(text), tables=tuple(tables))


def _retirement(result: GeneratorResult) -> JobSection:
    rows = [
        {"generator": r.generator, "elutions": r.elutions, "limit": r.limit_elutions, "age in months": r.age_months,
         "limit in months": r.limit_months, "due": r.due}
        for r in result.retirement
    ]  # fmt: skip
    source = result.log.rules.retire_source
    return JobSection(name="retirement", title="Retirement", text=(f"Rule: {source}.",) if source else (),
                      tables=(JobTable(name="retirement", title="Use so far", frame=_frame(rows)),))  # fmt: skip


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
