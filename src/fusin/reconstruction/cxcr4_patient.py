"""A whole-body patient of convex solids with the uptake of a CXCR4 tracer, whose counts can be computed without voxels.

Uptakes and Hounsfield numbers are those of the digital patient in :mod:`fusin.imaging.phantom_anatomy`, each with its source there;
attenuation follows from the Hounsfield numbers by the line of `fusin.reconstruction.attenuation_lines`, so that a CT of the patient
and its counts agree.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.imaging.phantom_anatomy import tissues
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.attenuation_lines import HounsfieldLine, hounsfield_line
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.solids import Solid, sphere

__all__ = ["cxcr4_ct", "cxcr4_patient", "uptake_sources"]

_LESION_TISSUE = "lesion_soft"


@cache
def _table() -> Mapping[str, Any]:
    text = resources.files("fusin.reconstruction").joinpath("cxcr4_patient.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _rows() -> list[tuple[str, Solid, str, float, str]]:
    """(name, solid, tissue, SUV, source) of every part in painting order."""
    known, found = tissues(), []
    for row in _table()["solid"]:
        tissue = known[row["tissue"]]
        solid = Solid(kind=row["kind"], centre_mm=tuple(row["at"]), half_mm=tuple(row["half"]),
                      turn_deg=tuple(row.get("turn", (0.0, 0.0, 0.0))))  # fmt: skip
        found.append((row["name"], solid, tissue.name, tissue.suv, f"{tissue.tag}: {tissue.source}"))
    for row in _table()["lesion"]:
        ball = sphere(tuple(row["at"]), row["diameter"])
        found.append((row["name"], ball, _LESION_TISSUE, row["suv"], "assumed: a made-up lesion"))
    return found


def uptake_sources() -> dict[str, tuple[float, str]]:
    """SUV and source of each named part."""
    return {name: (suv, source) for name, _, _, suv, source in _rows()}


def cxcr4_patient(
    *, bq_ml_per_suv: float, energy_kev: float = 511.0, kvp: float = 120.0, activity_bq_ml: Mapping[str, float] | None = None
) -> Phantom:  # fmt: skip
    """Build the patient.

    Parameters
    ----------
    bq_ml_per_suv : concentration at an SUV of 1: activity at the time of the scan over body weight in grams
    energy_kev, kvp : of the photons, and of the CT that would be made
    activity_bq_ml : other concentrations by name, for another tracer or time; all named parts keep theirs without it

    Raises
    ------
    InputError
        For a concentration that is not positive, an energy or voltage outside of the tables, a name that no part has.
    """
    if not (np.isfinite(bq_ml_per_suv) and bq_ml_per_suv > 0):
        raise InputError("CXCR4 patient", "bq_ml_per_suv", bq_ml_per_suv, "a positive concentration")
    line = _line(energy_kev, kvp)
    parts = tuple(
        Part(name=name, solid=solid, activity_bq_ml=suv * bq_ml_per_suv, mu_per_cm=float(line.mu_per_cm(tissues()[tissue].hu)),
             source=f"SUV {suv:g}, {source}")
        for name, solid, tissue, suv, source in _rows()
    )  # fmt: skip
    phantom = Phantom(name="CXCR4 patient", parts=parts)
    return phantom if activity_bq_ml is None else phantom.with_activity(activity_bq_ml)


def cxcr4_ct(grid: Grid, *, samples: tuple[int, int, int] = (2, 2, 2)) -> Volume:
    """CT of the patient without noise.

    Parameters
    ----------
    grid : of the CT
    samples : points along columns, rows and slices in each voxel

    Returns
    -------
    Volume
        Hounsfield units, int16.
    """
    # Air is 0 here and tissue above it, so that what no solid covers stays air.
    parts = tuple(
        Part(name=name, solid=solid, activity_bq_ml=tissues()[tissue].hu + 1000.0, mu_per_cm=0.0)
        for name, solid, tissue, _, _ in _rows()
    )
    shifted, _ = Phantom(name="CT", parts=parts).on_grid(grid, samples=samples)
    return Volume(values=np.rint(shifted.values - 1000.0).astype(np.int16), grid=grid, unit="[hnsf'U]")


def _line(energy_kev: float, kvp: float) -> HounsfieldLine:
    return hounsfield_line(energy_kev=energy_kev, kvp=kvp, log=NoticeLog())
