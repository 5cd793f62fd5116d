"""A test together with the size of the effect that it tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fusin.provenance import jsonable
from fusin.stats.results import Estimate, TestResult

__all__ = ["EffectTest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectTest(TestResult):
    """A p-value with its test, and beside it the effect with its interval.

    Attributes
    ----------
    effect : what the test is about (mean difference, shift, odds ratio, correlation), in the unit of the data
    """

    effect: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        own = {name: jsonable(getattr(self, name)) for name in TestResult.__slots__}
        return own | {"effect": self.effect.to_json()}
