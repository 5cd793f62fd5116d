"""What is asked of a model beside one time course: ranges of values, and which columns matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.receptor.quantities import parse_quantity
from fusin.receptor.sbml_model import UnitSize

__all__ = ["Range", "Stage", "Study", "chosen_columns", "parse_range", "silent"]

FloatArray = NDArray[np.float64]
Stage = Callable[[str, int, int], None]
_MOST_RUNS = 100_000
_DRAWN = 6


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Questions to a model.

    Attributes
    ----------
    outputs : columns that are drawn and compared; chosen by their change when empty
    scan, dose_response : texts of ranges
    steady_state, sensitivity : whether they are asked for
    draws : of the Monte Carlo; 0 for none
    ranges : texts of ranges for the draws
    seed : of the draws
    """

    outputs: tuple[str, ...] = ()
    scan: str | None = None
    dose_response: str | None = None
    steady_state: bool = False
    sensitivity: bool = False
    draws: int = 0
    ranges: tuple[str, ...] = ()
    seed: int = 0

    @property
    def asked(self) -> str:
        """Option that asks for more than a time course, or an empty text."""
        found = {
            "--scan": self.scan, "--dose-response": self.dose_response, "--steady-state": self.steady_state,
            "--sensitivity": self.sensitivity, "--draws": self.draws,
        }  # fmt: skip
        return next((option for option, value in found.items() if value), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A range of one symbol.

    Attributes
    ----------
    name : as the user wrote it
    low, high : with ``unit``, or in the model's unit when that is None
    count : number of values; 0 for a range to draw from
    log : on a logarithmic scale
    """

    name: str
    low: float
    high: float
    unit: UnitSize | None
    unit_text: str
    count: int
    log: bool

    def values(self) -> FloatArray:
        """The values of a scan, in the unit of the range."""
        if self.log:
            return np.geomspace(self.low, self.high, self.count)
        return np.linspace(self.low, self.high, self.count)

    def draw(self, uniform: FloatArray) -> FloatArray:
        """Values from uniform numbers between 0 and 1."""
        if self.log:
            return self.low * (self.high / self.low) ** uniform
        return self.low + (self.high - self.low) * uniform


def parse_range(text: str, option: str, *, counted: bool) -> Range:
    """A range from ``NAME=LOW:HIGH:COUNT`` with ``:log`` at will; without the count for draws.

    Raises
    ------
    InputError
        When it is none, is empty, or is logarithmic and reaches 0.
    """
    form = "NAME=LOW:HIGH:COUNT or NAME=LOW:HIGH:COUNT:log" if counted else "NAME=LOW:HIGH or NAME=LOW:HIGH:log"
    name, _, rest = text.partition("=")
    parts = [part.strip() for part in rest.split(":")]
    log = parts[-1].casefold() == "log"
    parts = parts[:-1] if log else parts
    if len(parts) != (3 if counted else 2) or not name.strip() or not all(parts):
        raise InputError(option, "range", text, form)
    low, high = (parse_quantity(part, option) for part in parts[:2])
    if low[1] != high[1] and low[1] is not None:
        raise InputError(option, "range", text, "both ends in the same unit")
    scale = 1.0
    if low[1] is None and high[1] is not None and low[0] != 0:
        raise InputError(option, "range", text, "a unit at both ends, or at none")
    if not low[0] * scale < high[0] or (log and low[0] <= 0):
        raise InputError(option, "range", text, "a lower end below the upper one, above 0 on a logarithmic scale")
    count = int(parts[2]) if counted and parts[2].isdecimal() else 0
    if counted and not 2 <= count <= _MOST_RUNS:
        raise InputError(option, "count", parts[2], f"a whole number from 2 to {_MOST_RUNS}")
    unit_text = high[2].lstrip("0123456789.,+-eE ") if high[1] is not None else ""
    return Range(name=name.strip(), low=low[0], high=high[0], unit=high[1], unit_text=unit_text, count=count, log=log)


def chosen_columns(
    asked: Sequence[str], names: Sequence[str], values: FloatArray, species: Sequence[str]
) -> tuple[str, ...]:
    """Columns to draw: those asked for, or the species that change most.

    Parameters
    ----------
    asked : by the user
    names : of all columns
    values : (n, columns) of a time course
    species : those of the columns that are species

    Raises
    ------
    InputError
        For a column that is none.
    """
    for name in asked:
        if name not in names:
            raise InputError("--output", "column", name, "a column of the table, such as " + ", ".join(names[:5]))
    if asked:
        return tuple(dict.fromkeys(asked))
    shares: dict[str, Any] = {}
    for name in species or names:
        column = values[:, list(names).index(name)]
        top = float(np.nanmax(np.abs(column))) if np.isfinite(column).any() else math.nan
        shares[name] = float(np.nanmax(column) - np.nanmin(column)) / top if top > 0 else 0.0
    moving = sorted((n for n in shares if shares[n] > 1e-6), key=lambda n: -shares[n])
    return tuple(moving[:_DRAWN]) or tuple(list(shares)[:1])
