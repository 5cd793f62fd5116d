"""What a fit refuses: samples that are none, and parameters that the data do not determine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, NotComputable

__all__ = ["checked_sample", "refuse_unidentifiable"]

FloatArray = NDArray[np.float64]
# Columns of the Jacobian scaled to length 1; below this share of the largest singular value nothing is left but rounding.
_SINGULAR = 1e-11
_SHARE = 0.1
# Squares of larger numbers leave the range in which they can be computed with.
_LARGEST = 1e100


def checked_sample(x: ArrayLike, y: ArrayLike, *, what: str) -> tuple[FloatArray, FloatArray]:
    """Return predictor (n,) or (m, n) and response (n,) as float arrays.

    Raises
    ------
    InputError
        For unequal lengths, NaN anywhere and infinite responses (an infinite log concentration is a control).
    """
    points, response = np.array(x, dtype=float), np.array(y, dtype=float)
    if response.ndim != 1 or points.ndim not in (1, 2) or points.shape[-1] != response.size:
        raise InputError(what, "points", f"x {points.shape}, y {response.shape}", "as many responses as points")
    if np.isnan(points).any():
        raise InputError(what, "x", "a missing value", "a number for every point")
    if not np.isfinite(response).all():
        raise InputError(what, "response", "a missing or infinite value", "a number for every point")
    largest = float(np.abs(response).max(initial=0.0))
    if largest > _LARGEST or 0.0 < largest < 1.0 / _LARGEST:
        raise InputError(what, "response", largest, "responses between 1e-100 and 1e100 in size")
    return points, response


def refuse_unidentifiable(names: Sequence[str], jacobian: FloatArray, *, what: str) -> None:
    """Refuse a minimum along which parameters can be moved without changing the curve.

    Raises
    ------
    NotComputable
        ``FIT_NOT_IDENTIFIABLE`` with the names of these parameters.
    """
    size = np.sqrt(np.sum(jacobian**2, axis=0))
    largest = float(size.max(initial=0.0))
    loose = [n for n, s in zip(names, size.tolist(), strict=True) if not s > 1e-200 and not s > 1e-14 * largest]
    if not loose:
        _, singular, directions = np.linalg.svd(jacobian / size, full_matrices=False)
        flat = directions[singular <= _SINGULAR * singular[0]]
        loose = [n for i, n in enumerate(names) if (np.abs(flat[:, i]) > _SHARE).any()]
    if loose:
        raise NotComputable(
            what,
            f"the data do not determine {' and '.join(loose)}: other values give the same curve",
            "points where the curve depends on them, or a known value for one of them",
            "FIT_NOT_IDENTIFIABLE",
        )
