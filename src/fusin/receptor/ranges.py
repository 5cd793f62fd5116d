"""Numbers that are known within a range only: drawn on a log scale, and results with the interval that follows."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.stats.results import Estimate
from fusin.tabular.toml_fields import is_finite

__all__ = ["Range", "from_draws", "ligand_table", "range_of"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number with the limits between which it may lie; a settled number has equal limits.

    Attributes
    ----------
    value : what is computed with where one number is shown
    low, high : limits, at least 0
    stated : the user gave it
    """

    value: float
    low: float
    high: float
    stated: bool = True

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.value <= self.high and math.isfinite(self.high)):
            raise InputError(
                "range", "limits", f"{self.low:g} to {self.high:g} around {self.value:g}", "0 <= low <= value <= high"
            )

    def draws(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Log-uniform draws within the limits; uniform when the lower limit is 0."""
        if self.low == self.high:
            return np.full(n, self.value)
        if self.low == 0:
            return rng.uniform(self.low, self.high, n)
        return np.asarray(np.exp(rng.uniform(math.log(self.low), math.log(self.high), n)))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def range_of(value: Any, where: str, field: str, *, above_zero: bool = True, most: float = 1e15) -> Range:
    """A range from a number or from ``[low, high]``; its value is the middle on a log scale.

    Raises
    ------
    InputError
        For anything else.
    """
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    plain = all(isinstance(v, (int, float)) and not isinstance(v, bool) and is_finite(v) for v in numbers)
    needed = f"a number {'above' if above_zero else 'of at least'} 0, or two of them as [low, high]"
    if not plain or len(numbers) not in (1, 2):
        raise InputError(where, field, value, needed)
    low, high = float(numbers[0]), float(numbers[-1])
    if low > high or low < 0 or (above_zero and low == 0) or high > most:
        raise InputError(where, field, value, needed + (f", at most {most:g}" if most < 1e15 else ""))
    return Range(value=math.sqrt(low * high) if low > 0 else 0.5 * (low + high), low=low, high=high)


def from_draws(value: float, draws: FloatArray, *, level: float = 0.95) -> Estimate:
    """An estimate whose interval holds the middle of the draws.

    The value is that of the middles of all ranges; it lies within the interval unless the answer bends sharply.
    """
    n = int(draws.size)
    if n and np.ptp(draws) == 0:
        method, note = "no interval: every input is one number", "the inputs are stated without a range"
        return Estimate(value=value, low=None, high=None, method=method, n=n, level=level, note=note)
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(draws, [tail, 100.0 - tail])
    method = f"{tail:g} to {100 - tail:g} % of {n} draws, log-uniform within the stated ranges"
    return Estimate(value=value, low=float(low), high=float(high), method=method, n=n, level=level)


@cache
def ligand_table() -> Mapping[str, Any]:
    """Ranges of KD and drugs by name, as in ``models/ligands.toml``."""
    text = resources.files("fusin.receptor").joinpath("models", "ligands.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
