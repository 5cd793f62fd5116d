"""From the counts of a tube to its rate at one common time: every step recorded, every step with its uncertainty.

In order: rate, dead time, background, efficiency of the detector and geometry, decay during the count, decay to the
reference. A step that the instrument has done already is never done again. Net rates below 0 stay below 0.

References
----------
Knoll GF, Radiation Detection and Measurement, 4th ed. (2010), chapters 3 and 4 (counting statistics, dead time).
Mueller JW, Nucl Instrum Methods 1973;112:47-57 (scatter of counts after a dead time).
JCGM 100:2008 (GUM), 5.1 and 5.2 (propagation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fusin.assays.counting_uncertainty import Measured, Source, counted, mean_of, measured
from fusin.assays.detection_limits import CurrieLimits, currie_limits
from fusin.decay import decay_factor, elapsed_s, mean_over_frame
from fusin.errors import Ambiguous, InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog, jsonable

__all__ = [
    "Background",
    "CountReading",
    "CountingSetup",
    "DeadTimeModel",
    "NetRate",
    "Step",
    "background_of_blanks",
    "correct_reading",
    "count_decay_factor",
    "counting_rate",
    "decay_corrected",
    "reference_decay_factor",
    "true_rate",
]

DeadTimeModel = Literal["nonparalysable", "paralysable"]

_SCATTER_P = 0.01
# Nothing is left of any activity by then, so that a date or a nuclide is wrong.
_MOST_HALF_LIVES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CountReading:
    """One measurement of one tube in one window.

    Attributes
    ----------
    tube : name of the tube
    counts : recorded counts, None when the instrument gave a rate only
    rate_cps : rate of the instrument [1/s], None when counts are there
    live_time_s : time in which the counts were recorded [s]
    real_time_s : time on the clock from start to end [s]; the live time when the instrument says no more
    start : when counting started, None when unknown
    dead_time_factor : factor of the instrument, true over observed rate
    dead_time_done, background_done, decay_done : what the instrument has corrected already
    window, detector, kind : energy window, detector, what the tube is (``sample``, ``blank``, ``standard``)
    repeat : number of the measurement of this tube
    where : file and row for messages
    """

    tube: str
    counts: float | None = None
    rate_cps: float | None = None
    live_time_s: float | None = None
    real_time_s: float | None = None
    start: datetime | None = None
    dead_time_factor: float | None = None
    dead_time_done: bool = False
    background_done: bool = False
    decay_done: bool = False
    window: str = ""
    detector: str = ""
    kind: str = "sample"
    repeat: int = 1
    where: str = ""


@dataclass(frozen=True, slots=True)
class Background:
    """Rate of the blanks [1/s] with its uncertainty.

    Attributes
    ----------
    rate : mean rate
    n : number of blanks; 0 for a rate that was stated
    method : how the uncertainty was found
    """

    rate: Measured
    n: int
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"rate_cps": self.rate.value, "u_cps": jsonable(self.rate.u), "n": self.n, "method": self.method}


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingSetup:
    """How readings are corrected.

    Attributes
    ----------
    half_life_s, half_life_u_s : of the nuclide [s]; no decay correction when None
    reference : common time of all rates; None leaves each rate at the start of its count
    nuclide : name, for messages
    dead_time_s, dead_time_u_s : dead time of the instrument [s]; 0 means no correction of our own
    dead_time_model : ``nonparalysable`` or ``paralysable``
    efficiency : detector name to (efficiency, standard uncertainty); the empty name stands for all
    """

    half_life_s: float | None = None
    half_life_u_s: float | None = None
    reference: datetime | None = None
    nuclide: str = ""
    dead_time_s: float = 0.0
    dead_time_u_s: float = 0.0
    dead_time_model: DeadTimeModel = "nonparalysable"
    efficiency: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One correction: its name, its factor (None for a difference) and the rate after it [1/s] with uncertainty."""

    name: str
    factor: float | None
    rate_cps: float
    u_cps: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetRate:
    """Net rate of a tube at the common time.

    Attributes
    ----------
    reading : what was measured
    rate : net rate at the reference [1/s]; may be negative
    gross : rate before the background was subtracted [1/s]
    steps : the chain
    limits : Currie's limits in counts, None when counts or live time are unknown
    detected : whether the net counts exceed the decision limit; None without limits
    """

    reading: CountReading
    rate: Measured
    gross: Measured
    steps: tuple[Step, ...]
    limits: CurrieLimits | None
    detected: bool | None


def counting_rate(counts: float, *, live_time_s: float, name: str = "tube") -> Measured:
    """Rate of a number of counts [1/s] with its Poisson uncertainty.

    Raises
    ------
    InvalidValue
        For negative counts or a time that is not positive.
    """
    if not (math.isfinite(counts) and counts >= 0):
        raise InvalidValue(f"the rate of {name}", f"it has {counts:g} counts", "zero or more counts", "COUNT_INVALID")
    if not (math.isfinite(live_time_s) and live_time_s > 0):
        raise InvalidValue(
            f"the rate of {name}", f"it was counted for {live_time_s:g} s", "a positive time", "COUNTING_TIME"
        )
    return counted(counts, name).scaled(1.0 / live_time_s)


def true_rate(
    observed: Measured, *, dead_time_s: float, dead_time_u_s: float = 0.0, model: DeadTimeModel = "nonparalysable"
) -> Measured:
    """True rate from the observed one [1/s].

    Non-paralysable: n = m / (1 - m tau). Paralysable: m = n exp(-n tau), its lower solution, n = -W(-m tau) / tau. Recorded
    counts scatter less than Poisson's, by the factor (1 - m tau)^2 or 1 - 2 m tau of their variance.

    Parameters
    ----------
    observed : rate m [1/s]
    dead_time_s, dead_time_u_s : tau and its standard uncertainty [s]
    model : how the instrument behaves

    Raises
    ------
    InvalidValue
        For a negative dead time, or a rate that the dead time does not allow (m tau >= 1, or > 1/e when paralysable).
    """
    if not (math.isfinite(dead_time_s) and dead_time_s >= 0 and dead_time_u_s >= 0):
        raise InvalidValue(
            "the true rate", f"the dead time is {dead_time_s:g} s", "zero or a positive time", "DEAD_TIME"
        )
    m, tau = observed.value, dead_time_s
    if tau == 0.0 or m <= 0.0:
        return observed
    limit = 1.0 if model == "nonparalysable" else math.exp(-1.0)
    if m * tau >= limit:
        raise InvalidValue(
            "the true rate", f"{m:g} counts per second at a dead time of {1e6 * tau:g} us are saturated ({model})",
            f"a rate below {limit / tau:g} per second", "DEAD_TIME",
        )  # fmt: skip
    if model == "nonparalysable":
        n = m / (1.0 - m * tau)
        by_rate, by_tau, fano = (n / m) ** 2, n * n, (1.0 - m * tau) ** 2
    else:
        from scipy.special import lambertw

        n = -float(lambertw(-m * tau).real) / tau
        by_rate = (n / m) / (1.0 - n * tau)
        by_tau, fano = n * n / (1.0 - n * tau), 1.0 - 2.0 * m * tau
    # A dead counter evens out its counts: their variance over their mean is this factor and not 1 (Mueller 1973).
    parts = {
        source: by_rate * part * (math.sqrt(fano) if source.kind == "counting" else 1.0)
        for source, part in observed.parts.items()
    }
    out = Measured(n, parts, observed.complete)
    return out + measured(0.0, by_tau * dead_time_u_s, "dead time", "instrument") if dead_time_u_s else out


def count_decay_factor(duration_s: float, half_life_s: float) -> float:
    """Rate at the start of a count over its mean rate: lambda t / (1 - exp(-lambda t)).

    >>> [round(count_decay_factor(t, 67.71 * 60), 4) for t in (60.0, 300.0, 600.0)]
    [1.0051, 1.0258, 1.0521]
    """
    return 1.0 / mean_over_frame(duration_s, half_life_s)


def reference_decay_factor(start: datetime, reference: datetime, half_life_s: float) -> float:
    """Rate at the reference over the rate at the start of the count; above 1 for a reference before it."""
    return decay_factor(elapsed_s(start, reference), half_life_s)


def background_of_blanks(blanks: Sequence[CountReading], setup: CountingSetup, log: NoticeLog) -> Background:
    """Mean rate of the blanks, after dead time and before decay, because a background does not decay with the nuclide.

    Its uncertainty is the Poisson one of all blanks together, or the SD of their mean where they scatter more (chi2 test of
    homogeneity, p < 0.01), with a notice.

    Raises
    ------
    MissingValue
        Without a blank.
    """
    if not blanks:
        raise MissingValue("net counts", "there is no blank", "a blank tube, or the background rate", "NO_BLANK")
    rates = [_observed(b, setup)[0] for b in blanks]
    mean = mean_of(rates)
    if len(rates) > 1 and all(r.complete for r in rates):
        from scipy.stats import chi2

        expected = [(mean.value if mean.value > 0 else 0.0) / _seconds(b) for b in blanks]
        if min(expected) > 0:
            statistic = sum((r.value - mean.value) ** 2 / e for r, e in zip(rates, expected, strict=True))
            n = len(rates)
            if float(chi2.sf(statistic, n - 1)) < _SCATTER_P:
                sd = math.sqrt(sum((r.value - mean.value) ** 2 for r in rates) / (n - 1) / n)
                log.warning(
                    "BLANKS_SCATTER",
                    f"the {n} blanks scatter more than counting allows; the SD of their mean, {60 * sd:.3g} cpm, is used",
                    where=blanks[0].where.split(" row")[0],
                )
                # The SD of the mean replaces the Poisson part; the mean keeps its value.
                return Background(Measured(mean.value, {Source("background", "blanks"): sd}), n, "SD of the mean")
    return Background(_as_background(mean), len(rates), "Poisson, mean of the blanks")


def correct_reading(
    reading: CountReading, background: Background | None, setup: CountingSetup, log: NoticeLog
) -> NetRate:
    """Run the chain for one tube.

    Parameters
    ----------
    reading : what was measured
    background : None only where the instrument has subtracted it
    setup : dead time, efficiency, nuclide and reference
    log : receives what is doubtful

    Raises
    ------
    InputError
        For an efficiency of 0 or an unknown detector.
    Ambiguous
        Where a correction would be applied twice, or nobody says whether the background is in.
    MissingValue
        Without a time that a correction needs.
    """
    rate, steps = _observed(reading, setup)
    gross = rate
    if not reading.background_done:
        if background is None:
            raise MissingValue(
                f"the net rate of {reading.tube}", "there is no blank and no background rate",
                "a blank tube, or the background rate (0 when the counter subtracted it)", "NO_BLANK",
            )  # fmt: skip
        rate = rate - background.rate
        steps.append(_step("background", None, rate))
    efficiency = _efficiency(reading, setup)
    if efficiency is not None:
        rate = rate / efficiency
        steps.append(_step("efficiency", 1.0 / efficiency.value, rate))
    rate = decay_corrected(reading, rate, setup, steps)
    limits, detected = _decision(reading, gross, background)
    return NetRate(reading=reading, rate=rate, gross=gross, steps=tuple(steps), limits=limits, detected=detected)


def _step(name: str, factor: float | None, rate: Measured) -> Step:
    return Step(name, factor, rate.value, rate.u)


def _observed(reading: CountReading, setup: CountingSetup) -> tuple[Measured, list[Step]]:
    """Rate after dead time."""
    name = f"{reading.tube}{f' {reading.window}' if reading.window else ''} #{reading.repeat} {reading.where}"
    factor = reading.dead_time_factor
    if factor is not None and not (math.isfinite(factor) and factor >= 1.0):
        raise InputError(reading.where or reading.tube, "dead time factor", factor, "a factor of at least 1")
    done = reading.dead_time_done
    corrected = done or reading.background_done or reading.decay_done
    if reading.rate_cps is not None and (corrected or reading.counts is None):
        rate = _of_rate(reading, name, factor)
    elif reading.counts is not None and (reading.background_done or reading.decay_done):
        # Counts that the counter has changed are no Poisson number any more.
        rate = Measured(reading.counts / _seconds(reading), {}, complete=False)
    elif reading.counts is not None:
        rate = counting_rate(reading.counts, live_time_s=_seconds(reading), name=name)
    else:
        raise MissingValue(
            f"the rate of {reading.tube}", "it has neither counts nor a rate", "counts or cpm", "NO_COUNTS"
        )
    steps = [_step("rate", None, rate)]
    if done:
        if setup.dead_time_s:
            raise Ambiguous(
                f"the true rate of {reading.tube}", "the counter has corrected the dead time already",
                "no dead time of your own, which would correct it twice", "DEAD_TIME_TWICE",
            )  # fmt: skip
        return rate, steps
    if factor is not None:
        if setup.dead_time_s:
            raise Ambiguous(
                f"the true rate of {reading.tube}", "the counter gives a dead-time factor and you give a dead time",
                "one of the two", "DEAD_TIME_TWICE",
            )  # fmt: skip
        rate = rate.scaled(factor)
        steps.append(_step("dead time (factor of the counter)", factor, rate))
    elif setup.dead_time_s:
        before = rate.value
        rate = true_rate(
            rate, dead_time_s=setup.dead_time_s, dead_time_u_s=setup.dead_time_u_s, model=setup.dead_time_model
        )
        steps.append(_step(f"dead time ({setup.dead_time_model})", rate.value / before if before else 1.0, rate))
    return rate, steps


def _of_rate(reading: CountReading, name: str, factor: float | None) -> Measured:
    """Rate of the instrument with the uncertainty of the counts behind it, where these can be had."""
    value = float(reading.rate_cps or 0.0)
    live = reading.live_time_s
    if not math.isfinite(value) or (value < 0 and not reading.background_done):
        raise InputError(reading.where or reading.tube, "rate", value, "a rate of at least 0")
    scale = factor if factor is not None and reading.dead_time_done else 1.0
    counts = reading.counts
    if counts is None and live is not None and not reading.background_done and not reading.decay_done:
        counts = value * live / scale
    if counts is None or reading.background_done or (counts == 0 and value != 0):
        return Measured(value, {}, complete=False)
    per_count = value / counts if counts else scale / (live or 1.0)
    return Measured(value, counted(counts, name).scaled(per_count).parts)


def _seconds(reading: CountReading) -> float:
    if reading.live_time_s is None:
        raise MissingValue(
            f"the rate of {reading.tube}", "its counting time is missing", "the live time in seconds", "COUNTING_TIME"
        )
    return reading.live_time_s


def _as_background(mean: Measured) -> Measured:
    """The same error under the name of the background; its counts stay, so that few counts keep their skew."""
    parts = {Source("background", s.name, s.counts): p for s, p in mean.parts.items()}
    return Measured(mean.value, parts, mean.complete)


def _efficiency(reading: CountReading, setup: CountingSetup) -> Measured | None:
    if not setup.efficiency:
        return None
    found = setup.efficiency.get(reading.detector, setup.efficiency.get(""))
    if found is None:
        raise InputError(
            reading.where or reading.tube, "detector", reading.detector,
            "one with a known efficiency: " + ", ".join(map(repr, setup.efficiency)),
        )  # fmt: skip
    value, u = found
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"detector {reading.detector or 'of the counter'}", "efficiency", value, "a number above 0")
    return measured(value, u, "efficiency", reading.detector)


def decay_corrected(reading: CountReading, rate: Measured, setup: CountingSetup, steps: list[Step]) -> Measured:
    """Rate at the reference, or at the start of its count without one; each factor is added to the steps."""
    half_life = setup.half_life_s
    if reading.decay_done or half_life is None:
        return rate
    during = _duration(reading)
    away = abs(elapsed_s(reading.start, setup.reference)) if reading.start and setup.reference else 0.0
    if max(during, away) > _MOST_HALF_LIVES * half_life:
        raise InputError(
            reading.where or reading.tube, "start_time" if away > during else "live_time_s",
            f"{max(during, away) / half_life:.0f} half-lives {'from the reference time' if away > during else 'of counting'}",
            f"at most {_MOST_HALF_LIVES}: another date, nuclide or reference time",
        )  # fmt: skip
    factor = count_decay_factor(during, half_life)
    relative = _during_sensitivity(during, half_life)
    rate = rate.scaled(factor)
    steps.append(_step("decay during the count", factor, rate))
    if setup.reference is not None:
        if reading.start is None:
            raise MissingValue(
                f"the rate of {reading.tube} at {setup.reference.isoformat(sep=' ')}", "its starting time is missing",
                "the time at which each count started", "NO_START_TIME",
            )  # fmt: skip
        factor = reference_decay_factor(reading.start, setup.reference, half_life)
        relative += math.log(2.0) * elapsed_s(reading.start, setup.reference) / half_life
        rate = rate.scaled(factor)
        steps.append(_step("decay to the reference", factor, rate))
    if setup.half_life_u_s:
        u = rate.value * relative * setup.half_life_u_s / half_life
        rate = rate + Measured(0.0, {Source("half-life", setup.nuclide): u})
        steps[-1] = _step(steps[-1].name, steps[-1].factor, rate)
    return rate


def _duration(reading: CountReading) -> float:
    found = reading.real_time_s if reading.real_time_s is not None else reading.live_time_s
    if found is None:
        raise MissingValue(
            f"the decay of {reading.tube} during its count", "its counting time is missing", "the time in seconds",
            "COUNTING_TIME",
        )  # fmt: skip
    return found


def _during_sensitivity(duration_s: float, half_life_s: float) -> float:
    """Relative change of the factor for decay during the count per relative change of the half-life."""
    x = math.log(2.0) * duration_s / half_life_s
    return -(1.0 - x / math.expm1(x)) if x else 0.0


def _decision(
    reading: CountReading, gross: Measured, background: Background | None
) -> tuple[CurrieLimits | None, bool | None]:
    """Currie's limits of a tube in observed counts."""
    if background is None or reading.counts is None or reading.live_time_s is None or background.rate.u is None:
        return None, None
    scale = gross.value * reading.live_time_s / reading.counts if reading.counts else 1.0
    seconds = reading.live_time_s / scale
    expected = max(background.rate.value, 0.0) * seconds
    limits = currie_limits(expected, background_u_counts=background.rate.u * seconds)
    return limits, bool(reading.counts - background.rate.value * seconds > limits.decision)
