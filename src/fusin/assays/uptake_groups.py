"""Replicates of an uptake assay: means with intervals, specific uptake, reference normalisation.

Wells of one experiment are not independent experiments: where the table names two or more, each is averaged first and the
experiments are the units; the result says which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from fusin.assays.ratios import fieller
from fusin.assays.uptake import QUANTITIES, WellShares
from fusin.errors import InputError
from fusin.provenance import NoticeLog, jsonable
from fusin.stats.groups import Summary, summary_t
from fusin.stats.results import Estimate

__all__ = [
    "ReferenceRatio",
    "UptakeGroup",
    "group_wells",
    "reference_normalised",
    "specific_uptake",
]

NORMALISED = ("percent", "per 1e6 cells", "per mg protein")


@dataclass(frozen=True, slots=True, kw_only=True)
class UptakeGroup:
    """One quantity of replicates.

    Attributes
    ----------
    tracer, phase, condition, time_min : which; condition ``specific`` is unblocked less blocked
    quantity : column name of the share
    per : ``percent``, ``per 1e6 cells`` or ``per mg protein``
    mean : with t interval (Welch for a difference)
    sd : of the units; None for one, and for a difference
    unit : ``wells`` or ``experiments``
    values : of the units
    """

    tracer: str
    phase: str
    condition: str
    time_min: float | None
    quantity: str
    per: str
    mean: Estimate
    sd: float | None
    unit: str
    values: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "tracer": self.tracer, "phase": self.phase, "condition": self.condition, "time_min": jsonable(self.time_min),
            "quantity": self.quantity, "per": self.per, "mean": self.mean.to_json(), "sd": jsonable(self.sd),
            "unit": self.unit,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRatio:
    """Specific internalisation of a tracer in percent of a reference tracer's at one time; ``design`` is dual-label or parallel."""

    tracer: str
    reference: str
    time_min: float | None
    ratio: Estimate
    design: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "tracer": self.tracer, "reference": self.reference, "time_min": jsonable(self.time_min),
            "percent": self.ratio.to_json(), "design": self.design,
        }  # fmt: skip


def group_wells(shares: Sequence[WellShares]) -> tuple[UptakeGroup, ...]:
    """Mean, SD and t interval of every quantity of every group of replicates."""
    out = []
    for key in _keys(shares):
        rows = [s for s in shares if _key(s) == key]
        for quantity in QUANTITIES:
            for per in NORMALISED:
                values, unit = _units(rows, quantity, per)
                if values:
                    mean, sd = _mean(values, unit)
                    out.append(_group(key, quantity, per, mean, sd, unit, tuple(values)))
    return tuple(out)


def _group(
    key: tuple[str, str, str, float | None], quantity: str, per: str, mean: Estimate, sd: float | None, unit: str,
    values: tuple[float, ...] = (),
) -> UptakeGroup:  # fmt: skip
    tracer, phase, condition, time = key
    return UptakeGroup(tracer=tracer, phase=phase, condition=condition, time_min=time, quantity=quantity, per=per,
                       mean=mean, sd=sd, unit=unit, values=values)  # fmt: skip


def _key(s: WellShares) -> tuple[str, str, str, float | None]:
    return s.well.tracer, s.well.phase, s.well.condition, s.well.time_min


def _keys(shares: Sequence[WellShares]) -> list[tuple[str, str, str, float | None]]:
    order = {t: i for i, t in enumerate(dict.fromkeys(s.well.tracer for s in shares))}
    found = dict.fromkeys(_key(s) for s in shares)
    return sorted(
        found, key=lambda k: (order[k[0]], k[1] != "uptake", -1.0 if k[3] is None else k[3], k[2] != "unblocked")
    )


def _units(rows: Sequence[WellShares], quantity: str, per: str) -> tuple[list[float], str]:
    """Values of the independent units: experiments where there are two or more, else wells."""
    listed: list[tuple[str, float]] = []
    for s in rows:
        found = s.quantity(quantity)
        scale = {"percent": 1.0, "per 1e6 cells": s.well.cells_million, "per mg protein": s.well.protein_mg}[per]
        if found is None or scale is None or (per != "percent" and quantity == "internalised_of_cell_percent"):
            continue
        listed.append((s.well.experiment, found.value / scale))
    names = list(dict.fromkeys(e for e, _ in listed))
    if len(names) > 1:
        return [float(np.mean([v for e, v in listed if e == name])) for name in names], "experiments"
    return [v for _, v in listed], "wells"


def _mean(values: Sequence[float], unit: str) -> tuple[Estimate, float | None]:
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        note = f"one of {unit} has no interval"
        return Estimate(value=mean, low=None, high=None, method=f"t, {unit}", n=n, note=note), None
    sd = float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return Estimate(value=mean, low=mean - half, high=mean + half, method=f"t, {unit}", n=n), sd


def specific_uptake(groups: Sequence[UptakeGroup], log: NoticeLog) -> tuple[UptakeGroup, ...]:
    """Unblocked less blocked of every group that has a blocked twin, with Welch's interval; a missing twin is pointed out."""
    out = []
    lonely: dict[str, None] = {}
    for one in groups:
        if one.condition != "unblocked" or one.phase != "uptake" or one.quantity == "internalised_of_cell_percent":
            continue
        same = (one.tracer, one.phase, one.time_min, one.quantity, one.per)
        twin = next(
            (
                g
                for g in groups
                if g.condition == "blocked" and (g.tracer, g.phase, g.time_min, g.quantity, g.per) == same
            ),
            None,
        )
        if twin is None:
            lonely.setdefault(_named(one))
            continue
        key = (one.tracer, one.phase, "specific", one.time_min)
        out.append(_group(key, one.quantity, one.per, _difference(one, twin), None, one.unit))
    if lonely:
        log.warning(
            "NO_BLOCKED_TWIN",
            f"{', '.join(lonely)}: no blocked wells, so specific uptake cannot be had there",
        )
    return tuple(out)


def _named(one: UptakeGroup) -> str:
    time = "" if one.time_min is None else f"{one.time_min:g} min"
    return " ".join(filter(None, (one.tracer, time))) or "all wells"


def _difference(one: UptakeGroup, twin: UptakeGroup) -> Estimate:
    value = (one.mean.value or 0.0) - (twin.mean.value or 0.0)
    n = one.mean.n + twin.mean.n
    if one.sd is None or twin.sd is None:
        return Estimate(
            value=value, low=None, high=None, method="Welch", n=n, note="a single replicate has no interval"
        )
    first = Summary(mean=one.mean.value or 0.0, sd=one.sd, n=one.mean.n)
    e = summary_t(first, Summary(mean=twin.mean.value or 0.0, sd=twin.sd, n=twin.mean.n)).effect
    return Estimate(value=e.value, low=e.low, high=e.high, method=f"Welch, {one.unit}", n=n, note=e.note)


def reference_normalised(
    shares: Sequence[WellShares], reference: str, log: NoticeLog, *, quantity: str = "internalised_percent"
) -> tuple[ReferenceRatio, ...]:
    """Specific internalisation in percent of the reference tracer's, with Fieller's interval.

    Wells that hold both tracers (dual label) keep their covariance; others are parallel.

    Raises
    ------
    InputError
        For a reference that is no tracer of the table.
    """
    tracers = list(dict.fromkeys(s.well.tracer for s in shares))
    if reference not in tracers:
        raise InputError("--reference", "tracer", reference, "one of " + ", ".join(t or "''" for t in tracers))
    out = []
    rows = [s for s in shares if s.well.phase == "uptake"]
    for tracer in tracers:
        if tracer == reference:
            continue
        for time in sorted({s.well.time_min for s in rows}, key=lambda t: -1.0 if t is None else t):
            at = [s for s in rows if s.well.time_min == time]
            found = _reference_ratio(at, tracer, reference, quantity)
            if found is None:
                log.warning("NO_REFERENCE_TWIN", f"{tracer} at {time:g} min: the reference or a blocked twin is missing"
                            if time is not None else f"{tracer}: the reference or a blocked twin is missing")  # fmt: skip
                continue
            out.append(
                ReferenceRatio(tracer=tracer, reference=reference, time_min=time, ratio=found[0], design=found[1])
            )
    return tuple(out)


def _reference_ratio(
    rows: Sequence[WellShares], tracer: str, reference: str, quantity: str
) -> tuple[Estimate, str] | None:
    by: dict[tuple[str, str], dict[str, float]] = {}
    for s in rows:
        found = s.quantity(quantity)
        if found is not None:
            by.setdefault((s.well.tracer, s.well.condition), {})[f"{s.well.experiment}/{s.well.name}"] = found.value
    cells = [by.get((t, c), {}) for t in (tracer, reference) for c in ("unblocked", "blocked")]
    if not all(cells):
        return None
    top, top_blocked, bottom, bottom_blocked = cells
    dual = set(top) == set(bottom) and set(top_blocked) == set(bottom_blocked)
    a = _mean_of(top) - _mean_of(top_blocked)
    b = _mean_of(bottom) - _mean_of(bottom_blocked)
    n = min(len(c) for c in cells)
    design = "dual-label" if dual else "parallel"
    if b <= 0:
        why = "the specific internalisation of the reference is not above 0"
        return Estimate(value=None, low=None, high=None, method=f"Fieller, {design}", n=n, note=why), design
    value = 100.0 * a / b
    if n < 2:
        return Estimate(value=value, low=None, high=None, method=f"Fieller, {design}", n=n, note="single wells"), design
    v11, v22 = _variance(top) + _variance(top_blocked), _variance(bottom) + _variance(bottom_blocked)
    v12 = _covariance(top, bottom) + _covariance(top_blocked, bottom_blocked) if dual else 0.0
    terms = [(_variance(c) * (1.0 if k < 2 else (a / b) ** 2), len(c) - 1) for k, c in enumerate(cells)]
    # Welch's degrees of freedom of a - r b; with a dual label the wells of one tracer count once.
    df = float(sum(len(c) - 1 for c in cells[:2])) if dual else _welch_df(terms)
    limits = fieller(a, b, v11=v11, v22=v22, v12=v12, df=df)
    bounded = limits.kind == "bounded"
    return Estimate(
        value=value, low=100.0 * (limits.low or 0.0) if bounded else None, high=100.0 * (limits.high or 0.0) if bounded else None,
        method=f"Fieller, {design}", n=n, note=limits.sentence(),
    ), design  # fmt: skip


def _welch_df(terms: Sequence[tuple[float, int]]) -> float:
    total = sum(v for v, _ in terms)
    below = sum(v * v / df for v, df in terms)
    return total * total / below if below > 0 else float(min(df for _, df in terms))


def _mean_of(values: dict[str, float]) -> float:
    return float(np.mean(list(values.values())))


def _variance(values: dict[str, float]) -> float:
    return float(np.var(list(values.values()), ddof=1)) / len(values)


def _covariance(first: dict[str, float], second: dict[str, float]) -> float:
    names = list(first)
    return float(np.cov([first[n] for n in names], [second[n] for n in names], ddof=1)[0, 1]) / len(names)
