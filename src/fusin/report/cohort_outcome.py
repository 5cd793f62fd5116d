"""Outcome of therapy: from tables of follow-up, response and toxicity to tables, figures and one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fusin.cohort.follow_up import (
    Endpoint,
    FollowUp,
    Prognosis,
    prognosis,
    read_follow_up,
    survival_curve,
    swimmer_lanes,
)
from fusin.cohort.outcome import (
    FRAMEWORKS,
    METRICS,
    Framework,
    Metric,
    best_response,
    change_table,
    cross_tabulate,
    read_response,
    response_changes,
)
from fusin.cohort.toxicity import toxicity, toxicity_table
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.report.cohort_figures import ForestRow, forest_plot, survival_plot, swimmer_plot, waterfall_plot
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import Shown, estimate_text, p_text, shown_columns
from fusin.stats.survival import KaplanMeier

if TYPE_CHECKING:
    from fusin.report.plate import Figure

__all__ = ["OutcomeInputs", "OutcomeOptions", "outcome_report"]

_TITLES: Mapping[Endpoint, str] = {"pfs": "progression-free survival", "os": "overall survival"}
_SHORT: Mapping[Metric, str] = {"ctv_ml": "Tumour volume", "tlu_g": "Total uptake", "suv_peak": "SUVpeak"}
_MOST_LANES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeInputs:
    """Tables of the patients; None where there is none."""

    follow_up: Path | None = None
    response: Path | None = None
    toxicity: Path | None = None

    def paths(self) -> list[Path]:
        """Those that are there."""
        return [p for p in (self.follow_up, self.response, self.toxicity) if p is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeOptions:
    """What is asked of the tables.

    Attributes
    ----------
    endpoints : of the survival curves
    markers : columns of the follow-up table that are tested as prognostic
    cut, cut_source, step : as in :func:`fusin.cohort.follow_up.prognosis`; ``step`` is the unit of the hazard ratio
    repeatability : limits of agreement of repeated scans by metric [%]
    cross : two response frameworks to set against each other
    """

    endpoints: tuple[Endpoint, ...] = ("pfs", "os")
    markers: tuple[str, ...] = ()
    cut: float | Literal["median", "best"] | None = None
    cut_source: str = ""
    step: float = 1.0
    repeatability: Mapping[Metric, tuple[float, float]] = field(default_factory=dict)
    cross: tuple[Framework, Framework] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


_TOXICITY = (
    Shown(name="term", heading="Term"),
    Shown(name="treated", heading="Treated"),
    *(Shown(name=f"grade_{g}", heading=f"Grade {g}") for g in range(1, 6)),
    Shown(name="any_fraction", heading="Any grade", low="any_low", high="any_high", percent=True),
    Shown(name="severe_fraction", heading="Grade 3 to 5", low="severe_low", high="severe_high", percent=True),
    Shown(name="interval_method", heading="Interval"),
)


def outcome_report(inputs: OutcomeInputs, *, options: OutcomeOptions, log: NoticeLog) -> JobOutput:
    """Survival, prognosis, response and toxicity, as far as there are tables.

    Raises
    ------
    InputError
        Without any table, for a table that cannot be used, or toxicity without the list of those treated.
    """
    if not inputs.paths():
        raise InputError("outcome", "tables", "none", "a follow-up table, --response or --toxicity")
    _refuse_unanswerable(inputs, options)
    sections: list[JobSection] = []
    document: dict[str, Any] = {"survival": {}, "prognosis": [], "swimmer": [], "response": None, "toxicity": []}
    summary: list[str] = []
    patients: tuple[FollowUp, ...] = ()
    if inputs.follow_up is not None:
        patients = read_follow_up(inputs.follow_up, markers=options.markers, log=log)
        curves = {e: survival_curve(patients, e, log=log) for e in options.endpoints}
        sections.append(_survival_section(curves, patients, document, log))
        summary += [_median_sentence(e, c) for e, c in curves.items()]
        tested = [
            prognosis(patients, m, e, cut=options.cut, cut_source=options.cut_source, unit=options.step, log=log)
            for m in options.markers
            for e in options.endpoints
        ]
        if tested:
            sections.append(_prognosis_section(tested))
            document["prognosis"] = [p.to_json() for p in tested]
    if inputs.response is not None:
        section, document["response"] = _response(inputs.response, options, log)
        sections.append(section)
    if inputs.toxicity is not None:
        terms = toxicity(inputs.toxicity, treated=[p.patient for p in patients], log=log)
        frame = toxicity_table(terms)
        table = JobTable(name="toxicity", title="Toxicity, worst CTCAE grade", frame=frame, shown=_TOXICITY)
        sections.append(JobSection(name="toxicity", title="Toxicity", tables=(table,)))
        document["toxicity"] = [t.to_json() for t in terms]
    return JobOutput(
        title="Outcome", document=document, sections=tuple(sections), summary=tuple(summary), notices=log.notices,
        provenance=provenance_of(inputs.paths(), options.to_json()),
    )  # fmt: skip


def _refuse_unanswerable(inputs: OutcomeInputs, options: OutcomeOptions) -> None:
    """Nothing that is asked for is passed over in silence."""
    follow_up, response = inputs.follow_up is not None, inputs.response is not None
    checks = (
        (
            inputs.toxicity is not None and not follow_up,
            "--toxicity",
            "the follow-up table, whose patients were treated",
        ),
        (bool(options.markers) and not follow_up, "--marker", "the follow-up table, whose column it is"),
        (options.cut is not None and not options.markers, "--cut", "a --marker that it cuts"),
        (bool(options.repeatability) and not response, "--repeatability", "a --response table"),
        (options.cross is not None and not response, "--cross", "a --response table"),
    )
    for refused, option, needed in checks:
        if refused:
            raise InputError("outcome", option, "nothing that it could apply to", needed)


def _median_sentence(endpoint: Endpoint, curve: KaplanMeier) -> str:
    return (
        f"Median {_TITLES[endpoint]} {estimate_text(curve.median)} months, {curve.n_events} events in {curve.n} patients "
        f"({curve.method})."
    )


def _survival_section(
    curves: Mapping[Endpoint, KaplanMeier], patients: Sequence[FollowUp], document: dict[str, Any], log: NoticeLog
) -> JobSection:
    import pandas as pd

    rows = []
    tables = []
    drawn: list[Figure] = []
    for endpoint, curve in curves.items():
        m = curve.median
        rows.append(
            {"endpoint": _TITLES[endpoint], "n": curve.n, "events": curve.n_events, "median_months": m.value,
             "median_months_low": m.low, "median_months_high": m.high, "median_months_method": m.method}
        )  # fmt: skip
        points = ("time", "survival", "low", "high", "at_risk", "events", "censored")
        frame = pd.DataFrame({name: getattr(curve, name) for name in points})
        tables.append(JobTable(name=f"curve-{endpoint}", title=f"Curve, {endpoint}", frame=frame, on_page=False))
        drawn.append(survival_plot({"all": curve}, title=f"{_TITLES[endpoint]} [%]", name=f"survival-{endpoint}"))
        document["survival"][endpoint] = curve.to_json()
    lanes = swimmer_lanes(patients, log=log)
    document["swimmer"] = [lane.to_json() for lane in lanes]
    text = []
    if lanes:
        drawn.append(swimmer_plot(lanes[:_MOST_LANES]))
        if len(lanes) > _MOST_LANES:
            text.append(
                f"The swimmer plot shows the {_MOST_LANES} patients with the longest follow-up of {len(lanes)}."
            )
    table = JobTable(name="survival", title="Survival", frame=pd.DataFrame(rows))
    sentences = tuple(_median_sentence(e, c) for e, c in curves.items())
    return JobSection(
        name="survival", title="Survival", text=(*sentences, *text), tables=(table, *tables), figures=tuple(drawn)
    )


def _prognosis_section(tested: Sequence[Prognosis]) -> JobSection:
    import pandas as pd

    rows = []
    drawn: list[Figure] = []
    forest = []
    text = []
    for p in tested:
        ratio, test = p.per_unit.hazard_ratios.get(p.marker), p.per_unit.tests.get(p.marker)
        schoenfeld = p.per_unit.proportional.get(p.marker)
        rows.append(
            {
                "marker": p.marker, "endpoint": _TITLES[p.endpoint], "n": p.n, "events": p.events, "per": p.unit,
                "hazard_ratio": ratio.value if ratio else None, "hazard_ratio_low": ratio.low if ratio else None,
                "hazard_ratio_high": ratio.high if ratio else None,
                "hazard_ratio_method": ratio.method if ratio else None, "p": test.p if test else None,
                "test": test.test if test else None, "proportional_p": schoenfeld.p if schoenfeld else None,
                "cut_off": p.cut, "cut_source": p.cut_source or None,
                "logrank_p": p.logrank.p if p.logrank else None, "logrank_test": p.logrank.test if p.logrank else None,
            }
        )  # fmt: skip
        if ratio is not None and ratio.value is not None:
            label = f"{p.marker}, {p.endpoint.upper()}, per {p.unit:g}"
            forest.append(ForestRow(label=label, estimate=ratio, counts=f"{p.events}/{p.n}"))
            text.append(f"{label}: hazard ratio {estimate_text(ratio)}" + (f", {p_text(test)}." if test else "."))
        text += [f"{p.marker}, {p.endpoint.upper()}: {note}." for note in p.per_unit.notes]
        if p.low is not None and p.high is not None:
            groups = {f"{p.marker} < {p.cut:.3g}": p.low, f"{p.marker} ≥ {p.cut:.3g}": p.high}
            name = f"survival-{p.endpoint}-{p.marker}".replace("_", "-")
            drawn.append(survival_plot(groups, title=f"{_TITLES[p.endpoint]} [%]", test=p.logrank, name=name))
    if forest:
        caption = "Hazard ratios of the continuous marker with 95 % intervals; squares grow with n."
        drawn.insert(
            0, replace(forest_plot(forest, name="hazard-ratios", title="hazard ratio", ratio=True), caption=caption)
        )
    frame = pd.DataFrame(rows)
    shown = shown_columns(frame, leave_out=("cut_source",), headings={"proportional_p": "P, proportional hazards"})
    table = JobTable(name="prognosis", title="Uptake as a prognostic variable", frame=frame, shown=shown)
    return JobSection(name="prognosis", title="Prognosis", text=tuple(text), tables=(table,), figures=tuple(drawn))


def _response(path: Path, options: OutcomeOptions, log: NoticeLog) -> tuple[JobSection, dict[str, Any]]:
    scans = read_response(path, log=log)
    changes = response_changes(scans, repeatability_percent=options.repeatability, log=log)
    drawn: list[Figure] = []
    falls = []
    framework = next((f for f in FRAMEWORKS if any(s.categories.get(f) for s in scans)), None)
    for metric in METRICS:
        fall = best_response(changes, metric)
        if fall.patients:
            falls.append(fall)
            limits = options.repeatability.get(metric)
            name = f"waterfall-{metric.replace('_', '-')}"
            drawn.append(waterfall_plot(fall, framework=framework, highest=150.0, limits=limits, name=name))
    frame = change_table(changes)
    brief = ["patient", "date", "days", *(f"{m}_change_percent" for m in METRICS)]
    headings = {f"{m}_change_percent": f"{_SHORT[m]}, change [%]" for m in METRICS}
    tables = [
        JobTable(
            name="response", title="Change since the first scan", frame=frame[brief],
            shown=shown_columns(frame[brief], headings=headings),
        ),
        JobTable(name="response-all", title="Change since the first scan, all", frame=frame, on_page=False),
    ]  # fmt: skip
    crossed = None
    if options.cross is not None:
        crossed = cross_tabulate(scans, *options.cross)
        full = crossed.to_table()
        used = full.loc[(full != 0).any(axis=1), (full != 0).any(axis=0)]
        frame = used.reset_index(names=options.cross[0])
        frame.columns.name = None
        title = f"{options.cross[0]} (rows) against {options.cross[1]} (columns), as entered"
        tables.append(JobTable(name="response-categories", title=title, frame=frame))
    text = "No response criteria are validated for CXCR4 PET: changes are in percent, categories are those entered."
    section = JobSection(name="response", title="Response", text=(text,), tables=tuple(tables), figures=tuple(drawn))
    document = {
        "changes": [c.to_json() for c in changes],
        "best": [f.to_json() for f in falls],
        "categories": crossed.to_json() if crossed else None,
    }
    return section, document
