"""From a threshold to a region: whole volume, around a seed, along the gradient, or by majority vote.

Connectivity is 26 everywhere: voxels that share a corner belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.imaging.volume import BoolArray, FloatArray, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.morphology import (
    Box,
    ball_offsets,
    crop_around,
    dilate,
    region_from_crop,
    region_from_indices,
)
from fusin.quantification.references import ReferenceRegion
from fusin.quantification.segmentation_kernels import grow, watershed
from fusin.quantification.thresholds import (
    Threshold,
    threshold_a50p,
    threshold_background,
    threshold_fixed,
    threshold_liver,
    threshold_nestle,
    threshold_otsu,
    threshold_percent_max,
    threshold_reference_max,
    threshold_ridler,
)

__all__ = [
    "SEED_RULES",
    "Seed",
    "SeedRule",
    "SeedStatistics",
    "majority_vote",
    "segment_gradient",
    "segment_majority",
    "segment_seed",
    "segment_volume",
]

Seed = tuple[int, int, int] | Region
"""A voxel index (slice, row, column) near the hottest voxel, or a region that holds it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SeedStatistics:
    """What the rules need to know about a lesion around its seed.

    Attributes
    ----------
    suv_max, suv_peak : of the lesion; the peak is the exact 1 mL sphere around the voxels above 50 % of SUVmax
    mean70 : mean of the voxels at or above 70 % of SUVmax
    background : mean around the lesion, given or estimated
    values : finite voxel values of the bounding VOI, or of the surroundings when there is none
    volume_at : volume in mL of the connected region at a threshold
    """

    suv_max: float
    suv_peak: float
    mean70: float
    background: float | None
    values: NDArray[Any]
    volume_at: Callable[[float], float]

    def need_background(self) -> float:
        """The background.

        Raises
        ------
        MissingValue
            When it was neither given nor to be had from the surroundings.
        """
        if self.background is None:
            raise MissingValue(
                "a background-adapted threshold", "no background is known", "background=, mean SUV around the lesion"
            )
        return self.background


SeedRule = Callable[[SeedStatistics], Threshold]
"""Computes a threshold from the lesion around a seed."""


def _fixed(suv: float) -> SeedRule:
    return lambda _: threshold_fixed(suv)


def _percent(percent: float) -> SeedRule:
    return lambda s: threshold_percent_max(s.suv_max, percent)


SEED_RULES: Mapping[str, SeedRule] = MappingProxyType(
    {
        **{f"fixed-{suv:g}": _fixed(suv) for suv in (2.5, 3.0, 4.0)},
        **{f"percent-max-{p}": _percent(p) for p in (40, 41, 42, 45, 50, 70)},
        "percent-peak-50": lambda s: threshold_a50p(s.suv_peak),
        "a50p": lambda s: threshold_a50p(s.suv_peak, s.need_background()),
        "background-41": lambda s: threshold_background(s.suv_max, s.need_background()),
        "nestle": lambda s: threshold_nestle(s.mean70, s.need_background()),
        "ridler": lambda s: threshold_ridler(s.values),
        "otsu": lambda s: threshold_otsu(s.values),
    }
)
"""Rules without calibration, by id. Rules that need it are given as a function, for example
``lambda s: threshold_van_dalen(s.volume_at, suv_max=s.suv_max, background=s.need_background(), fwhm_mm=5.5)``."""


def segment_volume(volume: Volume, threshold: Threshold, *, name: str = "foreground") -> Region:
    """All voxels at or above a threshold; voxels without a value do not belong.

    Parameters
    ----------
    volume : SUV volume
    threshold : what counts as hot
    name : name of the region
    """
    region = Region.from_mask(name, volume.grid, volume.values >= threshold.suv, source=threshold.rule)
    return region.renamed(name, threshold=threshold.to_json())


def segment_seed(
    volume: Volume,
    seed: Seed,
    rule: Threshold | SeedRule,
    *,
    log: NoticeLog,
    voi: Region | None = None,
    background: float | None = None,
    search_mm: float = 10.0,
    name: str = "lesion",
) -> Region:
    """The voxels at or above a threshold that are connected to the hottest voxel near a seed.

    Parameters
    ----------
    volume : SUV volume
    seed : index (slice, row, column), or a region that holds the lesion's hottest voxel
    rule : a threshold, or a rule that computes it from the lesion (see `SEED_RULES`)
    log : receives what was estimated or doubtful
    voi : region that bounds the growth
    background : mean SUV around the lesion for background-adapted rules; without it the median of the voxels 8 to 16 mm
        around the half-maximum region is taken and recorded
    search_mm : radius around an index seed in which the hottest voxel is looked for
    name : name of the region

    Returns
    -------
    Region
        Empty when the hottest voxel is below the threshold (recorded). ``attributes["threshold"]`` holds the rule.

    Raises
    ------
    InputError
        When the seed lies outside the volume or the VOI, or a region lies on another grid.
    NotComputable
        When the rule cannot give a threshold.
    """
    hottest = _hottest(volume, seed, voi, search_mm)
    statistics = _statistics(volume, hottest, voi, background, log=log, name=name)
    threshold = rule if isinstance(rule, Threshold) else rule(statistics)
    if statistics.suv_max < threshold.suv:
        log.warning(
            "SEED_BELOW_THRESHOLD",
            f"SUVmax {statistics.suv_max:.3g} near the seed is below the threshold {threshold.suv:.3g}"
            f" ({threshold.because}); the region is empty",
            where=name,
            raw=statistics.suv_max,
            used=threshold.suv,
        )
        region = region_from_indices(name, volume.grid, np.empty((0, 3), np.intp), source=threshold.rule)
        return region.renamed(name, threshold=threshold.to_json())
    indices = _grow(volume, hottest, threshold.suv, voi)
    region = region_from_indices(name, volume.grid, indices, source=threshold.rule)
    _doubt_growth(volume, region, statistics, voi, log)
    return region.renamed(name, threshold=threshold.to_json())


def _hottest(volume: Volume, seed: Seed, voi: Region | None, search_mm: float) -> NDArray[np.intp]:
    """Index of the hottest voxel of a seed region, or within a radius of a seed voxel, inside the VOI."""
    if isinstance(seed, Region):
        indices = seed.indices()
    else:
        if len(seed) != 3 or not all(0 <= i < n for i, n in zip(seed, volume.shape, strict=True)):
            raise InputError("seed", "index", tuple(seed), f"(slice, row, column) inside {volume.shape}")
        indices = np.asarray(seed, dtype=np.intp) + ball_offsets(volume.grid, search_mm)
        indices = indices[((indices >= 0) & (indices < np.array(volume.shape))).all(axis=1)]
    for region in (seed, voi):
        if isinstance(region, Region) and not region.grid.matches(volume.grid):
            raise InputError(region.name, "grid", region.grid.shape, f"the volume's grid {volume.shape}")
    if voi is not None:
        inside = indices - np.array(voi.start)
        fits = ((inside >= 0) & (inside < np.array(voi.crop.shape))).all(axis=1)
        fits[fits] = voi.crop[tuple(inside[fits].T)]
        indices = indices[fits]
    values = volume.values[tuple(indices.T)]
    if not np.isfinite(values).any():
        raise InputError(
            "seed", "voxels", len(indices), "at least one voxel with a value inside the volume and the VOI"
        )
    out: NDArray[np.intp] = indices[int(np.nanargmax(values))]
    return out


def _grow(volume: Volume, start: NDArray[np.intp], threshold: float, voi: Region | None) -> NDArray[np.intp]:
    """(n, 3) voxels connected to a start voxel at a threshold."""
    if voi is None:
        found = grow(volume.values, start.astype(np.int64), threshold, np.zeros((1, 1, 1), bool), False)
        return found.astype(np.intp)
    crop = np.ascontiguousarray(volume.values[voi.box])
    offset = np.array(voi.start, dtype=np.intp)
    return grow(crop, (start - offset).astype(np.int64), threshold, voi.crop, True).astype(np.intp) + offset


def _statistics(
    volume: Volume,
    hottest: NDArray[np.intp],
    voi: Region | None,
    background: float | None,
    *,
    log: NoticeLog,
    name: str,
) -> SeedStatistics:
    from fusin.quantification.peaks import find_peaks

    suv_max = float(volume.values[tuple(hottest)])
    if not suv_max > 0:
        raise InvalidValue(
            "segmentation", f"SUVmax near the seed is {suv_max:g}", "a voxel above 0", "SEED_NOT_POSITIVE"
        )

    def volume_at(threshold: float) -> float:
        return len(_grow(volume, hottest, threshold, voi)) * volume.voxel_volume_ml

    def above(share: float) -> Region:
        return region_from_indices("core", volume.grid, _grow(volume, hottest, share * suv_max, voi))

    core = above(0.5)
    if background is None:
        background = _shell_background(volume, core, suv_max)
        if background is not None:
            log.info(
                "BACKGROUND_FROM_SHELL",
                f"background {background:.3g} is the median of the voxels 8 to 16 mm around the half-maximum",
                where=name,
                used=background,
            )
    surroundings = voi if voi is not None else dilate(core, 16.0)
    peak = find_peaks(volume, core).exact
    values = surroundings.values_in(volume)
    return SeedStatistics(
        suv_max=suv_max,
        suv_peak=peak.value if peak is not None else suv_max,
        mean70=float(above(0.7).values_in(volume).mean(dtype=np.float64)),
        background=background,
        values=values[np.isfinite(values)],
        volume_at=volume_at,
    )


def _shell_background(volume: Volume, core: Region, suv_max: float) -> float | None:
    """Median of the voxels 8 to 16 mm around a region; hot neighbours (half of its maximum or more) do not count."""
    outer, inner = dilate(core, 16.0), dilate(core, 8.0)
    mask = outer.crop.copy()
    at = tuple(slice(i - o, i - o + n) for i, o, n in zip(inner.start, outer.start, inner.crop.shape, strict=True))
    mask[at] &= ~inner.crop
    values = volume.values[outer.box][mask]
    values = values[np.isfinite(values) & (values < 0.5 * suv_max)]
    return float(np.median(values.astype(np.float64))) if values.size else None


def _doubt_growth(
    volume: Volume, region: Region, statistics: SeedStatistics, voi: Region | None, log: NoticeLog
) -> None:
    """Say when the growth ran into something hotter or was cut by its VOI."""
    hottest = float(np.nanmax(region.values_in(volume)))
    if hottest > statistics.suv_max:
        log.warning(
            "SEGMENTATION_LEAK",
            f"the region reaches a voxel of {hottest:.3g}, hotter than SUVmax {statistics.suv_max:.3g}"
            " at the seed; it has run into another structure: bound it with a VOI",
            where=region.name,
            raw=hottest,
            used=statistics.suv_max,
        )
    if voi is None:
        return
    free = len(_grow(volume, region.indices()[0], float(np.nanmin(region.values_in(volume))), None))
    if free > region.voxels:
        log.info(
            "VOI_CUTS_REGION",
            f"the VOI cuts the region ({region.voxels} of {free} connected voxels are kept)",
            where=region.name,
            raw=free,
            used=region.voxels,
        )


def segment_gradient(
    volume: Volume,
    seed: Seed,
    *,
    log: NoticeLog,
    radius_mm: float = 40.0,
    sigma_mm: float = 2.0,
    inner: float = 0.7,
    search_mm: float = 10.0,
    name: str = "lesion",
) -> Region:
    """Region whose surface follows the steepest slope: marker watershed on the gradient magnitude.

    The inner marker is the connected part at or above ``inner`` x SUVmax, the outer one everything further than
    ``radius_mm`` from it; each voxel goes to the marker that reaches it over the lowest gradient. The steepest slope of
    a blurred sphere of radius r lies about s**2 / r inside its edge (s: SD of all blurring), so small lesions come out
    too small.

    Parameters
    ----------
    volume : SUV volume without missing values around the seed
    seed : as in `segment_seed`
    log : receives a notice when the region reaches the outer marker
    radius_mm : how far from the inner marker the lesion may reach
    sigma_mm : width of the Gaussian derivative
    inner : relative level of the inner marker
    search_mm : radius around an index seed in which the hottest voxel is looked for
    name : name of the region

    Raises
    ------
    InvalidValue
        When voxels around the seed hold no value: the gradient would be undefined.
    """
    from scipy.ndimage import gaussian_gradient_magnitude

    hottest = _hottest(volume, seed, None, search_mm)
    suv_max = float(volume.values[tuple(hottest)])
    core = region_from_indices(name, volume.grid, _grow(volume, hottest, inner * suv_max, None))
    ball = ball_offsets(volume.grid, radius_mm)
    box, mask = crop_around(core, np.abs(ball).max(axis=0))
    values = np.ascontiguousarray(volume.values[box], dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidValue("gradient segmentation", "voxels around the seed hold no value", "a complete image there")
    spacing = np.array(volume.spacing_mm[::-1])
    relief: FloatArray = gaussian_gradient_magnitude(values, sigma_mm / spacing, mode="nearest")
    labels = np.where(mask, 1, 0).astype(np.int32)
    labels[_outer_marker(core, box, radius_mm) & ~mask] = 2
    watershed(relief, labels)
    region = region_from_crop(name, volume.grid, box, labels == 1, source="gradient-watershed")
    if suv_max < float(np.nanmax(region.values_in(volume))):
        log.warning(
            "SEGMENTATION_LEAK",
            f"the gradient region reaches a voxel hotter than SUVmax {suv_max:.3g} at the seed",
            where=name,
            raw=suv_max,
        )
    return region


def _outer_marker(core: Region, box: Box, radius_mm: float) -> BoolArray:
    """Voxels of a cut-out further than a radius from the core, and its faces except where the image itself ends."""
    far = dilate(core, radius_mm)
    outside = np.ones([part.stop - part.start for part in box], dtype=bool)
    at = tuple(slice(f - b.start, f - b.start + n) for f, b, n in zip(far.start, box, far.crop.shape, strict=True))
    outside[at] &= ~far.crop
    for axis, (part, size) in enumerate(zip(box, core.grid.shape, strict=True)):
        face = np.moveaxis(outside, axis, 0)
        if part.start > 0:
            face[0] = True
        if part.stop < size:
            face[-1] = True
    return outside


def majority_vote(regions: Sequence[Region], needed: int, *, name: str = "majority") -> Region:
    """Voxels that at least ``needed`` of the regions hold.

    Raises
    ------
    InputError
        Without regions, with regions of different grids, or with an impossible number.
    """
    if not regions or not 1 <= needed <= len(regions):
        raise InputError(name, "needed", needed, f"a number from 1 to {len(regions)}")
    grid = regions[0].grid
    filled = [r for r in regions if r.voxels]
    if any(not r.grid.matches(grid) for r in regions):
        raise InputError(name, "grids", len(regions), "regions on one grid")
    if not filled:
        return region_from_indices(name, grid, np.empty((0, 3), np.intp), source=f"majority-{needed}")
    low = np.min([r.start for r in filled], axis=0)
    high = np.max([np.add(r.start, r.crop.shape) for r in filled], axis=0)
    votes = np.zeros(high - low, dtype=np.uint8)
    for region in filled:
        at = tuple(slice(s - a, s - a + n) for s, a, n in zip(region.start, low, region.crop.shape, strict=True))
        votes[at] += region.crop
    return region_from_indices(name, grid, np.argwhere(votes >= needed) + low, source=f"majority-{needed}")


def segment_majority(
    volume: Volume,
    seed: Seed,
    liver: ReferenceRegion,
    *,
    needed: int = 2,
    log: NoticeLog,
    voi: Region | None = None,
    name: str = "lesion",
) -> Region:
    """Majority of SUV 2.5, SUV 4.0, 41 % of SUVmax, liver maximum and PERCIST liver (MV2, MV3 for ``needed`` 2, 3).

    A rule whose threshold lies above the lesion votes for nothing and is recorded.

    References
    ----------
    The set is that of MUST-segmenter; review PMC7139791.
    """
    rules: tuple[Threshold | SeedRule, ...] = (
        threshold_fixed(2.5),
        threshold_fixed(4.0),
        SEED_RULES["percent-max-41"],
        threshold_reference_max(liver, volume),
        threshold_liver(liver),
    )
    regions = [segment_seed(volume, seed, rule, log=log, voi=voi, name=name) for rule in rules]
    return majority_vote(regions, needed, name=name)
