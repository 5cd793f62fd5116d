"""What an organ absorbs per decay, from a sphere of its mass: to split self-doses, to refuse impossible tables, to approximate.

The approximation of `approximate_table` is for organs whose S values nobody has at hand. Self-dose is that of a sphere of
water; cross-dose spreads the photons that leave an organ over the whole body as if all of them were absorbed there, which is
too much on average and too little for a neighbour. Red marrow and walls are refused: a sphere is wrong for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fusin.dosimetry.organ_names import organ
from fusin.dosimetry.s_tables import KEV_PER_S_GRAM, STable, absorbed_kev
from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

__all__ = ["APPROXIMATE", "approximate_table", "electron_self_kev", "refuse_impossible_energy"]

APPROXIMATE = "an approximation without phantom: self-dose of water spheres, photons that leave an organ spread over the whole body"
_NO_SPHERE = ("red_marrow", "cortical_bone", "trabecular_bone")
# An S value may exceed the energy of a decay by this factor before its unit or nuclide is doubted; a self-S may fall to this
# share of what electrons leave in a sphere of the same mass (red marrow: 0.57; walls: about a half).
_MOST, _LEAST = 1.05, 0.3
_HEAVIEST_SPHERE_G = 10000.0


def electron_self_kev(name: str, mass_g: float) -> float:
    """Energy of electrons and alphas absorbed per decay [keV] in a water sphere of a mass [g] that holds the activity."""
    from fusin.dosimetry.spheres import sphere_s

    return absorbed_kev(sphere_s(name, mass_g).charged_mgy_per_mbq_s, mass_g)


def refuse_impossible_energy(table: STable, log: NoticeLog) -> None:
    """Refuse a table whose unit or nuclide cannot be right: more energy in a target than a decay has, or next to none.

    Parameters
    ----------
    table : with masses; targets without one are not judged
    log : receives that the nuclide's emissions are unknown, so that nothing was judged

    Raises
    ------
    NotComputable
        With the source, the target and the energy that the S value means.
    """
    from fusin.dosimetry.emissions import emissions, known_emitters

    if table.nuclide not in known_emitters() or emissions(table.nuclide).missing:
        log.info("S_VALUES_NOT_JUDGED", f"the emissions of {table.nuclide} are not known here", where=table.name)
        return
    found = emissions(table.nuclide)
    total = found.electron_kev_per_decay + found.photon_kev_per_decay + found.alpha_kev_per_decay
    for column, source in enumerate(table.sources):
        for row, target in enumerate(table.targets):
            mass = table.mass_g(target) if target in table.masses_g else None
            value = float(table.values[row, column])
            if mass is None or math.isnan(value):
                continue
            kev = absorbed_kev(value, mass)
            own = organ(source) == organ(target)
            if kev > _MOST * total or (
                own and kev < _LEAST * electron_self_kev(table.nuclide, min(mass, _HEAVIEST_SPHERE_G))
            ):
                raise NotComputable(
                    "organ dose",
                    f"{table.name} means {kev:.4g} keV in {target} per decay in {source}, and {table.nuclide} has {total:.4g} keV",
                    "the right unit (--s-unit), nuclide and masses", "S_VALUE_IMPOSSIBLE",
                )  # fmt: skip


def approximate_table(masses_g: Mapping[str, float], *, nuclide_name: str, body_mass_g: float) -> STable:
    """S values without a phantom, labelled as the approximation that they are.

    Parameters
    ----------
    masses_g : the patient's organs [g], which are sources and targets
    nuclide_name : the nuclide
    body_mass_g : mass of the whole body [g]

    Returns
    -------
    STable
        ``approximate`` is set; masses are the patient's, so that nothing is rescaled.

    Raises
    ------
    InputError
        For a mass that is not positive, or organs heavier than the body.
    NotComputable
        For red marrow and bone, whose electrons a sphere absorbs and a skeleton does not.
    """
    from fusin.dosimetry.emissions import emissions
    from fusin.dosimetry.spheres import sphere_s

    name = nuclide(nuclide_name).name
    if not (math.isfinite(body_mass_g) and body_mass_g > 0):
        raise InputError("body", "body_mass_g", body_mass_g, "a positive mass in grams")
    for key, mass in masses_g.items():
        if not (math.isfinite(mass) and mass > 0):
            raise InputError("organ doses", f"mass of {key}", mass, "a positive mass in grams")
        if organ(key) in _NO_SPHERE:
            raise NotComputable(f"dose of {key}", "a sphere absorbs all electrons, and a skeleton about half of them",
                                "a table of S values with red marrow, or fusin dose marrow", "NO_SPHERE_FOR_SKELETON")  # fmt: skip
    if sum(masses_g.values()) >= body_mass_g:
        raise InputError(
            "body", "body_mass_g", body_mass_g, f"more than the organs together, {sum(masses_g.values()):g} g"
        )
    photons = emissions(name).photon_kev_per_decay
    organs = tuple(masses_g)
    values = np.empty((len(organs), len(organs)))
    shares = {}
    for column, source in enumerate(organs):
        sphere = sphere_s(name, masses_g[source])
        kept = absorbed_kev(sphere.photon_mgy_per_mbq_s, masses_g[source])
        values[:, column] = (photons - kept) / (body_mass_g - masses_g[source]) * KEV_PER_S_GRAM
        values[column, column] = sphere.s_mgy_per_mbq_s
        shares[source] = sphere.charged_mgy_per_mbq_s / sphere.s_mgy_per_mbq_s
    return STable(
        name="approximation by spheres", nuclide=name, sources=organs, targets=organs, values=values,
        u_relative=np.full(values.shape, np.nan), masses_g=dict(masses_g), electron_shares=shares, approximate=True,
        citation=APPROXIMATE,
    )  # fmt: skip
