"""From stored PET values to SUV: which rule applies, with which factor, and what was adapted on the way.

The algorithm is that of the IBSI SUV manual, version 3 (oncoray/suv_computation, CC BY 4.0)::

    SUVbw = C * W / (D * 2**(-(t_ref - t_inj) / T))

C activity concentration [Bq/mL], W body weight [g], D administered activity [Bq], t_ref the moment to which C refers,
t_inj the moment of injection, T the half-life.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from fusin.decay import decay_factor
from fusin.errors import Ambiguous, InvalidValue, MissingValue, Unsupported
from fusin.imaging.body_size import NORMS, Norm, norm_from_suv_type
from fusin.imaging.series import Series
from fusin.imaging.suv_activity import administered_activity, half_life, net_of_residual
from fusin.imaging.suv_body import norm_factor
from fusin.imaging.suv_header import SuvHeader, read_suv_header
from fusin.imaging.suv_time import injection_time, reference_times
from fusin.imaging.volume import Volume
from fusin.provenance import Method, Notice, NoticeLog, jsonable

__all__ = [
    "SUV_METHOD",
    "SuvOptions",
    "SuvPlan",
    "SuvVolume",
    "apply_plan",
    "compute_suv",
    "plan_from_header",
    "plan_suv",
]

SUV_METHOD = Method(
    "ibsi-suv-v3",
    "Vacha M, Hofheinz F, Braune A, Loeck S, Zwanenburg A. Comprehensive manual for SUV computation (IBSI SUV, version 3), "
    "oncoray/suv_computation, CC BY 4.0",
)
SUV_UNIT = "g/ml{SUVbw}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuvOptions:
    """Choices that belong to the user.

    Attributes
    ----------
    norm : normalisation of the result
    residual : activity left in the syringe, in MBq at the time of injection, or ``"header"`` for GE's private fields
    half_life_from_code : take a missing half-life from the radionuclide code
    item : 1-based item of the Radiopharmaceutical Information Sequence when there are several
    """

    norm: Norm = "bw"
    residual: float | str | None = None
    half_life_from_code: bool = False
    item: int | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SuvPlan:
    """How a series becomes SUV.

    Attributes
    ----------
    rule : id, such as ``BQML/START/start-private-siemens``
    factors : SUV per rescaled value, one for each frame in slice order
    norm : normalisation of the result
    factor_suvbw_per_bqml : the one factor from Bq/mL, None when values were not Bq/mL or frames differ
    reference_time, injection_time, activity_mbq, half_life_s, weight_kg, ... : what was used, None where not needed
    """

    rule: str
    factors: tuple[float, ...]
    norm: Norm = "bw"
    factor_suvbw_per_bqml: float | None = None
    reference_time: datetime | None = None
    injection_time: datetime | None = None
    activity_mbq: float | None = None
    half_life_s: float | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
    sex: str | None = None
    units: str = ""
    decay_correction: str = ""
    notices: tuple[Notice, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def uptake_time_min(self) -> float | None:
        """Minutes from injection to the reference moment."""
        if self.reference_time is None or self.injection_time is None:
            return None
        return (self.reference_time - self.injection_time).total_seconds() / 60.0

    def to_json(self) -> dict[str, Any]:
        """What the JSON contracts carry of the plan."""
        one = len(set(self.factors)) == 1
        return {
            "rule": self.rule,
            "norm": self.norm,
            "factor_suvbw_per_bqml": self.factor_suvbw_per_bqml,
            "factor": self.factors[0] if one else None,
            "factor_range": [min(self.factors), max(self.factors)],
            "units": self.units,
            "decay_correction": self.decay_correction,
            "reference_time": jsonable(self.reference_time),
            "injection_time": jsonable(self.injection_time),
            "uptake_time_min": self.uptake_time_min,
            "activity_mbq": self.activity_mbq,
            "half_life_s": self.half_life_s,
            "weight_kg": self.weight_kg,
            "height_cm": self.height_cm,
            "sex": self.sex,
        }


@dataclass(frozen=True, slots=True, eq=False)
class SuvVolume:
    """An SUV volume with the plan that made it."""

    volume: Volume
    plan: SuvPlan


def compute_suv(
    series: Series, volume: Volume, log: NoticeLog, *, options: SuvOptions | None = None, phase: int = 0
) -> SuvVolume:
    """SUV of a loaded series.

    Parameters
    ----------
    series : the PET series
    volume : its rescaled values, from ``series.load``
    log : receives one notice per adaptation; strict logs refuse them
    options : choices of the user
    phase : 0-based time point the volume belongs to

    Raises
    ------
    NotComputable
        Typed: MissingValue, InvalidValue, Unsupported, Ambiguous.
    """
    plan = plan_suv(series, log, options=options, phase=phase)
    return SuvVolume(apply_plan(plan, series, volume, phase=phase), plan)


def apply_plan(plan: SuvPlan, series: Series, volume: Volume, *, phase: int = 0) -> Volume:
    """Multiply each slice by its factor; missing slices stay without values."""
    frames = series.require_stack().phases[phase]
    factors = np.full(len(frames), np.nan)
    factors[[f is not None for f in frames]] = plan.factors
    values = np.empty(volume.shape, dtype=np.float32)
    np.multiply(volume.values, factors[:, None, None], out=values, dtype=np.float64, casting="same_kind")
    unit = (
        SUV_UNIT
        if plan.norm == "bw"
        else {"bsa": "cm2/ml{SUVbsa}", "ibw": "g/ml{SUVibw}"}.get(plan.norm, "g/ml{SUVlbm}")
    )
    return Volume(values=values, grid=volume.grid, unit=unit)


def plan_suv(series: Series, log: NoticeLog, *, options: SuvOptions | None = None, phase: int = 0) -> SuvPlan:
    """Decide by which rule a series becomes SUV, from headers alone.

    Raises
    ------
    NotComputable
        Typed: MissingValue, InvalidValue, Unsupported, Ambiguous.
    """
    options = options or SuvOptions()
    series.require_stack()
    header = read_suv_header(series, item=None if options.item is None else options.item - 1, phase=phase)
    return plan_from_header(header, log, options=options)


def plan_from_header(header: SuvHeader, log: NoticeLog, *, options: SuvOptions | None = None) -> SuvPlan:
    """The rules of :func:`plan_suv` on a header that was read before."""
    options = options or SuvOptions()
    own = NoticeLog(strict=log.strict)
    _check_corrections(header, own)
    _check_intercepts(header, own)
    _check_scaling(header, own)
    units, rule, scale = _to_bqml_or_suv(header, own)
    compute = _already_suv if units == "SUV" else _from_activity
    plan = compute(header, rule, scale, own, options)
    log.extend(own)
    return replace(plan, notices=own.notices)


def _check_corrections(header: SuvHeader, log: NoticeLog) -> None:
    done = header.corrected_image
    if done and "ATTN" not in done and "ATTENUATION" not in done:
        raise Unsupported(
            "SUV",
            f"Corrected Image (0028,0051) is {'/'.join(done)}, without attenuation correction",
            "an attenuation-corrected series",
            "NOT_ATTENUATION_CORRECTED",
        )
    if not done and not header.enhanced:
        log.warning(
            "CORRECTIONS_UNKNOWN",
            "Corrected Image (0028,0051) is absent; attenuation correction is not proven",
            where=header.where,
        )
    if done and "DECY" not in done and header.decay_correction in ("START", "ADMIN"):
        log.warning(
            "DECAY_FLAG_DISAGREES",
            f"Decay Correction (0054,1102) is {header.decay_correction} and Corrected Image (0028,0051) lacks DECY",
            where=header.where,
            raw="/".join(done),
        )


def _check_scaling(header: SuvHeader, log: NoticeLog) -> None:
    if any(slope < 0 for slope in header.slopes):
        raise InvalidValue("SUV", "Rescale Slope (0028,1053) is negative", "a positive slope", "SLOPE_NEGATIVE")
    if header.scaling:
        log.info("ENHANCED_SCALING", f"two scalings stand side by side; used: {header.scaling}", where=header.where)


def _check_intercepts(header: SuvHeader, log: NoticeLog) -> None:
    others = sorted({i for i in header.intercepts if i != 0})
    if others:
        log.warning(
            "INTERCEPT_NOT_ZERO",
            f"Rescale Intercept (0028,1052) is {others[0]:g}, where PET requires 0; it is applied",
            where=header.where,
            raw=others[0],
        )


def _to_bqml_or_suv(header: SuvHeader, log: NoticeLog) -> tuple[str, str, float]:
    """("BQML" or "SUV", rule, scale) of the stored unit; scale turns rescaled values into that unit."""
    units = header.units.strip().upper()
    if units == "BQML":
        factor = header.philips_activity_factor
        if factor is not None and factor not in (0.0, 1.0):
            log.warning(
                "BQML_WITH_COUNT_FACTOR",
                f"Units are BQML and Philips' activity scale factor (7053,xx09) is {factor:g}; some exports call counts BQML",
                where=header.where,
                raw=factor,
            )
        return "BQML", "BQML", 1.0
    if units in ("GML", "CM2ML"):
        return "SUV", units, 1.0
    if units == "CNTS":
        return _philips_counts(header, log)
    if not units:
        raise MissingValue(
            "SUV", "Units (0054,1001) is absent", "BQML, GML, CM2ML, or CNTS with Philips' factors", "UNITS_MISSING"
        )
    raise Unsupported(
        "SUV",
        f"Units (0054,1001) is {header.units}",
        "BQML, GML, CM2ML, or CNTS with Philips' factors",
        "UNITS_UNSUPPORTED",
    )


def _philips_counts(header: SuvHeader, log: NoticeLog) -> tuple[str, str, float]:
    activity, suv = header.philips_activity_factor or 0.0, header.philips_suv_factor or 0.0
    if activity < 0 or suv < 0:
        raise InvalidValue(
            "SUV", f"Philips' scale factors are {suv:g} and {activity:g}", "positive factors", "PHILIPS_FACTOR_INVALID"
        )
    if activity:
        if suv:
            _compare_philips(header, activity, suv, log)
        return "BQML", "CNTS-philips-activity", activity
    if suv and header.decay_correction not in ("NONE", ""):
        return "SUV", "CNTS-philips-suv", suv
    raise MissingValue(
        "SUV",
        "Units are CNTS and "
        + (
            "the images are not decay corrected, so that Philips' SUV factor (7053,xx00) does not apply"
            if suv
            else "Philips' scale factors (7053,xx00) and (7053,xx09) are absent or 0"
        ),
        "the private scale factors, or a series in BQML",
        "PHILIPS_FACTOR_MISSING",
    )


def _compare_philips(header: SuvHeader, activity: float, suv: float, log: NoticeLog) -> None:
    """Both factors say the same unless the header is inconsistent; the activity factor is used."""
    quiet = NoticeLog()
    try:
        plan = _from_activity(header, "CNTS-philips-activity", activity, quiet, SuvOptions())
    except (MissingValue, InvalidValue, Ambiguous, Unsupported):
        return
    ratio = plan.factors[0] / suv
    if abs(ratio - 1.0) > 0.01:
        log.warning(
            "PHILIPS_FACTORS_DISAGREE",
            f"Philips' activity factor gives an SUV {100 * (ratio - 1):+.1f} % from that of the SUV factor; "
            "the activity factor is used",
            where=header.where,
            raw=suv,
            used=plan.factors[0],
        )


def _already_suv(header: SuvHeader, rule: str, scale: float, log: NoticeLog, options: SuvOptions) -> SuvPlan:
    """GML, CM2ML and Philips' SUV factor: the stored norm is undone, the wanted one applied."""
    if rule == "CM2ML":
        stored: Norm = "bsa"
        if header.suv_type not in ("", "BSA"):
            raise Ambiguous(
                "SUV",
                f"Units are CM2ML and SUV Type (0054,1006) is {header.suv_type}",
                "SUV Type BSA",
                "SUV_TYPE_CONTRADICTS",
            )
    else:
        stored = norm_from_suv_type(header.suv_type) if rule == "GML" else "bw"
        if stored == "bsa":
            raise Ambiguous(
                "SUV",
                "Units are GML and SUV Type (0054,1006) is BSA",
                "Units CM2ML, or another SUV Type",
                "SUV_TYPE_CONTRADICTS",
            )
    factor, weight, height, sex = scale, None, None, None
    if stored != options.norm:
        stored_per_bw, weight, height, sex = norm_factor(header, stored, log)
        wanted_per_bw = norm_factor(header, options.norm, log)[0]
        factor = scale / stored_per_bw * wanted_per_bw
    full_rule = f"{rule}/{NORMS[stored].split(',')[0] if rule != 'CNTS-philips-suv' else 'stored SUV factor'}"
    facts = _facts(header)
    return SuvPlan(
        rule=full_rule,
        factors=(factor,) * len(header.frames),
        norm=options.norm,
        weight_kg=weight or _within(header.weight, 2.0, 300.0),
        height_cm=height,
        sex=sex,
        units=header.units,
        decay_correction=header.decay_correction,
        facts=facts,
        activity_mbq=facts.get("activity_mbq"),
        half_life_s=_within(header.half_life, 1.0, 1e11),
    )


def _within(value: float | None, low: float, high: float) -> float | None:
    """A header value that no rule has checked, only where it can be what its field says."""
    return value if value is not None and low <= value <= high else None


def _from_activity(header: SuvHeader, rule: str, scale: float, log: NoticeLog, options: SuvOptions) -> SuvPlan:
    """BQML, and counts that a factor turns into Bq/mL."""
    correction = header.decay_correction
    if correction not in ("START", "ADMIN", "NONE", "DATETIME"):
        raise MissingValue(
            "SUV",
            f"Decay Correction (0054,1102) is {correction or 'absent'}",
            "START, ADMIN or NONE",
            "DECAY_CORRECTION_MISSING",
        )
    if header.radiopharmaceutical_items > 1 and options.item is None:
        raise Ambiguous(
            "SUV",
            f"the header lists {header.radiopharmaceutical_items} radiopharmaceuticals",
            "a choice (--radiopharmaceutical N)",
            "SEVERAL_RADIOPHARMACEUTICALS",
        )
    per_bw, weight, height, sex = norm_factor(header, options.norm, log)
    activity_bq = administered_activity(header, log)
    if correction == "ADMIN" and options.residual is None:
        factor = scale * weight * 1000.0 / activity_bq
        return _finished(header, options, f"{rule}/ADMIN", [factor], per_bw, weight, height, sex, activity_bq, scale)
    lifetime = half_life(header, log, from_code=options.half_life_from_code)
    if correction == "ADMIN":
        injected = injection_time(header, _any_moment(header), lifetime, log)
        net = net_of_residual(header, activity_bq, injected, lifetime, options.residual, log)
        return _finished(
            header, options, f"{rule}/ADMIN", [scale * weight * 1000.0 / net], per_bw, weight, height, sex, net, scale
        )
    reference = reference_times(header, lifetime, log)
    if correction != "NONE" and reference.spread_s > 1.0:
        log.warning(
            "REFERENCE_TIMES_VARY",
            f"the reference moments of the slices span {reference.spread_s:.1f} s; each slice uses its own",
            where=header.where,
            raw=reference.spread_s,
        )
    injected = injection_time(header, min(reference.times), lifetime, log)
    net = net_of_residual(header, activity_bq, injected, lifetime, options.residual, log)
    elapsed = np.array([(t - injected).total_seconds() for t in reference.times])
    factors = scale * weight * 1000.0 / (net * np.asarray(decay_factor(elapsed, lifetime)))
    plan_rule = f"{rule}/{'ENHANCED' if correction == 'DATETIME' else correction}/{reference.rule}"
    plan = _finished(header, options, plan_rule, factors.tolist(), per_bw, weight, height, sex, net, scale)
    return replace(plan, reference_time=min(reference.times), injection_time=injected, half_life_s=lifetime)


def _any_moment(header: SuvHeader) -> datetime:
    """Some moment of the scan, for the date of the injection when only the residual's decay needs it."""
    starts = [f.acquisition for f in header.frames if f.acquisition is not None]
    moment = min(starts) if starts else header.series_start
    if moment is None:
        raise MissingValue(
            "SUV",
            "Acquisition Time (0008,0032) and Series Time (0008,0031) are absent",
            "the time of the scan",
            "ACQUISITION_TIME_MISSING",
        )
    return moment


def _finished(
    header: SuvHeader,
    options: SuvOptions,
    rule: str,
    factors: list[float],
    per_bw: float,
    weight: float,
    height: float | None,
    sex: str | None,
    activity_bq: float,
    scale: float,
) -> SuvPlan:
    bad = [f for f in factors if not math.isfinite(f) or f <= 0]
    if bad:
        raise InvalidValue(
            "SUV",
            f"the factor comes out as {bad[0]}",
            "a header whose activity, weight and times are real",
            "FACTOR_NOT_FINITE",
        )
    if len(factors) == 1:
        factors = factors * len(header.frames)
    single = len(set(factors)) == 1
    # Philips writes its activity factor into every image, and each image is scaled by its own.
    own = [f.activity_factor / scale if scale != 1.0 and f.activity_factor else 1.0 for f in header.frames]
    return SuvPlan(
        rule=rule,
        factors=tuple(f * per_bw * o for f, o in zip(factors, own, strict=True)),
        norm=options.norm,
        factor_suvbw_per_bqml=factors[0] / scale if single else None,
        activity_mbq=activity_bq / 1e6,
        weight_kg=weight,
        height_cm=height,
        sex=sex,
        units=header.units,
        decay_correction=header.decay_correction,
        facts=_facts(header),
    )


def _facts(header: SuvHeader) -> dict[str, Any]:
    dose = header.dose
    known = dose is not None and math.isfinite(dose) and dose > 0
    return {
        "radiopharmaceutical": header.radiopharmaceutical or None,
        "nuclide_code": header.nuclide_code or None,
        "nuclide_meaning": header.nuclide_meaning or None,
        "activity_mbq": (dose / 1e6 if dose >= 1e4 else dose) if known and dose is not None else None,
    }
