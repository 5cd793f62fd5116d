"""What a pre-therapeutic study says about a treatment, as draws: dose per GBq and decay rates of each organ and nuclide.

Dose per GBq and effective half-life are lognormal with the stated values as medians; the half-life ends at physical decay. A
part of the uncertainty is common to all organs (calibration), another is the change from study to treatment, a third the
activity that is measured. The activity of an organ is a sum of exponentials, A(t) = sum of w_i exp(-r_i t), one where the study
states a half-life alone. A drawn half-life T of the slowest one, r_s, stretches the curve in time, so that it keeps its form and
is never negative. Another nuclide follows by the exchange of physical decay::

    r_i -> r_i x ln 2 / (T r_s)
    D' = D x (sum w_i / r'_i) / (sum w_i / r_i) x (E' / E),   r'_i = r_i - ln 2 / T_phys + ln 2 / T'_phys

with the energies E absorbed in the organ per decay. All draws are shared by every activity that is compared.

References
----------
JCGM 101:2008 (Monte Carlo). Siegel JA et al., J Nucl Med 40 (1999) 37S-61S (MIRD Pamphlet 16).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.biological import lea_catcheside
from fusin.dosimetry.emissions import say_alpha_assumptions
from fusin.dosimetry.nuclide_exchange import biological_half_life_h, exchange_rates_per_h, physical_half_life_h
from fusin.dosimetry.organ_names import organ as organ_of
from fusin.errors import InputError, InvalidValue, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = [
    "LEAST_DRAWS",
    "OrganDraws",
    "Study",
    "StudyOrgan",
    "dose_estimate",
    "dose_rate",
    "draw_study",
    "half_life_distribution",
    "residual_dose",
    "say_half_life_alone",
]

FloatArray = NDArray[np.float64]
LEAST_DRAWS = 1000
_SKELETON = ("red_marrow", "cortical_bone", "trabecular_bone")
_ASYMMETRIC = 1.15
# A larger share of half-lives beyond physical decay is worth a word.
_CUT = 0.01
# Rates and half-lives are written with two digits or more.
_SAME = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOrgan:
    """One organ or lesion of the study.

    Attributes
    ----------
    name : of the organ or lesion
    dose_gy_per_gbq : with the nuclide of the study, with its interval
    t_eff_h : effective half-life with its interval; needed for another nuclide, BED and residual dose
    mass_g : of the organ; its sphere gives the energy ratio of two nuclides where ``absorbed_kev`` does not
    absorbed_kev : energy absorbed in the organ per decay [keV] by nuclide
    absorbed_kev_u : relative standard uncertainty of the ratio of energies
    correlation : of the logarithms of dose and half-life in the study
    rates_per_h, weights : exponentials of the organ's activity in the study, where they are known; without them it clears with
        ``t_eff_h`` alone. Weights count up to a factor
    """

    name: str
    dose_gy_per_gbq: Estimate
    t_eff_h: Estimate | None = None
    mass_g: float | None = None
    absorbed_kev: Mapping[str, float] = field(default_factory=dict)
    absorbed_kev_u: float = 0.0
    correlation: float = 0.0
    rates_per_h: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.rates_per_h) != len(self.weights) or any(r <= 0 for r in self.rates_per_h):
            raise InputError(self.name, "rates_per_h", len(self.rates_per_h), "one positive rate for each weight")
        if self.rates_per_h and not sum(w / r for r, w in zip(self.rates_per_h, self.weights, strict=True)) > 0:
            raise InputError(self.name, "weights", str(self.weights), "weights whose integral is positive")
        try:
            if self.rates_per_h:
                lea_catcheside(self.rates_per_h, self.weights, math.inf)
        except InvalidValue as err:
            raise InputError(self.name, "curve", "an activity below zero", "a curve that is never negative") from err


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A pre-therapeutic study.

    Attributes
    ----------
    nuclide : of the study
    organs : organs and lesions, each once
    common_u : relative standard uncertainty that all doses share; it is a part of each dose's own
    change_u : relative change between study and treatment (1 SD), of each organ on its own; it comes on top
    activity_u : relative standard uncertainty of the treatment activity, of each nuclide; it comes on top
    """

    nuclide: str
    organs: tuple[StudyOrgan, ...]
    common_u: float = 0.0
    change_u: float = 0.0
    activity_u: float = 0.0

    def __post_init__(self) -> None:
        nuclide(self.nuclide)
        if not self.organs:
            raise InputError("study", "organs", "none", "at least one organ or lesion with its dose per GBq")
        seen: dict[str, str] = {}
        for one in self.organs:
            key = organ_of(one.name)
            if key in seen:
                raise InputError("study", "organ", f"{seen[key]}, {one.name}", "each organ once")
            seen[key] = one.name
        for name in ("common_u", "change_u", "activity_u"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value < 2.0):
                raise InputError("study", name, value, "a relative uncertainty from 0 to below 2 (0.05 for 5 %)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrganDraws:
    """Draws of one organ.

    Attributes
    ----------
    dose_gy_per_gbq : (n,) by nuclide
    t_eff_h : (n,) by nuclide, of the slowest exponential; empty where the study has no half-life
    rates_per_h : (n, k) by nuclide, rates of the exponentials; empty where the study has no half-life
    weights : (k,) of the exponentials, of all nuclides
    """

    dose_gy_per_gbq: Mapping[str, FloatArray]
    t_eff_h: Mapping[str, FloatArray]
    rates_per_h: Mapping[str, FloatArray]
    weights: FloatArray


def draw_study(
    study: Study, nuclides: Sequence[str], *, draws: int, seed: int, log: NoticeLog
) -> dict[str, OrganDraws]:  # fmt: skip
    """Draws of every organ for every nuclide.

    Parameters
    ----------
    study : what was measured
    nuclides : of the treatment
    draws, seed : of the simulation
    log : receives notices

    Raises
    ------
    InputError
        For fewer than 1000 draws, or uncertainties that contradict each other.
    NotComputable
        ``PLAN_UNCERTAINTY_MISSING``, ``PLAN_T_EFF_MISSING``, ``ENERGY_MISSING``, ``EFFECTIVE_EXCEEDS_PHYSICAL``.
    """
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < LEAST_DRAWS:
        raise InputError("plan", "draws", draws, f"at least {LEAST_DRAWS}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError("plan", "seed", seed, "a whole number of zero or more")
    common = _stream(seed, "common").normal(size=draws)
    names = [nuclide(n).name for n in nuclides]
    activity = {n: np.exp(_sigma(study.activity_u) * _stream(seed, f"activity {n}").normal(size=draws)) for n in names}
    exchanged = [n for n in names if n != nuclide(study.nuclide).name]
    if exchanged:
        log.info("DOSE_BY_EXCHANGE", f"doses of {', '.join(exchanged)} follow from {study.nuclide} by the exchange of physical "
                 "decay: same molecule, amount and patient", where="plan")  # fmt: skip
    for name in names:
        say_alpha_assumptions(name, log)
    if study.change_u == 0.0:
        log.info("PLAN_WITHOUT_CHANGE", "no change between study and treatment is stated (change_u_percent), so none is in the "
                 "intervals and probabilities", where="plan")  # fmt: skip
    return {
        one.name: _organ(one, study, names, activity, common, _stream(seed, f"organ {one.name}"), log)
        for one in study.organs
    }


def say_half_life_alone(study: Study, organs: Collection[str], log: NoticeLog) -> None:
    """Say which of some organs the study knows by a half-life only, so that one exponential stands for their activity."""
    alone = [one.name for one in study.organs if one.name in organs and one.t_eff_h is not None and not one.rates_per_h]
    if alone:
        log.info("SLOWEST_COMPONENT_ALONE", f"the study states no curve for {', '.join(alone)}: BED, residual dose and the "
                 "exchange of nuclides take one exponential with the effective half-life", where="plan")  # fmt: skip


def dose_rate(one: OrganDraws, shares: Mapping[str, float], organ: str) -> tuple[FloatArray, FloatArray]:
    """Exponentials of an organ's dose rate in each draw.

    Parameters
    ----------
    one : draws of the organ
    shares : GBq of each nuclide, at least one above zero
    organ : its name, for messages

    Returns
    -------
    tuple
        (n, k) rates [1/h] and dose rates at the administration [Gy/h] of all exponentials of all nuclides.

    Raises
    ------
    NotComputable
        ``PLAN_T_EFF_MISSING``.
    """
    if not one.rates_per_h:
        raise NotComputable(f"BED or residual dose of {organ}", f"{organ} has no effective half-life",
                            "its t_eff_h with an uncertainty", "PLAN_T_EFF_MISSING")  # fmt: skip
    rates, starts = [], []
    for name, gbq in shares.items():
        if gbq > 0:
            own = one.rates_per_h[name]
            scale = gbq * one.dose_gy_per_gbq[name] / np.sum(one.weights / own, axis=-1)
            rates.append(own)
            starts.append(scale[:, None] * one.weights)
    return np.concatenate(rates, axis=-1), np.concatenate(starts, axis=-1)


def residual_dose(one: OrganDraws, shares: Mapping[str, float], day: float, organ: str) -> FloatArray:
    """Dose [Gy] of each draw that is still to come after a day; parameters and refusals as `dose_rate`."""
    rates, starts = dose_rate(one, shares, organ)
    out: FloatArray = np.sum(starts / rates * np.exp(-24.0 * day * rates), axis=-1)
    # A dose that is gone to the last digit passes no limit; a tiny one keeps its t finite.
    return np.maximum(out, 1e-100)


def dose_estimate(values: FloatArray, level: float) -> Estimate:
    """Median of draws with the central interval."""
    tail = (1.0 - level) / 2.0
    low, middle, high = (float(v) for v in np.quantile(values, (tail, 0.5, 1.0 - tail)))
    return Estimate(value=middle, low=low, high=high, method=f"Monte Carlo, {values.size} draws", n=1, level=level,
                    note="the value is the median of the draws")  # fmt: skip


def _organ(
    one: StudyOrgan, study: Study, names: Sequence[str], activity: Mapping[str, FloatArray], common: FloatArray,
    rng: np.random.Generator, log: NoticeLog,
) -> OrganDraws:  # fmt: skip
    n = common.size
    z_dose, z_change, z_energy, uniform = rng.normal(size=n), rng.normal(size=n), rng.normal(size=n), rng.random(n)
    median, sigma = _lognormal(one.dose_gy_per_gbq, one.name, "dose_gy_per_gbq", log)
    shared = _sigma(study.common_u)
    if shared > sigma * (1 + 1e-9):
        raise InputError(one.name, "common uncertainty", f"{100 * study.common_u:g} %",
                         "no more than the uncertainty of each dose, of which it is a part")  # fmt: skip
    own = math.sqrt(max(sigma**2 - shared**2, 0.0))
    half_lives, z_t = _half_lives(one, study, uniform, log)
    if half_lives is not None:
        z_dose = one.correlation * z_t + math.sqrt(1.0 - one.correlation**2) * z_dose
    base = median * np.exp(shared * common + own * z_dose + _sigma(study.change_u) * z_change)
    source = nuclide(study.nuclide).name
    kev = np.exp(_sigma(one.absorbed_kev_u) * z_energy)
    rates: dict[str, FloatArray] = {}
    weights = np.asarray(one.weights or (1.0,))
    if half_lives is not None:
        _say_stretched(one, log)
        drawn = _stretched(one, half_lives)
        rates = {
            name: exchange_rates_per_h(drawn, source, name) if name != source else drawn for name in {*names, source}
        }
    doses: dict[str, FloatArray] = {}
    for name in names:
        doses[name] = base * activity[name]
        if name != source:
            if half_lives is None:
                raise NotComputable(f"dose of {one.name} by {name}", f"{one.name} has no effective half-life",
                                    f"its t_eff_h with {source}, or a plan with {source} alone", "PLAN_T_EFF_MISSING")  # fmt: skip
            integrals = np.sum(weights / rates[name], axis=-1) / np.sum(weights / rates[source], axis=-1)
            doses[name] = doses[name] * integrals * kev * (_energy_kev(one, name) / _energy_kev(one, source))
    return OrganDraws(
        dose_gy_per_gbq=doses, weights=weights, rates_per_h={n: rates[n] for n in names if rates},
        t_eff_h={n: math.log(2.0) / np.min(rates[n], axis=-1) for n in names if rates},
    )  # fmt: skip


def _say_stretched(one: StudyOrgan, log: NoticeLog) -> None:
    """Name a curve whose slowest half-life is not the organ's."""
    if not one.rates_per_h or one.t_eff_h is None or one.t_eff_h.low is None or one.t_eff_h.high is None:
        return
    slowest = math.log(2.0) / min(one.rates_per_h)
    if not _SAME * one.t_eff_h.low <= slowest <= one.t_eff_h.high / _SAME:
        log.warning("CURVE_STRETCHED", f"the slowest part of the curve of {one.name} has a half-life of {slowest:.4g} h, and its "
                    f"t_eff_h is {one.t_eff_h.value:.4g} h ({one.t_eff_h.low:.4g} to {one.t_eff_h.high:.4g}); the curve was "
                    "stretched to it", where=one.name, raw=slowest, used=one.t_eff_h.value)  # fmt: skip


def _stretched(one: StudyOrgan, half_lives: FloatArray) -> FloatArray:
    """(n, k) rates [1/h] of an organ's exponentials with the drawn half-life of the slowest: one factor for all of a draw."""
    shape = np.asarray(one.rates_per_h or (1.0,))
    out: FloatArray = math.log(2.0) / half_lives[:, None] * (shape / shape.min())
    return out


def _half_lives(
    one: StudyOrgan, study: Study, uniform: FloatArray, log: NoticeLog
) -> tuple[FloatArray | None, FloatArray]:
    """Half-lives with the nuclide of the study, lognormal below the physical one, and their standard scores."""
    from scipy.special import ndtr, ndtri

    if one.t_eff_h is None:
        return None, uniform
    median, sigma = _lognormal(one.t_eff_h, one.name, "t_eff_h", log)
    biological_half_life_h(median, study.nuclide)
    physical = physical_half_life_h(study.nuclide)
    if sigma == 0.0:
        return np.full(uniform.size, median), np.zeros(uniform.size)
    highest = float(ndtr(math.log(physical / median) / sigma))
    if 1.0 - highest > _CUT:
        log.warning("HALF_LIFE_CUT", f"{100 * (1 - highest):.0f} % of the half-lives that {one.name} could have lie beyond the "
                    f"{physical:.4g} h of {study.nuclide} and were cut off", where=one.name)  # fmt: skip
    z = ndtri(np.maximum(uniform, 1e-12) * highest)
    return np.minimum(median * np.exp(sigma * z), physical), np.asarray(z)


def half_life_distribution(one: StudyOrgan, log: NoticeLog) -> tuple[float, float]:
    """Median [h] and standard deviation of the logarithm of an organ's effective half-life.

    Raises
    ------
    NotComputable
        ``PLAN_T_EFF_MISSING`` or ``PLAN_UNCERTAINTY_MISSING``.
    """
    if one.t_eff_h is None:
        raise NotComputable(f"half-life of {one.name}", "the study states none", "t_eff_h", "PLAN_T_EFF_MISSING")
    return _lognormal(one.t_eff_h, one.name, "t_eff_h", log)


def _energy_kev(one: StudyOrgan, name: str) -> float:
    for given, kev in one.absorbed_kev.items():
        if nuclide(given).name == name:
            return kev
    what = f"dose of {one.name} by another nuclide"
    if one.mass_g is None:
        raise NotComputable(what, f"the energy that {one.name} absorbs per decay of {name} is not known",
                            "absorbed_kev of both nuclides, or mass_g for a sphere", "ENERGY_MISSING")  # fmt: skip
    if organ_of(one.name) in _SKELETON:
        raise NotComputable(what, f"{one.name} is no sphere", "absorbed_kev of both nuclides from a skeletal model",
                            "NO_SPHERE_FOR_SKELETON")  # fmt: skip
    from fusin.dosimetry.spheres import sphere_s

    return sphere_s(name, one.mass_g).absorbed_kev


def _lognormal(estimate: Estimate, where: str, name: str, log: NoticeLog) -> tuple[float, float]:
    """Median and standard deviation of the logarithm from a value with its interval."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or not (math.isfinite(value) and value > 0):
        raise InputError(where, name, value, "a positive number")
    if low is None or high is None:
        raise NotComputable(f"plan for {where}", f"{name} of {where} has no stated uncertainty",
                            f"{name}_u_percent, or {name}_low and {name}_high", "PLAN_UNCERTAINTY_MISSING")  # fmt: skip
    if not 0 < low <= value <= high < math.inf:
        raise InputError(where, name, f"{value:g} ({low:g} to {high:g})", "positive limits on both sides of the value")
    z = normal_quantile(estimate.level)
    below, above = math.log(value / low) / z, math.log(high / value) / z
    if max(below, above) > _ASYMMETRIC * min(below, above):
        log.warning("INTERVAL_NOT_LOGNORMAL", f"{name} {value:g} ({low:g} to {high:g}) is not symmetric on the log scale; the "
                    "wider side was taken for both", where=where, raw=min(below, above), used=max(below, above))  # fmt: skip
    return value, max(below, above)


def _stream(seed: int, name: str) -> np.random.Generator:
    """Draws that belong to a name, so that an organ or nuclide more or less changes no other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode("utf-8"))])


def _sigma(u_relative: float) -> float:
    return math.sqrt(math.log1p(u_relative**2))
