"""What a pre-therapeutic study says about a treatment, as draws: dose per GBq and decay rates of each organ and nuclide.

Dose per GBq and effective half-life are lognormal with the stated values as medians; the half-life ends at physical decay. A
part of the uncertainty is common to all organs (calibration), another is the change from study to treatment, a third the
activity that is measured. Another nuclide follows by the exchange of physical decay::

    D' = D x (T' / T) x (E' / E),   1/T' = 1/T - 1/T_phys + 1/T'_phys

with the energies E absorbed in the organ per decay. All draws are shared by every activity that is compared.

References
----------
JCGM 101:2008 (Monte Carlo). Siegel JA et al., J Nucl Med 40 (1999) 37S-61S (MIRD Pamphlet 16).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.emissions import say_alpha_assumptions
from fusin.dosimetry.nuclide_exchange import biological_half_life_h, physical_half_life_h
from fusin.dosimetry.organ_names import organ as organ_of
from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.stats.checks import normal_quantile
from fusin.stats.results import Estimate

__all__ = ["LEAST_DRAWS", "OrganDraws", "Study", "StudyOrgan", "dose_estimate", "draw_study", "half_life_distribution"]

FloatArray = NDArray[np.float64]
LEAST_DRAWS = 1000
_SKELETON = ("red_marrow", "cortical_bone", "trabecular_bone")
_ASYMMETRIC = 1.15
# A larger share of half-lives beyond physical decay is worth a word.
_CUT = 0.01


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
        ``t_eff_h`` alone. The exchange of nuclides needs their weights only up to a factor
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
    t_eff_h : (n,) by nuclide; empty where the study has no half-life
    """

    dose_gy_per_gbq: Mapping[str, FloatArray]
    t_eff_h: Mapping[str, FloatArray]


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
    several = [one.name for one in study.organs if len(one.rates_per_h) > 1]
    if several:
        log.info("SLOWEST_COMPONENT_ALONE", f"BED and residual dose of {', '.join(several)} count the slowest component of the "
                 "activity alone; the exchange of nuclides counts all", where="plan")  # fmt: skip
    for name in names:
        say_alpha_assumptions(name, log)
    if study.change_u == 0.0:
        log.info("PLAN_WITHOUT_CHANGE", "no change between study and treatment is stated (change_u_percent), so none is in the "
                 "intervals and probabilities", where="plan")  # fmt: skip
    return {
        one.name: _organ(one, study, names, activity, common, _stream(seed, f"organ {one.name}"), log)
        for one in study.organs
    }


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
    doses: dict[str, FloatArray] = {}
    t_eff: dict[str, FloatArray] = {}
    for name in names:
        if half_lives is not None:
            rate = np.maximum(1.0 / half_lives - 1.0 / physical_half_life_h(source), 0.0)
            t_eff[name] = half_lives if name == source else 1.0 / (rate + 1.0 / physical_half_life_h(name))
        doses[name] = base * activity[name]
        if name != source:
            if half_lives is None:
                raise NotComputable(f"dose of {one.name} by {name}", f"{one.name} has no effective half-life",
                                    f"its t_eff_h with {source}, or a plan with {source} alone", "PLAN_T_EFF_MISSING")  # fmt: skip
            energy = _energy_kev(one, name) / _energy_kev(one, source)
            doses[name] = (
                doses[name]
                * t_eff[name]
                / half_lives
                * energy
                * _uptake_factor(one, source, name)
                * np.exp(_sigma(one.absorbed_kev_u) * z_energy)
            )
    return OrganDraws(dose_gy_per_gbq=doses, t_eff_h=t_eff)


def _uptake_factor(one: StudyOrgan, source: str, name: str) -> float:
    """What the other components change in the exchange of nuclides, over that of the slowest alone."""
    if len(one.rates_per_h) < 2:
        return 1.0
    step = math.log(2.0) * (1.0 / physical_half_life_h(name) - 1.0 / physical_half_life_h(source))
    pairs = list(zip(one.rates_per_h, one.weights, strict=True))
    slowest = min(one.rates_per_h)
    if slowest + step <= 0:
        # Slower than the physical decay of the source: refused, or cut off, with the half-lives.
        return 1.0
    whole = sum(w / (r + step) for r, w in pairs) / sum(w / r for r, w in pairs)
    return whole * (slowest + step) / slowest


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
