"""Results of saturation binding: curves, and groups over their experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusin.assays.binding_results import Quantity
from fusin.assays.fitting import Fit
from fusin.assays.model_choice import Comparison

__all__ = ["GroupSaturation", "SaturationCurve"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SaturationCurve:
    """One saturation: a group in one experiment.

    Attributes
    ----------
    group, experiment : names
    model : name of the curve
    n : points
    quantities : ``bmax`` and, where they belong to the model, ``kd_nm``, ``ns``, ``background``, ``bmax_low``, ``kd_low_nm``, and
        ``bmax_fmol_mg``, ``bmax_sites_cell`` where protein or cells are known
    residual_ss, weighted_ss : sums of squared residuals
    comparison : one site against two
    fit : for figures
    bound_over_added : largest share of the radioligand that is bound
    """

    group: str
    experiment: str
    model: str
    n: int
    quantities: Mapping[str, Quantity]
    residual_ss: float
    weighted_ss: float | None
    fit: Fit
    comparison: Comparison | None = None
    bound_over_added: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "group": self.group,
            "experiment": self.experiment,
            "model": self.model,
            **_quantities(self.quantities),
            "residual_ss": self.residual_ss,
            "weighted_ss": self.weighted_ss,
            "n": self.n,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "bound_over_added": self.bound_over_added,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupSaturation:
    """A group over all its experiments; quantities are means with t intervals, geometric for Kd.

    ``refused`` names the experiments without Bmax and Kd, each with the reason.
    """

    group: str
    experiments: tuple[SaturationCurve, ...]
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    pooling: str = "one experiment"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping: the contract of the verb, and the experiments."""
        single = self.experiments[0] if len(self.experiments) == 1 else None
        comparison = single.comparison if single else None
        weighted = [c.weighted_ss for c in self.experiments if c.weighted_ss is not None]
        return {
            "group": self.group,
            "model": next((c.model for c in self.experiments), ""),
            **_quantities(self.quantities),
            "residual_ss": sum(c.residual_ss for c in self.experiments) if self.experiments else None,
            "weighted_ss": sum(weighted) if weighted else None,
            "n": sum(c.n for c in self.experiments),
            "n_experiments": len(self.experiments),
            "bound_over_added": max((c.bound_over_added for c in self.experiments if c.bound_over_added), default=None),
            "refused": [{"experiment": name, "reason": reason} for name, reason in self.refused],
            "pooling": self.pooling,
            "comparison": None if comparison is None else comparison.to_json(),
            "experiments": [c.to_json() for c in self.experiments],
        }


_NAMES = ("bmax", "kd", "kd_nm", "ns", "background", "bmax_low", "kd_low_nm", "bmax_fmol_mg", "bmax_sites_cell")


def _quantities(found: Mapping[str, Quantity]) -> dict[str, Any]:
    every = {**found, **({"kd": found["kd_nm"]} if "kd_nm" in found else {})}
    return {name: every[name].to_json() if name in every else None for name in _NAMES}
