"""Cut-offs chosen from the data: Youden, sensitivity at a fixed specificity, and how optimistic they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InvalidValue
from fusin.stats._arrays import FloatArray, Record, check_level, normal_quantile, wilson_limits
from fusin.stats.results import Estimate
from fusin.stats.roc_points import Operator, roc_curve, split_scores

__all__ = ["CutOff", "Optimism", "optimism_bootstrap", "sensitivity_at_specificity", "youden"]

_CHUNK = 1_000_000  # counts held at once, so that 100 000 findings need tens of megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff(Record):
    """A cut-off and what it gives on the data that chose it.

    Attributes
    ----------
    threshold : the cut-off with a bootstrap interval
    operator : comparison that makes a finding positive
    sensitivity, specificity, index : at the cut-off; ``index`` is sensitivity + specificity - 1 for Youden, and the
        requested specificity for a fixed one
    tied_thresholds : every cut-off that is as good; the strictest is the one reported
    """

    threshold: Estimate
    operator: Operator
    sensitivity: Estimate
    specificity: Estimate
    index: Estimate
    tied_thresholds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimism(Record):
    """Apparent and optimism-corrected performance of a Youden cut-off.

    Attributes
    ----------
    threshold : cut-off chosen on all findings
    operator : comparison that makes a finding positive
    apparent, optimism, corrected : mappings of ``sensitivity``, ``specificity``, ``youden``
    resamples : bootstrap samples
    method : how
    n : number of findings
    """

    threshold: float
    operator: Operator
    apparent: dict[str, float]
    optimism: dict[str, float]
    corrected: dict[str, float]
    resamples: int
    method: str
    n: int


@dataclass(frozen=True, slots=True)
class _Histogram:
    """Findings per distinct score, strictest first."""

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]


def _histogram(scores: ArrayLike, truth: ArrayLike, operator: Operator, what: str) -> _Histogram:
    values, condition = split_scores(scores, truth, operator, what=what)
    levels, index = np.unique(values, return_inverse=True)
    size = len(levels)
    return _Histogram(
        np.bincount(index[condition], minlength=size)[::-1].astype(np.int64),
        np.bincount(index[~condition], minlength=size)[::-1].astype(np.int64),
    )


def _rates(counts: NDArray[np.int64]) -> FloatArray:
    """Cumulative fractions along the last axis, with a leading 0 for the cut-off above every score."""
    total = counts.sum(axis=-1, keepdims=True)
    found = np.cumsum(counts, axis=-1) / total
    return np.concatenate([np.zeros((*counts.shape[:-1], 1)), found], axis=-1)


def _resampled(table: _Histogram, resamples: int, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Sensitivity and false-positive rate of bootstrap samples, drawn within each class, in chunks (r, m + 1)."""
    step = max(1, _CHUNK // len(table.positive))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield _rates(_redraw(table.positive, size, rng)), _rates(_redraw(table.negative, size, rng))


def _redraw(counts: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Bootstrap samples (size, m) of a histogram; by findings where there are about as many as distinct scores."""
    total, bins = int(counts.sum()), len(counts)
    if 5 * bins < total:
        return np.asarray(rng.multinomial(total, counts / total, size=size))
    owner = np.repeat(np.arange(bins), counts)
    drawn = owner[rng.integers(total, size=(size, total))] + np.arange(size)[:, None] * bins
    return np.bincount(drawn.ravel(), minlength=size * bins).reshape(size, bins).astype(np.int64)


def _wilson(rate: float, n: int, level: float, note: str) -> Estimate:
    low, high = wilson_limits(rate, n, normal_quantile(level))
    return Estimate(
        value=rate,
        low=low,
        high=high,
        method="Wilson score at the chosen cut-off",
        n=n,
        k=round(rate * n),
        level=level,
        note=note,
    )


def _percentile(value: float, draws: FloatArray, level: float, n: int, method: str) -> Estimate:
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    return Estimate(
        value=value,
        low=_number(low),
        high=_number(high),
        method=method,
        n=n,
        level=level,
        note="" if np.isfinite([low, high]).all() else "the interval is open: it reaches beyond every score",
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def youden(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    operator: Operator = ">=",
    level: float = 0.95,
    resamples: int = 2000,
    rng: np.random.Generator | None = None,
) -> CutOff:
    """Cut-off with the largest sensitivity + specificity - 1.

    Parameters
    ----------
    scores, truth, operator : as for `roc_curve`
    level : confidence level
    resamples, rng : bootstrap within each class, percentile limits; the default generator has seed 0

    Returns
    -------
    CutOff
        Sensitivity and specificity are apparent: the cut-off was chosen on the same findings. `optimism_bootstrap` says
        by how much they are too good.

    References
    ----------
    Youden, Cancer 1950;3:32; Schisterman and Perkins, Commun Stat Simul Comput 2007;36:549 (bootstrap interval).
    """
    check_level(level, what="Youden cut-off")
    curve = roc_curve(scores, truth, operator=operator)
    table = _histogram(scores, truth, operator, "Youden cut-off")
    gain = curve.sensitivity + curve.specificity - 1.0
    best = int(np.argmax(gain >= gain.max() - 1e-12))
    ties = tuple(float(t) for t in curve.thresholds[gain >= gain.max() - 1e-12])
    draws: list[FloatArray] = []
    chosen: list[FloatArray] = []
    for sensitivity, false_positive in _resampled(table, resamples, rng or np.random.default_rng(0)):
        index = sensitivity - false_positive
        draws.append(index.max(axis=1))
        chosen.append(curve.thresholds[np.argmax(index >= index.max(axis=1, keepdims=True) - 1e-12, axis=1)])
    method, n = f"bootstrap percentile, {resamples} samples within each class", curve.positives + curve.negatives
    note = "apparent: the cut-off was chosen on the same findings"
    return CutOff(
        threshold=_percentile(float(curve.thresholds[best]), np.concatenate(chosen), level, n, method),
        operator=operator,
        sensitivity=_wilson(float(curve.sensitivity[best]), curve.positives, level, note),
        specificity=_wilson(float(curve.specificity[best]), curve.negatives, level, note),
        index=_percentile(float(gain[best]), np.concatenate(draws), level, n, method),
        tied_thresholds=ties,
    )


def sensitivity_at_specificity(
    scores: ArrayLike,
    truth: ArrayLike,
    specificity: float,
    *,
    operator: Operator = ">=",
    interpolate: bool = False,
    level: float = 0.95,
    resamples: int = 2000,
    rng: np.random.Generator | None = None,
) -> CutOff:
    """Largest sensitivity among cut-offs whose specificity is at least the one asked for.

    Parameters
    ----------
    scores, truth, operator : as for `roc_curve`
    specificity : wanted specificity, a fraction
    interpolate : read the sensitivity off the straight lines between the points, as pROC does; no finding has such a
        cut-off, so the default stays on the points
    level, resamples, rng : bootstrap interval of the sensitivity; the cut-off is chosen anew in each sample

    Raises
    ------
    InvalidValue
        For a specificity outside [0, 1], such as 95.
    """
    what = "sensitivity at a fixed specificity"
    check_level(level, what=what)
    if not 0.0 <= specificity <= 1.0:
        raise InvalidValue(what, f"specificity {specificity:g}", "a fraction from 0 to 1", "BAD_SPECIFICITY")
    curve = roc_curve(scores, truth, operator=operator)
    table = _histogram(scores, truth, operator, what)
    allowed = 1.0 - specificity
    last = int(_last_allowed((1.0 - curve.specificity)[None], allowed)[0])
    value = float(_read(curve.sensitivity[None], (1.0 - curve.specificity)[None], allowed, interpolate)[0])
    draws, cuts = [], []
    for rate, false_positive in _resampled(table, resamples, rng or np.random.default_rng(0)):
        draws.append(_read(rate, false_positive, allowed, interpolate))
        cuts.append(curve.thresholds[_last_allowed(false_positive, allowed)])
    n = curve.positives + curve.negatives
    method = f"bootstrap percentile, {resamples} samples within each class, cut-off chosen anew"
    return CutOff(
        threshold=_percentile(float(curve.thresholds[last]), np.concatenate(cuts), level, n, method),
        operator=operator,
        sensitivity=_percentile(value, np.concatenate(draws), level, curve.positives, method),
        specificity=_wilson(float(curve.specificity[last]), curve.negatives, level, "of the cut-off on the points"),
        index=Estimate(
            value=specificity,
            low=None,
            high=None,
            method="requested specificity",
            n=curve.negatives,
            level=level,
            note="fixed in advance",
        ),
    )


def _last_allowed(false_positive: FloatArray, allowed: float) -> NDArray[np.intp]:
    """Index of the laxest point of each row whose false-positive rate is still allowed."""
    return np.asarray((false_positive <= allowed + 1e-12).sum(axis=1) - 1, dtype=np.intp)


def _read(sensitivity: FloatArray, false_positive: FloatArray, allowed: float, interpolate: bool) -> FloatArray:
    rows, last = np.arange(len(sensitivity)), _last_allowed(false_positive, allowed)
    found: FloatArray = sensitivity[rows, last]
    if not interpolate:
        return found
    after = np.minimum(last + 1, sensitivity.shape[1] - 1)
    width = false_positive[rows, after] - false_positive[rows, last]
    part = np.divide(allowed - false_positive[rows, last], width, out=np.zeros(len(rows)), where=width > 0)
    return np.asarray(found + part * (sensitivity[rows, after] - found))


def optimism_bootstrap(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    operator: Operator = ">=",
    resampling: Literal["within classes", "all findings"] = "within classes",
    resamples: int = 1000,
    rng: np.random.Generator | None = None,
) -> Optimism:
    """How much a Youden cut-off flatters itself, by Harrell's bootstrap.

    In each sample the cut-off is chosen anew; its performance in the sample less that of the same cut-off on all
    findings is the optimism, and its mean is taken off the apparent values.

    Parameters
    ----------
    scores, truth, operator : as for `roc_curve`
    resampling : keep the number of positives, or let it vary
    resamples, rng : bootstrap samples; the default generator has seed 0

    References
    ----------
    Harrell, Lee, Mark, Stat Med 1996;15:361, section 4.
    """
    what = "optimism of a cut-off"
    if resampling not in ("within classes", "all findings"):
        raise InvalidValue(what, f"resampling {resampling!r}", "'within classes' or 'all findings'", "BAD_RESAMPLING")
    curve, table = roc_curve(scores, truth, operator=operator), _histogram(scores, truth, operator, what)
    rng = rng or np.random.default_rng(0)
    draws = (
        _resampled(table, resamples, rng)
        if resampling == "within classes"
        else _resampled_freely(table, resamples, rng)
    )
    sensitivity, false_positive = curve.sensitivity, 1.0 - curve.specificity
    gain = sensitivity - false_positive
    best = int(np.argmax(gain >= gain.max() - 1e-12))
    flattery, used = np.zeros(2), 0
    for rate, false in draws:
        index = rate - false
        cut = np.argmax(index >= index.max(axis=1, keepdims=True) - 1e-12, axis=1)
        rows = np.arange(len(cut))
        flattery += [(rate[rows, cut] - sensitivity[cut]).sum(), (false_positive[cut] - false[rows, cut]).sum()]
        used += len(cut)
    if used == 0:
        raise InvalidValue(what, "every sample lost one class", "more findings, or sampling within classes", "TOO_FEW")
    optimism = _triple(*(flattery / used))
    apparent = _triple(float(sensitivity[best]), 1.0 - float(false_positive[best]))
    apparent["youden"] = float(gain[best])
    return Optimism(
        threshold=float(curve.thresholds[best]),
        operator=operator,
        apparent=apparent,
        optimism=optimism,
        corrected={name: apparent[name] - optimism[name] for name in apparent},
        resamples=used,
        method=f"Harrell bootstrap, {resampling}",
        n=curve.positives + curve.negatives,
    )


def _triple(sensitivity: float, specificity: float) -> dict[str, float]:
    return {
        "sensitivity": float(sensitivity),
        "specificity": float(specificity),
        "youden": float(sensitivity + specificity),
    }


def _resampled_freely(
    table: _Histogram, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """As `_resampled` without fixing the classes; samples without one of them are left out."""
    both = np.concatenate([table.positive, table.negative])
    n, size = int(both.sum()), len(table.positive)
    step = max(1, _CHUNK // (2 * size))
    for start in range(0, resamples, step):
        counts = rng.multinomial(n, both / n, size=min(step, resamples - start))
        positive, negative = counts[:, :size], counts[:, size:]
        usable = (positive.sum(axis=1) > 0) & (negative.sum(axis=1) > 0)
        yield _rates(positive[usable]), _rates(negative[usable])
