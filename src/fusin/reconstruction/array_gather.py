"""A sparse matrix on a device whose transpose gathers too.

Every row has the same small number of terms, and so has every row of the transpose, filled up with weights of 0. Both products then
read from many places and write each result once: nothing is added by several threads to one element, as a plain transpose would.
The weights of the transpose are those of the matrix, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.reconstruction.array_library import ArrayLibrary

__all__ = ["GatherMatrix"]


@dataclass(frozen=True, slots=True, eq=False)
class GatherMatrix:
    """Rows of a few weighted terms on a device; build it with `of`.

    Attributes
    ----------
    library : that holds the arrays
    index, weights : (terms, rows) of the matrix
    back_index, back_weights : (terms, columns) of its transpose
    """

    library: ArrayLibrary
    index: Any
    weights: Any
    back_index: Any
    back_weights: Any

    @classmethod
    def of(cls, library: ArrayLibrary, index: NDArray[Any], weights: NDArray[Any], columns: int) -> GatherMatrix:
        """Send a matrix and its transpose to a device.

        Parameters
        ----------
        library : of the device
        index : (terms, rows) column of each term
        weights : (terms, rows); 0 for a term that is none
        columns : of the matrix
        """
        back_index, back_weights = transposed(index, weights, columns)
        parts = (index.astype(np.int32), weights, back_index, back_weights)
        return cls(library, *(library.put(part) for part in parts))

    @property
    def bytes(self) -> int:
        """Memory on the device."""
        one = 4 + int(self.weights.itemsize)
        return one * (int(np.prod(tuple(self.index.shape))) + int(np.prod(tuple(self.back_index.shape))))

    def forward(self, values: Any) -> Any:
        """Product with (columns, width)."""
        return self.library.weighted_rows(values, self.index, self.weights)

    def back(self, values: Any) -> Any:
        """Product of the transpose with (rows, width)."""
        return self.library.weighted_rows(values, self.back_index, self.back_weights)


def transposed(index: NDArray[Any], weights: NDArray[Any], columns: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Index and weights of the transpose, (most terms of a column, columns)."""
    kept = np.flatnonzero(weights)
    column = index.reshape(-1)[kept]
    order = np.argsort(column, kind="stable")
    column, kept = column[order], kept[order]
    counts = np.bincount(column, minlength=columns)
    rank = np.arange(column.size) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (max(int(counts.max(initial=0)), 1), columns)
    found, values = np.zeros(shape, np.int32), np.zeros(shape, weights.dtype)
    found[rank, column] = kept % index.shape[1]
    values[rank, column] = weights.reshape(-1)[kept]
    return found, values
