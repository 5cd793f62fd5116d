"""Decision, detection and determination limits of counting (Currie 1968).

With the variance of the net counts of an empty sample s0^2 = B + u_B^2 (B expected background counts in the sample's time)::

    L_C = k s0                          decision: a net signal above it is more than background
    L_D = k^2 + 2 L_C                   detection: a true signal that is found with the same risk
    L_Q = (q^2/2) (1 + sqrt(1 + 4 s0^2 / q^2))     determination: relative SD 1/q, with q = 10

Equal times and a paired blank give s0^2 = 2 B, hence 2.33 sqrt(B), 2.71 + 4.65 sqrt(B) and 50 (1 + sqrt(1 + B/12.5)).

References
----------
Currie LA, Anal Chem 1968;40:586-593.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import ndtri

from fusin.errors import InvalidValue

__all__ = ["CurrieLimits", "currie_limits", "currie_limits_of_times"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrieLimits:
    """Limits in net counts, and as rates where the time is known.

    Attributes
    ----------
    decision, detection, determination : L_C, L_D, L_Q [counts]
    background_counts : expected background in the time of the sample [counts]
    background_u_counts : standard uncertainty of that number [counts]
    risk : of a false decision, the same for both kinds
    """

    decision: float
    detection: float
    determination: float
    background_counts: float
    background_u_counts: float
    risk: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def currie_limits(
    background_counts: float,
    *,
    background_u_counts: float | None = None,
    risk: float = 0.05,
    determination: float = 10.0,
) -> CurrieLimits:
    """Limits for a sample over a background.

    Parameters
    ----------
    background_counts : expected background in the counting time of the sample [counts]
    background_u_counts : its standard uncertainty [counts]; the square root (one blank of equal time) when None
    risk : of deciding wrongly, for both kinds of error
    determination : value over SD at the determination limit

    Raises
    ------
    InvalidValue
        For a negative background or uncertainty, or a risk outside 0 to 0.5.
    """
    what = "Currie limits"
    if not (math.isfinite(background_counts) and background_counts >= 0):
        raise InvalidValue(
            what, f"the background is {background_counts} counts", "zero or more counts", "COUNT_INVALID"
        )
    if not 0.0 < risk < 0.5:
        raise InvalidValue(what, f"the risk is {risk}", "a fraction between 0 and 0.5, such as 0.05", "BAD_LEVEL")
    u = math.sqrt(background_counts) if background_u_counts is None else background_u_counts
    if not (math.isfinite(u) and u >= 0.0):
        raise InvalidValue(what, f"the uncertainty of the background is {u}", "zero or more counts", "BAD_UNCERTAINTY")
    if not determination > 0.0:
        raise InvalidValue(
            what, f"value over SD is {determination}", "a positive number, such as 10", "BAD_UNCERTAINTY"
        )
    k, variance = -float(ndtri(risk)), background_counts + u * u
    decision = k * math.sqrt(variance)
    q2 = determination * determination
    return CurrieLimits(
        decision=decision,
        detection=k * k + 2.0 * decision,
        determination=q2 / 2.0 * (1.0 + math.sqrt(1.0 + 4.0 * variance / q2)),
        background_counts=background_counts,
        background_u_counts=u,
        risk=risk,
    )


def currie_limits_of_times(
    blank_counts: float, *, blank_time_s: float, sample_time_s: float, risk: float = 0.05, determination: float = 10.0
) -> CurrieLimits:
    """Limits for a sample when the blank was counted for another time.

    Parameters
    ----------
    blank_counts : counts of the blank
    blank_time_s, sample_time_s : live times [s]
    risk, determination : as in `currie_limits`

    Raises
    ------
    InvalidValue
        For a time that is not positive, and as `currie_limits`.
    """
    for name, value in (("blank", blank_time_s), ("sample", sample_time_s)):
        if not (math.isfinite(value) and value > 0):
            raise InvalidValue(
                "Currie limits", f"the {name} was counted for {value} s", "a positive time in seconds", "COUNTING_TIME"
            )
    if not blank_counts >= 0:
        raise InvalidValue(
            "Currie limits", f"the blank has {blank_counts} counts", "zero or more counts", "COUNT_INVALID"
        )
    ratio = sample_time_s / blank_time_s
    return currie_limits(
        blank_counts * ratio,
        background_u_counts=math.sqrt(blank_counts) * ratio,
        risk=risk,
        determination=determination,
    )
