"""Competition and saturation binding: from a table to tables, figures and one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_ki import KI_WORDS
from fusin.assays.binding_results import CompoundBinding, CurveBinding, Quantity, experiments_said
from fusin.assays.binding_tables import (
    BINDING_COLUMNS,
    KI_COLUMNS,
    SATURATION_COLUMNS,
    read_competition,
    read_saturation,
)
from fusin.assays.noise import NOISE_WORDS
from fusin.assays.saturation import SaturationOptions, analyse_saturation
from fusin.assays.saturation_results import GroupSaturation, SaturationCurve
from fusin.provenance import NoticeLog
from fusin.report.binding_figures import curve_plot, family_plot, saturation_plot, scatchard_plot
from fusin.report.binding_methods import methods_of_binding, methods_of_saturation
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import SERIES, Figure
from fusin.report.table_text import estimate_text, number_text, p_text, shown_columns
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["binding_of_table", "saturation_of_table"]

# What a page holds before it becomes a file that nobody reads; the tables in files hold everything.
_MOST_CURVES = 12
_MOST_ROWS = 40
_MOST_NOTES = 3
_COMPARED = {
    "statistic": "F",
    "aicc_difference": "ΔAICc",
    "preferred_by_test": "By F test",
    "preferred_by_aicc": "By AICc",
}


def binding_of_table(
    path: Path, *, options: BindingOptions, log: NoticeLog, unit: str | None = None, response: str | None = None
) -> JobOutput:
    """Competition binding of a table; the document is the contract of ``fusin assay binding --json``.

    Raises
    ------
    InputError, NotComputable
        For a table that cannot be used, and when no curve has an IC50.
    """
    points = read_competition(path, log, unit=unit, response=response)
    found = analyse_binding(points, log, options=options)
    first = _first(found)
    document = {
        **first.to_json(),
        "response": points[0].response,
        "noise": options.noise,
        "compounds": [c.to_json() for c in found],
    }
    summary = tuple(_sentence(c) for c in found)
    return JobOutput(
        title="Competition binding", document=document, summary=summary, notices=log.notices,
        sections=(_family_section(found, options), *_curve_sections(found, points[0].response)),
        provenance=provenance_of(
            (path,), {**options.to_json(), "unit": unit, "response": response}, methods_of_binding(found, options)
        ),
    )  # fmt: skip


def _first(found: Sequence[CompoundBinding]) -> CompoundBinding:
    """The compound that the top of the document describes: the first one with an IC50."""
    return next((c for c in found if not c.refused), found[0])


def _sentence(c: CompoundBinding) -> str:
    name = f"{c.compound}: " if c.compound else ""
    ic50 = c.ic50_nm
    if ic50 is None or c.log_ic50 is None:
        return f"{name}no IC50. {c.refused}"
    text = f"{name}IC50 {estimate_text(ic50.estimate)} nM, pIC50 {-c.log_ic50.value:.2f} ({ic50.estimate.method})"
    if c.ic50_mean_nm is not None and c.ic50_sd_nm is not None:
        text += f"; arithmetic mean ± SD {number_text(c.ic50_mean_nm)} ± {number_text(c.ic50_sd_nm)} nM"
        text += f" of {experiments_said(c.experiments)}"
    elif len(c.experiments) > 1:
        text += f"; {experiments_said(c.experiments)}"
    if c.ki is not None:
        way = KI_WORDS.get(c.ki_method, "homologous: Ki is Kd")
        text += f"; Ki {estimate_text(c.ki.estimate)} nM ({way})"
    if c.relative is not None:
        text += f"; {estimate_text(c.relative.estimate)} × the IC50 of the reference"
    if c.constants:
        kd, bmax = c.constants.get("kd_nm"), c.constants.get("bmax")
        if kd is not None and bmax is not None:
            text += f"; Kd {estimate_text(kd.estimate)} nM, Bmax {estimate_text(bmax.estimate)}"
    return text + "."


def _comparison_sentence(curve: CurveBinding) -> str:
    c = curve.comparison
    if c is None:
        return ""
    difference = c.aicc_difference
    second = "" if difference is None else f"; AICc differs by {difference:+.1f}, which points to {c.preferred_by_aicc}"
    first = f"Slope 1 against a free slope: {p_text(c.test)}, which points to {c.preferred_by_test}{second}."
    return f"{first} Reported: {curve.model}."


def _limits(name: str, quantity: Quantity | None) -> dict[str, Any]:
    if quantity is None:
        return {}
    e = quantity.estimate
    return {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}


def _row(of: CurveBinding | CompoundBinding, experiment: str) -> dict[str, Any]:
    sums = [c.residual_ss for c in of.used if c.residual_ss is not None] if isinstance(of, CompoundBinding) else []
    named = {
        "log_ic50": of.log_ic50,
        "ic50_nm": of.ic50_nm,
        "hill": of.hill,
        "top": of.top,
        "bottom": of.bottom,
        "ki_nm": of.ki,
        "ki_cheng_prusoff_nm": of.ki_by("cheng-prusoff"),
        "ki_hot_depletion_nm": of.ki_by("hot-depletion"),
        "ki_exact_nm": of.ki_by("exact"),
    }
    row: dict[str, Any] = {
        "compound": of.compound or None, "experiment": experiment or None, "direction": of.direction or None, "n": of.n,
        "model": of.model.removesuffix(" competition") if isinstance(of, CurveBinding) else f"mean of {len(of.used)}",
        "residual_ss": of.residual_ss if isinstance(of, CurveBinding) else (sum(sums) if sums else None),
        "ki_method": of.ki_method or None, "refused": of.refused or None,
    }  # fmt: skip
    for name, quantity in (named | {name: of.constants.get(name) for name in ("kd_nm", "bmax")}).items():
        row |= _limits(name, quantity)
    if isinstance(of, CompoundBinding):
        row |= _limits("relative_ic50", of.relative)
    return row


def _frame(found: Sequence[CompoundBinding], *, summaries: bool = False) -> pd.DataFrame:
    """Rows of curves and of their summaries, or one row for each compound."""
    rows = []
    for c in found:
        alone = len(c.experiments) == 1 and c.relative is None
        rows += [_row(e, e.experiment) for e in c.experiments if alone or not summaries]
        if not alone:
            rows.append(_row(c, "all"))
    return to_frame(rows, BINDING_COLUMNS)


def _shown(frame: pd.DataFrame, leave_out: Sequence[str]) -> Any:
    empty = [str(c) for c in frame.columns if frame[c].isna().all()]
    headings = {"ic50_nm": "IC50 nM", "ki_nm": "Ki nM", "hill": "Hill", "relative_ic50": "× reference", "kd_nm": "Kd nM",
                "bmax": "Bmax", "ns": "NS"}  # fmt: skip
    return shown_columns(frame, BINDING_COLUMNS, headings=headings, leave_out=[*leave_out, *empty])


def _family_section(found: Sequence[CompoundBinding], options: BindingOptions) -> JobSection:
    frame = _frame(found)
    hidden = ["log_ic50", "log_ic50_low", "log_ic50_high", "direction", "residual_ss"]
    hidden += [
        f"ki_{way}_nm{end}" for way in ("cheng_prusoff", "hot_depletion", "exact") for end in ("", "_low", "_high")
    ]
    fits = len(frame) <= _MOST_ROWS
    tables = [JobTable(name="binding", title="IC50", frame=frame, shown=_shown(frame, hidden), on_page=fits)]
    noise = NOISE_WORDS[options.noise]
    handled = "points" if options.replicates == "separate" else "averaged"
    text = [f"Each experiment is fitted on its own, {noise}; replicates are {handled}."]
    if not fits:
        first = _frame(found[:_MOST_ROWS], summaries=True)
        many = len(found) > _MOST_ROWS
        title = f"IC50 of the first {_MOST_ROWS} of {len(found)} compounds" if many else "IC50 of compounds"
        tables.append(JobTable(name="compounds", title=title, frame=first, shown=_shown(first, hidden)))
        text.append(f"Its {len(frame)} rows are in tables/binding.csv; the page shows one for each compound.")
    ways = _ki_tables(found)
    tables += ways
    if any(not t.on_page for t in ways):
        text.append("Ki by every way is in tables/ki.csv.")
    family = family_plot(found)
    if any(len(c.used) > 1 for c in found):
        text.append("Over experiments the mean of log IC50 is given (a geometric mean) with its t interval.")
    text += [
        f"{c.compound or 'The compound'}: {c.pooling}."
        for c in found[:_MOST_ROWS]
        if 0 < len(c.used) < len(c.experiments)
    ]
    single = [c for c in found if len(c.experiments) == 1]
    text += [s for c in single if (s := _comparison_sentence(c.experiments[0]))][:1] if len(found) == 1 else []
    notes = list(dict.fromkeys(c.ki_note for c in found if c.ki_note))
    text += [f"Ki: {n}." for n in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        text.append(f"{len(notes) - _MOST_NOTES} more statements on Ki are in results.json.")
    return JobSection(
        name="binding", title="IC50", text=tuple(text), tables=tuple(tables), figures=(family,) if family else ()
    )  # fmt: skip


def _ki_tables(found: Sequence[CompoundBinding]) -> list[JobTable]:
    """Ki of each compound by every way that its inputs allow; none for Cheng-Prusoff alone."""
    rows = [
        {"compound": c.compound or None, "way": way, "assumes": KI_WORDS[way], **_limits("ki_nm", quantity),
         "reported": way == c.ki_method}
        for c in found
        for way, quantity in c.ki_ways.items()
    ]  # fmt: skip
    if len({row["way"] for row in rows}) < 2:
        return []
    frame = to_frame(rows, KI_COLUMNS)
    empty = ["compound"] if frame["compound"].isna().all() else []
    shown = shown_columns(frame, KI_COLUMNS, headings={"ki_nm": "Ki nM"}, leave_out=[*empty, "way"])
    return [
        JobTable(
            name="ki", title="Ki by what is taken as free", frame=frame, shown=shown, on_page=len(rows) <= _MOST_ROWS
        )
    ]


def _curve_sections(found: Sequence[CompoundBinding], response: str) -> tuple[JobSection, ...]:
    """Every curve with band and residuals, and how the two models compare in it."""
    import pandas as pd

    styles = {c.compound: SERIES[i % len(SERIES)] for i, c in enumerate(found)}
    curves = [e for c in found for e in c.used]
    figures: list[Figure] = []
    for number, e in enumerate(curves[:_MOST_CURVES], start=1):
        drawn = curve_plot(e, response=response, name=f"curve-{number}", style=styles[e.compound])
        if drawn is not None:
            figures.append(drawn)
    rows = [
        {"compound": e.compound or None, "experiment": e.experiment or None,
         "test": e.comparison.test.test, "statistic": e.comparison.test.statistic, "p": e.comparison.test.p,
         "aicc_difference": e.comparison.aicc_difference,
         "preferred_by_test": e.comparison.preferred_by_test.removesuffix(" competition"),
         "preferred_by_aicc": e.comparison.preferred_by_aicc.removesuffix(" competition")}
        for e in curves
        if e.comparison is not None
    ]  # fmt: skip
    tables: list[JobTable] = []
    if rows:
        frame = pd.DataFrame(rows)
        empty = [str(c) for c in frame.columns if frame[c].isna().all()]
        shown = shown_columns(frame, leave_out=empty, headings=_COMPARED)
        tables.append(
            JobTable(
                name="models", title="One site against variable slope", frame=frame, shown=shown,
                on_page=len(rows) <= _MOST_ROWS,
            )
        )  # fmt: skip
    more = f"The first {len(figures)} of {len(curves)} curves are drawn." if len(curves) > len(figures) else ""
    if len(rows) > _MOST_ROWS:
        more = f"{more} How the two models compare in each of them is in tables/models.csv.".strip()
    if not figures and not tables:
        return ()
    return (
        JobSection(
            name="curves", title="Curves", text=(more,) if more else (), tables=tuple(tables), figures=tuple(figures)
        ),
    )


def saturation_of_table(
    path: Path, *, options: SaturationOptions, log: NoticeLog, unit: str | None = None, response: str | None = None
) -> JobOutput:
    """Saturation binding of a table; the document is the contract of ``fusin assay saturation --json``.

    Raises
    ------
    InputError, NotComputable
        For a table that cannot be used, and when a curve has no Bmax and Kd.
    """
    points = read_saturation(path, log, unit=unit, response=response)
    found = analyse_saturation(points, log, options=options)
    name = points[0].response
    if name == "response":
        name = "bound"
    first = next((g for g in found if g.experiments), found[0])
    document = {
        **first.to_json(), "response": name, "noise": options.noise, "groups": [g.to_json() for g in found],
    }  # fmt: skip
    return JobOutput(
        title="Saturation binding", document=document, summary=tuple(_saturation_sentence(g) for g in found),
        sections=(_saturation_section(found, name, options),), notices=log.notices,
        provenance=provenance_of(
            (path,), {**options.to_json(), "unit": unit, "response": response}, methods_of_saturation(found, options)
        ),
    )  # fmt: skip


def _saturation_sentence(g: GroupSaturation) -> str:
    name = f"{g.group}: " if g.group else ""
    if not g.experiments:
        return f"{name}no Bmax and Kd. {'; '.join(dict.fromkeys(reason for _, reason in g.refused))}."
    kd, bmax = g.quantities["kd_nm"], g.quantities["bmax"]
    text = f"{name}Kd {estimate_text(kd.estimate)} nM, Bmax {estimate_text(bmax.estimate)} ({kd.estimate.method})"
    for key, unit in (("bmax_fmol_mg", "fmol/mg"), ("bmax_sites_cell", "sites per cell")):
        if key in g.quantities:
            text += f", {estimate_text(g.quantities[key].estimate)} {unit}"
    left_out = f"; {g.pooling}" if g.refused else ""
    return f"{text}; {g.experiments[0].model}{left_out}."


def _saturation_row(of: SaturationCurve | GroupSaturation, experiment: str) -> dict[str, Any]:
    quantities: Mapping[str, Quantity] = of.quantities
    row: dict[str, Any] = {"group": of.group or None, "experiment": experiment or None}
    if isinstance(of, SaturationCurve):
        row |= {"model": of.model, "n": of.n, "residual_ss": of.residual_ss}
    else:
        row |= {"model": f"mean of {len(of.experiments)}", "n": sum(c.n for c in of.experiments)}
    for name in ("bmax", "kd_nm", "ns", "background"):
        row |= _limits(name, quantities.get(name))
    return row


def _saturation_section(found: Sequence[GroupSaturation], response: str, options: SaturationOptions) -> JobSection:
    rows = []
    figures: list[Figure] = []
    drawn = 0
    for g in found:
        rows += [_saturation_row(c, c.experiment) for c in g.experiments]
        rows += [{"group": g.group or None, "experiment": e or None, "refused": reason} for e, reason in g.refused]
        if len(g.experiments) > 1:
            rows.append(_saturation_row(g, "all"))
        for c in g.experiments:
            drawn += 1
            if drawn <= _MOST_CURVES:
                figures.append(saturation_plot(c, response=response, name=f"saturation-{drawn}"))
                scatchard = scatchard_plot(c, name=f"scatchard-{drawn}")
                figures += [scatchard] if scatchard else []
    frame = to_frame(rows, SATURATION_COLUMNS)
    table = JobTable(
        name="saturation", title="Bmax and Kd", frame=frame, shown=_shown(frame, ["residual_ss"]),
        on_page=len(frame) <= _MOST_ROWS,
    )  # fmt: skip
    text = [f"Fitted {NOISE_WORDS[options.noise]}.", *(_saturation_sentence(g) for g in found[:_MOST_ROWS])]
    if drawn > _MOST_CURVES:
        text.append(f"The first {_MOST_CURVES} of {drawn} curves are drawn.")
    if len(frame) > _MOST_ROWS:
        text.append(f"All {len(frame)} rows are in tables/saturation.csv.")
    for g in found[:_MOST_ROWS]:
        for c in g.experiments:
            if c.comparison is not None:
                text.append(f"Two sites against one: {p_text(c.comparison.test)}; reported: {c.model}.")
    return JobSection(name="saturation", title="Bmax and Kd", text=tuple(text), tables=(table,), figures=tuple(figures))
