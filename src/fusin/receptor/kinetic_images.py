"""Parametric images of a dynamic scan with the input and the settings of its time-activity curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusin.errors import InputError
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.receptor.dynamic_series import read_dynamic
from fusin.receptor.kinetic_headers import concentration_factor
from fusin.receptor.kinetics import KineticOptions, KineticStudy
from fusin.receptor.parametric import ParametricOptions, Progress, parametric_maps

__all__ = ["KineticImages", "images_of"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KineticImages:
    """Maps by name, and how many voxels were fitted."""

    maps: Mapping[str, Volume]
    voxels: int
    shape: tuple[int, int, int]

    def median(self, name: str) -> float:
        """Median of a map over its fitted voxels."""
        return float(np.nanmedian(self.maps[name].values))


def images_of(
    folder: Path, study: KineticStudy, *, options: KineticOptions, log: NoticeLog, progress: Progress | None = None
) -> KineticImages:
    """Fit the model of a study to each voxel of its images.

    Parameters
    ----------
    folder : images, see :func:`fusin.receptor.dynamic_series.read_dynamic`
    study : fitted curves of one scan; their frames, weights and input are used
    options : of the study
    log : receives notices
    progress : called with (voxels done, voxels)

    Raises
    ------
    InputError
        For a study of several scans, settings that voxels cannot have, and images that do not fit the curves.
    """
    first = next(r for r in study.regions if not r.reason)
    if len({r.curve.scan for r in study.regions}) > 1:
        raise InputError("--images", "scans", "several in the table", "one of them by --scan")
    if options.fit.vb is None or options.fit.delay_min is None:
        raise InputError(
            "--images", "--vb" if options.fit.vb is None else "--delay-s", "fit", "a number, the same in all voxels"
        )
    if first.source is None:
        raise InputError("--images", "input", "nothing", "an input function")
    frames = first.curve.frames
    scan = read_dynamic(folder, frames, log)
    if not scan.unit:
        words = f"{folder.name} states no unit of activity; it is taken to be that of the curves"
        log.info("UNITS_TAKEN_EQUAL", words, where=folder.name)
    factor = 1.0 if not scan.unit else concentration_factor(scan.unit, study.unit, folder.name)
    chosen = ParametricOptions(
        model=options.model, vb=options.fit.vb, average=options.fit.average, k2_ref=options.k2_ref,
        last_frames=options.last_frames or (int(first.line.used.sum()) if options.automatic and first.line else None),
        t_star_min=options.t_star_min,
    )  # fmt: skip
    # Weights by the counts of one region would weigh the noise of another; those of time alone fit all voxels.
    maps = parametric_maps(
        scan.activity * np.float32(factor) if factor != 1.0 else scan.activity, scan.grid, frames,
        first.source.shifted(options.fit.delay_min), options=chosen, weights=first.weights, progress=progress,
    )  # fmt: skip
    name = next(iter(maps))
    return KineticImages(maps=maps, voxels=int(np.isfinite(maps[name].values).sum()), shape=scan.grid.shape)
