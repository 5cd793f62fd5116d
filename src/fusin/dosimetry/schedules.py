"""When to scan: the expected error of the time-integrated activity by times of scans and method.

The truth is A exp(-ln 2 t / T) with a lognormal half-life T that ends at physical decay; every scan has an independent lognormal
error. Methods: Hänscheid and Madsen of a single scan, the maximum of the posterior density (prior: the distribution of T
itself), and a mono-exponential curve through two scans or more. The error of Hänscheid without measurement error is
f(x) - 1, f = 2x 2^(-x), x = t / T. An uptake phase is left out; scans before its end are worse than they look here.

References
----------
Hänscheid H et al., J Nucl Med 2018;59:75. Madsen M et al., Med Phys 2018;45:2318.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.nuclide_exchange import physical_half_life_h
from fusin.errors import InputError
from fusin.stats.proportions import proportion
from fusin.stats.results import Estimate

__all__ = ["METHODS", "ScheduleError", "parse_schedule", "schedule_errors"]

FloatArray = NDArray[np.float64]
METHODS = ("haenscheid", "madsen", "map", "mono")
_ONE_SCAN = ("haenscheid", "madsen")
_LN2 = math.log(2.0)
_GRID = 161
_REACH = 5.0
_LATEST = 100
_LARGE = 0.1
_LEAST_DRAWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleError:
    """Expected error of one method with one schedule.

    Attributes
    ----------
    times_h : of the scans [h]
    method : one of `METHODS`
    bias : median relative error
    rms : root mean square of the relative error
    rms_u : its standard error from the number of draws
    beyond_10_percent : share of patients whose error is larger than 10 %, with the interval of the simulation
    """

    times_h: tuple[float, ...]
    method: str
    bias: float
    rms: float
    rms_u: float
    beyond_10_percent: Estimate


def parse_schedule(text: str, option: str = "--schedule") -> tuple[float, ...]:
    """Times of scans from text such as ``48,96``.

    Raises
    ------
    InputError
        For what is no list of one to twelve different positive hours.
    """
    try:
        times = tuple(float(part) for part in text.split(","))
    except ValueError as err:
        raise InputError(option, "times", text, "hours after the administration, such as 48,96") from err
    return _checked(times, option)


def schedule_errors(
    schedules: Sequence[Sequence[float]], *, median_h: float, sigma: float, nuclide: str, scan_u: float, draws: int = 4000,
    seed: int = 0,
) -> tuple[ScheduleError, ...]:  # fmt: skip
    """Expected errors of every schedule with every method that it serves.

    Parameters
    ----------
    schedules : times of scans [h]
    median_h, sigma : lognormal distribution of the effective half-life: median [h] and SD of the logarithm
    nuclide : whose decay is the longest half-life
    scan_u : relative standard uncertainty of each measured activity, from 0 to below 1
    draws, seed : of the simulation; all schedules share the patients

    Returns
    -------
    One entry per schedule and method; ``mono`` needs two scans, Hänscheid and Madsen take one.

    Raises
    ------
    InputError
        For numbers that cannot be.

    Examples
    --------
    >>> found = schedule_errors([[48.0]], median_h=39.83, sigma=0.2404, nuclide="Lu-177", scan_u=0.0)
    >>> found[0].method, round(100 * found[0].rms)
    ('haenscheid', 5)
    """
    physical = physical_half_life_h(nuclide)
    _check(median_h, sigma, scan_u, physical, draws)
    rng = np.random.default_rng(seed)
    from scipy.special import ndtr, ndtri

    most = float(ndtr(math.log(physical / median_h) / sigma)) if sigma > 0 else 1.0
    half_lives = median_h * np.exp(sigma * ndtri(np.maximum(rng.random(draws), 1e-12) * most))
    found = []
    for one in schedules:
        times = np.asarray(_checked(tuple(float(t) for t in one), "schedule"))
        if times[-1] > _LATEST * median_h:
            raise InputError(
                "schedule", "last scan", float(times[-1]), f"at most {_LATEST} half-lives of {median_h:g} h"
            )
        noise = math.sqrt(math.log1p(scan_u**2)) * rng.normal(size=(draws, times.size))
        logs = -_LN2 * times / half_lives[:, None] + noise
        truth = half_lives / _LN2
        for method in METHODS:
            if (method == "mono" and times.size < 2) or (method in _ONE_SCAN and times.size > 1):
                continue
            integral = _integral(method, times, logs, median_h, sigma, scan_u, physical)
            found.append(_summary(tuple(times.tolist()), method, integral / truth - 1.0))
    return tuple(found)


def _integral(
    method: str, times: FloatArray, logs: FloatArray, median_h: float, sigma: float, scan_u: float, physical: float
) -> FloatArray:
    """Time-integrated activity of every patient, per unit of activity at t = 0."""
    last, activity = float(times[-1]), np.exp(logs[:, -1])
    if method == "haenscheid":
        return activity * 2.0 * last / _LN2
    if method == "madsen":
        return np.asarray(activity * 2.0 ** (last / median_h) * median_h / _LN2)
    if method == "mono":
        centred = times - times.mean()
        rate = np.maximum(-(logs @ centred) / float(centred @ centred), _LN2 / physical)
        return np.asarray(np.exp(logs.mean(axis=1) + rate * times.mean()) / rate)
    return _posterior_mode(times, logs, median_h, sigma, scan_u, physical)


def _posterior_mode(
    times: FloatArray, logs: FloatArray, median_h: float, sigma: float, scan_u: float, physical: float
) -> FloatArray:
    """Maximum of the density in (log A, log T), flat in log A, on a grid of T with a parabola about its best."""
    top = min(math.log(median_h) + _REACH * sigma, math.log(physical))
    grid = np.linspace(math.log(median_h) - _REACH * sigma, top, _GRID)
    rates = _LN2 * np.exp(-grid)
    centred = times - times.mean()
    # Residuals about the best amplitude: squared deviations of logs from a line of slope -rate.
    spread, cross = float(centred @ centred), logs @ centred
    misfit = 2.0 * cross[:, None] * rates + spread * rates**2
    variance = max(math.log1p(scan_u**2), 1e-8)
    score = -0.5 * misfit / variance - 0.5 * ((grid - math.log(median_h)) / max(sigma, 1e-9)) ** 2
    place = np.clip(score.argmax(axis=1), 1, _GRID - 2)
    rows = np.arange(place.size)
    below, here, above = (score[rows, place + d] for d in (-1, 0, 1))
    bend = below - 2.0 * here + above
    shift = np.where(bend < 0, 0.5 * (below - above) / np.where(bend < 0, bend, 1.0), 0.0)
    best = np.minimum(grid[place] + np.clip(shift, -1.0, 1.0) * (grid[1] - grid[0]), top)
    rate = _LN2 * np.exp(-best)
    return np.asarray(np.exp(logs.mean(axis=1) + rate * times.mean()) / rate)


def _summary(times: tuple[float, ...], method: str, errors: FloatArray) -> ScheduleError:
    squares = errors**2
    rms = math.sqrt(float(squares.mean()))
    u = float(squares.std(ddof=1)) / math.sqrt(errors.size) / (2.0 * rms) if rms > 0 else 0.0
    beyond = proportion(int(np.sum(np.abs(errors) > _LARGE)), errors.size)
    return ScheduleError(
        times_h=times, method=method, bias=float(np.median(errors)), rms=rms, rms_u=u, beyond_10_percent=beyond
    )


def _checked(times: tuple[float, ...], where: str) -> tuple[float, ...]:
    if not 1 <= len(times) <= 12 or len(set(times)) != len(times) or not all(math.isfinite(t) and t > 0 for t in times):
        raise InputError(where, "times", ", ".join(f"{t:g}" for t in times) or "none",
                         "one to twelve different positive hours, such as 48,96")  # fmt: skip
    return tuple(sorted(times))


def _check(median_h: float, sigma: float, scan_u: float, physical: float, draws: int) -> None:
    if not (math.isfinite(median_h) and 0 < median_h <= physical * (1 + 1e-9)):
        raise InputError("schedule", "effective half-life", median_h, f"a positive number of at most {physical:g} h")
    if not (math.isfinite(sigma) and 0 < sigma < 3):
        raise InputError(
            "schedule", "spread of the half-life", sigma, "a standard deviation of the logarithm above 0, below 3"
        )
    if not (math.isfinite(scan_u) and 0 <= scan_u < 1):
        raise InputError(
            "schedule", "uncertainty of a scan", scan_u, "a relative uncertainty from 0 to below 1 (0.05 for 5 %)"
        )
    if draws < _LEAST_DRAWS:
        raise InputError("schedule", "draws", draws, f"at least {_LEAST_DRAWS}")
