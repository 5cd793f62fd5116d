"""Saturation binding: Bmax and Kd from specific binding, or from total and non-specific binding in one global fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from fusin.assays.models import LN10, Model, bounded_exp, hyperbola, kd_candidates, kd_domain
from fusin.assays.noise import Noise
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = [
    "GroupSaturation",
    "SaturationCurve",
    "SaturationOptions",
    "analyse_saturation",
    "nonspecific_line",
    "total_binding",
    "two_sites",
]

FloatArray = NDArray[np.float64]
_DEPLETED = 0.10
# Total and non-specific binding are one experiment: no parameter belongs to one of them alone.
_COMMON = ("bmax", "log_kd", "bmax_low", "log_kd_low", "ns", "background")


def _total(x: FloatArray, bmax: Any, log_kd: Any, ns: Any, background: Any) -> Any:
    return bmax * x / (bounded_exp(LN10 * log_kd) + x) + ns * x + background


def _nonspecific(x: FloatArray, ns: Any, background: Any) -> Any:
    return ns * x + background


def _two_sites(x: FloatArray, bmax: Any, log_kd: Any, bmax_low: Any, log_kd_low: Any) -> Any:
    return bmax * x / (bounded_exp(LN10 * log_kd) + x) + bmax_low * x / (bounded_exp(LN10 * log_kd_low) + x)


def _two_sites_total(
    x: FloatArray, bmax: Any, log_kd: Any, bmax_low: Any, log_kd_low: Any, ns: Any, background: Any
) -> Any:
    return _two_sites(x, bmax, log_kd, bmax_low, log_kd_low) + ns * x + background


def _two_candidates(x: FloatArray) -> dict[str, Sequence[float]]:
    every = kd_candidates(x)["log_kd"]
    return {"log_kd": every, "log_kd_low": [v + 0.05 for v in every]}


def _high_first(p: tuple[float, ...]) -> tuple[float, ...]:
    return p if p[1] <= p[3] else (p[2], p[3], p[0], p[1], *p[4:])


total_binding = Model(
    name="one-site total binding",
    parameters=("bmax", "log_kd", "ns", "background"),
    function=_total,
    formula="Y = Bmax X / (Kd + X) + NS X + background",
    linear=("bmax", "ns", "background"),
    candidates=kd_candidates,
    domain=kd_domain,
    citation="GraphPad Prism 7 Curve Fitting Guide, One site - Fit total and nonspecific binding",
)
nonspecific_line = Model(
    name="non-specific binding",
    parameters=("ns", "background"),
    function=_nonspecific,
    formula="Y = NS X + background",
    linear=("ns", "background"),
)
two_sites = Model(
    name="two-site specific binding",
    parameters=("bmax", "log_kd", "bmax_low", "log_kd_low"),
    function=_two_sites,
    formula="Y = Bmax1 X / (Kd1 + X) + Bmax2 X / (Kd2 + X)",
    linear=("bmax", "bmax_low"),
    candidates=_two_candidates,
    domain=kd_domain,
    canonical=_high_first,
)
two_sites_total = Model(
    name="two-site total binding",
    parameters=("bmax", "log_kd", "bmax_low", "log_kd_low", "ns", "background"),
    function=_two_sites_total,
    formula="Y = Bmax1 X / (Kd1 + X) + Bmax2 X / (Kd2 + X) + NS X + background",
    linear=("bmax", "bmax_low", "ns", "background"),
    candidates=_two_candidates,
    domain=kd_domain,
    canonical=_high_first,
)


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

    def __post_init__(self) -> None:
        units = {"volume_ml": "mL", "specific_activity": "cpm/fmol", "protein_mg": "mg", "cells": "cells per tube"}
        for name, unit in units.items():
            value = getattr(self, name)
            if value is not None:
                positive(float(value), name.replace("_", " "), unit)
        if self.deplete and (self.volume_ml is None or self.specific_activity is None):
            raise InputError("--deplete", "options", "not both", "--volume-ml and --specific-activity")
        if (self.protein_mg or self.cells) and self.specific_activity is None:
            raise InputError(
                "--specific-activity", "option", "nothing", "cpm per fmol, to turn counts into fmol or sites"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SaturationCurve:
    """One saturation: a group in one experiment.

    Attributes
    ----------
    group, experiment : names
    model : name of the curve
    n : points
    quantities : ``bmax`` and, where they belong to the model, ``kd_nm``, ``ns``, ``background``, ``bmax_low``, ``kd_low_nm``, and
        ``bmax_fmol_mg``, ``bmax_sites_cell`` where protein or cells are known
    residual_ss, weighted_ss : sums of squared residuals
    comparison : one site against two
    fit : for figures
    bound_over_added : largest share of the radioligand that is bound
    """

    group: str
    experiment: str
    model: str
    n: int
    quantities: Mapping[str, Quantity]
    residual_ss: float
    weighted_ss: float | None
    fit: Fit
    comparison: Comparison | None = None
    bound_over_added: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "group": self.group,
            "experiment": self.experiment,
            "model": self.model,
            **_quantities(self.quantities),
            "residual_ss": self.residual_ss,
            "weighted_ss": self.weighted_ss,
            "n": self.n,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "bound_over_added": self.bound_over_added,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupSaturation:
    """A group over all its experiments; quantities are means with t intervals, geometric for Kd."""

    group: str
    experiments: tuple[SaturationCurve, ...]
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    pooling: str = "one experiment"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping: the contract of the verb, and the experiments."""
        single = self.experiments[0] if len(self.experiments) == 1 else None
        comparison = single.comparison if single else None
        weighted = [c.weighted_ss for c in self.experiments if c.weighted_ss is not None]
        return {
            "group": self.group,
            "model": self.experiments[0].model,
            **_quantities(self.quantities),
            "residual_ss": sum(c.residual_ss for c in self.experiments),
            "weighted_ss": sum(weighted) if weighted else None,
            "n": sum(c.n for c in self.experiments),
            "pooling": self.pooling,
            "comparison": None if comparison is None else comparison.to_json(),
            "experiments": [c.to_json() for c in self.experiments],
        }


_NAMES = ("bmax", "kd", "kd_nm", "ns", "background", "bmax_low", "kd_low_nm", "bmax_fmol_mg", "bmax_sites_cell")


def _quantities(found: Mapping[str, Quantity]) -> dict[str, Any]:
    every = {**found, **({"kd": found["kd_nm"]} if "kd_nm" in found else {})}
    return {name: every[name].to_json() if name in every else None for name in _NAMES}


def analyse_saturation(
    points: Sequence[Points], log: NoticeLog, *, options: SaturationOptions
) -> tuple[GroupSaturation, ...]:
    """Fit every group of every experiment, and put experiments together.

    Raises
    ------
    InputError
        For rows that do not belong together, such as non-specific binding alone.
    NotComputable
        When a curve has no Bmax and Kd, with the reason.
    """
    groups: dict[str, list[SaturationCurve]] = {}
    for one in points:
        groups.setdefault(one.compound, []).append(fit_saturation(one, log, options=options))
    return tuple(_summary(name, curves, log, options) for name, curves in groups.items())


def fit_saturation(points: Points, log: NoticeLog, *, options: SaturationOptions) -> SaturationCurve:
    """Bmax and Kd of one saturation.

    Raises
    ------
    InputError, NotComputable
        As in `analyse_saturation`.
    """
    label = ", ".join(p for p in (points.compound, points.experiment) if p)
    what = f"Bmax and Kd of {label}" if label else "Bmax and Kd"
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
    log_kd = limits["log_kd"]
    if log_kd.low is None and log_kd.high is None and not found.exact:
        raise NotComputable(
            what,
            "the data bound Kd on neither side: its profile is flat",
            "higher concentrations",
            "FIT_NOT_IDENTIFIABLE",
        )
    quantities = _named(found, limits, options)
    _doubt(quantities, points.x_nm[main], found, label, log)
    share = _depletion(points, main, options, label, log)
    return SaturationCurve(
        group=points.compound, experiment=points.experiment, model=found.datasets[0].model.name, n=found.n,
        quantities=quantities, residual_ss=found.rss, fit=found, comparison=comparison, bound_over_added=share,
        weighted_ss=None if options.noise == "constant" else found.weighted_rss,
    )  # fmt: skip


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
    if options.volume_ml is None or options.specific_activity is None:
        raise InputError("--deplete", "options", "not both", "--volume-ml and --specific-activity")
    per_nm = kd_in_counts(1.0, volume_ml=options.volume_ml, specific_activity=options.specific_activity)
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
    kd = quantities["kd_nm"]
    if kd.value > highest:
        log.warning(
            "KD_BEYOND_DATA",
            f"Kd {kd.value:.4g} nM lies above the highest concentration, {highest:.4g} nM: Kd and Bmax are extrapolated",
            where=label,
        )
    for name in ("bmax", "kd_nm"):
        if quantities[name].estimate.note and not found.exact:
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
    if options.volume_ml is None or options.specific_activity is None:
        return None
    per_nm = kd_in_counts(1.0, volume_ml=options.volume_ml, specific_activity=options.specific_activity)
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
    name: str, curves: Sequence[SaturationCurve], log: NoticeLog, options: SaturationOptions
) -> GroupSaturation:
    if len(curves) == 1:
        log.info(
            "SINGLE_EXPERIMENT",
            "one experiment: the intervals hold the scatter within it and not that between experiments",
            where=name,
        )
        return GroupSaturation(group=name, experiments=tuple(curves), quantities=curves[0].quantities)
    merged: dict[str, Quantity] = {}
    for key in dict.fromkeys(k for c in curves for k in c.quantities):
        mean = mean_of_logs if key.startswith("kd") else mean_quantity
        found = mean([c.quantities.get(key) for c in curves], level=options.level)
        if found is not None and math.isfinite(found.value):
            merged[key] = found
    return GroupSaturation(
        group=name, experiments=tuple(curves), quantities=merged,
        pooling=f"means over {len(curves)} experiments, geometric for Kd, t intervals",
    )  # fmt: skip
