"""Cox regression with what must be looked at before a hazard ratio is printed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import BoolArray, FloatArray, Record, check_level, finite, flags, normal_quantile, same_length
from fusin.stats.results import Estimate, TestResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cox", "cox", "separated_covariates"]

_EVENTS_PER_VARIABLE = 10
_PAIRS = 400_000  # comparisons in the search for separation


@dataclass(frozen=True, slots=True, kw_only=True)
class Cox(Record):
    """A fitted proportional-hazards model.

    Attributes
    ----------
    hazard_ratios : covariate to hazard ratio for one unit, Wald interval
    tests : covariate to Wald test
    model : likelihood-ratio test of all covariates together
    proportional : covariate to the Schoenfeld-residual score test (Kaplan-Meier time)
    concordance : Harrell's c of the fit on its own data
    n, n_events : patients and events
    events_per_variable : below 10 the ratios are unreliable, and a note says so
    separated : covariates along which the likelihood has no maximum; then nothing else is estimated
    notes : what a reader must know
    """

    hazard_ratios: Mapping[str, Estimate]
    tests: Mapping[str, TestResult]
    model: TestResult
    proportional: Mapping[str, TestResult]
    concordance: float | None
    n: int
    n_events: int
    events_per_variable: float
    separated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def separated_covariates(times: FloatArray, events: BoolArray, x: FloatArray, names: Sequence[str]) -> tuple[str, ...]:
    """Covariates along which the partial likelihood rises for ever.

    It does so when a direction b exists in which each failing patient is at least as high as all others at risk, and
    somewhere higher. That is a linear programme over all pairs (failing, at risk); larger tables than 400 000 pairs
    are searched one covariate at a time.

    References
    ----------
    Bryson and Johnson, Technometrics 1981;23:381; Heinze and Schemper, Biometrics 2001;57:114.
    """
    from scipy.optimize import linprog

    fails = np.flatnonzero(events)
    if len(fails) * len(times) > _PAIRS:
        order = np.argsort(-times, kind="stable")
        found = [name for name, column in zip(names, x.T, strict=True) if _monotone(times, events, column, order)]
        return tuple(found)
    gaps = np.concatenate([x[i] - x[times >= times[i]] for i in fails]) if len(fails) else np.zeros((0, x.shape[1]))
    spread = np.ptp(x, axis=0)
    gaps = np.unique(gaps / np.where(spread > 0, spread, 1.0), axis=0)
    gaps = gaps[np.abs(gaps).max(axis=1) > 0] if len(gaps) else gaps
    if len(gaps) == 0:
        return ()
    answer = linprog(-gaps.sum(axis=0), A_ub=-gaps, b_ub=np.zeros(len(gaps)), bounds=[(-1.0, 1.0)] * x.shape[1])
    direction = np.asarray(answer.x, dtype=np.float64)
    if float((gaps @ direction).sum()) <= 1e-7:
        return ()
    return tuple(name for name, b in zip(names, direction, strict=True) if abs(b) > 1e-7)


def _monotone(times: FloatArray, events: BoolArray, column: FloatArray, order: np.typing.NDArray[np.intp]) -> bool:
    """Whether each failing patient has the highest (or always the lowest) value among those at risk."""
    _, group = np.unique(-times, return_inverse=True)
    last = np.searchsorted(np.sort(group), group, side="right") - 1
    high = np.maximum.accumulate(column[order])[last]
    low = np.minimum.accumulate(column[order])[last]
    if np.array_equal(high[events], low[events]):
        return False
    return bool((column[events] == high[events]).all() or (column[events] == low[events]).all())


def cox(
    covariates: pd.DataFrame | Mapping[str, ArrayLike], time: ArrayLike, event: ArrayLike, *, level: float = 0.95
) -> Cox:
    """Proportional-hazards regression (Efron ties) with its diagnostics.

    Parameters
    ----------
    covariates : named columns of numbers (categories coded by the caller), complete
    time, event : follow-up and event flag, (n,)
    level : confidence level

    Returns
    -------
    Cox
        Where the likelihood has no maximum (a covariate separates those who fail), no ratio is given and ``separated``
        names the covariates; a log-rank test or exact method answers instead.

    Raises
    ------
    InvalidValue
        For missing values, no events, a covariate that does not vary, or covariates that determine one another.

    References
    ----------
    Cox, J R Stat Soc B 1972;34:187; Grambsch and Therneau, Biometrika 1994;81:515; Peduzzi et al., J Clin Epidemiol
    1995;48:1503 (events per variable).
    """
    import pandas as pd

    what = "Cox regression"
    check_level(level, what=what)
    frame = pd.DataFrame({str(k): finite(np.asarray(v), str(k), what=what) for k, v in dict(covariates).items()})
    times, events = finite(time, "time", what=what), flags(event, "event", what=what)
    same_length(what, covariates=frame.to_numpy(), time=times, event=events)
    x, names = frame.to_numpy(dtype=np.float64), list(frame.columns)
    _check_design(x, names, times, events)
    n_events = int(events.sum())
    ratio = n_events / len(names)
    notes = []
    if ratio < _EVENTS_PER_VARIABLE:
        notes.append(f"{n_events} events for {len(names)} covariates: fewer than 10 for each, so ratios are unreliable")
    separated = separated_covariates(times, events, x, names)
    if separated:
        return _without_maximum(names, separated, len(times), n_events, ratio, notes, level)
    return _fitted(frame, times, events, ratio, notes, level)


def _check_design(x: FloatArray, names: list[str], times: FloatArray, events: BoolArray) -> None:
    what = "Cox regression"
    if (times < 0).any() or not events.any():
        found = "no events" if not events.any() else f"a time of {times.min():g}"
        raise InvalidValue(what, found, "events, and times of 0 or more", "NO_EVENTS")
    constant = [name for name, column in zip(names, x.T, strict=True) if np.ptp(column) == 0.0]
    if constant:
        raise InvalidValue(what, f"{', '.join(constant)} does not vary", "covariates that vary", "CONSTANT_COVARIATE")
    centred = (x - x.mean(axis=0)) / x.std(axis=0)
    if np.linalg.matrix_rank(centred) < x.shape[1]:
        raise InvalidValue(
            what, "covariates determine one another", "covariates that are no sums of others", "COLLINEAR"
        )


def _without_maximum(
    names: list[str], separated: tuple[str, ...], n: int, n_events: int, ratio: float, notes: list[str], level: float
) -> Cox:
    note = f"complete separation: the likelihood has no maximum along {', '.join(separated)}"
    blank = Estimate(
        value=None, low=None, high=None, method="Cox, Wald interval", n=n, k=n_events, level=level, note=note
    )
    test = TestResult(test="Wald test", p=None, n=n, note=note)
    return Cox(
        hazard_ratios=dict.fromkeys(names, blank),
        tests=dict.fromkeys(names, test),
        model=TestResult(test="likelihood-ratio test", p=None, n=n, df=len(names), note=note),
        proportional={},
        concordance=None,
        n=n,
        n_events=n_events,
        events_per_variable=ratio,
        separated=separated,
        notes=(*notes, note),
    )


def _fitted(
    frame: pd.DataFrame, times: FloatArray, events: BoolArray, ratio: float, notes: list[str], level: float
) -> Cox:
    from lifelines import CoxPHFitter  # type: ignore[import-untyped]  # lifelines ships no types
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning  # type: ignore[import-untyped]  # lifelines ships no types

    data = frame.set_axis([f"x{i}" for i in range(frame.shape[1])], axis=1)
    data = data.assign(duration=times, failed=events)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = CoxPHFitter(alpha=1.0 - level).fit(data, "duration", "failed", fit_options={"precision": 1e-11})
        except ConvergenceError as err:
            raise InvalidValue(
                "Cox regression", "the fit did not converge", "fewer or rescaled covariates", "NO_CONVERGENCE"
            ) from err
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        notes.append("the fit converged poorly: look at the ranges of the covariates")
    z, n, n_events = normal_quantile(level), len(times), int(events.sum())
    ratios, tests = {}, {}
    for name, coefficient, error, p in zip(
        frame.columns, fit.params_.to_numpy(), fit.standard_errors_.to_numpy(), fit.summary["p"].to_numpy(), strict=True
    ):
        low, high = (math.exp(float(coefficient) + s * z * float(error)) for s in (-1, 1))
        ratios[name] = Estimate(
            value=math.exp(coefficient),
            low=low,
            high=high,
            method="Cox (Efron), Wald interval",
            n=n,
            k=n_events,
            level=level,
        )
        details = {"coefficient": float(coefficient), "standard_error": float(error)}
        tests[name] = TestResult(
            test="Wald test", p=float(p), statistic=float(coefficient / error), n=n, details=details
        )
    likelihood = fit.log_likelihood_ratio_test()
    return Cox(
        hazard_ratios=ratios,
        tests=tests,
        model=TestResult(
            test="likelihood-ratio test",
            p=float(likelihood.p_value),
            statistic=float(likelihood.test_statistic),
            df=frame.shape[1],
            n=n,
        ),
        proportional=_proportional(
            frame.to_numpy(dtype=np.float64), times, events, fit.params_.to_numpy(dtype=np.float64), list(frame.columns)
        ),
        concordance=float(fit.concordance_index_),
        n=n,
        n_events=n_events,
        events_per_variable=ratio,
        notes=tuple(notes),
    )


def _at_risk_moments(
    x: FloatArray, times: FloatArray, events: BoolArray, moment: float, risk: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sum of Schoenfeld residuals at one event time and the covariance of the covariates there, ties after Efron."""
    inside = times >= moment
    dead = (times == moment) & events
    tied = int(dead.sum())
    residual, spread = x[dead].sum(axis=0), np.zeros((x.shape[1], x.shape[1]))
    for step in range(tied):
        weight = risk[inside] * (1.0 - step / tied * dead[inside])
        weight = weight / weight.sum()
        mean = weight @ x[inside]
        gap = x[inside] - mean
        residual = residual - mean
        spread += (weight[:, None] * gap).T @ gap
    return residual, spread


def _proportional(
    x: FloatArray, times: FloatArray, events: BoolArray, coefficients: FloatArray, names: list[str]
) -> dict[str, TestResult]:
    """Score test of each covariate against its product with Kaplan-Meier time, as R's cox.zph from survival 3 on."""
    from scipy.stats import chi2

    risk = np.exp((x - x.mean(axis=0)) @ coefficients)
    size = x.shape[1]
    score, first, second, plain = np.zeros(size), np.zeros((size, size)), np.zeros(size), np.zeros((size, size))
    left = 1.0
    for moment in np.unique(times[events]):
        residual, spread = _at_risk_moments(x, times, events, float(moment), risk)
        # The curve just before the event: the weight must not look at the event itself.
        clock = 1.0 - left
        score += clock * residual
        first += clock * spread
        second += clock**2 * spread.diagonal()
        plain += spread
        left *= 1.0 - ((times == moment) & events).sum() / (times >= moment).sum()
    variance = second - np.einsum("ij,ij->j", first, np.linalg.solve(plain, first))
    tests = {}
    for name, u, v in zip(names, score.tolist(), variance.tolist(), strict=True):
        test = "score test of proportional hazards (Schoenfeld residuals, Kaplan-Meier time)"
        # With fewer than two distinct event times nothing can change with time.
        usable = v > 1e-12 * max(float(second.max()), 1e-300)
        statistic = u * u / v if usable else None
        p = float(chi2.sf(statistic, 1)) if statistic is not None else None
        note = "" if usable else "too few event times"
        tests[name] = TestResult(test=test, p=p, statistic=statistic, df=1, n=len(times), note=note)
    return tests
