"""Findings within patients: ratio-estimator proportions and the cluster bootstrap; GEE stands in `gee`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import (
    FloatArray,
    Record,
    check_level,
    cluster_codes,
    flags,
    same_length,
    t_quantile,
    wilson_limits,
)
from fusin.stats.gee import (
    ClusteredProportion,
    Correction,
    GeeComparison,
    clustered_difference,
    gee_compare,
    gee_compare_groups,
    gee_proportion,
)
from fusin.stats.results import Estimate

__all__ = [
    "ClusterBootstrap",
    "ClusteredProportion",
    "Correction",
    "GeeComparison",
    "cluster_bootstrap",
    "clustered_difference",
    "gee_compare",
    "gee_compare_groups",
    "gee_proportion",
    "ratio_of_totals",
    "ratio_proportion",
]

_FEW = 30
_CHUNK = 1_000_000  # resampled patients held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterBootstrap(Record, Estimate):
    """Bootstrap over patients; an `Estimate` with its standard error, ``n`` counting patients."""

    standard_error: float
    resamples: int
    findings: int


def ratio_proportion(
    success: ArrayLike,
    cluster: ArrayLike,
    *,
    interval: Literal["wilson", "logit", "wald"] = "wilson",
    level: float = 0.95,
) -> ClusteredProportion:
    """Proportion k/n of findings within patients with the ratio-estimator (between-patient) variance.

    Parameters
    ----------
    success : (n,) one flag for each finding
    cluster : (n,) patient of each finding
    interval : Wilson score on the effective sample size (default), ``"logit"`` or ``"wald"``; t on K - 1 degrees of freedom
    level : confidence level

    Returns
    -------
    ClusteredProportion
        With all or no successes each patient counts as one finding, and the note says so. Covers 92.7 % at K = 12.

    References
    ----------
    Rao and Scott, Biometrics 1992;48:577; Obuchowski, Stat Med 1998;17:1495; Korn and Graubard, Survey Methodology
    1998;24:193 (effective sample size).
    """
    what = "clustered proportion"
    found = flags(success, "success", what=what)
    code, clusters = cluster_codes(cluster, what=what)
    n = same_length(what, success=found, cluster=code)
    quantile = t_quantile(check_level(level, what=what), max(clusters - 1, 1))
    if clusters < 2:
        raise InvalidValue(what, f"{clusters} patient", "2 or more", "TOO_FEW_CLUSTERS")
    sizes = np.bincount(code, minlength=clusters).astype(np.float64)
    hits = np.bincount(code, weights=found, minlength=clusters)
    k = int(hits.sum())
    p = k / n
    variance = clusters / (clusters - 1) * float(((hits - p * sizes) ** 2).sum()) / n**2
    method = f"ratio estimator over patients, {interval} interval, t on {clusters - 1} degrees of freedom"
    flat = variance < 1e-15
    effective = float(clusters) if flat else p * (1.0 - p) / variance
    note = ""
    if flat:
        note = "the proportion does not vary between patients: interval by Wilson with one finding per patient"
    low, high = _ratio_limits(p, variance, effective, quantile, "wilson" if flat else interval)
    return ClusteredProportion(
        value=p,
        low=low,
        high=high,
        method=method,
        n=n,
        k=k,
        level=level,
        note=note,
        clusters=clusters,
        standard_error=None if flat else math.sqrt(variance),
        correlation=None,
        design_effect=None if flat else n / effective,
        effective_n=effective,
    )


def _ratio_limits(p: float, variance: float, effective: float, quantile: float, interval: str) -> tuple[float, float]:
    if interval == "wilson":
        return wilson_limits(p, effective, quantile)
    error = math.sqrt(variance)
    if interval == "wald":
        return max(p - quantile * error, 0.0), min(p + quantile * error, 1.0)
    if interval != "logit":
        raise InvalidValue(
            "clustered proportion", f"interval {interval!r}", "'wilson', 'logit' or 'wald'", "BAD_METHOD"
        )
    half, centre = quantile * error / (p * (1.0 - p)), math.log(p / (1.0 - p))
    return 1.0 / (1.0 + math.exp(half - centre)), 1.0 / (1.0 + math.exp(-half - centre))


def ratio_of_totals(totals: FloatArray) -> FloatArray:
    """First column over the second, the statistic of a proportion or a mean; NaN where the second is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = totals[:, 0] / totals[:, 1]
    return np.where(np.isfinite(found), found, np.nan)


def cluster_bootstrap(
    columns: ArrayLike,
    cluster: ArrayLike,
    statistic: Callable[[FloatArray], FloatArray] = ratio_of_totals,
    *,
    interval: Literal["percentile", "bca", "basic"] = "bca",
    resamples: int = 2000,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> ClusterBootstrap:
    """Bootstrap that draws whole patients, for any statistic of column totals.

    Patients are reduced to column totals, and all samples go through ``statistic`` together. A sensitivity has the
    columns (detected, 1); a difference of two tracers (first, second, 1); a PPV (true positive, positive).

    Parameters
    ----------
    columns : (n, m) or (n,) numbers of each finding; a single column gets a column of ones as its second
    cluster : (n,) patient of each finding
    statistic : takes totals (r, m) and gives (r,) values; NaN marks a sample without a value
    interval : ``"bca"`` (bias-corrected and accelerated, patients left out one by one), ``"percentile"``, ``"basic"``
    resamples, level, rng : number of samples, confidence level, generator (seed 0 by default)

    Returns
    -------
    ClusterBootstrap
        Without limits, and with a note, where all samples agree.

    References
    ----------
    Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8; Efron, JASA 1987;82:171 (BCa).
    """
    what = "cluster bootstrap"
    totals, n = _totals(columns, cluster, what)
    clusters = len(totals)
    if clusters < 2 or interval not in ("percentile", "bca", "basic"):
        found = f"{clusters} patients, interval {interval!r}"
        raise InvalidValue(what, found, "2 or more; percentile, bca or basic", "BAD_INPUT")
    value = float(statistic(totals.sum(axis=0, keepdims=True))[0])
    draws = _draw(totals, statistic, resamples, rng or np.random.default_rng(0))
    usable = draws[np.isfinite(draws)]
    limits: tuple[float | None, float | None] = (None, None)
    if not math.isfinite(value) or usable.size < 2 or np.ptp(usable) < 1e-12:
        note = "the samples do not vary, so there is no interval" if math.isfinite(value) else "no value in these data"
    else:
        note = _bootstrap_note(clusters, resamples - usable.size)
        left_out = statistic(totals.sum(axis=0) - totals)
        limits = _bootstrap_limits(value, usable, left_out, check_level(level, what=what), interval)
    return ClusterBootstrap(
        value=value if math.isfinite(value) else None,
        low=limits[0],
        high=limits[1],
        method=f"cluster bootstrap over patients, {interval}, {resamples} samples",
        n=clusters,
        level=level,
        note=note,
        standard_error=float(usable.std(ddof=1)) if usable.size > 1 else math.nan,
        resamples=resamples,
        findings=n,
    )


def _totals(columns: ArrayLike, cluster: ArrayLike, what: str) -> tuple[FloatArray, int]:
    """Totals of the columns for each patient (K, m), and the number of findings."""
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim == 1:
        table = np.column_stack([table, np.ones(len(table))])
    if not np.isfinite(table).all():
        raise InvalidValue(what, "missing or infinite values in the columns", "complete rows", "MISSING_VALUES")
    code, clusters = cluster_codes(cluster, what=what)
    n = same_length(what, columns=table, cluster=code)
    sums = [np.bincount(code, weights=column, minlength=clusters).astype(np.float64) for column in table.T]
    return np.column_stack(sums), n


def _bootstrap_note(clusters: int, lost: int) -> str:
    notes = [f"{lost} samples had no value"] if lost else []
    if clusters < _FEW:
        notes.append(f"{clusters} patients are few: with 12, bootstrap intervals covered 88 to 94 % of simulations")
    return "; ".join(notes)


def _draw(
    totals: FloatArray, statistic: Callable[[FloatArray], FloatArray], resamples: int, rng: np.random.Generator
) -> FloatArray:
    clusters = len(totals)
    step = max(1, _CHUNK // clusters)
    found = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(clusters, size=(size, clusters), dtype=np.int64)
        drawn += np.arange(size)[:, None] * clusters
        weights = np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)
        found.append(np.asarray(statistic(weights @ totals), dtype=np.float64))
    return np.concatenate(found)


def _bootstrap_limits(
    value: float, draws: FloatArray, left_out: FloatArray, level: float, interval: str
) -> tuple[float, float]:
    from scipy.special import ndtr, ndtri

    tails = np.array([0.5 - level / 2.0, 0.5 + level / 2.0])
    if interval == "bca":
        # Ties with the estimate are shared out, or a discrete statistic would look biased.
        below = float((draws < value - 1e-12).mean() + 0.5 * (np.abs(draws - value) <= 1e-12).mean())
        shift = float(ndtri(min(max(below, 1e-6), 1.0 - 1e-6)))
        away = np.nanmean(left_out) - left_out[np.isfinite(left_out)]
        spread = float((away**2).sum())
        bend = float((away**3).sum()) / (6.0 * spread**1.5) if spread > 0 else 0.0
        z = shift + ndtri(tails)
        tails = ndtr(shift + z / (1.0 - bend * z))
    low, high = (float(x) for x in np.quantile(draws, tails))
    return (2.0 * value - high, 2.0 * value - low) if interval == "basic" else (low, high)
