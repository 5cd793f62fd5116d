"""Lines from Hounsfield numbers to linear attenuation coefficients, by scanner, tube voltage and photon energy.

A published line of the scanner is used where there is one. Where there is none, the mixtures of air and water below 0 HU and of
water and cortical bone above give it, with the coefficients of XCOM and the Hounsfield number H_b of cortical bone at the voltage::

    HU <= 0    mu = mu_w (1 + HU / 1000)
    HU >  0    mu = mu_w + HU (mu_b - mu_w) / H_b

References
----------
Bai C et al., IEEE Trans Nucl Sci 2003;50:1510 · Carney J et al., Med Phys 2006;33:976 · Berger M et al., XCOM, NIST SRD 8 (2010).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError
from fusin.provenance import NoticeLog

__all__ = ["HounsfieldLine", "hounsfield_line", "mass_attenuation_cm2_g", "published_lines", "scanner_names"]

WHERE = "CT attenuation"
ASSUMED_KVP = 120.0
_SAME_KEV, _SAME_KVP = 1.0, 0.5
_AIR_HU, _LOWEST_HU = -1000.0, -1024.0
_LUNG_HU, _LUNG_TOLERANCE = -800.0, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class HounsfieldLine:
    """mu = a1 + b1 HU up to ``break_hu``, a2 + b2 HU above; in 1/cm, never below 0.

    Attributes
    ----------
    scanner : name in ``attenuation.toml``
    energy_kev, kvp : of the photons and of the tube
    a1, b1, a2, b2 : coefficients [1/cm, 1/cm per HU]
    break_hu : where the upper line begins
    source : where it was published, or how it was derived
    published : whether it is a line as published
    """

    scanner: str
    energy_kev: float
    kvp: float
    a1: float
    b1: float
    a2: float
    b2: float
    break_hu: float
    source: str
    published: bool = True

    def mu_per_cm(self, hu: ArrayLike) -> NDArray[np.float32]:
        """Linear attenuation coefficients [1/cm] of Hounsfield numbers; what the low line puts below 0 is air and gets 0."""
        return np.maximum(self.signed_per_cm(hu), np.float32(0.0))

    def signed_per_cm(self, hu: ArrayLike) -> NDArray[np.float32]:
        """As `mu_per_cm`, but noise of air below -1000 HU stays below 0, so that the mean over many voxels of air is 0.

        Numbers below -1024 are what a field of view is filled up with, and count as air; -1024 itself is where noise is cut off.
        """
        values = np.asarray(hu, dtype=np.float32)
        low = np.float32(self.a1) + np.float32(self.b1) * values
        below = np.where(values < _LOWEST_HU, np.float32(0.0), np.float32(self.b1) * (values - np.float32(_AIR_HU)))
        low = np.where(low > 0.0, low, np.minimum(below, np.float32(0.0)))
        return np.asarray(
            np.where(values > self.break_hu, np.float32(self.a2) + np.float32(self.b2) * values, low), dtype=np.float32
        )

    def words(self) -> str:
        """Return a sentence part for reports."""
        return (
            f"mu = {self.a1:.4g} + {self.b1:.4g} HU up to {self.break_hu:g} HU, {self.a2:.4g} + {self.b2:.4g} HU above "
            f"[1/cm] at {self.energy_kev:g} keV and {self.kvp:g} kVp ({_table()['scanner'][self.scanner]}; {self.source})"
        )


@cache
def _table() -> Mapping[str, Any]:
    text = resources.files("fusin.reconstruction").joinpath("attenuation.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def published_lines() -> tuple[HounsfieldLine, ...]:
    """Return all lines as published."""
    sources = _table()["source"]
    return tuple(HounsfieldLine(**{**row, "source": sources[row["source"]]}) for row in _table()["lines"]["row"])


def scanner_names() -> tuple[str, ...]:
    """Names that `hounsfield_line` knows, without their aliases."""
    return tuple(_table()["scanner"])


def mass_attenuation_cm2_g(material: str, energy_kev: float) -> float:
    """Mass attenuation coefficient with coherent scatter, by logarithmic interpolation of XCOM.

    Parameters
    ----------
    material : ``water`` or ``cortical_bone``
    energy_kev : 40 to 600 keV

    Raises
    ------
    InputError
        For another energy.
    """
    table = _table()["mass_attenuation"]
    energies = np.asarray(table["energy_kev"], dtype=np.float64)
    if not (math.isfinite(energy_kev) and energies[0] <= energy_kev <= energies[-1]):
        raise InputError(
            WHERE, "energy_kev", energy_kev, f"the energy of a photon, {energies[0]:g} to {energies[-1]:g} keV"
        )
    return float(np.exp(np.interp(np.log(energy_kev), np.log(energies), np.log(table[material]))))


def hounsfield_line(
    *, energy_kev: float, kvp: float | None, scanner: str = "generic", log: NoticeLog
) -> HounsfieldLine:
    """Choose the published line of a scanner, or derive one.

    Parameters
    ----------
    energy_kev : of the photons, 511 for PET, 208.37 or 112.95 for 177Lu
    kvp : tube voltage of the CT; None assumes 120 with a notice
    scanner : name or alias in ``attenuation.toml``
    log : receives KVP_ASSUMED, NO_LINE_OF_SCANNER, MU_LINE_DERIVED, MU_LINE_LOW_IN_LUNG

    Raises
    ------
    InputError
        For an energy or a voltage outside of the tables, and a scanner that is not in them.
    """
    energy = _number("energy_kev", energy_kev)
    mass_attenuation_cm2_g("water", energy)
    name = _scanner(scanner)
    if kvp is None:
        log.adapted("KVP_ASSUMED", f"the CT states no tube voltage; {ASSUMED_KVP:g} kVp was assumed, which can put bone 9 % wrong",
                    where=WHERE, used=ASSUMED_KVP)  # fmt: skip
    voltage = ASSUMED_KVP if kvp is None else _number("kvp", kvp)
    for line in published_lines():
        if line.scanner == name and abs(line.kvp - voltage) <= _SAME_KVP and abs(line.energy_kev - energy) <= _SAME_KEV:
            _note_lung(line, log)
            return line
    line = _derived(energy, voltage)
    if name != "generic":
        log.adapted(
            "NO_LINE_OF_SCANNER",
            f"no line of {_table()['scanner'][name]} for {energy:g} keV at {voltage:g} kVp is known; one was derived",
            where=WHERE, raw=name, used="generic",
        )  # fmt: skip
    log.info(
        "MU_LINE_DERIVED",
        f"{line.words()}; published lines lie within 4 % of such ones from fat to dense bone",
        where=WHERE,
    )
    return line


def _derived(energy_kev: float, kvp: float) -> HounsfieldLine:
    bone = _table()["cortical_bone"]
    low, high = bone["kvp"][0], bone["kvp"][-1]
    if not low <= kvp <= high:
        raise InputError(WHERE, "kvp", kvp, f"the tube voltage of the CT in kV, {low} to {high}")
    water = mass_attenuation_cm2_g("water", energy_kev)
    dense = mass_attenuation_cm2_g("cortical_bone", energy_kev) * bone["density_g_ml"]
    slope = (dense - water) / float(np.interp(kvp, bone["kvp"], bone["hu"]))
    return HounsfieldLine(
        scanner="generic", energy_kev=energy_kev, kvp=kvp, a1=water, b1=water / 1000.0, a2=water, b2=slope, break_hu=0.0,
        source=_table()["source"]["derived"], published=False,
    )  # fmt: skip


def _note_lung(line: HounsfieldLine, log: NoticeLog) -> None:
    found = float(line.mu_per_cm(_LUNG_HU))
    physical = mass_attenuation_cm2_g("water", line.energy_kev) * (1.0 + _LUNG_HU / 1000.0)
    change = found / physical - 1.0
    if abs(change) > _LUNG_TOLERANCE:
        scanner = _table()["scanner"][line.scanner]
        log.warning(
            "MU_LINE_LOW_IN_LUNG",
            f"the published line of {scanner} gives {found:.4f} 1/cm at {_LUNG_HU:g} HU, {100 * change:+.0f} % "
            f"of what lung of that density has by XCOM ({physical:.4f}); the line of the scanner 'generic' passes through it",
            where=WHERE, raw=found, used=found,
        )  # fmt: skip


def _scanner(given: str) -> str:
    plain = "".join(c for c in str(given).lower() if c.isalnum())
    for name in scanner_names():
        if plain in ("".join(c for c in name if c.isalnum()), *_table()["alias"].get(name, ())):
            return name
    raise InputError(WHERE, "scanner", given, "one of " + ", ".join(scanner_names()))


def _number(field: str, value: object) -> float:
    good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not good or not math.isfinite(float(value)) or float(value) <= 0:  # type: ignore[arg-type]
        raise InputError(WHERE, field, value, "a positive number")
    return float(value)  # type: ignore[arg-type]
