"""Binding of any number of ligands to one receptor at equilibrium, exactly or with ligands that are not depleted.

With total receptor Rt, total ligands Li and dissociation constants Ki, free receptor R solves one equation::

    R + sum_i Li R / (Ki + R) = Rt

Its left side rises with R and is concave, so the root is single, and Newton's method from below never passes it. Where free
concentrations Ci are kept up by a supply (plasma that flows past), ligand i holds (Ci / Ki) / (1 + sum_j Cj / Kj) of the receptor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, NotComputable

__all__ = [
    "Bound",
    "ChengPrusoff",
    "bound_exactly",
    "bound_with_supply",
    "check_cheng_prusoff",
    "cheng_prusoff_ki",
    "ki_exactly",
]

FloatArray = NDArray[np.float64]
_STEPS = 2000
# Receptor of a tenth of Kd: beyond it a tube loses so much ligand that Cheng-Prusoff is several percent off.
DEPLETION_LIMIT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound:
    """Receptor and ligands at equilibrium; arrays have the shape of the inputs, ligands first.

    Attributes
    ----------
    free_fraction : share of the receptor that holds nothing
    occupied : share of the receptor that each ligand holds
    bound_nm, free_nm : bound and free ligand
    """

    free_fraction: FloatArray
    occupied: FloatArray
    bound_nm: FloatArray
    free_nm: FloatArray


def _amounts(values: Sequence[ArrayLike], name: str, *, zero: bool) -> FloatArray:
    """Ligands as one array.

    Raises
    ------
    InputError
        For what is not a finite number of at least (or, without ``zero``, above) 0.
    """
    array = np.stack(np.broadcast_arrays(*[np.asarray(v, dtype=np.float64) for v in values]))
    bad = ~np.isfinite(array) | (array < 0 if zero else array <= 0)
    if bad.any():
        raise InputError(
            "occupancy", name, float(array[bad][0]), f"numbers {'of at least' if zero else 'above'} 0 in nM"
        )
    return array


def bound_exactly(receptor_nm: ArrayLike, totals_nm: Sequence[ArrayLike], kd_nm: Sequence[ArrayLike]) -> Bound:
    """Competitive binding with depletion of every ligand.

    Parameters
    ----------
    receptor_nm : total receptor; 0 gives the limit in which nothing is depleted
    totals_nm : total ligands
    kd_nm : their dissociation constants, above 0

    Returns
    -------
    Bound
        Shapes are those of the broadcast inputs.

    Raises
    ------
    InputError
        For negative or non-finite numbers, a KD of 0, or another number of constants than of ligands.
    """
    if not totals_nm or len(totals_nm) != len(kd_nm):
        raise InputError("occupancy", "ligands", f"{len(totals_nm)} amounts, {len(kd_nm)} KD", "one KD for each ligand")
    totals = _amounts(totals_nm, "ligand", zero=True)
    constants = _amounts(kd_nm, "KD", zero=False)
    receptor = _amounts([receptor_nm], "receptor", zero=True)[0]
    shape = np.broadcast_shapes(receptor.shape, totals.shape[1:], constants.shape[1:])
    receptor = np.broadcast_to(receptor, shape)
    totals = np.broadcast_to(
        totals.reshape(totals.shape[:1] + (1,) * (len(shape) - totals.ndim + 1) + totals.shape[1:]),
        (len(totals_nm), *shape),
    )
    constants = np.broadcast_to(
        constants.reshape(constants.shape[:1] + (1,) * (len(shape) - constants.ndim + 1) + constants.shape[1:]),
        totals.shape,
    )
    free = _free_receptor(receptor, totals, constants)
    left = totals * (constants / (constants + free))
    held = totals * (free / (constants + free))
    share, each = _shares(left, constants)
    return Bound(free_fraction=share, occupied=each, bound_nm=held, free_nm=left)


def _shares(free: FloatArray, constants: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares of a receptor among ligands of these free concentrations, for ratios of any size."""
    with np.errstate(divide="ignore"):
        logs = np.log(free) - np.log(constants)
    top = np.maximum(logs.max(axis=0), 0.0)
    weights, nothing = np.exp(logs - top), np.exp(-top)
    total = nothing + weights.sum(axis=0)
    return np.asarray(nothing / total), np.asarray(weights / total)


def _free_receptor(receptor: FloatArray, totals: FloatArray, constants: FloatArray) -> FloatArray:
    """Root of the mass balance, to the last digits, for any spread of amounts and constants."""
    with np.errstate(over="ignore"):
        low = receptor / (1.0 + (totals / constants).sum(axis=0))
    low = np.maximum(low, receptor - totals.sum(axis=0))
    high = receptor.astype(np.float64, copy=True)
    for _ in range(_STEPS):
        value, slope = _balance(low, receptor, totals, constants)
        newton = np.where(value < 0, low - value / slope, low)
        middle = np.sqrt(low) * np.sqrt(high)
        below = _balance(middle, receptor, totals, constants)[0] < 0
        reached = np.minimum(np.maximum(newton, np.where(below, middle, low)), high)
        high = np.where(below, high, np.maximum(middle, reached))
        if np.all((reached <= low) | (high - reached <= 4e-16 * high)):
            return np.asarray(reached)
        low = reached
    raise NotComputable(
        "free receptor", "the balance has no root to the last digits", "amounts within 1e300", "NO_BALANCE"
    )


def _balance(
    free: FloatArray, receptor: FloatArray, totals: FloatArray, constants: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Surplus of the mass balance, and its slope.

    A ligand that binds tightly counts as its total less what is free, so that totals cancel before small numbers are added;
    what the sum of totals loses to rounding is carried along.
    """
    tight = free > constants
    both = constants + free
    both = np.where(both == 0, 1.0, both)
    share = constants / both
    excess, lost = -receptor, np.zeros_like(receptor)
    for one in np.where(tight, totals, 0.0):
        new = excess + one
        lost = lost + np.where(np.abs(excess) >= np.abs(one), (excess - new) + one, (one - new) + excess)
        excess = new
    rest = np.where(tight, -totals * share, totals * (free / both)).sum(axis=0)
    with np.errstate(over="ignore"):
        slope = 1.0 + (totals * share / both).sum(axis=0)
    return np.asarray(free + (excess + (lost + rest))), np.asarray(slope)


def bound_with_supply(free_nm: Sequence[ArrayLike], kd_nm: Sequence[ArrayLike]) -> tuple[FloatArray, FloatArray]:
    """Shares of the receptor where free concentrations are kept up.

    Parameters
    ----------
    free_nm : free ligands
    kd_nm : their dissociation constants

    Returns
    -------
    tuple
        Share that holds nothing, and the share that each ligand holds (ligands first).

    Raises
    ------
    InputError
        As in `bound_exactly`.
    """
    found = bound_exactly(0.0, free_nm, kd_nm)
    return found.free_fraction, found.occupied


def cheng_prusoff_ki(ic50_nm: float, *, radioligand_nm: float, kd_nm: float) -> float:
    """Ki = IC50 / (1 + [L] / Kd) [nM], valid while neither ligand is depleted (Cheng and Prusoff 1973)."""
    numbers = _amounts([ic50_nm, radioligand_nm, kd_nm], "IC50, [L] and Kd", zero=False)
    return float(numbers[0] / (1.0 + numbers[1] / numbers[2]))


def ki_exactly(ic50_nm: float, *, radioligand_nm: float, kd_nm: float, receptor_nm: float) -> float:
    """Ki [nM] of a competitor that halves the binding of a radioligand, with both of them depleted.

    Half of the binding fixes free receptor, free receptor fixes how much receptor the competitor holds, and what is left of the
    competitor is free.

    Parameters
    ----------
    ic50_nm : total competitor at half of the binding
    radioligand_nm : total radioligand
    kd_nm : of the radioligand
    receptor_nm : total receptor

    Raises
    ------
    InputError
        For numbers that are not above 0.
    NotComputable
        When even a competitor that never lets go could not halve the binding at this concentration.
    """
    _amounts([ic50_nm, radioligand_nm, kd_nm, receptor_nm], "IC50, [L], Kd and receptor", zero=False)
    half = float(bound_exactly(receptor_nm, [radioligand_nm], [kd_nm]).bound_nm[0]) / 2.0
    free = kd_nm * half / (radioligand_nm - half)
    held = receptor_nm - half - free
    if ic50_nm <= held:
        raise NotComputable(
            "Ki",
            f"at this IC50 of {ic50_nm:g} nM the tube holds less competitor than the {held:.3g} nM of receptor to be taken",
            "less receptor in the tube, or an IC50 that was measured with it",
            "TITRATED_RECEPTOR",
        )
    return float(free * (ic50_nm - held) / held)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChengPrusoff:
    """An IC50 by the short and by the exact equation.

    Attributes
    ----------
    simple_nm : Cheng-Prusoff
    exact_nm : with depletion; None when the receptor was titrated and there is no Ki
    error_percent : of the short equation, None likewise
    valid : whether receptor is below a tenth of Kd
    because : why not, empty when it is valid
    """

    simple_nm: float
    exact_nm: float | None
    error_percent: float | None
    valid: bool
    because: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def check_cheng_prusoff(ic50_nm: float, *, radioligand_nm: float, kd_nm: float, receptor_nm: float) -> ChengPrusoff:
    """Ki by both equations, and whether the short one holds.

    Raises
    ------
    InputError
        For numbers that are not above 0.
    """
    simple = cheng_prusoff_ki(ic50_nm, radioligand_nm=radioligand_nm, kd_nm=kd_nm)
    valid = receptor_nm < DEPLETION_LIMIT * kd_nm
    because = (
        ""
        if valid
        else f"receptor of {receptor_nm:g} nM is at least a tenth of the Kd of {kd_nm:g} nM: ligands are depleted"
    )
    try:
        exact = ki_exactly(ic50_nm, radioligand_nm=radioligand_nm, kd_nm=kd_nm, receptor_nm=receptor_nm)
    except NotComputable as err:
        return ChengPrusoff(simple_nm=simple, exact_nm=None, error_percent=None, valid=False, because=err.because)
    error = 100.0 * (simple / exact - 1.0)
    if valid and math.fabs(error) > 100.0 * DEPLETION_LIMIT:
        # A tight competitor is depleted although the radioligand is not.
        valid, because = False, f"the competitor is depleted: it is {ic50_nm:g} nM for {receptor_nm:g} nM of receptor"
    return ChengPrusoff(simple_nm=simple, exact_nm=exact, error_percent=error, valid=valid, because=because)
