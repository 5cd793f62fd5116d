"""What a modality hands to the reconstruction: projector, counts, grid, and what turns counts into becquerels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import Method, NoticeLog
from fusin.reconstruction.config import Config
from fusin.reconstruction.data import Measured
from fusin.reconstruction.projector import MatrixProjector, Projector

__all__ = ["UNDECAYED", "Acquired", "acquire", "digest_of"]

UNDECAYED = "The values are means over the acquisition; no decay correction was made."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Acquired:
    """One acquisition, ready to be reconstructed.

    Attributes
    ----------
    projector, measured : model and counts
    grid : of the image
    angles_deg : of the views; None where views follow each other around the camera
    scale : Bq/mL of an image value of 1; None without a calibration
    u_relative : relative standard uncertainty of ``scale``
    mu : attenuation map on the grid, for the pictures
    started : start of the acquisition
    nuclide : such as ``Lu-177``; empty when unknown
    duration_s : time of one view; None when unknown
    views_in_turn : views that each head took one after the other; None when unknown
    energy_kev : limits of the energy window; None when unknown
    decay : to which moment the values of the image refer, as a sentence
    decayed_to_start : whether that is the start of the acquisition
    terms : defined terms of Corrected Image (0028,0051) for what the projector corrects
    header : DICOM header of the projections or of an object of the same study, for the patient and the study; None without
    inputs : files that were read
    fingerprint : digests and settings of everything that the image depends on beside the algorithm
    methods : with their citations
    backend : that projects, and where
    placement : how the patient lay and the middle of the scanner, for images with Interfile headers; None where nobody says
    """

    projector: Projector
    measured: Measured
    grid: Grid
    angles_deg: ArrayLike | None = None
    scale: float | None = None
    u_relative: float = 0.0
    mu: Volume | None = None
    started: datetime | None = None
    nuclide: str = ""
    duration_s: float | None = None
    views_in_turn: int | None = None
    energy_kev: tuple[float, float] | None = None
    decay: str = UNDECAYED
    decayed_to_start: bool = False
    terms: tuple[str, ...] = ()
    header: Any = None
    inputs: tuple[Path, ...] = ()
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[Method, ...] = ()
    backend: str = "numba on cpu"
    placement: tuple[str, tuple[float, float, float]] | None = None


def digest_of(values: Any) -> str:
    """SHA-256 of an array's shape, type and bytes; empty for None."""
    if values is None:
        return ""
    array = np.ascontiguousarray(values)
    held = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    held.update(array.tobytes())
    return held.hexdigest()


def acquire(config: Config, *, log: NoticeLog) -> Acquired:
    """Read the files that a configuration names and build the projector.

    Parameters
    ----------
    config : of `read_config`
    log : receives the notices of the readers

    Raises
    ------
    InputError
        For files that cannot be used.
    NotComputable
        Where they do not fit together.
    """
    if config.backend == "numba":
        return _acquire(config, log)
    from fusin.reconstruction.array_backend import on_arrays, opened

    library = opened(config, log=log)
    return on_arrays(_acquire(config, log), library, config)


def _acquire(config: Config, log: NoticeLog) -> Acquired:
    if config.modality == "matrix":
        return _matrix(config)
    if config.modality == "spect":
        from fusin.reconstruction.acquire_spect import acquire_spect

        return acquire_spect(config, log=log)
    from fusin.reconstruction.acquire_pet import acquire_pet

    return acquire_pet(config, log=log)


def _matrix(config: Config) -> Acquired:
    """A system matrix and counts in one ``.npz`` file."""
    fields, image = config.fields("data"), config.fields("image")
    path = fields.path("matrix", required=True)
    assert path is not None
    held = _arrays(path)
    shape = image.numbers("shape", 3)
    voxel = image.numbers("voxel_mm", 3)
    if shape is None or voxel is None or min(voxel) <= 0 or any(n < 1 or n != int(n) for n in shape):
        raise InputError(
            image.where, "shape and voxel_mm", f"{shape} and {voxel}", "three whole numbers and three sizes in mm"
        )
    if int(np.prod(shape)) != held["matrix"].shape[1]:
        raise InputError(
            image.where, "shape", list(shape), f"{held['matrix'].shape[1]} voxels, the columns of the matrix"
        )
    counts = held["counts"]
    if held["matrix"].shape[0] != counts.size:
        raise InputError(path.name, "counts", counts.shape, f"{held['matrix'].shape[0]} bins, the rows of the matrix")
    if not np.isfinite(held["matrix"]).all() or (held["matrix"] < 0).any():
        raise InputError(path.name, "matrix", "negative values or no numbers", "probabilities of 0 or more")
    cells = (int(shape[0]), int(shape[1]), int(shape[2]))
    calibration = config.calibration
    affine = np.diag([voxel[2], voxel[1], voxel[0], 1.0])
    affine[:3, 3] = [-0.5 * (n - 1) * s for n, s in zip(cells[::-1], voxel[::-1], strict=True)]
    additive = held.get("additive")
    corrections: tuple[str, ...] = ("What the system matrix holds is corrected for.",)
    if additive is not None:
        corrections += ("Scatter and randoms: the additive part of the file, in the model and not subtracted.",)
    return Acquired(
        projector=MatrixProjector(held["matrix"].astype(np.float64), cells, tuple(counts.shape)),
        measured=Measured(counts=counts, additive=additive, corrections=corrections, name=path.name),
        grid=Grid(shape=cells, affine=affine), angles_deg=held.get("angles_deg"),
        scale=None if calibration is None else calibration.factor * calibration.dead_time_factor,
        u_relative=0.0 if calibration is None else calibration.u_relative,
        started=config.start, nuclide=config.nuclide, inputs=(path,), fingerprint={"matrix": digest_of(held["matrix"])},
    )  # fmt: skip


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: np.asarray(file[name]) for name in file.files} if hasattr(file, "files") else {}
    except Exception as err:
        # NumPy and its zip reader raise errors of many kinds for bytes that are no arrays.
        raise InputError(
            path.name, "matrix", "a file that is no .npz, or is damaged", "arrays saved by numpy.savez"
        ) from err
    for name, axes in (("matrix", 2), ("counts", None)):
        array = held.get(name)
        if array is None or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise InputError(
                path.name, name, "nothing" if array is None else str(array.dtype), f"a numeric array named {name}"
            )
        if (axes and array.ndim != axes) or array.ndim < 1 or array.size == 0:
            raise InputError(path.name, name, array.shape, "(bins, voxels)" if axes else "(views, bins)")
    if held["matrix"].size > 200_000_000:
        raise NotComputable(
            "a reconstruction by matrix",
            f"{path.name} holds {held['matrix'].size} elements",
            "modality spect or pet",
            "MATRIX_TOO_LARGE",
        )
    return held
