"""A dynamic scan as one array: a DICOM series with several time points, or one NIfTI file per frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, InvalidValue, NotComputable
from fusin.imaging.dicom_values import combine
from fusin.imaging.instances import Tag
from fusin.imaging.nifti import read_nifti
from fusin.imaging.select_series import choose_pet
from fusin.imaging.series import Series, scan
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.receptor.frames import FloatArray, Frames

__all__ = ["DynamicScan", "read_dynamic"]

_UNITS = {"BQML": "Bq/mL", "Bq/ml": "Bq/mL", "GML": "SUV", "g/ml{SUVbw}": "SUV", "kBq/ml": "kBq/mL"}
_APART_MIN = 1.0 / 30.0
_DECAYS_MIN = 10.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DynamicScan:
    """All frames.

    Attributes
    ----------
    activity : (frames, slices, rows, columns)
    grid : of the voxels
    unit : Bq/mL, kBq/mL or SUV; empty when the files do not state it
    """

    activity: NDArray[np.float32]
    grid: Grid
    unit: str


def read_dynamic(folder: Path, frames: Frames, log: NoticeLog) -> DynamicScan:
    """Read the images of a dynamic scan whose frames are known.

    Parameters
    ----------
    folder : one DICOM PET series with several time points, or NIfTI files, one per frame in the order of their names
    frames : of the time-activity curves; the images must have the same
    log : receives notices

    Raises
    ------
    InputError
        When frames or grids differ, or the folder holds no images.
    InvalidValue
        For a series without decay correction.
    """
    if not folder.is_dir():
        raise InputError(
            folder.name, "--images", "no folder", "a folder with a DICOM series, or one NIfTI file per frame"
        )
    files = sorted((p for p in folder.iterdir() if p.name.endswith((".nii", ".nii.gz"))), key=_natural)
    if files:
        return _of_nifti(files, frames, log, folder.name)
    series = choose_pet(scan(folder, log), log)
    return _of_dicom(series, frames, log)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Names with numbers in their order: frame-2 before frame-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _same_number(found: int, frames: Frames, where: str) -> None:
    if found != frames.n:
        raise InputError(where, "frames", found, f"{frames.n}, as the time-activity curves have")


def _of_nifti(files: list[Path], frames: Frames, log: NoticeLog, where: str) -> DynamicScan:
    _same_number(len(files), frames, where)
    first = read_nifti(files[0], log=log)
    activity = np.empty((len(files), *first.shape), dtype=np.float32)
    for i, path in enumerate(files):
        volume = first if i == 0 else read_nifti(path, log=log)
        _same_grid(volume, first, path.name)
        activity[i] = volume.values
    return DynamicScan(activity=activity, grid=first.grid, unit=_UNITS.get(first.unit, ""))


def _same_grid(volume: Volume, first: Volume, where: str) -> None:
    if not volume.grid.matches(first.grid):
        raise InputError(where, "grid", volume.shape, f"that of the first frame, {first.shape}")


def _of_dicom(series: Series, frames: Frames, log: NoticeLog) -> DynamicScan:
    _same_number(series.phases, frames, series.label)
    correction = series.text(Tag.DECAY_CORRECTION).upper()
    if correction not in ("START", "ADMIN"):
        raise InvalidValue("parametric images", f"Decay Correction (0054,1102) of {series.label} is {correction or 'empty'}",
                           "frames corrected to one time (START or ADMIN)", "FRAMES_NOT_CORRECTED")  # fmt: skip
    starts, lengths = _times(series)
    _one_reference(series, starts, lengths)
    if starts is not None and frames.start_min is not None:
        _compare(starts - starts[0], frames.start_min - frames.start_min[0], series.label, "start")
    if lengths is not None and frames.duration_min is not None:
        _compare(lengths, frames.duration_min, series.label, "duration")
    first = series.load(log, phase=0)
    activity = np.empty((series.phases, *first.shape), dtype=np.float32)
    for i in range(series.phases):
        activity[i] = first.values if i == 0 else series.load(log, phase=i).values
    return DynamicScan(activity=activity, grid=first.grid, unit=_UNITS.get(series.stored_unit, ""))


def _one_reference(series: Series, starts: FloatArray | None, lengths: FloatArray | None) -> None:
    """Refuse frames that were each corrected to their own start: equal factors at different times."""
    if starts is None or lengths is None:
        return
    records = [next(f for f in phase if f is not None) for phase in series.require_stack().phases]
    factors = [r.header.number(Tag.DECAY_FACTOR) for r in records]
    for i, early in enumerate(factors):
        for j in range(i + 1, len(factors)):
            late = factors[j]
            alike = abs(lengths[i] - lengths[j]) < 1e-6 and starts[j] - starts[i] > _DECAYS_MIN
            if alike and early and late and abs(late / early - 1.0) < 1e-3:
                raise InvalidValue(
                    "parametric images",
                    f"frames {i + 1} and {j + 1} of {series.label} lie {starts[j] - starts[i]:.0f} min apart and have the same "
                    f"Decay Factor (0054,1321), {late:g}",
                    "frames corrected to one time, the start of the scan", "FRAMES_NOT_CORRECTED",
                )  # fmt: skip


def _compare(found: FloatArray, wanted: FloatArray, where: str, name: str) -> None:
    off = np.abs(found - wanted)
    worst = int(off.argmax())
    if off[worst] > _APART_MIN:
        raise InputError(f"{where} frame {worst + 1}", name, f"{60 * found[worst]:.1f} s",
                         f"{60 * wanted[worst]:.1f} s, as in the time-activity curves")  # fmt: skip


def _times(series: Series) -> tuple[FloatArray | None, FloatArray | None]:
    """Start and length of each time point in minutes, as far as the headers state them."""
    stack = series.require_stack()
    headers = []
    for phase in stack.phases:
        record = next((f for f in phase if f is not None), None)
        if record is None:
            raise NotComputable(
                "parametric images", f"a time point of {series.label} has no image", "all frames", "FRAMES_FEW"
            )
        headers.append(record.header)
    moments = [
        combine(h.text(Tag.ACQUISITION_DATE) or h.text(Tag.SERIES_DATE), h.text(Tag.ACQUISITION_TIME)) for h in headers
    ]
    known = [m for m in moments if m is not None]
    starts = None
    if len(known) == len(moments):
        starts = np.array([(m - known[0]).total_seconds() / 60.0 for m in known])
        if len(starts) > 1 and np.all(starts == 0):
            starts = None
    lengths = [h.number(Tag.FRAME_DURATION) for h in headers]
    stated = [v for v in lengths if v is not None]
    return starts, np.array(stated) / 60_000.0 if len(stated) == len(lengths) else None
