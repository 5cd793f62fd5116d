"""What one decay emits: beta branches, conversion and Auger electrons, gamma and X rays.

The evaluated rows lie in ``emissions.toml`` with their sources; spectra are computed, and conversion electrons, X rays and
Auger electrons follow from the gamma rays and their conversion coefficients::

    >>> round(emissions("177Lu").electron_kev_per_decay, 1)
    147.6
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fusin.dosimetry.beta_spectra import BetaSpectrum, Shape, beta_spectrum
from fusin.errors import InputError
from fusin.nuclides import nuclide

__all__ = [
    "EVALUATION_U",
    "GY_G_PER_MBQ_H_KEV",
    "JOULE_PER_KEV",
    "BetaBranch",
    "Emissions",
    "Line",
    "emissions",
    "known_emitters",
]

JOULE_PER_KEV = 1.602176634e-16
"""Exact, from the elementary charge (SI, 2019)."""

GY_G_PER_MBQ_H_KEV = JOULE_PER_KEV * 1e6 * 3600.0 * 1e3
"""Energy per decay [keV] to the mean energy per unit of cumulated activity, Delta [Gy g/(MBq h)]."""

EVALUATION_U = 0.005 / math.sqrt(3.0)
"""Relative standard uncertainty of the energy per decay between evaluations: they lie within 0.5 % of each other (electrons of
177Lu: ENSDF 2019 147.6, ICRP Publication 107 147.9, DDEP 148.3 keV), taken as half the width of a rectangular distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaBranch:
    """One beta branch: endpoint [keV], particles per decay, standard uncertainty, and what its shape needs."""

    endpoint_kev: float
    intensity: float
    intensity_u: float
    shape: Shape
    daughter_z: int
    mass_number: int
    positron: bool

    def spectrum(self, points: int = 4000) -> BetaSpectrum:
        """Spectrum of the branch."""
        return _spectrum(
            self.endpoint_kev, self.daughter_z, self.mass_number, self.shape, self.positron, points
        )  # fmt: skip

    @property
    def mean_kev(self) -> float:
        """Mean kinetic energy [keV]."""
        return self.spectrum().mean_kev


@cache
def _spectrum(endpoint: float, z: int, a: int, shape: Shape, positron: bool, points: int) -> BetaSpectrum:
    return beta_spectrum(
        endpoint_kev=endpoint, daughter_z=z, mass_number=a, shape=shape, positron=positron, points=points
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One discrete energy [keV], its intensity per decay with standard uncertainty, and what it is.

    ``kind`` is ``conversion`` or ``auger`` for electrons, ``gamma``, ``x`` or ``annihilation`` for photons.
    """

    energy_kev: float
    intensity: float
    intensity_u: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emissions:
    """All emissions of one nuclide.

    Attributes
    ----------
    nuclide : canonical name
    betas : electrons (or positrons) with a continuous spectrum
    electrons : conversion and Auger electrons
    photons : gamma rays, X rays and annihilation photons; bremsstrahlung belongs to the transport of the electrons
    endpoint_u_kev : standard uncertainty of the decay energy, common to all branches [keV]
    source : citation of the evaluation
    missing : what the evaluation lacks, empty when complete
    """

    nuclide: str
    betas: tuple[BetaBranch, ...]
    electrons: tuple[Line, ...]
    photons: tuple[Line, ...]
    endpoint_u_kev: float
    source: str
    missing: str = ""

    @property
    def beta_kev_per_decay(self) -> float:
        """Kinetic energy of beta rays per decay [keV]."""
        return sum(b.intensity * b.mean_kev for b in self.betas)

    @property
    def electron_kev_per_decay(self) -> float:
        """Energy of beta rays, conversion and Auger electrons per decay [keV]."""
        return self.beta_kev_per_decay + sum(e.intensity * e.energy_kev for e in self.electrons)

    @property
    def photon_kev_per_decay(self) -> float:
        """Energy of gamma, X and annihilation photons per decay [keV]."""
        return sum(p.intensity * p.energy_kev for p in self.photons)

    @property
    def electron_delta_gy_g_per_mbq_h(self) -> float:
        """Mean energy of electrons per unit of cumulated activity, Delta [Gy g/(MBq h)]."""
        return self.electron_kev_per_decay * GY_G_PER_MBQ_H_KEV

    @property
    def electron_u_kev(self) -> float:
        """Standard uncertainty of the electrons' energy per decay [keV].

        Intensities as independent, the decay energy as common to the branches; the mean energy of a branch follows its
        endpoint in proportion.
        """
        by_endpoint = sum(b.intensity * b.mean_kev / b.endpoint_kev for b in self.betas) * self.endpoint_u_kev
        # Branches add up to one decay, so an excess of one is a deficit of the others: what counts is the distance of its
        # mean energy from the average.
        total = sum(b.intensity for b in self.betas)
        average = self.beta_kev_per_decay / total if total else 0.0
        shares = [(b.mean_kev - average) * b.intensity_u for b in self.betas]
        lines = [e.energy_kev * e.intensity_u for e in self.electrons]
        return math.hypot(by_endpoint, *shares, *lines)


@cache
def _document() -> Mapping[str, Any]:
    text = resources.files("fusin.dosimetry").joinpath("emissions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def known_emitters() -> tuple[str, ...]:
    """Names of the nuclides whose emissions are known."""
    return tuple(_document()["nuclides"])


@cache
def emissions(name: str) -> Emissions:
    """Emissions of a nuclide by name: ``Lu-177``, ``177Lu``, ``Lu177``.

    Raises
    ------
    InputError
        For a name that is no nuclide, or one whose emissions are not in the table.
    """
    known = nuclide(name).name
    rows = _document()["nuclides"]
    if known not in rows:
        raise InputError("table of emissions", "nuclide", name, "one of " + ", ".join(rows))
    row = rows[known]
    electrons, photons = _lines(row)
    return Emissions(
        nuclide=known,
        betas=tuple(
            BetaBranch(
                endpoint_kev=endpoint, intensity=intensity, intensity_u=u, shape=shape, daughter_z=row["daughter_z"],
                mass_number=row["mass_number"], positron=row["decay"] == "beta+",
            )
            for endpoint, intensity, u, shape in row["betas"]
        ),
        electrons=tuple(electrons),
        photons=tuple(photons),
        endpoint_u_kev=row["endpoint_u_kev"],
        source=_document()["sources"][row["source"]],
        missing=row.get("missing", ""),
    )  # fmt: skip


def _lines(row: Mapping[str, Any]) -> tuple[list[Line], list[Line]]:
    """Electron and photon lines: those of the table, and those that follow from internal conversion."""
    electrons = [Line(*e) for e in row.get("electrons", ())]
    photons = [Line(*p) for p in row.get("photons", ())]
    photons += [Line(energy, intensity, u, "gamma") for energy, intensity, u, *_ in row.get("gammas", ())]
    if "atom" not in row:
        return electrons, photons
    atom = _document()["atoms"][row["atom"]]
    vacancies, spread = [0.0] * 4, [0.0] * 4
    for energy, intensity, u, *coefficients in row["gammas"]:
        for shell, coefficient in enumerate(coefficients):
            binding = atom["binding_kev"][shell]
            if coefficient > 0 and energy > binding:
                line = Line(energy - binding, intensity * coefficient, u * coefficient, "conversion")
                electrons.append(line)
                vacancies[shell] += line.intensity
                spread[shell] += line.intensity_u
    made_electrons, made_photons = _relaxation(atom, vacancies, spread)
    return electrons + made_electrons, photons + made_photons


def _relaxation(atom: Mapping[str, Any], vacancies: list[float], spread: list[float]) -> tuple[list[Line], list[Line]]:
    """Auger electrons and X rays that fill the vacancies of the shells; together they carry the binding energies."""
    binding = atom["binding_kev"]
    k, k_u = vacancies[0], spread[0]
    l_all = vacancies[1] + atom["l_per_k"] * k
    l_u = spread[1] + atom["l_per_k"] * k_u
    photons = [Line(e, s * atom["omega_k"] * k, s * atom["omega_k"] * k_u, "x") for e, s in atom["k_lines"]]
    photons += [Line(e, s * atom["omega_l"] * l_all, s * atom["omega_l"] * l_u, "x") for e, s in atom["l_lines"]]
    auger = [
        # A K Auger electron leaves 1.7 vacancies in the L shell on average, an L Auger electron two in the M shell.
        Line(binding[0] - 1.7 * binding[1], (1 - atom["omega_k"]) * k, (1 - atom["omega_k"]) * k_u, "auger"),
        Line(binding[1] - 2.0 * binding[2], (1 - atom["omega_l"]) * l_all, (1 - atom["omega_l"]) * l_u, "auger"),
    ]
    held = sum(v * b for v, b in zip(vacancies, binding, strict=True))
    left = held - sum(line.intensity * line.energy_kev for line in (*photons, *auger))
    # What remains leaves as electrons of the outer shells, of a few hundred eV, which go nowhere.
    outer = 0.5 * binding[2]
    return [*auger, Line(outer, max(left, 0.0) / outer, 0.1 * max(left, 0.0) / outer, "auger")], photons
