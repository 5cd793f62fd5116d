"""Which views form a subset, and in which order subsets are used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InputError
from fusin.reconstruction.projector import Views

__all__ = ["access_order", "split_views"]


def split_views(views: int, subsets: int, *, angles_deg: ArrayLike | None = None) -> tuple[Views, ...]:
    """Subsets of views that are spread evenly over the angles, in the order of `access_order`.

    Parameters
    ----------
    views : number of views (or of events, in list mode)
    subsets : how many; sizes differ by one view where they do not divide
    angles_deg : (views,) angle of each view; without it, views are taken to follow each other around the camera

    Raises
    ------
    InputError
        For more subsets than views, none, or another number of angles than views.
    """
    if not 1 <= subsets <= views:
        raise InputError("algorithm", "subsets", subsets, f"1 to {views}, the number of views")
    around = np.arange(views)
    if angles_deg is not None:
        angles = np.asarray(angles_deg, dtype=float)
        if angles.shape != (views,) or not np.isfinite(angles).all():
            raise InputError("projector", "angles_deg", angles.shape, f"{views} angles, one of each view")
        # Two heads repeat a full turn: sorted by angle, every n-th view is again spread over all directions.
        around = np.argsort(np.round(angles % 360.0, 6), kind="stable")
    return tuple(np.sort(around[first::subsets]).astype(np.intp) for first in access_order(subsets))


def access_order(subsets: int) -> Sequence[int]:
    """Order in which each subset brings what the ones before it have least of.

    The digits of the subset's number in the prime factors of ``subsets`` are read backwards, largest steps first: 8
    subsets are used as 0, 4, 2, 6, 1, 5, 3, 7.

    References
    ----------
    Herman GT, Meyer LB, IEEE Trans Med Imaging 1993;12:600.
    """
    primes, rest, divisor = [], subsets, 2
    while rest > 1:
        while rest % divisor == 0:
            primes.append(divisor)
            rest //= divisor
        divisor += 1
    order = [0]
    step = subsets
    for prime in primes:
        step //= prime
        order = [start + digit * step for digit in range(prime) for start in order]
    return tuple(order)
