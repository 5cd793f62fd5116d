"""Homologous competition: the unlabelled ligand is the radioligand itself, so that the curve gives Kd and Bmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_checks import refuse_few_concentrations
from fusin.assays.binding_results import CurveBinding, Quantity, linear_nm
from fusin.assays.binding_tables import Points
from fusin.assays.fitting import fit
from fusin.assays.intervals import IntervalMethod, intervals, profiled
from fusin.assays.models import LN10, Model, bounded_exp, kd_domain, log_span
from fusin.assays.noise import Noise
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog

__all__ = ["fit_homologous", "homologous"]

FloatArray = NDArray[np.float64]


def _bound(x: FloatArray, bmax: Any, log_kd: Any, ns: Any) -> Any:
    hot, cold = x
    blocked = np.isposinf(cold)
    specific = bmax * hot / (hot + np.where(blocked, 0.0, cold) + bounded_exp(LN10 * log_kd))
    return np.where(blocked, 0.0, specific) + ns * hot


homologous = Model(
    name="homologous competition",
    parameters=("bmax", "log_kd", "ns"),
    function=_bound,
    formula="Y = Bmax Hot / (Hot + Cold + Kd) + NS Hot",
    linear=("bmax", "ns"),
    candidates=lambda x: {"log_kd": np.log10(log_span(x[1], 16, below=0.1, above=3.0)).tolist()},
    domain=lambda x: kd_domain(x[1]),
    citation="GraphPad Prism 7 Curve Fitting Guide, Homologous competition, two concentrations of hot ligand",
)
"""``x`` has two rows: hot and cold ligand [nM]; ``log_kd`` is log10 nM and Bmax has the unit of the response."""


def fit_homologous(
    points: Points, log: NoticeLog, *, noise: Noise, interval: IntervalMethod, level: float, seed: int
) -> CurveBinding:
    """Kd and Bmax from one global fit over all concentrations of the hot ligand.

    Raises
    ------
    InputError
        When the table has no concentration of the hot ligand.
    NotComputable
        ``KD_EXTRAPOLATED`` for a Kd beyond the cold concentrations, and the refusals of the fit.
    """
    label = points.label
    what = f"Kd of {label}" if label else "Kd"
    hot_nm = points.radioligand.get("concentration_nm", np.full(points.y.size, np.nan))
    if not np.isfinite(hot_nm).all():
        raise InputError(label or "table", "hot_nM", "nothing", "the concentration of the hot ligand in every row")
    levels = np.unique(hot_nm)
    if not (levels > 0).all():
        raise InputError(label or "table", "hot_nM", float(levels.min()), "a number above 0")
    if levels.size == 1:
        log.warning(
            "ONE_HOT_CONCENTRATION",
            f"one concentration of hot ligand, {levels[0]:g} nM: Kd and Bmax are tied to each other; two are usual",
            where=label,
        )
    refuse_few_concentrations(points.log_x, what)
    x = np.vstack([hot_nm, points.x_nm])
    found = fit(homologous, x, points.y, what=what, noise=noise, sd=points.sd, seed=seed)
    if interval == "profile":
        found, limits = profiled(found, level=level)
    else:
        limits = intervals(found, method=interval, level=level, seed=seed)
    q = {name: Quantity(estimate=e, se=found.se[name]) for name, e in limits.items()}
    # The model's Kd is in nM; quantities carry log10 mol/L.
    log_kd = q["log_kd"].mapped(lambda v: v - 9.0, 1.0)
    kd = linear_nm(log_kd)
    _refuse_unbounded(kd, points.x_nm, what, exact=found.exact, level=level)
    hot = float(levels.min())
    ic50 = kd.mapped(lambda v: v + hot, 1.0)
    log_ic50 = ic50.mapped(lambda v: math.log10(v) - 9.0, 1.0 / (LN10 * ic50.value))
    return CurveBinding(
        compound=points.compound, experiment=points.experiment, model=homologous.name, n=found.n, log_ic50=log_ic50,
        direction="decreasing", residual_ss=found.rss, weighted_ss=None if noise == "constant" else found.weighted_rss,
        fit=found, ki=kd, ki_method="homologous", ki_note=f"homologous: Ki is Kd; the IC50 is Kd + hot at {hot:g} nM",
        constants={"kd_nm": kd, "bmax": q["bmax"], "ns": q["ns"]},
    )  # fmt: skip


def _refuse_unbounded(kd: Quantity, cold_nm: FloatArray, what: str, *, exact: bool, level: float) -> None:
    """Refuse a Kd beyond the concentrations of the cold ligand, or one that the data do not bound."""
    e = kd.estimate
    if not exact and (e.low is None or e.high is None):
        said = "bound it on neither side"
        if e.low is not None or e.high is not None:
            said = f"say {f'> {e.low:.3g}' if e.low is not None else f'< {e.high:.3g}'} nM"
        raise NotComputable(
            what, f"the data {said} at {100 * level:g} % and no more", "more concentrations of hot and of cold ligand",
            "FIT_NOT_IDENTIFIABLE",
        )  # fmt: skip
    highest = float(cold_nm[np.isfinite(cold_nm)].max())
    if not kd.value <= highest * 1.005:
        raise NotComputable(
            what, f"the fitted {kd.value:.3g} nM lies above the highest cold concentration, {highest:.3g} nM",
            "higher concentrations of cold ligand", "KD_EXTRAPOLATED",
        )  # fmt: skip
