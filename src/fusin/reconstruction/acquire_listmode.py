"""A PET in list mode as a configuration describes it: each event keeps its own line, corrections are those of the sinogram or file.

Events of a scanner that a sinogram describes (``.npz``) use the tables of a sinogram: efficiencies, randoms and scatter are looked
up in the bin of each event and shared by the lines that it adds, and the sensitivity is that of all bins. Events of PETSIRD bring
their crystals and efficiencies with them; the sensitivity then comes from a sample of all pairs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fusin.errors import InputError, Unsupported
from fusin.imaging.volume import Grid
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquire_attenuation import read_attenuation
from fusin.reconstruction.acquire_pet import ANNIHILATION_KEV, factors_with
from fusin.reconstruction.acquired import Acquired, digest_of
from fusin.reconstruction.config import Config
from fusin.reconstruction.data import Measured, Redraw
from fusin.reconstruction.pet import ListmodeProjector, PetSinogramProjector
from fusin.reconstruction.pet_corrections import timing_covers, untimed
from fusin.reconstruction.pet_events import PetEvents, read_events
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.pet_interfile import read_geometry
from fusin.reconstruction.pet_tables import (
    Additive,
    acquired_pet,
    additive_of,
    duration_of,
    efficiencies_of,
    pet_grid,
    placement_of,
    resolution_of,
    timing_of,
)
from fusin.reconstruction.petsird_files import (
    PetsirdEvents,
    PetsirdRandoms,
    attenuation_of_lines,
    randoms_of_pairs,
    read_petsird,
    sampled_sensitivity,
)
from fusin.reconstruction.projector import FloatImage
from fusin.reconstruction.resolution import ImageResolution

__all__ = ["acquire_listmode"]

_SAMPLED = 20_000_000


def acquire_listmode(config: Config, *, log: NoticeLog) -> Acquired:
    """Read events and build projector and counts.

    Parameters
    ----------
    config : with the modality ``pet`` and ``events``
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For files and tables that cannot be used or do not fit together.
    """
    data = config.fields("data")
    path = data.path("events", required=True)
    assert path is not None
    header = data.path("scanner")
    if path.suffix.lower() == ".npz":
        if header is None:
            raise InputError(data.where, "scanner", "nothing", "an Interfile header of the scanner of the events")
        return _of_sinogram(config, path, header, log)
    if header is not None:
        raise InputError(
            data.where, "scanner", header.name, "events in a .npz file: a PETSIRD file describes its scanner"
        )
    return _petsird(config, path, log)


def _of_sinogram(config: Config, path: Path, header: Path, log: NoticeLog) -> Acquired:
    """Events of crystals and rings that the header of a sinogram counts."""
    geometry, stated = read_geometry(header, log=log, **placement_of(config.fields("data")))
    events = read_events(path, geometry, log=log)
    scanner, placement = geometry.scanner, (geometry.position, geometry.centre_mm)
    grid = pet_grid(
        config.fields("image"), centre_mm=geometry.centre_mm, ring_pitch_mm=scanner.ring_pitch_mm, rings=scanner.rings
    )
    attenuation = read_attenuation(config, grid, energy_kev=ANNIHILATION_KEV, log=log, placement=placement)
    efficiencies, sentences, inputs = efficiencies_of(config, geometry, log)
    factors = factors_with(geometry, efficiencies, attenuation.mu, grid)
    resolution, blur = resolution_of(config)
    additive = additive_of(config, geometry, events.histogram(), efficiencies, attenuation.mu, log)
    corrections = (f"Counts: {len(events.bins)} prompt coincidences of {path.name}, each at its own line.", attenuation.sentence,
                   *sentences, blur, *additive.sentences)  # fmt: skip
    projector = ListmodeProjector(
        events.ends_mm(0), events.ends_mm(1), grid, factors=None if factors is None else events.values_of(factors),
        resolution=resolution, tof=geometry.tof, tof_bins=events.tof_bins,
        sensitivity_image=_sensitivity(geometry, grid, factors, resolution),
    )  # fmt: skip
    duration = events.duration_s if events.duration_s is not None else stated
    return acquired_pet(
        config, grid=grid, attenuation=attenuation, normalised=efficiencies is not None, projector=projector,
        measured=_measured(events, additive, corrections, path.name), placement=placement,
        duration_s=duration_of(config, duration, path.name), inputs=(path, header, *inputs, *additive.inputs),
        fingerprint={"timing": timing_of(geometry.tof),
                     "events": _digest(events.bins, events.tof_bins), "factors": digest_of(factors), "resolution": blur,
                     "lines": _digest(geometry.ends_mm, scanner.rings_z_mm)},
    )  # fmt: skip


def _measured(events: PetEvents, additive: Additive, corrections: tuple[str, ...], name: str) -> Measured:
    """One count at each event, with its share of what is expected in its bin."""
    values = additive.values
    return Measured(
        counts=np.ones(len(events.bins), np.float32), corrections=corrections, name=name,
        additive=None if values is None else _per_line(events, values),
        additive_total=None if values is None else float(values.sum(dtype=np.float64)),
        redraw_additive=None if additive.redraw is None else _drawn(events, additive.redraw),
    )  # fmt: skip


def _per_line(events: PetEvents, sinogram: FloatImage) -> FloatImage:
    return np.asarray(events.values_of(sinogram) / events.lines(), dtype=np.float32)


def _drawn(events: PetEvents, redraw: Redraw) -> Redraw:
    return lambda rng: _per_line(events, redraw(rng))


def _digest(*arrays: Any) -> str:
    return " ".join(digest_of(a) for a in arrays)


def _sensitivity(
    geometry: SinogramGeometry, grid: Grid, factors: FloatImage | None, resolution: ImageResolution | None
) -> FloatImage:
    """What all lines of the bins see, each pair of rings on its own."""
    if (factors is None or factors.ndim == 3) and timing_covers(geometry, grid):
        geometry = untimed(geometry)
    return PetSinogramProjector(geometry, grid, factors=factors, resolution=resolution, rays="pairs").sensitivity()


def _petsird(config: Config, path: Path, log: NoticeLog) -> Acquired:
    """Events of a PETSIRD file, whose scanner may have any shape."""
    for table in ("normalisation", "scatter"):
        if config.has(table) and config.fields(table).stated_text("method") != "none":
            raise Unsupported("a PET reconstruction", f"{config.path.name} has a table [{table}] beside PETSIRD events",
                              "events in a .npz file with the header of their scanner", "PETSIRD_TABLE")  # fmt: skip
    events = read_petsird(path, log=log)
    places = events.scanner.places_mm
    middle = 0.5 * (places.min(axis=0) + places.max(axis=0))
    grid = pet_grid(config.fields("image"), centre_mm=(float(middle[0]), float(middle[1]), float(middle[2])))
    attenuation = read_attenuation(config, grid, energy_kev=ANNIHILATION_KEV, log=log)
    resolution, blur = resolution_of(config)
    factors = events.efficiencies
    if attenuation.mu is not None:
        factors = factors * attenuation_of_lines(events.starts_mm, events.ends_mm, attenuation.mu)
    randoms, said, inputs = _petsird_randoms(config, events, log)
    sensitivity, noise = sampled_sensitivity(events.scanner, grid, rng=np.random.default_rng(0), pairs=_SAMPLED, mu=attenuation.mu,
                                             resolution=resolution)  # fmt: skip
    if noise > 0:
        log.info("SENSITIVITY_SAMPLED", f"the sensitivity comes from {_SAMPLED} of all pairs of crystals: its voxels vary by "
                 f"{100 * noise:.2g} % for that", where=path.name, raw=noise)  # fmt: skip
    corrections = (
        f"Counts: {len(events.bins)} prompt coincidences of {path.name}, each at its own line.", attenuation.sentence,
        f"Normalisation: efficiencies of {path.name}, within the model.", blur, said, "Scatter: not corrected.",
    )  # fmt: skip
    measured = Measured(
        counts=np.ones(len(events.bins), np.float32), corrections=corrections, name=path.name,
        additive=None if randoms is None else randoms.values, additive_total=None if randoms is None else randoms.total,
        redraw_additive=None if randoms is None else randoms.redraw,
    )  # fmt: skip
    projector = ListmodeProjector(events.starts_mm, events.ends_mm, grid, sensitivity_image=sensitivity, factors=factors,
                                  resolution=resolution, tof=events.tof, tof_bins=events.tof_bins)  # fmt: skip
    return acquired_pet(
        config, grid=grid, attenuation=attenuation, normalised=True, projector=projector, measured=measured,
        duration_s=duration_of(config, events.duration_s or None, path.name), inputs=(path, *inputs),
        fingerprint={"timing": timing_of(events.tof),
                     "events": _digest(events.bins, events.tof_bins), "factors": digest_of(factors), "resolution": blur,
                     "sensitivity": digest_of(sensitivity)},
    )  # fmt: skip


def _petsird_randoms(
    config: Config, events: PetsirdEvents, log: NoticeLog
) -> tuple[PetsirdRandoms | None, str, tuple[Path, ...]]:
    """Randoms from delayed coincidences of a PETSIRD file of the same scanner."""
    fields = config.fields("randoms")
    path = fields.path("delayed")
    if "file" in fields or (path is not None and path.suffix.lower() in (".npz", ".hs", ".hdr")):
        raise InputError(fields.where, "randoms", fields.stated_text("file") or fields.stated_text("delayed"),
                         "delayed = the PETSIRD file that holds the delayed coincidences")  # fmt: skip
    if path is None:
        return None, "Randoms: not corrected.", ()
    delayed = read_petsird(path, log=log, kind="delayed")
    if delayed.scanner.places_mm.shape != events.scanner.places_mm.shape:
        raise InputError(
            path.name,
            "scanner",
            delayed.scanner.name or "another",
            f"the scanner of the prompts, {events.scanner.name}",
        )
    said = f"Randoms: singles of each crystal from the delayed coincidences of {path.name}, in the model and not subtracted."
    return randoms_of_pairs(events, delayed), said, (path,)
