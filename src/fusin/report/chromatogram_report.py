"""Chromatograms from files to percentages, purity, figures and one document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import Ambiguous, InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import Trace
from fusin.radiopharmacy.chromatogram_files import read_chromatogram
from fusin.radiopharmacy.chromatogram_map import ColumnMap, read_column_map
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod, read_method
from fusin.radiopharmacy.chromatogram_run import PIECE_COLUMNS, ChromatogramRun, Piece
from fusin.radiopharmacy.chromatogram_systems import Term, combined
from fusin.radiopharmacy.hplc import evaluate_hplc
from fusin.radiopharmacy.tlc import evaluate_tlc
from fusin.report.chromatogram_figures import chromatogram_plot
from fusin.report.chromatogram_methods import chromatogram_methods
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import Shown, estimate_text, number_text, shown_columns
from fusin.stats.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ChromatogramInputs", "chromatogram_report"]

Change = Callable[[ChromatogramMethod], ChromatogramMethod]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChromatogramInputs:
    """What is evaluated.

    Attributes
    ----------
    files : one run or strip each
    methods, maps : one for all files, or one for each in their order; the name ``none`` stands for no map
    uv : another channel of the only file, for the plot and the delay
    combine : ``auto``, ``none``, ``tlc-tlc`` or ``tlc-hplc``
    """

    files: tuple[Path, ...]
    methods: tuple[Path, ...] = ()
    maps: tuple[Path, ...] = ()
    uv: Path | None = None
    combine: str = "auto"


def chromatogram_report(
    inputs: ChromatogramInputs, *, change: Change = lambda method: method, log: NoticeLog
) -> JobOutput:
    """Evaluate chromatograms; the document is the contract of ``fusin chromatogram --json``.

    Parameters
    ----------
    inputs : files with their methods and column maps
    change : what the command line changes in a method
    log : receives what was decided and doubted

    Raises
    ------
    InputError
        For files, methods and maps that cannot be used or do not fit each other.
    """
    maps = [None if p.name == "none" else read_column_map(p) for p in inputs.maps]
    methods = [read_method(p) for p in inputs.methods]
    runs = []
    for number, path in enumerate(inputs.files):
        mapping = _one_of(maps, number, len(inputs.files), "--map")
        method = change(_one_of(methods, number, len(inputs.files), "--method") or ChromatogramMethod())
        more = read_chromatogram(inputs.uv, log, mapping=None) if inputs.uv is not None and not number else ()
        runs.append(_run(path, mapping, method, more, log))
    combination, rcp, reason = _combined(runs, inputs.combine, log)
    _doubt_columns(runs, combined=combination is not None, log=log)
    several = len(runs) > 1
    names = _section_names(runs)
    sections = [_section(run, name) for run, name in zip(runs, names, strict=True)]
    if combination:
        sections.insert(0, _combination_section(combination, rcp))
    used = [p for p in (*inputs.files, *inputs.methods, *inputs.maps, inputs.uv) if p is not None and p.name != "none"]
    documents = [_run_document(run) for run in runs]
    document = _several(documents, combination, rcp, reason) if several else documents[0]
    return JobOutput(
        title="Chromatogram" if not several else "Chromatograms",
        document=document,
        sections=tuple(sections),
        summary=tuple(_sentences(runs, rcp, combination)),
        notices=log.notices,
        provenance=provenance_of(
            used,
            {
                "methods": [r.method.to_json() for r in runs],
                "maps": [{} if m is None else m.to_json() for m in maps],
                "combine": inputs.combine,
            },
            chromatogram_methods(runs, combination),
        ),
    )


def _one_of(listed: Sequence[Any], number: int, files: int, option: str) -> Any:
    if not listed:
        return None
    if len(listed) == 1:
        return listed[0]
    if len(listed) != files:
        raise InputError(
            option, "number of files", len(listed), f"one for all, or one for each of the {files} chromatograms"
        )
    return listed[number]


def _run(
    path: Path, mapping: ColumnMap | None, method: ChromatogramMethod, more: Sequence[Trace], log: NoticeLog
) -> ChromatogramRun:
    traces = read_chromatogram(path, log, mapping=mapping)
    if method.channel is not None and len(traces) == 1:
        traces = (replace(traces[0], channel=method.channel),)  # type: ignore[arg-type]  # the method allows no other
    main = _main(traces, method)
    if method.kind is not None and method.kind != main.kind:
        raise InputError(path.name, "axis", "time" if main.axis == "min" else "distance", f"a {method.kind} method's own: "
                         + ("distance" if method.kind == "tlc" else "time"))  # fmt: skip
    if main.kind == "tlc":
        if method.peaks:
            raise InputError(path.name, "peaks", "peaks over a distance", "regions of a strip")
        return evaluate_tlc(main, method, log)
    if method.regions:
        raise InputError(
            path.name, "regions", "regions over a time", "peaks of a run, with window_min or retention_min"
        )
    return evaluate_hplc(main, method, log, other=[t for t in (*traces, *more) if t is not main])


def _main(traces: Sequence[Trace], method: ChromatogramMethod) -> Trace:
    """The channel that is integrated: the only one, or the only radio channel."""
    wanted = method.channel or "radio"
    found = [t for t in traces if t.channel == wanted] or (list(traces) if len(traces) == 1 else [])
    if len(found) != 1:
        names = ", ".join(t.name for t in traces)
        raise Ambiguous(
            "the chromatogram",
            f"{traces[0].where} holds {len(traces)} channels ({names}), {len(found)} of them {wanted}",
            "y_column in a column map",
            "SEVERAL_CHANNELS",
        )
    return found[0]


def _combined(
    runs: Sequence[ChromatogramRun], wanted: str, log: NoticeLog
) -> tuple[dict[str, Any] | None, Estimate | None, str]:
    """The combination of two systems, its purity, and why there is none."""
    if len(runs) == 1:
        return None, runs[0].rcp, runs[0].rcp_reason
    if wanted == "none":
        return None, None, "a combination was not wanted"
    kinds: list[str] = sorted(r.kind for r in runs)
    rule = {"tlc tlc": "tlc-tlc", "hplc tlc": "tlc-hplc"}.get(" ".join(kinds), "")
    if not rule or (wanted not in ("auto", rule)):
        if wanted != "auto":
            raise InputError("--combine", "choice", wanted, f"a combination of what was given: {' and '.join(kinds)}")
        return None, None, f"{' and '.join(kinds)} are not combined: two strips, or a strip and a run, are"
    found, reason = combined(runs, "tlc-tlc" if rule == "tlc-tlc" else "tlc-hplc", log)
    if found is None:
        return None, None, reason
    log.info(
        "SYSTEMS_COMBINED",
        f"radiochemical purity is {found.formula}",
        where=" and ".join(r.trace.where for r in runs),
        used=found.rule,
    )
    document: dict[str, Any] = {"rule": found.rule, "formula": found.formula}
    document |= {term.letter: _term(term) for term in found.terms}
    document["species"] = [
        {
            "name": s.name,
            "formula": s.formula,
            "percent": s.estimate.value,
            "low": s.estimate.low,
            "high": s.estimate.high,
        }
        for s in found.species
    ]
    return document, found.rcp, ""


def _doubt_columns(runs: Sequence[ChromatogramRun], *, combined: bool, log: NoticeLog) -> None:
    """A column keeps colloid; purity by HPLC alone says so."""
    for run in runs:
        if (
            run.kind == "hplc"
            and run.rcp is not None
            and run.recovery is None
            and run.trace.channel != "uv"
            and not combined
        ):
            log.warning("HPLC_MISSES_COLLOID", "what stays on the column (colloid) is not seen by HPLC: combine with TLC, or "
                        "state the injected area for the recovery", where=run.trace.where)  # fmt: skip


def _term(term: Term) -> dict[str, Any]:
    return {
        "file": term.run.trace.where,
        "system": term.run.method.system,
        "parts": list(term.parts),
        "percent": term.estimate.value,
        "low": term.estimate.low,
        "high": term.estimate.high,
    }


def _several(
    documents: Sequence[dict[str, Any]], combination: dict[str, Any] | None, rcp: Estimate | None, reason: str
) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": "combined"}
    for key in ("regions", "peaks"):
        listed = [{"file": d["file"], **p} for d in documents for p in d.get(key, ())]
        if listed:
            out[key] = listed
    return {**out, "rcp_percent": None if rcp is None else rcp.value, "rcp": _rcp(rcp, reason), "combination": combination,
            "runs": list(documents)}  # fmt: skip


def _rcp(rcp: Estimate | None, reason: str) -> dict[str, Any]:
    found = {} if rcp is None else rcp.to_json()
    shown = {k: found.get(k) for k in ("value", "low", "high", "level", "method", "note")}
    return {**shown, "reason": reason}


def _run_document(run: ChromatogramRun) -> dict[str, Any]:
    trace, signal = run.trace, run.signal
    return {
        "kind": run.kind,
        "file": trace.where,
        "system": run.method.system,
        "channel": trace.channel,
        "unit": trace.axis,
        "area_unit": "counts" if signal.poisson is not None else trace.area_unit,
        "points": int(signal.x.size),
        "peaks" if run.kind == "hplc" else "regions": [_piece_document(p) for p in run.pieces],
        "rcp_percent": None if run.rcp is None else run.rcp.value,
        "rcp": _rcp(run.rcp, run.rcp_reason),
        "denominator": run.denominator,
        "unassigned": {
            "area": run.unassigned_area,
            "area_uncertainty": run.unassigned_area_u,
            "percent": None if run.unassigned is None else run.unassigned.value,
            "low": None if run.unassigned is None else run.unassigned.estimate.low,
            "high": None if run.unassigned is None else run.unassigned.estimate.high,
        },
        "baseline": {"model": run.baseline.model, "points": run.baseline.points},
        "decay": {"corrected": signal.half_life_s is not None, "nuclide": run.method.nuclide, "half_life_s": signal.half_life_s},
        "delay_s": run.delay_s,
        "suitability": [s.to_json() for s in run.shapes],
        "limits": None if run.limits is None else run.limits.to_json(),
        "recovery": None if run.recovery is None else _rcp(run.recovery, ""),
        "rcp_of_injected": None if run.rcp_of_injected is None else _rcp(run.rcp_of_injected, ""),
        "fits": [f.to_json() for f in run.fits],
        "edits": [
            {"peak": e.peak, "reason": e.reason, "user": e.user, "time": e.time, "before": e.before, "after": e.after}
            for e in run.edits
        ],
        "not_found": list(run.not_found),
        "file_peaks": [{"retention_min": p.retention_min, "area": p.area} for p in trace.file_peaks],
        "sample": dict(trace.sample),
    }  # fmt: skip


def _piece_document(piece: Piece) -> dict[str, Any]:
    estimate = None if piece.percent is None else piece.percent.estimate
    return {
        "name": piece.name,
        "start": piece.start,
        "end": piece.end,
        "area": piece.area,
        "percent": None if estimate is None else estimate.value,
        "uncertainty": None if piece.percent is None else piece.percent.u,
        "low": None if estimate is None else estimate.low,
        "high": None if estimate is None else estimate.high,
        "method": None if estimate is None else estimate.method,
        "area_uncertainty": piece.area_u,
        "role": piece.role,
        "contains": list(piece.contains),
        "apex": piece.apex,
        "rf_start": None if piece.rf is None else piece.rf[0],
        "rf_end": None if piece.rf is None else piece.rf[1],
        "how": piece.how,
    }


def _sentences(
    runs: Sequence[ChromatogramRun], rcp: Estimate | None, combination: Mapping[str, Any] | None
) -> list[str]:
    out = []
    if combination is not None and rcp is not None:
        out.append(f"Radiochemical purity {_percent(rcp)} % = {combination['formula']} ({rcp.method}).")
    for run in runs:
        what = "Purity" if run.kind == "hplc" else "Product"
        said = (
            f"{what} {_percent(run.rcp)} % ({run.rcp.method})"
            if run.rcp is not None
            else f"No purity: {run.rcp_reason}"
        )
        corrected = f"decay of {run.method.nuclide} corrected" if run.signal.half_life_s else "no decay correction"
        parts = "peaks" if run.kind == "hplc" else "regions"
        said += f"; {len(run.pieces)} {parts}, percent of the {run.denominator}, {corrected}."
        out.append(f"{run.trace.where}: {said}")
        if run.recovery is not None:
            out.append(f"{run.trace.where}: column recovery {_percent(run.recovery)} % ({run.recovery.method}).")
        if run.rcp_of_injected is not None:
            out.append(
                f"{run.trace.where}: product {_percent(run.rcp_of_injected)} % of the injected activity "
                f"({run.rcp_of_injected.method})."
            )
    return out


def _percent(estimate: Estimate) -> str:
    """A percentage with its interval; decimals by the width of the interval, at least one."""
    width = (estimate.high or 0.0) - (estimate.low or 0.0)
    return estimate_text(estimate, digits=1 if width > 0.5 or width == 0.0 else 2)


def _section_names(runs: Sequence[ChromatogramRun]) -> list[str]:
    """Anchors that differ, whatever the files are called."""
    return [run.kind if len(runs) == 1 else f"{run.kind}-{number}" for number, run in enumerate(runs, start=1)]


def _section(run: ChromatogramRun, name: str) -> JobSection:
    what = "Peaks" if run.kind == "hplc" else "Regions"
    frame = _frame(run)
    empty = tuple(c for c in ("apex", "rf_start", "rf_end") if frame[c].isna().all())
    headings = {"percent": "percent", "area": f"area [{'counts' if run.signal.poisson is not None else run.trace.area_unit}]",
                "start": f"start [{run.trace.axis}]", "end": f"end [{run.trace.axis}]", "percent_u": "u(percent)",
                "apex": f"apex [{run.trace.axis}]", "area_u": "u(area)"}  # fmt: skip
    tables = [
        JobTable(
            name=f"{name}-{what.lower()}", title=f"{what} of {run.system}", frame=frame,
            shown=_placed(shown_columns(frame, PIECE_COLUMNS, headings=headings, leave_out=empty), run),
        )
    ]  # fmt: skip
    if run.shapes:
        tables.append(_suitability(run, name))
    if run.edits:
        tables.append(_edits(run, name))
    return JobSection(
        name=name,
        title=run.system,
        text=tuple(_text(run)),
        tables=tuple(tables),
        figures=(chromatogram_plot(run, name=f"{name}-plot"),),
    )


def _text(run: ChromatogramRun) -> list[str]:
    out = [f"{run.signal.x.size} points, {run.baseline.model} baseline; percentages of the {run.denominator}."]
    if run.signal.half_life_s is not None:
        out.append(f"Each point is corrected for the decay of {run.method.nuclide} to the start of the run.")
    elif run.trace.channel != "uv":
        out.append("Decay across the run is not corrected.")
    if run.unassigned is not None:
        out.append(
            f"Outside of all {'peaks' if run.kind == 'hplc' else 'regions'}: {_percent(run.unassigned.estimate)} % of the whole."
        )
    if run.limits is not None:
        limits = run.limits
        out.append(
            f"Currie limits over the product's window: detection {number_text(limits.detection)}, quantification "
            f"{number_text(limits.quantification)} counts."
        )
    return out


def _frame(run: ChromatogramRun) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for piece in run.pieces:
        estimate = None if piece.percent is None else piece.percent.estimate
        rows.append(
            {
                "name": piece.name, "role": piece.role or None, "start": piece.start, "end": piece.end, "apex": piece.apex,
                "rf_start": None if piece.rf is None else piece.rf[0], "rf_end": None if piece.rf is None else piece.rf[1],
                "area": piece.area, "area_u": piece.area_u, "percent": None if estimate is None else estimate.value,
                "percent_low": None if estimate is None else estimate.low,
                "percent_high": None if estimate is None else estimate.high,
                "percent_method": None if estimate is None else estimate.method,
                "percent_u": None if piece.percent is None else piece.percent.u, "how": piece.how,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=[c.name for c in PIECE_COLUMNS]).astype({c.name: c.dtype for c in PIECE_COLUMNS})


def _suitability(run: ChromatogramRun, name: str) -> JobTable:
    import pandas as pd

    frame = pd.DataFrame([s.to_json() for s in run.shapes])
    headings = {"retention_min": "t [min]", "width_half_min": "w, half [min]", "rrt": "RRT", "signal_to_noise": "S/N",
                "resolution": "Rs", "resolution_tangent": "Rs (tangents)", "width_base_min": "w, base [min]"}  # fmt: skip
    return JobTable(name=f"{name}-suitability", title=f"System suitability of {run.system}", frame=frame,
                    shown=_placed(shown_columns(frame, headings=headings), run))  # fmt: skip


def _placed(shown: tuple[Shown, ...], run: ChromatogramRun) -> tuple[Shown, ...]:
    """Columns of positions with the decimals of the axis: hundredths of a minute, tenths of a millimetre."""
    places = {"start", "end", "apex", "retention_min"}
    return tuple(replace(c, digits=2 if run.kind == "hplc" else 1) if c.name in places else c for c in shown)


def _edits(run: ChromatogramRun, name: str) -> JobTable:
    import pandas as pd

    rows = []
    for edit in run.edits:
        row: dict[str, Any] = {"peak": edit.peak, "user": edit.user, "reason": edit.reason, "time": edit.time or None}
        for when, state in (("before", edit.before), ("after", edit.after)):
            row |= {f"{key}_{when}": (state or {}).get(key) for key in ("start", "end", "area", "percent")}
        rows.append(row)
    return JobTable(name=f"{name}-edits", title=f"Changes by hand in {run.system}", frame=pd.DataFrame(rows))


def _combination_section(combination: Mapping[str, Any], rcp: Estimate | None) -> JobSection:
    import pandas as pd

    rows = [
        {"term": key, "file": part["file"], "system": part["system"], "percent": part["percent"], "percent_low": part["low"],
         "percent_high": part["high"]}
        for key, part in combination.items() if isinstance(part, dict)
    ]  # fmt: skip
    rows += [
        {"term": one["name"], "file": "", "system": one["formula"], "percent": one["percent"], "percent_low": one["low"],
         "percent_high": one["high"]}
        for one in combination["species"]
    ]  # fmt: skip
    if rcp is not None:
        rows.append({"term": "RCP", "file": "", "system": combination["formula"], "percent": rcp.value, "percent_low": rcp.low,
                     "percent_high": rcp.high})  # fmt: skip
    frame = pd.DataFrame(rows)
    text = (
        (f"Radiochemical purity = {combination['formula']}: {_percent(rcp)} % ({rcp.method}).",)
        if rcp is not None
        else ()
    )
    table = JobTable(
        name="combination", title="Radiochemical purity of both systems", frame=frame, shown=shown_columns(frame)
    )
    return JobSection(name="combination", title="Radiochemical purity", text=text, tables=(table,))
