"""A PET as a configuration describes it: prompt coincidences, randoms, scatter, attenuation, efficiencies, resolution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fusin.decay import mean_over_frame
from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.nuclides import nuclide, nuclide_from_code
from fusin.provenance import Method, NoticeLog
from fusin.reconstruction.acquire_attenuation import read_attenuation
from fusin.reconstruction.acquired import UNDECAYED, Acquired, digest_of
from fusin.reconstruction.config import Config, Fields
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_corrections import attenuation_factors, over_timing_bins, randoms_from_delayed
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.pet_interfile import PetSinogram, read_sinogram
from fusin.reconstruction.pet_scatter_estimate import estimate_scatter
from fusin.reconstruction.projector import FloatImage
from fusin.reconstruction.resolution import ImageResolution

__all__ = ["acquire_pet"]

_ANNIHILATION_KEV = 511.0
_METHODS = (
    Method("joseph", "Line integrals by linear interpolation: Joseph PM, IEEE Trans Med Imaging 1 (1982) 192-196."),
)


def acquire_pet(config: Config, *, log: NoticeLog) -> Acquired:
    """Read the sinograms and build projector and counts.

    Parameters
    ----------
    config : with the modality ``pet``
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For files and tables that cannot be used or do not fit together.
    """
    path = config.fields("data").path("projections", required=True)
    assert path is not None
    prompts = read_sinogram(path, log=log)
    geometry = prompts.geometry
    grid = _grid(config.fields("image"), geometry)
    attenuation = read_attenuation(config, grid, energy_kev=_ANNIHILATION_KEV, log=log)
    factors, sentences, inputs = _factors(config, prompts, log)
    efficiencies = factors
    if attenuation.mu is not None:
        passed = attenuation_factors(geometry, attenuation.mu, image=grid)
        factors = passed if factors is None else factors * passed
    resolution, blur = _resolution(config)
    additive, redraw, added, more = _additive(config, prompts, efficiencies, attenuation.mu, log)
    duration = _duration(config, prompts)
    header = config.study_header()
    named = _nuclide(config, header)
    scale, u_relative, decay = _scale(config, named, duration)
    corrections = (f"Counts: prompt coincidences of {path.name}.", attenuation.sentence, *sentences, blur, *added)
    return Acquired(
        projector=PetSinogramProjector(geometry, grid, factors=factors, resolution=resolution),
        measured=Measured(counts=prompts.values, additive=additive, redraw_additive=redraw, corrections=corrections,
                          name=path.name),
        grid=grid, angles_deg=None, mu=attenuation.mu,
        scale=scale, u_relative=u_relative, decay=decay or UNDECAYED, decayed_to_start=bool(decay),
        started=config.start, nuclide=named, duration_s=duration, header=header,
        terms=_terms(config, attenuation=attenuation.mu is not None, normalisation=efficiencies is not None),
        inputs=(*prompts.inputs, *attenuation.inputs, *inputs, *more),
        fingerprint={"factors": digest_of(factors), "resolution": blur, "sinogram": list(geometry.data_shape)},
        methods=_METHODS,
    )  # fmt: skip


def _duration(config: Config, prompts: PetSinogram) -> float | None:
    """Time of the acquisition; a contradiction between header and configuration is refused."""
    stated = None if config.calibration is None else config.calibration.duration_s
    if stated is None or prompts.duration_s is None:
        return prompts.duration_s if stated is None else stated
    if abs(stated - prompts.duration_s) > 1e-3 * stated:
        raise InputError(f"{config.path.name}, calibration", "duration_s", stated,
                         f"{prompts.duration_s:g} s, as {prompts.inputs[0].name} states, or nothing")  # fmt: skip
    return prompts.duration_s


def _nuclide(config: Config, header: Any) -> str:
    """Nuclide of the configuration or of the study's object; a contradiction is refused."""
    held = header.get("RadiopharmaceuticalInformationSequence") if header is not None else None
    codes = held[0].get("RadionuclideCodeSequence") if held else None
    if not codes:
        return config.nuclide
    try:
        stated = nuclide_from_code(
            str(codes[0].get("CodeValue", "")), str(codes[0].get("CodingSchemeDesignator", ""))
        ).name
    except InputError:
        return config.nuclide
    if config.nuclide and config.nuclide != stated:
        raise InputError(f"{config.path.name}, acquisition", "nuclide", config.nuclide,
                         f"{stated}, as the study's object states, or nothing")  # fmt: skip
    return stated


def _scale(config: Config, named: str, duration_s: float | None) -> tuple[float | None, float, str]:
    """(Bq/mL of an image value of 1, its relative uncertainty, how decay was corrected; empty where it was not)."""
    calibration = config.calibration
    if calibration is None:
        return None, 0.0, ""
    scale = calibration.factor * calibration.dead_time_factor
    if not named or duration_s is None:
        return scale, calibration.u_relative, ""
    factor = 1.0 / mean_over_frame(duration_s, nuclide(named).half_life_s)
    return scale * factor, calibration.u_relative, (
        f"The values refer to the start of the acquisition; the factor {factor:.6g} for the decay of {named} within its "
        f"{duration_s:g} s is part of the calibration above.")  # fmt: skip


def _terms(config: Config, *, attenuation: bool, normalisation: bool) -> tuple[str, ...]:
    """Defined terms of Corrected Image (0028,0051) for what is in the model."""
    scatter = config.fields("scatter").stated_text("method") not in ("", "none")
    randoms = any(name in config.fields("randoms") for name in ("file", "delayed"))
    dead_time = config.calibration is not None and config.calibration.dead_time_factor > 1.0
    made = (("NORM", normalisation), ("DTIM", dead_time), ("ATTN", attenuation), ("SCAT", scatter), ("RAN", randoms))
    return tuple(term for term, done in made if done)


def _grid(fields: Fields, geometry: SinogramGeometry) -> Grid:
    """A grid of the stated shape about the middle of the scanner; one size of a voxel leaves the slices to the rings."""
    shape, voxel = fields.numbers("shape", 3), fields.take("voxel_mm")
    if shape is None or min(shape) < 1 or any(n != int(n) for n in shape):
        raise InputError(fields.where, "shape", None if shape is None else list(shape),
                         f"whole numbers: slices ({2 * geometry.scanner.rings - 1} cover the rings), rows, columns")  # fmt: skip
    sizes = fields.numbers("voxel_mm", 3)
    if sizes is None or min(sizes) <= 0:
        raise InputError(fields.where, "voxel_mm", None if sizes is None else list(sizes),
                         "a size in mm, or three: along slices, rows, columns")  # fmt: skip
    if not isinstance(voxel, list):
        sizes = (geometry.scanner.ring_pitch_mm / 2.0, *sizes[1:])
    counts = (int(shape[0]), int(shape[1]), int(shape[2]))
    spacing = np.array(sizes[::-1])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.array(geometry.centre_mm) - 0.5 * (np.array(counts[::-1]) - 1) * spacing
    return Grid(shape=counts, affine=affine)


def _beside(fields: Fields, name: str, prompts: PetSinogram, log: NoticeLog) -> tuple[FloatImage, Path] | None:
    """A sinogram of the same geometry that a table names."""
    path = fields.path(name)
    if path is None:
        return None
    found = read_sinogram(path, log=log).values
    if found.shape != prompts.values.shape:
        raise NotComputable(
            "the image", f"{path.name} has the shape {found.shape} and the prompts have {prompts.values.shape}",
            "sinograms of one geometry", "SINOGRAMS_DIFFER",
        )  # fmt: skip
    return found, path


def _factors(
    config: Config, prompts: PetSinogram, log: NoticeLog
) -> tuple[FloatImage | None, tuple[str, ...], tuple[Path, ...]]:
    fields = config.fields("normalisation")
    found = _beside(fields, "file", prompts, log)
    if found is None:
        return None, ("Normalisation: none, all detectors are taken as equal.",), ()
    efficiency, path = found
    if not np.isfinite(efficiency).all() or (efficiency < 0).any() or not (efficiency > 0).any():
        raise InputError(
            path.name, "efficiencies", "negative, empty or no numbers", "detection efficiencies of 0 or more"
        )
    gaps = int((efficiency == 0).sum())
    gone = f" ({gaps} bins are gaps)" if gaps else ""
    return efficiency, (f"Normalisation: efficiencies of {path.name}, within the model{gone}.",), (path,)


def _resolution(config: Config) -> tuple[ImageResolution | None, str]:
    width = config.fields("resolution").number("fwhm_mm", above=0.0)
    if width is None:
        return None, "Resolution: not corrected."
    return ImageResolution(
        across_mm=width, along_mm=width
    ), f"Resolution: {width:g} mm FWHM in image space, within the model."


def _additive(
    config: Config, prompts: PetSinogram, efficiencies: FloatImage | None, mu: Volume | None, log: NoticeLog
) -> tuple[FloatImage | None, Callable[[np.random.Generator], FloatImage] | None, tuple[str, ...], tuple[Path, ...]]:
    """Randoms + scatter, how to draw them anew, the sentences, the files."""
    parts: list[FloatImage] = []
    sentences: list[str] = []
    inputs: list[Path] = []
    randoms = config.fields("randoms")
    expected, delayed = _beside(randoms, "file", prompts, log), _beside(randoms, "delayed", prompts, log)
    if expected is not None and delayed is not None:
        raise InputError(randoms.where, "file and delayed", "both", "one of them")
    redraw = None
    if expected is not None:
        parts.append(expected[0])
        inputs.append(expected[1])
        sentences.append(f"Randoms: expected counts of {expected[1].name}, in the model and not subtracted.")
    elif delayed is not None:
        estimate = _from_delayed(prompts.geometry)
        parts.append(estimate(delayed[0]))
        inputs.append(delayed[1])
        sentences.append(f"Randoms: singles of each crystal from the delayed coincidences of {delayed[1].name}, in the model and "
                         "not subtracted.")  # fmt: skip
    else:
        sentences.append("Randoms: not corrected.")
    fields = config.fields("scatter")
    method = fields.word("method", ("none", "file", "simulated"), "none")
    scatter = _beside(fields, "file", prompts, log)
    if (method == "file") != (scatter is not None):
        raise InputError(
            fields.where, "file", "nothing" if scatter is None else scatter[1].name, 'method = "file" with a file'
        )
    if scatter is not None:
        parts.append(scatter[0])
        inputs.append(scatter[1])
        sentences.append(f"Scatter: expected counts of {scatter[1].name}, in the model and not subtracted.")
    elif method == "simulated":
        if mu is None:
            raise InputError(
                fields.where, "method", "simulated", "a table [attenuation]: scatter is simulated from its map"
            )
        simulated = estimate_scatter(prompts.geometry, prompts.values, mu, randoms=parts[0] if parts else None,
                                     efficiencies=efficiencies, log=log)  # fmt: skip
        parts.append(simulated.values)
        sentences.append(simulated.sentence)
    else:
        sentences.append("Scatter: not corrected.")
    if delayed is not None:
        counts, rest = delayed[0], parts[1:]

        def redraw_both(rng: np.random.Generator) -> FloatImage:
            drawn = _from_delayed(prompts.geometry)(rng.poisson(counts).astype(np.float32))
            return np.asarray(np.sum([drawn, *rest], axis=0), dtype=np.float32)

        redraw = redraw_both
    total = np.asarray(np.sum(parts, axis=0), dtype=np.float32) if parts else None
    return total, redraw, tuple(sentences), tuple(inputs)


def _from_delayed(geometry: SinogramGeometry) -> Callable[[FloatImage], FloatImage]:
    def estimate(delayed: FloatImage) -> FloatImage:
        if geometry.tof is None:
            return randoms_from_delayed(geometry, delayed)
        summed = np.asarray(delayed.sum(axis=1), dtype=np.float32)
        return over_timing_bins(geometry, randoms_from_delayed(geometry, summed))

    return estimate
