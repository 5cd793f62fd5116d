"""Images with Interfile headers as STIR writes them (``.hv`` and ``.v``), read into patient coordinates and written.

STIR's first pixel offsets are places of the first pixel across the axis of the scanner. Along it STIR puts the middle of the image
onto the middle of the scanner, moved by the third offset; both are kept here. How the patient lay turns the axes
(:mod:`fusin.reconstruction.pet_position`).

References
----------
UCL/STIR, src/IO/interfile.cxx (offsets of the first pixel), src/recon_buildblock/DataSymmetriesForBins_PET_CartesianGrid.cxx
(middle of image and scanner).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from fusin.errors import InputError, Unsupported
from fusin.imaging.nifti import read_nifti
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_header import InterfileHeader, is_interfile, read_values
from fusin.reconstruction.pet_position import position_of

__all__ = ["Placement", "files_of_image", "interfile_image", "read_image", "read_interfile_image"]

Placement = tuple[str, tuple[float, float, float]]
"""How the patient lay, and the middle of the scanner in patient coordinates [mm]."""
_ORIGIN: Placement = ("", (0.0, 0.0, 0.0))
# Signs of STIR's (x, y, z) in patient coordinates.
_SIGNS = {"HFS": (1, 1, -1), "HFP": (-1, -1, -1), "FFS": (-1, 1, 1), "FFP": (1, -1, 1)}
_WORDS = {"HF": "head_in", "FF": "feet_in", "S": "supine", "P": "prone"}
_BESIDE, _MOST_MM = 0.25, 1e4


def read_image(path: Path, *, unit: str = "", log: NoticeLog, placement: Placement | None = None) -> Volume:
    """Read an image from NIfTI, or from an Interfile header with its binary file.

    Parameters
    ----------
    path : of the NIfTI file or of the header
    unit : of the values, where the file does not say
    log : receives notices
    placement : of the scanner that an Interfile image belongs to

    Raises
    ------
    InputError
        For a file that cannot be used.
    """
    if is_interfile(path):
        return read_interfile_image(path, unit=unit, log=log, placement=placement)
    return read_nifti(path, unit=unit, log=log)


def files_of_image(path: Path) -> tuple[Path, ...]:
    """The file of an image, and the binary file of one with an Interfile header."""
    return (path, InterfileHeader(path).data_path()) if is_interfile(path) else (path,)


def read_interfile_image(path: Path, *, unit: str = "", log: NoticeLog, placement: Placement | None = None) -> Volume:
    """Read a header and its binary file.

    Parameters
    ----------
    path : of the header
    unit : of the values: the format has no place for it
    log : receives SINOGRAM_AXES_ASSUMED, IMAGE_OFFSETS_ASSUMED, IMAGE_BESIDE_SCANNER
    placement : how the patient lay, where the header does not say, and the middle of the scanner; the origin without it

    Raises
    ------
    InputError
        For keys that are missing, a binary file that is missing, truncated or in another byte order, and values below 0.
    Unsupported
        For projection data, several frames, or another number of dimensions.
    """
    header = InterfileHeader(path)
    _check_kind(header)
    counts = [header.whole(f"matrix size [{k}]") for k in (1, 2, 3)]
    sizes = _sizes(header)
    position, centre = placement or _ORIGIN
    signs = np.array(_SIGNS[position_of(header, position, log)], dtype=np.float64)
    first = _first_voxel(header, np.array(counts), sizes, log)
    said = " x ".join(str(n) for n in counts) + " voxels"
    values = read_values(header, math.prod(counts), said=said).reshape(counts[::-1])
    last = first + (np.array(counts) - 1) * sizes
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = np.where(signs > 0, first, -last) + np.array(centre)
    values = np.ascontiguousarray(np.flip(values, axis=tuple(2 - k for k in range(3) if signs[k] < 0)))
    grid = Grid(shape=(counts[2], counts[1], counts[0]), affine=affine)
    return Volume(values=values, grid=grid, unit=unit)


def _check_kind(header: InterfileHeader) -> None:
    frames, dimensions = (
        header.whole("number of time frames", default=1),
        header.whole("number of dimensions", default=3),
    )
    kind = header.text("PET data type").lower() or "image"
    if kind != "image" or dimensions != 3 or frames != 1:
        raise Unsupported(
            "reading an Interfile image",
            f"{header.where} holds {kind} data of {dimensions} dimensions in {frames} time frames",
            "one image of three dimensions",
            "INTERFILE_NO_IMAGE",
        )


def _sizes(header: InterfileHeader) -> np.ndarray:
    """Size of a voxel along x, y, z [mm]."""
    across = [header.positive(f"scaling factor (mm/pixel) [{k}]") for k in (1, 2)]
    along = header.number("scaling factor (mm/pixel) [3]")
    if along is None:
        # Interfile 3.3 states the thickness in pixels.
        along = header.positive("slice thickness (pixels)") * across[0]
    for k, size in enumerate((*across, along), start=1):
        if not 0 < size <= _MOST_MM:
            raise InputError(
                header.where, f"scaling factor (mm/pixel) [{k}]", size, f"a positive number of up to {_MOST_MM:g} mm"
            )
    return np.array([*across, along])


def _first_voxel(header: InterfileHeader, counts: np.ndarray, sizes: np.ndarray, log: NoticeLog) -> np.ndarray:
    """Middle of the first voxel in the axes of the scanner, from its middle [mm]."""
    stated = [header.number(f"first pixel offset (mm) [{k}]") for k in (1, 2, 3)]
    if None in stated:
        log.adapted("IMAGE_OFFSETS_ASSUMED", "the first pixel was placed as STIR does without an offset: pixel n / 2, counted from "
                    "0, on the axis, and the middle of the planes on that of the scanner", where=header.where)  # fmt: skip
    if any(abs(offset or 0.0) > _MOST_MM for offset in stated):
        raise InputError(header.where, "first pixel offset (mm)", stated, f"places within {_MOST_MM:g} mm")
    found = np.array(
        [-(counts[k] // 2) * sizes[k] if stated[k] is None else stated[k] for k in (0, 1)] + [stated[2] or 0.0]
    )
    found[2] -= 0.5 * (counts[2] - 1) * sizes[2]
    middle = found + 0.5 * (counts - 1) * sizes
    if (np.abs(middle) > _BESIDE * counts * sizes).any():
        log.warning("IMAGE_BESIDE_SCANNER", "the offsets put the middle of the image at "
                    + ", ".join(f"{m:.4g}" for m in middle) + " mm (x, y, z) from that of the scanner", where=header.where,
                    raw=[float(m) for m in middle])  # fmt: skip
    return found


def interfile_image(volume: Volume, *, data_name: str, placement: Placement | None = None) -> tuple[str, bytes]:
    """Header and little-endian floats of an image in the axes of the scanner.

    Parameters
    ----------
    volume : with columns, rows and slices along the patient's axes
    data_name : name of the binary file
    placement : how the patient lay, head first and supine without a word, and the middle of the scanner

    Raises
    ------
    InputError
        For an image whose axes are turned.
    """
    position, centre = placement or _ORIGIN
    position = position or "HFS"
    steps = np.diag(volume.grid.affine)[:3]
    if np.abs(volume.grid.affine[:3, :3] - np.diag(steps)).max() > 1e-6 * np.abs(steps).min():
        raise InputError(
            "Interfile image", "grid", "axes that are turned", "columns along x, rows along y, slices along z"
        )
    signs = np.array(_SIGNS[position], dtype=np.float64)
    own = signs * steps
    values = np.asarray(volume.values, dtype="<f4")
    first = signs * (volume.grid.affine[:3, 3] - np.array(centre))
    counts = np.array(volume.grid.shape[::-1])
    for axis, step in enumerate(own):
        if step < 0:
            values = np.flip(values, axis=2 - axis)
            first[axis] += step * (counts[axis] - 1)
    sizes = np.abs(own)
    first[2] += 0.5 * (counts[2] - 1) * sizes[2]
    lines = [
        "!INTERFILE  :=", "!imaging modality := PT", f"name of data file := {data_name}", "!version of keys := STIR4.0",
        "!GENERAL DATA :=", "!GENERAL IMAGE DATA :=", "!type of data := PET", f"patient orientation := {_WORDS[position[:2]]}",
        f"patient rotation := {_WORDS[position[2]]}", "imagedata byte order := LITTLEENDIAN", "!PET STUDY (General) :=",
        "!PET data type := Image", "process status := Reconstructed", "!number format := float", "!number of bytes per pixel := 4",
        "number of dimensions := 3",
    ]  # fmt: skip
    for k, name in enumerate("xyz"):
        lines += [f"matrix axis label [{k + 1}] := {name}", f"!matrix size [{k + 1}] := {counts[k]}",
                  f"scaling factor (mm/pixel) [{k + 1}] := {float(sizes[k])!r}"]  # fmt: skip
    lines += [f"first pixel offset (mm) [{k + 1}] := {float(first[k])!r}" for k in range(3)]
    lines += ["number of time frames := 1", "!END OF INTERFILE :=", ""]
    return "\n".join(lines), np.ascontiguousarray(values).tobytes()
