"""Checks of what goes into a statistic: counts, tables and samples, refused with a sentence when impossible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from fusin.errors import InvalidValue, MissingValue

__all__ = ["FloatArray", "IntArray", "counts_table", "normal_quantile", "paired_samples", "sample", "whole_number"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def whole_number(value: Any, name: str, *, what: str, at_least: int = 0) -> int:
    """Return a count as an int.

    Parameters
    ----------
    value : the count; 12.0 is accepted as 12, as tables with gaps hold counts as floats
    name : what the count counts, for the message
    what : the statistic asked for, for the message
    at_least : the smallest possible value

    Raises
    ------
    MissingValue
        For None or NaN.
    InvalidValue
        For fractions, truth values, text and numbers below ``at_least``.
    """
    needed = f"{name} as a whole number of at least {at_least}"
    if value is None:
        raise MissingValue(what, f"{name} is missing", needed, "COUNT_MISSING")
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidValue(what, f"{name} is {value!r}", needed, "COUNT_INVALID")
    if math.isnan(value):
        raise MissingValue(what, f"{name} is missing", needed, "COUNT_MISSING")
    if math.isinf(value) or value != int(value) or value < at_least:
        raise InvalidValue(what, f"{name} is {value}", needed, "COUNT_INVALID")
    return int(value)


def normal_quantile(level: float) -> float:
    """Two-sided quantile of the standard normal distribution, 1.96 for 0.95.

    Raises
    ------
    InvalidValue
        When the level is not strictly between 0 and 1; 95 instead of 0.95 is the usual cause.
    """
    if not 0.0 < level < 1.0:
        raise InvalidValue("interval", f"confidence level is {level}", "a level between 0 and 1, such as 0.95")
    return float(ndtri(0.5 + level / 2.0))


def sample(values: ArrayLike, name: str, *, what: str) -> FloatArray:
    """Return one sample as a float array of shape (n,).

    Raises
    ------
    MissingValue
        When a value is missing: which unit to leave out is the caller's decision, not the test's.
    InvalidValue
        For infinite values and for anything but one dimension.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InvalidValue(what, f"{name} has {array.ndim} dimensions", "one value per unit")
    missing = int(np.count_nonzero(np.isnan(array)))
    if missing:
        raise MissingValue(
            what, f"{missing} of {array.size} values of {name} are missing", "complete values", "VALUE_MISSING"
        )
    if not np.all(np.isfinite(array)):
        raise InvalidValue(what, f"{name} holds an infinite value", "finite values")
    return array


def paired_samples(x: ArrayLike, y: ArrayLike, *, what: str) -> tuple[FloatArray, FloatArray]:
    """Return two samples of equal length, pair by pair.

    Raises
    ------
    InvalidValue
        When the lengths differ.
    """
    first, second = sample(x, "the first sample", what=what), sample(y, "the second sample", what=what)
    if first.size != second.size:
        raise InvalidValue(what, f"{first.size} and {second.size} values", "one value of each per unit")
    return first, second


def counts_table(table: ArrayLike | Sequence[Sequence[int]], *, what: str, square: bool = False) -> IntArray:
    """Return a table of counts as an int array of shape (rows, columns).

    Raises
    ------
    InvalidValue
        For negative or fractional counts, fewer than two rows or columns, and a table that is not
        square where ``square`` asks for one.
    """
    array = np.asarray(table, dtype=np.float64)
    if array.ndim != 2 or min(array.shape) < 2 or (square and array.shape[0] != array.shape[1]):
        needed = "a square table of counts" if square else "a table of counts with two or more rows and columns"
        raise InvalidValue(what, f"table of shape {array.shape}", needed)
    if not np.all(np.isfinite(array)) or np.any(array < 0) or np.any(array != np.floor(array)):
        raise InvalidValue(what, "the table holds negative, fractional or missing counts", "whole numbers from 0")
    return array.astype(np.int64)
