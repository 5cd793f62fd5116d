"""Competition binding: IC50 and Ki of one compound or many, over one experiment or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_checks import (
    limit_beyond,
    refuse_extrapolated,
    refuse_few_concentrations,
    refuse_flat,
    refuse_open,
)
from fusin.assays.binding_ki import Radioligand, constants_of, exact_ki, ki_by_cheng_prusoff
from fusin.assays.binding_results import CompoundBinding, CurveBinding, Quantity, mean_of_logs, mean_quantity
from fusin.assays.binding_tables import Points
from fusin.assays.fitting import Fit, fit
from fusin.assays.homologous import fit_homologous
from fusin.assays.intervals import IntervalMethod, critical_value, intervals, profiled
from fusin.assays.model_choice import Comparison, compare_models
from fusin.assays.models import Model, one_site, rising_share, variable_slope
from fusin.assays.noise import Noise
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["BindingModel", "BindingOptions", "analyse_binding", "fit_competition", "with_intervals"]

FloatArray = NDArray[np.float64]
BindingModel = Literal["variable-slope", "one-site", "f-test", "aicc", "homologous"]
# A fitted plateau counts as reached where the curve has covered this share of its way (project-defined; one decade past
# the IC50 of a one-site curve).
_REACHED = 0.9
# Facts sheet of the field: a reaction that binds more than a tenth of the radioligand depletes it.
_DEPLETED = 0.10


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
    found = tuple(_summary(name, items, log, options) for name, items in curves.items())
    return tuple(_related(c, found, reference, options, log) for c in found)


def label_of(points: Points) -> str:
    """Name of a curve for messages."""
    return ", ".join(part for part in (points.compound, points.experiment) if part)


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
        curve = fit_competition(points, log, options=options)
    except NotComputable as err:
        return replace(empty, refused=str(err)), err
    try:
        refuse_extrapolated(curve.log_ic50, points.log_x, _what(points))
    except NotComputable as err:
        return replace(empty, refused=str(err), limit_nm=limit_beyond(curve.log_ic50, points.log_x)), err
    return curve, None


def _what(points: Points) -> str:
    label = label_of(points)
    return f"IC50 of {label}" if label else "IC50"


def fit_competition(points: Points, log: NoticeLog, *, options: BindingOptions) -> CurveBinding:
    """IC50, slope and plateaus of one curve, with Ki where Kd and the radioligand are known.

    Whether the IC50 lies among the concentrations tested is for `refuse_extrapolated`, which `analyse_binding` asks.

    Raises
    ------
    NotComputable
        ``NO_DISPLACEMENT``, ``TOO_FEW_CONCENTRATIONS``, ``FIT_NOT_IDENTIFIABLE`` and the refusals of
        `fusin.assays.fitting.fit`.
    """
    label = label_of(points)
    what = _what(points)
    x, y, sd, fixed = _prepared(points, log, options, label)
    hot = constants_of(points, options.radioligand)
    refuse_few_concentrations(x, what)
    found, comparison = _chosen(x, y, sd, fixed, what, options)
    refuse_flat(x, y, fixed, what, noise=options.noise, sd=sd)
    found, quantities = with_intervals(found, options)
    refuse_open(quantities["log_ic50"], what)
    start, end = quantities["start"], quantities["end"]
    down = start.value > end.value
    hill = _positive(quantities.get("hill") or _fixed(1.0, "fixed at 1", found.n, options.level))
    _doubt_plateaus(found, points, x, label, log)
    for name in ("log_ic50", "hill"):
        if name in quantities and quantities[name].estimate.note and not found.exact:
            log.warning(
                "INTERVAL_OPEN", f"{name} of {label or 'the curve'}: {quantities[name].estimate.note}", where=label
            )
    curve = CurveBinding(
        compound=points.compound, experiment=points.experiment, model=found.datasets[0].model.name, n=found.n,
        log_ic50=quantities["log_ic50"], hill=hill, top=start if down else end, bottom=end if down else start,
        direction="decreasing" if down else "increasing", residual_ss=found.rss,
        weighted_ss=None if options.noise == "constant" else found.weighted_rss, comparison=comparison, fit=found,
    )  # fmt: skip
    return _with_ki(curve, points, hot, log, options)


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


def _prepared(
    points: Points, log: NoticeLog, options: BindingOptions, label: str
) -> tuple[FloatArray, FloatArray, FloatArray | None, dict[str, float]]:
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
    curve: CurveBinding, points: Points, hot: Radioligand, log: NoticeLog, options: BindingOptions
) -> CurveBinding:
    """Add Ki by Cheng-Prusoff, and the exact one where the amounts are known."""
    label = label_of(points)
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
    plain, note = ki_by_cheng_prusoff(curve, hot)
    exact = None
    if hot.complete and options.normalise == "none":
        exact = exact_ki(points, hot, noise=options.noise, level=options.level, seed=options.seed, label=label)
        note = f"exact, with depletion of the radioligand (Kd {hot.kd_nm:g} nM taken as known)"
    elif plain is not None and curve.comparison is not None:
        p = curve.comparison.test.p
        if p is not None and p < 0.05:
            log.warning(
                "HILL_NOT_ONE",
                f"the slope {curve.hill.value if curve.hill else 1:.2f} differs from 1, which Cheng-Prusoff assumes",
                where=label,
            )
    return replace(
        curve, ki=exact or plain, ki_note=note, ki_cheng_prusoff=plain, ki_exact=exact, bound_over_added=share
    )


def _summary(name: str, curves: Sequence[CurveBinding], log: NoticeLog, options: BindingOptions) -> CompoundBinding:
    """Experiments put together: geometric mean of the IC50 with a t interval, arithmetic mean and SD beside it."""
    used = [c for c in curves if not c.refused]
    level = options.level
    pooling = "one experiment"
    mean = sd = None
    if len(used) > 1:
        pooling = f"mean of log IC50 over {len(used)} experiments (geometric mean), t interval"
        values = np.array([c.ic50_nm.value for c in used if c.ic50_nm is not None])
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        if len({c.direction for c in used}) > 1:
            log.warning("DIRECTIONS_DIFFER", "the response falls in some experiments and rises in others", where=name)
    elif used:
        log.info(
            "SINGLE_EXPERIMENT",
            "one experiment: the intervals hold the scatter within it and not that between experiments",
            where=name,
        )
    constants = {
        key: q
        for key in ("kd_nm", "bmax", "ns")
        if used
        and (
            q := (mean_of_logs if key == "kd_nm" else mean_quantity)([c.constants.get(key) for c in used], level=level)
        )
    }
    notes = list(dict.fromkeys(c.ki_note for c in used or curves))
    return CompoundBinding(
        compound=name, experiments=tuple(curves), log_ic50=mean_quantity([c.log_ic50 for c in used], level=level),
        hill=mean_quantity([c.hill for c in used], level=level), top=mean_quantity([c.top for c in used], level=level),
        bottom=mean_quantity([c.bottom for c in used], level=level),
        ki=mean_of_logs([c.ki for c in used], level=level), ki_note="; ".join(notes), constants=constants,
        ki_cheng_prusoff=mean_of_logs([c.ki_cheng_prusoff for c in used], level=level),
        ki_exact=mean_of_logs([c.ki_exact for c in used], level=level),
        ic50_mean_nm=mean, ic50_sd_nm=sd, pooling=pooling,
    )  # fmt: skip


def _related(
    compound: CompoundBinding,
    every: Sequence[CompoundBinding],
    reference: str | None,
    options: BindingOptions,
    log: NoticeLog,
) -> CompoundBinding:
    """IC50 over that of the reference, measured in the same experiments."""
    if reference is None or compound.compound == reference:
        return compound
    other = next(c for c in every if c.compound == reference)
    beside = {c.experiment: c for c in other.used}
    pairs = [(c, beside[c.experiment]) for c in compound.used if c.experiment in beside]
    if not pairs:
        log.warning(
            "NO_PARALLEL_REFERENCE", f"no experiment holds both {compound.compound} and {reference}",
            where=compound.compound,
        )  # fmt: skip
        return replace(compound, relative_note=f"no experiment with {reference} beside it")
    ratios = [_ratio(a, b, options) for a, b in pairs]
    mean = mean_of_logs(ratios, level=options.level)
    note = f"IC50 over that of {reference} in the same experiment; geometric mean of {len(pairs)} ratios"
    if len(pairs) == 1:
        note = f"IC50 over that of {reference} in the same experiment"
    return replace(compound, relative=mean, relative_note=note)


def _ratio(one: CurveBinding, other: CurveBinding, options: BindingOptions) -> Quantity | None:
    """Quotient of two IC50 with the interval of the difference of their logarithms (Welch-Satterthwaite)."""
    from scipy.special import stdtrit

    if one.log_ic50 is None or other.log_ic50 is None or one.fit is None or other.fit is None:
        return None
    variances = [(q.se or 0.0) ** 2 for q in (one.log_ic50, other.log_ic50)]
    total = sum(variances)
    shift = one.log_ic50.value - other.log_ic50.value
    parts = sum(v**2 / f.df for v, f in zip(variances, (one.fit, other.fit), strict=True))
    if options.noise == "given" or total == 0.0 or parts == 0.0:
        wide = critical_value(one.fit, options.level)
    else:
        wide = float(stdtrit(total**2 / parts, 0.5 + options.level / 2))
    half = wide * math.sqrt(total)
    logs = Estimate(
        value=shift, low=shift - half, high=shift + half, n=one.n + other.n, level=options.level,
        method="t interval of the difference of log IC50, Welch-Satterthwaite",
    )  # fmt: skip
    ln10 = math.log(10.0)
    return Quantity(estimate=logs, se=math.sqrt(total)).mapped(lambda v: 10.0**v, ln10 * 10.0**shift)
