"""Long-lived impurities whose share grows while the product decays: 68Ge in 68Ga, 177mLu in 177Lu, 90Sr beside 90Y.

With the ratio r = A1/A2 of the impurity to the product, both decaying and the impurity feeding the product with the branching b::

    1/r(t) = k + (1/r(0) - k) exp(-(lambda2 - lambda1) t),   k = b lambda2 / (lambda2 - lambda1)

A per cent without its reference time means nothing: the share of 68Ge doubles every 68 min.

References
----------
Bateman H, Proc Cambridge Philos Soc 15 (1910) 423-427.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fusin.decay import decay_factor
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.stats.results import Estimate

__all__ = ["SR90_HALF_LIFE_S", "Impurity", "ge68_of_count", "impurity_of", "strontium"]

SR90_HALF_LIFE_S = 28.79 * 365.2422 * 86400.0
"""ICRP Publication 107 (2008)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impurity:
    """A long-lived impurity of a product.

    Attributes
    ----------
    impurity, product : names of the nuclides
    impurity_half_life_s, product_half_life_s : half-lives [s]
    branching : decays of the impurity that give the product
    """

    impurity: str
    product: str
    impurity_half_life_s: float
    product_half_life_s: float
    branching: float = 0.0

    def percent_at(self, percent: float, elapsed_s: float) -> float:
        """Share of the impurity relative to the product [%] at another time.

        Parameters
        ----------
        percent : share at its reference time [%]
        elapsed_s : time since then [s], either sign

        Raises
        ------
        InputError
            For a negative share, or one that cannot have been at that earlier time.

        Examples
        --------
        >>> f"{impurity_of('Ge-68', 'Ga-68').percent_at(1.48e-5, 4 * 3600):.3g}"
        '0.000173'
        """
        if not (math.isfinite(percent) and percent >= 0):
            raise InputError(f"{self.impurity} content", "percent", percent, "zero or a positive share")
        if percent == 0:
            return 0.0
        inverse = self._k + (100.0 / percent - self._k) * math.exp(min(-self._rate * elapsed_s, 700.0))
        if inverse <= 0:
            raise InputError(f"{self.impurity} content", "percent", percent, "a share below that of equilibrium")
        return 100.0 / inverse

    def crossing_s(self, percent: float, limit_percent: float) -> float | None:
        """Time after the reference at which the share reaches a limit [s]; negative when it is already above, None never.

        Parameters
        ----------
        percent : share at its reference time [%]
        limit_percent : limit [%]

        Raises
        ------
        InputError
            For a negative share or a limit that is not positive.

        Examples
        --------
        >>> germanium = impurity_of("Ge-68", "Ga-68")
        >>> round(germanium.crossing_s(1.48e-5, 0.001) / 60), round(germanium.crossing_s(0.0005, 0.001) / 60, 1)
        (412, 67.7)
        """
        if not (math.isfinite(percent) and percent >= 0):
            raise InputError(f"{self.impurity} content", "percent", percent, "zero or a positive share")
        if not (math.isfinite(limit_percent) and limit_percent > 0):
            raise InputError(f"{self.impurity} content", "limit", limit_percent, "a positive share")
        if percent == 0:
            return None
        now, then = 100.0 / percent - self._k, 100.0 / limit_percent - self._k
        return math.log(now / then) / self._rate if now > 0 and then > 0 else None

    @property
    def _rate(self) -> float:
        return math.log(2.0) * (1.0 / self.product_half_life_s - 1.0 / self.impurity_half_life_s)

    @property
    def _k(self) -> float:
        return self.branching * math.log(2.0) / self.product_half_life_s / self._rate


def strontium(product: str = "Y-90") -> Impurity:
    """90Sr beside 90Y, which it feeds; 28.79 y (ICRP Publication 107) stands here because the table of nuclides has no 90Sr.

    Raises
    ------
    InputError
        For an unknown product.
    """
    two = nuclide(product)
    return Impurity(
        impurity="Sr-90", product=two.name, impurity_half_life_s=SR90_HALF_LIFE_S, product_half_life_s=two.half_life_s,
        branching=1.0,
    )  # fmt: skip


def impurity_of(impurity: str, product: str) -> Impurity:
    """Return an impurity with the half-lives and the branching of the nuclide table.

    Raises
    ------
    InputError
        For an unknown nuclide, or one that does not outlive the product.
    """
    one, two = nuclide(impurity), nuclide(product)
    if one.half_life_s <= two.half_life_s:
        raise InputError(f"{impurity} content", "half-life", one.half_life_s, f"an impurity that outlives {product}")
    return Impurity(
        impurity=one.name, product=two.name, impurity_half_life_s=one.half_life_s, product_half_life_s=two.half_life_s,
        branching=one.progeny.get(two.name, 0.0),
    )  # fmt: skip


def ge68_of_count(
    counts: int,
    *,
    live_time_s: float,
    background_counts: int,
    background_live_time_s: float,
    efficiency: float,
    efficiency_u: float,
    intensity: float,
    elapsed_s: float,
    ga68_mbq: float,
    level: float = 0.95,
) -> Estimate:
    """Share of 68Ge relative to 68Ga at a reference time [%], from a count of 511 keV after the 68Ga has decayed.

    A(68Ge) = net rate / (efficiency * intensity), decay-corrected to the reference time; 68Ga is then in equilibrium.
    A net count below zero stays below zero.

    Parameters
    ----------
    counts, live_time_s : in the 511 keV window, and for how long [s]
    background_counts, background_live_time_s : without the sample
    efficiency, efficiency_u : counts per photon, and its standard uncertainty
    intensity : 511 keV photons per decay of 68Ga (1.7828, GalliaPharm SmPC)
    elapsed_s : from the reference time to the count [s]; 48 h or more
    ga68_mbq : activity of 68Ga at the reference time in the counted sample [MBq]
    level : of the interval

    Raises
    ------
    InputError
        For impossible numbers, or a count less than 48 h after the reference time.
    """
    where = "68Ge count"
    for name, value in (
        ("live_time_s", live_time_s), ("background_live_time_s", background_live_time_s), ("efficiency", efficiency),
        ("intensity", intensity), ("ga68_mbq", ga68_mbq),
    ):  # fmt: skip
        if not (math.isfinite(value) and value > 0):
            raise InputError(where, name, value, "a positive number")
    if counts < 0 or background_counts < 0 or efficiency_u < 0:
        raise InputError(where, "counts", min(counts, background_counts), "zero or more counts")
    if elapsed_s < 48 * 3600:
        raise InputError(where, "elapsed_s", elapsed_s, "a count 48 h or more after the reference time: 68Ga is left")
    rate = counts / live_time_s - background_counts / background_live_time_s
    rate_u = math.sqrt(counts / live_time_s**2 + background_counts / background_live_time_s**2)
    scale = 1e-4 / (efficiency * intensity * ga68_mbq * decay_factor(elapsed_s, nuclide("Ge-68").half_life_s))
    share, u = scale * rate, scale * math.hypot(rate_u, rate * efficiency_u / efficiency)
    from scipy import stats

    wide = float(stats.norm.ppf(0.5 + level / 2.0)) * u
    return Estimate(value=share, low=share - wide, high=share + wide, method="Poisson, normal", n=1, level=level)
