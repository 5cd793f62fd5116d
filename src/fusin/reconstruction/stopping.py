"""When an image has come to rest: the metrics of the PETRIC challenge.

::

    object       RMSE over the whole object                / mean of the background  < 0.01
    background   RMSE over the background                   / mean of the background  < 0.01
    region i     |difference of the means of region i|     / mean of the background  < 0.005

The challenge compares with the image of a converged run. Without such an image, the one an iteration before stands in: the
same numbers then say that the image no longer moves, which for MLEM and OSEM is not the same as having converged.

References
----------
SyneRBI/PETRIC, ``petric.py``: thresholds 0.005, 0.01, 0.01, to be met by 10 consecutive updates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.reconstruction.projector import FloatImage

__all__ = ["OBJECT", "REGION", "Stopping"]

OBJECT, REGION = 0.01, 0.005
"""Tolerances of the challenge: of the whole object and of the background, and of the means of regions."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stopping:
    """Masks, tolerances and how often in a row.

    Attributes
    ----------
    whole : voxels of the object
    background : voxels of a background, whose mean scales all metrics
    regions : masks by name
    object_tolerance, region_tolerance : relative to the mean of the background
    consecutive : iterations in a row that must meet all tolerances
    reference : converged image; None for the image an iteration before

    Raises
    ------
    InputError
        For empty masks, masks of different shapes, or tolerances that are not positive.
    """

    whole: NDArray[np.bool_]
    background: NDArray[np.bool_]
    regions: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    object_tolerance: float = OBJECT
    region_tolerance: float = REGION
    consecutive: int = 1
    reference: FloatImage | None = None

    def __post_init__(self) -> None:
        for name, mask in {"whole": self.whole, "background": self.background, **self.regions}.items():
            if mask.shape != self.whole.shape or not mask.any():
                raise InputError("stop", name, f"{int(mask.sum())} voxels, shape {mask.shape}",
                                 f"at least one voxel on the grid {self.whole.shape}")  # fmt: skip
        for name in ("object_tolerance", "region_tolerance", "consecutive"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError("stop", name, getattr(self, name), "a positive number")

    def metrics(self, image: FloatImage, before: FloatImage) -> dict[str, float]:
        """Each metric relative to the mean of the background: ``object``, ``background`` and the regions by name."""
        target = before if self.reference is None else self.reference
        scale = abs(float(target[self.background].mean(dtype=np.float64)))
        if scale == 0.0:
            return {"object": float("inf")}
        difference = image.astype(np.float64) - target
        found = {
            "object": float(np.sqrt(np.mean(difference[self.whole] ** 2))),
            "background": float(np.sqrt(np.mean(difference[self.background] ** 2))),
            **{name: abs(float(difference[mask].mean())) for name, mask in self.regions.items()},
        }
        return {name: value / scale for name, value in found.items()}

    def metric(self, image: FloatImage, before: FloatImage) -> float:
        """Largest metric over its tolerance; below 1 where all are met."""
        return max(
            value / (self.object_tolerance if name in ("object", "background") else self.region_tolerance)
            for name, value in self.metrics(image, before).items()
        )

    def reached(self, changes: Sequence[float]) -> bool:
        """Whether the last ``consecutive`` iterations all met their tolerances."""
        last = changes[-self.consecutive :]
        return len(last) == self.consecutive and all(c < 1.0 for c in last)

    def sentence(self, iteration: int) -> str:
        """Why the run ended."""
        against = "the image an iteration before" if self.reference is None else "the reference image"
        return (
            f"after {iteration} iterations object and background differ from {against} by less than "
            f"{self.object_tolerance:g} and regions by less than {self.region_tolerance:g} of the background"
        )
