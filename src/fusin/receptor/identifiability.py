"""What data could tell about the parameters of a model: Fisher information, its rank, and profiles.

With outputs y_i of relative scatter s and relative derivatives S_ij = dy_i / dln p_j / (s y_i), the information is S'S. Its rank
counts combinations of parameters that the data bound; a parameter outside of that space can take any value if the others follow.
A profile holds one parameter, fits all others again, and shows how far the data let it go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable

__all__ = ["Identifiability", "ParameterInformation", "Profile", "identifiability", "profile"]

FloatArray = NDArray[np.float64]
Outputs = Callable[[Mapping[str, float]], FloatArray]
"""Values of the data that a model predicts for parameters."""

_STEP = 1e-3
# Directions that are this much weaker than the strongest are lost in the error of the derivatives.
_RANK = 1e-6
# Percent: below half of a value it is bounded; a factor of ten is ln 10 and no bound for practice.
_BOUND, _LOOSE = 50.0, 230.0
_CHI2_95 = 3.841458820694124
"""95 % of the chi-squared distribution with one degree of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterInformation:
    """What the data say about one parameter.

    Attributes
    ----------
    name, value : of the parameter
    sensitivity : root mean square of the relative derivatives, percent per percent
    alone_percent : standard deviation if all others were known (Cramer-Rao)
    together_percent : standard deviation with the others unknown; None where the data do not bound it
    verdict : bounded, loosely bounded, practically not identifiable, or not identifiable
    """

    name: str
    value: float
    sensitivity: float
    alone_percent: float | None
    together_percent: float | None
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identifiability:
    """Result for all parameters.

    Attributes
    ----------
    parameters : one for each
    rank : combinations that the data bound
    eigenvalues : of the information, greatest first
    weakest : relative weights of the parameters in the weakest direction
    points : number of data
    """

    parameters: tuple[ParameterInformation, ...]
    rank: int
    eigenvalues: FloatArray
    weakest: Mapping[str, float]
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How far one parameter may go.

    Attributes
    ----------
    name, value : of the parameter
    factors : by which it was multiplied
    loss : rise of chi-squared with all others fitted again
    low, high : limits at 95 %; None where the profile stays below the limit as far as it was followed
    """

    name: str
    value: float
    factors: tuple[float, ...]
    loss: tuple[float, ...]
    low: float | None
    high: float | None


def _derivatives(outputs: Outputs, values: Mapping[str, float], scatter: float) -> tuple[FloatArray, FloatArray]:
    """Outputs, and their scaled derivatives by the logarithm of each parameter (points, parameters)."""
    base = np.asarray(outputs(values), dtype=np.float64)
    if base.size == 0 or not np.all(np.isfinite(base)) or np.any(base <= 0):
        raise NotComputable("identifiability", "an output is 0, negative or not finite", "outputs above 0 at every moment",
                            "OUTPUT_NOT_POSITIVE")  # fmt: skip
    columns = []
    for name, value in values.items():
        up = np.asarray(outputs({**values, name: value * math.exp(_STEP)}))
        down = np.asarray(outputs({**values, name: value * math.exp(-_STEP)}))
        columns.append((up - down) / (2 * _STEP) / (scatter * base))
    return base, np.stack(columns, axis=1)


def identifiability(outputs: Outputs, values: Mapping[str, float], *, scatter: float) -> Identifiability:
    """What data with a relative scatter would say about parameters.

    Parameters
    ----------
    outputs : predicted data for parameters
    values : parameters above 0, by name
    scatter : relative standard deviation of each datum, for example 0.1

    Raises
    ------
    InputError
        For no parameters, values that are not above 0, or a scatter that is none.
    NotComputable
        When an output is not above 0.
    """
    if not values or any(not (math.isfinite(v) and v > 0) for v in values.values()):
        raise InputError("identifiability", "parameters", dict(values), "at least one, each above 0")
    if not 0 < scatter < 10:
        raise InputError("identifiability", "scatter", scatter, "a share above 0, such as 0.1")
    base, scaled = _derivatives(outputs, values, scatter)
    _, singular, rows = np.linalg.svd(scaled, full_matrices=False)
    strongest = float(singular[0]) if singular.size else 0.0
    kept = singular > _RANK * strongest if strongest > 0 else np.zeros_like(singular, dtype=bool)
    rank = int(kept.sum())
    names = list(values)
    found = []
    for j, name in enumerate(names):
        own = float(np.sum(scaled[:, j] ** 2))
        own = own if own > (_RANK * strongest) ** 2 else 0.0
        outside = 1.0 - float(np.sum(rows[kept, j] ** 2))
        variance = float(np.sum((rows[kept, j] / singular[kept]) ** 2)) if rank else math.inf
        bounded = outside < 1e-6 and own > 0
        together = 100.0 * math.sqrt(variance) if bounded else None
        verdict = _verdict(together)
        found.append(
            ParameterInformation(
                name=name, value=values[name], sensitivity=scatter * math.sqrt(own / base.size),
                alone_percent=100.0 / math.sqrt(own) if own > 0 else None, together_percent=together, verdict=verdict,
            )
        )  # fmt: skip
    weakest = _weakest(scaled)
    return Identifiability(
        parameters=tuple(found), rank=rank, eigenvalues=singular**2,
        weakest={name: float(w) for name, w in zip(names, weakest, strict=True)}, points=int(base.size),
    )  # fmt: skip


def _verdict(together_percent: float | None) -> str:
    if together_percent is None:
        return "not identifiable"
    if together_percent >= _LOOSE:
        return "practically not identifiable"
    return "bounded" if together_percent < _BOUND else "loosely bounded"


def _weakest(scaled: FloatArray) -> FloatArray:
    """Direction that the data bound least, among parameters that they see at all."""
    seen = np.linalg.norm(scaled, axis=0)
    live = seen > _RANK * seen.max() if seen.max() > 0 else np.ones(seen.size, dtype=bool)
    found = np.zeros(seen.size)
    found[live] = np.linalg.svd(scaled[:, live], full_matrices=True)[2][-1]
    return found


def profile(
    outputs: Outputs, values: Mapping[str, float], name: str, *, scatter: float, factors: Sequence[float]
) -> Profile:
    """Follow one parameter away from its value, with all others fitted again at each step.

    Parameters
    ----------
    outputs, values, scatter : as in `identifiability`
    name : of the parameter
    factors : by which it is multiplied; those below and above 1 are followed outwards

    Raises
    ------
    InputError
        For a name that is no parameter, or factors that are not above 0.
    """
    from scipy.optimize import least_squares

    if name not in values:
        raise InputError("profile", "parameter", name, "one of " + ", ".join(values))
    if not factors or any(not (math.isfinite(f) and f > 0) for f in factors):
        raise InputError("profile", "factors", list(factors), "numbers above 0")
    others = [key for key in values if key != name]
    base = np.asarray(outputs(values), dtype=np.float64)
    found: dict[float, float] = {1.0: 0.0}
    for side in (sorted((f for f in factors if f < 1), reverse=True), sorted(f for f in factors if f > 1)):
        logs = np.zeros(len(others))
        for factor in side:

            def residue(x: FloatArray, factor: float = factor) -> FloatArray:
                moved = {key: values[key] * math.exp(v) for key, v in zip(others, x, strict=True)}
                return np.asarray((outputs({**moved, name: values[name] * factor}) - base) / (scatter * base))

            if not others:
                found[factor] = float(np.sum(residue(logs) ** 2))
                continue
            steps = np.full(len(others), _STEP)
            solved = least_squares(residue, logs, bounds=(-12.0, 12.0), diff_step=steps, max_nfev=25)
            logs = np.asarray(solved.x)
            found[factor] = float(2.0 * solved.cost)
    ordered = sorted(found)
    return Profile(
        name=name, value=values[name], factors=tuple(ordered), loss=tuple(found[f] for f in ordered),
        low=_limit([f for f in reversed(ordered) if f <= 1], found, values[name]),
        high=_limit([f for f in ordered if f >= 1], found, values[name]),
    )  # fmt: skip


def _limit(path: Sequence[float], loss: Mapping[float, float], value: float) -> float | None:
    """Where the loss passes the limit, by a line in the logarithm; None when it does not."""
    for inner, outer in pairwise(path):
        if loss[outer] >= _CHI2_95 > loss[inner]:
            share = (_CHI2_95 - loss[inner]) / (loss[outer] - loss[inner])
            return value * math.exp(math.log(inner) + share * (math.log(outer) - math.log(inner)))
    return None
