"""Curves of the bench: functions that numpy can evaluate for many parameter sets at once, also complex ones.

A function is called as ``function(x, *parameters)``. ``x`` is an array of shape (n,), or of shape (m, n) for m predictors;
each parameter is a number or an array of shape (..., 1). Complex parameters give the derivative without rounding noise
(complex step), so a function must not use ``abs``, comparisons or ``max`` on what depends on a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = [
    "MODELS",
    "Model",
    "association",
    "bi_exponential",
    "hyperbola",
    "line",
    "mono_exponential",
    "one_site",
    "plateau_decay",
    "tri_exponential",
    "variable_slope",
]

FloatArray = NDArray[np.float64]
Candidates = Callable[[FloatArray], Mapping[str, Sequence[float]]]
LN10 = float(np.log(10.0))
_LARGEST = 700.0


def _no_candidates(x: FloatArray) -> Mapping[str, Sequence[float]]:
    return {}


def _no_domain(x: FloatArray) -> Mapping[str, tuple[float, float]]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """One curve.

    Attributes
    ----------
    name : how reports call it
    parameters : names in the order of the arguments
    function : ``function(x, *parameters)``
    formula : the equation as a reader would write it
    linear : parameters in which the curve is linear; the search for starting values solves for them
    candidates : values worth trying for the other parameters, from ``x``
    citation : where the equation stands
    canonical : of all parameter sets that give the same curve (exchanged exponentials, a slope with the other sign), the
        one that is reported
    domain : from ``x``, limits beyond which a parameter is not followed: there curves differ by rounding only
    """

    name: str
    parameters: tuple[str, ...]
    function: Callable[..., Any]
    formula: str
    linear: tuple[str, ...] = ()
    candidates: Candidates = field(default=_no_candidates)
    citation: str = ""
    canonical: Callable[[tuple[float, ...]], tuple[float, ...]] = tuple
    domain: Callable[[FloatArray], Mapping[str, tuple[float, float]]] = _no_domain

    def __call__(self, x: FloatArray, **values: Any) -> Any:
        """The curve at ``x``.

        Raises
        ------
        InputError
            For a parameter that is missing or unknown.
        """
        if set(values) != set(self.parameters):
            raise InputError(self.name, "parameters", ", ".join(sorted(values)), ", ".join(self.parameters))
        return self.function(np.asarray(x, dtype=float), *(values[p] for p in self.parameters))


def bounded_exp(z: Any) -> Any:
    """Exponential of an array whose real part may be beyond the range of numbers; its slope is then 0 or huge."""
    if np.iscomplexobj(z):
        return np.exp(np.clip(z.real, -_LARGEST, _LARGEST) + 1j * z.imag)
    return np.exp(np.clip(z, -_LARGEST, _LARGEST))


def rising_share(log_x: FloatArray, log_middle: Any, hill: Any) -> Any:
    """Share of the whole response at a log10 concentration, 0 at -inf (no compound) and 1 at +inf."""
    finite = np.isfinite(log_x)
    z = LN10 * hill * (np.where(finite, log_x, 0.0) - log_middle)
    return np.where(finite, 1.0 / (1.0 + bounded_exp(-z)), np.where(log_x > 0, 1.0, 0.0))


def _variable_slope(log_x: FloatArray, start: Any, end: Any, log_ic50: Any, hill: Any) -> Any:
    return start + (end - start) * rising_share(log_x, log_ic50, hill)


def _one_site(log_x: FloatArray, start: Any, end: Any, log_ic50: Any) -> Any:
    return start + (end - start) * rising_share(log_x, log_ic50, 1.0)


def _hyperbola(x: FloatArray, bmax: Any, log_kd: Any) -> Any:
    return bmax * x / (bounded_exp(LN10 * log_kd) + x)


def _line(x: FloatArray, intercept: Any, slope: Any) -> Any:
    return intercept + slope * x


def _mono_exponential(x: FloatArray, amplitude: Any, rate: Any) -> Any:
    return amplitude * bounded_exp(-rate * x)


def _plateau_decay(x: FloatArray, start: Any, plateau: Any, rate: Any) -> Any:
    return plateau + (start - plateau) * bounded_exp(-rate * x)


def _association(x: FloatArray, plateau: Any, rate: Any) -> Any:
    return plateau * (1.0 - bounded_exp(-rate * x))


def _bi_exponential(x: FloatArray, plateau: Any, fast: Any, fast_rate: Any, slow: Any, slow_rate: Any) -> Any:
    return plateau + fast * bounded_exp(-fast_rate * x) + slow * bounded_exp(-slow_rate * x)


def _tri_exponential(x: FloatArray, a1: Any, k1: Any, a2: Any, k2: Any, a3: Any, k3: Any) -> Any:
    return a1 * bounded_exp(-k1 * x) + a2 * bounded_exp(-k2 * x) + a3 * bounded_exp(-k3 * x)


def log_candidates(log_x: FloatArray) -> dict[str, Sequence[float]]:
    """Middles over the finite log concentrations, and slopes that are usual or fit their range."""
    finite = np.asarray(log_x, dtype=float).ravel()
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-9.0, -6.0)
    span = max(high - low, 1e-3)
    slopes = sorted({0.5, 1.0, 2.0, 4.0, *(c / span for c in (0.7, 1.5, 3.0, 6.0))})
    return {"log_ic50": np.linspace(low, high, 13).tolist(), "hill": slopes}


def decades_around(log_x: FloatArray, *names: str) -> dict[str, tuple[float, float]]:
    """Six decades beyond the log concentrations on either side, for the parameters named."""
    finite = np.asarray(log_x, dtype=float).ravel()
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return {}
    # Curves over another axis than decades (NIST Rat42 is in days) have a span of their own.
    beyond = max(6.0, 2.0 * float(np.ptp(finite)))
    return dict.fromkeys(names, (float(finite.min()) - beyond, float(finite.max()) + beyond))


def kd_domain(x: FloatArray) -> dict[str, tuple[float, float]]:
    """Six decades around the positive concentrations, for the logarithms of dissociation constants."""
    positive = np.asarray(x, dtype=float)
    positive = positive[(positive > 0) & np.isfinite(positive)]
    return decades_around(np.log10(positive), "log_kd", "log_kd_low")


def log_span(x: FloatArray, count: int, *, below: float = 1.0, above: float = 1.0) -> list[float]:
    """Values between the smallest and the largest positive ``x``, equally spaced on a log scale."""
    positive = np.asarray(x, dtype=float)
    positive = positive[(positive > 0) & np.isfinite(positive)]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1.0, 1.0)
    return [float(v) for v in np.geomspace(below * low, above * high * (1 + 1e-9), count)]


def kd_candidates(x: FloatArray) -> dict[str, Sequence[float]]:
    """Dissociation constants from a tenth of the lowest to ten times the highest concentration, as log10."""
    return {"log_kd": np.log10(log_span(x, 16, below=0.1, above=10.0)).tolist()}


def _falling(terms: tuple[float, ...]) -> tuple[float, ...]:
    """Pairs of amplitude and rate, the fastest first."""
    pairs = sorted(zip(terms[::2], terms[1::2], strict=True), key=lambda pair: -pair[1])
    return tuple(value for pair in pairs for value in pair)


def _rates(x: FloatArray, count: int) -> list[float]:
    """Rate constants whose time constants lie within the times measured."""
    return [1.0 / t for t in log_span(x, count, below=0.3, above=3.0)]


one_site = Model(
    name="one-site competition",
    parameters=("start", "end", "log_ic50"),
    function=_one_site,
    formula="Y = start + (end - start) / (1 + 10^(logIC50 - X))",
    linear=("start", "end"),
    candidates=lambda x: {"log_ic50": log_candidates(x)["log_ic50"]},
    domain=lambda x: decades_around(x, "log_ic50"),
    citation="GraphPad Prism 8 Curve Fitting Guide, One site - Fit logIC50",
)
"""X: log10 concentration; ``start`` without compound, ``end`` at complete displacement."""

variable_slope = Model(
    name="variable-slope competition",
    parameters=("start", "end", "log_ic50", "hill"),
    function=_variable_slope,
    formula="Y = start + (end - start) / (1 + 10^(Hill (logIC50 - X)))",
    linear=("start", "end"),
    candidates=log_candidates,
    domain=lambda x: decades_around(x, "log_ic50"),
    canonical=lambda p: p if p[3] >= 0 else (p[1], p[0], p[2], -p[3]),
    citation="four-parameter logistic; Ritz et al., PLoS ONE 2015;10:e0146021 (LL.4)",
)

hyperbola = Model(
    name="one-site specific binding",
    parameters=("bmax", "log_kd"),
    function=_hyperbola,
    formula="Y = Bmax X / (Kd + X)",
    linear=("bmax",),
    candidates=kd_candidates,
    domain=kd_domain,
    citation="GraphPad Prism 7 Curve Fitting Guide, One site - Specific binding",
)

line = Model(
    name="line",
    parameters=("intercept", "slope"),
    function=_line,
    formula="Y = intercept + slope X",
    linear=("intercept", "slope"),
)

mono_exponential = Model(
    name="mono-exponential",
    parameters=("amplitude", "rate"),
    function=_mono_exponential,
    formula="Y = amplitude exp(-rate X)",
    linear=("amplitude",),
    candidates=lambda x: {"rate": _rates(x, 12)},
)

plateau_decay = Model(
    name="mono-exponential to a plateau",
    parameters=("start", "plateau", "rate"),
    function=_plateau_decay,
    formula="Y = plateau + (start - plateau) exp(-rate X)",
    linear=("start", "plateau"),
    candidates=lambda x: {"rate": _rates(x, 12)},
)
"""Efflux: ``start`` at X = 0 falls (or rises) to ``plateau``; the half-life is ln 2 / rate."""

association = Model(
    name="association",
    parameters=("plateau", "rate"),
    function=_association,
    formula="Y = plateau (1 - exp(-rate X))",
    linear=("plateau",),
    candidates=lambda x: {"rate": _rates(x, 12)},
)

bi_exponential = Model(
    name="bi-exponential",
    parameters=("plateau", "fast", "fast_rate", "slow", "slow_rate"),
    function=_bi_exponential,
    formula="Y = plateau + fast exp(-fast_rate X) + slow exp(-slow_rate X)",
    linear=("plateau", "fast", "slow"),
    candidates=lambda x: {"fast_rate": _rates(x, 9), "slow_rate": [0.7 * r for r in _rates(x, 9)]},
    canonical=lambda p: (p[0], *_falling(p[1:])),
)
"""Fix ``plateau`` at 0 for a curve that ends there."""

tri_exponential = Model(
    name="tri-exponential",
    parameters=("a1", "k1", "a2", "k2", "a3", "k3"),
    function=_tri_exponential,
    formula="Y = a1 exp(-k1 X) + a2 exp(-k2 X) + a3 exp(-k3 X)",
    linear=("a1", "a2", "a3"),
    candidates=lambda x: {
        "k1": _rates(x, 6),
        "k2": [0.8 * r for r in _rates(x, 6)],
        "k3": [0.6 * r for r in _rates(x, 6)],
    },
    canonical=_falling,
)

MODELS: Mapping[str, Model] = {
    m.name: m
    for m in (
        one_site,
        variable_slope,
        hyperbola,
        line,
        mono_exponential,
        plateau_decay,
        association,
        bi_exponential,
        tri_exponential,
    )
}
"""Curves by name."""
