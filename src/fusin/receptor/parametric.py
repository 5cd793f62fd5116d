"""Parametric images: a model in every voxel of a dynamic scan.

Lines (Patlak, Logan, MA1, Logan with a reference) are solved directly. The exponentials of 1TCM, irreversible 2TCM and SRTM come
from a table of responses over the rate, the two of 2TCM from pairs of the table, refined by least squares with non-negative
coefficients: these are exactly the curves of rates that are not negative.

References
----------
Gunn RN et al., Neuroimage 1997;6:279-287 (basis functions). Hong YT, Fryer TD, Neuroimage 2010;51:164-172 (for two compartments).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.receptor.frames import FloatArray, Frames
from fusin.receptor.input_function import InputFunction

__all__ = ["MAPS", "ParametricOptions", "parametric_maps", "voxel_values"]

MAPS: Mapping[str, Mapping[str, str]] = {
    "1tcm": {"K1": "mL/cm3/min", "k2": "1/min", "VT": "mL/cm3"},
    "2tcm": {"K1": "mL/cm3/min", "k2": "1/min", "k3": "1/min", "k4": "1/min", "VT": "mL/cm3"},
    "2tcm-irreversible": {"K1": "mL/cm3/min", "k2": "1/min", "k3": "1/min", "Ki": "mL/cm3/min"},
    "patlak": {"Ki": "mL/cm3/min", "intercept": "mL/cm3"}, "logan": {"VT": "mL/cm3"}, "ma1": {"VT": "mL/cm3"},
    "logan-ref": {"BP_ND": "1"}, "srtm": {"R1": "1", "k2": "1/min", "BP_ND": "1"},
}  # fmt: skip
"""Maps of each model, with their units."""

_CHUNK = 4096
_RATES = (1e-3, 6.0)
_LINES = {"patlak": 0, "logan": 1, "ma1": 2, "logan-ref": 1}
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParametricOptions:
    """How voxels are fitted.

    Attributes
    ----------
    model : one of :data:`MAPS`
    vb : share of blood in every voxel
    average : means over the frames; False takes their middles
    last_frames, t_star_min : frames of a line; without both the last ten, or the second half of fewer than twenty
    k2_ref : of the reference region, for ``logan-ref`` [1/min]
    rates : limits of the exponentials [1/min]
    threshold : voxels whose mean activity lies below this share of the highest one are left out (NaN)
    workers : threads; all processors when None
    """

    model: str
    vb: float = 0.05
    average: bool = False
    last_frames: int | None = None
    t_star_min: float | None = None
    k2_ref: float | None = None
    rates: tuple[float, float] = _RATES
    threshold: float = 0.02
    workers: int | None = None


def parametric_maps(
    activity: NDArray[np.floating], grid: Grid, frames: Frames, source: InputFunction, *, options: ParametricOptions,
    weights: FloatArray | None = None, progress: Progress | None = None,
) -> dict[str, Volume]:  # fmt: skip
    """Maps of a dynamic scan.

    Parameters
    ----------
    activity : (frames, slices, rows, columns), decay-corrected to one time, in the unit of the input
    grid : of the voxels
    frames : when
    source : input that reaches the last frame; the reference region for ``srtm`` and ``logan-ref``
    options : model
    weights : of the frames; equal when None
    progress : called with (voxels done, voxels)

    Raises
    ------
    InputError
        For an array that fits neither frames nor grid, and an unknown model.
    NotComputable
        When no voxel has activity.
    """
    if options.model not in MAPS:
        raise InputError("parametric images", "model", options.model, "one of " + ", ".join(MAPS))
    if activity.ndim != 4 or activity.shape[0] != frames.n or tuple(activity.shape[1:]) != grid.shape:
        raise InputError(
            "parametric images", "array", activity.shape, f"{(frames.n, *grid.shape)}: frames, slices, rows, columns"
        )
    flat = activity.reshape(frames.n, -1)
    mean = np.nanmean(flat, axis=0)
    finite = np.isfinite(flat).all(axis=0)
    keep = np.flatnonzero(finite & (mean > options.threshold * float(mean[finite].max(initial=0.0))))
    if not keep.size:
        raise NotComputable("parametric images", "no voxel has activity", "a dynamic scan with activity", "CURVE_EMPTY")
    values = voxel_values(np.ascontiguousarray(flat[:, keep].T, dtype=np.float32), frames, source, options=options,
                          weights=weights, progress=progress)  # fmt: skip
    maps = {}
    for name, unit in MAPS[options.model].items():
        full = np.full(flat.shape[1], np.nan, dtype=np.float32)
        full[keep] = values[name]
        maps[name] = Volume(values=full.reshape(grid.shape), grid=grid, unit=unit)
    return maps


def voxel_values(
    activity: NDArray[np.float32], frames: Frames, source: InputFunction, *, options: ParametricOptions,
    weights: FloatArray | None = None, progress: Progress | None = None,
) -> dict[str, FloatArray]:  # fmt: skip
    """Parameters of many curves.

    Parameters
    ----------
    activity : (voxels, frames)
    frames, source, options, weights, progress : as in :func:`parametric_maps`
    """
    given = np.ones(frames.n) if weights is None else np.asarray(weights, dtype=np.float64)
    if options.vb and options.model not in ("srtm", "logan-ref"):
        if source.blood is None or source.blood_time_min is None:
            raise InputError("parametric images", "whole blood", "nothing", "a column of whole blood, or --vb 0")
        blood = np.interp(frames.mid_min, source.blood_time_min, source.blood)
        activity = ((activity - options.vb * blood) / (1.0 - options.vb)).astype(np.float32)
    fit = (
        _line_job(frames, source, options, given)
        if options.model in _LINES
        else _basis_job(frames, source, options, given)
    )
    parts = [activity[i : i + _CHUNK] for i in range(0, len(activity), _CHUNK)]
    found: list[dict[str, FloatArray]] = []
    done = 0
    with ThreadPoolExecutor(options.workers or os.cpu_count() or 1) as pool:
        for part, result in zip(parts, pool.map(fit, parts), strict=True):
            found.append(result)
            done += len(part)
            if progress is not None:
                progress(done, len(activity))
    return {name: np.concatenate([f[name] for f in found]) for name in MAPS[options.model]}


def _line_job(
    frames: Frames, source: InputFunction, options: ParametricOptions, weights: FloatArray
) -> Callable[[NDArray[np.float32]], dict[str, FloatArray]]:
    from fusin.receptor.parametric_kernels import line_voxels

    mid = np.array(frames.mid_min)
    if frames.start_min is None or frames.end_min is None:
        # Points in time, joined by lines: each gap is the way from the middle before it.
        length, gap = np.zeros(mid.size), np.diff(np.concatenate([[0.0], mid]))
        begin_at = mid
    else:
        length = np.array(frames.end_min - frames.start_min)
        gap = np.maximum(frames.start_min - np.concatenate([[0.0], frames.end_min[:-1]]), 0.0)
        begin_at = np.asarray(frames.start_min)
    area, now = np.array(source.area_until(mid)), np.array(source.plasma_at(mid))
    last = options.last_frames or max(min(10, frames.n // 2), 4)
    begin = frames.n - last if options.t_star_min is None else int(np.searchsorted(begin_at, options.t_star_min - 1e-9))
    if frames.n - begin < 4 or begin < 0:
        raise NotComputable("parametric images", f"{frames.n - begin} frames after t*", "at least 4", "FRAMES_FEW")
    extra = now / options.k2_ref if options.k2_ref is not None else np.zeros(mid.size)
    number = _LINES[options.model]

    def fit(part: NDArray[np.float32]) -> dict[str, FloatArray]:
        slope, intercept = np.empty(len(part)), np.empty(len(part))
        line_voxels(number, part, length, gap, area, now, extra, begin, weights, slope, intercept)
        if options.model == "patlak":
            return {"Ki": slope, "intercept": intercept}
        return {"BP_ND": slope - 1.0} if options.model == "logan-ref" else {"VT": slope}

    return fit


def _basis_job(
    frames: Frames, source: InputFunction, options: ParametricOptions, weights: FloatArray
) -> Callable[[NDArray[np.float32]], dict[str, FloatArray]]:
    from fusin.receptor.compartment_kernels import frame_response
    from fusin.receptor.parametric_kernels import one_rate_voxels, two_rate_voxels

    edges, first, last = frames.edges(average=options.average)
    time, plasma = np.array(source.time_min), np.array(source.plasma)
    where = np.array(edges), np.array(first), np.array(last)
    two = options.model == "2tcm"
    grid = np.linspace(np.log(options.rates[0]), np.log(options.rates[1]), 241 if two else 121)
    basis = np.stack([frame_response(time, plasma, float(np.exp(z)), *where, 0.0) for z in grid])
    fixed = np.empty(0)
    if options.model == "2tcm-irreversible":
        fixed = frame_response(time, plasma, 0.0, *where, 0.0)
    if options.model == "srtm":
        fixed = np.interp(frames.mid_min, time, plasma)

    def fit(part: NDArray[np.float32]) -> dict[str, FloatArray]:
        if two:
            found = np.empty((len(part), 5))
            two_rate_voxels(part, weights, float(grid[0]), float(grid[1] - grid[0]), basis, 10, 40, found)
            return _two_rates(found)
        found = np.empty((len(part), 4))
        one_rate_voxels(part, weights, grid, basis, fixed, options.model == "srtm", found)
        return _one_rate(options.model, found)

    return fit


def _two_rates(found: FloatArray) -> dict[str, FloatArray]:
    """Rates from two exponentials with non-negative coefficients."""
    a, b, fast, slow = found[:, 0], found[:, 1], found[:, 2], found[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        k1 = a + b
        k2 = (a * fast + b * slow) / k1
        k4 = fast * slow / k2
    return {"K1": k1, "k2": k2, "k3": np.maximum(fast + slow - k2 - k4, 0.0), "k4": k4, "VT": a / fast + b / slow}


def _one_rate(model: str, found: FloatArray) -> dict[str, FloatArray]:
    a, b, theta = found[:, 0], found[:, 1], found[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        if model == "1tcm":
            return {"K1": b, "k2": theta, "VT": b / theta}
        if model == "srtm":
            k2 = b + a * theta
            return {"R1": a, "k2": k2, "BP_ND": k2 / theta - 1.0}
        k1 = a + b
        k2 = b * theta / k1
        return {"K1": k1, "k2": k2, "k3": theta - k2, "Ki": a}
