"""Diagnostic accuracy: from rows, counts or published tables to tables, figures and one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fusin.cohort.accuracy import Accuracy, MarkerAccuracy, accuracy_counts, accuracy_of_marker, accuracy_rows
from fusin.cohort.stard import IndeterminateRule
from fusin.cohort.tables import ACCURACY_COUNTS, ACCURACY_ROWS
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.report.cohort_figures import ForestRow, RocSeries, forest_plot, roc_plot
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import estimate_text, shown_columns
from fusin.stats.pooling import Bivariate, bivariate
from fusin.stats.proportions import ProportionMethod
from fusin.stats.results import Estimate
from fusin.stats.sample_size import accuracy_sample_size
from fusin.tabular.files import load
from fusin.tabular.schema import read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AccuracyOptions", "accuracy_of_cells", "accuracy_of_table", "plan_accuracy"]

_SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
_MEASURES = {
    "ppv": "PPV",
    "npv": "NPV",
    "lr_positive": "positive likelihood ratio",
    "lr_negative": "negative likelihood ratio",
    "dor": "diagnostic odds ratio",
    "youden": "Youden index",
}
_LEAST_STUDIES = 3
Operator = Literal[">=", ">", "<=", "<"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyOptions:
    """How accuracy is computed; see :func:`fusin.cohort.accuracy.accuracy_rows`.

    Attributes
    ----------
    test : index test
    reference : the reference standard in words
    reference_tests : tests that the reference is made of, for the check of incorporation
    cut_offs, operator : of a marker, fixed in advance
    """

    interval: ProportionMethod = "wilson"
    test: str = ""
    reference: str = ""
    reference_tests: tuple[str, ...] = ()
    unit: Literal["patient", "lesion"] = "patient"
    indeterminate: IndeterminateRule = "excluded"
    cut_offs: tuple[float, ...] = ()
    operator: Operator = ">="

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def accuracy_of_cells(tp: int, fn: int, fp: int, tn: int, *, options: AccuracyOptions, log: NoticeLog) -> JobOutput:
    """Accuracy from four counts; the document is the contract of ``fusin accuracy --json``."""
    _no_marker(options, "four counts")
    found = accuracy_counts(
        tp, fn, fp, tn, interval=options.interval, index_test=options.test, reference=options.reference,
        unit=options.unit, reference_tests=options.reference_tests,
    )  # fmt: skip
    log.extend(found.notices)
    return JobOutput(
        title=_title(options), document=found.to_json(), sections=(_section(found),), summary=_sentences(found),
        notices=log.notices, provenance=provenance_of((), options.to_json()),
    )  # fmt: skip


def accuracy_of_table(path: Path, *, options: AccuracyOptions, log: NoticeLog) -> JobOutput:
    """Accuracy from a table: one row per patient or lesion, or one row of counts per study.

    Rows with a ``marker`` column also give an ROC curve. Three studies or more are pooled.

    Raises
    ------
    InputError
        For a table that cannot be used, or rows without a declared reference.
    """
    frame, _ = load(path, ACCURACY_ROWS.names(), "")
    names = {str(c).strip().lower() for c in frame.columns}
    if {"tp", "fn"} <= names:
        return _studies(path, options, log)
    rows = read_table(path, ACCURACY_ROWS, log)
    if "marker" not in rows.columns:
        _no_marker(options, "a table without a column named marker")
    document: dict[str, Any] = {}
    sections: list[JobSection] = []
    summary: tuple[str, ...] = ()
    if "result" in rows.columns or "marker" not in rows.columns:
        found = accuracy_rows(
            rows, log, index_test=options.test, reference=options.reference, reference_tests=options.reference_tests,
            unit=options.unit, indeterminate=options.indeterminate, interval=options.interval,
        )  # fmt: skip
        document, summary = found.to_json(), _sentences(found)
        sections.append(_section(found))
    if "marker" in rows.columns:
        marker = accuracy_of_marker(
            rows, log, reference=options.reference, cut_offs=options.cut_offs, operator=options.operator,
            interval=options.interval,
        )  # fmt: skip
        document["marker"] = marker.to_json()
        summary = (*summary, f"Marker: area under the ROC curve {estimate_text(marker.area)}.")
        sections.append(_marker_section(marker))
    return JobOutput(
        title=_title(options), document=document, sections=tuple(sections), summary=summary, notices=log.notices,
        provenance=provenance_of((path,), options.to_json()),
    )  # fmt: skip


def plan_accuracy(
    *, sensitivity: float, specificity: float, half_width: float, prevalence: float, log: NoticeLog
) -> JobOutput:
    """Number of patients for intervals of a given half-width."""
    import pandas as pd

    size = accuracy_sample_size(
        sensitivity=sensitivity, specificity=specificity, half_width=half_width, prevalence=prevalence
    )
    wide = " and ".join(f"{100 * w:.1f}" for w in size.wilson_half_widths)
    sentence = (
        f"{size.n} patients ({size.with_condition} with and {size.without_condition} without the condition needed) give "
        f"intervals of +-{100 * half_width:g} points around a sensitivity of {sensitivity:.1%} and a specificity of "
        f"{specificity:.1%} ({size.method}); the Wilson intervals then have expected half-widths of {wide} points."
    )
    frame = pd.DataFrame([{k: v for k, v in size.to_json().items() if k != "wilson_half_widths"}])
    table = JobTable(name="plan", title="Sample size", frame=frame)
    parameters = {
        "sensitivity": sensitivity, "specificity": specificity, "half_width": half_width, "prevalence": prevalence,
    }  # fmt: skip
    return JobOutput(
        title="Sample size of an accuracy study", document={"plan": size.to_json()},
        sections=(JobSection(name="plan", title="Sample size", text=(sentence,), tables=(table,)),),
        summary=(sentence,), notices=log.notices, provenance=provenance_of((), parameters),
    )  # fmt: skip


def _no_marker(options: AccuracyOptions, found: str) -> None:
    """Refuse cut-offs that nothing could be compared with."""
    if options.cut_offs:
        raise InputError("--cut-off", "input", found, "a table with a column named marker")


def _title(options: AccuracyOptions) -> str:
    test = options.test or "Index test"
    return (
        f"{test} against {options.reference}"
        if options.reference
        else f"Accuracy of {options.test or 'the index test'}"
    )


def _sentences(found: Accuracy) -> tuple[str, ...]:
    def shown(name: str) -> str:
        estimate: Estimate = getattr(found, name)
        return f"{name.upper() if name in ('ppv', 'npv') else name} {estimate_text(estimate, percent=True)}"

    first = f"{found.n} {found.unit}s: {shown('sensitivity')}, {shown('specificity')}, {shown('accuracy')} "
    first += f"({found.sensitivity.method} intervals)."
    at = estimate_text(found.prevalence, percent=True)
    return first, f"{shown('ppv')}, {shown('npv')} at the prevalence of these data, {at}."


def _section(found: Accuracy) -> JobSection:
    import pandas as pd

    counts = pd.DataFrame(
        [
            {"index test": "positive", "reference positive": found.tp, "reference negative": found.fp},
            {"index test": "negative", "reference positive": found.fn, "reference negative": found.tn},
        ]
    )
    frame = found.to_table().rename(columns={"low": "value_low", "high": "value_high"})
    frame["measure"] = [_MEASURES.get(name, name) for name in frame["measure"]]
    tables = [
        JobTable(name="counts", title="2 x 2 table", frame=counts),
        JobTable(name="accuracy", title="Accuracy", frame=frame, shown=shown_columns(frame)),
    ]
    if found.flow is not None:
        flow = found.flow.to_table()
        flow["stage"] = [str(stage).replace("_", " ") for stage in flow["stage"]]
        tables.append(JobTable(name="flow", title="Flow of participants", frame=flow))
    rows = [
        ForestRow(label=name.upper() if name in ("ppv", "npv") else name, estimate=getattr(found, name),
                  counts=f"{getattr(found, name).k}/{getattr(found, name).n}")
        for name in _SHARES
        if getattr(found, name).value is not None
    ]  # fmt: skip
    caption = f"Shares with 95 % intervals ({found.sensitivity.method}); squares grow with n."
    drawn = [replace(forest_plot(rows, name="accuracy", title="[%]"), caption=caption)] if rows else []
    declared = (f"Reference standard: {found.reference}.",) if found.reference else ()
    return JobSection(
        name="accuracy",
        title="Accuracy",
        text=(*declared, *_sentences(found)),
        tables=tuple(tables),
        figures=tuple(drawn),
    )


def _marker_section(marker: MarkerAccuracy) -> JobSection:
    import pandas as pd

    curve = pd.DataFrame(
        {
            "cut_off": marker.curve.thresholds,
            "sensitivity": marker.curve.sensitivity,
            "specificity": marker.curve.specificity,
        }
    )
    best = marker.best
    rows = [_cut_row(f"Youden {marker.operator}", best.threshold.value, best.sensitivity, best.specificity)]
    rows += [_cut_row(f"fixed {marker.operator}", c, a.sensitivity, a.specificity) for c, a in marker.fixed.items()]
    frame = pd.DataFrame(rows)
    shares = ("sensitivity", "specificity")
    tables = (
        JobTable(name="cut-offs", title="Cut-offs", frame=frame, shown=shown_columns(frame, percent=shares)),
        JobTable(name="roc", title="ROC curve", frame=curve, on_page=False),
    )
    corrected = marker.optimism
    text = (
        f"Area under the ROC curve {estimate_text(marker.area, method=True)}.",
        f"The Youden cut-off was chosen on these data: its index of {corrected.apparent['youden']:.2f} falls to "
        f"{corrected.corrected['youden']:.2f} after correction for optimism ({corrected.resamples} bootstrap samples).",
    )
    series = RocSeries(label="marker", curve=marker.curve, auc=marker.area, cut_off=best)
    return JobSection(name="marker", title="Marker", text=text, tables=tables, figures=(roc_plot([series]),))


def _cut_row(name: str, cut: float | None, sensitivity: Estimate, specificity: Estimate) -> dict[str, Any]:
    row: dict[str, Any] = {"chosen": name, "cut_off": cut}
    for label, e in (("sensitivity", sensitivity), ("specificity", specificity)):
        row |= {label: e.value, f"{label}_low": e.low, f"{label}_high": e.high, f"{label}_method": e.method}
    return row


def _studies(path: Path, options: AccuracyOptions, log: NoticeLog) -> JobOutput:
    """One row of counts per study: each on its own, and pooled where there are enough."""
    _no_marker(options, "a table of counts")
    rows = read_table(path, ACCURACY_COUNTS, log)
    found = []
    for row in rows.to_dict("records"):
        cells = [int(row[name]) for name in ("tp", "fn", "fp", "tn")]
        one = accuracy_counts(*cells, interval=options.interval, index_test=str(row["study"]),
                              reference=options.reference, unit=options.unit)  # fmt: skip
        _compare_printed(path, str(row["study"]), row, one)
        log.extend(one.notices)
        found.append(one)
    pooled = None
    if len(found) >= _LEAST_STUDIES:
        pooled = bivariate(*([getattr(a, name) for a in found] for name in ("tp", "fp", "fn", "tn")))
    section = _studies_section(found, pooled)
    document = {"studies": [a.to_json() for a in found], "pooled": pooled.to_json() if pooled else None}
    return JobOutput(
        title="Accuracy of several studies", document=document, sections=(section,), summary=section.text,
        notices=log.notices, provenance=provenance_of((path,), options.to_json()),
    )  # fmt: skip


def _compare_printed(path: Path, study: str, row: dict[Any, Any], found: Accuracy) -> None:
    """Refuse a row whose printed percentages are not those of its counts."""
    import pandas as pd

    for name in ("sensitivity", "specificity"):
        printed, own = row.get(name), getattr(found, name).value
        if printed is None or pd.isna(printed) or own is None:
            continue
        # Half a point is more than any rounding of a printed percentage.
        if abs(float(printed) - own) > 0.005 + 1e-9:
            raise InputError(f"{path.name} {study}", name, float(printed), f"{own:.3f}, which its counts give")


def _studies_section(found: Sequence[Accuracy], pooled: Bivariate | None) -> JobSection:
    frame = _studies_frame(found)
    shares = ("sensitivity", "specificity")
    drawn = []
    for name in shares:
        rows = [
            ForestRow(label=a.index_test, estimate=getattr(a, name), counts=f"{getattr(a, name).k}/{getattr(a, name).n}")
            for a in found
        ]  # fmt: skip
        if pooled:
            rows.append(ForestRow(label="pooled", estimate=getattr(pooled, name), own=True))
        caption = f"Squares: studies ({found[0].sensitivity.method} intervals), growing with n."
        caption += f" Diamond: pooled ({pooled.method})." if pooled else ""
        drawn.append(replace(forest_plot(rows, name=f"forest-{name}", title=f"{name} [%]"), caption=caption))
    text: tuple[str, ...] = ()
    if pooled:
        summary = f"{pooled.studies} studies pooled: sensitivity {estimate_text(pooled.sensitivity, percent=True)}, specificity "
        summary += f"{estimate_text(pooled.specificity, percent=True)} ({pooled.method}"
        text = (summary + (f"; {pooled.note})." if pooled.note else ")."),)
    tables = (JobTable(name="studies", title="Studies", frame=frame, shown=shown_columns(frame, percent=shares)),)
    return JobSection(name="studies", title="Studies", text=text, tables=tables, figures=tuple(drawn))


def _studies_frame(found: Sequence[Accuracy]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for a in found:
        row: dict[str, Any] = {"study": a.index_test, "tp": a.tp, "fn": a.fn, "fp": a.fp, "tn": a.tn}
        for name in ("sensitivity", "specificity"):
            e: Estimate = getattr(a, name)
            row |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high, f"{name}_method": e.method}
        rows.append(row)
    return pd.DataFrame(rows)
