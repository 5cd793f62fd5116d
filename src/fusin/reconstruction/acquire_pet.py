"""A PET as a configuration describes it: prompt coincidences, randoms, scatter, attenuation, efficiencies, resolution."""

from __future__ import annotations

import numpy as np

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquire_attenuation import read_attenuation
from fusin.reconstruction.acquired import Acquired, digest_of
from fusin.reconstruction.config import Config
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_corrections import attenuation_factors
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.pet_interfile import read_sinogram
from fusin.reconstruction.pet_tables import (
    acquired_pet,
    additive_of,
    duration_of,
    efficiencies_of,
    pet_grid,
    placement_of,
    resolution_of,
    timing_of,
)
from fusin.reconstruction.projector import FloatImage

__all__ = ["ANNIHILATION_KEV", "acquire_pet", "factors_with"]

ANNIHILATION_KEV = 511.0


def acquire_pet(config: Config, *, log: NoticeLog) -> Acquired:
    """Read sinograms or events and build projector and counts.

    Parameters
    ----------
    config : with the modality ``pet``
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For files and tables that cannot be used or do not fit together.
    """
    data = config.fields("data")
    if ("projections" in data) == ("events" in data):
        raise InputError(data.where, "projections or events", "both" if "events" in data else "nothing", "one of them")
    if "events" in data:
        from fusin.reconstruction.acquire_listmode import acquire_listmode

        return acquire_listmode(config, log=log)
    path = data.path("projections", required=True)
    assert path is not None
    prompts = read_sinogram(path, log=log, **placement_of(data))
    geometry = prompts.geometry
    scanner = geometry.scanner
    grid = pet_grid(
        config.fields("image"), centre_mm=geometry.centre_mm, ring_pitch_mm=scanner.ring_pitch_mm, rings=scanner.rings
    )
    placement = (geometry.position, geometry.centre_mm)
    attenuation = read_attenuation(config, grid, energy_kev=ANNIHILATION_KEV, log=log, placement=placement)
    efficiencies, sentences, inputs = efficiencies_of(config, geometry, log)
    factors = factors_with(geometry, efficiencies, attenuation.mu, grid)
    resolution, blur = resolution_of(config)
    additive = additive_of(config, geometry, prompts.values, efficiencies, attenuation.mu, log)
    corrections = (
        f"Counts: prompt coincidences of {path.name}.",
        attenuation.sentence,
        *sentences,
        blur,
        *additive.sentences,
    )
    return acquired_pet(
        config, grid=grid, attenuation=attenuation, normalised=efficiencies is not None, placement=placement,
        projector=PetSinogramProjector(geometry, grid, factors=factors, resolution=resolution),
        measured=Measured(counts=prompts.values, additive=additive.values, redraw_additive=additive.redraw,
                          corrections=corrections, name=path.name),
        duration_s=duration_of(config, prompts.duration_s, path.name), inputs=(*prompts.inputs, *inputs, *additive.inputs),
        fingerprint={"timing": timing_of(geometry.tof),
                     "factors": digest_of(factors), "resolution": blur, "sinogram": list(geometry.data_shape),
                     "lines": digest_of(geometry.ends_mm) + digest_of(scanner.rings_z_mm)},
    )  # fmt: skip


def factors_with(
    geometry: SinogramGeometry, efficiencies: FloatImage | None, mu: Volume | None, grid: Grid
) -> FloatImage | None:
    """Efficiencies times attenuation of each bin; None for 1.

    Parameters
    ----------
    geometry : of the sinogram
    efficiencies : with or without timing bins; None for 1
    mu : attenuation map [1/cm]; None without
    grid : of the image
    """
    if mu is None:
        return efficiencies
    passed = attenuation_factors(geometry, mu, image=grid)
    if efficiencies is None:
        return passed
    return np.asarray(efficiencies * (passed[:, None] if efficiencies.ndim == 4 else passed), dtype=np.float32)
