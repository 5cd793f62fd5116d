"""Names of peaks: stated windows, names at a retention time or relative to the product, and what has no name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_corrections import Signal
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod, PeakRule
from fusin.radiopharmacy.integration import Part
from fusin.radiopharmacy.peak_detection import FoundPeak

__all__ = ["Named", "named_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Peaks with names.

    Attributes
    ----------
    parts : in the order of the axis
    roles, how : by name
    missing : names of the method that no peak bears
    """

    parts: tuple[Part, ...]
    roles: Mapping[str, str]
    how: Mapping[str, str]
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class _Candidate:
    """A found peak on its way to a name."""

    apex: float
    height: float
    part: Part
    taken: bool = False


def named_parts(signal: Signal, found: Sequence[FoundPeak], method: ChromatogramMethod, log: NoticeLog) -> Named:
    """Give names and roles.

    Parameters
    ----------
    signal : for the places of the apexes
    found : peaks of the search
    method : stated windows and names; products by name, by retention in minutes, or ``largest``
    log : receives what was not found

    Raises
    ------
    InputError
        For a product that is no name and no retention at which a peak lies.
    """
    where, x = signal.trace.where, signal.x
    candidates = [_candidate(signal, p) for p in found]
    parts: list[Part] = []
    how: dict[str, str] = {}
    roles = {p.name: p.role for p in method.peaks}
    for rule in method.peaks:
        if rule.window_min is not None:
            parts.append(Part(name=rule.name, start=rule.window_min[0], end=rule.window_min[1]))
            how[rule.name] = "window"
    if not candidates and not parts:
        for n, p in enumerate(signal.trace.file_peaks, start=1):
            if p.start_min is not None and p.end_min is not None:
                parts.append(Part(name=f"peak {n} at {p.retention_min:.2f} min", start=p.start_min, end=p.end_min))
                how[parts[-1].name] = "file"
    missing = _by_retention(method.peaks, candidates, parts, how)
    main = _product_apex(method, parts, x, signal)
    missing += _by_relative(method.peaks, candidates, parts, how, main)
    for candidate in candidates:
        if not candidate.taken:
            name = f"peak at {candidate.apex:.2f} min"
            while name in how:
                name += "'"
            parts.append(replace(candidate.part, name=name))
            how[name] = "found"
    for name in missing:
        log.warning("PEAK_NOT_FOUND", f"no peak above the threshold bears the name {name}", where=where)
    parts.sort(key=lambda p: p.start)
    parts = _skimmed(parts, method.peaks, signal, where)
    for wanted in method.products:
        roles[_wanted(wanted, parts, signal, where, "product")] = "product"
    for wanted in method.impurities:
        roles[_wanted(wanted, parts, signal, where, "impurity")] = "impurity"
    return Named(parts=tuple(parts), roles=roles, how=how, missing=tuple(missing))


def _candidate(signal: Signal, peak: FoundPeak) -> _Candidate:
    part = Part(name="", start=float(signal.x[peak.first]), end=float(signal.x[peak.last]))
    return _Candidate(apex=float(signal.x[peak.apex]), height=float(signal.y[peak.apex]), part=part)


def _by_retention(
    rules: Sequence[PeakRule], candidates: list[_Candidate], parts: list[Part], how: dict[str, str]
) -> list[str]:
    missing = []
    for rule in rules:
        if rule.retention_min is None or rule.tolerance_min is None:
            continue
        near = [c for c in candidates if not c.taken and abs(c.apex - rule.retention_min) <= rule.tolerance_min]
        if not near:
            missing.append(rule.name)
            continue
        at = rule.retention_min
        best = min(near, key=lambda c: abs(c.apex - at))
        best.taken = True
        parts.append(replace(best.part, name=rule.name))
        how[rule.name] = "found"
    return missing


def _by_relative(
    rules: Sequence[PeakRule], candidates: list[_Candidate], parts: list[Part], how: dict[str, str], main: float | None
) -> list[str]:
    """Names relative to the product; several peaks in one range are one impurity each, numbered."""
    missing = []
    for rule in rules:
        if rule.rrt is None:
            continue
        near = (
            []
            if main is None
            else [c for c in candidates if not c.taken and rule.rrt[0] <= c.apex / main <= rule.rrt[1]]
        )
        if not near:
            missing.append(rule.name)
            continue
        best = max(near, key=lambda c: c.height)
        best.taken = True
        parts.append(replace(best.part, name=rule.name))
        how[rule.name] = "found"
    return missing


def _product_apex(method: ChromatogramMethod, parts: Sequence[Part], x: np.ndarray, signal: Signal) -> float | None:
    names = {r.name for r in method.peaks if r.role == "product"} | set(method.products)
    for part in parts:
        if part.name in names:
            inside = np.flatnonzero((x >= part.start) & (x <= part.end))
            if inside.size:
                return float(x[inside[signal.y[inside].argmax()]])
    return None


def _skimmed(parts: list[Part], rules: Sequence[PeakRule], signal: Signal, where: str) -> list[Part]:
    """Riders are cut off the larger peak beside them, whose bounds then hold the rider too."""
    out = {p.name: p for p in parts}
    for rule in rules:
        if rule.skim is None or rule.name not in out:
            continue
        rider = out[rule.name]
        parent = _parent(rule, rider, [p for p in out.values() if p.name != rule.name], signal, where)
        out[rule.name] = replace(rider, skim=rule.skim, parent=parent.name)
        out[parent.name] = replace(parent, start=min(parent.start, rider.start), end=max(parent.end, rider.end))
    return sorted(out.values(), key=lambda p: p.start)


def _parent(rule: PeakRule, rider: Part, others: Sequence[Part], signal: Signal, where: str) -> Part:
    if rule.parent:
        found = next((p for p in others if p.name == rule.parent), None)
        if found is None:
            raise InputError(where, "parent", rule.parent, "one of " + ", ".join(p.name for p in others))
        return found
    step = float(np.median(np.diff(signal.x)))
    touching = [p for p in others if p.start <= rider.end + step and p.end >= rider.start - step]
    if not touching:
        raise InputError(where, "skim", rule.name, "a peak beside it that it rides on, or parent")
    return max(
        touching, key=lambda p: float(signal.y[(signal.x >= p.start) & (signal.x <= p.end)].max(initial=-np.inf))
    )


def _wanted(wanted: str, parts: Sequence[Part], signal: Signal, where: str, role: str) -> str:
    """Name of the peak that was asked for by name, by retention, or as the largest."""
    names = [p.name for p in parts]
    if wanted in names:
        return wanted
    if not parts:
        return wanted
    if wanted == "largest":
        heights = [float(signal.y[(signal.x >= p.start) & (signal.x <= p.end)].max(initial=-np.inf)) for p in parts]
        return names[int(np.argmax(heights))]
    try:
        at = float(wanted)
    except ValueError:
        at = float("nan")
    inside = [p.name for p in parts if p.start <= at <= p.end]
    if not inside:
        raise InputError(
            where,
            role,
            wanted,
            "largest, a retention in min at which a peak lies, or one of " + ", ".join(names[:12]),
        )
    return inside[0]
