"""The body of a patient as pools: plasma, kidneys, spleen, marrow, liver, the rest, and any number of tumours.

In each organ the ligand is vascular, interstitial, bound or internalised. Only ligand that no protein holds crosses a wall, is
filtered or binds. The spleen drains into the liver. Receptor that internalises is replaced at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.receptor.pbpk_parameters import organ_shares
from fusin.receptor.pbpk_system import PoolBuilder, PoolSystem

__all__ = ["ORGANS", "Tumour", "body_system", "region_volumes"]

ORGANS = ("kidneys", "spleen", "red marrow", "liver", "blood", "rest")
"""Regions of every body; tumours follow by their names."""

_REFERENCE_KG = 73.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tumour:
    """A tumour.

    Attributes
    ----------
    name : of its region
    volume_ml : its volume
    receptor_nm : CXCR4 per litre; None takes that of the body's parameters
    """

    name: str
    volume_ml: float
    receptor_nm: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.volume_ml) and 0 < self.volume_ml <= 20000.0):
            raise InputError(
                f"tumour {self.name}", "volume_ml", float(self.volume_ml), "a volume above 0, at most 20000 mL"
            )
        if self.receptor_nm is not None and not (math.isfinite(self.receptor_nm) and self.receptor_nm >= 0):
            raise InputError(f"tumour {self.name}", "receptor_nm", float(self.receptor_nm), "at least 0 nM")
        if self.name in ORGANS or not self.name.strip():
            raise InputError("tumour", "name", self.name, "a name that is not empty and no organ's")


def _scale(values: Mapping[str, float]) -> float:
    return values["weight_kg"] / _REFERENCE_KG


def region_volumes(values: Mapping[str, float], tumours: Sequence[Tumour] = ()) -> dict[str, float]:
    """Volumes of the regions [L]; that of blood is whole blood of heart, lungs and large vessels.

    Mass in kg equals volume in L: the density of soft tissue is within 6 % of 1.
    """
    scale = _scale(values)
    found = {
        "kidneys": values["volume_kidney_l"] * scale, "spleen": values["volume_spleen_l"] * scale,
        "red marrow": values["volume_marrow_l"] * scale, "liver": values["volume_liver_l"] * scale,
        "blood": values["plasma_l"] * scale * organ_shares()["plasma"]["central"] / (1.0 - values["hematocrit"]),
    }  # fmt: skip
    found |= {t.name: t.volume_ml / 1000.0 for t in tumours}
    found["rest"] = max(values["weight_kg"] - sum(found.values()), 0.0)
    return found


def body_system(values: Mapping[str, float], *, nuclide_name: str, tumours: Sequence[Tumour] = ()) -> PoolSystem:
    """Pools of a patient with one ligand.

    Parameters
    ----------
    values : by the names of `fusin.receptor.pbpk_parameters.records_for`
    nuclide_name : of the hot ligand
    tumours : any number, with names of their own

    Raises
    ------
    InputError
        For two tumours of one name, and tumours that take more flow than the heart gives.
    """
    names = [t.name for t in tumours]
    if len(set(names)) < len(names):
        raise InputError("tumours", "name", max(names, key=names.count), "names that differ")
    scale = _scale(values)
    plasma = values["plasma_l"] * scale
    flow = values["cardiac_output_l_min"] * (1.0 - values["hematocrit"]) * scale**0.75
    flows, parts = organ_shares()["flow"], organ_shares()["plasma"]
    volumes = region_volumes(values, tumours)
    builder = PoolBuilder(decay_per_min=60.0 * nuclide(nuclide_name).decay_constant_per_s)
    body = _Body(builder, values, plasma * parts["central"])
    body.organ("spleen", volumes["spleen"], plasma * parts["spleen"], flow * flows["spleen"], drains="liver")
    body.organ("red marrow", volumes["red marrow"], plasma * parts["marrow"], flow * flows["marrow"])
    body.organ("liver", volumes["liver"], plasma * parts["liver"], flow * (flows["liver_artery"] + flows["gut"]),
               through=flow * flows["spleen"])  # fmt: skip
    body.organ("kidneys", volumes["kidneys"], plasma * parts["kidney"], flow * flows["kidney"])
    body.kidneys(plasma * parts["kidney"])
    body.liver(volumes["liver"])
    taken = 0.0
    for one in tumours:
        volume = one.volume_ml / 1000.0
        taken += values["perfusion_tumour_per_min"] * volume
        body.tumour(one, volume)
    left = flow * (1.0 - sum(flows.values())) - taken
    if left <= 0.02 * flow:
        raise InputError("tumours", "volume", f"{sum(t.volume_ml for t in tumours):g} mL in all",
                         "tumours whose flow the heart can give; lower perfusion_tumour_per_min")  # fmt: skip
    shared = plasma * (1.0 - sum(parts.values()))
    body.rest(shared, left, scale)
    builder.region("blood", {"plasma": 1.0})
    return builder.build("plasma")


class _Body:
    """Puts organs into a builder."""

    def __init__(self, builder: PoolBuilder, values: Mapping[str, float], central_l: float) -> None:
        self.b, self.v, self.central_l = builder, values, central_l
        free = values["free_in_plasma"]
        self.free = free
        # Ligand is held by albumin of both fluids with one affinity, in proportion to the albumin.
        self.free_tissue = 1.0 / (1.0 + values["interstitial_albumin"] * (1.0 / free - 1.0))
        builder.pool("urine")
        builder.pool("gut")

    def _wall(self, name: str, exchange: float, vascular_l: float, interstitial_l: float) -> None:
        self.b.move(f"{name} vascular", f"{name} interstitial", exchange * self.free / vascular_l)
        self.b.move(f"{name} interstitial", f"{name} vascular", exchange * self.free_tissue / interstitial_l)

    def _receptor(self, name: str, nm: float, volume_l: float, interstitial_l: float) -> None:
        v = self.v
        self.b.site(
            f"{name} interstitial", f"{name} bound", on_per_nmol_min=v["k_on_l_nmol_min"] * self.free_tissue / interstitial_l,
            off_per_min=v["k_on_l_nmol_min"] * v["kd_nm"], receptor_nmol=nm * volume_l,
        )  # fmt: skip
        self.b.move(f"{name} bound", f"{name} internalised", v["k_int_per_min"])
        self.b.move(f"{name} internalised", f"{name} interstitial", v["internalised_release_per_min"])

    def _region(self, name: str, *more: str) -> None:
        pools = ("vascular", "interstitial", "bound", "internalised", *more)
        self.b.region(name, {f"{name} {pool}": 1.0 for pool in pools})

    def organ(
        self, name: str, volume: float, vascular: float, flow: float, *, drains: str = "", through: float = 0.0
    ) -> None:
        v = self.v
        marrow = name == "red marrow"
        interstitial = volume * v["interstitial_marrow" if marrow else "interstitial_organ"]
        key = {"kidneys": "kidney", "red marrow": "marrow"}.get(name, name)
        self.b.move("plasma", f"{name} vascular", flow / self.central_l)
        self.b.move(f"{name} vascular", f"{drains} vascular" if drains else "plasma", (flow + through) / vascular)
        exchange = v["exchange_kidney_per_min" if key == "kidney" else "exchange_sinus_per_min"]
        self._wall(name, exchange * volume, vascular, interstitial)
        self._receptor(name, v[f"receptor_{key}_nm"], volume, interstitial)
        if name not in ("kidneys", "liver"):
            self._region(name)

    def kidneys(self, vascular: float) -> None:
        v, b = self.v, self.b
        b.move("kidneys vascular", "kidneys tubule", v["gfr_l_min"] * v["sieving"] * self.free / vascular)
        b.move("kidneys tubule", "kidneys cells", v["tubule_per_min"] * v["reabsorbed"])
        b.move("kidneys tubule", "urine", v["tubule_per_min"] * (1.0 - v["reabsorbed"]))
        b.move("kidneys cells", "urine", v["release_kidney_per_min"])
        self._region("kidneys", "tubule", "cells")

    def liver(self, volume: float) -> None:
        v, b = self.v, self.b
        interstitial = volume * v["interstitial_organ"]
        b.move("liver interstitial", "liver cells", v["uptake_liver_l_min"] * self.free_tissue / interstitial)
        b.move("liver cells", "gut", v["bile_per_min"])
        self._region("liver", "cells")

    def tumour(self, one: Tumour, volume: float) -> None:
        v = self.v
        vascular, interstitial = v["plasma_tumour"] * volume, v["interstitial_tumour"] * volume
        self.b.exchange(
            "plasma", f"{one.name} vascular", v["perfusion_tumour_per_min"] * volume, self.central_l, vascular
        )
        self._wall(one.name, v["exchange_tumour_per_min"] * volume, vascular, interstitial)
        self._receptor(
            one.name, v["receptor_tumour_nm"] if one.receptor_nm is None else one.receptor_nm, volume, interstitial
        )
        self._region(one.name)

    def rest(self, vascular: float, flow: float, scale: float) -> None:
        interstitial = self.v["interstitial_rest_l"] * scale
        self.b.exchange("plasma", "rest vascular", flow, self.central_l, vascular)
        self._wall("rest", self.v["exchange_rest_l_min"] * scale**0.75, vascular, interstitial)
        self.b.region("rest", {"rest vascular": 1.0, "rest interstitial": 1.0})
