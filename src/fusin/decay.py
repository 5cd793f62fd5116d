"""Radioactive decay in closed form: one and two members, frame averages, time integrals, uncertainties.

All times are seconds unless they are :class:`~datetime.datetime`; activities keep the unit that they come in.
With the decay constant lambda = ln 2 / half-life::

    A(t) = A(0) exp(-lambda t)
    A2(t) = A2(0) exp(-lambda2 t) + b A1(0) lambda2 (exp(-lambda1 t) - exp(-lambda2 t)) / (lambda2 - lambda1)

References
----------
Bateman H, Proc Cambridge Philos Soc 15 (1910) 423-427 (the two-member chain).
IBSI-SUV v3, oncoray/suv_computation: average count rate time of a PET frame.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = [
    "activity_at",
    "activity_u",
    "average_count_rate_time_s",
    "daughter_activity",
    "daughter_maximum_time_s",
    "decay_factor",
    "elapsed_s",
    "mean_over_frame",
    "time_integrated",
]

# A float stays a float and an array stays an array; half-lives are scalars because one call is about one nuclide.
Times = TypeVar("Times", float, NDArray[np.float64])

_LN2 = math.log(2.0)


def decay_factor(elapsed_s: Times, half_life_s: float) -> Times:
    """Fraction of an activity left after a time: 2 ** (-elapsed / half-life).

    Parameters
    ----------
    elapsed_s : float or array, seconds; negative values look back in time
    half_life_s : seconds, positive

    Raises
    ------
    InputError
        For a half-life that is not a positive finite number.

    Examples
    --------
    >>> round(150.0 * decay_factor(3600.0, 67.71 * 60.0), 2)
    81.16
    """
    return _like(elapsed_s, np.exp2(-np.asarray(elapsed_s, dtype=np.float64) / _checked(half_life_s)))


def elapsed_s(start: datetime, end: datetime) -> float:
    """Seconds from start to end.

    Two times with a zone are compared in UTC, so that an hour gained or lost by daylight saving counts as it passed.

    Raises
    ------
    InputError
        When one time has a zone and the other has none: the distance would be a guess.
    """
    zoned = (start.utcoffset() is not None, end.utcoffset() is not None)
    if zoned == (True, True):
        return (end.astimezone(UTC) - start.astimezone(UTC)).total_seconds()
    if any(zoned):
        raise InputError(
            "time difference",
            "time zone",
            f"{start.isoformat()} and {end.isoformat()}",
            "both times with a UTC offset, or both without",
        )
    return (end - start).total_seconds()


def activity_at(activity: float, reference: datetime, when: datetime, *, half_life_s: float) -> float:
    """Activity at another time than the one it was stated for, in the unit of the input.

    Parameters
    ----------
    activity : activity at ``reference``
    reference, when : both with a zone or both without
    half_life_s : seconds
    """
    return activity * decay_factor(elapsed_s(reference, when), half_life_s)


def mean_over_frame(duration_s: Times, half_life_s: float) -> Times:
    """Mean activity over a frame, relative to the activity at its start: (1 - exp(-x)) / x with x = lambda * duration.

    Raises
    ------
    InputError
        For a negative duration or a half-life that is not positive and finite.
    """
    return _like(duration_s, _mean_factor(_frame_exponent(duration_s, half_life_s)))


def average_count_rate_time_s(duration_s: Times, half_life_s: float) -> Times:
    """Time after the start of a frame at which the activity equals the frame's mean [s].

    T_ave = ln(x / (1 - exp(-x))) / lambda with x = lambda * duration. It tends to half the duration for short
    frames; below x = 0.25 the expansion 1/2 - x/24 + x^3/2880 - x^5/181440 + ... of T_ave/duration replaces the
    logarithm, which would lose digits.

    Parameters
    ----------
    duration_s : float or array, length of the frame [s], not negative
    half_life_s : seconds

    Raises
    ------
    InputError
        For a negative duration or a half-life that is not positive and finite.

    References
    ----------
    IBSI-SUV v3 (oncoray/suv_computation), average count rate time.
    """
    x = _frame_exponent(duration_s, half_life_s)
    small = x < 0.25
    safe = np.where(small, 1.0, x)
    fraction = np.where(small, _short_frame(x), np.log(safe / -np.expm1(-safe)) / safe)
    return _like(duration_s, np.asarray(duration_s, dtype=np.float64) * fraction)


def time_integrated(activity: Times, duration_s: float, half_life_s: float) -> Times:
    """Time-integrated activity from now over a duration, physical decay only [unit of activity times s].

    Parameters
    ----------
    activity : float or array, activity at the start
    duration_s : seconds; ``math.inf`` integrates to the end
    half_life_s : seconds

    Raises
    ------
    InputError
        For a negative or undefined duration, or a half-life that is not positive and finite.
    """
    if not duration_s >= 0:
        raise InputError("time-integrated activity", "duration_s", duration_s, "zero or more seconds")
    rate = _LN2 / _checked(half_life_s)
    return _like(activity, np.asarray(activity, dtype=np.float64) * (-math.expm1(-rate * duration_s) / rate))


def daughter_activity(
    parent_activity: float,
    elapsed_s: Times,
    *,
    parent_half_life_s: float,
    daughter_half_life_s: float,
    branch: float = 1.0,
    daughter_start: float = 0.0,
) -> Times:
    """Activity of a daughter after a time, by the two-member Bateman equation.

    The quotient of the textbook formula is evaluated as t exp(-min(lambda) t) (1 - exp(-z)) / z with
    z = abs(lambda2 - lambda1) t, which is exact for equal half-lives too.

    Parameters
    ----------
    parent_activity : activity of the parent at time zero
    elapsed_s : float or array, seconds, not negative
    parent_half_life_s, daughter_half_life_s : seconds
    branch : fraction of parent decays that feed the daughter
    daughter_start : activity of the daughter at time zero

    Raises
    ------
    InputError
        For negative times, a branch outside 0 to 1, or an unusable half-life.

    References
    ----------
    Bateman H, Proc Cambridge Philos Soc 15 (1910) 423-427.
    """
    t = np.asarray(elapsed_s, dtype=np.float64)
    if bool(np.any(t < 0)):
        raise InputError("ingrowth", "elapsed_s", float(np.min(t)), "zero or more seconds")
    if not 0.0 <= branch <= 1.0:
        raise InputError("ingrowth", "branch", branch, "a fraction between 0 and 1")
    rate_1, rate_2 = _LN2 / _checked(parent_half_life_s), _LN2 / _checked(daughter_half_life_s)
    grown = rate_2 * t * np.exp(-min(rate_1, rate_2) * t) * _mean_factor(abs(rate_2 - rate_1) * t)
    return _like(elapsed_s, daughter_start * np.exp(-rate_2 * t) + branch * parent_activity * grown)


def daughter_maximum_time_s(*, parent_half_life_s: float, daughter_half_life_s: float) -> float:
    """Time at which a daughter growing in from zero is most active [s]: ln(lambda2/lambda1) / (lambda2 - lambda1)."""
    rate_1, rate_2 = _LN2 / _checked(parent_half_life_s), _LN2 / _checked(daughter_half_life_s)
    relative = (rate_2 - rate_1) / rate_1
    return (math.log1p(relative) / relative if relative else 1.0) / rate_1


def activity_u(
    activity: Times,
    elapsed_s: float,
    *,
    half_life_s: float,
    half_life_u_s: float,
    activity_u_relative: float = 0.0,
    elapsed_u_s: float = 0.0,
) -> Times:
    """Standard uncertainty of a decay-corrected activity, in the unit of the activity.

    First-order propagation of A(t) = A(0) 2 ** (-t/T) (JCGM 100:2008, 5.1.2)::

        (u(A)/A)^2 = (u(A0)/A0)^2 + (ln 2 * t * u(T) / T^2)^2 + (ln 2 * u(t) / T)^2

    Parameters
    ----------
    activity : activity at the stated time, before correction
    elapsed_s : correction time [s], either sign
    half_life_s, half_life_u_s : half-life and its standard uncertainty [s]
    activity_u_relative : relative standard uncertainty of ``activity``
    elapsed_u_s : standard uncertainty of the time [s], for example of two unsynchronised clocks

    Raises
    ------
    InputError
        For a negative uncertainty or an unusable half-life.
    """
    half_life = _checked(half_life_s)
    for name, value in (
        ("half_life_u_s", half_life_u_s),
        ("activity_u_relative", activity_u_relative),
        ("elapsed_u_s", elapsed_u_s),
    ):
        if not value >= 0:
            raise InputError("decay uncertainty", name, value, "zero or a positive number")
    relative = math.hypot(
        activity_u_relative, _LN2 * elapsed_s * half_life_u_s / half_life**2, _LN2 * elapsed_u_s / half_life
    )
    decayed = np.asarray(activity, dtype=np.float64) * decay_factor(elapsed_s, half_life)
    return _like(activity, np.abs(decayed) * relative)


def _checked(half_life_s: float) -> float:
    if not (math.isfinite(half_life_s) and half_life_s > 0):
        raise InputError("decay", "half_life_s", half_life_s, "a positive finite number of seconds")
    return float(half_life_s)


def _frame_exponent(duration_s: Any, half_life_s: float) -> NDArray[np.float64]:
    duration = np.asarray(duration_s, dtype=np.float64)
    if not bool(np.all(duration >= 0)):
        raise InputError("frame", "duration_s", float(np.min(duration)), "zero or more seconds")
    out: NDArray[np.float64] = duration * (_LN2 / _checked(half_life_s))
    return out


def _mean_factor(x: NDArray[np.float64]) -> NDArray[np.float64]:
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, -np.expm1(-safe) / safe)


def _short_frame(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # ln(sinh(y)/y) by its Bernoulli numbers with y = x/2; the next term is 1e-17 at x = 0.25.
    q = x * x
    out: NDArray[np.float64] = 0.5 - x * (
        1 / 24 - q * (1 / 2880 - q * (1 / 181_440 - q * (1 / 9_676_800 - q / 479_001_600)))
    )
    return out


def _like(template: Times, value: Any) -> Times:
    array = np.asarray(value, dtype=np.float64)
    result: Any = array if isinstance(template, np.ndarray) else float(array)
    return cast(Times, result)
