"""Tracer kinetics of a table of curves: inputs, models, weights, intervals, and the comparison of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from fusin.decay import decay_factor, mean_over_frame
from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.receptor.compartments import MODELS, CompartmentName
from fusin.receptor.frames import FloatArray, Frames, TissueCurve
from fusin.receptor.graphical import LINES, GraphicalFit, GraphicalName, fit_line
from fusin.receptor.input_function import InputFunction, ParentModel, dispersion_corrected, parent_fraction, reaching
from fusin.receptor.kinetic_files import BloodTable, read_blood, read_tacs
from fusin.receptor.kinetic_fit import CompartmentFit, FitSettings, fit_compartments
from fusin.receptor.reference_tissue import reference_input
from fusin.stats.results import Estimate

__all__ = [
    "BLOOD_FREE", "MODEL_NAMES", "KineticOptions", "KineticStudy", "RegionKinetics", "frame_weights", "input_of", "kinetics_of",
]  # fmt: skip

MODEL_NAMES = ("2tcm", "1tcm", "2tcm-irreversible", "patlak", "logan", "ma1", "srtm", "logan-ref")
BLOOD_FREE = ("srtm", "logan-ref")
"""Models whose input is a reference region."""

_COMPARED = ("1tcm", "2tcm-irreversible", "2tcm")
_REWEIGHTED = 3
"""Rounds of weights by counts: those of the fitted curve, not of the noisy frames."""
_PHRASES = {"given": "as the table states them", "uniform": "equal", "duration": "duration of the frame",
            "counts": "duration x decay / activity (counting statistics)"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KineticOptions:
    """How curves become rates.

    Attributes
    ----------
    model : one of :data:`MODEL_NAMES`
    compare : fit all compartment models with an arterial input, for their AICc
    fit : of compartments; its share of blood is that where ``measured_vb`` is off, or whole blood was measured
    measured_vb : without whole blood the share is 0, with a notice, instead of a refusal
    weights : ``auto`` (the table's, else by counts where the nuclide is known, else by duration), ``given``, ``uniform``,
        ``duration``, ``counts``
    nuclide : by which counts decay
    t_star_min, last_frames, automatic : frames of a line
    reference : region of the reference models
    k2_ref : of the reference region [1/min]
    parent : model of the parent fraction; ``none`` for a tracer without metabolites
    plasma_over_blood : constant ratio, where plasma was not measured
    dispersion_min : time constant of the catheter that the samples still hold
    until_min : later frames are left out
    time_unit, unit : of tables that state none
    scans, regions : which ones
    """

    model: str = "2tcm"
    compare: bool = False
    fit: FitSettings = field(default_factory=FitSettings)
    measured_vb: bool = True
    weights: Literal["auto", "given", "uniform", "duration", "counts"] = "auto"
    nuclide: str | None = None
    t_star_min: float | None = None
    last_frames: int | None = None
    automatic: bool = False
    reference: str | None = None
    k2_ref: float | None = None
    parent: ParentModel | Literal["none"] = "linear"
    plasma_over_blood: float | None = None
    dispersion_min: float = 0.0
    until_min: float | None = None
    time_unit: str | None = None
    unit: str | None = None
    scans: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RegionKinetics:
    """One curve and what came out.

    Attributes
    ----------
    curve : as measured
    weights : of the frames, 0 for those left out
    model : name
    estimates : name to estimate
    compartments, line : the fit behind them; one is None
    candidates : fits of all compared models
    source : input of the region
    averaged : the same fit with the other way to look at a frame, by name of its macro parameter; None where it cannot be had
    reason : why there is no result
    """

    curve: TissueCurve
    weights: FloatArray
    model: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    compartments: CompartmentFit | None = None
    line: GraphicalFit | None = None
    candidates: Mapping[str, CompartmentFit] = field(default_factory=dict)
    source: InputFunction | None = None
    averaged: tuple[str, float] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KineticStudy:
    """All regions of a table, and the options as they were used."""

    regions: tuple[RegionKinetics, ...]
    model: str
    weighting: str
    unit: str
    options: KineticOptions


def kinetics_of(tac: Path, blood: Path | None, *, options: KineticOptions, log: NoticeLog) -> KineticStudy:
    """Read tables and fit each curve.

    Parameters
    ----------
    tac, blood : tables; ``blood`` is None for a reference model
    options : model and how it is fitted
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For tables that cannot be used, or when no region could be fitted.
    """
    wanted = () if options.reference is None or not options.regions else (*options.regions, options.reference)
    curves = read_tacs(
        tac, log, time_unit=options.time_unit, unit=options.unit, scans=options.scans, regions=wanted or options.regions
    )
    curves = tuple(_until(c, options.until_min) for c in curves)
    if options.model in BLOOD_FREE:
        if blood is not None:
            log.info(
                "BLOOD_NOT_USED",
                f"{options.model} takes {options.reference} for its input, not the blood",
                where=blood.name,
            )
        inputs = _reference_inputs(curves, options, tac.name)
        curves = tuple(c for c in curves if c.region != options.reference)
        if not curves:
            raise InputError(tac.name, "regions", options.reference, "a region beside the reference")
    else:
        if blood is None:
            raise InputError(
                "BLOOD.csv", "argument", "nothing", f"a table of blood samples for {options.model}, or --model srtm"
            )
        inputs = _blood_inputs(curves, blood, options, log)
        options = _with_blood(options, inputs, log, blood.name)
    weighted = [(c, *frame_weights(c, options)) for c in curves]
    regions = tuple(_region(c, w, inputs[c.scan], options, log) for c, w, _ in weighted)
    if all(r.reason for r in regions):
        raise NotComputable(
            f"{options.model} of {tac.name}",
            regions[0].reason,
            "at least one region that can be fitted",
            "NO_REGION_FITTED",
        )
    for one in regions:
        if one.reason:
            log.warning("REGION_NOT_FITTED", f"{one.curve.name}: {one.reason}", where=one.curve.name)
    return KineticStudy(
        regions=regions, model=options.model, weighting=weighted[0][2], unit=curves[0].unit, options=options
    )


def _with_blood(
    options: KineticOptions, inputs: Mapping[str, InputFunction], log: NoticeLog, where: str
) -> KineticOptions:
    """Options without a share of blood where no whole blood was measured and nobody asked for one."""
    if not options.measured_vb or options.fit.vb == 0.0 or all(i.blood is not None for i in inputs.values()):
        return options
    log.adapted(
        "BLOOD_SHARE_ZERO", f"{where} holds no whole blood, so the blood in the regions is left out (vB 0)", where=where
    )
    return replace(options, fit=replace(options.fit, vb=0.0))


def _until(curve: TissueCurve, until_min: float | None) -> TissueCurve:
    if until_min is None:
        return curve
    ends = curve.frames.mid_min if curve.frames.end_min is None else curve.frames.end_min
    keep = np.asarray(ends) <= until_min + 1e-6
    if not keep.any():
        raise InputError(
            "--until-min", "time", until_min, f"more than {float(ends[0]):g} min, where the first frame ends"
        )
    return replace(
        curve, frames=curve.frames.chosen(keep), activity=curve.activity[keep],
        weights=None if curve.weights is None else curve.weights[keep],
    )  # fmt: skip


def _reference_inputs(curves: Sequence[TissueCurve], options: KineticOptions, where: str) -> dict[str, InputFunction]:
    if options.reference is None:
        raise InputError("--reference", "option", "nothing", f"the name of the reference region for {options.model}")
    found = {c.scan: reference_input(c) for c in curves if c.region == options.reference}
    missing = [c.scan for c in curves if c.scan not in found]
    if missing:
        names = ", ".join(dict.fromkeys(c.region for c in curves))
        raise InputError(f"{where} {missing[0]}".strip(), "--reference", options.reference, f"one of {names}")
    return found


def _blood_inputs(
    curves: Sequence[TissueCurve], blood: Path, options: KineticOptions, log: NoticeLog
) -> dict[str, InputFunction]:
    longest = max(c.frames.last_min for c in curves)
    unit = curves[0].unit
    tables = read_blood(blood, log, scan_min=longest, time_unit=options.time_unit, unit=options.unit, wanted=unit)
    if not unit:
        log.info("UNITS_TAKEN_EQUAL", "neither table states a unit of activity; rates and volumes are right if both have the same",
                 where=blood.name)  # fmt: skip
    found = {}
    for scan in dict.fromkeys(c.scan for c in curves):
        table = tables.get(scan) or (tables.get("") if set(tables) == {""} else None)
        if table is None and scan == "" and len(tables) == 1:
            table = next(iter(tables.values()))
        if table is None:
            raise InputError(
                blood.name,
                "scan",
                scan or "no name",
                f"samples of this scan; the table holds {', '.join(list(tables)[:6])}",
            )
        end = max(c.frames.last_min for c in curves if c.scan == scan)
        found[scan] = input_of(table, options, end, log)
    return found


def input_of(table: BloodTable, options: KineticOptions, until_min: float, log: NoticeLog) -> InputFunction:
    """Input function of one scan from its samples.

    Raises
    ------
    InputError
        For plasma without a parent fraction, and blood without plasma.
    NotComputable
        When the samples do not cover the scan.
    """
    tau, blood = options.dispersion_min, table.blood
    if blood is not None:
        blood = (blood[0], dispersion_corrected(*blood, tau_min=tau))
    if table.parent_plasma is not None:
        time, plasma, words = *table.parent_plasma, "as given, already corrected for metabolites"
    else:
        if table.plasma is not None:
            time, whole = table.plasma
        elif blood is not None and options.plasma_over_blood is not None:
            time, whole = blood[0], options.plasma_over_blood * blood[1]
        else:
            raise InputError(
                table.where, "columns", "whole blood alone", "plasma, or --plasma-over-blood with their ratio"
            )
        if table.fraction is not None and options.parent != "none":
            share, words = parent_fraction(*table.fraction, time, model=options.parent, where=table.where)
        else:
            share, words = np.ones(time.size), "no metabolites, as stated"
            if options.parent != "none":
                words = "none stated, plasma taken as unchanged tracer"
                log.adapted(
                    "PLASMA_TAKEN_UNCHANGED",
                    f"{table.where} holds no parent fraction; its plasma is taken as unchanged tracer",
                    where=table.where,
                )
        plasma = whole * share
    if table.parent_plasma is not None or table.plasma is not None:
        plasma = dispersion_corrected(time, plasma, tau_min=tau)
    raw = InputFunction(
        time_min=time, plasma=plasma, blood_time_min=None if blood is None else blood[0],
        blood=None if blood is None else blood[1], unit=table.unit, parent=words,
    )  # fmt: skip
    return reaching(raw, until_min, log, where=table.where)


def frame_weights(curve: TissueCurve, options: KineticOptions) -> tuple[FloatArray, str]:
    """Weights of the frames, and how they came about in words.

    Raises
    ------
    InputError
        For weights that are asked for and cannot be had.
    """
    kind = options.weights
    duration = curve.frames.duration_min
    if kind == "auto":
        kind = "given" if curve.weights is not None else "uniform"
        if curve.weights is None and duration is not None:
            kind = "counts" if options.nuclide else "duration"
    if kind == "given":
        if curve.weights is None:
            raise InputError(curve.name, "--weights", "given", "a column weights")
        return curve.weights, _PHRASES[kind]
    if kind == "uniform":
        return np.ones(curve.frames.n), _PHRASES[kind]
    if duration is None:
        raise InputError(curve.name, "--weights", kind, "start and end of the frames")
    if kind == "duration":
        return np.asarray(duration / max(float(duration.max()), 1e-300)), _PHRASES[kind]
    if options.nuclide is None:
        raise InputError("--nuclide", "option", "nothing", "the nuclide, for weights by counts")
    return _counting_weights(curve.frames, curve.activity, options.nuclide), _PHRASES[kind]


def _counting_weights(frames: Frames, activity: FloatArray, name: str) -> FloatArray:
    half_life = nuclide(name).half_life_s
    duration = np.asarray(frames.duration_min)
    decayed = decay_factor(60.0 * np.asarray(frames.start_min), half_life) * mean_over_frame(60.0 * duration, half_life)
    # An empty frame is as uncertain as a faint one, not infinitely well known.
    floor = 0.02 * float(np.max(activity))
    weights = duration * decayed / np.maximum(activity, max(floor, 1e-300))
    return np.asarray(weights / max(float(weights.max()), 1e-300))


def _region(
    curve: TissueCurve, weights: FloatArray, source: InputFunction, options: KineticOptions, log: NoticeLog
) -> RegionKinetics:
    empty = RegionKinetics(curve=curve, weights=weights, model=options.model, source=source)
    try:
        if options.model in LINES:
            return _line(empty, options, log)
        return _compartments(empty, options, log)
    except NotComputable as err:
        return replace(empty, reason=f"{err.because} (need {err.needed})")


def _compartments(one: RegionKinetics, options: KineticOptions, log: NoticeLog) -> RegionKinetics:
    curve, source = one.curve, cast(InputFunction, one.source)
    name = cast(CompartmentName, options.model)
    if options.fit.average and curve.frames.duration_min is None:
        raise InputError(curve.name, "--frames", "mean", "start and end of the frames")

    counted = frame_weights(curve, options)[1] == _PHRASES["counts"]

    def fitted(model: CompartmentName, settings: FitSettings) -> CompartmentFit:
        return fit_compartments(
            model, curve.frames, curve.activity, source, settings=settings, weights=one.weights, what=curve.name
        )

    plain = replace(options.fit, interval="none")
    if counted and options.nuclide is not None:
        # A frame that noise made faint would weigh more than one that noise made bright, and pull the rates down.
        for _ in range(_REWEIGHTED):
            smooth = fitted(name, plain).fitted
            if not float(np.max(smooth)) > 0:
                break
            one = replace(one, weights=_counting_weights(curve.frames, smooth, options.nuclide))
    found = fitted(name, options.fit)
    candidates: dict[str, CompartmentFit] = {}
    if options.compare and name in _COMPARED:
        candidates = {m: found if m == name else fitted(m, plain) for m in cast(tuple[CompartmentName, ...], _COMPARED)}
    averaged = None
    if curve.frames.duration_min is not None and name != "srtm":
        macro = next(iter(MODELS[name].derived))
        other = fitted(name, replace(plain, average=not options.fit.average))
        averaged = (macro, float(other.estimates[macro].value or math.nan))
    result = replace(one, estimates=found.estimates, compartments=found, candidates=candidates, averaged=averaged)
    _doubt(result, found, options, log)
    return result


def _doubt(one: RegionKinetics, found: CompartmentFit, options: KineticOptions, log: NoticeLog) -> None:
    """Notices about a fit that stands."""
    where = one.curve.name
    for name in found.at_limit:
        if name in found.estimates:
            log.warning("RATE_AT_LIMIT", f"{where}: {name} lies at the limit of its search, {found.estimates[name].value:.3g}",
                        where=where, raw=name)  # fmt: skip
    unclear = [name for name, e in found.estimates.items() if e.note and options.fit.interval != "none"]
    if unclear:
        log.warning(
            "RATE_NOT_IDENTIFIED", f"{where}: the data do not identify {', '.join(unclear)}", where=where, raw=unclear
        )
    if one.averaged is not None:
        macro, other = one.averaged
        value = float(found.estimates[macro].value or math.nan)
        if abs(other / value - 1.0) > 0.01:
            words = ("frame means", "frame middles") if not options.fit.average else ("frame middles", "frame means")
            log.info("FRAME_VIEW_MATTERS", f"{where}: {macro} is {value:.4g} with {words[1]} and {other:.4g} with {words[0]}",
                     where=where, raw=other, used=value)  # fmt: skip


def _line(one: RegionKinetics, options: KineticOptions, log: NoticeLog) -> RegionKinetics:
    from scipy.stats import t

    curve, source = one.curve, cast(InputFunction, one.source)
    activity = curve.activity
    vb = 0.0 if options.model in BLOOD_FREE else options.fit.vb
    if vb is None:
        raise InputError("--vb", "share of blood", "fit", f"a number: {options.model} cannot fit it")
    delay = options.fit.delay_min
    if delay is None:
        raise InputError("--delay-s", "delay", "fit", f"a number: {options.model} cannot fit it")
    source = source.shifted(delay)
    if vb:
        activity = (activity - vb * _blood_in(source, curve.frames, curve.name)) / (1.0 - vb)
    found = fit_line(
        cast(GraphicalName, options.model), curve.frames, activity, source, t_star_min=options.t_star_min,
        last_frames=options.last_frames, automatic=options.automatic, weights=one.weights, k2_ref=options.k2_ref, what=curve.name,
    )  # fmt: skip
    if found.largest_error > 0.1:
        off = f"{100 * found.largest_error:.0f} % off the line"
        log.warning("LINE_CURVED", f"{curve.name}: a point of the {options.model} plot lies {off}",
                    where=curve.name, raw=found.largest_error)  # fmt: skip
    half = float(t.ppf(0.5 + options.fit.level / 2.0, found.df)) * found.standard_error
    method = "t, noise of the frames through the derivatives of the slope"
    slope = LINES[options.model]
    n = int(found.used.sum())

    def estimate(shift: float = 0.0) -> Estimate:
        value = found.value - shift
        return Estimate(value=value, low=value - half, high=value + half, method=method, n=n, level=options.fit.level)

    estimates = {slope: estimate()} | ({"BP_ND": estimate(1.0)} if slope == "DVR" else {})
    return replace(one, estimates=estimates, line=found)


def _blood_in(source: InputFunction, frames: Frames, what: str) -> FloatArray:
    if source.blood is None or source.blood_time_min is None:
        raise InputError(what, "whole blood", "nothing", "a column of whole blood, or --vb 0")
    return np.asarray(np.interp(frames.mid_min, source.blood_time_min, source.blood))
