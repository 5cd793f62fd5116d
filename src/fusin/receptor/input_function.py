"""Arterial input: plasma, parent fraction, delay and dispersion, and the end of sampling.

The input is linear between its samples. It begins with 0 at time 0, and where sampling ended before the scan did, an exponential
through the last samples goes on, with a notice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.frames import FloatArray

__all__ = ["PARENT_MODELS", "InputFunction", "ParentModel", "dispersion_corrected", "parent_fraction", "reaching"]

ParentModel = Literal["linear", "hill", "exponential", "power"]
PARENT_MODELS: tuple[ParentModel, ...] = ("linear", "hill", "exponential", "power")

_LONGEST_TAIL = 0.1
_TAIL_POINTS = 6


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class InputFunction:
    """What arrives at the tissue.

    Attributes
    ----------
    time_min : sampling times of the plasma, increasing, from 0 on
    plasma : unchanged tracer in plasma
    blood_time_min, blood : whole blood with all that carries the label; None when it was not measured
    unit : of both, empty when it is not stated
    sampled_until_min : last sample, before any extrapolation
    parent : how the parent fraction entered, for the report
    """

    time_min: FloatArray
    plasma: FloatArray
    blood_time_min: FloatArray | None = None
    blood: FloatArray | None = None
    unit: str = ""
    sampled_until_min: float = 0.0
    parent: str = ""

    def __post_init__(self) -> None:
        for time, value in ((self.time_min, self.plasma), (self.blood_time_min, self.blood)):
            if time is not None and value is not None and (time.size != value.size or np.any(np.diff(time) <= 0)):
                raise InputError("input function", "times", "times out of order", "increasing times, one value each")

    def area_until(self, at_min: FloatArray) -> FloatArray:
        """Integral of the plasma from 0 to some times."""
        steps = 0.5 * np.diff(self.time_min) * (self.plasma[1:] + self.plasma[:-1])
        total = np.concatenate([[0.0], np.cumsum(steps)])
        place = np.clip(np.searchsorted(self.time_min, at_min, side="right") - 1, 0, self.time_min.size - 1)
        now = self.plasma_at(at_min)
        return np.asarray(
            np.where(
                at_min <= self.time_min[0],
                0.0,
                total[place] + 0.5 * (at_min - self.time_min[place]) * (self.plasma[place] + now),
            )
        )

    def plasma_at(self, at_min: FloatArray) -> FloatArray:
        """Plasma at some times."""
        return np.asarray(np.interp(at_min, self.time_min, self.plasma, left=0.0))

    def shifted(self, delay_min: float) -> InputFunction:
        """The input that arrives later by a delay (earlier for a negative one)."""
        if delay_min == 0.0:
            return self
        return replace(
            self,
            time_min=self.time_min + delay_min,
            blood_time_min=None if self.blood_time_min is None else self.blood_time_min + delay_min,
            sampled_until_min=self.sampled_until_min + delay_min,
        )


def parent_fraction(
    time_min: FloatArray, fraction: FloatArray, at_min: FloatArray, *, model: ParentModel, where: str
) -> tuple[FloatArray, str]:
    """Parent fraction at other times, and its parameters in words.

    Parameters
    ----------
    time_min, fraction : measured
    at_min : wanted times
    model : ``linear`` joins the samples (1 at time 0, the last one held); ``hill`` 1 - (1 - a) t^b/(c^b + t^b);
        ``exponential`` a exp(-b t) + (1 - a) exp(-c t); ``power`` 1/(1 + (a t)^b)^c

    Raises
    ------
    NotComputable
        For fewer samples than the model has parameters plus one.

    References
    ----------
    Tonietto M et al., Phys Med Biol 2016;61:1-28 (models of the parent fraction).
    """
    if model == "linear":
        if time_min[0] > 0:
            time_min, fraction = np.concatenate([[0.0], time_min]), np.concatenate([[1.0], fraction])
        return np.asarray(np.interp(at_min, time_min, fraction)), "straight lines between the samples"
    if time_min.size < 4:
        raise NotComputable(f"the {model} model of the parent fraction", f"{where} holds {time_min.size} samples of it",
                            "at least 4, or --parent linear", "PARENT_SAMPLES_FEW")  # fmt: skip
    from scipy.optimize import least_squares

    starts = {"hill": ((0.1, 1.5, 20.0), (0.05, 3.0, 8.0)), "exponential": ((0.5, 0.2, 0.01), (0.8, 0.05, 0.001)),
              "power": ((0.05, 2.0, 0.5), (0.2, 3.0, 0.3))}[model]  # fmt: skip
    high = {"hill": (1.0, 10.0, 1e4), "exponential": (1.0, 10.0, 10.0), "power": (10.0, 10.0, 10.0)}[model]
    low = (0.0, 1e-3, 1e-4) if model != "exponential" else (0.0, 0.0, 0.0)

    def misfit(p: NDArray[np.float64]) -> FloatArray:
        return _parent_curve(model, p, time_min) - fraction

    fits = [least_squares(misfit, s, bounds=(low, high), x_scale=np.maximum(s, 1e-3)) for s in starts]
    best = min(fits, key=lambda f: float(f.cost))
    words = ", ".join(f"{name} {value:.4g}" for name, value in zip("abc", best.x, strict=True))
    return _parent_curve(model, best.x, at_min), f"{model} model, {words}"


def _parent_curve(model: ParentModel, p: NDArray[Any], time_min: FloatArray) -> FloatArray:
    t = np.maximum(time_min, 0.0)
    a, b, c = (float(v) for v in p)
    if model == "hill":
        powered = np.power(t, b)
        return np.asarray(1.0 - (1.0 - a) * powered / (c**b + powered))
    if model == "exponential":
        return np.asarray(a * np.exp(-b * t) + (1.0 - a) * np.exp(-c * t))
    return np.asarray(np.power(1.0 + np.power(a * t, b), -c))


def dispersion_corrected(time_min: FloatArray, value: FloatArray, *, tau_min: float) -> FloatArray:
    """A curve without the dispersion exp(-t/tau)/tau of its catheter: c + tau dc/dt, on the same samples.

    Dispersion of a curve that is linear between samples is undone exactly in the mean of each interval; derivatives of
    noisy samples stay noisy, so tau should be of the order of seconds.

    References
    ----------
    Iida H et al., J Cereb Blood Flow Metab 1986;6:536-545.
    """
    if tau_min == 0.0:
        return value
    return np.asarray(value + tau_min * np.gradient(value, time_min))


def reaching(source: InputFunction, until_min: float, log: NoticeLog, *, where: str) -> InputFunction:
    """The input with 0 at time 0 and an end that covers the scan.

    Raises
    ------
    NotComputable
        When sampling ended more than a tenth of the scan before its end.
    """
    time, plasma = _from_zero(source.time_min, source.plasma, "plasma", log, where)
    time, plasma = _to_end(time, plasma, until_min, "plasma", log, where)
    blood_time, blood = source.blood_time_min, source.blood
    if blood_time is not None and blood is not None:
        blood_time, blood = _from_zero(blood_time, blood, "whole blood", log, where)
        blood_time, blood = _to_end(blood_time, blood, until_min, "whole blood", log, where)
    return replace(source, time_min=time, plasma=plasma, blood_time_min=blood_time, blood=blood,
                   sampled_until_min=float(source.time_min[-1]))  # fmt: skip


def _from_zero(
    time: FloatArray, value: FloatArray, name: str, log: NoticeLog, where: str
) -> tuple[FloatArray, FloatArray]:
    if time[0] <= 0.0:
        return time, value
    if int(np.argmax(value)) == 0 and value.size > 1:
        log.warning(
            "INPUT_STARTS_AFTER_PEAK",
            f"the first sample of {name}, at {time[0]:g} min, is its highest, so the peak before it was not measured",
            where=where, raw=float(time[0]),
        )  # fmt: skip
    return np.concatenate([[0.0], time]), np.concatenate([[0.0], value])


def _to_end(
    time: FloatArray, value: FloatArray, until_min: float, name: str, log: NoticeLog, where: str
) -> tuple[FloatArray, FloatArray]:
    last = float(time[-1])
    if last >= until_min:
        return time, value
    if until_min - last > _LONGEST_TAIL * until_min:
        raise NotComputable(
            "the input function",
            f"the last sample of {name} in {where} is at {last:g} min and the scan ends at {until_min:g} min",
            "blood samples to within a tenth of the scan from its end, or --until-min to leave out later frames",
            "INPUT_TOO_SHORT",
        )
    tail_time, tail = time[-_TAIL_POINTS:], value[-_TAIL_POINTS:]
    rate = 0.0
    if np.all(tail > 0) and tail.size > 2:
        rate = max(-float(np.polyfit(tail_time, np.log(tail), 1)[0]), 0.0)
    added = np.linspace(last, until_min, 8)[1:]
    beyond = float(value[-1]) * np.exp(-rate * (added - last))
    log.adapted(
        "INPUT_EXTRAPOLATED",
        f"{name} was sampled until {last:.4g} min and continued to {until_min:.4g} min with "
        + (f"a half-time of {np.log(2.0) / rate:.3g} min" if rate > 0 else "its last value"),
        where=where, raw=last, used=until_min,
    )  # fmt: skip
    return np.concatenate([time, added]), np.concatenate([value, beyond])
