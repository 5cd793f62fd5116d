"""Competition binding: IC50 and Ki of one compound or many, over one experiment or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_checks import (
    limit_of,
    refuse_extrapolated,
    refuse_few_concentrations,
    refuse_flat,
    refuse_open,
)
from fusin.assays.binding_ki import KI_WORDS, KiMethod, Tubes, ki_of_curve
from fusin.assays.binding_pooling import related, summary_of
from fusin.assays.binding_radioligand import Radioligand, constants_of
from fusin.assays.binding_results import CompoundBinding, CurveBinding, KiResult, Quantity
from fusin.assays.binding_tables import Points
from fusin.assays.fitting import Fit, fit
from fusin.assays.homologous import fit_homologous
from fusin.assays.intervals import IntervalMethod, intervals, profiled
from fusin.assays.model_choice import Comparison, compare_models
from fusin.assays.models import Model, one_site, rising_share, variable_slope
from fusin.assays.noise import Noise
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["BindingModel", "BindingOptions", "analyse_binding", "with_intervals"]

FloatArray = NDArray[np.float64]
Prepared = tuple[FloatArray, FloatArray, FloatArray | None, dict[str, float]]
BindingModel = Literal["variable-slope", "one-site", "f-test", "aicc", "homologous"]
# A fitted plateau counts as reached where the curve has covered this share of its way (project-defined; one decade past
# the IC50 of a one-site curve).
_REACHED = 0.9
# Facts sheet of the field: a reaction that binds more than a tenth of the radioligand depletes it.
_DEPLETED = 0.10
# Ways to Ki that differ by more are pointed out (project-defined).
_KI_DIFFERS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingOptions:
    """How a competition is analysed; nothing here is read from the data.

    Attributes
    ----------
    model : curve; ``f-test`` and ``aicc`` choose between one site and variable slope
    noise : noise model
    interval : of the parameters of one curve
    level : confidence level
    replicates : ``separate`` points, or their ``mean``
    normalise : ``none``, to ``controls`` (total 100, non-specific 0), or to ``total`` (total 100)
    nonspecific : control tubes as points of complete displacement (``fit``), as a fixed lower plateau (``fix``), or not at all
    top, bottom : plateaus with a known value
    radioligand : Kd, concentration and what depletion needs
    ki_method : way to Ki: ``cheng-prusoff``, ``hot-depletion``, ``exact``, or ``auto`` for the exact one where it can be had
    reference : compound that the others are related to
    seed, resamples : of the bootstrap and the multi-start
    """

    model: BindingModel = "variable-slope"
    noise: Noise = "constant"
    interval: IntervalMethod = "profile"
    level: float = 0.95
    replicates: Literal["separate", "mean"] = "separate"
    normalise: Literal["none", "controls", "total"] = "none"
    nonspecific: Literal["fit", "fix", "ignore"] = "fit"
    top: float | None = None
    bottom: float | None = None
    radioligand: Radioligand = field(default_factory=Radioligand)
    ki_method: KiMethod = "auto"
    reference: str | None = None
    seed: int = 0
    resamples: int = 2000

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        found = {name: getattr(self, name) for name in self.__slots__ if name != "radioligand"}
        return {**found, **self.radioligand.to_json()}


def analyse_binding(
    points: Sequence[Points], log: NoticeLog, *, options: BindingOptions
) -> tuple[CompoundBinding, ...]:
    """Fit every compound of every experiment and put the experiments together.

    Parameters
    ----------
    points : of each compound and experiment
    log : receives doubts
    options : how

    Returns
    -------
    tuple
        One item for each compound, in the order of the table.

    Raises
    ------
    NotComputable
        When no curve at all has an IC50; with one curve its own reason.
    InputError
        For a reference compound that is not in the table, or options that contradict the table.
    """
    named = list(dict.fromkeys(p.compound for p in points))
    reference = _reference(points, named, options.reference)
    curves: dict[str, list[CurveBinding]] = {name: [] for name in named}
    reasons: list[NotComputable] = []
    for one in points:
        curve, reason = _one_curve(one, log, options)
        curves[one.compound].append(curve)
        if reason is not None:
            reasons.append(reason)
    if reasons and all(c.refused for found in curves.values() for c in found):
        raise reasons[0]
    for reason in reasons:
        log.warning("IC50_REFUSED", str(reason), where=reason.what)
    found = tuple(summary_of(name, items, log, level=options.level) for name, items in curves.items())
    return tuple(related(c, found, reference, log, noise=options.noise, level=options.level) for c in found)


def _reference(points: Sequence[Points], named: Sequence[str], asked: str | None) -> str | None:
    marked = list(dict.fromkeys(p.compound for p in points if p.reference))
    if asked is not None:
        if asked not in named:
            raise InputError("--reference", "compound", asked, "one of " + ", ".join(named))
        return asked
    if len(marked) > 1:
        raise InputError("reference", "compounds", ", ".join(marked), "one compound that is the reference")
    return marked[0] if marked and len(named) > 1 else None


def _one_curve(points: Points, log: NoticeLog, options: BindingOptions) -> tuple[CurveBinding, NotComputable | None]:
    """A curve, or one without numbers and the reason."""
    empty = CurveBinding(compound=points.compound, experiment=points.experiment, model=options.model, n=points.y.size)
    try:
        if options.model == "homologous":
            curve = fit_homologous(
                points, log, noise=options.noise, interval=options.interval, level=options.level, seed=options.seed
            )
            return curve, None
        hot = constants_of(points, options.radioligand)
        prepared = _prepared(points, log, options, points.label)
        curve = _fitted(points, prepared, log, options)
    except NotComputable as err:
        return replace(empty, refused=str(err)), err
    bounds = _bounds(curve, options)
    try:
        refuse_extrapolated(bounds, points.log_x, _what(points))
        refuse_open(bounds, curve.fit, points.log_x, _what(points), level=options.level)
    except NotComputable as err:
        return replace(empty, refused=str(err), limit_nm=limit_of(bounds, points.log_x)), err
    return _with_ki(curve, points, prepared, hot, log, options), None


def _bounds(curve: CurveBinding, options: BindingOptions) -> Quantity | None:
    """Log IC50 with its profile, which tells whether the data bound it; other intervals are always closed."""
    if options.interval == "profile" or curve.log_ic50 is None or curve.fit is None:
        return curve.log_ic50
    _, limits = profiled(curve.fit, level=options.level, names=("log_ic50",))
    return replace(curve.log_ic50, estimate=limits["log_ic50"])


def _what(points: Points) -> str:
    label = points.label
    return f"IC50 of {label}" if label else "IC50"


def _fitted(points: Points, prepared: Prepared, log: NoticeLog, options: BindingOptions) -> CurveBinding:
    """IC50, slope and plateaus of one curve; whether the data bound its IC50 is asked by who calls.

    Raises
    ------
    NotComputable
        ``NO_DISPLACEMENT``, ``TOO_FEW_CONCENTRATIONS``, and the refusals of `fusin.assays.fitting.fit`.
    """
    label, what = points.label, _what(points)
    x, y, sd, fixed = prepared
    refuse_few_concentrations(x, what)
    try:
        found, comparison = _chosen(x, y, sd, fixed, what, options)
    except NotComputable as err:
        if err.code not in ("TOO_FEW_POINTS", "FIT_NO_VARIATION"):
            # A flat response has no curve either, and that is what its reader has to know.
            refuse_flat(x, y, fixed, what, noise=options.noise, sd=sd)
        raise
    refuse_flat(x, y, fixed, what, noise=options.noise, sd=sd)
    found, quantities = with_intervals(found, options)
    start, end = quantities["start"], quantities["end"]
    down = start.value > end.value
    hill = _positive(quantities.get("hill") or _fixed(1.0, "fixed at 1", found.n, options.level))
    _doubt_plateaus(found, points, x, label, log)
    for name in ("log_ic50", "hill"):
        if name in quantities and quantities[name].estimate.note and not found.exact:
            note = quantities[name].estimate.note
            log.warning("INTERVAL_OPEN", f"{name} of {label or 'the curve'}: {note}", where=label)
    return CurveBinding(
        compound=points.compound, experiment=points.experiment, model=found.datasets[0].model.name, n=found.n,
        log_ic50=quantities["log_ic50"], hill=hill, top=start if down else end, bottom=end if down else start,
        direction="decreasing" if down else "increasing", residual_ss=found.rss,
        weighted_ss=None if options.noise == "constant" else found.weighted_rss, comparison=comparison, fit=found,
    )  # fmt: skip


def with_intervals(found: Fit, options: BindingOptions) -> tuple[Fit, dict[str, Quantity]]:
    """Intervals of all parameters; fixed ones have none. The fit is a lower minimum where the profile met one."""
    if options.interval == "profile":
        found, limits = profiled(found, level=options.level)
    else:
        limits = intervals(
            found, method=options.interval, level=options.level, resamples=options.resamples, seed=options.seed
        )
    quantities = {name: Quantity(estimate=e, se=found.se[name]) for name, e in limits.items()}
    for name, value in found.values.items():
        if name not in quantities:
            quantities[name] = _fixed(value, f"fixed at {value:g}", found.n, options.level)
    return found, quantities


def _fixed(value: float, method: str, n: int, level: float) -> Quantity:
    return Quantity(estimate=Estimate(value=value, low=None, high=None, method=method, n=n, level=level), se=None)


def _positive(hill: Quantity) -> Quantity:
    """A slope whose lower limit is open where it would pass 0, which is a curve that goes the other way."""
    e = hill.estimate
    if e.low is None or e.low > 0:
        return hill
    return Quantity(estimate=replace(e, low=None, note="lower limit open: a flat curve cannot be excluded"), se=hill.se)


def _prepared(points: Points, log: NoticeLog, options: BindingOptions, label: str) -> Prepared:
    """Points as they are fitted: normalised, controls placed, replicates as declared; and fixed plateaus."""
    x, y, kind = points.log_x, points.y, points.kind
    sd = points.sd
    if options.normalise != "none":
        y, factor = _normalised(points, options, label, log)
        sd = None if sd is None else sd * abs(factor)
    fixed: dict[str, float] = {}
    falls = _falls(x, y)
    if options.top is not None:
        fixed["start" if falls else "end"] = options.top
    if options.bottom is not None:
        fixed["end" if falls else "start"] = options.bottom
    blocked = kind == "nonspecific"
    if blocked.any() and options.nonspecific != "fit":
        if options.nonspecific == "fix":
            fixed["end"] = float(y[blocked].mean())
        x, y, sd = x[~blocked], y[~blocked], None if sd is None else sd[~blocked]
    if options.nonspecific == "fix" and not blocked.any():
        raise InputError(
            label or "table", "kind", "no row nonspecific", "rows of kind nonspecific for --nonspecific fix"
        )
    if options.replicates == "mean":
        x, y, sd = _means(x, y, sd)
    return x, y, sd, fixed


def _normalised(points: Points, options: BindingOptions, label: str, log: NoticeLog) -> tuple[FloatArray, float]:
    """Response in percent of the controls, and the factor."""
    y = points.y
    total = y[(points.kind == "total") | np.isneginf(points.log_x)]
    blocked = y[points.kind == "nonspecific"]
    where = label or "table"
    if not total.size:
        raise InputError(where, "kind", "no row total", "rows of kind total (or concentration 0) to normalise")
    low = 0.0
    if options.normalise == "controls":
        if not blocked.size:
            raise InputError(where, "kind", "no row nonspecific", "rows of kind nonspecific to normalise to controls")
        low = float(blocked.mean())
    high = float(total.mean())
    if not high > low:
        raise InputError(where, "controls", f"total {high:g}, non-specific {low:g}", "total above non-specific binding")
    log.info("NORMALISED", f"100 % is {high:.6g}, 0 % is {low:.6g}; the intervals take both as exact", where=label)
    factor = 100.0 / (high - low)
    return (y - low) * factor, factor


def _falls(x: FloatArray, y: FloatArray) -> bool:
    """Whether the response is smaller in the upper half of the concentrations."""
    order = np.argsort(x, kind="stable")
    half = max(1, x.size // 2)
    return float(y[order[:half]].mean()) >= float(y[order[-half:]].mean())


def _means(x: FloatArray, y: FloatArray, sd: FloatArray | None) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Replicates of one concentration as one point."""
    places, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=y) / counts
    spread = None if sd is None else np.sqrt(np.bincount(inverse, weights=sd**2)) / counts
    return places, mean, spread


def _chosen(
    x: FloatArray,
    y: FloatArray,
    sd: FloatArray | None,
    fixed: Mapping[str, float],
    what: str,
    options: BindingOptions,
) -> tuple[Fit, Comparison | None]:
    """The fit that was asked for, and how the other model compares with it."""
    fits: dict[str, Fit] = {}
    errors: dict[str, NotComputable] = {}
    models: dict[str, Model] = {"one-site": one_site, "variable-slope": variable_slope}
    for name, model in models.items():
        try:
            fits[name] = fit(model, x, y, what=what, noise=options.noise, sd=sd, fixed=fixed, seed=options.seed)
        except NotComputable as err:
            errors[name] = err
    comparison = compare_models(fits["one-site"], fits["variable-slope"]) if len(fits) == 2 else None
    wanted = options.model
    if wanted in ("f-test", "aicc"):
        preferred = ""
        if comparison is not None:
            preferred = comparison.preferred_by_test if wanted == "f-test" else comparison.preferred_by_aicc
        wanted = "variable-slope" if preferred == variable_slope.name else "one-site"
    if wanted not in fits:
        raise errors[wanted]
    return fits[wanted], comparison


def _doubt_plateaus(found: Fit, points: Points, x: FloatArray, label: str, log: NoticeLog) -> None:
    """Warn of a fitted plateau that no concentration comes near."""
    v = found.values
    finite = x[np.isfinite(x)]
    ends = {"end": (float(finite.max()), np.isposinf(x).any()), "start": (float(finite.min()), np.isneginf(x).any())}
    for name, (place, controlled) in ends.items():
        if name not in found.names or controlled:
            continue
        share = float(rising_share(np.array([place]), v["log_ic50"], v.get("hill", 1.0))[0])
        reached = share if name == "end" else 1.0 - share
        if reached < _REACHED:
            side = "highest" if name == "end" else "lowest"
            log.warning(
                "PLATEAU_NOT_REACHED",
                f"at the {side} concentration, {10 ** (place + 9):.6g} nM, the curve has covered {100 * reached:.1f} % of the "
                f"way to its plateau {v[name]:.4g}, which is an extrapolation",
                where=label,
            )


def _with_ki(
    curve: CurveBinding, points: Points, prepared: Prepared, hot: Radioligand, log: NoticeLog, options: BindingOptions
) -> CurveBinding:
    """Add Ki by every way that the inputs allow, and the share of the radioligand that is bound."""
    label = points.label
    total = points.y[(points.kind == "total") | np.isneginf(points.log_x)]
    bound = float(total.mean()) if total.size else (curve.top.value if curve.top else math.nan)
    share = None
    if hot.added is not None and options.normalise == "none":
        share = bound / hot.added
        if share > 1:
            raise InputError(
                label or "table", "added", hot.added, f"more than what is bound, {bound:g}, in the unit of the response"
            )
        if share > _DEPLETED:
            log.warning(
                "LIGAND_DEPLETION",
                f"{100 * share:.0f} % of the radioligand is bound, above 10 %: the free concentration falls along the curve, "
                "and IC50 and Cheng-Prusoff overstate Ki",
                where=label,
            )
    x, y, sd, fixed = prepared
    tubes = Tubes(
        x=x, y=y, sd=sd, fixed=fixed, counts=options.normalise == "none", noise=options.noise, level=options.level,
        seed=options.seed, what=f"Ki of {label}" if label else "Ki",
    )  # fmt: skip
    ways, method, note = ki_of_curve(curve, tubes, hot, options.ki_method)
    if note.startswith("no Ki") and ways:
        log.warning("KI_NOT_COMPUTED", f"{note}; by another way it is {_listed(ways)}", where=label)
    _doubt_ki(ways, method, curve, log, label)
    return replace(
        curve, ki=ways[method].quantity if method else None, ki_note=note, ki_method=method, ki_ways=ways,
        bound_over_added=share,
    )  # fmt: skip


def _listed(ways: Mapping[str, KiResult]) -> str:
    return ", ".join(f"{found.plain.value:.4g} nM ({KI_WORDS[way].partition(',')[0]})" for way, found in ways.items())


def _doubt_ki(ways: Mapping[str, KiResult], method: str, curve: CurveBinding, log: NoticeLog, label: str) -> None:
    """Point out ways that disagree, and a slope that Cheng and Prusoff do not know."""
    if not method:
        return
    values = [k.plain.value for k in ways.values()]
    if max(values) > (1.0 + _KI_DIFFERS) * min(values):
        log.warning(
            "KI_WAYS_DIFFER", f"Ki depends on what is taken as free: {_listed(ways)}; reported: {method}", where=label
        )
    slope = curve.comparison.test.p if curve.comparison is not None else None
    if method == "cheng-prusoff" and slope is not None and slope < 0.05:
        log.warning(
            "HILL_NOT_ONE",
            f"the slope {curve.hill.value if curve.hill else 1:.2f} differs from 1, which Cheng-Prusoff assumes",
            where=label,
        )
