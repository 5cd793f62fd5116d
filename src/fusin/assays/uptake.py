"""Uptake and internalisation of single wells: shares of the applied activity with the covariance of their denominator.

With the net rates S (supernatant and washes), M (acid wash) and I (lysate) of a well at one time::

    total = S + M + I (or the applied standard where S was not counted)       recovery = 100 total / standard
    uptake = 100 (M + I) / total    internalised = 100 I / total, of cell-associated 100 I / (M + I)

M and I stand in numerator and denominator alike; the propagation knows that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusin.assays.counting_uncertainty import Measured, summed
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog, jsonable

__all__ = ["QUANTITIES", "Well", "WellShares", "well_shares"]

QUANTITIES = ("uptake_percent", "membrane_percent", "internalised_percent", "internalised_of_cell_percent")
"""Shares of a well by column name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Well:
    """Net rates of a well.

    Attributes
    ----------
    name, tracer, condition, phase, experiment : as the table says
    time_min : [min], None when the table has no times
    supernatant, acid_wash, lysate : net rates at the common time [1/s]; None where not counted
    cells_million, protein_mg : what the well holds
    """

    name: str
    tracer: str = ""
    condition: str = "unblocked"
    phase: str = "uptake"
    experiment: str = ""
    time_min: float | None = None
    supernatant: Measured | None = None
    acid_wash: Measured | None = None
    lysate: Measured | None = None
    cells_million: float | None = None
    protein_mg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WellShares:
    """Shares of a well.

    Attributes
    ----------
    well : where they come from
    denominator : ``total`` or ``standard``; ``stated`` for shares that a table gives
    uptake_percent, membrane_percent, internalised_percent : of the applied activity; None where a fraction was not counted
    internalised_of_cell_percent : of the cell-associated activity; None when that is not above 0
    recovery_percent : total against the standard; None without both
    retained_percent : efflux where the table gives it, in percent of the cell-associated activity at 0 min
    """

    well: Well
    denominator: str
    uptake_percent: Measured | None
    membrane_percent: Measured | None
    internalised_percent: Measured | None
    internalised_of_cell_percent: Measured | None
    recovery_percent: Measured | None
    retained_percent: Measured | None = None

    def quantity(self, name: str) -> Measured | None:
        """Share by its column name."""
        found: Measured | None = getattr(self, name)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        w = self.well
        shares = {
            name: None if (m := getattr(self, name)) is None else m.estimate().to_json() | {"u": jsonable(m.u)}
            for name in (*QUANTITIES, "recovery_percent")
        }
        return {
            "well": w.name, "tracer": w.tracer, "experiment": w.experiment, "phase": w.phase, "condition": w.condition,
            "time_min": jsonable(w.time_min), **shares, "denominator": self.denominator,
            "cells_million": jsonable(w.cells_million), "protein_mg": jsonable(w.protein_mg),
        }  # fmt: skip


def well_shares(
    wells: Sequence[Well],
    standards: Mapping[str, Measured],
    log: NoticeLog,
    *,
    recovery_limits: tuple[float, float] = (95.0, 105.0),
) -> tuple[WellShares, ...]:
    """Shares of all wells, with a warning for each recovery outside the limits.

    Parameters
    ----------
    wells : with their net rates
    standards : tracer to the rate of the applied activity; the empty name stands for all
    log : receives recoveries outside the limits
    recovery_limits : in percent of the standard

    Raises
    ------
    InputError
        For a well without lysate, or a total of 0 or below.
    MissingValue
        For a well with neither supernatant nor standard.
    """
    out = []
    low, high = recovery_limits
    for well in wells:
        found = _shares(well, standards.get(well.tracer, standards.get("")))
        out.append(found)
        recovered = found.recovery_percent
        if recovered is not None and not low <= recovered.value <= high:
            log.warning(
                "RECOVERY_OUTSIDE",
                f"well {well.name}{f' ({well.tracer})' if well.tracer else ''}: {recovered.value:.1f} % of the standard "
                f"recovered, outside {low:g} to {high:g} %",
                raw=recovered.value,
            )  # fmt: skip
    if not standards and any(w.supernatant is not None for w in wells):
        log.info("NO_APPLIED_STANDARD", "no standard of the applied activity was counted, so recovery is not checked")
    return tuple(out)


def _shares(well: Well, standard: Measured | None) -> WellShares:
    label = f"well {well.name}{f' ({well.tracer})' if well.tracer else ''}"
    if well.lysate is None:
        raise InputError(label, "fraction", "no lysate", "the lysate of each well")
    fractions = [f for f in (well.supernatant, well.acid_wash, well.lysate) if f is not None]
    if well.supernatant is not None:
        whole, denominator = summed(fractions), "total"
    elif standard is not None:
        whole, denominator = standard, "standard"
    else:
        raise MissingValue(
            f"the uptake of {label}", "neither its supernatant nor a standard of the applied activity was counted",
            "one of the two", "NO_APPLIED_ACTIVITY",
        )  # fmt: skip
    if not (math.isfinite(whole.value) and whole.value > 0):
        raise InputError(label, denominator, whole.value, "an activity above background")
    cell = None if well.acid_wash is None else well.acid_wash + well.lysate
    recovery = None
    if standard is not None and well.supernatant is not None:
        if not standard.value > 0:
            raise InputError(label, "standard", standard.value, "a standard above background")
        recovery = (whole / standard).scaled(100.0)
    return WellShares(
        well=well,
        denominator=denominator,
        # Without an acid wash the lysate is all that is bound to the cells.
        uptake_percent=((cell or well.lysate) / whole).scaled(100.0),
        membrane_percent=None if well.acid_wash is None else (well.acid_wash / whole).scaled(100.0),
        internalised_percent=None if cell is None else (well.lysate / whole).scaled(100.0),
        internalised_of_cell_percent=None if cell is None or cell.value <= 0 else (well.lysate / cell).scaled(100.0),
        recovery_percent=recovery,
    )
