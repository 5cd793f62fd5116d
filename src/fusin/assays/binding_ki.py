"""From a competition to Ki by three ways: Cheng-Prusoff, depletion of the radioligand, and the exact equilibrium."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_equilibrium import competition_exact, competition_of_receptor
from fusin.assays.binding_radioligand import Radioligand
from fusin.assays.binding_results import CurveBinding, KiResult, Quantity, linear_nm
from fusin.assays.depletion import cheng_prusoff, competition_depleted
from fusin.assays.fitting import Fit, fit
from fusin.assays.intervals import profiled
from fusin.assays.models import Model
from fusin.assays.noise import Noise
from fusin.errors import InputError, NotComputable
from fusin.stats.results import Estimate

__all__ = ["KI_METHODS", "KI_WORDS", "KiMethod", "Tubes", "ki_of_curve", "widened"]

FloatArray = NDArray[np.float64]
KiMethod = Literal["auto", "cheng-prusoff", "hot-depletion", "exact"]
KI_METHODS: tuple[str, ...] = get_args(KiMethod)
KI_WORDS = {
    "cheng-prusoff": "Cheng-Prusoff, nothing depleted",
    "hot-depletion": "depletion of the radioligand, the competitor taken as free",
    "exact": "exact equilibrium, radioligand and competitor depleted",
}
"""What a report calls each way."""

Way = Callable[[Radioligand, Fit | None], tuple[Quantity, Fit | None]]
_INPUTS = {"kd_nm": "kd_u_nm", "concentration_nm": "concentration_u_nm", "receptor_nm": "receptor_u_nm"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tubes:
    """Points of a curve as they are fitted, and how.

    Attributes
    ----------
    x, y, sd : log10 molar competitor, responses, known standard deviations
    fixed : plateaus with a known value, ``start`` and ``end``
    counts : whether responses are in the unit of the radioligand added, so that amounts can be compared
    noise, level, seed, what : of the fits
    """

    x: FloatArray
    y: FloatArray
    sd: FloatArray | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    counts: bool = True
    noise: Noise = "constant"
    level: float = 0.95
    seed: int = 0
    what: str = "Ki"


def ki_of_curve(
    curve: CurveBinding, tubes: Tubes, hot: Radioligand, method: KiMethod
) -> tuple[dict[str, KiResult], str, str]:
    """Ki by every way that the inputs allow.

    Parameters
    ----------
    curve : with its IC50
    tubes : its points
    hot : what is known of the radioligand
    method : the way that is reported; ``auto`` is the exact one where it can be had

    Returns
    -------
    tuple
        Results by the name of the way, the way that is reported (empty for none), and how it was had or why not.

    Raises
    ------
    InputError
        When the way that was asked for needs inputs that are not given.
    """
    if hot.kd_nm is None or hot.total_nm is None:
        missing = [w for w, v in (("the Kd", hot.kd_nm), ("the concentration", hot.total_nm)) if v is None]
        if method != "auto":
            raise InputError("--ki-method", "inputs", "not all", f"{' and '.join(missing)} of the radioligand")
        return {}, "", f"no Ki: it needs {' and '.join(missing)} of the radioligand"
    found: dict[str, KiResult] = {}
    reasons: dict[str, str] = {}
    for name, way in _ways(curve, tubes, hot).items():
        try:
            found[name] = _with_inputs(way, hot, tubes)
        except NotComputable as err:
            reasons[name] = str(err)
    reported = method
    if method == "auto":
        reported = "exact" if "exact" in found or "exact" in reasons else "cheng-prusoff"
    if reported in reasons:
        return found, "", f"no Ki: {reasons[reported]}"
    if reported not in found:
        raise InputError("--ki-method", "inputs", method, _needed(reported))
    return found, reported, f"{KI_WORDS[reported]}; {_said(hot, reported)}"


def _needed(method: str) -> str:
    needed = "--added in the unit of the response"
    return f"{needed}, or --receptor-nm" if method == "exact" else f"{needed}, without --normalise"


def _ways(curve: CurveBinding, tubes: Tubes, hot: Radioligand) -> dict[str, Way]:
    """How Ki is computed by each way for whichever inputs."""

    def plain(inputs: Radioligand, near: Fit | None) -> tuple[Quantity, Fit | None]:
        ic50 = curve.ic50_nm
        if ic50 is None or inputs.kd_nm is None or inputs.total_nm is None:
            raise NotComputable(tubes.what, "there is no IC50", "an IC50", "FIT_NOT_IDENTIFIABLE")
        factor = cheng_prusoff(1.0, radioligand=inputs.total_nm, kd=inputs.kd_nm)
        return ic50.mapped(lambda v: v * factor, factor), None

    ways: dict[str, Way] = {"cheng-prusoff": plain}
    if tubes.counts and hot.added is not None:
        ways["hot-depletion"] = lambda inputs, near: _fitted(tubes, *_in_counts(tubes, inputs, exact=False), near)
    if hot.receptor is not None:
        ways["exact"] = lambda inputs, near: _fitted(tubes, *_of_receptor(tubes, inputs), near)
    elif tubes.counts and hot.added is not None:
        ways["exact"] = lambda inputs, near: _fitted(tubes, *_in_counts(tubes, inputs, exact=True), near)
    return ways


def _in_counts(tubes: Tubes, hot: Radioligand, *, exact: bool) -> tuple[Model, FloatArray, dict[str, float]]:
    """Curve over counts, whose height says how much receptor there is."""
    if hot.added is None or hot.kd_nm is None or hot.total_nm is None:
        raise InputError(tubes.what, "radioligand", "not all", "Kd, concentration and added counts")
    if "start" in tubes.fixed:
        raise NotComputable(
            tubes.what, "a plateau without compound that is fixed says nothing of the receptor",
            "--receptor-nm, or no fixed plateau on that side", "KI_INPUTS_MISSING",
        )  # fmt: skip
    per_nm = hot.added / hot.total_nm
    fixed = {"kd_counts": hot.kd_nm * per_nm}
    if exact:
        fixed["counts_per_nm"] = per_nm
    if "end" in tubes.fixed:
        fixed["ns"] = tubes.fixed["end"] / (hot.added - tubes.fixed["end"])
    x = np.vstack([tubes.x, np.full(tubes.y.size, hot.added)])
    return competition_exact if exact else competition_depleted, x, fixed


def _of_receptor(tubes: Tubes, hot: Radioligand) -> tuple[Model, FloatArray, dict[str, float]]:
    """Curve between free plateaus, with a receptor that is known."""
    if hot.kd_nm is None or hot.total_nm is None or hot.receptor is None:
        raise InputError(tubes.what, "radioligand", "not all", "Kd, concentration and receptor")
    added = hot.added if tubes.counts and hot.added is not None else math.inf
    fixed = {**tubes.fixed, "receptor_nm": hot.receptor, "hot_nm": hot.total_nm, "kd_nm": hot.kd_nm, "added": added}
    return competition_of_receptor, tubes.x, fixed


def _fitted(
    tubes: Tubes, model: Model, x: FloatArray, fixed: Mapping[str, float], near: Fit | None
) -> tuple[Quantity, Fit | None]:
    """Ki [nM] as a parameter of a curve, with its profile; near a fit that is known only the value."""
    if near is None:
        found = fit(model, x, tubes.y, what=tubes.what, noise=tubes.noise, sd=tubes.sd, fixed=fixed, seed=tubes.seed)
        found, limits = profiled(found, level=tubes.level, names=("log_ki",))
        estimate = limits["log_ki"]
        if estimate.low is None and estimate.high is None and not found.exact:
            raise NotComputable(
                tubes.what, "the data bound it on neither side: its profile is flat",
                "less receptor, or more concentrations around the middle of the curve", "FIT_NOT_IDENTIFIABLE",
            )  # fmt: skip
        return linear_nm(Quantity(estimate=estimate, se=found.se["log_ki"])), found
    start = dict(zip(near.names, near.theta.tolist(), strict=True))
    found = fit(
        model, x, tubes.y, what=tubes.what, noise=tubes.noise, sd=tubes.sd, fixed=fixed, start=start, starts=1,
        seed=tubes.seed,
    )  # fmt: skip
    estimate = Estimate(value=found.values["log_ki"], low=None, high=None, method="", n=tubes.y.size, level=tubes.level)
    return linear_nm(Quantity(estimate=estimate, se=None)), found


def _with_inputs(way: Way, hot: Radioligand, tubes: Tubes) -> KiResult:
    """A way with the uncertainty of its inputs: Ki again with each input at either of its limits."""
    from scipy.special import ndtri

    plain, near = way(hot, None)
    shifts: dict[str, tuple[float, float]] = {}
    used: dict[str, tuple[float, float]] = {}
    for name, uncertainty in _INPUTS.items():
        value, u = getattr(hot, name), getattr(hot, uncertainty)
        if name == "concentration_nm":
            value = hot.total_nm
        if value is None or u is None or (name == "receptor_nm" and hot.receptor is None):
            continue
        spread = math.exp(float(ndtri(0.5 + tubes.level / 2)) * u / value)
        moved = [way(hot.moved(name, value * factor), near)[0].value for factor in (1.0 / spread, spread)]
        shifts[name] = (math.log(moved[0] / plain.value), math.log(moved[1] / plain.value))
        used[name] = (value, u)
    return KiResult(plain=plain, shifts=shifts, inputs=used, quantity=widened(plain, shifts))


def widened(plain: Quantity, shifts: Mapping[str, tuple[float, float]]) -> Quantity:
    """A positive quantity with the uncertainty of inputs in its interval.

    Parameters
    ----------
    plain : as if the inputs were exact
    shifts : change of its natural logarithm with each input at its lower and at its upper limit

    References
    ----------
    Zou, Donner, Stat Med 2008;27:1693: distances to the limits of independent parts add as squares (MOVER).
    """
    from scipy.special import ndtri

    e = plain.estimate
    if not shifts or e.value is None:
        return plain
    quantile = float(ndtri(0.5 + e.level / 2))
    down = math.fsum(min(a, b, 0.0) ** 2 for a, b in shifts.values())
    up = math.fsum(max(a, b, 0.0) ** 2 for a, b in shifts.values())
    low = None if not e.low else math.exp(math.log(e.value) - math.hypot(math.log(e.value / e.low), math.sqrt(down)))
    high = None if e.high is None else math.exp(
        math.log(e.value) + math.hypot(math.log(e.high / e.value), math.sqrt(up))
    )  # fmt: skip
    spread = math.fsum(((b - a) / (2.0 * quantile)) ** 2 for a, b in shifts.values())
    se = None if plain.se is None else math.hypot(plain.se, e.value * math.sqrt(spread))
    named = " and ".join(_SHORT[name] for name in shifts)
    method = f"{e.method}; uncertainty of {named} added (MOVER)"
    return Quantity(estimate=replace(e, low=low, high=high, method=method), se=se)


_SHORT = {"kd_nm": "Kd", "concentration_nm": "[L]", "receptor_nm": "receptor"}


def _said(hot: Radioligand, method: str) -> str:
    """What Ki was computed with, and what of it is taken as exact."""
    inputs = [("Kd", hot.kd_nm, hot.kd_u_nm), ("[L]", hot.total_nm, hot.concentration_u_nm)]
    if method == "exact" and hot.receptor is not None:
        inputs.append(("receptor", hot.receptor, hot.receptor_u_nm))
    parts = []
    exact = []
    for name, value, u in inputs:
        parts.append(f"{name} {value:.4g}{'' if u is None else f' ± {u:.3g}'} nM")
        if u is None:
            exact.append(name)
    text = ", ".join(parts)
    if method != "cheng-prusoff" and not (method == "exact" and hot.receptor is not None):
        text += ", receptor from the height of the curve"
    return text + (f"; {' and '.join(exact)} taken as exact" if exact else "")
