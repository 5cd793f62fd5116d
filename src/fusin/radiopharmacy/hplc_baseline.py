"""The baseline of a run: as the method states it, or as the points outside of the peaks show it.

Counts stand on the mean of the points outside of the peaks, unless these drift: then on a line, a polynomial of up to the
sixth degree, or arPLS. An analogue signal stands on chords below its groups of peaks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy import baseline as lines
from fusin.radiopharmacy.baseline import Baseline, BoolArray
from fusin.radiopharmacy.chromatogram_corrections import Signal
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod
from fusin.radiopharmacy.integration import Part
from fusin.radiopharmacy.peak_valleys import raised_valleys

__all__ = ["free_points", "groups", "inside_of", "run_baseline"]

_LEAST_FREE = 10
_JOIN = 0.25
_MARGINS = (0.6, 0.2)
_ENOUGH = 0.1
_DRIFT = 4.0
_BLOCKS = 12
_MOST_DEGREE = 6


def inside_of(signal: Signal, windows: Sequence[tuple[float, float]]) -> BoolArray:
    """(n,) points that lie in one of the windows."""
    inside = np.zeros(signal.x.size, dtype=bool)
    for low, high in windows:
        inside |= (signal.x >= low) & (signal.x <= high)
    return inside


def free_points(signal: Signal, parts: Sequence[Part], found: Collection[str] = ()) -> BoolArray:
    """(n,) points outside of all peaks and of a margin that their tails may reach.

    The margin is 0.2 of the width of a stated window, and 0.6 of the width of a peak that was found, whose bounds lie where it
    meets the noise; 0.2 as well where 0.6 would leave less than a tenth of the run.
    """
    for wide in _MARGINS:
        free = np.ones(signal.x.size, dtype=bool)
        for part in parts:
            margin = (wide if part.name in found else _MARGINS[-1]) * (part.end - part.start)
            free &= (signal.x < part.start - margin) | (signal.x > part.end + margin)
        if free.sum() >= max(_LEAST_FREE, _ENOUGH * free.size):
            break
    return free


def groups(signal: Signal, parts: Sequence[Part]) -> list[tuple[int, int]]:
    """First and last index of peaks that touch each other."""
    step = float(np.median(np.diff(signal.x)))
    out: list[list[float]] = []
    for part in sorted(parts, key=lambda p: p.start):
        if out and part.start - out[-1][1] < _JOIN * step:
            out[-1][1] = max(out[-1][1], part.end)
        else:
            out.append([part.start, part.end])
    return [(int(np.abs(signal.x - a).argmin()), int(np.abs(signal.x - b).argmin())) for a, b in out]


def run_baseline(
    signal: Signal, method: ChromatogramMethod, parts: Sequence[Part], log: NoticeLog, *, found: Collection[str] = ()
) -> Baseline:
    """The baseline that the method states, or the one that the signal asks for.

    Parameters
    ----------
    signal : counts or analogue values
    method : model, windows, or a blank that was measured apart
    parts : peaks
    log : receives a model that was chosen, and doubts about it
    found : names of the peaks whose bounds were found and not stated; only between these a chord may be broken

    Raises
    ------
    InputError
        For a model without enough points to make it of.
    """
    rule, where, y = method.baseline, signal.trace.where, signal.y
    free = inside_of(signal, rule.windows) if rule.windows else free_points(signal, parts, found)
    model = rule.model or (
        "constant" if rule.windows or rule.per_point is not None or signal.poisson is not None else "local"
    )
    if model == "none":
        return lines.no_baseline(y)
    if rule.per_point is not None:
        return lines.given(y, value=rule.per_point, u=rule.per_point_u)
    if model in ("arpls", "asls"):
        return lines.penalised(y, model="arpls" if model == "arpls" else "asls", lam=rule.lam, where=where)
    if model == "local":
        return _chords(signal, parts, found)
    if free.sum() < _LEAST_FREE and not rule.windows:
        if rule.model is not None:
            raise InputError(where, "baseline", f"{int(free.sum())} points outside of the peaks",
                             f"at least {_LEAST_FREE} points without activity, or windows_min")  # fmt: skip
        log.warning("BACKGROUND_NOT_SUBTRACTED", "too few points lie outside of the peaks for a background, so nothing is "
                    "subtracted: state windows without activity (--blank)", where=where)  # fmt: skip
        return lines.no_baseline(y)
    if rule.model is None and not rule.windows:
        return _that_follows(signal, free, log)
    chosen = (
        lines.constant(y, free, where=where) if model == "constant" else lines.linear(signal.x, y, free, where=where)
    )
    doubt = _leaves(signal, chosen, free)
    if doubt > _DRIFT:
        log.warning("BASELINE_DRIFTS", f"the points of the {model} baseline leave it by {doubt:.1f} standard deviations: "
                    "another model follows them (--baseline linear, arpls or local)", where=where, raw=doubt)  # fmt: skip
    return chosen


def _that_follows(signal: Signal, free: BoolArray, log: NoticeLog) -> Baseline:
    """Constant where nothing speaks against it, else a polynomial by Akaike's criterion, else arPLS."""
    x, y, where = signal.x, signal.y, signal.trace.where
    level = lines.constant(y, free, where=where)
    drift = _leaves(signal, level, free)
    if drift <= _DRIFT:
        return level
    curves = [lines.polynomial(x, y, free, degree=n, where=where) for n in range(1, _MOST_DEGREE + 1)]
    chosen = min(enumerate(curves), key=lambda c: _misfit(signal, c[1], free) + 2.0 * c[0])[1]
    if _leaves(signal, chosen, free) > _DRIFT:
        chosen = lines.penalised(y, model="arpls", lam=None, where=where)
    log.info("BASELINE_FOLLOWS_DRIFT", f"the points outside of the peaks drift ({drift:.1f} standard deviations from their "
             f"mean): the baseline is {chosen.model}; --baseline constant keeps the mean",
             where=where, raw=drift, used=chosen.model)  # fmt: skip
    return chosen


def _misfit(signal: Signal, base: Baseline, free: BoolArray) -> float:
    """Chi-squared of the points about a baseline, with which Akaike's criterion weighs its degree."""
    rest = (signal.y - base.values)[free]
    variance = _variance(signal, base, free)
    return float((rest**2).sum() / variance) if variance > 0.0 else 0.0


def _variance(signal: Signal, base: Baseline, free: BoolArray) -> float:
    """Mean variance of the points: Poisson, or that of the differences of neighbours."""
    if signal.poisson is not None:
        return float((signal.poisson * np.maximum(base.values, 0.0))[free].mean())
    return float(np.diff((signal.y - base.values)[free]).var()) / 2.0


def _leaves(signal: Signal, base: Baseline, free: BoolArray) -> float:
    """How far blocks of the points leave a baseline: the largest mean residual, in standard deviations.

    Two neighbouring blocks must agree, so that one small peak that nobody named does not pass for a drift.
    """
    places = np.flatnonzero(free)
    if places.size < 2 * _BLOCKS:
        return 0.0
    rest = (signal.y - base.values)[places]
    variance = _variance(signal, base, free)
    blocks = np.array_split(rest, _BLOCKS)
    if variance <= 0.0:
        return 0.0
    z = np.array([b.mean() * math.sqrt(b.size / variance) for b in blocks])
    same = np.sign(z[:-1]) == np.sign(z[1:])
    return float(np.where(same, np.minimum(np.abs(z[:-1]), np.abs(z[1:])), 0.0).max())


def _chords(signal: Signal, parts: Sequence[Part], found: Collection[str]) -> Baseline:
    """Chords below groups of peaks, broken at valleys that the peaks do not explain."""
    reach = 0 if signal.poisson is None and _noise_is_small(signal, parts) else 2
    spans = groups(signal, parts)
    apexes = []
    for part in parts:
        inside = np.flatnonzero((signal.x >= part.start) & (signal.x <= part.end))
        if part.name in found and part.skim is None and inside.size:
            apexes.append(int(inside[signal.y[inside].argmax()]))
    # A broken chord changes the height of the next valley above its own: until nothing is left to break.
    for _ in range(len(parts)):
        base = lines.chords(signal.x, signal.y, spans, reach=reach)
        raised = raised_valleys(signal.x, signal.y - base.values, sorted(apexes), spans, smooth=reach > 0)
        if not raised:
            break
        spans = _broken(spans, raised)
    return lines.chords(signal.x, signal.y, spans, reach=reach)


def _broken(spans: Sequence[tuple[int, int]], at: Collection[int]) -> list[tuple[int, int]]:
    out = []
    for first, last in spans:
        ends = [first, *sorted(v for v in at if first < v < last), last]
        out += list(pairwise(ends))
    return out


def _noise_is_small(signal: Signal, parts: Sequence[Part]) -> bool:
    """Whether single points at the ends of a chord are good enough: noise far below the smallest peak."""
    second = np.diff(signal.y, 2)
    sd = 1.4826 * float(np.median(np.abs(second - np.median(second)))) / math.sqrt(6.0)
    tops = [np.ptp(signal.y[(signal.x >= p.start) & (signal.x <= p.end)]) for p in parts
            if np.any((signal.x >= p.start) & (signal.x <= p.end))]  # fmt: skip
    return bool(tops) and sd < 0.01 * float(min(tops))
