"""What is known of the radioligand and the receptor of a competition, from options and from the table."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusin.assays.binding_tables import Points
from fusin.assays.depletion import positive, radioligand_nm
from fusin.errors import InputError

__all__ = ["Radioligand", "constants_of"]

# Two statements of one concentration that differ by more cannot both be right; rounding is smaller.
_AGREE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Radioligand:
    """What is known; None where it is not.

    Attributes
    ----------
    kd_nm : dissociation constant of the radioligand [nM]
    concentration_nm : of the radioligand in the reaction, all of it [nM]
    added : radioligand in the reaction, in the unit of the response [cpm]
    volume_ml : of the reaction [mL]
    specific_activity : counts per amount [cpm/fmol]
    receptor_nm : binding sites in the reaction [nM]
    bmax : the same in the unit of the response [cpm]
    kd_u_nm, concentration_u_nm, receptor_u_nm : standard uncertainties [nM]; without them the values are taken as exact
    """

    kd_nm: float | None = None
    concentration_nm: float | None = None
    added: float | None = None
    volume_ml: float | None = None
    specific_activity: float | None = None
    receptor_nm: float | None = None
    bmax: float | None = None
    kd_u_nm: float | None = None
    concentration_u_nm: float | None = None
    receptor_u_nm: float | None = None

    def __post_init__(self) -> None:
        units = {"added": "cpm", "volume_ml": "mL", "specific_activity": "cpm/fmol", "bmax": "cpm"}
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None:
                positive(float(value), _WORDS.get(name, name.replace("_", " ")), units.get(name, "nM"))
        if self.receptor_nm is not None and self.bmax is not None:
            raise InputError("radioligand", "receptor", "nM and Bmax", "one of the two")
        if self.concentration_nm is None or None in (self.added, self.volume_ml, self.specific_activity):
            return
        counted = self._from_counts()
        if counted is not None and abs(counted / self.concentration_nm - 1.0) > _AGREE:
            raise InputError(
                "radioligand", "concentration", f"{self.concentration_nm:g} nM",
                f"the {counted:.4g} nM that counts added, volume and specific activity make, or one of the two statements",
            )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {f"radioligand_{name}": getattr(self, name) for name in self.__slots__}

    def _from_counts(self) -> float | None:
        if self.added is None or self.volume_ml is None or self.specific_activity is None:
            return None
        return radioligand_nm(self.added, volume_ml=self.volume_ml, specific_activity=self.specific_activity)

    @property
    def total_nm(self) -> float | None:
        """Concentration [nM] of the radioligand, given or from the counts added."""
        return self.concentration_nm if self.concentration_nm is not None else self._from_counts()

    @property
    def receptor(self) -> float | None:
        """Binding sites [nM], given or from Bmax in counts."""
        if self.receptor_nm is not None or self.bmax is None or self.added is None or self.total_nm is None:
            return self.receptor_nm
        return self.bmax * self.total_nm / self.added

    def moved(self, name: str, value: float) -> Radioligand:
        """The same with another Kd, concentration or receptor."""
        if name == "concentration_nm":
            # The counts added stay; what they are in nM is what moves.
            return replace(self, concentration_nm=value, volume_ml=None, specific_activity=None)
        if name == "receptor_nm":
            return replace(self, receptor_nm=value, bmax=None)
        return replace(self, kd_nm=value)


_WORDS = {"kd_nm": "Kd", "concentration_nm": "radioligand", "kd_u_nm": "uncertainty of Kd",
          "concentration_u_nm": "uncertainty of the radioligand", "receptor_nm": "receptor",
          "receptor_u_nm": "uncertainty of the receptor", "bmax": "Bmax"}  # fmt: skip


def constants_of(points: Points, given: Radioligand) -> Radioligand:
    """Kd, concentrations, counts and uncertainties of a curve, from the options or its table.

    Raises
    ------
    InputError
        When the table holds several values for one curve, or another than the option; for an uncertainty without its
        value, and a Bmax that cannot be turned into nM.
    """
    where = points.compound or "table"
    found: dict[str, float] = {}
    for name, column in points.radioligand.items():
        values = np.unique(column[np.isfinite(column)])
        if not values.size:
            continue
        own = getattr(given, name)
        word = _WORDS.get(name, name)
        if values.size > 1:
            raise InputError(
                where, word, ", ".join(f"{v:g}" for v in values[:4]),
                "one value for each curve, or --model homologous where compound and radioligand are the same",
            )  # fmt: skip
        if own is not None and abs(own - values[0]) > 1e-6 * own:
            raise InputError(where, word, float(values[0]), f"the {own:g} of the option, or no option")
        if not values[0] > 0:
            raise InputError(where, word, float(values[0]), "a number above 0")
        found[name] = float(values[0])
    merged = replace(given, **found)
    for name, value in (("kd", merged.kd_nm), ("concentration", merged.total_nm), ("receptor", merged.receptor)):
        u = getattr(merged, f"{name}_u_nm")
        if u is not None and (value is None or not math.isfinite(value)):
            raise InputError(where, _WORDS[f"{name}_u_nm"], u, f"the {_WORDS[f'{name}_nm']} itself too")
    if merged.bmax is not None and merged.receptor is None:
        raise InputError(
            where, "Bmax", merged.bmax, "counts added and concentration of the radioligand too, to turn it into nM"
        )
    return merged
