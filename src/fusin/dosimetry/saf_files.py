"""S values from the specific absorbed fractions of ICRP Publication 133, which a user holds as text files.

A file has three lines of description, a line with the numbers of targets and sources and the energies [MeV], a line of dashes,
and one record ``target<-source`` per pair with its SAF [1/kg] at each energy. With yields Y and energies E of the nuclide::

    S(t <- s) = sum over electrons and photons of Y E SAF(t <- s; E)

SAF is interpolated between energies by monotone cubics (PCHIP) over the logarithm of the energy, as smooth as the tables are,
and is held at its first value below them. Beta spectra are integrated, not taken at their mean.

References
----------
ICRP Publication 133, Ann ICRP 45(2), 2016 (SAF of reference adults, and the layout of its files).
Fritsch FN, Carlson RE, SIAM J Numer Anal 17 (1980) 238-246 (monotone cubics).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.emissions import Emissions, emissions
from fusin.dosimetry.organ_names import organ
from fusin.dosimetry.s_tables import KEV_PER_S_GRAM, STable
from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

__all__ = ["SafFile", "read_saf", "s_table_from_saf"]

FloatArray = NDArray[np.float64]

_RECORD = re.compile(r"(?P<target>.{1,12}?)\s*<-\s*(?P<source>\S+)\s+(?P<values>.*)")
_HEADER_LINES, _BETA_POINTS = 5, 600
_PARTICLES = {"electron": "electron", "photon": "photon", "gamma": "photon"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SafFile:
    """One file.

    Attributes
    ----------
    name : of the file
    model : for example ``rcp-am``
    particle : ``electron`` or ``photon``
    energies_mev : (n,) increasing
    targets, sources : as the file spells them
    saf_per_kg : (targets, sources, n) [1/kg]; NaN for a pair without a record
    """

    name: str
    model: str
    particle: str
    energies_mev: FloatArray
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    saf_per_kg: FloatArray


def read_saf(path: Path) -> SafFile:
    """Read one file; particle and model stand in its name, ``rcp-am_electron_2016-08-12.SAF``.

    Raises
    ------
    InputError
        For another layout, with the line; for alpha particles and neutrons, which are not read.
    """
    named = re.match(r"(?P<model>[A-Za-z0-9-]+)_(?P<particle>[a-z]+)_", path.name, re.IGNORECASE)
    particle = _PARTICLES.get(named["particle"].lower()) if named else None
    if named is None or particle is None:
        raise InputError(path.name, "particle", named["particle"] if named else "no particle in the name",
                         "electron or photon, in a name such as rcp-am_electron_2016-08-12.SAF")  # fmt: skip
    lines = path.read_bytes().decode("latin-1").splitlines()
    if len(lines) <= _HEADER_LINES:
        raise InputError(path.name, "lines", len(lines), "five lines of heading and records")
    energies = _energies(lines[3], path.name)
    records: dict[tuple[str, str], list[float]] = {}
    for number, line in enumerate(lines[_HEADER_LINES:], start=_HEADER_LINES + 1):
        if line.strip():
            target, source, values = _record(line, len(energies), f"{path.name} line {number}")
            if (target, source) in records:
                raise InputError(f"{path.name} line {number}", "record", f"{target}<-{source}", "each pair once")
            records[target, source] = values
    if not records:
        raise InputError(path.name, "records", 0, "records target<-source")
    targets, sources = (tuple(dict.fromkeys(pair[i] for pair in records)) for i in (0, 1))
    saf = np.full((len(targets), len(sources), len(energies)), np.nan)
    for (target, source), values in records.items():
        saf[targets.index(target), sources.index(source)] = values
    return SafFile(name=path.name, model=named["model"].lower(), particle=particle, energies_mev=np.array(energies),
                   targets=targets, sources=sources, saf_per_kg=saf)  # fmt: skip


def s_table_from_saf(files: Sequence[SafFile], log: NoticeLog, *, nuclide_name: str) -> STable:
    """S values of a nuclide from the electron and the photon file of one model.

    Parameters
    ----------
    files : one of electrons and one of photons
    log : receives where the numbers come from
    nuclide_name : with known emissions

    Returns
    -------
    STable
        With the electrons' share of each self-S; masses are not in these files and are given apart.

    Raises
    ------
    InputError
        For files of different models, or not one of each.
    NotComputable
        For a nuclide whose emissions are not complete.
    """
    by_particle = {f.particle: f for f in files}
    if len(files) != 2 or set(by_particle) != {"electron", "photon"}:
        raise InputError("SAF", "files", ", ".join(f.name for f in files), "one file of electrons and one of photons")
    electrons, photons = by_particle["electron"], by_particle["photon"]
    if electrons.model != photons.model or electrons.targets != photons.targets or electrons.sources != photons.sources:
        raise InputError(
            photons.name, "model", photons.model, f"{electrons.model} with the same organs, as {electrons.name} has"
        )
    name = nuclide(nuclide_name).name
    found = emissions(name)
    if found.missing:
        raise NotComputable(f"S values of {name}", f"its emissions lack {found.missing}", "a nuclide with complete emissions",
                            "EMISSIONS_INCOMPLETE")  # fmt: skip
    if found.alphas:
        raise NotComputable(f"S values of {name} from SAF", "its alphas need a file of their own, which is not read here",
                            "a table of S values, or spheres (--approximate, --sphere)", "ALPHAS_NOT_IN_TABLE")  # fmt: skip
    of_electrons = _weighted(electrons, _electron_lines(found))
    of_photons = _weighted(photons, [(p.energy_kev, p.intensity) for p in found.photons])
    values = of_electrons + of_photons
    shares = {
        t: float(of_electrons[i, j] / values[i, j])
        for i, t in enumerate(electrons.targets)
        for j, s in enumerate(electrons.sources)
        if organ(s) == organ(t) and values[i, j] > 0
    }
    citation = f"SAF of ICRP Publication 133 ({electrons.name}, {photons.name}), imported by the user; emissions: {found.source}"
    log.info("S_VALUES_FROM_SAF", f"{len(electrons.targets)} targets from {len(electrons.sources)} sources for {name}",
             where=electrons.model)  # fmt: skip
    return STable(name=electrons.model, nuclide=name, sources=electrons.sources, targets=electrons.targets, values=values,
                  u_relative=np.full(values.shape, np.nan), electron_shares=shares, citation=citation)  # fmt: skip


def _electron_lines(found: Emissions) -> list[tuple[float, float]]:
    """(keV, per decay) of conversion and Auger electrons, and of the beta spectra in narrow bins."""
    lines = [(e.energy_kev, e.intensity) for e in found.electrons]
    for branch in found.betas:
        spectrum = branch.spectrum(_BETA_POINTS)
        pairs = zip(spectrum.energy_kev, spectrum.share, strict=True)
        lines += [(float(e), branch.intensity * float(share)) for e, share in pairs]
    return lines


def _weighted(file: SafFile, lines: Sequence[tuple[float, float]]) -> FloatArray:
    """Sum of energy x yield x SAF [mGy/(MBq s)]."""
    from scipy.interpolate import PchipInterpolator

    grid = file.energies_mev > 0
    curve = PchipInterpolator(np.log(file.energies_mev[grid]), file.saf_per_kg[:, :, grid], axis=2)
    kev = np.array([e for e, _ in lines])
    least, most = 1000.0 * file.energies_mev[grid][0], 1000.0 * file.energies_mev[-1]
    if kev.size and kev.max() > most:
        raise InputError(
            file.name, "energies", f"up to {most:g} keV", f"energies up to the {kev.max():g} keV of the nuclide"
        )
    saf = curve(np.log(np.clip(kev, least, None) / 1000.0))
    # SAF is per kilogram: 1 keV per decay in 1 kg is a thousandth of that in 1 g.
    out: FloatArray = (saf * kev * np.array([y for _, y in lines])).sum(axis=2) * KEV_PER_S_GRAM / 1000.0
    return np.maximum(out, 0.0, where=~np.isnan(out), out=out)


def _energies(line: str, where: str) -> list[float]:
    """Energies of the fourth line: after the two numbers, up to a word."""
    words = re.split(r"\s+", re.split(r"[A-Za-z]*[Ec]cut", line)[0].strip())
    try:
        numbers = [float(w) for w in words[2:]]
        int(words[0]), int(words[1])
    except (ValueError, IndexError) as err:
        raise InputError(
            f"{where} line 4", "energies", line.strip()[:40], "numbers of targets and sources, then energies"
        ) from err
    if len(numbers) < 2 or any(b <= a for a, b in itertools.pairwise(numbers)):
        raise InputError(f"{where} line 4", "energies", len(numbers), "increasing energies in MeV")
    return numbers


def _record(line: str, n: int, where: str) -> tuple[str, str, list[float]]:
    found = _RECORD.match(line)
    if found is None:
        raise InputError(where, "record", line.strip()[:40], "target<-source and values")
    words = found["values"].split()
    if len(words) < n:
        # Values of ten characters may stand without a blank between them.
        text = line[22:]
        words = [text[10 * i : 10 * i + 10] for i in range(n)]
    try:
        values = [float(w) for w in words[:n]]
    except ValueError as err:
        raise InputError(where, "SAF", found["values"].strip()[:40], f"{n} numbers") from err
    if len(values) < n or any(not 0 <= v < 1e9 for v in values):
        raise InputError(where, "SAF", len(values), f"{n} values of zero or more per kilogram")
    return found["target"].strip(), found["source"].strip(), values
