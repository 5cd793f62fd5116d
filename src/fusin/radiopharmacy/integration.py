"""Net areas of peaks and regions, signed, with the covariance that counting, baseline and skims give them.

An area is ``sum(f_i w_i (y_i - b_i))`` over the bins of the points, with b the baseline, w the part of a bin that lies between
the bounds (1 for a whole bin of counts) and f the decay factor. It is linear in the counts and is never clipped: a window
without activity gives values on both sides of zero, and their mean is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from fusin.errors import InputError, NotComputable
from fusin.radiopharmacy.baseline import Baseline
from fusin.radiopharmacy.chromatogram import FloatArray, bin_edges
from fusin.radiopharmacy.chromatogram_corrections import Signal

__all__ = ["Areas", "Part", "Skim", "SkimKind", "cover", "integrate"]

SkimKind = Literal["tangent", "exponential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something to integrate.

    Attributes
    ----------
    name : of the peak or region
    start, end : bounds on the axis
    skim : how it is cut off a larger peak that it rides on; None for drop lines
    parent : name of that larger peak
    """

    name: str
    start: float
    end: float
    skim: SkimKind | None = None
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skim:
    """The line below a peak that was skimmed, for drawing: positions and signal."""

    name: str
    x: FloatArray
    y: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Areas:
    """Areas with all that an interval needs.

    Attributes
    ----------
    names, start, end : (k,)
    area : (k,) net areas, signed, at the start of the run when decay was corrected
    gross : (k,) areas above zero instead of above the baseline
    covariance : (k, k) part of the covariance that does not grow with the areas: background, baseline, skims, noise
    per_area : (k,) Poisson variance per unit of area; 0 for signals that are no counts
    counted : whether Poisson statistics are in ``per_area``
    source : where the uncertainty comes from, in words
    skims : lines below skimmed peaks
    """

    names: tuple[str, ...]
    start: FloatArray
    end: FloatArray
    area: FloatArray
    gross: FloatArray
    covariance: FloatArray
    per_area: FloatArray
    counted: bool
    source: str
    skims: tuple[Skim, ...] = ()

    def u(self) -> FloatArray:
        """(k,) standard uncertainties of the areas."""
        return np.sqrt(np.diag(self.covariance) + self.per_area * np.maximum(self.area, 0.0))

    def index(self, name: str) -> int:
        """Place of a peak or region."""
        return self.names.index(name)

    def take(self, keep: Sequence[int]) -> Areas:
        """Some of the areas."""
        chosen = list(keep)
        return replace(
            self, names=tuple(self.names[i] for i in chosen), start=self.start[chosen], end=self.end[chosen],
            area=self.area[chosen], gross=self.gross[chosen], covariance=self.covariance[np.ix_(chosen, chosen)],
            per_area=self.per_area[chosen],
        )  # fmt: skip


def cover(x: FloatArray, start: float, end: float) -> FloatArray:
    """(n,) part of each bin that lies between two positions, 0 to 1."""
    edges = bin_edges(x)
    width = np.diff(edges)
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return np.clip(inside / width, 0.0, 1.0)


def integrate(signal: Signal, baseline: Baseline, parts: Sequence[Part]) -> Areas:
    """Integrate peaks or regions.

    Parameters
    ----------
    signal : counts or analogue values with their corrections
    baseline : what the peaks stand on
    parts : bounds; parts without skim must not overlap

    Raises
    ------
    InputError
        For bounds without a point between them, outside of the run, or that overlap.
    NotComputable
        For an exponential skim whose ends do not lie above the baseline.
    """
    _refuse_bounds(signal, parts)
    net = signal.y - baseline.values
    count, n = len(parts), net.size
    gradient, skims, gross = np.zeros((count, n)), list[Skim](), np.zeros(count)
    level = baseline.values.copy()
    own = np.zeros((count, n))
    places = {p.name: i for i, p in enumerate(parts)}
    for i, part in enumerate(parts):
        weight = cover(signal.x, part.start, part.end) * signal.factor
        own[i] = weight
        gross[i] = float((weight * signal.y).sum())
        if part.skim is None:
            gradient[i] += weight
            continue
        line, below = _skim_line(signal.x, net, part, signal.trace.where)
        share = cover(signal.x, part.start, part.end) > 0
        pulled = weight + below(-weight)
        gradient[i] += pulled
        if part.parent in places:
            gradient[places[part.parent]] -= pulled
        skims.append(Skim(name=part.name, x=signal.x[share], y=(baseline.values + line)[share]))
        # Counts of the parent below the line are background of the rider; at the ends of the line all counts are.
        level = np.where(share, level + np.maximum(line, 0.0), level)
    area = gradient @ net if not any(p.skim == "exponential" for p in parts) else _areas(signal, net, parts, places)
    gradient -= np.array([baseline.pull(g) for g in gradient]).reshape(count, n)
    variance = np.full(n, signal.noise)
    if signal.poisson is not None:
        variance = variance + signal.poisson * np.maximum(level, 0.0)
    covariance = (gradient * variance) @ gradient.T
    if baseline.shared_u:
        total = own.sum(axis=1)
        covariance = covariance + baseline.shared_u**2 * np.outer(total, total)
    return Areas(
        names=tuple(p.name for p in parts), start=np.array([p.start for p in parts]), end=np.array([p.end for p in parts]),
        area=area, gross=gross, covariance=covariance, per_area=_per_area(signal, own, net),
        counted=signal.poisson is not None,
        source="Poisson counts with their baseline" if signal.poisson is not None else "noise of the baseline",
        skims=tuple(skims),
    )  # fmt: skip


def _per_area(signal: Signal, own: FloatArray, net: FloatArray) -> FloatArray:
    """Poisson variance that a unit of area brings, averaged over the counts of each part."""
    if signal.poisson is None:
        return np.zeros(len(own))
    out = np.empty(len(own))
    for i, weight in enumerate(own):
        counts = np.maximum(net, 0.0)
        if not (weight * counts).sum() > 0:
            counts = np.ones_like(net)
        out[i] = float((weight**2 * signal.poisson * counts).sum() / (weight * counts).sum())
    return out


def _skim_line(x: FloatArray, net: FloatArray, part: Part, where: str):  # type: ignore[no-untyped-def]  # returns (line, transpose)
    """The line below a rider between its ends, and the transpose of its slope with respect to the net signal."""
    ends = [int(np.abs(x - part.start).argmin()), int(np.abs(x - part.end).argmin())]
    share = np.clip((x - part.start) / (part.end - part.start), 0.0, 1.0)
    low, high = float(net[ends[0]]), float(net[ends[1]])
    if part.skim == "exponential":
        if low <= 0.0 or high <= 0.0:
            raise NotComputable(
                f"the exponential skim of {part.name}",
                f"the signal above the baseline is {low:.4g} at its start and {high:.4g} at its end in {where}",
                "both above 0, or a tangent skim",
                "SKIM_BELOW_BASELINE",
            )
        line = low ** (1.0 - share) * high**share
        slopes = ((1.0 - share) * line / low, share * line / high)
    else:
        line = (1.0 - share) * low + share * high
        slopes = (1.0 - share, share)

    def transpose(c: FloatArray) -> FloatArray:
        out = np.zeros_like(c)
        for end, slope in zip(ends, slopes, strict=True):
            out[end] += float((c * slope).sum())
        return out

    return line, transpose


def _areas(signal: Signal, net: FloatArray, parts: Sequence[Part], places: dict[str, int]) -> FloatArray:
    """Areas with an exponential skim, which is no linear function of the signal."""
    out = np.zeros(len(parts))
    for i, part in enumerate(parts):
        weight = cover(signal.x, part.start, part.end) * signal.factor
        if part.skim is None:
            out[i] += float((weight * net).sum())
            continue
        line, _ = _skim_line(signal.x, net, part, signal.trace.where)
        rider = float((weight * (net - line)).sum())
        out[i] += rider
        if part.parent in places:
            out[places[part.parent]] -= rider
    return out


def _refuse_bounds(signal: Signal, parts: Sequence[Part]) -> None:
    where, x = signal.trace.where, signal.x
    unit = signal.trace.axis
    edges = bin_edges(x)
    slack = 1e-9 * (edges[-1] - edges[0])
    for part in parts:
        if not part.start < part.end:
            raise InputError(where, part.name, f"{part.start:g} to {part.end:g} {unit}", "a start before the end")
        if part.start < edges[0] - slack or part.end > edges[-1] + slack:
            raise InputError(where, part.name, f"{part.start:.4g} to {part.end:.4g} {unit}",
                             f"bounds within what was measured, {x[0]:.4g} to {x[-1]:.4g} {unit}")  # fmt: skip
    drops = sorted((p for p in parts if p.skim is None), key=lambda p: p.start)
    for one, two in pairwise(drops):
        if two.start < one.end - slack:
            raise InputError(where, f"{one.name} and {two.name}",
                             f"{one.start:.4g} to {one.end:.4g} and {two.start:.4g} to {two.end:.4g} {unit}",
                             "parts that do not overlap, so that no count is used twice")  # fmt: skip
