"""What one decay emits: beta branches, conversion and Auger electrons, gamma and X rays, alphas.

The evaluated rows lie in ``emissions.toml`` with their sources; spectra are computed, and conversion electrons, X rays and
Auger electrons follow from the gamma rays and their conversion coefficients::

    >>> round(emissions("177Lu").electron_kev_per_decay, 1)
    147.6

Actinium-225 stands for its chain: its emissions are those of the decays that follow one of its own, where it was made::

    >>> round(emissions("225Ac").alpha_kev_per_decay)
    28000
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from fusin.dosimetry.beta_spectra import BetaSpectrum, Shape, beta_spectrum
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

__all__ = [
    "EVALUATION_U",
    "GY_G_PER_MBQ_H_KEV",
    "JOULE_PER_KEV",
    "BetaBranch",
    "Emissions",
    "Line",
    "emissions",
    "known_emitters",
    "say_alpha_assumptions",
]

JOULE_PER_KEV = 1.602176634e-16
"""Exact, from the elementary charge (SI, 2019)."""

GY_G_PER_MBQ_H_KEV = JOULE_PER_KEV * 1e6 * 3600.0 * 1e3
"""Energy per decay [keV] to the mean energy per unit of cumulated activity, Delta [Gy g/(MBq h)]."""

EVALUATION_U = 0.005 / math.sqrt(3.0)
"""Relative standard uncertainty of the energy per decay between evaluations: they lie within 0.5 % of each other (electrons of
177Lu: ENSDF 2019 147.6, ICRP Publication 107 147.9, DDEP 148.3 keV), taken as half the width of a rectangular distribution."""

_ALPHA_MASS = 4.0026


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

    ``kind`` is ``conversion`` or ``auger`` for electrons, ``gamma``, ``x`` or ``annihilation`` for photons, ``alpha`` or
    ``recoil`` (of the nucleus that sent the alpha out) for heavy particles.
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
    alphas : alpha particles and the nuclei that recoil from them
    chain : for a nuclide with progeny, how often each member decays per decay of the first, and what it emits itself; the lines
        above are then those of all members
    """

    nuclide: str
    betas: tuple[BetaBranch, ...]
    electrons: tuple[Line, ...]
    photons: tuple[Line, ...]
    endpoint_u_kev: float
    source: str
    missing: str = ""
    alphas: tuple[Line, ...] = ()
    chain: tuple[tuple[float, Emissions], ...] = ()

    @property
    def alpha_kev_per_decay(self) -> float:
        """Energy of alphas and recoiling nuclei per decay [keV]."""
        return sum(a.intensity * a.energy_kev for a in self.alphas)

    @property
    def alpha_u_kev(self) -> float:
        """Standard uncertainty of that energy [keV]: intensities as independent, the decay energy as common to the lines.

        A nuclide's alphas add up to its branch, so what counts is the distance of a line from their average.
        """
        if self.chain:
            return math.hypot(*(share * member.alpha_u_kev for share, member in self.chain))
        total = sum(a.intensity for a in self.alphas if a.kind == "alpha")
        if total == 0.0:
            return 0.0
        average = self.alpha_kev_per_decay / total
        shares = [(a.energy_kev - average) * a.intensity_u for a in self.alphas if a.kind == "alpha"]
        return math.hypot(total * self.endpoint_u_kev, *shares)

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
        endpoint in proportion. Members of a chain are independent.
        """
        if self.chain:
            return math.hypot(*(share * member.electron_u_kev for share, member in self.chain))
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
    return _with_progeny(_own(known))


def say_alpha_assumptions(name: str, log: NoticeLog) -> None:
    """Say with every dose of an alpha emitter what it assumes; other nuclides have nothing to say.

    Parameters
    ----------
    name : of a nuclide, whose emissions may be unknown
    log : receives the notices, once each
    """
    known = nuclide(name).name
    if known not in known_emitters():
        return
    found = emissions(known)
    said = {notice.code for notice in log.notices}
    if found.chain and "PROGENY_STAYS" not in said:
        members = ", ".join(member.nuclide for _, member in found.chain[1:])
        log.warning(
            "PROGENY_STAYS",
            f"S per decay of {known} holds all decays of {members}, as if each took place where {known} decayed; progeny "
            "that leaves after a recoil lowers the dose here and raises it elsewhere",
            where=known,
        )
    if found.alphas and "ALPHA_WITHOUT_RBE" not in said:
        log.warning("ALPHA_WITHOUT_RBE", f"absorbed dose of {known}, no RBE; alpha/beta and repair of other radiations do not hold "
                 "for alphas", where=known)  # fmt: skip


@cache
def _own(known: str) -> Emissions:
    """What a nuclide emits itself, without its progeny."""
    row = _document()["nuclides"][known]
    electrons, photons = _lines(row)
    return Emissions(
        nuclide=known,
        betas=tuple(
            BetaBranch(
                endpoint_kev=endpoint, intensity=intensity, intensity_u=u, shape=shape, daughter_z=row["daughter_z"],
                mass_number=row["mass_number"], positron=row["decay"] == "beta+",
            )
            for endpoint, intensity, u, shape in row.get("betas", ())
        ),
        electrons=tuple(electrons),
        photons=tuple(photons),
        endpoint_u_kev=row["endpoint_u_kev"],
        source=_document()["sources"][row["source"]],
        missing=row.get("missing", ""),
        alphas=tuple(_alphas(row)),
    )  # fmt: skip


def _alphas(row: Mapping[str, Any]) -> list[Line]:
    """Alphas with the sum of their branch, and the recoil that each leaves behind."""
    given = row.get("alphas", ())
    scale = row["alpha_branch"] / sum(intensity for _, intensity, _ in given) if given else 1.0
    recoil = _ALPHA_MASS / (row["mass_number"] - _ALPHA_MASS)
    lines = [Line(energy, intensity * scale, u, "alpha") for energy, intensity, u in given]
    return lines + [Line(a.energy_kev * recoil, a.intensity, a.intensity_u, "recoil") for a in lines]


def _members(known: str, share: float, found: dict[str, float]) -> None:
    """How often each nuclide of a chain decays per decay of the first."""
    found[known] = found.get(known, 0.0) + share
    for daughter, branch in _document()["nuclides"][known].get("progeny", {}).items():
        _members(daughter, share * branch, found)


def _scaled(line: Line, share: float) -> Line:
    return replace(line, intensity=line.intensity * share, intensity_u=line.intensity_u * share)


def _with_progeny(first: Emissions) -> Emissions:
    """Emissions of a nuclide with those of all that follow; the nuclide itself where it has no progeny."""
    decays: dict[str, float] = {}
    _members(first.nuclide, 1.0, decays)
    if len(decays) == 1:
        return first
    chain = tuple((share, _own(name)) for name, share in decays.items())
    return replace(
        first,
        betas=tuple(replace(b, intensity=b.intensity * s, intensity_u=b.intensity_u * s) for s, m in chain for b in m.betas),
        electrons=tuple(_scaled(line, s) for s, m in chain for line in m.electrons),
        photons=tuple(_scaled(line, s) for s, m in chain for line in m.photons),
        alphas=tuple(_scaled(line, s) for s, m in chain for line in m.alphas),
        source="; ".join(dict.fromkeys(m.source for _, m in chain)),
        chain=chain,
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
