"""Adjustment of many p-values of one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from fusin.errors import InvalidValue, Unsupported

__all__ = ["AdjustMethod", "adjust"]

AdjustMethod = Literal["holm", "bh"]


def adjust(pvalues: Sequence[float | None], method: AdjustMethod = "holm") -> tuple[float | None, ...]:
    """Adjust p-values for the number of tests in a table.

    Parameters
    ----------
    pvalues : one per test; None (or NaN) marks a test that gave none and is not counted
    method : ``holm`` keeps the chance of any false finding (Holm, Scand J Stat 1979;6:65), under any dependence; ``bh``
        keeps the expected share of false findings (Benjamini, Hochberg, J R Stat Soc B 1995;57:289), for independent or
        positively dependent tests

    Returns
    -------
    adjusted p-values in the order given, None where there was none

    Raises
    ------
    InvalidValue
        For values outside 0-1.
    Unsupported
        For an unknown method.
    """
    what = "adjusted p-values"
    if method not in {"holm", "bh"}:
        raise Unsupported(what, f"method is {method!r}", "holm or bh")
    present = [index for index, p in enumerate(pvalues) if p is not None and not math.isnan(p)]
    raw = np.array([pvalues[index] for index in present], dtype=np.float64)
    if np.any((raw < 0.0) | (raw > 1.0)):
        raise InvalidValue(what, f"a p-value is {raw[(raw < 0.0) | (raw > 1.0)][0]}", "values from 0 to 1")
    order = np.argsort(raw, kind="stable")
    m = raw.size
    if method == "holm":
        stepped = np.maximum.accumulate(raw[order] * np.arange(m, 0, -1))
    else:
        stepped = np.minimum.accumulate((raw[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    found: list[float | None] = [None] * len(pvalues)
    for index, value in zip(present, adjusted.tolist(), strict=True):
        found[index] = value
    return tuple(found)
