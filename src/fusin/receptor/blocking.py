"""A drug on board: its concentration by hours after a dose under the skin, and how much of the receptor it leaves.

One compartment with first-order absorption (Bateman)::

    C(t) = D / V ka / (ka - ke) (exp(-ke t) - exp(-ka t)),    tmax = ln(ka / ke) / (ka - ke)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.receptor.ranges import Range, ligand_table, range_of

__all__ = ["Drug", "absorption_rate_per_h", "concentration_nm", "drug_by_name"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drug:
    """A drug that competes, and how it is handled.

    Attributes
    ----------
    name : of the drug
    dose_mg_per_kg : under the skin, all of it absorbed
    molar_mass_g_mol : of the form that the dose counts
    tmax_h, half_life_h : time of the peak, half-life at the end
    volume_l_per_kg : apparent volume
    free_share : of the drug in plasma that is not bound to protein
    kd_nm : at the receptor
    source : of the numbers
    """

    name: str
    dose_mg_per_kg: float
    molar_mass_g_mol: float
    tmax_h: Range
    half_life_h: Range
    volume_l_per_kg: Range
    free_share: Range
    kd_nm: Range
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {k: v.to_json() if isinstance(v, Range) else v for k, v in found.items()}


def drug_by_name(name: str, *, kd_nm: Range | None = None, dose_mg_per_kg: float | None = None) -> Drug:
    """A drug of ``models/ligands.toml``.

    Raises
    ------
    InputError
        For a drug that is not there, or a dose that is none.
    """
    table = ligand_table()
    if name not in table["drugs"]:
        raise InputError("drug", "name", name, "one of " + ", ".join(table["drugs"]) + ", or all of its numbers")
    row, span = table["drugs"][name], table["ranges"][name]
    dose = row["dose_mg_per_kg"] if dose_mg_per_kg is None else dose_mg_per_kg
    if not (math.isfinite(dose) and dose > 0):
        raise InputError("drug", "dose", dose, "a number above 0 in mg/kg")
    assumed = range_of([span["low_nm"], span["high_nm"]], name, "kd_nm")
    ranges = {key: range_of(row[key], name, key) for key in ("tmax_h", "half_life_h", "volume_l_per_kg", "free_share")}
    return Drug(
        name=name,
        dose_mg_per_kg=float(dose),
        molar_mass_g_mol=float(row["molar_mass_g_mol"]),
        kd_nm=kd_nm or Range(value=assumed.value, low=assumed.low, high=assumed.high, stated=False),
        source=str(row["source"]),
        **ranges,
    )


def absorption_rate_per_h(tmax_h: FloatArray, half_life_h: FloatArray) -> FloatArray:
    """Rate of absorption that puts the peak at a time [1/h].

    With x = ka / ke, tmax ke = ln x / (x - 1), which falls with x; absorption is taken as the faster of both rates.

    Raises
    ------
    InputError
        When the peak comes later than a half-life over ln 2: elimination would be faster than absorption.
    """
    tmax, half = np.broadcast_arrays(np.asarray(tmax_h, float), np.asarray(half_life_h, float))
    rate = math.log(2.0) / half
    target = tmax * rate
    if np.any(target >= 1.0):
        raise InputError(
            "drug", "tmax", float(tmax[target >= 1.0].flat[0]), "a peak before the mean lifetime of the drug"
        )
    low, high = np.zeros_like(target), np.full_like(target, 700.0)
    for _ in range(200):
        # u = ln x; ln x / (x - 1) = u / expm1(u) falls from 1.
        middle = 0.5 * (low + high)
        early = middle / np.expm1(middle) > target
        low, high = np.where(early, middle, low), np.where(early, high, middle)
    return np.asarray(rate * np.exp(0.5 * (low + high)))


def concentration_nm(
    time_h: FloatArray,
    *,
    dose_mg_per_kg: float,
    molar_mass_g_mol: float,
    tmax_h: FloatArray,
    half_life_h: FloatArray,
    volume_l_per_kg: FloatArray,
) -> FloatArray:
    """Total drug in plasma [nM]; 0 before and at the dose.

    Arrays broadcast: one set of numbers over many times, or many draws at one time.
    """
    ke = math.log(2.0) / np.asarray(half_life_h, float)
    ka = absorption_rate_per_h(np.asarray(tmax_h, float), np.asarray(half_life_h, float))
    time = np.maximum(np.asarray(time_h, float), 0.0)
    peak = dose_mg_per_kg * 1e6 / molar_mass_g_mol / np.asarray(volume_l_per_kg, float)
    return np.asarray(peak * ka / (ka - ke) * (np.exp(-ke * time) - np.exp(-ka * time)))
