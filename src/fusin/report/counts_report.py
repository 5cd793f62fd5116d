"""A counter file as corrected rates: one row per tube with every step, Currie's limits, and spill-over removed on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fusin.assays.counter_files import read_counter_file
from fusin.assays.counting import NetRate
from fusin.assays.counting_maps import read_column_map
from fusin.assays.counting_nuclides import nuclide_rates
from fusin.assays.counting_runs import CountedRun, RunSetup, correct_run
from fusin.assays.counting_uncertainty import INTERVAL, Measured
from fusin.assays.spillover import SpillOver
from fusin.provenance import NoticeLog, jsonable
from fusin.report.counts_methods import counting_methods
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import counted
from fusin.report.table_text import shown_columns
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["RATE_COLUMNS", "CountsOptions", "counts_report"]

RATE_COLUMNS = (
    Column("tube", "string", "tube"),
    Column("window", "string", "energy window"),
    Column("repeat", "Int64", "number of the measurement"),
    Column("kind", "string", "sample or standard"),
    Column("start_time", "string", "start of the count"),
    Column("counts", "float64", "recorded counts"),
    Column("live_time_s", "float64", "live time [s]"),
    Column("net_cpm", "float64", "net rate at the reference time [1/min]; may be negative"),
    Column("net_cpm_low", "float64", "lower 95 % limit"),
    Column("net_cpm_high", "float64", "upper limit"),
    Column("dead_time_factor", "float64", "factor for dead time"),
    Column("count_decay_factor", "float64", "factor for decay during the count"),
    Column("reference_decay_factor", "float64", "factor for decay to the reference time"),
    Column("decision_limit_counts", "float64", "Currie's decision limit [net counts]"),
    Column("detection_limit_counts", "float64", "Currie's detection limit [net counts]"),
    Column("detected", "boolean", "whether the net counts exceed the decision limit"),
)
"""Written rates."""

_HEADINGS = {
    "start_time": "Start", "live_time_s": "Live [s]", "net_cpm": "Net cpm (95 %)", "dead_time_factor": "× dead time",
    "count_decay_factor": "× decay in count", "reference_decay_factor": "× decay to ref.",
    "decision_limit_counts": "L_C", "detection_limit_counts": "L_D",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsOptions:
    """What is asked.

    Attributes
    ----------
    run : what the user states about the run
    column_map : file of a column map
    spill_over : nuclide to (window, tube of its pure standard)
    """

    run: RunSetup = field(default_factory=RunSetup)
    column_map: Path | None = None
    spill_over: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def counts_report(path: Path, *, options: CountsOptions, log: NoticeLog) -> JobOutput:
    """Correct the tubes of a counter file.

    Raises
    ------
    InputError, NotComputable
        When the file cannot be used: one sentence with file, row and field.
    """
    chosen = read_column_map(options.column_map) if options.column_map else None
    readings = read_counter_file(path, log, column_map=chosen, date_order=options.run.date_order)
    apart = nuclide_rates(readings, options.run, options.spill_over, log) if options.spill_over else None
    matrix, unmixed = (apart.matrix, apart.rates) if apart else (None, {})
    # A window with several nuclides has no half-life of its own.
    run = apart.run if apart else correct_run(readings, options.run, log)
    summary = _sentences(run, apart is not None)
    records = [_record(r) for r in run.rates]
    frame = to_frame([_row(r) for r in records], RATE_COLUMNS)
    keep = [
        c for c in frame.columns if not frame[c].isna().all() and not (frame[c].dtype == "string" and not any(frame[c]))
    ]
    keep = [c for c in keep if not (c in ("repeat", "kind") and frame[c].nunique() <= 1)]
    shown = tuple(
        replace(c, digits=4) if c.name.endswith("_factor") else c
        for c in shown_columns(frame[keep], RATE_COLUMNS, headings=_HEADINGS)
    )
    table = JobTable(name="rates", title="Net rates", frame=frame, shown=shown)
    sections = [JobSection(name="rates", title="Net rates", text=summary, tables=(table,))]
    if unmixed:
        sections.append(_spill_section(matrix, unmixed))
    document = {
        "reference_time": jsonable(run.reference),
        "half_life_s": jsonable(run.half_life_s),
        "background": [{"detector": d, "window": w, **b.to_json()} for (d, w), b in run.backgrounds.items()],
        "tubes": records,
        "spill_over": _matrix_json(matrix),
        "nuclides": [
            {"tube": tube, "nuclide": n, "net_cps": _estimate(m)}
            for tube, found in unmixed.items()
            for n, m in found.items()
        ],
    }
    parameters = {**options.run.to_json(), "spill_over": {n: list(v) for n, v in options.spill_over.items()}}
    inputs = (path,) if options.column_map is None else (path, options.column_map)
    return JobOutput(
        title="Counts", document=document, sections=tuple(sections), summary=summary, notices=log.notices,
        provenance=provenance_of(inputs, parameters, counting_methods((run,), options.run, options.spill_over)),
    )  # fmt: skip


def _estimate(found: Measured) -> dict[str, Any]:
    return found.estimate().to_json() | {"u": jsonable(found.u)}


def _record(rate: NetRate) -> dict[str, Any]:
    r = rate.reading
    return {
        "tube": r.tube, "window": r.window, "repeat": r.repeat, "kind": r.kind, "start_time": jsonable(r.start),
        "counts": jsonable(r.counts), "live_time_s": jsonable(r.live_time_s), "net_cps": _estimate(rate.rate),
        "steps": [{"name": s.name, "factor": s.factor, "rate_cps": s.rate_cps, "u_cps": s.u_cps} for s in rate.steps],
        "limits": rate.limits.to_json() if rate.limits else None, "detected": rate.detected,
    }  # fmt: skip


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    factors = {s["name"]: s["factor"] for s in record["steps"]}
    net, limits = record["net_cps"], record["limits"] or {}
    per_minute = {name: None if net[key] is None else 60.0 * net[key] for name, key in (
        ("net_cpm", "value"), ("net_cpm_low", "low"), ("net_cpm_high", "high"))}  # fmt: skip
    return {
        **record, **per_minute,
        "dead_time_factor": next((f for n, f in factors.items() if n.startswith("dead time")), None),
        "count_decay_factor": factors.get("decay during the count"),
        "reference_decay_factor": factors.get("decay to the reference"),
        "decision_limit_counts": limits.get("decision"), "detection_limit_counts": limits.get("detection"),
    }  # fmt: skip


def _sentences(run: CountedRun, separated: bool) -> tuple[str, ...]:
    if run.reference is not None and run.half_life_s is not None:
        when = f"decay-corrected to {run.reference.isoformat(sep=' ', timespec='seconds')} ({run.nuclide})"
    else:
        when = (
            "windows not decay-corrected, each nuclide with its own half-life"
            if separated
            else "not decay-corrected here"
        )
    blanks = "; ".join(
        f"{60 * b.rate.value:.4g} cpm" + (f" from {counted(b.n, 'blank')}" if b.n else " as stated")
        for b in run.backgrounds.values()
    )
    return (
        f"{counted(len(run.rates), 'tube count')}, {when}; background {blanks or 'subtracted by the counter'}; "
        f"intervals: {INTERVAL}.",
    )


def _matrix_json(matrix: SpillOver | None) -> dict[str, Any] | None:
    if matrix is None:
        return None
    return {
        "windows": list(matrix.windows),
        "columns": list(matrix.nuclides),
        "fractions": [[_estimate(m) for m in row] for row in matrix.fractions],
        "condition": matrix.condition,
    }


def _spill_section(matrix: SpillOver | None, unmixed: Mapping[str, Mapping[str, Measured]]) -> JobSection:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for tube, found in unmixed.items():
        for nuclide, rate in found.items():
            limits = rate.limits()
            rows.append(
                {"tube": tube, "nuclide": nuclide, "net_cpm": 60.0 * rate.value,
                 "net_cpm_low": 60.0 * limits[0] if limits else None, "net_cpm_high": 60.0 * limits[1] if limits else None}
            )  # fmt: skip
    text: tuple[str, ...] = ()
    if matrix is not None:
        shares = ", ".join(
            f"{n} into {w} {100 * matrix.fractions[i][j].value:.3g} %"
            for i, w in enumerate(matrix.windows)
            for j, n in enumerate(matrix.nuclides)
            if i != j
        )
        text = (f"Spill-over removed by the inverse of the matrix of the pure standards: {shares}.",)
    table = JobTable(name="nuclides", title="Nuclides", frame=pd.DataFrame(rows))
    return JobSection(name="nuclides", title="Nuclides", text=text, tables=(table,))
