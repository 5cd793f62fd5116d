"""A biodistribution as tables, figures and sentences; everything is computed in ``fusin.assays``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusin.assays.biodistribution import Exclusion, OrganValue, TissueValues
from fusin.assays.biodistribution_files import StudyFiles, StudySetup, read_study
from fusin.assays.biodistribution_groups import (
    Comparison,
    OrganRatio,
    OrganSummary,
    RatioInterval,
    compare_groups,
    find_target,
    organ_ratios,
    ratios_of_summaries,
    summarise,
)
from fusin.assays.biodistribution_tables import EXCLUSION_COLUMNS, ORGAN_COLUMNS, VALUE_COLUMNS
from fusin.assays.biodistribution_values import QUANTITIES, kind_of_table, read_means, read_values
from fusin.assays.counter_files import read_counter_file
from fusin.assays.counting_maps import read_column_map
from fusin.assays.counting_runs import CountedRun
from fusin.assays.counting_uncertainty import Measured
from fusin.errors import InputError
from fusin.provenance import Method, NoticeLog, jsonable
from fusin.report.bench_figures import Bar, Course, CoursePoint, bars_of_organs, course_over_time
from fusin.report.counts_methods import BOOTSTRAP, DELTA, FIELLER, HOLM, T_INTERVAL, WELCH, counting_methods
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import Figure
from fusin.report.table_text import number_text, shown_columns
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BiodistributionInputs", "BiodistributionOptions", "biodistribution_report"]

Dispersion = Literal["SD", "SEM"]
_MOST_SERIES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class BiodistributionInputs:
    """Files: tubes, values or means; animals; standards; a counter file with its column map."""

    table: Path
    animals: Path | None = None
    standards: Path | None = None
    counts: Path | None = None
    column_map: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """All files that are given."""
        found = (self.table, self.animals, self.standards, self.counts, self.column_map)
        return tuple(p for p in found if p is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BiodistributionOptions:
    """What is asked.

    Attributes
    ----------
    setup : of the study
    target : numerator of ratios
    compare : pairs of groups or times; None compares the only two groups, or else the only two times
    ratio_interval : of the ratio of means
    dispersion : what tables and figures print beside a mean
    seed : of a bootstrap
    """

    setup: StudySetup = field(default_factory=StudySetup)
    target: str | None = None
    compare: tuple[tuple[str, str], ...] | None = None
    ratio_interval: RatioInterval = "fieller"
    dispersion: Dispersion = "SD"
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        setup = self.setup
        return {
            **setup.run.to_json(), "balance_sd_mg": setup.balance_sd_mg, "subtract_tail": setup.subtract_tail,
            "tail_limit_percent": setup.tail_limit_percent, "target": self.target,
            "compare": [list(p) for p in self.compare] if self.compare is not None else None,
            "ratio_interval": self.ratio_interval, "dispersion": self.dispersion, "seed": self.seed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """Everything before it is put on a page."""

    values: TissueValues
    quantity: str
    organs: tuple[OrganSummary, ...]
    ratios: tuple[OrganRatio, ...]
    comparisons: tuple[Comparison, ...]
    target: str | None
    run: CountedRun | None

    @property
    def unit(self) -> str:
        return dict(QUANTITIES)[self.quantity]


def biodistribution_report(
    inputs: BiodistributionInputs, *, options: BiodistributionOptions, log: NoticeLog
) -> JobOutput:
    """%ID/g per animal and organ, groups, ratios and tests.

    Raises
    ------
    InputError, NotComputable
        When a table cannot be used: one sentence with file, row and column.
    """
    kind = kind_of_table(inputs.table)
    if kind == "counts":
        found = _of_counts(inputs, options, log)
    else:
        extra = next((p for p in inputs.paths()[1:]), None)
        if extra is not None:
            raise InputError(extra.name, "file", "beside a table of values", "the table of tubes that it belongs to")
        found = _of_means(inputs.table, options, log) if kind == "means" else _of_values(inputs.table, options, log)
    sections = _sections(found, options)
    summary = _summary(found, options)
    return JobOutput(
        title="Biodistribution", document=_document(found, options), sections=sections, summary=summary,
        notices=log.notices, provenance=provenance_of(inputs.paths(), options.to_json(), _methods(found, options)),
    )  # fmt: skip


def _methods(found: _Found, options: BiodistributionOptions) -> tuple[Method, ...]:
    used = [*(counting_methods((found.run,), options.setup.run) if found.run else ()), T_INTERVAL]
    if any(r.of_means for r in found.ratios):
        used += [DELTA] if options.ratio_interval == "delta" else [FIELLER, DELTA]
        used += [BOOTSTRAP] if options.ratio_interval == "bootstrap" else []
    return (*used, *((WELCH, HOLM) if found.comparisons else ()))


def _of_counts(inputs: BiodistributionInputs, options: BiodistributionOptions, log: NoticeLog) -> _Found:
    readings = None
    if inputs.counts is not None:
        chosen = read_column_map(inputs.column_map) if inputs.column_map else None
        readings = read_counter_file(inputs.counts, log, column_map=chosen, date_order=options.setup.run.date_order)
    elif inputs.column_map is not None:
        raise InputError(inputs.column_map.name, "column map", "no counter file", "--counts FILE, which it describes")
    files = StudyFiles(samples=inputs.table, animals=inputs.animals, standards=inputs.standards, readings=readings)
    values, run = read_study(files, options.setup, log)
    weighed = any(v.percent_id_per_g is not None for v in values.values)
    return _found(values, "percent_id_per_g" if weighed else "percent_id", options, log, run)


def _of_values(path: Path, options: BiodistributionOptions, log: NoticeLog) -> _Found:
    values, quantity = read_values(path, log)
    return _found(values, quantity, options, log, None)


def _of_means(path: Path, options: BiodistributionOptions, log: NoticeLog) -> _Found:
    organs = read_means(path, log)
    target = find_target(list(dict.fromkeys(o.organ for o in organs)), options.target, log)
    pairs = _pairs([(o.group, o.time) for o in organs], options)
    return _Found(
        values=TissueValues(values=()), quantity="percent_id_per_g", organs=organs,
        ratios=ratios_of_summaries(organs, target) if target else (),
        comparisons=compare_groups(organs, pairs) if pairs else (), target=target, run=None,
    )  # fmt: skip


def _found(
    values: TissueValues, quantity: str, options: BiodistributionOptions, log: NoticeLog, run: CountedRun | None
) -> _Found:
    listed = list(dict.fromkeys(v.organ for v in values.values))
    target = find_target(listed, options.target, log)
    pairs = _pairs([(v.group, v.time) for v in values.values], options)
    rng = np.random.default_rng(options.seed)
    return _Found(
        values=values, quantity=quantity, organs=summarise(values.values, quantity),
        ratios=organ_ratios(values.values, target, quantity=quantity, interval=options.ratio_interval, rng=rng)
        if target else (),
        comparisons=compare_groups(values.values, pairs, quantity=quantity, target=target) if pairs else (),
        target=target, run=run,
    )  # fmt: skip


def _pairs(cells: Sequence[tuple[str, str]], options: BiodistributionOptions) -> tuple[tuple[str, str], ...]:
    """Pairs that were asked for, or the only two groups, or else the only two times."""
    if options.compare is not None:
        return options.compare
    for labels in (list(dict.fromkeys(g for g, _ in cells)), list(dict.fromkeys(t for _, t in cells))):
        if len(labels) == 2 and all(labels):
            return ((labels[0], labels[1]),)
        if len(labels) > 1:
            return ()
    return ()


def _estimate(found: Measured | None) -> dict[str, Any] | None:
    return None if found is None else found.estimate().to_json() | {"u": jsonable(found.u)}


def _document(found: _Found, options: BiodistributionOptions) -> dict[str, Any]:
    values, run = found.values, found.run
    return {
        "quantity": found.quantity,
        "unit": found.unit,
        "decay_corrected": True if run is not None else None,
        "dispersion": options.dispersion,
        "reference_time": jsonable(run.reference) if run else None,
        "background": [
            {"detector": d, "window": w, **b.to_json()} for (d, w), b in (run.backgrounds.items() if run else ())
        ],
        "standards": values.calibration.to_json() if values.calibration else None,
        "animals": [_animal(values, name) for name in values.doses],
        "values": [_value(v) for v in values.values],
        "organs": [o.to_json() for o in found.organs],
        "target": found.target,
        "ratios": [r.to_json() for r in found.ratios],
        "comparisons": [c.to_json() for c in found.comparisons],
        "exclusions": [e.to_json() for e in values.exclusions],
    }


def _animal(values: TissueValues, name: str) -> dict[str, Any]:
    dose, recovered = values.doses[name], values.recovery[name]
    return {
        "animal": name,
        "injected_cps": dose.gross.value,
        "tail_percent": _estimate(dose.tail_percent),
        "recovery_percent": _estimate(recovered) if name in values.whole_body else None,
        "counted_percent": _estimate(recovered),
        "excluded": any(e.animal == name and not e.organ for e in values.exclusions),
    }


def _value(v: OrganValue) -> dict[str, Any]:
    per_gram = v.percent_id_per_g
    late = None if per_gram is None or v.decay_to_sacrifice is None else per_gram.value * v.decay_to_sacrifice
    return {
        "animal": v.animal, "organ": v.organ, "group": v.group, "time": v.time, "time_h": jsonable(v.time_h),
        "percent_id_per_g": _estimate(per_gram), "percent_id_per_g_at_sacrifice": jsonable(late),
        "percent_id": _estimate(v.percent_id), "suv": _estimate(v.suv), "mass_g": jsonable(v.mass_g),
        "detected": v.detected,
    }  # fmt: skip


def _summary(found: _Found, options: BiodistributionOptions) -> tuple[str, ...]:
    animals = len({v.animal for v in found.values.values})
    many = f"{animals} animals, " if animals else ""
    decay = "decay-corrected" if found.run is not None else "as the table gives them"
    lines = [
        f"{many}{len({o.organ for o in found.organs})} organs; {found.unit} {decay}, mean ± {options.dispersion}; "
        f"intervals of means: t."
    ]
    if found.values.exclusions:
        lines.append("Excluded: " + "; ".join(_because(e) for e in found.values.exclusions) + ".")
    elif found.run is not None:
        lines.append("No animal was excluded.")
    return tuple(lines)


def _because(one: Exclusion) -> str:
    return f"{one.animal}{f' {one.organ}' if one.organ else ''} ({one.reason})"


def _label(group: str, time: str) -> str:
    return ", ".join(part for part in (group, time) if part)


def _sections(found: _Found, options: BiodistributionOptions) -> tuple[JobSection, ...]:
    tables = [_printed(found, options), _organ_table(found)]
    figures = _figures(found, options)
    out = [
        JobSection(
            name="organs",
            title=f"Uptake [{found.unit}]",
            text=_summary(found, options),
            tables=tuple(tables),
            figures=figures,
        )
    ]
    if found.ratios:
        text = (
            f"{found.target} to organ. Per animal: mean ± SD of the animals' own ratios. Of means: quotient of the means; "
            "the two are different numbers.",
        )
        out.append(JobSection(name="ratios", title="Ratios", text=text, tables=(_ratio_table(found.ratios),)))
    if found.comparisons:
        text = ("Welch's t test, ratios on the log scale; p adjusted by Holm over the organs of one comparison.",)
        out.append(JobSection(name="comparisons", title="Comparisons", text=text, tables=(_comparison_table(found),)))
    if found.values.exclusions or found.run is not None:
        frame = to_frame([e.to_json() for e in found.values.exclusions], EXCLUSION_COLUMNS)
        excluded = JobTable(name="exclusions", title="Exclusions", frame=frame)
        listed = (_animal_table(found.values), excluded) if found.values.doses else (excluded,)
        out.append(JobSection(name="animals", title="Animals", tables=listed))
    if found.values.values:
        frame = to_frame([_flat(v) for v in found.values.values], VALUE_COLUMNS)
        every = JobTable(name="values", title="All values", frame=frame, on_page=False)
        out.append(JobSection(name="values", title="All values", text=("In tables/values.csv.",), tables=(every,)))
    return tuple(out)


def _flat(v: OrganValue) -> dict[str, Any]:
    row = _value(v)
    limits = v.percent_id_per_g.limits() if v.percent_id_per_g else None
    low, high = limits or (None, None)
    plain = {
        name: None if row[name] is None else row[name]["value"] for name in ("percent_id_per_g", "percent_id", "suv")
    }
    return row | plain | {"percent_id_per_g_low": low, "percent_id_per_g_high": high}


def _printed(found: _Found, options: BiodistributionOptions) -> JobTable:
    """The table as papers print it: organs in rows, groups in columns, mean ± SD (n)."""
    import pandas as pd

    columns = list(dict.fromkeys((o.group, o.time) for o in found.organs))
    rows: list[dict[str, str]] = []
    for organ in dict.fromkeys(o.organ for o in found.organs):
        row = {"organ": organ}
        for group, time in columns:
            cell = next((o for o in found.organs if (o.group, o.time, o.organ) == (group, time, organ)), None)
            row[_label(group, time) or f"mean ± {options.dispersion}"] = (
                "—" if cell is None else _plus_minus(cell, options)
            )
        rows.append(row)
    title = f"{found.unit}, mean ± {options.dispersion} (n)"
    return JobTable(name="organs-printed", title=title, frame=pd.DataFrame(rows))


def _plus_minus(cell: OrganSummary, options: BiodistributionOptions) -> str:
    spread = cell.sd if options.dispersion == "SD" else cell.sem
    mean = cell.mean.value or 0.0
    if spread is None:
        return f"{number_text(mean)} ({cell.n})"
    digits = min(4, max(0, 1 - math.floor(math.log10(spread)))) if spread > 0 else 2
    return f"{mean:.{digits}f} ± {spread:.{digits}f} ({cell.n})".replace("-", "\u2212")


def _organ_table(found: _Found) -> JobTable:
    rows = [
        {"group": o.group, "time": o.time, "organ": o.organ, "n": o.n, "mean": o.mean.value, "mean_low": o.mean.low,
         "mean_high": o.mean.high, "sd": o.sd, "sem": o.sem}
        for o in found.organs
    ]  # fmt: skip
    frame = to_frame(rows, ORGAN_COLUMNS)
    shown = shown_columns(
        frame, ORGAN_COLUMNS, headings={"sd": "SD", "sem": "SEM", "mean": f"Mean {found.unit} (95 %, t)"},
        leave_out=_empty(frame),
    )  # fmt: skip
    return JobTable(name="organs", title="Means with intervals", frame=frame, shown=shown)


def _empty(frame: pd.DataFrame) -> list[str]:
    """Labels that no row has; a column of dashes says nothing."""
    return [c for c in ("group", "time", "note") if c in frame.columns and not any(frame[c].fillna(""))]


def _ratio_table(ratios: Sequence[OrganRatio]) -> JobTable:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for r in ratios:
        own, means = r.per_animal, r.of_means
        rows.append(
            {
                "group": r.group, "time": r.time, "ratio": f"{r.target} / {r.organ}",
                "per_animal": own.mean.value if own else None, "per_animal_low": own.mean.low if own else None,
                "per_animal_high": own.mean.high if own else None, "per_animal_method": own.mean.method if own else None,
                "per_animal_sd": own.sd if own else None,
                "n": own.n if own else None,
                "of_means": means.estimate.value if means else None,
                "of_means_low": means.estimate.low if means else None,
                "of_means_high": means.estimate.high if means else None,
                "of_means_method": means.estimate.method if means else None,
                "of_means_delta_sd": means.delta_sd if means else None,
                "note": "; ".join(filter(None, (means.estimate.note if means else "", r.why))),
            }
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    headings = {
        "per_animal": "Per animal, mean (95 %)", "per_animal_sd": "Per animal, SD", "of_means": "Of means (95 %)",
        "of_means_delta_sd": "Of means, delta SD",
    }  # fmt: skip
    # Two decimals, so that a reader can check a quotient by hand.
    shown = tuple(
        replace(c, digits=2) if c.name.startswith(("per_animal", "of_means")) else c
        for c in shown_columns(frame, headings=headings, leave_out=_empty(frame))
    )
    return JobTable(name="ratios", title="Ratios", frame=frame, shown=shown)


def _comparison_table(found: _Found) -> JobTable:
    import pandas as pd

    rows = [
        {
            "compared": f"{c.first} − {c.second}" if c.quantity == "value" else f"{c.first} / {c.second}",
            "quantity": found.unit if c.quantity == "value" else f"{found.target} / organ",
            "organ": c.organ, "effect": c.test.effect.value, "effect_low": c.test.effect.low,
            "effect_high": c.test.effect.high, "p": c.test.p, "test": c.test.test, "p_adjusted": c.p_adjusted,
        }
        for c in found.comparisons
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    shown = shown_columns(frame, headings={"effect": "Difference or quotient (95 %)", "p_adjusted": "p, Holm"})
    return JobTable(name="comparisons", title="Comparisons", frame=frame, shown=shown)


def _animal_table(values: TissueValues) -> JobTable:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name in values.doses:
        one = _animal(values, name)
        row: dict[str, Any] = {"animal": name}
        for key in ("tail_percent", "counted_percent", "recovery_percent"):
            got = one[key] or {}
            row |= {key: got.get("value"), f"{key}_low": got.get("low"), f"{key}_high": got.get("high")}
        rows.append(row | {"excluded": one["excluded"]})
    frame = pd.DataFrame(rows)
    headings = {
        "tail_percent": "Tail [% of dose]", "counted_percent": "Counted [% of dose]",
        "recovery_percent": "Recovery [% of dose]",
    }  # fmt: skip
    gone = [c for c in frame.columns if c.split("_")[0] in {h.split("_")[0] for h in headings if frame[h].isna().all()}]
    shown = shown_columns(frame, headings=headings, leave_out=gone)
    return JobTable(name="animals", title="Animals", frame=frame, shown=shown)


def _figures(found: _Found, options: BiodistributionOptions) -> tuple[Figure, ...]:
    series = list(dict.fromkeys(_label(o.group, o.time) for o in found.organs))
    if not found.organs:
        return ()
    by_cell: dict[tuple[str, str, str], list[float]] = {}
    for v in found.values.values:
        got = v.quantity(found.quantity)
        if got is not None:
            by_cell.setdefault((v.group, v.time, v.organ), []).append(got.value)
    bars = [
        Bar(
            series=_label(o.group, o.time), organ=o.organ, mean=o.mean.value or 0.0,
            sd=o.sd if options.dispersion == "SD" else o.sem, values=tuple(by_cell.get((o.group, o.time, o.organ), ())),
        )
        for o in found.organs
    ]  # fmt: skip
    out = [bars_of_organs(bars, title=found.unit, dispersion=options.dispersion)] if len(series) <= _MOST_SERIES else []
    return (*out, *_courses(found, options))


def _courses(found: _Found, options: BiodistributionOptions) -> tuple[Figure, ...]:
    """Uptake over time of up to six organs, the target first, for each group with three times or more."""
    out: list[Figure] = []
    for group in dict.fromkeys(o.group for o in found.organs):
        rows = [o for o in found.organs if o.group == group and o.time_h is not None]
        if len({o.time_h for o in rows}) < 3:
            continue
        organs = sorted(dict.fromkeys(o.organ for o in rows), key=lambda name: name != found.target)[:_MOST_SERIES]
        courses = [
            Course(label=organ, points=tuple(_point(o, options) for o in rows if o.organ == organ)) for organ in organs
        ]
        decay = "decay-corrected" if found.run is not None else "as the table gives it"
        caption = f"{found.unit} over time, {decay}, mean ± {options.dispersion}"
        name = f"course-{len(out) + 1}" if group else "course"
        out.append(
            course_over_time(
                courses, x_title="time after injection [h]", y_title=found.unit,
                caption=f"{caption}{f'; {group}' if group else ''}.", name=name, width_mm=120.0,
            )
        )  # fmt: skip
    return tuple(out)


def _point(o: OrganSummary, options: BiodistributionOptions) -> CoursePoint:
    spread = o.sd if options.dispersion == "SD" else o.sem
    mean = o.mean.value or 0.0
    low, high = (None, None) if spread is None else (mean - spread, mean + spread)
    return CoursePoint(x=o.time_h or 0.0, y=mean, low=low, high=high)
