"""Named criteria of automatic placement, and the confidence made from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from fusin.imaging.volume import FloatArray
from fusin.quantification.references import ReferenceKind

__all__ = ["CONFIDENCE_CEILING", "CONFIDENCE_FLOOR", "Candidate", "Criterion", "confidence", "ramp"]

CONFIDENCE_FLOOR = 0.5
"""Below this a region is declined. One criterion below 0.3 is enough for that, however good the others are."""

CONFIDENCE_CEILING = 0.95
"""Perfect criteria give no more: the finders were judged on digital anatomies, not on patients."""

Number = TypeVar("Number", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One reason to believe in a place: 0 (fails) to 1 (as in the textbook), with the value found."""

    name: str
    value: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place for a reference shape.

    Attributes
    ----------
    kind : tissue
    centre_mm : LPS millimetres
    criteria : what speaks for it
    sentence : how it was found
    """

    kind: ReferenceKind
    centre_mm: tuple[float, float, float]
    criteria: tuple[Criterion, ...]
    sentence: str


def ramp(value: Number, bad: float, good: float) -> Number:
    """0 at `bad`, 1 at `good`, linear between; `bad` may be the larger one. NaN gives 0."""
    share = np.clip((np.asarray(value, dtype=np.float64) - bad) / (good - bad), 0.0, 1.0)
    share = np.nan_to_num(share, nan=0.0)
    return float(share) if share.ndim == 0 else share  # type: ignore[return-value]  # the TypeVar pairs both


def confidence(criteria: Sequence[Criterion]) -> float:
    """Square root of the weakest criterion times the geometric mean of all, at most 0.95.

    The weakest one counts twice, so that a place in the wrong organ, which fails a single criterion, is not carried
    by the many that any soft tissue fulfils.
    """
    weakest = min((c.value for c in criteria), default=0.0)
    if weakest <= 0.0:
        return 0.0
    mean = math.exp(sum(math.log(c.value) for c in criteria) / len(criteria))
    return CONFIDENCE_CEILING * math.sqrt(weakest * mean)
