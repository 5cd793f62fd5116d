"""Spill-over between counting windows: what each nuclide puts into every window, from pure standards, and its removal.

With the rate r_i of window i and the activity x_j of nuclide j in units of its own window's rate::

    r = S x        S_ij = (rate of pure standard j in window i) / (its rate in its own window),  S_jj = 1
    x = S^-1 r     dx = S^-1 (dr - dS x)

Uncertainties of rates and of S go through with their covariances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.assays.counting_uncertainty import Measured, Source, exact
from fusin.errors import InvalidValue, MissingValue

__all__ = ["SpillOver", "spill_over_from_standards"]

_WHAT = "spill-over correction"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpillOver:
    """A square matrix of spill-over fractions.

    Attributes
    ----------
    nuclides : names, one for each window, in the order of the columns
    windows : names, in the order of the rows
    fractions : rows of `Measured`; element (i, j) is what nuclide j puts into window i per rate in its own window j
    condition : condition number of the matrix; large when the windows do not tell the nuclides apart
    """

    nuclides: tuple[str, ...]
    windows: tuple[str, ...]
    fractions: tuple[tuple[Measured, ...], ...]
    condition: float

    @classmethod
    def of(cls, windows: Sequence[str], nuclides: Sequence[str], fractions: Sequence[Sequence[Measured]]) -> SpillOver:
        """Check and build a matrix.

        Raises
        ------
        InvalidValue
            For a matrix that is not square, a negative fraction, or windows that do not tell the nuclides apart.
        """
        size = len(nuclides)
        if len(windows) != size or len(fractions) != size or any(len(row) != size for row in fractions):
            raise InvalidValue(
                _WHAT, f"{len(windows)} windows for {size} nuclides", "one window for each nuclide", "SPILLOVER_MATRIX"
            )
        matrix = _values(fractions)
        if not np.isfinite(matrix).all():
            raise InvalidValue(_WHAT, "a fraction is not finite", "pure standards with counts", "SPILLOVER_MATRIX")
        condition = float(np.linalg.cond(matrix))
        if not condition < 1e6:
            raise InvalidValue(
                _WHAT, "the windows see the nuclides in the same proportions", "windows that tell them apart",
                "SPILLOVER_MATRIX",
            )  # fmt: skip
        rows = tuple(tuple(row) for row in fractions)
        return cls(nuclides=tuple(nuclides), windows=tuple(windows), fractions=rows, condition=condition)

    def unmix(self, rates: Mapping[str, Measured]) -> dict[str, Measured]:
        """Net rate of each nuclide in its own window.

        Parameters
        ----------
        rates : background-corrected rate of each window, all in one unit

        Raises
        ------
        MissingValue
            When a window has no rate.
        """
        missing = [w for w in self.windows if w not in rates]
        if missing:
            raise MissingValue(_WHAT, f"window {missing[0]} has no rate", "a rate of each window", "SPILLOVER_WINDOW")
        inverse = np.linalg.inv(_values(self.fractions))
        values = inverse @ np.array([rates[w].value for w in self.windows])
        sources = _sources([rates[w] for w in self.windows], *self.fractions)
        parts: list[dict[Source, float]] = [{} for _ in self.nuclides]
        for source in sources:
            delta_r = np.array([rates[w].parts.get(source, 0.0) for w in self.windows])
            delta_s = np.array([[m.parts.get(source, 0.0) for m in row] for row in self.fractions])
            for part, change in zip(parts, inverse @ (delta_r - delta_s @ values), strict=True):
                part[source] = float(change)
        complete = all(rates[w].complete for w in self.windows) and all(
            m.complete for row in self.fractions for m in row
        )
        return {
            name: Measured(float(value), part, complete)
            for name, value, part in zip(self.nuclides, values, parts, strict=True)
        }


def spill_over_from_standards(standards: Mapping[str, Mapping[str, Measured]], own: Mapping[str, str]) -> SpillOver:
    """Matrix from pure standards.

    Parameters
    ----------
    standards : nuclide to (window to net rate) of a standard that holds this nuclide only
    own : nuclide to the window that is its own

    Raises
    ------
    MissingValue
        When a standard has no rate in a window.
    InvalidValue
        When two nuclides share a window, a standard has no signal in its own one, or the windows do not tell them apart.
    """
    nuclides = tuple(standards)
    missing = [n for n in nuclides if n not in own]
    if missing:
        raise MissingValue(
            _WHAT, f"{missing[0]} has no window of its own", "a window for each nuclide", "SPILLOVER_WINDOW"
        )
    windows = tuple(own[n] for n in nuclides)
    if len(set(windows)) < len(windows):
        raise InvalidValue(_WHAT, "two nuclides have the same window", "a window for each nuclide", "SPILLOVER_MATRIX")
    columns = []
    for nuclide in nuclides:
        rates = standards[nuclide]
        gone = [w for w in windows if w not in rates]
        if gone:
            raise MissingValue(
                _WHAT,
                f"the standard of {nuclide} was not counted in window {gone[0]}",
                "all windows",
                "SPILLOVER_WINDOW",
            )
        mine = rates[own[nuclide]]
        if not mine.value > 0:
            raise InvalidValue(
                _WHAT, f"the standard of {nuclide} has a net rate of {mine.value:g} in its own window", "a positive rate",
                "SPILLOVER_MATRIX",
            )  # fmt: skip
        columns.append([exact(1.0) if w == own[nuclide] else rates[w] / mine for w in windows])
    rows = [[columns[j][i] for j in range(len(nuclides))] for i in range(len(windows))]
    return SpillOver.of(windows, nuclides, rows)


def _values(fractions: Sequence[Sequence[Measured]]) -> NDArray[np.float64]:
    return np.array([[m.value for m in row] for row in fractions], dtype=np.float64)


def _sources(*rows: Sequence[Measured]) -> list[Source]:
    return list(dict.fromkeys(s for row in rows for m in row for s in m.parts))
