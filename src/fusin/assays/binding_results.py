"""Results of binding assays: quantities with interval and standard error, curves, and summaries over experiments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fusin.assays.fitting import Fit
from fusin.assays.model_choice import Comparison
from fusin.stats.results import Estimate

__all__ = ["CompoundBinding", "CurveBinding", "KiResult", "Quantity", "experiments_said", "mean_of_logs",
           "mean_quantity"]  # fmt: skip

LN10 = math.log(10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """An estimate with its standard error.

    Attributes
    ----------
    estimate : value and interval with the name of its method
    se : standard error; None where there is none
    """

    estimate: Estimate
    se: float | None

    @property
    def value(self) -> float:
        """The estimate; NaN where there is none."""
        return math.nan if self.estimate.value is None else self.estimate.value

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        found = self.estimate.to_json()
        del found["k"]
        return {**found, "se": self.se}

    def mapped(self, function: Callable[[float], float], slope: float) -> Quantity:
        """The quantity on another, increasing scale; ``slope`` is that of the scale at the value."""
        e = self.estimate
        limits = [None if v is None else _safe(function, v) for v in (e.value, e.low, e.high)]
        moved = replace(e, value=limits[0], low=limits[1], high=limits[2])
        return Quantity(estimate=moved, se=None if self.se is None else abs(slope) * self.se)

    def negated(self) -> Quantity:
        """The quantity with the other sign."""
        e = self.estimate
        flipped = [None if v is None else -v for v in (e.value, e.high, e.low)]
        # Which side is open changes with the sign.
        note = e.note.replace("upper", "\0").replace("lower", "upper").replace("\0", "lower")
        return Quantity(estimate=replace(e, value=flipped[0], low=flipped[1], high=flipped[2], note=note), se=self.se)


def _safe(function: Callable[[float], float], value: float) -> float | None:
    try:
        return function(value)
    except OverflowError:
        return None


def linear_nm(log_molar: Quantity) -> Quantity:
    """Concentration [nM] of a log10 molar one."""
    value = log_molar.value
    slope = LN10 * 10.0 ** (value + 9.0) if math.isfinite(value) else math.nan
    return log_molar.mapped(lambda v: 10.0 ** (v + 9.0), slope)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KiResult:
    """Ki [nM] of one curve by one way.

    Attributes
    ----------
    plain : as if its inputs were exact
    quantity : with the uncertainty of its inputs
    shifts : change of ln Ki with each input at its lower and upper limit
    inputs : the value and standard uncertainty of these inputs [nM]
    """

    plain: Quantity
    quantity: Quantity
    shifts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    inputs: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveBinding:
    """One curve: a compound in one experiment.

    Attributes
    ----------
    compound, experiment : names
    model : name of the curve
    n : points
    log_ic50 : log10 mol/L
    hill, top, bottom : the curve; a fixed one has no standard error
    direction : ``decreasing`` or ``increasing`` with the concentration
    residual_ss : sum of squared residuals without weights
    weighted_ss : the sum that was minimised, None without weights
    ki : inhibition constant [nM], with ``ki_note`` saying how it was had or why not
    ki_method : the way of ``ki``: ``cheng-prusoff``, ``hot-depletion``, ``exact``, ``homologous``, or empty
    ki_ways : by every way that the inputs allow
    comparison : one-site against variable slope
    fit : the fit, for figures
    refused : why there is no IC50; the quantities are then None
    limit_nm : what the data say about an IC50 that is refused, such as ``> 1000``
    bound_over_added : share of the radioligand that is bound without compound
    constants : of homologous competition, ``kd_nm`` and ``bmax`` with ``ns``
    """

    compound: str
    experiment: str
    model: str
    n: int
    log_ic50: Quantity | None = None
    hill: Quantity | None = None
    top: Quantity | None = None
    bottom: Quantity | None = None
    direction: str = ""
    residual_ss: float | None = None
    weighted_ss: float | None = None
    ki: Quantity | None = None
    ki_note: str = ""
    ki_method: str = ""
    ki_ways: Mapping[str, KiResult] = field(default_factory=dict)
    comparison: Comparison | None = None
    fit: Fit | None = None
    refused: str = ""
    limit_nm: str = ""
    bound_over_added: float | None = None
    constants: dict[str, Quantity] = field(default_factory=dict)

    @property
    def ic50_nm(self) -> Quantity | None:
        """IC50 [nM]."""
        return None if self.log_ic50 is None else linear_nm(self.log_ic50)

    def ki_by(self, way: str) -> Quantity | None:
        """Ki [nM] by one way."""
        return self.ki_ways[way].quantity if way in self.ki_ways else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "compound": self.compound,
            "experiment": self.experiment,
            "model": self.model,
            **_shared(self),
            "direction": self.direction,
            "residual_ss": self.residual_ss,
            "weighted_ss": self.weighted_ss,
            "n": self.n,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "bound_over_added": self.bound_over_added,
            "refused": self.refused,
            "limit_nm": self.limit_nm,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompoundBinding:
    """A compound over all its experiments.

    Attributes
    ----------
    compound : name
    experiments : its curves
    log_ic50, hill, top, bottom, ki : of the one experiment, or means over experiments with a t interval
    ic50_mean_nm, ic50_sd_nm : arithmetic mean and standard deviation of the IC50 of the experiments, as papers print them
    relative : IC50 over that of the reference compound, with how it was had in ``relative_note``
    pooling : how experiments were put together
    """

    compound: str
    experiments: tuple[CurveBinding, ...]
    log_ic50: Quantity | None
    hill: Quantity | None
    top: Quantity | None
    bottom: Quantity | None
    ki: Quantity | None
    ki_note: str
    ki_method: str = ""
    ki_ways: Mapping[str, Quantity] = field(default_factory=dict)
    constants: dict[str, Quantity] = field(default_factory=dict)
    ic50_mean_nm: float | None = None
    ic50_sd_nm: float | None = None
    relative: Quantity | None = None
    relative_note: str = ""
    pooling: str = ""

    @property
    def used(self) -> tuple[CurveBinding, ...]:
        """Experiments with an IC50."""
        return tuple(c for c in self.experiments if not c.refused)

    @property
    def ic50_nm(self) -> Quantity | None:
        """IC50 [nM]; geometric mean over experiments."""
        return None if self.log_ic50 is None else linear_nm(self.log_ic50)

    def ki_by(self, way: str) -> Quantity | None:
        """Ki [nM] by one way."""
        return self.ki_ways.get(way)

    @property
    def refused(self) -> str:
        """Why there is no IC50 of any experiment."""
        return "" if self.used else "; ".join(dict.fromkeys(c.refused for c in self.experiments))

    @property
    def direction(self) -> str:
        """``decreasing``, ``increasing``, or ``mixed`` where experiments disagree."""
        found = {c.direction for c in self.used}
        return next(iter(found), "") if len(found) <= 1 else "mixed"

    @property
    def n(self) -> int:
        """Points of all experiments that have an IC50, or of all when none has."""
        return sum(c.n for c in self.used or self.experiments)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping: the contract of the verb, and the experiments."""
        sums = [c.residual_ss for c in self.used if c.residual_ss is not None]
        weighted = [c.weighted_ss for c in self.used if c.weighted_ss is not None]
        single = self.experiments[0] if len(self.experiments) == 1 else None
        comparison = None if single is None or single.comparison is None else single.comparison.to_json()
        return {
            "compound": self.compound,
            "model": next((c.model for c in self.used or self.experiments), ""),
            **_shared(self),
            "direction": self.direction,
            "residual_ss": sum(sums) if sums else None,
            "weighted_ss": sum(weighted) if weighted else None,
            "n": self.n,
            "n_experiments": len(self.used),
            "bound_over_added": max((c.bound_over_added for c in self.used if c.bound_over_added), default=None),
            "pooling": self.pooling,
            "ic50_mean_nm": self.ic50_mean_nm,
            "ic50_sd_nm": self.ic50_sd_nm,
            "relative_ic50": None if self.relative is None else self.relative.to_json(),
            "relative_note": self.relative_note,
            "comparison": comparison,
            "refused": self.refused,
            "limit_nm": "" if single is None else single.limit_nm,
            "experiments": [c.to_json() for c in self.experiments],
        }


def _shared(of: CurveBinding | CompoundBinding) -> dict[str, Any]:
    """The quantities that curves and summaries have in common."""
    log_ic50 = of.log_ic50
    found = {
        "log_ic50": log_ic50,
        "ic50_nm": of.ic50_nm,
        "pic50": None if log_ic50 is None else log_ic50.negated(),
        "hill": of.hill,
        "top": of.top,
        "bottom": of.bottom,
        "ki_nm": of.ki,
        "ki_cheng_prusoff_nm": of.ki_by("cheng-prusoff"),
        "ki_hot_depletion_nm": of.ki_by("hot-depletion"),
        "ki_exact_nm": of.ki_by("exact"),
        "kd_nm": of.constants.get("kd_nm"),
        "bmax": of.constants.get("bmax"),
        "ns": of.constants.get("ns"),
    }
    values = {name: None if q is None else q.to_json() for name, q in found.items()}
    return {**values, "ki_method": of.ki_method or None, "ki_note": of.ki_note}


def experiments_said(curves: Sequence[CurveBinding]) -> str:
    """How many experiments stand behind a summary, and which were left out."""
    out = [c.experiment or "without a name" for c in curves if c.refused]
    used = len(curves) - len(out)
    if not out or not used:
        return "one experiment" if len(curves) == 1 else f"{len(curves)} experiments"
    return f"{used} of {len(curves)} experiments (no IC50 in {', '.join(out)})"


def mean_quantity(items: Sequence[Quantity | None], *, level: float, what: str = "experiments") -> Quantity | None:
    """Mean over experiments with its t interval; None where one is missing, the item itself where there is one.

    A parameter that every experiment fixed at one value stays fixed.
    """
    from scipy.special import stdtrit

    found = [q for q in items if q is not None]
    if not found or len(found) < len(items):
        return None
    if len(found) == 1:
        return found[0]
    values = [q.value for q in found]
    n = len(values)
    if all(q.se is None for q in found) and len(set(values)) == 1:
        return found[0]
    mean = math.fsum(values) / n
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * sd / math.sqrt(n)
    estimate = Estimate(
        value=mean, low=mean - half, high=mean + half, method=f"t interval of the mean of {n} {what}", n=n, level=level,
        note="two experiments give a very wide interval" if n == 2 else "",
    )  # fmt: skip
    return Quantity(estimate=estimate, se=sd / math.sqrt(n))


def mean_of_logs(items: Sequence[Quantity | None], *, level: float) -> Quantity | None:
    """Geometric mean of positive quantities with the t interval of their logarithms."""
    found = [q for q in items if q is not None]
    if not found or len(found) < len(items) or any(not q.value > 0 for q in found):
        return None
    if len(found) == 1:
        return found[0]
    logs = [
        Quantity(estimate=replace(q.estimate, value=math.log(q.value), low=None, high=None), se=(q.se or 0.0) / q.value)
        for q in found
    ]
    mean = mean_quantity(logs, level=level)
    return None if mean is None else mean.mapped(math.exp, math.exp(mean.value))
