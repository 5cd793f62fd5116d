"""Tracer against tracer: from finding tables, readings or four counts to tables, figures and one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusin.cohort.comparison import compare, compare_counts, findings_from_readings
from fusin.cohort.comparison_results import Comparison, PairedDetection
from fusin.cohort.detection import DetectionTable, SharedLesions, detection_rates, shared_lesions
from fusin.cohort.ihc import correlate_with_uptake, score_table
from fusin.cohort.tables import FINDINGS, IHC_SCORES, PAIRED_COUNTS
from fusin.cohort.units import Absent, Unit, Units, patients_of, side_by_side, tracers_of
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.report.cohort_figures import bland_altman_plot, paired_plot, rate_bars, upset_plot
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import Figure
from fusin.report.table_text import Shown, estimate_text, p_text, shown_columns
from fusin.stats.bland_altman import bland_altman
from fusin.stats.proportions import ProportionMethod
from fusin.stats.sample_size import McNemarVariant, mcnemar_sample_size
from fusin.tabular.files import load
from fusin.tabular.schema import read_table

if TYPE_CHECKING:
    import pandas as pd

    from fusin.stats.effects import EffectTest

__all__ = ["CompareOptions", "compare_cells", "compare_paths", "compare_readings", "compare_tables", "plan_comparison"]

_METRIC_TITLES = {
    "suv_max": "SUVmax [g/mL]",
    "suv_mean": "SUVmean [g/mL]",
    "suv_peak": "SUVpeak [g/mL]",
    "tbr_blood_pool": "SUVmax to blood pool",
    "tbr_liver": "SUVmax to liver",
    "volume_ml": "volume [mL]",
}
_DRAWN_METRICS = ("suv_max", "suv_peak", "tbr_blood_pool", "tbr_liver")
_DRAWN_METRICS = ("suv_max", "suv_peak", "tbr_blood_pool", "tbr_liver")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How two tracers are compared; see :func:`fusin.cohort.comparison.compare`.

    Attributes
    ----------
    first, second : tracers; None takes those of a table that holds two
    agreement : quantity whose limits of agreement are wanted, for repeated scans or two readers
    ihc : table of immunohistochemistry, whose scores are set against uptake
    """

    first: str | None = None
    second: str | None = None
    unit: Unit = "lesion"
    by: tuple[str, ...] = ()
    metrics: tuple[str, ...] | None = None
    value_test: Literal["wilcoxon", "t"] = "wilcoxon"
    adjust: Literal["holm", "bh"] = "holm"
    interval: ProportionMethod = "wilson"
    absent: Absent = "unknown"
    agreement: str | None = None
    ihc: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"ihc": self.ihc.name if self.ihc else None}


def compare_cells(
    both: int, first_only: int, second_only: int, neither: int, *, options: CompareOptions, log: NoticeLog
) -> JobOutput:
    """Compare from the four counts; the document is the contract of ``fusin compare --json``."""
    found = compare_counts(
        both, first_only, second_only, neither, first=options.first or "first", second=options.second or "second",
        unit=options.unit, interval=options.interval,
    )  # fmt: skip
    log.extend(found.notices)
    title = "Paired detection"
    section = JobSection(name="comparison", title=title, text=_sentences(found), tables=_paired_tables([found]))
    return JobOutput(
        title=f"{found.first} against {found.second}", document=found.to_json(), sections=(section,),
        summary=_sentences(found), notices=log.notices, provenance=provenance_of((), options.to_json()),
    )  # fmt: skip


def compare_paths(
    paths: Sequence[Path],
    *,
    options: CompareOptions,
    log: NoticeLog,
    tracers: Sequence[str] | None = None,
    patients: Sequence[str] | None = None,
    max_distance_mm: float = 15.0,
) -> JobOutput:
    """Compare folders of ``fusin read`` or tables, whichever the paths are.

    Raises
    ------
    InputError
        As :func:`compare_readings` and :func:`compare_tables`, and for names of folders where there are tables.
    """
    if paths and all(path.is_dir() for path in paths):
        return compare_readings(
            paths, options=options, log=log, tracers=tracers, patients=patients, max_distance_mm=max_distance_mm
        )
    if tracers or patients:
        raise InputError(
            "--tracer, --patient", "input", "tables", "folders of fusin read; a table names both in its rows"
        )
    return compare_tables(paths, options=options, log=log)


def compare_tables(paths: Sequence[Path], *, options: CompareOptions, log: NoticeLog) -> JobOutput:
    """Compare from finding tables (rows of all of them together), or from one table of paired counts.

    Raises
    ------
    InputError
        For a table that cannot be used, or more than two tracers and none named.
    """
    if len(paths) == 1:
        frame, _ = load(paths[0], FINDINGS.names(), "")
        if {"both", "neither"} <= {str(c).strip().lower() for c in frame.columns}:
            return _counted(paths[0], options, log)
    findings = _one_table([read_table(p, FINDINGS, log) for p in paths], log)
    return _compared(findings, paths, options, log)


def compare_readings(
    folders: Sequence[Path],
    *,
    options: CompareOptions,
    log: NoticeLog,
    tracers: Sequence[str] | None = None,
    patients: Sequence[str] | None = None,
    max_distance_mm: float = 15.0,
) -> JobOutput:
    """Compare the folders of ``fusin read``; the matches of lesions across scans become a table to review.

    Raises
    ------
    InputError
        For a folder without a reading, two readings of one patient with one tracer, or more than two tracers and none
        named.
    """
    made = findings_from_readings(folders, log, tracers=tracers, patients=patients, max_distance_mm=max_distance_mm)
    output = _compared(made.findings, folders, options, log)
    tables = [JobTable(name="findings", title="Findings", frame=made.findings, on_page=False)]
    tables.append(JobTable(name="lesion-matches", title="Lesion matches to review", frame=made.review))
    text = "Lesions of the scans of one patient were brought together by distance; a reader has to confirm each match."
    section = JobSection(name="matches", title="Lesion matches", text=(text,), tables=tuple(tables))
    return replace(output, sections=(*output.sections, section))


def plan_comparison(
    first_only: float, second_only: float, *, power: float, test: McNemarVariant, log: NoticeLog
) -> JobOutput:
    """Number of patients for a McNemar comparison with expected discordant shares."""
    import pandas as pd

    size = mcnemar_sample_size(first_only, second_only, power=power, test=test)
    sentence = (
        f"{size.n} patients show a difference between {first_only:.1%} seen by the first tracer alone and {second_only:.1%} "
        f"by the second alone with a power of {size.power:.1%} ({size.test}, two-sided alpha {size.alpha:g}); Connor's formula "
        f"gives {size.connor}, Miettinen's {size.miettinen}."
    )
    table = JobTable(name="plan", title="Sample size", frame=pd.DataFrame([size.to_json()]))
    parameters = {"first_only": first_only, "second_only": second_only, "power": power, "test": test}
    return JobOutput(
        title="Sample size of a paired comparison", document={"plan": size.to_json()},
        sections=(JobSection(name="plan", title="Sample size", text=(sentence,), tables=(table,)),),
        summary=(sentence,), notices=log.notices, provenance=provenance_of((), parameters),
    )  # fmt: skip


def _one_table(parts: Sequence[pd.DataFrame], log: NoticeLog) -> pd.DataFrame:
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    return read_table(pd.concat(parts, ignore_index=True), FINDINGS, log, where="finding tables")


def _counted(path: Path, options: CompareOptions, log: NoticeLog) -> JobOutput:
    """Each row of a table of paired counts compared on its own."""
    counts = read_table(path, PAIRED_COUNTS, log)
    found = []
    for row in counts.to_dict("records"):
        cells = [int(row[name]) for name in ("both", "first_only", "second_only", "neither")]
        found.append(
            compare_counts(
                *cells, first=options.first or "first", second=options.second or "second", unit=options.unit,
                label=str(row["label"]), interval=options.interval,
            )
        )  # fmt: skip
    for one in found:
        log.extend(one.notices)
    title = f"{found[0].first} against {found[0].second}"
    text = tuple(f"{one.label}: {s}" for one in found for s in _sentences(one)[:1])
    return JobOutput(
        title=title, document={"tables": [one.to_json() for one in found]},
        sections=(JobSection(name="comparison", title="Paired detection", text=text, tables=_paired_tables(found)),),
        summary=text, notices=log.notices, provenance=provenance_of((path,), options.to_json()),
    )  # fmt: skip


def _compared(findings: pd.DataFrame, paths: Sequence[Path], options: CompareOptions, log: NoticeLog) -> JobOutput:
    first, second = _two_tracers(findings, options)
    rates = detection_rates(findings, log, by=options.by, interval=options.interval, absent=options.absent)
    matrices = shared_lesions(
        findings, log, by=options.by[0] if options.by else None, unit=options.unit, absent=options.absent
    )
    result = compare(
        findings, first, second, log, unit=options.unit, by=options.by, metrics=options.metrics,
        value_test=options.value_test, multiplicity=options.adjust, interval=options.interval, absent=options.absent,
    )  # fmt: skip
    sections = [
        _detection_section(rates),
        _shared_section(matrices),
        _paired_section(result),
    ]
    units = _units(findings, (first, second), options)
    if result.values:
        sections.append(_value_section(result, units))
    document = result.to_json() | {
        "detection": rates.to_json()["rates"],
        "shared": [m.to_json() for m in matrices],
        "agreement": None,
        "ihc": None,
    }
    if options.agreement is not None:
        section, document["agreement"] = _agreement_section(units, options.agreement)
        sections.append(section)
    inputs = [*paths]
    if options.ihc is not None:
        inputs.append(options.ihc)
        section, tests = _ihc_section(options.ihc, log)
        sections.append(section)
        document["ihc"] = tests
    return JobOutput(
        title=f"{first} against {second}", document=document, sections=tuple(sections),
        summary=_sentences(result.overall), notices=log.notices, provenance=provenance_of(inputs, options.to_json()),
    )  # fmt: skip


def _two_tracers(findings: pd.DataFrame, options: CompareOptions) -> tuple[str, str]:
    present = list(dict.fromkeys(str(t) for t in findings["tracer"]))
    if options.first and options.second:
        tracers_of(findings, (options.first, options.second))
        return options.first, options.second
    if len(present) == 2:
        first = options.first or next(t for t in present if t != options.second)
        tracers_of(findings, (first,))
        return first, options.second or next(t for t in present if t != first)
    raise InputError("finding table", "tracer", ", ".join(present), "two tracers, or --first and --second")


def _sentences(found: PairedDetection) -> tuple[str, ...]:
    rates = (
        f"{found.first} detected {estimate_text(found.first_rate, percent=True)} and {found.second} "
        f"{estimate_text(found.second_rate, percent=True)} of {found.n} {found.unit}s ({found.first_rate.method} intervals); "
        f"{p_text(found.primary)}."
    )
    agreement = f"Both {found.both}, {found.first} alone {found.first_only}, {found.second} alone {found.second_only}, "
    agreement += f"neither {found.neither}; kappa {estimate_text(found.kappa)}."
    return rates, agreement


def _detection_section(rates: DetectionTable) -> JobSection:
    frame = rates.to_table()
    frame.insert(2, "stratum", [f"{r.by} {r.group}" if r.by else "all" for r in rates.rates])
    hidden = ("by", "group", "clustered_method", "unassessed")
    table = JobTable(
        name="detection", title="Detection rates", frame=frame,
        shown=shown_columns(frame, percent=("rate", "clustered"), leave_out=hidden),
    )  # fmt: skip
    text = (
        "Share of what was assessed. Where patients have several lesions, the clustered interval is the one to quote."
    )
    return JobSection(
        name="detection", title="Detection rates", text=(text,), tables=(table,), figures=_rate_figures(rates)
    )


def _shared_section(matrices: Sequence[SharedLesions]) -> JobSection:
    import pandas as pd

    parts = [m.to_table().assign(group=m.label or "all") for m in matrices]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[["group", *[c for c in frame.columns if c != "group"]]]
    tracers = matrices[0].tracers
    sets = [" + ".join(t for t in tracers if row[t]) for row in parts[0].to_dict("records")]
    exact = pd.DataFrame(
        {"seen_by_exactly": sets} | {m.label or "all": p["exactly"] for m, p in zip(matrices, parts, strict=True)}
    )
    tables = (
        JobTable(
            name="shared-lesions",
            title=f"{matrices[0].unit.capitalize()}s by the tracers that showed them",
            frame=exact,
        ),
        JobTable(name="shared-lesions-all", title="Exclusive and shared", frame=frame, on_page=False),
    )
    return JobSection(name="shared", title="What the tracers share", tables=tables, figures=(upset_plot(matrices[0]),))


def _paired_section(result: Comparison) -> JobSection:
    import pandas as pd

    tables = list(_paired_tables([result.overall, *result.strata]))
    if result.tests:
        tests = pd.DataFrame([t.to_json() for t in result.tests])
        shown = (
            Shown(name="label", heading="Compared"),
            Shown(name="p", heading="P", p=True),
            Shown(name="adjusted", heading=f"P, {result.tests[0].method}", p=True),
            Shown(name="test", heading="Test"),
        )
        title = f"All {len(tests)} quoted tests, adjusted for their number"
        tables.append(JobTable(name="adjusted-tests", title=title, frame=tests, shown=shown))
    return JobSection(
        name="comparison", title="Paired detection", text=_sentences(result.overall), tables=tuple(tables)
    )


def _paired_tables(found: Sequence[PairedDetection]) -> tuple[JobTable, ...]:
    """What a paper prints, then the variants of the test, then everything for programs."""
    frame = Comparison(overall=found[0], strata=tuple(found[1:]), values=(), tests=()).to_table()
    frame = frame.assign(stratum=[d.label or "all" for d in found])
    first, second = found[0].first, found[0].second
    tests = [str(t) for t in dict.fromkeys(frame["primary_test"])]
    headings = {"first_only": f"{first} only", "second_only": f"{second} only", "first": first, "second": second}
    headings["primary_p"] = "P"
    title = f"Paired detection; P: {tests[0]}" if len(tests) == 1 else "Paired detection"
    hidden = ("primary_test",) if len(tests) == 1 else ()
    counts = ["stratum", "n", *(["patients"] if frame["patients"].notna().any() else [])]
    rates = ["first", "first_low", "first_high", "second", "second_low", "second_high"]
    short = frame[
        [*counts, "both", "first_only", "second_only", "neither", *rates, "difference", "difference_low", "difference_high",
         "primary_test", "primary_p"]
    ]  # fmt: skip
    variants = [c for c in frame.columns if c.startswith(("kappa", "mcnemar_"))]
    agreement = frame[["stratum", "first_only", "second_only", *variants]]
    percent = ("first", "second", "difference")
    return (
        JobTable(name="comparison", title=title, frame=short,
                    shown=shown_columns(short, percent=percent, headings=headings, leave_out=hidden)),
        JobTable(name="mcnemar", title="Agreement, and every variant of the McNemar test", frame=agreement,
                    shown=shown_columns(agreement, headings=headings)),
        JobTable(name="comparison-all", title="Paired detection, all", frame=frame, on_page=False),
    )  # fmt: skip


def _rate_figures(rates: DetectionTable) -> tuple[Figure, ...]:
    """Bars for each grouping and unit; rates over all where there is no grouping."""
    kinds = dict.fromkeys((r.unit, r.by) for r in rates.rates)
    grouped = [k for k in kinds if k[1]] or list(kinds)
    return tuple(
        rate_bars(
            [r for r in rates.rates if (r.unit, r.by) == (unit, by)],
            name="-".join(["detection", unit, *([by] if by else [])]),
            title=f"{unit}s detected [%]",
        )
        for unit, by in grouped
    )


def _units(findings: pd.DataFrame, tracers: tuple[str, str], options: CompareOptions) -> Units:
    # The comparison has noted what it doubted about the same rows; a second log would say it twice.
    lesions = side_by_side(findings, tracers, NoticeLog(), absent=options.absent)
    if options.unit == "patient":
        return patients_of(lesions)
    return lesions.part(lesions.frame["lesion"].notna().to_numpy())


def _value_section(result: Comparison, units: Units) -> JobSection:
    frame = result.values_table()
    names = (result.overall.first, result.overall.second)
    drawn = [
        paired_plot(
            units.values[v.metric][:, 0], units.values[v.metric][:, 1], names=names, result=v, log=True,
            title=_METRIC_TITLES.get(v.metric, v.metric), name=f"paired-{v.metric.replace('_', '-')}",
        )
        for v in result.values
        if v.metric in _DRAWN_METRICS
    ]  # fmt: skip
    tests = [str(t) for t in dict.fromkeys(frame["test"])]
    title = "Paired uptake, median (quartiles)" + (f"; P: {tests[0]}" if len(tests) == 1 else "")
    text = f"Differences are {names[0]} minus {names[1]} over the pairs where both have a value."
    tables = (JobTable(name="uptake", title=title, frame=frame, shown=_uptake_columns(names, tests)),)
    return JobSection(name="uptake", title="Uptake", text=(text,), tables=tables, figures=tuple(drawn))


def _uptake_columns(names: tuple[str, str], tests: Sequence[str]) -> tuple[Shown, ...]:
    return (
        Shown(name="metric", heading="Quantity"),
        Shown(name="pairs", heading="Pairs"),
        Shown(name="patients", heading="Patients"),
        Shown(name="first_median", heading=names[0], low="first_q1", high="first_q3", digits=2),
        Shown(name="second_median", heading=names[1], low="second_q1", high="second_q3", digits=2),
        Shown(name="difference", heading="Difference", low="difference_low", high="difference_high", digits=2),
        Shown(name="p", heading="P", p=True),
        *((Shown(name="test", heading="Test"),) if len(tests) > 1 else ()),
    )


def _agreement_section(units: Units, metric: str) -> tuple[JobSection, dict[str, Any]]:
    import pandas as pd

    if metric not in units.values:
        raise InputError("finding table", "--agreement", metric, "one of " + ", ".join(units.values))
    pairs = units.values[metric]
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    found = bland_altman(pairs[:, 0], pairs[:, 1])
    names = (units.tracers[0], units.tracers[1])
    estimates = {"bias": found.bias, "lower limit": found.lower, "upper limit": found.upper}
    rows = [
        {"measure": k, "value": e.value, "value_low": e.low, "value_high": e.high, "value_method": e.method, "n": e.n}
        for k, e in estimates.items()
    ]
    text = f"{_METRIC_TITLES.get(metric, metric)}, {names[0]} minus {names[1]}: bias {estimate_text(found.bias)}, limits of "
    text += f"agreement {estimate_text(found.lower)} and {estimate_text(found.upper)}."
    section = JobSection(
        name="agreement", title="Limits of agreement", text=(text,),
        tables=(JobTable(name="agreement", title="Limits of agreement", frame=pd.DataFrame(rows)),),
        figures=(bland_altman_plot(found, names=names, quantity=_METRIC_TITLES.get(metric, metric)),),
    )  # fmt: skip
    return section, {"metric": metric, **found.to_json()}


def _ihc_section(path: Path, log: NoticeLog) -> tuple[JobSection, dict[str, Any]]:
    import pandas as pd

    frame = score_table(read_table(path, IHC_SCORES, log))
    if "suv_max" not in frame.columns:
        raise InputError(path.name, "columns", ", ".join(map(str, frame.columns)), "a column named suv_max")
    tests: dict[str, EffectTest] = {}
    for score in ("irs", "h_score"):
        if frame[score].notna().any():
            values = frame[score].astype("float64").to_numpy()
            tests[score] = correlate_with_uptake(values, frame["suv_max"].to_numpy(dtype="float64"), log)
    rows = [
        {"score": name, "n": t.n, "correlation": t.effect.value, "correlation_low": t.effect.low,
         "correlation_high": t.effect.high, "correlation_method": t.effect.method, "p": t.p, "test": t.test}
        for name, t in tests.items()
    ]  # fmt: skip
    text = tuple(
        f"{name.replace('_', '-')} against SUVmax: {estimate_text(t.effect)}, {p_text(t)}." for name, t in tests.items()
    )
    tables = (
        JobTable(name="ihc", title="Immunohistochemistry against uptake", frame=pd.DataFrame(rows)),
        JobTable(name="ihc-scores", title="Scores", frame=frame, on_page=False),
    )
    section = JobSection(name="ihc", title="Immunohistochemistry", text=text, tables=tables)
    return section, {name: t.to_json() for name, t in tests.items()}
