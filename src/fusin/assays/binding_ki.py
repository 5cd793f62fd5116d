"""From IC50 to Ki: Cheng-Prusoff, and the fit that knows how much radioligand is bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_results import CurveBinding, Quantity, linear_nm
from fusin.assays.binding_tables import Points
from fusin.assays.depletion import (
    cheng_prusoff,
    competition_depleted,
    kd_in_counts,
    positive,
    radioligand_nm,
)
from fusin.assays.fitting import fit
from fusin.assays.intervals import profiled
from fusin.assays.noise import Noise
from fusin.errors import InputError

__all__ = ["Radioligand", "constants_of", "exact_ki", "ki_by_cheng_prusoff"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Radioligand:
    """What is known about the radioligand; None where it is not.

    Attributes
    ----------
    kd_nm : dissociation constant [nM], taken as exact
    concentration_nm : in the reaction [nM]
    added : in the reaction, in the unit of the response [cpm]
    volume_ml : of the reaction [mL]
    specific_activity : counts per amount [cpm/fmol]
    """

    kd_nm: float | None = None
    concentration_nm: float | None = None
    added: float | None = None
    volume_ml: float | None = None
    specific_activity: float | None = None

    def __post_init__(self) -> None:
        units = {
            "kd_nm": "nM",
            "concentration_nm": "nM",
            "added": "cpm",
            "volume_ml": "mL",
            "specific_activity": "cpm/fmol",
        }
        for name, unit in units.items():
            value = getattr(self, name)
            if value is not None:
                positive(float(value), name.replace("_", " "), unit)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {f"radioligand_{name}": getattr(self, name) for name in self.__slots__}

    @property
    def complete(self) -> bool:
        """Whether depletion can be computed."""
        return None not in (self.kd_nm, self.added, self.volume_ml, self.specific_activity)

    @property
    def free_nm(self) -> float | None:
        """Concentration [nM], given or from the counts added."""
        if self.concentration_nm is not None:
            return self.concentration_nm
        if self.added is None or self.volume_ml is None or self.specific_activity is None:
            return None
        return radioligand_nm(self.added, volume_ml=self.volume_ml, specific_activity=self.specific_activity)


def constants_of(points: Points, given: Radioligand) -> Radioligand:
    """Kd, concentration and counts of a curve, from the options or its table.

    Raises
    ------
    InputError
        When the table holds several values for one curve, or another than the option.
    """
    found: dict[str, float] = {}
    columns = {"kd_nm": points.kd_nm, "concentration_nm": points.hot_nm, "added": points.added}
    for name, column in columns.items():
        values = np.unique(column[np.isfinite(column)])
        if not values.size:
            continue
        own = getattr(given, name)
        words = {"kd_nm": "Kd", "concentration_nm": "radioligand", "added": "added"}[name]
        if values.size > 1:
            raise InputError(
                points.compound or "table", words, ", ".join(f"{v:g}" for v in values[:4]),
                "one value for each curve, or --model homologous where compound and radioligand are the same",
            )  # fmt: skip
        if own is not None and abs(own - values[0]) > 1e-6 * own:
            raise InputError(
                points.compound or "table", words, float(values[0]), f"the {own:g} of the option, or no option"
            )
        if not values[0] > 0:
            raise InputError(points.compound or "table", words, float(values[0]), "a number above 0")
        found[name] = float(values[0])
    return replace(
        given,
        kd_nm=found.get("kd_nm", given.kd_nm),
        concentration_nm=found.get("concentration_nm", given.concentration_nm),
        added=found.get("added", given.added),
    )


def ki_by_cheng_prusoff(curve: CurveBinding, hot: Radioligand) -> tuple[Quantity | None, str]:
    """Ki [nM] and how it was had, or None and why not."""
    free = hot.free_nm
    ic50 = curve.ic50_nm
    if hot.kd_nm is None or free is None or ic50 is None:
        missing = [w for w, v in (("the Kd", hot.kd_nm), ("the concentration", free)) if v is None]
        return None, f"no Ki: it needs {' and '.join(missing)} of the radioligand" if missing else "no Ki"
    factor = cheng_prusoff(1.0, radioligand=free, kd=hot.kd_nm)
    note = f"Cheng-Prusoff with [L] {free:.4g} nM and Kd {hot.kd_nm:g} nM, both taken as known"
    return ic50.mapped(lambda v: v * factor, factor), note


def exact_ki(points: Points, hot: Radioligand, *, noise: Noise, level: float, seed: int, label: str) -> Quantity:
    """Ki [nM] from the curve that accounts for depletion of the radioligand.

    Raises
    ------
    NotComputable
        When the data do not determine it.
    """
    if hot.kd_nm is None or hot.added is None or hot.volume_ml is None or hot.specific_activity is None:
        raise InputError(label or "table", "radioligand", "not all", "Kd, added counts, volume and specific activity")
    kd_counts = kd_in_counts(hot.kd_nm, volume_ml=hot.volume_ml, specific_activity=hot.specific_activity)
    x = np.vstack([points.log_x, np.full(points.y.size, hot.added)])
    found = fit(
        competition_depleted, x, points.y, what=f"exact Ki of {label}" if label else "exact Ki", noise=noise, sd=points.sd,
        fixed={"kd_counts": kd_counts}, seed=seed,
    )  # fmt: skip
    found, limits = profiled(found, level=level, names=("log_ki",))
    return linear_nm(Quantity(estimate=limits["log_ki"], se=found.se["log_ki"]))
