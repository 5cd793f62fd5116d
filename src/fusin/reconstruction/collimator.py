"""Depth-dependent response of a parallel-hole collimator: the width of its image of a point by distance.

Three ways to state it, all as full width at half maximum (FWHM) by the distance ``d`` from the collimator face::

    linear       FWHM = slope d + intercept
    holes        FWHM^2 = intrinsic^2 + (D (L_e + d + B) / L_e)^2,   L_e = L - 2 / mu
    table        measured, linear between its rows

with ``D`` the hole diameter, ``L`` the hole length, ``mu`` the attenuation coefficient of its lead and ``B`` the distance from the
back of the holes to the plane of the image in the crystal.

References
----------
Anger H, J Nucl Med 1964;5:515 · Cherry S, Sorenson J, Phelps M, Physics in Nuclear Medicine, 4th ed., 2012, chapter 14 (holes,
effective length) · Metz C, Atkins F, Beck R, Phys Med Biol 1980;25:1059 (geometric response).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError

__all__ = ["FWHM_PER_SIGMA", "CollimatorResponse"]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


def _number(name: str, value: float, *, positive: bool) -> float:
    good = math.isfinite(value) and (value > 0 if positive else value >= 0)
    if not good:
        raise InputError("collimator", name, value, "a positive number" if positive else "zero or a positive number")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollimatorResponse:
    """Gaussian response by distance; build it with `linear`, `holes` or `table`.

    Attributes
    ----------
    kind : how it was stated
    numbers : parameters of ``linear`` (slope, intercept) and ``holes`` (hole, effective length, back gap, intrinsic), in mm
    distances_mm, widths_mm : rows of a table, FWHM
    """

    kind: Literal["linear", "holes", "table"]
    numbers: tuple[float, ...] = ()
    distances_mm: tuple[float, ...] = ()
    widths_mm: tuple[float, ...] = ()

    @classmethod
    def linear(cls, *, slope: float, intercept_mm: float) -> CollimatorResponse:
        """FWHM that grows linearly with distance.

        Parameters
        ----------
        slope : FWHM per distance, without a unit
        intercept_mm : FWHM at the face [mm]

        Raises
        ------
        InputError
            For negative numbers, or both zero.
        """
        numbers = (_number("slope", slope, positive=False), _number("intercept_mm", intercept_mm, positive=False))
        if sum(numbers) == 0:
            raise InputError("collimator", "slope and intercept_mm", 0.0, "one that is positive, or no response at all")
        return cls(kind="linear", numbers=numbers)

    @classmethod
    def holes(
        cls, *, hole_mm: float, length_mm: float, mu_per_cm: float, intrinsic_fwhm_mm: float, gap_mm: float = 0.0
    ) -> CollimatorResponse:
        """Response from the shape of the holes.

        Parameters
        ----------
        hole_mm : diameter of a hole, across flats for hexagons [mm]
        length_mm : length of a hole [mm]
        mu_per_cm : of the collimator's material at the energy of the photons [1/cm]
        intrinsic_fwhm_mm : of the crystal at that energy [mm]
        gap_mm : from the back of the collimator to the plane of the image in the crystal [mm]

        Raises
        ------
        InputError
            For numbers that are not positive, and holes shorter than twice the mean free path.
        """
        hole, length = _number("hole_mm", hole_mm, positive=True), _number("length_mm", length_mm, positive=True)
        lead = _number("mu_per_cm", mu_per_cm, positive=True)
        effective = length - 20.0 / lead
        if effective <= 0:
            raise InputError(
                "collimator", "length_mm", length_mm, f"more than {20.0 / lead:.3g} mm, twice the mean free path"
            )
        own = (
            _number("gap_mm", gap_mm, positive=False),
            _number("intrinsic_fwhm_mm", intrinsic_fwhm_mm, positive=False),
        )
        return cls(kind="holes", numbers=(hole, effective, *own))

    @classmethod
    def table(cls, distances_mm: ArrayLike, widths_mm: ArrayLike) -> CollimatorResponse:
        """Measured widths.

        Parameters
        ----------
        distances_mm : (n,) from the collimator face, increasing [mm]
        widths_mm : (n,) FWHM [mm]

        Raises
        ------
        InputError
            For fewer than two rows, unequal lengths, distances that do not increase, or widths that are not positive.
        """
        d, w = np.asarray(distances_mm, dtype=np.float64).ravel(), np.asarray(widths_mm, dtype=np.float64).ravel()
        if d.size != w.size or d.size < 2:
            raise InputError(
                "collimator", "table", f"{d.size} distances and {w.size} widths", "two rows or more of both"
            )
        if not (np.isfinite(d).all() and np.isfinite(w).all() and (np.diff(d) > 0).all() and d[0] >= 0):
            raise InputError("collimator", "distances", d.tolist()[:8], "increasing distances from 0 mm")
        if (w <= 0).any():
            raise InputError("collimator", "widths", float(w.min()), "positive widths")
        return cls(kind="table", distances_mm=tuple(d.tolist()), widths_mm=tuple(w.tolist()))

    def fwhm_mm(self, distance_mm: ArrayLike) -> NDArray[np.float64]:
        """FWHM at distances from the face [mm]; a table goes on straight beyond its ends, never below 0."""
        d = np.asarray(distance_mm, dtype=np.float64)
        if self.kind == "linear":
            return np.asarray(self.numbers[0] * d + self.numbers[1])
        if self.kind == "holes":
            hole, effective, gap, intrinsic = self.numbers
            return np.asarray(np.hypot(intrinsic, hole * (effective + d + gap) / effective))
        x, y = np.asarray(self.distances_mm), np.asarray(self.widths_mm)
        within = np.interp(d, x, y)
        below = y[0] + (d - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
        above = y[-1] + (d - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
        return np.asarray(np.maximum(np.where(d < x[0], below, np.where(d > x[-1], above, within)), 0.0))

    def sigma_mm(self, distance_mm: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation at distances from the face [mm]."""
        return np.asarray(self.fwhm_mm(distance_mm) / FWHM_PER_SIGMA)

    def words(self) -> str:
        """Return a sentence part for reports."""
        if self.kind == "linear":
            return f"FWHM = {self.numbers[0]:.4g} d + {self.numbers[1]:.4g} mm"
        if self.kind == "holes":
            hole, effective, gap, intrinsic = self.numbers
            return f"holes of {hole:g} mm, effective length {effective:.4g} mm, gap {gap:g} mm, intrinsic FWHM {intrinsic:g} mm"
        return f"table of {len(self.distances_mm)} widths from {self.distances_mm[0]:g} to {self.distances_mm[-1]:g} mm"
