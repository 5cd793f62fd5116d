"""Measured counts, with what scatter and randoms are expected to add to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from fusin.errors import InputError
from fusin.reconstruction.projector import FloatImage

__all__ = ["Measured", "Redraw"]

Redraw = Callable[[np.random.Generator], FloatImage]
"""Draws an additive part anew."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measured:
    """Counts of one acquisition and everything that is known about them beside the projector.

    Attributes
    ----------
    counts : data_shape, float32, not negative; all ones for list mode, whose first axis is the event
    additive : expected scatter + randoms in counts, same shape; None for none
    weights : 0 for a bin that is left out (a gap, a dead crystal, a view that was not taken), 1 for one that counts; None
        for all
    corrections : one sentence per correction that the data or the projector carry, in the order in which they were made
    additive_total : expected scatter + randoms over all bins that could have counted; None: the sum of ``additive``. List
        mode has to state it, since its ``additive`` stands at the events only
    redraw_additive : draws ``additive`` anew from its own counts (a scatter window, delayed coincidences) for the
        bootstrap; None: it is kept
    name : file or study for messages

    Raises
    ------
    InputError
        For negative or non-finite counts, a negative or non-finite additive part, or shapes that differ.
    """

    counts: FloatImage
    additive: FloatImage | None = None
    weights: FloatImage | None = None
    corrections: tuple[str, ...] = ()
    additive_total: float | None = None
    redraw_additive: Redraw | None = None
    name: str = "projection data"

    def __post_init__(self) -> None:
        for field in ("counts", "additive", "weights"):
            values = getattr(self, field)
            if values is None:
                continue
            held = np.ascontiguousarray(values, dtype=np.float32)
            if held.shape != np.shape(self.counts):
                raise InputError(self.name, field, held.shape, f"the shape {np.shape(self.counts)} of the counts")
            if not np.isfinite(held).all():
                bad = int(np.count_nonzero(~np.isfinite(held)))
                raise InputError(self.name, field, f"{bad} bins that are no number", "finite values")
            if (held < 0).any():
                where = tuple(int(i) for i in np.unravel_index(int(np.argmin(held)), held.shape))
                raise InputError(
                    self.name,
                    field,
                    f"{int((held < 0).sum())} negative bins, lowest {held.min():g} at {where}",
                    "counts of 0 or more: scatter and randoms belong into the additive part, not subtracted",
                )
            held = held.view()
            held.flags.writeable = False
            object.__setattr__(self, field, held)
        if self.counts.ndim < 1 or self.counts.size == 0:
            raise InputError(self.name, "counts", self.counts.shape, "at least one bin")

    @property
    def total_counts(self) -> float:
        """Sum of the counts that take part."""
        counted = self.counts if self.weights is None else self.counts * self.weights
        return float(counted.sum(dtype=np.float64))

    @property
    def expected_additive(self) -> float:
        """Expected scatter + randoms over all bins that take part."""
        if self.additive_total is not None:
            return self.additive_total
        if self.additive is None:
            return 0.0
        counted = self.additive if self.weights is None else self.additive * self.weights
        return float(counted.sum(dtype=np.float64))

    def redrawn(self, rng: np.random.Generator) -> Measured:
        """Return a bootstrap replicate: Poisson counts about the measured ones, and their additive part drawn anew.

        Each event of a list is repeated a Poisson(1) number of times, which is the same as Poisson(y) in a bin of y
        events, and leaves the total free to vary as it does between two acquisitions.
        """
        counts = cast(FloatImage, rng.poisson(self.counts).astype(np.float32))
        additive = self.additive if self.redraw_additive is None else self.redraw_additive(rng)
        return replace(self, counts=counts, additive=additive)
