"""What a peak stands on: nothing, a constant, a line, arPLS or AsLS, or chords below groups of peaks.

Every model is a linear function of the signal once its windows (or weights) are fixed. A baseline therefore hands on not
only its values but its transpose, with which the uncertainty of the baseline enters each area and each covariance.

References
----------
arPLS: Baek et al., Analyst 2015;140:250. AsLS: Eilers, Anal Chem 2003;75:3631. Both by pybaselines.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.radiopharmacy.chromatogram import FloatArray

__all__ = [
    "Baseline",
    "BaselineModel",
    "BoolArray",
    "chords",
    "constant",
    "given",
    "linear",
    "no_baseline",
    "penalised",
    "polynomial",
]

BaselineModel = Literal["none", "constant", "linear", "arpls", "asls", "local"]
BoolArray = NDArray[np.bool_]

_MOST_BINS = 1000
_LEAST_POINTS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """A baseline.

    Attributes
    ----------
    model : its name
    values : (n,) in the unit of the signal
    pull : for weights c of shape (n,), the (n,) gradient of sum(c * values) with respect to the signal
    shared_u : standard uncertainty common to all points (a blank that was measured apart)
    points : number of points it was made of
    """

    model: str
    values: FloatArray
    pull: Callable[[FloatArray], FloatArray]
    shared_u: float = 0.0
    points: int = 0


def no_baseline(y: FloatArray) -> Baseline:
    """Zero everywhere: the signal is taken as net."""
    return Baseline(model="none", values=np.zeros_like(y), pull=np.zeros_like)


def given(y: FloatArray, *, value: float, u: float) -> Baseline:
    """A constant that was measured apart, per point, with its standard uncertainty."""
    return Baseline(model="constant", values=np.full_like(y, value), pull=np.zeros_like, shared_u=u)


def constant(y: FloatArray, inside: BoolArray, *, where: str) -> Baseline:
    """Mean of the points inside the windows."""
    count = _enough(inside, where, "constant", 1)

    def pull(c: FloatArray) -> FloatArray:
        return np.where(inside, c.sum() / count, 0.0)

    return Baseline(model="constant", values=np.full_like(y, y[inside].mean()), pull=pull, points=count)


def linear(x: FloatArray, y: FloatArray, inside: BoolArray, *, where: str) -> Baseline:
    """Least-squares line through the points inside the windows."""
    return polynomial(x, y, inside, degree=1, where=where)


def polynomial(x: FloatArray, y: FloatArray, inside: BoolArray, *, degree: int, where: str) -> Baseline:
    """Least-squares polynomial through the points inside the windows; of degree 1 it is called linear."""
    model = "linear" if degree == 1 else "polynomial"
    count = _enough(inside, where, model, degree + 2)
    u = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
    basis = np.polynomial.legendre.legvander(u, degree)
    orthogonal, triangle = np.linalg.qr(basis[inside])
    if np.abs(np.diag(triangle)).min() < 1e-9 * np.abs(triangle).max():
        raise InputError(
            where, "baseline", f"windows that fix no {model} baseline", "windows on both sides of the peaks"
        )

    def pull(c: FloatArray) -> FloatArray:
        out = np.zeros_like(c)
        out[inside] = orthogonal @ np.linalg.solve(triangle.T, basis.T @ c)
        return out

    values = basis @ np.linalg.solve(triangle, orthogonal.T @ y[inside])
    return Baseline(model=model, values=np.asarray(values, dtype=np.float64), pull=pull, points=count)


def penalised(y: FloatArray, *, model: Literal["arpls", "asls"], lam: float | None, where: str) -> Baseline:
    """Whittaker baseline with asymmetric weights, by pybaselines.

    Parameters
    ----------
    y : signal
    model : ``arpls`` or ``asls`` (p = 0.01)
    lam : smoothness on the bins of which the baseline is made (the points, or at most 1000 bins of equal numbers of
        points); None takes (bins / 40)^4, which follows what is wider than about a sixth of the run

    Raises
    ------
    NotComputable
        When the weights do not settle.
    """
    from pybaselines import Baseline as Fitter  # type: ignore[import-untyped]  # it ships no types

    binned, spread, back = _bins(y.size)
    means = binned(y)
    smooth = (means.size / 40.0) ** 4 if lam is None else lam
    fitter = Fitter(check_finite=True)
    try:
        with warnings.catch_warnings():
            # The package warns of weights that did not settle; what matters is judged below.
            warnings.simplefilter("ignore")
            if model == "arpls":
                values, found = fitter.arpls(means, lam=smooth)
            else:
                values, found = fitter.asls(means, lam=smooth, p=0.01)
    except (ValueError, np.linalg.LinAlgError, FloatingPointError) as err:
        raise NotComputable(
            "the baseline", f"{model} fails on {where} ({err})", "another baseline model", "BASELINE_FAILED"
        ) from err
    if not np.isfinite(values).all():
        raise NotComputable("the baseline", f"{model} fails on {where}", "another baseline model", "BASELINE_FAILED")
    weights = np.asarray(found["weights"], dtype=np.float64)

    def pull(c: FloatArray) -> FloatArray:
        return spread(weights * _solve(weights, smooth, back(c)))

    return Baseline(model=model, values=_interpolated(values, y.size), pull=pull, points=int((weights > 0.5).sum()))


def chords(x: FloatArray, y: FloatArray, spans: Sequence[tuple[int, int]], *, reach: int) -> Baseline:
    """Straight lines from the start to the end of each group of peaks; between the groups the baseline is the signal.

    Parameters
    ----------
    spans : first and last index of each group
    reach : points on either side of an end whose mean is the end of the chord
    """
    values = y.copy()
    ends: list[tuple[int, int, slice, slice]] = []
    for first, last in spans:
        left = slice(max(first - 2 * reach, 0), first + 1)
        right = slice(last, min(last + 2 * reach, y.size - 1) + 1)
        ends.append((first, last, left, right))
        values[first : last + 1] = np.interp(
            x[first : last + 1], [_centre(x, left), _centre(x, right)], [y[left].mean(), y[right].mean()]
        )

    def pull(c: FloatArray) -> FloatArray:
        out = c.copy()
        for first, last, left, right in ends:
            inside = slice(first, last + 1)
            a, b = _centre(x, left), _centre(x, right)
            share = np.clip((x[inside] - a) / (b - a), 0.0, 1.0)
            weights = c[inside]
            out[inside] -= weights
            out[left] += float((weights * (1.0 - share)).sum()) / (left.stop - left.start)
            out[right] += float((weights * share).sum()) / (right.stop - right.start)
        return out

    return Baseline(model="local", values=values, pull=pull, points=sum(s.stop - s.start for e in ends for s in e[2:]))


def _centre(x: FloatArray, span: slice) -> float:
    return float(x[span].mean())


def _enough(inside: BoolArray, where: str, model: str, least: int) -> int:
    count = int(inside.sum())
    if count < least:
        raise InputError(where, "baseline", f"{count} points in its windows",
                         f"at least {least} points without activity for a {model} baseline")  # fmt: skip
    return count


_Map = Callable[[FloatArray], FloatArray]


def _bins(n: int) -> tuple[_Map, _Map, _Map]:
    """(mean of bins, its transpose, transpose of the interpolation back to points)."""
    size = -(-n // _MOST_BINS)
    if size == 1:
        return (lambda y: y), (lambda g: g), (lambda c: c)
    starts = np.arange(0, n, size)
    counts = np.diff(np.append(starts, n)).astype(np.float64)
    index = np.repeat(np.arange(starts.size), counts.astype(int))
    low, share = _places(n, starts.size)

    def back(c: FloatArray) -> FloatArray:
        lower = np.bincount(low, weights=c * (1.0 - share), minlength=starts.size)
        upper = np.bincount(low + 1, weights=c * share, minlength=starts.size)
        return np.asarray(lower + upper, dtype=np.float64)

    return (lambda y: np.add.reduceat(y, starts) / counts), (lambda g: (g / counts)[index]), back


def _places(n: int, bins: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Lower bin and share of the upper one, for linear interpolation of bin means at the points."""
    size = -(-n // _MOST_BINS)
    at = np.clip((np.arange(n) - (size - 1) / 2.0) / size, 0.0, bins - 1.0)
    low = np.minimum(at.astype(np.int64), bins - 2)
    return low, at - low


def _interpolated(values: FloatArray, n: int) -> FloatArray:
    if values.size == n:
        return np.asarray(values, dtype=np.float64)
    low, share = _places(n, values.size)
    return values[low] * (1.0 - share) + values[low + 1] * share


def _solve(weights: FloatArray, lam: float, right: FloatArray) -> FloatArray:
    """Solution of (W + lam D'D) z = right with second differences D."""
    from scipy.linalg import solveh_banded

    n = weights.size
    main = np.full(n, 6.0)
    main[[0, -1]], main[[1, -2]] = 1.0, 5.0
    first = np.full(n, -4.0)
    first[[1, -1]] = -2.0
    bands = np.vstack([lam * np.ones(n), lam * first, weights + lam * main])
    return np.asarray(solveh_banded(bands, right), dtype=np.float64)
