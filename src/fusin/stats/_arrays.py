"""What the statistical modules share: checked inputs, plain records, and quantiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InvalidValue
from fusin.provenance import jsonable

__all__ = [
    "BoolArray",
    "FloatArray",
    "IntArray",
    "Record",
    "check_level",
    "cluster_codes",
    "finite",
    "flags",
    "frozen",
    "normal_quantile",
    "plain",
    "same_length",
    "t_quantile",
    "wilson_limits",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Record:
    """Mixin of frozen dataclasses: a JSON-ready mapping of all fields, nested records included."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]  # mixin


def plain(value: Any) -> Any:
    """Turn nested records into what JSON can hold."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return jsonable(value)


def finite(values: ArrayLike, name: str, *, what: str, ndim: int = 1) -> FloatArray:
    """Return a float64 array and refuse missing, infinite or misshapen values."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InvalidValue(what, f"{name} holds something that is no number", "numbers", "NOT_NUMERIC") from err
    if array.ndim != ndim:
        raise InvalidValue(what, f"{name} has {array.ndim} dimensions", f"{ndim}", "WRONG_SHAPE")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise InvalidValue(what, f"{name} holds {count} missing or infinite values", "complete rows", "MISSING_VALUES")
    return array


def flags(values: ArrayLike, name: str, *, what: str) -> BoolArray:
    """Return a boolean array from booleans or zeros and ones, and refuse everything else."""
    array = np.asarray(values)
    if array.dtype == np.bool_:
        if array.ndim != 1:
            raise InvalidValue(what, f"{name} has {array.ndim} dimensions", "1", "WRONG_SHAPE")
        return array
    numbers = finite(values, name, what=what)
    odd = numbers[(numbers != 0.0) & (numbers != 1.0)]
    if odd.size:
        raise InvalidValue(what, f"{name} holds {odd[0]:g}", "only 0 and 1, or booleans", "NOT_BINARY")
    return np.asarray(numbers == 1.0)


def same_length(what: str, **arrays: NDArray[Any]) -> int:
    """Return the common length, and refuse empty or unequal columns."""
    lengths = {name: len(a) for name, a in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise InvalidValue(what, f"the columns have the lengths {lengths}", "equal lengths above 0", "UNEQUAL_LENGTHS")
    return next(iter(lengths.values()))


def cluster_codes(cluster: ArrayLike, *, what: str) -> tuple[IntArray, int]:
    """Return the codes 0..K-1 of the cluster labels, and K; labels may be text or numbers."""
    import pandas as pd

    codes, labels = pd.factorize(np.asarray(cluster))
    if (codes < 0).any():
        raise InvalidValue(
            what, f"{int((codes < 0).sum())} rows have no cluster", "a patient for every row", "NO_CLUSTER"
        )
    return codes.astype(np.int64), len(labels)


def check_level(level: float, *, what: str) -> float:
    """Refuse a confidence level outside (0, 1), such as 95."""
    if not 0.0 < level < 1.0:
        raise InvalidValue(what, f"confidence level {level:g}", "a fraction such as 0.95", "BAD_LEVEL")
    return level


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile, 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2.0))


def t_quantile(level: float, df: float) -> float:
    """Two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 2.0))


def wilson_limits(p: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson score limits for a sample size that need not be an integer (an effective one)."""
    z2 = quantile * quantile
    centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = quantile / (1.0 + z2 / n) * math.sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n))
    return (0.0 if p == 0.0 else centre - half, 1.0 if p == 1.0 else centre + half)


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only copy."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy
