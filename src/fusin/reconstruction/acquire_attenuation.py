"""The attenuation map that a configuration names: a map as it is, or made from a CT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusin.errors import InputError
from fusin.imaging.series import scan
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.attenuation import MU_UNIT, ct_to_mu, mu_on_grid
from fusin.reconstruction.config import Config
from fusin.reconstruction.interfile_image import Placement, files_of_image, read_image

__all__ = ["Attenuation", "read_attenuation"]

_PLAUSIBLE_PER_CM, _LUNG_PER_CM = 5.0, 0.03


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attenuation:
    """A map on the grid of the image [1/cm], the files behind it, and what was done."""

    mu: Volume | None
    inputs: tuple[Path, ...]
    sentence: str


def read_attenuation(
    config: Config, grid: Grid, *, energy_kev: float | None, log: NoticeLog, placement: Placement | None = None
) -> Attenuation:
    """Read the map of a configuration and put it on the grid of the image.

    Parameters
    ----------
    config : with or without a table ``attenuation``
    grid : of the image
    energy_kev : of the photons where the modality knows it
    log : receives the notices of reading and resampling
    placement : of the scanner, for a map with an Interfile header

    Raises
    ------
    InputError
        For a map and a CT together, neither, a map in another unit or frame of reference, or a CT without its energy.
    """
    if not config.has("attenuation"):
        return Attenuation(mu=None, inputs=(), sentence="Attenuation: not corrected.")
    fields = config.fields("attenuation")
    map_path, ct_path = fields.path("mu_map"), fields.path("ct")
    if (map_path is None) == (ct_path is None):
        raise InputError(fields.where, "mu_map or ct", "both" if map_path else "nothing", "one of them")
    if map_path is not None:
        if not map_path.is_file():
            raise InputError(fields.where, "mu_map", "a folder", "a NIfTI file or an Interfile header, in 1/cm")
        found = read_image(map_path, unit=MU_UNIT, log=log, placement=placement)
        highest = float(np.nanmax(found.values, initial=0.0))
        if highest > _PLAUSIBLE_PER_CM:
            raise InputError(
                map_path.name, "values", highest, "linear attenuation coefficients in 1/cm, not Hounsfield units or 1/m"
            )
        if highest < _LUNG_PER_CM:
            log.warning(
                "MU_MAP_LOW",
                f"the highest coefficient is {highest:.3g} 1/cm, less than lung has: nearly nothing is corrected; a map in 1/mm?",
                where=map_path.name,
                raw=highest,
            )
        mu = mu_on_grid(found, grid, log, where=map_path.name)
        return Attenuation(
            mu=mu, inputs=files_of_image(map_path), sentence=f"Attenuation: map {map_path.name}, within the model."
        )
    assert ct_path is not None
    energy = fields.number("energy_kev", above=0.0) if "energy_kev" in fields else energy_kev
    if energy is None:
        raise InputError(
            fields.where, "energy_kev", "nothing", "the energy of the photons, 208.4 for the main line of 177Lu"
        )
    ct, stated_kvp = _ct(ct_path, log)
    given = fields.number("kvp", above=0.0)
    kvp = stated_kvp if given is None else given
    scanner = fields.stated_text("scanner") or "generic"
    mu = ct_to_mu(ct, energy_kev=energy, kvp=kvp, scanner=scanner, log=log, grid=grid)
    volts = "an assumed 120 kVp" if kvp is None else f"{kvp:g} kVp"
    return Attenuation(mu=mu, inputs=(), sentence=f"Attenuation: CT at {volts} turned into 1/cm at {energy:g} keV (scanner "
                       f"{scanner}), within the model.")  # fmt: skip


def _ct(path: Path, log: NoticeLog) -> tuple[Volume, float | None]:
    """The only CT series of a folder, and the tube voltage that its header states."""
    series = scan(path, log).of("CT")
    if len(series) != 1:
        names = ", ".join(s.label for s in series) or "none"
        raise InputError(path.name, "CT series", names, "a folder with exactly one CT series")
    stated = series[0].dataset().get("KVP")
    try:
        kvp = float(stated) if stated not in (None, "") else None
    except (TypeError, ValueError):
        kvp = None
    return series[0].load(log), kvp
