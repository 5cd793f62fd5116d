"""Rates of an uptake assay: internalisation from the integral of the membrane share, and efflux.

The internalisation rate is the slope of I(t) against the integral of M (Wiley, Cunningham, Cell 1981;25:433), which follows a
monotone cubic (PCHIP), because trapezoids below a curve that bends down make the rate 1 to 3 % too large. Its interval is
propagated from the scatter of the replicates at each time, M and I of a well together, with Welch's degrees of freedom: the
residuals of the line know little of it, because all points share their integrals. Efflux is a mono-exponential to a plateau.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from fusin.assays.fitting import fit
from fusin.assays.intervals import intervals
from fusin.assays.models import plateau_decay
from fusin.assays.uptake import WellShares
from fusin.errors import NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["Efflux", "InternalisationRate", "effluxes", "internalisation_rates"]

FloatArray = NDArray[np.float64]
Units = Mapping[float, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalisationRate:
    """Rate constant of one tracer [1/min].

    Attributes
    ----------
    tracer : which
    rate : slope of I against the integral of M
    points : (integral of M [% min], I [%]) of each time
    intercept : of the line [%]
    trapezoid : slope with the integral by trapezoids, which is too large for a curve that bends down [1/min]
    specific : whether blocked wells were subtracted
    """

    tracer: str
    rate: Estimate
    points: tuple[tuple[float, float], ...]
    intercept: float
    trapezoid: float
    specific: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "tracer": self.tracer, "rate_per_min": self.rate.to_json(), "points": [list(p) for p in self.points],
            "intercept": self.intercept, "trapezoid_rate_per_min": self.trapezoid, "specific": self.specific,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Efflux:
    """Internalised activity that stays in the cells.

    Attributes
    ----------
    tracer : which
    plateau, rate, half_life : retained at the end [%], rate constant [1/min], ln 2 / rate [min]
    retained : (time [min], retained [%]) of each well
    line : points of the fitted curve
    """

    tracer: str
    plateau: Estimate
    rate: Estimate
    half_life: Estimate
    retained: tuple[tuple[float, float], ...]
    line: tuple[tuple[float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "tracer": self.tracer, "plateau_percent": self.plateau.to_json(), "rate_per_min": self.rate.to_json(),
            "half_life_min": self.half_life.to_json(), "retained": [list(p) for p in self.retained],
        }  # fmt: skip


def internalisation_rates(shares: Sequence[WellShares], log: NoticeLog) -> tuple[InternalisationRate, ...]:
    """Rate of every tracer with three times or more; specific where every time has blocked wells.

    Parameters
    ----------
    shares : of all wells
    log : receives the assumption that nothing is bound at time 0
    """
    out = []
    for tracer in dict.fromkeys(s.well.tracer for s in shares):
        unblocked, blocked = (_units(shares, tracer, c) for c in ("unblocked", "blocked"))
        times = sorted(unblocked)
        if len([t for t in times if t > 0]) < 3:
            continue
        specific = set(times) <= set(blocked)
        if 0.0 not in times:
            log.adapted(
                "NOTHING_BOUND_AT_ZERO", f"{tracer or 'uptake'}: nothing is bound or internalised at time 0", used=0.0
            )
        means = np.array([unblocked[t].mean(axis=0) - (blocked[t].mean(axis=0) if specific else 0.0) for t in times])
        slope, intercept, points, trapezoid = _slope(times, means)
        groups = [(k, unblocked[t]) for k, t in enumerate(times)]
        groups += [(k, blocked[t]) for k, t in enumerate(times)] if specific else []
        rate = _propagated(times, means, groups, slope)
        out.append(InternalisationRate(tracer=tracer, rate=rate, points=points, specific=specific, intercept=intercept,
                                       trapezoid=trapezoid))  # fmt: skip
    return tuple(out)


def _units(shares: Sequence[WellShares], tracer: str, condition: str) -> dict[float, FloatArray]:
    """Time to (units, 2) membrane and internalised shares; experiments are averaged where there are several."""
    rows: dict[float, dict[str, list[tuple[float, float]]]] = {}
    for s in shares:
        w, m, i = s.well, s.membrane_percent, s.internalised_percent
        if (
            (w.tracer, w.condition, w.phase) != (tracer, condition, "uptake")
            or w.time_min is None
            or m is None
            or i is None
        ):
            continue
        rows.setdefault(w.time_min, {}).setdefault(w.experiment, []).append((m.value, i.value))
    several = len({e for by in rows.values() for e in by}) > 1
    return {
        t: np.array([np.mean(v, axis=0) for v in by.values()] if several else [pair for v in by.values() for pair in v])
        for t, by in rows.items()
    }


def _slope(times: Sequence[float], means: FloatArray) -> tuple[float, float, tuple[tuple[float, float], ...], float]:
    """Slope, intercept, points, and the slope by trapezoids."""
    from scipy.interpolate import PchipInterpolator

    t = np.array(times if times[0] == 0.0 else [0.0, *times])
    full = means if times[0] == 0.0 else np.vstack([[0.0, 0.0], means])
    membrane, inside = full[:, 0], full[:, 1]
    integral = np.asarray(PchipInterpolator(t, membrane).antiderivative()(t), dtype=np.float64)
    by_trapezoid = np.concatenate([[0.0], np.cumsum(np.diff(t) * (membrane[1:] + membrane[:-1]) / 2.0)])
    slope, intercept = _line(integral, inside)
    points = tuple(zip(integral.tolist(), inside.tolist(), strict=True))
    return slope, intercept, points, _line(by_trapezoid, inside)[0]


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    spread = float(np.sum((x - x.mean()) ** 2))
    if not spread > 0.0:
        return math.nan, math.nan
    slope = float(np.sum((x - x.mean()) * (y - y.mean()))) / spread
    return slope, float(y.mean() - slope * x.mean())


def _propagated(
    times: Sequence[float], means: FloatArray, groups: Sequence[tuple[int, FloatArray]], slope: float
) -> Estimate:
    """The slope with an interval from the scatter of the replicates at each time."""
    n = min(len(g) for _, g in groups)
    method = "propagated from replicates, t (Welch)"
    if not math.isfinite(slope):
        why = "no membrane-bound activity to integrate"
        return Estimate(value=None, low=None, high=None, method=method, n=n, note=why)
    if n < 2:
        return Estimate(value=slope, low=None, high=None, method=method, n=n, note="single replicates have no interval")
    gradient = np.zeros_like(means)
    for place in np.ndindex(*means.shape):
        step = 1e-5 * max(float(np.abs(means).max()), 1e-9)
        ends = []
        for sign in (1.0, -1.0):
            moved = means.copy()
            moved[place] += sign * step
            ends.append(_slope(times, moved)[0])
        gradient[place] = (ends[0] - ends[1]) / (2.0 * step)
    terms = [
        (float(gradient[k] @ np.cov(units, rowvar=False, ddof=1) @ gradient[k]) / len(units), len(units) - 1)
        for k, units in groups
    ]
    total = sum(v for v, _ in terms)
    if not total > 0.0:
        return Estimate(value=slope, low=None, high=None, method=method, n=n, note="replicates do not scatter")
    df = total**2 / sum(v * v / k for v, k in terms)
    half = float(stdtrit(df, 0.975)) * math.sqrt(total)
    return Estimate(value=slope, low=slope - half, high=slope + half, method=method, n=n)


def effluxes(shares: Sequence[WellShares], log: NoticeLog) -> tuple[Efflux, ...]:
    """Plateau and rate of every tracer with efflux wells; retained = 100 I(t) / (I + M)(0)."""
    out = []
    rows = [
        s
        for s in shares
        if s.well.phase == "efflux" and s.well.condition == "unblocked" and s.well.time_min is not None
    ]
    for tracer in dict.fromkeys(s.well.tracer for s in rows):
        own = [s for s in rows if s.well.tracer == tracer]
        what = f"efflux{f' of {tracer}' if tracer else ''}"
        stated = [(float(s.well.time_min or 0.0), m.value) for s in own if (m := s.retained_percent) is not None]
        start = [m.value for s in own if s.well.time_min == 0.0 and (m := s.uptake_percent) is not None]
        if not stated and (not start or np.mean(start) <= 0):
            why = f"{what} cannot be computed: no cell-associated activity at time 0; need wells at 0 min"
            log.warning("KINETICS_NOT_COMPUTED", why)
            continue
        retained = stated or [
            (float(s.well.time_min or 0.0), 100.0 * m.value / float(np.mean(start)))
            for s in own
            if (m := s.internalised_percent) is not None
        ]
        try:
            found = fit(plateau_decay, [t for t, _ in retained], [r for _, r in retained], what=what)
            limits = intervals(found)
        except NotComputable as err:
            log.warning("KINETICS_NOT_COMPUTED", str(err))
            continue
        xs = np.linspace(0.0, max(t for t, _ in retained), 80)
        curve = tuple(zip(xs.tolist(), found.curve(x=xs).tolist(), strict=True))
        plateau, rate = _told(limits["plateau"]), _told(limits["rate"], above=0.0)
        lost = [name for name, e in (("plateau", plateau), ("rate and half-life", rate)) if e.value is None]
        if lost:
            log.warning(
                "KINETICS_NOT_COMPUTED",
                f"{what}: {' and '.join(lost)} cannot be told from the data, which do not bound them; follow the wells for longer",
            )
        half_life = _half_life(rate)
        out.append(
            Efflux(tracer=tracer, plateau=plateau, rate=rate, half_life=half_life, retained=tuple(retained), line=curve)
        )
    return tuple(out)


def _told(e: Estimate, *, above: float = -math.inf) -> Estimate:
    """The estimate, or none of its value where the data bound it on neither side of what it can be."""
    if e.high is not None or (e.low is not None and e.low > above):
        return e
    note = "not identifiable: the data bound it on no side"
    return Estimate(value=None, low=None, high=None, method=e.method, n=e.n, level=e.level, note=note)


def _half_life(rate: Estimate) -> Estimate:
    """Half-life with the ends of the rate's interval exchanged; an open or negative end stays open."""
    ends = [None if e is None or e <= 0 else math.log(2.0) / e for e in (rate.high, rate.low)]
    value = math.log(2.0) / rate.value if rate.value and rate.value > 0 else None
    note = rate.note
    if rate.value is not None and rate.method:
        # Ends change places: what bounds the rate from above bounds the half-life from below.
        open_ends = [f"{side} limit open" for side, e in zip(("lower", "upper"), ends, strict=True) if e is None]
        note = "; ".join(open_ends) + (": the data do not bound it" if open_ends else "")
    return Estimate(value=value, low=ends[0], high=ends[1], method=rate.method, n=rate.n, level=rate.level, note=note)
