"""What the tables of a PET's configuration say: grid, efficiencies, resolution, randoms, scatter, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusin.decay import mean_over_frame
from fusin.errors import InputError, NotComputable
from fusin.imaging.dicom_values import parse_number
from fusin.imaging.volume import Grid, Volume
from fusin.nuclides import nuclide
from fusin.provenance import Method, NoticeLog
from fusin.reconstruction.acquire_attenuation import Attenuation
from fusin.reconstruction.acquired import UNDECAYED, Acquired
from fusin.reconstruction.config import Config, Fields
from fusin.reconstruction.data import Measured, Redraw
from fusin.reconstruction.interfile_image import Placement
from fusin.reconstruction.pet_corrections import over_timing_bins, randoms_from_delayed, untimed
from fusin.reconstruction.pet_events import read_events
from fusin.reconstruction.pet_geometry import SinogramGeometry, TofBins
from fusin.reconstruction.pet_interfile import read_sinogram
from fusin.reconstruction.pet_scatter_estimate import estimate_scatter
from fusin.reconstruction.projector import FloatImage, Projector
from fusin.reconstruction.resolution import ImageResolution
from fusin.reconstruction.spect_dicom import nuclide_of

__all__ = [
    "Additive",
    "acquired_pet",
    "additive_of",
    "duration_of",
    "efficiencies_of",
    "pet_grid",
    "placement_of",
    "resolution_of",
    "timing_of",
]
_SAME_HALF_LIFE = 0.05
# A float32 image of 8 GB, beyond what any scanner makes.
_MOST_VOXELS = 2**31

_METHODS = (
    Method("joseph", "Line integrals by linear interpolation: Joseph PM, IEEE Trans Med Imaging 1 (1982) 192-196."),
)
_SIMULATED = Method("single-scatter-simulation", "Watson CC, IEEE Trans Nucl Sci 47 (2000) 1587-1594; time of flight: Watson CC, "
                    "ibid. 54 (2007) 1679-1686.")  # fmt: skip
_DELAYED = Method(
    "randoms-from-delayed", "Singles from delayed coincidences: Panin VY et al., IEEE Trans Med Imaging 26 (2007) 1172."
)
_LISTED = Method("list-mode", "Likelihood of single events: Barrett HH et al., J Opt Soc Am A 14 (1997) 2914-2923.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Additive:
    """Expected randoms and scatter of a sinogram, how to draw them anew, what was done, and the files."""

    values: FloatImage | None
    redraw: Redraw | None
    sentences: tuple[str, ...]
    inputs: tuple[Path, ...]


def acquired_pet(
    config: Config, *, projector: Projector, measured: Measured, grid: Grid, attenuation: Attenuation, duration_s: float | None,
    normalised: bool, inputs: tuple[Path, ...], fingerprint: dict[str, Any], placement: Placement | None = None,
) -> Acquired:  # fmt: skip
    """One acquisition with its calibration, study and corrections.

    Parameters
    ----------
    config : with the modality ``pet``
    projector, measured, grid, attenuation, inputs, fingerprint : see `fusin.reconstruction.acquired.Acquired`
    duration_s : of the acquisition; None where nobody says
    normalised : whether efficiencies are in the model
    placement : of the scanner about the patient

    Raises
    ------
    InputError
        For a nuclide that the study's object contradicts.
    """
    header = config.study_header()
    named = _nuclide(config, header)
    scale, u_relative, decay = _scale(config, named, duration_s)
    return Acquired(
        projector=projector, measured=measured, grid=grid, angles_deg=None, mu=attenuation.mu, scale=scale, u_relative=u_relative,
        decay=decay or UNDECAYED, decayed_to_start=bool(decay), started=config.start, nuclide=named, duration_s=duration_s,
        header=header, terms=_terms(config, attenuation=attenuation.mu is not None, normalisation=normalised),
        inputs=(*inputs, *attenuation.inputs), fingerprint=fingerprint, methods=_methods(config),
        placement=placement,
    )  # fmt: skip


def _methods(config: Config) -> tuple[Method, ...]:
    used = (
        (_LISTED, "events" in config.fields("data")), (_DELAYED, "delayed" in config.fields("randoms")),
        (_SIMULATED, config.fields("scatter").stated_text("method") == "simulated"),
    )  # fmt: skip
    return (*_METHODS, *(method for method, there in used if there))


def duration_of(config: Config, held: float | None, where: str) -> float | None:
    """Time of the acquisition from a file or the configuration [s].

    Raises
    ------
    InputError
        Where they contradict each other.
    """
    stated = None if config.calibration is None else config.calibration.duration_s
    if stated is None or held is None:
        return held if stated is None else stated
    if abs(stated - held) > 1e-3 * stated:
        raise InputError(
            f"{config.path.name}, calibration", "duration_s", stated, f"{held:g} s, as {where} states, or nothing"
        )
    return held


def _nuclide(config: Config, header: Any) -> str:
    """Nuclide of the configuration or of the study's object; a contradiction, also of its half-life, is refused."""
    held = header.get("RadiopharmaceuticalInformationSequence") if header is not None else None
    if not held:
        return config.nuclide
    stated, named = parse_number(str(held[0].get("RadionuclideHalfLife") or "")), nuclide_of(header)
    if config.nuclide and named and config.nuclide != named:
        raise InputError(f"{config.path.name}, acquisition", "nuclide", config.nuclide,
                         f"{named}, as the study's object states, or nothing")  # fmt: skip
    if config.nuclide and stated and abs(stated / nuclide(config.nuclide).half_life_s - 1.0) > _SAME_HALF_LIFE:
        raise InputError(f"{config.path.name}, acquisition", "nuclide", config.nuclide,
                         f"one with the half-life of {stated:g} s that the study's object states")  # fmt: skip
    return named or config.nuclide


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


def pet_grid(
    fields: Fields, *, centre_mm: tuple[float, float, float], ring_pitch_mm: float | None = None, rings: int = 0
) -> Grid:
    """A grid of the stated shape about the middle of the scanner; one size of a voxel leaves the slices to the rings.

    Parameters
    ----------
    fields : table ``image``
    centre_mm : middle of the scanner
    ring_pitch_mm, rings : of the scanner; without a pitch one size of a voxel stands for all three directions

    Raises
    ------
    InputError
        For a shape or sizes that cannot be.
    """
    shape, voxel = fields.numbers("shape", 3), fields.take("voxel_mm")
    if shape is None or min(shape) < 1 or any(n != int(n) for n in shape):
        cover = f" ({2 * rings - 1} cover the rings)" if rings else ""
        raise InputError(
            fields.where,
            "shape",
            None if shape is None else list(shape),
            f"whole numbers: slices{cover}, rows, columns",
        )
    if math.prod(shape) > _MOST_VOXELS:
        raise InputError(fields.where, "shape", [int(n) for n in shape], f"at most {_MOST_VOXELS} voxels")
    sizes = fields.numbers("voxel_mm", 3)
    if sizes is None or min(sizes) <= 0:
        raise InputError(fields.where, "voxel_mm", None if sizes is None else list(sizes),
                         "a size in mm, or three: along slices, rows, columns")  # fmt: skip
    if not isinstance(voxel, list) and ring_pitch_mm is not None:
        sizes = (ring_pitch_mm / 2.0, *sizes[1:])
    counts = (int(shape[0]), int(shape[1]), int(shape[2]))
    spacing = np.array(sizes[::-1])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.array(centre_mm) - 0.5 * (np.array(counts[::-1]) - 1) * spacing
    return Grid(shape=counts, affine=affine)


def timing_of(tof: TofBins | None) -> list[float] | None:
    """What a checkpoint has to know of the timing bins; None without."""
    return None if tof is None else [tof.count, tof.width_ps, tof.resolution_ps]


def placement_of(data: Fields) -> dict[str, Any]:
    """How the patient lay and where the middle of the scanner stood, as the table ``data`` says, for the readers of headers."""
    centre = data.numbers("centre_mm", 3) if "centre_mm" in data else None
    return {
        "position": data.stated_text("patient_position") or "",
        "centre_mm": None if centre is None else (centre[0], centre[1], centre[2]),
    }


def _beside(
    fields: Fields, name: str, geometry: SinogramGeometry, log: NoticeLog, *, shared: bool
) -> tuple[FloatImage, Path] | None:
    """A sinogram of the same geometry that a table names; ``shared``: it may have no timing bins where the counts have."""
    path = fields.path(name)
    if path is None:
        return None
    if path.suffix.lower() == ".npz" and name == "delayed":
        return read_events(path, geometry, log=log, kind="delayed").histogram(), path
    beside = read_sinogram(path, log=log, position=geometry.position, centre_mm=geometry.centre_mm)
    found = beside.values
    if found.shape != geometry.data_shape and not (shared and found.shape == untimed(geometry).data_shape):
        raise NotComputable(
            "the image", f"{path.name} has the shape {found.shape} and the prompts have {geometry.data_shape}",
            "sinograms of one geometry", "SINOGRAMS_DIFFER",
        )  # fmt: skip
    if beside.geometry.segments != geometry.segments:
        raise NotComputable("the image", f"the segments of {path.name} are others, or in another order, than those of the prompts",
                            "sinograms of one geometry", "SINOGRAMS_DIFFER")  # fmt: skip
    return found, path


def efficiencies_of(
    config: Config, geometry: SinogramGeometry, log: NoticeLog
) -> tuple[FloatImage | None, tuple[str, ...], tuple[Path, ...]]:
    """Efficiencies of the table ``normalisation``, the sentence and the file; with or without timing bins.

    Raises
    ------
    InputError, NotComputable
        For a file that cannot be used, or of another geometry.
    """
    found = _beside(config.fields("normalisation"), "file", geometry, log, shared=True)
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


def resolution_of(config: Config) -> tuple[ImageResolution | None, str]:
    """Response in image space of the table ``resolution``, and the sentence."""
    width = config.fields("resolution").number("fwhm_mm", above=0.0)
    if width is None:
        return None, "Resolution: not corrected."
    return ImageResolution(
        across_mm=width, along_mm=width
    ), f"Resolution: {width:g} mm FWHM in image space, within the model."


def additive_of(
    config: Config, geometry: SinogramGeometry, counts: FloatImage, efficiencies: FloatImage | None, mu: Volume | None,
    log: NoticeLog,
) -> Additive:  # fmt: skip
    """Expected randoms and scatter of the tables ``randoms`` and ``scatter``.

    Parameters
    ----------
    config, geometry, log : of the acquisition
    counts : prompts of ``data_shape``
    efficiencies : of the bins; None for 1
    mu : attenuation map [1/cm]; None without

    Raises
    ------
    InputError, NotComputable
        For tables and files that cannot be used.
    """
    randoms, redraw_randoms, said, inputs = _randoms(config, geometry, log)
    fields = config.fields("scatter")
    method = fields.word("method", ("none", "file", "simulated"), "none")
    stored = _beside(fields, "file", geometry, log, shared=False)
    if (method == "file") != (stored is not None):
        raise InputError(
            fields.where, "file", "nothing" if stored is None else stored[1].name, 'method = "file" with a file'
        )
    scatter = None
    if stored is not None:
        scatter, inputs = stored[0], (*inputs, stored[1])
        said = (*said, f"Scatter: expected counts of {stored[1].name}, in the model and not subtracted.")
    elif method == "simulated":
        if mu is None:
            raise InputError(
                fields.where, "method", "simulated", "a table [attenuation]: scatter is simulated from its map"
            )
        simulated = estimate_scatter(geometry, counts, mu, randoms=randoms, efficiencies=efficiencies, log=log)
        scatter = simulated.values
        said = (*said, simulated.sentence)
    else:
        said = (*said, "Scatter: not corrected.")

    def total(accidental: FloatImage | None) -> FloatImage | None:
        parts = [p for p in (accidental, scatter) if p is not None]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float32) if parts else None

    redraw = None
    if redraw_randoms is not None:
        drawn_anew = redraw_randoms

        def redraw(rng: np.random.Generator) -> FloatImage:
            found = total(drawn_anew(rng))
            assert found is not None
            return found

    return Additive(values=total(randoms), redraw=redraw, sentences=said, inputs=inputs)


def _randoms(
    config: Config, geometry: SinogramGeometry, log: NoticeLog
) -> tuple[FloatImage | None, Redraw | None, tuple[str, ...], tuple[Path, ...]]:
    fields = config.fields("randoms")
    expected = _beside(fields, "file", geometry, log, shared=True)
    delayed = _beside(fields, "delayed", geometry, log, shared=True)
    if expected is not None and delayed is not None:
        raise InputError(fields.where, "file and delayed", "both", "one of them")
    if expected is not None:
        values, path = expected
        if values.shape != geometry.data_shape:
            values = over_timing_bins(geometry, values)
        return values, None, (f"Randoms: expected counts of {path.name}, in the model and not subtracted.",), (path,)
    if delayed is None:
        return None, None, ("Randoms: not corrected.",), ()
    counts, path = delayed
    estimate = _from_delayed(geometry)

    def redraw(rng: np.random.Generator) -> FloatImage:
        return estimate(rng.poisson(counts).astype(np.float32))

    said = f"Randoms: singles of each crystal from the delayed coincidences of {path.name}, in the model and not subtracted."
    return estimate(counts), redraw, (said,), (path,)


def _from_delayed(geometry: SinogramGeometry) -> Callable[[FloatImage], FloatImage]:
    def estimate(delayed: FloatImage) -> FloatImage:
        if geometry.tof is None:
            return randoms_from_delayed(geometry, delayed)
        summed = delayed if delayed.ndim == 3 else np.asarray(delayed.sum(axis=1), dtype=np.float32)
        return over_timing_bins(geometry, randoms_from_delayed(untimed(geometry), summed))

    return estimate
