"""Saturation binding: Bmax and Kd from specific binding, or from total and non-specific binding in one global fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_checks import refuse_few_concentrations
from fusin.assays.binding_results import Quantity, mean_of_logs, mean_quantity
from fusin.assays.binding_tables import Points
from fusin.assays.depletion import AVOGADRO, kd_in_counts, nonspecific_depleted, positive, saturation_depleted
from fusin.assays.fitting import Dataset, Fit, fit, fit_global
from fusin.assays.intervals import IntervalMethod, intervals, profiled
from fusin.assays.model_choice import Comparison, compare_models
from fusin.assays.models import LN10, Model, hyperbola
from fusin.assays.noise import Noise
from fusin.assays.saturation_models import nonspecific_line, total_binding, two_sites, two_sites_total
from fusin.assays.saturation_results import GroupSaturation, SaturationCurve
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["SaturationOptions", "analyse_saturation", "fit_saturation"]

FloatArray = NDArray[np.float64]
_DEPLETED = 0.10
# Counts added and concentrations that differ in their ratio by more are not those of one stock.
_AGREE = 0.05
# Total and non-specific binding are one experiment: no parameter belongs to one of them alone.
_COMMON = ("bmax", "log_kd", "bmax_low", "log_kd_low", "ns", "background")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationOptions:
    """How a saturation is analysed.

    Attributes
    ----------
    sites : ``one``, ``two``, or ``f-test`` to choose
    background : whether a background is fitted with total and non-specific binding; without it it is 0
    deplete : concentrations are those added, and binding depletes them; needs volume and specific activity
    noise, interval, level, seed : as of a competition
    volume_ml : of the reaction [mL]
    specific_activity : counts per amount of radioligand [cpm/fmol]
    protein_mg, cells : in each tube, for Bmax per mg and per cell
    added_per_nm : counts in a tube per nM of radioligand, instead of volume and specific activity
    """

    sites: Literal["one", "two", "f-test"] = "one"
    background: bool = True
    deplete: bool = False
    noise: Noise = "constant"
    interval: IntervalMethod = "profile"
    level: float = 0.95
    seed: int = 0
    volume_ml: float | None = None
    specific_activity: float | None = None
    protein_mg: float | None = None
    cells: float | None = None
    added_per_nm: float | None = None

    def __post_init__(self) -> None:
        units = {"volume_ml": "mL", "specific_activity": "cpm/fmol", "protein_mg": "mg", "cells": "cells per tube"}
        for name, unit in units.items():
            value = getattr(self, name)
            if value is not None:
                positive(float(value), name.replace("_", " "), unit)
        if (self.protein_mg or self.cells) and self.specific_activity is None:
            raise InputError(
                "--specific-activity", "option", "nothing", "cpm per fmol, to turn counts into fmol or sites"
            )

    @property
    def counts_per_nm(self) -> float | None:
        """Counts in a tube per nM of radioligand; None where the amounts are not known."""
        if self.volume_ml is None or self.specific_activity is None:
            return self.added_per_nm
        return kd_in_counts(1.0, volume_ml=self.volume_ml, specific_activity=self.specific_activity)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def analyse_saturation(
    points: Sequence[Points], log: NoticeLog, *, options: SaturationOptions
) -> tuple[GroupSaturation, ...]:
    """Fit every group of every experiment, and put experiments together.

    Raises
    ------
    InputError
        For rows that do not belong together, such as non-specific binding alone.
    NotComputable
        When no curve has Bmax and Kd, with the first reason.
    """
    groups: dict[str, list[SaturationCurve]] = {}
    refused: dict[str, list[tuple[str, str]]] = {}
    reasons: list[NotComputable] = []
    for one in points:
        curves, out = groups.setdefault(one.compound, []), refused.setdefault(one.compound, [])
        try:
            curves.append(fit_saturation(one, log, options=options))
        except NotComputable as err:
            reasons.append(err)
            out.append((one.experiment, str(err)))
    if len(reasons) == len(points):
        raise reasons[0]
    for reason in reasons:
        log.warning("CURVE_REFUSED", str(reason), where=reason.what)
    return tuple(_summary(name, curves, refused[name], log, options) for name, curves in groups.items())


def fit_saturation(points: Points, log: NoticeLog, *, options: SaturationOptions) -> SaturationCurve:
    """Bmax and Kd of one saturation.

    Raises
    ------
    InputError, NotComputable
        As in `analyse_saturation`.
    """
    label = points.label
    what = f"Bmax and Kd of {label}" if label else "Bmax and Kd"
    options = _with_counts(points, options, label)
    kinds = set(points.kind.tolist())
    if "specific" in kinds and len(kinds) > 1:
        raise InputError(
            label or "table", "kind", ", ".join(sorted(kinds)), "specific alone, or total with nonspecific"
        )
    if kinds == {"nonspecific"}:
        raise InputError(label or "table", "kind", "nonspecific only", "rows of kind total beside them")
    main = points.kind != "nonspecific"
    refuse_few_concentrations(points.log_x[main], what)
    found, limits, comparison = _settled(points, main, what, options)
    _refuse_open_kd(found, limits, float(points.x_nm[main].max()), what, options)
    if kinds == {"total"}:
        log.warning(
            "NONSPECIFIC_FROM_TOTALS",
            "no row is nonspecific: its slope is taken from the totals alone, which ties it to Bmax",
            where=label,
        )
    quantities = _named(found, limits, options)
    _doubt(quantities, points.x_nm[main], found, label, log)
    share = _depletion(points, main, options, label, log)
    return SaturationCurve(
        group=points.compound, experiment=points.experiment, model=found.datasets[0].model.name, n=found.n,
        quantities=quantities, residual_ss=found.rss, fit=found, comparison=comparison, bound_over_added=share,
        weighted_ss=None if options.noise == "constant" else found.weighted_rss,
    )  # fmt: skip


def _refuse_open_kd(
    found: Fit, limits: Mapping[str, Estimate], highest_nm: float, what: str, options: SaturationOptions
) -> None:
    """Refuse a Kd that the data do not bound above: binding that does not bend determines Bmax/Kd alone."""
    kd = limits["log_kd"]
    if options.interval != "profile":
        kd = profiled(found, level=options.level, names=("log_kd",))[1]["log_kd"]
    if found.exact or kd.high is not None or kd.value is None:
        return
    names = {_plain_name(n): v for n, v in found.values.items()}
    said = "bound it on neither side" if kd.low is None else f"say > {10**kd.low:.3g} nM at {100 * kd.level:g} %"
    raise NotComputable(
        what,
        f"Kd has no upper limit (fitted {10**kd.value:.3g} nM, highest concentration {highest_nm:.4g} nM; the data {said}); "
        f"they determine Bmax/Kd only, {names['bmax'] / 10**kd.value:.4g} per nM",
        "higher concentrations",
        "FIT_NOT_IDENTIFIABLE",
    )


def _with_counts(points: Points, options: SaturationOptions, label: str) -> SaturationOptions:
    """Counts per nM from a column of counts added, where the options do not say it.

    Raises
    ------
    InputError
        When counts added are not in proportion to the concentration, or depletion cannot be computed at all.
    """
    if options.counts_per_nm is not None:
        return options
    added = points.radioligand.get("added", np.full(points.y.size, math.nan))
    rows = np.isfinite(added) & (added > 0) & (points.x_nm > 0)
    if not rows.any():
        if options.deplete:
            raise InputError(
                "--deplete", "options", "not both", "--volume-ml and --specific-activity, or a column of counts added"
            )
        return options
    ratio = added[rows] / points.x_nm[rows]
    middle = float(np.median(ratio))
    if np.abs(ratio / middle - 1.0).max() > _AGREE:
        raise InputError(
            label or "table", "added", f"{ratio.min():.4g} to {ratio.max():.4g} per nM",
            "counts added in proportion to the concentration",
        )  # fmt: skip
    return replace(options, added_per_nm=middle)


def _settled(
    points: Points, main: NDArray[np.bool_], what: str, options: SaturationOptions
) -> tuple[Fit, dict[str, Estimate], Comparison | None]:
    """The fit that was asked for with its intervals, and how two sites compare with one."""
    specific = "specific" in points.kind
    first, second = (hyperbola, two_sites) if specific else (total_binding, two_sites_total)
    one = _fit(points, main, first, what, options)
    if options.deplete:
        return *_limits(_depleted(points, main, one, what, options), options), None
    if options.sites == "one":
        return *_limits(one, options), None
    try:
        two = _fit(points, main, second, what, options)
        _refuse_negative_site(two, what)
        comparison = compare_models(one, two)
        if options.sites == "two" or comparison.preferred_by_test == second.name:
            return *_limits(two, options), comparison
    except NotComputable:
        # Two sites that the data do not tell apart are no alternative, unless they were demanded.
        if options.sites == "two":
            raise
        comparison = None
    return *_limits(one, options), comparison


def _refuse_negative_site(two: Fit, what: str) -> None:
    """Two sites of which one has a negative Bmax bend the curve and bind nothing."""
    least = min(two.values["bmax"], two.values["bmax_low"])
    if least <= 0:
        raise NotComputable(
            what,
            f"one of two sites would have a Bmax of {least:.3g}",
            "one site, or more concentrations",
            "NO_DISPLACEMENT",
        )


def _limits(found: Fit, options: SaturationOptions) -> tuple[Fit, dict[str, Estimate]]:
    if options.interval == "profile":
        return profiled(found, level=options.level)
    return found, intervals(found, method=options.interval, level=options.level, seed=options.seed)


def _datasets(
    points: Points, main: NDArray[np.bool_], models: tuple[Model, Model], fixed: Mapping[str, float]
) -> list[Dataset]:
    x = points.x_nm
    found = []
    for name, rows, model in (("total", main, models[0]), ("nonspecific", ~main, models[1])):
        if rows.any():
            own = {k: v for k, v in fixed.items() if k in model.parameters}
            sd = None if points.sd is None else points.sd[rows]
            found.append(Dataset(name=name, model=model, x=x[rows], y=points.y[rows], sd=sd, fixed=own))
    return found


def _fit(points: Points, main: NDArray[np.bool_], model: Model, what: str, options: SaturationOptions) -> Fit:
    fixed = {"background": 0.0} if "background" in model.parameters and not options.background else {}
    data = _datasets(points, main, (model, nonspecific_line), fixed)
    if len(data) == 1:
        only = data[0]
        return fit(
            model, only.x, only.y, what=what, noise=options.noise, sd=only.sd, fixed=only.fixed, seed=options.seed
        )
    return fit_global(data, shared=_COMMON, what=what, noise=options.noise, seed=options.seed)


def _plain_name(name: str) -> str:
    """Name of a parameter without its data set: only the curve of total binding has parameters of its own."""
    return name.partition("[")[0]


def _depleted(points: Points, main: NDArray[np.bool_], plain: Fit, what: str, options: SaturationOptions) -> Fit:
    """The fit with depletion, from the place where the fit without it ended."""
    per_nm = options.counts_per_nm
    if per_nm is None:
        raise InputError("--deplete", "options", "not both", "--volume-ml and --specific-activity")
    fixed = {"counts_per_nm": per_nm}
    values = {_plain_name(k): v for k, v in plain.values.items()}
    specific = "ns" not in values
    if specific:
        # Specific binding alone: what is not bound is free.
        fixed |= {"ns": 0.0, "background": 0.0}
    elif not options.background:
        fixed["background"] = 0.0
    data = _datasets(points, main, (saturation_depleted, nonspecific_depleted), fixed)
    start = {
        "bmax": values["bmax"], "log_kd": values["log_kd"], "ns": max(values.get("ns", 0.0) / per_nm, 1e-9),
        "background": values.get("background", 0.0),
    }  # fmt: skip
    if len(data) == 1:
        only = data[0]
        return fit(
            saturation_depleted, only.x, only.y, what=what, noise=options.noise, sd=only.sd, fixed=only.fixed, start=start,
            seed=options.seed,
        )  # fmt: skip
    return fit_global(data, shared=_COMMON, what=what, noise=options.noise, start=start, seed=options.seed)


def _named(found: Fit, limits: Mapping[str, Estimate], options: SaturationOptions) -> dict[str, Quantity]:
    """Quantities as people know them: Kd in nM instead of its logarithm, Bmax also per mg and per cell."""
    out: dict[str, Quantity] = {}
    for name, estimate in limits.items():
        base = _plain_name(name)
        quantity = Quantity(estimate=estimate, se=found.se[name])
        if base.startswith("log_kd"):
            value = 10.0**quantity.value
            quantity = quantity.mapped(lambda v: 10.0**v, LN10 * value)
            base = "kd_low_nm" if base.endswith("low") else "kd_nm"
        out[base] = quantity
    if options.specific_activity is not None:
        per_fmol = 1.0 / options.specific_activity
        if options.protein_mg is not None:
            out["bmax_fmol_mg"] = _scaled(out["bmax"], per_fmol / options.protein_mg)
        if options.cells is not None:
            out["bmax_sites_cell"] = _scaled(out["bmax"], per_fmol * 1e-15 * AVOGADRO / options.cells)
    return out


def _scaled(quantity: Quantity, factor: float) -> Quantity:
    return quantity.mapped(lambda v: v * factor, factor)


def _doubt(quantities: Mapping[str, Quantity], x_nm: FloatArray, found: Fit, label: str, log: NoticeLog) -> None:
    highest = float(x_nm.max())
    for kd, bmax in (("kd_nm", "bmax"), ("kd_low_nm", "bmax_low")):
        if kd in quantities and quantities[kd].value > highest:
            log.warning(
                "KD_BEYOND_DATA",
                f"{kd} {quantities[kd].value:.4g} lies above the highest concentration, {highest:.4g} nM: it and {bmax} are "
                "extrapolated, and their intervals hold for this curve only",
                where=label,
            )
    for name in ("bmax", "kd_nm", "bmax_low", "kd_low_nm"):
        if name in quantities and quantities[name].estimate.note and not found.exact:
            log.warning("INTERVAL_OPEN", f"{name}: {quantities[name].estimate.note}", where=label)
    ns = quantities.get("ns")
    if ns is not None and ns.value < 0:
        log.warning(
            "NEGATIVE_NONSPECIFIC", f"non-specific binding falls with the concentration: NS {ns.value:.3g}", where=label
        )
    if quantities["bmax"].value < 0:
        raise NotComputable(
            f"Bmax and Kd of {label}" if label else "Bmax and Kd", f"the fitted Bmax is {quantities['bmax'].value:.3g}",
            "specific binding above non-specific binding", "NO_DISPLACEMENT",
        )  # fmt: skip


def _depletion(
    points: Points, main: NDArray[np.bool_], options: SaturationOptions, label: str, log: NoticeLog
) -> float | None:
    """Largest share of the radioligand that is bound, where the amounts are known; a warning above a tenth."""
    per_nm = options.counts_per_nm
    if per_nm is None:
        return None
    added = points.x_nm[main] * per_nm
    share = float(np.max(points.y[main][added > 0] / added[added > 0]))
    if share > _DEPLETED and not options.deplete:
        log.warning(
            "LIGAND_DEPLETION",
            f"up to {100 * share:.0f} % of the radioligand is bound, above 10 %; --deplete accounts for it where the "
            "concentrations are those added",
            where=label,
        )
    return share


def _summary(
    name: str,
    curves: Sequence[SaturationCurve],
    refused: Sequence[tuple[str, str]],
    log: NoticeLog,
    options: SaturationOptions,
) -> GroupSaturation:
    every = len(curves) + len(refused)
    said = "one experiment" if every == 1 else f"{every} experiments"
    if refused and curves:
        said = f"{len(curves)} of {every} experiments (none in {', '.join(e or 'without a name' for e, _ in refused)})"
    if not curves:
        return GroupSaturation(group=name, experiments=(), refused=tuple(refused), pooling=said)
    if len(curves) == 1:
        log.info(
            "SINGLE_EXPERIMENT",
            f"{said}: the intervals hold the scatter within it and not that between experiments",
            where=name,
        )
        return GroupSaturation(
            group=name, experiments=tuple(curves), quantities=curves[0].quantities, refused=tuple(refused), pooling=said
        )
    merged: dict[str, Quantity] = {}
    for key in dict.fromkeys(k for c in curves for k in c.quantities):
        mean = mean_of_logs if key.startswith("kd") else mean_quantity
        found = mean([c.quantities.get(key) for c in curves], level=options.level)
        if found is not None and math.isfinite(found.value):
            merged[key] = found
    return GroupSaturation(
        group=name, experiments=tuple(curves), quantities=merged, refused=tuple(refused),
        pooling=f"means over {said}, geometric for Kd, t intervals",
    )  # fmt: skip
