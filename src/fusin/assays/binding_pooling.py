"""Experiments put together: means on the log scale, ratios to a reference compound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fusin.assays.binding_ki import widened
from fusin.assays.binding_results import (
    CompoundBinding,
    CurveBinding,
    KiResult,
    Quantity,
    experiments_said,
    mean_of_logs,
    mean_quantity,
)
from fusin.assays.intervals import critical_value
from fusin.assays.noise import Noise
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["related", "summary_of"]


def summary_of(name: str, curves: Sequence[CurveBinding], log: NoticeLog, *, level: float) -> CompoundBinding:
    """Experiments put together: geometric mean of the IC50 with a t interval, arithmetic mean and SD beside it."""
    used = [c for c in curves if not c.refused]
    pooling = experiments_said(curves)
    mean = sd = None
    if len(used) > 1:
        pooling = f"mean of log IC50 over {pooling} (geometric mean), t interval"
        values = np.array([c.ic50_nm.value for c in used if c.ic50_nm is not None])
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        if len({c.direction for c in used}) > 1:
            log.warning("DIRECTIONS_DIFFER", "the response falls in some experiments and rises in others", where=name)
    elif used:
        log.info(
            "SINGLE_EXPERIMENT",
            f"{pooling}: the intervals hold the scatter within it and not that between experiments",
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
    names = dict.fromkeys(way for c in used for way in c.ki_ways)
    ways = {way: q for way in names if (q := _mean_ki([c.ki_ways.get(way) for c in used], level)) is not None}
    methods = {c.ki_method for c in used}
    method = next(iter(methods)) if len(methods) == 1 else ""
    ki = mean_of_logs([c.ki for c in used], level=level) if method == "homologous" else ways.get(method)
    return CompoundBinding(
        compound=name, experiments=tuple(curves), log_ic50=mean_quantity([c.log_ic50 for c in used], level=level),
        hill=mean_quantity([c.hill for c in used], level=level), top=mean_quantity([c.top for c in used], level=level),
        bottom=mean_quantity([c.bottom for c in used], level=level),
        ki=ki, ki_note="; ".join(notes), ki_method=method, ki_ways=ways, constants=constants, ic50_mean_nm=mean,
        ic50_sd_nm=sd, pooling=pooling,
    )  # fmt: skip


def _mean_ki(items: Sequence[KiResult | None], level: float) -> Quantity | None:
    """Geometric mean of Ki; what is uncertain in one input of all experiments does not average out and is added after.

    Inputs that differ between experiments scatter with them, so that the t interval holds their uncertainty.
    """
    found = [k for k in items if k is not None]
    if not found or len(found) < len(items):
        return None
    if len(found) == 1:
        return found[0].quantity
    mean = mean_of_logs([k.plain for k in found], level=level)
    if mean is None:
        return None
    common: Mapping[str, tuple[float, float]] = {
        name: (float(np.mean([k.shifts[name][0] for k in found])), float(np.mean([k.shifts[name][1] for k in found])))
        for name, stated in found[0].inputs.items()
        if all(k.inputs.get(name) == stated for k in found)
    }
    return widened(mean, common)


def related(
    compound: CompoundBinding,
    every: Sequence[CompoundBinding],
    reference: str | None,
    log: NoticeLog,
    *,
    noise: Noise,
    level: float,
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
    ratios = [_ratio(a, b, noise, level) for a, b in pairs]
    mean = mean_of_logs(ratios, level=level)
    note = f"IC50 over that of {reference} in the same experiment; geometric mean of {len(pairs)} ratios"
    if len(pairs) == 1:
        note = f"IC50 over that of {reference} in the same experiment"
    return replace(compound, relative=mean, relative_note=note)


def _ratio(one: CurveBinding, other: CurveBinding, noise: Noise, level: float) -> Quantity | None:
    """Quotient of two IC50 with the interval of the difference of their logarithms (Welch-Satterthwaite)."""
    from scipy.special import stdtrit

    if one.log_ic50 is None or other.log_ic50 is None or one.fit is None or other.fit is None:
        return None
    variances = [(q.se or 0.0) ** 2 for q in (one.log_ic50, other.log_ic50)]
    total = sum(variances)
    shift = one.log_ic50.value - other.log_ic50.value
    parts = sum(v**2 / f.df for v, f in zip(variances, (one.fit, other.fit), strict=True))
    if noise == "given" or total == 0.0 or parts == 0.0:
        wide = critical_value(one.fit, level)
    else:
        wide = float(stdtrit(total**2 / parts, 0.5 + level / 2))
    half = wide * math.sqrt(total)
    logs = Estimate(
        value=shift, low=shift - half, high=shift + half, n=one.n + other.n, level=level,
        method="t interval of the difference of log IC50, Welch-Satterthwaite",
    )  # fmt: skip
    ln10 = math.log(10.0)
    return Quantity(estimate=logs, se=math.sqrt(total)).mapped(lambda v: 10.0**v, ln10 * 10.0**shift)
