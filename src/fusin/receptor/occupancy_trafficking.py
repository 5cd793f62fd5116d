"""What CXCL12 leaves of CXCR4 at the surface over time, by layer A of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fusin.errors import InputError
from fusin.receptor.sbml_read import read_model
from fusin.receptor.simulation import Simulator

__all__ = ["chemokine_trafficking"]

MINUTES = (10, 40, 90)
CELLS = {"cxcr4": "CXCR4 alone", "dual": "CXCR4 and ACKR3"}
_MODEL = {"cxcr4": "cxcr4", "dual": "cxcr4-ackr3"}


def chemokine_trafficking(cxcl12_nm: Sequence[float], *, cell: str = "cxcr4") -> tuple[dict[str, Any], ...]:
    """CXCR4 that is at the surface, and that is at the surface without CXCL12, against the resting cell.

    Parameters
    ----------
    cxcl12_nm : added at time 0, in the medium of 1.75 nL per cell
    cell : ``cxcr4`` or ``dual``

    Returns
    -------
    tuple
        Rows of cxcl12_nm, minutes, surface, unoccupied, and source.

    Raises
    ------
    InputError
        For another cell.
    MissingExtra
        Without libSBML.
    """
    if cell not in _MODEL:
        raise InputError("cell", "name", cell, "one of " + ", ".join(_MODEL))
    simulator = Simulator(read_model(_MODEL[cell]))
    end = MINUTES[-1] * 60
    rows: list[dict[str, Any]] = []
    for level in cxcl12_nm:
        course = simulator.run(until=end, points=end // 60 + 1, changed={"CXCL12": level})
        free, surface = course["free_CXCR4"], course["surface_CXCR4"]
        for minute in MINUTES:
            rows.append(
                {
                    "cxcl12_nm": level,
                    "minutes": minute,
                    "surface": float(surface[minute] / surface[0]),
                    "unoccupied": float(free[minute] / free[0]),
                    "source": f"Coggins 2014, cells with {CELLS[cell]}",
                }
            )
    return tuple(rows)
